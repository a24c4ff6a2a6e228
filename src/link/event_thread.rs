//! The event thread, which calls the listeners. It starts with the first listener, so that a
//! connection without listeners has a single thread.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::Connection;
use super::backlog::Backlog;
use super::dispatcher::{Delivery, LostEvents};
use super::thread::NamedThread;
use crate::sync::Mutex;

const NAME: &str = "torcon-events";

/// The event thread of one connection.
#[derive(Debug)]
pub(super) struct EventThread {
    /// A leaf lock. Held while the thread is started, so that only one is.
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// No listener was added yet. The reader sends to this queue.
    Unneeded(Arc<Backlog<Delivery, LostEvents>>),
    Started(Arc<NamedThread>),
    /// The reader thread ended before a listener was added.
    Ended,
}

impl EventThread {
    pub(super) fn new(queue: Backlog<Delivery, LostEvents>) -> Self {
        Self { state: Mutex::new(State::Unneeded(Arc::new(queue))) }
    }

    /// Returns the thread, if it was started.
    fn thread(&self) -> Option<Arc<NamedThread>> {
        match &*self.state.lock() {
            State::Started(thread) => Some(Arc::clone(thread)),
            State::Unneeded(_) | State::Ended => None,
        }
    }

    /// Joins the thread, for at most until the deadline. Returns whether it has ended or was never
    /// started.
    pub(super) fn join(&self, deadline: Instant) -> bool {
        self.thread().is_none_or(|thread| thread.join(deadline))
    }
}

impl Connection {
    /// Starts the event thread, unless it was started before or the connection has ended. If the
    /// operating system starts no thread, nothing has changed, and a later call tries again.
    pub(super) fn start_event_thread(self: &Arc<Self>) -> io::Result<()> {
        let mut state = self.event_thread.state.lock();
        let State::Unneeded(queue) = &*state else { return Ok(()) };
        let (connection, queue) = (Arc::clone(self), Arc::clone(queue));
        let run = move || {
            connection.dispatcher.run(&queue, || connection.reason_after_hooks());
        };
        *state = State::Started(Arc::new(NamedThread::start(NAME, None, run)?));
        Ok(())
    }

    /// Ends the dispatcher in place of an event thread that was never started. The reader thread calls
    /// this last, when no caller waits for it any more.
    ///
    /// Disconnect callbacks are code of the program, so a thread is started for them. If the operating
    /// system starts none, they run on the reader thread.
    pub(super) fn end_without_event_thread(self: &Arc<Self>) {
        let reason = self.reason_after_hooks();
        let mut state = self.event_thread.state.lock();
        if matches!(*state, State::Started(_)) {
            return;
        }
        let queue = mem::replace(&mut *state, State::Ended);
        drop(state);
        drop(queue);
        let closures = self.dispatcher.end(&reason);
        if closures.is_empty() {
            return;
        }
        // Shared, since a thread that cannot be started drops its closure.
        let closures = Arc::new(Mutex::new(Some(closures)));
        let call = {
            let closures = Arc::clone(&closures);
            move || {
                let taken = closures.lock().take();
                taken.into_iter().for_each(|closures| closures.call(&reason));
            }
        };
        match NamedThread::start(NAME, None, call.clone()) {
            Ok(thread) => *self.event_thread.state.lock() = State::Started(Arc::new(thread)),
            Err(error) => {
                log::warn!("no thread can be started for disconnect callbacks: {error}");
                call();
            }
        }
    }
}
