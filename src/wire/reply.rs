//! Replies.

mod builder;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::{memchr, memrchr};
use zeroize::Zeroize as _;

pub(crate) use self::builder::ReplyBuilder;

use crate::error::{ProtocolError, Rejection, RejectionLine};
use crate::names::secret::redact;
use crate::names::{quoted, to_text};

/// The reply to one command: one or more lines, each with a status code, some with data.
///
/// The codes of one reply can differ. Values are bytes; [`ReplyLine`] also returns them as text. A
/// reply of up to 64 KiB is zeroized when it is dropped, since it can contain a key.
///
/// # Examples
///
/// ```
/// use torcon::Reply;
///
/// let reply = Reply::parse(b"250-version=0.4.9.11\r\n250-uptime=71\r\n250 OK\r\n".to_vec())?;
/// assert!(reply.is_success());
/// let lines: Vec<_> = reply.lines().map(|line| line.text().into_owned()).collect();
/// assert_eq!(lines, ["version=0.4.9.11", "uptime=71", "OK"]);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct Reply {
    /// The lines with a status code, with codes and line ends. Invariant: there is at least one.
    lines: Vec<u8>,
    /// The number of these lines.
    count: usize,
    /// The data blocks, without dot-stuffing.
    data: Vec<u8>,
    /// The range of each data block. Invariant: each line with [`Separator::Data`] has one.
    blocks: Vec<Range<usize>>,
}

/// One line of a [`Reply`].
///
/// # Examples
///
/// ```
/// use torcon::Reply;
///
/// let reply = "250+config-text=\r\nSocksPort 9050\r\nNickname MyRelay\r\n.\r\n250 OK\r\n";
/// let reply = Reply::parse(reply.into())?;
/// let line = reply.lines().next().unwrap();
/// assert_eq!((line.code(), line.bytes()), (250, &b"config-text="[..]));
/// assert_eq!(line.data(), Some(&b"SocksPort 9050\nNickname MyRelay"[..]));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplyLine<'a> {
    code: u16,
    text: &'a [u8],
    data: Option<&'a [u8]>,
}

impl<'a> ReplyLine<'a> {
    /// Returns the status code: 2xx for success, 4xx and 5xx for a refusal.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Returns the line without its status code and line end.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.text
    }

    /// Returns the line as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        to_text(self.text)
    }

    /// Returns the data block of the line (as in `250+key=`), if any: its lines without dot-stuffing,
    /// joined by line feeds.
    #[must_use]
    pub fn data(&self) -> Option<&'a [u8]> {
        self.data
    }

    /// Returns whether this line is a success.
    #[doc(alias = "IsOk")]
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code < 400
    }
}

impl fmt::Debug for ReplyLine<'_> {
    /// Shows the text without known secrets, and only the size of the data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, quoted(&redact(self.text)))?;
        match self.data {
            Some(data) => write!(f, " and {} bytes of data", data.len()),
            None => Ok(()),
        }
    }
}

impl Reply {
    /// Parses the bytes of one complete reply, with status codes and line ends.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if a line has no status code, and if the bytes do not end with the last line of
    /// a reply (`250 OK`, without `-` or `+`) or continue after it.
    #[doc(alias = "ReadResponse")]
    pub fn parse(mut bytes: Vec<u8>) -> Result<Self, ProtocolError> {
        let mut builder = ReplyBuilder::default();
        let outcome = builder.push(&bytes);
        let has_line_end = bytes.ends_with(b"\n");
        zeroize_if_short(&mut bytes);
        outcome?;
        let is_complete = has_line_end && builder.is_complete();
        let reply = builder.finish();
        if !is_complete {
            let last = reply.lines().next_back().map_or(&b""[..], |line| line.text);
            return Err(ProtocolError::new("a reply", "one reply up to its last line", last));
        }
        Ok(reply)
    }

