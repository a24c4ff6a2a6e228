//! Attachers that are set again on the next connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{LIMIT, next};
use crate::clock::deadline_after;
use crate::error::Disconnect;
use crate::state::tests::fake_tor::{Contents, FakeTor, OPTION, eventually};
use crate::state::{Attach, AttacherGuard, AttacherOptions, CircuitChange, State, StreamInfo};
use crate::sync::Mutex;
use crate::sync::channel::{RecvTimeoutError, TryRecvError, bounded, unbounded};

const BUILT: Contents = Contents {
    circuits: &["7 BUILT $E8F7~x,$0A9C~y PURPOSE=GENERAL"],
    streams: &[],
    mappings: &[],
    leaves_streams: false,
    refused: None,
    unanswered: None,
};

fn new_stream(tor: &FakeTor, id: u32) {
    tor.event(&format!("STREAM {id} NEW 0 a.example:80 SOURCE_ADDR=127.0.0.1:1 PURPOSE=USER"));
    tor.event(&format!("STREAM {id} CONTROLLER_WAIT 0 a.example:80 PURPOSE=USER"));
}

fn set(value: u8) -> String {
    format!("SETCONF {OPTION}={value}")
}

#[test]
fn attachers_are_set_again_with_their_priorities_and_are_inactive_in_between() {
    let first = FakeTor::start(&BUILT);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let (seen, calls) = unbounded();
    let passes = seen.clone();
    let high = AttacherOptions::new().priority(1).set(&state, move |stream: &StreamInfo, _: &_| {
        passes.send(format!("high {}", stream.id())).unwrap();
        Attach::Pass
    });
    let high = high.unwrap();
    let low = state.set_attacher(move |stream, circuits| {
        seen.send(format!("low {}", stream.id())).unwrap();
        circuits.first().cloned().map_or(Attach::Tor, Attach::To)
    });
    let low = low.unwrap();
    let mut tor = first;
    for round in 0..3 {
        let id = 5 + round;
        assert!(high.is_active() && low.is_active());
        new_stream(&tor, id);
        assert_eq!([next(&calls), next(&calls)], [format!("high {id}"), format!("low {id}")]);
        eventually(|| tor.commands("ATTACHSTREAM") == [format!("ATTACHSTREAM {id} 7")]);
        tor.cut();
        eventually(|| !high.is_active() && !low.is_active());
        assert!(state.set_attacher(|_, _| Attach::Tor).is_err());
        let next = FakeTor::start(&BUILT);
        state.move_to(&next.controller).unwrap();
        assert_eq!(next.commands("SETCONF"), [set(1)]);
        tor = next;
    }
    drop(high);
    new_stream(&tor, 9);
    assert_eq!(next(&calls), "low 9");
    drop(low);
    assert_eq!(tor.commands("SETCONF"), [set(1), set(0)]);
    assert!(calls.recv_timeout(LIMIT).is_err(), "the closures are dropped");
}

#[test]
fn a_closure_that_runs_at_the_end_of_the_connection_is_not_called_by_two_threads() {
    let first = FakeTor::start(&BUILT);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let (seen, calls) = unbounded();
    let (go_on, wait) = bounded::<()>(0);
    let running = Arc::new(AtomicUsize::new(0));
    let guard = state.set_attacher(move |stream, _| {
        assert_eq!(running.fetch_add(1, Ordering::AcqRel), 0);
        seen.send(stream.id().to_string()).unwrap();
        let _ = wait.recv_timeout(LIMIT);
        running.fetch_sub(1, Ordering::AcqRel);
        Attach::Tor
    });
    let guard = guard.unwrap();
    new_stream(&first, 5);
    assert_eq!(next(&calls), "5");
    // Requested while the closure runs, and lost with the connection.
    new_stream(&first, 6);
    first.cut();
    let second = FakeTor::start(&BUILT);
    state.move_to(&second.controller).unwrap();
    new_stream(&second, 8);
    drop(go_on);
    assert_eq!(next(&calls), "8");
    eventually(|| second.commands("ATTACHSTREAM") == ["ATTACHSTREAM 8 0"]);
    assert!(guard.is_active());
}

