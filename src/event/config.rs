//! Configuration changes and signals.

use crate::event::EventText;
use crate::event::keyword::{event_keywords, fields_after, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::Signal;
use crate::names::secret::is_secret;
use crate::wire::quoted::decode_value;

/// `CONF_CHANGED`: options changed.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"CONF_CHANGED\nLog=notice stdout\nLog=warn file /x\nNickname");
/// let Event::ConfChanged(changed) = Event::parse(text) else { panic!() };
/// let changes: Vec<_> = changed.changes().collect();
/// assert_eq!(changes.len(), 3);
/// assert_eq!(changes[0].value.as_ref().unwrap(), "notice stdout");
/// assert_eq!(changes[2].value, None);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfChangedEvent {
    text: EventText,
}

/// An option and its new value, or one of its new values.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"CONF_CHANGED\nContactInfo=\"x\\ny\"\nSocksPort");
/// let Event::ConfChanged(changed) = Event::parse(text) else { panic!() };
/// let changes: Vec<_> = changed.changes().collect();
/// assert_eq!(changes[0].value.as_ref().unwrap(), "x\ny");
/// // At its default.
/// assert_eq!((changes[1].name.as_bytes(), &changes[1].value), (&b"SocksPort"[..], &None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConfChange {
    /// The name of the option.
    pub name: EventText,
    /// The value without quotes and escapes; `None` if the option is at its default, which is
    /// not the same as an empty value.
    pub value: Option<EventText>,
}

typed_event!(ConfChangedEvent, ConfChanged: ConfChanged);

impl ConfChangedEvent {
    pub(crate) fn parse(text: EventText) -> Self {
        Self { text }
    }

    /// Returns the options in tor's order; an option with several values is repeated for each.
    pub fn changes(&self) -> impl Iterator<Item = ConfChange> {
        let text = &self.text;
        text.as_bytes().split(|byte| *byte == b'\n').skip(1).map(|line| {
            let equals = memchr::memchr(b'=', line).unwrap_or(line.len());
            let (name, value) = line.split_at_checked(equals).unwrap_or((line, b""));
            let value = value.strip_prefix(b"=").map(|value| text.value(decode_value(value)));
            let value = if is_secret(name) { value.map(EventText::into_secret) } else { value };
            ConfChange { name: text.part(name), value }
        })
    }
}

/// `SIGNAL`: tor received a signal, on its control port or from the operating system.
///
/// tor reports no signal that ends it.
///
/// # Examples
///
/// ```
/// use torcon::Signal;
/// use torcon::event::{Event, EventText};
///
/// let Event::Signal(event) = Event::parse(EventText::new(b"SIGNAL NEWNYM")) else { panic!() };
/// assert_eq!(event.signal(), Signal::Newnym);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SignalEvent {
    text: EventText,
}

typed_event!(SignalEvent, Signal: Signal);
event_keywords!(SignalEvent, words 2 + 0, stored [] {});

impl SignalEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        match fields_after(&text, 1, 0).word() {
            Some(_) => Ok(Self { text }),
            None => Err((text, "a signal")),
        }
    }

    /// Returns the signal, under the first of its names.
    #[must_use]
    pub fn signal(&self) -> Signal {
        Signal::from_bytes(word(&self.text, 1))
    }
}
