//! Server descriptors of every age, and damaged ones.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::sample::{Index, select};

use super::ServerDescriptor;
use crate::descriptor::{CertificateType, ServerDescriptors};
use crate::names::BridgeDistribution;

/// Of a private network of tor 0.4.9.11.
const TODAY: &str = include_str!("../tests/server.txt");
/// Of a member of a family in a private network of tor 0.4.9.11.
const FAMILY: &str = include_str!("../tests/server_family.txt");
/// Of public relays, and of a sanitized bridge, as CollecTor published them.
const OF_2015: &str = include_str!("../tests/server_2015.txt");
const OF_2012: &str = include_str!("../tests/server_2012.txt");
const OF_2005: &str = include_str!("../tests/server_2005.txt");
const BRIDGE: &str = include_str!("../tests/bridge_2019.txt");

const ALL: [&str; 6] = [TODAY, FAMILY, OF_2015, OF_2012, OF_2005, BRIDGE];

/// Lines that no document here has.
const RARE: [&str; 7] = [
    "hibernating 0",
    "caches-extra-info",
    "overload-general 1 2026-11-26 13:00:00",
    "eventdns 1",
    "allow-single-hop-exits",
    "hidden-service-dir 2 3",
    "bridge-distribution-request https",
];

fn read(text: &str) -> ServerDescriptor {
    ServerDescriptor::parse(text).unwrap()
}

/// Adds a line before the exit policy.
fn with(text: &str, line: &str) -> ServerDescriptor {
    let (before, after) = text.split_at(text.find("\nreject").or(text.find("\naccept")).unwrap());
    read(&format!("{before}\n{line}{after}"))
}

