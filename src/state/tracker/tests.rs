use std::time::{Duration, SystemTime};

use super::{Answers, ENDED_KEPT, Tracker};
use crate::event::{Bootstrap, CircEvent, Event, EventText, OrConnEvent, StreamEvent};
use crate::info::{AddressMapping, EntryGuard};
use crate::names::{CircuitId, NetworkLiveness, StreamId};
use crate::state::change::Change;
use crate::state::refresh::{Part, Parts};
use crate::state::{CircuitInfo, StreamInfo};

/// The whole state against a model, with the snapshot anywhere among the events.
mod model;

const GUARD: &str = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r";
const MIDDLE: &str = "$2752B817FDB074AB4FDB688E1DF45AE59E96A138~test001a";
const EXIT: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";

/// tor's answers, as it writes them.
#[derive(Clone, Debug, Default)]
struct Texts {
    circuits: String,
    streams: String,
    connections: String,
    guards: String,
    addresses: String,
}

impl Texts {
    fn read(&self) -> Answers {
        Answers {
            circuits: CircEvent::read_status(self.circuits.as_bytes()).unwrap(),
            streams: StreamEvent::read_status(self.streams.as_bytes()).unwrap(),
            connections: OrConnEvent::read_status(self.connections.as_bytes()).unwrap(),
            guards: EntryGuard::read_list(self.guards.as_bytes()).unwrap(),
            addresses: AddressMapping::read_list("x", self.addresses.as_bytes()).unwrap(),
            bootstrap: "NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"x\"".parse().ok(),
            liveness: Some(NetworkLiveness::Down),
        }
    }
}

fn event(text: &str) -> Event {
    let event = Event::parse(EventText::new(text.as_bytes()));
    assert!(!matches!(event, Event::Malformed { .. } | Event::Other(_)), "{event:?}");
    event
}

/// A tracker with its snapshot, and the changes since.
struct Joined {
    tracker: Tracker,
    number: u64,
}

impl Joined {
    fn with(texts: &Texts) -> Self {
        let mut tracker = Tracker::new();
        let mut changes = Vec::new();
        tracker.join(texts.read(), 0, &mut changes);
        assert!(changes.is_empty());
        Self { tracker, number: 0 }
    }

    fn empty() -> Self {
        Self::with(&Texts::default())
    }

    /// Applies an event, and returns the changes.
    fn take(&mut self, text: &str) -> Vec<String> {
        let mut changes = Vec::new();
        self.tracker.event(self.number, event(text), &mut changes);
        self.number += 1;
        changes.iter().map(shown).collect()
    }

    fn circuit(&self, id: u32) -> Option<std::sync::Arc<CircuitInfo>> {
        self.tracker.circuit(&CircuitId::from(id)).map(|cell| cell.info())
    }

    fn stream(&self, id: u32) -> Option<std::sync::Arc<StreamInfo>> {
        self.tracker.stream(&StreamId::from(id)).map(|cell| cell.info())
    }
}

fn without_nickname(relay: &str) -> &str {
    relay.split('~').next().unwrap()
}

fn shown(change: &Change) -> String {
    match change {
        Change::Circuit { cell, change, .. } => format!("circuit {} {change:?}", cell.id()),
        Change::Stream { cell, change, .. } => format!("stream {} {change:?}", cell.id()),
        Change::Address { mapping, change } => format!("address {} {change:?}", mapping.address),
    }
}

