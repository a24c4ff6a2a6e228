//! The state that the callers and the two threads of a connection share: how a request is written,
//! and how the connection ends.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::{Backlog, BacklogSender};
use super::dispatcher::{Delivery, Dispatcher, LostEvents};
use super::event_thread::EventThread;
use super::hook::EventHooks;
use super::outbox::{Owner, Removal};
use super::reply_channel::{ReplyReceiver, ReplySender};
use super::router::{CancelOutcome, Router, SlotId, Waiter};
use super::spool::BufferLimits;
use super::timeout;
use super::transport::{Stream, WriteOutcome};
use crate::clock;
use crate::error::{Disconnect, Error, Result};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sync::{Condvar, Mutex, MutexGuard, thread};
use crate::wire::Request;

/// How long a caller waits at the end of the connection until the hooks have returned.
const HOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of batches after which a writer whose request is written gives its turn to another.
/// The models of threads have too few callers for more than two.
const MAX_BATCHES: usize = if cfg!(shuttle) { 2 } else { 8 };

/// The step for which the caller of [`Connection::write`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For the reply, at once.
    Reply,
    /// Until the request is written.
    Written,
}

/// A request that was sent, or is in the outbox.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) id: SlotId,
    /// Whether no other command was pending.
    pub(super) is_alone: bool,
    /// Whether the request is written.
    pub(super) is_written: bool,
}

