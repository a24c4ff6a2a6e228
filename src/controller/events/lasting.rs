//! A queue of events that outlives a connection: a supervisor's hooks fill it from one connection
//! after the other.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use parking_lot::Mutex;

use super::collect::{OVERHEAD, queue_event};
use crate::error::{Error, Result, Timeout};
use crate::event::{Event, EventText};
use crate::link::{Backlog, BacklogSender, RawEvent, Received, backlog};

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
    Event(EventText),
    Reconnected(Duration),
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

    /// Queues an event, on the reader thread.
    pub(crate) fn event(&self, event: &RawEvent<'_>) {
        queue_event(&self.sender, event, || Entry::Event(event.text().clone()));
    }

    /// Queues the marker of a new connection. Returns `false` if the queue is full.
    pub(crate) fn reconnected(&self, gap: Duration) -> bool {
        let mut sender = self.sender.lock();
        let Some(sender) = &mut *sender else { return true };
        let fits = sender.fits(OVERHEAD);
        if fits {
            sender.send(Entry::Reconnected(gap), OVERHEAD, 0);
        }
        fits
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

fn read(queued: Received<Entry>) -> Event {
    match queued {
        Received::Item(Entry::Event(text)) => Event::parse(text),
        Received::Item(Entry::Reconnected(gap)) => Event::reconnected(gap),
        Received::Lost(count) => super::queue::lost(count),
    }
}

impl fmt::Debug for LastingEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastingEvents").field("len", &self.len()).finish_non_exhaustive()
    }
}
