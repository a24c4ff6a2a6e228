//! A connection of a client of the service.

use std::io::{self, Read};
use std::net::{Ipv6Addr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::link::{Stream, passes_on};
use crate::names::CircuitId;

/// A connection that a client has made to an onion service.
///
/// Returned by [`OnionListener::accept`](super::OnionListener::accept). It reads and writes like
/// the stream of the standard library that it is: a [`TcpStream`] if the service listens on TCP, a
/// [`UnixStream`] if it listens on a unix socket. Dropping it closes the connection.
#[derive(Debug)]
pub struct OnionStream {
    stream: Stream,
    circuit: Option<CircuitId>,
}

passes_on!(OnionStream);

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

    /// Takes the header off that tor puts before the client's bytes, and keeps the circuit that it
    /// tells. Reads nothing of what follows.
    pub(super) fn read_header(&mut self, limit: Duration) -> io::Result<()> {
        /// The longest header of the PROXY protocol of version 1, with its line end.
        const LONGEST: usize = 107;
        let deadline = Instant::now().checked_add(limit);
        let mut header = Vec::with_capacity(LONGEST);
        let mut byte = [0];
        while !header.ends_with(b"\n") {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.set_read_timeout(left)?;
            match (&*self).read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => header.extend_from_slice(&byte),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if header.len() > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        self.set_read_timeout(None)?;
        self.circuit = Some(read_circuit(&header).ok_or(io::ErrorKind::InvalidData)?);
        Ok(())
    }
}

/// Reads `PROXY TCP6 fc00:dead:beef:4dad::AABB:CCDD ::1 65535 42`: the last four bytes of the first
/// address are the number of the circuit.
fn read_circuit(header: &[u8]) -> Option<CircuitId> {
    let mut words = std::str::from_utf8(header).ok()?.split_ascii_whitespace();
    if (words.next(), words.next()) != (Some("PROXY"), Some("TCP6")) {
        return None;
    }
    let address: Ipv6Addr = words.next()?.parse().ok()?;
    let [0xfc00, 0xdead, 0xbeef, 0x4dad, ..] = address.segments() else { return None };
    let [.., a, b, c, d] = address.octets();
    Some(CircuitId::from(u32::from_be_bytes([a, b, c, d])))
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

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::{OnionStream, read_circuit};

    #[test]
    fn the_header_tells_the_circuit_and_what_follows_is_left() {
        let (mut tor, ours) = UnixStream::pair().unwrap();
        let mut stream = OnionStream::from(ours);
        tor.write_all(b"PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80\r\nGET /").unwrap();
        drop(tor);
        stream.read_header(Duration::from_secs(30)).unwrap();
        assert_eq!(stream.circuit_id().unwrap().as_str(), "65538");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "GET /");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for header in [
            "PROXY TCP6 ::1 ::1 2 80\r\n",
            "PROXY TCP4 127.0.0.1 127.0.0.1 2 80\r\n",
            "GET / HTTP/1.0\r\n",
            "\n",
        ] {
            assert_eq!(read_circuit(header.as_bytes()), None, "{header:?}");
        }
        let kind = |bytes: &[u8], closed: bool| {
            let (mut tor, ours) = UnixStream::pair().unwrap();
            tor.write_all(bytes).unwrap();
            let _open = (!closed).then_some(tor);
            OnionStream::from(ours).read_header(Duration::from_millis(20)).unwrap_err().kind()
        };
        assert_eq!(kind(b"GET /", true), ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[b'x'; 200], true), ErrorKind::InvalidData);
        assert!(matches!(kind(b"PROXY", false), ErrorKind::TimedOut | ErrorKind::WouldBlock));
    }
}
