//! The tracker: applies events to the contents of a state. Pure: it has no lock, no clock and no
//! thread.
//!
//! A state begins with a snapshot, the reply to one `GETINFO`. Events that arrive before it are
//! kept; after the reply, those that it reflects are discarded and the others applied. tor may send
//! the event of a change after a reply that reflects the change, so that the event is applied
//! again. Therefore applying an event is idempotent: the last event of a circuit or stream decides.

mod handover;
mod staleness;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use super::addresses::Addresses;
use super::change::{AddressChange, Change, CircuitChange, StreamChange};
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::connections::{Connections, Fit, Guards, OrConnection};
use super::refresh::{Part, Parts};
use super::stream_info::{StreamCell, StreamInfo};
use crate::event::{
    Bootstrap, CircEvent, CircMinorEvent, Event, EventText, OrConnEvent, SignalEvent, StreamEvent,
};
use crate::info::{AddressMapping, EntryGuard};
use crate::names::{
    CircMinorChange, CircuitId, CircuitStatus, NetworkLiveness, Signal, StreamId, StreamStatus,
};

/// The answers of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) circuits: Vec<CircEvent>,
    pub(super) streams: Vec<StreamEvent>,
    pub(super) connections: Vec<OrConnEvent>,
    pub(super) guards: Vec<EntryGuard>,
    pub(super) addresses: Vec<AddressMapping>,
    pub(super) bootstrap: Option<Bootstrap>,
    pub(super) liveness: Option<NetworkLiveness>,
}

/// The number of ended circuits that are kept for threads that wait for the reply to
/// `EXTENDCIRCUIT`, which names the circuit. Far fewer end between the reply and its reader.
const ENDED_KEPT: usize = 2048;

/// The contents of a state, by its snapshot and the events after it.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    circuits: HashMap<CircuitId, Arc<CircuitCell>>,
    /// The last circuits that ended while a thread was waiting for the reply to `EXTENDCIRCUIT`.
    ended: VecDeque<Arc<CircuitCell>>,
    /// The highest circuit that was removed from `ended` for lack of room.
    left_out: Option<CircuitId>,
    /// The number of threads that wait for the reply to `EXTENDCIRCUIT`.
    beginning: usize,
    /// Includes streams that have failed and are not closed yet.
    streams: HashMap<StreamId, Arc<StreamCell>>,
    connections: Connections,
    guards: Guards,
    addresses: Addresses,
    bootstrap: Option<Bootstrap>,
    liveness: Option<NetworkLiveness>,
    /// The parts that the next reader refreshes.
    stale: Parts,
    /// The parts that a thread refreshes now.
    refreshing: Parts,
    /// The parts whose keys tor or a filter refuses.
    unavailable: Parts,
    /// The events about the parts in `refreshing` since the refresh began.
    recent: Vec<(u64, Event)>,
    /// The number of applied events of the connection.
    number: u64,
    /// The events that arrived before the snapshot; `None` after it.
    early: Option<Vec<(u64, Event)>>,
}

impl Tracker {
    /// Returns a tracker that keeps events until its snapshot arrives.
    pub(super) fn new() -> Self {
        Self { early: Some(Vec::new()), ..Self::default() }
    }

    /// Applies an event, and adds the changes to `changes`.
    pub(super) fn event(&mut self, number: u64, event: Event, changes: &mut Vec<Change>) {
        match &mut self.early {
            Some(early) => early.push((number, event)),
            // The snapshot reflects this event.
            None if number < self.number => {}
            None => {
                self.number = number + 1;
                self.mark_stale(&event);
                if staleness::part_of(&event).is_some_and(|part| self.refreshing.has(part)) {
                    self.recent.push((number, event.clone()));
                }
                self.apply(event, changes);
            }
        }
    }

    /// Applies the snapshot, which reflects so many events, and then the events that arrived
    /// meanwhile.
    pub(super) fn join(&mut self, answers: Answers, events_before: u64, changes: &mut Vec<Change>) {
        for event in answers.circuits {
            let cell = CircuitCell::new(event.id(), CircuitInfo::listed(&event));
            self.circuits.insert(cell.id(), Arc::new(cell));
        }
        for event in answers.streams {
            let cell = StreamCell::new(event.id(), StreamInfo::of(&event));
            self.streams.insert(cell.id(), Arc::new(cell));
        }
        self.connections.snapshot(&answers.connections);
        self.guards.snapshot(answers.guards);
        answers.addresses.into_iter().for_each(|mapping| self.addresses.insert(mapping));
        self.bootstrap = answers.bootstrap;
        self.liveness = answers.liveness;
        self.number = events_before;
        for (number, event) in self.early.take().unwrap_or_default() {
            self.event(number, event, changes);
        }
    }

