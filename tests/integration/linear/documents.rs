//! Descriptors, exit policies, names and other texts outside of the control protocol.

use std::collections::BTreeSet;

use torcon::descriptor::{
    AnyDescriptor, DescriptorIndex, DescriptorList, DescriptorReader, ExitPolicy, ExtraInfo,
    Microdescriptors, RouterStatuses, ServerDescriptors,
};
use torcon::event::Bootstrap;
use torcon::names::{OnionAddress, RelaySpec, StreamReason, Target, TorVersion};

use super::{FIELDS, LINES, LISTS, Reach, Shape, check};

const ROUTER: &str = "r a AAAAAAAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAAAAAAA \
                      2026-01-01 00:00:00 127.0.0.1 1 0\n";

#[test]
fn lists_of_descriptors_are_parsed_in_linear_time() {
    let statuses = [
        Shape::of("r x\n"),
        Shape::of("s Exit\n"),
        Shape::Repeated { start: ROUTER, unit: "s Exit\n" },
        Shape::Repeated { start: ROUTER, unit: "a [::1]:1\n" },
        Shape::Repeated { start: "r x\ns ", unit: "Exit " },
        Shape::Repeated { start: "", unit: "\nr" },
        Shape::Repeated { start: "", unit: ROUTER },
    ];
    let shapes = [&statuses[..], LINES, LISTS].concat();
    check("router statuses", Reach::Short, &shapes, |text| {
        for status in RouterStatuses::new(text).iter().flatten() {
            let _ = (status.or_addresses().count(), status.flags().count(), status.to_string());
            let _ = (status.exit_ports(), status.unrecognized().count());
        }
    });
    let descriptors = [
        Shape::of("onion-key\n"),
        Shape::of("@a\nonion-key\n"),
        Shape::Repeated { start: "onion-key\n", unit: "@a\n" },
        Shape::Repeated { start: "onion-key\n-----BEGIN X\n", unit: "AAAA\n" },
        Shape::Repeated { start: "onion-key\nfamily ", unit: "$AB " },
        Shape::Repeated { start: "onion-key\np accept ", unit: "1," },
    ];
    let shapes = [&descriptors[..], LINES].concat();
    check("microdescriptors", Reach::Short, &shapes, |text| {
        let list = Microdescriptors::new(text);
        let _ = DescriptorIndex::new(&list);
        for descriptor in list.iter().flatten() {
            let _ = (descriptor.family().count(), descriptor.exit_ports());
            let _ = (descriptor.annotations().count(), descriptor.unrecognized().count());
        }
    });
    let descriptors = [
        Shape::of("router a 127.0.0.1 1 0 0\n"),
        Shape::of("@a\nrouter a 127.0.0.1 1 0 0\n"),
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\n", unit: "accept *:*\n" },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\nfingerprint ", unit: "A " },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\nfamily ", unit: "a " },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\n", unit: "family-cert\n" },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\nprotocols Link ", unit: "1 " },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\nproto ", unit: "A=1 " },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\nplatform Tor ", unit: " on" },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\n", unit: "opt " },
        Shape::Repeated { start: "router a 127.0.0.1 1 0 0\nonion-key\n", unit: "-----BEGIN \n" },
        Shape::Repeated {
            start: "router a 127.0.0.1 1 0 0\nx\n",
            unit: "-----BEGIN \n-----END \n",
        },
    ];
    let shapes = [&descriptors[..], LINES].concat();
    check("server descriptors", Reach::Short, &shapes, |text| {
        for descriptor in ServerDescriptors::new(text).iter().flatten() {
            let _ = (descriptor.family().count(), descriptor.exit_policy());
            let _ = (descriptor.annotations().count(), descriptor.unrecognized().count());
            let _ = (descriptor.fingerprint(), descriptor.check().is_ok());
            let _ = (descriptor.family_ids().count(), descriptor.link_protocols().count());
            let _ = (descriptor.protocols(), descriptor.operating_system().is_some());
            let _ = (descriptor.onion_key().is_some(), descriptor.read_history());
        }
    });
}

