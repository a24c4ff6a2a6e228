//! Sending a command and showing its reply.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use torcon::command::Command;
use torcon::error::{Disconnect, InvalidInput};
use torcon::{Controller, Error, Reply, Request};

use crate::entry::keyword;
use crate::output::Output;
use crate::relay;

/// Work for tor, whose result is shown.
#[derive(Debug)]
pub(crate) enum Task {
    Command(String),
    /// A command line without `+`, with its data.
    WithData {
        line: String,
        data: String,
    },
    /// The description of a relay.
    Relay(Option<String>),
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    /// tor refused the command, or it could not be sent.
    Refused,
    Lost(Disconnect),
}

/// Why a task has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    Tor(Error),
    /// A problem that torcon has no error for.
    Problem(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tor(error)
    }
}

/// The execution of one task, whose output ends when the user cancels it.
pub(crate) struct Execution {
    pub(crate) controller: Controller,
    pub(crate) output: Output,
    pub(crate) is_canceled: Arc<AtomicBool>,
}

impl Execution {
    /// Sends the commands of a task, and shows the result as it arrives.
    pub(crate) fn run(&self, task: &Task) -> Outcome {
        match self.try_run(task) {
            Ok(()) => Outcome::Done,
            Err(Failure::Tor(Error::Closed(reason))) => Outcome::Lost(reason),
            Err(_) if self.is_canceled() => Outcome::Refused,
            Err(Failure::Tor(error)) => {
                show_error(&error, self.output);
                Outcome::Refused
            }
            Err(Failure::Problem(problem)) => {
                self.output.problem(&problem);
                Outcome::Refused
            }
        }
    }

    fn try_run(&self, task: &Task) -> Result<(), Failure> {
        match task {
            // The only command with long replies. Its last line is always OK.
            Task::Command(line) if keyword(line) == "GETINFO" => self.stream(line)?,
            Task::Command(line) => self.show(&self.controller.command(line)?),
            Task::WithData { line, data } => {
                self.show(&self.controller.execute(&WithData { line, data })?);
            }
            Task::Relay(name) => {
                let show = |text: &str| self.line(text.as_bytes());
                relay::describe(&self.controller, name.as_deref(), &show)?;
            }
        }
        Ok(())
    }

    fn stream(&self, line: &str) -> torcon::Result<()> {
        self.controller.command_lines(line, |line| {
            self.line(line.bytes());
            if self.is_canceled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    fn show(&self, reply: &Reply) {
        let mut lines = reply.lines().peekable();
        let mut is_first = true;
        while let Some(line) = lines.next() {
            // OK behind other lines says nothing.
            let is_end = lines.peek().is_none() && !is_first && line.bytes() == b"OK";
            if !is_end {
                self.line(line.bytes());
            }
            if let Some(data) = line.data() {
                data.split(|byte| *byte == b'\n').for_each(|line| self.line(line));
            }
            is_first = false;
        }
    }

    fn line(&self, text: &[u8]) {
        if !self.is_canceled() {
            self.output.line(text);
        }
    }

    fn is_canceled(&self) -> bool {
        self.is_canceled.load(Ordering::SeqCst)
    }
}

/// Shows an error: a refusal in tor's words with the code of each line.
pub(crate) fn show_error(error: &Error, output: Output) {
    let Error::Rejected(rejection) = error else {
        return output.problem(&format!("{error:#}"));
    };
    for line in rejection.lines() {
        match line.code() {
            code @ 400.. => output.refusal(code, line.bytes()),
            _ => output.line(line.bytes()),
        }
    }
}

/// Any command with data.
struct WithData<'a> {
    line: &'a str,
    data: &'a str,
}

impl Command for WithData<'_> {
    type Reply = Reply;

    const KEYWORD: &'static str = "+";

    fn request(&self) -> Result<Request, InvalidInput> {
        Request::from_line(self.line)?.data("data", self.data.as_bytes())
    }

    fn reply(&self, reply: Reply) -> torcon::Result<Reply> {
        Ok(reply.into_result(&keyword(self.line))?)
    }
}
