//! Listeners and queues on the events of a real tor.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use parking_lot::Mutex;
use torcon::event::{
    BwEvent, ConfChangedEvent, LogEvent, OrConnEvent, SignalEvent, StatusArea, StatusEvent,
    StreamEvent,
};
use torcon::names::{Severity, Signal, StatusAction};
use torcon::{ConnectOptions, Controller, Event, EventKind};

use super::{controller, reader, refusal};
use crate::support::real_tor::{RealTor, shared};
use crate::support::recording_proxy::RecordingProxy;
use crate::support::signal::signal;

const LIMIT: Duration = Duration::from_secs(30);

/// Adds a listener that sends every event to the test.
fn listen(controller: &Controller, kind: EventKind) -> Receiver<Event> {
    let (send, receive) = unbounded();
    let listener = move |event: &Event| {
        send.send(event.clone()).ok();
    };
    controller.add_event_listener(kind, listener).unwrap();
    receive
}

fn texts(events: &Receiver<Event>, count: usize) -> Vec<String> {
    (0..count).map(|_| events.recv_timeout(LIMIT).unwrap().to_string()).collect()
}

// Row `add_event_listener(evt, cb)`: tor sends BW every second.
#[test]
fn bandwidth_events_arrive_in_every_form() {
    let controller = reader();
    let any = listen(&controller, EventKind::Bw);
    let (send, typed) = unbounded();
    controller
        .on(move |bw: &BwEvent| {
            send.send((bw.bytes_read(), bw.bytes_written())).ok();
        })
        .unwrap();
    let (send, text) = unbounded();
    controller
        .add_text_listener(EventKind::Bw, move |text| {
            send.send(text.to_string()).ok();
        })
        .unwrap();
    let queue = controller.events([EventKind::Bw]).unwrap();
    let event = any.recv_timeout(LIMIT).unwrap();
    let Event::Bw(bw) = &event else { panic!("{event:?}") };
    assert_eq!(event.to_string(), format!("BW {} {}", bw.bytes_read(), bw.bytes_written()));
    assert_eq!(typed.recv_timeout(LIMIT).unwrap(), (bw.bytes_read(), bw.bytes_written()));
    assert_eq!(text.recv_timeout(LIMIT).unwrap(), event.to_string());
    assert_eq!(queue.recv_timeout(LIMIT).unwrap(), event);
}

