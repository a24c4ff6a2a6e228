//! The rules of an exit policy.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::super::item::number;
use super::Family;
use super::private;
use crate::names::InvalidName;

/// One rule of an [`ExitPolicy`](super::ExitPolicy): whether connections to some addresses and ports
/// are accepted.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{AddressPattern, ExitPolicyRule};
///
/// let rule: ExitPolicyRule = "accept 192.0.2.0/24:80-88".parse()?;
/// assert!(rule.is_accept() && rule.matches([192, 0, 2, 1].into(), 80));
/// assert_eq!(rule.ports(), 80..=88);
/// let network = AddressPattern::Network { address: [192, 0, 2, 0].into(), bits: 24 };
/// assert_eq!(rule.addresses(), network);
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitPolicyRule {
    pub(super) is_accept: bool,
    /// `accept6` or `reject6`.
    pub(super) only_ipv6: bool,
    pub(super) addresses: AddressPattern,
    pub(super) ports: Ports,
}

/// The addresses of an [`ExitPolicyRule`].
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{AddressPattern, ExitPolicyRule};
///
/// let rule: ExitPolicyRule = "reject private:*".parse()?;
/// assert_eq!(rule.addresses(), AddressPattern::Private);
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressPattern {
    /// `*`: all addresses. In an `accept6` or `reject6` rule, all IPv6 addresses.
    All,
    /// `*4`: all IPv4 addresses.
    Ipv4,
    /// `*6`: all IPv6 addresses.
    Ipv6,
    /// `private`: the networks that tor calls private, such as `10.0.0.0/8`.
    Private,
    /// An address or a network.
    Network {
        /// An address of the network.
        address: IpAddr,
        /// The length of the prefix, at most 32 for IPv4 and 128 for IPv6.
        bits: u8,
    },
}

/// A range of ports. Invariant: `first <= last`. Port 0 is never allowed; old relays wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ports {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl ExitPolicyRule {
    /// Returns the rule for all addresses and ports.
    pub(super) fn all(is_accept: bool) -> Self {
        let addresses = AddressPattern::All;
        Self { is_accept, only_ipv6: false, addresses, ports: Ports::ALL }
    }

    /// Returns whether the rule accepts connections.
    #[must_use]
    pub fn is_accept(&self) -> bool {
        self.is_accept
    }

    pub(super) fn is_private(&self) -> bool {
        self.addresses == AddressPattern::Private
    }

    /// Returns whether the rule is for IPv6 only: `accept6` or `reject6`.
    #[must_use]
    pub fn is_only_ipv6(&self) -> bool {
        self.only_ipv6
    }

    /// Returns the addresses.
    #[must_use]
    pub fn addresses(&self) -> AddressPattern {
        self.addresses
    }

    /// Returns the ports. `*` is `1..=65535`.
    #[must_use]
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.ports.first..=self.ports.last
    }

    /// Returns whether the rule decides about this address and port, if no earlier rule does.
    #[doc(alias = "is_match")]
    #[must_use]
    pub fn matches(&self, address: IpAddr, port: u16) -> bool {
        self.ports.contains(port) && self.applies_to(address) && self.addresses.contains(address)
    }

    /// `accept6` and `reject6` are for IPv6, except with `private`, which tor expands to the networks
    /// of both families.
    fn applies_to(&self, address: IpAddr) -> bool {
        !self.only_ipv6 || address.is_ipv6() || self.is_private()
    }

    /// Returns the bits of the prefix by which the rule selects addresses of a family, 0 for all.
    /// `None` if it selects none, or if it is for `private`.
    pub(super) fn bits_for(&self, family: Family) -> Option<u8> {
        let is_ipv4 = family == Family::Ipv4;
        match self.addresses {
            AddressPattern::All => (!is_ipv4 || !self.only_ipv6).then_some(0),
            AddressPattern::Ipv4 => is_ipv4.then_some(0),
            AddressPattern::Ipv6 => (!is_ipv4).then_some(0),
            AddressPattern::Private => None,
            AddressPattern::Network { address, bits } => {
                (address.is_ipv4() == is_ipv4).then_some(bits)
            }
        }
    }

    pub(super) fn parse(rule: &str) -> Option<Self> {
        let (word, pattern) = rule.trim_ascii().split_once(' ')?;
        let (is_accept, only_ipv6) = match word {
            "accept" => (true, false),
            "reject" => (false, false),
            "accept6" => (true, true),
            "reject6" => (false, true),
            _ => return None,
        };
        let pattern = pattern.trim_ascii_start();
        // An IPv6 address contains colons, in brackets or without a port.
        let (addresses, ports) = match (pattern.rfind(']'), pattern.split_once(':')) {
            (Some(bracket), _) => {
                let after = pattern.get(bracket + 1..)?;
                let colon = after.find(':').map_or(pattern.len(), |colon| bracket + 1 + colon);
                let (addresses, ports) = pattern.split_at_checked(colon)?;
                (addresses, ports.strip_prefix(':'))
            }
            (None, Some((_, ports))) if ports.contains(':') => (pattern, None),
            (None, Some((addresses, ports))) => (addresses, Some(ports)),
            (None, None) => (pattern, None),
        };
        let addresses = AddressPattern::parse(addresses)?;
        let is_ipv4 = match addresses {
            AddressPattern::Ipv4 => true,
            AddressPattern::Network { address, .. } => address.is_ipv4(),
            _ => false,
        };
        if only_ipv6 && is_ipv4 {
            return None;
        }
        let ports = ports.map_or(Some(Ports::ALL), Ports::parse)?;
        Some(Self { is_accept, only_ipv6, addresses, ports })
    }
}

