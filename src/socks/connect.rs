//! A handshake on a real socket, with deadlines.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handshake::{Answer, Command, Handshake, Progress};
use super::isolation::Isolation;
use super::target::Host;
use crate::error::{ConnectProblem, SocksProblem, SocksStep, Timeout, Wait, excerpt};
use crate::link::{Endpoint, Stream, Written, deadline_after};

/// How much more is read of something that is no SOCKS proxy, and how long at most: what it has
/// to say about itself mostly comes in one piece.
const EXCERPT: usize = 80;
const EXCERPT_TIME: Duration = Duration::from_millis(100);

/// Until when the steps must be done, and how long that was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    greeting: (Instant, Duration),
    reply: (Instant, Duration),
}

impl Limits {
    pub(super) fn new(greeting: Duration, whole: Duration) -> Self {
        let greeting = greeting.min(whole);
        Self {
            greeting: (deadline_after(greeting), greeting),
            reply: (deadline_after(whole), whole),
        }
    }

    fn deadline(&self, step: SocksStep) -> Instant {
        match step {
            SocksStep::Greeting => self.greeting.0,
            SocksStep::Credentials | SocksStep::Request => self.reply.0,
        }
    }

    fn timeout(&self, step: SocksStep) -> SocksProblem {
        SocksProblem::Timeout(match step {
            SocksStep::Greeting => Timeout::new(Wait::SocksGreeting, self.greeting.1),
            SocksStep::Credentials | SocksStep::Request => {
                Timeout::new(Wait::SocksReply, self.reply.1)
            }
        })
    }

    /// What it means that the connection failed at this step.
    fn lost(&self, step: SocksStep, error: io::Error) -> SocksProblem {
        match error.kind() {
            ErrorKind::TimedOut => self.timeout(step),
            _ if is_end(&error) => SocksProblem::Closed(step),
            _ => SocksProblem::Broken { step, error: Arc::new(error) },
        }
    }
}

/// A proxy that closes without reading what was sent resets the connection.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Is told this program's end of a TCP connection to the proxy when it is open, before anything is
/// sent: tor names streams by it.
#[derive(Clone, Default)]
pub(super) struct WhenOpen(Option<Arc<dyn Fn(SocketAddr) + Send + Sync>>);

impl WhenOpen {
    pub(super) fn new(tell: impl Fn(SocketAddr) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    fn tell(&self, stream: &Stream) {
        if let (Some(tell), Stream::Tcp(socket)) = (&self.0, stream) {
            // Without an address there is nothing to tell.
            if let Ok(address) = socket.local_addr() {
                tell(address);
            }
        }
    }
}

impl fmt::Debug for WhenOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "WhenOpen" } else { "None" })
    }
}

/// Connects to the proxy and asks it for one thing. Not a byte is read after its answer.
pub(super) fn exchange(
    proxy: &Endpoint,
    isolation: &Isolation,
    when_open: &WhenOpen,
    command: Command,
    host: &Host,
    port: u16,
    limits: Limits,
) -> Result<(Stream, Answer), SocksProblem> {
    let credentials = isolation.next()?;
    let mut handshake = Handshake::new(command, host, port, credentials.as_deref());
    let stream = connect(proxy, limits)?;
    when_open.tell(&stream);
    let mut sent = handshake.greeting();
    loop {
        let step = handshake.step();
        match stream.write_all(&sent, limits.deadline(step)) {
            Written::All => {}
            Written::Nothing => return Err(limits.timeout(step)),
            // What it said before it closed is still there, and tells more.
            Written::Failed(error) if is_end(&error) => {}
            Written::Failed(error) => return Err(limits.lost(step, error)),
        }
        match read_answer(&stream, &mut handshake, limits)? {
            Step::Next(bytes) => sent = bytes,
            Step::Last(answer) => return Ok((stream, answer)),
        }
    }
}

fn connect(proxy: &Endpoint, limits: Limits) -> Result<Stream, SocksProblem> {
    let step = SocksStep::Greeting;
    let is_late = |error: &io::Error| error.kind() == ErrorKind::TimedOut;
    Stream::connect(proxy, limits.deadline(step)).map_err(|problem| match problem {
        ConnectProblem::Resolve(error) | ConnectProblem::Io(error) if is_late(&error) => {
            limits.timeout(step)
        }
        ConnectProblem::Resolve(error) => SocksProblem::Resolve(error),
        ConnectProblem::Io(error) => SocksProblem::Unreachable(error),
        // There are no others before the first byte.
        other => SocksProblem::Unreachable(Arc::new(io::Error::other(other))),
    })
}

/// What a whole answer to one step leads to.
enum Step {
    Next(Vec<u8>),
    Last(Answer),
}

fn read_answer(
    stream: &Stream,
    handshake: &mut Handshake,
    limits: Limits,
) -> Result<Step, SocksProblem> {
    let step = handshake.step();
    let deadline = limits.deadline(step);
    let mut buffer = [0; 300];
    loop {
        let part = buffer.get_mut(..handshake.wanted()).unwrap_or_default();
        let count = stream.read_before(part, deadline).map_err(|error| limits.lost(step, error))?;
        if count == 0 {
            return Err(SocksProblem::Closed(step));
        }
        match handshake.receive(part.get(..count).unwrap_or_default()) {
            Ok(Progress::More) => {}
            Ok(Progress::Send(bytes)) => return Ok(Step::Next(bytes)),
            Ok(Progress::Done(answer)) => return Ok(Step::Last(answer)),
            Err(SocksProblem::NotSocks { .. }) => {
                let excerpt = introduction(stream, handshake.received(), deadline);
                return Err(SocksProblem::NotSocks { excerpt });
            }
            Err(problem) => return Err(problem),
        }
    }
}

/// Reads on for a moment, so that the error can tell what it was that answered.
fn introduction(stream: &Stream, begun: &[u8], deadline: Instant) -> Box<str> {
    let deadline = deadline.min(deadline_after(EXCERPT_TIME));
    let mut text = begun.to_vec();
    let mut buffer = [0; EXCERPT];
    while text.len() < EXCERPT && !text.contains(&b'\n') {
        match stream.read_before(&mut buffer, deadline) {
            Ok(0) | Err(_) => break,
            Ok(count) => text.extend(buffer.iter().take(count)),
        }
    }
    excerpt(&text)
}
