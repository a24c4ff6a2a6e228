//! A filter in front of a real tor's control port, as Whonix and Tails run one.
//!
//! It behaves as their onion-grater does (`Whonix/onion-grater`, `usr/lib/onion-grater`):
//!
//! - It has authenticated itself to tor, and accepts every `AUTHENTICATE`; `PROTOCOLINFO` offers
//!   `NULL` alone.
//! - `TAKEOWNERSHIP` and `RESETCONF` are answered with `250 OK` and not passed on, as Whonix does.
//! - `SETEVENTS` is allowed if each event is. Suppressed events are confirmed and never sent.
//! - Another command is passed on if a pattern matches all of its arguments, and may be replaced.
//!   Every other command is answered with `510 Command filtered`.
//! - The lines of a reply, and whole events of one line, can be replaced as the profile says, also
//!   by a line without a status code. An event that is replaced by nothing is dropped.
//! - It does not parse data: it reads each line behind `+LOADCONF` as a command.

mod pattern;
mod session;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use self::session::Session;
use super::named_thread::named;
use super::socket::{Address, Socket};

pub(crate) use self::pattern::{captures, filled};

/// The profile of a filter for one application.
#[derive(Debug)]
pub(crate) struct Profile {
    /// The application that it models.
    pub(crate) name: &'static str,
    pub(crate) commands: &'static [Rule],
    /// Options that `GETCONF` may query, one at a time, in either case of letters.
    pub(crate) confs: &'static [&'static str],
    pub(crate) events: &'static [(&'static str, EventRule)],
}

/// One form of a command that is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) command: &'static str,
    /// A pattern of all arguments; see [`captures`].
    pub(crate) pattern: &'static str,
    /// The arguments for tor; `None` leaves them as they are.
    pub(crate) replacement: Option<&'static str>,
    /// Patterns of reply lines, and their replacements.
    pub(crate) replies: Replacements,
}

/// Patterns of lines, and their replacements; the first that matches counts.
pub(crate) type Replacements = &'static [(&'static str, &'static str)];

/// The treatment of an allowed event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventRule {
    Pass,
    /// The subscription is confirmed, and no event is sent.
    Suppress,
    Replace(Replacements),
}

pub(crate) const fn allow(command: &'static str, pattern: &'static str) -> Rule {
    Rule { command, pattern, replacement: None, replies: &[] }
}

pub(crate) const fn replace(
    command: &'static str,
    pattern: &'static str,
    replacement: &'static str,
) -> Rule {
    Rule { replacement: Some(replacement), ..allow(command, pattern) }
}

pub(crate) const fn answer(
    command: &'static str,
    pattern: &'static str,
    replies: Replacements,
) -> Rule {
    Rule { replies, ..allow(command, pattern) }
}

/// A running filter on a port of 127.0.0.1; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Filter {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    record: Arc<Record>,
}

/// An action of a filter.
#[derive(Debug, Default)]
pub(super) struct Record {
    passed: Mutex<Vec<String>>,
    replaced_events: Mutex<Vec<String>>,
}

impl Filter {
    /// Listens in front of the control port at `tor`, whose cookie it knows.
    pub(crate) fn before(tor: Address, cookie: PathBuf, profile: &'static Profile) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
        let address = listener.local_addr().expect("a listener has an address");
        let ended = Arc::new(AtomicBool::new(false));
        let record = Arc::new(Record::default());
        let for_sessions = (Arc::clone(&ended), Arc::clone(&record));
        named("filter", move || {
            for client in listener.incoming() {
                if for_sessions.0.load(Ordering::Acquire) {
                    return;
                }
                let client = Socket::Tcp(client.expect("a client can be accepted"));
                let session = Session::open(client, &tor, &cookie, profile, &for_sessions.1);
                named("filter-session", move || session.run());
            }
        });
        Self { address, ended, record }
    }

    /// Returns the address for the client, as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Returns the commands that tor received.
    pub(crate) fn passed(&self) -> Vec<String> {
        self.record.passed.lock().clone()
    }

    /// Returns the lines that the client received in place of events.
    pub(crate) fn replaced_events(&self) -> Vec<String> {
        self.record.replaced_events.lock().clone()
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        std::net::TcpStream::connect(self.address).ok();
    }
}
