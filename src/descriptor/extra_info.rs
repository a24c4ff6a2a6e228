//! Extra-info documents.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use super::history::{BandwidthHistory, MeasurementInterval};
use super::item::{DescriptorItem, Items, has_lines, has_rules};
use super::list::{Descriptor, sealed::Read};
use super::rule::{Rule, any};
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{Fingerprint, Nickname};
use crate::wire::timestamp::read_time;

/// An extra-info document: the statistics of a relay, signed by it. The reply to
/// `GETINFO extra-info/digest/..`.
///
/// The lines differ from relay to relay; [`items`](Self::items) returns all of them.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             published 2026-11-23 09:26:00\n";
/// let info = ExtraInfo::parse(text)?;
/// assert_eq!(info.nickname().as_str(), "MyRelay");
/// assert!(info.published().is_some());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ExtraInfo {
    text: Text,
    nickname: Nickname,
    fingerprint: Fingerprint,
}

/// The lines that have methods.
const RULES: &[Rule] = &[
    Rule::once(b"extra-info", "extra-info NICKNAME FINGERPRINT", any),
    Rule::once(b"published", "published YYYY-MM-DD HH:MM:SS", |item| {
        read_time(item.arguments_bytes()).is_some()
    }),
    Rule::optional(b"write-history", "write-history END (SECONDS s) BYTES,..", |item| {
        BandwidthHistory::read(item).is_some()
    }),
    Rule::optional(b"dirreq-stats-end", "dirreq-stats-end END (SECONDS s)", |item| {
        MeasurementInterval::read(&mut item.words()).is_some()
    }),
    Rule::once_unless(b"router-digest", b"router-signature", "router-signature and an object", any),
    Rule::optional(b"router-digest", "router-digest FINGERPRINT", any),
];

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
        read_time(self.find(b"published")?.arguments_bytes())
    }

    /// Returns the bytes that the relay sent.
    #[must_use]
    pub fn write_history(&self) -> Option<BandwidthHistory> {
        BandwidthHistory::read(&self.find(b"write-history")?)
    }

    /// Returns the time in which the relay counted directory requests.
    #[must_use]
    pub fn dirreq_interval(&self) -> Option<MeasurementInterval> {
        MeasurementInterval::read(&mut self.find(b"dirreq-stats-end")?.words())
    }

    /// Returns the RSA signature, in PEM.
    #[must_use]
    pub fn signature(&self) -> Option<Cow<'_, str>> {
        self.find(b"router-signature")?.object()
    }
}

impl fmt::Debug for ExtraInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtraInfo({} {})", self.nickname, self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::ExtraInfo;

    const TEXT: &str = "extra-info me 5D028C16CE4A164287E9565F5EAFB67890978463\n\
        identity-ed25519\n-----BEGIN ED25519 CERT-----\nAQQA\n-----END ED25519 CERT-----\n\
        published 2026-11-23 20:27:49\nwrite-history 2026-11-23 20:00:00 (900 s) 1,2\n\
        router-signature\n-----BEGIN SIGNATURE-----\nw7rh\n-----END SIGNATURE-----\n";

    #[test]
    fn a_document_is_read_and_keeps_every_line() {
        let document = ExtraInfo::parse(TEXT).unwrap();
        assert_eq!(document.nickname().as_str(), "me");
        assert_eq!(document.fingerprint().to_string(), "5D028C16CE4A164287E9565F5EAFB67890978463");
        assert!(document.published().is_some());
        assert!(document.signature().unwrap().contains("w7rh"));
        let keywords: Vec<_> = document.items().map(|item| item.keyword().into_owned()).collect();
        assert_eq!(
            keywords,
            ["extra-info", "identity-ed25519", "published", "write-history", "router-signature"]
        );
        assert_eq!(document.to_string(), TEXT);
        assert_eq!(document.detached(), document);
        assert_eq!(
            format!("{document:?}"),
            "ExtraInfo(me 5D028C16CE4A164287E9565F5EAFB67890978463)"
        );
    }

    #[test]
    fn an_invalid_document_is_an_error() {
        for (text, expected) in [
            ("router me", "a line that begins with extra-info"),
            ("", "a line that begins with extra-info"),
            ("extra-info me!", "a nickname"),
            ("extra-info me 5D02", "a fingerprint"),
        ] {
            let error = ExtraInfo::parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("cannot read an extra-info document: expected {expected}, got \"{text}\"")
            );
        }
    }
}
