//! Sockets: where a port of tor is, and how its bytes come and go.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv, send, socket,
    sockopt,
};

use crate::error::{ConnectProblem, InvalidInput};

/// Where a control port or a SOCKS port is: a TCP address or a unix socket.
///
/// Read from text as `host:port`, `tcp:host:port`, `unix:/path` or `/path`; a host is a name, an
/// IPv4 address or an IPv6 address in brackets.
///
/// # Examples
///
/// ```
/// use torcon::Endpoint;
///
/// let tcp: Endpoint = "localhost:9051".parse()?;
/// let unix: Endpoint = "unix:/run/tor/control".parse()?;
/// assert_eq!(tcp.to_string(), "localhost:9051");
/// assert_eq!(unix.to_string(), "unix:/run/tor/control");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Address(SocketAddr),
    /// A host name, to be resolved at each connection.
    Name(Box<str>, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// Creates the endpoint of a unix socket.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Unix(path.into()))
    }

    /// Creates the endpoint of a TCP port; the host name is resolved at each connection.
    #[must_use]
    pub fn tcp(host: &str, port: u16) -> Self {
        match host.parse() {
            Ok(address) => Self(Kind::Address(SocketAddr::new(address, port))),
            Err(_) => Self(Kind::Name(host.into(), port)),
        }
    }

    /// Returns the path, if this is a unix socket.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Unix(path) => Some(path),
            Kind::Address(_) | Kind::Name(..) => None,
        }
    }

    /// Refuses what could be made by [`tcp`](Self::tcp) and [`unix`](Self::unix) but is no address.
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        match &self.0 {
            Kind::Address(_) => Ok(()),
            Kind::Name(host, _) => check_host(host),
            Kind::Unix(path) if path.as_os_str().is_empty() => {
                Err(InvalidInput::new("endpoint", "has an empty path"))
            }
            Kind::Unix(path) if path.as_os_str().as_bytes().contains(&0) => {
                Err(InvalidInput::new("endpoint", "contains NUL"))
            }
            Kind::Unix(_) => Ok(()),
        }
    }

    /// Returns whether the other end is certainly on this machine, so that its paths are ours.
    pub(crate) fn is_local(&self) -> bool {
        match &self.0 {
            Kind::Unix(_) => true,
            Kind::Address(address) => address.ip().is_loopback(),
            Kind::Name(host, _) => &**host == "localhost",
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Address(address))
    }
}

impl From<PathBuf> for Endpoint {
    fn from(path: PathBuf) -> Self {
        Self(Kind::Unix(path))
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self(Kind::Unix(path.into()))
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = InvalidInput;

    fn try_from(text: &str) -> Result<Self, InvalidInput> {
        text.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = InvalidInput;

    fn try_from(text: &String) -> Result<Self, InvalidInput> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidInput;

    fn try_from(text: String) -> Result<Self, InvalidInput> {
        text.parse()
    }
}

impl From<&Self> for Endpoint {
    fn from(endpoint: &Self) -> Self {
        endpoint.clone()
    }
}

impl FromStr for Endpoint {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let invalid = |problem: &'static str| InvalidInput::new("endpoint", problem);
        if text.contains('\0') {
            return Err(invalid("contains NUL"));
        }
        let path = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text));
        if let Some(path) = path {
            return match path {
                "" => Err(invalid("has an empty path")),
                path => Ok(Self::unix(path)),
            };
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text);
        if let Ok(address) = address.parse() {
            return Ok(Self(Kind::Address(address)));
        }
        let Some((host, port)) = address.rsplit_once(':') else {
            return Err(invalid("is not host:port, tcp:host:port or unix:/path"));
        };
        let port = port.parse().map_err(|_| invalid("has no port number from 0 to 65535"))?;
        check_host(host)?;
        Ok(Self(Kind::Name(host.into(), port)))
    }
}

fn check_host(host: &str) -> Result<(), InvalidInput> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || !host.bytes().all(is_name) {
        let problem = "has a host that is neither a name nor an address";
        return Err(InvalidInput::new("endpoint", problem));
    }
    Ok(())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Address(address) => address.fmt(f),
            Kind::Name(host, port) => write!(f, "{host}:{port}"),
            Kind::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// Everything went out.
    All,
    /// The deadline came before the first byte went out; the connection is as it was.
    Nothing,
    /// Some bytes went out, or none can any more: the connection is lost.
    Failed(io::Error),
}

