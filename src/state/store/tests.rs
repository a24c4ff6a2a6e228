use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Store, StoreInner};
use crate::clock::{self, ManualClock};
use crate::error::Disconnect;
use crate::link::{EventHook, RawEvent, WaitEnd};
use crate::names::CircuitId;
use crate::state::attacher::Message;
use crate::state::circuit_info::CircuitCell;
use crate::state::tracker::{Answers, Tracker};
use crate::sync::channel::unbounded;

/// A limit that is never reached in a successful run.
const LIMIT: Duration = Duration::from_secs(20);

fn joined() -> Store {
    let store = Store::new(false);
    store.join(Answers::default(), 0);
    store
}

fn report(store: &Store, lines: &[&str]) {
    let number = store.read(Tracker::number);
    for (number, line) in (number..).zip(lines) {
        store.event(&RawEvent::new(number, format!("650 {line}\r\n").as_bytes()));
    }
}

fn wait_for(store: &Store, id: u32, deadline: Instant) -> Result<CircuitId, WaitEnd> {
    store.wait_circuit(CircuitId::from(id), None, deadline, |_, cell| Some(cell.id()))
}

#[test]
fn a_wait_ends_with_a_value_at_its_limit_or_with_the_connection() {
    let store = Arc::new(joined());
    {
        let clock = ManualClock::start();
        let (start, limit) = (clock::now(), Duration::from_secs(60));
        clock.tick_by(Duration::from_secs(1));
        let end = wait_for(&store, 3, clock::deadline_after(limit));
        assert!(matches!(end, Err(WaitEnd::Timeout)), "{end:?}");
        let took = clock::elapsed_since(start);
        assert!(took >= limit && took < limit + Duration::from_secs(5), "{took:?}");
    }
    let waiting = Arc::clone(&store);
    let waiter = thread::Builder::new().name("waiter".to_owned()).spawn(move || {
        let first = wait_for(&waiting, 3, Instant::now() + LIMIT).unwrap();
        // It is found, however late it is.
        assert_eq!(wait_for(&waiting, 3, Instant::now()).unwrap(), first);
        wait_for(&waiting, 4, Instant::now() + LIMIT)
    });
    report(&store, &["CIRC 2 LAUNCHED PURPOSE=GENERAL", "CIRC 3 LAUNCHED PURPOSE=GENERAL"]);
    store.ended(&Disconnect::EndOfStream);
    let end = waiter.unwrap().join().unwrap();
    assert!(matches!(end, Err(WaitEnd::Closed(Disconnect::EndOfStream))), "{end:?}");
    assert!(wait_for(&store, 3, Instant::now()).is_ok(), "the circuits stay known");
}

#[test]
fn a_wait_that_timed_out_leaves_no_waiter_and_events_of_other_circuits_check_none() {
    let store = joined();
    let (seen, checks) = unbounded();
    let never = move |_: &Tracker, cell: &Arc<CircuitCell>| {
        seen.send(cell.id()).unwrap();
        None::<()>
    };
    thread::scope(|scope| {
        let deadline = Instant::now() + Duration::from_millis(200);
        let shared = &store;
        let wait = move || shared.wait_circuit(CircuitId::from(3), None, deadline, never);
        let waiter = scope.spawn(wait);
        while store.inner.lock().circuit_waiters.is_empty() && !waiter.is_finished() {
            thread::yield_now();
        }
        report(&store, &["CIRC 2 LAUNCHED PURPOSE=GENERAL", "CIRC 4 CLOSED PURPOSE=GENERAL"]);
        assert!(waiter.join().unwrap().is_err());
    });
    assert!(store.inner.lock().circuit_waiters.is_empty());
    assert_eq!(checks.iter().count(), 0);
}

