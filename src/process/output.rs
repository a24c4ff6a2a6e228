use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;

use super::log_line::{LogLine, Severity};
use super::worker::Worker;
use crate::error::{LaunchProblem, LaunchReport};

/// How many lines are kept.
const LINES: usize = 100;
/// How much of a line is kept.
const LINE_LIMIT: usize = 4096;
/// How many different complaints are kept.
const COMPLAINTS: usize = 20;
/// How much of what is written on standard error is kept for the error.
const STDERR_LIMIT: usize = 4096;
/// How much is read from a pipe at once.
const CHUNK: usize = 8192;
/// How many chunks may wait for a slow sink: 8 MiB.
const SINK_QUEUE: usize = 1024;
/// How much is still read after the child's end, if someone else holds the pipe open and writes.
const REST_LIMIT: usize = 1 << 20;

/// What the child printed last.
#[derive(Debug, Default)]
pub(super) struct Output {
    // A leaf lock.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// The last warnings and errors, oldest first, each once.
    complaints: VecDeque<String>,
    stderr: Vec<u8>,
    /// tor is ended because it wrote on standard error.
    ended_for_stderr: bool,
}

impl Output {
    /// The last lines of both streams, oldest first.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.kept.lock().lines.iter().cloned().collect()
    }

    /// The beginning of what was written on standard error.
    pub(super) fn stderr_text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept.lock().stderr).into_owned();
        text.trim_end().to_owned()
    }

    /// What was printed, for an error.
    pub(super) fn report(&self) -> LaunchReport {
        let kept = self.kept.lock();
        LaunchReport {
            last_lines: kept.lines.iter().cloned().collect(),
            complaints: kept.complaints.iter().cloned().collect(),
            ..LaunchReport::default()
        }
    }

    pub(super) fn set_ended_for_stderr(&self) {
        self.kept.lock().ended_for_stderr = true;
    }

    pub(super) fn was_ended_for_stderr(&self) -> bool {
        self.kept.lock().ended_for_stderr
    }

    /// Forgets the complaints: what tor complains of from now on has other reasons.
    pub(super) fn forget_complaints(&self) {
        self.kept.lock().complaints.clear();
    }

    fn keep_line(&self, line: String, is_stderr: bool) {
        let complaint = complaint(&line, is_stderr);
        let mut kept = self.kept.lock();
        if let Some(text) = complaint {
            // The same may be said every second, with another count or PID.
            kept.complaints.retain(|other| !differ_in_digits_only(other, text));
            if kept.complaints.len() >= COMPLAINTS {
                kept.complaints.pop_front();
            }
            kept.complaints.push_back(text.to_owned());
        }
        if kept.lines.len() >= LINES {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line);
    }

    pub(super) fn keep_stderr(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock();
        let room = STDERR_LIMIT.saturating_sub(kept.stderr.len());
        kept.stderr.extend(bytes.iter().take(room));
    }
}

/// Where the text of a line is a frame of the stack trace that follows a failed assertion.
const STACK_FRAME: &str = "Bug:     ";

/// Returns the text of a warning or an error. Everything on standard error that is not tor's log
/// is one: it comes from the loader, a library or a script.
fn complaint(line: &str, is_stderr: bool) -> Option<&str> {
    match LogLine::parse(line) {
        Some(LogLine { severity: Severity::Normal, .. }) => None,
        Some(LogLine { text, .. }) if text.trim_start().starts_with(STACK_FRAME) => None,
        Some(LogLine { text, .. }) => Some(text.trim()),
        None => Some(line.trim()).filter(|text| is_stderr && !text.is_empty()),
    }
}

fn differ_in_digits_only(one: &str, other: &str) -> bool {
    fn words(text: &str) -> impl Iterator<Item = char> {
        text.chars().filter(|letter| !letter.is_ascii_digit())
    }
    words(one).eq(words(other))
}

/// What a draining thread tells.
pub(super) trait Watcher: Send + 'static {
    /// Whether the pipe is the standard error output.
    const IS_STDERR: bool;
    /// Bytes came in.
    fn bytes(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }
    /// A line came in.
    fn line(&mut self, line: &str) {
        let _ = line;
    }
}

