//! One [`Error`] for every fallible operation, over one small type per area.
//!
//! **Invariant**: errors are plain data. They hold no secret, no handle and no lock, are cheap to
//! clone, and their texts never repeat what `source()` returns. The types of an area tell their
//! own level only; [`Error`] joins that with the first reason below it.

mod auth;
mod buffer;
mod circuit;
mod config;
mod connect;
mod disconnect;
mod input;
mod launch;
mod onion;
mod protocol;
mod rejection;
mod resolve;
mod socks;
#[cfg(feature = "testnet")]
mod testnet;
mod timeout;

pub use auth::{AuthError, AuthProblem};
pub use buffer::{BufferError, BufferProblem};
pub use circuit::{CircuitEnd, CircuitError, CircuitProblem};
pub use config::ConfigError;
pub use connect::{ConnectAttempt, ConnectError, ConnectProblem};
pub use disconnect::Disconnect;
pub use input::InvalidInput;
pub(crate) use launch::LaunchReport;
pub use launch::{LaunchError, LaunchProblem};
pub use onion::{HsDirFailure, HsDirUpload, OnionError, OnionProblem, RemovedBy, UploadOutcome};
pub use protocol::ProtocolError;
pub(crate) use protocol::excerpt;
pub use rejection::{Rejection, RejectionLine};
pub use resolve::{ResolveError, ResolveProblem};
pub use socks::{SocksCode, SocksError, SocksProblem, SocksStep};
#[cfg(feature = "testnet")]
pub use testnet::{TestnetError, TestnetProblem, TestnetStep};
pub use timeout::{Timeout, Wait};

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::names::InvalidName;

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// Errors are cheap to clone: when a connection ends, every caller gets the same one.
///
/// `{}` prints what failed and the first reason. `{:#}` and `{:?}` print the whole chain of
/// reasons in one line, so `fn main() -> torcon::Result<()>` ends with a readable sentence.
/// `{:#?}` prints the structure, for developers. [`source`](StdError::source) returns the first
/// reason that `{}` does not contain, so a program that prints the chain itself repeats nothing.
///
/// The errors of `std::io` become [`Error::Io`] by `?`, and an `Error` becomes a `std::io::Error`
/// of the matching kind; both ways keep the original error.
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
/// ```
#[doc(alias = "SocketClosed")]
#[doc(alias = "ControllerError")]
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// tor understood the command and refused it.
    Rejected(Rejection),
    /// The control connection has ended; the reason is the first one that was seen, and the same
    /// for every caller.
    Closed(Disconnect),
    /// tor refused what a configuration was to be saved as.
    Config(ConfigError),
    /// A time limit passed.
    Timeout(Timeout),
    /// tor sent something that this version cannot read.
    Protocol(ProtocolError),
    /// A reply could not be kept for its caller; the connection goes on.
    Buffer(BufferError),
    /// No control connection could be opened.
    Connect(ConnectError),
    /// tor did not accept the authentication, or is not the tor it claims to be.
    Auth(AuthError),
    /// A tor process could not be started, did not become ready, or failed later.
    Launch(LaunchError),
    /// A request to a SOCKS proxy failed.
    Socks(SocksError),
    /// A circuit could not be built or used, or no stream could be opened through it.
    Circuit(CircuitError),
    /// An onion service could not be created, published or served.
    Onion(OnionError),
    /// A name or an address could not be resolved.
    Resolve(ResolveError),
    /// An argument is not valid; nothing was sent.
    InvalidInput(InvalidInput),
    /// An operation of `std::io` failed. torcon's functions do not return it; it lets a program
    /// use `?` on a stream beside torcon's calls.
    Io(Arc<io::Error>),
    /// A private network could not be brought up, or one of its relays could not be restarted.
    /// Only with the Cargo feature `testnet`.
    #[cfg(feature = "testnet")]
    Testnet(TestnetError),
}

