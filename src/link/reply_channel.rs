//! The channel on which the reader hands a reply to a waiting caller.
//!
//! It has room for one message and is used again: each thread keeps the channels that it has finished
//! with. A channel numbers its uses, and a sender has the number of its use, so that the late reply
//! to one command is not received as the reply to another.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use super::router::Outcome;
use crate::clock;
use crate::sync::{Condvar, Mutex, thread_local};

/// The number of unused channels that a thread keeps.
const KEPT: usize = 64;

thread_local! {
    static UNUSED: Cell<Vec<Arc<Channel>>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug, Default)]
struct Channel {
    /// A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The number of uses that have ended.
    uses: u64,
    message: Message,
}

#[derive(Debug, Default)]
enum Message {
    #[default]
    None,
    Turn,
    Outcome(Outcome),
    Received,
}

/// The sending end of one use of a channel.
#[derive(Clone, Debug)]
pub(super) struct ReplySender {
    channel: Arc<Channel>,
    number: u64,
}

/// The receiving end. Dropping it ends the use.
#[derive(Debug)]
pub(super) struct ReplyReceiver {
    channel: Arc<Channel>,
}

/// Why a wait has ended.
#[derive(Debug)]
pub(super) enum Wake {
    Outcome(Outcome),
    /// The outcome was received before.
    Received,
    /// The state of the caller's request in the outbox has changed.
    Turn,
    TimedOut,
}

/// Begins a use of a channel.
pub(super) fn reply_channel() -> (ReplySender, ReplyReceiver) {
    let channel = with_unused(Vec::pop).flatten().unwrap_or_default();
    let number = channel.state.lock().uses;
    (ReplySender { channel: Arc::clone(&channel), number }, ReplyReceiver { channel })
}

/// Calls a function with the unused channels of this thread, unless the thread is ending.
fn with_unused<T>(call: impl FnOnce(&mut Vec<Arc<Channel>>) -> T) -> Option<T> {
    let call = |cell: &Cell<Vec<_>>| {
        let mut unused = cell.take();
        let result = call(&mut unused);
        cell.set(unused);
        result
    };
    UNUSED.try_with(call).ok()
}

impl ReplySender {
    /// Sends the outcome. It is dropped if the caller has left. The first outcome counts.
    pub(super) fn send(&self, outcome: Outcome) {
        let mut state = self.channel.state.lock();
        if state.uses != self.number || !matches!(state.message, Message::None | Message::Turn) {
            return;
        }
        state.message = Message::Outcome(outcome);
        drop(state);
        self.channel.changed.notify_one();
    }

    /// Wakes the caller because its request was written, or because it is to write. Returns whether
    /// the caller is still waiting.
    pub(super) fn give_turn(&self) -> bool {
        let mut state = self.channel.state.lock();
        if state.uses != self.number || !matches!(state.message, Message::None | Message::Turn) {
            return false;
        }
        state.message = Message::Turn;
        drop(state);
        self.channel.changed.notify_one();
        true
    }
}

impl ReplyReceiver {
    /// Waits for a message.
    pub(super) fn wait(&self, deadline: Instant) -> Wake {
        let mut state = self.channel.state.lock();
        loop {
            if let Some(wake) = state.receive() {
                return wake;
            }
            if clock::wait_until(&self.channel.changed, &mut state, deadline) {
                return state.receive().unwrap_or(Wake::TimedOut);
            }
        }
    }

    /// Waits for a message, and leaves an outcome in the channel. Returns whether there is a message.
    pub(super) fn wait_turn(&self, deadline: Instant) -> bool {
        let mut state = self.channel.state.lock();
        while let Message::None = state.message {
            if clock::wait_until(&self.channel.changed, &mut state, deadline) {
                break;
            }
        }
        let has_message = !matches!(state.message, Message::None);
        if let Message::Turn = state.message {
            state.message = Message::None;
        }
        has_message
    }

    /// Returns the outcome if it has arrived, once.
    pub(super) fn try_receive(&self) -> Option<Outcome> {
        let mut state = self.channel.state.lock();
        if !matches!(state.message, Message::Outcome(_)) {
            return None;
        }
        match std::mem::replace(&mut state.message, Message::Received) {
            Message::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl State {
    fn receive(&mut self) -> Option<Wake> {
        match std::mem::take(&mut self.message) {
            Message::None => None,
            Message::Turn => Some(Wake::Turn),
            Message::Outcome(outcome) => {
                self.message = Message::Received;
                Some(Wake::Outcome(outcome))
            }
            Message::Received => {
                self.message = Message::Received;
                Some(Wake::Received)
            }
        }
    }
}

impl Drop for ReplyReceiver {
    fn drop(&mut self) {
        let mut state = self.channel.state.lock();
        state.uses += 1;
        let message = std::mem::take(&mut state.message);
        drop(state);
        drop(message);
        let channel = Arc::clone(&self.channel);
        with_unused(|unused| {
            if unused.len() < KEPT {
                unused.push(channel);
            }
        });
    }
}

#[cfg(test)]
mod tests;
