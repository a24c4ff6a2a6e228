//! One connection after the other, with a clock that the test moves, and a fake tor.
#![cfg(feature = "testkit")]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::{ManualClock, TICK};
use crate::controller::ConnectOptions;
use crate::error::{Disconnect, Error, Result, SupervisorProblem};
use crate::link::Endpoint;
use crate::supervisor::backoff::STEADY;
use crate::supervisor::keeper::Keeper;
use crate::supervisor::shared::{Shared, stopped};
use crate::supervisor::source::Source;
use crate::supervisor::{SupervisorOptions, SupervisorStatus};
use crate::testkit::FakeTor;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

fn keeper(options: SupervisorOptions, endpoint: Endpoint, connect: ConnectOptions) -> Keeper {
    let shared = Arc::new(Shared::new(options.backoff(Duration::ZERO, Duration::ZERO), 1 << 20));
    let connect = Box::new(connect);
    Keeper::new(shared, Source::Connect { endpoints: vec![endpoint], options: connect })
}

fn problem(outcome: Result<()>) -> Option<SupervisorProblem> {
    match outcome.err()? {
        Error::Supervisor(error) => Some(error.problem().clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_counts_as_a_failed_attempt_unless_it_lasts_a_second() {
    for (lasts, fails) in [(STEADY - TICK, true), (STEADY, false)] {
        let tor = FakeTor::start();
        let clock = ManualClock::start();
        let options = SupervisorOptions::new().attempts(1);
        let mut keeper = keeper(options, tor.endpoint(), ConnectOptions::new().timeout(LIMIT));
        let shared = Arc::clone(&keeper.shared);
        thread::scope(|scope| {
            let clock = &clock;
            scope.spawn(move || {
                let up = SupervisorStatus::is_up;
                shared.wait_status(Instant::now() + LIMIT, LIMIT, up).unwrap();
                clock.advance(lasts);
                tor.close_connections();
            });
            let found = problem(keeper.next_generation());
            let exhausted = matches!(found, Some(SupervisorProblem::Exhausted { attempts: 1, .. }));
            assert_eq!(exhausted, fails, "{found:?}");
        });
        assert_eq!(keeper.attempts, u32::from(fails));
        let SupervisorStatus::Connecting { attempt, last_error, .. } = keeper.shared.status()
        else {
            panic!("{}", keeper.shared.status())
        };
        assert!(attempt == 1 && last_error.unwrap().is_closed());
    }
}

#[test]
fn a_supervisor_that_is_stopped_during_an_attempt_was_stopped_whatever_its_outcome() {
    let tor = FakeTor::builder().password("right").start();
    let shared: Arc<crate::sync::Mutex<Option<Arc<Shared>>>> = Arc::default();
    let of_closure = Arc::clone(&shared);
    let options = ConnectOptions::new().timeout(LIMIT).password_with(move || {
        of_closure.lock().as_ref()?.stop();
        Some("wrong".into())
    });
    let mut keeper = keeper(SupervisorOptions::new().attempts(1), tor.endpoint(), options);
    *shared.lock() = Some(Arc::clone(&keeper.shared));
    assert_eq!(keeper.connect().map(drop).unwrap_err().to_string(), stopped().to_string());
}

#[test]
fn each_further_attempt_is_reported_and_the_first_is_not_again() {
    for (attempts, reported) in [(1, 0), (3, 2)] {
        let endpoint = Endpoint::unix("/nonexistent/control");
        let options = SupervisorOptions::new().attempts(attempts);
        let mut keeper = keeper(options, endpoint, ConnectOptions::new());
        keeper.shared.set_status(SupervisorStatus::Restoring);
        let found = problem(keeper.connect().map(drop));
        assert!(matches!(found, Some(SupervisorProblem::Exhausted { .. })), "{found:?}");
        let status = keeper.shared.status().to_string();
        let attempt = format!("connecting, attempt {attempts}: ");
        match reported {
            0 => assert_eq!(status, "restoring"),
            _ => assert!(status.starts_with(&attempt), "{status}"),
        }
    }
}

#[test]
fn an_error_is_logged_when_it_differs_from_the_one_before() {
    let endpoint = Endpoint::unix("/nonexistent/control");
    let mut keeper = keeper(SupervisorOptions::new(), endpoint, ConnectOptions::new());
    for reason in [Disconnect::EndOfStream, Disconnect::Quit, Disconnect::Quit] {
        let error = Error::Closed(reason);
        keeper.log(&error);
        assert_eq!(keeper.logged, Some(error.to_string()));
    }
}
