//! Documents by their digests.

use std::fmt;

use super::extra_info::ExtraInfo;
use super::item::{DescriptorItem, base64};
use super::list::{Descriptor, DescriptorList};
use super::microdescriptor::Microdescriptor;
use super::router_status::RouterStatus;
use super::server_descriptor::ServerDescriptor;

#[cfg(test)]
mod tests;

/// A document type of a [`DescriptorIndex`]. Sealed.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{DescriptorIndex, NamedByDigest};
///
/// /// Counts the documents that other documents can name.
/// fn named<D: NamedByDigest>(index: &DescriptorIndex<D>) -> usize {
///     index.len()
/// }
///
/// let index: DescriptorIndex<torcon::descriptor::ExtraInfo> = [].into_iter().collect();
/// assert_eq!(named(&index), 0);
/// ```
pub trait NamedByDigest: Descriptor + Key {}

mod sealed {
    /// Has a digest.
    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Key {
        /// The digest: SHA-256 of a microdescriptor, SHA-1 of others.
        type Digest: Copy + Ord + AsRef<[u8]>;

        /// Returns the digest by which other documents name this one.
        fn key(&self) -> Option<Self::Digest>;
    }
}

use sealed::Key;

impl NamedByDigest for Microdescriptor {}

impl Key for Microdescriptor {
    type Digest = [u8; 32];

    fn key(&self) -> Option<[u8; 32]> {
        Some(self.digest())
    }
}

impl NamedByDigest for ServerDescriptor {}

impl Key for ServerDescriptor {
    type Digest = [u8; 20];

    fn key(&self) -> Option<[u8; 20]> {
        self.digest()
    }
}

impl NamedByDigest for ExtraInfo {}

impl Key for ExtraInfo {
    type Digest = [u8; 20];

    fn key(&self) -> Option<[u8; 20]> {
        self.digest()
    }
}

/// Finds documents by the digests by which others name them: the microdescriptor and the server
/// descriptor of a relay in the consensus, the extra-info document of a server descriptor.
///
/// It is made once, from a [list](Self::new) or an iterator, in n log n time, most of which the
/// digests take. The documents share the text of their list. An entry takes the bytes of its digest,
/// and at most 80 for the document itself. Documents without digest are left out.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::DescriptorIndex;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let microdescriptors = DescriptorIndex::new(&controller.microdescriptors()?);
/// for relay in &controller.relay_statuses()? {
///     let relay = relay?;
///     if let Some(descriptor) = microdescriptors.of(&relay) {
///         println!("{} {:?}", relay.nickname(), descriptor.exit_ports());
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct DescriptorIndex<D: NamedByDigest> {
    /// Sorted by digest.
    entries: Box<[(D::Digest, D)]>,
}

impl<D: NamedByDigest> DescriptorIndex<D> {
    /// Creates an index of a list. Invalid entries of the list are left out.
    #[must_use]
    pub fn new(list: &DescriptorList<D>) -> Self {
        list.iter().flatten().collect()
    }

    /// Returns the document with this digest.
    #[must_use]
    pub fn get(&self, digest: &D::Digest) -> Option<&D> {
        self.with_prefix(digest.as_ref())
    }

    /// Returns a document whose digest begins with these bytes.
    fn with_prefix(&self, prefix: &[u8]) -> Option<&D> {
        let at = self.entries.partition_point(|(digest, _)| digest.as_ref() < prefix);
        let (digest, document) = self.entries.get(at)?;
        digest.as_ref().starts_with(prefix).then_some(document)
    }

    /// Returns the number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the index is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the documents, sorted by digest.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &D> {
        self.entries.iter().map(|(_, document)| document)
    }
}

/// Documents with equal digests are equal, and only one of them is kept.
impl<D: NamedByDigest> FromIterator<D> for DescriptorIndex<D> {
    fn from_iter<I: IntoIterator<Item = D>>(documents: I) -> Self {
        let documents = documents.into_iter();
        let mut entries: Vec<_> =
            documents.filter_map(|document| Some((document.key()?, document))).collect();
        entries.sort_unstable_by_key(|(digest, _)| *digest);
        entries.dedup_by_key(|(digest, _)| *digest);
        Self { entries: entries.into() }
    }
}

impl<D: NamedByDigest> Default for DescriptorIndex<D> {
    fn default() -> Self {
        Self { entries: Box::default() }
    }
}

impl DescriptorIndex<Microdescriptor> {
    /// Returns the microdescriptor of a relay, by the `m` line of its entry in a consensus or vote, or
    /// by the 20 bytes that the reply to `GETINFO ns/..` contains.
    #[must_use]
    pub fn of(&self, relay: &RouterStatus) -> Option<&Microdescriptor> {
        // A vote has several digests, by consensus method.
        let named = relay
            .items()
            .filter(|item| item.is(b"m"))
            .find_map(|item| self.get(&digest_in_line(&item)?));
        named.or_else(|| self.with_prefix(&relay.descriptor_digest()?))
    }
}

/// Parses `m DIGEST` of a consensus, or `m METHODS sha256=DIGEST` of a vote.
fn digest_in_line(item: &DescriptorItem<'_>) -> Option<[u8; 32]> {
    item.words().find_map(|word| base64(word.strip_prefix(b"sha256=").unwrap_or(word)))
}

impl DescriptorIndex<ServerDescriptor> {
    /// Returns the server descriptor of a relay. `None` also if the entry of the relay is of a
    /// consensus of microdescriptors, which does not name server descriptors.
    #[must_use]
    pub fn of(&self, relay: &RouterStatus) -> Option<&ServerDescriptor> {
        self.get(&relay.descriptor_digest()?)
    }
}

impl DescriptorIndex<ExtraInfo> {
    /// Returns the extra-info document that a server descriptor names.
    #[must_use]
    pub fn of(&self, descriptor: &ServerDescriptor) -> Option<&ExtraInfo> {
        self.get(&descriptor.extra_info_digest()?)
    }
}

impl<D: NamedByDigest> fmt::Debug for DescriptorIndex<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DescriptorIndex({} entries)", self.entries.len())
    }
}
