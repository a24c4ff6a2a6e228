//! The text of a launch error: what failed, tor's own words, and what can be done.

use std::fmt;

use super::{LaunchProblem, LaunchReport};
use crate::names::quoted;

/// How many of tor's complaints are shown.
const SHOWN: usize = 5;

/// What tor says beside the reason: that there is one, and things that are no reason to end.
const NO_REASONS: [&str; 6] = [
    "Reading config failed",
    "set_options(): Bug: Acting on config options left us in a broken state.",
    "options_act(): Bug: ",
    "You are running Tor as root.",
    "SocksPort, TransPort, NATDPort, DNSPort, and ORPort are all undefined",
    "You have used DirAuthority or AlternateDirAuthority",
];
/// The end of a complaint that says only that another one has the reason.
const SEE_OTHERS: &str = " See logs for details.";

/// What tor says, and what can be done then.
const ADVICE: [(&str, &str); 11] = [
    ("No space left on device", "free space there, or choose another directory"),
    ("Could not bind to ", "another program has this address: choose another, or auto"),
    (
        "another Tor process is running with the same data directory",
        "each tor needs a data directory of its own",
    ),
    (
        "there is no configured transport called ",
        "add the option ClientTransportPlugin for this transport",
    ),
    (
        "can't find a pluggable transport proxy supporting ",
        "add the option ClientTransportPlugin for this transport",
    ),
    ("Managed proxy ", "check the program that ClientTransportPlugin names"),
    (
        "error while loading shared libraries",
        "install the library, or set LD_LIBRARY_PATH with Launcher::env",
    ),
    (
        "is not owned by this user",
        "give the directory to the user that tor runs as, and to nobody else",
    ),
    (
        "cannot be read: Permission denied",
        "give the directory to the user that tor runs as, and to nobody else",
    ),
    ("Failed to parse/validate config", "correct the option"),
    ("Reading config failed", "correct the option"),
];

pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    problem: &LaunchProblem,
    report: &LaunchReport,
) -> fmt::Result {
    f.write_str(match problem {
        LaunchProblem::ExitedLater => "the launched tor has ended",
        LaunchProblem::NotConnected => "cannot control the launched tor",
        LaunchProblem::Signal { .. } => "cannot signal the launched tor",
        LaunchProblem::StatusUnknown { .. } => "the launched tor has ended",
        _ if report.was_ready => "the launched tor has failed",
        _ => "cannot launch tor",
    })?;
    // After other problems the status shows only that the launcher has ended tor.
    let ended = matches!(problem, LaunchProblem::Exited | LaunchProblem::ExitedLater);
    let status = report.exit_status.filter(|_| ended).map(|status| status.to_string());
    // Later, the progress has nothing to do with it.
    let percent = report.percent.filter(|_| !report.was_ready);
    let percent = percent.map(|percent| format!("{percent}% bootstrapped"));
    let facts: Vec<_> = status.into_iter().chain(percent).collect();
    if !facts.is_empty() {
        write!(f, " ({})", facts.join(", "))?;
    }
    for (number, reason) in reasons(&report.complaints, ended).iter().enumerate() {
        f.write_str(if number == 0 { ": tor says " } else { ", " })?;
        f.write_str(&quoted(reason))?;
    }
    match advice(problem, report) {
        Some(advice) => write!(f, "; {advice}"),
        None => Ok(()),
    }
}

/// Returns the last five complaints that say why. If none does and tor has `ended`, returns the
/// last five of all.
fn reasons(complaints: &[String], ended: bool) -> Vec<&str> {
    let is_reason = |text: &&String| !NO_REASONS.iter().any(|other| text.starts_with(other));
    let mut reasons: Vec<_> = complaints.iter().filter(is_reason).collect();
    if reasons.is_empty() && ended {
        reasons = complaints.iter().collect();
    }
    let first = reasons.len().saturating_sub(SHOWN);
    let last = reasons.into_iter().skip(first);
    last.map(|text| text.strip_suffix(SEE_OTHERS).unwrap_or(text)).collect()
}

