//! The limits of the calls of a link, with a clock that ticks at each reading: the peer is silent.

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{LIMIT, getinfo, link, open};
use crate::clock::{ManualClock, TICK, deadline_after, elapsed_since, now};
use crate::error::{Disconnect, Error};
use crate::link::backlog::backlog;
use crate::link::chunk::Events;
use crate::link::pipe::{Part, pipe};
use crate::link::reply_channel::{Wake, reply_channel};
use crate::link::router::ReplyRoute;
use crate::link::{
    BufferLimits, Connection, Endpoint, Handshake, Link, LinkLimits, Notifier, Peer,
    SequencedReply, Stream, WaitEnd, Waiter,
};
use crate::sync::channel::RecvTimeoutError;
use crate::wire::{Limits, Reply};

/// A limit of a call, which no test takes.
const LONG: Duration = Duration::from_secs(1_000);
const STEP: Duration = Duration::from_secs(1);
/// The most readings of the clock that follow the deadline.
const READINGS: u32 = 10;

/// Requires that a call with the limit [`LONG`] takes as long as that by a clock that ticks.
#[track_caller]
fn takes_its_limit<T>(call: impl FnOnce() -> T) -> T {
    let clock = ManualClock::start();
    clock.tick_by(STEP);
    let start = now();
    let result = call();
    let took = elapsed_since(start);
    assert!(took >= LONG && took <= LONG + READINGS * STEP, "{took:?}");
    result
}

#[track_caller]
fn assert_timeout<T: std::fmt::Debug>(result: Result<T, Error>) {
    let text = result.unwrap_err().to_string();
    assert!(text.contains("GETINFO") && text.contains("1000s"), "{text}");
}

const REPLIES: BufferLimits = BufferLimits { memory: 1 << 20, file: 1 << 20 };

fn limits() -> LinkLimits {
    LinkLimits { wire: Limits::default(), events: 1 << 20, replies: REPLIES }
}

/// A peer that accepts no connection; the operating system lets clients connect.
fn silent() -> (tempfile::TempDir, std::path::PathBuf, UnixListener) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    (directory, path, listener)
}

#[test]
fn a_handshake_without_a_reply_ends_at_its_limit() {
    let (_directory, path, _listener) = silent();
    let deadline = deadline_after(LIMIT);
    let mut handshake = Handshake::open(&Endpoint::unix(path), deadline, limits(), None).unwrap();
    assert_timeout(takes_its_limit(|| handshake.call(&getinfo(), LONG)));
}

#[test]
fn a_call_without_a_reply_ends_at_its_limit_and_the_connection_goes_on() {
    let (_directory, path, _listener) = silent();
    let link = open(path, limits());
    assert_timeout(takes_its_limit(|| {
        link.call_until(&getinfo(), deadline_after(LONG), LONG).map(drop)
    }));
    assert_timeout(takes_its_limit(|| {
        let deadline = deadline_after(LONG);
        link.submit(&getinfo(), deadline, LONG).unwrap().wait(deadline, LONG).map(drop)
    }));
    let reason = link.wait_closed(deadline_after(Duration::ZERO));
    assert!(reason.is_none(), "{reason:?}");
    assert!(takes_its_limit(|| link.wait_closed(deadline_after(LONG))).is_none());
}

#[test]
fn a_notifier_a_queue_a_reply_and_its_parts_are_waited_for_until_the_deadline() {
    let notifier = Notifier::<()>::default();
    let end = takes_its_limit(|| notifier.wait(deadline_after(LONG), |()| None::<()>));
    assert!(matches!(end, Err(WaitEnd::Timeout)));

    let (_sender, queue) = backlog::<Events, u64>(1 << 20);
    let end = takes_its_limit(|| queue.recv_deadline(deadline_after(LONG)));
    assert!(matches!(end, Err(RecvTimeoutError::Timeout)));

    let (_sender, reply) = reply_channel();
    assert!(matches!(takes_its_limit(|| reply.wait(deadline_after(LONG))), Wake::TimedOut));
    assert!(!takes_its_limit(|| reply.wait_turn(deadline_after(LONG))));

    let (_writer, mut parts) = pipe(REPLIES);
    let part = takes_its_limit(|| parts.next(Vec::new(), deadline_after(LONG)));
    assert!(matches!(part, Part::TimedOut));
}

