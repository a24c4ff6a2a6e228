use std::error::Error as StdError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;

use super::{ProtocolError, Timeout};
use crate::names::printable;

/// Something that was asked of a SOCKS proxy has failed.
#[derive(Clone, Debug)]
pub struct SocksError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    proxy: Box<str>,
    wish: Box<str>,
    problem: SocksProblem,
}

/// Why a SOCKS proxy did not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocksProblem {
    /// The tor that was to be the proxy has no open `SocksPort`: none is configured, or its network
    /// is switched off.
    #[error("tor has no open SocksPort")]
    NoListener,
    /// Every open `SocksPort` of tor is on the loopback or a unix socket of another machine.
    #[error(
        "its SocksPort {listener} is reached only on tor's machine: let it listen on another \
         address, or set ConnectOptions::socks_port"
    )]
    ListenerElsewhere {
        /// The first of them, as tor names it.
        listener: Box<str>,
    },
    /// The host name of the proxy could not be resolved.
    #[error("the host name of the proxy cannot be resolved")]
    Resolve(#[source] Arc<io::Error>),
    /// No connection to the proxy could be opened.
    #[error("no connection to the proxy can be opened")]
    Unreachable(#[source] Arc<io::Error>),
    /// The time was over.
    #[error(transparent)]
    Timeout(Timeout),
    /// Something else than a SOCKS proxy answered, or one of another version.
    #[error("not a SOCKS5 proxy: it answered \"{excerpt}\"")]
    NotSocks {
        /// The beginning of what it sent, escaped.
        excerpt: Box<str>,
    },
    /// The proxy ended the connection before it had answered.
    #[error("the proxy closed the connection without a whole answer to {0}")]
    Closed(SocksStep),
    /// The connection to the proxy broke.
    #[error("the connection to the proxy broke at {step}")]
    Broken {
        /// What was being done.
        step: SocksStep,
        /// What the operating system says.
        #[source]
        error: Arc<io::Error>,
    },
    /// The proxy takes none of the ways to authenticate that were offered.
    #[error("the proxy refused at {}: it does not take {}", SocksStep::Greeting, offered(*.with_password))]
    NoMethod {
        /// Whether user and password were offered, and nothing else.
        with_password: bool,
    },
    /// The proxy does not let this user in.
    #[error("the proxy refused at {}: status {status}", SocksStep::Credentials)]
    Credentials {
        /// The status that it gave.
        status: u8,
    },
    /// The proxy answered with a failure.
    #[error("the proxy refused: {code} ({code:#X})")]
    Refused {
        /// What it answered.
        code: SocksCode,
    },
    /// The proxy sent something that cannot be read.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// The operating system gave no random numbers for a token of isolation.
    #[error("the operating system gave no random numbers")]
    NoRandom(#[source] Arc<io::Error>),
}

fn offered(with_password: bool) -> &'static str {
    if with_password { "user and password" } else { "clients without user and password" }
}

/// The steps of a SOCKS5 handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocksStep {
    /// The versions and the ways to authenticate.
    Greeting,
    /// User and password.
    Credentials,
    /// What the proxy is asked to do.
    Request,
}

impl fmt::Display for SocksStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Greeting => "the greeting",
            Self::Credentials => "user and password",
            Self::Request => "the request",
        })
    }
}

/// The code of a failure in a SOCKS5 answer.
///
/// Those of onion services are tor's own; it sends them if the `SocksPort` has the flag
/// `ExtendedErrors`, and otherwise [`HostUnreachable`](Self::HostUnreachable) or
/// [`GeneralFailure`](Self::GeneralFailure).
///
/// Two values are equal if their codes are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum SocksCode {
    /// 0x01: something else. tor says so of targets that it does not take; if no exit takes the
    /// target; and mostly if the target refuses the connection, since exits confuse the reasons.
    GeneralFailure,
    /// 0x02: the proxy does not allow this target. tor asks other exits if one does not allow it,
    /// and in the end says [`GeneralFailure`](Self::GeneralFailure).
    NotAllowed,
    /// 0x03: the network is unreachable.
    NetworkUnreachable,
    /// 0x04: the host is unreachable. tor says so, too, of names that it cannot resolve.
    HostUnreachable,
    /// 0x05: the host refused the connection. tor says so of a port that an onion service does not
    /// have, but seldom of other targets; see [`GeneralFailure`](Self::GeneralFailure).
    ConnectionRefused,
    /// 0x06: tor gave up; it had no way to the target within its `SocksTimeout`.
    TtlExpired,
    /// 0x07: the proxy does not know the command; only tor knows how to resolve.
    CommandNotSupported,
    /// 0x08: the proxy does not take this kind of address.
    AddressTypeNotSupported,
    /// 0xF0: the descriptor of the onion service is nowhere to be found.
    OnionDescriptorNotFound,
    /// 0xF1: the descriptor of the onion service cannot be read or is not signed by it.
    OnionDescriptorInvalid,
    /// 0xF2: no introduction point of the onion service did its work.
    OnionIntroductionFailed,
    /// 0xF3: the onion service did not come to the rendezvous.
    OnionRendezvousFailed,
    /// 0xF4: the onion service asks for client authorization, and tor has no key for it.
    OnionMissingClientAuth,
    /// 0xF5: the onion service does not let the key in that tor has for it.
    OnionWrongClientAuth,
    /// 0xF6: the onion address is not one.
    OnionBadAddress,
    /// 0xF7: all introductions to the onion service timed out.
    OnionIntroductionTimedOut,
    /// A code that this version of torcon does not know.
    Unrecognized(u8),
}

