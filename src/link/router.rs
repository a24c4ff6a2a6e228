//! The router: matches replies with commands. It uses no socket and no thread.
//!
//! A reply does not name its command, but tor answers commands in order. So the router is a queue of
//! [slots](Slot), one for each command: the next reply belongs to the first slot. This holds as long
//! as tor answers each command exactly once.
//!
//! **Invariant**: the owner of a reply is decided once, when its first line arrives. The slot then
//! leaves the queue and becomes the *incoming* reply, which gets all lines up to the end of the reply.
//!
//! # Commands without a reply
//!
//! tor never answers some commands. If the caller of such a command times out and its slot stays in
//! the queue, each later caller would get the reply of the next command. But if the slot were
//! removed, a late reply would go to the next caller.
//!
//! So when a caller cancels a slot that is in the queue, the router is *in doubt*: the slot stays, the
//! connection sends a *probe*, and all replies are held. A probe is the command
//! `GETINFO torcon/sync/NONCE` with its own slot. tor knows no such key and repeats it in its refusal:
//!
//! ```text
//! slots:    [A, canceled] [B] [probe 7] [C]
//! replies:  250 a   250 b   552 Unrecognized key "torcon/sync/7"   250 c
//! ```
//!
//! When the refusal arrives, every command in front of the probe was answered, or never will be:
//!
//! - If the number of held replies equals the number of slots in front of the probe, all are in
//!   step, and each held reply is delivered to its slot.
//! - If replies are missing, but all slots in front of the probe are canceled, no caller is affected,
//!   and the held replies are discarded.
//! - Otherwise it is unknown whose reply is missing, and the connection ends.
//!
//! A filtering proxy refuses the probe without the nonce. Such a refusal settles the doubt if as many
//! replies were held as slots are in front of the probe, and ends the connection otherwise.

mod outcome;
mod slot;

use std::collections::VecDeque;
use std::sync::Arc;

use memchr::memmem;

pub(crate) use self::outcome::SequencedReply;
pub(super) use self::outcome::{CancelOutcome, LineRoute, NoReply, Outcome, ReplyRoute};
use self::slot::Slot;
pub(super) use self::slot::{SlotId, Waiter};
use super::outbox::{Outbox, Owner, Removal};
use crate::error::Disconnect;
use crate::wire::{Request, Separator, StatusLine};

/// The reply whose first line has arrived, but not its last.
#[derive(Debug)]
enum Incoming {
    /// It belongs to this slot.
    Owned(Slot),
    /// It began while the router was in doubt.
    Held,
}

/// The life of the connection. The first reason for its end counts.
#[derive(Debug)]
enum Phase {
    Open,
    /// The hooks are being called; no slot has failed yet.
    Ending(Disconnect),
    Ended(Disconnect),
}

/// The queue of slots.
#[derive(Debug)]
pub(super) struct Router {
    /// The commands whose replies have not begun.
    slots: VecDeque<Slot>,
    incoming: Option<Incoming>,
    next_id: u64,
    /// The slots of probes, in order.
    probes: VecDeque<SlotId>,
    /// Whether a probe must be sent, behind the last slot. Invariant: the router is in doubt if a
    /// probe is owed or in the queue, and only then.
    owes_probe: bool,
    /// The number of held replies.
    held: usize,
    /// Whether tor accepted the authentication. Before that it closes the connection at a probe.
    may_probe: bool,
    phase: Phase,
    /// The reason for the end of the stream after the command of this slot.
    expected_end: Option<(SlotId, Disconnect)>,
    /// The requests of the last slots.
    pub(super) outbox: Outbox,
    /// The number of commands that were pending at once lately: it decreases by one with each command.
    crowd: usize,
}

