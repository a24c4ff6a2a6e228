//! A stream of our own, which is to go through one circuit.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::CircuitProblem;
use crate::event::EventText;
use crate::names::CircuitId;
use crate::state::stream_info::StreamInfo;

/// By what tor tells our stream from others.
pub(crate) enum StreamOrigin {
    /// This program's end of the connection to the proxy.
    Address(SocketAddr),
    /// What only this stream says: connections by unix sockets have no addresses.
    User { name: String, password: String },
}

impl StreamOrigin {
    /// Returns whether a stream is the one.
    pub(crate) fn is_of(&self, stream: &StreamInfo) -> bool {
        match self {
            Self::Address(address) => stream.source_addr.as_ref().is_some_and(|source| {
                // Without the scope of a link-local address, which is there once.
                source.ip() == Some(address.ip()) && source.port() == Some(address.port())
            }),
            Self::User { name, password } => {
                let is = |text: &Option<EventText>, wanted: &str| {
                    text.as_ref().is_some_and(|text| text.as_bytes() == wanted.as_bytes())
                };
                is(&stream.socks_username, name) && is(&stream.socks_password, password)
            }
        }
    }
}

/// A stream that this program is about to open, and the circuit that it has to take.
///
/// The state of the circuit records which stream it is, see
/// [`expect_stream`](crate::state::store::Store::expect_stream); whoever attaches streams,
/// which may be another state of the same connection, records why it was not attached.
pub(crate) struct StreamReservation {
    pub(crate) origin: StreamOrigin,
    pub(crate) circuit: CircuitId,
    was_attached: AtomicBool,
    /// A leaf lock.
    problem: Mutex<Option<CircuitProblem>>,
}

impl StreamReservation {
    pub(crate) fn new(origin: StreamOrigin, circuit: CircuitId) -> Self {
        let was_attached = AtomicBool::new(false);
        Self { origin, circuit, was_attached, problem: Mutex::new(None) }
    }

    /// Returns why the stream was closed instead of attached. Known before tor reports the end.
    pub(crate) fn problem(&self) -> Option<CircuitProblem> {
        self.problem.lock().clone()
    }

    /// Records that the stream is attached now. Returns whether it had been before.
    pub(super) fn set_attached(&self) -> bool {
        self.was_attached.swap(true, Ordering::AcqRel)
    }

    /// Records why it fails; the first reason stays.
    pub(super) fn set_problem(&self, problem: CircuitProblem) {
        self.problem.lock().get_or_insert(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::StreamOrigin;
    use crate::event::{Event, EventText};
    use crate::state::stream_info::StreamInfo;

    fn stream(fields: &str) -> StreamInfo {
        let text = format!("STREAM 5 NEW 0 a.example:80 {fields}");
        let Event::Stream(stream) = Event::parse(EventText::new(text.as_bytes())) else { panic!() };
        StreamInfo::of(stream)
    }

    #[test]
    fn a_stream_is_known_by_its_address_in_either_spelling() {
        for (address, source, is_ours) in [
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
            assert_eq!(origin.is_of(&stream), is_ours, "{address} {source}");
        }
        assert!(
            !StreamOrigin::Address("127.0.0.1:1".parse().unwrap()).is_of(&stream("PURPOSE=USER"))
        );
    }

    #[test]
    fn a_stream_is_known_by_both_its_user_name_and_its_password() {
        let origin = StreamOrigin::User { name: "torcon-circuit".into(), password: "a1".into() };
        for (fields, is_ours) in [
            ("SOCKS_USERNAME=\"torcon-circuit\" SOCKS_PASSWORD=\"a1\"", true),
            ("SOCKS_USERNAME=\"torcon-circuit\" SOCKS_PASSWORD=\"a2\"", false),
            ("SOCKS_USERNAME=\"torcon\" SOCKS_PASSWORD=\"a1\"", false),
            ("SOCKS_USERNAME=\"torcon-circuit\"", false),
            ("PURPOSE=USER", false),
        ] {
            assert_eq!(origin.is_of(&stream(fields)), is_ours, "{fields}");
        }
    }
}
