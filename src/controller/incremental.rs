//! Replies line by line, as they come.

use std::ops::ControlFlow;

use super::Controller;
use crate::command::{Command, GetInfo};
use crate::error::{Error, ProtocolError, Rejection, RejectionLine, Result};
use crate::wire::{Line, PartLine, PartReader, Request};

impl Controller {
    /// Asks tor for one piece of information and takes the answer line by line, as it comes.
    ///
    /// The closure runs on the calling thread and gets each line of the value without its end; a
    /// value of one line is one line, and an empty value none. It may end early with
    /// [`ControlFlow::Break`]: what is still to come is dropped. Answers of any size take little
    /// memory. Events that come in between go to their listeners.
    ///
    /// If the closure is slow, the connection waits for it, unless other commands wait for their
    /// replies: never longer than a quarter of a second without a line being taken, and then the
    /// answer is kept in memory. So the closure may send commands and wait for events.
    ///
    /// Sends `GETINFO key`.
    ///
    /// Blocks the current thread until the answer is complete. Each wait for more of it lasts at
    /// most for the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if tor does not know the key or cannot answer; [`Error::Timeout`],
    /// [`Error::Closed`], [`Error::InvalidInput`], [`Error::Protocol`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::ops::ControlFlow;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let mut relays = 0;
    /// controller.get_info_incremental("ns/all", |line| {
    ///     relays += usize::from(line.bytes().starts_with(b"r "));
    ///     ControlFlow::Continue(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_info_incremental<F>(&self, key: &str, mut take: F) -> Result<()>
    where
        F: FnMut(Line<'_>) -> ControlFlow<()>,
    {
        let request = GetInfo::new([key]).request()?;
        let mut answered = false;
        let outcome = self.in_lines(&request, |line| match line {
            PartLine::Data(data) if answered => take(Line::new(data)),
            PartLine::Data(_) | PartLine::Status { is_last: true, .. } => ControlFlow::Continue(()),
            PartLine::Status { text, .. } => {
                let value = text.strip_prefix(key.as_bytes()).and_then(|t| t.strip_prefix(b"="));
                answered |= value.is_some();
                match value {
                    Some(value) if !value.is_empty() => take(Line::new(value)),
                    _ => ControlFlow::Continue(()),
                }
            }
        })?;
        if outcome.is_continue() && !answered {
            let error = ProtocolError::out_of_step("the reply to GETINFO", "the key", b"");
            return Err(error.into()).inspect_err(|error| self.note_out_of_step(error));
        }
        Ok(())
    }

    /// Sends a command as it is written, and takes its reply line by line, as it comes.
    ///
    /// The closure runs on the calling thread and gets the text of every line with a status code,
    /// without the code, and every line of data, but not the last line of the reply. Everything
    /// else is as with [`get_info_incremental`](Self::get_info_incremental), and the command is
    /// checked as by [`queue_command`](Self::queue_command).
    ///
    /// Blocks the current thread until the reply is complete. Each wait for more of it lasts at
    /// most for the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command).
    pub fn command_lines<F>(&self, command: &str, mut take: F) -> Result<()>
    where
        F: FnMut(Line<'_>) -> ControlFlow<()>,
    {
        let request = Request::from_line(command)?;
        self.in_lines(&request, |line| match line {
            PartLine::Data(text) | PartLine::Status { is_last: false, text, .. } => {
                take(Line::new(text))
            }
            PartLine::Status { is_last: true, .. } => ControlFlow::Continue(()),
        })
        .map(|_| ())
    }

    /// Gives the lines of a successful reply to `take`. Lines that refuse are collected for the
    /// error.
    fn in_lines(
        &self,
        request: &Request,
        mut take: impl FnMut(PartLine<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        self.refuse_hazards(request)?;
        let _conf_command = self.conf_command(request);
        let mut reader = PartReader::default();
        let mut refusals = Vec::new();
        let outcome = self.inner.link.call_in_parts(request, self.timeout, |part| {
            let read = reader.read(part, |line| {
                if let PartLine::Status { code: code @ 400.., text, .. } = line {
                    refusals.push(RejectionLine::new(code, text));
                    return Ok(());
                }
                match take(line) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(Stop::Enough),
                }
            });
            match read {
                Ok(()) => Ok(ControlFlow::Continue(())),
                Err(Stop::Enough) => Ok(ControlFlow::Break(())),
                Err(Stop::Unreadable(error)) => Err(Error::from(error)),
            }
        })?;
        if refusals.is_empty() {
            Ok(outcome)
        } else {
            Err(Rejection::new(request.keyword(), refusals).into())
        }
    }
}

/// Why no more lines are wanted.
enum Stop {
    Enough,
    Unreadable(ProtocolError),
}

impl From<ProtocolError> for Stop {
    fn from(error: ProtocolError) -> Self {
        Self::Unreadable(error)
    }
}
