use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use torcon::error::{Error, LaunchProblem};
use torcon::supervisor::SupervisorStatus;

use super::{LIMIT, connected, launcher, options, pid, statuses, supervised, wait_up};
use crate::support::fake_tor::FakeTor;

#[test]
fn the_status_is_not_up_while_a_lost_tor_is_ended() {
    // A tor that is stopped does not end before it is killed.
    let supervisor = options().launch(launcher().grace(2 * LIMIT)).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    let pid = pid(&tor);
    kill(pid, Signal::SIGSTOP).unwrap();
    tor.controller().close();
    let status = supervisor.wait_status(LIMIT, |status| !status.is_up()).unwrap();
    assert!(matches!(status, SupervisorStatus::Connecting { attempt: 1, .. }), "{status}");
    assert!(kill(pid, None).is_ok(), "tor runs");
    assert!(supervisor.tor().is_err());
    kill(pid, Signal::SIGKILL).unwrap();
    drop(tor);
    wait_up(&supervisor, 2);
}

#[test]
fn the_status_has_the_reason_why_a_launched_tor_was_lost() {
    for is_killed in [true, false] {
        let supervisor = supervised();
        let tor = supervisor.wait_tor(LIMIT).unwrap();
        let received = statuses(&supervisor);
        match is_killed {
            true => kill(pid(&tor), Signal::SIGKILL).unwrap(),
            false => tor.controller().close(),
        }
        drop(tor);
        let reason = received.iter().find_map(|status| match status {
            SupervisorStatus::Connecting { last_error, .. } => last_error,
            _ => None,
        });
        match &reason {
            Some(Error::Launch(error)) if is_killed => {
                assert!(matches!(error.problem(), LaunchProblem::ExitedLater), "{error}");
                assert!(error.to_string().contains("SIGKILL"), "{error}");
            }
            Some(Error::Closed(reason)) if !is_killed => assert!(reason.is_clean(), "{reason}"),
            _ => panic!("{reason:?}"),
        }
    }
}

#[test]
fn repeat_with_tor_does_not_spin_on_the_error_of_another_connection() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = connected(&tor);
    let former = supervisor.tor().unwrap();
    tor.cut();
    wait_up(&supervisor, 2);
    let mut calls = 0;
    let outcome = supervisor.repeat_with_tor(Duration::from_millis(500), |_| {
        calls += 1;
        // Such as a method of a circuit of the former connection.
        former.controller().get_info_one("version")
    });
    assert!(outcome.as_ref().is_err_and(Error::is_closed), "{outcome:?}");
    assert!(calls < 10, "{calls} calls");
}
