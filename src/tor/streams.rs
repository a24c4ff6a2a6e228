//! Streams through a `Tor`, and names that it resolves.

use std::net::IpAddr;
use std::time::Duration;

use super::Tor;
use crate::clock::deadline_after;
use crate::error::{Error, Result};
use crate::names::Target;
use crate::socks::{SocksProxy, TorStream};

/// The time limit of a stream: a little longer than tor itself tries.
const LIMIT: Duration = Duration::from_secs(130);

impl Tor {
    /// Returns a proxy for each `SocksPort` of this tor that this program can reach, in tor's order;
    /// none if tor's network is disabled.
    ///
    /// If the connection was made with
    /// [`ConnectOptions::socks_port`](crate::ConnectOptions::socks_port), that is the only one. A
    /// listener on all addresses is reached at the address of the control port. Listeners on the
    /// loopback interface or on a unix socket of another machine are left out.
    ///
    /// Sends `GETINFO net/listeners/socks`, if need be. Blocks for at most the controller's
    /// [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] with [`SocksProblem::ListenerElsewhere`] if all of them are left out;
    /// [`Error::Protocol`] if the answer cannot be read; otherwise those of
    /// [`Controller::get_info`](crate::Controller::get_info).
    ///
    /// [`SocksProblem::ListenerElsewhere`]: crate::error::SocksProblem::ListenerElsewhere
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// for proxy in tor.socks_proxies()? {
    ///     println!("{proxy:?}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn socks_proxies(&self) -> Result<Vec<SocksProxy>> {
        let endpoints = self.controller().socks_endpoints_for("list the ways to make a stream")?;
        endpoints.into_iter().map(SocksProxy::new).collect()
    }

    /// Returns the first of [these proxies](Self::socks_proxies), for streams with other options,
    /// such as isolation or a time limit.
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
    #[doc(alias("socks_endpoint", "create_socks_endpoint"))]
    pub fn socks_proxy(&self) -> Result<SocksProxy> {
        SocksProxy::new(self.controller().socks_endpoint("make a stream")?)
    }

    /// Connects to a target through tor: `host:port`, a pair of host and port, a socket address, or an
    /// onion address and a port.
    ///
    /// Sends what [`socks_proxies`](Self::socks_proxies) does, then connects with
    /// [`SocksProxy::connect`].
    ///
    /// Blocks the current thread until the stream is open, for at most 130 seconds;
    /// [`SocksProxy::timeout`] of a [`socks_proxy`](Self::socks_proxy) sets another limit.
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
    #[doc(alias("TorClientEndpoint", "TorClientEndpointStringParser"))]
    pub fn connect_stream<T>(&self, target: T) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.open(target.try_into()?)
    }

    /// Resolves a host name through tor.
    ///
    /// Sends what [`socks_proxies`](Self::socks_proxies) does, then resolves with
    /// [`SocksProxy::resolve`].
    ///
    /// Blocks the current thread until tor has answered, for at most 130 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::resolve`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// println!("{}", tor.resolve("example.com")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "dns_resolve")]
    pub fn resolve(&self, name: &str) -> Result<IpAddr> {
        self.proxy_for_call("resolve a name")?.resolve(name)
    }

    /// Resolves an address to its host name through tor.
    ///
    /// Sends what [`socks_proxies`](Self::socks_proxies) does, then resolves with
    /// [`SocksProxy::resolve_ptr`].
    ///
    /// Blocks the current thread until tor has answered, for at most 130 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::resolve_ptr`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// println!("{}", tor.resolve_ptr("192.0.2.1".parse().expect("an address"))?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "dns_resolve_ptr")]
    pub fn resolve_ptr(&self, address: IpAddr) -> Result<String> {
        self.proxy_for_call("find the name of an address")?.resolve_ptr(address)
    }

    fn open(&self, target: Target) -> Result<TorStream> {
        self.proxy_for_call(&format!("connect to {target}"))?.connect(target)
    }

    /// Returns the proxy for a call that has one time limit for the command and the proxy.
    fn proxy_for_call(&self, action: &str) -> Result<SocksProxy> {
        let deadline = deadline_after(LIMIT);
        let controller = self.controller.with_timeout(self.controller.timeout().min(LIMIT));
        let proxy = SocksProxy::new(controller.socks_endpoint(action)?)?;
        Ok(proxy.deadline(deadline, LIMIT))
    }
}
