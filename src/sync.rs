//! The locks, condition variables, channels, atomics and threads of the crate, all taken from other
//! crates.
//!
//! **Invariant**: no other module names the crates, and `link`, `controller`, `state` and `supervisor`
//! take threads and atomics from here too. So these can be replaced by those of a model checker.

pub(crate) use std::sync::atomic;
pub(crate) use std::{thread, thread_local};

pub(crate) use crossbeam_channel as channel;
pub(crate) use parking_lot::{
    Condvar, MappedMutexGuard, Mutex, MutexGuard, ReentrantMutex, ReentrantMutexGuard,
};
