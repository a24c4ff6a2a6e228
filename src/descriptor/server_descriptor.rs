//! Server descriptors.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use data_encoding::HEXUPPER_PERMISSIVE;

use super::certificate::Ed25519Certificate;
use super::exit_policy::ExitPolicy;
use super::item::{DescriptorItem, Items, base64, has_lines, has_rules, number};
use super::list::{Descriptor, sealed::Read};
use super::rule::{Rule, any};
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{Fingerprint, Nickname, RelaySpec, TorVersion};
use crate::wire::timestamp::read_time;

/// A server descriptor, published and signed by a relay. The reply to `GETINFO desc/..`.
///
/// A clone is cheap, and every line but the first is parsed by the method that returns it. Keys,
/// certificates and signatures are text; tor has verified them.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let fingerprint = "9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?;
/// if let Some(descriptor) = controller.server_descriptor(fingerprint)? {
///     println!("{:?} {:?}", descriptor.version(), descriptor.contact());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ServerDescriptor {
    text: Text,
    nickname: Nickname,
    address: Ipv4Addr,
    or_port: u16,
    dir_port: u16,
}

/// The bandwidth that a relay advertises, in bytes per second.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let fingerprint = "9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?;
/// let descriptor = controller.server_descriptor(fingerprint)?;
/// let bandwidth = descriptor.and_then(|descriptor| descriptor.bandwidth());
/// println!("{:?}", bandwidth.map(|bandwidth| bandwidth.observed));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AdvertisedBandwidth {
    /// The configured average (`BandwidthRate`).
    pub average: u64,
    /// The configured burst (`BandwidthBurst`).
    pub burst: u64,
    /// The observed bandwidth.
    pub observed: u64,
}

/// The keywords that have methods.
const RULES: &[Rule] = &[
    Rule::repeated(b"router", "router", any),
    Rule::repeated(b"identity-ed25519", "identity-ed25519", any),
    Rule::repeated(b"master-key-ed25519", "master-key-ed25519", any),
    Rule::repeated(b"or-address", "or-address", any),
    Rule::repeated(b"platform", "platform", any),
    Rule::repeated(b"proto", "proto", any),
    Rule::repeated(b"published", "published", any),
    Rule::repeated(b"fingerprint", "fingerprint", any),
    Rule::repeated(b"hibernating", "hibernating", any),
    Rule::repeated(b"uptime", "uptime", any),
    Rule::repeated(b"bandwidth", "bandwidth", any),
    Rule::repeated(b"extra-info-digest", "extra-info-digest", any),
    Rule::repeated(b"onion-key", "onion-key", any),
    Rule::repeated(b"onion-key-crosscert", "onion-key-crosscert", any),
    Rule::repeated(b"signing-key", "signing-key", any),
    Rule::repeated(b"ntor-onion-key", "ntor-onion-key", any),
    Rule::repeated(b"ntor-onion-key-crosscert", "ntor-onion-key-crosscert", any),
    Rule::repeated(b"hidden-service-dir", "hidden-service-dir", any),
    Rule::repeated(b"contact", "contact", any),
    Rule::repeated(b"bridge-distribution-request", "bridge-distribution-request", any),
    Rule::repeated(b"family", "family", any),
    Rule::repeated(b"family-cert", "family-cert", any),
    Rule::repeated(b"caches-extra-info", "caches-extra-info", any),
    Rule::repeated(b"accept", "accept", any),
    Rule::repeated(b"reject", "reject", any),
    Rule::repeated(b"ipv6-policy", "ipv6-policy", any),
    Rule::repeated(b"tunnelled-dir-server", "tunnelled-dir-server", any),
    Rule::repeated(b"router-sig-ed25519", "router-sig-ed25519", any),
    Rule::repeated(b"router-signature", "router-signature", any),
];

impl Descriptor for ServerDescriptor {}

impl Read for ServerDescriptor {
    const FIRST: &'static [u8] = b"\nrouter";

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        let wrong = |expected| ProtocolError::new("a server descriptor", expected, bytes);
        let first = Items::new(bytes).first().filter(|item| item.is(b"router"));
        let mut words = first.ok_or_else(|| wrong("a line that begins with router"))?.words();
        let nickname = words.next().and_then(Nickname::from_bytes);
        let address = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        let or_port = words.next().and_then(number);
        // The SOCKS port, which is always 0.
        words.next();
        let dir_port = words.next().and_then(number);
        Ok(Self {
            nickname: nickname.ok_or_else(|| wrong("a nickname"))?,
            address: address.ok_or_else(|| wrong("an IPv4 address"))?,
            or_port: or_port.ok_or_else(|| wrong("a port"))?,
            dir_port: dir_port.ok_or_else(|| wrong("three ports"))?,
            text,
        })
    }
}