/// Starts a thread that reads a pipe to its end, whatever happens, so that the child never blocks
/// in writing. When `stop` is closed, which is at the child's end, it reads what is there and
/// ends, even if another process holds the pipe open.
pub(super) fn drain(
    name: &str,
    pipe: impl Read + AsFd + Send + 'static,
    stop: UnixStream,
    output: Arc<Output>,
    sink: Option<Sink>,
    watcher: impl Watcher,
) -> Result<Worker, LaunchProblem> {
    let drain = Drain { output, sink, watcher, line: Vec::new() };
    let thread = name.to_owned();
    Worker::start(name, move || {
        if let Err(error) = drain.run(pipe, &stop) {
            log::error!("{thread}: reading tor's output failed: {error}");
        }
    })
}

struct Drain<W> {
    output: Arc<Output>,
    sink: Option<Sink>,
    watcher: W,
    line: Vec<u8>,
}

impl<W: Watcher> Drain<W> {
    fn run(mut self, mut pipe: impl Read + AsFd, stop: &UnixStream) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        // What may still be read once the child has ended.
        let mut rest = None;
        loop {
            let (readable, stopped) = look(&pipe, stop, rest.is_some())?;
            if stopped && rest.is_none() {
                rest = Some(REST_LIMIT);
                continue;
            }
            if !readable {
                break;
            }
            let count = match pipe.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            self.take(bytes);
            if let Some(rest) = &mut rest {
                *rest = rest.saturating_sub(count);
                if *rest == 0 {
                    break;
                }
            }
        }
        if !self.line.is_empty() {
            self.end_line();
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.watcher.bytes(bytes);
        if let Some(sink) = &mut self.sink {
            sink.write(bytes);
        }
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        // The first piece continues the line begun before; every further one follows a line end.
        if let Some(piece) = pieces.next() {
            self.continue_line(piece);
        }
        for piece in pieces {
            self.end_line();
            self.continue_line(piece);
        }
    }

    fn continue_line(&mut self, piece: &[u8]) {
        let room = LINE_LIMIT.saturating_sub(self.line.len());
        self.line.extend(piece.iter().take(room));
    }

    fn end_line(&mut self) {
        let bytes = mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        self.watcher.line(line);
        self.output.keep_line(line.to_owned(), W::IS_STDERR);
    }
}

/// Waits until the pipe can be read or `stop` is closed. After that, only looks.
fn look(pipe: &impl AsFd, stop: &UnixStream, stopped: bool) -> io::Result<(bool, bool)> {
    let timeout = if stopped { PollTimeout::ZERO } else { PollTimeout::NONE };
    let mut fds = [
        PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
        PollFd::new(stop.as_fd(), PollFlags::POLLIN),
    ];
    loop {
        match poll(&mut fds, timeout) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    // Also when only an error or a hang-up is shown: reading then tells which.
    let [pipe, stop] = fds.map(|fd| fd.any().unwrap_or(true));
    Ok((pipe, stop))
}

/// Where the user wants a copy of the output.
///
/// A thread of its own writes there, so that a sink that blocks does not block tor. What a slow
/// sink has not taken is kept for it, up to 8 MiB; then the newest is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    queue: Sender<Vec<u8>>,
    dropped: bool,
}

impl Sink {
    pub(super) fn start(writer: Box<dyn Write + Send>) -> Result<(Self, Worker), LaunchProblem> {
        let (queue, receiver) = bounded(SINK_QUEUE);
        let worker = Worker::start("torcon-sink", move || copy(&receiver, writer))?;
        Ok((Self { queue, dropped: false }, worker))
    }

    fn write(&mut self, bytes: &[u8]) {
        // A sink that failed has said so; its queue is closed.
        if let Err(TrySendError::Full(_)) = self.queue.try_send(bytes.to_vec()) {
            if !self.dropped {
                log::warn!("a sink for tor's output is too slow; some output is lost to it");
            }
            self.dropped = true;
        }
    }
}

fn copy(queue: &Receiver<Vec<u8>>, mut writer: Box<dyn Write + Send>) {
    for bytes in queue {
        let written = catch_unwind(AssertUnwindSafe(|| {
            writer.write_all(&bytes)?;
            writer.flush()
        }));
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                log::warn!("a sink for tor's output failed and gets no more: {error}");
                return;
            }
            Err(_) => {
                log::error!("a sink for tor's output panicked and gets no more");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
