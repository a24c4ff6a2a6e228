//! Collecting a reply while it arrives.

use zeroize::Zeroize as _;

use super::{MAX_ZEROIZED, Reply, Separator, StatusLine, line_at, unstuff};
use crate::error::ProtocolError;

/// Collects the lines of one reply. Data is unstuffed when it is added, so that it is copied once.
#[derive(Debug)]
pub(crate) struct ReplyBuilder {
    reply: Reply,
    /// Whether the last data block is incomplete.
    inside_data: bool,
    /// The number of lines up to the first one that ends a reply, if any.
    first_reply: Option<usize>,
    /// The number of bytes that were added.
    received: usize,
}

impl Default for ReplyBuilder {
    fn default() -> Self {
        let reply = Reply { lines: Vec::new(), count: 0, data: Vec::new(), blocks: Vec::new() };
        Self { reply, inside_data: false, first_reply: None, received: 0 }
    }
}

impl ReplyBuilder {
    /// Returns the number of bytes that were added.
    pub(crate) fn received(&self) -> usize {
        self.received
    }

    /// Adds whole lines.
    pub(crate) fn push(&mut self, lines: &[u8]) -> Result<(), ProtocolError> {
        self.received += lines.len();
        let mut rest = lines;
        while !rest.is_empty() {
            rest = if self.inside_data { self.push_data(rest) } else { self.push_lines(rest)? };
        }
        Ok(())
    }

    /// Returns whether the lines are one reply: the last one ends it, and no other does.
    pub(super) fn is_complete(&self) -> bool {
        self.first_reply == Some(self.reply.count)
    }

    /// Returns the reply. A builder to which no line was added returns one without lines.
    pub(crate) fn finish(mut self) -> Reply {
        if self.inside_data {
            self.end_block();
        }
        self.reply
    }

    /// Adds lines with a status code, up to the first one that data follows. Returns the other lines.
    fn push_lines<'a>(&mut self, lines: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
        let mut end = 0;
        while let Some((line, next)) = line_at(lines, end) {
            let line = lines.get(line).unwrap_or_default();
            let status = StatusLine::parse(line)
                .ok_or_else(|| ProtocolError::new("a reply", "a status code", line))?;
            end = next;
            self.reply.count += 1;
            match status.separator {
                Separator::Last => {
                    self.first_reply.get_or_insert(self.reply.count);
                }
                Separator::More => {}
                Separator::Data => {
                    self.inside_data = true;
                    let start = self.reply.data.len();
                    self.reply.blocks.push(start..start);
                    break;
                }
            }
        }
        let (added, rest) = lines.split_at_checked(end).unwrap_or_default();
        reserve(&mut self.reply.lines, added.len());
        self.reply.lines.extend_from_slice(added);
        // Bytes behind the last line end are no line.
        Ok(if end == 0 { &[] } else { rest })
    }

    /// Adds the lines of a data block. Returns the lines behind the block.
    fn push_data<'a>(&mut self, lines: &'a [u8]) -> &'a [u8] {
        let data = &mut self.reply.data;
        reserve(data, lines.len());
        let mut read = 0;
        while let Some((line, next)) = line_at(lines, read) {
            read = next;
            let Some(text) = lines.get(line).and_then(unstuff) else {
                self.end_block();
                return lines.get(read..).unwrap_or_default();
            };
            data.extend_from_slice(text);
            data.push(b'\n');
        }
        &[]
    }

    fn end_block(&mut self) {
        self.inside_data = false;
        let Reply { data, blocks, .. } = &mut self.reply;
        if let Some(block) = blocks.last_mut() {
            // Line feeds separate the lines.
            if data.len() > block.start {
                data.pop();
            }
            block.end = data.len();
        }
    }
}

/// Makes room for more bytes. A buffer that is short enough to be zeroized is zeroized when it moves.
fn reserve(buffer: &mut Vec<u8>, more: usize) {
    if buffer.len() > MAX_ZEROIZED {
        buffer.reserve(more);
    } else if buffer.capacity() - buffer.len() < more {
        let mut larger = Vec::with_capacity((buffer.len() + more).max(2 * buffer.len()));
        larger.extend_from_slice(buffer);
        buffer.zeroize();
        *buffer = larger;
    }
}

#[cfg(test)]
mod tests;
