use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use parking_lot::Mutex;
use torcon::error::SocksCode;
use torcon::names::{CircuitId, CircuitPurpose, StreamStatus};
use torcon::state::{Attach, AttacherGuard, AttacherOptions, Circuit, StreamInfo};
use torcon::{Error, Event, EventKind};

use super::{Setup, connected_by, label};
use crate::support::named_thread::named;
use crate::testnet::LIMIT;
use crate::testnet::built::{attaches_itself, built, relays, unattached};
use crate::testnet::echo_server::is_greeted;

/// The time limit of an attacher that exceeds it.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_hundred_streams_at_once_go_through_the_chosen_ones_of_three_circuits() {
    let setup = Setup::new();
    let circuits: Vec<_> = (0..3).map(|first| setup.circuit(first)).collect();
    let ids: Vec<_> = circuits.iter().map(Circuit::id).collect();
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    let choices = circuits.clone();
    let guard = setup.state.set_attacher(move |stream, there| {
        let number: usize = label(stream).strip_prefix('n').and_then(|n| n.parse().ok()).unwrap();
        let chosen = &choices[number % 3];
        assert!(there.contains(chosen), "{there:?}");
        assert!(there.iter().all(|circuit| !circuit.info().is_over()));
        Attach::To(chosen.clone())
    });
    let guard = guard.unwrap();
    assert!(guard.is_active());
    assert_eq!(unattached(setup.controller()), "1");
    thread::scope(|scope| {
        for number in 0..100 {
            let (setup, name) = (&setup, format!("n{number}"));
            scope.spawn(move || setup.visit(&name));
        }
    });
    // Each stream by its own events.
    let mut names = BTreeMap::new();
    let mut by: BTreeMap<String, Vec<CircuitId>> = BTreeMap::new();
    for event in events.timeout_iter(LIMIT) {
        let Event::Stream(stream) = event else { continue };
        let (id, status) = (&stream.id(), &stream.status());
        let (circuit, target) = (stream.circuit(), stream.target());
        if *status == StreamStatus::New && target.port() == Some(setup.echo_server.port()) {
            names.insert(*id, target.host().to_owned());
        }
        if let (Some(name), StreamStatus::Succeeded) = (names.get(id), status) {
            by.entry(name.clone()).or_default().push(circuit.unwrap());
        }
        if by.len() == 100 {
            break;
        }
    }
    assert_eq!(by.len(), 100, "{by:?}");
    for (name, circuits) in by {
        let number: usize = name.trim_start_matches('n').trim_end_matches(".test").parse().unwrap();
        assert_eq!(circuits, [ids[number % 3]], "{name}");
    }
    drop(guard);
    attaches_itself(setup.controller());
    setup.visit("after");
    setup.tor.quit().unwrap();
}

/// Sets an attacher that fails in some way, connects to the server, and returns the circuit that tor
/// used.
#[track_caller]
fn survives<F, R>(setup: &Setup, name: &str, limit: Duration, attacher: F) -> CircuitId
where
    F: FnMut(&StreamInfo, &[Circuit]) -> R + Send + 'static,
    R: Into<Attach>,
{
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    let guard = AttacherOptions::new().limit(limit).set(&setup.state, attacher).unwrap();
    setup.visit(name);
    let circuit = connected_by(&events, &format!("{name}.test"));
    drop(guard);
    attaches_itself(setup.controller());
    circuit
}

