use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ProtocolError, Rejection};
use crate::names::AuthMethod;

/// Authentication failed: what tor offered, what was tried, what went wrong and what to do.
#[derive(Clone, Debug)]
pub struct AuthError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    offered: Vec<AuthMethod>,
    tried: Option<AuthMethod>,
    problem: AuthProblem,
}

/// What went wrong with authentication.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthProblem {
    /// tor refused the proof.
    #[error("tor refused the proof")]
    Refused(#[source] Rejection),
    /// tor wants a password and none was given.
    #[error("a password is needed and none was given")]
    PasswordMissing,
    /// The cookie file cannot be opened or read.
    #[error("the cookie file {path:?} cannot be read")]
    CookieUnreadable {
        /// The path that tor named.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// The cookie path names something else than a regular file; it was not read.
    #[error("the cookie path {path:?} is {found}, not a regular file")]
    CookieNotAFile {
        /// The path that tor named.
        path: PathBuf,
        /// What it names instead, such as `a symbolic link`.
        found: &'static str,
    },
    /// The cookie file does not have 32 bytes.
    #[error("the cookie file {path:?} has {size} bytes instead of 32")]
    CookieSize {
        /// The path that tor named.
        path: PathBuf,
        /// The size of the file, in bytes.
        size: u64,
    },
    /// tor offers a cookie but does not say where it is.
    #[error("tor does not say where its cookie file is")]
    CookiePathMissing,
    /// The other side does not know the cookie: it is not the tor that wrote the file. Nothing
    /// was revealed to it.
    #[error("the other side does not know the cookie in {path:?}: it is not the tor that wrote it")]
    WrongServerProof {
        /// The path that the other side named.
        path: PathBuf,
    },
    /// tor's challenge cannot be read.
    #[error("the challenge cannot be read")]
    Challenge(#[source] ProtocolError),
    /// tor offers no method that this version knows.
    #[error("tor offers no known method")]
    NoKnownMethod,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    Random(#[source] Arc<io::Error>),
}

impl AuthError {
    pub(crate) fn new(
        offered: &[AuthMethod],
        tried: Option<AuthMethod>,
        problem: AuthProblem,
    ) -> Self {
        Self { inner: Arc::new(Inner { offered: offered.to_vec(), tried, problem }) }
    }

    /// Returns the methods that tor offered.
    #[must_use]
    pub fn offered(&self) -> &[AuthMethod] {
        &self.inner.offered
    }

    /// Returns the method that was tried last, if any was.
    #[must_use]
    pub fn tried(&self) -> Option<&AuthMethod> {
        self.inner.tried.as_ref()
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn problem(&self) -> &AuthProblem {
        &self.inner.problem
    }

    /// Returns what tor said, if it refused.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match &self.inner.problem {
            AuthProblem::Refused(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Returns the cookie path in question, if there is one.
    #[must_use]
    pub fn cookie_path(&self) -> Option<&Path> {
        match &self.inner.problem {
            AuthProblem::CookieUnreadable { path, .. }
            | AuthProblem::CookieNotAFile { path, .. }
            | AuthProblem::CookieSize { path, .. }
            | AuthProblem::WrongServerProof { path } => Some(path),
            _ => None,
        }
    }

    /// Returns what can be done about it, as a sentence without a stop.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match (&self.inner.problem, self.tried()) {
            (AuthProblem::Refused(_), Some(AuthMethod::HashedPassword)) => {
                "check the password against tor's HashedControlPassword"
            }
            (AuthProblem::Refused(_), Some(AuthMethod::Null)) => "see tor's log for the reason",
            (AuthProblem::Refused(_), _) => {
                "the cookie may belong to an earlier run of tor; connect again"
            }
            (AuthProblem::PasswordMissing, _) => {
                "give one with ConnectOptions::password, or set CookieAuthentication 1 in the torrc"
            }
            (AuthProblem::CookieUnreadable { .. }, _) => {
                "run as tor's user, join its group and set CookieAuthFileGroupReadable 1, \
                 or use a password"
            }
            (
                AuthProblem::CookieNotAFile { .. }
                | AuthProblem::CookieSize { .. }
                | AuthProblem::WrongServerProof { .. },
                _,
            ) => "make sure that the address is that of the tor you mean",
            (AuthProblem::CookiePathMissing, _) => "set CookieAuthFile in the torrc",
            (AuthProblem::Challenge(_) | AuthProblem::NoKnownMethod, _) => {
                "this tor may be newer than torcon, or may not be a tor"
            }
            (AuthProblem::Random(_), _) => "see the operating system's documentation",
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot authenticate")?;
        if let Some(tried) = self.tried() {
            write!(f, " by {tried}")?;
        }
        if matches!(self.inner.problem, AuthProblem::Random(_)) {
            // What tor offers has nothing to do with it, and a password is also hashed without tor.
            return write!(f, ": {}", self.advice());
        }
        f.write_str(" (tor offers ")?;
        if self.offered().is_empty() {
            f.write_str("nothing")?;
        }
        for (n, method) in self.offered().iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(f, "{separator}{method}")?;
        }
        write!(f, "): {}", self.advice())
    }
}

impl StdError for AuthError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.inner.problem)
    }
}
