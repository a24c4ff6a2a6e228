//! Connections to relays, and the guards among these.

use crate::event::{GuardEvent, OrConnEvent, OrConnPeer};
use crate::info::{EntryGuard, EntryGuardStatus};
use crate::names::{ConnectionId, GuardStatus, GuardType, OrConnStatus};

/// A connection to a relay, or from another tor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrConnection {
    /// The connection. tor does not tell it of connections that were there before the state, until
    /// it tells something else of them.
    pub id: Option<ConnectionId>,
    /// The other side.
    pub peer: OrConnPeer,
    /// Its state.
    pub status: OrConnStatus,
}

impl OrConnection {
    fn of(event: &OrConnEvent) -> Self {
        Self { id: event.id, peer: event.peer.clone(), status: event.status.clone() }
    }

    fn has_peer(&self, other: &OrConnPeer) -> bool {
        match (&self.peer, other) {
            // With or without a nickname.
            (OrConnPeer::Relay(one), OrConnPeer::Relay(other)) if one.fingerprint().is_some() => {
                one.fingerprint() == other.fingerprint()
            }
            (one, other) => one == other,
        }
    }

    fn is_begun(&self) -> bool {
        matches!(self.status, OrConnStatus::New | OrConnStatus::Launched)
    }
}

fn is_over(status: &OrConnStatus) -> bool {
    matches!(status, OrConnStatus::Closed | OrConnStatus::Failed)
}

/// The connections there are, in the order in which they were seen.
#[derive(Debug, Default)]
pub(super) struct Connections {
    list: Vec<OrConnection>,
}

impl Connections {
    pub(super) fn snapshot(&mut self, connections: &[OrConnEvent]) {
        self.list = connections.iter().map(OrConnection::of).collect();
    }

    pub(super) fn event(&mut self, event: &OrConnEvent) {
        let now = OrConnection::of(event);
        match (self.find(&now), is_over(&now.status)) {
            (Some(place), true) => drop(self.list.remove(place)),
            (Some(place), false) => {
                if let Some(connection) = self.list.get_mut(place) {
                    *connection = now;
                }
            }
            (None, true) => {}
            (None, false) => self.list.push(now),
        }
    }

    /// Finds the connection of an event: by its identifier, or among those of the same peer whose
    /// identifier is not known, since the snapshot tells none. Of several of these it is one that
    /// can have come to this state.
    fn find(&self, now: &OrConnection) -> Option<usize> {
        let by_id = |place: &OrConnection| now.id.is_some() && place.id == now.id;
        if let Some(place) = self.list.iter().position(by_id) {
            return Some(place);
        }
        let is_over = is_over(&now.status);
        let can_be = |connection: &OrConnection| {
            (connection.id.is_none() || now.id.is_none()) && connection.has_peer(&now.peer)
        };
        let is_likely = |connection: &OrConnection| {
            connection.is_begun() != (now.status == OrConnStatus::Closed)
        };
        let likely = self.list.iter().position(|other| can_be(other) && is_likely(other));
        likely.or_else(|| self.list.iter().position(|other| is_over && can_be(other)))
    }

    pub(super) fn list(&self) -> &[OrConnection] {
        &self.list
    }
}

/// The guards, in tor's order as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Guards {
    list: Vec<EntryGuard>,
}

impl Guards {
    pub(super) fn snapshot(&mut self, guards: Vec<EntryGuard>) {
        self.list = guards;
    }

    pub(super) fn event(&mut self, event: &GuardEvent) {
        if event.guard_type != GuardType::Entry {
            return;
        }
        let fingerprint = event.relay.fingerprint();
        let is_it = |guard: &EntryGuard| match fingerprint {
            Some(_) => guard.relay.fingerprint() == fingerprint,
            None => guard.relay == event.relay,
        };
        let status = match event.status {
            GuardStatus::Dropped => return self.list.retain(|guard| !is_it(guard)),
            GuardStatus::New => EntryGuardStatus::NeverConnected,
            GuardStatus::Up | GuardStatus::Good => EntryGuardStatus::Up,
            GuardStatus::Down => EntryGuardStatus::Down,
            GuardStatus::Bad => EntryGuardStatus::Unusable,
            // The guards of the second layer are not among these.
            GuardStatus::GoodL2 | GuardStatus::BadL2 | GuardStatus::Unrecognized(_) => return,
        };
        match self.list.iter_mut().find(|guard| is_it(guard)) {
            Some(_) if event.status == GuardStatus::New => {}
            Some(guard) => {
                guard.status = status;
                guard.since = None;
            }
            None => {
                let relay = event.relay.clone();
                self.list.push(EntryGuard { relay, status, since: None });
            }
        }
    }

    pub(super) fn list(&self) -> &[EntryGuard] {
        &self.list
    }
}
