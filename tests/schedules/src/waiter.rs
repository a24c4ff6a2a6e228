//! A thread that waits to be woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shuttle::thread::{self, Thread};

use crate::time::{Limit, reach};

/// Lets the checker choose the next thread.
pub(crate) fn step() {
    thread::sleep(Duration::ZERO);
}

#[derive(Debug)]
pub(crate) struct Waiter {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Waiter {
    /// Returns a waiter for the current thread.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), is_woken: AtomicBool::new(false) })
    }

    pub(crate) fn wake(&self) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }

    /// Waits. Returns whether the waiter was woken before the limit.
    pub(crate) fn wait(&self, limit: Limit) -> bool {
        match limit {
            Limit::Never => {
                while !self.is_woken() {
                    thread::park();
                }
            }
            // Runs again when the checker chooses this thread: at any later step.
            Limit::AnyStep(deadline) => {
                step();
                if !self.is_woken() {
                    reach(deadline);
                }
            }
        }
        self.is_woken()
    }

    fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::SeqCst)
    }
}
