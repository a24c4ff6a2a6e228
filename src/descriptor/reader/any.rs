//! Documents whose kinds are recognized.

use super::bridge_status::BridgeStatusHeader;
use super::kind::Kind;
use super::{DescriptorEntry, sealed};
use crate::descriptor::item::Items;
use crate::descriptor::list::sealed::Read as _;
use crate::descriptor::text::Text;
use crate::descriptor::{
    Consensus, ExtraInfo, KeyCertificate, Microdescriptor, OnionDescriptor, RouterStatus,
    ServerDescriptor, Vote,
};
use crate::error::ProtocolError;

/// A document of a file with documents of any kind; see
/// [`DescriptorReader`](super::DescriptorReader).
///
/// A consensus, a vote or a status of bridges is read part by part: its header, its entries, its
/// footer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum AnyDescriptor {
    /// A descriptor of a relay or bridge.
    Server(ServerDescriptor),
    /// An extra-info document of a relay or bridge.
    ExtraInfo(ExtraInfo),
    /// A microdescriptor.
    Microdescriptor(Microdescriptor),
    /// A key certificate of a directory authority.
    KeyCertificate(KeyCertificate),
    /// A descriptor of an onion service.
    Onion(OnionDescriptor),
    /// The beginning of a consensus: all before the first entry. It has no entries and signatures.
    ConsensusHeader(Consensus),
    /// The beginning of a vote: all before the first entry. It has no entries and no signature.
    VoteHeader(Vote),
    /// The beginning of a status of bridges: all before the first entry.
    BridgeStatusHeader(BridgeStatusHeader),
    /// An entry of a consensus, vote or status of bridges.
    RouterStatus(RouterStatus),
    /// The header and the footer of a consensus whose entries were read. It has no entries.
    ConsensusFooter(Consensus),
    /// The header and the footer of a vote whose entries were read. It has no entries.
    VoteFooter(Vote),
}

impl AnyDescriptor {
    /// Returns the whole text, with the annotations.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Server(document) => document.as_bytes(),
            Self::ExtraInfo(document) => document.as_bytes(),
            Self::Microdescriptor(document) => document.as_bytes(),
            Self::KeyCertificate(document) => document.as_bytes(),
            Self::Onion(document) => document.as_bytes(),
            Self::ConsensusHeader(document) | Self::ConsensusFooter(document) => {
                document.as_bytes()
            }
            Self::VoteHeader(document) | Self::VoteFooter(document) => document.as_bytes(),
            Self::BridgeStatusHeader(document) => document.as_bytes(),
            Self::RouterStatus(document) => document.as_bytes(),
        }
    }
}

impl DescriptorEntry for AnyDescriptor {}

impl sealed::FromEntry for AnyDescriptor {
    #[expect(private_interfaces, reason = "the trait is sealed")]
    const KIND: Option<Kind> = None;

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn from_entry(kind: Kind, text: Text, check: bool) -> Option<Result<Self, ProtocolError>> {
        match kind {
            Kind::ServerDescriptor => read(kind, text, check, Self::Server),
            Kind::ExtraInfo => read(kind, text, check, Self::ExtraInfo),
            Kind::Microdescriptor => read(kind, text, check, Self::Microdescriptor),
            Kind::RouterStatus => read(kind, text, check, Self::RouterStatus),
            Kind::KeyCertificate => read(kind, text, check, Self::KeyCertificate),
            Kind::Header => Some(header(text, check)),
            Kind::Footer => Some(footer(text, check)),
            Kind::OnionDescriptor => read(kind, text, check, Self::Onion),
            Kind::NetworkStatus => None,
        }
    }
}

fn read<D: DescriptorEntry>(
    kind: Kind,
    text: Text,
    check: bool,
    variant: fn(D) -> AnyDescriptor,
) -> Option<Result<AnyDescriptor, ProtocolError>> {
    Some(D::from_entry(kind, text, check)?.map(variant))
}

fn is_vote(text: &Text) -> bool {
    let status = Items::new(text.as_bytes()).find_keyword(b"vote-status");
    status.is_some_and(|item| item.arguments_bytes() == b"vote")
}

fn header(text: Text, check: bool) -> Result<AnyDescriptor, ProtocolError> {
    if Items::new(text.as_bytes()).first().is_some_and(|item| item.is(b"published")) {
        let header = BridgeStatusHeader::new(text);
        if check {
            header.check()?;
        }
        return Ok(AnyDescriptor::BridgeStatusHeader(header));
    }
    if is_vote(&text) {
        let vote = Vote::read(text)?;
        if check {
            vote.check_header()?;
        }
        return Ok(AnyDescriptor::VoteHeader(vote));
    }
    let consensus = Consensus::read(text)?;
    if check {
        consensus.check_header()?;
    }
    Ok(AnyDescriptor::ConsensusHeader(consensus))
}

/// Reads a header with a footer.
fn footer(text: Text, check: bool) -> Result<AnyDescriptor, ProtocolError> {
    if is_vote(&text) {
        let vote = Vote::read(text)?;
        if check {
            vote.check_footer()?;
        }
        return Ok(AnyDescriptor::VoteFooter(vote));
    }
    let consensus = Consensus::read(text)?;
    if check {
        consensus.check_footer()?;
    }
    Ok(AnyDescriptor::ConsensusFooter(consensus))
}
