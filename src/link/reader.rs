//! The reader: reads the socket, and passes on replies and events. During the handshake the thread
//! that connects uses it, afterwards the reader thread.

use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use super::backlog::BacklogSender;
use super::dispatcher::{Chunk, LostEvents};
use super::hook::{EventHook, RawEvent, keyword};
use super::poll::readable_until;
use super::registry::{KindCache, Members};
use super::reply_delivery::ReplyDelivery;
use super::{Connection, LinkLimits};
use crate::error::{Disconnect, ProtocolError};
use crate::event::EventKind;
use crate::wire::{Frame, Limits, Message};

/// The state of the reader.
pub(super) struct Reader {
    connection: Arc<Connection>,
    events: BacklogSender<Chunk, LostEvents>,
    frame: Frame,
    replies: ReplyDelivery,
    /// The number of events so far.
    event_count: u64,
    /// The limits that apply after authentication; taken then.
    limits: Option<Limits>,
    /// The range of consecutive events in the frame that were not queued yet, and the end of each
    /// event, relative to the start of the range.
    run: Range<usize>,
    ends: Vec<usize>,
    /// The number of these events up to the last one that has listeners.
    wanted: usize,
    /// The observers of each kind, cached for the events of one read.
    observers: KindCache<Observers>,
}

/// The observers of one kind of event.
struct Observers {
    hooks: Option<Members<dyn EventHook>>,
    has_listeners: bool,
}

impl Reader {
    pub(super) fn new(
        connection: Arc<Connection>,
        events: BacklogSender<Chunk, LostEvents>,
        limits: LinkLimits,
    ) -> Self {
        Self {
            connection,
            events,
            frame: Frame::new(limits.wire.before_authentication()),
            replies: ReplyDelivery::new(limits.replies, limits.wire.before_authentication().reply),
            event_count: 0,
            limits: Some(limits.wire),
            run: 0..0,
            ends: Vec::new(),
            wanted: 0,
            observers: KindCache::default(),
        }
    }

    /// Records that tor accepted the authentication: from now on the configured limits apply instead
    /// of the small ones.
    pub(super) fn set_authenticated(&mut self) {
        if let Some(limits) = self.limits.take() {
            self.frame.set_authenticated(limits);
            self.replies.set_reply_limit(limits.reply);
        }
    }

    /// Reads until the connection ends, then ends it for every caller.
    pub(super) fn run(mut self) {
        // Fails every slot even if a hook panics.
        let _end = EndOnDrop(Arc::clone(&self.connection));
        let reason = loop {
            let read = (&self.connection.stream).read(self.frame.space());
            if let Err(reason) = self.receive(read) {
                break reason;
            }
        };
        self.queue_events();
        self.connection.end(&reason);
    }

    /// Waits for bytes until the deadline, reads once, and passes on every complete message. Returns
    /// whether bytes arrived in time.
    pub(super) fn read_before(&mut self, deadline: Instant) -> Result<bool, Disconnect> {
        let stream = &self.connection.stream;
        let read = match readable_until([stream.as_fd()], Some(deadline)) {
            Ok([false]) => return Ok(false),
            Ok([true]) => stream.read_available(self.frame.space()),
            Err(error) => Err(error),
        };
        self.receive(read).map(|()| true)
    }

    /// Passes on every complete message after a read of the socket.
    fn receive(&mut self, read: io::Result<usize>) -> Result<(), Disconnect> {
        use io::ErrorKind::{ConnectionReset, Interrupted, WouldBlock};
        let read = match read {
            Ok(0) => return Err(self.end_of_stream()),
            Ok(read) => read,
            Err(error) => match error.kind() {
                Interrupted | WouldBlock => return Ok(()),
                ConnectionReset => return Err(self.end_of_stream()),
                _ => return Err(Disconnect::Read(Arc::new(error))),
            },
        };
        if self.connection.dispatcher.is_discarding() {
            return Err(Disconnect::Closed);
        }
        self.frame.fill(read);
        let outcome = self.process();
        self.queue_events();
        // Otherwise a removed hook would live until tor sends again.
        self.observers.clear();
        // The socket may have had no room for a probe, and has now.
        self.connection.send_owed_probe();
        outcome
    }

    fn process(&mut self) -> Result<(), Disconnect> {
        while let Some(message) = self.frame.next()? {
            match message {
                Message::Event(range) => self.event(&range),
                Message::Stray(range) => self.stray_line(&range)?,
                Message::Part(range) => {
                    let lines = self.frame.bytes(&range);
                    self.replies.lines(&self.connection.router, lines)?;
                }
                Message::Reply(range) => {
                    // So a caller that has the reply finds the events before it in the queue.
                    self.queue_events();
                    let rest = self.frame.bytes(&range);
                    self.replies.reply(&self.connection.router, rest, self.event_count)?;
                }
            }
        }
        Ok(())
    }

    /// Calls the hooks for an event, and adds it to the run if it has listeners.
    fn event(&mut self, range: &Range<usize>) {
        let number = self.event_count;
        self.event_count += 1;
        let connection = &self.connection;
        if !connection.hooks.any() && !connection.dispatcher.listeners.any() {
            return;
        }
        let bytes = self.frame.bytes(range);
        let found = self.observers.get(keyword(bytes), |kind| Observers::of(connection, kind));
        let Some((_, observers)) = found else { return };
        if let Some(hooks) = &observers.hooks {
            let event = RawEvent::read(number, bytes, connection);
            for hook in &**hooks {
                hook.event(&event);
            }
        }
        let has_listeners = observers.has_listeners;
        if self.ends.is_empty() || self.run.end != range.start {
            self.queue_events();
            self.run = range.start..range.start;
            if !has_listeners {
                return;
            }
        }
        // An event without listeners between two with listeners is queued with them.
        self.run.end = range.end;
        self.ends.push(range.end - self.run.start);
        if has_listeners {
            self.wanted = self.ends.len();
        }
    }

