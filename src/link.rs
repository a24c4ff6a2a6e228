//! One control connection: it sends requests, matches replies with them, and dispatches events.
//!
//! The thread that connects also exchanges the handshake ([`Handshake`]). Then `torcon-reader` reads
//! the socket. `torcon-events` calls the listeners; it starts with the first one. Callers write on
//! their own threads.
//!
//! `src/ARCHITECTURE.md` draws the path of a command ([`Connection::write`],
//! [`Router`](router::Router), [`Reader`], [`ReplyDelivery`](reply_delivery::ReplyDelivery),
//! [`Ticket`]) and that of an event ([`Reader`], [`EventHook`], [`Backlog`],
//! [`Dispatcher`](dispatcher::Dispatcher)); `router` has the rules by which a reply finds its command.
//!
//! **Invariant**: no other module has threads or locks on a control connection. This module knows no
//! command but the probe.

mod backlog;
mod cancel_token;
mod chunk;
mod command_lock;
mod connection;
mod delegate_socket;
mod dispatcher;
mod endpoint;
mod environment;
mod event_reader;
mod event_run;
mod event_thread;
mod given_stream;
mod handshake;
mod hook;
mod listener;
mod notifier;
mod outbox;
mod peer;
mod pipe;
mod poll;
mod port_file;
mod reader;
mod registry;
mod reply_channel;
mod reply_delivery;
mod router;
mod spool;
mod thread;
mod ticket;
mod transport;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use self::backlog::{Backlog, BacklogSender, Item, Received, backlog};
pub use self::cancel_token::CancelGuard;
pub use self::cancel_token::CancelToken;
pub(crate) use self::chunk::{Events, SequencedEvent};
pub(crate) use self::command_lock::{CommandGuard, CommandLock, Holding, LockHolder};
use self::connection::{Connection, Purpose, Sent};
pub(crate) use self::delegate_socket::delegate_socket;
pub(crate) use self::dispatcher::{EventCallback, EventListener, RemovedListener};
pub use self::endpoint::Endpoint;
pub(crate) use self::environment::{Lookup, env_value};
pub(crate) use self::event_run::EventBatch;
pub(crate) use self::handshake::Handshake;
pub(crate) use self::hook::{EventHook, RawEvent};
pub(crate) use self::listener::{Listener, drop_quietly, panic_text};
pub(crate) use self::notifier::{Notifier, WaitEnd};
pub(crate) use self::peer::{Peer, canonical};
use self::pipe::{Part, pipe};
pub(crate) use self::poll::readable_until;
use self::reader::Reader;
pub use self::registry::ListenerId;
pub(crate) use self::registry::{Members, Registry};
use self::reply_channel::{ReplyReceiver, reply_channel};
pub(crate) use self::router::SequencedReply;
use self::router::Waiter;
pub(crate) use self::spool::BufferLimits;
#[cfg(test)]
pub(crate) use self::tests::logged_by;
pub(crate) use self::thread::NamedThread;
pub(crate) use self::ticket::Ticket;
use self::ticket::no_reply;
pub(crate) use self::transport::{Stream, WriteOutcome};
use crate::clock::{self, deadline_after};
use crate::error::{Disconnect, Error, InvalidInput, Result, Timeout, Wait};
use crate::event::EventKind;
use crate::wire::{Limits, Request};

/// How long dropping a [`Link`] waits for the reader thread.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// The size of the stack of the reader thread, which runs the code of this crate and loggers. A
/// listener has the default size.
const READER_STACK: usize = 512 << 10;

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
    /// `None` during the handshake.
    reader: Option<NamedThread>,
}

impl Link {
    fn new(connection: Arc<Connection>, peer: Peer) -> Self {
        Self { connection, peer, reader: None }
    }

    fn start_reader(&mut self, reader: Reader) -> io::Result<()> {
        let run = || reader.run();
        self.reader = Some(NamedThread::start("torcon-reader", Some(READER_STACK), run)?);
        Ok(())
    }

    /// Returns the peer, as the operating system reported it after connecting.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// Sends a request and waits for its reply, also if tor refuses it. A timeout error reports `limit`.
    pub(crate) fn call_until(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
    ) -> Result<SequencedReply> {
        let (sent, channel) = self.write_whole(request, Purpose::Reply, deadline, limit)?;
        self.ticket(request, sent, channel).wait_as(sent.is_alone, deadline, limit)
    }

