//! The shared random values and the commitments to them.

use crate::descriptor::item::{DescriptorItem, base64, number};
use crate::descriptor::rule::Rule;
use crate::names::{DigestAlgorithm, Fingerprint};

/// A shared random value, on which the authorities agree every day.
///
/// The values determine which relays store an onion service's descriptors.
///
/// # Examples
///
/// ```no_run
/// let consensus = torcon::descriptor::Consensus::parse(std::fs::read("cached-consensus")?)?;
/// if let Some(current) = consensus.shared_random_current() {
///     println!("{} authorities revealed", current.reveals);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SharedRandomValue {
    /// The number of authorities whose revealed values it was made of.
    #[doc(alias = "NumReveals")]
    pub reveals: u32,
    /// The value.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::names::serialize::base64"))]
    pub value: [u8; 32],
}

impl SharedRandomValue {
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        Some(Self { reveals: number(words.next()?)?, value: base64(words.next()?)? })
    }
}

/// The values in the header of a consensus, and in the section of the authority of a vote.
pub(super) const PREVIOUS_VALUE: Rule = Rule::optional(
    b"shared-rand-previous-value",
    "shared-rand-previous-value NUMBER VALUE",
    is_value,
);
pub(super) const CURRENT_VALUE: Rule = Rule::optional(
    b"shared-rand-current-value",
    "shared-rand-current-value NUMBER VALUE",
    is_value,
);

fn is_value(item: &DescriptorItem<'_>) -> bool {
    SharedRandomValue::read(item).is_some()
}

/// The commitment of an authority to its part of the next shared random value, in a vote.
///
/// # Examples
///
/// ```no_run
/// for vote in &torcon::descriptor::Votes::new(std::fs::read("v3-status-votes")?) {
///     for commit in vote?.shared_random_commits() {
///         println!("{} {}", commit.identity, commit.reveal.is_some());
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SharedRandomCommit {
    /// The version of the protocol.
    pub version: u32,
    /// The algorithm, mostly SHA3-256.
    pub algorithm: DigestAlgorithm,
    /// The fingerprint of the authority's identity key.
    pub identity: Fingerprint,
    /// The commitment, in base64: a timestamp of 8 bytes, and a digest.
    pub commit: String,
    /// The revealed value, in base64, after the commit phase.
    pub reveal: Option<String>,
}

impl SharedRandomCommit {
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let version = number(words.next()?)?;
        let algorithm = DigestAlgorithm::from_bytes(words.next()?);
        let identity = Fingerprint::from_hex(words.next()?)?;
        let mut text = || words.next().map(|word| String::from_utf8_lossy(word).into_owned());
        Some(Self { version, algorithm, identity, commit: text()?, reveal: text() })
    }
}

pub(super) fn is_commit(item: &DescriptorItem<'_>) -> bool {
    SharedRandomCommit::read(item).is_some()
}
