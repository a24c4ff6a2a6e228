//! The last event of a circuit or stream, and the fields of earlier events that still hold.

use crate::event::EventText;
use crate::event::keyword::{Keyword, fields_after};
use crate::wire::fields::{Field, Fields};

/// How many words stand before the first keyword of an event: those that must, and those that may.
pub(super) type Words = (usize, usize);

/// The last event, and fields that it does not repeat. They are read when somebody asks for them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Record {
    words: Words,
    text: EventText,
    /// Fields of earlier events, as tor wrote them.
    earlier: Option<EventText>,
}

impl Record {
    pub(super) fn new(words: Words, text: EventText) -> Self {
        Self { words, text, earlier: None }
    }

    /// Makes the record after the next event, which keeps the fields of some keys unless the event
    /// has them itself.
    pub(super) fn after(before: &Self, text: EventText, keeps: impl Fn(&[u8]) -> bool) -> Self {
        let mut now = Self::new(before.words, text);
        let is_kept = |field: &Field<'_>| keeps(field.key) && !now.has(field.key);
        // The usual case: everything that holds was kept before.
        let is_new =
            fields_after(&before.text, before.words.0, before.words.1).any(|it| is_kept(&it));
        now.earlier = match is_new || !before.earlier_fields().all(|field| is_kept(&field)) {
            true => unless_empty(&before.fields().filter(is_kept).fold(Vec::new(), write)),
            false => before.earlier.clone(),
        };
        now
    }

    /// Makes a record that has fields of another one besides its own.
    pub(super) fn joined(&self, other: &Self, takes: impl Fn(&[u8]) -> bool) -> Self {
        let theirs = other.fields().filter(|field| takes(field.key));
        let all = self.earlier_fields().chain(theirs).fold(Vec::new(), write);
        Self { words: self.words, text: self.text.clone(), earlier: unless_empty(&all) }
    }

    /// Returns the text of the last event.
    pub(super) fn text(&self) -> &EventText {
        &self.text
    }

    /// Finds a keyword in the last event, or else in the earlier ones.
    pub(super) fn keyword(&self, key: &str) -> Keyword<'_> {
        let own = fields_after(&self.text, self.words.0, self.words.1);
        let found = Keyword::find(&self.text, own, key);
        match &self.earlier {
            Some(earlier) if !found.is_some() => {
                Keyword::find(earlier, Fields::new(earlier.as_bytes()), key)
            }
            _ => found,
        }
    }

    /// Returns about how many bytes this keeps.
    pub(super) fn size(&self) -> usize {
        let earlier = self.earlier.as_ref().map_or(0, |earlier| earlier.as_bytes().len());
        self.text.as_bytes().len() + earlier
    }

    fn has(&self, key: &[u8]) -> bool {
        fields_after(&self.text, self.words.0, self.words.1).any(|field| field.key == key)
    }

    fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        fields_after(&self.text, self.words.0, self.words.1).chain(self.earlier_fields())
    }

    fn earlier_fields(&self) -> Fields<'_> {
        Fields::new(self.earlier.as_ref().map_or(b"", EventText::as_bytes))
    }
}

/// Writes a field behind others, as it stood in its event.
fn write(mut text: Vec<u8>, field: Field<'_>) -> Vec<u8> {
    if !text.is_empty() {
        text.push(b' ');
    }
    text.extend_from_slice(field.key);
    text.push(b'=');
    text.extend_from_slice(field.value.raw());
    text
}

fn unless_empty(text: &[u8]) -> Option<EventText> {
    (!text.is_empty()).then(|| EventText::new(text))
}
