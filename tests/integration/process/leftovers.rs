use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::fake_process::LONG;
use super::real::offline;
use crate::support::exclusive::{exclusive, this_program};
use crate::support::watchdog::eventually;

/// How a program is to end, and where it writes the number of its tor first.
const END: &str = "TORCON_TEST_END";
const PID_FILE: &str = "TORCON_TEST_PID_FILE";

/// A program with a tor: this test again, in another process.
struct Program {
    child: Child,
    tor: String,
}

impl Program {
    /// Starts the program and waits until its tor is launched.
    fn start(test: &str, end: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("pid-").tempdir().unwrap();
        let file = directory.path().join("pid");
        let child = this_program()
            .args(["--exact", &format!("process::leftovers::{test}"), "--nocapture"])
            .env(END, end)
            .env(PID_FILE, &file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut tor = String::new();
        eventually(LONG, "tor was launched", || {
            tor = fs::read_to_string(&file).unwrap_or_default();
            !tor.is_empty()
        });
        Self { child, tor }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits until the program has ended.
    fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    fn tor_lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.tor)).unwrap_or_default();
        let threads = fs::read_dir(format!("/proc/{}/task", self.tor));
        let threads = threads.map_or(0, Iterator::count);
        // Nobody reaps it at once where the test runs as the first process of a container. Its
        // first thread may end before the others.
        let is_zombie = stat.contains(") Z ") && threads <= 1;
        !stat.is_empty() && !is_zombie
    }
}

/// Plays the program if this process is to be one.
fn play(launch: impl FnOnce() -> torcon::process::TorProcess) -> bool {
    let (Some(end), Some(file)) = (env::var_os(END), env::var_os(PID_FILE)) else { return false };
    let tor = launch();
    let partial = PathBuf::from(&file).with_extension("partial");
    fs::write(&partial, tor.pid().to_string()).unwrap();
    fs::rename(&partial, file).unwrap();
    match end.to_str().unwrap() {
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        _ => drop(tor.wait()),
    }
    true
}

fn entries() -> BTreeSet<PathBuf> {
    fs::read_dir(env::temp_dir()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Returns the private directory of a tor whose data directory is temporary.
fn private(tor: &torcon::process::TorProcess) -> PathBuf {
    tor.data_directory().parent().map(Path::to_owned).unwrap()
}

#[test]
fn what_a_program_leaves_is_removed_by_the_next_launch_however_it_ended() {
    exclusive(|| {
        if play(|| offline().launch().unwrap()) {
            return;
        }
        let test = "what_a_program_leaves_is_removed_by_the_next_launch_however_it_ended";
        let signals = [
            ("SIGINT", Signal::SIGINT),
            ("SIGTERM", Signal::SIGTERM),
            ("SIGHUP", Signal::SIGHUP),
            ("SIGKILL", Signal::SIGKILL),
        ];
        let ways = [("exit", None), ("abort", None)]
            .into_iter()
            .chain(signals.map(|(name, signal)| (name, Some(signal))));
        for (end, signal) in ways {
            let mut program = Program::start(test, end);
            if let Some(signal) = signal {
                program.signal(signal);
            }
            program.wait();
            eventually(LONG, "tor has ended with its program", || !program.tor_lives());
            // This is what the documentation says about signals.
            let left = entries();
            assert_eq!(left.len(), 1, "{end} leaves {left:?}");
            let tor = offline().launch().unwrap();
            assert_eq!(entries(), BTreeSet::from([private(&tor)]), "{end}");
            assert!(!left.contains(&private(&tor)));
            tor.quit().unwrap();
            assert_eq!(entries(), BTreeSet::new(), "{end}");
        }
    });
}

#[test]
fn the_directory_of_a_program_that_lives_is_left_alone() {
    exclusive(|| {
        if play(|| offline().launch().unwrap()) {
            return;
        }
        let test = "the_directory_of_a_program_that_lives_is_left_alone";
        let mut program = Program::start(test, "live");
        let before = entries();
        let tor = offline().launch().unwrap();
        assert_eq!(before.len(), 1);
        assert!(entries().is_superset(&before), "{before:?}");
        tor.quit().unwrap();
        assert!(program.tor_lives());
        program.signal(Signal::SIGKILL);
        program.wait();
        eventually(LONG, "tor has ended with its program", || !program.tor_lives());
        offline().launch().unwrap().quit().unwrap();
        assert_eq!(entries(), BTreeSet::new());
    });
}

#[test]
fn the_directory_of_a_tor_that_survives_its_program_stays_until_tor_ends() {
    exclusive(|| {
        if play(|| offline().launch().unwrap()) {
            return;
        }
        let test = "the_directory_of_a_tor_that_survives_its_program_stays_until_tor_ends";
        let mut program = Program::start(test, "live");
        // A tor that hangs does not notice that its program is gone.
        let tor = Pid::from_raw(program.tor.parse().unwrap());
        kill(tor, Signal::SIGSTOP).unwrap();
        program.signal(Signal::SIGKILL);
        program.wait();
        assert!(program.tor_lives());
        let left = entries();
        let launch = || offline().launch().unwrap().quit().unwrap();
        launch();
        assert_eq!(left.len(), 1);
        assert_eq!(entries(), left);
        kill(tor, Signal::SIGKILL).unwrap();
        eventually(LONG, "tor has ended", || !program.tor_lives());
        launch();
        assert_eq!(entries(), BTreeSet::new());
    });
}
