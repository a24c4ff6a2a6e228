//! Router statuses, the entries of the consensus.

mod first_line;

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use self::first_line::{FirstLine, digest_and_time, is_first, words_of_r};
use super::exit_policy::ExitPolicy;
use super::item::{DescriptorItem, Items, Words, base64, has_lines, has_rules, number};
use super::list::{Descriptor, sealed::Read};
use super::protocols::ProtocolVersions;
use super::rule::{Rule, any};
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{Fingerprint, Nickname, RelayFlag, RelaySpec, TorVersion};

/// The entry of one relay in the consensus: part of `GETINFO ns/..` and of the events `NS` and
/// `NEWCONSENSUS`.
///
/// A clone is cheap. The first line is parsed at once, every other line by the method that returns
/// it.
///
/// # Examples
///
/// ```
/// use torcon::names::RelayFlag;
///
/// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
///             s Authority Fast Running Stable V2Dir Valid\n\
///             w Bandwidth=20\n";
/// let relay = torcon::descriptor::RouterStatus::parse(text)?;
/// assert_eq!((relay.nickname().as_str(), relay.or_port()), ("moria1", 9101));
/// assert!(relay.has_flag(&RelayFlag::Authority) && relay.bandwidth() == Some(20));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RouterStatus {
    text: Text,
    first: FirstLine,
}

/// The digest of a microdescriptor, and the consensus methods by which a vote's relay has it.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::RouterStatus;
///
/// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
///             m 32,33 sha256=+kDPMjlhGRStZR3M3qqVMgmusu+ZGgrDNcVtkhFmENE\n";
/// let digest = RouterStatus::parse(text)?.microdescriptor_digests().next();
/// assert_eq!(digest.map(|digest| digest.methods), Some(vec![32, 33]));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MicrodescriptorDigest {
    /// The consensus methods that produce this microdescriptor; none in a consensus.
    pub methods: Vec<u32>,
    /// The SHA-256 digest.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::names::serialize::base64"))]
    pub sha256: [u8; 32],
}

/// The lines of an entry in a consensus or vote, and in replies and events of tor.
pub(super) const RULES: &[Rule] = &[
    Rule::once(b"r", "r NICKNAME IDENTITY [DIGEST] DATE TIME ADDRESS ORPORT DIRPORT", is_first),
    Rule::repeated(b"a", "a ADDRESS:PORT", |item| item.address().is_some()),
    Rule::once(b"s", "s [FLAG ..]", any),
    Rule::optional(b"v", "v VERSION", |item| item.words().next().is_some()),
    Rule::optional(b"pr", "pr [NAME=VERSIONS ..]", |item| read_protocols(item).is_some()),
    Rule::optional(b"w", "w Bandwidth=NUMBER ..", are_weights),
    Rule::optional(b"p", "p accept or reject PORTS", |item| read_ports(item).is_some()),
    Rule::repeated(b"m", "m [METHODS ..=]DIGEST", is_digest),
    Rule::optional(b"id", "id ed25519 KEY or id ed25519 none", |item| {
        is_without_identity(item) || read_identity(item).is_some()
    }),
    Rule::optional(b"stats", "stats [KEY=NUMBER ..]", |item| {
        item.words().all(|word| read_stat(word).is_some())
    }),
];

impl Descriptor for RouterStatus {}

impl Read for RouterStatus {
    const FIRST: &'static [u8] = b"\nr";

    const NEXT: Option<&'static [u8]> = Some(b"\ndirectory-");

    const LENGTH: usize = 220;

    const ANNOTATED: bool = false;

    #[expect(private_interfaces, reason = "the trait is sealed")]
    #[inline]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        match FirstLine::read(text.as_bytes()) {
            Ok(first) => Ok(Self { text, first }),
            Err(expected) => Err(ProtocolError::new("a router status", expected, text.as_bytes())),
        }
    }
}

has_lines!(RouterStatus);
has_rules!(RouterStatus, "a router status", RULES);

