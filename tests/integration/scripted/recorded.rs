//! The lines of tor 0.4.9.11 in twenty recorded dialogues, of starting, configuring, joining a
//! network, circuits, streams and onion services.
//!
//! Five incomplete answers are left out: two of HTTP and one of version 0 of the protocol, which
//! end a connection, and two refusals of a key with a carriage return, which have no last line.
//! torcon does not send the commands that cause them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use torcon::{Error, Event, EventKind, Reply, ReplyLine};

use super::hostile::runner;
use super::{LIMIT, connected};

/// The lines without their ends, a section for each dialogue. Bytes that cannot be printed are
/// escaped, and so is the backslash.
const DIALOGUES: &str = include_str!("recorded/dialogues.txt");

/// tor's lines in one dialogue, with status codes and line ends.
struct Dialogue {
    name: &'static str,
    messages: Vec<Message>,
}

struct Message {
    wire: Vec<u8>,
    lines: Vec<RecordedLine>,
}

/// A line with a status code, and the data behind it.
#[derive(Debug, PartialEq)]
struct RecordedLine {
    code: u16,
    text: Vec<u8>,
    data: Option<Vec<u8>>,
}

impl Message {
    fn is_event(&self) -> bool {
        self.wire.starts_with(b"6")
    }

    /// The text of an event in torcon.
    fn event_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for line in &self.lines {
            if line.text == b"OK" && self.lines.len() > 1 {
                continue;
            }
            text.extend_from_slice(&line.text);
            text.push(b'\n');
            if let Some(data) = &line.data {
                text.extend_from_slice(data);
                text.push(b'\n');
            }
        }
        text.pop();
        text
    }
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().unwrap() {
            b'\\' => b'\\',
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'x' => {
                let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap();
                u8::try_from(digit() * 16 + digit()).unwrap()
            }
            other => panic!("an escape of {other} in {line}"),
        });
    }
    bytes
}

/// Reads the file. This parser is independent of the library's: it works line by line, on complete
/// input.
fn dialogues() -> Vec<Dialogue> {
    let mut dialogues: Vec<Dialogue> = Vec::new();
    let mut message = Message { wire: Vec::new(), lines: Vec::new() };
    // The lines of the data that is open.
    let mut data: Option<Vec<Vec<u8>>> = None;
    for line in DIALOGUES.lines() {
        if let Some(name) = line.strip_prefix("= ").filter(|_| message.wire.is_empty()) {
            dialogues.push(Dialogue { name, messages: Vec::new() });
            continue;
        }
        let line = unescaped(line);
        message.wire.extend_from_slice(&line);
        message.wire.extend_from_slice(b"\r\n");
        if let Some(lines) = &mut data {
            if line == b"." {
                message.lines.last_mut().unwrap().data = Some(lines.join(&b'\n'));
                data = None;
            } else {
                lines.push(line.strip_prefix(b".").unwrap_or(&line).to_vec());
            }
            continue;
        }
        let code = std::str::from_utf8(&line[..3]).unwrap().parse().unwrap();
        message.lines.push(RecordedLine { code, text: line[4..].to_vec(), data: None });
        match line[3] {
            b'+' => data = Some(Vec::new()),
            b' ' => {
                let whole = std::mem::replace(
                    &mut message,
                    Message { wire: Vec::new(), lines: Vec::new() },
                );
                dialogues.last_mut().unwrap().messages.push(whole);
            }
            _ => assert_eq!(line[3], b'-', "{line:?}"),
        }
    }
    assert!(message.wire.is_empty() && data.is_none(), "the last message has no end");
    dialogues
}

