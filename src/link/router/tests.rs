//! The router and its intake against bytes only: no socket, no thread.

use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use parking_lot::Mutex;

use super::super::intake::Intake;
use super::super::parts::{Part, Parts};
use super::super::spool::BufferLimits;
use super::{GivenUp, NoReply, Outcome, Router, SlotId, probe_key};
use crate::error::{BufferProblem, Disconnect};
use crate::wire::{Frame, Limits, Piece};

mod model;

/// The reader without its socket.
struct Connection {
    router: Mutex<Router>,
    intake: Intake,
    frame: Frame,
    events: u64,
}

const ROOM: BufferLimits = BufferLimits { memory: 1 << 20, file: 1 << 20 };

impl Connection {
    fn new() -> Self {
        Self::with(ROOM, Limits::default())
    }

    fn with(buffers: BufferLimits, wire: Limits) -> Self {
        let mut router = Router::new(buffers);
        router.allow_probes();
        let intake = Intake::new(buffers, wire.reply);
        let mut frame = Frame::new(wire);
        frame.set_authenticated(wire);
        Self { router: Mutex::new(router), intake, frame, events: 0 }
    }

    fn push(&self) -> (SlotId, Receiver<Outcome>) {
        self.router.lock().push().unwrap()
    }

    fn push_parts(&self) -> (SlotId, Parts) {
        self.router.lock().push_parts().unwrap()
    }

    fn give_up(&self, id: SlotId) -> GivenUp {
        self.router.lock().give_up(id)
    }

    fn push_probe(&self) -> Option<u64> {
        self.router.lock().push_probe()
    }

