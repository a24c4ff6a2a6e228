//! Events: listeners on the event thread, queues, and hooks on the reader thread.

mod bootstrap;
mod collect;
pub(super) mod hook;
pub(super) mod lasting;
mod listeners;
pub(super) mod queue;
pub(super) mod subscription;

pub(super) use self::collect::CollectedEvents;
