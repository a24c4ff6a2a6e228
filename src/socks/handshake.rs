//! The SOCKS5 handshake without a socket: RFC 1928, RFC 1929 and tor's extensions.

use std::net::IpAddr;

use super::isolation::Credentials;
use super::target::Host;
use crate::error::{ProtocolError, SocksProblem, SocksStep, excerpt};

const VERSION: u8 = 5;
const PASSWORD_VERSION: u8 = 1;

const NO_PASSWORD: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The commands of a SOCKS request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Connect,
    /// tor's `RESOLVE`: the address of a name.
    Resolve,
    /// tor's `RESOLVE_PTR`: the name of an address.
    ResolvePtr,
}

impl Command {
    fn code(self) -> u8 {
        match self {
            Self::Connect => 1,
            Self::Resolve => 0xf0,
            Self::ResolvePtr => 0xf1,
        }
    }
}

/// The address of a successful reply; for `RESOLVE` and `RESOLVE_PTR`, the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ip(IpAddr),
    Name(Vec<u8>),
}

/// The next action after bytes were received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The answer to this step is not complete.
    Incomplete,
    /// The next message must be sent.
    Send(Vec<u8>),
    /// The proxy granted the request.
    Done(Answer),
}

/// One handshake, from the greeting to the reply.
///
/// The caller sends the greeting, then reads at most [`missing`](Self::missing) bytes at a time
/// and passes them to [`receive`](Self::receive). So it never reads a byte that belongs to the stream
/// behind the proxy.
#[derive(Debug)]
pub(super) struct Handshake {
    step: SocksStep,
    credentials: Option<Vec<u8>>,
    request: Vec<u8>,
    /// The bytes of the answer to this step.
    received: Vec<u8>,
}

impl Handshake {
    /// Creates a handshake. `port` is 0 for a name or address to resolve.
    pub(super) fn new(
        command: Command,
        host: &Host,
        port: u16,
        credentials: Option<&Credentials>,
    ) -> Self {
        let mut request = vec![VERSION, command.code(), 0];
        match host {
            Host::Ip(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend(address.octets());
            }
            Host::Ip(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend(address.octets());
            }
            Host::Name(name) => {
                request.push(NAME);
                request.push(name.length());
                request.extend(name.as_bytes());
            }
        }
        request.extend(port.to_be_bytes());
        let credentials = credentials.map(|credentials| {
            let mut bytes = vec![PASSWORD_VERSION];
            for part in [credentials.user(), credentials.password()] {
                bytes.push(part.length());
                bytes.extend(part.as_bytes());
            }
            bytes
        });
        Self { step: SocksStep::Greeting, credentials, request, received: Vec::new() }
    }

    /// Returns the first message. It offers a single method: a proxy that chose the method without
    /// user name and password would attach isolated streams to the same circuit.
    pub(super) fn greeting(&self) -> Vec<u8> {
        vec![VERSION, 1, self.method()]
    }

    fn method(&self) -> u8 {
        if self.credentials.is_some() { PASSWORD } else { NO_PASSWORD }
    }

    pub(super) fn step(&self) -> SocksStep {
        self.step
    }

    /// Returns the bytes of the answer to this step.
    pub(super) fn received(&self) -> &[u8] {
        &self.received
    }

    /// Returns how many bytes at least are missing from the answer to this step.
    pub(super) fn missing(&self) -> usize {
        let length = match (self.step, &*self.received) {
            (SocksStep::Greeting | SocksStep::Credentials, _) => 2,
            (SocksStep::Request, [_, _, _, IPV4, ..]) => 4 + 4 + 2,
            (SocksStep::Request, [_, _, _, IPV6, ..]) => 4 + 16 + 2,
            (SocksStep::Request, [_, _, _, NAME, length, ..]) => 5 + usize::from(*length) + 2,
            (SocksStep::Request, [_, _, _, NAME]) => 5,
            (SocksStep::Request, _) => 4,
        };
        length.saturating_sub(self.received.len())
    }

    /// Accepts bytes of the answer, at most [`missing`](Self::missing).
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Progress, SocksProblem> {
        self.received.extend(bytes);
        match self.step {
            SocksStep::Greeting => self.read_method(),
            SocksStep::Credentials => self.read_status(),
            SocksStep::Request => self.read_reply(),
        }
    }

    fn read_method(&mut self) -> Result<Progress, SocksProblem> {
        match *self.received {
            [] | [VERSION] => Ok(Progress::Incomplete),
            [VERSION, NO_METHOD, ..] => {
                Err(SocksProblem::NoMethod { with_password: self.credentials.is_some() })
            }
            [VERSION, method, ..] if method == self.method() => {
                self.received.clear();
                let (step, bytes) = match self.credentials.take() {
                    Some(credentials) => (SocksStep::Credentials, credentials),
                    None => (SocksStep::Request, std::mem::take(&mut self.request)),
                };
                self.step = step;
                Ok(Progress::Send(bytes))
            }
            [VERSION, ..] => Err(self.unreadable("the method that was offered")),
            _ => Err(SocksProblem::NotSocks { excerpt: excerpt(&self.received) }),
        }
    }

    fn read_status(&mut self) -> Result<Progress, SocksProblem> {
        match *self.received {
            [] | [PASSWORD_VERSION | VERSION] => Ok(Progress::Incomplete),
            [PASSWORD_VERSION, 0, ..] => {
                self.received.clear();
                self.step = SocksStep::Request;
                Ok(Progress::Send(std::mem::take(&mut self.request)))
            }
            [PASSWORD_VERSION, status, ..] => Err(SocksProblem::Credentials { status }),
            // tor refuses a user name with the reply to a request.
            [VERSION, code @ 1..=0xff, ..] => Err(SocksProblem::Refused { code: code.into() }),
            _ => Err(self.unreadable("version 1 and a status")),
        }
    }

    fn read_reply(&self) -> Result<Progress, SocksProblem> {
        let answer = match *self.received {
            [] | [VERSION] => return Ok(Progress::Incomplete),
            // The rest of a refusal holds no information, and not every proxy sends all of it. tor
            // sends address type 0 if it cannot resolve a name.
            [VERSION, code @ 1..=0xff, ..] => {
                return Err(SocksProblem::Refused { code: code.into() });
            }
            [VERSION, 0] | [VERSION, 0, _] => return Ok(Progress::Incomplete),
            [VERSION, 0, _, IPV4 | NAME | IPV6, ..] if self.missing() > 0 => {
                return Ok(Progress::Incomplete);
            }
            [VERSION, 0, _, IPV4, a, b, c, d, ..] => Answer::Ip([a, b, c, d].into()),
            [VERSION, 0, _, IPV6, ref rest @ ..] => match rest.first_chunk::<16>() {
                Some(octets) => Answer::Ip(IpAddr::from(*octets)),
                None => return Ok(Progress::Incomplete),
            },
            [VERSION, 0, _, NAME, _, ref name @ .., _, _] => Answer::Name(name.to_vec()),
            [VERSION, 0, ..] => return Err(self.unreadable("an address of type 1, 3 or 4")),
            _ => return Err(self.unreadable("version 5")),
        };
        Ok(Progress::Done(answer))
    }

    fn unreadable(&self, expected: &'static str) -> SocksProblem {
        let reading = format!("the proxy's answer to {}", self.step);
        SocksProblem::Protocol(ProtocolError::new(&reading, expected, &self.received))
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
#[cfg(test)]
mod tests;
