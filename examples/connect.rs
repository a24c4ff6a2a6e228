//! Connects to a running tor and queries it.
//!
//! ```text
//! cargo run --example connect [-- ENDPOINT]
//! ```
//!
//! The endpoint is `host:port` or `unix:/path`, by default the first of the usual endpoints. A
//! password is read from the variable `TOR_CONTROL_PASSWD`.
#![expect(clippy::print_stdout, reason = "example output")]

use lexopt::prelude::*;
use torcon::{ConnectOptions, Result};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: connect [ENDPOINT]

Connects to a running tor and queries it. The endpoint is host:port or unix:/path, by default the
first of the usual endpoints that answers.

A password is read from TOR_CONTROL_PASSWD, such as '\"secret\"' with both quotes.";

fn main() -> Result<()> {
    let endpoint = arguments::read(USAGE, |parser| {
        let mut endpoint = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Value(value) if endpoint.is_none() => endpoint = Some(value.string()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(endpoint)
    });
    let options = ConnectOptions::from_env()?;
    let controller = match endpoint {
        Some(endpoint) => options.connect(&endpoint)?,
        None => options.connect_default()?,
    };

    println!("tor {} at {}", controller.version(), controller.endpoint());
    let info = controller.get_info(["process/pid", "uptime", "traffic/read", "traffic/written"])?;
    for (key, value) in &info {
        println!("{key:>16}  {value}");
    }
    println!("{:>16}  {}", "bootstrap", controller.bootstrap_phase()?.summary);
    println!("{:>16}  {}", "events", controller.valid_events()?.len());
    controller.quit()
}
