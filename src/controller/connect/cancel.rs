//! Cancelling an attempt to connect or to launch from another thread.

use std::fmt;

use parking_lot::Mutex;

/// Cancels the attempt of another thread. Does not wait for it.
#[derive(Default)]
pub(crate) struct Cancel {
    /// A leaf lock: not held while an attempt is ended.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_canceled: bool,
    /// Ends the present attempt.
    end: Option<Box<dyn FnOnce() + Send>>,
}

impl Cancel {
    /// Sets how the present attempt is ended; ends it at once if it is canceled already.
    pub(crate) fn set(&self, end: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        if !state.is_canceled {
            let former = state.end.replace(Box::new(end));
            drop(state);
            drop(former);
            return;
        }
        drop(state);
        end();
    }

    /// Records that the attempt has succeeded or failed.
    pub(crate) fn clear(&self) {
        let end = self.state.lock().end.take();
        drop(end);
    }

    /// Ends the present attempt, and every later one when it begins.
    pub(crate) fn cancel(&self) {
        let mut state = self.state.lock();
        state.is_canceled = true;
        let end = state.end.take();
        drop(state);
        if let Some(end) = end {
            end();
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").finish_non_exhaustive()
    }
}
