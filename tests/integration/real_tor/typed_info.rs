//! The typed answers of `GETINFO`, compared with what a connection without torcon is told.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use torcon::descriptor::ExitPolicy;
use torcon::info::{
    ConsensusFlavor, DownloadBackoff, DownloadIncrement, DownloadSchedule, DownloadSource,
    DownloadStatus, MappingOrigin, VersionStanding,
};
use torcon::names::{Fingerprint, HibernationStatus, ListenerKind, NetworkLiveness, OnionAddress};
use torcon::process::Ready;
use torcon::{Controller, Launcher, Signal};

use super::{controller, reader, refusal};
use crate::support::raw_control::RawControl;
use crate::support::real_tor::{RealTor, shared};
use crate::support::source::library_sources;
use crate::support::watchdog::eventually;

/// Why a key has no method.
const PATTERN: &str = "- a pattern, whose keys are listed beside it";

/// Every key or pattern of keys that tor names, with the methods that ask it, or why there is none.
const KEYS: &[(&str, &str)] = &[
    ("accounting/bytes", "accounting"),
    ("accounting/bytes-left", "accounting"),
    ("accounting/enabled", "accounting"),
    ("accounting/hibernating", "accounting"),
    ("accounting/interval-end", "accounting"),
    ("accounting/interval-start", "accounting"),
    ("accounting/interval-wake", "accounting"),
    ("address", "external_address"),
    ("address-mappings/all", "address_mappings"),
    ("address-mappings/cache", "address_mappings_from"),
    ("address-mappings/config", "address_mappings_from"),
    ("address-mappings/control", "address_mappings_from"),
    ("address/v4", "external_ipv4"),
    ("address/v6", "external_ipv6"),
    ("bw-event-cache", "bw_event_cache"),
    ("circuit-status", "circuit_status"),
    ("config-can-saveconf", "can_save_conf"),
    ("config-defaults-file", "config_defaults_file"),
    ("config-file", "config_file"),
    ("config-text", "config_text"),
    ("config/*", PATTERN),
    ("config/defaults", "config_defaults"),
    ("config/names", "config_names"),
    ("consensus/*", "consensus_lifetime"),
    ("current-time/*", PATTERN),
    ("current-time/local", "current_time"),
    ("current-time/utc", "current_time"),
    ("desc-annotations/id/*", "descriptor_annotations"),
    ("desc/all-recent", "server_descriptors for_each_server_descriptor"),
    ("desc/download-enabled", "fetches_server_descriptors"),
    ("desc/id/*", "server_descriptor"),
    ("desc/name/*", "server_descriptor_by_name"),
    (
        "dir/server/*",
        "own_server_descriptor served_descriptors served_descriptors_of \
         server_descriptor_by_digest",
    ),
    ("dir/status-vote/current/consensus", "consensus_document"),
    ("dir/status-vote/current/consensus-microdesc", "consensus_document"),
    ("dir/status/*", "- always empty: what it gave out is gone since tor 0.3.1"),
    ("dormant", "is_dormant"),
    ("downloads/bridge/*", PATTERN),
    ("downloads/bridge/<desc>", "bridge_download"),
    ("downloads/bridge/bridges", "bridge_downloads"),
    ("downloads/cert/*", PATTERN),
    ("downloads/cert/fp/<fp>", "certificate_download"),
    ("downloads/cert/fp/<fp>/<sk>", "certificate_download_for_key"),
    ("downloads/cert/fp/<fp>/sks", "certificate_signing_keys"),
    ("downloads/cert/fps", "certificate_downloads"),
    ("downloads/desc/*", PATTERN),
    ("downloads/desc/<desc>", "descriptor_download"),
    ("downloads/desc/descs", "- makes tor abort"),
    ("downloads/networkstatus/*", PATTERN),
    ("downloads/networkstatus/microdesc", "consensus_download"),
    ("downloads/networkstatus/microdesc/bootstrap", "consensus_download"),
    ("downloads/networkstatus/microdesc/running", "consensus_download"),
    ("downloads/networkstatus/ns", "consensus_download"),
    ("downloads/networkstatus/ns/bootstrap", "consensus_download"),
    ("downloads/networkstatus/ns/running", "consensus_download"),
    ("entry-guards", "entry_guards"),
    ("events/names", "valid_events"),
    ("exit-policy/default", "default_exit_policy"),
    ("exit-policy/full", "exit_policy"),
    ("exit-policy/ipv4", "exit_policy_ipv4"),
    ("exit-policy/ipv6", "exit_policy_ipv6"),
    ("exit-policy/reject-private/default", "default_exit_policy_reject_private"),
    ("exit-policy/reject-private/relay", "exit_policy_reject_private"),
    ("extra-info/digest/*", "extra_info"),
    ("features/names", "valid_features"),
    ("hs/client/desc/id*", "hs_client_descriptor"),
    ("hs/service/desc/id/*", "hs_service_descriptor"),
    ("info/names", "info_names"),
    ("ip-to-country/*", "country geoip_data"),
    ("limits/max-mem-in-queues", "max_mem_in_queues"),
    ("md/all", "microdescriptors for_each_microdescriptor"),
    ("md/download-enabled", "fetches_microdescriptors"),
    ("md/id/*", "microdescriptor"),
    ("md/name/*", "microdescriptor_by_name"),
    ("net/listeners/*", "listeners"),
    ("network-liveness", "network_liveness"),
    ("network-status", "- named, and refused: it is gone since tor 0.4.5"),
    ("ns/all", "relay_statuses for_each_relay_status"),
    ("ns/id/*", "relay_status"),
    ("ns/name/*", "relay_status_by_name"),
    ("ns/purpose/*", "relay_statuses_of_purpose"),
    ("onions/current", "onions"),
    ("onions/detached", "detached_onions"),
    ("orconn-status", "orconn_status"),
    ("process/descriptor-limit", "process_info"),
    ("process/pid", "process_info"),
    ("process/uid", "process_info"),
    ("process/user", "process_info"),
    ("signal/names", "valid_signals"),
    ("sr/current", "shared_random"),
    ("sr/previous", "shared_random"),
    ("stats/ntor/*", PATTERN),
    ("stats/ntor/assigned", "handshake_counts"),
    ("stats/ntor/requested", "handshake_counts"),
    ("stats/tap/*", PATTERN),
    ("stats/tap/assigned", "handshake_counts"),
    ("stats/tap/requested", "handshake_counts"),
    ("status/bootstrap-phase", "bootstrap_phase"),
    ("status/circuit-established", "is_circuit_established"),
    ("status/clients-seen", "clients_seen"),
    ("status/enough-dir-info", "has_enough_dir_info"),
    ("status/fresh-relay-descs", "fresh_relay_descriptors"),
    ("status/version/current", "version_status"),
    ("status/version/recommended", "version_status"),
    ("stream-status", "stream_status"),
    ("traffic/read", "traffic"),
    ("traffic/written", "traffic"),
    ("uptime", "uptime"),
    ("version", "full_version"),
];

