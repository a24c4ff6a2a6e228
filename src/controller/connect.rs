//! How a connection is made: options, addresses, the handshake.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Controller;
use crate::auth::{CookieSource, Password, PasswordSource, authenticate};
use crate::command::{Command, GetProtocolInfo};
use crate::error::{
    ConnectAttempt, ConnectError, ConnectProblem, Disconnect, Error, InvalidInput, Result, Timeout,
    Wait, excerpt,
};
use crate::link::{BufferLimits, Endpoint, Link, LinkLimits, deadline_after};
use crate::wire::{Limits, Request};

/// The longest time that making a connection may take, if nothing else is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time that a command may take, if nothing else is said.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of events that may wait for their listeners, if nothing else is said.
const EVENT_LIMIT: usize = 64 << 20;

/// Bytes of replies that may wait for their callers, if nothing else is said.
const REPLY_BUFFER: BufferLimits = BufferLimits { memory: 4 << 20, file: 1 << 30 };

/// Where a tor usually listens, in the order in which it is looked for.
const USUAL: [&str; 4] =
    ["unix:/run/tor/control", "unix:/var/run/tor/control", "127.0.0.1:9051", "127.0.0.1:9151"];

/// How to connect to a tor: cookie, password, limits, addresses.
///
/// Options are cheap to clone and can be used any number of times; each
/// [`connect`](Self::connect) makes a connection of its own.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::ConnectOptions;
///
/// # fn main() -> Result<(), torcon::Error> {
/// let options = ConnectOptions::new().password("correct horse").timeout(Duration::from_secs(5));
/// let controller = options.connect("localhost:9051")?;
/// println!("tor {}", controller.version());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "TorProtocolFactory")]
#[doc(alias = "build_tor_connection")]
#[derive(Clone)]
#[must_use = "options do nothing until they connect"]
pub struct ConnectOptions {
    timeout: Duration,
    command_timeout: Duration,
    cookie: CookieSource,
    password: PasswordSource,
    socks: Option<Result<Endpoint>>,
    limits: LinkLimits,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            timeout: CONNECT_TIMEOUT,
            command_timeout: COMMAND_TIMEOUT,
            cookie: CookieSource::default(),
            password: PasswordSource::default(),
            socks: None,
            limits: LinkLimits {
                wire: Limits::default(),
                events: EVENT_LIMIT,
                replies: REPLY_BUFFER,
            },
        }
    }
}

