//! A controller over a socket pair: commands of several forms, while the peer answers them at once,
//! late, in pieces or never, sends events in between, and may send anything.
//!
//! Every call ends. While the peer sends only what tor sends, each reply names its command, and
//! events arrive in their order and are complete unless some were counted as lost.
#![no_main]

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use torcon::event::{BwEvent, Event};
use torcon::{CancelToken, ConnectOptions, Controller, EventKind, PendingReply, Reply};

#[derive(Arbitrary, Debug)]
struct Dialogue {
    steps: Vec<Step>,
    /// How the peer treats the commands, in turn.
    answers: Vec<Answer>,
}

/// A step of the program.
#[derive(Arbitrary, Debug)]
enum Step {
    /// Sends a command and waits for its reply, for at most this number of half milliseconds modulo 8.
    Ask(u8),
    /// Sends a command whose reply is taken later.
    Queue,
    /// Takes the oldest pending reply.
    Take,
    /// Drops the oldest pending reply.
    Forget,
    /// Reads a reply line by line, up to this number of lines.
    Lines(u8),
    /// Asks on this number of threads modulo 4.
    Threads(u8),
    /// Subscribes a queue to some kinds of events.
    Subscribe(u8),
    /// Drops the oldest queue.
    Unsubscribe,
    /// Adds a listener, and removes it if this is even.
    Listen(u8),
    /// Subscribes and asks on two threads at the same time.
    SubscribeWhile(u8),
    /// Asks on a thread, and closes the connection meanwhile.
    CloseWhile(u8),
    /// Asks on a thread, and cancels everything meanwhile.
    CancelWhile(u8),
    /// Drops a clone of the handle that has a pending reply.
    DropClone,
}

/// The peer does this with one command.
#[derive(Arbitrary, Clone, Debug)]
enum Answer {
    Line,
    /// Data with this number of lines.
    Data(u8),
    Refuse,
    /// An event, then the reply.
    Event,
    /// An event inside of the reply.
    EventWithin,
    /// The reply in pieces of this size.
    Pieces(u8),
    /// The reply after this number of half milliseconds modulo 4.
    Late(u8),
    Never,
    /// The replies to this command and the next in one piece.
    Joined,
    /// Any bytes instead of a reply.
    Bytes(Vec<u8>),
    Close,
}

/// Returns the number that each command of a dialogue has in its key.
fn number(line: &[u8]) -> &str {
    let line = std::str::from_utf8(line).unwrap_or_default();
    line.strip_prefix("GETINFO key").unwrap_or_default()
}

