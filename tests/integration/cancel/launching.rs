//! Canceling the launch of a tor.

use std::time::Duration;
use std::{fs, thread};

use torcon::process::Ready;
use torcon::{CancelToken, Error, Launcher, Result, Supervisor, TorProcess};

use super::{LONG, SOON, cancel_when};
use crate::process::fake_process::FakeProcess;
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;

/// A tor whose only bridge does not exist, so that it never bootstraps.
fn launcher() -> Launcher {
    Launcher::new()
        .option("SocksPort", "0")
        .option("UseBridges", "1")
        .option("Bridge", "127.0.0.1:1")
        .timeout(LONG)
        .stall_timeout(LONG)
}

#[test]
fn it_ends_at_random_moments_and_leaves_nothing() {
    exclusive(|| {
        let before = Holdings::now();
        for milliseconds in [0, 1, 3, 10, 30, 60, 100, 200, 400, 800] {
            let pause = || thread::sleep(Duration::from_millis(milliseconds));
            cancel_when(pause, |token| launcher().cancel_token(token).launch());
            // `launch` has ended tor and deleted its files.
            let now = Holdings::now();
            assert_eq!((&now.children, &now.files), (&before.children, &before.files));
            before.assert_restored(SOON);
        }
    });
}

#[test]
fn a_wait_after_spawn_ends_with_tor_gone() {
    exclusive(|| {
        let before = Holdings::now();
        let waits: [fn(&TorProcess) -> Result<()>; 2] = [
            |tor| tor.wait_bootstrapped(LONG),
            |tor| tor.wait_controller(LONG).map(drop).and_then(|()| tor.wait_bootstrapped(LONG)),
        ];
        for wait in waits {
            let token = CancelToken::new();
            let tor = launcher().cancel_token(&token).spawn().unwrap();
            thread::scope(|scope| {
                let waiting = scope.spawn(|| wait(&tor));
                token.cancel();
                let error = waiting.join().unwrap().unwrap_err();
                assert!(matches!(error, Error::Canceled(_)), "{error:?}");
            });
            assert!(tor.try_wait().unwrap().is_some(), "tor has ended");
            assert_eq!(Holdings::now().files, before.files);
            drop(tor);
            before.assert_restored(SOON);
        }
    });
}

#[test]
fn a_tor_that_ignores_sigterm_is_killed() {
    let fake = FakeProcess::new("trap '' TERM\nsay started\nwhile :; do sleep 0.1; done");
    let launcher = fake.launcher().grace(Duration::from_millis(200));
    let pause = || thread::sleep(Duration::from_millis(300));
    cancel_when(pause, |token| launcher.cancel_token(token).launch());
}

#[test]
fn a_tor_that_is_ready_is_not_ended() {
    let token = CancelToken::new();
    let tor = launcher().wait_for(Ready::Controller).cancel_token(&token).launch().unwrap();
    token.cancel();
    assert!(matches!(tor.wait_bootstrapped(LONG), Err(Error::Canceled(_))));
    assert!(tor.try_wait().unwrap().is_none());
    assert!(tor.controller().unwrap().get_info_one("version").is_ok());
    tor.quit().unwrap();
}

#[test]
fn a_canceled_token_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let token = CancelToken::new();
    token.cancel();
    let launcher = || launcher().data_directory(&data).cancel_token(&token);
    assert!(matches!(launcher().spawn(), Err(Error::Canceled(_))));
    assert!(matches!(launcher().launch(), Err(Error::Canceled(_))));
    assert!(fs::exists(&data).is_ok_and(|exists| !exists));
}

#[test]
fn the_token_of_its_launcher_stops_a_supervisor() {
    exclusive(|| {
        let before = Holdings::now();
        let token = CancelToken::new();
        let supervisor = Supervisor::launch(launcher().cancel_token(&token)).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| supervisor.wait_tor(LONG));
            thread::sleep(Duration::from_millis(100));
            token.cancel();
            let error = waiting.join().unwrap().unwrap_err();
            assert!(matches!(error, Error::Supervisor(_)) && !error.is_timeout(), "{error:?}");
        });
        drop(supervisor);
        before.assert_restored(SOON);
    });
}