fn unix(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn every_real_descriptor_passes_the_check_and_has_no_unrecognized_line() {
    for text in ALL {
        let descriptor = read(text);
        assert_eq!(descriptor.check(), Ok(()), "{text}");
        assert_eq!(descriptor.unrecognized().count(), 0, "{text}");
        let known = descriptor.items().filter(|item| !item.keyword().starts_with('@'));
        for item in known {
            assert!(is_readable(&descriptor, &item.keyword()), "{item:?}");
        }
        let doubled = format!("{text}{text}");
        assert!(ServerDescriptors::new(doubled).iter().all(|one| one.unwrap().check().is_ok()));
    }
    for line in RARE {
        let text = FAMILY.replace("caches-extra-info\n", "").replace("hidden-service-dir\n", "");
        let descriptor = with(&text, line);
        assert_eq!(descriptor.check(), Ok(()), "{line}");
        assert_eq!(descriptor.unrecognized().count(), 0, "{line}");
    }
}

#[test]
fn a_descriptor_of_a_family_is_read() {
    let descriptor = read(FAMILY);
    let certificate = descriptor.ed25519_certificate().unwrap();
    assert_eq!(certificate.certificate_type(), CertificateType::IdentityVSigning);
    assert_eq!(certificate.signing_key(), descriptor.ed25519_identity());
    let families: Vec<_> = descriptor.family_certificates().collect();
    assert_eq!(families.len(), 1);
    assert_eq!(families[0].certificate_type(), CertificateType::FamilyVIdentity);
    assert_eq!(Some(families[0].key()), descriptor.ed25519_identity());
    // 2026-12-26 15:00:00, a month later.
    assert_eq!(families[0].expires(), unix(0x0007_9f47 * 3600));
    let ids: Vec<_> = descriptor.family_ids().collect();
    assert_eq!(ids, ["ed25519:awt9b5RpqhuSQacTGPZUOYKY6RmnZW+cc6aGhzWom2I"]);
    let crosscert = descriptor.ntor_onion_key_crosscert().unwrap();
    assert_eq!(crosscert.certificate_type(), CertificateType::NtorCcIdentity);
    assert_eq!(Some(crosscert.key()), descriptor.ed25519_identity());
    assert_eq!(crosscert.signing_key(), None);
    assert_eq!(descriptor.ntor_onion_key_crosscert_sign(), Some(true));
    assert_eq!(descriptor.family().count(), 3);
    assert!(descriptor.caches_extra_info() && descriptor.is_tunnelled_dir_server());
    assert_eq!(descriptor.ed25519_signature().unwrap()[..2], [0x13, 0x3a]);
    assert!(descriptor.protocols().unwrap().supports("Relay", 6));
    assert_eq!(descriptor.ipv6_exit_ports().unwrap().to_string(), "accept 1-65535");
    assert_eq!((descriptor.router_digest(), descriptor.router_digest_sha256()), (None, None));
    assert_eq!((descriptor.overload_general(), descriptor.has_eventdns()), (None, None));
    assert_eq!((descriptor.socks_port(), descriptor.dir_port()), (None, None));
}

#[test]
fn a_descriptor_of_2015_is_read() {
    let descriptor = read(OF_2015);
    assert_eq!(descriptor.protocols(), None);
    assert_eq!(descriptor.link_protocols().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(descriptor.circuit_protocols().collect::<Vec<_>>(), [1]);
    assert_eq!(descriptor.or_addresses().count(), 2);
    assert_eq!(descriptor.version().unwrap().to_string(), "0.2.7.2-alpha-dev");
    assert_eq!(descriptor.operating_system().as_deref(), Some("Linux"));
    assert_eq!(descriptor.uptime(), Some(Duration::from_secs(1_362_680)));
    assert_eq!(descriptor.ntor_onion_key_crosscert_sign(), Some(false));
    assert_eq!(descriptor.ipv6_exit_ports().unwrap().to_string(), "reject 25,465,587,10000,14464");
    assert!(descriptor.extra_info_sha256().is_some() && descriptor.is_hidden_service_dir());
    assert_eq!(descriptor.hidden_service_dir_versions().count(), 0);
}

#[test]
fn old_lines_behind_opt_are_read() {
    let descriptor = read(OF_2012);
    assert_eq!(descriptor.nickname().as_str(), "caerSidi");
    assert_eq!(
        descriptor.fingerprint().unwrap().to_string(),
        "A7569A83B5706AB1B1A9CB52EFF7D2D32E4553EB"
    );
    assert_eq!(descriptor.link_protocols().count(), 2);
    assert_eq!(descriptor.extra_info_digest().unwrap()[..2], [0xd2, 0x25]);
    assert_eq!(descriptor.extra_info_sha256(), None);
    assert_eq!(descriptor.published(), Some(unix(1_330_622_127)));
    assert_eq!(descriptor.operating_system().as_deref(), Some("Linux x86_64"));
    assert!(descriptor.is_hidden_service_dir() && !descriptor.is_hibernating());
    assert_eq!(descriptor.ed25519_certificate(), None);
    assert_eq!((descriptor.ntor_onion_key(), descriptor.ed25519_signature()), (None, None));
    assert_eq!(descriptor.family().count(), OF_2012.matches(" $").count());
    let old = read(OF_2005);
    let (read, write) = (old.read_history().unwrap(), old.write_history().unwrap());
    assert_eq!((read.bytes[0], write.bytes[0]), (20774, 81));
    assert_eq!((read.interval, read.end), (Duration::from_secs(900), unix(1_134_756_048)));
    assert_eq!(old.bandwidth().unwrap().burst, 10_485_760);
    assert!(old.is_hibernating());
    assert!(old.allows_exit_to([192, 0, 2, 1].into(), 79));
    assert!(!old.allows_exit_to([192, 168, 2, 1].into(), 79));
}

#[test]
fn a_sanitized_descriptor_of_a_bridge_is_read() {
    let descriptor = read(BRIDGE);
    assert_eq!(descriptor.address().octets()[0], 10);
    assert_eq!(descriptor.router_digest().unwrap()[..2], [0x01, 0xa0]);
    assert_eq!(descriptor.router_digest_sha256().unwrap()[..2], [0x66, 0x6e]);
    assert_eq!(descriptor.ed25519_identity().unwrap()[..2], [0x2f, 0x34]);
    assert_eq!(descriptor.bridge_distribution_request(), Some(BridgeDistribution::Any));
    assert_eq!(descriptor.contact().as_deref(), Some("somebody"));
    assert_eq!((descriptor.signing_key(), descriptor.signature()), (None, None));
    // Without the digest it lacks keys and signatures.
    let (start, _) = BRIDGE.split_once("router-digest 01").unwrap();
    let error = read(start).check().unwrap_err();
    assert_eq!(error.expected(), "signing-key and an object RSA PUBLIC KEY");
    assert_eq!(error.line(), None);
}

#[test]
fn rare_forms_of_lines_are_read() {
    assert_eq!(with(OF_2012, RARE[2]).overload_general(), Some(unix(1_795_698_000)));
    assert_eq!(with(OF_2012, RARE[3]).has_eventdns(), Some(true));
    assert!(with(OF_2012, RARE[4]).allows_single_hop_exits());
    assert_eq!(with(BRIDGE, RARE[6]).check().unwrap_err().line(), Some(16));
    let versions = read(&OF_2012.replace("hidden-service-dir", "hidden-service-dir 2 3"));
    assert_eq!(versions.hidden_service_dir_versions().collect::<Vec<_>>(), [2, 3]);
    let negative = read(&OF_2005.replace("uptime 64820", "uptime -31081285"));
    assert_eq!((negative.uptime_seconds(), negative.uptime()), (Some(-31_081_285), None));
    assert_eq!(negative.check(), Ok(()));
    let socks = read(&OF_2005.replace("8000 0 0", "8000 9050 8001"));
    assert_eq!((socks.socks_port(), socks.dir_port()), (Some(9050), Some(8001)));
    let blanks = read(&OF_2005.replace("published 2005-12-16 18", "published\t2005-12-16   18"));
    assert_eq!(blanks.published(), Some(unix(1_134_756_063)));
    assert_eq!(blanks.check(), Ok(()));
    let mut bytes = OF_2012.replace("contact www", "contact \r-----BEGIN w").into_bytes();
    let place = bytes.windows(7).position(|window| window == b"contact").unwrap() + 8;
    bytes[place + 1] = 0xe9;
    let descriptor = ServerDescriptor::parse(bytes).unwrap();
    assert!(descriptor.contact_bytes().unwrap().starts_with(b"\r\xe9----BEGIN w"));
    assert!(descriptor.contact().unwrap().starts_with("\r\u{fffd}----BEGIN w"));
    assert_eq!(descriptor.check(), Ok(()));
}

#[test]
fn the_version_and_the_operating_system_are_parts_of_the_platform() {
    let parts = |platform: &str| {
        let text = format!("router a 192.0.2.1 1 0 0\nplatform {platform}\n");
        let descriptor = ServerDescriptor::parse(text).unwrap();
        let version = descriptor.version().map(|version| version.to_string());
        (version, descriptor.operating_system().map(Cow::into_owned))
    };
    for (platform, version, system) in [
        ("Tor 0.4.9.11 on Linux", Some("0.4.9.11"), Some("Linux")),
        ("Tor 0.2.0.26-rc (r14597) on Linux i686", Some("0.2.0.26-rc"), Some("Linux i686")),
        (
            "Tor 0.1.1.25 on Darwin Power Macintosh",
            Some("0.1.1.25"),
            Some("Darwin Power Macintosh"),
        ),
        ("node-Tor 0.1.0 on Linux", Some("0.1.0"), Some("Linux")),
        ("Tor 0.4.9.11", Some("0.4.9.11"), None),
        ("Torrid 1.0 on Linux", None, None),
        ("Tor  on x", None, Some("x")),
        ("", None, None),
    ] {
        let expected = (version.map(str::to_owned), system.map(str::to_owned));
        assert_eq!(parts(platform), expected, "{platform:?}");
    }
}

#[test]
fn the_check_names_each_wrong_line() {
    for (text, from, to, line, expected) in [
        (FAMILY, "AQQAB5", "AQUAB5", 2, "identity-ed25519 and an object ED25519 CERT of type 4"),
        (FAMILY, "ED25519 CERT", "ED25519 CERTS", 2, "an object with its last line"),
        (FAMILY, "master-key-ed25519 XU/", "master-key-ed25519 ", 8, "master-key-ed25519 KEY"),
        (FAMILY, "Conflux=1", "Conflux", 10, "proto NAME=VERSIONS .."),
        (FAMILY, "2026-11-26", "2026-11-31", 11, "published YYYY-MM-DD HH:MM:SS"),
        (FAMILY, "2AAA E055", "2AAA", 12, "fingerprint FINGERPRINT"),
        (FAMILY, "uptime 0", "uptime", 13, "uptime SECONDS"),
        (FAMILY, "1073741824 0", "1073741824", 14, "bandwidth AVERAGE BURST OBSERVED"),
        (FAMILY, "E26F72E1", "E26F72E", 15, "extra-info-digest SHA1"),
        (FAMILY, "/IMp0GRY", "/IMp0GR", 15, "extra-info-digest SHA1"),
        (FAMILY, "MIGJAoGBAJ6s", "MIGJ!oGBAJ6s", 17, "onion-key and an object RSA PUBLIC KEY"),
        (FAMILY, "crosscert 1", "crosscert 2", 35, "ntor-onion-key-crosscert 0|1"),
        (FAMILY, "AQoAB5", "AQwAB5", 35, "ntor-onion-key-crosscert 0|1"),
        (FAMILY, "family $0", "family $X", 41, "family RELAY .."),
        (FAMILY, "FAMILY CERT", "ED25519 CERT", 43, "an object with its last line"),
        (FAMILY, "ntor-onion-key r", "ntor-onion-key ", 50, "ntor-onion-key KEY in base64"),
        (FAMILY, "accept *:*", "accept 80", 51, "accept ADDRESSES:PORTS"),
        (FAMILY, "ipv6-policy accept 1", "ipv6-policy accept *:1", 52, "ipv6-policy accept|reject"),
        (FAMILY, "sig-ed25519 E", "sig-ed25519 ", 54, "router-sig-ed25519 SIGNATURE"),
        (FAMILY, "BEGIN SIGN", "BEGIN SIGIL", 55, "an object with its last line"),
        (FAMILY, "uptime 0", "uptime 0\nuptime 1", 14, "one line with this keyword"),
        (FAMILY, "uptime 0", "router relay1 127.0.0.1 36347 0 0", 13, "one line with this"),
        (FAMILY, "router-signature", "new\nrouter-signature", 56, "the end of the document"),
        (FAMILY, "identity-ed25519", "new\nidentity-ed25519", 3, "this line behind the first"),
        (OF_2012, "Link 1 2", "Links 1 2", 4, "protocols Link VERSION .. Circuit VERSION .."),
        (OF_2005, "(900 s) 20", "(900 s 20", 21, "the time of the end, (NUMBER s)"),
        (BRIDGE, "distribution-request any", "distribution-request a.b", 14, "bridge-distribution"),
        (BRIDGE, "router-digest 01", "router-digest ", 18, "router-digest DIGEST in hexadecimal"),
        (BRIDGE, "-sha256 Z", "-sha256 ", 17, "router-digest-sha256 DIGEST in base64"),
        (BRIDGE, "or-address [fd9f", "or-address fd9f", 4, "or-address ADDRESS:PORT"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = read(&changed).check().unwrap_err();
        let found = (error.line(), error.expected().starts_with(expected));
        assert_eq!(found, (Some(line), true), "{to}: {error}");
    }
    let part = |from, to| FAMILY.get(FAMILY.find(from).unwrap()..FAMILY.find(to).unwrap()).unwrap();
    for (text, line, expected) in [
        (FAMILY, "published 2026-11-26 14:20:21\n", "published YYYY"),
        (FAMILY, "bandwidth 1073741824 1073741824 0\n", "bandwidth AVERAGE"),
        (FAMILY, "accept *:*\n", "accept ADDRESSES"),
        (FAMILY, FAMILY.split_at(FAMILY.find("router-signature").unwrap()).1, "router-signature"),
        (
            FAMILY,
            "router-sig-ed25519 Ezr8Hw1DgNEW4hvjHUkg53kqKTClDgeCIzh5LuXS7wwFHT7RHAJNtC6FFrA8u5V1\
             U2H4u15P5QngvWXNnQ7wAw\n",
            "router-sig-ed25519 SIGNATURE",
        ),
        (FAMILY, part("identity-ed25519", "master-key-ed25519"), "identity-ed25519 and an object"),
        (
            FAMILY,
            part("ntor-onion-key-crosscert", "hidden-service-dir"),
            "ntor-onion-key-crosscert",
        ),
    ] {
        let changed = text.replacen(line, "", 1);
        assert_ne!(changed, text, "{line}");
        let error = read(&changed).check().unwrap_err();
        let found = (error.line(), error.expected().starts_with(expected));
        assert_eq!(found, (None, true), "{line}: {error}");
    }
}

#[test]
fn a_line_with_a_syntax_error_counts_as_absent() {
    let wrong = "uptime x\nbandwidth 1 2\npublished now\nfingerprint 00\nhibernating 2\n\
                 extra-info-digest 00\nonion-key\nproto Link\nprotocols Link 1\nfamily-cert\n\
                 ipv6-policy *\nrouter-digest 00\noverload-general 2026-11-26 13:00:00\n\
                 read-history\nhidden-service-dir x\nbridge-distribution-request\n\
                 ntor-onion-key-crosscert 1\nrouter-sig-ed25519 AAAA\nmaster-key-ed25519 A\n";
    let descriptor = read(&format!("router a 192.0.2.1 1 0 0\n{wrong}"));
    assert_eq!((descriptor.uptime(), descriptor.bandwidth()), (None, None));
    assert_eq!((descriptor.published(), descriptor.fingerprint()), (None, None));
    assert!(!descriptor.is_hibernating());
    assert_eq!((descriptor.extra_info_digest(), descriptor.extra_info_sha256()), (None, None));
    assert_eq!((descriptor.onion_key(), descriptor.protocols()), (None, None));
    assert_eq!(descriptor.link_protocols().count() + descriptor.circuit_protocols().count(), 0);
    assert_eq!(descriptor.family_certificates().count(), 0);
    assert_eq!((descriptor.ipv6_exit_ports(), descriptor.exit_policy()), (None, None));
    assert_eq!((descriptor.router_digest(), descriptor.overload_general()), (None, None));
    assert_eq!((descriptor.read_history(), descriptor.ntor_onion_key_crosscert()), (None, None));
    assert_eq!(descriptor.hidden_service_dir_versions().count(), 0);
    assert_eq!(descriptor.bridge_distribution_request(), None);
    assert_eq!((descriptor.ed25519_signature(), descriptor.ed25519_identity()), (None, None));
}

/// Returns whether the method of a line returns its value. The lines without a value are not tested.
fn is_readable(descriptor: &ServerDescriptor, keyword: &str) -> bool {
    let items = || descriptor.items().filter(|item| item.keyword() == keyword);
    match keyword {
        "router"
        | "caches-extra-info"
        | "hidden-service-dir"
        | "tunnelled-dir-server"
        | "hibernating"
        | "allow-single-hop-exits"
        | "family" => true,
        "identity-ed25519" => descriptor.ed25519_certificate().is_some(),
        "master-key-ed25519" => descriptor.ed25519_identity().is_some(),
        "or-address" => descriptor.or_addresses().count() == items().count() + 1,
        "platform" => descriptor.platform().is_some(),
        "proto" => descriptor.protocols().is_some(),
        "published" => descriptor.published().is_some(),
        "fingerprint" => descriptor.fingerprint().is_some(),
        "uptime" => descriptor.uptime_seconds().is_some(),
        "bandwidth" => descriptor.bandwidth().is_some(),
        "extra-info-digest" => {
            let words = items().next().unwrap().arguments().split_ascii_whitespace().count();
            descriptor.extra_info_digest().is_some()
                && (words < 2 || descriptor.extra_info_sha256().is_some())
        }
        "onion-key" => descriptor.onion_key().is_some(),
        "signing-key" => descriptor.signing_key().is_some(),
        "onion-key-crosscert" => descriptor.onion_key_crosscert().is_some(),
        "ntor-onion-key-crosscert" => {
            descriptor.ntor_onion_key_crosscert().is_some()
                && descriptor.ntor_onion_key_crosscert_sign().is_some()
        }
        "family-cert" => {
            let count = items().count();
            descriptor.family_certificates().count() == count
                && descriptor.family_ids().count() == count
        }
        "contact" => descriptor.contact_bytes().is_some(),
        "bridge-distribution-request" => descriptor.bridge_distribution_request().is_some(),
        "ntor-onion-key" => descriptor.ntor_onion_key().is_some(),
        "accept" | "reject" => descriptor.exit_policy().is_some(),
        "ipv6-policy" => descriptor.ipv6_exit_ports().is_some(),
        "overload-general" => descriptor.overload_general().is_some(),
        "router-sig-ed25519" => descriptor.ed25519_signature().is_some(),
        "router-signature" => descriptor.signature().is_some(),
        "read-history" => descriptor.read_history().is_some(),
        "write-history" => descriptor.write_history().is_some(),
        "eventdns" => descriptor.has_eventdns().is_some(),
        "protocols" => {
            descriptor.link_protocols().chain(descriptor.circuit_protocols()).count() > 0
        }
        "router-digest" => descriptor.router_digest().is_some(),
        "router-digest-sha256" => descriptor.router_digest_sha256().is_some(),
        other => descriptor.unrecognized().any(|item| item.keyword() == other),
    }
}

/// A descriptor with some lines changed, doubled, moved or removed, and some rare ones added.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![any::<u8>(), select(&b"\n\r\t @-:/,=0159$aF*"[..])];
    let changes = proptest::collection::vec((any::<Index>(), bytes), 0..6);
    let lines = proptest::collection::vec((any::<Index>(), any::<Index>(), 0..4_u8), 0..4);
    (select(&ALL[..]), lines, changes).prop_map(|(text, lines, changes)| {
        let mut all: Vec<&str> = text.lines().collect();
        for (from, to, what) in lines {
            let (from, to) = (from.index(all.len()), to.index(all.len()));
            match what {
                0 => all.insert(to, all[from]),
                1 => all.swap(from, to),
                2 if all.len() > 1 => drop(all.remove(from)),
                _ => all.insert(to, RARE[from % RARE.len()]),
            }
        }
        let mut changed = all.join("\n").into_bytes();
        for (place, byte) in changes {
            let place = place.index(changed.len());
            changed[place] = byte;
        }
        changed
    })
}

proptest! {
    #[test]
    fn a_descriptor_that_passes_the_check_has_every_line_readable(text in damaged()) {
        let Ok(descriptor) = ServerDescriptor::parse(text) else { return Ok(()) };
        let passes = descriptor.check().is_ok();
        for item in descriptor.items().filter(|item| !item.keyword().starts_with('@')) {
            let keyword = item.keyword();
            let is_empty = keyword == "protocols" && item.arguments().trim_end().ends_with("Circuit");
            let readable = is_readable(&descriptor, &keyword);
            assert!(readable || is_empty || !passes, "{item:?}");
        }
        if let Err(error) = descriptor.check() {
            let lines = descriptor.as_bytes().iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!(error.line().is_none_or(|line| (1..=lines).contains(&line)), "{error}");
        }
    }

    #[test]
    fn no_bytes_behind_a_keyword_panic(
        line in select(&ALL[..]).prop_flat_map(|text| select(text.lines().collect::<Vec<_>>())),
        arguments: Vec<u8>,
    ) {
        let keyword = line.split(' ').next().unwrap();
        let line = [keyword.as_bytes(), b" ", &arguments, b"\n"].concat();
        let text = [&b"router a 192.0.2.1 1 0 0\n"[..], &line, &line].concat();
        let descriptor = ServerDescriptor::parse(text).unwrap();
        assert!(descriptor.check().is_err());
        let _ = is_readable(&descriptor, keyword);
    }
}
