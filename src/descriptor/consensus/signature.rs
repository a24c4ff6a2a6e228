//! The signatures of a consensus or vote.

use crate::descriptor::item::DescriptorItem;
use crate::names::{DigestAlgorithm, Fingerprint};

/// The signature of a directory authority below a consensus or vote. It is not verified.
///
/// # Examples
///
/// ```no_run
/// let consensus = torcon::descriptor::Consensus::parse(std::fs::read("cached-consensus")?)?;
/// for signature in consensus.signatures() {
///     println!("{} {}", signature.identity, signature.algorithm);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DirectorySignature {
    /// The algorithm of the digest that is signed; SHA-1 if the line does not name it.
    #[doc(alias = "method")]
    pub algorithm: DigestAlgorithm,
    /// The fingerprint of the authority's identity key.
    pub identity: Fingerprint,
    /// The SHA-1 digest of the signing key.
    #[doc(alias = "key_digest")]
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::names::serialize::base64"))]
    pub signing_key_digest: [u8; 20],
    /// The signature.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub signature: Vec<u8>,
}

impl DirectorySignature {
    /// Reads `directory-signature [ALGORITHM] IDENTITY DIGEST` and the object.
    pub(in crate::descriptor) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let first = words.next()?;
        let (algorithm, identity) = match Fingerprint::from_hex(first) {
            Some(identity) => (DigestAlgorithm::Sha1, identity),
            None => (DigestAlgorithm::from_bytes(first), Fingerprint::from_hex(words.next()?)?),
        };
        let signing_key_digest = *Fingerprint::from_hex(words.next()?)?.as_bytes();
        let signature = item.decode_object("SIGNATURE")?;
        Some(Self { algorithm, identity, signing_key_digest, signature })
    }
}

pub(super) fn is_signature(item: &DescriptorItem<'_>) -> bool {
    DirectorySignature::read(item).is_some()
}
