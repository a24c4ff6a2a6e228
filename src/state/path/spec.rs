//! The rules by which the relays of a path are chosen.

use std::net::IpAddr;

use crate::command::Names;
use crate::error::{HopRole, InvalidInput};
use crate::names::{CountryCode, InvalidName, RelayFlag, RelaySpec, Target};

/// The most relays that tor accepts in a path.
const MAX_HOPS: usize = 8;

/// The ports whose connections last long, for which tor wants relays with the flag `Stable`: the
/// default of its option `LongLivedPorts`.
const LONG_LIVED: [u16; 12] = [21, 22, 706, 1863, 5050, 5190, 5222, 5223, 6523, 6667, 6697, 8300];

/// Rules by which a [`State`](super::super::State) chooses the relays of a path, as tor chooses
/// them: weighted by bandwidth.
///
/// Made by [`Path::to`](super::Path::to) or [`Path::builder`](super::Path::builder), and used by
/// [`State::build_circuit`](super::super::State::build_circuit) or
/// [`State::choose_path`](super::super::State::choose_path). The default is a path of a guard, a
/// middle relay and an exit to any target.
///
/// The choice follows section 2.2 of tor's path specification. Each relay has the flags `Running`,
/// `Valid` and `Fast`, for ports of long connections such as 22 also `Stable`. The first has the flag
/// `Guard`. The last allows the target, or has the flag `Exit` if none is given; it has neither the
/// flag `BadExit` nor `MiddleOnly`. No relay is used twice, no two are in one family, and no two are
/// in the same /16 of IPv4 or /32 of IPv6, unless tor's option `EnforceDistinctSubnets` is off. Among
/// the relays that fit, the choice is random, with the weights that the consensus gives to bandwidth
/// in each position.
///
/// Each choice draws a new guard. tor itself keeps a few guards for months, since a client that
/// changes them often will sooner or later choose an attacker's. To stay with tor's guards, pass
/// [`State::guards`](super::super::State::guards) to [`guard_among`](Self::guard_among). Options such
/// as `ExcludeNodes` are not applied, as tor does not apply them to circuits of a controller.
///
/// An argument that is not valid is an error of the call that uses the rules.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> torcon::Result<()> {
/// use torcon::state::{Path, State};
///
/// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let guards: Vec<_> = state.guards().into_iter().map(|guard| guard.relay).collect();
/// let rules = Path::to("example.com:443").guard_among(guards).exit_countries(["ch", "is"]);
/// println!("{:?}", state.choose_path(&rules)?.relays());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the rules do nothing until a path is chosen by them"]
pub struct PathSpec {
    pub(super) target: Option<ExitTarget>,
    pub(super) hops: usize,
    pub(super) flags: Vec<RelayFlag>,
    pub(super) guard: HopRules,
    pub(super) middle: HopRules,
    pub(super) exit: HopRules,
    pub(super) excluded: Vec<RelaySpec>,
    pub(super) excluded_countries: Vec<CountryCode>,
    pub(super) distinct_families: bool,
    /// `None` if tor's option decides.
    pub(super) distinct_subnets: Option<bool>,
    /// The first argument that is not valid.
    problem: Option<InvalidName>,
}

/// The target that the exit must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExitTarget {
    /// `None` for a host name.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

/// The rules for one position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HopRules {
    /// The wanted relays; empty if all are.
    pub(super) among: Vec<RelaySpec>,
    /// The wanted countries; empty if all are.
    pub(super) countries: Vec<CountryCode>,
}

impl PathSpec {
    /// Returns the default rules, as [`Path::builder`](super::Path::builder) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::state::{Path, PathSpec};
    ///
    /// assert_eq!(PathSpec::new(), Path::builder());
    /// ```
    pub fn new() -> Self {
        Self {
            target: None,
            hops: 3,
            flags: Vec::new(),
            guard: HopRules::default(),
            middle: HopRules::default(),
            exit: HopRules::default(),
            excluded: Vec::new(),
            excluded_countries: Vec::new(),
            distinct_families: true,
            distinct_subnets: None,
            problem: None,
        }
    }

