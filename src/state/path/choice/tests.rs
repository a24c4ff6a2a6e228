use std::collections::HashMap;
use std::net::IpAddr;

use data_encoding::BASE64_NOPAD;
use sha2::{Digest, Sha256};

use super::super::descriptors::Descriptors;
use super::super::{Path, PathSpec};
use super::{BandwidthWeights, PathChoice, below};
use crate::descriptor::{Microdescriptors, RouterStatus};
use crate::error::{Error, HopRole, PathObstacle, PathProblem, Result};
use crate::names::{CountryCode, Fingerprint, RelayFlag};

/// A consensus of a few relays. The number of a relay is the first byte of its fingerprint.
#[derive(Default)]
struct Network {
    relays: Vec<RouterStatus>,
    microdescriptors: String,
    weights: BandwidthWeights,
    countries: HashMap<IpAddr, Option<CountryCode>>,
}

impl Network {
    /// Adds a relay, with lines of its microdescriptor.
    fn add(&mut self, number: u8, address: &str, flags: &str, bandwidth: u64, lines: &str) {
        let fingerprint = [number; 20];
        // Two microdescriptors are never the same text.
        let descriptor = format!("onion-key\nntor-onion-key {number:043}\n{lines}");
        let digest = Sha256::digest(&descriptor);
        let status = format!(
            "r relay{number} {} {} 2038-01-01 00:00:00 {address} 9001 0\n\
             s Fast Running Valid {flags}\nw Bandwidth={bandwidth}\n",
            BASE64_NOPAD.encode(&fingerprint),
            BASE64_NOPAD.encode(&digest[..20]),
        );
        self.relays.push(RouterStatus::parse(status).unwrap());
        self.microdescriptors.push_str(&descriptor);
    }

    /// Adds relays with these numbers, each in another network.
    fn add_each(&mut self, numbers: std::ops::Range<u8>, flags: &str, lines: &str) {
        for number in numbers {
            self.add(number, &format!("1.{number}.0.1"), flags, 10, lines);
        }
    }

    fn choose(&self, spec: &PathSpec, seed: u64) -> Result<Vec<u8>> {
        let list = Microdescriptors::new(self.microdescriptors.as_bytes());
        let choice = PathChoice {
            spec,
            relays: &self.relays,
            descriptors: &Descriptors::of_micro(&list),
            weights: &self.weights,
            countries: &self.countries,
            distinct_subnets: spec.distinct_subnets.unwrap_or(true),
        };
        let mut random = generator(seed);
        let path = choice.choose(&mut || Ok(random()))?;
        Ok(path.iter().map(|relay| relay.identity().as_bytes()[0]).collect())
    }

    fn problem(&self, spec: &PathSpec) -> (usize, HopRole, Vec<(PathObstacle, usize)>) {
        let Err(Error::Path(error)) = self.choose(spec, 1) else { panic!("a path was found") };
        match error.problem() {
            PathProblem::NoCandidate { hop, role, excluded, relays } => {
                assert_eq!(*relays, self.relays.len());
                assert_eq!(excluded.iter().map(|(_, count)| count).sum::<usize>(), *relays);
                (*hop, *role, excluded.clone())
            }
            other => panic!("{other}"),
        }
    }
}

