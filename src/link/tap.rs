//! The hook by which rows above see every event on the reader thread, before any listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::Disconnect;

/// Sees every event, on the reader thread and in the order of the wire.
///
/// It must be quick, must not block, and must not send commands: everyone waits for the reader.
pub(crate) trait Tap: Send + Sync {
    /// An event came; `number` counts the events of the connection from 0, and `bytes` are those
    /// of the wire, with status codes and line ends.
    fn event(&self, number: u64, bytes: &[u8]);

    /// The connection ended; nothing comes any more.
    fn ended(&self, reason: &Disconnect);
}

/// The taps of one connection.
#[derive(Default)]
pub(super) struct Taps {
    taps: Mutex<Vec<Arc<dyn Tap>>>,
    /// A copy of "there is a tap", read for each event without a lock.
    any: AtomicBool,
}

impl Taps {
    pub(super) fn add(&self, tap: Arc<dyn Tap>) {
        let mut taps = self.taps.lock();
        taps.push(tap);
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn remove(&self, tap: &Arc<dyn Tap>) {
        let mut taps = self.taps.lock();
        taps.retain(|other| !Arc::ptr_eq(other, tap));
        self.any.store(!taps.is_empty(), Ordering::Release);
    }

    pub(super) fn event(&self, number: u64, bytes: &[u8]) {
        if self.any.load(Ordering::Acquire) {
            for tap in self.taps.lock().iter() {
                tap.event(number, bytes);
            }
        }
    }

    pub(super) fn ended(&self, reason: &Disconnect) {
        let taps = std::mem::take(&mut *self.taps.lock());
        for tap in taps {
            tap.ended(reason);
        }
    }
}
