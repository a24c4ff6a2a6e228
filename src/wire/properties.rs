//! Properties that hold for any bytes, each checked against a second, simple reader.
//!
//! The fuzz targets and the unit tests check them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a property panics where it does not hold"
)]

use super::quoted::{decode_value, read_cstring, split_quoted, write_cstring};
use super::torrc::{Torrc, read_options};
use super::{Frame, Limits, Message, PartLine, PartReader, Reply, StatusLine};
use crate::error::{Disconnect, Error};

/// A message, with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Event(Vec<u8>),
    Reply(Vec<u8>),
    Stray(Vec<u8>),
}

/// Checks that messages, and whether there is an error, do not depend on the sizes of the reads, and
/// that messages are those of a reader that handles one line after the other.
///
/// The first byte chooses limits, and whether the connection is authenticated; the second is the
/// number of sizes, which follow.
pub(crate) fn framing(data: &[u8]) {
    let [choice, count, rest @ ..] = data else { return };
    let (sizes, bytes) = rest.split_at(usize::from(*count).min(rest.len()));
    let size = |size: &u8| if *size == u8::MAX { usize::MAX } else { usize::from(*size) };
    let sizes: Vec<_> = sizes.iter().map(size).collect();
    let limits = match choice & 1 {
        0 => Limits::default(),
        _ => Limits { line: 40, reply: 120 },
    };
    let is_authenticated = choice & 2 != 0;
    let (messages, end) = frame(bytes, &[usize::MAX], limits, is_authenticated);
    let (in_pieces, other_end) = frame(bytes, &sizes, limits, is_authenticated);
    assert_eq!(messages, in_pieces, "messages depend on the sizes of reads");
    // A line can have two errors, of which a small read finds the other one first.
    assert_eq!(end.is_some(), other_end.is_some(), "{end:?} and {other_end:?}");
    let expected = line_by_line(bytes, is_authenticated);
    match end {
        None => assert_eq!(messages, expected),
        // A limit, or a line without a status code.
        Some(_) => assert!(expected.starts_with(&messages), "{messages:?} and {expected:?}"),
    }
    for message in &messages {
        if let Whole::Reply(bytes) = message {
            reply(bytes);
        }
    }
}

/// Frames the bytes in reads of these sizes, in turn; without sizes in reads of the largest size.
/// Returns the messages, and why the connection ended. The parts of a reply are joined.
pub(super) fn frame(
    bytes: &[u8],
    sizes: &[usize],
    limits: Limits,
    is_authenticated: bool,
) -> (Vec<Whole>, Option<Disconnect>) {
    let mut frame = Frame::new(limits);
    if is_authenticated {
        frame.set_authenticated(limits);
    }
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = bytes;
    let (mut found, mut reply) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let space = frame.space();
        let size = sizes.next().unwrap_or(usize::MAX).max(1).min(space.len()).min(rest.len());
        space[..size].copy_from_slice(&rest[..size]);
        frame.fill(size);
        rest = &rest[size..];
        loop {
            match frame.next() {
                Ok(Some(Message::Event(range))) => {
                    found.push(Whole::Event(frame.bytes(&range).to_vec()));
                }
                Ok(Some(Message::Stray(range))) => {
                    found.push(Whole::Stray(frame.bytes(&range).to_vec()));
                }
                Ok(Some(Message::Part(range))) => reply.extend_from_slice(frame.bytes(&range)),
                Ok(Some(Message::Reply(range))) => {
                    reply.extend_from_slice(frame.bytes(&range));
                    found.push(Whole::Reply(std::mem::take(&mut reply)));
                }
                Ok(None) => break,
                Err(end) => return (found, Some(end)),
            }
        }
    }
    (found, None)
}

/// Returns the messages up to the first line that is an error.
fn line_by_line(bytes: &[u8], is_authenticated: bool) -> Vec<Whole> {
    let mut found = Vec::new();
    let (mut reply, mut event) = (Vec::new(), Vec::new());
    let mut is_data = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else { break };
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if is_data {
            is_data = text != b".";
            let message = if event.is_empty() { &mut reply } else { &mut event };
            message.extend_from_slice(line);
            continue;
        }
        let status = match text {
            [a, b, c, rest @ ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => {
                match rest.first() {
                    None => Some((*a, b' ')),
                    Some(separator @ (b' ' | b'-' | b'+')) => Some((*a, *separator)),
                    Some(_) => None,
                }
            }
            _ => None,
        };
        let Some((first, separator)) = status else {
            if is_authenticated && reply.is_empty() && event.is_empty() {
                found.push(Whole::Stray(line.to_vec()));
                continue;
            }
            break;
        };
        is_data = separator == b'+';
        let is_event = first == b'6' || !event.is_empty();
        let message = if is_event { &mut event } else { &mut reply };
        message.extend_from_slice(line);
        if separator == b' ' {
            let message = std::mem::take(message);
            found.push(if is_event { Whole::Event(message) } else { Whole::Reply(message) });
        }
    }
    found
}

