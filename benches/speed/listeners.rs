//! Many listeners on one connection.

use std::time::Instant;

use torcon::EventKind;

use crate::support::race::{median, rounds};
use crate::support::replay::Replay;
use crate::support::report::{self, Goal};

const COUNT: usize = 4_000;

/// Adds and removes listeners. A raw connection has none, so only the time of each call counts; the
/// first one subscribes, and the last one ends the subscription.
pub(crate) fn add_remove() {
    let replay = Replay::start(&[]);
    let controller = torcon::connect(replay.unix.to_string().as_str()).unwrap();
    let each = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / COUNT as f64;
    let (mut adds, mut removes) = (Vec::new(), Vec::new());
    for _ in 0..rounds().min(3) {
        let start = Instant::now();
        let add = |_| controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
        let ids: Vec<_> = (0..COUNT).map(add).collect();
        adds.push(each(start));
        let start = Instant::now();
        ids.into_iter().for_each(|id| controller.remove_event_listener(id).unwrap());
        removes.push(each(start));
    }
    report::figure("µs to add one of 4,000", median(adds), Goal::AtMost(50.0));
    report::figure("µs to remove one of 4,000", median(removes), Goal::AtMost(50.0));
}
