//! The lock of a service's parts.

use std::ops::{Deref, DerefMut};
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::registration::Parts;
use crate::error::{OnionError, OnionProblem, Result};
use crate::link::lock_within;

/// A lock that is held across commands, so that a logger may run under it. A call of that logger for
/// the same service fails at once: a thread cannot wait for itself.
pub(super) struct PartsLock {
    parts: Mutex<Option<Parts>>,
    /// The thread that holds the lock. A leaf lock.
    holder: Mutex<Option<ThreadId>>,
}

/// The parts of a service that has not been removed, or what is left of them.
pub(super) struct PartsGuard<'a, T = Option<Parts>> {
    // Dropped before the lock is released.
    holding: Holding<'a>,
    parts: MappedMutexGuard<'a, T>,
}

struct Holding<'a>(&'a Mutex<Option<ThreadId>>);

impl PartsLock {
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts: Mutex::new(Some(parts)), holder: Mutex::default() }
    }

    /// Blocks the current thread until the lock is free, for at most `limit`. A timeout names
    /// `command`.
    pub(super) fn lock_within(&self, command: &str, limit: Duration) -> Result<PartsGuard<'_>> {
        self.refuse_holder()?;
        Ok(self.hold(lock_within(&self.parts, command, limit)?))
    }

    /// Blocks the current thread until the lock is free.
    pub(super) fn lock(&self) -> Result<PartsGuard<'_>> {
        self.refuse_holder()?;
        Ok(self.hold(self.parts.lock()))
    }

    /// Returns `None` if a thread holds the lock, be it this one.
    pub(super) fn try_lock(&self) -> Option<PartsGuard<'_>> {
        self.parts.try_lock().map(|parts| self.hold(parts))
    }

    fn refuse_holder(&self) -> Result<()> {
        let holder = *self.holder.lock();
        match holder == Some(thread::current().id()) {
            true => Err(OnionError::new(OnionProblem::Busy).into()),
            false => Ok(()),
        }
    }

    fn hold<'a>(&'a self, parts: MutexGuard<'a, Option<Parts>>) -> PartsGuard<'a> {
        *self.holder.lock() = Some(thread::current().id());
        let parts = MutexGuard::map(parts, |parts| parts);
        PartsGuard { holding: Holding(&self.holder), parts }
    }
}

impl<'a> PartsGuard<'a> {
    /// Returns `None` if the service has been removed.
    pub(super) fn present(self) -> Option<PartsGuard<'a, Parts>> {
        let Self { holding, parts } = self;
        let parts = MappedMutexGuard::try_map(parts, Option::as_mut).ok()?;
        Some(PartsGuard { holding, parts })
    }
}

impl<T> Deref for PartsGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.parts
    }
}

impl<T> DerefMut for PartsGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.parts
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
