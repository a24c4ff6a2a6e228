//! The places in the queue of commands.

use std::sync::Arc;

use crossbeam_channel::Sender;
use memchr::memmem;

use super::super::parts::Pipe;
use super::{NoReply, Outcome, probe_key};

/// The name of a slot, never used twice on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::link) struct SlotId(pub(super) u64);

impl From<u64> for SlotId {
    /// Makes the name of a probe's slot from its nonce, which is the same number.
    fn from(nonce: u64) -> Self {
        Self(nonce)
    }
}

impl SlotId {
    /// Whether the reply is the refusal that repeats the nonce of this probe.
    pub(super) fn is_nonce_refused_by(self, reply: &[u8]) -> bool {
        if reply.starts_with(b"2") {
            return false;
        }
        let key = probe_key(self.0);
        memmem::find(reply, key.as_bytes()).is_some_and(|at| {
            // A longer number must not pass for a shorter one.
            !reply.get(at + key.len()).is_some_and(u8::is_ascii_digit)
        })
    }
}

/// The place of one command in the queue. It owns the only sender to its caller, so that a caller
/// can never wait for a slot that is gone.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: SlotId,
    pub(super) waiter: Waiter,
}

/// Who waits for a reply.
#[derive(Debug)]
pub(in crate::link) enum Waiter {
    /// A caller that wants the whole reply.
    Whole(Sender<Outcome>),
    /// A caller that wants the reply in parts.
    Parts(Arc<Pipe>),
    /// The link itself; the answer repeats the number of the slot.
    Probe,
    /// A caller that has given up.
    GivenUp,
}

impl Waiter {
    pub(super) fn has_given_up(&self) -> bool {
        matches!(self, Self::GivenUp)
    }

    pub(super) fn is_probe(&self) -> bool {
        matches!(self, Self::Probe)
    }

    /// Says that no reply comes. A caller that is gone does not want to know.
    pub(in crate::link) fn fail(self, reason: NoReply) {
        match self {
            Self::Whole(sender) => drop(sender.try_send(Err(reason))),
            Self::Parts(pipe) => pipe.end(Err(reason)),
            Self::Probe | Self::GivenUp => {}
        }
    }
}
