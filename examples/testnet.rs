//! A Tor network on this machine, until Ctrl-C.
//!
//! ```text
//! cargo run --features testnet --example testnet [-- --relays 5] [--authorities 1] [--for SECONDS]
//! ```
//!
//! Starts a private network of real tors on 127.0.0.1, prints the configuration with which another
//! tor joins it, and ends the network at Ctrl-C, or after some seconds. It needs no internet.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::time::Duration;

use lexopt::prelude::*;
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, Error, Result};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: testnet [--relays N] [--authorities N] [--for SECONDS]

A Tor network on this machine, until Ctrl-C.

  --relays N       the number of relays besides the authorities; the default is 5
  --authorities N  the number of directory authorities; the default is 1
  --for SECONDS    end after this time";

fn main() -> Result<()> {
    let arguments = arguments::read(USAGE, Arguments::read);
    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;
    match run(&arguments, &token) {
        // Ctrl-C during the launch: every tor has ended.
        Err(Error::Canceled(_)) => Ok(()),
        outcome => outcome,
    }
}

fn run(arguments: &Arguments, token: &CancelToken) -> Result<()> {
    let network = PrivateNetwork::builder()
        .relays(arguments.relays)
        .authorities(arguments.authorities)
        .cancel_token(token)
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

    token.wait_timeout(arguments.time);
    drop(network);
    println!("the network has ended");
    Ok(())
}

struct Arguments {
    relays: usize,
    authorities: usize,
    time: Duration,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> std::result::Result<Self, lexopt::Error> {
        let mut read = Self { relays: 5, authorities: 1, time: Duration::MAX };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("relays") => read.relays = parser.value()?.parse()?,
                Long("authorities") => read.authorities = parser.value()?.parse()?,
                Long("for") => read.time = Duration::from_secs(parser.value()?.parse()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(read)
    }
}
