//! A reply in parts: its lines as they come, without the whole.

use std::borrow::Cow;
use std::fmt;

use super::reply::{Separator, StatusLine, line_at};
use crate::error::ProtocolError;
use crate::names::quoted;
use crate::names::secret::redact;

/// One line of a reply or of its data, as it comes from tor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    bytes: &'a [u8],
}

impl<'a> Line<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns the bytes of the line, without its end.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the line as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl fmt::Debug for Line<'_> {
    /// Shows the text without what is known to be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&redact(self.bytes)))
    }
}

/// What a line of a reply in parts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartLine<'a> {
    /// A line with a status code, which is not part of the text.
    Status { code: u16, is_last: bool, text: &'a [u8] },
    /// A line of data, unstuffed.
    Data(&'a [u8]),
}

/// Reads the parts of one reply; each part consists of whole lines.
#[derive(Debug, Default)]
pub(crate) struct PartReader {
    inside_data: bool,
}

impl PartReader {
    /// Gives every line of the next part to `take`, until it fails.
    pub(crate) fn read<E: From<ProtocolError>>(
        &mut self,
        part: &[u8],
        mut take: impl FnMut(PartLine<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut position = 0;
        while let Some((line, next)) = line_at(part, position) {
            position = next;
            let line = part.get(line).unwrap_or_default();
            if self.inside_data {
                match line {
                    b"." => self.inside_data = false,
                    line => take(PartLine::Data(line.strip_prefix(b".").unwrap_or(line)))?,
                }
                continue;
            }
            let status = StatusLine::parse(line)
                .ok_or_else(|| ProtocolError::new("a reply", "a status code", line))?;
            self.inside_data = status.separator == Separator::Data;
            let text = line.get(4..).unwrap_or_default();
            let is_last = status.separator == Separator::Last;
            take(PartLine::Status { code: status.code, is_last, text })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{PartLine, PartReader};
    use crate::error::Error;

    #[test]
    fn parts_give_the_same_lines_wherever_they_end() {
        let reply = ["250-a=1\r\n", "250+b=\r\n", "..x\r\n", "250 OK\r\n", ".\r\n", "250 OK\r\n"];
        for cut in 0..reply.len() {
            let (first, second) = reply.split_at(cut);
            let mut reader = PartReader::default();
            let mut lines = Vec::new();
            for part in [first.concat(), second.concat()] {
                let read = reader.read(part.as_bytes(), |line| {
                    lines.push(match line {
                        PartLine::Status { code, is_last, text } => {
                            format!("{code} {is_last} {}", String::from_utf8_lossy(text))
                        }
                        PartLine::Data(data) => String::from_utf8_lossy(data).into_owned(),
                    });
                    Ok::<_, Error>(())
                });
                read.unwrap();
            }
            assert_eq!(
                lines,
                ["250 false a=1", "250 false b=", ".x", "250 OK", "250 true OK"],
                "cut at {cut}"
            );
        }
    }
}
