//! Connecting, logging in with SAFECOOKIE, and closing.

use std::path::Path;

use crate::support::race::{Race, timed};
use crate::support::raw::{Address, Raw};
use crate::support::real_tor::RealTor;
use crate::support::replay::Replay;
use crate::support::report::Goal;

/// Connections in one measurement; few enough to leave TCP ports for others.
const COUNT: usize = 200;

pub(crate) fn tcp() {
    let replay = Replay::start(&[]);
    measure(&replay.tcp, &replay.cookie, Goal::AtLeast(0.95), true);
}

pub(crate) fn unix() {
    let replay = Replay::start(&[]);
    measure(&replay.unix, &replay.cookie, Goal::AtLeast(0.90), true);
}

pub(crate) fn one_core() {
    let replay = Replay::start(&[]);
    measure(&replay.unix, &replay.cookie, Goal::AtLeast(0.85), true);
}

pub(crate) fn real_tor() {
    if let Some(tor) = RealTor::start() {
        measure(&tor.unix, &tor.cookie, None, false);
    }
}

fn measure(address: &Address, cookie: &Path, goal: impl Into<Option<Goal>>, counted: bool) {
    let endpoint = address.to_string();
    let race = Race::against("raw: the same dialogue", || {
        timed(COUNT, || (0..COUNT).for_each(|_| drop(Raw::log_in(address, cookie))))
    })
    .enter("connect and drop", || {
        let connect = |_| drop(torcon::connect(endpoint.as_str()).unwrap());
        timed(COUNT, || (0..COUNT).for_each(connect))
    });
    let race = if counted { race.counted() } else { race };
    race.run(goal);
}
