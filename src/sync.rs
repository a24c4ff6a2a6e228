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

/// Locks whose guards can be mapped, which are never part of a model.
pub(crate) mod mapped {
    pub(crate) use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
}
