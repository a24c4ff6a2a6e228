//! Allocations, system calls and context switches of one call.

use std::hint::black_box;

use torcon::Controller;
use torcon::names::Signal;

use crate::support::race::{Race, timed};
use crate::support::raw::Raw;
use crate::support::replay::{Answer, Replay};

const COUNT: usize = 2_000;

pub(crate) fn get_info_one() {
    measure("GETINFO version", |controller| {
        black_box(controller.get_info_one("version").unwrap());
    });
}

pub(crate) fn set_conf() {
    measure("SETCONF MaxCircuitDirtiness=300", |controller| {
        controller.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
    });
}

pub(crate) fn signal() {
    measure("SIGNAL NEWNYM", |controller| controller.signal(Signal::Newnym).unwrap());
}

fn measure(command: &str, call: impl Fn(&Controller)) {
    let answer = Answer::new("GETINFO version", "250-version=0.4.9.11\r\n250 OK\r\n");
    let replay = Replay::start(&[answer]);
    let controller = torcon::connect(replay.unix.to_string().as_str()).unwrap();
    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let request = format!("{command}\r\n");
    let length = raw.ask(request.as_bytes()).len();
    Race::against("raw: write, read", || {
        timed(COUNT, || {
            for _ in 0..COUNT {
                raw.write(request.as_bytes());
                raw.drain(length);
            }
        })
    })
    .enter(command, || timed(COUNT, || (0..COUNT).for_each(|_| call(&controller))))
    .counted()
    .run(None);
}
