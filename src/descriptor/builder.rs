//! Descriptors built from single lines.

use std::marker::PhantomData;

use super::list::Descriptor;
use super::reader::{Kind, Part, RawLine, Splitter};

/// Collects lines of a reply until an entry is complete. Holds one entry at a time.
#[derive(Debug)]
pub(crate) struct DescriptorBuilder<D> {
    splitter: Splitter,
    kind: PhantomData<fn() -> D>,
}

impl<D: Descriptor> DescriptorBuilder<D> {
    pub(crate) fn new() -> Self {
        let splitter = Splitter::new(Self::kind(), usize::MAX).without_ends();
        Self { splitter, kind: PhantomData }
    }

    fn kind() -> Option<Kind> {
        Kind::of_document(D::FIRST.strip_prefix(b"\n").unwrap_or(D::FIRST))
    }

    /// Adds a line. Returns the entry that ends before it or with it, if one does.
    pub(crate) fn line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.splitter.add(RawLine { bytes: line, length, is_ended: true });
        self.take()
    }

    /// Returns the last entry.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        self.splitter.finish(true);
        self.take()
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        while let Some(part) = self.splitter.take_part() {
            match part {
                Part::Entry(entry) if Some(entry.kind) == Self::kind() => return Some(entry.text),
                // A reply has nothing else.
                Part::Entry(_) | Part::Broken { .. } => {}
            }
        }
        None
    }
}
