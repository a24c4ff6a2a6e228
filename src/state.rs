//! What tor is doing now: circuits, streams, relays, guards, connections, mappings.
//!
//! A [`State`] asks once and is kept up to date by events from then on, so that what it tells costs
//! no question: [`State::circuits`], [`State::streams`], [`State::guards`],
//! [`State::address_map`], or everything at one moment by [`State::snapshot`]. Closures are called
//! for what happens to circuits, streams and mappings. Relays are loaded when they are first asked
//! for.
//!
//! # Examples
//!
//! ```no_run
//! # fn main() -> Result<(), torcon::Error> {
//! use torcon::state::{CircuitChange, State};
//!
//! let controller = torcon::connect("127.0.0.1:9051")?;
//! let state = State::new(&controller)?;
//! for circuit in state.circuits() {
//!     let info = circuit.info();
//!     println!("{} {} with {} relays", info.id, info.status, info.path.len());
//! }
//! state.on_circuit(|update| match update.change {
//!     CircuitChange::Built => println!("{} is built", update.info.id),
//!     CircuitChange::Failed => println!("{} failed: {:?}", update.info.id, update.info.reason),
//!     _ => {}
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is kept
//!
//! The events are folded on the thread that reads the connection, before any listener of the
//! [`Controller`] sees them. So what is waited for comes also inside a listener, and a listener
//! that is slow delays no store but its own. Listeners of the state are called on a thread of
//! their own, `torcon-state`, which the first of them starts.
//!
//! **Invariant**: a state sends no command by itself, but where a function says so.
//!
//! # What can be out of date
//!
//! tor has an event for most of its changes, but not for all. The documentation of each function
//! and field says what that means for it.

mod addresses;
mod attacher;
mod build;
mod cell;
mod change;
mod circuit;
mod circuit_info;
mod connections;
mod feed;
mod listeners;
mod missing;
mod open_stream;
mod refresh;
mod relays;
mod snapshot;
mod store;
mod stream;
mod stream_info;
mod tracker;
mod waiters;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;

pub use self::attacher::{Attach, AttacherGuard, AttacherOptions};
pub use self::build::Path;
pub use self::change::{
    AddressChange, AddressUpdate, CircuitChange, CircuitUpdate, StreamChange, StreamUpdate,
};
pub use self::circuit::Circuit;
pub use self::circuit_info::CircuitInfo;
pub use self::connections::OrConnection;
pub use self::listeners::StateListenerId;
pub use self::missing::MissingPart;
pub use self::relays::Relays;
pub use self::snapshot::Snapshot;
pub use self::stream::Stream;
pub use self::stream_info::StreamInfo;

use self::change::Change;
use self::feed::Topic;
use self::listeners::{Callback, Listeners};
use self::refresh::{Part, Parts};
use self::relays::RelaySource;
use self::store::Store;
use crate::controller::{Controller, HookGuard};
use crate::descriptor::RouterStatus;
use crate::error::{InvalidInput, Result};
use crate::event::Bootstrap;
use crate::info::{AddressMapping, EntryGuard};
use crate::link::deadline_after;
use crate::names::{CircuitId, Fingerprint, NetworkLiveness, Nickname, StreamId};

/// What tor is doing now, kept up to date by its events.
///
/// Made by [`State::new`]. Clones are cheap and share everything. A state, and each of its
/// circuits and streams, keeps its connection open. When the last of them is dropped its events
/// are no longer subscribed to, and its listeners are not called any more. When the connection
/// ends the state stays as it was.
///
/// Circuits and streams are read without waiting for tor. [`guards`](Self::guards),
/// [`address_map`](Self::address_map) and [`connections`](Self::connections) ask tor again if an
/// event has shown that they may have changed without an event of their own; relays are loaded when
/// they are first asked for. Each function that sends something says so, and each field says what
/// can be out of date.
#[doc(alias = "TorState")]
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
}

/// A handle that does not keep its state, for closures that the state owns.
///
/// Made by [`State::downgrade`].
#[derive(Clone, Debug)]
pub struct WeakState {
    inner: Weak<Inner>,
}

