//! A queue bounded in bytes, from one sender to any number of receivers.
//!
//! **Invariant**: what does not fit is counted, and the count is an entry of the queue, in the
//! place where the items are missing. So it is received like an item: before everything that was
//! sent later, before the end, and without waiting for another item.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select, unbounded,
};
use parking_lot::Mutex;

/// The longest time that a sender waits for room that nobody makes.
const STALL_LIMIT: Duration = Duration::from_secs(1);

/// How long a sender may wait for each byte that the receivers take, in nanoseconds: 4 MiB a
/// second. Slower receivers lose items; otherwise the sender would slow down to their pace.
const NANOS_PER_BYTE: u64 = 238;

/// How much room a sender that has to wait waits for, if the limit and its item are not larger.
const WORTH_WAKING: usize = 64 << 10;

/// How many bytes a count of lost items is taken to need.
const COUNT_SIZE: usize = 256;

/// Creates a queue that holds at most `limit` bytes, or one item if that is larger.
pub(crate) fn backlog<T, L: Loss>(limit: usize) -> (BacklogSender<T, L>, Backlog<T, L>) {
    let (sender, receiver) = unbounded();
    let (wake, room) = bounded(1);
    let shared = Arc::new(Shared { size: AtomicUsize::new(0), wake_below: AtomicUsize::new(0) });
    let backlog = Backlog { receiver, shared: Arc::clone(&shared), wake };
    let sender = BacklogSender { sender, shared, room, limit, count: None, patience: STALL_LIMIT };
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

/// An entry of the queue, as its receiver gets it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Queued<T, L = u64> {
    Item(T),
    /// So many items are missing in this place.
    Lost(L),
}

/// An entry of the queue.
#[derive(Debug)]
enum Entry<T, L> {
    Item {
        item: T,
        size: usize,
    },
    /// Grows until it is received or an item stands behind it.
    Lost(Count<L>),
}

/// A count of lost items; `None` once it was received.
type Count<L> = Arc<Mutex<Option<L>>>;

#[derive(Debug)]
struct Shared {
    /// How many bytes are in the queue.
    size: AtomicUsize,
    /// The sender waits until fewer bytes than this are in the queue; 0 if it does not wait.
    wake_below: AtomicUsize,
}

/// The sending end, for one thread.
#[derive(Debug)]
pub(crate) struct BacklogSender<T, L = u64> {
    sender: Sender<Entry<T, L>>,
    shared: Arc<Shared>,
    /// Signaled by the receivers while the sender waits for room.
    room: Receiver<()>,
    limit: usize,
    /// The count at the end of the queue; `None` if an item is there.
    count: Option<Count<L>>,
    /// How long the sender may wait for room until receivers have made some.
    patience: Duration,
}

/// Result of sending an item. One that is not in the queue is given back: the caller may hold a
/// lock, and must not drop the item under it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Queuing<T> {
    /// It is in the queue.
    Queued,
    /// The queue is full; the item has been counted.
    Dropped(T),
    /// The receiver is gone.
    Closed(T),
}