/// Plays tor until the socket ends.
fn serve(mut socket: UnixStream, answers: &[Answer]) {
    let mut answers = answers.iter().cycle();
    let mut events = 0;
    let mut buffer = Vec::new();
    let (mut held, mut is_joined) = (String::new(), false);
    let mut chunk = [0; 4096];
    loop {
        match socket.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => buffer.extend_from_slice(&chunk[..read]),
        }
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let line = line.trim_ascii_end();
            let reply = match line {
                b"PROTOCOLINFO 1" => "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                     250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"
                    .to_owned(),
                line if line.starts_with(b"GETINFO torcon/") => {
                    let key = std::str::from_utf8(&line[8..]).unwrap();
                    format!("552 Unrecognized key \"{key}\"\r\n")
                }
                line if line.starts_with(b"GETINFO key") => {
                    let next = answers.next();
                    is_joined = matches!(next, Some(Answer::Joined));
                    match answer(&mut socket, number(line), next, &mut events) {
                        Some(reply) => reply,
                        None => return,
                    }
                }
                line if line.starts_with(b"SETEVENTS") => match answers.next() {
                    Some(Answer::Late(time)) => {
                        thread::sleep(Duration::from_micros(u64::from(time % 4) * 500));
                        "250 OK\r\n".to_owned()
                    }
                    Some(Answer::Refuse) => "552 Unrecognized event \"X\"\r\n".to_owned(),
                    Some(Answer::Event) => {
                        events += 1;
                        format!("650 BW {events} 0\r\n250 OK\r\n")
                    }
                    Some(Answer::Close) => return,
                    _ => "250 OK\r\n".to_owned(),
                },
                _ => "250 OK\r\n".to_owned(),
            };
            held.push_str(&reply);
            if std::mem::take(&mut is_joined) {
                continue;
            }
            let reply = std::mem::take(&mut held);
            if socket.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Returns the rest of the reply to a command; `None` at the end of the connection.
fn answer(
    socket: &mut UnixStream,
    number: &str,
    answer: Option<&Answer>,
    events: &mut u64,
) -> Option<String> {
    let line = format!("250-key{number}={number}\r\n");
    let reply = format!("{line}250 OK\r\n");
    let mut event = || {
        *events += 1;
        format!("650 BW {events} 0\r\n")
    };
    Some(match answer.unwrap_or(&Answer::Line) {
        Answer::Line | Answer::Joined => reply,
        Answer::Data(lines) => {
            let data = format!("{number}\r\n").repeat(usize::from(*lines));
            format!("250+key{number}=\r\n{data}.\r\n250 OK\r\n")
        }
        Answer::Refuse => format!("552 Unrecognized key \"key{number}\"\r\n"),
        Answer::Event => event() + &reply,
        Answer::EventWithin => line + &event() + "250 OK\r\n",
        Answer::Pieces(size) => {
            for piece in reply.as_bytes().chunks(usize::from(*size).max(1)) {
                socket.write_all(piece).ok()?;
            }
            String::new()
        }
        Answer::Late(time) => {
            thread::sleep(Duration::from_micros(u64::from(time % 4) * 500));
            reply
        }
        Answer::Never => String::new(),
        Answer::Bytes(bytes) => {
            socket.write_all(bytes).ok()?;
            String::new()
        }
        Answer::Close => return None,
    })
}

fn check(number: usize, reply: &Reply) {
    let first = reply.lines().next().map(|line| line.text().into_owned()).unwrap_or_default();
    assert!(first.starts_with(&format!("key{number}=")), "key{number} got {first:?}");
}

/// Asks for a key, and checks that the reply is its own.
fn ask(controller: &Controller, number: usize, limit: Duration, is_tor: bool) {
    let key = format!("key{number}");
    let reply = controller.with_timeout(limit).command(&format!("GETINFO {key}"));
    if let (Ok(reply), true) = (reply, is_tor) {
        check(number, &reply);
    }
}

fn take(pending: (usize, PendingReply), is_tor: bool) {
    let (number, reply) = pending;
    if let (Ok(reply), true) = (reply.wait(), is_tor) {
        check(number, &reply);
    }
}

/// Returns some kinds of events.
fn kinds(mask: u8) -> Vec<EventKind> {
    let all = [EventKind::Bw, EventKind::Circ, EventKind::Stream, EventKind::Notice];
    let chosen = all.into_iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
    chosen.map(|(_, kind)| kind).collect()
}

/// Calls both at the same time.
fn together(one: impl FnOnce() + Send, other: impl FnOnce()) {
    thread::scope(|scope| {
        scope.spawn(one);
        other();
    });
}

fn run(controller: &Controller, token: &CancelToken, steps: &[Step], is_tor: bool) {
    let mut queues = std::collections::VecDeque::new();
    let mut next = 0;
    let mut number = || {
        next += 1;
        next
    };
    let mut pending = std::collections::VecDeque::new();
    let limit = Duration::from_millis(4);
    for step in steps.iter().take(40) {
        match step {
            Step::Ask(time) => {
                let limit = Duration::from_micros(u64::from(time % 8) * 500);
                ask(controller, number(), limit, is_tor);
            }
            Step::Queue => {
                let number = number();
                if let Ok(reply) = controller.queue_command(&format!("GETINFO key{number}")) {
                    pending.push_back((number, reply));
                }
            }
            Step::Take => pending.pop_front().into_iter().for_each(|it| take(it, is_tor)),
            Step::Forget => drop(pending.pop_front()),
            Step::Lines(count) => {
                let number = number();
                let mut left = *count;
                let outcome = controller.get_info_incremental(&format!("key{number}"), |line| {
                    if is_tor {
                        assert_eq!(line.text(), number.to_string());
                    }
                    left = left.saturating_sub(1);
                    if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                drop(outcome);
            }
            Step::Subscribe(mask) => queues.extend(controller.events(kinds(*mask))),
            Step::Unsubscribe => drop(queues.pop_front()),
            Step::Listen(number) => {
                if let (Ok(id), 0) = (controller.on(|_: &BwEvent| {}), number % 2) {
                    let _ = controller.remove_event_listener(id);
                }
            }
            Step::SubscribeWhile(mask) => {
                let number = number();
                let ask = || ask(controller, number, limit, is_tor);
                together(ask, || queues.extend(controller.events(kinds(*mask))));
            }
            Step::CloseWhile(time) => {
                let (number, pause) = (number(), Duration::from_micros(u64::from(*time)));
                together(
                    || ask(controller, number, limit, is_tor),
                    || {
                        thread::sleep(pause);
                        controller.close();
                    },
                );
            }
            Step::CancelWhile(time) => {
                let (number, pause) = (number(), Duration::from_micros(u64::from(*time)));
                together(
                    || ask(controller, number, limit, is_tor),
                    || {
                        thread::sleep(pause);
                        token.cancel();
                    },
                );
            }
            Step::DropClone => {
                let clone = controller.clone();
                drop(clone.queue_command(&format!("GETINFO key{}", number())));
            }
            Step::Threads(count) => {
                let numbers: Vec<_> = (0..count % 4).map(|_| number()).collect();
                thread::scope(|scope| {
                    for number in numbers {
                        scope.spawn(move || ask(controller, number, limit, is_tor));
                    }
                });
            }
        }
    }
    pending.into_iter().for_each(|it| take(it, is_tor));
}

libfuzzer_sys::fuzz_target!(|dialogue: Dialogue| {
    let is_tor = !dialogue.answers.iter().any(|answer| matches!(answer, Answer::Bytes(_)));
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| serve(theirs, &dialogue.answers));
        let token = CancelToken::new();
        let options = ConnectOptions::new().command_timeout(Duration::from_millis(20));
        let options = options.cancel_token(&token);
        let controller = options.connect_stream(ours).expect("the peer accepts");
        let queue = controller.events([EventKind::Bw]);
        run(&controller, &token, &dialogue.steps, is_tor);
        controller.close();
        let Ok(queue) = queue else { return };
        let mut last = 0;
        for event in queue.try_iter() {
            if let (Event::Bw(bw), true) = (event, is_tor) {
                assert_eq!(bw.bytes_read(), last + 1, "an event is missing or out of order");
                last = bw.bytes_read();
            }
        }
    });
});
