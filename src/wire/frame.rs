//! Bytes to messages: where one reply or event ends and the next begins.
//!
//! This is all that the reader thread does with most bytes, so it looks only for line ends and
//! at the first four bytes of a line, and within data only for lines that begin with a dot. What a
//! message says is for others to find out.

use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};
use zeroize::Zeroize as _;

use super::reply::{Separator, StatusLine};
use crate::error::{Disconnect, ProtocolError};

/// How much may come before the connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes in one line.
    pub(crate) line: usize,
    /// Bytes in one reply or event.
    pub(crate) reply: usize,
}

impl Limits {
    /// Returns the limits for a peer that has not authenticated itself: no reply of tor's handshake
    /// has a hundredth of this, and what answers may be anything.
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

/// One whole message, or a part of a long one. Ranges point into [`Frame::bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// An event, with its status codes and line ends.
    Event(Range<usize>),
    /// A reply, or what is left of it if parts of it were taken before.
    Reply(Range<usize>),
    /// A line between two messages that has no status code, with its line end.
    Stray(Range<usize>),
}

/// The size of one read; the buffer grows beyond it for a long message only.
const READ: usize = 64 << 10;

/// An unfinished message of up to so many bytes is moved down rather than read behind.
const CHEAP_TO_MOVE: usize = 4 << 10;

/// The buffer between the socket and everyone else.
#[derive(Debug)]
pub(crate) struct Frame {
    buffer: Vec<u8>,
    /// How much of `buffer` holds bytes from the socket.
    filled: usize,
    /// Where the message begins that is not complete yet.
    start: usize,
    /// Where its last line begins, which is not complete yet.
    line: usize,
    /// Up to where that line has been searched for its end.
    scanned: usize,
    state: State,
    /// What had come of a reply before an event broke into it.
    interrupted: Vec<u8>,
    /// How much of the current reply has been taken in parts or set aside.
    taken: usize,
    limits: Limits,
    /// Whether a line between two messages may be without a status code.
    allows_stray_lines: bool,
    /// Finds a line that begins with a dot, behind another line.
    dot: Finder<'static>,
}

