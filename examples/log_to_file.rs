//! Writes the log of a tor to a file, also after tor has been restarted.
//!
//! ```text
//! cargo run --example log_to_file [-- --connect ENDPOINT FILE]
//! ```
//!
//! A supervisor connects again when tor has ended, and subscribes to the same events.
//!
//! It launches a tor without network, kills it once, and prints the file when the next tor runs.
//! With `--connect` it follows a running tor until Ctrl-C; a password is read from
//! `TOR_CONTROL_PASSWD`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lexopt::prelude::*;
use torcon::process::Ready;
use torcon::supervisor::SupervisorStatus;
use torcon::{
    CancelToken, ConnectOptions, Event, EventKind, EventQueue, Launcher, Result, Signal, Supervisor,
};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: log_to_file [--connect ENDPOINT FILE]

Writes the log of a tor to a file, also after tor has been restarted.

  --connect ENDPOINT FILE  append the log of the tor at host:port or unix:/path, until Ctrl-C

A password is read from TOR_CONTROL_PASSWD, such as '\"secret\"' with both quotes.";

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let running = arguments::read(USAGE, |parser| {
        let mut running = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Long("connect") => {
                    running = Some((parser.value()?.string()?, PathBuf::from(parser.value()?)));
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(running)
    });
    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;
    let outcome = match running {
        Some((endpoint, file)) => follow(&endpoint, &file, &token),
        None => show_restart(&token),
    };
    match outcome {
        // The token stops the supervisor, and every wait for it fails.
        Err(_) if token.is_canceled() => Ok(()),
        outcome => outcome,
    }
}

/// Appends the log of a running tor to a file until the token is canceled, which stops the
/// supervisor.
fn follow(endpoint: &str, file: &Path, token: &CancelToken) -> Result<()> {
    let options = ConnectOptions::from_env()?.cancel_token(token);
    let supervisor = Supervisor::connect([endpoint], options)?;
    supervisor.on_status(|status| eprintln!("{status}"))?;
    write_log(&log_events(&supervisor)?, open(file)?)
}

/// Subscribes to the log of every tor of the supervisor.
fn log_events(supervisor: &Supervisor) -> Result<EventQueue> {
    supervisor.events([EventKind::Notice, EventKind::Warn, EventKind::Err])
}

fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(file)
}

/// Writes events to a file until the supervisor has ended.
fn write_log(events: &EventQueue, mut file: File) -> Result<()> {
    for event in events.iter() {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match event {
            Event::Reconnected { gap, .. } => {
                writeln!(file, "{time} another tor, after {gap:.1?} without a log")?;
            }
            Event::Lagged { dropped, .. } => writeln!(file, "{time} {dropped} lines were lost")?,
            event => writeln!(file, "{time} {event}")?,
        }
    }
    Ok(())
}

fn show_restart(token: &CancelToken) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("tor.log");
    let launcher = Launcher::new().option("DisableNetwork", "1").wait_for(Ready::Controller);
    let supervisor = Supervisor::launch(launcher.cancel_token(token))?;
    supervisor.on_status(|status| println!("status: {status}"))?;
    let events = log_events(&supervisor)?;
    let file = open(&path)?;
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_log(&events, file));
        let outcome = restart(&supervisor, &path, token);
        supervisor.stop();
        println!("\n{}", fs::read_to_string(&path)?);
        let written = writer.join().unwrap_or(Ok(()));
        outcome.and(written)
    })
}

/// Lets tor log a line, kills it, and does the same with the next tor.
fn restart(supervisor: &Supervisor, log: &Path, token: &CancelToken) -> Result<()> {
    for generation in 1..=2_u64 {
        let is_up = |status: &SupervisorStatus| matches!(status, SupervisorStatus::Up { generation: now, .. } if *now >= generation);
        supervisor.wait_status(LIMIT, is_up)?;
        let tor = supervisor.tor()?;
        tor.controller().signal(Signal::Reload)?;
        wait_for_lines(log, usize::try_from(generation).unwrap_or(usize::MAX), token)?;
        if let Some(process) = tor.process().filter(|_| generation == 1) {
            println!("killing tor, PID {}", process.pid());
            process.kill()?;
        }
    }
    Ok(())
}

/// Waits until the file has so many lines about a reload.
fn wait_for_lines(log: &Path, count: usize, token: &CancelToken) -> io::Result<()> {
    let end = Instant::now() + LIMIT;
    while fs::read_to_string(log)?.matches("reload signal").count() < count {
        if token.wait_timeout(Duration::from_millis(50)) || Instant::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}
