use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use parking_lot::Mutex;
use torcon::error::{CircuitProblem, SocksCode};
use torcon::event::StreamEvent;
use torcon::names::{CircuitId, CircuitPurpose, StreamStatus};
use torcon::socks::SocksProxy;
use torcon::state::{Attach, AttacherGuard, AttacherOptions, Circuit, State, StreamInfo};
use torcon::{
    ConnectOptions, Controller, Error, Event, EventKind, EventQueue, Launcher, TorProcess,
};

use super::built::{attaches_itself, built, problem, relays, unattached};
use super::echo_server::{EchoServer, is_greeted, named};
use super::joining::socks_port;
use super::retry::retried;
use super::{LIMIT, join, shared_network};
use crate::support::watchdog::eventually;

/// Longer than any attacher of these tests may take.
const SHORT: Duration = Duration::from_millis(300);

/// A tor with its state, and a server behind the network.
struct Stage {
    tor: Arc<TorProcess>,
    state: State,
    echo_server: EchoServer,
}

impl Stage {
    fn new() -> Self {
        Self::on(Arc::new(join()))
    }

    /// On a connection of its own to this tor.
    fn on(tor: Arc<TorProcess>) -> Self {
        let endpoint = tor.controller().unwrap().endpoint().clone();
        let controller = ConnectOptions::new().connect(endpoint).unwrap();
        let state = State::new(&controller).unwrap();
        Self { tor, state, echo_server: EchoServer::start() }
    }

    /// A connection on which nothing is attached.
    fn controller(&self) -> &Controller {
        self.tor.controller().unwrap()
    }

    /// A circuit that tor uses for nothing of its own.
    #[track_caller]
    fn circuit(&self, first: usize) -> Circuit {
        let relays = relays();
        let path: Vec<_> = (0..3).map(|hop| relays[(first + hop) % relays.len()]).collect();
        built(&self.state, path, &CircuitPurpose::Controller)
    }

    fn proxy(&self) -> SocksProxy {
        SocksProxy::new(socks_port(&self.tor)).unwrap().timeout(LIMIT)
    }

    /// Has an application reach the server, and speak with it.
    #[track_caller]
    fn visit(&self, name: &str) {
        let stream = retried(self.controller(), "the server is reached", || {
            let stream = self.proxy().connect(&*self.echo_server.target(name));
            stream.map_err(|error| error.to_string())
        });
        is_greeted(stream, name);
    }
}

/// Returns the circuit by which the stream to this host was connected.
#[track_caller]
fn connected_by(events: &EventQueue, host: &str) -> CircuitId {
    let mut ids = Vec::new();
    let mut seen = Vec::new();
    for event in events.timeout_iter(LIMIT) {
        let Event::Stream(stream) = event else { continue };
        if stream.target.host() == host {
            ids.push(stream.id);
        }
        // The exit replaces the name by the address.
        if ids.contains(&stream.id) {
            seen.push(stream.to_string());
            if stream.status == StreamStatus::Succeeded {
                return stream.circuit.expect("it is on a circuit");
            }
        }
    }
    panic!("the stream to {host} is not connected: {seen:#?}");
}

/// The first label of the name that a stream goes to.
fn label(stream: &StreamInfo) -> &str {
    stream.target.host().split('.').next().unwrap_or_default()
}

