//! The lines of tor's log.

/// The severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Notice, info and debug.
    Normal,
    Warning,
    Error,
}

/// A line of tor's log: `Nov 23 09:24:58.000 [notice] {CONTROL} text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogLine<'a> {
    pub(super) severity: Severity,
    pub(super) text: &'a str,
}

impl<'a> LogLine<'a> {
    /// Returns `None` for a line that is not one of tor's log.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        // The first bracket is that of the severity: the date before it has none.
        let (_date, rest) = line.split_once('[')?;
        let (severity, text) = rest.split_once("] ")?;
        let severity = match severity {
            "debug" | "info" | "notice" => Severity::Normal,
            "warn" => Severity::Warning,
            "err" => Severity::Error,
            _ => return None,
        };
        // With LogMessageDomains 1.
        let text = match text.strip_prefix('{').and_then(|rest| rest.split_once("} ")) {
            Some((_domains, text)) => text,
            None => text,
        };
        Some(Self { severity, text })
    }

    /// Whether it says that the program of a pluggable transport has ended, or could not be started.
    ///
    /// `Managed proxy "/usr/bin/x" having PID 17 terminated with status code 1`; tor 0.4.8 has
    /// `process terminated`. `Managed proxy at '/usr/bin/x' failed at launch.`
    pub(super) fn is_end_of_transport(&self) -> bool {
        self.text.starts_with("Managed proxy ")
            && [" terminated with status code ", " failed at launch"]
                .iter()
                .any(|end| self.text.contains(end))
    }
}

#[cfg(test)]
mod tests {
    use super::{LogLine, Severity};

    #[test]
    fn severity_and_text_are_parsed() {
        for (line, severity, text) in [
            ("Nov 23 09:24:58.000 [notice] Bootstrapped 0%", Severity::Normal, "Bootstrapped 0%"),
            ("Nov 23 09:24:58.000 [warn] {NET,OR} a [err] b", Severity::Warning, "a [err] b"),
            ("Nov 23 09:24:58.000 [err] {x", Severity::Error, "{x"),
        ] {
            assert_eq!(LogLine::parse(line), Some(LogLine { severity, text }));
        }
        for line in [
            "[warn] Managed proxy \"/x\" having PID 13924 terminated with status code 1",
            "[warn] {PT} Managed proxy \"/bin/true\" process terminated with status code 0",
            "[warn] Managed proxy at '/x' failed at launch.",
        ] {
            assert!(LogLine::parse(line).unwrap().is_end_of_transport(), "{line}");
        }
        let started = "[notice] Managed proxy \"/x\": hello";
        assert!(!LogLine::parse(started).unwrap().is_end_of_transport());
        for line in ["", "text", "a [b] c", "Nov 23 09:24:58.000 [warn]"] {
            assert_eq!(LogLine::parse(line), None, "{line}");
        }
    }
}
