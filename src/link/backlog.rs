//! A queue that is bounded in bytes, with one sender and any number of receivers.
//!
//! **Invariant**: items that do not fit are counted in an entry of the queue at their position. So a
//! loss is received like an item: before everything that was sent later, before the end, and without
//! another item.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select, unbounded,
};
use parking_lot::Mutex;

/// The longest time that a sender waits for receivers that take nothing.
const STALL_LIMIT: Duration = Duration::from_secs(1);

/// The time that a sender may wait for each byte that receivers take, in nanoseconds: 4 MiB per
/// second. Slower receivers lose items, so that they do not slow down the sender.
const NANOS_PER_BYTE: u64 = 238;

/// The room for which a waiting sender is woken, if neither limit nor item demand another size.
const WAKE_ROOM: usize = 64 << 10;

/// The size of an entry that counts lost items, in bytes.
const COUNT_SIZE: usize = 256;

/// Creates a queue for at most `limit` bytes, or for a single larger item.
pub(crate) fn backlog<T, L: Loss>(limit: usize) -> (BacklogSender<T, L>, Backlog<T, L>) {
    let (sender, receiver) = unbounded();
    let (wake, room) = bounded(1);
    let shared = Arc::new(Shared { size: AtomicUsize::new(0), wake_below: AtomicUsize::new(0) });
    let backlog = Backlog { receiver, shared: Arc::clone(&shared), wake };
    let sender =
        BacklogSender { sender, shared, room, limit, count: None, stall_budget: STALL_LIMIT };
    (sender, backlog)
}

/// A count of lost items.
pub(crate) trait Loss: Default {
    /// Adds another count.
    fn add(&mut self, other: Self);
}

impl Loss for u64 {
    fn add(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
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
    Lost(Count<L>),
}

/// A count of lost items; `None` after it was received.
type Count<L> = Arc<Mutex<Option<L>>>;

#[derive(Debug)]
struct Shared {
    /// Bytes in the queue.
    size: AtomicUsize,
    /// The sender waits until the size is below this; 0 if it does not wait.
    wake_below: AtomicUsize,
}

/// The sending end, for one thread.
#[derive(Debug)]
pub(crate) struct BacklogSender<T, L = u64> {
    sender: Sender<Entry<T, L>>,
    shared: Arc<Shared>,
    /// Signaled by receivers while the sender waits for room.
    room: Receiver<()>,
    limit: usize,
    /// The count at the end of the queue; `None` if the last entry is an item.
    count: Option<Count<L>>,
    /// How long the sender may still wait for room. Sent items refill it.
    stall_budget: Duration,
}

/// The outcome of sending an item. A rejected item is returned, since the caller may hold a lock under
/// which it must not be dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome<T> {
    /// The item is in the queue.
    Queued,
    /// The queue is full, and the item was counted as lost.
    Dropped(T),
    /// The receivers were dropped.
    Closed(T),
}

impl<T, L: Loss> BacklogSender<T, L> {
    /// Returns how many bytes fit. Only the sender can reduce that.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.shared.size.load(Ordering::SeqCst))
    }

    /// Returns whether an item of `size` bytes fits.
    pub(crate) fn fits(&self, size: usize) -> bool {
        let used = self.shared.size.load(Ordering::SeqCst);
        used == 0 || size <= self.limit.saturating_sub(used)
    }

    /// Queues an item of `size` bytes that counts as `loss` if it does not fit.
    pub(crate) fn send(&mut self, item: T, size: usize, loss: L) -> SendOutcome<T> {
        if !self.fits(size) {
            self.lose(loss);
            return SendOutcome::Dropped(item);
        }
        self.count = None;
        let bytes = u64::try_from(size).unwrap_or(u64::MAX);
        let refill = Duration::from_nanos(bytes.saturating_mul(NANOS_PER_BYTE));
        self.stall_budget = STALL_LIMIT.min(self.stall_budget.saturating_add(refill));
        match self.push(Entry::Item { item, size }, size) {
            Ok(()) => SendOutcome::Queued,
            Err(Entry::Item { item, .. }) => SendOutcome::Closed(item),
            // `push` returns the entry that it got.
            Err(Entry::Lost(_)) => SendOutcome::Queued,
        }
    }

    /// Counts lost items at this position.
    pub(crate) fn lose(&mut self, loss: L) {
        if let Some(count) = &self.count {
            if let Some(count) = &mut *count.lock() {
                count.add(loss);
                return;
            }
        }
        let count = Arc::new(Mutex::new(Some(loss)));
        self.count = Some(Arc::clone(&count));
        // Fails only if the receivers were dropped.
        let _ = self.push(Entry::Lost(count), COUNT_SIZE);
    }

    fn push(&self, entry: Entry<T, L>, size: usize) -> Result<(), Entry<T, L>> {
        self.shared.size.fetch_add(size, Ordering::SeqCst);
        self.sender.send(entry).map_err(|unsent| unsent.0)
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
        let begun = Instant::now();
        let deadline = begun + self.stall_budget;
        // More than this item needs, so that the threads do not alternate for each item.
        let room = size.max((self.limit / 4).min(WAKE_ROOM));
        let wake_below = self.limit.saturating_sub(room).saturating_add(1);
        self.shared.wake_below.store(wake_below, Ordering::SeqCst);
        // The size is read after `wake_below` is set, so that no wake-up is missed.
        while self.shared.size.load(Ordering::SeqCst) >= wake_below && may_wait() {
            select! {
                recv(self.room) -> room => if room.is_err() { break },
                recv(changed) -> _ => {}
                default(deadline.saturating_duration_since(Instant::now())) => break,
            }
        }
        self.shared.wake_below.store(0, Ordering::SeqCst);
        self.stall_budget = self.stall_budget.saturating_sub(begun.elapsed());
        self.fits(size)
    }
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Backlog<T, L = u64> {
    receiver: Receiver<Entry<T, L>>,
    shared: Arc<Shared>,
    /// Wakes a sender that waits for room, also by being dropped.
    wake: Sender<()>,
}

impl<T, L: Loss> Backlog<T, L> {
    /// Waits for the next entry. `Err` means that the sender was dropped and the queue is empty.
    pub(crate) fn recv(&self) -> Result<Received<T, L>, ()> {
        self.receiver.recv().map(|entry| self.received(entry)).map_err(|_| ())
    }

    pub(crate) fn try_recv(&self) -> Result<Received<T, L>, TryRecvError> {
        self.receiver.try_recv().map(|entry| self.received(entry))
    }

    pub(crate) fn recv_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Received<T, L>, RecvTimeoutError> {
        self.receiver.recv_deadline(deadline).map(|entry| self.received(entry))
    }

    /// Returns how many entries are in the queue.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    fn received(&self, entry: Entry<T, L>) -> Received<T, L> {
        let (received, size) = match entry {
            Entry::Item { item, size } => (Received::Item(item), size),
            Entry::Lost(count) => {
                let lost = count.lock().take().unwrap_or_default();
                (Received::Lost(lost), COUNT_SIZE)
            }
        };
        let before = self.shared.size.fetch_sub(size, Ordering::SeqCst);
        if before.saturating_sub(size) < self.shared.wake_below.load(Ordering::SeqCst) {
            // A full channel has a wake-up that the sender has not consumed yet.
            let _ = self.wake.try_send(());
        }
        received
    }
}

/// Returns the instant after `limit`. A limit of more than ten years counts as ten years, so that the
/// addition cannot overflow.
pub(crate) fn deadline_after(limit: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    Instant::now() + limit.min(LONGEST)
}

#[cfg(test)]
mod tests;
