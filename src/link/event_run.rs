//! Consecutive events in the reader's buffer, and how they get into the queues.
//!
//! **Invariant**: the events of a run are copied once for all queues that want most of its bytes. A
//! queue that wants less copies its events alone, so that a few events do not keep many in memory.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use super::Connection;
use super::backlog::{BacklogSender, Item};
use super::chunk::{Chunk, Events, KindSet, Mark};
use super::hook::RawEvent;
use crate::event::EventKind;

/// Consecutive events of one read.
pub(super) struct EventRun<'a> {
    connection: &'a Connection,
    bytes: &'a [u8],
    marks: &'a [Mark],
    kinds: &'a [EventKind],
    first: u64,
    /// The number and bytes of the events of each kind.
    totals: [Total; KindSet::MAX],
    /// The copy that queues share.
    shared: OnceCell<Arc<Chunk>>,
}

#[derive(Clone, Copy, Default)]
struct Total {
    events: usize,
    bytes: usize,
}

impl<'a> EventRun<'a> {
    /// Takes a run of marked events, with the number of events before it on the connection.
    pub(super) fn new(
        connection: &'a Connection,
        bytes: &'a [u8],
        marks: &'a [Mark],
        kinds: &'a [EventKind],
        first: u64,
    ) -> Self {
        let mut totals = [Total::default(); KindSet::MAX];
        let mut start = 0;
        for mark in marks {
            if let Some(total) = totals.get_mut(usize::from(mark.kind)) {
                total.events += 1;
                total.bytes += mark.end - start;
            }
            start = mark.end;
        }
        Self { connection, bytes, marks, kinds, first, totals, shared: OnceCell::new() }
    }

    /// Returns the events of some kinds; `None` if there are none.
    pub(super) fn batch(&self, wanted: KindSet) -> Option<EventBatch<'_>> {
        let mut total = Total::default();
        for (kind, of_kind) in (0..).zip(&self.totals) {
            if wanted.contains(kind) {
                total.events += of_kind.events;
                total.bytes += of_kind.bytes;
            }
        }
        (total.events > 0).then_some(EventBatch { run: self, wanted, total })
    }
}

/// The events of a run that one hook or the event thread wants.
pub(crate) struct EventBatch<'a> {
    run: &'a EventRun<'a>,
    wanted: KindSet,
    total: Total,
}

