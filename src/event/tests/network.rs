//! Circuits, guards, addresses and transports.

use std::time::Duration;

use super::{parse, text, time};
use crate::event::{Decimal, Event, HsPow, MappedAddress};
use crate::names::{
    BuildFlag, BuildTimeoutAction, CircMinorChange, CircuitPurpose, GuardStatus, GuardType,
    HsState, NetworkLiveness, PtConnect, PtSeverity, TransportType,
};

#[test]
fn circ_minor_has_every_field() {
    // Recorded.
    let path = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r,\
                $2D3ECBAD4242EB98268B56C08AF775EA5DC12598~test011r,\
                $E956231F61AF874E990D1DFEB6CCE7BB26019559~test003ba";
    let line = format!(
        "CIRC_MINOR 12 CANNIBALIZED {path} BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY,NEED_UPTIME \
         PURPOSE=HS_SERVICE_HSDIR HS_STATE=HSSI_CONNECTING \
         TIME_CREATED=2026-11-23T09:29:47.398972 OLD_PURPOSE=HS_VANGUARDS \
         OLD_TIME_CREATED=2026-11-23T09:29:47.399169"
    );
    let minor = parse_as!(CircMinor, &line);
    assert_eq!((minor.id(), minor.change()), (12.into(), CircMinorChange::Cannibalized));
    let relays: Vec<_> = minor.path().iter().map(ToString::to_string).collect();
    assert_eq!(relays.join(","), path);
    assert_eq!(
        minor.build_flags(),
        [BuildFlag::IsInternal, BuildFlag::NeedCapacity, BuildFlag::NeedUptime]
    );
    assert_eq!(minor.purpose(), Some(CircuitPurpose::HsServiceHsdir));
    assert_eq!(minor.hs_state(), Some(HsState::ServiceIntroConnecting));
    assert_eq!(minor.time_created(), Some(time(1_795_426_187, 398_972)));
    assert_eq!(minor.old_purpose(), Some(CircuitPurpose::HsVanguards));
    assert_eq!(minor.old_hs_state(), None);
    assert_eq!(minor.old_time_created(), Some(time(1_795_426_187, 399_169)));
    assert_eq!((minor.extra().count(), minor.text()), (0, &text(&line)));
}

#[test]
fn circ_minor_has_what_belongs_to_onion_services_and_to_pairs() {
    // Made of recorded parts that tor does not send together, and of HS_POW and CONFLUX_RTT in
    // the form that CIRC has.
    let minor = parse_as!(
        CircMinor,
        "CIRC_MINOR 21 PURPOSE_CHANGED PURPOSE=HS_CLIENT_REND HS_STATE=HSCR_JOINED \
         REND_QUERY=po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd \
         SOCKS_USERNAME=\"us er\\\"q\\\\\" SOCKS_PASSWORD=\"p\\303\\251\\001 w\" HS_POW=v1,500 \
         CONFLUX_ID=498E0DCE2E604D8FA1BA6ACD644A43F0 CONFLUX_RTT=125165 \
         OLD_PURPOSE=CONFLUX_UNLINKED OLD_HS_STATE=HSCR_ESTABLISHED_WAITING NEW=1"
    );
    assert_eq!((minor.change(), minor.path().len()), (CircMinorChange::PurposeChanged, 0));
    assert_eq!(minor.hs_state(), Some(HsState::ClientRendJoined));
    let onion = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
    assert_eq!(minor.rend_query(), Some(text(onion)));
    assert_eq!(minor.socks_username(), Some(text("us er\"q\\")));
    assert_eq!(minor.socks_password(), Some(text("p\u{e9}\u{1} w")));
    assert_eq!(minor.hs_pow(), Some(HsPow { scheme: text("v1"), effort: 500 }));
    assert_eq!(minor.conflux_id(), Some(text("498E0DCE2E604D8FA1BA6ACD644A43F0")));
    assert_eq!(minor.conflux_rtt(), Some(Duration::from_micros(125_165)));
    assert_eq!(minor.old_purpose(), Some(CircuitPurpose::ConfluxUnlinked));
    assert_eq!(minor.old_hs_state(), Some(HsState::ClientRendWaiting));
    assert_eq!(minor.extra().map(|field| field.key).collect::<Vec<_>>(), ["NEW"]);
    let unknown = parse_as!(CircMinor, "CIRC_MINOR 1 SHRUNK a,b NEW=1");
    assert_eq!((unknown.change(), unknown.path().len()), ("SHRUNK".into(), 2));
    assert_eq!(unknown.extra().count(), 1);
}

