#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::names::{
    ClientName, HsDescReason, InvalidName, OnionAddress, RelaySpec, printable, quoted_path,
};

/// The error of an onion service that could not be created, published or served.
///
/// A service that cannot be created leaves no listener, service or directory behind.
///
/// # Examples
///
/// ```no_run
/// use torcon::error::OnionProblem;
/// use torcon::{Error, Tor};
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// match tor.onion_endpoint(80).listen() {
///     Err(Error::Onion(error)) => match error.problem() {
///         OnionProblem::NotPublished { uploads, .. } => eprintln!("refused by {}", uploads.len()),
///         problem => eprintln!("{problem}"),
///     },
///     outcome => println!("http://{}", outcome?.onion_address()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnionError {
    inner: Arc<OnionProblem>,
}

/// Why an operation on an onion service failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnionProblem {
    /// This thread is changing or removing the same service: a logger of this program made the call.
    #[error(
        "this thread is changing the same onion service: a logger cannot change the service whose commands it logs"
    )]
    Busy,
    /// The local listener cannot be created.
    #[error("cannot listen on {}", printable(&**.address))]
    Listen {
        /// The address of the listener.
        address: Box<str>,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// The local listener failed.
    #[error("the local listener failed")]
    Accept(#[source] Arc<io::Error>),
    /// This program closed the listener.
    #[error("the listener is closed")]
    Closed,
    /// The service was removed from tor, and could or should not be added again.
    #[error("tor no longer has {address}: {by}")]
    Removed {
        /// The address of the service.
        address: OnionAddress,
        /// The event that removed the service.
        by: RemovedBy,
        /// Why adding the service again failed, if it was tried.
        source: Option<Error>,
    },
    /// The service cannot be added again, since it was created with `DiscardPK` and only tor had the
    /// key.
    #[error("the key of the onion service was discarded")]
    KeyDiscarded,
    /// A directory or file of the service cannot be created, read or written.
    #[error("{} cannot be used", quoted_path(.path))]
    File {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// tor would reject the directory or file, or its permissions are not safe. No command was sent,
    /// since tor might exit.
    #[error("{} {detail}", quoted_path(.path))]
    Unsafe {
        /// The directory or file.
        path: PathBuf,
        /// The problem.
        detail: Box<str>,
    },
    /// It is not certain that tor can use the directory at this path. No command was sent, since tor
    /// would exit if it cannot; or a tor with `Sandbox 1` refused it.
    #[error("the directory {} may not be usable for tor: {detail}; use an ephemeral service", quoted_path(.path))]
    NotForTor {
        /// The directory.
        path: PathBuf,
        /// The reason.
        detail: &'static str,
    },
    /// Another service uses the directory: one of tor's configuration, of this program or of another
    /// program.
    #[error("{} is the directory of another onion service", quoted_path(.path))]
    DirectoryInUse {
        /// The directory.
        path: PathBuf,
    },
    /// Another service of this tor uses the address.
    #[error("{address} is the address of another onion service of this tor")]
    AddressInUse {
        /// The address.
        address: OnionAddress,
    },
    /// A file does not contain a valid key or the expected address.
    #[error("{} does not contain the expected key or address", quoted_path(.path))]
    Key {
        /// The file.
        path: PathBuf,
        /// The problem.
        source: InvalidName,
    },
    /// The key in the directory differs from the given key.
    #[error("{} contains the key of {found}, but the given key is that of {given}", quoted_path(.path))]
    OtherKey {
        /// The directory.
        path: PathBuf,
        /// The address of the key in the directory.
        found: OnionAddress,
        /// The address of the given key.
        given: OnionAddress,
    },
    /// The directory contains another key for a client of this name.
    #[error("the client {name} already has another key")]
    ClientExists {
        /// The name of the client.
        name: ClientName,
    },
    /// The client is the only one: without it, the service would be open to every client.
    #[error(
        "{name} is the only authorized client of {address}: without it the service would be open to every client, which only OnionService::disable_client_auth does"
    )]
    LastClient {
        /// The name of the client.
        name: ClientName,
        /// The address of the service.
        address: OnionAddress,
    },
    /// tor runs on another machine, where this program cannot create a directory.
    #[error("tor runs on another machine: use an ephemeral service")]
    Remote,
    /// `DisableNetwork` is set, so tor cannot publish a descriptor.
    #[error("tor has DisableNetwork set and cannot publish the service")]
    NetworkDisabled,
    /// Every upload of the descriptor failed, and tor started no other.
    #[error("no directory accepted the descriptor of {address}: {}", upload_reasons(.uploads))]
    NotPublished {
        /// The address of the service.
        address: OnionAddress,
        /// The outcome of each upload.
        uploads: Box<[HsDirUpload]>,
    },
    /// Every download of the descriptor failed, or tor started none: it knows no directory yet, or
    /// queried all of them a moment ago.
    #[error("no directory delivered the descriptor of {address}: {}", fetch_reasons(.failures))]
    NotFetched {
        /// The address of the service.
        address: OnionAddress,
        /// The failure of each directory.
        failures: Box<[HsDirFailure]>,
    },
    /// The shared tor of this program runs with another value of an option.
    #[error("the shared tor runs with {} {}, but {} was requested", printable(&**.option), printable(&**.running), printable(&**.wanted))]
    Incompatible {
        /// The option of tor or of the launcher.
        option: Box<str>,
        /// The value of the running tor.
        running: Box<str>,
        /// The requested value.
        wanted: Box<str>,
    },
    /// The operating system returned no random numbers for a key.
    #[error("the operating system returned no random numbers for a key")]
    Random(#[source] Arc<io::Error>),
}

/// The event that removed a service from tor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovedBy {
    /// tor reloaded its torrc, which does not contain the service: after SIGHUP, as log rotation sends
    /// it, or `SIGNAL RELOAD`.
    Reload,
    /// Another controller changed the onion services of tor's configuration.
    Reconfiguration,
    /// A controller deleted the service with `DEL_ONION`.
    Deletion,
}

