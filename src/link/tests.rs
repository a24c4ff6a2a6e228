//! The link against a peer on a real socket, for what cannot be seen from outside the crate.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::{BufferLimits, Callback, Endpoint, EventHook, Link, LinkLimits, Listener, RawEvent};
use crate::error::{Disconnect, Error};
use crate::event::{Event, EventKind, EventText};
use crate::wire::{Limits, Request};

const LIMIT: Duration = Duration::from_secs(30);

/// Opens a link to a peer that answers each line with the next of `answers`, then waits for the
/// end. The directory holds the socket.
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
    let link = Link::open(&Endpoint::unix(path), Instant::now() + LIMIT, limits).unwrap();
    (link, peer.unwrap(), directory)
}

/// A hook that passes on what it sees.
struct Seen(Sender<String>);

impl EventHook for Seen {
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

fn question() -> Request {
    Request::new("GETINFO").token("key", "a").unwrap()
}

#[test]
fn a_hook_sees_events_before_listeners_do_and_while_one_of_them_waits() {
    // What follows from an event can be waited for inside a listener.
    let (link, peer, _directory) =
        link(1 << 20, &["650 BW 1\r\n250 OK\r\n650 BW 2\r\n", "650 BW 3\r\n250 OK\r\n"]);
    let (seen, taps) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(Seen(seen)));
    let (done, is_done) = unbounded();
    let listener = move |text: &EventText| {
        if *text == "BW 1" {
            let texts = [next(&taps), next(&taps), next(&taps), next(&taps)];
            done.send(texts.join(", ")).unwrap();
        }
    };
    let listener = Listener::new(Callback::Text(Box::new(listener)));
    link.add_listener(&[EventKind::Bw], listener).unwrap();
    // Replies say where among the events they stand.
    assert_eq!(
        link.call_before(&question(), Instant::now() + LIMIT, LIMIT).unwrap().events_before,
        1
    );
    assert_eq!(
        link.call_before(&question(), Instant::now() + LIMIT, LIMIT).unwrap().events_before,
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
fn a_hook_sees_events_that_are_dropped_for_listeners_and_none_after_it_is_removed() {
    let (link, peer, _directory) = link(
        0,
        &[
            "650 BW 1\r\n250 OK\r\n",
            "650 BW 2\r\n650-NS\r\n650 OK\r\n650 BW 3\r\n250 OK\r\n",
            "650 BW 4\r\n250 OK\r\n",
        ],
    );
    let (seen, hooked) = unbounded();
    let id = link.add_hook(&[EventKind::Bw, EventKind::Ns], Arc::new(Seen(seen)));
    let (tell, told) = unbounded();
    let (go_on, may_go_on) = unbounded();
    let listener = move |event: &Event| {
        match event {
            Event::Lagged { dropped, .. } => tell.send(format!("{dropped} lost")).unwrap(),
            event => tell.send(event.to_string()).unwrap(),
        }
        may_go_on.recv_timeout(LIMIT).unwrap();
    };
    let listener = Listener::new(Callback::Typed(Box::new(listener)));
    link.add_listener(&[EventKind::Bw], listener).unwrap();
    link.call(&question(), LIMIT).unwrap();
    assert_eq!(next(&told), "BW 1");
    // While it is called, one event waits for it, and there is no room for the others.
    link.call(&question(), LIMIT).unwrap();
    assert_eq!([next(&hooked), next(&hooked)], ["0: 650 BW 1", "1: 650 BW 2"]);
    assert_eq!([next(&hooked), next(&hooked)], ["2: 650-NS\r\n650 OK", "3: 650 BW 3"]);
    link.remove_hook(id);
    link.call(&question(), LIMIT).unwrap();
    (0..3).for_each(|_| go_on.send(()).unwrap());
    // The listener did not want the one that is none of its kinds.
    assert_eq!([next(&told), next(&told)], ["BW 2", "2 lost"]);
    drop(link);
    assert!(hooked.recv().is_err());
    peer.join().unwrap();
}

#[test]
fn a_hook_that_is_added_after_the_end_is_told_the_end() {
    let (link, peer, _directory) = link(0, &[]);
    link.end(&Disconnect::Closed);
    let (seen, told) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(Seen(seen)));
    assert_eq!(next(&told), "end: this program closed the connection");
    drop(link);
    peer.join().unwrap();
}

#[test]
fn closing_does_not_wait_for_a_reader_that_is_busy() {
    /// A hook that takes as long as the test says.
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
    let (go_on, may_go_on) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(Busy(begin, may_go_on)));
    let deadline = Instant::now() + LIMIT;
    let asked = link.submit(&question(), deadline, LIMIT).unwrap();
    begun.recv_timeout(LIMIT).unwrap();
    let start = Instant::now();
    link.close(Duration::from_millis(20));
    drop(link);
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    assert!(asked.wait(deadline, LIMIT).is_err());
    go_on.send(()).unwrap();
    peer.join().unwrap();
}

