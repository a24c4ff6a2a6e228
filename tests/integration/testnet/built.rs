use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use torcon::error::{CircuitError, CircuitProblem, Wait};
use torcon::names::{
    CircuitPurpose, CircuitReason, CircuitStatus, Fingerprint, RelaySpec, Signal, StreamReason,
    StreamStatus,
};
use torcon::state::{Circuit, CircuitInfo, Path, State};
use torcon::testnet::PrivateNetwork;
use torcon::{Error, EventKind, Launcher};

use super::echo_server::{EchoServer, is_greeted};
use super::retry::retried;
use super::{LIMIT, UP, join, shared_network};
use crate::error_text::{chain, check_text};
use crate::support::watchdog::eventually;

/// Returns the fingerprints of the relays, without the authority.
pub(super) fn relays() -> Vec<Fingerprint> {
    shared_network().relays()[1..].iter().map(|relay| relay.fingerprint).collect()
}

/// Builds a circuit, on the first or a later try.
#[track_caller]
pub(super) fn built(state: &State, path: impl Into<Path>, purpose: &CircuitPurpose) -> Circuit {
    let path = path.into();
    retried(&state.controller(), "a circuit is built", || {
        let circuit = state.build_circuit_for(path.clone(), purpose.clone());
        circuit.and_then(|circuit| circuit.wait_built(LIMIT)).map_err(|error| chain(&error))
    })
}

fn fingerprints(path: &[RelaySpec]) -> Vec<Fingerprint> {
    path.iter().map(|relay| relay.fingerprint().expect("tor names it so")).collect()
}

#[track_caller]
pub(super) fn problem<T: std::fmt::Debug>(outcome: torcon::Result<T>) -> CircuitProblem {
    match outcome {
        Err(Error::Circuit(error)) => error.problem().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_circuit_along_three_chosen_relays_carries_exactly_the_stream_that_was_sent_through_it() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let state = State::new(controller).unwrap();
    let echo_server = EchoServer::start();
    let relays = relays();
    let circuit = built(&state, &relays[1..4], &CircuitPurpose::General);
    assert_eq!(fingerprints(&circuit.path()), relays[1..4]);
    assert_eq!(circuit.status(), CircuitStatus::Built);
    assert_eq!(circuit.purpose(), Some(CircuitPurpose::General));
    assert!(circuit.build_flags().is_empty(), "{circuit:?}");
    assert!(circuit.age().is_some_and(|age| age < LIMIT * 4), "{circuit:?}");

    let stream = circuit.connect_stream(echo_server.target("one")).unwrap();
    is_greeted(&stream, "one");
    // tor's report of the circuit.
    let circuits = controller.circuit_status().unwrap();
    let ours = circuits.iter().find(|other| other.id() == circuit.id()).expect("tor knows it");
    assert_eq!(fingerprints(&ours.path()), relays[1..4]);
    let streams = controller.stream_status().unwrap();
    let on_it: Vec<_> =
        streams.iter().filter(|other| other.circuit() == Some(circuit.id())).collect();
    assert_eq!(on_it.len(), 1, "{streams:?}");
    assert_eq!(on_it[0].target().port(), Some(echo_server.port()));
    assert_eq!(on_it[0].status(), StreamStatus::Succeeded);
    // The report of the state.
    let known = circuit.streams();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].id(), on_it[0].id());
    assert_eq!(known[0].circuit().as_ref(), Some(&circuit));
    attaches_itself(controller);
    // While there is a stream on it.
    circuit.close_if_unused().unwrap();
    is_greeted(&stream, "still");

    assert_eq!(circuit.resolve("some.test").unwrap().to_string(), "127.0.0.1");
    circuit.close().unwrap();
    assert_eq!(circuit.status(), CircuitStatus::Closed);
    let last = circuit.wait_closed(LIMIT).unwrap();
    assert_eq!(last.reason(), Some(CircuitReason::Requested));
    let ended = known[0].wait_closed(LIMIT).unwrap();
    assert_eq!(ended.reason(), Some(StreamReason::Destroy), "{ended:?}");
    // Closing a closed circuit does nothing.
    circuit.close().unwrap();
    circuit.close_if_unused().unwrap();
    known[0].close(StreamReason::Misc).unwrap();
    for outcome in [
        circuit.connect_stream(echo_server.target("late")).map(drop),
        circuit.resolve("late.test").map(drop),
        circuit.wait_built(LIMIT).map(drop),
        circuit.extend([relays[0]]).map(drop),
    ] {
        let CircuitProblem::Closed(end) = problem(outcome) else { panic!() };
        assert_eq!(end.reason, Some(CircuitReason::Requested));
        assert_eq!(end.path.len(), 3);
    }
    tor.quit().unwrap();
}

