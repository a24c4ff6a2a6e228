//! Paths that a state chooses by rules.

use torcon::Error;
use torcon::error::{HopRole, PathObstacle, PathProblem};
use torcon::names::{Fingerprint, RelayFlag, RelaySpec};
use torcon::state::{Path, State};

use super::echo_server::{EchoServer, is_greeted};
use super::retry::retried;
use super::{LIMIT, join, shared_network};
use crate::error_text::{chain, check_text};

fn fingerprints(path: &Path) -> Vec<Fingerprint> {
    let relays = path.relays().expect("the relays are chosen");
    relays.iter().map(|relay| relay.fingerprint().expect("by fingerprint")).collect()
}

#[test]
fn a_path_to_a_target_ends_at_an_exit_that_allows_its_port() {
    let tor = join();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let echo_server = EchoServer::start();
    let target = echo_server.target("chosen");
    // tor's option is off on the network, whose relays have one address.
    let rules = Path::to(&*target);
    let relays = shared_network().relays();
    let exits: Vec<_> = relays.iter().filter(|relay| relay.is_exit).collect();
    for _ in 0..30 {
        let path = fingerprints(&state.choose_path(&rules).unwrap());
        let [guard, middle, exit] = path[..] else { panic!("{path:?}") };
        assert!(guard != middle && middle != exit && guard != exit, "{path:?}");
        assert!(exits.iter().any(|relay| relay.fingerprint == exit), "{path:?}");
        let descriptor = state.controller().microdescriptor(exit).unwrap().unwrap();
        assert!(descriptor.allows_exit_to([127, 0, 0, 1].into(), echo_server.port()));
        assert!(state.relay(guard).unwrap().unwrap().has_flag(&RelayFlag::Guard));
    }
    let stream = retried(&state.controller(), "a stream opens along a chosen path", || {
        let circuit = state.build_circuit_timeout(&rules, LIMIT);
        circuit.and_then(|it| it.connect_stream(&*target)).map_err(|error| chain(&error))
    });
    is_greeted(&stream, "chosen");
    // A relay uses server descriptors.
    let relay = shared_network().controller(exits[0].nickname.as_str()).unwrap();
    let state = State::new(&relay).unwrap();
    let path = state.choose_path(&Path::to("example.com:443").hops(4)).unwrap();
    assert_eq!(fingerprints(&path).len(), 4);
    tor.quit().unwrap();
}

#[test]
fn a_position_without_a_fitting_relay_is_a_typed_error_with_the_reasons() {
    let tor = join();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let problem = |rules| match state.build_circuit(rules) {
        Err(Error::Path(error)) => {
            check_text(&error);
            error.problem().clone()
        }
        other => panic!("{other:?}"),
    };
    let relays = shared_network().relays();
    // All relays have the address 127.0.0.1.
    let PathProblem::NoCandidate { hop, role, excluded, .. } =
        problem(Path::builder().distinct_subnets(true))
    else {
        panic!()
    };
    assert_eq!((hop, role), (1, HopRole::Guard));
    let in_subnet = excluded.iter().find(|(obstacle, _)| *obstacle == PathObstacle::Subnet);
    assert_eq!(in_subnet.map(|(_, count)| *count), Some(relays.len() - 1), "{excluded:?}");
    // No country has the address.
    let PathProblem::NoCandidate { hop, excluded, .. } =
        problem(Path::builder().exit_countries("de"))
    else {
        panic!()
    };
    assert_eq!(hop, 3);
    assert!(excluded.iter().any(|(obstacle, _)| *obstacle == PathObstacle::Country));
    let exits = relays.iter().filter(|relay| relay.is_exit).map(|relay| relay.fingerprint);
    let rules = Path::to("example.com:80").exclude_relays(exits);
    let error = state.build_circuit(rules).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot choose hop 3 of the path, the exit: none of 6 relays fits: 5 excluded, 1 whose exit \
         policy does not allow the target"
    );
    let error = state.build_circuit(Path::to("example.com")).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"target\": must be host:port");
    let error = state.build_circuit(["a b"]).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error}");
    tor.quit().unwrap();
}

#[test]
fn circuits_are_built_along_relays_named_by_text_and_by_their_entries() {
    let tor = join();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let relays = state.relays().unwrap();
    let list: Vec<_> = relays.with_flag(RelayFlag::Exit).take(2).collect();
    let [first, second] = list[..] else { panic!("{list:?}") };
    let texts = [format!("${}", first.identity()), second.nickname().to_string()];
    let expected = [first.identity(), second.identity()];
    let built = |path: torcon::Result<torcon::state::Circuit>| {
        path.and_then(|circuit| circuit.wait_built(LIMIT)).map_err(|error| chain(&error))
    };
    for circuit in [
        retried(&state.controller(), "texts", || built(state.build_circuit(&texts))),
        retried(&state.controller(), "entries", || built(state.build_circuit([first, second]))),
        retried(&state.controller(), "a list", || built(state.build_circuit(&list))),
    ] {
        let path = circuit.path();
        let path: Vec<_> = path.iter().filter_map(RelaySpec::fingerprint).collect();
        assert_eq!(path, expected);
    }
    tor.quit().unwrap();
}
