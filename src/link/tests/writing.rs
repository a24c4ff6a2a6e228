//! Callers, and a peer that reads and answers when the test says so.

use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{LIMIT, getinfo, next, open};
use crate::clock::{ManualClock, deadline_after, elapsed_since, now};
use crate::error::{Disconnect, Error, ProtocolError};
use crate::event::{EventKind, EventText};
use crate::link::backlog::backlog;
use crate::link::connection::Purpose;
use crate::link::reply_channel::reply_channel;
use crate::link::router::{Waiter, probe_key};
use crate::link::transport::WriteOutcome;
use crate::link::{
    BufferLimits, Connection, EventCallback, EventListener, Link, LinkLimits, Stream,
};
use crate::sync::channel::{Sender, unbounded};
use crate::wire::{Limits, Request};

const REPLIES: BufferLimits = BufferLimits { memory: 1 << 20, file: 1 << 20 };

/// Opens a link to a peer that is silent. The directory contains the socket.
fn silent() -> (Link, UnixStream, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let link =
        open(path, LinkLimits { wire: Limits::default(), events: 1 << 20, replies: REPLIES });
    let (socket, _) = listener.accept().unwrap();
    (link, socket, directory)
}

/// Returns a request that the socket has no room for.
fn large() -> Request {
    Request::new("GETINFO").token("key", "a".repeat(600_000)).unwrap()
}

/// Answers each line of the peer with its number, until the end of the connection.
fn serve(mut socket: UnixStream) -> thread::JoinHandle<()> {
    let thread = thread::Builder::new().name("peer".to_owned());
    let serve = move || {
        let lines = BufReader::new(socket.try_clone().unwrap()).lines();
        for (number, line) in lines.map_while(Result::ok).enumerate() {
            if line.contains("torcon/sync") {
                continue;
            }
            if socket.write_all(format!("250 {number}\r\n").as_bytes()).is_err() {
                break;
            }
        }
    };
    thread.spawn(serve).unwrap()
}

fn text(reply: Result<crate::wire::Reply, Error>) -> String {
    reply.unwrap().lines().next().unwrap().text().to_string()
}

#[track_caller]
fn assert_timeout<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
}

