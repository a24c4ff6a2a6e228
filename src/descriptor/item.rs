//! The items of a descriptor: a line with keyword and arguments, and sometimes an object in base64.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::SystemTime;

use data_encoding::{BASE64, BASE64_NOPAD, Encoding, HEXUPPER_PERMISSIVE};
use memchr::{memchr, memchr2, memrchr};

use crate::names::to_text;
use crate::wire::timestamp::read_time;

/// One item of a descriptor: a line, and the object that follows it, if any.
///
/// Every line of a descriptor belongs to an item, except empty lines. The word `opt`, which old
/// versions of tor wrote before lines that others need not know, is not part of an item.
///
/// # Examples
///
/// ```
/// let text = "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n\
///             family moria1\np accept 80,443\n";
/// let descriptor = torcon::descriptor::Microdescriptor::parse(text)?;
/// let item = descriptor.items().nth(1).unwrap();
/// assert_eq!(item.keyword(), "ntor-onion-key");
/// assert!(item.arguments().starts_with("3iig6"));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DescriptorItem<'a> {
    /// The whole line.
    line: &'a [u8],
    keyword: &'a [u8],
    arguments: &'a [u8],
    object: Option<&'a [u8]>,
}

impl<'a> DescriptorItem<'a> {
    /// Returns the keyword, the first word of the line.
    #[must_use]
    pub fn keyword(&self) -> Cow<'a, str> {
        to_text(self.keyword)
    }

    /// Returns the arguments as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn arguments(&self) -> Cow<'a, str> {
        to_text(self.arguments)
    }

    /// Returns the arguments as bytes.
    #[must_use]
    pub fn arguments_bytes(&self) -> &'a [u8] {
        self.arguments
    }

    /// Returns the object: the lines from `-----BEGIN` to `-----END`, without the last line end.
    #[must_use]
    pub fn object(&self) -> Option<Cow<'a, str>> {
        self.object.map(to_text)
    }

    /// Decodes the object if it has this label, such as `ED25519 CERT`, and is complete.
    pub(super) fn decode_object(&self, label: &str) -> Option<Vec<u8>> {
        decode_pem(self.object?, label)
    }

    /// Returns the object, in PEM, if it has this label and contains bytes in base64.
    pub(super) fn labeled_object(&self, label: &str) -> Option<Cow<'a, str>> {
        self.decode_object(label).filter(|bytes| !bytes.is_empty())?;
        self.object()
    }

    /// Returns the date and time that are the first two arguments.
    pub(super) fn time(&self) -> Option<SystemTime> {
        self.words().time()
    }

    /// Decodes the first argument, `N` bytes in base64: a key, a SHA-256 digest or a signature.
    pub(super) fn base64<const N: usize>(&self) -> Option<[u8; N]> {
        base64(self.words().next()?)
    }

    /// Decodes the first argument, a SHA-1 digest in hexadecimal.
    pub(super) fn sha1(&self) -> Option<[u8; 20]> {
        let mut digest = [0; 20];
        let digits = self.words().next().filter(|digits| digits.len() == 40)?;
        HEXUPPER_PERMISSIVE.decode_mut(digits, &mut digest).ok()?;
        Some(digest)
    }

    /// Reads the arguments of the lines `overload-`: a version, and the time of the last overload.
    pub(super) fn overload_time(&self) -> Option<SystemTime> {
        let mut words = self.words();
        number::<u32>(words.next()?)?;
        words.time()
    }

    /// Returns whether the line has this keyword.
    pub(super) fn is(&self, keyword: &[u8]) -> bool {
        self.keyword == keyword
    }

    /// Returns the address and port that are the first argument.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        std::str::from_utf8(self.words().next()?).ok()?.parse().ok()
    }

    /// Returns the whole line, without the object.
    pub(super) fn line(&self) -> &'a [u8] {
        self.line
    }

    /// Returns whether the object has no last line, or one with another label than the first.
    pub(super) fn has_open_object(&self) -> bool {
        self.object.is_some_and(|mut object| {
            let last = memrchr(b'\n', object).map_or(0, |end| end + 1);
            let last = object.get(last..).and_then(|line| line.strip_prefix(b"-----END "));
            let first = take_line(&mut object).and_then(|line| line.strip_prefix(b"-----BEGIN "));
            last.is_none() || first != last
        })
    }

    /// Returns whether the object contains lines that belong to no object, since its own last line is
    /// damaged.
    pub(super) fn has_mixed_object(&self) -> bool {
        self.object.is_some_and(|object| !is_whole(object))
    }

    pub(super) fn words(&self) -> Words<'a> {
        Words { rest: self.arguments }
    }
}

