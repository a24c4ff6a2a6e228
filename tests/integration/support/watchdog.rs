//! A limit for operations that might hang: the test fails with a name instead of never ending.

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};

/// Runs `work` on a new thread and returns its result.
///
/// Panics with `what` if it takes longer than `limit` (the thread is then left behind), and
/// passes on a panic of `work`.
#[track_caller]
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = bounded(1);
    let thread = thread::Builder::new()
        .name("within".to_owned())
        .spawn(move || sender.send(work()).ok())
        .expect("a thread can be started");
    match receiver.recv_timeout(limit) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("{what} hung: it did not end within {limit:?}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(_) => unreachable!("the thread sends before it ends"),
        },
    }
}

/// Polls every few milliseconds until `condition` holds; panics with `what` after `limit`.
///
/// For conditions that can only be polled, such as the list of processes.
#[track_caller]
pub(crate) fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "{what}: not so within {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_result_and_a_panic_come_through_the_watchdog() {
    use super::failure::panic_of;

    assert_eq!(within(Duration::from_secs(30), "an addition", || 1 + 1), 2);
    let message =
        panic_of(|| within(Duration::from_secs(30), "a failure", || panic!("as planned")));
    assert_eq!(message, "as planned");
}

#[test]
fn the_watchdog_names_what_hung() {
    use super::failure::panic_of;

    let (trigger, signal) = super::signal::signal();
    let message = panic_of(move || {
        within(Duration::from_millis(20), "the wait for a signal", move || signal.wait());
    });
    assert_eq!(message, "the wait for a signal hung: it did not end within 20ms");
    trigger.fire();
}

#[test]
fn a_condition_that_is_late_is_waited_for() {
    let mut looks = 0;
    eventually(Duration::from_secs(30), "three looks", || {
        looks += 1;
        looks == 3
    });
    assert_eq!(looks, 3);
}
