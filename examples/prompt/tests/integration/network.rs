use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::program::{program, run};

/// Takes longer than other tests: a network of six tors starts.
#[test]
fn a_private_network_is_launched_and_nothing_is_left_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = program(["--private-network"]);
    program.env("TMPDIR", directory.path());
    let input = "GETINFO status/bootstrap-phase\n/info auth0\n";
    let ended = run(program, input);
    assert!(ended.out.contains("PROGRESS=100 TAG=done"), "{ended:?}");
    assert!(ended.err.contains("private network: "), "{ended:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_signal_cancels_the_launch_of_a_network_and_nothing_is_left_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = program(["--private-network"]);
    program.env("TMPDIR", directory.path()).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("launching the relays")));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let last = lines.last().unwrap();
    assert!(last.contains("canceled"), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
