//! Which reply belongs to whom. Bookkeeping alone: no socket and no thread.
//!
//! tor answers commands in their order and names none of them, so the router is a queue: the
//! first reply belongs to the first slot. That holds as long as tor answers each command once.
//!
//! **Invariant**: the owner of a reply is decided once, when its first line comes. The slot then
//! leaves the queue and is the *incoming* reply, which all that arrives until the end of the reply
//! belongs to; so the front of the queue is always the slot of the next reply.
//!
//! A caller that gives up while its own reply is coming in leaves the rest to be discarded. One
//! that gives up earlier leaves its slot behind, and the late reply is discarded. But that reply
//! may also never come, and then everyone behind would get the reply of the one behind them. So the
//! router is *in doubt* then: replies are held, and the link sends a probe, a question whose
//! refusal repeats a nonce. When that refusal comes, everything in front of it has been answered
//! or never will be, and the router knows which:
//!
//! - as many replies were held as slots stand in front of the probe: all are in step;
//! - some are missing, but every slot in front of the probe was given up: nobody is concerned;
//! - otherwise nobody can know whose reply is missing, and the connection ends.
//!
//! A filter in front of tor refuses the probe without its nonce. That settles the doubt if as many
//! replies were held as slots stand in front of the probe, and ends the connection otherwise.

mod slot;

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use memchr::memmem;

use self::slot::Slot;
pub(super) use self::slot::{SlotId, Waiter};
use super::parts::{Parts, Pipe, pipe};
use super::spool::BufferLimits;
use crate::error::{BufferProblem, Disconnect};
use crate::wire::{Separator, StatusLine};

/// What a caller gets for its command.
pub(super) type Outcome = Result<RawReply, NoReply>;

/// The bytes of a reply, not yet read.
#[derive(Debug)]
pub(crate) struct RawReply {
    pub(crate) bytes: Vec<u8>,
    /// How many events tor had sent before this reply.
    pub(crate) events_before: u64,
}

/// Why a caller gets no reply.
#[derive(Clone, Debug)]
pub(super) enum NoReply {
    /// The connection has ended.
    Closed(Disconnect),
    /// The reply came and could not be kept; the connection goes on.
    Buffer(BufferProblem),
}

/// The reply that has begun and not ended.
#[derive(Debug)]
enum Incoming {
    Of(Slot),
    /// It came while in doubt.
    Held,
}

/// Where the lines go that have come of an incoming reply.
#[derive(Debug)]
pub(super) enum Route {
    /// Nowhere yet: the caller wants the whole.
    Gather,
    Pass(Arc<Pipe>),
    Discard,
    Hold,
}

/// What becomes of a reply that is complete.
#[derive(Debug)]
pub(super) enum Delivery {
    To(Waiter),
    Hold,
    /// It is a probe's answer: these get what was held, in order, if everyone's came. If not,
    /// there is nobody here who waits.
    Settle(Vec<Waiter>),
}

/// Result of giving up a place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// The slot stays behind, and a probe is wanted.
    Probing,
    /// The reply is coming in; the rest of it is discarded.
    Discarding,
    /// The reply had come just before.
    Answered,
}

/// The queue of slots.
#[derive(Debug)]
pub(super) struct Router {
    /// The commands whose replies have not begun.
    slots: VecDeque<Slot>,
    /// Those of `slots` that are probes.
    probes: VecDeque<SlotId>,
    incoming: Option<Incoming>,
    next_id: u64,
    /// How many replies were held since a caller gave up; `None` while in step.
    held: Option<usize>,
    /// A caller has given up and no probe stands behind it yet.
    probe_wanted: bool,
    /// Why the connection ends; the first reason wins.
    end_reason: Option<Disconnect>,
    /// Whether the callers have been told.
    has_ended: bool,
    /// What the end of the stream means after the command in this slot was written.
    expected_end: Option<(SlotId, Disconnect)>,
    /// Whether the link may probe; not before tor accepts the authentication.
    may_probe: bool,
    /// How many bytes of a reply in parts may wait for its caller.
    buffer_limits: BufferLimits,
}

impl Router {
    pub(super) fn new(buffer_limits: BufferLimits) -> Self {
        Self {
            slots: VecDeque::new(),
            probes: VecDeque::new(),
            incoming: None,
            next_id: 0,
            held: None,
            probe_wanted: false,
            end_reason: None,
            has_ended: false,
            expected_end: None,
            may_probe: false,
            buffer_limits,
        }
    }

    /// Takes a place at the end of the queue, for a caller that wants the whole reply.
    pub(super) fn push(&mut self) -> Result<(SlotId, Receiver<Outcome>), Disconnect> {
        let (sender, receiver) = bounded(1);
        let id = self.push_waiter(Waiter::Whole(sender))?;
        Ok((id, receiver))
    }

    /// Takes a place at the end of the queue, for a caller that wants the reply in parts.
    pub(super) fn push_parts(&mut self) -> Result<(SlotId, Parts), Disconnect> {
        let (sender, parts) = pipe(self.buffer_limits);
        let id = self.push_waiter(Waiter::Parts(sender))?;
        Ok((id, parts))
    }

