//! The threads that wait for a change of one circuit or stream.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::cell::Cell;
use super::tracker::Tracker;

/// Checks a circuit or stream after one of its events. Returns whether the wait is over.
///
/// It runs on the reader thread, under the lock of the store: it must not hold a value whose drop
/// could need that lock, such as a handle of the state.
pub(super) type Check<Id, Info> = Box<dyn FnMut(&Tracker, &Arc<Cell<Id, Info>>) -> bool + Send>;

/// Identifies a waiter among those of one circuit or stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

type Checks<Id, Info> = Vec<(Ticket, Check<Id, Info>)>;

/// The waiters by circuit or stream: an event of one circuit does not check the waiters of others.
pub(super) struct Waiters<Id, Info> {
    by_id: HashMap<Id, Checks<Id, Info>>,
    next: u64,
}

impl<Id, Info> Default for Waiters<Id, Info> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), next: 0 }
    }
}

impl<Id: Copy + Eq + Hash, Info> Waiters<Id, Info> {
    /// Adds a waiter. A circuit or stream that is reported already must be marked as awaited.
    pub(super) fn add(&mut self, id: Id, check: Check<Id, Info>) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.by_id.entry(id).or_default().push((ticket, check));
        ticket
    }

    /// Removes a waiter that timed out, if its check has not succeeded meanwhile.
    pub(super) fn remove(&mut self, id: Id, ticket: Ticket) {
        if let Some(waiters) = self.by_id.get_mut(&id) {
            waiters.retain(|(other, _)| *other != ticket);
            if waiters.is_empty() {
                self.by_id.remove(&id);
            }
        }
    }

    /// Wakes the waiters of a changed circuit or stream whose check succeeds, and records in it
    /// whether others are left.
    pub(super) fn check(&mut self, tracker: &Tracker, cell: &Arc<Cell<Id, Info>>) {
        if self.by_id.is_empty() {
            return cell.set_awaited(false);
        }
        let Some(waiters) = self.by_id.get_mut(&cell.id()) else {
            return cell.set_awaited(false);
        };
        waiters.retain_mut(|(_, check)| !check(tracker, cell));
        let is_awaited = !waiters.is_empty();
        if !is_awaited {
            self.by_id.remove(&cell.id());
        }
        cell.set_awaited(is_awaited);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Removes all waiters, which wakes them.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
    }
}
