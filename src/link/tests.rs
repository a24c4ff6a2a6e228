//! The link against a peer on a real socket, for what cannot be seen from outside the crate.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::{Callback, Delivery, Endpoint, Link, LinkLimits, Tap};
use crate::error::Disconnect;
use crate::event::EventKind;
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
    let limits = LinkLimits { wire: Limits::default(), events };
    let link = Link::open(&Endpoint::unix(path), Instant::now() + LIMIT, limits).unwrap();
    (link, peer.unwrap(), directory)
}

/// A tap that passes on what it sees.
struct Seen(Sender<String>);

impl Tap for Seen {
    fn event(&self, number: u64, bytes: &[u8]) {
        let thread = thread::current();
        assert_eq!(thread.name(), Some("torcon-reader"));
        self.0.send(format!("{number}: {}", String::from_utf8_lossy(bytes).trim_end())).unwrap();
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
fn a_tap_sees_events_before_listeners_do_and_while_one_of_them_waits() {
    // What follows from an event can be waited for inside a listener.
    let (link, peer, _directory) =
        link(1 << 20, &["650 BW 1\r\n250 OK\r\n650 BW 2\r\n", "650 BW 3\r\n250 OK\r\n"]);
    let (seen, taps) = unbounded();
    link.add_tap(&[EventKind::Bw], Arc::new(Seen(seen)));
    let (done, is_done) = unbounded();
    let listener = move |delivery: Delivery<'_>| {
        let Delivery::Text(text) = delivery else { return };
        if *text == "BW 1" {
            let texts = [next(&taps), next(&taps), next(&taps), next(&taps)];
            done.send(texts.join(", ")).unwrap();
        }
    };
    link.add_listener(&[EventKind::Bw], Callback::Text(Box::new(listener)));
    // Replies say where among the events they stand.
    assert_eq!(link.call_numbered(&question(), LIMIT).unwrap().events_before, 1);
    assert_eq!(link.call_numbered(&question(), LIMIT).unwrap().events_before, 3);
    link.end(&Disconnect::Closed);
    assert_eq!(
        next(&is_done),
        "0: 650 BW 1, 1: 650 BW 2, 2: 650 BW 3, end: this program closed the connection"
    );
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_tap_sees_events_that_are_dropped_for_listeners_and_none_after_it_is_removed() {
    let (link, peer, _directory) =
        link(0, &["650 BW 1\r\n650-NS\r\n650 OK\r\n250 OK\r\n", "650 BW 2\r\n250 OK\r\n"]);
    let (seen, taps) = unbounded();
    let tap: Arc<dyn Tap> = Arc::new(Seen(seen));
    link.add_tap(&[EventKind::Bw, EventKind::Ns], Arc::clone(&tap));
    let listener = |_: Delivery<'_>| panic!("there is no room for an event");
    let id = link.add_listener(&[EventKind::Bw], Callback::Text(Box::new(listener)));
    link.call(&question(), LIMIT).unwrap();
    assert_eq!([next(&taps), next(&taps)], ["0: 650 BW 1", "1: 650-NS\r\n650 OK"]);
    link.remove_tap(&tap);
    link.call(&question(), LIMIT).unwrap();
    assert!(link.has_listener(id));
    drop((link, tap));
    assert!(taps.recv().is_err());
    peer.join().unwrap();
}
