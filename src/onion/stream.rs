//! The connection of a client to an onion service.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use crate::link::{Stream, delegate_socket};
use crate::names::CircuitId;

/// The connection of a client to an onion service.
///
/// Returned by [`OnionListener::accept`](super::OnionListener::accept). It wraps a
/// [`TcpStream`] if the service listens on TCP, and a [`UnixStream`] if it listens on a unix socket,
/// and reads and writes like these. Dropping it closes the connection.
///
/// `TCP_NODELAY` is set on a [`TcpStream`]: its peer is tor, which packs the bytes into cells.
///
/// # Examples
///
/// ```no_run
/// use std::io::Write;
///
/// use torcon::Tor;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let listener = tor.onion_endpoint(80).listen()?;
/// let mut stream = listener.accept()?;
/// writeln!(stream, "hello")?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "the stream is closed when this is dropped"]
#[derive(Debug)]
pub struct OnionStream {
    stream: Stream,
    circuit: Option<CircuitId>,
}

delegate_socket!(OnionStream);

impl OnionStream {
    /// Returns the rendezvous circuit of the client, if the service was made with
    /// [`export_circuit_id`](super::OnionEndpoint::export_circuit_id).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let endpoint = tor.onion_endpoint(80).temporary_dir().export_circuit_id();
    /// let listener = endpoint.listen()?;
    /// if let Some(circuit) = listener.accept()?.circuit_id() {
    ///     println!("the client of circuit {circuit}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn circuit_id(&self) -> Option<CircuitId> {
        self.circuit
    }

    /// Returns a second handle to the same connection.
    ///
    /// # Errors
    ///
    /// That of [`TcpStream::try_clone`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// let mut stream = listener.accept()?;
    /// // An echo.
    /// std::io::copy(&mut stream.try_clone()?, &mut stream)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, circuit: self.circuit })
    }

    /// Shuts down the read half, the write half, or both.
    ///
    /// # Errors
    ///
    /// That of [`TcpStream::shutdown`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Shutdown;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// listener.accept()?.shutdown(Shutdown::Write)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// Returns the inner [`TcpStream`].
    ///
    /// # Errors
    ///
    /// `self`, if the connection is one of a unix socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// if let Ok(stream) = listener.accept()?.into_tcp() {
    ///     println!("{}", stream.peer_addr()?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        match self.stream {
            Stream::Tcp(socket) => Ok(socket),
            stream @ Stream::Unix(_) => Err(Self { stream, ..self }),
            #[cfg(all(test, shuttle))]
            stream @ Stream::Model(_) => Err(Self { stream, ..self }),
        }
    }

    /// Returns the inner [`UnixStream`].
    ///
    /// # Errors
    ///
    /// `self`, if the connection is one of TCP.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).local_unix("/run/web/onion.sock").listen()?;
    /// if let Ok(stream) = listener.accept()?.into_unix() {
    ///     println!("{stream:?}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn into_unix(self) -> Result<UnixStream, Self> {
        match self.stream {
            Stream::Unix(socket) => Ok(socket),
            stream @ Stream::Tcp(_) => Err(Self { stream, ..self }),
            #[cfg(all(test, shuttle))]
            stream @ Stream::Model(_) => Err(Self { stream, ..self }),
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
