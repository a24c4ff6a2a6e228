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

/// A set of the keywords of a layout: one bit each, in the order of the layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys(u16);

impl Layout {
    pub(super) const fn new(words: (usize, usize), keywords: &'static [&'static str]) -> Self {
        assert!(keywords.len() <= 16, "a set has 16 bits");
        Self { words, keywords }
    }

    /// Returns the keywords of the layout that are in this list.
    pub(super) const fn keys(&self, names: &[&str]) -> Keys {
        let (mut bits, mut bit, mut rest) = (0, 1, self.keywords);
        while let [keyword, after @ ..] = rest {
            if contains(names, keyword) {
                bits |= bit;
            }
            bit <<= 1;
            rest = after;
        }
        Keys(bits)
    }

    /// Returns the keywords of these fields.
    #[inline]
    pub(super) fn keys_of(&self, fields: Fields<'_>) -> Keys {
        // Without quotes, every blank separates fields.
        let line = fields.rest();
        let (mut keys, mut start) = (Keys::default(), 0);
        for end in memchr::memchr2_iter(b' ', b'"', line).chain([line.len()]) {
            if line.get(end) == Some(&b'"') {
                let keys = fields.map(|field| self.key(|key| key == field.key));
                return keys.fold(Keys::default(), Keys::or);
            }
            let word = line.get(start..end).unwrap_or_default();
            let is_it = |key: &[u8]| word.get(key.len()) == Some(&b'=') && word.starts_with(key);
            keys = keys.or(self.key(is_it));
            start = end + 1;
        }
        keys
    }

    /// Returns the keyword for which `is_it` holds.
    #[inline]
    fn key(&self, is_it: impl Fn(&[u8]) -> bool) -> Keys {
        let index = self.keywords.iter().position(|key| is_it(key.as_bytes()));
        index.map_or(Keys::default(), |index| Keys(1 << index))
    }
}

impl Keys {
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

const fn contains(mut names: &[&str], name: &str) -> bool {
    while let [first, rest @ ..] = names {
        if is_equal(first.as_bytes(), name.as_bytes()) {
            return true;
        }
        names = rest;
    }
    false
}

/// Compares in a constant, where `==` cannot be used.
const fn is_equal(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [second, after @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (rest, after);
    }
    one.is_empty() && other.is_empty()
}

/// The last event, and fields that it omits. They are parsed when they are read; only their presence
/// is known before.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Record {
    layout: &'static Layout,
    text: EventText,
    /// The keywords in `text`.
    own_keys: Keys,
    /// The keywords in `earlier`; none of them is in `own_keys`.
    earlier_keys: Keys,
    /// Values of earlier events, as tor wrote them. Each has a separate text: a value with broken
    /// quotes before others would end elsewhere than in its event.
    earlier: Option<Arc<[(&'static str, EventText)]>>,
}

impl Record {
    /// Makes the record of an event with these keywords of the layout.
    pub(super) fn new(layout: &'static Layout, text: EventText, own_keys: Keys) -> Self {
        Self { layout, text, own_keys, earlier_keys: Keys::default(), earlier: None }
    }

    /// Changes to the record after the next event, with these keywords of the layout. The former
    /// fields in `kept` stay unless the event has them.
    pub(super) fn replace(&mut self, text: &[u8], own_keys: Keys, kept: Keys) {
        let kept = kept.without(own_keys);
        let from_own = self.own_keys.and(kept);
        let earlier_keys = self.earlier_keys.and(kept).or(from_own);
        // Usually all valid fields were kept before.
        if !from_own.is_empty() || earlier_keys != self.earlier_keys {
            self.earlier = self.only(earlier_keys);
            self.earlier_keys = earlier_keys;
        }
        self.text.overwrite(text);
        self.own_keys = own_keys;
    }

    /// Adds the selected fields of another record.
    pub(super) fn join(&mut self, other: &Self, names: &[&str]) {
        let new = other.only(other.keys().and(other.layout.keys(names)));
        let new = new.iter().flat_map(|fields| fields.iter());
        self.earlier = unless_empty(self.earlier().iter().chain(new).cloned());
        let names: Vec<_> = self.earlier().iter().map(|(name, _)| *name).collect();
        self.earlier_keys = self.layout.keys(&names);
    }

    /// Returns the keywords that have a value.
    pub(super) fn keys(&self) -> Keys {
        self.own_keys.or(self.earlier_keys)
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

    /// Copies the fields with these keywords, those of the last event first.
    fn only(&self, keys: Keys) -> Option<Arc<[(&'static str, EventText)]>> {
        let is_in = |name: &str| !self.layout.keys(&[name]).and(keys).is_empty();
        let own = self.own();
        let own = own.iter().map(|(key, value)| (*key, EventText::new(value.raw())));
        unless_empty(own.chain(self.earlier().iter().cloned()).filter(|(key, _)| is_in(key)))
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
