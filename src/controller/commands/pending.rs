//! Replies that are received after their command was sent.

use std::time::{Duration, Instant};

use crate::clock::deadline_after;
use crate::command::GetInfo;
use crate::error::Result;
use crate::link::{SequencedReply, Ticket};
use crate::wire::Reply;

/// The pending reply to a command.
///
/// Made by [`Controller::queue_command`](crate::Controller::queue_command). Dropping it discards
/// the reply; tor executes the command all the same. It does not keep the connection open: keep the
/// controller until [`wait`](Self::wait) has returned.
///
/// # Examples
///
/// ```no_run
/// # let controller = torcon::connect_default()?;
/// // Both are on their way before the first reply is read.
/// let version = controller.queue_command("GETINFO version")?;
/// let traffic = controller.queue_command("GETINFO traffic/read")?;
/// println!("{} {}", version.wait()?.text(), traffic.wait()?.text());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the reply says whether tor executed the command"]
pub struct PendingReply {
    ticket: Ticket,
    timeout: Duration,
    /// The `GETINFO` whose keys the reply must answer.
    query: Option<GetInfo>,
}

impl PendingReply {
    pub(in crate::controller) fn new(
        ticket: Ticket,
        timeout: Duration,
        query: Option<GetInfo>,
    ) -> Self {
        Self { ticket, timeout, query }
    }

    /// Returns the reply.
    ///
    /// Blocks the current thread until the reply arrives, for at most the
    /// [time limit](crate::Controller::with_timeout) of the controller, counted from this call.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refuses the command;
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Closed`](crate::Error::Closed).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let pending = controller.queue_command("GETINFO version")?;
    /// println!("{}", pending.wait()?.text());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait(self) -> Result<Reply> {
        let limit = self.timeout;
        self.wait_timeout(limit)
    }

    /// Returns the reply. A reply that arrives later is discarded.
    ///
    /// Blocks the current thread until the reply arrives, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use std::time::Duration;
    ///
    /// let pending = controller.queue_command("GETINFO version")?;
    /// println!("{}", pending.wait_timeout(Duration::from_secs(5))?.text());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_timeout(self, limit: Duration) -> Result<Reply> {
        self.wait_before(deadline_after(limit), limit)
    }

    /// Waits until the deadline; an error reports `limit`.
    pub(in crate::controller) fn wait_before(
        self,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Reply> {
        let reply = self.ticket.wait(deadline, limit);
        self.check(reply)
    }

    /// Returns the reply if it has arrived. Never blocks.
    ///
    /// The reply is returned once: afterwards `None`, and [`wait`](Self::wait) fails with
    /// [`Error::InvalidInput`](crate::Error::InvalidInput).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refuses the command;
    /// [`Error::Closed`](crate::Error::Closed).
    #[must_use]
    pub fn try_wait(&self) -> Option<Result<Reply>> {
        self.ticket.try_wait().map(|reply| self.check(reply))
    }

    fn check(&self, reply: Result<SequencedReply>) -> Result<Reply> {
        let reply = reply?.reply;
        match &self.query {
            None => Ok(reply.into_result(self.ticket.command())?),
            Some(query) => {
                query.check(reply).inspect_err(|error| self.ticket.end_if_out_of_step(error))
            }
        }
    }
}