    /// Requires an exit that allows connections to a target, `host:port`. The exit policy in the
    /// consensus is a summary, so the exit may refuse single addresses.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::state::{Path, PathSpec};
    ///
    /// assert_eq!(PathSpec::new().to("example.com:443"), Path::to(("example.com", 443)));
    /// ```
    pub fn to<T>(mut self, target: T) -> Self
    where
        T: TryInto<Target>,
        InvalidName: From<T::Error>,
    {
        match target.try_into() {
            Ok(target) if is_onion(&target) => {
                self.refuse(InvalidName::new("target", "is an onion service, which has no exit"));
            }
            Ok(target) => {
                let port = target.port().unwrap_or_default();
                self.target = Some(ExitTarget { address: target.ip(), port });
            }
            Err(error) => self.refuse(error.into()),
        }
        self
    }

    /// Requires an exit that allows connections to a port of most addresses.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().port(443);
    /// ```
    pub fn port(mut self, port: u16) -> Self {
        self.target = Some(ExitTarget { address: None, port });
        self
    }

    /// Sets the number of relays, 1 to 8. The default is 3. tor attaches no stream to a circuit of
    /// one relay.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::to("example.com:443").hops(4);
    /// ```
    pub fn hops(mut self, hops: usize) -> Self {
        if !(1..=MAX_HOPS).contains(&hops) {
            self.refuse(InvalidName::new("number of hops", "must be 1 to 8"));
        }
        self.hops = hops;
        self
    }

    /// Requires a flag of every relay, besides those that the position needs. The default is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::RelayFlag;
    ///
    /// let rules = torcon::state::Path::builder().flag(RelayFlag::Stable);
    /// ```
    pub fn flag(mut self, flag: RelayFlag) -> Self {
        self.flags.push(flag);
        self
    }

    /// Chooses the first relay among the given ones only. The default is every guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().guard_among(["moria1", "tor26"]);
    /// ```
    pub fn guard_among<I>(mut self, relays: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<RelaySpec>,
        InvalidName: From<<I::Item as TryInto<RelaySpec>>::Error>,
    {
        self.guard.among = self.read_relays(relays);
        self
    }

    /// Chooses the relays between the first and the last among the given ones only. The default is
    /// every relay.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::Fingerprint;
    ///
    /// let relays = vec![Fingerprint::from([1; 20])];
    /// let rules = torcon::state::Path::builder().middle_among(&relays);
    /// ```
    pub fn middle_among<I>(mut self, relays: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<RelaySpec>,
        InvalidName: From<<I::Item as TryInto<RelaySpec>>::Error>,
    {
        self.middle.among = self.read_relays(relays);
        self
    }

    /// Chooses the last relay among the given ones only. The default is every exit.
    ///
    /// # Examples
    ///
    /// ```
    /// let exit = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC";
    /// let rules = torcon::state::Path::to("example.com:443").exit_among([exit]);
    /// ```
    pub fn exit_among<I>(mut self, relays: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<RelaySpec>,
        InvalidName: From<<I::Item as TryInto<RelaySpec>>::Error>,
    {
        self.exit.among = self.read_relays(relays);
        self
    }

    /// Excludes relays, besides those that are excluded already.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().exclude_relays(["moria1"]);
    /// ```
    pub fn exclude_relays<I>(mut self, relays: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<RelaySpec>,
        InvalidName: From<<I::Item as TryInto<RelaySpec>>::Error>,
    {
        let relays = self.read_relays(relays);
        self.excluded.extend(relays);
        self
    }

    /// Chooses the first relay in the given countries only: codes such as `de`, by tor's GeoIP data
    /// for the IPv4 address of the relay. The default is every country.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().guard_countries("de");
    /// ```
    pub fn guard_countries<N, Form>(mut self, countries: N) -> Self
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        self.guard.countries = self.read_countries(&countries.into_names());
        self
    }

    /// Chooses the relays between the first and the last in the given countries only. The default is
    /// every country.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().middle_countries(["de", "fr"]);
    /// ```
    pub fn middle_countries<N, Form>(mut self, countries: N) -> Self
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        self.middle.countries = self.read_countries(&countries.into_names());
        self
    }

    /// Chooses the last relay in the given countries only. The default is every country.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::CountryCode;
    ///
    /// let country: CountryCode = "is".parse()?;
    /// let rules = torcon::state::Path::to("example.com:443").exit_countries(country);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn exit_countries<N, Form>(mut self, countries: N) -> Self
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        self.exit.countries = self.read_countries(&countries.into_names());
        self
    }

    /// Excludes relays in countries, besides those that are excluded already, and relays whose
    /// country is unknown.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().exclude_countries(["us", "gb"]);
    /// ```
    pub fn exclude_countries<N, Form>(mut self, countries: N) -> Self
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        let countries = self.read_countries(&countries.into_names());
        self.excluded_countries.extend(countries);
        self
    }

