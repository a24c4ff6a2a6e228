//! The changes of circuits, streams and address mappings that listeners receive.

use std::sync::Arc;
use std::time::SystemTime;

use super::circuit_info::{CircuitCell, CircuitInfo};
use super::stream_info::{StreamCell, StreamInfo};
use super::{Circuit, Stream};
use crate::info::AddressMapping;
use crate::names::{CircuitId, CircuitPurpose, CircuitStatus, HsState, StreamStatus};

/// A change of a circuit.
///
/// The first change of a circuit is [`New`](Self::New), or [`Existing`](Self::Existing) if it
/// existed before the listener; the last is [`Closed`](Self::Closed), [`Failed`](Self::Failed) or
/// [`Lost`](Self::Lost).
///
/// # Examples
///
/// ```no_run
/// use torcon::state::CircuitChange;
///
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// state.on_circuit(|update| match update.change {
///     CircuitChange::Built => println!("{} is built", update.info.id()),
///     _ => {}
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitChange {
    /// The circuit existed when the listener was added, or when a supervisor connected again.
    Existing,
    /// The circuit is reported for the first time; the change that caused the report follows.
    New,
    /// The circuit was launched.
    Launched,
    /// The circuit was extended by one hop.
    Extended,
    /// The circuit was built. A circuit that is extended or cannibalized is built again.
    Built,
    /// The purpose or the onion service state changed.
    #[non_exhaustive]
    PurposeChanged {
        /// The former purpose.
        old_purpose: Option<CircuitPurpose>,
        /// The former onion service state.
        old_hs_state: Option<HsState>,
    },
    /// The circuit was cannibalized: it gets another purpose and is extended.
    #[non_exhaustive]
    Cannibalized {
        /// The former purpose.
        old_purpose: Option<CircuitPurpose>,
        /// The former onion service state.
        old_hs_state: Option<HsState>,
        /// The former creation time, if tor replaced it by the time of cannibalization.
        old_time_created: Option<SystemTime>,
    },
    /// The circuit closed after it was built.
    Closed,
    /// The circuit failed before it was built.
    Failed,
    /// The connection to tor ended, so it is unknown whether the circuit still exists. Only a state
    /// of a supervisor reports this.
    Lost,
    /// Another change, reported by an event with this state.
    Other(CircuitStatus),
}

/// A change of a stream.
///
/// The first change of a stream is [`New`](Self::New), or [`Existing`](Self::Existing) if it
/// existed before the listener; the last is [`Closed`](Self::Closed) or [`Lost`](Self::Lost).
///
/// # Examples
///
/// ```no_run
/// use torcon::state::StreamChange;
///
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// state.on_stream(|update| match update.change {
///     StreamChange::New => println!("to {}", update.info.target()),
///     _ => {}
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamChange {
    /// The stream existed when the listener was added, or when a supervisor connected again.
    Existing,
    /// The stream is reported for the first time; the change that caused the report may follow.
    New,
    /// The stream waits for a controller to attach it.
    Waiting,
    /// The stream was attached to this circuit. On a conflux pair it may move between the legs.
    Attached(CircuitId),
    /// The request was sent on the circuit.
    Sent,
    /// The target was remapped.
    Remapped,
    /// The stream is connected, or the name resolved.
    Succeeded,
    /// The stream was detached from this circuit and may be retried on another.
    Detached(Option<CircuitId>),
    /// The stream failed and will be closed.
    Failed,
    /// The stream was closed.
    Closed,
    /// The connection to tor ended, so it is unknown whether the stream still exists. Only a state
    /// of a supervisor reports this.
    Lost,
    /// Another change, reported by an event with this status.
    Other(StreamStatus),
}

/// A change of an address mapping.
///
/// # Examples
///
/// ```no_run
/// use torcon::state::AddressChange;
///
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// state.on_address(|update| match update.change {
///     AddressChange::Lost => println!("the connection has ended"),
///     _ => {}
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressChange {
    /// The mapping existed when the listener was added, or when a supervisor connected again.
    Existing,
    /// The name or address was mapped or remapped.
    Mapped,
    /// The mapping expired.
    Expired,
    /// The mapping was removed.
    Removed,
    /// The connection to tor ended, so it is unknown whether the mapping still exists. Only a state
    /// of a supervisor reports this.
    Lost,
}

/// A change of a circuit, for listeners.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// state.on_circuit(|update| println!("{} {}", update.info.id(), update.info.status()))?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CircuitUpdate {
    /// A handle to the circuit.
    pub circuit: Circuit,
    /// The circuit as it was right after the change.
    pub info: Arc<CircuitInfo>,
    /// The change.
    pub change: CircuitChange,
    /// How many updates this listener lost just before this one because listeners were too slow.
    /// The state itself loses none.
    pub lost: u64,
}

/// A change of a stream, for listeners.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// state.on_stream(|update| println!("{} {}", update.info.id(), update.info.status()))?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamUpdate {
    /// A handle to the stream.
    pub stream: Stream,
    /// The stream as it was right after the change.
    pub info: Arc<StreamInfo>,
    /// The change.
    pub change: StreamChange,
    /// How many updates this listener lost just before this one because listeners were too slow.
    /// The state itself loses none.
    pub lost: u64,
}

/// A change of the address map, for listeners.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// state.on_address(|update| println!("{update:?}"))?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddressUpdate {
    /// The mapping.
    pub mapping: AddressMapping,
    /// The change.
    pub change: AddressChange,
    /// How many updates this listener lost just before this one because listeners were too slow.
    /// The state itself loses none.
    pub lost: u64,
}

/// A change, as the tracker reports it.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Circuit { cell: Arc<CircuitCell>, info: Arc<CircuitInfo>, change: CircuitChange },
    Stream { cell: Arc<StreamCell>, info: Arc<StreamInfo>, change: StreamChange },
    Address { mapping: AddressMapping, change: AddressChange },
}

impl Change {
    /// Returns the approximate size of the memory that this change keeps allocated.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Circuit { info, .. } => size_of::<CircuitCell>() + info.size(),
            Self::Stream { info, .. } => size_of::<StreamCell>() + info.size(),
            Self::Address { mapping, .. } => mapping.address.len() + mapping.new_address.len(),
        }
    }
}

/// Returns the first change of a circuit for a new listener: that it exists, or how it ended.
pub(super) fn existing_circuit(cell: Arc<CircuitCell>) -> Change {
    let info = cell.info();
    let change = match info.status() {
        CircuitStatus::Closed => CircuitChange::Closed,
        CircuitStatus::Failed => CircuitChange::Failed,
        _ => CircuitChange::Existing,
    };
    Change::Circuit { cell, info, change }
}

/// Returns the first change of a stream for a new listener: that it exists, or that it ended.
pub(super) fn existing_stream(cell: Arc<StreamCell>) -> Change {
    let info = cell.info();
    let change = match info.status() {
        StreamStatus::Closed => StreamChange::Closed,
        _ => StreamChange::Existing,
    };
    Change::Stream { cell, info, change }
}
