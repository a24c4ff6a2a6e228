//! A scripted SOCKS proxy: a thread with a listener on a real socket.

use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use tempfile::TempDir;
use torcon::socks::SocksProxy;

use crate::support::socket::{Address, DEADLINE, Socket};

/// The limit of `finish`, longer than any step of a script.
const FINISH: Duration = Duration::from_secs(30);

/// Both kinds of sockets, which must behave alike.
pub(super) const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Unix];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Unix,
}

/// A scripted proxy. A failure of the script fails the test in `finish`.
#[derive(Debug)]
pub(super) struct FakeProxy {
    address: Address,
    thread: JoinHandle<()>,
    done: Receiver<()>,
    /// Contains the unix socket.
    _directory: Option<TempDir>,
}

impl FakeProxy {
    /// Accepts one connection and runs the script on it.
    pub(super) fn start(kind: Kind, play: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        Self::several(kind, move |listener| play(&mut listener.accept()))
    }

    /// Runs a script that accepts the connections itself.
    pub(super) fn several(kind: Kind, play: impl FnOnce(&ProxyListener) + Send + 'static) -> Self {
        let (address, listener, directory) = ProxyListener::open(kind);
        let (ended, done) = bounded(0);
        let thread = thread::Builder::new()
            .name("fake-proxy".to_owned())
            .spawn(move || {
                // Dropped at the end of the thread, also after a panic.
                let _ended: crossbeam_channel::Sender<()> = ended;
                play(&listener);
            })
            .unwrap();
        Self { address, thread, done, _directory: directory }
    }

    /// Returns the text form of the address.
    pub(super) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn proxy(&self) -> SocksProxy {
        SocksProxy::new(self.endpoint()).unwrap()
    }

    /// Waits for the end of the script, and fails the test if the script failed.
    #[track_caller]
    pub(super) fn finish(self) {
        if self.done.recv_timeout(FINISH).is_err_and(|error| error.is_timeout()) {
            panic!("the script of the fake proxy did not end within {FINISH:?}");
        }
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The listener of the proxy.
#[derive(Debug)]
pub(super) enum ProxyListener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl ProxyListener {
    pub(super) fn open(kind: Kind) -> (Address, Self, Option<TempDir>) {
        match kind {
            Kind::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                (Address::Tcp(listener.local_addr().unwrap()), Self::Tcp(listener), None)
            }
            Kind::Unix => {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("socks");
                let listener = UnixListener::bind(&path).unwrap();
                (Address::Unix(path), Self::Unix(listener), Some(directory))
            }
        }
    }

    pub(super) fn accept(&self) -> Peer {
        let socket = match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().unwrap();
                stream.set_nodelay(true).unwrap();
                Socket::Tcp(stream)
            }
            Self::Unix(listener) => Socket::Unix(listener.accept().unwrap().0),
        };
        Peer { socket }
    }

    /// Returns whether no client has connected.
    pub(super) fn has_no_client(&self) -> bool {
        let outcome = match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true).unwrap();
                listener.accept().map(|_| ())
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true).unwrap();
                listener.accept().map(|_| ())
            }
        };
        outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// One connection to the proxy.
#[derive(Debug)]
pub(super) struct Peer {
    socket: Socket,
}

impl Peer {
    /// Reads exactly `count` bytes.
    #[track_caller]
    pub(super) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut read = 0;
        while read < count {
            let until = Instant::now() + DEADLINE;
            match self.socket.read_some(&mut bytes[read..], until) {
                Ok(0) => panic!("the client closed after {:?}", &bytes[..read]),
                Ok(more) => read += more,
                Err(error) => panic!("the client sent only {:?}: {error}", &bytes[..read]),
            }
        }
        bytes
    }

    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[u8]) {
        let found = self.read(expected.len());
        assert_eq!(found.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes, Instant::now() + DEADLINE).unwrap();
    }

    /// Reads the greeting of a client without user name and password.
    #[track_caller]
    pub(super) fn greet(&mut self) {
        self.expect(b"\x05\x01\x00");
        self.send(b"\x05\x00");
    }

    /// Reads the greeting of a client with user name and password, and returns them.
    #[track_caller]
    pub(super) fn greet_with_password(&mut self) -> (String, String) {
        self.expect(b"\x05\x01\x02");
        self.send(b"\x05\x02");
        self.expect(b"\x01");
        let mut text = || {
            let length = usize::from(self.read(1)[0]);
            String::from_utf8(self.read(length)).unwrap()
        };
        let credentials = (text(), text());
        self.send(b"\x01\x00");
        credentials
    }

    /// Reads a request to connect to a host name.
    #[track_caller]
    pub(super) fn expect_connect(&mut self, host: &str, port: u16) {
        let length = u8::try_from(host.len()).unwrap();
        let request = [b"\x05\x01\x00\x03", &[length][..], host.as_bytes(), &port.to_be_bytes()];
        self.expect(&request.concat());
    }

    /// Waits until the client closes.
    #[track_caller]
    pub(super) fn expect_end(&mut self) {
        let mut byte = [0];
        match self.socket.read_some(&mut byte, Instant::now() + DEADLINE) {
            Ok(0) => {}
            Ok(_) => panic!("expected the end, got {byte:?}"),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the client did not close: {error}"),
        }
    }

    /// Sends no answer.
    pub(super) fn expect_end_after_greeting(&mut self) {
        self.expect(b"\x05\x01\x00");
        self.expect_end();
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
        self.socket.shutdown(how).unwrap();
    }

    /// Echoes all bytes until the client closes.
    pub(super) fn echo(&mut self) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.socket.read_some(&mut buffer, Instant::now() + DEADLINE).unwrap() {
                0 => return,
                count => self.send(&buffer[..count]),
            }
        }
    }
}
