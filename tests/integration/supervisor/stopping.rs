use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use parking_lot::Mutex;
use torcon::error::{Error, SupervisorProblem};
use torcon::names::{ClientAuthKey, OnionKey};
use torcon::supervisor::SupervisorStatus;
use torcon::{ConnectOptions, EventKind, Supervisor};

use super::{LIMIT, SHORT, assert_stopped_is_reported, connected, launcher, options, statuses};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::leaks::threads;
use crate::support::signal::signal;
use crate::support::watchdog::eventually;

/// A duration that a stop inside a closure does not reach.
const SOON: Duration = Duration::from_secs(20);

/// Returns a closure that stops a supervisor, and a channel that gets the duration of each stop.
fn stopper(supervisor: &Arc<Supervisor>) -> (impl FnMut() + Send + use<>, Receiver<Duration>) {
    let (sender, durations) = bounded(10);
    let weak = Arc::downgrade(supervisor);
    let stop = move || {
        let begun = Instant::now();
        weak.upgrade().unwrap().stop();
        let _ = sender.send(begun.elapsed());
    };
    (stop, durations)
}

/// Requires that a stop inside a closure does not wait for that closure.
#[track_caller]
fn assert_stops(durations: &Receiver<Duration>) {
    let took = durations.recv_timeout(LIMIT).expect("stop() returns");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn stopped_is_reported_if_a_closure_stops_the_supervisor() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = Arc::new(connected(&tor));
    let received = statuses(&supervisor);
    let (mut stop, durations) = stopper(&supervisor);
    supervisor.add_event_listener(EventKind::Bw, move |_| stop()).unwrap();
    tor.send_event("BW 1 2");
    assert_stops(&durations);
    assert_stopped_is_reported(&received);
}

#[test]
fn a_wait_for_a_status_ends_with_the_supervisor() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = connected(&tor);
    let begun = Instant::now();
    let wait = || supervisor.wait_status(Duration::from_secs(3600), |_| false).unwrap_err();
    let is_stopped = |error: &Error| match error {
        Error::Supervisor(error) => matches!(error.problem(), SupervisorProblem::Stopped),
        _ => false,
    };
    thread::scope(|scope| {
        let (asked, is_asked) = bounded(10);
        let waiting = scope.spawn(|| {
            let never = move |_: &SupervisorStatus| asked.send(()).is_err();
            supervisor.wait_status(Duration::from_secs(3600), never).unwrap_err()
        });
        is_asked.recv_timeout(LIMIT).unwrap();
        supervisor.stop();
        let error = waiting.join().unwrap();
        assert!(is_stopped(&error), "{error:?}");
    });
    assert!(is_stopped(&wait()));
    assert!(begun.elapsed() < LIMIT);
    let last = supervisor.wait_status(LIMIT, SupervisorStatus::is_final).unwrap();
    assert!(matches!(last, SupervisorStatus::Stopped), "{last}");
}

#[test]
fn stopped_is_reported_after_a_closure_that_outlasts_stop() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = connected(&tor);
    let received = statuses(&supervisor);
    let (entered, closure_says) = signal();
    let (go_on, test_says) = signal();
    let closure = move |_: &torcon::Event| {
        entered.fire();
        test_says.wait();
    };
    supervisor.add_event_listener(EventKind::Bw, closure).unwrap();
    tor.send_event("BW 1 2");
    closure_says.wait();
    // It does not wait longer than a second for the closure.
    supervisor.stop();
    go_on.fire();
    assert_stopped_is_reported(&received);
}

#[test]
fn a_second_stop_waits_for_the_first() {
    let (go_on, test_says) = signal();
    let (added, is_added) = signal();
    let tor = FakeTor::serving(move |_, line| {
        match line {
            // The supervisor sends the command after the connection was made.
            "PROTOCOLINFO 1" => is_added.wait(),
            "SETEVENTS BW" => test_says.wait(),
            _ => {}
        }
        None
    });
    let supervisor = options().connect([tor.endpoint().as_str()], ConnectOptions::new()).unwrap();
    let received = statuses(&supervisor);
    supervisor.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    added.fire();
    thread::scope(|scope| {
        eventually(LIMIT, "tor is asked", || tor.dialogue().contains("SETEVENTS BW"));
        let (sender, stopped) = bounded(2);
        for _ in 0..2 {
            let (supervisor, sender) = (&supervisor, sender.clone());
            scope.spawn(move || {
                supervisor.stop();
                sender.send(supervisor.status()).unwrap();
            });
        }
        // The supervisor waits for the reply of tor.
        assert_eq!(stopped.recv_timeout(10 * SHORT).err(), Some(RecvTimeoutError::Timeout));
        go_on.fire();
        for _ in 0..2 {
            let status = stopped.recv_timeout(LIMIT).unwrap();
            assert!(matches!(status, SupervisorStatus::Stopped), "{status}");
        }
    });
    assert_stopped_is_reported(&received);
}

