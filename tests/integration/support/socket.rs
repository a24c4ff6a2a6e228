//! A stream socket of either family, on which every operation has a deadline.

/// The same sockets as those of `torcon::testkit`.
#[path = "../../../src/testkit/socket.rs"]
#[allow(dead_code, reason = "the tests use a part")]
mod stream;

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use self::stream::{Incoming, Lines, Socket};

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

impl Socket {
    /// Writes lines that have no ends, with CRLF.
    pub(crate) fn write_lines(&mut self, lines: &[impl AsRef<str>]) -> io::Result<()> {
        let text: String = lines.iter().map(|line| format!("{}\r\n", line.as_ref())).collect();
        self.write_all(text.as_bytes(), Instant::now() + DEADLINE)
    }
}

impl Lines {
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
