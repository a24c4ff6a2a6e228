//! A property test of the outbox: the wire has whole requests in the order of their slots.

use proptest::prelude::*;

use super::super::reply_channel::{ReplyReceiver, reply_channel};
use super::super::router::SlotId;
use super::{KEPT, Outbox, Owner, Removal};
use crate::wire::Wiped;

#[derive(Clone, Debug)]
enum Step {
    /// A caller appends a request of this length, and becomes the writer if there is none.
    Append(usize),
    /// The writer takes the batch.
    Take,
    /// The socket accepts this number of bytes of the batch.
    Write(usize),
    /// The caller of a request times out.
    TimeOut(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..9_usize).prop_map(Step::Append),
        3 => Just(Step::Take),
        3 => (0..30_usize).prop_map(Step::Write),
        2 => (0..8_usize).prop_map(Step::TimeOut),
    ]
}

struct Caller {
    id: SlotId,
    request: Vec<u8>,
    channel: Option<ReplyReceiver>,
    removal: Option<Removal>,
}

#[derive(Default)]
struct World {
    outbox: Outbox,
    callers: Vec<Caller>,
    taken: Option<Wiped>,
    /// The caller that is the writer.
    writer: Option<usize>,
    wire: Vec<u8>,
}

impl World {
    fn append(&mut self, length: usize) {
        let index = self.callers.len();
        let id = SlotId::from(u64::try_from(index).unwrap());
        let (sender, channel) = reply_channel();
        let request: Vec<u8> = vec![u8::try_from(index).unwrap(); length];
        self.outbox.bytes().extend_from_slice(&request);
        let owner = Owner { sender, waits_for_write: false };
        self.outbox.append(id, length, self.outbox.has_writer().then_some(owner));
        if self.outbox.enter() {
            self.writer = Some(index);
        }
        self.callers.push(Caller { id, request, channel: Some(channel), removal: None });
    }

    /// Lets the caller that was woken become the writer.
    fn find_writer(&mut self) {
        if self.writer.is_none() {
            let turn = |caller: &Caller| self.outbox.take_turn(caller.id);
            self.writer = self.callers.iter().position(turn);
        }
    }

    fn take(&mut self) {
        self.find_writer();
        if self.writer.is_some() && self.taken.is_none() {
            self.taken = Some(self.outbox.take());
        }
    }

