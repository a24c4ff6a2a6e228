//! Ports: those that a policy allows, and the summaries of the consensus.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::private;
use super::rule::{ExitPolicyRule, Ports};
use super::{ExitPolicy, Family, Form};

#[cfg(test)]
mod tests;

/// The most characters of a summary in tor.
const LONGEST: usize = 1000;

/// The effect of a rule on its ports.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Accept,
    Reject(u64),
}

/// Sums of weights at the start of a list (a Fenwick tree).
#[derive(Debug)]
struct Weights(Vec<i128>);

impl Weights {
    /// Adds to the weight at an index.
    fn add(&mut self, index: usize, weight: i128) {
        let mut node = index + 1;
        while let Some(sum) = self.0.get_mut(node - 1) {
            *sum += weight;
            node += node & node.wrapping_neg();
        }
    }

    /// Returns the sum of the weights before an index.
    fn before(&self, index: usize) -> i128 {
        let mut node = index;
        let mut sum = 0;
        while let Some(index) = node.checked_sub(1) {
            sum += self.0.get(index).copied().unwrap_or_default();
            node &= index;
        }
        sum
    }
}

/// Returns the accepted ports, sorted: those for which the weights of the rejecting rules before the
/// first accepting rule are at most `limit` together.
///
/// Takes n log n time: it passes over the ports at which a rule begins or ends.
fn accepted_ports(rules: &[(Ports, Effect)], limit: u64) -> Vec<Ports> {
    let mut bounds = Vec::with_capacity(rules.len() * 2);
    for (n, (ports, effect)) in rules.iter().enumerate().filter(|(_, (ports, _))| ports.last > 0) {
        bounds.push((u32::from(ports.first.max(1)), n, *effect, true));
        bounds.push((u32::from(ports.last) + 1, n, *effect, false));
    }
    bounds.sort_unstable_by_key(|(port, ..)| *port);
    let mut accepting = BTreeSet::new();
    let mut rejecting = Weights(vec![0; rules.len()]);
    let mut accepted: Vec<Ports> = Vec::new();
    let mut bounds = bounds.into_iter().peekable();
    while let Some((port, n, effect, begins)) = bounds.next() {
        match (effect, begins) {
            (Effect::Accept, true) => _ = accepting.insert(n),
            (Effect::Accept, false) => _ = accepting.remove(&n),
            (Effect::Reject(weight), true) => rejecting.add(n, weight.into()),
            (Effect::Reject(weight), false) => rejecting.add(n, -i128::from(weight)),
        }
        let Some((next, ..)) = bounds.peek() else { break };
        let is_accepted = |n: &usize| rejecting.before(*n) <= limit.into();
        let (Ok(first), Ok(last)) = (u16::try_from(port), u16::try_from(next - 1)) else { break };
        if first <= last && accepting.first().is_some_and(is_accepted) {
            push(&mut accepted, Ports { first, last });
        }
    }
    accepted
}

/// Adds a range behind the others, or extends the last one.
fn push(ranges: &mut Vec<Ports>, ports: Ports) {
    match ranges.last_mut() {
        Some(before) if ports.first <= before.last.saturating_add(1) => {
            before.last = before.last.max(ports.last);
        }
        _ => ranges.push(ports),
    }
}

/// Returns the ports that no range contains. The ranges are sorted.
fn others(ranges: &[Ports]) -> Vec<Ports> {
    let mut others = Vec::with_capacity(ranges.len() + 1);
    let mut first = Some(1);
    for ports in ranges {
        if let Some(first) = first.filter(|first| *first < ports.first) {
            others.push(Ports { first, last: ports.first - 1 });
        }
        first = ports.last.checked_add(1);
    }
    others.extend(first.map(|first| Ports { first, last: u16::MAX }));
    others
}

/// Merges ranges in any order.
fn sorted(mut ranges: Vec<Ports>) -> Vec<Ports> {
    ranges.sort_unstable_by_key(|ports| ports.first);
    let mut merged = Vec::with_capacity(ranges.len());
    ranges.into_iter().for_each(|ports| push(&mut merged, ports));
    merged
}

