//! Foreign text in error texts, log lines and names: one line, without control characters.
//!
//! A peer, a program or a file may send anything. Printed unchanged, a carriage return or an escape
//! sequence forges a line of the log or controls the terminal, and a bidirectional control character
//! reorders the line. All code that prints text from outside uses this module.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// The longest foreign text that is shown, in characters before escaping.
const LIMIT: usize = 400;

/// Returns the text for use within a line: characters that do not print are escaped, and a text that
/// is too long ends in `..`.
pub(crate) fn printable<T: AsRef<[u8]> + ?Sized>(text: &T) -> Cow<'_, str> {
    let bytes = text.as_ref();
    let is_plain = bytes.len() <= LIMIT && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes, |letter| matches!(letter, '"' | '\'' | '\\'))),
    }
}

/// The same in double quotes; quotes and backslashes in the text are escaped too.
pub(crate) fn quoted<T: AsRef<[u8]> + ?Sized>(text: &T) -> String {
    format!("\"{}\"", escaped(text.as_ref(), |letter| letter == '\''))
}

/// Returns a path in double quotes, cut and escaped like any other text.
pub(crate) fn quoted_path(path: &Path) -> String {
    quoted(path.as_os_str().as_encoded_bytes())
}

/// Escapes characters that do not print, except those for which `keeps` returns `true`.
fn escaped(bytes: &[u8], keeps: fn(char) -> bool) -> String {
    // No more is decoded than can be shown: a character has at most four bytes.
    let beginning = bytes.get(..4 * LIMIT).unwrap_or(bytes);
    let mut shown = String::new();
    let mut count = 0;
    for chunk in beginning.utf8_chunks() {
        for letter in chunk.valid().chars() {
            count += 1;
            if count > LIMIT {
                return shown + "..";
            }
            match keeps(letter) {
                true => shown.push(letter),
                false => shown.extend(letter.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            count += 1;
            if count > LIMIT {
                return shown + "..";
            }
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    if beginning.len() < bytes.len() {
        shown.push_str("..");
    }
    shown
}

/// Characters that a terminal obeys, and two that reorder the text behind them. None ends a line.
#[cfg(test)]
pub(crate) const CONTROLS: &str = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}";

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{LIMIT, printable, quoted};

    #[test]
    fn printable_text_is_unchanged() {
        for text in ["", "0.4.9.11 (git-f1d4ba3)", "it's \"quoted\" \\ x", "caf\u{e9} \u{2713}"] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(quoted("say \"hi\" it's"), r#""say \"hi\" it's""#);
    }

    #[test]
    fn unprintable_characters_are_escaped() {
        assert_eq!(printable("a\r\nb\0\x1b[2J\x7f"), r"a\r\nb\0\u{1b}[2J\u{7f}");
        assert_eq!(printable("\u{85}\u{9b}31m"), r"\u{85}\u{9b}31m");
        assert_eq!(printable("\u{202e}\u{2066}\u{200f}\u{2028}"), {
            r"\u{202e}\u{2066}\u{200f}\u{2028}"
        });
        assert_eq!(printable(b"caf\xe9\xff"), r"caf\xe9\xff");
    }

    #[test]
    fn a_long_text_is_cut() {
        for unit in ["a", "\u{e9}", "\u{1b}", "\u{10ffff}"] {
            let shown = printable(&unit.repeat(100_000)).into_owned();
            assert!(shown.ends_with(".."), "{shown}");
            assert!(shown.chars().count() <= 10 * LIMIT + 2, "{}", shown.len());
        }
        assert_eq!(printable(&"a".repeat(LIMIT)).len(), LIMIT);
        assert!(printable(&[0xff; 5000]).len() <= 4 * LIMIT + 2);
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_line(bytes: Vec<u8>, text: String) {
            for shown in [printable(&bytes), printable(&text)] {
                assert!(!shown.chars().any(char::is_control), "{shown:?}");
            }
            assert!(!quoted(&bytes).chars().any(char::is_control));
        }
    }
}
