use std::error::Error as StdError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;

use super::{ProtocolError, Timeout, Wait};
use crate::names::printable;

/// The error of a request to a SOCKS proxy.
///
/// # Examples
///
/// ```no_run
/// use torcon::error::SocksCode;
/// use torcon::{Error, Tor};
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// match tor.connect_stream("example.com:81") {
///     Err(Error::Socks(error)) if error.code() == Some(SocksCode::ConnectionRefused) => {
///         eprintln!("the exit reached the host, which refused");
///     }
///     Err(Error::Socks(error)) => eprintln!("{error}; {}", error.advice().unwrap_or_default()),
///     outcome => drop(outcome?),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SocksError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    proxy: Box<str>,
    action: Box<str>,
    problem: SocksProblem,
}

/// Why a request to a SOCKS proxy failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocksProblem {
    /// tor has no open `SocksPort`: none is configured, or `DisableNetwork` is set.
    #[error("tor has no open SocksPort")]
    NoListener,
    /// Every open `SocksPort` of tor is on the loopback or a unix socket of another machine.
    #[error(
        "the SocksPort {listener} can be reached only on tor's machine: let tor listen on another \
         address, or set ConnectOptions::socks_port"
    )]
    ListenerElsewhere {
        /// The first of these ports, in the form of `GETINFO net/listeners/socks`.
        listener: Box<str>,
    },
    /// The host name of the proxy could not be resolved.
    #[error("the host name of the proxy cannot be resolved")]
    Resolve(#[source] Arc<io::Error>),
    /// The proxy is unreachable.
    #[error("cannot connect to the proxy")]
    Unreachable(#[source] Arc<io::Error>),
    /// A time limit passed.
    #[error(transparent)]
    Timeout(Timeout),
    /// The peer does not speak SOCKS5.
    #[error("not a SOCKS5 proxy: it answered \"{excerpt}\"")]
    NotSocks {
        /// The first bytes that the peer sent, escaped.
        excerpt: Box<str>,
    },
    /// The proxy closed the connection before its answer was complete.
    #[error("the proxy closed the connection before its answer to {0} was complete")]
    Closed(SocksStep),
    /// The connection to the proxy failed.
    #[error("the connection to the proxy failed at {step}")]
    Broken {
        /// The step of the handshake.
        step: SocksStep,
        /// The operating system's error.
        #[source]
        error: Arc<io::Error>,
    },
    /// The proxy does not accept the offered authentication method.
    #[error("the proxy does not accept {}", offered(*.with_password))]
    NoMethod {
        /// Whether user name and password were offered, or no authentication.
        with_password: bool,
    },
    /// The proxy does not accept this user name and password.
    #[error("the proxy refused the user name and password: status {status}")]
    Credentials {
        /// The status in the answer.
        status: u8,
    },
    /// The proxy refused the request.
    #[error("the proxy refused: {code} ({code:#X})")]
    Refused {
        /// The failure code of the reply.
        code: SocksCode,
    },
    /// The proxy sent an answer that is not valid in SOCKS5.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// The operating system returned no random numbers for a fresh isolation token.
    #[error("the operating system returned no random numbers")]
    NoRandom(#[source] Arc<io::Error>),
}

fn offered(with_password: bool) -> &'static str {
    if with_password { "user name and password" } else { "clients without authentication" }
}

/// The steps of a SOCKS5 handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocksStep {
    /// The negotiation of the authentication method.
    Greeting,
    /// User name and password.
    Credentials,
    /// The request: CONNECT, RESOLVE or `RESOLVE_PTR`.
    Request,
}

impl fmt::Display for SocksStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Greeting => "the greeting",
            Self::Credentials => "user name and password",
            Self::Request => "the request",
        })
    }
}

