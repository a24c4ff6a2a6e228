//! Lines of an input, in constant memory.

use std::io::{self, BufRead, ErrorKind};

use memchr::memchr;

use super::format::format_of;
use super::splitter::RawLine;

/// The length of the beginning of the input by which its format is recognized: the header of a tar
/// archive.
const HEAD: usize = 512;

/// Reads lines. A line that exceeds the limit is cut.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    /// The beginning of the input, and how much of it was used.
    head: Vec<u8>,
    used: usize,
    /// A line of which parts were in different buffers.
    line: Vec<u8>,
}

/// The state of the input after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Line,
    /// The end. Contains whether the last line had a line end.
    End {
        is_ended: bool,
    },
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, head: Vec::new(), used: 0, line: Vec::new() }
    }

    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// Reads the beginning of the input. Returns the name of its format if it is not text.
    pub(super) fn format(&mut self) -> io::Result<Option<&'static str>> {
        while self.head.len() < HEAD {
            let buffer = fill(&mut self.input)?;
            if buffer.is_empty() {
                break;
            }
            let length = buffer.len().min(HEAD - self.head.len());
            self.head.extend_from_slice(buffer.get(..length).unwrap_or_default());
            self.input.consume(length);
        }
        Ok(format_of(&self.head))
    }

    /// Skips a byte order mark. Returns its length.
    pub(super) fn skip_mark(&mut self) -> u64 {
        let has_mark = self.head.starts_with(b"\xef\xbb\xbf");
        self.used = if has_mark { 3 } else { 0 };
        u64::from(has_mark) * 3
    }

    /// Passes the next line to `take`, with at most `limit` bytes and one more.
    pub(super) fn next(
        &mut self,
        limit: usize,
        take: impl FnOnce(RawLine<'_>),
    ) -> io::Result<Step> {
        self.line.clear();
        let mut length = 0_u64;
        loop {
            let head = self.head.get(self.used..).unwrap_or_default();
            let is_head = !head.is_empty();
            let buffer = if is_head { head } else { fill(&mut self.input)? };
            if buffer.is_empty() {
                if length > 0 {
                    take(RawLine { bytes: &self.line, length, is_ended: false });
                }
                return Ok(Step::End { is_ended: length == 0 });
            }
            let end = memchr(b'\n', buffer);
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            let consumed = part.len() + usize::from(end.is_some());
            length += u64::try_from(consumed).unwrap_or(u64::MAX);
            let is_whole = self.line.is_empty() && end.is_some();
            let room = limit.saturating_add(1).saturating_sub(self.line.len());
            let part = part.get(..part.len().min(room)).unwrap_or_default();
            if is_whole {
                take(RawLine { bytes: part, length, is_ended: true });
                self.consume(is_head, consumed);
                return Ok(Step::Line);
            }
            self.line.extend_from_slice(part);
            self.consume(is_head, consumed);
            if end.is_some() {
                take(RawLine { bytes: &self.line, length, is_ended: true });
                return Ok(Step::Line);
            }
        }
    }

    fn consume(&mut self, is_head: bool, length: usize) {
        if is_head {
            self.used += length;
        } else {
            self.input.consume(length);
        }
    }
}

/// Fills the buffer of an input, again after a signal.
fn fill<R: BufRead>(input: &mut R) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Ok([]) => return Ok(&[]),
            // The borrow checker does not accept the buffer of the first call as the result.
            Ok(_) => return input.fill_buf(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
