//! Models of a connection: the real link over a socket in memory, with a thread that answers as tor does.

mod queues;

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use schedules::{Kept, Scheduler, Socket, chance, check, check_kept, choose, time};

use super::{
    BufferLimits, EventCallback, EventHook, EventListener, Handshake, Link, LinkLimits, RawEvent,
    Stream,
};
use crate::clock::deadline_after;
use crate::error::{Disconnect, Error};
use crate::event::{EventKind, EventText};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::channel::bounded;
use crate::sync::{Mutex, thread};
use crate::wire::{Limits, Request};

/// A limit that no wait of a model reaches.
pub(crate) const LIMIT: Duration = Duration::from_secs(3600);

/// Opens a link over a socket with room for so many bytes. Returns tor's end too.
pub(crate) fn link(room: usize) -> (Link, Socket) {
    let (socket, peer) = Socket::pair(room).unwrap();
    let replies = BufferLimits { memory: 64, file: 0 };
    let limits = LinkLimits { wire: Limits::default(), events: 1 << 12, replies };
    (Handshake::new(Stream::Model(socket), limits).authenticated().unwrap(), peer)
}

/// Reads one command; `None` if the connection has ended, also within a line.
fn command(lines: &mut BufReader<&Socket>) -> Option<String> {
    let mut line = String::new();
    let read = lines.read_line(&mut line);
    (read.is_ok() && line.ends_with('\n')).then(|| line.trim_end().to_owned())
}

