//! A command type of the program, with a connection of torcon and with another connection.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use torcon::command::Command;
use torcon::error::{InvalidInput, ProtocolError};
use torcon::{Error, Reply, Request};

use super::{controller, refusal};
use crate::support::real_tor::RealTor;

/// `GETINFO` of one key whose value is a number.
struct GetNumber(&'static str);

impl Command for GetNumber {
    type Reply = u64;

    const KEYWORD: &'static str = "GETINFO";

    fn request(&self) -> Result<Request, InvalidInput> {
        Request::from_line(Self::KEYWORD)?.token("key", self.0)
    }

    fn reply(&self, reply: Reply) -> torcon::Result<u64> {
        let reply = reply.into_result(Self::KEYWORD)?;
        let line = reply.lines().next().unwrap();
        let text = line.text();
        let value = text.strip_prefix(self.0).and_then(|text| text.strip_prefix('='));
        let unreadable = || ProtocolError::new(self.0, "a number", line.bytes());
        Ok(value.and_then(|value| value.parse().ok()).ok_or_else(unreadable)?)
    }
}

#[test]
fn a_program_can_implement_a_command() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let pid = u64::from(tor.pid());
    assert_eq!(controller.execute(&GetNumber("process/pid")).unwrap(), pid);
    assert_eq!(
        refusal(controller.execute(&GetNumber("nothing"))),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"nothing\\\"\""
    );
    let error = controller.execute(&GetNumber("version")).unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    let error = controller.execute(&GetNumber("version\r\nQUIT")).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    assert_eq!(controller.execute(&GetNumber("process/pid")).unwrap(), pid);
}

#[test]
fn a_program_can_use_another_connection() {
    let tor = RealTor::builder().without_cookie().start();
    let mut stream = UnixStream::connect(tor.socket_path()).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    stream.write_all(b"AUTHENTICATE\r\n").unwrap();
    replies.read_line(&mut String::new()).unwrap();
    let command = GetNumber("process/pid");
    stream.write_all(&command.request().unwrap().encode().unwrap()).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"250 OK\r\n") {
        assert!(replies.read_until(b'\n', &mut reply).unwrap() > 0, "tor closed the connection");
    }
    let pid = command.reply(Reply::parse(reply).unwrap()).unwrap();
    assert_eq!(pid, u64::from(tor.pid()));
}
