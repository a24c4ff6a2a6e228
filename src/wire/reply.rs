//! Replies.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memchr;
use zeroize::Zeroize as _;

use crate::error::{ProtocolError, Rejection, RejectionLine};
use crate::names::quoted;
use crate::names::secret::redact;

/// The reply to one command: one or more lines, each with a status code, some with data.
///
/// The codes of one reply can differ. Values are bytes; [`ReplyLine`] also returns them as text. A
/// reply of up to 64 KiB is zeroized when it is dropped, since it can contain a key.
///
/// # Examples
///
/// ```
/// use torcon::Reply;
///
/// let reply = Reply::parse(b"250-version=0.4.9.11\r\n250-uptime=71\r\n250 OK\r\n".to_vec())?;
/// assert!(reply.is_success());
/// let lines: Vec<_> = reply.lines().map(|line| line.text().into_owned()).collect();
/// assert_eq!(lines, ["version=0.4.9.11", "uptime=71", "OK"]);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The bytes for the ranges of `lines`, with data blocks unstuffed.
    bytes: Vec<u8>,
    /// Invariant: not empty.
    lines: Vec<Span>,
}

#[derive(Clone, PartialEq, Eq)]
struct Span {
    code: u16,
    text: Range<usize>,
    data: Option<Range<usize>>,
}

/// One line of a [`Reply`].
///
/// # Examples
///
/// ```
/// use torcon::Reply;
///
/// let reply = "250+config-text=\r\nSocksPort 9050\r\nNickname MyRelay\r\n.\r\n250 OK\r\n";
/// let reply = Reply::parse(reply.into())?;
/// let line = reply.lines().next().unwrap();
/// assert_eq!((line.code(), line.bytes()), (250, &b"config-text="[..]));
/// assert_eq!(line.data(), Some(&b"SocksPort 9050\nNickname MyRelay"[..]));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplyLine<'a> {
    code: u16,
    text: &'a [u8],
    data: Option<&'a [u8]>,
}

impl<'a> ReplyLine<'a> {
    /// Returns the status code: 2xx for success, 4xx and 5xx for a refusal.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Returns the line without its status code and line end.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.text
    }

    /// Returns the line as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.text)
    }

    /// Returns the data block of the line (as in `250+key=`), if any: its lines without dot-stuffing,
    /// joined by line feeds.
    #[must_use]
    pub fn data(&self) -> Option<&'a [u8]> {
        self.data
    }

    /// Returns whether this line is a success.
    #[doc(alias = "IsOk")]
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code < 400
    }
}

impl fmt::Debug for ReplyLine<'_> {
    /// Shows the text without known secrets, and only the size of the data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, quoted(&redact(self.text)))?;
        match self.data {
            Some(data) => write!(f, " and {} bytes of data", data.len()),
            None => Ok(()),
        }
    }
}

impl Reply {
    /// Parses the bytes of one complete reply, with status codes and line ends.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if there is no line, or a line without a status code.
    #[doc(alias = "ReadResponse")]
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ProtocolError> {
        let mut reply = Self { bytes, lines: Vec::with_capacity(2) };
        let (bytes, lines) = (&mut reply.bytes, &mut reply.lines);
        // Data is unstuffed in place: `written <= read`.
        let (mut read, mut written) = (0, 0);
        while let Some((line, next)) = line_at(bytes, read) {
            let status = bytes.get(line.clone()).and_then(StatusLine::parse);
            let Some(StatusLine { code, separator }) = status else {
                let found = bytes.get(line).unwrap_or_default();
                return Err(ProtocolError::new("a reply", "a status code", found));
            };
            let text = move_to(bytes, line.start + 4..line.end, &mut written);
            read = next;
            let data = (separator == Separator::Data).then(|| {
                let start = written;
                read = unstuff_in_place(bytes, read, &mut written);
                start..written
            });
            lines.push(Span { code, text, data });
        }
        if lines.is_empty() {
            return Err(ProtocolError::new("a reply", "a line", b""));
        }
        bytes.truncate(written);
        Ok(reply)
    }

