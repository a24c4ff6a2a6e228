//! Collecting a reply while it arrives.

use zeroize::Zeroize as _;

use super::{MAX_ZEROIZED, Reply, Separator, StatusLine, line_at, unstuff};
use crate::error::ProtocolError;

/// Collects the lines of one reply. Data is unstuffed when it is added, so that it is copied once.
#[derive(Debug, Default)]
pub(crate) struct ReplyBuilder {
    reply: Reply,
    /// Whether the last data block is incomplete.
    inside_data: bool,
    /// The number of bytes that were added.
    received: usize,
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
            if status.separator == Separator::Data {
                self.inside_data = true;
                let start = self.reply.data.len();
                self.reply.blocks.push(start..start);
                break;
            }
        }
        let (added, rest) = lines.split_at_checked(end).unwrap_or_default();
        reserve(&mut self.reply.lines, added.len());
        self.reply.lines.extend_from_slice(added);
        // What follows the last line end is no line.
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
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_ZEROIZED;
    use super::{Reply, ReplyBuilder, reserve};

    /// The lines of a reply: code, text, data.
    type Lines = Vec<(u16, Vec<u8>, Option<Vec<u8>>)>;

    fn lines(reply: &Reply) -> Lines {
        let line = |line: crate::wire::ReplyLine<'_>| {
            (line.code(), line.bytes().to_vec(), line.data().map(<[u8]>::to_vec))
        };
        reply.lines().map(line).collect()
    }

    /// Reads a reply line by line, as the specification describes it.
    fn reference(bytes: &[u8]) -> Lines {
        let mut found: Lines = Vec::new();
        let mut block: Option<Vec<Vec<u8>>> = None;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match &mut block {
                Some(_) if line == b"." => {
                    found.last_mut().unwrap().2 = block.take().map(|lines| lines.join(&b'\n'));
                }
                Some(lines) => lines.push(line.strip_prefix(b".").unwrap_or(line).to_vec()),
                None => {
                    let code = std::str::from_utf8(&line[..3]).unwrap().parse().unwrap();
                    found.push((code, line.get(4..).unwrap_or_default().to_vec(), None));
                    block = (line.get(3) == Some(&b'+')).then(Vec::new);
                }
            }
        }
        if let Some(lines) = block {
            found.last_mut().unwrap().2 = Some(lines.join(&b'\n'));
        }
        found
    }

    /// Collects the bytes in parts of whole lines, with at least these sizes in turn.
    fn collected(bytes: &[u8], sizes: &[usize]) -> Reply {
        let mut builder = ReplyBuilder::default();
        let mut sizes = sizes.iter().copied().cycle();
        let mut part = Vec::new();
        let mut size = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            part.extend_from_slice(line);
            if part.len() >= size {
                builder.push(&part).unwrap();
                part.clear();
                size = sizes.next().unwrap_or(0);
            }
        }
        builder.push(&part).unwrap();
        assert_eq!(builder.received(), bytes.len());
        builder.finish()
    }

    const REPLIES: [&[u8]; 10] = [
        b"250 OK\r\n",
        b"250\r\n",
        b"250-a=1\r\n250-b=\r\n250 OK\r\n",
        b"250+a=\r\n.\r\n250 OK\r\n",
        b"250+a=\r\n\r\n.\r\n250 OK\r\n",
        b"250+a=\r\n..first\r\n...\r\n..\r\nx.\r\n.x\r\n.\r\n250 OK\r\n",
        b"250+a=\r\nx\ry\r\r\n\0\n\n.\n250 OK\n",
        b"250+a=\r\n250 OK\r\n250+b=\r\n.\r\n250+b=\r\n\xff\xfe\r\n.\r\n250+c=\r\n.\r\n250 OK\r\n",
        b"551-x\r\n250+=\r\na\r\n\r\n.\r\n552 y\r\n",
        b"250+a=\r\ncut here\r\nand here",
    ];

    #[test]
    fn a_reply_is_read_as_by_the_reference_in_parts_of_every_size() {
        for bytes in REPLIES {
            for end in 6..=bytes.len() {
                let bytes = &bytes[..end];
                let expected = reference(bytes);
                for size in [1, 10, 20, 1000] {
                    let reply = collected(bytes, &[size]);
                    assert_eq!(lines(&reply), expected, "{}", bytes.escape_ascii());
                    let mut back: Vec<_> = reply.lines().rev().map(|line| line.data()).collect();
                    back.reverse();
                    assert!(reply.lines().map(|line| line.data()).eq(back));
                }
            }
        }
    }

    #[test]
    fn the_ends_of_the_lines_do_not_distinguish_replies() {
        let reply = |bytes: &[u8]| collected(bytes, &[1]);
        assert_eq!(reply(b"250+a=\r\nx\r\n.\r\n250 OK\r\n"), reply(b"250+a=\nx\n.\n250 OK\n"));
        assert_ne!(reply(b"250+a=\r\nx\r\n.\r\n250 OK\r\n"), reply(b"250+a=\ny\n.\n250 OK\n"));
    }

    #[test]
    fn a_short_reply_has_one_allocation_of_its_own_length() {
        let reply = Reply::parse(b"250-version=0.4.9.11\r\n250 OK\r\n".to_vec()).unwrap();
        assert_eq!((reply.data.capacity(), reply.blocks.capacity()), (0, 0));
        assert_eq!(reply.lines.capacity(), 30);
    }

    #[test]
    fn a_buffer_that_moves_is_reserved_for_twice_its_length() {
        let mut buffer = vec![b'x'; 100];
        buffer.shrink_to_fit();
        reserve(&mut buffer, 10);
        assert_eq!((&buffer[..], buffer.capacity()), (&[b'x'; 100][..], 200));
        let mut long = vec![b'x'; MAX_ZEROIZED + 1];
        reserve(&mut long, 10);
        assert!(long.capacity() > 2 * MAX_ZEROIZED && long.iter().all(|byte| *byte == b'x'));
    }

    proptest! {
        #[test]
        fn any_data_is_read_as_by_the_reference(
            blocks in prop::collection::vec(
                prop::collection::vec("(\\.|\\.\\.|\\.x)?[x\\.\r\0]{0,3}", 0..12), 0..4),
            end in prop::sample::select(vec!["\r\n", "\n"]),
            sizes in prop::collection::vec(1..40_usize, 1..8),
        ) {
            let mut text = String::new();
            for block in blocks {
                text += &format!("250-k=v{end}250+a={end}");
                text.extend(block.iter().map(|line| format!("{line}{end}")));
                text += &format!(".{end}");
            }
            text += &format!("250 OK{end}");
            // A line of one dot ends its block early; what follows need not be a status line.
            prop_assume!(Reply::parse(text.clone().into_bytes()).is_ok());
            let expected = reference(text.as_bytes());
            prop_assert_eq!(lines(&collected(text.as_bytes(), &sizes)), &expected[..]);
            prop_assert_eq!(lines(&Reply::parse(text.into_bytes()).unwrap()), &expected[..]);
        }
    }
}
