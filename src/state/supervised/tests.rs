//! A state that is moved from one fake tor to the next.

mod attachers;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::clock::deadline_after;
use crate::controller::ConnectOptions;
use crate::error::{Disconnect, Error, Result};
use crate::names::{CircuitId, StreamReason};
use crate::state::tests::fake_tor::{Contents, FakeTor, eventually};
use crate::state::{AddressChange, CircuitChange, State, StreamChange};
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

/// A limit that is never reached in a successful run.
const LIMIT: Duration = Duration::from_secs(30);

const FIRST: Contents = Contents {
    circuits: &["1 BUILT $E8F7~x PURPOSE=GENERAL", "2 LAUNCHED PURPOSE=GENERAL"],
    streams: &["5 SUCCEEDED 1 a.example:80"],
    mappings: &["a.example 192.0.2.1 NEVER"],
    leaves_streams: false,
    refused: None,
    unanswered: None,
};

const SECOND: Contents = Contents {
    circuits: &["1 EXTENDED $0A9C~y PURPOSE=GENERAL"],
    streams: &["5 NEW 0 b.example:80"],
    mappings: &[],
    leaves_streams: false,
    refused: None,
    unanswered: None,
};

fn next<T>(channel: &Receiver<T>) -> T {
    channel.recv_timeout(LIMIT).expect("an update")
}

/// Sends each update of all circuits as text to a channel.
fn report_circuits(state: &State) -> Receiver<String> {
    let (seen, updates) = unbounded();
    let report = move |update: &crate::state::CircuitUpdate| {
        assert_eq!(update.lost, 0);
        let _ = seen.send(format!("{} {:?}", update.info.id(), update.change));
    };
    state.on_circuit(report).unwrap();
    updates
}

#[track_caller]
fn expect(updates: &Receiver<String>, expected: &[&str]) {
    let received: Vec<_> = expected.iter().map(|_| next(updates)).collect();
    assert_eq!(received, expected);
}

fn is_closed<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(Error::Closed(_)))
}

