//! The script of one connection of a fake tor: the steps that the test calls.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::dialect::Dialect;
use super::dialogue::{Dialogue, Who};
use super::fake_tor::Door;
use super::signal::Signal;
use super::socket::{DEADLINE, Incoming, Lines, Socket};

/// One connection of a client, seen from the fake tor.
///
/// Every step fails the test, with the whole dialogue, if it does not go as written or takes
/// longer than the deadline. When the value is dropped, the connection is closed.
#[derive(Debug)]
pub(crate) struct Script {
    number: usize,
    socket: Socket,
    lines: Lines,
    deadline: Duration,
    dialogue: Arc<Dialogue>,
    door: Arc<Door>,
    /// `None` for a connection with lines that no real tor sends.
    dialect: Option<Dialect>,
}

impl Script {
    pub(crate) fn new(
        number: usize,
        socket: Socket,
        dialogue: Arc<Dialogue>,
        door: Arc<Door>,
    ) -> Self {
        let deadline = DEADLINE;
        let (lines, dialect) = (Lines::default(), Some(Dialect::default()));
        Self { number, socket, lines, deadline, dialogue, door, dialect }
    }

    /// Sets how long each later step may take. The default is 30 seconds.
    pub(crate) fn deadline(&mut self, deadline: Duration) -> &mut Self {
        self.deadline = deadline;
        self
    }

    /// Waits for one more connection; this one stays open.
    pub(crate) fn accept(&mut self) -> Self {
        match self.door.accept(self.deadline) {
            Ok((number, socket)) => {
                let (dialogue, door) = (Arc::clone(&self.dialogue), Arc::clone(&self.door));
                let mut next = Self::new(number, socket, dialogue, door);
                if self.dialect.is_none() {
                    next.dialect = None;
                }
                next
            }
            Err(error) => self.fail(&format!("no other client connected: {error}")),
        }
    }

    /// Reads a line that must be exactly `line`, without its CRLF.
    pub(crate) fn expect(&mut self, line: &str) -> &mut Self {
        let found = self.read_line(&format!("{line:?}"));
        if found != line.as_bytes() {
            self.fail(&format!("expected {line:?}, got \"{}\"", found.escape_ascii()));
        }
        self
    }

    /// Reads a line that `accept` must accept; `what` describes it. Returns the line.
    pub(crate) fn expect_matching(
        &mut self,
        what: &str,
        accept: impl FnOnce(&str) -> bool,
    ) -> String {
        let found = self.expect_line(what);
        if !accept(&found) {
            self.fail(&format!("expected {what}, got {found:?}"));
        }
        found
    }

    /// Reads any line and returns it without its CRLF.
    pub(crate) fn expect_line(&mut self, what: &str) -> String {
        let line = self.read_line(what);
        match String::from_utf8(line) {
            Ok(line) => line,
            Err(error) => {
                let line = error.as_bytes().escape_ascii();
                self.fail(&format!("expected {what}, got bytes that are not UTF-8: \"{line}\""))
            }
        }
    }

    /// Reads the data lines of a command that began with `+`, up to the lone dot, still stuffed.
    pub(crate) fn expect_data(&mut self, lines: &[&str]) -> &mut Self {
        for line in lines {
            self.expect(line);
        }
        self.expect(".")
    }

    /// Requires that the client ends the connection without another byte.
    pub(crate) fn expect_end(&mut self) -> &mut Self {
        match self.next() {
            Ok(Incoming::End(rest)) if rest.is_empty() => {
                self.note("the client ended the connection");
                self
            }
            Ok(Incoming::End(rest) | Incoming::Line(rest)) => {
                self.dialogue.record(self.number, Who::Client, &rest);
                let rest = rest.escape_ascii();
                self.fail(&format!("expected the end of the connection, got \"{rest}\""))
            }
            Err(error) => self.fail(&format!("expected the end of the connection: {error}")),
        }
    }

    /// Reads and ignores everything until the client ends the connection.
    pub(crate) fn drain(&mut self) -> &mut Self {
        loop {
            match self.next() {
                Ok(Incoming::Line(line)) => {
                    self.dialogue.record(self.number, Who::Client, &line);
                }
                Ok(Incoming::End(rest)) => {
                    self.dialogue.record(self.number, Who::Client, &rest);
                    return self;
                }
                Err(error) => self.fail(&format!("the client did not end: {error}")),
            }
        }
    }