/// Requires that torcon returns a reply as it was recorded.
fn check_reply(reply: Result<Reply, Error>, recorded: &Message, name: &str) {
    let found: Vec<RecordedLine> = match reply {
        Ok(reply) => {
            let line = |line: ReplyLine<'_>| RecordedLine {
                code: line.code(),
                text: line.bytes().to_vec(),
                data: line.data().map(<[u8]>::to_vec),
            };
            reply.lines().map(line).collect()
        }
        Err(Error::Rejected(refusal)) => {
            let found = refusal.lines().iter().map(|line| (line.code(), line.bytes()));
            let expected = recorded.lines.iter().map(|line| match &line.data {
                // A refusal with a carriage return.
                Some(data) if line.text == b"=" => (line.code, &data[..]),
                _ => (line.code, &line.text[..]),
            });
            assert!(found.clone().any(|(code, _)| code >= 400), "{name}: {refusal}");
            assert!(found.eq(expected), "{name}: {refusal} of {:?}", recorded.lines);
            return;
        }
        Err(error) => panic!("{name}: {error}"),
    };
    assert!(found.iter().all(|line| line.code < 400), "{name}: {found:?}");
    assert_eq!(found, recorded.lines, "{name}");
}

/// Plays all lines of tor, in pieces of these sizes, while one command waits for each reply. torcon
/// must return every reply and every event as it was recorded. Returns the number of replies, and
/// of events of each kind.
fn play(dialogue: Dialogue, sizes: &[usize]) -> (usize, BTreeMap<String, usize>) {
    let Dialogue { name, messages } = dialogue;
    let mut wire: Vec<u8> = messages.iter().flat_map(|message| message.wire.clone()).collect();
    // The last command, so that no event can follow.
    wire.extend_from_slice(b"250 END\r\n");
    let replies: Vec<_> = messages.iter().filter(|message| !message.is_event()).collect();
    let events: Vec<_> = messages.iter().filter(|message| message.is_event()).collect();
    let (count, sizes) = (replies.len(), sizes.to_vec());
    let (tor, controller) = connected(move |script| {
        script.expect_matching("a subscription to all", |line| line.starts_with("SETEVENTS "));
        script.send("250 OK\r\n");
        for number in 0..=count {
            script.expect(&format!("RECORDED {number}"));
        }
        let mut rest = &wire[..];
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            if now.is_empty() {
                break;
            }
            script.send(now);
            rest = later;
        }
        script.drain();
    });
    let queue = controller.events(EventKind::KNOWN.iter().cloned()).unwrap();
    let pending: Vec<_> = (0..=count)
        .map(|number| controller.queue_command(&format!("RECORDED {number}")).unwrap())
        .collect();
    let mut answers = pending.into_iter().map(|pending| pending.wait_timeout(LIMIT));
    for (recorded, answer) in replies.iter().zip(&mut answers) {
        check_reply(answer, recorded, name);
    }
    let last = answers.next().unwrap();
    assert_eq!(last.unwrap().text(), "END", "{name}");

    let mut kinds = BTreeMap::new();
    for recorded in &events {
        let event = queue.recv_timeout(LIMIT).unwrap();
        if let Event::Malformed { .. } | Event::Other(_) | Event::Lagged { .. } = event {
            panic!("{name}: {event:?}");
        }
        let text = event.text().unwrap();
        assert_eq!(text.as_bytes(), recorded.event_text(), "{name}");
        // The printed text parses to the same value.
        assert_eq!(Event::parse(text.detached()), event, "{name}");
        assert_eq!(event.to_string().as_bytes(), text.as_bytes(), "{name}");
        *kinds.entry(event.kind().unwrap().to_string()).or_default() += 1;
    }
    assert!(queue.try_recv().is_none(), "{name}: there is one event more");
    drop((queue, controller));
    tor.finish();
    (count, kinds)
}

/// Plays every dialogue and adds up the counts.
fn play_all(sizes: &[usize]) -> (usize, BTreeMap<String, usize>) {
    let mut total = (0, BTreeMap::new());
    for dialogue in dialogues() {
        let (replies, kinds) = play(dialogue, sizes);
        total.0 += replies;
        for (kind, count) in kinds {
            *total.1.entry(kind).or_default() += count;
        }
    }
    total
}

