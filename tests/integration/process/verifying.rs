//! `Launcher::verify` and `Launcher::version`.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{User, chown, geteuid};
use torcon::error::{LaunchError, LaunchProblem};
use torcon::names::TransportPlugin;
use torcon::process::{ControlVia, Launcher};
use torcon::{CancelToken, Error, Result};

use super::fake_process::{FakeProcess, LONG, SOON};
use super::real::offline;
use crate::error_text::{chain, check_text};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::real_tor::tor_binary;
use crate::support::watchdog::eventually;

#[track_caller]
fn error<T: std::fmt::Debug>(result: Result<T>) -> LaunchError {
    let error = result.unwrap_err();
    check_text(&error);
    match error {
        Error::Launch(error) => error,
        other => panic!("no launch error: {other:?}"),
    }
}

/// Returns all paths below a directory, with what a program could have changed.
fn contents(directory: &Path) -> Vec<(String, u32, u32, i64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::symlink_metadata(&path).unwrap();
        found.push((path.display().to_string(), data.mode(), data.uid(), data.mtime_nsec()));
        if data.is_dir() {
            found.extend(contents(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn a_valid_configuration_is_accepted_and_nothing_is_written() {
    exclusive(|| {
        let directory = tempfile::tempdir().unwrap();
        let existing = directory.path().join("existing");
        fs::create_dir(&existing).unwrap();
        fs::set_permissions(&existing, Permissions::from_mode(0o700)).unwrap();
        fs::write(existing.join("state"), "# nothing\n").unwrap();
        let before = (contents(directory.path()), Holdings::now());
        for data in ["missing", "existing"] {
            for control in [ControlVia::UnixSocket, ControlVia::Tcp, ControlVia::None] {
                let launcher = Launcher::new()
                    .program(tor_binary())
                    .data_directory(directory.path().join(data))
                    .control(control)
                    .option("Log", format!("info file {}", directory.path().join("log").display()))
                    .option("PidFile", directory.path().join("pid"))
                    .option("HiddenServiceDir", directory.path().join("service"))
                    .option("HiddenServicePort", "80");
                launcher.verify().unwrap();
                // More than once, and then it can be launched.
                launcher.verify().unwrap();
                assert_eq!(contents(directory.path()), before.0);
            }
        }
        before.1.assert_restored(SOON);
    });
}

#[test]
fn a_data_directory_that_is_open_to_other_users_is_not_changed() {
    exclusive(|| {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("state"), "# nothing\n").unwrap();
        // tor sets it to 0700, also with --verify-config.
        fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
        let before = contents(directory.path());
        let launcher = || offline().data_directory(&data);
        launcher().verify().unwrap();
        assert_eq!(contents(directory.path()), before);
        launcher().launch().unwrap().quit().unwrap();
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    });
}

#[test]
fn a_data_directory_that_the_launch_could_not_create_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/data");
    let launcher = || offline().data_directory(&path);
    for error in [error(launcher().verify()), error(launcher().launch())] {
        assert_eq!(
            chain(&error),
            format!(
                "cannot launch tor: cannot create {path:?}: No such file or directory (os error 2)"
            )
        );
    }
    assert!(!path.parent().unwrap().exists());
    // The version does not depend on it.
    launcher().version().unwrap();
    offline().data_directory("").version().unwrap();
}

#[test]
fn a_check_in_a_program_that_ignores_sigchld_has_the_same_result() {
    const MARK: &str = "TORCON_TEST_IGNORES_SIGCHLD";
    if env::var_os(MARK).is_some() {
        offline().verify().unwrap();
        let error = error(offline().option("NoSuchOption", "1").verify());
        assert!(matches!(error.problem(), LaunchProblem::Refused { .. }), "{error:?}");
        assert_eq!(error.exit_status(), None);
        return;
    }
    let name = "process::verifying::a_check_in_a_program_that_ignores_sigchld_has_the_same_result";
    let mut command = Command::new("env");
    command.arg("--ignore-signal=CHLD").arg(env::current_exe().unwrap());
    let output = command.args(["--exact", name]).env(MARK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_refused_option_is_named_with_the_reason_of_tor() {
    exclusive(|| {
        for (options, named, reason) in [
            (&[("NoSuchOption", "1")][..], Some("NoSuchOption"), "Unknown option 'NoSuchOption'"),
            (&[("ExitNodes", "{zz")], Some("ExitNodes"), "Entry '{zz' in ExitNodes is malformed."),
            (&[("Bridge", "foo")], Some("Bridge"), "Too few items to Bridge line."),
            (&[("UseBridges", "1")], Some("UseBridges"), "you must specify at least one bridge"),
            (
                &[("Nickname", "x"), ("MaxCircuitDirtiness", "abc")],
                Some("MaxCircuitDirtiness"),
                "Unable to parse abc as a number",
            ),
            (
                &[("UseBridges", "1"), ("Bridge", "192.0.2.7:1"), ("EntryNodes", "{us}")],
                None,
                "You cannot set both UseBridges and EntryNodes.",
            ),
            (
                &[
                    ("Socks5Proxy", "192.0.2.7:1"),
                    ("ClientTransportPlugin", "a socks5 127.0.0.1:1"),
                ],
                Some("Socks5Proxy"),
                "You have configured an external proxy with another proxy type.",
            ),
        ] {
            let before = Holdings::now();
            let launcher = options
                .iter()
                .fold(offline(), |launcher, (name, value)| launcher.option(*name, value));
            let error = error(launcher.verify());
            let LaunchProblem::Refused { option } = error.problem() else { panic!("{error:?}") };
            assert_eq!(option.as_deref(), named, "{error}");
            let text = error.to_string();
            let start = "tor refuses the configuration (exit status: 1): tor says \"";
            assert!(text.starts_with(start), "{text}");
            assert!(text.contains(reason), "{text}");
            assert_eq!(error.advice(), Some("correct the option"), "{text}");
            before.assert_restored(SOON);
        }
    });
}

#[test]
fn a_launch_that_is_refused_is_refused_before_tor_runs() {
    let launcher = || Launcher::new().program("/nonexistent/tor");
    for launcher in [
        launcher().option("DisableNetwork", "1"),
        launcher().option("DataDirectory", "/x"),
        launcher().env("A=B", "x"),
        launcher().bridge(&"obfs4 192.0.2.7:1".parse().unwrap()),
    ] {
        let error = launcher.verify().unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    }
    let refused = launcher().bridge(&"obfs4 192.0.2.7:1".parse().unwrap()).launch();
    assert_eq!(
        refused.unwrap_err().to_string(),
        "invalid argument \"Bridge\": without a program for the transport obfs4 tor never finishes \
         bootstrapping: add it with Launcher::transport_plugin, or wait for Ready::Controller"
    );
    assert!(matches!(launcher().env("", "x").version(), Err(Error::InvalidInput(_))));
    let plugin = TransportPlugin::exec(["obfs4"], "/nonexistent/obfs4proxy").unwrap();
    let bridge = "obfs4 192.0.2.7:1 cert=x".parse().unwrap();
    let error = error(offline().bridge(&bridge).transport_plugin(&plugin).verify());
    assert_eq!(
        chain(&error),
        "cannot launch tor: the transport program \"/nonexistent/obfs4proxy\" cannot be executed: \
         No such file or directory (os error 2)"
    );
    // No bridge needs it.
    offline().transport_plugin(&plugin).verify().unwrap();
}

#[test]
fn another_program_is_not_taken_for_tor() {
    exclusive(|| {
        let before = Holdings::now();
        let error_of = |launcher: &Launcher| (error(launcher.verify()), error(launcher.version()));
        let missing = Launcher::new().program("/nonexistent/tor");
        let (one, other) = error_of(&missing);
        for error in [one, other] {
            assert!(matches!(error.problem(), LaunchProblem::NotFound { .. }), "{error:?}");
        }
        for script in ["exit 0", "echo hello", "exit 3"] {
            let other = FakeProcess::new(script);
            let (one, other) = error_of(&other.launcher());
            for error in [one, other] {
                assert!(matches!(error.problem(), LaunchProblem::NotTor { .. }), "{error:?}");
                assert_eq!(error.advice(), Some("set another with Launcher::program"));
            }
        }
        before.assert_restored(SOON);
    });
}

#[test]
fn a_program_that_does_not_end_is_ended_at_the_limit() {
    exclusive(|| {
        // It fills both pipes first, and ignores SIGTERM.
        let script = "trap '' TERM\nhead -c 300000 /dev/zero\nhead -c 300000 /dev/zero >&2\n\
                      while :; do sleep 1; done";
        let tor = FakeProcess::new(script);
        let before = Holdings::now();
        let begin = Instant::now();
        let launcher =
            tor.launcher().timeout(Duration::from_secs(1)).grace(Duration::from_millis(50));
        for error in [error(launcher.verify()), error(launcher.version())] {
            assert_eq!(
                error.problem().to_string(),
                "timed out after 1s waiting for the tor process to end"
            );
            assert!(
                error.advice().unwrap().starts_with("check that the program is tor"),
                "{error}"
            );
        }
        assert!(begin.elapsed() < LONG);
        before.assert_restored(SOON);
    });
}

#[test]
fn a_token_cancels_a_check() {
    exclusive(|| {
        let tor = FakeProcess::new("trap '' TERM\nwhile :; do sleep 1; done");
        let before = Holdings::now();
        let token = CancelToken::new();
        let launcher = tor.launcher().cancel_token(&token);
        let canceling = token.clone();
        let begin = Instant::now();
        let verify = thread::Builder::new().name("verify".to_owned());
        let verify = verify.spawn(move || launcher.verify()).unwrap();
        eventually(SOON, "the program runs", || !Holdings::now().children.is_empty());
        canceling.cancel();
        let error = verify.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Canceled(_)), "{error:?}");
        assert!(begin.elapsed() < LONG);
        // A canceled token keeps the program from being started.
        let error = offline().cancel_token(&token).version().unwrap_err();
        assert!(matches!(error, Error::Canceled(_)), "{error:?}");
        before.assert_restored(SOON);
    });
}

#[test]
fn the_version_is_that_of_the_running_tor() {
    exclusive(|| {
        let before = Holdings::now();
        let launcher = offline();
        let version = launcher.version().unwrap();
        let tor = launcher.launch().unwrap();
        assert_eq!(tor.controller().unwrap().version(), &version);
        tor.quit().unwrap();
        drop(tor);
        let printed = Command::new(tor_binary()).arg("--version").output().unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        assert!(printed.starts_with(&format!("Tor version {version}.")), "{printed}");
        before.assert_restored(SOON);
    });
}

#[test]
fn the_environment_and_the_search_of_the_program_are_those_of_the_launch() {
    let script = "echo \"Tor version 0.4.9.$MARK.\"";
    let tor = FakeProcess::new(script);
    let launcher = Launcher::new()
        .env("MARK", "77")
        .env("PATH", format!("{}:/usr/bin:/bin", tor.path().parent().unwrap().display()));
    assert_eq!(launcher.version().unwrap().to_string(), "0.4.9.77");
}

#[test]
fn a_configuration_with_another_user_is_checked_and_changes_no_owner() {
    let users = ["debian-tor", "nobody"];
    let Some(user) = users.iter().find_map(|name| User::from_name(name).unwrap()) else {
        panic!("one of these users exists");
    };
    if !geteuid().is_root() {
        // tor refuses to change its user.
        let error = error(offline().option("User", &user.name).verify());
        assert!(matches!(error.problem(), LaunchProblem::Refused { .. }), "{error:?}");
        return;
    }
    let root = tempfile::Builder::new().prefix("user-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o711)).unwrap();
    let data = root.path().join("data");
    let launcher = || {
        offline()
            .option("User", &user.name)
            .data_directory(&data)
            .option("HiddenServiceDir", root.path().join("service"))
            .option("HiddenServicePort", "80")
    };
    launcher().verify().unwrap();
    assert!(!data.exists());
    // The launch would make the user its owner.
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    let before = contents(root.path());
    launcher().verify().unwrap();
    assert_eq!(contents(root.path()), before);
    // The launch would leave the owner, and tor refuses.
    fs::write(data.join("state"), "").unwrap();
    let error = error(launcher().verify());
    assert_eq!(error.advice(), Some("give the directory to tor's user alone"), "{error}");
    chown(&data, Some(user.uid), None).unwrap();
    launcher().verify().unwrap();
    launcher().launch().unwrap().quit().unwrap();
}
