//! The typed values of `GETINFO`: the keys, and values that the real tor of these tests lacks.

use torcon::Controller;
use torcon::info::MappingOrigin;
use torcon::names::{ConsensusFlavor, Fingerprint, OnionAddress};

use super::connected;

const SERVICE: &str = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd";

fn one() -> Fingerprint {
    Fingerprint::from([0x11; 20])
}

fn two() -> Fingerprint {
    Fingerprint::from([0x22; 20])
}

fn service() -> OnionAddress {
    SERVICE.parse().unwrap()
}

/// Answers each queried key with an empty value.
fn nothing(line: &str) -> String {
    let keys = line.strip_prefix("GETINFO ").expect("only questions are asked").split(' ');
    keys.map(|key| format!("250-{key}=\r\n")).chain(["250 OK\r\n".to_owned()]).collect()
}

/// A method: the result of a value, the queried keys, and their values, one per line, in a shorter
/// form: a value of several lines has `|` between them.
type Case = (fn(&Controller) -> String, &'static str, &'static [&'static str], &'static str);

const ONES: &str = "1111111111111111111111111111111111111111";
const DOWNLOAD: &str = "next-attempt-at 1970-01-01 00:01:00|n-download-failures 1|\
                        n-download-attempts 2|schedule A|want-authority B|increment-on C|\
                        backoff D";
const DOWNLOAD_READ: &str = "2 attempts, 1 failures, A B C D None";

fn download(status: &torcon::info::DownloadStatus) -> String {
    let delay = status.last_delay_used;
    let words = format!(
        "{} {} {} {} {delay:?}",
        status.schedule, status.source, status.increment_on, status.backoff
    );
    format!("{} attempts, {} failures, {words}", status.attempts, status.failures)
}

const CASES: &[Case] = &[
    (
        |c| c.full_version().unwrap().to_string(),
        "version",
        &["0.5.1.2-alpha (git-f1d4ba3)"],
        "0.5.1.2-alpha (git-f1d4ba3)",
    ),
    (
        |c| {
            let process = c.process_info().unwrap();
            format!(
                "{} {:?} {:?} {:?}",
                process.pid, process.uid, process.user, process.descriptor_limit
            )
        },
        "process/pid process/uid process/user process/descriptor-limit",
        &["7", "-1", "", "-1"],
        "7 None None None",
    ),
    (|c| format!("{:?}", c.uptime().unwrap()), "uptime", &["90"], "90s"),
    (
        |c| c.current_time().unwrap().utc_offset.to_string(),
        "current-time/utc current-time/local",
        &["2026-11-23T09:12:15", "2026-11-23T04:12:16"],
        "-300",
    ),
    (
        |c| format!("{:?}", c.traffic().unwrap()),
        "traffic/read traffic/written",
        &["18446744073709551615", "2"],
        "Traffic { read: 18446744073709551615, written: 2 }",
    ),
    (
        |c| c.bw_event_cache().unwrap().iter().map(|event| format!("{event};")).collect(),
        "bw-event-cache",
        &["0,0 26,427 22915,18491"],
        "BW 0 0;BW 26 427;BW 22915 18491;",
    ),
    (
        |c| c.max_mem_in_queues().unwrap().to_string(),
        "limits/max-mem-in-queues",
        &["8589934592"],
        "8589934592",
    ),
    (|c| format!("{:?}", c.is_dormant().unwrap()), "dormant", &["2"], "true"),
    (
        |c| c.is_circuit_established().unwrap().to_string(),
        "status/circuit-established",
        &["1"],
        "true",
    ),
    (|c| c.has_enough_dir_info().unwrap().to_string(), "status/enough-dir-info", &["1"], "true"),
    (|c| c.network_liveness().unwrap().to_string(), "network-liveness", &["up"], "UP"),
    (
        |c| {
            let status = c.version_status().unwrap();
            format!("{}: {:?}", status.current, status.recommended)
        },
        "status/version/current status/version/recommended",
        &["new in series", "0.4.8.10,0.4.9.1-alpha"],
        r#"new in series: [TorVersion("0.4.8.10"), TorVersion("0.4.9.1-alpha")]"#,
    ),
    (
        |c| format!("{:?}", c.valid_features().unwrap()),
        "features/names",
        &["VERBOSE_NAMES OTHER"],
        r#"["VERBOSE_NAMES", "OTHER"]"#,
    ),
    (
        |c| format!("{:?}", c.config_file().unwrap()),
        "config-file",
        &["/a b/\u{e9}=\"c\""],
        "\"/a b/\u{e9}=\\\"c\\\"\"",
    ),
    (
        |c| format!("{:?}", c.config_defaults_file().unwrap()),
        "config-defaults-file",
        &["/usr/share/tor/tor-service-defaults-torrc"],
        "\"/usr/share/tor/tor-service-defaults-torrc\"",
    ),
    (|c| c.config_text().unwrap(), "config-text", &["A 1|B 2"], "A 1\nB 2"),
    (|c| c.can_save_conf().unwrap().to_string(), "config-can-saveconf", &["0"], "false"),
    (
        |c| format!("{:?}", c.config_defaults().unwrap().get("a").unwrap().values()),
        "config/defaults",
        &["A \"x\\\"y\"|A \"\""],
        r#"["x\"y", ""]"#,
    ),
    (
        |c| format!("{:?}", c.address_mappings_from(&MappingOrigin::Cache).unwrap().len()),
        "address-mappings/cache",
        &["a.test 192.0.2.1 \"2026-11-23 10:14:06\"|b.test c.test NEVER"],
        "2",
    ),
    (
        |c| c.fingerprint().unwrap().unwrap().to_string(),
        "fingerprint",
        &["5D028C16CE4A164287E9565F5EAFB67890978463"],
        "5D028C16CE4A164287E9565F5EAFB67890978463",
    ),
    (|c| format!("{:?}", c.external_address().unwrap()), "address", &["::1"], "Some(::1)"),
    (
        |c| format!("{:?}", c.external_ipv4().unwrap()),
        "address/v4",
        &["192.0.2.1"],
        "Some(192.0.2.1)",
    ),
    (
        |c| format!("{:?}", c.external_ipv6().unwrap()),
        "address/v6",
        &["2001:db8::1"],
        "Some(2001:db8::1)",
    ),
    (
        |c| {
            let accounting = c.accounting().unwrap();
            let interval = accounting.interval.unwrap();
            let seconds = interval.end.duration_since(interval.wake).unwrap().as_secs();
            let left = (interval.read_left, interval.written_left);
            let used = (interval.read, interval.written);
            format!("{} {used:?} {left:?} {seconds}", accounting.hibernation)
        },
        "accounting/enabled accounting/hibernating accounting/bytes accounting/bytes-left \
         accounting/interval-start accounting/interval-wake accounting/interval-end",
        &[
            "1",
            "soft",
            "5 7",
            "95 100",
            "2026-11-23 12:00:00",
            "2026-11-23 13:00:00",
            "2026-11-23 14:00:00",
        ],
        "SOFT (5, 7) (95, 100) 3600",
    ),
    (
        |c| format!("{:?}", c.reachability().unwrap()),
        "status/reachability-succeeded/or status/reachability-succeeded/dir",
        &["0", "1"],
        "Reachability { or: false, dir: true }",
    ),
    (
        |c| c.has_accepted_server_descriptor().unwrap().to_string(),
        "status/accepted-server-descriptor",
        &["1"],
        "true",
    ),
    (
        |c| c.has_good_server_descriptor().unwrap().to_string(),
        "status/good-server-descriptor",
        &["1"],
        "true",
    ),
    (
        |c| {
            let (server, extra) = c.fresh_relay_descriptors().unwrap().unwrap();
            format!("{} {extra:?}", server.nickname())
        },
        "status/fresh-relay-descs",
        &["router a 192.0.2.1 443 0 0|extra-info-digest 00|published 2026-11-23 10:14:06"],
        "a None",
    ),
    (
        |c| {
            let counts = c.handshake_counts().unwrap();
            let (ntor, tap) = (counts.ntor, counts.tap);
            format!("{} {} {} {}", ntor.requested, ntor.assigned, tap.requested, tap.assigned)
        },
        "stats/ntor/requested stats/ntor/assigned stats/tap/requested stats/tap/assigned",
        &["4", "3", "2", "1"],
        "4 3 2 1",
    ),
    (
        |c| c.clients_seen().unwrap().countries()[0].name.to_string(),
        "status/clients-seen",
        &["TimeStarted=\"2026-11-23 09:12:15\" CountrySummary=us=16,de=8 IPVersions=v4=16,v6=8"],
        "us",
    ),
    (
        |c| c.exit_policy().unwrap().unwrap().to_string(),
        "exit-policy/full",
        &["accept *:80|reject *:*|reject6 *:*"],
        "accept *4:80,reject *4:*,reject6 *:*",
    ),
    (|c| format!("{:?}", c.exit_policy_ipv4().unwrap()), "exit-policy/ipv4", &[""], "None"),
    (
        |c| c.exit_policy_ipv6().unwrap().unwrap().to_string(),
        "exit-policy/ipv6",
        &["reject6 *:*"],
        "reject6 *:*",
    ),
    (
        |c| c.exit_policy_reject_private().unwrap().unwrap().to_string(),
        "exit-policy/reject-private/relay",
        &["reject 192.0.2.7:*"],
        "reject 192.0.2.7:*",
    ),
    (
        |c| c.default_exit_policy().unwrap().to_string(),
        "exit-policy/default",
        &["reject *:25,accept *:*"],
        "reject *:25,accept *:*",
    ),
    (
        |c| c.default_exit_policy_reject_private().unwrap().to_string(),
        "exit-policy/reject-private/default",
        &["reject 10.0.0.0/8:*"],
        "reject 10.0.0.0/8:*",
    ),
    (
        |c| {
            let lifetime = c.consensus_lifetime().unwrap().unwrap();
            format!("{:?}", lifetime.valid_until.duration_since(lifetime.fresh_until).unwrap())
        },
        "consensus/valid-after consensus/fresh-until consensus/valid-until",
        &["2026-11-23 09:26:00", "2026-11-23 09:26:20", "2026-11-23 09:26:40"],
        "20s",
    ),
    (
        |c| c.consensus(&ConsensusFlavor::Ns).unwrap().unwrap().to_string(),
        "dir/status-vote/current/consensus",
        &["network-status-version 3|vote-status consensus"],
        "network-status-version 3\nvote-status consensus",
    ),
    (
        |c| format!("{:?}", c.consensus(&ConsensusFlavor::Microdesc).unwrap().unwrap()),
        "dir/status-vote/current/consensus-microdesc",
        &["network-status-version 3 microdesc|vote-status consensus"],
        "Consensus(microdesc, 56 bytes)",
    ),
    (
        |c| format!("{:?}", c.shared_random().unwrap().previous.map(|value| value[0])),
        "sr/current sr/previous",
        &["", "fkt6GfVvBeRdbcvPHLjUbZG9Zom6pedSpocK/j66rBE="],
        "Some(126)",
    ),
    (
        |c| c.fetches_server_descriptors().unwrap().to_string(),
        "desc/download-enabled",
        &["1"],
        "true",
    ),
    (|c| c.fetches_microdescriptors().unwrap().to_string(), "md/download-enabled", &["0"], "false"),
    (
        |c| format!("{:?}", c.own_server_descriptor().unwrap()),
        "dir/server/authority",
        &["router a 192.0.2.1 443 0 0"],
        "Some(ServerDescriptor(a 192.0.2.1:443))",
    ),
    (
        |c| c.served_descriptors().unwrap().len().to_string(),
        "dir/server/all",
        &["router a 192.0.2.1 443 0 0|router b 192.0.2.2 443 0 0"],
        "2",
    ),
    (
        |c| c.served_descriptors_of([one(), two()]).unwrap().len().to_string(),
        "dir/server/fp/1111111111111111111111111111111111111111+2222222222222222222222222222222222222222",
        &["router a 192.0.2.1 443 0 0"],
        "1",
    ),
    (
        |c| format!("{:?}", c.server_descriptor_by_digest([0x11; 20]).unwrap()),
        "dir/server/d/1111111111111111111111111111111111111111",
        &["router a 192.0.2.1 443 0 0"],
        "Some(ServerDescriptor(a 192.0.2.1:443))",
    ),
    (
        |c| c.extra_info([0x11; 20]).unwrap().unwrap().nickname().to_string(),
        "extra-info/digest/1111111111111111111111111111111111111111",
        &["extra-info me 5D028C16CE4A164287E9565F5EAFB67890978463"],
        "me",
    ),
    (
        |c| format!("{:?}", c.descriptor_annotations(one()).unwrap().unwrap().source),
        "desc-annotations/id/1111111111111111111111111111111111111111",
        &["@downloaded-at 2026-11-23 09:12:28|@source \"192.0.2.1\""],
        "Some(\"192.0.2.1\")",
    ),
    (
        |c| download(&c.consensus_download(&ConsensusFlavor::Ns).unwrap().running),
        "downloads/networkstatus/ns downloads/networkstatus/ns/bootstrap \
         downloads/networkstatus/ns/running",
        &[DOWNLOAD, DOWNLOAD, DOWNLOAD],
        DOWNLOAD_READ,
    ),
    (
        |c| format!("{:?}", c.certificate_downloads().unwrap()),
        "downloads/cert/fps",
        &[ONES],
        "[Fingerprint(1111111111111111111111111111111111111111)]",
    ),
    (
        |c| download(&c.certificate_download(one()).unwrap().unwrap()),
        "downloads/cert/fp/1111111111111111111111111111111111111111",
        &[DOWNLOAD],
        DOWNLOAD_READ,
    ),
    (
        |c| format!("{:?}", c.certificate_signing_keys(two()).unwrap()),
        "downloads/cert/fp/2222222222222222222222222222222222222222/sks",
        &[ONES],
        "Some([Fingerprint(1111111111111111111111111111111111111111)])",
    ),
    (
        |c| download(&c.certificate_download_for_key(two(), one()).unwrap().unwrap()),
        "downloads/cert/fp/2222222222222222222222222222222222222222/1111111111111111111111111111111111111111",
        &[DOWNLOAD],
        DOWNLOAD_READ,
    ),
    (
        |c| download(&c.descriptor_download([0x11; 20]).unwrap().unwrap()),
        "downloads/desc/1111111111111111111111111111111111111111",
        &[DOWNLOAD],
        DOWNLOAD_READ,
    ),
    (
        |c| format!("{:?}", c.bridge_downloads().unwrap()),
        "downloads/bridge/bridges",
        &[ONES],
        "[Fingerprint(1111111111111111111111111111111111111111)]",
    ),
    (
        |c| download(&c.bridge_download(one()).unwrap().unwrap()),
        "downloads/bridge/1111111111111111111111111111111111111111",
        &[DOWNLOAD],
        DOWNLOAD_READ,
    ),
    (
        |c| format!("{:?}", c.country("2001:db8::1".parse().unwrap()).unwrap()),
        "ip-to-country/2001:db8::1",
        &["de"],
        "Some(CountryCode(de))",
    ),
    (
        |c| format!("{:?}", c.geoip_data().unwrap()),
        "ip-to-country/ipv4-available ip-to-country/ipv6-available",
        &["1", "0"],
        "GeoIpData { ipv4: true, ipv6: false }",
    ),
    (
        |c| c.hs_client_descriptor(service()).unwrap().unwrap().to_string(),
        "hs/client/desc/id/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd",
        &["hs-descriptor 3|descriptor-lifetime 180"],
        "hs-descriptor 3\ndescriptor-lifetime 180",
    ),
    (
        |c| c.hs_service_descriptor(service()).unwrap().unwrap().to_string(),
        "hs/service/desc/id/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd",
        &["hs-descriptor 3|descriptor-lifetime 180"],
        "hs-descriptor 3\ndescriptor-lifetime 180",
    ),
];

#[test]
fn each_method_queries_its_keys_at_once_and_parses_the_values() {
    let (tor, controller) = connected(|script| {
        script.unchecked("values of tors in other places than this one");
        for (_, keys, values, _) in CASES {
            script.expect(&format!("GETINFO {keys}"));
            let mut reply = String::new();
            for (key, value) in keys.split(' ').zip(*values) {
                match value.contains('|') {
                    false => reply += &format!("250-{key}={value}\r\n"),
                    true => {
                        reply += &format!("250+{key}=\r\n{}\r\n.\r\n", value.replace('|', "\r\n"));
                    }
                }
            }
            script.send(reply + "250 OK\r\n");
        }
        script.expect_end();
    });
    for (call, keys, _, expected) in CASES {
        assert_eq!(call(&controller), *expected, "{keys}");
    }
    drop(controller);
    tor.finish();
}

/// The result of each method for an empty value: an empty result, or an error that names the key.
type Empty = (fn(&Controller) -> Result<String, torcon::Error>, &'static str);

const EMPTY: &[Empty] = &[
    (
        |c| c.process_info().map(|_| String::new()),
        "cannot read process/pid: expected a number, got \"\"",
    ),
    (|c| c.uptime().map(|_| String::new()), "cannot read uptime: expected a number, got \"\""),
    (
        |c| c.current_time().map(|_| String::new()),
        "cannot read current-time/utc: expected a time, got \"\"",
    ),
    (
        |c| c.traffic().map(|_| String::new()),
        "cannot read traffic/read: expected a number, got \"\"",
    ),
    (|c| c.is_dormant().map(|_| String::new()), "cannot read dormant: expected 0 or 1, got \"\""),
    (
        |c| c.fingerprint().map(|_| String::new()),
        "cannot read fingerprint: expected 40 hexadecimal digits, got \"\"",
    ),
    (
        |c| c.external_ipv6().map(|_| String::new()),
        "cannot read address/v6: expected an address, got \"\"",
    ),
    (
        |c| c.accounting().map(|_| String::new()),
        "cannot read accounting/enabled: expected 0 or 1, got \"\"",
    ),
    (
        |c| c.fresh_relay_descriptors().map(|_| String::new()),
        "cannot read a server descriptor: expected a line that begins with router, got \"\"",
    ),
    (
        |c| c.default_exit_policy().map(|_| String::new()),
        "cannot read exit-policy/default: expected an exit policy, got \"\"",
    ),
    (
        |c| c.bridge_download(one()).map(|_| String::new()),
        "cannot read downloads/bridge/1111111111111111111111111111111111111111: expected \
         the time of the next attempt, got \"\"",
    ),
    (
        |c| c.hs_client_descriptor(service()).map(|_| String::new()),
        "cannot read the descriptor of an onion service: expected a line hs-descriptor with a \
         version, got \"\"",
    ),
    (|c| c.config_defaults().map(|map| map.len().to_string()), "0"),
    (|c| c.consensus_lifetime().map(|lifetime| format!("{lifetime:?}")), "None"),
    (|c| c.bw_event_cache().map(|cache| cache.len().to_string()), "0"),
    (|c| c.certificate_downloads().map(|list| list.len().to_string()), "0"),
    (|c| c.exit_policy_reject_private().map(|policy| format!("{policy:?}")), "None"),
    (|c| c.own_server_descriptor().map(|descriptor| format!("{descriptor:?}")), "None"),
    (|c| c.extra_info([1; 20]).map(|document| format!("{document:?}")), "None"),
    (|c| c.version_status().map(|status| status.recommended.len().to_string()), "0"),
];

#[test]
fn an_empty_value_is_none_or_an_error_with_its_key() {
    let (tor, controller) = connected(|script| {
        script.unchecked("answers of nothing to every question");
        for _ in EMPTY {
            let line = script.expect_line("a question");
            script.send(nothing(&line));
        }
        script.expect_end();
    });
    for (call, expected) in EMPTY {
        let outcome = call(&controller).unwrap_or_else(|error| error.to_string());
        assert_eq!(outcome, *expected);
    }
    assert!(controller.is_alive());
    drop(controller);
    tor.finish();
}

/// Methods with the refusals that mean that there is no value.
const NONE: &[Empty] = &[
    (|c| c.fingerprint().map(|it| format!("{it:?}")), "551 Not running in server mode"),
    (|c| c.external_address().map(|it| format!("{it:?}")), "551 Address unknown"),
    (|c| c.exit_policy().map(|it| format!("{it:?}")), "552 Not running in server mode"),
    (
        |c| c.fresh_relay_descriptors().map(|it| format!("{it:?}")),
        "551 Only relays have descriptors",
    ),
    (
        |c| c.consensus(&ConsensusFlavor::Ns).map(|it| format!("{it:?}")),
        "551 Could not open cached consensus. Make sure FetchUselessDescriptors is set to 1.",
    ),
    (|c| c.own_server_descriptor().map(|it| format!("{it:?}")), "551 Servers unavailable"),
    (|c| c.extra_info([1; 20]).map(|it| format!("{it:?}")), "552 Unrecognized key \"x\""),
    (|c| c.descriptor_annotations(one()).map(|it| format!("{it:?}")), "552 Unrecognized key \"x\""),
    (
        |c| c.certificate_download(one()).map(|it| format!("{it:?}")),
        "551 Failed to get download status for this authority identity digest",
    ),
    (
        |c| c.certificate_download_for_key(one(), two()).map(|it| format!("{it:?}")),
        "551 Failed to get download status for this identity/signing key digest pair",
    ),
    (
        |c| c.certificate_signing_keys(one()).map(|it| format!("{it:?}")),
        "551 Failed to get list of signing key digests for this authority identity digest",
    ),
    (
        |c| c.descriptor_download([1; 20]).map(|it| format!("{it:?}")),
        "551 No such descriptor digest found",
    ),
    (
        |c| c.bridge_download(one()).map(|it| format!("{it:?}")),
        "551 No such bridge identity digest found",
    ),
    (|c| c.hs_client_descriptor(service()).map(|it| format!("{it:?}")), "551 Not found in cache"),
    (|c| c.hs_service_descriptor(service()).map(|it| format!("{it:?}")), "551 Not found in cache"),
];

#[test]
fn a_refusal_for_lack_of_a_value_is_none_and_every_other_an_error() {
    let (tor, controller) = connected(|script| {
        for (_, refusal) in NONE {
            let question = script.expect_line("a question");
            // tor names the key.
            let key = question.trim_start_matches("GETINFO ");
            script.send(format!("{}\r\n", refusal.replace("\"x\"", &format!("{key:?}"))));
            script.expect(&question);
            script.send("551 Internal error\r\n");
        }
        script.expect_end();
    });
    for (call, refusal) in NONE {
        assert_eq!(call(&controller).unwrap(), "None", "{refusal}");
        let error = call(&controller).unwrap_err().to_string();
        assert_eq!(error, "tor refused GETINFO: 551 \"Internal error\"", "{refusal}");
    }
    drop(controller);
    tor.finish();
}
