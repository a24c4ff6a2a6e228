//! Tests of a link with a peer on a real socket, for behavior that the public interface hides.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};

use super::{
    BufferLimits, Endpoint, EventCallback, EventHook, EventListener, Handshake, Link, LinkLimits,
    RawEvent,
};
use crate::error::{Disconnect, Error};
use crate::event::{Event, EventKind, EventText};
use crate::sync::channel::{Receiver, Sender, unbounded};
use crate::wire::{Limits, Reply, Request};

const LIMIT: Duration = Duration::from_secs(30);

/// Opens a link to a peer that answers each line with the next of `answers`, then waits for the end of
/// the connection. The directory contains the socket.
fn link(
    events: usize,
    answers: &'static [&'static str],
) -> (Link, JoinHandle<()>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let peer = thread::Builder::new().name("peer".to_owned()).spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap());
        for answer in answers {
            lines.read_line(&mut String::new()).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
        }
        assert_eq!(lines.read_line(&mut String::new()).unwrap(), 0);
    });
    let replies = BufferLimits { memory: 1 << 20, file: 1 << 20 };
    let limits = LinkLimits { wire: Limits::default(), events, replies };
    (open(path, limits), peer.unwrap(), directory)
}

/// Opens a link without a handshake.
fn open(path: PathBuf, limits: LinkLimits) -> Link {
    let deadline = Instant::now() + LIMIT;
    Handshake::open(&Endpoint::unix(path), deadline, limits, None).unwrap().start().unwrap()
}

impl Link {
    fn call(&self, request: &Request, limit: Duration) -> Result<Reply, Error> {
        self.call_until(request, Instant::now() + limit, limit).map(|sequenced| sequenced.reply)
    }
}

/// A hook that sends its events and the end to a channel.
struct Recorder(Sender<String>);

impl EventHook for Recorder {
    fn event(&self, event: &RawEvent<'_>) {
        let thread = thread::current();
        assert_eq!(thread.name(), Some("torcon-reader"));
        let text = String::from_utf8_lossy(event.wire());
        self.0.send(format!("{}: {}", event.number(), text.trim_end())).unwrap();
    }

    fn ended(&self, reason: &Disconnect) {
        self.0.send(format!("end: {reason}")).unwrap();
    }
}

fn next(channel: &Receiver<String>) -> String {
    channel.recv_timeout(LIMIT).unwrap()
}

fn getinfo() -> Request {
    Request::new("GETINFO").token("key", "a").unwrap()
}

#[test]
fn a_hook_gets_events_before_listeners_and_while_a_listener_waits() {
    // A listener can wait for the effect of an event.
    let (link, peer, _directory) =
        link(1 << 20, &["650 BW 1\r\n250 OK\r\n650 BW 2\r\n", "650 BW 3\r\n250 OK\r\n"]);
    let (sender, hooked) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(Recorder(sender)));
    let (done, is_done) = unbounded();
    let listener = move |text: &EventText| {
        if *text == "BW 1" {
            let texts = [next(&hooked), next(&hooked), next(&hooked), next(&hooked)];
            done.send(texts.join(", ")).unwrap();
        }
    };
    let listener = EventListener::new(EventCallback::Text(Box::new(listener)));
    link.add_listener(&[EventKind::Bw], listener).unwrap();
    // Replies have their position among the events.
    assert_eq!(
        link.call_until(&getinfo(), Instant::now() + LIMIT, LIMIT).unwrap().events_before,
        1
    );
    assert_eq!(
        link.call_until(&getinfo(), Instant::now() + LIMIT, LIMIT).unwrap().events_before,
        3
    );
    link.end(&Disconnect::Closed);
    assert_eq!(
        next(&is_done),
        "0: 650 BW 1, 1: 650 BW 2, 2: 650 BW 3, end: this program closed the connection"
    );
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_hook_gets_events_that_listeners_lose_and_none_after_its_removal() {
    let (link, peer, _directory) = link(
        0,
        &[
            "650 BW 1\r\n250 OK\r\n",
            "650 BW 2\r\n650-NS\r\n650 OK\r\n650 BW 3\r\n250 OK\r\n",
            "650 BW 4\r\n250 OK\r\n",
        ],
    );
    let (sender, hooked) = unbounded();
    let id = link.add_hook(&[EventKind::Bw, EventKind::Ns], Arc::new(Recorder(sender)));
    let (delivered, received) = unbounded();
    let (resume, resumed) = unbounded();
    let listener = move |event: &Event| {
        match event {
            Event::Lagged { dropped, .. } => delivered.send(format!("{dropped} lost")).unwrap(),
            event => delivered.send(event.to_string()).unwrap(),
        }
        resumed.recv_timeout(LIMIT).unwrap();
    };
    let listener = EventListener::new(EventCallback::Typed(Box::new(listener)));
    link.add_listener(&[EventKind::Bw], listener).unwrap();
    link.call(&getinfo(), LIMIT).unwrap();
    assert_eq!(next(&received), "BW 1");
    // While it is called, the queue has room for a single event.
    link.call(&getinfo(), LIMIT).unwrap();
    assert_eq!([next(&hooked), next(&hooked)], ["0: 650 BW 1", "1: 650 BW 2"]);
    assert_eq!([next(&hooked), next(&hooked)], ["2: 650-NS\r\n650 OK", "3: 650 BW 3"]);
    link.remove_hook(id);
    link.call(&getinfo(), LIMIT).unwrap();
    (0..3).for_each(|_| resume.send(()).unwrap());
    // The lost event of another kind does not count.
    assert_eq!([next(&received), next(&received)], ["BW 2", "2 lost"]);
    drop(link);
    assert!(hooked.recv().is_err());
    peer.join().unwrap();
}

