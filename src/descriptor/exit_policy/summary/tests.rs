use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::super::ExitPolicy;
use super::super::rule::Ports;
use super::{Effect, accepted_ports, others};

fn policy(text: &str) -> ExitPolicy {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn summary(text: &str) -> String {
    policy(text).summary().to_string()
}

fn ipv6_summary(text: &str) -> String {
    policy(text).ipv6_summary().to_string()
}

#[test]
fn a_summary_lists_the_ports_that_rules_for_all_addresses_accept() {
    for (rules, expected) in [
        ("accept *:*", "accept 1-65535"),
        ("reject *:*", "reject 1-65535"),
        ("accept *:80,accept *:443,reject *:*", "accept 80,443"),
        ("accept *:80-90,accept *:91,reject *:*", "accept 80-91"),
        ("reject *:25,accept *:*", "reject 25"),
        ("reject *:0-25,accept *:*", "reject 1-25"),
        ("reject *:65535,accept *:*", "reject 65535"),
        ("accept *:443,reject *:1-1024,accept *:*", "accept 443,1025-65535"),
        // The shorter list; the accepted ports if both are equally long.
        ("accept *:1-9999,reject *:*", "accept 1-9999"),
        ("accept *:1-32767,reject *:*", "accept 1-32767"),
        ("accept *:1-64,reject *:65-127,accept *:128-65535", "reject 65-127"),
        // Of one network, no port is listed.
        ("accept 192.0.2.0/24:80,reject *:*", "reject 1-65535"),
        ("accept 192.0.2.0/24:80,accept *:443,reject *:*", "accept 443"),
        // No rule decides about the other ports.
        ("accept *:80", "accept 80"),
        ("reject *:25", "reject 1-65535"),
        ("reject private:*,accept *:80,reject *:*", "accept 80"),
        ("accept private:*,reject *:*", "reject 1-65535"),
        ("accept 80,443", "accept 80,443"),
        ("reject 80,443", "reject 80,443"),
    ] {
        assert_eq!(summary(rules), expected, "{rules}");
        let six = rules.replace("192.0.2.0/24", "[2001:db8::]/32");
        assert_eq!(ipv6_summary(&six), expected, "{rules}");
    }
}

#[test]
fn many_rejected_addresses_close_a_port() {
    // Two networks of 8 bits may be rejected, and private ones; but no more.
    let private = "reject 10.0.0.0/8:*,reject 127.0.0.0/8:*,reject 0.0.0.0/8:*,";
    let some = format!("{private}reject 1.0.0.0/8:80,reject 2.0.0.0/8:*,accept *:*");
    assert_eq!(summary(&some), "accept 1-65535");
    assert_eq!(summary(&some.replace("accept", "reject 3.0.0.1:80,accept")), "reject 80");
    assert_eq!(summary("reject 10.0.0.0/7:80,accept *:*"), "accept 1-65535");
    assert_eq!(summary("reject 10.0.0.0/6:80,accept *:*"), "reject 80");
    // One of 16 bits; networks of less than 64 bits do not count.
    assert_eq!(ipv6_summary("reject [2001::]/16:80,accept *:*"), "accept 1-65535");
    let many = "reject [2002::]/128:80,".repeat(1000);
    let text = format!("{many}reject [2002::]/65:80,reject [2001::]/16:80,accept *:*");
    assert_eq!(ipv6_summary(&text), "accept 1-65535");
    let text = "reject [2002::]/64:80,reject [2001::]/16:80,accept *:*";
    assert_eq!(ipv6_summary(text), "reject 80");
    assert_eq!(ipv6_summary("reject [2001::]/15:80,accept *:*"), "reject 80");
    assert_eq!(ipv6_summary("reject [fc00::]/7:80,reject [::]/8:*,accept *:*"), "accept 1-65535");
    assert_eq!(ipv6_summary("reject [fc00::]/8:80,accept *:*"), "reject 80");
}

#[test]
fn each_address_family_has_its_summary() {
    let text = "accept6 *:443,reject6 *:*,accept *4:80,accept *6:81,reject *:*";
    assert_eq!((summary(text), ipv6_summary(text)), ("accept 80".into(), "accept 443".into()));
    let of_ipv4 = ExitPolicy::from_ipv4_rules_of_relay(b"accept *:80\nreject *:*").unwrap();
    assert_eq!(of_ipv4.summary().to_string(), "accept 80");
    assert_eq!(of_ipv4.ipv6_summary().to_string(), "reject 1-65535");
    assert_eq!(of_ipv4.allowed_ports(), [80..=80]);
}

#[test]
fn a_summary_that_is_too_long_is_cut_behind_a_range() {
    let ports: Vec<_> = (1..=400).map(|n| n * 100).collect();
    let rules: String = ports.iter().map(|port| format!("accept *:{port},")).collect();
    let summary = summary(&format!("{rules}reject *:*"));
    assert!(summary.starts_with("accept 100,200,300,"), "{summary}");
    assert!(summary.len() <= 1000 && summary.len() > 990, "{}", summary.len());
}

#[test]
fn the_allowed_ports_are_those_of_some_address() {
    for (text, ports) in [
        ("reject *:*", vec![]),
        ("accept *:*", vec![1..=65535]),
        ("reject 10.0.0.0/8:*", vec![1..=65535]),
        ("reject *:80", vec![1..=79, 81..=65535]),
        ("reject *:80,accept 192.0.2.1:80,reject *:*", vec![]),
        ("accept 192.0.2.1:80,reject *:*", vec![80..=80]),
        ("reject *4:80,accept 192.0.2.1:80,reject *:*", vec![]),
        ("reject *4:*,accept [2001:db8::1]:80,reject *:*", vec![80..=80]),
        ("accept private:80,reject *:*", vec![80..=80]),
        ("accept *4:80-90,accept *6:85-99,reject *:*", vec![80..=99]),
        ("reject *:1-9,reject *:10-65535,accept *:*", vec![]),
        ("accept 80,443,81", vec![80..=81, 443..=443]),
        ("reject 1-79,81-65535", vec![80..=80]),
        ("reject 1-65535", vec![]),
    ] {
        let policy = policy(text);
        assert_eq!(policy.allowed_ports(), ports, "{text}");
        assert_eq!(policy.is_exit(), !ports.is_empty(), "{text}");
        for port in [0, 1, 79, 80, 81, 99, 100, 443, 65535] {
            let is_allowed = ports.iter().any(|ports| ports.contains(&port));
            assert_eq!(policy.allows_port(port), is_allowed, "{text} {port}");
        }
    }
}

#[test]
fn a_port_is_allowed_everywhere_if_no_address_is_rejected() {
    for (text, everywhere) in [
        ("accept *:80,reject *:*", true),
        ("accept 192.0.2.0/24:80,reject *:*", false),
        ("reject 192.0.2.1:80,accept *:*", false),
        ("reject private:*,accept *:*", false),
        ("reject 192.0.2.1:81,accept *:*", true),
        ("reject 192.0.2.1:81", true),
        ("accept *4:80,reject *:*", false),
        ("reject *:*", false),
        ("accept 80", true),
        ("reject 80", false),
    ] {
        assert_eq!(policy(text).allows_port_everywhere(80), everywhere, "{text}");
    }
}

/// Decides about each port alone, as tor does about each range.
fn accepted_one_by_one(rules: &[(Ports, Effect)], limit: u64) -> Vec<u16> {
    let is_accepted = |port: &u16| {
        let mut rejected = 0_u128;
        for (_, effect) in rules.iter().filter(|(ports, _)| ports.contains(*port)) {
            match effect {
                Effect::Accept if rejected <= limit.into() => return true,
                Effect::Accept => {}
                Effect::Reject(weight) => rejected += u128::from(*weight),
            }
        }
        false
    };
    (1..=u16::MAX).filter(is_accepted).collect()
}

fn effects() -> impl Strategy<Value = Vec<(Ports, Effect)>> {
    let port = || prop_oneof![0_u16..40, any::<u16>(), 65500_u16..=65535];
    let ports = (port(), port()).prop_map(|(a, b)| Ports { first: a.min(b), last: a.max(b) });
    let effect = prop_oneof![
        proptest::strategy::Just(Effect::Accept),
        (0_u64..3).prop_map(Effect::Reject),
        proptest::strategy::Just(Effect::Reject(u64::MAX)),
    ];
    proptest::collection::vec((ports, effect), 0..12)
}

proptest! {
    #[test]
    fn ranges_are_accepted_as_single_ports_are(rules in effects(), limit in 0_u64..4) {
        let accepted = accepted_ports(&rules, limit);
        let ports = |ranges: &[Ports]| -> Vec<u16> {
            ranges.iter().flat_map(|ports| ports.first..=ports.last).collect()
        };
        let expected = accepted_one_by_one(&rules, limit);
        assert_eq!(ports(&accepted), expected);
        let mut all = [expected, ports(&others(&accepted))].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(1..=u16::MAX));
        // Ranges do not touch.
        assert!(accepted.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
    }
}