impl RouterStatus {
    /// Parses one entry.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not a valid `r` line.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///             s Authority Fast Running Stable V2Dir Valid\n\
    ///             w Bandwidth=20\n";
    /// let relay = torcon::descriptor::RouterStatus::parse(text)?;
    /// assert_eq!(relay.address().octets(), [128, 31, 0, 39]);
    /// assert!(torcon::descriptor::RouterStatus::parse("s Exit").is_err());
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Returns the nickname, which is not unique.
    #[must_use]
    pub fn nickname(&self) -> Nickname {
        self.first.nickname
    }

    /// Returns the fingerprint of the relay.
    #[doc(alias = "fingerprint")]
    #[must_use]
    pub fn identity(&self) -> Fingerprint {
        self.first.identity()
    }

    /// Returns the digest of the descriptor, if the entry has one.
    ///
    /// In `ns/purpose/..` this is the digest of the server descriptor. Otherwise it is, in a tor
    /// that uses microdescriptors, as clients do, the first 20 of the 32 bytes of the digest of the
    /// microdescriptor.
    #[must_use]
    pub fn descriptor_digest(&self) -> Option<[u8; 20]> {
        digest_and_time(words_of_r(self.text.as_bytes())?).0.and_then(base64)
    }

    /// Returns the time of publication of the descriptor. A consensus of microdescriptors does not
    /// contain it, and tor writes 2038-01-01.
    #[doc(alias = "modified")]
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        digest_and_time(words_of_r(self.text.as_bytes())?).1
    }

    /// Returns the IPv4 address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.first.address
    }

    /// Returns the OR port.
    #[must_use]
    pub fn or_port(&self) -> u16 {
        self.first.or_port
    }

    /// Returns the directory port, if any.
    #[must_use]
    pub fn dir_port(&self) -> Option<u16> {
        Some(self.first.dir_port).filter(|port| *port != 0)
    }

    /// Returns the OR addresses: the IPv4 address with the OR port, then those of `a` lines, mostly
    /// IPv6.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///             s Authority Fast Running Stable V2Dir Valid\n\
    ///             w Bandwidth=20\n";
    /// let relay = torcon::descriptor::RouterStatus::parse(text)?;
    /// assert_eq!(relay.or_addresses().next(), "128.31.0.39:9101".parse().ok());
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    pub fn or_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let more = Items::new(self.text.as_bytes()).addresses(b"a");
        std::iter::once(SocketAddr::from((self.first.address, self.first.or_port))).chain(more)
    }

    /// Returns the flags, in order.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///             s Authority Fast Running Stable V2Dir Valid\n\
    ///             w Bandwidth=20\n";
    /// let relay = torcon::descriptor::RouterStatus::parse(text)?;
    /// assert_eq!(relay.flags().count(), 6);
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    pub fn flags(&self) -> impl Iterator<Item = RelayFlag> + '_ {
        self.words(b"s").map(RelayFlag::from_bytes)
    }

    /// Returns whether the relay has a flag.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::RelayFlag;
    ///
    /// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///             s Authority Fast Running Stable V2Dir Valid\n\
    ///             w Bandwidth=20\n";
    /// let relay = torcon::descriptor::RouterStatus::parse(text)?;
    /// assert!(relay.has_flag(&RelayFlag::Fast) && !relay.has_flag(&RelayFlag::Exit));
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn has_flag(&self, flag: &RelayFlag) -> bool {
        self.words(b"s").any(|word| word.eq_ignore_ascii_case(flag.as_str().as_bytes()))
    }

    /// Returns the version of tor, if the entry has one.
    #[must_use]
    pub fn version(&self) -> Option<TorVersion> {
        let text = self.find(b"v")?.arguments();
        text.strip_prefix("Tor ").map(TorVersion::from_text)
    }

    /// Returns the text of the version line, such as `Tor 0.4.9.11`. It may name another program.
    #[doc(alias = "version_line")]
    #[must_use]
    pub fn version_text(&self) -> Option<Cow<'_, str>> {
        Some(self.find(b"v")?.arguments())
    }

    /// Returns the supported protocol versions, if the entry has them.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///             pr Cons=1-2 Desc=1-4\n";
    /// let relay = torcon::descriptor::RouterStatus::parse(text)?;
    /// assert!(relay.protocols().is_some_and(|protocols| protocols.supports("Desc", 3)));
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn protocols(&self) -> Option<ProtocolVersions> {
        read_protocols(&self.find(b"pr")?)
    }

    /// Returns the consensus weight for path selection, in kilobytes per second.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///             s Authority Fast Running Stable V2Dir Valid\n\
    ///             w Bandwidth=20\n";
    /// let relay = torcon::descriptor::RouterStatus::parse(text)?;
    /// assert_eq!(relay.bandwidth(), Some(20));
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn bandwidth(&self) -> Option<u64> {
        self.weight(b"Bandwidth")
    }

    /// Returns the bandwidth that an authority measured, which only votes contain.
    #[must_use]
    pub fn measured_bandwidth(&self) -> Option<u64> {
        self.weight(b"Measured")
    }

    /// Returns whether the weight is the advertised bandwidth, since too few authorities measured the
    /// relay.
    #[must_use]
    pub fn is_unmeasured(&self) -> bool {
        self.weight(b"Unmeasured") == Some(1)
    }

    fn weight(&self, key: &[u8]) -> Option<u64> {
        weight(&self.find(b"w")?, key)
    }

    /// Returns the keywords and values of the `w` line, also those that have methods.
    #[doc(alias = "unrecognized_bandwidth_entries")]
    pub fn weights(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        pairs(self.words(b"w"))
    }

    /// Returns the summary of the exit policy for IPv4. A consensus of microdescriptors does not
    /// contain it.
    #[doc(alias = "policy")]
    #[must_use]
    pub fn exit_ports(&self) -> Option<ExitPolicy> {
        read_ports(&self.find(b"p")?)
    }

    /// Returns the SHA-256 digest of the microdescriptor, which a consensus of microdescriptors
    /// contains. Votes have [`microdescriptor_digests`](Self::microdescriptor_digests).
    #[must_use]
    pub fn microdescriptor_digest(&self) -> Option<[u8; 32]> {
        let mut digests = self.microdescriptor_digests();
        digests.find(|digest| digest.methods.is_empty()).map(|digest| digest.sha256)
    }

    /// Returns the SHA-256 digests of the relay's microdescriptors: in a vote one for each group of
    /// consensus methods, in a consensus of microdescriptors the only one, without methods.
    #[doc(alias = "microdescriptor_hashes")]
    pub fn microdescriptor_digests(&self) -> impl Iterator<Item = MicrodescriptorDigest> + '_ {
        let items = Items::new(self.text.as_bytes()).filter(|item| item.is(b"m"));
        items.filter_map(|item| read_digest(&item))
    }

    /// Returns the Ed25519 identity, which only votes contain.
    #[doc(alias = "identifier")]
    #[must_use]
    pub fn ed25519_identity(&self) -> Option<[u8; 32]> {
        ed25519_identity(Items::new(self.text.as_bytes()))
    }

    /// Returns whether a vote says that the relay has no Ed25519 identity (`id ed25519 none`).
    #[must_use]
    pub fn has_no_ed25519_identity(&self) -> bool {
        self.find(b"id").is_some_and(|item| is_without_identity(&item))
    }

    /// Returns the statistics that an authority has computed, which only votes contain: `wfu`, the
    /// weighted fractional uptime; `tk`, the weighted time known, and `mtbf`, the mean time between
    /// failures, both in seconds; and those of later versions.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///             stats wfu=0.998 tk=1209600 mtbf=864000\n";
    /// let relay = torcon::descriptor::RouterStatus::parse(text)?;
    /// assert_eq!(relay.stats().find(|(key, _)| key == "wfu"), Some(("wfu".into(), 0.998)));
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    pub fn stats(&self) -> impl Iterator<Item = (Cow<'_, str>, f64)> {
        self.words(b"stats").filter_map(read_stat)
    }

    fn words(&self, keyword: &[u8]) -> Words<'_> {
        self.find(keyword).map_or(Words::new(b""), |item| item.words())
    }
}