#[test]
fn no_stream_stays_unattached_however_an_attacher_fails() {
    let setup = Setup::new();
    let other = Setup::new();
    let ours = setup.circuit(0);
    let tors = |circuit: CircuitId| assert_ne!(circuit, ours.id());

    tors(survives(&setup, "panics", LIMIT, |_, _| -> Attach { panic!("as the test wants") }));
    let fails = |_: &StreamInfo, _: &[Circuit]| Err::<Attach, _>("no idea");
    tors(survives(&setup, "fails", LIMIT, fails));
    tors(survives(&setup, "left", LIMIT, |_, _| Attach::Tor));
    tors(survives(&setup, "passed", LIMIT, |_, _| Attach::Pass));

    // It chooses after its time limit.
    let (wake, sleeping) = bounded::<()>(0);
    let late = ours.clone();
    tors(survives(&setup, "sleeps", SHORT, move |_, _| {
        sleeping.recv_timeout(LIMIT).ok();
        Attach::To(late.clone())
    }));
    drop(wake);

    let dead = setup.circuit(1);
    dead.close().unwrap();
    tors(survives(&setup, "dead", LIMIT, move |_, _| Attach::To(dead.clone())));
    let short = built(&setup.state, &relays()[..1], &CircuitPurpose::Controller);
    let id = short.id();
    let by = survives(&setup, "short", LIMIT, move |_, _| Attach::To(short.clone()));
    assert!(by != id && by != ours.id());
    let foreign = other.circuit(0);
    tors(survives(&setup, "foreign", LIMIT, move |_, _| Attach::To(foreign.clone())));

    // It sends commands, and builds a circuit.
    let (made, circuit) = bounded(1);
    let weak = setup.state.downgrade();
    let by = survives(&setup, "busy", LIMIT, move |stream, _| {
        let state = weak.upgrade().unwrap();
        state.controller().get_info_one("version").unwrap();
        assert_eq!(state.stream(&stream.id()).unwrap().status(), StreamStatus::ControllerWait);
        let circuit = built(&state, &relays()[1..4], &CircuitPurpose::Controller);
        made.send(circuit.id()).unwrap();
        Attach::To(circuit)
    });
    assert_eq!(by, circuit.recv_timeout(LIMIT).unwrap());

    // It drops its own guard.
    let place: Arc<Mutex<Option<AttacherGuard>>> = Arc::default();
    let inside = Arc::clone(&place);
    let choice = ours.clone();
    let guard = setup.state.set_attacher(move |_, _| {
        drop(inside.lock().take());
        Attach::To(choice.clone())
    });
    *place.lock() = Some(guard.unwrap());
    setup.visit("dropped");
    assert!(place.lock().is_none());
    attaches_itself(setup.controller());
    for setup in [setup, other] {
        setup.tor.quit().unwrap();
    }
}

#[test]
fn an_attacher_can_close_streams_and_those_to_onion_services_are_left_to_tor() {
    let setup = Setup::new();
    let (sender, asked) = unbounded();
    let ours = setup.circuit(0);
    let guard = setup.state.set_attacher(move |stream, _| {
        sender.send(stream.target().to_string()).unwrap();
        match &*label(stream) {
            "closed" => Attach::Close,
            _ => Attach::To(ours.clone()),
        }
    });
    let refused = |target: &str| match setup.proxy().connect(target) {
        Err(Error::Socks(error)) => error.code().expect("tor answers"),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&setup.echo_server.target("closed")), SocksCode::GeneralFailure);
    // tor would close the stream at once if it were attached to a circuit.
    let onion = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion:80";
    assert_eq!(refused(onion), SocksCode::HostUnreachable);
    // tor would abort if this were attached to a circuit of a controller.
    assert_eq!(setup.proxy().resolve("name.test").unwrap().to_string(), "127.0.0.1");
    let asked: Vec<_> = asked.try_iter().collect();
    // Not for the streams with which tor fetches the descriptor of the onion service.
    assert_eq!(asked, [&*setup.echo_server.target("closed"), onion, "name.test:0"]);
    drop(guard);
    setup.tor.quit().unwrap();
}

#[test]
fn an_attacher_is_called_again_if_the_exit_does_not_connect_and_in_the_end_tor_chooses() {
    let setup = Setup::new();
    let ours = setup.circuit(0);
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let guard = setup.state.set_attacher(move |stream, _| {
        seen.lock().push(stream.reason());
        Attach::To(ours.clone())
    });
    assert!(setup.proxy().connect("a.nx.test:80").is_err());
    let times = times.lock().clone();
    assert!((2..=3).contains(&times.len()), "{times:?}");
    assert_eq!(times[0], None);
    assert!(times[1..].iter().all(Option::is_some), "{times:?}");
    drop(guard);
    setup.tor.quit().unwrap();
}