/// Checks that a framed reply can be parsed, and that its lines in parts are its lines.
fn reply(bytes: &[u8]) {
    let whole = Reply::parse(bytes.to_vec()).expect("a framed reply can be parsed");
    let ends: Vec<_> = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1).collect();
    let cut = ends[ends.len() / 2];
    let (mut lines, mut data) = (Vec::new(), Vec::new());
    let mut reader = PartReader::default();
    for part in [&bytes[..cut], &bytes[cut..]] {
        let outcome = reader.read(part, |line| {
            match line {
                PartLine::Status { code, text, .. } => {
                    lines.push((code, text.to_vec()));
                    data.push(Vec::new());
                }
                PartLine::Data(line) => data.last_mut().unwrap().push(line.to_vec()),
            }
            Ok::<_, Error>(())
        });
        outcome.unwrap();
    }
    let expected: Vec<_> = whole.lines().map(|it| (it.code(), it.bytes().to_vec())).collect();
    assert_eq!(lines, expected);
    for (line, data) in whole.lines().zip(data) {
        assert_eq!(line.data().unwrap_or_default(), data.join(&b'\n'), "data of {line:?}");
    }
}

/// Checks that any bytes are either a reply or an error, and that a reply's first line is the first
/// line of the bytes.
pub(crate) fn any_reply(bytes: &[u8]) {
    let Ok(parsed) = Reply::parse(bytes.to_vec()) else { return };
    let first = parsed.lines().next().expect("a reply has a line");
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap();
    let status = StatusLine::parse(line.strip_suffix(b"\r").unwrap_or(line));
    assert_eq!(first.code(), status.expect("it began with a status code").code);
    let _ = parsed.into_result("GETINFO").map_err(|rejection| rejection.to_string());
}

/// Checks that a quoted string ends where a character by character reader ends it, and that its
/// value is the same after writing it.
pub(crate) fn quoted_strings(text: &[u8]) {
    let mut escaped = false;
    let mut end = None;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    let expected =
        end.filter(|_| text.starts_with(b"\"")).map(|end| (&text[1..end], &text[end + 1..]));
    assert_eq!(split_quoted(text), expected);
    if let Some((value, rest)) = read_cstring(text) {
        let mut written = Vec::new();
        write_cstring(&mut written, &value);
        assert!(
            written.iter().all(|byte| matches!(byte, b' '..=b'~')),
            "{}",
            written.escape_ascii()
        );
        let before = written.len();
        written.extend_from_slice(rest);
        let (again, after) = read_cstring(&written).expect("what was written can be read");
        assert_eq!((&*again, after), (&*value, &written[before..]));
    }
    let _ = decode_value(text);
}

/// Checks that torrc can be read to its first error, and that options are the same after writing
/// them.
pub(crate) fn torrc(text: &[u8]) {
    let mut written = Torrc::new();
    let mut expected = Vec::new();
    for (name, value) in read_options(text, |_| true) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if written.push(name, &value).is_ok() {
            expected.push((name.as_bytes(), value));
        }
    }
    assert_eq!(read_options(written.as_bytes(), |_| true), expected);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn framing_does_not_depend_on_reads(
            choice in 0..4_u8,
            sizes in prop::collection::vec(1..30_u8, 0..9),
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        ) {
            let count = u8::try_from(sizes.len()).unwrap();
            super::framing(&[&[choice, count], &sizes[..], &pieces.concat()].concat());
        }

        #[test]
        fn quoted_strings_and_torrc_are_the_same_after_writing_them(
            pieces in prop::collection::vec(prop::sample::select(WORDS), 0..30),
        ) {
            super::quoted_strings(&pieces.concat());
            super::torrc(&pieces.concat());
        }

        #[test]
        fn any_bytes_are_a_reply_or_an_error(bytes: Vec<u8>) {
            super::any_reply(&bytes);
            super::any_reply(&[b"250 ", &bytes[..], b"\n"].concat());
        }
    }

    /// Parts of messages, valid and not.
    const PIECES: &[&[u8]] = &[
        b"250 OK\r\n",
        b"250-a=1\r\n",
        b"250+a=\r\n",
        b".\r\n",
        b"..\r\n",
        b".",
        b"650 BW 1 2\r\n",
        b"650-CONF_CHANGED\r\n",
        b"650+NS\r\n",
        b"650 OK\r\n",
        b"552 x\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"999 ",
        b"25",
        b"0",
        b"text",
        b"\xff\0",
        b" ",
        b"250",
        b"650",
    ];

    /// Parts of quoted strings and torrc.
    const WORDS: &[&[u8]] = &[
        b"\"",
        b"\\",
        b"\\\"",
        b"\\n",
        b"\\101",
        b"\\x4",
        b"Nickname ",
        b"+Log ",
        b"/Log",
        b"#",
        b"\n",
        b"\\\n",
        b" ",
        b"\t",
        b"\r",
        b"a",
        b"0",
        b"\xff",
        b"\0",
    ];
}