#[test]
fn a_hundred_streams_at_once_go_through_those_of_three_circuits_that_were_chosen() {
    let stage = Stage::new();
    let circuits: Vec<_> = (0..3).map(|first| stage.circuit(first)).collect();
    let ids: Vec<_> = circuits.iter().map(Circuit::id).collect();
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    let choices = circuits.clone();
    let guard = stage.state.set_attacher(move |stream, there| {
        let number: usize = label(stream).strip_prefix('n').and_then(|n| n.parse().ok()).unwrap();
        let chosen = &choices[number % 3];
        assert!(there.contains(chosen), "{there:?}");
        assert!(there.iter().all(|circuit| !circuit.info().is_over()));
        Attach::To(chosen.clone())
    });
    let guard = guard.unwrap();
    assert!(guard.is_active());
    assert_eq!(unattached(stage.controller()), "1");
    thread::scope(|scope| {
        for number in 0..100 {
            let (stage, name) = (&stage, format!("n{number}"));
            scope.spawn(move || stage.visit(&name));
        }
    });
    // Each stream by its own events.
    let mut names = BTreeMap::new();
    let mut by: BTreeMap<String, Vec<CircuitId>> = BTreeMap::new();
    for event in events.timeout_iter(LIMIT) {
        let Event::Stream(stream) = event else { continue };
        let StreamEvent { id, status, circuit, target, .. } = &stream;
        if *status == StreamStatus::New && target.port() == Some(stage.echo_server.port()) {
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
    attaches_itself(stage.controller());
    stage.visit("after");
    stage.tor.quit().unwrap();
}

/// Sets an attacher, has an application reach the server in spite of it, and returns the circuit.
#[track_caller]
fn survives<F, R>(stage: &Stage, name: &str, limit: Duration, attacher: F) -> CircuitId
where
    F: FnMut(&StreamInfo, &[Circuit]) -> R + Send + 'static,
    R: Into<Attach>,
{
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    let guard = AttacherOptions::new().limit(limit).set(&stage.state, attacher).unwrap();
    stage.visit(name);
    let circuit = connected_by(&events, &format!("{name}.test"));
    drop(guard);
    attaches_itself(stage.controller());
    circuit
}

#[test]
fn an_attacher_that_misbehaves_in_any_way_leaves_no_stream_hanging() {
    let stage = Stage::new();
    let other = Stage::new();
    let ours = stage.circuit(0);
    let tors = |circuit: CircuitId| assert_ne!(circuit, ours.id());

    tors(survives(&stage, "panics", LIMIT, |_, _| -> Attach { panic!("as the test wants") }));
    let fails = |_: &StreamInfo, _: &[Circuit]| Err::<Attach, _>("no idea");
    tors(survives(&stage, "fails", LIMIT, fails));
    tors(survives(&stage, "left", LIMIT, |_, _| Attach::Tor));
    tors(survives(&stage, "passed", LIMIT, |_, _| Attach::Pass));

    // It answers when nobody wants to know any more.
    let (wake, sleeping) = bounded::<()>(0);
    let late = ours.clone();
    tors(survives(&stage, "sleeps", SHORT, move |_, _| {
        sleeping.recv_timeout(LIMIT).ok();
        Attach::To(late.clone())
    }));
    drop(wake);

    let dead = stage.circuit(1);
    dead.close().unwrap();
    tors(survives(&stage, "dead", LIMIT, move |_, _| Attach::To(dead.clone())));
    let short = built(&stage.state, &relays()[..1], &CircuitPurpose::Controller);
    let id = short.id();
    let by = survives(&stage, "short", LIMIT, move |_, _| Attach::To(short.clone()));
    assert!(by != id && by != ours.id());
    let foreign = other.circuit(0);
    tors(survives(&stage, "foreign", LIMIT, move |_, _| Attach::To(foreign.clone())));

    // Commands, and a circuit of its own.
    let (made, circuit) = bounded(1);
    let weak = stage.state.downgrade();
    let by = survives(&stage, "busy", LIMIT, move |stream, _| {
        let state = weak.upgrade().unwrap();
        state.controller().get_info_one("version").unwrap();
        assert_eq!(state.stream(&stream.id).unwrap().status(), StreamStatus::ControllerWait);
        let circuit = built(&state, &relays()[1..4], &CircuitPurpose::Controller);
        made.send(circuit.id()).unwrap();
        Attach::To(circuit)
    });
    assert_eq!(by, circuit.recv_timeout(LIMIT).unwrap());

    // The guard is dropped inside.
    let place: Arc<Mutex<Option<AttacherGuard>>> = Arc::default();
    let inside = Arc::clone(&place);
    let choice = ours.clone();
    let guard = stage.state.set_attacher(move |_, _| {
        drop(inside.lock().take());
        Attach::To(choice.clone())
    });
    *place.lock() = Some(guard.unwrap());
    stage.visit("dropped");
    assert!(place.lock().is_none());
    attaches_itself(stage.controller());
    for stage in [stage, other] {
        stage.tor.quit().unwrap();
    }
}

#[test]
fn streams_are_closed_by_choice_and_the_onion_ones_are_left_to_tor() {
    let stage = Stage::new();
    let (sender, asked) = unbounded();
    let ours = stage.circuit(0);
    let guard = stage.state.set_attacher(move |stream, _| {
        sender.send(stream.target.to_string()).unwrap();
        match label(stream) {
            "closed" => Attach::Close,
            _ => Attach::To(ours.clone()),
        }
    });
    let refused = |target: &str| match stage.proxy().connect(target) {
        Err(Error::Socks(error)) => error.code().expect("tor answers"),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&stage.echo_server.target("closed")), SocksCode::GeneralFailure);
    // tor would have closed it at once, if it had been attached.
    let onion = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion:80";
    assert_eq!(refused(onion), SocksCode::HostUnreachable);
    // tor would abort.
    assert_eq!(stage.proxy().resolve("name.test").unwrap().to_string(), "127.0.0.1");
    let asked: Vec<_> = asked.try_iter().collect();
    // Not about the requests for the onion service's descriptor, which tor made meanwhile.
    assert_eq!(asked, [&*stage.echo_server.target("closed"), onion, "name.test:0"]);
    drop(guard);
    stage.tor.quit().unwrap();
}

#[test]
fn a_stream_that_its_exit_does_not_take_is_asked_about_again_and_in_the_end_left_to_tor() {
    let stage = Stage::new();
    let ours = stage.circuit(0);
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let guard = stage.state.set_attacher(move |stream, _| {
        seen.lock().push(stream.reason.clone());
        Attach::To(ours.clone())
    });
    assert!(stage.proxy().connect("a.nx.test:80").is_err());
    let times = times.lock().clone();
    assert!((2..=3).contains(&times.len()), "{times:?}");
    assert_eq!(times[0], None);
    assert!(times[1..].iter().all(Option::is_some), "{times:?}");
    drop(guard);
    stage.tor.quit().unwrap();
}

#[test]
fn the_attacher_of_the_highest_priority_is_asked_first_and_passes_to_the_next() {
    let stage = Stage::new();
    let circuits: Vec<_> = (0..3).map(|first| stage.circuit(first)).collect();
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let attacher = |number: usize, wanted: &'static str| {
        let (asked, circuit) = (Arc::clone(&asked), circuits[number].clone());
        move |stream: &StreamInfo, _: &[Circuit]| {
            asked.lock().push(number);
            if label(stream) == wanted { Attach::To(circuit.clone()) } else { Attach::Pass }
        }
    };
    let options = |priority| AttacherOptions::new().priority(priority);
    let low = options(-1).set(&stage.state, attacher(0, "low")).unwrap();
    let high = options(5).set(&stage.state, attacher(2, "high")).unwrap();
    let middle = options(0).set(&stage.state, attacher(1, "middle")).unwrap();
    for (name, by, whom) in [
        ("high", Some(2), vec![2]),
        ("middle", Some(1), vec![2, 1]),
        ("low", Some(0), vec![2, 1, 0]),
        ("nobody", None, vec![2, 1, 0]),
    ] {
        stage.visit(name);
        let circuit = connected_by(&events, &format!("{name}.test"));
        match by {
            Some(by) => assert_eq!(circuit, circuits[by].id(), "{name}"),
            None => assert!(circuits.iter().all(|ours| ours.id() != circuit), "{name}"),
        }
        assert_eq!(std::mem::take(&mut *asked.lock()), whom, "{name}");
    }
    // Of two with the same priority the younger is first; and who is gone is not asked.
    let younger = options(5).set(&stage.state, attacher(1, "young")).unwrap();
    drop((high, middle));
    stage.visit("young");
    assert_eq!(connected_by(&events, "young.test"), circuits[1].id());
    assert_eq!(std::mem::take(&mut *asked.lock()), [1]);
    drop(younger);
    assert_eq!(unattached(stage.controller()), "1");
    stage.visit("last");
    assert_eq!(std::mem::take(&mut *asked.lock()), [0]);
    drop(low);
    attaches_itself(stage.controller());
    stage.tor.quit().unwrap();
}

