//! A stream through tor.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::link::Stream;

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

/// Calls the same method on either kind of socket.
macro_rules! either {
    ($stream:expr, $socket:ident => $call:expr) => {
        match &$stream.stream {
            Stream::Tcp($socket) => $call,
            Stream::Unix($socket) => $call,
        }
    };
}

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
        either!(self, socket => socket.shutdown(how))
    }

    /// Sets the longest time that a read may wait, or none, for all handles of the stream. The
    /// default is none.
    ///
    /// # Errors
    ///
    /// If the limit is zero, or what the operating system says.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        either!(self, socket => socket.set_read_timeout(limit))
    }

    /// Sets the longest time that a write may wait, or none, for all handles of the stream. The
    /// default is none.
    ///
    /// # Errors
    ///
    /// If the limit is zero, or what the operating system says.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        either!(self, socket => socket.set_write_timeout(limit))
    }

    /// Returns the longest time that a read may wait.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        either!(self, socket => socket.read_timeout())
    }

    /// Returns the longest time that a write may wait.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        either!(self, socket => socket.write_timeout())
    }

    /// Sets whether reads and writes return at once with `WouldBlock` instead of waiting, for all
    /// handles of the stream. The default is that they wait.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        either!(self, socket => socket.set_nonblocking(nonblocking))
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

impl Read for &TorStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, socket => (&*socket).read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        either!(self, socket => (&*socket).read_vectored(buffers))
    }
}

impl Write for &TorStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, socket => (&*socket).write(bytes))
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        either!(self, socket => (&*socket).write_vectored(parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(self, socket => (&*socket).flush())
    }
}

impl Read for TorStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TorStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl AsFd for TorStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsRawFd for TorStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl From<TorStream> for OwnedFd {
    fn from(stream: TorStream) -> Self {
        match stream.stream {
            Stream::Tcp(socket) => socket.into(),
            Stream::Unix(socket) => socket.into(),
        }
    }
}
