//! `HS_DESC` events: which onion service descriptors tor uploads and fetches.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

/// The number of events that are kept.
const KEPT: usize = 500;

/// The number of addresses whose counts are kept.
const MAX_ADDRESSES: usize = 1000;

/// An `HS_DESC` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DescriptorEvent {
    pub(crate) time: SystemTime,
    pub(crate) action: String,
    /// The address without `.onion`, if tor knows it.
    pub(crate) address: Option<String>,
    pub(crate) directory: Option<String>,
    pub(crate) reason: Option<String>,
}

/// The outcomes for one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) uploaded: u32,
    pub(crate) received: u32,
    pub(crate) failed: u32,
    pub(crate) last: SystemTime,
}

/// The last events, and the outcomes for each address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Descriptors {
    events: VecDeque<DescriptorEvent>,
    outcomes: BTreeMap<String, Outcomes>,
}

impl Descriptors {
    pub(crate) fn push(&mut self, event: DescriptorEvent) {
        if let Some(address) = &event.address {
            self.count(address, &event);
        }
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn count(&mut self, address: &str, event: &DescriptorEvent) {
        if !self.outcomes.contains_key(address) && self.outcomes.len() == MAX_ADDRESSES {
            let oldest = self.outcomes.iter().min_by_key(|(_, outcomes)| outcomes.last);
            let oldest = oldest.map(|(address, _)| address.clone());
            oldest.map(|address| self.outcomes.remove(&address));
        }
        let none = Outcomes { uploaded: 0, received: 0, failed: 0, last: event.time };
        let outcomes = self.outcomes.entry(address.to_owned()).or_insert(none);
        outcomes.last = event.time;
        let counter = match event.action.as_str() {
            "UPLOADED" => &mut outcomes.uploaded,
            "RECEIVED" => &mut outcomes.received,
            "FAILED" => &mut outcomes.failed,
            _ => return,
        };
        *counter = counter.saturating_add(1);
    }

    /// Returns the outcomes for an address, if an event named it.
    pub(crate) fn of(&self, address: &str) -> Option<Outcomes> {
        self.outcomes.get(address).copied()
    }

    /// Returns the events, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &DescriptorEvent> {
        self.events.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{DescriptorEvent, Descriptors, KEPT, MAX_ADDRESSES};

    fn event(second: u64, action: &str, address: &str) -> DescriptorEvent {
        DescriptorEvent {
            time: UNIX_EPOCH + Duration::from_secs(second),
            action: action.to_owned(),
            address: Some(address.to_owned()),
            directory: None,
            reason: None,
        }
    }

    #[test]
    fn outcomes_are_counted_by_address() {
        let mut descriptors = Descriptors::default();
        for (second, action) in (0..).zip(["CREATED", "UPLOAD", "UPLOADED", "FAILED", "UPLOADED"]) {
            descriptors.push(event(second, action, "a"));
        }
        descriptors.push(event(9, "RECEIVED", "b"));
        let outcomes = descriptors.of("a").unwrap();
        assert_eq!((outcomes.uploaded, outcomes.received, outcomes.failed), (2, 0, 1));
        assert_eq!(outcomes.last, UNIX_EPOCH + Duration::from_secs(4));
        assert_eq!(descriptors.of("b").unwrap().received, 1);
        assert_eq!(descriptors.of("c"), None);
        assert_eq!(descriptors.newest_first().next().unwrap().action, "RECEIVED");
    }

    #[test]
    fn neither_events_nor_addresses_grow_without_limit() {
        let mut descriptors = Descriptors::default();
        for second in 0..3000 {
            descriptors.push(event(second, "UPLOADED", &second.to_string()));
        }
        assert_eq!(descriptors.newest_first().count(), KEPT);
        assert_eq!(descriptors.outcomes.len(), MAX_ADDRESSES);
        assert_eq!(descriptors.of("1999"), None);
        assert!(descriptors.of("2000").is_some());
    }
}
