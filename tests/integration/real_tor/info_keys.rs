//! Every `GETINFO` key of tor has a method, or a reason for having none.

use std::collections::BTreeSet;

use super::{reader, refusal};
use crate::support::real_tor::shared;
use crate::support::source::library_sources;

/// Why a key has no method.
const PATTERN: &str = "- a pattern, whose keys are listed beside it";

/// Every key or pattern of keys that tor names, with the methods that query it, or why there is
/// none.
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
    ("dir/status-vote/current/consensus", "consensus"),
    ("dir/status-vote/current/consensus-microdesc", "consensus"),
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
