//! Replies line by line, as they arrive.

use std::ops::ControlFlow;

use crate::command::{AnswerCheck, Command, GetInfo};
use crate::controller::Controller;
use crate::error::{Error, ProtocolError, Rejection, RejectionLine, Result};
use crate::wire::{Line, PartLine, PartReader, Request};

/// # Replies line by line
impl Controller {
    /// Queries one `GETINFO` key, and calls a closure with each line of its value as it arrives.
    ///
    /// The closure runs on the calling thread and receives each line without its line end; an empty
    /// value has no line. If it returns [`ControlFlow::Break`], the rest of the value is discarded.
    /// A value of any size needs little memory, and a slow closure delays only this call: lines
    /// that it has not received yet are kept in memory up to 4 MiB (or one line, if that is
    /// longer), and beyond that in a temporary file without a name, up to
    /// [`ConnectOptions::reply_buffer_limit`](crate::ConnectOptions::reply_buffer_limit). So the
    /// closure may send commands and wait for events.
    ///
    /// Sends `GETINFO key`.
    ///
    /// Blocks the current thread until the reply is complete, for at most the
    /// [time limit](Self::with_timeout) between two parts of it.
    ///
    /// # Errors
    ///
    /// [`Error::Buffer`] if the lines that wait for the closure exceed the limit, or the file
    /// cannot be written; the connection then stays open; otherwise those of
    /// [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::ops::ControlFlow;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let mut relays = 0;
    /// controller.get_info_incremental("ns/all", |line| {
    ///     relays += usize::from(line.bytes().starts_with(b"r "));
    ///     ControlFlow::Continue(())
    /// })?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn get_info_incremental<F>(&self, key: &str, mut take: F) -> Result<()>
    where
        F: FnMut(Line<'_>) -> ControlFlow<()>,
    {
        let request = GetInfo::new([key]).request()?;
        let outcome = self.for_each_line(&request, |line, value| match (line, value) {
            (PartLine::Data(data), _) => take(Line::new(data)),
            (PartLine::Status { .. }, Some(value)) if !value.is_empty() => take(Line::new(value)),
            (PartLine::Status { .. }, _) => ControlFlow::Continue(()),
        });
        self.checked(outcome)
    }

    /// Sends one line of text as a command, and calls a closure with each line of its reply as it
    /// arrives.
    ///
    /// The closure receives the text of every line with a status code, without the code, and every
    /// line of data, but not the last line of the reply. It is called, and the call blocks, as with
    /// [`get_info_incremental`](Self::get_info_incremental). The command is checked as by
    /// [`queue_command`](Self::queue_command).
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command), and [`Error::Buffer`].
    pub fn command_lines<F>(&self, command: &str, mut take: F) -> Result<()>
    where
        F: FnMut(Line<'_>) -> ControlFlow<()>,
    {
        let request = Request::from_line(command)?;
        let outcome = self.for_each_line(&request, |line, _| match line {
            PartLine::Data(text) | PartLine::Status { is_last: false, text, .. } => {
                take(Line::new(text))
            }
            PartLine::Status { is_last: true, .. } => ControlFlow::Continue(()),
        });
        self.checked(outcome)
    }

    /// Passes the lines of a successful reply to `take`; with a line that starts the value of a
    /// `GETINFO` key, also the part of the value on that line. Lines of a refusal are collected
    /// for the error.
    fn for_each_line(
        &self,
        request: &Request,
        mut take: impl FnMut(PartLine<'_>, Option<&[u8]>) -> ControlFlow<()>,
    ) -> Result<()> {
        let _guard = self.prepare(request, self.deadline())?;
        let query = GetInfo::of_request(request);
        let mut check = query.as_ref().map(AnswerCheck::new);
        let mut reader = PartReader::default();
        let mut refusals = Vec::new();
        let deadline = || self.deadline();
        self.inner.link.call_in_parts(request, deadline, self.timeout, |part| {
            let read = reader.read(part, |line| {
                let mut value = None;
                if let PartLine::Status { code, text, .. } = line {
                    if let Some(check) = &mut check {
                        value = check.line(line)?;
                    }
                    if code >= 400 {
                        refusals.push(RejectionLine::new(code, text));
                        return Ok(());
                    }
                }
                match take(line, value) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(Stop::Break),
                }
            });
            match read {
                Ok(()) => Ok(ControlFlow::Continue(())),
                Err(Stop::Break) => Ok(ControlFlow::Break(())),
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

/// Why no further line is read.
enum Stop {
    /// The closure returned `Break`.
    Break,
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
