//! Bytes as text, and values from text.

use std::borrow::Cow;

/// Returns the bytes as text; bytes that are not UTF-8 are replaced.
///
/// The same as [`String::from_utf8_lossy`], which decodes valid text byte by byte too.
pub(crate) fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Returns the bytes as text, without a copy if they are UTF-8.
pub(crate) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Makes `TryFrom` read text as `FromStr` does, and take a reference too.
macro_rules! read_from_text {
    ($name:ty, $error:ty) => {
        impl From<&Self> for $name {
            fn from(value: &Self) -> Self {
                Self::clone(value)
            }
        }

        $crate::names::read_from_text!($name, $error, &str, String, &String);
    };
    ($name:ty, $error:ty, $($text:ty),+) => { $(
        impl TryFrom<$text> for $name {
            type Error = $error;

            fn try_from(text: $text) -> Result<Self, $error> {
                text.parse()
            }
        }
    )+ };
}
pub(crate) use read_from_text;

#[cfg(test)]
mod tests {
    use super::{into_text, to_text};

    #[test]
    fn valid_text_is_not_copied_and_other_bytes_are_replaced() {
        let bytes = "caf\u{e9}".as_bytes().to_vec();
        let at = bytes.as_ptr();
        assert_eq!(to_text(&bytes).as_ptr(), at);
        let text = into_text(bytes);
        assert_eq!((text.as_ptr(), text.as_str()), (at, "caf\u{e9}"));
        for bytes in [&b"caf\xe9"[..], b"\xff\xfe", b"a\xc3", b""] {
            assert_eq!(to_text(bytes), String::from_utf8_lossy(bytes));
            assert_eq!(into_text(bytes.to_vec()), String::from_utf8_lossy(bytes));
        }
    }
}
