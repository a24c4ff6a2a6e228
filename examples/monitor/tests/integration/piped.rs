//! Output that is not a terminal.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::{MONITOR, RealTor};

fn run(arguments: &[&str]) -> Output {
    Command::new(MONITOR).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(!text.contains('\x1b'), "{text:?}");
    text
}

#[test]
fn the_help_names_every_argument() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = text(&output.stdout);
    for argument in ["ENDPOINT", "--private-network", "--for SECONDS", "--help"] {
        assert!(help.contains(argument), "{help}");
    }
}

#[test]
fn an_unknown_argument_is_refused() {
    let output = run(&["--colour"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = "monitor: unknown option \"--colour\"; --help prints the usage\n";
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_malformed_endpoint_is_refused() {
    let output = run(&["localhost:x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("monitor: "), "{output:?}");
}

#[test]
fn one_summary_is_printed() {
    let tor = RealTor::start();
    let output = run(&[&tor.endpoint()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary = text(&output.stdout);
    assert!(summary.starts_with("tor          0.4."), "{summary}");
    assert!(summary.contains(&format!("\npid          {}\n", tor.pid())), "{summary}");
    assert!(summary.contains("\ncircuits     0, 0 built\n"), "{summary}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_line_is_printed_every_second() {
    let tor = RealTor::start();
    let mut child = Command::new(MONITOR)
        .args([&tor.endpoint(), "--for", "600"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.find(|line| line.contains(" up  read ")).unwrap();
    assert!(first.ends_with("bootstrap 0 %"), "{first}");
    // The times of day differ.
    assert_ne!(lines.next().unwrap(), first);
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_tor_that_is_not_reachable_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix:{}/control", directory.path().display());
    let start = Instant::now();
    let output = run(&[&endpoint, "--for", "2"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = text(&output.stdout);
    assert!(lines.contains(" connecting, attempt "), "{lines}");
    assert!(lines.contains("No such file or directory"), "{lines}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_reader_that_has_ended_ends_the_monitor() {
    let tor = RealTor::start();
    let mut child = Command::new(MONITOR)
        .args([&tor.endpoint(), "--for", "600"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
