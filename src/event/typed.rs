//! What the types of events have in common.

use std::borrow::Cow;
use std::fmt;

use crate::event::{Event, EventKind, EventText};
use crate::names::quoted;
use crate::names::secret::{REDACTED, is_secret, redact};
use crate::wire::fields::Fields;

/// An event with a type of its own.
///
/// A closure that takes one, such as `|circ: &CircEvent| ..`, says by that which events it is to
/// be called with. This trait is sealed: the types of this module are all there are.
pub trait TypedEvent: sealed::Sealed + Sized + 'static {
    /// The kinds to which one subscribes for this type.
    const KINDS: &'static [EventKind];

    /// Returns the event as this type, if it is of it.
    fn from_event(event: &Event) -> Option<&Self>;
}

pub(crate) mod sealed {
    /// Keeps the trait to this crate.
    #[expect(unnameable_types, reason = "nobody outside is to name it")]
    pub trait Sealed {}
}

/// A field of an event that has no place of its own in the event's type.
///
/// tor may add fields in any version. Those that this version of torcon does not know are given
/// by the functions `extra` of the types.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtraField<'a> {
    /// The key before the `=`; empty for a word that stands alone.
    pub key: &'a str,
    /// The value without quotes and escapes.
    pub value: Cow<'a, [u8]>,
}

impl fmt::Debug for ExtraField<'_> {
    /// Shows the value without what is known to be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match is_secret(self.key) {
            true => write!(f, "{}={REDACTED}", self.key),
            false => write!(f, "{}={}", self.key, quoted(&redact(&self.value))),
        }
    }
}

impl ExtraField<'_> {
    /// Returns the value as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn value_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }
}

/// Returns the fields whose keys are not known.
pub(crate) fn extra_of<'a>(
    fields: Fields<'a>,
    known: &'static [&'static str],
) -> impl Iterator<Item = ExtraField<'a>> {
    fields.filter(|field| !known.iter().any(|key| key.as_bytes() == field.key)).map(|field| {
        ExtraField {
            // Only ASCII is taken for a key.
            key: std::str::from_utf8(field.key).unwrap_or_default(),
            value: field.value.bytes(),
        }
    })
}

/// What the parser of an event returns: the event, or its text and what was expected of it.
pub(crate) type Parsed<E> = Result<E, (EventText, &'static str)>;

/// Gives a type of event what all have: its text, how it is printed, and its trait.
macro_rules! typed_event {
    ($name:ident, $variant:ident: $($kind:ident),+) => {
        impl $name {
            /// Returns the text of the event.
            #[must_use]
            pub fn text(&self) -> &$crate::event::EventText {
                &self.text
            }
        }

        /// Prints the text of the event.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.text, f)
            }
        }

        /// Shows the text of the event without what is known to be secret.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.text).finish()
            }
        }

        impl $crate::event::typed::sealed::Sealed for $name {}

        impl $crate::event::TypedEvent for $name {
            const KINDS: &'static [$crate::event::EventKind] =
                &[$( $crate::event::EventKind::$kind ),+];

            fn from_event(event: &$crate::event::Event) -> Option<&Self> {
                match event {
                    $crate::event::Event::$variant(event) => Some(event),
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use typed_event;
