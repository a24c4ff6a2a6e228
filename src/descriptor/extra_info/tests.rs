//! A document with every line, and real ones of a relay and of a bridge, which are those of Stem's
//! tests.

use std::time::{Duration, SystemTime};

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::sample;

use super::lines::RULES;
use super::{ExtraInfo, StatisticMap};
use crate::descriptor::item::Items;
use crate::descriptor::{BandwidthHistory, MeasurementInterval, NoisyCount};
use crate::names::{CountryCode, DirDownload, DirResponse, IpVersion, PaddingCount};

/// A document with every line that a version of tor or `CollecTor` writes.
const EVERY_LINE: &str = include_str!("tests/every_line.txt");

const RELAY: &str = include_str!("tests/relay.txt");

const BRIDGE: &str = include_str!("tests/bridge.txt");

/// A document with the lines that tor always writes, the first two.
const SHORT: &str = "extra-info me 5D028C16CE4A164287E9565F5EAFB67890978463\n\
    published 2026-11-23 20:27:49\n";

/// Whether a document has a valid line with this keyword.
type HasValue = fn(&ExtraInfo) -> bool;

macro_rules! methods {
    ($($keyword:literal $method:ident,)*) => {
        /// Every keyword that is read by a method, with the method.
        const METHODS: &[(&str, HasValue)] =
            &[$( ($keyword, |info| info.$method().is_some()), )*];
    };
}

methods! {
    "published" published,
    "identity-ed25519" ed25519_certificate,
    "write-history" write_history,
    "read-history" read_history,
    "ipv6-write-history" ipv6_write_history,
    "ipv6-read-history" ipv6_read_history,
    "dirreq-write-history" dirreq_write_history,
    "dirreq-read-history" dirreq_read_history,
    "geoip-db-digest" geoip_db_digest,
    "geoip6-db-digest" geoip6_db_digest,
    "geoip-start-time" geoip_start_time,
    "geoip-client-origins" geoip_client_origins,
    "bridge-stats-end" bridge_stats_interval,
    "bridge-ips" bridge_ips,
    "bridge-ip-versions" bridge_ip_versions,
    "bridge-ip-transports" bridge_ip_transports,
    "dirreq-stats-end" dirreq_stats_interval,
    "dirreq-v2-ips" dirreq_v2_ips,
    "dirreq-v3-ips" dirreq_v3_ips,
    "dirreq-v2-reqs" dirreq_v2_reqs,
    "dirreq-v3-reqs" dirreq_v3_reqs,
    "dirreq-v2-share" dirreq_v2_share,
    "dirreq-v3-share" dirreq_v3_share,
    "dirreq-v2-resp" dirreq_v2_resp,
    "dirreq-v3-resp" dirreq_v3_resp,
    "dirreq-v2-direct-dl" dirreq_v2_direct_dl,
    "dirreq-v3-direct-dl" dirreq_v3_direct_dl,
    "dirreq-v2-tunneled-dl" dirreq_v2_tunneled_dl,
    "dirreq-v3-tunneled-dl" dirreq_v3_tunneled_dl,
    "entry-stats-end" entry_stats_interval,
    "entry-ips" entry_ips,
    "cell-stats-end" cell_stats_interval,
    "cell-processed-cells" cell_processed_cells,
    "cell-queued-cells" cell_queued_cells,
    "cell-time-in-queue" cell_time_in_queue,
    "cell-circuits-per-decile" cell_circuits_per_decile,
    "conn-bi-direct" conn_bi_direct,
    "ipv6-conn-bi-direct" ipv6_conn_bi_direct,
    "exit-stats-end" exit_stats_interval,
    "exit-kibibytes-written" exit_kibibytes_written,
    "exit-kibibytes-read" exit_kibibytes_read,
    "exit-streams-opened" exit_streams_opened,
    "hidserv-stats-end" hidserv_stats_interval,
    "hidserv-rend-relayed-cells" hidserv_rend_relayed_cells,
    "hidserv-dir-onions-seen" hidserv_dir_onions_seen,
    "hidserv-v3-stats-end" hidserv_v3_stats_interval,
    "hidserv-rend-v3-relayed-cells" hidserv_rend_v3_relayed_cells,
    "hidserv-dir-v3-onions-seen" hidserv_dir_v3_onions_seen,
    "padding-counts" padding_counts,
    "overload-ratelimits" overload_ratelimits,
    "overload-fd-exhausted" overload_fd_exhausted,
    "overload-general" overload_general,
    "master-key-ed25519" master_key_ed25519,
    "router-sig-ed25519" ed25519_signature,
    "router-signature" signature,
    "router-digest" router_digest,
    "router-digest-sha256" router_digest_sha256,
}

