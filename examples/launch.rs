//! Launches a tor, shows its bootstrap progress, and ends it.
//!
//! ```text
//! cargo run --features testnet --example launch [-- --internet | --offline]
//! ```
//!
//! It runs on a private Tor network on this machine. With `--internet` tor bootstraps on the real Tor
//! network; if that takes a minute without progress, the launch fails. With `--offline` the network
//! of tor is disabled. Ctrl-C ends the launch.
#![expect(clippy::print_stdout, reason = "example output")]

use std::time::Duration;

use lexopt::prelude::*;
use torcon::process::Ready;
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, Error, Launcher, Result};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: launch [--internet | --offline]

Launches a tor, shows its bootstrap progress, and ends it. By default it bootstraps on a private Tor
network.

  --internet  bootstrap on the real Tor network
  --offline   disable the network of tor";

/// Where tor bootstraps.
enum Network {
    Private,
    Internet,
    Disabled,
}

fn main() -> Result<()> {
    let network = arguments::read(USAGE, |parser| {
        let mut network = Network::Private;
        while let Some(argument) = parser.next()? {
            match argument {
                Long("internet") => network = Network::Internet,
                Long("offline") => network = Network::Disabled,
                other => return Err(other.unexpected()),
            }
        }
        Ok(network)
    });
    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;
    match launch(&network, &token) {
        // Everything is removed already.
        Err(Error::Canceled(canceled)) => {
            println!("{canceled}");
            Ok(())
        }
        outcome => outcome,
    }
}

fn launch(network: &Network, token: &CancelToken) -> Result<()> {
    let launcher = Launcher::new()
        .option("SocksPort", "auto")
        .stall_timeout(Duration::from_secs(60))
        .on_progress(|progress| println!("{progress}"))
        .cancel_token(token);
    // It must live longer than the tor that uses it.
    let private = match network {
        Network::Private => Some(PrivateNetwork::builder().cancel_token(token).launch()?),
        Network::Internet | Network::Disabled => None,
    };
    let launcher = match (network, &private) {
        // Such a tor never reaches 100 %.
        (Network::Disabled, _) => {
            launcher.option("DisableNetwork", "1").wait_for(Ready::Controller)
        }
        (_, Some(private)) => launcher.network(private),
        (_, None) => launcher,
    };
    let tor = launcher.launch()?;
    println!("tor {} is ready, pid {}", tor.controller()?.version(), tor.pid());
    let listeners = tor.controller()?.get_info_one("net/listeners/socks")?;
    println!("SOCKS listeners: {}", if listeners.is_empty() { "none" } else { &listeners });
    println!("it has ended: {}", tor.quit()?);
    Ok(())
}