/// Returns whether an object begins and ends with the same label, with base64 between.
fn is_whole(mut object: &[u8]) -> bool {
    let Some(begin) = take_line(&mut object) else { return false };
    let label = begin.strip_prefix(b"-----BEGIN ");
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    while let Some(line) = take_line(&mut object) {
        if let Some(end) = line.strip_prefix(b"-----END ") {
            return Some(end) == label && end.ends_with(b"-----");
        }
        if !line.iter().all(is_digit) {
            return false;
        }
    }
    false
}

impl fmt::Debug for DescriptorItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = Self { object: None, ..*self };
        write!(f, "{:?}", line.to_string())?;
        match self.object {
            Some(object) => write!(f, " and an object of {} bytes", object.len()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DescriptorItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keyword())?;
        if !self.arguments.is_empty() {
            write!(f, " {}", self.arguments())?;
        }
        match self.object() {
            Some(object) => write!(f, "\n{object}"),
            None => Ok(()),
        }
    }
}

/// Returns whether tor's cache added the line.
pub(super) fn is_annotation(item: &DescriptorItem<'_>) -> bool {
    item.keyword.starts_with(b"@")
}

/// Implements access to the items, and `Display`, for a type with a field `text`.
macro_rules! has_lines {
    ($descriptor:ident) => {
        impl $descriptor {
            /// Returns every item, in order, including those that have methods.
            pub fn items(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
                Items::new(self.text.as_bytes())
            }

            /// Returns the whole text.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.text.as_bytes()
            }

            /// Returns a copy that does not share the text of a list.
            #[must_use]
            pub fn detached(&self) -> Self {
                let mut copy = self.clone();
                copy.text = self.text.detached();
                copy
            }

            fn find(&self, keyword: &[u8]) -> Option<DescriptorItem<'_>> {
                Items::new(self.text.as_bytes()).find_keyword(keyword)
            }
        }

        impl std::fmt::Display for $descriptor {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&crate::names::to_text(self.text.as_bytes()))
            }
        }
    };
}
pub(super) use has_lines;

/// Implements access to annotations and unknown lines, and the check of all lines, for a document
/// with the `rules` of its keywords.
macro_rules! has_rules {
    ($descriptor:ident, $reading:literal, $rules:expr) => {
        impl $descriptor {
            /// Returns the annotations of tor's cache, such as `@downloaded-at`, which not every reply
            /// has.
            pub fn annotations(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
                self.items().filter($crate::descriptor::item::is_annotation)
            }

            /// Returns the items whose keyword this version of torcon does not know.
            pub fn unrecognized(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
                self.items().filter(|item| !$crate::descriptor::rule::is_known($rules, item))
            }

            /// Checks every line: each that this version of torcon knows has the syntax of the
            /// directory specification and occurs as often as it may, and no line is missing that
            /// every such document has. The methods read a line with a syntax error as an absent
            /// one.
            ///
            /// # Errors
            ///
            /// [`ProtocolError`] with the [number](ProtocolError::line) of the first wrong line.
            pub fn check(&self) -> Result<(), ProtocolError> {
                $crate::descriptor::rule::check($reading, $rules, self.text.as_bytes())
            }
        }
    };
}
pub(super) use has_rules;