#[test]
fn what_an_attacher_was_asked_that_goes_away_is_asked_of_the_next_and_not_again_of_the_others() {
    let stage = Stage::new();
    let ours = stage.circuit(0);
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = |who: &'static str| {
        let asked = Arc::clone(&asked);
        move || asked.lock().push(who)
    };
    let options = |priority| AttacherOptions::new().priority(priority);
    let (first, second, third) = (note("first"), note("second"), note("third"));
    let passes = options(3).set(&stage.state, move |_, _| {
        first();
        Attach::Pass
    });
    let (called, calls) = bounded(1);
    let (wake, sleeping) = bounded::<()>(0);
    let sleeps = options(2).set(&stage.state, move |_, _| {
        second();
        called.send(()).unwrap();
        sleeping.recv_timeout(LIMIT).ok();
        Attach::Close
    });
    let (circuit, guards) = (ours.clone(), (passes.unwrap(), sleeps.unwrap()));
    let chooses = options(1).set(&stage.state, move |_, _| {
        third();
        Attach::To(circuit.clone())
    });
    let (proxy, target) = (stage.proxy(), stage.echo_server.target("handed"));
    let application = named("application", move || {
        is_greeted(proxy.connect(&*target).expect("it is attached"), "handed");
    });
    calls.recv_timeout(LIMIT).unwrap();
    drop(guards.1);
    assert_eq!(connected_by(&events, "handed.test"), ours.id());
    application.join().unwrap();
    assert_eq!(*asked.lock(), ["first", "second", "third"]);
    drop((wake, guards.0, chooses));
    attaches_itself(stage.controller());
    stage.tor.quit().unwrap();
}