/// Returns the seconds from a time on to 2026-11-23 20:00:00.
fn ago(time: SystemTime) -> u64 {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_464_000);
    then.duration_since(time).unwrap().as_secs()
}

fn country(code: &str) -> CountryCode {
    code.parse().unwrap()
}

#[test]
fn every_line_has_a_method() {
    let info = ExtraInfo::parse(EVERY_LINE).unwrap();
    info.check().unwrap();
    assert_eq!(info.unrecognized().count(), 0);
    for (keyword, has_value) in METHODS {
        let lines = info.items().filter(|item| item.keyword() == *keyword).count();
        assert_eq!((lines, has_value(&info)), (1, true), "{keyword}");
    }
    // The others are extra-info and transport.
    assert_eq!(METHODS.len() + 2, RULES.len());
    assert_eq!(METHODS.len() + 2, info.items().count() - 2);
    let empty = ExtraInfo::parse(SHORT.lines().next().unwrap()).unwrap();
    assert!(METHODS.iter().all(|(_, has_value)| !has_value(&empty)));
    assert_eq!(empty.transports().count(), 0);
}

#[test]
fn histories_and_intervals_are_those_of_their_lines() {
    let info = ExtraInfo::parse(EVERY_LINE).unwrap();
    let day = Duration::from_secs(86400);
    let read = |history: Option<BandwidthHistory>| {
        let history = history.unwrap();
        assert_eq!(history.interval, day);
        let past = history.end - Duration::from_secs(10);
        (10 - ago(past), history.bytes)
    };
    assert_eq!(read(info.write_history()), (1, vec![1024, 2048]));
    assert_eq!(read(info.read_history()), (2, vec![1025, 2049]));
    assert_eq!(read(info.ipv6_write_history()), (3, vec![1026]));
    assert_eq!(read(info.ipv6_read_history()), (4, vec![1027]));
    assert_eq!(read(info.dirreq_write_history()), (5, vec![1028]));
    assert_eq!(read(info.dirreq_read_history()), (6, vec![1029]));
    let read = |interval: Option<MeasurementInterval>| {
        let interval = interval.unwrap();
        assert_eq!((interval.length, interval.start() + day), (day, interval.end));
        3600 - ago(interval.end)
    };
    assert_eq!(read(info.bridge_stats_interval()), 1);
    assert_eq!(read(info.dirreq_stats_interval()), 2);
    assert_eq!(read(info.entry_stats_interval()), 3);
    assert_eq!(read(info.cell_stats_interval()), 4);
    assert_eq!(read(info.exit_stats_interval()), 5);
    assert_eq!(read(info.conn_bi_direct().map(|directions| directions.interval)), 6);
    assert_eq!(read(info.ipv6_conn_bi_direct().map(|directions| directions.interval)), 7);
    assert_eq!(read(info.hidserv_stats_interval()), 8);
    assert_eq!(read(info.hidserv_v3_stats_interval()), 9);
    assert_eq!(read(info.padding_counts().map(|padding| padding.interval)), 10);
    assert_eq!(ago(info.overload_fd_exhausted().unwrap()), 27 * 3600);
    assert_eq!(ago(info.overload_general().unwrap()), 28 * 3600);
    let start = info.geoip_start_time().unwrap();
    assert_eq!(start, SystemTime::UNIX_EPOCH + Duration::from_secs(1_259_951_883));
}

