use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;

use super::{
    Bootstrap, BwEvent, CircEvent, Event, EventKind, EventText, HsPow, OrConnPeer, StatusArea,
    StatusEvent, TypedEvent,
};
use crate::names::{
    BootstrapTag, BuildFlag, CircuitId, CircuitPurpose, CircuitReason, CircuitStatus,
    ClientProtocol, HsDescAction, HsDescAuth, HsDescReason, HsState, IsoField, OrConnReason,
    OrConnStatus, Recommendation, Severity, Signal, StatusAction, StreamId, StreamPurpose,
    StreamReason, StreamSource, StreamStatus,
};

/// Events of tor 0.4.9.11, as it sent them but with a line feed for each line end.
const RECORDED: &str = include_str!("tests/recorded.txt");

/// Events that were not recorded: the examples of the control specification, and its syntax or the
/// format strings of tor 0.4.9.11 filled in where it has no example.
const SPECIFIED: &str = include_str!("tests/specified.txt");

/// Every event of both files with its status codes and line ends.
fn recorded() -> Vec<Vec<u8>> {
    [RECORDED, SPECIFIED].map(events_of).concat()
}

fn events_of(file: &str) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    let mut event = Vec::new();
    let mut in_data = false;
    for line in file.lines() {
        event.extend_from_slice(line.as_bytes());
        event.extend_from_slice(b"\r\n");
        if in_data {
            in_data = line != ".";
        } else if line.as_bytes()[3] == b' ' {
            events.push(std::mem::take(&mut event));
        } else {
            in_data = line.as_bytes()[3] == b'+';
        }
    }
    assert_eq!(event, b"");
    events
}

fn from_wire(wire: &[u8]) -> Event {
    let chunk: Arc<[u8]> = wire.into();
    Event::parse(EventText::from_wire(&chunk, 0..wire.len()))
}

fn parse(text: &str) -> Event {
    Event::parse(EventText::new(text.as_bytes()))
}

macro_rules! parse_as {
    ($variant:ident, $text:expr) => {
        match parse($text) {
            Event::$variant(event) => event,
            other => panic!("{other:?}"),
        }
    };
}

mod directory;
/// Every field of an event.
mod fields;
mod network;
#[cfg(feature = "serde")]
mod serialized;
mod status;
mod traffic;

fn text(text: &str) -> EventText {
    EventText::new(text.as_bytes())
}

fn time(seconds: u64, microseconds: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, microseconds * 1000)
}

#[test]
fn every_recorded_event_is_read_completely() {
    let events = recorded();
    assert_eq!(events.len(), 236);
    for wire in events {
        let event = from_wire(&wire);
        let shown = String::from_utf8_lossy(&wire);
        assert!(!matches!(event, Event::Malformed { .. }), "{shown}");
        assert!(event.kind().unwrap().is_recognized(), "{shown}");
        let extra: Vec<_> = match &event {
            Event::Bw(event) => event.extra().collect(),
            Event::Circ(event) => event.extra().collect(),
            Event::Stream(event) => event.extra().collect(),
            Event::OrConn(event) => event.extra().collect(),
            Event::HsDesc(event) => event.extra().collect(),
            Event::CircMinor(event) => event.extra().collect(),
            Event::StreamBw(event) => event.extra().collect(),
            Event::CircBw(event) => event.extra().collect(),
            Event::ConnBw(event) => event.extra().collect(),
            Event::CellStats(event) => event.extra().collect(),
            Event::TbEmpty(event) => event.extra().collect(),
            Event::ClientsSeen(event) => event.extra().collect(),
            Event::NewDesc(event) => event.extra().collect(),
            Event::DescChanged(event) => event.extra().collect(),
            Event::Ns(event) => event.extra().collect(),
            Event::NewConsensus(event) => event.extra().collect(),
            Event::AddrMap(event) => event.extra().collect(),
            Event::Guard(event) => event.extra().collect(),
            Event::BuildTimeoutSet(event) => event.extra().collect(),
            Event::NetworkLiveness(event) => event.extra().collect(),
            Event::TransportLaunched(event) => event.extra().collect(),
            Event::PtLog(event) => event.extra().collect(),
            Event::PtStatus(event) => event.extra().collect(),
            Event::HsDescContent(event) => event.extra().collect(),
            Event::Signal(event) => event.extra().collect(),
            // The fields of a status are checked below; the others have none.
            Event::Status(_)
            | Event::Log(_)
            | Event::ConfChanged(_)
            | Event::Other(_)
            | Event::Malformed { .. }
            | Event::Lagged { .. }
            | Event::Reconnected { .. } => Vec::new(),
        };
        assert_eq!(extra, [], "{shown}");
        if let Event::Status(status) = &event {
            assert_eq!(status.extra().count(), 0, "{shown}");
        }
        // tor sends UNKNOWN_264; torcon knows every other word.
        let fields = fields::shown(&event);
        assert_eq!(fields.contains("Unrecognized"), shown.contains("UNKNOWN_2"), "{fields}");
        assert_eq!(parse(&event.to_string()), event, "{shown}");
        assert_eq!(event.detached(), event);
    }
}