#[test]
fn addrmap_of_an_answer_has_every_field() {
    // Recorded.
    let map = parse_as!(
        AddrMap,
        "ADDRMAP 127.0.0.1 127.0.0.1 \"2026-11-23 09:27:58\" EXPIRES=\"2026-11-23 09:27:58\" \
         CACHED=\"NO\" STREAMID=28"
    );
    assert_eq!(map.address(), text("127.0.0.1"));
    assert_eq!(map.new_address(), MappedAddress::Address(text("127.0.0.1")));
    assert_eq!(map.new_address().address(), Some(&text("127.0.0.1")));
    assert_eq!(map.local_expiry(), Some(text("2026-11-23 09:27:58")));
    assert_eq!(map.expires(), Some(time(1_795_426_078, 0)));
    assert_eq!((map.error(), map.cached()), (None, Some(false)));
    assert_eq!((map.stream(), map.extra().count()), (Some(28.into()), 0));
}

#[test]
fn addrmap_reports_a_failed_resolution() {
    // Recorded.
    let map = parse_as!(
        AddrMap,
        "ADDRMAP bad_host!name <error> \"2026-11-23 09:14:06\" error=yes \
         EXPIRES=\"2026-11-23 09:14:06\" CACHED=\"NO\" STREAMID=10"
    );
    assert_eq!((map.address(), map.new_address().address()), (text("bad_host!name"), None));
    assert_eq!((map.new_address(), map.error()), (MappedAddress::Failed, Some(text("yes"))));
    assert_eq!(map.local_expiry(), Some(text("2026-11-23 09:14:06")));
    assert_eq!(map.expires(), Some(time(1_795_425_246, 0)));
    assert_eq!(
        (map.cached(), map.stream(), map.extra().count()),
        (Some(false), Some(10.into()), 0)
    );
}

#[test]
fn addrmap_of_mapaddress_never_expires_and_may_remove() {
    // Recorded.
    let set = parse_as!(AddrMap, "ADDRMAP foo bar NEVER CACHED=\"YES\"");
    assert_eq!((set.local_expiry(), set.expires(), set.cached()), (None, None, Some(true)));
    assert_eq!((set.stream(), set.error(), set.extra().count()), (None, None, 0));
    let removed = parse_as!(AddrMap, "ADDRMAP foo  NEVER CACHED=\"YES\"");
    assert_eq!((removed.address(), removed.new_address()), (text("foo"), MappedAddress::Removed));
    assert_eq!((removed.local_expiry(), removed.cached()), (None, Some(true)));
    assert_eq!(removed.extra().count(), 0);
    // Addresses that look like something else, the last after an old tor's mistake.
    let odd = parse_as!(
        AddrMap,
        "ADDRMAP a=b c=d NEVER error=\"Unable to launch resolve request\" CACHED=odd NEW=\"x y\" z"
    );
    assert_eq!(
        (odd.address(), odd.new_address()),
        (text("a=b"), MappedAddress::Address(text("c=d")))
    );
    assert_eq!(odd.error(), Some(text("Unable to launch resolve request")));
    assert_eq!(odd.cached(), None);
    let extra: Vec<_> = odd.extra().map(|field| (field.key, field.value_lossy().into())).collect();
    assert_eq!(extra, [("NEW", "x y".to_owned()), ("", "z".to_owned())]);
}