    /// What the reader does after one read.
    fn feed(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Disconnect> {
        let bytes = bytes.as_ref();
        self.frame.space()[..bytes.len()].copy_from_slice(bytes);
        self.frame.fill(bytes.len());
        while let Some(piece) = self.frame.next()? {
            match piece {
                Piece::Event(_) => self.events += 1,
                Piece::Stray(range) => {
                    self.router.lock().stray_line(self.frame.bytes(&range))?;
                }
                Piece::Reply(range) => {
                    self.intake.complete(&self.router, &mut self.frame, &range, self.events)?;
                }
            }
        }
        if self.frame.is_inside_reply() {
            self.intake.lines(&self.router, &mut self.frame)?;
        }
        Ok(())
    }

    fn end(&self, reason: &Disconnect) {
        end(&mut self.router.lock(), reason);
    }
}

/// Ends everything at once; returns the reason if it is the first.
fn end(router: &mut Router, reason: &Disconnect) -> Option<Disconnect> {
    let first = router.decide_end(reason);
    router.end();
    first
}

fn refusal(nonce: u64) -> String {
    format!("552 Unrecognized key \"{}\"\r\n", probe_key(nonce))
}

fn text(receiver: &Receiver<Outcome>) -> Option<String> {
    let reply = receiver.try_recv().ok()?.ok()?;
    Some(String::from_utf8(reply.bytes).unwrap().trim_end().to_owned())
}

fn failure(reason: NoReply) -> String {
    match reason {
        NoReply::Closed(reason) => reason.to_string(),
        NoReply::Buffer(problem) => problem.to_string(),
    }
}

fn reason(receiver: &Receiver<Outcome>) -> Option<String> {
    receiver.try_recv().ok()?.err().map(failure)
}

/// Takes what has come, and how it ended if it has.
fn taken(parts: &mut Parts) -> (String, Option<Result<(), String>>) {
    let mut all = String::new();
    loop {
        match parts.next(Vec::new(), Instant::now()) {
            Some(Part::Lines(lines)) => all.push_str(&String::from_utf8(lines).unwrap()),
            Some(Part::End(end)) => return (all, Some(end.map_err(failure))),
            None => return (all, None),
        }
    }
}

const UNASKED: &str =
    "replies are out of step with commands: a reply came that no command had asked for";

#[test]
fn replies_go_to_the_callers_in_the_order_of_their_commands() {
    let mut tor = Connection::new();
    let receivers: Vec<_> = (0..3).map(|_| tor.push().1).collect();
    tor.feed("250 0\r\n650 BW 1 1\r\n250 1\r\n25").unwrap();
    tor.feed("0 2\r\n").unwrap();
    let texts: Vec<_> = receivers.iter().map(|receiver| text(receiver).unwrap()).collect();
    assert_eq!(texts, ["250 0", "250 1", "250 2"]);
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let error = Connection::new().feed("250 OK\r\n").unwrap_err();
    assert_eq!(error.to_string(), UNASKED);
    let error = Connection::new().feed("250-a=1\r\n").unwrap_err();
    assert_eq!(error.to_string(), UNASKED, "at its first line");
}

#[test]
fn a_caller_that_gave_up_keeps_its_place_and_a_late_reply_is_discarded() {
    // The late reply went to the next caller (Stem 2-dev, peers 1).
    let mut tor = Connection::new();
    let (late, late_receiver) = tor.push();
    assert_eq!(tor.give_up(late), GivenUp::Probing);
    let nonce = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    tor.feed("250 late\r\n").unwrap();
    assert_eq!(text(&next), None, "held until the probe shows whose it is");
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
    assert_eq!(text(&late_receiver), None);
}

#[test]
fn a_command_that_is_never_answered_shifts_nobody() {
    let mut tor = Connection::new();
    let (never, _receiver) = tor.push();
    tor.give_up(never);
    let nonce = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn live_callers_in_front_of_the_probe_get_their_own_replies_if_all_came() {
    let mut tor = Connection::new();
    let (late, _receiver) = tor.push();
    let (_, behind) = tor.push();
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
    tor.feed("250 late\r\n250 behind\r\n").unwrap();
    assert_eq!(text(&behind), None);
    tor.feed(refusal(nonce)).unwrap();
    assert_eq!(text(&behind).as_deref(), Some("250 behind"));
}

#[test]
fn when_nobody_can_know_whose_reply_is_missing_the_connection_ends() {
    let mut tor = Connection::new();
    let (never, _receiver) = tor.push();
    let (_, behind) = tor.push();
    tor.give_up(never);
    let nonce = tor.push_probe().unwrap();
    tor.feed("250 behind\r\n").unwrap();
    let error = tor.feed(refusal(nonce)).unwrap_err();
    tor.end(&error);
    assert_eq!(
        reason(&behind).as_deref(),
        Some(
            "replies are out of step with commands: a command went unanswered while others were \
             waiting behind it"
        )
    );
}

#[test]
fn one_probe_serves_all_that_gave_up_in_front_of_it() {
    let tor = Connection::new();
    let ids: Vec<_> = (0..4).map(|_| tor.push().0).collect();
    tor.give_up(ids[1]);
    assert!(tor.push_probe().is_some());
    tor.give_up(ids[0]);
    tor.give_up(ids[3]);
    assert_eq!(tor.push_probe(), None);
    let (behind, _receiver) = tor.push();
    tor.give_up(behind);
    assert!(tor.push_probe().is_some(), "this one is behind the first probe");
}

#[test]
fn a_caller_that_gave_up_behind_an_answered_probe_leaves_the_router_in_doubt() {
    let mut tor = Connection::new();
    let (first, _receiver) = tor.push();
    tor.give_up(first);
    let first = tor.push_probe().unwrap();
    let (second, _receiver) = tor.push();
    tor.give_up(second);
    let second = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    // The first of the two was answered, the second was not.
    tor.feed(format!("250 first\r\n{}", refusal(first))).unwrap();
    tor.feed(refusal(second)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn a_longer_number_is_no_answer_to_a_probe() {
    let mut tor = Connection::new();
    let (late, _receiver) = tor.push();
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    tor.feed(refusal(nonce * 10 + 3)).unwrap();
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
    // Nor is a success, whatever it says.
    let (late, _receiver) = tor.push();
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
    tor.feed(format!("250 {}\r\n", probe_key(nonce))).unwrap();
    tor.feed(refusal(nonce)).unwrap();
}

#[test]
fn a_reply_too_many_ends_the_connection_while_in_doubt_too() {
    // Without a probe behind the slots, and with one.
    for probes in [false, true] {
        let mut tor = Connection::new();
        let (late, _receiver) = tor.push();
        tor.give_up(late);
        if probes {
            tor.push_probe().unwrap();
            tor.push();
        }
        tor.feed("250 late\r\n").unwrap();
        assert_eq!(tor.feed("250 again\r\n").unwrap_err().to_string(), UNASKED);
    }
}

#[test]
fn what_was_not_written_is_taken_back_and_its_probe_stays_owed() {
    let mut tor = Connection::new();
    let (late, _receiver) = tor.push();
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
    let (id, _receiver) = tor.push();
    tor.router.lock().expect_end(id, Disconnect::Quit);
    tor.router.lock().take_back(SlotId::from(nonce));
    let nonce = tor.push_probe().unwrap();
    tor.feed(format!("250 late\r\n{}", refusal(nonce))).unwrap();
    assert_eq!(tor.feed("250 OK\r\n").unwrap_err().to_string(), UNASKED);
    // Nor is the end expected that the command would have brought.
    let mut router = tor.router.into_inner();
    assert!(matches!(end(&mut router, &Disconnect::EndOfStream), Some(Disconnect::EndOfStream)));
}

#[test]
fn a_filter_that_refuses_the_probe_ends_the_connection_by_name() {
    let tor = || {
        let tor = Connection::new();
        let (late, receiver) = tor.push();
        tor.give_up(late);
        tor.push_probe().unwrap();
        (tor, receiver)
    };
    let error = tor().0.feed("510 Command filtered\r\n").unwrap_err();
    assert!(matches!(error, Disconnect::OutOfStep { detail } if detail.contains("a filter")));
}

#[test]
fn a_filter_that_refuses_the_probe_settles_the_doubt_if_every_command_was_answered() {
    // A program behind a filter lost its connection by every timeout.
    let mut tor = Connection::new();
    let (late, _receiver) = tor.push();
    let (_, receiver) = tor.push();
    tor.give_up(late);
    tor.push_probe().unwrap();
    tor.feed("250 late\r\n250 own\r\n").unwrap();
    assert_eq!(text(&receiver), None);
    tor.feed("510 Command filtered\r\n").unwrap();
    assert_eq!(text(&receiver).as_deref(), Some("250 own"));
    let (_, receiver) = tor.push();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&receiver).as_deref(), Some("250 next"));
}

#[test]
fn a_filter_may_refuse_the_probe_while_commands_stand_behind_it() {
    let mut tor = Connection::new();
    let (late, _receiver) = tor.push();
    tor.give_up(late);
    tor.push_probe().unwrap();
    let (_, behind) = tor.push();
    tor.feed("250 late\r\n510 Command filtered\r\n250 own\r\n").unwrap();
    assert_eq!(text(&behind).as_deref(), Some("250 own"));
}

#[test]
fn a_line_without_a_status_code_between_two_replies_moves_no_reply() {
    for line in ["XXXredactedXXX", "", ".", "BW 1 2", "CIRC 250 BUILT", "1.2.3.4:443 x", "250x"] {
        let mut tor = Connection::new();
        let (_, first) = tor.push();
        let (_, second) = tor.push();
        tor.feed(format!("250 first\r\n{line}\r\n")).unwrap();
        assert_eq!(text(&first).as_deref(), Some("250 first"));
        let nonce = tor.push_probe();
        tor.feed("250 second\r\n").unwrap();
        if let Some(nonce) = nonce {
            tor.feed(refusal(nonce)).unwrap();
        }
        assert_eq!(text(&second).as_deref(), Some("250 second"), "{line}");
        let (_, next) = tor.push();
        tor.feed("250 next\r\n").unwrap();
        assert_eq!(text(&next).as_deref(), Some("250 next"), "{line}");
    }
}

#[test]
fn a_reply_that_was_swallowed_by_a_line_without_a_status_code_moves_no_other() {
    // A filter that replaces an event together with its line end.
    let mut tor = Connection::new();
    let (lost, never) = tor.push();
    tor.feed("XXXredactedXXX250 OK\r\n").unwrap();
    let nonce = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    // Nobody may get the reply of the next command in place of the lost one.
    assert!(tor.feed(format!("{}250 next\r\n", refusal(nonce))).is_err());
    assert_eq!((text(&never), text(&next)), (None, None));

    // The caller of the lost one waits no longer: then nobody is affected.
    let mut tor = Connection::new();
    let (lost_too, _never) = tor.push();
    assert_eq!(lost, lost_too);
    tor.feed("XXXredactedXXX250 OK\r\n").unwrap();
    let nonce = tor.push_probe().unwrap();
    tor.give_up(lost_too);
    let (_, next) = tor.push();
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));

