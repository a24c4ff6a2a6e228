use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::error::LaunchProblem;

/// A named thread that can be waited for with a limit.
#[derive(Debug)]
pub(super) struct Worker {
    thread: JoinHandle<()>,
    /// Nothing is ever sent: the sender is dropped when the thread's body is over.
    over: Receiver<()>,
}

impl Worker {
    /// Starts a thread. Its name has at most 15 bytes, which is what Linux keeps.
    pub(super) fn start(
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Self, LaunchProblem> {
        let (running, over) = bounded(0);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Dropped last, also while a panic unwinds.
                let _running = running;
                body();
            })
            .map_err(|error| LaunchProblem::Thread(Arc::new(error)))?;
        Ok(Self { thread, over })
    }

    /// Waits until the thread is gone, but not longer than `limit`; returns whether it is gone. A
    /// thread never waits for itself.
    pub(super) fn finish(self, limit: Duration) -> bool {
        if self.thread.thread().id() == thread::current().id() {
            return false;
        }
        match self.over.recv_timeout(limit) {
            Err(RecvTimeoutError::Disconnected) => {
                if self.thread.join().is_err() {
                    log::error!("a thread that watches over tor panicked");
                }
                true
            }
            Ok(()) | Err(RecvTimeoutError::Timeout) => false,
        }
    }
}
