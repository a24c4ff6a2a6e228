//! Descriptors as tor 0.4.9.11 sent them, on clients and relays of private networks.

mod damage;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::sample;

use super::list::sealed::Read;
use super::{
    Descriptor, DescriptorBuilder, DescriptorList, Microdescriptor, Microdescriptors, RouterStatus,
    RouterStatuses, ServerDescriptor, ServerDescriptors, Text,
};
use crate::names::{BridgeDistribution, RelayFlag};

/// The reply to `GETINFO ns/name/test004r` of a client.
const STATUS: &str = "r test004r 6PeNDK0uSrN68tulQ+U+hPeyBqw FANtNjdwf/PO5Ex06DjrCVOi690 \
                      2038-01-01 00:00:00 127.0.0.1 5004 0\n\
                      s Exit Fast Guard HSDir Running Stable V2Dir Valid\n\
                      w Bandwidth=56";

/// Every line of the directory specification, and an unknown line.
const FULL_STATUS: &str = "r auth0 +Ke6VeoD3wkAb5Sn+4YmgMGwf+4 ZvxaqBIR6zpjJukAc66PBeE2xwE \
                           2026-11-23 19:05:44 198.51.100.7 35717 35773\n\
                           a [2001:db8::7]:9001\n\
                           a 198.51.100.8:9002\n\
                           s Authority Sparkling V2Dir\n\
                           v Tor 0.4.9.11\n\
                           pr Cons=1-2 Desc=1-4 Relay=2-6\n\
                           w Bandwidth=114 Measured=90 Unmeasured=1\n\
                           p reject 25,119,135-139\n\
                           m 28,29 sha256=jkt6oQZqhTHfVCXrDDjrl8hVqGYNbPzWHIYnC0yJdM8\n\
                           id ed25519 XbV/eAUSLS2dBiNo640MYxo9cSU++HViiSrjYLJE92M\n\
                           zz new in 0.5\n";

/// The reply to `GETINFO md/name/test004r` of a client.
const MICRODESCRIPTOR: &str = "onion-key\n\
    -----BEGIN RSA PUBLIC KEY-----\n\
    MIGJAoGBAM/5GySiSxPm4BUBhchd0xWGRZDLM8rcXrTHkQhXYrnCVZ52vvlAtVNO\n\
    UNtzgt8BXgArlABS/59HRF5r1DH4V7MH59wSwYUZnKRGAHVyAHUzWL6kIqlVrs2R\n\
    N2oQtZQUcBBfohOn5fZ+NDFvmLm+al0LD3IexCu3kBKI/VOW4OBPAgMBAAE=\n\
    -----END RSA PUBLIC KEY-----\n\
    ntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n\
    p accept 1-65535\n\
    id ed25519 xICe5Db9GhNwb5pVoBwXEAEekB+FRqPjbzv36wKvqbQ\n";

/// The reply to `GETINFO desc/name/relay1` of a relay.
const SERVER: &str = include_str!("tests/server.txt");

