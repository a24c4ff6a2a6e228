//! Changed options and received signals.

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::Signal;
use crate::names::secret::is_secret;
use crate::wire::fields::Fields;
use crate::wire::quoted::decode_value;

/// `CONF_CHANGED`: options have changed.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"CONF_CHANGED\nLog=notice stdout\nLog=warn file /x\nNickname");
/// let Event::ConfChanged(changed) = Event::parse(text) else { panic!() };
/// assert_eq!(changed.changes.len(), 3);
/// assert_eq!(changed.changes[0].value.as_ref().unwrap(), "notice stdout");
/// assert_eq!(changed.changes[2].value, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfChangedEvent {
    /// The options in tor's order; one of several values comes once for each.
    pub changes: Vec<ConfChange>,
    text: EventText,
}

/// An option and its new value, or one of its new values.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(crate) fn read(text: EventText) -> Self {
        let lines = text.as_bytes().split(|byte| *byte == b'\n').skip(1);
        let changes = lines
            .map(|line| {
                let equals = memchr::memchr(b'=', line).unwrap_or(line.len());
                let (name, value) = line.split_at_checked(equals).unwrap_or((line, b""));
                let value = value.strip_prefix(b"=").map(|value| text.value(decode_value(value)));
                let value = if is_secret(name) { value.map(EventText::into_secret) } else { value };
                ConfChange { name: text.part(name), value }
            })
            .collect();
        Self { changes, text }
    }

    /// Returns the text of the event: its name, then one line for each value.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }
}

/// `SIGNAL`: tor received a signal, by its control port or from the operating system.
///
/// tor reports no signal that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalEvent {
    /// The signal, under the first of its words.
    pub signal: Signal,
    text: EventText,
}

typed_event!(SignalEvent, Signal: Signal; words 2 + 0, keywords []);

impl SignalEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(signal) = fields.word() else { return Err((text, "a signal")) };
        Ok(Self { signal: Signal::from_bytes(signal), text })
    }
}
