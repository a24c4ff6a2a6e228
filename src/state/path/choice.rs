//! The choice of relays: which fit a position, and the weighted random draw.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::descriptors::{Descriptors, Family, names};
use super::spec::PathSpec;
use super::weights::{BandwidthWeights, RelayKind};
use crate::descriptor::RouterStatus;
use crate::error::{Error, HopRole, PathError, PathObstacle, PathProblem, Result};
use crate::names::{CountryCode, RelayFlag};

/// Everything on which the choice of a path depends, except chance.
pub(super) struct PathChoice<'a> {
    pub(super) spec: &'a PathSpec,
    pub(super) relays: &'a [RouterStatus],
    pub(super) descriptors: &'a Descriptors,
    pub(super) weights: &'a BandwidthWeights,
    /// The countries by address, if the rules need them.
    pub(super) countries: &'a HashMap<IpAddr, Option<CountryCode>>,
    pub(super) distinct_subnets: bool,
}

/// A source of random numbers.
pub(super) type Random<'r> = dyn FnMut() -> Result<u64> + 'r;

/// The most choices that are taken back before no path is found.
const MAX_RETRIES: usize = 50;

/// A relay that is in the path already.
struct Hop<'a> {
    relay: &'a RouterStatus,
    family: Option<Family>,
}

impl<'a> PathChoice<'a> {
    /// Chooses the exit, then the guard, then the relays between them, as tor does.
    pub(super) fn choose(&self, random: &mut Random<'_>) -> Result<Vec<&'a RouterStatus>> {
        if self.relays.is_empty() {
            return Err(PathError::new(PathProblem::NoConsensus).into());
        }
        let last = self.spec.hops.saturating_sub(1);
        let mut order: Vec<(usize, HopRole)> = vec![(last, HopRole::Exit)];
        order.extend((0..last).map(|hop| match hop {
            0 => (hop, HopRole::Guard),
            hop => (hop, HopRole::Middle),
        }));
        let (mut chosen, mut retries) = (BTreeMap::new(), MAX_RETRIES);
        self.extend(&order, &mut chosen, &mut retries, random)?;
        Ok(chosen.into_values().map(|hop| hop.relay).collect())
    }

    /// Chooses the relays of the remaining positions. If a choice leaves no relay for a later
    /// position, chooses another one; the error is that of the first choice.
    fn extend(
        &self,
        order: &[(usize, HopRole)],
        chosen: &mut BTreeMap<usize, Hop<'a>>,
        retries: &mut usize,
        random: &mut Random<'_>,
    ) -> Result<()> {
        let Some(((hop, role), rest)) = order.split_first() else { return Ok(()) };
        let mut excluded = BTreeMap::new();
        let mut fitting = Vec::new();
        for relay in self.relays {
            match self.obstacle(relay, *role, chosen) {
                None => fitting.push(relay),
                Some(obstacle) => *excluded.entry(obstacle).or_insert(0) += 1,
            }
        }
        let fits_alone =
            |relay: &RouterStatus| self.obstacle(relay, *role, &BTreeMap::new()).is_none();
        if fitting.is_empty() && !self.relays.iter().any(fits_alone) {
            // No other choice helps.
            *retries = 0;
        }
        let mut error = PathError::new(PathProblem::NoCandidate {
            hop: hop + 1,
            role: *role,
            relays: self.relays.len(),
            excluded: excluded.into_iter().collect(),
        });
        let mut is_first = true;
        while let Some(relay) = self.draw(&fitting, *role, random)? {
            let family = self.descriptors.get(relay).map(Family::of);
            chosen.insert(*hop, Hop { relay, family });
            match self.extend(rest, chosen, retries, random) {
                Err(Error::Path(later)) => {
                    if std::mem::take(&mut is_first) {
                        error = later;
                    }
                }
                outcome => return outcome,
            }
            if *retries == 0 {
                break;
            }
            *retries -= 1;
            chosen.remove(hop);
            fitting.retain(|other| other.identity() != relay.identity());
        }
        Err(error.into())
    }

    /// Returns the first obstacle, in the order of [`PathObstacle`].
    fn obstacle(
        &self,
        relay: &RouterStatus,
        role: HopRole,
        chosen: &BTreeMap<usize, Hop<'a>>,
    ) -> Option<PathObstacle> {
        let (spec, rules) = (self.spec, self.spec.rules(role));
        if let Some(flag) = self.wanted_flags(role).find(|flag| !relay.has_flag(flag)) {
            return Some(PathObstacle::Lacks(flag.clone()));
        }
        let forbidden: &[RelayFlag] = match role {
            HopRole::Guard => &[RelayFlag::MiddleOnly],
            HopRole::Middle => &[],
            HopRole::Exit => &[RelayFlag::BadExit, RelayFlag::MiddleOnly],
        };
        if let Some(flag) = forbidden.iter().find(|flag| relay.has_flag(flag)) {
            return Some(PathObstacle::Has(flag.clone()));
        }
        if spec.excluded.iter().any(|name| names(name, relay)) {
            return Some(PathObstacle::Excluded);
        }
        if !rules.among.is_empty() && !rules.among.iter().any(|name| names(name, relay)) {
            return Some(PathObstacle::NotWanted);
        }
        if chosen.values().any(|hop| hop.relay.identity() == relay.identity()) {
            return Some(PathObstacle::InPath);
        }
        let Some(descriptor) = self.descriptors.get(relay) else {
            return Some(PathObstacle::NoDescriptor);
        };
        if let (HopRole::Exit, Some(target)) = (role, spec.target) {
            if !descriptor.allows(relay, target) {
                return Some(PathObstacle::ExitPolicy);
            }
        }
        if !self.is_country_wanted(relay, role) {
            return Some(PathObstacle::Country);
        }
        if spec.distinct_families {
            let own = Family::of(descriptor);
            let is_shared = |hop: &Hop<'_>| {
                let family = hop.family.as_ref();
                family.is_some_and(|family| own.is_shared(relay, family, hop.relay))
            };
            if chosen.values().any(is_shared) {
                return Some(PathObstacle::Family);
            }
        }
        let in_subnet = |hop: &Hop<'_>| is_same_network(relay, hop.relay);
        (self.distinct_subnets && chosen.values().any(in_subnet)).then_some(PathObstacle::Subnet)
    }