#[test]
fn a_hook_that_is_added_after_the_end_is_called_at_once() {
    let (link, peer, _directory) = link(0, &[]);
    link.end(&Disconnect::Closed);
    let (sender, hooked) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(Recorder(sender)));
    assert_eq!(next(&hooked), "end: this program closed the connection");
    drop(link);
    peer.join().unwrap();
}

#[test]
fn closing_does_not_wait_for_a_running_hook() {
    /// A hook that runs until the test resumes it.
    struct Busy(Sender<()>, Receiver<()>);

    impl EventHook for Busy {
        fn event(&self, _event: &RawEvent<'_>) {
            self.0.send(()).unwrap();
            let _ = self.1.recv_timeout(LIMIT);
        }

        fn ended(&self, _reason: &Disconnect) {}
    }

    let (link, peer, _directory) = link(0, &["650 BW 1\r\n"]);
    let (begin, begun) = unbounded();
    let (resume, resumed) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(Busy(begin, resumed)));
    let deadline = Instant::now() + LIMIT;
    let ticket = link.submit(&getinfo(), deadline, LIMIT).unwrap();
    begun.recv_timeout(LIMIT).unwrap();
    let start = Instant::now();
    let threads = running_after(|| link.close(Duration::from_millis(20)));
    assert_eq!(threads, ["the reader thread is still running after its connection was closed"]);
    drop(link);
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    assert!(ticket.wait(deadline, LIMIT).is_err());
    resume.send(()).unwrap();
    peer.join().unwrap();
}

/// Returns which threads are still running after a close, by the log.
fn running_after(close: impl FnOnce()) -> Vec<String> {
    let mut lines = logged_by(close);
    lines.retain(|line| line.contains(" still running "));
    lines
}

#[test]
fn a_close_logs_a_listener_that_is_still_running_and_none_that_has_returned() {
    for (is_busy, limit) in [(false, LIMIT), (true, Duration::from_millis(20))] {
        let (link, peer, _directory) = link(1 << 20, &["650 BW 1\r\n250 OK\r\n"]);
        let (begin, begun) = unbounded();
        let (resume, resumed) = unbounded::<()>();
        let listener = move |_: &EventText| {
            begin.send(()).unwrap();
            if is_busy {
                let _ = resumed.recv_timeout(LIMIT);
            }
        };
        let listener = EventListener::new(EventCallback::Text(Box::new(listener)));
        link.add_listener(&[EventKind::Bw], listener).unwrap();
        link.call(&getinfo(), LIMIT).unwrap();
        begun.recv_timeout(LIMIT).unwrap();
        let threads = running_after(|| link.close(limit));
        let listener = "a listener is still running after its connection was closed";
        assert_eq!(threads.iter().any(|thread| thread == listener), is_busy, "{threads:?}");
        // On a loaded machine the reader thread may need more than the short limit too.
        assert!(is_busy || threads.is_empty(), "{threads:?}");
        drop((resume, link));
        peer.join().unwrap();
    }
}

