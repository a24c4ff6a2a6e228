use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::child::{Child, KILL_LIMIT};
use super::control::{self, Connected, Failure, Route};
use super::launch::Launch;
use super::output::Output;
use super::progress::{Progress, ProgressReporter};
use super::worker::Worker;
use crate::controller::{Controller, HookGuard};
use crate::error::{Error, LaunchError, LaunchProblem, LaunchReport, Result, Timeout, Wait};

/// How long one attempt at a control connection may take: the first answer of a tor on a slow
/// machine comes late.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);
/// Pauses between attempts; they double.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the process may come after the end of its control connection.
const EXIT_AFTER_LOSS: Duration = Duration::from_secs(3);
/// The grace period of a launch that failed.
pub(super) const SHORT_GRACE: Duration = Duration::from_secs(5);
/// How long the end of a launch waits for the progress closure, and for the function that makes
/// the control connection. One that takes longer goes on without it.
const CALLBACK_LIMIT: Duration = Duration::from_millis(250);

/// What [`Launcher::launch`](super::Launcher::launch) waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ready {
    /// tor is at 100 %: it can build circuits. Never happens with `DisableNetwork 1`.
    #[default]
    Bootstrapped,
    /// The control connection is ready, whatever tor can reach.
    Controller,
}

/// What the thread `torcon-launch` is told.
pub(super) enum Message {
    /// By a line that tor printed.
    Printed(Progress),
    /// By an event.
    Status(Progress),
    /// The outcome of an attempt at a control connection.
    Attempt(Box<Result<Connected, Failure>>),
    /// The control connection has ended.
    Lost,
    /// tor wrote on standard error and must end for it.
    Stderr,
    /// tor is gone.
    Exited,
    /// Nobody waits any more.
    Cancel,
}

/// What the thread `torcon-launch` works with.
pub(super) struct LaunchContext {
    pub(super) launch: Arc<Launch>,
    pub(super) child: Arc<Child>,
    pub(super) output: Arc<Output>,
    /// `None`: there is to be no control connection.
    pub(super) route: Option<Arc<Route>>,
    pub(super) announcer: Option<ProgressReporter>,
    pub(super) ready: Ready,
    pub(super) timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) grace: Duration,
    pub(super) messages: Receiver<Message>,
    pub(super) sender: Sender<Message>,
}

impl LaunchContext {
    /// Brings tor to the wished state, or ends it.
    pub(super) fn run(self) {
        let launch = Arc::clone(&self.launch);
        // Also if this thread panics nobody waits for ever.
        let _over = FailOnDrop(launch);
        let now = Instant::now();
        LaunchMachine {
            started: now,
            last_progress: now,
            phase: None,
            percent: None,
            tries: ConnectRetry { worker: None, next: None, pause: FIRST_PAUSE, last_error: None },
            watch: None,
            lost: None,
            is_ready: false,
            is: self,
        }
        .run();
    }
}

struct FailOnDrop(Arc<Launch>);

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        if !self.0.is_bootstrapped() {
            self.0.fail(LaunchError::new(LaunchProblem::Cancelled));
        }
    }
}

struct LaunchMachine {
    is: LaunchContext,
    started: Instant,
    /// When the phase last changed.
    last_progress: Instant,
    /// The percentage and the tag that tor told last.
    phase: Option<(u8, String)>,
    /// The highest percentage that tor has told.
    percent: Option<u8>,
    tries: ConnectRetry,
    /// What follows the bootstrap events.
    watch: Option<HookGuard>,
    /// When the control connection was lost.
    lost: Option<Instant>,
    is_ready: bool,
}

/// Attempts at a control connection, one at a time.
struct ConnectRetry {
    worker: Option<Worker>,
    /// When to try again. `None` while one is under way, before the first `Bootstrapped` line, and
    /// when there is a connection.
    next: Option<Instant>,
    pause: Duration,
    last_error: Option<Error>,
}

enum Step {
    GoOn,
    /// tor is at 100 %.
    Done,
    Fail(LaunchProblem),
}

impl LaunchMachine {
    fn run(mut self) {
        let problem = loop {
            let step = match self.next_message() {
                Some(message) => self.handle(message),
                None => Step::GoOn,
            };
            let step = match step {
                Step::GoOn => self.look_at_clock(),
                step => step,
            };
            match step {
                Step::GoOn => {}
                Step::Done => break None,
                Step::Fail(problem) => break Some(problem),
            }
        };
        match problem {
            Some(problem) => self.fail(problem),
            None => self.finish(),
        }
    }

    fn next_message(&self) -> Option<Message> {
        match self.next_deadline() {
            None => self.is.messages.recv().ok(),
            Some(deadline) => self.is.messages.recv_deadline(deadline).ok(),
        }
    }

