//! The listeners of a state, and the thread that calls them, `torcon-state`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::change::{
    AddressChange, AddressUpdate, Change, CircuitUpdate, StreamUpdate, existing_circuit,
    existing_stream,
};
use super::feed::{Feed, Next, Topic, Update};
use super::store::Store;
use super::tracker::Tracker;
use super::{Circuit, Inner, State, Stream};
use crate::error::{Disconnect, InvalidInput, Result};
use crate::link::{self, ListenerId, drop_quietly};

/// Identifies a listener of a [`State`], so that it can be removed. No two listeners
/// of a program have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateListenerId(ListenerId);

/// The longest time until the clock, which may be set, is read again for expired mappings.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

/// The closure of a listener.
pub(super) enum Callback {
    Circuit(Box<dyn FnMut(&CircuitUpdate) + Send>),
    Stream(Box<dyn FnMut(&StreamUpdate) + Send>),
    Address(Box<dyn FnMut(&AddressUpdate) + Send>),
}

pub(super) type Listener = link::Listener<Callback>;

/// The listeners of a state, and their thread, which the first listener starts.
#[derive(Default)]
pub(super) struct Listeners {
    /// `None` until there is a listener.
    feed: Mutex<Option<Arc<Feed>>>,
}

impl Listeners {
    /// Adds a listener. `existing` returns the changes that it gets first.
    pub(super) fn add(
        &self,
        inner: &Arc<Inner>,
        topic: Topic,
        callback: Callback,
        existing: impl FnOnce(&Tracker) -> Vec<Change>,
    ) -> Result<StateListenerId> {
        let listener = Listener::new(callback);
        let added = inner.controller.is_alive() && {
            let feed = self.start(inner)?;
            inner.store.add_listener(&feed, topic, &listener, existing)
        };
        if added {
            return Ok(StateListenerId(listener.id()));
        }
        // Dropped without a lock: the closure may do anything when it is dropped.
        drop_quietly(listener);
        Err(inner.controller.closed_reason().unwrap_or(Disconnect::ReaderFailed).into())
    }

    /// Returns the feed, and starts the thread for the first listener.
    fn start(&self, inner: &Arc<Inner>) -> Result<Arc<Feed>> {
        let mut started = self.feed.lock();
        if let Some(feed) = &*started {
            return Ok(Arc::clone(feed));
        }
        let feed = Arc::new(Feed::new(inner.controller.event_limit()));
        let store = Arc::clone(&inner.store);
        let caller = Caller { store, inner: Arc::downgrade(inner), feed: Arc::clone(&feed) };
        let thread = thread::Builder::new().name("torcon-state".to_owned());
        if let Err(error) = thread.spawn(move || caller.run()) {
            let problem = format!("cannot be called, since no thread can be started: {error}");
            return Err(InvalidInput::new("listener", problem).into());
        }
        inner.store.set_feed(&feed);
        *started = Some(Arc::clone(&feed));
        Ok(feed)
    }

    /// Removes a listener. Returns whether it existed.
    pub(super) fn remove(&self, id: StateListenerId) -> bool {
        let feed = self.feed.lock().clone();
        feed.is_some_and(|feed| feed.remove(id.0))
    }

    /// Ends the thread, which may be the current one, without waiting for it.
    pub(super) fn end(&self) {
        let feed = self.feed.lock().take();
        if let Some(feed) = feed {
            feed.end();
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}

impl State {
    /// Calls a closure for every change of every circuit, beginning with
    /// [`CircuitChange::Existing`](super::CircuitChange::Existing) for each circuit that exists.
    ///
    /// The listeners of a state run on the thread `torcon-state`, one at a time and in the order of
    /// the events. The handles of an update may be further than the update by then. A listener may
    /// do anything: send commands, wait, add and remove listeners, close the connection. Meanwhile
    /// later updates are queued, up to [`event_limit`](crate::ConnectOptions::event_limit) bytes for
    /// all listeners of the state. Beyond that, each listener keeps only its newest update, which
    /// counts the updates that it replaced: delivered and lost updates together are all that there
    /// were. If a closure panics, the panic is logged and the listener removed. A closure should hold
    /// a [`WeakState`](super::WeakState) and not a [`State`]; the handles of its argument are enough
    /// in most cases. When the connection ends, the queued updates are still delivered, unless this
    /// program closed it. No lock is held while a closure is called or dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) if the connection has ended;
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if no thread can be started.
    #[doc(alias = "ICircuitListener")]
    #[doc(alias = "add_circuit_listener")]
    pub fn on_circuit<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&CircuitUpdate) + Send + 'static,
    {
        let callback = Callback::Circuit(Box::new(listener));
        self.inner.listeners.add(&self.inner, Topic::Circuits, callback, |tracker| {
            let mut circuits: Vec<_> = tracker.circuits().cloned().collect();
            circuits.sort_unstable_by_key(|cell| cell.id());
            circuits.into_iter().map(existing_circuit).collect()
        })
    }

    /// Calls a closure for every change of every stream, beginning with
    /// [`StreamChange::Existing`](super::StreamChange::Existing) for each stream that exists.
    ///
    /// Everything else is as with [`on_circuit`](Self::on_circuit).
    ///
    /// # Errors
    ///
    /// Those of [`on_circuit`](Self::on_circuit).
    #[doc(alias = "IStreamListener")]
    #[doc(alias = "add_stream_listener")]
    pub fn on_stream<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&StreamUpdate) + Send + 'static,
    {
        let callback = Callback::Stream(Box::new(listener));
        self.inner.listeners.add(&self.inner, Topic::Streams, callback, |tracker| {
            let mut streams: Vec<_> = tracker.streams().cloned().collect();
            streams.sort_unstable_by_key(|cell| cell.id());
            streams.into_iter().map(existing_stream).collect()
        })
    }