/// How often this thread has given up the processor to wait.
fn voluntary_switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn each_of_many_waiters_is_woken_once_by_the_event_of_the_circuit_or_stream_for_which_it_waits() {
    const WAITERS: u32 = if cfg!(debug_assertions) { 250 } else { 1_000 };
    let store = joined();
    // Half of the objects are reported before a thread waits for them.
    for id in (2..=WAITERS).step_by(2) {
        report(&store, &[&format!("CIRC {id} LAUNCHED"), &format!("STREAM {id} NEW 0 a:80")]);
    }
    report(&store, &["CIRC 0 LAUNCHED", "STREAM 0 NEW 0 a:80", "STREAM 1 NEW 0 a:80"]);
    let (seen, checks) = unbounded();
    let (woken, ends) = unbounded();
    let deadline = Instant::now() + LIMIT * 3;
    thread::scope(|scope| {
        for id in 1..=WAITERS {
            let (store, seen, woken) = (&store, seen.clone(), woken.clone());
            let wait = move || {
                let before = voluntary_switches();
                let seen_stream = seen.clone();
                let built = store.wait_circuit(
                    CircuitId::from(id),
                    None,
                    deadline,
                    move |_, cell: &Arc<CircuitCell>| {
                        seen.send(()).unwrap();
                        cell.info().is_built().then(|| cell.id())
                    },
                );
                let switches = voluntary_switches() - before;
                assert_eq!(built.unwrap(), CircuitId::from(id));
                woken.send((id, switches)).unwrap();
                if id % 2 == 1 {
                    return;
                }
                let stream = store.read(|tracker| tracker.stream(&id.into()).cloned()).unwrap();
                let closed = store.wait_stream(&stream, deadline, move |_, cell| {
                    seen_stream.send(()).unwrap();
                    cell.info().is_over().then(|| cell.id())
                });
                woken.send((id, voluntary_switches() - before - switches)).unwrap();
                assert_eq!(closed.unwrap(), id.into());
            };
            let thread = thread::Builder::new().stack_size(256 << 10).name("waiter".to_owned());
            thread.spawn_scoped(scope, wait).unwrap();
        }
        let is_waiting = |count: usize| {
            while store.inner.lock().circuit_waiters.len() < count {
                assert!(Instant::now() < deadline);
                thread::yield_now();
            }
        };
        is_waiting(usize::try_from(WAITERS).unwrap());
        let first_checks = checks.try_iter().count();
        // Events of other objects check nothing and wake no thread.
        for _ in 0..1_000 {
            report(
                &store,
                &["CIRC 0 EXTENDED", "STREAM 0 SENTCONNECT 7 a:80", "STREAM 1 REMAP 0 b:80"],
            );
        }
        assert_eq!((checks.try_iter().count(), ends.try_iter().count()), (0, 0));
        for id in 1..=WAITERS {
            report(&store, &[&format!("CIRC {id} LAUNCHED"), &format!("CIRC {id} EXTENDED")]);
        }
        assert!(ends.is_empty(), "no circuit is built");
        let later = checks.try_iter().count();
        assert_eq!(first_checks, usize::try_from(WAITERS / 2).unwrap());
        // Each circuit with an odd number is new.
        let new = usize::try_from(WAITERS.div_ceil(2)).unwrap();
        assert_eq!(later, usize::try_from(WAITERS).unwrap() * 2 + new);
        for id in (1..=WAITERS).rev() {
            report(&store, &[&format!("CIRC {id} BUILT")]);
        }
        let mut ids: Vec<_> = (0..WAITERS).map(|_| ends.recv_deadline(deadline).unwrap()).collect();
        // A wait for a lock or a channel may add a few; each event would add thousands.
        assert!(ids.iter().all(|(_, switches)| *switches < 500), "{ids:?}");
        ids.sort_unstable();
        assert!(ids.iter().map(|(id, _)| *id).eq(1..=WAITERS));
        assert!(store.inner.lock().circuit_waiters.is_empty());
        while store.inner.lock().stream_waiters.len() < usize::try_from(WAITERS / 2).unwrap() {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
        for id in (2..=WAITERS).step_by(2) {
            report(&store, &[&format!("CIRC {id} CLOSED"), &format!("STREAM {id} CLOSED 0 a:80")]);
        }
    });
    assert!(store.inner.lock().stream_waiters.is_empty());
}

#[test]
fn the_end_of_the_connection_wakes_every_waiter_and_later_ones_do_not_wait() {
    const WAITERS: u32 = 100;
    for is_supervised in [false, true] {
        let store = Store::new(is_supervised);
        store.join(Answers::default(), 0);
        for id in 0..WAITERS {
            report(&store, &[&format!("CIRC {id} LAUNCHED"), &format!("STREAM {id} NEW 0 a:80")]);
        }
        let wait = |id: u32| {
            let deadline = Instant::now() + LIMIT;
            let stream = store.read(|tracker| tracker.stream(&id.into()).cloned());
            let never = |_: &Tracker, _: &Arc<CircuitCell>| None::<()>;
            let circuit = || store.wait_circuit(id.into(), None, deadline, never);
            match stream.filter(|_| id % 2 == 0) {
                Some(stream) => store.wait_stream(&stream, deadline, |_, _| None),
                None => circuit(),
            }
        };
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..WAITERS).map(|id| scope.spawn(move || wait(id))).collect();
            let begun = Instant::now();
            let count =
                |inner: &StoreInner| inner.circuit_waiters.len() + inner.stream_waiters.len();
            while count(&store.inner.lock()) < waiters.len() {
                assert!(begun.elapsed() < LIMIT);
                thread::yield_now();
            }
            store.ended(&Disconnect::EndOfStream);
            for waiter in waiters {
                let end = waiter.join().unwrap();
                assert!(matches!(end, Err(WaitEnd::Closed(Disconnect::EndOfStream))), "{end:?}");
            }
        });
        assert!(matches!(wait(1), Err(WaitEnd::Closed(_))));
    }
}

