//! What can happen to circuits, streams and mappings, as listeners are told.

use std::sync::Arc;
use std::time::SystemTime;

use super::circuit_info::{CircuitCell, CircuitInfo};
use super::stream_info::{StreamCell, StreamInfo};
use super::{Circuit, Stream};
use crate::info::AddressMapping;
use crate::names::{CircuitId, CircuitPurpose, CircuitStatus, HsState, StreamStatus};

/// What has happened to a circuit.
///
/// A circuit begins with [`New`](Self::New), or with [`Existing`](Self::Existing) if it was there
/// before the listener, and ends with [`Closed`](Self::Closed) or [`Failed`](Self::Failed); nothing
/// comes after that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitChange {
    /// It was there when the listener was added.
    Existing,
    /// It is seen for the first time; what has happened to it comes next, and may be anything.
    New,
    /// It has been begun.
    Launched,
    /// One more hop is there.
    Extended,
    /// It is built. A circuit that is made longer, or used for something else, is built again.
    Built,
    /// Its purpose is another, or it has come further as a circuit of onion services.
    #[non_exhaustive]
    PurposeChanged {
        /// What it was used for before.
        old_purpose: Option<CircuitPurpose>,
        /// How far it had come before.
        old_hs_state: Option<HsState>,
    },
    /// It was taken for something else than it had been built for, and will be extended.
    #[non_exhaustive]
    Cannibalized {
        /// What it was used for before.
        old_purpose: Option<CircuitPurpose>,
        /// How far it had come before.
        old_hs_state: Option<HsState>,
        /// When it was begun, if that was changed to the time when it was taken.
        old_time_created: Option<SystemTime>,
    },
    /// It ended after it was built.
    Closed,
    /// It ended before it was built.
    Failed,
    /// Something else, told by an event with this state.
    Other(CircuitStatus),
}

/// What has happened to a stream.
///
/// A stream begins with [`New`](Self::New), or with [`Existing`](Self::Existing) if it was there
/// before the listener, and ends with [`Closed`](Self::Closed); nothing comes after that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamChange {
    /// It was there when the listener was added.
    Existing,
    /// It is seen for the first time; what has happened to it may come next.
    New,
    /// It waits for a controller to choose its circuit.
    Waiting,
    /// It is on this circuit now. A stream on a pair of circuits may change between them.
    Attached(CircuitId),
    /// Its request went out over its circuit.
    Sent,
    /// Its target was replaced by another address.
    Remapped,
    /// It is connected, or the name resolved.
    Succeeded,
    /// It left its circuit, which this is, and may be tried on another.
    Detached(Option<CircuitId>),
    /// It failed, and will be closed.
    Failed,
    /// It ended.
    Closed,
    /// Something else, told by an event with this status.
    Other(StreamStatus),
}

/// What has happened to a mapping of a name or address to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressChange {
    /// It was there when the listener was added.
    Existing,
    /// The name or address was mapped, perhaps anew.
    Mapped,
    /// The time of the mapping is over.
    Expired,
    /// The mapping was taken away.
    Removed,
}

/// A change of a circuit, for listeners.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CircuitUpdate {
    /// The circuit, as it is by now.
    pub circuit: Circuit,
    /// What was known of it right after the change.
    pub info: Arc<CircuitInfo>,
    /// What has happened.
    pub change: CircuitChange,
    /// How many updates of this listener were lost just before this one because listeners were too
    /// slow; nearly always 0. What the state itself knows is never lost.
    pub lost: u64,
}

/// A change of a stream, for listeners.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamUpdate {
    /// The stream, as it is by now.
    pub stream: Stream,
    /// What was known of it right after the change.
    pub info: Arc<StreamInfo>,
    /// What has happened.
    pub change: StreamChange,
    /// How many updates of this listener were lost just before this one because listeners were too
    /// slow; nearly always 0. What the state itself knows is never lost.
    pub lost: u64,
}

/// A change of the address map, for listeners.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddressUpdate {
    /// The mapping.
    pub mapping: AddressMapping,
    /// What has happened.
    pub change: AddressChange,
    /// How many updates of this listener were lost just before this one because listeners were too
    /// slow; nearly always 0. What the state itself knows is never lost.
    pub lost: u64,
}

/// A change, as the tracker finds it.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Circuit { cell: Arc<CircuitCell>, info: Arc<CircuitInfo>, change: CircuitChange },
    Stream { cell: Arc<StreamCell>, info: Arc<StreamInfo>, change: StreamChange },
    Address { mapping: AddressMapping, change: AddressChange },
}

impl Change {
    /// Returns about how many bytes this keeps, also if nothing else keeps them.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Circuit { info, .. } => size_of::<CircuitCell>() + info.size(),
            Self::Stream { info, .. } => size_of::<StreamCell>() + info.size(),
            Self::Address { mapping, .. } => mapping.address.len() + mapping.new_address.len(),
        }
    }
}

/// What a listener is called with first: that the circuit exists, or how it ended.
pub(super) fn existing_circuit(cell: Arc<CircuitCell>) -> Change {
    let info = cell.info();
    let change = match info.status() {
        CircuitStatus::Closed => CircuitChange::Closed,
        CircuitStatus::Failed => CircuitChange::Failed,
        _ => CircuitChange::Existing,
    };
    Change::Circuit { cell, info, change }
}

/// What a listener is called with first: that the stream exists, or that it ended.
pub(super) fn existing_stream(cell: Arc<StreamCell>) -> Change {
    let info = cell.info();
    let change = match info.status() {
        StreamStatus::Closed => StreamChange::Closed,
        _ => StreamChange::Existing,
    };
    Change::Stream { cell, info, change }
}
