//! The thread that calls the closures of a state, and how closures come to it.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::change::{AddressUpdate, Change, CircuitUpdate, StreamUpdate};
use super::feed::{CallState, Delivery, Feed, Listener, Next, Topic};
use super::store::Store;
use super::tracker::Tracker;
use super::{Circuit, Inner, Stream};
use crate::error::{Disconnect, InvalidInput, Result};
use crate::link::{drop_quietly, panic_text};

/// The name of a listener of a [`State`](super::State), for removing it. Different for every
/// listener of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateListenerId(u64);

impl StateListenerId {
    /// Returns a new one. They are counted for the whole program, so that no state takes that of
    /// another for one of its own.
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// A mapping may end earlier than it seemed, if somebody sets the clock.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(60);

/// The closure of a listener.
pub(super) enum Callback {
    Circuit(Box<dyn FnMut(&CircuitUpdate) + Send>),
    Stream(Box<dyn FnMut(&StreamUpdate) + Send>),
    Address(Box<dyn FnMut(&AddressUpdate) + Send>),
}

/// The listeners of a state, for those who add and remove them.
#[derive(Default)]
pub(super) struct Registry {
    /// `None` until the first listener starts the thread.
    feed: Mutex<Option<Arc<Feed>>>,
}

impl Registry {
    /// Adds a listener; the first one starts the thread. `existing` returns what it is called with
    /// first.
    pub(super) fn add(
        &self,
        inner: &Arc<Inner>,
        topic: Topic,
        callback: Callback,
        existing: impl FnOnce(&Tracker) -> Vec<Change>,
    ) -> Result<StateListenerId> {
        let id = StateListenerId::new();
        let listener =
            Box::new(Listener { id, topic, callback, call_state: Arc::new(CallState::default()) });
        let ended = || inner.controller.closed_reason().unwrap_or(Disconnect::ReaderFailed);
        if !inner.controller.is_alive() {
            return Err(ended().into());
        }
        let feed = self.start(inner)?;
        match inner.store.add_listener(&feed, listener, existing) {
            Ok(()) => Ok(id),
            // Dropped without a lock: the closure may do anything at its end.
            Err(listener) => {
                drop_quietly(listener);
                Err(ended().into())
            }
        }
    }

    /// Returns the feed, after the thread was started if need be.
    fn start(&self, inner: &Arc<Inner>) -> Result<Arc<Feed>> {
        let mut started = self.feed.lock();
        if let Some(feed) = &*started {
            return Ok(Arc::clone(feed));
        }
        let feed = Arc::new(Feed::new(inner.controller.event_limit()));
        let caller = Caller {
            store: Arc::clone(&inner.store),
            inner: Arc::downgrade(inner),
            feed: Arc::clone(&feed),
            listeners: HashMap::new(),
        };
        let thread = thread::Builder::new().name("torcon-state".to_owned());
        if let Err(error) = thread.spawn(move || caller.run()) {
            let problem = format!("cannot be called, since no thread can be started: {error}");
            return Err(InvalidInput::new("listener", problem).into());
        }
        inner.store.set_feed(&feed);
        *started = Some(Arc::clone(&feed));
        Ok(feed)
    }

    /// Removes a listener. Returns whether it was there.
    pub(super) fn remove(&self, id: StateListenerId) -> bool {
        let feed = self.feed.lock().clone();
        feed.is_some_and(|feed| feed.remove(id))
    }

