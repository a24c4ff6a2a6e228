//! Server descriptors.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use self::rules::{RULES, Router};
use super::exit_policy::ExitPolicy;
use super::history::BandwidthHistory;
use super::item::{DescriptorItem, Items, has_lines, has_rules};
use super::list::{Descriptor, sealed::Read};
use super::protocols::ProtocolVersions;
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{BridgeDistribution, Nickname, RelaySpec, TorVersion};

mod keys;
mod rules;

#[cfg(test)]
mod tests;

/// A server descriptor, published and signed by a relay. The reply to `GETINFO desc/..`.
///
/// A clone is cheap, and every line but the first is parsed by the method that returns it. RSA keys and
/// signatures are text, in PEM.
///
/// Descriptors of every version of tor can be read. A descriptor of a bridge that `CollecTor`
/// sanitized has [`router_digest`](Self::router_digest) instead of keys and signatures; its addresses,
/// its contact, and the digests in the place of its identities are not those of the bridge.
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
    router: Router,
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

impl Descriptor for ServerDescriptor {}

impl Read for ServerDescriptor {
    const FIRST: &'static [u8] = b"\nrouter";

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        let wrong = |expected| ProtocolError::new("a server descriptor", expected, bytes);
        let first = Items::new(bytes).first().filter(|item| item.is(b"router"));
        let first = first.ok_or_else(|| wrong("a line that begins with router"))?;
        let router = rules::router(&first).map_err(wrong)?;
        Ok(Self { text, router })
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
        self.router.nickname
    }

    /// Returns the IPv4 address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.router.address
    }

    /// Returns the OR port.
    #[must_use]
    pub fn or_port(&self) -> u16 {
        self.router.or_port
    }

    /// Returns the SOCKS port, which only old versions of tor wrote.
    #[must_use]
    pub fn socks_port(&self) -> Option<u16> {
        Some(self.router.socks_port).filter(|port| *port != 0)
    }

    /// Returns the directory port, if any.
    #[must_use]
    pub fn dir_port(&self) -> Option<u16> {
        Some(self.router.dir_port).filter(|port| *port != 0)
    }

    /// Returns the OR addresses: the IPv4 address with the OR port, then those of `or-address` lines,
    /// mostly IPv6.
    pub fn or_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let more = Items::new(self.text.as_bytes()).addresses(b"or-address");
        std::iter::once(SocketAddr::from((self.address(), self.or_port()))).chain(more)
    }

    /// Returns the platform, such as `Tor 0.4.9.11 on Linux`.
    #[must_use]
    pub fn platform(&self) -> Option<Cow<'_, str>> {
        self.arguments(b"platform")
    }

    /// Returns the version of tor in the platform, if any.
    #[doc(alias = "tor_version")]
    #[must_use]
    pub fn version(&self) -> Option<TorVersion> {
        let platform = self.platform()?;
        let version = rules::split_platform(&platform)?.0;
        (!version.is_empty()).then(|| TorVersion::from_text(version))
    }

    /// Returns the operating system in the platform, such as `Linux` or `Windows XP`.
    #[must_use]
    pub fn operating_system(&self) -> Option<Cow<'_, str>> {
        match self.platform()? {
            Cow::Borrowed(platform) => rules::split_platform(platform)?.1.map(Cow::Borrowed),
            Cow::Owned(platform) => {
                rules::split_platform(&platform)?.1.map(|system| Cow::Owned(system.to_owned()))
            }
        }
    }

    /// Returns the supported protocol versions, such as `Cons=1-2 Desc=1-4`.
    #[must_use]
    pub fn protocols(&self) -> Option<ProtocolVersions> {
        rules::protocols(&self.find(b"proto")?)
    }

    /// Returns the versions of the link protocol that tor before 0.2.9 listed (`protocols`).
    pub fn link_protocols(&self) -> impl Iterator<Item = u32> {
        self.numbered_protocols().0.into_iter()
    }

    /// Returns the versions of the circuit protocol that tor before 0.2.9 listed (`protocols`).
    pub fn circuit_protocols(&self) -> impl Iterator<Item = u32> {
        self.numbered_protocols().1.into_iter()
    }

    fn numbered_protocols(&self) -> (Vec<u32>, Vec<u32>) {
        let item = self.find(b"protocols");
        item.as_ref().and_then(rules::numbered_protocols).unwrap_or_default()
    }

    /// Returns the time of publication.
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        self.find(b"published")?.time()
    }

    /// Returns whether the relay hibernates.
    #[must_use]
    pub fn is_hibernating(&self) -> bool {
        self.flag(b"hibernating") == Some(true)
    }

    /// Returns the uptime of the relay at publication. `None` if it is negative.
    #[must_use]
    pub fn uptime(&self) -> Option<Duration> {
        self.uptime_seconds()?.try_into().ok().map(Duration::from_secs)
    }

    /// Returns the uptime of the relay at publication, in seconds. Versions of tor before 0.1.2.7 wrote
    /// a negative number when the clock had been set back.
    #[must_use]
    pub fn uptime_seconds(&self) -> Option<i64> {
        rules::uptime(&self.find(b"uptime")?)
    }

    /// Returns the advertised bandwidth.
    #[doc(alias = "average_bandwidth")]
    #[doc(alias = "burst_bandwidth")]
    #[doc(alias = "observed_bandwidth")]
    #[must_use]
    pub fn bandwidth(&self) -> Option<AdvertisedBandwidth> {
        rules::bandwidth(&self.find(b"bandwidth")?)
    }

    /// Returns the history of read bytes, which tor before 0.2 wrote here and later versions write in the
    /// [extra-info document](super::ExtraInfo).
    #[must_use]
    pub fn read_history(&self) -> Option<BandwidthHistory> {
        BandwidthHistory::read(&self.find(b"read-history")?)
    }

    /// Returns the history of written bytes; see [`read_history`](Self::read_history).
    #[must_use]
    pub fn write_history(&self) -> Option<BandwidthHistory> {
        BandwidthHistory::read(&self.find(b"write-history")?)
    }

    /// Returns the time of the last overload: memory was short, handshakes were dropped, or TCP ports were
    /// exhausted. A full hour of the last 72 hours before the publication.
    #[must_use]
    pub fn overload_general(&self) -> Option<SystemTime> {
        self.find(b"overload-general")?.overload_time()
    }

    /// Returns the SHA-1 digest of the extra-info document.
    #[must_use]
    pub fn extra_info_digest(&self) -> Option<[u8; 20]> {
        Some(rules::extra_info_digests(&self.find(b"extra-info-digest")?)?.0)
    }

    /// Returns the SHA-256 digest of the extra-info document, since tor 0.2.7.
    #[doc(alias = "extra_info_sha256_digest")]
    #[must_use]
    pub fn extra_info_sha256(&self) -> Option<[u8; 32]> {
        rules::extra_info_digests(&self.find(b"extra-info-digest")?)?.1
    }

    /// Returns whether the relay stores descriptors of onion services.
    #[must_use]
    pub fn is_hidden_service_dir(&self) -> bool {
        self.find(b"hidden-service-dir").is_some()
    }

    /// Returns the versions of the descriptors of onion services in the line `hidden-service-dir`. tor
    /// writes none; [`protocols`](Self::protocols) has them as `HSDir`.
    pub fn hidden_service_dir_versions(&self) -> impl Iterator<Item = u32> {
        let item = self.find(b"hidden-service-dir");
        item.as_ref().and_then(rules::versions).unwrap_or_default().into_iter()
    }

    /// Returns the contact information; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn contact(&self) -> Option<Cow<'_, str>> {
        self.arguments(b"contact")
    }

    /// Returns the contact information as bytes.
    #[must_use]
    pub fn contact_bytes(&self) -> Option<&[u8]> {
        Some(self.find(b"contact")?.arguments_bytes())
    }

    /// Returns the distribution method that a bridge requests.
    #[doc(alias = "bridge_distribution")]
    #[must_use]
    pub fn bridge_distribution_request(&self) -> Option<BridgeDistribution> {
        rules::bridge_distribution(&self.find(b"bridge-distribution-request")?)
    }

    /// Returns the declared family.
    pub fn family(&self) -> impl Iterator<Item = RelaySpec> + '_ {
        self.find(b"family").into_iter().flat_map(|item| item.words()).map(RelaySpec::from_bytes)
    }

    /// Returns whether the relay caches extra-info documents.
    #[doc(alias = "extra_info_cache")]
    #[must_use]
    pub fn caches_extra_info(&self) -> bool {
        self.find(b"caches-extra-info").is_some()
    }

    /// Returns whether the relay answers tunneled directory requests.
    #[doc(alias = "allow_tunneled_dir_requests")]
    #[must_use]
    pub fn is_tunnelled_dir_server(&self) -> bool {
        self.find(b"tunnelled-dir-server").is_some()
    }

    /// Returns whether the relay is an exit of circuits with a single hop. tor before 0.3.1 only.
    #[doc(alias = "allow_single_hop_exits")]
    #[must_use]
    pub fn allows_single_hop_exits(&self) -> bool {
        self.find(b"allow-single-hop-exits").is_some()
    }

    /// Returns whether the relay resolves names without blocking (`eventdns`), which only old versions of tor
    /// wrote.
    #[doc(alias = "eventdns")]
    #[must_use]
    pub fn has_eventdns(&self) -> Option<bool> {
        self.flag(b"eventdns")
    }

    /// Returns the exit policy for IPv4. `None` if there is none, or a line has a syntax error.
    #[must_use]
    pub fn exit_policy(&self) -> Option<ExitPolicy> {
        let lines = self.items().filter(|item| item.is(b"accept") || item.is(b"reject"));
        let lines: Vec<_> = lines.map(|item| rules::exit_rule(&item)).collect();
        ExitPolicy::from_bytes(lines.join("\n").as_bytes())
    }

    /// Returns the summary of the exit policy for IPv6. `None` if the relay allows no IPv6 exits.
    #[doc(alias = "exit_policy_v6")]
    #[must_use]
    pub fn ipv6_exit_ports(&self) -> Option<ExitPolicy> {
        rules::port_summary(&self.find(b"ipv6-policy")?)
    }

    /// Returns whether the relay allows connections to this address and port as an exit: for IPv4 by
    /// [`exit_policy`](Self::exit_policy), for IPv6 by [`ipv6_exit_ports`](Self::ipv6_exit_ports).
    #[must_use]
    pub fn allows_exit_to(&self, address: IpAddr, port: u16) -> bool {
        let policy = if address.is_ipv4() { self.exit_policy() } else { self.ipv6_exit_ports() };
        policy.is_some_and(|policy| policy.allows(address, port))
    }

    fn arguments(&self, keyword: &[u8]) -> Option<Cow<'_, str>> {
        Some(self.find(keyword)?.arguments())
    }

    fn flag(&self, keyword: &[u8]) -> Option<bool> {
        rules::flag(&self.find(keyword)?)
    }
}

impl fmt::Debug for ServerDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Router { nickname, address, or_port, .. } = self.router;
        write!(f, "ServerDescriptor({nickname} {address}:{or_port})")
    }
}
