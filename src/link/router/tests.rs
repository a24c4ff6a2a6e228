//! Tests of the router with its delivery, without socket and thread.

use std::time::{Duration, Instant};

use super::super::outbox::Owner;
use super::super::pipe::{Part, PipeReader, pipe};
use super::super::reply_channel::{ReplyReceiver, reply_channel};
use super::super::reply_delivery::ReplyDelivery;
use super::super::spool::BufferLimits;
use super::{CancelOutcome, NoReply, Router, SlotId, Waiter, probe_key};
use crate::error::{BufferProblem, Disconnect};
use crate::sync::Mutex;
use crate::wire::{Frame, Limits, Message, Request};

mod ended;
mod model;
mod outbox;
mod pending;
mod stray_lines;

/// A reader without socket.
struct Connection {
    router: Mutex<Router>,
    buffers: BufferLimits,
    replies: ReplyDelivery,
    frame: Frame,
    events: u64,
}

const ROOM: BufferLimits = BufferLimits { memory: 1 << 20, file: 1 << 20 };

impl Connection {
    fn new() -> Self {
        Self::with(ROOM, Limits::default())
    }

    fn with(buffers: BufferLimits, wire: Limits) -> Self {
        let mut router = Router::new();
        router.allow_probes();
        let replies = ReplyDelivery::new(buffers, wire.reply);
        let mut frame = Frame::new(wire);
        frame.set_authenticated(wire);
        Self { router: Mutex::new(router), buffers, replies, frame, events: 0 }
    }

    fn push(&self) -> (SlotId, ReplyReceiver) {
        let (sender, receiver) = reply_channel();
        (self.router.lock().push(Waiter::Whole(sender)).unwrap(), receiver)
    }

    fn push_parts(&self) -> (SlotId, PipeReader) {
        let (pipe, reader) = pipe(self.buffers);
        (self.router.lock().push(Waiter::Parts(pipe)).unwrap(), reader)
    }

    /// Appends a slot, and its request to the outbox.
    fn submit(&self) -> (SlotId, ReplyReceiver) {
        let (sender, receiver) = reply_channel();
        let owner = Owner { sender: sender.clone(), waits_for_write: false };
        let (request, waiter) = (Request::new("SAVECONF"), Waiter::Whole(sender));
        let length = request.checked_length().unwrap();
        let id = self.router.lock().submit(&request, length, waiter, || Some(owner)).unwrap();
        (id, receiver)
    }

    fn cancel(&self, id: SlotId) -> CancelOutcome {
        self.router.lock().cancel(id)
    }

    fn push_probe(&self) -> Option<u64> {
        self.router.lock().push_probe()
    }

    /// Puts the router in doubt: a command, those of `push`, then the first is canceled and a probe
    /// follows. Returns the commands of `push`, and the nonce.
    fn doubt<T>(&self, push: impl FnOnce(&Self) -> T) -> (T, u64) {
        let (late, _receiver) = self.push();
        let pushed = push(self);
        assert_eq!(self.cancel(late), CancelOutcome::Queued);
        (pushed, self.push_probe().unwrap())
    }

