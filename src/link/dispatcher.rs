//! The dispatcher: the event thread, and the listeners that it calls.
//!
//! **Invariant**: no lock is held while a listener is called or a closure is dropped.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::backlog::{Backlog, Item, Received};
use super::chunk::Events;
use super::listener::{Listener, drop_quietly, panic_text};
use super::registry::{ListenerId, Registry};
use crate::error::Disconnect;
use crate::event::{Event, EventKind, EventText};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Events for the event thread, which takes them together.
#[derive(Debug)]
pub(super) struct Delivery(pub(super) Events);

impl Item for Delivery {
    type Part = Events;

    fn into_last(self) -> Events {
        self.0
    }
}

/// The number of lost events of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LostEvents(Vec<(EventKind, u64)>);

impl LostEvents {
    pub(super) fn add(&mut self, kind: &EventKind, count: u64) {
        match self.0.iter_mut().find(|(known, _)| known == kind) {
            Some((_, known)) => *known = known.saturating_add(count),
            None => self.0.push((kind.clone(), count)),
        }
    }

    fn of(&self, is_wanted: impl Fn(&EventKind) -> bool) -> u64 {
        let wanted = self.0.iter().filter(|(kind, _)| is_wanted(kind));
        wanted.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// The closure of a listener.
pub(crate) enum EventCallback {
    /// Called with the typed event, and with [`Event::Lagged`].
    Typed(Box<dyn FnMut(&Event) + Send>),
    /// Called with the text of the event, which is not parsed.
    Text(Box<dyn FnMut(&EventText) + Send>),
    /// Called with the number of events that were lost.
    Lost(Box<dyn FnMut(u64) + Send>),
}

impl fmt::Debug for EventCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Typed(_) => "Typed",
            Self::Text(_) => "Text",
            Self::Lost(_) => "Lost",
        })
    }
}

/// The event that is being delivered. The events of a chunk take turns with one reference to its
/// bytes, since counting references would take longer than reading a short event.
#[derive(Default)]
struct CurrentEvent {
    /// `None` while `event` has it.
    text: Option<EventText>,
    /// Parsed for the first listener that wants it typed.
    event: Option<Event>,
}

impl CurrentEvent {
    /// Goes on to the event in this range of bytes.
    fn set(&mut self, bytes: &Arc<[u8]>, range: Range<usize>) {
        let former = self.text.take().or_else(|| self.event.take()?.into_text());
        self.text = Some(EventText::from_wire_after(former, bytes, range));
    }

    fn call(&mut self, kind: &EventKind, callback: &mut EventCallback) {
        match callback {
            EventCallback::Text(callback) => {
                let of_event = || self.event.as_ref()?.text();
                if let Some(text) = self.text.as_ref().or_else(of_event) {
                    callback(text);
                }
            }
            EventCallback::Typed(callback) => {
                if let Some(text) = self.text.take() {
                    self.event = Some(Event::of_kind(kind.clone(), text));
                }
                if let Some(event) = &self.event {
                    callback(event);
                }
            }
            EventCallback::Lost(_) => {}
        }
    }
}

/// A listener of events, which the event thread calls.
pub(crate) type EventListener = Listener<EventCallback>;

/// A removed listener. Dropping it drops the closure, whose captures may run any code.
#[derive(Debug)]
#[must_use]
pub(crate) struct RemovedListener {
    _callback: Option<EventCallback>,
}

type DisconnectCallback = Box<dyn FnOnce(&Disconnect) + Send>;

/// The listeners of one connection.
#[derive(Default)]
pub(super) struct Dispatcher {
    pub(super) listeners: Registry<EventListener>,
    /// A leaf lock.
    end: Mutex<End>,
    /// Whether undelivered events are discarded.
    discarding: AtomicBool,
    /// The number of dropped lines without a status code.
    stray_lines: AtomicU64,
}

#[derive(Default)]
struct End {
    callbacks: Vec<DisconnectCallback>,
    /// Set after the event thread called the callbacks; later callbacks are called at once.
    reason: Option<Disconnect>,
}

impl Dispatcher {
    /// Adds a listener for the given kinds, unless the connection has ended.
    pub(super) fn add(
        &self,
        kinds: &[EventKind],
        listener: Arc<EventListener>,
    ) -> Result<(), Disconnect> {
        self.listeners.add(listener.id(), kinds, listener).map_err(|(reason, _)| reason)
    }

    /// Removes a listener. No call begins after this returned.
    pub(super) fn remove(&self, id: ListenerId) -> Option<RemovedListener> {
        let listener = self.listeners.remove(id)?;
        Some(RemovedListener { _callback: listener.remove() })
    }

    /// Adds a closure that is called once when the connection ends, or at once if it has ended.
    pub(super) fn on_disconnect(&self, callback: DisconnectCallback) {
        let mut end = self.end.lock();
        match end.reason.clone() {
            None => end.callbacks.push(callback),
            Some(reason) => {
                drop(end);
                callback(&reason);
            }
        }
    }

    /// Discards undelivered events from now on.
    pub(super) fn discard(&self) {
        self.discarding.store(true, Ordering::Release);
    }

