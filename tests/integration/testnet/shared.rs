//! The network that all tests of a program share: one launch, one error, and its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use torcon::testnet::PrivateNetwork;

use super::LIMIT;
use crate::support::exclusive::exclusive;
use crate::support::program::{End, Program, is_running, run_as_program};
use crate::support::watchdog::eventually;

/// Set in a program without tor.
const WITHOUT_TOR: &str = "TORCON_TEST_WITHOUT_TOR";

#[test]
fn every_thread_gets_the_same_network() {
    let shared = PrivateNetwork::shared().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(std::ptr::eq(PrivateNetwork::shared().unwrap(), shared)));
        }
    });
}

#[test]
fn a_failed_launch_is_the_error_of_every_call() {
    if std::env::var_os(WITHOUT_TOR).is_some() {
        let ask = || PrivateNetwork::shared().map(|_| ()).unwrap_err();
        let errors: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let problem = |error: &torcon::Error| match error {
            torcon::Error::Testnet(error) => std::ptr::from_ref(error.problem()),
            other => panic!("{other:?}"),
        };
        let text = format!("{:?}", errors[0]);
        assert!(text.contains("apt-get install tor"), "{text}");
        // The same error, not another one of the same kind.
        assert!(errors.iter().all(|error| problem(error) == problem(&errors[0])), "{errors:?}");
        assert_eq!(problem(&ask()), problem(&errors[0]));
        return;
    }
    let name = "testnet::shared::a_failed_launch_is_the_error_of_every_call";
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(WITHOUT_TOR, "1")
        .env("PATH", directory.path())
        .env("TMPDIR", directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

fn entries() -> Vec<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Checks that a program that has a shared network, and ends without dropping it, leaves no tor and
/// no directory.
#[track_caller]
fn assert_nothing_is_left(test: &str, end: End) {
    // Statics are never dropped, also if the program returns.
    let is_program = run_as_program(|_, _| {
        let network = PrivateNetwork::shared().unwrap();
        network.restart("relay1").unwrap();
        let relays = network.relays().into_iter();
        let pids = relays.map(|relay| relay.pid.unwrap().to_string()).collect();
        (network, pids)
    });
    if is_program {
        return;
    }
    let name = format!("testnet::shared::{test}");
    let mut program = Program::start(&name, end, "", Path::new(""));
    let pids = program.report();
    assert_eq!(pids.len(), 6);
    assert!(pids.iter().all(is_running), "{pids:?}");
    assert!(entries().len() > 6, "{:?}", entries());
    program.end();
    eventually(LIMIT, "every tor has ended", || !pids.iter().any(is_running));
    eventually(LIMIT, "the directories are deleted", || entries().is_empty());
}

// The next two launch a network each, in a separate program.

#[test]
fn nothing_is_left_of_the_shared_network_when_the_tests_are_over() {
    exclusive(|| {
        let test = "nothing_is_left_of_the_shared_network_when_the_tests_are_over";
        assert_nothing_is_left(test, End::Return);
    });
}

#[test]
fn nothing_is_left_of_the_shared_network_of_a_killed_program() {
    exclusive(|| {
        let test = "nothing_is_left_of_the_shared_network_of_a_killed_program";
        assert_nothing_is_left(test, End::Signal(Signal::SIGKILL));
    });
}

#[test]
fn the_second_call_returns_the_shared_network_at_once() {
    PrivateNetwork::shared().unwrap();
    let begin = std::time::Instant::now();
    PrivateNetwork::shared().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}
