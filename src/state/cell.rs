//! The latest report about one circuit or stream, shared by the tracker and the handles.

use std::sync::Arc;

use parking_lot::Mutex;

/// Has the latest report, also after the circuit or stream has ended.
#[derive(Debug)]
pub(crate) struct Cell<Id, Info> {
    id: Id,
    /// A leaf lock.
    info: Mutex<Arc<Info>>,
}

impl<Id: Copy, Info> Cell<Id, Info> {
    pub(super) fn new(id: Id, info: Info) -> Self {
        Self { id, info: Mutex::new(Arc::new(info)) }
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Returns the latest report.
    pub(crate) fn info(&self) -> Arc<Info> {
        Arc::clone(&self.info.lock())
    }

    pub(super) fn set(&self, info: Arc<Info>) {
        let before = std::mem::replace(&mut *self.info.lock(), info);
        // Freed without the lock.
        drop(before);
    }
}
