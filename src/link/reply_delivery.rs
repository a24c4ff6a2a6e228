//! Delivers replies to the waiters that the router chooses, and holds replies while it is in doubt.
//!
//! Only the reader thread uses it, so held replies are written to a file without a lock.

use std::ops::Range;

use parking_lot::Mutex;

use super::router::{LineRoute, NoReply, RawReply, ReplyRoute, Router, Waiter};
use super::spool::{BufferLimits, Spool};
use crate::error::{BufferProblem, Disconnect};
use crate::wire::Frame;

/// The delivery of replies.
#[derive(Debug)]
pub(super) struct ReplyDelivery {
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
        let (bytes, held) = (Spool::new(buffer_limits), Vec::new());
        Self { bytes, held, incoming: HeldReply::default(), buffer_limits, reply_limit }
    }

    /// Delivers the complete lines of a reply that is not complete, unless its caller wants the whole
    /// reply.
    pub(super) fn lines(
        &mut self,
        router: &Mutex<Router>,
        frame: &mut Frame,
    ) -> Result<(), Disconnect> {
        let route = router.lock().route_lines()?;
        match route {
            LineRoute::Buffer => {}
            LineRoute::Pipe(pipe) => frame.take_lines(|bytes| pipe.push(bytes)),
            LineRoute::Discard => frame.take_lines(|_| {}),
            LineRoute::Hold => frame.take_lines(|bytes| self.hold(bytes)),
        }
        Ok(())
    }

    /// Delivers a complete reply, or the rest of it. May take the buffer of the frame.
    pub(super) fn reply(
        &mut self,
        router: &Mutex<Router>,
        frame: &mut Frame,
        rest: &Range<usize>,
        events_before: u64,
    ) -> Result<(), Disconnect> {
        let route = router.lock().route_reply(frame.bytes(rest))?;
        match route {
            ReplyRoute::Waiter(Waiter::Whole(sender)) => {
                let bytes = frame.reply_bytes(rest);
                // Fails only if the ticket was dropped.
                drop(sender.try_send(Ok(RawReply { bytes, events_before })));
            }
            ReplyRoute::Waiter(Waiter::Parts(pipe)) => {
                frame.take_reply(rest, |bytes| pipe.push(bytes));
                pipe.end(Ok(()));
            }
            ReplyRoute::Waiter(Waiter::Probe | Waiter::Canceled) => {
                frame.take_reply(rest, |_| {});
            }
            ReplyRoute::Hold => {
                frame.take_reply(rest, |bytes| self.hold(bytes));
                self.incoming.events_before = events_before;
                self.held.push(std::mem::take(&mut self.incoming));
            }
            ReplyRoute::Settle(waiters) => {
                frame.take_reply(rest, |_| {});
                return self.settle(waiters);
            }
        }
        Ok(())
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
                    let bytes = spool.into_bytes().map_err(NoReply::Buffer);
                    let outcome = bytes.map(|bytes| RawReply { bytes, events_before });
                    drop(sender.try_send(outcome));
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
