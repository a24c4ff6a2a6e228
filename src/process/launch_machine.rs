//! The launch, from the started process to a tor that is ready or ended.
//!
//! The thread `torcon-launch` runs a [`LaunchMachine`]. Every event of the launch reaches it as a
//! [`LaunchMessage`], and everything else by a deadline.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bridges::{unusable_transport, waits_for_program};
use super::child::KILL_LIMIT;
use super::control::{self, ConnectFailure, Connected, Route};
use super::launch_state::Ready;
use super::launcher::Launcher;
use super::progress::{Progress, ProgressReporter};
use super::thread::start_thread;
use super::tor_process::Shared;
use crate::clock;
use crate::controller::{Controller, HookGuard};
use crate::error::{
    Canceled, Error, LaunchError, LaunchProblem, LaunchReport, Result, Timeout, Wait,
};
use crate::link::{CancelGuard, NamedThread};
use crate::sync::channel::{Receiver, Sender};

/// How long one attempt at a control connection may take: on a slow machine a tor that starts
/// answers late.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);
/// Pauses between attempts; they double.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long tor may run after its control connection was closed.
const EXIT_AFTER_CLOSE: Duration = Duration::from_secs(3);
/// The longest grace period of a launch that failed.
pub(super) const SHORT_GRACE: Duration = Duration::from_secs(5);
/// How long the end of a launch waits for the progress closure, and for the function of
/// [`ControlVia::Custom`](super::ControlVia::Custom).
const CLOSURE_LIMIT: Duration = Duration::from_millis(250);

/// An event of the launch.
pub(super) enum LaunchMessage {
    /// A `Bootstrapped` line in tor's output.
    LogLine(Progress),
    /// A bootstrap event of the control connection.
    Event(Progress),
    /// The result of an attempt at a control connection.
    Attempt(Box<Result<Connected, ConnectFailure>>),
    Disconnected,
    /// tor's log says that the program of a pluggable transport has ended or could not be started.
    TransportEnded,
    /// tor wrote on standard error and is being ended for it.
    Stderr,
    Exited,
    Cancel,
}

pub(super) struct LaunchMachine {
    launcher: Launcher,
    shared: Arc<Shared>,
    /// `None` for a launch without a control connection.
    route: Option<Arc<Route>>,
    reporter: Option<ProgressReporter>,
    messages: Receiver<LaunchMessage>,
    sender: Sender<LaunchMessage>,
    started: Instant,
    last_progress: Instant,
    /// The last percentage and tag that tor reported.
    phase: Option<(u8, String)>,
    /// The highest percentage that tor reported.
    percent: Option<u8>,
    retry: ConnectRetry,
    /// Receives the bootstrap events of the control connection.
    bootstrap_hook: Option<HookGuard>,
    disconnected: Option<Instant>,
    is_ready: bool,
    /// Sends [`LaunchMessage::Cancel`] when the token of the launcher is canceled.
    _cancel: Option<CancelGuard>,
}

/// Attempts at a control connection, one at a time.
struct ConnectRetry {
    thread: Option<NamedThread>,
    /// The time of the next attempt. `None` during an attempt, before the first `Bootstrapped`
    /// line, and once there is a connection.
    next: Option<Instant>,
    pause: Duration,
    last_error: Option<Error>,
}

/// An action that is due at a deadline.
enum Due {
    TimedOut(Wait, Duration),
    /// tor runs on although its control connection was closed.
    StillRunning,
    Connect,
}

enum Step {
    Continue,
    Bootstrapped,
    Fail(LaunchProblem),
    Cancel,
}

/// Wakes the threads that wait for the launch, even if its thread panics.
struct CancelOnDrop(Arc<Shared>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.launch.cancel();
    }
}

