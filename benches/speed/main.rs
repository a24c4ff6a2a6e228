//! The speed of torcon, relative to the sockets of the same machine.
//!
//! Every measurement has a limit: a loop on a raw socket that exchanges the same bytes without
//! parsing them. Both run alternately, round by round, in one process, so that other load of the
//! machine affects both. The result is the ratio; rates of different machines or days cannot be
//! compared.
//!
//! - `round_trips`: one `GETINFO` after the other, against a raw loop that writes and reads; and
//!   16 threads that share one `Controller`, against a raw loop that writes 16 requests at once.
//! - `events`: a flood of `CIRC` and of `BW` events to a listener or a queue, against reading it.
//! - `big_reply`: a `GETINFO ns/all` of 8,000 relays, against reading it; and the memory that a
//!   reply of 50 MB takes line by line.
//! - `relays`: the same consensus as a list of relays, and one relay after the other, against
//!   reading it; and how long it takes to read name, identity, address and flags of every relay.
//! - `state`: a flood of events of 10,000 circuits and 10,000 streams that a state follows, against
//!   reading it; the memory that such a state takes; and reads of the state.
//! - `connect`: connecting, SAFECOOKIE and closing, against the same dialogue on a raw socket.
//!
//! The peer is a thread that replays fixed answers. If `tor` is on the path, `round_trips` and
//! `connect` also measure a real tor without network.
//!
//! `cargo bench` runs everything, `cargo bench -- events connect` a part. `TORCON_BENCH_ROUNDS`
//! sets the number of rounds, 7 by default; on a machine that does other work more are better.
#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and any error may end it"
)]

mod big_reply;
mod connect;
mod events;
mod relays;
mod round_trips;
mod state;

/// Raw sockets, a server that replays answers, a real tor, and the comparison of rates.
mod support;

use std::env;

const BENCHES: [(&str, fn()); 6] = [
    ("round_trips", round_trips::run),
    ("events", events::run),
    ("big_reply", big_reply::run),
    ("relays", relays::run),
    ("state", state::run),
    ("connect", connect::run),
];

fn main() {
    // cargo adds the option `--bench`.
    let wanted: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, run) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            run();
        }
    }
}