#[test]
fn the_text_and_the_typed_event_are_created_once() {
    let event = RawEvent::new(7, b"650 BW 1 2\r\n");
    assert_eq!(event.number(), 7);
    assert!(std::ptr::eq(event.event(), event.event()));
    assert!(std::ptr::eq(event.text().as_bytes(), event.text().as_bytes()));
    assert_eq!(event.event().to_string(), "BW 1 2");
    assert_eq!(event.line(), Some(&b"BW 1 2"[..]));
    assert_eq!(RawEvent::new(7, b"650-NS\r\n650 OK\r\n").line(), None);
}

#[test]
fn after_the_authentication_a_replaced_line_is_reported_and_replies_may_be_long() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let deadline = Instant::now() + LIMIT;
    let replies = BufferLimits { memory: 1 << 20, file: 1 << 20 };
    let limits = LinkLimits { wire: Limits::default(), events: 1 << 20, replies };
    let handshake = Handshake::open(&Endpoint::unix(path), deadline, limits, None).unwrap();
    let link = handshake.authenticated().unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    let (sender, hooked) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(Recorder(sender)));
    // Longer than any reply before the authentication.
    let data = "a line of 20 bytes\r\n".repeat(10_000);
    socket.write_all(b"650 BW 1\r\na replaced line\r\n650 BW 2\r\n").unwrap();
    let ticket = link.submit(&getinfo(), deadline, LIMIT).unwrap();
    BufReader::new(socket.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
    socket.write_all(format!("250+a=\r\n{data}.\r\n250 OK\r\n").as_bytes()).unwrap();
    let reply = ticket.wait(deadline, LIMIT).unwrap();
    assert_eq!(reply.events_before, 3);
    let expected = ["0: 650 BW 1", "1: a replaced line", "2: 650 BW 2"];
    assert_eq!([next(&hooked), next(&hooked), next(&hooked)], expected);
    drop(link);
}

/// A hook that blocks the reader.
struct Barrier(Receiver<()>);

impl EventHook for Barrier {
    fn event(&self, _: &RawEvent<'_>) {
        self.0.recv_timeout(LIMIT).unwrap();
        // Usually enough for the caller to write first.
        thread::sleep(Duration::from_millis(10));
    }

    fn ended(&self, _: &Disconnect) {}
}

#[test]
fn requests_whose_callers_do_not_wait_are_written_when_the_socket_has_room() {
    // One of which a part was written ended the connection.
    const REQUESTS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let (read, may_read) = unbounded();
    let peer = thread::Builder::new().name("peer".to_owned()).spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        may_read.recv().unwrap();
        let lines = BufReader::new(socket.try_clone().unwrap()).lines();
        for (number, line) in lines.enumerate() {
            line.unwrap();
            socket.write_all(format!("250 {number}\r\n").as_bytes()).unwrap();
        }
    });
    let replies = BufferLimits { memory: 1 << 20, file: 1 << 20 };
    let link = open(path, LinkLimits { wire: Limits::default(), events: 0, replies });
    // More than the socket has room for.
    let key = "a".repeat(600_000);
    let request = Request::new("GETINFO").token("key", &key).unwrap();
    (0..REQUESTS).for_each(|_| link.send_unawaited(&request).unwrap());
    assert!(link.closed_reason().is_none());
    read.send(()).unwrap();
    let reply = link.call(&getinfo(), LIMIT).unwrap();
    assert_eq!(reply.lines().next().unwrap().text(), REQUESTS.to_string());
    drop(link);
    peer.unwrap().join().unwrap();
}

