//! A call of several steps has one time limit for all of them.

use std::time::{Duration, Instant};

use torcon::names::{CircuitId, CircuitPurpose, Fingerprint, StreamId, StreamReason};
use torcon::state::{Attach, Circuit, Path, State};
use torcon::{Error, Tor};

use super::{GETINFO, SETEVENTS, greet, relays, serve_events};
use crate::scripted::one_deadline::{CALL, FIRST_STEP, assert_times_out};
use crate::scripted::{LIMIT, connected, join, start};
use crate::support::script::Script;

const CIRCUITS: &[&str] = &["7 BUILT $E8F7~x,$E8F8~y PURPOSE=GENERAL"];
const STREAMS: &[&str] = &["5 SUCCEEDED 7 a.example:80"];

type Call = fn(&State) -> Result<(), Error>;

/// Makes a call whose first command gets a late reply, and whose second step gets none.
fn check(command: &'static str, reply: &'static str, call: Call) {
    let (tor, controller) = connected(move |script| {
        greet(script, CIRCUITS, STREAMS);
        script.expect(command).pause(FIRST_STEP).send(format!("{reply}\r\n")).drain();
    });
    let state = State::new(&controller.with_timeout(CALL)).unwrap();
    assert_times_out(command, || call(&state));
    drop((state, controller));
    tor.finish();
}

/// The events of a new circuit precede the reply.
const EXTENDED: &str = "650 CIRC 8 LAUNCHED PURPOSE=GENERAL\r\n250 EXTENDED 8";

#[test]
fn a_call_of_a_state_has_one_time_limit_for_its_commands_and_its_wait() {
    let calls: [(&str, &str, Call); 9] = [
        ("EXTENDCIRCUIT 0", EXTENDED, |state| {
            state.build_circuit_for(Path::any(), CircuitPurpose::Controller).map(drop)
        }),
        ("EXTENDCIRCUIT 0", EXTENDED, |state| {
            state.build_circuit_timeout(Path::any(), CALL).map(drop)
        }),
        ("EXTENDCIRCUIT 7 $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "250 EXTENDED 7", |state| {
            let circuit = state.circuit(&CircuitId::from(7)).unwrap();
            circuit.extend([Fingerprint::from([0xaa; 20])]).map(drop)
        }),
        ("CLOSECIRCUIT 7", "250 OK", |state| state.circuit(&CircuitId::from(7)).unwrap().close()),
        ("CLOSESTREAM 5 6", "250 OK", |state| {
            state.stream(&StreamId::from(5)).unwrap().close(StreamReason::Done)
        }),
        ("GETCONF __LeaveStreamsUnattached", "250 __LeaveStreamsUnattached=0", |state| {
            state.set_attacher(|_, _| Attach::Tor).map(drop)
        }),
        (
            "GETINFO net/listeners/socks",
            "250-net/listeners/socks=\"127.0.0.1:9\"\r\n250 OK",
            |state| {
                let circuit = state.circuit(&CircuitId::from(7)).unwrap();
                circuit.connect_stream_timeout("a.example:80", CALL).map(drop)
            },
        ),
        (relays::SETEVENTS, "250 OK", |state| state.relays().map(drop)),
        (relays::SETEVENTS, "250 OK", |state| {
            state.choose_path(&Path::to("a.example:80")).map(drop)
        }),
    ];
    let threads = calls.map(|(command, reply, call)| start(move || check(command, reply, call)));
    threads.into_iter().for_each(join);
}

#[test]
fn a_state_is_made_and_a_tor_is_waited_for_within_one_time_limit() {
    let state = start(|| {
        let (tor, controller) = connected(|script| {
            script.expect(SETEVENTS).pause(FIRST_STEP).send("250 OK\r\n");
            script.expect(GETINFO).drain();
        });
        let tor_handle = Tor::from(controller.with_timeout(CALL));
        assert_times_out("Tor::state", || tor_handle.state().map(drop));
        drop((tor_handle, controller));
        tor.finish();
    });
    let ready = start(|| {
        let (tor, controller) = connected(|script: &mut Script| {
            script.expect("SETEVENTS STATUS_CLIENT").pause(FIRST_STEP).send("250 OK\r\n");
            script.drain();
        });
        let tor_handle = Tor::from(controller.clone());
        assert_times_out("Tor::wait_ready", || tor_handle.wait_ready(CALL));
        drop((tor_handle, controller));
        tor.finish();
    });
    join(state);
    join(ready);
}

#[test]
fn a_circuit_that_is_not_built_in_time_is_closed_without_a_wait_for_the_reply() {
    let (tor, controller) = connected(|script| {
        greet(script, &[], &[]);
        script
            .answer("EXTENDCIRCUIT 0", &["650 CIRC 8 LAUNCHED PURPOSE=GENERAL", "250 EXTENDED 8"]);
        script.expect("CLOSECIRCUIT 8").pause(FIRST_STEP).send("250 OK\r\n");
        serve_events(script);
    });
    let state = State::new(&controller).unwrap();
    let limit = Duration::from_secs(1);
    let begin = Instant::now();
    let error = state.build_circuit_timeout(Path::any(), limit).unwrap_err();
    assert!(error.is_timeout() && begin.elapsed() < FIRST_STEP, "{:?}", begin.elapsed());
    // The late reply goes to no other caller.
    controller
        .with_timeout(LIMIT)
        .get_info_one("event/CIRC|8|FAILED|PURPOSE=GENERAL|REASON=REQUESTED")
        .unwrap();
    assert!(state.circuits().is_empty());
    drop((state, controller));
    tor.finish();
}

#[test]
fn a_circuit_whose_event_or_purpose_is_not_reported_is_closed_after_the_time_limit() {
    const LAUNCHED: &str = "650 CIRC 8 LAUNCHED PURPOSE=GENERAL";
    type Build = fn(&State) -> Result<Circuit, Error>;
    let builds: [(&[&str], bool, Build); 2] = [
        (&["250 EXTENDED 8"], false, |state| state.build_circuit_timeout(Path::any(), CALL)),
        (&[LAUNCHED, "250 EXTENDED 8"], true, |state| {
            state.build_circuit_for(Path::any(), CircuitPurpose::Controller)
        }),
    ];
    for (reply, sets_purpose, build) in builds {
        let (tor, controller) = connected(move |script| {
            greet(script, &[], &[]);
            script.answer("EXTENDCIRCUIT 0", reply);
            if sets_purpose {
                script.answer("SETCIRCUITPURPOSE 8 purpose=controller", &["250 OK"]);
            }
            script.expect("CLOSECIRCUIT 8").drain();
        });
        let state = State::new(&controller.with_timeout(CALL)).unwrap();
        let error = build(&state).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        drop((state, controller));
        tor.finish();
    }
}
