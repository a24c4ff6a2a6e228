//! A control connection on a raw socket, the limit of the measurements.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use data_encoding::HEXUPPER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The address of a server.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The address as torcon reads it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub(crate) trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

impl Address {
    pub(crate) fn open(&self) -> std::io::Result<Box<dyn Duplex>> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(path) => Box::new(UnixStream::connect(path)?),
        })
    }
}

/// A connection that writes requests, and reads as many bytes as it expects.
pub(crate) struct Raw {
    socket: Box<dyn Duplex>,
    buffer: Vec<u8>,
}

impl Raw {
    pub(crate) fn connect(address: &Address) -> Self {
        Self { socket: address.open().expect("the other side listens"), buffer: vec![0; 64 << 10] }
    }

    /// Connects and logs in as torcon does: the same bytes and the same proofs.
    pub(crate) fn log_in(address: &Address, cookie: &Path) -> Self {
        let mut raw = Self::connect(address);
        raw.ask(b"PROTOCOLINFO 1\r\n");
        let cookie = fs::read(cookie).expect("the cookie can be read");
        let mut ours = [0; 32];
        getrandom::fill(&mut ours).expect("the system has random bytes");
        let challenge = format!("AUTHCHALLENGE SAFECOOKIE {}\r\n", HEXUPPER.encode(&ours));
        let reply = raw.ask(challenge.as_bytes());
        let reply = std::str::from_utf8(&reply).expect("the challenge is text");
        let value = |key: &str| {
            let word = reply.split_whitespace().find_map(|word| word.strip_prefix(key));
            HEXUPPER.decode(word.expect("the challenge has a value").as_bytes()).expect("is hex")
        };
        let theirs = value("SERVERNONCE=");
        let expected = proof(SERVER_TO_CONTROLLER, &cookie, &ours, &theirs);
        assert_eq!(value("SERVERHASH="), expected, "the server does not know the cookie");
        let proof = proof(CONTROLLER_TO_SERVER, &cookie, &ours, &theirs);
        raw.ask(format!("AUTHENTICATE {}\r\n", HEXUPPER.encode(&proof)).as_bytes());
        raw
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the other side reads");
    }

    /// Reads and discards this number of bytes.
    pub(crate) fn drain(&mut self, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let read = self.read();
            left = left.checked_sub(read).expect("no more bytes arrive");
        }
    }

    /// Reads and discards what has arrived, at least one byte, and returns its size.
    pub(crate) fn read(&mut self) -> usize {
        let read = self.socket.read(&mut self.buffer).expect("the other side writes");
        assert!(read > 0, "the connection ended");
        read
    }

    /// Reads one line, which the other side sends alone, and returns it without its end.
    pub(crate) fn read_line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let read = self.read();
            line.extend_from_slice(&self.buffer[..read]);
        }
        line.truncate(line.len() - 2);
        line
    }

    /// Sends a request, and returns the reply, which ends with `250 ` and some text.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.write(request);
        let mut reply = Vec::new();
        loop {
            let read = self.read();
            reply.extend_from_slice(&self.buffer[..read]);
            let last = reply.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
            if reply.ends_with(b"\r\n") && last.is_some_and(|line| line.starts_with(b"250 ")) {
                return reply;
            }
        }
    }
}

pub(crate) const SERVER_TO_CONTROLLER: &[u8] =
    b"Tor safe cookie authentication server-to-controller hash";
const CONTROLLER_TO_SERVER: &[u8] = b"Tor safe cookie authentication controller-to-server hash";

/// One of the two proofs of SAFECOOKIE.
pub(crate) fn proof(key: &[u8], cookie: &[u8], client: &[u8], server: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(cookie);
    mac.update(client);
    mac.update(server);
    mac.finalize().into_bytes().into()
}
