//! The fields of a line: positional words, then `KEY=VALUE` in any order.
//!
//! Values are bare words or quoted strings. Parsing never fails: every byte except the blanks between
//! fields belongs to a field. Nothing is copied before a decoded value is requested.

use std::borrow::Cow;
use std::str::FromStr;

use crate::wire::quoted::{split_quoted, unescape_cstring};

/// An iterator over the remaining fields of a line. Positional words can be taken off the front before.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// Whether a search found no closing quote in `rest`. Without it, each value with broken quotes
    /// would repeat that search.
    no_closing_quote: bool,
}

/// A field: `KEY=VALUE`, or a word or quoted string without key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The key; empty for a word without key.
    pub(crate) key: &'a [u8],
    pub(crate) value: Value<'a>,
}

/// The raw value of a field: bare, or in quotes and with escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    raw: &'a [u8],
}

/// The bytes of keys: letters, digits, `_` and `-`. A table, since it is used for every byte of every
/// key of every event.
static KEY_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    while let [byte, after @ ..] = rest {
        #[expect(
            clippy::as_conversions,
            clippy::indexing_slicing,
            reason = "evaluated at compile time"
        )]
        {
            table[*byte as usize] = true;
        }
        rest = after;
    }
    table
};

impl<'a> Fields<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Self {
        Self { rest: line, no_closing_quote: false }
    }

    /// Takes the next word, also if it is `KEY=VALUE`.
    #[inline]
    pub(crate) fn word(&mut self) -> Option<&'a [u8]> {
        self.skip_blanks();
        if self.rest.is_empty() {
            return None;
        }
        Some(self.take(word_length(self.rest)))
    }

    /// Takes the next word, unless it is `KEY=VALUE`.
    #[inline]
    pub(crate) fn word_unless_keyword(&mut self) -> Option<&'a [u8]> {
        self.skip_blanks();
        match self.key_length() {
            Some(_) => None,
            None => self.word(),
        }
    }

    /// Returns the text that has not been taken.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while let Some(rest) = self.rest.strip_prefix(b" ") {
            self.rest = rest;
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, b""));
        self.rest = rest;
        taken
    }

    /// Returns the length of the key, if a key and `=` are next. `$FINGERPRINT=nickname` is a word, since
    /// a key has no `$`.
    #[inline]
    fn key_length(&self) -> Option<usize> {
        let is_key = |byte: &u8| KEY_BYTES.get(usize::from(*byte)).copied().unwrap_or_default();
        let length = self.rest.iter().position(|byte| !is_key(byte))?;
        (length > 0 && self.rest.get(length) == Some(&b'=')).then_some(length)
    }

    #[inline]
    fn take_value(&mut self) -> Value<'a> {
        let quoted = match self.rest.first() {
            Some(b'"') => self.quoted_length(),
            _ => None,
        };
        let length = quoted.unwrap_or_else(|| word_length(self.rest));
        Value { raw: self.take(length) }
    }

    /// Returns the length of the next quoted string, with its quotes. `None` if it is not closed.
    fn quoted_length(&mut self) -> Option<usize> {
        let up_to = |after: &[u8]| self.rest.len() - after.len();
        let at_end = |after: &[u8]| after.first().is_none_or(|byte| *byte == b' ');
        let (_, after) = split_quoted(self.rest)?;
        if at_end(after) {
            return Some(up_to(after));
        }
        // Text behind the closing quote means broken quoting. tor quotes some values twice.
        let twice = self.rest.get(1..).and_then(split_quoted);
        if let Some((_, [b'"', after @ ..])) = twice {
            if at_end(after) {
                return Some(up_to(after));
            }
        }
        if self.no_closing_quote {
            return None;
        }
        let closes = |at: &usize| *at > 0 && self.rest.get(at + 1..).is_some_and(at_end);
        let last = memchr::memchr_iter(b'"', self.rest).find(closes);
        self.no_closing_quote = last.is_none();
        last.map(|last| last + 1)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.skip_blanks();
        if self.rest.is_empty() {
            return None;
        }
        let Some(length) = self.key_length() else {
            return Some(Field { key: b"", value: self.take_value() });
        };
        let key = self.take(length);
        self.take(1);
        let value = self.take_value();
        if value.raw.is_empty() {
            // tor writes `REASON= UNKNOWN_264`. No field without key follows a field with key, so a
            // word behind an empty value is the value.
            let mut ahead = self.clone();
            if let Some(word) = ahead.word_unless_keyword() {
                self.rest = ahead.rest;
                return Some(Field { key, value: Value { raw: word } });
            }
        }
        Some(Field { key, value })
    }
}

