//! Replies with their place among the events, for rows above that join the two.

use std::time::Instant;

use crate::command::Command;
use crate::controller::Controller;
use crate::error::Result;
use crate::link::deadline_after;
use crate::wire::Reply;

impl Controller {
    /// Sends a command as [`execute`](Self::execute) does, and returns also how many events tor
    /// had sent before the reply.
    ///
    /// An event with a lower number came before the reply. One with this number or a higher one
    /// came after it, and yet the reply may know what it tells: tor keeps its events back for a
    /// while, but never its replies.
    pub(crate) fn execute_sequenced<C: Command>(&self, command: &C) -> Result<(C::Reply, u64)> {
        self.execute_before(command, deadline_after(self.timeout))
    }

    /// Executes a command that is one step of a call, which has one time limit for all of them.
    pub(crate) fn execute_before<C: Command>(
        &self,
        command: &C,
        deadline: Instant,
    ) -> Result<(C::Reply, u64)> {
        let (reply, events_before) = self.send_before(command, deadline)?;
        Ok((self.checked(command.reply(reply))?, events_before))
    }

    /// Sends a command, and returns the reply as it came.
    pub(in crate::controller) fn send<C: Command>(&self, command: &C) -> Result<Reply> {
        self.send_before(command, deadline_after(self.timeout)).map(|(reply, _)| reply)
    }

    fn send_before<C: Command>(&self, command: &C, deadline: Instant) -> Result<(Reply, u64)> {
        let request = command.request()?;
        let _sending = self.prepare(&request)?;
        let numbered = self.inner.link.call_until(&request, deadline, self.timeout)?;
        Ok((numbered.reply, numbered.events_before))
    }

    /// Ends the connection if a reply turned out to be someone else's: no later reply could be
    /// trusted.
    pub(in crate::controller) fn checked<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| self.inner.link.end_if_out_of_step(error))
    }
}
