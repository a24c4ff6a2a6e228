use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};

use super::RepeatableLauncher;
use crate::error::Error;
use crate::link::CancelToken;
use crate::process::{ControlVia, Launcher, Ready, TorProcess};
use crate::sync::Mutex;
use crate::sync::channel::{Sender, bounded, unbounded};

const LONG: Duration = Duration::from_secs(60);

fn offline() -> Launcher {
    Launcher::new().option("DisableNetwork", "1").wait_for(Ready::Controller).timeout(LONG)
}

fn start(launcher: &RepeatableLauncher) -> TorProcess {
    let tor = launcher.spawn().unwrap();
    assert!(tor.wait_ready_for(LONG).unwrap());
    tor
}

/// Returns the secret keys in a data directory.
fn keys(data: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(data.join("service")).unwrap();
    let entries = entries.map(|entry| entry.unwrap());
    let keys: BTreeMap<_, _> = entries
        .filter(|entry| entry.metadata().unwrap().is_file())
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect();
    assert!(keys.contains_key(&OsString::from("hs_ed25519_secret_key")), "{:?}", keys.keys());
    keys
}

/// A writer that notes what it gets.
struct Noted(Arc<Mutex<Vec<u8>>>);

impl Write for Noted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a program that is in the place of tor.
fn script(directory: &Path, text: &str) -> Launcher {
    let path = directory.join("tor");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Launcher::new().program(path).control(ControlVia::None).timeout(LONG)
}

#[test]
fn a_killed_tor_is_launched_again_with_its_keys_closures_and_directory() {
    let output = Arc::new(Mutex::new(Vec::new()));
    let (reports, received) = unbounded();
    let launcher = offline()
        .stdout(Noted(Arc::clone(&output)))
        .on_progress(move |progress| reports.send(progress.percent).unwrap())
        .repeatable()
        .unwrap();
    let mut first = None;
    let (mut private, mut handles) = (Vec::new(), Vec::new());
    for round in 1..=3 {
        let tor = start(&launcher);
        let data = tor.data_directory().to_owned();
        let controller = tor.controller().unwrap();
        // tor has the directory of the service before.
        controller
            .set_conf([
                ("HiddenServiceDir", data.join("service").to_str().unwrap()),
                ("HiddenServicePort", "80"),
            ])
            .unwrap();
        private.push(controller.get_info_one("config-file").unwrap());
        let identity = (data.clone(), keys(&data));
        assert_eq!(first.get_or_insert_with(|| identity.clone()), &identity);
        tor.kill().unwrap();
        assert_eq!(received.recv_timeout(LONG), Ok(0));
        // The next launch waits for the end of a process that still has a handle.
        if round == 1 {
            handles.push(tor);
        }
    }
    drop(handles);
    let printed = String::from_utf8(output.lock().clone()).unwrap();
    assert_eq!(printed.matches("Opening Control listener").count(), 3, "{printed}");
    for private in private {
        assert!(!Path::new(&private).exists());
    }
    let (data, _) = first.unwrap();
    assert!(data.is_dir());
    drop(launcher);
    assert!(!data.parent().unwrap().exists());
}

#[test]
fn a_tor_that_changes_its_user_is_launched_again() {
    let me = geteuid();
    let names = ["debian-tor", "nobody"].iter();
    let users = names.filter_map(|name| User::from_name(name).unwrap()).filter(|_| me.is_root());
    for user in users.chain(User::from_uid(me).unwrap()) {
        let launcher = offline().option("User", &user.name).repeatable().unwrap();
        let mut data = None;
        for _ in 0..3 {
            let tor = start(&launcher);
            let data = data.get_or_insert_with(|| tor.data_directory().to_owned());
            assert_eq!(tor.data_directory(), data);
            assert_eq!(fs::metadata(&data).unwrap().uid(), user.uid.as_raw());
            assert!(data.join("lock").exists());
            tor.kill().unwrap();
        }
        drop(launcher);
        assert!(!data.unwrap().parent().unwrap().exists());
    }
}