// Rows `add_event_listener`, `remove_event_listener`, `events`: the first of a kind sends
// SETEVENTS, sorted, and the last one sends it again; nothing else does.
#[test]
fn setevents_is_sent_only_on_change_and_sorted() {
    let tap = RecordingProxy::before(shared().address());
    let controller = torcon::connect(tap.endpoint()).unwrap();
    assert_eq!(controller.subscribed_events(), []);
    let nothing = |_: &Event| {};
    let signal = controller.add_event_listener(EventKind::Signal, nothing).unwrap();
    let bw = controller.add_event_listener(EventKind::Bw, nothing).unwrap();
    let again = controller.add_event_listener(EventKind::Bw, nothing).unwrap();
    let log = controller.on(|_: &LogEvent| {}).unwrap();
    assert_eq!(
        controller.subscribed_events(),
        [EventKind::Bw, EventKind::Err, EventKind::Notice, EventKind::Signal, EventKind::Warn]
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    controller.remove_event_listener(bw).unwrap();
    let queue = controller.events([EventKind::Signal, EventKind::Bw]).unwrap();
    controller.remove_event_listener(log).unwrap();
    controller.remove_event_listener(again).unwrap();
    drop(queue);
    controller.remove_event_listener(signal).unwrap();
    assert_eq!(
        refusal(controller.remove_event_listener(signal)),
        "invalid argument \"listener\": does not exist"
    );
    assert_eq!(controller.subscribed_events(), []);
    let sent: Vec<_> =
        tap.sent().into_iter().filter(|line| line.starts_with("SETEVENTS")).collect();
    assert_eq!(
        sent,
        [
            "SETEVENTS SIGNAL",
            "SETEVENTS BW SIGNAL",
            "SETEVENTS BW ERR NOTICE SIGNAL WARN",
            "SETEVENTS BW SIGNAL",
            "SETEVENTS SIGNAL",
            "SETEVENTS",
        ]
    );
}

// Row `add_event_listener`: an unknown event is refused; peers 14: it must not poison later ones.
#[test]
fn a_refused_event_changes_nothing() {
    let tap = RecordingProxy::before(shared().address());
    let controller = torcon::connect(tap.endpoint()).unwrap();
    let bw = listen(&controller, EventKind::Bw);
    for name in ["NOPE", "TB_EMPTY", "PT_LOG"] {
        let error = controller.add_event_listener(EventKind::from(name), |_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("tor refused SETEVENTS: 552 \"Unrecognized event \\\"{name}\\\"\"")
        );
        let queue = controller.events([EventKind::Signal, EventKind::from(name)]);
        assert_eq!(queue.unwrap_err().status_code(), Some(552));
    }
    for name in ["", "A B", "A\nQUIT"] {
        let error = controller.add_event_listener(EventKind::from(name), |_| {}).unwrap_err();
        assert!(matches!(error, torcon::Error::InvalidInput(_)), "{name:?}: {error}");
    }
    assert_eq!(controller.subscribed_events(), [EventKind::Bw]);
    assert_eq!(bw.recv_timeout(LIMIT).unwrap().kind(), Some(EventKind::Bw));
    let before = tap.sent().len();
    controller.on(|_: &SignalEvent| {}).unwrap();
    assert_eq!(tap.sent()[before..], ["SETEVENTS BW SIGNAL"]);
}

// Row `valid_events`: all that tor offers can be subscribed to at once.
#[test]
fn every_valid_event_can_be_subscribed() {
    let controller = reader();
    let kinds = controller.valid_events().unwrap().to_vec();
    let queue = controller.events(kinds.clone()).unwrap();
    let subscribed: BTreeSet<_> = controller.subscribed_events().into_iter().collect();
    assert_eq!(subscribed, kinds.into_iter().collect());
    // tor has written all its reasons down for this very command, among others.
    assert!(queue.recv_timeout(LIMIT).is_ok());
}

#[test]
fn conf_changed_events_have_each_value() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let (send, typed) = unbounded();
    controller
        .on(move |event: &ConfChangedEvent| {
            let changes: Vec<_> = event
                .changes()
                .map(|change| {
                    (change.name.to_string(), change.value.as_ref().map(ToString::to_string))
                })
                .collect();
            send.send(changes).ok();
        })
        .unwrap();
    let contact = "caf\u{e9} \"#\" = \\ \t x ";
    let next = |settings: &[(&str, Option<&str>)]| {
        controller.set_conf(settings.iter().copied()).unwrap();
        let mut changes = typed.recv_timeout(LIMIT).unwrap();
        changes.sort();
        let mut expected: Vec<_> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
            .collect();
        expected.sort();
        assert_eq!(changes, expected);
    };
    next(&[("ContactInfo", Some(contact)), ("Nickname", Some("abc"))]);
    next(&[("ContactInfo", Some("\"")), ("Nickname", None)]);
    next(&[("ContactInfo", Some("0"))]);
    next(&[
        ("MapAddress", Some("a.example b.example")),
        ("MapAddress", Some("c.example d.example")),
    ]);
    next(&[("ExitNodes", Some("{us}"))]);
    // A command that changes nothing causes no event.
    controller.set_conf([("ContactInfo", "0")]).unwrap();
    next(&[("ContactInfo", Some("1"))]);
}

