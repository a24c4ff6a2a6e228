//! Streams through tor, and names resolved by it: SOCKS5 with tor's extensions.
//!
//! [`SocksProxy`] is a `SocksPort` of tor, on TCP or on a unix socket; [`TorStream`] is a stream
//! through it, which reads and writes as those of std do. [`Isolation`] says which streams may
//! share circuits.
//!
//! Everything happens on the caller's thread; only the resolving of a proxy that is given by a
//! name runs on a thread `torcon-resolve`, since the system's resolver knows no deadline.
//!
//! **Invariant**: nothing here knows the control protocol, no wait is without a deadline, nothing
//! is read that belongs to the stream behind the proxy, and nothing is logged.

mod connect;
mod handshake;
mod isolation;
mod stream;
mod target;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

pub use self::isolation::Isolation;
pub use self::stream::TorStream;

use self::connect::{Limits, WhenOpen, exchange};
use self::handshake::{Answer, Command};
use self::target::{Host, host_and_port};
use crate::error::{Error, ProtocolError, Result, SocksError, SocksProblem};
use crate::link::{Endpoint, Stream};
use crate::names::Target;

/// The longest time for everything, if nothing else is said. tor gives up after 120 seconds by
/// itself, give or take one, and what it says then tells more than that the time is over.
const TIMEOUT: Duration = Duration::from_secs(130);

/// The longest time until the proxy has answered the greeting, if nothing else is said.
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);

/// A `SocksPort` of tor: makes streams through tor, and resolves names.
///
/// It is an address with options, cheap to clone; each call makes a connection of its own, so it
/// can be used from any number of threads at once. tor tells the failures of onion services apart
/// only if its `SocksPort` has the flag `ExtendedErrors`; see
/// [`SocksCode`](crate::error::SocksCode).
///
/// # Examples
///
/// ```no_run
/// use std::io::{Read, Write};
///
/// use torcon::socks::{Isolation, SocksProxy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let proxy = SocksProxy::new("127.0.0.1:9050")?.isolation(Isolation::token("account 7")?);
/// let mut stream = proxy.connect("example.com:80")?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")?;
/// let mut page = String::new();
/// stream.read_to_string(&mut page)?;
/// println!("{} has {} bytes", proxy.resolve("example.com")?, page.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a proxy does nothing until it connects or resolves"]
pub struct SocksProxy {
    endpoint: Endpoint,
    isolation: Isolation,
    timeout: Duration,
    greeting_timeout: Duration,
    when_open: WhenOpen,
}