#[test]
fn statistics_are_parsed_in_linear_time() {
    macro_rules! line {
        ($start:literal, $unit:literal) => {
            Shape::Repeated {
                start: concat!("extra-info a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", $start),
                unit: $unit,
            }
        };
    }

    let documents = [
        Shape::of("extra-info a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
        line!("", "transport a\n"),
        line!("transport a ", "a "),
        line!("bridge-ips ", "de=8,"),
        line!("bridge-ip-transports ", "a=8,"),
        line!("dirreq-v3-resp ", "ok=8,"),
        line!("write-history 2026-11-23 09:26:00 (900 s) ", "1,"),
        line!("cell-queued-cells ", "1.5,"),
        line!("cell-queued-cells ", "1"),
        line!("padding-counts 2026-11-23 09:26:00 (900 s) ", "read-pad=1 "),
        line!("hidserv-dir-onions-seen 1 ", "bin_size=8 "),
    ];
    let shapes = [&documents[..], LINES].concat();
    check("extra-info documents", Reach::Short, &shapes, |text| {
        for info in DescriptorList::<ExtraInfo>::new(text).iter().flatten() {
            let _ = (info.check().is_ok(), info.unrecognized().count(), info.transports().count());
            let _ = (info.bridge_ips(), info.bridge_ip_transports(), info.dirreq_v3_resp());
            let _ = (info.write_history(), info.cell_queued_cells());
            let _ = (info.padding_counts(), info.hidserv_dir_onions_seen());
        }
    });
}

#[test]
fn texts_of_one_value_are_parsed_in_linear_time() {
    let policies = [
        Shape::of("accept *:80,"),
        Shape::of("reject *:1-80,accept *:2-443,"),
        Shape::of("reject 0.0.0.0/8:*,reject 169.254.0.0/16:*,"),
        Shape::Numbered { before: "reject 1.2.3.0/24:1", after: "-59999,accept *:2-60000," },
        Shape::of("accept 1,"),
        Shape::Repeated { start: "accept ", unit: "1," },
        Shape::Repeated { start: "accept ", unit: "]" },
        Shape::Repeated { start: "accept [", unit: ":" },
        Shape::of("accept"),
        Shape::of("\n"),
    ];
    check("exit policy", Reach::Short, &policies, |text| {
        if let Ok(policy) = text.trim_end_matches([',', '\n']).parse::<ExitPolicy>() {
            let _ = (policy.summary(), policy.ipv6_summary(), policy.allowed_ports());
            let _ = (policy.has_private(), policy.without_private());
        }
    });
    let shapes = [FIELDS, LISTS].concat();
    check("names", Reach::Short, &shapes, |text| {
        let _ = (text.parse::<RelaySpec>(), text.parse::<Target>(), text.parse::<TorVersion>());
        let _ = (text.parse::<OnionAddress>(), StreamReason::from(text));
    });
    check("numbers", Reach::Short, &[Shape::of("1"), Shape::of("1."), Shape::of("[")], |text| {
        let _ = (text.parse::<RelaySpec>(), text.parse::<Target>(), text.parse::<TorVersion>());
    });
    check("bootstrap phase", Reach::Short, FIELDS, |text| {
        let _ = format!("NOTICE BOOTSTRAP PROGRESS=1 {text}").parse::<Bootstrap>();
    });
}

#[test]
fn files_of_documents_are_read_in_linear_time() {
    let shapes = [
        Shape::of("@a\n"),
        Shape::of("onion-key\n"),
        Shape::of("@a\nonion-key\n"),
        Shape::of("router a 127.0.0.1 1 0 0\n"),
        Shape::of("network-status-version 3\n"),
        Shape::of(ROUTER),
        Shape::of("router-signature\n-----BEGIN X-----\n"),
        Shape::of("published\nr a\n"),
        Shape::Repeated { start: "network-status-version 3\n", unit: "directory-signature\n" },
        Shape::Repeated { start: "network-status-version 3\n", unit: ROUTER },
        Shape::Repeated { start: "onion-key\n", unit: "a 127.0.0.1:1\n" },
        Shape::Repeated { start: "onion-key\n-----BEGIN X-----\n", unit: "AAAA\n" },
        Shape::of("\0"),
        Shape::of("\r\n"),
    ];
    let shapes = [&shapes[..], LINES].concat();
    check("files", Reach::Short, &shapes, |text| {
        let limited = DescriptorReader::<AnyDescriptor, _>::new(text.as_bytes()).with_limit(1000);
        let whole = DescriptorReader::<AnyDescriptor, _>::new(text.as_bytes());
        assert!(limited.count() + whole.count() <= 2 * text.len());
    });
}

/// A valid document of each kind that can have many lines.
const DOCUMENTS: &[&str] = &[
    include_str!("../../../src/descriptor/tests/server.txt"),
    include_str!("../../../src/descriptor/tests/damage/extra-info.txt"),
    include_str!("../../../src/descriptor/tests/damage/microdescriptor.txt"),
    include_str!("../../../src/descriptor/tests/damage/key-certificate.txt"),
    include_str!("../../../src/descriptor/tests/damage/onion.txt"),
    include_str!("../../../src/descriptor/tests/damage/consensus.txt"),
    include_str!("../../../src/descriptor/tests/damage/vote.txt"),
];

#[test]
fn documents_with_many_lines_of_each_keyword_are_checked_in_linear_time() {
    for document in DOCUMENTS {
        let first = document.lines().find(|line| !line.starts_with('@')).unwrap_or_default();
        let mut keywords = BTreeSet::new();
        let mut shapes = Vec::new();
        for line in document.split_inclusive('\n') {
            let keyword = line.split([' ', '\n']).next().unwrap_or_default();
            // Lines of objects have no small letters in front.
            let is_keyword =
                keyword.chars().all(|c| c.is_ascii_lowercase() || "-0123456789".contains(c));
            if is_keyword && !first.starts_with(keyword) && keywords.insert(keyword) {
                let start = document.find(line).and_then(|at| document.get(..at));
                shapes.push(Shape::Repeated { start: start.unwrap_or_default(), unit: line });
            }
        }
        check(first, Reach::Short, &shapes, |text| {
            let reader = DescriptorReader::<AnyDescriptor, _>::new(text.as_bytes());
            assert!(reader.count() > 0);
        });
    }
}
