//! A growing buffer that is zeroized, with every allocation that it had.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroize as _;

/// A buffer that can contain a secret. It is zeroized when it is dropped, and when it moves to a larger
/// allocation.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
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

    fn reserve(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() >= more {
            return;
        }
        let mut larger = Vec::with_capacity((self.0.len() + more).max(2 * self.0.len()));
        larger.extend_from_slice(&self.0);
        self.0.zeroize();
        self.0 = larger;
    }
}

impl From<&str> for Wiped {
    fn from(text: &str) -> Self {
        Self(text.into())
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
        self.0.zeroize();
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wiped({} bytes)", self.0.len())
    }
}
