//! Carries replies to their owners, as the router decides. Belongs to the reader thread alone, so
//! that nothing here needs a lock across input and output.

use std::ops::Range;

use parking_lot::Mutex;

use super::router::{Delivery, NoReply, RawReply, Route, Router, Waiter};
use super::spool::{BufferLimits, Spool};
use crate::error::{BufferProblem, Disconnect};
use crate::wire::Frame;

/// The way of replies to their owners.
#[derive(Debug)]
pub(super) struct Intake {
    /// The replies that are held while in doubt, one behind the other.
    held: Spool,
    marks: Vec<Mark>,
    /// The held reply that is coming in.
    current: Mark,
    /// Bytes of all held replies, and bytes of one whole reply.
    buffer_limits: BufferLimits,
    reply_limit: usize,
}

/// One held reply.
#[derive(Debug, Default)]
struct Mark {
    length: u64,
    events_before: u64,
    /// Why it could not be kept.
    lost: Option<BufferProblem>,
}

impl Intake {
    pub(super) fn new(buffer_limits: BufferLimits, reply_limit: usize) -> Self {
        let (held, marks) = (Spool::new(buffer_limits), Vec::new());
        Self { held, marks, current: Mark::default(), buffer_limits, reply_limit }
    }

    /// Takes the whole lines that have come of a reply which is not complete, unless its caller
    /// wants the whole.
    pub(super) fn lines(
        &mut self,
        router: &Mutex<Router>,
        frame: &mut Frame,
    ) -> Result<(), Disconnect> {
        let route = router.lock().route()?;
        match route {
            Route::Gather => {}
            Route::Pass(pipe) => frame.take_lines(|bytes| pipe.push(bytes)),
            Route::Discard => frame.take_lines(|_| {}),
            Route::Hold => frame.take_lines(|bytes| self.hold(bytes)),
        }
        Ok(())
    }

    /// Takes a reply that is complete, or what is left of it. The frame may give its buffer away.
    pub(super) fn complete(
        &mut self,
        router: &Mutex<Router>,
        frame: &mut Frame,
        last: &Range<usize>,
        events_before: u64,
    ) -> Result<(), Disconnect> {
        let delivery = router.lock().complete(frame.bytes(last))?;
        match delivery {
            Delivery::To(Waiter::Whole(sender)) => {
                let bytes = frame.reply_bytes(last);
                // A caller that is gone does not want it.
                drop(sender.try_send(Ok(RawReply { bytes, events_before })));
            }
            Delivery::To(Waiter::Parts(pipe)) => {
                frame.take_reply(last, |bytes| pipe.push(bytes));
                pipe.end(Ok(()));
            }
            Delivery::To(Waiter::Probe | Waiter::GivenUp) => frame.take_reply(last, |_| {}),
            Delivery::Hold => {
                frame.take_reply(last, |bytes| self.hold(bytes));
                self.current.events_before = events_before;
                self.marks.push(std::mem::take(&mut self.current));
            }
            Delivery::Settle(waiters) => {
                frame.take_reply(last, |_| {});
                return self.settle(waiters);
            }
        }
        Ok(())
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.current.lost.is_some() {
            return;
        }
        match self.held.push(bytes) {
            Ok(()) => self.current.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Err(problem) => {
                // What is kept of it would only take the room of the replies behind it.
                self.held.remove_last(std::mem::take(&mut self.current.length));
                self.current.lost = Some(problem);
            }
        }
    }

    /// Hands over what was held. Where some replies are missing nobody waits for the others.
    fn settle(&mut self, waiters: Vec<Waiter>) -> Result<(), Disconnect> {
        let mut held = std::mem::replace(&mut self.held, Spool::new(self.buffer_limits));
        let mut outcome = Ok(());
        for (waiter, mark) in waiters.into_iter().zip(std::mem::take(&mut self.marks)) {
            let spool = held.split_front(mark.length);
            if let Some(problem) = mark.lost {
                waiter.fail(NoReply::Buffer(problem));
                continue;
            }
            match waiter {
                Waiter::Whole(_)
                    if mark.length > self.reply_limit.try_into().unwrap_or(u64::MAX) =>
                {
                    // As it would have been while in step.
                    let reason = Disconnect::ReplyTooLong { limit: self.reply_limit };
                    waiter.fail(NoReply::Closed(reason.clone()));
                    outcome = Err(reason);
                }
                Waiter::Whole(sender) => {
                    let reply = spool.into_bytes().map_err(NoReply::Buffer);
                    let events_before = mark.events_before;
                    let reply = reply.map(|bytes| RawReply { bytes, events_before });
                    drop(sender.try_send(reply));
                }
                Waiter::Parts(pipe) => {
                    pipe.fill(spool);
                    pipe.end(Ok(()));
                }
                Waiter::Probe | Waiter::GivenUp => {}
            }
        }
        outcome
    }
}
