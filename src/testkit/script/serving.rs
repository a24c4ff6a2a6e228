use std::sync::Arc;
use std::time::Duration;

use super::Script;
use crate::clock;
use crate::testkit::answer::Answer;
use crate::testkit::dialogue::Who;
use crate::testkit::event_lines;
use crate::testkit::socket::Incoming;

/// Longer than any test: the end of the fake tor ends the wait.
const UNTIL_THE_END: Duration = Duration::from_secs(1 << 25);

impl Script {
    /// Plays the greeting of a tor that requires no authentication, or the
    /// [password](crate::testkit::FakeTorBuilder::password).
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
    pub fn greet(&mut self) -> &mut Self {
        loop {
            let line = self.expect_line("a greeting");
            let keyword = line.split(' ').next().unwrap_or_default();
            if !matches!(keyword, "PROTOCOLINFO" | "AUTHENTICATE") {
                self.refuse_and_fail(&format!("expected a greeting, got {line:?}"));
            }
            let answer = self.core.playbook.answer(self.number(), &line, false).answer;
            let (is_accepted, is_last) = (answer.is_accepted(), keyword == "AUTHENTICATE");
            self.send(answer.reply);
            if is_last {
                return if is_accepted { self } else { self.fail("the password is wrong") };
            }
        }
    }

    /// Answers as [`FakeTor::start`](crate::testkit::FakeTor::start) does, until the client ends the
    /// connection or the test is over.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().answer("SIGNAL NEWNYM", &["250 OK"]).serve_default();
    /// });
    /// tor.expect("SAVECONF", "250 OK");
    /// let controller = tor.controller();
    /// controller.signal(torcon::Signal::Newnym)?;
    /// controller.save_conf()?;
    /// tor.finish();
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn serve_default(&mut self) -> &mut Self {
        self.play(true);
        self
    }

    /// Answers every command by the playbook.
    pub(in crate::testkit) fn play(&mut self, mut is_authenticated: bool) {
        let core = Arc::clone(&self.core);
        let _served = core.playbook.begin_connection();
        while let Some(command) = self.next_command() {
            let outcome = core.playbook.answer(self.number(), &command, is_authenticated);
            if let Some(failure) = outcome.failure {
                core.add_failure(self.number(), &failure);
            }
            let answer = outcome.answer;
            let mut is_refused = false;
            match command.split_once(' ').unwrap_or((&command, "")) {
                ("AUTHENTICATE", _) => {
                    is_authenticated |= answer.is_accepted();
                    // As tor does.
                    is_refused = answer.is_refused();
                }
                ("SETEVENTS", events) if answer.is_accepted() => self.peer.subscribe(events),
                _ => {}
            }
            if !self.give(&answer) || is_refused {
                self.peer.close();
                return;
            }
        }
    }

    /// Sends an answer. Returns false if the connection ends then.
    fn give(&mut self, answer: &Answer) -> bool {
        if !answer.delay.is_zero() {
            self.record_note(&format!("delay of {:?}", answer.delay));
            if self.core.door.pause(answer.delay) {
                return false;
            }
        }
        for event in answer.before.iter().chain(&answer.after) {
            let name = event_lines::keyword(event);
            if !self.peer.has_subscribed(name) {
                let problem = format!("{event:?} is to be sent, but {name} is not subscribed");
                self.core.add_failure(self.number(), &problem);
            }
        }
        let events = |events: &[String]| -> String {
            events.iter().map(|event| event_lines::wire(event)).collect()
        };
        let mut bytes = events(&answer.before).into_bytes();
        let reply = answer.limit.and_then(|limit| answer.reply.get(..limit));
        bytes.extend_from_slice(reply.unwrap_or(&answer.reply));
        if answer.limit.is_none() {
            bytes.extend(events(&answer.after).into_bytes());
        }
        self.try_send(&bytes, "answer");
        let is_over = answer.closes || answer.limit.is_some();
        if is_over {
            self.record_note("the fake tor closes");
        }
        !is_over
    }

    /// Reads the next command, with its data lines, without line ends. `None` if the connection ends.
    fn next_command(&mut self) -> Option<String> {
        let mut command = self.next_served_line()?;
        // The data of such a command ends with a single dot.
        if command.starts_with('+') {
            loop {
                let line = self.next_served_line()?;
                if line == "." {
                    break;
                }
                command.push('\n');
                command.push_str(line.strip_prefix('.').unwrap_or(&line));
            }
        }
        Some(command)
    }

    fn next_served_line(&mut self) -> Option<String> {
        match self.lines.next(&mut self.socket, clock::now() + UNTIL_THE_END) {
            Ok(Incoming::Line(line)) => {
                let line = self.accepted(line, "a command");
                Some(String::from_utf8_lossy(&line).into_owned())
            }
            Ok(Incoming::End(rest)) => {
                if !rest.is_empty() && !self.core.door.is_shut() && !self.peer.is_closed() {
                    self.core.dialogue.record(self.number(), Who::Client, &rest);
                    self.fail("the client ended the connection within a line");
                }
                None
            }
            Err(_) => None,
        }
    }

    /// Answers every line by `answer(line, out)` until the client ends the connection; the bytes in
    /// `out` are sent unchanged. Replies to lines that arrived together are sent together.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().serve(|line, out| {
    ///         let key = line.trim_start_matches("GETINFO ");
    ///         out.extend(format!("250-{key}=value of {key}\r\n250 OK\r\n").into_bytes());
    ///     });
    /// });
    /// assert_eq!(tor.controller().get_info_one("a")?, "value of a");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn serve(&mut self, mut answer: impl FnMut(&str, &mut Vec<u8>)) -> &mut Self {
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
            if !self.lines.is_ready() {
                self.try_send(&out, "answer");
                out.clear();
            }
        }
    }
}
