//! Framing: where one reply or event ends and the next begins.
//!
//! This module searches only for line ends, and inside data for lines that begin with a dot, and
//! parses only the first four bytes of a line. [`ReplyBuilder`](super::ReplyBuilder) collects the
//! lines of a reply, and [`PartReader`](super::PartReader) parses those of a reply that its caller
//! receives in parts.

use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};
use zeroize::Zeroize as _;

use super::reply::{Separator, StatusLine};
use crate::error::{Disconnect, ProtocolError};

/// The sizes at which the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes in one line.
    pub(crate) line: usize,
    /// Bytes in one event, and in one reply that its caller receives as a whole.
    pub(crate) reply: usize,
}

impl Limits {
    /// Returns the limits before authentication, when the peer can be anything. No reply of the
    /// handshake has a hundredth of this.
    pub(crate) fn before_authentication(self) -> Self {
        const LIMIT: usize = 64 << 10;
        Self { line: self.line.min(LIMIT), reply: self.reply.min(LIMIT) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 16 << 20, reply: 256 << 20 }
    }
}

/// A complete message. The ranges are those of [`Frame::bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// An event, with its status codes and line ends.
    Event(Range<usize>),
    /// Whole lines of a reply that is not complete. So a reply of any size, also one that is
    /// interrupted by events, passes through a small buffer.
    Part(Range<usize>),
    /// The last lines of a reply, or all of it.
    Reply(Range<usize>),
    /// A line without a status code between two messages, with its line end.
    Stray(Range<usize>),
}

/// The size of the buffer while little data arrives.
const SMALL: usize = 1024;

/// The size of the buffer while data flow. It is larger only for a longer message.
const READ: usize = 64 << 10;

/// An incomplete message of at most this size is moved to the start of the buffer before a read.
const CHEAP_TO_MOVE: usize = 4 << 10;

/// The buffer between the socket and the messages.
///
/// The cursors divide the buffer: `0 <= start <= line <= scanned <= filled`.
#[derive(Debug)]
pub(crate) struct Frame {
    buffer: Vec<u8>,
    /// The number of bytes of the last read.
    read: usize,
    /// The start of the incomplete message.
    start: usize,
    /// The start of its last line, which is incomplete too.
    line: usize,
    /// The end of the part of that line that has been searched for a line end.
    scanned: usize,
    /// The end of the bytes from the socket.
    filled: usize,
    inside: Inside,
    /// Whether the last line belongs to a data block of that message.
    inside_data: bool,
    limits: Limits,
    /// Whether a line between two messages may lack a status code.
    allows_stray_lines: bool,
    /// Finds the next line that begins with a dot.
    dot: Finder<'static>,
}

impl Drop for Frame {
    /// Zeroizes the buffer, since replies can contain keys.
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

/// The incomplete message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nothing,
    Reply,
    Event,
    /// tor sends events between the lines of a reply too.
    EventInReply,
}

