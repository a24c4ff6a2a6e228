//! A ticket: the right of a caller to the reply of its command.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::router::{NoReply, Outcome, SequencedReply, SlotId};
use super::{Connection, timeout};
use crate::error::{BufferError, Error, InvalidInput, Result};

/// How long the only waiting caller spins before it sleeps. A wake-up across cores costs about half
/// of this, and most replies of tor arrive sooner.
const SPIN_LIMIT: Duration = Duration::from_micros(50);

/// How long a caller that timed out waits for a reply that the reader is handing over.
const HANDOVER_TIMEOUT: Duration = Duration::from_millis(100);

/// The right of a caller to the reply of a command that was sent.
pub(crate) struct Ticket {
    connection: Arc<Connection>,
    id: SlotId,
    command: Box<str>,
    outcome: Receiver<Outcome>,
}

impl Ticket {
    pub(super) fn new(
        connection: Arc<Connection>,
        id: SlotId,
        command: &str,
        outcome: Receiver<Outcome>,
    ) -> Self {
        Self { connection, id, command: command.into(), outcome }
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
        if let Some(outcome) = self.spin() {
            return self.result(outcome);
        }
        match self.outcome.recv_deadline(deadline) {
            Ok(outcome) => self.result(outcome),
            // A slot always sends one outcome, so this one was received before.
            Err(RecvTimeoutError::Disconnected) => {
                Err(InvalidInput::new("reply", "was received already").into())
            }
            Err(RecvTimeoutError::Timeout) => {
                if self.connection.cancel(self.id) {
                    if let Ok(outcome) = self.outcome.recv_timeout(HANDOVER_TIMEOUT) {
                        return self.result(outcome);
                    }
                }
                Err(timeout(&self.command, limit).into())
            }
        }
    }

    /// Returns the reply if it has arrived, once.
    pub(crate) fn try_wait(&self) -> Option<Result<SequencedReply>> {
        self.outcome.try_recv().ok().map(|outcome| self.result(outcome))
    }

    /// Spins for the reply if no other command is pending. It yields the processor in each turn, so
    /// that the reader and tor can run.
    fn spin(&self) -> Option<Outcome> {
        if !self.connection.router.lock().is_waiting_alone() {
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
