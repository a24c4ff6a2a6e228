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
    /// Before the complaint that counts there may be others about small things, and after it
    /// others that only say "see above".
    fn telling_line(&self) -> Option<&str> {
        const REASONS: [&str; 5] = [
            "Could not bind to ",
            "Failed to parse/validate config: ",
            "Error while parsing configuration: ",
            "It looks like another Tor process is running",
            "Unable to ",
        ];
        let complaint = |line: &'_ String, level: &str| {
            let at = line.find(level)?;
            Some(at + level.len())
        };
        let text = |level: &'static str| {
            self.inner.last_lines.iter().filter_map(move |line| {
                let start = complaint(line, level)?;
                line.get(start..).map(str::trim)
            })
        };
        let known = |line: &&str| REASONS.iter().any(|reason| line.starts_with(reason));
        text("[warn]")
            .find(known)
            .or_else(|| text("[err]").next())
            .or_else(|| text("[warn]").last())
    }

    /// What tor printed about the trouble it is in, last.
    fn trouble(&self) -> Option<&str> {
        let lines = self.inner.last_lines.iter().rev();
        lines
            .filter_map(|line| line.split_once("[warn] "))
            .map(|(_, text)| text.trim())
            .find(|text| text.starts_with("Problem bootstrapping."))
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
    use super::{LaunchError, LaunchProblem};

    #[test]
    fn the_first_warning_is_quoted_and_not_the_see_above() {
        let lines = [
            "Nov 23 09:00:00.000 [notice] Tor 0.4.9.11 running",
            "Nov 23 09:00:00.000 [warn] Could not bind to 127.0.0.1:9051: Address already in use.",
            "Nov 23 09:00:00.000 [err] Reading config failed--see warnings above.",
        ];
        let lines = lines.map(str::to_owned).to_vec();
        let error = LaunchError::with_output(LaunchProblem::Exited, None, lines);
        assert_eq!(
            error.to_string(),
            "cannot launch tor: tor says \
             \"Could not bind to 127.0.0.1:9051: Address already in use.\""
        );
    }
}
