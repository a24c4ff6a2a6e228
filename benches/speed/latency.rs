//! The time from the sending of an event until a closure is called.

use std::time::Duration;

use crossbeam_channel::unbounded;
use torcon::event::BwEvent;

use crate::support::race::{median, rounds};
use crate::support::raw::Raw;
use crate::support::replay::{Answer, NOW, Replay, nanoseconds};
use crate::support::report::{self, Goal};

/// Events in one measurement.
const COUNT: usize = 150;

/// Long enough for every thread to sleep.
const PAUSE: Duration = Duration::from_millis(1);

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn event_to_closure() {
    let body = format!("650 BW {NOW} 1\r\n");
    let pause = Some(PAUSE);
    let answer = Answer { body, times: COUNT, pause, ..Answer::new("TICK", "250 OK\r\n") };
    let replay = Replay::start(&[answer]);
    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let controller = torcon::connect(replay.unix.to_string().as_str()).unwrap();
    let (sender, delays) = unbounded();
    controller.on(move |bw: &BwEvent| sender.send(since(bw.bytes_read())).unwrap()).unwrap();

    let (mut limits, mut closures) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        raw.ask(b"TICK\r\n");
        limits.push(median((0..COUNT).map(|_| since(sent(&raw.read_line()))).collect()));
        controller.command("TICK").unwrap();
        let delay = |_| delays.recv_timeout(LIMIT).expect("every event arrives");
        closures.push(median((0..COUNT).map(delay).collect()));
    }
    report::figure("µs until a raw read returns", median(limits), None);
    report::figure("µs until the closure", median(closures), Goal::AtMost(35.0));
}

/// Returns the microseconds since a time.
fn since(sent: u64) -> f64 {
    nanoseconds().saturating_sub(sent) as f64 / 1e3
}

/// Returns the time of an event.
fn sent(line: &[u8]) -> u64 {
    let line = std::str::from_utf8(line).expect("the event is text");
    line.split(' ').nth(2).expect("the event has numbers").parse().expect("is a number")
}
