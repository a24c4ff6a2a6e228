//! One [`Error`] for every fallible operation, over one small type per area.
//!
//! **Invariant**: errors are plain data. They hold no secret, no handle and no lock, are cheap to
//! clone, and their texts never repeat what `source()` returns. The text of an area's error
//! describes its own level only; [`Error`] appends the first reason below it.

mod auth;
mod buffer;
mod canceled;
mod circuit;
mod config;
mod connect;
mod disconnect;
mod input;
mod launch;
mod onion;
#[cfg(feature = "onion-descriptor")]
mod onion_descriptor;
mod path;
mod protocol;
mod read;
mod rejection;
mod resolve;
mod socks;
mod supervisor;
#[cfg(feature = "testnet")]
mod testnet;
mod timeout;
#[cfg(feature = "verify")]
mod verify;

#[doc(alias = "AuthenticationFailure")]
pub use auth::AuthError;
#[doc(alias(
    "UnrecognizedAuthMethods",
    "OpenAuthFailed",
    "OpenAuthRejected",
    "PasswordAuthFailed",
    "PasswordAuthRejected",
    "IncorrectPassword",
    "MissingPassword",
    "CookieAuthFailed",
    "CookieAuthRejected",
    "IncorrectCookieValue",
    "IncorrectCookieSize",
    "UnreadableCookieFile",
    "AuthChallengeFailed",
    "AuthChallengeUnsupported",
    "UnrecognizedAuthChallengeMethod",
    "AuthSecurityFailure",
    "InvalidClientNonce",
    "MissingAuthInfo",
    "NoAuthMethods",
    "NoAuthCookie",
))]
pub use auth::AuthProblem;
pub use buffer::{BufferError, BufferProblem};
pub use canceled::Canceled;
#[doc(alias("CircuitBuildFailedError", "CircuitBuildClosedError"))]
pub use circuit::CircuitError;
pub use circuit::{CircuitEnd, CircuitProblem};
#[doc(alias = "IMMUTABLE_CONFIG_OPTIONS")]
pub use config::ConfigError;
#[doc(alias = "IncorrectSocketType")]
pub use connect::ConnectProblem;
pub use connect::{ConnectAttempt, ConnectError};
#[doc(alias = "TorDisconnectError")]
pub use disconnect::Disconnect;
pub use input::InvalidInput;
pub use launch::LaunchError;
#[doc(alias = "TorNotFound")]
pub use launch::LaunchProblem;
pub(crate) use launch::LaunchReport;
pub use onion::{HsDirFailure, HsDirUpload, OnionError, OnionProblem, RemovedBy, UploadOutcome};
#[cfg(feature = "onion-descriptor")]
pub use onion_descriptor::{OnionDescriptorError, OnionDescriptorProblem};
pub use path::{HopRole, PathError, PathObstacle, PathProblem};
pub use protocol::ProtocolError;
pub(crate) use protocol::excerpt;
pub use read::{ReadError, ReadProblem};
#[doc(alias = "TorProtocolError")]
pub use rejection::Rejection;
pub use rejection::RejectionLine;
pub use resolve::{ResolveError, ResolveProblem};
#[doc(alias(
    "GeneralServerFailureError",
    "ConnectionNotAllowedError",
    "NetworkUnreachableError",
    "HostUnreachableError",
    "ConnectionRefusedError",
    "TtlExpiredError",
    "CommandNotSupportedError",
    "AddressTypeNotSupportedError",
))]
pub use socks::SocksCode;
pub use socks::{SocksError, SocksProblem, SocksStep};
pub use supervisor::{SupervisorError, SupervisorProblem};
#[cfg(feature = "testnet")]
pub use testnet::{TestnetError, TestnetProblem, TestnetStep};
#[doc(alias = "CircuitBuildTimedOutError")]
pub use timeout::Timeout;
pub use timeout::Wait;
#[cfg(feature = "verify")]
pub use verify::{RefusedSignature, VerifyError, VerifyProblem};

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::names::InvalidName;

