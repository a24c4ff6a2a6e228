//! The queue of updates from the reader thread to the thread that calls listeners.
//!
//! The reader thread never waits. Updates are queued up to a limit in bytes; beyond it each
//! listener keeps only its newest update, which counts the ones that it replaced. So an update
//! reports every loss before it, and the last update of a circuit or stream is never lost.
//!
//! A supervised state has one feed for all its connections. The queue has an entry where the updates
//! of the next connection begin.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::slice;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::change::{Change, CircuitChange, StreamChange};
use super::generation::Generation;
use super::listeners::Listener;
use crate::clock;
use crate::error::Disconnect;
use crate::link::{ListenerId, Members, Registry, drop_quietly};
use crate::names::{CircuitId, StreamId};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, thread};

/// How many bytes an update takes besides its change: its entry in the queue and allocations.
const OVERHEAD: usize = 256;

/// How often the thread yields before it sleeps. Waking it for each event of a flood would cost the
/// reader thread more than its other work.
const MAX_YIELDS: u32 = match cfg!(all(test, shuttle)) {
    // Hardly any schedule of a model would reach the wait behind them.
    true => 1,
    false => 50,
};

/// The changes that a listener receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Topic {
    Circuits,
    Circuit(CircuitId),
    Streams,
    Stream(StreamId),
    Addresses,
}

impl Topic {
    /// Returns whether a change is the last one of this circuit or stream.
    fn ends_with(self, change: &Change) -> bool {
        match (self, change) {
            (Self::Circuit(_), Change::Circuit { change, .. }) => {
                matches!(
                    change,
                    CircuitChange::Closed | CircuitChange::Failed | CircuitChange::Lost
                )
            }
            (Self::Stream(_), Change::Stream { change, .. }) => {
                matches!(change, StreamChange::Closed | StreamChange::Lost)
            }
            _ => false,
        }
    }

    /// Returns whether this is about one circuit or stream, and so about one connection.
    pub(super) fn is_single(self) -> bool {
        matches!(self, Self::Circuit(_) | Self::Stream(_))
    }

    /// Returns the topics that a change belongs to.
    fn of(change: &Change) -> (Self, Option<Self>) {
        match change {
            Change::Circuit { cell, .. } => (Self::Circuits, Some(Self::Circuit(cell.id()))),
            Change::Stream { cell, .. } => (Self::Streams, Some(Self::Stream(cell.id()))),
            Change::Address { .. } => (Self::Addresses, None),
        }
    }
}

/// One change for one listener.
///
/// It keeps the listener, but not the closure of a removed one, so that it can be dropped under a
/// lock.
pub(super) struct Update {
    pub(super) listener: Arc<Listener>,
    pub(super) change: Change,
    /// The number of updates of this listener that were lost just before this one.
    pub(super) lost: u64,
    /// Whether the circuit or stream of the listener ends with it.
    pub(super) is_last: bool,
    /// Its bytes in the limit.
    pub(super) size: usize,
}

impl Update {
    fn new(listener: &Arc<Listener>, topic: Topic, change: Change) -> Self {
        let (is_last, size) = (topic.ends_with(&change), OVERHEAD + change.size());
        Self { listener: Arc::clone(listener), change, lost: 0, is_last, size }
    }
}

/// An entry of the queue.
pub(super) enum Item {
    Update(Update),
    /// The following updates belong to another generation. The entry keeps the former one until the
    /// updates before it are delivered.
    NextGeneration {
        former: Arc<Generation>,
        next: Weak<Generation>,
    },
}

/// Why [`Feed::next`] returns.
pub(super) enum Next {
    /// There are updates in the batch.
    Batch,
    /// The deadline has passed.
    Late,
    /// There are no updates, and none will follow.
    End,
}

/// The listeners of a state, and the queue of their updates.
pub(super) struct Feed {
    listeners: Registry<Listener, Topic>,
    /// Locked before the registry.
    queue: Mutex<Queue>,
    /// Signaled when `queue` has updates or has ended.
    ready: Condvar,
    /// The queued bytes, with those of the batch that the thread has taken.
    held: AtomicUsize,
    limit: usize,
}

#[derive(Default)]
struct Queue {
    pending: Pending,
    /// The listeners of all circuits, streams or mappings. Copied from the registry for the next
    /// change, and dropped when a listener is added or removed.
    members: Vec<(Topic, Option<Members<Listener>>)>,
    /// Whether a listener may be one of a single circuit or stream.
    has_single: bool,
    /// No updates follow.
    ended: bool,
    /// The thread waits for `ready`.
    waiting: bool,
}

#[derive(Default)]
struct Pending {
    items: VecDeque<Item>,
    /// The newest update of each listener that exceeded the limit, with its order among all.
    overflow: HashMap<ListenerId, (u64, Update)>,
    next: u64,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.overflow.is_empty()
    }
}

