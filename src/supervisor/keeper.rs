//! The thread `torcon-restore`, which connects and restores.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::{Backoff, STEADY};
use super::restorer::Restorer;
use super::shared::{Shared, stopped};
use super::source::{Prospect, Source, prospect};
use super::status::SupervisorStatus;
use crate::clock::{self, deadline_after};
use crate::error::{Disconnect, Error, Result, SupervisorError, SupervisorProblem};
use crate::link::{EventHook, RawEvent, drop_quietly, panic_text};
use crate::process::TorProcess;
use crate::tor::Tor;

/// How many times in a row the server's proof may be wrong: tor replaces its cookie when it starts.
const WRONG_PROOFS: u32 = 5;

/// The longest wait for the exit of a tor whose connection has ended, for its reason.
const EXIT_LIMIT: Duration = Duration::from_secs(1);

/// How long the end of a supervisor waits for the listeners of the tor's own controller.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    shared: Arc<Shared>,
    source: Source,
    backoff: Backoff,
    /// The attempts since the last connection that lasted.
    attempts: u32,
    /// When that connection ended.
    lost_at: Instant,
    /// When tor ended or a launch failed, within the window of the crash loop.
    deaths: VecDeque<Instant>,
    /// The error that was logged last, so that each is logged once.
    logged: Option<String>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, source: Source) -> Self {
        let backoff = Backoff::new(&shared.options);
        Self {
            shared,
            source,
            backoff,
            attempts: 0,
            lost_at: clock::now(),
            deaths: VecDeque::new(),
            logged: None,
        }
    }

    pub(super) fn run(mut self) {
        let ending = loop {
            // The password closure, a connector or a logger of the program may panic.
            match catch_unwind(AssertUnwindSafe(|| self.next_generation())) {
                Ok(Ok(())) => {}
                Ok(Err(ending)) => break ending,
                Err(panic) => {
                    let message = panic_text(&*panic).into();
                    drop_quietly(panic);
                    break ended(SupervisorProblem::Panicked { message });
                }
            }
        };
        let shared = Arc::clone(&self.shared);
        if catch_unwind(AssertUnwindSafe(|| self.end(ending))).is_err() {
            log::error!("a logger panicked while a supervisor ended");
        }
        shared.set_done();
    }

    /// Connects, restores, and waits for the end of the connection. An error ends the supervisor.
    fn next_generation(&mut self) -> Result<()> {
        let tor = self.connect()?;
        self.keep(tor)
    }

    /// Restores everything on a new connection, and waits for its end.
    pub(super) fn keep(&mut self, tor: Tor) -> Result<()> {
        let tor = Arc::new(tor);
        let since = clock::now();
        let generation = self.shared.set_connected(&tor);
        let controller = tor.controller().clone();
        let _end =
            controller.watch_end(Arc::new(EndHook { shared: self.shared.clone(), generation }));
        self.shared.set_status(SupervisorStatus::Restoring);
        let mut restorer = Restorer::new(&self.shared, &controller, generation);
        let reason = match restorer.restore_all().and_then(|()| restorer.stay_up()) {
            Ok(reason) => Error::Closed(reason),
            // The connection has ended, or tor does not answer.
            Err(error) => error,
        };
        if self.shared.is_stopping() {
            return Err(stopped());
        }
        log::warn!("a supervisor lost its connection to tor: {reason}");
        let has_lasted = clock::elapsed_since(since) >= STEADY;
        if has_lasted {
            self.backoff.reset();
            self.attempts = 0;
            self.lost_at = clock::now();
            self.logged = None;
        }
        let reason = self.leave(&tor, reason)?;
        if has_lasted { Ok(()) } else { self.check_limits(reason) }
    }

    /// Makes attempts until one succeeds.
    fn connect(&mut self) -> Result<Tor> {
        let mut last_error = self.shared.last_error();
        let mut wrong_proofs = 0;
        loop {
            self.attempts = self.attempts.saturating_add(1);
            let delay = self.backoff.next(random_byte());
            // The status of the first attempt is set before, by a new supervisor or at the end of a
            // connection.
            if self.attempts > 1 {
                self.set_connecting(delay, last_error.clone());
            }
            if !self.shared.sleep(delay) {
                return Err(stopped());
            }
            let error = match self.source.obtain() {
                Ok(tor) => return Ok(tor),
                Err(_) if self.shared.is_stopping() => return Err(stopped()),
                Err(error) => error,
            };
            self.log(&error);
            wrong_proofs = match prospect(&error) {
                Prospect::None => return Err(ended(SupervisorProblem::Permanent(error))),
                Prospect::WrongProof => wrong_proofs + 1,
                Prospect::Open => 0,
            };
            if wrong_proofs >= WRONG_PROOFS {
                return Err(ended(SupervisorProblem::Permanent(error)));
            }
            if self.source.launches() {
                self.count_death(&error)?;
            }
            self.check_limits(error.clone())?;
            last_error = Some(error);
        }
    }

    fn set_connecting(&self, delay: Duration, last_error: Option<Error>) {
        let (attempt, next) = (self.attempts.max(1), deadline_after(delay));
        self.shared.set_status(SupervisorStatus::Connecting { attempt, next, last_error });
    }

    /// Returns an error if the limit of attempts or of time is reached.
    fn check_limits(&self, last_error: Error) -> Result<()> {
        let (options, attempts) = (&self.shared.options, self.attempts);
        let elapsed = clock::elapsed_since(self.lost_at);
        let is_reached = options.attempts.is_some_and(|limit| attempts >= limit)
            || options.time_limit.is_some_and(|limit| elapsed >= limit);
        match is_reached {
            true => Err(ended(SupervisorProblem::Exhausted { attempts, elapsed, last_error })),
            false => Ok(()),
        }
    }

    fn log(&mut self, error: &Error) {
        let text = error.to_string();
        if self.logged.as_ref() != Some(&text) {
            log::warn!("a supervisor could not connect to tor, and tries again: {text}");
            self.logged = Some(text);
        }
    }

    /// Ends a connection, and a tor that was launched, whose data directory the next one needs.
    /// Returns the reason, which tor may give.
    fn leave(&mut self, tor: &Tor, reason: Error) -> Result<Error> {
        let is_own = matches!(&reason, Error::Closed(reason) if reason.is_clean());
        let reason = match tor.process().filter(|_| !is_own) {
            Some(process) => exit_reason(process).unwrap_or(reason),
            None => reason,
        };
        let former = self.shared.take_tor(Some(reason.clone()));
        self.set_connecting(Duration::ZERO, Some(reason.clone()));
        match tor.process() {
            None => tor.controller().hang_up(),
            Some(process) => {
                if let Err(error) = process.quit() {
                    log::debug!("a tor that was left could not be ended: {error}");
                }
            }
        }
        drop(former);
        if self.source.launches() && !is_own {
            self.count_death(&reason)?;
        }
        Ok(reason)
    }

    /// Records that tor ended or a launch failed; an error if that happens too often.
    fn count_death(&mut self, error: &Error) -> Result<()> {
        let options = &self.shared.options;
        let now = clock::now();
        self.deaths.push_back(now);
        while self.deaths.front().is_some_and(|at| now.duration_since(*at) > options.death_window) {
            self.deaths.pop_front();
        }
        let deaths = u32::try_from(self.deaths.len()).unwrap_or(u32::MAX);
        if deaths < options.deaths {
            return Ok(());
        }
        let (window, last_error) = (options.death_window, error.clone());
        Err(ended(SupervisorProblem::CrashLoop { deaths, window, last_error }))
    }

    /// Ends everything of the supervisor.
    pub(super) fn end(self, ending: Error) {
        let shared = &self.shared;
        let is_stopped = shared.is_stopping();
        shared.end_subscriptions(&ending);
        shared.end_services(&ending);
        shared.settings.end();
        if let Some(tor) = shared.take_tor(None) {
            match tor.process() {
                Some(process) => {
                    if let Err(error) = process.quit() {
                        log::warn!("the tor of a supervisor could not be ended: {error}");
                    }
                }
                // A listener of the controller may be the one that stops the supervisor.
                None => tor.controller().with_timeout(CLOSE_LIMIT).close(),
            }
        }
        // A thread that is making the state ends it itself.
        let kept = shared.lock_state(deadline_after(CLOSE_LIMIT), CLOSE_LIMIT);
        let state = kept.ok().and_then(|kept| kept.take());
        if let Some(state) = state {
            state.end(&Disconnect::Closed);
        }
        shared.set_status(match is_stopped {
            true => SupervisorStatus::Stopped,
            false => {
                log::error!("a supervisor has ended: {ending}");
                SupervisorStatus::GivenUp(ending)
            }
        });
        if is_stopped {
            shared.remove_listeners();
        }
    }
}

/// Returns why a launched tor has ended, if it has.
fn exit_reason(process: &TorProcess) -> Option<Error> {
    process.wait_timeout(EXIT_LIMIT).ok()?;
    // The launch of a tor that was not bootstrapped yet fails a moment after its exit.
    match process.wait_bootstrapped(EXIT_LIMIT) {
        Err(error @ Error::Launch(_)) => Some(error),
        _ => None,
    }
}

fn ended(problem: SupervisorProblem) -> Error {
    SupervisorError::new(problem).into()
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without random numbers the delays are not shortened.
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    byte
}

/// Notices the end of a connection, on the thread that ends it.
struct EndHook {
    shared: Arc<Shared>,
    generation: u64,
}

impl EventHook for EndHook {
    fn event(&self, _event: &RawEvent<'_>) {}

    fn ended(&self, reason: &Disconnect) {
        self.shared.set_ended(self.generation, reason);
    }
}