    /// Takes a place for a probe, if one is wanted, and returns the nonce for it.
    pub(super) fn push_probe(&mut self) -> Option<u64> {
        if !self.probe_wanted {
            return None;
        }
        let nonce = self.next_id;
        let id = self.push_waiter(Waiter::Probe).ok()?;
        self.probes.push_back(id);
        self.probe_wanted = false;
        Some(nonce)
    }

    /// Returns whether a probe is wanted that has not been sent.
    pub(super) fn owes_probe(&self) -> bool {
        self.probe_wanted
    }

    fn push_waiter(&mut self, waiter: Waiter) -> Result<SlotId, Disconnect> {
        if let (true, Some(reason)) = (self.has_ended, &self.end_reason) {
            return Err(reason.clone());
        }
        let id = SlotId(self.next_id);
        self.next_id += 1;
        self.slots.push_back(Slot { id, waiter });
        Ok(id)
    }

    /// Takes back the places that were pushed last: nothing of their commands has been written.
    pub(super) fn take_back(&mut self, first: SlotId) {
        while self.slots.back().is_some_and(|slot| slot.id >= first) {
            let unwritten = self.slots.pop_back();
            // A probe that was not written is still owed.
            self.probe_wanted |= unwritten.is_some_and(|slot| slot.waiter.is_probe());
            self.probes.truncate(self.probes.partition_point(|probe| *probe < first));
        }
        self.expected_end.take_if(|(ending, _)| *ending >= first);
    }

    /// Returns whether at most one caller is waiting.
    pub(super) fn is_waiting_alone(&self) -> bool {
        self.slots.len() + usize::from(self.incoming.is_some()) <= 1
    }

    /// Returns whether the connection is open and nothing has been asked that is not answered.
    pub(super) fn is_idle(&self) -> bool {
        self.end_reason.is_none() && self.incoming.is_none() && self.slots.is_empty()
    }

    /// Lets the link send probes from now on.
    pub(super) fn allow_probes(&mut self) {
        self.may_probe = true;
    }