impl Feed {
    /// Makes a feed with a limit of about so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            listeners: Registry::default(),
            queue: Mutex::default(),
            ready: Condvar::new(),
            held: AtomicUsize::new(0),
            limit,
        }
    }

    /// Queues changes for the listeners that want them. Never waits.
    pub(super) fn push(&self, changes: impl Iterator<Item = Change>) {
        if !self.listeners.any() {
            return changes.for_each(drop);
        }
        let mut queue = self.queue.lock();
        for change in changes {
            self.push_change(&mut queue, change);
        }
        self.wake(queue);
    }

    fn push_change(&self, queue: &mut Queue, change: Change) {
        let Queue { pending, members, has_single, .. } = queue;
        let (all, one) = Topic::of(&change);
        let index = members.iter().position(|(topic, _)| *topic == all).unwrap_or_else(|| {
            members.push((all, self.listeners.members(&all)));
            members.len() - 1
        });
        let of_all = members.get(index).and_then(|(_, members)| members.as_deref());
        let of_all = of_all.unwrap_or_default();
        let one = one.filter(|_| *has_single);
        let of_one = one.and_then(|one| self.listeners.members(&one));
        let of_one = of_one.as_deref().unwrap_or_default();
        // The last update stays the last, even if tor sends another event of the circuit.
        let ended = one.filter(|one| !of_one.is_empty() && one.ends_with(&change));
        let mut left = of_all.len() + of_one.len();
        let one_each = of_one.iter().map(|listener| (one.unwrap_or(all), listener));
        let mut change = Some(change);
        for (topic, listener) in of_all.iter().map(|listener| (all, listener)).chain(one_each) {
            left -= 1;
            let next = if left > 0 { change.clone() } else { change.take() };
            if let Some(change) = next {
                self.push_one(pending, Update::new(listener, topic, change));
            }
        }
        if let Some(ended) = ended {
            self.listeners.forget(&ended);
        }
    }

    fn push_one(&self, pending: &mut Pending, update: Update) {
        let Pending { items, overflow, next } = pending;
        let has_room =
            |size: usize| self.held.load(Ordering::Relaxed).saturating_add(size) <= self.limit;
        let id = update.listener.id();
        if let Some((order, waiting)) = overflow.get_mut(&id) {
            if !has_room(waiting.size + update.size) {
                let lost = waiting.lost + 1;
                (*order, *waiting) = (*next, Update { lost, ..update });
                *next += 1;
                return;
            }
            if let Some((_, waiting)) = overflow.remove(&id) {
                self.held.fetch_add(waiting.size, Ordering::Relaxed);
                items.push_back(Item::Update(waiting));
            }
        } else if !has_room(update.size) {
            overflow.insert(id, (*next, update));
            *next += 1;
            return;
        }
        self.held.fetch_add(update.size, Ordering::Relaxed);
        items.push_back(Item::Update(update));
    }

    /// Queues the updates that exceeded the limit.
    fn queue_overflow(&self, mut waiting: Vec<(u64, Update)>, into: &mut VecDeque<Item>) {
        waiting.sort_by_key(|(order, _)| *order);
        let sizes = waiting.iter().map(|(_, update)| update.size).sum();
        self.held.fetch_add(sizes, Ordering::Relaxed);
        into.extend(waiting.into_iter().map(|(_, update)| Item::Update(update)));
    }

    /// Queues the change to another generation: after all updates of the former one, and before all
    /// of the next.
    pub(super) fn change_generation(&self, former: Arc<Generation>, next: Weak<Generation>) {
        let mut queue = self.queue.lock();
        if queue.ended {
            // The thread may have stopped reading the queue, which would keep the generation.
            // Dropped without the lock.
            drop(queue);
            return drop(former);
        }
        let Pending { items, overflow, .. } = &mut queue.pending;
        let waiting = overflow.drain().map(|(_, waiting)| waiting).collect();
        self.queue_overflow(waiting, items);
        items.push_back(Item::NextGeneration { former, next });
        self.wake(queue);
    }

    fn wake(&self, queue: MutexGuard<'_, Queue>) {
        let is_ready = queue.waiting && !queue.pending.is_empty();
        drop(queue);
        if is_ready {
            self.ready.notify_one();
        }
    }

    /// Adds a listener with its first changes, before any change that is pushed later. Returns
    /// `false` after [`close`](Self::close).
    pub(super) fn add(
        &self,
        topic: Topic,
        listener: &Arc<Listener>,
        existing: Vec<Change>,
    ) -> bool {
        let is_over = existing.iter().any(|change| topic.ends_with(change));
        let topics = if is_over { &[] } else { slice::from_ref(&topic) };
        if self.listeners.add(listener.id(), topics, Arc::clone(listener)).is_err() {
            return false;
        }
        let mut queue = self.queue.lock();
        queue.members.clear();
        queue.has_single |= topic.is_single();
        for change in existing {
            self.push_one(&mut queue.pending, Update::new(listener, topic, change));
        }
        self.wake(queue);
        true
    }

    /// Removes a listener: no call to it begins after this. Returns whether it existed.
    pub(super) fn remove(&self, id: ListenerId) -> bool {
        let Some(listener) = self.listeners.remove(id) else { return false };
        let mut queue = self.queue.lock();
        queue.members.clear();
        queue.has_single &= self.listeners.any();
        drop(queue);
        drop_quietly(listener.remove());
        true
    }

    /// Records that no updates follow. Those that are queued are still delivered.
    pub(super) fn end(&self) {
        self.queue.lock().ended = true;
        self.ready.notify_one();
    }

    /// Ends the feed, and drops the updates that are queued and all listeners.
    pub(super) fn close(&self) {
        let left = mem::replace(&mut *self.queue.lock(), Queue { ended: true, ..Queue::default() });
        drop(left);
        for listener in self.listeners.end(&Disconnect::Closed) {
            drop_quietly(listener.remove());
        }
    }

    /// Waits for updates, and swaps them with an empty batch.
    pub(super) fn next(&self, batch: &mut VecDeque<Item>, deadline: Option<Instant>) -> Next {
        let mut queue = self.queue.lock();
        let mut yields = 0;
        loop {
            if !queue.pending.items.is_empty() {
                mem::swap(&mut queue.pending.items, batch);
                return Next::Batch;
            }
            if !queue.pending.overflow.is_empty() {
                let waiting = queue.pending.overflow.drain().map(|(_, waiting)| waiting).collect();
                drop(queue);
                self.queue_overflow(waiting, batch);
                return Next::Batch;
            }
            if queue.ended {
                return Next::End;
            }
            if yields < MAX_YIELDS {
                yields += 1;
                MutexGuard::unlocked(&mut queue, thread::yield_now);
                continue;
            }
            queue.waiting = true;
            let is_late = match deadline {
                None => {
                    self.ready.wait(&mut queue);
                    false
                }
                Some(deadline) => clock::wait_until(&self.ready, &mut queue, deadline),
            };
            queue.waiting = false;
            if is_late {
                return Next::Late;
            }
        }
    }

    /// Returns the bytes of delivered updates to the limit, if there are enough of them to matter or
    /// none follow: both threads would change the number for each update otherwise.
    pub(super) fn delivered(&self, bytes: &mut usize, is_last: bool) {
        if is_last || *bytes > self.limit / 64 {
            self.held.fetch_sub(mem::take(bytes), Ordering::Relaxed);
        }
    }

    /// Returns whether there is a listener.
    pub(super) fn has_listener(&self) -> bool {
        self.listeners.any()
    }

    /// Returns whether a listener gets the changes of address mappings.
    pub(super) fn has_address_listener(&self) -> bool {
        self.listeners.has_key(&Topic::Addresses)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{Feed, Item, Next, OVERHEAD, Topic};
    use crate::info::AddressMapping;
    use crate::state::change::{AddressChange, Change};
    use crate::state::listeners::{Callback, Listener};

    fn change(number: usize) -> Change {
        let address = format!("{number:02}.example");
        let mapping = AddressMapping { address, new_address: "a".to_owned(), expires: None };
        Change::Address { mapping, change: AddressChange::Mapped }
    }

    /// Takes what is queued, and returns the mapped names with the numbers of lost updates.
    fn taken(feed: &Feed) -> Vec<String> {
        let mut batch = VecDeque::new();
        assert!(matches!(feed.next(&mut batch, None), Next::Batch));
        let text = |item| match item {
            Item::Update(update) => match update.change {
                Change::Address { mapping, .. } => format!("{} {}", mapping.address, update.lost),
                _ => panic!("no mapping"),
            },
            Item::NextGeneration { .. } => panic!("no update"),
        };
        batch.into_iter().map(text).collect()
    }

    // A listener that was stuck held up to three times the limit.
    #[test]
    fn updates_count_in_the_limit_until_they_are_delivered() {
        let size = OVERHEAD + change(0).size();
        let feed = Feed::new(4 * size);
        let listener = Listener::new(Callback::Address(Box::new(|_| {})));
        assert!(feed.add(Topic::Addresses, &listener, Vec::new()));
        feed.push((0..4).map(change));
        assert_eq!(taken(&feed).len(), 4);
        feed.push((4..8).map(change));
        assert_eq!(taken(&feed), ["07.example 3"]);
        feed.delivered(&mut (5 * size), true);
        feed.push((8..12).map(change));
        assert_eq!(taken(&feed), [8, 9, 10, 11].map(|number| format!("{number:02}.example 0")));
    }
}
