//! Extra-info documents.

mod lines;
mod statistics;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use self::lines::RULES;
pub use self::statistics::{
    BridgeTransport, ConnectionDirections, NoisyCount, OverloadRateLimits, PaddingCounts,
    StatisticMap,
};
use super::certificate::Ed25519Certificate;
use super::item::{DescriptorItem, Items, has_lines, has_rules};
use super::list::{Descriptor, sealed::Read};
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{Fingerprint, Nickname};

/// An extra-info document: the statistics of a relay or bridge, signed by it. The reply to
/// `GETINFO extra-info/digest/..`.
///
/// Each line has a method with its keyword as name. Most lines are optional: which statistics a relay
/// collects depends on its options and its version, and it publishes them after a day. Counts of
/// clients and requests are rounded up.
///
/// The sanitized documents of bridges in the archive `CollecTor` are read too: they have
/// [digests](Self::router_digest) of the original document instead of signatures.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             published 2026-11-23 09:26:00\n\
///             dirreq-v3-ips us=16,de=8\n";
/// let info = ExtraInfo::parse(text)?;
/// assert_eq!(info.nickname().as_str(), "MyRelay");
/// assert!(info.published().is_some());
/// assert_eq!(info.dirreq_v3_ips().unwrap().total(), 24);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ExtraInfo {
    text: Text,
    nickname: Nickname,
    fingerprint: Fingerprint,
}

impl Descriptor for ExtraInfo {}

impl Read for ExtraInfo {
    const FIRST: &'static [u8] = b"\nextra-info";

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        let wrong = |expected| ProtocolError::new("an extra-info document", expected, bytes);
        let first = Items::new(bytes).first().filter(|item| item.is(b"extra-info"));
        let mut words = first.ok_or_else(|| wrong("a line that begins with extra-info"))?.words();
        let nickname = words.next().and_then(Nickname::from_bytes);
        let fingerprint = words.next().and_then(Fingerprint::from_hex);
        Ok(Self {
            nickname: nickname.ok_or_else(|| wrong("a nickname"))?,
            fingerprint: fingerprint.ok_or_else(|| wrong("a fingerprint"))?,
            text,
        })
    }
}

has_lines!(ExtraInfo);
has_rules!(ExtraInfo, "an extra-info document", RULES);

impl ExtraInfo {
    /// Parses one document.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not `extra-info` with a nickname and a fingerprint.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Returns the nickname of the relay, which is not unique.
    #[must_use]
    pub fn nickname(&self) -> Nickname {
        self.nickname
    }

    /// Returns the fingerprint of the relay.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the time of publication.
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        self.find(b"published")?.time()
    }

    /// Returns the pluggable transports of a bridge.
    #[doc(alias = "transport")]
    pub fn transports(&self) -> impl Iterator<Item = BridgeTransport> + '_ {
        let items = self.items().filter(|item| item.is(b"transport"));
        items.filter_map(|item| BridgeTransport::read(&item))
    }

    /// Returns the certificate of the key that signs the document. It contains the Ed25519 identity
    /// as its [`signing_key`](Ed25519Certificate::signing_key).
    #[must_use]
    pub fn ed25519_certificate(&self) -> Option<Ed25519Certificate> {
        Ed25519Certificate::of_identity(&self.find(b"identity-ed25519")?)
    }

    /// Returns the Ed25519 signature.
    #[must_use]
    pub fn ed25519_signature(&self) -> Option<[u8; 64]> {
        self.find(b"router-sig-ed25519")?.base64()
    }

    /// Returns the RSA signature, in PEM. Sanitized documents have none.
    #[must_use]
    pub fn signature(&self) -> Option<Cow<'_, str>> {
        self.find(b"router-signature")?.labeled_object("SIGNATURE")
    }
}

impl fmt::Debug for ExtraInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtraInfo({} {})", self.nickname, self.fingerprint)
    }
}
