use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use torcon::error::SupervisorProblem;
use torcon::{Error, Result, Supervisor, Tor};

use super::LIMIT;

/// How long each call may wait for a tor.
const WAIT: Duration = Duration::from_secs(10);
/// Pause between the calls of a thread.
const PAUSE: Duration = Duration::from_millis(10);
/// Options with different names, one for each thread.
pub(super) const OPTIONS: [&str; 16] = [
    "AvoidDiskWrites",
    "CircuitBuildTimeout",
    "ConnectionPadding",
    "DataDirectory",
    "DisableNetwork",
    "ExitRelay",
    "HardwareAccel",
    "KeepalivePeriod",
    "LearnCircuitBuildTimeout",
    "MaxClientCircuitsPending",
    "NewCircuitPeriod",
    "NumEntryGuards",
    "PathsNeededToBuildCircuits",
    "SafeLogging",
    "SocksTimeout",
    "UseEntryGuards",
];

/// The results of the threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: AtomicUsize,
    slowest: Mutex<Duration>,
    /// The errors, with how often each occurred.
    errors: Mutex<BTreeMap<String, usize>>,
}

impl Tally {
    /// Calls tor until `stop`, as thread `number`: odd ones repeat failed calls.
    pub(super) fn work(&self, supervisor: &Supervisor, number: usize, stop: &AtomicBool) {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            let ask = |tor: &Tor| ask(tor, number, count);
            let begin = Instant::now();
            let outcome = match number % 2 {
                0 => supervisor.with_tor(WAIT, ask),
                _ => supervisor.repeat_with_tor(WAIT, ask),
            };
            let took = begin.elapsed();
            assert!(took < WAIT + LIMIT, "a call took {took:?}: {outcome:?}");
            let mut slowest = self.slowest.lock();
            *slowest = took.max(*slowest);
            drop(slowest);
            self.calls.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = outcome {
                let reason = reason(&error);
                *self.errors.lock().entry(reason).or_default() += 1;
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Asks for two replies that no other thread and no other call gets.
fn ask(tor: &Tor, number: usize, count: usize) -> Result<()> {
    let key = format!("torcon-test/{number}/{count}");
    match tor.controller().get_info_one(&key) {
        // tor repeats the key that it does not know.
        Err(Error::Rejected(rejection)) => {
            let text = rejection.text().into_owned();
            assert!(text.contains(&format!("\"{key}\"")), "{key} got the reply {text}");
        }
        other => {
            let value = other?;
            panic!("{key} got the reply {value}");
        }
    }
    let option = OPTIONS[number];
    let values = tor.controller().get_conf([option])?;
    assert!(values.get(option).is_some(), "{option} got the reply {values:?}");
    Ok(())
}

/// Returns the text of an error; panics if it does not carry the reason.
#[track_caller]
fn reason(error: &Error) -> String {
    match error {
        Error::Closed(reason) => format!("closed: {reason}"),
        Error::Supervisor(problem) => match problem.problem() {
            SupervisorProblem::NotConnected { last_error: Some(error) }
            | SupervisorProblem::Timeout { last_error: Some(error), .. } => {
                format!("no tor: {}", reason_of_attempt(error))
            }
            other => panic!("no reason: {other:?}"),
        },
        other => panic!("another error: {other:?}"),
    }
}

/// Returns the text of an error without numbers, which differ from attempt to attempt.
fn reason_of_attempt(error: &Error) -> String {
    error.to_string().chars().filter(|character| !character.is_ascii_digit()).collect()
}
