//! Signals during the launch, the publication and the run of an example: it ends in good order, with
//! no tor and no directory left.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::example;
use crate::process::fake_process::FakeProcess;

/// A limit for the end of a program, on a loaded machine.
const END: Duration = Duration::from_secs(30);
/// The limit of an example without a signal.
const LONG: Duration = Duration::from_secs(120);
/// The number of rounds, for the long form of the tests.
const ROUNDS: &str = "TORCON_TEST_ROUNDS";

/// An example that runs, with a separate temporary directory.
struct Running {
    child: Child,
    directory: TempDir,
}

impl Running {
    fn start(name: &str, arguments: &[&str], more: impl FnOnce(&mut Command)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = example(name);
        command.args(arguments).env("TMPDIR", directory.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        more(&mut command);
        Self { child: command.spawn().unwrap(), directory }
    }

    /// Waits until the program handles signals: before that, a signal ends it.
    fn wait_handler(&mut self) {
        let end = Instant::now() + LONG;
        let interrupt = 1_u64 << (Signal::SIGINT as i32 - 1);
        loop {
            let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
            if caught & interrupt != 0 || self.child.try_wait().unwrap().is_some() {
                return;
            }
            assert!(Instant::now() < end, "it handles SIGINT");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a signal. Returns `false` if the program has ended before.
    fn signal(&mut self, signal: Signal) -> bool {
        // A child that is not waited for keeps its PID.
        let is_running = self.child.try_wait().unwrap().is_none();
        if is_running {
            kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        }
        is_running
    }

    /// Waits for the end of the program.
    #[track_caller]
    fn wait(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it runs on after {limit:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Requires that the program has left no process and no file.
    #[track_caller]
    fn assert_nothing_left(&self) {
        let processes = processes_with(self.directory.path());
        assert!(processes.is_empty(), "processes are left: {processes:?}");
        let files: Vec<_> = fs::read_dir(self.directory.path()).unwrap().collect();
        assert!(files.is_empty(), "files are left: {files:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the processes with this temporary directory: a launched tor inherits it.
fn processes_with(directory: &Path) -> Vec<String> {
    let wanted = format!("TMPDIR={}", directory.display());
    let has_it = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let paths = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| has_it(path)).map(|path| path.display().to_string()).collect()
}

/// Sends a signal at random moments, each in a new run.
fn signal_at_random_moments(name: &str, arguments: &[&str], longest: Duration) {
    let rounds = std::env::var(ROUNDS).ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    for round in 0..rounds {
        // The rounds divide the time, so that few of them meet every phase.
        let share = longest / rounds;
        let moment = share * round + share.mul_f64(f64::from(random_byte()) / 256.0);
        let signal = if round % 2 == 0 { Signal::SIGINT } else { Signal::SIGTERM };
        eprintln!("{name}: {signal} after {moment:?}");
        let mut running = Running::start(name, arguments, |_| {});
        running.wait_handler();
        thread::sleep(moment);
        running.signal(signal);
        let status = running.wait(END);
        assert!(status.success(), "{name}: {status}");
        running.assert_nothing_left();
    }
}

fn random_byte() -> u8 {
    let mut byte = [0];
    getrandom::fill(&mut byte).unwrap();
    byte[0]
}

// These sleep for up to a few seconds in each round, since the launch of a network takes so long.
#[test]
fn a_network_ends_at_a_signal() {
    signal_at_random_moments("testnet", &[], Duration::from_secs(12));
}

#[test]
fn an_onion_service_ends_at_a_signal() {
    signal_at_random_moments("onion_echo", &[], Duration::from_secs(15));
}

#[test]
fn a_launch_ends_at_a_signal() {
    signal_at_random_moments("launch", &[], Duration::from_secs(8));
}

#[test]
fn a_supervisor_ends_at_a_signal() {
    signal_at_random_moments("log_to_file", &[], Duration::from_millis(500));
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    // A tor that ignores the signal to end, so that the good order takes five seconds.
    let tor = FakeProcess::new(
        "trap '' TERM\necho $$ >\"$0.new\"\nmv \"$0.new\" \"$0.pid\"\nwhile :; do sleep 0.1; done",
    );
    let pid_file = tor.pid_file();
    let directory = pid_file.parent().unwrap().display();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
    let mut running = Running::start("launch", &["--offline"], |command| {
        command.env("PATH", path);
    });
    let end = Instant::now() + LONG;
    while !pid_file.exists() {
        assert!(Instant::now() < end, "tor is launched");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(running.signal(Signal::SIGINT) && running.signal(Signal::SIGTERM));
    assert_eq!(running.wait(END).code(), Some(130));
    let pid = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    // It ignores the end of its owner too.
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}