    // The rest of a longer reply would be taken for all of it.
    let mut tor = Connection::new();
    let _asked = tor.push();
    assert!(tor.feed("XXXredactedXXX250-version=1\r\n250 OK\r\n").is_err());
    // Where nothing was asked, nothing can be lost.
    let mut tor = Connection::new();
    tor.feed("XXXredactedXXX250-version=1\r\n").unwrap();
    assert_eq!(tor.push_probe(), None);
}

#[test]
fn a_second_doubtful_line_is_settled_by_a_second_probe() {
    let mut tor = Connection::new();
    let (_, first) = tor.push();
    tor.feed("a:443 b\r\n").unwrap();
    let one = tor.push_probe().unwrap();
    let (_, second) = tor.push();
    tor.feed("a:443 b\r\n").unwrap();
    let two = tor.push_probe().unwrap();
    tor.feed(format!("250 first\r\n{}", refusal(one))).unwrap();
    assert_eq!(text(&first).as_deref(), Some("250 first"));
    tor.feed("250 second\r\n").unwrap();
    assert_eq!(text(&second), None);
    tor.feed(refusal(two)).unwrap();
    assert_eq!(text(&second).as_deref(), Some("250 second"));
}

#[test]
fn other_refusals_than_a_filters_are_answers_to_the_command() {
    let tor = || {
        let tor = Connection::new();
        let (late, receiver) = tor.push();
        tor.give_up(late);
        tor.push_probe().unwrap();
        (tor, receiver)
    };
    tor().0.feed("510 Unrecognized command \"X\"\r\n").unwrap();
    tor().0.feed("552 filter\r\n").unwrap();
}

