//! Connecting, logging in with SAFECOOKIE, and closing.

use std::path::Path;

use crate::support::race::Race;
use crate::support::raw::{Address, Raw};
use crate::support::real_tor::RealTor;
use crate::support::replay::Replay;

/// Connections in one measurement; few enough to leave TCP ports for others.
const COUNT: usize = 200;

pub(crate) fn run() {
    let replay = Replay::start(Vec::new());
    measure("unix socket, replay", &replay.unix, &replay.cookie);
    measure("TCP, replay", &replay.tcp, &replay.cookie);
    if let Some(tor) = RealTor::start() {
        measure("unix socket, real tor", &tor.unix, &tor.cookie);
        measure("TCP, real tor", &tor.tcp, &tor.cookie);
    }
}

fn measure(where_to: &str, address: &Address, cookie: &Path) {
    let endpoint = address.to_string();
    Race::against("raw: the same dialogue", || {
        (0..COUNT).for_each(|_| drop(Raw::log_in(address, cookie)));
        COUNT
    })
    .enter("connect and drop", || {
        (0..COUNT).for_each(|_| drop(torcon::connect(endpoint.as_str()).unwrap()));
        COUNT
    })
    .run(&format!("connections, {where_to}"));
}
