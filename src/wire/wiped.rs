//! A growing buffer that is zeroized, with every allocation that it had.

use std::fmt;
use std::ops::{Deref, Range};

use zeroize::Zeroize as _;

/// A buffer that can contain a secret. It is zeroized when it is dropped, and when it moves to a larger
/// allocation.
///
/// **Invariant**: the allocation behind the last byte was never written, or is zeroized, unless it
/// came by [`swap`](Self::swap).
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Removes all bytes, and keeps the allocation.
    pub(crate) fn clear(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }

    /// Removes a range of bytes.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        let length = self.0.len();
        let (start, end) = (range.start.min(length), range.end.min(length));
        self.0.copy_within(end.., start);
        let length = length - (end - start);
        self.0.get_mut(length..).unwrap_or_default().zeroize();
        self.0.truncate(length);
    }

    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    pub(crate) fn insert_first(&mut self, byte: u8) {
        self.reserve(1);
        self.0.insert(0, byte);
    }

    /// Appends the bytes that `write` appends, at most `limit`.
    pub(crate) fn extend_with(&mut self, limit: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.reserve(limit);
        write(&mut self.0);
    }

    /// Exchanges the bytes for those of a buffer that is not zeroized.
    pub(crate) fn swap(&mut self, other: &mut Vec<u8>) {
        std::mem::swap(&mut self.0, other);
    }

    fn reserve(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() >= more {
            return;
        }
        let mut larger = Vec::with_capacity((self.0.len() + more).max(2 * self.0.len()));
        larger.extend_from_slice(&self.0);
        self.clear();
        self.0 = larger;
    }
}

impl From<&str> for Wiped {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&[u8]> for Wiped {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wiped({} bytes)", self.0.len())
    }
}
