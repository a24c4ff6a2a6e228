use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::{AuthError, Disconnect, InvalidInput, Rejection, Timeout};
use crate::names::printable;

/// No control connection could be opened: every address that was tried, and why it failed.
#[derive(Clone, Debug)]
pub struct ConnectError {
    attempts: Arc<[ConnectAttempt]>,
}

/// One address that was tried.
#[derive(Clone, Debug)]
pub struct ConnectAttempt {
    address: Box<str>,
    problem: ConnectProblem,
}

/// Why an address gave no control connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectProblem {
    /// The host name could not be resolved.
    #[error("the host name cannot be resolved")]
    Resolve(#[source] Arc<io::Error>),
    /// The operating system refused the connection.
    #[error(transparent)]
    Io(Arc<io::Error>),
    /// The time was over before tor had answered everything.
    #[error(transparent)]
    Timeout(Timeout),
    /// The connection was opened, and the first question was not answered: this is no control
    /// port, or its tor has stopped.
    #[error("it does not answer: no control port, or a tor that has stopped")]
    Silent(#[source] Timeout),
    /// Something else than a control port answered; a SOCKS port given by mistake is the usual
    /// cause.
    #[error("not a control port: it answered \"{excerpt}\"")]
    NotAControlPort {
        /// The beginning of what it sent, escaped; empty if it closed without a word.
        excerpt: Box<str>,
    },
    /// The connection ended before it was ready.
    #[error("the connection ended during the handshake")]
    Closed(#[source] Disconnect),
    /// tor refused a command of the handshake.
    #[error(transparent)]
    Rejected(Rejection),
    /// A password is longer than a command of tor can be; only where several addresses are tried,
    /// otherwise it is an [`Error::InvalidInput`](crate::Error::InvalidInput) of its own.
    #[error(transparent)]
    InvalidInput(InvalidInput),
    /// Authentication failed; only where several addresses are tried, otherwise it is an
    /// [`Error::Auth`](crate::Error::Auth) of its own.
    #[error(transparent)]
    Auth(AuthError),
}

impl ConnectAttempt {
    pub(crate) fn new(address: &str, problem: ConnectProblem) -> Self {
        Self { address: address.into(), problem }
    }

    /// Returns the address as text, such as `127.0.0.1:9051` or `unix:/run/tor/control`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns why it gave no connection.
    #[must_use]
    pub fn problem(&self) -> &ConnectProblem {
        &self.problem
    }
}

impl ConnectError {
    pub(crate) fn new(attempts: Vec<ConnectAttempt>) -> Self {
        Self { attempts: attempts.into() }
    }

    /// Returns every address that was tried, in order.
    #[must_use]
    pub fn attempts(&self) -> &[ConnectAttempt] {
        &self.attempts
    }

    /// Returns the operating system's error of the last attempt.
    pub(super) fn io_error(&self) -> Option<&io::Error> {
        match &self.attempts.last()?.problem {
            ConnectProblem::Io(error) | ConnectProblem::Resolve(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether every address that was tried failed because its time was over: with a
    /// longer limit the same call may succeed. If one of them failed for another reason, that is
    /// the one to look at.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let is_late = |attempt: &ConnectAttempt| {
            matches!(attempt.problem, ConnectProblem::Timeout(_) | ConnectProblem::Silent(_))
        };
        !self.attempts.is_empty() && self.attempts.iter().all(is_late)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.attempts {
            [only] => write!(f, "cannot connect to {}", printable(&*only.address)),
            several => {
                f.write_str("cannot connect to any of the addresses")?;
                for (n, attempt) in several.iter().enumerate() {
                    let separator = if n == 0 { ": " } else { "; " };
                    let address = printable(&*attempt.address);
                    write!(f, "{separator}{address} ({}", attempt.problem)?;
                    // The only place for the causes: `source` cannot return several.
                    let mut cause = attempt.problem.source();
                    while let Some(error) = cause {
                        write!(f, ": {error}")?;
                        cause = error.source();
                    }
                    f.write_str(")")?;
                }
                Ok(())
            }
        }
    }
}

impl StdError for ConnectError {
    /// Returns the problem of the only address; a list of several is told by `Display`.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.attempts {
            [only] => Some(&only.problem),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{ConnectAttempt, ConnectError, ConnectProblem};

    fn not_a_control_port(address: &str) -> ConnectAttempt {
        let problem = ConnectProblem::NotAControlPort { excerpt: "SSH-2.0".into() };
        ConnectAttempt::new(address, problem)
    }

    #[test]
    fn one_address_leaves_its_problem_to_the_source() {
        let error = ConnectError::new(vec![not_a_control_port("127.0.0.1:22")]);
        assert_eq!(error.to_string(), "cannot connect to 127.0.0.1:22");
        let source = error.source().unwrap().to_string();
        assert_eq!(source, r#"not a control port: it answered "SSH-2.0""#);
    }

    #[test]
    fn several_addresses_are_told_in_order() {
        let error = ConnectError::new(vec![
            not_a_control_port("127.0.0.1:22"),
            not_a_control_port("[::1]:22"),
        ]);
        assert!(error.source().is_none());
        assert_eq!(
            error.to_string(),
            "cannot connect to any of the addresses: \
             127.0.0.1:22 (not a control port: it answered \"SSH-2.0\"); \
             [::1]:22 (not a control port: it answered \"SSH-2.0\")"
        );
    }
}