impl<'a> Value<'a> {
    /// Takes a raw value, with quotes and escapes.
    pub(crate) fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// Returns the raw value, with quotes and escapes.
    pub(crate) fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Returns the value without quotes, but with escapes.
    ///
    /// tor quotes `DATA=""GET / HT""` twice by mistake. A value that is quoted once cannot begin so.
    #[inline]
    pub(crate) fn inside(self) -> &'a [u8] {
        match self.raw {
            [b'"', b'"', inside @ .., b'"', b'"'] | [b'"', inside @ .., b'"'] => inside,
            bare => bare,
        }
    }

    /// Returns the value without quotes and escapes.
    #[inline]
    pub(crate) fn bytes(self) -> Cow<'a, [u8]> {
        match self.raw {
            [b'"', .., b'"'] => unescape_cstring(self.inside()),
            bare => Cow::Borrowed(bare),
        }
    }

    /// Returns the elements of a comma-separated list.
    pub(crate) fn list(self) -> impl Iterator<Item = &'a [u8]> {
        split_list(self.inside())
    }

    /// Parses a decimal number.
    pub(crate) fn number<N: FromStr + TryFrom<u64>>(self) -> Option<N> {
        read_number(self.inside())
    }
}

/// Splits a comma-separated list. Empty elements are skipped.
#[inline]
pub(crate) fn split_list(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after;
        }
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
        let (element, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
        rest = after;
        Some(element)
    })
}