#[test]
fn every_kind_is_recorded_and_has_a_type() {
    let events: Vec<_> = recorded().iter().map(|wire| from_wire(wire)).collect();
    for kind in EventKind::KNOWN {
        let event = events.iter().find(|event| event.kind().as_ref() == Some(kind));
        assert!(!matches!(event.unwrap(), Event::Other(_)), "{kind}");
    }
}

#[test]
fn bw_has_its_two_numbers_and_keeps_what_follows() {
    let bw = parse_as!(Bw, "BW 22915 18491 DIR=5 later");
    assert_eq!((bw.bytes_read(), bw.bytes_written()), (22915, 18491));
    let extra: Vec<_> = bw.extra().map(|field| (field.key, field.value_lossy().into())).collect();
    assert_eq!(extra, [("DIR", "5".to_owned()), ("", "later".to_owned())]);
    assert_eq!(bw.to_string(), "BW 22915 18491 DIR=5 later");
}

#[test]
fn circ_has_every_field() {
    let first = "$2D3ECBAD4242EB98268B56C08AF775EA5DC12598~test011r";
    let line = format!(
        "CIRC 5 CLOSED {first},$088A568DA6A493187FA94B71CB198E06F73D70F1,unnamed \
         BUILD_FLAGS=NEED_CAPACITY,SOMETHING PURPOSE=CONFLUX_LINKED HS_STATE=HSCR_JOINED \
         REND_QUERY=po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd \
         TIME_CREATED=2026-11-23T09:27:49.286696 SOCKS_USERNAME=\"us er\\\"q\\\\\" \
         SOCKS_PASSWORD=\"p\\303\\251\\001 w\" HS_POW=v1,500 \
         CONFLUX_ID=22B9463D8817395CF6D7101E17F188F4 CONFLUX_RTT=125165 REASON=DESTROYED \
         REMOTE_REASON=CHANNEL_CLOSED NEW_FIELD=\"a b\""
    );
    let circ = parse_as!(Circ, &line);
    assert_eq!(circ.id(), CircuitId::from(5));
    assert_eq!(circ.status(), CircuitStatus::Closed);
    let path: Vec<_> = circ.path().iter().map(ToString::to_string).collect();
    assert_eq!(path, [first, "$088A568DA6A493187FA94B71CB198E06F73D70F1", "unnamed"]);
    assert_eq!(circ.build_flags(), [BuildFlag::NeedCapacity, "SOMETHING".into()]);
    assert_eq!(circ.purpose(), Some(CircuitPurpose::ConfluxLinked));
    assert_eq!(circ.hs_state(), Some(HsState::ClientRendJoined));
    assert_eq!(
        circ.rend_query(),
        Some(text("po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd"))
    );
    assert_eq!(circ.time_created(), Some(time(1_795_426_069, 286_696)));
    assert_eq!(circ.socks_username(), Some(text("us er\"q\\")));
    assert_eq!(circ.socks_password(), Some(text("p\u{e9}\u{1} w")));
    assert_eq!(circ.hs_pow(), Some(HsPow { scheme: text("v1"), effort: 500 }));
    assert_eq!(circ.conflux_id(), Some(text("22B9463D8817395CF6D7101E17F188F4")));
    assert_eq!(circ.conflux_rtt(), Some(Duration::from_micros(125_165)));
    assert_eq!(circ.reason(), Some(CircuitReason::Destroyed));
    assert_eq!(circ.remote_reason(), Some(CircuitReason::ChannelClosed));
    let extra: Vec<_> = circ.extra().collect();
    assert_eq!((extra.len(), extra[0].key, &*extra[0].value), (1, "NEW_FIELD", &b"a b"[..]));
    assert_eq!(circ.text(), &text(&line));
}

