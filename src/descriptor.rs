//! Directory documents: consensuses, votes, key certificates, router statuses, microdescriptors, server
//! descriptors, extra-info documents, descriptors of onion services, and exit policies.
//!
//! A [`Consensus`] lists the relays. A [`RouterStatus`] is the entry of one of them, in the form of `GETINFO ns/id/..` and
//! of the events `NS` and `NEWCONSENSUS`, whose [body](crate::event::NsEvent::body) is the text of a
//! [`RouterStatuses`]. A [`Microdescriptor`] contains the keys that a client needs, a
//! [`ServerDescriptor`] everything that a relay publishes about itself, an [`ExtraInfo`] its
//! statistics.
//!
//! All of them are parsed lazily: the entries of a [`DescriptorList`] share one text, an entry is a
//! range of it, and a line is parsed by the method that returns it. Splitting a text of thousands of
//! entries takes milliseconds. Unknown lines are kept ([`DescriptorItem`]), and a line with a syntax
//! error counts as absent; the methods `check` find it. Only an entry with an invalid first line is an
//! error.
//!
//! A [`DescriptorReader`] reads documents from files, one at a time. Other documents name a document by its digest; a [`DescriptorIndex`] finds it.
//!
//! Parsing verifies no signature. A document that a tor returned over its control port needs none: that
//! tor has verified it. Methods `verify` (Cargo feature `verify`) verify documents of files and of other
//! sources; each says what its success means.
//!
//! # Examples
//!
//! ```
//! use torcon::descriptor::RouterStatuses;
//! use torcon::names::RelayFlag;
//!
//! let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE yuv8ybG1CmGaoRvZdYbzWDmZyzo \
//!     2038-01-01 00:00:00 128.31.0.39 9201 9231\n\
//!     s Authority Fast Running Valid\n\
//!     w Bandwidth=20\n";
//! for relay in &RouterStatuses::new(text) {
//!     let relay = relay?;
//!     assert_eq!(relay.nickname().as_str(), "moria1");
//!     assert!(relay.has_flag(&RelayFlag::Fast));
//! }
//! # Ok::<(), torcon::error::ProtocolError>(())
//! ```

mod builder;
mod certificate;
mod consensus;
pub(crate) mod digest;
#[cfg(any(feature = "onion-descriptor", feature = "verify"))]
mod ed25519;
mod exit_policy;
mod extra_info;
mod history;
mod index;
mod item;
mod key_certificate;
mod list;
mod microdescriptor;
#[cfg(not(fuzzing))]
mod onion;
#[cfg(fuzzing)]
pub(crate) mod onion;
mod protocols;
mod reader;
mod router_status;
mod rule;
#[cfg(feature = "serde")]
mod serialize;
mod server_descriptor;
mod text;
#[cfg(feature = "verify")]
mod verify;

#[cfg(test)]
mod tests;

pub(crate) use self::builder::DescriptorBuilder;
#[doc(alias = "Ed25519Extension")]
pub use self::certificate::CertificateExtension;
#[doc(alias = "CertType")]
pub use self::certificate::CertificateType;
pub use self::certificate::CertifiedKeyType;
#[doc(alias = "Ed25519CertificateV1")]
pub use self::certificate::Ed25519Certificate;
#[doc(alias("NetworkStatusDocumentV3", "network_status"))]
pub use self::consensus::Consensus;
#[doc(alias = "PARAM_RANGE")]
pub use self::consensus::ConsensusParam;
#[doc(alias = "DocumentSignature")]
pub use self::consensus::DirectorySignature;
#[doc(alias = "SharedRandomnessCommitment")]
pub use self::consensus::SharedRandomCommit;
#[doc(alias = "NetworkStatusDocumentV3")]
pub use self::consensus::Vote;
pub use self::consensus::{DirectoryAuthority, PackageVersion, SharedRandomValue};
#[doc(alias = "AddressType")]
pub use self::exit_policy::AddressPattern;
#[doc(alias = "MicroExitPolicy")]
#[doc(alias = "PortRange")]
pub use self::exit_policy::ExitPolicy;
pub use self::exit_policy::ExitPolicyRule;
#[doc(alias("RelayExtraInfoDescriptor", "BridgeExtraInfoDescriptor"))]
pub use self::extra_info::ExtraInfo;
pub use self::extra_info::{
    BridgeTransport, ConnectionDirections, NoisyCount, OverloadRateLimits, PaddingCounts,
    StatisticMap,
};
pub use self::history::{BandwidthHistory, MeasurementInterval};
pub use self::index::{DescriptorIndex, NamedByDigest};
pub use self::item::DescriptorItem;
#[doc(alias = "dir-key-certificate")]
pub use self::key_certificate::KeyCertificate;
pub use self::list::{
    Descriptor, DescriptorIter, DescriptorList, KeyCertificates, Microdescriptors, RouterStatuses,
    ServerDescriptors, Votes,
};
pub use self::microdescriptor::Microdescriptor;
#[cfg(feature = "onion-descriptor")]
#[doc(alias = "IntroductionPointV3")]
pub use self::onion::IntroductionPoint;
#[cfg(feature = "onion-descriptor")]
#[doc(alias = "AuthorizedClient")]
pub use self::onion::OnionAuthClient;
#[doc(alias = "HiddenServiceDescriptorV3")]
pub use self::onion::OnionDescriptor;
#[cfg(feature = "onion-descriptor")]
#[doc(alias = "OuterLayer")]
pub use self::onion::OnionFirstLayer;
#[cfg(feature = "onion-descriptor")]
#[doc(alias = "InnerLayer")]
pub use self::onion::OnionSecondLayer;
#[cfg(feature = "onion-descriptor")]
pub use self::onion::{LinkSpecifier, OnionFlowControl, OnionPowParams};
#[doc(alias = "protover")]
pub use self::protocols::ProtocolVersions;
#[doc(alias = "parse_file")]
pub use self::reader::DescriptorReader;
pub use self::reader::{AnyDescriptor, BridgeStatusHeader, DescriptorEntry};
#[doc(alias = "microdescriptor_hashes")]
pub use self::router_status::MicrodescriptorDigest;
#[doc(alias = "Router")]
pub use self::router_status::RouterStatus;
pub use self::server_descriptor::{AdvertisedBandwidth, ServerDescriptor};
pub(crate) use self::text::Text;
#[cfg(feature = "verify")]
pub use self::verify::{ConsensusSigners, RelayIdentity, public_authorities};