#[test]
fn a_link_in_place_of_the_directory_gives_nothing_to_the_user_of_tor() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    fs::create_dir(&target).unwrap();
    let owner = fs::metadata(&target).unwrap().uid();
    let launcher = offline().option("User", "nobody").repeatable().unwrap();
    let tor = start(&launcher);
    let kept = tor.data_directory().parent().unwrap().to_owned();
    let moved = root.path().join("moved");
    // The user of tor can do this in /tmp.
    fs::rename(&kept, &moved).unwrap();
    symlink(root.path(), &kept).unwrap();
    drop(tor);
    drop(launcher.spawn());
    assert_eq!(fs::metadata(&target).unwrap().uid(), owner);
    fs::remove_file(&kept).unwrap();
    fs::rename(&moved, &kept).unwrap();
    drop(launcher);
    assert!(!kept.exists());
}

#[test]
fn a_given_data_directory_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let launcher = offline().data_directory(&data).repeatable().unwrap();
    for _ in 0..2 {
        assert_eq!(start(&launcher).data_directory(), data);
    }
    drop(launcher);
    assert!(data.join("keys").is_dir());
}

#[test]
fn the_directory_outlives_the_launcher_until_tor_has_ended() {
    let launcher = offline().repeatable().unwrap();
    let tor = start(&launcher);
    drop(launcher);
    assert!(tor.data_directory().is_dir());
    assert!(tor.quit().unwrap().success());
    assert!(!tor.data_directory().parent().unwrap().exists());
}

#[test]
fn a_launch_ends_the_process_of_the_launch_before() {
    let root = tempfile::tempdir().unwrap();
    let launcher = script(root.path(), "trap '' TERM; echo started; while :; do sleep 0.1; done");
    let (send, started) = unbounded();
    let launcher = launcher.grace(Duration::ZERO).stdout(Started(send)).repeatable().unwrap();
    let first = launcher.spawn().unwrap();
    started.recv_timeout(LONG).unwrap();
    let second = launcher.spawn().unwrap();
    // SIGKILL, since it ignores SIGTERM.
    assert!(first.try_wait().unwrap().unwrap().to_string().contains("signal: 9"));
    started.recv_timeout(LONG).unwrap();
    assert_eq!(second.try_wait().unwrap(), None);
    assert_ne!(first.pid(), second.pid());
}

/// A writer that reports each output.
struct Started(Sender<()>);

impl Write for Started {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closure_that_still_runs_is_not_called_by_the_next_launch() {
    let root = tempfile::tempdir().unwrap();
    let line =
        "echo 'Nov 23 09:23:59.000 [notice] Bootstrapped 100% (done): Done'; sleep 60 & wait";
    let (entered, entries) = unbounded();
    let (leave, left) = bounded::<()>(0);
    let launcher = script(root.path(), &format!("trap 'kill $!; exit' TERM; {line}"))
        .on_progress(move |_| {
            entered.send(()).unwrap();
            left.recv().ok();
        })
        .repeatable()
        .unwrap();
    let tor = launcher.spawn().unwrap();
    entries.recv_timeout(LONG).unwrap();
    assert!(tor.wait_ready_for(LONG).unwrap());
    drop(tor);
    let tor = launcher.spawn().unwrap();
    assert!(tor.wait_ready_for(LONG).unwrap());
    drop(tor);
    assert_eq!(entries.len(), 0);
    leave.send(()).unwrap();
    drop(leave);
    // The closure is put back at some time after its return.
    let end = Instant::now() + LONG;
    while entries.is_empty() {
        assert!(Instant::now() < end);
        assert!(launcher.spawn().unwrap().wait_ready_for(LONG).unwrap());
    }
}

#[test]
fn a_wait_ends_at_its_limit_and_when_the_launch_is_canceled() {
    let root = tempfile::tempdir().unwrap();
    // Its end takes as long as the drop allows.
    let launcher = script(root.path(), "trap '' TERM; while :; do sleep 0.1; done");
    let token = CancelToken::new();
    let launcher = launcher.grace(Duration::ZERO).repeatable().unwrap().cancel_token(&token);
    let tor = launcher.spawn().unwrap();
    assert!(!tor.wait_ready_for(Duration::from_millis(1)).unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| tor.wait_ready_for(LONG));
        token.cancel();
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Canceled(_)), "{error}");
        assert!(tor.try_wait().unwrap().is_some(), "tor has ended");
    });
    drop(tor);
    assert!(matches!(launcher.spawn(), Err(Error::Canceled(_))));
}

#[test]
fn invalid_settings_are_refused_before_the_first_launch() {
    for launcher in [
        Launcher::new().option("DisableNetwork", "1"),
        Launcher::new().option("DataDirectory", "/x"),
        Launcher::new().env("", "x"),
    ] {
        let error = launcher.repeatable().unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    }
}
