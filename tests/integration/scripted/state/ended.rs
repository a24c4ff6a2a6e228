//! Listeners of one circuit or stream: the end is always reported, and then the closure is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{bounded, unbounded};
use torcon::names::{CircuitId, StreamId};
use torcon::state::{CircuitChange, State, StreamChange};
use torcon::{ConnectOptions, Controller};

use super::{LIMIT, followed, greet, send_event, serve_events};
use crate::scripted::{connected_with, next};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::script::Script;
use crate::support::watchdog::eventually;

/// Counts the drops of its owner.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[test]
fn a_listener_that_is_added_after_the_end_gets_the_end_and_is_dropped() {
    let (tor, controller, state) = followed(
        &["7 BUILT $E8F7~x PURPOSE=GENERAL", "8 LAUNCHED PURPOSE=GENERAL"],
        &["17 NEW 0 a.example:80"],
        serve_events,
    );
    let circuits = state.circuits();
    let stream = state.streams().remove(0);
    send_event(&controller, "CIRC 7 CLOSED $E8F7~x PURPOSE=GENERAL REASON=FINISHED");
    send_event(&controller, "CIRC 8 FAILED PURPOSE=GENERAL REASON=TIMEOUT");
    send_event(&controller, "STREAM 17 FAILED 0 a.example:80 REASON=MISC");
    // The stream has failed, and is not closed yet.
    let (seen, of_stream) = unbounded();
    let again = seen.clone();
    stream.on_update(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
    send_event(&controller, "STREAM 17 CLOSED 0 a.example:80 REASON=MISC");
    assert_eq!(of_stream.recv_timeout(LIMIT).unwrap(), StreamChange::Existing);
    assert_eq!(of_stream.recv_timeout(LIMIT).unwrap(), StreamChange::Closed);
    stream.on_update(move |update| again.send(update.change.clone()).unwrap()).unwrap();
    assert_eq!(of_stream.iter().collect::<Vec<_>>(), [StreamChange::Closed]);
    for (circuit, expected) in circuits.iter().zip([CircuitChange::Closed, CircuitChange::Failed]) {
        let (seen, changes) = unbounded();
        let id = circuit
            .on_update(move |update| {
                assert!(update.info.is_over());
                seen.send(update.change.clone()).unwrap();
            })
            .unwrap();
        assert_eq!(changes.iter().collect::<Vec<_>>(), [expected]);
        assert!(state.remove_listener(id).is_err());
    }
    drop((state, circuits, stream, controller));
    tor.finish();
}

/// Opens `count` circuits, and closes them on `GETINFO close`.
fn closes(script: &mut Script, count: usize) {
    script.serve(move |line, out| {
        if line == "GETINFO close" {
            for id in 1..=count {
                out.extend_from_slice(
                    format!("650 CIRC {id} CLOSED $E8F7~x PURPOSE=GENERAL REASON=FINISHED\r\n")
                        .as_bytes(),
                );
            }
        }
        super::answer(line, out);
    });
}

fn many(count: usize, limit: usize) -> (crate::support::fake_tor::FakeTor, Controller, State) {
    let (tor, controller) =
        connected_with(&ConnectOptions::new().event_limit(limit), move |script| {
            let lines: Vec<_> =
                (1..=count).map(|id| format!("{id} BUILT $E8F7~x PURPOSE=GENERAL")).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            greet(script, &lines, &[]);
            closes(script, count);
        });
    let state = State::new(&controller).unwrap();
    (tor, controller, state)
}

#[test]
fn the_last_update_of_ten_thousand_circuits_is_delivered_also_if_listeners_are_stuck() {
    const COUNT: usize = 10_000;
    // The second limit holds a fraction of the updates.
    for limit in [1 << 30, 64 << 10] {
        let (tor, controller, state) = many(COUNT, limit);
        let dropped = Arc::new(AtomicUsize::new(0));
        let ends = Arc::new(AtomicUsize::new(0));
        let (go_on, stuck) = bounded::<()>(0);
        let (begun, begins) = bounded(1);
        state
            .on_stream(|_| {})
            .and_then(|_| {
                let mut first = true;
                state.on_circuit(move |_| {
                    if std::mem::take(&mut first) {
                        begun.send(()).unwrap();
                        let _ = stuck.recv_timeout(LIMIT);
                    }
                })
            })
            .unwrap();
        next(&begins);
        let circuits = state.circuits();
        for circuit in &circuits {
            let (counted, ends) = (Counted(Arc::clone(&dropped)), Arc::clone(&ends));
            circuit
                .on_update(move |update| {
                    let _counted = &counted;
                    if update.change == CircuitChange::Closed {
                        ends.fetch_add(1, Ordering::AcqRel);
                    }
                })
                .unwrap();
        }
        controller.get_info_one("close").unwrap();
        assert_eq!(dropped.load(Ordering::Acquire), 0, "{limit}");
        drop(go_on);
        eventually(LIMIT, "every closure is dropped", || dropped.load(Ordering::Acquire) == COUNT);
        assert_eq!(ends.load(Ordering::Acquire), COUNT, "{limit}");
        drop((circuits, state, controller));
        tor.finish();
    }
}

#[test]
fn listeners_that_are_added_while_circuits_end_get_every_end() {
    const COUNT: usize = 2_000;
    let (tor, controller, state) = many(COUNT, 1 << 30);
    let ends = Arc::new(AtomicUsize::new(0));
    let circuits = state.circuits();
    thread::scope(|scope| {
        scope.spawn(|| controller.get_info_one("close").unwrap());
        for circuit in &circuits {
            let ends = Arc::clone(&ends);
            circuit
                .on_update(move |update| {
                    if update.change == CircuitChange::Closed {
                        ends.fetch_add(1, Ordering::AcqRel);
                    }
                })
                .unwrap();
        }
    });
    eventually(LIMIT, "every end is reported", || ends.load(Ordering::Acquire) == COUNT);
    eventually(LIMIT, "every closure is dropped", || Arc::strong_count(&ends) == 1);
    drop((circuits, state, controller));
    tor.finish();
}

/// Reads the state when it is dropped, which needs its locks.
struct ReadsOnDrop(State);

impl Drop for ReadsOnDrop {
    fn drop(&mut self) {
        assert!(self.0.circuit(&CircuitId::from(7)).is_some());
        assert!(self.0.stream(&StreamId::from(7)).is_none());
        let _ = self.0.on_circuit(|_| {});
    }
}

#[test]
fn a_closure_that_reads_the_state_when_dropped_does_not_block_the_close_of_the_connection() {
    exclusive(|| {
        let holdings = Holdings::now();
        for round in 0..30 {
            let (tor, controller, state) =
                followed(&["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[], serve_events);
            let (done, threads) = bounded(3);
            for _ in 0..2 {
                let (state, done) = (state.clone(), done.clone());
                thread::Builder::new()
                    .name("adder".to_owned())
                    .spawn(move || {
                        while state.controller().is_alive() {
                            let reader = ReadsOnDrop(state.clone());
                            let added = state.on_circuit(move |_| {
                                let _ = &reader;
                            });
                            if let Ok(id) = added {
                                let _ = state.remove_listener(id);
                            }
                        }
                        done.send(()).unwrap();
                    })
                    .unwrap();
            }
            send_event(&controller, "CIRC 8 LAUNCHED PURPOSE=GENERAL");
            if round % 2 == 0 {
                send_event(&controller, "CIRC 8 BUILT $E8F7~x PURPOSE=GENERAL");
            }
            let closing = controller.clone();
            thread::Builder::new()
                .name("closer".to_owned())
                .spawn(move || {
                    closing.close();
                    done.send(()).unwrap();
                })
                .unwrap();
            (0..3).for_each(|_| next(&threads));
            drop((state, controller));
            tor.finish();
        }
        holdings.assert_restored(LIMIT);
    });
}

#[test]
fn a_listener_of_one_state_cannot_be_removed_by_another_state() {
    const CIRCUITS: &[&str] = &["7 BUILT $E8F7~x PURPOSE=GENERAL"];
    const STREAMS: &[&str] = &["17 SUCCEEDED 7 a.example:80"];
    let (tor, controller, state) = followed(CIRCUITS, STREAMS, |script| {
        script.expect(super::GETINFO).send(super::snapshot(CIRCUITS, STREAMS));
        script.drain();
    });
    let other = State::new(&controller).unwrap();
    let (seen, updates) = unbounded();
    let first = state.on_circuit(move |update| seen.send(update.info.id()).unwrap()).unwrap();
    let second = other.on_circuit(|_| {}).unwrap();
    next(&updates);
    assert_ne!(first, second);
    assert!(state.remove_listener(second).is_err());
    assert!(other.remove_listener(first).is_err());
    // Handles of the same circuit or stream are equal, even of different states.
    assert_eq!(state.circuits()[0], other.circuits()[0]);
    assert_eq!(state.streams()[0], other.streams()[0]);
    state.remove_listener(first).unwrap();
    assert!(updates.recv_timeout(LIMIT).is_err(), "the closure is gone");
    other.remove_listener(second).unwrap();
    drop((state, other));
    controller.close();
    tor.finish();
}