impl ConnectOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the longest time that [`connect`](Self::connect) may take, from the first address to
    /// the end of authentication. The default is 30 seconds.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the longest time that a command of the new controller may take; see
    /// [`Controller::with_timeout`]. The default is 60 seconds.
    pub fn command_timeout(mut self, limit: Duration) -> Self {
        self.command_timeout = limit;
        self
    }

    /// Sets the path at which this program sees tor's cookie file, for a tor in a container, in a
    /// changed root or on another machine.
    ///
    /// The cookie is used for SAFECOOKIE only, so that its bytes are not sent. It also proves that
    /// the peer is the tor that wrote the file. Replaces
    /// [`plain_cookie_file`](Self::plain_cookie_file) and [`without_cookie`](Self::without_cookie).
    /// The default is the path that tor names if it is reached by a unix socket or on this
    /// machine, and no cookie otherwise.
    pub fn cookie_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cookie = CookieSource::File(path.into());
        self
    }

    /// Sets the path of tor's cookie file as [`cookie_file`](Self::cookie_file) does, and allows
    /// COOKIE, which **sends the bytes of this file to whoever listens** at the address, if
    /// SAFECOOKIE is not offered.
    ///
    /// Every tor since 0.2.3 has SAFECOOKIE, so this is only for peers that are not tor. The
    /// default is that COOKIE is not used.
    pub fn plain_cookie_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cookie = CookieSource::PlainFile(path.into());
        self
    }

    /// Leaves the cookie methods out, so that no cookie file is read: a password is used, or no
    /// proof if tor requires none.
    ///
    /// This sends a [password](Self::password) also to a peer that does not know the cookie at
    /// the path it names. Replaces [`cookie_file`](Self::cookie_file). The default is that a
    /// cookie is preferred.
    pub fn without_cookie(mut self) -> Self {
        self.cookie = CookieSource::Never;
        self
    }

    /// Sets the password to use if tor offers no cookie, if the cookie cannot be used, or if tor
    /// refuses it.
    ///
    /// HASHEDPASSWORD sends the password itself to whoever listens at the address, and any peer can
    /// ask for it, also by refusing the cookie. It is not sent to a peer whose proof by SAFECOOKIE is
    /// wrong. The default is none.
    pub fn password(mut self, password: impl Into<Password>) -> Self {
        self.password = PasswordSource::known(password.into());
        self
    }

    /// Sets a closure that is asked for the password where [`password`](Self::password) would be
    /// used.
    ///
    /// It is called at most once for each endpoint, on the thread that connects, and may take its
    /// time: the time limit does not run meanwhile. It may decline with `None`. The default is
    /// none.
    #[doc(alias = "password_function")]
    pub fn password_with<F>(mut self, ask: F) -> Self
    where
        F: FnMut() -> Option<Password> + Send + 'static,
    {
        self.password = PasswordSource::closure(ask);
        self
    }

    /// Sets where this program reaches tor's `SocksPort`, such as `10.0.0.7:9050`, for a tor in a
    /// container or behind a forwarded port.
    ///
    /// Streams of [`Tor`](crate::Tor) and of circuits use it, and tor is not asked where it
    /// listens. The default is the first listener that tor names and this program reaches:
    /// `0.0.0.0` is taken for the address of the control port, and the loopback of another
    /// machine is not used. SOCKS is not encrypted: whoever is between this program and the port
    /// reads the targets.
    pub fn socks_port<E>(mut self, endpoint: E) -> Self
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        self.socks = Some(endpoint.try_into().map_err(Error::from));
        self
    }

    /// Sets the longest line that tor may send, in bytes; a longer one ends the connection. The
    /// default is 16 MiB. Until tor has accepted the authentication, the limit is at most 64 KiB.
    pub fn line_limit(mut self, bytes: usize) -> Self {
        self.limits.wire.line = bytes;
        self
    }

    /// Sets the longest reply or event that tor may send, in bytes; a longer one ends the
    /// connection. Replies that are taken line by line, such as those of
    /// [`Controller::get_info_incremental`], are not limited. The default is 256 MiB. Until tor has
    /// accepted the authentication, the limit is at most 64 KiB.
    pub fn reply_limit(mut self, bytes: usize) -> Self {
        self.limits.wire.reply = bytes;
        self
    }

    /// Sets how many bytes of replies may wait on disk for callers that are slower than tor.
    ///
    /// A reply that is taken line by line, such as that of
    /// [`Controller::get_info_incremental`], waits in memory up to 4 MiB (or one line, if that is
    /// longer) and beyond that in a temporary file of its own, up to this limit. Replies that are
    /// held back after a command has timed out ([`Controller::with_timeout`]) share another one.
    /// If a reply does not fit, or the file cannot be written, that command alone fails with
    /// [`Error::Buffer`]; the rest of its reply is discarded, and the connection goes on.
    ///
    /// So a reply of which more than 4 MiB wait may reach the disk, and what is held back behind it,
    /// keys included. The file lies in [`std::env::temp_dir`], is open to its owner only (mode 0600)
    /// and has no name, so that nothing is left of it however the program ends; on systems that
    /// cannot create a file without a name, the name is removed at once. With 0 there is no file.
    /// The default is 1 GiB.
    pub fn reply_buffer_limit(mut self, bytes: u64) -> Self {
        self.limits.replies.file = bytes;
        self
    }

    /// Sets how many bytes of memory the events may take that wait for listeners slower than tor,
    /// and those in each [`EventQueue`](crate::EventQueue).
    ///
    /// An event takes its text and about a hundred bytes, fewer if many come together; a single
    /// event always fits. What does not fit is dropped, and
    /// [`Event::Lagged`](crate::Event::Lagged) is delivered in its place. While no caller waits for
    /// a reply, the connection is not read for up to a second instead, so that listeners which are
    /// not stuck lose nothing. The default is 64 MiB.
    pub fn event_limit(mut self, bytes: usize) -> Self {
        self.limits.events = bytes;
        self
    }

    /// Connects to a tor and authenticates.
    ///
    /// The endpoint is an [`Endpoint`] or what converts into one: text such as `localhost:9051` or
    /// `unix:/run/tor/control`, a `SocketAddr`, a `PathBuf`.
    ///
    /// Sends `PROTOCOLINFO 1`, then `AUTHCHALLENGE SAFECOOKIE` if tor offers it and the cookie can
    /// be read, then `AUTHENTICATE`; nothing else. A connection that is lost later is not made
    /// again. A TCP connection has keep-alive: a tor whose machine vanishes without a word is
    /// noticed within about two minutes.
    ///
    /// Blocks the current thread until tor accepts the authentication, for at most the
    /// [time limit](Self::timeout).
    ///
    /// # Authentication
    ///
    /// Methods are preferred in this order:
    ///
    /// 1. SAFECOOKIE, with the file of [`cookie_file`](Self::cookie_file), or with the one that
    ///    tor names if the connection is a unix socket or within this machine. Each side proves
    ///    that it knows the cookie, and neither sends it. A peer that does not know the cookie
    ///    ends the attempt: nothing more is sent, no password either.
    /// 2. COOKIE, only with [`plain_cookie_file`](Self::plain_cookie_file).
    /// 3. HASHEDPASSWORD, with the [`password`](Self::password). If tor has refused a cookie, this
    ///    takes a second connection, since tor closes the first.
    /// 4. NULL, if tor requires no proof.
    ///
    /// The control port is trusted to be tor's. A program that listens there in its place can
    /// offer a method that proves nothing about it, is given the password if it asks for one, and
    /// can relay the proofs of SAFECOOKIE between this program and the real tor. It cannot obtain
    /// the bytes of a cookie or of any other file; it can learn whether a path is a file of 32
    /// bytes that this program may read. A unix socket in a directory that only tor's user can
    /// write to keeps others from listening there.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the endpoint cannot be read or the password is longer than a
    /// command of tor can be, [`Error::Connect`] if no control port answers there in time,
    /// [`Error::Auth`] if no method succeeds or the peer is not the tor that it claims to be.
    #[doc(alias = "from_socket_file")]
    #[doc(alias = "from_port")]
    pub fn connect<E>(&self, endpoint: E) -> Result<Controller>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        let endpoint = endpoint.try_into()?;
        endpoint.check()?;
        self.check_socks_port()?;
        self.attempt(&endpoint, deadline_after(self.timeout)).map_err(|problem| match problem {
            ConnectProblem::Auth(error) => Error::Auth(error),
            ConnectProblem::InvalidInput(error) => Error::InvalidInput(error),
            problem => only(&endpoint, problem).into(),
        })
    }

    /// Connects to the first tor that is found where tors usually listen.
    ///
    /// These are, in order, the unix sockets `/run/tor/control` and `/var/run/tor/control` and the
    /// TCP ports 9051 and 9151 of this machine. The same is sent as by
    /// [`connect`](Self::connect).
    ///
    /// Blocks the current thread until a tor accepts the authentication, for at most the
    /// [time limit](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Connect`], with every address that was tried and the reason why it failed, also
    /// if that was the authentication.
    pub fn connect_default(&self) -> Result<Controller> {
        let endpoints = USUAL.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>()?;
        self.connect_first(&endpoints)
    }

    /// Connects to the first of several endpoints whose tor accepts the authentication.
    ///
    /// The same is sent as by [`connect`](Self::connect). The time limit holds for all of them
    /// together; each may take an equal share of what is left, so that one which hangs does not
    /// keep the others from being tried.
    ///
    /// Blocks the current thread until a tor accepts the authentication, for at most the
    /// [time limit](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Connect`], with every endpoint that was tried and the reason why it failed;
    /// [`Error::InvalidInput`] if there is no endpoint or one of them cannot be an address, before
    /// any is tried.
    pub fn connect_first(&self, endpoints: &[Endpoint]) -> Result<Controller> {
        if endpoints.is_empty() {
            let problem = "is an empty list: give at least one endpoint to connect to";
            return Err(InvalidInput::new("endpoints", problem).into());
        }
        endpoints.iter().try_for_each(Endpoint::check)?;
        self.check_socks_port()?;
        let deadline = deadline_after(self.timeout);
        let mut attempts = Vec::new();
        for (endpoint, still_to_try) in endpoints.iter().zip((1..=endpoints.len()).rev()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(still_to_try).unwrap_or(u32::MAX);
            match self.attempt(endpoint, deadline_after(share)) {
                Ok(controller) => return Ok(controller),
                Err(problem) => {
                    log::debug!("no controller at {endpoint}: {problem}");
                    attempts.push(ConnectAttempt::new(&endpoint.to_string(), problem));
                }
            }
        }
        Err(ConnectError::new(attempts).into())
    }

    fn check_socks_port(&self) -> Result<()> {
        match &self.socks {
            Some(Ok(endpoint)) => Ok(endpoint.check()?),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Connects to one endpoint; a second time with the password, if tor refuses the cookie.
    fn attempt(
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
            return Err(self.too_late());
        }
        let problem = |error| self.handshake_problem(error);
        let link =
            Link::open(endpoint, deadline, self.limits).map_err(|problem| match problem {
                ConnectProblem::Io(error) | ConnectProblem::Resolve(error)
                    if error.kind() == std::io::ErrorKind::TimedOut =>
                {
                    self.too_late()
                }
                problem => problem,
            })?;
        let command = GetProtocolInfo::new();
        let request = command.request().map_err(|error| problem(error.into()))?;
        let reply = link.call(&request, left(deadline)).map_err(|error| match error {
            // Whoever closes at the first question without a word is no control port.
            Error::Closed(Disconnect::EndOfStream) => {
                ConnectProblem::NotAControlPort { excerpt: "".into() }
            }
            Error::Timeout(_) => ConnectProblem::Silent(Timeout::new(Wait::Connect, self.timeout)),
            error => problem(error),
        })?;
        // Before authentication it cannot be anybody else's reply.
        let said = reply.lines().next().map(|line| excerpt(line.bytes())).unwrap_or_default();
        let info = command.reply(reply).map_err(|error| match error {
            Error::Protocol(_) => ConnectProblem::NotAControlPort { excerpt: said },
            error => problem(error),
        })?;
        // The time that a person takes to answer does not count.
        let deadline = Cell::new(deadline);
        let mut submit = |request: Request| link.call(&request, left(deadline.get()));
        let mut password = || {
            let asked = Instant::now();
            let password = self.password.password(left(deadline.get()));
            deadline.set(deadline.get() + asked.elapsed());
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

    /// Puts what went wrong in the handshake in terms of connecting.
    fn handshake_problem(&self, error: Error) -> ConnectProblem {
        match error {
            Error::Auth(error) => ConnectProblem::Auth(error),
            Error::InvalidInput(error) => ConnectProblem::InvalidInput(error),
            Error::Rejected(rejection) => ConnectProblem::Rejected(rejection),
            Error::Timeout(_) => self.too_late(),
            Error::Closed(Disconnect::Protocol(error)) | Error::Protocol(error) => {
                ConnectProblem::NotAControlPort { excerpt: error.excerpt().into() }
            }
            Error::Closed(reason) => ConnectProblem::Closed(reason),
            other => ConnectProblem::Io(Arc::new(std::io::Error::other(other))),
        }
    }

    fn too_late(&self) -> ConnectProblem {
        ConnectProblem::Timeout(Timeout::new(Wait::Connect, self.timeout))
    }
}

fn only(endpoint: &Endpoint, problem: ConnectProblem) -> ConnectError {
    ConnectError::new(vec![ConnectAttempt::new(&endpoint.to_string(), problem)])
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("timeout", &self.timeout)
            .field("command_timeout", &self.command_timeout)
            .field("cookie", &self.cookie)
            .field("socks", &self.socks)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Connects to a tor with the default options; see [`ConnectOptions::connect`].
///
/// Blocks the current thread until tor accepts the authentication, for at most 30 seconds.
///
/// # Errors
///
/// Those of [`ConnectOptions::connect`].
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// let controller = torcon::connect("unix:/run/tor/control")?;
/// println!("tor {}", controller.version());
/// # Ok(())
/// # }
/// ```
pub fn connect<E>(endpoint: E) -> Result<Controller>
where
    E: TryInto<Endpoint>,
    Error: From<E::Error>,
{
    ConnectOptions::new().connect(endpoint)
}

/// Connects to the first tor that is found where tors usually listen; see
/// [`ConnectOptions::connect_default`].
///
/// Blocks the current thread until a tor accepts the authentication, for at most 30 seconds.
///
/// # Errors
///
/// Those of [`ConnectOptions::connect_default`].
pub fn connect_default() -> Result<Controller> {
    ConnectOptions::new().connect_default()
}