#[test]
fn a_request_without_room_before_its_deadline_is_taken_back_and_the_connection_goes_on() {
    let (link, socket, _directory) = silent();
    for _ in 0..4 {
        link.send_unawaited(&large()).unwrap();
    }
    {
        let clock = ManualClock::start();
        clock.tick_by(LIMIT / 10);
        let deadline = || deadline_after(LIMIT);
        let start = now();
        assert_timeout(link.submit(&getinfo(), deadline(), LIMIT));
        assert_timeout(link.call_until(&getinfo(), deadline(), LIMIT));
        let take = |_: &[u8]| Ok(ControlFlow::Continue(()));
        let parts = link.call_in_parts(&getinfo(), deadline, LIMIT, take);
        assert_timeout(parts);
        assert!(elapsed_since(start) >= 3 * LIMIT);
    }
    assert!(link.closed_reason().is_none());
    let peer = serve(socket);
    assert_eq!(text(link.call(&getinfo(), LIMIT)), "4");
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_request_that_was_written_in_part_before_its_deadline_ends_the_connection() {
    let (link, _socket, _directory) = silent();
    let request = large();
    let clock = ManualClock::start();
    clock.tick_by(LIMIT / 10);
    // The socket has room for a part of the second one at most.
    let ended = (0..2).find_map(|_| link.submit(&request, deadline_after(LIMIT), LIMIT).err());
    drop(clock);
    let Some(Error::Closed(Disconnect::Write(error))) = &ended else { panic!("{ended:?}") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(matches!(link.closed_reason(), Some(Disconnect::Write(_))));
}

// The writer got the error, although its reply had arrived.
#[test]
fn a_writer_whose_request_is_written_does_not_fail_with_the_requests_of_others() {
    let (link, socket, _directory) = silent();
    let (sender, _receiver) = reply_channel();
    let deadline = deadline_after(LIMIT);
    let (waiter, purpose) = (Waiter::Whole(sender.clone()), Purpose::Written);
    let own = link.connection.write(&getinfo(), waiter, &sender, purpose, deadline, LIMIT).unwrap();
    // The reader cannot end the connection meanwhile.
    let mut router = link.connection.router.lock();
    drop(socket);
    let request = getinfo();
    let length = request.checked_length().unwrap();
    router.submit(&request, length, Waiter::Canceled, || None).unwrap();
    assert!(router.outbox.enter());
    let outcome = link.connection.write_outbox(router, Some(own.id), deadline);
    assert!(matches!(outcome, WriteOutcome::All), "{outcome:?}");
}

#[test]
fn callers_wait_for_the_writer_no_longer_than_their_limit_and_get_their_own_replies() {
    let (link, socket, _directory) = silent();
    let link = &link;
    let peer = thread::scope(|scope| {
        let writer = scope.spawn(|| text(link.call(&large(), LIMIT)));
        // The writer holds the turn from now on.
        while !link.connection.router.lock().outbox.has_writer() {
            thread::yield_now();
        }
        assert_timeout({
            let clock = ManualClock::start();
            clock.tick_by(LIMIT / 10);
            link.submit(&getinfo(), deadline_after(LIMIT), LIMIT)
        });
        let patient = scope.spawn(|| {
            let deadline = Instant::now() + LIMIT;
            let ticket = link.submit(&getinfo(), deadline, LIMIT).unwrap();
            assert_eq!(ticket.command(), "GETINFO");
            text(ticket.wait(deadline, LIMIT).map(|sequenced| sequenced.reply))
        });
        let peer = serve(socket);
        assert_eq!(writer.join().unwrap(), "0");
        assert_eq!(patient.join().unwrap(), "1");
        peer
    });
    assert_eq!(text(link.call(&getinfo(), LIMIT)), "2");
    link.end(&Disconnect::Closed);
    peer.join().unwrap();
}

#[test]
fn a_caller_that_gives_up_sends_a_probe_which_holds_later_replies() {
    let (link, mut socket, _directory) = silent();
    link.connection.router.lock().allow_probes();
    let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
    {
        let clock = ManualClock::start();
        clock.tick_by(LIMIT / 10);
        assert_timeout(link.call_until(&getinfo(), deadline_after(LIMIT), LIMIT));
    }
    assert_eq!(lines.next().unwrap().unwrap(), "GETINFO a");
    let probe = lines.next().unwrap().unwrap();
    assert_eq!(probe, format!("GETINFO {}", probe_key(1)));
    let deadline = Instant::now() + LIMIT;
    let ticket = link.submit(&getinfo(), deadline, LIMIT).unwrap();
    let refusal = format!("552 Unrecognized key \"{}\"\r\n", probe_key(1));
    socket.write_all(format!("250 late\r\n{refusal}250 own\r\n").as_bytes()).unwrap();
    assert_eq!(text(ticket.wait(deadline, LIMIT).map(|sequenced| sequenced.reply)), "own");
    assert!(ticket.try_wait().is_none(), "it was received");
}

#[test]
fn a_reply_is_received_in_parts_until_the_closure_breaks() {
    let reply = "250-a=1\r\n250-b=2\r\n250 OK\r\n";
    let (link, socket, _directory) = silent();
    let mut writer = socket.try_clone().unwrap();
    let thread = thread::Builder::new().name("peer".to_owned());
    let peer = thread.spawn(move || {
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            let reply = if line == "GETINFO a" { reply } else { "250 other\r\n" };
            writer.write_all(reply.as_bytes()).unwrap();
        }
    });
    let mut received = Vec::new();
    let mut read = |flow: ControlFlow<()>| {
        received.clear();
        let take = |part: &[u8]| {
            received.extend_from_slice(part);
            Ok(flow)
        };
        link.call_in_parts(&getinfo(), || deadline_after(LIMIT), LIMIT, take).unwrap();
        String::from_utf8(received.clone()).unwrap()
    };
    assert_eq!(read(ControlFlow::Continue(())), reply);
    // The rest is discarded.
    assert!(reply.starts_with(&read(ControlFlow::Break(()))));
    assert_eq!(text(link.call(&Request::new("SAVECONF"), LIMIT)), "other");
    drop(link);
    peer.unwrap().join().unwrap();
}

#[test]
fn only_an_error_that_shows_replies_out_of_step_ends_the_connection() {
    let of_link: fn(&Link, &Error) = Link::end_if_out_of_step;
    let of_ticket: fn(&Link, &Error) = |link, error| {
        link.submit(&getinfo(), deadline_after(LIMIT), LIMIT).unwrap().end_if_out_of_step(error);
    };
    for end in [of_link, of_ticket] {
        let (link, _socket, _directory) = silent();
        end(&link, &ProtocolError::new("a line", "a status code", b"x").into());
        end(&link, &Error::Closed(Disconnect::Quit));
        assert!(link.closed_reason().is_none());
        end(&link, &ProtocolError::out_of_step("the reply to GETINFO", "a=", b"b=1").into());
        assert!(matches!(link.closed_reason(), Some(Disconnect::OutOfStep { .. })));
    }
}

/// Adds a listener that runs until the sender is dropped.
fn blocked(link: &Link, socket: &mut UnixStream) -> Sender<()> {
    let (begin, begun) = unbounded();
    let (resume, resumed) = unbounded::<()>();
    let block = move |_: &EventText| {
        begin.send("begun".to_owned()).unwrap();
        let _ = resumed.recv();
    };
    let listener = EventListener::new(EventCallback::Text(Box::new(block)));
    link.add_listener(&[EventKind::Bw], listener).unwrap();
    socket.write_all(b"650 BW 1 2\r\n").unwrap();
    next(&begun);
    resume
}

#[test]
fn a_close_waits_for_a_running_listener_until_its_limit() {
    let (link, mut socket, _directory) = silent();
    let running = blocked(&link, &mut socket);
    // The reader ends at once.
    link.stop(Instant::now() + LIMIT);
    let clock = ManualClock::start();
    clock.tick_by(LIMIT / 10);
    let start = now();
    link.close(LIMIT);
    assert!(elapsed_since(start) >= LIMIT);
    drop(running);
    drop(clock);
    link.close(LIMIT);
}

#[test]
fn a_listener_that_closes_its_connection_does_not_wait_for_itself() {
    let (link, mut socket, _directory) = silent();
    let link = Arc::new(link);
    let (done, took) = unbounded();
    let own = Arc::downgrade(&link);
    let close = move |_: &EventText| {
        let link = own.upgrade().unwrap();
        link.stop(Instant::now() + LIMIT);
        let clock = ManualClock::start();
        clock.tick_by(LIMIT / 10);
        let start = now();
        link.close(LIMIT);
        done.send(elapsed_since(start)).unwrap();
    };
    let listener = EventListener::new(EventCallback::Text(Box::new(close)));
    link.add_listener(&[EventKind::Bw], listener).unwrap();
    socket.write_all(b"650 BW 1 2\r\n").unwrap();
    let took = took.recv_timeout(LIMIT).unwrap();
    assert!(took < LIMIT, "{took:?}");
}

#[test]
fn a_request_that_cannot_be_written_ends_a_connection_that_the_peer_has_not_closed() {
    // The caller does not wait, and this connection has no reader thread.
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
    let (_events, queue) = backlog(0);
    let connection = Connection::new(Stream::Unix(socket.into()), REPLIES, queue);
    connection.send_unawaited(&getinfo()).unwrap();
    let router = connection.router.lock();
    let Some(Disconnect::Write(error)) = router.end_reason() else { panic!("it goes on") };
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}
