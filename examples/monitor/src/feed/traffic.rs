//! Traffic in a private network: downloads through exits, a slow conversation, and an onion service
//! that is visited.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use torcon::names::Target;
use torcon::onion::OnionListener;
use torcon::{Result, Supervisor};

/// The time limit for a tor and for a stream.
const LIMIT: Duration = Duration::from_secs(30);
/// The size of a piece of a download. The exits do not limit the speed, so pieces are requested
/// slowly.
const PIECE: usize = 24_000;
const BETWEEN_PIECES: Duration = Duration::from_millis(150);

/// Threads that make traffic until they are dropped.
pub(super) struct Traffic {
    /// Dropping it ends the pauses of the threads.
    running: Mutex<Option<Sender<()>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Starts a server on this machine, and threads that use it through the tor of a supervisor.
    pub(super) fn start(supervisor: &Arc<Supervisor>) -> io::Result<Self> {
        let server = TcpListener::bind("127.0.0.1:0")?;
        let port = server.local_addr()?.port();
        // It ends with the program.
        spawn("server", move || server.incoming().flatten().for_each(serve))?;
        let (running, stopped) = bounded(0);
        let mut threads = Vec::new();
        let clients =
            [("www.example.test", 12), ("files.example.test", 60), ("mail.example.test", 3)];
        for (seconds, (name, pieces)) in (1..).zip(clients) {
            let (supervisor, stopped) = (Arc::clone(supervisor), stopped.clone());
            let pause = Duration::from_secs(2 * seconds);
            threads.push(spawn("traffic", move || {
                while !wait(&stopped, pause) {
                    let Ok(target) = Target::try_from((name, port)) else { return };
                    // The tor may end at any time; the next one makes the next stream.
                    let _ = download(&supervisor, &target, pieces, &stopped);
                }
            })?);
        }
        let supervisor = Arc::clone(supervisor);
        threads.push(spawn("onion-traffic", move || visit(&supervisor, &stopped))?);
        Ok(Self { running: Mutex::new(Some(running)), threads })
    }

    /// Asks the threads to end.
    pub(super) fn stop(&self) {
        self.running.lock().take();
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn spawn<F: FnOnce() + Send + 'static>(name: &str, run: F) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Waits, and returns whether the traffic must end.
fn wait(stopped: &Receiver<()>, pause: Duration) -> bool {
    !matches!(stopped.recv_timeout(pause), Err(error) if error.is_timeout())
}

/// Answers each byte with a piece.
fn serve(mut stream: TcpStream) {
    let answer = move || {
        let piece = vec![b'x'; PIECE];
        let mut request = [0];
        while stream.read(&mut request).is_ok_and(|length| length == 1) {
            if stream.write_all(&piece).is_err() {
                return;
            }
        }
    };
    // Without a thread the client loses its connection.
    let _ = spawn("server-stream", answer);
}

/// Requests pieces one after the other.
fn download(
    supervisor: &Supervisor,
    target: &Target,
    pieces: usize,
    stopped: &Receiver<()>,
) -> Result<()> {
    let tor = supervisor.wait_tor(LIMIT)?;
    let mut stream = tor.connect_stream(target)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut piece = vec![0; PIECE];
    for _ in 0..pieces {
        stream.write_all(b"?")?;
        stream.read_exact(&mut piece)?;
        if wait(stopped, BETWEEN_PIECES) {
            break;
        }
    }
    Ok(())
}

/// Adds an onion service, and visits it.
fn visit(supervisor: &Supervisor, stopped: &Receiver<()>) {
    let Some(listener) = add_service(supervisor, stopped) else { return };
    let target = Target::from((listener.onion_address(), 80));
    thread::scope(|scope| {
        let answer = || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.set_read_timeout(Some(LIMIT));
                let _ = stream.read_exact(&mut [0]);
                let _ = stream.write_all(&vec![b'x'; PIECE]);
            }
        };
        let server = thread::Builder::new().name("onion-server".to_owned());
        if server.spawn_scoped(scope, answer).is_ok() {
            while !wait(stopped, Duration::from_secs(5)) {
                let _ = download(supervisor, &target, 1, stopped);
            }
        }
        // This ends the server.
        let _ = listener.close();
    });
}

fn add_service(supervisor: &Supervisor, stopped: &Receiver<()>) -> Option<OnionListener> {
    loop {
        match supervisor.wait_tor(LIMIT).and_then(|_| supervisor.onion_endpoint(80).listen()) {
            Ok(listener) => return Some(listener),
            Err(_) if wait(stopped, Duration::from_secs(2)) => return None,
            Err(_) => {}
        }
    }
}
