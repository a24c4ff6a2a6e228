//! Events for rows above, on the reader thread: what they wait for comes even inside a listener.

use std::sync::Arc;
use std::time::Instant;

use crate::controller::{Controller, HookGuard};
use crate::error::{Disconnect, Error, Result};
use crate::event::{Event, EventKind};
use crate::link::{EventHook, RawEvent};

/// What the closure of a hook is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'a> {
    Event(&'a Event),
    /// The connection has ended.
    Ended(&'a Disconnect),
}

/// Turns a refusal into `None`: where a filter in front of tor may refuse an event that is only
/// convenient.
pub(crate) fn if_allowed<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(Error::Rejected(_)) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// A hook made of a closure.
struct Watcher<F>(F);

impl<F: Fn(Seen<'_>) + Send + Sync> EventHook for Watcher<F> {
    fn event(&self, event: &RawEvent<'_>) {
        (self.0)(Seen::Event(event.event()));
    }

    fn ended(&self, reason: &Disconnect) {
        (self.0)(Seen::Ended(reason));
    }
}

impl Controller {
    /// Calls a closure for every event of some kinds until the guard is dropped, on the reader
    /// thread: it must be quick, must not wait and must not send commands.
    pub(crate) fn watch_events(
        &self,
        kinds: &[EventKind],
        closure: impl Fn(Seen<'_>) + Send + Sync + 'static,
    ) -> Result<HookGuard> {
        self.hook(kinds, Arc::new(Watcher(closure)))
    }

    /// Does so as one step of a call, which has one time limit for all of them.
    pub(crate) fn watch_events_before(
        &self,
        kinds: &[EventKind],
        closure: impl Fn(Seen<'_>) + Send + Sync + 'static,
        deadline: Instant,
    ) -> Result<HookGuard> {
        self.hook_before(kinds, Arc::new(Watcher(closure)), deadline)
    }
}