#[test]
fn a_circuit_is_followed_from_its_beginning_to_its_end() {
    let mut state = Joined::empty();
    let rest = "BUILD_FLAGS=NEED_CAPACITY,NEED_UPTIME PURPOSE=CONFLUX_UNLINKED \
                TIME_CREATED=2026-11-23T09:26:16.513718 CONFLUX_ID=498E";
    assert_eq!(
        state.take(&format!("CIRC 3 LAUNCHED {rest}")),
        ["circuit 3 New", "circuit 3 Launched"]
    );
    assert!(state.circuit(3).unwrap().path().is_empty());
    assert_eq!(state.take(&format!("CIRC 3 EXTENDED {GUARD} {rest}")), ["circuit 3 Extended"]);
    state.take(&format!("CIRC 3 EXTENDED {GUARD},{MIDDLE} {rest}"));
    let path = format!("{GUARD},{MIDDLE},{EXIT}");
    assert_eq!(state.take(&format!("CIRC 3 BUILT {path} {rest}")), ["circuit 3 Built"]);
    let built = state.circuit(3).unwrap();
    assert!(built.is_built());
    assert_eq!(built.path().len(), 3);
    assert_eq!(built.build_flags().len(), 2);
    assert!(built.conflux_id().is_some() && built.time_created().is_some());
    let cell = state.tracker.circuit(&CircuitId::from(3)).unwrap().clone();
    assert_eq!(
        state.take(&format!("CIRC 3 CLOSED {path} {rest} REASON=DESTROYED REMOTE_REASON=FINISHED")),
        ["circuit 3 Closed"]
    );
    assert!(state.circuit(3).is_none());
    // The cell still has the reason.
    let last = cell.info();
    assert_eq!(last.reason().unwrap().as_str(), "DESTROYED");
    assert_eq!(last.remote_reason().unwrap().as_str(), "FINISHED");
    assert_eq!(last.path().len(), 3);
    assert!(last.is_over());
}

#[test]
fn a_circuit_that_is_first_seen_as_closed_begins_and_ends_at_once() {
    // peers 27.
    let mut state = Joined::empty();
    assert_eq!(
        state.take("CIRC 9 CLOSED PURPOSE=GENERAL REASON=FINISHED"),
        ["circuit 9 New", "circuit 9 Closed"]
    );
    assert!(state.circuit(9).is_none());
    assert_eq!(
        state.take("STREAM 25 CLOSED 0 :0 REASON=SOCKS_PROTOCOL CLIENT_PROTOCOL=UNKNOWN"),
        ["stream 25 New", "stream 25 Closed"]
    );
    assert!(state.stream(25).is_none());
}

#[test]
fn a_circuit_may_be_built_twice_and_change_its_purpose_and_its_time() {
    // peers 27: cannibalized and extended circuits.
    let mut state = Joined::empty();
    let path = format!("{GUARD},{MIDDLE},{EXIT}");
    state.take("CIRC 12 LAUNCHED PURPOSE=HS_VANGUARDS TIME_CREATED=2026-11-23T09:27:52.000000");
    state.take(&format!(
        "CIRC 12 BUILT {path} PURPOSE=HS_VANGUARDS TIME_CREATED=2026-11-23T09:27:52.000000"
    ));
    let changes = state.take(&format!(
        "CIRC_MINOR 12 CANNIBALIZED {path} PURPOSE=HS_CLIENT_INTRO HS_STATE=HSCI_CONNECTING \
         REND_QUERY=ab TIME_CREATED=2026-11-23T09:30:00.000000 OLD_PURPOSE=HS_VANGUARDS \
         OLD_TIME_CREATED=2026-11-23T09:27:52.000000"
    ));
    assert_eq!(changes.len(), 1);
    assert!(changes[0].starts_with("circuit 12 Cannibalized { old_purpose: Some(HsVanguards)"));
    let info = state.circuit(12).unwrap();
    assert_eq!(info.status().as_str(), "BUILT");
    assert_eq!(info.purpose().unwrap().as_str(), "HS_CLIENT_INTRO");
    assert_eq!(info.rend_query().unwrap(), "ab");
    let time = Duration::from_secs(1_795_426_200);
    assert_eq!(info.time_created(), Some(SystemTime::UNIX_EPOCH + time));
    state.take(&format!("CIRC 12 EXTENDED {path},{GUARD} PURPOSE=HS_CLIENT_INTRO"));
    let again = state.take(&format!("CIRC 12 BUILT {path},{GUARD} PURPOSE=HS_CLIENT_INTRO"));
    assert_eq!(again, ["circuit 12 Built"]);
    assert_eq!(state.circuit(12).unwrap().path().len(), 4);
    let changes = state.take(&format!(
        "CIRC_MINOR 12 PURPOSE_CHANGED {path} PURPOSE=CIRCUIT_PADDING OLD_PURPOSE=HS_CLIENT_INTRO \
         OLD_HS_STATE=HSCI_DONE"
    ));
    assert_eq!(
        changes,
        ["circuit 12 PurposeChanged { old_purpose: Some(HsClientIntro), old_hs_state: \
          Some(ClientIntroDone) }"]
    );
    // The circuit no longer belongs to an onion service.
    assert_eq!(state.circuit(12).unwrap().hs_state(), None);
    // An event of a circuit that has ended.
    assert!(state.take("CIRC_MINOR 99 PURPOSE_CHANGED PURPOSE=GENERAL").is_empty());
}

