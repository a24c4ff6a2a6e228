//! The text of a launch error: the problem, tor's warnings, and the advice behind all reasons.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use super::{LaunchProblem, LaunchReport};
use crate::error::Wait;
use crate::names::{printable, quoted, quoted_path};

/// The maximum number of warnings in the text.
const MAX_COMPLAINTS: usize = 5;

/// POSIX gives this signal its number.
const SIGKILL: i32 = 9;

/// The beginning of the warnings about the program of a transport that tor has ended itself: it has
/// no name any more.
const ENDED_BY_TOR: &str = "Managed proxy \"N/A\"";

/// The beginnings of warnings that do not give the reason of an exit.
const NOT_REASONS: [&str; 7] = [
    ENDED_BY_TOR,
    "Reading config failed",
    "set_options(): Bug: Acting on config options left us in a broken state.",
    "options_act(): Bug: ",
    "You are running Tor as root.",
    "SocksPort, TransPort, NATDPort, DNSPort, and ORPort are all undefined",
    "You have used DirAuthority or AlternateDirAuthority",
];
/// The end of a warning that points to another warning.
const SEE_OTHERS: &str = " See logs for details.";

/// The advice if tor refuses an option.
const CORRECT: &str = "correct the option";

/// The advice if the program of a transport fails.
const CHECK_TRANSPORT: &str = "check the program that ClientTransportPlugin names";

/// Texts of tor's warnings, with advice.
const ADVICE: [(&str, &str); 11] = [
    ("No space left on device", "free space there, or choose another directory"),
    ("Could not bind to ", "another program has this address: choose another, or auto"),
    (
        "another Tor process is running with the same data directory",
        "each tor needs its own data directory",
    ),
    // Before the next: tor has no transport either if its program fails.
    ("anaged proxy ", CHECK_TRANSPORT),
    (
        "there is no configured transport called ",
        "add the option ClientTransportPlugin for this transport",
    ),
    (
        "can't find a pluggable transport proxy supporting ",
        "add the option ClientTransportPlugin for this transport",
    ),
    (
        "error while loading shared libraries",
        "install the library, or set LD_LIBRARY_PATH with Launcher::env",
    ),
    ("is not owned by this user", "give the directory to tor's user alone"),
    ("cannot be read: Permission denied", "give the directory to tor's user alone"),
    ("Failed to parse/validate config", CORRECT),
    ("Reading config failed", CORRECT),
];

pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    problem: &LaunchProblem,
    report: &LaunchReport,
) -> fmt::Result {
    f.write_str(match problem {
        LaunchProblem::ExitedLater => "the launched tor has exited",
        LaunchProblem::NotConnected => "cannot control the launched tor",
        LaunchProblem::Signal { .. } => "cannot signal the launched tor",
        LaunchProblem::StatusUnknown { .. } => "the launched tor has exited",
        LaunchProblem::Refused { .. } => "tor refuses the configuration",
        LaunchProblem::NotTor { .. } => "cannot use the program as tor",
        _ if report.was_ready => "the launched tor has failed",
        _ => "cannot launch tor",
    })?;
    // After other problems the status is that of tor ended by the launcher.
    let exited = matches!(
        problem,
        LaunchProblem::Exited
            | LaunchProblem::ExitedLater
            | LaunchProblem::Refused { .. }
            | LaunchProblem::NotTor { .. }
    );
    let status = report.exit_status.filter(|_| exited).map(|status| status.to_string());
    // A failure after the launch is not one of bootstrapping.
    let percent = report.percent.filter(|_| !report.was_ready);
    let percent = percent.map(|percent| format!("{percent}% bootstrapped"));
    let facts: Vec<_> = status.into_iter().chain(percent).collect();
    if !facts.is_empty() {
        write!(f, " ({})", facts.join(", "))?;
    }
    let quoted_warnings = match report.exit_status {
        Some(status) if exited && is_without_reason(problem, status) => Vec::new(),
        _ => reasons(&report.warnings, exited),
    };
    for (number, reason) in quoted_warnings.iter().enumerate() {
        f.write_str(if number == 0 { ": tor says " } else { ", " })?;
        f.write_str(&quoted(reason))?;
    }
    Ok(())
}

/// Returns the text of [`LaunchProblem::NotFound`].
pub(super) fn not_found(program: &Path) -> String {
    let what = if program.components().count() > 1 { "does not exist" } else { "is not in PATH" };
    format!("the program {} {what}", quoted_path(program))
}

/// Returns the text of [`LaunchProblem::Refused`].
pub(super) fn invalid_option(option: Option<&str>) -> String {
    match option {
        Some(option) => format!("the option {} is not valid", printable(option)),
        None => "an option is not valid".to_owned(),
    }
}

