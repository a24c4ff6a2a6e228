//! Events by pulling: a queue of one's own.

use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, never};

use super::Controller;
use crate::error::{Error, Result, Timeout, Wait};
use crate::event::{Event, EventKind, EventText};
use crate::link::{
    Backlog, Callback, Delivery, ListenerId, Queued, Queuing, backlog, deadline_after,
};

/// Events that wait to be taken, on whatever thread wants them.
///
/// Made by [`Controller::events`]. Any number of threads may take events from one queue; each
/// event goes to one of them.
///
/// The queue is bounded in bytes
/// ([`ConnectOptions::event_limit`](crate::ConnectOptions::event_limit)). If it is full, new events
/// are dropped and counted, and [`Event::Lagged`] stands in their place: it is returned before
/// everything that came later, also before the end of the connection. A queue whose events are
/// taken at some speed is waited for, at most for a second; meanwhile the listeners of the
/// connection get nothing.
///
/// It is filled on the thread `torcon-events`: inside a listener, which runs there, it gets nothing
/// new.
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
    controller: Controller,
    id: ListenerId,
    queue: Backlog<EventText>,
}

/// Returns how many bytes an event counts for in a queue: its text, the header of its allocation
/// and its entry.
pub(super) fn queued_size(text: &EventText) -> usize {
    text.as_bytes().len() + 104
}

impl EventQueue {
    pub(super) fn new(controller: &Controller, kinds: &[EventKind]) -> Result<Self> {
        let (mut sender, queue) = backlog(controller.inner.event_limit);
        let nothing_changes = never();
        let callback = move |delivery: Delivery<'_>| {
            let is_first = match delivery {
                Delivery::Text(text) => {
                    // On its own, since a text keeps alive everything that was read together with
                    // it.
                    let text = text.detached();
                    let size = queued_size(&text);
                    sender.wait_for_room(size, &nothing_changes, || true);
                    matches!(sender.send(text, size, 1), Queuing::Dropped { first: true, .. })
                }
                Delivery::Lost(count) => {
                    sender.lose(count);
                    false
                }
            };
            if is_first {
                log::warn!("a queue of events is full: events are being dropped");
            }
        };
        let id = controller.listen(kinds, Callback::Text(Box::new(callback)))?;
        Ok(Self { controller: controller.clone(), id, queue })
    }

    /// Returns the next event if there is one. Never blocks.
    #[must_use]
    pub fn try_recv(&self) -> Option<Event> {
        self.queue.try_recv().ok().map(read)
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until there is one, at most for the
    /// [time limit](Controller::with_timeout) of the controller that made the queue.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if none came in time, [`Error::Closed`] if the connection has ended and
    /// every event has been taken.
    pub fn recv(&self) -> Result<Event> {
        self.recv_timeout(self.controller.timeout())
    }

    /// Returns the next event.
    ///
    /// Blocks the current thread until there is one, at most for the given time.
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
        match self.queue.recv_deadline(deadline) {
            Ok(queued) => Ok(read(queued)),
            // The connection may have ended while events are still on their way to the queue.
            Err(RecvTimeoutError::Timeout) => Err(Timeout::new(Wait::Event, limit).into()),
            Err(RecvTimeoutError::Disconnected) => match self.controller.closed_reason() {
                Some(reason) => Err(Error::Closed(reason)),
                None => Err(Timeout::new(Wait::Event, limit).into()),
            },
        }
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
    /// Blocks the current thread until there is an event, at most for the given time each.
    pub fn timeout_iter(&self, limit: Duration) -> impl Iterator<Item = Event> {
        std::iter::from_fn(move || self.recv_timeout(limit).ok())
    }

    /// Returns how many events are waiting, each [`Event::Lagged`] included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether no event is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        self.controller.leave(self.id);
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
        self.queue.queue.recv().ok().map(read)
    }
}

impl<'a> IntoIterator for &'a EventQueue {
    type Item = Event;
    type IntoIter = EventQueueIter<'a>;

    fn into_iter(self) -> EventQueueIter<'a> {
        self.iter()
    }
}

fn read(queued: Queued<EventText>) -> Event {
    match queued {
        Queued::Item(text) => Event::parse(text),
        Queued::Lost(count) => Event::lagged(count),
    }
}
