//! One attempt to connect: the socket, `PROTOCOLINFO`, authentication.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use super::ConnectOptions;
use crate::auth::{CookieSource, authenticate};
use crate::command::{Command, GetProtocolInfo};
use crate::controller::Controller;
use crate::error::{ConnectProblem, Disconnect, Error, Result, Timeout, Wait, excerpt};
use crate::link::{Endpoint, Link};
use crate::wire::Request;

impl ConnectOptions {
    /// Connects to one endpoint; again with the password if tor refuses the cookie.
    pub(super) fn attempt(
        &self,
        endpoint: &Endpoint,
        deadline: Instant,
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
        deadline: Instant,
        cookie: &CookieSource,
    ) -> Result<Controller, ConnectProblem> {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        if left(deadline).is_zero() {
            return Err(self.timed_out());
        }
        let problem = |error| self.problem_of(error);
        let link = Link::open(endpoint, deadline, self.limits, self.cancel.as_ref()).map_err(
            |problem| match problem {
                ConnectProblem::Io(error) | ConnectProblem::Resolve(error)
                    if error.kind() == std::io::ErrorKind::TimedOut =>
                {
                    self.timed_out()
                }
                problem => problem,
            },
        )?;
        // Lets the waits for replies fail.
        let _guard = self.cancel.as_ref().map(|token| token.on_cancel(link.ender()));
        let command = GetProtocolInfo::new();
        let request = command.request().map_err(|error| problem(error.into()))?;
        let reply = link.call(&request, left(deadline)).map_err(|error| match error {
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
        let deadline = Cell::new(deadline);
        let mut submit = |request: Request| link.call(&request, left(deadline.get()));
        let mut password = || {
            let called = Instant::now();
            let password = self.password.password(left(deadline.get()));
            deadline.set(deadline.get() + called.elapsed());
            password
        };
        let is_local = link.peer().is_on_this_machine();
        authenticate(&mut submit, &info, cookie, is_local, &mut password).map_err(problem)?;
        link.set_authenticated();
        log::info!("connected to tor {} at {endpoint}", info.tor_version);
        let events = self.limits.events;
        let socks = self.socks.clone().and_then(Result::ok);
        Ok(Controller::new(link, endpoint.clone(), socks, info, self.command_timeout, events))
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
            other => ConnectProblem::Io(Arc::new(std::io::Error::other(other))),
        }
    }

    fn timed_out(&self) -> ConnectProblem {
        ConnectProblem::Timeout(Timeout::new(Wait::Connect, self.timeout))
    }
}
