//! Introduction points.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use super::certificate;
use super::link_specifier::LinkSpecifier;
use crate::descriptor::certificate::Ed25519Certificate;
use crate::descriptor::item::{DescriptorItem, Items, base64, has_lines};
use crate::descriptor::list::sealed::Read;
use crate::descriptor::rule::{self, Rule};
use crate::descriptor::text::Text;
use crate::error::ProtocolError;
use crate::names::Fingerprint;

/// An introduction point of an onion service: a relay over which clients send their first message to
/// the service, and the keys for it. Needs the Cargo feature `onion-descriptor`.
///
/// A clone is cheap, and every line is parsed by the method that returns it.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::OnionSecondLayer;
///
/// fn show(layer: &OnionSecondLayer) {
///     for point in layer.introduction_points() {
///         let addresses: Vec<_> = point.or_addresses().collect();
///         println!("{:?} at {addresses:?}", point.fingerprint());
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct IntroductionPoint {
    text: Text,
}

const READING: &str = "an introduction point of an onion service";

/// The lines that have methods.
const RULES: &[Rule] = &[
    Rule::once(b"introduction-point", "introduction-point LINK-SPECIFIERS in base64", |item| {
        link_specifiers(item).is_some()
    }),
    // Clients ignore other types of keys.
    Rule::repeated(b"onion-key", "onion-key TYPE KEY in base64", is_key),
    Rule::once(b"auth-key", "auth-key and an Ed25519 certificate", |item| {
        certificate(item).is_some()
    }),
    Rule::repeated(b"enc-key", "enc-key TYPE KEY in base64", is_key),
    Rule::once(b"enc-key-cert", "enc-key-cert and an Ed25519 certificate", |item| {
        certificate(item).is_some()
    }),
    Rule::optional(b"legacy-key", "legacy-key and an RSA key", |item| {
        item.decode_object("RSA PUBLIC KEY").is_some()
    }),
    Rule::optional(b"legacy-key-cert", "legacy-key-cert and a certificate", |item| {
        item.decode_object("CROSSCERT").is_some()
    }),
];

fn link_specifiers(item: &DescriptorItem<'_>) -> Option<Vec<LinkSpecifier>> {
    LinkSpecifier::read_all(item.words().next()?)
}

fn ntor_key(item: &DescriptorItem<'_>) -> Option<[u8; 32]> {
    let mut words = item.words();
    (words.next()? == b"ntor").then(|| words.next().and_then(base64))?
}

fn is_key(item: &DescriptorItem<'_>) -> bool {
    match item.words().next() {
        Some(b"ntor") => ntor_key(item).is_some(),
        _ => item.words().nth(1).is_some(),
    }
}

impl Read for IntroductionPoint {
    const FIRST: &'static [u8] = b"\nintroduction-point";

    const ANNOTATED: bool = false;

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        Ok(Self::new(text))
    }
}

has_lines!(IntroductionPoint);

impl IntroductionPoint {
    /// Takes a part of the second layer that begins with a line `introduction-point`.
    pub(super) fn new(text: Text) -> Self {
        Self { text }
    }

    /// Checks an introduction point, which is a part of the text of a second layer.
    pub(super) fn check_part(text: &[u8], part: &[u8]) -> Result<(), ProtocolError> {
        rule::check_part(READING, RULES, text, part)
    }

    /// Returns the link specifiers, which address and identify the relay; none if one of them has a
    /// syntax error.
    pub fn link_specifiers(&self) -> impl Iterator<Item = LinkSpecifier> {
        let item = self.find(b"introduction-point");
        item.as_ref().and_then(link_specifiers).into_iter().flatten()
    }

    /// Returns the addresses of the relay, IPv4 and IPv6.
    pub fn or_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.link_specifiers().filter_map(|specifier| match specifier {
            LinkSpecifier::Ipv4(address) => Some(address.into()),
            LinkSpecifier::Ipv6(address) => Some(address.into()),
            _ => None,
        })
    }

    /// Returns the fingerprint of the relay.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.link_specifiers().find_map(|specifier| match specifier {
            LinkSpecifier::LegacyId(fingerprint) => Some(fingerprint),
            _ => None,
        })
    }

    /// Returns the Ed25519 identity of the relay.
    #[must_use]
    pub fn ed25519_identity(&self) -> Option<[u8; 32]> {
        self.link_specifiers().find_map(|specifier| match specifier {
            LinkSpecifier::Ed25519Id(identity) => Some(identity),
            _ => None,
        })
    }

    /// Returns the ntor onion key of the relay.
    #[doc(alias = "onion_key_raw")]
    #[must_use]
    pub fn onion_key(&self) -> Option<[u8; 32]> {
        self.items().filter(|item| item.is(b"onion-key")).find_map(|item| ntor_key(&item))
    }

    /// Returns the certificate of the key that identifies the service at the introduction point.
    #[doc(alias = "auth_key_cert")]
    #[must_use]
    pub fn auth_key_certificate(&self) -> Option<Ed25519Certificate> {
        certificate(&self.find(b"auth-key")?)
    }

    /// Returns the Ed25519 key that identifies the service at the introduction point.
    #[must_use]
    pub fn auth_key(&self) -> Option<[u8; 32]> {
        Some(self.auth_key_certificate()?.key())
    }

    /// Returns the ntor key of the service, for which clients encrypt their first message.
    #[doc(alias = "enc_key_raw")]
    #[must_use]
    pub fn enc_key(&self) -> Option<[u8; 32]> {
        self.items().filter(|item| item.is(b"enc-key")).find_map(|item| ntor_key(&item))
    }

    /// Returns the certificate of the [encryption key](Self::enc_key), which contains its Ed25519
    /// form.
    #[doc(alias = "enc_key_cert")]
    #[must_use]
    pub fn enc_key_certificate(&self) -> Option<Ed25519Certificate> {
        certificate(&self.find(b"enc-key-cert")?)
    }

    /// Returns the RSA key for an introduction point that supports only version 2, in PEM. Today's tor
    /// has none.
    #[doc(alias = "legacy_key_raw")]
    #[must_use]
    pub fn legacy_key(&self) -> Option<Cow<'_, str>> {
        self.find(b"legacy-key")?.object()
    }

    /// Returns the cross-certificate of the [legacy key](Self::legacy_key), in PEM.
    #[doc(alias = "legacy_key_cert")]
    #[must_use]
    pub fn legacy_key_certificate(&self) -> Option<Cow<'_, str>> {
        self.find(b"legacy-key-cert")?.object()
    }

    /// Returns the items whose keyword this version of torcon does not know.
    pub fn unrecognized(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
        self.items().filter(|item| !rule::is_known(RULES, item))
    }
}

impl fmt::Debug for IntroductionPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let specifiers: Vec<_> = self.link_specifiers().collect();
        f.debug_tuple("IntroductionPoint").field(&specifiers).finish()
    }
}