#[test]
fn circ_without_a_path_is_not_shifted() {
    let circ = parse_as!(Circ, "CIRC 1 FAILED BUILD_FLAGS=IS_INTERNAL REASON=CHANNEL_CLOSED");
    assert!(circ.path().is_empty());
    assert_eq!(circ.build_flags(), [BuildFlag::IsInternal]);
    assert_eq!(circ.reason(), Some(CircuitReason::ChannelClosed));
    // A circuit of a controller has no flags, and can have no fields at all.
    let circ = parse_as!(Circ, "CIRC 1 LAUNCHED");
    assert_eq!((circ.path().len(), circ.build_flags().len(), circ.purpose()), (0, 0, None));
}

#[test]
fn unreadable_values_of_known_keywords_do_not_lose_the_event() {
    let circ = parse_as!(
        Circ,
        "CIRC 1 BUILT ,,$short,a,, TIME_CREATED=yesterday CONFLUX_RTT=-1 HS_POW=v1 BUILD_FLAGS="
    );
    let path: Vec<_> = circ.path().iter().map(ToString::to_string).collect();
    assert_eq!(path, ["$short", "a"]);
    assert_eq!((circ.time_created(), circ.conflux_rtt(), circ.hs_pow()), (None, None, None));
    assert!(circ.build_flags().is_empty());
}

#[test]
fn stream_has_every_field() {
    let stream = parse_as!(
        Stream,
        "STREAM 18 NEW 0 127.0.0.1:33123 SOURCE_ADDR=127.0.0.1:56684 PURPOSE=USER \
         SOCKS_USERNAME=\"us er\\\"q\\\\\" SOCKS_PASSWORD=\"p\\303\\251\\001 w\" \
         CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=2 SESSION_GROUP=-7 \
         ISO_FIELDS=DESTPORT,DESTADDR,SOCKS_USERNAME,SOCKS_PASSWORD,CLIENT_PROTOCOL,CLIENTADDR,\
         SESSION_GROUP,NYM_EPOCH"
    );
    assert_eq!(stream.id(), StreamId::from(18));
    assert_eq!(stream.status(), StreamStatus::New);
    assert_eq!(stream.circuit(), None);
    assert_eq!((stream.target().host(), stream.target().port()), ("127.0.0.1", Some(33123)));
    assert_eq!(stream.source_addr().unwrap().as_str(), "127.0.0.1:56684");
    assert_eq!(stream.purpose(), Some(StreamPurpose::User));
    assert_eq!(stream.socks_username(), Some(text("us er\"q\\")));
    assert_eq!(stream.socks_password(), Some(text("p\u{e9}\u{1} w")));
    assert_eq!(stream.client_protocol(), Some(ClientProtocol::Socks5));
    assert_eq!((stream.nym_epoch(), stream.session_group()), (Some(2), Some(-7)));
    assert_eq!(
        stream.iso_fields(),
        [
            IsoField::DestinationPort,
            IsoField::DestinationAddress,
            IsoField::SocksUsername,
            IsoField::SocksPassword,
            IsoField::ClientProtocol,
            IsoField::ClientAddress,
            IsoField::SessionGroup,
            IsoField::NymEpoch,
        ]
    );

    let ended = parse_as!(
        Stream,
        "STREAM 20 FAILED 3 127.0.0.1:1 REASON=END REMOTE_REASON=MISC SOURCE=EXIT FUTURE=1"
    );
    assert_eq!(ended.circuit(), Some(3.into()));
    assert_eq!(ended.reason(), Some(StreamReason::End));
    assert_eq!(ended.remote_reason(), Some(StreamReason::Misc));
    assert_eq!(ended.source(), Some(StreamSource::Exit));
    assert_eq!(ended.extra().map(|field| field.key).collect::<Vec<_>>(), ["FUTURE"]);
}