/// The state of one connection.
///
/// Lock order, outermost first. A thread that holds a lock never takes an earlier one:
///
/// 1. `updating` of the controller's subscriptions: held across a whole `SETEVENTS`.
/// 2. `router`: held for a push, a pop or a drain, never across input, output or user code. A slot and
///    its request in the outbox are pushed together, so that slots are in the order of the wire.
/// 3. Leaves, never two at once: the reply channels, the listeners, the hooks, a count of lost events,
///    the event thread.
///
/// The reader thread takes only 2 and 3. No lock is held during logging, since a logger
/// may run any code. The reader thread logs only the end of the connection, since a logger that
/// sends a command would wait for the reader.
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// The limits of each pipe.
    pub(super) buffer_limits: BufferLimits,
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
        buffer_limits: BufferLimits,
        events: Backlog<Delivery, LostEvents>,
    ) -> Self {
        let (wake_reader, wakeups) = bounded(1);
        Self {
            stream,
            buffer_limits,
            router: Mutex::new(Router::new()),
            ended: Condvar::new(),
            dispatcher: Dispatcher::default(),
            hooks: EventHooks::default(),
            event_thread: EventThread::new(events),
            wake_reader,
            wakeups,
        }
    }

    /// Appends a slot and the request under one lock, and writes the request, unless another caller
    /// is writing. In that case that caller writes it, or wakes this one by `turn` to do so: see
    /// [`wait_written`](Self::wait_written).
    ///
    /// If other callers are about to send commands, the caller of a [`Purpose::Reply`] yields the
    /// processor before it writes, so that their requests are written with its own.
    pub(super) fn write(
        &self,
        request: &Request,
        waiter: Waiter,
        turn: &ReplySender,
        purpose: Purpose,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Sent> {
        let length = request.checked_length()?;
        // No lock is held, since a logger may run any code.
        log::trace!("{request:?}");
        let waits_for_write = purpose == Purpose::Written;
        let mut router = self.router.lock();
        let owner = || Some(Owner { sender: turn.clone(), waits_for_write });
        let id = router.submit(request, length, waiter, owner)?;
        // A full channel has a wake-up that the reader has not consumed yet.
        let _ = self.wake_reader.try_send(());
        let is_writer = router.outbox.enter();
        if is_writer && router.has_crowd() && !waits_for_write {
            drop(router);
            thread::yield_now();
            router = self.router.lock();
        }
        let is_alone = router.is_waiting_alone();
        let written = match is_writer {
            true => self.write_outbox(router, Some(id), deadline),
            false => {
                drop(router);
                WriteOutcome::All
            }
        };
        self.check_written(written, request.keyword(), limit)?;
        Ok(Sent { id, is_alone, is_written: is_writer })
    }

    /// Waits until a request is written that another caller was to write.
    pub(super) fn wait_written(
        &self,
        id: SlotId,
        turn: &ReplyReceiver,
        command: &str,
        deadline: Instant,
        limit: Duration,
    ) -> Result<()> {
        let written = if turn.wait_turn(deadline) {
            self.take_turn(id, deadline)
        } else {
            withdrawn(self.router.lock().withdraw(id))
        };
        self.check_written(written, command, limit)
    }

    /// Writes the outbox if the owner of this request was woken to do so.
    pub(super) fn take_turn(&self, id: SlotId, deadline: Instant) -> WriteOutcome {
        let mut router = self.router.lock();
        match router.outbox.take_turn(id) {
            true => self.write_outbox(router, Some(id), deadline),
            false => WriteOutcome::All,
        }
    }

    /// Returns the error of a write that failed.
    pub(super) fn check_written(
        &self,
        written: WriteOutcome,
        command: &str,
        limit: Duration,
    ) -> Result<()> {
        match written {
            WriteOutcome::All => Ok(()),
            WriteOutcome::Nothing => Err(timeout(command, limit).into()),
            WriteOutcome::Failed(error) => Err(self.write_failed(error)),
        }
    }

    /// Writes the outbox, as its writer: until the own request is written, or else as much as the
    /// socket has room for. Then gives the turn to the next writer.
    pub(super) fn write_outbox<'a>(
        &'a self,
        mut router: MutexGuard<'a, Router>,
        own: Option<SlotId>,
        deadline: Instant,
    ) -> WriteOutcome {
        for batch in 1.. {
            let taken = router.outbox.take();
            drop(router);
            let (written, outcome) = self.stream.write_available(&taken);
            router = self.router.lock();
            router.outbox.written(taken, written);
            let has_room = match outcome {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) => {
                    let is_own = own.is_some_and(|id| router.outbox.contains(id));
                    router.outbox.leave();
                    drop(router);
                    if is_own {
                        return WriteOutcome::Failed(error);
                    }
                    // The reply to the own request may have arrived. The reader detects the end itself,
                    // and this may be the reader thread.
                    if !is_end(&error) {
                        self.end(&Disconnect::Write(Arc::new(error)));
                    }
                    return WriteOutcome::All;
                }
            };
            if own.is_none_or(|id| !router.outbox.contains(id)) {
                let is_done = router.outbox.is_empty() || !has_room;
                if is_done || batch >= MAX_BATCHES {
                    router.outbox.leave();
                    if is_done || !router.outbox.enter() {
                        break;
                    }
                }
            } else if !has_room {
                drop(router);
                let outcome = self.stream.wait_writable(deadline);
                router = self.router.lock();
                if let Err(error) = outcome {
                    let removal = own.map_or(Removal::Written, |id| router.withdraw(id));
                    router.outbox.leave();
                    return match error.kind() {
                        io::ErrorKind::TimedOut => withdrawn(removal),
                        _ => WriteOutcome::Failed(error),
                    };
                }
            }
        }
        WriteOutcome::All
    }

    /// Sends a request whose reply is discarded, as soon as the socket has room. Never blocks.
    pub(super) fn send_unawaited(&self, request: &Request) -> Result<()> {
        let length = request.checked_length()?;
        // No lock is held, since a logger may run any code.
        log::trace!("{request:?}");
        let mut router = self.router.lock();
        router.submit(request, length, Waiter::Canceled, || None)?;
        let _ = self.wake_reader.try_send(());
        self.write_available(router);
        Ok(())
    }

    /// Sends a probe if one is owed, as soon as the socket has room.
    pub(super) fn send_owed_probe(&self) {
        let mut router = self.router.lock();
        router.submit_owed_probe();
        self.write_available(router);
    }

    /// Writes as much of the outbox as the socket has room for, unless another thread is the writer.
    /// The next writer writes the rest, or the reader after its next read: each reply before the
    /// rest is a read. Without any, a command before it was not answered, and the rest of a probe
    /// would only end the connection for the callers that wait in front of it.
    fn write_available(&self, mut router: MutexGuard<'_, Router>) {
        if router.outbox.is_empty() || !router.outbox.enter() {
            return;
        }
        self.write_outbox(router, None, clock::now());
    }

    /// Cancels a slot. Returns whether its reply was complete already.
    pub(super) fn cancel(&self, id: SlotId) -> bool {
        let outcome = self.router.lock().cancel(id);
        match outcome {
            CancelOutcome::Queued => {
                self.send_owed_probe();
                log::debug!("a caller timed out; a probe checks that replies are in step");
            }
            CancelOutcome::Begun => {
                let error = io::Error::from(io::ErrorKind::TimedOut);
                self.end(&Disconnect::Write(Arc::new(error)));
            }
            CancelOutcome::Incoming | CancelOutcome::Complete | CancelOutcome::Unwritten => {}
        }
        // The end of the connection is an outcome too.
        matches!(outcome, CancelOutcome::Complete | CancelOutcome::Begun)
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
    pub(super) fn wait_for_room<T, L>(&self, queue: &mut BacklogSender<T, L>, size: usize) -> bool {
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
        let deadline = clock::now() + HOOK_TIMEOUT;
        let mut router = self.router.lock();
        while let (Some(reason), false) = (router.end_reason(), router.has_ended()) {
            let reason = reason.clone();
            if clock::wait_until(&self.ended, &mut router, deadline) {
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

/// Returns the outcome of the write of a request that was withdrawn at its deadline.
fn withdrawn(removal: Removal) -> WriteOutcome {
    match removal {
        Removal::Removed => WriteOutcome::Nothing,
        Removal::Written => WriteOutcome::All,
        Removal::Begun => WriteOutcome::Failed(io::ErrorKind::TimedOut.into()),
    }
}

/// Returns whether a write failed because the peer closed the connection.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
