use std::sync::Arc;
use std::thread;

use crossbeam_channel::{bounded, unbounded};
use torcon::names::StreamStatus;
use torcon::state::{Attach, AttacherGuard, Circuit, StreamInfo};
use torcon::{Event, EventKind};

use super::{Setup, label};
use crate::support::named_thread::named;
use crate::support::watchdog::eventually;
use crate::testnet::built::{attaches_itself, unattached};
use crate::testnet::echo_server::is_greeted;
use crate::testnet::{LIMIT, join};

/// Starts an application whose stream is passed to an attacher that waits for a wake-up.
fn waiting(
    setup: &Setup,
) -> (AttacherGuard, thread::JoinHandle<()>, crossbeam_channel::Sender<()>) {
    let (called, calls) = bounded(1);
    let (wake, sleeping) = bounded::<()>(0);
    let guard = setup.state.set_attacher(move |_, _| {
        called.send(()).ok();
        sleeping.recv_timeout(LIMIT * 2).ok();
        Attach::Close
    });
    let (proxy, target) = (setup.proxy(), setup.echo_server.target("patient"));
    let application = named("application", move || {
        let stream = proxy.connect(&*target).expect("tor attaches it in the end");
        is_greeted(stream, "patient");
    });
    calls.recv_timeout(LIMIT).expect("the attacher is asked");
    (guard.unwrap(), application, wake)
}

#[test]
fn however_attaching_ends_tor_attaches_streams_again_also_those_that_wait() {
    type End = fn(&Setup, AttacherGuard);
    let endings: [(&str, End); 4] = [
        ("the guard is dropped", |_, guard| drop(guard)),
        ("the connection is closed", |setup, guard| {
            setup.state.controller().close();
            assert!(!guard.is_active());
        }),
        ("the program quits", |setup, guard| {
            setup.state.controller().quit().unwrap();
            assert!(!guard.is_active());
        }),
        ("the program says QUIT", |setup, guard| {
            setup.state.controller().command("QUIT").unwrap();
            drop(guard);
        }),
    ];
    let tor = Arc::new(join());
    for (ending, end) in endings {
        let setup = Setup::on(Arc::clone(&tor));
        let (guard, application, wake) = waiting(&setup);
        assert_eq!(unattached(setup.controller()), "1", "{ending}");
        end(&setup, guard);
        attaches_itself(setup.controller());
        application.join().unwrap_or_else(|_| panic!("{ending}: the application was left alone"));
        drop(wake);
    }
    tor.quit().unwrap();
}

#[test]
fn an_attacher_that_panicked_is_removed_and_its_guard_still_restores_the_option() {
    let setup = Setup::new();
    let guard = setup.state.set_attacher(|_, _| -> Attach { panic!("as the test wants") }).unwrap();
    setup.visit("panics");
    assert!(!guard.is_active());
    setup.visit("again");
    assert_eq!(unattached(setup.controller()), "1");
    drop(guard);
    attaches_itself(setup.controller());
    setup.tor.quit().unwrap();
}

#[test]
fn an_option_that_another_controller_has_changed_is_not_restored() {
    let setup = Setup::new();
    let ours = setup.circuit(0);
    let (sender, asked) = unbounded();
    let circuit = ours.clone();
    let attacher = move |stream: &StreamInfo, _: &[Circuit]| {
        sender.send(label(stream)).unwrap();
        Attach::To(circuit.clone())
    };
    let guard = setup.state.set_attacher(attacher.clone()).unwrap();
    setup.visit("before");
    // By another controller, and by a reload.
    for change in ["SETCONF __LeaveStreamsUnattached=0", "SIGNAL RELOAD"] {
        assert!(guard.is_active());
        setup.controller().command(change).unwrap();
        eventually(LIMIT, "the guard notices", || !guard.is_active());
        setup.visit("unasked");
        // The next need for the option switches it on again, also for the attacher.
        let stream = ours.connect_stream(setup.echo_server.target("own")).unwrap();
        is_greeted(&stream, "own");
        assert!(guard.is_active());
        setup.visit("asked");
    }
    let asked: Vec<_> = asked.try_iter().collect();
    assert_eq!(asked, ["before", "asked", "asked"]);
    setup.controller().set_conf([("__LeaveStreamsUnattached", "0")]).unwrap();
    eventually(LIMIT, "the guard notices", || !guard.is_active());
    setup.controller().set_conf([("__LeaveStreamsUnattached", "1")]).unwrap();
    eventually(LIMIT, "the guard notices", || guard.is_active());
    drop(guard);
    attaches_itself(setup.controller());
    setup.tor.quit().unwrap();
}

#[test]
fn an_option_that_another_controller_has_set_stays_on_and_its_streams_are_left_to_it() {
    let setup = Setup::new();
    let ours = setup.circuit(0);
    setup.controller().set_conf([("__LeaveStreamsUnattached", "1")]).unwrap();
    let events = setup.controller().events([EventKind::Stream]).unwrap();
    let (proxy, target) = (setup.proxy(), setup.echo_server.target("theirs"));
    let application = named("application", move || {
        is_greeted(proxy.connect(&*target).expect("it is attached"), "theirs");
    });
    let is_theirs = |event: Event| match event {
        Event::Stream(stream) => {
            let waits = stream.status() == StreamStatus::ControllerWait;
            (waits && stream.target().host() == "theirs.test").then_some(stream.id())
        }
        _ => None,
    };
    let theirs = events.timeout_iter(LIMIT).find_map(is_theirs).expect("it waits");
    for name in ["one", "two"] {
        let stream = ours.connect_stream(setup.echo_server.target(name)).unwrap();
        is_greeted(&stream, name);
        assert_eq!(unattached(setup.controller()), "1");
    }
    let theirs = setup.state.stream(&theirs).expect("it waits");
    assert_eq!((theirs.status(), theirs.circuit()), (StreamStatus::ControllerWait, None));
    let attach = torcon::command::AttachStream::left_to_tor(theirs.id());
    setup.controller().attach_stream(attach).unwrap();
    application.join().unwrap();
    setup.tor.quit().unwrap();
}
