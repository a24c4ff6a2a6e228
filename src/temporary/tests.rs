use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use super::{LOCK, SWEEP_LIMIT, TemporaryDirectory, UNLOCKED_LIMIT, recorded_process, sweep};
use crate::clock::{ManualClock, TICK, system_now};

/// Creates the directory of a killed program, whose lock is free.
fn abandoned(root: &Path, name: &str, lock: &str) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.join("data/keys")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    fs::write(path.join("data/keys/secret"), "key").unwrap();
    fs::write(path.join(LOCK), lock).unwrap();
    path
}

fn entries(root: &Path) -> Vec<String> {
    let names = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_is_private_and_removed_when_dropped() {
    let root = tempfile::tempdir().unwrap();
    let directory = TemporaryDirectory::create_in(root.path(), "x-").unwrap();
    let path = directory.path().to_owned();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("torcon-x-") && name.ends_with(".tmp"), "{name}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    fs::create_dir(path.join("data")).unwrap();
    fs::write(path.join("data/state"), "x").unwrap();
    // Its program runs.
    sweep(root.path());
    assert!(path.join("data/state").exists());
    drop(directory);
    assert_eq!(entries(root.path()), Vec::<String>::new());
}

#[test]
fn directories_of_ended_programs_are_removed_and_the_targets_of_links_kept() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = abandoned(root.path(), "torcon-AbCdEf.tmp", "");
    fs::write(outside.path().join("kept"), "x").unwrap();
    symlink(outside.path(), path.join("link")).unwrap();
    symlink(outside.path(), path.join("data/link")).unwrap();
    symlink("/nonexistent", path.join("dangling")).unwrap();
    sweep(root.path());
    assert_eq!(entries(root.path()), Vec::<String>::new());
    assert_eq!(entries(outside.path()), ["kept"]);
}

#[test]
fn directories_that_another_user_can_have_created_are_kept() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = abandoned(outside.path(), "torcon-target.tmp", "");
    symlink(&target, root.path().join("torcon-symlink.tmp")).unwrap();
    fs::write(root.path().join("torcon-file.tmp"), "x").unwrap();
    // Other names.
    abandoned(root.path(), "torcon-data", "");
    abandoned(root.path(), "other.tmp", "");
    // Another user can write there.
    let open = abandoned(root.path(), "torcon-open.tmp", "");
    fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
    // The lock file is not a file, or another user can have linked it there.
    let mine = outside.path().join("mine");
    fs::write(&mine, "").unwrap();
    let replace_lock = |name: &str| {
        let path = abandoned(root.path(), name, "").join(LOCK);
        fs::remove_file(&path).unwrap();
        path
    };
    symlink(&mine, replace_lock("torcon-linked-lock.tmp")).unwrap();
    fs::hard_link(&mine, replace_lock("torcon-shared-lock.tmp")).unwrap();
    fs::create_dir(replace_lock("torcon-directory-lock.tmp")).unwrap();
    nix::unistd::mkfifo(&replace_lock("torcon-fifo-lock.tmp"), nix::sys::stat::Mode::S_IRWXU)
        .unwrap();
    // Only root can give a file to another user. Without root the file cannot be opened.
    if nix::unistd::geteuid().is_root() {
        let path = abandoned(root.path(), "torcon-stranger.tmp", "");
        chown(path.join(LOCK), Some(65534), None).unwrap();
        chown(&path, Some(65534), None).unwrap();
    }
    let before = entries(root.path());
    sweep(root.path());
    assert_eq!(entries(root.path()), before);
    assert!(target.join("data/keys/secret").exists());
}

#[test]
fn a_directory_that_root_gave_to_the_user_of_tor_is_removed() {
    // Only root can change the owner of a directory.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = abandoned(root.path(), "torcon-given.tmp", "");
    for given in [path.clone(), path.join("data"), path.join("data/keys")] {
        chown(given, Some(65534), Some(65534)).unwrap();
    }
    sweep(root.path());
    assert!(!path.exists());
}

