//! Attachers and streams through chosen circuits, in the private network.

/// The choices of attachers, and their failures.
mod choices;
/// Streams that a program opens through a circuit.
mod own_streams;
/// The option of tor, and how attaching ends.
mod restored;

use std::sync::Arc;

use torcon::names::{CircuitId, CircuitPurpose, StreamStatus};
use torcon::socks::SocksProxy;
use torcon::state::{Circuit, State, StreamInfo};
use torcon::{ConnectOptions, Controller, Event, EventQueue, TorProcess};

use super::built::{built, relays};
use super::echo_server::{EchoServer, is_greeted};
use super::joining::socks_port;
use super::retry::retried;
use super::{LIMIT, join};

/// A tor, a state on a connection to it, and a server behind the network.
struct Setup {
    tor: Arc<TorProcess>,
    state: State,
    echo_server: EchoServer,
}

impl Setup {
    fn new() -> Self {
        Self::on(Arc::new(join()))
    }

    /// Opens another connection to a tor, for the state.
    fn on(tor: Arc<TorProcess>) -> Self {
        let endpoint = tor.controller().unwrap().endpoint().clone();
        let controller = ConnectOptions::new().connect(endpoint).unwrap();
        let state = State::new(&controller).unwrap();
        Self { tor, state, echo_server: EchoServer::start() }
    }

    /// Returns the connection whose controller attaches no streams.
    fn controller(&self) -> &Controller {
        self.tor.controller().unwrap()
    }

    /// Builds a circuit that tor does not use on its own.
    #[track_caller]
    fn circuit(&self, first: usize) -> Circuit {
        let relays = relays();
        let path: Vec<_> = (0..3).map(|hop| relays[(first + hop) % relays.len()]).collect();
        built(&self.state, path, &CircuitPurpose::Controller)
    }

    fn proxy(&self) -> SocksProxy {
        SocksProxy::new(socks_port(&self.tor)).unwrap().timeout(LIMIT)
    }

    /// Connects to the server as an application does, and talks to it.
    #[track_caller]
    fn visit(&self, name: &str) {
        let stream = retried(self.controller(), "the server is reached", || {
            let stream = self.proxy().connect(&*self.echo_server.target(name));
            stream.map_err(|error| error.to_string())
        });
        is_greeted(stream, name);
    }
}

/// Returns the circuit on which the stream to this host succeeded.
#[track_caller]
fn connected_by(events: &EventQueue, host: &str) -> CircuitId {
    let mut ids = Vec::new();
    let mut seen = Vec::new();
    for event in events.timeout_iter(LIMIT) {
        let Event::Stream(stream) = event else { continue };
        if stream.target().host() == host {
            ids.push(stream.id());
        }
        // The exit replaces the name by the address.
        if ids.contains(&stream.id()) {
            seen.push(stream.to_string());
            if stream.status() == StreamStatus::Succeeded {
                return stream.circuit().expect("it is on a circuit");
            }
        }
    }
    panic!("the stream to {host} is not connected: {seen:#?}");
}

/// Returns the first label of the target's name.
fn label(stream: &StreamInfo) -> String {
    stream.target().host().split('.').next().unwrap_or_default().to_owned()
}
