//! A range of a shared text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A range of a text that several entries share.
#[derive(Clone)]
pub(crate) struct Text {
    /// A vector, so that the bytes of a reply are taken over without a copy.
    shared: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Text {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { shared: Arc::new(bytes), range }
    }

    /// Takes over the bytes of a reply; the text is the given range.
    pub(crate) fn within(bytes: Vec<u8>, range: Range<usize>) -> Self {
        Self { shared: Arc::new(bytes), range }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.shared.get(self.range.clone()).unwrap_or_default()
    }

    /// Returns a range of this text; an empty text if it is out of bounds.
    #[inline]
    pub(crate) fn part(&self, part: Range<usize>) -> Self {
        let whole = self.range.len();
        let range = match self.as_bytes().get(part.clone()) {
            Some(_) => self.range.start + part.start..self.range.start + part.end,
            None => whole..whole,
        };
        Self { shared: Arc::clone(&self.shared), range }
    }

    /// Returns a copy that shares nothing.
    pub(crate) fn detached(&self) -> Self {
        Self::new(self.as_bytes().to_vec())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}