    /// When the launch is given up, if it is not ready.
    fn stall_deadline(&self) -> Option<(Instant, Wait, Duration)> {
        if self.is_ready {
            return None;
        }
        let reached = match self.is.ready {
            Ready::Bootstrapped => Wait::Bootstrap,
            Ready::Controller => Wait::Connect,
        };
        let total = self.started.checked_add(self.is.timeout);
        let total = total.map(|at| (at, reached, self.is.timeout));
        let stall = self.last_progress.checked_add(self.is.stall_timeout);
        let stall = stall.map(|at| (at, Wait::Progress, self.is.stall_timeout));
        [total, stall].into_iter().flatten().min_by_key(|(at, ..)| *at)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let patience = self.stall_deadline().map(|(at, ..)| at);
        let exit = self.lost.and_then(|at| at.checked_add(EXIT_AFTER_LOSS));
        [patience, exit, self.tries.next].into_iter().flatten().min()
    }

    fn look_at_clock(&mut self) -> Step {
        let now = Instant::now();
        if let Some((at, wait, limit)) = self.stall_deadline() {
            if at <= now {
                return Step::Fail(self.out_of_patience(wait, limit));
            }
        }
        let exit = self.lost.and_then(|at| at.checked_add(EXIT_AFTER_LOSS));
        if exit.is_some_and(|at| at <= now) {
            return self.lost_for_good();
        }
        if self.tries.next.is_some_and(|at| at <= now) {
            return self.try_to_connect();
        }
        Step::GoOn
    }

    /// If only the control connection is missing, its own error says more.
    fn out_of_patience(&mut self, wait: Wait, limit: Duration) -> LaunchProblem {
        let only_control = self.is.ready == Ready::Controller || self.percent == Some(100);
        match self.tries.last_error.take() {
            Some(error) if only_control => LaunchProblem::Control(Box::new(error)),
            _ => LaunchProblem::Timeout(Timeout::new(wait, limit)),
        }
    }

    fn lost_for_good(&mut self) -> Step {
        self.lost = None;
        match self.is.launch.controller().and_then(Controller::closed_reason) {
            Some(reason) => Step::Fail(LaunchProblem::Control(Box::new(reason.into()))),
            None => Step::GoOn,
        }
    }

    fn handle(&mut self, message: Message) -> Step {
        match message {
            Message::Printed(progress) => {
                let connected = self.watch.is_some();
                // Once there are events, they tell of trouble; the same would come twice.
                if !(connected && progress.warning.is_some()) {
                    self.report(progress);
                }
                if self.is.route.is_some() && !connected && self.tries.worker.is_none() {
                    self.tries.next = Some(Instant::now());
                }
                self.look_whether_ready()
            }
            Message::Status(progress) => {
                self.report(progress);
                self.look_whether_ready()
            }
            Message::Attempt(outcome) => self.connected_or_not(*outcome),
            Message::Lost => {
                self.look_whether_lost();
                Step::GoOn
            }
            Message::Stderr => Step::Fail(LaunchProblem::Stderr { text: "".into() }),
            // Written when it was ended.
            Message::Exited if self.is.output.was_ended_for_stderr() => {
                Step::Fail(LaunchProblem::Stderr { text: "".into() })
            }
            Message::Exited => Step::Fail(LaunchProblem::Exited),
            Message::Cancel => Step::Fail(LaunchProblem::Cancelled),
        }
    }

    /// A connection that an attempt gave up is none of ours.
    fn look_whether_lost(&mut self) {
        let lost = self.is.launch.controller().is_some_and(|controller| !controller.is_alive());
        if lost && self.lost.is_none() {
            self.lost = Some(Instant::now());
        }
    }

    /// Tells of progress only forward, each percentage once; of trouble when it changes.
    ///
    /// A bootstrap that begins anew, as after a change of the network, counts as progress too: tor
    /// is not stuck.
    fn report(&mut self, progress: Progress) {
        let phase = Some((progress.percent, progress.tag.clone()));
        if self.phase != phase {
            self.last_progress = Instant::now();
            self.phase = phase;
        }
        let forward = self.percent.is_none_or(|percent| progress.percent > percent);
        let trouble = progress.warning.is_some() && self.percent <= Some(progress.percent);
        let told = self.is.launch.progress() == progress;
        if !forward && (!trouble || told) {
            return;
        }
        if forward {
            self.percent = Some(progress.percent);
        }
        log::debug!("tor, pid {}, bootstrapped {progress}", self.is.child.pid());
        if let Some(announcer) = &self.is.announcer {
            announcer.tell(&progress);
        }
        self.is.launch.set_progress(progress);
    }

