//! Shows the circuits and streams of a tor, and their changes.
//!
//! ```text
//! cargo run --features testnet --example circuits [-- --for SECONDS] [--connect ENDPOINT]
//! ```
//!
//! Without an endpoint it starts a private Tor network on this machine, with a tor that opens
//! streams, and shows that tor for ten seconds. With an endpoint, `host:port` or `unix:/path`, it
//! shows the tor that runs there until Ctrl-C. If its output is not a terminal, it prints the state
//! once, and ends.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use lexopt::prelude::*;
use torcon::names::{RelaySpec, StreamStatus};
use torcon::socks::TorStream;
use torcon::state::{Snapshot, State, Stream};
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, ConnectOptions, Launcher, Tor};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: circuits [--for SECONDS] [--connect ENDPOINT]

Shows the circuits and streams of a tor, by default one on a private Tor network for ten seconds.

  --connect ENDPOINT  show the tor at host:port or unix:/path until Ctrl-C
  --for SECONDS       end after this time

A password is read from TOR_CONTROL_PASSWD, such as '\"secret\"' with both quotes.";

/// The screen is not drawn more often than this.
const FRAME: Duration = Duration::from_millis(100);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments = arguments::read(USAGE, Arguments::read);
    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;
    match run(&arguments, &token) {
        Err(error) if error.downcast_ref().is_some_and(torcon::Error::is_canceled) => Ok(()),
        outcome => outcome,
    }
}

fn run(arguments: &Arguments, token: &CancelToken) -> Result<()> {
    let time = arguments.time;
    if let Some(endpoint) = &arguments.endpoint {
        let controller = ConnectOptions::from_env()?.cancel_token(token).connect(endpoint)?;
        return show(&State::new(&controller)?, time.unwrap_or(Duration::MAX), token);
    }
    eprintln!("starting a private Tor network");
    let network = PrivateNetwork::builder().cancel_token(token).launch()?;
    let launcher = Launcher::new().network(&network).option("SocksPort", "auto");
    let tor = Tor::launch(launcher.cancel_token(token))?;
    let server = echo()?;
    let state = tor.state()?;
    let shown = CancelToken::new();
    thread::scope(|scope| {
        // Makes streams and circuits to show.
        let visitor = scope.spawn(|| visit(&tor, server, &shown));
        let outcome = show(&state, time.unwrap_or(Duration::from_secs(10)), token);
        shown.cancel();
        match visitor.join() {
            Ok(()) => outcome,
            Err(_) => Err("the visitor panicked".into()),
        }
    })
}

/// Draws the screen whenever something has changed, for some time or until Ctrl-C.
fn show(state: &State, time: Duration, token: &CancelToken) -> Result<()> {
    // A full channel already has a message.
    let (changed, changes) = bounded(1);
    let of_streams = changed.clone();
    state.on_circuit(move |_| changed.try_send(()).unwrap_or_default())?;
    state.on_stream(move |_| of_streams.try_send(()).unwrap_or_default())?;
    let begin = Instant::now();
    let is_over = || token.is_canceled() || begin.elapsed() >= time;

    if !io::stdout().is_terminal() {
        // A tor that has just started has no circuits.
        let is_carried = |stream: &Stream| stream.info().status() == StreamStatus::Succeeded;
        while time < Duration::MAX && !is_over() && !state.streams().iter().any(is_carried) {
            let _ = changes.recv_timeout(FRAME);
        }
        print!("{}", screen(&state.snapshot(), usize::MAX));
        return Ok(());
    }
    while !is_over() && state.controller().is_alive() {
        // From the upper left corner; the rest of the screen is cleared.
        print!("\x1b[H\x1b[J{}", screen(&state.snapshot(), 20));
        io::stdout().flush()?;
        token.wait_timeout(FRAME);
        // Ages change without an event.
        let _ = changes.recv_timeout(Duration::from_millis(500));
    }
    Ok(())
}

/// Formats the state, with at most so many circuits and streams.
fn screen(snapshot: &Snapshot, most: usize) -> String {
    let mut text = String::new();
    let percent = snapshot.bootstrap.as_ref().map_or(0, |bootstrap| bootstrap.progress);
    let (circuits, streams) = (snapshot.circuits.len(), snapshot.streams.len());
    let relays = snapshot.connections.len();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{percent} %, {relays} connections, {circuits} circuits, {streams} streams\n"
    );
    for circuit in snapshot.circuits.iter().take(most) {
        let age = circuit.time_created().and_then(|time| time.elapsed().ok()).unwrap_or_default();
        let purpose = circuit.purpose().as_ref().map(ToString::to_string).unwrap_or_default();
        let path: Vec<String> = circuit.path().iter().map(name).collect();
        let _ = writeln!(
            text,
            "{:>5} {:8} {purpose:17} {:>4} s  {}",
            circuit.id(),
            circuit.status(),
            age.as_secs(),
            path.join(" > ")
        );
        for stream in snapshot.streams_of(circuit.id()) {
            let _ =
                writeln!(text, "      |- {} {} {}", stream.id(), stream.status(), stream.target());
        }
    }
    let is_elsewhere = |circuit| snapshot.circuit(circuit).is_none();
    let others = snapshot.streams.iter().filter(|stream| stream.circuit().is_none_or(is_elsewhere));
    for stream in others.take(most) {
        let circuit = stream.circuit().map_or("none".to_owned(), |circuit| circuit.to_string());
        let (id, status, target) = (stream.id(), stream.status(), stream.target());
        let _ = writeln!(text, "circuit {circuit}: {id} {status} {target}");
    }
    text
}

/// The short name of a relay.
fn name(relay: &RelaySpec) -> String {
    match (relay.nickname(), relay.fingerprint()) {
        (Some(nickname), _) => nickname.to_string(),
        (None, Some(fingerprint)) => format!("{:.8}", fingerprint.to_string()),
        (None, None) => relay.to_string(),
    }
}

/// Opens streams through tor, one after the other, until it is stopped.
fn visit(tor: &Tor, server: SocketAddr, stopped: &CancelToken) {
    loop {
        // The stream stays open during the pause.
        let stream = greet(tor, server);
        if let Err(error) = &stream {
            eprintln!("a stream has failed: {error}");
        }
        if stopped.wait_timeout(Duration::from_millis(700)) {
            return;
        }
    }
}

/// Opens a stream and uses it.
fn greet(tor: &Tor, server: SocketAddr) -> Result<TorStream> {
    let mut stream = tor.connect_stream(("echo.test", server.port()))?;
    stream.write_all(b"hello")?;
    stream.read_exact(&mut [0; 5])?;
    Ok(stream)
}

/// An echo server.
fn echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("echo".to_owned()).spawn(move || {
        for stream in listener.incoming().map_while(std::result::Result::ok) {
            let copy = move || drop(io::copy(&mut &stream, &mut &stream));
            drop(thread::Builder::new().name("echo".to_owned()).spawn(copy));
        }
    })?;
    Ok(address)
}

struct Arguments {
    time: Option<Duration>,
    endpoint: Option<String>,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> std::result::Result<Self, lexopt::Error> {
        let mut read = Self { time: None, endpoint: None };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("for") => read.time = Some(Duration::from_secs(parser.value()?.parse()?)),
                Long("connect") => read.endpoint = Some(parser.value()?.string()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(read)
    }
}
