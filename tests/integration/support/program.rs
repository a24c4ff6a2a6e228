//! A program that uses torcon and ends without dropping anything: a test, run again in another
//! process.

use std::env;
use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::exclusive::this_program;
use super::watchdog::within;

/// The arguments of the program.
const END: &str = "TORCON_TEST_PROGRAM_END";
const TOR: &str = "TORCON_TEST_PROGRAM_TOR";
const DIRECTORY: &str = "TORCON_TEST_PROGRAM_DIRECTORY";
/// Marks the report in the standard output, which the test harness writes to as well.
const REPORT: &str = "torcon test program: ";
const LIMIT: Duration = Duration::from_secs(60);

/// How a program ends after its report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Exit,
    Abort,
    Signal(Signal),
    /// It returns when its standard input is closed.
    Return,
}

/// A program that runs.
pub(crate) struct Program {
    child: Child,
    end: End,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts the test `name`, such as `process::leftovers::a_test`, as a program. `tor` and
    /// `directory` are for its [`run_as_program`].
    pub(crate) fn start(name: &str, end: End, tor: &str, directory: &Path) -> Self {
        let mut child = this_program()
            .args(["--exact", name, "--nocapture"])
            .env(END, format!("{end:?}"))
            .env(TOR, tor)
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, end, stdout }
    }

    /// Waits for the report.
    pub(crate) fn report(&mut self) -> Vec<String> {
        let mut stdout = self.stdout.take().expect("a program reports once");
        let (stdout, report) = within(LIMIT, "the report of the program", move || {
            let mut line = String::new();
            while !line.contains(REPORT) {
                line.clear();
                assert!(stdout.read_line(&mut line).unwrap() > 0, "the program ended");
            }
            (stdout, line)
        });
        // Kept open: the test harness in the program writes to it at its end.
        self.stdout = Some(stdout);
        let (_, report) = report.trim_end().split_once(REPORT).unwrap();
        report.split(' ').map(str::to_owned).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Ends the program and waits until it has ended.
    pub(crate) fn end(mut self) {
        if let End::Signal(signal) = self.end {
            self.signal(signal);
        }
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// In the process of a [`Program`], runs `start`, prints the report that it returns, and ends as
/// required, with the value of `start` dropped only for [`End::Return`]. Returns false in the test.
pub(crate) fn run_as_program<T>(start: impl FnOnce(&str, &Path) -> (T, Vec<String>)) -> bool {
    let [Ok(end), Ok(tor), Ok(directory)] = [END, TOR, DIRECTORY].map(env::var) else {
        return false;
    };
    let (value, report) = start(&tor, Path::new(&directory));
    println!("{REPORT}{}", report.join(" "));
    match end.as_str() {
        "Exit" => std::process::exit(3),
        "Abort" => std::process::abort(),
        _ => drop(std::io::read_to_string(std::io::stdin())),
    }
    drop(value);
    true
}

/// Returns whether a process runs. One that has ended may wait for its parent, and the main thread of
/// one that runs may have ended before the others.
pub(crate) fn is_running(pid: impl Display) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let is_zombie = stat.contains(") Z ") && threads <= 1;
    !stat.is_empty() && !is_zombie
}

/// Stops a tor, which then does not notice that its program has ended. This process becomes its next
/// parent: the system continues a stopped process whose group has no parent in its session.
pub(crate) fn stop(tor: Pid) {
    set_child_subreaper(true).unwrap();
    kill(tor, Signal::SIGSTOP).unwrap();
}