    /// Returns whether the program is closing the connection, so that events are discarded.
    pub(super) fn is_discarding(&self) -> bool {
        self.discarding.load(Ordering::Acquire)
    }

    /// Runs the event thread: delivers events until the reader ends, then calls the disconnect
    /// callbacks.
    pub(super) fn run(
        &self,
        queue: &Backlog<Delivery, LostEvents>,
        reason: impl FnOnce() -> Disconnect,
    ) {
        while let Ok(queued) = queue.recv() {
            if self.is_discarding() {
                continue;
            }
            match queued {
                Received::Item(events) => self.deliver(&events),
                Received::Lost(lost) => self.report_loss(&lost),
            }
        }
        let reason = reason();
        self.end(&reason).call(&reason);
    }

    fn deliver(&self, events: &Events) {
        let bytes = events.bytes();
        let of_kind = |kind| (kind, self.listeners.members(kind));
        let listeners: Vec<_> = events.kinds().iter().map(of_kind).collect();
        let mut event = CurrentEvent::default();
        for (kind, ranges) in events.groups() {
            let Some((kind, listeners)) = listeners.get(usize::from(kind)) else { continue };
            let ranges = ranges.take_while(|_| !self.is_discarding());
            if kind.as_str().is_empty() {
                ranges.for_each(|at| self.report_stray_line(&EventText::from_wire(bytes, at)));
                continue;
            }
            match listeners.as_deref() {
                // Takes the closure once for the whole group.
                Some([listener]) => {
                    let called = listener.call_each(ranges, |callback, range| {
                        event.set(bytes, range);
                        event.call(kind, callback);
                    });
                    self.remove_if_panicked(listener, called);
                }
                Some(listeners) => {
                    for range in ranges {
                        event.set(bytes, range);
                        for listener in listeners {
                            self.call(listener, |callback| event.call(kind, callback));
                        }
                    }
                }
                None => {}
            }
        }
    }

    /// Reports a dropped line without a status code: to every event listener, since it may have been any
    /// event, and to the log whenever the number of such lines has doubled.
    fn report_stray_line(&self, text: &EventText) {
        let count = self.stray_lines.fetch_add(1, Ordering::Relaxed) + 1;
        let event = Event::parse(text.clone());
        if let (true, Event::Malformed { reason, .. }) = (count.is_power_of_two(), &event) {
            log::warn!("a line between two replies was dropped, {count} so far: {reason}");
        }
        for (kinds, listener) in self.listeners.all() {
            if kinds.is_empty() || self.is_discarding() {
                continue;
            }
            self.call(&listener, |callback| match callback {
                EventCallback::Typed(callback) => callback(&event),
                EventCallback::Text(_) | EventCallback::Lost(_) => {}
            });
        }
    }

    /// Calls every listener with the number of events of its kinds that were lost.
    fn report_loss(&self, lost: &LostEvents) {
        log::warn!("{} events were lost: listeners are too slow", lost.of(|_| true));
        for (kinds, listener) in self.listeners.all() {
            let is_wanted = |kind: &EventKind| {
                // A line without a status code, which has no kind, may have been any event.
                kinds.is_empty() || kind.as_str().is_empty() || kinds.contains(kind)
            };
            let dropped = lost.of(is_wanted);
            if dropped == 0 {
                continue;
            }
            self.call(&listener, |callback| match callback {
                EventCallback::Typed(callback) => callback(&Event::lagged(dropped)),
                EventCallback::Text(_) => {}
                EventCallback::Lost(callback) => callback(dropped),
            });
            if self.is_discarding() {
                return;
            }
        }
    }

    /// Calls a listener unless it was removed. A listener that panics is removed.
    fn call(&self, listener: &Arc<EventListener>, call: impl FnOnce(&mut EventCallback)) {
        self.remove_if_panicked(listener, listener.call(call));
    }

    fn remove_if_panicked(&self, listener: &EventListener, called: Result<(), String>) {
        if let Err(panic) = called {
            self.listeners.remove(listener.id());
            log::error!("a listener panicked and was removed: {panic}");
        }
    }

    /// Ends the dispatcher: no listener is added from now on, and later disconnect callbacks are called
    /// at once. Returns the closures that it held.
    pub(super) fn end(&self, reason: &Disconnect) -> Closures {
        let listeners = self.listeners.end(reason);
        let mut end = self.end.lock();
        end.reason = Some(reason.clone());
        Closures { callbacks: std::mem::take(&mut end.callbacks), listeners }
    }
}

/// The closures of a connection that has ended.
#[must_use]
pub(super) struct Closures {
    callbacks: Vec<DisconnectCallback>,
    listeners: Vec<Arc<EventListener>>,
}

impl Closures {
    pub(super) fn is_empty(&self) -> bool {
        self.callbacks.is_empty() && self.listeners.is_empty()
    }

    /// Calls the disconnect callbacks, and drops every listener.
    pub(super) fn call(self, reason: &Disconnect) {
        for callback in self.callbacks {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| callback(reason))) {
                log::error!("a disconnect callback panicked: {}", panic_text(&*panic));
                drop_quietly(panic);
            }
        }
        for listener in self.listeners {
            drop_quietly(listener.remove());
        }
    }
}

#[cfg(test)]
mod tests;