/// Evaluates an expression with the area's error, whichever area that is.
macro_rules! area {
    ($error:expr, $area:ident => $use:expr) => {
        match $error {
            Error::Rejected($area) => $use,
            Error::Closed($area) => $use,
            Error::Config($area) => $use,
            Error::Timeout($area) => $use,
            Error::Protocol($area) => $use,
            Error::Buffer($area) => $use,
            Error::Connect($area) => $use,
            Error::Auth($area) => $use,
            Error::Launch($area) => $use,
            Error::Socks($area) => $use,
            Error::Circuit($area) => $use,
            Error::Onion($area) => $use,
            Error::Resolve($area) => $use,
            Error::InvalidInput($area) => $use,
            Error::Io($area) => $use,
            #[cfg(feature = "testnet")]
            Error::Testnet($area) => $use,
        }
    };
}

impl Error {
    /// Returns whether a wait ran out.
    ///
    /// This is also true of a launch that was given up because its time was over.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let patient = controller.with_timeout(Duration::from_millis(200));
    /// match patient.get_info_one("version") {
    ///     Err(error) if error.is_timeout() => println!("tor is busy"),
    ///     other => println!("{}", other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            Self::Launch(error) => error.is_timeout(),
            Self::Connect(error) => error.is_timeout(),
            Self::Socks(error) => error.is_timeout(),
            #[cfg(feature = "testnet")]
            Self::Testnet(error) => error.is_timeout(),
            _ => false,
        }
    }

    /// Returns whether the control connection has ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.close();
    /// assert!(controller.get_info_one("version").unwrap_err().is_closed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Returns the status code of tor's refusal, if tor refused.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let error = controller.get_info_one("no-such-key").unwrap_err();
    /// assert_eq!(error.status_code(), Some(552));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        match self {
            Self::Rejected(rejection) => Some(rejection.code()),
            Self::Config(error) => Some(error.rejection().code()),
            Self::Auth(error) => error.rejection().map(Rejection::code),
            Self::Circuit(error) => error.rejection().map(Rejection::code),
            _ => None,
        }
    }

    /// Returns whether a filter between us and tor refused the command, as the control-port
    /// filters of Tails and Whonix do with `510 Command filtered`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// if let Err(error) = controller.get_info_one("circuit-status") {
    ///     println!("not allowed here: {}", error.is_filtered());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        match self {
            Self::Rejected(rejection) => rejection.is_filtered(),
            Self::Config(error) => error.rejection().is_filtered(),
            _ => false,
        }
    }
}

impl Error {
    /// Returns the text of the variant, empty where the error of the area has the text, and the
    /// first reason.
    fn levels(&self) -> (&'static str, Option<&(dyn StdError + 'static)>) {
        match self {
            Self::Closed(reason) => ("the control connection is closed", Some(reason)),
            _ => ("", area!(self, area => area.source())),
        }
    }

    /// Returns the structure for `{:#?}`: the variant and its content.
    fn structure(&self) -> (&'static str, &dyn fmt::Debug) {
        let name = match self {
            Self::Rejected(_) => "Rejected",
            Self::Closed(_) => "Closed",
            Self::Config(_) => "Config",
            Self::Timeout(_) => "Timeout",
            Self::Protocol(_) => "Protocol",
            Self::Buffer(_) => "Buffer",
            Self::Connect(_) => "Connect",
            Self::Auth(_) => "Auth",
            Self::Launch(_) => "Launch",
            Self::Socks(_) => "Socks",
            Self::Circuit(_) => "Circuit",
            Self::Onion(_) => "Onion",
            Self::Resolve(_) => "Resolve",
            Self::InvalidInput(_) => "InvalidInput",
            Self::Io(_) => "Io",
            #[cfg(feature = "testnet")]
            Self::Testnet(_) => "Testnet",
        };
        (name, area!(self, area => area))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, mut reason) = self.levels();
        match begin {
            "" => area!(self, area => write!(f, "{area}"))?,
            begin => f.write_str(begin)?,
        }
        while let Some(error) = reason {
            write!(f, ": {error}")?;
            reason = error.source().filter(|_| f.alternate());
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{self:#}");
        }
        let (name, content) = self.structure();
        f.debug_tuple(name).field(content).finish()
    }
}

