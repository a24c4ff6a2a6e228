use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use torcon::Error;
use torcon::error::LaunchProblem;

use super::fake_process::{FakeProcess, LONG};
use crate::support::log_capture::LogCapture;
use crate::support::watchdog::eventually;

#[test]
fn a_tor_that_writes_on_standard_error_after_its_launch_is_killed_if_it_does_not_end() {
    let capture = LogCapture::start();
    let fake = FakeProcess::new(
        "trap '' TERM\nsay 'Bootstrapped 100% (done): Done'\nread -r line <\"$0.go\"\n\
         echo 'first 5e1d \x1b[2J' >&2\nsleep 0.1\necho second >&2\nwhile :; do sleep 0.05; done",
    );
    let fifo = fake.path().with_extension("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let tor = fake.launcher().grace(Duration::from_secs(1)).launch().unwrap();
    fs::write(&fifo, "go\n").unwrap();
    assert_eq!(tor.wait_timeout(LONG).unwrap().signal(), Some(9));
    // Everything that tor wrote until its end.
    let Err(Error::Launch(error)) = tor.wait_bootstrapped(LONG) else { panic!("{tor:?}") };
    let LaunchProblem::Stderr { text } = error.problem() else { panic!("{error:?}") };
    assert_eq!(&**text, "first 5e1d \x1b[2J\nsecond");
    let shown = error.to_string();
    let expected = "the launched tor has failed: tor says \"first 5e1d \\u{1b}[2J\", \"second\"";
    assert!(shown.starts_with(expected), "{shown}");
    eventually(LONG, "it is logged", || {
        !capture.lines_with("because it wrote on standard error: \"first 5e1d").is_empty()
    });
    let raw = capture.lines_with("5e1d");
    assert!(raw.iter().all(|line| !line.text.contains('\x1b')), "{raw:?}");
}

#[test]
fn a_tor_that_ignores_sigterm_and_writes_on_standard_error_during_its_launch_is_killed() {
    let fake = FakeProcess::new("trap '' TERM\necho trouble >&2\nwhile :; do sleep 0.05; done");
    let error = fake.launcher().grace(Duration::from_millis(200)).launch().unwrap_err();
    let Error::Launch(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.problem(), LaunchProblem::Stderr { .. }), "{error:?}");
    assert!(error.exit_status().unwrap().signal().is_some(), "{error:?}");
}