#[test]
fn the_attacher_of_the_highest_priority_is_called_first_and_passes_to_the_next() {
    let setup = Setup::new();
    let circuits: Vec<_> = (0..3).map(|first| setup.circuit(first)).collect();
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let attacher = |number: usize, wanted: &'static str| {
        let (asked, circuit) = (Arc::clone(&asked), circuits[number].clone());
        move |stream: &StreamInfo, _: &[Circuit]| {
            asked.lock().push(number);
            if label(stream) == wanted { Attach::To(circuit.clone()) } else { Attach::Pass }
        }
    };
    let options = |priority| AttacherOptions::new().priority(priority);
    let low = options(-1).set(&setup.state, attacher(0, "low")).unwrap();
    let high = options(5).set(&setup.state, attacher(2, "high")).unwrap();
    let middle = options(0).set(&setup.state, attacher(1, "middle")).unwrap();
    for (name, by, whom) in [
        ("high", Some(2), vec![2]),
        ("middle", Some(1), vec![2, 1]),
        ("low", Some(0), vec![2, 1, 0]),
        ("nobody", None, vec![2, 1, 0]),
    ] {
        setup.visit(name);
        let circuit = connected_by(&events, &format!("{name}.test"));
        match by {
            Some(by) => assert_eq!(circuit, circuits[by].id(), "{name}"),
            None => assert!(circuits.iter().all(|ours| ours.id() != circuit), "{name}"),
        }
        assert_eq!(std::mem::take(&mut *asked.lock()), whom, "{name}");
    }
    // Among equals the one that was added last is first, and a removed one is not called.
    let younger = options(5).set(&setup.state, attacher(1, "young")).unwrap();
    drop((high, middle));
    setup.visit("young");
    assert_eq!(connected_by(&events, "young.test"), circuits[1].id());
    assert_eq!(std::mem::take(&mut *asked.lock()), [1]);
    drop(younger);
    assert_eq!(unattached(setup.controller()), "1");
    setup.visit("last");
    assert_eq!(std::mem::take(&mut *asked.lock()), [0]);
    drop(low);
    attaches_itself(setup.controller());
    setup.tor.quit().unwrap();
}

#[test]
fn the_streams_of_a_removed_attacher_go_to_the_next_one_only() {
    let setup = Setup::new();
    let ours = setup.circuit(0);
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = |who: &'static str| {
        let asked = Arc::clone(&asked);
        move || asked.lock().push(who)
    };
    let options = |priority| AttacherOptions::new().priority(priority);
    let (first, second, third) = (note("first"), note("second"), note("third"));
    let passes = options(3).set(&setup.state, move |_, _| {
        first();
        Attach::Pass
    });
    let (called, calls) = bounded(1);
    let (wake, sleeping) = bounded::<()>(0);
    let sleeps = options(2).set(&setup.state, move |_, _| {
        second();
        called.send(()).unwrap();
        sleeping.recv_timeout(LIMIT).ok();
        Attach::Close
    });
    let (circuit, guards) = (ours.clone(), (passes.unwrap(), sleeps.unwrap()));
    let chooses = options(1).set(&setup.state, move |_, _| {
        third();
        Attach::To(circuit.clone())
    });
    let (proxy, target) = (setup.proxy(), setup.echo_server.target("handed"));
    let application = named("application", move || {
        is_greeted(proxy.connect(&*target).expect("it is attached"), "handed");
    });
    calls.recv_timeout(LIMIT).unwrap();
    drop(guards.1);
    assert_eq!(connected_by(&events, "handed.test"), ours.id());
    application.join().unwrap();
    assert_eq!(*asked.lock(), ["first", "second", "third"]);
    drop((wake, guards.0, chooses));
    attaches_itself(setup.controller());
    setup.tor.quit().unwrap();
}