#[test]
fn streams_of_our_own_and_those_of_others_are_kept_apart() {
    let stage = Stage::new();
    let circuits: Vec<_> = (0..5).map(|first| stage.circuit(first)).collect();
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    thread::scope(|scope| {
        for (number, circuit) in circuits.iter().enumerate() {
            let stage = &stage;
            for turn in 0..4 {
                let name = format!("own{number}x{turn}");
                scope.spawn(move || {
                    let stream = circuit.connect_stream(stage.echo_server.target(&name));
                    is_greeted(stream.expect("the circuit is there"), &name);
                });
                let name = format!("other{number}x{turn}");
                scope.spawn(move || stage.visit(&name));
            }
        }
    });
    attaches_itself(stage.controller());
    let mut names = BTreeMap::new();
    let mut connected = 0;
    for event in events.timeout_iter(LIMIT) {
        let Event::Stream(stream) = event else { continue };
        if stream.status == StreamStatus::New
            && stream.target.port() == Some(stage.echo_server.port())
        {
            names.insert(stream.id, stream.target.host().to_owned());
        }
        let (Some(name), StreamStatus::Succeeded) = (names.get(&stream.id), &stream.status) else {
            continue;
        };
        let by = circuits.iter().position(|circuit| Some(circuit.id()) == stream.circuit);
        let own = name.strip_prefix("own").map(|name| name[..1].parse().unwrap());
        assert_eq!(by, own, "{name}");
        connected += 1;
        if connected == 40 {
            break;
        }
    }
    assert_eq!(connected, 40, "{names:?}");
    stage.tor.quit().unwrap();
}

