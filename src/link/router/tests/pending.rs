//! The number of pending commands, and what it says about other callers.

use super::{Connection, ROOM, end, refusal, text};
use crate::error::Disconnect;
use crate::wire::Limits;

#[test]
fn the_router_is_idle_without_pending_commands_until_the_end() {
    let mut tor = Connection::new();
    let is_idle = |tor: &Connection| tor.router.lock().is_idle();
    assert!(is_idle(&tor));
    let (_, _first) = tor.push();
    assert!(!is_idle(&tor));
    // A reply that has begun.
    tor.feed("250-a=1\r\n").unwrap();
    assert!(!is_idle(&tor));
    tor.feed("250 OK\r\n").unwrap();
    assert!(is_idle(&tor));
    end(&mut tor.router.lock(), &Disconnect::Closed);
    assert!(!is_idle(&tor));
}

#[test]
fn a_caller_is_alone_if_no_other_command_is_pending() {
    let mut tor = Connection::new();
    let is_alone = |tor: &Connection| tor.router.lock().is_waiting_alone();
    assert!(is_alone(&tor));
    let (_, _first) = tor.push();
    assert!(is_alone(&tor));
    tor.feed("250-a=1\r\n").unwrap();
    assert!(is_alone(&tor));
    let (_, _second) = tor.push();
    assert!(!is_alone(&tor), "a reply has begun, and a command is pending");
    tor.feed("250 OK\r\n").unwrap();
    assert!(is_alone(&tor));
    let (_, _third) = tor.push();
    assert!(!is_alone(&tor));
}

/// Sends some commands together, and receives their replies. Returns whether they are a crowd.
fn send_together(tor: &mut Connection, count: usize) -> bool {
    let _callers: Vec<_> = (0..count).map(|_| tor.submit()).collect();
    let has_crowd = {
        let mut router = tor.router.lock();
        let taken = router.outbox.take();
        let length = taken.len();
        router.outbox.written(taken, length);
        router.has_crowd()
    };
    (0..count).for_each(|_| tor.feed("250 OK\r\n").unwrap());
    has_crowd
}

#[test]
fn callers_that_send_together_are_a_crowd_until_as_many_commands_were_sent_alone() {
    let mut tor = Connection::new();
    let crowds = [1, 2, 1, 3, 1, 1, 1].map(|count| send_together(&mut tor, count));
    assert_eq!(crowds, [false, true, false, true, true, false, false]);
}

#[test]
fn a_held_reply_may_be_as_long_as_the_limit() {
    let reply = format!("250+a=\r\n{}.\r\n250 OK\r\n", "0123456789\r\n".repeat(7));
    for (limit, fits) in [(reply.len(), true), (reply.len() - 1, false)] {
        let mut tor = Connection::with(ROOM, Limits { line: 100, reply: limit });
        let ((_, whole), nonce) = tor.doubt(Connection::push);
        tor.feed(format!("250 late\r\n{reply}")).unwrap();
        assert_eq!(tor.feed(refusal(nonce)).is_ok(), fits);
        assert_eq!(text(&whole).is_some(), fits);
    }
}

#[test]
fn a_line_without_a_status_code_leaves_a_doubt_only_if_it_may_contain_a_pending_reply() {
    // Without a command there is no reply that it can contain.
    for line in ["x650 BW 1 2", "x250 OK"] {
        let mut tor = Connection::new();
        tor.feed(format!("{line}\r\n")).unwrap();
        assert_eq!(tor.push_probe(), None, "{line}");
    }
    let mut tor = Connection::new();
    let (_, _pending) = tor.push();
    tor.feed("x650 BW 1 2\r\n").unwrap();
    assert_eq!(tor.push_probe(), None, "it contains an event");
    tor.feed("x250 OK\r\n").unwrap();
    assert!(tor.push_probe().is_some());
}