impl Drop for Frame {
    /// Overwrites what was read, since replies may have held keys.
    fn drop(&mut self) {
        self.buffer.zeroize();
        self.interrupted.zeroize();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two messages.
    Between,
    /// Inside a reply, before a line.
    Reply,
    /// Inside the data of a reply.
    ReplyData,
    /// Inside an event, before a line. Inside a reply, if `within_reply`.
    Event { within_reply: bool },
    /// Inside the data of an event.
    EventData { within_reply: bool },
}

impl Frame {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            buffer: vec![0; READ],
            filled: 0,
            start: 0,
            line: 0,
            scanned: 0,
            state: State::Between,
            interrupted: Vec::new(),
            taken: 0,
            limits,
            allows_stray_lines: false,
            dot: Finder::new(b"\n."),
        }
    }

    /// Takes note that the peer is known to be tor, or a filter in front of it: from now on these
    /// limits hold, and a line between two messages without a status code is [`Piece::Stray`].
    ///
    /// Filters replace whole lines of events and may leave the status code out (onion-grater's
    /// profile for `OnionShare` writes `XXXredactedXXX`). Only between two messages is it certain
    /// that such a line ends at its line end: inside a reply or an event it may have replaced the
    /// last line, and the next message would be read as a part of this one.
    pub(crate) fn set_authenticated(&mut self, limits: Limits) {
        self.limits = limits;
        self.allows_stray_lines = true;
    }

    /// Returns room for the next read.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.filled {
            self.move_down();
            // A long message made the buffer grow; the next one may be short.
            if self.buffer.len() > 16 * READ {
                self.buffer = vec![0; READ];
            }
        } else if self.filled - self.start <= CHEAP_TO_MOVE {
            self.move_down();
        } else if self.buffer.len() - self.filled < READ / 4 {
            if self.start >= self.buffer.len() / 2 {
                self.move_down();
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Takes note of how many bytes were read into [`space`](Self::space).
    pub(crate) fn fill(&mut self, read: usize) {
        self.filled = (self.filled + read).min(self.buffer.len());
    }

    /// Returns the bytes of a range that [`next`](Self::next) gave; good until the next read.
    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or_default()
    }

    /// Returns the bytes of a reply, taking the buffer itself where that saves a copy.
    pub(crate) fn reply_bytes(&mut self, range: &Range<usize>) -> Vec<u8> {
        if !self.interrupted.is_empty() {
            let mut whole = std::mem::take(&mut self.interrupted);
            whole.extend_from_slice(self.bytes(range));
            return whole;
        }
        let is_whole_buffer = range.start == 0 && range.end == self.filled;
        if is_whole_buffer && self.filled > 4 * READ {
            let mut bytes = std::mem::replace(&mut self.buffer, vec![0; READ]);
            bytes.truncate(range.end);
            (self.filled, self.start, self.line, self.scanned) = (0, 0, 0, 0);
            return bytes;
        }
        self.bytes(range).to_vec()
    }

    /// Returns the next whole message, or `None` if more bytes are needed first.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Disconnect> {
        loop {
            if self.is_inside_data() {
                self.skip_data()?;
            }
            let Some(line) = self.next_line()? else { return Ok(None) };
            if let Some(piece) = self.step(line)? {
                return Ok(Some(piece));
            }
        }
    }

    fn is_inside_data(&self) -> bool {
        matches!(self.state, State::ReplyData | State::EventData { .. })
    }

    /// Moves on by one line, if its end has come.
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

    /// Moves on to the next line that begins with a dot, or to the one that is not complete.
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
        // Only where a limit may be exceeded it matters where the lines end.
        if next - self.line > self.limits.line || self.length(next) > self.limits.reply {
            while self.line < next {
                self.next_line()?;
                self.check_length()?;
            }
        }
        (self.line, self.scanned) = (next, scanned);
        Ok(())
    }

    /// Moves on by one line, and returns the message that it completes.
    fn step(&mut self, line: Range<usize>) -> Result<Option<Piece>, Disconnect> {
        let bytes = self.buffer.get(line.clone()).unwrap_or_default();
        if self.is_inside_data() {
            if matches!(bytes, b".\r\n" | b".\n") {
                self.state = match self.state {
                    State::EventData { within_reply } => State::Event { within_reply },
                    _ => State::Reply,
                };
            }
            return self.check_length().map(|()| None);
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let Some(status) = StatusLine::parse(text) else {
            if self.may_be_stray() {
                self.start = line.end;
                return Ok(Some(Piece::Stray(line)));
            }
            return Err(not_a_status_line(text));
        };
        let event = |within_reply, separator| match separator {
            Separator::Data => State::EventData { within_reply },
            Separator::More | Separator::Last => State::Event { within_reply },
        };
        let state = match (self.state, status.is_event()) {
            (State::Event { within_reply }, _) => event(within_reply, status.separator),
            (State::Reply, true) => {
                self.set_aside(line.start);
                event(true, status.separator)
            }
            (_, true) => event(false, status.separator),
            (_, false) if status.separator == Separator::Data => State::ReplyData,
            (_, false) => State::Reply,
        };
        self.state = state;
        if status.separator != Separator::Last {
            return self.check_length().map(|()| None);
        }
        self.check_length()?;
        let message = self.start..line.end;
        self.start = line.end;
        let (after, piece) = match state {
            State::Event { within_reply } | State::EventData { within_reply } => {
                let after = if within_reply { State::Reply } else { State::Between };
                (after, Piece::Event(message))
            }
            State::Between | State::Reply | State::ReplyData => {
                self.taken = 0;
                (State::Between, Piece::Reply(message))
            }
        };
        self.state = after;
        Ok(Some(piece))
    }

    /// Returns whether a reply has begun and not ended.
    pub(crate) fn is_inside_reply(&self) -> bool {
        match self.state {
            State::Reply | State::ReplyData => true,
            State::Event { within_reply } | State::EventData { within_reply } => within_reply,
            State::Between => false,
        }
    }

    /// Returns whether a reply or an event has begun and not ended.
    pub(crate) fn is_inside_message(&self) -> bool {
        self.state != State::Between
    }

    /// Takes the whole lines that have come of a reply which is not complete, so that a reply of
    /// any size passes through a small buffer. The limit for replies does not count them.
    pub(crate) fn take_lines(&mut self, take: impl FnMut(&[u8])) {
        if matches!(self.state, State::Reply | State::ReplyData) {
            self.take_reply(&(self.start..self.line), take);
            self.start = self.line;
            self.taken = 0;
        }
    }

    /// Takes a reply, or what is left of it, without a copy.
    pub(crate) fn take_reply(&mut self, range: &Range<usize>, mut take: impl FnMut(&[u8])) {
        let interrupted = std::mem::take(&mut self.interrupted);
        for bytes in [&interrupted, self.bytes(range)] {
            if !bytes.is_empty() {
                take(bytes);
            }
        }
    }

    /// Returns what has come and belongs to no whole message; for telling what a peer is that
    /// closes in the middle of a line.
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
    }

    /// Puts the beginning of a reply aside, because an event breaks into it here.
    fn set_aside(&mut self, event: usize) {
        let part = self.buffer.get(self.start..event).unwrap_or_default();
        self.interrupted.extend_from_slice(part);
        self.taken += part.len();
        self.start = event;
    }

    /// How long the reply or event is up to `end`.
    fn length(&self, end: usize) -> usize {
        self.taken + (end - self.start)
    }

    fn check_length(&self) -> Result<(), Disconnect> {
        if self.length(self.line) > self.limits.reply {
            return Err(Disconnect::ReplyTooLong { limit: self.limits.reply });
        }
        Ok(())
    }

    /// Checks a line whose end has not come yet, so that a peer of the wrong kind is found out
    /// at its first bytes and a line without end is not kept.
    fn check_unfinished(&self) -> Result<(), Disconnect> {
        let line = self.buffer.get(self.line..self.filled).unwrap_or_default();
        if line.len() > self.limits.line {
            return Err(Disconnect::LineTooLong { limit: self.limits.line });
        }
        let is_checked = !self.is_inside_data() && !self.may_be_stray();
        if is_checked && !StatusLine::could_begin(line) {
            return Err(not_a_status_line(line));
        }
        Ok(())
    }

    fn may_be_stray(&self) -> bool {
        self.allows_stray_lines && self.state == State::Between
    }

    /// Moves what is left to the beginning of the buffer.
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
