//! Streams through tor, and names resolved by it: SOCKS5 with tor's extensions.
//!
//! [`SocksProxy`] is a `SocksPort` of tor, on TCP or on a unix socket. [`TorStream`] is a stream
//! through it and implements [`Read`](std::io::Read) and [`Write`](std::io::Write). [`Isolation`]
//! decides which streams may share circuits. Other libraries that speak SOCKS, such as HTTP clients,
//! take [`SocksProxy::url`].
//!
//! All work runs on the caller's thread, except that a proxy's host name is resolved on a thread
//! `torcon-resolve`, since the system's resolver has no deadline.
//!
//! **Invariant**: this module does not know the control protocol, gives every wait a deadline,
//! reads no byte of the stream behind the proxy during the handshake, and logs nothing.

mod connect;
pub(crate) mod handshake;
mod isolation;
mod stream;
mod target;
mod url;

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

pub use self::isolation::Isolation;
pub use self::stream::TorStream;

use self::connect::{Limits, OnOpen, exchange};
use self::handshake::{Answer, Command, Handshake};
use self::target::{Host, host_and_port};
use crate::error::{Error, ProtocolError, Result, SocksError, SocksProblem};
use crate::link::{Endpoint, Stream};
use crate::names::Target;

/// The default limit for a whole call. tor gives up after about 120 seconds, and its SOCKS error
/// code is more precise than a local timeout.
const TIMEOUT: Duration = Duration::from_secs(130);

/// The default limit until the proxy answers the greeting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);

/// A `SocksPort` of tor, which opens streams through tor and resolves host names.
///
/// A `SocksProxy` is an address with options. It is cheap to clone, and any number of threads can
/// use it at once: each call opens its own connection to the proxy. tor distinguishes the failures
/// of onion services only if its `SocksPort` has the flag `ExtendedErrors`; see
/// [`SocksCode`](crate::error::SocksCode).
///
/// # Examples
///
/// ```no_run
/// use std::io::{Read, Write};
///
/// use torcon::socks::{Isolation, SocksProxy};
///
/// let proxy = SocksProxy::new("127.0.0.1:9050")?.isolation(Isolation::token("account 7")?);
/// let mut stream = proxy.connect("example.com:80")?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")?;
/// let mut page = String::new();
/// stream.read_to_string(&mut page)?;
/// println!("{} has {} bytes", proxy.resolve("example.com")?, page.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("TorSocksEndpoint", "Dialer", "DialConf"))]
#[derive(Clone, Debug)]
#[must_use = "a proxy does nothing until it connects or resolves"]
pub struct SocksProxy {
    endpoint: Endpoint,
    isolation: Isolation,
    timeout: Duration,
    /// The end of the call of which the request is the last step.
    deadline: Option<Instant>,
    greeting_timeout: Duration,
    on_open: OnOpen,
}

