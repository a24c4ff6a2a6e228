//! The router and requests that are not written.

use std::time::{Duration, Instant};

use super::super::super::outbox::Owner;
use super::super::super::pipe::pipe;
use super::super::super::reply_channel::reply_channel;
use super::{Connection, UNEXPECTED, Waiter, end, reason};
use crate::error::Disconnect;
use crate::wire::Request;

#[test]
fn the_end_wakes_callers_that_wait_for_the_writer_and_receive_in_parts() {
    // Their pipe got the reason, but they waited until their deadline for the turn.
    let tor = Connection::new();
    let request = Request::new("SAVECONF");
    let length = request.checked_length().unwrap();
    let mut router = tor.router.into_inner();
    assert!(router.outbox.enter());
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (pipe, reader) = pipe(tor.buffers);
            let (sender, turn) = reply_channel();
            let owner = Owner { sender, waits_for_write: true };
            router.submit(&request, length, Waiter::Parts(pipe), || Some(owner)).unwrap();
            (reader, turn)
        })
        .collect();
    end(&mut router, &Disconnect::Closed);
    for (_, turn) in &callers {
        assert!(turn.wait_turn(Instant::now() + Duration::from_millis(10)));
    }
}

#[test]
fn a_reply_is_not_that_of_a_command_which_is_not_written() {
    // A caller received a surplus reply as its own.
    let mut tor = Connection::new();
    let (_, receiver) = tor.submit();
    let error = tor.feed("250 surplus\r\n").unwrap_err();
    assert_eq!(error.to_string(), UNEXPECTED);
    tor.end(&error);
    assert_eq!(reason(&receiver).as_deref(), Some(UNEXPECTED));
    let mut tor = Connection::new();
    let (_, _receiver) = tor.submit();
    assert_eq!(tor.feed("250-surplus\r\n").unwrap_err().to_string(), UNEXPECTED);
}

#[test]
fn the_number_of_pending_commands_is_known() {
    let mut tor = Connection::new();
    let state = |tor: &Connection| {
        let router = tor.router.lock();
        (router.is_idle(), router.is_waiting_alone())
    };
    assert_eq!(state(&tor), (true, true));
    let (_, _first) = tor.push();
    assert_eq!(state(&tor), (false, true));
    let (_, _second) = tor.push();
    assert_eq!(state(&tor), (false, false));
    // A reply that is incoming is of a pending command.
    tor.feed("250-a=1\r\n").unwrap();
    assert_eq!(state(&tor), (false, false));
    tor.feed("250 OK\r\n250-a=1\r\n").unwrap();
    assert_eq!(state(&tor), (false, true));
    tor.feed("250 OK\r\n").unwrap();
    assert_eq!(state(&tor), (true, true));
    tor.end(&Disconnect::Closed);
    assert!(!state(&tor).0);
}

#[test]
fn a_crowd_is_known_until_as_many_commands_were_alone() {
    let mut tor = Connection::new();
    let has_crowd = |tor: &Connection| tor.router.lock().has_crowd();
    let write = |tor: &Connection| {
        let outbox = &mut tor.router.lock().outbox;
        let taken = outbox.take();
        let length = taken.len();
        outbox.written(taken, length);
    };
    assert!(!has_crowd(&tor));
    let pending: Vec<_> = (0..3).map(|_| tor.submit()).collect();
    assert!(has_crowd(&tor));
    write(&tor);
    tor.feed("250 OK\r\n".repeat(3)).unwrap();
    let mut crowds = Vec::new();
    for _ in 0..3 {
        let (_, _receiver) = tor.submit();
        crowds.push(has_crowd(&tor));
        write(&tor);
        tor.feed("250 OK\r\n").unwrap();
    }
    assert_eq!(crowds, [true, false, false]);
    drop(pending);
}
