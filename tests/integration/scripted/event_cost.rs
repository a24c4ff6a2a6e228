//! The cost of many listeners and waits, for their callers and for the reader.

use std::time::Instant;

use torcon::{Event, EventKind};

use super::{LIMIT, answer, connected, join, served, start};
use crate::support::exclusive::exclusive;
use crate::support::watchdog::eventually;

#[test]
fn thousands_of_listeners_are_added_and_removed_quickly() {
    // Adding one took longer the more there were: 18 ms at 4,000.
    let (tor, controller) = served();
    let start = Instant::now();
    let ids: Vec<_> =
        (0..4000).map(|_| controller.add_event_listener(EventKind::Bw, |_| {}).unwrap()).collect();
    ids.into_iter().for_each(|id| controller.remove_event_listener(id).unwrap());
    let elapsed = start.elapsed();
    assert!(elapsed < LIMIT, "{elapsed:?}");
    drop(controller);
    tor.finish();
}

#[test]
fn the_id_of_a_listener_is_invalid_on_another_connection() {
    let (tor, controller) = served();
    let (other_tor, other) = served();
    let id = controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    let other_id = other.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    assert_ne!(id, other_id);
    let error = other.remove_event_listener(id).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"listener\": does not exist");
    controller.remove_event_listener(id).unwrap();
    other.remove_event_listener(other_id).unwrap();
    drop((controller, other));
    tor.finish();
    other_tor.finish();
}

#[test]
fn waits_for_other_events_cost_the_reader_almost_nothing() {
    const WAITS: usize = 300;
    const EVENTS: u64 = 100_000;
    exclusive(|| {
        let (tor, controller) = connected(|script| {
            loop {
                let line = script.expect_line("a command");
                match line.as_str() {
                    "QUIT" => break,
                    "FLOOD" => {
                        script.flood("650 BW 1 2\r\n", EVENTS).send("250 OK\r\n");
                    }
                    line => {
                        let mut out = Vec::new();
                        answer(line, &mut out);
                        script.send(out);
                    }
                }
            }
        });
        // Without a listener the reader would skip the events.
        let is_over = |event: &Event| matches!(event, Event::Circ(_));
        controller.on_lagged(|_| {}).unwrap();
        let flood = || {
            let start = Instant::now();
            controller.command("FLOOD").unwrap();
            start.elapsed()
        };
        let alone = (0..3).map(|_| flood()).min().unwrap();
        let waits: Vec<_> = (0..WAITS)
            .map(|_| {
                let controller = controller.clone();
                start(move || {
                    let outcome = controller.wait_for(EventKind::Circ, is_over, 4 * LIMIT);
                    assert!(outcome.unwrap_err().is_closed());
                })
            })
            .collect();
        while controller.subscribed_events().is_empty() {
            std::thread::yield_now();
        }
        // On a loaded machine some of the threads still begin to wait.
        eventually(LIMIT, "a flood takes less than ten times as long", || flood() < 10 * alone);
        controller.command("QUIT").ok();
        controller.close();
        waits.into_iter().for_each(join);
        drop(controller);
        tor.finish();
    });
}