#[test]
fn maps_are_those_of_their_lines() {
    fn entries<K: Clone>(map: Option<StatisticMap<K>>) -> Vec<(K, u64)> {
        let map = map.unwrap();
        assert_eq!(map.total(), map.into_iter().map(|(_, number)| number).sum::<u64>());
        map.entries().to_vec()
    }

    let info = ExtraInfo::parse(EVERY_LINE).unwrap();
    let (de, us) = (Some(country("de")), Some(country("us")));
    assert_eq!(entries(info.geoip_client_origins()), [(de, 16), (us, 8)]);
    assert_eq!(entries(info.bridge_ips()), [(Some(country("ir")), 24), (None, 8)]);
    assert_eq!(entries(info.bridge_ip_versions()), [(IpVersion::V4, 24), (IpVersion::V6, 8)]);
    let transports = info.bridge_ip_transports().unwrap();
    assert_eq!((transports.get("<OR>"), transports.get("fte")), (Some(16), None));
    assert_eq!(entries(Some(transports)).len(), 3);
    assert_eq!(entries(info.dirreq_v2_ips()), [(de, 8)]);
    assert_eq!(entries(info.dirreq_v3_ips()), [(de, 16), (Some(country("A1")), 8)]);
    assert_eq!(entries(info.dirreq_v2_reqs()), [(de, 24)]);
    assert_eq!(entries(info.dirreq_v3_reqs()), [(us, 40), (de, 32)]);
    assert_eq!(entries(info.entry_ips()), [(de, 64)]);
    assert_eq!(info.dirreq_v2_resp().unwrap().get(&DirResponse::NotFound), Some(984));
    assert_eq!(info.dirreq_v2_resp().unwrap().get(&DirResponse::NotEnoughSigs), None);
    let responses = entries(info.dirreq_v3_resp());
    let known = DirResponse::KNOWN.iter().cloned().zip([16, 1, 2, 3, 4, 5]);
    assert_eq!(responses, known.chain([("teapot".into(), 6)]).collect::<Vec<_>>());
    let downloads = |map: Option<StatisticMap<DirDownload>>| {
        entries(map).into_iter().map(|(_, number)| number).collect::<Vec<_>>()
    };
    assert_eq!(downloads(info.dirreq_v2_direct_dl()), [4, 0, 8]);
    assert_eq!(downloads(info.dirreq_v3_direct_dl()), [0, 4, 0]);
    assert_eq!(downloads(info.dirreq_v2_tunneled_dl()), [12, 0, 0]);
    let keys: Vec<_> =
        entries(info.dirreq_v3_tunneled_dl()).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys[..16], *DirDownload::KNOWN);
    assert_eq!(keys[16..], ["later".into()]);
    let tunneled = info.dirreq_v3_tunneled_dl().unwrap();
    assert_eq!(tunneled.get(&DirDownload::Median), Some(111_455));
    assert_eq!(tunneled.get(&"later".into()), Some(1));
    let ports = entries(info.exit_kibibytes_written());
    assert_eq!(ports, [(Some(80), 1), (Some(443), 100), (None, 0)]);
    assert_eq!(entries(info.exit_kibibytes_read()), [(Some(80), 2), (None, 20)]);
    assert_eq!(entries(info.exit_streams_opened()), [(Some(443), 4), (None, 12)]);
    let padding = entries(info.padding_counts().map(|padding| padding.counts));
    let keys: Vec<_> = padding.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, PaddingCount::KNOWN);
    assert_eq!(padding[11], (PaddingCount::MaxChanpadTimers, 11));
}

