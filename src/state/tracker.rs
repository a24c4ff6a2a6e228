//! The tracker: applies events to the contents of a state. Pure: it has no lock, no clock and no
//! thread.
//!
//! A state begins with a snapshot, the reply to one `GETINFO`. Events that arrive before it are
//! kept; after the reply, those that it reflects are discarded and the others applied. tor may send
//! the event of a change after a reply that reflects the change, so that the event is applied
//! again. Therefore applying an event is idempotent: the last event of a circuit or stream decides.

mod handover;
mod staleness;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use super::addresses::Addresses;
use super::change::{AddressChange, Change, CircuitChange, StreamChange};
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::connections::{Connections, Fit, Guards, OrConnection};
use super::line::{CircLine, Line, StreamLine};
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
    /// Ordered: tor numbers its circuits, and mostly reports on recent ones, which are close to each
    /// other in memory then. No choice of identifiers makes a search slow.
    circuits: BTreeMap<CircuitId, Arc<CircuitCell>>,
    /// The last circuits that ended while a thread was waiting for the reply to `EXTENDCIRCUIT`.
    ended: VecDeque<Arc<CircuitCell>>,
    /// The highest circuit that was removed from `ended` for lack of room.
    left_out: Option<CircuitId>,
    /// The number of threads that wait for the reply to `EXTENDCIRCUIT`.
    beginning: usize,
    /// Includes streams that have failed and are not closed yet.
    streams: BTreeMap<StreamId, Arc<StreamCell>>,
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
    /// The events about the parts in `refreshing` since the refresh began. The time limit of the
    /// command bounds it, as it bounds `early`; a limit in bytes would protect nothing, since a state
    /// keeps every circuit and stream that tor reports.
    recent: Vec<(u64, Event)>,
    /// The number of applied events of the connection.
    number: u64,
    /// The events that arrived before the snapshot; `None` after it.
    early: Option<Vec<(u64, Event)>>,
    /// Whether changes of known circuits and streams are left out, unless a thread waits for them.
    is_unobserved: bool,
}

impl Tracker {
    /// Returns a tracker that keeps events until its snapshot arrives.
    pub(super) fn new() -> Self {
        Self { early: Some(Vec::new()), ..Self::default() }
    }

    /// From now on, reports every change, or only the first of each circuit and stream and those
    /// that a thread waits for.
    pub(super) fn set_observed(&mut self, is_observed: bool) {
        self.is_unobserved = !is_observed;
    }

