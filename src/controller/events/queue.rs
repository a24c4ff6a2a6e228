//! Events by pulling: a queue of one's own.

use std::time::{Duration, Instant};

use crate::controller::Controller;
use crate::controller::events::collect::{CollectedEvents, SequencedEvent};
use crate::error::{Result, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::link::{Received, deadline_after};

/// Events that wait to be taken, on whatever thread wants them.
///
/// Made by [`Controller::events`]. Any number of threads may take events from one queue; each
/// event goes to one of them.
///
/// The queue is bounded in bytes
/// ([`ConnectOptions::event_limit`](crate::ConnectOptions::event_limit)). If it is full, new events
/// are dropped and counted, and [`Event::Lagged`] stands in their place: it is returned before
/// everything that came later, also before the end of the connection. While no caller waits for a
/// reply, a full queue is waited for instead, at most for a second until events are taken;
/// meanwhile the connection is not read.
///
/// The thread `torcon-reader` fills it, so that it does not depend on listeners: events come also
/// inside a listener and while another one is stuck.
///
/// The queue keeps its connection open. When it is dropped, tor is told that its events are not
/// wanted any more, without waiting for the answer.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use std::time::Duration;
///
/// use torcon::EventKind;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let events = controller.events([EventKind::Bw])?;
/// for event in events.timeout_iter(Duration::from_secs(10)) {
///     println!("{event}");
/// }
/// for event in &events {
///     println!("{event}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EventQueue {
    events: CollectedEvents,
}

impl EventQueue {
    pub(in crate::controller) fn new(controller: &Controller, kinds: &[EventKind]) -> Result<Self> {
        Ok(Self {
            events: CollectedEvents::new(controller, kinds, deadline_after(controller.timeout()))?,
        })
    }

    /// Returns the next event if there is one. Never blocks.
    #[must_use]
    pub fn try_recv(&self) -> Option<Event> {
        self.events.try_recv().map(read)
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until there is one, for at most the
    /// [time limit](Controller::with_timeout) of the controller that made the queue.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) if none came in time,
    /// [`Error::Closed`](crate::Error::Closed) if the connection has ended and
    /// every event has been taken.
    pub fn recv(&self) -> Result<Event> {
        self.recv_timeout(self.events.controller().timeout())
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until there is one, for at most the given time.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_timeout(&self, limit: Duration) -> Result<Event> {
        self.recv_until(deadline_after(limit), limit)
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until there is one, at most until the given instant.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Event> {
        self.recv_until(deadline, deadline.saturating_duration_since(Instant::now()))
    }

    fn recv_until(&self, deadline: Instant, limit: Duration) -> Result<Event> {
        if let Some(event) = self.try_recv() {
            return Ok(event);
        }
        self.events.recv_deadline(deadline, &Timeout::new(Wait::Event, limit)).map(read)
    }

    /// Returns the events that are there, and ends when there is none. Never blocks.
    pub fn try_iter(&self) -> impl Iterator<Item = Event> {
        std::iter::from_fn(|| self.try_recv())
    }

    /// Returns events as they come, and ends when the connection has ended and every event has
    /// been taken.
    ///
    /// Blocks the current thread until there is an event, as long as the connection lives.
    #[must_use]
    pub fn iter(&self) -> EventQueueIter<'_> {
        EventQueueIter { queue: self }
    }

    /// Returns events as they come, and ends when none has come for the given time or the
    /// connection has ended.
    ///
    /// Blocks the current thread until there is an event, for at most the given time each.
    pub fn timeout_iter(&self, limit: Duration) -> impl Iterator<Item = Event> {
        std::iter::from_fn(move || self.recv_timeout(limit).ok())
    }

    /// Returns how many events are waiting, each [`Event::Lagged`] included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether no event is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Events as they come; returned by [`EventQueue::iter`].
///
/// [`next`](Iterator::next) blocks the current thread until there is an event, as long as the
/// connection lives.
#[derive(Clone, Debug)]
pub struct EventQueueIter<'a> {
    queue: &'a EventQueue,
}

impl Iterator for EventQueueIter<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.queue.events.recv().map(read)
    }
}

impl<'a> IntoIterator for &'a EventQueue {
    type Item = Event;
    type IntoIter = EventQueueIter<'a>;

    fn into_iter(self) -> EventQueueIter<'a> {
        self.iter()
    }
}

fn read(queued: Received<SequencedEvent>) -> Event {
    match queued {
        Received::Item(event) => Event::parse(event.text),
        Received::Lost(count) => {
            log::warn!("{count} events were lost: a queue of events was full");
            Event::lagged(count)
        }
    }
}
