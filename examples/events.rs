//! Shows the events of a running tor until Ctrl-C.
//!
//! ```text
//! cargo run --example events [-- --for SECONDS] [--connect ENDPOINT] [EVENT...]
//! ```
//!
//! The endpoint is `host:port` or `unix:/path`, by default the first of the usual endpoints; the
//! events are those that `GETINFO events/names` lists, by default `BW`, `CIRC`, `STREAM` and
//! `NOTICE`. A password is read from `TOR_CONTROL_PASSWD`.
#![expect(clippy::print_stdout, reason = "example output")]

use std::time::Duration;

use lexopt::prelude::*;
use torcon::event::{BwEvent, CircEvent};
use torcon::{CancelToken, ConnectOptions, Error, Event, EventKind, Result};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: events [--for SECONDS] [--connect ENDPOINT] [EVENT...]

Shows the events of a running tor until Ctrl-C, by default BW, CIRC, STREAM and NOTICE.

  --connect ENDPOINT  the tor at host:port or unix:/path, by default the first of the usual ones
  --for SECONDS       end after this time

A password is read from TOR_CONTROL_PASSWD, such as '\"secret\"' with both quotes.";

fn main() -> Result<()> {
    let arguments = arguments::read(USAGE, Arguments::read);
    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;
    match show(arguments, &token) {
        Err(Error::Canceled(_)) => Ok(()),
        outcome => outcome,
    }
}

fn show(arguments: Arguments, token: &CancelToken) -> Result<()> {
    let options = ConnectOptions::from_env()?.cancel_token(token);
    let controller = match arguments.endpoint {
        Some(endpoint) => options.connect(&endpoint)?,
        None => options.connect_default()?,
    };

    // By closure, on the thread of the connection: typed, with methods for the fields.
    controller.on(|bandwidth: &BwEvent| {
        println!(
            "  {:>9} B/s in, {:>9} B/s out",
            bandwidth.bytes_read(),
            bandwidth.bytes_written()
        );
    })?;
    controller.on(|circuit: &CircEvent| println!("  circuit {}", circuit.status()))?;
    controller.on_disconnect(|reason| println!("the end: {reason}"));

    // From a queue, on another thread, which ends with the connection.
    let events = controller.events(arguments.kinds)?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for event in events.iter() {
                match event {
                    Event::Lagged { dropped, .. } => println!("{dropped} events were lost here"),
                    event => println!("{event}"),
                }
            }
        });
        // Ends at Ctrl-C, at the end of the time, or when tor has ended.
        let at_end = controller.clone();
        let guard = token.on_cancel(move || at_end.close());
        let closed = controller.wait_closed(arguments.time);
        drop(guard);
        controller.close();
        match closed {
            Err(error) if !error.is_timeout() => Err(error),
            _ => Ok(()),
        }
    })
}

struct Arguments {
    time: Duration,
    endpoint: Option<String>,
    kinds: Vec<EventKind>,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> std::result::Result<Self, lexopt::Error> {
        let mut read = Self { time: Duration::MAX, endpoint: None, kinds: Vec::new() };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("for") => read.time = Duration::from_secs(parser.value()?.parse()?),
                Long("connect") => read.endpoint = Some(parser.value()?.string()?),
                Value(value) => read.kinds.push(EventKind::from(&*value.string()?)),
                other => return Err(other.unexpected()),
            }
        }
        if read.kinds.is_empty() {
            read.kinds = vec![EventKind::Bw, EventKind::Circ, EventKind::Stream, EventKind::Notice];
        }
        Ok(read)
    }
}
