use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{AuthError, Disconnect, InvalidInput, Rejection, Timeout};
use crate::names::printable;

/// The error of a control connection that could not be opened: every address that was tried, with
/// the problem of each.
///
/// # Examples
///
/// ```
/// use torcon::Error;
///
/// let Err(Error::Connect(error)) = torcon::connect("unix:/nonexistent/control") else { panic!() };
/// assert_eq!(error.attempts().len(), 1);
/// assert!(!error.is_timeout());
/// ```
#[derive(Clone, Debug)]
pub struct ConnectError {
    attempts: Arc<[ConnectAttempt]>,
    /// Whether the user is to connect to a tor that runs already.
    has_advice: bool,
}

/// The advice if no port is open at any address.
const OPEN_A_PORT: &str = "start tor, or open its control port with two lines in its torrc: \
                           ControlPort 9051, and CookieAuthentication 1";

/// The advice if no unix socket exists at any path.
const OPEN_A_SOCKET: &str = "start tor, or let it open this socket with two lines in its torrc: \
                             ControlSocket and the path, and CookieAuthentication 1";

/// The advice if no port is open on another machine.
const OPEN_A_PORT_ELSEWHERE: &str = "start tor on that machine, or forward its control port to this \
                                     one: unless ControlPort names an address, only its own \
                                     machine reaches it";

/// The advice if a unix socket is closed to this user.
const JOIN_THE_GROUP: &str = "join the group of the socket (on Debian and Ubuntu: sudo adduser \
                              $USER debian-tor) and log in again";

/// The advice if the port is a `SocksPort`.
const OTHER_PORT: &str = "this is tor's SocksPort; its control port is another one, usually 9051 \
                          (9151 in Tor Browser)";

/// The words by which a `SocksPort` of tor answers a control command.
const ANSWER_OF_A_SOCKS_PORT: &str = "Tor is not an HTTP Proxy";

/// An attempt to connect to one address.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use torcon::Error;
/// use torcon::error::ConnectProblem;
///
/// let Err(Error::Connect(error)) = torcon::connect("unix:/nonexistent/control") else { panic!() };
/// let attempt = &error.attempts()[0];
/// assert_eq!(attempt.address(), "unix:/nonexistent/control");
/// match attempt.problem() {
///     ConnectProblem::Io(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
///     problem => panic!("{problem}"),
/// }
/// ```
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
    #[error("not a control port: {}", answer(.excerpt))]
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

fn answer(excerpt: &str) -> String {
    match excerpt {
        "" => "it closed the connection without an answer".to_owned(),
        excerpt => format!("it answered \"{excerpt}\""),
    }
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

    fn is_unix(&self) -> bool {
        self.address.starts_with("unix:")
    }

    /// Whether the address is not the loopback of this machine.
    fn is_elsewhere(&self) -> bool {
        match self.address.parse::<SocketAddr>() {
            Ok(address) => !address.ip().to_canonical().is_loopback(),
            Err(_) => !self.is_unix() && !self.address.starts_with("localhost:"),
        }
    }

    /// Returns why the attempt failed.
    #[must_use]
    pub fn problem(&self) -> &ConnectProblem {
        &self.problem
    }
}

impl ConnectProblem {
    fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io(error) => Some(error.kind()),
            _ => None,
        }
    }
}

impl ConnectError {
    pub(crate) fn new(attempts: Vec<ConnectAttempt>) -> Self {
        Self { attempts: attempts.into(), has_advice: false }
    }

    /// Adds [`advice`](Self::advice).
    pub(crate) fn with_advice(self) -> Self {
        Self { has_advice: true, ..self }
    }

    pub(super) fn without_advice(self) -> Self {
        Self { has_advice: false, ..self }
    }

