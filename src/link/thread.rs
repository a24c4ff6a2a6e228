//! A named thread that is joined with a deadline.

use std::io;
use std::time::Instant;

use super::listener::panic_text;
use crate::clock;
use crate::sync::Mutex;
use crate::sync::channel::{Receiver, RecvTimeoutError, bounded};
use crate::sync::thread::{self, JoinHandle, ThreadId};

/// A thread of a connection.
#[derive(Debug)]
pub(super) struct ConnectionThread {
    id: ThreadId,
    /// Taken by the first join that succeeds. A leaf lock.
    handle: Mutex<Option<JoinHandle<()>>>,
    /// Disconnected when the body of the thread has returned.
    returned: Receiver<()>,
}

impl ConnectionThread {
    /// Starts a thread, with a stack of the default size if none is given.
    pub(super) fn start(
        name: &str,
        stack: Option<usize>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let mut thread = thread::Builder::new().name(name.to_owned());
        if let Some(size) = stack {
            thread = thread.stack_size(size);
        }
        let (running, returned) = bounded(0);
        let handle = thread.spawn(move || {
            // Dropped last, and while a panic unwinds.
            let _running = running;
            body();
        })?;
        Ok(Self { id: handle.thread().id(), handle: Mutex::new(Some(handle)), returned })
    }

    pub(super) fn is_current(&self) -> bool {
        thread::current().id() == self.id
    }

    /// Joins the thread, for at most until the deadline. Returns whether it has ended. A thread that
    /// joins itself returns true at once.
    pub(super) fn join(&self, deadline: Instant) -> bool {
        if self.is_current() {
            return true;
        }
        if clock::recv_until(&self.returned, deadline) == Err(RecvTimeoutError::Timeout) {
            return false;
        }
        let handle = self.handle.lock().take();
        if let Some(Err(panic)) = handle.map(JoinHandle::join) {
            log::error!("a thread of the connection panicked: {}", panic_text(&*panic));
        }
        true
    }
}