#[test]
fn addrmap_events_report_mappings_and_failed_resolutions() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let events = listen(&controller, EventKind::AddrMap);
    let reply = controller.command("MAPADDRESS a.example=b.example").unwrap();
    assert_eq!(reply.text(), "a.example=b.example");
    assert_eq!(texts(&events, 1), ["ADDRMAP a.example b.example NEVER CACHED=\"YES\""]);

    let (send, streams) = unbounded();
    controller
        .on(move |event: &StreamEvent| {
            send.send(event.clone()).ok();
        })
        .unwrap();
    controller.command("RESOLVE x.example").unwrap();
    let stream = streams.recv_timeout(LIMIT).unwrap();
    assert_eq!(stream.status().as_str(), "NEWRESOLVE");
    assert_eq!((stream.target().as_str(), stream.circuit()), ("x.example:0", None));
    assert_eq!(stream.purpose().as_ref().unwrap().as_str(), "DNS_REQUEST");
    assert_eq!(stream.nym_epoch(), Some(0));
    let iso: Vec<_> = stream.iso_fields().iter().map(ToString::to_string).collect();
    assert_eq!(
        iso,
        ["SOCKS_USERNAME", "SOCKS_PASSWORD", "CLIENTADDR", "SESSION_GROUP", "NYM_EPOCH"]
    );
    assert_eq!(stream.extra().count(), 0, "every field has a place: {stream}");
    // With the network off again, tor stops trying.
    controller.set_conf([("__LeaveStreamsUnattached", "1")]).unwrap();
    let closed = streams.recv_timeout(LIMIT).unwrap();
    assert_eq!((closed.status().as_str(), &closed.id()), ("CLOSED", &stream.id()));
    assert_eq!(closed.reason().as_ref().unwrap().as_str(), "HIBERNATING");
    let failed = texts(&events, 1).remove(0);
    assert!(failed.starts_with("ADDRMAP x.example <error> \""), "{failed}");
    assert!(failed.contains(" error=yes EXPIRES=\""), "{failed}");
    assert!(failed.ends_with(&format!(" CACHED=\"NO\" STREAMID={}", stream.id())), "{failed}");
}

#[test]
fn a_bug_of_tor_is_a_status_event() {
    let tor = RealTor::builder().line("__LeaveStreamsUnattached 1").start();
    let controller = controller(&tor);
    let (send, status) = unbounded();
    controller
        .on(move |event: &StatusEvent| {
            send.send(event.clone()).ok();
        })
        .unwrap();
    let streams = controller.events([EventKind::Stream]).unwrap();
    controller.command("RESOLVE x.example").unwrap();
    let waiting = streams
        .timeout_iter(LIMIT)
        .find_map(|event| match event {
            Event::Stream(stream) if stream.status().as_str() == "CONTROLLER_WAIT" => {
                Some(stream.id())
            }
            _ => None,
        })
        .unwrap();
    // 0 is no reason, and tor logs a bug. torcon refuses to send it.
    tor.raw().ask(&format!("CLOSESTREAM {waiting} 0"));
    let status = status.recv_timeout(LIMIT).unwrap();
    assert_eq!((status.area(), status.severity()), (StatusArea::General, Severity::Warn));
    assert_eq!(status.action(), StatusAction::Bug);
    let reason = status.argument("REASON").unwrap().to_string();
    assert!(reason.starts_with("connection_ap_about_to_close(): Bug: "), "{reason}");
    assert!(reason.ends_with(")\n"), "unquoted and unescaped: {reason:?}");
}

#[test]
fn log_events_have_a_severity_and_the_whole_message() {
    let tor = RealTor::builder().line("SafeLogging 0").start();
    let controller = controller(&tor);
    let (send, typed) = unbounded();
    controller
        .on(move |event: &LogEvent| {
            send.send((event.severity(), event.message().to_string(), event.to_string())).ok();
        })
        .unwrap();
    let warnings = listen(&controller, EventKind::Warn);
    // The text of a log lost its last letters, if they were O or K (peers 25).
    for end in ["O", "K", "OK", " OK", "."] {
        let option = format!("Nope{end}");
        controller.command(&format!("SETCONF \"{option}\"=1")).unwrap_err();
    }
    // tor accepts an obsolete option, with a warning.
    controller.set_conf([("FastFirstHopPK", "1")]).unwrap();
    let warning = texts(&warnings, 1).remove(0);
    assert!(warning.contains("FastFirstHopPK"), "{warning}");
    controller.signal(Signal::Heartbeat).unwrap();
    let mut seen = Vec::new();
    loop {
        let (severity, message, text) = typed.recv_timeout(LIMIT).unwrap();
        assert_eq!(text, format!("{severity} {message}"));
        // tor's own log has the same line.
        assert!(tor.log_text().contains(&format!("] {message}\n")), "{message}");
        seen.push(severity);
        if message.starts_with("Heartbeat: Tor's uptime") {
            break;
        }
    }
    assert!(seen.contains(&Severity::Warn) && seen.contains(&Severity::Notice), "{seen:?}");
}

