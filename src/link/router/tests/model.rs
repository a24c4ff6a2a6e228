//! A property test of the router against a model that knows the owner of each reply.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::super::super::pipe::PipeReader;
use super::super::super::reply_channel::ReplyReceiver;
use super::super::super::spool::BufferLimits;
use super::super::{CancelOutcome, SlotId};
use super::{Connection, read_available, refusal, text};
use crate::error::Disconnect;
use crate::wire::Limits;

/// A step. The index of a caller is taken modulo the number of waiting callers.
#[derive(Clone, Debug)]
enum Step {
    /// A caller sends a command whose reply has this number of data lines.
    Send {
        in_parts: bool,
        lines: usize,
    },
    /// A caller pushes a slot, but cannot write its command.
    FailToSend,
    /// A caller times out.
    Cancel(usize),
    /// A caller reads the available lines.
    Take(usize),
    /// A caller that reads parts drops its reader.
    Leave(usize),
    /// The connection sends a probe if one is owed.
    Probe,
    /// tor answers the next command, or, if it is canceled and `or_never`, does not.
    Answer {
        or_never: bool,
    },
    /// The reader gets this number of bytes.
    Arrive(usize),
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), 0..6_usize)
            .prop_map(|(in_parts, lines)| Step::Send { in_parts, lines }),
        1 => Just(Step::FailToSend),
        2 => (0..8_usize).prop_map(Step::Cancel),
        2 => (0..8_usize).prop_map(Step::Take),
        1 => (0..8_usize).prop_map(Step::Leave),
        4 => Just(Step::Probe),
        6 => prop::bool::weighted(0.2).prop_map(|or_never| Step::Answer { or_never }),
        9 => prop_oneof![1..12_usize, 10..90_usize].prop_map(Step::Arrive),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop::option::weighted(0.1, Just(Step::End));
    (prop::collection::vec(step(), 1..120), end)
        .prop_map(|(steps, end)| steps.into_iter().chain(end).collect())
}

enum Kind {
    Whole(ReplyReceiver),
    Parts(PipeReader),
    /// It dropped its reader.
    Left,
}

struct Caller {
    id: SlotId,
    kind: Kind,
    reply: String,
    /// The part of the reply that it received.
    received: String,
    is_complete: bool,
    is_canceled: bool,
}

impl Caller {
    /// Reads the available lines, and checks that they belong to this caller.
    fn take(&mut self) -> Result<(), TestCaseError> {
        match &mut self.kind {
            Kind::Whole(receiver) => {
                if let Some(text) = text(receiver) {
                    self.received = format!("{text}\r\n");
                    self.is_complete = true;
                }
            }
            Kind::Parts(parts) => {
                let (lines, end) = read_available(parts);
                self.received.push_str(&lines);
                self.is_complete |= end == Some(Ok(()));
            }
            Kind::Left => {}
        }
        prop_assert!(
            self.reply.starts_with(&self.received),
            "{:?} got {:?}",
            self.reply,
            self.received
        );
        prop_assert!(!self.is_complete || self.received == self.reply);
        Ok(())
    }

    fn is_waiting(&self) -> bool {
        !self.is_canceled && !self.is_complete && !matches!(self.kind, Kind::Left)
    }
}

/// A command that tor has not answered.
enum Command {
    Of(usize),
    Probe(u64),
}

struct World {
    connection: Connection,
    callers: Vec<Caller>,
    unanswered: VecDeque<Command>,
    /// The bytes between tor and the reader.
    wire: VecDeque<u8>,
    /// Whether tor left a command unanswered.
    is_lossy: bool,
    has_ended: bool,
}

impl World {
    fn new() -> Self {
        let limits = BufferLimits { memory: 40, file: 1 << 20 };
        Self {
            connection: Connection::with(limits, Limits::default()),
            callers: Vec::new(),
            unanswered: VecDeque::new(),
            wire: VecDeque::new(),
            is_lossy: false,
            has_ended: false,
        }
    }

