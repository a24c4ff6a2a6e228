use std::collections::VecDeque;

use super::log_line::{LogLine, Severity};
use crate::error::LaunchReport;
use crate::sync::Mutex;

/// How many lines are kept.
const LINES: usize = 100;
/// How many different warnings are kept.
const WARNINGS: usize = 20;
/// How much of standard error is kept for the error.
const STDERR_LIMIT: usize = 4096;

/// The last output of the child.
#[derive(Debug, Default)]
pub(super) struct Output {
    // A leaf lock.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// The last warnings and errors, oldest first, without duplicates.
    warnings: VecDeque<String>,
    stderr: Vec<u8>,
    ended_for_stderr: bool,
}

impl Output {
    /// Returns the last lines of both streams, oldest first.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.kept.lock().lines.iter().cloned().collect()
    }

    /// Returns the beginning of standard error.
    pub(super) fn stderr_text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept.lock().stderr).into_owned();
        text.trim_end().to_owned()
    }

    pub(super) fn report(&self) -> LaunchReport {
        let kept = self.kept.lock();
        LaunchReport {
            last_lines: kept.lines.iter().cloned().collect(),
            warnings: kept.warnings.iter().cloned().collect(),
            ..LaunchReport::default()
        }
    }

    pub(super) fn set_ended_for_stderr(&self) {
        self.kept.lock().ended_for_stderr = true;
    }

    /// Whether tor was ended because it wrote on standard error.
    pub(super) fn is_ended_for_stderr(&self) -> bool {
        self.kept.lock().ended_for_stderr
    }

    /// Clears the warnings of a launch that succeeded: they do not explain a later end of tor.
    pub(super) fn clear_warnings(&self) {
        self.kept.lock().warnings.clear();
    }

    pub(super) fn keep_line(&self, line: &str, is_stderr: bool) {
        let warning = warning(line, is_stderr);
        let mut kept = self.kept.lock();
        if let Some(text) = warning {
            // tor may repeat a warning every second, with another count or PID.
            kept.warnings.retain(|other| !differ_in_digits_only(other, text));
            if kept.warnings.len() >= WARNINGS {
                kept.warnings.pop_front();
            }
            kept.warnings.push_back(text.to_owned());
        }
        if kept.lines.len() >= LINES {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line.to_owned());
    }

    pub(super) fn keep_stderr(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock();
        let room = STDERR_LIMIT.saturating_sub(kept.stderr.len());
        kept.stderr.extend(bytes.iter().take(room));
    }
}

/// The text of a line of the stack trace after a failed assertion begins like this.
const STACK_FRAME: &str = "Bug:     ";

/// Returns the text of a warning or an error. A line of standard error that is not in tor's log
/// format is one: the loader, a library or a script wrote it.
fn warning(line: &str, is_stderr: bool) -> Option<&str> {
    match LogLine::parse(line) {
        Some(LogLine { severity: Severity::Normal, .. }) => None,
        Some(LogLine { text, .. }) if text.trim_start().starts_with(STACK_FRAME) => None,
        Some(LogLine { text, .. }) => Some(text.trim()),
        None => Some(line.trim()).filter(|text| is_stderr && !text.is_empty()),
    }
}

fn differ_in_digits_only(one: &str, other: &str) -> bool {
    fn words(text: &str) -> impl Iterator<Item = char> {
        text.chars().filter(|letter| !letter.is_ascii_digit())
    }
    words(one).eq(words(other))
}

#[cfg(test)]
mod tests {
    use super::{Output, STDERR_LIMIT};

    #[test]
    fn the_text_of_standard_error_is_kept_up_to_a_limit() {
        let output = Output::default();
        output.keep_stderr(b"oops\n");
        assert_eq!(output.stderr_text(), "oops");
        output.keep_stderr(&[b'x'; 9999]);
        assert_eq!(output.stderr_text().len(), STDERR_LIMIT);
    }

    #[test]
    fn the_last_warnings_are_kept_without_duplicates_and_dates() {
        let output = Output::default();
        for text in [
            "[warn] {CONFIG} first",
            "[notice] fine",
            "[warn] proxy having PID 1 terminated",
            "[warn] proxy having PID 22 terminated",
            "[err] second",
            "[warn] proxy having PID 3 terminated",
        ] {
            output.keep_line(&format!("Nov 23 09:24:58.000 {text}"), false);
        }
        // Not a warning on standard output.
        output.keep_line("no log", false);
        let expected = ["first", "second", "proxy having PID 3 terminated"];
        assert_eq!(output.report().warnings, expected);
        output.clear_warnings();
        assert_eq!(output.report().warnings, Vec::<String>::new());
    }

    #[test]
    fn a_stack_trace_does_not_displace_the_reason() {
        let output = Output::default();
        // tor 0.4.8.14 with the program of a pluggable transport that does not exist.
        let assertion = "tor_assertion_failed_(): Bug: ../src/feature/client/transports.c:520: \
                         proxy_prepare_for_restart: Assertion mp->conf_state == \
                         PT_PROTO_COMPLETED failed; aborting. (on Tor 0.4.8.14 )";
        let mut lines = vec![
            "[warn] Managed proxy \"/x\" process terminated with status code 256".to_owned(),
            format!("[err] {assertion}"),
            "[err] Bug: Tor 0.4.8.14: Assertion x failed. Stack trace: (on Tor )".to_owned(),
        ];
        let frame =
            |number| format!("[err] Bug:     /usr/bin/tor(f{number}+0x57) [0x7f] (on Tor )");
        lines.extend((0..30).map(frame));
        for line in &lines {
            output.keep_line(&format!("Nov 26 04:30:51.000 {line}"), false);
        }
        let report = output.report();
        assert_eq!(report.warnings.len(), 3);
        assert_eq!(report.warnings[1], assertion);
        assert_eq!(report.last_lines.len(), lines.len());
    }

    #[test]
    fn a_line_of_standard_error_that_is_not_a_log_line_is_a_warning() {
        let output = Output::default();
        let loader = "tor: error while loading shared libraries: libx.so";
        let log = "Nov 23 09:24:58.000 ";
        for line in [loader, "", &format!("{log}[notice] fine"), &format!("{log}[warn] w")] {
            output.keep_line(line, true);
        }
        assert_eq!(output.report().warnings, [loader, "w"]);
    }
}
