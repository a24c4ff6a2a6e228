use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use torcon::ConnectOptions;
use torcon::state::{AddressChange, CircuitChange, CircuitUpdate, State, StreamChange};

use super::{LIMIT, followed, greet, send_event, serve_events};
use crate::scripted::{connected_with, next};
use crate::support::exclusive::exclusive;
use crate::support::leaks::{Holdings, threads};
use crate::support::log_capture::LogCapture;
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// A listener that writes its updates as text, and the receiver of the texts.
fn written() -> (impl FnMut(&CircuitUpdate) + Send + 'static, Receiver<String>) {
    let (seen, updates) = unbounded();
    let write = move |update: &CircuitUpdate| {
        let text = format!("{} {:?} {}", update.info.id(), update.change, update.info.status());
        let _ = seen.send(text);
    };
    (write, updates)
}

#[track_caller]
fn assert_told(updates: &Receiver<String>, expected: &[&str]) {
    let received: Vec<_> = expected.iter().map(|_| next(updates)).collect();
    assert_eq!(received, expected);
}

#[test]
fn a_listener_gets_what_exists_first_and_then_every_change_in_order() {
    let circuits = &["7 BUILT $E8F7~x PURPOSE=GENERAL", "6 LAUNCHED PURPOSE=GENERAL"];
    let (tor, controller, state) = followed(circuits, &[], serve_events);
    let (first, of_first) = written();
    state.on_circuit(first).unwrap();
    assert_told(&of_first, &["6 Existing LAUNCHED", "7 Existing BUILT"]);
    send_event(&controller, "CIRC 8 LAUNCHED PURPOSE=GENERAL");
    send_event(&controller, "CIRC 6 FAILED PURPOSE=GENERAL REASON=TIMEOUT");
    let (second, of_second) = written();
    state.on_circuit(second).unwrap();
    send_event(&controller, "CIRC 8 EXTENDED $E8F7~x PURPOSE=GENERAL");
    send_event(&controller, "CIRC 8 BUILT $E8F7~x PURPOSE=GENERAL");
    send_event(&controller, "CIRC_MINOR 8 PURPOSE_CHANGED PURPOSE=CONTROLLER OLD_PURPOSE=GENERAL");
    send_event(&controller, "CIRC 8 CLOSED $E8F7~x PURPOSE=CONTROLLER REASON=FINISHED");
    let last = [
        "8 Extended EXTENDED",
        "8 Built BUILT",
        "8 PurposeChanged { old_purpose: Some(General), old_hs_state: None } BUILT",
        "8 Closed CLOSED",
    ];
    assert_told(&of_first, &["8 New LAUNCHED", "8 Launched LAUNCHED", "6 Failed FAILED"]);
    assert_told(&of_first, &last);
    assert_told(&of_second, &["7 Existing BUILT", "8 Existing LAUNCHED"]);
    assert_told(&of_second, &last);
    drop((state, controller));
    tor.finish();
}

#[test]
fn a_listener_of_one_circuit_or_stream_gets_nothing_else_and_ends_with_it() {
    let (tor, controller, state) = followed(
        &["7 BUILT $E8F7~x PURPOSE=GENERAL", "8 BUILT $E8F7~x PURPOSE=GENERAL"],
        &["17 NEW 0 a.example:80", "18 NEW 0 b.example:80"],
        serve_events,
    );
    let (listener, updates) = written();
    let id = state.circuits()[0].on_update(listener).unwrap();
    let (seen, changes) = unbounded();
    let stream = state.streams().remove(1);
    stream.on_update(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
    for text in [
        "STREAM 17 SENTCONNECT 7 a.example:80",
        "STREAM 18 SENTCONNECT 8 b.example:80",
        "CIRC 8 CLOSED $E8F7~x PURPOSE=GENERAL REASON=FINISHED",
        "CIRC 7 CLOSED $E8F7~x PURPOSE=GENERAL REASON=FINISHED",
        "STREAM 18 CLOSED 8 b.example:80 REASON=DESTROY",
    ] {
        send_event(&controller, text);
    }
    assert_told(&updates, &["7 Existing BUILT", "7 Closed CLOSED"]);
    assert!(updates.recv_timeout(LIMIT).is_err(), "the closure is gone");
    let received: Vec<_> = changes.iter().collect();
    let attached = StreamChange::Attached(8.into());
    assert_eq!(
        received,
        [StreamChange::Existing, attached, StreamChange::Sent, StreamChange::Closed]
    );
    let error = state.remove_listener(id).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"listener\": does not exist");
    drop((state, stream, controller));
    tor.finish();
}