impl AddressPattern {
    fn contains(self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
            Self::Private => private::contains(address),
            Self::Network { address: network, bits } => is_within(address, network, bits),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => return Some(Self::All),
            "*4" => return Some(Self::Ipv4),
            "*6" => return Some(Self::Ipv6),
            "private" => return Some(Self::Private),
            _ => {}
        }
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        let in_brackets = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match in_brackets {
            Some(address) => IpAddr::V6(address.parse().ok()?),
            None => address.parse().ok()?,
        };
        let all_bits = all_bits(address);
        let bits = match mask {
            None => all_bits,
            Some(mask) if address.is_ipv4() && mask.contains('.') => {
                let mask = u32::from(mask.parse::<Ipv4Addr>().ok()?);
                let bits = mask.leading_ones();
                // tor refuses a mask that is not a prefix.
                (bits + mask.trailing_zeros().min(32) >= 32).then_some(bits)?.try_into().ok()?
            }
            Some(bits) => number(bits.as_bytes()).filter(|bits| *bits <= all_bits)?,
        };
        Some(Self::Network { address, bits })
    }
}

/// Returns the number of bits of an address.
fn all_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Returns whether a network contains an address.
pub(super) fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = u32::from(address) ^ u32::from(network);
            differing.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let number = |address: Ipv6Addr| u128::from_be_bytes(address.octets());
            (number(address) ^ number(network)).leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

impl Ports {
    pub(super) const ALL: Self = Self { first: 1, last: u16::MAX };

    pub(super) fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::ALL);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (number(first.as_bytes())?, number(last.as_bytes())?);
        (first <= last).then_some(Self { first, last })
    }

    pub(super) fn parse_in_summary(text: &str) -> Option<Self> {
        Self::parse(text).filter(|ports| text != "*" && ports.first >= 1)
    }
}

impl FromStr for ExitPolicyRule {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text).filter(|_| !text.contains('\n')).ok_or(InvalidName::new(
            "rule of an exit policy",
            "must be a rule such as \"accept *:80\" or \"reject 10.0.0.0/8:*\"",
        ))
    }
}

impl FromStr for AddressPattern {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text).ok_or(InvalidName::new(
            "address pattern",
            "must be *, *4, *6, private, an address, or a network such as \"10.0.0.0/8\"",
        ))
    }
}

impl fmt::Display for ExitPolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_accept { "accept" } else { "reject" };
        let six = if self.only_ipv6 { "6" } else { "" };
        write!(f, "{word}{six} {}:", self.addresses)?;
        match self.ports {
            Ports::ALL => f.write_str("*"),
            ports => ports.fmt(f),
        }
    }
}

impl fmt::Debug for ExitPolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitPolicyRule({self})")
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::All => f.write_str("*"),
            Self::Ipv4 => f.write_str("*4"),
            Self::Ipv6 => f.write_str("*6"),
            Self::Private => f.write_str("private"),
            Self::Network { address, bits } => {
                match address {
                    IpAddr::V4(address) => address.fmt(f)?,
                    IpAddr::V6(address) => write!(f, "[{address}]")?,
                }
                if bits < all_bits(address) { write!(f, "/{bits}") } else { Ok(()) }
            }
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first < self.last { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}
