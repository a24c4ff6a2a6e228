//! An onion service that survives its tor.
//!
//! ```text
//! cargo run --features testnet --example supervised
//! ```
//!
//! It runs on a private Tor network on this machine. A supervisor launches a tor and adds an echo
//! server as an onion service. The tor is killed; the supervisor launches it again and restores the
//! service, the listener and the option. A second tor reaches the service before and after that.
#![expect(clippy::print_stdout, reason = "example output")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::names::OnionAddress;
use torcon::onion::{OnionListener, Publication};
use torcon::supervisor::SupervisorStatus;
use torcon::testnet::PrivateNetwork;
use torcon::{Event, EventKind, Launcher, Supervisor, Tor};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: supervised

An onion service that survives the end of its tor, on a private Tor network.";

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    arguments::none(USAGE);
    let network = PrivateNetwork::launch()?;
    let launcher = || Launcher::new().network(&network).option("SocksPort", "auto");
    let visitor = Tor::launch(launcher())?;

    let supervisor = Supervisor::launch(launcher())?;
    supervisor.on_status(|status| println!("status: {status}"))?;
    supervisor.set_conf([("MaxCircuitDirtiness", "5 minutes")])?;
    supervisor.add_event_listener(EventKind::ConfChanged, |event| {
        if let Event::Reconnected { gap, .. } = event {
            println!("no events for {gap:.1?}");
        }
    })?;
    let listener = supervisor.onion_endpoint(80).listen()?;
    let address = listener.onion_address();
    println!("listening at {address}");

    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener));
        let outcome = survive(&supervisor, &visitor, &listener, address);
        // This ends the server.
        listener.close()?;
        server.join().map_err(|_| "the server panicked")?;
        outcome
    })
}

/// Reaches the service, kills its tor, and reaches the service again.
fn survive(
    supervisor: &Supervisor,
    visitor: &Tor,
    listener: &OnionListener,
    address: OnionAddress,
) -> Outcome {
    reach(visitor, address)?;
    let tor = supervisor.tor()?;
    let process = tor.process().ok_or("the supervisor launches its tor")?;
    println!("killing tor, PID {}", process.pid());
    kill(Pid::from_raw(process.pid().try_into()?), Signal::SIGKILL)?;

    let is_next = |status: &SupervisorStatus| matches!(status, SupervisorStatus::Up { generation, .. } if *generation > 1);
    supervisor.wait_status(LIMIT, is_next)?;
    listener.wait_published(Publication::Reachable, LIMIT)?;
    reach(visitor, address)?;
    let conf = supervisor.tor()?.controller().get_conf(["MaxCircuitDirtiness"])?;
    println!("the options of the new tor: {conf:?}");
    Ok(())
}

/// Sends a line to the service and reads it back. A client may need several attempts, since it has
/// the descriptor of the former introduction points.
fn reach(visitor: &Tor, address: OnionAddress) -> Outcome {
    let end = Instant::now() + LIMIT;
    let mut stream = loop {
        match visitor.connect_stream((address, 80)) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() < end => println!("not yet: {error}"),
            Err(error) => return Err(error.into()),
        }
    };
    let question = b"hello, onion service";
    stream.write_all(question)?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer)?;
    println!("the echo: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Sends back what each client sends, until the listener is closed.
fn serve(listener: &OnionListener) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            scope.spawn(move || io::copy(&mut &stream, &mut &stream));
        }
    });
}
