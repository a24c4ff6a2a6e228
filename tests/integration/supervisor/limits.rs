use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use torcon::error::SupervisorProblem;
use torcon::supervisor::SupervisorStatus;
use torcon::{ConnectOptions, Error, EventKind};

use super::{LIMIT, SHORT, connected_with, launcher, options, wait_up};
use crate::support::fake_tor::FakeTor;
use crate::support::signal::signal;

#[test]
fn statuses_and_markers_of_slow_closures_are_bounded() {
    const ROUNDS: u64 = 40;
    let tor = FakeTor::serving(|_, _| None);
    let options = options().backoff(Duration::ZERO, Duration::ZERO);
    let connect = ConnectOptions::new().event_limit(10_000);
    let supervisor = connected_with(&tor, options, connect);
    let (statuses, markers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (go_on, test_says) = signal();
    let count = Arc::clone(&statuses);
    let stuck = move |_: &SupervisorStatus| {
        count.fetch_add(1, Ordering::SeqCst);
        // Until the trigger is dropped.
        drop(test_says.wait_timeout(LIMIT));
    };
    supervisor.on_status(stuck).unwrap();
    for _ in 0..30 {
        let count = Arc::clone(&markers);
        let listener = move |_: &torcon::Event| {
            count.fetch_add(1, Ordering::SeqCst);
        };
        supervisor.add_event_listener(EventKind::Bw, listener).unwrap();
    }
    for connection in 2..=ROUNDS {
        tor.cut();
        wait_up(&supervisor, connection);
    }
    // This one is called after everything that is queued.
    let (last, closure_says) = signal();
    supervisor.on_status(move |_| last.fire()).unwrap();
    drop(go_on);
    closure_says.wait();
    let statuses = statuses.load(Ordering::SeqCst);
    // One is running, and 32 wait.
    assert!(statuses <= 33, "{statuses} statuses of {ROUNDS} connections");
    let markers = markers.load(Ordering::SeqCst);
    // The limit, and 64 KiB for markers alone.
    assert!(markers <= (10_000 + (64 << 10)) / 128, "{markers} of 30 closures");
    supervisor.stop();
}

#[test]
fn a_limit_of_no_attempts_is_one_attempt() {
    let options = options().attempts(0);
    let supervisor = options.connect(["127.0.0.1:1"], ConnectOptions::new()).unwrap();
    let status = supervisor.wait_status(LIMIT, SupervisorStatus::is_final).unwrap();
    let SupervisorStatus::GivenUp(Error::Supervisor(error)) = &status else { panic!("{status}") };
    let problem = error.problem();
    assert!(matches!(problem, SupervisorProblem::Exhausted { attempts: 1, .. }), "{problem:?}");
    // "attempts" of one would be wrong.
    assert!(!status.to_string().contains("1 attempts"), "{status}");
}

#[test]
fn a_tor_that_closes_each_connection_at_once_exhausts_the_attempts() {
    let tor = FakeTor::tcp(|script| {
        for connection in 1..=5 {
            script.greet();
            script.expect_matching("SETEVENTS", |line| line.starts_with("SETEVENTS"));
            script.close();
            if connection < 5 {
                *script = script.accept();
            }
        }
    });
    let options = options().attempts(5).backoff(SHORT, SHORT);
    let supervisor = options.connect([tor.endpoint().as_str()], ConnectOptions::new()).unwrap();
    supervisor.set_conf([("NumEntryGuards", "1")]).unwrap();
    let status = supervisor.wait_status(LIMIT, SupervisorStatus::is_final).unwrap();
    let SupervisorStatus::GivenUp(Error::Supervisor(error)) = &status else { panic!("{status}") };
    let problem = error.problem();
    let SupervisorProblem::Exhausted { attempts: 5, last_error, .. } = problem else {
        panic!("{problem:?}")
    };
    assert!(last_error.is_closed(), "{last_error:?}");
    tor.finish();
}

#[test]
fn closes_by_the_program_are_no_crash_loop() {
    let options = options().crash_loop(2, LIMIT);
    let supervisor = options.launch(launcher()).unwrap();
    for connection in 1..=3 {
        wait_up(&supervisor, connection);
        supervisor.tor().unwrap().controller().close();
    }
    wait_up(&supervisor, 4);
}
