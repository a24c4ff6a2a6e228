//! `SETEVENTS`: when it is sent, and its refusal.

use std::time::Duration;

use crossbeam_channel::unbounded;
use torcon::event::LogEvent;
use torcon::{Event, EventKind};

use super::{answer, connected, next, served};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// Returns the `SETEVENTS` lines of a dialogue.
fn sent(tor: &crate::support::fake_tor::FakeTor) -> Vec<String> {
    tor.lines().into_iter().filter(|line| line.starts_with("SETEVENTS")).collect()
}

#[test]
fn setevents_is_sent_only_on_change_and_sorted() {
    // Rule 7; peers 12: it was sent in the order of a hash map (zwuevi, bine).
    let (tor, controller) = served();
    let stream = controller.add_event_listener(EventKind::Stream, |_| {}).unwrap();
    let other = controller.add_event_listener(EventKind::Stream, |_| {}).unwrap();
    let queue = controller.events([EventKind::Circ, EventKind::Bw, EventKind::Stream]).unwrap();
    let text = controller.add_text_listener(EventKind::Bw, |_| {}).unwrap();
    let logs = controller.on(|_: &LogEvent| {}).unwrap();
    assert_eq!(
        controller.subscribed_events().iter().map(EventKind::as_str).collect::<Vec<_>>(),
        ["BW", "CIRC", "ERR", "NOTICE", "STREAM", "WARN"]
    );
    controller.remove_event_listener(stream).unwrap();
    controller.remove_event_listener(logs).unwrap();
    drop(queue);
    controller.remove_event_listener(text).unwrap();
    controller.remove_event_listener(other).unwrap();
    drop(controller);
    assert_eq!(
        sent(&tor),
        [
            "SETEVENTS STREAM",
            "SETEVENTS BW CIRC STREAM",
            "SETEVENTS BW CIRC ERR NOTICE STREAM WARN",
            "SETEVENTS BW CIRC STREAM",
            "SETEVENTS BW STREAM",
            "SETEVENTS STREAM",
            "SETEVENTS",
        ]
    );
    tor.finish();
}

#[test]
fn a_refusal_names_the_event_and_keeps_the_former_set() {
    // Rule 7; peers 14: a refused event stayed registered and poisoned later ones (Stem).
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK"]);
        script.answer("SETEVENTS BW NOPE", &["552 Unrecognized event \"NOPE\""]);
        // The refused one is not tried again.
        script.answer("SETEVENTS BW CIRC", &["250 OK", "650 BW 1 2", "650 CIRC 1 LAUNCHED"]);
        script.answer("SETEVENTS BW CIRC NOPE", &["552 Unrecognized event \"NOPE\""]);
        script.drain();
    });
    let bw = controller.events([EventKind::Bw]).unwrap();
    let error = controller.add_event_listener(EventKind::from("NOPE"), |_| {}).unwrap_err();
    assert_eq!(error.to_string(), r#"tor refused SETEVENTS: 552 "Unrecognized event \"NOPE\"""#);
    assert_eq!(controller.subscribed_events(), [EventKind::Bw]);
    let circ = controller.events([EventKind::Circ]).unwrap();
    assert_eq!(bw.recv().unwrap().to_string(), "BW 1 2");
    assert_eq!(circ.recv().unwrap().to_string(), "CIRC 1 LAUNCHED");
    // A set of which one is refused is refused as a whole.
    let kinds = [EventKind::Circ, EventKind::from("NOPE"), EventKind::Bw];
    assert_eq!(controller.events(kinds).unwrap_err().status_code(), Some(552));
    assert_eq!(controller.subscribed_events(), [EventKind::Bw, EventKind::Circ]);
    // Nothing had to be sent for that.
    controller.add_event_listener(EventKind::Circ, |_| {}).unwrap();
    drop((bw, circ, controller));
    tor.finish();
}