/// What the handles of one state share.
///
/// Lock order, before the locks of the link: `refreshing` > `registry` > `store` > the queue of
/// the feed > single circuits and streams. The reader thread takes only the last three. Nothing of
/// a user's is called or dropped with any of them.
pub(crate) struct Inner {
    pub(crate) controller: Controller,
    pub(crate) store: Arc<Store>,
    listeners: Listeners,
    relays: RelaySource,
    missing: Vec<MissingPart>,
    /// Held across the command of a refresh.
    refreshing: Mutex<()>,
    _hooks: Vec<HookGuard>,
}

impl State {
    /// Queries tor for what it is doing, and follows it from then on.
    ///
    /// If tor or a filter in front of it refuses one of the events or one of the answers, or if a
    /// line of an answer cannot be read, the rest is kept, and [`missing`](Self::missing) names
    /// what is not there.
    ///
    /// Sends one `SETEVENTS`, with `ADDRMAP`, `CIRC`, `CIRC_MINOR`, `CONF_CHANGED`, `GUARD`,
    /// `NETWORK_LIVENESS`, `ORCONN`, `SIGNAL`, `STATUS_CLIENT`, `STREAM` and all other events that
    /// are wanted, unless these are subscribed to already; then one
    /// `GETINFO circuit-status stream-status orconn-status entry-guards address-mappings/all status/bootstrap-phase network-liveness`.
    /// If one of the two is refused, sends one for each event, or for each key. Nothing that
    /// happens in between is lost or counted twice. Blocks for at most the
    /// [time limit](Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_event_listener`] if not one of the events can be subscribed to;
    /// those of [`Controller::get_info`], but not if tor refuses.
    #[doc(alias = "from_protocol")]
    pub fn new(controller: &Controller) -> Result<Self> {
        Self::new_before(controller, deadline_after(controller.timeout()))
    }

    /// Makes a state as one step of a call, which has one time limit for all of them.
    pub(crate) fn new_before(controller: &Controller, deadline: Instant) -> Result<Self> {
        let store = Arc::new(Store::new());
        let mut missing = Vec::new();
        // Subscribe first, ask second, so that nothing is missed.
        let hooks = missing::subscribe(controller, &store, &mut missing, deadline)?;
        let (answers, events_before) = missing::ask(controller, &store, &mut missing, deadline)?;
        store.join(answers, events_before);
        let inner = Inner {
            controller: controller.clone(),
            store,
            listeners: Listeners::default(),
            relays: RelaySource::default(),
            missing,
            refreshing: Mutex::new(()),
            _hooks: hooks,
        };
        Ok(Self::from_inner(Arc::new(inner)))
    }

    /// Returns the parts that this state lacks since it was made: events that it could not
    /// subscribe to, and answers that tor refused or of which a line could not be read. Empty in
    /// most cases.
    #[must_use]
    pub fn missing(&self) -> &[MissingPart] {
        &self.inner.missing
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Returns the controller.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.inner.controller
    }

    /// Returns a handle that does not keep the state.
    ///
    /// A closure that the state owns, such as a listener, should hold this instead of a `State`:
    /// it would keep the state alive, and the state the closure.
    #[must_use]
    pub fn downgrade(&self) -> WeakState {
        WeakState { inner: Arc::downgrade(&self.inner) }
    }