    /// Gives up the place of a caller that waits no longer.
    pub(super) fn give_up(&mut self, id: SlotId) -> GivenUp {
        match &mut self.incoming {
            Some(Incoming::Of(slot)) if slot.id == id => {
                slot.waiter = Waiter::GivenUp;
                return GivenUp::Discarding;
            }
            _ => {}
        }
        let place = self.place_of(id);
        let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.id == id) else {
            return GivenUp::Answered;
        };
        slot.waiter = Waiter::GivenUp;
        if self.may_probe {
            let is_probed = self.probes.back().is_some_and(|probe| *probe > id);
            self.probe_wanted |= !is_probed;
            self.held.get_or_insert(0);
        }
        GivenUp::Probing
    }

    /// Returns where in the queue a slot stands, or would stand.
    fn place_of(&self, id: SlotId) -> usize {
        self.slots.partition_point(|slot| slot.id < id)
    }

    /// Returns where in the queue the first probe stands.
    fn first_probe(&self) -> Option<usize> {
        self.probes.front().map(|probe| self.place_of(*probe))
    }

    /// Returns where in the queue the probe stands whose refusal this is.
    fn probe_refused_by(&self, reply: &[u8]) -> Option<usize> {
        let probe = self.probes.iter().find(|probe| probe.is_nonce_refused_by(reply))?;
        Some(self.place_of(*probe))
    }

    /// Takes note of a line without a status code that came between two messages.
    ///
    /// Dropping it must not move a later reply to another caller. It moves none if the line holds
    /// no part of a reply. A line that could hold one, since the line end before the reply was lost
    /// with the event that a filter has replaced, may have swallowed the reply that is due: then
    /// the next one would go to the wrong caller. So with commands outstanding such a line puts the
    /// router in doubt, as a caller that gives up does, and ends the connection if more lines of
    /// that reply would follow. What a filter must not do is replace the first line of an event with
    /// data and leave the data: that is read as lines, and would be in whatever client.
    pub(super) fn stray_line(&mut self, line: &[u8]) -> Result<(), Disconnect> {
        let Some(swallowed) = StatusLine::of_reply_within(line) else { return Ok(()) };
        if self.slots.is_empty() {
            return Ok(());
        }
        if swallowed.separator != Separator::Last {
            let detail = "a line without a status code came, and may hold the beginning of a reply";
            return Err(Disconnect::OutOfStep { detail });
        }
        self.probe_wanted = true;
        self.held.get_or_insert(0);
        Ok(())
    }

    /// Returns where the lines go that have come of a reply which is not complete.
    pub(super) fn route(&mut self) -> Result<Route, Disconnect> {
        let incoming = match self.incoming.take() {
            Some(incoming) => incoming,
            None => self.begin()?,
        };
        let route = match &incoming {
            Incoming::Held => Route::Hold,
            Incoming::Of(slot) => match &slot.waiter {
                Waiter::Whole(_) => Route::Gather,
                Waiter::Parts(pipe) => Route::Pass(Arc::clone(pipe)),
                Waiter::Probe | Waiter::GivenUp => Route::Discard,
            },
        };
        self.incoming = Some(incoming);
        Ok(route)
    }

    /// Decides whom the reply belongs to that begins now.
    fn begin(&mut self) -> Result<Incoming, Disconnect> {
        if self.held.is_some() {
            return Ok(Incoming::Held);
        }
        let slot = self.slots.pop_front().ok_or(OUT_OF_STEP_UNASKED)?;
        if self.probes.front() == Some(&slot.id) {
            self.probes.pop_front();
        }
        Ok(Incoming::Of(slot))
    }

    /// Returns what becomes of a reply whose last line has come. `last` is what was not routed
    /// before.
    pub(super) fn complete(&mut self, last: &[u8]) -> Result<Delivery, Disconnect> {
        let incoming = match (self.incoming.take(), self.held) {
            (Some(incoming), _) => incoming,
            (None, None) => self.begin()?,
            (None, Some(held)) => {
                // tor answers a probe with a single line, so it was not routed before.
                if let Some(probe) = self.probe_refused_by(last) {
                    return self.settle(probe, held).map(Delivery::Settle);
                }
                if let (Some(probe), true) = (self.first_probe(), is_filtered(last)) {
                    // A filter answers in order and refuses every probe. Had a command before this
                    // one gone unanswered, the refusal would have come one reply earlier.
                    if held == probe {
                        return self.settle(probe, held).map(Delivery::Settle);
                    }
                    return Err(Disconnect::OutOfStep {
                        detail: "a command went unanswered, and a filter refused the question \
                                 that would have put things right",
                    });
                }
                Incoming::Held
            }
        };
        match incoming {
            Incoming::Of(slot) => Ok(Delivery::To(slot.waiter)),
            Incoming::Held => {
                let held = self.held.map_or(1, |held| held + 1);
                self.held = Some(held);
                if held > self.first_probe().unwrap_or(self.slots.len()) {
                    return Err(OUT_OF_STEP_UNASKED);
                }
                Ok(Delivery::Hold)
            }
        }
    }

    /// The probe in the given place has been answered: what was held finds its owners.
    fn settle(&mut self, probe: usize, held: usize) -> Result<Vec<Waiter>, Disconnect> {
        let concerns = |slot: &Slot| !slot.waiter.has_given_up() && !slot.waiter.is_probe();
        if held != probe && self.slots.iter().take(probe).any(concerns) {
            return Err(Disconnect::OutOfStep {
                detail: "a command went unanswered while others were waiting behind it",
            });
        }
        let answered: Vec<_> = self.slots.drain(..=probe).collect();
        let is_settled = |probe: &SlotId| answered.last().is_some_and(|last| *probe <= last.id);
        self.probes.drain(..self.probes.partition_point(is_settled));
        let answered = answered.into_iter().map(|slot| slot.waiter).collect();
        self.held = (self.probe_wanted || !self.probes.is_empty()).then_some(0);
        Ok(answered)
    }

    /// Says what the end of the stream means once the command in this slot was written.
    pub(super) fn expect_end(&mut self, id: SlotId, reason: Disconnect) {
        // The first of two is answered first.
        self.expected_end.get_or_insert((id, reason));
    }

    /// Decides why the connection ends; [`end`](Self::end) follows. Returns the reason if it is the
    /// first.
    pub(super) fn decide_end(&mut self, reason: &Disconnect) -> Option<Disconnect> {
        if self.end_reason.is_some() {
            return None;
        }
        let reason = match (reason, self.expected_end.take()) {
            (Disconnect::EndOfStream, Some((_, expected))) => expected,
            (reason, _) => reason.clone(),
        };
        self.end_reason = Some(reason.clone());
        Some(reason)
    }

    /// Ends everything, for the reason that was decided: every caller gets it, now and later.
    pub(super) fn end(&mut self) {
        let Some(reason) = &self.end_reason else { return };
        self.has_ended = true;
        let incoming = match self.incoming.take() {
            Some(Incoming::Of(slot)) => Some(slot),
            Some(Incoming::Held) | None => None,
        };
        for slot in incoming.into_iter().chain(self.slots.drain(..)) {
            slot.waiter.fail(NoReply::Closed(reason.clone()));
        }
    }

    /// Returns why the connection has ended or is about to end.
    pub(super) fn end_reason(&self) -> Option<&Disconnect> {
        self.end_reason.as_ref()
    }

    /// Returns whether the callers have been told the end.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }
}

const OUT_OF_STEP_UNASKED: Disconnect =
    Disconnect::OutOfStep { detail: "a reply came that no command had asked for" };

/// Whether a filter in front of tor refused a command.
fn is_filtered(reply: &[u8]) -> bool {
    reply.starts_with(b"510 ") && memmem::find(reply, b"filter").is_some()
}

/// The key that a probe asks for; tor knows no such key, and repeats it in its refusal.
pub(super) fn probe_key(nonce: u64) -> String {
    format!("torcon/sync/{nonce}")
}

#[cfg(test)]
mod tests;
