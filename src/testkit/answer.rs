use std::time::Duration;

use super::event_lines;

/// The reaction of a [`FakeTor`](crate::testkit::FakeTor) to one command.
///
/// Text and lists of text convert into an answer with these reply lines, so most calls need no
/// constructor: `tor.expect("SIGNAL NEWNYM", "250 OK")`. Every constructor except [`raw`](Self::raw)
/// checks that the lines are one whole reply of the control protocol.
///
/// # Examples
///
/// ```
/// use torcon::testkit::{Answer, FakeTor};
///
/// let tor = FakeTor::start();
/// tor.expect("GETINFO traffic/read", Answer::info("traffic/read", "1024"));
/// tor.expect("SIGNAL NEWNYM", "250 OK");
/// tor.expect("SAVECONF", Answer::refused(551, "Unable to write configuration to disk."));
///
/// let controller = tor.controller();
/// assert_eq!(controller.get_info_one("traffic/read")?, "1024");
/// controller.signal(torcon::Signal::Newnym)?;
/// assert_eq!(controller.save_conf().unwrap_err().status_code(), Some(551));
/// tor.finish();
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an answer does nothing until it is given to a fake tor"]
pub struct Answer {
    pub(super) delay: Duration,
    /// Events that are sent before the reply, without status codes.
    pub(super) before: Vec<String>,
    pub(super) reply: Vec<u8>,
    pub(super) after: Vec<String>,
    /// How many bytes of the reply are sent before the connection ends.
    pub(super) limit: Option<usize>,
    pub(super) closes: bool,
}

