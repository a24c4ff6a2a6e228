//! Exit policies.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::item::number;
use crate::names::InvalidName;

#[cfg(test)]
mod tests;

/// An exit policy: the addresses and ports to which a relay connects as an exit.
///
/// A policy has one of two forms. A list of rules, such as `accept 192.0.2.0/24:80-88,reject *:*`: the
/// first matching rule decides, and an address that matches no rule is allowed. A summary of ports,
/// such as `accept 80,443` or `reject 25,119`: ports that are not listed are treated the opposite
/// way.
///
/// Rules are separated by commas or line feeds. A rule is `accept`, `reject`, or, for IPv6 only,
/// `accept6` or `reject6`; then an address with an optional mask (bits or IPv4), `*`, `*4`, `*6` or
/// `private`; then a port, a range of ports or `*`, the default. `private` means the networks that
/// tor calls private; the relay's own addresses, which tor adds, are not known here.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExitPolicy;
///
/// let policy: ExitPolicy = "reject private:*,accept *:80-443,reject *:*".parse()?;
/// assert!(policy.allows([192, 0, 2, 1].into(), 80));
/// assert!(!policy.allows([10, 0, 0, 1].into(), 80));
/// assert!(!policy.allows([192, 0, 2, 1].into(), 25));
/// let summary: ExitPolicy = "reject 25,119".parse()?;
/// assert!(summary.allows([192, 0, 2, 1].into(), 80));
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ExitPolicy {
    form: Form,
    /// The only address family of the policy; `None` for both.
    family: Option<Family>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Family {
    Ipv4,
    Ipv6,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// Invariant: not empty.
    Rules(Box<[Rule]>),
    /// Invariant: not empty.
    Summary { accepts: bool, ports: Box<[Ports]> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rule {
    accepts: bool,
    /// `accept6` or `reject6`.
    only_ipv6: bool,
    addresses: Addresses,
    ports: Ports,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Addresses {
    All,
    Ipv4,
    Ipv6,
    Private,
    /// The bits are at most 32 or 128.
    Network(IpAddr, u8),
}

/// Invariant: `1 <= first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ports {
    first: u16,
    last: u16,
}

impl ExitPolicy {
    /// Parses a policy; `None` if the syntax is wrong.
    pub(crate) fn from_bytes(text: &[u8]) -> Option<Self> {
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// Parses the rules of `GETINFO exit-policy/full`. In these, the `*` of `accept` and `reject` means
    /// every IPv4 address, since tor writes `accept6` and `reject6` for IPv6. A single rule applies
    /// to both families.
    pub(crate) fn from_rules_of_relay(text: &[u8]) -> Option<Self> {
        let mut policy = Self::from_bytes(text)?;
        if let Form::Rules(rules) = &mut policy.form {
            let is_single = rules.len() == 1;
            let of_ipv4 = |rule: &&mut Rule| {
                !is_single && !rule.only_ipv6 && rule.addresses == Addresses::All
            };
            rules.iter_mut().filter(of_ipv4).for_each(|rule| rule.addresses = Addresses::Ipv4);
        }
        Some(policy)
    }

    /// Parses `GETINFO exit-policy/ipv4`, which has no rules for IPv6.
    pub(crate) fn from_ipv4_rules_of_relay(text: &[u8]) -> Option<Self> {
        Some(Self::from_rules_of_relay(text)?.restricted_to(Family::Ipv4))
    }

    /// Parses `GETINFO exit-policy/ipv6`, which has no rules for IPv4.
    pub(crate) fn from_ipv6_rules_of_relay(text: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(text)?.restricted_to(Family::Ipv6))
    }

    fn restricted_to(mut self, family: Family) -> Self {
        // tor writes `reject *:*` for a relay that is not an exit, in both replies.
        let allows_nothing = |rule: &Rule| {
            !rule.accepts
                && !rule.only_ipv6
                && rule.addresses == Addresses::All
                && rule.ports == Ports::ALL
        };
        let first_decides =
            matches!(&self.form, Form::Rules(rules) if rules.first().is_some_and(allows_nothing));
        self.family = (!first_decides).then_some(family);
        self
    }

    /// Returns whether the policy allows connections to this address and port.
    ///
    /// The policy of one address family, such as
    /// [`exit_policy_ipv4`](crate::Controller::exit_policy_ipv4), allows no address of the other
    /// family.
    ///
    /// A summary describes most addresses, so the relay may refuse some addresses that it allows.
    #[doc(alias = "accepts_port")]
    #[must_use]
    pub fn allows(&self, address: IpAddr, port: u16) -> bool {
        let is_other_family = match self.family {
            None => false,
            Some(Family::Ipv4) => address.is_ipv6(),
            Some(Family::Ipv6) => address.is_ipv4(),
        };
        if is_other_family {
            return false;
        }
        match &self.form {
            Form::Rules(rules) => {
                let first = rules.iter().find(|rule| rule.matches(address, port));
                first.is_none_or(|rule| rule.accepts)
            }
            Form::Summary { accepts, ports } => {
                ports.iter().any(|ports| ports.contains(port)) == *accepts
            }
        }
    }

    /// Returns whether this is a summary of ports.
    #[must_use]
    pub fn is_summary(&self) -> bool {
        matches!(self.form, Form::Summary { .. })
    }
}

impl Rule {
    fn matches(&self, address: IpAddr, port: u16) -> bool {
        self.ports.contains(port)
            && (address.is_ipv6() || !self.only_ipv6)
            && self.addresses.contains(address)
    }

    fn parse(rule: &str) -> Option<Self> {
        let (word, pattern) = rule.trim_ascii().split_once(' ')?;
        let (accepts, only_ipv6) = match word {
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
        let addresses = Addresses::parse(addresses)?;
        if only_ipv6 && matches!(addresses, Addresses::Ipv4 | Addresses::Network(IpAddr::V4(_), _))
        {
            return None;
        }
        Some(Self { accepts, only_ipv6, addresses, ports: Ports::parse(ports.unwrap_or("*"))? })
    }
}

impl Addresses {
    fn contains(self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
            Self::Private => is_private(address),
            Self::Network(network, bits) => is_within(address, network, bits),
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
        let all_bits = if address.is_ipv4() { 32 } else { 128 };
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
        Some(Self::Network(address, bits))
    }
}

/// Returns whether tor's `private` contains the address. The relay's own addresses are not known.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => match address.octets() {
            [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] => true,
            [172, second, ..] => (16..32).contains(&second),
            _ => false,
        },
        // [::]/8, [fc00::]/7, [fe80::]/10, [fec0::]/10, [ff00::]/8.
        IpAddr::V6(address) => match address.octets() {
            [0 | 0xfc | 0xfd | 0xff, ..] => true,
            [0xfe, second, ..] => second >= 0x80,
            _ => false,
        },
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
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
    const ALL: Self = Self { first: 1, last: u16::MAX };

    fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::ALL);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (number(first.as_bytes())?, number(last.as_bytes())?);
        (1 <= first && first <= last).then_some(Self { first, last })
    }
}

