//! Connects to a running tor and queries it.
//!
//! ```text
//! cargo run --example connect -- [endpoint]
//! ```
//!
//! The endpoint is `host:port` or `unix:/path`, by default the first of the usual endpoints. A
//! password is read from the variable `TOR_CONTROL_PASSWORD`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::env;
use std::process::ExitCode;

use torcon::{ConnectOptions, Controller, Password, Result};

fn main() -> ExitCode {
    match connect().and_then(|controller| report(&controller)) {
        Ok(()) => ExitCode::SUCCESS,
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

fn connect() -> Result<Controller> {
    let options = ConnectOptions::new()
        .password_with(|| env::var("TOR_CONTROL_PASSWORD").ok().map(Password::from));
    match env::args().nth(1) {
        Some(endpoint) => options.connect(&endpoint),
        None => options.connect_default(),
    }
}

fn report(controller: &Controller) -> Result<()> {
    println!("tor {} at {}", controller.version(), controller.endpoint());
    let info = controller.get_info(["process/pid", "uptime", "traffic/read", "traffic/written"])?;
    for (key, value) in &info {
        println!("{key:>16}  {value}");
    }
    println!("{:>16}  {}", "bootstrap", controller.bootstrap_phase()?.summary);
    println!("{:>16}  {}", "events", controller.valid_events()?.len());
    controller.quit()
}
