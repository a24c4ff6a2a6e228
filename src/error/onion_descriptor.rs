use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::ProtocolError;
use crate::names::OnionAddress;

/// The error of the descriptor of an onion service that could not be decrypted.
/// Needs the Cargo feature `onion-descriptor`.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use torcon::error::OnionDescriptorProblem;
/// use torcon::names::OnionAddress;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service: OnionAddress =
///     "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
/// let descriptor = controller.fetch_onion_descriptor(service, Duration::from_secs(60))?;
/// match descriptor.decrypt(&service, None) {
///     Err(error) if matches!(error.problem(), OnionDescriptorProblem::ClientAuthNeeded) => {
///         println!("{service} is for authorized clients only");
///     }
///     layer => println!("{} introduction points", layer?.introduction_points().count()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnionDescriptorError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: OnionAddress,
    problem: OnionDescriptorProblem,
}

/// Why the descriptor of an onion service could not be decrypted.
/// Needs the Cargo feature `onion-descriptor`.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnionDescriptorProblem {
    /// The descriptor is that of another service: its signature is valid.
    #[error("it is the descriptor of another service")]
    WrongAddress,
    /// The service has authorized clients, and no key was given.
    #[error("it is for authorized clients only, and no key was given")]
    ClientAuthNeeded,
    /// The service has authorized clients, and the given key is not that of one of them.
    #[error("the given key is not that of an authorized client")]
    ClientNotAuthorized,
    /// The bytes were changed after the service had encrypted and signed them, or were cut.
    #[error("the {layer} is damaged")]
    Damaged {
        /// The damaged part: the descriptor, or one of its layers.
        layer: &'static str,
    },
    /// A line that decryption needs is missing or malformed.
    #[error("a line is missing or malformed")]
    Syntax(#[source] ProtocolError),
}

impl OnionDescriptorError {
    pub(crate) fn new(address: OnionAddress, problem: OnionDescriptorProblem) -> Self {
        Self { inner: Arc::new(Inner { address, problem }) }
    }

    /// Returns the address with which the decryption was attempted.
    #[must_use]
    pub fn address(&self) -> OnionAddress {
        self.inner.address
    }

    /// Returns why the decryption failed.
    #[must_use]
    pub fn problem(&self) -> &OnionDescriptorProblem {
        &self.inner.problem
    }
}

impl fmt::Display for OnionDescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { address, problem } = &*self.inner;
        write!(f, "cannot decrypt the descriptor of {address}: {problem}")
    }
}

impl StdError for OnionDescriptorError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.problem.source()
    }
}
