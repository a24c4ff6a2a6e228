//! tor's connections to relays, and its guards.

use crate::event::{GuardEvent, OrConnEvent, OrConnPeer};
use crate::info::{EntryGuard, EntryGuardStatus};
use crate::names::{ConnectionId, GuardStatus, GuardType, OrConnStatus};

/// A connection to a relay, or from another relay.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// for connection in state.connections() {
///     println!("{connection:?}");
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrConnection {
    /// The identifier of the connection. `GETINFO orconn-status` has none: for a connection that is
    /// older than the state it is `None` until an event shows the identifier.
    pub id: Option<ConnectionId>,
    /// The peer, by the last event or reply. tor names a connection by its address until it knows
    /// the relay.
    pub peer: OrConnPeer,
    /// The status of the connection.
    pub status: OrConnStatus,
}

impl OrConnection {
    fn of(event: &OrConnEvent) -> Self {
        Self { id: event.id(), peer: event.peer(), status: event.status() }
    }

    fn has_peer(&self, other: &OrConnPeer) -> bool {
        match (&self.peer, other) {
            // tor names a relay with or without its nickname.
            (OrConnPeer::Relay(one), OrConnPeer::Relay(other)) if one.fingerprint().is_some() => {
                one.fingerprint() == other.fingerprint()
            }
            (one, other) => one == other,
        }
    }

    fn is_connecting(&self) -> bool {
        matches!(self.status, OrConnStatus::New | OrConnStatus::Launched)
    }
}

fn is_over(status: &OrConnStatus) -> bool {
    matches!(status, OrConnStatus::Closed | OrConnStatus::Failed)
}

/// Whether an event identifies its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Certain,
    /// The event is about a connection of the snapshot, whose identifier is unknown, or about
    /// another one.
    Doubtful,
}

/// The connections, in the order in which tor reported them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    list: Vec<OrConnection>,
}

impl Connections {
    pub(super) fn snapshot(&mut self, connections: &[OrConnEvent]) {
        self.list = connections.iter().map(OrConnection::of).collect();
    }

    /// Replaces the connections by tor's list. Known ones keep their identifiers, which the list
    /// lacks.
    pub(super) fn refresh(&mut self, connections: &[OrConnEvent]) {
        let mut known = std::mem::take(&mut self.list);
        for listed in connections {
            let mut now = OrConnection::of(listed);
            let is_it = |other: &OrConnection| other.has_peer(&now.peer);
            let same = known.iter().position(|other| is_it(other) && other.status == now.status);
            if let Some(index) = same.or_else(|| known.iter().position(is_it)) {
                now.id = known.remove(index).id;
            }
            self.list.push(now);
        }
    }

    /// Applies an event. If it may be about a connection without an identifier or about another one
    /// to the same relay, it removes neither.
    pub(super) fn event(&mut self, event: &OrConnEvent) -> Fit {
        let now = OrConnection::of(event);
        let by_id = |other: &OrConnection| now.id.is_some() && other.id == now.id;
        if let Some(index) = self.list.iter().position(by_id) {
            if is_over(&now.status) {
                self.list.remove(index);
            } else if let Some(connection) = self.list.get_mut(index) {
                *connection = now;
            }
            return Fit::Certain;
        }
        let is_unidentified = |other: &&OrConnection| other.id.is_none() || now.id.is_none();
        let of_peer =
            self.list.iter().filter(is_unidentified).filter(|other| other.has_peer(&now.peer));
        // The connection may have been listed by its address, before tor knew the relay.
        let by_address = |other: &OrConnection| matches!(other.peer, OrConnPeer::Address(_));
        let may_be_listed = self.list.iter().filter(is_unidentified).any(by_address);
        if is_over(&now.status) {
            // An address belongs to one connection only.
            if by_address(&now) && of_peer.clone().count() == 1 {
                self.list.retain(|other| !other.has_peer(&now.peer));
                return Fit::Certain;
            }
            return match of_peer.count() > 0 || may_be_listed {
                true => Fit::Doubtful,
                false => Fit::Certain,
            };
        }
        let connecting = of_peer.clone().filter(|other| other.is_connecting()).count();
        let fit = match (connecting, of_peer.count()) {
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
            (0, _) if now.is_connecting() && !may_be_listed => Fit::Certain,
            _ => Fit::Doubtful,
        };
        self.list.push(now);
        fit
    }

    pub(super) fn list(&self) -> &[OrConnection] {
        &self.list
    }
}

/// The guards, in the order of tor's last list.
#[derive(Debug, Default)]
pub(super) struct Guards {
    list: Vec<EntryGuard>,
}

impl Guards {
    pub(super) fn snapshot(&mut self, guards: Vec<EntryGuard>) {
        self.list = guards;
    }

    /// Returns whether a peer is a guard that tor last reported as down or unusable.
    pub(super) fn is_unusable(&self, peer: &OrConnPeer) -> bool {
        let OrConnPeer::Relay(relay) = peer else { return false };
        let Some(fingerprint) = relay.fingerprint() else { return false };
        self.list.iter().any(|guard| {
            guard.relay.fingerprint() == Some(fingerprint)
                && matches!(guard.status, EntryGuardStatus::Down | EntryGuardStatus::Unusable)
        })
    }

    pub(super) fn event(&mut self, event: &GuardEvent) {
        if event.guard_type() != GuardType::Entry {
            return;
        }
        let relay = event.relay();
        let fingerprint = relay.fingerprint();
        let is_it = |guard: &EntryGuard| match fingerprint {
            Some(_) => guard.relay.fingerprint() == fingerprint,
            None => guard.relay == relay,
        };
        let status = match event.status() {
            GuardStatus::Dropped => return self.list.retain(|guard| !is_it(guard)),
            GuardStatus::New => EntryGuardStatus::NeverConnected,
            GuardStatus::Up | GuardStatus::Good => EntryGuardStatus::Up,
            GuardStatus::Down => EntryGuardStatus::Down,
            GuardStatus::Bad => EntryGuardStatus::Unusable,
            // `entry-guards` does not list the layer-2 guards.
            GuardStatus::GoodL2 | GuardStatus::BadL2 | GuardStatus::Unrecognized(_) => return,
        };
        match self.list.iter_mut().find(|guard| is_it(guard)) {
            Some(_) if event.status() == GuardStatus::New => {}
            Some(guard) => {
                guard.status = status;
                guard.since = None;
            }
            None => {
                self.list.push(EntryGuard { relay, status, since: None });
            }
        }
    }

    pub(super) fn list(&self) -> &[EntryGuard] {
        &self.list
    }
}