    /// Applies an event of a circuit or stream, and adds the changes to `changes`.
    pub(super) fn line(&mut self, number: u64, line: &Line<'_>, changes: &mut Vec<Change>) {
        match &mut self.early {
            Some(early) => early.push((number, line.to_event())),
            // The snapshot reflects this event.
            None if number < self.number => {}
            None => {
                self.number = number + 1;
                self.apply_line(line, changes);
            }
        }
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
        for event in &answers.circuits {
            if let Some(Line::Circ(line)) = Line::read(event.text().as_bytes()) {
                let cell =
                    CircuitCell::new(line.id, CircuitInfo::listed(&line, event.text().clone()));
                self.circuits.insert(line.id, Arc::new(cell));
            }
        }
        for event in &answers.streams {
            if let Some(Line::Stream(line)) = Line::read(event.text().as_bytes()) {
                let cell = StreamCell::new(line.id, StreamInfo::of(&line, event.text().clone()));
                self.streams.insert(line.id, Arc::new(cell));
            }
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
            Event::Circ(event) => self.apply_text(event.text(), changes),
            Event::CircMinor(event) => self.apply_text(event.text(), changes),
            Event::Stream(event) => self.apply_text(event.text(), changes),
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

    fn apply_text(&mut self, text: &EventText, changes: &mut Vec<Change>) {
        if let Some(line) = Line::read(text.as_bytes()) {
            self.apply_line(&line, changes);
        }
    }

    fn apply_line(&mut self, line: &Line<'_>, changes: &mut Vec<Change>) {
        match line {
            Line::Circ(line) => self.circ(line, changes),
            Line::CircMinor(line) => self.circ_minor(line, changes),
            Line::Stream(line) => self.stream_line(line, changes),
        }
    }

    fn circ(&mut self, line: &CircLine<'_>, changes: &mut Vec<Change>) {
        let status = CircuitStatus::from_bytes(line.word);
        let change = match &status {
            CircuitStatus::Launched => CircuitChange::Launched,
            CircuitStatus::Extended => CircuitChange::Extended,
            CircuitStatus::Built => CircuitChange::Built,
            CircuitStatus::Closed => CircuitChange::Closed,
            CircuitStatus::Failed => CircuitChange::Failed,
            other => CircuitChange::Other(other.clone()),
        };
        let is_over = matches!(status, CircuitStatus::Closed | CircuitStatus::Failed);
        match self.circuits.get(&line.id) {
            Some(cell) => {
                cell.update(|info| info.circ(line, status));
                if !self.is_unobserved || cell.is_awaited() {
                    changes.push(circuit_change(cell, change));
                }
            }
            None => {
                let cell = Arc::new(CircuitCell::new(
                    line.id,
                    CircuitInfo::of(line, EventText::new(line.text)),
                ));
                changes.push(circuit_change(&cell, CircuitChange::New));
                changes.push(circuit_change(&cell, change));
                self.circuits.insert(line.id, cell);
            }
        }
        if is_over {
            let ended = self.circuits.remove(&line.id);
            ended.filter(|_| self.beginning > 0).into_iter().for_each(|cell| self.keep(cell));
        }
    }

    fn keep(&mut self, cell: Arc<CircuitCell>) {
        if self.ended.len() >= ENDED_KEPT {
            let oldest = self.ended.pop_front();
            self.left_out = self.left_out.max(oldest.map(|cell| cell.id()));
        }
        self.ended.push_back(cell);
    }

    /// Applies an event of a circuit; an unknown circuit has ended before.
    fn circ_minor(&mut self, line: &CircLine<'_>, changes: &mut Vec<Change>) {
        let Some(cell) = self.circuits.get(&line.id) else { return };
        cell.update(|info| info.circ_minor(line));
        if self.is_unobserved && !cell.is_awaited() {
            return;
        }
        let Ok(event) = CircMinorEvent::parse(EventText::new(line.text)) else { return };
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
        changes.push(circuit_change(cell, change));
    }

    fn stream_line(&mut self, line: &StreamLine<'_>, changes: &mut Vec<Change>) {
        let status = StreamStatus::from_bytes(line.status);
        if status == StreamStatus::Succeeded && self.addresses.has_exits() {
            // tor may have prolonged a mapping of `TrackHostExits`.
            self.stale.add(Part::Addresses);
        }
        let is_sent = matches!(status, StreamStatus::SentConnect | StreamStatus::SentResolve);
        let binds = |info: &StreamInfo| is_sent && info.isolates_credentials();
        let new;
        let (cell, is_new, before, binds) = match self.streams.get(&line.id) {
            Some(cell) => {
                let (before, binds) = cell.update(|info| {
                    let before = info.circuit();
                    info.next(line, &status);
                    (before, binds(info))
                });
                (cell, false, before, binds)
            }
            None => {
                let info = StreamInfo::of(line, EventText::new(line.text));
                let binds = binds(&info);
                new = Arc::new(StreamCell::new(line.id, info));
                self.streams.insert(line.id, Arc::clone(&new));
                (&new, true, None, binds)
            }
        };
        if binds {
            self.bind(&cell.info());
        }
        let is_closed = status == StreamStatus::Closed;
        if is_new || !self.is_unobserved || cell.is_awaited() {
            report_stream(cell, line, status, is_new, before, changes);
        }
        if is_closed {
            self.streams.remove(&line.id);
        }
    }

    /// Records the SOCKS credentials of a circuit's first stream. tor gives them to the circuit, and
    /// to the other leg of its conflux pair, without an event of the circuit.
    fn bind(&self, stream: &StreamInfo) {
        let Some(cell) = stream.circuit().and_then(|id| self.circuits.get(&id)) else { return };
        let bind = |cell: &CircuitCell| {
            if !cell.read(CircuitInfo::has_credentials) {
                cell.update(|info| info.bind_to(stream));
            }
        };
        if cell.read(CircuitInfo::has_credentials) {
            return;
        }
        bind(cell);
        if let Some(conflux_id) = cell.read(CircuitInfo::conflux_id) {
            let is_leg = |info: &CircuitInfo| info.conflux_id().as_ref() == Some(&conflux_id);
            self.circuits.values().filter(|cell| cell.read(is_leg)).for_each(|cell| bind(cell));
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

    /// Returns the circuits that have not ended, sorted by identifier.
    pub(crate) fn circuits(&self) -> impl Iterator<Item = &Arc<CircuitCell>> {
        self.circuits.values()
    }

    /// Returns a stream that is not closed; it may have failed.
    pub(crate) fn stream(&self, id: &StreamId) -> Option<&Arc<StreamCell>> {
        self.streams.get(id)
    }

    /// Returns the streams that have not ended, sorted by identifier.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Arc<StreamCell>> {
        self.streams.values().filter(|cell| is_open(cell))
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

fn is_open(cell: &StreamCell) -> bool {
    !cell.read(StreamInfo::is_over)
}

fn circuit_change(cell: &Arc<CircuitCell>, change: CircuitChange) -> Change {
    Change::Circuit { cell: Arc::clone(cell), info: cell.info(), change }
}

/// Adds the changes of a stream by one event, before which it was on the circuit `before`.
fn report_stream(
    cell: &Arc<StreamCell>,
    line: &StreamLine<'_>,
    status: StreamStatus,
    is_new: bool,
    before: Option<CircuitId>,
    changes: &mut Vec<Change>,
) {
    let info = cell.info();
    let mut report = |change| {
        let (cell, info) = (Arc::clone(cell), Arc::clone(&info));
        changes.push(Change::Stream { cell, info, change });
    };
    if is_new {
        report(StreamChange::New);
    }
    if let Some(circuit) = info.circuit().filter(|now| Some(*now) != before && !info.is_over()) {
        report(StreamChange::Attached(circuit));
    }
    match status {
        // `StreamChange::New` is reported above.
        StreamStatus::New | StreamStatus::NewResolve => {}
        StreamStatus::ControllerWait => report(StreamChange::Waiting),
        StreamStatus::SentConnect | StreamStatus::SentResolve => report(StreamChange::Sent),
        StreamStatus::Remap => report(StreamChange::Remapped),
        StreamStatus::Succeeded => report(StreamChange::Succeeded),
        StreamStatus::Detached => report(StreamChange::Detached(before.or(line.circuit))),
        StreamStatus::Failed => report(StreamChange::Failed),
        StreamStatus::Closed => report(StreamChange::Closed),
        other => report(StreamChange::Other(other)),
    }
}

/// Returns the cell of a circuit of which only the end is known.
fn ended_cell(id: CircuitId) -> Option<Arc<CircuitCell>> {
    let text = EventText::new(format!("CIRC {id} CLOSED").as_bytes());
    match Line::read(text.as_bytes())? {
        Line::Circ(line) => {
            let info = CircuitInfo::of(&line, text.clone());
            Some(Arc::new(CircuitCell::new(id, info)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