    fn apply(&mut self, event: Event, changes: &mut Vec<Change>) {
        match event {
            Event::Circ(event) => self.circ(&event, changes),
            Event::CircMinor(event) => self.circ_minor(&event, changes),
            Event::Stream(event) => self.fold_stream(&event, changes),
            Event::OrConn(event) => match self.connections.event(&event) {
                Fit::Certain => {}
                Fit::Doubtful => self.stale.add(Part::Connections),
            },
            Event::AddrMap(event) => self.addresses.event(&event, |mapping, change| {
                changes.push(Change::Address { mapping, change });
            }),
            Event::Guard(event) => self.guards.event(&event),
            Event::Status(event) => {
                if let Some(bootstrap) = event.bootstrap() {
                    self.bootstrap = Some(bootstrap);
                }
            }
            Event::NetworkLiveness(event) => self.liveness = Some(event.status()),
            Event::Signal(event) => self.signal(&event, changes),
            _ => {}
        }
    }

    fn circ(&mut self, event: &CircEvent, changes: &mut Vec<Change>) {
        let change = match event.status() {
            CircuitStatus::Launched => CircuitChange::Launched,
            CircuitStatus::Extended => CircuitChange::Extended,
            CircuitStatus::Built => CircuitChange::Built,
            CircuitStatus::Closed => CircuitChange::Closed,
            CircuitStatus::Failed => CircuitChange::Failed,
            other => CircuitChange::Other(other),
        };
        let id = event.id();
        let (cell, info) = match self.circuits.get(&id) {
            Some(cell) => {
                let cell = Arc::clone(cell);
                let info = Arc::new(CircuitInfo::after(&cell.info(), event));
                cell.set(Arc::clone(&info));
                (cell, info)
            }
            None => {
                let cell = Arc::new(CircuitCell::new(id, CircuitInfo::of(event)));
                let info = cell.info();
                self.circuits.insert(id, Arc::clone(&cell));
                let (new, known) = (Arc::clone(&cell), Arc::clone(&info));
                changes.push(Change::Circuit {
                    cell: new,
                    info: known,
                    change: CircuitChange::New,
                });
                (cell, info)
            }
        };
        if info.is_over() {
            self.circuits.remove(&id);
            if self.beginning > 0 {
                self.keep(Arc::clone(&cell));
            }
        }
        changes.push(Change::Circuit { cell, info, change });
    }

    fn keep(&mut self, cell: Arc<CircuitCell>) {
        if self.ended.len() >= ENDED_KEPT {
            let oldest = self.ended.pop_front();
            self.left_out = self.left_out.max(oldest.map(|cell| cell.id()));
        }
        self.ended.push_back(cell);
    }

    /// Applies an event of a circuit; an unknown circuit has ended before.
    fn circ_minor(&mut self, event: &CircMinorEvent, changes: &mut Vec<Change>) {
        let Some(cell) = self.circuits.get(&event.id()) else { return };
        let (old_purpose, old_hs_state) = (event.old_purpose(), event.old_hs_state());
        let change = match event.change() {
            CircMinorChange::Cannibalized => {
                let old_time_created = event.old_time_created();
                CircuitChange::Cannibalized { old_purpose, old_hs_state, old_time_created }
            }
            CircMinorChange::PurposeChanged | CircMinorChange::Unrecognized(_) => {
                CircuitChange::PurposeChanged { old_purpose, old_hs_state }
            }
        };
        let info = Arc::new(CircuitInfo::changed(&cell.info(), event));
        cell.set(Arc::clone(&info));
        changes.push(Change::Circuit { cell: Arc::clone(cell), info, change });
    }

    fn fold_stream(&mut self, event: &StreamEvent, changes: &mut Vec<Change>) {
        let (id, status) = (event.id(), event.status());
        let left = event.circuit();
        let mut is_new = false;
        let (cell, info, before) = match self.streams.get(&id) {
            Some(cell) => {
                let cell = Arc::clone(cell);
                let before = cell.info();
                let info = Arc::new(StreamInfo::after(&before, event));
                cell.set(Arc::clone(&info));
                (cell, info, before.circuit())
            }
            None => {
                is_new = true;
                let cell = Arc::new(StreamCell::new(id, StreamInfo::of(event)));
                let info = cell.info();
                self.streams.insert(id, Arc::clone(&cell));
                (cell, info, None)
            }
        };
        if status == StreamStatus::Closed {
            self.streams.remove(&id);
        }
        if matches!(status, StreamStatus::SentConnect | StreamStatus::SentResolve)
            && info.isolates_credentials()
        {
            self.bind(&info);
        }
        let mut report = |change| {
            let (cell, info) = (Arc::clone(&cell), Arc::clone(&info));
            changes.push(Change::Stream { cell, info, change });
        };
        if is_new {
            report(StreamChange::New);
        }
        if let Some(circuit) = info.circuit().filter(|now| Some(*now) != before && !info.is_over())
        {
            report(StreamChange::Attached(circuit));
        }
        match status {
            // `StreamChange::New` is reported above.
            StreamStatus::New | StreamStatus::NewResolve => {}
            StreamStatus::ControllerWait => report(StreamChange::Waiting),
            StreamStatus::SentConnect | StreamStatus::SentResolve => report(StreamChange::Sent),
            StreamStatus::Remap => report(StreamChange::Remapped),
            StreamStatus::Succeeded => report(StreamChange::Succeeded),
            StreamStatus::Detached => report(StreamChange::Detached(before.or(left))),
            StreamStatus::Failed => report(StreamChange::Failed),
            StreamStatus::Closed => report(StreamChange::Closed),
            other => report(StreamChange::Other(other)),
        }
    }