impl LaunchMachine {
    pub(super) fn new(
        mut launcher: Launcher,
        shared: Arc<Shared>,
        route: Option<Route>,
        reporter: Option<ProgressReporter>,
        sender: Sender<LaunchMessage>,
        messages: Receiver<LaunchMessage>,
    ) -> Self {
        let now = clock::now();
        let cancel = launcher.cancel.take().map(|token| {
            let sender = sender.clone();
            // Fails when the launch is over.
            token.on_cancel(move || drop(sender.send(LaunchMessage::Cancel)))
        });
        Self {
            launcher,
            shared,
            route: route.map(Arc::new),
            reporter,
            messages,
            sender,
            started: now,
            last_progress: now,
            phase: None,
            percent: None,
            retry: ConnectRetry { thread: None, next: None, pause: FIRST_PAUSE, last_error: None },
            bootstrap_hook: None,
            disconnected: None,
            is_ready: false,
            _cancel: cancel,
        }
    }

    pub(super) fn run(mut self) {
        let _cancel = CancelOnDrop(Arc::clone(&self.shared));
        loop {
            match self.next_step() {
                Step::Continue => {}
                Step::Bootstrapped => return self.finish(),
                Step::Fail(problem) => return self.fail(problem),
                Step::Cancel => return self.cancel(),
            }
        }
    }

    /// Waits for the next event or deadline, and handles it.
    fn next_step(&mut self) -> Step {
        let message = match self.next_due() {
            None => self.messages.recv().ok(),
            Some((at, _)) => clock::recv_until(&self.messages, at).ok(),
        };
        let step = message.map_or(Step::Continue, |message| self.handle(message));
        match (&step, self.next_due()) {
            (Step::Continue, Some((at, due))) if clock::has_passed(at) => self.handle_due(due),
            _ => step,
        }
    }

