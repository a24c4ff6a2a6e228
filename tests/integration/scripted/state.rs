//! The state: the commands that it sends, the events that it applies, the listeners that it calls.

/// Floods: every update is delivered, or reported as lost.
mod account;
/// Attachers with several states, old guards and old tors.
mod attach_refused;
/// Circuits that the program builds, streams through them, and attachers.
mod attaching;
/// Listeners of one circuit or stream, and their end.
mod ended;
/// The listeners of circuits, streams and mappings.
mod listeners;
/// Calls of several steps, and their time limit.
mod one_limit;
/// Parts that a filter refuses or that cannot be parsed.
mod parts;
/// Parts of which tor does not report every change.
mod refresh;
/// Relays, loaded at the first request.
mod relays;
/// Threads that add listeners without a pause.
mod storm;
/// Many threads that wait for circuits and streams.
mod waiting;

use torcon::names::{CircuitId, NetworkLiveness, StreamId};
use torcon::state::State;
use torcon::{Controller, Error, Tor};

use super::{LIMIT, answer, closed, connected};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::leaks::Holdings;
use crate::support::script::Script;
use crate::support::script::Steps as _;
use crate::support::signal::signal;
use crate::support::watchdog::eventually;

const GUARD: &str = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r";

const SETEVENTS: &str = "SETEVENTS ADDRMAP CIRC CIRC_MINOR CONF_CHANGED GUARD NETWORK_LIVENESS \
                         ORCONN SIGNAL STATUS_CLIENT STREAM";
const GETINFO: &str = "GETINFO circuit-status stream-status orconn-status entry-guards \
                       address-mappings/all status/bootstrap-phase network-liveness";

/// Returns the reply to [`GETINFO`] of a tor with only these circuits and streams, as lines of
/// `circuit-status` and `stream-status`.
fn snapshot(circuits: &[&str], streams: &[&str]) -> Vec<u8> {
    let mut reply = String::new();
    for (key, lines) in [("circuit-status", circuits), ("stream-status", streams)] {
        reply += &format!("250+{key}=\r\n");
        lines.iter().for_each(|line| reply += &format!("{line}\r\n"));
        reply += ".\r\n";
    }
    for key in ["orconn-status=", "entry-guards=", "address-mappings/all="] {
        reply += &format!("250-{key}\r\n");
    }
    reply +=
        "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n";
    reply += "250-network-liveness=up\r\n250 OK\r\n";
    reply.into_bytes()
}

/// Answers both commands of a new state.
fn greet(script: &mut Script, circuits: &[&str], streams: &[&str]) {
    script.expect(SETEVENTS).send("250 OK\r\n");
    script.expect(GETINFO).send(snapshot(circuits, streams));
}

/// Makes a state on a fake tor that then runs `play`.
#[track_caller]
fn followed(
    circuits: &'static [&str],
    streams: &'static [&str],
    play: impl FnOnce(&mut Script) + Send + 'static,
) -> (FakeTor, Controller, State) {
    let (tor, controller) = connected(move |script| {
        greet(script, circuits, streams);
        play(script);
    });
    let state = State::new(&controller).unwrap();
    (tor, controller, state)
}

/// Serves a client. `GETINFO event/TEXT`, with `|` for blanks, sends the text as an event before the
/// reply.
fn serve_events(script: &mut Script) {
    script.serve(|line, out| {
        if let Some(text) = line.strip_prefix("GETINFO event/") {
            out.extend_from_slice(format!("650 {}\r\n", text.replace('|', " ")).as_bytes());
        }
        answer(line, out);
    });
}

/// Makes the fake tor send an event, which the state has applied when this returns.
#[track_caller]
fn send_event(controller: &Controller, text: &str) {
    let without_blanks = text.replace(' ', "|");
    controller.get_info_one(&format!("event/{without_blanks}")).unwrap();
}

fn texts(state: &State) -> Vec<String> {
    state.circuits().iter().map(|circuit| circuit.info().text().to_string()).collect()
}

#[test]
fn a_state_sends_one_setevents_and_one_getinfo() {
    let (tor, controller) = connected(|script| {
        greet(script, &[], &[]);
        // This program does not wait for the reply.
        script.expect("SETEVENTS").expect_end();
    });
    let before = tor.lines();
    assert_eq!(before, ["PROTOCOLINFO 1", "AUTHENTICATE"], "connecting sends nothing more");
    let state = State::new(&controller).unwrap();
    assert!(state.circuits().is_empty() && state.streams().is_empty());
    assert!(state.guards().is_empty() && state.address_map().is_empty());
    assert!(state.connections().is_empty() && state.is_live());
    assert!(state.bootstrap().unwrap().is_done());
    let snapshot = state.snapshot();
    assert_eq!((snapshot.number(), snapshot.liveness.unwrap()), (0, NetworkLiveness::Up));
    drop((state.clone(), state));
    controller.close();
    tor.finish();
}

