//! Events that were copied out of the reader's buffer, and are shared by the queues that want them.

use std::ops::Range;
use std::sync::Arc;

use super::backlog::Item;
use crate::event::{Event, EventKind, EventText};

/// The place of an event in the bytes of a run or chunk. It begins where the one before it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) end: usize,
    /// The number of events between the first of the run and this one.
    pub(super) offset: u32,
    /// The index of its kind.
    pub(super) kind: u16,
}

/// A set of kinds, by their index in a run or chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KindSet(u32);

impl KindSet {
    /// The maximum number of kinds in a run, since a peer can invent any number of kinds.
    pub(super) const MAX: usize = 32;

    pub(super) fn insert(&mut self, kind: u16) {
        self.0 |= 1_u32.checked_shl(kind.into()).unwrap_or(0);
    }

    #[inline]
    pub(super) fn contains(self, kind: u16) -> bool {
        self.0 & 1_u32.checked_shl(kind.into()).unwrap_or(0) != 0
    }
}

/// Consecutive events, or those of some kinds among them.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Arc<[u8]>,
    pub(super) marks: Box<[Mark]>,
    pub(super) kinds: Box<[EventKind]>,
    /// The number of events on the connection before the first of the run.
    pub(super) first: u64,
}

impl Chunk {
    /// The memory of a chunk beside its bytes, marks and kinds: its entry in a queue, and the headers
    /// of four allocations.
    const OVERHEAD: usize = 208;

    /// Returns the memory that a chunk takes. `kinds` is the sum of their [`kind_size`](Self::kind_size).
    pub(super) fn size(bytes: usize, events: usize, kinds: usize) -> usize {
        let marks = events.saturating_mul(size_of::<Mark>());
        bytes.saturating_add(marks).saturating_add(kinds + Self::OVERHEAD)
    }

    /// Returns the memory that a kind of a chunk takes: an unknown one with its name, which the peer
    /// chooses.
    pub(super) fn kind_size(kind: &EventKind) -> usize {
        let name = if kind.is_recognized() { 0 } else { kind.as_str().len() };
        size_of::<EventKind>() + name
    }

    /// Returns the event at this index.
    fn event(&self, index: usize) -> SequencedEvent {
        let start = index.checked_sub(1).and_then(|before| self.marks.get(before));
        let start = start.map_or(0, |before| before.end);
        let mark =
            self.marks.get(index).copied().unwrap_or(Mark { end: start, offset: 0, kind: 0 });
        SequencedEvent {
            number: self.first + u64::from(mark.offset),
            kind: self.kinds.get(usize::from(mark.kind)).unwrap_or(&EventKind::Bw).clone(),
            text: EventText::from_wire(&self.bytes, start..mark.end),
        }
    }
}

/// An event, and the number of events before it on the connection.
#[derive(Debug)]
pub(crate) struct SequencedEvent {
    pub(crate) number: u64,
    kind: EventKind,
    pub(crate) text: EventText,
}

impl SequencedEvent {
    /// Parses the event.
    pub(crate) fn parse(self) -> Event {
        Event::of_kind(self.kind, self.text)
    }
}

/// The events of a chunk that one queue wants. It keeps the whole chunk in memory.
#[derive(Debug)]
pub(crate) struct Events {
    chunk: Arc<Chunk>,
    wanted: KindSet,
    /// The index of the next event, or of one before it that is not wanted.
    next: usize,
    /// The number of wanted events that were not taken.
    left: usize,
}

impl Events {
    pub(super) fn new(chunk: Arc<Chunk>, wanted: KindSet, count: usize) -> Self {
        Self { chunk, wanted, next: 0, left: count }
    }

    /// Returns the bytes of all events of the chunk.
    pub(super) fn bytes(&self) -> &Arc<[u8]> {
        &self.chunk.bytes
    }

    /// Returns the kinds of the chunk.
    pub(super) fn kinds(&self) -> &[EventKind] {
        &self.chunk.kinds
    }

    /// Returns the groups of consecutive events of one kind: the index of the kind, and the range of
    /// each event.
    pub(super) fn groups(
        &self,
    ) -> impl Iterator<Item = (u16, impl Iterator<Item = Range<usize>> + '_)> {
        let mut start = 0;
        let groups = self.chunk.marks.chunk_by(|mark, next| mark.kind == next.kind);
        groups.filter_map(move |group| {
            let (kind, end) = (group.first()?.kind, group.last()?.end);
            let mut start = std::mem::replace(&mut start, end);
            let ranges =
                group.iter().map(move |mark| std::mem::replace(&mut start, mark.end)..mark.end);
            self.wanted.contains(kind).then_some((kind, ranges))
        })
    }

    fn take(&mut self) -> SequencedEvent {
        let marks = self.chunk.marks.get(self.next..).unwrap_or_default();
        let skipped = marks.iter().take_while(|mark| !self.wanted.contains(mark.kind)).count();
        let index = self.next + skipped;
        self.next = index + 1;
        self.left -= 1;
        self.chunk.event(index)
    }
}

impl Item for Events {
    type Part = SequencedEvent;

    fn parts(&self) -> usize {
        self.left
    }

    fn split(&mut self) -> Option<SequencedEvent> {
        (self.left > 1).then(|| self.take())
    }

    fn into_last(mut self) -> SequencedEvent {
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use super::Chunk;
    use crate::event::EventKind;

    #[test]
    fn a_kind_takes_its_own_memory_and_that_of_an_unknown_name() {
        let size = |name: &str| Chunk::kind_size(&EventKind::from(name));
        assert_eq!(size("BW"), size_of::<EventKind>());
        assert_eq!(size("UNKNOWN_KIND"), size_of::<EventKind>() + "UNKNOWN_KIND".len());
    }
}
