//! The fake tor of `torcon::testkit`, which here says only what a [real tor](super::dialect) says.
//!
//! ```ignore
//! let tor = FakeTor::tcp(|script| {
//!     script.greet();
//!     script.answer("GETINFO version", &["250-version=0.4.9.11", "250 OK"]);
//!     script.expect_end();
//! });
//! // ... speak to tor.endpoint() ...
//! tor.finish();
//! ```

use std::collections::HashMap;
use std::iter::repeat_n;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use torcon::testkit::{Answer, FakeTorBuilder, Script};

use super::dialect::Dialect;
use super::socket::{Address, DEADLINE};

/// A fake tor with the address as raw clients need it.
#[derive(Debug)]
pub(crate) struct FakeTor {
    tor: torcon::testkit::FakeTor,
    address: Address,
}

impl FakeTor {
    /// Listens on a free port of the loopback address. The script begins when a client connects.
    pub(crate) fn tcp(play: impl FnOnce(&mut Script) + Send + 'static) -> Self {
        Self::tcp_at("127.0.0.1", play)
    }

    /// The same on another address of this machine.
    pub(crate) fn tcp_at(host: &str, play: impl FnOnce(&mut Script) + Send + 'static) -> Self {
        let host: IpAddr = host.parse().expect("it is an address");
        Self::new(builder().tcp_at(host).script(play))
    }

    /// Listens on a unix socket in a new directory.
    pub(crate) fn unix(play: impl FnOnce(&mut Script) + Send + 'static) -> Self {
        Self::new(builder().script(play))
    }

    /// Answers every command until the value is dropped. `answer` gets the number of the connection,
    /// counted from 1, and the line; for `None` the reply is that of [`usual_reply`].
    pub(crate) fn serving(
        answer: impl FnMut(usize, &str) -> Option<String> + Send + 'static,
    ) -> Self {
        let tor = builder().tcp().start();
        let answer = Mutex::new(answer);
        tor.answer_with(move |connection, line| {
            let reply = answer.lock()(connection, line);
            Some(Answer::raw(reply.unwrap_or_else(|| usual_reply(line))))
        });
        Self::new(tor)
    }

    fn new(tor: torcon::testkit::FakeTor) -> Self {
        let endpoint = tor.endpoint().to_string();
        let address = match endpoint.strip_prefix("unix:") {
            Some(path) => Address::Unix(PathBuf::from(path)),
            None => Address::Tcp(endpoint.parse().expect("it is an address with a port")),
        };
        Self { tor, address }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the address as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Returns the path of the unix socket.
    pub(crate) fn socket_path(&self) -> &Path {
        match &self.address {
            Address::Unix(path) => path,
            Address::Tcp(address) => panic!("{address} is no unix socket"),
        }
    }

    /// Waits until the script is over and fails the test if it failed.
    #[track_caller]
    pub(crate) fn finish(self) {
        self.tor.finish();
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        self.tor.close_connections();
    }

    /// Sends an event of one line several times, in one write.
    #[track_caller]
    pub(crate) fn send_events(&self, event: &str, times: usize) {
        self.tor.send_events(repeat_n(event, times));
    }
}

impl Deref for FakeTor {
    type Target = torcon::testkit::FakeTor;

    fn deref(&self) -> &Self::Target {
        &self.tor
    }
}

/// Returns a builder of a fake tor whose lines are compared with recordings.
fn builder() -> FakeTorBuilder {
    let dialects: Mutex<HashMap<usize, Dialect>> = Mutex::default();
    torcon::testkit::FakeTor::builder()
        .timeout(DEADLINE)
        .check_sent(move |number, bytes| dialects.lock().entry(number).or_default().check(bytes))
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
