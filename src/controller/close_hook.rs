//! What is put right in tor before this program closes the connection, and what the users of one
//! connection share.

use std::any::Any;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::controller::Controller;

/// How long each answer is waited for at the end: whoever closes a connection wants to be gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

type CloseHook = Box<dyn FnOnce(&Controller) + Send>;

/// What will be said to tor before the connection is closed.
#[derive(Default)]
pub(in crate::controller) struct CloseHooks {
    next: u64,
    waiting: Vec<(u64, CloseHook)>,
}

/// Identifies a close hook, so that it can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CloseHookId(u64);

impl Controller {
    /// Calls a closure before this program closes the connection or quits, on the thread that
    /// does, with a controller that waits a second for each answer. It is not called if the
    /// connection ends in another way. It may keep nobody alive who keeps the connection open.
    pub(crate) fn before_close(
        &self,
        close_hook: impl FnOnce(&Controller) + Send + 'static,
    ) -> CloseHookId {
        let mut close_hooks = self.inner.close_hooks.lock();
        let id = close_hooks.next;
        close_hooks.next += 1;
        close_hooks.waiting.push((id, Box::new(close_hook)));
        CloseHookId(id)
    }

    /// Takes a closure back. Returns whether it had not been called yet.
    pub(crate) fn cancel_close_hook(&self, id: CloseHookId) -> bool {
        let mut close_hooks = self.inner.close_hooks.lock();
        let place = close_hooks.waiting.iter().position(|(other, _)| *other == id.0);
        let close_hook = place.map(|place| close_hooks.waiting.swap_remove(place));
        drop(close_hooks);
        close_hook.is_some()
    }

    /// Says what is to be said before the end.
    pub(in crate::controller) fn run_close_hooks(&self) {
        let waiting = mem::take(&mut self.inner.close_hooks.lock().waiting);
        if waiting.is_empty() || !self.is_alive() {
            return;
        }
        let hurried = self.with_timeout(self.timeout().min(ANSWER_LIMIT));
        for (_, close_hook) in waiting {
            close_hook(&hurried);
        }
    }

    /// Returns what everybody of a row above who uses this connection shares: one value of each
    /// type, made when it is first asked for.
    pub(crate) fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut shared = self.inner.shared.lock();
        for value in shared.iter() {
            let value: Arc<dyn Any + Send + Sync> = Arc::clone(value);
            if let Ok(value) = value.downcast() {
                return value;
            }
        }
        let value = Arc::new(T::default());
        let any: Arc<dyn Any + Send + Sync> = value.clone();
        shared.push(any);
        value
    }
}
