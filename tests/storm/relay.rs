use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::LIMIT;
use crate::support::named_thread::named;
use crate::support::random::Random;
use crate::support::watchdog::eventually;

/// No cut is due.
const NEVER: u64 = u64::MAX;
/// How often a relay that stalls looks whether it may continue.
const STALL: Duration = Duration::from_millis(5);

/// A unix socket in front of a control socket. It forwards the bytes of tor in random pieces.
pub(crate) struct Relay {
    path: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    _directory: TempDir,
}

/// How a relay ends its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// In both directions.
    Both,
    /// The client reads an end; its commands still arrive.
    TowardsClient,
    /// tor reads an end; its replies still arrive.
    TowardsTor,
}

struct Shared {
    tor: PathBuf,
    /// Client and tor of each connection, by its number.
    open: Mutex<BTreeMap<u64, [UnixStream; 2]>>,
    /// The number of bytes after which the connections are cut, counted over all of them.
    rest: AtomicU64,
    is_cut_once: AtomicBool,
    stalls: AtomicBool,
    ended: AtomicBool,
}

impl Relay {
    pub(crate) fn before(tor: PathBuf, seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).expect("a socket can be bound");
        let shared = Arc::new(Shared {
            tor,
            open: Mutex::default(),
            rest: AtomicU64::new(NEVER),
            is_cut_once: AtomicBool::new(false),
            stalls: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = named("relay-accept", move || accept(&accepting, &listener, seed));
        Self { path, shared, acceptor: Some(acceptor), _directory: directory }
    }

    /// Returns the address for the client, as users write it.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// Ends all connections.
    pub(crate) fn cut(&self, cut: Cut) {
        self.shared.cut(cut);
    }

    /// Ends all connections when tor has sent so many further bytes, and later connections at once.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.shared.rest.store(bytes, Ordering::SeqCst);
    }

    /// Ends all connections when tor has sent so many further bytes. Later ones are forwarded.
    pub(crate) fn cut_once_after(&self, bytes: u64) {
        self.shared.is_cut_once.store(true, Ordering::SeqCst);
        self.cut_after(bytes);
    }

    /// Waits until the connections are cut.
    pub(crate) fn wait_cut(&self) {
        eventually(LIMIT, "the relay has cut", || self.shared.rest.load(Ordering::SeqCst) == NEVER);
    }

    /// Forwards no reply until this is called with `false`.
    pub(crate) fn stall(&self, stalls: bool) {
        self.shared.stalls.store(stalls, Ordering::SeqCst);
    }
}

impl Shared {
    fn cut(&self, cut: Cut) {
        for [client, tor] in self.open.lock().values() {
            if cut != Cut::TowardsTor {
                client.shutdown(Shutdown::Write).ok();
            }
            if cut != Cut::TowardsClient {
                tor.shutdown(Shutdown::Write).ok();
            }
            if cut == Cut::Both {
                client.shutdown(Shutdown::Both).ok();
                tor.shutdown(Shutdown::Both).ok();
            }
        }
    }

    fn is_stalled(&self) -> bool {
        self.stalls.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst)
    }

    /// Returns how many of `wanted` bytes may still be forwarded.
    fn take(&self, wanted: usize) -> usize {
        let take = |rest| (rest != NEVER).then(|| rest - (wanted as u64).min(rest));
        match self.rest.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(rest) => usize::try_from(rest.min(wanted as u64)).unwrap(),
            Err(_) => wanted,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Ends the wait for a connection.
        UnixStream::connect(&self.path).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("the relay did not panic");
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &UnixListener, seed: u64) {
    let mut copies: Vec<JoinHandle<()>> = Vec::new();
    for (number, client) in (1..).zip(listener.incoming()) {
        if shared.ended.load(Ordering::SeqCst) {
            break;
        }
        let Ok(client) = client else { continue };
        // While tor does not listen, a connection ends at once.
        let Ok(tor) = UnixStream::connect(&shared.tor) else { continue };
        let pair = || [client.try_clone().unwrap(), tor.try_clone().unwrap()];
        let [commands, replies] = [pair(), pair()];
        shared.open.lock().insert(number, [client, tor]);
        copies.retain(|copy| !copy.is_finished());
        copies.push(named("relay-commands", move || forward_commands(commands)));
        let (random, sharing) = (Random::new(seed ^ number), Arc::clone(shared));
        copies.push(named("relay-replies", move || {
            forward_replies(replies, random, &sharing);
            sharing.open.lock().remove(&number);
        }));
    }
    shared.cut(Cut::Both);
    copies.into_iter().for_each(|copy| copy.join().expect("the relay did not panic"));
}

fn forward_commands([mut client, mut tor]: [UnixStream; 2]) {
    std::io::copy(&mut client, &mut tor).ok();
    tor.shutdown(Shutdown::Write).ok();
}

fn forward_replies([mut client, mut tor]: [UnixStream; 2], mut random: Random, shared: &Shared) {
    let mut buffer = [0; 16 << 10];
    // Whole, in pieces, or byte by byte.
    let longest = match random.below(4) {
        0 => buffer.len(),
        1 => 1 + random.below(8),
        _ => 1 + random.below(1500),
    };
    'connection: while let Ok(length @ 1..) = tor.read(&mut buffer) {
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            while shared.is_stalled() {
                thread::sleep(STALL);
            }
            let size = (1 + random.below(longest)).min(rest.len());
            let allowed = shared.take(size);
            let (now, later) = rest.split_at(allowed);
            if client.write_all(now).is_err() {
                break 'connection;
            }
            if allowed < size {
                shared.cut(Cut::Both);
                if shared.is_cut_once.load(Ordering::SeqCst) {
                    shared.rest.store(NEVER, Ordering::SeqCst);
                }
                break 'connection;
            }
            rest = later;
            match random.below(60) {
                0 => thread::sleep(Duration::from_micros(300)),
                1..8 => thread::yield_now(),
                _ => {}
            }
        }
    }
    client.shutdown(Shutdown::Both).ok();
    tor.shutdown(Shutdown::Both).ok();
}
