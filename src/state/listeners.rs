//! The listeners of a state, and the thread that calls them, `torcon-state`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::change::{AddressUpdate, Change, CircuitUpdate, StreamUpdate};
use super::feed::{Feed, Item, Next, Topic, Update};
use super::generation::{Generation, Owner};
use super::tracker::Tracker;
use super::{Circuit, Shared, State, Stream};
use crate::clock;
use crate::error::{Disconnect, InvalidInput, Result};
use crate::link::{self, ListenerId, drop_quietly};
use crate::sync::{Mutex, MutexGuard, thread};

/// Identifies a listener of a [`State`], to remove it. Unique in the program.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let id = state.on_circuit(|update| println!("{update:?}"))?;
/// state.remove_listener(id)?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateListenerId(ListenerId);

/// The longest interval between two readings of the clock, which may be set, for expired mappings.
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
    /// Held while a listener is added, and while the generation changes, so that each listener gets
    /// everything that exists exactly once.
    service: Mutex<Service>,
}

#[derive(Default)]
pub(super) struct Service {
    /// `None` until there is a listener.
    feed: Option<Arc<Feed>>,
    /// Why no generation of a supervised state follows.
    ended: Option<Disconnect>,
}

impl Listeners {
    pub(super) fn lock(&self) -> MutexGuard<'_, Service> {
        self.service.lock()
    }

    /// Removes a listener. Returns whether it existed.
    pub(super) fn remove(&self, id: StateListenerId) -> bool {
        let feed = self.service.lock().feed.clone();
        feed.is_some_and(|feed| feed.remove(id.0))
    }
}

impl Service {
    /// Returns the feed, and starts the thread for the first listener.
    fn start(&mut self, shared: &Arc<Shared>, present: &Arc<Generation>) -> Result<Arc<Feed>> {
        if let Some(feed) = &self.feed {
            return Ok(Arc::clone(feed));
        }
        let feed = Arc::new(Feed::new(present.controller.event_limit()));
        let caller = Caller {
            shared: Arc::downgrade(shared),
            generation: Arc::downgrade(present),
            feed: Arc::clone(&feed),
        };
        let thread = thread::Builder::new().name("torcon-state".to_owned());
        if let Err(error) = thread.spawn(move || caller.run()) {
            let problem = format!("cannot be called, since no thread can be started: {error}");
            return Err(InvalidInput::new("listener", problem).into());
        }
        present.store.set_feed(&feed);
        self.feed = Some(Arc::clone(&feed));
        Ok(feed)
    }

    pub(super) fn feed(&self) -> Option<&Arc<Feed>> {
        self.feed.as_ref()
    }

    /// Returns why no generation of a supervised state follows.
    pub(super) fn end_reason(&self) -> Option<Disconnect> {
        self.ended.clone()
    }

    /// Ends the thread, and adds no listener from now on.
    pub(super) fn end_for(&mut self, reason: &Disconnect) {
        self.ended.get_or_insert_with(|| reason.clone());
        self.end();
    }

    /// Ends the thread, which may be the current one, without waiting for it.
    pub(super) fn end(&mut self) {
        if let Some(feed) = self.feed.take() {
            feed.end();
        }
    }
}

impl Shared {
    /// Adds a listener, of one generation or of the present one and all that follow. `existing`
    /// returns its first changes.
    fn add_listener(
        self: &Arc<Self>,
        of: Option<&Arc<Generation>>,
        topic: Topic,
        callback: Callback,
        existing: impl FnOnce(&Tracker) -> Vec<Change>,
    ) -> Result<StateListenerId> {
        let listener = Listener::new(callback);
        let mut service = self.listeners.lock();
        let present = self.present();
        let is_former = of.is_some_and(|generation| !Arc::ptr_eq(generation, &present));
        let generation = of.unwrap_or(&present);
        let has_ended = !self.is_supervised && !present.controller.is_alive();
        let added = match &service.ended {
            Some(reason) => Err(reason.clone().into()),
            None if is_former || has_ended => Ok(false),
            None => service
                .start(self, &present)
                .map(|feed| present.store.add_listener(&feed, topic, &listener, existing)),
        };
        drop(service);
        if matches!(added, Ok(true)) {
            return Ok(StateListenerId(listener.id()));
        }
        // Dropped without a lock, since the captures of the closure may run code of the program.
        drop_quietly(listener);
        added?;
        let reason = generation.store.end_reason().or_else(|| present.controller.closed_reason());
        Err(reason.unwrap_or(Disconnect::ReaderFailed).into())
    }
}

