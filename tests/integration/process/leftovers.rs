use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::fake_process::LONG;
use super::real::offline;
use crate::support::exclusive::exclusive;
use crate::support::program::{End, Program, is_running, run_as_program, stop};
use crate::support::watchdog::eventually;

/// Starts a program with a tor, and returns it with the PID of the tor.
fn start(test: &str, end: End) -> (Program, String) {
    let name = format!("process::leftovers::{test}");
    let mut program = Program::start(&name, end, "", Path::new(""));
    let tor = program.report().concat();
    (program, tor)
}

/// Launches the tor in the process of the program.
fn is_program() -> bool {
    run_as_program(|_, _| {
        let tor = offline().launch().unwrap();
        let pid = tor.pid().to_string();
        (tor, vec![pid])
    })
}

fn entries() -> BTreeSet<PathBuf> {
    fs::read_dir(env::temp_dir()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Returns the private directory of a tor whose data directory is temporary.
fn private(tor: &torcon::process::TorProcess) -> PathBuf {
    tor.data_directory().parent().map(Path::to_owned).unwrap()
}

#[test]
fn a_program_that_is_killed_leaves_no_tor() {
    exclusive(|| {
        if is_program() {
            return;
        }
        let test = "a_program_that_is_killed_leaves_no_tor";
        let (program, tor) = start(test, End::Signal(Signal::SIGKILL));
        let tor = PathBuf::from(format!("/proc/{tor}"));
        assert!(tor.exists());
        program.end();
        eventually(LONG, "tor has ended with its program", || !tor.exists());
        // The killed program did not delete its directory.
        for directory in entries() {
            fs::remove_dir_all(directory).unwrap();
        }
    });
}

#[test]
fn the_next_launch_removes_the_directories_of_an_ended_program() {
    exclusive(|| {
        if is_program() {
            return;
        }
        let test = "the_next_launch_removes_the_directories_of_an_ended_program";
        let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL];
        for end in [End::Exit, End::Abort].into_iter().chain(signals.map(End::Signal)) {
            let (program, tor) = start(test, end);
            program.end();
            eventually(LONG, "tor has ended with its program", || !is_running(&tor));
            let left = entries();
            assert_eq!(left.len(), 1, "{end:?} leaves {left:?}");
            let tor = offline().launch().unwrap();
            assert_eq!(entries(), BTreeSet::from([private(&tor)]), "{end:?}");
            assert!(!left.contains(&private(&tor)));
            tor.quit().unwrap();
            assert_eq!(entries(), BTreeSet::new(), "{end:?}");
        }
    });
}

#[test]
fn the_directory_of_a_running_program_is_kept() {
    exclusive(|| {
        if is_program() {
            return;
        }
        let test = "the_directory_of_a_running_program_is_kept";
        let (program, program_tor) = start(test, End::Signal(Signal::SIGKILL));
        let before = entries();
        let tor = offline().launch().unwrap();
        assert_eq!(before.len(), 1);
        assert!(entries().is_superset(&before), "{before:?}");
        tor.quit().unwrap();
        assert!(is_running(&program_tor));
        program.end();
        eventually(LONG, "tor has ended with its program", || !is_running(&program_tor));
        offline().launch().unwrap().quit().unwrap();
        assert_eq!(entries(), BTreeSet::new());
    });
}

#[test]
fn the_directory_of_a_tor_that_outlives_its_program_is_kept_until_tor_ends() {
    exclusive(|| {
        if is_program() {
            return;
        }
        let test = "the_directory_of_a_tor_that_outlives_its_program_is_kept_until_tor_ends";
        let (program, program_tor) = start(test, End::Signal(Signal::SIGKILL));
        let tor = Pid::from_raw(program_tor.parse().unwrap());
        stop(tor);
        program.end();
        assert!(is_running(&program_tor));
        let left = entries();
        let launch = || offline().launch().unwrap().quit().unwrap();
        launch();
        assert_eq!(left.len(), 1);
        assert_eq!(entries(), left);
        kill(tor, Signal::SIGKILL).unwrap();
        eventually(LONG, "tor has ended", || !is_running(&program_tor));
        launch();
        assert_eq!(entries(), BTreeSet::new());
    });
}
