//! Launches a tor, shows its bootstrap progress, and ends it.
//!
//! ```text
//! cargo run --example launch -- [--offline]
//! ```
//!
//! With `--offline` the network of tor is disabled. If tor cannot reach its network, the example
//! ends after a minute without progress.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use torcon::process::Ready;
use torcon::{Launcher, Result};

fn main() -> ExitCode {
    match launch(env::args().any(|argument| argument == "--offline")) {
        Ok(()) => ExitCode::SUCCESS,
        // The result without the internet; tor has ended already.
        Err(error) if error.is_timeout() => {
            println!("tor does not bootstrap, perhaps it cannot reach its network: {error}");
            println!("with --offline its network is disabled");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                eprintln!("  because {source}");
                cause = source;
            }
            ExitCode::FAILURE
        }
    }
}

fn launch(offline: bool) -> Result<()> {
    let mut launcher = Launcher::new()
        .option("SocksPort", "auto")
        .stall_timeout(Duration::from_secs(60))
        .on_progress(|progress| println!("{progress}"));
    if offline {
        // Such a tor never reaches 100 %.
        launcher = launcher.option("DisableNetwork", "1").wait_for(Ready::Controller);
    }
    let tor = launcher.launch()?;
    println!("tor {} is ready, pid {}", tor.controller()?.version(), tor.pid());
    let listeners = tor.controller()?.get_info_one("net/listeners/socks")?;
    println!("SOCKS listeners: {}", if listeners.is_empty() { "none" } else { &listeners });
    println!("it has ended: {}", tor.quit()?);
    Ok(())
}
