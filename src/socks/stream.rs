//! A stream through tor.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use crate::link::{Stream, delegate_socket};

/// A stream through tor to a target: reads and writes with the traits of std, also by shared
/// reference, as `TcpStream` does.
///
/// It comes from [`SocksProxy::connect`](super::SocksProxy::connect). What is sent is sent
/// through the socket that leads to tor; its addresses are those of tor and of this program, and
/// tell nothing of the target. Clones made by [`try_clone`](Self::try_clone) are the same stream;
/// dropping the last one closes it.
///
/// The end of the stream does not tell who ended it: reading gives 0 bytes if the target has closed
/// it, and just so if a relay on the way or tor itself has died. What must be whole must say by
/// itself where it ends.
#[derive(Debug)]
pub struct TorStream {
    stream: Stream,
}

delegate_socket!(TorStream);

impl TorStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Makes another handle of the same stream.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.stream.try_clone().map(Self::new)
    }

    /// Ends reading, writing or both, for all handles of the stream.
    ///
    /// tor knows no half-closed streams. The end of writing ends the whole stream: the other side
    /// gets everything that was written, and then the end, but what it has said and says is lost
    /// as far as it was not read here before. So ask for an answer in a way that does not need the
    /// end of writing, such as a length or a last line, and read the answer first.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as that the stream has ended.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// Returns the socket, if the proxy is on TCP.
    ///
    /// # Errors
    ///
    /// The stream itself, if the proxy is on a unix socket.
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        match self.stream {
            Stream::Tcp(socket) => Ok(socket),
            stream @ Stream::Unix(_) => Err(Self { stream }),
        }
    }

    /// Returns the socket, if the proxy is on a unix socket.
    ///
    /// # Errors
    ///
    /// The stream itself, if the proxy is on TCP.
    pub fn into_unix(self) -> Result<UnixStream, Self> {
        match self.stream {
            Stream::Unix(socket) => Ok(socket),
            stream @ Stream::Tcp(_) => Err(Self { stream }),
        }
    }
}
