//! Chooses the circuit of each stream: one for each port, by an attacher.
//!
//! ```text
//! cargo run --features testnet --example attach
//! ```
//!
//! It runs on a private Tor network on this machine: it builds three circuits, opens streams to
//! three servers as applications do, and attaches each stream to the circuit of its server. It
//! needs no internet.
#![expect(clippy::print_stdout, reason = "example output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use torcon::names::CircuitPurpose;
use torcon::state::{Attach, Circuit, State};
use torcon::testnet::PrivateNetwork;
use torcon::{Launcher, Tor};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: attach

Chooses the circuit of each stream by its port, on a private Tor network.";

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    arguments::none(USAGE);
    let network = PrivateNetwork::launch()?;
    let tor = Tor::launch(Launcher::new().network(&network).option("SocksPort", "auto"))?;
    let state = State::new(tor.controller())?;
    let relays: Vec<_> = network.relays().iter().map(|relay| relay.fingerprint).collect();

    let mut circuits: BTreeMap<u16, Circuit> = BTreeMap::new();
    for path in relays.windows(3).take(3) {
        let circuit = state.build_circuit_for(path, CircuitPurpose::Controller)?;
        circuits.insert(serve()?, circuit.wait_built(LIMIT)?);
    }

    let choices = circuits.clone();
    let attacher = state.set_attacher(move |stream, _| {
        match stream.target().port().and_then(|port| choices.get(&port)) {
            Some(circuit) => Attach::To(circuit.clone()),
            None => Attach::Tor,
        }
    })?;
    for port in circuits.keys() {
        let mut stream = tor.connect_stream(("server.test", *port))?;
        stream.write_all(b"hello\n")?;
        let mut answer = [0; 6];
        stream.read_exact(&mut answer)?;
        for stream in state.streams() {
            let info = stream.info();
            let circuit = info.circuit().map_or("none".to_owned(), |circuit| circuit.to_string());
            println!("the stream to {} goes through circuit {circuit}", info.target());
        }
    }
    drop(attacher);
    println!("tor attaches streams itself again");
    Ok(())
}

/// Starts an echo server, and returns its port.
fn serve() -> std::io::Result<u16> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port();
    thread::Builder::new().name("server".to_owned()).spawn(move || {
        let (client, _) = server.accept()?;
        std::io::copy(&mut &client, &mut &client)
    })?;
    Ok(port)
}