#[test]
fn a_reader_that_panics_fails_every_caller() {
    let (link, peer, _directory) = link(0, &["650 BW 1\r\n"]);
    let (sender, never) = unbounded();
    drop(sender);
    link.add_hook(&[EventKind::Bw], Arc::new(Barrier(never)));
    let error = link.call(&getinfo(), LIMIT).unwrap_err();
    assert!(matches!(error, Error::Closed(Disconnect::ReaderFailed)), "{error:?}");
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_failed_write_after_the_end_of_the_stream_is_reported_as_that_end() {
    // The writer can detect the end before the reader, which has the more precise reason.
    let mut reasons = (0..20).map(|_| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let replies = BufferLimits { memory: 0, file: 0 };
        let limits = LinkLimits { wire: Limits::default(), events: 0, replies };
        let link = open(path, limits);
        let (open, barrier) = unbounded();
        link.add_hook(&[EventKind::Bw], Arc::new(Barrier(barrier)));
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"650 BW 1\r\n").unwrap();
        drop(socket);
        open.send(()).unwrap();
        link.call(&getinfo(), LIMIT).unwrap_err()
    });
    assert!(reasons.any(|error| matches!(error, Error::Closed(Disconnect::EndOfStream))));
}

/// A hook whose `ended` is slow.
struct SlowAtEnd(Sender<()>, Receiver<()>, Arc<AtomicBool>);

impl EventHook for SlowAtEnd {
    fn event(&self, _: &RawEvent<'_>) {}

    fn ended(&self, _: &Disconnect) {
        self.0.send(()).unwrap();
        let _ = self.1.recv_timeout(Duration::from_millis(300));
        self.2.store(true, Ordering::SeqCst);
    }
}

#[test]
fn every_waiting_caller_learns_of_the_end_after_the_hooks() {
    // A state was not updated yet when `wait_closed` returned.
    let (link, peer, _directory) = link(0, &[""]);
    let hook_done = Arc::new(AtomicBool::new(false));
    let (begin, begun) = unbounded();
    let (_resume, never) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(SlowAtEnd(begin, never, Arc::clone(&hook_done))));
    let (sender, callback) = unbounded();
    let done = Arc::clone(&hook_done);
    link.on_disconnect(Box::new(move |_| {
        sender.send(done.load(Ordering::SeqCst)).unwrap();
    }));
    let deadline = Instant::now() + LIMIT;
    let ticket = link.submit(&getinfo(), deadline, LIMIT).unwrap();
    let is_done = || hook_done.load(Ordering::SeqCst);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            ticket.wait(deadline, LIMIT).unwrap_err();
            is_done()
        });
        let closed = scope.spawn(|| {
            link.wait_closed(deadline).unwrap();
            is_done()
        });
        let late = scope.spawn(|| {
            begun.recv_timeout(LIMIT).unwrap();
            assert!(link.closed_reason().is_some());
            link.call(&getinfo(), LIMIT).unwrap_err();
            is_done()
        });
        link.end(&Disconnect::Closed);
        for thread in [waiting, closed] {
            assert!(thread.join().unwrap());
        }
        assert!(late.join().unwrap());
    });
    assert!(callback.recv_timeout(LIMIT).unwrap());
    drop(link);
    peer.join().unwrap();
}

/// A hook that panics at the end.
struct PanicsAtEnd;

impl EventHook for PanicsAtEnd {
    fn event(&self, _: &RawEvent<'_>) {}

    fn ended(&self, _: &Disconnect) {
        panic!("a hook panics");
    }
}

#[test]
fn a_hook_that_panics_at_the_end_leaves_no_caller_waiting() {
    let (link, peer, _directory) = link(0, &["rubbish\r\n"]);
    link.add_hook(&[EventKind::Bw], Arc::new(PanicsAtEnd));
    assert!(link.call(&getinfo(), LIMIT).unwrap_err().is_closed());
    drop(link);
    peer.join().unwrap();
}

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps the lines of each thread that wants them.
struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A thread that is ending has no lines.
        let _ = LINES.try_with(|lines| {
            if let Some(lines) = &mut *lines.borrow_mut() {
                lines.push(record.args().to_string());
            }
        });
    }

    fn flush(&self) {}
}

/// Returns what a call logs on the current thread, at the level `info` and above.
pub(crate) fn logged_by(call: impl FnOnce()) -> Vec<String> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
    LINES.set(Some(Vec::new()));
    call();
    LINES.take().unwrap_or_default()
}

mod events;
mod limits;
mod writing;
