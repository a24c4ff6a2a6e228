//! tor's address mappings, and when they expire.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use super::change::AddressChange;
use crate::event::{AddrMapEvent, MappedAddress};
use crate::info::AddressMapping;

/// The address mappings. The callers pass the time.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    by_address: HashMap<String, AddressMapping>,
    /// The mappings that expire: the times, with the mapped addresses.
    expiries: BTreeSet<(SystemTime, String)>,
}

impl Addresses {
    /// Adds a mapping, or replaces that of its address. tor lists a removed mapping with an empty
    /// target.
    pub(super) fn insert(&mut self, mapping: AddressMapping) {
        self.remove(&mapping.address);
        if mapping.new_address.is_empty() {
            return;
        }
        if let Some(expiry) = mapping.expires {
            self.expiries.insert((expiry, mapping.address.clone()));
        }
        self.by_address.insert(mapping.address.clone(), mapping);
    }

    /// Replaces all mappings by tor's list, and reports the differences.
    pub(super) fn refresh(
        &mut self,
        list: Vec<AddressMapping>,
        mut report: impl FnMut(AddressMapping, AddressChange),
    ) {
        let mut before = std::mem::take(&mut self.by_address);
        self.expiries.clear();
        for mapping in list {
            let is_known = before.remove(&mapping.address).is_some_and(|known| known == mapping);
            if !is_known && !mapping.new_address.is_empty() {
                report(mapping.clone(), AddressChange::Mapped);
            }
            self.insert(mapping);
        }
        let mut removed: Vec<_> = before.into_values().collect();
        removed.sort_by(|one, other| one.address.cmp(&other.address));
        removed.into_iter().for_each(|mapping| report(mapping, AddressChange::Removed));
    }

    /// Returns whether `TrackHostExits` may have mapped a name to an exit.
    pub(super) fn has_exits(&self) -> bool {
        // Those mappings expire.
        !self.expiries.is_empty()
            && self.by_address.values().any(|mapping| mapping.new_address.ends_with(".exit"))
    }

    /// Removes the mapping of an address.
    pub(super) fn remove(&mut self, address: &str) -> Option<AddressMapping> {
        let mapping = self.by_address.remove(address)?;
        if let Some(expiry) = mapping.expires {
            self.expiries.remove(&(expiry, mapping.address.clone()));
        }
        Some(mapping)
    }

    /// Applies an event. A mapping that tor does not cache is ignored: it only answers a request.
    pub(super) fn event(
        &mut self,
        event: &AddrMapEvent,
        mut report: impl FnMut(AddressMapping, AddressChange),
    ) {
        let address = event.address();
        let address = address.to_str_lossy();
        match event.new_address() {
            MappedAddress::Address(new_address) if event.cached() != Some(false) => {
                let mapping = AddressMapping {
                    address: address.into_owned(),
                    new_address: new_address.to_str_lossy().into_owned(),
                    expires: event.expires(),
                };
                self.insert(mapping.clone());
                report(mapping, AddressChange::Mapped);
            }
            MappedAddress::Removed => {
                if let Some(mapping) = self.remove(&address) {
                    report(mapping, AddressChange::Removed);
                }
            }
            MappedAddress::Address(_) | MappedAddress::Failed => {}
        }
    }

    /// Returns when the next mapping expires.
    pub(super) fn next_expiry(&self) -> Option<SystemTime> {
        self.expiries.first().map(|(expiry, _)| *expiry)
    }

    /// Removes the next mapping that has expired, and returns it.
    pub(super) fn take_expired(&mut self, now: SystemTime) -> Option<AddressMapping> {
        self.next_expiry().filter(|expiry| *expiry <= now)?;
        let (_, address) = self.expiries.pop_first()?;
        self.by_address.remove(&address)
    }

    /// Removes a mapping that expires at any time, and returns it.
    pub(super) fn take_transient(&mut self) -> Option<AddressMapping> {
        let (_, address) = self.expiries.pop_first()?;
        self.by_address.remove(&address)
    }

    /// Removes all mappings, and returns them sorted by address.
    pub(super) fn take_all(&mut self) -> Vec<AddressMapping> {
        self.expiries.clear();
        let mut all: Vec<_> = self.by_address.drain().map(|(_, mapping)| mapping).collect();
        all.sort_by(|one, other| one.address.cmp(&other.address));
        all
    }

    /// Returns the mappings that have not expired at a time, sorted by address.
    pub(super) fn list(&self, now: SystemTime) -> Vec<AddressMapping> {
        let has_expired =
            |mapping: &AddressMapping| mapping.expires.is_some_and(|expiry| expiry <= now);
        let mut list: Vec<_> =
            self.by_address.values().filter(|mapping| !has_expired(mapping)).cloned().collect();
        list.sort_by(|one, other| one.address.cmp(&other.address));
        list
    }
}