#[test]
fn a_reason_behind_a_blank_does_not_shift_the_fields_of_a_stream() {
    let stream = parse_as!(
        Stream,
        "STREAM 23 CLOSED 0 127.0.0.1:25 REASON= UNKNOWN_264 CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0"
    );
    assert_eq!(stream.reason(), Some(StreamReason::Unrecognized("UNKNOWN_264".into())));
    assert_eq!(stream.client_protocol(), Some(ClientProtocol::Socks5));
    assert_eq!(stream.extra().count(), 0);
}

#[test]
fn streams_can_have_unusual_targets_and_sources() {
    for target in [
        ":0",
        "(Tor_internal):0",
        "[2001:db8::1]:80",
        "2001:db8::1:80",
        "unix:/run/s",
        "127.0.0.1.$088A568DA6A493187FA94B71CB198E06F73D70F1.exit:5000",
        "name=like.a.keyword:80",
    ] {
        let stream = parse_as!(Stream, &format!("STREAM 3 CLOSED 0 {target} SOURCE_ADDR={target}"));
        assert_eq!(stream.target().as_str(), target);
        assert_eq!(stream.source_addr().unwrap().as_str(), target);
        assert_eq!(stream.extra().count(), 0);
    }
}

#[test]
fn orconn_distinguishes_relays_from_addresses() {
    let relay = parse_as!(
        OrConn,
        "ORCONN $D514DEE5CD26283F498AD3433026B60B37BE14EB~test008r FAILED REASON=TLS_ERROR NCIRCS=1 \
         ID=6 NEW=1"
    );
    let OrConnPeer::Relay(spec) = &relay.peer() else { panic!("{relay:?}") };
    assert_eq!(spec.nickname().unwrap().as_str(), "test008r");
    assert_eq!(relay.status(), OrConnStatus::Failed);
    assert_eq!(relay.reason(), Some(OrConnReason::TlsError));
    assert_eq!((relay.circuits(), relay.id()), (Some(1), Some(6.into())));
    assert_eq!(relay.extra().count(), 1);

    let incoming = parse_as!(OrConn, "ORCONN 127.0.0.1:50680 NEW ID=18");
    assert_eq!(incoming.peer(), OrConnPeer::Address("127.0.0.1:50680".parse().unwrap()));
    assert_eq!(incoming.peer().to_string(), "127.0.0.1:50680");
}

#[test]
fn log_lines_are_kept_to_the_last_letter() {
    for message in ["Bootstrapped 100% (done): Done", "OK", "K", "ends in KO", " blank ", "", "a=b"]
    {
        let log = parse_as!(Log, &format!("NOTICE {message}"));
        assert_eq!((log.severity(), log.message()), (Severity::Notice, text(message)));
    }
    for severity in Severity::ALL {
        let event = parse(&format!("{severity} x(): y"));
        assert_eq!(event.kind(), Some(EventKind::from(severity.as_str())));
        let Event::Log(log) = event else { panic!() };
        assert_eq!((log.severity(), log.message()), (*severity, text("x(): y")));
    }
}

