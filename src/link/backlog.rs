//! A queue that is bounded in bytes, with one sender and any number of receivers.
//!
//! **Invariant**: items that do not fit are counted in an entry of the queue at their position. So a
//! loss is received like an item: before everything that was sent later, before the end, and without
//! another item.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select};
use crate::sync::{Condvar, Mutex};

/// The longest time that a sender waits for receivers that take nothing.
const STALL_LIMIT: Duration = Duration::from_secs(1);

/// The time that a sender may wait for each byte that receivers take, in nanoseconds: 4 MiB per
/// second. Slower receivers lose items, so that they do not slow down the sender.
const NANOS_PER_BYTE: u64 = 238;

/// The room for which a waiting sender is woken, if neither limit nor item demand another size.
const WAKE_ROOM: usize = 64 << 10;

/// The size of an entry that counts lost items, in bytes.
const COUNT_SIZE: usize = 256;

/// How far markers may exceed the limit, in bytes, so that events do not keep them out.
const MARKER_ROOM: usize = 64 << 10;

/// An empty queue keeps the space of so many entries.
const KEPT_ENTRIES: usize = 1 << 10;

/// Creates a queue for at most `limit` bytes, or for a single larger item.
pub(crate) fn backlog<T, L: Default>(limit: usize) -> (BacklogSender<T, L>, Backlog<T, L>) {
    let queue = Queue {
        entries: VecDeque::new(),
        size: 0,
        parts: 0,
        waiting_sender: None,
        sender_gone: false,
        receivers_gone: false,
    };
    let shared = Arc::new(Shared { queue: Mutex::new(queue), ready: Condvar::new() });
    let backlog = Backlog { shared: Arc::clone(&shared) };
    (BacklogSender { shared, limit, stall_budget: STALL_LIMIT }, backlog)
}

/// An item of a queue. Its size counts until the last of its parts is received.
pub(crate) trait Item {
    /// The whole item, or a part of it: a receiver takes one at a time.
    type Part;

    /// Returns the number of parts, at least one.
    fn parts(&self) -> usize {
        1
    }

    /// Takes the first part, unless it is the last one.
    fn split(&mut self) -> Option<Self::Part> {
        None
    }

    /// Returns the last part.
    fn into_last(self) -> Self::Part;
}

/// A received entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<T, L = u64> {
    Item(T),
    /// The number of items that are missing at this position.
    Lost(L),
}

/// An entry of the queue.
#[derive(Debug)]
enum Entry<T, L> {
    Item {
        item: T,
        size: usize,
    },
    /// Grows until it is received or followed by an item.
    Lost(L),
}

#[derive(Debug)]
struct Shared<T, L> {
    /// A leaf lock.
    queue: Mutex<Queue<T, L>>,
    /// Signaled when an entry is queued and at the end.
    ready: Condvar,
}

#[derive(Debug)]
struct Queue<T, L> {
    entries: VecDeque<Entry<T, L>>,
    /// Bytes in the queue.
    size: usize,
    /// The parts of all items, and the counts of lost items.
    parts: usize,
    waiting_sender: Option<WaitingSender>,
    sender_gone: bool,
    receivers_gone: bool,
}

/// A sender that waits until the size is below this. It is woken by a message, or by the end of the
/// channel if the receivers were dropped.
#[derive(Debug)]
struct WaitingSender {
    wake_below: usize,
    wake: Sender<()>,
}

impl<T, L> Queue<T, L> {
    fn fits(&self, size: usize, limit: usize) -> bool {
        let has_room = self.size == 0 || size <= limit.saturating_sub(self.size);
        has_room && !self.receivers_gone
    }

    fn push(&mut self, entry: Entry<T, L>, size: usize, parts: usize) {
        self.entries.push_back(entry);
        self.size += size;
        self.parts += parts;
    }
}

impl<T, L: Default> Queue<T, L> {
    /// Counts lost items at the end of the queue.
    fn lose(&mut self, count: impl FnOnce(&mut L)) {
        if let Some(Entry::Lost(lost)) = self.entries.back_mut() {
            count(lost);
        } else if !self.receivers_gone {
            let mut lost = L::default();
            count(&mut lost);
            self.push(Entry::Lost(lost), COUNT_SIZE, 1);
        }
    }
}

impl<T: Item, L> Queue<T, L> {
    /// Takes the next part or count.
    fn take(&mut self) -> Option<Received<T::Part, L>> {
        let front = self.entries.front_mut()?;
        self.parts -= 1;
        if let Entry::Item { item, .. } = front {
            if let Some(part) = item.split() {
                return Some(Received::Item(part));
            }
        }
        let (received, size) = match self.entries.pop_front()? {
            Entry::Item { item, size } => (Received::Item(item.into_last()), size),
            Entry::Lost(lost) => (Received::Lost(lost), COUNT_SIZE),
        };
        self.size -= size;
        if self.entries.is_empty() && self.entries.capacity() > KEPT_ENTRIES {
            self.entries = VecDeque::new();
        }
        if let Some(sender) = &self.waiting_sender {
            if self.size < sender.wake_below {
                // A full channel has a wake-up that the sender has not consumed yet.
                let _ = sender.wake.try_send(());
            }
        }
        Some(received)
    }
}

/// The sending end, for one thread.
#[derive(Debug)]
pub(crate) struct BacklogSender<T, L = u64> {
    shared: Arc<Shared<T, L>>,
    limit: usize,
    /// How long the sender may still wait for room. Sent items refill it.
    stall_budget: Duration,
}