    fn write(&mut self, most: usize) {
        let (Some(taken), Some(writer)) = (self.taken.take(), self.writer) else { return };
        let written = most.min(taken.len());
        self.wire.extend_from_slice(&taken[..written]);
        self.outbox.written(taken, written);
        if !self.outbox.contains(self.callers[writer].id) {
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.outbox.leave();
        self.writer = None;
    }

    fn time_out(&mut self, n: usize) {
        let waiting = |caller: &Caller| caller.channel.is_some();
        let indices: Vec<_> =
            (0..self.callers.len()).filter(|index| waiting(&self.callers[*index])).collect();
        let Some(index) = indices.get(n % indices.len().max(1)).copied() else { return };
        if self.writer == Some(index) && self.taken.is_some() {
            return;
        }
        let caller = &mut self.callers[index];
        let removal = self.outbox.remove(caller.id);
        self.outbox.decline_turn(caller.id);
        caller.channel = None;
        caller.removal = Some(removal);
        if self.writer == Some(index) {
            self.leave();
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let remains = |caller: &&Caller| caller.removal != Some(Removal::Removed);
        let whole: Vec<u8> =
            self.callers.iter().filter(remains).flat_map(|caller| caller.request.clone()).collect();
        prop_assert!(whole.starts_with(&self.wire), "{:?} of {:?}", self.wire, whole);
        // No caller waits for a request that has no writer.
        let waits = |caller: &Caller| caller.channel.is_some() && self.outbox.contains(caller.id);
        prop_assert!(self.outbox.has_writer() || !self.callers.iter().any(waits));
        Ok(())
    }
}

/// Appends a request of four bytes.
fn append(outbox: &mut Outbox, id: u64, owner: Option<Owner>) -> SlotId {
    outbox.bytes().extend_from_slice(b"abcd");
    outbox.append(id.into(), 4, owner);
    id.into()
}

#[test]
fn a_caller_that_left_while_its_request_was_being_written_gets_no_turn() {
    // If the writer then wrote only a part, a caller that kept its ticket without waiting had the turn
    // forever, and no command was written any more.
    let mut outbox = Outbox::default();
    append(&mut outbox, 0, None);
    assert!(outbox.enter());
    let (sender, _channel) = reply_channel();
    let id = append(&mut outbox, 1, Some(Owner { sender, waits_for_write: true }));
    let taken = outbox.take();
    assert_eq!(outbox.remove(id), Removal::Written);
    outbox.written(taken, 6);
    outbox.leave();
    assert!(!outbox.has_writer());
    // The next caller writes the rest.
    append(&mut outbox, 2, None);
    assert!(outbox.enter());
    assert_eq!(&*outbox.take(), b"cdabcd");
}

#[test]
fn a_request_is_unwritten_until_the_writer_has_taken_it() {
    let mut outbox = Outbox::default();
    let first = append(&mut outbox, 0, None);
    assert!(outbox.enter() && outbox.is_unwritten(first));
    let taken = outbox.take();
    let second = append(&mut outbox, 1, None);
    assert_eq!([first, second].map(|id| outbox.is_unwritten(id)), [false, true]);
    outbox.written(taken, 1);
    assert_eq!([first, second].map(|id| outbox.is_unwritten(id)), [false, true]);
    let taken = outbox.take();
    outbox.written(taken, 3);
    assert_eq!([first, second].map(|id| outbox.is_unwritten(id)), [false, true]);
}

#[test]
fn the_turn_is_that_of_one_owner_which_takes_it_or_declines_it() {
    let mut outbox = Outbox::default();
    append(&mut outbox, 0, None);
    assert!(outbox.enter() && outbox.has_writer());
    let channels: Vec<_> = (1..4)
        .map(|id| {
            let (sender, channel) = reply_channel();
            append(&mut outbox, id, Some(Owner { sender, waits_for_write: false }));
            channel
        })
        .collect();
    let turn = |outbox: &mut Outbox| {
        (0..4_u64).filter(|id| outbox.take_turn((*id).into())).collect::<Vec<_>>()
    };
    assert!(turn(&mut outbox).is_empty(), "there is a writer");
    let taken = outbox.take();
    outbox.written(taken, 4);
    outbox.leave();
    outbox.decline_turn(2.into());
    assert_eq!(outbox.remove(1.into()), Removal::Removed);
    outbox.decline_turn(1.into());
    assert_eq!(turn(&mut outbox), [2]);
    outbox.leave();
    assert!(!outbox.enter(), "the owner has the turn");
    drop(channels);
}

#[test]
fn the_buffer_of_a_short_request_is_used_again_and_a_long_one_freed() {
    for (length, is_kept) in [(4, true), (2 * KEPT, false)] {
        let mut outbox = Outbox::default();
        outbox.bytes().extend_from_slice(&vec![b'a'; length]);
        outbox.append(0.into(), length, None);
        assert!(outbox.enter());
        let taken = outbox.take();
        outbox.written(taken, length);
        assert_eq!(outbox.spare.capacity() > 0, is_kept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_wire_has_whole_requests_in_the_order_of_their_slots(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Append(length) => world.append(length),
                Step::Take => world.take(),
                Step::Write(most) => world.write(most),
                Step::TimeOut(n) => world.time_out(n),
            }
            world.check()?;
        }
        // A last caller, as the next command, writes what is left.
        world.append(3);
        while !world.outbox.is_empty() {
            world.take();
            world.write(7);
            world.check()?;
        }
        let written: usize =
            world.callers.iter().filter(|caller| caller.removal != Some(Removal::Removed))
                .map(|caller| caller.request.len()).sum();
        prop_assert_eq!(world.wire.len(), written);
    }
}
