//! Runs a test in a separate process, for tests of process-wide things: threads, children,
//! descriptors, memory, the temporary directory, the environment.

use std::any::type_name;
use std::env;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::watchdog::eventually;

pub(crate) const MARK: &str = "TORCON_TEST_ALONE";
const PEER: &str = "TORCON_TEST_PEER";
const LIMIT: Duration = Duration::from_secs(300);
/// A longer limit in seconds, for the long forms of tests.
const LONGER: &str = "TORCON_TEST_LIMIT";

/// Returns whether this process runs one test only.
pub(crate) fn is_exclusive() -> bool {
    env::var_os(MARK).is_some()
}

/// Runs `body` in a separate process, with a separate, empty temporary directory.
///
/// It must be the whole body of a test function: the test program is started again for exactly
/// that test, whose name is taken from the type of the closure.
#[track_caller]
pub(crate) fn exclusive<F: FnOnce()>(body: F) {
    if is_exclusive() {
        body();
        return;
    }
    again::<F>("", "");
}

/// Runs `body` as [`exclusive`] does, beside a peer that stays in this process, so that the memory
/// and time of the peer are not counted. `start` starts it and returns it with its address; `body`
/// gets the address.
#[track_caller]
pub(crate) fn exclusive_beside<T, F: FnOnce(&str)>(
    start: impl FnOnce() -> (T, String),
    body: F,
) -> Option<T> {
    exclusive_after("", start, body)
}

/// Runs `body` as [`exclusive_beside`] does, in a process that a shell starts after the command
/// `first`, such as `ulimit -n 1024`.
#[track_caller]
pub(crate) fn exclusive_after<T, F: FnOnce(&str)>(
    first: &str,
    start: impl FnOnce() -> (T, String),
    body: F,
) -> Option<T> {
    if is_exclusive() {
        body(&env::var(PEER).expect("the address of the peer is given"));
        return None;
    }
    let (peer, address) = start();
    again::<F>(first, &address);
    Some(peer)
}

/// Starts the test program again for the test in which the closure `F` is.
#[track_caller]
fn again<F>(first: &str, peer: &str) {
    // "integration::some::test::{{closure}}", and the test is called "some::test".
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    let name = name.split_once("::").map_or(name, |(_program, test)| test);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let output = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let writer: File = output.reopen().expect("the file can be opened again");
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("{first}\nexec \"$0\" \"$@\""))
        .arg(env::current_exe().expect("the test program has a path"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .env(PEER, peer)
        .env("TMPDIR", directory.path())
        .stdin(Stdio::null())
        .stderr(writer.try_clone().expect("the file can be shared"))
        .stdout(writer)
        .spawn()
        .expect("the test program can be started");
    let mut status = None;
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let limit = env::var(LONGER).map(|text| text.parse().expect("it is a number"));
        let limit = limit.map_or(LIMIT, Duration::from_secs);
        eventually(limit, "the test in its own process has ended", || {
            status = child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
    }));
    if ended.is_err() {
        child.kill().ok();
        child.wait().ok();
    }
    let text = std::fs::read_to_string(output.path()).unwrap_or_default();
    let passed = status.is_some_and(|status| status.success());
    // With a wrong name no test would run, and that would count as a success.
    assert!(passed && text.contains("1 passed"), "{name} failed in its own process:\n{text}");
}

/// Returns the command that starts this test program with the default actions of all signals: a
/// shell without job control lets its background jobs ignore SIGINT, and they pass that on.
pub(crate) fn this_program() -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(env::current_exe().expect("the test program has a path"));
    command
}

#[test]
fn a_test_can_have_a_process_for_itself() {
    exclusive(|| {
        assert!(is_exclusive());
        assert_eq!(std::fs::read_dir(env::temp_dir()).unwrap().count(), 0);
    });
}
