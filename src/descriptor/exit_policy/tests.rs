use std::net::IpAddr;

use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::{AddressPattern, ExitPolicy, ExitPolicyRule};

/// The reply to `GETINFO exit-policy/default` of tor 0.4.9.11.
const DEFAULT: &str = "reject *:25,reject *:119,reject *:135-139,reject *:445,reject *:563,\
                       reject *:1214,reject *:4661-4666,reject *:6346-6429,reject *:6699,\
                       reject *:6881-6999,accept *:*";

/// The reply to `GETINFO exit-policy/reject-private/default` of tor 0.4.9.11.
const PRIVATE: &str = "reject 0.0.0.0/8:*,reject 169.254.0.0/16:*,reject 127.0.0.0/8:*,\
                       reject 192.168.0.0/16:*,reject 10.0.0.0/8:*,reject 172.16.0.0/12:*,\
                       reject [::]/8:*,reject [fc00::]/7:*,reject [fe80::]/10:*,\
                       reject [fec0::]/10:*,reject [ff00::]/8:*,reject [::]/127:*";

fn policy(text: &str) -> ExitPolicy {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn allows(text: &str, address: &str, port: u16) -> bool {
    policy(text).allows(address.parse().unwrap(), port)
}

#[test]
fn the_policies_of_a_real_tor_round_trip_and_decide() {
    for text in [DEFAULT, PRIVATE, "reject6 *:*,accept *:*", "accept 1-65535", "reject 1-65535"] {
        assert_eq!(policy(text).to_string(), text);
    }
    for (port, allowed) in [(24, true), (25, false), (135, false), (139, false), (140, true)] {
        assert_eq!(allows(DEFAULT, "192.0.2.1", port), allowed, "{port}");
        assert_eq!(allows(DEFAULT, "2001:db8::1", port), allowed, "{port}");
    }
    assert!(allows("reject6 *:*\naccept *:*", "192.0.2.1", 80));
    assert!(!allows("reject6 *:*\naccept *:*", "2001:db8::1", 80));
}

#[test]
fn private_means_the_networks_of_tor() {
    for (address, is_private) in [
        ("0.1.2.3", true),
        ("9.255.255.255", false),
        ("10.0.0.0", true),
        ("11.0.0.0", false),
        ("127.255.255.255", true),
        ("169.253.0.1", false),
        ("169.254.0.1", true),
        ("172.15.255.255", false),
        ("172.16.0.0", true),
        ("172.31.255.255", true),
        ("172.32.0.0", false),
        ("192.168.1.1", true),
        ("192.169.1.1", false),
        ("::", true),
        ("::1", true),
        ("100::", false),
        ("fbff::", false),
        ("fc00::1", true),
        ("fdff::1", true),
        ("fe7f::1", false),
        ("fe80::1", true),
        ("fec0::1", true),
        ("ff02::1", true),
        ("2001:db8::1", false),
    ] {
        assert_eq!(allows("reject private:*", address, 80), !is_private, "{address}");
        assert_eq!(allows(PRIVATE, address, 80), !is_private, "{address}");
    }
}

#[test]
fn the_first_matching_rule_decides_and_the_default_is_accept() {
    assert!(allows("accept 192.0.2.0/24:80,reject *:*", "192.0.2.255", 80));
    assert!(!allows("accept 192.0.2.0/24:80,reject *:*", "192.0.3.0", 80));
    assert!(!allows("accept 192.0.2.0/24:80,reject *:*", "192.0.2.255", 81));
    assert!(!allows("reject *:80,accept *:80", "192.0.2.1", 80));
    assert!(allows("reject *:80", "192.0.2.1", 81));
    assert!(allows("reject *4:80", "2001:db8::1", 80));
    assert!(allows("reject *6:80", "192.0.2.1", 80));
    assert!(!allows("reject6 [2001:db8::]/32:80", "2001:db8::1", 80));
    assert!(allows("reject [2001:db8::]/32:80", "2001:db9::1", 80));
    assert!(allows("reject [::]/0:*", "192.0.2.1", 80));
    assert!(!allows("reject 0.0.0.0/0:*", "192.0.2.1", 80));
}

#[test]
fn a_summary_treats_other_ports_the_opposite_way() {
    assert!(allows("accept 80,443", "192.0.2.1", 443) && !allows("accept 80,443", "::1", 25));
    assert!(!allows("reject 25,119-120", "192.0.2.1", 120));
    assert!(allows("reject 25,119-120", "192.0.2.1", 80));
    assert!(policy("accept 80").is_summary() && !policy("accept *:80").is_summary());
}

#[test]
fn every_spelling_is_parsed_and_printed_in_canonical_form() {
    for (text, printed) in [
        ("accept *", "accept *:*"),
        ("reject 192.0.2.1", "reject 192.0.2.1:*"),
        ("reject 192.0.2.1/32:80-80", "reject 192.0.2.1:80"),
        ("reject 192.0.2.0/255.255.255.0:1-65535", "reject 192.0.2.0/24:*"),
        ("reject 0.0.0.0/0.0.0.0", "reject 0.0.0.0/0:*"),
        ("reject [::1]", "reject [::1]:*"),
        ("reject ::1", "reject [::1]:*"),
        ("reject 2001:db8::/32", "reject [2001:db8::]/32:*"),
        ("reject *:25, accept *:*\n", "reject *:25,accept *:*"),
        ("reject *:25\r\naccept *:*", "reject *:25,accept *:*"),
        ("accept6 private:80", "accept6 private:80"),
        ("accept 0080", "accept 80"),
        // As old relays wrote it.
        ("reject *:0-80", "reject *:0-80"),
    ] {
        assert_eq!(policy(text).to_string(), printed);
    }
    assert_eq!(format!("{:?}", policy("accept 80")), "ExitPolicy(accept 80)");
}

#[test]
fn an_invalid_policy_is_refused() {
    for text in [
        "",
        "accept",
        "accept ",
        "allow *:80",
        "accept *:",
        "accept 0",
        "accept *:65536",
        "accept *:81-80",
        "accept *:+80",
        "accept 192.0.2.1/33:*",
        "accept 192.0.2.1/255.0.255.0:*",
        "accept 192.0.2.1/0.0.0.255:*",
        "accept [::1]/129:*",
        "accept [192.0.2.1]:*",
        "accept [::1]80",
        "accept example.com:80",
        "accept6 192.0.2.1:80",
        "accept6 *4:80",
        "accept *:80,",
        "accept 80,",
        "accept 80,*:443",
        "accept 80,reject 25",
        "accept *:80\nQUIT",
    ] {
        assert_eq!(
            text.parse::<ExitPolicy>().unwrap_err().to_string(),
            "invalid exit policy: must be rules such as \"accept *:80,reject *:*\", or ports such \
             as \"accept 80,443\"",
            "{text:?}"
        );
    }
}

fn ports() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u16>().prop_map(|port| port.max(1).to_string()),
        any::<(u16, u16)>()
            .prop_map(|(a, b)| { format!("{}-{}", a.min(b).max(1), a.max(b).max(1)) }),
    ]
}