#[test]
fn the_first_reason_is_everybodys_now_and_later() {
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
    assert_eq!(taken(&mut parts), (String::new(), end));
    assert_eq!(router.push().unwrap_err().to_string(), "tor closed the connection");
}

#[test]
fn the_end_means_what_the_command_that_brings_it_says() {
    let tor = Connection::new();
    let (id, _receiver) = tor.push();
    let mut router = tor.router.into_inner();
    router.expect_end(id, Disconnect::Quit);
    assert!(matches!(end(&mut router, &Disconnect::EndOfStream), Some(Disconnect::Quit)));
}

#[test]
fn the_first_of_two_commands_that_bring_the_end_is_the_one_that_counts() {
    let tor = Connection::new();
    let ((first, _), (second, _)) = (tor.push(), tor.push());
    let mut router = tor.router.into_inner();
    router.expect_end(first, Disconnect::Quit);
    router.expect_end(second, Disconnect::Quit);
    router.take_back(second);
    assert!(matches!(end(&mut router, &Disconnect::EndOfStream), Some(Disconnect::Quit)));
}

#[test]
fn a_reply_that_could_not_be_held_takes_no_room_from_the_others() {
    // What had been kept of it filled the memory, or its file could not be written: then every
    // reply behind it was lost too, down to a mere 250 OK.
    let mut tor = Connection::with(BufferLimits { memory: 40, file: 0 }, Limits::default());
    let (late, _receiver) = tor.push();
    let ((_, big), (_, small), (_, mut stream)) = (tor.push(), tor.push(), tor.push_parts());
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
    tor.feed("250 late\r\n250+b=\r\n").unwrap();
    for _ in 0..10 {
        tor.feed("0123456789\r\n").unwrap();
    }
    tor.feed(".\r\n250 OK\r\n250 small\r\n250 stream\r\n").unwrap();
    tor.feed(refusal(nonce)).unwrap();
    assert_eq!(reason(&big), Some(BufferProblem::Full { limit: 0 }.to_string()));
    assert_eq!(text(&small).as_deref(), Some("250 small"));
    assert_eq!(taken(&mut stream), ("250 stream\r\n".to_owned(), Some(Ok(()))));
}

