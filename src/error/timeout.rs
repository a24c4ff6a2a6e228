use std::fmt;
use std::time::Duration;

use crate::names::{CircuitId, StreamId, printable};

/// A wait that ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeout {
    inner: Box<Inner>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    wait: Wait,
    limit: Duration,
}

/// What was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The control connection, from the first address to the end of authentication.
    Connect,
    /// The reply to a command, named by its keyword.
    Reply(Box<str>),
    /// The next event of a queue.
    Event,
    /// The end of the control connection.
    Closed,
    /// tor reporting that it is at 100 %.
    Bootstrap,
    /// The next sign of progress of a tor that is starting.
    Progress,
    /// The tor process to be gone.
    Exit,
    /// A SOCKS proxy to take the connection and to answer the greeting.
    SocksGreeting,
    /// A SOCKS proxy to do what it was asked for.
    SocksReply,
    /// A private network to be usable, or one of its relays to be back.
    Network,
    /// Directories taking the descriptor of an onion service.
    Publication,
    /// A directory giving the descriptor of an onion service.
    OnionDescriptor,
    /// A client of an onion service.
    Incoming,
    /// tor resolving a name or an address.
    Resolve,
    /// A circuit to be built.
    Built(CircuitId),
    /// A circuit to end.
    CircuitClosed(CircuitId),
    /// A stream to end.
    StreamClosed(StreamId),
    /// tor using new circuits, after it was asked for a new identity.
    NewIdentity,
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
            Self::Resolve => f.write_str("tor to resolve a name or an address"),
            Self::Built(circuit) => write!(f, "circuit {circuit} to be built"),
            Self::CircuitClosed(circuit) => write!(f, "the end of circuit {circuit}"),
            Self::StreamClosed(stream) => write!(f, "the end of stream {stream}"),
            Self::NewIdentity => f.write_str("tor's new identity"),
        }
    }
}

impl Timeout {
    pub(crate) fn new(wait: Wait, limit: Duration) -> Self {
        Self { inner: Box::new(Inner { wait, limit }) }
    }

    /// Returns which wait ran out.
    #[must_use]
    pub fn wait(&self) -> &Wait {
        &self.inner.wait
    }

    /// Returns how long the wait was allowed to be.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.inner.limit
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waited {:?} for {} in vain", self.inner.limit, self.inner.wait)
    }
}

impl std::error::Error for Timeout {}