    fn try_to_connect(&mut self) -> Step {
        let Some(route) = self.is.route.clone() else { return Step::GoOn };
        self.tries.next = None;
        let now = Instant::now();
        let patience = self.stall_deadline().map(|(at, ..)| at.saturating_duration_since(now));
        let limit = patience.unwrap_or(ATTEMPT_LIMIT).min(ATTEMPT_LIMIT);
        let child = Arc::clone(&self.is.child);
        let sender = self.is.sender.clone();
        let worker = Worker::start("torcon-connect", move || {
            let outcome = control::connect(&route, &child, limit, &sender);
            let _ = sender.send(Message::Attempt(Box::new(outcome)));
        });
        match worker {
            Ok(worker) => {
                self.tries.worker = Some(worker);
                Step::GoOn
            }
            Err(problem) => Step::Fail(problem),
        }
    }

    fn connected_or_not(&mut self, outcome: Result<Connected, Failure>) -> Step {
        if let Some(worker) = self.tries.worker.take() {
            worker.finish(CALLBACK_LIMIT);
        }
        match outcome {
            Ok(connected) => {
                log::debug!("control connection to tor, pid {}, is ready", self.is.child.pid());
                self.tries.last_error = None;
                self.watch = Some(connected.watch);
                if let Some(endpoint) = connected.endpoint {
                    self.is.launch.set_endpoint(endpoint);
                }
                self.is.launch.set_controller(connected.controller);
                self.look_whether_lost();
                self.look_whether_ready()
            }
            Err(Failure::OtherTor { found }) => {
                Step::Fail(LaunchProblem::OtherTor { launched: self.is.child.pid(), found })
            }
            Err(Failure::Panicked) => Step::Fail(LaunchProblem::ConnectorPanicked),
            Err(Failure::Control(error)) if control::may_pass(&error) => {
                log::debug!("no control connection yet: {error}");
                self.tries.last_error = Some(error);
                self.tries.next = Instant::now().checked_add(self.tries.pause);
                self.tries.pause = self.tries.pause.saturating_mul(2).min(LONGEST_PAUSE);
                Step::GoOn
            }
            Err(Failure::Control(error)) => Step::Fail(LaunchProblem::Control(Box::new(error))),
        }
    }

    fn look_whether_ready(&mut self) -> Step {
        let connected = self.is.route.is_none() || (self.watch.is_some() && self.lost.is_none());
        let bootstrapped = connected && self.percent == Some(100);
        let ready = match self.is.ready {
            Ready::Bootstrapped => bootstrapped,
            Ready::Controller => connected,
        };
        if bootstrapped {
            return Step::Done;
        }
        if ready && !self.is_ready {
            self.is_ready = true;
            if let Some(announcer) = &self.is.announcer {
                announcer.flush(CALLBACK_LIMIT);
            }
            self.is.output.forget_complaints();
            self.is.launch.set_ready();
        }
        Step::GoOn
    }

    /// tor is at 100 %. Nothing stays subscribed.
    fn finish(mut self) {
        self.watch = None;
        if let Some(announcer) = self.is.announcer.take() {
            announcer.finish(CALLBACK_LIMIT);
        }
        self.is.output.forget_complaints();
        self.is.launch.set_bootstrapped();
    }

    /// Ends tor, unless the launch had succeeded, and then tells why.
    fn fail(mut self, problem: LaunchProblem) {
        let mut status = None;
        let grace = self.is.grace.min(SHORT_GRACE);
        if matches!(problem, LaunchProblem::Stderr { .. }) {
            // The thread `torcon-end` ends it.
            let limit = grace.saturating_add(KILL_LIMIT);
            status = self.is.child.wait_for(limit).and_then(Result::ok);
        } else if !self.is_ready || matches!(problem, LaunchProblem::Exited) {
            match self.is.child.end(grace) {
                Ok((ending, _)) => status = ending.ok(),
                Err(error) => log::error!("tor could not be ended: {error}"),
            }
        }
        let connecting = self.tries.worker.take();
        let is_custom = matches!(self.is.route.as_deref(), Some(Route::Custom(_)));
        let stuck = connecting.is_some_and(|worker| !worker.finish(CALLBACK_LIMIT)) && is_custom;
        if let Some(announcer) = self.is.announcer.take() {
            announcer.finish(CALLBACK_LIMIT);
        }
        let problem = match problem {
            LaunchProblem::Stderr { .. } => {
                LaunchProblem::Stderr { text: self.is.output.stderr_text().into() }
            }
            LaunchProblem::Exited if self.is_ready => LaunchProblem::ExitedLater,
            problem => problem,
        };
        let report = LaunchReport {
            exit_status: status,
            percent: self.phase.as_ref().map(|(percent, _)| *percent),
            connector_is_stuck: stuck,
            was_ready: self.is_ready,
            ..self.is.output.report()
        };
        self.is.launch.fail(LaunchError::with_report(problem, report));
    }
}