/// An iterator over the items of a text. Skips empty lines and lines of blanks.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Returns the first item with this keyword.
    pub(super) fn find_keyword(mut self, keyword: &[u8]) -> Option<DescriptorItem<'a>> {
        self.find(|item| item.is(keyword))
    }

    /// Returns the first item that is not an annotation.
    pub(super) fn first(mut self) -> Option<DescriptorItem<'a>> {
        self.find(|item| !is_annotation(item))
    }

    /// Returns the addresses in the lines with this keyword.
    pub(super) fn addresses(self, keyword: &'static [u8]) -> impl Iterator<Item = SocketAddr> + 'a {
        self.filter(move |item| item.is(keyword)).filter_map(|item| item.address())
    }

    /// Takes the object, if one is next. An object without end line reaches to the end of the text.
    fn take_object(&mut self) -> Option<&'a [u8]> {
        if !self.rest.starts_with(b"-----BEGIN ") {
            return None;
        }
        let begin = self.rest;
        let mut length = 0;
        loop {
            let line = take_line(&mut self.rest)?;
            // The line is a slice of `begin`, so this is the offset of its end.
            length = (line.as_ptr().addr() - begin.as_ptr().addr() + line.len()).max(length);
            if line.starts_with(b"-----END ") || self.rest.is_empty() {
                return begin.get(..length);
            }
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = DescriptorItem<'a>;

    fn next(&mut self) -> Option<DescriptorItem<'a>> {
        // As in tor, blanks before a keyword mean nothing.
        let line = loop {
            match without_blanks(take_line(&mut self.rest)?) {
                b"" => {}
                line => break line,
            }
        };
        let words = match line.strip_prefix(b"opt") {
            Some(rest @ [b' ' | b'\t', ..]) => without_blanks(rest),
            _ => line,
        };
        let (keyword, arguments) = match memchr2(b' ', b'\t', words) {
            Some(blank) => {
                (words.get(..blank).unwrap_or_default(), words.get(blank + 1..).unwrap_or_default())
            }
            None => (words, &b""[..]),
        };
        // An annotation has no object, so that it cannot hide lines.
        let object = if line.starts_with(b"@") { None } else { self.take_object() };
        Some(DescriptorItem { line, keyword, arguments, object })
    }
}

/// Removes blanks from the start of a line.
#[inline]
fn without_blanks(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = line {
        line = rest;
    }
    line
}

/// Removes the next line from a text, and returns it without its line end.
#[inline]
pub(super) fn take_line<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    if text.is_empty() {
        return None;
    }
    let end = memchr(b'\n', text).unwrap_or(text.len());
    let (line, rest) = text.split_at_checked(end)?;
    *text = rest.strip_prefix(b"\n").unwrap_or(rest);
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// An iterator over the words of a line.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// Takes two words, a date and a time.
    pub(super) fn time(&mut self) -> Option<SystemTime> {
        read_time(&[self.next()?, self.next()?].join(&b' '))
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = self.rest.iter().position(|byte| !is_blank(byte))?;
        self.rest = self.rest.get(start..)?;
        let end = self.rest.iter().position(is_blank).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(word)
    }
}

/// Decodes an object in PEM if it has this label and is complete. Padding may be absent.
pub(super) fn decode_pem(object: &[u8], label: &str) -> Option<Vec<u8>> {
    let label = label.as_bytes();
    let mut rest = object;
    let begin = take_line(&mut rest)?.strip_prefix(b"-----BEGIN ")?;
    let mut digits = Vec::with_capacity(rest.len());
    loop {
        let line = take_line(&mut rest)?;
        if let Some(end) = line.strip_prefix(b"-----END ") {
            let is_labelled = |line: &[u8]| line.strip_suffix(b"-----") == Some(label);
            let encoding = if digits.ends_with(b"=") { &BASE64 } else { &BASE64_NOPAD };
            return (is_labelled(begin) && is_labelled(end))
                .then(|| encoding.decode(&digits).ok())?;
        }
        digits.extend_from_slice(line);
    }
}

/// Parses a number that consists of digits only.
pub(super) fn number<N: FromStr>(digits: &[u8]) -> Option<N> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Decodes `N` bytes in base64, with or without padding.
pub(super) fn base64<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let encoding: &Encoding = if text.ends_with(b"=") { &BASE64 } else { &BASE64_NOPAD };
    // `decode_len` counts padding, so it is at most two bytes too high.
    let mut bytes = [0; 66];
    let decoded = bytes.get_mut(..encoding.decode_len(text.len()).ok()?)?;
    let length = encoding.decode_mut(text, decoded).ok()?;
    bytes.get(..length)?.try_into().ok()
}
