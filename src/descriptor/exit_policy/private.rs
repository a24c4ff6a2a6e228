//! The networks that tor calls private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::rule::{AddressPattern, ExitPolicyRule, is_within};
use super::{ExitPolicy, Form};

/// The networks, in the order in which tor writes them. Those of IPv4 are first.
const NETWORKS: [(IpAddr, u8); 12] = [
    (IpAddr::V4(Ipv4Addr::new(0, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 127),
];

/// The number of networks of IPv4.
const IPV4_NETWORKS: usize = 6;

/// Returns whether tor's `private` contains the address. The relay's own addresses are not known.
pub(super) fn contains(address: IpAddr) -> bool {
    NETWORKS.iter().any(|(network, bits)| is_within(address, *network, *bits))
}

/// Returns whether the addresses are exactly one of the networks.
pub(super) fn is_network(addresses: AddressPattern) -> bool {
    matches!(addresses, AddressPattern::Network { address, bits }
        if NETWORKS.contains(&(address, bits)))
}

/// Returns the number of rules at the start that tor has expanded from one rule for `private`: the
/// networks of IPv4 and perhaps IPv6, then an address of the relay.
fn expanded(rules: &[ExitPolicyRule]) -> usize {
    let Some(first) = rules.first() else { return 0 };
    let is_alike =
        |rule: &ExitPolicyRule| (rule.is_accept, rule.ports) == (first.is_accept, first.ports);
    let is_next = |(rule, network): &(&ExitPolicyRule, &(IpAddr, u8))| {
        let (address, bits) = **network;
        is_alike(rule) && rule.addresses == AddressPattern::Network { address, bits }
    };
    let networks = rules.iter().zip(&NETWORKS).take_while(is_next).count();
    if networks < IPV4_NETWORKS {
        return 0;
    }
    let networks = if networks < NETWORKS.len() { IPV4_NETWORKS } else { networks };
    let is_address = |rule: &&ExitPolicyRule| {
        matches!(rule.addresses, AddressPattern::Network { address, bits }
            if bits == if address.is_ipv4() { 32 } else { 128 })
    };
    let own = rules.get(networks).filter(|rule| is_alike(rule)).filter(is_address);
    networks + usize::from(own.is_some())
}

impl ExitPolicy {
    /// Returns the policy with every rule for `private` replaced by rules for the networks that
    /// `private` means, as tor publishes them. The relay's own addresses, which tor adds, are not
    /// known here.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::ExitPolicy;
    ///
    /// let policy: ExitPolicy = "reject private:*,accept *:*".parse()?;
    /// let expanded = policy.expand_private();
    /// assert!(expanded.to_string().starts_with("reject 0.0.0.0/8:*,reject 169.254.0.0/16:*,"));
    /// assert_eq!(expanded.without_private().to_string(), "accept *:*");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn expand_private(&self) -> Self {
        let Form::Rules(rules) = &self.form else { return self.clone() };
        let expand = |rule: &ExitPolicyRule| {
            let is_private = rule.is_private();
            let networks = NETWORKS.iter().filter(move |_| is_private);
            let networks =
                networks.map(|&(address, bits)| AddressPattern::Network { address, bits });
            let others = (!is_private).then_some(rule.addresses);
            let rule = *rule;
            networks.chain(others).map(move |addresses| ExitPolicyRule {
                addresses,
                only_ipv6: rule.only_ipv6 && !is_private,
                ..rule
            })
        };
        Self { form: Form::Rules(rules.iter().flat_map(expand).collect()), family: self.family }
    }

    /// Returns the policy without the rules for `private`, and without those that tor has expanded
    /// from them: the networks in tor's order, and a rule for one address behind them, which is
    /// the relay's own.
    #[doc(alias = "strip_private")]
    #[must_use]
    pub fn without_private(&self) -> Self {
        let Form::Rules(all) = &self.form else { return self.clone() };
        let mut rest = &**all;
        let mut rules = Vec::with_capacity(all.len());
        while let Some((first, others)) = rest.split_first() {
            let expanded = expanded(rest);
            if expanded > 0 {
                rest = rest.get(expanded..).unwrap_or_default();
                continue;
            }
            rules.extend((!first.is_private()).then_some(*first));
            rest = others;
        }
        Self { form: Form::of_rules(rules), family: self.family }
    }

    /// Returns whether the policy has a rule for `private`, or rules that tor has expanded from one.
    #[must_use]
    pub fn has_private(&self) -> bool {
        let Form::Rules(rules) = &self.form else { return false };
        rules.iter().any(ExitPolicyRule::is_private)
            || (0..rules.len()).any(|n| expanded(rules.get(n..).unwrap_or_default()) > 0)
    }
}
