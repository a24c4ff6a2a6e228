//! Replies that are fetched later.

use std::time::{Duration, Instant};

use crate::command::GetInfo;
use crate::error::Result;
use crate::link::{SequencedReply, Ticket, deadline_after};
use crate::wire::Reply;

/// The reply to a command that has been sent, to be fetched when it is wanted.
///
/// Made by [`Controller::queue_command`](crate::Controller::queue_command). Any number may be
/// outstanding. Dropping it drops the reply when it comes; tor carries out the command all the
/// same.
#[derive(Debug)]
#[must_use = "the reply says whether tor did it"]
pub struct PendingReply {
    ticket: Ticket,
    timeout: Duration,
    /// The keys whose values the reply must hold.
    asked: Option<GetInfo>,
}

impl PendingReply {
    pub(in crate::controller) fn new(
        ticket: Ticket,
        timeout: Duration,
        asked: Option<GetInfo>,
    ) -> Self {
        Self { ticket, timeout, asked }
    }

    /// Returns the reply.
    ///
    /// Blocks the current thread until it is there, for at most the
    /// [time limit](crate::Controller::with_timeout) of the controller that sent the command,
    /// counted from now.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refused the command,
    /// [`Error::Timeout`](crate::Error::Timeout), [`Error::Closed`](crate::Error::Closed).
    pub fn wait(self) -> Result<Reply> {
        let limit = self.timeout;
        self.wait_timeout(limit)
    }

    /// Returns the reply.
    ///
    /// Blocks the current thread until it is there, for at most the given time; if it comes later,
    /// it is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait).
    pub fn wait_timeout(self, limit: Duration) -> Result<Reply> {
        self.wait_before(deadline_after(limit), limit)
    }

    /// Waits until the deadline; `limit` is what an error says about it.
    pub(in crate::controller) fn wait_before(
        self,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Reply> {
        let numbered = self.ticket.wait(deadline, limit);
        self.read(numbered)
    }

    /// Returns the reply if it is there, once: afterwards `None`, and [`wait`](Self::wait) fails
    /// with [`Error::InvalidInput`](crate::Error::InvalidInput). Never blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refused the command,
    /// [`Error::Closed`](crate::Error::Closed).
    #[must_use]
    pub fn try_wait(&self) -> Option<Result<Reply>> {
        self.ticket.try_wait().map(|numbered| self.read(numbered))
    }

    fn read(&self, numbered: Result<SequencedReply>) -> Result<Reply> {
        let reply = numbered?.reply;
        match &self.asked {
            None => Ok(reply.into_result(self.ticket.command())?),
            Some(asked) => {
                asked.check(reply).inspect_err(|error| self.ticket.end_if_out_of_step(error))
            }
        }
    }
}
