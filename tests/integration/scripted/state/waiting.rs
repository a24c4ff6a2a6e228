//! Threads that wait for circuits and streams, and their cost for other threads.

use std::thread;
use std::time::{Duration, Instant};

use torcon::names::CircuitId;
use torcon::state::{Path, State};
use torcon::{CancelToken, Controller, Error};

use super::{LIMIT, followed, greet, send_event, serve_events};
use crate::scripted::connected;
use crate::support::exclusive::exclusive;
use crate::support::script::Script;
use crate::support::watchdog::eventually;

const WAITERS: u32 = if cfg!(debug_assertions) { 300 } else { 1_000 };
const EVENTS: u64 = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };

/// Sends a flood of events of circuit 7, which moves, on `GETINFO flood`.
fn floods(script: &mut Script) {
    script.serve(|line, out| {
        if line == "GETINFO flood" {
            for _ in 0..EVENTS {
                out.extend_from_slice(b"650 CIRC 7 EXTENDED $E8F7~x PURPOSE=GENERAL\r\n");
            }
        } else if let Some(text) = line.strip_prefix("GETINFO event/") {
            out.extend_from_slice(format!("650 {}\r\n", text.replace('|', " ")).as_bytes());
        }
        super::answer(line, out);
    });
}

fn flood(controller: &Controller) -> Duration {
    let start = Instant::now();
    controller.get_info_one("flood").unwrap();
    start.elapsed()
}

#[test]
fn threads_that_wait_for_idle_circuits_hardly_delay_the_events_of_others() {
    exclusive(|| {
        let (tor, connection) = connected(|script| {
            let lines: Vec<_> =
                (7..=WAITERS + 7).map(|id| format!("{id} LAUNCHED PURPOSE=GENERAL")).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            greet(script, &lines, &[]);
            floods(script);
        });
        let controller = connection.with_timeout(Duration::from_secs(120));
        drop(connection);
        let state = State::new(&controller).unwrap();
        flood(&controller);
        let mut baseline = Duration::MAX;
        (0..3).for_each(|_| baseline = baseline.min(flood(&controller)));
        thread::scope(|scope| {
            let waiters: Vec<_> = state.circuits()[1..]
                .iter()
                .map(|circuit| {
                    let circuit = circuit.clone();
                    scope.spawn(move || circuit.wait_built(Duration::from_secs(300)).map(drop))
                })
                .collect();
            // The threads wait, or soon will: the best round counts.
            let mut among = Duration::MAX;
            (0..3).for_each(|_| among = among.min(flood(&controller)));
            println!("{EVENTS} events: {baseline:?} baseline, {among:?} with {WAITERS} waiters");
            for waiter in &waiters {
                assert!(!waiter.is_finished());
            }
            for id in 8..=WAITERS + 7 {
                send_event(&controller, &format!("CIRC {id} BUILT $E8F7~x PURPOSE=GENERAL"));
            }
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
            // Generous, for a busy machine. It was once hundreds of times as much.
            assert!(among < baseline * 20 + Duration::from_secs(2), "{among:?} {baseline:?}");
        });
        drop((state, controller));
        tor.finish();
    });
}

#[test]
fn every_waiter_is_woken_by_the_event_that_it_waits_for() {
    let (tor, controller, state) = followed(
        &["7 LAUNCHED PURPOSE=GENERAL", "8 BUILT $E8F7~x PURPOSE=GENERAL"],
        &["17 NEW 0 a.example:80"],
        serve_events,
    );
    let circuits = state.circuits();
    let stream = state.streams().remove(0);
    thread::scope(|scope| {
        let built = scope.spawn(|| circuits[0].wait_built(LIMIT));
        let also_built = scope.spawn(|| circuits[0].wait_built(LIMIT));
        let closed = scope.spawn(|| circuits[0].wait_closed(LIMIT));
        let never = scope.spawn(|| circuits[1].wait_closed(Duration::from_millis(50)));
        let gone = scope.spawn(|| stream.wait_closed(LIMIT));
        let Err(Error::Timeout(_)) = never.join().unwrap() else { panic!() };
        send_event(&controller, "CIRC 7 EXTENDED $E8F7~x PURPOSE=GENERAL");
        send_event(&controller, "CIRC 7 BUILT $E8F7~x PURPOSE=GENERAL");
        built.join().unwrap().unwrap();
        also_built.join().unwrap().unwrap();
        send_event(&controller, "STREAM 17 CLOSED 0 a.example:80 REASON=DONE");
        assert_eq!(gone.join().unwrap().unwrap().reason().as_ref().unwrap().as_str(), "DONE");
        send_event(&controller, "CIRC 7 CLOSED $E8F7~x PURPOSE=GENERAL REASON=FINISHED");
        closed.join().unwrap().unwrap();
    });
    drop((state, circuits, stream, controller));
    tor.finish();
}

