//! A live view of tor: circuits, streams, relays, guards, connections, address mappings.
//!
//! A [`State`] takes one snapshot of tor and then applies its events. Reading it costs no command:
//! [`State::circuits`], [`State::streams`], [`State::guards`], [`State::address_map`], or
//! everything at one moment with [`State::snapshot`]. Listeners are called for changes of circuits,
//! streams and mappings. Relays are loaded at the first request.
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
//!     println!("{} {} with {} relays", info.id(), info.status(), info.path().len());
//! }
//! state.on_circuit(|update| match update.change {
//!     CircuitChange::Built => println!("{} is built", update.info.id()),
//!     CircuitChange::Failed => println!("{} failed: {:?}", update.info.id(), update.info.reason()),
//!     _ => {}
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! The thread that reads the connection applies each event before any listener of the
//! [`Controller`] gets it. So waits for circuits and streams work inside a listener, and a slow
//! listener delays only other listeners. The listeners of a state run on a separate thread,
//! `torcon-state`, which the first listener starts.
//!
//! **Invariant**: a state sends commands only in methods whose documentation says so.
//!
//! # Outdated values
//!
//! tor has events for most of its changes, but not for all. The documentation of each method and
//! field names the values that can be outdated.

mod addresses;
mod attacher;
mod build;
mod cell;
mod change;
mod circuit;
mod circuit_info;
mod connections;
mod country;
mod feed;
mod generation;
mod line;
mod listeners;
mod missing;
mod open_stream;
mod path;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod record;
mod refresh;
mod relays;
mod snapshot;
mod store;
mod stream;
mod stream_info;
mod supervised;
mod tracker;
mod waiters;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::sync::Mutex;

#[doc(alias = "attach_stream_failure")]
pub use self::attacher::Attach;
#[doc(alias("remove_attacher", "undo_attacher"))]
pub use self::attacher::AttacherGuard;
#[doc(alias = "PriorityAttacher")]
pub use self::attacher::AttacherOptions;
#[doc(alias("addrmap_added", "addrmap_expired"))]
pub use self::change::AddressChange;
#[doc(alias(
    "circuit_new",
    "circuit_launched",
    "circuit_extend",
    "circuit_built",
    "circuit_closed",
    "circuit_failed",
    "circuit_destroy",
))]
pub use self::change::CircuitChange;
#[doc(alias(
    "stream_new",
    "stream_succeeded",
    "stream_attach",
    "stream_detach",
    "stream_closed",
    "stream_failed",
))]
pub use self::change::StreamChange;
pub use self::change::{AddressUpdate, CircuitUpdate, StreamUpdate};
pub use self::circuit::Circuit;
pub use self::circuit_info::CircuitInfo;
pub use self::connections::OrConnection;
pub use self::listeners::StateListenerId;
pub use self::missing::MissingPart;
pub use self::path::{Path, PathSpec};
#[doc(alias = "IRouterContainer")]
pub use self::relays::Relays;
pub use self::snapshot::Snapshot;
pub use self::stream::Stream;
pub use self::stream_info::StreamInfo;

use self::attacher::Attachers;
use self::generation::{Generation, Owner};
use self::listeners::Listeners;
use self::refresh::{Part, Parts};
use self::store::Store;
use self::stream_info::StreamCell;
use self::tracker::Tracker;
use crate::clock::{self, deadline_after};
use crate::controller::Controller;
use crate::error::Result;
use crate::event::Bootstrap;
use crate::info::{AddressMapping, EntryGuard};
use crate::names::{CircuitId, NetworkLiveness, StreamId};

/// A live view of tor, kept up to date by its events.
///
/// Made by [`State::new`]. Clones are cheap and share everything. A state keeps its connection open,
/// and so does each handle of one of its circuits and streams. When the last of them is dropped, its
/// events are unsubscribed and its listeners are not called any more. When the connection ends, the
/// state stays as it was.
///
/// A state of a [supervisor](crate::Supervisor::state) is one object for all its connections. When
/// one ends, the state becomes empty, and its listeners get [`CircuitChange::Lost`],
/// [`StreamChange::Lost`] or [`AddressChange::Lost`] for everything that it had. After the next
/// connection they get `Existing` for everything that tor has then. In between, commands fail with
/// [`Error::Closed`](crate::Error::Closed), and listeners can be added. Circuits and streams belong
/// to their connection: after its end their commands and waits fail, and they never name a circuit
/// or stream of the next one.
///
/// Circuits and streams are read without a command. [`guards`](Self::guards),
/// [`address_map`](Self::address_map) and [`connections`](Self::connections) query tor again after
/// events that indicate a change which tor does not report.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// println!("{state:?}");
/// # Ok::<(), torcon::Error>(())
/// ```
#[doc(alias = "ICircuitContainer")]
#[doc(alias = "TorState")]
#[must_use = "the events are unsubscribed when the last handle is dropped"]
#[derive(Clone)]
pub struct State {
    shared: Arc<Shared>,
}