fn advice(problem: &LaunchProblem, report: &LaunchReport) -> Option<&'static str> {
    match problem {
        LaunchProblem::Exited | LaunchProblem::Timeout(_) => {}
        LaunchProblem::Stderr { .. } => {
            return Some("if tor can go on after that, set Launcher::kill_on_stderr(false)");
        }
        _ => return None,
    }
    let says = |text: &str| report.complaints.iter().any(|line| line.contains(text));
    if let Some((_, advice)) = ADVICE.iter().find(|(text, _)| says(text)) {
        return Some(advice);
    }
    if !matches!(problem, LaunchProblem::Timeout(_)) {
        return None;
    }
    if report.connector_is_stuck {
        return Some("the function of ControlVia::Custom has not returned: give it a time limit");
    }
    // tor says it as a notice, at its start and when the option is set later.
    let is_off = |line: &String| line.contains("DisableNetwork is set.");
    if report.last_lines.iter().any(is_off) {
        return Some(
            "the network is disabled by the option DisableNetwork: leave it out, or wait for \
             Ready::Controller",
        );
    }
    Some(match report.percent {
        Some(_) => "check the network, or give more time with Launcher::timeout and stall_timeout",
        None => "the program has printed no bootstrap progress: check that it is tor",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::error::{LaunchError, LaunchProblem, LaunchReport, Timeout, Wait};

    fn text(problem: LaunchProblem, complaints: &[&str], percent: Option<u8>) -> String {
        let complaints = complaints.iter().map(|&text| text.to_owned()).collect();
        let report = LaunchReport { complaints, percent, ..LaunchReport::default() };
        LaunchError::with_report(problem, report).to_string()
    }

    fn timeout() -> LaunchProblem {
        LaunchProblem::Timeout(Timeout::new(Wait::Bootstrap, Duration::MAX))
    }

    #[test]
    fn the_reason_is_quoted_and_not_what_only_points_to_it() {
        let complaints = [
            "You are running Tor as root. You don't need to, and you probably shouldn't.",
            "Missing or invalid port \"abc\" in hidden service port configuration",
            "Failed to parse/validate config: Failed to configure rendezvous options. See logs \
             for details.",
            "Reading config failed--see warnings above.",
        ];
        assert_eq!(
            text(LaunchProblem::Exited, &complaints, None),
            "cannot launch tor: tor says \"Missing or invalid port \\\"abc\\\" in hidden service \
             port configuration\", \"Failed to parse/validate config: Failed to configure \
             rendezvous options.\"; correct the option"
        );
        // Better than nothing.
        assert_eq!(
            text(LaunchProblem::Exited, &complaints[..1], None),
            "cannot launch tor: tor says \"You are running Tor as root. You don't need to, and \
             you probably shouldn't.\""
        );
        // Where tor has not ended, it is not why.
        assert_eq!(
            text(LaunchProblem::ConnectorPanicked, &complaints[..1], None),
            "cannot launch tor"
        );
        assert_eq!(
            text(LaunchProblem::Exited, &[], Some(5)),
            "cannot launch tor (5% bootstrapped)"
        );
    }

    #[test]
    fn at_most_five_complaints_are_shown_each_escaped_and_cut() {
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
    fn what_can_be_done_is_said() {
        let transport = "Can't use bridge at [scrubbed]: there is no configured transport called \
                         \"obfs4\".";
        assert_eq!(
            text(timeout(), &[transport], Some(0)),
            format!(
                "cannot launch tor (0% bootstrapped): tor says {transport:?}; add the option \
                 ClientTransportPlugin for this transport"
            )
        );
        assert!(text(timeout(), &[], Some(10)).contains("check the network"));
        assert!(text(timeout(), &[], None).contains("check that it is tor"));
        let line =
            "Nov 23 09:00:00.000 [notice] Delaying directory fetches: DisableNetwork is set.";
        let report = LaunchReport { last_lines: vec![line.to_owned()], ..LaunchReport::default() };
        let error = LaunchError::with_report(timeout(), report).to_string();
        assert!(error.contains("the network is disabled"), "{error}");
    }

    #[test]
    fn what_fails_after_the_launch_is_not_a_failed_launch() {
        let later = |problem| {
            let report =
                LaunchReport { was_ready: true, percent: Some(100), ..LaunchReport::default() };
            LaunchError::with_report(problem, report).to_string()
        };
        assert_eq!(later(LaunchProblem::ExitedLater), "the launched tor has ended");
        assert_eq!(later(LaunchProblem::NotConnected), "cannot control the launched tor");
        let stderr = later(LaunchProblem::Stderr { text: "x".into() });
        assert!(stderr.starts_with("the launched tor has failed; "), "{stderr}");
    }
}
