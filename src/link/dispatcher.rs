//! The body of the event thread, and the listeners it serves.
//!
//! **Invariant**: a listener is called, and what it holds is dropped, without any lock.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::backlog::{Backlog, Loss, Queued};
use super::registry::{KindCache, ListenerId, Members, Registry};
use crate::error::Disconnect;
use crate::event::{Event, EventKind, EventText};
use crate::names::printable;

/// The whole events of one read.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Arc<[u8]>,
    /// Where each event ends; it begins where the one before it ends.
    pub(super) ends: Vec<usize>,
}

impl Chunk {
    /// What a chunk takes beside its bytes and ends: its entry in the queue, and the headers of two
    /// allocations.
    const OVERHEAD: usize = 160;

    /// Returns how much memory a chunk takes.
    pub(super) fn size(bytes: usize, events: usize) -> usize {
        let ends = events.saturating_mul(size_of::<usize>());
        bytes.saturating_add(ends).saturating_add(Self::OVERHEAD)
    }
}

/// How many events of each kind were lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LostEvents(Vec<(EventKind, u64)>);

impl LostEvents {
    pub(super) fn count(&mut self, kind: &EventKind, count: u64) {
        match self.0.iter_mut().find(|(known, _)| known == kind) {
            Some((_, known)) => known.add(count),
            None => self.0.push((kind.clone(), count)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, is_wanted: impl Fn(&EventKind) -> bool) -> u64 {
        let wanted = self.0.iter().filter(|(kind, _)| is_wanted(kind));
        wanted.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

impl Loss for LostEvents {
    fn add(&mut self, other: Self) {
        for (kind, count) in other.0 {
            self.count(&kind, count);
        }
    }
}

/// What a listener is called with.
pub(crate) enum Callback {
    /// The event, read into its type, and [`Event::Lagged`].
    Typed(Box<dyn FnMut(&Event) + Send>),
    /// The text alone; nothing is read.
    Text(Box<dyn FnMut(&EventText) + Send>),
    /// The number of events that were lost for the listeners, of whatever kind.
    Lost(Box<dyn FnMut(u64) + Send>),
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Typed(_) => "Typed",
            Self::Text(_) => "Text",
            Self::Lost(_) => "Lost",
        })
    }
}

/// One listener.
#[derive(Debug)]
pub(crate) struct Listener {
    id: ListenerId,
    /// A leaf lock.
    slot: Mutex<Slot>,
}

/// Where the closure of a listener is.
#[derive(Debug)]
enum Slot {
    Idle(Callback),
    /// The event thread has taken it out to call it.
    Running,
    Removed,
}

impl Listener {
    pub(crate) fn new(callback: Callback) -> Arc<Self> {
        Arc::new(Self { id: ListenerId::next(), slot: Mutex::new(Slot::Idle(callback)) })
    }

    pub(crate) fn id(&self) -> ListenerId {
        self.id
    }

    /// Takes the closure out for one call. Taking out and removal exclude each other, so that no
    /// call begins after a removal has returned.
    fn take(&self) -> Option<Callback> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Running) {
            Slot::Idle(callback) => Some(callback),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Puts the closure back after a call; returns it if the listener was removed meanwhile.
    fn put_back(&self, callback: Callback) -> Option<Callback> {
        let mut slot = self.slot.lock();
        match *slot {
            Slot::Running => {
                *slot = Slot::Idle(callback);
                None
            }
            Slot::Idle(_) | Slot::Removed => Some(callback),
        }
    }

    /// Lets no call begin any more, and returns the closure unless it is running: then the event
    /// thread drops it.
    fn remove(&self) -> Option<Callback> {
        let slot = std::mem::replace(&mut *self.slot.lock(), Slot::Removed);
        match slot {
            Slot::Idle(callback) => Some(callback),
            Slot::Running | Slot::Removed => None,
        }
    }
}

/// A listener that was removed. Dropping it drops the closure, which may do anything.
#[derive(Debug)]
#[must_use]
pub(crate) struct Removed {
    _callback: Option<Callback>,
}

type DisconnectCallback = Box<dyn FnOnce(&Disconnect) + Send>;

/// The listeners of one connection.
#[derive(Default)]
pub(super) struct Dispatcher {
    listeners: Registry<Listener>,
    /// A leaf lock.
    end: Mutex<End>,
    /// Events that have not been delivered are not wanted any more.
    discarding: AtomicBool,
    /// How many lines without a status code were dropped.
    stray_lines: AtomicU64,
}

#[derive(Default)]
struct End {
    callbacks: Vec<DisconnectCallback>,
    /// The reason, once the event thread has told it; later callbacks are called at once.
    reason: Option<Disconnect>,
}

impl Dispatcher {
    /// Adds a listener for the given kinds, unless the end has been told.
    pub(super) fn add(
        &self,
        kinds: &[EventKind],
        listener: Arc<Listener>,
    ) -> Result<(), Disconnect> {
        self.listeners.add(listener.id, kinds, listener).map_err(|(reason, _)| reason)
    }

