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

/// An onion service could not be made, published or served.
///
/// When making one fails nothing of it is left: no listener, no service, no directory.
#[derive(Clone, Debug)]
pub struct OnionError {
    inner: Arc<OnionProblem>,
}

/// What went wrong with an onion service.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnionProblem {
    /// The local listener cannot be made.
    #[error("cannot listen on {}", printable(&**.address))]
    Listen {
        /// Where it was to listen.
        address: Box<str>,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// The local listener failed.
    #[error("the local listener failed")]
    Accept(#[source] Arc<io::Error>),
    /// The listener was closed by this program.
    #[error("the listener is closed")]
    Closed,
    /// tor lost the service, and it could not be added again or was not to be.
    #[error("tor no longer has {address}: {by}")]
    Removed {
        /// The address of the service.
        address: OnionAddress,
        /// What removed it.
        by: RemovedBy,
        /// Why it could not be added again, if that was tried.
        source: Option<Error>,
    },
    /// The service cannot be added again, since tor made its key and was told to discard it.
    #[error("the key of the onion service was discarded")]
    KeyDiscarded,
    /// A directory or file of the service cannot be made, read or written.
    #[error("{} cannot be used", quoted_path(.path))]
    File {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A directory or file is not as tor wants it to be, or not safe; tor was not asked, since it
    /// might exit.
    #[error("{} {detail}", quoted_path(.path))]
    Unsafe {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        detail: Box<str>,
    },
    /// tor may not be able to use the directory as this program sees it, or nothing proves that it
    /// can; tor was not asked, since it would exit.
    #[error("tor cannot be given {}: {detail}; use an ephemeral service", quoted_path(.path))]
    NotForTor {
        /// The directory.
        path: PathBuf,
        /// What speaks against it.
        detail: &'static str,
    },
    /// Another service has the directory: one of this tor's configuration, or one of this or
    /// another running program.
    #[error("{} is the directory of another onion service", quoted_path(.path))]
    DirectoryInUse {
        /// The directory.
        path: PathBuf,
    },
    /// Another service of this tor has the address.
    #[error("{address} is the address of another onion service of this tor")]
    AddressInUse {
        /// The address.
        address: OnionAddress,
    },
    /// A file does not hold the key or address that it should.
    #[error("{} holds something else than it should", quoted_path(.path))]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidName,
    },
    /// The directory has another key than the one that was given.
    #[error("{} is the directory of {found}, and the key that was given that of {given}", quoted_path(.path))]
    OtherKey {
        /// The directory.
        path: PathBuf,
        /// The address that the directory stands for.
        found: OnionAddress,
        /// The address of the key that was given.
        given: OnionAddress,
    },
    /// The directory has another key for a client of this name.
    #[error("the client {name} has another key already")]
    ClientExists {
        /// The name of the client.
        name: ClientName,
    },
    /// tor runs on another machine, where this program can make no directory.
    #[error("tor runs on another machine: only an ephemeral service can be added there")]
    Remote,
    /// `DisableNetwork` is set: tor cannot publish anything.
    #[error("tor has DisableNetwork set and cannot publish the service")]
    NetworkDisabled,
    /// Every directory that tor asked has refused the descriptor, and tor asked no other.
    #[error("no directory has taken the descriptor of {address}: {}", upload_reasons(.uploads))]
    NotPublished {
        /// The address of the service.
        address: OnionAddress,
        /// What became of each upload.
        uploads: Box<[HsDirUpload]>,
    },
    /// No directory that was asked has given the descriptor of a service, or tor asked none: those
    /// that it would ask were asked a moment ago, or it knows none yet.
    #[error("no directory has given the descriptor of {address}: {}", fetch_reasons(.failures))]
    NotFetched {
        /// The address of the service.
        address: OnionAddress,
        /// What each directory said.
        failures: Box<[HsDirFailure]>,
    },
    /// The tor that this program shares runs with something else than what is asked for.
    #[error("the shared tor runs with {} {}, and {} is asked for", printable(&**.option), printable(&**.running), printable(&**.wanted))]
    Incompatible {
        /// The option of tor or of the launcher.
        option: Box<str>,
        /// What it runs with.
        running: Box<str>,
        /// What is asked for.
        wanted: Box<str>,
    },
    /// The operating system gives no random numbers for a key.
    #[error("there are no random numbers for a key")]
    Random(#[source] Arc<io::Error>),
}

/// What removed a service from tor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovedBy {
    /// tor read its configuration file again, in which the service is not: by SIGHUP, as after a
    /// rotation of logs, or by `SIGNAL RELOAD`.
    Reload,
    /// Another controller has set or reset the onion services of tor's configuration.
    Reconfiguration,
    /// A controller has deleted the service with `DEL_ONION`.
    Deletion,
}

impl fmt::Display for RemovedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reload => "tor has reloaded its configuration",
            Self::Reconfiguration => "another controller has changed tor's onion services",
            Self::Deletion => "another controller has deleted it",
        })
    }
}

/// One descriptor of an onion service on its way to one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsDirUpload {
    /// The directory.
    pub hsdir: RelaySpec,
    /// The identifier of the descriptor, as tor tells it; a service has two at a time.
    pub descriptor_id: String,
    /// What became of it.
    pub outcome: UploadOutcome,
}

