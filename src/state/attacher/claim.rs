//! A stream of our own, which is to go through one circuit.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::CircuitProblem;
use crate::names::CircuitId;
use crate::state::stream_info::{StreamCell, StreamInfo};

/// By what tor tells our stream from others.
pub(crate) enum Origin {
    /// This program's end of the connection to the proxy.
    Address(SocketAddr),
    /// What only this stream says: connections by unix sockets have no addresses.
    User { name: String, password: String },
}

impl Origin {
    /// Returns whether a stream is the one.
    pub(crate) fn is_of(&self, stream: &StreamInfo) -> bool {
        match self {
            Self::Address(address) => stream.source_addr.as_ref().is_some_and(|source| {
                // Without the scope of a link-local address, which is there once.
                source.ip() == Some(address.ip()) && source.port() == Some(address.port())
            }),
            Self::User { name, password } => {
                let is = |text: &Option<crate::event::EventText>, wanted: &str| {
                    text.as_ref().is_some_and(|text| text.as_bytes() == wanted.as_bytes())
                };
                is(&stream.socks_username, name) && is(&stream.socks_password, password)
            }
        }
    }
}

/// The wish that a stream of ours goes through a circuit.
pub(crate) struct Claim {
    pub(crate) origin: Origin,
    pub(crate) circuit: CircuitId,
    /// A leaf lock.
    seen: Mutex<Seen>,
}

/// What has come of a claim.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// The stream, once tor has told of it.
    pub(crate) stream: Option<Arc<StreamCell>>,
    /// Why it does not go through the circuit.
    pub(crate) problem: Option<CircuitProblem>,
}

impl Claim {
    pub(crate) fn new(origin: Origin, circuit: CircuitId) -> Self {
        Self { origin, circuit, seen: Mutex::default() }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    /// Notes the stream. Returns whether it had been noted before.
    pub(super) fn note_stream(&self, stream: Arc<StreamCell>) -> bool {
        self.seen.lock().stream.replace(stream).is_some()
    }

    /// Notes why it fails; the first reason stays.
    pub(super) fn note_problem(&self, problem: CircuitProblem) {
        self.seen.lock().problem.get_or_insert(problem);
    }
}
