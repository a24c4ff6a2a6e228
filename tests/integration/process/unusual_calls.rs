use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use torcon::Error;
use torcon::error::LaunchProblem;
use torcon::process::{ControlVia, Progress, Ready, TorProcess};

use super::fake_process::{FakeProcess, LONG, SOON};
use super::real::offline;
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::log_capture::{LogCapture, LogClosure};
use crate::support::real_tor::assert_exited;
use crate::support::watchdog::within;

#[test]
fn tor_is_ended_once_by_many_threads_at_once() {
    exclusive(|| {
        let before = Holdings::now();
        for round in 0..4 {
            let tor = Arc::new(offline().launch().unwrap());
            thread::scope(|scope| {
                for number in 0..8 {
                    let tor = Arc::clone(&tor);
                    scope.spawn(move || match (number + round) % 4 {
                        0 => drop(tor.quit().unwrap()),
                        1 => drop(tor.wait().unwrap()),
                        2 => drop(tor.terminate().map(|()| tor.wait_timeout(LONG).unwrap())),
                        _ => drop(tor),
                    });
                }
            });
            assert!(tor.try_wait().unwrap().is_some());
            tor.kill().unwrap();
            tor.quit().unwrap();
        }
        before.assert_restored(SOON);
    });
}

#[test]
fn a_progress_closure_can_launch_another_tor_and_drop_its_own() {
    exclusive(|| {
        let before = Holdings::now();
        let fake = FakeProcess::bootstrapped_in_two_steps();
        let tor: Arc<Mutex<Option<TorProcess>>> = Arc::default();
        let (sender, receiver) = bounded(1);
        let (go, wait) = bounded::<()>(1);
        let own = Arc::clone(&tor);
        let listener = move |progress: &Progress| {
            if progress.percent == 5 {
                wait.recv().ok();
                let other = offline().control(ControlVia::None);
                let other = other.wait_for(Ready::Bootstrapped);
                drop(other.option("DisableNetwork", "0").spawn().unwrap());
                let own = own.lock().take();
                drop(own);
                sender.send(()).unwrap();
            }
        };
        *tor.lock() = Some(fake.launcher().on_progress(listener).spawn().unwrap());
        go.send(()).unwrap();
        receiver.recv_timeout(LONG).unwrap();
        assert!(tor.lock().is_none());
        drop((fake, receiver, go, tor));
        before.assert_restored(SOON);
    });
}

#[test]
fn limits_can_be_zero_or_the_maximum() {
    within(LONG, "a launch without time", || {
        for limit in [Duration::ZERO, Duration::from_nanos(1)] {
            assert!(offline().timeout(limit).launch().unwrap_err().is_timeout());
            assert!(offline().stall_timeout(limit).launch().unwrap_err().is_timeout());
        }
        for limit in
            [Duration::MAX, Duration::from_secs(u64::MAX >> 1), Duration::from_secs(1 << 40)]
        {
            let tor = offline().timeout(limit).stall_timeout(limit).grace(limit).launch().unwrap();
            tor.wait_controller(limit).unwrap();
            assert!(tor.wait_bootstrapped(Duration::ZERO).unwrap_err().is_timeout());
            assert!(tor.wait_timeout(Duration::ZERO).unwrap_err().is_timeout());
            assert_exited(0, tor.quit().unwrap());
            tor.wait_timeout(limit).unwrap();
        }
        let tor = offline().grace(Duration::ZERO).launch().unwrap();
        tor.quit().unwrap();
    });
}

#[test]
fn a_data_directory_can_be_used_at_once_after_its_tor_was_killed() {
    let data = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        let tor = offline().data_directory(data.path()).launch().unwrap();
        tor.kill().unwrap();
        tor.wait().unwrap();
    }
    // Also while the first tor is still ending.
    let tor = offline().data_directory(data.path()).launch().unwrap();
    tor.kill().unwrap();
    let other = offline().data_directory(data.path()).launch().unwrap();
    drop(tor);
    assert!(other.controller().unwrap().is_alive());
    assert!(other.try_wait().unwrap().is_none());
    assert!(fs::read_dir(data.path()).unwrap().count() > 0);
}

#[test]
fn output_without_lines_or_text_is_read() {
    let fake = FakeProcess::new(
        "head -c 3000000 /dev/urandom\nhead -c 1000000 /dev/zero\n\
         echo; say 'Bootstrapped 100% (done): Done'\nprintf 'no line end'\nexec sleep 60",
    );
    let tor = fake.launcher().launch().unwrap();
    assert!(tor.last_lines().iter().all(|line| line.len() <= 3 * 4096));
    tor.quit().unwrap();
    assert_eq!(tor.last_lines().last().unwrap(), "no line end");
}

#[test]
fn a_blocked_sink_does_not_delay_the_end() {
    struct Stuck(crossbeam_channel::Receiver<()>);
    impl std::io::Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.recv().ok();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_release, blocked) = bounded(0);
    let fake = FakeProcess::bootstrapped();
    let launcher = fake.launcher().stdout(Stuck(blocked)).grace(Duration::from_millis(300));
    let tor = launcher.launch().unwrap();
    let log = LogCapture::start();
    tor.quit().unwrap();
    let killed = log.lines_with(&format!("pid {}, was killed", tor.pid()));
    assert!(killed.is_empty(), "{killed:?}");
}

#[test]
fn a_connect_function_that_panics_fails_the_launch_at_once() {
    within(LONG, "the end of the launch", || {
        let via = ControlVia::custom(|| panic!("as the test wants"));
        let error = offline()
            .control(via)
            .timeout(Duration::MAX)
            .stall_timeout(Duration::MAX)
            .launch()
            .unwrap_err();
        let Error::Launch(error) = error else { panic!("{error:?}") };
        assert!(matches!(error.problem(), LaunchProblem::ConnectorPanicked), "{error:?}");
    });
}

#[test]
fn a_logger_that_panics_does_not_hide_the_end_of_tor() {
    exclusive(|| {
        let fake = FakeProcess::bootstrapped();
        let tor = fake.launcher().launch().unwrap();
        let log = LogClosure::start(|line| {
            assert!(line.thread != "torcon-child", "as when standard error is closed");
        });
        tor.terminate().unwrap();
        // This call never returned.
        tor.wait_timeout(SOON).unwrap();
        tor.quit().unwrap();
        assert!(!tor.data_directory().exists());
        drop(log);
    });
}

#[test]
fn a_logger_that_panics_does_not_keep_a_tor_that_writes_on_standard_error() {
    exclusive(|| {
        let fake = FakeProcess::new(
            "say 'Bootstrapped 100% (done): Done'\n\
             while [ ! -e \"$0.go\" ]; do sleep 0.1; done\necho trouble >&2\nexec sleep 600",
        );
        let tor = fake.launcher().launch().unwrap();
        let _log = LogClosure::start(|line| {
            assert!(line.thread != "torcon-end", "as when standard error is closed");
        });
        fs::write(fake.path().with_extension("go"), "").unwrap();
        tor.wait_timeout(SOON).unwrap();
    });
}
