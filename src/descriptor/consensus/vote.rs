//! Votes of directory authorities.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use memchr::memmem;

use super::authority::{DirectoryAuthority, SOURCE, is_fingerprint};
use super::document::{Document, are_numbers, are_pairs, has_document, header_rules, read_param};
use super::package::{PackageVersion, versions};
use super::params::ConsensusParam;
use super::shared_random::{
    CURRENT_VALUE, PREVIOUS_VALUE, SharedRandomCommit, SharedRandomValue, is_commit,
};
use super::signature::{DirectorySignature, is_signature};
use crate::descriptor::digest::{consensus_signed_part, sha1, sha256};
use crate::descriptor::item::{DescriptorItem, Items, is_annotation, number};
use crate::descriptor::key_certificate::{self, KeyCertificate};
use crate::descriptor::list::{Descriptor, RouterStatuses, sealed::Read};
use crate::descriptor::protocols::ProtocolVersions;
use crate::descriptor::router_status::{RouterStatus, pairs, read_decimal, split_pair};
use crate::descriptor::rule::{Rule, any};
use crate::descriptor::text::Text;
use crate::error::ProtocolError;
use crate::names::{Fingerprint, RelayFlag, TorVersion};

/// The vote of a directory authority: its opinion of each relay, and of the network.
///
/// An authority keeps the votes of all authorities in the file `v3-status-votes`, and CollecTor
/// archives them. tor does not return votes over the control port. As in the
/// [`Consensus`](super::Consensus) that is made of them, a line is parsed by the method that returns
/// it, and the signature is not verified here.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::Votes;
///
/// for vote in &Votes::new(std::fs::read("v3-status-votes")?) {
///     let vote = vote?;
///     let measured = vote.relays().iter().flatten();
///     let measured = measured.filter(|relay| relay.measured_bandwidth().is_some()).count();
///     println!("{:?} measured {measured} relays", vote.authority());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Vote {
    document: Document,
}

const READING: &str = "a vote";

const HEADER: &[Rule] = header_rules![
    Rule::once(b"vote-status", "vote-status vote", |item| { item.words().next() == Some(b"vote") }),
    Rule::optional(b"consensus-methods", "consensus-methods NUMBER ..", are_numbers),
    Rule::once(b"published", "published DATE TIME", is_time),
    Rule::optional(b"flag-thresholds", "flag-thresholds [NAME=NUMBER ..]", |item| {
        item.words().all(|word| read_threshold(word).is_some())
    }),
    Rule::optional(b"bandwidth-file-headers", "bandwidth-file-headers [NAME=VALUE ..]", are_pairs),
    Rule::optional(
        b"bandwidth-file-digest",
        "bandwidth-file-digest ALGORITHM=DIGEST ..",
        are_pairs
    ),
];

/// The lines of the authority before its key certificate.
const AUTHORITY: &[Rule] = &[
    SOURCE,
    Rule::once(b"contact", "contact TEXT", any),
    Rule::optional(b"legacy-dir-key", "legacy-dir-key and 40 hexadecimal digits", is_fingerprint),
    Rule::optional(b"shared-rand-participate", "shared-rand-participate", any),
    Rule::repeated(
        b"shared-rand-commit",
        "shared-rand-commit VERSION ALGORITHM IDENTITY COMMIT [REVEAL]",
        is_commit,
    ),
    PREVIOUS_VALUE,
    CURRENT_VALUE,
];

const FOOTER: &[Rule] = &[
    Rule::optional(b"directory-footer", "directory-footer", any),
    Rule::once(
        b"directory-signature",
        "directory-signature [ALGORITHM] IDENTITY DIGEST and a signature in PEM",
        is_signature,
    ),
];

const SECTIONS: [&[&[Rule]]; 3] = [&[HEADER], &[AUTHORITY, key_certificate::RULES], &[FOOTER]];

impl Descriptor for Vote {}

impl Read for Vote {
    const FIRST: &'static [u8] = b"\nnetwork-status-version";

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let vote_status = (&b"vote"[..], "the line vote-status vote");
        Ok(Self { document: Document::read(text, READING, vote_status)? })
    }
}

has_document!(Vote);

