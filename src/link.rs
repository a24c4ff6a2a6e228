//! One connection to tor: requests go out, replies find their callers, events their listeners.
//!
//! Two threads serve a connection. `torcon-reader` reads the socket, gives each reply to the
//! caller whose turn it is and the events to `torcon-events`, which calls the listeners. Callers
//! write on their own threads.
//!
//! **Invariant**: this is the only row with threads and locks on a connection. It takes a
//! [`Request`] and returns a [`Reply`], and knows no command but the question it asks after a
//! caller has given up (see `router`).

mod backlog;
mod delegate_socket;
mod dispatcher;
mod endpoint;
mod hook;
mod intake;
mod notifier;
mod parts;
mod peer;
mod poll;
mod reader;
mod registry;
mod router;
mod shared;
mod spool;
mod ticket;
mod transport;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use parking_lot::{Mutex, MutexGuard};

pub(crate) use self::backlog::{Backlog, BacklogSender, Queued, backlog, deadline_after};
pub(crate) use self::delegate_socket::delegate_socket;
pub(crate) use self::dispatcher::{Callback, Listener, Removed, drop_quietly, panic_text};
pub use self::endpoint::Endpoint;
pub(crate) use self::hook::{EventHook, RawEvent};
pub(crate) use self::notifier::{Notifier, WaitEnd};
use self::parts::Part;
pub(crate) use self::peer::{Peer, canonical};
pub(crate) use self::poll::poll_until;
use self::reader::Reader;
pub use self::registry::ListenerId;
use self::router::Router;
use self::shared::Shared;
pub(crate) use self::spool::BufferLimits;
use self::ticket::no_reply;
pub(crate) use self::ticket::{SequencedReply, Ticket};
pub(crate) use self::transport::{Stream, Written};
use crate::error::{ConnectProblem, Disconnect, Error, Result, Timeout, Wait};
use crate::event::EventKind;
use crate::wire::{Limits, Reply, Request};

/// How long the last handle that is dropped waits for the reader.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The bounds of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkLimits {
    pub(crate) wire: Limits,
    /// Bytes of events that may wait for their listeners.
    pub(crate) events: usize,
    /// Bytes of replies that may wait for their callers.
    pub(crate) replies: BufferLimits,
}

/// The owner of one connection. Dropping it closes the connection.
pub(crate) struct Link {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
    /// They end with the threads.
    reader_done: Receiver<()>,
    events_done: Receiver<()>,
}

struct Threads {
    reader: Option<JoinHandle<()>>,
    events: Option<JoinHandle<()>>,
    reader_id: ThreadId,
    events_id: ThreadId,
}

impl Link {
    /// Opens a connection and starts its threads.
    pub(crate) fn open(
        endpoint: &Endpoint,
        deadline: Instant,
        limits: LinkLimits,
    ) -> Result<Self, ConnectProblem> {
        let io = |error| ConnectProblem::Io(Arc::new(error));
        let stream = Stream::connect(endpoint, deadline)?;
        stream.keep_alive();
        let reading = stream.try_clone().map_err(io)?;
        let shared = Arc::new(Shared::new(stream, limits.replies));
        let (sender, queue) = backlog(limits.events);
        let reader = Reader::new(reading, Arc::clone(&shared), sender, limits);
        let (done, events_done) = bounded::<()>(0);
        let for_events = Arc::clone(&shared);
        let events = thread::Builder::new().name("torcon-events".into()).spawn(move || {
            for_events.dispatcher.run(&queue, || for_events.reason_after_hooks());
            drop(done);
        });
        // If the second thread cannot be started, the first ends with the reader it waits for.
        let events = events.map_err(io)?;
        let (done, reader_done) = bounded::<()>(0);
        let reader = thread::Builder::new().name("torcon-reader".into()).spawn(|| {
            reader.run();
            drop(done);
        });
        let reader = reader.map_err(io)?;
        let (reader_id, events_id) = (reader.thread().id(), events.thread().id());
        let (reader, events) = (Some(reader), Some(events));
        let threads = Mutex::new(Threads { reader, events, reader_id, events_id });
        Ok(Self { shared, threads, reader_done, events_done })
    }

    /// Returns the other end of the connection, as the operating system reports it.
    pub(crate) fn peer(&self) -> Peer {
        Peer::of(&self.shared.stream)
    }

    /// Sends a request and waits for its reply, whatever it says.
    pub(crate) fn call(&self, request: &Request, limit: Duration) -> Result<Reply> {
        self.call_before(request, deadline_after(limit), limit).map(|numbered| numbered.reply)
    }

    /// Sends a request and waits for its reply, which says where among the events it stands.
    /// `limit` is what an error says about the deadline.
    pub(crate) fn call_before(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
    ) -> Result<SequencedReply> {
        self.submit(request, deadline, limit)?.wait(deadline, limit)
    }

