use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ProtocolError, Rejection};
use crate::names::{AuthMethod, printable, quoted_path};

/// The error of a failed authentication: the methods that tor offered, those that were tried, the
/// problem, and advice.
///
/// # Examples
///
/// ```no_run
/// use torcon::error::AuthProblem;
/// use torcon::{ConnectOptions, Error};
///
/// match ConnectOptions::new().password("secret").connect("127.0.0.1:9051") {
///     Err(Error::Auth(error)) => match error.problem() {
///         AuthProblem::Refused(refusal) => eprintln!("wrong password? {refusal}"),
///         problem => eprintln!("{problem}; {}", error.advice()),
///     },
///     outcome => println!("tor {}", outcome?.version()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuthError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    offered: Vec<AuthMethod>,
    /// In the order of the attempts.
    tried: Vec<AuthMethod>,
    problem: AuthProblem,
}

/// Why authentication failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthProblem {
    /// tor refused the cookie or the password.
    #[error("tor refused the authentication")]
    Refused(#[source] Rejection),
    /// tor needs a password and none was given.
    #[error("tor needs a password and none was given")]
    PasswordMissing,
    /// The cookie file cannot be opened or read.
    #[error("the cookie file {} cannot be read", quoted_path(.path))]
    CookieUnreadable {
        /// The path that tor named.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// The cookie path does not name a regular file; it was not read.
    #[error("the cookie path {} is {found}, not a regular file", quoted_path(.path))]
    CookieNotAFile {
        /// The path that tor named.
        path: PathBuf,
        /// The type of the file, such as `a symbolic link`.
        found: &'static str,
    },
    /// The size of the cookie file is not 32 bytes.
    #[error("the cookie file {} has {size} bytes instead of 32", quoted_path(.path))]
    CookieSize {
        /// The path that tor named.
        path: PathBuf,
        /// The size of the file, in bytes.
        size: u64,
    },
    /// tor offers cookie authentication without the path of the cookie file.
    #[error("tor does not report the path of its cookie file")]
    CookiePathMissing,
    /// The peer is on another machine, so the cookie file that it named was not read.
    #[error("the control port is on another machine, so the cookie file {} was not read", quoted_path(.path))]
    CookieElsewhere {
        /// The path that the peer named.
        path: PathBuf,
    },
    /// The peer offers COOKIE without SAFECOOKIE, which would reveal the cookie to it, and the options
    /// do not allow that. No file was read.
    #[error("SAFECOOKIE is not offered, and COOKIE would reveal the cookie")]
    PlainCookieOnly,
    /// [`ConnectOptions::without_cookie`](crate::ConnectOptions::without_cookie) is set, and no other
    /// method could be used.
    #[error("the options exclude the cookie")]
    CookieLeftOut,
    /// The peer does not know the cookie, so it is not the tor that wrote the file. The peer learned
    /// nothing, and no other method was tried.
    #[error("the peer does not know the cookie in {}: it is not the tor that wrote the file", quoted_path(.path))]
    WrongServerProof {
        /// The path of the cookie file.
        path: PathBuf,
    },
    /// tor's challenge cannot be read.
    #[error("the challenge cannot be read")]
    Challenge(#[source] ProtocolError),
    /// tor offers no method that this version supports.
    #[error("tor offers no known method")]
    NoKnownMethod,
    /// The operating system returned no random numbers.
    #[error("the operating system returned no random numbers")]
    Random(#[source] Arc<io::Error>),
}

impl AuthError {
    pub(crate) fn new(
        offered: &[AuthMethod],
        tried: Option<AuthMethod>,
        problem: AuthProblem,
    ) -> Self {
        let tried = tried.into_iter().collect();
        Self { inner: Arc::new(Inner { offered: offered.to_vec(), tried, problem }) }
    }

    /// Returns whether a password may be sent after this failure, on a new connection: tor accepts
    /// passwords and refused the cookie, and the peer did not fail its own proof.
    pub(crate) fn allows_password(&self) -> bool {
        let is_cookie = matches!(self.tried(), Some(AuthMethod::SafeCookie | AuthMethod::Cookie));
        let accepts_password = self.offered().contains(&AuthMethod::HashedPassword);
        is_cookie && accepts_password && matches!(self.problem(), AuthProblem::Refused(_))
    }

    /// Merges this failure with that of an earlier attempt.
    pub(crate) fn after(self, earlier: &Self) -> Self {
        if matches!(self.problem(), AuthProblem::PasswordMissing | AuthProblem::CookieLeftOut) {
            return earlier.clone();
        }
        let tried = earlier.methods_tried().iter().chain(self.methods_tried()).cloned().collect();
        let (offered, problem) = (self.offered().to_vec(), self.problem().clone());
        Self { inner: Arc::new(Inner { offered, tried, problem }) }
    }

    /// Returns the methods that tor offered.
    #[must_use]
    pub fn offered(&self) -> &[AuthMethod] {
        &self.inner.offered
    }

    /// Returns the method that was tried last, if any.
    #[must_use]
    pub fn tried(&self) -> Option<&AuthMethod> {
        self.inner.tried.last()
    }

    /// Returns every method that was tried, in order. There can be two, since a password is tried on
    /// a new connection after a refused cookie.
    #[must_use]
    pub fn methods_tried(&self) -> &[AuthMethod] {
        &self.inner.tried
    }

    /// Returns why authentication failed.
    #[must_use]
    pub fn problem(&self) -> &AuthProblem {
        &self.inner.problem
    }

    /// Returns tor's refusal, if tor refused.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match &self.inner.problem {
            AuthProblem::Refused(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Returns the path of the cookie file, if the problem concerns one.
    #[must_use]
    pub fn cookie_path(&self) -> Option<&Path> {
        match &self.inner.problem {
            AuthProblem::CookieUnreadable { path, .. }
            | AuthProblem::CookieNotAFile { path, .. }
            | AuthProblem::CookieSize { path, .. }
            | AuthProblem::CookieElsewhere { path }
            | AuthProblem::WrongServerProof { path } => Some(path),
            _ => None,
        }
    }

    /// Returns advice, as a sentence without a final stop. [`Error`](crate::Error) prints it behind
    /// the reasons.
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
            (AuthProblem::CookieUnreadable { source, .. }, _)
                if source.kind() == io::ErrorKind::NotFound =>
            {
                "tor sees other files, or has just ended: name the path at which this program sees \
                 the cookie with ConnectOptions::cookie_file, or use a password"
            }
            (AuthProblem::CookieUnreadable { .. }, _) => {
                "join tor's group (on Debian and Ubuntu: sudo adduser $USER debian-tor) and set \
                 CookieAuthFileGroupReadable 1 in the torrc, run as tor's user, or use a password"
            }
            (AuthProblem::CookieElsewhere { .. }, _) => {
                "copy the cookie to this machine, again after each start of tor, and name it with \
                 ConnectOptions::cookie_file, or use a password"
            }
            (AuthProblem::PlainCookieOnly, _) => {
                "make sure that the address is that of the tor you mean: every tor that offers \
                 COOKIE offers SAFECOOKIE too"
            }
            (AuthProblem::CookieLeftOut, _) => {
                "give a password, or connect without ConnectOptions::without_cookie"
            }
            (AuthProblem::CookieNotAFile { .. } | AuthProblem::CookieSize { .. }, _) => {
                "make sure that the address is that of the tor you mean, and the path that of its \
                 cookie"
            }
            (AuthProblem::WrongServerProof { .. }, _)
                if self.offered().contains(&AuthMethod::HashedPassword) =>
            {
                "make sure that the address is that of the tor you mean, and the file its cookie, \
                 which it writes at each start; to send it a password all the same, use ConnectOptions::without_cookie"
            }
            (AuthProblem::WrongServerProof { .. }, _) => {
                "make sure that the address is that of the tor you mean, and the file its cookie, \
                 which it writes at each start"
            }
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
        for (n, method) in self.methods_tried().iter().enumerate() {
            write!(f, " {} {method}", if n == 0 { "by" } else { "or" })?;
        }
        if matches!(self.inner.problem, AuthProblem::Random(_)) {
            // This is also the error of hashing a password, without a tor.
            return Ok(());
        }
        f.write_str(" (tor offers ")?;
        if self.offered().is_empty() {
            f.write_str("nothing")?;
        }
        let offered: Vec<_> = self.offered().iter().map(AuthMethod::as_str).collect();
        f.write_str(&printable(&offered.join(", ")))?;
        f.write_str(")")
    }
}

impl StdError for AuthError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.inner.problem)
    }
}
