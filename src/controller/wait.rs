//! Waiting for an event, on any thread, also on the event thread.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Controller;
use super::events::CollectedEvents;
use crate::clock::{self, deadline_after};
use crate::command::Command;
use crate::error::{Result, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::link::{Received, SequencedEvent};

/// The events of some kinds, from its creation until it is dropped.
pub(in crate::controller) struct Waiter {
    events: CollectedEvents,
    /// The number of the next event.
    next: Cell<u64>,
}

impl Waiter {
    /// Subscribes to the events, before the deadline.
    pub(in crate::controller) fn new(
        controller: &Controller,
        kinds: &[EventKind],
        deadline: Instant,
    ) -> Result<Self> {
        let events = CollectedEvents::new(controller, kinds, deadline)?;
        Ok(Self { events, next: Cell::new(0) })
    }

    /// Passes events with their numbers to `test` until it returns a value.
    pub(in crate::controller) fn find<T>(
        &self,
        mut test: impl FnMut(u64, Event) -> Option<T>,
        deadline: Instant,
        timeout: &Timeout,
    ) -> Result<T> {
        loop {
            let queued = self.events.recv_deadline(deadline, timeout)?;
            if let Some(found) = self.test(queued, &mut test) {
                return Ok(found);
            }
            // A queue that fills faster than it is tested never times out.
            if clock::has_passed(deadline) {
                return Err(timeout.clone().into());
            }
        }
    }

    /// Passes the queued events to `test`, without waiting for more.
    pub(in crate::controller) fn find_now<T>(
        &self,
        mut test: impl FnMut(u64, Event) -> Option<T>,
    ) -> Option<T> {
        let queued = std::iter::from_fn(|| self.events.try_recv());
        queued.take(self.events.len()).find_map(|queued| self.test(queued, &mut test))
    }

    /// Passes one event to `test`. An [`Event::Lagged`] has the number of the first lost event.
    fn test<T>(
        &self,
        queued: Received<SequencedEvent>,
        test: &mut impl FnMut(u64, Event) -> Option<T>,
    ) -> Option<T> {
        match queued {
            Received::Item(event) => {
                let number = event.number;
                self.next.set(number + 1);
                // A line without a status code is of no kind.
                if event.text.is_stray() { None } else { test(number, event.parse()) }
            }
            Received::Lost(count) => test(self.next.get(), Event::lagged(count)),
        }
    }
}

/// # Waiting for events
impl Controller {
    /// Waits for an event of one kind that satisfies a predicate, and returns it.
    ///
    /// Only events that tor sends after the call are tested, on the calling thread; malformed ones
    /// and [`Event::Lagged`] too. Any thread may wait, also a listener: other listeners receive the
    /// events later. For an event that a command causes, use
    /// [`execute_and_wait`](Self::execute_and_wait).
    ///
    /// Sends `SETEVENTS` as [`add_event_listener`](Self::add_event_listener) does.
    ///
    /// Blocks the current thread until the event arrives, for at most `limit` after the subscription,
    /// and before that for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Closed`](crate::Error::Closed);
    /// otherwise those of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::{Event, EventKind};
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let is_much = |event: &Event| matches!(event, Event::Bw(bw) if bw.bytes_read() > 1 << 20);
    /// let event = controller.wait_for(EventKind::Bw, is_much, Duration::from_secs(60))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "EventWait")]
    pub fn wait_for<F>(&self, kind: EventKind, mut predicate: F, limit: Duration) -> Result<Event>
    where
        F: FnMut(&Event) -> bool,
    {
        let waiter = Waiter::new(self, &[kind], self.deadline())?;
        let test = |_, event| predicate(&event).then_some(event);
        waiter.find(test, deadline_after(limit), &Timeout::new(Wait::Event, limit))
    }

    /// Sends a command, waits for an event of one kind that satisfies a predicate, and returns the
    /// reply and the event.
    ///
    /// The subscription precedes the command, so that no event is missed. The predicate receives
    /// the reply too; otherwise it is called as that of [`wait_for`](Self::wait_for).
    ///
    /// Blocks the current thread until the event arrives, for at most `limit` after the reply, and
    /// before that for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute) and [`wait_for`](Self::wait_for).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::command::ExtendCircuit;
    /// use torcon::names::{CircuitId, CircuitStatus};
    /// use torcon::{Event, EventKind};
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let is_over = |id: &CircuitId, event: &Event| match event {
    ///     Event::Circ(circ) if circ.id() == *id => {
    ///         matches!(circ.status(), CircuitStatus::Built | CircuitStatus::Failed)
    ///     }
    ///     _ => false,
    /// };
    /// let limit = Duration::from_secs(60);
    /// let (circuit, event) =
    ///     controller.execute_and_wait(&ExtendCircuit::new(), EventKind::Circ, is_over, limit)?;
    /// # Ok::<(), torcon::Error>(())
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
        let deadline = self.deadline();
        let waiter = Waiter::new(self, &[kind], deadline)?;
        let (reply, _) = self.execute_before(command, deadline)?;
        let test = |_, event| predicate(&reply, &event).then_some(event);
        let timeout = Timeout::new(Wait::Event, limit);
        let event = waiter.find(test, deadline_after(limit), &timeout)?;
        Ok((reply, event))
    }
}