/// Returns the identity of an `id ed25519` line.
pub(super) fn ed25519_identity(mut items: Items<'_>) -> Option<[u8; 32]> {
    items.find_map(|item| if item.is(b"id") { read_identity(&item) } else { None })
}

/// Reads `id ed25519 KEY`.
pub(super) fn read_identity(item: &DescriptorItem<'_>) -> Option<[u8; 32]> {
    let mut words = item.words();
    (words.next() == Some(b"ed25519")).then_some(())?;
    words.next().and_then(base64)
}

fn is_without_identity(item: &DescriptorItem<'_>) -> bool {
    item.words().take(2).eq([&b"ed25519"[..], b"none"])
}

fn read_protocols(item: &DescriptorItem<'_>) -> Option<ProtocolVersions> {
    ProtocolVersions::from_bytes(item.arguments_bytes())
}

fn read_ports(item: &DescriptorItem<'_>) -> Option<ExitPolicy> {
    ExitPolicy::from_bytes(item.arguments_bytes())
}

fn weight(item: &DescriptorItem<'_>, key: &[u8]) -> Option<u64> {
    let mut weights = item.words().filter_map(split_pair);
    weights.find(|(found, _)| *found == key).and_then(|(_, value)| number(value))
}

/// Returns whether a `w` line has a bandwidth, and the values that have methods are numbers.
fn are_weights(item: &DescriptorItem<'_>) -> bool {
    let is_number = |(key, value): (&[u8], &[u8])| {
        !matches!(key, b"Bandwidth" | b"Measured" | b"Unmeasured") || number::<u64>(value).is_some()
    };
    weight(item, b"Bandwidth").is_some() && item.words().filter_map(split_pair).all(is_number)
}