#[test]
fn bootstrap_events_report_progress_and_problems() {
    // The network leads to a closed port of this machine.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tor = RealTor::builder().line("UseBridges 1").line(format!("Bridge {closed}")).start();
    let controller = controller(&tor);
    let (send, connections) = unbounded();
    controller
        .on(move |event: &OrConnEvent| {
            send.send(event.clone()).ok();
        })
        .unwrap();
    let status = controller.events([EventKind::StatusClient]).unwrap();
    controller.set_conf([("DisableNetwork", "0")]).unwrap();
    let (mut progress, mut problem) = (None, None);
    for event in status.timeout_iter(LIMIT) {
        let Event::Status(status) = event else { panic!("{event:?}") };
        let bootstrap = status.bootstrap().unwrap();
        match bootstrap.severity {
            Severity::Notice => progress = Some(bootstrap),
            _ => {
                problem = Some(bootstrap);
                break;
            }
        }
    }
    let progress = progress.unwrap();
    assert_eq!((progress.progress, progress.tag.as_str()), (5, "conn"));
    assert_eq!(progress.summary, "Connecting to a relay");
    let problem = problem.unwrap();
    assert_eq!(problem.severity, Severity::Warn);
    assert_eq!(problem.warning.as_deref(), Some("Connection refused"));
    assert_eq!(problem.reason.unwrap().as_str(), "CONNECTREFUSED");
    assert_eq!(problem.host_addr.unwrap().as_str(), closed.to_string());
    // Peers 41: a client that subscribes late queries the phase.
    let phase = controller.bootstrap_phase().unwrap();
    assert_eq!((phase.progress, phase.warning.as_deref()), (5, Some("Connection refused")));
    let launched = connections.recv_timeout(LIMIT).unwrap();
    assert_eq!(launched.status().as_str(), "LAUNCHED");
    let failed = connections.recv_timeout(LIMIT).unwrap();
    assert_eq!(failed.status().as_str(), "FAILED");
    assert_eq!(failed.reason().unwrap().as_str(), "CONNECTREFUSED");
    controller.set_conf([("DisableNetwork", "1")]).unwrap();
}

// An event that a command causes may precede or follow its reply; listeners get it once.
#[test]
fn signal_events_arrive_in_order_on_every_connection() {
    let tor = RealTor::start();
    let (asker, watcher) = (controller(&tor), controller(&tor));
    let own = listen(&asker, EventKind::Signal);
    let others = listen(&watcher, EventKind::Signal);
    let names = ["DUMP", "HEARTBEAT", "CLEARDNSCACHE", "DORMANT", "ACTIVE", "DEBUG"];
    for name in names {
        asker.signal(Signal::from(name)).unwrap();
    }
    let expected = names.map(|name| format!("SIGNAL {name}"));
    assert_eq!(texts(&own, names.len()), expected);
    assert_eq!(texts(&others, names.len()), expected);
}

// Peers 11: a listener may do anything, on the events of a real tor.
#[test]
fn a_listener_may_send_commands_subscribe_wait_and_remove_itself() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let (send, receive) = unbounded();
    let weak = controller.downgrade();
    let own_id = Arc::new(Mutex::new(None));
    let mine = Arc::clone(&own_id);
    let id = controller
        .add_event_listener(EventKind::Signal, move |event| {
            let controller = weak.upgrade().unwrap();
            let pid = controller.get_info_one("process/pid").unwrap();
            let queue = controller.events([EventKind::ConfChanged]).unwrap();
            controller.set_conf([("Nickname", "inside")]).unwrap();
            // The reader thread fills queues, so events arrive while a listener runs.
            let change = queue.recv_timeout(LIMIT).ok().and_then(|event| event.kind());
            let own: torcon::ListenerId = mine.lock().take().unwrap();
            controller.remove_event_listener(own).unwrap();
            send.send((event.to_string(), pid, change)).unwrap();
        })
        .unwrap();
    *own_id.lock() = Some(id);
    controller.signal(Signal::Heartbeat).unwrap();
    let change = Some(EventKind::ConfChanged);
    let expected = ("SIGNAL HEARTBEAT".to_owned(), tor.pid().to_string(), change);
    assert_eq!(receive.recv_timeout(LIMIT).unwrap(), expected);
    controller.signal(Signal::Heartbeat).unwrap();
    // The listener was dropped, with its end of the channel.
    assert!(receive.recv_timeout(LIMIT).is_err());
    assert_eq!(controller.subscribed_events(), []);
}

