use std::io::copy;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::LIMIT;
use crate::support::named_thread::named;
use crate::support::watchdog::within;

/// A server that plays the same to a number of clients, each on a separate thread.
pub(super) struct Server<T> {
    pub(super) address: SocketAddr,
    thread: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Server<T> {
    pub(super) fn start<F>(clients: usize, play: F) -> Self
    where
        F: Fn(TcpStream) -> T + Clone + Send + 'static,
    {
        Self::start_at("127.0.0.1:0", clients, play)
    }

    pub(super) fn start_at<F>(address: &str, clients: usize, play: F) -> Self
    where
        F: Fn(TcpStream) -> T + Clone + Send + 'static,
    {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let begin = |_| {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                stream.set_write_timeout(Some(LIMIT)).unwrap();
                let play = play.clone();
                named("client of server", move || play(stream))
            };
            let threads: Vec<_> = (0..clients).map(begin).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        };
        Self { address, thread: named("server", serve) }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the result of each client, when all have ended.
    pub(super) fn finish(self) -> Vec<T> {
        within(LIMIT, "the server's clients", || self.thread.join().unwrap())
    }
}

impl Server<u64> {
    /// Echoes and counts the received bytes.
    pub(super) fn echo(clients: usize) -> Self {
        Self::start(clients, |stream| copy(&mut &stream, &mut &stream).unwrap())
    }
}

/// A port of loopback without a listener.
pub(super) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
