use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use super::{Error, Timeout};

/// A tor process could not be started or brought to the wished state.
///
/// When a launch fails nothing of it is left: no child, no thread, no temporary directory.
#[derive(Clone, Debug)]
pub struct LaunchError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    problem: LaunchProblem,
    exit_status: Option<ExitStatus>,
    last_lines: Vec<String>,
}

/// What went wrong with a launch.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchProblem {
    /// There is no such program.
    #[error("the program {program:?} does not exist")]
    NotFound {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// The operating system did not start the program.
    #[error("the program {program:?} cannot be started")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A directory or file that tor needs cannot be made.
    #[error("{path:?} cannot be made ready")]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] Arc<io::Error>),
    /// tor ended by itself; its own last lines say why.
    #[error("tor ended before it was ready")]
    Exited,
    /// tor wrote on its standard error output, and
    /// [`Launcher::kill_on_stderr`](crate::Launcher::kill_on_stderr) was on.
    #[error("tor wrote on its standard error output: {text:?}")]
    Stderr {
        /// What it wrote.
        text: Box<str>,
    },
    /// The time was over.
    #[error(transparent)]
    Timeout(Timeout),
    /// The control connection could not be opened or was lost.
    #[error("the control connection of the new tor failed")]
    Control(#[source] Box<Error>),
    /// The control connection leads to a tor that is not the launched one, which was left as it is.
    ///
    /// Also if the launched program is a script that runs tor without `exec`, or tor runs in
    /// another PID namespace: then tor cannot be told from others.
    #[error(
        "the control connection leads to a tor with PID {found:?}, but the launched program has \
         PID {launched}; it must be tor itself (a script must start it with exec), in the PID \
         namespace of this program, and the connection must lead to its control port"
    )]
    OtherTor {
        /// The PID of the launched program.
        launched: u32,
        /// The PID that the other tor answered to `GETINFO process/pid`.
        found: Box<str>,
    },
    /// There is no control connection: not yet, or this tor was launched without one.
    #[error("there is no control connection to the launched tor")]
    NotConnected,
    /// A signal could not be sent to tor.
    #[error("the signal cannot be sent")]
    Signal {
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// tor has ended, but the operating system does not tell how; this is so where the program
    /// ignores SIGCHLD.
    #[error("the exit status of tor is not known")]
    StatusUnknown {
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// The launch was given up by this program.
    #[error("the launch was given up by this program")]
    Cancelled,
}

impl LaunchError {
    pub(crate) fn new(problem: LaunchProblem) -> Self {
        Self::with_output(problem, None, Vec::new())
    }

    pub(crate) fn with_output(
        problem: LaunchProblem,
        exit_status: Option<ExitStatus>,
        last_lines: Vec<String>,
    ) -> Self {
        Self { inner: Arc::new(Inner { problem, exit_status, last_lines }) }
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn problem(&self) -> &LaunchProblem {
        &self.inner.problem
    }

    /// Returns how tor ended: its exit code or the signal. `None` if it was never started or is
    /// still running. A launch that fails for another reason than tor's own end ends it by
    /// SIGTERM.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.inner.exit_status
    }

    /// Returns the last lines that tor printed, at most a hundred, oldest first.
    #[must_use]
    pub fn last_lines(&self) -> &[String] {
        &self.inner.last_lines
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self.inner.problem, LaunchProblem::Timeout(_))
    }

    /// The line that says why tor ended.
    ///
    /// Before the complaint that counts there may be others, about small things, and after it
    /// others that only say "see above".
    fn telling_line(&self) -> Option<&str> {
        const REASONS: [&str; 5] = [
            "Could not bind to ",
            "Error while parsing configuration: ",
            "Failed to parse/validate config: ",
            "It looks like another Tor process is running",
            "Unable to ",
        ];
        let is_reason = |text: &&str| REASONS.iter().any(|reason| text.starts_with(reason));
        self.complaints("[warn] ")
            .find(is_reason)
            .or_else(|| self.complaints("[err] ").next())
            .or_else(|| self.complaints("[warn] ").last())
    }

    /// What tor printed last about the trouble it is in.
    fn trouble(&self) -> Option<&str> {
        self.complaints("[warn] ").filter(|text| text.starts_with("Problem bootstrapping.")).last()
    }

    fn complaints(&self, level: &'static str) -> impl Iterator<Item = &str> {
        let texts = self.inner.last_lines.iter().filter_map(move |line| line.split_once(level));
        texts.map(|(_date, text)| text.trim())
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot launch tor")?;
        let line = match self.inner.problem {
            LaunchProblem::Exited => {
                if let Some(status) = self.inner.exit_status {
                    write!(f, " ({status})")?;
                }
                self.telling_line()
            }
            LaunchProblem::Timeout(_) => self.trouble(),
            _ => None,
        };
        match line {
            Some(line) => write!(f, ": tor says {line:?}"),
            None => Ok(()),
        }
    }
}

impl StdError for LaunchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.inner.problem)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LaunchError, LaunchProblem};
    use crate::error::{Timeout, Wait};

    /// The text of an error after tor has printed this.
    fn text(problem: LaunchProblem, lines: &[&str]) -> String {
        let dated = |line: &&str| format!("Nov 23 09:00:00.000 {line}");
        let lines = lines.iter().map(dated).collect();
        LaunchError::with_output(problem, None, lines).to_string()
    }

    #[test]
    fn the_reason_is_quoted_and_neither_small_things_nor_the_see_above() {
        for (lines, reason) in [
            (
                &[
                    "[notice] Tor 0.4.9.11 running",
                    "[warn] SocksPort, TransPort, NATDPort, DNSPort, and ORPort are all undefined",
                    "[warn] Could not bind to 127.0.0.1:9051: Address already in use.",
                    "[warn] Failed to parse/validate config: Failed to bind one of the listener \
                     ports.",
                    "[err] Reading config failed--see warnings above.",
                ][..],
                "Could not bind to 127.0.0.1:9051: Address already in use.",
            ),
            (
                &[
                    "[warn] You are running Tor as root.",
                    "[warn] It looks like another Tor process is running with the same data \
                     directory.  Waiting 5 seconds to see if it goes away.",
                    "[err] No, it's still there.  Exiting.",
                ],
                "It looks like another Tor process is running with the same data directory.  \
                 Waiting 5 seconds to see if it goes away.",
            ),
            (
                &[
                    "[warn] You are running Tor as root.",
                    "[err] Unable to write PIDFile \"/x\"",
                    "[err] set_options(): Bug: Acting on config options left us in a broken state.",
                ],
                "Unable to write PIDFile \"/x\"",
            ),
            (&["[warn] one", "[warn] two"], "two"),
        ] {
            let expected = format!("cannot launch tor: tor says {reason:?}");
            assert_eq!(text(LaunchProblem::Exited, lines), expected);
        }
        assert_eq!(text(LaunchProblem::Exited, &["[notice] fine"]), "cannot launch tor");
    }

    #[test]
    fn a_launch_that_takes_too_long_quotes_the_last_trouble_only() {
        let timeout = || LaunchProblem::Timeout(Timeout::new(Wait::Bootstrap, Duration::MAX));
        let lines = [
            "[warn] Problem bootstrapping. Stuck at 5% (conn): first",
            "[warn] Problem bootstrapping. Stuck at 5% (conn): second",
            "[warn] You are running Tor as root.",
        ];
        assert_eq!(
            text(timeout(), &lines),
            "cannot launch tor: tor says \"Problem bootstrapping. Stuck at 5% (conn): second\""
        );
        assert_eq!(text(timeout(), &["[warn] other"]), "cannot launch tor");
    }
}