#[test]
fn the_beginning_of_a_reply_goes_where_the_rest_of_it_goes() {
    // While replies were held, the beginning of one that came in two reads went to the caller at
    // the front of the queue, whose reply it was not.
    let mut tor = Connection::new();
    let (late, _receiver) = tor.push();
    let (_, mut stream) = tor.push_parts();
    let (_, next) = tor.push();
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
    tor.feed("250-late=1\r\n").unwrap();
    tor.feed("250 OK\r\n250-stream=1\r\n").unwrap();
    tor.feed("250 OK\r\n250-next=1\r\n250-next=2\r\n").unwrap();
    tor.feed("250 OK\r\n").unwrap();
    assert_eq!(taken(&mut stream), (String::new(), None));
    tor.feed(refusal(nonce)).unwrap();
    assert_eq!(taken(&mut stream), ("250-stream=1\r\n250 OK\r\n".to_owned(), Some(Ok(()))));
    assert_eq!(text(&next).unwrap(), "250-next=1\r\n250-next=2\r\n250 OK");
}

#[test]
fn a_caller_that_gives_up_while_its_reply_comes_in_leaves_no_doubt() {
    let mut tor = Connection::new();
    let ((whole, gone), (stream, mut parts), (_, next)) =
        (tor.push(), tor.push_parts(), tor.push());
    tor.feed("250-a=1\r\n").unwrap();
    assert_eq!(tor.give_up(whole), GivenUp::Discarding);
    tor.feed("250 OK\r\n250+b=\r\n1\r\n").unwrap();
    assert_eq!(tor.give_up(stream), GivenUp::Discarding);
    assert_eq!(taken(&mut parts), ("250+b=\r\n1\r\n".to_owned(), None));
    tor.feed("2\r\n.\r\n250 OK\r\n250 next\r\n").unwrap();
    assert_eq!(tor.push_probe(), None);
    assert_eq!(text(&next).as_deref(), Some("250 next"));
    assert_eq!((taken(&mut parts), text(&gone)), ((String::new(), None), None));
    assert_eq!(tor.give_up(whole), GivenUp::Answered);
}

#[test]
fn a_reply_that_began_in_step_is_its_callers_though_another_gives_up() {
    let mut tor = Connection::new();
    let ((_, first), (late, _receiver)) = (tor.push(), tor.push());
    tor.feed("250-a=1\r\n").unwrap();
    assert_eq!(tor.give_up(late), GivenUp::Probing);
    tor.feed("250 OK\r\n").unwrap();
    assert_eq!(text(&first).as_deref(), Some("250-a=1\r\n250 OK"));
    let nonce = tor.push_probe().unwrap();
    tor.feed(format!("250 late\r\n{}", refusal(nonce))).unwrap();
}

