//! One [`Error`] for every fallible operation, over one small type per area.
//!
//! **Invariant**: errors are plain data. They hold no secret, no handle and no lock, are cheap to
//! clone, and their texts never repeat what `source()` returns.

mod auth;
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
pub use circuit::{CircuitEnd, CircuitError, CircuitProblem};
pub use config::ConfigError;
pub use connect::{ConnectAttempt, ConnectError, ConnectProblem};
pub use disconnect::Disconnect;
pub use input::InvalidInput;
pub use launch::{LaunchError, LaunchProblem};
pub use onion::{HsDirFailure, HsDirUpload, OnionError, OnionProblem, UploadOutcome};
pub use protocol::ProtocolError;
pub(crate) use protocol::excerpt;
pub use rejection::{Rejection, RejectionLine};
pub use resolve::{ResolveError, ResolveProblem};
pub use socks::{SocksCode, SocksError, SocksProblem, SocksStep};
#[cfg(feature = "testnet")]
pub use testnet::{TestnetError, TestnetProblem, TestnetStep};
pub use timeout::{Timeout, Wait};

use crate::names::InvalidName;

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// Errors are cheap to clone: when a connection ends, every caller gets the same one.
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
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// tor understood the command and refused it.
    #[error(transparent)]
    Rejected(Rejection),
    /// The control connection has ended; the reason is the first one that was seen, and the same
    /// for every caller.
    #[error("the control connection is closed")]
    Closed(#[source] Disconnect),
    /// tor refused what a configuration was to be saved as.
    #[error(transparent)]
    Config(ConfigError),
    /// A wait ran out.
    #[error(transparent)]
    Timeout(Timeout),
    /// tor sent something that this version cannot read.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// No control connection could be opened.
    #[error(transparent)]
    Connect(ConnectError),
    /// tor did not let us in, or is not the tor it claims to be.
    #[error(transparent)]
    Auth(AuthError),
    /// A tor process could not be started or brought to the wished state.
    #[error(transparent)]
    Launch(LaunchError),
    /// Something that was asked of a SOCKS proxy has failed.
    #[error(transparent)]
    Socks(SocksError),
    /// A circuit could not be built or used, or no stream be made through it.
    #[error(transparent)]
    Circuit(CircuitError),
    /// An onion service could not be made, published or served.
    #[error(transparent)]
    Onion(OnionError),
    /// A name or an address could not be resolved.
    #[error(transparent)]
    Resolve(ResolveError),
    /// An argument cannot be used; nothing was sent.
    #[error(transparent)]
    InvalidInput(InvalidInput),
    /// A private network could not be brought up, or one of its relays not restarted. Only with
    /// the Cargo feature `testnet`.
    #[cfg(feature = "testnet")]
    #[error(transparent)]
    Testnet(TestnetError),
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
    use super::Error;

    #[test]
    fn an_error_fits_in_forty_bytes() {
        assert!(size_of::<Error>() <= 40, "Error has {} bytes", size_of::<Error>());
    }
}
