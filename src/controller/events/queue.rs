//! Queues of events, taken by any thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lasting::{EventSink, LastingEvents};
use crate::clock::{self, deadline_after};
use crate::controller::Controller;
use crate::controller::events::CollectedEvents;
use crate::error::{Result, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::link::{Received, SequencedEvent};

/// A queue of events, from which any thread may take.
///
/// Made by [`Controller::events`], or by [`Supervisor::events`](crate::Supervisor::events) for one
/// connection after the other. If several threads take events, each event goes to one of them.
///
/// The queue is bounded in bytes
/// ([`ConnectOptions::event_limit`](crate::ConnectOptions::event_limit)). If it is full, new events
/// are dropped, and an [`Event::Lagged`] with their number is returned in their place. While no
/// reply is pending, the reader thread waits up to a second for room instead, and meanwhile does
/// not read the connection.
///
/// The thread `torcon-reader` fills the queue, so it works inside a listener and while another
/// listener is stuck.
///
/// The queue of a controller keeps its connection open. Dropping a queue ends the subscription,
/// without waiting for tor.
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
#[must_use = "the subscription ends when this is dropped"]
#[derive(Debug)]
pub struct EventQueue {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Connection(CollectedEvents),
    Supervisor(LastingEvents),
}

impl EventQueue {
    pub(in crate::controller) fn new(controller: &Controller, kinds: &[EventKind]) -> Result<Self> {
        let deadline = controller.deadline();
        let events = CollectedEvents::new(controller, kinds, deadline)?;
        Ok(Self { source: Source::Connection(events) })
    }

    /// Creates a queue of up to `limit` bytes that outlives connections. `guard` gets the sink that
    /// fills it, and returns a value that is dropped with the queue. `timeout` is the limit of
    /// [`recv`](Self::recv).
    pub(crate) fn lasting(
        limit: usize,
        timeout: Duration,
        guard: impl FnOnce(&Arc<EventSink>) -> Box<dyn Send + Sync>,
    ) -> Self {
        Self { source: Source::Supervisor(EventSink::queue(limit, timeout, guard)) }
    }

    /// Returns the next event if one is queued. Never blocks.
    #[must_use]
    pub fn try_recv(&self) -> Option<Event> {
        match &self.source {
            Source::Connection(events) => events.try_recv().map(read),
            Source::Supervisor(events) => events.try_recv(),
        }
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until an event arrives, for at most the
    /// [time limit](Controller::with_timeout) of the controller that made the queue, or 60 seconds
    /// for a queue of a supervisor.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Closed`](crate::Error::Closed) if the
    /// connection has ended and every event was taken, or
    /// [`Error::Supervisor`](crate::Error::Supervisor) if the supervisor has ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::EventKind;
    ///
    /// let events = controller.events([EventKind::Bw])?;
    /// println!("{}", events.recv()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "HandleNextEvent")]
    pub fn recv(&self) -> Result<Event> {
        self.recv_timeout(match &self.source {
            Source::Connection(events) => events.controller().timeout(),
            Source::Supervisor(events) => events.timeout(),
        })
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until an event arrives, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use std::time::Duration;
    ///
    /// use torcon::EventKind;
    ///
    /// let events = controller.events([EventKind::Bw])?;
    /// println!("{}", events.recv_timeout(Duration::from_secs(2))?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn recv_timeout(&self, limit: Duration) -> Result<Event> {
        // Without reading the clock.
        if let Some(event) = self.try_recv() {
            return Ok(event);
        }
        self.recv_until(deadline_after(limit), limit)
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until an event arrives, until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use std::time::{Duration, Instant};
    ///
    /// use torcon::EventKind;
    ///
    /// let events = controller.events([EventKind::Circ])?;
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// while let Ok(event) = events.recv_deadline(deadline) {
    ///     println!("{event}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Event> {
        self.recv_until(deadline, clock::time_left(deadline))
    }

    fn recv_until(&self, deadline: Instant, limit: Duration) -> Result<Event> {
        if let Some(event) = self.try_recv() {
            return Ok(event);
        }
        let timeout = Timeout::new(Wait::Event, limit);
        match &self.source {
            Source::Connection(events) => events.recv_deadline(deadline, &timeout).map(read),
            Source::Supervisor(events) => events.recv_deadline(deadline, &timeout),
        }
    }

    /// Iterates over the queued events. Never blocks.
    pub fn try_iter(&self) -> impl Iterator<Item = Event> {
        std::iter::from_fn(|| self.try_recv())
    }

    /// Iterates over events as they arrive, until the connection has ended and every event was
    /// taken.
    ///
    /// Each step blocks the current thread until an event arrives, without a limit.
    #[must_use]
    pub fn iter(&self) -> EventQueueIter<'_> {
        EventQueueIter { queue: self }
    }

    /// Iterates over events as they arrive, until none arrives for `limit` or the connection has
    /// ended.
    ///
    /// Each step blocks the current thread until an event arrives, for at most `limit`.
    pub fn timeout_iter(&self, limit: Duration) -> impl Iterator<Item = Event> {
        std::iter::from_fn(move || self.recv_timeout(limit).ok())
    }

    /// Returns the number of queued events, each [`Event::Lagged`] included.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Connection(events) => events.len(),
            Source::Supervisor(events) => events.len(),
        }
    }

    /// Returns whether no event is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An iterator over events as they arrive, made by [`EventQueue::iter`].
///
/// # Examples
///
/// ```no_run
/// # let controller = torcon::connect_default()?;
/// use torcon::EventKind;
///
/// let events = controller.events([EventKind::Bw])?;
/// for event in events.iter() {
///     println!("{event}");
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventQueueIter<'a> {
    queue: &'a EventQueue,
}

impl Iterator for EventQueueIter<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        match &self.queue.source {
            Source::Connection(events) => events.recv().map(read),
            Source::Supervisor(events) => events.recv(),
        }
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
        Received::Item(event) => event.parse(),
        Received::Lost(count) => lost(count),
    }
}

/// Logs a loss, and returns its event.
pub(super) fn lost(count: u64) -> Event {
    log::warn!("{count} events were lost: a queue of events was full");
    Event::lagged(count)
}
