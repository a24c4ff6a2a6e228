//! Router statuses, the entries of the consensus.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use super::exit_policy::ExitPolicy;
use super::item::{DescriptorItem, Items, Words, base64, has_lines, number, take_line};
use super::list::{Descriptor, sealed::Read};
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{Fingerprint, Nickname, RelayFlag, RelaySpec, TorVersion};
use crate::wire::timestamp::read_time;

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
    nickname: Nickname,
    identity: Fingerprint,
    address: Ipv4Addr,
    or_port: u16,
    dir_port: u16,
}

/// The keywords that have methods.
const KNOWN: &[&[u8]] = &[b"r", b"a", b"s", b"v", b"pr", b"w", b"p", b"m", b"id"];

impl Descriptor for RouterStatus {}

impl Read for RouterStatus {
    const FIRST: &'static [u8] = b"\nr";

    const ANNOTATED: bool = false;

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        let wrong = |expected| ProtocolError::new("a router status", expected, bytes);
        let mut words = words_of_r(bytes).ok_or_else(|| wrong("a line that begins with r"))?;
        let nickname = words.next().and_then(Nickname::from_bytes);
        let identity = words.next().and_then(base64);
        // A consensus of microdescriptors has no digest here.
        let digest_or_date = words.next().unwrap_or_default();
        if !looks_like_date(digest_or_date) {
            words.next();
        }
        words.next();
        let address = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        let ports = (words.next().and_then(number), words.next().and_then(number));
        Ok(Self {
            nickname: nickname.ok_or_else(|| wrong("a nickname"))?,
            identity: identity.map(Fingerprint::from).ok_or_else(|| wrong("an identity"))?,
            address: address.ok_or_else(|| wrong("an IPv4 address"))?,
            or_port: ports.0.ok_or_else(|| wrong("a port"))?,
            dir_port: ports.1.ok_or_else(|| wrong("a second port"))?,
            text,
        })
    }
}

fn words_of_r(mut text: &[u8]) -> Option<Words<'_>> {
    Some(Words::new(take_line(&mut text)?.strip_prefix(b"r ")?))
}

/// Returns whether the word is a date. A digest has 27 characters.
fn looks_like_date(word: &[u8]) -> bool {
    word.len() == 10 && word.get(4) == Some(&b'-')
}

has_lines!(RouterStatus);

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
        self.nickname
    }

    /// Returns the fingerprint of the relay.
    #[doc(alias = "fingerprint")]
    #[must_use]
    pub fn identity(&self) -> Fingerprint {
        self.identity
    }

    /// Returns the digest of the descriptor, if the entry has one.
    ///
    /// In `ns/purpose/..` this is the digest of the server descriptor. Otherwise it is, in a tor
    /// that uses microdescriptors, as clients do, the first 20 of the 32 bytes of the digest of the
    /// microdescriptor.
    #[must_use]
    pub fn descriptor_digest(&self) -> Option<[u8; 20]> {
        let digest = words_of_r(self.text.as_bytes())?.nth(2)?;
        base64(digest).filter(|_| !looks_like_date(digest))
    }

    /// Returns the time of publication of the descriptor. A consensus of microdescriptors does not
    /// contain it, and tor writes 2038-01-01.
    #[doc(alias = "modified")]
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        let mut words = words_of_r(self.text.as_bytes())?.skip(2);
        let mut date = words.next()?;
        if !looks_like_date(date) {
            date = words.next()?;
        }
        read_time(&[date, words.next()?].join(&b' '))
    }

    /// Returns the IPv4 address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns the OR port.
    #[must_use]
    pub fn or_port(&self) -> u16 {
        self.or_port
    }

    /// Returns the directory port, if any.
    #[must_use]
    pub fn dir_port(&self) -> Option<u16> {
        Some(self.dir_port).filter(|port| *port != 0)
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
        std::iter::once(SocketAddr::from((self.address, self.or_port))).chain(more)
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

    /// Returns the supported protocol versions, such as `Cons=1-2 Desc=1-4`.
    #[must_use]
    pub fn protocols(&self) -> Option<Cow<'_, str>> {
        Some(self.find(b"pr")?.arguments())
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
        self.weight(b"Bandwidth=")
    }

    /// Returns the bandwidth that an authority measured, which only votes contain.
    #[must_use]
    pub fn measured_bandwidth(&self) -> Option<u64> {
        self.weight(b"Measured=")
    }

    /// Returns whether the weight is the advertised bandwidth, since too few authorities measured the
    /// relay.
    #[must_use]
    pub fn is_unmeasured(&self) -> bool {
        self.weight(b"Unmeasured=") == Some(1)
    }

    fn weight(&self, key: &[u8]) -> Option<u64> {
        self.words(b"w").find_map(|word| number(word.strip_prefix(key)?))
    }

    /// Returns the summary of the exit policy for IPv4.
    #[doc(alias = "policy")]
    #[must_use]
    pub fn exit_ports(&self) -> Option<ExitPolicy> {
        ExitPolicy::from_bytes(self.find(b"p")?.arguments_bytes())
    }

    /// Returns the digest of the microdescriptor, in base64. In votes, the numbers of consensus methods
    /// precede it.
    #[must_use]
    pub fn microdescriptor_digest(&self) -> Option<Cow<'_, str>> {
        Some(self.find(b"m")?.arguments())
    }

    /// Returns the Ed25519 identity, which only votes contain.
    #[must_use]
    pub fn ed25519_identity(&self) -> Option<[u8; 32]> {
        ed25519_identity(Items::new(self.text.as_bytes()))
    }

    /// Returns the items whose keyword this version of torcon does not know.
    pub fn unrecognized(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
        self.items().filter(|item| !KNOWN.iter().any(|keyword| item.is(keyword)))
    }

    fn words(&self, keyword: &[u8]) -> Words<'_> {
        self.find(keyword).map_or(Words::new(b""), |item| item.words())
    }
}

/// Returns the identity of an `id ed25519` line.
pub(super) fn ed25519_identity(mut items: Items<'_>) -> Option<[u8; 32]> {
    items.find_map(|item| {
        let mut words = item.words();
        (item.is(b"id") && words.next() == Some(b"ed25519")).then_some(())?;
        words.next().and_then(base64)
    })
}

impl From<&RouterStatus> for RelaySpec {
    fn from(relay: &RouterStatus) -> Self {
        Self::from(relay.identity)
    }
}

impl From<RouterStatus> for RelaySpec {
    fn from(relay: RouterStatus) -> Self {
        Self::from(relay.identity)
    }
}

impl fmt::Debug for RouterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouterStatus({} {})", self.nickname, self.identity)
    }
}
