//! Hooks made of closures, for the rows above, which wait for events even inside a listener.

use std::sync::Arc;
use std::time::Instant;

use crate::controller::{Controller, HookGuard};
use crate::error::{Disconnect, Result};
use crate::event::{Event, EventKind};
use crate::link::{EventHook, RawEvent};

/// The argument of a hook's closure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HookEvent<'a> {
    Event(&'a Event),
    /// The connection has ended.
    Ended(&'a Disconnect),
}

struct ClosureHook<F>(F);

impl<F: Fn(HookEvent<'_>) + Send + Sync> EventHook for ClosureHook<F> {
    fn event(&self, event: &RawEvent<'_>) {
        (self.0)(HookEvent::Event(event.event()));
    }

    fn ended(&self, reason: &Disconnect) {
        (self.0)(HookEvent::Ended(reason));
    }
}

impl Controller {
    /// Calls a closure for every event of some kinds until the guard is dropped.
    ///
    /// The closure runs on the reader thread: it must neither wait nor send commands.
    pub(crate) fn watch_events(
        &self,
        kinds: &[EventKind],
        closure: impl Fn(HookEvent<'_>) + Send + Sync + 'static,
    ) -> Result<HookGuard> {
        self.watch_events_before(kinds, closure, self.deadline())
    }

    /// Calls a closure for every event as [`watch_events`](Self::watch_events) does, within the
    /// deadline of a longer call.
    pub(crate) fn watch_events_before(
        &self,
        kinds: &[EventKind],
        closure: impl Fn(HookEvent<'_>) + Send + Sync + 'static,
        deadline: Instant,
    ) -> Result<HookGuard> {
        self.hook_before(kinds, Arc::new(ClosureHook(closure)), deadline)
    }

    /// Adds a hook that sees no events, only the end of the connection. Sends nothing.
    pub(crate) fn watch_end(&self, hook: Arc<dyn EventHook>) -> HookGuard {
        HookGuard::new(self, self.inner.link.add_hook(&[], hook))
    }
}
