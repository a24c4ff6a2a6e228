//! Adding ephemeral onion services.

use std::path::Path;

use torcon::command::AddOnion;
use torcon::names::OnionPort;

use crate::support::race::{Race, timed};
use crate::support::raw::{Address, Raw};
use crate::support::real_tor::RealTor;
use crate::support::replay::{Answer, Replay};
use crate::support::report::Goal;

/// Services in one measurement.
const COUNT: usize = 200;

const REQUEST: &str = "ADD_ONION NEW:ED25519-V3 Port=80,8080";

/// Against a real tor. A server that makes no keys is so quick that reading them is most of the time.
const GOAL: Goal = Goal::AtLeast(0.90);

/// A service that tor made for a test.
const REPLY: &str = "250-ServiceID=jg6gama7cbz4asqrcb2ysxsb4wyje5reg7ow2btjiv6x63y7rmp426ad\r\n\
     250-PrivateKey=ED25519-V3:GBxEviRDvZQ+I3jc3mEkQL9HW1uiuQNXvJyPPSS5c2C0snOSYtMo06qE5Uo5GCBVsfHO\
     KuPLDZUuEy7F/khttQ==\r\n250 OK\r\n";

pub(crate) fn tcp() {
    let replay = replay();
    measure(&replay.tcp, &replay.cookie, None, true);
}

pub(crate) fn unix() {
    let replay = replay();
    measure(&replay.unix, &replay.cookie, None, true);
}

pub(crate) fn real_tcp() {
    if let Some(tor) = RealTor::start() {
        measure(&tor.tcp, &tor.cookie, GOAL, false);
    }
}

pub(crate) fn real_unix() {
    if let Some(tor) = RealTor::start() {
        measure(&tor.unix, &tor.cookie, GOAL, false);
    }
}

fn replay() -> Replay {
    Replay::start(&[Answer::new(REQUEST, REPLY)])
}

/// Each measurement opens a connection; tor removes the services at its end.
fn measure(address: &Address, cookie: &Path, goal: impl Into<Option<Goal>>, counted: bool) {
    let endpoint = address.to_string();
    let request = format!("{REQUEST}\r\n");
    let service = AddOnion::new([OnionPort::new(80, 8080)]);
    let race = Race::against("raw: write, read", || {
        let mut raw = Raw::log_in(address, cookie);
        timed(COUNT, || (0..COUNT).for_each(|_| drop(raw.ask(request.as_bytes()))))
    })
    .enter("add_onion", || {
        let controller = torcon::connect(endpoint.as_str()).unwrap();
        timed(COUNT, || (0..COUNT).for_each(|_| drop(controller.add_onion(&service).unwrap())))
    });
    let race = if counted { race.counted() } else { race };
    race.run(goal);
}
