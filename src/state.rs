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
//! that is slow delays no picture but its own. Listeners of the state are called on a thread of
//! their own, `torcon-state`, which the first of them starts.
//!
//! **Invariant**: a state sends no command by itself, but where a function says so.

mod addresses;
mod attacher;
mod build;
mod cell;
mod change;
mod circuit;
mod circuit_info;
mod connections;
mod listeners;
mod picture;
mod relays;
mod snapshot;
mod stream;
mod stream_info;
mod through;
mod tracker;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

pub use self::attacher::{Attach, AttacherGuard, AttacherOptions};
pub use self::build::Path;
pub use self::change::{
    AddressChange, AddressUpdate, CircuitChange, CircuitUpdate, StreamChange, StreamUpdate,
};
pub use self::circuit::Circuit;
pub use self::circuit_info::CircuitInfo;
pub use self::connections::OrConnection;
pub use self::listeners::StateListenerId;
pub use self::relays::Relays;
pub use self::snapshot::Snapshot;
pub use self::stream::Stream;
pub use self::stream_info::StreamInfo;

use self::change::Change;
use self::listeners::{Callback, Registry};
use self::picture::{KINDS, Picture};
use self::relays::RelaySource;
use self::tracker::Answers;
use crate::controller::{Controller, HookGuard};
use crate::descriptor::RouterStatus;
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::event::{Bootstrap, CircEvent, OrConnEvent, StreamEvent};
use crate::info::{AddressMapping, EntryGuard};
use crate::names::{CircuitId, Fingerprint, NetworkLiveness, Nickname, StreamId};

/// The one question of a snapshot.
const CIRCUITS: &str = "circuit-status";
const STREAMS: &str = "stream-status";
const CONNECTIONS: &str = "orconn-status";
const GUARDS: &str = "entry-guards";
const ADDRESSES: &str = "address-mappings/all";
const BOOTSTRAP: &str = "status/bootstrap-phase";
const LIVENESS: &str = "network-liveness";

/// What tor is doing now, kept up to date by its events.
///
/// Made by [`State::new`]. Clones are cheap and share everything. A state, and each of its
/// circuits and streams, keeps its connection open. When the last of them is dropped its events
/// are no longer subscribed to, and its listeners are not called any more. When the connection
/// ends the state stays as it was.
///
/// What is known is read without waiting for tor, but for relays, which are loaded when they are
/// first asked for. What sends something says so.
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
/// Lock order, before the locks of the link: `registry` > `picture` > single circuits and streams.
/// The thread that reads takes only the last two.
pub(crate) struct Inner {
    pub(crate) controller: Controller,
    pub(crate) picture: Arc<Picture>,
    registry: Arc<Registry>,
    relays: RelaySource,
    _watch: HookGuard,
}

impl State {
    /// Asks tor what it is doing, and follows it from then on.
    ///
    /// Sends one `SETEVENTS`, with `ADDRMAP`, `CIRC`, `CIRC_MINOR`, `GUARD`, `NETWORK_LIVENESS`,
    /// `ORCONN`, `SIGNAL`, `STATUS_CLIENT`, `STREAM` and all other events that are wanted, unless
    /// these are subscribed to already; then one `GETINFO circuit-status stream-status
    /// orconn-status entry-guards address-mappings/all status/bootstrap-phase network-liveness`.
    /// Nothing that happens in between is lost or counted twice.
    ///
    /// Blocks the current thread until tor has answered both, at most for the
    /// [time limit](Controller::with_timeout) each.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_event_listener`] and of [`Controller::get_info`];
    /// [`Error::Protocol`](crate::Error::Protocol) if an answer cannot be read.
    #[doc(alias = "from_protocol")]
    pub fn new(controller: &Controller) -> Result<Self> {
        let picture = Arc::new(Picture::new());
        // Subscribe first, ask second, so that nothing is missed.
        let watch = controller.hook(KINDS, picture.clone())?;
        let keys = [CIRCUITS, STREAMS, CONNECTIONS, GUARDS, ADDRESSES, BOOTSTRAP, LIVENESS];
        let (info, events_before) = controller.get_info_numbered(&keys)?;
        let value = |key: &str| info.bytes(key).unwrap_or_default();
        let answers = Answers {
            circuits: CircEvent::read_status(value(CIRCUITS))?,
            streams: StreamEvent::read_status(value(STREAMS))?,
            connections: OrConnEvent::read_status(value(CONNECTIONS))?,
            guards: EntryGuard::read_list(value(GUARDS))?,
            addresses: AddressMapping::read_list(ADDRESSES, value(ADDRESSES))?,
            bootstrap: Bootstrap::from_bytes(value(BOOTSTRAP))?,
            liveness: read_liveness(value(LIVENESS))?,
        };
        picture.join(answers, events_before);
        let inner = Inner {
            controller: controller.clone(),
            picture,
            registry: Arc::default(),
            relays: RelaySource::default(),
            _watch: watch,
        };
        Ok(Self::from_inner(Arc::new(inner)))
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
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = SystemTime::now();
        self.inner.picture.read(|tracker| Snapshot::of(tracker, now)).sorted()
    }

    /// Returns the circuits, by identifier.
    #[must_use]
    pub fn circuits(&self) -> Vec<Circuit> {
        let circuit = |cell: &Arc<_>| Circuit::new(Arc::clone(&self.inner), Arc::clone(cell));
        let mut circuits: Vec<_> =
            self.inner.picture.read(|tracker| tracker.circuits().map(circuit).collect());
        circuits.sort_by_cached_key(Circuit::id);
        circuits
    }

