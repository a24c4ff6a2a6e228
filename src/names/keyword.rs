//! The macro behind every open set of words.

/// Defines an open enumeration of words: known variants and `Unrecognized`.
///
/// Two values are equal if their words are: `Unrecognized("CIRC")` equals the variant of that
/// word, so nothing changes for a program when a later version learns a word.
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
            /// A word that this version of torcon does not know.
            Unrecognized(Box<str>),
        }

        impl $name {
            /// Every word that this version knows, in the order of the variants.
            pub const KNOWN: &'static [Self] = &[$( Self::$variant, )*];

            /// Returns the word as tor writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )*
                    Self::Unrecognized(word) => word,
                }
            }

            /// Returns whether this version of torcon knows the word.
            #[must_use]
            pub fn is_recognized(&self) -> bool {
                !matches!(self, Self::Unrecognized(_))
            }

            /// Reads a word of the wire; bytes that are not UTF-8 are replaced.
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
            fn from(word: &str) -> Self {
                Self::from_bytes(word.as_bytes())
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(word: &str) -> Result<Self, std::convert::Infallible> {
                Ok(Self::from(word))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                match (self, other) {
                    (Self::Unrecognized(_), _) | (_, Self::Unrecognized(_)) => {
                        self.as_str() == other.as_str()
                    }
                    _ => std::mem::discriminant(self) == std::mem::discriminant(other),
                }
            }
        }

        impl Eq for $name {}

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_str().cmp(other.as_str())
            }
        }
    };
}

pub(crate) use keywords;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public types")]
mod tests {
    keywords! {
        /// A set for the tests.
        pub enum Colour {
            /// Red.
            Red = "RED",
            /// Green.
            Green = "GREEN",
        }
    }

    #[test]
    fn known_and_unknown_words_round_trip() {
        for word in ["RED", "GREEN", "ULTRAVIOLET", ""] {
            assert_eq!(Colour::from(word).to_string(), word);
        }
        assert_eq!(Colour::KNOWN, [Colour::Red, Colour::Green]);
        assert!(Colour::from("RED").is_recognized());
        assert!(!Colour::from("red").is_recognized());
    }

    #[test]
    fn an_unrecognized_value_of_a_known_word_equals_its_variant() {
        let spelled = Colour::Unrecognized("RED".into());
        assert_eq!(spelled, Colour::Red);
        assert_ne!(spelled, Colour::Green);
        assert!(Colour::Green < Colour::Red, "words are ordered as text");
    }
}
