//! The thread `torcon-restore`, which connects and restores.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::restorer::Restorer;
use super::shared::{Shared, stopped};
use super::source::{Prospect, Source, prospect};
use super::status::SupervisorStatus;
use crate::error::{Disconnect, Error, Result, SupervisorError, SupervisorProblem};
use crate::link::{EventHook, RawEvent, deadline_after, drop_quietly, panic_text};
use crate::tor::Tor;

/// How many times in a row the server's proof may be wrong: tor replaces its cookie when it starts.
const WRONG_PROOFS: u32 = 5;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    source: Source,
    backoff: Backoff,
    /// When tor ended or a launch failed, within the window of the crash loop.
    deaths: VecDeque<Instant>,
    /// The error that was logged last, so that each is logged once.
    logged: Option<String>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, source: Source) -> Self {
        let backoff = Backoff::new(&shared.options);
        Self { shared, source, backoff, deaths: VecDeque::new(), logged: None }
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
        self.end(ending);
    }

    /// Connects, restores, and waits for the end of the connection. An error ends the supervisor.
    fn next_generation(&mut self) -> Result<()> {
        let last_error = self.shared.last_error();
        let tor = Arc::new(self.connect(last_error)?);
        let since = Instant::now();
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
        self.backoff.connected(since);
        self.logged = None;
        log::warn!("a supervisor lost its connection to tor: {reason}");
        self.leave(&tor, reason)
    }

    /// Makes attempts until one succeeds.
    fn connect(&mut self, mut last_error: Option<Error>) -> Result<Tor> {
        let begun = Instant::now();
        let mut wrong_proofs = 0;
        for attempt in 1_u32.. {
            let delay = self.backoff.next(random_byte());
            let next = deadline_after(delay);
            let status =
                SupervisorStatus::Connecting { attempt, next, last_error: last_error.clone() };
            // A new supervisor has this status from the beginning.
            if attempt > 1 || last_error.is_some() {
                self.shared.set_status(status);
            }
            if !self.shared.sleep(delay) {
                return Err(stopped());
            }
            let error = match self.source.obtain(|| self.shared.is_stopping()) {
                Ok(Some(tor)) => return Ok(tor),
                Ok(None) => return Err(stopped()),
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
            let elapsed = begun.elapsed();
            let options = &self.shared.options;
            if options.attempts.is_some_and(|limit| attempt >= limit)
                || options.time_limit.is_some_and(|limit| elapsed >= limit)
            {
                let (attempts, last_error) = (attempt, error);
                return Err(ended(SupervisorProblem::Exhausted { attempts, elapsed, last_error }));
            }
            last_error = Some(error);
        }
        // There are as many attempts as a `u32` has values.
        Err(stopped())
    }

    fn log(&mut self, error: &Error) {
        let text = error.to_string();
        if self.logged.as_ref() != Some(&text) {
            log::warn!("a supervisor could not connect to tor, and tries again: {text}");
            self.logged = Some(text);
        }
    }

    /// Ends a connection, and a tor that was launched, whose data directory the next one needs.
    fn leave(&mut self, tor: &Tor, reason: Error) -> Result<()> {
        let mut reason = reason;
        match tor.process() {
            None => tor.controller().hang_up(),
            Some(process) => {
                if let Err(error) = process.quit() {
                    log::debug!("a tor that was left could not be ended: {error}");
                }
                if let Err(error @ Error::Launch(_)) = process.wait_bootstrapped(Duration::ZERO) {
                    reason = error;
                }
            }
        }
        drop(self.shared.take_tor(Some(reason.clone())));
        match self.source.launches() {
            true => self.count_death(&reason),
            false => Ok(()),
        }
    }

    /// Records that tor ended or a launch failed; an error if that happens too often.
    fn count_death(&mut self, error: &Error) -> Result<()> {
        let options = &self.shared.options;
        let now = Instant::now();
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
    fn end(self, ending: Error) {
        let shared = &self.shared;
        let is_stopped = shared.is_stopping();
        shared.end_subscriptions(&ending);
        shared.end_services(&ending);
        // Dropped without the lock, since it sends a command.
        let watch = shared.settings.lock().watch.take();
        drop(watch);
        if let Some(tor) = shared.take_tor(None) {
            if let Err(error) = tor.close() {
                log::warn!("the tor of a supervisor could not be ended: {error}");
            }
        }
        let state = shared.state.lock().take();
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
