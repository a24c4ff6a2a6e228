//! The tors of a supervisor: connected to or launched, again and again.

use std::time::Duration;

use nix::errno::Errno;

use crate::controller::ConnectOptions;
use crate::error::{
    AuthError, AuthProblem, ConnectAttempt, ConnectProblem, Error, LaunchProblem, Result,
};
use crate::link::{CancelToken, Endpoint};
use crate::names::AuthMethod;
use crate::process::RepeatableLauncher;
use crate::tor::Tor;

pub(super) enum Source {
    Connect { endpoints: Vec<Endpoint>, options: Box<ConnectOptions> },
    Launch(Box<RepeatableLauncher>),
}

impl Source {
    /// Connects to tor or launches it.
    pub(super) fn obtain(&self) -> Result<Tor> {
        match self {
            Self::Connect { endpoints, options } => {
                let controller = match &**endpoints {
                    [only] => options.connect(only.clone()),
                    several => options.connect_first(several),
                };
                Ok(Tor::from(controller?))
            }
            Self::Launch(launcher) => {
                let process = launcher.spawn()?;
                process.wait_ready_for(Duration::MAX)?;
                Tor::of_process(process)
            }
        }
    }

    /// Returns the token of the user.
    pub(super) fn canceled_by(&self) -> Option<CancelToken> {
        match self {
            Self::Connect { options, .. } => options.canceled_by().cloned(),
            Self::Launch(launcher) => launcher.canceled_by().cloned(),
        }
    }

    /// Lets the token end the attempts.
    pub(super) fn with_cancel(self, token: &CancelToken) -> Self {
        match self {
            Self::Connect { endpoints, options } => {
                Self::Connect { endpoints, options: Box::new(options.cancel_token(token)) }
            }
            Self::Launch(launcher) => Self::Launch(Box::new(launcher.cancel_token(token))),
        }
    }

    pub(super) fn launches(&self) -> bool {
        matches!(self, Self::Launch(_))
    }

    /// Returns how many bytes of events are queued at most.
    pub(super) fn event_limit(&self) -> usize {
        match self {
            Self::Connect { options, .. } => options.events(),
            Self::Launch(_) => ConnectOptions::new().events(),
        }
    }
}

/// The outcome that another attempt can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// Another attempt may succeed.
    Open,
    /// The server's proof was wrong: tor may be replacing its cookie, or another program listens.
    WrongProof,
    /// Every attempt would fail.
    None,
}

/// Returns whether another attempt may succeed after an error.
pub(super) fn prospect(error: &Error) -> Prospect {
    match error {
        Error::InvalidInput(_) => Prospect::None,
        Error::Auth(error) => prospect_of_auth(error),
        Error::Connect(error) => {
            let problem = |attempt: &ConnectAttempt| match attempt.problem() {
                ConnectProblem::Auth(error) => prospect_of_auth(error),
                ConnectProblem::InvalidInput(_) => Prospect::None,
                _ => Prospect::Open,
            };
            // One endpoint that may answer is enough.
            let mut prospects = error.attempts().iter().map(problem);
            let first = prospects.next().unwrap_or(Prospect::Open);
            if prospects.all(|prospect| prospect == first) { first } else { Prospect::Open }
        }
        Error::Launch(error) => match error.problem() {
            LaunchProblem::NotFound { .. }
            | LaunchProblem::TransportProgram { .. }
            | LaunchProblem::OtherTor { .. }
            | LaunchProblem::ConnectorPanicked => Prospect::None,
            LaunchProblem::Spawn { source, .. } => {
                match source.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE) => {
                        Prospect::Open
                    }
                    _ => Prospect::None,
                }
            }
            _ => Prospect::Open,
        },
        _ => Prospect::Open,
    }
}

