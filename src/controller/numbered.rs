//! Replies with their place among the events, for rows above that join the two.

use super::Controller;
use crate::command::Command;
use crate::error::Result;

impl Controller {
    /// Sends a command as [`execute`](Self::execute) does, and returns also how many events tor
    /// had sent before the reply.
    ///
    /// An event with a lower number came before the reply. One with this number or a higher one
    /// came after it, and yet the reply may know what it tells: tor keeps its events back for a
    /// while, but never its replies.
    pub(crate) fn execute_numbered<C: Command>(&self, command: &C) -> Result<(C::Reply, u64)> {
        let request = command.request()?;
        self.refuse_hazards(&request)?;
        let _conf_command = self.conf_command(&request);
        let numbered = self.inner.link.call_numbered(&request, self.timeout)?;
        let reply = command.reply(numbered.reply).inspect_err(|error| {
            self.note_out_of_step(error);
        })?;
        Ok((reply, numbered.events_before))
    }
}
