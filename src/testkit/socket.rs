//! A stream socket of either family, on which every operation has a deadline.
//!
//! It uses nothing of torcon, so that a defect of torcon cannot hide itself. The integration tests
//! include this file for their proxies and raw clients.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }

    /// Reads the available bytes, at least one; 0 is the end of the stream.
    pub(crate) fn read_some(&mut self, buffer: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            let left = Some(time_left(until)?);
            let outcome = match self {
                Self::Tcp(stream) => {
                    stream.set_read_timeout(left)?;
                    stream.read(buffer)
                }
                Self::Unix(stream) => {
                    stream.set_read_timeout(left)?;
                    stream.read(buffer)
                }
            };
            match outcome {
                Err(error) if is_passing(&error) => {}
                outcome => return outcome,
            }
        }
    }

    /// Writes what fits, at least one byte.
    pub(crate) fn write_some(&mut self, bytes: &[u8], until: Instant) -> io::Result<usize> {
        loop {
            let left = Some(time_left(until)?);
            let outcome = match self {
                Self::Tcp(stream) => {
                    stream.set_write_timeout(left)?;
                    stream.write(bytes)
                }
                Self::Unix(stream) => {
                    stream.set_write_timeout(left)?;
                    stream.write(bytes)
                }
            };
            match outcome {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if is_passing(&error) => {}
                outcome => return outcome,
            }
        }
    }

    pub(crate) fn write_all(&mut self, mut bytes: &[u8], until: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write_some(bytes, until)?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The limit of the socket is a part of the deadline, so its end is not yet a failure.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn time_left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(ErrorKind::TimedOut, "the deadline has passed")),
        left => Ok(left),
    }
}

/// The bytes of a stream, cut into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
}

/// The outcome of reading from a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A line with its end.
    Line(Vec<u8>),
    /// The stream ended; these bytes follow the last line end.
    End(Vec<u8>),
}

impl Lines {
    /// Returns whether a whole line is buffered.
    pub(crate) fn is_ready(&self) -> bool {
        self.buffer.contains(&b'\n')
    }

    pub(crate) fn next(&mut self, socket: &mut Socket, until: Instant) -> io::Result<Incoming> {
        let mut searched = 0;
        loop {
            let new = self.buffer.get(searched..).unwrap_or_default();
            if let Some(end) = new.iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(searched + end + 1);
                return Ok(Incoming::Line(std::mem::replace(&mut self.buffer, rest)));
            }
            searched = self.buffer.len();
            let mut chunk = [0; 16 * 1024];
            match socket.read_some(&mut chunk, until) {
                Ok(0) => return Ok(Incoming::End(std::mem::take(&mut self.buffer))),
                Ok(count) => {
                    self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                }
                // A peer that closes with bytes unread resets the connection: an end as well.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Ok(Incoming::End(std::mem::take(&mut self.buffer)));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