#[test]
fn the_other_values_are_those_of_their_lines() {
    let info = ExtraInfo::parse(EVERY_LINE).unwrap();
    assert_eq!((info.dirreq_v2_share(), info.dirreq_v3_share()), (Some(0.0032), Some(1.0)));
    let cells = info.cell_processed_cells().unwrap();
    assert_eq!((cells.len(), cells[9]), (10, 20.0));
    assert_eq!(info.cell_queued_cells().unwrap(), [2.75, 2.75, -0.01, 0.0]);
    assert_eq!(info.cell_time_in_queue().unwrap(), [3.0, 3.0, 1.0]);
    assert_eq!(info.cell_circuits_per_decile(), Some(2));
    let of = |connections: super::ConnectionDirections| {
        [connections.below, connections.read, connections.write, connections.both]
    };
    assert_eq!(of(info.conn_bi_direct().unwrap()), [12, 34, 56, 78]);
    assert_eq!(of(info.ipv6_conn_bi_direct().unwrap()), [21, 43, 65, 87]);
    let noisy = |count: Option<NoisyCount>| {
        let count = count.unwrap();
        (count.value, count.delta_f.unwrap(), count.epsilon.unwrap(), count.bin_size.unwrap())
    };
    assert_eq!(noisy(info.hidserv_rend_relayed_cells()), (48_754_891, 2048.0, 0.3, 1024));
    assert_eq!(noisy(info.hidserv_dir_onions_seen()), (-43, 8.0, 0.3, 8));
    assert_eq!(noisy(info.hidserv_rend_v3_relayed_cells()), (-7405, 2048.0, 0.3, 1024));
    assert_eq!(noisy(info.hidserv_dir_v3_onions_seen()), (9, 8.0, 0.3, 8));
    let overload = info.overload_ratelimits().unwrap();
    assert_eq!((ago(overload.time), overload.rate, overload.burst), (7200, 1 << 30, 1 << 31));
    assert_eq!((overload.read_count, overload.write_count), (3, 5));
    let transports: Vec<_> = info.transports().collect();
    assert_eq!(transports[0].address, "192.0.2.7:443".parse().ok());
    assert_eq!(transports[0].arguments, ["iat-mode=0,cert=AbC/+"]);
    assert_eq!(transports[1].address, "[2001:db8::7]:8443".parse().ok());
    assert!(transports[1].arguments.is_empty());
    assert_eq!((transports[2].name.as_str(), transports[2].address), ("snowflake", None));
    assert_eq!(info.geoip_db_digest().unwrap()[..2], [0x68, 0x82]);
    assert_eq!(info.geoip6_db_digest().unwrap()[..2], [0xf0, 0x63]);
    assert_eq!(info.master_key_ed25519().unwrap()[..2], [0x56, 0x28]);
    assert_eq!(info.router_digest().unwrap()[..2], [0x3d, 0xbe]);
    assert_eq!(info.router_digest_sha256().unwrap()[..2], [0xec, 0x34]);
    assert_eq!(info.ed25519_signature().unwrap()[..2], [0x83, 0xa6]);
    assert!(info.signature().unwrap().contains("R7kNaIWZrg"));
    let certificate = info.ed25519_certificate().unwrap();
    assert!(certificate.to_pem().contains("AQQABhz0AQF"));
    assert_eq!(certificate.signing_key().unwrap()[..2], [0x45, 0x03]);
}

#[test]
fn a_document_is_read_and_keeps_every_line() {
    for (text, nickname, annotation) in [
        (RELAY, "silverfoxden", "@type extra-info 1.0"),
        (BRIDGE, "Unnamed", "@type bridge-extra-info 1.3"),
    ] {
        let info = ExtraInfo::parse(text).unwrap();
        info.check().unwrap();
        assert_eq!(info.nickname().as_str(), nickname);
        assert_eq!(info.unrecognized().count(), 0);
        assert_eq!(info.annotations().next().unwrap().to_string(), annotation);
        assert_eq!(info.to_string(), text);
        assert_eq!(info.detached(), info);
    }
    let relay = ExtraInfo::parse(RELAY).unwrap();
    assert_eq!(relay.dirreq_v3_ips().unwrap().entries(), [], "the line is empty");
    assert_eq!(relay.bridge_ips(), None);
    assert_eq!(
        format!("{relay:?}"),
        "ExtraInfo(silverfoxden 4970B1DC3DBC8D82D7F1E43FF44B28DBF4765A4E)"
    );
    let bridge = ExtraInfo::parse(BRIDGE).unwrap();
    let transports: Vec<_> = bridge.transports().map(|transport| transport.name).collect();
    assert_eq!(transports, ["scramblesuit", "obfs3", "obfs4"]);
    assert_eq!((bridge.signature(), bridge.router_digest().is_some()), (None, true));
}