#[test]
fn a_reply_ends_a_call_while_the_clock_stands() {
    let (link, peer, _directory) = link(1 << 20, &["250-a=1\r\n250 OK\r\n"]);
    let clock = ManualClock::start();
    // The deadline never passes: only the reply ends the wait.
    let reply = link.call_until(&getinfo(), deadline_after(LONG), LONG).unwrap().reply;
    assert_eq!(reply.code(), 250);
    drop(clock);
    link.end(&Disconnect::Closed);
    peer.join().unwrap();
}

#[test]
fn a_probe_follows_a_command_that_is_not_answered_at_its_limit_and_none_if_it_is_a_tick_before() {
    for is_late in [false, true] {
        let (_directory, path, listener) = silent();
        let deadline = deadline_after(LIMIT);
        let handshake = Handshake::open(&Endpoint::unix(path), deadline, limits(), None).unwrap();
        let link = handshake.authenticated().unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let clock = ManualClock::start();
        let deadline = deadline_after(LONG);
        let ticket = link.submit(&getinfo(), deadline, LONG).unwrap();
        clock.advance_to_just_before(deadline);
        if is_late {
            clock.advance(TICK);
            // The spinning in front of the wait ends too.
            clock.tick_by(STEP);
            assert_timeout(ticket.wait(deadline, LONG).map(drop));
        } else {
            // The clock stands, so the wait ends with the reply, however late the reader is.
            peer.write_all(b"250-a=1\r\n250 OK\r\n").unwrap();
            ticket.wait(deadline, LONG).unwrap();
        }
        drop(clock);
        link.end(&Disconnect::Closed);
        let lines = BufReader::new(peer).lines().map(Result::unwrap);
        let probes = lines.filter(|line| line.starts_with("GETINFO torcon/sync/")).count();
        assert_eq!(probes, usize::from(is_late));
    }
}

#[test]
fn a_probe_follows_a_command_whose_parts_do_not_arrive() {
    let (_directory, path, listener) = silent();
    let deadline = deadline_after(LIMIT);
    let handshake = Handshake::open(&Endpoint::unix(path), deadline, limits(), None).unwrap();
    let link = handshake.authenticated().unwrap();
    let (peer, _) = listener.accept().unwrap();
    let take = |_: &[u8]| Ok(ControlFlow::Continue(()));
    assert_timeout(takes_its_limit(|| {
        link.call_in_parts(&getinfo(), || deadline_after(LONG), LONG, take)
    }));
    link.end(&Disconnect::Closed);
    let lines = BufReader::new(peer).lines().map(Result::unwrap);
    assert_eq!(lines.filter(|line| line.starts_with("GETINFO torcon/sync/")).count(), 1);
}

#[test]
fn a_reply_that_the_reader_is_handing_over_at_the_deadline_is_awaited() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let (_events, queue) = backlog(0);
    let connection = Arc::new(Connection::new(Stream::Unix(socket), REPLIES, queue));
    let link = Link::new(Arc::clone(&connection), Peer::of(&connection.stream));
    let clock = ManualClock::start();
    let deadline = deadline_after(LONG);
    let ticket = link.submit(&getinfo(), deadline, LONG).unwrap();
    // The reader has the whole reply.
    let bytes = b"250 OK\r\n";
    let route = connection.router.lock().route_reply(bytes).unwrap();
    let ReplyRoute::Waiter(Waiter::Whole(sender)) = route else { panic!("it has a caller") };
    clock.advance(LONG);
    clock.tick_by(TICK);
    let start = now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let _clock = clock.on_this_thread();
            ticket.wait_as(false, deadline, LONG)
        });
        // The caller reads the clock again and again while it waits behind its deadline.
        let is_waiting = |own: u32| elapsed_since(start) > (own + 10) * TICK;
        let mut own = 1..;
        while !own.next().is_some_and(is_waiting) && !waiting.is_finished() {
            thread::yield_now();
        }
        let reply = Reply::parse(bytes.to_vec()).unwrap();
        sender.send(Ok(SequencedReply { reply, events_before: 0 }));
        assert_eq!(waiting.join().unwrap().unwrap().reply.code(), 250);
    });
}
