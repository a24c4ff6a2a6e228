//! Quoted strings.
//!
//! A **CString** has the escapes of C, including octal ones. tor writes it everywhere, and reads it in
//! `SETCONF`, `RESETCONF` and torrc. The **QuotedString** of `AUTHENTICATE` and `AUTHCHALLENGE` is not
//! needed here, since torcon sends hexadecimal digits.
//!
//! Writing is strict. Reading accepts any string with a closing quote.

use std::borrow::Cow;

/// Returns the maximum length of the CString of `value`.
pub(crate) fn cstring_limit(value: &[u8]) -> usize {
    4 * value.len() + 2
}

/// Writes `value` as a CString.
///
/// Bytes that are not printable ASCII are escaped: by a letter if C has one, otherwise by three octal
/// digits, since a following digit would extend a shorter escape.
pub(crate) fn write_cstring(out: &mut Vec<u8>, value: &[u8]) {
    out.reserve(value.len() + 2);
    out.push(b'"');
    for &byte in value {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x20..=0x7e => out.push(byte),
            _ => {
                let octal = |shift: u32| b'0' + ((byte >> shift) & 7);
                out.extend([b'\\', octal(6), octal(3), octal(0)]);
            }
        }
    }
    out.push(b'"');
}

/// Returns whether `SETCONF` and `RESETCONF` read a value unchanged only in quotes.
///
/// tor (`kvline_parse`) ends an unquoted value at the next blank or line end, and parses a value
/// that begins with a quote as a CString. All other printable characters are literal, also the
/// backslash and the number sign. An empty value is quoted so that a reader sees it.
pub(crate) fn needs_quotes(value: &[u8]) -> bool {
    let is_plain = value.iter().all(u8::is_ascii_graphic) && !value.starts_with(b"\"");
    value.is_empty() || !is_plain
}

/// Splits a quoted string off the beginning of `text`. Returns the text between the quotes, with its
/// escapes, and the text behind them. `None` if `text` does not begin with a closed string.
pub(crate) fn split_quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        let unread = body.get(at..)?;
        let found = at + memchr::memchr2(b'"', b'\\', unread)?;
        if body.get(found) == Some(&b'"') {
            let (inside, after) = body.split_at_checked(found)?;
            return Some((inside, after.get(1..)?));
        }
        at = found + 2;
    }
}

/// Parses a CString at the beginning of `text`. Returns its value and the text behind it.
pub(crate) fn read_cstring(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (inside, rest) = split_quoted(text)?;
    Some((unescape_cstring(inside), rest))
}

/// Decodes a configuration value of `GETCONF` or `CONF_CHANGED`: tor writes it as a CString if its plain
/// form would be ambiguous.
pub(crate) fn decode_value(value: &[u8]) -> Cow<'_, [u8]> {
    match read_cstring(value) {
        Some((decoded, [])) => decoded,
        _ => Cow::Borrowed(value),
    }
}

/// Decodes the escapes of a CString. An unknown escape means its character.
pub(crate) fn unescape_cstring(inside: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut value = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, b""));
        value.extend_from_slice(plain);
        let (byte, after) = unescape_byte(escape.get(1..).unwrap_or_default());
        value.push(byte);
        rest = after;
    }
    value.extend_from_slice(rest);
    Cow::Owned(value)
}

/// Decodes the escape behind a backslash. Returns its byte and the text behind it.
fn unescape_byte(escape: &[u8]) -> (u8, &[u8]) {
    let Some((&byte, after)) = escape.split_first() else { return (b'\\', escape) };
    match byte {
        b'n' => (b'\n', after),
        b'r' => (b'\r', after),
        b't' => (b'\t', after),
        b'0'..=b'7' => read_digits(escape, 8, 3).unwrap_or((byte, after)),
        b'x' => read_digits(after, 16, 2).unwrap_or((byte, after)),
        _ => (byte, after),
    }
}

/// Parses at most `limit` digits, and no more than fit into a byte. `None` if there are none.
fn read_digits(text: &[u8], radix: u32, limit: usize) -> Option<(u8, &[u8])> {
    let mut value = 0;
    let mut count = 0;
    for &byte in text.iter().take(limit) {
        let Some(digit) = char::from(byte).to_digit(radix) else { break };
        let Ok(longer) = u8::try_from(u32::from(value) * radix + digit) else { break };
        value = longer;
        count += 1;
    }
    if count == 0 {
        return None;
    }
    Some((value, text.get(count..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{decode_value, read_cstring, write_cstring};

    fn cstring(value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_cstring(&mut out, value);
        out
    }

    fn value_of(text: &[u8]) -> Vec<u8> {
        let (value, rest) = read_cstring(text).unwrap();
        assert_eq!(rest, b"");
        value.into_owned()
    }

    #[test]
    fn octal_escapes_have_three_digits() {
        assert_eq!(cstring(b"a\x011"), br#""a\0011""#);
        assert_eq!(cstring("caf\u{e9}".as_bytes()), br#""caf\303\251""#);
        assert_eq!(cstring(b"\x7f\r\n\t\"\\'"), br#""\177\r\n\t\"\\'""#);
    }

    #[test]
    fn the_escapes_of_tor_are_decoded() {
        let (value, rest) = read_cstring(br#""p\303\251\001 w" X=1"#).unwrap();
        assert_eq!((&*value, rest), (&b"p\xc3\xa9\x01 w"[..], &b" X=1"[..]));
        assert_eq!(value_of(br#""/ck dir \"q\" \\x \303\251/c""#), b"/ck dir \"q\" \\x \xc3\xa9/c");
        assert_eq!(value_of(br#""\n\t\r\'\x41\x4z\101\7""#), b"\n\t\r'A\x04zA\x07");
        assert_eq!(value_of(b"\"\""), b"");
    }

    #[test]
    fn unknown_escapes_mean_their_character() {
        assert_eq!(value_of(br#""\q\xzz""#), b"qxzz");
        assert_eq!(value_of(br#""\777""#), b"\x3f7");
    }

    #[test]
    fn a_string_without_closing_quote_is_refused() {
        for text in [&b"\"abc"[..], b"abc", b"", b"\"", b"\"a\\\"", b"\"a\\"] {
            assert_eq!(read_cstring(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_configuration_value_is_decoded_only_if_it_is_a_single_string() {
        for raw in [&br#"say "hi""#[..], br"back\slash", br#""open"#, br#""a" "b""#, b""] {
            assert_eq!(decode_value(raw), raw);
        }
        assert_eq!(decode_value(br#""hash # sign""#).as_ref(), b"hash # sign");
        assert_eq!(decode_value(br#""x\ny""#).as_ref(), b"x\ny");
    }

    proptest! {
        #[test]
        fn a_cstring_round_trips(value: Vec<u8>, after: Vec<u8>) {
            let mut text = cstring(&value);
            assert!(text.iter().all(|byte| (0x20..0x7f).contains(byte)));
            assert_eq!(decode_value(&text), value);
            text.extend_from_slice(&after);
            assert_eq!(read_cstring(&text), Some((value.as_slice().into(), &after[..])));
        }

        #[test]
        fn no_text_panics(text in any::<Vec<u8>>()) {
            let mut quoted = b"\"".to_vec();
            quoted.extend(&text);
            let rest = read_cstring(&quoted).map(|(_, rest)| rest.len());
            assert!(rest.is_none_or(|rest| rest < quoted.len()));
        }
    }
}
