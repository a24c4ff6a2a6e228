//! HTTP through a circuit of three chosen relays, with the HTTP client `ureq`.
//!
//! ```text
//! cargo run --features testnet --example http_over_circuit \
//!     [-- --connect ENDPOINT URL RELAY RELAY RELAY]
//! ```
//!
//! [`StreamConnector`] lets `ureq` open its connections as streams of torcon: of a circuit, or of a
//! tor, which then chooses the circuit. Copy it into your program. It is not part of torcon, since
//! the traits of `ureq` that it implements may change with every release of `ureq`.
//!
//! It runs on a private Tor network on this machine. With `--connect` it uses a running tor and the
//! relays with these fingerprints; a password is read from `TOR_CONTROL_PASSWD`.
#![expect(clippy::print_stdout, reason = "example output")]

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lexopt::prelude::*;
use torcon::names::{CircuitPurpose, Fingerprint};
use torcon::socks::TorStream;
use torcon::state::Circuit;
use torcon::testnet::PrivateNetwork;
use torcon::{ConnectOptions, Launcher, State, Tor};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: http_over_circuit [--connect ENDPOINT URL RELAY RELAY RELAY]

Fetches a page through a circuit of three chosen relays, by default on a private Tor network.

  --connect ENDPOINT  use the tor at host:port or unix:/path, with the relays of these fingerprints

A password is read from TOR_CONTROL_PASSWD, such as '\"secret\"' with both quotes.";

const LIMIT: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Opens the connections of an HTTP client as streams.
struct StreamConnector<F>(F);

impl<F> Connector for StreamConnector<F>
where
    F: Fn(&str, u16) -> torcon::Result<TorStream> + Send + Sync + 'static,
{
    type Out = StreamTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> std::result::Result<Option<StreamTransport>, ureq::Error> {
        if details.needs_tls() {
            // Chain `RustlsConnector` of ureq after this connector to get https.
            return Err(ureq::Error::BadUri("https needs a TLS connector".to_owned()));
        }
        let host = details.uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = details.uri.port_u16().unwrap_or(80);
        let stream = self.0(host, port).map_err(|error| ureq::Error::Io(error.into()))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(StreamTransport { stream, buffers }))
    }
}

impl<F> fmt::Debug for StreamConnector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamConnector")
    }
}

/// A stream with the buffers of `ureq`.
struct StreamTransport {
    stream: TorStream,
    buffers: LazyBuffers,
}

impl Transport for StreamTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        timeout: NextTimeout,
    ) -> std::result::Result<(), ureq::Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Every request gets a new stream.
    fn is_open(&mut self) -> bool {
        false
    }
}

impl fmt::Debug for StreamTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

/// Leaves names to the exit relay: a lookup on this machine would tell them to its name server.
#[derive(Debug)]
struct ExitResolver;

impl Resolver for ExitResolver {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        // ureq requires an address, which StreamConnector does not use.
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}

/// Returns an HTTP client whose connections are opened by `open`.
fn agent(open: impl Fn(&str, u16) -> torcon::Result<TorStream> + Send + Sync + 'static) -> Agent {
    let config = Agent::config_builder().timeout_global(Some(LIMIT)).build();
    Agent::with_parts(config, StreamConnector(open), ExitResolver)
}

fn main() -> Result<()> {
    match arguments::read(USAGE, Arguments::read) {
        None => fetch_on_a_private_network(),
        Some(Arguments { endpoint, url, relays }) => {
            let options = ConnectOptions::from_env()?;
            let state = State::new(&options.connect(&endpoint)?)?;
            fetch_through(&build(&state, &relays)?, &url)
        }
    }
}

fn fetch_on_a_private_network() -> Result<()> {
    let network = PrivateNetwork::launch()?;
    let tor = Arc::new(Tor::launch(Launcher::new().network(&network).option("SocksPort", "auto"))?);
    let state = tor.state()?;
    let server = tiny_http::Server::http("127.0.0.1:0")?;
    let port = server.server_addr().to_ip().ok_or("the server has no TCP port")?.port();
    thread::scope(|scope| {
        scope.spawn(|| {
            for request in server.incoming_requests() {
                let _ = request.respond(tiny_http::Response::from_string("Hello.\n"));
            }
        });
        // The exits of the private network resolve every name to this machine.
        let url = format!("http://page.test:{port}/");
        let relays: Vec<_> = network.relays().iter().map(|relay| relay.fingerprint).collect();
        let outcome = build(&state, relays.get(1..4).unwrap_or_default())
            .and_then(|circuit| fetch_through(&circuit, &url));

        // The same with a circuit that tor chooses.
        let any = Arc::clone(&tor);
        let page = agent(move |host, port| any.connect_stream((host, port)))
            .get(&url)
            .call()
            .and_then(|mut response| response.body_mut().read_to_string());
        server.unblock();
        println!("through a circuit that tor chose: {}", page?.trim());
        outcome
    })
}

/// Builds a circuit, which tor uses for nothing else.
fn build(state: &State, relays: &[Fingerprint]) -> Result<Circuit> {
    let circuit = state.build_circuit_for(relays, CircuitPurpose::Controller)?.wait_built(LIMIT)?;
    println!("circuit {}:", circuit.id());
    circuit.path().iter().for_each(|relay| println!("  {relay}"));
    Ok(circuit)
}

fn fetch_through(circuit: &Circuit, url: &str) -> Result<()> {
    let through = circuit.clone();
    let agent = agent(move |host, port| through.connect_stream((host, port)));
    let mut response = agent.get(url).call()?;
    let page = response.body_mut().read_to_string()?;
    println!("{url}: {}, {} bytes", response.status(), page.len());
    page.lines().take(5).for_each(|line| println!("  | {line}"));
    circuit.close()?;
    Ok(())
}

struct Arguments {
    endpoint: String,
    url: String,
    relays: Vec<Fingerprint>,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> std::result::Result<Option<Self>, lexopt::Error> {
        let (mut endpoint, mut url, mut relays) = (None, None, Vec::new());
        while let Some(argument) = parser.next()? {
            match argument {
                Long("connect") => endpoint = Some(parser.value()?.string()?),
                Value(value) if url.is_none() => url = Some(value.string()?),
                Value(value) => relays.push(value.parse()?),
                other => return Err(other.unexpected()),
            }
        }
        match (endpoint, url) {
            (Some(endpoint), Some(url)) if relays.len() == 3 => {
                Ok(Some(Self { endpoint, url, relays }))
            }
            (None, None) => Ok(None),
            _ => Err("give an endpoint, a URL and three relays, or nothing".into()),
        }
    }
}
