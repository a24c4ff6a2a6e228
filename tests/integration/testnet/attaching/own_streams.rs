use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use crossbeam_channel::unbounded;
use torcon::error::CircuitProblem;
use torcon::names::{CircuitPurpose, StreamStatus};
use torcon::state::{Attach, AttacherOptions, State};
use torcon::{Event, EventKind, Launcher};

use super::{Setup, connected_by, label};
use crate::support::named_thread::named;
use crate::testnet::built::{attaches_itself, built, problem, relays};
use crate::testnet::echo_server::{EchoServer, is_greeted};
use crate::testnet::{LIMIT, shared_network};

#[test]
fn streams_through_circuits_and_those_of_applications_are_kept_apart() {
    let setup = Setup::new();
    let circuits: Vec<_> = (0..5).map(|first| setup.circuit(first)).collect();
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    thread::scope(|scope| {
        for (number, circuit) in circuits.iter().enumerate() {
            let setup = &setup;
            for turn in 0..4 {
                let name = format!("own{number}x{turn}");
                scope.spawn(move || {
                    let stream = circuit.connect_stream(setup.echo_server.target(&name));
                    is_greeted(stream.expect("the circuit exists"), &name);
                });
                let name = format!("other{number}x{turn}");
                scope.spawn(move || setup.visit(&name));
            }
        }
    });
    attaches_itself(setup.controller());
    let mut names = BTreeMap::new();
    let mut connected = 0;
    for event in events.timeout_iter(LIMIT) {
        let Event::Stream(stream) = event else { continue };
        if stream.status() == StreamStatus::New
            && stream.target().port() == Some(setup.echo_server.port())
        {
            names.insert(stream.id(), stream.target().host().to_owned());
        }
        let (Some(name), StreamStatus::Succeeded) = (names.get(&stream.id()), &stream.status())
        else {
            continue;
        };
        let by = circuits.iter().position(|circuit| Some(circuit.id()) == stream.circuit());
        let own = name.strip_prefix("own").map(|name| name[..1].parse().unwrap());
        assert_eq!(by, own, "{name}");
        connected += 1;
        if connected == 40 {
            break;
        }
    }
    assert_eq!(connected, 40, "{names:?}");
    setup.tor.quit().unwrap();
}

#[test]
fn no_attacher_is_called_for_a_stream_through_a_circuit() {
    let setup = Setup::new();
    let ours = setup.circuit(0);
    let (sender, asked) = unbounded();
    let options = AttacherOptions::new().priority(i32::MAX);
    let circuit = ours.clone();
    let target = setup.echo_server.target("within");
    let guard = options.set(&setup.state, move |stream, _| {
        sender.send(label(stream)).unwrap();
        // It can be opened inside an attacher too.
        let stream = circuit.connect_stream(&*target).expect("no attacher is called for it");
        is_greeted(&stream, "within");
        Attach::Tor
    });
    let stream = ours.connect_stream(setup.echo_server.target("own")).unwrap();
    is_greeted(&stream, "own");
    assert!(asked.is_empty());
    setup.visit("theirs");
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), ["theirs"]);
    drop(guard);
    setup.tor.quit().unwrap();
}

#[test]
fn a_stream_goes_through_a_circuit_also_at_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socks");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let launcher = Launcher::new().network(shared_network()).timeout(LIMIT);
    let tor = launcher.option("SocksPort", format!("unix:{}", socket.display())).launch().unwrap();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let echo_server = EchoServer::start();
    let circuits: Vec<_> =
        (0..2).map(|_| built(&state, &relays()[..3], &CircuitPurpose::Controller)).collect();
    thread::scope(|scope| {
        for (number, circuit) in circuits.iter().enumerate() {
            for turn in 0..3 {
                let name = format!("unix{number}x{turn}");
                let echo_server = &echo_server;
                scope.spawn(move || {
                    let stream = circuit.connect_stream(echo_server.target(&name)).unwrap();
                    is_greeted(&stream, &name);
                    let is_on_it = |stream: &torcon::state::Stream| {
                        stream
                            .info()
                            .socks_username()
                            .as_ref()
                            .is_some_and(|n| *n == "torcon-circuit")
                    };
                    assert!(circuit.streams().iter().all(is_on_it));
                });
            }
        }
    });
    let general = built(&state, &relays()[..3], &CircuitPurpose::General);
    assert_eq!(general.resolve("some.test").unwrap().to_string(), "127.0.0.1");
    attaches_itself(tor.controller().unwrap());
    tor.quit().unwrap();
}

#[test]
fn a_stream_whose_circuit_ends_while_it_connects_fails_and_is_not_attached_again() {
    let setup = Setup::new();
    let ours = setup.circuit(0);
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    let connecting = {
        let circuit = ours.clone();
        // An address of a documentation network, so that the exit waits for an answer.
        named("connecting", move || circuit.connect_stream_timeout("192.0.2.1:80", LIMIT))
    };
    let is_sent = |event: &Event| {
        matches!(event, Event::Stream(stream)
            if stream.target().host() == "192.0.2.1"
            && matches!(stream.status(), StreamStatus::SentConnect | StreamStatus::Detached))
    };
    events.timeout_iter(LIMIT).find(is_sent).expect("it is sent");
    ours.close().unwrap();
    let problem = problem(connecting.join().unwrap());
    // The exit may have reported the end first.
    let is_told = matches!(problem, CircuitProblem::Closed(_) | CircuitProblem::Stream { .. });
    assert!(is_told, "{problem:?}");
    attaches_itself(setup.controller());
    setup.tor.quit().unwrap();
}

#[test]
fn two_states_of_one_connection_attach_streams_together() {
    let setup = Setup::new();
    let second = State::new(&setup.state.controller()).unwrap();
    let ours = built(&second, &relays()[..3], &CircuitPurpose::Controller);
    let choice = ours.clone();
    let guard = second.set_attacher(move |_, _| Attach::To(choice.clone())).unwrap();
    // The attach loop belongs to the second state, and the stream to the first.
    let theirs = setup.circuit(1);
    let stream = theirs.connect_stream(setup.echo_server.target("first")).unwrap();
    is_greeted(&stream, "first");
    drop(second);
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    setup.visit("second");
    assert_eq!(connected_by(&events, "second.test"), ours.id());
    drop(guard);
    attaches_itself(setup.controller());
    setup.tor.quit().unwrap();
}
