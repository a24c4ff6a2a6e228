//! Many descriptors in one text.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use memchr::{memmem, memrchr};

use super::consensus::Vote;
use super::key_certificate::KeyCertificate;
use super::microdescriptor::Microdescriptor;
use super::router_status::RouterStatus;
use super::server_descriptor::ServerDescriptor;
use super::text::Text;
use crate::error::ProtocolError;

/// The entries of a consensus, in the form of `GETINFO ns/all`.
pub type RouterStatuses = DescriptorList<RouterStatus>;

/// The votes of all authorities, in the form of an authority's file `v3-status-votes`.
pub type Votes = DescriptorList<Vote>;

/// Key certificates of authorities, in the form of tor's file `cached-certs`.
pub type KeyCertificates = DescriptorList<KeyCertificate>;

/// Microdescriptors, in the form of `GETINFO md/all`.
pub type Microdescriptors = DescriptorList<Microdescriptor>;

/// Server descriptors, in the form of `GETINFO desc/all-recent`.
pub type ServerDescriptors = DescriptorList<ServerDescriptor>;

/// A document type of a [`DescriptorList`]. Sealed.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{Descriptor, DescriptorList, RouterStatuses};
///
/// /// Counts the descriptors that cannot be parsed.
/// fn unreadable<D: Descriptor>(list: &DescriptorList<D>) -> usize {
///     list.iter().filter(Result::is_err).count()
/// }
///
/// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n";
/// assert_eq!(unreadable(&RouterStatuses::new(entry.repeat(2))), 0);
/// ```
pub trait Descriptor: sealed::Read {}

pub(super) mod sealed {
    use super::Text;
    use crate::error::ProtocolError;

    /// Finds the documents of one type in a text, and parses them.
    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Read: Sized {
        /// The keyword of the first line, behind a line feed.
        const FIRST: &'static [u8];

        /// The beginning, behind a line feed, of a line that follows the last document and belongs
        /// to none.
        const NEXT: Option<&'static [u8]> = None;

        /// A length that most documents exceed.
        const LENGTH: usize = 1000;

        /// Whether tor's cache adds annotations before the first line.
        const ANNOTATED: bool = true;

        /// Parses the text of one document.
        #[expect(private_interfaces, reason = "the trait is sealed")]
        fn read(text: Text) -> Result<Self, ProtocolError>;

        /// Returns whether a line is the first line of a document.
        fn is_first_line(line: &[u8]) -> bool {
            let keyword = Self::FIRST.strip_prefix(b"\n").unwrap_or(Self::FIRST);
            line.strip_prefix(keyword).is_some_and(ends_word)
        }
    }

    /// Returns whether a word ends before `after`.
    pub(in crate::descriptor) fn ends_word(after: &[u8]) -> bool {
        matches!(after.first(), None | Some(b' ' | b'\r' | b'\n'))
    }
}

use sealed::ends_word;

/// The descriptors in one text, in order.
///
/// The first access splits the text, and each access parses its descriptor. Clones and the
/// descriptors share the text, so a single descriptor keeps the whole text in memory unless it is
/// [`detached`](RouterStatus::detached).
///
/// A descriptor with an invalid first line is an error, without effect on the others.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::RouterStatuses;
///
/// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n";
/// let list = RouterStatuses::new(entry.repeat(2));
/// for relay in &list {
///     assert_eq!(relay?.or_port(), 9101);
/// }
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone)]
pub struct DescriptorList<D> {
    text: Text,
    /// The ranges of the descriptors, set by the first access.
    entries: Arc<OnceLock<Spans>>,
    /// Whether lines that belong to no document may follow one.
    has_next: bool,
    kind: PhantomData<fn() -> D>,
}

impl<D: Descriptor> DescriptorList<D> {
    /// Creates a list from a text. Lines before the first descriptor are skipped, such as the first
    /// line of an `NS` event or the header of a consensus, and so is its footer.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::RouterStatuses;
    ///
    /// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n";
    /// let list = RouterStatuses::new(entry.repeat(2));
    /// assert_eq!(list.len(), 2);
    /// ```
    #[must_use]
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self::of(Text::new(text.into()))
    }

    pub(crate) fn of(text: Text) -> Self {
        Self { entries: Arc::default(), text, has_next: D::NEXT.is_some(), kind: PhantomData }
    }

    /// Creates a list from a text that contains nothing behind the last descriptor.
    pub(super) fn of_section(text: Text) -> Self {
        Self { has_next: false, ..Self::of(text) }
    }

    fn entries(&self) -> &Spans {
        self.entries.get_or_init(|| find_spans::<D>(self.text.as_bytes(), self.has_next))
    }

    /// Returns a descriptor by its position.
    pub(super) fn get(&self, position: usize) -> Option<Result<D, ProtocolError>> {
        let range = self.entries().get(position)?;
        Some(D::read(self.text.part(range)))
    }

    /// Returns the texts of the descriptors.
    pub(super) fn texts(&self) -> impl Iterator<Item = Text> + '_ {
        let entries = self.entries();
        (0..entries.len()).filter_map(|position| Some(self.text.part(entries.get(position)?)))
    }

    /// Returns the number of descriptors, including invalid ones.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::RouterStatuses;
    ///
    /// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n";
    /// let list = RouterStatuses::new(entry.repeat(2));
    /// assert_eq!(list.len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Returns whether the list is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::RouterStatuses;
    ///
    /// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n";
    /// let list = RouterStatuses::new(entry.repeat(2));
    /// assert!(!list.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the whole text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Returns the descriptors, in the order of the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::RouterStatuses;
    ///
    /// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n";
    /// let list = RouterStatuses::new(entry.repeat(2));
    /// assert!(list.iter().all(|relay| relay.is_ok()));
    /// ```
    #[must_use]
    pub fn iter(&self) -> DescriptorIter<'_, D> {
        let entries = self.entries();
        DescriptorIter { text: &self.text, entries, rest: 0..entries.len(), kind: PhantomData }
    }
}