    /// Allows lines that no real tor sends, from here on: they are not compared with recordings.
    pub(crate) fn hostile(&mut self, reason: &str) -> &mut Self {
        self.note(&format!("from here on this is no tor: {reason}"));
        self.dialect = None;
        self
    }

    /// Sends bytes unchanged. They must be lines that a [real tor](Dialect) sends.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.check(bytes);
        self.dialogue.record(self.number, Who::Server, bytes);
        let until = self.until();
        if let Err(error) = self.socket.write_all(bytes, until) {
            self.fail(&format!("cannot send \"{}\": {error}", bytes.escape_ascii()));
        }
        self
    }

    /// Sends lines, each with CRLF, in one write.
    pub(crate) fn send_lines(&mut self, lines: &[&str]) -> &mut Self {
        self.send(in_lines(lines))
    }

    /// Reads `line` and answers with `reply`, whose lines get their CRLF here. A client may leave
    /// without waiting for an answer.
    pub(crate) fn answer(&mut self, line: &str, reply: &[&str]) -> &mut Self {
        self.expect(line);
        let bytes = in_lines(reply).into_bytes();
        self.check(&bytes);
        self.dialogue.record(self.number, Who::Server, &bytes);
        let until = self.until();
        match self.socket.write_all(&bytes, until) {
            Ok(()) => {}
            Err(error) if is_hang_up(&error) => self.note("the client did not wait for this"),
            Err(error) => self.fail(&format!("cannot answer: {error}")),
        }
        self
    }

    /// Sends each byte on its own, so that the client reads in the smallest pieces.
    pub(crate) fn send_in_bytes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }

    /// Sends `bytes` so many times. Each write has the deadline for itself.
    pub(crate) fn flood(&mut self, bytes: impl AsRef<[u8]>, times: u64) -> &mut Self {
        let bytes = bytes.as_ref();
        let total = u64::try_from(bytes.len()).unwrap() * times;
        let (sent, end) = self.pour(bytes, total);
        if let Some(error) = end {
            self.fail(&format!("the flood ended after {sent} of {total} bytes: {error}"));
        }
        self
    }

    /// Sends `bytes` again and again until the client hangs up or `limit` bytes are gone.
    /// Returns how many bytes the client's side took.
    pub(crate) fn flood_until_hang_up(&mut self, bytes: impl AsRef<[u8]>, limit: u64) -> u64 {
        let (sent, end) = self.pour(bytes.as_ref(), limit);
        match end {
            Some(error) if error.kind() == ErrorKind::TimedOut => {
                self.fail(&format!("after {sent} bytes the client neither read nor hung up"))
            }
            _ => sent,
        }
    }

    fn pour(&mut self, bytes: &[u8], total: u64) -> (u64, Option<io::Error>) {
        self.check(bytes);
        let length = u64::try_from(bytes.len()).unwrap();
        self.dialogue.record_times(self.number, Who::Server, bytes, total.div_ceil(length));
        // Large writes, or a flood of short lines would mostly measure system calls.
        let block = bytes.repeat((256 * 1024 / bytes.len()).max(1));
        let mut sent = 0;
        while sent < total {
            // The block is a whole number of copies, so the place in it follows from the count.
            let from = usize::try_from(sent % length).unwrap();
            let left = usize::try_from(total - sent).unwrap_or(usize::MAX);
            let piece = &block[from..block.len().min(from.saturating_add(left))];
            let until = self.until();
            match self.socket.write_some(piece, until) {
                Ok(count) => sent += u64::try_from(count).unwrap(),
                Err(error) => return (sent, Some(error)),
            }
        }
        (sent, None)
    }

    /// Sends nothing for a while, like a slow tor.
    pub(crate) fn pause(&mut self, time: Duration) -> &mut Self {
        self.note(&format!("pause of {time:?}"));
        thread::sleep(time);
        self
    }

    /// Waits for the signal of the test.
    pub(crate) fn wait_for(&mut self, signal: &Signal) -> &mut Self {
        self.note("waiting for the test");
        if let Err(problem) = signal.wait_timeout(self.deadline) {
            self.fail(&problem);
        }
        self.note("the test said to go on");
        self
    }

    /// Ends the connection in both directions.
    pub(crate) fn close(&mut self) -> &mut Self {
        self.shut(Shutdown::Both, "the fake tor closes")
    }

    /// Ends the direction toward the client; the client can still be read.
    pub(crate) fn half_close(&mut self) -> &mut Self {
        self.shut(Shutdown::Write, "the fake tor closes its half")
    }

    fn shut(&mut self, how: Shutdown, note: &str) -> &mut Self {
        self.note(note);
        match self.socket.shutdown(how) {
            Err(error) if error.kind() != ErrorKind::NotConnected => {
                self.fail(&format!("cannot close: {error}"))
            }
            _ => self,
        }
    }

    /// Answers every line by `answer(line, out)` until the client ends the connection; what is put
    /// into `out` is sent as it is. Replies to lines that arrived together are sent together.
    pub(crate) fn serve(&mut self, mut answer: impl FnMut(&str, &mut Vec<u8>)) -> &mut Self {
        let mut out = Vec::new();
        loop {
            let line = match self.next() {
                Ok(Incoming::Line(line)) => self.accepted(line, "a command"),
                Ok(Incoming::End(rest)) if rest.is_empty() => return self,
                Ok(Incoming::End(rest)) => {
                    let rest = rest.escape_ascii();
                    self.fail(&format!("the client ended within a line: \"{rest}\""))
                }
                Err(error) => self.fail(&format!("no command arrived: {error}")),
            };
            answer(&String::from_utf8_lossy(&line), &mut out);
            if !self.lines.is_ready() && !out.is_empty() {
                self.check(&out);
                self.dialogue.record(self.number, Who::Server, &out);
                let until = self.until();
                match self.socket.write_all(&out, until) {
                    Ok(()) => {}
                    // The client may leave without waiting for the answer.
                    Err(error) if is_hang_up(&error) => return self,
                    Err(error) => self.fail(&format!("cannot answer: {error}")),
                }
                out.clear();
            }
        }
    }

    /// Answers every line on one connection after another, until the test is over. `answer` gets the
    /// number of the connection and the line; the reply that it returns is sent unchanged.
    pub(crate) fn serve_connections(&mut self, mut answer: impl FnMut(usize, &str) -> String) {
        loop {
            let number = self.number;
            self.serve(|line, out| out.extend_from_slice(answer(number, line).as_bytes()));
            match self.door.accept(self.deadline) {
                Ok((number, socket)) => {
                    let (dialogue, door) = (Arc::clone(&self.dialogue), Arc::clone(&self.door));
                    *self = Self::new(number, socket, dialogue, door);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => return,
                Err(error) => self.fail(&format!("no other client connected: {error}")),
            }
        }
    }

    /// Fails the test if a line is not in the recordings.
    fn check(&mut self, bytes: &[u8]) {
        if let Some(Err(problem)) = self.dialect.as_mut().map(|dialect| dialect.check(bytes)) {
            self.fail(&problem);
        }
    }

    /// Ends the test with the dialogue so far.
    #[track_caller]
    pub(crate) fn fail(&self, problem: &str) -> ! {
        panic!("fake tor, connection {}: {problem}\n{}", self.number, self.dialogue);
    }

    fn next(&mut self) -> io::Result<Incoming> {
        let until = self.until();
        self.lines.next(&mut self.socket, until)
    }

    fn read_line(&mut self, what: &str) -> Vec<u8> {
        match self.next() {
            Ok(Incoming::Line(line)) => self.accepted(line, what),
            Ok(Incoming::End(rest)) => {
                let rest = rest.escape_ascii();
                self.fail(&format!("expected {what}, got the end of the connection (\"{rest}\")"))
            }
            Err(error) => self.fail(&format!("expected {what}: {error}")),
        }
    }

    /// Records a line and takes off its CRLF, which the specification demands of clients.
    fn accepted(&self, mut line: Vec<u8>, what: &str) -> Vec<u8> {
        self.dialogue.record(self.number, Who::Client, &line);
        if !line.ends_with(b"\r\n") {
            self.fail(&format!("expected {what}, got a line that does not end in CRLF"));
        }
        line.truncate(line.len() - 2);
        line
    }

    fn note(&self, text: &str) {
        self.dialogue.record(self.number, Who::Note, text.as_bytes());
    }

    fn until(&self) -> Instant {
        Instant::now() + self.deadline
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.socket.shutdown(Shutdown::Both).ok();
    }
}

fn in_lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