#[test]
fn listeners_get_the_loss_of_everything_and_then_the_contents_of_the_next_tor() {
    let first = FakeTor::start(&FIRST);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let circuits = report_circuits(&state);
    let (seen, streams) = unbounded();
    state.on_stream(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
    let (seen, mappings) = unbounded();
    state.on_address(move |update| seen.send(update.change).unwrap()).unwrap();
    let (seen, single) = unbounded();
    let circuit = state.circuit(&CircuitId::from(1_u32)).unwrap();
    circuit.on_update(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
    let (seen, single_stream) = unbounded();
    let stream = state.streams().remove(0);
    stream.on_update(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
    expect(&circuits, &["1 Existing", "2 Existing"]);

    first.cut();
    expect(&circuits, &["1 Lost", "2 Lost"]);
    assert_eq!([next(&streams), next(&streams)], [StreamChange::Existing, StreamChange::Lost]);
    assert_eq!([next(&mappings), next(&mappings)], [AddressChange::Existing, AddressChange::Lost]);
    // The channels end: the closures are dropped.
    assert_eq!(single.iter().collect::<Vec<_>>(), [CircuitChange::Existing, CircuitChange::Lost]);
    let ends = [StreamChange::Existing, StreamChange::Lost];
    assert_eq!(single_stream.iter().collect::<Vec<_>>(), ends);
    let snapshot = state.snapshot();
    assert!(snapshot.circuits.is_empty() && snapshot.streams.is_empty());
    assert!(snapshot.address_map.is_empty() && snapshot.bootstrap.is_none() && !state.is_live());
    // A listener that is added between two connections gets the contents of the next tor.
    let late = report_circuits(&state);

    let second = FakeTor::start(&SECOND);
    state.move_to(&second.controller).unwrap();
    second.event("CIRC 1 BUILT $0A9C~y PURPOSE=GENERAL");
    expect(&circuits, &["1 Existing", "1 Built"]);
    expect(&late, &["1 Existing", "1 Built"]);
    assert_eq!(next(&streams), StreamChange::Existing);
    assert!(state.is_live() && state.controller().is_same_connection(&second.controller));
    assert!(mappings.is_empty() && circuits.is_empty() && streams.is_empty());
}

#[test]
fn handles_of_the_former_tor_fail_and_never_reach_the_next() {
    let first = FakeTor::start(&FIRST);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let (built, launched) = match &*state.circuits() {
        [built, launched] => (built.clone(), launched.clone()),
        other => panic!("{other:?}"),
    };
    let stream = state.streams().remove(0);
    let waiting = {
        let circuit = launched.clone();
        thread::Builder::new().spawn(move || circuit.wait_built(LIMIT)).unwrap()
    };
    first.cut();
    assert!(is_closed(&waiting.join().unwrap()));
    let second = FakeTor::start(&SECOND);
    state.move_to(&second.controller).unwrap();
    for circuit in [&built, &launched] {
        assert!(is_closed(&circuit.wait_built(LIMIT)));
        assert!(is_closed(&circuit.wait_closed(LIMIT)));
        assert!(is_closed(&circuit.close()));
        assert!(is_closed(&circuit.close_if_unused()));
        assert!(is_closed(&circuit.connect_stream("a.example:80")) || !circuit.info().is_built());
        assert!(is_closed(&circuit.on_update(|_| panic!("it is called"))));
        assert!(circuit.streams().is_empty());
    }
    assert!(is_closed(&stream.close(StreamReason::Misc)));
    assert!(is_closed(&stream.wait_closed(LIMIT)));
    assert!(is_closed(&stream.on_update(|_| panic!("it is called"))));
    assert!(stream.circuit().is_none());
    // The numbers are the same.
    let present = state.circuit(&built.id()).unwrap();
    assert!(present != built && state.stream(&stream.id()).unwrap() != stream);
    assert_eq!(built.state().circuits(), [present]);
    assert_eq!(state.build_circuit(crate::state::Path::any()).unwrap().id().to_string(), "99");
    assert_eq!(second.commands("C"), [""; 0]);
    assert_eq!(second.commands("EXTEND"), ["EXTENDCIRCUIT 0"]);
}

/// Makes a listener wait in its first call until the returned sender is dropped.
fn stuck(state: &State) -> Sender<()> {
    let (go_on, wait) = bounded::<()>(0);
    let (begun, begins) = bounded(1);
    let stuck = move |_: &crate::state::StreamUpdate| {
        let _ = begun.try_send(());
        let _ = wait.recv_timeout(LIMIT);
    };
    state.on_stream(stuck).unwrap();
    next(&begins);
    go_on
}

#[test]
fn queued_updates_of_each_tor_are_delivered_before_those_of_the_next_with_their_own_handles() {
    // A limit that all updates fit in, and one that none do.
    for (limit, is_complete) in [(1 << 20, true), (1, false)] {
        let options = ConnectOptions::new().event_limit(limit);
        let tors = [&FIRST, &SECOND, &FIRST].map(|it| FakeTor::start_with(it, &options));
        let state = State::supervised(&tors[0].controller, deadline_after(LIMIT)).unwrap();
        let (seen, updates) = unbounded();
        let connections = tors.each_ref().map(|tor| tor.controller.clone());
        let go_on = stuck(&state);
        state
            .on_circuit(move |update| {
                let is_of =
                    |controller: &_| update.circuit.controller().is_same_connection(controller);
                let tor = connections.iter().position(is_of).unwrap();
                let _ = seen.send((tor, update.info.id().to_string(), update.change.clone()));
            })
            .unwrap();
        let (seen, single) = unbounded();
        let circuit = state.circuits().remove(0);
        circuit.on_update(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
        drop(circuit);
        for (index, tor) in tors.iter().enumerate() {
            if index > 0 {
                state.move_to(&tor.controller).unwrap();
            }
            if index < 2 {
                tor.cut();
                eventually(|| state.circuits().is_empty());
            }
        }
        drop(go_on);
        let last = std::iter::from_fn(|| Some(next(&updates)))
            .inspect(|update| assert!(update.0 < 3))
            .take_while(|(tor, id, _)| (*tor, id.as_str()) != (2, "2"))
            .map(|(tor, id, change)| format!("{tor}: {id} {change:?}"))
            .collect::<Vec<_>>();
        let all = [
            "0: 1 Existing",
            "0: 2 Existing",
            "0: 1 Lost",
            "0: 2 Lost",
            "1: 1 Existing",
            "1: 1 Lost",
            "2: 1 Existing",
        ];
        match is_complete {
            true => assert_eq!(last, all),
            // Only the newest update before each change of the tor stays.
            false => assert!(
                last.is_sorted_by_key(|update| update.split(':').next().map(str::to_owned)),
                "{last:?}"
            ),
        }
        let single: Vec<_> = single.iter().collect();
        assert_eq!(single.last(), Some(&CircuitChange::Lost));
        assert!(updates.is_empty());
    }
}

#[test]
fn a_listener_that_is_added_while_the_state_moves_gets_each_circuit_once() {
    const ROUNDS: usize = 30;
    // No update is lost.
    let options = ConnectOptions::new().event_limit(1 << 30);
    let mut tor = FakeTor::start_with(&FIRST, &options);
    let state = State::supervised(&tor.controller, deadline_after(LIMIT)).unwrap();
    let (stop, stopped) = bounded::<()>(0);
    let adder = {
        let state = state.clone();
        thread::Builder::new().spawn(move || {
            let mut all = Vec::new();
            while stopped.recv_timeout(Duration::from_micros(500)) == Err(RecvTimeoutError::Timeout)
            {
                all.push(report_circuits(&state));
            }
            all
        })
    };
    for _ in 0..ROUNDS {
        let next = FakeTor::start_with(&FIRST, &options);
        tor.cut();
        state.move_to(&next.controller).unwrap();
        tor = next;
    }
    drop(stop);
    let all = adder.unwrap().join().unwrap();
    tor.event("CIRC 2 CLOSED PURPOSE=GENERAL");
    let end = |updates: &Receiver<String>| {
        let mut states = HashMap::new();
        loop {
            let update = next(updates);
            let (id, change) = update.split_once(' ').unwrap();
            let before = states.insert(id.to_owned(), change.to_owned());
            match (before.as_deref(), change) {
                (None | Some("Lost"), "Existing") | (Some("Existing"), "Lost") => {}
                (Some("Existing"), "Closed") => return states,
                other => panic!("circuit {id}: {other:?}"),
            }
        }
    };
    assert!(all.iter().all(|updates| end(updates)["1"] == "Existing"));
}

#[test]
fn a_move_that_fails_leaves_the_state_and_can_be_repeated() {
    let first = FakeTor::start(&FIRST);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let circuits = report_circuits(&state);
    let refuses = FakeTor::start(&Contents { refused: Some("SETEVENTS"), ..SECOND });
    assert!(matches!(state.move_to(&refuses.controller), Err(Error::Rejected(_))));
    assert_eq!(state.circuits().len(), 2, "the state still shows the first tor");
    first.cut();
    let ended = FakeTor::start(&SECOND);
    ended.cut();
    assert!(is_closed(&state.move_to(&ended.controller)));
    let second = FakeTor::start(&SECOND);
    state.move_to(&second.controller).unwrap();
    expect(&circuits, &["1 Existing", "2 Existing", "1 Lost", "2 Lost", "1 Existing"]);
    // Even while the connection is open.
    let third = FakeTor::start(&FIRST);
    let former = state.circuits().remove(0);
    state.move_to(&third.controller).unwrap();
    second.event("CIRC 1 CLOSED PURPOSE=GENERAL");
    expect(&circuits, &["1 Lost", "1 Existing", "2 Existing"]);
    assert!(is_closed(&former.wait_closed(LIMIT)) && circuits.is_empty());
}

#[test]
fn after_the_end_listeners_have_got_the_loss_of_everything_and_none_can_be_added() {
    let first = FakeTor::start(&FIRST);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let circuits = report_circuits(&state);
    state.end(&Disconnect::Closed);
    // The channel ends: the closure is dropped.
    let all: Vec<_> = circuits.iter().collect();
    assert_eq!(all, ["1 Existing", "2 Existing", "1 Lost", "2 Lost"]);
    let outcome = state.on_circuit(|_| {});
    assert!(matches!(outcome, Err(Error::Closed(Disconnect::Closed))), "{outcome:?}");
    let second = FakeTor::start(&SECOND);
    assert!(is_closed(&state.move_to(&second.controller)));
    assert!(state.circuits().is_empty());
}

#[test]
fn nothing_of_the_former_tor_stays_and_the_last_handle_ends_everything() {
    const EXISTING: (CircuitChange, bool) = (CircuitChange::Existing, true);
    const LOST: (CircuitChange, bool) = (CircuitChange::Lost, false);
    let first = FakeTor::start(&FIRST);
    let state = State::supervised(&first.controller, deadline_after(LIMIT)).unwrap();
    let weak = state.downgrade();
    let (seen, updates) = unbounded();
    let held = weak.clone();
    state
        .on_circuit(move |update| {
            let is_there = held.upgrade().is_some_and(|state| !state.circuits().is_empty());
            let _ = seen.send((update.change.clone(), is_there));
        })
        .unwrap();
    let former = Arc::downgrade(&state.shared.present());
    assert_eq!([next(&updates), next(&updates)], [EXISTING, EXISTING]);
    first.cut();
    assert_eq!([next(&updates), next(&updates)], [LOST, LOST]);
    let second = FakeTor::start(&SECOND);
    state.move_to(&second.controller).unwrap();
    assert_eq!(next(&updates), EXISTING);
    eventually(|| former.upgrade().is_none());
    assert_eq!(weak.upgrade().unwrap().circuits().len(), 1);
    drop(state);
    eventually(|| weak.upgrade().is_none());
    // The closure is dropped, and the events are unsubscribed.
    assert_eq!(updates.iter().count(), 0);
    eventually(|| second.commands("SETEVENTS").last().is_some_and(|last| last == "SETEVENTS"));
}