impl Vote {
    /// Parses one vote.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not `network-status-version 3`, or there is no line
    /// `vote-status vote`.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Returns the methods to make a consensus that the authority supports. Without the line, an
    /// authority supports method 1.
    pub fn consensus_methods(&self) -> impl Iterator<Item = u32> + '_ {
        self.document.words(b"consensus-methods").filter_map(number)
    }

    /// Returns the time at which the vote was made.
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        self.document.time(b"published")
    }

    /// Returns the thresholds by which the authority assigned flags, such as `stable-uptime` in
    /// seconds and `fast-speed` in bytes per second. A percentage is returned as a fraction: `98%`
    /// is 0.98.
    pub fn flag_thresholds(&self) -> impl Iterator<Item = (Cow<'_, str>, f64)> {
        self.document.words(b"flag-thresholds").filter_map(read_threshold)
    }

    /// Returns the headers of the bandwidth file by which the authority measured; none if it does
    /// not measure.
    pub fn bandwidth_file_headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        pairs(self.document.words(b"bandwidth-file-headers"))
    }

    /// Returns the digests of the bandwidth file in base64, with the name of the algorithm before
    /// each.
    #[doc(alias = "bandwidth_file_digest")]
    pub fn bandwidth_file_digests(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        pairs(self.document.words(b"bandwidth-file-digest"))
    }

    /// Returns the authority that made the vote.
    #[doc(alias = "directory_authorities")]
    #[must_use]
    pub fn authority(&self) -> Option<DirectoryAuthority> {
        DirectoryAuthority::read(self.document.authorities())
    }

    /// Returns whether the authority participates in the shared random protocol.
    #[doc(alias = "is_shared_randomness_participate")]
    #[must_use]
    pub fn participates_in_shared_random(&self) -> bool {
        self.document.find(b"shared-rand-participate").is_some()
    }

    /// Returns the commitments to the next shared random value that the authority knows, its own
    /// first.
    #[doc(alias("shared_randomness_commitments", "shared-rand-commit"))]
    pub fn shared_random_commits(&self) -> impl Iterator<Item = SharedRandomCommit> + '_ {
        let items = self.document.preamble().filter(|item| item.is(b"shared-rand-commit"));
        items.filter_map(|item| SharedRandomCommit::read(&item))
    }

    /// Checks every line of all sections and entries: each that this version of torcon knows has the
    /// syntax of the directory specification and occurs as often as it may, no line is missing, and
    /// the relays are sorted. The methods read a line with a syntax error as an absent one.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] with the [number](ProtocolError::line) of the first wrong line.
    pub fn check(&self) -> Result<(), ProtocolError> {
        self.check_header()?;
        self.document.check_relays(READING, |relay| {
            relay.descriptor_digest().is_none().then_some("an r line with a digest")
        })?;
        self.check_footer()
    }

    /// Checks the lines before the entries.
    pub(in crate::descriptor) fn check_header(&self) -> Result<(), ProtocolError> {
        let document = &self.document;
        document.check(READING, HEADER, document.header())?;
        let section = document.authorities();
        let section = section.as_bytes();
        let end = memmem::find(section, KeyCertificate::FIRST).map_or(section.len(), |at| at + 1);
        let (authority, certificate) = section.split_at_checked(end).unwrap_or((section, b""));
        document.check(READING, AUTHORITY, authority)?;
        document.check(READING, key_certificate::RULES, certificate)
    }

    /// Checks the lines after the entries.
    pub(in crate::descriptor) fn check_footer(&self) -> Result<(), ProtocolError> {
        self.document.check_footer(READING, FOOTER)
    }
}

/// Reads `guard-wfu=98.000%`.
fn read_threshold(word: &[u8]) -> Option<(Cow<'_, str>, f64)> {
    let (name, value) = split_pair(word)?;
    let number = match value.strip_suffix(b"%") {
        Some(percent) => read_decimal(percent)? / 100.0,
        None => read_decimal(value)?,
    };
    Some((String::from_utf8_lossy(name), number))
}

impl fmt::Debug for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_bytes().len();
        match self.authority() {
            Some(authority) => write!(f, "Vote({}, {bytes} bytes)", authority.nickname()),
            None => write!(f, "Vote({bytes} bytes)"),
        }
    }
}
