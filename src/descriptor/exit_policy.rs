//! Exit policies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use self::rule::Ports;
pub use self::rule::{AddressPattern, ExitPolicyRule};
use crate::names::InvalidName;

mod private;
mod rule;
mod summary;

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
    Rules(Box<[ExitPolicyRule]>),
    /// Invariant: not empty.
    Summary { accepts: bool, ports: Box<[Ports]> },
}

impl Form {
    /// Without rules, everything is allowed.
    fn of_rules(rules: impl IntoIterator<Item = ExitPolicyRule>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        if rules.is_empty() {
            rules.push(ExitPolicyRule::all(true));
        }
        Self::Rules(rules.into())
    }
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
            let of_ipv4 = |rule: &&mut ExitPolicyRule| {
                !is_single && !rule.only_ipv6 && rule.addresses == AddressPattern::All
            };
            rules.iter_mut().filter(of_ipv4).for_each(|rule| rule.addresses = AddressPattern::Ipv4);
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
        let allows_nothing = |rule: &ExitPolicyRule| {
            !rule.is_accept
                && !rule.only_ipv6
                && rule.addresses == AddressPattern::All
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
        let family = if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        if !self.has_family(family) || port == 0 {
            return false;
        }
        match &self.form {
            Form::Rules(rules) => {
                let first = rules.iter().find(|rule| rule.matches(address, port));
                first.is_none_or(|rule| rule.is_accept)
            }
            Form::Summary { accepts, ports } => {
                ports.iter().any(|ports| ports.contains(port)) == *accepts
            }
        }
    }

    fn has_family(&self, family: Family) -> bool {
        self.family.is_none_or(|only| only == family)
    }

    /// Returns the rules, in order. Those of a summary such as `accept 80,443` are `accept *:80`,
    /// `accept *:443` and `reject *:*`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::ExitPolicy;
    ///
    /// let policy: ExitPolicy = "reject 10.0.0.0/8:*,accept *:80,reject *:*".parse()?;
    /// let accepting: ExitPolicy = policy.rules().filter(|rule| rule.is_accept()).collect();
    /// assert_eq!(accepting.to_string(), "accept *:80");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn rules(&self) -> impl Iterator<Item = ExitPolicyRule> + '_ {
        let (rules, ports, accepts) = match &self.form {
            Form::Rules(rules) => (&**rules, &[][..], None),
            Form::Summary { accepts, ports } => (&[][..], &**ports, Some(*accepts)),
        };
        let of_ports =
            ports.iter().zip(std::iter::repeat(accepts)).filter_map(|(ports, accepts)| {
                Some(ExitPolicyRule { ports: *ports, ..ExitPolicyRule::all(accepts?) })
            });
        let last = accepts.map(|accepts| ExitPolicyRule::all(!accepts));
        rules.iter().copied().chain(of_ports).chain(last)
    }

    /// Returns whether this is a summary of ports.
    #[must_use]
    pub fn is_summary(&self) -> bool {
        matches!(self.form, Form::Summary { .. })
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
    let ports: Option<Box<[Ports]>> = ports.split(',').map(Ports::parse_in_summary).collect();
    Some(Form::Summary { accepts, ports: ports? })
}

impl FromStr for ExitPolicy {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rules = || {
            let rules: Option<Box<[ExitPolicyRule]>> =
                text.trim_ascii().split([',', '\n']).map(ExitPolicyRule::parse).collect();
            rules.map(Form::Rules)
        };
        let form = parse_summary(text).or_else(rules).ok_or(InvalidName::new(
            "exit policy",
            "must be rules such as \"accept *:80,reject *:*\", or ports such as \"accept 80,443\"",
        ))?;
        Ok(Self { form, family: None })
    }
}

/// A policy without rules allows everything: it is `accept *:*`.
impl FromIterator<ExitPolicyRule> for ExitPolicy {
    fn from_iter<I: IntoIterator<Item = ExitPolicyRule>>(rules: I) -> Self {
        Self { form: Form::of_rules(rules), family: None }
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

impl fmt::Debug for ExitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitPolicy({self})")
    }
}