#[test]
fn guard_has_every_field() {
    // Recorded.
    let relay = "$E194605ABC68F291ABC8E6732814854F41465325~test006r";
    for (word, status) in [
        ("NEW", GuardStatus::New),
        ("UP", GuardStatus::Up),
        ("DROPPED", GuardStatus::Dropped),
        ("GOOD_L2", GuardStatus::GoodL2),
        ("DOWN", GuardStatus::Down),
        // Of the specification.
        ("BAD", GuardStatus::Bad),
        ("GOOD", GuardStatus::Good),
        ("BAD_L2", GuardStatus::BadL2),
    ] {
        let guard = parse_as!(Guard, &format!("GUARD ENTRY {relay} {word}"));
        assert_eq!((guard.guard_type(), &guard.status()), (GuardType::Entry, &status));
        assert!(guard.status().is_recognized());
        assert_eq!((guard.relay().to_string(), guard.extra().count()), (relay.to_owned(), 0));
    }
    let odd =
        parse_as!(Guard, "GUARD MIDDLE $E194605ABC68F291ABC8E6732814854F41465325~ TIRED NEW=1");
    assert_eq!((odd.guard_type(), odd.status()), ("MIDDLE".into(), "TIRED".into()));
    assert_eq!((odd.relay().nickname(), odd.extra().count()), (None, 1));
}

#[test]
fn network_liveness_has_its_field() {
    // Recorded.
    assert_eq!(parse_as!(NetworkLiveness, "NETWORK_LIVENESS UP").status(), NetworkLiveness::Up);
    // Of the specification.
    assert_eq!(parse_as!(NetworkLiveness, "NETWORK_LIVENESS DOWN").status(), NetworkLiveness::Down);
    let odd = parse_as!(NetworkLiveness, "NETWORK_LIVENESS SIDEWAYS NEW=1");
    assert_eq!((odd.status(), odd.extra().count()), ("SIDEWAYS".into(), 1));
}

#[test]
fn buildtimeout_set_has_every_field() {
    // Recorded.
    let reset = parse_as!(
        BuildTimeoutSet,
        "BUILDTIMEOUT_SET RESET TOTAL_TIMES=0 TIMEOUT_MS=60000 XM=0 ALPHA=0.000000 \
         CUTOFF_QUANTILE=1.000000 TIMEOUT_RATE=0.000000 CLOSE_MS=60000 CLOSE_RATE=0.000000"
    );
    assert_eq!((reset.action(), reset.total_times()), (BuildTimeoutAction::Reset, Some(0)));
    assert_eq!(reset.timeout(), Some(Duration::from_secs(60)));
    assert_eq!(reset.close(), Some(Duration::from_secs(60)));
    assert_eq!(reset.cutoff_quantile().map(f64::from), Some(1.0));
    assert_eq!(reset.extra().count(), 0);
    // Filled in after the specification: every number is another.
    let computed = parse_as!(
        BuildTimeoutSet,
        "BUILDTIMEOUT_SET COMPUTED TOTAL_TIMES=1000 TIMEOUT_MS=815 XM=283 ALPHA=1.5 \
         CUTOFF_QUANTILE=0.75 TIMEOUT_RATE=0.25 CLOSE_MS=60000 CLOSE_RATE=0.125 NEW=1"
    );
    assert_eq!(
        (&computed.action(), computed.total_times()),
        (&BuildTimeoutAction::Computed, Some(1000))
    );
    assert_eq!(computed.timeout(), Some(Duration::from_millis(815)));
    assert_eq!(computed.xm(), Some(Duration::from_millis(283)));
    assert_eq!(computed.alpha().map(Decimal::get), Some(1.5));
    assert_eq!(computed.cutoff_quantile().map(f64::from), Some(0.75));
    assert_eq!(computed.timeout_rate().map(f64::from), Some(0.25));
    assert_eq!(computed.close(), Some(Duration::from_secs(60)));
    assert_eq!(computed.close_rate().map(|rate| rate.to_string()), Some("0.125".to_owned()));
    assert_eq!(computed.extra().map(|field| field.key).collect::<Vec<_>>(), ["NEW"]);
    assert_ne!(computed.alpha(), computed.close_rate());
    // C prints no number like this; two such events are still equal.
    let odd = parse_as!(BuildTimeoutSet, "BUILDTIMEOUT_SET RESUME ALPHA=nan XM=x");
    assert_eq!((odd.xm(), odd.alpha().map(|alpha| alpha.get().is_nan())), (None, Some(true)));
    assert_eq!(odd.clone(), odd);
}