#[test]
fn every_line_can_have_more_arguments() {
    // A transport without an address is the exception.
    let text = EVERY_LINE.lines().map(|line| match line {
        line if line.contains(' ')
            && !line.starts_with("-----")
            && line != "transport snowflake" =>
        {
            format!("{line} more=1\n")
        }
        line => format!("{line}\n"),
    });
    let info = ExtraInfo::parse(text.collect::<String>()).unwrap();
    info.check().unwrap();
    assert!(METHODS.iter().all(|(_, has_value)| has_value(&info)));
    assert_eq!(info.published(), ExtraInfo::parse(EVERY_LINE).unwrap().published());
}

#[test]
fn an_invalid_first_line_is_an_error() {
    for (text, expected) in [
        ("router me", "a line that begins with extra-info"),
        ("", "a line that begins with extra-info"),
        ("extra-info me!", "a nickname"),
        ("extra-info me 5D02", "a fingerprint"),
    ] {
        let error = ExtraInfo::parse(text).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("cannot read an extra-info document: expected {expected}, got \"{text}\"")
        );
    }
}

/// Lines with a syntax error.
const INVALID: &[&str] = &[
    "write-history 2026-11-23 20:00:00 (900 s) 1,x",
    "geoip-db-digest 6882B8663F74C23E26E3C2274C24CAB2E82D67",
    "geoip6-db-digest 6882B8663F74C23E26E3C2274C24CAB2E82D67AG",
    "geoip-start-time 2026-11-23",
    "bridge-stats-end 2026-11-23 20:00:00 (900s)",
    "bridge-ips de=8,us",
    "bridge-ips de=8,usa=8",
    "bridge-ips de=8,=8",
    "bridge-ips de=8, us=8",
    "bridge-ips de=-8",
    "bridge-ips ,",
    "bridge-ip-versions v4",
    "bridge-ip-transports =8",
    // Of a relay in 2016, whose memory was damaged.
    "dirreq-v3-reqs S\u{fd}=4026597208,us=8",
    "dirreq-v3-share 100",
    "dirreq-v3-share -5%",
    "dirreq-v3-share .%",
    "dirreq-v3-share %",
    "dirreq-v3-resp ok:4",
    "dirreq-v3-direct-dl complete=4.timeout=3",
    "cell-queued-cells 1,,2",
    "cell-queued-cells inf",
    "cell-queued-cells NaN",
    "cell-queued-cells 1e5",
    "cell-queued-cells 1.2.3",
    "cell-circuits-per-decile -5",
    "cell-circuits-per-decile",
    "conn-bi-direct 2026-11-23 20:00:00 (900 s) 1,2,3",
    "conn-bi-direct 2026-11-23 20:00:00 (900 s) 1,2,3,4,5",
    "exit-streams-opened 80000=1",
    "exit-streams-opened all=1",
    "hidserv-dir-onions-seen",
    "hidserv-dir-onions-seen --1",
    "hidserv-dir-onions-seen +1",
    "hidserv-dir-onions-seen 1 key",
    "hidserv-dir-onions-seen 1 epsilon=x",
    "padding-counts 2026-11-23 20:00:00 (900 s) bin-size",
    "padding-counts 2026-11-23 20:00:00 (900 s) bin-size=",
    "overload-ratelimits 1 2026-11-23 20:00:00 1 2 3",
    "overload-ratelimits 1 2026-11-23 20:00:00 1 2 3 x",
    "overload-fd-exhausted 2026-11-23 20:00:00",
    "overload-general 1 2026-11-23",
    "transport",
    "transport obfs4 192.0.2.7",
    "master-key-ed25519 VigmhxML9uw8",
    "router-sig-ed25519 AAAA",
    "router-digest 00",
    "router-digest-sha256",
    "identity-ed25519",
    "router-signature\n-----BEGIN MESSAGE-----\nAAAA\n-----END MESSAGE-----",
];

