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

/// A key of `GETINFO` that a state queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InfoKey {
    Circuits,
    Streams,
    Connections,
    Guards,
    Addresses,
    Bootstrap,
    Liveness,
}

impl InfoKey {
    /// All keys, in the order of the command.
    pub(super) const ALL: [Self; 7] = [
        Self::Circuits,
        Self::Streams,
        Self::Connections,
        Self::Guards,
        Self::Addresses,
        Self::Bootstrap,
        Self::Liveness,
    ];

    /// Returns the key as text.
    pub(super) fn as_str(self) -> &'static str {
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

    /// Parses the lines of a value; returns the error of the first line that cannot be parsed.
    pub(super) fn read(self, answer: &[u8], answers: &mut Answers) -> Result<(), ProtocolError> {
        match self {
            Self::Circuits => lines(answer, CircEvent::read_status, &mut answers.circuits),
            Self::Streams => lines(answer, StreamEvent::read_status, &mut answers.streams),
            Self::Connections => lines(answer, OrConnEvent::read_status, &mut answers.connections),
            Self::Guards => lines(answer, EntryGuard::read_list, &mut answers.guards),
            Self::Addresses => {
                let read = |line: &[u8]| AddressMapping::read_list(self.as_str(), line);
                lines(answer, read, &mut answers.addresses)
            }
            Self::Bootstrap => {
                answers.bootstrap = Some(Bootstrap::from_bytes(answer)?);
                Ok(())
            }
            // The value is in lower case, the event has upper case.
            Self::Liveness => {
                answers.liveness = Some(match answer {
                    b"up" => NetworkLiveness::Up,
                    b"down" => NetworkLiveness::Down,
                    other => return Err(ProtocolError::new(self.as_str(), "up or down", other)),
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

/// The contents of a state at one moment, between two events.
///
/// Returned by [`State::snapshot`](super::State::snapshot). It never changes.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let snapshot = state.snapshot();
/// for circuit in &snapshot.circuits {
///     println!("{}: {} streams", circuit.id(), snapshot.streams_of(circuit.id()).count());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The circuits, by identifier.
    pub circuits: Vec<Arc<CircuitInfo>>,
    /// The streams, by identifier.
    pub streams: Vec<Arc<StreamInfo>>,
    /// The entry guards; [`State::guards`](super::State::guards) explains which can be outdated.
    pub guards: Vec<EntryGuard>,
    /// The active address mappings, sorted by name;
    /// [`State::address_map`](super::State::address_map) explains which can be outdated.
    pub address_map: Vec<AddressMapping>,
    /// The connections to relays; [`State::connections`](super::State::connections) explains which
    /// can be outdated.
    pub connections: Vec<OrConnection>,
    /// tor's bootstrap progress, by its last event.
    pub bootstrap: Option<Bootstrap>,
    /// Whether tor reaches the network, by its last event. Stays `UP` if `DisableNetwork` is set.
    pub liveness: Option<NetworkLiveness>,
    number: u64,
}

impl Snapshot {
    /// Copies everything.
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

    /// Returns the number of events of the connection before this snapshot. A later snapshot of the
    /// connection has the same number or a higher one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let snapshot = state.snapshot();
    /// assert!(state.snapshot().number() >= snapshot.number());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns a circuit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let snapshot = state.snapshot();
    /// println!("{:?}", snapshot.circuit(7.into()));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn circuit(&self, id: CircuitId) -> Option<&Arc<CircuitInfo>> {
        let index = self.circuits.binary_search_by_key(&id, |info| info.id()).ok()?;
        self.circuits.get(index)
    }

    /// Returns a stream.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let snapshot = state.snapshot();
    /// println!("{:?}", snapshot.stream(7.into()));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn stream(&self, id: StreamId) -> Option<&Arc<StreamInfo>> {
        let index = self.streams.binary_search_by_key(&id, |info| info.id()).ok()?;
        self.streams.get(index)
    }

    /// Returns the streams on a circuit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let snapshot = state.snapshot();
    /// for stream in snapshot.streams_of(7.into()) {
    ///     println!("{}", stream.target());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn streams_of(&self, circuit: CircuitId) -> impl Iterator<Item = &Arc<StreamInfo>> {
        self.streams.iter().filter(move |stream| stream.circuit() == Some(circuit))
    }
}