    /// Calls a closure for every change of the address mappings, beginning with
    /// [`AddressChange::Existing`] for each mapping that is active.
    ///
    /// tor does not report that a mapping has expired: the state finds out with the local clock.
    /// Everything else is as with [`on_circuit`](Self::on_circuit).
    ///
    /// # Errors
    ///
    /// Those of [`on_circuit`](Self::on_circuit).
    pub fn on_address<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&AddressUpdate) + Send + 'static,
    {
        let callback = Callback::Address(Box::new(listener));
        let now = SystemTime::now();
        self.inner.listeners.add(&self.inner, Topic::Addresses, callback, |tracker| {
            let existing = |mapping| Change::Address { mapping, change: AddressChange::Existing };
            tracker.address_map(now).into_iter().map(existing).collect()
        })
    }

    /// Removes a listener. No call to it begins after this has returned. A call that is running
    /// continues, and may itself remove the listener.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such listener. A
    /// listener that panicked, or whose circuit or stream has ended, is removed already.
    pub fn remove_listener(&self, listener: StateListenerId) -> Result<()> {
        match self.inner.listeners.remove(listener) {
            true => Ok(()),
            false => Err(InvalidInput::new("listener", "is not there").into()),
        }
    }
}

/// The thread. It keeps neither the state nor the connection open.
struct Caller {
    store: Arc<Store>,
    inner: Weak<Inner>,
    feed: Arc<Feed>,
}

impl Caller {
    fn run(self) {
        let mut batch = VecDeque::new();
        while !matches!(self.feed.next(&mut batch, self.next_expiry()), Next::End) {
            while let Some(update) = batch.pop_front() {
                // If the last handle of the state was dropped, or this program has closed the
                // connection, the rest is not wanted.
                let inner = self.inner.upgrade();
                let Some(inner) = inner.filter(|inner| !is_closed_by_program(inner)) else {
                    return self.feed.close();
                };
                self.deliver(&inner, &update);
            }
        }
        self.feed.close();
    }

    /// Calls the listener of an update, and removes it after its last one.
    fn deliver(&self, inner: &Arc<Inner>, update: &Update) {
        let called = update.listener.call(|callback| {
            if update.lost > 0 {
                // The reader thread must not log: a logger may use the connection.
                log::warn!("a listener of a state is too slow: {} updates lost", update.lost);
            }
            call(inner, callback, update);
        });
        self.feed.delivered(update);
        if let Err(panic) = &called {
            log::error!("a listener of a state panicked and was removed: {panic}");
        }
        if update.is_last || called.is_err() {
            self.feed.remove(update.listener.id());
        }
    }

    /// Removes the mappings that have expired, if there is a listener for them, and returns when to
    /// do so again.
    fn next_expiry(&self) -> Option<Instant> {
        if !self.feed.has_address_listener() {
            return None;
        }
        let now = SystemTime::now();
        let expiry = self.store.expire(now)?;
        let left = expiry.duration_since(now).unwrap_or_default();
        Instant::now().checked_add(left.min(CLOCK_INTERVAL))
    }
}

fn is_closed_by_program(inner: &Inner) -> bool {
    inner.controller.closed_reason().is_some_and(|reason| reason.is_clean())
}

fn call(inner: &Arc<Inner>, callback: &mut Callback, update: &Update) {
    let lost = update.lost;
    match (callback, update.change.clone()) {
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
        // The topic of a listener fits its closure.
        _ => {}
    }
}
