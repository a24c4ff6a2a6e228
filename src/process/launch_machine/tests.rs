//! The limits of a launch, with a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::{
    Due, EXIT_AFTER_CLOSE, FIRST_PAUSE, LONGEST_PAUSE, LaunchMachine, LaunchMessage, Step,
};
use crate::clock::{ManualClock, TICK, deadline_after, elapsed_since, now};
use crate::error::{LaunchProblem, Timeout, Wait};
use crate::process::child::Child;
use crate::process::control::Route;
use crate::process::launch_state::LaunchState;
use crate::process::tor_process::Shared;
use crate::process::{Launcher, Progress};
use crate::sync::channel::unbounded;

const STALL: Duration = Duration::from_secs(20);
const TOTAL: Duration = Duration::from_secs(50);

/// A launch without a process and without a control connection.
fn machine() -> LaunchMachine {
    let launcher = Launcher::new().timeout(TOTAL).stall_timeout(STALL);
    let (sender, messages) = unbounded();
    let shared = Shared {
        // No test of these ends or signals it.
        child: Child::new(Pid::from_raw(i32::MAX)),
        launch: LaunchState::new(None),
        output: Default::default(),
    };
    LaunchMachine::new(launcher, Arc::new(shared), None, None, sender, messages)
}

fn progress(percent: u8) -> LaunchMessage {
    let (tag, summary) = (format!("at_{percent}"), "Loading".to_owned());
    LaunchMessage::LogLine(Progress { percent, tag, summary, warning: None })
}

#[track_caller]
fn timed_out(machine: &LaunchMachine) -> (Duration, Wait) {
    match machine.next_due() {
        Some((at, Due::TimedOut(wait, _))) => (at.duration_since(now()), wait),
        _ => panic!("no limit is due next"),
    }
}

#[test]
fn progress_extends_the_stall_limit_up_to_the_limit_of_the_launch() {
    let clock = ManualClock::start();
    let mut machine = machine();
    assert_eq!(timed_out(&machine), (STALL, Wait::Progress));
    for percent in [10, 20] {
        clock.advance(STALL - TICK);
        assert_eq!(timed_out(&machine), (TICK, Wait::Progress));
        assert!(matches!(machine.handle(progress(percent)), Step::Continue));
    }
    // The total limit is nearer now.
    let left = TOTAL - 2 * (STALL - TICK);
    assert_eq!(timed_out(&machine), (left, Wait::Bootstrap));
    assert!(matches!(machine.handle(progress(30)), Step::Continue));
    assert_eq!(timed_out(&machine), (left, Wait::Bootstrap));
}

#[test]
fn the_same_phase_again_is_no_progress_and_a_lower_one_is() {
    let clock = ManualClock::start();
    let mut machine = machine();
    drop(machine.handle(progress(10)));
    clock.advance(TICK);
    drop(machine.handle(progress(10)));
    assert_eq!(timed_out(&machine), (STALL - TICK, Wait::Progress));
    drop(machine.handle(progress(5)));
    assert_eq!(timed_out(&machine), (STALL, Wait::Progress));
}

#[test]
fn a_launch_fails_at_its_stall_limit() {
    let clock = ManualClock::start();
    let (mut machine, start) = (machine(), now());
    clock.tick_by(Duration::from_millis(10));
    match machine.next_step() {
        Step::Fail(LaunchProblem::Timeout(timeout)) => {
            assert_eq!((timeout.wait(), timeout.limit()), (&Wait::Progress, STALL));
        }
        _ => panic!("the launch goes on"),
    }
    let took = elapsed_since(start);
    assert!(took >= STALL && took < STALL + Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_tor_may_run_for_three_seconds_after_its_connection_was_closed() {
    let clock = ManualClock::start();
    let mut machine = machine();
    machine.disconnected = Some(now());
    clock.advance(EXIT_AFTER_CLOSE - TICK);
    assert!(matches!(machine.next_due(), Some((at, Due::StillRunning))
        if at == deadline_after(TICK)));
}

#[test]
fn an_attempt_that_failed_is_repeated_after_a_pause_that_doubles() {
    let clock = ManualClock::start();
    let mut machine = machine();
    let (attempt, attempts) = unbounded();
    machine.route = Some(Arc::new(Route::Custom(Arc::new(move || {
        attempt.send(()).unwrap();
        Err(Timeout::new(Wait::Connect, STALL).into())
    }))));
    machine.retry.next = Some(now());
    let mut pause = FIRST_PAUSE;
    for _ in 0..8 {
        assert!(matches!(machine.next_step(), Step::Continue), "the attempt begins");
        assert!(matches!(machine.next_step(), Step::Continue), "the attempt has failed");
        assert_eq!(attempts.try_iter().count(), 1);
        clock.advance(pause - TICK);
        assert!(
            matches!(machine.next_due(), Some((at, Due::Connect)) if at == deadline_after(TICK))
        );
        clock.advance(TICK);
        pause = LONGEST_PAUSE.min(2 * pause);
    }
    assert_eq!(pause, LONGEST_PAUSE);
}
