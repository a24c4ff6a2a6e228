//! The body of the event thread, and the table of listeners it serves.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::backlog::Backlog;
use crate::error::Disconnect;
use crate::event::{Event, EventKind, EventText};

/// The whole events of one read.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Arc<[u8]>,
    /// Where each event ends; it begins where the one before it ends.
    pub(super) ends: Vec<usize>,
}

/// The name of a listener, for removing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u64);

/// What a listener is called with.
pub(crate) enum Callback {
    /// The event, read into its type.
    Typed(Box<dyn FnMut(&Event) + Send>),
    /// The text alone; nothing is read.
    Text(Box<dyn FnMut(Delivery<'_>) + Send>),
}

/// What a listener that takes texts is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery<'a> {
    /// An event.
    Text(&'a EventText),
    /// So many events were lost at this place.
    Lost(u64),
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Typed(_) => "Typed",
            Self::Text(_) => "Text",
        })
    }
}

/// One listener. Only the event thread locks `callback`, and only it calls it.
#[derive(Debug)]
struct Listener {
    id: ListenerId,
    state: AtomicU8,
    callback: Mutex<Callback>,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const REMOVED: u8 = 2;

impl Listener {
    /// Claims the listener for one call. Removal and claim are one atomic step each, so that no
    /// call begins after a removal has returned.
    fn claim(&self) -> bool {
        self.state.compare_exchange(IDLE, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn release(&self) {
        // It fails if the listener was removed meanwhile, and then stays removed.
        let _ = self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
    }

    fn remove(&self) {
        self.state.store(REMOVED, Ordering::Release);
    }
}

type DisconnectCallback = Box<dyn FnOnce(&Disconnect) + Send>;

/// The listeners of one connection.
#[derive(Default)]
pub(super) struct Dispatcher {
    table: Mutex<Table>,
    /// A copy of "there is a listener", read for each event without a lock.
    wanted: AtomicBool,
    /// Events that have not been delivered are not wanted any more.
    discarding: AtomicBool,
    next_id: AtomicU64,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Table {
    /// Shared with the event thread, which takes it for a chunk at a time without holding the
    /// lock; copied when it changes.
    by_kind: Arc<HashMap<EventKind, Vec<Arc<Listener>>>>,
    on_disconnect: Vec<DisconnectCallback>,
    /// The reason, once the event thread has told it; later callbacks are called at once.
    ended: Option<Disconnect>,
}

impl Dispatcher {
    /// Adds a listener for the given kinds.
    pub(super) fn add(&self, kinds: &[EventKind], callback: Callback) -> ListenerId {
        let id = ListenerId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let listener =
            Arc::new(Listener { id, state: AtomicU8::new(IDLE), callback: Mutex::new(callback) });
        let mut table = self.table.lock();
        let by_kind = Arc::make_mut(&mut table.by_kind);
        for kind in kinds {
            by_kind.entry(kind.clone()).or_default().push(Arc::clone(&listener));
        }
        self.wanted.store(true, Ordering::Release);
        id
    }

    /// Removes a listener: no call to it begins after this has returned. Returns whether it was
    /// there.
    pub(super) fn remove(&self, id: ListenerId) -> bool {
        let removed = self.take_out(id);
        for listener in &removed {
            listener.remove();
        }
        // What the closure holds is dropped here, without a lock.
        !removed.is_empty()
    }

    /// Returns whether the listener is in the table; one that panicked is not.
    pub(super) fn contains(&self, id: ListenerId) -> bool {
        self.table.lock().by_kind.values().flatten().any(|listener| listener.id == id)
    }

    fn take_out(&self, id: ListenerId) -> Vec<Arc<Listener>> {
        let mut table = self.table.lock();
        let mut removed = Vec::new();
        let by_kind = Arc::make_mut(&mut table.by_kind);
        by_kind.retain(|_, listeners| {
            listeners.retain(|listener| {
                let stays = listener.id != id;
                if !stays {
                    removed.push(Arc::clone(listener));
                }
                stays
            });
            !listeners.is_empty()
        });
        self.wanted.store(!by_kind.is_empty(), Ordering::Release);
        removed
    }

    /// Adds a closure to be called once when the connection has ended; at once if it has.
    pub(super) fn on_disconnect(&self, callback: DisconnectCallback) {
        let mut table = self.table.lock();
        match table.ended.clone() {
            None => table.on_disconnect.push(callback),
            Some(reason) => {
                drop(table);
                callback(&reason);
            }
        }
    }

    /// Returns whether anyone listens.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Leaves events undelivered from now on.
    pub(super) fn discard(&self) {
        self.discarding.store(true, Ordering::Release);
    }

    /// The body of the event thread: delivers until the reader is gone, then tells the end.
    pub(super) fn run(&self, queue: &Backlog<Chunk>, reason: impl FnOnce() -> Disconnect) {
        while let Ok(queued) = queue.recv() {
            if self.discarding.load(Ordering::Acquire) {
                continue;
            }
            let listeners = Arc::clone(&self.table.lock().by_kind);
            if queued.dropped_before > 0 {
                self.tell_lag(&listeners, queued.dropped_before);
            }
            self.deliver(&listeners, &queued.item);
            // These may be the last of a listener that was removed meanwhile.
            drop_quietly(listeners);
        }
        self.finish(&reason());
    }

    fn deliver(&self, by_kind: &HashMap<EventKind, Vec<Arc<Listener>>>, chunk: &Chunk) {
        // Floods are of one kind: its listeners are looked up once.
        let mut last: Option<(EventKind, &[Arc<Listener>])> = None;
        let mut start = 0;
        for end in &chunk.ends {
            let text = EventText::from_wire(&chunk.bytes, Range { start, end: *end });
            start = *end;
            let keyword = text.keyword();
            let listeners = match &last {
                Some((kind, listeners)) if kind.as_str().as_bytes() == keyword => *listeners,
                _ => {
                    let kind = EventKind::from_bytes(keyword);
                    let listeners = by_kind.get(&kind).map(Vec::as_slice).unwrap_or_default();
                    last = Some((kind, listeners));
                    listeners
                }
            };
            let mut event = None;
            for listener in listeners {
                self.call(listener, |callback| match callback {
                    Callback::Text(callback) => callback(Delivery::Text(&text)),
                    Callback::Typed(callback) => {
                        callback(event.get_or_insert_with(|| Event::parse(text.clone())));
                    }
                });
                if self.discarding.load(Ordering::Acquire) {
                    return;
                }
            }
        }
    }

    /// Tells every listener once that events were lost.
    fn tell_lag(&self, by_kind: &HashMap<EventKind, Vec<Arc<Listener>>>, dropped: u64) {
        let mut listeners: Vec<_> = by_kind.values().flatten().collect();
        listeners.sort_by_key(|listener| listener.id);
        listeners.dedup_by_key(|listener| listener.id);
        let event = Event::lagged(dropped);
        for listener in listeners {
            self.call(listener, |callback| match callback {
                Callback::Typed(callback) => callback(&event),
                Callback::Text(callback) => callback(Delivery::Lost(dropped)),
            });
        }
    }

    /// Calls a listener, unless it was removed. One that panics is removed.
    fn call(&self, listener: &Listener, call: impl FnOnce(&mut Callback)) {
        if !listener.claim() {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| call(&mut listener.callback.lock()))) {
            Ok(()) => listener.release(),
            Err(panic) => {
                log::error!("a listener panicked and was removed: {}", panic_text(&*panic));
                listener.remove();
                drop_quietly(self.take_out(listener.id));
                drop_quietly(panic);
            }
        }
    }

    /// Tells the end of the connection, and lets go of every listener.
    fn finish(&self, reason: &Disconnect) {
        let mut table = self.table.lock();
        table.ended = Some(reason.clone());
        let callbacks = std::mem::take(&mut table.on_disconnect);
        let listeners = std::mem::take(&mut table.by_kind);
        self.wanted.store(false, Ordering::Release);
        drop(table);
        for callback in callbacks {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| callback(reason))) {
                log::error!("a closure for the disconnect panicked: {}", panic_text(&*panic));
                drop_quietly(panic);
            }
        }
        drop_quietly(listeners);
    }
}

/// Drops what a user's closure holds; its drop may panic too.
pub(crate) fn drop_quietly<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        log::error!("what a closure held panicked when it was dropped");
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else {
        panic.downcast_ref::<String>().map_or("no message", String::as_str)
    }
}
