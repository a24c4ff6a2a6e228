//! A control connection over a socket that the program has connected.

use std::cell::Cell;
use std::os::fd::OwnedFd;

use super::ConnectOptions;
use crate::clock::deadline_after;
use crate::controller::Controller;
use crate::error::{InvalidInput, Result};
use crate::link::{Handshake, Stream};

/// The address of a peer without one.
const UNNAMED: &str = "an unnamed unix socket";

impl ConnectOptions {
    /// Authenticates over a stream that is open already, for a control port that only the program
    /// can reach: through a tunnel, from another network namespace, or by a socket that another
    /// process passed on.
    ///
    /// The stream is a [`TcpStream`](std::net::TcpStream), a
    /// [`UnixStream`](std::os::unix::net::UnixStream), or the descriptor of a connected TCP or unix
    /// socket. Nothing may have been sent on it. It belongs to the controller from now on: it is
    /// set to blocking mode without timeouts, and closed with the connection, also if this fails.
    ///
    /// [`Controller::endpoint`] returns the address of the peer; a unix socket without a name has
    /// an empty path. A tunnel that ends on this machine seems to be a tor on this machine: set
    /// [`cookie_file`](Self::cookie_file) and [`socks_port`](Self::socks_port), as for a tor in a
    /// container.
    ///
    /// Sends the commands of [`connect`](Self::connect), and authenticates by the same methods, but
    /// with one attempt: if tor refuses the cookie, no password is tried, since tor closes the
    /// connection.
    ///
    /// Blocks the current thread until tor accepts the authentication, for at most the
    /// [time limit](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the descriptor is not a connected
    /// socket of these kinds; otherwise those of [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::unix::net::UnixStream;
    ///
    /// use torcon::ConnectOptions;
    ///
    /// let stream = UnixStream::connect("/run/tor/control")?;
    /// let controller = ConnectOptions::new().connect_stream(stream)?;
    /// println!("tor {}", controller.version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "from_stream")]
    pub fn connect_stream<S>(&self, stream: S) -> Result<Controller>
    where
        S: Into<OwnedFd>,
    {
        self.check_socks_port()?;
        self.check_canceled()?;
        let (stream, endpoint) = Stream::from_connected(stream.into()).map_err(|error| {
            let problem = format!("is not a connected TCP or unix socket: {error}");
            InvalidInput::new("stream", problem)
        })?;
        let handshake = Handshake::new(stream, self.limits);
        let deadline = Cell::new(deadline_after(self.timeout));
        self.authenticate(handshake, &endpoint, &deadline, &self.cookie).map_err(|problem| {
            let is_unnamed = endpoint.path().is_some_and(|path| path.as_os_str().is_empty());
            let address = if is_unnamed { UNNAMED.to_owned() } else { endpoint.to_string() };
            self.error_of(&address, problem)
        })
    }
}
