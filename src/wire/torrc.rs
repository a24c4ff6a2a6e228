//! The syntax of torrc, for a file and for `LOADCONF`.

mod read;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use self::read::read_options;
use crate::error::InvalidInput;
use crate::wire::quoted::{cstring_limit, write_cstring};
use crate::wire::wiped::Wiped;

/// Configuration lines, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Torrc {
    text: Wiped,
}

impl Torrc {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the line `name value`, quoted where tor would read another value.
    ///
    /// # Errors
    ///
    /// If the name is not valid, or the value contains NUL. The error contains the name, not the value.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) -> Result<(), InvalidInput> {
        check_name(name)?;
        if value.contains(&0) {
            return Err(InvalidInput::new(name.to_owned(), "must not contain NUL"));
        }
        self.text.extend_from_slice(name.as_bytes());
        self.text.push(b' ');
        if is_plain(value) {
            self.text.extend_from_slice(value);
        } else {
            self.text.extend_with(cstring_limit(value), |text| write_cstring(text, value));
        }
        self.text.push(b'\n');
        Ok(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

/// Returns `unix:"/path"`, the form in which a path can contain blanks.
pub(crate) fn quoted_unix_path(path: &Path) -> Vec<u8> {
    let mut text = b"unix:\"".to_vec();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
    text
}

/// Refuses an invalid option name. Other words would be directives (`%include`) or change the meaning
/// of the line (`+Name`, `/Name`).
fn check_name(name: &str) -> Result<(), InvalidInput> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_valid) {
        return Err(InvalidInput::new(
            "option name",
            "must be made of letters, digits and underscores",
        ));
    }
    Ok(())
}

/// Returns whether tor reads this value unchanged without quotes.
///
/// tor trims blanks, removes comments, continues a line that ends in a backslash, and parses a value
/// that begins with a quote as a CString.
fn is_plain(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'#';
    let first_is_plain = value.first().is_some_and(|byte| !matches!(byte, b' ' | b'"'));
    let last_is_plain = value.last().is_some_and(|byte| !matches!(byte, b' ' | b'\\'));
    first_is_plain && last_is_plain && value.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::Torrc;
    use crate::wire::quoted::decode_value;

    fn line(value: &[u8]) -> String {
        let mut torrc = Torrc::new();
        torrc.push("ContactInfo", value).unwrap();
        String::from_utf8(torrc.as_bytes().to_owned()).unwrap()
    }

    #[test]
    fn plain_values_are_not_quoted() {
        for value in ["a b", r"back\slash", r#"say "hi""#, "it's", "a=b", "80 unix:/s", "~"] {
            assert_eq!(line(value.as_bytes()), format!("ContactInfo {value}\n"));
        }
    }

    #[test]
    fn values_that_tor_would_change_are_quoted() {
        for (value, quoted) in [
            (&b""[..], r#""""#),
            (b" a ", r#"" a ""#),
            (b"a ", r#""a ""#),
            (b"hash # sign", r#""hash # sign""#),
            (b"\"q\"", r#""\"q\"""#),
            (b"ends\\", r#""ends\\""#),
            (b"x\ny\r\tz", r#""x\ny\r\tz""#),
            (b"\x01\x31", r#""\0011""#),
            ("caf\u{e9}".as_bytes(), r#""caf\303\251""#),
        ] {
            assert_eq!(line(value), format!("ContactInfo {quoted}\n"));
        }
    }

    #[test]
    fn lines_keep_their_order_and_may_repeat() {
        let mut torrc = Torrc::new();
        for (name, value) in
            [("HiddenServiceDir", "/b"), ("HiddenServicePort", "80"), ("HiddenServiceDir", "/a")]
        {
            torrc.push(name, value.as_bytes()).unwrap();
        }
        let lines: &[u8] = b"HiddenServiceDir /b\nHiddenServicePort 80\nHiddenServiceDir /a\n";
        assert_eq!(torrc.as_bytes(), lines);
    }

    #[test]
    fn an_invalid_line_is_refused_and_not_written() {
        let mut torrc = Torrc::new();
        for name in
            ["", "%include", "+Log", "/Log", "Log notice", "Log\nNickname", "#", "caf\u{e9}"]
        {
            assert_eq!(
                torrc.push(name, b"x").unwrap_err().to_string(),
                "invalid argument \"option name\": must be made of letters, digits and underscores"
            );
        }
        assert_eq!(
            torrc.push("Nickname", b"a\0b").unwrap_err().to_string(),
            "invalid argument \"Nickname\": must not contain NUL"
        );
        assert_eq!(torrc.as_bytes(), b"");
    }

    proptest! {
        #[test]
        fn a_value_is_on_one_line_and_round_trips(value: Vec<u8>) {
            let mut torrc = Torrc::new();
            if torrc.push("Name", &value).is_err() {
                assert!(value.contains(&0));
                return Ok(());
            }
            let written = torrc.as_bytes().strip_prefix(b"Name ").unwrap();
            let written = written.strip_suffix(b"\n").unwrap();
            assert!(written.iter().all(|byte| matches!(byte, b' '..=b'~')));
            assert_eq!(decode_value(written), value);
        }
    }
}