    /// Sets whether two relays of one family may not be in the path. The default is `true`.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().distinct_families(false);
    /// ```
    pub fn distinct_families(mut self, distinct: bool) -> Self {
        self.distinct_families = distinct;
        self
    }

    /// Sets whether two relays of one network may not be in the path: the same /16 of IPv4, or /32 of
    /// IPv6. The default is tor's option `EnforceDistinctSubnets`.
    ///
    /// # Examples
    ///
    /// ```
    /// let rules = torcon::state::Path::builder().distinct_subnets(true);
    /// ```
    pub fn distinct_subnets(mut self, distinct: bool) -> Self {
        self.distinct_subnets = Some(distinct);
        self
    }

    /// Checks the arguments.
    pub(super) fn check(&self) -> Result<(), InvalidInput> {
        match self.problem {
            Some(problem) => Err(problem.into()),
            None => Ok(()),
        }
    }

    pub(super) fn rules(&self, role: HopRole) -> &HopRules {
        match role {
            HopRole::Guard => &self.guard,
            HopRole::Middle => &self.middle,
            HopRole::Exit => &self.exit,
        }
    }

    /// Returns whether a rule needs the countries of relays.
    pub(super) fn needs_countries(&self) -> bool {
        let rules = [&self.guard, &self.middle, &self.exit];
        !self.excluded_countries.is_empty() || rules.iter().any(|it| !it.countries.is_empty())
    }

    /// Returns whether the target's port has connections that last long.
    pub(super) fn is_long_lived(&self) -> bool {
        self.target.is_some_and(|target| LONG_LIVED.contains(&target.port))
    }

    fn refuse(&mut self, problem: InvalidName) {
        self.problem.get_or_insert(problem);
    }

    fn read_relays<I>(&mut self, relays: I) -> Vec<RelaySpec>
    where
        I: IntoIterator,
        I::Item: TryInto<RelaySpec>,
        InvalidName: From<<I::Item as TryInto<RelaySpec>>::Error>,
    {
        let relays: Result<Vec<RelaySpec>, _> = relays.into_iter().map(TryInto::try_into).collect();
        let relays = relays.unwrap_or_else(|error| {
            self.refuse(error.into());
            Vec::new()
        });
        if relays.is_empty() {
            self.refuse(InvalidName::new("list of relays", "is empty"));
        }
        relays
    }

    fn read_countries(&mut self, countries: &[Box<str>]) -> Vec<CountryCode> {
        let countries: Result<Vec<CountryCode>, _> =
            countries.iter().map(|country| country.parse()).collect();
        let countries = countries.unwrap_or_else(|error| {
            self.refuse(error);
            Vec::new()
        });
        if countries.is_empty() {
            self.refuse(InvalidName::new("list of countries", "is empty"));
        }
        countries
    }
}

impl Default for PathSpec {
    fn default() -> Self {
        Self::new()
    }
}

fn is_onion(target: &Target) -> bool {
    target.host().to_ascii_lowercase().trim_end_matches('.').ends_with(".onion")
}

#[cfg(test)]
mod tests {
    use crate::state::Path;

    #[test]
    fn an_argument_that_is_not_valid_is_reported_when_the_rules_are_used() {
        for (rules, problem) in [
            (Path::to("example.com"), "\"target\": must be host:port"),
            (Path::to("a.onion:80"), "\"target\": is an onion service, which has no exit"),
            (Path::builder().hops(0), "\"number of hops\": must be 1 to 8"),
            (Path::builder().hops(9), "\"number of hops\": must be 1 to 8"),
            (
                Path::builder().exit_countries("xyz"),
                "\"country code\": must be two letters, such as de",
            ),
            (
                Path::builder().exclude_countries(Vec::<String>::new()),
                "\"list of countries\": is empty",
            ),
            (
                Path::builder().guard_among(["a b"]).hops(0),
                "\"relay\": must be $fingerprint, $fingerprint~nickname, a fingerprint or a nickname",
            ),
        ] {
            let error = rules.check().unwrap_err();
            assert_eq!(error.to_string(), format!("invalid argument {problem}"));
        }
        Path::to("example.com:22").exit_countries(["de", "{FR}"]).check().unwrap();
        assert!(Path::to("example.com:22").is_long_lived());
        assert!(!Path::to("example.com:443").is_long_lived());
    }
}
