//! The latest report about one circuit or stream, shared by the tracker and the handles.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Holds the latest report, even after the circuit or stream has ended.
#[derive(Debug)]
pub(crate) struct Cell<Id, Info> {
    id: Id,
    /// A leaf lock.
    info: Mutex<Arc<Info>>,
    is_lost: AtomicBool,
}

impl<Id: Copy, Info> Cell<Id, Info> {
    pub(super) fn new(id: Id, info: Info) -> Self {
        Self { id, info: Mutex::new(Arc::new(info)), is_lost: AtomicBool::new(false) }
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn info(&self) -> Arc<Info> {
        Arc::clone(&self.info.lock())
    }

    /// Returns whether the connection ended before the circuit or stream did.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    pub(super) fn set_lost(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    pub(super) fn set(&self, info: Arc<Info>) {
        let before = std::mem::replace(&mut *self.info.lock(), info);
        // Freed without the lock.
        drop(before);
    }
}