#[test]
fn a_removed_listener_is_not_called_again_also_if_it_removes_itself() {
    let (tor, controller, state) =
        followed(&["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[], serve_events);
    let (listener, updates) = written();
    let id = state.on_circuit(listener).unwrap();
    assert_told(&updates, &["7 Existing BUILT"]);
    state.remove_listener(id).unwrap();
    assert!(updates.recv_timeout(LIMIT).is_err(), "the closure is gone");

    let (tell_id, own_id) = bounded(1);
    let (seen, calls) = unbounded();
    let id = state.on_circuit(move |update| {
        let id = own_id.recv_timeout(LIMIT).unwrap();
        update.circuit.state().remove_listener(id).unwrap();
        seen.send(update.info.id()).unwrap();
    });
    tell_id.send(id.unwrap()).unwrap();
    send_event(&controller, "CIRC 7 CLOSED $E8F7~x PURPOSE=GENERAL REASON=FINISHED");
    assert_eq!(calls.iter().count(), 1);
    drop((state, controller));
    tor.finish();
}

#[test]
fn a_panic_removes_only_the_listener_that_panicked() {
    exclusive(|| {
        let holdings = Holdings::now();
        let log = LogCapture::start();
        let (tor, controller, state) =
            followed(&["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[], serve_events);
        let id = state.on_circuit(|_| panic!("the marker 7ae310")).unwrap();
        let (calm, updates) = written();
        state.on_circuit(calm).unwrap();
        send_event(&controller, "CIRC 7 CLOSED $E8F7~x PURPOSE=GENERAL REASON=FINISHED");
        assert_told(&updates, &["7 Existing BUILT", "7 Closed CLOSED"]);
        let lines = log.lines_with("7ae310");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(
            lines[0].text,
            "a listener of a state panicked and was removed: the marker 7ae310"
        );
        assert!(state.remove_listener(id).is_err());
        drop((state, controller));
        tor.finish();
        holdings.assert_restored(LIMIT);
    });
}

#[test]
fn lost_updates_of_a_slow_listener_are_counted_and_reported_and_the_state_has_them() {
    let (tor, controller) = connected_with(&ConnectOptions::new().event_limit(2048), |script| {
        greet(script, &["7 LAUNCHED PURPOSE=GENERAL"], &[]);
        serve_events(script);
    });
    let state = State::new(&controller).unwrap();
    let log = LogCapture::start();
    let (go_on, test_says) = signal();
    let mut test_says = Some(test_says);
    let (seen, updates) = unbounded();
    let slow = move |update: &CircuitUpdate| {
        seen.send((update.info.path().len(), update.lost)).unwrap();
        if let Some(test_says) = test_says.take() {
            test_says.wait();
        }
    };
    state.on_circuit(slow).unwrap();
    assert_eq!(next(&updates), (0, 0));
    let path = |length: usize| vec!["$E8F7~x"; length].join(",");
    for length in 1..=10 {
        send_event(&controller, &format!("CIRC 7 EXTENDED {} PURPOSE=GENERAL", path(length)));
    }
    let info = state.circuits()[0].info();
    assert_eq!(info.path().len(), 10);
    go_on.fire();
    // As many as fit, and then the newest, which counts those that it replaced.
    let (mut length, mut lost) = (0, 0);
    while length < 10 {
        let (next_length, lost_before) = next(&updates);
        assert_eq!(next_length, length + 1 + lost_before as usize);
        (length, lost) = (next_length, lost + lost_before);
    }
    assert!(lost > 0, "the limit is small");
    // When the reader thread logged it, a logger that used the connection blocked the reader.
    let lines = log.lines_with("a listener of a state is too slow");
    assert!(!lines.is_empty() && lines.iter().all(|line| line.thread == "torcon-state"));
    send_event(&controller, &format!("CIRC 7 EXTENDED {} PURPOSE=GENERAL", path(11)));
    assert_eq!(next(&updates), (11, 0));
    send_event(&controller, &format!("CIRC 7 BUILT {} PURPOSE=GENERAL", path(11)));
    assert_eq!(next(&updates), (11, 0));
    drop((state, controller));
    tor.finish();
}

#[test]
fn a_listener_may_send_commands_wait_add_listeners_and_close_the_connection() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller, state) =
            followed(&["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[], serve_events);
        let (seen, done) = unbounded();
        let busy = move |update: &CircuitUpdate| {
            let state = update.circuit.state();
            let controller = state.controller();
            if update.change == CircuitChange::Existing {
                assert_eq!(controller.get_info_one("version").unwrap(), "value of version");
                // The state applies events that arrive while the listener runs.
                send_event(&controller, "CIRC 8 LAUNCHED PURPOSE=GENERAL");
                assert_eq!(state.circuits().len(), 2);
                let seen = seen.clone();
                state
                    .on_stream(move |update| seen.send(update.info.target().to_string()).unwrap())
                    .unwrap();
                send_event(&controller, "STREAM 1 NEW 0 a.example:80");
            } else {
                controller.close();
                seen.send("closed".to_owned()).unwrap();
            }
        };
        state.on_circuit(busy).unwrap();
        // The listener closes the connection at the second circuit, and no update follows.
        assert_eq!(next(&done), "closed");
        assert_eq!(done.iter().collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(state.circuits().len(), 2);
        drop((state, controller));
        tor.finish();
        holdings.assert_restored(LIMIT);
    });
}

#[test]
fn the_last_handle_may_be_dropped_inside_a_listener() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller, state) =
            followed(&["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[], serve_events);
        let (give, take) = bounded::<State>(1);
        let (seen, done) = unbounded();
        state
            .on_circuit(move |update| {
                drop(take.recv_timeout(LIMIT).unwrap());
                seen.send(update.circuit.state().controller().is_alive()).unwrap();
            })
            .unwrap();
        drop(controller);
        give.send(state).unwrap();
        assert!(next(&done), "its argument is a handle");
        tor.finish();
        holdings.assert_restored(LIMIT);
    });
}

#[test]
fn listeners_get_what_came_before_the_end_of_the_connection_and_then_their_thread_ends() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (go_on, wait) = signal();
        let (tor, controller, state) = followed(&[], &[], move |script| {
            script.wait_for(&wait).send("650 CIRC 8 LAUNCHED PURPOSE=GENERAL\r\n").close();
        });
        assert_eq!(threads("torcon-state"), Vec::<String>::new(), "no listener is left");
        let (listener, updates) = written();
        state.on_circuit(listener).unwrap();
        go_on.fire();
        assert_told(&updates, &["8 New LAUNCHED", "8 Launched LAUNCHED"]);
        assert!(updates.recv_timeout(LIMIT).is_err(), "the closure is gone");
        tor.finish();
        drop((state, controller));
        holdings.assert_restored(LIMIT);
    });
}

