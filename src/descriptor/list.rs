//! Many descriptors in one text.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use memchr::{memmem, memrchr};

use super::microdescriptor::Microdescriptor;
use super::router_status::RouterStatus;
use super::server_descriptor::ServerDescriptor;
use super::text::Text;
use crate::error::ProtocolError;

/// The entries of a consensus, as `GETINFO ns/all` gives them.
pub type RouterStatuses = DescriptorList<RouterStatus>;

/// Several microdescriptors, as `GETINFO md/all` gives them.
pub type Microdescriptors = DescriptorList<Microdescriptor>;

/// Several server descriptors, as `GETINFO desc/all-recent` gives them.
pub type ServerDescriptors = DescriptorList<ServerDescriptor>;

/// What a [`DescriptorList`] can hold; the four kinds of this module.
pub trait Descriptor: sealed::Read {}

pub(super) mod sealed {
    use super::Text;
    use crate::error::ProtocolError;

    /// How a kind of descriptor is found in a text, and read.
    #[expect(unnameable_types, reason = "so that nobody else can implement it")]
    pub trait Read: Sized {
        /// The keyword of the first line, behind a line feed.
        const FIRST: &'static [u8];

        /// Whether tor's cache adds lines before the first.
        const ANNOTATED: bool = true;

        /// Reads the text of one descriptor.
        #[expect(private_interfaces, reason = "the trait is sealed")]
        fn read(text: Text) -> Result<Self, ProtocolError>;

        /// Whether a line begins a descriptor.
        fn is_first_line(line: &[u8]) -> bool {
            let keyword = Self::FIRST.strip_prefix(b"\n").unwrap_or(Self::FIRST);
            line.strip_prefix(keyword).is_some_and(ends_word)
        }
    }

    /// Whether a word ends where this begins.
    pub(in crate::descriptor) fn ends_word(after: &[u8]) -> bool {
        matches!(after.first(), None | Some(b' ' | b'\r' | b'\n'))
    }
}

use sealed::ends_word;

/// The descriptors in one text, in its order.
///
/// The text is searched for their beginnings when the first of them is asked for, and a descriptor
/// is read when it is. Clones, and the descriptors themselves, share the text: one that is kept keeps
/// all of them in memory, unless it is [`detached`](RouterStatus::detached).
///
/// Reading a descriptor can fail, if its first line is not what it should be. That does no harm
/// to the others.
#[derive(Clone)]
pub struct DescriptorList<D> {
    text: Text,
    /// Where they are, once that has been looked for.
    entries: Arc<OnceLock<Vec<Range<usize>>>>,
    kind: PhantomData<fn() -> D>,
}

impl<D: Descriptor> DescriptorList<D> {
    /// Divides a text. What stands before the first entry is left out, such as the first line of
    /// an `NS` event.
    #[must_use]
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self::of(Text::new(text.into()))
    }

    pub(crate) fn of(text: Text) -> Self {
        Self { entries: Arc::default(), text, kind: PhantomData }
    }

    fn entries(&self) -> &[Range<usize>] {
        self.entries.get_or_init(|| find::<D>(self.text.as_bytes()))
    }

    /// Returns the number of descriptors, readable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Returns the whole text, as tor sent it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Returns the descriptors, in the order of the text.
    #[must_use]
    pub fn iter(&self) -> DescriptorIter<'_, D> {
        DescriptorIter { text: &self.text, entries: self.entries().iter(), kind: PhantomData }
    }
}

/// Finds where the descriptors of a text are.
fn find<D: Descriptor>(text: &[u8]) -> Vec<Range<usize>> {
    let begin = D::is_first_line(text).then_some(0);
    let others = memmem::find_iter(text, D::FIRST)
        .filter(|place| text.get(place + D::FIRST.len()..).is_some_and(ends_word))
        .map(|place| {
            let start = place + 1;
            if D::ANNOTATED { before_annotations(text, start) } else { start }
        });
    let mut entries: Vec<Range<usize>> = Vec::with_capacity(text.len() / 200);
    for start in begin.into_iter().chain(others) {
        if let Some(last) = entries.last_mut() {
            last.end = start;
        }
        entries.push(start..text.len());
    }
    entries
}

/// Returns where the annotations begin that stand before the line at `start`.
fn before_annotations(text: &[u8], mut start: usize) -> usize {
    loop {
        let before = text.get(..start.saturating_sub(1)).unwrap_or_default();
        let line = memrchr(b'\n', before).map_or(0, |end| end + 1);
        if text.get(line) != Some(&b'@') || line >= start {
            return start;
        }
        start = line;
    }
}

/// The descriptors of a [`DescriptorList`]; made by [`DescriptorList::iter`].
#[derive(Clone)]
pub struct DescriptorIter<'a, D> {
    text: &'a Text,
    entries: std::slice::Iter<'a, Range<usize>>,
    kind: PhantomData<fn() -> D>,
}

impl<D: Descriptor> Iterator for DescriptorIter<'_, D> {
    type Item = Result<D, ProtocolError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let range = self.entries.next()?;
        Some(D::read(self.text.part(range.clone())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<D: Descriptor> ExactSizeIterator for DescriptorIter<'_, D> {}

impl<D: Descriptor> FusedIterator for DescriptorIter<'_, D> {}

impl<'a, D: Descriptor> IntoIterator for &'a DescriptorList<D> {
    type Item = Result<D, ProtocolError>;
    type IntoIter = DescriptorIter<'a, D>;

    fn into_iter(self) -> DescriptorIter<'a, D> {
        self.iter()
    }
}

impl<D: Descriptor> fmt::Debug for DescriptorList<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.text.as_bytes().len();
        write!(f, "DescriptorList({} entries, {bytes} bytes)", self.len())
    }
}

impl<D> fmt::Debug for DescriptorIter<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DescriptorIter({} entries)", self.entries.len())
    }
}
