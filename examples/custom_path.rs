//! A circuit along three chosen relays, and a stream through it.
//!
//! ```text
//! cargo run --features testnet --example custom_path [-- --connect ENDPOINT HOST:PORT RELAY...]
//! ```
//!
//! It runs on a private Tor network on this machine. With `--connect` it uses a running tor, such as
//! the one at `127.0.0.1:9051`, and the relays with these fingerprints; a password is read from
//! `TOR_CONTROL_PASSWD`.
#![expect(clippy::print_stdout, reason = "example output")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use lexopt::prelude::*;
use torcon::names::{CircuitPurpose, Fingerprint};
use torcon::state::{Circuit, State};
use torcon::testnet::PrivateNetwork;
use torcon::{ConnectOptions, Launcher};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: custom_path [--connect ENDPOINT HOST:PORT RELAY...]

Builds a circuit along chosen relays and fetches a page through it, by default on a private Tor
network.

  --connect ENDPOINT  use the tor at host:port or unix:/path, with the relays of these fingerprints

A password is read from TOR_CONTROL_PASSWD, such as '\"secret\"' with both quotes.";

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    match arguments::read(USAGE, Arguments::read) {
        None => on_a_private_network(),
        Some(Arguments { endpoint, target, relays }) => {
            let controller = ConnectOptions::from_env()?.connect(&endpoint)?;
            fetch(&build(&State::new(&controller)?, &relays)?, &target)
        }
    }
}

/// Builds a circuit, which tor uses for nothing else.
fn build(state: &State, relays: &[Fingerprint]) -> Result<Circuit, Box<dyn Error>> {
    let circuit = state.build_circuit_for(relays, CircuitPurpose::Controller)?.wait_built(LIMIT)?;
    println!("circuit {} is built:", circuit.id());
    for relay in circuit.path() {
        println!("  {relay}");
    }
    Ok(circuit)
}

/// Fetches a page through the circuit.
fn fetch(circuit: &Circuit, target: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = circuit.connect_stream(target)?;
    for stream in circuit.streams() {
        println!("stream {} goes through it to {}", stream.id(), stream.target());
    }
    write!(stream, "GET / HTTP/1.0\r\nHost: {target}\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    println!("{}", page.lines().last().unwrap_or_default());
    circuit.close()?;
    println!("the circuit is closed: {}", circuit.status());
    Ok(())
}

fn on_a_private_network() -> Result<(), Box<dyn Error>> {
    let network = PrivateNetwork::launch()?;
    let tor = Launcher::new().network(&network).option("SocksPort", "auto").launch()?;
    let state = State::new(tor.controller()?)?;
    let relays: Vec<_> =
        network.relays().iter().filter(|r| r.is_exit).map(|r| r.fingerprint).take(3).collect();
    // A server at the other end of the network, where every name is this machine.
    let server = TcpListener::bind("127.0.0.1:0")?;
    let target = format!("page.test:{}", server.local_addr()?.port());
    thread::Builder::new().name("server".to_owned()).spawn(move || {
        let (mut client, _) = server.accept()?;
        let _ = client.read(&mut [0; 1024])?;
        client.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello from the other end\n")
    })?;
    fetch(&build(&state, &relays)?, &target)
}

struct Arguments {
    endpoint: String,
    target: String,
    relays: Vec<Fingerprint>,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        let (mut endpoint, mut target, mut relays) = (None, None, Vec::new());
        while let Some(argument) = parser.next()? {
            match argument {
                Long("connect") => endpoint = Some(parser.value()?.string()?),
                Value(value) if target.is_none() => target = Some(value.string()?),
                Value(value) => relays.push(value.parse()?),
                other => return Err(other.unexpected()),
            }
        }
        match (endpoint, target) {
            (Some(endpoint), Some(target)) if !relays.is_empty() => {
                Ok(Some(Self { endpoint, target, relays }))
            }
            (None, None) => Ok(None),
            _ => Err("give an endpoint, a target and relays, or nothing".into()),
        }
    }
}
