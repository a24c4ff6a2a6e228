//! Waiting for an event, on any thread: also on that of the listeners.

mod bootstrap;
mod resolve;

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Controller;
use crate::command::Command;
use crate::controller::events::collect::{CollectedEvents, SequencedEvent};
use crate::error::{Result, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::link::{Received, deadline_after};

/// The events of some kinds since it was made, until it is dropped.
pub(in crate::controller) struct Waiter {
    events: CollectedEvents,
    /// The number of the first event that has not been looked at.
    next: Cell<u64>,
}

impl Waiter {
    /// Subscribes to the events before the deadline.
    pub(in crate::controller) fn new(
        controller: &Controller,
        kinds: &[EventKind],
        deadline: Instant,
    ) -> Result<Self> {
        let events = CollectedEvents::new(controller, kinds, deadline)?;
        Ok(Self { events, next: Cell::new(0) })
    }

    /// Looks at the events with their numbers, one by one, until something is found.
    pub(in crate::controller) fn find<T>(
        &self,
        mut look: impl FnMut(u64, Event) -> Option<T>,
        deadline: Instant,
        timeout: &Timeout,
    ) -> Result<T> {
        loop {
            let queued = self.events.recv_deadline(deadline, timeout)?;
            if let Some(found) = self.look_at(queued, &mut look) {
                return Ok(found);
            }
            // Otherwise events that come faster than they are looked at would be looked at for
            // ever.
            if Instant::now() >= deadline {
                return Err(timeout.clone().into());
            }
        }
    }

    /// Looks at the events that are there, and does not wait for more.
    pub(in crate::controller) fn find_now<T>(
        &self,
        mut look: impl FnMut(u64, Event) -> Option<T>,
    ) -> Option<T> {
        let queued = std::iter::from_fn(|| self.events.try_recv());
        queued.take(self.events.len()).find_map(|queued| self.look_at(queued, &mut look))
    }

    /// Shows an event, or that some were lost, which has the number of the first of them.
    fn look_at<T>(
        &self,
        queued: Received<SequencedEvent>,
        look: &mut impl FnMut(u64, Event) -> Option<T>,
    ) -> Option<T> {
        match queued {
            Received::Item(SequencedEvent { number, text }) => {
                self.next.set(number + 1);
                // A line without a status code is of no kind, and so of none that is waited for.
                if text.is_stray() { None } else { look(number, Event::parse(text)) }
            }
            Received::Lost(count) => look(self.next.get(), Event::lagged(count)),
        }
    }
}

impl Controller {
    /// Waits for an event of one kind for which the predicate holds, and returns it: one that
    /// comes after this function is called.
    ///
    /// The predicate runs on the calling thread. It also sees events that cannot be read, and
    /// [`Event::Lagged`] where it was too slow. Any thread may wait, also inside a listener: the
    /// listeners get their events later. To wait for what a command brings about, use
    /// [`execute_and_wait`](Self::execute_and_wait), which misses nothing.
    ///
    /// Sends `SETEVENTS` as [`add_event_listener`](Self::add_event_listener) does.
    ///
    /// Blocks the current thread until the event has come, for at most the given time after tor has
    /// confirmed the subscription, which takes at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) if it did not come in time,
    /// [`Error::Closed`](crate::Error::Closed) if the connection ended
    /// first; otherwise those of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// use torcon::{Event, EventKind};
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let is_much = |event: &Event| matches!(event, Event::Bw(bw) if bw.read > 1 << 20);
    /// let event = controller.wait_for(EventKind::Bw, is_much, Duration::from_secs(60))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for<F>(&self, kind: EventKind, mut predicate: F, limit: Duration) -> Result<Event>
    where
        F: FnMut(&Event) -> bool,
    {
        let waiter = Waiter::new(self, &[kind], deadline_after(self.timeout))?;
        let look = |_, event| predicate(&event).then_some(event);
        waiter.find(look, deadline_after(limit), &Timeout::new(Wait::Event, limit))
    }

    /// Sends a command, and waits for an event of one kind for which the predicate holds; returns
    /// what the command's answer means, and the event.
    ///
    /// The subscription is there before the command is sent, so that nothing is missed: the
    /// predicate sees every event that comes after it, with the answer to the command. Everything
    /// else is as with [`wait_for`](Self::wait_for).
    ///
    /// Blocks the current thread until the event has come, for at most the given time after tor has
    /// answered the command; before that, for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute) and of [`wait_for`](Self::wait_for).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// use torcon::command::ExtendCircuit;
    /// use torcon::names::{CircuitId, CircuitStatus};
    /// use torcon::{Event, EventKind};
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let is_over = |id: &CircuitId, event: &Event| match event {
    ///     Event::Circ(circ) if circ.id == *id => {
    ///         matches!(circ.status, CircuitStatus::Built | CircuitStatus::Failed)
    ///     }
    ///     _ => false,
    /// };
    /// let limit = Duration::from_secs(60);
    /// let (circuit, event) =
    ///     controller.execute_and_wait(&ExtendCircuit::new(), EventKind::Circ, is_over, limit)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute_and_wait<C, F>(
        &self,
        command: &C,
        kind: EventKind,
        mut predicate: F,
        limit: Duration,
    ) -> Result<(C::Reply, Event)>
    where
        C: Command,
        F: FnMut(&C::Reply, &Event) -> bool,
    {
        let deadline = deadline_after(self.timeout);
        let waiter = Waiter::new(self, &[kind], deadline)?;
        let (reply, _) = self.execute_before(command, deadline)?;
        let look = |_, event| predicate(&reply, &event).then_some(event);
        let timeout = Timeout::new(Wait::Event, limit);
        let event = waiter.find(look, deadline_after(limit), &timeout)?;
        Ok((reply, event))
    }
}