/// Ranges of a text: 8 bytes each, in a text of 4 GiB and more 16.
#[derive(Debug)]
enum Spans {
    Short(Vec<[u32; 2]>),
    Long(Vec<[usize; 2]>),
}

impl Spans {
    fn new(text: &[u8], length: usize) -> Self {
        let count = text.len() / length;
        if u32::try_from(text.len()).is_ok() {
            Self::Short(Vec::with_capacity(count))
        } else {
            Self::Long(Vec::with_capacity(count))
        }
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize) {
        match self {
            Self::Short(spans) => {
                if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(end)) {
                    push(spans, [start, end]);
                }
            }
            Self::Long(spans) => push(spans, [start, end]),
        }
    }

    #[inline]
    fn get(&self, position: usize) -> Option<Range<usize>> {
        match self {
            Self::Short(spans) => {
                let [start, end] = *spans.get(position)?;
                Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
            }
            Self::Long(spans) => spans.get(position).map(|[start, end]| *start..*end),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Short(spans) => spans.len(),
            Self::Long(spans) => spans.len(),
        }
    }

    /// Gives back memory if most of it is not needed.
    fn shrink(&mut self) {
        match self {
            Self::Short(spans) => shrink(spans),
            Self::Long(spans) => shrink(spans),
        }
    }
}

/// Adds an item. A full vector grows by a quarter, so that it never has twice the needed capacity.
#[inline]
fn push<T>(items: &mut Vec<T>, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact((items.len() / 4).max(4));
    }
    items.push(item);
}

/// Limits the memory to twice that of the items.
fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() / 2 > items.len() {
        items.shrink_to_fit();
    }
}

/// Returns the ranges of the documents in a text.
#[cfg(feature = "onion-descriptor")]
pub(super) fn find<D: sealed::Read>(text: &[u8]) -> Vec<Range<usize>> {
    let spans = find_spans::<D>(text, false);
    (0..spans.len()).filter_map(|position| spans.get(position)).collect()
}

fn find_spans<D: sealed::Read>(text: &[u8], has_next: bool) -> Spans {
    let begin = D::is_first_line(text).then_some(0);
    let others = memmem::find_iter(text, D::FIRST)
        .filter(|at| text.get(at + D::FIRST.len()..).is_some_and(ends_word))
        .map(|at| {
            let start = at + 1;
            if D::ANNOTATED { before_annotations(text, start) } else { start }
        });
    let mut starts = begin.into_iter().chain(others).peekable();
    let next = D::NEXT.filter(|_| has_next);
    let mut ends = next.into_iter().flat_map(|next| memmem::find_iter(text, next)).peekable();
    let mut spans = Spans::new(text, D::LENGTH);
    while let Some(start) = starts.next() {
        let mut end = starts.peek().copied().unwrap_or(text.len());
        while ends.next_if(|at| *at < start).is_some() {}
        if let Some(at) = ends.peek() {
            end = end.min(at + 1);
        }
        spans.push(start, end);
    }
    spans.shrink();
    spans
}

/// Returns the start of the annotations before the line at `start`.
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

/// An iterator over the descriptors of a [`DescriptorList`]; see [`DescriptorList::iter`].
///
/// # Examples
///
/// ```
/// use torcon::descriptor::RouterStatuses;
///
/// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n";
/// let list = RouterStatuses::new(entry.repeat(2));
/// assert_eq!(list.iter().len(), 2);
/// ```
#[derive(Clone)]
pub struct DescriptorIter<'a, D> {
    text: &'a Text,
    entries: &'a Spans,
    rest: Range<usize>,
    kind: PhantomData<fn() -> D>,
}

impl<D: Descriptor> Iterator for DescriptorIter<'_, D> {
    type Item = Result<D, ProtocolError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let range = self.entries.get(self.rest.next()?)?;
        Some(D::read(self.text.part(range)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
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
        write!(f, "DescriptorIter({} entries)", self.rest.len())
    }
}