/// A handle that does not keep its state alive, for closures that the state owns.
///
/// Made by [`State::downgrade`].
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let weak = state.downgrade();
/// state.on_circuit(move |_| {
///     if let Some(state) = weak.upgrade() {
///         println!("{} circuits", state.circuits().len());
///     }
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeakState {
    shared: Weak<Shared>,
}

/// The parts of a state that all its handles share.
///
/// Lock order, before the locks of the link: `Generation::refreshing` > `listeners` > the store of a
/// generation > the queue of the feed > the leaf locks: `generation`, the attachers, the registry of
/// the feed, single circuits and streams. The reader thread takes only the locks from the store on.
/// No closure of a user is called or dropped with any of them.
///
/// A handle of a circuit or stream keeps this and its [`Generation`]; a generation keeps neither a
/// handle nor this. The threads of listeners and attachers keep neither of them.
pub(crate) struct Shared {
    /// The present generation; the only one of a state that is not supervised. A leaf lock.
    generation: Mutex<Arc<Generation>>,
    listeners: Listeners,
    attachers: Attachers,
    /// A supervisor moves the state to the next connection when this one has ended.
    is_supervised: bool,
}

impl State {
    /// Takes a snapshot of tor, and applies the events after it.
    ///
    /// If tor or a filter in front of it refuses an event or a key, or if a line of an answer cannot
    /// be parsed, the rest is used, and [`missing`](Self::missing) names what is missing.
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
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("{} circuits", state.circuits().len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "from_protocol")]
    pub fn new(controller: &Controller) -> Result<Self> {
        Self::new_before(controller, deadline_after(controller.timeout()))
    }

    /// Makes a state within the deadline of a longer call.
    pub(crate) fn new_before(controller: &Controller, deadline: Instant) -> Result<Self> {
        let generation = Generation::new(controller, Store::new(false), deadline)?;
        Ok(Self::from_shared(Shared::new(generation, false)))
    }

    fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns the owner of the handles of present circuits and streams.
    fn owner(&self) -> Owner {
        Owner::new(Arc::clone(&self.shared), self.shared.present())
    }

    /// Returns the parts that this state lacks: events that it could not subscribe to, and answers
    /// that were refused or had a line that could not be parsed. Usually empty.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("{:?}", state.missing());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn missing(&self) -> Vec<MissingPart> {
        self.shared.present().missing.clone()
    }

    /// Returns the controller; that of the last connection in a state of a supervisor.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("{}", state.controller().version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn controller(&self) -> Controller {
        self.shared.present().controller.clone()
    }

    /// Returns a handle that does not keep the state alive.
    ///
    /// A closure that the state owns, such as a listener, should hold this instead of a `State`:
    /// the closure would keep the state alive, and the state the closure.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let weak = state.downgrade();
    /// state.on_circuit(move |_| {
    ///     if let Some(state) = weak.upgrade() {
    ///         println!("{} circuits", state.circuits().len());
    ///     }
    /// })?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakState {
        WeakState { shared: Arc::downgrade(&self.shared) }
    }

    /// Returns a copy of the whole state at one moment.
    ///
    /// Sends one `GETINFO` if [`guards`](Self::guards), [`address_map`](Self::address_map) or
    /// [`connections`](Self::connections) would. Blocks for at most the
    /// [time limit](Controller::with_timeout), and usually not at all.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("{} circuits", state.snapshot().circuits.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let generation = self.shared.present();
        generation.refresh(Parts::ALL);
        let now = clock::system_now();
        generation.store.read(|tracker| Snapshot::of(tracker, now))
    }

    /// Returns the circuits, sorted by identifier.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{}", circuit.id());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_circuits")]
    #[must_use]
    pub fn circuits(&self) -> Vec<Circuit> {
        self.owner().circuits()
    }

    /// Returns a circuit, if it has not ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("{:?}", state.circuit(&7.into()));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "find_circuit")]
    #[must_use]
    pub fn circuit(&self, id: &CircuitId) -> Option<Circuit> {
        self.owner().into_circuit(id)
    }

    /// Returns the streams, sorted by identifier, without those that have failed and are about to be
    /// closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     println!("{}", stream.target());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_streams")]
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        self.owner().streams()
    }

    /// Returns a stream, if it has not ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("{:?}", state.stream(&7.into()));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn stream(&self, id: &StreamId) -> Option<Stream> {
        let owner = self.owner();
        let is_open = |cell: &&Arc<StreamCell>| !cell.info().is_over();
        let find = |tracker: &Tracker| tracker.stream(id).filter(is_open).cloned();
        let cell = owner.generation.store.read(find)?;
        Some(Stream::new(owner, cell))
    }

    /// Returns tor's entry guards, in its order.
    ///
    /// tor has no event for a guard that is unlisted, filtered, or too old. The guards are refreshed
    /// after events that can be the reason: a changed option, a reload, a new consensus, a guard that
    /// is down or is tried again. Until then, a guard that tor will try again is reported as down.
    ///
    /// Sends `GETINFO entry-guards` once after such an event. Blocks for at most the [time
    /// limit](Controller::with_timeout). Without a reply, returns the former guards.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for guard in state.guards() {
    ///     println!("{} is {}", guard.relay, guard.status);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn guards(&self) -> Vec<EntryGuard> {
        let generation = self.shared.present();
        generation.refresh(Parts::of(Part::Guards));
        generation.store.read(|tracker| tracker.guards().to_vec())
    }

    /// Returns the active address mappings, sorted by name; expired ones are left out.
    ///
    /// tor has no event for a mapping that disappears with a changed option or a reload, for an
    /// address that is mapped to itself, or for a wildcard mapping. The mappings are refreshed after
    /// events that can be the reason: a changed option, a reload, a new mapping that does not expire,
    /// and a stream that may have prolonged a mapping of `TrackHostExits`. A mapping that another
    /// controller removes by mapping the address to itself stays until the next refresh.
    ///
    /// Sends `GETINFO address-mappings/all` once after such an event. Blocks for at most the [time
    /// limit](Controller::with_timeout). Without a reply, returns the former mappings.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for mapping in state.address_map() {
    ///     println!("{} -> {}", mapping.address, mapping.new_address);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "AddrMap")]
    #[doc(alias = "addrmap")]
    #[must_use]
    pub fn address_map(&self) -> Vec<AddressMapping> {
        let generation = self.shared.present();
        generation.refresh(Parts::of(Part::Addresses));
        let now = clock::system_now();
        generation.store.read(|tracker| tracker.address_map(now))
    }

    /// Returns tor's connections to relays.
    ///
    /// tor does not list the identifiers of connections that are older than the state. The
    /// connections are refreshed after an event that may be about one of these or about another
    /// connection.
    ///
    /// Sends `GETINFO orconn-status` once after such an event. Blocks for at most the [time
    /// limit](Controller::with_timeout). Without a reply, returns the former connections.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("{} connections", state.connections().len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn connections(&self) -> Vec<OrConnection> {
        let generation = self.shared.present();
        generation.refresh(Parts::of(Part::Connections));
        generation.store.read(|tracker| tracker.connections().to_vec())
    }

    /// Returns tor's bootstrap progress, by its last event.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// if let Some(bootstrap) = state.bootstrap() {
    ///     println!("{} %", bootstrap.progress);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn bootstrap(&self) -> Option<Bootstrap> {
        self.shared.present().store.read(|tracker| tracker.bootstrap().cloned())
    }

    /// Returns whether tor reaches the network, by its last event. Whether the control connection is
    /// open is what [`Controller::is_alive`] says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// println!("live: {}", state.is_live());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn is_live(&self) -> bool {
        let up = |liveness: &NetworkLiveness| *liveness == NetworkLiveness::Up;
        self.shared.present().store.read(|tracker| tracker.liveness().is_some_and(up))
    }
}

impl WeakState {
    /// Returns the state, unless its last handle was dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let weak = state.downgrade();
    /// state.on_circuit(move |_| {
    ///     if let Some(state) = weak.upgrade() {
    ///         println!("{} circuits", state.circuits().len());
    ///     }
    /// })?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn upgrade(&self) -> Option<State> {
        self.shared.upgrade().map(State::from_shared)
    }
}

impl Shared {
    fn new(generation: Arc<Generation>, is_supervised: bool) -> Arc<Self> {
        let generation = Mutex::new(generation);
        let (listeners, attachers) = (Listeners::default(), Attachers::default());
        Arc::new(Self { generation, listeners, attachers, is_supervised })
    }

    /// Returns the present generation.
    fn present(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.lock())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.listeners.lock().end();
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.shared.present();
        let (circuits, streams) = generation
            .store
            .read(|tracker| (tracker.circuits().count(), tracker.streams().count()));
        f.debug_struct("State")
            .field("controller", &generation.controller)
            .field("circuits", &circuits)
            .field("streams", &streams)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("generation", &self.generation).finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
#[path = "../tests/schedules/models/state.rs"]
mod schedules;

#[cfg(test)]
mod tests;
