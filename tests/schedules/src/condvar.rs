//! A condition variable, as in `parking_lot`: without spurious wake-ups. The checker chooses the thread
//! that [`Condvar::notify_one`] wakes.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::check::choose;
use crate::lock::MutexGuard;
use crate::time::{Limit, limit_in, limit_of};
use crate::waiter::{Waiter, step};

#[derive(Debug, Default)]
pub struct Condvar {
    waiters: Mutex<Vec<Arc<Waiter>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub const fn new() -> Self {
        Self { waiters: Mutex::new(Vec::new()) }
    }

    fn waiters<T>(&self, call: impl FnOnce(&mut Vec<Arc<Waiter>>) -> T) -> T {
        call(&mut self.waiters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_limited(guard, Limit::Never);
    }

    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_limited(guard, limit_of(deadline))
    }

    pub fn wait_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        limit: Duration,
    ) -> WaitTimeoutResult {
        self.wait_limited(guard, limit_in(limit))
    }

    fn wait_limited<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        limit: Limit,
    ) -> WaitTimeoutResult {
        // Whatever needs no lock may happen between the check of the caller and its wait.
        step();
        let waiter = Waiter::new();
        self.waiters(|waiters| waiters.push(Arc::clone(&waiter)));
        let is_woken = MutexGuard::unlocked(guard, || {
            let is_woken = waiter.wait(limit);
            self.waiters(|waiters| waiters.retain(|other| !Arc::ptr_eq(other, &waiter)));
            is_woken
        });
        WaitTimeoutResult(!is_woken)
    }

    pub fn notify_one(&self) -> bool {
        step();
        let woken = self.waiters(|waiters| match waiters.len() {
            0 => None,
            count => Some(waiters.swap_remove(choose(count))),
        });
        woken.inspect(|waiter| waiter.wake()).is_some()
    }

    pub fn notify_all(&self) -> usize {
        step();
        let woken = self.waiters(mem::take);
        woken.iter().for_each(|waiter| waiter.wake());
        woken.len()
    }
}
