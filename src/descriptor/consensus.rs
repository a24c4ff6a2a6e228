//! The consensus of the directory authorities, and their votes.

mod authority;
mod document;
mod package;
mod params;
mod shared_random;
mod signature;
#[cfg(test)]
mod tests;
mod vote;

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use memchr::memmem;

pub use self::authority::DirectoryAuthority;
use self::document::{Document, are_params, has_document, header_rules, is_number, read_param};
pub use self::package::PackageVersion;
use self::package::versions;
pub use self::params::ConsensusParam;
pub use self::shared_random::{SharedRandomCommit, SharedRandomValue};
pub use self::signature::DirectorySignature;
use self::signature::is_signature;
pub use self::vote::Vote;
use super::digest::{consensus_signed_part, sha1, sha256};
use super::item::{DescriptorItem, Items, Words, is_annotation, number};
use super::list::{Descriptor, RouterStatuses, sealed::Read};
use super::protocols::ProtocolVersions;
use super::reader::WHOLE_LIMIT;
use super::router_status::RouterStatus;
use super::rule::{Rule, any};
use super::text::Text;
use crate::error::{ProtocolError, ReadError, ReadProblem};
use crate::names::{BandwidthWeight, ConsensusFlavor, Fingerprint, RelayFlag, TorVersion};

/// A consensus of the directory authorities: all relays, and the parameters of the network.
///
/// [`Controller::consensus`](crate::Controller::consensus) queries it; tor's files
/// `cached-consensus` and `cached-microdesc-consensus`, and CollecTor's, contain it. The entries
/// share the text, with 8 bytes of memory for each; a clone is cheap, and every line is parsed by the
/// method that returns it. The signatures are not verified here; tor verifies those of a consensus
/// that it uses.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::Consensus;
///
/// let consensus = Consensus::parse(std::fs::read("/var/lib/tor/cached-microdesc-consensus")?)?;
/// println!("{} relays, valid after {:?}", consensus.relays().len(), consensus.valid_after());
/// println!("circuit window: {:?}", consensus.param_or_default("circwindow"));
/// for relay in consensus.relays() {
///     println!("{}", relay?.nickname());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Consensus {
    document: Document,
}

const READING: &str = "a consensus";

const HEADER: &[Rule] = header_rules![
    Rule::once(b"vote-status", "vote-status consensus", |item| {
        item.words().next() == Some(b"consensus")
    }),
    Rule::optional(b"consensus-method", "consensus-method NUMBER", is_number),
];

const FOOTER: &[Rule] = &[
    Rule::optional(b"directory-footer", "directory-footer", any),
    Rule::optional(b"bandwidth-weights", "bandwidth-weights [NAME=NUMBER ..]", are_params),
    Rule::at_least_once(
        b"directory-signature",
        "directory-signature [ALGORITHM] IDENTITY DIGEST and a signature in PEM",
        is_signature,
    ),
];

const SECTIONS: [&[&[Rule]]; 3] = [&[HEADER], &[authority::IN_CONSENSUS], &[FOOTER]];

impl Descriptor for Consensus {}

impl Read for Consensus {
    const FIRST: &'static [u8] = b"\nnetwork-status-version";

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let vote_status = (&b"consensus"[..], "the line vote-status consensus");
        Ok(Self { document: Document::read(text, READING, vote_status)? })
    }
}

has_document!(Consensus);