    /// Reads these bytes.
    fn feed(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Disconnect> {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let space = self.frame.space();
            let (now, later) = rest.split_at(rest.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            self.frame.fill(now.len());
            rest = later;
            self.process()?;
        }
        Ok(())
    }

    fn process(&mut self) -> Result<(), Disconnect> {
        while let Some(message) = self.frame.next()? {
            match message {
                Message::Event(_) => self.events += 1,
                Message::Stray(range) => {
                    self.router.lock().stray_line(self.frame.bytes(&range))?;
                }
                Message::Part(range) => {
                    self.replies.lines(&self.router, self.frame.bytes(&range))?;
                }
                Message::Reply(range) => {
                    let rest = self.frame.bytes(&range);
                    self.replies.reply(&self.router, rest, self.events)?;
                }
            }
        }
        Ok(())
    }

    fn end(&self, reason: &Disconnect) {
        end(&mut self.router.lock(), reason);
    }
}

/// Ends the connection. Returns the reason if it is the first.
fn end(router: &mut Router, reason: &Disconnect) -> Option<Disconnect> {
    let first = router.begin_end(reason);
    router.end();
    first
}

fn refusal(nonce: u64) -> String {
    format!("552 Unrecognized key \"{}\"\r\n", probe_key(nonce))
}

fn text(receiver: &ReplyReceiver) -> Option<String> {
    let sequenced = receiver.try_receive()?.ok()?;
    Some(String::from_utf8(sequenced.reply.to_wire()).unwrap().trim_end().to_owned())
}

fn failure(reason: NoReply) -> String {
    match reason {
        NoReply::Closed(reason) => reason.to_string(),
        NoReply::Buffer(problem) => problem.to_string(),
    }
}

fn reason(receiver: &ReplyReceiver) -> Option<String> {
    receiver.try_receive()?.err().map(failure)
}

/// Reads the available lines, and the end of the reply if it has ended.
fn read_available(parts: &mut PipeReader) -> (String, Option<Result<(), String>>) {
    let mut all = String::new();
    loop {
        match parts.next(Vec::new(), Instant::now()) {
            Part::Lines(lines) => all.push_str(&String::from_utf8(lines).unwrap()),
            Part::End(end) => return (all, Some(end.map_err(failure))),
            Part::TimedOut => return (all, None),
        }
    }
}

const UNEXPECTED: &str = "replies are out of step with commands: a reply arrived without a command";

#[test]
fn replies_belong_to_the_callers_in_the_order_of_their_commands() {
    let mut tor = Connection::new();
    let receivers: Vec<_> = (0..3).map(|_| tor.push().1).collect();
    tor.feed("250 0\r\n650 BW 1 1\r\n250 1\r\n25").unwrap();
    tor.feed("0 2\r\n").unwrap();
    let texts: Vec<_> = receivers.iter().map(|receiver| text(receiver).unwrap()).collect();
    assert_eq!(texts, ["250 0", "250 1", "250 2"]);
}

#[test]
fn a_reply_without_a_command_ends_the_connection() {
    let error = Connection::new().feed("250 OK\r\n").unwrap_err();
    assert_eq!(error.to_string(), UNEXPECTED);
    let error = Connection::new().feed("250-a=1\r\n").unwrap_err();
    assert_eq!(error.to_string(), UNEXPECTED, "at its first line");
}

#[test]
fn a_canceled_slot_stays_in_the_queue_and_its_late_reply_is_discarded() {
    // The late reply went to the next caller (Stem 2-dev, peers 1).
    let mut tor = Connection::new();
    let (late, late_receiver) = tor.push();
    assert_eq!(tor.cancel(late), CancelOutcome::Queued);
    let nonce = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    tor.feed("250 late\r\n").unwrap();
    assert_eq!(text(&next), None, "held until the probe is refused");
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
    assert_eq!(text(&late_receiver), None);
}

#[test]
fn a_command_that_is_never_answered_shifts_no_reply() {
    let mut tor = Connection::new();
    let ((), nonce) = tor.doubt(|_| ());
    let (_, next) = tor.push();
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn callers_in_front_of_the_probe_get_their_replies_if_none_is_missing() {
    let mut tor = Connection::new();
    let ((_, behind), nonce) = tor.doubt(Connection::push);
    tor.feed("250 late\r\n250 behind\r\n").unwrap();
    assert_eq!(text(&behind), None);
    tor.feed(refusal(nonce)).unwrap();
    assert_eq!(text(&behind).as_deref(), Some("250 behind"));
}

#[test]
fn the_connection_ends_if_it_is_unknown_whose_reply_is_missing() {
    let mut tor = Connection::new();
    let ((_, behind), nonce) = tor.doubt(Connection::push);
    tor.feed("250 behind\r\n").unwrap();
    let error = tor.feed(refusal(nonce)).unwrap_err();
    tor.end(&error);
    assert_eq!(
        reason(&behind).as_deref(),
        Some(
            "replies are out of step with commands: a command was not answered while others were \
             waiting behind it"
        )
    );
}

#[test]
fn one_probe_suffices_for_all_canceled_slots_in_front_of_it() {
    let tor = Connection::new();
    let ids: Vec<_> = (0..4).map(|_| tor.push().0).collect();
    tor.cancel(ids[1]);
    assert!(tor.push_probe().is_some());
    tor.cancel(ids[0]);
    tor.cancel(ids[3]);
    assert_eq!(tor.push_probe(), None);
    let (behind, _receiver) = tor.push();
    tor.cancel(behind);
    assert!(tor.push_probe().is_some(), "this slot is behind the first probe");
}

#[test]
fn a_slot_canceled_behind_a_refused_probe_leaves_the_router_in_doubt() {
    let mut tor = Connection::new();
    let ((), first) = tor.doubt(|_| ());
    let ((), second) = tor.doubt(|_| ());
    let (_, next) = tor.push();
    // The first command is answered, the second is not.
    tor.feed(format!("250 first\r\n{}", refusal(first))).unwrap();
    tor.feed(refusal(second)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn a_refusal_with_another_nonce_or_a_success_is_not_that_of_the_probe() {
    let mut tor = Connection::new();
    let ((), nonce) = tor.doubt(|_| ());
    let (_, next) = tor.push();
    tor.feed(refusal(nonce * 10 + 3)).unwrap();
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
    let ((), nonce) = tor.doubt(|_| ());
    tor.feed(format!("250 {}\r\n", probe_key(nonce))).unwrap();
    tor.feed(refusal(nonce)).unwrap();
}

#[test]
fn a_surplus_reply_in_doubt_ends_the_connection() {
    // Without a probe behind the slots, and with one.
    for probes in [false, true] {
        let mut tor = Connection::new();
        let (late, _receiver) = tor.push();
        tor.cancel(late);
        if probes {
            tor.push_probe().unwrap();
            tor.push();
        }
        tor.feed("250 late\r\n").unwrap();
        assert_eq!(tor.feed("250 again\r\n").unwrap_err().to_string(), UNEXPECTED);
    }
}

#[test]
fn a_slot_whose_command_was_not_written_is_taken_back_without_a_probe() {
    let mut tor = Connection::new();
    let ((), nonce) = tor.doubt(|_| ());
    let (id, _receiver) = tor.submit();
    tor.router.lock().expect_end(id, Disconnect::Quit);
    assert_eq!(tor.cancel(id), CancelOutcome::Unwritten);
    assert_eq!(tor.push_probe(), None);
    tor.feed(format!("250 late\r\n{}", refusal(nonce))).unwrap();
    assert_eq!(tor.feed("250 OK\r\n").unwrap_err().to_string(), UNEXPECTED);
    // The end that the command would have caused is not expected either.
    let mut router = tor.router.into_inner();
    assert!(matches!(end(&mut router, &Disconnect::EndOfStream), Some(Disconnect::EndOfStream)));
}

#[test]
fn a_filter_that_refuses_the_probe_too_early_ends_the_connection() {
    let tor = || {
        let tor = Connection::new();
        tor.doubt(|_| ());
        tor
    };
    let error = tor().feed("510 Command filtered\r\n").unwrap_err();
    assert!(matches!(error, Disconnect::OutOfStep { detail } if detail.contains("a filter")));
}

#[test]
fn a_filter_that_refuses_the_probe_settles_the_doubt_if_every_command_was_answered() {
    // A program behind a filter lost its connection at every timeout.
    let mut tor = Connection::new();
    let ((_, receiver), _) = tor.doubt(Connection::push);
    tor.feed("250 late\r\n250 own\r\n").unwrap();
    assert_eq!(text(&receiver), None);
    tor.feed("510 Command filtered\r\n").unwrap();
    assert_eq!(text(&receiver).as_deref(), Some("250 own"));
    let (_, receiver) = tor.push();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&receiver).as_deref(), Some("250 next"));
}

#[test]
fn a_filter_may_refuse_the_probe_in_front_of_other_commands() {
    let mut tor = Connection::new();
    tor.doubt(|_| ());
    let (_, behind) = tor.push();
    tor.feed("250 late\r\n510 Command filtered\r\n250 own\r\n").unwrap();
    assert_eq!(text(&behind).as_deref(), Some("250 own"));
}

#[test]
fn a_refusal_by_tor_is_the_reply_to_a_command() {
    let tor = || {
        let tor = Connection::new();
        tor.doubt(|_| ());
        tor
    };
    tor().feed("510 Unrecognized command \"X\"\r\n").unwrap();
    tor().feed("552 filter\r\n").unwrap();
}

#[test]
fn every_caller_gets_the_first_reason_now_and_later() {
    let mut tor = Connection::new();
    let ((_, begun), (_, waiting), (_, mut parts)) = (tor.push(), tor.push(), tor.push_parts());
    tor.feed("250-a=1\r\n").unwrap();
    let mut router = tor.router.into_inner();
    assert!(end(&mut router, &Disconnect::EndOfStream).is_some());
    assert!(end(&mut router, &Disconnect::Closed).is_none());
    for receiver in [begun, waiting] {
        assert_eq!(reason(&receiver).as_deref(), Some("tor closed the connection"));
    }
    let end = Some(Err("tor closed the connection".to_owned()));
    assert_eq!(read_available(&mut parts), (String::new(), end));
    assert_eq!(router.push(Waiter::Canceled).unwrap_err().to_string(), "tor closed the connection");
}

#[test]
fn an_expected_end_has_the_reason_of_the_command() {
    let tor = Connection::new();
    let (id, _receiver) = tor.push();
    let mut router = tor.router.into_inner();
    router.expect_end(id, Disconnect::Quit);
    assert!(matches!(end(&mut router, &Disconnect::EndOfStream), Some(Disconnect::Quit)));
}

#[test]
fn the_end_before_a_command_is_written_is_not_that_of_the_command() {
    let tor = Connection::new();
    let (id, _receiver) = tor.submit();
    let mut router = tor.router.into_inner();
    router.expect_end(id, Disconnect::Quit);
    assert!(matches!(end(&mut router, &Disconnect::EndOfStream), Some(Disconnect::EndOfStream)));
}

#[test]
fn the_first_of_two_commands_that_end_the_connection_counts() {
    let tor = Connection::new();
    let ((first, _), (second, _)) = (tor.push(), tor.submit());
    let mut router = tor.router.into_inner();
    router.expect_end(first, Disconnect::Quit);
    router.expect_end(second, Disconnect::Quit);
    assert_eq!(router.cancel(second), CancelOutcome::Unwritten);
    assert!(matches!(end(&mut router, &Disconnect::EndOfStream), Some(Disconnect::Quit)));
}

#[test]
fn a_reply_that_cannot_be_held_takes_no_room_from_the_others() {
    // Its first bytes filled the memory, or its file could not be written, and every reply behind it
    // was lost too, even a 250 OK.
    let mut tor = Connection::with(BufferLimits { memory: 40, file: 0 }, Limits::default());
    let (((_, big), (_, small), (_, mut stream)), nonce) =
        tor.doubt(|tor| (tor.push(), tor.push(), tor.push_parts()));
    tor.feed("250 late\r\n250+b=\r\n").unwrap();
    for _ in 0..10 {
        tor.feed("0123456789\r\n").unwrap();
    }
    tor.feed(".\r\n250 OK\r\n250 small\r\n250 stream\r\n").unwrap();
    tor.feed(refusal(nonce)).unwrap();
    assert_eq!(reason(&big), Some(BufferProblem::Full { limit: 0 }.to_string()));
    assert_eq!(text(&small).as_deref(), Some("250 small"));
    assert_eq!(read_available(&mut stream), ("250 stream\r\n".to_owned(), Some(Ok(()))));
}

#[test]
fn all_lines_of_a_held_reply_have_the_same_owner() {
    // The first lines of a held reply that arrived in two reads went to the first slot.
    let mut tor = Connection::new();
    let (((_, mut stream), (_, next)), nonce) = tor.doubt(|tor| (tor.push_parts(), tor.push()));
    tor.feed("250-late=1\r\n").unwrap();
    tor.feed("250 OK\r\n250-stream=1\r\n").unwrap();
    tor.feed("250 OK\r\n250-next=1\r\n250-next=2\r\n").unwrap();
    tor.feed("250 OK\r\n").unwrap();
    assert_eq!(read_available(&mut stream), (String::new(), None));
    tor.feed(refusal(nonce)).unwrap();
    assert_eq!(
        read_available(&mut stream),
        ("250-stream=1\r\n250 OK\r\n".to_owned(), Some(Ok(())))
    );
    assert_eq!(text(&next).unwrap(), "250-next=1\r\n250-next=2\r\n250 OK");
}

#[test]
fn canceling_an_incoming_reply_leaves_no_doubt() {
    let mut tor = Connection::new();
    let ((whole, gone), (stream, mut parts), (_, next)) =
        (tor.push(), tor.push_parts(), tor.push());
    tor.feed("250-a=1\r\n").unwrap();
    assert_eq!(tor.cancel(whole), CancelOutcome::Incoming);
    tor.feed("250 OK\r\n250+b=\r\n1\r\n").unwrap();
    assert_eq!(tor.cancel(stream), CancelOutcome::Incoming);
    assert_eq!(read_available(&mut parts), ("250+b=\r\n1\r\n".to_owned(), None));
    tor.feed("2\r\n.\r\n250 OK\r\n250 next\r\n").unwrap();
    assert_eq!(tor.push_probe(), None);
    assert_eq!(text(&next).as_deref(), Some("250 next"));
    assert_eq!((read_available(&mut parts), text(&gone)), ((String::new(), None), None));
    assert_eq!(tor.cancel(whole), CancelOutcome::Complete);
}

#[test]
fn a_reply_that_began_in_step_keeps_its_owner_if_another_slot_is_canceled() {
    let mut tor = Connection::new();
    let ((_, first), (late, _receiver)) = (tor.push(), tor.push());
    tor.feed("250-a=1\r\n").unwrap();
    assert_eq!(tor.cancel(late), CancelOutcome::Queued);
    tor.feed("250 OK\r\n").unwrap();
    assert_eq!(text(&first).as_deref(), Some("250-a=1\r\n250 OK"));
    let nonce = tor.push_probe().unwrap();
    tor.feed(format!("250 late\r\n{}", refusal(nonce))).unwrap();
}

#[test]
fn a_discarded_reply_may_have_any_length() {
    let mut tor = Connection::with(ROOM, Limits { line: 100, reply: 100 });
    let ((whole, _gone), (_, parts)) = (tor.push(), tor.push_parts());
    tor.feed("250+a=\r\n").unwrap();
    tor.cancel(whole);
    drop(parts);
    for _ in 0..2 {
        for _ in 0..100 {
            tor.feed("0123456789\r\n").unwrap();
        }
        tor.feed(".\r\n250 OK\r\n250+b=\r\n").unwrap_or_else(|error| {
            assert_eq!(error.to_string(), UNEXPECTED, "after the second");
        });
    }
}

#[test]
fn held_replies_are_bounded_and_one_that_does_not_fit_fails_alone() {
    let limits = BufferLimits { memory: 8, file: 16 };
    let mut tor = Connection::with(limits, Limits::default());
    let (((_, small), (_, large), (_, mut stream)), nonce) =
        tor.doubt(|tor| (tor.push(), tor.push(), tor.push_parts()));
    let (_, next) = tor.push();
    tor.feed("250 l\r\n250 a\r\n250+b=\r\n").unwrap();
    tor.feed("0123456789\r\n").unwrap();
    tor.feed(".\r\n250 OK\r\n250 c\r\n").unwrap();
    tor.feed(format!("{}250 next\r\n", refusal(nonce))).unwrap();
    assert_eq!(text(&small).as_deref(), Some("250 a"));
    let full = BufferProblem::Full { limit: 16 }.to_string();
    assert_eq!(reason(&large).as_deref(), Some(&*full));
    assert_eq!(read_available(&mut stream), ("250 c\r\n".to_owned(), Some(Ok(()))));
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn a_held_reply_over_the_reply_limit_ends_the_connection() {
    let mut tor = Connection::with(ROOM, Limits { line: 100, reply: 100 });
    let ((_, whole), nonce) = tor.doubt(Connection::push);
    tor.feed("250 late\r\n250+a=\r\n").unwrap();
    for _ in 0..20 {
        tor.feed("0123456789\r\n").unwrap();
    }
    tor.feed(".\r\n250 OK\r\n").unwrap();
    let error = tor.feed(refusal(nonce)).unwrap_err();
    assert_eq!(error.to_string(), "a reply from tor exceeds the limit of 100 bytes");
    assert_eq!(reason(&whole), Some(error.to_string()));
}

#[test]
fn a_whole_reply_over_the_reply_limit_ends_the_connection() {
    for (limit, fits) in [(111, true), (110, false)] {
        let mut tor = Connection::with(ROOM, Limits { line: 100, reply: limit });
        let (_, whole) = tor.push();
        // Events between the lines neither count nor reset the length.
        let mut outcome = tor.feed("250+a=\r\n");
        for line in ["0123456789\r\n"; 7] {
            outcome = outcome.and_then(|()| tor.feed(line));
        }
        outcome = outcome.and_then(|()| tor.feed(".\r\n250-b=\r\n650 BW 1 1\r\n250 OK\r\n"));
        assert_eq!(outcome.is_ok(), fits);
        if let Err(error) = outcome {
            assert_eq!(
                error.to_string(),
                format!("a reply from tor exceeds the limit of {limit} bytes")
            );
        }
        assert_eq!(text(&whole).is_some(), fits);
    }
}

#[test]
fn the_lines_of_a_canceled_reply_are_not_in_the_next() {
    let mut tor = Connection::new();
    let ((first, _gone), (_, next)) = (tor.push(), tor.push());
    tor.feed("250+a=\r\n1\r\n").unwrap();
    assert_eq!(tor.cancel(first), CancelOutcome::Incoming);
    tor.feed(".\r\n250 OK\r\n250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn a_slow_caller_whose_reply_does_not_fit_fails_alone() {
    let limits = BufferLimits { memory: 16, file: 24 };
    let mut tor = Connection::with(limits, Limits::default());
    let ((_, mut stream), (_, next)) = (tor.push_parts(), tor.push());
    tor.feed("250+a=\r\n").unwrap();
    tor.feed("0123456789\r\n").unwrap();
    assert_eq!(read_available(&mut stream).0, "250+a=\r\n0123456789\r\n", "there is room again");
    for _ in 0..3 {
        tor.feed("0123456789\r\n").unwrap();
    }
    assert_eq!(read_available(&mut stream), ("0123456789\r\n".repeat(3), None));
    for _ in 0..4 {
        tor.feed("0123456789\r\n").unwrap();
    }
    let full = BufferProblem::Full { limit: 24 }.to_string();
    assert_eq!(read_available(&mut stream), (String::new(), Some(Err(full))));
    tor.feed(".\r\n250 OK\r\n250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn a_wait_for_lines_times_out() {
    let tor = Connection::new();
    let (_, mut parts) = tor.push_parts();
    let begin = Instant::now();
    let next = parts.next(Vec::new(), begin + Duration::from_millis(20));
    assert!(matches!(next, Part::TimedOut), "{next:?}");
    assert!(begin.elapsed() >= Duration::from_millis(20));
}

#[test]
fn canceling_among_many_pending_commands_takes_linear_time() {
    // Each held reply and each canceled slot cost a search of the whole queue.
    const COUNT: usize = 100_000;
    let begin = Instant::now();
    let mut tor = Connection::new();
    let callers: Vec<_> = (0..COUNT).map(|_| tor.push()).collect();
    let (canceled, waiting) = callers.split_at(COUNT / 2);
    for (id, _) in canceled.iter().rev() {
        tor.cancel(*id);
    }
    let nonce = tor.push_probe().unwrap();
    for _ in 0..COUNT / 1000 {
        tor.feed("250 OK\r\n".repeat(1000)).unwrap();
    }
    tor.feed(refusal(nonce)).unwrap();
    assert!(waiting.iter().all(|(_, receiver)| text(receiver).as_deref() == Some("250 OK")));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
