//! A stream through tor.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use crate::link::{Stream, delegate_socket};

/// A stream through tor to a target.
///
/// [`SocksProxy::connect`](super::SocksProxy::connect) opens it. It implements
/// [`Read`](std::io::Read) and [`Write`](std::io::Write), also by shared reference, like
/// [`TcpStream`]. The addresses of its socket are those of tor and of this program, not of the
/// target. Clones made by [`try_clone`](Self::try_clone) are handles of the same stream; dropping
/// the last one closes it.
///
/// The end of the stream does not say who ended it: a read returns 0 bytes if the target closed the
/// stream, and also if a relay of the circuit or tor itself died. A protocol that must detect
/// truncation needs its own end marker or length.
///
/// # Examples
///
/// ```no_run
/// use std::io::{BufRead, BufReader, Write};
/// use std::time::Duration;
///
/// use torcon::socks::SocksProxy;
///
/// let stream = SocksProxy::new("127.0.0.1:9050")?.connect("example.com:7")?;
/// stream.set_read_timeout(Some(Duration::from_secs(30)))?;
/// (&stream).write_all(b"hello\n")?;
/// let mut line = String::new();
/// BufReader::new(&stream).read_line(&mut line)?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "the stream is closed when this is dropped"]
#[derive(Debug)]
pub struct TorStream {
    stream: Stream,
}

delegate_socket!(TorStream);

impl TorStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Creates another handle of the same stream.
    ///
    /// # Errors
    ///
    /// The operating system's error, such as too many open files.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{copy, stdin, stdout};
    /// use std::thread;
    ///
    /// use torcon::socks::SocksProxy;
    ///
    /// let mut stream = SocksProxy::new("127.0.0.1:9050")?.connect("example.com:7")?;
    /// let mut writer = stream.try_clone()?;
    /// thread::spawn(move || copy(&mut stdin(), &mut writer));
    /// copy(&mut stream, &mut stdout())?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<Self> {
        self.stream.try_clone().map(Self::new)
    }

    /// Shuts down reading, writing or both, for all handles of the stream.
    ///
    /// tor has no half-closed streams: `Shutdown::Write` ends the whole stream. The target receives
    /// everything that was written, but data from the target that was not read before is lost. Use a
    /// protocol that does not need the end of writing, and read the answer first.
    ///
    /// # Errors
    ///
    /// The operating system's error, such as that the stream is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Shutdown;
    ///
    /// use torcon::socks::SocksProxy;
    ///
    /// let stream = SocksProxy::new("127.0.0.1:9050")?.connect("example.com:7")?;
    /// stream.shutdown(Shutdown::Both)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// Returns the socket, if the proxy is on TCP.
    ///
    /// # Errors
    ///
    /// The stream itself, if the proxy is on a unix socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::socks::SocksProxy;
    ///
    /// let stream = SocksProxy::new("127.0.0.1:9050")?.connect("example.com:7")?;
    /// let socket: std::net::TcpStream = stream.into_tcp().expect("the proxy is on TCP");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        match self.stream {
            Stream::Tcp(socket) => Ok(socket),
            stream @ Stream::Unix(_) => Err(Self { stream }),
            #[cfg(all(test, shuttle))]
            stream @ Stream::Model(_) => Err(Self { stream }),
        }
    }

    /// Returns the socket, if the proxy is on a unix socket.
    ///
    /// # Errors
    ///
    /// The stream itself, if the proxy is on TCP.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::unix::net::UnixStream;
    ///
    /// use torcon::socks::SocksProxy;
    ///
    /// let stream = SocksProxy::new("unix:/run/tor/socks")?.connect("example.com:7")?;
    /// let socket: UnixStream = stream.into_unix().expect("the proxy is on a unix socket");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn into_unix(self) -> Result<UnixStream, Self> {
        match self.stream {
            Stream::Unix(socket) => Ok(socket),
            stream @ Stream::Tcp(_) => Err(Self { stream }),
            #[cfg(all(test, shuttle))]
            stream @ Stream::Model(_) => Err(Self { stream }),
        }
    }
}
