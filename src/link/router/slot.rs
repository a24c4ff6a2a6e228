//! The slots of the queue.

use std::sync::Arc;

use memchr::memmem;

use super::super::pipe::Pipe;
use super::super::reply_channel::ReplySender;
use super::{NoReply, probe_key};

/// The ID of a slot, unique on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::link) struct SlotId(pub(super) u64);

impl From<u64> for SlotId {
    /// Returns the slot of a probe by its nonce.
    fn from(nonce: u64) -> Self {
        Self(nonce)
    }
}

impl SlotId {
    /// Returns the nonce of the probe in this slot.
    pub(super) fn nonce(self) -> u64 {
        self.0
    }

    /// Returns whether the reply is the refusal with the nonce of this probe.
    pub(super) fn is_nonce_refused_by(self, reply: &[u8]) -> bool {
        if reply.starts_with(b"2") {
            return false;
        }
        let key = probe_key(self.0);
        memmem::find(reply, key.as_bytes()).is_some_and(|at| {
            // The nonce must not be the beginning of a longer number.
            !reply.get(at + key.len()).is_some_and(u8::is_ascii_digit)
        })
    }
}

/// The slot of one command.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: SlotId,
    pub(super) waiter: Waiter,
}

/// The receiver of a reply.
#[derive(Debug)]
pub(in crate::link) enum Waiter {
    /// A caller that wants the whole reply.
    Whole(ReplySender),
    /// A caller that wants the reply in parts.
    Parts(Arc<Pipe>),
    /// The connection, which sent a probe.
    Probe,
    /// A caller that timed out.
    Canceled,
}

impl Waiter {
    /// Reports that there will be no reply.
    pub(in crate::link) fn fail(self, reason: NoReply) {
        match self {
            Self::Whole(sender) => sender.send(Err(reason)),
            Self::Parts(pipe) => pipe.end(Err(reason)),
            Self::Probe | Self::Canceled => {}
        }
    }
}
