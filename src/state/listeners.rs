//! The thread that calls the closures of a state, and the table of these.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::RecvTimeoutError;
use parking_lot::Mutex;

use super::change::{
    AddressUpdate, Change, CircuitChange, CircuitUpdate, StreamChange, StreamUpdate, Subject,
};
use super::picture::Picture;
use super::tracker::Tracker;
use super::{Circuit, Inner, Stream};
use crate::error::{Disconnect, InvalidInput, Result};
use crate::link::{Backlog, Queued, backlog, drop_quietly, panic_text};
use crate::names::{CircuitId, StreamId};

/// The name of a listener of a [`State`](super::State), for removing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateListenerId(u64);

/// No two listeners of a program have the same name, also of several states.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A mapping may end earlier than it seemed, if somebody sets the clock.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(60);

/// What the thread is given, in order.
pub(super) enum Delivery {
    Change(Change),
    /// A listener, and what was there when it was added.
    Add(Box<Listener>, Vec<Change>),
    Remove(StateListenerId),
}

/// A closure, and what it is called for.
pub(super) enum Callback {
    Circuit(Option<CircuitId>, Box<dyn FnMut(&CircuitUpdate) + Send>),
    Stream(Option<StreamId>, Box<dyn FnMut(&StreamUpdate) + Send>),
    Address(Box<dyn FnMut(&AddressUpdate) + Send>),
}

impl Callback {
    fn subject(&self) -> Subject {
        match self {
            Self::Circuit(..) => Subject::Circuit,
            Self::Stream(..) => Subject::Stream,
            Self::Address(_) => Subject::Address,
        }
    }
}

/// One listener. Only the thread has it.
pub(super) struct Listener {
    id: StateListenerId,
    callback: Callback,
    /// Set by whoever removes it: no call begins after that.
    removed: Arc<AtomicBool>,
    /// How many updates were lost since it was called last.
    lost: u64,
}

/// Who listens, for those who add and remove.
#[derive(Default)]
pub(super) struct Registry {
    inner: Mutex<Registered>,
}

#[derive(Default)]
struct Registered {
    removed: BTreeMap<StateListenerId, Arc<AtomicBool>>,
    has_thread: bool,
}

impl Registry {
    /// Adds a listener; the first one starts the thread. `existing` says what is there that it is
    /// to be offered.
    pub(super) fn add(
        &self,
        inner: &Arc<Inner>,
        callback: Callback,
        existing: impl FnOnce(&Tracker) -> Vec<Change>,
    ) -> Result<StateListenerId> {
        let (id, removed) = self.register(inner)?;
        let listener = Listener { id, callback, removed, lost: 0 };
        let subject = listener.callback.subject();
        // Without the lock: if it comes to nothing the closure is dropped, and that may do anything.
        let delivered = inner
            .picture
            .add_listener(subject, |tracker| Delivery::Add(Box::new(listener), existing(tracker)));
        if delivered {
            return Ok(id);
        }
        self.forget(id);
        Err(inner.controller.closed_reason().unwrap_or(Disconnect::ReaderFailed).into())
    }

    fn register(&self, inner: &Arc<Inner>) -> Result<(StateListenerId, Arc<AtomicBool>)> {
        let mut registered = self.inner.lock();
        if !registered.has_thread {
            start(inner)?;
            registered.has_thread = true;
        }
        let id = StateListenerId(NEXT_ID.fetch_add(1, Relaxed));
        let removed = Arc::new(AtomicBool::new(false));
        registered.removed.insert(id, Arc::clone(&removed));
        Ok((id, removed))
    }

    /// Removes a listener. Returns whether it was there.
    pub(super) fn remove(&self, picture: &Picture, id: StateListenerId) -> bool {
        let Some(removed) = self.inner.lock().removed.remove(&id) else { return false };
        removed.store(true, Release);
        // If there is no thread any more, the closure is gone already.
        picture.remove_listener(Delivery::Remove(id));
        true
    }

    fn forget(&self, id: StateListenerId) {
        self.inner.lock().removed.remove(&id);
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("listeners", &self.inner.lock().removed.len()).finish()
    }
}

/// Starts the thread.
fn start(inner: &Arc<Inner>) -> Result<()> {
    let (sender, queue) = backlog(inner.controller.event_limit());
    let caller = Caller {
        picture: Arc::clone(&inner.picture),
        inner: Arc::downgrade(inner),
        registry: Arc::clone(&inner.registry),
        listeners: Vec::new(),
    };
    let started =
        thread::Builder::new().name("torcon-state".to_owned()).spawn(move || caller.run(&queue));
    if let Err(error) = started {
        let problem = format!("cannot be called, since no thread can be started: {error}");
        return Err(InvalidInput::new("listener", problem).into());
    }
    inner.picture.set_queue(sender);
    Ok(())
}

/// Everything that the thread owns. It keeps neither the state nor the connection.
struct Caller {
    picture: Arc<Picture>,
    inner: Weak<Inner>,
    registry: Arc<Registry>,
    listeners: Vec<Listener>,
}

