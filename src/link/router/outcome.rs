//! The results of the router: for the callers, and for the delivery of replies.

use std::sync::Arc;

use super::super::pipe::Pipe;
use super::Waiter;
use crate::error::{BufferProblem, Disconnect};
use crate::wire::Reply;

/// The result of a command, as its caller receives it.
pub(in crate::link) type Outcome = Result<SequencedReply, NoReply>;

/// A reply, with the number of events before it on the connection.
#[derive(Debug)]
pub(crate) struct SequencedReply {
    pub(crate) reply: Reply,
    pub(crate) events_before: u64,
}

/// Why a caller gets no reply.
#[derive(Clone, Debug)]
pub(in crate::link) enum NoReply {
    /// The connection has ended.
    Closed(Disconnect),
    /// The reply could not be buffered. The connection stays open.
    Buffer(BufferProblem),
}

/// The destination of the complete lines of an incoming reply.
#[derive(Debug)]
pub(in crate::link) enum LineRoute {
    /// They are collected, since the caller wants the whole reply.
    Whole,
    Pipe(Arc<Pipe>),
    Discard,
    Hold,
}

/// The destination of a reply that is complete.
#[derive(Debug)]
pub(in crate::link) enum ReplyRoute {
    Waiter(Waiter),
    Hold,
    /// The reply was the refusal of a probe. These waiters, in order, get the held replies; if there
    /// are fewer replies than waiters, all waiters are canceled.
    Settle(Vec<Waiter>),
}

/// The outcome of canceling a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum CancelOutcome {
    /// The slot stays in the queue, and a probe is owed.
    Queued,
    /// The reply is incoming; the rest of it is discarded.
    Incoming,
    /// The reply was complete already.
    Complete,
    /// Not a byte of the command was written, and it was removed.
    Unwritten,
    /// Only a part of the command was written, which ends the connection.
    Begun,
}
