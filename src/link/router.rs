//! Which reply belongs to whom. Bookkeeping alone: no socket and no thread.
//!
//! tor answers commands in their order and names none of them, so the router is a queue: the
//! first reply belongs to the first slot. That holds as long as tor answers each command once.
//!
//! A caller that gives up leaves its slot behind, and the late reply is dropped. But the reply may
//! also never come, and then everyone behind would get the reply of the one behind them. So
//! after a caller has given up the router is *in doubt*: replies are held, and the link sends a
//! probe, a question whose refusal repeats a nonce. When that refusal comes, everything in front
//! of it has been answered or never will be, and the router knows which:
//!
//! - as many replies were held as slots stand in front of the probe: all are in step;
//! - some are missing, but every slot in front of the probe was given up: nobody is concerned;
//! - otherwise nobody can know whose reply is missing, and the connection ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, select, unbounded};
use memchr::memmem;

use crate::error::Disconnect;

/// What a caller gets for its command.
pub(super) type Outcome = Result<RawReply, Disconnect>;

/// The bytes of a reply, not yet read.
#[derive(Debug)]
pub(crate) struct RawReply {
    pub(crate) bytes: Vec<u8>,
    /// How many events tor had sent before this reply.
    pub(crate) events_before: u64,
}

/// A part of a long reply.
#[derive(Debug)]
pub(super) enum Part {
    /// More parts follow.
    More(Vec<u8>),
    /// The last part, or the reason why it will never come.
    Last(Outcome),
}

/// The name of a slot, never used twice on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(u64);

impl From<u64> for SlotId {
    /// Makes the name of a probe's slot from its nonce, which is the same number.
    fn from(nonce: u64) -> Self {
        Self(nonce)
    }
}

/// The place of one command in the queue. It owns the only sender to its caller, so that a caller
/// can never wait for a slot that is gone.
#[derive(Debug)]
struct Slot {
    id: SlotId,
    waiter: Waiter,
}

#[derive(Debug)]
enum Waiter {
    /// A caller that wants the whole reply.
    Whole(Sender<Outcome>),
    /// A caller that wants the reply in parts.
    Parts { sender: Sender<Part>, paces: Receiver<()>, begun: bool, in_vain: Arc<AtomicBool> },
    /// The link itself; the answer repeats the nonce.
    Probe(u64),
    /// A caller that has given up, perhaps in the middle of a reply in parts.
    GivenUp { begun: bool },
}

impl Waiter {
    fn has_given_up(&self) -> bool {
        matches!(self, Self::GivenUp { .. })
    }

    fn is_probe(&self) -> bool {
        matches!(self, Self::Probe(_))
    }

    /// Whether the reply is the refusal that repeats the nonce of this probe.
    fn is_probe_answered_by(&self, reply: &[u8]) -> bool {
        let Self::Probe(nonce) = self else { return false };
        let key = probe_key(*nonce);
        let refused = !reply.starts_with(b"2");
        refused
            && memmem::find(reply, key.as_bytes()).is_some_and(|at| {
                // A longer number must not pass for a shorter one.
                !reply.get(at + key.len()).is_some_and(u8::is_ascii_digit)
            })
    }

    /// Hands over the outcome. A caller that is gone does not want it.
    fn answer(self, outcome: Outcome) {
        match self {
            Self::Whole(sender) => drop(sender.try_send(outcome)),
            Self::Parts { sender, .. } => drop(sender.send(Part::Last(outcome))),
            Self::Probe(_) | Self::GivenUp { .. } => {}
        }
    }
}

/// What became of a caller's wish to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// Its slot stays behind, and a probe is wanted.
    Probing,
    /// Its outcome had come just before.
    Answered,
}

/// The queue of slots.
#[derive(Debug, Default)]
pub(super) struct Router {
    slots: VecDeque<Slot>,
    next_id: u64,
    /// Replies that came while in doubt; `None` while in step.
    held: Option<Vec<RawReply>>,
    /// A caller has given up and no probe stands behind it yet.
    probe_wanted: bool,
    /// Why the connection ended; the first reason wins.
    ended: Option<Disconnect>,
    /// What the end of the stream means, if it is expected.
    expected_end: Option<Disconnect>,
    /// Whether the link may probe; not before tor has let us in.
    may_probe: bool,
}

impl Router {
    /// Takes a place at the end of the queue, for a caller that wants the whole reply.
    pub(super) fn push(&mut self) -> Result<(SlotId, Receiver<Outcome>), Disconnect> {
        let (sender, receiver) = bounded(1);
        let id = self.push_waiter(Waiter::Whole(sender))?;
        Ok((id, receiver))
    }

