//! The locks, condition variables, channels, atomics and threads of the crate, all taken from other
//! crates.
//!
//! **Invariant**: no other module names the crates, and `link`, `controller`, `state` and `supervisor`
//! take threads and atomics from here too. With `--cfg shuttle`, unit tests take those of
//! `tests/schedules` instead, whose steps a model checker orders.

#[cfg(all(test, shuttle))]
pub(crate) use schedules::{
    Condvar, Mutex, MutexGuard, ReentrantMutex, ReentrantMutexGuard, atomic, channel, thread,
    thread_local,
};

#[cfg(not(all(test, shuttle)))]
pub(crate) use std::{sync::atomic, thread, thread_local};

#[cfg(not(all(test, shuttle)))]
pub(crate) use crossbeam_channel as channel;
#[cfg(not(all(test, shuttle)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, ReentrantMutex, ReentrantMutexGuard};

pub(crate) use self::counter::Counter;

mod counter {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A source of numbers that are unique in the program. Taking one is no step of a model, since
    /// all models of a program share it.
    pub(crate) struct Counter(AtomicU64);

    impl Counter {
        pub(crate) const fn new() -> Self {
            Self(AtomicU64::new(0))
        }

        pub(crate) fn next(&self) -> u64 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }
    }
}

/// Locks whose guards can be mapped, which are never part of a model.
pub(crate) mod mapped {
    pub(crate) use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
}
