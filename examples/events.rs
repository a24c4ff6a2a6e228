//! Shows the events of a running tor for ten seconds.
//!
//! ```text
//! cargo run --example events -- [endpoint] [EVENT ...]
//! ```
//!
//! The endpoint is `host:port` or `unix:/path`, by default `localhost:9051`; the events are those
//! that `GETINFO events/names` lists, by default `BW`, `CIRC`, `STREAM` and `NOTICE`.
#![expect(clippy::print_stdout, reason = "example output")]

use std::env;
use std::time::{Duration, Instant};

use torcon::event::{BwEvent, CircEvent};
use torcon::{Event, EventKind, Result};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let endpoint = arguments.next().unwrap_or_else(|| "localhost:9051".to_owned());
    let mut kinds: Vec<_> = arguments.map(|name| EventKind::from(&*name)).collect();
    if kinds.is_empty() {
        kinds = vec![EventKind::Bw, EventKind::Circ, EventKind::Stream, EventKind::Notice];
    }
    let controller = torcon::connect(&endpoint)?;

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

    // From a queue, on this thread.
    let events = controller.events(kinds)?;
    let end = Instant::now() + Duration::from_secs(10);
    while let Ok(event) = events.recv_deadline(end) {
        match event {
            Event::Lagged { dropped, .. } => println!("{dropped} events were lost here"),
            event => println!("{event}"),
        }
    }
    drop(events);
    controller.quit()
}