    fn next_due(&self) -> Option<(Instant, Due)> {
        let exit = self.disconnected.and_then(|at| at.checked_add(EXIT_AFTER_CLOSE));
        let exit = exit.map(|at| (at, Due::StillRunning));
        let attempt = self.retry.next.map(|at| (at, Due::Connect));
        [self.time_out(), exit, attempt].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Returns when a launch that is not ready fails: at its total limit, or at that since the
    /// last progress.
    fn time_out(&self) -> Option<(Instant, Due)> {
        if self.is_ready {
            return None;
        }
        let wait = self.launcher.ready.wait();
        let at = |from: Instant, wait: Wait, limit: Duration| {
            Some((from.checked_add(limit)?, Due::TimedOut(wait, limit)))
        };
        let total = at(self.started, wait, self.launcher.timeout);
        let stall = at(self.last_progress, Wait::Progress, self.launcher.stall_timeout);
        [total, stall].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn handle_due(&mut self, due: Due) -> Step {
        match due {
            Due::TimedOut(wait, limit) => {
                // If only the control connection is missing, its error says more.
                let only_control =
                    self.launcher.ready == Ready::Controller || self.percent == Some(100);
                Step::Fail(match self.retry.last_error.take() {
                    Some(error) if only_control => LaunchProblem::Control(Box::new(error)),
                    _ => LaunchProblem::Timeout(Timeout::new(wait, limit)),
                })
            }
            Due::StillRunning => {
                self.disconnected = None;
                match self.shared.launch.controller().and_then(Controller::closed_reason) {
                    Some(reason) => Step::Fail(LaunchProblem::Control(Box::new(reason.into()))),
                    None => Step::Continue,
                }
            }
            Due::Connect => self.connect(),
        }
    }

    fn handle(&mut self, message: LaunchMessage) -> Step {
        match message {
            LaunchMessage::LogLine(progress) => {
                let is_connected = self.bootstrap_hook.is_some();
                // The events of a connection report the same warnings.
                if !(is_connected && progress.warning.is_some()) {
                    self.report(progress);
                }
                if self.route.is_some() && !is_connected && self.retry.thread.is_none() {
                    self.retry.next = Some(clock::now());
                }
                self.check_ready()
            }
            LaunchMessage::Event(progress) => {
                self.report(progress);
                self.check_ready()
            }
            LaunchMessage::Attempt(result) => self.handle_attempt(*result),
            LaunchMessage::Disconnected => {
                self.check_disconnected();
                Step::Continue
            }
            LaunchMessage::TransportEnded => self.check_transports(),
            LaunchMessage::Stderr => Step::Fail(LaunchProblem::Stderr { text: "".into() }),
            LaunchMessage::Exited if self.shared.output.is_ended_for_stderr() => {
                Step::Fail(LaunchProblem::Stderr { text: "".into() })
            }
            LaunchMessage::Exited => Step::Fail(LaunchProblem::Exited),
            LaunchMessage::Cancel => Step::Cancel,
        }
    }

    /// Fails if tor cannot bootstrap, since a bridge needs a program that cannot be executed. tor does
    /// not say so at its usual severity, and tries again every second.
    fn check_transports(&self) -> Step {
        if self.launcher.ready == Ready::Controller {
            return Step::Continue;
        }
        unusable_transport(&self.launcher.options).map_or(Step::Continue, Step::Fail)
    }

    /// A closed connection of an attempt that failed does not matter.
    fn check_disconnected(&mut self) {
        let is_closed =
            self.shared.launch.controller().is_some_and(|controller| !controller.is_alive());
        if is_closed && self.disconnected.is_none() {
            self.disconnected = Some(clock::now());
        }
    }

    /// Reports each percentage once and never a lower one, and a warning when it changes.
    ///
    /// A bootstrap that starts again, as after a change of the network, is progress for the stall
    /// timeout.
    fn report(&mut self, progress: Progress) {
        let phase = Some((progress.percent, progress.tag.clone()));
        if self.phase != phase {
            self.last_progress = clock::now();
            self.phase = phase;
        }
        let is_forward = self.percent.is_none_or(|percent| progress.percent > percent);
        let has_warning = progress.warning.is_some() && self.percent <= Some(progress.percent);
        let is_reported = self.shared.launch.progress() == progress;
        if !is_forward && (!has_warning || is_reported) {
            return;
        }
        if is_forward {
            self.percent = Some(progress.percent);
        }
        log::debug!("tor, pid {}, bootstrapped {progress}", self.shared.child.pid());
        if let Some(reporter) = &self.reporter {
            reporter.report(&progress);
        }
        self.shared.launch.set_progress(progress);
    }

    fn connect(&mut self) -> Step {
        let Some(route) = self.route.clone() else { return Step::Continue };
        self.retry.next = None;
        let left = self.time_out().map(|(at, _)| clock::time_left(at));
        let limit = left.unwrap_or(ATTEMPT_LIMIT).min(ATTEMPT_LIMIT);
        let shared = Arc::clone(&self.shared);
        let sender = self.sender.clone();
        let thread = start_thread("torcon-connect", move || {
            let result = control::connect(&route, &shared.child, limit, &sender);
            let _ = sender.send(LaunchMessage::Attempt(Box::new(result)));
        });
        match thread {
            Ok(thread) => {
                self.retry.thread = Some(thread);
                Step::Continue
            }
            Err(problem) => Step::Fail(problem),
        }
    }

    fn handle_attempt(&mut self, result: Result<Connected, ConnectFailure>) -> Step {
        if let Some(thread) = self.retry.thread.take() {
            thread.join_for(CLOSURE_LIMIT);
        }
        match result {
            Ok(connected) => {
                log::debug!("control connection to tor, pid {}, is ready", self.shared.child.pid());
                self.retry.last_error = None;
                self.bootstrap_hook = Some(connected.bootstrap_hook);
                if let Some(endpoint) = connected.endpoint {
                    self.shared.launch.set_endpoint(endpoint);
                }
                self.shared.launch.set_controller(connected.controller);
                self.check_disconnected();
                self.check_ready()
            }
            Err(ConnectFailure::OtherTor { found }) => {
                Step::Fail(LaunchProblem::OtherTor { launched: self.shared.child.pid(), found })
            }
            Err(ConnectFailure::Panicked) => Step::Fail(LaunchProblem::ConnectorPanicked),
            Err(ConnectFailure::Control(error)) if control::is_temporary(&error) => {
                log::debug!("no control connection yet: {error}");
                self.retry.last_error = Some(error);
                self.retry.next = clock::now().checked_add(self.retry.pause);
                self.retry.pause = self.retry.pause.saturating_mul(2).min(LONGEST_PAUSE);
                Step::Continue
            }
            Err(ConnectFailure::Control(error)) => {
                Step::Fail(LaunchProblem::Control(Box::new(error)))
            }
        }
    }

    fn check_ready(&mut self) -> Step {
        let is_connected =
            self.route.is_none() || (self.bootstrap_hook.is_some() && self.disconnected.is_none());
        if is_connected && self.percent == Some(100) {
            return Step::Bootstrapped;
        }
        if is_connected && self.launcher.ready == Ready::Controller && !self.is_ready {
            self.is_ready = true;
            if let Some(reporter) = &self.reporter {
                reporter.flush(CLOSURE_LIMIT);
            }
            self.shared.output.clear_warnings();
            self.shared.launch.set_ready();
        }
        Step::Continue
    }

    fn finish(mut self) {
        // Ends the subscription to the bootstrap events.
        self.bootstrap_hook = None;
        if let Some(reporter) = self.reporter.take() {
            reporter.finish(CLOSURE_LIMIT);
        }
        self.shared.output.clear_warnings();
        self.shared.launch.set_bootstrapped();
    }

    /// Ends tor, unless it is ready, and then reports the cancellation.
    fn cancel(mut self) {
        if !self.is_ready {
            self.end();
        }
        self.end_threads();
        self.shared.launch.fail(Canceled::new(self.launcher.ready.wait()));
    }

    /// Ends tor, unless it is ready, and then reports the error.
    fn fail(mut self, problem: LaunchProblem) {
        let mut exit_status = None;
        if matches!(problem, LaunchProblem::Stderr { .. }) {
            // The thread `torcon-end` ends it.
            let limit = self.grace().saturating_add(KILL_LIMIT);
            exit_status = self.shared.child.wait_for(limit).and_then(Result::ok);
        } else if !self.is_ready || matches!(problem, LaunchProblem::Exited) {
            exit_status = self.end();
        }
        let is_custom = matches!(self.route.as_deref(), Some(Route::Custom(_)));
        let has_ended = self.end_threads();
        let problem = match problem {
            LaunchProblem::Stderr { .. } => {
                LaunchProblem::Stderr { text: self.shared.output.stderr_text().into() }
            }
            LaunchProblem::Exited if self.is_ready => LaunchProblem::ExitedLater,
            problem => problem,
        };
        let report = LaunchReport {
            exit_status,
            percent: self.phase.as_ref().map(|(percent, _)| *percent),
            connector_is_stuck: is_custom && !has_ended,
            was_ready: self.is_ready,
            waits_for_transport: self.percent == Some(0)
                && waits_for_program(&self.launcher.options),
            ..self.shared.output.report()
        };
        self.shared.launch.fail(LaunchError::with_report(problem, report));
    }

    fn grace(&self) -> Duration {
        self.launcher.grace.min(SHORT_GRACE)
    }

    /// Ends tor, and returns its exit status if it is known.
    fn end(&self) -> Option<ExitStatus> {
        match self.shared.child.end(self.grace()) {
            Ok((exit, _)) => exit.ok(),
            Err(error) => {
                log::error!("tor could not be ended: {error}");
                None
            }
        }
    }

    /// Waits for the threads that may run a closure of the program. Returns whether that of an
    /// attempt at a control connection has ended.
    fn end_threads(&mut self) -> bool {
        let thread = self.retry.thread.take();
        let has_ended = thread.is_none_or(|thread| thread.join_for(CLOSURE_LIMIT));
        if let Some(reporter) = self.reporter.take() {
            reporter.finish(CLOSURE_LIMIT);
        }
        has_ended
    }
}

#[cfg(test)]
mod tests;
