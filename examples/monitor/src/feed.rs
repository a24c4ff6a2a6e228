//! Follows one tor after the other by a supervisor, and sends updates of the model.
//!
//! One thread queries tor: it is the only one that waits for replies, so neither the screen nor the
//! closures of the supervisor wait for tor.

mod private_network;
mod queries;
mod relays;
mod rows;
mod services;
mod source;
mod subscriptions;
mod targets;
mod traffic;

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use ratatui::crossterm::event::Event as TerminalEvent;
use torcon::names::Severity;
use torcon::supervisor::SupervisorStatus;
use torcon::{CancelToken, Error, State, Supervisor};

use self::relays::RelayBook;
use self::source::Source;
use self::subscriptions::Subscriptions;
use crate::arguments::Arguments;
use crate::model::{Connection, Update};
use crate::text::printable;

/// The shortest time between two reads of tor's state.
const PAUSE: Duration = Duration::from_millis(250);

/// A message for the thread that owns the model.
#[derive(Debug)]
pub(crate) enum Message {
    Update(Update),
    Terminal(TerminalEvent),
    /// The feed cannot start, or a thread has panicked.
    Failed(String),
    /// A signal, or the end of the terminal.
    Stop,
}

/// A request to the thread of the feed.
#[derive(Debug)]
enum Command {
    Status(SupervisorStatus),
    LogLevel(Severity),
    /// Tor's configuration or its onion services may have changed.
    Reload,
    Stop,
}

/// The feed. Dropping it closes the connection, and ends the tors that it has started.
#[derive(Debug)]
pub(crate) struct Feed {
    commands: Sender<Command>,
    /// Cancels the start of a private network.
    cancel: CancelToken,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts the thread of the feed.
    pub(crate) fn start(
        arguments: &Arguments,
        messages: &Sender<Message>,
    ) -> std::io::Result<Self> {
        let (commands, requests) = unbounded();
        let (arguments, messages) = (arguments.clone(), messages.clone());
        let (own, cancel) = (commands.clone(), CancelToken::new());
        let token = cancel.clone();
        let thread = thread::Builder::new().name("feed".to_owned()).spawn(move || {
            match run(&arguments, &messages, own, &requests, &token) {
                Ok(()) | Err(Error::Canceled(_)) => {}
                Err(error) => {
                    let _ = messages.send(Message::Failed(printable(format!("{error:#}"))));
                }
            }
        })?;
        Ok(Self { commands, cancel, thread: Some(thread) })
    }

    /// Subscribes to the messages of a severity and above.
    pub(crate) fn set_log_level(&self, level: Severity) {
        let _ = self.commands.send(Command::LogLevel(level));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.cancel.cancel();
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Runs until the feed is dropped.
fn run(
    arguments: &Arguments,
    messages: &Sender<Message>,
    commands: Sender<Command>,
    requests: &Receiver<Command>,
    cancel: &CancelToken,
) -> torcon::Result<()> {
    let source = Source::start(arguments, messages, cancel)?;
    let (changed, changes) = bounded(1);
    let subscriptions =
        Subscriptions::start(source.supervisor(), messages.clone(), commands, changed)?;
    let follower = Follower {
        supervisor: source.supervisor(),
        messages,
        subscriptions,
        relays: RelayBook::default(),
        state: None,
    };
    follower.follow(requests, &changes);
    source.stop();
    Ok(())
}

/// The thread's knowledge of the present tor.
struct Follower<'run> {
    supervisor: &'run Supervisor,
    messages: &'run Sender<Message>,
    subscriptions: Subscriptions,
    relays: RelayBook,
    /// Made with the first connection; it outlives each of them.
    state: Option<State>,
}

impl Follower<'_> {
    fn follow(mut self, requests: &Receiver<Command>, changes: &Receiver<()>) {
        let mut last_read = Instant::now();
        let mut is_stale = false;
        loop {
            let wait = match is_stale {
                true => PAUSE.saturating_sub(last_read.elapsed()),
                // Nothing is due.
                false => Duration::from_secs(3600),
            };
            select! {
                recv(requests) -> request => match request {
                    Ok(Command::Stop) | Err(_) => return,
                    Ok(Command::Status(status)) => self.status(&status),
                    Ok(Command::LogLevel(level)) => self.subscriptions.set_log_level(self.supervisor, level),
                    Ok(Command::Reload) => self.reload(),
                },
                recv(changes) -> _ => is_stale = true,
                default(wait) => {
                    if is_stale {
                        is_stale = self.read_state();
                        last_read = Instant::now();
                    }
                }
            }
        }
    }

    fn send(&self, update: Update) {
        let _ = self.messages.send(Message::Update(update));
    }

    fn status(&mut self, status: &SupervisorStatus) {
        crate::panic_for_tests("feed");
        let connection = match status {
            SupervisorStatus::Connecting { attempt, next, last_error, .. } => {
                let next = SystemTime::now() + next.saturating_duration_since(Instant::now());
                let reason = last_error.as_ref().map(|error| printable(format!("{error:#}")));
                Connection::Connecting { attempt: *attempt, next, reason }
            }
            SupervisorStatus::Restoring => Connection::Restoring,
            SupervisorStatus::Up { generation, unrestored, .. } => {
                self.relays.clear();
                self.load_state();
                self.reload();
                self.read_state();
                let unrestored = unrestored.iter().map(|part| printable(part.to_string()));
                Connection::Up { number: *generation, unrestored: unrestored.collect() }
            }
            SupervisorStatus::GivenUp(error) => {
                Connection::GivenUp(printable(format!("{error:#}")))
            }
            _ => return,
        };
        self.send(Update::Connection(connection));
    }

    /// Makes the state at the first connection.
    fn load_state(&mut self) {
        if self.state.is_some() {
            return;
        }
        let state = self.supervisor.state();
        match state.and_then(|state| self.subscriptions.watch(&state).map(|()| state)) {
            Ok(state) => self.state = Some(state),
            Err(error) => self.report(&error),
        }
    }

    /// Reads what has no event: tor's process and ports, and the list of onion services.
    fn reload(&self) {
        let Ok(tor) = self.supervisor.tor() else { return };
        let process = queries::process(tor.controller());
        self.send(Update::Process(process));
        if let Some(traffic) = queries::traffic(tor.controller()) {
            self.send(Update::Totals(traffic.read, traffic.written));
        }
        self.send(Update::Services(services::read(&tor)));
    }

    /// Reads the circuits, streams and connections. Returns whether a relay must be looked up later.
    fn read_state(&mut self) -> bool {
        let (Some(state), Ok(tor)) = (&self.state, self.supervisor.tor()) else { return false };
        let snapshot = state.snapshot();
        let mut lookup = self.relays.lookup(tor.controller());
        let live = rows::live(&snapshot, &self.subscriptions.targets(), &mut lookup);
        let is_incomplete = lookup.is_incomplete();
        self.send(Update::Live(live));
        is_incomplete
    }

    fn report(&self, error: &Error) {
        self.send(subscriptions::note(&format!("{error:#}")));
    }
}
