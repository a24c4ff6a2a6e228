//! One control connection: it sends requests, matches replies with them, and dispatches events.
//!
//! Two threads serve a connection: `torcon-reader` reads the socket, and `torcon-events` calls the
//! listeners. Callers write on their own threads.
//!
//! `src/ARCHITECTURE.md` draws the path of a command ([`Connection::write`], [`Router`], [`Reader`],
//! [`ReplyDelivery`](reply_delivery::ReplyDelivery), [`Ticket`]) and that of an event ([`Reader`],
//! [`EventHook`], [`Backlog`], [`Dispatcher`](dispatcher::Dispatcher)); `router` has the rules by which
//! a reply finds its command.
//!
//! **Invariant**: no other module has threads or locks on a control connection. This module knows no
//! command but the probe.

mod backlog;
mod cancel_token;
mod connection;
mod delegate_socket;
mod dispatcher;
mod endpoint;
mod environment;
mod given_stream;
mod hook;
mod listener;
mod notifier;
mod peer;
mod pipe;
mod poll;
mod port_file;
mod reader;
mod registry;
mod reply_delivery;
mod router;
mod spool;
mod ticket;
mod transport;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use parking_lot::{Mutex, MutexGuard};

pub(crate) use self::backlog::{Backlog, BacklogSender, Loss, Received, backlog, deadline_after};
pub use self::cancel_token::CancelGuard;
pub use self::cancel_token::CancelToken;
use self::connection::Connection;
pub(crate) use self::delegate_socket::delegate_socket;
pub(crate) use self::dispatcher::{EventCallback, EventListener, RemovedListener};
pub use self::endpoint::Endpoint;
pub(crate) use self::environment::{Lookup, env_value};
pub(crate) use self::hook::{EventHook, RawEvent};
pub(crate) use self::listener::{Listener, drop_quietly, panic_text};
pub(crate) use self::notifier::{Notifier, WaitEnd};
pub(crate) use self::peer::{Peer, canonical};
use self::pipe::Part;
pub(crate) use self::poll::readable_until;
use self::reader::Reader;
pub use self::registry::ListenerId;
pub(crate) use self::registry::{Members, Registry};
use self::router::Router;
pub(crate) use self::router::SequencedReply;
pub(crate) use self::spool::BufferLimits;
pub(crate) use self::ticket::Ticket;
use self::ticket::no_reply;
pub(crate) use self::transport::{Stream, WriteOutcome};
use crate::error::{ConnectProblem, Disconnect, Error, Result, Timeout, Wait};
use crate::event::EventKind;
use crate::wire::{Limits, Reply, Request};

/// How long dropping a [`Link`] waits for the reader thread.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// The size limits of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkLimits {
    pub(crate) wire: Limits,
    /// Bytes of events in the queue to the listeners.
    pub(crate) events: usize,
    /// Bytes of replies that are buffered for slow callers.
    pub(crate) replies: BufferLimits,
}

