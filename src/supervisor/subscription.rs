//! A subscription to events that is made again on each connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::controller::{Controller, EventSink, HookGuard};
use crate::error::{Disconnect, Error, Result};
use crate::event::EventKind;
use crate::link::{CommandLock, EventBatch, EventHook, RawEvent};
use crate::sync::Mutex;

/// The receiver of the events of a subscription.
pub(super) trait Sink: Send + Sync {
    /// Queues events, on the reader thread of a connection.
    fn events(&self, batch: &EventBatch<'_>);

    /// Counts events as lost, on the reader thread of a connection.
    fn lose(&self, batch: &EventBatch<'_>);

    /// Queues the marker that a new connection continues the events. Returns `false` if there is no
    /// room for it.
    fn reconnected(&self, gap: Duration) -> bool;

    /// Records that no events follow.
    fn end(&self, reason: &Error);
}

impl Sink for EventSink {
    fn events(&self, batch: &EventBatch<'_>) {
        self.events(batch);
    }

    fn lose(&self, batch: &EventBatch<'_>) {
        self.lose(batch);
    }

    fn reconnected(&self, gap: Duration) -> bool {
        self.reconnected(gap)
    }

    fn end(&self, reason: &Error) {
        self.end(reason);
    }
}

pub(super) struct Subscription {
    kinds: Box<[EventKind]>,
    sink: Arc<dyn Sink>,
    /// Taken before the lock of the sink. A reader thread holds it while it queues an event, so
    /// events and markers are queued in one order.
    progress: Mutex<Progress>,
    /// The generation and the hook of the present connection. Held across `SETEVENTS`.
    hook: CommandLock<Option<(u64, HookGuard)>>,
}

#[derive(Default)]
struct Progress {
    /// The connection whose events are queued. Those of earlier ones are dropped: the reader thread
    /// of a connection that this program closes may still have some.
    generation: u64,
    /// When the last connection ended, until the marker of the next one is queued.
    silent_since: Option<Instant>,
    /// Whether the marker of the present connection is queued, or the connection needs none.
    is_marked: bool,
    /// Whether the present connection has ended, or tor refused the subscription on it.
    ended: bool,
    /// Whether the subscription has ended.
    over: bool,
}

impl Subscription {
    pub(super) fn new(kinds: Box<[EventKind]>, sink: Arc<dyn Sink>) -> Arc<Self> {
        Arc::new(Self { kinds, sink, progress: Mutex::default(), hook: CommandLock::default() })
    }

    pub(super) fn kinds(&self) -> &[EventKind] {
        &self.kinds
    }

    /// Subscribes to the events on a connection, unless that was done before, and queues the marker
    /// if it is not the first connection.
    pub(super) fn connect(
        self: &Arc<Self>,
        controller: &Controller,
        generation: u64,
        deadline: Instant,
    ) -> Result<()> {
        // The former guard is dropped without the lock, since it sends a command.
        let made = self.make(controller, generation, deadline).map(drop);
        // The end may have found the hook locked.
        if self.progress.lock().over {
            self.end();
        }
        made
    }

    /// Does what [`connect`](Self::connect) does under the lock of the hook. Returns the former
    /// hook.
    fn make(
        self: &Arc<Self>,
        controller: &Controller,
        generation: u64,
        deadline: Instant,
    ) -> Result<Option<(u64, HookGuard)>> {
        let mut hook = self.hook.lock_before("SETEVENTS", deadline, controller.timeout())?;
        if hook.as_ref().is_some_and(|(connected, _)| *connected >= generation) {
            return Ok(None);
        }
        {
            let mut progress = self.progress.lock();
            if progress.over {
                return Ok(None);
            }
            if hook.is_some() {
                // The former connection may not have reported its end to its hook yet.
                progress.silent_since.get_or_insert_with(clock::now);
            }
            progress.generation = generation;
            progress.is_marked = progress.silent_since.is_none();
            progress.ended = false;
        }
        let events = ConnectionHook { subscription: Arc::clone(self), generation };
        let guard = match self.kinds.is_empty() {
            true => controller.watch_end(Arc::new(events)),
            false => controller
                .hook_before(&self.kinds, Arc::new(events), deadline)
                .inspect_err(|_| self.pause(hook.is_some()))?,
        };
        let former = hook.replace((generation, guard));
        // Without room, the marker waits for the next event.
        let _ = self.mark(&mut self.progress.lock());
        Ok(former)
    }

    /// Begins a gap after tor refused the subscription. Events that other receivers had subscribed to
    /// may have arrived before, and the marker with them.
    fn pause(&self, was_connected: bool) {
        let mut progress = self.progress.lock();
        progress.ended = true;
        if was_connected {
            progress.silent_since.get_or_insert_with(clock::now);
        }
    }

    /// Ends the subscription, and reports to the receiver that its supervisor has ended.
    pub(super) fn finish(&self, reason: &Error) {
        self.end();
        self.sink.end(reason);
    }

    /// Ends the subscription. If another thread is making it on a connection, that thread ends it
    /// there.
    pub(super) fn end(&self) {
        self.progress.lock().over = true;
        let hook = self.hook.try_lock().and_then(|mut hook| hook.take());
        drop(hook);
    }

    /// Queues the marker of the present connection, unless that was done before. Returns `false` if
    /// events of this connection would precede it: there is no room for it, or the connection has
    /// ended without it, and the gap continues.
    fn mark(&self, progress: &mut Progress) -> bool {
        if let (false, false, Some(since)) =
            (progress.is_marked, progress.ended, progress.silent_since)
        {
            if self.sink.reconnected(clock::elapsed_since(since)) {
                progress.is_marked = true;
                progress.silent_since = None;
            }
        }
        progress.is_marked
    }
}

/// The hook of a subscription on one connection.
struct ConnectionHook {
    subscription: Arc<Subscription>,
    generation: u64,
}

impl EventHook for ConnectionHook {
    fn event(&self, _: &RawEvent<'_>) {}

    fn feeds_other_threads(&self) -> bool {
        true
    }

    fn batch(&self, batch: &EventBatch<'_>) {
        let mut progress = self.subscription.progress.lock();
        if progress.generation == self.generation && !progress.over {
            // Events of the last read may follow the end, and belong before the next marker.
            if self.subscription.mark(&mut progress) {
                self.subscription.sink.events(batch);
            } else {
                // Receivers can make room at any moment, and the events would precede the marker.
                self.subscription.sink.lose(batch);
            }
        }
    }

    fn ended(&self, _reason: &Disconnect) {
        let mut progress = self.subscription.progress.lock();
        if progress.generation == self.generation {
            progress.ended = true;
            progress.silent_since.get_or_insert_with(clock::now);
        }
    }
}

#[cfg(test)]
mod tests;