/// Keys that tor answers without naming them.
const UNNAMED: &[(&str, &str)] = &[
    ("consensus/packages", "- always empty: no authority votes for packages"),
    ("desc/all-recent-extrainfo-hack", "- desc/all-recent with lines that are not in a descriptor"),
    ("fingerprint", "fingerprint"),
    ("helper-nodes", "- the old name of entry-guards"),
    ("status/accepted-server-descriptor", "has_accepted_server_descriptor"),
    ("status/good-server-descriptor", "has_good_server_descriptor"),
    ("status/reachability-succeeded", "- reachability asks for its parts"),
    ("status/reachability-succeeded/dir", "reachability"),
    ("status/reachability-succeeded/or", "reachability"),
];

#[test]
fn every_key_that_tor_names_has_a_method_or_a_reason() {
    let named: BTreeSet<String> =
        reader().info_names().unwrap().into_iter().map(|(name, _)| name).collect();
    let known: BTreeSet<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(known, named);
    assert_eq!(known.len(), KEYS.len(), "each key stands there once");
    let sources = library_sources();
    let controller: String = sources
        .iter()
        .filter(|(file, _)| file.starts_with("src/controller/"))
        .map(|(_, text)| text.as_str())
        .collect();
    for (key, methods) in KEYS.iter().chain(UNNAMED) {
        if methods.starts_with("- ") {
            continue;
        }
        for method in methods.split_ascii_whitespace() {
            let has = |end: &str| controller.contains(&format!("pub fn {method}{end}"));
            assert!(has("(") || has("<"), "{key}: there is no method {method}");
        }
    }
}