#[test]
fn events_before_the_answer_are_not_applied_twice_and_those_after_it_are_not_lost() {
    let (tor, controller) = connected(|script| {
        // The answer covers everything before it, and says more.
        script.expect(SETEVENTS).send_lines(&["250 OK", "650 CIRC 1 LAUNCHED PURPOSE=GENERAL"]);
        script.expect(GETINFO).send_lines(&[
            "650 CIRC 2 LAUNCHED PURPOSE=GENERAL",
            "650 STREAM 5 NEW 0 a.example:80 SOURCE_ADDR=127.0.0.1:1 PURPOSE=USER",
        ]);
        let circuit = format!("2 BUILT {GUARD} PURPOSE=GENERAL");
        script.send(snapshot(&[&circuit], &["5 NEW 0 a.example:80", "6 NEW 0 b.example:80"]));
        script.send_lines(&["650 STREAM 6 CLOSED 0 b.example:80 REASON=DONE"]);
        script.send_lines(&["650 CIRC 3 LAUNCHED PURPOSE=GENERAL"]);
        serve_events(script);
    });
    let state = State::new(&controller).unwrap();
    send_event(&controller, "STREAM 5 SENTCONNECT 2 a.example:80");
    assert_eq!(
        texts(&state),
        [format!("CIRC 2 BUILT {GUARD} PURPOSE=GENERAL"), "CIRC 3 LAUNCHED PURPOSE=GENERAL".into()]
    );
    let streams = state.streams();
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0].id(), StreamId::from(5));
    assert_eq!(streams[0].info().circuit(), Some(CircuitId::from(2)));
    let snapshot = state.snapshot();
    assert_eq!(snapshot.number(), 6, "three before the answer, and three behind it");
    assert_eq!(snapshot.streams_of(CircuitId::from(2)).count(), 1);
    assert_eq!(snapshot.circuit(CircuitId::from(3)).unwrap().path().len(), 0);
    assert_eq!(snapshot.stream(StreamId::from(6)), None);
    // The text is kept unchanged.
    send_event(&controller, "CIRC 3 FAILED PURPOSE=GENERAL REASON=TIMEOUT");
    assert_eq!(snapshot.circuits.len(), 2);
    assert_eq!(state.snapshot().circuits.len(), 1);
    drop((state, streams, controller));
    tor.finish();
}

#[test]
fn a_handle_reports_the_end_of_its_circuit_or_stream() {
    let (tor, controller, state) = followed(
        &["7 BUILT $E8F7~x PURPOSE=GENERAL"],
        &["17 SUCCEEDED 7 a.example:80"],
        serve_events,
    );
    let circuit = state.circuit(&CircuitId::from(7)).unwrap();
    let stream = state.stream(&StreamId::from(17)).unwrap();
    assert_eq!(circuit, state.circuits()[0]);
    assert!(state.circuit(&CircuitId::from(8)).is_none());
    assert_eq!(
        format!("{circuit:?} {stream:?}"),
        "Circuit(\"CIRC 7 BUILT $E8F7~x PURPOSE=GENERAL\") \
         Stream(\"STREAM 17 SUCCEEDED 7 a.example:80\")"
    );
    send_event(&controller, "STREAM 17 FAILED 7 a.example:80 REASON=DESTROY");
    assert!(state.stream(&StreamId::from(17)).is_none(), "it has failed");
    send_event(&controller, "STREAM 17 CLOSED 7 a.example:80");
    send_event(
        &controller,
        "CIRC 7 CLOSED $E8F7~x PURPOSE=GENERAL REASON=DESTROYED REMOTE_REASON=FINISHED",
    );
    assert!(state.circuits().is_empty());
    assert_eq!(circuit.info().remote_reason().as_ref().unwrap().as_str(), "FINISHED");
    assert_eq!(stream.info().reason().as_ref().unwrap().as_str(), "DESTROY");
    assert_eq!(stream.state().circuits().len(), 0);
    drop((state, circuit, stream, controller));
    tor.finish();
}

