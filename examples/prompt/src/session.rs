//! The session: one line after the other, until the end of the input or of the connection.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, select};
use nix::sys::signal::Signal;
use torcon::error::Disconnect;
use torcon::{Controller, EventKind};

use crate::entry::{Entry, keyword};
use crate::events::Events;
use crate::execution::{Execution, Outcome, Task, show_error};
use crate::help;
use crate::input::{Answer, Ask, Input};
use crate::output::Output;
use crate::signals::{Signals, exit_status};
use crate::terminal::Terminal;
use crate::vocabulary::Vocabulary;

/// The line that ends the data of a command.
const END_OF_DATA: &str = ".";

/// The time for an event that is being printed when the session ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The signals at which tor exits.
const ENDING_SIGNALS: [&str; 4] = ["HALT", "SHUTDOWN", "INT", "TERM"];

pub(crate) struct Session {
    controller: Controller,
    terminal: Arc<Terminal>,
    output: Output,
    vocabulary: Arc<Vocabulary>,
    input: Input,
    events: Events,
    lost: Receiver<Disconnect>,
    signals: Receiver<Signal>,
    /// Whether tor refused a command, or one could not be sent.
    has_refusals: bool,
    /// Whether the user has told tor to exit.
    expects_loss: bool,
}

/// Why the session ends.
enum End {
    /// The end of the input, or a command that leaves.
    Left,
    Lost(Disconnect),
    Signal(Signal),
    Failed(String),
}

impl Session {
    pub(crate) fn begin(
        controller: &Controller,
        terminal: &Arc<Terminal>,
        signals: &Signals,
        output: Output,
    ) -> Result<Self, Box<dyn Error>> {
        let vocabulary = Arc::new(Vocabulary::new(controller));
        let input = match terminal.is_interactive() {
            true => Input::editor(&vocabulary)?,
            false => Input::plain(output)?,
        };
        let (report, lost) = bounded(1);
        controller.on_disconnect(move |reason| {
            // A session that has ended needs no report.
            let _ = report.send(reason.clone());
        });
        Ok(Self {
            controller: controller.clone(),
            terminal: Arc::clone(terminal),
            output,
            vocabulary,
            input,
            events: Events::new(controller, output),
            lost,
            signals: signals.report(),
            has_refusals: false,
            expects_loss: false,
        })
    }

    /// Executes lines until the end, closes the connection, and returns the exit status.
    pub(crate) fn run(mut self) -> ExitCode {
        if self.terminal.is_interactive() {
            let (version, endpoint) = (self.controller.version(), self.controller.endpoint());
            self.output.remark(&format!(
                "tor {version} at {endpoint}; /help lists the commands, Ctrl-D leaves"
            ));
        }
        let end = loop {
            if let Err(end) = self.next_line(Ask::Command).and_then(|line| self.enter(line)) {
                break end;
            }
        };
        let code = self.report(&end);
        // The line editor, which may have ended within a line, prints no further event.
        if !self.terminal.is_interactive() {
            self.events.finish();
        }
        self.controller.with_timeout(CLOSE_LIMIT).close();
        code
    }

    /// Shows why the session ends, and returns the exit status.
    fn report(&self, end: &End) -> ExitCode {
        match end {
            End::Left if self.has_refusals && !self.terminal.is_interactive() => ExitCode::FAILURE,
            End::Left => ExitCode::SUCCESS,
            End::Lost(reason) if self.expects_loss => {
                self.output.remark(&reason.to_string());
                ExitCode::SUCCESS
            }
            End::Lost(reason) => {
                self.output.problem(&format!("the connection to tor is lost: {reason}"));
                ExitCode::FAILURE
            }
            End::Signal(signal) => ExitCode::from(exit_status(*signal)),
            End::Failed(problem) => {
                self.output.problem(problem);
                ExitCode::FAILURE
            }
        }
    }

    /// Waits for the next line; `None` if the user has cleared it.
    fn next_line(&self, ask: Ask) -> Result<Option<String>, End> {
        let answers = self.input.ask(ask);
        let end = loop {
            select! {
                recv(answers) -> answer => return match answer {
                    Ok(Answer::Line(line)) => Ok(Some(line)),
                    Ok(Answer::Cleared | Answer::Printer(_)) => Ok(None),
                    Ok(Answer::End) | Err(_) => Err(End::Left),
                    Ok(Answer::Failed(problem)) => Err(End::Failed(problem)),
                },
                recv(self.lost) -> reason => break End::Lost(reason.unwrap_or(Disconnect::EndOfStream)),
                recv(self.signals) -> signal => match signal {
                    // The line editor receives Ctrl-C as a key.
                    Ok(Signal::SIGINT) if self.terminal.is_interactive() => {}
                    signal => break End::Signal(signal.unwrap_or(Signal::SIGTERM)),
                },
            }
        };
        if self.terminal.is_interactive() {
            self.terminal.leave_editor();
        }
        Err(end)
    }