#[test]
fn transport_launched_has_every_field() {
    // Recorded, but for the unknown field.
    let client =
        parse_as!(TransportLaunched, "TRANSPORT_LAUNCHED client obfs4 127.0.0.1 40111 N=1");
    assert_eq!(
        (&client.transport_type(), &client.name()),
        (&TransportType::Client, &text("obfs4"))
    );
    assert_eq!((client.address().host(), client.address().port()), ("127.0.0.1", Some(40111)));
    assert_eq!(client.extra().map(|field| field.key).collect::<Vec<_>>(), ["N"]);
    let server = parse_as!(TransportLaunched, "TRANSPORT_LAUNCHED server obfs4 127.0.0.1 40112");
    assert_eq!(server.address().as_str(), "127.0.0.1:40112");
    // The syntax of the specification, filled in.
    let server = parse_as!(TransportLaunched, "TRANSPORT_LAUNCHED server snowflake ::1 443");
    assert_eq!(server.transport_type(), TransportType::Server);
    assert_eq!(server.address().as_str(), "[::1]:443");
    let odd = parse_as!(TransportLaunched, "TRANSPORT_LAUNCHED both a host.example 1");
    assert_eq!((odd.transport_type(), odd.address().as_str()), ("both".into(), "host.example:1"));
}

// The example of the specification: tor 0.4.9 does not offer the event.
#[test]
fn pt_log_has_every_field() {
    let log = parse_as!(
        PtLog,
        "PT_LOG PT=/usr/bin/obs4proxy SEVERITY=debug MESSAGE=\"Connected to bridge A\" NEW=1"
    );
    assert_eq!(
        (&log.pt(), &log.severity()),
        (&text("/usr/bin/obs4proxy"), &Some(PtSeverity::Debug))
    );
    assert_eq!(log.message(), Some(text("Connected to bridge A")));
    assert_eq!(log.extra().map(|field| field.key).collect::<Vec<_>>(), ["NEW"]);
    let short = parse_as!(PtLog, "PT_LOG PT=a");
    assert_eq!((short.severity(), short.message()), (None, None));
}

// The example of the specification, with the other keys of the specification of transports:
// tor 0.4.9 does not offer the event.
#[test]
fn pt_status_has_every_field() {
    let status = parse_as!(
        PtStatus,
        "PT_STATUS PT=/usr/bin/obs4proxy TRANSPORT=obfs4 ADDRESS=198.51.100.123:1234 \
         CONNECT=Success PEER=\"a b\""
    );
    assert_eq!(
        (&status.pt(), &status.transport()),
        (&text("/usr/bin/obs4proxy"), &Some(text("obfs4")))
    );
    assert_eq!(status.connect(), Some(PtConnect::Success));
    assert_eq!(status.address().unwrap().port(), Some(1234));
    assert_eq!((&status.status_type(), &status.version()), (&None, &None));
    let extra: Vec<_> = status.extra().collect();
    assert_eq!((extra.len(), extra[0].key, &*extra[0].value), (1, "PEER", &b"a b"[..]));
    let version = parse_as!(PtStatus, "PT_STATUS PT=a TYPE=version VERSION=0.6.1 IMPLEMENTATION=b");
    assert_eq!((version.transport(), version.connect()), (None, None));
    assert_eq!(version.status_type(), Some(text("version")));
    assert_eq!(
        (&version.version(), &version.implementation()),
        (&Some(text("0.6.1")), &Some(text("b")))
    );
    assert_eq!(version.extra().count(), 0);
}
