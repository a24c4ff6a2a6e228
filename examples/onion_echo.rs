//! An onion service with an echo server.
//!
//! ```text
//! cargo run --features testnet --example onion_echo [-- --internet]
//! ```
//!
//! It runs on a private Tor network on this machine, where a second tor connects to it once, and
//! ends. With `--internet` it runs on the real Tor network until Ctrl-C, for any client of Tor.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::io::{self, Read, Write};
use std::thread;

use torcon::names::OnionAddress;
use torcon::onion::{OnionEndpoint, OnionStream};
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, Launcher, Tor};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: onion_echo [--internet]

An onion service with an echo server, by default on a private Tor network, for one client.

  --internet  serve on the real Tor network until Ctrl-C";

/// The port of the service: that of `echo`.
const PORT: u16 = 7;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let internet = arguments::flag(USAGE, "internet");
    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;
    match run(internet, &token) {
        // The token ends whatever is being waited for.
        Err(_) if token.is_canceled() => Ok(()),
        outcome => outcome,
    }
}

fn run(internet: bool, token: &CancelToken) -> Result<()> {
    let network = match internet {
        true => None,
        false => Some(PrivateNetwork::builder().cancel_token(token).launch()?),
    };

    // The token also ends the loop over the clients below.
    let listener = OnionEndpoint::private_tor(PORT)
        .cancel_token(token)
        .launcher(launcher(network.as_ref()))
        .on_progress(|progress| eprintln!("{progress}"))
        .listen()?;
    println!("listening at {}:{PORT}", listener.onion_address());

    thread::scope(|scope| {
        let visitor = network.as_ref().map(|network| {
            scope.spawn(|| {
                let visit = visit(network, &listener.onion_address(), token);
                // This ends the loop below.
                listener.close()?;
                visit
            })
        });
        for stream in listener.incoming() {
            let stream = stream?;
            scope.spawn(move || {
                if let Err(error) = echo(&stream) {
                    eprintln!("a client has disconnected: {error}");
                }
            });
        }
        match visitor.map(thread::ScopedJoinHandle::join) {
            Some(Ok(visit)) => visit,
            Some(Err(_)) => Err("the visitor panicked".into()),
            None => Ok(()),
        }
    })
}

fn echo(stream: &OnionStream) -> io::Result<()> {
    io::copy(&mut &*stream, &mut &*stream).map(drop)
}

/// Sends a line to the service, through another tor.
fn visit(network: &PrivateNetwork, address: &OnionAddress, token: &CancelToken) -> Result<()> {
    let tor = Tor::launch(launcher(Some(network)).cancel_token(token))?;
    // The stream has no limit; it ends with its tor.
    let controller = tor.controller().clone();
    let _guard = token.on_cancel(move || controller.close());
    let mut stream = tor.connect_stream((*address, PORT))?;
    let question = b"hello, onion service";
    stream.write_all(question)?;
    // Tor closes a stream in both directions at once, so the client cannot wait for its end.
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer)?;
    println!("the echo: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

fn launcher(network: Option<&PrivateNetwork>) -> Launcher {
    let launcher = Launcher::new().option("SocksPort", "auto");
    match network {
        Some(network) => launcher.network(network),
        None => launcher,
    }
}
