//! The rules of the lines of a document: how often each occurs, and its syntax.

use super::item::{DescriptorItem, Items, is_annotation};
use crate::error::ProtocolError;

/// How often a keyword occurs in a document, and what its items are.
#[derive(Debug)]
pub(super) struct Rule {
    keyword: &'static [u8],
    occurs: Occurs,
    expected: &'static str,
    is_valid: fn(&DescriptorItem<'_>) -> bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occurs {
    Once,
    /// Once, or not at all if the document has this other keyword.
    OnceUnless(&'static [u8]),
    /// Once if the document has this other keyword, otherwise at most once.
    OnceIf(&'static [u8]),
    AtMostOnce,
    AtLeastOnce,
    Often,
    /// Once or several times, or not at all if the document has this other keyword.
    OftenUnless(&'static [u8]),
}

/// The place of an item that cannot stand elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Any,
    /// Behind the first item.
    Second,
    /// Before at most one item.
    NextToLast,
    Last,
}

/// Reads an item; `false` if it has a syntax error.
type IsValid = fn(&DescriptorItem<'_>) -> bool;

impl Rule {
    /// A keyword that every document has once.
    pub(super) const fn once(
        keyword: &'static [u8],
        expected: &'static str,
        is_valid: IsValid,
    ) -> Self {
        Self { keyword, occurs: Occurs::Once, expected, is_valid, place: Place::Any }
    }

    /// A keyword that every document has once that does not have the other keyword, such as the
    /// signature of a document that is not sanitized.
    pub(super) const fn once_unless(
        other: &'static [u8],
        keyword: &'static [u8],
        expected: &'static str,
        is_valid: IsValid,
    ) -> Self {
        Self { keyword, occurs: Occurs::OnceUnless(other), expected, is_valid, place: Place::Any }
    }

    /// A keyword that a document has once if it has the other keyword, and otherwise at most once.
    pub(super) const fn once_if(
        other: &'static [u8],
        keyword: &'static [u8],
        expected: &'static str,
        is_valid: IsValid,
    ) -> Self {
        Self { keyword, occurs: Occurs::OnceIf(other), expected, is_valid, place: Place::Any }
    }

    /// A keyword that a document has at most once.
    pub(super) const fn optional(
        keyword: &'static [u8],
        expected: &'static str,
        is_valid: IsValid,
    ) -> Self {
        Self { keyword, occurs: Occurs::AtMostOnce, expected, is_valid, place: Place::Any }
    }

    /// A keyword that every document has once or several times.
    pub(super) const fn at_least_once(
        keyword: &'static [u8],
        expected: &'static str,
        is_valid: IsValid,
    ) -> Self {
        Self { keyword, occurs: Occurs::AtLeastOnce, expected, is_valid, place: Place::Any }
    }

    /// A keyword that a document may have several times.
    pub(super) const fn repeated(
        keyword: &'static [u8],
        expected: &'static str,
        is_valid: IsValid,
    ) -> Self {
        Self { keyword, occurs: Occurs::Often, expected, is_valid, place: Place::Any }
    }

    /// A keyword that every document has that does not have the other keyword, once or several times.
    pub(super) const fn repeated_unless(
        other: &'static [u8],
        keyword: &'static [u8],
        expected: &'static str,
        is_valid: IsValid,
    ) -> Self {
        Self { keyword, occurs: Occurs::OftenUnless(other), expected, is_valid, place: Place::Any }
    }

    /// Restricts the place of the item.
    pub(super) const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

/// Every line with this keyword is valid.
pub(super) fn any(_item: &DescriptorItem<'_>) -> bool {
    true
}

/// Returns whether a document with these rules knows the item, or it is an annotation.
pub(super) fn is_known(rules: &[Rule], item: &DescriptorItem<'_>) -> bool {
    is_annotation(item) || rules.iter().any(|rule| item.is(rule.keyword))
}

/// Makes the error of a line that is missing or malformed.
#[cfg(feature = "onion-descriptor")]
pub(super) fn missing(
    reading: &str,
    keyword: &[u8],
    expected: &'static str,
    text: &[u8],
) -> ProtocolError {
    match Items::new(text).find_keyword(keyword) {
        Some(item) => wrong_line(reading, expected, text, item.line()),
        None => ProtocolError::new(reading, expected, text),
    }
}

/// Checks every item of a document against the rules.
pub(super) fn check(reading: &str, rules: &[Rule], text: &[u8]) -> Result<(), ProtocolError> {
    check_part(reading, rules, text, text)
}

/// Checks every item of a part of a text; an error names the line of the text.
pub(super) fn check_part(
    reading: &str,
    rules: &[Rule],
    text: &[u8],
    part: &[u8],
) -> Result<(), ProtocolError> {
    // The items are slices of `part`, which is a slice of `text`.
    let wrong =
        |item: &DescriptorItem<'_>, expected| wrong_line(reading, expected, text, item.line());
    let mut seen = vec![false; rules.len()];
    // The number of items that may follow.
    let mut followers = usize::MAX;
    for (index, item) in Items::new(part).filter(|item| !is_annotation(item)).enumerate() {
        followers = match followers.checked_sub(1) {
            Some(followers) => followers,
            None => return Err(wrong(&item, "the end of the document")),
        };
        if item.has_open_object() {
            return Err(wrong(&item, "an object with its last line"));
        }
        let known = rules.iter().zip(&mut seen).find(|(rule, _)| item.is(rule.keyword));
        if let Some((rule, seen)) = known {
            if *seen
                && !matches!(
                    rule.occurs,
                    Occurs::AtLeastOnce | Occurs::Often | Occurs::OftenUnless(_)
                )
            {
                return Err(wrong(&item, "one line with this keyword"));
            }
            *seen = true;
            if !(rule.is_valid)(&item) {
                return Err(wrong(&item, rule.expected));
            }
            match rule.place {
                Place::Any => {}
                Place::Second if index == 1 => {}
                Place::Second => return Err(wrong(&item, "this line behind the first")),
                Place::NextToLast => followers = 1,
                Place::Last => followers = 0,
            }
        }
        if item.has_mixed_object() {
            return Err(wrong(&item, "an object in base64 with its last line"));
        }
    }
    let has =
        |keyword| rules.iter().zip(&seen).any(|(rule, seen)| *seen && rule.keyword == keyword);
    let is_required = |rule: &Rule| match rule.occurs {
        Occurs::Once | Occurs::AtLeastOnce => true,
        Occurs::OnceUnless(other) | Occurs::OftenUnless(other) => !has(other),
        Occurs::OnceIf(other) => has(other),
        Occurs::AtMostOnce | Occurs::Often => false,
    };
    let missing = rules.iter().zip(&seen).find(|(rule, seen)| !**seen && is_required(rule));
    match missing {
        Some((rule, _)) => Err(ProtocolError::new(reading, rule.expected, part)),
        None => Ok(()),
    }
}

/// Returns the error of a line, which is a slice of `text`.
pub(super) fn wrong_line(
    reading: &str,
    expected: &'static str,
    text: &[u8],
    line: &[u8],
) -> ProtocolError {
    let before = line.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let before = text.get(..before).unwrap_or_default();
    let number = memchr::memchr_iter(b'\n', before).count() + 1;
    ProtocolError::in_line(reading, number, expected, line)
}
