//! Delivers replies to the waiters that the router chooses, and holds replies while it is in doubt.
//!
//! Only the reader thread uses it, so held replies are written to a file without a lock.

use super::router::{LineRoute, NoReply, ReplyRoute, Router, SequencedReply, Waiter};
use super::spool::{BufferLimits, Spool};
use crate::error::{BufferProblem, Disconnect};
use crate::sync::Mutex;
use crate::wire::{Reply, ReplyBuilder};

/// The delivery of replies.
#[derive(Debug)]
pub(super) struct ReplyDelivery {
    /// The incoming reply, if its caller wants the whole reply.
    whole: ReplyBuilder,
    /// The bytes of all held replies.
    bytes: Spool,
    held: Vec<HeldReply>,
    /// The held reply that is incoming.
    incoming: HeldReply,
    /// The limits for all held replies together.
    buffer_limits: BufferLimits,
    /// The limit for one whole reply.
    reply_limit: usize,
}

/// A reply that is held.
#[derive(Debug, Default)]
struct HeldReply {
    length: u64,
    events_before: u64,
    /// Why the reply could not be buffered.
    lost: Option<BufferProblem>,
}

impl ReplyDelivery {
    pub(super) fn new(buffer_limits: BufferLimits, reply_limit: usize) -> Self {
        Self {
            whole: ReplyBuilder::default(),
            bytes: Spool::new(buffer_limits),
            held: Vec::new(),
            incoming: HeldReply::default(),
            buffer_limits,
            reply_limit,
        }
    }

    /// Applies another limit to whole replies.
    pub(super) fn set_reply_limit(&mut self, limit: usize) {
        self.reply_limit = limit;
    }

    /// Delivers whole lines of a reply that is not complete.
    pub(super) fn lines(&mut self, router: &Mutex<Router>, lines: &[u8]) -> Result<(), Disconnect> {
        let route = router.lock().route_lines()?;
        match route {
            LineRoute::Whole => self.collect(lines)?,
            LineRoute::Pipe(pipe) => pipe.push(lines),
            // The caller may have wanted the reply when it began.
            LineRoute::Discard => self.whole = ReplyBuilder::default(),
            LineRoute::Hold => self.hold(lines),
        }
        Ok(())
    }

    /// Delivers a complete reply, or the rest of it.
    pub(super) fn reply(
        &mut self,
        router: &Mutex<Router>,
        rest: &[u8],
        events_before: u64,
    ) -> Result<(), Disconnect> {
        let route = router.lock().route_reply(rest)?;
        match route {
            ReplyRoute::Waiter(Waiter::Whole(sender)) => {
                self.collect(rest)?;
                let reply = std::mem::take(&mut self.whole).finish();
                sender.send(Ok(SequencedReply { reply, events_before }));
            }
            ReplyRoute::Waiter(Waiter::Parts(pipe)) => {
                pipe.push(rest);
                pipe.end(Ok(()));
            }
            ReplyRoute::Waiter(Waiter::Probe | Waiter::Canceled) => {
                self.whole = ReplyBuilder::default();
            }
            ReplyRoute::Hold => {
                self.hold(rest);
                self.incoming.events_before = events_before;
                self.held.push(std::mem::take(&mut self.incoming));
            }
            ReplyRoute::Settle(waiters) => return self.settle(waiters),
        }
        Ok(())
    }

    /// Adds lines to the incoming reply.
    fn collect(&mut self, lines: &[u8]) -> Result<(), Disconnect> {
        if lines.len() > self.reply_limit.saturating_sub(self.whole.received()) {
            return Err(Disconnect::ReplyTooLong { limit: self.reply_limit });
        }
        self.whole.push(lines).map_err(Disconnect::Protocol)
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.incoming.lost.is_some() {
            return;
        }
        match self.bytes.push(bytes) {
            Ok(()) => self.incoming.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Err(problem) => {
                // The room is for the replies behind it.
                self.bytes.remove_last(std::mem::take(&mut self.incoming.length));
                self.incoming.lost = Some(problem);
            }
        }
    }

    /// Delivers the held replies. If some are missing, all waiters are canceled.
    fn settle(&mut self, waiters: Vec<Waiter>) -> Result<(), Disconnect> {
        let mut bytes = std::mem::replace(&mut self.bytes, Spool::new(self.buffer_limits));
        let mut outcome = Ok(());
        for (waiter, reply) in waiters.into_iter().zip(std::mem::take(&mut self.held)) {
            let spool = bytes.split_front(reply.length);
            if let Some(problem) = reply.lost {
                waiter.fail(NoReply::Buffer(problem));
                continue;
            }
            match waiter {
                Waiter::Whole(_)
                    if reply.length > self.reply_limit.try_into().unwrap_or(u64::MAX) =>
                {
                    // As for a reply that is not held.
                    let reason = Disconnect::ReplyTooLong { limit: self.reply_limit };
                    waiter.fail(NoReply::Closed(reason.clone()));
                    outcome = Err(reason);
                }
                Waiter::Whole(sender) => {
                    let events_before = reply.events_before;
                    let parse = |bytes| Reply::parse(bytes).map_err(Disconnect::Protocol);
                    let bytes = spool.into_bytes().map_err(NoReply::Buffer);
                    let reply = bytes.and_then(|bytes| parse(bytes).map_err(NoReply::Closed));
                    sender.send(reply.map(|reply| SequencedReply { reply, events_before }));
                }
                Waiter::Parts(pipe) => {
                    pipe.fill(spool);
                    pipe.end(Ok(()));
                }
                Waiter::Probe | Waiter::Canceled => {}
            }
        }
        outcome
    }
}
