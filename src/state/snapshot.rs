//! Everything at one moment.

use std::sync::Arc;
use std::time::SystemTime;

use super::circuit_info::CircuitInfo;
use super::connections::OrConnection;
use super::stream_info::StreamInfo;
use super::tracker::Tracker;
use crate::event::Bootstrap;
use crate::info::{AddressMapping, EntryGuard};
use crate::names::{CircuitId, NetworkLiveness, StreamId};

/// What tor was doing at one moment: everything up to one event, and nothing after it.
///
/// Made by [`State::snapshot`](super::State::snapshot). It can be kept and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The circuits, by identifier.
    pub circuits: Vec<Arc<CircuitInfo>>,
    /// The streams, by identifier.
    pub streams: Vec<Arc<StreamInfo>>,
    /// The guards through which tor enters the network.
    pub guards: Vec<EntryGuard>,
    /// The names and addresses that stand for others, by name.
    pub address_map: Vec<AddressMapping>,
    /// The connections to relays.
    pub connections: Vec<OrConnection>,
    /// How far tor's start has come.
    pub bootstrap: Option<Bootstrap>,
    /// Whether the network can be reached.
    pub liveness: Option<NetworkLiveness>,
    number: u64,
}

impl Snapshot {
    /// Takes everything, in no order: the reader waits meanwhile.
    pub(super) fn of(tracker: &Tracker, now: SystemTime) -> Self {
        Self {
            circuits: tracker.circuits().map(|cell| cell.info()).collect(),
            streams: tracker.streams().map(|cell| cell.info()).collect(),
            guards: tracker.guards().to_vec(),
            address_map: tracker.address_map(now),
            connections: tracker.connections().to_vec(),
            bootstrap: tracker.bootstrap().cloned(),
            liveness: tracker.liveness().cloned(),
            number: tracker.number(),
        }
    }

    /// Sorts what has an order.
    pub(super) fn sorted(mut self) -> Self {
        self.circuits.sort_by_cached_key(|info| info.id);
        self.streams.sort_by_cached_key(|info| info.id);
        self
    }

    /// Returns the number of the moment: one that is later has a higher number, unless nothing
    /// has happened in between.
    ///
    /// It counts the events of the connection up to this moment.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns a circuit.
    #[must_use]
    pub fn circuit(&self, id: CircuitId) -> Option<&Arc<CircuitInfo>> {
        let place = self.circuits.binary_search_by_key(&id, |info| info.id).ok()?;
        self.circuits.get(place)
    }

    /// Returns a stream.
    #[must_use]
    pub fn stream(&self, id: StreamId) -> Option<&Arc<StreamInfo>> {
        let place = self.streams.binary_search_by_key(&id, |info| info.id).ok()?;
        self.streams.get(place)
    }

    /// Returns the streams on a circuit.
    pub fn streams_of(&self, circuit: CircuitId) -> impl Iterator<Item = &Arc<StreamInfo>> {
        self.streams.iter().filter(move |stream| stream.circuit == Some(circuit))
    }
}
