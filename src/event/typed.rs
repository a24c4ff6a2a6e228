//! The common parts of the types of events.

use std::borrow::Cow;
use std::fmt;

use crate::event::{Event, EventKind, EventText};
use crate::names::quoted;
use crate::names::secret::{REDACTED, is_secret, redact};
use crate::wire::fields::Fields;

/// A type of event.
///
/// The type of its parameter selects the events that a closure receives, as in
/// `|circ: &CircEvent| ..`. The trait is sealed: only the types of this module implement it.
///
/// # Examples
///
/// ```
/// use torcon::event::{BwEvent, CircEvent, Event, EventText, TypedEvent};
///
/// let event = Event::parse(EventText::new(b"BW 15 20"));
/// assert_eq!(BwEvent::from_event(&event).unwrap().bytes_read(), 15);
/// assert!(CircEvent::from_event(&event).is_none());
/// ```
pub trait TypedEvent: sealed::Sealed + Sized + 'static {
    /// The kinds to which a listener of this type subscribes.
    const KINDS: &'static [EventKind];

    /// Returns the event as this type, if it has this type.
    fn from_event(event: &Event) -> Option<&Self>;
}

/// Returns a closure that calls `listener` with the events of its type.
pub(crate) fn typed_callback<E: TypedEvent>(
    mut listener: impl FnMut(&E) + Send + 'static,
) -> Box<dyn FnMut(&Event) + Send> {
    Box::new(move |event| {
        if let Some(event) = E::from_event(event) {
            listener(event);
        }
    })
}

pub(crate) mod sealed {
    /// Seals the trait.
    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Sealed {}
}

/// A field of an event for which the event's type has no method.
///
/// Any version of tor can add fields. The methods `extra` of the types return the fields that this
/// version of torcon does not know.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"ORCONN 192.0.2.1:9001 CONNECTED ID=6 NEW_KEY=\"a b\"");
/// let Event::OrConn(conn) = Event::parse(text) else { panic!() };
/// let extra: Vec<_> = conn.extra().collect();
/// assert_eq!((extra[0].key, &*extra[0].value_lossy()), ("NEW_KEY", "a b"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtraField<'a> {
    /// The key before the `=`; empty for a word without key.
    pub key: &'a str,
    /// The value without quotes and escapes.
    pub value: Cow<'a, [u8]>,
}

impl fmt::Debug for ExtraField<'_> {
    /// Shows the value without known secrets.
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
            // Keys are ASCII.
            key: std::str::from_utf8(field.key).unwrap_or_default(),
            value: field.value.bytes(),
        }
    })
}

/// The result of parsing an event: the event, or its text and the failed expectation.
pub(crate) type Parsed<E> = Result<E, (EventText, &'static str)>;

/// Implements `text`, `Display`, `Debug` and [`TypedEvent`] for a type of event.
macro_rules! typed_event {
    ($name:ident, $variant:ident: $($kind:ident),+) => {
        impl $name {
            /// Returns the text of the event.
            #[must_use]
            pub fn text(&self) -> &$crate::event::EventText {
                &self.text
            }

            pub(crate) fn into_text(self) -> $crate::event::EventText {
                self.text
            }
        }

        /// Prints the text of the event.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.text, f)
            }
        }

        /// Shows the text of the event without known secrets.
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
