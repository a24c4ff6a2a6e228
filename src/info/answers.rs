//! The values of one `GETINFO` reply, and parsers of single words.

use std::time::SystemTime;

use crate::error::ProtocolError;
use crate::wire::fields::read_number;
use crate::wire::timestamp::read_time;

/// The values of one `GETINFO` reply, by key.
#[derive(Clone, Copy)]
pub(crate) struct Answers<'a> {
    find: &'a dyn Fn(&str) -> &'a [u8],
}

impl<'a> Answers<'a> {
    pub(crate) fn new(find: &'a dyn Fn(&str) -> &'a [u8]) -> Self {
        Self { find }
    }

    /// Returns the value of a key; empty if the key was not queried.
    pub(crate) fn bytes(self, key: &str) -> &'a [u8] {
        (self.find)(key)
    }

    pub(crate) fn number(self, key: &str) -> Result<u64, ProtocolError> {
        let number = self.bytes(key);
        read_number(number).ok_or_else(|| ProtocolError::new(key, "a number", number))
    }

    /// Reads a number that is -1 if tor does not know it.
    pub(crate) fn number_if_known(self, key: &str) -> Result<Option<u64>, ProtocolError> {
        if self.bytes(key) == b"-1" { Ok(None) } else { self.number(key).map(Some) }
    }

    pub(crate) fn flag(self, key: &str) -> Result<bool, ProtocolError> {
        read_flag(key, self.bytes(key))
    }

    pub(crate) fn time(self, key: &str) -> Result<SystemTime, ProtocolError> {
        let time = self.bytes(key);
        read_time(time).ok_or_else(|| ProtocolError::new(key, "a time", time))
    }

    /// Reads two numbers separated by a space.
    pub(crate) fn two_numbers(self, key: &str) -> Result<(u64, u64), ProtocolError> {
        let numbers = self.bytes(key);
        let read = || {
            let blank = memchr::memchr(b' ', numbers)?;
            let (first, second) = numbers.split_at_checked(blank)?;
            Some((read_number(first)?, read_number(second.strip_prefix(b" ")?)?))
        };
        read().ok_or_else(|| ProtocolError::new(key, "two numbers", numbers))
    }
}

/// Reads 0 as `false`, and any other number as `true`.
pub(crate) fn read_flag(key: &str, answer: &[u8]) -> Result<bool, ProtocolError> {
    let number: Option<u64> = read_number(answer);
    number.map(|number| number != 0).ok_or_else(|| ProtocolError::new(key, "0 or 1", answer))
}

/// Returns the lines of a value; an empty value has none.
pub(crate) fn lines(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Answers, lines, read_flag};
    use crate::error::ProtocolError;

    /// Calls `read` with values written as `key=value`, one to a line.
    pub(in crate::info) fn read<'t, T>(
        text: &'t str,
        read: impl FnOnce(Answers<'_>) -> Result<T, ProtocolError>,
    ) -> Result<T, String> {
        let find = |key: &str| {
            let value = |line: &'t str| line.strip_prefix(key)?.strip_prefix('=');
            text.lines().find_map(value).unwrap_or_default().as_bytes()
        };
        read(Answers::new(&find)).map_err(|error| error.to_string())
    }

    #[test]
    fn each_kind_of_answer_is_read() {
        let text = "n=18446744073709551615\nu=-1\nf=1\nd=0\nt=2026-11-23 09:26:00\np=5 7";
        assert_eq!(read(text, |answers| answers.number("n")), Ok(u64::MAX));
        assert_eq!(read(text, |answers| answers.number_if_known("u")), Ok(None));
        assert_eq!(read(text, |answers| answers.number_if_known("n")), Ok(Some(u64::MAX)));
        assert_eq!(read(text, |answers| answers.flag("f")), Ok(true));
        assert_eq!(read(text, |answers| answers.flag("d")), Ok(false));
        assert_eq!(read(text, |answers| answers.two_numbers("p")), Ok((5, 7)));
        let time = read(text, |answers| answers.time("t")).unwrap();
        let since_1970 = time.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since_1970.as_secs(), 1_795_425_960);
        assert_eq!(read_flag("dormant", b"7"), Ok(true));
        assert_eq!(lines(b"a\n\nb").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn an_unreadable_value_is_an_error_with_its_key() {
        const TEXT: &str = "n=x\nf=yes\nt=NEVER\np=5\nq=5 x";
        #[track_caller]
        fn is_error<T: std::fmt::Debug>(outcome: Result<T, String>, problem: &str) {
            assert_eq!(outcome.unwrap_err(), format!("cannot read {problem}"));
        }
        let number = |key: &str| read(TEXT, |answers| answers.number(key));
        is_error(number("n"), "n: expected a number, got \"x\"");
        is_error(number("z"), "z: expected a number, got \"\"");
        let number = read(TEXT, |answers| answers.number_if_known("f"));
        is_error(number, "f: expected a number, got \"yes\"");
        is_error(read(TEXT, |answers| answers.flag("f")), "f: expected 0 or 1, got \"yes\"");
        is_error(read(TEXT, |answers| answers.time("t")), "t: expected a time, got \"NEVER\"");
        let numbers = |key: &str| read(TEXT, |answers| answers.two_numbers(key));
        is_error(numbers("p"), "p: expected two numbers, got \"5\"");
        is_error(numbers("q"), "q: expected two numbers, got \"5 x\"");
    }
}
