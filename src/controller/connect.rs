//! Connecting to a control port.

mod environment;
mod handshake;
mod options;
mod stream;

use std::cell::Cell;
use std::convert::Infallible;

pub use self::options::ConnectOptions;
use super::Controller;
use crate::clock::{self, deadline_after};
use crate::error::{
    ConnectAttempt, ConnectError, ConnectProblem, Error, InvalidInput, Result, Wait,
};
use crate::link::Endpoint;

/// Connects to a control port with the default options: see [`ConnectOptions::connect`].
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
/// let controller = torcon::connect("unix:/run/tor/control")?;
/// println!("tor {}", controller.version());
/// # Ok::<(), torcon::Error>(())
/// ```
pub fn connect<E>(endpoint: E) -> Result<Controller>
where
    E: TryInto<Endpoint>,
    Error: From<E::Error>,
{
    ConnectOptions::new().connect(endpoint)
}

/// Connects to the first tor at the usual endpoints: see [`ConnectOptions::connect_default`].
///
/// Blocks the current thread until a tor accepts the authentication, for at most 30 seconds.
///
/// # Errors
///
/// Those of [`ConnectOptions::connect_default`].
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect_default()?;
/// println!("tor {} at {}", controller.version(), controller.endpoint());
/// # Ok::<(), torcon::Error>(())
/// ```
pub fn connect_default() -> Result<Controller> {
    ConnectOptions::new().connect_default()
}

