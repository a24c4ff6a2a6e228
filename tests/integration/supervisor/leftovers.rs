use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::Supervisor;

use super::{LIMIT, launcher};
use crate::support::exclusive::exclusive;
use crate::support::program::{End, Program, is_running, run_as_program, stop};
use crate::support::watchdog::eventually;

fn entries() -> BTreeSet<PathBuf> {
    fs::read_dir(env::temp_dir()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Launches a tor and kills it, in the process of the program, and reports the PID of the next one.
fn is_program() -> bool {
    run_as_program(|_, _| {
        let supervisor = Supervisor::launch(launcher()).unwrap();
        let pid =
            |supervisor: &Supervisor| supervisor.wait_tor(LIMIT).unwrap().process().unwrap().pid();
        let first = pid(&supervisor);
        kill(Pid::from_raw(i32::try_from(first).unwrap()), Signal::SIGKILL).unwrap();
        eventually(LIMIT, "tor is launched again", || pid(&supervisor) != first);
        let report = vec![pid(&supervisor).to_string()];
        (supervisor, report)
    })
}

#[test]
fn the_next_launch_removes_the_directories_of_a_killed_supervisor() {
    exclusive(|| {
        if is_program() {
            return;
        }
        let name =
            "supervisor::leftovers::the_next_launch_removes_the_directories_of_a_killed_supervisor";
        let mut program = Program::start(name, End::Signal(Signal::SIGKILL), "", Path::new(""));
        let tor = Pid::from_raw(program.report().concat().parse().unwrap());
        stop(tor);
        program.end();
        let left = entries();
        // The data directory of all launches, and the private directory of the last one.
        assert_eq!(left.len(), 2, "{left:?}");
        let launch = || drop(launcher().launch().unwrap());
        launch();
        assert_eq!(entries(), left);
        kill(tor, Signal::SIGKILL).unwrap();
        eventually(LIMIT, "tor has ended", || !is_running(tor));
        launch();
        assert_eq!(entries(), BTreeSet::new());
    });
}