#[test]
fn a_line_with_a_syntax_error_has_no_value_and_fails_the_check() {
    for line in INVALID {
        let info = ExtraInfo::parse(format!("{SHORT}{line}\n")).unwrap();
        let keyword = line.split_whitespace().next().unwrap();
        let method = METHODS.iter().find(|(name, _)| *name == keyword);
        assert!(!method.is_some_and(|(_, has_value)| has_value(&info)), "{line}");
        assert_eq!(info.transports().count(), 0);
        let error = info.check().unwrap_err();
        assert_eq!(error.line(), Some(3), "{line}");
        assert!(error.expected().starts_with(keyword), "{error}");
    }
}

#[test]
fn a_missing_or_repeated_line_fails_the_check() {
    let error = |text: &str| ExtraInfo::parse(text).unwrap().check().unwrap_err();
    let unsigned = error(SHORT);
    assert_eq!(unsigned.expected(), "router-signature and a signature in base64");
    let first = SHORT.lines().next().unwrap();
    assert_eq!(error(first).expected(), "published YYYY-MM-DD HH:MM:SS");
    let twice =
        error(&RELAY.replace("write-history", "published 2026-11-23 20:27:49\nwrite-history"));
    assert_eq!((twice.expected(), twice.line()), ("one line with this keyword", Some(10)));
    assert_eq!(
        error(&format!("{SHORT}bridge-ips de=x\n")).to_string(),
        "cannot read an extra-info document: line 3: expected bridge-ips COUNTRY=NUMBER,.., got \
         \"bridge-ips de=x\""
    );
}

