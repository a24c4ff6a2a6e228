//! A connection until tor accepts the authentication. The thread that connects reads the replies
//! itself, so that an attempt that fails needs no thread.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::backlog;
use super::cancel_token::CancelToken;
use super::reader::Reader;
use super::{Connection, Endpoint, Link, LinkLimits, Peer, Stream, timeout};
use crate::clock::{self, deadline_after};
use crate::error::{ConnectProblem, Result};
use crate::wire::{Reply, Request};

/// A connection without a reader thread. Dropping it closes the connection.
pub(crate) struct Handshake {
    link: Link,
    reader: Reader,
}

impl Handshake {
    /// Opens a connection.
    pub(crate) fn open(
        endpoint: &Endpoint,
        deadline: Instant,
        limits: LinkLimits,
        cancel: Option<&CancelToken>,
    ) -> Result<Self, ConnectProblem> {
        Ok(Self::new(Stream::connect(endpoint, deadline, cancel)?, limits))
    }

    /// Takes a connection that is open.
    pub(crate) fn new(stream: Stream, limits: LinkLimits) -> Self {
        let peer = Peer::of(&stream);
        if !peer.is_on_this_machine() {
            stream.keep_alive();
        }
        let (sender, events) = backlog(limits.events);
        let connection = Arc::new(Connection::new(stream, limits.replies, events));
        let reader = Reader::new(Arc::clone(&connection), sender, limits);
        Self { link: Link::new(connection, peer), reader }
    }

    /// Returns the peer, as the operating system reported it after connecting.
    pub(crate) fn peer(&self) -> Peer {
        self.link.peer()
    }

    /// Returns a function that ends the connection from another thread, and with it a running
    /// [`call`](Self::call).
    pub(crate) fn ender(&self) -> impl FnOnce() + Send + 'static {
        self.link.ender()
    }

    /// Sends a request and reads until its reply arrives, for at most `limit`.
    pub(crate) fn call(&mut self, request: &Request, limit: Duration) -> Result<Reply> {
        let deadline = deadline_after(limit);
        let connection = &self.link.connection;
        let ticket = self.link.submit(request, deadline, limit)?;
        loop {
            // A peer that sends without end does not delay the deadline.
            let in_time = !clock::has_passed(deadline);
            let read = if in_time { self.reader.read_before(deadline) } else { Ok(false) };
            if let Err(reason) = &read {
                connection.end(reason);
            }
            match (ticket.try_wait(), read) {
                (Some(reply), _) => return reply.map(|sequenced| sequenced.reply),
                // Another thread is ending the connection.
                (None, Err(_)) => return Err(connection.reason_after_hooks().into()),
                (None, Ok(false)) => return Err(timeout(request.keyword(), limit).into()),
                (None, Ok(true)) => {}
            }
        }
    }

    /// Records that tor accepted the authentication, and starts the reader thread. From now on the
    /// configured limits apply instead of the small ones, and the connection may send probes, at which
    /// tor would close it before.
    pub(crate) fn authenticated(mut self) -> io::Result<Link> {
        self.reader.set_authenticated();
        self.link.connection.router.lock().allow_probes();
        self.start()
    }

    pub(super) fn start(self) -> io::Result<Link> {
        let Self { mut link, reader } = self;
        link.start_reader(reader)?;
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, getsockopt, socket, sockopt::KeepAlive,
    };

    use super::Handshake;
    use crate::link::{BufferLimits, LinkLimits, Stream};
    use crate::wire::Limits;

    #[test]
    fn the_connection_to_a_peer_that_may_be_on_another_machine_is_kept_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // A socket without a peer stands for one whose peer is not on this machine.
        let family = AddressFamily::Inet;
        let other = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let replies = BufferLimits { memory: 1 << 20, file: 1 << 20 };
        let limits = LinkLimits { wire: Limits::default(), events: 1 << 20, replies };
        for (socket, is_kept_alive) in [(local, false), (TcpStream::from(other), true)] {
            let copy = socket.try_clone().unwrap();
            let handshake = Handshake::new(Stream::Tcp(socket), limits);
            assert_eq!(getsockopt(&copy, KeepAlive).unwrap(), is_kept_alive);
            drop(handshake);
        }
    }
}