    /// Ends the thread; it may be the one that is here.
    pub(super) fn end(&self) {
        let feed = self.feed.lock().take();
        if let Some(feed) = feed {
            feed.end();
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feed = self.feed.lock().clone();
        let count = feed.map_or(0, |feed| feed.len());
        f.debug_struct("Registry").field("listeners", &count).finish()
    }
}

/// Everything that the thread owns. It keeps neither the state nor the connection.
struct Caller {
    store: Arc<Store>,
    inner: Weak<Inner>,
    feed: Arc<Feed>,
    listeners: HashMap<StateListenerId, Box<Listener>>,
}

impl Caller {
    fn run(mut self) {
        let mut batch = VecDeque::new();
        while !matches!(self.feed.next(&mut batch, self.next_look()), Next::End) {
            while let Some(delivery) = batch.pop_front() {
                // Nobody has the state any more, or this program has closed the connection: what
                // has not been delivered is not wanted.
                let inner = self.inner.upgrade();
                let Some(inner) = inner.filter(|inner| !is_closed_by_us(inner)) else {
                    return self.stop(Some(delivery), batch);
                };
                self.deliver(&inner, delivery);
            }
        }
        self.stop(None, batch);
    }

    fn deliver(&mut self, inner: &Arc<Inner>, delivery: Delivery) {
        match delivery {
            Delivery::Update(update) => {
                let Some(listener) = self.listeners.get_mut(&update.listener) else {
                    return self.feed.delivered(&update);
                };
                if update.lost > 0 {
                    // Not by the reader: a logger may use the connection.
                    log::warn!("a listener of a state is too slow: {} updates lost", update.lost);
                }
                let stays = call(inner, listener, &update.change, update.lost);
                self.feed.delivered(&update);
                if !stays {
                    self.take_out(update.listener);
                }
            }
            Delivery::Add(mut listener, mut existing) => {
                existing.sort_by(by_id);
                for change in existing {
                    if !call(inner, &mut listener, &change, 0) {
                        return self.let_go(listener);
                    }
                }
                self.listeners.insert(listener.id, listener);
            }
            Delivery::Remove(id) => self.take_out(id),
        }
    }

    /// Drops everything that is left, without a lock.
    fn stop(mut self, delivery: Option<Delivery>, batch: VecDeque<Delivery>) {
        let left = self.feed.close();
        for delivery in delivery.into_iter().chain(batch).chain(left) {
            drop_quietly(delivery);
        }
        for (_, listener) in self.listeners.drain() {
            drop_quietly(listener);
        }
    }

    /// Takes out what has expired, if somebody wants to know, and returns when to look again.
    fn next_look(&self) -> Option<Instant> {
        if !self.feed.has_address_listener() {
            return None;
        }
        let now = SystemTime::now();
        let end = self.store.expire(now)?;
        let until = end.duration_since(now).unwrap_or_default();
        Instant::now().checked_add(until.min(LOOK_AT_THE_CLOCK))
    }

    fn take_out(&mut self, id: StateListenerId) {
        if let Some(listener) = self.listeners.remove(&id) {
            self.let_go(listener);
        }
    }

    fn let_go(&self, listener: Box<Listener>) {
        self.feed.forget(listener.id);
        drop_quietly(listener);
    }
}

fn is_closed_by_us(inner: &Inner) -> bool {
    inner.controller.closed_reason().is_some_and(|reason| reason.is_clean())
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
fn call(inner: &Arc<Inner>, listener: &mut Listener, change: &Change, lost: u64) -> bool {
    if !listener.call_state.begin() {
        return false;
    }
    let is_last = listener.topic.ends_with(change);
    let called =
        catch_unwind(AssertUnwindSafe(|| match (&mut listener.callback, change.clone()) {
            (Callback::Circuit(callback), Change::Circuit { cell, info, change }) => {
                let circuit = Circuit::new(Arc::clone(inner), cell);
                callback(&CircuitUpdate { circuit, info, change, lost });
            }
            (Callback::Stream(callback), Change::Stream { cell, info, change }) => {
                let stream = Stream::new(Arc::clone(inner), cell);
                callback(&StreamUpdate { stream, info, change, lost });
            }
            (Callback::Address(callback), Change::Address { mapping, change }) => {
                callback(&AddressUpdate { mapping, change, lost });
            }
            _ => {}
        }));
    let stays = listener.call_state.end();
    match called {
        Ok(()) => stays && !is_last,
        Err(panic) => {
            log::error!("a listener of a state panicked and was removed: {}", panic_text(&*panic));
            drop_quietly(panic);
            false
        }
    }
}
