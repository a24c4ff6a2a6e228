//! A stream that this program opens through one circuit.

use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::error::CircuitProblem;
use crate::event::EventText;
use crate::names::CircuitId;
use crate::state::stream_info::StreamInfo;

/// The fields of tor's `STREAM` events that distinguish a stream of this program from all others.
pub(crate) enum StreamOrigin {
    /// This program's end of the TCP connection to the proxy.
    Address(SocketAddr),
    /// SOCKS credentials that no other stream has: connections over unix sockets have no addresses.
    Credentials { name: String, password: String },
}

impl StreamOrigin {
    fn is_of(&self, stream: &StreamInfo) -> bool {
        match self {
            Self::Address(address) => stream.source_addr().as_ref().is_some_and(|source| {
                // tor omits the scope of a link-local address; a port is in use only once.
                source.ip() == Some(address.ip()) && source.port() == Some(address.port())
            }),
            Self::Credentials { name, password } => {
                let is = |text: &Option<EventText>, wanted: &str| {
                    text.as_ref().is_some_and(|text| text.as_bytes() == wanted.as_bytes())
                };
                is(&stream.socks_username(), name) && is(&stream.socks_password(), password)
            }
        }
    }
}

/// A stream that this program is about to open, and the circuit that it must take.
///
/// It is registered in two places. The store of the circuit's state finds the stream, see
/// [`expect_stream`](crate::state::store::Store::expect_stream). The [attach
/// loop](super::attach_loop), which may belong to another state of the same connection, attaches
/// it, and records here why it could not.
pub(crate) struct StreamReservation {
    pub(crate) circuit: CircuitId,
    /// Set before tor gets the request for the stream.
    origin: OnceLock<StreamOrigin>,
    problem: OnceLock<CircuitProblem>,
}

impl StreamReservation {
    pub(crate) fn new(circuit: CircuitId) -> Self {
        Self { circuit, origin: OnceLock::new(), problem: OnceLock::new() }
    }

    pub(crate) fn set_origin(&self, origin: StreamOrigin) {
        // A reservation is for one stream, which is requested once.
        let _ = self.origin.set(origin);
    }

    /// Returns whether the proxy was reached, so that tor may have got the request.
    pub(crate) fn has_origin(&self) -> bool {
        self.origin.get().is_some()
    }

    /// Returns whether a stream is the reserved one.
    pub(crate) fn is_of(&self, stream: &StreamInfo) -> bool {
        self.origin.get().is_some_and(|origin| origin.is_of(stream))
    }

    /// Returns why the stream was closed instead of attached. It is set before tor reports the end.
    pub(crate) fn problem(&self) -> Option<CircuitProblem> {
        self.problem.get().cloned()
    }

    /// Records why the stream is closed instead of attached, unless a reason is recorded.
    pub(super) fn set_problem(&self, problem: CircuitProblem) {
        let _ = self.problem.set(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::StreamOrigin;
    use crate::event::EventText;
    use crate::state::line::Line;
    use crate::state::stream_info::StreamInfo;

    fn stream(fields: &str) -> StreamInfo {
        let text = format!("STREAM 5 NEW 0 a.example:80 {fields}");
        let Some(Line::Stream(stream)) = Line::read(text.as_bytes()) else { panic!() };
        StreamInfo::of(&stream, EventText::new(text.as_bytes()))
    }

    #[test]
    fn a_stream_is_recognized_by_its_address_in_either_spelling() {
        for (address, source, is_reserved) in [
            ("127.0.0.1:44332", "127.0.0.1:44332", true),
            ("127.0.0.1:44332", "127.0.0.1:44333", false),
            ("127.0.0.1:44332", "127.0.0.2:44332", false),
            ("127.0.0.1:44332", "(Tor_internal):0", false),
            ("127.0.0.1:44332", "/run/tor/socks:0", false),
            ("[::1]:44332", "[::1]:44332", true),
            ("[::1]:44332", "::1:44332", true),
            ("[::1]:44332", "[::2]:44332", false),
        ] {
            let origin = StreamOrigin::Address(address.parse().unwrap());
            let stream = stream(&format!("SOURCE_ADDR={source} PURPOSE=USER"));
            assert_eq!(origin.is_of(&stream), is_reserved, "{address} {source}");
        }
        assert!(
            !StreamOrigin::Address("127.0.0.1:1".parse().unwrap()).is_of(&stream("PURPOSE=USER"))
        );
    }

    #[test]
    fn a_stream_is_recognized_by_its_user_name_and_password_together() {
        let origin =
            StreamOrigin::Credentials { name: "torcon-circuit".into(), password: "a1".into() };
        for (fields, is_reserved) in [
            ("SOCKS_USERNAME=\"torcon-circuit\" SOCKS_PASSWORD=\"a1\"", true),
            ("SOCKS_USERNAME=\"torcon-circuit\" SOCKS_PASSWORD=\"a2\"", false),
            ("SOCKS_USERNAME=\"torcon\" SOCKS_PASSWORD=\"a1\"", false),
            ("SOCKS_USERNAME=\"torcon-circuit\"", false),
            ("PURPOSE=USER", false),
        ] {
            assert_eq!(origin.is_of(&stream(fields)), is_reserved, "{fields}");
        }
    }
}
