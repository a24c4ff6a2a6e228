//! An interactive control prompt for tor.
//!
//! `Session` is the loop: it asks `Input` for a line, reads it as an `Entry`, and lets an
//! `Execution` send it. Lines are read on one thread, commands are executed on another, and events
//! are printed by a third, so that the loop can react to a lost connection or a signal at any time.
//! `--help` describes the arguments, and `README.md` shows a session.

mod arguments;
mod commands;
mod completion;
mod connection;
mod entry;
mod events;
mod execution;
mod help;
mod history;
mod input;
mod output;
mod relay;
mod session;
mod signals;
mod terminal;
mod vocabulary;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use crate::arguments::{Arguments, USAGE};
use crate::connection::Connection;
use crate::output::Output;
use crate::session::Session;
use crate::signals::Signals;
use crate::terminal::Terminal;

/// The exit status after arguments that are not valid.
const INVALID_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    let output = Output::new();
    let arguments = match Arguments::read(env::args_os().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            output.line(USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            output.problem(&format!("{problem}; --help shows the usage"));
            return ExitCode::from(INVALID_ARGUMENTS);
        }
    };
    run(&arguments, output).unwrap_or_else(|error| {
        output.problem(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Box<dyn Error>> {
    let terminal = Arc::new(Terminal::of_this_program());
    // Before any other thread begins, so that no thread receives a signal.
    let signals = Signals::watch(&terminal)?;
    let connection = Connection::open(arguments, &terminal, &signals, output)?;
    let session = Session::begin(connection.controller(), &terminal, &signals, output)?;
    let code = session.run();
    connection.close();
    Ok(code)
}
