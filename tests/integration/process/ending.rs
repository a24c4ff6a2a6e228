use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use torcon::Error;
use torcon::process::TorProcess;

use super::fake_process::{FakeProcess, LONG, SOON};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::log_capture::LogCapture;

const READY: &str = "say 'Bootstrapped 100% (done): Done'\nexec sleep 60";
/// Ends at SIGTERM with a message, as tor ends its pluggable transports.
const TIDY: &str = "trap 'echo tidied up; exit 0' TERM\nsay 'Bootstrapped 100% (done): Done'\n\
                    while :; do sleep 0.02; done";
const DEAF: &str = "trap '' TERM\nsay 'Bootstrapped 100% (done): Done'\n\
                    while :; do sleep 0.02; done";

fn launch(script: &str) -> TorProcess {
    FakeProcess::new(script).launcher().grace(LONG).launch().unwrap()
}

#[test]
fn quit_ends_tor_and_returns_its_exit_status() {
    // Peers 43: SIGKILL first would leave pluggable transports behind.
    let tor = launch(TIDY);
    let status = tor.quit().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(tor.last_lines().last().unwrap(), "tidied up");
    // A second call is not an error and sends no signal.
    assert_eq!(tor.quit().unwrap(), status);
    tor.terminate().unwrap();
    tor.kill().unwrap();
    assert_eq!(tor.try_wait().unwrap(), Some(status));
    assert_eq!(tor.wait().unwrap(), status);
}

#[test]
fn quit_kills_a_tor_that_does_not_end() {
    let fake = FakeProcess::new(DEAF);
    let tor = fake.launcher().grace(Duration::from_millis(200)).launch().unwrap();
    assert_eq!(tor.quit().unwrap().signal(), Some(9));
}

#[test]
fn a_drop_ends_tor_and_deletes_its_temporary_directories() {
    // Peers 37: the directory is deleted after the end of tor.
    exclusive(|| {
        let before = Holdings::now();
        let tor = launch(TIDY);
        let data = tor.data_directory().to_owned();
        assert!(data.is_dir());
        drop(tor);
        assert!(!data.exists());
        before.assert_restored(SOON);
    });
}

#[test]
fn a_drop_that_kills_tor_is_logged() {
    let capture = LogCapture::start();
    let fake = FakeProcess::new(DEAF);
    let tor = fake.launcher().grace(Duration::from_millis(200)).launch().unwrap();
    let pid = tor.pid();
    drop(tor);
    let lines = capture.lines_with(&format!("tor, pid {pid}, was killed"));
    assert_eq!(lines.len(), 1, "{:?}", capture.lines());
    assert_eq!(lines[0].level, log::Level::Warn);
    let levels = |text: &str| capture.lines_with(text).iter().map(|l| l.level).collect::<Vec<_>>();
    assert_eq!(levels(&format!("launched tor, pid {pid}")), [log::Level::Info]);
    assert_eq!(levels(&format!("tor ended, pid {pid}")), [log::Level::Info]);
}

#[test]
fn a_given_data_directory_is_never_deleted() {
    // Peers 44.
    exclusive(|| {
        let fake = FakeProcess::new(READY);
        let given = tempfile::tempdir().unwrap();
        let data = given.path().join("data");
        let tor = fake.launcher().data_directory(&data).launch().unwrap();
        assert_eq!(tor.data_directory(), data);
        std::fs::write(data.join("state"), "kept").unwrap();
        tor.quit().unwrap();
        drop(tor);
        assert_eq!(std::fs::read(data.join("state")).unwrap(), b"kept");
    });
}

#[test]
fn the_end_of_tor_wakes_waiting_threads() {
    let tor = launch(READY);
    let error = tor.wait_timeout(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 20ms waiting for the tor process to end");
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..16)
            .map(|number| {
                let tor = &tor;
                let wait =
                    move || if number % 2 == 0 { tor.wait() } else { tor.wait_timeout(LONG) };
                thread::Builder::new().spawn_scoped(scope, wait).unwrap()
            })
            .collect();
        let killed = Instant::now();
        tor.kill().unwrap();
        for thread in waiting {
            assert_eq!(thread.join().unwrap().unwrap().signal(), Some(9));
        }
        assert!(killed.elapsed() < SOON);
    });
    let Err(Error::Launch(error)) = tor.wait_bootstrapped(LONG) else { panic!("tor has ended") };
    assert_eq!(error.exit_status().unwrap().signal(), Some(9));
}

#[test]
fn a_tor_that_ends_is_reaped_without_a_wait() {
    exclusive(|| {
        let fake = FakeProcess::new(READY);
        let before = Holdings::now();
        let tor = fake.launcher().launch().unwrap();
        tor.terminate().unwrap();
        // Neither a zombie nor a thread nor a directory remains, although the handle exists.
        before.assert_restored(SOON);
        assert_eq!(tor.try_wait().unwrap().unwrap().signal(), Some(15));
    });
}

#[test]
fn quit_cancels_a_launch() {
    let fake =
        FakeProcess::new("say 'Bootstrapped 5% (conn): Connecting to a relay'\nexec sleep 60");
    let tor = fake.launcher().spawn().unwrap();
    tor.quit().unwrap();
    let error = tor.wait_bootstrapped(LONG).unwrap_err();
    let text = "canceled by this program while waiting for tor to finish bootstrapping";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_tor_that_writes_on_standard_error_later_is_ended() {
    let fake = FakeProcess::new(
        "say 'Bootstrapped 100% (done): Done'\n\
         read -r line <\"$0.go\"\necho trouble >&2\nexec sleep 60",
    );
    let fifo = fake.path().with_extension("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let tor = fake.launcher().launch().unwrap();
    std::fs::write(&fifo, "go\n").unwrap();
    assert_eq!(tor.wait_timeout(LONG).unwrap().signal(), Some(15));
    assert_eq!(tor.last_lines().last().unwrap(), "trouble");
}