#[test]
fn a_circuit_without_relays_that_tor_lists_as_extended_has_been_launched() {
    let texts = Texts {
        circuits: format!("3 EXTENDED PURPOSE=GENERAL\n4 EXTENDED {GUARD} PURPOSE=GENERAL"),
        ..Texts::default()
    };
    let state = Joined::with(&texts);
    assert_eq!(state.circuit(3).unwrap().status().as_str(), "LAUNCHED");
    assert_eq!(state.circuit(4).unwrap().status().as_str(), "EXTENDED");
}

#[test]
fn an_event_that_tells_less_than_the_snapshot_takes_nothing_away() {
    let texts = Texts {
        circuits: format!(
            "7 BUILT {GUARD},{MIDDLE} BUILD_FLAGS=IS_INTERNAL PURPOSE=GENERAL \
             TIME_CREATED=2026-11-23T09:26:16.513718 SOCKS_USERNAME=\"a b\""
        ),
        streams: "17 SENTCONNECT 7 example.com:80".to_owned(),
        ..Texts::default()
    };
    let mut state = Joined::with(&texts);
    let cell = state.tracker.circuit(&CircuitId::from(7)).unwrap().clone();
    state.take("CIRC 7 FAILED REASON=TIMEOUT");
    let info = cell.info();
    assert_eq!(info.path().len(), 2);
    assert_eq!(info.purpose().unwrap().as_str(), "GENERAL");
    assert_eq!(info.socks_username().unwrap(), "a b");
    assert_eq!(info.reason().unwrap().as_str(), "TIMEOUT");
    assert_eq!(info.text(), "CIRC 7 FAILED REASON=TIMEOUT");
    state.take("STREAM 17 SUCCEEDED 7 example.com:80 CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=1");
    state.take("STREAM 17 XOFF_SENT 7 example.com:80");
    let info = state.stream(17).unwrap();
    assert_eq!(info.status().as_str(), "SUCCEEDED");
    assert_eq!(info.client_protocol().unwrap().as_str(), "SOCKS5");
    assert_eq!(info.nym_epoch(), Some(1));
}

#[test]
fn relays_are_named_in_any_way() {
    // peers 27: hops that are not in the consensus, path elements by nickname.
    let mut state = Joined::empty();
    let fingerprint = without_nickname(GUARD);
    state.take(&format!(
        "CIRC 1 BUILT {fingerprint},moria1,{fingerprint}~,{fingerprint}=old,@#! PURPOSE=GENERAL"
    ));
    let info = state.circuit(1).unwrap();
    let path: Vec<String> = info.path().iter().map(ToString::to_string).collect();
    let with = |end: &str| format!("{fingerprint}{end}");
    let all = [with(""), "moria1".to_owned(), with("~"), with("=old"), "@#!".to_owned()];
    assert_eq!(path, all);
    assert_eq!(info.path()[1].nickname().unwrap().as_str(), "moria1");
    assert_eq!(info.path()[4].fingerprint(), None);
}

