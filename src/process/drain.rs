use std::io::{self, Read};
use std::mem;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::sink::Sink;
use super::thread::start_thread;
use crate::clock;
use crate::error::LaunchProblem;
use crate::link::{NamedThread, readable_until};

/// How much of a line is kept.
const LINE_LIMIT: usize = 4096;
/// How much is read from a pipe at once.
const CHUNK: usize = 8192;
/// How much is read after the child's end, if another process still writes to the pipe.
const REST_LIMIT: usize = 1 << 20;

/// A piece of the output.
pub(super) enum Printed<'a> {
    Bytes(&'a [u8]),
    Line(&'a str),
}

/// Reads one output of the child to its end, so that the child never blocks in writing.
pub(super) struct Drain<F> {
    pub(super) sink: Option<Sink>,
    pub(super) on_printed: F,
}

impl<F: FnMut(Printed<'_>) + Send + 'static> Drain<F> {
    /// Starts a thread that reads a pipe. When `stop` is closed, at the child's end, the thread
    /// reads the rest and ends, even if another process holds the pipe open.
    pub(super) fn start(
        mut self,
        name: &'static str,
        pipe: impl Read + AsFd + Send + 'static,
        stop: UnixStream,
    ) -> Result<NamedThread, LaunchProblem> {
        start_thread(name, move || {
            if let Err(error) = self.read(pipe, &stop) {
                log::error!("{name}: reading tor's output failed: {error}");
            }
        })
    }

    fn read(&mut self, mut pipe: impl Read + AsFd, stop: &UnixStream) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut line = Vec::new();
        // How much may be read once the child has ended.
        let mut rest = None;
        loop {
            // Once the child has ended, this does not wait.
            let deadline = rest.is_some().then(clock::now);
            let [is_readable, is_stopped] = readable_until([pipe.as_fd(), stop.as_fd()], deadline)?;
            if is_stopped && rest.is_none() {
                rest = Some(REST_LIMIT);
                continue;
            }
            if !is_readable {
                break;
            }
            let count = match pipe.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            self.take(bytes, &mut line);
            if let Some(rest) = &mut rest {
                *rest = rest.saturating_sub(count);
                if *rest == 0 {
                    break;
                }
            }
        }
        if !line.is_empty() {
            self.end_line(&line);
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], line: &mut Vec<u8>) {
        (self.on_printed)(Printed::Bytes(bytes));
        if let Some(sink) = &mut self.sink {
            sink.write(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = LINE_LIMIT.saturating_sub(line.len());
            line.extend(text.iter().take(room));
            if text.len() < piece.len() {
                self.end_line(&mem::take(line));
            }
        }
    }

    fn end_line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        (self.on_printed)(Printed::Line(line));
    }
}

#[cfg(test)]
mod tests;
