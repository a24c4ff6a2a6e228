//! Choosing a method, and proving who we are.
//!
//! The order is SAFECOOKIE, then COOKIE if the former is not offered, then a password, then
//! nothing at all. The choice is made before anything is sent, and there is one attempt: tor ends
//! the connection after a failure, and an impostor would be glad of a second one.
//!
//! **Invariant**: a secret goes only where the order above sends it. After a wrong proof of the
//! server nothing more is sent by this module, and nothing must be by its caller.

mod cookie;
mod password;
mod safe_cookie;

use std::io;
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

/// Authenticates by the best of the methods that tor offers.
///
/// `password` is called at most once, on this thread, and only if no cookie is offered or the
/// cookie cannot be read.
///
/// # Errors
///
/// [`Error::Auth`] if there is no way in; whatever `submit` and `password` return.
pub(crate) fn authenticate(
    submit: &mut Submit<'_>,
    info: &ProtocolInfo,
    password: &mut dyn FnMut() -> Result<Option<Password>>,
) -> Result<()> {
    let mut attempt = Attempt { submit, info };
    let mut in_the_way = None;
    let cookies = [AuthMethod::SafeCookie, AuthMethod::Cookie];
    if let Some(method) = cookies.into_iter().find(|method| info.offers(method)) {
        match attempt.read_cookie() {
            Ok(cookie) if method == AuthMethod::SafeCookie => return attempt.safe_cookie(&cookie),
            Ok(cookie) => return attempt.say(method, &Authenticate::new(cookie.as_bytes())),
            Err(problem) => in_the_way = Some((method, problem)),
        }
    }
    if info.offers(&AuthMethod::HashedPassword) {
        if let Some(password) = password()? {
            let proof = Authenticate::new(password.as_bytes());
            return attempt.say(AuthMethod::HashedPassword, &proof);
        }
        // That a cookie could not be read is the better hint of the two.
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

/// One attempt to authenticate, on one connection.
struct Attempt<'a, 's> {
    submit: &'a mut Submit<'s>,
    info: &'a ProtocolInfo,
}

impl Attempt<'_, '_> {
    fn read_cookie(&self) -> Result<Cookie, AuthProblem> {
        let path = self.info.cookie_file.as_deref().ok_or(AuthProblem::CookiePathMissing)?;
        Cookie::read(path)
    }

    /// Lets the server prove that it knows the cookie, then proves it ourselves.
    fn safe_cookie(&mut self, cookie: &Cookie) -> Result<()> {
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
            let path = self.info.cookie_file.clone().unwrap_or_default();
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
