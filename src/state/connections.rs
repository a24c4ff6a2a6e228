//! Connections to relays, and the guards among these.

use crate::event::{GuardEvent, OrConnEvent, OrConnPeer};
use crate::info::{EntryGuard, EntryGuardStatus};
use crate::names::{ConnectionId, GuardStatus, GuardType, OrConnStatus};

/// A connection to a relay, or from another tor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrConnection {
    /// The connection. `GETINFO orconn-status` has no identifiers, so that of a connection that was
    /// there before the state is `None` until an event shows which one it is.
    pub id: Option<ConnectionId>,
    /// The other side, by the last event or answer. tor lists a connection by its address as long
    /// as it does not know the relay.
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

/// Whether an event fits one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Certain,
    /// It may tell of a connection of the snapshot, of which tor did not tell the identifier, or of
    /// another one.
    Doubtful,
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

    /// Takes the list anew. What is known keeps its identifier, which the list does not have.
    pub(super) fn refresh(&mut self, connections: &[OrConnEvent]) {
        let mut known = std::mem::take(&mut self.list);
        for listed in connections {
            let mut now = OrConnection::of(listed);
            let is_it = |other: &OrConnection| other.has_peer(&now.peer);
            let same = known.iter().position(|other| is_it(other) && other.status == now.status);
            if let Some(place) = same.or_else(|| known.iter().position(is_it)) {
                now.id = known.remove(place).id;
            }
            self.list.push(now);
        }
    }

    /// Takes an event. One that may tell of a connection without an identifier, or of another
    /// connection of the same relay, changes nothing that may be wrong.
    pub(super) fn event(&mut self, event: &OrConnEvent) -> Fit {
        let now = OrConnection::of(event);
        let by_id = |place: &OrConnection| now.id.is_some() && place.id == now.id;
        if let Some(place) = self.list.iter().position(by_id) {
            if is_over(&now.status) {
                self.list.remove(place);
            } else if let Some(connection) = self.list.get_mut(place) {
                *connection = now;
            }
            return Fit::Certain;
        }
        let unnamed = |other: &&OrConnection| other.id.is_none() || now.id.is_none();
        let of_peer = self.list.iter().filter(unnamed).filter(|other| other.has_peer(&now.peer));
        // It may be one that was listed by its address, before tor knew the relay.
        let by_address = |other: &OrConnection| matches!(other.peer, OrConnPeer::Address(_));
        let may_be_listed = self.list.iter().filter(unnamed).any(by_address);
        if is_over(&now.status) {
            // An address is that of one connection only.
            if by_address(&now) && of_peer.clone().count() == 1 {
                self.list.retain(|other| !other.has_peer(&now.peer));
                return Fit::Certain;
            }
            return match of_peer.count() > 0 || may_be_listed {
                true => Fit::Doubtful,
                false => Fit::Certain,
            };
        }
        let begun = of_peer.clone().filter(|other| other.is_begun()).count();
        let fit = match (begun, of_peer.count()) {
            (1, 1) => {
                let is_it = |other: &&mut OrConnection| {
                    (other.id.is_none() || now.id.is_none()) && other.has_peer(&now.peer)
                };
                if let Some(connection) = self.list.iter_mut().find(is_it) {
                    let id = now.id.or(connection.id);
                    *connection = OrConnection { id, ..now };
                }
                return Fit::Certain;
            }
            (0, 0) if !may_be_listed => Fit::Certain,
            // A second connection to a relay begins as a new one.
            (0, _) if now.is_begun() && !may_be_listed => Fit::Certain,
            _ => Fit::Doubtful,
        };
        self.list.push(now);
        fit
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

    /// Returns whether this is a guard that could not be used when tor told of it last.
    pub(super) fn is_unusable(&self, peer: &OrConnPeer) -> bool {
        let OrConnPeer::Relay(relay) = peer else { return false };
        let Some(fingerprint) = relay.fingerprint() else { return false };
        self.list.iter().any(|guard| {
            guard.relay.fingerprint() == Some(fingerprint)
                && matches!(guard.status, EntryGuardStatus::Down | EntryGuardStatus::Unusable)
        })
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