/// Parses a summary such as `accept 80,443`.
fn parse_summary(text: &str) -> Option<Form> {
    let (word, ports) = text.trim_ascii().split_once(' ')?;
    let accepts = match word {
        "accept" => true,
        "reject" => false,
        _ => return None,
    };
    let ports: Option<Box<[Ports]>> = ports
        .split(',')
        .map(|ports| (ports != "*").then(|| Ports::parse(ports)).flatten())
        .collect();
    Some(Form::Summary { accepts, ports: ports? })
}

impl FromStr for ExitPolicy {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rules = || {
            let rules: Option<Box<[Rule]>> =
                text.trim_ascii().split([',', '\n']).map(Rule::parse).collect();
            rules.map(Form::Rules)
        };
        let form = parse_summary(text).or_else(rules).ok_or(InvalidName::new(
            "exit policy",
            "must be rules such as \"accept *:80,reject *:*\", or ports such as \"accept 80,443\"",
        ))?;
        Ok(Self { form, family: None })
    }
}

impl fmt::Display for ExitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Rules(rules) => {
                for (n, rule) in rules.iter().enumerate() {
                    let comma = if n == 0 { "" } else { "," };
                    write!(f, "{comma}{rule}")?;
                }
            }
            Form::Summary { accepts, ports } => {
                f.write_str(if *accepts { "accept " } else { "reject " })?;
                for (n, ports) in ports.iter().enumerate() {
                    let comma = if n == 0 { "" } else { "," };
                    write!(f, "{comma}{ports}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.accepts { "accept" } else { "reject" };
        let six = if self.only_ipv6 { "6" } else { "" };
        write!(f, "{word}{six} {}:", self.addresses)?;
        match self.ports {
            Ports::ALL => f.write_str("*"),
            ports => ports.fmt(f),
        }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Ipv4 => f.write_str("*4"),
            Self::Ipv6 => f.write_str("*6"),
            Self::Private => f.write_str("private"),
            Self::Network(IpAddr::V4(address), 32) => address.fmt(f),
            Self::Network(IpAddr::V4(address), bits) => write!(f, "{address}/{bits}"),
            Self::Network(IpAddr::V6(address), 128) => write!(f, "[{address}]"),
            Self::Network(IpAddr::V6(address), bits) => write!(f, "[{address}]/{bits}"),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first < self.last { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}

impl fmt::Debug for ExitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitPolicy({self})")
    }
}
