use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use torcon::error::{LaunchError, LaunchProblem};
use torcon::process::{Launcher, Ready, TorProcess};
use torcon::{Error, Tor};

use super::fake_process::{FakeProcess, LONG, STALL, stalled};
use super::real::offline;
use crate::error_text::check_text;
use crate::support::real_tor::tor_binary;

/// Launches a tor that fails, and returns the error and its text.
fn failed(launcher: Launcher) -> (LaunchError, String) {
    let error = launcher.launch().unwrap_err();
    check_text(&error);
    let Error::Launch(error) = error else { panic!("{error:?}") };
    let text = error.to_string();
    (error, text)
}

/// A launcher of a tor whose only bridge needs the transport obfs4.
fn behind_obfs4() -> Launcher {
    Launcher::new()
        .program(tor_binary())
        .option("SocksPort", "0")
        .option("UseBridges", "1")
        .option("Bridge", "obfs4 127.0.0.1:1 0123456789012345678901234567890123456789 cert=x")
}

fn later_error(tor: &TorProcess) -> (LaunchError, String) {
    let error = tor.wait_bootstrapped(LONG).unwrap_err();
    check_text(&error);
    let Error::Launch(error) = error else { panic!("{error:?}") };
    let text = error.to_string();
    (error, text)
}

#[test]
fn every_kind_of_wrong_option_is_reported_with_the_warning_of_tor() {
    let wrong: [(&[(&str, &str)], &str); 13] = [
        (&[("NoSuchOption", "1")], "Unknown option 'NoSuchOption'.  Failing."),
        (&[("MaxCircuitDirtiness", "abc")], "Unable to parse abc as a number"),
        (&[("DNSPort", "53x")], "Couldn't parse address \"53x\" for DNSPort"),
        (&[("ExitNodes", "{zz")], "Entry '{zz' in ExitNodes is malformed."),
        (
            &[("HiddenServiceDir", "/nonexistent/hs"), ("HiddenServicePort", "abc")],
            "Missing or invalid port \"abc\" in hidden service port configuration",
        ),
        (&[("HiddenServicePort", "80")], "HiddenServicePort with no preceding HiddenServiceDir"),
        (&[("Bridge", "foo")], "Too few items to Bridge line."),
        (&[("ClientTransportPlugin", "obfs4")], "Too few arguments on ClientTransportPlugin line."),
        (&[("Log", "debug file /nonexistent/log")], "Couldn't open file for 'Log debug file"),
        (&[("PidFile", "/nonexistent/pid")], "Unable to open \"/nonexistent/pid\" for writing"),
        (&[("User", "no-such-user")], "Error setting configured user: no-such-user not found"),
        (&[("ControlSocket", "/nonexistent/control")], "Directory /nonexistent does not exist."),
        (&[("ClientOnionAuthDir", "/nonexistent/keys")], "Directory /nonexistent/keys does not"),
    ];
    for (options, reason) in wrong {
        let launcher =
            options.iter().fold(offline(), |launcher, (name, value)| launcher.option(*name, value));
        let (error, text) = failed(launcher);
        assert!(matches!(error.problem(), LaunchProblem::Exited), "{error:?}");
        assert!(text.starts_with("cannot launch tor (exit status: 1): tor says "), "{text}");
        // Quoted, with the quotes in it escaped.
        let quoted = format!("{reason:?}");
        assert!(text.contains(quoted.trim_matches('"')), "{reason}: {text}");
        assert_eq!(error.advice(), Some("correct the option"), "{text}");
        for empty in ["See logs for details", "You are running Tor as root", "see warnings above"] {
            assert!(!text.contains(empty), "{text}");
        }
    }
}

#[test]
fn a_bridge_without_its_plugin_is_reported_with_the_name_of_the_transport() {
    let launcher = behind_obfs4().stall_timeout(STALL);
    let (error, text) = later_error(&launcher.spawn().unwrap());
    assert!(matches!(error.problem(), LaunchProblem::Timeout(_)), "{error:?}");
    assert_eq!(error.percent(), Some(0));
    let start = "cannot launch tor (0% bootstrapped): tor says \"Can't use bridge at [scrubbed]: \
                 there is no configured transport called \\\"obfs4\\\".\"";
    assert!(text.starts_with(start), "{text}");
    let advice = "add the option ClientTransportPlugin for this transport";
    assert_eq!(error.advice(), Some(advice), "{text}");
    // Once, although tor repeats it every second.
    assert_eq!(text.matches("obfs4").count(), 1, "{text}");
}

