//! A closure that one thread calls and any thread removes.

use std::borrow::Cow;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::registry::ListenerId;
use crate::names::printable;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A listener: a closure that one thread calls.
#[derive(Debug)]
pub(crate) struct Listener<C> {
    id: ListenerId,
    /// Read before each call.
    is_removed: AtomicBool,
    /// A leaf lock.
    state: Mutex<ListenerState<C>>,
}

/// The state of a listener, with its closure unless it is running.
#[derive(Debug)]
enum ListenerState<C> {
    Idle(C),
    /// The calling thread has the closure, for one call or for several in a row.
    Running,
    Removed,
}

impl<C> Listener<C> {
    pub(crate) fn new(callback: C) -> Arc<Self> {
        let state = Mutex::new(ListenerState::Idle(callback));
        Arc::new(Self { id: ListenerId::next(), is_removed: AtomicBool::new(false), state })
    }

    pub(crate) fn id(&self) -> ListenerId {
        self.id
    }

    /// Calls the closure, unless the listener was removed. A closure that panics is dropped, and the
    /// message of the panic is the error.
    pub(crate) fn call(&self, call: impl FnOnce(&mut C)) -> Result<(), String> {
        self.call_each(iter::once(call), |callback, call| call(callback))
    }

    /// Calls the closure for each value, until the listener is removed. Nothing but the closure may
    /// block meanwhile, since a removed one is dropped at the end of its call.
    pub(crate) fn call_each<V>(
        &self,
        values: impl Iterator<Item = V>,
        mut call: impl FnMut(&mut C, V),
    ) -> Result<(), String> {
        let Some(mut callback) = self.take() else { return Ok(()) };
        let calls = || {
            for value in values {
                // A call begins here: what a removal stored before it returned is read.
                if self.is_removed.load(Ordering::Acquire) {
                    break;
                }
                call(&mut callback, value);
            }
        };
        match catch_unwind(AssertUnwindSafe(calls)) {
            Ok(()) => {
                if let Some(removed) = self.put_back(callback) {
                    drop_quietly(removed);
                }
                Ok(())
            }
            Err(panic) => {
                self.remove();
                let text = panic_text(&*panic).into_owned();
                drop_quietly(callback);
                drop_quietly(panic);
                Err(text)
            }
        }
    }

    /// Prevents further calls, and returns the closure. If it is running, the calling thread drops it
    /// after the call.
    pub(crate) fn remove(&self) -> Option<C> {
        self.is_removed.store(true, Ordering::Release);
        let state = std::mem::replace(&mut *self.state.lock(), ListenerState::Removed);
        match state {
            ListenerState::Idle(callback) => Some(callback),
            ListenerState::Running | ListenerState::Removed => None,
        }
    }

    /// Takes the closure out, unless the listener was removed.
    fn take(&self) -> Option<C> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, ListenerState::Running) {
            ListenerState::Idle(callback) => Some(callback),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Puts the closure back after its calls. Returns it if the listener was removed meanwhile.
    fn put_back(&self, callback: C) -> Option<C> {
        let mut state = self.state.lock();
        match *state {
            ListenerState::Running => {
                *state = ListenerState::Idle(callback);
                None
            }
            ListenerState::Idle(_) | ListenerState::Removed => Some(callback),
        }
    }
}

/// Drops a user's value, and catches a panic of its drop.
pub(crate) fn drop_quietly<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        log::error!("dropping the captures of a closure panicked");
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> Cow<'_, str> {
    // The message may contain text of the peer.
    let text = match panic.downcast_ref::<&str>() {
        Some(text) => *text,
        None => panic.downcast_ref::<String>().map_or("no message", String::as_str),
    };
    printable(text)
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::{Listener, panic_text};

    #[test]
    fn the_message_of_a_panic_is_shown_in_one_line() {
        let number = 7;
        for (panic, text) in [
            (catch_unwind(|| panic!("a text")).unwrap_err(), "a text"),
            (catch_unwind(move || panic!("number {number}\n")).unwrap_err(), "number 7\\n"),
            (catch_unwind(|| std::panic::panic_any(7)).unwrap_err(), "no message"),
        ] {
            assert_eq!(panic_text(&*panic), text);
        }
    }

    #[test]
    fn a_closure_that_panics_is_not_called_again() {
        let listener = Listener::new(0);
        assert_eq!(listener.call(|calls| *calls += 1), Ok(()));
        let called = listener.call_each([1, 2].into_iter(), |calls, by| {
            *calls += by;
            assert!(*calls < 4, "{calls} calls");
        });
        assert_eq!(called, Err("4 calls".to_owned()));
        assert_eq!(listener.call(|_| unreachable!("it was removed")), Ok(()));
        assert_eq!(listener.remove(), None);
    }
}
