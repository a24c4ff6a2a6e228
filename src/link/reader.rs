//! The body of the reader thread: frames what comes, and hands it on.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::backlog::BacklogSender;
use super::dispatcher::{Chunk, LostEvents};
use super::hook::{EventHook, RawEvent, keyword};
use super::intake::Intake;
use super::registry::{KindCache, Members};
use super::transport::Stream;
use super::{LinkLimits, Shared};
use crate::error::{Disconnect, ProtocolError};
use crate::event::EventKind;
use crate::wire::{Frame, Limits, Piece};

/// Everything the reader thread owns.
pub(super) struct Reader {
    stream: Stream,
    shared: Arc<Shared>,
    events: BacklogSender<Chunk, LostEvents>,
    frame: Frame,
    intake: Intake,
    /// How many events have come on this connection.
    event_count: u64,
    /// The limits that hold once tor has accepted the authentication, until they are set.
    limits: Option<Limits>,
    /// Where whole events stand in the frame one behind the other, not handed over yet, and
    /// where each of them ends, counted from the first.
    run: Range<usize>,
    ends: Vec<usize>,
    /// How many of these there are up to the last that a listener wants.
    wanted: usize,
    /// Who wants the kinds of the events of this read.
    wants: KindCache<Wants>,
}

/// Who wants events of one kind.
struct Wants {
    hooks: Option<Members<dyn EventHook>>,
    /// Whether a listener does.
    listeners: bool,
}

impl Reader {
    pub(super) fn new(
        stream: Stream,
        shared: Arc<Shared>,
        events: BacklogSender<Chunk, LostEvents>,
        limits: LinkLimits,
    ) -> Self {
        Self {
            stream,
            shared,
            events,
            frame: Frame::new(limits.wire.before_authentication()),
            intake: Intake::new(limits.replies, limits.wire.reply),
            event_count: 0,
            limits: Some(limits.wire),
            run: 0..0,
            ends: Vec::new(),
            wanted: 0,
            wants: KindCache::default(),
        }
    }

    /// Reads until the connection ends, then tells everyone.
    pub(super) fn run(mut self) {
        // Whatever happens here, nobody may be left waiting.
        let _end = EndOnDrop(Arc::clone(&self.shared));
        let reason = loop {
            if let Err(reason) = self.turn() {
                break reason;
            }
        };
        self.hand_over_events();
        self.shared.end(&reason);
    }

    /// Reads once, and hands on every whole message.
    fn turn(&mut self) -> Result<(), Disconnect> {
        let read = match (&self.stream).read(self.frame.space()) {
            Ok(0) => return Err(self.end_of_stream()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Err(self.end_of_stream());
            }
            Err(error) => return Err(Disconnect::Read(Arc::new(error))),
        };
        if self.shared.dispatcher.is_discarding() {
            return Err(Disconnect::Closed);
        }
        if self.shared.is_authenticated.load(Ordering::Acquire) {
            if let Some(limits) = self.limits.take() {
                self.frame.set_authenticated(limits);
            }
        }
        self.frame.fill(read);
        let outcome = self.hand_over();
        self.hand_over_events();
        // A hook that is removed must not live until tor sends again.
        self.wants.clear();
        // tor reads again, perhaps, after it had left no room for a probe.
        self.shared.send_owed_probe();
        outcome
    }

    fn hand_over(&mut self) -> Result<(), Disconnect> {
        while let Some(piece) = self.frame.next()? {
            match piece {
                Piece::Event(range) => self.gather(&range),
                Piece::Stray(range) => self.drop_stray(&range)?,
                Piece::Reply(range) => {
                    // The frame may give its buffer away with the reply.
                    self.hand_over_events();
                    let router = &self.shared.router;
                    self.intake.complete(router, &mut self.frame, &range, self.event_count)?;
                }
            }
        }
        if self.frame.is_inside_reply() {
            self.intake.lines(&self.shared.router, &mut self.frame)?;
        }
        Ok(())
    }

    /// Tells the hooks of an event, and keeps it for the event thread if a listener wants it.
    fn gather(&mut self, range: &Range<usize>) {
        let number = self.event_count;
        self.event_count += 1;
        let shared = &self.shared;
        if !shared.hooks.any() && !shared.dispatcher.any() {
            return;
        }
        let bytes = self.frame.bytes(range);
        let found = self.wants.get(keyword(bytes), |kind| Wants::of(shared, kind));
        let Some((_, wants)) = found else { return };
        if let Some(hooks) = &wants.hooks {
            let event = RawEvent::read(number, bytes, shared);
            for hook in &**hooks {
                hook.event(&event);
            }
        }
        let wanted = wants.listeners;
        if self.ends.is_empty() || self.run.end != range.start {
            self.hand_over_events();
            self.run = range.start..range.start;
            if !wanted {
                return;
            }
        }
        // One that nobody wants stays between two that are wanted: they are handed over together.
        self.run.end = range.end;
        self.ends.push(range.end - self.run.start);
        if wanted {
            self.wanted = self.ends.len();
        }
    }