impl Answer {
    /// Creates the reply `250 OK`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SAVECONF", Answer::ok());
    /// tor.controller().save_conf()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn ok() -> Self {
        Self::of_bytes(b"250 OK\r\n".to_vec())
    }

    /// Creates a reply of these lines, without line ends.
    ///
    /// The last line has a blank after its status code, each before it a `-`, or a `+` if data lines
    /// and a single dot follow.
    ///
    /// # Panics
    ///
    /// Panics if the lines are not one whole reply.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("GETCONF Nickname", Answer::lines(["250 Nickname=alice"]));
    /// let conf = tor.controller().get_conf(["Nickname"])?;
    /// assert_eq!(conf.get("Nickname").and_then(|value| value.first()), Some("alice"));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn lines<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Self {
        let lines: Vec<String> = lines.into_iter().map(|line| line.as_ref().to_owned()).collect();
        if let Err(problem) = check_reply(&lines) {
            panic!("not a reply of the control protocol: {problem}: {lines:?}");
        }
        Self::of_bytes(lines.iter().flat_map(|line| [line, "\r\n"].concat().into_bytes()).collect())
    }

    /// Creates the reply to a `GETINFO` of one key. A value of several lines is sent as tor sends it.
    ///
    /// [`FakeTor::set_info`](crate::testkit::FakeTor::set_info) answers every `GETINFO` of a key.
    ///
    /// # Panics
    ///
    /// Panics if the key contains a blank or a line break.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// let circuits = "1 BUILT PURPOSE=GENERAL\n2 LAUNCHED PURPOSE=GENERAL";
    /// tor.expect("GETINFO circuit-status", Answer::info("circuit-status", circuits));
    /// assert_eq!(tor.controller().get_info_one("circuit-status")?.lines().count(), 2);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn info(key: &str, value: &str) -> Self {
        if key.is_empty() || key.contains([' ', '\r', '\n']) {
            panic!("not a key of GETINFO: {key:?}");
        }
        let mut lines = info_lines(key, value);
        lines.push("250 OK".to_owned());
        Self::lines(lines)
    }

    /// Creates a refusal: a status code of 400 to 599, and its text.
    ///
    /// # Panics
    ///
    /// Panics if the code is another one, or if the text contains a line break.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// let words = "Unable to write configuration to disk.";
    /// tor.expect("SAVECONF", Answer::refused(551, words));
    /// let error = tor.controller().save_conf().unwrap_err();
    /// assert!(error.to_string().contains(words), "{error}");
    /// ```
    #[track_caller]
    pub fn refused(code: u16, text: &str) -> Self {
        if !(400..600).contains(&code) {
            panic!("the status code of a refusal is 400 to 599, not {code}");
        }
        Self::lines([format!("{code} {text}")])
    }

    /// Creates an answer without a reply: tor is silent, and the command of the client times out.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SAVECONF", Answer::none());
    /// let controller = tor.controller().with_timeout(Duration::from_millis(50));
    /// assert!(controller.save_conf().unwrap_err().is_timeout());
    /// ```
    pub fn none() -> Self {
        Self::default()
    }

    /// Creates an answer that ends the connection without a reply.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SAVECONF", Answer::close());
    /// assert!(tor.controller().save_conf().unwrap_err().is_closed());
    /// ```
    pub fn close() -> Self {
        Self { closes: true, ..Self::default() }
    }

    /// Creates an answer of these bytes, which are sent unchanged and need not be a reply.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SAVECONF", Answer::raw("250 SURPRISE\r\n"));
    /// assert!(tor.controller().save_conf().is_err());
    /// ```
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of_bytes(bytes.into())
    }

    fn of_bytes(reply: Vec<u8>) -> Self {
        Self { reply, ..Self::default() }
    }

    /// Sends everything of this answer only after a time. Later commands of the same connection wait
    /// too, as with tor, which answers in order.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SAVECONF", Answer::ok().delay(Duration::from_millis(20)));
    /// tor.controller().save_conf()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn delay(mut self, time: Duration) -> Self {
        self.delay = time;
        self
    }

    /// Ends the connection in the middle of the reply, after its first `bytes` bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("GETINFO uptime", Answer::info("uptime", "12345").cut_after(10));
    /// assert!(tor.controller().get_info_one("uptime").unwrap_err().is_closed());
    /// ```
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Ends the connection after the reply.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SIGNAL SHUTDOWN", Answer::ok().then_close());
    /// let controller = tor.controller();
    /// controller.signal(torcon::Signal::Shutdown)?;
    /// assert!(controller.get_info_one("version").unwrap_err().is_closed());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn then_close(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Sends an event right after the reply. Its text is that of
    /// [`FakeTor::send_event`](crate::testkit::FakeTor::send_event).
    ///
    /// It fails the test if the client has not subscribed to the event.
    ///
    /// # Panics
    ///
    /// Panics if the text is not a valid event.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::EventKind;
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SETEVENTS BW", Answer::ok().then_event("BW 1 2"));
    /// let queue = tor.controller().events([EventKind::Bw])?;
    /// assert_eq!(queue.recv()?.to_string(), "BW 1 2");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn then_event(mut self, event: &str) -> Self {
        event_lines::check(event);
        self.after.push(event.to_owned());
        self
    }

    /// Sends an event right before the reply, as [`then_event`](Self::then_event) does after it.
    ///
    /// # Panics
    ///
    /// Panics if the text is not a valid event.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::EventKind;
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// let event = "CONF_CHANGED\nNickname=alice";
    /// tor.expect("SETCONF Nickname=alice", Answer::ok().event_before(event));
    /// let controller = tor.controller();
    /// let queue = controller.events([EventKind::ConfChanged])?;
    /// controller.set_conf([("Nickname", "alice")])?;
    /// assert_eq!(queue.recv()?.to_string(), event);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn event_before(mut self, event: &str) -> Self {
        event_lines::check(event);
        self.before.push(event.to_owned());
        self
    }

    /// Whether the client takes the command as accepted.
    pub(super) fn is_accepted(&self) -> bool {
        self.reply.starts_with(b"250")
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.reply.first(), Some(b'4' | b'5'))
    }
}

impl From<&str> for Answer {
    /// Creates a reply of the lines of a text: see [`Answer::lines`].
    #[track_caller]
    fn from(text: &str) -> Self {
        Self::lines(text.lines())
    }
}