/// Returns the `KEY=VALUE` words of a line.
pub(super) fn pairs(words: Words<'_>) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    words.filter_map(|word| {
        let (key, value) = split_pair(word)?;
        Some((String::from_utf8_lossy(key), String::from_utf8_lossy(value)))
    })
}

pub(super) fn split_pair(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'=', word)?;
    Some((word.get(..at)?, word.get(at + 1..)?))
}

/// Reads `wfu=0.998`.
fn read_stat(word: &[u8]) -> Option<(Cow<'_, str>, f64)> {
    let (key, value) = split_pair(word)?;
    Some((String::from_utf8_lossy(key), read_decimal(value)?))
}

/// Reads digits, perhaps with a decimal point.
pub(super) fn read_decimal(text: &[u8]) -> Option<f64> {
    let is_number = text.first().is_some_and(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

/// Reads `DIGEST`, or `8,9 sha256=DIGEST` as in votes.
fn read_digest(item: &DescriptorItem<'_>) -> Option<MicrodescriptorDigest> {
    let mut words = item.words();
    let first = words.next()?;
    let Some(second) = words.next() else {
        return Some(MicrodescriptorDigest { methods: Vec::new(), sha256: base64(first)? });
    };
    let mut digests = std::iter::once(second).chain(words);
    let sha256 = digests.find_map(|word| base64(word.strip_prefix(b"sha256=")?))?;
    Some(MicrodescriptorDigest { methods: read_methods(first)?, sha256 })
}

fn read_methods(list: &[u8]) -> Option<Vec<u32>> {
    list.split(|byte| *byte == b',').map(number).collect()
}

/// Returns whether an `m` line is valid; it may have digests of other algorithms only.
fn is_digest(item: &DescriptorItem<'_>) -> bool {
    let mut words = item.words();
    let is_of_other = |word: &[u8]| {
        split_pair(word).is_some_and(|(algorithm, digest)| {
            !algorithm.is_empty() && algorithm != b"sha256" && !digest.is_empty()
        })
    };
    read_digest(item).is_some()
        || (words.next().is_some_and(|first| read_methods(first).is_some())
            && words.clone().next().is_some()
            && words.all(is_of_other))
}

impl From<&RouterStatus> for RelaySpec {
    fn from(relay: &RouterStatus) -> Self {
        Self::from(relay.first.identity())
    }
}

impl From<RouterStatus> for RelaySpec {
    fn from(relay: RouterStatus) -> Self {
        Self::from(relay.first.identity())
    }
}

impl fmt::Debug for RouterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouterStatus({} {})", self.first.nickname, self.first.identity())
    }
}