fn addresses() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(&["*", "*6", "private"][..]).prop_map(str::to_owned),
        any::<([u8; 16], u8)>().prop_map(|(address, bits)| format!(
            "[{}]/{}",
            IpAddr::from(address),
            bits % 129
        )),
    ]
}

fn ipv4_addresses() -> impl Strategy<Value = String> {
    any::<([u8; 4], u8)>()
        .prop_map(|(address, bits)| format!("{}/{}", IpAddr::from(address), bits % 33))
}

fn rules() -> impl Strategy<Value = String> {
    let ports = || prop_oneof![ports(), proptest::strategy::Just("*".to_owned())];
    let any_family = ("accept|reject", prop_oneof![addresses(), ipv4_addresses()], ports());
    let ipv6 = ("accept6|reject6", addresses(), ports());
    let rule = prop_oneof![any_family, ipv6]
        .prop_map(|(word, address, ports)| format!("{word} {address}:{ports}"));
    proptest::collection::vec(rule, 1..6).prop_map(|rules| rules.join(","))
}

proptest! {
    #[test]
    fn rules_round_trip(text in rules(), address: IpAddr, port: u16) {
        let read = policy(&text);
        let again = policy(&read.to_string());
        assert_eq!(again, read);
        assert_eq!(again.allows(address, port), read.allows(address, port));
    }

    #[test]
    fn summaries_round_trip(
        word in "accept|reject",
        ports in proptest::collection::vec(ports(), 1..6),
    ) {
        let read = policy(&format!("{word} {}", ports.join(",")));
        assert!(read.is_summary());
        assert_eq!(policy(&read.to_string()), read);
    }

    #[test]
    fn no_text_panics(text: String, near in "(accept|reject)6? [-0-9*:./,\\[\\]]*") {
        for text in [text, near] {
            if let Ok(policy) = text.parse::<ExitPolicy>() {
                assert_eq!(policy.to_string().parse(), Ok(policy));
            }
        }
    }
}

#[test]
fn a_star_in_the_rules_of_a_relay_means_ipv4() {
    // tor 0.4.9.11 with `ExitPolicy accept *4:80,reject *:*` and `IPv6Exit 1`: parsed as the rules of
    // a configuration, this would allow port 80 for IPv6.
    let text = b"reject 10.0.0.0/8:*\naccept *:80\nreject *:*\nreject6 *:*";
    let policy = ExitPolicy::from_rules_of_relay(text).unwrap();
    assert_eq!(policy.to_string(), "reject 10.0.0.0/8:*,accept *4:80,reject *4:*,reject6 *:*");
    let (four, six) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    assert!(policy.allows(four, 80) && !policy.allows(six, 80));
    let none = ExitPolicy::from_rules_of_relay(b"reject *:*").unwrap();
    assert!(!none.allows(four, 80) && !none.allows(six, 80));
    assert_eq!(ExitPolicy::from_rules_of_relay(b""), None);
}