    /// Records the SOCKS credentials of a circuit's first stream. tor gives them to the circuit, and
    /// to the other leg of its conflux pair, without an event of the circuit.
    fn bind(&self, stream: &StreamInfo) {
        let Some(cell) = stream.circuit().and_then(|id| self.circuits.get(&id)) else { return };
        let info = cell.info();
        let bind = |cell: &CircuitCell| {
            let info = cell.info();
            if !info.has_credentials() {
                cell.set(Arc::new(CircuitInfo::bound_to(&info, stream)));
            }
        };
        if info.has_credentials() {
            return;
        }
        bind(cell);
        if let Some(conflux_id) = info.conflux_id() {
            let is_leg =
                |cell: &&Arc<CircuitCell>| cell.info().conflux_id().as_ref() == Some(&conflux_id);
            self.circuits.values().filter(is_leg).for_each(|cell| bind(cell));
        }
    }

    /// Applies a signal: tor clears its DNS cache without an event for each name.
    fn signal(&mut self, event: &SignalEvent, changes: &mut Vec<Change>) {
        if matches!(event.signal(), Signal::Newnym | Signal::ClearDnsCache) {
            while let Some(mapping) = self.addresses.take_transient() {
                changes.push(Change::Address { mapping, change: AddressChange::Removed });
            }
        }
    }

    /// Removes the mappings that have expired.
    pub(super) fn expire(&mut self, now: SystemTime, changes: &mut Vec<Change>) {
        while let Some(mapping) = self.addresses.take_expired(now) {
            changes.push(Change::Address { mapping, change: AddressChange::Expired });
        }
    }

    /// Returns a circuit, unless it has ended.
    pub(crate) fn circuit(&self, id: &CircuitId) -> Option<&Arc<CircuitCell>> {
        self.circuits.get(id)
    }

    /// Keeps the circuits that end from now on, so that [`begun`](Self::begun) finds them.
    pub(super) fn keep_ended(&mut self) {
        self.beginning += 1;
    }

    /// Undoes one [`keep_ended`](Self::keep_ended). Returns the circuits that no thread needs any
    /// more.
    pub(super) fn forget_ended(&mut self) -> VecDeque<Arc<CircuitCell>> {
        self.beginning = self.beginning.saturating_sub(1);
        if self.beginning > 0 {
            return VecDeque::new();
        }
        self.left_out = None;
        std::mem::take(&mut self.ended)
    }

    /// Returns a circuit, unless it ended before [`keep_ended`](Self::keep_ended) was called.
    pub(crate) fn begun(&self, id: CircuitId) -> Option<Arc<CircuitCell>> {
        let is_it = |cell: &&Arc<CircuitCell>| cell.id() == id;
        let found = self.circuits.get(&id).or_else(|| self.ended.iter().rev().find(is_it));
        // tor numbers its circuits in order: a circuit with a lower number than a known one has
        // begun too, and has ended if it is not found.
        let is_left_out = || self.left_out.is_some_and(|left_out| id <= left_out);
        found.cloned().or_else(|| is_left_out().then(|| ended_cell(id)).flatten())
    }

    /// Returns the circuits that have not ended, in no order.
    pub(crate) fn circuits(&self) -> impl Iterator<Item = &Arc<CircuitCell>> {
        self.circuits.values()
    }

    /// Returns a stream that is not closed; it may have failed.
    pub(crate) fn stream(&self, id: &StreamId) -> Option<&Arc<StreamCell>> {
        self.streams.get(id)
    }

    /// Returns the streams that have not ended, in no order.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Arc<StreamCell>> {
        self.streams.values().filter(|cell| !cell.info().is_over())
    }

    pub(super) fn connections(&self) -> &[OrConnection] {
        self.connections.list()
    }

    pub(super) fn guards(&self) -> &[EntryGuard] {
        self.guards.list()
    }

    /// Returns the mappings that have not expired at a time.
    pub(super) fn address_map(&self, now: SystemTime) -> Vec<AddressMapping> {
        self.addresses.list(now)
    }

    pub(super) fn next_expiry(&self) -> Option<SystemTime> {
        self.addresses.next_expiry()
    }

    pub(crate) fn bootstrap(&self) -> Option<&Bootstrap> {
        self.bootstrap.as_ref()
    }

    pub(crate) fn liveness(&self) -> Option<&NetworkLiveness> {
        self.liveness.as_ref()
    }

    /// Returns the number of applied events of the connection.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// Returns the cell of a circuit of which only the end is known.
fn ended_cell(id: CircuitId) -> Option<Arc<CircuitCell>> {
    let event = CircEvent::parse(EventText::new(format!("CIRC {id} CLOSED").as_bytes())).ok()?;
    Some(Arc::new(CircuitCell::new(id, CircuitInfo::of(&event))))
}

#[cfg(test)]
mod tests;
