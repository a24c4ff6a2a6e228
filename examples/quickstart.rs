//! A quick tour: launching, queries, events, options, and an onion service.
//!
//! ```text
//! cargo run --features testnet --example quickstart [-- --internet]
//! ```
//!
//! Starts a private Tor network on this machine, so that no internet is needed, and launches a tor
//! in it. Queries that tor, subscribes to its events, changes an option, adds an onion service in
//! front of a small server, and connects to it through a second tor. With `--internet` it uses the
//! real Tor network.
#![expect(clippy::print_stdout, reason = "example output")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use torcon::command::ConfValue;
use torcon::onion::OnionListener;
use torcon::testnet::PrivateNetwork;
use torcon::{Controller, EventKind, Launcher, Tor};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: quickstart [--internet]

A quick tour of torcon, by default on a private Tor network.

  --internet  use the real Tor network";

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let internet = arguments::flag(USAGE, "internet");
    let network = if internet { None } else { Some(bring_up_network()?) };

    let tor = launch("a new tor", network.as_ref())?;
    ask(tor.controller())?;
    listen(tor.controller())?;
    configure(tor.controller())?;

    let listener = publish(&tor)?;
    let address = listener.onion_address();
    let server = thread::Builder::new().spawn(move || serve_one(&listener))?;
    let visitor = launch("a second tor", network.as_ref())?;
    let answer = timed("reached through the second tor", || {
        let mut stream = visitor.connect_stream((address, 80))?;
        stream.write_all(b"hello\n")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer)
    })?;
    println!("{:>22}  {}", "it answers", answer.trim());
    server.join().map_err(|_| "the server panicked")??;

    visitor.close()?;
    tor.close()?;
    println!("\nboth tors have ended, and their directories are removed");
    Ok(())
}

fn bring_up_network() -> Outcome<PrivateNetwork> {
    let bar = bar();
    let shown = bar.clone();
    timed("a private Tor network", || {
        let network = PrivateNetwork::builder()
            .on_progress(move |progress| {
                shown.set_position(progress.percent.into());
                shown.set_message(progress.step.to_string());
            })
            .launch()?;
        bar.finish_and_clear();
        println!("{:>22}  {} tors", "it has", network.relays().len());
        Ok(network)
    })
}

/// Launches a tor, and returns when it is at 100 %.
fn launch(name: &str, network: Option<&PrivateNetwork>) -> Outcome<Tor> {
    let bar = bar();
    let shown = bar.clone();
    let launcher = Launcher::new().option("SocksPort", "auto").on_progress(move |progress| {
        shown.set_position(progress.percent.into());
        shown.set_message(progress.summary.clone());
    });
    let launcher = match network {
        Some(network) => launcher.network(network),
        None => launcher,
    };
    timed(&format!("{name} at 100 %"), || {
        let tor = Tor::launch(launcher)?;
        bar.finish_and_clear();
        Ok(tor)
    })
}

fn ask(controller: &Controller) -> Outcome {
    println!("{:>22}  {} at {}", "it is", controller.version(), controller.endpoint());
    for (key, value) in &controller.get_info(["process/pid", "net/listeners/socks"])? {
        println!("{key:>22}  {value}");
    }
    let events = controller.valid_events()?.len();
    let options = controller.config_names()?.len();
    println!("{:>22}  {events} kinds of event, {options} options", "it knows");
    Ok(())
}

fn listen(controller: &Controller) -> Outcome {
    println!("\nits bandwidth, for three seconds");
    let events = controller.events([EventKind::Bw])?;
    for event in events.timeout_iter(Duration::from_secs(5)).take(3) {
        println!("{event:>22}");
    }
    Ok(())
}

fn configure(controller: &Controller) -> Outcome {
    println!("\nan option");
    let show = |when: &str| -> Outcome {
        let conf = controller.get_conf(["MaxCircuitDirtiness"])?;
        let value = conf.get("MaxCircuitDirtiness").and_then(ConfValue::first);
        println!("{when:>22}  MaxCircuitDirtiness {} seconds", value.unwrap_or("?"));
        Ok(())
    };
    show("before")?;
    controller.set_conf([("MaxCircuitDirtiness", "5 minutes")])?;
    show("changed")?;
    controller.reset_conf([("MaxCircuitDirtiness", None::<&str>)])?;
    show("back")
}

fn publish(tor: &Tor) -> Outcome<OnionListener> {
    timed("an onion service, published", || {
        let listener = tor.onion_endpoint(80).listen()?;
        println!("{:>22}  {}", "its address", listener.onion_address());
        Ok(listener)
    })
}

fn serve_one(listener: &OnionListener) -> Outcome {
    let mut stream = listener.accept()?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    write!(stream, "you said {line}")?;
    Ok(())
}

/// Does something and prints how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!("\n{what}");
    let start = Instant::now();
    let outcome = work()?;
    println!("{:>22}  {:.2} s", "after", start.elapsed().as_secs_f64());
    Ok(outcome)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos:>3} % {msg}") {
        bar.set_style(style);
    }
    bar
}
