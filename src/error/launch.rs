use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use super::{Error, Timeout};
use crate::names::{quoted, quoted_path};

mod text;

/// The error of a tor process that could not be started, did not become ready, or failed later.
///
/// The text contains tor's last warnings and errors, at most five, and its bootstrap progress. A
/// failed launch leaves no process, thread or temporary directory behind.
///
/// # Examples
///
/// ```
/// use torcon::error::LaunchProblem;
/// use torcon::{Error, Launcher};
///
/// let outcome = Launcher::new().program("/nonexistent/tor").launch();
/// let Err(Error::Launch(error)) = outcome else { panic!() };
/// assert!(matches!(error.problem(), LaunchProblem::NotFound { .. }));
/// assert_eq!(error.exit_status(), None);
/// ```
#[derive(Clone, Debug)]
pub struct LaunchError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    problem: LaunchProblem,
    report: LaunchReport,
}

/// The output and the status of a tor that failed.
#[derive(Debug, Default)]
pub(crate) struct LaunchReport {
    pub(crate) exit_status: Option<ExitStatus>,
    pub(crate) last_lines: Vec<String>,
    /// The last warnings and errors, oldest first, each once, without date and severity.
    pub(crate) warnings: Vec<String>,
    /// The bootstrap progress; `None` if tor reported none.
    pub(crate) percent: Option<u8>,
    /// Whether the function of `ControlVia::Custom` has not returned.
    pub(crate) connector_is_stuck: bool,
    /// Whether tor waits for the program of a transport.
    pub(crate) waits_for_transport: bool,
    /// Whether the launch had succeeded.
    pub(crate) was_ready: bool,
}

/// Why a launch or a launched tor failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchProblem {
    /// The program does not exist.
    #[error("{}", text::not_found(.program))]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// The program cannot be started.
    #[error("the program {} cannot be started", quoted_path(.program))]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// A directory or file for tor cannot be created.
    #[error("cannot create {}", quoted_path(.path))]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] Arc<io::Error>),
    /// tor exited during the launch; its last lines give the reason.
    #[error("tor exited before it was ready")]
    Exited,
    /// tor exited after the launch had succeeded.
    #[error("tor exited after it was ready")]
    ExitedLater,
    /// tor wrote to standard error, and
    /// [`Launcher::kill_on_stderr`](crate::Launcher::kill_on_stderr) is set.
    #[error("tor wrote to standard error: {}", quoted(&**.text))]
    Stderr {
        /// The text.
        text: Box<str>,
    },
    /// tor refused the configuration at [`Launcher::verify`](crate::Launcher::verify).
    #[error("{}", text::invalid_option(.option.as_deref()))]
    Refused {
        /// The option that tor's text names, if it is one of those that were set.
        option: Option<Box<str>>,
    },
    /// The program of a pluggable transport that the bridges need cannot be executed.
    #[error("the transport program {} cannot be executed", quoted_path(.program))]
    TransportProgram {
        /// The program, as `ClientTransportPlugin` names it.
        program: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// The program printed something else than tor does.
    #[error("the program {} does not answer as tor does", quoted_path(.program))]
    NotTor {
        /// The program.
        program: PathBuf,
    },
    /// A time limit of the launch passed.
    #[error(transparent)]
    Timeout(Timeout),
    /// The control connection could not be opened or was lost.
    #[error("the control connection of the new tor failed")]
    Control(#[source] Box<Error>),
    /// The control connection leads to a tor that is not the launched process. That tor was not
    /// changed.
    ///
    /// This is also the problem if the launched program is a script that runs tor without `exec`, or
    /// if tor runs in another PID namespace, since the PIDs differ then.
    #[error(
        "the control connection leads to a tor with PID {}, but the launched program has \
         PID {launched}; it must be tor itself (a script must start it with exec), in the PID \
         namespace of this program, and the connection must lead to its control port",
        quoted(&**.found)
    )]
    OtherTor {
        /// The PID of the launched program.
        launched: u32,
        /// The other tor's reply to `GETINFO process/pid`.
        found: Box<str>,
    },
    /// The function of `ControlVia::Custom` panicked.
    #[error("the function of ControlVia::Custom panicked")]
    ConnectorPanicked,
    /// There is no control connection yet, or this tor was launched without one.
    #[error("there is no control connection to the launched tor")]
    NotConnected,
    /// A signal could not be sent to tor.
    #[error("the signal cannot be sent")]
    Signal {
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// tor exited, but the operating system has no exit status, since this program ignores SIGCHLD.
    #[error("the exit status of tor is unknown")]
    StatusUnknown {
        /// The operating system's error.
        source: Arc<io::Error>,
    },
}

impl LaunchError {
    pub(crate) fn new(problem: LaunchProblem) -> Self {
        Self::with_report(problem, LaunchReport::default())
    }

    pub(crate) fn with_report(problem: LaunchProblem, report: LaunchReport) -> Self {
        Self { inner: Arc::new(Inner { problem, report }) }
    }

    /// Returns why the launch or tor failed.
    #[must_use]
    pub fn problem(&self) -> &LaunchProblem {
        &self.inner.problem
    }

    /// Returns the exit status of tor. `None` if tor was never started or is still running. If the
    /// launch failed for another reason, torcon ended tor with SIGTERM.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.inner.report.exit_status
    }

    /// Returns the last lines of tor's output, at most a hundred, oldest first.
    #[must_use]
    pub fn last_lines(&self) -> &[String] {
        &self.inner.report.last_lines
    }

    /// Returns tor's bootstrap progress in percent. `None` if tor reported none.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        self.inner.report.percent
    }

    /// Returns advice, as a sentence without a final stop, if the user can do something.
    ///
    /// [`Error`] prints it behind the reasons; the `Display` of this type does not
    /// contain it.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        text::advice(&self.inner.problem, &self.inner.report)
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