#[test]
fn stop_returns_inside_a_password_closure_and_the_drop_ends_the_thread() {
    exclusive(|| {
        let tor = FakeTor::serving(|_, line| {
            let reply = "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=HASHEDPASSWORD\r\n\
                         250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";
            line.starts_with("PROTOCOLINFO").then(|| reply.to_owned())
        });
        let (sender, supervisors) = bounded::<Arc<Supervisor>>(1);
        let (stopped, closure_says) = signal();
        let password = move || {
            let supervisor = supervisors.recv().unwrap();
            supervisor.stop();
            drop(supervisor);
            stopped.fire();
            // The stop by another thread waits for this.
            thread::sleep(5 * SHORT);
            Some("x".into())
        };
        let connect = ConnectOptions::new().password_with(password);
        let supervisor = Arc::new(options().connect([tor.endpoint().as_str()], connect).unwrap());
        let received = statuses(&supervisor);
        sender.send(Arc::clone(&supervisor)).unwrap();
        closure_says.wait();
        supervisor.stop();
        assert!(matches!(supervisor.status(), SupervisorStatus::Stopped));
        // A joined thread is listed until the kernel has removed it.
        eventually(LIMIT, "the thread has ended", || threads("torcon-restore").is_empty());
        assert_stopped_is_reported(&received);
    });
}

#[test]
fn the_closure_of_on_lagged_is_dropped_by_stop() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = connected(&tor);
    let (sender, dropped) = bounded::<()>(0);
    supervisor.on_lagged(move |_| drop(sender.clone())).unwrap();
    supervisor.stop();
    assert_eq!(dropped.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn stop_returns_inside_the_progress_closure_of_a_launch() {
    let (sender, durations) = bounded(1);
    let place: Arc<Mutex<Option<Arc<Supervisor>>>> = Arc::default();
    let inside = Arc::clone(&place);
    let launcher = launcher().on_progress(move |_| {
        eventually(LIMIT, "the supervisor is made", || inside.lock().is_some());
        let supervisor = inside.lock().clone().unwrap();
        let begun = Instant::now();
        supervisor.stop();
        let _ = sender.try_send(begun.elapsed());
    });
    let supervisor = Arc::new(options().launch(launcher).unwrap());
    *place.lock() = Some(Arc::clone(&supervisor));
    assert_stops(&durations);
    *place.lock() = None;
    assert!(matches!(supervisor.status(), SupervisorStatus::Stopped));
}

#[test]
fn stop_returns_inside_a_listener_of_the_state() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = Arc::new(connected(&tor));
    let (mut stop, durations) = stopper(&supervisor);
    supervisor.state().unwrap().on_circuit(move |_| stop()).unwrap();
    tor.send_event("CIRC 7 LAUNCHED PURPOSE=GENERAL");
    assert_stops(&durations);
}

#[test]
fn stop_returns_inside_a_listener_of_the_controller() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = Arc::new(connected(&tor));
    let present = supervisor.tor().unwrap();
    let (mut stop, durations) = stopper(&supervisor);
    present.controller().add_event_listener(EventKind::Bw, move |_| stop()).unwrap();
    tor.send_event("BW 1 2");
    assert_stops(&durations);
}

#[test]
fn every_later_call_fails_after_stop() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = connected(&tor);
    supervisor.set_conf([("NumEntryGuards", "1")]).unwrap();
    let address = OnionKey::generate().unwrap().address();
    let key = ClientAuthKey::generate().unwrap();
    supervisor.add_onion_client_auth(address, &key).unwrap();
    supervisor.stop();
    let outcomes = [
        supervisor.tor().map(drop),
        supervisor.wait_tor(LIMIT).map(drop),
        supervisor.with_tor(LIMIT, |_| Ok(())),
        supervisor.set_conf([("NumEntryGuards", "1")]),
        supervisor.forget_conf(["NumEntryGuards"]).map(drop),
        supervisor.add_onion_client_auth(address, &key),
        supervisor.remove_onion_client_auth(address).map(drop),
        supervisor.state().map(drop),
        supervisor.events([EventKind::Bw]).map(drop),
        supervisor.add_event_listener(EventKind::Bw, |_| {}).map(drop),
        supervisor.on_status(|_| {}).map(drop),
        supervisor.on_reconnected(|_| {}).map(drop),
        supervisor.on_lagged(|_| {}).map(drop),
        supervisor.onion_endpoint(80).listen().map(drop),
    ];
    for (number, outcome) in outcomes.iter().enumerate() {
        let is_stopped = matches!(outcome, Err(Error::Supervisor(error)) if matches!(error.problem(), SupervisorProblem::Stopped));
        assert!(is_stopped, "call {number}: {outcome:?}");
    }
}