    /// Drops a line without a status code, and tells the hooks and the event thread of it: a filter
    /// may have replaced any event by it.
    fn drop_stray(&mut self, range: &Range<usize>) -> Result<(), Disconnect> {
        self.hand_over_events();
        let bytes = self.frame.bytes(range);
        let shared = &self.shared;
        shared.router.lock().stray_line(bytes)?;
        let event = RawEvent::read(self.event_count, bytes, shared);
        for hook in shared.hooks.all() {
            hook.event(&event);
        }
        self.event_count += 1;
        let chunk = Chunk { bytes: bytes.into(), ends: vec![bytes.len()] };
        let size = Chunk::size(bytes.len(), 1);
        let mut lost = LostEvents::default();
        lost.count(&EventKind::from_bytes(b""), 1);
        if shared.wait_for_room(&mut self.events, size) {
            let _ = self.events.send(chunk, size, lost);
        } else {
            self.events.lose(lost);
        }
        Ok(())
    }

    /// Gives the events of this read to the event thread, as one chunk unless something stood
    /// between them or there is no room.
    fn hand_over_events(&mut self) {
        self.ends.truncate(self.wanted);
        let mut sent = 0;
        while sent < self.ends.len() {
            let fitting = self.fitting(sent);
            if fitting > 0 {
                self.send_events(sent..sent + fitting);
                sent += fitting;
            } else if !self.wait_for_room(sent) {
                // These are lost, but not the others with them.
                self.lose_events(sent);
                break;
            }
        }
        self.ends.clear();
        self.wanted = 0;
    }

    /// Returns how many of the events from this one on fit into the queue.
    fn fitting(&self, first: usize) -> usize {
        let room = self.events.room();
        let begin = self.begin(first);
        let rest = self.ends.get(first..).unwrap_or_default();
        if rest.last().is_some_and(|end| Chunk::size(end - begin, rest.len()) <= room) {
            return rest.len();
        }
        let fits = |(before, end): &(usize, &usize)| Chunk::size(**end - begin, before + 1) <= room;
        match rest.iter().enumerate().take_while(fits).count() {
            0 => usize::from(self.events.fits(self.size(first))),
            fitting => fitting,
        }
    }

    /// Returns how much an event takes in the queue on its own.
    fn size(&self, event: usize) -> usize {
        Chunk::size(self.begin(event + 1) - self.begin(event), 1)
    }

    /// Returns where an event begins, counted from the first.
    fn begin(&self, event: usize) -> usize {
        event.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    fn send_events(&mut self, events: Range<usize>) {
        let (begin, end) = (self.begin(events.start), self.begin(events.end));
        let ends = self.ends.get(events).unwrap_or_default();
        let ends: Vec<_> = ends.iter().map(|end| end - begin).collect();
        let bytes = self.frame.bytes(&(self.run.start + begin..self.run.start + end)).into();
        let size = Chunk::size(end - begin, ends.len());
        // It fits. If nobody takes it any more, nobody wants it.
        let _ = self.events.send(Chunk { bytes, ends }, size, LostEvents::default());
    }

    /// Waits for room for an event, but only as long as no caller waits for a reply.
    fn wait_for_room(&mut self, event: usize) -> bool {
        let size = self.size(event);
        self.shared.wait_for_room(&mut self.events, size)
    }

    /// Counts the events from this one on as lost.
    fn lose_events(&mut self, first: usize) {
        let mut lost = LostEvents::default();
        let mut begin = self.begin(first);
        let shared = &self.shared;
        for end in self.ends.get(first..).unwrap_or_default() {
            let bytes = self.frame.bytes(&(self.run.start + begin..self.run.start + end));
            begin = *end;
            let found = self.wants.get(keyword(bytes), |kind| Wants::of(shared, kind));
            if let Some((kind, Wants { listeners: true, .. })) = found {
                lost.count(kind, 1);
            }
        }
        if !lost.is_empty() {
            self.events.lose(lost);
        }
    }

    /// What the end of the stream means: the end, or a peer of the wrong kind that stopped in the
    /// middle of its first line.
    fn end_of_stream(&self) -> Disconnect {
        match self.frame.rest() {
            rest if !self.frame.is_inside_message()
                && rest.first().is_some_and(|first| !first.is_ascii_digit()) =>
            {
                Disconnect::Protocol(ProtocolError::new("a line", "a status code", rest))
            }
            _ => Disconnect::EndOfStream,
        }
    }
}

impl Wants {
    fn of(shared: &Shared, kind: &EventKind) -> Self {
        Self { hooks: shared.hooks.of(kind), listeners: shared.dispatcher.wants(kind) }
    }
}

/// Ends the connection for everyone even if the reader panics.
struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(&Disconnect::ReaderFailed);
    }
}
