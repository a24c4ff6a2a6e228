//! A stream socket of either family, on which every operation has a deadline.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long one operation of a test peer may take before the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How long a proxy waits for each line: a test may leave a connection quiet for long.
pub(crate) const QUIET: Duration = Duration::from_secs(600);

/// The address of a listener, printed as an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    pub(crate) fn connect(&self, limit: Duration) -> io::Result<Socket> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, limit)?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            // A unix socket answers at once or refuses: there is nothing to wait for.
            Self::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path)?)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

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
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Writes lines that have no ends, with CRLF.
    pub(crate) fn write_lines(&mut self, lines: &[impl AsRef<str>]) -> io::Result<()> {
        let text: String = lines.iter().map(|line| format!("{}\r\n", line.as_ref())).collect();
        self.write_all(text.as_bytes(), Instant::now() + DEADLINE)
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
            if let Some(end) = self.buffer[searched..].iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(searched + end + 1);
                return Ok(Incoming::Line(std::mem::replace(&mut self.buffer, rest)));
            }
            searched = self.buffer.len();
            let mut chunk = [0; 16 * 1024];
            match socket.read_some(&mut chunk, until) {
                Ok(0) => return Ok(Incoming::End(std::mem::take(&mut self.buffer))),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                // A peer that closes with bytes unread resets the connection: an end as well.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Ok(Incoming::End(std::mem::take(&mut self.buffer)));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the next line, without its end. The end of the stream is an error.
    pub(crate) fn next_text(&mut self, socket: &mut Socket, limit: Duration) -> io::Result<String> {
        match self.next(socket, Instant::now() + limit)? {
            Incoming::Line(line) => {
                Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
            }
            Incoming::End(rest) => {
                let problem = format!("the connection ended after {rest:?}");
                Err(io::Error::new(ErrorKind::UnexpectedEof, problem))
            }
        }
    }

    /// Reads the lines of the next reply or event of a tor, data lines and the dot that ends them
    /// included. `limit` is for each line.
    pub(crate) fn next_message(
        &mut self,
        socket: &mut Socket,
        limit: Duration,
    ) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.next_text(socket, limit)?;
            let separator = line.as_bytes().get(3).copied();
            lines.push(line);
            match separator {
                Some(b' ') => return Ok(lines),
                Some(b'-') => {}
                Some(b'+') => {
                    while lines.last().is_some_and(|line| line != ".") {
                        lines.push(self.next_text(socket, limit)?);
                    }
                }
                _ => {
                    let problem = format!("no reply line: {lines:?}");
                    return Err(io::Error::new(ErrorKind::InvalidData, problem));
                }
            }
        }
    }
}
