//! Framing with reads of every size.

use proptest::prelude::*;

use super::{CHEAP_TO_MOVE, Frame, Inside, Limits, Message, READ, SMALL};
use crate::error::Disconnect;
use crate::wire::properties::{Whole, frame};

/// Feeds the bytes in reads of the given sizes. Returns each message, and whether it is an event.
fn messages(bytes: &[u8], sizes: &[usize]) -> Result<Vec<(bool, Vec<u8>)>, Disconnect> {
    let (found, end) = frame(bytes, sizes, Limits { line: 200, reply: 1000 }, false);
    let message = |message| match message {
        Whole::Event(bytes) | Whole::Stray(bytes) => (true, bytes),
        Whole::Reply(bytes) => (false, bytes),
    };
    end.map_or_else(|| Ok(found.into_iter().map(message).collect()), Err)
}

const DIALOGUE: [(bool, &[u8]); 7] = [
    (false, b"250 OK\r\n"),
    (true, b"650 BW 0 0\r\n"),
    (true, b"650-CONF_CHANGED\r\n650-ContactInfo=a b\r\n650 OK\r\n"),
    (false, b"250-a=1\r\n250+b=\r\n250 x\r\n..\r\n650 BW 1 1\r\n.\r\n250 OK\r\n"),
    (true, b"650+NS\r\nr a b\r\n..\r\n250 OK\r\n.\r\n650 OK\r\n"),
    (false, b"552-Unrecognized key \"\xff\"\r\n552 Unrecognized key \"b\"\r\n"),
    (true, b"650 NOTICE caf\xc3\xa9\n"),
];

#[test]
fn replies_and_events_are_framed_with_reads_of_every_size() {
    let bytes: Vec<u8> = DIALOGUE.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let expected: Vec<_> = DIALOGUE.iter().map(|(event, b)| (*event, b.to_vec())).collect();
    for size in 1..=bytes.len() {
        assert_eq!(messages(&bytes, &[size]).unwrap(), expected, "reads of {size}");
    }
}

#[test]
fn an_event_between_the_lines_of_a_reply_is_removed_from_it() {
    let bytes = b"250-a=1\r\n650+NS\r\nx\r\n.\r\n650 OK\r\n250-b=2\r\n650 BW 0 0\r\n250 OK\r\n";
    assert_eq!(
        messages(bytes, &[7]).unwrap(),
        [
            (true, b"650+NS\r\nx\r\n.\r\n650 OK\r\n".to_vec()),
            (true, b"650 BW 0 0\r\n".to_vec()),
            (false, b"250-a=1\r\n250-b=2\r\n250 OK\r\n".to_vec()),
        ]
    );
}

#[test]
fn the_lines_of_a_long_reply_are_passed_on_before_its_end() {
    let mut frame = Frame::new(Limits { line: 200, reply: 30 });
    let mut parts = Vec::new();
    for bytes in [&b"250+a=\r\n"[..], b"0123456789\r\n01", b"23456789\r\n", b".\r\n"] {
        for message in feed(&mut frame, bytes) {
            let Message::Part(range) = message else { panic!("{message:?}") };
            parts.push(frame.bytes(&range).to_vec());
        }
        assert!(frame.inside != Inside::Nothing);
    }
    let [Message::Reply(end)] = &feed(&mut frame, b"250 OK\r\n")[..] else { panic!("no end") };
    parts.push(frame.bytes(end).to_vec());
    let expected =
        [&b"250+a=\r\n"[..], b"0123456789\r\n", b"0123456789\r\n", b".\r\n", b"250 OK\r\n"];
    assert_eq!(parts, expected);
    assert!(frame.inside == Inside::Nothing);
}

#[test]
fn the_lines_before_an_event_in_a_reply_are_passed_on_before_the_event() {
    let mut frame = Frame::new(Limits::default());
    let bytes = b"250-a=1\r\n250-b=2\r\n650 BW 1 1\r\n650 BW 2 2\r\n250-c=3\r\n250 OK\r\n";
    let expected = [
        Message::Part(0..18),
        Message::Event(18..30),
        Message::Event(30..42),
        Message::Reply(42..59),
    ];
    assert_eq!(feed(&mut frame, bytes), expected);
}

#[test]
fn a_reply_of_any_length_passes_through_the_first_buffer() {
    let mut frame = Frame::new(Limits { line: 200, reply: 1000 });
    feed(&mut frame, b"250+a=\r\n");
    let lines = b"0123456789\r\n".repeat(READ);
    let parts = feed(&mut frame, &lines);
    assert!(parts.iter().all(|part| matches!(part, Message::Part(_))), "{parts:?}");
    assert_eq!(frame.buffer.len(), READ);
}