fn prospect_of_auth(error: &AuthError) -> Prospect {
    match error.problem() {
        AuthProblem::WrongServerProof { .. } => Prospect::WrongProof,
        // A wrong password stays wrong. A wrong cookie is that of a tor that has ended.
        AuthProblem::Refused(_) if error.tried() == Some(&AuthMethod::HashedPassword) => {
            Prospect::None
        }
        AuthProblem::PasswordMissing
        | AuthProblem::CookieElsewhere { .. }
        | AuthProblem::PlainCookieOnly
        | AuthProblem::CookieLeftOut
        | AuthProblem::NoKnownMethod => Prospect::None,
        _ => Prospect::Open,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use nix::errno::Errno;

    use super::{Prospect, Source, prospect};
    use crate::controller::ConnectOptions;
    use crate::error::{
        AuthError, AuthProblem, ConnectAttempt, ConnectError, ConnectProblem, Disconnect, Error,
        InvalidInput, LaunchError, LaunchProblem, Rejection, RejectionLine, Timeout, Wait,
    };
    use crate::link::CancelToken;
    use crate::names::AuthMethod;
    use crate::process::Launcher;

    #[test]
    fn a_source_has_the_limit_and_the_token_of_its_options() {
        let connect =
            |options| Source::Connect { endpoints: Vec::new(), options: Box::new(options) };
        let launch = Source::Launch(Box::new(Launcher::new().repeatable().unwrap()));
        let limited = connect(ConnectOptions::new().event_limit(77));
        assert_eq!(
            [limited.event_limit(), launch.event_limit()],
            [77, ConnectOptions::new().events()]
        );
        assert_eq!([limited.launches(), launch.launches()], [false, true]);
        for source in [limited, launch] {
            assert!(source.canceled_by().is_none());
            let token = CancelToken::new();
            let source = source.with_cancel(&token);
            token.cancel();
            assert!(source.canceled_by().is_some_and(|token| token.is_canceled()));
        }
    }

    fn auth(tried: AuthMethod, problem: AuthProblem) -> AuthError {
        AuthError::new(&[AuthMethod::SafeCookie, AuthMethod::HashedPassword], Some(tried), problem)
    }

    fn wrong_proof() -> AuthError {
        auth(AuthMethod::SafeCookie, AuthProblem::WrongServerProof { path: "/c".into() })
    }

    fn wrong_password() -> AuthError {
        auth(AuthMethod::HashedPassword, refused())
    }

    fn refused() -> AuthProblem {
        AuthProblem::Refused(Rejection::new("AUTHENTICATE", vec![RejectionLine::new(515, b"no")]))
    }

    fn no_answer() -> ConnectProblem {
        ConnectProblem::Timeout(Timeout::new(Wait::Connect, Duration::ZERO))
    }

    fn connect(problems: Vec<ConnectProblem>) -> Prospect {
        let attempt = |problem| ConnectAttempt::new("127.0.0.1:9051", problem);
        prospect(&ConnectError::new(problems.into_iter().map(attempt).collect()).into())
    }

    fn spawn(errno: Errno) -> Prospect {
        let source = Arc::new(io::Error::from(errno));
        prospect(&LaunchError::new(LaunchProblem::Spawn { program: "tor".into(), source }).into())
    }

    #[test]
    fn an_error_that_would_be_the_same_ends_the_attempts() {
        let of = |error: AuthError| prospect(&error.into());
        assert_eq!(prospect(&InvalidInput::new("host", "is empty").into()), Prospect::None);
        assert_eq!(prospect(&Error::Closed(Disconnect::EndOfStream)), Prospect::Open);
        assert_eq!(of(wrong_password()), Prospect::None);
        assert_eq!(of(auth(AuthMethod::SafeCookie, refused())), Prospect::Open, "of a former tor");
        assert_eq!(of(wrong_proof()), Prospect::WrongProof);
        for problem in [
            AuthProblem::PasswordMissing,
            AuthProblem::CookieElsewhere { path: "/c".into() },
            AuthProblem::PlainCookieOnly,
            AuthProblem::CookieLeftOut,
            AuthProblem::NoKnownMethod,
        ] {
            assert_eq!(of(auth(AuthMethod::SafeCookie, problem)), Prospect::None);
        }
        // tor has not written its cookie yet.
        let size = AuthProblem::CookieSize { path: "/c".into(), size: 0 };
        assert_eq!(of(auth(AuthMethod::SafeCookie, size)), Prospect::Open);
    }

    #[test]
    fn one_endpoint_that_may_answer_is_enough() {
        let [no, proof] = [wrong_password(), wrong_proof()].map(ConnectProblem::Auth);
        let invalid = ConnectProblem::InvalidInput(InvalidInput::new("host", "is empty"));
        assert_eq!(connect(vec![no_answer()]), Prospect::Open);
        assert_eq!(connect(vec![no.clone()]), Prospect::None);
        assert_eq!(connect(vec![proof.clone()]), Prospect::WrongProof);
        assert_eq!(connect(vec![no.clone(), invalid.clone()]), Prospect::None);
        assert_eq!(connect(vec![invalid, no_answer()]), Prospect::Open);
        assert_eq!(connect(vec![no, proof]), Prospect::Open);
    }

    #[test]
    fn a_launch_is_repeated_if_the_system_may_allow_it_later() {
        for errno in [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE] {
            assert_eq!(spawn(errno), Prospect::Open, "{errno}");
        }
        assert_eq!(spawn(Errno::EACCES), Prospect::None);
        let panicked = LaunchError::new(LaunchProblem::ConnectorPanicked);
        assert_eq!(prospect(&panicked.into()), Prospect::None);
    }
}