fn since_1970(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_entry_of_a_client_is_parsed() {
    let status = RouterStatus::parse(STATUS).unwrap();
    assert_eq!(status.nickname().as_str(), "test004r");
    assert_eq!(status.identity().to_string(), "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC");
    // The first bytes of the SHA-256 digest of MICRODESCRIPTOR.
    assert_eq!(status.descriptor_digest().unwrap()[..4], [0x14, 0x03, 0x6d, 0x36]);
    assert_eq!(status.published(), Some(since_1970(2_145_916_800)));
    assert_eq!(status.address().to_string(), "127.0.0.1");
    assert_eq!((status.or_port(), status.dir_port()), (5004, None));
    assert_eq!(status.or_addresses().collect::<Vec<_>>(), addresses(&["127.0.0.1:5004"]));
    let flags: Vec<String> = status.flags().map(|flag| flag.to_string()).collect();
    assert_eq!(flags.join(" "), "Exit Fast Guard HSDir Running Stable V2Dir Valid");
    assert!(status.flags().all(|flag| flag.is_recognized()));
    assert!(status.has_flag(&RelayFlag::Guard) && !status.has_flag(&RelayFlag::Authority));
    assert_eq!((status.bandwidth(), status.measured_bandwidth()), (Some(56), None));
    assert!(!status.is_unmeasured());
    assert_eq!((status.version(), status.protocols()), (None, None));
    assert_eq!((status.exit_ports(), status.ed25519_identity()), (None, None));
    assert_eq!(status.microdescriptor_digest(), None);
    assert_eq!(status.unrecognized().count(), 0);
    assert_eq!(status.to_string(), STATUS);
    assert_eq!(
        format!("{status:?}"),
        "RouterStatus(test004r E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC)"
    );
}

#[test]
fn an_entry_with_every_line_is_parsed() {
    let status = RouterStatus::parse(FULL_STATUS).unwrap();
    assert_eq!(status.descriptor_digest().unwrap()[..2], [0x66, 0xfc]);
    assert_eq!(status.published(), Some(since_1970(1_795_460_744)));
    assert_eq!(status.dir_port(), Some(35773));
    assert_eq!(
        status.or_addresses().collect::<Vec<_>>(),
        addresses(&["198.51.100.7:35717", "[2001:db8::7]:9001", "198.51.100.8:9002"])
    );
    let flags: Vec<RelayFlag> = status.flags().collect();
    assert_eq!(flags, [RelayFlag::Authority, "Sparkling".into(), RelayFlag::V2Dir]);
    assert!(status.has_flag(&"Sparkling".into()));
    assert_eq!(status.version(), Some("0.4.9.11".parse().unwrap()));
    assert_eq!(status.protocols().unwrap().to_string(), "Cons=1-2 Desc=1-4 Relay=2-6");
    assert_eq!((status.bandwidth(), status.measured_bandwidth()), (Some(114), Some(90)));
    assert!(status.is_unmeasured());
    let ports = status.exit_ports().unwrap();
    assert_eq!(ports.to_string(), "reject 25,119,135-139");
    assert!(ports.allows([192, 0, 2, 1].into(), 80) && !ports.allows([192, 0, 2, 1].into(), 137));
    assert_eq!(status.microdescriptor_digest(), None);
    let digest = status.microdescriptor_digests().next().unwrap();
    assert_eq!((digest.methods, digest.sha256[..2].to_vec()), (vec![28, 29], vec![0x8e, 0x4b]));
    assert_eq!(status.ed25519_identity().unwrap()[..3], [0x5d, 0xb5, 0x7f]);
    let unknown: Vec<_> = status.unrecognized().collect();
    assert_eq!(format!("{unknown:?}"), r#"["zz new in 0.5"]"#);
    assert_eq!(status.items().count(), 11);
}

#[test]
fn an_entry_without_a_digest_is_that_of_a_microdescriptor_consensus() {
    let text = STATUS.replace(" FANtNjdwf/PO5Ex06DjrCVOi690", "");
    let status = RouterStatus::parse(text).unwrap();
    assert_eq!(status.descriptor_digest(), None);
    assert_eq!(status.published(), Some(since_1970(2_145_916_800)));
    assert_eq!((status.address().to_string().as_str(), status.or_port()), ("127.0.0.1", 5004));
}

#[test]
fn a_list_shares_its_text_and_an_invalid_entry_affects_no_other() {
    let text = format!("NS\n{STATUS}\nr broken\ns Valid\n{FULL_STATUS}");
    let list = RouterStatuses::new(text.as_str());
    assert_eq!((list.len(), list.is_empty()), (3, false));
    assert_eq!(list.iter().len(), 3);
    let entries: Vec<_> = list.iter().collect();
    assert_eq!(entries[0].as_ref().unwrap().to_string(), format!("{STATUS}\n"));
    assert_eq!(
        entries[1].as_ref().unwrap_err().to_string(),
        "cannot read a router status: expected an identity, got \"r broken\\ns Valid\\n\""
    );
    let last = entries[2].as_ref().unwrap();
    assert_eq!(last.as_bytes(), FULL_STATUS.as_bytes());
    assert_eq!(last.detached(), *last);
    let within = |part: &[u8]| list.as_bytes().as_ptr_range().contains(&part.as_ptr());
    assert!(within(last.as_bytes()) && !within(last.detached().as_bytes()));
    assert_eq!(format!("{list:?}"), format!("DescriptorList(3 entries, {} bytes)", text.len()));
    for nothing in ["", "NS", "NEWCONSENSUS\n", "rs\nread\n"] {
        assert!(RouterStatuses::new(nothing).is_empty(), "{nothing:?}");
    }
}

#[test]
fn the_error_of_an_invalid_entry_names_the_missing_part() {
    let error = |text: &str| RouterStatus::parse(text).unwrap_err().expected().to_owned();
    assert_eq!(error(""), "a line that begins with r");
    assert_eq!(error("s Valid"), "a line that begins with r");
    assert_eq!(error("r not-a-name"), "a nickname");
    assert_eq!(error(&STATUS.replace("6PeN", "6Pe!")), "an identity");
    assert_eq!(error(&STATUS.replace("127.0.0.1", "::1")), "an IPv4 address");
    assert_eq!(error(&STATUS.replace(" 5004 0", " 65536 0")), "a port");
    assert_eq!(error(&STATUS.replace(" 5004 0", " 5004")), "a second port");
    let error = Microdescriptor::parse("ntor-onion-key AAAA\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read a microdescriptor: expected the line onion-key, got \"ntor-onion-key AAAA\\n\""
    );
    let error = |text: &str| ServerDescriptor::parse(text).unwrap_err().expected().to_owned();
    assert_eq!(error("@source x\nrouters\n"), "a line that begins with router");
    assert_eq!(error("router -"), "a nickname");
    assert_eq!(error("router a b"), "an IPv4 address");
    assert_eq!(error("router a 192.0.2.1 x"), "a port");
    assert_eq!(error("router a 192.0.2.1 1 0"), "three ports");
}

#[test]
fn a_microdescriptor_is_parsed() {
    let descriptor = Microdescriptor::parse(MICRODESCRIPTOR).unwrap();
    let key = descriptor.onion_key().unwrap().into_owned();
    assert!(key.starts_with("-----BEGIN RSA PUBLIC KEY-----\nMIGJAoGBAM/5"), "{key}");
    assert!(key.ends_with("4OBPAgMBAAE=\n-----END RSA PUBLIC KEY-----"), "{key}");
    assert_eq!(descriptor.ntor_onion_key().unwrap()[..3], [0xde, 0x28, 0xa0]);
    assert_eq!(descriptor.exit_ports().unwrap().to_string(), "accept 1-65535");
    assert_eq!(descriptor.ipv6_exit_ports(), None);
    assert!(descriptor.allows_exit_to([192, 0, 2, 1].into(), 25));
    assert!(!descriptor.allows_exit_to("2001:db8::1".parse().unwrap(), 25));
    assert_eq!(descriptor.ed25519_identity().unwrap()[..3], [0xc4, 0x80, 0x9e]);
    assert_eq!((descriptor.family().count(), descriptor.or_addresses().count()), (0, 0));
    assert_eq!((descriptor.unrecognized().count(), descriptor.annotations().count()), (0, 0));
    assert_eq!(descriptor.to_string(), MICRODESCRIPTOR);
}

#[test]
fn the_rare_lines_of_a_microdescriptor_are_parsed() {
    let text = "@last-listed 2026-11-23 19:05:44\n\
                onion-key\n\
                ntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ=\n\
                a [2001:db8::7]:9001\n\
                family $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC moria1\n\
                family-ids ed25519:abc ed25519:def\n\
                p6 accept 443\n\
                zz new in 0.5\n";
    let descriptor = Microdescriptor::parse(text).unwrap();
    assert_eq!(descriptor.onion_key(), None);
    assert_eq!(descriptor.ntor_onion_key().unwrap()[..3], [0xde, 0x28, 0xa0]);
    assert_eq!(descriptor.or_addresses().collect::<Vec<_>>(), addresses(&["[2001:db8::7]:9001"]));
    let family: Vec<String> = descriptor.family().map(|relay| relay.to_string()).collect();
    assert_eq!(family, ["$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC", "moria1"]);
    assert_eq!(descriptor.family_ids().collect::<Vec<_>>(), ["ed25519:abc", "ed25519:def"]);
    assert!(!descriptor.allows_exit_to([192, 0, 2, 1].into(), 443));
    assert!(descriptor.allows_exit_to("2001:db8::1".parse().unwrap(), 443));
    let unknown: Vec<_> = descriptor.unrecognized().map(|item| item.to_string()).collect();
    assert_eq!(unknown, ["zz new in 0.5"]);
    let annotation = descriptor.annotations().next().unwrap();
    assert_eq!(
        (annotation.keyword(), annotation.arguments()),
        ("@last-listed".into(), "2026-11-23 19:05:44".into())
    );
    assert_eq!(descriptor.ed25519_identity(), None);
}

#[test]
fn a_server_descriptor_is_parsed() {
    let descriptor = ServerDescriptor::parse(SERVER).unwrap();
    assert_eq!(descriptor.nickname().as_str(), "relay1");
    assert_eq!(descriptor.address().to_string(), "127.0.0.1");
    assert_eq!((descriptor.or_port(), descriptor.dir_port()), (32973, None));
    assert_eq!(descriptor.or_addresses().collect::<Vec<_>>(), addresses(&["127.0.0.1:32973"]));
    let pem = |text: Option<std::borrow::Cow<'_, str>>, begin: &str, end: &str| {
        let text = text.unwrap();
        assert!(text.starts_with(begin) && text.ends_with(end), "{text}");
    };
    assert_eq!(descriptor.ed25519_certificate().unwrap().signing_key().unwrap()[..2], [0x5d, 0xb5]);
    assert_eq!(descriptor.ed25519_identity().unwrap()[..3], [0x5d, 0xb5, 0x7f]);
    assert_eq!(descriptor.platform().as_deref(), Some("Tor 0.4.9.11 on Linux"));
    assert_eq!(descriptor.version().unwrap().to_string(), "0.4.9.11");
    let protocols = descriptor.protocols().unwrap();
    assert!(protocols.supports("Conflux", 1) && protocols.supports("Relay", 6));
    assert_eq!(descriptor.published(), Some(since_1970(1_795_461_233)));
    assert_eq!(
        descriptor.fingerprint().unwrap().to_string(),
        "F7CA0BB011E7041987EA0D49B34549338DFD2C58"
    );
    assert!(!descriptor.is_hibernating());
    assert_eq!(descriptor.uptime(), Some(Duration::ZERO));
    let bandwidth = descriptor.bandwidth().unwrap();
    assert_eq!((bandwidth.average, bandwidth.burst), (1 << 30, 1 << 30));
    assert_eq!(bandwidth.observed, 0);
    assert_eq!(descriptor.extra_info_digest().unwrap()[..2], [0x4f, 0xac]);
    assert_eq!(descriptor.extra_info_sha256().unwrap()[..2], [0xf6, 0xd6]);
    let (begin, end) = ("-----BEGIN RSA PUBLIC KEY-----\nMIGJ", "-----END RSA PUBLIC KEY-----");
    pem(descriptor.onion_key(), begin, end);
    pem(descriptor.signing_key(), begin, end);
    assert_ne!(descriptor.onion_key(), descriptor.signing_key());
    let (begin, end) = ("-----BEGIN CROSSCERT-----\nq41m", "-----END CROSSCERT-----");
    pem(descriptor.onion_key_crosscert(), begin, end);
    assert_eq!(descriptor.ntor_onion_key().unwrap()[..2], [0xe0, 0x02]);
    let crosscert = descriptor.ntor_onion_key_crosscert().unwrap();
    assert_eq!(Some(crosscert.key()), descriptor.ed25519_identity());
    assert!(descriptor.is_hidden_service_dir() && descriptor.is_tunnelled_dir_server());
    assert!(!descriptor.caches_extra_info());
    assert_eq!(descriptor.contact().as_deref(), Some("none@example.invalid"));
    assert_eq!(descriptor.bridge_distribution_request(), None);
    assert_eq!(descriptor.exit_policy().unwrap().to_string(), "accept *:*");
    assert_eq!(descriptor.ipv6_exit_ports(), None);
    assert!(descriptor.allows_exit_to([192, 0, 2, 1].into(), 25));
    assert!(!descriptor.allows_exit_to("2001:db8::1".parse().unwrap(), 25));
    assert_eq!(descriptor.ed25519_signature().unwrap()[..3], [0x43, 0x4f, 0x76]);
    pem(descriptor.signature(), "-----BEGIN SIGNATURE-----\nTxAL", "-----END SIGNATURE-----");
    assert_eq!((descriptor.family().count(), descriptor.annotations().count()), (0, 0));
    assert_eq!(descriptor.unrecognized().count(), 0);
    let items: Vec<String> = descriptor.items().map(|item| item.to_string()).collect();
    assert_eq!(items.join("\n") + "\n", SERVER, "every byte is in an item");
}

#[test]
fn the_rare_lines_of_a_server_descriptor_are_parsed() {
    let text = "@downloaded-at 2026-11-23 19:05:47\n\
                @source \"127.0.0.1\"\n\
                router bridge 198.51.100.7 443 0 80\n\
                or-address [2001:db8::7]:443\n\
                platform node-Tor 1.0\n\
                hibernating 1\n\
                bandwidth 1 2\n\
                bridge-distribution-request https\n\
                family moria1 $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC\n\
                caches-extra-info\n\
                contact caf\u{e9}\n\
                reject 10.0.0.0/8:*\n\
                accept *:80-443\n\
                reject *:*\n\
                ipv6-policy accept 443\n\
                new-in-0.5\n\
                -----BEGIN FAMILY CERT-----\n\
                AQgA\n\
                -----END FAMILY CERT-----\n";
    let descriptor = ServerDescriptor::parse(text).unwrap();
    assert_eq!(descriptor.dir_port(), Some(80));
    assert_eq!(descriptor.or_addresses().nth(1).unwrap().to_string(), "[2001:db8::7]:443");
    assert_eq!(descriptor.version().unwrap().to_string(), "1.0");
    assert_eq!(descriptor.bandwidth(), None);
    assert!(descriptor.is_hibernating() && descriptor.caches_extra_info());
    let distribution = descriptor.bridge_distribution_request();
    assert_eq!(distribution, Some(BridgeDistribution::Https));
    assert_eq!(descriptor.family().next().unwrap().to_string(), "moria1");
    assert_eq!(descriptor.contact().as_deref(), Some("caf\u{e9}"));
    let policy = descriptor.exit_policy().unwrap();
    assert_eq!(policy.to_string(), "reject 10.0.0.0/8:*,accept *:80-443,reject *:*");
    assert!(descriptor.allows_exit_to([192, 0, 2, 1].into(), 80));
    assert!(!descriptor.allows_exit_to([10, 0, 2, 1].into(), 80));
    assert!(descriptor.allows_exit_to("2001:db8::1".parse().unwrap(), 443));
    let unknown: Vec<_> = descriptor.unrecognized().collect();
    assert_eq!(format!("{unknown:?}"), "[\"new-in-0.5\" and an object of 58 bytes]");
    let annotations: Vec<_> = descriptor.annotations().map(|item| item.to_string()).collect();
    assert_eq!(annotations, ["@downloaded-at 2026-11-23 19:05:47", "@source \"127.0.0.1\""]);
    assert_eq!(descriptor.detached(), descriptor);
}

/// Returns the entries of a text, after checking that list and builder split it alike.
#[track_caller]
fn split<D: Descriptor + std::fmt::Display>(text: &str) -> Vec<String> {
    let list = DescriptorList::<D>::new(text);
    let at_once: Vec<String> = list.iter().map(|entry| entry.unwrap().to_string()).collect();
    let mut assembly = DescriptorBuilder::<D>::new();
    let mut one_by_one: Vec<_> = text.lines().filter_map(|l| assembly.line(l.as_bytes())).collect();
    one_by_one.extend(assembly.finish());
    let read = |text| <D as Read>::read(Text::new(text)).unwrap().to_string();
    assert_eq!(one_by_one.into_iter().map(read).collect::<Vec<_>>(), at_once);
    at_once
}

#[test]
fn list_and_builder_split_a_text_at_the_same_positions() {
    let annotated = format!("@downloaded-at 2026-11-23 19:05:47\n@source \"x\"\n{SERVER}");
    let text = format!("{annotated}{SERVER}{annotated}{annotated}");
    assert_eq!(split::<ServerDescriptor>(&text), [&annotated, SERVER, &annotated, &annotated]);
    assert_eq!(ServerDescriptors::new(text).len(), 4);
    let empty = "onion-key\nid ed25519 x\n";
    let text = format!("{MICRODESCRIPTOR}{empty}{empty}{MICRODESCRIPTOR}");
    assert_eq!(split::<Microdescriptor>(&text), [MICRODESCRIPTOR, empty, empty, MICRODESCRIPTOR]);
    assert_eq!(Microdescriptors::new(text).len(), 4);
    let text = format!("{STATUS}\n{FULL_STATUS}");
    assert_eq!(split::<RouterStatus>(&text), [&format!("{STATUS}\n"), FULL_STATUS]);
    assert_eq!(split::<RouterStatus>("").len(), 0);
}

/// Calls every method.
fn read_everything(text: &[u8]) {
    let statuses = RouterStatuses::new(text);
    for status in statuses.iter().flatten() {
        let _ = (status.descriptor_digest(), status.published(), status.version());
        let _ = (status.bandwidth(), status.is_unmeasured(), status.exit_ports());
        let _ = (status.microdescriptor_digest(), status.ed25519_identity());
        assert!(status.flags().count() <= text.len());
        assert!(status.or_addresses().count() >= 1);
        assert!(status.unrecognized().count() <= status.items().count());
    }
    for descriptor in Microdescriptors::new(text).iter().flatten() {
        let _ = (descriptor.onion_key(), descriptor.ntor_onion_key(), descriptor.exit_ports());
        let _ = (descriptor.ed25519_identity(), descriptor.ipv6_exit_ports());
        assert!(descriptor.family().count() + descriptor.or_addresses().count() <= text.len());
    }
    for descriptor in ServerDescriptors::new(text).iter().flatten() {
        let _ = (descriptor.fingerprint(), descriptor.published(), descriptor.bandwidth());
        let _ = (descriptor.extra_info_digest(), descriptor.extra_info_sha256());
        let _ = (descriptor.exit_policy(), descriptor.uptime(), descriptor.version());
        let _ = (descriptor.signature(), descriptor.ntor_onion_key_crosscert());
        assert!(descriptor.unrecognized().count() <= descriptor.items().count());
    }
}

fn real_text() -> impl Strategy<Value = &'static str> {
    sample::select(&[STATUS, FULL_STATUS, MICRODESCRIPTOR, SERVER][..])
}

