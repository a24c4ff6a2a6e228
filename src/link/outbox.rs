//! The outbox: the requests that are not written yet, in the order of their slots.
//!
//! One caller at a time is the *writer*. It writes all requests of the outbox together, with one system
//! call if the socket has room, without a lock. Others append their requests meanwhile, and wait for
//! their replies. A writer whose own request is written does not wait for room: it gives its turn to
//! the owner of another request.

use std::collections::VecDeque;

use super::reply_channel::ReplySender;
use super::router::SlotId;
use crate::wire::Wiped;

/// The size up to which an empty buffer is kept.
const KEPT: usize = 4 << 10;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The requests that the writer has not taken.
    bytes: Wiped,
    /// An empty buffer.
    spare: Wiped,
    /// All requests. Those at the front are taken.
    requests: VecDeque<Unwritten>,
    /// The number of requests that the writer has taken.
    taken: usize,
    /// Whether a part of the first request was written.
    has_begun: bool,
    writer: Writer,
}

/// A request that is not written, or only in part.
#[derive(Debug)]
struct Unwritten {
    id: SlotId,
    /// The number of bytes that are not written.
    length: usize,
    /// The caller, if it appended the request while another was the writer.
    owner: Option<Owner>,
}

/// A caller that waits while another writes.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) sender: ReplySender,
    /// Whether it waits until the request is written, and not for the reply.
    pub(super) waits_for_write: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    #[default]
    None,
    Writing,
    /// The owner of this request was woken to write.
    Next(SlotId),
}

/// The outcome of the attempt to remove a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    Removed,
    /// A part of it was written.
    Begun,
    /// It was written, or is being written.
    Written,
}

impl Outbox {
    /// Returns the buffer for the bytes of the next request; [`append`](Self::append) must follow.
    pub(super) fn bytes(&mut self) -> &mut Wiped {
        &mut self.bytes
    }

    /// Appends a request whose bytes were appended to [`bytes`](Self::bytes).
    pub(super) fn append(&mut self, id: SlotId, length: usize, owner: Option<Owner>) {
        self.requests.push_back(Unwritten { id, length, owner });
    }

    /// Makes the caller the writer if there is none. It must call [`leave`](Self::leave).
    pub(super) fn enter(&mut self) -> bool {
        let may_enter = self.writer == Writer::None;
        if may_enter {
            self.writer = Writer::Writing;
        }
        may_enter
    }

    /// Makes the owner of this request the writer if it has the turn.
    pub(super) fn take_turn(&mut self, id: SlotId) -> bool {
        let has_turn = self.writer == Writer::Next(id);
        if has_turn {
            self.writer = Writer::Writing;
        }
        has_turn
    }

    /// Returns whether there is a writer.
    pub(super) fn has_writer(&self) -> bool {
        self.writer != Writer::None
    }

    /// Returns whether every request is written.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Returns whether a request is not written, or only in part.
    pub(super) fn contains(&self, id: SlotId) -> bool {
        self.index_of(id).is_some()
    }

    /// Takes the bytes of all requests, for the writer.
    pub(super) fn take(&mut self) -> Wiped {
        self.taken = self.requests.len();
        std::mem::replace(&mut self.bytes, std::mem::take(&mut self.spare))
    }

    /// Records that the writer has written this number of the bytes that it took.
    pub(super) fn written(&mut self, mut taken: Wiped, written: usize) {
        let mut left = written;
        for _ in 0..std::mem::take(&mut self.taken) {
            let Some(first) = self.requests.front_mut() else { break };
            if first.length > left {
                first.length -= left;
                self.has_begun |= left > 0;
                break;
            }
            left -= first.length;
            self.has_begun = false;
            if let Some(Unwritten { owner: Some(owner), .. }) = self.requests.pop_front() {
                if owner.waits_for_write {
                    owner.sender.give_turn();
                }
            }
        }
        taken.remove(0..written);
        if !taken.is_empty() {
            taken.extend_from_slice(&self.bytes);
            std::mem::swap(&mut self.bytes, &mut taken);
            taken.clear();
        }
        if taken.capacity() <= KEPT {
            self.spare = taken;
        }
    }

    /// Returns whether not a byte of a request can have been written.
    pub(super) fn is_unwritten(&self, id: SlotId) -> bool {
        let is_unwritten = |index| index >= self.taken && !(index == 0 && self.has_begun);
        self.index_of(id).is_some_and(is_unwritten)
    }

    /// Removes a request if it was not begun.
    pub(super) fn remove(&mut self, id: SlotId) -> Removal {
        let Some(index) = self.index_of(id) else { return Removal::Written };
        if index == 0 && self.has_begun {
            return Removal::Begun;
        }
        if index < self.taken {
            // If the writer writes less, this caller does not wait for the turn.
            if let Some(request) = self.requests.get_mut(index) {
                request.owner = None;
            }
            return Removal::Written;
        }
        let start = self.requests.range(self.taken..index).map(|request| request.length).sum();
        if let Some(removed) = self.requests.remove(index) {
            self.bytes.remove(start..start + removed.length);
        }
        Removal::Removed
    }

    /// Ends the turn of the writer, and wakes the next one, if a caller waits for it.
    pub(super) fn leave(&mut self) {
        let next = self
            .requests
            .iter()
            .find(|request| request.owner.as_ref().is_some_and(|owner| owner.sender.give_turn()));
        self.writer = next.map_or(Writer::None, |request| Writer::Next(request.id));
    }

    /// Ends the turn of a caller that was woken to write, but has timed out.
    pub(super) fn decline_turn(&mut self, id: SlotId) {
        if self.writer == Writer::Next(id) {
            self.leave();
        }
    }

    /// Drops all requests at the end of the connection, and wakes their owners.
    pub(super) fn end(&mut self) {
        let requests = std::mem::take(self).requests;
        for owner in requests.into_iter().filter_map(|request| request.owner) {
            owner.sender.give_turn();
        }
    }

    fn index_of(&self, id: SlotId) -> Option<usize> {
        self.requests.binary_search_by_key(&id, |request| request.id).ok()
    }
}

#[cfg(test)]
mod tests;
