//! A queue bounded in bytes, whose sender never waits: what does not fit is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};

/// Creates a queue that holds at most `limit` bytes.
pub(crate) fn backlog<T>(limit: usize) -> (BacklogSender<T>, Backlog<T>) {
    let (sender, receiver) = unbounded();
    let size = Arc::new(AtomicUsize::new(0));
    let sender = BacklogSender { sender, size: Arc::clone(&size), limit, dropped: 0 };
    (sender, Backlog { receiver, size })
}

/// One item of the queue, with how many were dropped just before it.
#[derive(Debug)]
pub(crate) struct Queued<T> {
    pub(crate) item: T,
    pub(crate) dropped_before: u64,
    size: usize,
}

/// The sending end, for one thread.
#[derive(Debug)]
pub(crate) struct BacklogSender<T> {
    sender: Sender<Queued<T>>,
    size: Arc<AtomicUsize>,
    limit: usize,
    dropped: u64,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queuing {
    /// It is in the queue.
    Queued,
    /// The queue is full, and has been since the last item that fitted or not.
    Dropped {
        /// Whether this is the first after one that fitted.
        first: bool,
    },
    /// The receiver is gone.
    Closed,
}

impl<T> BacklogSender<T> {
    /// Returns how many bytes fit; more may a moment later, but never fewer.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.size.load(Ordering::Relaxed))
    }

    /// Queues an item of `size` bytes that counts as `count` things if it has to be dropped.
    pub(crate) fn send(&mut self, item: T, size: usize, count: u64) -> Queuing {
        if self.size.load(Ordering::Relaxed).saturating_add(size) > self.limit {
            let first = self.dropped == 0;
            self.dropped += count;
            return Queuing::Dropped { first };
        }
        self.size.fetch_add(size, Ordering::Relaxed);
        let dropped_before = std::mem::take(&mut self.dropped);
        match self.sender.send(Queued { item, dropped_before, size }) {
            Ok(()) => Queuing::Queued,
            Err(_) => Queuing::Closed,
        }
    }

    /// Counts things that were lost before they came here.
    pub(crate) fn lose(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Returns how many things were dropped since the last that was queued.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    receiver: Receiver<Queued<T>>,
    size: Arc<AtomicUsize>,
}

impl<T> Backlog<T> {
    /// Waits for the next item; `Err` means that the sender is gone and nothing is left.
    pub(crate) fn recv(&self) -> Result<Queued<T>, ()> {
        self.receiver.recv().map(|queued| self.taken(queued)).map_err(|_| ())
    }

    pub(crate) fn try_recv(&self) -> Result<Queued<T>, TryRecvError> {
        self.receiver.try_recv().map(|queued| self.taken(queued))
    }

    pub(crate) fn recv_deadline(&self, deadline: Instant) -> Result<Queued<T>, RecvTimeoutError> {
        self.receiver.recv_deadline(deadline).map(|queued| self.taken(queued))
    }

    /// Returns how many items are in the queue.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    fn taken(&self, queued: Queued<T>) -> Queued<T> {
        self.size.fetch_sub(queued.size, Ordering::Relaxed);
        queued
    }
}

/// Returns the instant after `limit`; one so far away that it cannot be said is ten years away.
pub(crate) fn deadline_after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now + Duration::from_secs(10 * 365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::{Queuing, backlog};

    #[test]
    fn what_does_not_fit_is_counted_and_announced_with_the_next_that_does() {
        let (mut sender, queue) = backlog(10);
        assert_eq!(sender.send('a', 6, 1), Queuing::Queued);
        assert_eq!(sender.send('b', 6, 3), Queuing::Dropped { first: true });
        assert_eq!(sender.send('c', 5, 4), Queuing::Dropped { first: false });
        assert_eq!(sender.dropped(), 7);
        let first = queue.recv().unwrap();
        assert_eq!((first.item, first.dropped_before), ('a', 0));
        assert_eq!(sender.send('d', 10, 1), Queuing::Queued);
        let next = queue.try_recv().unwrap();
        assert_eq!((next.item, next.dropped_before), ('d', 7));
        drop(queue);
        assert_eq!(sender.send('e', 1, 1), Queuing::Closed);
    }
}