/// Returns whether no warning of tor can explain its exit: another program has killed it, or has made
/// a tor that was ready end in good order.
fn is_without_reason(problem: &LaunchProblem, status: ExitStatus) -> bool {
    let is_later = matches!(problem, LaunchProblem::ExitedLater);
    status.signal() == Some(SIGKILL) || (is_later && status.success())
}

/// Returns the last five warnings that give a reason. If none does and tor `exited`, returns the
/// last five of all.
fn reasons(warnings: &[String], exited: bool) -> Vec<&str> {
    let is_reason = |text: &&String| !NOT_REASONS.iter().any(|other| text.starts_with(other));
    let mut reasons: Vec<_> = warnings.iter().filter(is_reason).collect();
    if reasons.is_empty() && exited {
        reasons = warnings.iter().collect();
    }
    let first = reasons.len().saturating_sub(MAX_COMPLAINTS);
    let last = reasons.into_iter().skip(first);
    last.map(|text| text.strip_suffix(SEE_OTHERS).unwrap_or(text)).collect()
}

pub(super) fn advice(problem: &LaunchProblem, report: &LaunchReport) -> Option<&'static str> {
    match problem {
        LaunchProblem::NotFound { .. } => {
            return Some(
                "install tor (on Debian and Ubuntu: sudo apt-get install tor), or name its program \
                 with Launcher::program",
            );
        }
        LaunchProblem::Exited | LaunchProblem::Refused { .. } | LaunchProblem::Timeout(_) => {}
        LaunchProblem::TransportProgram { .. } => {
            return Some(
                "install the program of the transport, or correct its path in \
                 ClientTransportPlugin",
            );
        }
        LaunchProblem::NotTor { .. } => return Some("set another with Launcher::program"),
        LaunchProblem::Stderr { .. } => {
            return Some(
                "if tor can continue after this output, set Launcher::kill_on_stderr(false)",
            );
        }
        _ => return None,
    }
    let says = |text: &str| {
        report.warnings.iter().any(|line| line.contains(text) && !line.starts_with(ENDED_BY_TOR))
    };
    if let Some((_, advice)) = ADVICE.iter().find(|(text, _)| says(text)) {
        return Some(advice);
    }
    if !matches!(problem, LaunchProblem::Timeout(_)) {
        return None;
    }
    if matches!(problem, LaunchProblem::Timeout(limit) if *limit.wait() == Wait::Exit) {
        // Of a check of the configuration or the version, which prints no progress.
        return Some(
            "check that the program is tor, and that the host names in its options can be resolved",
        );
    }
    if report.connector_is_stuck {
        return Some("the function of ControlVia::Custom has not returned: give it a time limit");
    }
    // A notice that tor logs at its start and when the option is set.
    let is_off = |line: &String| line.contains("DisableNetwork is set.");
    if report.last_lines.iter().any(is_off) {
        return Some(
            "the network is disabled by the option DisableNetwork: unset it, or wait for \
             Ready::Controller",
        );
    }
    if report.waits_for_transport {
        return Some(
            "the program that ClientTransportPlugin names has not answered: check that it is that \
             of a transport",
        );
    }
    Some(match report.percent {
        Some(_) => "check the network, or raise Launcher::timeout and stall_timeout",
        None => "the program has printed no bootstrap progress: check that it is tor",
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;
    use std::time::Duration;

    use nix::libc;

    use crate::error::{LaunchError, LaunchProblem, LaunchReport, Timeout, Wait};

    fn text(problem: LaunchProblem, warnings: &[&str], percent: Option<u8>) -> String {
        let warnings = warnings.iter().map(|&text| text.to_owned()).collect();
        let report = LaunchReport { warnings, percent, ..LaunchReport::default() };
        with_hint(&LaunchError::with_report(problem, report))
    }

    /// The text with the advice, without the problem.
    fn with_hint(error: &LaunchError) -> String {
        let hint = error.advice().map_or_else(String::new, |advice| format!("; hint: {advice}"));
        format!("{error}{hint}")
    }

    fn timeout() -> LaunchProblem {
        LaunchProblem::Timeout(Timeout::new(Wait::Bootstrap, Duration::MAX))
    }

    #[test]
    fn warnings_with_a_reason_are_quoted() {
        let warnings = [
            "You are running Tor as root. You don't need to, and you probably shouldn't.",
            "Missing or invalid port \"abc\" in hidden service port configuration",
            "Failed to parse/validate config: Failed to configure rendezvous options. See logs \
             for details.",
            "Reading config failed--see warnings above.",
        ];
        assert_eq!(
            text(LaunchProblem::Exited, &warnings, None),
            "cannot launch tor: tor says \"Missing or invalid port \\\"abc\\\" in hidden service \
             port configuration\", \"Failed to parse/validate config: Failed to configure \
             rendezvous options.\"; hint: correct the option"
        );
        // No warning gives a reason.
        assert_eq!(
            text(LaunchProblem::Exited, &warnings[..1], None),
            "cannot launch tor: tor says \"You are running Tor as root. You don't need to, and \
             you probably shouldn't.\""
        );
        // tor has not exited.
        assert_eq!(
            text(LaunchProblem::ConnectorPanicked, &warnings[..1], None),
            "cannot launch tor"
        );
        assert_eq!(
            text(LaunchProblem::Exited, &[], Some(5)),
            "cannot launch tor (5% bootstrapped)"
        );
    }

    #[test]
    fn at_most_five_warnings_are_quoted_escaped_and_cut() {
        let many = ["1", "2", "3", "4\u{1b}[2J\n5", "6", "7"];
        let shown = text(LaunchProblem::Exited, &many, None);
        let expected =
            "cannot launch tor: tor says \"2\", \"3\", \"4\\u{1b}[2J\\n5\", \"6\", \"7\"";
        assert_eq!(shown, expected);
        let long = "\u{e9}".repeat(1000);
        let shown = text(LaunchProblem::Exited, &[&long], None);
        assert!(shown.ends_with("\u{e9}..\""), "{shown}");
        assert_eq!(shown.chars().filter(|letter| *letter == '\u{e9}').count(), 400);
    }

    #[test]
    fn the_text_ends_with_advice() {
        let transport = "Can't use bridge at [scrubbed]: there is no configured transport called \
                         \"obfs4\".";
        assert_eq!(
            text(timeout(), &[transport], Some(0)),
            format!(
                "cannot launch tor (0% bootstrapped): tor says {transport:?}; hint: add the option \
                 ClientTransportPlugin for this transport"
            )
        );
        // The program failed.
        let version = "Managed proxy could not pick a configuration protocol version.";
        let shown = text(timeout(), &[version, transport], Some(0));
        assert!(shown.ends_with(super::CHECK_TRANSPORT), "{shown}");
        assert!(text(timeout(), &[], Some(10)).contains("check the network"));
        assert!(text(timeout(), &[], None).contains("check that it is tor"));
        let line =
            "Nov 23 09:00:00.000 [notice] Delaying directory fetches: DisableNetwork is set.";
        let report = LaunchReport { last_lines: vec![line.to_owned()], ..LaunchReport::default() };
        let error = with_hint(&LaunchError::with_report(timeout(), report));
        assert!(error.contains("the network is disabled"), "{error}");
    }

    #[test]
    fn a_transport_program_that_tor_has_ended_is_no_reason() {
        let ended = "Managed proxy \"N/A\" process terminated with status code 15";
        assert!(!text(timeout(), &[ended], Some(0)).contains("roxy"));
        let failed = "Managed proxy \"/x\" process terminated with status code 1";
        assert!(text(timeout(), &[failed, ended], Some(0)).ends_with(super::CHECK_TRANSPORT));
    }

    #[test]
    fn an_exit_that_no_warning_explains_quotes_none() {
        let exit = |problem, status| {
            let report = LaunchReport {
                warnings: vec!["Bug: assertion failed".to_owned()],
                exit_status: Some(ExitStatus::from_raw(status)),
                was_ready: true,
                ..LaunchReport::default()
            };
            with_hint(&LaunchError::with_report(problem, report))
        };
        let killed = exit(LaunchProblem::ExitedLater, libc::SIGKILL);
        assert_eq!(killed, "the launched tor has exited (signal: 9 (SIGKILL))");
        // After SIGTERM, tor exits with success.
        let ended = exit(LaunchProblem::ExitedLater, 0);
        assert_eq!(ended, "the launched tor has exited (exit status: 0)");
        let aborted = exit(LaunchProblem::ExitedLater, libc::SIGABRT);
        assert!(aborted.ends_with(": tor says \"Bug: assertion failed\""), "{aborted}");
        let refused = exit(LaunchProblem::Exited, 1 << 8);
        assert!(refused.ends_with(": tor says \"Bug: assertion failed\""), "{refused}");
    }

    #[test]
    fn a_failure_after_the_launch_is_not_called_a_failed_launch() {
        let later = |problem| {
            let report =
                LaunchReport { was_ready: true, percent: Some(100), ..LaunchReport::default() };
            with_hint(&LaunchError::with_report(problem, report))
        };
        assert_eq!(later(LaunchProblem::ExitedLater), "the launched tor has exited");
        assert_eq!(later(LaunchProblem::NotConnected), "cannot control the launched tor");
        let stderr = later(LaunchProblem::Stderr { text: "x".into() });
        assert!(stderr.starts_with("the launched tor has failed; hint: "), "{stderr}");
    }
}