/// The result of every fallible operation of this crate.
#[doc(alias = "with_default")]
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// Errors are cheap to clone: when a connection ends, every caller gets the same error.
///
/// `{}` prints what failed and the first reason. `{:#}` and `{:?}` print the whole chain of reasons
/// in one line, so that `fn main() -> torcon::Result<()>` prints a readable sentence. `{:#?}`
/// prints the structure, for developers. [`source`](StdError::source) returns the first reason that
/// `{}` does not contain, so a program that prints the chain repeats nothing. If there is advice
/// ([`ConnectError::advice`], [`AuthError::advice`], [`SocksError::advice`]), it follows the
/// reasons as a hint, and `{}` prints the whole chain too.
///
/// The operator `?` converts a `std::io::Error` into [`Error::Io`], and an `Error` into a
/// `std::io::Error` of the matching kind; both conversions keep the original error.
///
/// # Examples
///
/// ```
/// use torcon::Error;
///
/// fn worth_another_try(error: &Error) -> bool {
///     error.is_timeout() || error.is_closed()
/// }
///
/// fn is_unknown_option(error: &Error) -> bool {
///     error.status_code() == Some(552)
/// }
///
/// fn is_blocked_by_tails(error: &Error) -> bool {
///     error.is_filtered()
/// }
/// ```
#[doc(alias = "SocketClosed")]
#[doc(alias = "ControllerError")]
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// tor understood the command and refused it.
    Rejected(Rejection),
    /// The control connection has ended; the reason is the first one that was seen, the same for
    /// every caller.
    Closed(Disconnect),
    /// tor refused to apply a changed configuration.
    Config(ConfigError),
    /// A time limit passed.
    Timeout(Timeout),
    /// This program canceled the operation, by a [`CancelToken`](crate::CancelToken) or by ending
    /// the tor that was being launched.
    Canceled(Canceled),
    /// tor sent a message that this version cannot read.
    Protocol(ProtocolError),
    /// A document of a file could not be read.
    Read(ReadError),
    /// A reply could not be buffered; the connection stays open.
    Buffer(BufferError),
    /// No control connection could be opened.
    Connect(ConnectError),
    /// tor did not accept the authentication, or could not prove that it knows the cookie.
    Auth(AuthError),
    /// A tor process could not be started, did not become ready, or failed later.
    Launch(LaunchError),
    /// A request to a SOCKS proxy failed.
    Socks(SocksError),
    /// A circuit could not be built, or a stream could not be attached to it.
    Circuit(CircuitError),
    /// The relays of a path could not be chosen.
    Path(PathError),
    /// An onion service could not be created or published, or its listener failed.
    Onion(OnionError),
    /// The descriptor of an onion service could not be decrypted.
    /// Needs the Cargo feature `onion-descriptor`.
    #[cfg(feature = "onion-descriptor")]
    OnionDescriptor(OnionDescriptorError),
    /// A name or an address could not be resolved.
    Resolve(ResolveError),
    /// A supervisor has no tor now, or has ended.
    Supervisor(SupervisorError),
    /// An argument is not valid; nothing was sent.
    InvalidInput(InvalidInput),
    /// An operation of `std::io` failed. No function of torcon returns this variant; with it, a
    /// program can use `?` on its own streams too.
    Io(Arc<io::Error>),
    /// A private network could not be started, or one of its relays could not be restarted.
    /// Needs the Cargo feature `testnet`.
    #[cfg(feature = "testnet")]
    Testnet(TestnetError),
    /// The signatures of a directory document were not verified. Needs the Cargo feature `verify`.
    #[cfg(feature = "verify")]
    Verify(VerifyError),
}

impl Error {
    /// Returns whether a time limit passed, also that of a launch.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            Self::Launch(error) => error.is_timeout(),
            Self::Connect(error) => error.is_timeout(),
            Self::Socks(error) => error.is_timeout(),
            Self::Supervisor(error) => error.is_timeout(),
            #[cfg(feature = "testnet")]
            Self::Testnet(error) => error.is_timeout(),
            _ => false,
        }
    }

    /// Returns whether the control connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Returns whether this program canceled the operation.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(self, Self::Canceled(_))
    }

    /// Returns the status code of tor's refusal, if tor refused.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        self.rejection().map(Rejection::code)
    }

    /// Returns whether a filtering proxy in front of tor refused the command. Those of Tails and
    /// Whonix answer `510 Command filtered`.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.rejection().is_some_and(Rejection::is_filtered)
    }

    fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Config(error) => Some(error.rejection()),
            Self::Auth(error) => error.rejection(),
            Self::Circuit(error) => error.rejection(),
            _ => None,
        }
    }
}

