//! A fake tor that answers every command, on one connection after another, while the test cuts the
//! connections and sends events.
//!
//! ```ignore
//! let tor = FakeTor::serving(|connection, line| {
//!     // Does not answer.
//!     (connection == 2 && line == "SETEVENTS BW").then(String::new)
//! });
//! // ... connect to tor.endpoint() ...
//! tor.send_event("BW 1 2");
//! tor.cut();
//! ```

use std::net::Shutdown;
use std::time::Instant;

use super::FakeTor;
use crate::support::dialect::Dialect;
use crate::support::socket::DEADLINE;

impl FakeTor {
    /// Answers every command until the value is dropped. `answer` gets the number of the connection,
    /// counted from 1, and the line; for `None` the reply is that of [`usual_reply`].
    pub(crate) fn serving(
        mut answer: impl FnMut(usize, &str) -> Option<String> + Send + 'static,
    ) -> Self {
        let mut tor = Self::tcp(|script| {
            script.serve_connections(move |connection, line| {
                answer(connection, line).unwrap_or_else(|| usual_reply(line))
            });
        });
        tor.is_serving = true;
        tor
    }

    /// Ends the newest connection.
    pub(crate) fn cut(&self) {
        if let Some(socket) = self.door.newest() {
            // The client may have ended it.
            socket.shutdown(Shutdown::Both).ok();
        }
    }

    /// Sends an event of one line on the newest connection.
    #[track_caller]
    pub(crate) fn send_event(&self, event: &str) {
        self.send_events(event, 1);
    }

    /// Sends an event of one line several times, in one write.
    #[track_caller]
    pub(crate) fn send_events(&self, event: &str, times: usize) {
        let line = format!("650 {event}\r\n");
        Dialect::default().check(line.as_bytes()).unwrap();
        let mut socket = self.door.newest().expect("a client has connected");
        socket.write_all(line.repeat(times).as_bytes(), Instant::now() + DEADLINE).unwrap();
    }

    /// Returns the lines that clients have sent on one connection.
    pub(crate) fn lines_of(&self, connection: usize) -> Vec<String> {
        self.dialogue.client_lines_of(connection)
    }
}

/// Returns an affirmative reply to a command: no authentication is needed, the version of tor is
/// 0.4.9.11, it is bootstrapped and has nothing else, and every option is 1.
pub(crate) fn usual_reply(line: &str) -> String {
    let (keyword, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let arguments = arguments.split(' ');
    match keyword {
        "PROTOCOLINFO" => "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                           250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"
            .to_owned(),
        "GETINFO" => {
            let value = |key| match key {
                "version" => "0.4.9.11",
                "status/bootstrap-phase" => {
                    "NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\""
                }
                "network-liveness" => "up",
                _ => "",
            };
            let lines = arguments.map(|key| format!("250-{key}={}\r\n", value(key)));
            lines.chain(["250 OK\r\n".to_owned()]).collect()
        }
        "GETCONF" => {
            let mut names = arguments.rev();
            let last = names.next().map(|name| format!("250 {name}=1\r\n"));
            let others = names.map(|name| format!("250-{name}=1\r\n"));
            others.chain(last).collect()
        }
        _ => "250 OK\r\n".to_owned(),
    }
}
