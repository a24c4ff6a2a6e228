//! The macro behind every open enumeration of keywords.

use std::cmp::Ordering;
use std::hash::Hasher;

/// Defines an open enumeration of keywords: known variants and `Unrecognized`.
///
/// Two values are equal if their keywords are, without regard to case: `Unrecognized("CIRC")`
/// equals the variant of that keyword, so a program is not affected when a later version knows the
/// keyword.
macro_rules! keywords {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $( $(#[$variant_attribute:meta])* $variant:ident = $word:literal, )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$variant_attribute])* $variant, )*
            /// A keyword that this version of torcon does not know.
            Unrecognized(Box<str>),
        }

        impl $name {
            /// Every keyword that this version knows, in the order of the variants.
            pub const KNOWN: &'static [Self] = &[$( Self::$variant, )*];

            /// Returns the keyword as tor writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )*
                    Self::Unrecognized(word) => word,
                }
            }

            /// Returns whether this version of torcon knows the keyword.
            #[must_use]
            pub fn is_recognized(&self) -> bool {
                !matches!(self, Self::Unrecognized(_))
            }

            /// Reads a word of the wire, as tor writes it; bytes that are not UTF-8 are replaced.
            #[allow(dead_code, reason = "not every set is read from bytes")]
            pub(crate) fn from_bytes(word: &[u8]) -> Self {
                $( const { assert!($word.is_ascii()) }; )*
                match word {
                    $( word if word == $word.as_bytes() => Self::$variant, )*
                    _ => Self::Unrecognized(String::from_utf8_lossy(word).into()),
                }
            }
        }

        impl From<&str> for $name {
            /// Recognizes a word in upper and lower case, as tor does; an unknown word keeps its
            /// text.
            fn from(word: &str) -> Self {
                let position = $crate::names::position_without_case(&[$( $word, )*], word);
                let known = position.and_then(|position| Self::KNOWN.get(position));
                known.cloned().unwrap_or_else(|| Self::Unrecognized(word.into()))
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(word: &str) -> Result<Self, std::convert::Infallible> {
                Ok(Self::from(word))
            }
        }

        /// Prints the keyword; characters that do not print are escaped.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&$crate::names::printable(self.as_str()))
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

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                match (self, other) {
                    (Self::Unrecognized(_), _) | (_, Self::Unrecognized(_)) => {
                        self.as_str().eq_ignore_ascii_case(other.as_str())
                    }
                    _ => std::mem::discriminant(self) == std::mem::discriminant(other),
                }
            }
        }

        impl Eq for $name {}

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                $crate::names::hash_without_case(self.as_str(), state);
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                $crate::names::compare_without_case(self.as_str(), other.as_str())
            }
        }
    };
}

pub(crate) use keywords;

/// Returns the position of a word in a list, without regard to the case of its letters.
pub(crate) fn position_without_case(words: &[&str], word: &str) -> Option<usize> {
    words.iter().position(|known| known.eq_ignore_ascii_case(word))
}

/// Compares two words without regard to the case of their letters.
pub(crate) fn compare_without_case(one: &str, other: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    one.bytes().map(lower).cmp(other.bytes().map(lower))
}

/// Hashes a word without regard to the case of its letters.
pub(crate) fn hash_without_case<H: Hasher>(word: &str, state: &mut H) {
    for part in word.as_bytes().chunks(32) {
        let mut lower = [0; 32];
        for (lower, byte) in lower.iter_mut().zip(part) {
            *lower = byte.to_ascii_lowercase();
        }
        state.write(lower.get(..part.len()).unwrap_or_default());
    }
    state.write_u8(0xff);
}

/// Returns whether a text has this beginning, without regard to the case of its letters.
pub(crate) fn starts_without_case(text: impl AsRef<[u8]>, start: impl AsRef<[u8]>) -> bool {
    let (text, start) = (text.as_ref(), start.as_ref());
    text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public types")]
mod tests {
    use std::collections::HashSet;

    keywords! {
        /// A set for the tests.
        pub enum Color {
            /// Red.
            Red = "RED",
            /// Green.
            Green = "GREEN",
        }
    }

    #[test]
    fn known_and_unknown_words_round_trip() {
        for word in ["RED", "GREEN", "ULTRAVIOLET", ""] {
            assert_eq!(Color::from(word).to_string(), word);
        }
        assert_eq!(Color::KNOWN, [Color::Red, Color::Green]);
        assert!(Color::from("RED").is_recognized());
        assert!(Color::from("red").is_recognized());
        assert!(!Color::from_bytes(b"red").is_recognized(), "tor writes it otherwise");
    }

    #[test]
    fn a_word_that_does_not_print_is_kept_and_shown_escaped() {
        let word = Color::from("a\u{1b}[2J\r\nb\u{202e}");
        assert_eq!(word.as_str(), "a\u{1b}[2J\r\nb\u{202e}");
        assert_eq!(word.to_string(), r"a\u{1b}[2J\r\nb\u{202e}");
    }

    #[test]
    fn an_unrecognized_value_of_a_known_word_equals_its_variant() {
        let spelled = Color::Unrecognized("RED".into());
        assert_eq!(spelled, Color::Red);
        assert_ne!(spelled, Color::Green);
        assert_eq!(Color::Unrecognized("red".into()), Color::Red);
        assert_eq!(Color::from("violet"), Color::from("Violet"));
        let set = HashSet::from([Color::from("violet"), Color::Unrecognized("green".into())]);
        assert!(set.contains(&Color::from("VIOLET")) && set.contains(&Color::Green));
        assert!(Color::Green < Color::Red, "words are ordered as text");
    }
}