#[test]
fn a_stream_is_followed_from_circuit_to_circuit() {
    let mut state = Joined::empty();
    assert_eq!(
        state.take(
            "STREAM 20 NEW 0 127.0.0.1:1 SOURCE_ADDR=127.0.0.1:53442 PURPOSE=USER \
             SOCKS_USERNAME=\"us er\" CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4 \
             ISO_FIELDS=CLIENTADDR"
        ),
        ["stream 20 New"]
    );
    assert_eq!(state.take("STREAM 20 CONTROLLER_WAIT 0 127.0.0.1:1"), ["stream 20 Waiting"]);
    let rest = "127.0.0.1:1 SOCKS_USERNAME=\"us er\" CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 \
                SESSION_GROUP=-4 ISO_FIELDS=CLIENTADDR";
    assert_eq!(
        state.take(&format!("STREAM 20 SENTCONNECT 7 {rest}")),
        ["stream 20 Attached(CircuitId(7))", "stream 20 Sent"]
    );
    // peers 27: it reaches SENTCONNECT twice.
    assert_eq!(state.take(&format!("STREAM 20 SENTCONNECT 7 {rest}")), ["stream 20 Sent"]);
    assert_eq!(
        state.take(&format!("STREAM 20 DETACHED 7 {rest} REASON=END REMOTE_REASON=MISC")),
        ["stream 20 Detached(Some(CircuitId(7)))"]
    );
    let info = state.stream(20).unwrap();
    assert_eq!((info.circuit(), info.reason().unwrap().as_str()), (None, "END"));
    state.take(&format!("STREAM 20 SENTCONNECT 15 {rest}"));
    let remapped = "STREAM 20 REMAP 15 10.0.0.1:1 SOURCE=EXIT CLIENT_PROTOCOL=SOCKS5";
    assert_eq!(state.take(remapped), ["stream 20 Remapped"]);
    let info = state.stream(20).unwrap();
    assert_eq!((info.status().as_str(), info.target().as_str()), ("SENTCONNECT", "10.0.0.1:1"));
    assert_eq!(state.take(&format!("STREAM 20 SUCCEEDED 15 {rest}")), ["stream 20 Succeeded"]);
    // It moves between the legs of a pair.
    assert_eq!(
        state.take(&format!("STREAM 20 XON_SENT 3 {rest}")),
        ["stream 20 Attached(CircuitId(3))", "stream 20 Other(XonSent)"]
    );
    let cell = state.tracker.stream(&StreamId::from(20)).unwrap().clone();
    assert_eq!(
        state.take(&format!("STREAM 20 FAILED 15 {rest} REASON=END REMOTE_REASON=MISC")),
        ["stream 20 Failed"]
    );
    assert_eq!(state.tracker.streams().count(), 0, "it is about to be closed");
    assert_eq!(state.take("STREAM 20 CLOSED 0 127.0.0.1:1"), ["stream 20 Closed"]);
    assert!(state.stream(20).is_none());
    let info = cell.info();
    assert_eq!(info.circuit(), Some(CircuitId::from(15)), "the last one");
    assert_eq!(info.remote_reason().unwrap().as_str(), "MISC");
    // Only the first event had these.
    assert_eq!(info.source_addr().unwrap().as_str(), "127.0.0.1:53442");
    assert_eq!(info.purpose().unwrap().as_str(), "USER");
    assert_eq!(info.socks_username().unwrap(), "us er");
    assert_eq!(info.session_group(), Some(-4));
}

#[test]
fn sources_of_every_form_are_kept() {
    // peers 27.
    let mut state = Joined::empty();
    for (id, source) in (1..).zip(["unix:/run/tor/a", "(Tor_internal):0", "::1:9050", "[::1]:1"]) {
        state.take(&format!("STREAM {id} NEW 0 a.example:80 SOURCE_ADDR={source} PURPOSE=USER"));
        assert_eq!(state.stream(id).unwrap().source_addr().unwrap().as_str(), source);
    }
}