#[test]
fn an_option_that_the_former_connection_left_on_is_taken_over_with_the_streams_that_wait() {
    let first = FakeTor::start(&BUILT);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let guard = state.set_attacher(|_, circuits| Attach::To(circuits[0].clone())).unwrap();
    first.cut();
    eventually(|| !guard.is_active());
    // Another connection to the same tor, which still leaves streams to controllers.
    let left = Contents { leaves_streams: true, streams: &["5 NEW 0 a.example:80"], ..BUILT };
    let ended = FakeTor::start(&Contents { refused: Some("GETCONF"), ..left.clone() });
    assert!(state.move_to(&ended.controller).is_err(), "GETCONF is refused");
    ended.cut();
    let second = FakeTor::start(&left);
    state.move_to(&second.controller).unwrap();
    assert!(guard.is_active());
    eventually(|| second.commands("ATTACHSTREAM") == ["ATTACHSTREAM 5 7"]);
    drop(guard);
    assert_eq!(second.commands("SETCONF"), [set(0)]);
}

#[test]
fn an_option_that_was_left_on_is_restored_also_if_the_attacher_is_gone() {
    let first = FakeTor::start(&BUILT);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let guard = state.set_attacher(|_, _| Attach::Tor).unwrap();
    first.cut();
    drop(guard);
    let left = Contents { leaves_streams: true, streams: &["5 NEW 0 a.example:80"], ..BUILT };
    let second = FakeTor::start(&left);
    state.move_to(&second.controller).unwrap();
    assert_eq!(second.commands("SETCONF"), [set(0)]);
    assert_eq!(second.commands("ATTACHSTREAM"), ["ATTACHSTREAM 5 0"]);
    // An option of another controller stays as it is.
    second.cut();
    let third = FakeTor::start(&left);
    state.move_to(&third.controller).unwrap();
    assert_eq!(third.commands("SETCONF"), [""; 0]);
}

#[test]
fn an_option_that_was_switched_on_as_the_connection_ended_is_restored_on_the_next() {
    let first = FakeTor::start(&Contents { unanswered: Some("SETCONF"), ..BUILT });
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    thread::scope(|scope| {
        let attach = || state.set_attacher(|_, _| Attach::Tor).map(drop);
        let setting = thread::Builder::new().spawn_scoped(scope, attach).unwrap();
        eventually(|| first.commands("SETCONF") == [set(1)]);
        first.cut();
        assert!(setting.join().unwrap().unwrap_err().is_closed());
    });
    let left = Contents { leaves_streams: true, streams: &["5 NEW 0 a.example:80"], ..BUILT };
    let second = FakeTor::start(&left);
    state.move_to(&second.controller).unwrap();
    assert_eq!(second.commands("SETCONF"), [set(0)]);
    assert_eq!(second.commands("ATTACHSTREAM"), ["ATTACHSTREAM 5 0"]);
}

#[test]
fn attachers_that_cannot_be_set_do_not_prevent_the_move() {
    let first = FakeTor::start(&BUILT);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let guard = state.set_attacher(|_, _| Attach::Tor).unwrap();
    first.cut();
    eventually(|| state.circuits().is_empty());
    let refuses = FakeTor::start(&Contents { refused: Some("SETCONF"), ..BUILT });
    let (seen, changes) = unbounded();
    state.on_circuit(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
    assert!(state.move_to(&refuses.controller).is_err());
    assert!(state.move_to(&refuses.controller).is_err());
    assert!(!guard.is_active() && state.circuits().len() == 1);
    assert_eq!(next(&changes), CircuitChange::Existing);
    assert!(changes.is_empty(), "the second call does not move the state again");
    assert_eq!(refuses.commands("GETINFO circuit-status").len(), 1);
}

#[test]
fn the_thread_of_an_attacher_ends_with_the_last_connection_also_if_its_closure_has_the_guard() {
    for is_supervised in [false, true] {
        let tor = FakeTor::start(&BUILT);
        let state = match is_supervised {
            true => State::supervised(&tor.controller, deadline_after(LIMIT)).unwrap(),
            false => State::new(&tor.controller).unwrap(),
        };
        let guard: Arc<Mutex<Option<AttacherGuard>>> = Arc::default();
        let (held, state_held) = (Arc::clone(&guard), state.clone());
        let (ended, end) = bounded::<()>(0);
        let set = state.set_attacher(move |_, _| {
            let _all = (&held, &state_held, &ended);
            Attach::Tor
        });
        *guard.lock() = Some(set.unwrap());
        tor.cut();
        if is_supervised {
            eventually(|| state.circuits().is_empty());
            assert_eq!(end.try_recv(), Err(TryRecvError::Empty), "it may be set again");
            state.end(&Disconnect::Closed);
        }
        assert_eq!(end.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
    }
}
