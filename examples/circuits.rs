//! Shows the circuits and streams of a tor, and their changes.
//!
//! ```text
//! cargo run --example circuits [-- --for SECONDS] [--connect ENDPOINT]
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
use std::time::{Duration, Instant};
use std::{env, thread};

use crossbeam_channel::{Receiver, bounded};
use torcon::names::{RelaySpec, StreamStatus};
use torcon::socks::TorStream;
use torcon::state::{Snapshot, State, Stream};
use torcon::testnet::PrivateNetwork;
use torcon::{Launcher, Tor};

const USAGE: &str = "usage: circuits [--for SECONDS] [--connect ENDPOINT]";

/// The screen is not drawn more often than this.
const FRAME: Duration = Duration::from_millis(100);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let Arguments { time, endpoint } = Arguments::read()?;
    if let Some(endpoint) = endpoint {
        return show(&Tor::connect(&endpoint)?.state()?, time);
    }
    eprintln!("starting a private Tor network");
    let network = PrivateNetwork::launch()?;
    let tor = Tor::launch(Launcher::new().network(&network).option("SocksPort", "auto"))?;
    let server = echo()?;
    let state = tor.state()?;
    let (stop, stopped) = bounded::<()>(0);
    thread::scope(|scope| {
        // Makes streams and circuits to show.
        let visitor = scope.spawn(|| visit(&tor, server, &stopped));
        let shown = show(&state, Some(time.unwrap_or(Duration::from_secs(10))));
        drop(stop);
        match visitor.join() {
            Ok(()) => shown,
            Err(_) => Err("the visitor panicked".into()),
        }
    })
}

/// Draws the screen whenever something has changed, for some time or forever.
fn show(state: &State, time: Option<Duration>) -> Result<()> {
    // A full channel already has a message.
    let (changed, changes) = bounded(1);
    let of_streams = changed.clone();
    state.on_circuit(move |_| changed.try_send(()).unwrap_or_default())?;
    state.on_stream(move |_| of_streams.try_send(()).unwrap_or_default())?;
    let begin = Instant::now();
    let is_over = || time.is_some_and(|time| begin.elapsed() >= time);

    if !io::stdout().is_terminal() {
        // A tor that has just started has no circuits.
        let is_carried = |stream: &Stream| stream.info().status() == StreamStatus::Succeeded;
        while time.is_some() && !is_over() && !state.streams().iter().any(is_carried) {
            let _ = changes.recv_timeout(FRAME);
        }
        print!("{}", screen(&state.snapshot(), usize::MAX));
        return Ok(());
    }
    while !is_over() && state.controller().is_alive() {
        // From the upper left corner; the rest of the screen is cleared.
        print!("\x1b[H\x1b[J{}", screen(&state.snapshot(), 20));
        io::stdout().flush()?;
        thread::sleep(FRAME);
        // Ages change without an event.
        let _ = changes.recv_timeout(Duration::from_secs(1));
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
fn visit(tor: &Tor, server: SocketAddr, stopped: &Receiver<()>) {
    loop {
        let stream = greet(tor, server);
        if let Err(error) = &stream {
            eprintln!("a stream has failed: {error}");
        }
        let pause = stopped.recv_timeout(Duration::from_millis(700));
        if pause.is_err_and(|error| error.is_disconnected()) {
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
    fn read() -> Result<Self> {
        let mut read = Self { time: None, endpoint: None };
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match name.as_str() {
                "--for" => read.time = Some(Duration::from_secs(value.parse()?)),
                "--connect" => read.endpoint = Some(value),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }
}
