//! The state that the callers and the two threads of a connection share: how a request is written,
//! and how the connection ends.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use zeroize::Zeroizing;

use super::backlog::{Backlog, BacklogSender, Loss};
use super::dispatcher::{Delivery, Dispatcher, LostEvents};
use super::event_thread::EventThread;
use super::hook::EventHooks;
use super::router::{CancelOutcome, Router, SlotId, probe_key};
use super::spool::BufferLimits;
use super::timeout;
use super::transport::{Stream, WriteOutcome};
use crate::error::{Disconnect, Error, Result};
use crate::wire::Request;

/// How long a caller waits at the end of the connection until the hooks have returned.
const HOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// The state of one connection.
///
/// Lock order, outermost first. A thread that holds a lock never takes an earlier one:
///
/// 1. `updating` of the controller's subscriptions: held across a whole `SETEVENTS`.
/// 2. `outbox`: held while one request is written, so that slots are in the order of the wire. Taken
///    with a deadline.
/// 3. `router`: held for a push, a pop or a drain, never across input, output or user code.
/// 4. Leaves, never two at once: the listeners, the hooks, a count of lost events, the event thread.
///
/// The reader thread takes only 3 and 4, and tries 2. No lock is held during logging, since a logger
/// may run any code. The reader thread logs only the end of the connection, since a logger that
/// sends a command would wait for the reader.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) outbox: Mutex<()>,
    pub(super) router: Mutex<Router>,
    /// Signaled when the router has ended; used with `router`.
    pub(super) ended: Condvar,
    pub(super) dispatcher: Dispatcher,
    pub(super) hooks: EventHooks,
    pub(super) event_thread: EventThread,
    /// Wakes the reader's wait for slow listeners when a command is queued or the connection ends.
    wake_reader: Sender<()>,
    wakeups: Receiver<()>,
}

impl Connection {
    /// `events` is the queue to the event thread.
    pub(super) fn new(
        stream: Stream,
        replies: BufferLimits,
        events: Backlog<Delivery, LostEvents>,
    ) -> Self {
        let (wake_reader, wakeups) = bounded(1);
        Self {
            stream,
            outbox: Mutex::default(),
            router: Mutex::new(Router::new(replies)),
            ended: Condvar::new(),
            dispatcher: Dispatcher::default(),
            hooks: EventHooks::default(),
            event_thread: EventThread::new(events),
            wake_reader,
            wakeups,
        }
    }

    /// Appends a slot to the queue by `push` and writes the request, both under the lock `outbox`.
    pub(super) fn write<P>(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
        push: impl FnOnce(&mut Router) -> Result<(SlotId, P), Disconnect>,
    ) -> Result<(SlotId, P)> {
        // Zeroized, since it may contain a secret.
        let encoded = Zeroizing::new(request.encode()?);
        // No lock is held, since a logger may run any code.
        log::trace!("{request:?}");
        let timed_out = || Error::from(timeout(request.keyword(), limit));
        let outbox = self.outbox.try_lock_until(deadline).ok_or_else(timed_out)?;
        let mut router = self.router.lock();
        let mut probe_written = WriteOutcome::All;
        if router.owes_probe() {
            drop(router);
            probe_written = self.write_owed_probe(deadline);
            router = self.router.lock();
        }
        let written = match probe_written {
            WriteOutcome::All => {
                let (id, receiver) = push(&mut router)?;
                if request.ends_connection() {
                    router.expect_end(id, Disconnect::Quit);
                }
                drop(router);
                // A full channel has a wake-up that the reader has not consumed yet.
                let _ = self.wake_reader.try_send(());
                match self.write_slot(id, &encoded, deadline) {
                    WriteOutcome::All => Ok((id, receiver)),
                    failed => Err(failed),
                }
            }
            failed => {
                drop(router);
                Err(failed)
            }
        };
        drop(outbox);
        match written {
            Err(WriteOutcome::Failed(error)) => Err(self.write_failed(error)),
            other => {
                // Another thread that canceled its slot meanwhile found the outbox locked.
                self.send_owed_probe();
                other.map_err(|_| timed_out())
            }
        }
    }

