//! Streams through a tor, and names resolved by it.

use std::net::IpAddr;

use super::Tor;
use crate::error::{Error, Result};
use crate::names::Target;
use crate::socks::{SocksProxy, TorStream};

impl Tor {
    /// Returns the places where this program reaches a `SocksPort` of this tor, in tor's order;
    /// none if its network is switched off.
    ///
    /// If the connection was made with
    /// [`ConnectOptions::socks_port`](crate::ConnectOptions::socks_port), that is the only one.
    /// Otherwise sends `GETINFO net/listeners/socks`. A listener on every address of tor's machine
    /// is taken to be at the address of the control port, and those on the loopback or a unix
    /// socket of another machine are left out.
    ///
    /// Blocks for at most the controller's [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] with [`SocksProblem::ListenerElsewhere`] if all of them are left out;
    /// [`Error::Protocol`] if the answer cannot be read; otherwise those of
    /// [`Controller::get_info`](crate::Controller::get_info).
    ///
    /// [`SocksProblem::ListenerElsewhere`]: crate::error::SocksProblem::ListenerElsewhere
    pub fn socks_proxies(&self) -> Result<Vec<SocksProxy>> {
        let endpoints = self.controller().socks_endpoints("list the ways to make a stream")?;
        endpoints.into_iter().map(SocksProxy::new).collect()
    }

    /// Returns the first place where this program reaches a `SocksPort` of this tor, for streams with options of
    /// their own, such as isolation and other time limits.
    ///
    /// Asks tor as [`socks_proxies`](Self::socks_proxies) does.
    ///
    /// Blocks for at most the controller's [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] with [`SocksProblem::NoListener`] if there is none; otherwise those of
    /// [`socks_proxies`](Self::socks_proxies).
    ///
    /// [`SocksProblem::NoListener`]: crate::error::SocksProblem::NoListener
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::Tor;
    /// use torcon::socks::Isolation;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let proxy = tor.socks_proxy()?.isolation(Isolation::fresh());
    /// let one = proxy.connect("example.com:80")?;
    /// let another = proxy.connect("example.com:80")?; // by another circuit
    /// # Ok(())
    /// # }
    /// ```
    pub fn socks_proxy(&self) -> Result<SocksProxy> {
        self.proxy_to("make a stream")
    }

    /// Connects to a target through tor: `host:port`, a pair of host and port, a socket address,
    /// or an onion address and a port.
    ///
    /// Asks tor where its `SocksPort` is, as [`socks_proxies`](Self::socks_proxies) does, and
    /// connects as [`SocksProxy::connect`] does.
    ///
    /// Blocks the current thread until the stream is open, for at most the time limit of the
    /// controller and 130 seconds; with [`socks_proxy`](Self::socks_proxy) for a limit of one's
    /// own.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::connect`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::{Read, Write};
    ///
    /// let tor = torcon::Tor::connect("127.0.0.1:9051")?;
    /// let mut stream = tor.connect_stream("example.com:80")?;
    /// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")?;
    /// let mut page = String::new();
    /// stream.read_to_string(&mut page)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_stream<T>(&self, target: T) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.open(target.try_into()?)
    }

    /// Resolves a host name through tor.
    ///
    /// Asks tor where its `SocksPort` is, as [`socks_proxies`](Self::socks_proxies) does, and
    /// resolves as [`SocksProxy::resolve`] does.
    ///
    /// Blocks the current thread until tor has answered, for at most the time limit of the
    /// controller and 130 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::resolve`].
    #[doc(alias = "dns_resolve")]
    pub fn resolve(&self, name: &str) -> Result<IpAddr> {
        self.proxy_to("resolve a name")?.resolve(name)
    }

    /// Finds the host name of an address through tor.
    ///
    /// Asks tor where its `SocksPort` is, as [`socks_proxies`](Self::socks_proxies) does, and
    /// resolves as [`SocksProxy::resolve_ptr`] does.
    ///
    /// Blocks the current thread until tor has answered, for at most the time limit of the
    /// controller and 130 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::resolve_ptr`].
    #[doc(alias = "dns_resolve_ptr")]
    pub fn resolve_ptr(&self, address: IpAddr) -> Result<String> {
        self.proxy_to("find the name of an address")?.resolve_ptr(address)
    }

    fn open(&self, target: Target) -> Result<TorStream> {
        self.proxy_to(&format!("connect to {target}"))?.connect(target)
    }

    fn proxy_to(&self, wish: &str) -> Result<SocksProxy> {
        SocksProxy::new(self.controller().socks_endpoint(wish)?)
    }
}
