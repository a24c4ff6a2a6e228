//! Authentication: choosing a method that tor offers, and authenticating with it.
//!
//! The order is SAFECOOKIE; COOKIE, if the options name a file for it and SAFECOOKIE is not
//! offered; HASHEDPASSWORD; NULL. Only one method is tried, since tor closes the connection after a
//! refusal.
//!
//! The peer may be any program and may lie. **Invariants**:
//! - Only COOKIE sends the bytes of a cookie. It needs [`CookieSource::PlainFile`], a path of the
//!   user, never one of the peer.
//! - A path of the peer is read only if the peer is on this machine. The peer receives nothing that
//!   depends on the content of the file before it has proved that it knows the content: the
//!   challenge is random, and a wrong server proof ends the attempt. It can learn whether a path is
//!   a readable file of 32 bytes, and whether one guess at the content is right.
//! - After a wrong server proof nothing more is sent, not even a password: the peer is not the tor
//!   that wrote the cookie.
//!
//! SAFECOOKIE does not protect against a relay: a peer that forwards both proofs between this
//! process and the real tor gets an authenticated connection. Only an address at which no other
//! program can listen, such as a unix socket in a private directory, prevents this.

mod cookie;
mod password;
mod safe_cookie;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub use password::Password;
pub(crate) use password::PasswordSource;

use crate::command::{AuthChallenge, Authenticate, Command, ProtocolInfo};
use crate::error::{AuthError, AuthProblem, Error, Result};
use crate::names::AuthMethod;
use crate::wire::{Reply, Request};
use cookie::Cookie;
use safe_cookie::Exchange;

/// Sends a request and waits for its reply.
pub(crate) type Submit<'a> = dyn FnMut(Request) -> Result<Reply> + 'a;

/// The cookie file that may be read, and its use.
#[derive(Clone, Debug, Default)]
pub(crate) enum CookieSource {
    /// The file that tor names, if tor is on this machine; for SAFECOOKIE only.
    #[default]
    NamedByTor,
    /// This file; for SAFECOOKIE only.
    File(PathBuf),
    /// This file; for SAFECOOKIE and COOKIE, which sends its content.
    PlainFile(PathBuf),
    /// No file.
    Never,
}

/// Authenticates with the first method that tor offers and the options allow.
///
/// `is_local` is whether the peer is on this machine. `password` is called at most once, on this
/// thread, and only if no cookie method can be used.
///
/// # Errors
///
/// [`Error::Auth`] if the method fails or there is none; those of `submit` and `password`.
pub(crate) fn authenticate(
    submit: &mut Submit<'_>,
    info: &ProtocolInfo,
    cookie: &CookieSource,
    is_local: bool,
    password: &mut dyn FnMut() -> Result<Option<Password>>,
) -> Result<()> {
    let mut attempt = Attempt { submit, info };
    let mut first_problem = None;
    let cookies = [AuthMethod::SafeCookie, AuthMethod::Cookie];
    if let Some(method) = cookies.into_iter().find(|method| info.offers(method)) {
        let found = cookie_path(info, &method, cookie, is_local)
            .and_then(|path| Ok((Cookie::read(&path)?, path)));
        match found {
            Ok((cookie, path)) if method == AuthMethod::SafeCookie => {
                return attempt.safe_cookie(&cookie, path);
            }
            Ok((cookie, _)) => return attempt.send(method, &Authenticate::new(cookie.as_bytes())),
            Err(problem) => {
                log::debug!("no authentication by {method}: {problem}");
                first_problem = Some((method, problem));
            }
        }
    }
    if info.offers(&AuthMethod::HashedPassword) {
        if let Some(password) = password()? {
            let proof = Authenticate::new(password.as_bytes());
            return attempt.send(AuthMethod::HashedPassword, &proof);
        }
        // The problem of the cookie is the better hint.
        first_problem.get_or_insert((AuthMethod::HashedPassword, AuthProblem::PasswordMissing));
    }
    if info.offers(&AuthMethod::Null) {
        return attempt.send(AuthMethod::Null, &Authenticate::null());
    }
    Err(match first_problem {
        Some((method, problem)) => attempt.failed(method, problem),
        None => AuthError::new(&info.auth_methods, None, AuthProblem::NoKnownMethod).into(),
    })
}

/// Returns the path of the cookie file that a method may use.
fn cookie_path(
    info: &ProtocolInfo,
    method: &AuthMethod,
    source: &CookieSource,
    is_local: bool,
) -> Result<PathBuf, AuthProblem> {
    match source {
        CookieSource::Never => Err(AuthProblem::CookieLeftOut),
        CookieSource::PlainFile(path) => Ok(path.clone()),
        CookieSource::NamedByTor | CookieSource::File(_) if *method == AuthMethod::Cookie => {
            Err(AuthProblem::PlainCookieOnly)
        }
        CookieSource::File(path) => Ok(path.clone()),
        CookieSource::NamedByTor => {
            let path = info.cookie_file.clone().ok_or(AuthProblem::CookiePathMissing)?;
            match (is_local, path.is_absolute()) {
                (false, _) => Err(AuthProblem::CookieElsewhere { path }),
                // The peer does not know the directory that it would be relative to.
                (true, false) => Err(AuthProblem::CookieNotAFile { path, found: "relative" }),
                (true, true) => Ok(path),
            }
        }
    }
}

/// One attempt to authenticate, on one connection.
struct Attempt<'a, 's> {
    submit: &'a mut Submit<'s>,
    info: &'a ProtocolInfo,
}

impl Attempt<'_, '_> {
    /// Checks the server's proof that it knows the cookie, then sends the client's.
    fn safe_cookie(&mut self, cookie: &Cookie, path: PathBuf) -> Result<()> {
        let client_nonce =
            random().map_err(|problem| self.failed(AuthMethod::SafeCookie, problem))?;
        let challenge = self
            .send(AuthMethod::SafeCookie, &AuthChallenge::new(client_nonce))
            .map_err(|error| match error {
                Error::Protocol(error) => {
                    self.failed(AuthMethod::SafeCookie, AuthProblem::Challenge(error))
                }
                other => other,
            })?;
        let exchange = Exchange::new(cookie, &client_nonce, &challenge.server_nonce);
        if !exchange.server_knows_cookie(&challenge.server_hash) {
            let problem = AuthProblem::WrongServerProof { path };
            return Err(self.failed(AuthMethod::SafeCookie, problem));
        }
        self.send(AuthMethod::SafeCookie, &Authenticate::new(&exchange.client_proof()))
    }

    /// Sends a command and parses its reply. A refusal is a failure of the method.
    fn send<C: Command>(&mut self, method: AuthMethod, command: &C) -> Result<C::Reply> {
        let reply = (self.submit)(command.request()?)?;
        command.reply(reply).map_err(|error| match error {
            Error::Rejected(rejection) => self.failed(method, AuthProblem::Refused(rejection)),
            other => other,
        })
    }

    fn failed(&self, method: AuthMethod, problem: AuthProblem) -> Error {
        AuthError::new(&self.info.auth_methods, Some(method), problem).into()
    }
}

/// Returns random bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], AuthProblem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        let reason = match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::other(error.to_string()),
        };
        AuthProblem::Random(Arc::new(reason))
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
