//! Descriptors and router status entries of relays.

use crate::event::descriptor::first_line;
use crate::event::keyword::{event_keywords, fields_after, require_words};
use crate::event::typed::{Parsed, extra_of, typed_event};
use crate::event::{EventText, ExtraField};
use crate::names::RelaySpec;
use crate::wire::fields::Fields;

/// `NEWDESC`: tor received server descriptors of relays; microdescriptors do not count.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"NEWDESC $21C5E47F768885721CD317CFDFF71DC4AFE22CBC~relay2");
/// let Event::NewDesc(new) = Event::parse(text) else { panic!() };
/// assert_eq!(new.relays()[0].nickname().unwrap().as_str(), "relay2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NewDescEvent {
    text: EventText,
}

typed_event!(NewDescEvent, NewDesc: NewDesc);

impl NewDescEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        require_words(text, &["a relay"]).map(|text| Self { text })
    }

    /// Returns the relays.
    #[must_use]
    pub fn relays(&self) -> Vec<RelaySpec> {
        let mut fields = fields_after(&self.text, 1, 0);
        let words = std::iter::from_fn(|| fields.word_unless_keyword());
        words.map(RelaySpec::from_bytes).collect()
    }

    /// Returns the fields that this version of torcon does not know, in tor's order.
    pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
        let mut fields = fields_after(&self.text, 1, 0);
        while fields.word_unless_keyword().is_some() {}
        extra_of(fields, &[])
    }
}

/// `DESCCHANGED`: the descriptor of this relay changed.
///
/// # Examples
///
/// ```no_run
/// use torcon::event::DescChangedEvent;
///
/// // The controller of a relay.
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// controller.on(|_: &DescChangedEvent| println!("the relay has a new descriptor"))?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DescChangedEvent {
    text: EventText,
}

typed_event!(DescChangedEvent, DescChanged: DescChanged);
event_keywords!(DescChangedEvent, words 1 + 0, stored [] {});

impl DescChangedEvent {
    pub(crate) fn parse(text: EventText) -> Self {
        Self { text }
    }
}

/// `NS`: router status entries changed.
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
#[derive(Clone, PartialEq, Eq)]
pub struct NsEvent {
    text: EventText,
}

/// `NEWCONSENSUS`: tor received a new consensus, with every usable relay.
///
/// A relay that it does not list should not be used any more.
///
/// # Examples
///
/// ```no_run
/// use torcon::event::NewConsensusEvent;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// controller.on(|consensus: &NewConsensusEvent| {
///     let exits = consensus.entries().filter(|entry| {
///         let text = entry.to_str_lossy();
///         text.lines().any(|line| line.starts_with("s ") && line.contains(" Exit"))
///     });
///     println!("{} exits", exits.count());
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NewConsensusEvent {
    text: EventText,
}

typed_event!(NsEvent, Ns: Ns);
typed_event!(NewConsensusEvent, NewConsensus: NewConsensus);

/// Implements the methods of both events with router status entries.
macro_rules! status_entries {
    ($name:ident) => {
        impl $name {
            pub(crate) fn parse(text: EventText) -> Self {
                Self { text }
            }

            /// Returns the lines of the entries, without the name of the event before them.
            #[must_use]
            pub fn body(&self) -> EventText {
                self.text.part(first_line(self.text.as_bytes()).1)
            }

            /// Returns the text of each entry: its line `r` and the lines up to the next one,
            /// separated by line feeds.
            pub fn entries(&self) -> impl Iterator<Item = EventText> {
                entries(self.body())
            }

            /// Returns the fields beside the name of the event that this version of torcon does
            /// not know, in tor's order.
            pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
                let mut fields = Fields::new(first_line(self.text.as_bytes()).0);
                fields.word();
                extra_of(fields, &[])
            }
        }
    };
}

status_entries!(NsEvent);
status_entries!(NewConsensusEvent);

/// Splits router status entries before each line that begins with `r`.
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