impl Router {
    pub(super) fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            incoming: None,
            next_id: 0,
            probes: VecDeque::new(),
            owes_probe: false,
            held: 0,
            may_probe: false,
            phase: Phase::Open,
            expected_end: None,
            outbox: Outbox::default(),
            crowd: 0,
        }
    }

    /// Appends a slot for a probe if one is owed. Returns its nonce.
    pub(super) fn push_probe(&mut self) -> Option<u64> {
        if !self.owes_probe {
            return None;
        }
        let id = self.push(Waiter::Probe).ok()?;
        self.probes.push_back(id);
        self.owes_probe = false;
        Some(id.nonce())
    }

    /// Appends a slot.
    pub(super) fn push(&mut self, waiter: Waiter) -> Result<SlotId, Disconnect> {
        if let Phase::Ended(reason) = &self.phase {
            return Err(reason.clone());
        }
        let id = SlotId(self.next_id);
        self.next_id += 1;
        self.slots.push_back(Slot { id, waiter });
        Ok(id)
    }

    /// Appends a slot, and its request to the outbox; in front of it a probe if one is owed. `owner`
    /// is the caller, unless it does not wait: called if there is a writer.
    pub(super) fn submit(
        &mut self,
        request: &Request,
        length: usize,
        waiter: Waiter,
        owner: impl FnOnce() -> Option<Owner>,
    ) -> Result<SlotId, Disconnect> {
        self.submit_owed_probe();
        let id = self.push(waiter)?;
        if request.ends_connection() {
            self.expect_end(id, Disconnect::Quit);
        }
        request.parts().for_each(|part| self.outbox.bytes().extend_from_slice(part));
        let owner = self.outbox.has_writer().then(owner).flatten();
        self.outbox.append(id, length, owner);
        let pending = self.slots.len() + usize::from(self.incoming.is_some());
        self.crowd = pending.max(self.crowd.saturating_sub(1));
        Ok(id)
    }

    /// Appends a slot for a probe if one is owed, and the probe to the outbox.
    pub(super) fn submit_owed_probe(&mut self) {
        let Some(nonce) = self.push_probe() else { return };
        let probe = format!("GETINFO {}\r\n", probe_key(nonce));
        self.outbox.bytes().extend_from_slice(probe.as_bytes());
        self.outbox.append(nonce.into(), probe.len(), None);
    }

    /// Returns whether other callers sent commands at the same time as the last one.
    pub(super) fn has_crowd(&self) -> bool {
        self.crowd > 1
    }

    /// Removes a slot whose command was removed from the outbox.
    fn take_back(&mut self, id: SlotId) {
        let index = self.index_of(id);
        if self.slots.get(index).is_some_and(|slot| slot.id == id) {
            self.slots.remove(index);
        }
        self.expected_end.take_if(|(ending, _)| *ending == id);
    }

    /// Returns whether at most one command is pending.
    pub(super) fn is_waiting_alone(&self) -> bool {
        self.slots.len() + usize::from(self.incoming.is_some()) <= 1
    }

    /// Returns whether the connection is open and no command is pending.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Open) && self.incoming.is_none() && self.slots.is_empty()
    }

    /// Allows probes from now on.
    pub(super) fn allow_probes(&mut self) {
        self.may_probe = true;
    }

    /// Removes the request of a caller that timed out from the outbox, and its slot.
    pub(super) fn withdraw(&mut self, id: SlotId) -> Removal {
        let removal = self.outbox.remove(id);
        if removal == Removal::Removed {
            self.take_back(id);
        }
        self.outbox.decline_turn(id);
        removal
    }

    /// Cancels the slot of a caller that timed out.
    pub(super) fn cancel(&mut self, id: SlotId) -> CancelOutcome {
        match self.withdraw(id) {
            Removal::Removed => return CancelOutcome::Unwritten,
            Removal::Begun => return CancelOutcome::Begun,
            Removal::Written => {}
        }
        match &mut self.incoming {
            Some(Incoming::Owned(slot)) if slot.id == id => {
                slot.waiter = Waiter::Canceled;
                return CancelOutcome::Incoming;
            }
            _ => {}
        }
        let index = self.index_of(id);
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.id == id) else {
            return CancelOutcome::Complete;
        };
        slot.waiter = Waiter::Canceled;
        let has_probe_behind = self.probes.back().is_some_and(|probe| *probe > id);
        self.owes_probe |= self.may_probe && !has_probe_behind;
        CancelOutcome::Queued
    }

    /// Handles a line without a status code between two messages, which is dropped.
    ///
    /// A filtering proxy that replaces an event together with its line end also swallows the next
    /// line. If the dropped line can contain the last line of a reply, the router is in doubt from now
    /// on. If it can contain the first of several lines of a reply, the connection ends, since the
    /// remaining lines would count as the whole reply. It ends as well if the dropped line can contain
    /// the first line of an event with data, since the data, which other people may have written,
    /// would count as lines of the protocol.
    ///
    /// A proxy must not replace the first line of an event with data and leave the data: a client
    /// cannot distinguish the data from lines of the protocol.
    pub(super) fn stray_line(&mut self, line: &[u8]) -> Result<(), Disconnect> {
        let mut may_be_reply = false;
        for swallowed in StatusLine::all_within(line) {
            let is_reply = swallowed.is_reply() && !self.slots.is_empty();
            if is_reply && swallowed.separator != Separator::Last {
                let detail = "a line without a status code arrived, and may begin a reply";
                return Err(Disconnect::OutOfStep { detail });
            }
            if swallowed.is_event() && swallowed.separator == Separator::Data {
                let detail = "a line without a status code arrived, and may begin an event";
                return Err(Disconnect::OutOfStep { detail });
            }
            may_be_reply |= is_reply;
        }
        self.owes_probe |= may_be_reply;
        Ok(())
    }

    fn is_in_doubt(&self) -> bool {
        self.owes_probe || !self.probes.is_empty()
    }

    /// Returns the index of a slot, or of the first slot behind it.
    fn index_of(&self, id: SlotId) -> usize {
        self.slots.partition_point(|slot| slot.id < id)
    }

    /// Returns the index of the first probe.
    fn first_probe(&self) -> Option<usize> {
        self.probes.front().map(|probe| self.index_of(*probe))
    }

    /// Returns the index of the probe whose refusal the reply is.
    fn probe_refused_by(&self, reply: &[u8]) -> Option<usize> {
        let probe = self.probes.iter().find(|probe| probe.is_nonce_refused_by(reply))?;
        Some(self.index_of(*probe))
    }

    /// Returns the destination of the complete lines of a reply that is not complete.
    pub(super) fn route_lines(&mut self) -> Result<LineRoute, Disconnect> {
        let incoming = match self.incoming.take() {
            Some(incoming) => incoming,
            None => self.begin()?,
        };
        let route = match &incoming {
            Incoming::Held => LineRoute::Hold,
            Incoming::Owned(slot) => match &slot.waiter {
                Waiter::Whole(_) => LineRoute::Whole,
                Waiter::Parts(pipe) => LineRoute::Pipe(Arc::clone(pipe)),
                Waiter::Probe | Waiter::Canceled => LineRoute::Discard,
            },
        };
        self.incoming = Some(incoming);
        Ok(route)
    }

    /// Decides the owner of the reply that begins now.
    fn begin(&mut self) -> Result<Incoming, Disconnect> {
        if self.is_in_doubt() {
            return Ok(Incoming::Held);
        }
        match self.slots.pop_front() {
            Some(slot) if !self.outbox.is_unwritten(slot.id) => Ok(Incoming::Owned(slot)),
            Some(slot) => {
                self.slots.push_front(slot);
                Err(UNEXPECTED_REPLY)
            }
            None => Err(UNEXPECTED_REPLY),
        }
    }

    /// Returns the destination of a complete reply. `rest` is the part of it that was not routed by
    /// [`route_lines`](Self::route_lines).
    pub(super) fn route_reply(&mut self, rest: &[u8]) -> Result<ReplyRoute, Disconnect> {
        let incoming = match self.incoming.take() {
            Some(incoming) => incoming,
            None => {
                // The refusal of a probe is a single line, so no part of it was routed before.
                if let Some(probe) = self.probe_refused_by(rest) {
                    return self.settle(probe).map(ReplyRoute::Settle);
                }
                if let (Some(probe), true) = (self.first_probe(), is_filtered(rest)) {
                    // A filtering proxy answers in order and refuses every probe. If it had not
                    // answered an earlier command, the refusal would be one reply earlier.
                    if self.held == probe {
                        return self.settle(probe).map(ReplyRoute::Settle);
                    }
                    return Err(Disconnect::OutOfStep {
                        detail: "a command was not answered, and a filter refused the probe that \
                                 would show which",
                    });
                }
                self.begin()?
            }
        };
        match incoming {
            Incoming::Owned(slot) => Ok(ReplyRoute::Waiter(slot.waiter)),
            Incoming::Held => {
                self.held += 1;
                if self.held > self.first_probe().unwrap_or(self.slots.len()) {
                    return Err(UNEXPECTED_REPLY);
                }
                Ok(ReplyRoute::Hold)
            }
        }
    }

    /// Settles the doubt up to the probe at this index, which was refused.
    fn settle(&mut self, probe: usize) -> Result<Vec<Waiter>, Disconnect> {
        let is_affected = |slot: &Slot| matches!(slot.waiter, Waiter::Whole(_) | Waiter::Parts(_));
        if self.held != probe && self.slots.iter().take(probe).any(is_affected) {
            return Err(Disconnect::OutOfStep {
                detail: "a command was not answered while others were waiting behind it",
            });
        }
        let settled: Vec<_> = self.slots.drain(..=probe).collect();
        let is_settled = |probe: &SlotId| settled.last().is_some_and(|last| *probe <= last.id);
        self.probes.drain(..self.probes.partition_point(is_settled));
        self.held = 0;
        Ok(settled.into_iter().map(|slot| slot.waiter).collect())
    }

    /// Sets the reason for the end of the stream after the command of this slot.
    pub(super) fn expect_end(&mut self, id: SlotId, reason: Disconnect) {
        // tor closes the connection after the first such command.
        self.expected_end.get_or_insert((id, reason));
    }

    /// Begins the end of the connection; [`end`](Self::end) completes it. Returns the reason, unless
    /// the end has begun before.
    pub(super) fn begin_end(&mut self, reason: &Disconnect) -> Option<Disconnect> {
        if !matches!(self.phase, Phase::Open) {
            return None;
        }
        let reason = match (reason, self.expected_end.take()) {
            (Disconnect::EndOfStream, Some((id, expected))) if !self.outbox.is_unwritten(id) => {
                expected
            }
            (reason, _) => reason.clone(),
        };
        self.phase = Phase::Ending(reason.clone());
        Some(reason)
    }

    /// Completes the end of the connection: fails every slot, and every later push.
    pub(super) fn end(&mut self) {
        let Phase::Ending(reason) = &self.phase else { return };
        let reason = reason.clone();
        let incoming = match self.incoming.take() {
            Some(Incoming::Owned(slot)) => Some(slot),
            Some(Incoming::Held) | None => None,
        };
        for slot in incoming.into_iter().chain(self.slots.drain(..)) {
            slot.waiter.fail(NoReply::Closed(reason.clone()));
        }
        // The reader thread may still receive what tor sent before.
        self.probes.clear();
        self.owes_probe = false;
        self.outbox.end();
        self.phase = Phase::Ended(reason);
    }

    /// Returns why the connection ended or is ending.
    pub(super) fn end_reason(&self) -> Option<&Disconnect> {
        match &self.phase {
            Phase::Open => None,
            Phase::Ending(reason) | Phase::Ended(reason) => Some(reason),
        }
    }

    /// Returns whether every slot has failed.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
}

const UNEXPECTED_REPLY: Disconnect =
    Disconnect::OutOfStep { detail: "a reply arrived without a command" };

/// Returns whether a filtering proxy refused the command.
fn is_filtered(reply: &[u8]) -> bool {
    reply.starts_with(b"510 ") && memmem::find(reply, b"filter").is_some()
}

/// Returns the `GETINFO` key of a probe. tor knows no such key, and repeats it in its refusal.
pub(super) fn probe_key(nonce: u64) -> String {
    format!("torcon/sync/{nonce}")
}

#[cfg(test)]
mod tests;
