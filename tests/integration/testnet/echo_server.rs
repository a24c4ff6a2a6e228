//! A server on loopback whose answers cannot be mistaken for others.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::named_thread::named;

/// Answers each line with `hello` and the line, to any number of clients at once.
pub(crate) struct EchoServer {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EchoServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ending);
        let accept = move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                named("echo_server client", move || greet(&stream));
            }
        };
        Self { address, ending, thread: Some(named("echo_server", accept)) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The server, by a name that only this call uses: every name is 127.0.0.1 in the network.
    pub(crate) fn target(&self, name: &str) -> String {
        format!("{name}.test:{}", self.port())
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn greet(stream: &TcpStream) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    for line in lines {
        if writeln!(&mut &*stream, "hello {line}").is_err() {
            return;
        }
    }
}

/// Talks to the server, and checks its answer.
#[track_caller]
pub(crate) fn is_greeted(mut stream: impl Read + Write, name: &str) {
    stream.write_all(format!("{name}\n").as_bytes()).expect("the stream is open");
    let expected = format!("hello {name}\n");
    let mut answer = vec![0; expected.len()];
    stream.read_exact(&mut answer).expect("the server answers");
    assert_eq!(String::from_utf8_lossy(&answer), expected);
}