#[test]
fn a_stream_through_a_circuit_goes_before_any_attacher() {
    let stage = Stage::new();
    let ours = stage.circuit(0);
    let (sender, asked) = unbounded();
    let options = AttacherOptions::new().priority(i32::MAX);
    let circuit = ours.clone();
    let target = stage.echo_server.target("within");
    let guard = options.set(&stage.state, move |stream, _| {
        sender.send(label(stream).to_owned()).unwrap();
        // Also inside an attacher.
        let stream = circuit.connect_stream(&*target).expect("nobody is asked about it");
        is_greeted(&stream, "within");
        Attach::Tor
    });
    let stream = ours.connect_stream(stage.echo_server.target("own")).unwrap();
    is_greeted(&stream, "own");
    assert!(asked.is_empty());
    stage.visit("theirs");
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), ["theirs"]);
    drop(guard);
    stage.tor.quit().unwrap();
}

/// Starts an application whose stream an attacher is asked about, which waits to be woken.
fn waiting(
    stage: &Stage,
) -> (AttacherGuard, thread::JoinHandle<()>, crossbeam_channel::Sender<()>) {
    let (called, calls) = bounded(1);
    let (wake, sleeping) = bounded::<()>(0);
    let guard = stage.state.set_attacher(move |_, _| {
        called.send(()).ok();
        sleeping.recv_timeout(LIMIT * 2).ok();
        Attach::Close
    });
    let (proxy, target) = (stage.proxy(), stage.echo_server.target("patient"));
    let application = named("application", move || {
        let stream = proxy.connect(&*target).expect("tor attaches it in the end");
        is_greeted(stream, "patient");
    });
    calls.recv_timeout(LIMIT).expect("the attacher is asked");
    (guard.unwrap(), application, wake)
}

#[test]
fn in_each_ending_tor_attaches_streams_itself_again_also_those_that_wait() {
    type End = fn(&Stage, AttacherGuard);
    let endings: [(&str, End); 4] = [
        ("the guard is dropped", |_, guard| drop(guard)),
        ("the connection is closed", |stage, guard| {
            stage.state.controller().close();
            assert!(!guard.is_active());
        }),
        ("the program quits", |stage, guard| {
            stage.state.controller().quit().unwrap();
            assert!(!guard.is_active());
        }),
        ("the program says QUIT", |stage, guard| {
            stage.state.controller().command("QUIT").unwrap();
            drop(guard);
        }),
    ];
    let tor = Arc::new(join());
    for (ending, end) in endings {
        let stage = Stage::on(Arc::clone(&tor));
        let (guard, application, wake) = waiting(&stage);
        assert_eq!(unattached(stage.controller()), "1", "{ending}");
        end(&stage, guard);
        attaches_itself(stage.controller());
        application.join().unwrap_or_else(|_| panic!("{ending}: the application was left alone"));
        drop(wake);
    }
    tor.quit().unwrap();
}

#[test]
fn an_attacher_that_has_panicked_is_gone_and_its_guard_still_restores_the_option() {
    let stage = Stage::new();
    let guard = stage.state.set_attacher(|_, _| -> Attach { panic!("as the test wants") }).unwrap();
    stage.visit("panics");
    assert!(!guard.is_active());
    stage.visit("again");
    assert_eq!(unattached(stage.controller()), "1");
    drop(guard);
    attaches_itself(stage.controller());
    stage.tor.quit().unwrap();
}

#[test]
fn an_option_that_somebody_else_has_changed_stands() {
    let stage = Stage::new();
    let ours = stage.circuit(0);
    let (sender, asked) = unbounded();
    let circuit = ours.clone();
    let attacher = move |stream: &StreamInfo, _: &[Circuit]| {
        sender.send(label(stream).to_owned()).unwrap();
        Attach::To(circuit.clone())
    };
    let guard = stage.state.set_attacher(attacher.clone()).unwrap();
    stage.visit("before");
    // Another controller, and a new reading of the configuration.
    for change in ["SETCONF __LeaveStreamsUnattached=0", "SIGNAL RELOAD"] {
        assert!(guard.is_active());
        stage.controller().command(change).unwrap();
        eventually(LIMIT, "the attacher is told", || !guard.is_active());
        stage.visit("unasked");
        // Whoever wants to attach streams from now on switches it on again for all.
        let stream = ours.connect_stream(stage.echo_server.target("own")).unwrap();
        is_greeted(&stream, "own");
        assert!(guard.is_active());
        stage.visit("asked");
    }
    let asked: Vec<_> = asked.try_iter().collect();
    assert_eq!(asked, ["before", "asked", "asked"]);
    stage.controller().set_conf([("__LeaveStreamsUnattached", "0")]).unwrap();
    eventually(LIMIT, "the attacher is told", || !guard.is_active());
    stage.controller().set_conf([("__LeaveStreamsUnattached", "1")]).unwrap();
    eventually(LIMIT, "the attacher is told", || guard.is_active());
    drop(guard);
    attaches_itself(stage.controller());
    stage.tor.quit().unwrap();
}