#[test]
fn a_circuit_is_checked_for_each_thread_that_waits_and_for_none_after_the_last_has_left() {
    let store = joined();
    report(&store, &["CIRC 3 LAUNCHED"]);
    let cell = store.read(|tracker| tracker.circuit(&3.into()).cloned()).unwrap();
    let wait = |limit: u64| {
        let find = |_: &Tracker, cell: &Arc<CircuitCell>| cell.info().is_built().then_some(());
        store.wait_circuit(
            3.into(),
            Some(&cell),
            Instant::now() + Duration::from_millis(limit),
            find,
        )
    };
    assert!(!cell.is_awaited());
    assert!(matches!(wait(1), Err(WaitEnd::Timeout)));
    report(&store, &["CIRC 3 EXTENDED $A~x"]);
    assert!(!cell.is_awaited(), "no thread waits");
    thread::scope(|scope| {
        let long = scope.spawn(|| wait(20_000));
        while store.inner.lock().circuit_waiters.is_empty() {
            thread::yield_now();
        }
        // Another thread gives up meanwhile.
        assert!(matches!(wait(1), Err(WaitEnd::Timeout)));
        report(&store, &["CIRC 3 EXTENDED $A~x,$B~y"]);
        assert!(cell.is_awaited() && !long.is_finished());
        report(&store, &["CIRC 3 BUILT $A~x,$B~y"]);
        assert!(long.join().unwrap().is_ok());
    });
    assert!(!cell.is_awaited());
    assert_eq!(cell.info().path().len(), 2);
}

#[test]
fn a_report_that_is_shared_never_changes_and_others_are_changed_in_their_place() {
    let store = joined();
    report(&store, &["CIRC 3 LAUNCHED PURPOSE=GENERAL", "STREAM 5 NEW 0 a.example:80"]);
    let cell = store.read(|tracker| tracker.circuit(&3.into()).cloned()).unwrap();
    let address = |cell: &Arc<CircuitCell>| Arc::as_ptr(&cell.info()).addr();
    let first = address(&cell);
    report(&store, &["CIRC 3 EXTENDED $A~x PURPOSE=GENERAL"]);
    assert_eq!(address(&cell), first);
    let held = cell.info();
    let text = held.text().clone();
    report(&store, &["CIRC 3 BUILT $A~x,$B~y PURPOSE=GENERAL"]);
    assert_eq!(held.text(), "CIRC 3 EXTENDED $A~x PURPOSE=GENERAL");
    assert_eq!((held.path().len(), cell.info().path().len()), (1, 2));
    drop(held);
    report(&store, &["CIRC 3 CLOSED $A~x,$B~y PURPOSE=GENERAL REASON=FINISHED"]);
    assert_eq!(text, "CIRC 3 EXTENDED $A~x PURPOSE=GENERAL");
    assert!(cell.info().is_over());
}

#[test]
fn an_attach_loop_gets_each_stream_that_waits_each_closed_one_and_the_end_in_their_order() {
    let store = joined();
    report(&store, &["STREAM 1 NEW 0 a.example:80 SOURCE_ADDR=127.0.0.1:1 PURPOSE=USER"]);
    let (sender, messages) = unbounded();
    store.add_attach_loop(sender);
    report(
        &store,
        &[
            "STREAM 2 NEWRESOLVE 0 b.example:0 PURPOSE=DNS_REQUEST",
            "STREAM 1 CONTROLLER_WAIT 0 a.example:80",
            "CIRC 3 LAUNCHED PURPOSE=GENERAL",
            "STREAM 2 CLOSED 0 b.example:0 REASON=DONE",
            "STREAM 1 SENTCONNECT 7 a.example:80",
            "STREAM 3 CONTROLLER_WAIT 0 c.example:80",
        ],
    );
    store.ended(&Disconnect::Closed);
    let text = |message| match message {
        Message::Waiting(info) => {
            let source = info.source_addr().as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {} {source}", info.id(), info.status())
        }
        Message::Closed(id) => format!("{id} closed"),
        Message::Disconnected => "end".to_owned(),
        _ => panic!("the store sends no other message"),
    };
    let texts: Vec<_> = messages.iter().map(text).collect();
    let expected = ["1 CONTROLLER_WAIT 127.0.0.1:1", "2 closed", "3 CONTROLLER_WAIT ", "end"];
    assert_eq!(texts, expected);
    let (sender, messages) = unbounded();
    store.add_attach_loop(sender);
    assert!(matches!(messages.recv(), Ok(Message::Disconnected)), "the connection has ended");
}