/// Builds a circuit that fails when it has so many relays.
#[track_caller]
fn failed_after(state: &State, path: [Fingerprint; 3], hops: usize) -> CircuitError {
    retried(&state.controller(), "a circuit fails", || {
        match state.build_circuit(path).unwrap().wait_built(LIMIT) {
            Err(Error::Circuit(error)) if error.end().is_some_and(|e| e.path.len() == hops) => {
                Ok(error)
            }
            other => Err(format!("{other:?}")),
        }
    })
}

/// Returns the option by which tor leaves streams to controllers.
#[track_caller]
pub(super) fn unattached(controller: &torcon::Controller) -> String {
    let conf = controller.get_conf(["__LeaveStreamsUnattached"]).unwrap();
    let value = conf.get("__LeaveStreamsUnattached").and_then(torcon::command::ConfValue::first);
    value.unwrap_or("unset").to_owned()
}

/// Requires that tor attaches streams itself. The end of a guard or a connection waits for this for
/// a second only, and a busy tor may need longer.
#[track_caller]
pub(super) fn attaches_itself(controller: &torcon::Controller) {
    eventually(LIMIT, "tor attaches streams itself", || unattached(controller) == "0");
}

#[test]
fn circuits_are_extended_kept_from_tor_and_closed_after_a_timeout() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let state = State::new(controller).unwrap();
    let relays = relays();
    let circuit = built(&state, &relays[..2], &CircuitPurpose::Controller);
    assert_eq!(circuit.purpose(), Some(CircuitPurpose::Controller));
    let longer = circuit.extend([relays[2], relays[3]]).unwrap();
    assert_eq!(fingerprints(&longer.path()), relays[..4]);
    assert_eq!(longer, circuit);
    // tor has no single command for a controller circuit along a path that tor chooses.
    let any = built(&state, Path::any(), &CircuitPurpose::Controller);
    assert_eq!(any.path().len(), 3);
    assert_eq!(any.purpose(), Some(CircuitPurpose::Controller));

    // According to the consensus.
    let chosen: Vec<_> =
        relays[2..5].iter().map(|relay| state.relay(*relay).unwrap().unwrap()).collect();
    let by_status = built(&state, chosen, &CircuitPurpose::General);
    assert_eq!(fingerprints(&by_status.path()), relays[2..5]);
    by_status.close_if_unused().unwrap();
    by_status.wait_closed(LIMIT).unwrap();

    // The limit covers the command and the wait. A limit that is too short ends in the first, one
    // that is too long in a circuit; how long is right depends on the machine.
    let waits_for = |limit| {
        let error = state.build_circuit_timeout(&relays[..3], limit).err()?;
        let Error::Timeout(timeout) = &error else { panic!("{error:?}") };
        match timeout.wait() {
            Wait::Built(late) => Some((*late, error.to_string(), limit)),
            _ => None,
        }
    };
    let limits = (0..200).map(Duration::from_millis);
    let (late, error, limit) = limits.filter_map(waits_for).next().expect("a circuit takes time");
    assert_eq!(error, format!("timed out after {limit:?} waiting for circuit {late} to be built"));
    if let Some(late) = state.circuit(&late) {
        late.wait_closed(LIMIT).unwrap();
    }
    tor.quit().unwrap();
}