/// Returns the effect of a rule in a summary for one address family, as tor counts it: only rules for
/// all addresses accept ports, and rules for private networks have no effect.
fn effect_in_summary(rule: &ExitPolicyRule, family: Family) -> Option<Effect> {
    let bits = rule.bits_for(family)?;
    if rule.is_accept {
        return (bits == 0).then_some(Effect::Accept);
    }
    if private::is_network(rule.addresses) {
        return None;
    }
    match family {
        Family::Ipv4 => Some(Effect::Reject(1 << 32_u8.checked_sub(bits)?)),
        // Counts networks of 64 bits; smaller ones have no effect.
        Family::Ipv6 if bits == 0 => Some(Effect::Reject(u64::MAX)),
        Family::Ipv6 => Some(Effect::Reject(1 << 64_u8.checked_sub(bits)?)),
    }
}

/// Returns the most addresses of IPv4, or networks of IPv6, that may be rejected for a port that a
/// summary accepts: two networks of 8 bits, or one of 16 bits.
fn limit_of_summary(family: Family) -> u64 {
    match family {
        Family::Ipv4 => 1 << 25,
        Family::Ipv6 => 1 << 48,
    }
}

/// Returns the length of the ranges as text.
fn length(ranges: &[Ports]) -> usize {
    ends(ranges).last().unwrap_or_default()
}

/// Returns how many ranges fit into a number of characters.
fn fitting(ranges: &[Ports], most: usize) -> usize {
    ends(ranges).take_while(|end| *end <= most).count()
}

/// Returns where each range ends in the text of all.
fn ends(ranges: &[Ports]) -> impl Iterator<Item = usize> + '_ {
    let lengths = ranges.iter().map(|ports| ports.to_string().len());
    lengths.scan(0, |next, length| {
        let end = *next + length;
        // Behind a comma.
        *next = end + 1;
        Some(end)
    })
}

/// Returns the ports that rules allow for some address of a family.
fn allowed_for(rules: &[ExitPolicyRule], family: Family) -> Vec<Ports> {
    let effects = rules.iter().filter_map(|rule| Some((rule.ports, rule.effect_on(family)?)));
    let effects: Vec<_> = effects.chain([(Ports::ALL, Effect::Accept)]).collect();
    accepted_ports(&effects, 0)
}