#[test]
fn the_reasons_for_having_no_method_hold() {
    let mut raw = shared().raw();
    assert_eq!(raw.ask("GETINFO network-status"), ["552 Unrecognized key \"network-status\""]);
    assert_eq!(raw.get_info("dir/status/all"), "");
    assert_eq!(raw.get_info("helper-nodes"), raw.get_info("entry-guards"));
    assert_eq!(raw.get_info("status/reachability-succeeded"), "OR=1 DIR=1");
    assert_eq!(raw.get_info("desc/all-recent-extrainfo-hack"), "");
    for key in ["config/nope", "current-time/nope"] {
        assert_eq!(raw.ask(&format!("GETINFO {key}")), [format!("552 Unrecognized key \"{key}\"")]);
    }
    assert_eq!(raw.ask("GETINFO stats/ntor/nope"), ["551 Unrecognized handshake type"]);
    assert_eq!(
        refusal(reader().get_info_one("downloads/desc/descs")),
        "invalid argument \"key\": makes some versions of tor abort"
    );
}

/// Reads a flag as tor writes it.
fn flag(raw: &mut RawControl, key: &str) -> bool {
    match raw.get_info(key).as_str() {
        "0" => false,
        "1" => true,
        other => panic!("{key} is {other:?}"),
    }
}

fn number(raw: &mut RawControl, key: &str) -> u64 {
    raw.get_info(key).parse().unwrap_or_else(|error| panic!("{key}: {error}"))
}

#[test]
fn a_tor_tells_of_itself_as_a_program() {
    let controller = reader();
    let mut raw = shared().raw();
    let version = controller.full_version().unwrap();
    assert_eq!(version.as_str(), raw.get_info("version"));
    assert_eq!(&version, controller.version());

    let process = controller.process_info().unwrap();
    assert_eq!(process.pid, shared().pid());
    assert_eq!(process.uid.map(|uid| uid.to_string()), Some(raw.get_info("process/uid")));
    assert_eq!(process.user, Some(raw.get_info("process/user")));
    assert_eq!(process.descriptor_limit, Some(number(&mut raw, "process/descriptor-limit")));
    assert_eq!(process.uid, Some(nix::unistd::Uid::effective().as_raw()));

    let before = number(&mut raw, "uptime");
    let uptime = controller.uptime().unwrap().as_secs();
    assert!(before <= uptime && uptime <= number(&mut raw, "uptime"));
    let limit = controller.max_mem_in_queues().unwrap();
    assert_eq!(limit, number(&mut raw, "limits/max-mem-in-queues"));
    assert!(limit > 1 << 20);

    let time = controller.current_time().unwrap();
    let difference = match SystemTime::now().duration_since(time.utc) {
        Ok(difference) => difference,
        Err(error) => error.duration(),
    };
    assert!(difference < Duration::from_secs(30), "{time:?}");
    let same_zone =
        raw.get_info("current-time/utc")[..16] == raw.get_info("current-time/local")[..16];
    assert!(!same_zone || time.utc_offset == 0, "{time:?}");
}

#[test]
fn a_time_zone_is_an_offset() {
    let launcher = Launcher::new().option("DisableNetwork", "1").option("SocksPort", "0");
    // Tor takes its time zone from its environment; this one is east of Greenwich.
    let launcher = launcher.env("TZ", "XYZ-5:45").wait_for(Ready::Controller);
    let tor = launcher.launch().unwrap();
    let controller = tor.controller().unwrap();
    assert_eq!(controller.current_time().unwrap().utc_offset, 345);
    tor.quit().unwrap();
}