#[test]
fn circuits_and_targets_that_fail_have_a_typed_error() {
    let tor = join();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let relays = relays();
    let unknown = Fingerprint::from([0xaa; 20]);
    let circuit = built(&state, &relays[..3], &CircuitPurpose::General);
    let text = |error: Error| error.to_string();
    let no_path = "invalid argument \"path\": no relay is given";
    let none: [Fingerprint; 0] = [];
    assert_eq!(text(state.build_circuit(none).unwrap_err()), no_path);
    assert_eq!(text(circuit.extend(none).unwrap_err()), no_path);
    assert_eq!(
        text(circuit.extend(Path::any()).unwrap_err()),
        "invalid argument \"path\": must name the relays by which a circuit is extended"
    );
    let no_router = format!("tor refused EXTENDCIRCUIT: 552 \"No such router \\\"${unknown}\\\"\"");
    assert_eq!(text(state.build_circuit([unknown]).unwrap_err()), no_router);
    assert_eq!(text(circuit.extend([unknown]).unwrap_err()), no_router);
    assert_eq!(
        text(state.build_circuit_for(&relays[..3], CircuitPurpose::HsVanguards).unwrap_err()),
        "tor refused EXTENDCIRCUIT: 552 \"Unknown purpose \\\"hs_vanguards\\\"\""
    );
    for (target, problem) in [
        ("nowhere", "invalid argument \"target\": must be host:port"),
        ("a b:80", "invalid argument \"target\": must not contain blanks or control characters"),
    ] {
        let error = circuit.connect_stream(target).unwrap_err();
        assert!(text(error.clone()).contains(problem), "{error}");
    }
    assert_eq!(
        text(circuit.resolve("a b").unwrap_err()),
        "invalid argument \"name\": must be a host name or an address"
    );
    // tor would abort.
    let kept = built(&state, &relays[1..4], &CircuitPurpose::Controller);
    let purpose = Some(CircuitPurpose::Controller);
    assert_eq!(problem(kept.resolve("some.test")), CircuitProblem::Purpose { purpose });
    let onion = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion:80";
    assert_eq!(problem(circuit.connect_stream(onion)), CircuitProblem::Onion);
    let CircuitProblem::Stream { remote_reason, .. } =
        problem(circuit.connect_stream("a.nx.test:80"))
    else {
        panic!()
    };
    assert_eq!(remote_reason, Some(StreamReason::ResolveFailed));
    let error = circuit.resolve("b.nx.test").unwrap_err();
    assert!(matches!(error, Error::Circuit(_) | Error::Socks(_)), "{error:?}");
    // tor attaches no stream to a circuit of a single relay.
    let short = built(&state, &relays[..1], &CircuitPurpose::General);
    let CircuitProblem::NotAttached(rejection) = problem(short.connect_stream("a.test:80")) else {
        panic!()
    };
    assert_eq!(rejection.code(), 551);
    let error = short.connect_stream("a.test:80").unwrap_err();
    assert_eq!(error.status_code(), Some(551));
    check_text(&error);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to a.test:80 through circuit {}: tor refused to attach the stream",
            short.id()
        )
    );
    tor.quit().unwrap();
}

#[test]
fn a_stream_is_closed_with_a_reason_and_close_waits_for_tor_s_report() {
    let tor = join();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let echo_server = EchoServer::start();
    let circuit = built(&state, &relays()[..3], &CircuitPurpose::General);
    let socket = circuit.connect_stream(echo_server.target("one")).unwrap();
    is_greeted(&socket, "one");
    let [stream] = circuit.streams().try_into().unwrap();
    assert_eq!(stream.status(), StreamStatus::Succeeded);
    assert_eq!(stream.target().port(), Some(echo_server.port()));
    let error = stream.wait_closed(Duration::ZERO).unwrap_err();
    let text = format!("timed out after 0ns waiting for the end of stream {}", stream.id());
    assert_eq!(error.to_string(), text);
    let error = stream.close(StreamReason::End).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    assert_eq!(stream.status(), StreamStatus::Succeeded);
    stream.close(StreamReason::Misc).unwrap();
    assert_eq!(stream.status(), StreamStatus::Closed);
    assert_eq!(stream.info().reason(), Some(StreamReason::Misc));
    assert!(circuit.streams().is_empty() && state.stream(&stream.id()).is_none());
    // The last known values stay.
    assert_eq!(stream.circuit().as_ref(), Some(&circuit));
    circuit.close().unwrap();
    assert_eq!(stream.circuit(), None);
    tor.quit().unwrap();
}