#[test]
fn what_several_hooks_ask_of_an_event_is_made_once() {
    let event = RawEvent::new(7, b"650 BW 1 2\r\n");
    assert_eq!(event.number(), 7);
    assert!(std::ptr::eq(event.event(), event.event()));
    assert!(std::ptr::eq(event.text().as_bytes(), event.text().as_bytes()));
    assert_eq!(event.event().to_string(), "BW 1 2");
}

/// A hook that stands in the way of the reader.
struct Barrier(Receiver<()>);

impl EventHook for Barrier {
    fn event(&self, _: &RawEvent<'_>) {
        self.0.recv_timeout(LIMIT).unwrap();
        // So that the caller comes first, most of the time.
        thread::sleep(Duration::from_millis(10));
    }

    fn ended(&self, _: &Disconnect) {}
}

#[test]
fn a_reader_that_panics_leaves_nobody_waiting() {
    let (link, peer, _directory) = link(0, &["650 BW 1\r\n"]);
    let (sender, never) = unbounded();
    drop(sender);
    link.add_hook(&[EventKind::Bw], Arc::new(Barrier(never)));
    let error = link.call(&question(), LIMIT).unwrap_err();
    assert!(matches!(error, Error::Closed(Disconnect::ReaderFailed)), "{error:?}");
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_write_that_fails_since_tor_is_gone_is_told_as_the_end() {
    // The writer may find out before the reader does, which knows better why.
    let mut reasons = (0..20).map(|_| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let replies = BufferLimits { memory: 0, file: 0 };
        let limits = LinkLimits { wire: Limits::default(), events: 0, replies };
        let link = Link::open(&Endpoint::unix(path), Instant::now() + LIMIT, limits).unwrap();
        let (open, barrier) = unbounded();
        link.add_hook(&[EventKind::Bw], Arc::new(Barrier(barrier)));
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"650 BW 1\r\n").unwrap();
        drop(socket);
        open.send(()).unwrap();
        link.call(&question(), LIMIT).unwrap_err()
    });
    assert!(reasons.any(|error| matches!(error, Error::Closed(Disconnect::EndOfStream))));
}

/// A hook that is slow to hear of the end.
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
fn whoever_waits_learns_of_the_end_after_the_hooks() {
    // A state did not know yet of the end that `wait_closed` had told.
    let (link, peer, _directory) = link(0, &[""]);
    let told = Arc::new(AtomicBool::new(false));
    let (begin, begun) = unbounded();
    let (_go_on, never) = unbounded();
    link.add_hook(&[EventKind::Bw], Arc::new(SlowAtEnd(begin, never, Arc::clone(&told))));
    let (sender, callback) = unbounded();
    let known = Arc::clone(&told);
    link.on_disconnect(Box::new(move |_| {
        sender.send(known.load(Ordering::SeqCst)).unwrap();
    }));
    let deadline = Instant::now() + LIMIT;
    let asked = link.submit(&question(), deadline, LIMIT).unwrap();
    let is_told = || told.load(Ordering::SeqCst);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            asked.wait(deadline, LIMIT).unwrap_err();
            is_told()
        });
        let closed = scope.spawn(|| {
            link.wait_closed(deadline).unwrap();
            is_told()
        });
        let late = scope.spawn(|| {
            begun.recv_timeout(LIMIT).unwrap();
            assert!(link.closed_reason().is_some());
            link.call(&question(), LIMIT).unwrap_err();
            is_told()
        });
        link.end(&Disconnect::Closed);
        for knows in [waiting, closed] {
            assert!(knows.join().unwrap());
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
fn a_hook_that_panics_at_the_end_leaves_nobody_waiting() {
    let (link, peer, _directory) = link(0, &["rubbish\r\n"]);
    link.add_hook(&[EventKind::Bw], Arc::new(PanicsAtEnd));
    assert!(link.call(&question(), LIMIT).unwrap_err().is_closed());
    drop(link);
    peer.join().unwrap();
}
