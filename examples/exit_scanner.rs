//! Asks for a page through every exit relay, with ten threads.
//!
//! ```text
//! cargo run --features testnet --example exit_scanner [-- --connect ENDPOINT HOST:PORT] [--most N]
//! ```
//!
//! Each thread takes the next exit relay, builds a circuit that ends there, and sends a request
//! through it. The table shows what each exit delivered, and how long it took.
//!
//! It scans the exits of a private Tor network on this machine. With `--connect` it uses a running
//! tor, and asks the web server `HOST:PORT`; a password is read from `TOR_CONTROL_PASSWD`. Ctrl-C
//! ends the scan.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use torcon::descriptor::RouterStatus;
use torcon::names::RelayFlag;
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, ConnectOptions, Error, Launcher, Result, State, Tor};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: exit_scanner [--connect ENDPOINT HOST:PORT] [--most N]

Asks for a page through every exit relay, by default those of a private Tor network.

  --connect ENDPOINT HOST:PORT  use the tor at this endpoint, and ask this web server
  --most N                      scan at most N exits; the default is 50

A password is read from TOR_CONTROL_PASSWD, such as '\"secret\"' with both quotes.";

const THREADS: usize = 10;
/// The limit of one circuit, and of one request.
const LIMIT: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let arguments = arguments::read(USAGE, Arguments::read);
    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;
    match run(&arguments, &token) {
        Err(Error::Canceled(_)) => Ok(()),
        outcome => outcome,
    }
}

fn run(arguments: &Arguments, token: &CancelToken) -> Result<()> {
    if let Some((endpoint, target)) = &arguments.running {
        let options = ConnectOptions::from_env()?.cancel_token(token);
        let state = State::new(&options.connect(endpoint)?)?;
        return scan(&state, target, arguments.most, token);
    }
    let network = PrivateNetwork::builder().cancel_token(token).launch()?;
    let launcher = Launcher::new().network(&network).option("SocksPort", "auto");
    let tor = Tor::launch(launcher.cancel_token(token))?;
    let server = tiny_http::Server::http("127.0.0.1:0").map_err(std::io::Error::other)?;
    // The exits of the private network resolve every name to this machine.
    let port = server.server_addr().to_ip().map_or(0, |address| address.port());
    let state = tor.state()?;
    thread::scope(|scope| {
        scope.spawn(|| {
            for request in server.incoming_requests() {
                let _ = request.respond(tiny_http::Response::from_string("Hello.\n"));
            }
        });
        let outcome = scan(&state, &format!("page.test:{port}"), arguments.most, token);
        server.unblock();
        outcome
    })
}

/// Asks for the page through each exit, and prints a line for each.
fn scan(state: &State, target: &str, most: usize, token: &CancelToken) -> Result<()> {
    let relays = state.relays()?;
    let is_exit = |relay: &&RouterStatus| {
        relay.has_flag(&RelayFlag::Exit) && !relay.has_flag(&RelayFlag::BadExit)
    };
    let exits: Vec<_> = relays.iter().filter(is_exit).take(most).collect();
    let guards: Vec<_> = relays.iter().filter(|relay| relay.has_flag(&RelayFlag::Guard)).collect();
    eprintln!("{} exits of {} relays, {THREADS} threads", exits.len(), relays.len());

    let next = AtomicUsize::new(0);
    let good = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !token.is_canceled() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(exit) = exits.get(number) else { return };
                    // Two relays suffice for a scan. They differ, and the guards share the load.
                    let is_other = |guard: &&&RouterStatus| guard.identity() != exit.identity();
                    let mut others = guards.iter().cycle().skip(number).take(guards.len());
                    let Some(guard) = others.find(is_other) else { return };
                    let begin = Instant::now();
                    let outcome = ask(state, [*guard, *exit], target, token);
                    let took = begin.elapsed();
                    match outcome {
                        Ok(answer) => {
                            good.fetch_add(1, Ordering::Relaxed);
                            println!("{:19} {took:>8.2?}  {answer}", exit.nickname());
                        }
                        Err(error) => println!("{:19} {took:>8.2?}  {error}", exit.nickname()),
                    }
                }
            });
        }
    });
    println!("{} of {} exits delivered the page", good.into_inner(), exits.len());
    Ok(())
}

/// Asks for the page through a circuit along these relays. Returns the first line of the answer.
fn ask(
    state: &State,
    path: [&RouterStatus; 2],
    target: &str,
    token: &CancelToken,
) -> Result<String> {
    let path = path.map(RouterStatus::identity);
    let circuit = state.build_circuit_cancelable(path, LIMIT, token)?;
    let outcome = circuit.connect_stream_timeout(target, LIMIT).and_then(|mut stream| {
        stream.set_read_timeout(Some(LIMIT))?;
        write!(stream, "GET / HTTP/1.0\r\nHost: {target}\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(1 << 20).read_to_string(&mut answer)?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    });
    circuit.close()?;
    outcome
}

struct Arguments {
    /// The endpoint of a running tor, and the target.
    running: Option<(String, String)>,
    most: usize,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> std::result::Result<Self, lexopt::Error> {
        let mut read = Self { running: None, most: 50 };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("connect") => {
                    read.running = Some((parser.value()?.string()?, parser.value()?.string()?));
                }
                Long("most") => read.most = parser.value()?.parse()?,
                other => return Err(other.unexpected()),
            }
        }
        Ok(read)
    }
}