#[test]
fn the_certificate_and_the_signatures_are_complete_and_in_the_places_that_tor_accepts() {
    let signature = RELAY.lines().find(|line| line.starts_with("router-sig-ed25519")).unwrap();
    let certificate = RELAY.find("identity-ed25519").unwrap()..RELAY.find("published").unwrap();
    let certificate = RELAY.get(certificate).unwrap();
    let last = RELAY.get(RELAY.find("router-signature").unwrap()..).unwrap();
    // An `ED25519 CERT` of a type that is not 4.
    let other_type = certificate.replace("AQQAB", "AQgAB");
    for (from, to, line, expected) in [
        (&*format!("{signature}\n"), "", None, "router-sig-ed25519 SIGNATURE in base64"),
        (certificate, "", None, "identity-ed25519 and an object"),
        (certificate, &other_type, Some(3), "identity-ed25519 and an object"),
        (certificate, &format!("later\n{certificate}"), Some(4), "this line behind the first"),
        (signature, &format!("{signature}\nlater\nmore"), Some(22), "the end of the document"),
        (last, &format!("{last}later\n"), Some(27), "the end of the document"),
        (
            last,
            "router-signature\n-----BEGIN SIGNATURE-----\n-----END SIGNATURE-----\n",
            Some(21),
            "router-signature and a signature",
        ),
    ] {
        let text = RELAY.replacen(from, to, 1);
        assert_ne!(text, RELAY, "{from}");
        let error = ExtraInfo::parse(text).unwrap().check().unwrap_err();
        assert_eq!(error.line(), line, "{error}");
        assert!(error.expected().starts_with(expected), "{error}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_document_is_serialized_as_a_map_of_its_values() {
    let info = ExtraInfo::parse(EVERY_LINE).unwrap();
    let json = serde_json::to_value(&info).unwrap();
    let values = json.as_object().unwrap();
    assert!(values.values().all(|value| !value.is_null()));
    // The values of the lines, one of which has two; two digests, the annotations, the unknown lines.
    assert_eq!(values.len(), RULES.len() + 1 + 4);
    let text = |key: &str| values[key].to_string();
    assert_eq!(text("bridge_ips"), r#"{"??":8,"ir":24}"#);
    assert_eq!(text("exit_streams_opened"), r#"{"443":4,"other":12}"#);
    assert_eq!(text("bridge_ip_transports"), r#"{"<??>":8,"<OR>":16,"obfs4":8}"#);
    assert_eq!(text("dirreq_v2_direct_dl"), r#"{"complete":4,"running":8,"timeout":0}"#);
    assert_eq!(text("bridge_ip_versions"), r#"{"v4":24,"v6":8}"#);
}

/// Calls every method, and checks that they and the check agree.
fn read_everything(text: &[u8]) {
    let Ok(info) = ExtraInfo::parse(text) else { return };
    let wrong = info.check().err();
    for (keyword, has_value) in METHODS {
        let has_line = Items::new(text).any(|item| item.is(keyword.as_bytes()));
        let has_value = has_value(&info);
        assert!(has_line || !has_value, "{keyword}");
        assert!(wrong.is_some() || has_line == has_value, "{keyword}");
    }
    let transports = info.items().filter(|item| item.keyword() == "transport").count();
    assert!(info.transports().count() == transports || wrong.is_some());
    assert!(info.unrecognized().count() <= info.items().count());
    for history in [info.write_history(), info.read_history()].into_iter().flatten() {
        assert_eq!(history.samples().count(), history.bytes.len());
    }
}

/// One line of [`EVERY_LINE`] with its object.
fn item() -> impl Strategy<Value = String> {
    let items: Vec<String> =
        Items::new(EVERY_LINE.as_bytes()).skip(1).map(|item| item.to_string()).collect();
    sample::select(items)
}

fn changes() -> impl Strategy<Value = Vec<(sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), sample::select(&b"\n\r \t-=,.%()0189sx:?"[..])];
    proptest::collection::vec((any::<sample::Index>(), byte), 0..5)
}

fn changed(text: &str, changes: Vec<(sample::Index, u8)>) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, byte) in changes {
        let place = place.index(bytes.len());
        bytes[place] = byte;
    }
    bytes
}

proptest! {
    #[test]
    fn no_bytes_panic(text: Vec<u8>) {
        read_everything(&text);
        read_everything(&[SHORT.as_bytes(), &text[..]].concat());
    }

    #[test]
    fn no_change_panics_and_methods_agree_with_the_check(
        text in sample::select(&[EVERY_LINE, RELAY, BRIDGE][..]),
        changes in changes(),
        cut: sample::Index,
    ) {
        let mut text = changed(text, changes);
        read_everything(&text);
        text.truncate(cut.index(text.len()) + 1);
        read_everything(&text);
    }

    #[test]
    fn the_check_names_a_changed_line_exactly_if_its_method_has_no_value(
        item in item(),
        changes in changes(),
    ) {
        let line = changed(&item, changes);
        let text = [SHORT.as_bytes(), &line, b"\n"].concat();
        read_everything(&text);
        let mut items = Items::new(&text).skip(2);
        let (Some(item), None) = (items.next(), items.next()) else { return Ok(()) };
        let Some((_, has_value)) = METHODS.iter().find(|(name, _)| item.is(name.as_bytes())) else {
            return Ok(());
        };
        let info = ExtraInfo::parse(text.clone()).unwrap();
        // They are repeated, or not in their place.
        if item.is(b"published") || item.is(b"identity-ed25519") {
            return Ok(());
        }
        let wrong = info.check().err().and_then(|error| error.line());
        assert_eq!(has_value(&info), wrong.is_none(), "{:?}", info.to_string());
    }
}

#[test]
fn a_document_that_is_cut_at_any_line_is_read_and_fails_the_check() {
    for text in [EVERY_LINE, RELAY, BRIDGE] {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for end in 1..lines.len() {
            let cut = lines[..end].concat();
            read_everything(cut.as_bytes());
            let is_valid = ExtraInfo::parse(cut).is_ok_and(|info| info.check().is_ok());
            // The digests of the document with every line replace its RSA signature.
            let is_whole = text == EVERY_LINE && lines[end] == "router-signature\n";
            assert!(!is_valid || is_whole, "{:?}", lines[end]);
        }
    }
}
