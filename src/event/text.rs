//! The text of an event, shared and not copied.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

#[cfg(feature = "serde")]
use crate::names::into_text;
use crate::names::secret::{REDACTED, redact};
use crate::names::to_text;
use crate::wire::{Separator, StatusLine};

/// The text of an event or of a part of it, as tor sent it.
///
/// The text of an event has no status codes and no line ends. Line feeds separate the lines of an
/// event of several lines, without status codes, dot-stuffing and end lines: `CONF_CHANGED`, line
/// feed, `Nickname=a`. Parts of events, such as
/// [`CircEvent::socks_username`](crate::event::CircEvent::socks_username), are decoded: without
/// quotes and escapes.
///
/// The text is nearly always UTF-8. It can contain other bytes, since tor repeats text of
/// applications, relays and onion services. [`as_bytes`](Self::as_bytes) returns the bytes that tor
/// sent; methods that return text replace bytes that are not UTF-8.
///
/// A clone is cheap, since it shares the bytes of all events of one read from the socket. So one
/// short text can keep 64 KiB in memory; [`detached`](Self::detached) copies the text alone.
///
/// # Examples
///
/// ```
/// use torcon::event::EventText;
///
/// let text = EventText::new(b"BW 15 20");
/// assert_eq!(text.keyword(), b"BW");
/// assert_eq!(text, "BW 15 20");
/// ```
#[derive(Clone, Default)]
pub struct EventText {
    chunk: Arc<[u8]>,
    /// Invariant: lies within `chunk`.
    range: Range<usize>,
    /// Whether `Debug` hides it.
    is_secret: bool,
    /// Whether the line had no status code.
    is_stray: bool,
}