/// Generates [`SocksCode`], its numbers and its texts from one table.
macro_rules! socks_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)*) => {
        /// The failure code of a SOCKS5 reply.
        ///
        /// tor sends its own codes for onion services if the `SocksPort` has the flag
        /// `ExtendedErrors`, and otherwise [`HostUnreachable`](Self::HostUnreachable) or
        /// [`GeneralFailure`](Self::GeneralFailure).
        ///
        /// Two values are equal if their codes are equal.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum SocksCode {
            $($(#[$doc])* $variant,)*
            /// A code that this version of torcon does not know.
            Unrecognized(u8),
        }

        impl SocksCode {
            /// Returns the code as a number.
            #[must_use]
            pub fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unrecognized(code) => code,
                }
            }
        }

        impl From<u8> for SocksCode {
            fn from(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    code => Self::Unrecognized(code),
                }
            }
        }

        impl fmt::Display for SocksCode {
            /// Writes the meaning of the code.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match Self::from(self.code()) {
                    $(Self::$variant => $text,)*
                    Self::Unrecognized(_) => "unknown code",
                })
            }
        }
    };
}

socks_codes! {
    /// 0x01: any other failure. tor sends it for a target that is not valid, if no exit policy allows
    /// the target, and mostly if the target refuses the connection, since exits confuse the reasons.
    GeneralFailure = 0x01, "general failure";
    /// 0x02: the proxy does not allow the target. tor tries other exits, and sends
    /// [`GeneralFailure`](Self::GeneralFailure) in the end.
    NotAllowed = 0x02, "the target is not allowed";
    /// 0x03: the network is unreachable.
    NetworkUnreachable = 0x03, "the network is unreachable";
    /// 0x04: the host is unreachable. tor also sends it for a name that it cannot resolve.
    HostUnreachable = 0x04, "the host is unreachable";
    /// 0x05: the host refused the connection. tor sends it for a port that an onion service does not
    /// have, but seldom for other targets; see [`GeneralFailure`](Self::GeneralFailure).
    ConnectionRefused = 0x05, "the host refused the connection";
    /// 0x06: tor gave up, since no circuit reached the target within its `SocksTimeout`. It sends
    /// [`GeneralFailure`](Self::GeneralFailure) instead if it tries another circuit at that moment.
    TtlExpired = 0x06, "no circuit reached the target in time";
    /// 0x07: the proxy does not support the command; only tor supports resolving.
    CommandNotSupported = 0x07, "the command is not supported";
    /// 0x08: the proxy does not support the address type.
    AddressTypeNotSupported = 0x08, "the address type is not supported";
    /// 0xF0: the descriptor of the onion service was not found.
    OnionDescriptorNotFound = 0xf0, "the onion service's descriptor was not found";
    /// 0xF1: the descriptor of the onion service or its signature is invalid.
    OnionDescriptorInvalid = 0xf1, "the onion service's descriptor is invalid";
    /// 0xF2: the introduction failed at every introduction point of the onion service.
    OnionIntroductionFailed = 0xf2, "the introduction to the onion service failed";
    /// 0xF3: the rendezvous with the onion service failed.
    OnionRendezvousFailed = 0xf3, "the rendezvous with the onion service failed";
    /// 0xF4: the onion service requires client authorization, and tor has no key for it.
    OnionMissingClientAuth = 0xf4, "the onion service requires client authorization, and tor has no key for it";
    /// 0xF5: the onion service does not accept tor's key of client authorization.
    OnionWrongClientAuth = 0xf5, "the onion service does not accept the key of client authorization";
    /// 0xF6: the onion address is invalid.
    OnionBadAddress = 0xf6, "the onion address is invalid";
    /// 0xF7: all introductions to the onion service timed out.
    OnionIntroductionTimedOut = 0xf7, "the introduction to the onion service timed out";
}

impl PartialEq for SocksCode {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for SocksCode {}

impl Hash for SocksCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code().hash(state);
    }
}

