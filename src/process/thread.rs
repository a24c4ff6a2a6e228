use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{self, deadline_after};
use crate::error::LaunchProblem;
use crate::sync::channel::{Receiver, RecvTimeoutError, bounded};

/// A named thread that can be joined with a time limit.
#[derive(Debug)]
pub(super) struct NamedThread {
    handle: JoinHandle<()>,
    /// Disconnected when the body of the thread has returned.
    returned: Receiver<()>,
}

impl NamedThread {
    /// Starts a thread. Linux keeps the first 15 bytes of its name.
    pub(super) fn start(
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Self, LaunchProblem> {
        Self::start_boxed(name, Box::new(body))
    }

    // Not generic: the code that starts a thread is large, and exists once.
    fn start_boxed(name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Self, LaunchProblem> {
        let (running, returned) = bounded(0);
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Dropped last, and while a panic unwinds.
                let _running = running;
                body();
            })
            .map_err(|error| LaunchProblem::Thread(Arc::new(error)))?;
        Ok(Self { handle, returned })
    }

    /// Joins the thread for at most `limit`, and returns whether it has ended. A thread that joins
    /// itself returns false at once.
    pub(super) fn join_for(self, limit: Duration) -> bool {
        if self.handle.thread().id() == thread::current().id() {
            return false;
        }
        match clock::recv_until(&self.returned, deadline_after(limit)) {
            Err(RecvTimeoutError::Disconnected) => {
                let name = self.handle.thread().name().unwrap_or_default().to_owned();
                if self.handle.join().is_err() {
                    log::error!("the thread {name} of a launched tor panicked");
                }
                true
            }
            Ok(()) | Err(RecvTimeoutError::Timeout) => false,
        }
    }
}
