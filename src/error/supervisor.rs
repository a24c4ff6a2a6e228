use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Error;

/// The error of a [`Supervisor`](crate::Supervisor) that has no tor now, or never will again.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::{ConnectOptions, Error, Supervisor};
///
/// let supervisor = Supervisor::connect(["unix:/run/tor/control"], ConnectOptions::new())?;
/// match supervisor.wait_tor(Duration::from_secs(30)) {
///     Err(Error::Supervisor(error)) if error.is_timeout() => eprintln!("not yet: {error}"),
///     Err(Error::Supervisor(error)) if error.is_final() => eprintln!("it has ended: {error}"),
///     outcome => println!("tor {}", outcome?.controller().version()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SupervisorError {
    problem: Arc<SupervisorProblem>,
}

/// Why a supervisor has no tor.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorProblem {
    /// There is no connection to tor now. The supervisor continues to try.
    #[error("not connected to tor; the supervisor is connecting again")]
    NotConnected {
        /// Why the last attempt failed or the last connection ended, if there was one.
        #[source]
        last_error: Option<Error>,
    },
    /// A wait for a tor reached its time limit. The supervisor continues to try.
    #[error("timed out after {limit:?} waiting for a connection to tor")]
    Timeout {
        /// The limit of the wait.
        limit: Duration,
        /// Why the last attempt failed or the last connection ended, if there was one.
        #[source]
        last_error: Option<Error>,
    },
    /// An attempt failed for a reason that another attempt does not change.
    #[error("the supervisor has given up, since another attempt would fail too")]
    Permanent(#[source] Error),
    /// The tor that the supervisor launches ended too often.
    #[error("the supervisor has given up: tor ended {deaths} times within {window:?}")]
    CrashLoop {
        /// How often tor ended or a launch failed.
        deaths: u32,
        /// The period in which it did.
        window: Duration,
        /// The last reason.
        #[source]
        last_error: Error,
    },
    /// The limit of attempts, or of the time without a connection, was reached.
    #[error("the supervisor has given up after {} in {elapsed:?}", counted_attempts(*.attempts))]
    Exhausted {
        /// The number of attempts since the last connection.
        attempts: u32,
        /// The time without a connection.
        elapsed: Duration,
        /// The error of the last attempt.
        #[source]
        last_error: Error,
    },
    /// A closure of the program panicked that the supervisor called to connect, or a logger did.
    #[error("the supervisor has given up: a closure or logger of the program panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: Box<str>,
    },
    /// Another controller changed an option that the supervisor sets, and
    /// [`IfChanged::Report`](crate::supervisor::IfChanged::Report) is chosen.
    #[error("another controller changed the option, or tor reloaded its configuration")]
    Changed,
    /// This program stopped or dropped the supervisor.
    #[error("this program stopped the supervisor")]
    Stopped,
}

fn counted_attempts(attempts: u32) -> String {
    format!("{attempts} attempt{}", if attempts == 1 { "" } else { "s" })
}

impl SupervisorError {
    pub(crate) fn new(problem: SupervisorProblem) -> Self {
        Self { problem: Arc::new(problem) }
    }

    /// Returns why there is no tor.
    #[must_use]
    pub fn problem(&self) -> &SupervisorProblem {
        &self.problem
    }

    /// Returns whether a wait reached its time limit.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(*self.problem, SupervisorProblem::Timeout { .. })
    }

    /// Returns whether the supervisor has ended: no later call succeeds.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match *self.problem {
            SupervisorProblem::Permanent(_)
            | SupervisorProblem::CrashLoop { .. }
            | SupervisorProblem::Exhausted { .. }
            | SupervisorProblem::Panicked { .. }
            | SupervisorProblem::Stopped => true,
            SupervisorProblem::NotConnected { .. }
            | SupervisorProblem::Timeout { .. }
            | SupervisorProblem::Changed => false,
        }
    }
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.problem, f)
    }
}

impl StdError for SupervisorError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.problem.source()
    }
}
