//! Replies line by line, as they come.

use std::ops::ControlFlow;

use crate::command::{AnswerCheck, Command, GetInfo};
use crate::controller::Controller;
use crate::error::{Error, ProtocolError, Rejection, RejectionLine, Result};
use crate::wire::{Line, PartLine, PartReader, Request};

impl Controller {
    /// Asks tor for one piece of information and takes the answer line by line, as it comes.
    ///
    /// The closure runs on the calling thread and gets each line of the value without its end; a
    /// value of one line is one line, and an empty value none. It may end early with
    /// [`ControlFlow::Break`]: the rest of the answer is discarded. Answers of any size take little
    /// memory. Events that come in between go to their listeners.
    ///
    /// Nothing else waits for a slow closure: what it has not taken yet waits in memory up to 4 MiB
    /// (or one line, if that is longer) and beyond that in a temporary file that has no name, up to
    /// [`ConnectOptions::reply_buffer_limit`](crate::ConnectOptions::reply_buffer_limit), which is
    /// 1 GiB by default. So the closure may take its time, send commands and wait for events.
    ///
    /// Sends `GETINFO key`.
    ///
    /// Blocks the current thread until the answer is complete. Each wait for more of it lasts for
    /// at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if tor does not know the key or cannot answer; [`Error::Buffer`] if more
    /// of the answer waits for the closure than may wait, or the file cannot be written, in which
    /// case the connection goes on; [`Error::Timeout`], [`Error::Closed`], [`Error::InvalidInput`],
    /// [`Error::Protocol`].
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
        let outcome = self.in_lines(&request, |line, value| match (line, value) {
            (PartLine::Data(data), _) => take(Line::new(data)),
            (PartLine::Status { .. }, Some(value)) if !value.is_empty() => take(Line::new(value)),
            (PartLine::Status { .. }, _) => ControlFlow::Continue(()),
        });
        self.checked(outcome)
    }

    /// Sends a command as it is written, and takes its reply line by line, as it comes.
    ///
    /// The closure runs on the calling thread and gets the text of every line with a status code,
    /// without the code, and every line of data, but not the last line of the reply. Everything
    /// else is as with [`get_info_incremental`](Self::get_info_incremental), and the command is
    /// checked as by [`queue_command`](Self::queue_command).
    ///
    /// Blocks the current thread until the reply is complete. Each wait for more of it lasts for at
    /// most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command), and [`Error::Buffer`].
    pub fn command_lines<F>(&self, command: &str, mut take: F) -> Result<()>
    where
        F: FnMut(Line<'_>) -> ControlFlow<()>,
    {
        let request = Request::from_line(command)?;
        let outcome = self.in_lines(&request, |line, _| match line {
            PartLine::Data(text) | PartLine::Status { is_last: false, text, .. } => {
                take(Line::new(text))
            }
            PartLine::Status { is_last: true, .. } => ControlFlow::Continue(()),
        });
        self.checked(outcome)
    }

    /// Gives the lines of a successful reply to `take`, with the value of a key that stands in them.
    /// Lines that refuse are collected for the error.
    fn in_lines(
        &self,
        request: &Request,
        mut take: impl FnMut(PartLine<'_>, Option<&[u8]>) -> ControlFlow<()>,
    ) -> Result<()> {
        let _sending = self.prepare(request)?;
        let asked = GetInfo::of_request(request);
        let mut check = asked.as_ref().map(AnswerCheck::new);
        let mut reader = PartReader::default();
        let mut refusals = Vec::new();
        self.inner.link.call_in_parts(request, self.timeout, |part| {
            let read = reader.read(part, |line| {
                let value = match &mut check {
                    Some(check) => check.line(line)?,
                    None => None,
                };
                if let PartLine::Status { code: code @ 400.., text, .. } = line {
                    refusals.push(RejectionLine::new(code, text));
                    return Ok(());
                }
                match take(line, value) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(Stop::Enough),
                }
            });
            match read {
                Ok(()) => Ok(ControlFlow::Continue(())),
                Err(Stop::Enough) => Ok(ControlFlow::Break(())),
                Err(Stop::Failed(error)) => Err(error),
            }
        })?;
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(Rejection::new(request.keyword(), refusals).into())
        }
    }
}

/// Why no more lines are wanted.
enum Stop {
    Enough,
    Failed(Error),
}

impl From<ProtocolError> for Stop {
    fn from(error: ProtocolError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