    /// Sends a probe if one is owed and this does not block. If the outbox is locked, its holder sends
    /// the probe; if the socket has no room, the reader sends it after its next read.
    pub(super) fn send_owed_probe(&self) {
        if !self.router.lock().owes_probe() {
            return;
        }
        let Some(outbox) = self.outbox.try_lock() else { return };
        let written = self.write_owed_probe(Instant::now());
        drop(outbox);
        match written {
            // The reader detects the end itself, and this may be the reader thread.
            WriteOutcome::Failed(error) if !is_end(&error) => {
                self.end(&Disconnect::Write(Arc::new(error)));
            }
            _ => {}
        }
    }

    /// Writes a probe if one is owed. The caller holds the outbox.
    fn write_owed_probe(&self, deadline: Instant) -> WriteOutcome {
        let Some(nonce) = self.router.lock().push_probe() else { return WriteOutcome::All };
        let probe = format!("GETINFO {}\r\n", probe_key(nonce));
        self.write_slot(nonce.into(), probe.as_bytes(), deadline)
    }

    /// Writes the command of the last slot, and takes the slot back if not a byte was written.
    fn write_slot(&self, id: SlotId, command: &[u8], deadline: Instant) -> WriteOutcome {
        let written = self.stream.write_all(command, deadline);
        if let WriteOutcome::Nothing = written {
            self.router.lock().take_back(id);
        }
        written
    }

    /// Cancels a slot. Returns whether its reply was complete already.
    pub(super) fn cancel(&self, id: SlotId) -> bool {
        let outcome = self.router.lock().cancel(id);
        if outcome == CancelOutcome::Queued {
            self.send_owed_probe();
            log::debug!("a caller timed out; a probe checks that replies are in step");
        }
        outcome == CancelOutcome::Complete
    }

    /// Ends the connection after a failed write. If tor closed it first, this waits a moment for the
    /// reader, which may find a more precise reason.
    fn write_failed(&self, error: io::Error) -> Error {
        let mut router = self.router.lock();
        if is_end(&error) && router.end_reason().is_none() {
            self.ended.wait_for(&mut router, Duration::from_millis(50));
        }
        drop(router);
        self.end(&Disconnect::Write(Arc::new(error)));
        self.reason_after_hooks().into()
    }

    /// Ends the connection: wakes the reader, then calls the hooks, then fails every slot with the
    /// reason. So the hooks have been called before any caller receives the reason.
    pub(super) fn end(&self, reason: &Disconnect) {
        let Some(reason) = self.router.lock().begin_end(reason) else { return };
        let slots = FailSlotsOnDrop(self);
        // Wakes the reader, and a writer that waits for room in the socket.
        self.stream.shut_down();
        let _ = self.wake_reader.try_send(());
        self.hooks.end_hooks(&reason);
        drop(slots);
        // Last, since a logger may run any code.
        match reason.is_clean() {
            true => log::info!("connection closed: {reason}"),
            false => log::warn!("connection lost: {reason}"),
        }
    }

    /// Blocks the reader thread until `queue` has room for `size` bytes, for a bounded time and only
    /// while no command is pending. Returns whether there is room.
    pub(super) fn wait_for_room<T, L: Loss>(
        &self,
        queue: &mut BacklogSender<T, L>,
        size: usize,
    ) -> bool {
        queue.wait_for_room(size, &self.wakeups, || self.router.lock().is_idle())
    }

    /// Ends the connection if the error shows that replies are out of step with commands.
    pub(super) fn end_if_out_of_step(&self, error: &Error) {
        if matches!(error, Error::Protocol(error) if error.is_out_of_step()) {
            let detail = "a reply belongs to another command";
            self.end(&Disconnect::OutOfStep { detail });
        }
    }

    /// Returns why the connection ended, after the hooks have been called. A slow hook delays this by
    /// at most [`HOOK_TIMEOUT`].
    pub(super) fn reason_after_hooks(&self) -> Disconnect {
        let deadline = Instant::now() + HOOK_TIMEOUT;
        let mut router = self.router.lock();
        while let (Some(reason), false) = (router.end_reason(), router.has_ended()) {
            let reason = reason.clone();
            if self.ended.wait_until(&mut router, deadline).timed_out() {
                return reason;
            }
        }
        router.end_reason().cloned().unwrap_or(Disconnect::ReaderFailed)
    }
}

/// Fails every slot at the end of the connection, even if a hook panics.
struct FailSlotsOnDrop<'a>(&'a Connection);

impl Drop for FailSlotsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.router.lock().end();
        self.0.ended.notify_all();
        let _ = self.0.wake_reader.try_send(());
    }
}

/// Returns whether a write failed because the peer closed the connection.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
