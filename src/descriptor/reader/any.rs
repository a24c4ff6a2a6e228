//! Documents whose kinds are recognized.

use super::super::text::Text;
use super::super::{ExtraInfo, Microdescriptor, RouterStatus, ServerDescriptor};
use super::kind::Kind;
use super::{DescriptorEntry, sealed};
use crate::error::ProtocolError;

/// A document of a file with documents of any kind; see
/// [`DescriptorReader`](super::DescriptorReader).
///
/// A consensus, a vote or a bridge status is read part by part: its header, its entries, its footer.
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
    /// An entry of a consensus, vote or bridge status.
    RouterStatus(RouterStatus),
}

impl AnyDescriptor {
    /// Returns the whole text, with the annotations.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Server(document) => document.as_bytes(),
            Self::ExtraInfo(document) => document.as_bytes(),
            Self::Microdescriptor(document) => document.as_bytes(),
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
            _ => None,
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