#[test]
fn a_reply_that_nobody_wants_any_more_may_have_any_length() {
    let mut tor = Connection::with(ROOM, Limits { line: 100, reply: 100 });
    let ((whole, _gone), (_, parts)) = (tor.push(), tor.push_parts());
    tor.feed("250+a=\r\n").unwrap();
    tor.give_up(whole);
    drop(parts);
    for _ in 0..2 {
        for _ in 0..100 {
            tor.feed("0123456789\r\n").unwrap();
        }
        tor.feed(".\r\n250 OK\r\n250+b=\r\n").unwrap_or_else(|error| {
            assert_eq!(error.to_string(), UNASKED, "after the second");
        });
    }
}

#[test]
fn held_replies_have_a_bound_and_those_beyond_it_fail_alone() {
    let limits = BufferLimits { memory: 8, file: 16 };
    let mut tor = Connection::with(limits, Limits::default());
    let (late, _receiver) = tor.push();
    let ((_, small), (_, large), (_, mut stream)) = (tor.push(), tor.push(), tor.push_parts());
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    tor.feed("250 l\r\n250 a\r\n250+b=\r\n").unwrap();
    tor.feed("0123456789\r\n").unwrap();
    tor.feed(".\r\n250 OK\r\n250 c\r\n").unwrap();
    tor.feed(format!("{}250 next\r\n", refusal(nonce))).unwrap();
    assert_eq!(text(&small).as_deref(), Some("250 a"));
    let full = BufferProblem::Full { limit: 16 }.to_string();
    assert_eq!(reason(&large).as_deref(), Some(&*full));
    assert_eq!(taken(&mut stream), ("250 c\r\n".to_owned(), Some(Ok(()))));
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn a_held_reply_over_the_limit_for_replies_ends_the_connection_as_any_other() {
    let mut tor = Connection::with(ROOM, Limits { line: 100, reply: 100 });
    let ((late, _gone), (_, whole)) = (tor.push(), tor.push());
    tor.give_up(late);
    let nonce = tor.push_probe().unwrap();
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
fn a_slow_caller_fails_alone_when_its_reply_does_not_fit() {
    let limits = BufferLimits { memory: 16, file: 24 };
    let mut tor = Connection::with(limits, Limits::default());
    let ((_, mut stream), (_, next)) = (tor.push_parts(), tor.push());
    tor.feed("250+a=\r\n").unwrap();
    tor.feed("0123456789\r\n").unwrap();
    assert_eq!(taken(&mut stream).0, "250+a=\r\n0123456789\r\n", "there is room again");
    for _ in 0..3 {
        tor.feed("0123456789\r\n").unwrap();
    }
    assert_eq!(taken(&mut stream), ("0123456789\r\n".repeat(3), None));
    for _ in 0..4 {
        tor.feed("0123456789\r\n").unwrap();
    }
    let full = BufferProblem::Full { limit: 24 }.to_string();
    assert_eq!(taken(&mut stream), (String::new(), Some(Err(full))));
    tor.feed(".\r\n250 OK\r\n250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn a_wait_for_lines_ends_at_its_deadline() {
    let tor = Connection::new();
    let (_, mut parts) = tor.push_parts();
    let begin = Instant::now();
    assert!(parts.next(Vec::new(), begin + Duration::from_millis(20)).is_none());
    assert!(begin.elapsed() >= Duration::from_millis(20));
}

#[test]
fn many_commands_may_be_outstanding_when_callers_give_up() {
    // Each held reply, and each caller that gave up, looked at every slot of the queue.
    const COUNT: usize = 100_000;
    let begin = Instant::now();
    let mut tor = Connection::new();
    let callers: Vec<_> = (0..COUNT).map(|_| tor.push()).collect();
    let (impatient, patient) = callers.split_at(COUNT / 2);
    for (id, _) in impatient.iter().rev() {
        tor.give_up(*id);
    }
    let nonce = tor.push_probe().unwrap();
    for _ in 0..COUNT / 1000 {
        tor.feed("250 OK\r\n".repeat(1000)).unwrap();
    }
    tor.feed(refusal(nonce)).unwrap();
    assert!(patient.iter().all(|(_, receiver)| text(receiver).as_deref() == Some("250 OK")));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
