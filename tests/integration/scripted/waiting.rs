use std::time::Duration;

use torcon::command::ExtendCircuit;
use torcon::names::CircuitId;
use torcon::{ConnectOptions, Controller, Error, Event, EventKind};

use super::{LIMIT, answer, closed, connected, connected_with, join, next, start};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

fn any(_: &Event) -> bool {
    true
}

/// The predicate for a circuit that is built.
fn is_built(id: &CircuitId, event: &Event) -> bool {
    event.to_string().starts_with(&format!("CIRC {id} BUILT "))
}

#[test]
fn the_first_matching_event_is_returned_and_the_subscription_ends() {
    let (tor, controller) = connected(|script| {
        let events = ["650 BW 1 2", "650 CIRC 1 LAUNCHED", "650 BW 3 4", "650 BW 5 6"];
        script.expect("SETEVENTS BW").send("250 OK\r\n").send_lines(&events);
        // No caller waits for the answer.
        script.expect("SETEVENTS").expect_end();
    });
    let mut seen = Vec::new();
    let is_wanted = |event: &Event| {
        seen.push(event.to_string());
        matches!(event, Event::Bw(bw) if bw.bytes_read() > 1)
    };
    let event = controller.wait_for(EventKind::Bw, is_wanted, LIMIT).unwrap();
    assert_eq!(event.to_string(), "BW 3 4");
    assert_eq!(seen, ["BW 1 2", "BW 3 4"]);
    assert!(controller.subscribed_events().is_empty());
    drop(controller);
    tor.finish();
}

#[test]
fn events_of_every_form_can_be_awaited() {
    let (tor, controller) = connected(|script| {
        let lines = ["250 OK", "650-CONF_CHANGED", "650-Nickname=a", "650 OK"];
        script.answer("SETEVENTS CONF_CHANGED", &lines);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer("SETEVENTS NS", &["250 OK", "650+NS", "r a", "..", ".", "650 OK"]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer("SETEVENTS BW", &["250 OK", "650 BW x y"]);
        script.drain();
    });
    let text = |kind| controller.wait_for(kind, any, LIMIT).unwrap().to_string();
    assert_eq!(text(EventKind::ConfChanged), "CONF_CHANGED\nNickname=a");
    assert_eq!(text(EventKind::Ns), "NS\nr a\n.");
    let event = controller.wait_for(EventKind::Bw, any, LIMIT).unwrap();
    assert!(matches!(event, Event::Malformed { .. }), "{event:?}");
    drop(controller);
    tor.finish();
}

#[test]
fn an_event_before_the_reply_of_its_command_is_not_missed() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS CIRC", &["250 OK", "650 CIRC 34 BUILT $E8F7"]);
        script.answer("EXTENDCIRCUIT 0", &["650 CIRC 35 BUILT $E8F7", "250 EXTENDED 35"]);
        script.drain();
    });
    let extend = ExtendCircuit::new();
    let (id, event) =
        controller.execute_and_wait(&extend, EventKind::Circ, is_built, LIMIT).unwrap();
    assert_eq!(id, CircuitId::from(35));
    assert_eq!(event.to_string(), "CIRC 35 BUILT $E8F7");
    drop(controller);
    tor.finish();
}

#[test]
fn a_refused_command_is_not_waited_for() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS CIRC", &["250 OK"]);
        script.answer("EXTENDCIRCUIT 0", &["551 Couldn't start circuit"]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer("SETEVENTS NOPE", &["552 Unrecognized event \"NOPE\""]);
        script.drain();
    });
    let wait = |kind| controller.execute_and_wait(&ExtendCircuit::new(), kind, is_built, LIMIT);
    assert_eq!(wait(EventKind::Circ).unwrap_err().status_code(), Some(551));
    let error = controller.wait_for(EventKind::from("NOPE"), any, LIMIT).unwrap_err();
    assert_eq!(error.status_code(), Some(552));
    drop(controller);
    tor.finish();
}

#[test]
fn a_wait_ends_with_its_limit_or_the_connection() {
    let (end, ended) = signal();
    let (tor, controller) = connected(move |script| {
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 1 2"]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 1 2"]);
        script.wait_for(&ended).close();
    });
    let limit = Duration::from_millis(50);
    let error = controller.wait_for(EventKind::Bw, |_| false, limit).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 50ms waiting for an event");
    let waiting = controller.clone();
    let thread = start(move || {
        let end_and_go_on = |_: &Event| {
            end.fire();
            false
        };
        waiting.wait_for(EventKind::Bw, end_and_go_on, LIMIT)
    });
    assert_eq!(closed(join(thread)), "tor closed the connection");
    let outcome = controller.wait_for(EventKind::Bw, any, LIMIT);
    assert!(matches!(outcome, Err(Error::Closed(_))), "{outcome:?}");
    drop(controller);
    tor.finish();
}

#[test]
fn a_listener_can_wait_for_an_event() {
    // Events reach listeners on one thread, which is the one that waits here.
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 1 2"]);
        script.answer("SETEVENTS BW CIRC", &["250 OK", "650 CIRC 1 LAUNCHED"]);
        script.serve(answer);
    });
    let weak = controller.downgrade();
    let (send, receive) = crossbeam_channel::unbounded();
    let listener = move |_: &Event| {
        let controller: Controller = weak.upgrade().unwrap();
        let event = controller.wait_for(EventKind::Circ, any, LIMIT).unwrap();
        send.send(event.to_string()).unwrap();
    };
    controller.add_event_listener(EventKind::Bw, listener).unwrap();
    assert_eq!(next(&receive), "CIRC 1 LAUNCHED");
    drop(controller);
    tor.finish();
}

#[test]
fn events_that_arrive_faster_than_they_are_tested_are_counted() {
    let (go, may_go) = signal();
    let options = ConnectOptions::new().event_limit(1000);
    let (tor, controller) = connected_with(&options, move |script| {
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 1 0"]);
        script.flood("650 BW 2 0\r\n", 100);
        script.answer("GETINFO a", &["250-a=1", "250 OK"]);
        script.wait_for(&may_go).send("650 BW 3 0\r\n");
        script.drain();
    });
    let (mut dropped, mut read) = (0, 0);
    let asking = controller.clone();
    let is_last = |event: &Event| {
        match event {
            Event::Bw(bw) if bw.bytes_read() == 1 => {
                // The answer follows the whole flood.
                asking.get_info_one("a").unwrap();
            }
            Event::Bw(bw) if bw.bytes_read() == 2 => {
                read += 1;
                go.fire();
            }
            Event::Lagged { dropped: lost, .. } => dropped += lost,
            _ => {}
        }
        matches!(event, Event::Bw(bw) if bw.bytes_read() == 3)
    };
    controller.wait_for(EventKind::Bw, is_last, LIMIT).unwrap();
    assert_eq!(dropped + read, 100);
    assert!(dropped > 50, "only {dropped} did not fit");
    drop((controller, asking));
    tor.finish();
}
