//! Key certificates of directory authorities.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::item::{DescriptorItem, Items, has_lines, has_rules, number};
use super::list::{Descriptor, sealed::Read};
use super::rule::{Place, Rule};
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::Fingerprint;
use crate::wire::timestamp::read_time;

/// The key certificate of a directory authority: its signing key, certified by its identity key.
///
/// Tor's file `cached-certs` contains those of all authorities, each [vote](super::Vote) that of its
/// authority. A clone is cheap, and every line is parsed by the method that returns it. The
/// signatures are not verified here.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::KeyCertificates;
///
/// let file = std::fs::read("/var/lib/tor/cached-certs")?;
/// for certificate in &KeyCertificates::new(file) {
///     let certificate = certificate?;
///     println!("{:?} {:?}", certificate.fingerprint(), certificate.expires());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyCertificate {
    text: Text,
}

/// The lines of a certificate, also in a vote.
pub(super) const RULES: &[Rule] = &[
    Rule::once(b"dir-key-certificate-version", "dir-key-certificate-version 3", |item| {
        read_version(item) == Some(3)
    }),
    Rule::optional(b"dir-address", "dir-address ADDRESS:PORT", |item| item.address().is_some()),
    Rule::once(b"fingerprint", "fingerprint and 40 hexadecimal digits", |item| {
        read_fingerprint(item).is_some()
    }),
    Rule::once(b"dir-key-published", "dir-key-published DATE TIME", is_time),
    Rule::once(b"dir-key-expires", "dir-key-expires DATE TIME", is_time),
    Rule::once(b"dir-identity-key", "dir-identity-key and a key in PEM", is_key),
    Rule::once(b"dir-signing-key", "dir-signing-key and a key in PEM", is_key),
    Rule::optional(b"dir-key-crosscert", "dir-key-crosscert and a signature in PEM", |item| {
        is_signature(item) || item.decode_object("ID SIGNATURE").is_some()
    }),
    Rule::once(
        b"dir-key-certification",
        "dir-key-certification and a signature in PEM",
        is_signature,
    )
    .at(Place::Last),
];

fn read_version(item: &DescriptorItem<'_>) -> Option<u32> {
    number(item.words().next()?)
}

fn read_fingerprint(item: &DescriptorItem<'_>) -> Option<Fingerprint> {
    Fingerprint::from_hex(item.words().next()?)
}

fn is_time(item: &DescriptorItem<'_>) -> bool {
    read_time(item.arguments_bytes()).is_some()
}

fn is_key(item: &DescriptorItem<'_>) -> bool {
    item.decode_object("RSA PUBLIC KEY").is_some()
}

fn is_signature(item: &DescriptorItem<'_>) -> bool {
    item.decode_object("SIGNATURE").is_some()
}

impl Descriptor for KeyCertificate {}

impl Read for KeyCertificate {
    const FIRST: &'static [u8] = b"\ndir-key-certificate-version";

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        let first = Items::new(bytes).first();
        match first.filter(|item| item.is(b"dir-key-certificate-version")) {
            Some(item) if read_version(&item) == Some(3) => Ok(Self { text }),
            _ => {
                let expected = "the line dir-key-certificate-version 3";
                Err(ProtocolError::new("a key certificate", expected, bytes))
            }
        }
    }
}

has_lines!(KeyCertificate);
has_rules!(KeyCertificate, "a key certificate", RULES);

impl KeyCertificate {
    /// Parses one certificate.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not `dir-key-certificate-version 3`.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Returns the version of the format, which is 3.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        read_version(&self.find(b"dir-key-certificate-version")?)
    }

    /// Returns the address and port of the authority's directory port, if the certificate has it.
    #[doc(alias("dir_port", "dir-address"))]
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.find(b"dir-address")?.address()
    }

    /// Returns the fingerprint of the authority's identity key. It differs from the fingerprint of
    /// the authority as a relay.
    #[doc(alias = "v3ident")]
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        read_fingerprint(&self.find(b"fingerprint")?)
    }

    /// Returns the time at which the certificate was made.
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        read_time(self.find(b"dir-key-published")?.arguments_bytes())
    }

    /// Returns the time until which the signing key is valid.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        read_time(self.find(b"dir-key-expires")?.arguments_bytes())
    }

    /// Returns the identity key, in PEM.
    #[must_use]
    pub fn identity_key(&self) -> Option<Cow<'_, str>> {
        self.find(b"dir-identity-key")?.object()
    }

    /// Returns the signing key, in PEM.
    #[must_use]
    pub fn signing_key(&self) -> Option<Cow<'_, str>> {
        self.find(b"dir-signing-key")?.object()
    }

    /// Returns the signature of the identity key by the signing key, in PEM.
    #[must_use]
    pub fn crosscert(&self) -> Option<Cow<'_, str>> {
        self.find(b"dir-key-crosscert")?.object()
    }

    /// Returns the signature of the certificate by the identity key, in PEM.
    #[must_use]
    pub fn certification(&self) -> Option<Cow<'_, str>> {
        self.find(b"dir-key-certification")?.object()
    }
}

impl fmt::Debug for KeyCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fingerprint() {
            Some(fingerprint) => write!(f, "KeyCertificate({fingerprint})"),
            None => f.write_str("KeyCertificate(no fingerprint)"),
        }
    }
}
