use std::io::{self, ErrorKind};
use std::time::Duration;

use super::Script;
use crate::testkit::dialogue::Who;

/// How much is sent in one write of a flood.
const BLOCK: usize = 256 * 1024;

impl Script {
    /// Turns off the [check](crate::testkit::FakeTorBuilder::check_sent) of later lines, for lines
    /// that no tor sends. The reason stands in the dialogue.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().unchecked("a reply without a status code").expect("SAVECONF");
    ///     script.send("What?\r\n");
    /// });
    /// assert!(tor.controller().save_conf().is_err());
    /// ```
    pub fn unchecked(&mut self, reason: &str) -> &mut Self {
        self.record_note(&format!("from here on this is no tor: {reason}"));
        self.is_checked = false;
        self
    }

    /// Sends bytes unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("GETINFO dormant").send("250-dormant=0\r\n250 OK\r\n");
    /// });
    /// assert_eq!(tor.controller().get_info_one("dormant")?, "0");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.check(bytes);
        self.core.dialogue.record(self.number(), Who::Server, bytes);
        if let Err(error) = self.peer.write_all(bytes, self.until()) {
            self.fail(&format!("cannot send \"{}\": {error}", bytes.escape_ascii()));
        }
        self
    }

    /// Sends lines, each with its line end, in one write.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("GETINFO dormant").send_lines(&["250-dormant=0", "250 OK"]);
    /// });
    /// assert_eq!(tor.controller().get_info_one("dormant")?, "0");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn send_lines(&mut self, lines: &[&str]) -> &mut Self {
        self.send(in_lines(lines))
    }

    /// Reads a line that must be exactly `line`, and answers with the lines of `reply`. A client may
    /// leave without waiting for the answer.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().answer("GETINFO dormant", &["250-dormant=0", "250 OK"]);
    /// });
    /// assert_eq!(tor.controller().get_info_one("dormant")?, "0");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn answer(&mut self, line: &str, reply: &[&str]) -> &mut Self {
        self.expect(line);
        self.try_send(in_lines(reply).as_bytes(), "answer");
        self
    }

    /// Sends bytes, unless the client does not wait for them.
    pub(super) fn try_send(&mut self, bytes: &[u8], what: &str) {
        if bytes.is_empty() {
            return;
        }
        self.check(bytes);
        self.core.dialogue.record(self.number(), Who::Server, bytes);
        match self.peer.write_all(bytes, self.until()) {
            Ok(()) => {}
            Err(error) if is_hang_up(&error) => {
                self.record_note("the client did not wait for this");
            }
            Err(error) => self.fail(&format!("cannot {what}: {error}")),
        }
    }

    /// Sends `bytes` so many times. The time limit is for each write.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// use torcon::EventKind;
    ///
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().answer("SETEVENTS BW", &["250 OK"]);
    ///     script.flood("650 BW 1 2\r\n", 1000).drain();
    /// });
    /// let events = tor.controller().events([EventKind::Bw])?;
    /// for _ in 0..1000 {
    ///     assert_eq!(events.recv()?.to_string(), "BW 1 2");
    /// }
    /// # drop(events);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn flood(&mut self, bytes: impl AsRef<[u8]>, times: u64) -> &mut Self {
        let bytes = bytes.as_ref();
        let total = count(bytes.len()).saturating_mul(times);
        let (sent, end) = self.pour(bytes, total);
        if let Some(error) = end {
            self.fail(&format!("the flood ended after {sent} of {total} bytes: {error}"));
        }
        self
    }

    /// Sends `bytes` again and again until the client ends the connection or `limit` bytes are sent.
    /// Returns how many bytes the client's side took.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("GETINFO dormant");
    ///     // A line without an end, which the client must not read forever.
    ///     script.flood_until_hang_up("250-dormant=xxxxxxxx", 1 << 30);
    /// });
    /// let controller = tor.controller().with_timeout(std::time::Duration::from_secs(5));
    /// assert!(controller.get_info_one("dormant").unwrap_err().is_closed());
    /// ```
    pub fn flood_until_hang_up(&mut self, bytes: impl AsRef<[u8]>, limit: u64) -> u64 {
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
        let Some(repeats) = BLOCK.checked_div(bytes.len()) else { return (0, None) };
        let times = total.div_ceil(count(bytes.len()));
        self.core.dialogue.record_times(self.number(), Who::Server, bytes, times);
        // Large writes, or a flood of short lines would mostly measure system calls.
        let block = bytes.repeat(repeats.max(1));
        let mut sent = 0;
        while sent < total {
            // The block is a whole number of copies, so the place in it follows from the count.
            let from = usize::try_from(sent % count(bytes.len())).unwrap_or_default();
            let piece = block.get(from..).unwrap_or_default();
            let left = usize::try_from(total - sent).unwrap_or(usize::MAX);
            let piece = piece.get(..left).unwrap_or(piece);
            match self.peer.write_some(piece, self.until()) {
                Ok(written) => sent += count(written),
                Err(error) => return (sent, Some(error)),
            }
        }
        (sent, None)
    }

    /// Sends nothing for a while, like a slow tor.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// use std::time::Duration;
    ///
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("SAVECONF").pause(Duration::from_millis(20)).send("250 OK\r\n");
    /// });
    /// tor.controller().save_conf()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn pause(&mut self, time: Duration) -> &mut Self {
        self.record_note(&format!("pause of {time:?}"));
        if self.core.door.pause(time) {
            self.fail("the test is over");
        }
        self
    }

    /// Ends the connection in both directions. The script can continue.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("SAVECONF").close();
    /// });
    /// assert!(tor.controller().save_conf().unwrap_err().is_closed());
    /// ```
    pub fn close(&mut self) -> &mut Self {
        self.record_note("the fake tor closes");
        self.peer.close();
        self
    }

    /// Ends the direction toward the client. What the client sends can still be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # use torcon::testkit::FakeTor;
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("SAVECONF").half_close().expect_end();
    /// });
    /// assert!(tor.controller().save_conf().unwrap_err().is_closed());
    /// ```
    pub fn half_close(&mut self) -> &mut Self {
        self.record_note("the fake tor closes its half");
        match self.peer.half_close() {
            Err(error) if error.kind() != ErrorKind::NotConnected => {
                self.fail(&format!("cannot close: {error}"))
            }
            _ => self,
        }
    }

    /// Fails the test if the check refuses what is sent.
    pub(super) fn check(&self, bytes: &[u8]) {
        if let Some(Err(problem)) = self.is_checked.then(|| self.core.check(self.number(), bytes)) {
            self.fail(&problem);
        }
    }
}

fn in_lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