#[test]
fn a_problem_of_bootstrapping_has_every_field() {
    let line = "STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\" \
                WARNING=\"Connection refused\" REASON=CONNECTREFUSED COUNT=10 RECOMMENDATION=warn \
                HOSTID=\"E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC\" HOSTADDR=\"127.0.0.1:5000\"";
    let status = parse_as!(Status, line);
    assert_eq!((status.area(), status.severity()), (StatusArea::Client, Severity::Warn));
    assert_eq!(status.action(), StatusAction::Bootstrap);
    assert_eq!(status.argument("WARNING"), Some(text("Connection refused")));
    assert_eq!(status.argument("NOTHING"), None);
    assert_eq!(status.arguments().count(), 9);
    let bootstrap = status.bootstrap().unwrap();
    assert_eq!(line.strip_prefix("STATUS_CLIENT ").unwrap().parse(), Ok(bootstrap.clone()));
    assert_eq!(
        bootstrap,
        Bootstrap {
            severity: Severity::Warn,
            progress: 5,
            tag: BootstrapTag::Conn,
            summary: "Connecting to a relay".to_owned(),
            warning: Some("Connection refused".to_owned()),
            reason: Some(OrConnReason::ConnectRefused),
            count: Some(10),
            recommendation: Some(Recommendation::Warn),
            host_id: Some("E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC".parse().unwrap()),
            host_addr: Some("127.0.0.1:5000".parse().unwrap()),
        }
    );
}

#[test]
fn the_progress_of_bootstrapping_is_read_from_getinfo_too() {
    let phase = "NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"";
    let done: Bootstrap = phase.parse().unwrap();
    assert_eq!((done.progress, done.is_done(), &*done.summary), (100, true, "Done"));
    assert_eq!(done.tag, BootstrapTag::Done);
    for (phase, expected) in [
        ("", "a severity"),
        ("LOUD BOOTSTRAP PROGRESS=1", "a severity"),
        ("NOTICE CIRCUIT_ESTABLISHED", "the word BOOTSTRAP"),
        ("NOTICE BOOTSTRAP TAG=done", "PROGRESS in percent"),
        ("NOTICE BOOTSTRAP PROGRESS=1000", "PROGRESS in percent"),
    ] {
        assert_eq!(
            phase.parse::<Bootstrap>().unwrap_err().to_string(),
            format!("cannot read the bootstrap progress: expected {expected}, got \"{phase}\"")
        );
    }
    // The event is still a status, with its other arguments.
    let odd = parse_as!(Status, "STATUS_CLIENT NOTICE BOOTSTRAP TAG=done");
    assert_eq!(
        (odd.action(), odd.bootstrap(), odd.arguments().count()),
        (StatusAction::Bootstrap, None, 1)
    );
}

#[test]
fn the_arguments_of_a_status_are_decoded() {
    let status =
        parse_as!(Status, "STATUS_CLIENT WARN SOCKS_UNKNOWN_PROTOCOL DATA=\"\"GET / HT\"\"");
    assert_eq!(status.argument("DATA"), Some(text("GET / HT")));
    let status =
        parse_as!(Status, "STATUS_CLIENT WARN SOCKS_UNKNOWN_PROTOCOL DATA=\"\"\\007z\\\"\"\"");
    assert_eq!(status.argument("DATA"), Some(text("\u{7}z\"")));
    let status =
        parse_as!(Status, "STATUS_GENERAL WARN BUG REASON=\"f(): Bug: a (on Tor 0.4.9 )\\n\"");
    assert_eq!(status.argument("REASON"), Some(text("f(): Bug: a (on Tor 0.4.9 )\n")));
    assert_eq!((status.area(), status.kind()), (StatusArea::General, EventKind::StatusGeneral));
    let status = parse_as!(Status, "STATUS_SERVER NOTICE A_NEW_THING word K=v");
    assert_eq!(status.action(), "A_NEW_THING".into());
    assert_eq!(status.arguments().next().unwrap().value, text("word"));
    assert_eq!(status.kind(), EventKind::StatusServer);
}