proptest! {
    #[test]
    fn no_bytes_panic(text: Vec<u8>) {
        read_everything(&text);
    }

    #[test]
    fn no_change_to_real_text_panics_or_affects_another_entry(
        text in real_text(),
        changes in proptest::collection::vec((any::<sample::Index>(), prop_oneof![
            any::<u8>(),
            sample::select(&b"\n\r @-:/,r="[..]),
        ]), 1..8),
        cut: sample::Index,
    ) {
        let mut changed = text.as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(changed.len());
            changed[place] = byte;
        }
        changed.truncate(cut.index(changed.len()) + 1);
        read_everything(&changed);
        let mut around = FULL_STATUS.as_bytes().to_vec();
        around.extend(&changed);
        around.extend(format!("\n{FULL_STATUS}").bytes());
        let list = RouterStatuses::new(around);
        assert_eq!(list.iter().last().unwrap().unwrap().to_string(), FULL_STATUS);
    }

    #[test]
    fn every_line_of_a_text_is_in_an_item(text in "([a-z@]{1,5}( [ -~]{0,9})?\n){0,9}") {
        let items: Vec<_> = super::item::Items::new(text.as_bytes()).collect();
        assert_eq!(items.len(), text.lines().count());
    }
}

#[test]
fn the_check_names_the_wrong_line() {
    let check = |text: String| Microdescriptor::parse(text).unwrap().check();
    assert_eq!(check(MICRODESCRIPTOR.to_owned()), Ok(()));
    for (from, to, line, expected) in [
        ("p accept 1-65535", "p accept all", 8, "p accept|reject PORTS"),
        ("p accept 1-65535", "p accept 1\np accept 1", 9, "one line with this keyword"),
        ("ntor-onion-key 3", "ntor-onion-key ", 7, "ntor-onion-key KEY in base64"),
        ("MIGJ", "MI!J", 1, "onion-key and, if any, a key in base64"),
    ] {
        let error = check(MICRODESCRIPTOR.replace(from, to)).unwrap_err();
        assert_eq!((error.line(), error.expected()), (Some(line), expected), "{error}");
    }
    let open = MICRODESCRIPTOR.split("-----END").next().unwrap();
    let error = check(open.to_owned()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read a microdescriptor: line 1: expected an object with its last line, got \
         \"onion-key\""
    );
    // Those of relays before tor 0.2.4.
    assert_eq!(check(MICRODESCRIPTOR.replace("ntor-onion-key", "new")), Ok(()));
}

