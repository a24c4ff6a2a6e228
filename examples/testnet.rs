//! A Tor network on this machine, until Ctrl-C.
//!
//! ```text
//! cargo run --example testnet [-- --relays 5] [--authorities 1] [--for SECONDS]
//! ```
//!
//! Starts a private network of real tors on 127.0.0.1, prints the configuration with which another
//! tor joins it, and ends the network at Ctrl-C, or after some seconds. It needs no internet.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::error::Error;
use std::time::Duration;
use std::{env, thread};

use crossbeam_channel::{Receiver, after, bounded, never, select};
use nix::sys::signal::{SigSet, Signal};
use torcon::testnet::PrivateNetwork;

const USAGE: &str = "usage: testnet [--relays N] [--authorities N] [--for SECONDS]";

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { relays, authorities, time } = Arguments::read()?;
    // Before any other thread begins, so that Ctrl-C ends none of them.
    let stopped = on_stop_signal()?;
    let network = PrivateNetwork::builder()
        .relays(relays)
        .authorities(authorities)
        .on_progress(|progress| eprintln!("{:5.1} s {progress}", progress.elapsed.as_secs_f64()))
        .launch()?;

    println!("\nnickname  role       port   pid      fingerprint");
    for relay in network.relays() {
        let role = match (relay.is_authority, relay.is_exit) {
            (true, _) => "authority",
            (_, true) => "exit",
            _ => "relay",
        };
        let pid = relay.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let (name, port) = (relay.nickname, relay.or_port);
        println!("{name:9} {role:10} {port:<6} {pid:<8} {}", relay.fingerprint);
    }
    println!("\nA tor joins this network by these lines in its torrc:\n");
    print!("{}", network.client_torrc());
    println!("\nEvery name is 127.0.0.1 there, but a.nx.test does not exist. Ctrl-C ends it.");

    select! {
        recv(stopped) -> _ => {}
        recv(time.map_or_else(never, after)) -> _ => {}
    }
    drop(network);
    println!("the network has ended");
    Ok(())
}

/// Blocks the signals that end a program; one thread waits for them and notifies the main thread.
///
/// A second signal, while the network starts or ends, ends the program at once; its tors end with
/// it.
fn on_stop_signal() -> Result<Receiver<()>, Box<dyn Error>> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block()?;
    let (sender, stopped) = bounded(1);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for count in 0.. {
            if signals.wait().is_err() || count > 0 {
                std::process::exit(1);
            }
            eprintln!("ending");
            let _ = sender.send(());
        }
    })?;
    Ok(stopped)
}

struct Arguments {
    relays: usize,
    authorities: usize,
    time: Option<Duration>,
}

impl Arguments {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut read = Self { relays: 5, authorities: 1, time: None };
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match name.as_str() {
                "--relays" => read.relays = value.parse()?,
                "--authorities" => read.authorities = value.parse()?,
                "--for" => read.time = Some(Duration::from_secs(value.parse()?)),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }
}