/// Feeds the bytes. Returns the messages that they complete.
fn feed(frame: &mut Frame, mut bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let space = frame.space();
        let size = space.len().min(bytes.len());
        let (now, later) = bytes.split_at(size);
        space[..size].copy_from_slice(now);
        frame.fill(size);
        bytes = later;
        while let Some(message) = frame.next().unwrap() {
            found.push(message);
        }
    }
    found
}

fn long_data(code: &str) -> Vec<u8> {
    let mut bytes = format!("{code}+a=\r\n").into_bytes();
    bytes.resize(2 << 20, b'x');
    bytes.extend_from_slice(format!("\r\n.\r\n{code} OK\r\n").as_bytes());
    bytes
}

#[test]
fn a_buffer_that_grew_for_a_long_event_shrinks_again() {
    let mut frame = Frame::new(Limits::default());
    let event = long_data("650");
    let [Message::Event(range)] = &feed(&mut frame, &event)[..] else { panic!("no event") };
    assert!(frame.bytes(range) == event, "the event is not what was sent");
    assert_eq!(frame.space().len(), if frame.read < READ { SMALL } else { READ });
    for length in [3 * READ, 2 * READ, READ, READ / 2] {
        feed(&mut frame, &[b"650 ", &vec![b'x'; length][..], b"\r\n"].concat());
        assert!(frame.space().len() <= READ, "after {length} bytes");
        feed(&mut frame, b"650 BW 1 2\r\n");
        assert_eq!(frame.space().len(), SMALL, "after {length} bytes and a short event");
    }
}

#[test]
fn a_flood_is_read_in_large_parts_after_a_few_reads() {
    let mut frame = Frame::new(Limits::default());
    let event = b"650 BW 1 2\r\n";
    let mut flood = event.iter().copied().cycle();
    let mut sizes = Vec::new();
    while sizes.len() < 20 {
        let space = frame.space();
        space.iter_mut().zip(&mut flood).for_each(|(to, byte)| *to = byte);
        let size = space.len();
        frame.fill(size);
        sizes.push(size);
        while frame.next().unwrap().is_some() {}
    }
    assert_eq!(sizes[0], SMALL);
    assert!(sizes[3..].iter().all(|size| READ - size < event.len()), "{sizes:?}");
}

#[test]
fn there_is_always_space_for_the_next_read() {
    for length in (1..300).map(|n| n * 37) {
        let mut frame = Frame::new(Limits::default());
        let event = [b"650 ", &vec![b'x'; length][..], b"\r\n"].concat();
        for _ in 0..5 {
            for part in event.chunks(200) {
                let space = frame.space();
                assert!(space.len() >= SMALL / 4, "{} bytes at length {length}", space.len());
                let size = part.len();
                space[..size].copy_from_slice(part);
                frame.fill(size);
            }
            assert!(frame.next().unwrap().is_some());
        }
    }
}

#[test]
fn a_long_reply_is_found_between_other_bytes() {
    let reply = long_data("250");
    for (before, after) in [(&b""[..], &b"250 next"[..]), (b"650 BW 1 1\r\n", b"")] {
        let mut frame = Frame::new(Limits::default());
        let bytes = [before, &reply, after].concat();
        // In one read, so that the buffer contains all of it.
        frame.buffer = bytes.clone();
        frame.fill(bytes.len());
        let mut found = Vec::new();
        while let Some(message) = frame.next().unwrap() {
            if let Message::Reply(range) = message {
                found.push(frame.bytes(&range).to_vec());
            }
        }
        assert!(found == [&reply[..]], "the reply is not what was sent");
        assert_eq!(&frame.buffer[frame.start..frame.filled], after);
    }
}

#[test]
fn a_frame_knows_whether_it_is_inside_a_message() {
    let mut frame = Frame::new(Limits::default());
    for (bytes, message) in [
        (&b""[..], false),
        (b"25", false),
        (b"0-a=1\r\n", true),
        (b"650-CONF_CHANGED\r\n", true),
        (b"650 OK\r\n", true),
        (b"250+b=\r\n", true),
        (b".\r\n250 OK\r\n", false),
        (b"650+NS\r\n", true),
        (b".\r\n", true),
        (b"650 OK\r\n", false),
    ] {
        feed(&mut frame, bytes);
        assert_eq!(frame.inside != Inside::Nothing, message);
    }
}

