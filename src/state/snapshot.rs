//! The queries of a state, and its snapshots.

use std::sync::Arc;
use std::time::SystemTime;

use super::circuit_info::CircuitInfo;
use super::connections::OrConnection;
use super::stream_info::StreamInfo;
use super::tracker::{Answers, Tracker};
use crate::error::ProtocolError;
use crate::event::{Bootstrap, CircEvent, OrConnEvent, StreamEvent};
use crate::info::{AddressMapping, EntryGuard};
use crate::names::{CircuitId, NetworkLiveness, StreamId};

/// A `GETINFO` query of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Circuits,
    Streams,
    Connections,
    Guards,
    Addresses,
    Bootstrap,
    Liveness,
}

impl Question {
    /// All queries, in the order in which they are sent.
    pub(super) const ALL: [Self; 7] = [
        Self::Circuits,
        Self::Streams,
        Self::Connections,
        Self::Guards,
        Self::Addresses,
        Self::Bootstrap,
        Self::Liveness,
    ];

    /// Returns the key of `GETINFO`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Circuits => "circuit-status",
            Self::Streams => "stream-status",
            Self::Connections => "orconn-status",
            Self::Guards => "entry-guards",
            Self::Addresses => "address-mappings/all",
            Self::Bootstrap => "status/bootstrap-phase",
            Self::Liveness => "network-liveness",
        }
    }

    /// Reads every line of a value that can be read, and returns the error of the first other line.
    pub(super) fn read(self, answer: &[u8], answers: &mut Answers) -> Result<(), ProtocolError> {
        match self {
            Self::Circuits => lines(answer, CircEvent::read_status, &mut answers.circuits),
            Self::Streams => lines(answer, StreamEvent::read_status, &mut answers.streams),
            Self::Connections => lines(answer, OrConnEvent::read_status, &mut answers.connections),
            Self::Guards => lines(answer, EntryGuard::read_list, &mut answers.guards),
            Self::Addresses => {
                let read = |line: &[u8]| AddressMapping::read_list(self.key(), line);
                lines(answer, read, &mut answers.addresses)
            }
            Self::Bootstrap => {
                answers.bootstrap = Some(Bootstrap::from_bytes(answer)?);
                Ok(())
            }
            // The value is in lower case, the word of the event in upper case.
            Self::Liveness => {
                answers.liveness = Some(match answer {
                    b"up" => NetworkLiveness::Up,
                    b"down" => NetworkLiveness::Down,
                    other => return Err(ProtocolError::new(self.key(), "up or down", other)),
                });
                Ok(())
            }
        }
    }
}

fn lines<T>(
    answer: &[u8],
    read: impl Fn(&[u8]) -> Result<Vec<T>, ProtocolError>,
    into: &mut Vec<T>,
) -> Result<(), ProtocolError> {
    let mut outcome = Ok(());
    for line in answer.split(|byte| *byte == b'\n') {
        match read(line) {
            Ok(entries) => into.extend(entries),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// The contents of a state at one moment: after one event, and before the next.
///
/// Returned by [`State::snapshot`](super::State::snapshot). It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The circuits, by identifier.
    pub circuits: Vec<Arc<CircuitInfo>>,
    /// The streams, by identifier.
    pub streams: Vec<Arc<StreamInfo>>,
    /// The entry guards; see [`State::guards`](super::State::guards)
    /// for what can be out of date.
    pub guards: Vec<EntryGuard>,
    /// The active address mappings, sorted by name; see
    /// [`State::address_map`](super::State::address_map) for what can be out of date.
    pub address_map: Vec<AddressMapping>,
    /// The connections to relays; see [`State::connections`](super::State::connections) for what
    /// can be out of date.
    pub connections: Vec<OrConnection>,
    /// tor's bootstrap progress, by its last event.
    pub bootstrap: Option<Bootstrap>,
    /// Whether tor reaches the network, by its last event. Stays up if `DisableNetwork` is set.
    pub liveness: Option<NetworkLiveness>,
    number: u64,
}

impl Snapshot {
    /// Copies everything unsorted: the reader waits for this.
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

    /// Sorts the lists.
    pub(super) fn sorted(mut self) -> Self {
        self.circuits.sort_by_cached_key(|info| info.id());
        self.streams.sort_by_cached_key(|info| info.id());
        self
    }

    /// Returns the number of events of the connection up to this snapshot. A later snapshot of the
    /// connection has the same number or a higher one.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns a circuit.
    #[must_use]
    pub fn circuit(&self, id: CircuitId) -> Option<&Arc<CircuitInfo>> {
        let place = self.circuits.binary_search_by_key(&id, |info| info.id()).ok()?;
        self.circuits.get(place)
    }

    /// Returns a stream.
    #[must_use]
    pub fn stream(&self, id: StreamId) -> Option<&Arc<StreamInfo>> {
        let place = self.streams.binary_search_by_key(&id, |info| info.id()).ok()?;
        self.streams.get(place)
    }

    /// Returns the streams on a circuit.
    pub fn streams_of(&self, circuit: CircuitId) -> impl Iterator<Item = &Arc<StreamInfo>> {
        self.streams.iter().filter(move |stream| stream.circuit() == Some(circuit))
    }
}
