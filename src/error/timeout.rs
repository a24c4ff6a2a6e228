use std::fmt;
use std::time::Duration;

use crate::names::{CircuitId, StreamId, printable};

/// The error of a wait whose time limit passed.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::Error;
///
/// let controller = torcon::connect("127.0.0.1:9051")?.with_timeout(Duration::from_secs(5));
/// match controller.get_info("version") {
///     Err(Error::Timeout(timeout)) => eprintln!("{}: {:?}", timeout.wait(), timeout.limit()),
///     outcome => println!("tor {}", outcome?),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeout {
    inner: Box<Inner>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    wait: Wait,
    limit: Duration,
}

/// The condition of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// A control connection, from connecting to the end of authentication.
    Connect,
    /// The reply to a command, named by its keyword.
    Reply(Box<str>),
    /// The next event of a queue.
    Event,
    /// The end of the control connection.
    Closed,
    /// The end of bootstrapping, at 100 %.
    Bootstrap,
    /// The next bootstrap progress of a tor that is launched.
    Progress,
    /// The end of the tor process.
    Exit,
    /// The answer of a SOCKS proxy to the greeting, connecting included.
    SocksGreeting,
    /// The reply of a SOCKS proxy to the request.
    SocksReply,
    /// A usable private network, or the restart of one of its relays.
    Network,
    /// The upload of the descriptor of an onion service.
    Publication,
    /// The download of the descriptor of an onion service.
    OnionDescriptor,
    /// A connection from a client of an onion service.
    Incoming,
    /// The end of another use of an onion service: a change by another thread, or a check by the
    /// thread `torcon-onion`.
    OnionService,
    /// The resolution of a name or an address.
    Resolve,
    /// A new circuit, before tor has reported its identifier.
    Circuit,
    /// The completion of a circuit.
    Built(CircuitId),
    /// The end of a circuit.
    CircuitClosed(CircuitId),
    /// The end of a stream.
    StreamClosed(StreamId),
    /// The effect of `SIGNAL NEWNYM`, which tor delays.
    NewIdentity,
    /// A status of a supervisor.
    Status,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("a control connection"),
            Self::Reply(command) => write!(f, "the reply to {}", printable(&**command)),
            Self::Event => f.write_str("an event"),
            Self::Closed => f.write_str("the end of the connection"),
            Self::Bootstrap => f.write_str("tor to finish bootstrapping"),
            Self::Progress => f.write_str("progress of tor's bootstrapping"),
            Self::Exit => f.write_str("the tor process to end"),
            Self::SocksGreeting => f.write_str("the SOCKS proxy to answer the greeting"),
            Self::SocksReply => f.write_str("the SOCKS proxy to answer the request"),
            Self::Network => f.write_str("a private network to be usable"),
            Self::Publication => f.write_str("the onion service to be published"),
            Self::OnionDescriptor => f.write_str("the descriptor of an onion service"),
            Self::Incoming => f.write_str("a client of the onion service"),
            Self::OnionService => f.write_str("another use of the onion service to end"),
            Self::Resolve => f.write_str("tor to resolve a name or an address"),
            Self::Circuit => f.write_str("a new circuit"),
            Self::Built(circuit) => write!(f, "circuit {circuit} to be built"),
            Self::CircuitClosed(circuit) => write!(f, "the end of circuit {circuit}"),
            Self::StreamClosed(stream) => write!(f, "the end of stream {stream}"),
            Self::NewIdentity => f.write_str("the new identity"),
            Self::Status => f.write_str("a status of the supervisor"),
        }
    }
}

impl Timeout {
    pub(crate) fn new(wait: Wait, limit: Duration) -> Self {
        Self { inner: Box::new(Inner { wait, limit }) }
    }

    /// Returns the condition of the wait.
    #[must_use]
    pub fn wait(&self) -> &Wait {
        &self.inner.wait
    }

    /// Returns the time limit.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.inner.limit
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?} waiting for {}", self.inner.limit, self.inner.wait)
    }
}

impl std::error::Error for Timeout {}