#[test]
fn hs_desc_has_the_fields_of_every_action() {
    let address = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
    let relay = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
    let id = "a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";
    let parse = |rest: &str| parse_as!(HsDesc, &format!("HS_DESC {rest}"));

    let created = parse(&format!("CREATED {address} UNKNOWN UNKNOWN {id} REPLICA=1"));
    assert_eq!((created.hsdir(), created.replica()), (None, Some(1)));
    assert_eq!(created.descriptor_id(), Some(text(id)));
    assert_eq!(created.auth(), HsDescAuth::Unknown);

    let upload = parse(&format!("UPLOAD {address} UNKNOWN {relay} {id} HSDIR_INDEX=3C0A X=1"));
    assert_eq!(upload.action(), HsDescAction::Upload);
    assert_eq!(upload.address(), Some(text(address)));
    assert_eq!(upload.hsdir().unwrap().to_string(), relay);
    assert_eq!(upload.hsdir_index(), Some(text("3C0A")));
    assert_eq!(upload.extra().count(), 1);

    let uploaded = parse(&format!("UPLOADED {address} UNKNOWN {relay}"));
    assert_eq!((uploaded.descriptor_id(), uploaded.reason()), (None, None));

    let failed = parse(&format!("FAILED UNKNOWN NO_AUTH {relay} {id} REASON=NOT_FOUND"));
    assert_eq!((failed.address(), failed.auth()), (None, HsDescAuth::NoAuth));
    assert_eq!(failed.reason(), Some(HsDescReason::NotFound));
}

#[test]
fn conf_changed_keeps_order_repetition_and_the_difference_between_default_and_empty() {
    let wire = b"650-CONF_CHANGED\r\n650-Log=notice stdout\r\n650-Log=info stdout\r\n\
                 650-ContactInfo=\"x\\n\\303\\251 # \"\r\n650-LongLivedPorts=\r\n650-Nickname\r\n\
                 650-Address=say \"hi\"=\r\n650 OK\r\n";
    let Event::ConfChanged(changed) = from_wire(wire) else { panic!() };
    let changes: Vec<_> = changed
        .changes()
        .map(|change| (change.name.to_string(), change.value.as_ref().map(ToString::to_string)))
        .collect();
    let set = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(
        changes,
        [
            set("Log", "notice stdout"),
            set("Log", "info stdout"),
            set("ContactInfo", "x\n\u{e9} # "),
            set("LongLivedPorts", ""),
            ("Nickname".to_owned(), None),
            set("Address", "say \"hi\"="),
        ]
    );
    assert_eq!(parse("CONF_CHANGED").to_string(), "CONF_CHANGED");
}

#[test]
fn a_signal_may_be_unknown() {
    assert_eq!(parse_as!(Signal, "SIGNAL NEWNYM").signal(), Signal::Newnym);
    assert_eq!(parse_as!(Signal, "SIGNAL NEWER").signal(), "NEWER".into());
}

#[test]
fn an_event_of_an_unknown_kind_keeps_its_kind_and_its_text() {
    let Event::Other(future) = parse("FUTURE x y") else { panic!() };
    assert_eq!((future.kind.clone(), future.text()), ("FUTURE".into(), &text("FUTURE x y")));
    let wire = b"650+FUTURE\r\nr test010r x\r\ns Fast\r\n.\r\n650 OK\r\n";
    assert_eq!(from_wire(wire).to_string(), "FUTURE\nr test010r x\ns Fast");
    assert_eq!(parse("").kind(), Some("".into()));
}