#[test]
fn a_stream_goes_through_either_leg_of_a_conflux_pair() {
    let tor = join();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let echo_server = EchoServer::start();
    let is_linked = |circuit: &Circuit| {
        circuit.info().is_built() && circuit.purpose() == Some(CircuitPurpose::ConfluxLinked)
    };
    let mut outcomes = Vec::new();
    eventually(LIMIT, "a stream goes through a pair", || {
        let linked: Vec<_> = state.circuits().into_iter().filter(is_linked).collect();
        outcomes = linked
            .iter()
            .map(|circuit| circuit.connect_stream(echo_server.target("pair")))
            .collect();
        // A pair may end meanwhile.
        outcomes.len() > 1 && outcomes.iter().all(Result::is_ok)
    });
    for stream in outcomes {
        is_greeted(stream.unwrap(), "pair");
    }
    tor.quit().unwrap();
}

#[test]
fn fifty_circuits_are_built_at_once_from_as_many_threads() {
    let tor = join();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let relays = relays();
    let circuits: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..50)
            .map(|number: usize| {
                let (state, relays) = (&state, &relays);
                scope.spawn(move || {
                    let path: Vec<_> =
                        (0..3).map(|hop| relays[(number + hop) % relays.len()]).collect();
                    let circuit = built(state, &path, &CircuitPurpose::Controller);
                    assert_eq!(fingerprints(&circuit.path()), path);
                    circuit
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut ids: Vec<_> = circuits.iter().map(Circuit::id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    let there = tor.controller().unwrap().circuit_status().unwrap();
    for circuit in &circuits {
        let told = there.iter().find(|other| other.id() == circuit.id());
        // One may have ended meanwhile, and then the state knows.
        assert!(told.is_some() || circuit.info().is_over(), "{circuit:?}");
    }
    tor.quit().unwrap();
}

#[test]
fn a_listener_builds_a_circuit_and_sends_a_stream_through_it() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let state = State::new(controller).unwrap();
    let echo_server = EchoServer::start();
    let relays = relays();
    let (sender, done) = bounded(2);
    let target = echo_server.target("inside");
    let work = move |state: &State, relays: &[Fingerprint]| {
        let circuit = built(state, relays, &CircuitPurpose::Controller);
        let stream = circuit.connect_stream(&*target).expect("it works inside a listener");
        is_greeted(&stream, "inside");
        circuit.extend([relays[0]]).expect("it is made longer");
        circuit.close().expect("it is closed");
        fingerprints(&circuit.path())
    };
    // On the thread of events.
    let (weak, of_events) = (state.downgrade(), sender.clone());
    let (first, path) = (work.clone(), relays[1..4].to_vec());
    let id = controller.add_event_listener(EventKind::Signal, move |_| {
        let state = weak.upgrade().expect("the test has it");
        of_events.send(first(&state, &path)).unwrap();
    });
    controller.signal(Signal::ClearDnsCache).unwrap();
    let expected = |relays: &[Fingerprint]| [relays, &relays[..1]].concat();
    assert_eq!(done.recv_timeout(LIMIT * 2).expect("it is done"), expected(&relays[1..4]));
    controller.remove_event_listener(id.unwrap()).unwrap();
    // On the thread of the state.
    let (weak, path) = (state.downgrade(), relays[2..5].to_vec());
    let mut waiting = true;
    let id = state.on_circuit(move |_| {
        if std::mem::take(&mut waiting) {
            let state = weak.upgrade().expect("the test has it");
            sender.send(work(&state, &path)).unwrap();
        }
    });
    let there = built(&state, &relays[..3], &CircuitPurpose::General);
    assert_eq!(done.recv_timeout(LIMIT * 2).expect("it is done"), expected(&relays[2..5]));
    state.remove_listener(id.unwrap()).unwrap();
    drop(there);
    tor.quit().unwrap();
}

/// Waits until a circuit has ended whose last relay was killed.
///
/// A relay may delay the end of a circuit until it sends something else to the same relay: another
/// circuit along the preceding relays causes that.
#[track_caller]
fn ended(circuit: &Circuit, before: &[Fingerprint]) -> Arc<CircuitInfo> {
    for _ in 0..12 {
        match circuit.wait_closed(LIMIT / 6) {
            Err(error) if error.is_timeout() => {
                let other = built(&circuit.state(), before, &CircuitPurpose::Controller);
                other.close().unwrap();
            }
            outcome => return outcome.unwrap(),
        }
    }
    panic!("{circuit:?} does not end");
}

#[test]
fn a_circuit_over_a_relay_that_was_killed_fails_with_both_reasons_and_names_the_relay() {
    let network = PrivateNetwork::builder().relays(4).timeout(UP * 3).launch().unwrap();
    let launcher = Launcher::new().network(&network).option("SocksPort", "127.0.0.1:auto");
    let tor = launcher.timeout(LIMIT * 2).launch().unwrap();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let echo_server = EchoServer::start();
    let relays: Vec<_> = network.relays()[1..].iter().map(|relay| relay.fingerprint).collect();
    let path = [relays[0], relays[1], relays[2]];
    // tor does not use it, so nothing else ends it.
    let circuit = built(&state, path, &CircuitPurpose::Controller);
    let stream = circuit.connect_stream(echo_server.target("doomed")).unwrap();
    is_greeted(&stream, "doomed");

    network.kill("relay2").unwrap();
    let last = ended(&circuit, &relays[..2]);
    assert_eq!(last.status(), CircuitStatus::Closed);
    assert_eq!(last.reason(), Some(CircuitReason::Destroyed), "{last:?}");
    assert!(last.remote_reason().is_some(), "{last:?}");
    let CircuitProblem::Closed(end) = problem(circuit.wait_built(LIMIT)) else { panic!() };
    assert_eq!(end.remote_reason, last.remote_reason());
    assert!(matches!(problem(circuit.connect_stream("a.test:80")), CircuitProblem::Closed(_)));

    // The killed relay as the last hop, and as the first.
    let error = failed_after(&state, path, 2);
    assert_eq!(error.reason(), Some(&CircuitReason::Destroyed), "{error:?}");
    assert!(error.remote_reason().is_some(), "{error:?}");
    let end = error.end().unwrap();
    assert_eq!(fingerprints(&end.path), relays[..2]);
    assert_eq!(end.next.as_ref().and_then(RelaySpec::fingerprint), Some(relays[2]));
    assert_eq!(error.to_string(), format!("cannot build circuit {}", error.circuit()));
    check_text(&error);
    let chain = chain(&error);
    let hop = format!("; hop 3, ${}, was not reached", relays[2]);
    assert!(chain.ends_with(&hop), "{chain}");

    let error = failed_after(&state, [relays[2], relays[1], relays[0]], 0);
    let CircuitProblem::Failed(end) = error.problem() else { panic!("{error:?}") };
    assert!(end.path.is_empty(), "{end:?}");
    assert!(end.reason.is_some() && end.remote_reason.is_none(), "{end:?}");
    assert_eq!(end.next.as_ref().and_then(RelaySpec::fingerprint), Some(relays[2]));

    // Extending a circuit to it ends the circuit.
    let circuit = built(&state, &relays[..2], &CircuitPurpose::Controller);
    let problem = problem(circuit.extend([relays[2]]));
    let (CircuitProblem::Closed(end) | CircuitProblem::Failed(end)) = &problem else {
        panic!("{problem:?}")
    };
    assert_eq!(end.next.as_ref().and_then(RelaySpec::fingerprint), Some(relays[2]));
    tor.quit().unwrap();
}
