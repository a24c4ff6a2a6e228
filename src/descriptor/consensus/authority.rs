//! The directory authorities that a consensus or vote names.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;

use memchr::memmem;

use crate::descriptor::item::{DescriptorItem, Items, has_lines, number};
use crate::descriptor::key_certificate::KeyCertificate;
use crate::descriptor::list::sealed::Read;
use crate::descriptor::rule::{Rule, any};
use crate::descriptor::text::Text;
use crate::names::{Fingerprint, Nickname};

/// A directory authority whose vote is part of a consensus, or that made a vote.
///
/// # Examples
///
/// ```no_run
/// let consensus = torcon::descriptor::Consensus::parse(std::fs::read("cached-consensus")?)?;
/// for authority in consensus.authorities() {
///     println!("{} {:?}", authority.nickname(), authority.contact());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DirectoryAuthority {
    text: Text,
    source: Source,
}

/// The values of a `dir-source` line.
#[derive(Clone, PartialEq, Eq)]
struct Source {
    nickname: Nickname,
    is_legacy: bool,
    identity: Fingerprint,
    address: Ipv4Addr,
    dir_port: u16,
    or_port: u16,
}

/// The line of a legacy key in a consensus.
pub(super) const LEGACY: &[Rule] = &[SOURCE];

/// The lines of one authority in a consensus.
pub(super) const IN_CONSENSUS: &[Rule] = &[
    SOURCE,
    Rule::once(b"contact", "contact TEXT", any),
    Rule::once(b"vote-digest", "vote-digest and 40 hexadecimal digits", is_fingerprint),
];

pub(super) const SOURCE: Rule = Rule::once(
    b"dir-source",
    "dir-source NICKNAME IDENTITY HOSTNAME ADDRESS DIRPORT ORPORT",
    |item| read_source(item).is_some(),
);

pub(super) fn is_fingerprint(item: &DescriptorItem<'_>) -> bool {
    read_fingerprint(item).is_some()
}

fn read_fingerprint(item: &DescriptorItem<'_>) -> Option<Fingerprint> {
    Fingerprint::from_hex(item.words().next()?)
}

fn read_source(item: &DescriptorItem<'_>) -> Option<Source> {
    let mut words = item.words();
    let name = words.next()?;
    let of_legacy = name.strip_suffix(b"-legacy");
    let nickname = Nickname::from_bytes(of_legacy.unwrap_or(name))?;
    let identity = Fingerprint::from_hex(words.next()?)?;
    words.next()?;
    let address = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let (dir_port, or_port) = (number(words.next()?)?, number(words.next()?)?);
    Some(Source { nickname, is_legacy: of_legacy.is_some(), identity, address, dir_port, or_port })
}

has_lines!(DirectoryAuthority);

impl DirectoryAuthority {
    /// Reads a text that begins with `dir-source`.
    pub(super) fn read(text: Text) -> Option<Self> {
        let first = Items::new(text.as_bytes()).first().filter(|item| item.is(b"dir-source"));
        let source = read_source(&first?)?;
        Some(Self { text, source })
    }

    /// Returns the nickname.
    #[must_use]
    pub fn nickname(&self) -> Nickname {
        self.source.nickname
    }

    /// Returns whether the entry names an old identity key that the authority still has
    /// (`NICKNAME-legacy`). Such an entry has no contact and no digest of a vote.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.source.is_legacy
    }

    /// Returns the fingerprint of the authority's identity key. It differs from the fingerprint of
    /// the authority as a relay.
    #[doc(alias = "v3ident")]
    #[must_use]
    pub fn identity(&self) -> Fingerprint {
        self.source.identity
    }

    /// Returns the host name, which may be the address.
    #[must_use]
    pub fn hostname(&self) -> Option<Cow<'_, str>> {
        let mut words = self.find(b"dir-source")?.words();
        words.nth(2).map(String::from_utf8_lossy)
    }

    /// Returns the IPv4 address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.source.address
    }

    /// Returns the directory port, if any.
    #[must_use]
    pub fn dir_port(&self) -> Option<u16> {
        Some(self.source.dir_port).filter(|port| *port != 0)
    }

    /// Returns the OR port.
    #[must_use]
    pub fn or_port(&self) -> u16 {
        self.source.or_port
    }

    /// Returns the contact information.
    #[must_use]
    pub fn contact(&self) -> Option<Cow<'_, str>> {
        Some(self.find(b"contact")?.arguments())
    }

    /// Returns the SHA-1 digest of the authority's vote, which only a consensus contains.
    #[must_use]
    pub fn vote_digest(&self) -> Option<[u8; 20]> {
        Some(*read_fingerprint(&self.find(b"vote-digest")?)?.as_bytes())
    }

    /// Returns the fingerprint of an old identity key that the authority still has, which only a
    /// vote contains.
    #[must_use]
    pub fn legacy_dir_key(&self) -> Option<Fingerprint> {
        read_fingerprint(&self.find(b"legacy-dir-key")?)
    }

    /// Returns the authority's key certificate, which only a vote contains.
    #[must_use]
    pub fn key_certificate(&self) -> Option<KeyCertificate> {
        let bytes = self.text.as_bytes();
        let start = memmem::find(bytes, KeyCertificate::FIRST)? + 1;
        KeyCertificate::read(self.text.part(start..bytes.len())).ok()
    }
}

impl fmt::Debug for DirectoryAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let legacy = if self.is_legacy() { "-legacy" } else { "" };
        write!(f, "DirectoryAuthority({}{legacy} {})", self.nickname(), self.identity())
    }
}