    /// Returns the lines, in order. There is always at least one.
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = ReplyLine<'_>> + DoubleEndedIterator {
        self.lines.iter().map(|line| {
            let slice = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
            ReplyLine {
                code: line.code,
                text: slice(&line.text),
                data: line.data.as_ref().map(slice),
            }
        })
    }

    /// Returns all bytes, and the range of the data of the first line, or else of its text from
    /// `skipped` on.
    pub(crate) fn into_first_value(mut self, skipped: usize) -> (Vec<u8>, Range<usize>) {
        let range = self.lines.first().map_or(0..0, |line| {
            let text = (line.text.start + skipped).min(line.text.end)..line.text.end;
            line.data.clone().unwrap_or(text)
        });
        (std::mem::take(&mut self.bytes), range)
    }

    /// Returns the status code of the last line.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.lines.last().map_or(0, |line| line.code)
    }

    /// Returns the last line as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        self.lines().next_back().map(|line| line.text()).unwrap_or_default()
    }

    /// Returns whether every line is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.lines.iter().all(|line| line.code < 400)
    }

    /// Returns the reply if every line is a success.
    ///
    /// # Errors
    ///
    /// [`Rejection`] otherwise, with the keyword `command`.
    pub fn into_result(self, command: &str) -> Result<Self, Rejection> {
        if self.is_success() {
            return Ok(self);
        }
        let lines = self.lines().map(|line| {
            // tor sends an error text with a carriage return as data behind an empty key.
            let text = match (line.text, line.data) {
                (b"=" | b"", Some(data)) => data,
                (text, _) => text,
            };
            RejectionLine::new(line.code, text)
        });
        Err(Rejection::new(command, lines.collect()))
    }
}

/// The longest reply that is zeroized when it is dropped. Replies with keys are short, and zeroizing a
/// list of all relays would take longer than parsing it.
const MAX_ZEROIZED: usize = 64 << 10;

impl Drop for Reply {
    fn drop(&mut self) {
        if self.bytes.len() <= MAX_ZEROIZED {
            self.bytes.zeroize();
        }
    }
}

impl fmt::Debug for Reply {
    /// Shows only code and size, since a reply can contain a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.len();
        write!(f, "Reply({}, {lines} lines, {} bytes)", self.code(), self.bytes.len())
    }
}

/// The character between the status code and the text of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    /// `-`: more lines follow.
    More,
    /// `+`: data follows, then more lines.
    Data,
    /// A space: the last line.
    Last,
}

/// The first four bytes of a line: status code and separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusLine {
    pub(crate) code: u16,
    pub(crate) separator: Separator,
}

impl StatusLine {
    /// Parses the beginning of a line. A code without separator is a last line.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let (digits, rest) = line.split_first_chunk::<3>()?;
        let code = digits.iter().try_fold(0, |code: u16, digit| {
            digit.is_ascii_digit().then(|| code * 10 + u16::from(digit - b'0'))
        })?;
        let separator = match rest.first() {
            Some(b'-') => Separator::More,
            Some(b'+') => Separator::Data,
            Some(b' ') | None => Separator::Last,
            Some(_) => return None,
        };
        Some(Self { code, separator })
    }

    /// Returns whether a line with this beginning can be a status line.
    pub(crate) fn could_begin(beginning: &[u8]) -> bool {
        beginning.iter().take(4).enumerate().all(|(n, byte)| match n {
            3 => matches!(byte, b'-' | b'+' | b' ' | b'\r' | b'\n'),
            _ => byte.is_ascii_digit(),
        })
    }

    /// Searches `text` for status lines whose preceding line end was lost.
    pub(crate) fn all_within(text: &[u8]) -> impl Iterator<Item = Self> {
        (0..text.len()).filter_map(|start| Self::parse(text.get(start..)?))
    }

    /// Returns whether the line belongs to a reply.
    pub(crate) fn is_reply(self) -> bool {
        matches!(self.code / 100, 2 | 4 | 5)
    }

    /// Returns whether the line belongs to an event.
    pub(crate) fn is_event(self) -> bool {
        (600..700).contains(&self.code)
    }
}

/// Returns the line at `start`, without its end, and the start of the next line.
pub(crate) fn line_at(bytes: &[u8], start: usize) -> Option<(Range<usize>, usize)> {
    let rest = bytes.get(start..)?;
    let length = memchr(b'\n', rest)?;
    let end = match rest.get(..length) {
        Some([.., b'\r']) => start + length - 1,
        _ => start + length,
    };
    Some((start..end, start + length + 1))
}

/// Moves a range of `bytes` down to `written`, and returns its new range.
fn move_to(bytes: &mut [u8], part: Range<usize>, written: &mut usize) -> Range<usize> {
    let part = part.start.min(part.end)..part.end;
    let start = *written;
    *written += part.len();
    bytes.copy_within(part, start);
    start..*written
}

/// Removes the dot-stuffing of a line of data. Returns `None` for the line that ends the data.
#[inline]
pub(crate) fn unstuff(line: &[u8]) -> Option<&[u8]> {
    match line {
        b"." => None,
        [b'.', rest @ ..] => Some(rest),
        line => Some(line),
    }
}

