//! The parts of a state that events alone cannot keep up to date, and how they are refreshed.
//!
//! tor sends no event for some changes: a guard leaves the sample, a mapping disappears at a
//! reload. An `ORCONN` event may match several connections of the snapshot. Other events show that
//! this may have happened. They mark the part as stale, and its next reader queries tor again.

use std::fmt;
use std::time::Instant;

use super::MissingPart;
use super::generation::Generation;
use super::missing::query;
use super::snapshot::InfoKey;
use super::store::Store;
use super::tracker::Answers;
use crate::clock::deadline_after;
use crate::error::{Error, Result};
use crate::event::{ConfChangedEvent, Event};
use crate::names::{GuardStatus, Signal, StatusAction};

/// A part of a state that can be stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Connections,
    Guards,
    Addresses,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Connections, Self::Guards, Self::Addresses];

    fn bit(self) -> u8 {
        match self {
            Self::Connections => 1,
            Self::Guards => 2,
            Self::Addresses => 4,
        }
    }

    pub(super) fn info_key(self) -> InfoKey {
        match self {
            Self::Connections => InfoKey::Connections,
            Self::Guards => InfoKey::Guards,
            Self::Addresses => InfoKey::Addresses,
        }
    }
}

/// A set of parts.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts(u8);

impl Parts {
    pub(super) const ALL: Self = Self(7);

    pub(super) fn of(part: Part) -> Self {
        Self(part.bit())
    }

    pub(super) fn has(self, part: Part) -> bool {
        self.0 & part.bit() != 0
    }

    pub(super) fn add(&mut self, part: Part) {
        self.0 |= part.bit();
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(move |part| self.has(*part))
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Returns the parts that may have changed without a separate event, as this event shows.
pub(super) fn made_stale(event: &Event) -> Parts {
    let mut parts = Parts::default();
    match event {
        Event::ConfChanged(event) if has_other_option(event) => {
            parts.add(Part::Guards);
            parts.add(Part::Addresses);
        }
        // The line may have been any event.
        stray if stray.is_stray_line() => {
            Part::ALL.into_iter().for_each(|part| parts.add(part));
        }
        Event::Signal(event) if event.signal().canonical() == Signal::Reload => {
            parts.add(Part::Guards);
            parts.add(Part::Addresses);
        }
        // tor compares its sample of guards with each new consensus.
        Event::Status(event)
            if matches!(
                event.action(),
                StatusAction::ConsensusArrived | StatusAction::EnoughDirInfo
            ) =>
        {
            parts.add(Part::Guards);
        }
        Event::Guard(event) if event.status() == GuardStatus::Down => parts.add(Part::Guards),
        // A mapping that does not expire may be a wildcard mapping, which only the list shows.
        Event::AddrMap(event)
            if event.expires().is_none() && event.new_address().address().is_some() =>
        {
            parts.add(Part::Addresses);
        }
        _ => {}
    }
    parts
}

/// Returns whether any option changed except the one that attaching streams sets.
fn has_other_option(event: &ConfChangedEvent) -> bool {
    let is_own = |name: &str| name.eq_ignore_ascii_case("__LeaveStreamsUnattached");
    event.changes().any(|change| !is_own(&change.name.to_str_lossy()))
}

impl Generation {
    /// Queries tor for the stale ones of some parts. They stay as they are if tor does not reply.
    pub(super) fn refresh(&self, wanted: Parts) {
        if !self.store.read(|tracker| tracker.is_stale(wanted)) {
            return;
        }
        // One limit for the wait for another refreshing thread and for the reply.
        let limit = self.controller.timeout();
        let deadline = deadline_after(limit);
        let refreshing = self.refreshing.lock_before("GETINFO", deadline, limit);
        let Ok(refreshing) = refreshing else { return };
        // The other thread may have refreshed these parts.
        let Some(parts) = self.store.begin_refresh(wanted) else { return };
        let mut unreadable = Vec::new();
        let mut outcome = self.query_again(parts, deadline, &mut unreadable);
        if matches!(outcome, Err(Error::Rejected(_))) {
            // A filter may allow each key alone.
            for part in parts.iter() {
                if let Some(part) = self.store.begin_refresh(Parts::of(part)) {
                    outcome = self.query_again(part, deadline, &mut unreadable);
                }
            }
        }
        // A logger may read the same parts.
        drop(refreshing);
        if let Err(error) = outcome {
            log::debug!("a part of a state is not refreshed: {error}");
        }
        for part in unreadable {
            log::warn!("a part of a state is not refreshed: {}: {}", part.name, part.error);
        }
    }

    /// Queries tor for parts whose refresh has begun, and ends the refresh.
    fn query_again(
        &self,
        parts: Parts,
        deadline: Instant,
        unreadable: &mut Vec<MissingPart>,
    ) -> Result<()> {
        let keys: Vec<_> = parts.iter().map(Part::info_key).collect();
        let (mut answers, before) = (Answers::default(), unreadable.len());
        let mut end = EndOnDrop { store: &self.store, again: true };
        let outcome = query(&self.controller, &keys, &mut answers, unreadable, deadline);
        let events_before = outcome.inspect_err(|error| {
            // tor would refuse a single key again.
            end.again = !(matches!(error, Error::Rejected(_)) && keys.len() == 1);
        })?;
        match unreadable.len() == before {
            true => self.store.finish_refresh(answers, events_before),
            false => end.again = false,
        }
        Ok(())
    }
}

/// Ends a refresh that got no answers, even if a logger panics: otherwise the store would keep the
/// events of its parts forever.
struct EndOnDrop<'a> {
    store: &'a Store,
    /// Whether the parts stay stale.
    again: bool,
}

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.store.abort_refresh(self.again);
    }
}
