//! The fields of events, parsed by the methods that return them.

use std::time::{Duration, SystemTime};

use crate::event::typed::Parsed;
use crate::event::{EventText, HsPow};
use crate::names::Target;
use crate::wire::fields::{Fields, Value, read_number, split_spaced_list};
use crate::wire::timestamp::read_time;

/// Returns the fields of a text behind `words` words and at most `optional` more that are no
/// keywords.
///
/// The name of the event is the first word.
#[inline]
pub(crate) fn fields_after(text: &EventText, words: usize, optional: usize) -> Fields<'_> {
    let mut fields = Fields::new(text.as_bytes());
    for _ in 0..words {
        fields.word();
    }
    for _ in 0..optional {
        fields.word_unless_keyword();
    }
    fields
}

/// Returns the word with this index; the name of the event has the index 0.
#[inline]
pub(crate) fn word(text: &EventText, index: usize) -> &[u8] {
    fields_after(text, index, 0).word().unwrap_or_default()
}

/// Requires a word behind the name of the event for each of these, none of them a keyword.
#[inline]
pub(crate) fn require_words(text: EventText, expected: &[&'static str]) -> Parsed<EventText> {
    let mut fields = fields_after(&text, 1, 0);
    for expected in expected {
        if fields.word_unless_keyword().is_none() {
            return Err((text, expected));
        }
    }
    Ok(text)
}

/// Returns a reader of one of two words, of which the first means `true`.
pub(crate) fn flag([yes, no]: [&'static [u8]; 2]) -> impl FnOnce(&[u8]) -> Option<bool> {
    move |word| match word {
        _ if word == yes => Some(true),
        _ if word == no => Some(false),
        _ => None,
    }
}

/// Finds the first value of each of these keywords.
#[inline]
pub(crate) fn find_each<'a, const N: usize>(
    fields: Fields<'a>,
    keys: [&str; N],
) -> [Option<Value<'a>>; N] {
    let mut found = [None; N];
    for field in fields {
        for (value, key) in found.iter_mut().zip(keys) {
            if value.is_none() && field.key == key.as_bytes() {
                *value = Some(field.value);
            }
        }
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found
}

/// The value of a keyword, if the event has the keyword.
///
/// If an event repeats a keyword, which tor never does, the first one counts.
#[derive(Clone, Copy)]
pub(crate) struct Keyword<'a> {
    text: &'a EventText,
    value: Option<Value<'a>>,
}

impl<'a> Keyword<'a> {
    /// Finds a keyword in fields of a text.
    #[inline]
    pub(crate) fn find(text: &'a EventText, mut fields: Fields<'a>, key: &str) -> Self {
        let found = fields.find(|field| field.key == key.as_bytes());
        Self { text, value: found.map(|field| field.value) }
    }

    /// Takes a text that is one raw value of an event, with quotes and escapes.
    pub(crate) fn of(value: &'a EventText) -> Self {
        Self { text: value, value: Some(Value::new(value.as_bytes())) }
    }

    pub(crate) fn is_some(self) -> bool {
        self.value.is_some()
    }

    /// Reads a word, which has no escapes.
    pub(crate) fn word<T>(self, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.value.map(|value| read(value.inside()))
    }

    /// Reads a word that `read` can refuse.
    pub(crate) fn try_word<T>(self, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        self.value.and_then(|value| read(value.inside()))
    }

    /// Reads each element of a comma-separated list.
    pub(crate) fn list<T>(self, read: impl FnMut(&[u8]) -> T) -> Vec<T> {
        self.value.map(|value| value.list().map(read).collect()).unwrap_or_default()
    }

    /// Returns the elements of a comma-separated list, without blanks around them.
    pub(crate) fn texts(self) -> Vec<EventText> {
        let elements = self.value.into_iter().flat_map(|value| split_spaced_list(value.inside()));
        elements.map(|element| self.text.part(element)).collect()
    }

    /// Reads each element of a comma-separated list as a name, `separator` and a number. Elements
    /// of another form are left out.
    pub(crate) fn counts<T>(self, separator: u8, make: impl Fn(EventText, u64) -> T) -> Vec<T> {
        let read = |element: &[u8]| {
            let end = memchr::memchr(separator, element)?;
            let (name, number) = element.split_at_checked(end)?;
            let number = read_number(number.get(1..)?)?;
            Some(make(self.text.part(name), number))
        };
        self.list(read).into_iter().flatten().collect()
    }

    /// Returns the value without quotes and escapes.
    pub(crate) fn text(self) -> Option<EventText> {
        self.value.map(|value| self.text.value(value.bytes()))
    }

    /// Returns the value without quotes and escapes, as a text that `Debug` does not show.
    pub(crate) fn secret(self) -> Option<EventText> {
        self.text().map(EventText::into_secret)
    }

    /// Reads the proof of work of an onion service circuit: `v1,500`.
    pub(crate) fn hs_pow(self) -> Option<HsPow> {
        let value = self.value?;
        HsPow::read(&self.text.part(value.inside()))
    }

    pub(crate) fn target(self) -> Option<Target> {
        self.value.map(|value| Target::from_bytes(&value.bytes()))
    }

    pub(crate) fn number<N: std::str::FromStr + TryFrom<u64>>(self) -> Option<N> {
        self.value.and_then(Value::number)
    }

    pub(crate) fn milliseconds(self) -> Option<Duration> {
        self.number().map(Duration::from_millis)
    }

    pub(crate) fn microseconds(self) -> Option<Duration> {
        self.number().map(Duration::from_micros)
    }

    pub(crate) fn time(self) -> Option<SystemTime> {
        self.try_word(read_time)
    }
}

/// Implements one method for each keyword, which reads it with a method of [`Keyword`].
macro_rules! keyword_methods {
    ($name:ident {
        $(
            $(#[$attribute:meta])*
            $key:literal => $method:ident: $type:ty = $read:ident($($argument:expr),*);
        )*
    }) => {
        impl $name {
            $(
                $(#[$attribute])*
                #[must_use]
                pub fn $method(&self) -> $type {
                    self.keyword($key).$read($($argument),*)
                }
            )*
        }
    };
}
pub(crate) use keyword_methods;

/// Implements one method for each keyword of a type of event, and `extra` for all other fields.
///
/// `words` are the numbers of required and of optional words before the first keyword, with the
/// name of the event. `stored` are the keywords that `parse` reads.
macro_rules! event_keywords {
    ($name:ident, words $words:literal + $optional:literal, stored [$($stored:literal),*] {
        $(
            $(#[$attribute:meta])*
            $key:literal => $method:ident: $type:ty = $read:ident($($argument:expr),*);
        )*
    }) => {
        $crate::event::keyword::keyword_methods!($name {
            $( $(#[$attribute])* $key => $method: $type = $read($($argument),*); )*
        });

        impl $name {
            pub(crate) const KEYWORDS: &'static [&'static str] = &[$($stored,)* $($key,)*];

            #[allow(dead_code, reason = "some events have no keywords")]
            fn keyword(&self, key: &str) -> $crate::event::keyword::Keyword<'_> {
                let fields = $crate::event::keyword::fields_after(&self.text, $words, $optional);
                $crate::event::keyword::Keyword::find(&self.text, fields, key)
            }

            /// Returns the fields that this version of torcon does not know, in tor's order.
            pub fn extra(&self) -> impl Iterator<Item = $crate::event::ExtraField<'_>> {
                let fields = $crate::event::keyword::fields_after(&self.text, $words, $optional);
                $crate::event::typed::extra_of(fields, Self::KEYWORDS)
            }
        }
    };
}
pub(crate) use event_keywords;