    /// Returns a circuit that is there.
    #[must_use]
    pub fn circuit(&self, id: &CircuitId) -> Option<Circuit> {
        let cell = self.inner.picture.read(|tracker| tracker.circuit(id).cloned())?;
        Some(Circuit::new(Arc::clone(&self.inner), cell))
    }

    /// Returns the streams, by identifier: not those that have failed and are about to be closed.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let stream = |cell: &Arc<_>| Stream::new(Arc::clone(&self.inner), Arc::clone(cell));
        let mut streams: Vec<_> =
            self.inner.picture.read(|tracker| tracker.streams().map(stream).collect());
        streams.sort_by_cached_key(Stream::id);
        streams
    }

    /// Returns a stream that is there.
    #[must_use]
    pub fn stream(&self, id: &StreamId) -> Option<Stream> {
        let cell = self
            .inner
            .picture
            .read(|tracker| tracker.stream(id).filter(|cell| !cell.info().is_over()).cloned())?;
        Some(Stream::new(Arc::clone(&self.inner), cell))
    }

    /// Returns the guards through which tor enters the network: those of the snapshot in tor's
    /// order, then newer ones.
    ///
    /// tor tells when a guard comes, goes, and can or cannot be reached. What else it knows, such
    /// as its order of preference, only [`Controller::entry_guards`] asks for.
    #[must_use]
    pub fn guards(&self) -> Vec<EntryGuard> {
        self.inner.picture.read(|tracker| tracker.guards().to_vec())
    }

    /// Returns the names and addresses that stand for others, by name; none whose time is over.
    ///
    /// Of two things tor does not tell, so that only [`Controller::address_mappings`] knows them: that
    /// an address was set free by mapping it to itself, or by taking it out of the option
    /// `MapAddress`; and that a new mapping is one of all names that end so.
    #[doc(alias = "addrmap")]
    #[must_use]
    pub fn address_map(&self) -> Vec<AddressMapping> {
        let now = SystemTime::now();
        self.inner.picture.read(|tracker| tracker.address_map(now))
    }

    /// Returns the connections to relays.
    #[must_use]
    pub fn connections(&self) -> Vec<OrConnection> {
        self.inner.picture.read(|tracker| tracker.connections().to_vec())
    }

    /// Returns how far tor's start has come.
    #[must_use]
    pub fn bootstrap(&self) -> Option<Bootstrap> {
        self.inner.picture.read(|tracker| tracker.bootstrap().cloned())
    }

    /// Returns whether the network can be reached, as far as tor can tell.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let up = |liveness: &NetworkLiveness| *liveness == NetworkLiveness::Up;
        self.inner.picture.read(|tracker| tracker.liveness().is_some_and(up))
    }

    /// Calls a closure for every change of every circuit; first, with
    /// [`CircuitChange::Existing`], for each circuit that is there.
    ///
    /// Closures of a state run on the thread `torcon-state`, one at a time and in the order of the
    /// events; the handles and the state may be further by then. A closure may do anything: send
    /// commands, wait, add and remove listeners, close the connection. While it runs, later updates
    /// wait for it; if too many wait, the newest are dropped, and the next update that each
    /// listener gets tells how many. If it panics, the panic is logged and the listener removed.
    /// It should hold a [`WeakState`] and not a `State`; those of its argument are enough in most
    /// cases. After the end of the connection it gets what came before, unless this program closed
    /// the connection.
    ///
    /// Sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) if the connection has ended;
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if no thread can be started.
    #[doc(alias = "add_circuit_listener")]
    pub fn on_circuit<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&CircuitUpdate) + Send + 'static,
    {
        let callback = Callback::Circuit(None, Box::new(listener));
        self.inner.registry.add(&self.inner, callback, |tracker| {
            tracker.circuits().cloned().map(change::existing_circuit).collect()
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
    #[doc(alias = "add_stream_listener")]
    pub fn on_stream<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&StreamUpdate) + Send + 'static,
    {
        let callback = Callback::Stream(None, Box::new(listener));
        self.inner.registry.add(&self.inner, callback, |tracker| {
            tracker.streams().cloned().map(change::existing_stream).collect()
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
        self.inner.registry.add(&self.inner, callback, |tracker| {
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
        match self.inner.registry.remove(&self.inner.picture, listener) {
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
    /// changed. Only if tor tells of the descriptor of a relay that is not known here, they are
    /// loaded anew.
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
    pub fn relay(&self, fingerprint: &Fingerprint) -> Result<Option<RouterStatus>> {
        Ok(self.relays()?.get(fingerprint).cloned())
    }

    /// Returns what the consensus says about the relays of a nickname; see
    /// [`relays`](Self::relays) for what is sent and waited for.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays).
    pub fn relays_named(&self, nickname: &Nickname) -> Result<Vec<RouterStatus>> {
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
        // The thread ends by itself; it may be the one that is here.
        self.picture.end_queue();
    }
}

/// `GETINFO` says in lower case what the event says in upper case.
fn read_liveness(answer: &[u8]) -> Result<NetworkLiveness, ProtocolError> {
    match answer {
        b"up" => Ok(NetworkLiveness::Up),
        b"down" => Ok(NetworkLiveness::Down),
        other => Err(ProtocolError::new(LIVENESS, "up or down", other)),
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (circuits, streams) = self
            .inner
            .picture
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
