//! Launches a tor, shows its bootstrap progress, and ends it.
//!
//! ```text
//! cargo run --example launch -- [--offline]
//! ```
//!
//! With `--offline` tor does not try to reach its network. Where it cannot reach it, the example
//! says so after a minute without progress.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use torcon::process::Ready;
use torcon::{Launcher, Result};

fn main() -> ExitCode {
    match launch(env::args().any(|argument| argument == "--offline")) {
        Ok(()) => ExitCode::SUCCESS,
        // Without the internet this is how it ends; tor is gone already.
        Err(error) if error.is_timeout() => {
            println!("tor does not come up, perhaps it cannot reach its network: {error}");
            println!("with --offline it does not try");
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