#[test]
fn a_malformed_event_has_the_failed_expectation() {
    for (line, kind, expected) in [
        ("BW", "BW", "the number of bytes read"),
        ("BW 1 x", "BW", "the number of bytes written"),
        ("BW -1 5", "BW", "the number of bytes read"),
        ("CIRC", "CIRC", "a circuit id"),
        ("CIRC one/two BUILT", "CIRC", "a circuit id"),
        ("CIRC 1", "CIRC", "the status of the circuit"),
        ("CIRC 1 REASON=X", "CIRC", "the status of the circuit"),
        ("STREAM ; NEW", "STREAM", "a stream id"),
        ("STREAM 1", "STREAM", "the status of the stream"),
        ("STREAM 1 NEW", "STREAM", "a circuit id"),
        ("STREAM 1 NEW 0", "STREAM", "the target of the stream"),
        ("ORCONN", "ORCONN", "a relay or an address"),
        ("ORCONN a", "ORCONN", "the status of the connection"),
        ("STATUS_CLIENT LOUD X", "STATUS_CLIENT", "a severity"),
        ("STATUS_SERVER WARN", "STATUS_SERVER", "the action of the status"),
        ("HS_DESC", "HS_DESC", "the action on the descriptor"),
        ("HS_DESC FAILED", "HS_DESC", "the address of an onion service"),
        ("HS_DESC FAILED a", "HS_DESC", "a type of authorization"),
        ("SIGNAL", "SIGNAL", "a signal"),
        ("CIRC_MINOR 1/2", "CIRC_MINOR", "a circuit id"),
        ("CIRC_MINOR 1 PURPOSE=X", "CIRC_MINOR", "the change of the circuit"),
        ("STREAM_BW", "STREAM_BW", "a stream id"),
        ("STREAM_BW 1", "STREAM_BW", "the number of bytes written"),
        ("STREAM_BW 1 2 -3", "STREAM_BW", "the number of bytes read"),
        ("CIRC_BW READ=1 WRITTEN=2", "CIRC_BW", "ID with a circuit id"),
        ("CIRC_BW ID=1 READ=x WRITTEN=2", "CIRC_BW", "READ with a number of bytes"),
        ("CIRC_BW ID=1 READ=1", "CIRC_BW", "WRITTEN with a number of bytes"),
        ("CONN_BW TYPE=OR READ=1 WRITTEN=2", "CONN_BW", "ID with a connection id"),
        ("CONN_BW ID=1 READ=1", "CONN_BW", "TYPE with the type of the connection"),
        ("CONN_BW ID=1 TYPE=OR", "CONN_BW", "READ with a number of bytes"),
        ("CONN_BW ID=1 TYPE=OR READ=1", "CONN_BW", "WRITTEN with a number of bytes"),
        ("TB_EMPTY READ=1", "TB_EMPTY", "the name of a token bucket"),
        ("TB_EMPTY GLOBAL READ=x", "TB_EMPTY", "READ with milliseconds"),
        ("TB_EMPTY GLOBAL READ=1", "TB_EMPTY", "WRITTEN with milliseconds"),
        ("TB_EMPTY GLOBAL READ=1 WRITTEN=1", "TB_EMPTY", "LAST with milliseconds"),
        ("NEWDESC", "NEWDESC", "a relay"),
        ("ADDRMAP", "ADDRMAP", "a name or an address"),
        ("ADDRMAP  a NEVER", "ADDRMAP", "a name or an address"),
        ("ADDRMAP a", "ADDRMAP", "the new address"),
        ("ADDRMAP a b", "ADDRMAP", "the expiry of the mapping"),
        ("ADDRMAP a b CACHED=NO", "ADDRMAP", "the expiry of the mapping"),
        ("GUARD", "GUARD", "the type of the guard"),
        ("GUARD ENTRY", "GUARD", "a relay"),
        ("GUARD ENTRY a", "GUARD", "the status of the guard"),
        ("BUILDTIMEOUT_SET XM=1", "BUILDTIMEOUT_SET", "why the timeout was set"),
        ("NETWORK_LIVENESS", "NETWORK_LIVENESS", "the status of the network"),
        ("TRANSPORT_LAUNCHED", "TRANSPORT_LAUNCHED", "the type of the transport"),
        ("TRANSPORT_LAUNCHED client", "TRANSPORT_LAUNCHED", "the name of the transport"),
        ("TRANSPORT_LAUNCHED client a", "TRANSPORT_LAUNCHED", "an address"),
        ("TRANSPORT_LAUNCHED client a ::1 65536", "TRANSPORT_LAUNCHED", "a port"),
        ("PT_LOG SEVERITY=debug", "PT_LOG", "PT with a program"),
        ("PT_STATUS TRANSPORT=a", "PT_STATUS", "PT with a program"),
        ("HS_DESC_CONTENT", "HS_DESC_CONTENT", "the address of an onion service"),
        ("HS_DESC_CONTENT a", "HS_DESC_CONTENT", "the identifier of a descriptor"),
        ("HS_DESC_CONTENT a b", "HS_DESC_CONTENT", "a hidden service directory"),
    ] {
        let event = parse(line);
        assert_eq!((event.kind(), event.to_string()), (Some(kind.into()), line.to_owned()));
        let Event::Malformed { reason, .. } = event else { panic!("{line}: {event:?}") };
        assert_eq!(
            reason.to_string(),
            format!("cannot read the event {kind}: expected {expected}, got \"{line}\"")
        );
    }
}

