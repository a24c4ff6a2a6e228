//! The reply to a command that has been written, for the caller that waits for it.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::router::{NoReply, Outcome, SlotId};
use super::{Shared, timeout};
use crate::error::{BufferError, Error, InvalidInput, Result};
use crate::wire::Reply;

/// How long a caller that is alone looks for its reply before it sleeps. A wake-up across cores
/// costs about half of this, and most replies of tor come sooner.
const SPIN_LIMIT: Duration = Duration::from_micros(50);

/// How long a caller whose time is over waits for a reply that is being handed over to it.
const HANDOVER: Duration = Duration::from_millis(100);

/// A caller's claim to the reply of a command that has been written.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    id: SlotId,
    command: Box<str>,
    outcome: Receiver<Outcome>,
}

/// A reply, and how many events tor had sent before it.
#[derive(Debug)]
pub(crate) struct SequencedReply {
    pub(crate) reply: Reply,
    pub(crate) events_before: u64,
}

impl Ticket {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: SlotId,
        command: &str,
        outcome: Receiver<Outcome>,
    ) -> Self {
        Self { shared, id, command: command.into(), outcome }
    }

    /// Returns the keyword of the command.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// Ends the connection if the error says that the reply was someone else's.
    pub(crate) fn note(&self, error: &Error) {
        self.shared.note(error);
    }

    /// Waits for the reply. If it does not come in time, the place in the queue is given up.
    pub(crate) fn wait(&self, deadline: Instant, limit: Duration) -> Result<SequencedReply> {
        if let Some(outcome) = self.look() {
            return self.read(outcome);
        }
        match self.outcome.recv_deadline(deadline) {
            Ok(outcome) => self.read(outcome),
            // The slot answers once, and always: what is not there any more has been taken.
            Err(RecvTimeoutError::Disconnected) => {
                Err(InvalidInput::new("reply", "has been taken already").into())
            }
            Err(RecvTimeoutError::Timeout) => {
                if self.shared.give_up(self.id) {
                    // The reader has found whose it is and is handing it over.
                    if let Ok(outcome) = self.outcome.recv_timeout(HANDOVER) {
                        return self.read(outcome);
                    }
                }
                Err(timeout(&self.command, limit).into())
            }
        }
    }

    /// Returns the reply if it has come, once.
    pub(crate) fn try_wait(&self) -> Option<Result<SequencedReply>> {
        self.outcome.try_recv().ok().map(|outcome| self.read(outcome))
    }

    /// Looks for the reply without going to sleep, if nobody else is waiting for one: the
    /// processor is given away at each look, so the reader and tor get it if they need it.
    fn look(&self) -> Option<Outcome> {
        if !self.shared.router.lock().is_waiting_alone() {
            return self.outcome.try_recv().ok();
        }
        let until = Instant::now() + SPIN_LIMIT;
        while Instant::now() < until {
            if let Ok(outcome) = self.outcome.try_recv() {
                return Some(outcome);
            }
            thread::yield_now();
        }
        None
    }

    fn read(&self, outcome: Outcome) -> Result<SequencedReply> {
        let raw = outcome.map_err(|reason| no_reply(&self.command, reason))?;
        let reply = Reply::parse(raw.bytes)?;
        log::debug!("{}: {}", self.command, reply.code());
        Ok(SequencedReply { reply, events_before: raw.events_before })
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("command", &self.command).finish_non_exhaustive()
    }
}

pub(super) fn no_reply(command: &str, reason: NoReply) -> Error {
    match reason {
        NoReply::Closed(reason) => reason.into(),
        NoReply::Buffer(problem) => BufferError::new(command, problem).into(),
    }
}