#[test]
fn an_option_that_another_controller_has_set_stays_and_its_streams_are_left_alone() {
    let stage = Stage::new();
    let ours = stage.circuit(0);
    stage.controller().set_conf([("__LeaveStreamsUnattached", "1")]).unwrap();
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    let (proxy, target) = (stage.proxy(), stage.echo_server.target("theirs"));
    let application = named("application", move || {
        is_greeted(proxy.connect(&*target).expect("it is attached"), "theirs");
    });
    let is_theirs = |event: Event| match event {
        Event::Stream(stream) => {
            let waits = stream.status == StreamStatus::ControllerWait;
            (waits && stream.target.host() == "theirs.test").then_some(stream.id)
        }
        _ => None,
    };
    let theirs = events.timeout_iter(LIMIT).find_map(is_theirs).expect("it waits");
    for name in ["one", "two"] {
        let stream = ours.connect_stream(stage.echo_server.target(name)).unwrap();
        is_greeted(&stream, name);
        assert_eq!(unattached(stage.controller()), "1");
    }
    let theirs = stage.state.stream(&theirs).expect("it waits");
    assert_eq!((theirs.status(), theirs.circuit()), (StreamStatus::ControllerWait, None));
    let attach = torcon::command::AttachStream::left_to_tor(theirs.id());
    stage.controller().attach_stream(attach).unwrap();
    application.join().unwrap();
    stage.tor.quit().unwrap();
}

#[test]
fn a_stream_goes_through_a_circuit_by_a_unix_socket_too() {
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
                            .socks_username
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
fn a_stream_whose_circuit_ends_while_it_connects_fails_and_goes_nowhere_else() {
    let stage = Stage::new();
    let ours = stage.circuit(0);
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    let connecting = {
        let circuit = ours.clone();
        // An address for documentation, which nobody has: its exit waits for an answer.
        named("connecting", move || circuit.connect_stream_timeout("192.0.2.1:80", LIMIT))
    };
    let is_sent = |event: &Event| {
        matches!(event, Event::Stream(stream)
            if stream.target.host() == "192.0.2.1"
            && matches!(stream.status, StreamStatus::SentConnect | StreamStatus::Detached))
    };
    events.timeout_iter(LIMIT).find(is_sent).expect("it is sent");
    ours.close().unwrap();
    let problem = problem(connecting.join().unwrap());
    // The exit may have been quicker.
    let is_told = matches!(problem, CircuitProblem::Closed(_) | CircuitProblem::Stream { .. });
    assert!(is_told, "{problem:?}");
    attaches_itself(stage.controller());
    stage.tor.quit().unwrap();
}

#[test]
fn two_states_of_one_connection_attach_streams_together() {
    let stage = Stage::new();
    let second = State::new(stage.state.controller()).unwrap();
    let ours = built(&second, &relays()[..3], &CircuitPurpose::Controller);
    let choice = ours.clone();
    let guard = second.set_attacher(move |_, _| Attach::To(choice.clone())).unwrap();
    // The first state begins, and goes before the second.
    let theirs = stage.circuit(1);
    let stream = theirs.connect_stream(stage.echo_server.target("first")).unwrap();
    is_greeted(&stream, "first");
    drop(second);
    let events = stage.controller().events([EventKind::Stream]).unwrap();
    stage.visit("second");
    assert_eq!(connected_by(&events, "second.test"), ours.id());
    drop(guard);
    attaches_itself(stage.controller());
    stage.tor.quit().unwrap();
}
