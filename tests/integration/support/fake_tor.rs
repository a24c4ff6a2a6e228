//! A fake tor: a listener on a real socket, played by a thread that follows a script.
//!
//! ```ignore
//! let tor = FakeTor::tcp(|script| {
//!     script.greet_null_auth();
//!     script.answer("GETINFO version", &["250-version=0.4.9.11", "250 OK"]);
//!     script.expect_end();
//! });
//! // ... speak to tor.endpoint() ...
//! tor.finish();
//! ```

mod serving;

pub(crate) use self::serving::usual_reply;

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::dialogue::Dialogue;
use super::script::Script;
use super::socket::{Address, DEADLINE, Socket};

/// How long `finish` waits for the script; longer than any of its steps.
const FINISH: Duration = Duration::from_secs(30);

/// A listener played by a thread. A failure of the script fails the test: in `finish`, or else
/// when the value is dropped.
#[derive(Debug)]
pub(crate) struct FakeTor {
    address: Address,
    door: Arc<Door>,
    dialogue: Arc<Dialogue>,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
    /// Whether it serves connections until the test is over.
    is_serving: bool,
    /// Holds the unix socket.
    _directory: Option<TempDir>,
}

impl FakeTor {
    /// Listens on a free port of the loopback address. The script begins when a client connects.
    pub(crate) fn tcp(play: impl FnOnce(&mut Script) + Send + 'static) -> Self {
        Self::tcp_at("127.0.0.1", play)
    }

    /// The same on another address of this machine.
    pub(crate) fn tcp_at(host: &str, play: impl FnOnce(&mut Script) + Send + 'static) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a free port can be bound");
        let address = Address::Tcp(listener.local_addr().expect("a listener has an address"));
        Self::start(address, Listener::Tcp(listener), None, play)
    }

    /// Listens on a unix socket in a new directory.
    pub(crate) fn unix(play: impl FnOnce(&mut Script) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).expect("a socket can be bound");
        Self::start(Address::Unix(path), Listener::Unix(listener), Some(directory), play)
    }

    fn start(
        address: Address,
        listener: Listener,
        directory: Option<TempDir>,
        play: impl FnOnce(&mut Script) + Send + 'static,
    ) -> Self {
        let door = Arc::new(Door::new(listener));
        let dialogue = Arc::new(Dialogue::default());
        let (ended, done) = bounded(0);
        let stage = (Arc::clone(&door), Arc::clone(&dialogue));
        let thread = thread::Builder::new()
            .name("fake-tor".to_owned())
            .spawn(move || {
                // Dropped at the end of the thread, also by a panic, which `finish` then sees.
                let _ended = ended;
                let (door, dialogue) = stage;
                match door.accept(DEADLINE) {
                    Ok((number, socket)) => {
                        play(&mut Script::new(number, socket, dialogue, door));
                    }
                    Err(error) => panic!("no client connected to the fake tor: {error}"),
                }
            })
            .expect("a thread can be started");
        Self {
            address,
            door,
            dialogue,
            thread: Some(thread),
            done,
            is_serving: false,
            _directory: directory,
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the address as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Returns the path of the unix socket.
    pub(crate) fn socket_path(&self) -> &Path {
        match &self.address {
            Address::Unix(path) => path,
            Address::Tcp(address) => panic!("{address} is no unix socket"),
        }
    }

    /// Returns every line that clients have sent up to now, without its end.
    pub(crate) fn client_lines(&self) -> Vec<String> {
        self.dialogue.client_lines()
    }

    /// Returns the whole dialogue up to now, for the message of an assertion.
    pub(crate) fn dialogue(&self) -> String {
        self.dialogue.to_string()
    }

    /// Waits until the script is over and fails the test if it failed.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        self.join();
    }

    #[track_caller]
    fn join(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.is_serving {
            self.door.shut();
        }
        // Nothing is ever sent: the thread's end shows as the loss of the sender.
        if self.done.recv_timeout(FINISH).is_err_and(|error| error.is_timeout()) {
            self.door.shut();
            panic!("the script of the fake tor did not end within {FINISH:?}\n{}", self.dialogue);
        }
        if let Err(panic) = thread.join() {
            let message = match panic.downcast::<String>() {
                Ok(text) => *text,
                Err(panic) => panic.downcast_ref::<&str>().map_or_else(
                    || "it panicked without a text".to_owned(),
                    |text| format!("{text}\n{}", self.dialogue),
                ),
            };
            panic!("the script of the fake tor failed: {message}");
        }
    }
}

impl Drop for FakeTor {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        if thread::panicking() {
            // The test has failed already: print the dialogue, and detach the thread.
            eprintln!("{}", self.dialogue);
            self.door.shut();
        } else {
            self.join();
        }
    }
}

#[derive(Debug)]
enum Listener {
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
pub(crate) struct Door {
    listener: Listener,
    /// For `shut`; the place of a socket is the number of its connection, less one.
    accepted: Mutex<Vec<Socket>>,
    is_shut: AtomicBool,
}

impl Door {
    fn new(listener: Listener) -> Self {
        Self { listener, accepted: Mutex::default(), is_shut: AtomicBool::new(false) }
    }

    /// Waits for a connection; returns its number, counted from 1, and the socket.
    pub(crate) fn accept(&self, limit: Duration) -> io::Result<(usize, Socket)> {
        let end = Instant::now() + limit;
        while !self.is_shut.load(Ordering::Relaxed) {
            // Short slices, so that `shut` is seen.
            let mut polled = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            if poll(&mut polled, PollTimeout::from(50_u8))? > 0 {
                let socket = self.listener.accept()?;
                let mut accepted = self.accepted.lock();
                accepted.push(socket.try_clone()?);
                return Ok((accepted.len(), socket));
            }
            if Instant::now() > end {
                let text = format!("no connection within {limit:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
        }
        Err(io::Error::new(ErrorKind::Interrupted, "the test is over"))
    }

    /// Returns the newest connection.
    fn newest(&self) -> Option<Socket> {
        self.accepted
            .lock()
            .last()
            .map(|socket| socket.try_clone().expect("a socket can be shared"))
    }

    /// Ends every connection and every wait, so that the thread ends soon.
    fn shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
        for socket in self.accepted.lock().iter() {
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}
