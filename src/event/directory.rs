//! What tor learns of relays.

use crate::event::typed::{extra_of, typed_event};
use crate::event::{EventText, ExtraField};
use crate::names::RelaySpec;
use crate::wire::fields::Fields;

/// `NEWDESC`: server descriptors of relays have come; microdescriptors do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewDescEvent {
    /// The relays.
    pub relays: Vec<RelaySpec>,
    text: EventText,
}

typed_event!(NewDescEvent, NewDesc: NewDesc);

impl NewDescEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut relays = Vec::new();
        while let Some(relay) = fields.word_unless_keyword() {
            relays.push(RelaySpec::from_bytes(relay));
        }
        if relays.is_empty() {
            return Err((text, "a relay"));
        }
        Ok(Self { relays, text })
    }

    /// Returns the text of the event.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }

    /// Returns the fields that this version of torcon does not know, in tor's order.
    pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
        let mut fields = Fields::new(self.text.as_bytes());
        fields.word();
        while fields.word_unless_keyword().is_some() {}
        extra_of(fields, &[])
    }
}

/// `DESCCHANGED`: this tor, a relay, has made itself a new descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescChangedEvent {
    text: EventText,
}

typed_event!(DescChangedEvent, DescChanged: DescChanged; words 1 + 0, keywords []);

impl DescChangedEvent {
    pub(crate) fn read(text: EventText) -> Self {
        Self { text }
    }
}

/// `NS`: what tor knows of some relays has changed.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"NS\nr one AA BB 2038-01-01 00:00:00 127.0.0.1 5000 0\ns Fast");
/// let Event::Ns(ns) = Event::parse(text) else { panic!() };
/// let entries: Vec<_> = ns.entries().collect();
/// assert_eq!(entries, ["r one AA BB 2038-01-01 00:00:00 127.0.0.1 5000 0\ns Fast"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NsEvent {
    text: EventText,
}

/// `NEWCONSENSUS`: a new consensus has come, with every relay that can be used.
///
/// A relay that is not in it should not be used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewConsensusEvent {
    text: EventText,
}

typed_event!(NsEvent, Ns: Ns);
typed_event!(NewConsensusEvent, NewConsensus: NewConsensus);

/// Gives an event of router status entries what both have.
macro_rules! status_entries {
    ($name:ident) => {
        impl $name {
            pub(crate) fn read(text: EventText) -> Self {
                Self { text }
            }

            /// Returns the text of the event: its name, then the lines of the entries.
            #[must_use]
            pub fn text(&self) -> &EventText {
                &self.text
            }

            /// Returns the lines of the entries, without the name of the event before them.
            #[must_use]
            pub fn body(&self) -> EventText {
                let text = self.text.as_bytes();
                let end = memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1);
                self.text.part(text.get(end..).unwrap_or_default())
            }

            /// Returns the text of each entry: its line `r` and the lines up to the next one,
            /// divided by line feeds.
            ///
            /// Nothing is read before it is asked for.
            pub fn entries(&self) -> impl Iterator<Item = EventText> {
                entries(self.body())
            }

            /// Returns the fields beside the name of the event that this version of torcon does
            /// not know, in tor's order.
            pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
                let line = self.text.as_bytes().split(|byte| *byte == b'\n').next();
                let mut fields = Fields::new(line.unwrap_or_default());
                fields.word();
                extra_of(fields, &[])
            }
        }
    };
}

status_entries!(NsEvent);
status_entries!(NewConsensusEvent);

/// Divides router status entries before each line that begins with `r`.
fn entries(body: EventText) -> impl Iterator<Item = EventText> {
    let mut at =
        if body.as_bytes().starts_with(b"r ") { Some(0) } else { next_entry(body.as_bytes(), 0) };
    std::iter::from_fn(move || {
        let start = at?;
        let text = body.as_bytes();
        at = next_entry(text, start);
        // Without the line feed between two entries; the body itself ends without one.
        let end = at.map_or(text.len(), |next| next.saturating_sub(1));
        Some(body.part(text.get(start..end)?))
    })
}

/// Returns where the first entry after `start` begins.
fn next_entry(text: &[u8], start: usize) -> Option<usize> {
    let found = memchr::memmem::find(text.get(start..)?, b"\nr ")?;
    Some(start + found + 1)
}
