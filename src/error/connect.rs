use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::{AuthError, Disconnect, InvalidInput, Rejection, Timeout};
use crate::names::printable;

/// The error of a control connection that could not be opened: every address that was tried, with
/// the problem of each.
#[derive(Clone, Debug)]
pub struct ConnectError {
    attempts: Arc<[ConnectAttempt]>,
}

/// An attempt to connect to one address.
#[derive(Clone, Debug)]
pub struct ConnectAttempt {
    address: Box<str>,
    problem: ConnectProblem,
}

/// Why an attempt failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectProblem {
    /// The host name could not be resolved.
    #[error("the host name cannot be resolved")]
    Resolve(#[source] Arc<io::Error>),
    /// The operating system refused the connection.
    #[error(transparent)]
    Io(Arc<io::Error>),
    /// The time limit passed during the handshake.
    #[error(transparent)]
    Timeout(Timeout),
    /// The connection was opened, but the first command was not answered: the peer is not a control
    /// port, or a tor that is stopped.
    #[error("no answer to the first command: not a control port, or a tor that is stopped")]
    Silent(#[source] Timeout),
    /// The peer does not speak the control protocol. Usually the address is that of a `SocksPort`.
    #[error("not a control port: it answered \"{excerpt}\"")]
    NotAControlPort {
        /// The first bytes that the peer sent, escaped; empty if it closed without sending any.
        excerpt: Box<str>,
    },
    /// The connection ended during the handshake.
    #[error("the connection ended during the handshake")]
    Closed(#[source] Disconnect),
    /// tor refused a command of the handshake.
    #[error(transparent)]
    Rejected(Rejection),
    /// A password exceeds the length of a command. If only one address was tried,
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) is returned instead.
    #[error(transparent)]
    InvalidInput(InvalidInput),
    /// Authentication failed. If only one address was tried, [`Error::Auth`](crate::Error::Auth) is
    /// returned instead.
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

    /// Returns why the attempt failed.
    #[must_use]
    pub fn problem(&self) -> &ConnectProblem {
        &self.problem
    }
}

impl ConnectError {
    pub(crate) fn new(attempts: Vec<ConnectAttempt>) -> Self {
        Self { attempts: attempts.into() }
    }

    /// Returns every attempt, in order.
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

    /// Returns whether every attempt timed out, so that the same call may succeed with a longer
    /// limit.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let timed_out = |attempt: &ConnectAttempt| {
            matches!(attempt.problem, ConnectProblem::Timeout(_) | ConnectProblem::Silent(_))
        };
        !self.attempts.is_empty() && self.attempts.iter().all(timed_out)
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
                    // `source` can return only one error.
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
    /// Returns the problem of the only attempt; `Display` lists those of several.
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
    fn the_problem_of_a_single_address_is_the_source() {
        let error = ConnectError::new(vec![not_a_control_port("127.0.0.1:22")]);
        assert_eq!(error.to_string(), "cannot connect to 127.0.0.1:22");
        let source = error.source().unwrap().to_string();
        assert_eq!(source, r#"not a control port: it answered "SSH-2.0""#);
    }

    #[test]
    fn several_addresses_are_listed_in_order() {
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