has_lines!(ServerDescriptor);
has_rules!(ServerDescriptor, "a server descriptor", RULES);

impl ServerDescriptor {
    /// Parses one descriptor.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not a valid `router` line.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Returns the nickname, which is not unique.
    #[must_use]
    pub fn nickname(&self) -> Nickname {
        self.nickname
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

    /// Returns the OR addresses: the IPv4 address with the OR port, then those of `or-address` lines,
    /// mostly IPv6.
    pub fn or_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let more = Items::new(self.text.as_bytes()).addresses(b"or-address");
        std::iter::once(SocketAddr::from((self.address, self.or_port))).chain(more)
    }

    /// Returns the certificate of the Ed25519 identity, in PEM.
    #[must_use]
    pub fn ed25519_certificate(&self) -> Option<Cow<'_, str>> {
        self.find(b"identity-ed25519")?.object()
    }

    /// Returns the Ed25519 identity.
    #[doc(alias = "master_key_ed25519")]
    #[must_use]
    pub fn ed25519_identity(&self) -> Option<[u8; 32]> {
        self.find(b"master-key-ed25519")?.words().next().and_then(base64)
    }

    /// Returns the platform, such as `Tor 0.4.9.11 on Linux`.
    #[must_use]
    pub fn platform(&self) -> Option<Cow<'_, str>> {
        self.arguments(b"platform")
    }

    /// Returns the version of tor in the platform, if any.
    #[must_use]
    pub fn version(&self) -> Option<TorVersion> {
        let platform = self.platform()?;
        platform.strip_prefix("Tor ")?.split(' ').next().map(TorVersion::from_text)
    }

    /// Returns the supported protocol versions, such as `Cons=1-2 Desc=1-4`.
    #[must_use]
    pub fn protocols(&self) -> Option<Cow<'_, str>> {
        self.arguments(b"proto")
    }

    /// Returns the time of publication.
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        read_time(self.find(b"published")?.arguments_bytes())
    }

    /// Returns the fingerprint of the relay.
    #[doc(alias = "identity")]
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        // In groups of four digits.
        let digits: Vec<u8> = self.find(b"fingerprint")?.words().flatten().copied().collect();
        Fingerprint::from_hex(&digits)
    }

    /// Returns whether the relay hibernates.
    #[must_use]
    pub fn is_hibernating(&self) -> bool {
        self.find(b"hibernating").is_some_and(|item| item.words().next() == Some(b"1"))
    }

    /// Returns the uptime of the relay at publication.
    #[must_use]
    pub fn uptime(&self) -> Option<Duration> {
        self.find(b"uptime")?.words().next().and_then(number).map(Duration::from_secs)
    }

    /// Returns the advertised bandwidth.
    #[must_use]
    pub fn bandwidth(&self) -> Option<AdvertisedBandwidth> {
        let mut words = self.find(b"bandwidth")?.words();
        let average = number(words.next()?)?;
        let burst = number(words.next()?)?;
        Some(AdvertisedBandwidth { average, burst, observed: number(words.next()?)? })
    }

    /// Returns the SHA-1 digest of the extra-info document.
    #[must_use]
    pub fn extra_info_digest(&self) -> Option<[u8; 20]> {
        let digits = self.find(b"extra-info-digest")?.words().next()?;
        HEXUPPER_PERMISSIVE.decode(digits).ok()?.try_into().ok()
    }

    /// Returns the SHA-256 digest of the extra-info document.
    #[must_use]
    pub fn extra_info_sha256(&self) -> Option<[u8; 32]> {
        self.find(b"extra-info-digest")?.words().nth(1).and_then(base64)
    }

    /// Returns the TAP onion key, in PEM. New relays have none.
    #[must_use]
    pub fn onion_key(&self) -> Option<Cow<'_, str>> {
        self.find(b"onion-key")?.object()
    }

    /// Returns the cross-certificate of the TAP onion key.
    #[must_use]
    pub fn onion_key_crosscert(&self) -> Option<Cow<'_, str>> {
        self.find(b"onion-key-crosscert")?.object()
    }

    /// Returns the RSA identity key, in PEM; its digest is the fingerprint.
    #[must_use]
    pub fn signing_key(&self) -> Option<Cow<'_, str>> {
        self.find(b"signing-key")?.object()
    }

    /// Returns the ntor onion key.
    #[must_use]
    pub fn ntor_onion_key(&self) -> Option<[u8; 32]> {
        self.find(b"ntor-onion-key")?.words().next().and_then(base64)
    }

    /// Returns the cross-certificate of the ntor onion key.
    #[must_use]
    pub fn ntor_onion_key_crosscert(&self) -> Option<Cow<'_, str>> {
        self.find(b"ntor-onion-key-crosscert")?.object()
    }

    /// Returns whether the relay stores descriptors of onion services.
    #[must_use]
    pub fn is_hidden_service_dir(&self) -> bool {
        self.find(b"hidden-service-dir").is_some()
    }

    /// Returns the contact information.
    #[must_use]
    pub fn contact(&self) -> Option<Cow<'_, str>> {
        self.arguments(b"contact")
    }

    /// Returns the distribution method that a bridge requests.
    #[must_use]
    pub fn bridge_distribution_request(&self) -> Option<Cow<'_, str>> {
        self.arguments(b"bridge-distribution-request")
    }

    /// Returns the declared family.
    pub fn family(&self) -> impl Iterator<Item = RelaySpec> + '_ {
        self.find(b"family").into_iter().flat_map(|item| item.words()).map(RelaySpec::from_bytes)
    }

    /// Returns the certificates of the families of which the relay is a member, each with the key of
    /// the family.
    pub fn family_certificates(&self) -> impl Iterator<Item = Ed25519Certificate> {
        let items = self.items().filter(|item| item.is(b"family-cert"));
        items.filter_map(|item| Ed25519Certificate::of(&item, "FAMILY CERT"))
    }

    /// Returns whether the relay caches extra-info documents.
    #[must_use]
    pub fn caches_extra_info(&self) -> bool {
        self.find(b"caches-extra-info").is_some()
    }

    /// Returns whether the relay answers tunneled directory requests.
    #[must_use]
    pub fn is_tunnelled_dir_server(&self) -> bool {
        self.find(b"tunnelled-dir-server").is_some()
    }

    /// Returns the exit policy for IPv4. `None` if there is none, or a line has a syntax error.
    #[must_use]
    pub fn exit_policy(&self) -> Option<ExitPolicy> {
        let lines = self.items().filter(|item| item.is(b"accept") || item.is(b"reject"));
        let lines: Vec<_> = lines.map(|item| item.to_string()).collect();
        ExitPolicy::from_bytes(lines.join("\n").as_bytes())
    }

    /// Returns the summary of the exit policy for IPv6. `None` if the relay allows no IPv6 exits.
    #[must_use]
    pub fn ipv6_exit_ports(&self) -> Option<ExitPolicy> {
        ExitPolicy::from_bytes(self.find(b"ipv6-policy")?.arguments_bytes())
    }

    /// Returns whether the relay allows connections to this address and port as an exit: for IPv4 by
    /// [`exit_policy`](Self::exit_policy), for IPv6 by [`ipv6_exit_ports`](Self::ipv6_exit_ports).
    #[must_use]
    pub fn allows_exit_to(&self, address: IpAddr, port: u16) -> bool {
        let policy = if address.is_ipv4() { self.exit_policy() } else { self.ipv6_exit_ports() };
        policy.is_some_and(|policy| policy.allows(address, port))
    }

    /// Returns the Ed25519 signature, in base64.
    #[must_use]
    pub fn ed25519_signature(&self) -> Option<Cow<'_, str>> {
        self.arguments(b"router-sig-ed25519")
    }

    /// Returns the RSA signature, in PEM.
    #[must_use]
    pub fn signature(&self) -> Option<Cow<'_, str>> {
        self.find(b"router-signature")?.object()
    }

    fn arguments(&self, keyword: &[u8]) -> Option<Cow<'_, str>> {
        Some(self.find(keyword)?.arguments())
    }
}

impl fmt::Debug for ServerDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerDescriptor({} {}:{})", self.nickname, self.address, self.or_port)
    }
}