/// Moves the data block at `read` down to `written`, without dot-stuffing. Returns the end of the
/// block.
fn unstuff_in_place(bytes: &mut [u8], mut read: usize, written: &mut usize) -> usize {
    let mut first = true;
    while let Some((line, next)) = line_at(bytes, read) {
        read = next;
        let Some(data) = bytes.get(line.clone()).and_then(unstuff) else { break };
        let line = line.end - data.len()..line.end;
        if !first {
            bytes.get_mut(*written).into_iter().for_each(|end| *end = b'\n');
            *written += 1;
        }
        first = false;
        move_to(bytes, line, written);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::{Reply, StatusLine};

    fn reply(text: &str) -> Reply {
        Reply::parse(text.replace('\n', "\r\n").into_bytes()).unwrap()
    }

    fn lines(reply: &Reply) -> Vec<(u16, String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        reply.lines().map(|line| (line.code(), text(line.bytes()), line.data().map(text))).collect()
    }

    #[test]
    fn a_single_line_is_parsed() {
        let reply = reply("250 OK\n");
        assert_eq!(lines(&reply), [(250, "OK".to_owned(), None)]);
        assert!(reply.is_success());
    }

    #[test]
    fn data_is_unstuffed_and_may_look_like_status_lines() {
        // `100 BUILT`, `250 x` and a lone `OK` were taken for replies or deleted (peers 5).
        let reply = reply(
            "250-version=0.4.9.11\n250+config-text=\n100 BUILT\n250 x\n..\n...a\nOK\n\n.\n250 OK\n",
        );
        assert_eq!(
            lines(&reply),
            [
                (250, "version=0.4.9.11".to_owned(), None),
                (250, "config-text=".to_owned(), Some("100 BUILT\n250 x\n.\n..a\nOK\n".to_owned())),
                (250, "OK".to_owned(), None),
            ]
        );
    }

    #[test]
    fn an_empty_data_block_is_not_absent() {
        assert_eq!(lines(&reply("250+key=\n.\n250 OK\n"))[0].2.as_deref(), Some(""));
    }

    #[test]
    fn a_reply_with_mixed_codes_is_a_refusal() {
        // MAPADDRESS mixes codes, which left txtorcon waiting forever (peers 6).
        let reply =
            reply("512-syntax error: invalid address '@@@'\n250 127.226.47.3=example.com\n");
        assert_eq!(reply.lines().map(|line| line.code()).collect::<Vec<_>>(), [512, 250]);
        let rejection = reply.into_result("MAPADDRESS").unwrap_err();
        assert_eq!(rejection.code(), 512);
        assert_eq!(rejection.lines().len(), 2);
    }

    #[test]
    fn a_refusal_keeps_all_its_lines() {
        let reply = reply("552-Unrecognized key \"a\"\n552 Unrecognized key \"b\"\n");
        let rejection = reply.into_result("GETINFO").unwrap_err();
        let texts: Vec<_> = rejection.lines().iter().map(|line| line.text()).collect();
        assert_eq!(texts, ["Unrecognized key \"a\"", "Unrecognized key \"b\""]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept() {
        let reply = Reply::parse(b"552 Unrecognized key \"caf\xc3\xa9\xff\"\r\n".to_vec()).unwrap();
        assert_eq!(reply.lines().next().unwrap().bytes(), b"Unrecognized key \"caf\xc3\xa9\xff\"");
        assert_eq!(reply.text(), "Unrecognized key \"caf\u{e9}\u{fffd}\"");
    }

    #[test]
    fn a_line_feed_without_carriage_return_ends_a_line() {
        let reply = Reply::parse(b"250-a=1\n250 OK\n".to_vec()).unwrap();
        assert_eq!(lines(&reply)[0].1, "a=1");
    }

    #[test]
    fn a_line_without_status_code_is_an_error() {
        for line in ["", "25", "2x0 OK", "250/OK", "HTTP/1.0 501"] {
            assert_eq!(StatusLine::parse(line.as_bytes()), None, "{line}");
        }
        let error = Reply::parse(b"SSH-2.0\r\n".to_vec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read a reply: expected a status code, got \"SSH-2.0\""
        );
    }

    #[test]
    fn debug_hides_the_text() {
        let reply = reply("250-PrivateKey=ED25519-V3:c2VjcmV0\n250 OK\n");
        assert!(!format!("{reply:?}").contains("c2Vj"));
    }
}