impl SocksProxy {
    /// Creates a proxy for a `SocksPort`, such as `127.0.0.1:9050` or `unix:/run/tor/socks`. Does
    /// not connect.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the text is not an endpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::socks::SocksProxy;
    ///
    /// let tcp = SocksProxy::new("127.0.0.1:9050")?;
    /// let unix = SocksProxy::new("unix:/run/tor/socks")?;
    /// # let _ = (tcp, unix);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn new<E>(endpoint: E) -> Result<Self>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        Ok(Self {
            endpoint: endpoint.try_into()?,
            isolation: Isolation::none(),
            timeout: TIMEOUT,
            deadline: None,
            greeting_timeout: GREETING_TIMEOUT,
            on_open: OnOpen::default(),
        })
    }

    /// Creates a proxy for the `SocksPort` that the environment names by the variables of Tor
    /// Browser. Does not connect.
    ///
    /// `TOR_SOCKS_IPC_PATH` is the path of a unix socket. Otherwise `TOR_SOCKS_HOST` and
    /// `TOR_SOCKS_PORT` are host and port; if only one of them is set, the other is 127.0.0.1 or
    /// 9150, the port of Tor Browser. If none is set, or all are empty, it is tor's default port,
    /// `127.0.0.1:9050`.
    ///
    /// [`ConnectOptions::from_env`](crate::ConnectOptions::from_env) reads the same variables for a
    /// [`Tor`](crate::Tor).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with the name of a variable whose value is not valid.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::socks::SocksProxy;
    ///
    /// // TOR_SOCKS_PORT=9150 my-program
    /// let stream = SocksProxy::from_env()?.connect("example.com:80")?;
    /// # let _ = stream;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "TOR_SOCKS_HOST")]
    #[doc(alias = "TOR_SOCKS_PORT")]
    #[doc(alias = "TOR_SOCKS_IPC_PATH")]
    pub fn from_env() -> Result<Self> {
        let endpoint = Endpoint::socks_from_env(&|name| env::var_os(name))?;
        Self::new(endpoint.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 9050)).into()))
    }

    /// Sets which streams may share circuits. The default is [`Isolation::none`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::socks::{Isolation, SocksProxy};
    ///
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?.isolation(Isolation::fresh());
    /// let one = proxy.connect("example.com:80")?;
    /// let another = proxy.connect("example.com:80")?; // by another circuit
    /// # let _ = (one, another);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets the time limit for each call of [`connect`](Self::connect), [`resolve`](Self::resolve)
    /// and [`resolve_ptr`](Self::resolve_ptr). The default is 130 seconds, a little longer than tor
    /// tries. For one call with another limit, clone the proxy.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::socks::SocksProxy;
    ///
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?;
    /// let stream = proxy.clone().timeout(Duration::from_secs(20)).connect("example.com:80")?;
    /// # let _ = stream;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Makes the request the last step of a call that ends at `deadline`. A timeout error reports
    /// `limit`.
    pub(crate) fn deadline(self, deadline: Instant, limit: Duration) -> Self {
        Self { timeout: limit, deadline: Some(deadline), ..self }
    }

    /// Sets the time limit until the proxy accepts the connection and answers the greeting, within
    /// [`timeout`](Self::timeout). A SOCKS proxy answers at once, so silence means that another kind
    /// of server listens there. The default is 30 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torcon::socks::SocksProxy;
    ///
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?.greeting_timeout(Duration::from_secs(2));
    /// # let _ = proxy;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn greeting_timeout(mut self, limit: Duration) -> Self {
        self.greeting_timeout = limit;
        self
    }

    /// Sets a closure that gets the local address of each TCP connection to the proxy, on the
    /// calling thread and before anything is sent.
    pub(crate) fn on_open(mut self, on_open: impl Fn(SocketAddr) + Send + Sync + 'static) -> Self {
        self.on_open = OnOpen::new(on_open);
        self
    }

    /// Returns the endpoint of the proxy.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::socks::SocksProxy;
    ///
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?;
    /// assert_eq!(proxy.endpoint().to_string(), "127.0.0.1:9050");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Connects to a target through tor.
    ///
    /// The target is `host:port` as text, a pair of host and port, a [`SocketAddr`], or an
    /// [`OnionAddress`](crate::names::OnionAddress) and a port. tor resolves a host name, not this
    /// program.
    ///
    /// Blocks the current thread until the stream is open, for at most the
    /// [time limit](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] if the proxy cannot be reached, is not a SOCKS proxy, refuses, or does not
    /// answer in time. [`Error::InvalidInput`] if the target is not valid, such as a mistyped onion
    /// address.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{Read, Write};
    ///
    /// use torcon::socks::SocksProxy;
    ///
    /// let mut stream = SocksProxy::new("127.0.0.1:9050")?.connect("example.com:80")?;
    /// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")?;
    /// let mut page = String::new();
    /// stream.read_to_string(&mut page)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "DialContext")]
    pub fn connect<T>(&self, target: T) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        let target = target.try_into()?;
        let (host, port) = host_and_port(&target)?;
        let action = format!("connect to {target}");
        let (stream, _) = self.exchange(Command::Connect, &host, port, &action)?;
        Ok(TorStream::new(stream))
    }

    /// Resolves a host name through tor, to an IPv4 or IPv6 address at tor's choice.
    ///
    /// Blocks the current thread until tor answers, for at most the [time limit](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] as for [`connect`](Self::connect); tor answers
    /// [`HostUnreachable`](crate::error::SocksCode::HostUnreachable) for a name without an
    /// address. [`Error::InvalidInput`] if `name` is not a host name.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::socks::SocksProxy;
    ///
    /// println!("{}", SocksProxy::new("127.0.0.1:9050")?.resolve("example.com")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn resolve(&self, name: &str) -> Result<IpAddr> {
        let host = Host::new("name", name)?;
        let action = format!("resolve {name}");
        match self.exchange(Command::Resolve, &host, 0, &action)? {
            (_, Answer::Ip(address)) => Ok(address),
            (_, Answer::Name(name)) => Err(self.unreadable_answer(&action, "an address", &name)),
        }
    }

    /// Resolves an address to a host name through tor.
    ///
    /// The owner of the address chooses the name, so the name proves nothing.
    ///
    /// Blocks the current thread until tor answers, for at most the [time limit](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] as for [`connect`](Self::connect); tor answers
    /// [`HostUnreachable`](crate::error::SocksCode::HostUnreachable) for an address without a
    /// name.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Ipv4Addr;
    ///
    /// use torcon::socks::SocksProxy;
    ///
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?;
    /// println!("{}", proxy.resolve_ptr(Ipv4Addr::new(192, 0, 2, 7).into())?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn resolve_ptr(&self, address: IpAddr) -> Result<String> {
        let action = format!("find the name of {address}");
        let host = Host::Ip(address);
        let found = match self.exchange(Command::ResolvePtr, &host, 0, &action)? {
            (_, Answer::Name(name)) => name,
            (_, Answer::Ip(address)) => address.to_string().into_bytes(),
        };
        let is_name = !found.is_empty()
            && found.iter().all(u8::is_ascii_graphic)
            && !found.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
            && !found.contains(&b':');
        match String::from_utf8(found) {
            Ok(name) if is_name => Ok(name),
            Ok(name) => Err(self.unreadable_answer(&action, "a host name", name.as_bytes())),
            Err(error) => Err(self.unreadable_answer(&action, "a host name", error.as_bytes())),
        }
    }

    /// Connects to the proxy and sends one request. `action` completes "cannot ..." in an error.
    fn exchange(
        &self,
        command: Command,
        host: &Host,
        port: u16,
        action: &str,
    ) -> Result<(Stream, Answer)> {
        let limits = Limits::new(self.greeting_timeout, self.timeout, self.deadline);
        let exchange = || {
            let credentials = self.isolation.next_credentials()?;
            let handshake = Handshake::new(command, host, port, credentials.as_deref());
            exchange(&self.endpoint, &self.on_open, handshake, limits)
        };
        exchange().map_err(|problem| self.error(action, problem))
    }

    fn unreadable_answer(&self, action: &str, expected: &'static str, found: &[u8]) -> Error {
        let error = ProtocolError::new("the proxy's answer to the request", expected, found);
        self.error(action, SocksProblem::Protocol(error))
    }

    fn error(&self, action: &str, problem: SocksProblem) -> Error {
        SocksError::new(&self.endpoint.to_string(), action, problem).into()
    }
}