    /// Returns advice, as a sentence without a final stop, if there is some: how to open a control
    /// port, or how to get access to it. [`Error`](crate::Error) prints it behind the reasons.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        if !self.has_advice {
            return None;
        }
        let problems = || self.attempts.iter().map(ConnectAttempt::problem);
        let auth = problems().find_map(|problem| match problem {
            ConnectProblem::Auth(error) => Some(error.advice()),
            _ => None,
        });
        let is_closed_to_user = |attempt: &ConnectAttempt| {
            attempt.is_unix() && attempt.problem.io_kind() == Some(io::ErrorKind::PermissionDenied)
        };
        let is_socks_port = |problem: &ConnectProblem| match problem {
            ConnectProblem::NotAControlPort { excerpt } => excerpt.contains(ANSWER_OF_A_SOCKS_PORT),
            _ => false,
        };
        let is_not_open = |problem: &ConnectProblem| {
            let kind = problem.io_kind();
            matches!(kind, Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound))
        };
        match auth {
            Some(advice) => Some(advice),
            None if self.attempts.iter().any(is_closed_to_user) => Some(JOIN_THE_GROUP),
            None if problems().any(is_socks_port) => Some(OTHER_PORT),
            None if !problems().all(is_not_open) => None,
            None if self.attempts.iter().all(ConnectAttempt::is_unix) => Some(OPEN_A_SOCKET),
            None if self.attempts.iter().all(ConnectAttempt::is_elsewhere) => {
                Some(OPEN_A_PORT_ELSEWHERE)
            }
            None => Some(OPEN_A_PORT),
        }
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
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{
        ConnectAttempt, ConnectError, ConnectProblem, JOIN_THE_GROUP, OPEN_A_PORT,
        OPEN_A_PORT_ELSEWHERE, OPEN_A_SOCKET, OTHER_PORT,
    };
    use crate::error::{AuthError, AuthProblem, Error, Timeout, Wait};
    use crate::names::AuthMethod;

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

    #[test]
    fn an_error_is_a_timeout_only_if_every_attempt_timed_out() {
        let timed_out = || {
            let limit = Timeout::new(Wait::Connect, Duration::from_secs(1));
            ConnectAttempt::new("127.0.0.1:9051", ConnectProblem::Timeout(limit))
        };
        let refused = || not_a_control_port("127.0.0.1:22");
        for (attempts, is_timeout) in [
            (vec![], false),
            (vec![timed_out()], true),
            (vec![timed_out(), timed_out()], true),
            (vec![refused(), timed_out()], false),
            (vec![timed_out(), refused()], false),
        ] {
            let error = Error::from(ConnectError::new(attempts));
            assert_eq!(error.is_timeout(), is_timeout, "{error}");
        }
    }

    #[test]
    fn advice_is_given_once_for_what_the_user_can_change() {
        let io = |kind: io::ErrorKind| ConnectProblem::Io(Arc::new(kind.into()));
        let refused_at = |address| (address, io(io::ErrorKind::ConnectionRefused));
        let refused = || refused_at("127.0.0.1:9051");
        let missing = || ("unix:/run/tor/control", io(io::ErrorKind::NotFound));
        let closed = || ("unix:/run/tor/control", io(io::ErrorKind::PermissionDenied));
        let firewall = || ("192.0.2.1:9051", io(io::ErrorKind::PermissionDenied));
        let reset = || ("127.0.0.1:9051", io(io::ErrorKind::ConnectionReset));
        let answered = |excerpt: &str| {
            ("127.0.0.1:9050", ConnectProblem::NotAControlPort { excerpt: excerpt.into() })
        };
        let socks = || answered("HTTP/1.0 501 Tor is not an HTTP Proxy");
        let auth = || {
            let tried = Some(AuthMethod::HashedPassword);
            let error = AuthError::new(&[], tried, AuthProblem::PasswordMissing);
            ("127.0.0.1:9051", ConnectProblem::Auth(error))
        };
        let no_password = "give one with ConnectOptions::password, or set CookieAuthentication 1 \
                           in the torrc";
        for (attempts, expected) in [
            (vec![refused()], Some(OPEN_A_PORT)),
            (vec![missing(), refused()], Some(OPEN_A_PORT)),
            (vec![missing()], Some(OPEN_A_SOCKET)),
            (vec![refused_at("localhost:9051")], Some(OPEN_A_PORT)),
            (vec![refused_at("[::1]:9051")], Some(OPEN_A_PORT)),
            (vec![refused_at("10.0.0.7:9051")], Some(OPEN_A_PORT_ELSEWHERE)),
            (vec![refused_at("tor.local:1"), refused_at("[fe80::1%2]:1")], {
                Some(OPEN_A_PORT_ELSEWHERE)
            }),
            (vec![refused_at("10.0.0.7:9051"), refused()], Some(OPEN_A_PORT)),
            (vec![missing(), reset()], None),
            (vec![closed(), refused()], Some(JOIN_THE_GROUP)),
            (vec![firewall()], None),
            (vec![missing(), socks()], Some(OTHER_PORT)),
            (vec![missing(), answered("SSH-2.0")], None),
            (vec![closed(), refused(), auth()], Some(no_password)),
        ] {
            let attempt = |(address, problem)| ConnectAttempt::new(address, problem);
            let error = ConnectError::new(attempts.into_iter().map(attempt).collect());
            assert_eq!(error.advice(), None);
            let error = error.with_advice();
            assert_eq!(error.advice(), expected, "{error}");
            let shown = format!("{:?}", Error::from(error.clone()));
            let hints = shown.matches("; hint: ").count();
            assert_eq!(hints, usize::from(expected.is_some()), "{shown}");
            let shown = format!("{:?}", Error::from(error).without_advice());
            assert!(!shown.contains("hint"), "{shown}");
        }
    }
}