impl fmt::Display for RemovedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reload => "tor reloaded its configuration",
            Self::Reconfiguration => "another controller changed tor's onion services",
            Self::Deletion => "a controller deleted it",
        })
    }
}

/// The upload of one descriptor of an onion service to one directory.
///
/// # Examples
///
/// ```no_run
/// use torcon::error::UploadOutcome;
///
/// let tor = torcon::Tor::connect("127.0.0.1:9051")?;
/// let listener = tor.onion_endpoint(80).listen()?;
/// for upload in listener.service().uploads() {
///     if let UploadOutcome::Failed { reason } = upload.outcome {
///         eprintln!("{} does not have the descriptor: {reason:?}", upload.hsdir);
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsDirUpload {
    /// The directory.
    pub hsdir: RelaySpec,
    /// The identifier of the descriptor in `HS_DESC` events; a service has two at a time.
    pub descriptor_id: String,
    /// The outcome.
    pub outcome: UploadOutcome,
}

/// The outcome of the upload of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadOutcome {
    /// The upload started.
    Pending,
    /// The upload succeeded.
    Uploaded,
    /// tor reported no result for a long time. The upload may have been lost with its circuit, which
    /// tor does not report. A late result still counts.
    Unanswered,
    /// The upload failed.
    Failed {
        /// The reason, if tor gives one.
        reason: Option<HsDescReason>,
    },
}

impl fmt::Display for HsDirUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            UploadOutcome::Pending => write!(f, "{}: pending", self.hsdir),
            UploadOutcome::Uploaded => write!(f, "{}: uploaded", self.hsdir),
            UploadOutcome::Unanswered => write!(f, "{}: no answer", self.hsdir),
            UploadOutcome::Failed { reason: Some(reason) } => {
                write!(f, "{}: failed, {reason}", self.hsdir)
            }
            UploadOutcome::Failed { reason: None } => write!(f, "{}: failed", self.hsdir),
        }
    }
}

/// A failed download of the descriptor of an onion service from one directory.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::Error;
/// use torcon::error::OnionProblem;
///
/// let tor = torcon::connect("127.0.0.1:9051")?;
/// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
/// if let Err(Error::Onion(error)) = tor.fetch_onion_descriptor(service, Duration::from_secs(60)) {
///     if let OnionProblem::NotFetched { failures, .. } = error.problem() {
///         for failure in failures {
///             eprintln!("{:?}: {:?}", failure.hsdir, failure.reason);
///         }
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsDirFailure {
    /// The directory; `None` if tor found none.
    pub hsdir: Option<RelaySpec>,
    /// The reason, if tor gives one.
    pub reason: Option<HsDescReason>,
}

impl HsDirFailure {
    pub(crate) fn new(hsdir: Option<RelaySpec>, reason: Option<HsDescReason>) -> Self {
        Self { hsdir, reason }
    }
}

impl fmt::Display for HsDirFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hsdir {
            Some(hsdir) => write!(f, "{hsdir}: failed")?,
            None => f.write_str("no directory")?,
        }
        match &self.reason {
            Some(reason) => write!(f, ", {reason}"),
            None => Ok(()),
        }
    }
}

fn upload_reasons(uploads: &[HsDirUpload]) -> String {
    count_reasons(uploads, |upload| match &upload.outcome {
        UploadOutcome::Failed { reason: Some(reason) } => reason.as_str(),
        UploadOutcome::Unanswered => "without an answer",
        _ => NO_REASON,
    })
}

fn fetch_reasons(failures: &[HsDirFailure]) -> String {
    count_reasons(failures, |failure| {
        failure.reason.as_ref().map_or(NO_REASON, HsDescReason::as_str)
    })
}

const NO_REASON: &str = "no reason given";

/// Counts the occurrences of each reason, in the order of the first ones.
fn count_reasons<T>(attempts: &[T], reason: impl Fn(&T) -> &str) -> String {
    let mut order = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for reason in attempts.iter().map(reason) {
        let count = counts.entry(reason).or_default();
        if *count == 0 {
            order.push(reason);
        }
        *count += 1;
    }
    if order.is_empty() {
        return "none was tried".to_owned();
    }
    let count = |reason: &&str| counts.get(reason).copied().unwrap_or_default();
    let texts: Vec<_> = order.iter().map(|reason| format!("{} {reason}", count(reason))).collect();
    printable(&texts.join(", ")).into_owned()
}

impl OnionError {
    pub(crate) fn new(problem: OnionProblem) -> Self {
        Self { inner: Arc::new(problem) }
    }

    pub(crate) fn file(path: &Path, error: io::Error) -> Self {
        Self::new(OnionProblem::File { path: path.to_owned(), source: Arc::new(error) })
    }

    pub(crate) fn unsafe_path(path: &Path, detail: impl Into<Box<str>>) -> Self {
        Self::new(OnionProblem::Unsafe { path: path.to_owned(), detail: detail.into() })
    }

    /// Returns why the operation failed.
    #[must_use]
    pub fn problem(&self) -> &OnionProblem {
        &self.inner
    }
}

impl fmt::Display for OnionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl StdError for OnionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source()
    }
}