    /// Removes a listener: no call to it begins after this has returned.
    pub(super) fn remove(&self, id: ListenerId) -> Option<Removed> {
        let listener = self.listeners.remove(id)?;
        Some(Removed { _callback: listener.remove() })
    }

    /// Returns the kinds that listeners want.
    pub(super) fn kinds(&self) -> BTreeSet<EventKind> {
        self.listeners.kinds()
    }

    /// Adds a closure to be called once when the connection has ended; at once if it has.
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

    /// Returns whether anyone listens.
    pub(super) fn any(&self) -> bool {
        self.listeners.any()
    }

    /// Returns whether anyone listens to this kind.
    pub(super) fn wants(&self, kind: &EventKind) -> bool {
        self.listeners.wants(kind)
    }

    /// Leaves events undelivered from now on.
    pub(super) fn discard(&self) {
        self.discarding.store(true, Ordering::Release);
    }

    /// Returns whether the program closes the connection, so that nobody wants events any more.
    pub(super) fn is_discarding(&self) -> bool {
        self.discarding.load(Ordering::Acquire)
    }

    /// The body of the event thread: delivers until the reader is gone, then tells the end.
    pub(super) fn run(
        &self,
        queue: &Backlog<Chunk, LostEvents>,
        reason: impl FnOnce() -> Disconnect,
    ) {
        while let Ok(queued) = queue.recv() {
            if self.is_discarding() {
                continue;
            }
            match queued {
                Queued::Item(chunk) => self.deliver(&chunk),
                Queued::Lost(lost) => self.tell_lag(&lost),
            }
        }
        self.finish(&reason());
    }

    fn deliver(&self, chunk: &Chunk) {
        let mut cache: KindCache<Option<Members<Listener>>> = KindCache::default();
        let mut start = 0;
        for end in &chunk.ends {
            let text = EventText::from_wire(&chunk.bytes, Range { start, end: *end });
            start = *end;
            if text.is_stray() {
                self.tell_stray(&text);
                continue;
            }
            let found = cache.get(text.keyword(), |kind| self.listeners.members(kind));
            let Some((_, Some(listeners))) = found else { continue };
            let mut event = None;
            for listener in &**listeners {
                self.call(listener, |callback| match callback {
                    Callback::Text(callback) => callback(&text),
                    Callback::Typed(callback) => {
                        callback(event.get_or_insert_with(|| Event::parse(text.clone())));
                    }
                    Callback::Lost(_) => {}
                });
                if self.is_discarding() {
                    return;
                }
            }
        }
    }

    /// Tells that a line without a status code was dropped: every listener of events, since it may
    /// have been any event, and the log whenever their number has doubled.
    fn tell_stray(&self, text: &EventText) {
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
                Callback::Typed(callback) => callback(&event),
                Callback::Text(_) | Callback::Lost(_) => {}
            });
        }
    }

    /// Tells every listener once how many events were lost that it wanted.
    fn tell_lag(&self, lost: &LostEvents) {
        log::warn!("{} events were lost: listeners are too slow", lost.of(|_| true));
        for (kinds, listener) in self.listeners.all() {
            let dropped = lost.of(|kind| kinds.is_empty() || kinds.contains(kind));
            if dropped == 0 {
                continue;
            }
            self.call(&listener, |callback| match callback {
                Callback::Typed(callback) => callback(&Event::lagged(dropped)),
                Callback::Text(_) => {}
                Callback::Lost(callback) => callback(dropped),
            });
            if self.is_discarding() {
                return;
            }
        }
    }

    /// Calls a listener, unless it was removed. One that panics is removed.
    fn call(&self, listener: &Arc<Listener>, call: impl FnOnce(&mut Callback)) {
        let Some(mut callback) = listener.take() else { return };
        match catch_unwind(AssertUnwindSafe(|| call(&mut callback))) {
            Ok(()) => {
                if let Some(removed) = listener.put_back(callback) {
                    drop_quietly(removed);
                }
            }
            Err(panic) => {
                listener.remove();
                self.listeners.remove(listener.id);
                log::error!("a listener panicked and was removed: {}", panic_text(&*panic));
                drop_quietly(callback);
                drop_quietly(panic);
            }
        }
    }

    /// Tells the end of the connection, and lets go of every listener.
    fn finish(&self, reason: &Disconnect) {
        let listeners = self.listeners.end(reason);
        let mut end = self.end.lock();
        end.reason = Some(reason.clone());
        let callbacks = std::mem::take(&mut end.callbacks);
        drop(end);
        for callback in callbacks {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| callback(reason))) {
                log::error!("a closure for the disconnect panicked: {}", panic_text(&*panic));
                drop_quietly(panic);
            }
        }
        for listener in listeners {
            drop_quietly(listener.remove());
        }
    }
}

/// Drops what a user's closure holds; its drop may panic too.
pub(crate) fn drop_quietly<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        log::error!("what a closure held panicked when it was dropped");
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> Cow<'_, str> {
    // A closure may panic with what a peer said.
    let text = match panic.downcast_ref::<&str>() {
        Some(text) => *text,
        None => panic.downcast_ref::<String>().map_or("no message", String::as_str),
    };
    printable(text)
}
