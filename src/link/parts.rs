//! A reply on its way to a caller that takes it in parts, as it comes.

use std::sync::Arc;
use std::time::Instant;

use memchr::memrchr;
use parking_lot::{Condvar, Mutex};

use super::router::NoReply;
use super::spool::{BufferLimits, Next, Spool};

/// The limits of a queue that is not used any more.
const NOTHING: BufferLimits = BufferLimits { memory: 0, file: 0 };

/// What the reader and the caller of one reply share. The lock is a leaf.
#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Debug)]
struct State {
    spool: Spool,
    /// The reply is complete, or this is why it never will be.
    end: Option<Result<(), NoReply>>,
    /// The caller has left.
    is_abandoned: bool,
}

/// The receiving end. When it is dropped, the rest of the reply is discarded.
#[derive(Debug)]
pub(super) struct Parts {
    pipe: Arc<Pipe>,
    /// The beginning of a line whose end has not been read from the file yet.
    rest: Vec<u8>,
}

/// What the caller gets next.
#[derive(Debug)]
pub(super) enum Part {
    /// Whole lines.
    Lines(Vec<u8>),
    /// The reply is complete, or this is why it never will be.
    End(Result<(), NoReply>),
}

/// Returns the two ends for one reply.
pub(super) fn pipe(limits: BufferLimits) -> (Arc<Pipe>, Parts) {
    let state = State { spool: Spool::new(limits), end: None, is_abandoned: false };
    let pipe = Arc::new(Pipe { state: Mutex::new(state), ready: Condvar::new() });
    let parts = Parts { pipe: Arc::clone(&pipe), rest: Vec::new() };
    (pipe, parts)
}

impl Pipe {
    /// Adds whole lines. Never waits for the caller. Only the reader calls this.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut state = self.state.lock();
        if state.is_abandoned || state.end.is_some() {
            return;
        }
        let outcome = match state.spool.place(lines) {
            Ok(None) => Ok(()),
            Ok(Some(place)) => {
                drop(state);
                let file = place.write(lines);
                state = self.state.lock();
                file.map(|file| state.spool.written(file, lines.len()))
            }
            Err(problem) => Err(problem),
        };
        let lost = outcome.map_err(|problem| {
            state.end = Some(Err(NoReply::Buffer(problem)));
            std::mem::replace(&mut state.spool, Spool::new(NOTHING))
        });
        drop(state);
        self.ready.notify_one();
        // Closing a large file takes a while.
        drop(lost);
    }

    /// Puts a whole reply in, which was held back.
    pub(super) fn fill(&self, spool: Spool) {
        self.state.lock().spool = spool;
    }

    /// Says that nothing more will be added, and why. The first reason holds.
    pub(super) fn end(&self, outcome: Result<(), NoReply>) {
        self.state.lock().end.get_or_insert(outcome);
        self.ready.notify_one();
    }
}

impl Parts {
    /// Waits for the next lines, which take the place of `lines`. `None` if the deadline comes
    /// first.
    pub(super) fn next(&mut self, mut lines: Vec<u8>, deadline: Instant) -> Option<Part> {
        lines.clear();
        let mut state = self.pipe.state.lock();
        loop {
            match state.spool.next(&mut lines) {
                Next::Taken => return Some(Part::Lines(lines)),
                Next::File(extent) => {
                    drop(state);
                    lines = std::mem::take(&mut self.rest);
                    let searched = lines.len();
                    if let Err(problem) = extent.read(&mut lines) {
                        return Some(Part::End(Err(NoReply::Buffer(problem))));
                    }
                    self.pipe.state.lock().spool.consumed(&extent);
                    let read = lines.get(searched..).unwrap_or_default();
                    let end = memrchr(b'\n', read).map_or(0, |at| searched + at + 1);
                    self.rest = lines.split_off(end);
                    if end > 0 {
                        return Some(Part::Lines(lines));
                    }
                    state = self.pipe.state.lock();
                }
                Next::Nothing => {
                    if let Some(end) = &state.end {
                        return Some(Part::End(end.clone()));
                    }
                    if self.pipe.ready.wait_until(&mut state, deadline).timed_out()
                        && state.spool.is_empty()
                        && state.end.is_none()
                    {
                        return None;
                    }
                }
            }
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        state.is_abandoned = true;
        let spool = std::mem::replace(&mut state.spool, Spool::new(NOTHING));
        drop(state);
        drop(spool);
    }
}