#[test]
fn mappings_come_end_and_are_taken_away() {
    let texts = Texts {
        addresses: "a.com b.com NEVER\n\
                    c.com 1.2.3.4 \"2026-11-23 10:00:00\"\n\
                    gone.com  NEVER"
            .to_owned(),
        ..Texts::default()
    };
    let mut state = Joined::with(&texts);
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let ten = 1_795_428_000;
    let names = |state: &Joined, now| {
        let map = state.tracker.address_map(now);
        map.iter().map(|mapping| mapping.address.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&state, at(ten - 1)), ["a.com", "c.com"]);
    assert_eq!(names(&state, at(ten)), ["a.com"], "its time is over");
    assert_eq!(state.tracker.next_expiry(), Some(at(ten)));
    // The same name with another end.
    assert_eq!(
        state.take(
            "ADDRMAP c.com 1.2.3.5 \"2026-11-23 10:00:10\" EXPIRES=\"2026-11-23 10:00:10\" \
             CACHED=\"YES\""
        ),
        ["address c.com Mapped"]
    );
    assert_eq!(state.tracker.next_expiry(), Some(at(ten + 10)));
    // Answers to requests are not mappings.
    for text in [
        "ADDRMAP d.com 1.2.3.5 \"2026-11-23 10:00:10\" EXPIRES=\"2026-11-23 10:00:10\" CACHED=\"NO\"",
        "ADDRMAP c.com <error> \"2026-11-23 10:00:10\" error=yes EXPIRES=\"2026-11-23 10:00:10\"",
    ] {
        assert!(state.take(text).is_empty(), "{text}");
    }
    let mut changes = Vec::new();
    state.tracker.expire(at(ten + 9), &mut changes);
    assert!(changes.is_empty());
    state.tracker.expire(at(ten + 10), &mut changes);
    assert_eq!(changes.iter().map(shown).collect::<Vec<_>>(), ["address c.com Expired"]);
    assert_eq!(state.take("ADDRMAP a.com  NEVER CACHED=\"YES\""), ["address a.com Removed"]);
    assert!(state.take("ADDRMAP a.com  NEVER CACHED=\"YES\"").is_empty());
    assert!(names(&state, at(0)).is_empty());
    // tor forgets the names that it resolved, but not the mappings of controllers.
    state.take("ADDRMAP e.com f.com NEVER CACHED=\"YES\"");
    state.take(
        "ADDRMAP c.com 1.2.3.5 \"2026-11-23 10:00:10\" EXPIRES=\"2026-11-23 10:00:10\" CACHED=\"YES\"",
    );
    assert!(state.take("SIGNAL RELOAD").is_empty());
    assert_eq!(state.take("SIGNAL CLEARDNSCACHE"), ["address c.com Removed"]);
    assert_eq!(names(&state, at(0)), ["e.com"]);
}