    fn wanted_flags(&self, role: HopRole) -> impl Iterator<Item = &RelayFlag> {
        let of_role: &[RelayFlag] = match role {
            HopRole::Guard => &[RelayFlag::Guard],
            HopRole::Exit if self.spec.target.is_none() => &[RelayFlag::Exit],
            HopRole::Middle | HopRole::Exit => &[],
        };
        let stable: &[RelayFlag] =
            if self.spec.is_long_lived() { &[RelayFlag::Stable] } else { &[] };
        let all: &[RelayFlag] = &[RelayFlag::Running, RelayFlag::Valid, RelayFlag::Fast];
        all.iter().chain(stable).chain(of_role).chain(&self.spec.flags)
    }

    fn is_country_wanted(&self, relay: &RouterStatus, role: HopRole) -> bool {
        let wanted = &self.spec.rules(role).countries;
        let excluded = &self.spec.excluded_countries;
        if wanted.is_empty() && excluded.is_empty() {
            return true;
        }
        let country = self.countries.get(&relay.address().into()).copied().flatten();
        country.is_some_and(|country| {
            (wanted.is_empty() || wanted.contains(&country)) && !excluded.contains(&country)
        })
    }

    /// Draws a relay with the probability of its weighted bandwidth. If no relay has any, all have
    /// the same probability.
    fn draw(
        &self,
        fitting: &[&'a RouterStatus],
        role: HopRole,
        random: &mut Random<'_>,
    ) -> Result<Option<&'a RouterStatus>> {
        let weights: Vec<u128> = fitting.iter().map(|relay| self.weight(relay, role)).collect();
        let total: u128 = weights.iter().sum();
        let Some(count) = u128::try_from(fitting.len()).ok().filter(|count| *count > 0) else {
            return Ok(None);
        };
        let mut left = below(if total == 0 { count } else { total }, random)?;
        for (relay, weight) in fitting.iter().zip(weights) {
            let weight = if total == 0 { 1 } else { weight };
            if left < weight {
                return Ok(Some(relay));
            }
            left -= weight;
        }
        Ok(None)
    }

    fn weight(&self, relay: &RouterStatus, role: HopRole) -> u128 {
        let has = |flag| relay.has_flag(&flag);
        let kind = RelayKind {
            is_guard: has(RelayFlag::Guard),
            is_exit: has(RelayFlag::Exit) && !has(RelayFlag::BadExit),
            is_directory: has(RelayFlag::V2Dir),
        };
        let factor = u128::from(self.weights.factor(role, kind));
        factor * u128::from(relay.bandwidth().unwrap_or_default())
    }
}

/// Returns a random number below a limit, which is not 0; every number is as likely as another.
fn below(limit: u128, random: &mut Random<'_>) -> Result<u128, Error> {
    // The largest multiple of the limit: numbers from there on would make some results more likely.
    let end = u128::MAX - u128::MAX % limit;
    loop {
        let number = u128::from(random()?) << 64 | u128::from(random()?);
        if number < end {
            return Ok(number % limit);
        }
    }
}

/// Returns whether two relays have addresses in the same /16 of IPv4 or /32 of IPv6.
fn is_same_network(one: &RouterStatus, other: &RouterStatus) -> bool {
    let networks = |relay: &RouterStatus| -> Vec<Result<[u8; 2], [u8; 4]>> {
        let network = |address: IpAddr| match address {
            IpAddr::V4(address) => {
                let [a, b, ..] = address.octets();
                Ok([a, b])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.octets();
                Err([a, b, c, d])
            }
        };
        relay.or_addresses().map(|address| network(address.ip())).collect()
    };
    let of_other = networks(other);
    networks(one).iter().any(|network| of_other.contains(network))
}

#[cfg(test)]
mod tests;
