//! The parts of a state that its next reader refreshes, and the events that arrive meanwhile.

use super::{Answers, Tracker};
use crate::event::Event;
use crate::state::change::Change;
use crate::state::refresh::{Part, Parts, made_stale};

impl Tracker {
    /// Marks the parts that may have changed without a separate event.
    pub(super) fn mark_stale(&mut self, event: &Event) {
        let mut stale = made_stale(event);
        match event {
            // tor retries a guard that was down.
            Event::OrConn(event) if self.guards.is_unusable(&event.peer()) => {
                stale.add(Part::Guards);
            }
            _ => {}
        }
        self.stale = self.stale.or(stale);
    }

    /// Returns whether one of these parts is stale, or being refreshed.
    pub(in crate::state) fn is_stale(&self, wanted: Parts) -> bool {
        !self.stale.or(self.refreshing).and(wanted).without(self.unavailable).is_empty()
    }

    /// Begins a refresh of the stale ones of these parts, and returns them.
    pub(in crate::state) fn begin_refresh(&mut self, wanted: Parts) -> Option<Parts> {
        let parts = self.stale.and(wanted).without(self.unavailable);
        if parts.is_empty() {
            return None;
        }
        self.stale = self.stale.without(parts);
        self.refreshing = parts;
        Some(parts)
    }

    /// Applies the answers of a refresh, and then again the events that they do not reflect.
    pub(in crate::state) fn finish_refresh(
        &mut self,
        mut answers: Answers,
        events_before: u64,
        changes: &mut Vec<Change>,
    ) {
        for part in std::mem::take(&mut self.refreshing).iter() {
            match part {
                Part::Connections => {
                    self.connections.refresh(&answers.connections);
                    // The new list decides whether the events after it identify their connection.
                    self.stale = self.stale.without(Parts::of(part));
                }
                Part::Guards => self.guards.snapshot(std::mem::take(&mut answers.guards)),
                Part::Addresses => {
                    let list = std::mem::take(&mut answers.addresses);
                    self.addresses.refresh(list, |mapping, change| {
                        changes.push(Change::Address { mapping, change });
                    });
                }
            }
        }
        for (number, event) in std::mem::take(&mut self.recent) {
            if number >= events_before {
                self.apply(event, changes);
            }
        }
    }

    /// Ends a refresh without answers.
    pub(in crate::state) fn abort_refresh(&mut self, again: bool) {
        self.recent.clear();
        let parts = std::mem::take(&mut self.refreshing);
        if again {
            self.stale = self.stale.or(parts);
        }
    }

    /// Records that tor or a filter refuses the key of a part.
    pub(in crate::state) fn set_unavailable(&mut self, part: Part) {
        self.unavailable.add(part);
    }
}

/// Returns the part that an event is about, if it can be refreshed.
pub(super) fn part_of(event: &Event) -> Option<Part> {
    match event {
        Event::OrConn(_) => Some(Part::Connections),
        Event::Guard(_) => Some(Part::Guards),
        Event::AddrMap(_) | Event::Signal(_) => Some(Part::Addresses),
        _ => None,
    }
}