#[test]
fn every_reply_and_every_event_that_was_recorded_is_read() {
    let (replies, kinds) = play_all(&[usize::MAX]);
    assert_eq!(dialogues().len(), 19);
    assert_eq!(replies, 1313);
    let expected = [
        ("ADDRMAP", 23),
        ("BUILDTIMEOUT_SET", 2),
        ("BW", 13),
        ("CELL_STATS", 12),
        ("CIRC", 601),
        ("CIRC_BW", 12),
        ("CIRC_MINOR", 88),
        ("CONF_CHANGED", 32),
        ("CONN_BW", 8),
        ("DEBUG", 1),
        ("ERR", 2),
        ("GUARD", 51),
        ("HS_DESC", 145),
        ("HS_DESC_CONTENT", 16),
        ("INFO", 3),
        ("NETWORK_LIVENESS", 1),
        ("NEWCONSENSUS", 1),
        ("NOTICE", 39),
        ("NS", 1),
        ("ORCONN", 22),
        ("SIGNAL", 17),
        ("STATUS_CLIENT", 46),
        ("STATUS_GENERAL", 1),
        ("STREAM", 306),
        ("STREAM_BW", 28),
        ("WARN", 28),
    ];
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(kinds, expected);
}

#[test]
fn the_same_is_read_in_pieces_of_any_size() {
    let (replies, kinds) = play_all(&[1, 4096, 2, 1000, 3, 77, 65_537]);
    assert_eq!(replies, 1313);
    assert_eq!(kinds.values().sum::<usize>(), 1499);
}

/// The places in an event where any byte but those of a line end may stand, and it is still one
/// event: neither in the beginning of a line nor in its end.
fn spoilable(wire: &[u8]) -> Vec<usize> {
    let (mut places, mut start, mut in_data) = (Vec::new(), 0, false);
    for line in wire.split_inclusive(|byte| *byte == b'\n') {
        let begin = if in_data { 1 } else { 4 };
        in_data = if in_data { line != b".\r\n" } else { line[3] == b'+' };
        places.extend(start + begin..(start + line.len() - 2).max(start + begin));
        start += line.len();
    }
    places
}

#[test]
fn a_corrupted_event_affects_no_other() {
    let messages = dialogues().into_iter().flat_map(|dialogue| dialogue.messages);
    let events: Vec<_> = messages.filter(Message::is_event).map(|event| event.wire).collect();
    let byte = any::<u8>().prop_filter("no line end", |byte| !matches!(byte, b'\r' | b'\n'));
    let spoiled = prop::collection::vec((any::<Index>(), byte), 1..8);
    let some = prop::collection::vec((any::<Index>(), spoiled), 1..12);
    let outcome = runner(150).run(&some, |some| {
        let mut wire = Vec::new();
        for (number, (which, spoiled)) in some.iter().enumerate() {
            wire.extend(format!("650 SIGNAL GOOD{number}\r\n").bytes());
            let mut event = which.get(&events).clone();
            let places = spoilable(&event);
            for (place, byte) in spoiled {
                event[*place.get(&places)] = *byte;
            }
            wire.extend(event);
        }
        wire.extend(format!("650 SIGNAL GOOD{}\r\n250 END\r\n", some.len()).bytes());
        let (tor, controller) = connected(move |script| {
            script.unchecked("recorded events with other bytes");
            script.expect_matching("a subscription to all", |line| line.starts_with("SETEVENTS "));
            script.send("250 OK\r\n").expect("RECORDED").send(wire).drain();
        });
        let queue = controller.events(EventKind::KNOWN.iter().cloned()).unwrap();
        let reply = controller.command("RECORDED").unwrap();
        prop_assert_eq!(reply.text(), "END");
        let (mut good, mut others) = (0, 0);
        while good <= some.len() {
            let event = queue.recv_timeout(LIMIT).unwrap();
            let text = event.text().unwrap();
            prop_assert_eq!(event.to_string(), text.to_str_lossy());
            if text.as_bytes() == format!("SIGNAL GOOD{good}").as_bytes() {
                prop_assert!(matches!(event, Event::Signal(_)), "{event:?}");
                good += 1;
            } else {
                // An event with a corrupted kind has no listener.
                others += 1;
                prop_assert!(others <= good, "{event:?}");
                prop_assert_eq!(Event::parse(text.detached()), event);
            }
        }
        prop_assert!(queue.try_recv().is_none());
        prop_assert!(controller.is_alive());
        drop((queue, controller));
        tor.finish();
        Ok(())
    });
    outcome.unwrap();
}
