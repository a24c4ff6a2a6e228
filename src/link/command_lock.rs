//! A lock that is held across commands.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use super::timeout;
use crate::clock::deadline_after;
use crate::error::{InvalidInput, Result};
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Mutex, MutexGuard};

/// A lock that threads hold while they send a command, so that a logger may run under it. A call of
/// that logger which needs the same lock fails at once: a thread cannot wait for itself.
#[derive(Debug, Default)]
pub(crate) struct CommandLock<T> {
    value: Mutex<T>,
    holder: LockHolder,
}

#[derive(Debug)]
pub(crate) struct CommandGuard<'a, T> {
    // Dropped before the lock is released.
    _holding: Holding<'a>,
    value: MutexGuard<'a, T>,
}

/// The thread that holds a lock across commands. A leaf lock.
#[derive(Debug, Default)]
pub(crate) struct LockHolder(Mutex<Option<ThreadId>>);

/// The time in which the current thread holds a lock.
#[derive(Debug)]
pub(crate) struct Holding<'a>(&'a LockHolder);

impl<T> CommandLock<T> {
    /// Takes the lock, which other threads hold while they send this command, within `limit`.
    pub(crate) fn lock_within(
        &self,
        command: &str,
        limit: Duration,
    ) -> Result<CommandGuard<'_, T>> {
        self.lock_before(command, deadline_after(limit), limit)
    }

    /// Takes the lock as one step of a call with one deadline. A timeout error reports `limit`.
    pub(crate) fn lock_before(
        &self,
        command: &str,
        deadline: Instant,
        limit: Duration,
    ) -> Result<CommandGuard<'_, T>> {
        if self.is_held_here() {
            let problem = format!("makes a call that waits for the {command} which it logs");
            return Err(InvalidInput::new("logger", problem).into());
        }
        let value = self.value.try_lock_until(deadline);
        Ok(self.hold(value.ok_or_else(|| timeout(command, limit))?))
    }

    /// Takes the lock unless a thread holds it, be it this one.
    pub(crate) fn try_lock(&self) -> Option<CommandGuard<'_, T>> {
        self.value.try_lock().map(|value| self.hold(value))
    }

    /// Takes the lock, which this thread must not hold. Other threads hold it for a bounded time.
    pub(crate) fn lock(&self) -> CommandGuard<'_, T> {
        self.hold(self.value.lock())
    }

    /// Returns whether this thread holds the lock.
    pub(crate) fn is_held_here(&self) -> bool {
        self.holder.is_current()
    }

    fn hold<'a>(&'a self, value: MutexGuard<'a, T>) -> CommandGuard<'a, T> {
        CommandGuard { _holding: self.holder.hold(), value }
    }
}

impl LockHolder {
    /// Returns whether the current thread holds the lock.
    pub(crate) fn is_current(&self) -> bool {
        *self.0.lock() == Some(thread::current().id())
    }

    /// Records that the current thread holds the lock, until the result is dropped.
    pub(crate) fn hold(&self) -> Holding<'_> {
        *self.0.lock() = Some(thread::current().id());
        Holding(self)
    }
}

impl<T> Deref for CommandGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for CommandGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        *self.0.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::CommandLock;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_does_not_wait_for_itself_and_others_wait_for_it() {
        let lock = CommandLock::<u32>::default();
        let mut held = lock.lock_within("GETINFO", LIMIT).unwrap();
        *held += 1;
        let begin = Instant::now();
        let error = lock.lock_before("GETINFO", begin + LIMIT, LIMIT).unwrap_err();
        assert!(begin.elapsed() < LIMIT);
        assert_eq!(
            error.to_string(),
            "invalid argument \"logger\": makes a call that waits for the GETINFO which it logs"
        );
        assert!(lock.try_lock().is_none() && lock.is_held_here());
        thread::scope(|scope| {
            let other = || {
                assert!(!lock.is_held_here());
                let timeout = lock.lock_within("GETINFO", Duration::ZERO).unwrap_err();
                assert!(timeout.is_timeout(), "{timeout}");
            };
            thread::Builder::new().spawn_scoped(scope, other).unwrap();
        });
        drop(held);
        assert!(!lock.is_held_here());
        assert_eq!(*lock.lock(), 1);
    }
}
