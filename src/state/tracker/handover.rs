//! The changes for listeners at the end of a connection of a supervised state, and at the next one.

use std::time::SystemTime;

use super::Tracker;
use crate::state::change::{
    AddressChange, Change, CircuitChange, StreamChange, existing_circuit, existing_stream,
};

impl Tracker {
    /// Removes everything, and adds the loss of each circuit, stream and mapping to `changes`.
    /// Returns the former contents, which must be dropped without a lock.
    pub(in crate::state) fn lose(&mut self, changes: &mut Vec<Change>) -> Self {
        let rest = Self { beginning: self.beginning, number: self.number, ..Self::default() };
        let mut lost = std::mem::replace(self, rest);
        for cell in lost.streams.values().cloned() {
            cell.set_lost();
            changes.push(Change::Stream { info: cell.info(), cell, change: StreamChange::Lost });
        }
        for cell in lost.circuits.values().cloned() {
            cell.set_lost();
            changes.push(Change::Circuit { info: cell.info(), cell, change: CircuitChange::Lost });
        }
        for mapping in lost.addresses.take_all() {
            changes.push(Change::Address { mapping, change: AddressChange::Lost });
        }
        lost
    }

    /// Returns the first changes for a new listener: the circuits that exist, by identifier.
    pub(in crate::state) fn existing_circuits(&self) -> Vec<Change> {
        self.circuits().cloned().map(existing_circuit).collect()
    }

    /// Returns the first changes for a new listener: the streams that exist, by identifier.
    pub(in crate::state) fn existing_streams(&self) -> Vec<Change> {
        self.streams().cloned().map(existing_stream).collect()
    }

    /// Returns the first changes for a new listener: the mappings that are active at a time.
    pub(in crate::state) fn existing_addresses(&self, now: SystemTime) -> Vec<Change> {
        let existing = |mapping| Change::Address { mapping, change: AddressChange::Existing };
        self.address_map(now).into_iter().map(existing).collect()
    }
}
