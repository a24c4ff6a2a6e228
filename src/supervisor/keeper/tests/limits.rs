//! The limits of a supervisor, with a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{ManualClock, TICK, elapsed_since, now};
use crate::controller::ConnectOptions;
use crate::error::{Disconnect, Error, SupervisorProblem};
use crate::link::Endpoint;
use crate::supervisor::SupervisorOptions;
use crate::supervisor::keeper::{Keeper, random_byte};
use crate::supervisor::shared::Shared;
use crate::supervisor::source::Source;

const LIMIT: Duration = Duration::from_secs(60);

/// A supervisor of a tor that no attempt reaches.
fn keeper(options: SupervisorOptions) -> Keeper {
    let endpoints = vec![Endpoint::unix("/nonexistent/control")];
    let options_of_each = Box::new(ConnectOptions::new());
    let source = Source::Connect { endpoints, options: options_of_each };
    Keeper::new(Arc::new(Shared::new(options, 1 << 20)), source)
}

fn lost() -> Error {
    Disconnect::EndOfStream.into()
}

#[track_caller]
fn problem<T>(result: Result<T, Error>) -> SupervisorProblem {
    match result.map(drop).unwrap_err() {
        Error::Supervisor(error) => error.problem().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_supervisor_gives_up_at_its_time_limit_and_no_earlier() {
    let clock = ManualClock::start();
    let keeper = keeper(SupervisorOptions::new().time_limit(LIMIT));
    clock.advance(LIMIT - TICK);
    assert!(keeper.check_limits(lost()).is_ok());
    clock.advance(TICK);
    let found = problem(keeper.check_limits(lost()));
    assert!(matches!(found, SupervisorProblem::Exhausted { elapsed: LIMIT, .. }), "{found:?}");
}

#[test]
fn a_supervisor_gives_up_at_its_number_of_attempts_and_without_limits_never() {
    for (options, most) in
        [(SupervisorOptions::new().attempts(3), 3), (SupervisorOptions::new(), u32::MAX)]
    {
        let mut keeper = keeper(options);
        keeper.attempts = most - 1;
        assert!(keeper.check_limits(lost()).is_ok());
        keeper.attempts = most;
        assert_eq!(keeper.check_limits(lost()).is_ok(), most == u32::MAX);
    }
}

#[test]
fn delays_are_shortened_by_different_parts() {
    // So that programs that lost one tor do not connect to the next one together.
    let parts: std::collections::BTreeSet<_> = (0..100).map(|_| random_byte()).collect();
    assert!(parts.len() > 10, "{parts:?}");
}

#[test]
fn ends_of_tor_count_as_long_as_the_window_of_the_crash_loop() {
    for (late, is_loop) in [(Duration::ZERO, true), (TICK, false)] {
        let clock = ManualClock::start();
        let mut keeper = keeper(SupervisorOptions::new().crash_loop(3, LIMIT));
        assert!(keeper.count_death(&lost()).is_ok());
        clock.advance(LIMIT / 2);
        assert!(keeper.count_death(&lost()).is_ok());
        clock.advance(LIMIT / 2 + late);
        let counted = keeper.count_death(&lost());
        assert_eq!(counted.is_err(), is_loop, "{counted:?}");
        if is_loop {
            let found = problem(counted);
            assert!(matches!(found, SupervisorProblem::CrashLoop { deaths: 3, .. }), "{found:?}");
        }
    }
}

#[test]
fn attempts_are_made_after_delays_that_double() {
    let step = Duration::from_millis(10);
    let clock = ManualClock::start();
    let options = SupervisorOptions::new()
        .backoff(Duration::from_secs(1), Duration::from_secs(4))
        .attempts(5);
    let mut keeper = keeper(options);
    let start = now();
    clock.tick_by(step);
    let found = problem(keeper.connect());
    assert!(matches!(found, SupervisorProblem::Exhausted { attempts: 5, .. }), "{found:?}");
    // Delays of 0, 1, 2, 4 and 4 seconds, each shortened by at most a half.
    let took = elapsed_since(start);
    let (least, most) = (Duration::from_millis(5_500), Duration::from_millis(11_000));
    assert!(took >= least && took <= most + 500 * step, "{took:?}");
}

#[test]
fn a_delay_lasts_until_its_end_or_that_of_the_supervisor() {
    let clock = ManualClock::start();
    let shared = Shared::new(SupervisorOptions::new(), 1 << 20);
    let start = now();
    clock.tick_by(Duration::from_secs(1));
    assert!(shared.sleep(LIMIT));
    assert!(shared.wait_ended(LIMIT));
    assert!(shared.wait_tasks(LIMIT).is_some_and(|tasks| tasks.ended.is_none()));
    let took = elapsed_since(start);
    assert!(took >= 3 * LIMIT && took <= 3 * LIMIT + Duration::from_secs(10), "{took:?}");
    let begin = now();
    shared.set_ended(0, &Disconnect::EndOfStream);
    assert!(!shared.wait_ended(LIMIT));
    assert!(elapsed_since(begin) < Duration::from_secs(10));
}
