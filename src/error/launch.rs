use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use super::{Error, Timeout};
use crate::names::{quoted, quoted_path};

mod text;

/// A tor process could not be started, did not become ready, or failed later.
///
/// The text holds tor's own reason: its last warnings and errors, at most five, and how far it had
/// bootstrapped. When a launch fails nothing of it is left: no child, no thread, no temporary
/// directory.
#[derive(Clone, Debug)]
pub struct LaunchError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    problem: LaunchProblem,
    report: LaunchReport,
}

/// What is known of a tor whose launch has failed, or that failed later.
#[derive(Debug, Default)]
pub(crate) struct LaunchReport {
    pub(crate) exit_status: Option<ExitStatus>,
    pub(crate) last_lines: Vec<String>,
    /// The last warnings and errors, oldest first, each once, without date and severity.
    pub(crate) complaints: Vec<String>,
    /// The bootstrap progress; `None` if tor has told none.
    pub(crate) percent: Option<u8>,
    /// Whether the function of `ControlVia::Custom` has not returned.
    pub(crate) connector_is_stuck: bool,
    /// Whether the launch had succeeded.
    pub(crate) was_ready: bool,
}

/// What went wrong with a launch.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchProblem {
    /// There is no such program.
    #[error("the program {} does not exist", quoted_path(.program))]
    NotFound {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// The operating system did not start the program.
    #[error("the program {} cannot be started", quoted_path(.program))]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A directory or file that tor needs cannot be made.
    #[error("{} cannot be made ready", quoted_path(.path))]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] Arc<io::Error>),
    /// tor ended by itself during the launch; its own last lines say why.
    #[error("tor ended before it was ready")]
    Exited,
    /// tor ended after the launch had succeeded.
    #[error("tor ended after it was ready")]
    ExitedLater,
    /// tor wrote on its standard error output, and
    /// [`Launcher::kill_on_stderr`](crate::Launcher::kill_on_stderr) was on.
    #[error("tor wrote on its standard error output: {}", quoted(&**.text))]
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
        "the control connection leads to a tor with PID {}, but the launched program has \
         PID {launched}; it must be tor itself (a script must start it with exec), in the PID \
         namespace of this program, and the connection must lead to its control port",
        quoted(&**.found)
    )]
    OtherTor {
        /// The PID of the launched program.
        launched: u32,
        /// The PID that the other tor answered to `GETINFO process/pid`.
        found: Box<str>,
    },
    /// The function of `ControlVia::Custom` panicked.
    #[error("the function of ControlVia::Custom panicked")]
    ConnectorPanicked,
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
        Self::with_report(problem, LaunchReport::default())
    }

    pub(crate) fn with_report(problem: LaunchProblem, report: LaunchReport) -> Self {
        Self { inner: Arc::new(Inner { problem, report }) }
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
        self.inner.report.exit_status
    }

    /// Returns the last lines that tor printed, at most a hundred, oldest first.
    #[must_use]
    pub fn last_lines(&self) -> &[String] {
        &self.inner.report.last_lines
    }

    /// Returns how far tor had bootstrapped, in percent. `None` if it told no progress.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        self.inner.report.percent
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self.inner.problem, LaunchProblem::Timeout(_))
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, &self.inner.problem, &self.inner.report)
    }
}

impl StdError for LaunchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.inner.problem)
    }
}