#[test]
fn a_directory_is_kept_while_a_recorded_process_runs() {
    let root = tempfile::tempdir().unwrap();
    let mut sleeper = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    let line = recorded_process::describe(sleeper.id());
    let swept = |lock: &str| {
        let path = abandoned(root.path(), "torcon-AbCdEf.tmp", lock);
        sweep(root.path());
        !path.exists()
    };
    assert!(!swept(&format!("{line}\n")));
    // Only the PID of the process is known.
    assert!(!swept("1 2\n"));
    if cfg!(target_os = "linux") {
        let fields: Vec<_> = line.split(' ').collect();
        let [pid, start, namespace, boot] = fields[..] else { panic!("{line}") };
        // Another process has the PID, or the machine was restarted.
        assert!(swept(&format!("{pid} 1 {namespace} {boot}\n")));
        assert!(swept(&format!("{pid} {start} {namespace} other\n")));
        // In another container.
        assert!(!swept(&format!("{pid} {start} pid:[1] {boot}\n")));
    }
    sleeper.kill().unwrap();
    // A zombie uses no file.
    let is_zombie = || {
        let text = fs::read_to_string(format!("/proc/{}/stat", sleeper.id()));
        text.map_or(true, |text| text.contains(") Z "))
    };
    while cfg!(target_os = "linux") && !is_zombie() {
        thread::yield_now();
    }
    assert!(!cfg!(target_os = "linux") || swept(&format!("{line}\n")));
    sleeper.wait().unwrap();
    assert!(swept(&format!("{line}\n")));
}

#[test]
fn a_recorded_process_is_one_line_of_the_lock_file() {
    let root = tempfile::tempdir().unwrap();
    let directory = TemporaryDirectory::create_in(root.path(), "").unwrap();
    directory.record_process(std::process::id()).unwrap();
    directory.record_process(1).unwrap();
    let text = fs::read_to_string(directory.path().join(LOCK)).unwrap();
    let pids: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(pids, [&*std::process::id().to_string(), "1"]);
}

#[test]
fn a_removal_that_was_interrupted_is_continued() {
    let root = tempfile::tempdir().unwrap();
    // Only the lock file remains.
    let locked = root.path().join("torcon-locked.tmp");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, Permissions::from_mode(0o700)).unwrap();
    fs::write(locked.join(LOCK), "").unwrap();
    // Without a lock file, its program may be about to create it.
    let old = SystemTime::now() - UNLOCKED_LIMIT - Duration::from_secs(60);
    let [young, empty, full] = ["young", "empty", "full"].map(|name| {
        let path = root.path().join(format!("torcon-{name}.tmp"));
        fs::create_dir(&path).unwrap();
        path
    });
    fs::write(full.join("x"), "").unwrap();
    for path in [&empty, &full] {
        File::open(path).unwrap().set_modified(old).unwrap();
    }
    sweep(root.path());
    assert_eq!(
        [&locked, &young, &empty, &full].map(|path| path.exists()),
        [false, true, false, true]
    );
}

#[test]
fn a_sweep_begins_with_no_directory_at_its_limit() {
    let root = tempfile::tempdir().unwrap();
    // Each reading of the clock moves it: the first directory is one step after the start.
    for (step, removed) in [(SWEEP_LIMIT, 0), (SWEEP_LIMIT - TICK, 1), (SWEEP_LIMIT / 4, 3)] {
        for number in 0..5 {
            abandoned(root.path(), &format!("torcon-{number}.tmp"), "");
        }
        let clock = ManualClock::start();
        clock.tick_by(step);
        sweep(root.path());
        assert_eq!(entries(root.path()).len(), 5 - removed, "{step:?}");
    }
    sweep(root.path());
    assert_eq!(entries(root.path()), Vec::<String>::new());
}

#[test]
fn an_empty_directory_without_a_lock_file_is_removed_at_its_age_and_no_tick_before() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("torcon-unlocked.tmp");
    fs::create_dir(&path).unwrap();
    let clock = ManualClock::start();
    File::open(&path).unwrap().set_modified(system_now()).unwrap();
    clock.advance(UNLOCKED_LIMIT - TICK);
    sweep(root.path());
    assert!(path.exists());
    clock.advance(TICK);
    sweep(root.path());
    assert!(!path.exists());
}

#[test]
fn concurrent_sweeps_remove_only_the_directories_of_ended_programs() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..100 {
        abandoned(root.path(), &format!("torcon-{number}.tmp"), "");
    }
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| sweep(root.path())));
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let living = TemporaryDirectory::create_in(root.path(), "").unwrap();
                    fs::write(living.path().join("x"), "x").unwrap();
                    assert!(living.path().join(LOCK).exists());
                }
            });
        }
    });
    sweep(root.path());
    assert_eq!(entries(root.path()), Vec::<String>::new());
}