/// Returns a generator of numbers that depend on the seed alone (`SplitMix64`).
fn generator(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

const EXIT: &str = "p accept 80,443\n";

/// Relays 1 and 2 are guards, 3 and 4 middle relays, 5 and 6 exits.
fn small() -> Network {
    let mut network = Network::default();
    network.add_each(1..3, "Guard", "");
    network.add_each(3..5, "", "");
    network.add_each(5..7, "Exit", EXIT);
    network
}

#[test]
fn each_position_has_a_relay_that_fits_it() {
    let network = small();
    for seed in 0..200 {
        let path = network.choose(&Path::to("example.com:443"), seed).unwrap();
        let [guard, middle, exit] = path[..] else { panic!("{path:?}") };
        assert!((1..3).contains(&guard) && (5..7).contains(&exit), "{path:?}");
        assert!(middle != guard && middle != exit, "{path:?}");
    }
    assert_eq!(network.choose(&Path::builder().hops(1), 1).unwrap().len(), 1);
    assert_eq!(network.choose(&Path::builder().hops(5), 1).unwrap().len(), 5);
    let named = Path::builder().guard_among(["relay2"]).middle_among(["RELAY4"]);
    let exit = Fingerprint::from([6; 20]);
    assert_eq!(network.choose(&named.exit_among([exit]), 1).unwrap(), [2, 4, 6]);
}

#[test]
fn a_choice_that_leaves_no_relay_for_another_position_is_taken_back() {
    let mut network = Network::default();
    // The only guard is an exit too, and a guard has the network of the only other middle relay.
    network.add(1, "1.1.0.1", "Guard Exit", 10_000, EXIT);
    network.add(2, "1.2.0.1", "", 10, "");
    network.add(3, "1.3.0.1", "Exit", 10, EXIT);
    network.add(4, "1.2.0.2", "Guard", 10_000, "");
    for seed in 0..50 {
        let rules = Path::builder().middle_among(["relay2"]);
        assert_eq!(network.choose(&rules, seed).unwrap(), [1, 2, 3]);
    }
}

#[test]
fn huge_numbers_of_a_consensus_are_no_overflow() {
    let mut network = Network::default();
    network.weights.read_line(
        b"bandwidth-weights Weg=18446744073709551615 Wem=18446744073709551615 \
          Wed=18446744073709551615 Wee=18446744073709551615",
    );
    for number in 1..9 {
        network.add(number, "1.1.0.1", "Exit", u64::MAX, EXIT);
    }
    network.choose(&Path::builder().hops(1), 1).unwrap();
}

#[test]
fn an_exit_allows_the_target() {
    let mut network = small();
    network.add(7, "1.7.0.1", "Exit", 10, "p reject 25\np6 accept 22\n");
    network.add(8, "1.8.0.1", "Exit BadExit", 10, "p accept 1-65535\n");
    network.add(9, "1.9.0.1", "Stable", 10, "p accept 22\n");
    let exit = |target: &str| {
        let found = (0..50).filter_map(|seed| network.choose(&Path::to(target).hops(1), seed).ok());
        let mut exits: Vec<u8> = found.flatten().collect();
        exits.sort_unstable();
        exits.dedup();
        exits
    };
    assert_eq!(exit("example.com:443"), [5, 6, 7]);
    assert_eq!(exit("8.8.8.8:6000"), [7]);
    assert!(exit("[2001:db8::1]:22").is_empty(), "port 22 needs the flag Stable");
    assert_eq!(exit("example.com:22"), [9], "the flag Exit is not necessary");
    assert!(exit("example.com:25").is_empty());
    assert_eq!(
        network.problem(&Path::to("example.com:25")),
        (
            3,
            HopRole::Exit,
            vec![(PathObstacle::Has(RelayFlag::BadExit), 1), (PathObstacle::ExitPolicy, 8),]
        )
    );
}

#[test]
fn relays_of_one_family_or_network_are_not_in_one_path() {
    let fingerprint = |number: u8| format!("${}", Fingerprint::from([number; 20]));
    // Family of both, declared by both.
    let mut network = Network::default();
    network.add(1, "1.1.0.1", "Guard", 10, &format!("family {}\n", fingerprint(3)));
    network.add(2, "1.2.0.1", "", 10, "");
    network.add(3, "1.3.0.1", "Exit", 10, &format!("family {}\n{EXIT}", fingerprint(1)));
    let rules = Path::builder();
    let (hop, role, excluded) = network.problem(&rules);
    assert_eq!((hop, role), (1, HopRole::Guard));
    assert_eq!(excluded, [(PathObstacle::Lacks(RelayFlag::Guard), 2), (PathObstacle::Family, 1)]);
    assert_eq!(network.choose(&rules.clone().distinct_families(false), 1).unwrap(), [1, 2, 3]);

    // A family that only one of them declares, and one by certificate.
    let mut network = Network::default();
    network.add(1, "1.1.0.1", "Guard", 10, &format!("family {} relay2\n", fingerprint(3)));
    network.add(2, "1.2.0.1", "", 10, "family-ids ed25519:b ed25519:a\n");
    network.add(3, "1.3.0.1", "Exit", 10, EXIT);
    assert_eq!(network.choose(&rules, 1).unwrap(), [1, 2, 3]);
    network.add(4, "1.4.0.1", "Exit", 10, &format!("{EXIT}family-ids ed25519:a\n"));
    let with_4 = rules.clone().exit_among(["relay4"]);
    assert_eq!(network.choose(&with_4, 1).unwrap(), [1, 3, 4]);
    let (hop, _, excluded) = network.problem(&with_4.middle_among(["relay2"]));
    assert_eq!(hop, 2);
    assert!(excluded.contains(&(PathObstacle::Family, 1)), "{excluded:?}");

    // Networks.
    let mut network = Network::default();
    network.add(1, "1.1.0.1", "Guard", 10, "");
    network.add(2, "1.2.0.1", "", 10, "");
    network.add(3, "1.1.200.1", "Exit", 10, EXIT);
    let (hop, _, excluded) = network.problem(&rules);
    assert_eq!((hop, excluded.last()), (1, Some(&(PathObstacle::Subnet, 1))));
    assert_eq!(network.choose(&rules.clone().distinct_subnets(false), 1).unwrap(), [1, 2, 3]);
    let of_ipv6 = |relay: &RouterStatus, address: &str| {
        RouterStatus::parse(format!("{relay}a [{address}]:9001\n").into_bytes()).unwrap()
    };
    network.relays[2] = RouterStatus::parse(
        network.relays[2].to_string().replace("1.1.200.1", "1.3.0.1").into_bytes(),
    )
    .unwrap();
    for (address, fits) in [("2001:db8:1::1", false), ("2001:db9::1", true)] {
        let mut network = Network {
            relays: network.relays.clone(),
            microdescriptors: network.microdescriptors.clone(),
            ..Network::default()
        };
        network.relays[0] = of_ipv6(&network.relays[0], "2001:db8::1");
        network.relays[1] = of_ipv6(&network.relays[1], address);
        assert_eq!(network.choose(&rules, 1).is_ok(), fits, "{address}");
    }
}

#[test]
fn countries_flags_and_excluded_relays_restrict_the_choice() {
    let mut network = small();
    for (number, country) in [(1, "de"), (2, "fr"), (3, "de"), (5, "de"), (6, "fr")] {
        let address: IpAddr = format!("1.{number}.0.1").parse().unwrap();
        network.countries.insert(address, Some(country.parse().unwrap()));
    }
    let rules = Path::builder().guard_countries("fr").exit_countries(["DE", "is"]);
    for seed in 0..20 {
        let path = network.choose(&rules, seed).unwrap();
        assert_eq!((path[0], path[2]), (2, 5));
    }
    // The country of relay 4 is unknown.
    let (hop, _, excluded) = network.problem(&Path::builder().exclude_countries("de"));
    assert_eq!(hop, 2);
    assert!(excluded.contains(&(PathObstacle::Country, 4)), "{excluded:?}");
    let (_, _, excluded) = network.problem(&Path::builder().exclude_relays(["relay5", "relay6"]));
    assert_eq!(excluded, [(PathObstacle::Lacks(RelayFlag::Exit), 4), (PathObstacle::Excluded, 2)]);
    let (_, _, excluded) = network.problem(&Path::builder().flag(RelayFlag::HsDir));
    assert!(excluded.contains(&(PathObstacle::Lacks(RelayFlag::HsDir), 2)), "{excluded:?}");
    let (hop, _, excluded) = network.problem(&Path::builder().hops(3).middle_among(["nobody"]));
    assert_eq!((hop, &excluded[..]), (2, &[(PathObstacle::NotWanted, 6)][..]));
    network.microdescriptors.clear();
    let (_, _, excluded) = network.problem(&Path::builder());
    assert!(excluded.contains(&(PathObstacle::NoDescriptor, 2)), "{excluded:?}");
    assert_eq!(
        Network::default().choose(&Path::builder(), 1).unwrap_err().to_string(),
        "cannot choose a path: tor has no consensus"
    );
}

/// Draws from relays and returns how often each was the guard, the middle relay and the exit.
fn counted(network: &Network, spec: &PathSpec, draws: u64) -> [HashMap<u8, u64>; 3] {
    let mut counts = [const { None }; 3].map(|it: Option<HashMap<u8, u64>>| it.unwrap_or_default());
    for seed in 0..draws {
        let path = network.choose(spec, seed).unwrap();
        for (counts, relay) in counts.iter_mut().zip(path) {
            *counts.entry(relay).or_default() += 1;
        }
    }
    counts
}

/// Requires the counts of weights by the chi-square test, at a significance of 0.1 percent.
#[track_caller]
fn assert_distribution(counts: &HashMap<u8, u64>, weights: &[(u8, u64)]) {
    /// For 1 to 5 degrees of freedom.
    const LIMITS: [f64; 5] = [10.83, 13.82, 16.27, 18.47, 20.52];
    let draws: u64 = counts.values().sum();
    let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
    let float = |number: u64| f64::from(u32::try_from(number).unwrap());
    let mut chi_square = 0.0;
    for (relay, weight) in weights {
        let expected = float(draws) * float(*weight) / float(total);
        let found = float(counts.get(relay).copied().unwrap_or_default());
        chi_square += (found - expected).powi(2) / expected;
    }
    let known = counts.keys().all(|relay| weights.iter().any(|(known, _)| known == relay));
    assert!(known && chi_square < LIMITS[weights.len() - 2], "{counts:?}: {chi_square}");
}

#[test]
fn relays_are_drawn_with_the_probability_of_their_weighted_bandwidth() {
    let mut network = Network::default();
    network.weights.read_line(
        b"bandwidth-weights Wgg=5000 Wgm=10000 Wgd=2500 Wmg=5000 Wmm=10000 Wme=0 Wmd=0 \
          Weg=10000 Wem=10000 Wee=10000 Wed=2500 Wdb=8000",
    );
    // Bandwidth times weight as a guard: 50, 150, and as a guard that is an exit 100.
    network.add(1, "1.1.0.1", "Guard", 100, "");
    network.add(2, "1.2.0.1", "Guard", 300, "");
    network.add(3, "1.3.0.1", "Guard Exit", 400, EXIT);
    // As middle relays: 100, 200, 0 for an exit, and 100 for one that may not be an exit.
    network.add(4, "1.4.0.1", "", 100, "");
    network.add(5, "1.5.0.1", "", 200, "");
    network.add(6, "1.6.0.1", "Exit", 600, EXIT);
    network.add(7, "1.7.0.1", "Exit BadExit", 100, EXIT);
    // As exits: 600 for relay 6, 100 for relay 3, and 80 as a directory.
    network.add(8, "1.8.0.1", "Guard Exit V2Dir", 400, EXIT);
    let draws = 5_000;
    let exits = counted(&network, &Path::builder().hops(1), draws);
    assert_distribution(&exits[0], &[(3, 100), (6, 600), (8, 80)]);
    // The exit is fixed, so that the others do not depend on it.
    let rules = Path::builder().exit_among(["relay6"]).hops(2);
    let guards = counted(&network, &rules, draws);
    assert_distribution(&guards[0], &[(1, 50), (2, 150), (3, 100), (8, 80)]);
    let rules = Path::builder().exit_among(["relay6"]).guard_among(["relay1"]);
    let middles = counted(&network, &rules, draws);
    assert_distribution(&middles[1], &[(2, 150), (4, 100), (5, 200), (7, 100)]);
}

#[test]
fn without_weights_bandwidth_counts_alone_and_without_bandwidth_all_are_equal() {
    let mut network = Network::default();
    network.add(1, "1.1.0.1", "Exit", 100, EXIT);
    network.add(2, "1.2.0.1", "Exit", 300, EXIT);
    let exits = counted(&network, &Path::builder().hops(1), 4_000);
    assert_distribution(&exits[0], &[(1, 1), (2, 3)]);
    let mut network = Network::default();
    for number in 1..5 {
        network.add(number, "1.1.0.1", "Exit", 0, EXIT);
    }
    let exits = counted(&network, &Path::builder().hops(1), 4_000);
    assert_distribution(&exits[0], &[(1, 1), (2, 1), (3, 1), (4, 1)]);
}

#[test]
fn numbers_below_a_limit_are_all_as_likely() {
    let mut random = generator(7);
    let mut counts = HashMap::new();
    for _ in 0..60_000 {
        let number = below(6, &mut || Ok(random())).unwrap();
        *counts.entry(u8::try_from(number).unwrap()).or_insert(0) += 1;
    }
    assert_distribution(&counts, &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    // A number of the incomplete last part is drawn again.
    let mut numbers = [u64::MAX, u64::MAX, 0, 5].into_iter();
    assert_eq!(below(3, &mut || Ok(numbers.next().unwrap())).unwrap(), 2);
    let failed = below(3, &mut || Err(crate::error::InvalidInput::new("path", "fails").into()));
    assert!(failed.is_err());
}