impl<T, L: Loss> BacklogSender<T, L> {
    /// Returns how many bytes fit; more may a moment later, but never fewer.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.shared.size.load(Ordering::SeqCst))
    }

    /// Returns whether an item of `size` bytes fits.
    pub(crate) fn fits(&self, size: usize) -> bool {
        let used = self.shared.size.load(Ordering::SeqCst);
        used == 0 || size <= self.limit.saturating_sub(used)
    }

    /// Queues an item of `size` bytes that counts as `loss` if it does not fit.
    pub(crate) fn send(&mut self, item: T, size: usize, loss: L) -> Queuing<T> {
        if !self.fits(size) {
            self.lose(loss);
            return Queuing::Dropped(item);
        }
        self.count = None;
        let bytes = u64::try_from(size).unwrap_or(u64::MAX);
        let earned = Duration::from_nanos(bytes.saturating_mul(NANOS_PER_BYTE));
        self.patience = STALL_LIMIT.min(self.patience.saturating_add(earned));
        match self.push(Entry::Item { item, size }, size) {
            Ok(()) => Queuing::Queued,
            Err(Entry::Item { item, .. }) => Queuing::Closed(item),
            // Not what was sent.
            Err(Entry::Lost(_)) => Queuing::Queued,
        }
    }

    /// Counts items that are lost in this place.
    pub(crate) fn lose(&mut self, loss: L) {
        if let Some(count) = &self.count {
            if let Some(count) = &mut *count.lock() {
                count.add(loss);
                return;
            }
        }
        let count = Arc::new(Mutex::new(Some(loss)));
        self.count = Some(Arc::clone(&count));
        // A receiver that is gone does not want to know.
        let _ = self.push(Entry::Lost(count), COUNT_SIZE);
    }

    fn push(&self, entry: Entry<T, L>, size: usize) -> Result<(), Entry<T, L>> {
        self.shared.size.fetch_add(size, Ordering::SeqCst);
        self.sender.send(entry).map_err(|unsent| unsent.0)
    }

    /// Waits until an item of `size` bytes fits, as long as `may_wait` holds, and returns whether it
    /// does. `changed` tells that `may_wait` has changed.
    ///
    /// The time is bounded: by [`STALL_LIMIT`] in all, and then by what receivers have taken since
    /// ([`NANOS_PER_BYTE`]). So quick receivers lose nothing, and a stuck one is waited for once.
    pub(crate) fn wait_for_room(
        &mut self,
        size: usize,
        changed: &Receiver<()>,
        may_wait: impl Fn() -> bool,
    ) -> bool {
        if self.fits(size) {
            return true;
        }
        if self.patience.is_zero() || !may_wait() {
            return false;
        }
        let begun = Instant::now();
        let deadline = begun + self.patience;
        // More than this item needs, so that the threads do not take turns for each item.
        let room = size.max((self.limit / 4).min(WORTH_WAKING));
        let wake_below = self.limit.saturating_sub(room).saturating_add(1);
        self.shared.wake_below.store(wake_below, Ordering::SeqCst);
        // Each look comes after `wake_below` is set, so that no receiver is missed.
        while self.shared.size.load(Ordering::SeqCst) >= wake_below && may_wait() {
            select! {
                recv(self.room) -> room => if room.is_err() { break },
                recv(changed) -> _ => {}
                default(deadline.saturating_duration_since(Instant::now())) => break,
            }
        }
        self.shared.wake_below.store(0, Ordering::SeqCst);
        self.patience = self.patience.saturating_sub(begun.elapsed());
        self.fits(size)
    }
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Backlog<T, L = u64> {
    receiver: Receiver<Entry<T, L>>,
    shared: Arc<Shared>,
    /// Wakes a sender that waits for room; it also does when this is dropped.
    wake: Sender<()>,
}

impl<T, L: Loss> Backlog<T, L> {
    /// Waits for the next entry; `Err` means that the sender is gone and nothing is left.
    pub(crate) fn recv(&self) -> Result<Queued<T, L>, ()> {
        self.receiver.recv().map(|entry| self.taken(entry)).map_err(|_| ())
    }

    pub(crate) fn try_recv(&self) -> Result<Queued<T, L>, TryRecvError> {
        self.receiver.try_recv().map(|entry| self.taken(entry))
    }

    pub(crate) fn recv_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Queued<T, L>, RecvTimeoutError> {
        self.receiver.recv_deadline(deadline).map(|entry| self.taken(entry))
    }

    /// Returns how many entries are in the queue.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    fn taken(&self, entry: Entry<T, L>) -> Queued<T, L> {
        let (queued, size) = match entry {
            Entry::Item { item, size } => (Queued::Item(item), size),
            Entry::Lost(count) => {
                let lost = count.lock().take().unwrap_or_default();
                (Queued::Lost(lost), COUNT_SIZE)
            }
        };
        let before = self.shared.size.fetch_sub(size, Ordering::SeqCst);
        if before.saturating_sub(size) < self.shared.wake_below.load(Ordering::SeqCst) {
            // Full means that the sender has yet to look; it will.
            let _ = self.wake.try_send(());
        }
        queued
    }
}

/// Returns the instant after `limit`; a limit of more than ten years means ten years, so that time
/// can still be added.
pub(crate) fn deadline_after(limit: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    Instant::now() + limit.min(LONGEST)
}

#[cfg(test)]
mod tests;