impl Stream {
    /// Opens a connection, trying every address of a name in turn.
    pub(crate) fn connect(endpoint: &Endpoint, deadline: Instant) -> Result<Self, ConnectProblem> {
        let io = |error| ConnectProblem::Io(Arc::new(error));
        match &endpoint.0 {
            Kind::Address(address) => connect_tcp(&[*address], deadline).map_err(io),
            Kind::Name(host, port) => {
                let addresses = resolve(host, *port, deadline)
                    .map_err(|error| ConnectProblem::Resolve(Arc::new(error)))?;
                connect_tcp(&addresses, deadline).map_err(io)
            }
            Kind::Unix(path) => {
                connect_unix(path.as_os_str(), deadline).map(Self::Unix).map_err(io)
            }
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Ends both directions, so that a thread which is reading wakes up.
    pub(super) fn shut_down(&self) {
        // It fails only if the other side was first.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Writes everything before the deadline, in one call to the system if it takes all.
    pub(crate) fn write_all(&self, bytes: &[u8], deadline: Instant) -> Written {
        let mut rest = bytes;
        while !rest.is_empty() {
            let error = match send(self.as_fd().as_raw_fd(), rest, NO_WAIT) {
                Ok(sent) => {
                    rest = rest.get(sent..).unwrap_or_default();
                    continue;
                }
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => match wait_until(self, PollFlags::POLLOUT, deadline) {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                Err(error) => error.into(),
            };
            if error.kind() == io::ErrorKind::TimedOut && rest.len() == bytes.len() {
                return Written::Nothing;
            }
            return Written::Failed(error);
        }
        Written::All
    }

    /// Reads what is there, waiting for it until the deadline; 0 is the end of the stream.
    pub(crate) fn read_before(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            match recv(self.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => wait_until(self, PollFlags::POLLIN, deadline)?,
                outcome => return Ok(outcome?),
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const NO_WAIT: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const NO_WAIT: MsgFlags = MsgFlags::MSG_DONTWAIT;

impl AsFd for Stream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

/// Resolves a name before the deadline. The system's resolver knows no deadline, so it runs on a
/// thread of its own, which is left alone if it is late.
fn resolve(host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (sender, receiver) = bounded(1);
    let name = (host.to_owned(), port);
    thread::Builder::new().name("torcon-resolve".into()).spawn(move || {
        // The receiver is gone if the deadline came first.
        let _ = sender.send(name.to_socket_addrs().map(Iterator::collect));
    })?;
    receiver.recv_deadline(deadline).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn connect_tcp(addresses: &[SocketAddr], deadline: Instant) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = time_left(deadline)?;
        match TcpStream::connect_timeout(address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Stream::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect_unix(path: &OsStr, deadline: Instant) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path.as_bytes())?;
    let socket = unix_socket()?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(true)?;
    loop {
        match connect(stream.as_raw_fd(), &address) {
            Ok(()) | Err(Errno::EISCONN) => break,
            Err(Errno::EINTR) => {}
            // The queue of the listener is full; nothing tells when there is room again.
            Err(Errno::EAGAIN) => {
                thread::sleep(time_left(deadline)?.min(Duration::from_millis(10)));
            }
            Err(Errno::EINPROGRESS) => {
                wait_until(&stream, PollFlags::POLLOUT, deadline)?;
                match getsockopt(&stream, sockopt::SocketError)? {
                    0 => break,
                    error => return Err(io::Error::from_raw_os_error(error)),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn unix_socket() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn unix_socket() -> io::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(socket)
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Waits until the socket is ready for what `flags` say.
fn wait_until(socket: &impl AsFd, flags: PollFlags, deadline: Instant) -> io::Result<()> {
    loop {
        let left = time_left(deadline)?;
        // Rounded up: a rest of less than a millisecond must not become a busy loop.
        let left = left.as_millis().saturating_add(1);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), flags)], timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    fn shown(text: &str) -> Result<String, String> {
        text.parse().map(|e: Endpoint| e.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (text, canonical) in [
            ("127.0.0.1:9051", "127.0.0.1:9051"),
            ("tcp:127.0.0.1:9051", "127.0.0.1:9051"),
            ("[::1]:9051", "[::1]:9051"),
            ("localhost:9051", "localhost:9051"),
            ("tcp:my-host.example:1", "my-host.example:1"),
            ("unix:/run/tor/control", "unix:/run/tor/control"),
            ("/run/tor/control", "unix:/run/tor/control"),
            ("unix:with blank", "unix:with blank"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, problem) in [
            ("", "is not host:port, tcp:host:port or unix:/path"),
            ("9051", "is not host:port, tcp:host:port or unix:/path"),
            ("localhost:", "has no port number from 0 to 65535"),
            ("localhost:65536", "has no port number from 0 to 65535"),
            (":9051", "has a host that is neither a name nor an address"),
            ("::1:9051", "has a host that is neither a name nor an address"),
            ("a b:1", "has a host that is neither a name nor an address"),
            ("a\nb:1", "has a host that is neither a name nor an address"),
            ("unix:", "has an empty path"),
            ("unix:/a\0b", "contains NUL"),
        ] {
            assert_eq!(
                shown(text),
                Err(format!("invalid argument \"endpoint\": {problem}")),
                "{text:?}"
            );
        }
    }
}
