//! Descriptors out of lines that come one by one.

use std::marker::PhantomData;

use super::list::Descriptor;

/// Collects lines until an entry is complete. Holds one entry and no more.
#[derive(Debug)]
pub(crate) struct DescriptorBuilder<D> {
    entry: Vec<u8>,
    /// Whether the first line has come; before it there are annotations.
    begun: bool,
    kind: PhantomData<fn() -> D>,
}

impl<D: Descriptor> DescriptorBuilder<D> {
    pub(crate) fn new() -> Self {
        Self { entry: Vec::new(), begun: false, kind: PhantomData }
    }

    /// Takes a line, and returns the entry that ended before it.
    pub(crate) fn line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let is_first = D::is_first_line(line);
        let complete =
            if self.begun && (is_first || line.starts_with(b"@")) { self.finish() } else { None };
        self.begun |= is_first;
        self.entry.extend_from_slice(line);
        self.entry.push(b'\n');
        complete
    }

    /// Returns the last entry.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        let begun = std::mem::take(&mut self.begun);
        // The next one will be about as long.
        let next = Vec::with_capacity(self.entry.len());
        let entry = std::mem::replace(&mut self.entry, next);
        begun.then_some(entry)
    }
}
