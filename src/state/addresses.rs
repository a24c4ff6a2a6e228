//! The names and addresses that stand for others, and until when.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use super::change::AddressChange;
use crate::event::{AddrMapEvent, MappedAddress};
use crate::info::AddressMapping;

/// What stands for what. Knows no clock: it is told what time it is.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    by_address: HashMap<String, AddressMapping>,
    /// The ends of those that have one.
    ends: BTreeSet<(SystemTime, String)>,
}

impl Addresses {
    /// Takes a mapping. One to nothing is what tor lists of one that was taken away.
    pub(super) fn insert(&mut self, mapping: AddressMapping) {
        self.remove(&mapping.address);
        if mapping.new_address.is_empty() {
            return;
        }
        if let Some(end) = mapping.expires {
            self.ends.insert((end, mapping.address.clone()));
        }
        self.by_address.insert(mapping.address.clone(), mapping);
    }

    /// Takes the whole list, and tells how it differs from what was known.
    pub(super) fn refresh(
        &mut self,
        list: Vec<AddressMapping>,
        mut tell: impl FnMut(AddressMapping, AddressChange),
    ) {
        let mut before = std::mem::take(&mut self.by_address);
        self.ends.clear();
        for mapping in list {
            let is_known = before.remove(&mapping.address).is_some_and(|known| known == mapping);
            if !is_known && !mapping.new_address.is_empty() {
                tell(mapping.clone(), AddressChange::Mapped);
            }
            self.insert(mapping);
        }
        let mut gone: Vec<_> = before.into_values().collect();
        gone.sort_by(|one, other| one.address.cmp(&other.address));
        gone.into_iter().for_each(|mapping| tell(mapping, AddressChange::Removed));
    }

    /// Returns whether a name is mapped to an exit, by `TrackHostExits`.
    pub(super) fn has_exits(&self) -> bool {
        // They all have an end.
        !self.ends.is_empty()
            && self.by_address.values().any(|mapping| mapping.new_address.ends_with(".exit"))
    }

    /// Takes out what an address stands for.
    pub(super) fn remove(&mut self, address: &str) -> Option<AddressMapping> {
        let mapping = self.by_address.remove(address)?;
        if let Some(end) = mapping.expires {
            self.ends.remove(&(end, mapping.address.clone()));
        }
        Some(mapping)
    }

    /// Takes an event. What tor does not keep is no more than the answer to a question.
    pub(super) fn event(
        &mut self,
        event: &AddrMapEvent,
        mut tell: impl FnMut(AddressMapping, AddressChange),
    ) {
        let address = event.address.to_str_lossy();
        match &event.new_address {
            MappedAddress::Address(new_address) if event.cached != Some(false) => {
                let mapping = AddressMapping {
                    address: address.into_owned(),
                    new_address: new_address.to_str_lossy().into_owned(),
                    expires: event.expires,
                };
                self.insert(mapping.clone());
                tell(mapping, AddressChange::Mapped);
            }
            MappedAddress::Removed => {
                if let Some(mapping) = self.remove(&address) {
                    tell(mapping, AddressChange::Removed);
                }
            }
            MappedAddress::Address(_) | MappedAddress::Failed => {}
        }
    }

    /// Returns when the next mapping ends.
    pub(super) fn next_end(&self) -> Option<SystemTime> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Takes out the next mapping whose time is over.
    pub(super) fn take_expired(&mut self, now: SystemTime) -> Option<AddressMapping> {
        self.next_end().filter(|end| *end <= now)?;
        let (_, address) = self.ends.pop_first()?;
        self.by_address.remove(&address)
    }

    /// Takes out the next mapping that has an end, whenever that is.
    pub(super) fn take_transient(&mut self) -> Option<AddressMapping> {
        let (_, address) = self.ends.pop_first()?;
        self.by_address.remove(&address)
    }

    /// Returns what is in force at a time, by address.
    pub(super) fn list(&self, now: SystemTime) -> Vec<AddressMapping> {
        let is_over = |mapping: &AddressMapping| mapping.expires.is_some_and(|end| end <= now);
        let mut list: Vec<_> =
            self.by_address.values().filter(|mapping| !is_over(mapping)).cloned().collect();
        list.sort_by(|one, other| one.address.cmp(&other.address));
        list
    }
}