impl ConnectOptions {
    /// Connects to a control port and authenticates.
    ///
    /// The endpoint is an [`Endpoint`] or converts into one: text such as `localhost:9051` or
    /// `unix:/run/tor/control`, a `SocketAddr`, a `PathBuf`. A lost connection is not made again.
    /// TCP keep-alive detects within about two minutes that tor's machine has vanished.
    ///
    /// Sends `PROTOCOLINFO 1`, then `AUTHCHALLENGE SAFECOOKIE` if tor offers it and the cookie can
    /// be read, then `AUTHENTICATE`.
    ///
    /// Blocks the current thread until tor accepts the authentication, for at most the
    /// [time limit](Self::timeout).
    ///
    /// # Authentication
    ///
    /// Methods are preferred in this order:
    ///
    /// 1. SAFECOOKIE, with the file of [`cookie_file`](Self::cookie_file), or with the file that
    ///    tor names if the connection is a unix socket or within this machine. Each side proves that
    ///    it knows the cookie, and neither sends it. A peer that does not know the cookie ends the
    ///    attempt: nothing more is sent, no password either.
    /// 2. COOKIE, only with [`plain_cookie_file`](Self::plain_cookie_file).
    /// 3. HASHEDPASSWORD, with the [`password`](Self::password). If tor refuses the cookie, this
    ///    takes a second connection, since tor closes the first.
    /// 4. NULL, if tor requires no authentication.
    ///
    /// The control port is trusted to be tor's. Another program that listens there can offer a
    /// method that does not authenticate it, receives the password if it asks for one, and can
    /// relay the SAFECOOKIE handshake to the real tor. It cannot obtain the contents of a cookie or
    /// of another file; it can learn whether a path is a file of 32 bytes that this program may
    /// read. A unix socket in a directory that only tor's user can write to prevents that.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the endpoint is malformed or the password is longer than a
    /// command can be; [`Error::Connect`] if no control port answers in time; [`Error::Auth`] if no
    /// method succeeds, or the peer fails to prove that it is the tor that wrote the cookie;
    /// [`Error::Canceled`] if the [token](Self::cancel_token) was canceled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().password("correct horse");
    /// let controller = options.connect("10.0.0.7:9051")?;
    /// println!("tor {}", controller.version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
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
        self.check_canceled()?;
        self.attempt(&endpoint, &Cell::new(deadline_after(self.timeout)))
            .map_err(|problem| self.error_of(&endpoint.to_string(), problem))
    }

    /// Connects to the first tor at the usual endpoints, as
    /// [`connect_first`](Self::connect_first) does; if [`from_env`](Self::from_env) found an
    /// endpoint in the environment, to that one only.
    ///
    /// [`default_endpoints`](Self::default_endpoints) returns them. The usual ones are, in order:
    ///
    /// | endpoint | where it is usual |
    /// | --- | --- |
    /// | `unix:/run/tor/control` | `ControlSocket` of the packages of Debian and Ubuntu, for the group `debian-tor` |
    /// | `unix:/var/run/tor/control` | the same where `/var/run` is another directory |
    /// | `unix:/var/run/tor/control-sock` | `control-socket?` of Guix |
    /// | `127.0.0.1:9051` | `ControlPort` of tor's sample torrc; forwarded to the gateway on Whonix |
    /// | `127.0.0.1:9151` | Tor Browser; forwarded to the gateway on Whonix |
    /// | `127.0.0.1:951` | the filter `onion-grater`, as on Tails |
    ///
    /// # Errors
    ///
    /// Those of [`connect_first`](Self::connect_first).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::ConnectOptions;
    ///
    /// let controller = ConnectOptions::new().timeout(Duration::from_secs(5)).connect_default()?;
    /// println!("tor {} at {}", controller.version(), controller.endpoint());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn connect_default(&self) -> Result<Controller> {
        self.connect_first(&self.default_endpoints())
    }

    /// Connects to the first of several endpoints whose tor accepts the authentication.
    ///
    /// Each endpoint gets an equal share of the remaining time, so that an endpoint that hangs does
    /// not prevent the others. Each receives the commands of [`connect`](Self::connect).
    ///
    /// Blocks the current thread until a tor accepts the authentication, for at most the
    /// [time limit](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Connect`], with every endpoint that was tried, the reason of its failure, a failed
    /// authentication too, and a hint; [`Error::InvalidInput`] if there is no endpoint or one is
    /// malformed, before any is tried; [`Error::Canceled`] if the [token](Self::cancel_token) was
    /// canceled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{ConnectOptions, Endpoint};
    ///
    /// let endpoints = [Endpoint::unix("/srv/tor/control"), Endpoint::tcp("tor.local", 9051)];
    /// let controller = ConnectOptions::new().connect_first(&endpoints)?;
    /// println!("tor {} at {}", controller.version(), controller.endpoint());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn connect_first(&self, endpoints: &[Endpoint]) -> Result<Controller> {
        if endpoints.is_empty() {
            let problem = "is an empty list: give at least one endpoint to connect to";
            return Err(InvalidInput::new("endpoints", problem).into());
        }
        endpoints.iter().try_for_each(Endpoint::check)?;
        self.check_socks_port()?;
        let mut deadline = deadline_after(self.timeout);
        let mut attempts = Vec::new();
        self.check_canceled()?;
        for (endpoint, remaining) in endpoints.iter().zip((1..=endpoints.len()).rev()) {
            let left = clock::time_left(deadline);
            let share = left / u32::try_from(remaining).unwrap_or(u32::MAX);
            let end = deadline_after(share);
            let extended = Cell::new(end);
            let outcome = self.attempt(endpoint, &extended);
            deadline += extended.get().saturating_duration_since(end);
            match outcome {
                Ok(controller) => return Ok(controller),
                Err(problem) => {
                    self.check_canceled()?;
                    log::debug!("no controller at {endpoint}: {problem}");
                    attempts.push(ConnectAttempt::new(&endpoint.to_string(), problem));
                }
            }
        }
        Err(ConnectError::new(attempts).with_advice().into())
    }

    /// Returns the error of the only attempt.
    fn error_of(&self, address: &str, problem: ConnectProblem) -> Error {
        if let Err(canceled) = self.check_canceled() {
            return canceled;
        }
        match problem {
            ConnectProblem::Auth(error) => Error::Auth(error),
            ConnectProblem::InvalidInput(error) => Error::InvalidInput(error),
            problem => {
                let attempt = ConnectAttempt::new(address, problem);
                ConnectError::new(vec![attempt]).with_advice().into()
            }
        }
    }

    fn check_canceled(&self) -> Result<()> {
        self.cancel.as_ref().map_or(Ok(()), |token| Ok(token.check(Wait::Connect)?))
    }

    fn check_socks_port(&self) -> Result<()> {
        match &self.socks {
            Some(Ok(endpoint)) => Ok(endpoint.check()?),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
