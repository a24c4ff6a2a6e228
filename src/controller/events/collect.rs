//! Queues that the reader thread fills by a hook.
//!
//! **Invariant**: an event is copied once, from the reader's buffer into a chunk that other queues may
//! share. No other queue precedes this one: a stuck consumer fills only its queue, up to the limit, and
//! a busy listener, which may be the consumer, delays no event.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::controller::{Controller, HookGuard};
use crate::error::{Disconnect, Error, Result, Timeout};
use crate::event::EventKind;
use crate::link::{
    Backlog, BacklogSender, EventBatch, EventHook, Events, RawEvent, Received, SequencedEvent,
    backlog,
};
use crate::sync::Mutex;
use crate::sync::channel::RecvTimeoutError;

/// The events of some kinds, from its creation until it is dropped. Dropping it ends the
/// subscription without waiting for tor.
pub(in crate::controller) struct CollectedEvents {
    controller: Controller,
    /// Dropped before the queue, so that no event is queued without a receiver.
    _hook: HookGuard,
    queue: Backlog<Events>,
}

struct Collector {
    /// Locked by the reader thread alone. `None` when the connection has ended, so that the queue
    /// ends too.
    sender: Mutex<Option<BacklogSender<Events>>>,
}

impl EventHook for Collector {
    fn event(&self, _: &RawEvent<'_>) {}

    fn feeds_other_threads(&self) -> bool {
        true
    }

    fn batch(&self, batch: &EventBatch<'_>) {
        if let Some(sender) = &mut *self.sender.lock() {
            batch.queue(sender, |events| events, |lost, _, count| *lost += count);
        }
    }

    fn ended(&self, _reason: &Disconnect) {
        let sender = self.sender.lock().take();
        drop(sender);
    }
}

impl CollectedEvents {
    /// Subscribes to the events before the deadline.
    pub(in crate::controller) fn new(
        controller: &Controller,
        kinds: &[EventKind],
        deadline: Instant,
    ) -> Result<Self> {
        let (sender, queue) = backlog(controller.inner.event_limit);
        let hook = controller.hook_before(
            kinds,
            Arc::new(Collector { sender: Mutex::new(Some(sender)) }),
            deadline,
        )?;
        Ok(Self { controller: controller.clone(), _hook: hook, queue })
    }

    pub(in crate::controller) fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Returns the next event if one is queued.
    pub(in crate::controller) fn try_recv(&self) -> Option<Received<SequencedEvent>> {
        self.queue.try_recv().ok()
    }

    /// Waits for the next event without a limit; `None` when the connection has ended.
    pub(in crate::controller) fn recv(&self) -> Option<Received<SequencedEvent>> {
        self.queue.recv().ok()
    }

    /// Waits for the next event until the deadline; `timeout` is the error if none arrives.
    pub(in crate::controller) fn recv_deadline(
        &self,
        deadline: Instant,
        timeout: &Timeout,
    ) -> Result<Received<SequencedEvent>> {
        self.queue.recv_deadline(deadline).map_err(|error| match error {
            RecvTimeoutError::Timeout => timeout.clone().into(),
            RecvTimeoutError::Disconnected => match self.controller.closed_reason() {
                Some(reason) => Error::Closed(reason),
                None => timeout.clone().into(),
            },
        })
    }

    /// Returns the number of queued events and notices of a loss.
    pub(in crate::controller) fn len(&self) -> usize {
        self.queue.len()
    }
}

impl fmt::Debug for CollectedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectedEvents").field("len", &self.len()).finish_non_exhaustive()
    }
}