/// Writes a time as tor does in `ADDRMAP`, in UTC.
fn written_time(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let is_leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02}", days + 1)
}

fn on_address(state: &State) -> Receiver<(String, AddressChange, SystemTime)> {
    let (seen, updates): (Sender<_>, _) = unbounded();
    state
        .on_address(move |update| {
            let _ = seen.send((update.mapping.address.clone(), update.change, SystemTime::now()));
        })
        .unwrap();
    updates
}

#[test]
fn an_expired_mapping_is_left_out_and_reported_to_listeners() {
    let (tor, controller, state) = followed(&[], &[], serve_events);
    send_event(&controller, "ADDRMAP a.example 10.0.0.1 NEVER CACHED=\"YES\"");
    let updates = on_address(&state);
    let (name, change, _) = next(&updates);
    assert_eq!((name.as_str(), change), ("a.example", AddressChange::Existing));
    // tor writes whole seconds.
    let end = written_time(SystemTime::now() + Duration::from_secs(6));
    send_event(
        &controller,
        &format!("ADDRMAP b.example 10.0.0.2 \"{end}\" EXPIRES=\"{end}\" CACHED=\"YES\""),
    );
    let (name, change, _) = next(&updates);
    assert_eq!((name.as_str(), change), ("b.example", AddressChange::Mapped));
    let map = state.address_map();
    assert_eq!(map.len(), 2);
    let end = map[1].expires.unwrap();
    let (name, change, expired_at) = next(&updates);
    assert_eq!((name.as_str(), change), ("b.example", AddressChange::Expired));
    assert!(expired_at >= end, "{expired_at:?} {end:?}");
    assert_eq!(state.address_map().len(), 1);
    assert_eq!(state.snapshot().address_map.len(), 1);
    send_event(&controller, "ADDRMAP a.example  NEVER CACHED=\"YES\"");
    let (name, change, _) = next(&updates);
    assert_eq!((name.as_str(), change), ("a.example", AddressChange::Removed));
    drop((state, controller));
    tor.finish();
}

#[test]
fn a_mapping_that_expired_long_ago_is_not_reported() {
    let (tor, controller, state) = followed(&[], &[], serve_events);
    let old = "2026-01-01 00:00:00";
    send_event(
        &controller,
        &format!("ADDRMAP b.example 10.0.0.2 \"{old}\" EXPIRES=\"{old}\" CACHED=\"YES\""),
    );
    assert!(state.address_map().is_empty());
    let updates = on_address(&state);
    send_event(&controller, "ADDRMAP a.example 10.0.0.1 NEVER CACHED=\"YES\"");
    let names: Vec<_> =
        (0..2).map(|_| next(&updates)).map(|(name, change, _)| (name, change)).collect();
    assert!(names.contains(&("a.example".to_owned(), AddressChange::Mapped)), "{names:?}");
    assert!(names.contains(&("b.example".to_owned(), AddressChange::Expired)), "{names:?}");
    drop((state, controller));
    tor.finish();
}