/// The owner of one connection. Dropping it closes the connection.
pub(crate) struct Link {
    connection: Arc<Connection>,
    peer: Peer,
    threads: Mutex<Threads>,
    /// Disconnected when the reader thread ends.
    reader_done: Receiver<()>,
    /// Disconnected when the event thread ends.
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
        cancel: Option<&CancelToken>,
    ) -> Result<Self, ConnectProblem> {
        let stream = Stream::connect(endpoint, deadline, cancel)?;
        Self::start(stream, limits).map_err(|error| ConnectProblem::Io(Arc::new(error)))
    }

    /// Starts the threads of a connection that is open.
    pub(crate) fn start(stream: Stream, limits: LinkLimits) -> io::Result<Self> {
        let peer = Peer::of(&stream);
        if !peer.is_on_this_machine() {
            stream.keep_alive();
        }
        let read_half = stream.try_clone()?;
        let connection = Arc::new(Connection::new(stream, limits.replies));
        let (sender, queue) = backlog(limits.events);
        let reader = Reader::new(read_half, Arc::clone(&connection), sender, limits);
        let (done, events_done) = bounded::<()>(0);
        let for_events = Arc::clone(&connection);
        let events = thread::Builder::new().name("torcon-events".into()).spawn(move || {
            for_events.dispatcher.run(&queue, || for_events.reason_after_hooks());
            drop(done);
        });
        // If the reader thread cannot be started, dropping the reader ends the event thread.
        let events = events?;
        let (done, reader_done) = bounded::<()>(0);
        let reader = thread::Builder::new().name("torcon-reader".into()).spawn(|| {
            reader.run();
            drop(done);
        });
        let reader = reader?;
        let (reader_id, events_id) = (reader.thread().id(), events.thread().id());
        let (reader, events) = (Some(reader), Some(events));
        let threads = Mutex::new(Threads { reader, events, reader_id, events_id });
        Ok(Self { connection, peer, threads, reader_done, events_done })
    }

    /// Returns the peer, as the operating system reported it after connecting.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// Sends a request and waits for its reply, also if tor refuses it.
    pub(crate) fn call(&self, request: &Request, limit: Duration) -> Result<Reply> {
        self.call_until(request, deadline_after(limit), limit).map(|sequenced| sequenced.reply)
    }

    /// Sends a request and waits for its reply. A timeout error reports `limit`.
    pub(crate) fn call_until(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
    ) -> Result<SequencedReply> {
        self.submit(request, deadline, limit)?.wait(deadline, limit)
    }

    /// Sends a request, and returns a ticket for its reply.
    pub(crate) fn submit(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Ticket> {
        let (id, outcome) = self.connection.write(request, deadline, limit, Router::push)?;
        Ok(Ticket::new(Arc::clone(&self.connection), id, request.keyword(), outcome))
    }

    /// Sends a request and passes its reply to `take` in parts of whole lines, as they arrive. `limit`
    /// bounds the wait for the first part, writing included, and each wait for another part. If
    /// `take` breaks, the rest of the reply is discarded.
    pub(crate) fn call_in_parts(
        &self,
        request: &Request,
        limit: Duration,
        mut take: impl FnMut(&[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut deadline = deadline_after(limit);
        let (id, mut parts) =
            self.connection.write(request, deadline, limit, Router::push_parts)?;
        let mut lines = Vec::new();
        loop {
            match parts.next(lines, deadline) {
                Part::Lines(part) => {
                    if take(&part)?.is_break() {
                        return Ok(());
                    }
                    lines = part;
                }
                Part::End(Ok(())) => return Ok(()),
                Part::End(Err(reason)) => return Err(no_reply(request.keyword(), reason)),
                // If the reply is complete, the reader is about to hand over its last part.
                Part::TimedOut if self.connection.cancel(id) => lines = Vec::new(),
                Part::TimedOut => return Err(timeout(request.keyword(), limit).into()),
            }
            deadline = deadline_after(limit);
        }
    }

    /// Records that tor accepted the authentication. From now on the configured limits apply instead of
    /// the small ones, and the connection may send probes, at which tor would close it before.
    pub(crate) fn set_authenticated(&self) {
        self.connection.is_authenticated.store(true, Ordering::Release);
        self.connection.router.lock().allow_probes();
    }

    /// Adds a listener for the given kinds of event, unless the connection has ended.
    pub(crate) fn add_listener(
        &self,
        kinds: &[EventKind],
        listener: Arc<EventListener>,
    ) -> Result<(), Disconnect> {
        self.connection.dispatcher.add(kinds, listener)
    }

    /// Removes a listener. Returns `None` if it was removed before, for example since it panicked.
    pub(crate) fn remove_listener(&self, id: ListenerId) -> Option<RemovedListener> {
        self.connection.dispatcher.remove(id)
    }

    /// Returns the kinds of event that listeners and hooks want.
    pub(crate) fn wanted_events(&self) -> BTreeSet<EventKind> {
        let mut wanted = self.connection.dispatcher.listeners.keys();
        wanted.append(&mut self.connection.hooks.keys());
        wanted
    }

    /// Adds a closure that is called once when the connection ends.
    pub(crate) fn on_disconnect(&self, callback: Box<dyn FnOnce(&Disconnect) + Send>) {
        self.connection.dispatcher.on_disconnect(callback);
    }

    /// Adds a hook for the given kinds of event. After the end of the connection it calls
    /// [`EventHook::ended`] at once.
    pub(crate) fn add_hook(&self, kinds: &[EventKind], hook: Arc<dyn EventHook>) -> ListenerId {
        self.connection.hooks.add_hook(kinds, hook)
    }

    /// Removes a hook, and returns it.
    pub(crate) fn remove_hook(&self, id: ListenerId) -> Option<Arc<dyn EventHook>> {
        self.connection.hooks.remove(id)
    }

    /// Returns why the connection ended, if it has. The hooks may not have been called yet.
    pub(crate) fn closed_reason(&self) -> Option<Disconnect> {
        self.connection.router.lock().end_reason().cloned()
    }

    /// Waits until the connection has ended and the hooks have been called.
    pub(crate) fn wait_closed(&self, deadline: Instant) -> Option<Disconnect> {
        let mut router = self.connection.router.lock();
        while !router.has_ended() {
            if self.connection.ended.wait_until(&mut router, deadline).timed_out() {
                break;
            }
        }
        router.end_reason().cloned()
    }

    /// Ends the connection for the given reason, unless it has ended already.
    pub(crate) fn end(&self, reason: &Disconnect) {
        self.connection.end(reason);
    }

    /// Returns a function that ends the connection, if it is open, from another thread.
    pub(crate) fn ender(&self) -> impl FnOnce() + Send + 'static {
        let connection = Arc::downgrade(&self.connection);
        move || {
            if let Some(connection) = connection.upgrade() {
                connection.end(&Disconnect::Closed);
            }
        }
    }

    /// Ends the connection if the error shows that replies are out of step with commands.
    pub(crate) fn end_if_out_of_step(&self, error: &Error) {
        self.connection.end_if_out_of_step(error);
    }

    /// Closes the connection and joins its threads, for at most `limit`, since a listener may be
    /// running. A thread does not join itself.
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

    /// Ends the connection and joins the reader thread, which may be running a hook.
    fn stop(&self, deadline: Instant) {
        self.connection.dispatcher.discard();
        self.connection.end(&Disconnect::Closed);
        let mut threads = self.threads.lock();
        if thread::current().id() == threads.reader_id {
            return;
        }
        let reader = threads.reader.take();
        drop(threads);
        if !join(reader, &self.reader_done, deadline) {
            log::warn!("the reader thread is still running after its connection was closed");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop(deadline_after(DROP_TIMEOUT));
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("closed", &self.closed_reason()).finish_non_exhaustive()
    }
}

/// Joins a thread that disconnects `done` when it ends. Returns whether it ended in time.
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

/// Takes a lock that other threads hold while they send this command, within `limit`.
pub(crate) fn lock_within<'a, T>(
    mutex: &'a Mutex<T>,
    command: &str,
    limit: Duration,
) -> Result<MutexGuard<'a, T>, Timeout> {
    lock_before(mutex, command, deadline_after(limit), limit)
}

/// Takes such a lock as one step of a call with one deadline. A timeout error reports `limit`.
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