    /// Returns the lines, in order. There is always at least one.
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = ReplyLine<'_>> + DoubleEndedIterator {
        let Self { lines, count, data, blocks } = self;
        Lines { lines, count: *count, data, blocks }
    }

    /// Returns the bytes that contain the data of the first line, or else its text from `skipped` on,
    /// and its range in them.
    pub(crate) fn into_first_value(mut self, skipped: usize) -> (Vec<u8>, Range<usize>) {
        let text = self.lines().next().filter(|line| line.data.is_none()).map(|line| line.text);
        if let Some(length) = text.map(<[u8]>::len) {
            let range = STATUS_LENGTH + skipped.min(length)..STATUS_LENGTH + length;
            return (std::mem::take(&mut self.lines), range);
        }
        let block = self.blocks.first().cloned().unwrap_or_default();
        (std::mem::take(&mut self.data), block)
    }

    /// Returns the status code of the last line.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.lines().next_back().map_or(0, |line| line.code)
    }

    /// Returns the last line as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        self.lines().next_back().map(|line| line.text()).unwrap_or_default()
    }

    /// Returns whether every line is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.lines().all(|line| line.is_success())
    }

    /// Returns the reply if every line is a success.
    ///
    /// # Errors
    ///
    /// [`Rejection`] otherwise, with the keyword `command`.
    pub fn into_result(self, command: &str) -> Result<Self, Rejection> {
        if self.is_success() {
            return Ok(self);
        }
        let lines = self.lines().map(|line| {
            // tor sends an error text with a carriage return as data behind an empty key.
            let text = match (line.text, line.data) {
                (b"=" | b"", Some(data)) => data,
                (text, _) => text,
            };
            RejectionLine::new(line.code, text)
        });
        Err(Rejection::new(command, lines.collect()))
    }
}

/// The longest buffer of a reply that is zeroized when it is dropped. Replies with keys are short, and
/// zeroizing a list of all relays would take longer than parsing it.
const MAX_ZEROIZED: usize = 64 << 10;

impl Drop for Reply {
    fn drop(&mut self) {
        zeroize_if_short(&mut self.lines);
        zeroize_if_short(&mut self.data);
    }
}

fn zeroize_if_short(buffer: &mut Vec<u8>) {
    if buffer.len() <= MAX_ZEROIZED {
        buffer.zeroize();
    }
}

impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        self.lines().eq(other.lines())
    }
}

impl Eq for Reply {}

impl fmt::Debug for Reply {
    /// Shows only code and size, since a reply can contain a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.lines.len() + self.data.len();
        write!(f, "Reply({}, {} lines, {length} bytes)", self.code(), self.count)
    }
}

/// The lines of a [`Reply`], parsed one by one.
struct Lines<'a> {
    lines: &'a [u8],
    count: usize,
    data: &'a [u8],
    blocks: &'a [Range<usize>],
}

impl<'a> Lines<'a> {
    /// Parses a line. `take_block` removes its data block from those of the remaining lines.
    fn parse(
        &mut self,
        line: &'a [u8],
        take_block: impl FnOnce(&'a [Range<usize>]) -> Option<(&'a Range<usize>, &'a [Range<usize>])>,
    ) -> Option<ReplyLine<'a>> {
        let (range, _) = line_at(line, 0)?;
        let line = line.get(range)?;
        let StatusLine { code, separator } = StatusLine::parse(line)?;
        let mut data = None;
        if separator == Separator::Data {
            let (block, rest) = take_block(self.blocks)?;
            self.blocks = rest;
            data = self.data.get(block.clone());
        }
        self.count -= 1;
        Some(ReplyLine { code, text: line.get(STATUS_LENGTH..).unwrap_or_default(), data })
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = ReplyLine<'a>;

    fn next(&mut self) -> Option<ReplyLine<'a>> {
        let (line, rest) = self.lines.split_at_checked(memchr(b'\n', self.lines)? + 1)?;
        self.lines = rest;
        self.parse(line, <[_]>::split_first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl<'a> DoubleEndedIterator for Lines<'a> {
    fn next_back(&mut self) -> Option<ReplyLine<'a>> {
        let before = self.lines.strip_suffix(b"\n")?;
        let start = memrchr(b'\n', before).map_or(0, |end| end + 1);
        let (rest, line) = self.lines.split_at_checked(start)?;
        self.lines = rest;
        self.parse(line, <[_]>::split_last)
    }
}

impl ExactSizeIterator for Lines<'_> {}

/// The length of a status code with its separator.
const STATUS_LENGTH: usize = 4;

/// The character between the status code and the text of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    /// `-`: more lines follow.
    More,
    /// `+`: data follows, then more lines.
    Data,
    /// A space: the last line.
    Last,
}

/// The first four bytes of a line: status code and separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusLine {
    pub(crate) code: u16,
    pub(crate) separator: Separator,
}

