use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::support::named_thread::named;

/// A unix socket in front of a control socket, for one connection after the other.
pub(super) struct CuttingProxy {
    path: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    _directory: TempDir,
}

#[derive(Default)]
struct Shared {
    /// Both sides of each connection.
    open: Mutex<Vec<[UnixStream; 2]>>,
    ended: AtomicBool,
}

impl CuttingProxy {
    /// Listens in front of the control socket `tor`. While tor does not listen, a connection ends at
    /// once.
    pub(super) fn before(tor: PathBuf) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).expect("a socket can be bound");
        let shared = Arc::<Shared>::default();
        let accepting = Arc::clone(&shared);
        let acceptor = named("proxy-accept", move || {
            let mut copies = Vec::new();
            for client in listener.incoming() {
                if accepting.ended.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(client) = client else { continue };
                let Ok(tor) = UnixStream::connect(&tor) else { continue };
                for (from, to) in [(&client, &tor), (&tor, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    copies.retain(|copy: &JoinHandle<()>| !copy.is_finished());
                    copies.push(named("proxy-copy", move || copy(&from, &to)));
                }
                let mut open = accepting.open.lock();
                // The last one has ended: a supervisor has one connection at a time.
                open.clear();
                open.push([client, tor]);
            }
            accepting.cut();
            copies.into_iter().for_each(|copy| copy.join().unwrap());
        });
        Self { path, shared, acceptor: Some(acceptor), _directory: directory }
    }

    /// Returns the address for the client, as users write it.
    pub(super) fn endpoint(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// Ends the connection.
    pub(super) fn cut(&self) {
        self.shared.cut();
    }
}

impl Shared {
    fn cut(&self) {
        for side in self.open.lock().drain(..).flatten() {
            side.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Ends the wait for a connection.
        UnixStream::connect(&self.path).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
    }
}

fn copy(from: &UnixStream, to: &UnixStream) {
    io::copy(&mut &*from, &mut &*to).ok();
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