#[test]
fn the_policy_of_one_address_family_allows_no_address_of_the_other() {
    let (four, six) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    for (text, allows_four, allows_six) in [
        ("accept *:*", true, true),
        ("accept *:80\nreject *:*", true, true),
        ("reject 10.0.0.0/8:*", true, true),
        ("accept6 *:80\nreject6 *:*", true, true),
        ("reject *:*", false, false),
    ] {
        let policy = ExitPolicy::from_ipv4_rules_of_relay(text.as_bytes()).unwrap();
        assert_eq!(policy.allows(four, 80), allows_four, "{text}");
        assert!(!policy.allows(six, 80), "{text}");
        let policy = ExitPolicy::from_ipv6_rules_of_relay(text.as_bytes()).unwrap();
        assert_eq!(policy.allows(six, 80), allows_six, "{text}");
        assert!(!policy.allows(four, 80), "{text}");
    }
}

#[test]
fn the_rules_of_a_policy_are_its_policy() {
    let text =
        "reject 10.0.0.0/8:*,accept [2001:db8::1]:80-88,accept6 *:443,reject *4:*,reject *:*";
    let rules: Vec<_> = policy(text).rules().collect();
    assert_eq!(rules.len(), 5);
    assert_eq!(rules.iter().copied().collect::<ExitPolicy>(), policy(text));
    let single = AddressPattern::Network { address: "2001:db8::1".parse().unwrap(), bits: 128 };
    assert_eq!((rules[1].addresses(), rules[1].ports()), (single, 80..=88));
    assert!(rules[1].is_accept() && !rules[1].is_only_ipv6() && rules[2].is_only_ipv6());
    let six = "2001:db8::1".parse().unwrap();
    assert!(rules[1].matches(six, 80) && !rules[1].matches(six, 89));
    assert!(!rules[2].matches([192, 0, 2, 1].into(), 443));
    assert_eq!(format!("{:?}", rules[0]), "ExitPolicyRule(reject 10.0.0.0/8:*)");
    let of_ports = |text: &str| policy(text).rules().collect::<ExitPolicy>().to_string();
    assert_eq!(of_ports("accept 80,443-444"), "accept *:80,accept *:443-444,reject *:*");
    assert_eq!(of_ports("reject 25"), "reject *:25,accept *:*");
    assert_eq!([].into_iter().collect::<ExitPolicy>(), policy("accept *:*"));
    for text in ["accept *:80,reject *:*", "accept *:80\nreject *:*", "80", ""] {
        assert_eq!(
            text.parse::<ExitPolicyRule>().unwrap_err().to_string(),
            "invalid rule of an exit policy: must be a rule such as \"accept *:80\" or \"reject \
             10.0.0.0/8:*\"",
        );
    }
}

#[test]
fn private_is_expanded_and_found_again() {
    // tor writes the line for `[::]/127` although `[::]/8` contains it.
    assert_eq!(policy("reject private:*").expand_private().to_string(), PRIVATE);
    let text = "accept *:22,reject private:80,reject6 private:*,accept *:*";
    let expanded = policy(text).expand_private();
    assert_eq!(expanded.rules().count(), 26);
    assert_eq!(expanded.without_private().to_string(), "accept *:22,accept *:*");
    assert_eq!(policy(text).without_private().to_string(), "accept *:22,accept *:*");
    for address in ["10.0.0.1", "fe80::1", "192.0.2.1"] {
        for port in [22, 80, 81] {
            let address = address.parse().unwrap();
            assert_eq!(expanded.allows(address, port), policy(text).allows(address, port));
        }
    }
    // As a relay with the address 192.0.2.1 publishes it: without networks of IPv6.
    let ipv4: Vec<_> = PRIVATE.split(',').take(6).collect();
    let published = format!("{},reject 192.0.2.1:*,reject 192.0.2.2:*,accept *:80", ipv4.join(","));
    let without = policy(&published).without_private();
    assert_eq!(without.to_string(), "reject 192.0.2.2:*,accept *:80");
    assert!(policy(&published).has_private() && !without.has_private());
    assert!(policy("accept *:80,reject private:25").has_private());
    assert_eq!(policy(PRIVATE).without_private().to_string(), "accept *:*");
    // Other orders, other ports, and a part of the networks are rules of the operator.
    let reordered = published.replacen("169.254.0.0/16", "127.0.0.0/8", 1);
    let other_ports = published.replacen("169.254.0.0/16:*", "169.254.0.0/16:80", 1);
    for text in [&reordered, &other_ports, ipv4[1], "accept 80"] {
        assert!(!policy(text).has_private(), "{text}");
        assert_eq!(policy(text).without_private(), policy(text));
    }
}

#[test]
fn port_0_is_never_allowed() {
    for text in ["accept *:*", "accept *:0-80", "reject 25", "reject *:25"] {
        let policy = policy(text);
        assert!(!policy.allows([192, 0, 2, 1].into(), 0), "{text}");
        assert!(!policy.allows_port(0) && !policy.allows_port_everywhere(0), "{text}");
    }
}
