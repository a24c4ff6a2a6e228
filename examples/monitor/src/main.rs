//! A terminal monitor for tor.
//!
//! The feed follows tor by a supervisor of torcon and sends updates, the model holds what they say,
//! the view draws the model, and the input changes it by keys. Only the feed waits for tor, and only
//! the main thread touches the model and the terminal.

mod arguments;
mod feed;
mod input;
mod model;
mod plain;
mod screen;
mod signals;
mod text;
mod view;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use crossbeam_channel::{Sender, unbounded};

use crate::arguments::{Arguments, Call, HELP};
use crate::feed::{Feed, Message};
use crate::model::Model;
use crate::screen::End;
use crate::view::Theme;

/// The exit status for wrong arguments.
const WRONG_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    let arguments = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let arguments = match Call::read(arguments) {
        Ok(Call::Monitor(arguments)) => arguments,
        Ok(Call::Help) => {
            // The reader of the help may have ended.
            let _ = write!(io::stdout(), "{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            report(&format!("{reason}; --help prints the usage"));
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Nothing reads the output any more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            report(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Runs the monitor. Returns whether tor was reachable at the end.
fn run(arguments: &Arguments) -> io::Result<bool> {
    let (sender, messages) = unbounded();
    signals::watch(&sender)?;
    report_panics(&sender);
    let start = Instant::now();
    let deadline = arguments.time.and_then(|time| start.checked_add(time));
    let mut model = Model::new(SystemTime::now());
    let feed = Feed::start(arguments, &sender)?;
    let mut out = io::stdout().lock();
    let outcome = match deadline {
        _ if is_terminal() => {
            drop(out);
            let channel = (sender, &messages);
            screen::run(&mut model, Theme::new(has_color()), &feed, channel, deadline)
        }
        Some(deadline) => plain::lines(&mut model, &messages, deadline, &mut out),
        None => plain::summary(&mut model, &messages, arguments.private_network, &mut out),
    };
    // The next signal ends the program at once.
    drop(messages);
    // Ends the tors of a private network, after the terminal has been restored.
    drop(feed);
    if let End::Failed(reason) = outcome? {
        report(&reason);
        return Ok(false);
    }
    Ok(model.is_up())
}

/// Returns whether keys can be read and screens be drawn.
fn is_terminal() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// See <https://no-color.org>.
fn has_color() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Ends the monitor when one of its threads panics. The text of a panic on another thread than the
/// main one is printed at the end: now the screen would be drawn over it.
fn report_panics(sender: &Sender<Message>) {
    let (before, sender) = (panic::take_hook(), sender.clone());
    panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        match thread.name() {
            Some("main") => before(info),
            name => {
                let text = format!("the thread {} {info}", name.unwrap_or_default());
                let _ = sender.send(Message::Failed(text));
            }
        }
    }));
}

/// Panics on the thread that a variable names, for the tests of the terminal.
#[expect(clippy::panic, reason = "only in debug builds, and only for the tests")]
pub(crate) fn panic_for_tests(thread: &str) {
    let is_named = || env::var("TORCON_MONITOR_PANIC").is_ok_and(|name| name == thread);
    if cfg!(debug_assertions) && is_named() {
        panic!("a panic for the tests");
    }
}

/// Writes an error for the user.
fn report(reason: &str) {
    // Without standard error the exit status says the same.
    let _ = writeln!(io::stderr(), "monitor: {reason}");
}
