//! The last event of a circuit or stream, and the fields of earlier events that are still valid.

use std::sync::Arc;

use crate::event::EventText;
use crate::event::keyword::{Keyword, fields_after};
use crate::wire::fields::{Fields, Value};

/// The positions of the fields in an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The numbers of required and of optional words before the first keyword.
    pub(super) words: (usize, usize),
    /// The keywords that are read. Only these are kept, so that the size is limited.
    pub(super) keywords: &'static [&'static str],
}

/// The last event, and fields that it omits. They are parsed when they are read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Record {
    layout: &'static Layout,
    text: EventText,
    /// Values of earlier events, as tor wrote them. Each has a separate text: a value with broken
    /// quotes before others would end elsewhere than in its event.
    earlier: Option<Arc<[(&'static str, EventText)]>>,
}

impl Record {
    pub(super) fn new(layout: &'static Layout, text: EventText) -> Self {
        Self { layout, text, earlier: None }
    }

    /// Makes the record after the next event. `keeps` selects the keys whose former fields stay
    /// unless the event has them.
    pub(super) fn after(before: &Self, text: EventText, keeps: impl Fn(&str) -> bool) -> Self {
        let mut now = Self::new(before.layout, text);
        if !before.layout.keywords.iter().any(|key| keeps(key)) {
            return now;
        }
        let own = now.own();
        let is_kept = |key: &str| keeps(key) && !own.iter().any(|(it, _)| *it == key);
        let new = before.own();
        // Usually all valid fields were kept before.
        let is_new = new.iter().any(|(key, _)| is_kept(key));
        now.earlier = match is_new || !before.earlier().iter().all(|(key, _)| is_kept(key)) {
            true => {
                let new = new.iter().map(|(key, value)| (*key, EventText::new(value.raw())));
                let all = new.chain(before.earlier().iter().cloned());
                unless_empty(all.filter(|(key, _)| is_kept(key)))
            }
            false => before.earlier.clone(),
        };
        now
    }

    /// Makes a record that also has the selected fields of another one.
    pub(super) fn joined(&self, other: &Self, takes: impl Fn(&str) -> bool) -> Self {
        let own = other.own();
        let own = own.iter().map(|(key, value)| (*key, EventText::new(value.raw())));
        let taken = own.chain(other.earlier().iter().cloned()).filter(|(key, _)| takes(key));
        let earlier = unless_empty(self.earlier().iter().cloned().chain(taken));
        Self { earlier, ..self.clone() }
    }

    /// Returns the text of the last event.
    pub(super) fn text(&self) -> &EventText {
        &self.text
    }

    /// Finds a keyword in the last event, or else in the earlier ones.
    pub(super) fn keyword(&self, key: &str) -> Keyword<'_> {
        let own = Keyword::find(&self.text, self.fields(), key);
        if own.is_some() {
            return own;
        }
        let earlier = self.earlier().iter().find(|(it, _)| *it == key);
        earlier.map_or(own, |(_, value)| Keyword::of(value))
    }

    /// Returns the approximate size in bytes.
    pub(super) fn size(&self) -> usize {
        let kept = self.earlier();
        let values = kept.iter().map(|(_, value)| value.as_bytes().len()).sum::<usize>();
        self.text.as_bytes().len() + size_of_val(kept) + values
    }

    fn fields(&self) -> Fields<'_> {
        fields_after(&self.text, self.layout.words.0, self.layout.words.1)
    }

    /// Returns the fields of the last event that are read, each once.
    fn own(&self) -> Vec<(&'static str, Value<'_>)> {
        let keywords = self.layout.keywords;
        let mut own = Vec::with_capacity(keywords.len());
        for field in self.fields() {
            let Some(key) = keywords.iter().find(|key| key.as_bytes() == field.key) else {
                continue;
            };
            if !own.iter().any(|(it, _)| it == key) {
                own.push((*key, field.value));
            }
        }
        own
    }

    fn earlier(&self) -> &[(&'static str, EventText)] {
        self.earlier.as_deref().unwrap_or_default()
    }
}

fn unless_empty<T>(items: impl Iterator<Item = T>) -> Option<Arc<[T]>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then(|| items.into())
}

#[cfg(test)]
mod tests;
