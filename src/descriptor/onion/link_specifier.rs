//! Link specifiers: the addresses and identities of a relay, as cells contain them.

use std::net::{SocketAddrV4, SocketAddrV6};

use data_encoding::{BASE64, BASE64_NOPAD};

use crate::names::Fingerprint;
#[cfg(feature = "serde")]
use crate::names::serialize::base64_bytes as serialize_base64;

/// An address or an identity of the relay of an [`IntroductionPoint`](super::IntroductionPoint).
/// Needs the Cargo feature `onion-descriptor`.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::{IntroductionPoint, LinkSpecifier};
///
/// fn has_ipv6(point: &IntroductionPoint) -> bool {
///     point.link_specifiers().any(|specifier| matches!(specifier, LinkSpecifier::Ipv6(_)))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum LinkSpecifier {
    /// Type 0: an IPv4 address and its OR port.
    Ipv4(SocketAddrV4),
    /// Type 1: an IPv6 address and its OR port.
    Ipv6(SocketAddrV6),
    /// Type 2: the fingerprint.
    LegacyId(Fingerprint),
    /// Type 3: the Ed25519 identity.
    Ed25519Id(#[cfg_attr(feature = "serde", serde(serialize_with = "serialize_base64"))] [u8; 32]),
    /// A type that this version of torcon does not know.
    Unrecognized {
        /// The type.
        number: u8,
        /// The bytes of the link specifier.
        bytes: Box<[u8]>,
    },
}

impl LinkSpecifier {
    /// Reads the link specifiers of an introduction point.
    pub(super) fn read_all(text: &[u8]) -> Option<Vec<Self>> {
        let encoding = if text.ends_with(b"=") { &BASE64 } else { &BASE64_NOPAD };
        let bytes = encoding.decode(text).ok()?;
        let (count, mut rest) = bytes.split_first()?;
        let specifiers = (0..*count).map(|_| Self::take(&mut rest)).collect::<Option<_>>()?;
        rest.is_empty().then_some(specifiers)
    }

    /// Takes the link specifier at the start of the bytes.
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (&[number, length], rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(length.into())?;
        *bytes = rest;
        Some(match number {
            0 => {
                let (address, port) = address(value)?;
                Self::Ipv4(SocketAddrV4::new(<[u8; 4]>::into(address), port))
            }
            1 => {
                let (address, port) = address(value)?;
                Self::Ipv6(SocketAddrV6::new(<[u8; 16]>::into(address), port, 0, 0))
            }
            2 => Self::LegacyId(Fingerprint::from(<[u8; 20]>::try_from(value).ok()?)),
            3 => Self::Ed25519Id(value.try_into().ok()?),
            _ => Self::Unrecognized { number, bytes: value.into() },
        })
    }
}

/// Splits an address from its port.
fn address<const N: usize>(value: &[u8]) -> Option<([u8; N], u16)> {
    let (address, port) = value.split_first_chunk()?;
    Some((*address, u16::from_be_bytes(port.try_into().ok()?)))
}