impl Owner {
    /// Adds a listener of one circuit or stream. `existing` is its first change.
    pub(super) fn add_listener(
        &self,
        topic: Topic,
        callback: Callback,
        existing: impl FnOnce() -> Change,
    ) -> Result<StateListenerId> {
        self.shared().add_listener(Some(&self.generation), topic, callback, |_| vec![existing()])
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
    /// the events. The handles of an update may show a later change by then. A listener may do
    /// anything: send commands, wait, add and remove listeners, close the connection. Meanwhile
    /// later updates are queued, up to [`event_limit`](crate::ConnectOptions::event_limit) bytes
    /// for all listeners of the state. Beyond that, each listener keeps only its newest update,
    /// which counts the updates that it replaced: every update is either delivered or counted. If a
    /// closure panics, the panic is logged and the listener removed. A closure should hold a
    /// [`WeakState`](super::WeakState) and not a [`State`]; the handles of its argument are enough
    /// in most cases. When the connection ends, the queued updates are still delivered, unless this
    /// program closed it; in a state of a supervisor always. No lock is held while a closure is
    /// called or dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) if the connection has ended, or the supervisor of the
    /// state; [`Error::InvalidInput`](crate::Error::InvalidInput) if no thread can be started.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let id = state.on_circuit(|update| println!("{update:?}"))?;
    /// state.remove_listener(id)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias(
        "CircuitListenerMixin",
        "on_circuit_new",
        "on_circuit_launched",
        "on_circuit_extend",
        "on_circuit_built",
        "on_circuit_closed",
        "on_circuit_failed",
    ))]
    #[doc(alias = "ICircuitListener")]
    #[doc(alias = "add_circuit_listener")]
    pub fn on_circuit<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&CircuitUpdate) + Send + 'static,
    {
        let callback = Callback::Circuit(Box::new(listener));
        self.shared.add_listener(None, Topic::Circuits, callback, Tracker::existing_circuits)
    }

    /// Calls a closure for every change of every stream, beginning with
    /// [`StreamChange::Existing`](super::StreamChange::Existing) for each stream that exists.
    ///
    /// For the thread and the limits see [`on_circuit`](Self::on_circuit).
    ///
    /// # Errors
    ///
    /// Those of [`on_circuit`](Self::on_circuit).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let id = state.on_stream(|update| println!("{update:?}"))?;
    /// state.remove_listener(id)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias(
        "StreamListenerMixin",
        "on_stream_new",
        "on_stream_succeeded",
        "on_stream_attach",
        "on_stream_detach",
        "on_stream_closed",
        "on_stream_failed",
    ))]
    #[doc(alias = "IStreamListener")]
    #[doc(alias = "add_stream_listener")]
    pub fn on_stream<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&StreamUpdate) + Send + 'static,
    {
        let callback = Callback::Stream(Box::new(listener));
        self.shared.add_listener(None, Topic::Streams, callback, Tracker::existing_streams)
    }

    /// Calls a closure for every change of the address mappings, beginning with
    /// [`AddressChange::Existing`](super::AddressChange::Existing) for each mapping that is active.
    ///
    /// tor does not report that a mapping has expired: the state compares the local clock. For the
    /// thread and the limits see [`on_circuit`](Self::on_circuit).
    ///
    /// # Errors
    ///
    /// Those of [`on_circuit`](Self::on_circuit).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let id = state.on_address(|update| println!("{update:?}"))?;
    /// state.remove_listener(id)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("add_listener", "IAddrListener"))]
    pub fn on_address<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&AddressUpdate) + Send + 'static,
    {
        let callback = Callback::Address(Box::new(listener));
        let now = clock::system_now();
        let existing = |tracker: &Tracker| tracker.existing_addresses(now);
        self.shared.add_listener(None, Topic::Addresses, callback, existing)
    }

    /// Removes a listener. No call of it begins after this has returned. A running call continues,
    /// and may itself remove the listener.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if no such listener exists. A listener
    /// that panicked, or whose circuit or stream has ended, is removed already.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let id = state.on_circuit(|update| println!("{update:?}"))?;
    /// state.remove_listener(id)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "unlisten")]
    pub fn remove_listener(&self, listener: StateListenerId) -> Result<()> {
        match self.shared.listeners.remove(listener) {
            true => Ok(()),
            false => Err(InvalidInput::new("listener", "does not exist").into()),
        }
    }
}

