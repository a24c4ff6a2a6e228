//! The local listener of a service, and the targets of its virtual ports.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::OnionEndpoint;
use crate::error::Error;
use crate::names::{OnionPort, PortTarget};
use crate::onion::local::{BindTarget, LocalListener};

/// # The local listener and the ports
impl OnionEndpoint {
    /// Sets the address to listen on. The default is a free port of 127.0.0.1.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).local_addr(([127, 0, 0, 1], 8080)).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "available_tcp_port")]
    #[doc(alias = "local_port")]
    pub fn local_addr(self, address: impl Into<SocketAddr>) -> Self {
        self.bind_target(BindTarget::Tcp(address.into()))
    }

    /// Listens on a unix socket. Its file is removed with the listener; a socket file that a killed
    /// program left is replaced. If this program is root, the file is given to tor's user, unless
    /// others can write to its directory. The default is a TCP port.
    ///
    /// Sends `GETINFO process/pid process/uid` if this program is root.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).local_unix("/run/web/onion.sock").listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn local_unix(self, path: impl Into<PathBuf>) -> Self {
        self.bind_target(BindTarget::Unix(path.into()))
    }

    /// Sets a closure that makes the local listener; [`listen`](Self::listen) calls it once. The
    /// default is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::TcpListener;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let bind = || TcpListener::bind("127.0.0.1:8080");
    /// let listener = tor.onion_endpoint(80).bind_with(bind).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "endpoint_generator")]
    pub fn bind_with<F, L>(self, bind: F) -> Self
    where
        F: FnOnce() -> io::Result<L> + Send + 'static,
        L: Into<LocalListener>,
    {
        self.bind_target(BindTarget::With(Box::new(move || bind().map(Into::into))))
    }

    /// Sets the target at which tor reaches the local listener, for a tor in a container or on
    /// another machine, to which the listener has another address than here.
    ///
    /// An address without a port gets the port of the listener, which may be a free one. A host name
    /// is refused: tor would resolve it once, outside of the Tor network, and wait for the answer.
    ///
    /// The default is the address of the listener. For a listener on every address (`0.0.0.0`) it
    /// is a loopback address if tor is on this machine, and otherwise the local address of the
    /// control connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Ipv4Addr;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor
    ///     .onion_endpoint(80)
    ///     .local_addr((Ipv4Addr::UNSPECIFIED, 8080))
    ///     .reached_at("172.17.0.2:8080")
    ///     .listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "advertise")]
    pub fn reached_at<T>(mut self, target: T) -> Self
    where
        T: TryInto<PortTarget>,
        Error: From<T::Error>,
    {
        self.reached_at = self.convert(target);
        self
    }

    fn bind_target(self, target: BindTarget) -> Self {
        *self.bind_target.lock() = Some(target);
        self
    }

    /// Adds a virtual port that is forwarded to another server; or another target of the same
    /// virtual port, of which tor chooses one at random for each connection. tor does not try another
    /// target if that one refuses the connection. The default is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// // Two web servers share port 80; port 22 has one server.
    /// let endpoint = tor.onion_endpoint(80).port(80, "127.0.0.1:8081").port(22, 22);
    /// let service = endpoint.start("127.0.0.1:8080")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn port<T>(mut self, virtual_port: u16, target: T) -> Self
    where
        T: TryInto<PortTarget>,
        Error: From<T::Error>,
    {
        if let Some(target) = self.convert::<PortTarget, _>(target) {
            self.more_ports.push(OnionPort::new(virtual_port, target));
        }
        self
    }
}
