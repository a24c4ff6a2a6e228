//! The lines of a reply that is received in parts.

use std::borrow::Cow;
use std::fmt;

use super::reply::{Separator, StatusLine, line_at, unstuff};
use crate::error::ProtocolError;
use crate::names::secret::redact;
use crate::names::{quoted, to_text};

/// One line of a reply or of its data.
///
/// # Examples
///
/// ```no_run
/// use std::ops::ControlFlow;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let mut exits = 0;
/// controller.get_info_incremental("ns/all", |line| {
///     exits += usize::from(line.bytes().starts_with(b"s ") && line.text().contains(" Exit"));
///     ControlFlow::Continue(())
/// })?;
/// println!("{exits} exits");
/// # Ok::<(), torcon::Error>(())
/// ```
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
        to_text(self.bytes)
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl fmt::Debug for Line<'_> {
    /// Shows the text without known secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&redact(self.bytes)))
    }
}

/// A line of a reply in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartLine<'a> {
    /// A line with a status code, which `text` does not contain.
    Status { code: u16, is_last: bool, text: &'a [u8] },
    /// A line of data without dot-stuffing.
    Data(&'a [u8]),
}

/// Parses the parts of one reply. Each part consists of complete lines.
#[derive(Debug, Default)]
pub(crate) struct PartReader {
    inside_data: bool,
}

impl PartReader {
    /// Passes every line of the next part to `take`, until it fails.
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
                match unstuff(line) {
                    Some(data) => take(PartLine::Data(data))?,
                    None => self.inside_data = false,
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
    use super::{Line, PartLine, PartReader};
    use crate::error::Error;

    #[test]
    fn a_line_is_bytes_and_text_and_debug_escapes_it_without_a_secret() {
        for (bytes, text) in [(&b"s Exit"[..], "s Exit"), (b"", ""), (b"caf\xe9", "caf\u{fffd}")] {
            let line = Line::new(bytes);
            assert_eq!(line.bytes(), bytes);
            assert_eq!(line.text(), text);
            assert_eq!(format!("{line}"), text);
            assert_eq!(format!("[{line:>8}]"), format!("[{text:>8}]"));
        }
        assert_eq!(format!("{:?}", Line::new(b"s Exit")), "\"s Exit\"");
        let hostile = Line::new(b"a\n\x1b[31m\xe2\x80\xae\xff");
        assert_eq!(format!("{hostile:?}"), r#""a\n\u{1b}[31m\u{202e}\xff""#);
        let secret = format!("{:?}", Line::new(b"PrivateKey=ED25519-V3:c2VjcmV0"));
        assert!(secret.contains("PrivateKey") && !secret.contains("c2Vj"), "{secret}");
    }

    #[test]
    fn the_lines_do_not_depend_on_the_ends_of_the_parts() {
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