impl From<String> for Answer {
    /// Creates a reply of the lines of a text: see [`Answer::lines`].
    #[track_caller]
    fn from(text: String) -> Self {
        Self::lines(text.lines())
    }
}

impl<const N: usize> From<[&str; N]> for Answer {
    /// Creates a reply of lines: see [`Answer::lines`].
    #[track_caller]
    fn from(lines: [&str; N]) -> Self {
        Self::lines(lines)
    }
}

impl From<&[&str]> for Answer {
    /// Creates a reply of lines: see [`Answer::lines`].
    #[track_caller]
    fn from(lines: &[&str]) -> Self {
        Self::lines(lines)
    }
}

impl From<Vec<String>> for Answer {
    /// Creates a reply of lines: see [`Answer::lines`].
    #[track_caller]
    fn from(lines: Vec<String>) -> Self {
        Self::lines(lines)
    }
}

/// Returns the lines of a value, without the last line of the reply.
pub(super) fn info_lines(key: &str, value: &str) -> Vec<String> {
    // tor sends a value as data if it contains a line break.
    if !value.contains('\n') {
        return vec![format!("250-{key}={value}")];
    }
    let mut lines = vec![format!("250+{key}=")];
    lines.extend(stuffed(value));
    lines.push(".".to_owned());
    lines
}

/// Returns the lines of data, each with a further dot if it begins with one.
pub(super) fn stuffed(data: &str) -> impl Iterator<Item = String> + '_ {
    data.lines()
        .map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() })
}

/// Checks that lines are one reply.
fn check_reply(lines: &[String]) -> Result<(), &'static str> {
    let (mut in_data, mut is_over) = (false, false);
    for line in lines {
        if line.contains(['\r', '\n']) {
            return Err("a line has a line break");
        }
        if is_over {
            return Err("a line follows the last one");
        }
        if in_data {
            in_data = line != ".";
            continue;
        }
        let (code, separator) = (line.get(..3).unwrap_or_default(), line.as_bytes().get(3));
        if code.len() < 3 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("a line has no status code");
        }
        if code.starts_with('6') {
            return Err("a line is an event, which then_event() sends");
        }
        match separator {
            Some(b' ') => is_over = true,
            Some(b'-') => {}
            Some(b'+') => in_data = true,
            _ => return Err("a status code is followed by neither a blank, nor - or +"),
        }
    }
    match (in_data, is_over) {
        (true, _) => Err("no single dot ends the data"),
        (_, false) => Err("the last line has no blank after its status code"),
        (false, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, check_reply, info_lines};

    #[test]
    fn a_reply_is_checked_line_by_line() {
        let check = |text: &str| {
            let lines: Vec<String> = text.split('|').map(str::to_owned).collect();
            check_reply(&lines)
        };
        assert_eq!(check("250-a=1|250 OK"), Ok(()));
        assert_eq!(check("250+a=|x|650 y|.|250 OK"), Ok(()));
        assert_eq!(check("250-a=1"), Err("the last line has no blank after its status code"));
        assert_eq!(check("250+a=|x"), Err("no single dot ends the data"));
        assert_eq!(check("250 OK|250 OK"), Err("a line follows the last one"));
        assert_eq!(check("OK"), Err("a line has no status code"));
        assert_eq!(check(""), Err("a line has no status code"));
        assert_eq!(check("250 a\nb"), Err("a line has a line break"));
        assert_eq!(check("650 BW 1 2"), Err("a line is an event, which then_event() sends"));
        let separator = "a status code is followed by neither a blank, nor - or +";
        assert_eq!(check("250"), Err(separator));
        assert_eq!(check("250OK"), Err(separator));
    }

    #[test]
    fn a_value_of_several_lines_is_data() {
        assert_eq!(info_lines("a", "1"), ["250-a=1"]);
        assert_eq!(info_lines("a", "1\n.\n.2"), ["250+a=", "1", "..", "..2", "."]);
        let answer = Answer::info("a", "1\n2");
        assert_eq!(answer.reply, b"250+a=\r\n1\r\n2\r\n.\r\n250 OK\r\n");
    }
}