#[test]
fn a_tor_without_network_tells_that_it_is_not_ready() {
    let controller = reader();
    let mut raw = shared().raw();
    assert!(!controller.is_circuit_established().unwrap());
    assert!(!flag(&mut raw, "status/circuit-established"));
    assert!(!controller.has_enough_dir_info().unwrap());
    assert!(!flag(&mut raw, "status/enough-dir-info"));
    assert_eq!(controller.is_dormant().unwrap(), flag(&mut raw, "dormant"));
    assert_eq!(controller.network_liveness().unwrap(), NetworkLiveness::Down);
    assert_eq!(raw.get_info("network-liveness"), "down");
    let status = controller.version_status().unwrap();
    assert_eq!(status.current, VersionStanding::Unknown);
    assert_eq!(
        (status.recommended, raw.get_info("status/version/recommended")),
        (vec![], "?".into())
    );
    let traffic = controller.traffic().unwrap();
    assert_eq!((traffic.read, traffic.written), (0, 0));
    assert_eq!(raw.get_info("traffic/read"), "0");
    let cached = raw.get_info("bw-event-cache");
    assert_eq!(cached.is_empty(), controller.bw_event_cache().unwrap().is_empty(), "{cached}");
    assert!(controller.circuit_status().unwrap().is_empty());
    assert!(controller.stream_status().unwrap().is_empty());
    assert!(controller.orconn_status().unwrap().is_empty());
    assert!(controller.entry_guards().unwrap().is_empty());
    let listeners = controller.listeners(&ListenerKind::Control).unwrap();
    let listed: Vec<_> = listeners.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    assert_eq!(listed.join(" "), raw.get_info("net/listeners/control"));
    assert!(controller.listeners(&ListenerKind::Socks).unwrap().is_empty());
    assert_eq!(
        refusal(controller.listeners(&"pigeon".into())),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"net/listeners/pigeon\\\"\""
    );
}

#[test]
fn what_tor_offers_and_its_files_are_known() {
    let tor = RealTor::builder().line("ContactInfo \"a \\\"b\\\" \\303\\251\"").start();
    let controller = controller(&tor);
    let mut raw = tor.raw();
    let features = controller.valid_features().unwrap();
    assert_eq!(features.join(" "), raw.get_info("features/names"));
    controller.use_feature(&features).unwrap();

    assert_eq!(controller.config_file().unwrap(), tor.torrc_path());
    let defaults_file = controller.config_defaults_file().unwrap();
    assert_eq!(defaults_file, tor.directory().join("defaults-torrc"));
    let text = controller.config_text().unwrap();
    assert_eq!(text, raw.get_info("config-text"));
    assert!(text.lines().any(|line| line == "DisableNetwork 1"), "{text}");
    // What it gave can be given back.
    controller.load_conf(&text).unwrap();
    assert_eq!(controller.config_text().unwrap(), text);

    let defaults = controller.config_defaults().unwrap();
    let lines = raw.get_info("config/defaults");
    assert_eq!(defaults.lines().count(), lines.lines().count());
    for ((name, value), line) in defaults.lines().zip(lines.lines()) {
        let value = String::from_utf8_lossy(value.unwrap()).replace('\\', "\\\\");
        assert_eq!(format!("{name} \"{}\"", value.replace('"', "\\\"")), line);
    }
    assert_eq!(defaults.get("maxcircuitdirtiness").unwrap().first(), Some("10 minutes"));
    assert!(defaults.get("DirAuthority").unwrap().values().len() > 5);
    assert!(defaults.get("ContactInfo").is_none(), "it has no default");
}

#[test]
fn a_configuration_with_includes_cannot_be_saved_as_it_is() {
    let tor = RealTor::start();
    assert!(controller(&tor).can_save_conf().unwrap());
    let included = tempfile::NamedTempFile::new().unwrap();
    let line = format!("%include {}", included.path().display());
    let tor = RealTor::builder().line(line).start();
    assert!(!controller(&tor).can_save_conf().unwrap());
    assert!(!flag(&mut tor.raw(), "config-can-saveconf"));
    assert!(controller(&tor).save_conf().is_err());
}