#[test]
fn a_listener_that_panics_is_removed_and_the_others_stay() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let (send, panics) = unbounded();
    controller
        .add_event_listener(EventKind::Signal, move |_| {
            send.send(()).unwrap();
            panic!("a listener panics, as planned");
        })
        .unwrap();
    let events = listen(&controller, EventKind::Signal);
    for name in ["HEARTBEAT", "DUMP"] {
        controller.signal(Signal::from(name)).unwrap();
        assert_eq!(texts(&events, 1), [format!("SIGNAL {name}")]);
    }
    assert_eq!(panics.iter().count(), 1);
    // Another queue still receives events, and a new listener can be added.
    let queue = controller.events([EventKind::Signal]).unwrap();
    controller.signal(Signal::Heartbeat).unwrap();
    assert_eq!(queue.recv_timeout(LIMIT).unwrap().to_string(), "SIGNAL HEARTBEAT");
}

// Row `events`, by pulling: a queue ends with its connection, and not before it is empty.
#[test]
fn a_queue_returns_every_event_before_the_end() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let queue = controller.events([EventKind::ConfChanged]).unwrap();
    for number in 0..50 {
        controller.set_conf([("Nickname", format!("n{number}"))]).unwrap();
    }
    // Events of a command may follow its reply, but precede those of later commands.
    controller.get_info_one("version").unwrap();
    let first = queue.recv_timeout(LIMIT).unwrap();
    assert_eq!(first.to_string(), "CONF_CHANGED\nNickname=n0");
    tor.terminate();
    controller.wait_closed(LIMIT).unwrap();
    let rest: Vec<_> = queue.iter().map(|event| event.to_string()).collect();
    let expected: Vec<_> = (1..50).map(|n| format!("CONF_CHANGED\nNickname=n{n}")).collect();
    assert_eq!(rest, expected);
    assert!(queue.is_empty());
    assert!(queue.recv_timeout(LIMIT).unwrap_err().is_closed());
}

// Events that exceed the queue of a slow listener are dropped, and their number is reported.
#[test]
fn a_slow_listener_gets_the_number_of_lost_events() {
    let tor = RealTor::start();
    let options = ConnectOptions::new().event_limit(20_000);
    let controller = options.connect(tor.endpoint()).unwrap();
    let (go_on, gate) = signal();
    let (send, receive) = unbounded();
    controller
        .add_event_listener(EventKind::ConfChanged, move |event| {
            send.send(event.clone()).ok();
            gate.wait_timeout(LIMIT).ok();
        })
        .unwrap();
    let last = 600;
    for number in 0..=last {
        // Commands go on meanwhile: the reader waits for no listener.
        controller.set_conf([("Nickname", format!("n{number}"))]).unwrap();
    }
    let (mut delivered, mut lost, mut next) = (0, 0, 0);
    let deadline = Instant::now() + LIMIT;
    while next <= last {
        assert!(Instant::now() < deadline);
        go_on.fire();
        match receive.recv_timeout(Duration::from_millis(500)) {
            Ok(Event::Lagged { dropped, .. }) => {
                assert!(dropped > 0);
                lost += dropped;
                next += dropped;
            }
            Ok(event) => {
                assert_eq!(event.to_string(), format!("CONF_CHANGED\nNickname=n{next}"));
                delivered += 1;
                next += 1;
            }
            // `Lagged` precedes the next event that fits into the queue.
            Err(_) => controller.set_conf([("ContactInfo", "room")]).unwrap(),
        }
    }
    assert_eq!(delivered + lost, last + 1);
    assert!(delivered > 50 && lost > 50, "{delivered} delivered, {lost} lost");
}