impl Frame {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            buffer: vec![0; SMALL],
            read: 0,
            start: 0,
            line: 0,
            scanned: 0,
            filled: 0,
            inside: Inside::Nothing,
            inside_data: false,
            limits,
            allows_stray_lines: false,
            dot: Finder::new(b"\n."),
        }
    }

    /// Records that the peer is tor or a filtering proxy in front of it. From now on these limits apply,
    /// and a line without a status code between two messages is [`Message::Stray`].
    ///
    /// Filtering proxies replace whole lines of events, also by text without a status code, as
    /// onion-grater does with its profile for `OnionShare`. Inside a reply or an event such a line is
    /// an error, since it can replace the last line, and the next message would count as part of
    /// this one.
    pub(crate) fn set_authenticated(&mut self, limits: Limits) {
        self.limits = limits;
        self.allows_stray_lines = true;
    }

    /// Returns the space for the next read.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        let (size, rest) = (self.buffer.len(), self.filled - self.start);
        let was_full = self.filled == size;
        if rest == 0 && size > SMALL && self.read < size / 16 {
            self.replace_buffer(SMALL);
        } else if rest == 0 && size > READ {
            self.replace_buffer(READ);
        } else if was_full && size < READ {
            // The socket has more bytes.
            self.replace_buffer((size * 4).min(READ));
        } else if rest <= CHEAP_TO_MOVE {
            self.move_down();
        }
        if self.buffer.len() - self.filled < self.buffer.len().min(READ) / 4 {
            if self.start >= self.buffer.len() / 2 {
                self.move_down();
            } else {
                self.replace_buffer(self.buffer.len() * 2);
            }
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Moves the incomplete message to a buffer of this size, which must fit it, and zeroizes the old
    /// one, since replies can contain keys.
    fn replace_buffer(&mut self, size: usize) {
        self.move_down();
        let mut buffer = vec![0; size];
        if let Some((space, filled)) =
            buffer.get_mut(..self.filled).zip(self.buffer.get(..self.filled))
        {
            space.copy_from_slice(filled);
        }
        self.buffer.zeroize();
        self.buffer = buffer;
    }

    /// Records how many bytes were read into [`space`](Self::space).
    pub(crate) fn fill(&mut self, read: usize) {
        self.read = read;
        self.filled = (self.filled + read).min(self.buffer.len());
    }

    /// Returns the bytes of a message, until the next read.
    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or_default()
    }

    /// Returns the next message, or `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, Disconnect> {
        loop {
            if self.inside_data {
                self.skip_data()?;
            }
            let Some(line) = self.next_line()? else { return Ok(self.part()) };
            if let Some(message) = self.step(line)? {
                return Ok(Some(message));
            }
        }
    }

    /// Returns the next line, with its end, and moves the cursors behind it.
    fn next_line(&mut self) -> Result<Option<Range<usize>>, Disconnect> {
        let Some(length) = memchr(b'\n', self.unsearched()) else {
            self.scanned = self.filled;
            self.check_unfinished()?;
            return Ok(None);
        };
        let end = self.scanned + length + 1;
        let line = self.line..end;
        if line.len() > self.limits.line {
            return Err(Disconnect::LineTooLong { limit: self.limits.line });
        }
        (self.line, self.scanned) = (end, end);
        Ok(Some(line))
    }

    fn unsearched(&self) -> &[u8] {
        self.buffer.get(self.scanned..self.filled).unwrap_or_default()
    }

    /// Moves the cursors to the next line that begins with a dot, or else to the incomplete line.
    fn skip_data(&mut self) -> Result<(), Disconnect> {
        if self.buffer.get(self.line..self.filled).is_some_and(|line| line.starts_with(b".")) {
            return Ok(());
        }
        let unsearched = self.unsearched();
        let (last, scanned) = match self.dot.find(unsearched) {
            Some(end) => (Some(end), self.scanned + end + 1),
            None => (memrchr(b'\n', unsearched), self.filled),
        };
        let Some(last) = last else {
            return Ok(());
        };
        let next = self.scanned + last + 1;
        // Single lines matter only if a limit may be exceeded.
        if next - self.line > self.limits.line || next - self.start > self.limits.reply {
            while self.line < next {
                self.next_line()?;
                self.check_length()?;
            }
        }
        (self.line, self.scanned) = (next, scanned);
        Ok(())
    }

    /// Processes one line, and returns the message that it completes.
    fn step(&mut self, line: Range<usize>) -> Result<Option<Message>, Disconnect> {
        let bytes = self.buffer.get(line.clone()).unwrap_or_default();
        if self.inside_data {
            self.inside_data = !matches!(bytes, b".\r\n" | b".\n");
            return self.check_length().map(|()| None);
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let Some(status) = StatusLine::parse(text) else {
            if self.may_be_stray() {
                self.start = line.end;
                return Ok(Some(Message::Stray(line)));
            }
            return Err(not_a_status_line(text));
        };
        self.inside = match (self.inside, status.is_event()) {
            (inside @ (Inside::Event | Inside::EventInReply), _) => inside,
            (Inside::Reply, true) if self.start < line.start => {
                // The lines before the event are the next message; then this line is read again.
                (self.line, self.scanned) = (line.start, line.start);
                return Ok(self.part());
            }
            (Inside::Reply, true) => Inside::EventInReply,
            (Inside::Nothing, true) => Inside::Event,
            (Inside::Nothing | Inside::Reply, false) => Inside::Reply,
        };
        self.inside_data = status.separator == Separator::Data;
        self.check_length()?;
        if status.separator != Separator::Last {
            return Ok(None);
        }
        let message = self.start..line.end;
        self.start = line.end;
        let (message, inside) = match self.inside {
            Inside::Event => (Message::Event(message), Inside::Nothing),
            Inside::EventInReply => (Message::Event(message), Inside::Reply),
            Inside::Reply | Inside::Nothing => (Message::Reply(message), Inside::Nothing),
        };
        self.inside = inside;
        Ok(Some(message))
    }

    /// Returns the whole lines of the incomplete reply that were not returned before.
    fn part(&mut self) -> Option<Message> {
        if self.inside != Inside::Reply || self.start == self.line {
            return None;
        }
        let part = self.start..self.line;
        self.start = self.line;
        Some(Message::Part(part))
    }

    /// Checks the length of an event. The reader counts the bytes of a reply, since a reply that its
    /// caller receives in parts may have any length.
    fn check_length(&self) -> Result<(), Disconnect> {
        let is_event = matches!(self.inside, Inside::Event | Inside::EventInReply);
        if is_event && self.line - self.start > self.limits.reply {
            return Err(Disconnect::ReplyTooLong { limit: self.limits.reply });
        }
        Ok(())
    }

    /// Checks the incomplete line, so that another protocol is detected at its first bytes, and a line
    /// without end is not buffered.
    fn check_unfinished(&self) -> Result<(), Disconnect> {
        let line = self.buffer.get(self.line..self.filled).unwrap_or_default();
        if line.len() > self.limits.line {
            return Err(Disconnect::LineTooLong { limit: self.limits.line });
        }
        if !self.inside_data && !self.may_be_stray() && !StatusLine::could_begin(line) {
            return Err(not_a_status_line(line));
        }
        Ok(())
    }

    fn may_be_stray(&self) -> bool {
        self.allows_stray_lines && self.inside == Inside::Nothing
    }

    /// Moves the incomplete message to the start of the buffer.
    fn move_down(&mut self) {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.line -= self.start;
        self.scanned -= self.start;
        self.start = 0;
    }
}

fn not_a_status_line(found: &[u8]) -> Disconnect {
    Disconnect::Protocol(ProtocolError::new("a line", "a status code", found))
}

#[cfg(test)]
mod tests;
