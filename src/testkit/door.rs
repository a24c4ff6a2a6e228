use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::socket::Socket;
use crate::clock::{self, deadline_after};
use crate::sync::{Condvar, Mutex};

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }

    fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

/// The listening socket, and the list of accepted clients.
#[derive(Debug)]
pub(super) struct Door {
    listener: Listener,
    /// The place of a client is the number of its connection, less one.
    accepted: Mutex<Vec<Arc<Peer>>>,
    /// Both ends of a connection that is shut to end a wait.
    waker: (UnixStream, UnixStream),
    is_shut: Mutex<bool>,
    shut: Condvar,
}

impl Door {
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        let (accepted, waker) = (Mutex::default(), UnixStream::pair()?);
        Ok(Self { listener, accepted, waker, is_shut: Mutex::new(false), shut: Condvar::new() })
    }

    /// Waits for a connection, without a limit until [`shut`](Self::shut) is called. Returns the
    /// shared part and the reading end.
    pub(super) fn accept(&self, limit: Option<Duration>) -> io::Result<(Arc<Peer>, Socket)> {
        let end = limit.map(deadline_after);
        while !*self.is_shut.lock() {
            let mut polled = [
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.waker.0.as_fd(), PollFlags::POLLIN),
            ];
            let left = end.map(clock::time_left);
            let wait = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            });
            let outcome = poll(&mut polled, wait);
            let [arrived, _] = polled;
            match outcome {
                Ok(_) if arrived.any() == Some(true) => {
                    let socket = self.listener.accept()?;
                    let mut accepted = self.accepted.lock();
                    let peer = Arc::new(Peer::new(accepted.len() + 1, &socket)?);
                    accepted.push(Arc::clone(&peer));
                    return Ok((peer, socket));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            if let Some(limit) = limit.filter(|_| end.is_some_and(clock::has_passed)) {
                let text = format!("no connection within {limit:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
        }
        Err(io::Error::new(ErrorKind::Interrupted, "the test is over"))
    }

    pub(super) fn peers(&self) -> Vec<Arc<Peer>> {
        self.accepted.lock().clone()
    }

    pub(super) fn is_shut(&self) -> bool {
        *self.is_shut.lock()
    }

    /// Waits for a while, or until the test is over, and returns whether it is.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let end = deadline_after(time);
        let mut is_shut = self.is_shut.lock();
        while !*is_shut {
            if clock::wait_until(&self.shut, &mut is_shut, end) {
                break;
            }
        }
        *is_shut
    }

    /// Ends every connection and every wait, so that the threads end soon.
    pub(super) fn shut(&self) {
        *self.is_shut.lock() = true;
        self.shut.notify_all();
        // Fails if it was called before.
        let _ = self.waker.1.shutdown(Shutdown::Both);
        self.peers().iter().for_each(|peer| peer.close());
    }
}

/// One accepted connection, as far as several threads use it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) number: usize,
    /// For `close`, which waits for no writer.
    socket: Socket,
    // Leaf locks.
    writer: Mutex<Socket>,
    state: Mutex<PeerState>,
}

#[derive(Debug, Default)]
struct PeerState {
    is_closed: bool,
    /// The events of the last accepted `SETEVENTS`, in upper case.
    subscribed: BTreeSet<String>,
}

impl Peer {
    fn new(number: usize, socket: &Socket) -> io::Result<Self> {
        let (writer, state) = (Mutex::new(socket.try_clone()?), Mutex::default());
        Ok(Self { number, socket: socket.try_clone()?, writer, state })
    }

    pub(super) fn write_all(&self, bytes: &[u8], until: Instant) -> io::Result<()> {
        self.writer.lock().write_all(bytes, until)
    }

    pub(super) fn write_some(&self, bytes: &[u8], until: Instant) -> io::Result<usize> {
        self.writer.lock().write_some(bytes, until)
    }

    /// Ends the connection in both directions.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        // The client may have ended it.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    pub(super) fn half_close(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Replaces the subscribed events by those of a `SETEVENTS` command.
    pub(super) fn subscribe(&self, events: &str) {
        let events = events.split(' ').filter(|event| !event.is_empty());
        self.state.lock().subscribed = events.map(str::to_ascii_uppercase).collect();
    }

    pub(super) fn has_subscribed(&self, event: &str) -> bool {
        let state = self.state.lock();
        !state.is_closed && state.subscribed.contains(&event.to_ascii_uppercase())
    }
}
