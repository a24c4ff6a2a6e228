//! A document as verification reads it: each line once, and the parts that are signed.

use crate::descriptor::item::{DescriptorItem, Items, is_annotation};
use crate::error::{VerifyProblem, excerpt};

/// The items of a document, without annotations, which are not signed.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a [u8],
    items: Vec<DescriptorItem<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let items = Items::new(text).filter(|item| !is_annotation(item)).collect();
        Self { text, items }
    }

    /// Returns the item that every document has once.
    pub(super) fn one(&self, item: &'static str) -> Result<DescriptorItem<'a>, VerifyProblem> {
        self.optional(item)?.ok_or(VerifyProblem::Missing { item })
    }

    /// Returns the item that a document has at most once.
    pub(super) fn optional(
        &self,
        item: &'static str,
    ) -> Result<Option<DescriptorItem<'a>>, VerifyProblem> {
        let mut found = self.all(item);
        let first = found.next();
        match found.next() {
            Some(_) => Err(VerifyProblem::Repeated { item }),
            None => Ok(first),
        }
    }

    pub(super) fn all(&self, keyword: &'static str) -> impl Iterator<Item = DescriptorItem<'a>> {
        self.items.iter().filter(move |item| item.is(keyword.as_bytes())).copied()
    }

    /// Checks that the first line has this keyword.
    pub(super) fn begins_with(&self, item: &'static str) -> Result<(), VerifyProblem> {
        match self.items.first() {
            Some(first) if first.is(item.as_bytes()) => Ok(()),
            Some(first) => Err(not_covered(first)),
            None => Err(VerifyProblem::Missing { item }),
        }
    }

    /// Checks that the document ends with the line of this keyword, or, if it has one of them, with
    /// the lines of several keywords in this order.
    pub(super) fn ends_with(&self, keywords: &[&'static str]) -> Result<(), VerifyProblem> {
        let mut rest = self.items.iter().rev();
        for keyword in keywords.iter().rev() {
            match rest.next() {
                Some(item) if item.is(keyword.as_bytes()) => {}
                Some(item) => return Err(not_covered(item)),
                None => return Err(VerifyProblem::Missing { item: keyword }),
            }
        }
        Ok(())
    }

    /// Returns a part of the text if it reaches from the first line into the line of an item: every
    /// item before that is in it.
    pub(super) fn up_to(
        &self,
        line: &DescriptorItem<'a>,
        item: &'static str,
        part: Option<&'a [u8]>,
    ) -> Result<&'a [u8], VerifyProblem> {
        let part = part.ok_or(VerifyProblem::Malformed { item })?;
        let (start, line) = (part.as_ptr().addr(), line.line());
        let begins = self.items.first().is_some_and(|first| first.line().as_ptr().addr() == start);
        // A part may end behind the line feed.
        let end = line.as_ptr().addr() + 1..=line.as_ptr().addr() + line.len() + 2;
        match begins && end.contains(&(start + part.len())) {
            true => Ok(part),
            false => Err(VerifyProblem::Malformed { item }),
        }
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }
}

/// Decodes the object of an item.
pub(super) fn object(
    item: &DescriptorItem<'_>,
    keyword: &'static str,
    label: &str,
) -> Result<Vec<u8>, VerifyProblem> {
    item.decode_object(label).ok_or(VerifyProblem::Malformed { item: keyword })
}

/// The problem of a line outside the signed part.
pub(super) fn not_covered(item: &DescriptorItem<'_>) -> VerifyProblem {
    VerifyProblem::NotCovered { line: excerpt(item.line()) }
}