impl<T, L> BacklogSender<T, L> {
    /// Returns how many bytes fit. Only the sender can reduce that.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.shared.queue.lock().size)
    }

    /// Returns whether an item of `size` bytes fits.
    pub(crate) fn fits(&self, size: usize) -> bool {
        self.shared.queue.lock().fits(size, self.limit)
    }

    /// Returns whether a marker of `size` bytes fits, for which there is [more room](MARKER_ROOM).
    pub(crate) fn fits_marker(&self, size: usize) -> bool {
        self.shared.queue.lock().fits(size, self.limit.saturating_add(MARKER_ROOM))
    }

    /// Waits until an item of `size` bytes fits, while `may_wait` returns true. Returns whether it
    /// fits. A message of `changed` means that `may_wait` can have changed.
    ///
    /// The wait is bounded by a budget: [`STALL_LIMIT`], refilled by the bytes that receivers take
    /// ([`NANOS_PER_BYTE`]). So quick receivers lose nothing, and a stuck receiver delays the sender
    /// once.
    pub(crate) fn wait_for_room(
        &mut self,
        size: usize,
        changed: &Receiver<()>,
        may_wait: impl Fn() -> bool,
    ) -> bool {
        if self.fits(size) {
            return true;
        }
        if self.stall_budget.is_zero() || !may_wait() {
            return false;
        }
        let begun = clock::now();
        let deadline = begun + self.stall_budget;
        // More than this item needs, so that the threads do not alternate for each item.
        let room = size.max((self.limit / 4).min(WAKE_ROOM));
        let wake_below = self.limit.saturating_sub(room).saturating_add(1);
        let (wake, room) = bounded(1);
        {
            let mut queue = self.shared.queue.lock();
            if queue.receivers_gone {
                return false;
            }
            queue.waiting_sender = Some(WaitingSender { wake_below, wake });
        }
        while self.shared.queue.lock().size >= wake_below && may_wait() {
            select! {
                recv(room) -> room => if room.is_err() { break },
                recv(changed) -> _ => {},
                default(clock::wait_length(deadline)) => if clock::has_passed(deadline) { break },
            }
        }
        self.shared.queue.lock().waiting_sender = None;
        self.stall_budget = self.stall_budget.saturating_sub(clock::elapsed_since(begun));
        self.fits(size)
    }
}

impl<T: Item, L: Default> BacklogSender<T, L> {
    /// Queues an item of `size` bytes, for which there must be [room](Self::fits), or a marker,
    /// which needs [less](Self::fits_marker). If the receivers were dropped it is returned, since
    /// the caller may hold a lock under which it must not be dropped.
    pub(crate) fn send(&mut self, item: T, size: usize) -> Result<(), T> {
        let mut queue = self.shared.queue.lock();
        if queue.receivers_gone {
            return Err(item);
        }
        let parts = item.parts();
        queue.push(Entry::Item { item, size }, size, parts);
        drop(queue);
        let bytes = u64::try_from(size).unwrap_or(u64::MAX);
        let refill = Duration::from_nanos(bytes.saturating_mul(NANOS_PER_BYTE));
        self.stall_budget = STALL_LIMIT.min(self.stall_budget.saturating_add(refill));
        match parts {
            1 => drop(self.shared.ready.notify_one()),
            _ => drop(self.shared.ready.notify_all()),
        }
        Ok(())
    }

    /// Counts lost items at this position. `count` is called with a lock held, unless the receivers were
    /// dropped.
    pub(crate) fn lose(&mut self, count: impl FnOnce(&mut L)) {
        self.shared.queue.lock().lose(count);
        self.shared.ready.notify_one();
    }
}

impl<T, L> Drop for BacklogSender<T, L> {
    fn drop(&mut self) {
        self.shared.queue.lock().sender_gone = true;
        self.shared.ready.notify_all();
    }
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Backlog<T, L = u64> {
    shared: Arc<Shared<T, L>>,
}

impl<T: Item, L> Backlog<T, L> {
    /// Waits for the next entry. `Err` means that the sender was dropped and the queue is empty.
    pub(crate) fn recv(&self) -> Result<Received<T::Part, L>, ()> {
        self.next(None).map_err(|_| ())
    }

    pub(crate) fn try_recv(&self) -> Result<Received<T::Part, L>, TryRecvError> {
        let mut queue = self.shared.queue.lock();
        let received = queue.take();
        received.ok_or(match queue.sender_gone {
            true => TryRecvError::Disconnected,
            false => TryRecvError::Empty,
        })
    }

    pub(crate) fn recv_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Received<T::Part, L>, RecvTimeoutError> {
        self.next(Some(deadline))
    }

    fn next(&self, deadline: Option<Instant>) -> Result<Received<T::Part, L>, RecvTimeoutError> {
        let mut queue = self.shared.queue.lock();
        let mut is_late = false;
        loop {
            if let Some(received) = queue.take() {
                return Ok(received);
            }
            if queue.sender_gone {
                return Err(RecvTimeoutError::Disconnected);
            }
            if is_late {
                return Err(RecvTimeoutError::Timeout);
            }
            match deadline {
                None => self.shared.ready.wait(&mut queue),
                Some(deadline) => {
                    is_late = clock::wait_until(&self.shared.ready, &mut queue, deadline);
                }
            }
        }
    }

    /// Returns how many parts and counts are in the queue.
    pub(crate) fn len(&self) -> usize {
        self.shared.queue.lock().parts
    }
}

impl<T, L> Drop for Backlog<T, L> {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.receivers_gone = true;
        queue.size = 0;
        let left = (std::mem::take(&mut queue.entries), queue.waiting_sender.take());
        // Dropped without the lock.
        drop(queue);
        drop(left);
    }
}

#[cfg(test)]
mod tests;
