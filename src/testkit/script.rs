mod sending;
mod serving;

use std::any::Any;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::dialogue::Who;
use super::door::Peer;
use super::playbook::refusal;
use super::socket::{Incoming, Lines, Socket};
use crate::clock::deadline_after;

/// One connection of a client, seen from a fake tor that plays step by step.
///
/// Made by [`FakeTor::script`](crate::testkit::FakeTor::script). Every step fails the test, with the
/// whole dialogue, if it does not happen as written or takes longer than the time limit. Steps that
/// send do so unchanged, so that a script can also send text that no tor sends.
///
/// Dropping it closes the connection.
///
/// # Examples
///
/// ```
/// use torcon::testkit::FakeTor;
///
/// let tor = FakeTor::script(|script| {
///     script.greet();
///     script.answer("SIGNAL NEWNYM", &["250 OK"]);
///     script.expect("SIGNAL DORMANT").send("250 O").send("K\r\n");
///     script.expect_end();
/// });
/// let controller = tor.controller();
/// controller.signal(torcon::Signal::Newnym)?;
/// controller.signal(torcon::Signal::Dormant)?;
/// drop(controller);
/// tor.finish();
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Debug)]
pub struct Script {
    peer: Arc<Peer>,
    socket: Socket,
    lines: Lines,
    limit: Duration,
    core: Arc<Core>,
    is_checked: bool,
}

/// The panic of a script that has failed, with its text. It is not printed where it happens.
pub(super) struct ScriptFailure(pub(super) String);

impl Script {
    pub(super) fn new(peer: Arc<Peer>, socket: Socket, core: Arc<Core>) -> Self {
        let (lines, limit) = (Lines::default(), core.timeout);
        Self { peer, socket, lines, limit, core, is_checked: true }
    }

    /// Returns the number of this connection, counted from 1.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     assert_eq!(script.number(), 1);
    ///     script.greet();
    /// });
    /// # drop(tor.controller());
    /// ```
    #[must_use]
    pub fn number(&self) -> usize {
        self.peer.number
    }