#[test]
fn the_buffer_follows_the_incomplete_message_and_the_last_read() {
    // The size of the buffer, the range of the incomplete message, the last read; then the size of
    // the buffer and the start of the message.
    for (size, message, read, expected) in [
        // It shrinks if no message is incomplete: to the first size after a small read.
        (READ, 90..90, READ / 16 - 1, (SMALL, 0)),
        (READ, 90..90, READ / 16, (READ, 0)),
        (READ, 90..91, 1, (READ, 0)),
        (4 * READ, 90..90, READ, (READ, 0)),
        (4 * READ, 90..91, READ, (4 * READ, 0)),
        // It grows if the read filled it.
        (SMALL, 0..SMALL, SMALL, (4 * SMALL, 0)),
        (SMALL, SMALL..SMALL, SMALL, (4 * SMALL, 0)),
        (SMALL, 0..SMALL / 2, SMALL / 2, (SMALL, 0)),
        (READ / 2, 90..READ / 2, READ / 2, (READ, 0)),
        // A long message is moved only for the space of a read.
        (READ, 90..90 + CHEAP_TO_MOVE, 4096, (READ, 0)),
        (READ, 90..91 + CHEAP_TO_MOVE, 4096, (READ, 90)),
        (READ, READ / 2..READ, READ, (READ, 0)),
        (READ, READ / 2 - 1..READ, READ, (2 * READ, 0)),
        (READ, READ / 2..READ - READ / 4, READ, (READ, READ / 2)),
        (READ, READ / 2..READ - READ / 4 + 1, READ, (READ, 0)),
        (4 * READ, 90..4 * READ - READ / 4, READ, (4 * READ, 90)),
        (4 * READ, 90..4 * READ - READ / 4 + 1, READ, (8 * READ, 0)),
    ] {
        let mut frame = Frame::new(Limits::default());
        frame.buffer = (0..size).map(|at| b"0123456789"[at % 10]).collect();
        let bytes = frame.buffer[message.clone()].to_vec();
        (frame.start, frame.line, frame.scanned) = (message.start, message.start, message.end);
        (frame.filled, frame.read) = (message.end, read);
        let space = frame.space().len();
        assert_eq!((frame.buffer.len(), frame.start), expected, "{size} {message:?} {read}");
        assert_eq!(space, frame.buffer.len() - frame.filled);
        assert!(
            frame.buffer[frame.start..frame.filled] == bytes,
            "the message is another one: {size} {message:?}"
        );
        assert_eq!((frame.line, frame.scanned), (frame.start, frame.filled));
    }
}

#[test]
fn the_limits_before_authentication_are_small() {
    let small = Limits { line: 64 << 10, reply: 64 << 10 };
    assert_eq!(Limits::default().before_authentication(), small);
    let smaller = Limits { line: 10, reply: 20 };
    assert_eq!(smaller.before_authentication(), smaller);
}

#[test]
fn messages_of_exactly_the_limits_are_allowed() {
    let limits = Limits { line: 20, reply: 60 };
    let line = format!("650 {}\r\n", "x".repeat(14));
    let data = format!("650+NS\r\n{}\r\n.\r\n650 OK\r\n", "x".repeat(18));
    let long = format!("650+NSx\r\n{}.\r\n650 OK\r\n", "123456789\n".repeat(4));
    assert_eq!((line.len(), long.len()), (20, 60));
    for size in 1..=long.len() {
        let framed = |bytes: &str| frame(bytes.as_bytes(), &[size], limits, false).1;
        assert!(framed(&line).is_none(), "reads of {size}");
        assert!(framed(&data).is_none(), "reads of {size}");
        assert!(framed(&long).is_none(), "reads of {size}");
        let longer = [line.replacen('x', "xx", 1), data.replacen('x', "xx", 1)];
        for longer in longer {
            let end = framed(&longer);
            assert!(matches!(end, Some(Disconnect::LineTooLong { limit: 20 })), "{end:?}");
        }
        let longer = long.replacen("NSx", "NSxx", 1);
        let end = framed(&longer);
        assert!(matches!(end, Some(Disconnect::ReplyTooLong { limit: 60 })), "{end:?}");
    }
}

#[test]
fn the_default_limits_are_those_of_the_documentation() {
    assert_eq!(Limits::default(), Limits { line: 16 << 20, reply: 256 << 20 });
}

