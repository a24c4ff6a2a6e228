//! What the callers and the threads of a connection share: how a request is written, and how the
//! connection ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use zeroize::Zeroizing;

use super::backlog::{BacklogSender, Loss};
use super::dispatcher::Dispatcher;
use super::hook::EventHooks;
use super::router::{GivenUp, Router, SlotId, probe_key};
use super::spool::BufferLimits;
use super::timeout;
use super::transport::{Stream, Written};
use crate::error::{Disconnect, Error, Result};
use crate::wire::Request;

/// How long the end of the connection waits until the hooks know of it.
const HOOKS: Duration = Duration::from_secs(1);

/// The state of one connection.
///
/// Lock order, outermost first; a thread that holds a later one never takes an earlier one:
///
/// 1. `updating` of the controller's subscriptions: held across a whole `SETEVENTS`.
/// 2. `outbox`: held while one request is written, so that the order of slots is the order of the
///    wire. Always taken with a deadline.
/// 3. `router`: held for a push, a pop or a drain, never across input, output or a user's code.
/// 4. Leaves, never two at once: the listeners, the hooks, a count of lost events.
///
/// The reader takes only 3 and 4, and 2 if nobody has it. No lock is held while anything is logged:
/// a logger may do anything. The reader logs nothing but the end of the connection, since a logger
/// that sends a command would wait for the reader.
pub(super) struct Shared {
    pub(super) stream: Stream,
    pub(super) outbox: Mutex<()>,
    pub(super) router: Mutex<Router>,
    /// Signaled when the router has ended; goes with `router`.
    pub(super) ended: Condvar,
    pub(super) dispatcher: Dispatcher,
    pub(super) hooks: EventHooks,
    /// Wakes the reader where it waits for slow listeners: a command was queued, or the connection
    /// has ended.
    pub(super) submitting: Sender<()>,
    pub(super) submitted: Receiver<()>,
    /// Whether tor has accepted the authentication. Until then the reader keeps to small limits.
    pub(super) is_authenticated: AtomicBool,
}

impl Shared {
    pub(super) fn new(stream: Stream, replies: BufferLimits) -> Self {
        let (submitting, submitted) = bounded(1);
        Self {
            stream,
            outbox: Mutex::default(),
            router: Mutex::new(Router::new(replies)),
            ended: Condvar::new(),
            dispatcher: Dispatcher::default(),
            hooks: EventHooks::default(),
            submitting,
            submitted,
            is_authenticated: AtomicBool::new(false),
        }
    }

    /// Takes a place in the queue by `push` and writes the request, both under one lock.
    pub(super) fn write<P>(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
        push: impl FnOnce(&mut Router) -> Result<(SlotId, P), Disconnect>,
    ) -> Result<(SlotId, P)> {
        // It may hold a secret.
        let encoded = Zeroizing::new(request.encode()?);
        // Before any lock: a logger may do anything.
        log::trace!("{request:?}");
        let Some(outbox) = self.outbox.try_lock_until(deadline) else {
            return Err(timeout(request.keyword(), limit).into());
        };
        let mut router = self.router.lock();
        let probe = router.push_probe();
        let (id, place) = push(&mut router)?;
        if request.ends_connection() {
            router.expect_end(id, Disconnect::Quit);
        }
        drop(router);
        // Full means that the reader has yet to look; it will.
        let _ = self.submitting.try_send(());
        let bytes = match probe {
            None => encoded,
            Some(nonce) => {
                Zeroizing::new([probe_request(nonce).as_bytes(), encoded.as_slice()].concat())
            }
        };
        let first = probe.map_or(id, SlotId::from);
        let written = self.stream.write_all(&bytes, deadline);
        if let Written::Nothing = written {
            self.router.lock().take_back(first);
        }
        drop(outbox);
        if let Written::Failed(error) = written {
            return Err(self.write_failed(error));
        }
        // Whoever gave up meanwhile found the outbox taken.
        self.send_owed_probe();
        match written {
            Written::Nothing => Err(timeout(request.keyword(), limit).into()),
            Written::All | Written::Failed(_) => Ok((id, place)),
        }
    }