#[test]
fn the_word_opt_is_no_keyword_and_a_tab_separates_words() {
    let text = "onion-key\nopt ntor-onion-key\t3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n";
    let descriptor = Microdescriptor::parse(text).unwrap();
    assert!(descriptor.ntor_onion_key().is_some());
    assert_eq!(descriptor.check(), Ok(()));
}

#[test]
fn blanks_before_a_keyword_mean_nothing() {
    let text = "onion-key\n \topt \t ntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n \t\n\r\n\
                 optional\nopt\nopt \n";
    let descriptor = Microdescriptor::parse(text).unwrap();
    assert!(descriptor.ntor_onion_key().is_some());
    let unknown: Vec<_> = descriptor.unrecognized().map(|item| item.to_string()).collect();
    assert_eq!(unknown, ["optional", "opt", ""]);
}

#[test]
fn no_object_hides_lines_from_the_check() {
    let check = |text: String| Microdescriptor::parse(text).unwrap().check();
    for (hidden, line) in [
        ("new\n-----BEGIN A-----\np accept 1-65535\n-----END B-----\n", 1),
        ("new\n-----BEGIN A-----\np accept 1-65535\n-----END A----\n", 1),
        ("@new\n-----BEGIN A-----\np accept x\n-----END A-----\n", 3),
    ] {
        let (first, rest) = MICRODESCRIPTOR.split_once("ntor-").unwrap();
        let before = first.lines().count();
        let error = check(format!("{first}{hidden}ntor-{rest}")).unwrap_err();
        assert_eq!(error.line(), Some(before + line), "{hidden}");
    }
}