impl Consensus {
    /// Parses a consensus.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not `network-status-version 3`, or there is no line
    /// `vote-status consensus`.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Reads a consensus to the end of the input, such as a file, which has at most 64 MiB; that of
    /// the public network has about 3 MB.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the input fails, is longer, or is not a [consensus](Self::parse).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::fs::File;
    /// use std::io::BufReader;
    ///
    /// let file = BufReader::new(File::open("/var/lib/tor/cached-consensus")?);
    /// let consensus = torcon::descriptor::Consensus::from_reader(file)?;
    /// println!("{} relays", consensus.relays().len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn from_reader(input: impl BufRead) -> Result<Self, ReadError> {
        let failed = |problem| ReadError::new(0, 1, 1, problem);
        let mut text = Vec::new();
        let limit = u64::try_from(WHOLE_LIMIT).unwrap_or(u64::MAX).saturating_add(1);
        if let Err(error) = input.take(limit).read_to_end(&mut text) {
            return Err(failed(ReadProblem::Io(Arc::new(error))));
        }
        if text.len() > WHOLE_LIMIT {
            return Err(failed(ReadProblem::TooLong { limit: WHOLE_LIMIT }));
        }
        text.shrink_to_fit();
        Self::parse(text).map_err(|error| failed(ReadProblem::Malformed(error)))
    }

    pub(crate) fn of(text: Text) -> Result<Self, ProtocolError> {
        Self::read(text)
    }

    /// Returns the flavor.
    #[doc(alias("version_flavor", "is_microdescriptor"))]
    #[must_use]
    pub fn flavor(&self) -> &ConsensusFlavor {
        &self.document.flavor
    }

    /// Returns the method by which the consensus was made. Without the line it is method 1.
    #[must_use]
    pub fn consensus_method(&self) -> Option<u32> {
        self.document.words(b"consensus-method").next().and_then(number)
    }

    /// Returns the authorities whose votes are part of the consensus.
    #[doc(alias("directory_authorities", "dir-source"))]
    pub fn authorities(&self) -> impl Iterator<Item = DirectoryAuthority> + '_ {
        self.sections_of_authorities().filter_map(DirectoryAuthority::read)
    }

    fn sections_of_authorities(&self) -> impl Iterator<Item = Text> + '_ {
        let section = self.document.authorities();
        let length = section.as_bytes().len();
        let mut start = 0;
        std::iter::from_fn(move || {
            let rest = section.as_bytes().get(start..).filter(|rest| !rest.is_empty())?;
            let end = memmem::find(rest, b"\ndir-source ").map_or(length, |at| start + at + 1);
            let authority = section.part(start..end);
            start = end;
            Some(authority)
        })
    }

    /// Returns the weights by which the bandwidth of relays is multiplied in the positions of a
    /// circuit, after division by the parameter `bwweightscale`, sorted by name.
    pub fn bandwidth_weights(&self) -> impl Iterator<Item = (BandwidthWeight, i32)> + '_ {
        let weights = self.words_of_weights().filter_map(read_param);
        weights.map(|(name, value)| (BandwidthWeight::from_bytes(name), value))
    }

    /// Returns one of the [weights](Self::bandwidth_weights).
    #[must_use]
    pub fn bandwidth_weight(&self, weight: &BandwidthWeight) -> Option<i32> {
        self.bandwidth_weights().find(|(found, _)| found == weight).map(|(_, value)| value)
    }

    fn words_of_weights(&self) -> Words<'_> {
        let line = Items::new(self.document.footer()).find_keyword(b"bandwidth-weights");
        line.map_or(Words::new(b""), |item| item.words())
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
        self.document.check_relays(READING, |relay| match self.flavor() {
            ConsensusFlavor::Ns if relay.descriptor_digest().is_none() => {
                Some("an r line with a digest")
            }
            ConsensusFlavor::Microdesc if relay.microdescriptor_digest().is_none() => {
                Some("an entry with a line m DIGEST")
            }
            _ => None,
        })?;
        self.check_footer()
    }

    /// Checks the lines before the entries.
    pub(super) fn check_header(&self) -> Result<(), ProtocolError> {
        let document = &self.document;
        document.check(READING, HEADER, document.header())?;
        if document.authorities().as_bytes().is_empty() {
            let expected = "at least one line dir-source";
            return Err(ProtocolError::new(READING, expected, document.header()));
        }
        for section in self.sections_of_authorities() {
            let authority = DirectoryAuthority::read(section.clone());
            let is_legacy = authority.is_some_and(|authority| authority.is_legacy());
            let rules = if is_legacy { authority::LEGACY } else { authority::IN_CONSENSUS };
            document.check(READING, rules, section.as_bytes())?;
        }
        Ok(())
    }

    /// Checks the lines after the entries.
    pub(super) fn check_footer(&self) -> Result<(), ProtocolError> {
        self.document.check_footer(READING, FOOTER)
    }
}

impl fmt::Debug for Consensus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consensus({}, {} bytes)", self.flavor(), self.as_bytes().len())
    }
}