    /// Sends a probe if one is owed, unless that would mean waiting. Whoever holds the outbox does
    /// it then, and if there is no room, the reader does it when there is.
    pub(super) fn send_owed_probe(&self) {
        if !self.router.lock().owes_probe() {
            return;
        }
        let Some(outbox) = self.outbox.try_lock() else { return };
        let Some(nonce) = self.router.lock().push_probe() else { return };
        let written = self.stream.write_all(probe_request(nonce).as_bytes(), Instant::now());
        if let Written::Nothing = written {
            self.router.lock().take_back(nonce.into());
        }
        drop(outbox);
        match written {
            // The reader finds the end by itself, and it may be the reader that is here.
            Written::Failed(error) if !is_end(&error) => {
                self.end(&Disconnect::Write(Arc::new(error)));
            }
            Written::All | Written::Nothing | Written::Failed(_) => {}
        }
    }

    /// Gives up a place in the queue. Returns whether the outcome had come just before.
    pub(super) fn give_up(&self, id: SlotId) -> bool {
        let outcome = self.router.lock().give_up(id);
        if outcome == GivenUp::Probing {
            self.send_owed_probe();
            log::debug!("a caller gave up; tor is asked where it stands");
        }
        outcome == GivenUp::Answered
    }

    /// Ends the connection after a failed write. If tor closed it first, the reader will find
    /// that out and knows better why; it gets a moment to say so.
    fn write_failed(&self, error: io::Error) -> Error {
        let mut router = self.router.lock();
        if is_end(&error) && router.end_reason().is_none() {
            self.ended.wait_for(&mut router, Duration::from_millis(50));
        }
        drop(router);
        self.end(&Disconnect::Write(Arc::new(error)));
        self.reason_after_hooks().into()
    }

    /// Ends the connection: the reader wakes up, then the hooks are told, then every caller gets
    /// the reason. So a caller that knows of the end finds that the hooks know of it too.
    pub(super) fn end(&self, reason: &Disconnect) {
        let Some(reason) = self.router.lock().decide_end(reason) else { return };
        let callers = FailCallersOnDrop(self);
        // The reader wakes up, and so does a writer that waits for room.
        self.stream.shut_down();
        let _ = self.submitting.try_send(());
        self.hooks.end(&reason);
        drop(callers);
        // Last, since a logger may do anything.
        match reason.is_clean() {
            true => log::info!("connection closed: {reason}"),
            false => log::warn!("connection lost: {reason}"),
        }
    }

    /// Makes the reader wait until `queue` has room for `size` bytes, for a bounded time and only
    /// while no caller waits for a reply. Returns whether it has room.
    pub(super) fn wait_for_room<T, L: Loss>(
        &self,
        queue: &mut BacklogSender<T, L>,
        size: usize,
    ) -> bool {
        queue.wait_for_room(size, &self.submitted, || self.router.lock().is_idle())
    }

    pub(super) fn note(&self, error: &Error) {
        if matches!(error, Error::Protocol(error) if error.is_out_of_step()) {
            let detail = "a reply came that answers another command";
            self.end(&Disconnect::OutOfStep { detail });
        }
    }

    /// Returns why the connection ended, once the hooks know of it. They are quick; a hook that is
    /// not does not hold up the end for longer than [`HOOKS`].
    pub(super) fn reason_after_hooks(&self) -> Disconnect {
        let deadline = Instant::now() + HOOKS;
        let mut router = self.router.lock();
        while let (Some(reason), false) = (router.end_reason(), router.has_ended()) {
            let reason = reason.clone();
            if self.ended.wait_until(&mut router, deadline).timed_out() {
                return reason;
            }
        }
        // Without a reason the reader was never started.
        router.end_reason().cloned().unwrap_or(Disconnect::ReaderFailed)
    }
}

/// Fails every caller at the end of the connection, even if a hook panics.
struct FailCallersOnDrop<'a>(&'a Shared);

impl Drop for FailCallersOnDrop<'_> {
    fn drop(&mut self) {
        self.0.router.lock().end();
        self.0.ended.notify_all();
        let _ = self.0.submitting.try_send(());
    }
}

fn probe_request(nonce: u64) -> String {
    format!("GETINFO {}\r\n", probe_key(nonce))
}

/// Whether a write failed because the other side has ended the connection.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
