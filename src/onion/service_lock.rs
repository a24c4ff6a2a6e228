//! The locks of a service that are held across commands.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::error::{OnionError, OnionProblem, Result, Timeout, Wait};
use crate::link::{Holding, LockHolder};
use crate::sync::mapped::{MappedMutexGuard, Mutex, MutexGuard};

/// A lock that is held across commands, so that a logger may run under it. A call of that logger for
/// the same service fails at once: a thread cannot wait for itself.
pub(super) struct ServiceLock<T> {
    value: Mutex<T>,
    holder: LockHolder,
}

pub(super) struct ServiceGuard<'a, T> {
    // Dropped before the lock is released.
    holding: Holding<'a>,
    value: MappedMutexGuard<'a, T>,
}

impl<T> ServiceLock<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), holder: LockHolder::default() }
    }

    /// Blocks the current thread until the lock is free, for at most `limit`.
    pub(super) fn lock_within(&self, limit: Duration) -> Result<ServiceGuard<'_, T>> {
        self.refuse_holder()?;
        let locked = self.value.try_lock_for(limit);
        Ok(self.hold(locked.ok_or_else(|| Timeout::new(Wait::OnionService, limit))?))
    }

    /// Blocks the current thread until the lock is free.
    pub(super) fn lock(&self) -> Result<ServiceGuard<'_, T>> {
        self.refuse_holder()?;
        Ok(self.hold(self.value.lock()))
    }

    /// Returns `None` if a thread holds the lock, be it this one.
    pub(super) fn try_lock(&self) -> Option<ServiceGuard<'_, T>> {
        self.value.try_lock().map(|value| self.hold(value))
    }

    fn refuse_holder(&self) -> Result<()> {
        match self.holder.is_current() {
            true => Err(OnionError::new(OnionProblem::Busy).into()),
            false => Ok(()),
        }
    }

    fn hold<'a>(&'a self, value: MutexGuard<'a, T>) -> ServiceGuard<'a, T> {
        let value = MutexGuard::map(value, |value| value);
        ServiceGuard { holding: self.holder.hold(), value }
    }
}

impl<'a, T> ServiceGuard<'a, Option<T>> {
    pub(super) fn present(self) -> Option<ServiceGuard<'a, T>> {
        let Self { holding, value } = self;
        let value = MappedMutexGuard::try_map(value, Option::as_mut).ok()?;
        Some(ServiceGuard { holding, value })
    }
}

impl<T> Deref for ServiceGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for ServiceGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
