//! The pipe of a reply that its caller receives in parts, as it arrives.

use std::sync::Arc;
use std::time::Instant;

use memchr::memrchr;

use super::router::NoReply;
use super::spool::{BufferLimits, Next, Spool};
use crate::clock;
use crate::sync::{Condvar, Mutex};

/// The limits of the spool of a closed pipe.
const CLOSED: BufferLimits = BufferLimits { memory: 0, file: 0 };

/// The sending end, for the reader thread. Its lock is a leaf.
#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Debug)]
struct State {
    spool: Spool,
    /// Set when the reply is complete or failed.
    end: Option<Result<(), NoReply>>,
    /// Whether the receiving end was dropped.
    is_abandoned: bool,
}

/// The receiving end, for the caller. Dropping it discards the rest of the reply.
#[derive(Debug)]
pub(super) struct PipeReader {
    pipe: Arc<Pipe>,
    /// The beginning of a line whose end has not been read from the file yet.
    rest: Vec<u8>,
}

/// The next part of a reply.
#[derive(Debug)]
pub(super) enum Part {
    /// Whole lines.
    Lines(Vec<u8>),
    /// The reply is complete, or failed.
    End(Result<(), NoReply>),
    /// The deadline passed.
    TimedOut,
}

/// Creates a pipe for one reply.
pub(super) fn pipe(limits: BufferLimits) -> (Arc<Pipe>, PipeReader) {
    let state = State { spool: Spool::new(limits), end: None, is_abandoned: false };
    let pipe = Arc::new(Pipe { state: Mutex::new(state), ready: Condvar::new() });
    let reader = PipeReader { pipe: Arc::clone(&pipe), rest: Vec::new() };
    (pipe, reader)
}

impl Pipe {
    /// Adds whole lines. Does not wait for the caller.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut state = self.state.lock();
        if state.is_abandoned || state.end.is_some() {
            return;
        }
        let outcome = match state.spool.reserve(lines) {
            Ok(None) => Ok(()),
            Ok(Some(region)) => {
                // The file is written without the lock, so that the caller can read meanwhile.
                drop(state);
                let file = region.write(lines);
                state = self.state.lock();
                file.map(|file| state.spool.written(file, lines.len()))
            }
            Err(problem) => Err(problem),
        };
        let lost = outcome.map_err(|problem| {
            state.end = Some(Err(NoReply::Buffer(problem)));
            std::mem::replace(&mut state.spool, Spool::new(CLOSED))
        });
        drop(state);
        self.ready.notify_one();
        // Without the lock, since closing a large file is slow.
        drop(lost);
    }

    /// Sets the content, for a reply that was held.
    pub(super) fn fill(&self, spool: Spool) {
        self.state.lock().spool = spool;
    }

    /// Ends the reply. The first outcome counts.
    pub(super) fn end(&self, outcome: Result<(), NoReply>) {
        self.state.lock().end.get_or_insert(outcome);
        self.ready.notify_one();
    }
}

impl PipeReader {
    /// Waits for the next part. `lines` is a buffer to reuse.
    pub(super) fn next(&mut self, mut lines: Vec<u8>, deadline: Instant) -> Part {
        lines.clear();
        let mut state = self.pipe.state.lock();
        loop {
            match state.spool.next(&mut lines) {
                Next::Taken => return Part::Lines(lines),
                Next::File(region) => {
                    drop(state);
                    lines = std::mem::take(&mut self.rest);
                    let searched = lines.len();
                    if let Err(problem) = region.read(&mut lines) {
                        return Part::End(Err(NoReply::Buffer(problem)));
                    }
                    self.pipe.state.lock().spool.consumed(&region);
                    let read = lines.get(searched..).unwrap_or_default();
                    let end = memrchr(b'\n', read).map_or(0, |at| searched + at + 1);
                    self.rest = lines.split_off(end);
                    if end > 0 {
                        return Part::Lines(lines);
                    }
                    state = self.pipe.state.lock();
                }
                Next::Nothing => {
                    if let Some(end) = &state.end {
                        return Part::End(end.clone());
                    }
                    if clock::wait_until(&self.pipe.ready, &mut state, deadline)
                        && state.spool.is_empty()
                        && state.end.is_none()
                    {
                        return Part::TimedOut;
                    }
                }
            }
        }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        state.is_abandoned = true;
        let spool = std::mem::replace(&mut state.spool, Spool::new(CLOSED));
        drop(state);
        drop(spool);
    }
}

#[cfg(test)]
mod tests;
