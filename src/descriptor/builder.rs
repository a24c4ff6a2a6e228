//! Descriptors built from single lines.

use std::marker::PhantomData;

use super::list::Descriptor;

/// Collects lines until an entry is complete. Holds one entry at a time.
#[derive(Debug)]
pub(crate) struct DescriptorBuilder<D> {
    entry: Vec<u8>,
    /// Whether `entry` contains the first line of the entry, which annotations precede.
    has_first_line: bool,
    kind: PhantomData<fn() -> D>,
}

impl<D: Descriptor> DescriptorBuilder<D> {
    pub(crate) fn new() -> Self {
        Self { entry: Vec::new(), has_first_line: false, kind: PhantomData }
    }

    /// Adds a line. Returns the entry that ends before it, if one does.
    pub(crate) fn line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let is_first = D::is_first_line(line);
        let complete = if self.has_first_line && (is_first || line.starts_with(b"@")) {
            self.finish()
        } else {
            None
        };
        self.has_first_line |= is_first;
        self.entry.extend_from_slice(line);
        self.entry.push(b'\n');
        complete
    }

    /// Returns the last entry.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        let is_complete = std::mem::take(&mut self.has_first_line);
        // The next entry probably has about the same length.
        let next = Vec::with_capacity(self.entry.len());
        let entry = std::mem::replace(&mut self.entry, next);
        is_complete.then_some(entry)
    }
}