    /// Sends a request, and returns a ticket for its reply.
    pub(crate) fn submit(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Ticket> {
        let (sent, channel) = self.write_whole(request, Purpose::Written, deadline, limit)?;
        self.wait_written(request, sent, &channel, deadline, limit)?;
        Ok(self.ticket(request, sent, channel))
    }

    /// Sends a request whose reply is discarded, as soon as the socket has room. Never blocks.
    pub(crate) fn send_unawaited(&self, request: &Request) -> Result<()> {
        self.connection.send_unawaited(request)
    }

    fn write_whole(
        &self,
        request: &Request,
        purpose: Purpose,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(Sent, ReplyReceiver)> {
        let (sender, channel) = reply_channel();
        let waiter = Waiter::Whole(sender.clone());
        let sent = self.connection.write(request, waiter, &sender, purpose, deadline, limit)?;
        Ok((sent, channel))
    }

    fn wait_written(
        &self,
        request: &Request,
        sent: Sent,
        channel: &ReplyReceiver,
        deadline: Instant,
        limit: Duration,
    ) -> Result<()> {
        if sent.is_written {
            return Ok(());
        }
        self.connection.wait_written(sent.id, channel, request.keyword(), deadline, limit)
    }

    fn ticket(&self, request: &Request, sent: Sent, channel: ReplyReceiver) -> Ticket {
        Ticket::new(Arc::clone(&self.connection), sent.id, request.keyword_cow(), channel)
    }

    /// Sends a request and passes its reply to `take` in parts of whole lines, as they arrive.
    /// `deadline` returns the end of the wait for the first part, writing included, and of each wait
    /// for another part that begins now. A timeout error reports `limit`. If `take` breaks, the rest
    /// of the reply is discarded.
    pub(crate) fn call_in_parts(
        &self,
        request: &Request,
        deadline: impl Fn() -> Instant,
        limit: Duration,
        mut take: impl FnMut(&[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut until = deadline();
        let (pipe, mut parts) = pipe(self.connection.buffer_limits);
        let (turn, channel) = reply_channel();
        let (waiter, purpose) = (Waiter::Parts(pipe), Purpose::Written);
        let sent = self.connection.write(request, waiter, &turn, purpose, until, limit)?;
        self.wait_written(request, sent, &channel, until, limit)?;
        let mut lines = Vec::new();
        loop {
            match parts.next(lines, until) {
                Part::Lines(part) => {
                    if take(&part)?.is_break() {
                        return Ok(());
                    }
                    lines = part;
                }
                Part::End(Ok(())) => return Ok(()),
                Part::End(Err(reason)) => return Err(no_reply(request.keyword(), reason)),
                // If the reply is complete, the reader is about to hand over its last part.
                Part::TimedOut if self.connection.cancel(sent.id) => lines = Vec::new(),
                Part::TimedOut => return Err(timeout(request.keyword(), limit).into()),
            }
            until = deadline();
        }
    }

    /// Adds a listener for the given kinds of event, unless the connection has ended. The first one
    /// starts the event thread.
    pub(crate) fn add_listener(
        &self,
        kinds: &[EventKind],
        listener: Arc<EventListener>,
    ) -> Result<()> {
        if let Err(error) = self.connection.start_event_thread() {
            let problem = format!("cannot be called, since no thread can be started: {error}");
            return Err(InvalidInput::new("listener", problem).into());
        }
        Ok(self.connection.dispatcher.add(kinds, listener)?)
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

    /// Adds a closure that is called once when the connection ends. Starts no thread before that.
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
            if clock::wait_until(&self.connection.ended, &mut router, deadline) {
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
        let is_reader = self.reader.as_ref().is_some_and(NamedThread::is_current);
        if !is_reader && !self.connection.event_thread.join(deadline) {
            log::warn!("a listener is still running after its connection was closed");
        }
    }

    /// Ends the connection and joins the reader thread, which may be running a hook.
    fn stop(&self, deadline: Instant) {
        self.connection.dispatcher.discard();
        self.connection.end(&Disconnect::Closed);
        if self.reader.as_ref().is_some_and(|reader| !reader.join(deadline)) {
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

/// Returns the error of a reply that does not arrive in time.
pub(crate) fn timeout(command: &str, limit: Duration) -> Timeout {
    Timeout::new(Wait::Reply(command.into()), limit)
}

#[cfg(test)]
mod tests;

#[cfg(all(test, shuttle))]
#[path = "../tests/schedules/models/link.rs"]
pub(crate) mod schedules;