#[test]
fn a_limit_that_is_exceeded_ends_the_connection() {
    let error = messages(&[b'2'; 3], &[1]).map(|_| ());
    assert!(error.is_ok(), "the beginning of a line is not an error");
    let long = [&b"250 "[..], &[b'x'; 300]].concat();
    let error = messages(&long, &[64]).unwrap_err();
    assert_eq!(error.to_string(), "a line from tor exceeds the limit of 200 bytes");
    let long = [&b"650+NS\r\n"[..], &b"0123456789\r\n".repeat(100)].concat();
    let line = [b"250+a=\r\nshort\r\n", &[b'x'; 300][..], b"\r\nshort\r\n.\r\n"].concat();
    for size in [1, 64, 2000] {
        let error = messages(&long, &[size]).unwrap_err();
        assert_eq!(error.to_string(), "a reply from tor exceeds the limit of 1000 bytes");
        let error = messages(&line, &[size]).unwrap_err();
        assert_eq!(error.to_string(), "a line from tor exceeds the limit of 200 bytes");
    }
}

#[test]
fn another_protocol_is_detected_before_its_line_ends() {
    for peer in [&b"SSH-2.0-Open"[..], b"HTTP/1.0 501", b"\x15\x03\x01", b"\x05\xff", b"25x"] {
        let error = messages(peer, &[1]).unwrap_err();
        assert_eq!(error.to_string(), "tor does not speak the control protocol");
    }
}

proptest! {
    #[test]
    fn data_ends_at_a_lone_dot_and_nowhere_else(
        lines in prop::collection::vec("(\\.[.x\r])?[x\r.]{0,3}", 0..30),
        end in prop::sample::select(vec!["\r\n", "\n"]),
        code in prop::sample::select(vec!["250", "650"]),
        sizes in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let is_data = |line: &&String| !matches!(line.as_str(), "." | ".\r");
        let lines: String = lines.iter().filter(is_data).map(|it| format!("{it}{end}")).collect();
        let bytes = format!("{code}+a={end}{lines}.{end}{code} OK{end}").into_bytes();
        let found = messages(&bytes, &sizes).unwrap();
        prop_assert_eq!(found, [(code == "650", bytes)]);
    }

    #[test]
    fn no_bytes_make_framing_panic(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"250 650+-.\r\n".to_vec())], 0..400),
        sizes in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let whole = messages(&bytes, &[bytes.len().max(1)]);
        let chopped = messages(&bytes, &sizes);
        if let (Ok(whole), Ok(chopped)) = (whole, chopped) {
            prop_assert_eq!(whole, chopped);
        }
    }
}

#[test]
fn a_line_without_a_status_code_is_dropped_between_messages_and_nowhere_else() {
    let limits = Limits { line: 200, reply: 1000 };
    let feed_in = |bytes: &[u8], size: usize| {
        let mut frame = Frame::new(limits);
        frame.set_authenticated(limits);
        let mut found = Vec::new();
        for part in bytes.chunks(size) {
            frame.space()[..part.len()].copy_from_slice(part);
            frame.fill(part.len());
            while let Some(message) = frame.next()? {
                found.push(match message {
                    Message::Event(range) => format!("event {}", range.len()),
                    Message::Part(range) | Message::Reply(range) => {
                        format!("reply {}", range.len())
                    }
                    Message::Stray(range) => {
                        let line = String::from_utf8_lossy(frame.bytes(&range)).into_owned();
                        format!("stray {}", line.trim_end())
                    }
                });
            }
        }
        Ok::<_, Disconnect>(found)
    };
    let bytes = b"REDACTED\r\n650 BW 1 2\r\n\r\n250 OK\r\nBW 1 2\n2x\r\n250 OK\r\n";
    let expected =
        ["stray REDACTED", "event 12", "stray ", "reply 8", "stray BW 1 2", "stray 2x", "reply 8"];
    for size in 1..=bytes.len() {
        assert_eq!(feed_in(bytes, size).unwrap(), expected, "reads of {size}");
    }
    for inside in ["250-a=1\r\n", "650-CONF_CHANGED\r\n", "250-a=1\r\n650-CONF_CHANGED\r\n"] {
        let bytes = [inside.as_bytes(), b"REDACTED\r\n"].concat();
        assert!(matches!(feed_in(&bytes, 5), Err(Disconnect::Protocol(_))), "{inside}");
    }
    let endless = vec![b'X'; 201];
    assert!(matches!(feed_in(&endless, 50), Err(Disconnect::LineTooLong { limit: 200 })));
}