impl EventText {
    /// Copies a text, without status codes and line ends, with a line feed between its lines.
    ///
    /// For tests and for stored texts; torcon creates the texts of tor's events.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        Self { chunk: text.into(), range: 0..text.len(), is_secret: false, is_stray: false }
    }

    /// Creates the text of the event in this range of bytes from the wire, with status codes and
    /// line ends, or of a line without a status code. An event of one line is not copied.
    #[inline]
    pub(crate) fn from_wire(chunk: &Arc<[u8]>, range: Range<usize>) -> Self {
        Self::from_wire_after(None, chunk, range)
    }

    /// Creates such a text from a former one, whose reference to the chunk it takes over.
    #[inline]
    pub(crate) fn from_wire_after(
        former: Option<Self>,
        chunk: &Arc<[u8]>,
        range: Range<usize>,
    ) -> Self {
        let wire = chunk.get(range.clone()).unwrap_or_default();
        let line = strip_line_end(wire);
        match StatusLine::parse(line).map(|status| status.separator) {
            Some(Separator::Last) => {
                let end = range.start + line.len();
                let range = (range.start + 4).min(end)..end;
                let chunk = match former {
                    Some(former) if Arc::ptr_eq(&former.chunk, chunk) => former.chunk,
                    _ => Arc::clone(chunk),
                };
                Self { chunk, range, is_secret: false, is_stray: false }
            }
            Some(Separator::More | Separator::Data) => Self::new(&join_lines(wire)),
            None => Self { is_stray: true, ..Self::new(line) },
        }
    }

    /// Copies an event from the wire, with status codes and line ends.
    #[inline]
    pub(crate) fn copied(wire: &[u8]) -> Self {
        Self::from_wire(&wire.into(), 0..wire.len())
    }

    /// Replaces the text by a copy of another one: in the same memory if no other text shares it and
    /// the new text takes at least half of it.
    #[inline]
    pub(crate) fn overwrite(&mut self, text: &[u8]) {
        let chunk = Arc::get_mut(&mut self.chunk).filter(|chunk| chunk.len() / 2 <= text.len());
        match chunk.and_then(|chunk| chunk.get_mut(..text.len())) {
            Some(place) => {
                place.copy_from_slice(text);
                self.range = 0..text.len();
                (self.is_secret, self.is_stray) = (false, false);
            }
            None => *self = Self::new(text),
        }
    }

    /// Returns the text of an event of one line from the wire, with its status code and line end.
    #[inline]
    pub(crate) fn one_line(wire: &[u8]) -> Option<&[u8]> {
        let line = strip_line_end(wire);
        match StatusLine::parse(line)?.separator {
            Separator::Last => line.get(4..),
            Separator::More | Separator::Data => None,
        }
    }

    /// Returns a part of this text, which shares its bytes. Copies bytes from elsewhere.
    #[inline]
    pub(crate) fn part(&self, part: &[u8]) -> Self {
        let start = part.as_ptr().addr().checked_sub(self.chunk.as_ptr().addr());
        match start.map(|start| start..start + part.len()) {
            Some(range) if range.end <= self.range.end && range.start >= self.range.start => {
                Self { chunk: Arc::clone(&self.chunk), range, is_secret: false, is_stray: false }
            }
            _ => Self::new(part),
        }
    }

    /// Returns a decoded value of this text, which shares its bytes unless decoding changed it.
    #[inline]
    pub(crate) fn value(&self, value: Cow<'_, [u8]>) -> Self {
        match value {
            Cow::Borrowed(part) => self.part(part),
            Cow::Owned(changed) => Self::new(&changed),
        }
    }

    /// Marks the text as a secret, which `Debug` does not show.
    pub(crate) fn into_secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// Returns the text as tor sent it.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.chunk.get(self.range.clone()).unwrap_or_default()
    }

    /// Returns the text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        to_text(self.as_bytes())
    }

    /// Returns the first word, which is the name of the kind of an event.
    #[must_use]
    pub fn keyword(&self) -> &[u8] {
        let text = self.as_bytes();
        let end = memchr::memchr2(b' ', b'\n', text).unwrap_or(text.len());
        text.get(..end).unwrap_or_default()
    }

    /// Returns a copy that shares no memory with other texts.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { is_secret: self.is_secret, is_stray: self.is_stray, ..Self::new(self.as_bytes()) }
    }

    /// Returns the text without known secrets; bytes that are not UTF-8 are replaced.
    #[cfg(feature = "serde")]
    pub(crate) fn to_redacted(&self) -> Cow<'_, str> {
        match (self.is_secret, redact(self.as_bytes())) {
            (true, _) => Cow::Borrowed(REDACTED),
            (false, Cow::Borrowed(text)) => to_text(text),
            (false, Cow::Owned(text)) => into_text(text).into(),
        }
    }

    /// Returns whether this is a line without a status code instead of an event.
    #[inline]
    pub(crate) fn is_stray(&self) -> bool {
        self.is_stray
    }
}

/// Joins the lines of an event, without status codes, dot-stuffing and end lines.
fn join_lines(wire: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(wire.len());
    let mut add = |line: &[u8]| {
        text.extend_from_slice(line);
        text.push(b'\n');
    };
    let mut in_data = false;
    for line in wire.split_inclusive(|byte| *byte == b'\n').map(strip_line_end) {
        if in_data {
            match line {
                b"." => in_data = false,
                _ => add(line.strip_prefix(b".").unwrap_or(line)),
            }
            continue;
        }
        let (code, line) = line.split_at_checked(4).unwrap_or((line, b""));
        match code.last() {
            Some(b' ') if line == b"OK" => {}
            Some(separator) => {
                in_data = *separator == b'+';
                add(line);
            }
            None => {}
        }
    }
    text.pop();
    text
}

fn strip_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl fmt::Display for EventText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_str_lossy())
    }
}

impl fmt::Debug for EventText {
    /// Shows the text without known secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_secret {
            true => write!(f, "\"{REDACTED}\""),
            false => write!(f, "\"{}\"", redact(self.as_bytes()).escape_ascii()),
        }
    }
}

impl PartialEq for EventText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for EventText {}