/// Generates, for the error type of each area, the arm of `Error::area` and the conversion into
/// [`Error`].
macro_rules! areas {
    ($($(#[$cfg:meta])? $variant:ident($area:ty),)*) => {
        impl Error {
            /// Returns the name of the variant and its error.
            fn area(&self) -> (&'static str, &(dyn StdError + 'static)) {
                match self {
                    // `From<io::Error>` looks inside, so it is not one of the generated conversions.
                    Self::Io(error) => ("Io", error),
                    $($(#[$cfg])? Self::$variant(error) => (stringify!($variant), error),)*
                }
            }
        }

        $(
            $(#[$cfg])?
            impl From<$area> for Error {
                fn from(error: $area) -> Self {
                    Self::$variant(error)
                }
            }
        )*
    };
}

areas! {
    Rejected(Rejection),
    Closed(Disconnect),
    Config(ConfigError),
    Timeout(Timeout),
    Canceled(Canceled),
    Protocol(ProtocolError),
    Read(ReadError),
    Buffer(BufferError),
    Connect(ConnectError),
    Auth(AuthError),
    Launch(LaunchError),
    Socks(SocksError),
    Circuit(CircuitError),
    Path(PathError),
    Onion(OnionError),
    #[cfg(feature = "onion-descriptor")]
    OnionDescriptor(OnionDescriptorError),
    Resolve(ResolveError),
    Supervisor(SupervisorError),
    InvalidInput(InvalidInput),
    #[cfg(feature = "testnet")]
    Testnet(TestnetError),
    #[cfg(feature = "verify")]
    Verify(VerifyError),
}

impl Error {
    /// Returns the advice for the user.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Connect(error) => error.advice(),
            Self::Launch(error) => error.advice(),
            Self::Auth(error) => Some(error.advice()),
            Self::Socks(error) => error.advice(),
            _ => None,
        }
    }

    /// Removes the advice of a connection that the user does not make.
    pub(crate) fn without_advice(self) -> Self {
        match self {
            Self::Connect(error) => error.without_advice().into(),
            error => error,
        }
    }

    /// Returns the first reason, which `{}` prints.
    fn reason(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Closed(reason) => Some(reason),
            error => error.area().1.source(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("the control connection is closed")?,
            error => write!(f, "{}", error.area().1)?,
        }
        let advice = self.advice();
        let is_whole = f.alternate() || advice.is_some();
        let mut reason = self.reason();
        while let Some(error) = reason {
            write!(f, ": {error}")?;
            reason = error.source().filter(|_| is_whole);
        }
        match advice {
            Some(advice) => write!(f, "; hint: {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{self:#}");
        }
        let (variant, content) = self.area();
        f.debug_tuple(variant).field(&content).finish()
    }
}

impl StdError for Error {
    /// Returns the reason behind the first one, which `{}` prints already; `None` if `{}` prints
    /// the whole chain.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.reason().filter(|_| self.advice().is_none()).and_then(StdError::source)
    }
}

impl From<io::Error> for Error {
    /// Returns the torcon error inside the `std::io` error, or an [`Error::Io`].
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(|error| Self::Io(Arc::new(error)))
    }
}

impl From<Error> for io::Error {
    /// Returns a `std::io` error of the nearest kind, with the torcon error inside.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io(error) => error.kind(),
            Error::Closed(_) => io::ErrorKind::ConnectionAborted,
            Error::Protocol(_) => io::ErrorKind::InvalidData,
            Error::Read(error) => {
                error.io_error().map_or(io::ErrorKind::InvalidData, io::Error::kind)
            }
            Error::InvalidInput(_) => io::ErrorKind::InvalidInput,
            Error::Auth(_) => io::ErrorKind::PermissionDenied,
            error if error.is_timeout() => io::ErrorKind::TimedOut,
            Error::Connect(error) => error.io_error().map_or(io::ErrorKind::Other, io::Error::kind),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<InvalidName> for Error {
    fn from(name: InvalidName) -> Self {
        Self::InvalidInput(InvalidInput::from(name))
    }
}

#[cfg(test)]
mod tests;