impl fmt::UpperHex for SocksCode {
    /// Writes the code; `{:#X}` as `0xF0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if f.alternate() { "0x" } else { "" };
        write!(f, "{prefix}{:02X}", self.code())
    }
}

impl SocksError {
    /// Creates the error "cannot `action` through the SOCKS proxy `proxy`".
    pub(crate) fn new(proxy: &str, action: &str, problem: SocksProblem) -> Self {
        Self { inner: Arc::new(Inner { proxy: proxy.into(), action: action.into(), problem }) }
    }

    /// Returns the proxy as text, such as `127.0.0.1:9050` or `unix:/run/tor/socks`.
    #[must_use]
    pub fn proxy(&self) -> &str {
        &self.inner.proxy
    }

    /// Returns why the request failed.
    #[must_use]
    pub fn problem(&self) -> &SocksProblem {
        &self.inner.problem
    }

    /// Returns the failure code, if the proxy refused the request.
    #[must_use]
    pub fn code(&self) -> Option<SocksCode> {
        match self.inner.problem {
            SocksProblem::Refused { code } => Some(code),
            _ => None,
        }
    }

    /// Returns advice, as a sentence without a final stop, if there is some.
    /// [`Error`](crate::Error) prints it behind the reasons.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let may_be_another_port = match &self.inner.problem {
            SocksProblem::Unreachable(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
            }
            // A control port waits for the end of a line.
            SocksProblem::Timeout(timeout) => *timeout.wait() == Wait::SocksGreeting,
            SocksProblem::NotSocks { .. } => true,
            SocksProblem::NoListener => {
                return Some("set the option SocksPort of this tor, or its DisableNetwork to 0");
            }
            _ => false,
        };
        may_be_another_port.then_some(
            "make sure that tor is running and that this is its SocksPort, usually 9050 (9150 in \
             Tor Browser)",
        )
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self.inner.problem, SocksProblem::Timeout(_))
    }
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { proxy, action, .. } = &*self.inner;
        let (action, proxy) = (printable(&**action), printable(&**proxy));
        write!(f, "cannot {action} through the SOCKS proxy {proxy}")
    }
}

impl StdError for SocksError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.inner.problem)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{SocksCode, SocksError, SocksProblem, SocksStep};

    #[test]
    fn every_code_keeps_its_number() {
        let mut known = 0;
        for number in 0..=u8::MAX {
            let code = SocksCode::from(number);
            assert_eq!(code.code(), number);
            assert_eq!(code, SocksCode::Unrecognized(number));
            assert_eq!(code.to_string(), SocksCode::Unrecognized(number).to_string());
            known += usize::from(code.to_string() != "unknown code");
        }
        assert_eq!(known, 16);
    }

    #[test]
    fn an_error_names_the_request_the_proxy_and_the_code() {
        let text = |problem| {
            let error = SocksError::new("127.0.0.1:9050", "connect to a.example:80", problem);
            assert_eq!(
                error.to_string(),
                "cannot connect to a.example:80 through the SOCKS proxy 127.0.0.1:9050"
            );
            error.source().unwrap().to_string()
        };
        assert_eq!(
            text(SocksProblem::Refused { code: 0xf0.into() }),
            "the proxy refused: the onion service's descriptor was not found (0xF0)"
        );
        assert_eq!(
            text(SocksProblem::Refused { code: 5.into() }),
            "the proxy refused: the host refused the connection (0x05)"
        );
        assert_eq!(
            text(SocksProblem::NoMethod { with_password: true }),
            "the proxy does not accept user name and password"
        );
        assert_eq!(
            text(SocksProblem::NoMethod { with_password: false }),
            "the proxy does not accept clients without authentication"
        );
        assert_eq!(
            text(SocksProblem::Credentials { status: 1 }),
            "the proxy refused the user name and password: status 1"
        );
        assert_eq!(
            text(SocksProblem::Closed(SocksStep::Request)),
            "the proxy closed the connection before its answer to the request was complete"
        );
    }
}