#[test]
fn a_plugin_that_cannot_be_started_is_named() {
    let launcher = behind_obfs4()
        .option("ClientTransportPlugin", "obfs4 exec /nonexistent/obfs4proxy")
        .stall_timeout(STALL);
    let (error, text) = failed(launcher);
    assert!(text.contains("/nonexistent/obfs4proxy"), "{text}");
    let advice =
        "install the program of the transport, or correct its path in ClientTransportPlugin";
    assert_eq!(error.advice(), Some(advice), "{text}");
}

#[test]
fn a_plugin_that_ends_is_named_at_the_limit() {
    let launcher = || behind_obfs4().option("ClientTransportPlugin", "obfs4 exec /bin/false");
    let Error::Launch(error) = stalled(launcher, "/bin/false") else { panic!("a launch fails") };
    let advice = "check the program that ClientTransportPlugin names";
    assert_eq!(error.advice(), Some(advice), "{error}");
}

#[test]
fn a_missing_library_is_reported_with_the_text_of_the_loader() {
    // A file that is not a library replaces one that the program needs. The program is not tor, which
    // a wrapper with its own library path may start.
    let program = std::env::current_exe().unwrap();
    let libraries = Command::new("ldd").arg(&program).output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let library = libraries.lines().find(|line| line.contains("libgcc_s")).unwrap();
    let library = library.split_whitespace().next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(library), "").unwrap();
    for kill in [false, true] {
        let launcher = offline().program(&program).env("LD_LIBRARY_PATH", directory.path());
        let launcher = launcher.kill_on_stderr(kill);
        let (error, text) = failed(launcher);
        assert!(text.contains("error while loading shared libraries"), "{text}");
        assert!(text.contains(library), "{text}");
        if !kill {
            assert_eq!(error.exit_status().unwrap().code(), Some(127));
            assert!(text.starts_with("cannot launch tor (exit status: 127): "), "{text}");
            let advice = "install the library, or set LD_LIBRARY_PATH with Launcher::env";
            assert_eq!(error.advice(), Some(advice), "{text}");
        }
    }
}

#[test]
fn a_launch_that_waits_for_bootstrap_is_refused_with_a_disabled_network() {
    let launcher = || Launcher::new().program(tor_binary()).option("DisableNetwork", "1");
    for error in [launcher().launch().unwrap_err(), Tor::launch(launcher()).unwrap_err()] {
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
        assert!(error.to_string().contains("with the network disabled"), "{error}");
    }
}

#[test]
fn the_end_of_a_tor_after_its_launch_is_not_a_failed_launch() {
    let tor = FakeProcess::new(
        "say 'Bootstrapped 100% (done): Done'\nread -r line <\"$0.go\"\n\
         echo 'Nov 23 09:00:00.000 [err] Out of luck.'\nexit 9",
    );
    let fifo = tor.path().with_extension("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let launched = tor.launcher().launch().unwrap();
    fs::write(&fifo, "go\n").unwrap();
    launched.wait_timeout(LONG).unwrap();
    let (error, text) = later_error(&launched);
    assert!(matches!(error.problem(), LaunchProblem::ExitedLater), "{error:?}");
    let expected = "the launched tor has exited (exit status: 9): tor says \"Out of luck.\"";
    assert_eq!(text, expected);
}

#[test]
fn a_real_tor_that_is_killed_while_it_bootstraps_was_not_a_failed_launch() {
    let tor = offline().wait_for(Ready::Controller).launch().unwrap();
    tor.kill().unwrap();
    tor.wait_timeout(LONG).unwrap();
    let (error, text) = later_error(&tor);
    assert_eq!(error.exit_status().unwrap().signal(), Some(9));
    // A warning of the launch is not the reason.
    assert_eq!(text, "the launched tor has exited (signal: 9 (SIGKILL))");
    assert_eq!(error.problem().to_string(), "tor exited after it was ready");
}

#[test]
fn a_log_on_standard_error_is_refused_if_standard_error_ends_tor() {
    let launcher = || offline().option("Log", "notice stderr");
    let error = launcher().launch().unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    assert!(error.to_string().contains("Launcher::kill_on_stderr(false)"), "{error}");
    let tor = launcher().kill_on_stderr(false).launch().unwrap();
    let count = tor.last_lines().iter().filter(|line| line.contains("Bootstrapped 0%")).count();
    assert_eq!(count, 2, "{:?}", tor.last_lines());
    tor.quit().unwrap();
}