impl StdError for Error {
    /// Returns the reason behind the first one, which `{}` contains already.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.levels().1.and_then(StdError::source)
    }
}

impl From<io::Error> for Error {
    /// Returns the torcon error that the `std::io` error was made of, or an [`Error::Io`].
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(|error| Self::Io(Arc::new(error)))
    }
}

impl From<Error> for io::Error {
    /// Returns an error of the kind that is nearest, with the torcon error inside.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io(error) => error.kind(),
            Error::Closed(_) => io::ErrorKind::ConnectionAborted,
            Error::Protocol(_) => io::ErrorKind::InvalidData,
            Error::InvalidInput(_) => io::ErrorKind::InvalidInput,
            Error::Auth(_) => io::ErrorKind::PermissionDenied,
            error if error.is_timeout() => io::ErrorKind::TimedOut,
            Error::Connect(error) => error.io_error().map_or(io::ErrorKind::Other, io::Error::kind),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

macro_rules! from_areas {
    ($($area:ident => $variant:ident,)*) => {
        $(
            impl From<$area> for Error {
                fn from(error: $area) -> Self {
                    Self::$variant(error)
                }
            }
        )*
    };
}

from_areas! {
    Rejection => Rejected,
    BufferError => Buffer,
    Disconnect => Closed,
    ConfigError => Config,
    Timeout => Timeout,
    ProtocolError => Protocol,
    ConnectError => Connect,
    AuthError => Auth,
    LaunchError => Launch,
    SocksError => Socks,
    CircuitError => Circuit,
    OnionError => Onion,
    ResolveError => Resolve,
    InvalidInput => InvalidInput,
}

#[cfg(feature = "testnet")]
from_areas! {
    TestnetError => Testnet,
}

impl From<InvalidName> for Error {
    fn from(name: InvalidName) -> Self {
        Self::InvalidInput(InvalidInput::from(name))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;
    use std::sync::Arc;

    use super::{ConnectAttempt, ConnectError, ConnectProblem, Disconnect, Error, InvalidInput};

    fn refused() -> Error {
        let error = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        let attempt = ConnectAttempt::new("127.0.0.1:1", ConnectProblem::Io(error));
        ConnectError::new(vec![attempt]).into()
    }

    #[test]
    fn the_text_carries_the_first_reason_and_the_chain_repeats_nothing() {
        let reset = Arc::new(io::Error::from(io::ErrorKind::ConnectionReset));
        let error = Error::Closed(Disconnect::Read(reset));
        assert_eq!(error.to_string(), "the control connection is closed: reading from tor failed");
        assert_eq!(error.source().unwrap().to_string(), "connection reset");
        let whole = "the control connection is closed: reading from tor failed: connection reset";
        assert_eq!((format!("{error:#}"), format!("{error:?}")), (whole.into(), whole.into()));
        assert!(format!("{error:#?}").starts_with("Closed(\n"), "{error:#?}");
        let error = Error::from(InvalidInput::new("name", "is empty"));
        assert_eq!(error.to_string(), "invalid argument \"name\": is empty");
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(error.source().is_none());
    }

    #[test]
    fn errors_of_std_io_go_both_ways() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.to_string(), "broken pipe");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::BrokenPipe);
        let error = io::Error::from(refused());
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(matches!(Error::from(error), Error::Connect(_)), "the original comes back");
        let kinds = [
            (Disconnect::Closed.into(), io::ErrorKind::ConnectionAborted),
            (InvalidInput::new("name", "is empty").into(), io::ErrorKind::InvalidInput),
        ];
        for (error, kind) in kinds {
            assert_eq!(io::Error::from(Error::clone(&error)).kind(), kind, "{error}");
        }
    }

    #[test]
    fn an_error_fits_in_forty_bytes() {
        assert!(size_of::<Error>() <= 40, "Error has {} bytes", size_of::<Error>());
    }
}
