//! A queue of events that outlives a connection: a supervisor's hooks fill it from one connection
//! after the other.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, Timeout};
use crate::event::Event;
use crate::link::{
    Backlog, BacklogSender, EventBatch, Events, Item, Received, SequencedEvent, backlog,
};
use crate::sync::Mutex;
use crate::sync::channel::RecvTimeoutError;

/// The size of a marker.
const MARKER_SIZE: usize = 128;

/// The receiving end, which is in the [`EventQueue`](super::queue::EventQueue) of the program.
pub(in crate::controller) struct LastingEvents {
    queue: Backlog<Entry>,
    sink: Arc<EventSink>,
    timeout: Duration,
    /// Ends the subscription when it is dropped.
    _guard: Box<dyn Send + Sync>,
}

/// The sending end, which the hooks of each connection fill.
pub(crate) struct EventSink {
    /// Held while a reader thread waits for room.
    sender: Mutex<Option<BacklogSender<Entry>>>,
    /// Why no more events follow. A leaf lock.
    ending: Mutex<Option<Error>>,
}

enum Entry {
    Events(Events),
    Reconnected(Duration),
}

enum EntryPart {
    Event(SequencedEvent),
    Reconnected(Duration),
}

impl Item for Entry {
    type Part = EntryPart;

    fn parts(&self) -> usize {
        match self {
            Self::Events(events) => events.parts(),
            Self::Reconnected(_) => 1,
        }
    }

    fn split(&mut self) -> Option<EntryPart> {
        match self {
            Self::Events(events) => events.split().map(EntryPart::Event),
            Self::Reconnected(_) => None,
        }
    }

    fn into_last(self) -> EntryPart {
        match self {
            Self::Events(events) => EntryPart::Event(events.into_last()),
            Self::Reconnected(gap) => EntryPart::Reconnected(gap),
        }
    }
}

impl EventSink {
    /// Creates a sink, and returns the queue that it fills, which takes up to `limit` bytes.
    pub(in crate::controller) fn queue(
        limit: usize,
        timeout: Duration,
        guard: impl FnOnce(&Arc<Self>) -> Box<dyn Send + Sync>,
    ) -> LastingEvents {
        let (sender, queue) = backlog(limit);
        let sink = Arc::new(Self { sender: Mutex::new(Some(sender)), ending: Mutex::default() });
        let guard = guard(&sink);
        LastingEvents { queue, sink, timeout, _guard: guard }
    }

    /// Queues events, on the reader thread.
    pub(crate) fn events(&self, batch: &EventBatch<'_>) {
        if let Some(sender) = &mut *self.sender.lock() {
            batch.queue(sender, Entry::Events, |lost, _, count| *lost += count);
        }
    }

    /// Counts events as lost, on the reader thread.
    pub(crate) fn lose(&self, batch: &EventBatch<'_>) {
        if let Some(sender) = &mut *self.sender.lock() {
            sender.lose(|lost| *lost += batch.len());
        }
    }

    /// Queues the marker of a new connection. Returns `false` if the queue is full.
    pub(crate) fn reconnected(&self, gap: Duration) -> bool {
        let mut sender = self.sender.lock();
        let Some(sender) = &mut *sender else { return true };
        sender.fits_marker(MARKER_SIZE) && sender.send(Entry::Reconnected(gap), MARKER_SIZE).is_ok()
    }

    /// Ends the queue, behind the events that it holds.
    pub(crate) fn end(&self, reason: &Error) {
        self.ending.lock().get_or_insert_with(|| reason.clone());
        let sender = self.sender.lock().take();
        drop(sender);
    }
}

impl LastingEvents {
    pub(in crate::controller) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(in crate::controller) fn try_recv(&self) -> Option<Event> {
        self.queue.try_recv().ok().map(read)
    }

    /// Waits for the next event without a limit; `None` when the supervisor has ended.
    pub(in crate::controller) fn recv(&self) -> Option<Event> {
        self.queue.recv().ok().map(read)
    }

    pub(in crate::controller) fn recv_deadline(
        &self,
        deadline: Instant,
        timeout: &Timeout,
    ) -> Result<Event> {
        self.queue.recv_deadline(deadline).map(read).map_err(|error| {
            let ending = match error {
                RecvTimeoutError::Timeout => None,
                RecvTimeoutError::Disconnected => self.sink.ending.lock().clone(),
            };
            ending.unwrap_or_else(|| timeout.clone().into())
        })
    }

    pub(in crate::controller) fn len(&self) -> usize {
        self.queue.len()
    }
}

fn read(queued: Received<EntryPart>) -> Event {
    match queued {
        Received::Item(EntryPart::Event(event)) => event.parse(),
        Received::Item(EntryPart::Reconnected(gap)) => Event::reconnected(gap),
        Received::Lost(count) => super::queue::lost(count),
    }
}

impl fmt::Debug for LastingEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastingEvents").field("len", &self.len()).finish_non_exhaustive()
    }
}
