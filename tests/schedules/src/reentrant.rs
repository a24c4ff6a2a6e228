//! A lock that its owner may take again.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use send_wrapper::SendWrapper;
use shuttle::thread::{self, ThreadId};

use crate::condvar::Condvar;
use crate::lock::Mutex;
use crate::time::{Limit, limit_in, limit_of, reach};

pub struct ReentrantMutex<T> {
    owner: Mutex<Option<(ThreadId, usize)>>,
    released: Condvar,
    value: SendWrapper<T>,
}

pub struct ReentrantMutexGuard<'a, T> {
    lock: &'a ReentrantMutex<T>,
}

impl<T> ReentrantMutex<T> {
    pub fn new(value: T) -> Self {
        let value = SendWrapper::new(value);
        Self { owner: Mutex::new(None), released: Condvar::new(), value }
    }

    pub fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        loop {
            if let Some(guard) = self.lock_limited(Limit::Never) {
                return guard;
            }
        }
    }

    pub fn try_lock(&self) -> Option<ReentrantMutexGuard<'_, T>> {
        let mut owner = self.owner.lock();
        let me = thread::current().id();
        match &mut *owner {
            Some((id, count)) if *id == me => *count += 1,
            Some(_) => return None,
            none => *none = Some((me, 1)),
        }
        Some(ReentrantMutexGuard { lock: self })
    }

    pub fn try_lock_until(&self, deadline: Instant) -> Option<ReentrantMutexGuard<'_, T>> {
        self.lock_limited(limit_of(deadline))
    }

    pub fn try_lock_for(&self, limit: Duration) -> Option<ReentrantMutexGuard<'_, T>> {
        self.lock_limited(limit_in(limit))
    }

    fn lock_limited(&self, limit: Limit) -> Option<ReentrantMutexGuard<'_, T>> {
        let me = thread::current().id();
        let mut owner = self.owner.lock();
        while owner.is_some_and(|(id, _)| id != me) {
            match limit {
                Limit::Never => self.released.wait(&mut owner),
                Limit::AnyStep(deadline) => {
                    drop(owner);
                    let guard = self.try_lock();
                    if guard.is_none() {
                        reach(deadline);
                    }
                    return guard;
                }
            }
        }
        *owner = Some((me, owner.map_or(0, |(_, count)| count) + 1));
        Some(ReentrantMutexGuard { lock: self })
    }
}

impl<T> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        let mut owner = self.lock.owner.lock();
        *owner = owner.and_then(|(id, count)| (count > 1).then_some((id, count - 1)));
        let is_free = owner.is_none();
        drop(owner);
        if is_free {
            self.lock.released.notify_one();
        }
    }
}

impl<T> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.lock.value
    }
}

impl<T: Default> Default for ReentrantMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex").finish_non_exhaustive()
    }
}
