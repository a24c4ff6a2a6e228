//! A control connection without torcon, as an independent check.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use data_encoding::HEXUPPER;

use super::socket::{Address, DEADLINE, Incoming, Lines, Socket};

/// A control connection that sends lines and reads reply lines, and knows nothing else.
#[derive(Debug)]
pub(crate) struct RawControl {
    socket: Socket,
    lines: Lines,
    /// Event lines that arrived before an awaited reply.
    events: Vec<String>,
}

impl RawControl {
    /// Opens a connection without authentication.
    pub(crate) fn connect(address: &Address) -> Self {
        let socket = address.connect(DEADLINE);
        let socket = socket.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self { socket, lines: Lines::default(), events: Vec::new() }
    }

    /// Authenticates with COOKIE.
    pub(crate) fn authenticate_by_cookie(&mut self, cookie: &Path) -> &mut Self {
        let cookie = fs::read(cookie).unwrap_or_else(|error| panic!("{cookie:?}: {error}"));
        assert_eq!(self.ask(&format!("AUTHENTICATE {}", HEXUPPER.encode(&cookie))), ["250 OK"]);
        self
    }

    /// Authenticates with NULL.
    pub(crate) fn authenticate(&mut self) -> &mut Self {
        assert_eq!(self.ask("AUTHENTICATE"), ["250 OK"]);
        self
    }

    /// Sends one line.
    pub(crate) fn send(&mut self, line: &str) -> &mut Self {
        self.send_bytes(format!("{line}\r\n"))
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let until = Instant::now() + DEADLINE;
        self.socket.write_all(bytes.as_ref(), until).expect("tor reads what it is sent");
        self
    }

    /// Sends a command and returns the lines of its reply, without CRLF; data lines are not
    /// unstuffed, and the dot that ends them is left out.
    pub(crate) fn ask(&mut self, line: &str) -> Vec<String> {
        self.send(line).reply()
    }

    /// Reads the lines of the next reply.
    pub(crate) fn reply(&mut self) -> Vec<String> {
        loop {
            let message = self.message();
            if !message[0].starts_with("650") {
                return message;
            }
            self.events.extend(message);
        }
    }

    /// Returns the value of one GETINFO key; data lines are joined by line feeds.
    pub(crate) fn get_info(&mut self, key: &str) -> String {
        let mut lines = self.ask(&format!("GETINFO {key}"));
        assert_eq!(lines.pop().as_deref(), Some("250 OK"), "GETINFO {key} failed: {lines:?}");
        let first = lines.remove(0);
        if first == format!("250+{key}=") {
            return lines.join("\n");
        }
        let value = first.strip_prefix(&format!("250-{key}="));
        value.unwrap_or_else(|| panic!("GETINFO {key} gave {first:?}")).to_owned()
    }

    /// Returns what GETCONF answers for one option, with its code.
    pub(crate) fn get_conf(&mut self, option: &str) -> Vec<String> {
        self.ask(&format!("GETCONF {option}"))
    }

    /// Reads the lines of the next event, or returns those of an earlier one.
    pub(crate) fn next_event(&mut self) -> Vec<String> {
        if !self.events.is_empty() {
            return vec![self.events.remove(0)];
        }
        let message = self.message();
        assert!(message[0].starts_with("650"), "expected an event, got {message:?}");
        message
    }

    /// Requires that tor ends the connection, without another line, within `limit`.
    pub(crate) fn expect_end(&mut self, limit: Duration) {
        match self.lines.next(&mut self.socket, Instant::now() + limit) {
            Ok(Incoming::End(rest)) => assert!(rest.is_empty(), "a piece of a line: {rest:?}"),
            Ok(Incoming::Line(line)) => {
                panic!("expected the end, got {:?}", String::from_utf8_lossy(&line))
            }
            Err(error) => panic!("tor did not end the connection: {error}"),
        }
    }

    fn message(&mut self) -> Vec<String> {
        let message = self.lines.next_message(&mut self.socket, DEADLINE);
        let mut lines = message.unwrap_or_else(|error| panic!("tor did not answer: {error}"));
        lines.retain(|line| line != ".");
        lines
    }
}