/// Answers each command, until there is no answer or the connection has ended.
pub(crate) fn serve(mut socket: &Socket, mut answer: impl FnMut(&str) -> Option<String>) {
    let mut lines = BufReader::new(socket);
    while let Some(answer) = command(&mut lines).and_then(|line| answer(&line)) {
        if socket.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Answers so many commands, `GETINFO n` with the code 250 + n, and closes the connection.
fn serve_numbers(mut socket: &Socket, commands: usize) {
    let mut lines = BufReader::new(socket);
    for _ in 0..commands {
        let Some(line) = command(&mut lines) else { return };
        let key = line.strip_prefix("GETINFO ").unwrap();
        let answer = match key.parse::<u16>() {
            Ok(number) => format!("{} done\r\n", 250 + number),
            Err(_) => format!("552 Unrecognized key \"{key}\"\r\n"),
        };
        if socket.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn getinfo(number: u16) -> Request {
    Request::new("GETINFO").token("key", &number.to_string()).unwrap()
}

/// Sends one command, in one of the ways of a caller, and checks whose reply arrives.
fn call(link: &Link, number: u16) {
    let limit = if chance(4) { Duration::ZERO } else { LIMIT };
    let deadline = if limit.is_zero() { time::now() } else { deadline_after(limit) };
    let request = getinfo(number);
    let outcome = match choose(3) {
        0 => link.call_until(&request, deadline, limit).map(|sequenced| sequenced.reply.code()),
        1 => link
            .submit(&request, deadline, limit)
            .and_then(|ticket| ticket.wait(deadline, limit))
            .map(|sequenced| sequenced.reply.code()),
        _ => {
            let mut text = Vec::new();
            let take = |lines: &[u8]| {
                text.extend_from_slice(lines);
                Ok(ControlFlow::Continue(()))
            };
            link.call_in_parts(&request, || deadline_after(LIMIT), LIMIT, take)
                .map(|()| String::from_utf8_lossy(&text)[..3].parse().unwrap())
        }
    };
    match outcome {
        Ok(code) => assert_eq!(code, 250 + number, "the reply to another command"),
        Err(Error::Closed(_)) => {}
        Err(error) => assert!(error.is_timeout() && limit.is_zero(), "{error}"),
    }
}

fn callers() {
    // Room for each probe: tor's sockets have more, so a probe never waits for another command.
    let (link, socket) = link(choose(64) + 64);
    let link = Arc::new(link);
    let answered = if chance(2) { 100 } else { choose(4) };
    let tor = thread::spawn(move || serve_numbers(&socket, answered));
    let callers: Vec<_> = (1..=3)
        .map(|number| {
            let link = Arc::clone(&link);
            thread::spawn(move || call(&link, number))
        })
        .collect();
    if chance(3) {
        link.end(&Disconnect::Closed);
    }
    for caller in callers {
        caller.join().unwrap();
    }
    drop(link);
    tor.join().unwrap();
}

#[test]
fn a_caller_gets_its_own_reply_or_an_error() {
    check(callers);
}

/// Callers that wait for the writer, while tor reads nothing.
fn outbox() {
    let (link, socket) = link(choose(12) + 1);
    let link = Arc::new(link);
    let callers: Vec<_> = (1..=3)
        .map(|number| {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                let (request, deadline) = (getinfo(number), deadline_after(LIMIT));
                if chance(2) {
                    let take = |_: &[u8]| Ok(ControlFlow::Continue(()));
                    link.call_in_parts(&request, || deadline, LIMIT, take).unwrap_err();
                } else if let Ok(ticket) = link.submit(&request, deadline, LIMIT) {
                    ticket.wait(deadline, LIMIT).unwrap_err();
                }
            })
        })
        .collect();
    match chance(2) {
        true => link.end(&Disconnect::Closed),
        false => drop(socket),
    }
    for caller in callers {
        caller.join().unwrap();
    }
}

#[test]
fn every_caller_is_woken_at_the_end_of_the_connection() {
    check(outbox);
}

/// A capture that needs the locks of the link when it is dropped.
struct Capture(std::sync::Weak<Link>, Arc<AtomicUsize>);

impl Drop for Capture {
    fn drop(&mut self) {
        if let Some(link) = self.0.upgrade() {
            link.wanted_events();
            link.closed_reason();
            link.on_disconnect(Box::new(|_| {}));
        }
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

fn listen(
    link: &Link,
    listener: impl FnMut(&EventText) + Send + 'static,
) -> Option<super::ListenerId> {
    let listener = EventListener::new(EventCallback::Text(Box::new(listener)));
    let id = listener.id();
    link.add_listener(&[EventKind::Bw], listener).ok().map(|()| id)
}

fn removal() {
    let (link, socket) = link(1 << 10);
    let link = Arc::new(link);
    let dropped = Arc::new(AtomicUsize::new(0));
    let capture = Capture(Arc::downgrade(&link), Arc::clone(&dropped));
    let id = listen(&link, move |_| {
        let _ = &capture;
        // A step, so that the removal may run within the call.
        thread::yield_now();
    });
    let tor = thread::spawn(move || {
        for _ in 0..3 {
            let _ = (&mut &socket).write_all(b"650 BW 1 2\r\n");
        }
    });
    let remover = {
        let link = Arc::clone(&link);
        thread::spawn(move || drop(id.and_then(|id| link.remove_listener(id))))
    };
    remover.join().unwrap();
    tor.join().unwrap();
    link.close(LIMIT);
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "the closure is dropped once");
}

#[test]
fn a_removed_closure_is_dropped_once_and_without_a_lock() {
    check(removal);
}

/// No call begins after the removal has returned: a call of another listener in between shows it.
fn removed_is_not_called() {
    let listener = super::Listener::new(0_usize);
    let is_removed = Arc::new(AtomicBool::new(false));
    let caller = {
        let (listener, is_removed) = (Arc::clone(&listener), Arc::clone(&is_removed));
        thread::spawn(move || {
            // The flag is read before each call as its first step.
            let values = (0..3).map(|_| is_removed.load(Ordering::SeqCst));
            listener
                .call_each(values, |calls, was_removed| {
                    assert!(!was_removed, "a removed listener was called");
                    *calls += 1;
                })
                .unwrap();
        })
    };
    listener.remove();
    is_removed.store(true, Ordering::SeqCst);
    caller.join().unwrap();
    listener.call(|_| panic!("a removed listener was called")).unwrap();
}

#[test]
fn no_call_begins_after_a_removal() {
    check(removed_is_not_called);
}

/// Records its events and the end, in order.
struct Recorder(Arc<Mutex<Vec<String>>>);

impl EventHook for Recorder {
    fn event(&self, event: &RawEvent<'_>) {
        self.0.lock().push(event.number().to_string());
    }

    fn ended(&self, _reason: &Disconnect) {
        self.0.lock().push("end".to_owned());
    }
}

fn end() {
    let (link, socket) = link(1 << 10);
    let link = Arc::new(link);
    let hooked = Arc::new(Mutex::new(Vec::new()));
    link.add_hook(&[EventKind::Bw], Arc::new(Recorder(Arc::clone(&hooked))));
    let (listened, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let has_listener = chance(2);
    if has_listener {
        let listened = Arc::clone(&listened);
        listen(&link, move |_| {
            listened.fetch_add(1, Ordering::SeqCst);
        });
    }
    let (called, callbacks) = bounded(2);
    {
        let (listened, told, called) = (Arc::clone(&listened), Arc::clone(&told), called.clone());
        link.on_disconnect(Box::new(move |_| {
            let expected = if has_listener { 2 } else { 0 };
            assert_eq!(listened.load(Ordering::SeqCst), expected, "events follow the end");
            told.fetch_add(1, Ordering::SeqCst);
            called.send(()).unwrap();
        }));
    }
    let waiter = {
        let (link, hooked) = (Arc::clone(&link), Arc::clone(&hooked));
        thread::spawn(move || {
            link.wait_closed(deadline_after(LIMIT)).unwrap();
            assert_eq!(hooked.lock().last().map(String::as_str), Some("end"));
        })
    };
    let late = {
        let link = Arc::clone(&link);
        thread::spawn(move || {
            link.on_disconnect(Box::new(move |_| called.send(()).unwrap()));
        })
    };
    (&mut &socket).write_all(b"650 BW 1 2\r\n650 BW 3 4\r\n").unwrap();
    drop(socket);
    waiter.join().unwrap();
    late.join().unwrap();
    callbacks.recv().unwrap();
    callbacks.recv().unwrap();
    assert_eq!(*hooked.lock(), ["0", "1", "end"]);
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn every_event_precedes_the_end_which_is_reported_once() {
    check(end);
}

/// The connection is closed inside a listener, by its last handle, and by another thread.
fn closing() {
    // The waits for the threads, which have a limit of a second, may time out.
    time::set_short(2 * Duration::from_secs(1));
    let (link, socket) = link(1 << 10);
    let link = Arc::new(link);
    let last = Mutex::new(chance(2).then(|| Arc::clone(&link)));
    let weak = Arc::downgrade(&link);
    let (called, callbacks) = bounded(1);
    listen(&link, move |_| {
        if let Some(link) = weak.upgrade() {
            link.close(LIMIT);
        }
        drop(last.lock().take());
    });
    link.on_disconnect(Box::new(move |_| called.send(()).unwrap()));
    let tor = thread::spawn(move || {
        let _ = (&mut &socket).write_all(b"650 BW 1 2\r\n650 BW 3 4\r\n");
        let _ = BufReader::new(&socket).read_line(&mut String::new());
    });
    if chance(2) {
        link.close(LIMIT);
    }
    drop(link);
    callbacks.recv().unwrap();
    tor.join().unwrap();
}

#[test]
fn a_connection_can_be_closed_on_every_thread() {
    check(closing);
}

#[test]
fn schedules_that_failed_pass() {
    check_kept(callers, &[Kept(Scheduler::Random, 929_729_821, 14), Kept(Scheduler::Pct, 1, 12)]);
}