    /// Drops a line without a status code, and reports it to the hooks and the event thread: a
    /// filtering proxy may have replaced an event by it.
    fn stray_line(&mut self, range: &Range<usize>) -> Result<(), Disconnect> {
        self.queue_events();
        let bytes = self.frame.bytes(range);
        let connection = &self.connection;
        connection.router.lock().stray_line(bytes)?;
        let event = RawEvent::read(self.event_count, bytes, connection);
        for (_, hook) in connection.hooks.all() {
            hook.event(&event);
        }
        self.event_count += 1;
        let chunk = Chunk { bytes: bytes.into(), ends: vec![bytes.len()] };
        let size = Chunk::size(bytes.len(), 1);
        let mut lost = LostEvents::default();
        lost.count(&EventKind::from_bytes(b""), 1);
        // The event thread logs the line. Without a thread it stays in the queue.
        let _ = connection.start_event_thread();
        connection.wait_for_room(&mut self.events, size);
        // Counts the line as lost if there is no room. Sending fails only after the event thread has
        // ended.
        let _ = self.events.send(chunk, size, lost);
        Ok(())
    }

    /// Queues the run of events for the event thread: as one chunk if it fits, otherwise in parts.
    fn queue_events(&mut self) {
        self.ends.truncate(self.wanted);
        let mut sent = 0;
        while sent < self.ends.len() {
            let fitting = self.fitting(sent);
            if fitting > 0 {
                self.send_events(sent..sent + fitting);
                sent += fitting;
            } else if !self.wait_for_room(sent) {
                self.lose_events(sent);
                break;
            }
        }
        self.ends.clear();
        self.wanted = 0;
    }

    /// Returns how many of the events from `first` on fit into the queue.
    fn fitting(&self, first: usize) -> usize {
        let room = self.events.room();
        let begin = self.begin(first);
        let rest = self.ends.get(first..).unwrap_or_default();
        if rest.last().is_some_and(|end| Chunk::size(end - begin, rest.len()) <= room) {
            return rest.len();
        }
        let fits = |(before, end): &(usize, &usize)| Chunk::size(**end - begin, before + 1) <= room;
        match rest.iter().enumerate().take_while(fits).count() {
            0 => usize::from(self.events.fits(self.size(first))),
            fitting => fitting,
        }
    }

    /// Returns the size of an event in a separate chunk.
    fn size(&self, event: usize) -> usize {
        Chunk::size(self.begin(event + 1) - self.begin(event), 1)
    }

    /// Returns the start of an event, relative to the start of the run.
    fn begin(&self, event: usize) -> usize {
        event.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    fn send_events(&mut self, events: Range<usize>) {
        let (begin, end) = (self.begin(events.start), self.begin(events.end));
        let ends = self.ends.get(events).unwrap_or_default();
        let ends: Vec<_> = ends.iter().map(|end| end - begin).collect();
        let bytes = self.frame.bytes(&(self.run.start + begin..self.run.start + end)).into();
        let size = Chunk::size(end - begin, ends.len());
        // It fits. Sending fails only after the event thread has ended.
        let _ = self.events.send(Chunk { bytes, ends }, size, LostEvents::default());
    }

    /// Waits for room for an event. Returns whether there is room.
    fn wait_for_room(&mut self, event: usize) -> bool {
        let size = self.size(event);
        self.connection.wait_for_room(&mut self.events, size)
    }

    /// Counts the events from `first` on as lost.
    fn lose_events(&mut self, first: usize) {
        let mut lost = LostEvents::default();
        let mut begin = self.begin(first);
        let connection = &self.connection;
        for end in self.ends.get(first..).unwrap_or_default() {
            let bytes = self.frame.bytes(&(self.run.start + begin..self.run.start + end));
            begin = *end;
            let found = self.observers.get(keyword(bytes), |kind| Observers::of(connection, kind));
            if let Some((kind, Observers { has_listeners: true, .. })) = found {
                lost.count(kind, 1);
            }
        }
        if !lost.is_empty() {
            self.events.lose(lost);
        }
    }

    /// Returns the reason for the end of the stream. A peer that closed in the middle of its first line
    /// may not speak the control protocol. After authentication this is a line of a filtering proxy.
    fn end_of_stream(&self) -> Disconnect {
        match self.frame.rest() {
            rest if self.limits.is_some()
                && !self.frame.is_inside_message()
                && rest.first().is_some_and(|first| !first.is_ascii_digit()) =>
            {
                Disconnect::Protocol(ProtocolError::new("a line", "a status code", rest))
            }
            _ => Disconnect::EndOfStream,
        }
    }
}

impl Observers {
    fn of(connection: &Connection, kind: &EventKind) -> Self {
        let has_listeners = connection.dispatcher.listeners.has_key(kind);
        Self { hooks: connection.hooks.members(kind), has_listeners }
    }
}

/// Ends the connection at the end of the reader thread, even if it panics.
struct EndOnDrop(Arc<Connection>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(&Disconnect::ReaderFailed);
        self.0.end_without_event_thread();
    }
}
