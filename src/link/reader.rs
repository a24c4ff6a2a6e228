//! The body of the reader thread: frames what comes, and hands it on.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::Shared;
use super::backlog::BacklogSender;
use super::dispatcher::Chunk;
use super::router::RawReply;
use super::transport::Stream;
use crate::error::{Disconnect, ProtocolError};
use crate::wire::{Frame, Limits, Piece};

/// Everything the reader thread owns.
pub(super) struct Reader {
    stream: Stream,
    shared: Arc<Shared>,
    events: BacklogSender<Chunk>,
    frame: Frame,
    /// How many events have come on this connection.
    event_count: u64,
    /// Where whole events stand in the frame one behind the other, not handed over yet, and
    /// where each of them ends, counted from the first.
    run: Range<usize>,
    ends: Vec<usize>,
}

impl Reader {
    pub(super) fn new(
        stream: Stream,
        shared: Arc<Shared>,
        events: BacklogSender<Chunk>,
        limits: Limits,
    ) -> Self {
        let frame = Frame::new(limits);
        Self { stream, shared, events, frame, event_count: 0, run: 0..0, ends: Vec::new() }
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
        if self.events.dropped() > 0 {
            log::warn!("{} events were dropped at the end", self.events.dropped());
        }
    }

    /// Reads once, and hands on every whole message.
    fn turn(&mut self) -> Result<(), Disconnect> {
        let read = match (&self.stream).read(self.frame.space()) {
            Ok(0) => return Err(self.end_of_stream()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                log::debug!("tor reset the connection");
                return Err(self.end_of_stream());
            }
            Err(error) => return Err(Disconnect::Read(Arc::new(error))),
        };
        self.frame.fill(read);
        let outcome = self.hand_over();
        self.hand_over_events();
        // tor reads again, perhaps, after it had left no room for a probe.
        self.shared.send_owed_probe();
        outcome
    }

    fn hand_over(&mut self) -> Result<(), Disconnect> {
        while let Some(piece) = self.frame.next()? {
            match piece {
                Piece::Event(range) => self.gather(&range),
                Piece::Reply(range) => {
                    // The frame may give its buffer away with the reply.
                    self.hand_over_events();
                    let bytes = self.frame.reply_bytes(&range);
                    log::trace!("reply of {} bytes", bytes.len());
                    let reply = RawReply { bytes, events_before: self.event_count };
                    self.shared.router.lock().deliver(reply)?;
                }
            }
        }
        if self.frame.is_inside_reply() {
            let parts = self.shared.router.lock().parts();
            if let Some(parts) = parts {
                // Events that came before go first: the caller may be slow.
                self.hand_over_events();
                if let Some(part) = self.frame.take_part() {
                    parts.send(part, &self.shared.submitted);
                }
            }
        }
        Ok(())
    }

    fn gather(&mut self, range: &Range<usize>) {
        let bytes = self.frame.bytes(range);
        self.shared.taps.event(self.event_count, bytes);
        self.event_count += 1;
        if !self.shared.dispatcher.is_wanted() {
            return;
        }
        if self.ends.is_empty() || self.run.end != range.start {
            self.hand_over_events();
            self.run = range.start..range.start;
        }
        self.run.end = range.end;
        self.ends.push(range.end - self.run.start);
    }

    /// Gives the events of this read to the event thread, as one chunk unless something stood
    /// between them.
    fn hand_over_events(&mut self) {
        // Those that do not fit are lost, but not the others with them.
        let room = self.events.room();
        let fitting = self.ends.partition_point(|end| *end <= room);
        let lost = self.ends.len() - fitting;
        self.ends.truncate(fitting);
        if let Some(size) = self.ends.last().copied() {
            let bytes = self.frame.bytes(&(self.run.start..self.run.start + size)).into();
            let count = u64::try_from(fitting).unwrap_or(u64::MAX);
            self.events.send(Chunk { bytes, ends: self.ends.clone() }, size, count);
        }
        if lost > 0 {
            if self.events.dropped() == 0 {
                log::warn!("listeners are too slow: events are being dropped");
            }
            self.events.lose(u64::try_from(lost).unwrap_or(u64::MAX));
        }
        self.ends.clear();
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

/// Ends the connection for everyone even if the reader panics.
struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(&Disconnect::ReaderFailed);
    }
}
