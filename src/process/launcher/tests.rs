use std::fs;
use std::time::Duration;

use crate::error::{Error, LaunchError, LaunchProblem};
use crate::process::{ControlVia, Launcher, Ready, TorProcess};

fn launch_error(launched: Result<TorProcess, Error>) -> LaunchError {
    match launched {
        Err(Error::Launch(error)) => error,
        other => panic!("no launch error: {other:?}"),
    }
}

#[test]
fn a_missing_program_is_named() {
    for (program, what) in
        [("/nonexistent/tor", "does not exist"), ("no-such-program-as-this", "is not in PATH")]
    {
        let error = launch_error(Launcher::new().program(program).launch());
        assert!(matches!(error.problem(), LaunchProblem::NotFound { .. }), "{error:?}");
        assert_eq!(error.problem().to_string(), format!("the program {program:?} {what}"));
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_not_reported_as_missing() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "no program\n").unwrap();
    for program in [directory.path(), &text] {
        let error = launch_error(Launcher::new().program(program).launch());
        assert!(matches!(error.problem(), LaunchProblem::Spawn { .. }), "{error:?}");
        assert_eq!(
            error.problem().to_string(),
            format!("the program {program:?} cannot be started")
        );
    }
}

#[test]
fn invalid_settings_are_refused_before_the_start() {
    let launcher = || Launcher::new().program("/nonexistent/tor");
    for (launcher, message) in [
        (
            launcher().option("DataDirectory", "/x"),
            "\"option name\": torcon sets DataDirectory; use Launcher::data_directory",
        ),
        (launcher().option("Nickname", "a\nb"), "\"Nickname\": must not contain a line break"),
        (
            launcher().option("DisableNetwork", "1"),
            "\"DisableNetwork\": with the network disabled tor never finishes bootstrapping: leave \
             the option out, or wait for Ready::Controller",
        ),
        (
            launcher().option("Log", "notice stderr"),
            "\"Log\": tor would be ended for its log on standard error: log to stdout, or set \
             Launcher::kill_on_stderr(false)",
        ),
        (launcher().env("A=B", "x"), "\"env\": is not a valid name of an environment variable"),
        (launcher().env("", "x"), "\"env\": is not a valid name of an environment variable"),
        (launcher().env("A", "x\0"), "\"env\": must not contain NUL"),
        (
            launcher().control(ControlVia::None).wait_for(Ready::Controller),
            "\"wait_for\": Ready::Controller cannot be reached with ControlVia::None",
        ),
    ] {
        let error = launcher.launch().unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
        assert_eq!(error.to_string(), format!("invalid argument {message}"));
    }
}

#[test]
fn debug_shows_neither_options_nor_environment() {
    let launcher = Launcher::new()
        .option("HashedControlPassword", "16:secret")
        .env("TOKEN", "secret")
        .timeout(Duration::from_secs(7));
    let shown = format!("{launcher:?}");
    assert!(shown.contains("timeout: 7s"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}
