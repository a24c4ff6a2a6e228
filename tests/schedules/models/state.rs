//! Models of a state: the reader thread applies events while other threads wait and listen.

mod attacher;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use schedules::{chance, check, time};

use super::feed::{Feed, Item, Next, Topic};
use super::listeners::{Callback, Listener};
use super::store::Store;
use super::tracker::{Answers, Tracker};
use crate::clock::deadline_after;
use crate::error::Disconnect;
use crate::link::{EventHook, RawEvent, WaitEnd};
use crate::names::CircuitId;
use crate::sync::thread;

const LIMIT: Duration = Duration::from_secs(3600);

fn joined() -> Arc<Store> {
    let store = Store::new(false);
    store.join(Answers::default(), 0);
    Arc::new(store)
}

fn report(store: &Store, lines: &[&str]) {
    for (number, line) in (0..).zip(lines) {
        store.event(&RawEvent::new(number, format!("650 {line}\r\n").as_bytes()));
    }
}

const LINES: [&str; 4] = [
    "CIRC 3 LAUNCHED PURPOSE=GENERAL",
    "CIRC 3 EXTENDED PURPOSE=GENERAL",
    "CIRC 3 BUILT PURPOSE=GENERAL",
    "CIRC 3 CLOSED PURPOSE=GENERAL REASON=FINISHED",
];

/// Waits for a circuit that is built, for one that never is, and with a limit that passes.
fn waits() {
    let store = joined();
    let waiters: Vec<_> = [3, 9]
        .into_iter()
        .map(|id| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let is_late = chance(3);
                let deadline = if is_late { time::now() } else { deadline_after(LIMIT) };
                let id = CircuitId::from(id);
                let found = store.wait_circuit(id, None, deadline, |_, cell| {
                    cell.info().is_built().then_some(())
                });
                match found {
                    Ok(()) => assert_eq!(id, CircuitId::from(3)),
                    Err(WaitEnd::Timeout) => assert!(is_late),
                    Err(WaitEnd::Closed(_)) => {}
                }
            })
        })
        .collect();
    let reader = {
        let store = Arc::clone(&store);
        thread::spawn(move || {
            report(&store, &LINES[..3]);
            store.ended(&Disconnect::EndOfStream);
        })
    };
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    reader.join().unwrap();
}

#[test]
fn a_wait_ends_with_the_event_or_with_the_connection() {
    check(waits);
}

/// A wait for an event that precedes no other and no end.
fn last_event() {
    let store = joined();
    let waiter = {
        let store = Arc::clone(&store);
        thread::spawn(move || {
            let id = CircuitId::from(3);
            let find = |_: &Tracker, cell: &Arc<super::circuit_info::CircuitCell>| {
                cell.info().is_built().then_some(())
            };
            store.wait_circuit(id, None, deadline_after(LIMIT), find).unwrap();
        })
    };
    report(&store, &LINES[..3]);
    waiter.join().unwrap();
}

#[test]
fn no_event_is_missed_between_the_check_and_the_wait() {
    check(last_event);
}

/// Takes all updates of a feed until its end. Returns their number, with those that were lost.
fn take_all(feed: &Feed) -> u64 {
    let (mut batch, mut count) = (VecDeque::new(), 0);
    while let Next::Batch = feed.next(&mut batch, None) {
        let mut bytes = 0;
        for item in batch.drain(..) {
            if let Item::Update(update) = item {
                bytes += update.size;
                count += 1 + update.lost;
            }
        }
        feed.delivered(&mut bytes, true);
    }
    count
}

fn observed(limit: usize) -> (Arc<Store>, Arc<Feed>) {
    let (store, feed) = (joined(), Arc::new(Feed::new(limit)));
    let listener = Listener::new(Callback::Circuit(Box::new(|_| {})));
    store.set_feed(&feed);
    assert!(store.add_listener(&feed, Topic::Circuits, &listener, Tracker::existing_circuits));
    (store, feed)
}

/// Each update is delivered or counted, and the thread ends.
fn feed() {
    let expected = {
        let (store, feed) = observed(1 << 20);
        report(&store, &LINES);
        store.ended(&Disconnect::EndOfStream);
        take_all(&feed)
    };
    let (store, feed) = observed(if chance(2) { 1 } else { 1 << 20 });
    let consumer = {
        let feed = Arc::clone(&feed);
        thread::spawn(move || take_all(&feed))
    };
    let other = {
        let feed = Arc::clone(&feed);
        thread::spawn(move || {
            let listener = Listener::new(Callback::Stream(Box::new(|_| {})));
            if feed.add(Topic::Streams, &listener, Vec::new()) {
                feed.remove(listener.id());
            }
        })
    };
    report(&store, &LINES);
    store.ended(&Disconnect::EndOfStream);
    other.join().unwrap();
    assert_eq!(consumer.join().unwrap(), expected);
}

#[test]
fn every_update_is_delivered_or_counted() {
    check(feed);
}
