//! Events: hooks on the reader thread, listeners, queues, and the subscription that tor is told of.

pub(super) mod collect;
pub(super) mod hook;
pub(super) mod queue;
pub(super) mod subscribe;
