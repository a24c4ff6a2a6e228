//! A named thread that is joined with a deadline.

use std::io;
use std::time::{Duration, Instant};

use super::listener::panic_text;
use crate::clock::{self, deadline_after};
use crate::sync::Mutex;
use crate::sync::channel::{Receiver, RecvTimeoutError, bounded};
use crate::sync::thread::{self, JoinHandle, ThreadId};

/// A named thread that is joined with a time limit.
#[derive(Debug)]
pub(crate) struct NamedThread {
    name: &'static str,
    id: ThreadId,
    /// Taken by the first join that succeeds. A leaf lock.
    handle: Mutex<Option<JoinHandle<()>>>,
    /// Disconnected when the body of the thread has returned.
    returned: Receiver<()>,
}

impl NamedThread {
    /// Starts a thread, with a stack of the default size if none is given. Linux keeps the first 15
    /// bytes of its name.
    pub(crate) fn start(
        name: &'static str,
        stack: Option<usize>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_boxed(name, stack, Box::new(body))
    }

    // Not generic: the code that starts a thread is large, and exists once.
    fn start_boxed(
        name: &'static str,
        stack: Option<usize>,
        body: Box<dyn FnOnce() + Send>,
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
        Ok(Self { name, id: handle.thread().id(), handle: Mutex::new(Some(handle)), returned })
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
            log::error!("the thread {} panicked: {}", self.name, panic_text(&*panic));
        }
        true
    }

    /// Joins the thread as [`join`](Self::join) does, for at most `limit`.
    pub(crate) fn join_for(&self, limit: Duration) -> bool {
        self.join(deadline_after(limit))
    }
}