impl SocksCode {
    /// Returns the code as it is sent.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::GeneralFailure => 0x01,
            Self::NotAllowed => 0x02,
            Self::NetworkUnreachable => 0x03,
            Self::HostUnreachable => 0x04,
            Self::ConnectionRefused => 0x05,
            Self::TtlExpired => 0x06,
            Self::CommandNotSupported => 0x07,
            Self::AddressTypeNotSupported => 0x08,
            Self::OnionDescriptorNotFound => 0xf0,
            Self::OnionDescriptorInvalid => 0xf1,
            Self::OnionIntroductionFailed => 0xf2,
            Self::OnionRendezvousFailed => 0xf3,
            Self::OnionMissingClientAuth => 0xf4,
            Self::OnionWrongClientAuth => 0xf5,
            Self::OnionBadAddress => 0xf6,
            Self::OnionIntroductionTimedOut => 0xf7,
            Self::Unrecognized(code) => code,
        }
    }
}

impl From<u8> for SocksCode {
    fn from(code: u8) -> Self {
        match code {
            0x01 => Self::GeneralFailure,
            0x02 => Self::NotAllowed,
            0x03 => Self::NetworkUnreachable,
            0x04 => Self::HostUnreachable,
            0x05 => Self::ConnectionRefused,
            0x06 => Self::TtlExpired,
            0x07 => Self::CommandNotSupported,
            0x08 => Self::AddressTypeNotSupported,
            0xf0 => Self::OnionDescriptorNotFound,
            0xf1 => Self::OnionDescriptorInvalid,
            0xf2 => Self::OnionIntroductionFailed,
            0xf3 => Self::OnionRendezvousFailed,
            0xf4 => Self::OnionMissingClientAuth,
            0xf5 => Self::OnionWrongClientAuth,
            0xf6 => Self::OnionBadAddress,
            0xf7 => Self::OnionIntroductionTimedOut,
            code => Self::Unrecognized(code),
        }
    }
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

impl fmt::Display for SocksCode {
    /// Writes what the code means.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match Self::from(self.code()) {
            Self::GeneralFailure => "general failure",
            Self::NotAllowed => "the target is not allowed",
            Self::NetworkUnreachable => "the network is unreachable",
            Self::HostUnreachable => "the host is unreachable",
            Self::ConnectionRefused => "the host refused the connection",
            Self::TtlExpired => "there was no way to the target in time",
            Self::CommandNotSupported => "the command is not supported",
            Self::AddressTypeNotSupported => "the kind of address is not supported",
            Self::OnionDescriptorNotFound => "the onion service's descriptor was not found",
            Self::OnionDescriptorInvalid => "the onion service's descriptor is invalid",
            Self::OnionIntroductionFailed => "the introduction to the onion service failed",
            Self::OnionRendezvousFailed => "the rendezvous with the onion service failed",
            Self::OnionMissingClientAuth => {
                "the onion service asks for client authorization, and there is no key for it"
            }
            Self::OnionWrongClientAuth => {
                "the onion service refuses the key of client authorization"
            }
            Self::OnionBadAddress => "the onion address is invalid",
            Self::OnionIntroductionTimedOut => "the introduction to the onion service timed out",
            Self::Unrecognized(_) => "a failure without a known meaning",
        })
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
    /// `wish` completes "cannot ...".
    pub(crate) fn new(proxy: &str, wish: &str, problem: SocksProblem) -> Self {
        Self { inner: Arc::new(Inner { proxy: proxy.into(), wish: wish.into(), problem }) }
    }

    /// Returns the proxy as text, such as `127.0.0.1:9050` or `unix:/run/tor/socks`.
    #[must_use]
    pub fn proxy(&self) -> &str {
        &self.inner.proxy
    }

    /// Returns why it failed.
    #[must_use]
    pub fn problem(&self) -> &SocksProblem {
        &self.inner.problem
    }

    /// Returns the code that the proxy gave, if it answered with a failure.
    #[must_use]
    pub fn code(&self) -> Option<SocksCode> {
        match self.inner.problem {
            SocksProblem::Refused { code } => Some(code),
            _ => None,
        }
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self.inner.problem, SocksProblem::Timeout(_))
    }
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { proxy, wish, .. } = &*self.inner;
        let (wish, proxy) = (printable(&**wish), printable(&**proxy));
        write!(f, "cannot {wish} through the SOCKS proxy {proxy}")
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
    fn every_code_has_a_meaning_and_keeps_its_number() {
        let mut known = 0;
        for number in 0..=u8::MAX {
            let code = SocksCode::from(number);
            assert_eq!(code.code(), number);
            assert_eq!(code, SocksCode::Unrecognized(number));
            assert_eq!(code.to_string(), SocksCode::Unrecognized(number).to_string());
            known += usize::from(code.to_string() != "a failure without a known meaning");
        }
        assert_eq!(known, 16);
    }

    #[test]
    fn an_error_says_what_was_asked_of_whom_and_what_the_code_means() {
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
            "the proxy refused at the greeting: it does not take user and password"
        );
        assert_eq!(
            text(SocksProblem::NoMethod { with_password: false }),
            "the proxy refused at the greeting: it does not take clients without user and password"
        );
        assert_eq!(
            text(SocksProblem::Credentials { status: 1 }),
            "the proxy refused at user and password: status 1"
        );
        assert_eq!(
            text(SocksProblem::Closed(SocksStep::Request)),
            "the proxy closed the connection without a whole answer to the request"
        );
    }
}