#[test]
fn lost_events_are_no_event_of_tor() {
    let lagged = Event::lagged(7);
    assert_eq!((lagged.kind(), lagged.text()), (None, None));
    assert_eq!(lagged.to_string(), "(7 events were lost)");
    assert_eq!(lagged.detached(), lagged);
}

#[test]
fn typed_events_are_found_in_events() {
    let event = parse("BW 1 2");
    assert_eq!(BwEvent::from_event(&event).map(BwEvent::bytes_read), Some(1));
    assert_eq!(CircEvent::from_event(&event), None);
    assert_eq!(StatusEvent::KINDS.len(), 3);
}

#[test]
fn events_hold_any_bytes() {
    let Event::Circ(circ) = Event::parse(EventText::new(
        b"CIRC 1 BUILT caf\xe9 SOCKS_USERNAME=\"\\377\xfe\" REASON=\xe9",
    )) else {
        panic!()
    };
    assert_eq!(circ.socks_username().unwrap().as_bytes(), b"\xff\xfe");
    assert_eq!(circ.path()[0].to_string(), "caf\u{fffd}");
    assert_eq!(circ.reason(), Some("\u{fffd}".into()));
}

#[test]
fn an_event_stays_small_enough_to_be_moved() {
    assert!(size_of::<Event>() <= 128, "{}", size_of::<Event>());
}

proptest! {
    #[test]
    fn a_corrupted_event_is_read_without_a_panic(
        which: Index,
        spoiled in vec((any::<Index>(), any::<u8>()), 1..8),
        end: Index,
    ) {
        let events = recorded();
        let mut wire = which.get(&events).clone();
        for (place, byte) in spoiled {
            *place.get_mut(&mut wire) = byte;
        }
        for wire in [&wire[..], &wire[..end.index(wire.len())]] {
            let event = from_wire(wire);
            assert!(event.kind().is_some() || matches!(event, Event::Malformed { .. }));
            assert_eq!(Event::parse(event.text().unwrap().detached()), event);
            assert!(!format!("{event:?}").is_empty());
        }
    }

    #[test]
    fn any_fields_after_any_keyword_are_read_without_a_panic(
        kind in proptest::sample::select(EventKind::KNOWN),
        rest in "[A-Z0-9=\",\\\\ $~\n\u{e9}]{0,80}",
    ) {
        let line = format!("{kind} {rest}");
        let event = parse(&line);
        assert_eq!(event.to_string(), line);
        assert_eq!(parse(&event.to_string()), event);
    }
}
