//! One attempt to connect: the socket, `PROTOCOLINFO`, authentication.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ConnectOptions;
use crate::auth::{CookieSource, authenticate};
use crate::clock;
use crate::command::{Command, GetProtocolInfo, ProtocolInfo};
use crate::controller::Controller;
use crate::error::{ConnectProblem, Disconnect, Error, Result, Timeout, Wait, excerpt};
use crate::link::{Endpoint, Handshake};
use crate::names::AuthMethod;
use crate::wire::Request;

impl ConnectOptions {
    /// Connects to one endpoint; again with the password if tor refuses the cookie. The deadline is
    /// later by the time that the password closure takes.
    pub(super) fn attempt(
        &self,
        endpoint: &Endpoint,
        deadline: &Cell<Instant>,
    ) -> Result<Controller, ConnectProblem> {
        match self.attempt_with(endpoint, deadline, &self.cookie) {
            Err(ConnectProblem::Auth(refused))
                if refused.allows_password() && self.password.is_some() =>
            {
                log::debug!("tor refused the cookie; connecting again with the password");
                let outcome = self.attempt_with(endpoint, deadline, &CookieSource::Never);
                outcome.map_err(|problem| match problem {
                    ConnectProblem::Auth(error) => ConnectProblem::Auth(error.after(&refused)),
                    problem => problem,
                })
            }
            outcome => outcome,
        }
    }

    fn attempt_with(
        &self,
        endpoint: &Endpoint,
        deadline: &Cell<Instant>,
        cookie: &CookieSource,
    ) -> Result<Controller, ConnectProblem> {
        if left(deadline).is_zero() {
            return Err(self.timed_out());
        }
        let opened = Handshake::open(endpoint, deadline.get(), self.limits, self.cancel.as_ref());
        let handshake = opened.map_err(|problem| match problem {
            ConnectProblem::Io(error) | ConnectProblem::Resolve(error)
                if error.kind() == io::ErrorKind::TimedOut =>
            {
                self.timed_out()
            }
            problem => problem,
        })?;
        self.authenticate(handshake, endpoint, deadline, cookie)
    }

    /// Authenticates on a connection that is open.
    pub(super) fn authenticate(
        &self,
        mut handshake: Handshake,
        endpoint: &Endpoint,
        deadline: &Cell<Instant>,
        cookie: &CookieSource,
    ) -> Result<Controller, ConnectProblem> {
        let problem = |error| self.problem_of(error);
        // Lets the waits for replies fail.
        let guard = self.cancel.as_ref().map(|token| token.on_cancel(handshake.ender()));
        let command = GetProtocolInfo::new();
        let request = command.request().map_err(|error| problem(error.into()))?;
        let reply = handshake.call(&request, left(deadline)).map_err(|error| match error {
            // A control port answers this command before it closes.
            Error::Closed(Disconnect::EndOfStream) => {
                ConnectProblem::NotAControlPort { excerpt: "".into() }
            }
            Error::Timeout(_) => ConnectProblem::Silent(Timeout::new(Wait::Connect, self.timeout)),
            error => problem(error),
        })?;
        let start = reply.lines().next().map(|line| excerpt(line.bytes())).unwrap_or_default();
        let info = command.reply(reply).map_err(|error| match error {
            Error::Protocol(_) => ConnectProblem::NotAControlPort { excerpt: start },
            error => problem(error),
        })?;
        // The time that the password closure takes does not count.
        let is_local = handshake.peer().is_on_this_machine();
        let mut submit = |request: Request| {
            // The closure that ends the connection may have to wait for another closure of the token.
            self.check_canceled()?;
            handshake.call(&request, left(deadline))
        };
        let mut password = || {
            let called = clock::now();
            let password = self.password.password(left(deadline), || self.check_canceled());
            deadline.set(deadline.get() + clock::elapsed_since(called));
            password
        };
        authenticate(&mut submit, &info, cookie, is_local, &mut password).map_err(problem)?;
        drop(guard);
        if self.check_canceled().is_err() {
            // The connection is ended, or will be by a closure that is running.
            return Err(ConnectProblem::Closed(Disconnect::Closed));
        }
        let link = handshake.authenticated().map_err(|e| ConnectProblem::Io(Arc::new(e)))?;
        log::info!("connected to tor {} at {endpoint}", info.tor_version);
        let events = self.limits.events;
        let socks = self.socks.clone().and_then(Result::ok);
        let cookie_path = self.cookie_path(&info);
        let endpoint = endpoint.clone();
        let timeout = self.command_timeout;
        Ok(Controller::new(link, endpoint, socks, info, cookie_path, timeout, events))
    }

    /// Returns the path of tor's cookie file as this program sees it, if tor offers its cookie.
    fn cookie_path(&self, info: &ProtocolInfo) -> Option<PathBuf> {
        if !info.offers(&AuthMethod::SafeCookie) && !info.offers(&AuthMethod::Cookie) {
            return None;
        }
        match &self.cookie {
            CookieSource::File(path) | CookieSource::PlainFile(path) => Some(path.clone()),
            CookieSource::NamedByTor | CookieSource::Never => info.cookie_file.clone(),
        }
    }

    fn problem_of(&self, error: Error) -> ConnectProblem {
        match error {
            Error::Auth(error) => ConnectProblem::Auth(error),
            Error::InvalidInput(error) => ConnectProblem::InvalidInput(error),
            Error::Rejected(rejection) => ConnectProblem::Rejected(rejection),
            Error::Timeout(_) => self.timed_out(),
            Error::Closed(Disconnect::Protocol(error)) | Error::Protocol(error) => {
                ConnectProblem::NotAControlPort { excerpt: error.excerpt().into() }
            }
            Error::Closed(reason) => ConnectProblem::Closed(reason),
            other => ConnectProblem::Io(Arc::new(io::Error::other(other))),
        }
    }

    fn timed_out(&self) -> ConnectProblem {
        ConnectProblem::Timeout(Timeout::new(Wait::Connect, self.timeout))
    }
}

fn left(deadline: &Cell<Instant>) -> Duration {
    clock::time_left(deadline.get())
}