    fn send(&mut self, in_parts: bool, lines: usize) {
        let n = self.callers.len();
        let (id, kind) = if in_parts {
            let (id, parts) = self.connection.push_parts();
            (id, Kind::Parts(parts))
        } else {
            let (id, receiver) = self.connection.push();
            (id, Kind::Whole(receiver))
        };
        let body: String = (0..lines).map(|line| format!("{n}/{line}\r\n")).collect();
        let reply = match lines {
            0 => format!("250 {n}\r\n"),
            1 => format!("250-{n}=\r\n250 OK\r\n"),
            _ => format!("250+{n}=\r\n{body}.\r\n250 OK\r\n"),
        };
        let (received, is_complete, is_canceled) = (String::new(), false, false);
        self.callers.push(Caller { id, kind, reply, received, is_complete, is_canceled });
        self.unanswered.push_back(Command::Of(n));
    }

    fn probe(&mut self) {
        if let Some(nonce) = self.connection.push_probe() {
            self.unanswered.push_back(Command::Probe(nonce));
        }
    }

    fn answer(&mut self, or_never: bool) {
        match self.unanswered.pop_front() {
            None => {}
            Some(Command::Probe(nonce)) => self.wire.extend(refusal(nonce).bytes()),
            Some(Command::Of(n)) if or_never && self.callers[n].is_canceled => self.is_lossy = true,
            Some(Command::Of(n)) => self.wire.extend(self.callers[n].reply.bytes()),
        }
    }

    fn arrive(&mut self, count: usize) -> Result<(), TestCaseError> {
        let bytes: Vec<u8> = self.wire.drain(..count.min(self.wire.len())).collect();
        if let Err(reason) = self.connection.feed(bytes) {
            prop_assert!(self.is_lossy, "{}, though every command was answered", reason);
            prop_assert!(matches!(reason, Disconnect::OutOfStep { .. }), "{}", reason);
            self.end(&reason);
        }
        Ok(())
    }

    fn end(&mut self, reason: &Disconnect) {
        self.connection.end(reason);
        self.has_ended = true;
    }

    fn waiting(&self, n: usize) -> Option<usize> {
        let waiting = self.callers.iter().enumerate().filter(|(_, caller)| caller.is_waiting());
        let waiting: Vec<_> = waiting.map(|(index, _)| index).collect();
        (!waiting.is_empty()).then(|| waiting[n % waiting.len()])
    }

    fn cancel(&mut self, index: usize) -> Result<(), TestCaseError> {
        let outcome = self.connection.cancel(self.callers[index].id);
        let caller = &mut self.callers[index];
        caller.take()?;
        prop_assert_eq!(outcome == CancelOutcome::Complete, caller.is_complete);
        caller.is_canceled = true;
        Ok(())
    }

    fn play(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Send { in_parts, lines } => self.send(in_parts, lines),
            Step::FailToSend => {
                // A probe that is owed precedes the command.
                self.probe();
                let (id, receiver) = self.connection.submit();
                prop_assert_eq!(self.connection.cancel(id), CancelOutcome::Unwritten);
                prop_assert!(receiver.try_receive().is_none());
            }
            Step::Cancel(n) => {
                if let Some(index) = self.waiting(n) {
                    self.cancel(index)?;
                }
            }
            Step::Take(n) => {
                if let Some(index) = self.waiting(n) {
                    self.callers[index].take()?;
                }
            }
            Step::Leave(n) => {
                if let Some(index) = self.waiting(n) {
                    let kind = &mut self.callers[index].kind;
                    if matches!(kind, Kind::Parts(_)) {
                        *kind = Kind::Left;
                    }
                }
            }
            Step::Probe => self.probe(),
            Step::Answer { or_never } => self.answer(or_never),
            Step::Arrive(count) => self.arrive(count)?,
            Step::End => self.end(&Disconnect::EndOfStream),
        }
        Ok(())
    }

    /// Lets all bytes arrive, and checks that every caller has its reply.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        while !self.has_ended {
            self.probe();
            if self.unanswered.is_empty() && self.wire.is_empty() {
                break;
            }
            self.answer(false);
            self.arrive(7)?;
        }
        for caller in &mut self.callers {
            caller.take()?;
            prop_assert!(!caller.is_waiting() || self.has_ended, "{:?}", caller.reply);
        }
        Ok(())
    }
}

proptest! {
    // About fifteen commands in each case.
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn every_caller_gets_its_own_reply_or_none(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            if world.has_ended {
                break;
            }
            world.play(step)?;
        }
        world.finish()?;
    }
}