impl SocksProxy {
    /// Names the `SocksPort`, such as `127.0.0.1:9050` or `unix:/run/tor/socks`. Nothing is sent
    /// yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the text is not an endpoint.
    pub fn new<E>(endpoint: E) -> Result<Self>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        Ok(Self {
            endpoint: endpoint.try_into()?,
            isolation: Isolation::none(),
            timeout: TIMEOUT,
            greeting_timeout: GREETING_TIMEOUT,
            when_open: WhenOpen::default(),
        })
    }

    /// Sets which streams may share circuits. The default is [`Isolation::none`].
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets the longest time that connecting or resolving may take in all. The default is 130
    /// seconds, a little longer than tor itself tries.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the longest time until the proxy has taken the connection and answered the greeting,
    /// within the time for everything. A proxy does that at once, so silence means that something
    /// else listens there. The default is 30 seconds.
    pub fn greeting_timeout(mut self, limit: Duration) -> Self {
        self.greeting_timeout = limit;
        self
    }

    /// Has this program's end of each TCP connection to the proxy told when it is open, before
    /// anything is sent; on the thread that connects.
    pub(crate) fn when_open(mut self, tell: impl Fn(SocketAddr) + Send + Sync + 'static) -> Self {
        self.when_open = WhenOpen::new(tell);
        self
    }

    /// Returns where the proxy is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Connects to a target through tor.
    ///
    /// The target is `host:port` as text, a pair of host and port, a
    /// [`SocketAddr`], or an
    /// [`OnionAddress`](crate::names::OnionAddress) and a port. A host name goes to tor as it is:
    /// nothing is resolved here.
    ///
    /// Blocks the current thread until the stream is open, for at most the limit of
    /// [`timeout`](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] if the proxy cannot be reached, is none, refuses or is late;
    /// [`Error::InvalidInput`] if the target is not one, such as a mistyped onion address.
    pub fn connect<T>(&self, target: T) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.connect_timeout(target, self.timeout)
    }

    /// Connects to a target through tor, within `limit`; see [`connect`](Self::connect).
    ///
    /// Blocks the current thread until the stream is open, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    pub fn connect_timeout<T>(&self, target: T, limit: Duration) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.connect_within(&target.try_into()?, self.limits(limit))
    }

    /// Connects to a target through tor, until `deadline`; see [`connect`](Self::connect).
    ///
    /// Blocks the current thread until the stream is open, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    pub fn connect_deadline<T>(&self, target: T, deadline: Instant) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.connect_timeout(target, time_until(deadline))
    }

    /// Resolves a host name through tor, to an IPv4 or IPv6 address as tor likes.
    ///
    /// Blocks the current thread until tor has answered, for at most the limit of
    /// [`timeout`](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] if the proxy cannot be reached, is none, refuses or is late; tor answers
    /// [`HostUnreachable`](crate::error::SocksCode::HostUnreachable) for a name that has no
    /// address. [`Error::InvalidInput`] if this is not a host name.
    pub fn resolve(&self, name: &str) -> Result<IpAddr> {
        self.resolve_timeout(name, self.timeout)
    }

    /// Resolves a host name through tor, within `limit`; see [`resolve`](Self::resolve).
    ///
    /// Blocks the current thread until tor has answered, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve).
    pub fn resolve_timeout(&self, name: &str, limit: Duration) -> Result<IpAddr> {
        let host = Host::new("name", name)?;
        let wish = format!("resolve {name}");
        let answer = self.ask(Command::Resolve, &host, &wish, self.limits(limit))?;
        let found = match answer {
            Answer::Ip(address) => return Ok(address),
            Answer::Name(name) => name,
        };
        Err(self.unreadable(&wish, "an address", &found))
    }

    /// Resolves a host name through tor, until `deadline`; see [`resolve`](Self::resolve).
    ///
    /// Blocks the current thread until tor has answered, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve).
    pub fn resolve_deadline(&self, name: &str, deadline: Instant) -> Result<IpAddr> {
        self.resolve_timeout(name, time_until(deadline))
    }

    /// Finds the host name of an address through tor.
    ///
    /// The name is whatever the owner of the address has put there; it proves nothing.
    ///
    /// Blocks the current thread until tor has answered, for at most the limit of
    /// [`timeout`](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] if the proxy cannot be reached, is none, refuses or is late; tor answers
    /// [`HostUnreachable`](crate::error::SocksCode::HostUnreachable) for an address without a
    /// name.
    pub fn resolve_ptr(&self, address: IpAddr) -> Result<String> {
        self.resolve_ptr_timeout(address, self.timeout)
    }

    /// Finds the host name of an address through tor, within `limit`; see
    /// [`resolve_ptr`](Self::resolve_ptr).
    ///
    /// Blocks the current thread until tor has answered, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`resolve_ptr`](Self::resolve_ptr).
    pub fn resolve_ptr_timeout(&self, address: IpAddr, limit: Duration) -> Result<String> {
        let wish = format!("find the name of {address}");
        let host = Host::Ip(address);
        let found = match self.ask(Command::ResolvePtr, &host, &wish, self.limits(limit))? {
            Answer::Name(name) => name,
            Answer::Ip(address) => address.to_string().into_bytes(),
        };
        let is_name = !found.is_empty()
            && found.iter().all(u8::is_ascii_graphic)
            && !found.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
            && !found.contains(&b':');
        match String::from_utf8(found) {
            Ok(name) if is_name => Ok(name),
            Ok(name) => Err(self.unreadable(&wish, "a host name", name.as_bytes())),
            Err(error) => Err(self.unreadable(&wish, "a host name", error.as_bytes())),
        }
    }

    /// Finds the host name of an address through tor, until `deadline`; see
    /// [`resolve_ptr`](Self::resolve_ptr).
    ///
    /// Blocks the current thread until tor has answered, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// Those of [`resolve_ptr`](Self::resolve_ptr).
    pub fn resolve_ptr_deadline(&self, address: IpAddr, deadline: Instant) -> Result<String> {
        self.resolve_ptr_timeout(address, time_until(deadline))
    }

    fn limits(&self, limit: Duration) -> Limits {
        Limits::new(self.greeting_timeout, limit)
    }

    fn connect_within(&self, target: &Target, limits: Limits) -> Result<TorStream> {
        let (host, port) = host_and_port(target)?;
        match self.exchange(Command::Connect, &host, port, limits) {
            Ok((stream, _)) => Ok(TorStream::new(stream)),
            Err(problem) => Err(self.failed(&format!("connect to {target}"), problem)),
        }
    }

    fn ask(&self, command: Command, host: &Host, wish: &str, limits: Limits) -> Result<Answer> {
        match self.exchange(command, host, 0, limits) {
            Ok((_, answer)) => Ok(answer),
            Err(problem) => Err(self.failed(wish, problem)),
        }
    }

    fn exchange(
        &self,
        command: Command,
        host: &Host,
        port: u16,
        limits: Limits,
    ) -> Result<(Stream, Answer), SocksProblem> {
        let Self { endpoint, isolation, when_open, .. } = self;
        exchange(endpoint, isolation, when_open, command, host, port, limits)
    }

    fn unreadable(&self, wish: &str, expected: &'static str, found: &[u8]) -> Error {
        let error = ProtocolError::new("the proxy's answer to the request", expected, found);
        self.failed(wish, SocksProblem::Protocol(error))
    }

    fn failed(&self, wish: &str, problem: SocksProblem) -> Error {
        SocksError::new(&self.endpoint.to_string(), wish, problem).into()
    }
}

fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