    /// Returns everything at this moment.
    ///
    /// Sends one `GETINFO` if one of [`guards`](Self::guards), [`address_map`](Self::address_map)
    /// and [`connections`](Self::connections) would.
    ///
    /// Blocks the current thread until tor has answered that, for at most the
    /// [time limit](Controller::with_timeout); not at all in most cases.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.inner.refresh(Parts::ALL);
        let now = SystemTime::now();
        self.inner.store.read(|tracker| Snapshot::of(tracker, now)).sorted()
    }

    /// Returns the circuits, by identifier.
    #[doc(alias = "get_circuits")]
    #[must_use]
    pub fn circuits(&self) -> Vec<Circuit> {
        let circuit = |cell: &Arc<_>| Circuit::new(Arc::clone(&self.inner), Arc::clone(cell));
        let mut circuits: Vec<_> =
            self.inner.store.read(|tracker| tracker.circuits().map(circuit).collect());
        circuits.sort_by_cached_key(Circuit::id);
        circuits
    }

    /// Returns a circuit that is there.
    #[must_use]
    pub fn circuit(&self, id: &CircuitId) -> Option<Circuit> {
        let cell = self.inner.store.read(|tracker| tracker.circuit(id).cloned())?;
        Some(Circuit::new(Arc::clone(&self.inner), cell))
    }

    /// Returns the streams, by identifier: not those that have failed and are about to be closed.
    #[doc(alias = "get_streams")]
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let stream = |cell: &Arc<_>| Stream::new(Arc::clone(&self.inner), Arc::clone(cell));
        let mut streams: Vec<_> =
            self.inner.store.read(|tracker| tracker.streams().map(stream).collect());
        streams.sort_by_cached_key(Stream::id);
        streams
    }

    /// Returns a stream that is there.
    #[must_use]
    pub fn stream(&self, id: &StreamId) -> Option<Stream> {
        let cell = self
            .inner
            .store
            .read(|tracker| tracker.stream(id).filter(|cell| !cell.info().is_over()).cloned())?;
        Some(Stream::new(Arc::clone(&self.inner), cell))
    }

    /// Returns the guards through which tor enters the network, in tor's order.
    ///
    /// tor has no event for a guard that is unlisted, filtered, or too old. This is asked for again
    /// after events that can be the reason: a changed option, a reload, a new consensus, a guard
    /// that is down or tried again. Between these, a guard that tor will try again is still
    /// reported as down.
    ///
    /// Sends `GETINFO entry-guards` after such an event, once. Blocks for at most the
    /// [time limit](Controller::with_timeout). If tor does not answer, or the connection has ended,
    /// returns what is known.
    #[must_use]
    pub fn guards(&self) -> Vec<EntryGuard> {
        self.inner.refresh(Parts::of(Part::Guards));
        self.inner.store.read(|tracker| tracker.guards().to_vec())
    }

    /// Returns the active address mappings, sorted by name; expired ones are left out.
    ///
    /// tor has no event for a mapping that goes with a changed option or a reload, for an address
    /// that is mapped to itself, nor for a wildcard mapping as such. This is asked for again after
    /// events that can be the reason: a changed option, a reload, a new mapping without an end, and
    /// a stream that may have prolonged a mapping of `TrackHostExits`.
    ///
    /// Out of date can be: a mapping that somebody removed by mapping the address to itself.
    ///
    /// Sends `GETINFO address-mappings/all` after such an event, once. Blocks for at most the
    /// [time limit](Controller::with_timeout). If tor does not answer, or the connection has ended,
    /// returns what is known.
    #[doc(alias = "AddrMap")]
    #[doc(alias = "addrmap")]
    #[must_use]
    pub fn address_map(&self) -> Vec<AddressMapping> {
        self.inner.refresh(Parts::of(Part::Addresses));
        let now = SystemTime::now();
        self.inner.store.read(|tracker| tracker.address_map(now))
    }

    /// Returns the connections to relays.
    ///
    /// tor does not tell the identifiers of those that were there before the state. If an event may
    /// be of such a connection or of another one, this is asked for again.
    ///
    /// Sends `GETINFO orconn-status` after such an event, once. Blocks for at most the
    /// [time limit](Controller::with_timeout). If tor does not answer, or the connection has ended,
    /// returns what is known.
    #[must_use]
    pub fn connections(&self) -> Vec<OrConnection> {
        self.inner.refresh(Parts::of(Part::Connections));
        self.inner.store.read(|tracker| tracker.connections().to_vec())
    }

    /// Returns how far tor's start has come.
    #[must_use]
    pub fn bootstrap(&self) -> Option<Bootstrap> {
        self.inner.store.read(|tracker| tracker.bootstrap().cloned())
    }

    /// Returns whether the network can be reached, as far as tor can tell.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let up = |liveness: &NetworkLiveness| *liveness == NetworkLiveness::Up;
        self.inner.store.read(|tracker| tracker.liveness().is_some_and(up))
    }

    /// Calls a closure for every change of every circuit; first, with
    /// [`CircuitChange::Existing`], for each circuit that is there.
    ///
    /// Closures of a state run on the thread `torcon-state`, one at a time and in the order of the
    /// events; the handles and the state may be further by then. A closure may do anything: send
    /// commands, wait, add and remove listeners, close the connection. While it runs, later updates
    /// wait for it, up to [`event_limit`](crate::ConnectOptions::event_limit) bytes for all
    /// listeners of the state. Beyond that, each listener keeps its newest update only, which tells
    /// how many it replaced: the updates that a listener gets and those that it is told as lost are
    /// all that there were. If a closure panics, the panic is logged and the listener removed. It
    /// should hold a [`WeakState`] and not a `State`; the handles of its argument are enough in
    /// most cases. After the end of the connection it gets what came before, unless this program
    /// closed the connection. No lock is held while a closure is called or dropped.
    ///
    /// Sends nothing.
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
            circuits.into_iter().map(change::existing_circuit).collect()
        })
    }

    /// Calls a closure for every change of every stream; first, with
    /// [`StreamChange::Existing`], for each stream that is there.
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
            streams.into_iter().map(change::existing_stream).collect()
        })
    }

    /// Calls a closure whenever a name or address is mapped to another, and when that ends; first,
    /// with [`AddressChange::Existing`], for each mapping that is there.
    ///
    /// tor does not tell when the time of a mapping is over: the state looks at the clock of this
    /// machine. Everything else is as with [`on_circuit`](Self::on_circuit).
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

    /// Removes a listener. After this has returned no call to it begins; one that is running may
    /// still be going on, and it may be the one that removes itself.
    ///
    /// Sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such listener; one that
    /// panicked, and one whose circuit or stream has ended, is not there any more.
    pub fn remove_listener(&self, listener: StateListenerId) -> Result<()> {
        match self.inner.listeners.remove(listener) {
            true => Ok(()),
            false => Err(InvalidInput::new("listener", "is not there").into()),
        }
    }

    /// Returns the relays of the consensus.
    ///
    /// The first call loads them: it sends `SETEVENTS` with `NEWCONSENSUS`, `NEWDESC` and `NS` and
    /// all other events that are wanted, then `GETINFO ns/all`, and blocks the current thread until
    /// tor has answered both, at most for the [time limit](Controller::with_timeout) each. Later
    /// calls send nothing and wait for nobody, but for another that loads: events tell what has
    /// changed. Only if tor tells of the descriptor of a relay that is not known here, or if a
    /// filter in front of tor refuses the events, they are loaded anew.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_event_listener`] and of [`Controller::relay_statuses`].
    pub fn relays(&self) -> Result<Relays> {
        self.inner.relays.get(&self.inner.controller)
    }

    /// Returns what the consensus says about a relay, if it has it; see
    /// [`relays`](Self::relays) for what is sent and waited for.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays).
    pub fn relay(&self, fingerprint: Fingerprint) -> Result<Option<RouterStatus>> {
        Ok(self.relays()?.get(fingerprint).cloned())
    }

    /// Returns what the consensus says about the relays of a nickname; see
    /// [`relays`](Self::relays) for what is sent and waited for.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays).
    pub fn relays_named(&self, nickname: Nickname) -> Result<Vec<RouterStatus>> {
        Ok(self.relays()?.named(nickname).cloned().collect())
    }

    /// Returns what the consensus says about the directory authorities, by their flag; see
    /// [`relays`](Self::relays) for what is sent and waited for.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays).
    pub fn authorities(&self) -> Result<Vec<RouterStatus>> {
        Ok(self.relays()?.authorities().cloned().collect())
    }
}

impl WeakState {
    /// Returns a state, if it has not been given up by everyone.
    #[must_use]
    pub fn upgrade(&self) -> Option<State> {
        self.inner.upgrade().map(State::from_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.listeners.end();
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (circuits, streams) = self
            .inner
            .store
            .read(|tracker| (tracker.circuits().count(), tracker.streams().count()));
        f.debug_struct("State")
            .field("controller", &self.inner.controller)
            .field("circuits", &circuits)
            .field("streams", &streams)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("controller", &self.controller).finish_non_exhaustive()
    }
}
