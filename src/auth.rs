//! Choosing a method of authentication and authenticating by it.
//!
//! The order is SAFECOOKIE, then COOKIE if the options ask for it by name and SAFECOOKIE is not
//! offered, then HASHEDPASSWORD, then NULL. One method is tried: tor closes the connection after a
//! refusal, so that another method needs another connection.
//!
//! The peer may be anything, and everything that it says may be a lie. **Invariants**:
//! - The bytes of a cookie leave this process only by COOKIE, which needs
//!   [`CookieSource::PlainFile`]: a path that the user has named, never one that the peer has
//!   named.
//! - A path that the peer has named is read only if the peer is on this machine. Even then the
//!   peer gets nothing that depends on the file's bytes before it has proved that it knows them:
//!   the challenge is random, and a wrong server proof ends the attempt. What a peer can learn is
//!   whether a path is a readable file of 32 bytes, and whether one guess at its bytes is right.
//! - After a wrong server proof nothing more is sent, no password either: the peer is not the tor
//!   that wrote the cookie.
//!
//! SAFECOOKIE does not bind the connection: a peer that relays both proofs between this process
//! and the real tor ends up with an authenticated connection to it. Only an address that nobody
//! else can listen at, such as a unix socket in a protected directory, prevents that.

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

/// What sends a request and waits for its reply.
pub(crate) type Submit<'a> = dyn FnMut(Request) -> Result<Reply> + 'a;

/// The cookie files that may be read, and what for.
#[derive(Clone, Debug, Default)]
pub(crate) enum CookieSource {
    /// The file that tor names, if it is on this machine; for SAFECOOKIE only.
    #[default]
    NamedByTor,
    /// This file, wherever tor is; for SAFECOOKIE only.
    File(PathBuf),
    /// This file, wherever tor is; its bytes may be sent by COOKIE.
    PlainFile(PathBuf),
    /// None.
    Never,
}

/// Authenticates by the best of the methods that tor offers and the options allow.
///
/// `is_local` says whether the peer is on this machine. `password` is called at most once, on this
/// thread, and only if no cookie method can be tried.
///
/// # Errors
///
/// [`Error::Auth`] if no method succeeds; whatever `submit` and `password` return.
pub(crate) fn authenticate(
    submit: &mut Submit<'_>,
    info: &ProtocolInfo,
    cookie: &CookieSource,
    is_local: bool,
    password: &mut dyn FnMut() -> Result<Option<Password>>,
) -> Result<()> {
    let mut attempt = Attempt { submit, info };
    let mut in_the_way = None;
    let cookies = [AuthMethod::SafeCookie, AuthMethod::Cookie];
    if let Some(method) = cookies.into_iter().find(|method| info.offers(method)) {
        let found = usable_cookie(info, &method, cookie, is_local)
            .and_then(|path| Ok((Cookie::read(&path)?, path)));
        match found {
            Ok((cookie, path)) if method == AuthMethod::SafeCookie => {
                return attempt.safe_cookie(&cookie, path);
            }
            Ok((cookie, _)) => return attempt.say(method, &Authenticate::new(cookie.as_bytes())),
            Err(problem) => {
                log::debug!("no authentication by {method}: {problem}");
                in_the_way = Some((method, problem));
            }
        }
    }
    if info.offers(&AuthMethod::HashedPassword) {
        if let Some(password) = password()? {
            let proof = Authenticate::new(password.as_bytes());
            return attempt.say(AuthMethod::HashedPassword, &proof);
        }
        // The reason why the cookie was not used is the better hint of the two.
        in_the_way.get_or_insert((AuthMethod::HashedPassword, AuthProblem::PasswordMissing));
    }
    if info.offers(&AuthMethod::Null) {
        return attempt.say(AuthMethod::Null, &Authenticate::null());
    }
    Err(match in_the_way {
        Some((method, problem)) => attempt.failed(method, problem),
        None => AuthError::new(&info.auth_methods, None, AuthProblem::NoKnownMethod).into(),
    })
}

/// Returns the path of the cookie to authenticate with, without looking at it.
fn usable_cookie(
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
                // It would be relative to a directory that the peer does not know.
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
    /// Requires the server's proof that it knows the cookie, then sends the client's.
    fn safe_cookie(&mut self, cookie: &Cookie, path: PathBuf) -> Result<()> {
        let client_nonce =
            random().map_err(|problem| self.failed(AuthMethod::SafeCookie, problem))?;
        let challenge = self
            .say(AuthMethod::SafeCookie, &AuthChallenge::new(client_nonce))
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
        self.say(AuthMethod::SafeCookie, &Authenticate::new(&exchange.client_proof()))
    }

    /// Sends a command and reads its reply; a refusal is a failure of the method.
    fn say<C: Command>(&mut self, method: AuthMethod, command: &C) -> Result<C::Reply> {
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
