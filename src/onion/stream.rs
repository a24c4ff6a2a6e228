//! A connection of a client of the service.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use crate::link::{Stream, delegate_socket};
use crate::names::CircuitId;

/// A connection that a client has made to an onion service.
///
/// Returned by [`OnionListener::accept`](super::OnionListener::accept). It reads and writes like
/// the stream of the standard library that it is: a [`TcpStream`] if the service listens on TCP, a
/// [`UnixStream`] if it listens on a unix socket. Dropping it closes the connection.
///
/// A [`TcpStream`] has `TCP_NODELAY` set: its other end is tor on the same machine, which puts what
/// it gets into cells itself.
#[derive(Debug)]
pub struct OnionStream {
    stream: Stream,
    circuit: Option<CircuitId>,
}

delegate_socket!(OnionStream);

impl OnionStream {
    /// Returns the circuit by which the client has come, if the service was made with
    /// [`export_circuit_id`](super::OnionEndpoint::export_circuit_id).
    #[must_use]
    pub fn circuit_id(&self) -> Option<CircuitId> {
        self.circuit
    }

    /// Returns a second handle of the same connection.
    ///
    /// # Errors
    ///
    /// That of [`TcpStream::try_clone`].
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, circuit: self.circuit })
    }

    /// Ends reading, writing or both.
    ///
    /// # Errors
    ///
    /// That of [`TcpStream::shutdown`].
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// Returns the stream of TCP that this is, or itself if it is one of a unix socket.
    ///
    /// # Errors
    ///
    /// The stream itself, if it is one of a unix socket.
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        match self.stream {
            Stream::Tcp(socket) => Ok(socket),
            stream @ Stream::Unix(_) => Err(Self { stream, ..self }),
        }
    }

    /// Returns the stream of a unix socket that this is, or itself if it is one of TCP.
    ///
    /// # Errors
    ///
    /// The stream itself, if it is one of TCP.
    pub fn into_unix(self) -> Result<UnixStream, Self> {
        match self.stream {
            Stream::Unix(socket) => Ok(socket),
            stream @ Stream::Tcp(_) => Err(Self { stream, ..self }),
        }
    }

    pub(super) fn with_circuit(self, circuit: CircuitId) -> Self {
        Self { circuit: Some(circuit), ..self }
    }
}

impl From<TcpStream> for OnionStream {
    fn from(stream: TcpStream) -> Self {
        Self { stream: Stream::Tcp(stream), circuit: None }
    }
}

impl From<UnixStream> for OnionStream {
    fn from(stream: UnixStream) -> Self {
        Self { stream: Stream::Unix(stream), circuit: None }
    }
}