/// The thread, which keeps neither the state nor the connection open.
struct Caller {
    shared: Weak<Shared>,
    /// The generation of the next update.
    generation: Weak<Generation>,
    feed: Arc<Feed>,
}

impl Caller {
    fn run(mut self) {
        let mut batch = VecDeque::new();
        let mut delivered = 0;
        while !matches!(self.feed.next(&mut batch, self.next_expiry()), Next::End) {
            while let Some(item) = batch.pop_front() {
                let update = match item {
                    Item::Update(update) => update,
                    Item::NextGeneration { former, next } => {
                        self.generation = next;
                        drop(former);
                        continue;
                    }
                };
                // After the last handle of the state is dropped, or this program has closed the
                // connection, the rest is discarded.
                let Some(owner) = self.owner().filter(|owner| !is_closed_by_program(owner)) else {
                    return self.feed.close();
                };
                delivered += update.size;
                self.deliver(owner, update);
                self.feed.delivered(&mut delivered, batch.is_empty());
            }
        }
        self.feed.close();
    }

    /// Returns the owner of the handles of an update, unless the state was dropped.
    fn owner(&self) -> Option<Owner> {
        Some(Owner::new(self.shared.upgrade()?, self.generation.upgrade()?))
    }

    /// Calls the listener of an update, and removes it after its last one.
    fn deliver(&self, owner: Owner, update: Update) {
        let Update { listener, change, lost, is_last, .. } = update;
        let called = listener.call(|callback| {
            if lost > 0 {
                // The reader thread must not log: a logger may use the connection.
                log::warn!("a listener of a state is too slow: {lost} updates lost");
            }
            call(owner, callback, change, lost);
        });
        if let Err(panic) = &called {
            log::error!("a listener of a state panicked and was removed: {panic}");
        }
        if is_last || called.is_err() {
            self.feed.remove(listener.id());
        }
    }

    /// Removes the expired mappings if a listener wants them, and returns the time of the next
    /// removal.
    fn next_expiry(&self) -> Option<Instant> {
        if !self.feed.has_address_listener() {
            return None;
        }
        let now = clock::system_now();
        let expiry = self.generation.upgrade()?.store.expire(now)?;
        let left = expiry.duration_since(now).unwrap_or_default();
        clock::now().checked_add(left.min(CLOCK_INTERVAL))
    }
}

/// Returns whether the program has closed the connection. A supervised state may get another one.
fn is_closed_by_program(owner: &Owner) -> bool {
    let reason = owner.generation.controller.closed_reason();
    !owner.shared().is_supervised && reason.is_some_and(|reason| reason.is_clean())
}

fn call(owner: Owner, callback: &mut Callback, change: Change, lost: u64) {
    match (callback, change) {
        (Callback::Circuit(callback), Change::Circuit { cell, info, change }) => {
            let circuit = Circuit::new(owner, cell);
            callback(&CircuitUpdate { circuit, info, change, lost });
        }
        (Callback::Stream(callback), Change::Stream { cell, info, change }) => {
            let stream = Stream::new(owner, cell);
            callback(&StreamUpdate { stream, info, change, lost });
        }
        (Callback::Address(callback), Change::Address { mapping, change }) => {
            callback(&AddressUpdate { mapping, change, lost });
        }
        // The topic of a listener determines its closure.
        _ => {}
    }
}
