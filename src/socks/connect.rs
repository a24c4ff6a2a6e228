//! The SOCKS handshake on a connected socket, with deadlines.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handshake::{Answer, Handshake, Progress};
use crate::clock::deadline_after;
use crate::error::{ConnectProblem, SocksProblem, SocksStep, Timeout, Wait, excerpt};
use crate::link::{Endpoint, Stream, WriteOutcome};

/// How many bytes an error quotes of a peer that is not a SOCKS proxy, and how long the caller
/// waits for them: the greeting of another protocol usually arrives in one segment.
const EXCERPT: usize = 80;
const EXCERPT_TIME: Duration = Duration::from_millis(100);

/// The deadlines of the handshake, with the durations that an error reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    greeting: (Instant, Duration),
    reply: (Instant, Duration),
}

impl Limits {
    /// The whole handshake ends at `deadline`, if there is one, and an error reports `whole`.
    pub(super) fn new(greeting: Duration, whole: Duration, deadline: Option<Instant>) -> Self {
        let reply = (deadline.unwrap_or_else(|| deadline_after(whole)), whole);
        let greeting = (deadline_after(greeting), greeting);
        Self { greeting: if greeting.0 < reply.0 { greeting } else { reply }, reply }
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

    /// Returns the problem for an error of the socket at this step.
    fn io_problem(&self, step: SocksStep, error: io::Error) -> SocksProblem {
        match error.kind() {
            ErrorKind::TimedOut => self.timeout(step),
            _ if is_end(&error) => SocksProblem::Closed(step),
            _ => SocksProblem::Broken { step, error: Arc::new(error) },
        }
    }
}

/// Returns whether the proxy closed the connection: one that has not read everything resets it.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A closure for the local address of each TCP connection to the proxy. `STREAM` events give that
/// address as `SOURCE_ADDR`.
#[derive(Clone, Default)]
pub(super) struct OnOpen(Option<Arc<dyn Fn(SocketAddr) + Send + Sync>>);

impl OnOpen {
    pub(super) fn new(on_open: impl Fn(SocketAddr) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(on_open)))
    }

    fn call(&self, stream: &Stream) {
        if let (Some(on_open), Stream::Tcp(socket)) = (&self.0, stream) {
            if let Ok(address) = socket.local_addr() {
                on_open(address);
            }
        }
    }
}

impl fmt::Debug for OnOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "OnOpen" } else { "None" })
    }
}

/// Connects to the proxy and runs the handshake. Reads no byte behind the proxy's answer.
pub(super) fn exchange(
    proxy: &Endpoint,
    on_open: &OnOpen,
    mut handshake: Handshake,
    limits: Limits,
) -> Result<(Stream, Answer), SocksProblem> {
    let stream = connect(proxy, limits)?;
    on_open.call(&stream);
    let mut message = handshake.greeting();
    loop {
        let step = handshake.step();
        match stream.write_all(&message, limits.deadline(step)) {
            WriteOutcome::All => {}
            WriteOutcome::Nothing => return Err(limits.timeout(step)),
            // An answer that the proxy sent before it closed can still be read, and has the reason.
            WriteOutcome::Failed(error) if is_end(&error) => {}
            WriteOutcome::Failed(error) => return Err(limits.io_problem(step, error)),
        }
        match read_answer(&stream, &mut handshake, limits)? {
            Progress::Send(next) => message = next,
            Progress::Done(answer) => return Ok((stream, answer)),
            Progress::Incomplete => {}
        }
    }
}

fn connect(proxy: &Endpoint, limits: Limits) -> Result<Stream, SocksProblem> {
    let step = SocksStep::Greeting;
    let is_late = |error: &io::Error| error.kind() == ErrorKind::TimedOut;
    Stream::connect(proxy, limits.deadline(step), None).map_err(|problem| match problem {
        ConnectProblem::Resolve(error) | ConnectProblem::Io(error) if is_late(&error) => {
            limits.timeout(step)
        }
        ConnectProblem::Resolve(error) => SocksProblem::Resolve(error),
        ConnectProblem::Io(error) => SocksProblem::Unreachable(error),
        // The other problems come from the control protocol.
        other => SocksProblem::Unreachable(Arc::new(io::Error::other(other))),
    })
}

/// Reads the whole answer to the current step.
fn read_answer(
    stream: &Stream,
    handshake: &mut Handshake,
    limits: Limits,
) -> Result<Progress, SocksProblem> {
    let step = handshake.step();
    let deadline = limits.deadline(step);
    let mut buffer = [0; 300];
    loop {
        let part = buffer.get_mut(..handshake.missing()).unwrap_or_default();
        let count =
            stream.read_before(part, deadline).map_err(|error| limits.io_problem(step, error))?;
        if count == 0 {
            return Err(SocksProblem::Closed(step));
        }
        match handshake.receive(part.get(..count).unwrap_or_default()) {
            Ok(Progress::Incomplete) => {}
            Err(SocksProblem::NotSocks { .. }) => {
                let excerpt = read_excerpt(stream, handshake.received(), deadline);
                return Err(SocksProblem::NotSocks { excerpt });
            }
            progress => return progress,
        }
    }
}

/// Reads more of what a peer that is not a SOCKS proxy sent, so that the error can quote it.
fn read_excerpt(stream: &Stream, received: &[u8], deadline: Instant) -> Box<str> {
    let deadline = deadline.min(deadline_after(EXCERPT_TIME));
    let mut text = received.to_vec();
    let mut buffer = [0; EXCERPT];
    while text.len() < EXCERPT && !text.contains(&b'\n') {
        match stream.read_before(&mut buffer, deadline) {
            Ok(0) | Err(_) => break,
            Ok(count) => text.extend(buffer.iter().take(count)),
        }
    }
    excerpt(&text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use crate::clock::deadline_after;
    use crate::error::{Error, SocksProblem};
    use crate::names::CONTROLS;
    use crate::socks::SocksProxy;

    #[test]
    fn the_last_step_of_a_call_ends_with_it_and_names_its_limit() {
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (left, limit) = (Duration::from_millis(10), Duration::from_secs(20));
        let proxy = SocksProxy::new(silent.local_addr().unwrap()).unwrap();
        let proxy = proxy.deadline(deadline_after(left), limit);
        let Err(Error::Socks(error)) = proxy.connect("a.example:80") else { panic!("connected") };
        let SocksProblem::Timeout(timeout) = error.problem() else { panic!("{error}") };
        assert_eq!(timeout.limit(), limit);
    }

    #[test]
    fn the_greeting_of_another_server_is_shown_without_its_control_characters() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy = SocksProxy::new(server.local_addr().unwrap()).unwrap();
        let greet =
            move || server.accept().unwrap().0.write_all(format!("{CONTROLS}\n").as_bytes());
        let greeter = thread::Builder::new().spawn(greet).unwrap();
        let Err(Error::Socks(error)) = proxy.connect("a.example:80") else { panic!("connected") };
        greeter.join().unwrap().unwrap();
        let SocksProblem::NotSocks { excerpt } = error.problem() else { panic!("{error}") };
        assert_eq!(**excerpt, format!("{CONTROLS}\n").as_bytes().escape_ascii().to_string());
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}