    /// Takes a place at the end of the queue, for a caller that wants the reply in parts.
    pub(super) fn push_parts(&mut self) -> Result<(SlotId, Parts), Disconnect> {
        let (sender, receiver) = unbounded();
        let (pace, paces) = bounded(1);
        let in_vain = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&in_vain);
        let id =
            self.push_waiter(Waiter::Parts { sender, paces, begun: false, in_vain: shared })?;
        Ok((id, Parts { receiver, pace, in_vain }))
    }

    /// Takes a place for a probe, if one is wanted, and returns the nonce for it.
    pub(super) fn push_probe(&mut self) -> Option<u64> {
        if !self.probe_wanted {
            return None;
        }
        let nonce = self.next_id;
        self.push_waiter(Waiter::Probe(nonce)).ok()?;
        self.probe_wanted = false;
        Some(nonce)
    }

    /// Returns whether a probe is wanted that has not been sent.
    pub(super) fn owes_probe(&self) -> bool {
        self.probe_wanted
    }

    fn push_waiter(&mut self, waiter: Waiter) -> Result<SlotId, Disconnect> {
        if let Some(reason) = &self.ended {
            return Err(reason.clone());
        }
        let id = SlotId(self.next_id);
        self.next_id += 1;
        self.slots.push_back(Slot { id, waiter });
        Ok(id)
    }

    /// Takes back the places that were pushed last: nothing of their commands has been written.
    pub(super) fn take_back(&mut self, first: SlotId) {
        while self.slots.back().is_some_and(|slot| slot.id.0 >= first.0) {
            let unwritten = self.slots.pop_back();
            // A probe that was not written is still owed.
            self.probe_wanted |= unwritten.is_some_and(|slot| slot.waiter.is_probe());
        }
    }

    /// Returns whether one caller alone is waiting.
    pub(super) fn is_waiting_alone(&self) -> bool {
        self.slots.len() == 1
    }

    /// Returns whether the connection is open and nothing has been asked that is not answered.
    pub(super) fn is_idle(&self) -> bool {
        self.ended.is_none() && self.slots.is_empty()
    }

    /// Lets the link send probes from now on.
    pub(super) fn allow_probes(&mut self) {
        self.may_probe = true;
    }

    /// Leaves a slot behind whose caller waits no longer.
    pub(super) fn give_up(&mut self, id: SlotId) -> GivenUp {
        let Some(index) = self.slots.iter().position(|slot| slot.id == id) else {
            return GivenUp::Answered;
        };
        if let Some(slot) = self.slots.get_mut(index) {
            let begun = matches!(slot.waiter, Waiter::Parts { begun: true, .. });
            slot.waiter = Waiter::GivenUp { begun };
        }
        if self.may_probe {
            let probed = self.slots.iter().skip(index).any(|slot| slot.waiter.is_probe());
            self.probe_wanted |= !probed;
            self.held.get_or_insert_default();
        }
        GivenUp::Probing
    }

    /// Gives a reply to whom it belongs, or holds it while in doubt.
    pub(super) fn deliver(&mut self, reply: RawReply) -> Result<(), Disconnect> {
        let Some(held) = &mut self.held else {
            let slot = self.slots.pop_front().ok_or(OUT_OF_STEP_UNASKED)?;
            slot.waiter.answer(Ok(reply));
            return Ok(());
        };
        if let Some(answered) =
            self.slots.iter().position(|slot| slot.waiter.is_probe_answered_by(&reply.bytes))
        {
            return self.settle(answered);
        }
        let first_probe = self.slots.iter().position(|slot| slot.waiter.is_probe());
        if first_probe.is_some() && is_filtered(&reply.bytes) {
            return Err(Disconnect::OutOfStep {
                detail: "a command went unanswered, and a filter refused the question that \
                         would have put things right",
            });
        }
        held.push(reply);
        match first_probe {
            None if held.len() > self.slots.len() => Err(OUT_OF_STEP_UNASKED),
            Some(index) if held.len() > index => Err(OUT_OF_STEP_UNASKED),
            _ => Ok(()),
        }
    }

    /// The probe in the given place has been answered: what was held finds its owners.
    fn settle(&mut self, probe: usize) -> Result<(), Disconnect> {
        let held = self.held.take().unwrap_or_default();
        let concerns = |slot: &Slot| !slot.waiter.has_given_up() && !slot.waiter.is_probe();
        if held.len() != probe && self.slots.iter().take(probe).any(concerns) {
            return Err(Disconnect::OutOfStep {
                detail: "a command went unanswered while others were waiting behind it",
            });
        }
        // Where some are missing, nobody is there any more to take the others.
        for (slot, reply) in self.slots.drain(..=probe).zip(held) {
            slot.waiter.answer(Ok(reply));
        }
        self.held = self.slots.iter().any(|slot| slot.waiter.has_given_up()).then(Vec::new);
        Ok(())
    }

    /// Returns where the parts of the reply go that is coming in, if its caller wants parts.
    pub(super) fn parts(&mut self) -> Option<PartsSender> {
        let in_doubt = self.held.is_some();
        let alone = self.slots.len() == 1;
        let front = self.slots.front_mut()?;
        match &mut front.waiter {
            Waiter::Parts { begun, .. } if in_doubt && !*begun => None,
            Waiter::Parts { sender, paces, begun, in_vain } => {
                *begun = true;
                let (to, paces) = (Some(sender.clone()), paces.clone());
                Some(PartsSender { to, paces, in_vain: Arc::clone(in_vain), alone })
            }
            Waiter::GivenUp { begun: true } => Some(PartsSender::to_nobody()),
            Waiter::Whole(_) | Waiter::Probe(_) | Waiter::GivenUp { begun: false } => None,
        }
    }

    /// Says what the end of the stream means if it comes now.
    pub(super) fn expect_end(&mut self, reason: Disconnect) {
        self.expected_end = Some(reason);
    }

    /// Ends everything: every caller gets the reason, now and later. Returns it if it is the
    /// first.
    pub(super) fn end(&mut self, reason: &Disconnect) -> Option<Disconnect> {
        if self.ended.is_some() {
            return None;
        }
        let reason = match (reason, self.expected_end.take()) {
            (Disconnect::EndOfStream, Some(expected)) => expected,
            (reason, _) => reason.clone(),
        };
        self.ended = Some(reason.clone());
        for slot in self.slots.drain(..) {
            slot.waiter.answer(Err(reason.clone()));
        }
        self.held = None;
        Some(reason)
    }

    /// Returns why the connection ended, if it has.
    pub(super) fn ended(&self) -> Option<&Disconnect> {
        self.ended.as_ref()
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

/// The receiving end of a reply in parts.
#[derive(Debug)]
pub(super) struct Parts {
    receiver: Receiver<Part>,
    /// Tells the reader that a part was taken.
    pace: Sender<()>,
    in_vain: Arc<AtomicBool>,
}

impl Parts {
    /// Waits for the next part.
    pub(super) fn next(&self, limit: Duration) -> Result<Part, RecvTimeoutError> {
        let part = self.receiver.recv_timeout(limit);
        self.in_vain.store(false, Ordering::Release);
        // Full means that the reader has yet to look; it will.
        let _ = self.pace.try_send(());
        part
    }
}

/// The sending end of a reply in parts, for the reader.
#[derive(Debug)]
pub(super) struct PartsSender {
    /// `None` if the caller has given up: its parts are dropped.
    to: Option<Sender<Part>>,
    paces: Receiver<()>,
    /// The reader has waited in vain since the caller took the last part.
    in_vain: Arc<AtomicBool>,
    alone: bool,
}

/// How many parts may wait for their caller before the reader slows down.
const PARTS_AHEAD: usize = 8;

/// How long the reader waits for such a caller to take one part.
const PATIENCE: Duration = Duration::from_millis(250);

impl PartsSender {
    /// The parts of a reply whose caller has given up are dropped.
    fn to_nobody() -> Self {
        Self { to: None, paces: never(), in_vain: Arc::default(), alone: false }
    }

    /// Sends a part. If the caller is far behind, waits a little for it to catch up, so that a
    /// reply of any size takes little memory; but not for long, not again before the caller has
    /// taken a part, and not at all while others wait for replies or `others` tells of one: the
    /// caller may itself be waiting for something that only the reader can bring.
    pub(super) fn send(&self, part: Vec<u8>, others: &Receiver<()>) {
        let Some(sender) = &self.to else { return };
        if sender.send(Part::More(part)).is_err() || !self.alone {
            return;
        }
        while sender.len() > PARTS_AHEAD && !self.in_vain.load(Ordering::Acquire) {
            select! {
                recv(self.paces) -> taken => if taken.is_err() { return },
                recv(others) -> _ => return,
                default(PATIENCE) => self.in_vain.store(true, Ordering::Release),
            }
        }
    }
}

#[cfg(test)]
mod tests;