#[test]
fn mappings_are_told_by_where_they_come_from() {
    let tor = RealTor::builder().line("MapAddress a.example b.example").start();
    let controller = controller(&tor);
    controller.map_address([("c.example", "d.example")]).unwrap();
    let mut raw = tor.raw();
    let from = |origin: &str| {
        let mappings = controller.address_mappings_from(&origin.into()).unwrap();
        assert!(mappings.iter().all(|mapping| mapping.expires.is_none()), "{mappings:?}");
        let text = |mapping: &torcon::info::AddressMapping| {
            format!("{} {} NEVER", mapping.address, mapping.new_address)
        };
        mappings.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(from("config"), ["a.example b.example NEVER"]);
    assert_eq!(from("control"), ["c.example d.example NEVER"]);
    assert!(from("cache").is_empty());
    for origin in MappingOrigin::KNOWN {
        let expected = raw.get_info(&format!("address-mappings/{origin}"));
        assert_eq!(from(origin.as_str()).join("\n"), expected);
    }
    assert_eq!(controller.address_mappings().unwrap().len(), 2);
    assert_eq!(
        refusal(controller.address_mappings_from(&"nowhere".into())),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"address-mappings/nowhere\\\"\""
    );
}

#[test]
fn a_client_is_no_relay() {
    let controller = reader();
    let mut raw = shared().raw();
    assert_eq!(raw.ask("GETINFO fingerprint"), ["551 Not running in server mode"]);
    assert_eq!(controller.fingerprint().unwrap(), None);
    for key in ["address", "address/v4", "address/v6"] {
        assert_eq!(raw.ask(&format!("GETINFO {key}")), ["551 Address unknown"]);
    }
    assert_eq!(controller.external_address().unwrap(), None);
    assert_eq!(controller.external_ipv4().unwrap(), None);
    assert_eq!(controller.external_ipv6().unwrap(), None);
    assert_eq!(raw.ask("GETINFO exit-policy/full"), ["552 Not running in server mode"]);
    assert_eq!(controller.exit_policy().unwrap(), None);
    assert_eq!(controller.exit_policy_ipv4().unwrap(), None);
    assert_eq!(controller.exit_policy_ipv6().unwrap(), None);
    assert_eq!(controller.exit_policy_reject_private().unwrap(), None);
    assert_eq!(raw.ask("GETINFO status/fresh-relay-descs"), ["551 Only relays have descriptors"]);
    assert_eq!(controller.fresh_relay_descriptors().unwrap(), None);
    assert!(!controller.has_accepted_server_descriptor().unwrap());
    assert!(!controller.has_good_server_descriptor().unwrap());
    let reachability = controller.reachability().unwrap();
    assert_eq!((reachability.or, reachability.dir), (true, true));
    let counts = controller.handshake_counts().unwrap();
    assert_eq!((counts.ntor.requested, counts.tap.assigned), (0, 0));
    let clients = controller.clients_seen().unwrap();
    let text = raw.get_info("status/clients-seen");
    assert_eq!(clients.text(), format!("CLIENTS_SEEN {text}").as_str());
    assert_eq!(clients.time_started, Some(SystemTime::UNIX_EPOCH));
    let accounting = controller.accounting().unwrap();
    assert_eq!((accounting.hibernation, accounting.interval), (HibernationStatus::Awake, None));
    assert_eq!(raw.get_info("accounting/hibernating"), "awake");
}

#[test]
fn the_policies_of_every_tor_are_those_that_it_says() {
    let controller = reader();
    let mut raw = shared().raw();
    let policy = controller.default_exit_policy().unwrap();
    assert_eq!(policy.to_string(), raw.get_info("exit-policy/default"));
    assert!(!policy.allows([192, 0, 2, 1].into(), 25));
    assert!(policy.allows([192, 0, 2, 1].into(), 80));
    let policy = controller.default_exit_policy_reject_private().unwrap();
    assert_eq!(policy.to_string(), raw.get_info("exit-policy/reject-private/default"));
    assert!(!policy.allows([10, 0, 0, 1].into(), 80));
}

/// A relay without network.
fn relay(lines: &[&str]) -> RealTor {
    let builder = RealTor::builder()
        .line("ORPort 127.0.0.1:12345")
        .line("Address 192.0.2.7")
        .line("Nickname somebody")
        .line("AssumeReachable 1")
        .line("PublishServerDescriptor 0");
    lines.iter().fold(builder, |builder, line| builder.line(*line)).start()
}

/// Makes a relay make its descriptor, which without network it does not do by itself. It does when
/// it is asked for its statistics.
fn with_descriptor(controller: &Controller) {
    assert_eq!(
        refusal(controller.exit_policy()),
        "tor refused GETINFO: 551 \"Descriptor still rebuilding - not ready yet\""
    );
    assert_eq!(controller.extra_info([0; 20]).unwrap(), None);
}

#[test]
fn a_relay_tells_of_itself() {
    let tor = relay(&["ExitRelay 1", "ExitPolicy accept *4:80,reject *:*", "IPv6Exit 1"]);
    let controller = controller(&tor);
    let mut raw = tor.raw();
    let fingerprint = controller.fingerprint().unwrap().unwrap();
    assert_eq!(fingerprint.to_string(), raw.get_info("fingerprint"));
    assert_eq!(controller.own_server_descriptor().unwrap(), None);
    assert!(controller.served_descriptors().unwrap().is_empty());

    with_descriptor(&controller);
    let policy = controller.exit_policy().unwrap().unwrap();
    let (four, six) = ([192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap());
    let address: IpAddr = [192, 0, 2, 7].into();
    assert!(policy.allows(four, 80) && !policy.allows(four, 443));
    assert!(!policy.allows(address, 80), "its own address");
    assert!(!policy.allows(six, 80), "{policy}");
    let lines = raw.get_info("exit-policy/full").replace(" *:", " *4:").replace("6 *4:", "6 *:");
    assert_eq!(policy.to_string(), lines.replace('\n', ","));
    let policy = controller.exit_policy_ipv4().unwrap().unwrap();
    assert!(policy.allows(four, 80) && !policy.allows(four, 443));
    let policy = controller.exit_policy_ipv6().unwrap().unwrap();
    assert_eq!(policy.to_string(), raw.get_info("exit-policy/ipv6"));
    assert!(!policy.allows(six, 80));
    let policy = controller.exit_policy_reject_private().unwrap().unwrap();
    assert_eq!(policy.to_string(), "reject 192.0.2.7:*");

    let descriptor = controller.own_server_descriptor().unwrap().unwrap();
    assert_eq!(descriptor.fingerprint(), Some(fingerprint));
    assert_eq!(descriptor.nickname().as_str(), "somebody");
    let text = raw.get_info("dir/server/authority");
    assert_eq!(descriptor.to_string().trim_end(), text.trim_end());
    let served = controller.served_descriptors_of([fingerprint, Fingerprint::from([9; 20])]);
    assert_eq!(served.unwrap().len(), 1);
    assert!(controller.served_descriptors_of([]).unwrap().is_empty());
    let unknown = controller.served_descriptors_of([Fingerprint::from([9; 20])]).unwrap();
    assert!(unknown.is_empty());
    assert_eq!(controller.server_descriptor_by_digest([9; 20]).unwrap(), None);
    let digest = descriptor.extra_info_digest().unwrap();
    let statistics = controller.extra_info(digest).unwrap().unwrap();
    assert_eq!(statistics.fingerprint(), fingerprint);
    let key = format!("extra-info/digest/{}", Fingerprint::from(digest));
    assert_eq!(statistics.to_string().trim_end(), raw.get_info(&key).trim_end());
    assert_eq!(statistics.published(), descriptor.published());

    // It knows its address as soon as it has made a descriptor.
    assert_eq!(controller.external_address().unwrap(), Some(address));
    assert_eq!(controller.external_ipv4().unwrap().map(IpAddr::V4), Some(address));
    assert_eq!(controller.external_ipv6().unwrap(), None);
    let (server, extra) = controller.fresh_relay_descriptors().unwrap().unwrap();
    let extra = extra.unwrap();
    assert_eq!(server.fingerprint(), Some(fingerprint));
    assert_eq!(extra.fingerprint(), fingerprint);
    assert!(server.signature().is_some() && extra.signature().is_some());
    assert!(!server.to_string().contains("extra-info somebody"));
    assert!(controller.fetches_server_descriptors().unwrap());
    assert!(controller.fetches_microdescriptors().unwrap());
    let reachability = controller.reachability().unwrap();
    assert_eq!(reachability.or, flag(&mut raw, "status/reachability-succeeded/or"));
    assert_eq!(reachability.dir, flag(&mut raw, "status/reachability-succeeded/dir"));
}

#[test]
fn a_relay_that_is_no_exit_allows_nothing() {
    let tor = relay(&["ExitRelay 0"]);
    let controller = controller(&tor);
    with_descriptor(&controller);
    for policy in [
        controller.exit_policy().unwrap(),
        controller.exit_policy_ipv4().unwrap(),
        controller.exit_policy_ipv6().unwrap(),
    ] {
        let policy = policy.unwrap();
        assert_eq!(policy, "reject *:*".parse::<ExitPolicy>().unwrap());
        assert!(!policy.allows("2001:db8::1".parse().unwrap(), 80));
    }
}

#[test]
fn a_relay_that_protects_nothing_has_no_such_rules() {
    let tor = relay(&["ExitPolicyRejectPrivate 0", "ExitRelay 1"]);
    let controller = controller(&tor);
    with_descriptor(&controller);
    assert_eq!(tor.raw().get_info("exit-policy/reject-private/relay"), "");
    assert_eq!(controller.exit_policy_reject_private().unwrap(), None);
}

#[test]
fn an_allowance_is_accounted_for_by_its_rule() {
    for (rule, left) in [("max", (1 << 30, 1 << 30)), ("sum", (1 << 30, 1 << 30))] {
        let rule = format!("AccountingRule {rule}");
        let tor = relay(&["AccountingMax 1 GB", "AccountingStart day 00:00", &rule]);
        let accounting = controller(&tor).accounting().unwrap();
        let mut raw = tor.raw();
        assert_eq!(accounting.hibernation, HibernationStatus::Awake);
        let interval = accounting.interval.expect("it has an allowance");
        assert_eq!((interval.read, interval.written), (0, 0));
        assert_eq!((interval.read_left, interval.written_left), left, "{rule}");
        assert_eq!(raw.get_info("accounting/bytes-left"), format!("{} {}", left.0, left.1));
        assert!(interval.start <= interval.wake && interval.wake <= interval.end);
        let day = interval.end.duration_since(interval.start).unwrap();
        assert!((23 * 3600..=25 * 3600).contains(&day.as_secs()), "{interval:?}");
        assert!(interval.start <= SystemTime::now() && SystemTime::now() < interval.end);
        assert!(flag(&mut raw, "accounting/enabled"));
    }
}

#[test]
fn a_relay_that_is_about_to_end_says_so() {
    let tor = relay(&["ShutdownWaitLength 30 seconds"]);
    let controller = controller(&tor);
    controller.signal(Signal::Shutdown).unwrap();
    let mut state = None;
    eventually(Duration::from_secs(30), "tor is about to end", || {
        state = controller.accounting().ok().map(|accounting| accounting.hibernation);
        state == Some(HibernationStatus::Exiting)
    });
    assert_eq!(state, Some(HibernationStatus::Exiting));
}

#[test]
fn without_a_consensus_there_is_nothing_of_it() {
    let controller = reader();
    let mut raw = shared().raw();
    assert_eq!(raw.get_info("consensus/valid-after"), "");
    assert_eq!(controller.consensus_lifetime().unwrap(), None);
    let random = controller.shared_random().unwrap();
    assert_eq!((random.current, random.previous), (None, None));
    for flavor in ConsensusFlavor::KNOWN {
        assert_eq!(controller.consensus_document(flavor).unwrap(), None);
    }
    assert_eq!(
        refusal(controller.consensus_document(&"nope".into())),
        "tor refused GETINFO: 552 \"Unrecognized key \
         \\\"dir/status-vote/current/consensus-nope\\\"\""
    );
    assert!(!controller.fetches_server_descriptors().unwrap());
    assert!(controller.fetches_microdescriptors().unwrap());
    assert!(controller.served_descriptors().unwrap().is_empty());
    assert_eq!(controller.own_server_descriptor().unwrap(), None);
    assert_eq!(controller.extra_info([1; 20]).unwrap(), None);
    assert_eq!(controller.descriptor_annotations(Fingerprint::from([1; 20])).unwrap(), None);
}

/// Writes a status as tor does.
fn download_text(status: &DownloadStatus) -> String {
    let delay = status.last_delay_used.unwrap().as_secs();
    format!(
        "n-download-failures {}\nn-download-attempts {}\nschedule {}\nwant-authority {}\n\
         increment-on {}\nbackoff {}\nlast-backoff-position {}\nlast-delay-used {delay}",
        status.failures,
        status.attempts,
        status.schedule,
        status.source,
        status.increment_on,
        status.backoff,
        status.last_backoff_position.unwrap(),
    )
}

#[test]
fn downloads_are_told() {
    let controller = reader();
    let mut raw = shared().raw();
    for flavor in ConsensusFlavor::KNOWN {
        let download = controller.consensus_download(flavor).unwrap();
        let three = [
            ("", &download.current),
            ("/bootstrap", &download.bootstrap),
            ("/running", &download.running),
        ];
        for (phase, status) in three {
            let text = raw.get_info(&format!("downloads/networkstatus/{flavor}{phase}"));
            // The time may be another when asked again.
            assert_eq!(text.split_once('\n').unwrap().1.trim_end(), download_text(status));
            assert_eq!(status.schedule, DownloadSchedule::Consensus);
            assert_eq!(status.backoff, DownloadBackoff::RandomExponential);
            assert!(status.next_attempt_at > SystemTime::UNIX_EPOCH);
        }
        assert_eq!(download.running.increment_on, DownloadIncrement::Failure);
        assert_eq!(download.bootstrap.increment_on, DownloadIncrement::Attempt);
        assert!(DownloadSource::KNOWN.contains(&download.current.source));
    }
    assert_eq!(
        refusal(controller.consensus_download(&"nope".into())),
        "tor refused GETINFO: 551 \"Unknown flavor\""
    );
    let nobody = Fingerprint::from([1; 20]);
    assert!(controller.certificate_downloads().unwrap().is_empty());
    assert_eq!(controller.certificate_download(nobody).unwrap(), None);
    assert_eq!(controller.certificate_signing_keys(nobody).unwrap(), None);
    assert_eq!(controller.certificate_download_for_key(nobody, nobody).unwrap(), None);
    assert_eq!(controller.descriptor_download([1; 20]).unwrap(), None);
    assert!(controller.bridge_downloads().unwrap().is_empty());
    assert_eq!(controller.bridge_download(nobody).unwrap(), None);
}

#[test]
fn the_descriptors_of_bridges_are_downloads() {
    let bridge = "5D028C16CE4A164287E9565F5EAFB67890978463";
    let tor = RealTor::builder()
        .line("UseBridges 1")
        .line(format!("Bridge 192.0.2.1:443 {bridge}"))
        .start();
    let controller = controller(&tor);
    let bridge: Fingerprint = bridge.parse().unwrap();
    assert_eq!(controller.bridge_downloads().unwrap(), [bridge]);
    let status = controller.bridge_download(bridge).unwrap().unwrap();
    assert_eq!(status.schedule, DownloadSchedule::Bridge);
    let text = tor.raw().get_info(&format!("downloads/bridge/{bridge}"));
    assert!(text.ends_with(&download_text(&status)), "{text}");
    assert_eq!(controller.bridge_download(Fingerprint::from([1; 20])).unwrap(), None);
}

#[test]
fn countries_are_told_if_tor_has_data() {
    let tor = RealTor::start();
    let with_data = controller(&tor);
    let data = with_data.geoip_data().unwrap();
    assert_eq!((data.ipv4, data.ipv6), (true, true));
    let country = |address: &str| with_data.country(address.parse().unwrap()).unwrap();
    assert_eq!(country("192.0.2.77").as_deref(), Some("xy"));
    assert_eq!(country("2001:db8::1").as_deref(), Some("yz"));
    assert_eq!((country("127.0.0.1"), country("::1")), (None, None));
    assert_eq!(tor.raw().get_info("ip-to-country/127.0.0.1"), "??");

    let tor = RealTor::builder().line("GeoIPFile /nonexistent").line("GeoIPv6File /nonexistent");
    let tor = tor.start();
    let without = controller(&tor);
    let data = without.geoip_data().unwrap();
    assert_eq!((data.ipv4, data.ipv6), (false, false));
    for address in ["192.0.2.77", "2001:db8::1"] {
        assert_eq!(
            refusal(without.country(address.parse().unwrap())),
            "tor refused GETINFO: 551 \"GeoIP data not loaded\""
        );
    }
}

#[test]
fn a_service_that_is_not_known_has_no_descriptor() {
    let controller = reader();
    let address: OnionAddress =
        "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd".parse().unwrap();
    assert_eq!(controller.hs_client_descriptor(address).unwrap(), None);
    assert_eq!(controller.hs_service_descriptor(address).unwrap(), None);
    let key = format!("hs/client/desc/id/{}", address.service_id());
    assert_eq!(shared().raw().ask(&format!("GETINFO {key}")), ["551 Not found in cache"]);
}