#[test]
fn the_end_of_the_connection_wakes_every_waiter() {
    let (tor, controller, state) = followed(&["7 LAUNCHED PURPOSE=GENERAL"], &[], serve_events);
    let circuit = state.circuits().remove(0);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..20).map(|_| scope.spawn(|| circuit.wait_built(LIMIT))).collect();
        controller.get_info_one("version").unwrap();
        controller.close();
        for waiter in waiters {
            assert!(waiter.join().unwrap().unwrap_err().is_closed());
        }
    });
    drop((state, circuit, controller));
    tor.finish();
}

// The wait ended by the event of the closed circuit, which a tor that hangs does not send.
#[test]
fn a_token_ends_the_wait_for_a_circuit_of_which_tor_reports_nothing_more() {
    let (tor, controller, state) = followed(&[], &[], |script| {
        let reply = ["250 EXTENDED 7", "650 CIRC 7 LAUNCHED PURPOSE=GENERAL"];
        script.answer("EXTENDCIRCUIT 0", &reply);
        script.expect("CLOSECIRCUIT 7");
        script.drain();
    });
    let token = CancelToken::new();
    let begun = Instant::now();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            eventually(LIMIT, "the circuit is launched", || !state.circuits().is_empty());
            thread::sleep(Duration::from_millis(20));
            token.cancel();
        });
        state.build_circuit_cancelable(Path::any(), Duration::from_secs(3600), &token)
    });
    assert!(matches!(outcome, Err(Error::Canceled(_))), "{outcome:?}");
    assert!(begun.elapsed() < LIMIT * 4);
    drop((state, controller));
    tor.finish();
}

/// Returns the memory of this process in use, in bytes.
pub(super) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn circuits_that_end_while_another_is_launched_take_little_memory() {
    const COUNT: u32 = 50_000;
    exclusive(|| {
        let (tor, controller, state) = followed(&[], &[], |script| {
            script.expect("EXTENDCIRCUIT 0");
            for first in (1..=COUNT).step_by(1_000) {
                let mut text = String::new();
                for id in first..first + 1_000 {
                    text += &format!(
                        "650 CIRC {id} LAUNCHED PURPOSE=GENERAL\r\n650 CIRC {id} FAILED \
                         $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~a,\
                         $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AD~b PURPOSE=GENERAL \
                         REASON=TIMEOUT\r\n"
                    );
                }
                script.send(text);
            }
            let id = COUNT + 1;
            script.send(format!("250 EXTENDED {id}\r\n"));
            script.send(format!("650 CIRC {id} LAUNCHED PURPOSE=GENERAL\r\n"));
            script.expect("GETINFO resident").send("250-resident=\r\n250 OK\r\n");
            script.drain();
        });
        let before = resident();
        let building = state.clone();
        let circuit = thread::scope(|scope| {
            let building = scope.spawn(move || building.build_circuit(Path::any()));
            let mut most = 0;
            eventually(LIMIT * 4, "the circuit is begun", || {
                most = most.max(resident().saturating_sub(before));
                building.is_finished()
            });
            println!("{COUNT} circuits ended meanwhile: {} kB more", most >> 10);
            assert!(most < 16 << 20, "{most}");
            building.join().unwrap().unwrap()
        });
        assert_eq!(circuit.id(), CircuitId::from(COUNT + 1));
        controller.get_info_one("resident").unwrap();
        drop((circuit, state, controller));
        tor.finish();
    });
}

#[test]
fn an_unread_state_keeps_no_text_of_new_descriptors() {
    let (tor, controller) = connected(|script| {
        greet(script, &[], &[]);
        script.serve(|line, out| {
            if line == "GETINFO ns/all" {
                out.extend_from_slice(b"250-ns/all=\r\n250 OK\r\n");
                return;
            }
            if line == "GETINFO descriptors" {
                for number in 0..100_000_u32 {
                    let id = number % 9_000;
                    out.extend_from_slice(format!("650 NEWDESC ${id:040X}~relay\r\n").as_bytes());
                }
            }
            super::answer(line, out);
        });
    });
    let state = State::new(&controller).unwrap();
    assert!(state.relays().unwrap().is_empty());
    let before = resident();
    controller.get_info_one("descriptors").unwrap();
    let more = resident().saturating_sub(before);
    println!("100,000 NEWDESC: {} kB more", more >> 10);
    let is_query = |line: &&String| *line == "GETINFO ns/all";
    assert_eq!(tor.lines().iter().filter(is_query).count(), 1);
    // An unknown relay has a descriptor.
    assert!(state.relays().unwrap().is_empty());
    assert_eq!(tor.lines().iter().filter(is_query).count(), 2);
    drop((state, controller));
    tor.finish();
}