impl StatusLine {
    /// Parses the beginning of a line. A code without separator is a last line.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let (digits, rest) = line.split_first_chunk::<3>()?;
        let code = digits.iter().try_fold(0, |code: u16, digit| {
            digit.is_ascii_digit().then(|| code * 10 + u16::from(digit - b'0'))
        })?;
        let separator = match rest.first() {
            Some(b'-') => Separator::More,
            Some(b'+') => Separator::Data,
            Some(b' ') | None => Separator::Last,
            Some(_) => return None,
        };
        Some(Self { code, separator })
    }

    /// Returns whether a line with this beginning can be a status line.
    pub(crate) fn could_begin(beginning: &[u8]) -> bool {
        beginning.iter().take(4).enumerate().all(|(n, byte)| match n {
            3 => matches!(byte, b'-' | b'+' | b' ' | b'\r' | b'\n'),
            _ => byte.is_ascii_digit(),
        })
    }

    /// Searches `text` for status lines whose preceding line end was lost.
    pub(crate) fn all_within(text: &[u8]) -> impl Iterator<Item = Self> {
        (0..text.len()).filter_map(|start| Self::parse(text.get(start..)?))
    }

    /// Returns whether the line belongs to a reply.
    pub(crate) fn is_reply(self) -> bool {
        matches!(self.code / 100, 2 | 4 | 5)
    }

    /// Returns whether the line belongs to an event.
    pub(crate) fn is_event(self) -> bool {
        (600..700).contains(&self.code)
    }
}

/// Returns the line at `start`, without its end, and the start of the next line.
#[inline]
pub(crate) fn line_at(bytes: &[u8], start: usize) -> Option<(Range<usize>, usize)> {
    let rest = bytes.get(start..)?;
    let length = memchr(b'\n', rest)?;
    let end = match rest.get(..length) {
        Some([.., b'\r']) => start + length - 1,
        _ => start + length,
    };
    Some((start..end, start + length + 1))
}

/// Removes the dot-stuffing of a line of data. Returns `None` for the line that ends the data.
#[inline]
pub(crate) fn unstuff(line: &[u8]) -> Option<&[u8]> {
    match line {
        b"." => None,
        [b'.', rest @ ..] => Some(rest),
        line => Some(line),
    }
}

#[cfg(test)]
impl Reply {
    /// Returns the reply as tor sent it, if its lines end with a carriage return and a line feed.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut blocks = self.blocks.iter();
        for line in self.lines.split_inclusive(|byte| *byte == b'\n') {
            wire.extend_from_slice(line);
            if line.get(3) != Some(&b'+') {
                continue;
            }
            let data = &self.data[blocks.next().unwrap().clone()];
            let lines = data.split(|byte| *byte == b'\n').filter(|_| !data.is_empty());
            for line in lines {
                wire.extend_from_slice(if line.starts_with(b".") { b"." } else { b"" });
                wire.extend_from_slice(line);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b".\r\n");
        }
        wire
    }
}

#[cfg(test)]
mod tests;