impl Caller {
    fn run(mut self, queue: &Backlog<Delivery>) {
        loop {
            let queued = match self.next_look() {
                None => queue.recv().map_err(|()| RecvTimeoutError::Disconnected),
                Some(deadline) => queue.recv_deadline(deadline),
            };
            let queued = match queued {
                Ok(queued) => queued,
                // What has expired comes by the queue.
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let delivery = match queued {
                Queued::Item(delivery) => delivery,
                Queued::Lost(count) => {
                    for listener in &mut self.listeners {
                        listener.lost += count;
                    }
                    continue;
                }
            };
            // Nobody has the state any more, or this program has closed the connection: what has
            // not been delivered is not wanted.
            let Some(inner) = self.inner.upgrade() else { break };
            let closed = inner.controller.closed_reason();
            if closed.is_some_and(|reason| reason.is_clean()) {
                break;
            }
            match delivery {
                Delivery::Change(change) => self.tell(&inner, &change),
                Delivery::Add(listener, existing) => self.add(&inner, *listener, existing),
                Delivery::Remove(id) => self.take_out(id),
            }
        }
        for listener in std::mem::take(&mut self.listeners) {
            self.let_go(listener);
        }
    }

    /// Takes out what has expired, if somebody wants to know, and returns when to look again.
    fn next_look(&self) -> Option<Instant> {
        let wants_addresses = |listener: &Listener| listener.callback.subject() == Subject::Address;
        if !self.listeners.iter().any(wants_addresses) {
            return None;
        }
        let now = SystemTime::now();
        let end = self.picture.expire(now)?;
        let until = end.duration_since(now).unwrap_or_default();
        Instant::now().checked_add(until.min(LOOK_AT_THE_CLOCK))
    }

    fn add(&mut self, inner: &Arc<Inner>, mut listener: Listener, mut existing: Vec<Change>) {
        existing.sort_by(by_id);
        for change in existing {
            if !call(inner, &mut listener, &change) {
                return self.let_go(listener);
            }
        }
        self.listeners.push(listener);
    }

    fn tell(&mut self, inner: &Arc<Inner>, change: &Change) {
        let mut gone = Vec::new();
        for listener in &mut self.listeners {
            if listener.wants(change) && !call(inner, listener, change) {
                gone.push(listener.id);
            }
        }
        gone.into_iter().for_each(|id| self.take_out(id));
    }

    fn take_out(&mut self, id: StateListenerId) {
        if let Some(place) = self.listeners.iter().position(|listener| listener.id == id) {
            let listener = self.listeners.remove(place);
            self.let_go(listener);
        }
    }

    fn let_go(&self, listener: Listener) {
        self.registry.forget(listener.id);
        self.picture.listener_is_gone(listener.callback.subject());
        drop_quietly(listener);
    }
}

impl Listener {
    fn wants(&self, change: &Change) -> bool {
        match (&self.callback, change) {
            (Callback::Circuit(only, _), Change::Circuit { cell, .. }) => {
                only.is_none_or(|id| id == cell.id())
            }
            (Callback::Stream(only, _), Change::Stream { cell, .. }) => {
                only.is_none_or(|id| id == cell.id())
            }
            (Callback::Address(_), Change::Address { .. }) => true,
            _ => false,
        }
    }

    /// Whether nothing comes after this for a listener of one circuit or stream.
    fn is_last(&self, change: &Change) -> bool {
        match (&self.callback, change) {
            (Callback::Circuit(Some(_), _), Change::Circuit { change, .. }) => {
                matches!(change, CircuitChange::Closed | CircuitChange::Failed)
            }
            (Callback::Stream(Some(_), _), Change::Stream { change, .. }) => {
                *change == StreamChange::Closed
            }
            _ => false,
        }
    }
}

/// The order in which is offered what is there; mappings are in order already.
fn by_id(one: &Change, other: &Change) -> Ordering {
    match (one, other) {
        (Change::Circuit { cell: one, .. }, Change::Circuit { cell: other, .. }) => {
            one.id().cmp(&other.id())
        }
        (Change::Stream { cell: one, .. }, Change::Stream { cell: other, .. }) => {
            one.id().cmp(&other.id())
        }
        _ => Ordering::Equal,
    }
}

/// Calls a listener. Returns whether it stays: not if it was removed, if it panicked, or if its
/// circuit or stream has ended.
fn call(inner: &Arc<Inner>, listener: &mut Listener, change: &Change) -> bool {
    if listener.removed.load(Acquire) {
        return false;
    }
    let lost = std::mem::take(&mut listener.lost);
    let is_last = listener.is_last(change);
    let called =
        catch_unwind(AssertUnwindSafe(|| match (&mut listener.callback, change.clone()) {
            (Callback::Circuit(_, callback), Change::Circuit { cell, info, change }) => {
                let circuit = Circuit::new(Arc::clone(inner), cell);
                callback(&CircuitUpdate { circuit, info, change, lost });
            }
            (Callback::Stream(_, callback), Change::Stream { cell, info, change }) => {
                let stream = Stream::new(Arc::clone(inner), cell);
                callback(&StreamUpdate { stream, info, change, lost });
            }
            (Callback::Address(callback), Change::Address { mapping, change }) => {
                callback(&AddressUpdate { mapping, change, lost });
            }
            _ => {}
        }));
    match called {
        Ok(()) => !is_last,
        Err(panic) => {
            log::error!("a listener of a state panicked and was removed: {}", panic_text(&*panic));
            drop_quietly(panic);
            false
        }
    }
}