    /// Writes a request; its reply can be waited for later.
    pub(crate) fn submit(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Ticket> {
        let (id, outcome) = self.shared.write(request, deadline, limit, Router::push)?;
        Ok(Ticket::new(Arc::clone(&self.shared), id, request.keyword(), outcome))
    }

    /// Sends a request and gives its reply to `take` in parts, as they come. `limit` bounds the
    /// wait for the first part, writing included, and each wait for the next. If
    /// `take` breaks, the rest is discarded.
    pub(crate) fn call_in_parts(
        &self,
        request: &Request,
        limit: Duration,
        mut take: impl FnMut(&[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut deadline = deadline_after(limit);
        let (id, mut parts) = self.shared.write(request, deadline, limit, Router::push_parts)?;
        let mut lines = Vec::new();
        loop {
            match parts.next(lines, deadline) {
                Some(Part::Lines(taken)) => {
                    if take(&taken)?.is_break() {
                        return Ok(());
                    }
                    lines = taken;
                }
                Some(Part::End(Ok(()))) => return Ok(()),
                Some(Part::End(Err(reason))) => return Err(no_reply(request.keyword(), reason)),
                // If it is being handed over, it ends at once.
                None if self.shared.give_up(id) => lines = Vec::new(),
                None => return Err(timeout(request.keyword(), limit).into()),
            }
            deadline = deadline_after(limit);
        }
    }

    /// Takes note that tor has accepted the authentication: the limits for replies and events hold
    /// from now on, and the link may send probes, which would be an error before.
    pub(crate) fn set_authenticated(&self) {
        self.shared.is_authenticated.store(true, Ordering::Release);
        self.shared.router.lock().allow_probes();
    }

    /// Adds a listener for the given kinds of event, unless the connection has ended.
    pub(crate) fn add_listener(
        &self,
        kinds: &[EventKind],
        listener: Arc<Listener>,
    ) -> Result<(), Disconnect> {
        self.shared.dispatcher.add(kinds, listener)
    }

    /// Removes a listener, if it is there: one that panicked is not.
    pub(crate) fn remove_listener(&self, id: ListenerId) -> Option<Removed> {
        self.shared.dispatcher.remove(id)
    }

    /// Returns the kinds of event that listeners and hooks want.
    pub(crate) fn wanted_events(&self) -> BTreeSet<EventKind> {
        let mut wanted = self.shared.dispatcher.kinds();
        wanted.append(&mut self.shared.hooks.kinds());
        wanted
    }

    /// Adds a closure for the end of the connection.
    pub(crate) fn on_disconnect(&self, callback: Box<dyn FnOnce(&Disconnect) + Send>) {
        self.shared.dispatcher.on_disconnect(callback);
    }

    /// Adds a hook for the given kinds of event; one that is added after the end is told the end.
    pub(crate) fn add_hook(&self, kinds: &[EventKind], hook: Arc<dyn EventHook>) -> ListenerId {
        self.shared.hooks.add(kinds, hook)
    }

    /// Removes a hook, and returns it.
    pub(crate) fn remove_hook(&self, id: ListenerId) -> Option<Arc<dyn EventHook>> {
        self.shared.hooks.remove(id)
    }

    /// Returns why the connection ended, if it has. The hooks may be about to be told.
    pub(crate) fn closed_reason(&self) -> Option<Disconnect> {
        self.shared.router.lock().end_reason().cloned()
    }

    /// Waits for the end of the connection, which the hooks know of then.
    pub(crate) fn wait_closed(&self, deadline: Instant) -> Option<Disconnect> {
        let mut router = self.shared.router.lock();
        while !router.has_ended() {
            if self.shared.ended.wait_until(&mut router, deadline).timed_out() {
                break;
            }
        }
        router.end_reason().cloned()
    }

    /// Ends the connection for the given reason, unless it has ended already.
    pub(crate) fn end(&self, reason: &Disconnect) {
        self.shared.end(reason);
    }

    /// Ends the connection if the error says that a reply was someone else's.
    pub(crate) fn note(&self, error: &Error) {
        self.shared.note(error);
    }

    /// Closes the connection and waits for its threads, at most for `limit`: a listener may be
    /// running. A thread does not wait for itself.
    pub(crate) fn close(&self, limit: Duration) {
        let deadline = deadline_after(limit);
        self.stop(deadline);
        let mut threads = self.threads.lock();
        let this = thread::current().id();
        if this == threads.events_id || this == threads.reader_id {
            return;
        }
        let events = threads.events.take();
        drop(threads);
        if !join(events, &self.events_done, deadline) {
            log::warn!("a listener is still running after its connection was closed");
        }
    }

    /// Ends the connection and joins the reader, which waits for nobody but may be busy.
    fn stop(&self, deadline: Instant) {
        self.shared.dispatcher.discard();
        self.shared.end(&Disconnect::Closed);
        let mut threads = self.threads.lock();
        if thread::current().id() == threads.reader_id {
            return;
        }
        let reader = threads.reader.take();
        drop(threads);
        if !join(reader, &self.reader_done, deadline) {
            log::warn!("the reader is still busy after its connection was closed");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop(deadline_after(LAST_MOMENT));
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("closed", &self.closed_reason()).finish_non_exhaustive()
    }
}

/// Waits for a thread, whose end `done` tells. Returns whether it has ended.
fn join(thread: Option<JoinHandle<()>>, done: &Receiver<()>, deadline: Instant) -> bool {
    if done.recv_deadline(deadline) == Err(RecvTimeoutError::Timeout) {
        return false;
    }
    if let Some(Err(panic)) = thread.map(JoinHandle::join) {
        log::error!("a thread of the connection panicked: {}", panic_text(&*panic));
    }
    true
}

fn timeout(command: &str, limit: Duration) -> Timeout {
    Timeout::new(Wait::Reply(command.into()), limit)
}

/// Waits for a lock that others hold while they send a command like this one.
pub(crate) fn lock_within<'a, T>(
    mutex: &'a Mutex<T>,
    command: &str,
    limit: Duration,
) -> Result<MutexGuard<'a, T>, Timeout> {
    lock_before(mutex, command, deadline_after(limit), limit)
}

/// Waits for such a lock as one step of a call, which has one time limit for all of them. `limit`
/// is what an error says about the deadline.
pub(crate) fn lock_before<'a, T>(
    mutex: &'a Mutex<T>,
    command: &str,
    deadline: Instant,
    limit: Duration,
) -> Result<MutexGuard<'a, T>, Timeout> {
    mutex.try_lock_until(deadline).ok_or_else(|| timeout(command, limit))
}

#[cfg(test)]
mod tests;