/// Splits a comma-separated list with blanks around its elements. Empty elements are skipped.
pub(crate) fn split_spaced_list(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_list(list).map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Returns the number of bytes before the next blank. Most words of events are shorter than the call of
/// a vectorized search is worth.
#[inline]
fn word_length(text: &[u8]) -> usize {
    const SHORT: usize = 12;
    let (near, far) = text.split_at_checked(SHORT).unwrap_or((text, b""));
    let end = near.iter().position(|byte| *byte == b' ');
    end.unwrap_or_else(|| near.len() + memchr::memchr(b' ', far).unwrap_or(far.len()))
}

/// Parses a decimal number.
#[inline]
pub(crate) fn read_number<N: FromStr + TryFrom<u64>>(digits: &[u8]) -> Option<N> {
    // The numbers of events; `FromStr` decides about signs, other bytes, and overflow.
    const SAFE: usize = 19;
    if matches!(digits.len(), 1..=SAFE) {
        let number = digits.iter().try_fold(0, |number: u64, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| number.wrapping_mul(10).wrapping_add(digit.into()))
        });
        if let Some(number) = number {
            return N::try_from(number).ok();
        }
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{Fields, read_number, split_list};

    #[test]
    fn a_number_has_digits_alone() {
        for (text, number) in [("0", Some(0)), ("09", Some(9)), ("+1", Some(1)), ("300", None)] {
            assert_eq!(read_number::<u8>(text.as_bytes()), number, "{text}");
        }
        // The neighbors of the digits.
        for text in ["", "1:", "1/", ":", "-1", "1 "] {
            assert_eq!(read_number::<u64>(text.as_bytes()), None, "{text}");
        }
    }

    /// Returns the decoded fields as `key=value` or `=value`.
    fn fields(line: &str) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Fields::new(line.as_bytes())
            .map(|field| format!("{}={}", text(field.key), text(&field.value.bytes())))
            .collect()
    }

    #[test]
    fn positional_words_end_at_the_first_key() {
        let mut with_path = Fields::new(b"3 BUILT $AB=n,$CD~m BUILD_FLAGS=X PURPOSE=GENERAL");
        assert_eq!(with_path.word(), Some(&b"3"[..]));
        assert_eq!(with_path.word(), Some(&b"BUILT"[..]));
        assert_eq!(with_path.word_unless_keyword(), Some(&b"$AB=n,$CD~m"[..]));
        assert_eq!(with_path.word_unless_keyword(), None);
        assert_eq!(with_path.rest(), b"BUILD_FLAGS=X PURPOSE=GENERAL");

        let mut without = Fields::new(b"1 LAUNCHED BUILD_FLAGS=");
        without.word();
        without.word();
        assert_eq!(without.word_unless_keyword(), None);
        assert_eq!(without.word(), Some(&b"BUILD_FLAGS="[..]));
        assert_eq!(without.word(), None);
    }

    #[test]
    fn values_are_bare_or_quoted() {
        assert_eq!(
            fields(r#"A=1 B="x y" C="p\303\251\" w" D= E="" IPVersions=v4=16,v6=8"#),
            ["A=1", "B=x y", "C=p\u{e9}\" w", "D=", "E=", "IPVersions=v4=16,v6=8"]
        );
    }

    #[test]
    fn quoted_strings_need_no_key() {
        assert_eq!(
            fields(r#""127.0.0.1:42375" "unix:/tmp/a b/ctl.sock""#),
            ["=127.0.0.1:42375", "=unix:/tmp/a b/ctl.sock"]
        );
    }

    #[test]
    fn a_blank_behind_the_equals_sign_does_not_shift_the_fields() {
        assert_eq!(
            fields("REASON= UNKNOWN_264 CLIENT_PROTOCOL=SOCKS5 ISO_FIELDS= X=1 NYM_EPOCH="),
            ["REASON=UNKNOWN_264", "CLIENT_PROTOCOL=SOCKS5", "ISO_FIELDS=", "X=1", "NYM_EPOCH="]
        );
    }

    #[test]
    fn broken_quoting_loses_nothing() {
        assert_eq!(fields(r#"DATA=""GET / HT"""#), ["DATA=GET / HT"]);
        assert_eq!(fields(r#"DATA=""GET \"/\" HT"" MORE=1"#), [r#"DATA=GET "/" HT"#, "MORE=1"]);
        assert_eq!(fields(r#"A="x"y z" B=2"#), [r#"A=x"y z"#, "B=2"]);
        assert_eq!(fields(r#"A="open B=2"#), [r#"A="open"#, "B=2"]);
        assert_eq!(fields(r#"A="x"y B=2"#), [r#"A="x"y"#, "B=2"]);
    }

    #[test]
    fn several_blanks_count_as_one() {
        assert_eq!(fields("  A=1   B=2  "), ["A=1", "B=2"]);
        assert_eq!(fields(""), Vec::<String>::new());
        assert_eq!(fields("   "), Vec::<String>::new());
    }

    #[test]
    fn a_word_that_is_not_a_key_is_a_field_without_key() {
        assert_eq!(fields("=x $AB=n a.b=c ="), ["==x", "=$AB=n", "=a.b=c", "=="]);
    }

    #[test]
    fn lists_and_numbers_are_parsed() {
        let mut found = Fields::new(b"F=A,B,,C G= N=-4 M=x");
        let list: Vec<_> = found.next().unwrap().value.list().collect();
        assert_eq!(list, [b"A", b"B", b"C"]);
        assert_eq!(found.next().unwrap().value.list().count(), 0);
        assert_eq!(found.next().unwrap().value.number(), Some(-4));
        assert_eq!(found.next().unwrap().value.number::<u32>(), None);
        assert_eq!(split_list(b"").count(), 0);
    }

    #[test]
    fn numbers_are_those_of_their_type() {
        for text in [
            "0",
            "007",
            "+5",
            "-4",
            "",
            "+",
            "12a",
            "255",
            "256",
            "9999999999999999999",
            "18446744073709551615",
            "18446744073709551616",
            "000000000000000000000000001",
        ] {
            assert_eq!(read_number::<u64>(text.as_bytes()), text.parse().ok(), "{text}");
            assert_eq!(read_number::<u8>(text.as_bytes()), text.parse().ok(), "{text}");
            assert_eq!(read_number::<i64>(text.as_bytes()), text.parse().ok(), "{text}");
        }
        assert_eq!(read_number::<u64>(b"\xe9"), None);
    }

    proptest! {
        #[test]
        fn every_byte_except_blanks_belongs_to_a_field(line in "[A-Z=\" \\\\n$,\u{e9}]{0,60}") {
            let line = line.as_bytes();
            let kept: usize = Fields::new(line)
                .map(|field| {
                    let equals = usize::from(!field.key.is_empty());
                    let blanks = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b' ').count();
                    field.key.len() + equals + field.value.raw().len() - blanks(field.value.raw())
                })
                .sum();
            assert_eq!(kept, line.iter().filter(|byte| **byte != b' ').count());
        }
    }
}