    /// Sets the time limit of each later step. The default is that of the fake tor.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// use std::time::Duration;
    ///
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().timeout(Duration::from_secs(60)).expect_end();
    /// });
    /// # drop(tor.controller());
    /// ```
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.limit = limit;
        self
    }

    /// Waits for one more connection. This one stays open.
    ///
    /// Blocks the thread of the script until a client connects, for at most the time limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|first| {
    ///     first.greet();
    ///     let mut second = first.accept();
    ///     second.greet().expect_end();
    ///     first.expect_end();
    /// });
    /// let connections = (tor.controller(), tor.controller());
    /// drop(connections.1);
    /// drop(connections.0);
    /// tor.finish();
    /// ```
    #[must_use = "the connection is closed when it is dropped"]
    pub fn accept(&mut self) -> Self {
        match self.core.door.accept(Some(self.limit)) {
            Ok((peer, socket)) => {
                let mut next = Self::new(peer, socket, Arc::clone(&self.core));
                next.is_checked = self.is_checked;
                next
            }
            Err(error) => self.fail(&format!("no other client connected: {error}")),
        }
    }

    /// Reads a line that must be exactly `line`, without its line end.
    ///
    /// If it is another one, the client gets a refusal that says so, and the test fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("SAVECONF").send("250 OK\r\n");
    /// });
    /// tor.controller().save_conf()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn expect(&mut self, line: &str) -> &mut Self {
        let found = self.read_line(&format!("{line:?}"));
        if found != line.as_bytes() {
            self.refuse_and_fail(&format!("expected {line:?}, got \"{}\"", found.escape_ascii()));
        }
        self
    }

    /// Reads a line that the closure must accept, and returns it; `what` describes it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     let line = script.greet().expect_matching("a GETINFO", |line| line.starts_with("GETINFO "));
    ///     script.send(format!("250-{}=1\r\n250 OK\r\n", &line["GETINFO ".len()..]));
    /// });
    /// assert_eq!(tor.controller().get_info_one("dormant")?, "1");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn expect_matching(&mut self, what: &str, accept: impl FnOnce(&str) -> bool) -> String {
        let found = self.expect_line(what);
        if !accept(&found) {
            self.refuse_and_fail(&format!("expected {what}, got {found:?}"));
        }
        found
    }

    /// Reads any line and returns it without its line end; `what` describes it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     let line = script.greet().expect_line("a command");
    ///     script.send(if line == "SAVECONF" { "250 OK\r\n" } else { "510 no\r\n" });
    /// });
    /// tor.controller().save_conf()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn expect_line(&mut self, what: &str) -> String {
        let line = self.read_line(what);
        match String::from_utf8(line) {
            Ok(line) => line,
            Err(error) => {
                let line = error.as_bytes().escape_ascii();
                self.fail(&format!("expected {what}, got bytes that are not UTF-8: \"{line}\""))
            }
        }
    }

    /// Reads the data lines of a command that began with `+`, up to the single dot. A line that
    /// begins with a dot has a further one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("+LOADCONF").expect_data(&["Nickname alice"]).send("250 OK\r\n");
    /// });
    /// tor.controller().load_conf("Nickname alice")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn expect_data(&mut self, lines: &[&str]) -> &mut Self {
        for line in lines {
            self.expect(line);
        }
        self.expect(".")
    }

    /// Requires that the client ends the connection without another byte.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect_end();
    /// });
    /// drop(tor.controller());
    /// tor.finish();
    /// ```
    pub fn expect_end(&mut self) -> &mut Self {
        match self.next() {
            Ok(Incoming::End(rest)) if rest.is_empty() => {
                self.record_note("the client ended the connection");
                self
            }
            Ok(Incoming::End(rest) | Incoming::Line(rest)) => {
                self.core.dialogue.record(self.number(), Who::Client, &rest);
                let rest = rest.escape_ascii();
                self.fail(&format!("expected the end of the connection, got \"{rest}\""))
            }
            Err(error) => self.fail(&format!("expected the end of the connection: {error}")),
        }
    }

    /// Reads and ignores everything until the client ends the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().drain();
    /// });
    /// tor.controller().close();
    /// tor.finish();
    /// ```
    pub fn drain(&mut self) -> &mut Self {
        loop {
            match self.next() {
                Ok(Incoming::Line(line)) => {
                    self.core.dialogue.record(self.number(), Who::Client, &line);
                }
                Ok(Incoming::End(rest)) => {
                    self.core.dialogue.record(self.number(), Who::Client, &rest);
                    return self;
                }
                Err(error) => self.fail(&format!("the client did not end: {error}")),
            }
        }
    }

    /// Records a note in the dialogue, which is printed if the test fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.note("the greeting").greet().expect_end();
    /// });
    /// drop(tor.controller());
    /// assert!(tor.dialogue().contains("the greeting"));
    /// ```
    pub fn note(&mut self, text: &str) -> &mut Self {
        self.record_note(text);
        self
    }

    fn record_note(&self, text: &str) {
        self.core.dialogue.record(self.number(), Who::Note, text.as_bytes());
    }

    /// Fails the test, with the whole dialogue.
    ///
    /// # Panics
    ///
    /// Always. [`FakeTor::finish`](crate::testkit::FakeTor::finish) then panics in the thread of the
    /// test.
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     let line = script.greet().expect_line("a command");
    ///     script.fail(&format!("{line} is one command too much"));
    /// });
    /// # let _ = tor.controller().save_conf();
    /// tor.finish();
    /// ```
    pub fn fail(&self, problem: &str) -> ! {
        resume_unwind(self.failure(problem))
    }

    fn failure(&self, problem: &str) -> Box<dyn Any + Send> {
        let (number, dialogue) = (self.number(), &self.core.dialogue);
        let text = format!("fake tor, connection {number}: {problem}\n{dialogue}");
        Box::new(ScriptFailure(text))
    }

    /// Refuses the line that was read last, and fails the test.
    fn refuse_and_fail(&self, problem: &str) -> ! {
        let failure = self.failure(problem);
        // The client may have ended the connection.
        let _ = self.peer.write_all(&refusal(problem).reply, self.until());
        resume_unwind(failure)
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
        self.core.dialogue.record(self.number(), Who::Client, &line);
        if !line.ends_with(b"\r\n") {
            self.fail(&format!("expected {what}, got a line that does not end in CRLF"));
        }
        line.truncate(line.len() - 2);
        line
    }

    fn until(&self) -> Instant {
        deadline_after(self.limit)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.peer.close();
    }
}