    fn enter(&mut self, line: Option<String>) -> Result<(), End> {
        let Some(line) = line else { return Ok(()) };
        match Entry::read(&line) {
            Entry::Empty => Ok(()),
            Entry::Quit => Err(End::Left),
            Entry::Help(topic) => {
                let is_known = help::show(topic.as_deref(), &self.vocabulary, self.output);
                self.has_refusals |= !is_known;
                Ok(())
            }
            Entry::Unknown(name) => {
                self.output
                    .problem(&format!("{name} is not a command of the prompt; /help lists them"));
                self.has_refusals = true;
                Ok(())
            }
            Entry::ShowEvents => {
                self.show_event_kinds();
                Ok(())
            }
            Entry::SetEvents(kinds) => self.set_events(&kinds),
            Entry::Info(relay) => self.execute(Task::Relay(relay)),
            Entry::WithData(line) => match self.read_data()? {
                Some(data) => self.execute(Task::WithData { line, data }),
                None => Ok(()),
            },
            Entry::Command(line) => {
                self.expects_loss |= is_ending(&line);
                self.execute(Task::Command(line))
            }
        }
    }

    fn show_event_kinds(&self) {
        let kinds: Vec<_> = self.events.kinds().map(EventKind::as_str).collect();
        let text =
            if kinds.is_empty() { "no events are shown".to_owned() } else { kinds.join(" ") };
        self.output.line(text.as_bytes());
    }

    fn set_events(&mut self, kinds: &[EventKind]) -> Result<(), End> {
        if !kinds.is_empty() && !self.events.has_printer() {
            if let Ok(Answer::Printer(print)) = self.input.ask(Ask::Printer).recv() {
                let started = self.events.print_by(print);
                started.map_err(|error| End::Failed(format!("cannot show events: {error}")))?;
            }
        }
        match self.events.show(kinds) {
            Ok(()) => self.output.line(b"OK"),
            Err(torcon::Error::Closed(reason)) => return Err(End::Lost(reason)),
            Err(error) => {
                show_error(&error, self.output);
                self.has_refusals = true;
            }
        }
        Ok(())
    }

    /// Reads lines of data up to the last one; `None` if the user has cleared a line.
    fn read_data(&mut self) -> Result<Option<String>, End> {
        if self.terminal.is_interactive() {
            self.output.remark("a line with only a dot ends the data, Ctrl-C discards them");
        }
        let mut data = String::new();
        loop {
            match self.next_line(Ask::Data) {
                Ok(Some(line)) if line == END_OF_DATA => return Ok(Some(data)),
                Ok(Some(line)) => {
                    data.push_str(&line);
                    data.push('\n');
                }
                Ok(None) => return Ok(None),
                Err(End::Left) => {
                    let problem = "the input ends within the data of a command, which was not sent";
                    return Err(End::Failed(problem.to_owned()));
                }
                Err(end) => return Err(end),
            }
        }
    }

    /// Executes a task on a separate thread, until it is done or the user cancels it.
    fn execute(&mut self, task: Task) -> Result<(), End> {
        let is_canceled = Arc::new(AtomicBool::new(false));
        let execution = Execution {
            controller: self.controller.clone(),
            output: self.output,
            is_canceled: Arc::clone(&is_canceled),
        };
        let (report, outcome) = bounded(1);
        let thread = thread::Builder::new().name("command".to_owned()).spawn(move || {
            // A session that does not wait any longer needs no outcome.
            let _ = report.send(execution.run(&task));
        });
        if let Err(error) = thread {
            return Err(End::Failed(format!("cannot start a thread: {error}")));
        }
        select! {
            recv(outcome) -> outcome => match outcome {
                Ok(Outcome::Done) => Ok(()),
                Ok(Outcome::Refused) | Err(_) => {
                    self.has_refusals = true;
                    Ok(())
                }
                Ok(Outcome::Lost(reason)) => Err(End::Lost(reason)),
            },
            recv(self.signals) -> signal => {
                is_canceled.store(true, Ordering::SeqCst);
                match signal {
                    Ok(Signal::SIGINT) if self.terminal.is_interactive() => {
                        self.output.remark("the rest of the reply is discarded");
                        Ok(())
                    }
                    signal => Err(End::Signal(signal.unwrap_or(Signal::SIGTERM))),
                }
            }
        }
    }
}

/// Returns whether tor exits after a command.
fn is_ending(line: &str) -> bool {
    let signal = line.split_whitespace().nth(1).unwrap_or_default().to_ascii_uppercase();
    keyword(line) == "SIGNAL" && ENDING_SIGNALS.contains(&signal.as_str())
}

#[cfg(test)]
mod tests {
    use super::is_ending;

    #[test]
    fn the_signals_at_which_tor_exits_are_recognized() {
        assert!(is_ending("signal halt"));
        assert!(is_ending("SIGNAL  SHUTDOWN"));
        assert!(!is_ending("SIGNAL NEWNYM"));
        assert!(!is_ending("GETINFO HALT"));
    }
}
