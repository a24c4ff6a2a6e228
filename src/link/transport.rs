//! Sockets with deadlines: connecting, reading and writing over TCP or a unix socket.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect,
    getsockopt, recv, send, setsockopt, socket, sockopt,
};

use super::cancel_token::{CancelFd, CancelToken};
use super::endpoint::{Endpoint, Kind};
use super::poll::poll_until;
use crate::clock;
use crate::error::ConnectProblem;
use crate::sync::channel::bounded;
use crate::sync::thread;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A socket of a model of threads.
    #[cfg(all(test, shuttle))]
    Model(schedules::Socket),
}

/// Evaluates an expression with either kind of socket.
macro_rules! either {
    ($stream:expr, $socket:ident => $does:expr) => {
        match $stream {
            Stream::Tcp($socket) => $does,
            Stream::Unix($socket) => $does,
            #[cfg(all(test, shuttle))]
            Stream::Model($socket) => $does,
        }
    };
}

/// The outcome of a write.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    /// All bytes were written.
    All,
    /// The deadline passed before the first byte was written, so the stream is unchanged.
    Nothing,
    /// Writing failed, or the deadline passed after some bytes: the connection is lost.
    Failed(io::Error),
}

impl Stream {
    /// Opens a connection. Tries the addresses of a name in order. If the token is canceled, it fails
    /// at once, with any problem.
    pub(crate) fn connect(
        endpoint: &Endpoint,
        deadline: Instant,
        cancel: Option<&CancelToken>,
    ) -> Result<Self, ConnectProblem> {
        let io = |error| ConnectProblem::Io(Arc::new(error));
        let attempt =
            Attempt { deadline, cancel: cancel.map(CancelFd::new).transpose().map_err(io)? };
        match &endpoint.0 {
            Kind::Address(address) => attempt.connect_tcp(&[*address]).map_err(io),
            Kind::Name(host, port) => {
                let addresses = resolve(host, *port, deadline, cancel)
                    .map_err(|error| ConnectProblem::Resolve(Arc::new(error)))?;
                attempt.connect_tcp(&addresses).map_err(io)
            }
            Kind::Unix(path) => attempt.connect_unix(path.as_os_str()).map_err(io),
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            #[cfg(all(test, shuttle))]
            Self::Model(stream) => stream.try_clone().map(Self::Model),
        }
    }

    /// Enables TCP keep-alive: the connection fails if the peer's machine does not answer for
    /// [`IDLE`] + [`INTERVAL`] * [`PROBES`] seconds. Without it, a peer that loses its power leaves a
    /// connection that seems open forever.
    ///
    /// An option that the operating system refuses is only logged.
    pub(super) fn keep_alive(&self) {
        let Self::Tcp(socket) = self else { return };
        if let Err(error) = set_keep_alive(socket) {
            log::debug!("no TCP keep-alive on the control connection: {error}");
        }
    }

    /// Shuts down both directions, which wakes a thread that is reading.
    pub(super) fn shut_down(&self) {
        // Fails only if the peer closed first.
        let _ = self.shutdown(Shutdown::Both);
    }

    fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nodelay(true),
            Self::Unix(_) => Ok(()),
            #[cfg(all(test, shuttle))]
            Self::Model(_) => Ok(()),
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        either!(self, socket => socket.shutdown(how))
    }

    pub(crate) fn read_timeout(&self) -> io::Result<Option<Duration>> {
        either!(self, socket => socket.read_timeout())
    }

    pub(crate) fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        either!(self, socket => socket.set_read_timeout(limit))
    }

    pub(crate) fn write_timeout(&self) -> io::Result<Option<Duration>> {
        either!(self, socket => socket.write_timeout())
    }

    pub(crate) fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        either!(self, socket => socket.set_write_timeout(limit))
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        either!(self, socket => socket.set_nonblocking(nonblocking))
    }

    /// Writes all bytes before the deadline, with one system call if the socket has room.
    pub(crate) fn write_all(&self, bytes: &[u8], deadline: Instant) -> WriteOutcome {
        let mut rest = bytes;
        loop {
            let (sent, outcome) = self.write_available(rest);
            rest = rest.get(sent..).unwrap_or_default();
            let error = match outcome {
                Ok(()) => return WriteOutcome::All,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.wait_writable(deadline) {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::TimedOut && rest.len() == bytes.len() {
                return WriteOutcome::Nothing;
            }
            return WriteOutcome::Failed(error);
        }
    }

    /// Writes as many bytes as the socket has room for, without blocking. Returns their number, and
    /// the error that prevented more.
    pub(super) fn write_available(&self, bytes: &[u8]) -> (usize, io::Result<()>) {
        #[cfg(all(test, shuttle))]
        if let Self::Model(socket) = self {
            return socket.write_available(bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match send(self.as_fd().as_raw_fd(), rest, NO_WAIT) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(error) => return (bytes.len() - rest.len(), Err(error.into())),
            }
        }
        (bytes.len(), Ok(()))
    }

    /// Waits until the socket has room.
    pub(super) fn wait_writable(&self, deadline: Instant) -> io::Result<()> {
        #[cfg(all(test, shuttle))]
        if let Self::Model(socket) = self {
            return socket.wait_writable(deadline);
        }
        wait_until(self, PollFlags::POLLOUT, deadline)
    }

    /// Reads available bytes, waiting for them until the deadline. Returns 0 at the end of the stream.
    pub(crate) fn read_before(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            match self.read_available(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until(self, PollFlags::POLLIN, deadline)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Reads available bytes. Never blocks. Returns 0 at the end of the stream.
    pub(super) fn read_available(&self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(all(test, shuttle))]
        if let Self::Model(socket) = self {
            return socket.read_available(buffer);
        }
        Ok(recv(self.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
    }
}

/// Seconds without traffic before the first keep-alive probe.
const IDLE: u32 = 60;
/// Seconds between keep-alive probes.
const INTERVAL: u32 = 10;
/// The number of unanswered keep-alive probes after which the connection fails.
const PROBES: u32 = 6;

fn set_keep_alive(socket: &TcpStream) -> nix::Result<()> {
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    setsockopt(socket, sockopt::TcpKeepIdle, &IDLE)?;
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    setsockopt(socket, sockopt::TcpKeepAlive, &IDLE)?;
    #[cfg(not(any(target_os = "openbsd", target_os = "haiku", target_os = "redox")))]
    {
        setsockopt(socket, sockopt::TcpKeepInterval, &INTERVAL)?;
        setsockopt(socket, sockopt::TcpKeepCount, &PROBES)?;
    }
    // Linux sends no keep-alive probes while data is unacknowledged.
    #[cfg(target_os = "linux")]
    setsockopt(socket, sockopt::TcpUserTimeout, &((IDLE + INTERVAL * PROBES) * 1000))?;
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const NO_WAIT: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const NO_WAIT: MsgFlags = MsgFlags::MSG_DONTWAIT;

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, socket => socket.as_fd())
    }
}

impl From<Stream> for OwnedFd {
    fn from(stream: Stream) -> Self {
        either!(stream, socket => socket.into())
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, socket => (&*socket).read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        either!(self, socket => (&*socket).read_vectored(buffers))
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, socket => (&*socket).write(bytes))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, socket => (&*socket).write_vectored(parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(self, socket => (&*socket).flush())
    }
}

/// Resolves a host name before the deadline. The system's resolver has no deadline and cannot be
/// canceled, so it runs on a separate thread, which is detached then.
fn resolve(
    host: &str,
    port: u16,
    deadline: Instant,
    cancel: Option<&CancelToken>,
) -> io::Result<Vec<SocketAddr>> {
    let (sender, receiver) = bounded(2);
    let at_cancel = sender.clone();
    let _guard = cancel.map(|token| token.on_cancel(move || drop(at_cancel.send(Err(canceled())))));
    let name = (host.to_owned(), port);
    thread::Builder::new().name("torcon-resolve".into()).spawn(move || {
        // The receiver is dropped if the deadline passed.
        let _ = sender.send(name.to_socket_addrs().map(Iterator::collect));
    })?;
    clock::recv_until(&receiver, deadline).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn canceled() -> io::Error {
    io::Error::other("canceled")
}

/// The limits of one attempt to open a connection.
struct Attempt {
    deadline: Instant,
    cancel: Option<CancelFd>,
}

impl Attempt {
    fn connect_tcp(&self, addresses: &[SocketAddr]) -> io::Result<Stream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for (address, remaining) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let left = time_left(self.deadline)?;
            // The remaining addresses share the time, so that one without an answer does not use
            // all of it.
            let share = left / u32::try_from(remaining).unwrap_or(u32::MAX);
            let until = clock::now() + share.max(Duration::from_millis(1));
            let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            let stream = Stream::Tcp(new_socket(family)?.into());
            match self.open(stream, &SockaddrStorage::from(*address), until) {
                Ok(stream) => {
                    stream.set_nodelay()?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_unix(&self, path: &OsStr) -> io::Result<Stream> {
        let address = UnixAddr::new(path.as_bytes())?;
        let stream = Stream::Unix(new_socket(AddressFamily::Unix)?.into());
        self.open(stream, &address, self.deadline)
    }

    fn open(
        &self,
        stream: Stream,
        address: &dyn SockaddrLike,
        until: Instant,
    ) -> io::Result<Stream> {
        loop {
            match connect(stream.as_fd().as_raw_fd(), address) {
                Ok(()) | Err(Errno::EISCONN) => break,
                Err(Errno::EINTR) => {}
                // The backlog of the listener is full, and poll does not report room in it.
                Err(Errno::EAGAIN) if matches!(stream, Stream::Unix(_)) => {
                    let pause = time_left(until)?.min(Duration::from_millis(10));
                    self.wait(None, clock::now() + pause)?;
                }
                Err(Errno::EINPROGRESS | Errno::EALREADY) => {
                    time_left(until)?;
                    if !self.wait(Some(&stream), until)? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
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

    /// Waits until a socket is connected. Returns `false` at the deadline. Fails if the attempt is
    /// canceled.
    fn wait(&self, socket: Option<&Stream>, until: Instant) -> io::Result<bool> {
        let cancel = self.cancel.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        let socket = socket.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLOUT));
        let mut fds: Vec<_> = cancel.into_iter().chain(socket).collect();
        let is_ready = poll_until(&mut fds, Some(until))?;
        let first = fds.first().and_then(PollFd::any).unwrap_or_default();
        if self.cancel.is_some() && first { Err(canceled()) } else { Ok(is_ready) }
    }
}

/// Creates a socket in non-blocking mode.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(family, SockType::Stream, flags, None)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    let socket = socket(family, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(socket)
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = clock::time_left(deadline);
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Waits until the socket is ready for the events in `flags`.
fn wait_until(socket: &impl AsFd, flags: PollFlags, deadline: Instant) -> io::Result<()> {
    time_left(deadline)?;
    match poll_until(&mut [PollFd::new(socket.as_fd(), flags)], Some(deadline))? {
        true => Ok(()),
        false => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