impl PartialEq<str> for EventText {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for EventText {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl Hash for EventText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl AsRef<[u8]> for EventText {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{any, proptest};

    use super::EventText;

    fn from_wire(wire: &[u8]) -> EventText {
        let chunk: Arc<[u8]> = wire.into();
        EventText::from_wire(&chunk, 0..wire.len())
    }

    #[test]
    fn an_event_of_one_line_shares_the_bytes_of_its_chunk() {
        let chunk: Arc<[u8]> = b"650 BW 1 2\r\n650 NOTICE OK\r\n"[..].into();
        let [first, second] = [0..12, 12..chunk.len()];
        let first = EventText::from_wire(&chunk, first);
        let second = EventText::from_wire(&chunk, second);
        assert_eq!((first.as_bytes(), first.keyword()), (&b"BW 1 2"[..], &b"BW"[..]));
        assert_eq!(second, "NOTICE OK");
        assert!(Arc::ptr_eq(&first.chunk, &second.chunk));
        assert!(!Arc::ptr_eq(&first.detached().chunk, &chunk));
        assert_eq!(first.detached(), first);
    }

    #[test]
    fn the_lines_of_an_event_are_joined_without_the_protocol_around_them() {
        assert_eq!(
            from_wire(b"650-CONF_CHANGED\r\n650-Nickname=OK\r\n650-OK\r\n650 OK\r\n"),
            "CONF_CHANGED\nNickname=OK\nOK"
        );
        assert_eq!(
            from_wire(b"650+NS\r\nr a\r\n..x\r\n650 OK\r\n...\r\n\r\n.\r\n650 OK\r\n"),
            "NS\nr a\n.x\n650 OK\n..\n"
        );
        assert_eq!(from_wire(b"650-CONF_CHANGED\r\n650 OK\r\n"), "CONF_CHANGED");
        assert_eq!(from_wire(b"650-A\r\n650 last\r\n"), "A\nlast");
        assert_eq!(
            from_wire(b"650+HS_DESC_CONTENT a b $c\n\n.\n650 OK\n"),
            "HS_DESC_CONTENT a b $c\n"
        );
    }

    #[test]
    fn the_end_of_a_text_is_never_cut() {
        for text in ["NOTICE K", "NOTICE O", "NOTICE OK", "NOTICE end\r", "NOTICE  ", "NOTICE ."] {
            assert_eq!(from_wire(format!("650 {text}\r\n").as_bytes()), text);
        }
    }

    #[test]
    fn parts_are_shared_and_foreign_bytes_are_copied() {
        let text = from_wire(b"650 A bc d\r\n");
        let part = text.part(&text.as_bytes()[2..4]);
        assert_eq!(part, "bc");
        assert!(Arc::ptr_eq(&part.chunk, &text.chunk));
        assert_eq!(text.part(b"else"), "else");
        let before = text.chunk.get(..3).unwrap();
        assert_eq!(text.part(before), "650");
        assert!(!Arc::ptr_eq(&text.part(before).chunk, &text.chunk));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_kept_and_shown_replaced() {
        let text = EventText::new(b"NOTICE caf\xe9");
        assert_eq!(text.as_bytes(), b"NOTICE caf\xe9");
        assert_eq!(text.to_string(), "NOTICE caf\u{fffd}");
        assert_eq!(format!("{text:?}"), r#""NOTICE caf\xe9""#);
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_text_without_a_panic(wire in any::<Vec<u8>>(), start: u8, end: u8) {
            let chunk: Arc<[u8]> = wire.as_slice().into();
            let text = EventText::from_wire(&chunk, usize::from(start)..usize::from(end));
            assert!(text.as_bytes().len() <= wire.len());
            let mut event = b"650 ".to_vec();
            event.extend(wire.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
            let expected = event[4..].to_vec();
            event.extend(b"\r\n");
            assert_eq!(from_wire(&event).as_bytes(), expected);
        }
    }
}
