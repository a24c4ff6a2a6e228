//! Replies in parts of every size, compared with a simple reference.

use proptest::prelude::*;

use super::super::MAX_ZEROIZED;
use super::{Reply, ReplyBuilder, reserve};
use crate::wire::{Frame, Limits, Message, ReplyLine};

/// The lines of a reply: code, text, data.
type Lines = Vec<(u16, Vec<u8>, Option<Vec<u8>>)>;

fn lines(reply: &Reply) -> Lines {
    let line =
        |line: ReplyLine<'_>| (line.code(), line.bytes().to_vec(), line.data().map(<[u8]>::to_vec));
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

/// Frames the bytes in reads of these sizes. Returns the only reply, and the events.
fn framed(mut bytes: &[u8], sizes: &[usize]) -> (Reply, Vec<Vec<u8>>) {
    let mut frame = Frame::new(Limits::default());
    let mut sizes = sizes.iter().copied().cycle();
    let (mut builder, mut events, mut is_complete) = (ReplyBuilder::default(), Vec::new(), false);
    while !bytes.is_empty() {
        let (now, later) = bytes.split_at(sizes.next().unwrap_or(1).min(bytes.len()));
        frame.space()[..now.len()].copy_from_slice(now);
        frame.fill(now.len());
        bytes = later;
        while let Some(message) = frame.next().unwrap() {
            match message {
                Message::Event(range) => events.push(frame.bytes(&range).to_vec()),
                Message::Part(range) => builder.push(frame.bytes(&range)).unwrap(),
                Message::Reply(range) => {
                    builder.push(frame.bytes(&range)).unwrap();
                    is_complete = true;
                }
                Message::Stray(range) => panic!("{range:?}"),
            }
        }
    }
    assert!(is_complete);
    (builder.finish(), events)
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
fn a_short_reply_has_one_allocation_of_the_length_of_its_lines() {
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

    #[test]
    fn a_reply_with_events_between_its_lines_is_read_as_by_the_reference(
        items in prop::collection::vec(
            (
                prop::option::of(prop::collection::vec("[x\\.6]{0,5}", 0..8)),
                prop::sample::select(vec![
                    "", "", "650 BW 1 2\r\n", "650-CONF_CHANGED\r\n650-a=.\r\n650 OK\r\n",
                    "650+NS\r\nr a\r\n..\r\n250 OK\r\n.\r\n650 OK\r\n",
                ]),
            ),
            0..6,
        ),
        sizes in prop::collection::vec(1..60_usize, 1..8),
    ) {
        let (mut with, mut without, mut expected) = (String::new(), String::new(), String::new());
        for (data, event) in items {
            let stuffed = |line: &String| match line.starts_with('.') {
                true => format!(".{line}\r\n"),
                false => format!("{line}\r\n"),
            };
            let line = match data {
                None => "250-k=v\r\n".to_owned(),
                Some(data) => {
                    let data: String = data.iter().map(stuffed).collect();
                    format!("250+a=\r\n{data}.\r\n")
                }
            };
            with += event;
            with += &line;
            without += &line;
            expected += event;
        }
        let [with, without] = [with, without].map(|text| text + "250 OK\r\n");
        let (reply, events) = framed(with.as_bytes(), &sizes);
        prop_assert_eq!(lines(&reply), reference(without.as_bytes()));
        prop_assert_eq!(events.concat(), expected.into_bytes());
    }
}
