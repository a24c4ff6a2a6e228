use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use torcon::error::LaunchProblem;
use torcon::process::{ControlVia, Progress};
use torcon::{CancelToken, Error};

use super::fake_process::{FakeProcess, LONG, SOON};
use super::real::offline;
use crate::support::exclusive::exclusive;
use crate::support::leaks::{Holdings, threads};
use crate::support::watchdog::eventually;

#[test]
fn a_bootstrap_that_starts_again_is_progress() {
    // As after a change of the network. tor takes longer than the limit to reach its first percentage
    // again.
    let fake = FakeProcess::new(
        "say 'Bootstrapped 80% (ap_conn): Connecting to a relay to build circuits'\n\
         for percent in 10 14 20 25 30 35 40 45; do sleep 1\n\
         say \"Bootstrapped $percent% (loading_descriptors): Loading relay descriptors\"\ndone\n\
         say 'Bootstrapped 100% (done): Done'\nexec sleep 60",
    );
    let reported = Arc::new(Mutex::new(Vec::new()));
    let report = Arc::clone(&reported);
    let launcher =
        fake.launcher().on_progress(move |progress| report.lock().push(progress.percent));
    let tor = launcher.stall_timeout(Duration::from_millis(6500)).launch().unwrap();
    // No lower percentage is reported.
    eventually(LONG, "the closure was called", || *reported.lock() == [80, 100]);
    tor.quit().unwrap();
}

#[test]
fn a_tor_that_repeats_the_same_progress_is_stalled() {
    let fake = FakeProcess::new(
        "say 'Bootstrapped 80% (ap_conn): Connecting to a relay to build circuits'\n\
         while :; do say 'Bootstrapped 10% (conn_done): Connected to a relay'; sleep 0.2; done",
    );
    let error = fake.launcher().stall_timeout(Duration::from_secs(5)).launch().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let Error::Launch(error) = error else { panic!("{error:?}") };
    assert_eq!(error.percent(), Some(10));
}

#[test]
fn a_slow_progress_closure_does_not_delay_the_launch_and_is_called_for_the_rest_later() {
    exclusive(|| {
        let before = Holdings::now();
        let fake = FakeProcess::bootstrapped_in_two_steps();
        let (sender, receiver) = bounded(9);
        let (release, blocked) = bounded::<()>(0);
        let listener = move |progress: &Progress| {
            sender.send(progress.percent).unwrap();
            blocked.recv().ok();
        };
        let tor = fake.launcher().on_progress(listener).launch().unwrap();
        // The closure blocks in its first call: the launch did not wait for the second.
        assert_eq!(receiver.recv_timeout(LONG), Ok(5));
        assert!(receiver.is_empty());
        tor.quit().unwrap();
        drop(tor);
        // Only the thread of the closure remains until the closure returns.
        eventually(SOON, "the other threads have ended", || {
            threads("torcon-") == ["torcon-progress"]
        });
        drop(release);
        assert_eq!(receiver.recv_timeout(LONG), Ok(100));
        drop(fake);
        before.assert_restored(SOON);
    });
}

#[test]
fn a_slow_progress_closure_delays_a_launch_by_less_than_a_second() {
    let launch = |listener: fn(&Progress)| {
        let fake = FakeProcess::bootstrapped();
        let start = Instant::now();
        let tor = fake.launcher().on_progress(listener).launch().unwrap();
        let taken = start.elapsed();
        tor.quit().unwrap();
        taken
    };
    // The best of three, since a launch can be slow on a loaded machine.
    let taken = (0..3).map(|_| launch(|_| thread::sleep(Duration::from_secs(2)))).min().unwrap();
    assert!(taken < Duration::from_secs(1), "{taken:?}");
}

#[test]
fn a_connect_function_that_never_returns_leaves_only_its_thread() {
    exclusive(|| {
        let before = Holdings::now();
        let (release, blocked) = bounded::<()>(0);
        let via = ControlVia::custom(move || {
            blocked.recv().ok();
            torcon::connect("unix:/nonexistent/control")
        });
        let start = Instant::now();
        // Long enough for a tor that starts on a loaded machine.
        let error = offline().control(via).timeout(Duration::from_secs(6)).launch().unwrap_err();
        assert!(start.elapsed() < SOON);
        let Error::Launch(error) = error else { panic!("{error:?}") };
        assert!(matches!(error.problem(), LaunchProblem::Timeout(_)), "{error:?}");
        let advice = "the function of ControlVia::Custom has not returned: give it a time limit";
        assert_eq!(error.advice(), Some(advice), "{error:?}");
        eventually(SOON, "the other threads have ended", || {
            threads("torcon-") == ["torcon-connect"]
        });
        let now = Holdings::now();
        assert_eq!((&now.children, &now.files), (&before.children, &before.files));
        // The thread ends when the function returns.
        drop(release);
        before.assert_restored(SOON);
    });
}

#[test]
fn a_connection_made_after_the_launch_is_closed() {
    use crate::support::real_tor::RealTor;

    let other = RealTor::start();
    let endpoint = other.endpoint();
    let token = CancelToken::new();
    let (release, blocked) = bounded::<()>(0);
    let (sender, receiver) = bounded(1);
    let cancel = token.clone();
    let via = ControlVia::custom(move || {
        cancel.cancel();
        blocked.recv().ok();
        let controller = torcon::connect(&*endpoint)?;
        let sender = sender.clone();
        controller.on_disconnect(move |_| {
            sender.send(()).ok();
        });
        Ok(controller)
    });
    let error = offline().control(via).cancel_token(&token).launch().unwrap_err();
    assert!(error.is_canceled(), "{error:?}");
    drop(release);
    receiver.recv_timeout(LONG).unwrap();
    assert_eq!(other.try_wait(), None);
}
