//! The hook by which rows above see every event on the reader thread, before any listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::Disconnect;
use crate::event::EventKind;

/// Sees every event of its kinds, on the reader thread and in the order of the wire.
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
    taps: Mutex<Vec<Entry>>,
    /// A copy of "there is a tap", read for each event without a lock.
    any: AtomicBool,
}

/// A tap, and what it is to see.
struct Entry {
    kinds: Vec<EventKind>,
    tap: Arc<dyn Tap>,
}

impl Taps {
    pub(super) fn add(&self, kinds: &[EventKind], tap: Arc<dyn Tap>) {
        let mut taps = self.taps.lock();
        taps.push(Entry { kinds: kinds.to_vec(), tap });
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn remove(&self, tap: &Arc<dyn Tap>) {
        let mut taps = self.taps.lock();
        taps.retain(|entry| !Arc::ptr_eq(&entry.tap, tap));
        self.any.store(!taps.is_empty(), Ordering::Release);
    }

    pub(super) fn event(&self, number: u64, bytes: &[u8]) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let keyword = keyword(bytes);
        let is_seen = |kind: &EventKind| kind.as_str().as_bytes() == keyword;
        for Entry { kinds, tap } in self.taps.lock().iter() {
            if kinds.iter().any(is_seen) {
                tap.event(number, bytes);
            }
        }
    }

    pub(super) fn ended(&self, reason: &Disconnect) {
        let taps = std::mem::take(&mut *self.taps.lock());
        for Entry { tap, .. } in taps {
            tap.ended(reason);
        }
    }
}

/// Returns the word behind the status code of an event.
fn keyword(bytes: &[u8]) -> &[u8] {
    let text = bytes.get(4..).unwrap_or_default();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}