impl ExitPolicy {
    /// Returns the summary for IPv4, as directory authorities compute it for the consensus and for
    /// microdescriptors: a port is accepted if a rule for all addresses accepts it, and the earlier
    /// rules reject at most 2^25 addresses, without private networks. A port that no rule decides
    /// about is rejected.
    ///
    /// A summary is its own summary.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::ExitPolicy;
    ///
    /// let policy: ExitPolicy = "reject 10.0.0.0/8:*,reject *:25,accept *:1-1023,reject *:*".parse()?;
    /// assert_eq!(policy.summary().to_string(), "accept 1-24,26-1023");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn summary(&self) -> Self {
        self.summary_for(Family::Ipv4)
    }

    /// Returns the summary for IPv6, as relays compute it for their descriptors: like
    /// [`summary`](Self::summary), if the earlier rules reject at most one network of 16 bits;
    /// networks of less than 64 bits do not count.
    #[must_use]
    pub fn ipv6_summary(&self) -> Self {
        self.summary_for(Family::Ipv6)
    }

    fn summary_for(&self, family: Family) -> Self {
        let Form::Rules(rules) = &self.form else { return self.clone() };
        let rules = rules.iter().filter(|_| self.has_family(family));
        let effects: Vec<_> =
            rules.filter_map(|rule| Some((rule.ports, effect_in_summary(rule, family)?))).collect();
        let mut accepted = accepted_ports(&effects, limit_of_summary(family));
        let rejected = others(&accepted);
        let most = LONGEST - "accept ".len();
        let accepts = if accepted.is_empty() {
            false
        } else if rejected.is_empty() {
            true
        } else if length(&rejected) > most && length(&accepted) > most {
            // tor keeps as many ranges as fit.
            accepted.truncate(fitting(&accepted, most));
            true
        } else {
            length(&accepted) <= length(&rejected)
        };
        let ports = if accepts { accepted } else { rejected }.into();
        Self { form: Form::Summary { accepts, ports }, family: None }
    }

    /// Returns the ports that the policy allows, sorted: of a list of rules, those that it may allow
    /// for some address; of a summary, all that it allows.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::ExitPolicy;
    ///
    /// let policy: ExitPolicy = "reject 1-79,81-65535".parse()?;
    /// assert_eq!(policy.allowed_ports(), [80..=80]);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn allowed_ports(&self) -> Vec<RangeInclusive<u16>> {
        let ports = match &self.form {
            Form::Rules(rules) => {
                sorted(self.families().flat_map(|family| allowed_for(rules, family)).collect())
            }
            Form::Summary { accepts, ports } => {
                let ports = sorted(ports.to_vec());
                if *accepts { ports } else { others(&ports) }
            }
        };
        ports.into_iter().map(|ports| ports.first..=ports.last).collect()
    }

    /// Returns whether the policy may allow this port for some address.
    #[doc(alias = "can_exit_to")]
    #[must_use]
    pub fn allows_port(&self, port: u16) -> bool {
        let decide = |rule: &ExitPolicyRule, family| match rule.effect_on(family)? {
            Effect::Accept => Some(true),
            Effect::Reject(_) => Some(false),
        };
        self.families().any(|family| self.decides_about(port, family, decide))
    }

    /// Returns whether the policy allows this port for every address. Most relays reject private
    /// networks; [`summary`](Self::summary) leaves these out of account.
    #[must_use]
    pub fn allows_port_everywhere(&self, port: u16) -> bool {
        let decide = |rule: &ExitPolicyRule, family| match rule.bits_for(family) {
            Some(0) => Some(rule.is_accept),
            Some(_) => (!rule.is_accept).then_some(false),
            None => (!rule.is_accept && rule.is_private()).then_some(false),
        };
        self.families().all(|family| self.decides_about(port, family, decide))
    }

    /// Returns the decision of the first rule for a port that decides.
    fn decides_about(
        &self,
        port: u16,
        family: Family,
        decide: impl Fn(&ExitPolicyRule, Family) -> Option<bool>,
    ) -> bool {
        if port == 0 {
            return false;
        }
        match &self.form {
            Form::Rules(rules) => {
                let mut rules = rules.iter().filter(|rule| rule.ports.contains(port));
                rules.find_map(|rule| decide(rule, family)).unwrap_or(true)
            }
            Form::Summary { accepts, ports } => {
                ports.iter().any(|ports| ports.contains(port)) == *accepts
            }
        }
    }

    /// Returns the address families of the policy.
    fn families(&self) -> impl Iterator<Item = Family> {
        [Family::Ipv4, Family::Ipv6].into_iter().filter(|family| self.has_family(*family))
    }

    /// Returns whether the policy may allow any connection: `false` only if rules for all addresses
    /// reject each port before another rule accepts it.
    ///
    /// tor counts a few more relays as exits: those whose accepting rules all follow rules for all
    /// addresses and the same ports.
    #[doc(alias = "is_exiting_allowed")]
    #[must_use]
    pub fn is_exit(&self) -> bool {
        !self.allowed_ports().is_empty()
    }
}

impl ExitPolicyRule {
    /// Returns the effect on the ports that are allowed for some address of a family. Rules that
    /// reject only a part of the addresses have none.
    fn effect_on(&self, family: Family) -> Option<Effect> {
        match self.bits_for(family) {
            Some(_) if self.is_accept => Some(Effect::Accept),
            None if self.is_accept && self.is_private() => Some(Effect::Accept),
            Some(0) => Some(Effect::Reject(1)),
            _ => None,
        }
    }
}