#[test]
fn connections_are_found_by_identifier_or_by_peer() {
    let texts = Texts {
        connections: format!("{GUARD} CONNECTED\n{MIDDLE} LAUNCHED\n127.0.0.1:5000 NEW"),
        ..Texts::default()
    };
    let mut state = Joined::with(&texts);
    let list = |state: &Joined| {
        let connections = state.tracker.connections();
        let one = |connection: &crate::state::OrConnection| {
            let id = connection.id.map_or("-".to_owned(), |id| id.to_string());
            format!("{id} {:.6} {}", connection.peer.to_string(), connection.status)
        };
        connections.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(list(&state), ["- $E8F78 CONNECTED", "- $2752B LAUNCHED", "- 127.0. NEW"]);
    // Only the identifier shows which connection it is.
    state.take(&format!("ORCONN {} CONNECTED ID=7", without_nickname(MIDDLE)));
    assert_eq!(list(&state)[1], "7 $2752B CONNECTED");
    // A second connection to a relay that has one.
    state.take(&format!("ORCONN {GUARD} LAUNCHED ID=9"));
    assert_eq!(list(&state).len(), 4);
    state.take(&format!("ORCONN {GUARD} FAILED REASON=CONNECTREFUSED NCIRCS=1 ID=9"));
    assert_eq!(list(&state).len(), 3);
    state.take("ORCONN 127.0.0.1:5000 CLOSED REASON=DONE ID=4");
    state.take("ORCONN 127.0.0.1:5001 CLOSED REASON=DONE ID=5");
    state.take(&format!("ORCONN {MIDDLE} CLOSED REASON=DONE ID=7"));
    assert_eq!(list(&state), ["- $E8F78 CONNECTED"]);
}

#[test]
fn the_end_of_a_connection_that_may_be_another_removes_nothing_and_makes_the_list_stale() {
    let connections = Parts::of(Part::Connections);
    let texts = Texts {
        connections: format!("{GUARD} CONNECTED\n198.51.100.7:9001 NEW"),
        ..Texts::default()
    };
    for text in [
        // About one that tor had given up before the snapshot, or about the one that exists.
        format!("ORCONN {GUARD} CLOSED REASON=DONE ID=3"),
        // About the one that was listed by its address.
        format!("ORCONN {MIDDLE} CONNECTED ID=4"),
        format!("ORCONN {MIDDLE} FAILED REASON=TIMEOUT ID=4"),
    ] {
        let mut state = Joined::with(&texts);
        assert!(!state.tracker.is_stale(Parts::ALL), "{text}");
        state.take(&text);
        assert!(state.tracker.connections().len() >= 2, "{text}");
        assert!(state.tracker.is_stale(connections), "{text}");
        assert_eq!(state.tracker.begin_refresh(Parts::ALL), Some(connections));
        // The answer contains the first of these events, and not the second.
        state.number = 5;
        state.take(&format!("ORCONN {EXIT} LAUNCHED ID=8"));
        state.take(&format!("ORCONN {EXIT} CONNECTED ID=8"));
        let answers = Texts {
            connections: format!("{MIDDLE} CONNECTED\n{EXIT} LAUNCHED"),
            ..Texts::default()
        };
        let mut changes = Vec::new();
        state.tracker.finish_refresh(answers.read(), 6, &mut changes);
        let list: Vec<_> =
            state.tracker.connections().iter().map(|it| it.status.as_str()).collect();
        assert_eq!(list, ["CONNECTED", "CONNECTED"], "{text}");
        assert_eq!(state.tracker.connections()[1].id, "8".parse().ok(), "{text}");
        assert!(!state.tracker.is_stale(Parts::ALL), "{text}");
    }
}

#[test]
fn guards_come_and_go() {
    let texts = Texts {
        guards: format!("{GUARD} up\n{MIDDLE} unusable 2026-11-23 10:14:06"),
        ..Texts::default()
    };
    let mut state = Joined::with(&texts);
    for text in [
        format!("GUARD ENTRY {EXIT} NEW"),
        format!("GUARD ENTRY {GUARD} DOWN"),
        format!("GUARD ENTRY {GUARD} NEW"),
        format!("GUARD ENTRY {MIDDLE} GOOD"),
        format!("GUARD ENTRY {MIDDLE} GOOD_L2"),
    ] {
        assert!(state.take(&text).is_empty());
    }
    let shown = |state: &Joined| {
        let one =
            |guard: &EntryGuard| format!("{} {}", guard.relay.nickname().unwrap(), guard.status);
        state.tracker.guards().iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(shown(&state), ["test004r down", "test001a up", "test009r never-connected"]);
    assert_eq!(state.tracker.guards()[1].since, None);
    assert!(state.tracker.is_stale(Parts::of(Part::Guards)), "since when, only tor knows");
    state.take(&format!("GUARD ENTRY {} DROPPED", without_nickname(GUARD)));
    state.take(&format!("GUARD ENTRY {EXIT} UP"));
    assert_eq!(shown(&state), ["test001a up", "test009r up"]);
}

#[test]
fn bootstrap_and_liveness_are_those_of_the_last_event() {
    let mut state = Joined::empty();
    assert_eq!(state.tracker.bootstrap().map(|phase| phase.progress), Some(5));
    state.take("STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"");
    state.take("STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED");
    assert!(state.tracker.bootstrap().is_some_and(Bootstrap::is_done));
    assert_eq!(state.tracker.liveness(), Some(&NetworkLiveness::Down));
    state.take("NETWORK_LIVENESS UP");
    assert_eq!(state.tracker.liveness(), Some(&NetworkLiveness::Up));
    assert_eq!(state.tracker.number(), 3);
}

#[test]
fn the_parts_that_events_cannot_keep_right_are_asked_for_again_when_an_event_shows_the_reason() {
    let texts = Texts {
        guards: format!("{GUARD} down 2026-11-23 10:14:06"),
        addresses: "a.com b.$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC.exit \"2027-01-01 00:00:00\""
            .to_owned(),
        ..Texts::default()
    };
    let both = Parts::of(Part::Guards).or(Parts::of(Part::Addresses));
    let fingerprint = without_nickname(GUARD);
    for (text, stale) in [
        ("CONF_CHANGED\nExcludeNodes=$AA".to_owned(), both),
        ("CONF_CHANGED\n__LeaveStreamsUnattached=1".to_owned(), Parts::default()),
        ("SIGNAL RELOAD".to_owned(), both),
        ("SIGNAL HEARTBEAT".to_owned(), Parts::default()),
        ("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED".to_owned(), Parts::of(Part::Guards)),
        ("STATUS_CLIENT NOTICE ENOUGH_DIR_INFO".to_owned(), Parts::of(Part::Guards)),
        (format!("GUARD ENTRY {EXIT} DOWN"), Parts::of(Part::Guards)),
        (format!("GUARD ENTRY {EXIT} NEW"), Parts::default()),
        (format!("ORCONN {fingerprint} LAUNCHED ID=5"), Parts::of(Part::Guards)),
        (format!("ORCONN {MIDDLE} LAUNCHED ID=5"), Parts::default()),
        ("ADDRMAP b.com c.com NEVER CACHED=\"YES\"".to_owned(), Parts::of(Part::Addresses)),
        ("ADDRMAP b.com  NEVER CACHED=\"YES\"".to_owned(), Parts::default()),
        ("STREAM 5 SUCCEEDED 7 a.com:80".to_owned(), Parts::of(Part::Addresses)),
        ("STREAM 5 SENTCONNECT 7 a.com:80".to_owned(), Parts::default()),
    ] {
        let mut state = Joined::with(&texts);
        state.take(&text);
        assert_eq!(state.tracker.begin_refresh(Parts::ALL).unwrap_or_default(), stale, "{text}");
    }
    // A line without a status code may have been any event.
    let mut state = Joined::with(&texts);
    let stray = Event::parse(EventText::copied(b"a filter replaced this line"));
    state.tracker.event(0, stray, &mut Vec::new());
    assert_eq!(state.tracker.begin_refresh(Parts::ALL), Some(Parts::ALL));
}

#[test]
fn a_refresh_of_mappings_tells_what_has_changed_and_takes_the_events_that_follow() {
    let texts = Texts {
        addresses: "a.com b.com NEVER\nc.com d.com NEVER\ne.com f.com NEVER".to_owned(),
        ..Texts::default()
    };
    let mut state = Joined::with(&texts);
    state.take("SIGNAL RELOAD");
    state.tracker.begin_refresh(Parts::of(Part::Addresses)).unwrap();
    assert_eq!(state.tracker.begin_refresh(Parts::of(Part::Addresses)), None, "it goes on");
    state.take("ADDRMAP i.com j.com \"2027-01-01 00:00:00\" EXPIRES=\"2027-01-01 00:00:00\"");
    let answers = Texts {
        addresses: "a.com b.com NEVER\nc.com x.com NEVER\n*.g.com *.h.com NEVER".to_owned(),
        ..Texts::default()
    };
    let mut changes = Vec::new();
    state.tracker.finish_refresh(answers.read(), 1, &mut changes);
    let reported: Vec<_> = changes.iter().map(shown).collect();
    assert_eq!(
        reported,
        [
            "address c.com Mapped",
            "address *.g.com Mapped",
            "address e.com Removed",
            "address i.com Removed",
            "address i.com Mapped",
        ]
    );
    let map = state.tracker.address_map(SystemTime::UNIX_EPOCH);
    let names: Vec<_> = map.iter().map(|mapping| mapping.address.as_str()).collect();
    assert_eq!(names, ["*.g.com", "a.com", "c.com", "i.com"]);
}

#[test]
fn a_stream_binds_its_credentials_to_a_circuit_that_was_built_before_and_to_its_other_leg() {
    let rest = "PURPOSE=CONFLUX_LINKED CONFLUX_ID=498E";
    let circuits = format!(
        "3 BUILT {GUARD} {rest}\n4 BUILT {MIDDLE} {rest}\n5 BUILT {EXIT} PURPOSE=GENERAL\n\
         6 BUILT {EXIT} PURPOSE=GENERAL SOCKS_USERNAME=\"first\""
    );
    let mut state = Joined::with(&Texts { circuits, ..Texts::default() });
    let names = |state: &Joined| {
        (3..=6).map(|id| state.circuit(id).unwrap().socks_username()).collect::<Vec<_>>()
    };
    let is = |name: &str| Some(EventText::new(name.as_bytes()));
    let user = "SOCKS_USERNAME=\"a\" SOCKS_PASSWORD=\"b\" CLIENT_PROTOCOL=SOCKS5";
    // Without isolation by credentials, an earlier stream decides, which may have had none.
    state.take(&format!("STREAM 8 SENTCONNECT 5 x.example:80 {user} ISO_FIELDS=CLIENTADDR"));
    assert_eq!(names(&state), [None, None, None, is("first")]);
    let isolated = format!("{user} ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD");
    state.take(&format!("STREAM 9 NEW 0 x.example:80 {isolated}"));
    assert_eq!(names(&state)[2], None);
    for (stream, circuit) in [(9, 5), (10, 3), (11, 6)] {
        state.take(&format!("STREAM {stream} SENTCONNECT {circuit} x.example:80 {isolated}"));
    }
    assert_eq!(names(&state), [is("a"), is("a"), is("a"), is("first")]);
    assert_eq!(state.circuit(4).unwrap().socks_password(), is("b"));
}

#[test]
fn of_the_circuits_that_end_only_the_last_are_kept_and_an_older_one_is_known_to_have_ended() {
    let mut state = Joined::empty();
    let end = |state: &mut Joined, id: u32| {
        state.take(&format!("CIRC {id} CLOSED {GUARD} PURPOSE=GENERAL REASON=FINISHED"));
    };
    let kept = u32::try_from(ENDED_KEPT).unwrap();
    end(&mut state, 1);
    state.tracker.keep_ended();
    (2..=kept + 11).for_each(|id| end(&mut state, id));
    assert_eq!(state.tracker.ended.len(), ENDED_KEPT);
    let reason = |state: &Joined, id: u32| {
        let cell = state.tracker.begun(CircuitId::from(id))?;
        assert!(cell.info().is_over());
        Some(cell.info().reason())
    };
    assert!(reason(&state, kept + 11).unwrap().is_some());
    assert_eq!(reason(&state, 5), Some(None), "it has ended, but nothing more is known");
    assert_eq!(reason(&state, kept + 12), None, "it may still begin");
    assert_eq!(state.tracker.forget_ended().len(), ENDED_KEPT);
    assert_eq!(reason(&state, 5), None);
}