#[test]
fn an_event_that_cannot_be_parsed_changes_nothing() {
    let (tor, controller, state) =
        followed(&["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[], serve_events);
    // invented.txt of the dialect has each of them.
    for text in ["CIRC", "CIRC !", "STREAM 1", "GUARD ENTRY", "ADDRMAP x", "ORCONN", "SIGNAL"] {
        send_event(&controller, text);
    }
    send_event(&controller, "CIRC 8 LAUNCHED PURPOSE=GENERAL");
    assert_eq!(state.circuits().len(), 2);
    drop((state, controller));
    tor.finish();
}

#[test]
fn the_connection_ends_while_the_state_is_made() {
    for after in ["SETEVENTS", "GETINFO"] {
        let (tor, controller) = connected(move |script| {
            script.expect(SETEVENTS);
            if after == "GETINFO" {
                script.send("250 OK\r\n").expect(GETINFO).send("250+circuit-status=\r\n");
            }
            script.close();
        });
        assert_eq!(closed(State::new(&controller)), "tor closed the connection", "{after}");
        assert_eq!(closed(State::new(&controller)), "tor closed the connection");
        tor.finish();
    }
}

#[test]
fn a_state_stays_as_it_was_when_the_connection_has_ended() {
    let (go_on, told) = signal();
    let (tor, controller, state) =
        followed(&["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[], move |script| {
            script.wait_for(&told).send("650 CIRC 8 LAUNCHED PURPOSE=GENERAL\r\n").close();
        });
    go_on.fire();
    controller.wait_closed(LIMIT).unwrap();
    assert_eq!(state.circuits().len(), 2);
    let reason = "tor closed the connection";
    assert_eq!(closed(state.on_circuit(|_| {})), reason);
    assert_eq!(closed(state.circuits()[0].on_update(|_| {})), reason);
    assert_eq!(closed(state.relays()), reason);
    tor.finish();
}

#[test]
fn the_state_is_up_to_date_inside_a_listener_of_the_controller() {
    // Rule 5: the state applies an event before listeners receive it.
    let (tor, controller, state) = followed(&[], &[], serve_events);
    let (seen, looks) = crossbeam_channel::unbounded();
    let weak = state.downgrade();
    let look = move |circ: &torcon::event::CircEvent| {
        let state = weak.upgrade().expect("the test has it");
        let _ =
            seen.send(state.circuit(&circ.id()).map(|circuit| circuit.info().status().to_string()));
    };
    controller.on(look).unwrap();
    send_event(&controller, "CIRC 3 LAUNCHED PURPOSE=GENERAL");
    assert_eq!(super::next(&looks).as_deref(), Some("LAUNCHED"));
    drop((state, controller));
    tor.finish();
}

#[test]
fn the_state_of_a_tor_is_made_once() {
    let (tor, controller) = connected(|script| {
        greet(script, &["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[]);
        script.expect_end();
    });
    let connected = Tor::from(controller);
    let state = connected.state().unwrap();
    assert_eq!(state.circuits()[0], connected.state().unwrap().circuits()[0]);
    connected.close().unwrap();
    drop((state, connected));
    tor.finish();
}

#[test]
fn a_state_that_could_not_be_made_is_made_by_the_next_call() {
    let (tor, controller) = connected(|script| {
        for _ in 0..11 {
            let _ = script.expect_line("a subscription");
            script.send("510 Command filtered\r\n");
        }
        greet(script, &[], &[]);
        script.drain();
    });
    let connected = Tor::from(controller);
    let error = connected.state().unwrap_err();
    assert!(matches!(&error, Error::Rejected(_)) && error.is_filtered(), "{error}");
    drop(connected.state().unwrap());
    drop(connected);
    tor.finish();
}

#[test]
fn a_dropped_state_leaves_nothing_behind() {
    exclusive(|| {
        let holdings = Holdings::now();
        let circuits = &["7 BUILT $E8F7~x PURPOSE=GENERAL"];
        let (tor, controller, state) = followed(circuits, &["9 NEW 0 a.example:80"], serve_events);
        let (seen, updates) = crossbeam_channel::unbounded();
        state.on_circuit(move |update| seen.send(update.info.id()).unwrap()).unwrap();
        // Only handles keep the state, not these listeners.
        state.on_stream(|_| {}).unwrap();
        state.on_address(|_| {}).unwrap();
        super::next(&updates);
        let circuit = state.circuits().remove(0);
        let weak = state.downgrade();
        drop((state, controller));
        assert_eq!(weak.upgrade().unwrap().circuits().len(), 1);
        assert!(circuit.state().controller().is_alive());
        drop(circuit);
        // The thread that calls the closure may still have the update.
        eventually(LIMIT, "the state is gone", || weak.upgrade().is_none());
        assert!(updates.recv_timeout(LIMIT).is_err(), "the closure is gone");
        tor.finish();
        holdings.assert_restored(LIMIT);
    });
}
