//! A ticket: the right of a caller to the reply of its command.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reply_channel::{ReplyReceiver, Wake};
use super::router::{NoReply, Outcome, SequencedReply, SlotId};
use super::{Connection, timeout};
use crate::clock;
use crate::error::{BufferError, Error, InvalidInput, Result};
use crate::sync::thread;

/// How long the only waiting caller spins before it sleeps. A wake-up across cores costs about half
/// of this, and most replies of tor arrive sooner.
const SPIN_LIMIT: Duration = match cfg!(all(test, shuttle)) {
    false => Duration::from_micros(50),
    // A model reads no clock.
    true => Duration::ZERO,
};

/// The number of turns that every caller spins. A wake-up costs more than these.
const SPIN_TURNS: usize = 3;

/// How long a caller that timed out waits for a reply that the reader is handing over.
const HANDOVER_TIMEOUT: Duration = Duration::from_millis(100);

/// The right of a caller to the reply of a command that was sent.
pub(crate) struct Ticket {
    connection: Arc<Connection>,
    id: SlotId,
    command: Cow<'static, str>,
    channel: ReplyReceiver,
}

impl Ticket {
    pub(super) fn new(
        connection: Arc<Connection>,
        id: SlotId,
        command: Cow<'static, str>,
        channel: ReplyReceiver,
    ) -> Self {
        Self { connection, id, command, channel }
    }

    /// Returns the keyword of the command.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// Ends the connection if the error shows that replies are out of step with commands.
    pub(crate) fn end_if_out_of_step(&self, error: &Error) {
        self.connection.end_if_out_of_step(error);
    }

    /// Waits for the reply. If the deadline passes, cancels the slot.
    pub(crate) fn wait(&self, deadline: Instant, limit: Duration) -> Result<SequencedReply> {
        let is_alone = self.connection.router.lock().is_waiting_alone();
        self.wait_as(is_alone, deadline, limit)
    }

    /// Waits for the reply. `is_alone` says whether no other command is pending.
    pub(super) fn wait_as(
        &self,
        is_alone: bool,
        deadline: Instant,
        limit: Duration,
    ) -> Result<SequencedReply> {
        if let Some(outcome) = self.spin(is_alone) {
            return self.result(outcome);
        }
        loop {
            match self.channel.wait(deadline) {
                Wake::Outcome(outcome) => return self.result(outcome),
                Wake::Received => {
                    return Err(InvalidInput::new("reply", "was received already").into());
                }
                Wake::Turn => {
                    let written = self.connection.take_turn(self.id, deadline);
                    self.connection.check_written(written, &self.command, limit)?;
                }
                Wake::TimedOut => break,
            }
        }
        if self.connection.cancel(self.id) {
            if let Wake::Outcome(outcome) = self.channel.wait(clock::now() + HANDOVER_TIMEOUT) {
                return self.result(outcome);
            }
        }
        Err(timeout(&self.command, limit).into())
    }

    /// Returns the reply if it has arrived, once.
    pub(crate) fn try_wait(&self) -> Option<Result<SequencedReply>> {
        self.channel.try_receive().map(|outcome| self.result(outcome))
    }

    /// Spins for the reply: a caller that is not alone for a few turns. It yields the processor in each
    /// turn, so that the reader, tor and other callers can run.
    fn spin(&self, is_alone: bool) -> Option<Outcome> {
        for _ in 0..SPIN_TURNS {
            if let Some(outcome) = self.channel.try_receive() {
                return Some(outcome);
            }
            thread::yield_now();
        }
        // Most replies have arrived by now, so the clock is read only here.
        let until = clock::now() + SPIN_LIMIT;
        while is_alone && !clock::has_passed(until) {
            if let Some(outcome) = self.channel.try_receive() {
                return Some(outcome);
            }
            thread::yield_now();
        }
        self.channel.try_receive()
    }

    fn result(&self, outcome: Outcome) -> Result<SequencedReply> {
        let sequenced = outcome.map_err(|reason| no_reply(&self.command, reason))?;
        log::debug!("{}: {}", self.command, sequenced.reply.code());
        Ok(sequenced)
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