impl<'a> EventBatch<'a> {
    /// Returns the number of events.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.total.events).unwrap_or(u64::MAX)
    }

    /// Returns the events.
    pub(crate) fn events(&self) -> impl Iterator<Item = RawEvent<'a>> {
        let run = self.run;
        self.marks(0).filter_map(move |(_, mark, range)| {
            let number = run.first + u64::from(mark.offset);
            let kind = run.kinds.get(usize::from(mark.kind))?;
            let wire = run.bytes.get(range).unwrap_or_default();
            Some(RawEvent::read(number, kind, wire, run.connection))
        })
    }

    /// Queues the events: together if they fit, otherwise as many as fit. Waits for room for the
    /// others as [`RawEvent::wait_for_room`] does, and counts those that do not fit as lost.
    pub(crate) fn queue<T: Item, L: Default>(
        &self,
        queue: &mut BacklogSender<T, L>,
        item: impl Fn(Events) -> T,
        add_loss: impl Fn(&mut L, &EventKind, u64),
    ) {
        let EventRun { bytes, marks, kinds, .. } = *self.run;
        let size = Chunk::size(bytes.len(), marks.len(), kinds.iter().map(Chunk::kind_size).sum());
        if self.total.bytes >= bytes.len() / 2 && size <= queue.room() {
            let events = Events::new(self.share(), self.wanted, self.total.events);
            // Sending fails only after the receiver has been dropped.
            drop(queue.send(item(events), size));
            return;
        }
        let (mut next, mut left) = (0, self.total.events);
        let kinds_size = self.wanted_kinds().map(Chunk::kind_size).sum();
        while left > 0 {
            let part = self.fitting(next, kinds_size, queue);
            if part.total.events > 0 {
                let size = Chunk::size(part.total.bytes, part.total.events, kinds_size);
                let events = self.copy(next, part);
                if queue.send(item(events), size).is_err() {
                    return;
                }
                left -= part.total.events;
                next = part.end;
            } else if !self.run.connection.wait_for_room(queue, part.next_size) {
                return queue.lose(|lost| self.lose(next, lost, add_loss));
            }
        }
    }

    /// Returns the wanted events from an index on: the index, the mark and the range of each.
    fn marks(&self, from: usize) -> impl Iterator<Item = (usize, Mark, Range<usize>)> + use<'a> {
        let EventRun { marks, .. } = *self.run;
        let wanted = self.wanted;
        let mut start =
            from.checked_sub(1).and_then(|before| marks.get(before)).map_or(0, |it| it.end);
        let marks = marks.iter().enumerate().skip(from).map(move |(index, mark)| {
            (index, *mark, std::mem::replace(&mut start, mark.end)..mark.end)
        });
        marks.filter(move |(_, mark, _)| wanted.contains(mark.kind))
    }

    /// Returns the kinds of a copy. The name of an unwanted one may be long, so another kind stands in its
    /// place.
    fn wanted_kinds(&self) -> impl Iterator<Item = &EventKind> {
        let is_wanted = |index| self.wanted.contains(index);
        (0..).zip(self.run.kinds).map(move |(index, kind)| match is_wanted(index) {
            true => kind,
            false => &EventKind::Bw,
        })
    }

    /// Returns as many events from an index on as fit into a queue.
    fn fitting<T, L>(&self, from: usize, kinds_size: usize, queue: &BacklogSender<T, L>) -> Part {
        let room = queue.room();
        let mut part = Part { end: from, total: Total::default(), next_size: 0 };
        for (index, _, range) in self.marks(from) {
            let total =
                Total { events: part.total.events + 1, bytes: part.total.bytes + range.len() };
            let size = Chunk::size(total.bytes, total.events, kinds_size);
            if size > room && !(total.events == 1 && queue.fits(size)) {
                part.next_size = size;
                break;
            }
            (part.end, part.total) = (index + 1, total);
        }
        part
    }

    /// Copies the events of a part.
    fn copy(&self, from: usize, part: Part) -> Events {
        let mut bytes = Vec::with_capacity(part.total.bytes);
        let mut marks = Vec::with_capacity(part.total.events);
        for (_, mark, range) in self.marks(from).take(part.total.events) {
            bytes.extend_from_slice(self.run.bytes.get(range).unwrap_or_default());
            marks.push(Mark { end: bytes.len(), ..mark });
        }
        let chunk = Chunk {
            bytes: bytes.into(),
            marks: marks.into(),
            kinds: self.wanted_kinds().cloned().collect(),
            first: self.run.first,
        };
        Events::new(Arc::new(chunk), self.wanted, part.total.events)
    }

    fn share(&self) -> Arc<Chunk> {
        let EventRun { bytes, marks, kinds, first, .. } = *self.run;
        let copy =
            || Chunk { bytes: bytes.into(), marks: marks.into(), kinds: kinds.into(), first };
        Arc::clone(self.run.shared.get_or_init(|| Arc::new(copy())))
    }

    /// Counts the events from an index on as lost.
    fn lose<L>(&self, from: usize, lost: &mut L, add: impl Fn(&mut L, &EventKind, u64)) {
        let mut counts = [0; KindSet::MAX];
        for (_, mark, _) in self.marks(from) {
            if let Some(count) = counts.get_mut(usize::from(mark.kind)) {
                *count += 1;
            }
        }
        for (kind, count) in self.run.kinds.iter().zip(counts).filter(|(_, count)| *count > 0) {
            add(lost, kind, count);
        }
    }
}

/// Events that fit into a queue.
#[derive(Clone, Copy)]
struct Part {
    /// The index behind the last one.
    end: usize,
    total: Total,
    /// The size of the next event alone, if none fits.
    next_size: usize,
}
