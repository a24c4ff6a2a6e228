//! The latest report about one circuit or stream, shared by the tracker and the handles.

use std::sync::Arc;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Holds the latest report, even after the circuit or stream has ended.
#[derive(Debug)]
pub(crate) struct Cell<Id, Info> {
    id: Id,
    /// A leaf lock.
    info: Mutex<Arc<Info>>,
    is_lost: AtomicBool,
    /// Whether a thread may be waiting for a change. Changed under the lock of the store.
    is_awaited: AtomicBool,
}

impl<Id: Copy, Info> Cell<Id, Info> {
    pub(super) fn new(id: Id, info: Info) -> Self {
        Self {
            id,
            info: Mutex::new(Arc::new(info)),
            is_lost: AtomicBool::new(false),
            is_awaited: AtomicBool::new(false),
        }
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn info(&self) -> Arc<Info> {
        Arc::clone(&self.info.lock())
    }

    /// Reads the report without sharing it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Info) -> T) -> T {
        read(&self.info.lock())
    }

    /// Returns whether the connection ended before the circuit or stream did.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    pub(super) fn set_lost(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    /// Returns whether a thread may be waiting for a change.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    pub(super) fn set_awaited(&self, is_awaited: bool) {
        self.is_awaited.store(is_awaited, Ordering::Relaxed);
    }
}

impl<Id: Copy, Info: Clone> Cell<Id, Info> {
    /// Changes the report: in its place unless a handle, listener or snapshot shares it.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Info) -> T) -> T {
        change(Arc::make_mut(&mut self.info.lock()))
    }
}