#[test]
fn an_invalid_kind_is_refused_before_it_is_sent() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK"]).expect_end();
    });
    for name in ["", "A B", "A\r\nQUIT", "A\nQUIT", "A\0"] {
        let error = controller.add_event_listener(EventKind::from(name), |_| {}).unwrap_err();
        assert!(error.to_string().starts_with("invalid argument \"event\": "), "{error}");
        assert_eq!(controller.subscribed_events(), []);
    }
    let error = controller.events(Vec::<EventKind>::new()).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"kinds\": none is given");
    controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    drop(controller);
    tor.finish();
}

#[test]
fn after_a_timeout_the_whole_set_is_sent_again() {
    // Rule 7: the set in force is unknown, so the next change sends the whole set, even if it
    // equals the last known one.
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK"]);
        script.expect("SETEVENTS BW CIRC").expect("GETINFO torcon/sync/4");
        script.send("250 OK\r\n552 Unrecognized key \"torcon/sync/4\"\r\n");
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 1 2"]).drain();
    });
    let bw = controller.events([EventKind::Bw]).unwrap();
    let short = controller.with_timeout(Duration::from_millis(40));
    let error = short.add_event_listener(EventKind::Circ, |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 40ms waiting for the reply to SETEVENTS");
    let second = controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    assert_eq!(controller.subscribed_events(), [EventKind::Bw]);
    assert_eq!(bw.recv().unwrap().to_string(), "BW 1 2");
    controller.remove_event_listener(second).unwrap();
    controller.close();
    drop((bw, controller, short));
    tor.finish();
}

#[test]
fn the_next_change_drops_the_kind_of_a_listener_that_panicked() {
    // Rules 6 and 7.
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK"]);
        script.answer("SETEVENTS BW CIRC", &["250 OK", "650 BW 1 2", "650 CIRC 1 LAUNCHED"]);
        script.answer("SETEVENTS CIRC STREAM", &["250 OK"]).drain();
    });
    let bw = |_: &Event| panic!("as the test wants");
    let panicked = controller.add_event_listener(EventKind::Bw, bw).unwrap();
    let (seen, events) = unbounded();
    let circ = move |event: &Event| seen.send(event.to_string()).unwrap();
    controller.add_event_listener(EventKind::Circ, circ).unwrap();
    // The other event arrives after the panic.
    assert_eq!(next(&events), "CIRC 1 LAUNCHED");
    controller.add_event_listener(EventKind::Stream, |_| {}).unwrap();
    assert_eq!(controller.subscribed_events(), [EventKind::Circ, EventKind::Stream]);
    let error = controller.remove_event_listener(panicked).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"listener\": does not exist");
    controller.close();
    drop(controller);
    tor.finish();
}

#[test]
fn a_listener_can_be_removed_once() {
    let (tor, controller) = served();
    let id = controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    controller.remove_event_listener(id).unwrap();
    let error = controller.remove_event_listener(id).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"listener\": does not exist");
    drop(controller);
    tor.finish();
}

#[test]
fn a_listener_is_removed_even_if_setevents_fails() {
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.answer("SETEVENTS BW", &["250 OK"]);
        script.expect("SETEVENTS").wait_for(&test_says).send("650 BW 1 2\r\n250 OK\r\n");
        script.serve(answer);
    });
    let called = unbounded();
    let listener = move |_: &Event| called.0.send(()).unwrap();
    let id = controller.add_event_listener(EventKind::Bw, listener).unwrap();
    let short = controller.with_timeout(Duration::from_millis(40));
    assert!(short.remove_event_listener(id).unwrap_err().is_timeout());
    go_on.fire();
    assert_eq!(controller.get_info_one("a").unwrap(), super::value("a"));
    assert_eq!(called.1.try_iter().count(), 0);
    drop((controller, short));
    tor.finish();
}

#[test]
fn no_event_between_the_subscription_and_its_confirmation_is_missed() {
    // Rule 7: first the listener, then the subscription.
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS BW").send("650 BW 1 2\r\n250 OK\r\n").drain();
    });
    let queue = controller.events([EventKind::Bw]).unwrap();
    assert_eq!(queue.recv().unwrap().to_string(), "BW 1 2");
    controller.close();
    drop((queue, controller));
    tor.finish();
}
