use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use super::Store;
use crate::error::Disconnect;
use crate::link::{EventHook, RawEvent, WaitEnd};
use crate::names::CircuitId;
use crate::state::attacher::Message;
use crate::state::circuit_info::CircuitCell;
use crate::state::tracker::{Answers, Tracker};

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
    let end = wait_for(&store, 3, Instant::now() + Duration::from_millis(20));
    assert!(matches!(end, Err(WaitEnd::Timeout)), "{end:?}");
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
