//! The macro behind the identifiers that tor gives to circuits, streams and connections.

/// Defines an identifier: 1 to 16 ASCII letters or digits, which have no meaning.
///
/// tor sends decimal numbers; the specification promises no more than letters and digits.
macro_rules! identifiers {
    ( $( $(#[$attribute:meta])* pub struct $name:ident = $what:literal; )* ) => { $(
        $(#[$attribute])*
        ///
        /// Numbers are ordered as numbers: a shorter identifier is less.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// The text, read as a big-endian number. Invariant: zeros, then 1 to 16 ASCII letters or
            /// digits, so that the order of the numbers is that of the lengths and then of the texts.
            text: [u8; 16],
        }

        impl $name {
            /// `None` if these bytes are not an identifier.
            pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
                if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_alphanumeric) {
                    return None;
                }
                let mut text = [0; 16];
                text.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
                Some(Self { text })
            }

            /// Returns the identifier as tor writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                let start = self.text.iter().position(|byte| *byte != 0).unwrap_or_default();
                let text = self.text.get(start..).unwrap_or_default();
                std::str::from_utf8(text).unwrap_or_default()
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                u128::from_be_bytes(self.text).cmp(&u128::from_be_bytes(other.text))
            }
        }

        /// Hashes one number of a fixed size.
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                state.write_u128(u128::from_ne_bytes(self.text));
            }
        }

        impl From<u32> for $name {
            fn from(number: u32) -> Self {
                let mut text = [0; 16];
                let mut left = number;
                for place in text.iter_mut().rev() {
                    *place = b'0' + u8::try_from(left % 10).unwrap_or_default();
                    left /= 10;
                    if left == 0 {
                        break;
                    }
                }
                Self { text }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::names::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_bytes(text.as_bytes()).ok_or(
                    $crate::names::InvalidName::new($what, "must be 1 to 16 letters or digits")
                )
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::names::serialize::deserialize_text(deserializer)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    )* };
}

pub(crate) use identifiers;

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use crate::names::CircuitId;

    #[test]
    fn a_text_that_is_no_identifier_is_refused() {
        for text in ["", "1 2", "-1", "12345678901234567", "\u{e9}", "1\r", "1\0"] {
            assert_eq!(
                text.parse::<CircuitId>().unwrap_err().to_string(),
                "invalid circuit id: must be 1 to 16 letters or digits"
            );
        }
    }

    proptest! {
        #[test]
        fn identifiers_round_trip(text in "[0-9A-Za-z]{1,16}") {
            assert_eq!(text.parse::<CircuitId>().unwrap().to_string(), text);
        }

        #[test]
        fn numbers_are_written_and_ordered_as_numbers(one: u32, other: u32) {
            assert_eq!(CircuitId::from(one).as_str(), one.to_string());
            assert_eq!(CircuitId::from(one), one.to_string().parse().unwrap());
            assert_eq!(CircuitId::from(one).cmp(&CircuitId::from(other)), one.cmp(&other));
        }
    }
}