/// What became of the upload of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadOutcome {
    /// It is on its way.
    Pending,
    /// The directory has taken it.
    Uploaded,
    /// tor has reported no answer for a long time. It may have been lost with its circuit, of
    /// which tor reports nothing; a late answer still counts.
    Unanswered,
    /// It was not taken.
    Failed {
        /// Why, if tor says so.
        reason: Option<HsDescReason>,
    },
}

impl fmt::Display for HsDirUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            UploadOutcome::Pending => write!(f, "{}: on its way", self.hsdir),
            UploadOutcome::Uploaded => write!(f, "{}: uploaded", self.hsdir),
            UploadOutcome::Unanswered => write!(f, "{}: no answer", self.hsdir),
            UploadOutcome::Failed { reason: Some(reason) } => {
                write!(f, "{}: failed, {reason}", self.hsdir)
            }
            UploadOutcome::Failed { reason: None } => write!(f, "{}: failed", self.hsdir),
        }
    }
}

/// One directory that did not give the descriptor of an onion service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsDirFailure {
    /// The directory; `None` if tor found none to ask.
    pub hsdir: Option<RelaySpec>,
    /// Why, if tor says so.
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

/// Names each reason once, with how often it was given.
fn upload_reasons(uploads: &[HsDirUpload]) -> String {
    let reason = |upload: &HsDirUpload| match &upload.outcome {
        UploadOutcome::Failed { reason: Some(reason) } => reason.as_str().to_owned(),
        UploadOutcome::Unanswered => "without an answer".to_owned(),
        _ => NO_REASON.to_owned(),
    };
    counted(uploads.iter().map(reason))
}

fn fetch_reasons(failures: &[HsDirFailure]) -> String {
    let reason = |failure: &HsDirFailure| {
        failure.reason.as_ref().map_or(NO_REASON, HsDescReason::as_str).to_owned()
    };
    counted(failures.iter().map(reason))
}

const NO_REASON: &str = "no reason given";

fn counted(reasons: impl Iterator<Item = String>) -> String {
    let mut order: Vec<String> = Vec::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for reason in reasons {
        match counts.get_mut(&reason) {
            Some(count) => *count += 1,
            None => {
                order.push(reason.clone());
                counts.insert(reason, 1);
            }
        }
    }
    if order.is_empty() {
        return "none was asked".to_owned();
    }
    let count = |reason: &String| counts.get(reason).copied().unwrap_or_default();
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

    /// Returns what went wrong.
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

#[cfg(test)]
mod tests {
    use super::{HsDirFailure, HsDirUpload, OnionError, OnionProblem, UploadOutcome};
    use crate::names::{HsDescReason, RelaySpec};

    #[test]
    fn a_failed_publication_counts_the_reasons() {
        let upload = |reason| HsDirUpload {
            hsdir: RelaySpec::from_bytes(b"$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r"),
            descriptor_id: "x".to_owned(),
            outcome: UploadOutcome::Failed { reason },
        };
        let address = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion";
        let error = OnionError::new(OnionProblem::NotPublished {
            address: address.parse().unwrap(),
            uploads: Box::new([
                upload(Some(HsDescReason::UploadRejected)),
                upload(None),
                upload(Some(HsDescReason::UploadRejected)),
            ]),
        });
        assert_eq!(
            error.to_string(),
            format!(
                "no directory has taken the descriptor of {address}: 2 UPLOAD_REJECTED, \
                 1 no reason given"
            )
        );
        assert_eq!(
            upload(Some(HsDescReason::Unexpected)).to_string(),
            "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r: failed, UNEXPECTED"
        );
    }

    #[test]
    fn a_failed_fetch_counts_the_reasons() {
        let address = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion";
        let hsdir = RelaySpec::from_bytes(b"$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r");
        let failures = [
            HsDirFailure::new(Some(hsdir.clone()), Some(HsDescReason::NotFound)),
            HsDirFailure::new(Some(hsdir), Some(HsDescReason::NotFound)),
            HsDirFailure::new(None, Some(HsDescReason::QueryNoHsdir)),
        ];
        assert_eq!(
            failures.each_ref().map(ToString::to_string)[1..],
            [
                "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r: failed, NOT_FOUND",
                "no directory, QUERY_NO_HSDIR",
            ]
        );
        let error = |failures| {
            let address = address.parse().unwrap();
            OnionError::new(OnionProblem::NotFetched { address, failures }).to_string()
        };
        let begin = format!("no directory has given the descriptor of {address}: ");
        assert_eq!(error(Box::new(failures)), format!("{begin}2 NOT_FOUND, 1 QUERY_NO_HSDIR"));
        assert_eq!(error(Box::new([])), format!("{begin}none was asked"));
    }

    // The path of a directory may be an answer of the peer.
    #[test]
    fn a_path_is_cut_and_escaped() {
        let path = std::path::PathBuf::from(format!("/\u{1b}\u{202e}{}", "x".repeat(1 << 20)));
        let source = std::sync::Arc::new(std::io::Error::other("x"));
        for problem in [
            OnionProblem::File { path: path.clone(), source },
            OnionProblem::Unsafe { path: path.clone(), detail: "is no file".into() },
            OnionProblem::DirectoryInUse { path },
        ] {
            let shown = problem.to_string();
            assert!(shown.len() < 600, "{} bytes", shown.len());
            assert!(shown.starts_with("\"/\\u{1b}\\u{202e}xxx"), "{shown}");
        }
    }
}
