//! Who decides about streams: those who made them, and the attachers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::reservation::StreamReservation;
use super::worker::Ask;
use crate::state::stream_info::StreamInfo;

/// The name of an attacher of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AttacherId(u64);

/// One attacher.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) id: AttacherId,
    priority: i32,
    pub(super) limit: Duration,
    pub(super) asks: Sender<Ask>,
    pub(super) active: Arc<AtomicBool>,
}

/// Everybody who decides. It stands behind a leaf lock.
#[derive(Default)]
pub(super) struct AttacherRegistry {
    claims: Vec<Arc<StreamReservation>>,
    /// Those of high priority first, and among equals the youngest.
    attachers: Vec<Entry>,
    next: u64,
}

impl AttacherRegistry {
    pub(super) fn claim(&mut self, claim: Arc<StreamReservation>) {
        self.claims.push(claim);
    }

    pub(super) fn release(&mut self, claim: &Arc<StreamReservation>) {
        self.claims.retain(|other| !Arc::ptr_eq(other, claim));
    }

    /// Returns the claim to a stream.
    pub(super) fn claim_of(&self, stream: &StreamInfo) -> Option<Arc<StreamReservation>> {
        self.claims.iter().find(|claim| claim.origin.is_of(stream)).cloned()
    }

    pub(super) fn add(
        &mut self,
        priority: i32,
        limit: Duration,
        asks: Sender<Ask>,
        active: Arc<AtomicBool>,
    ) -> AttacherId {
        let id = AttacherId(self.next);
        self.next += 1;
        let place = self.attachers.iter().position(|other| other.priority <= priority);
        let place = place.unwrap_or(self.attachers.len());
        self.attachers.insert(place, Entry { id, priority, limit, asks, active });
        id
    }

    /// Removes an attacher; no call to it begins after this, and its thread ends. Returns what is
    /// to be dropped without the lock.
    pub(super) fn remove(&mut self, id: AttacherId) -> Option<Entry> {
        let place = self.attachers.iter().position(|entry| entry.id == id)?;
        let entry = self.attachers.remove(place);
        entry.active.store(false, Ordering::Release);
        Some(entry)
    }

    /// Removes everybody.
    pub(super) fn clear(&mut self) -> Vec<Entry> {
        for entry in &self.attachers {
            entry.active.store(false, Ordering::Release);
        }
        std::mem::take(&mut self.attachers)
    }

    /// Returns the attachers in the order in which they are asked.
    pub(super) fn attachers(&self) -> impl Iterator<Item = &Entry> {
        self.attachers.iter()
    }

    /// Returns an attacher that is there.
    pub(super) fn attacher(&self, id: AttacherId) -> Option<&Entry> {
        self.attachers.iter().find(|entry| entry.id == id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::unbounded;

    use super::AttacherRegistry;

    #[test]
    fn those_of_high_priority_come_first_and_among_equals_the_youngest() {
        let mut roster = AttacherRegistry::default();
        let mut add = |priority| {
            roster.add(priority, Duration::ZERO, unbounded().0, std::sync::Arc::default())
        };
        let ids = [0, 5, -1, 0, 5].map(&mut add);
        let order: Vec<_> = roster.attachers().map(|entry| entry.id).collect();
        assert_eq!(order, [ids[4], ids[1], ids[3], ids[0], ids[2]]);
        assert!(roster.remove(ids[1]).is_some() && roster.remove(ids[1]).is_none());
        assert_eq!(roster.attachers().count(), 4);
    }
}
