//! Commands, one after the other, from many threads, and queued.

use std::collections::VecDeque;
use std::hint::black_box;
use std::path::Path;
use std::thread;

use torcon::Controller;

use crate::support::race::{Race, timed};
use crate::support::raw::{Address, Raw};
use crate::support::real_tor::RealTor;
use crate::support::replay::{Answer, Replay};
use crate::support::report::Goal;

const KEY: &str = "version";
const REQUEST: &[u8] = b"GETINFO version\r\n";

/// Round trips in one measurement.
const COUNT: usize = 4_000;

const THREADS: usize = 16;

/// Commands that wait for their replies at the same time.
const WINDOW: usize = 64;

pub(crate) fn unix() {
    let replay = replay();
    one_after_the_other(&replay.unix, &replay.cookie, Goal::AtLeast(0.90));
}

pub(crate) fn tcp() {
    let replay = replay();
    one_after_the_other(&replay.tcp, &replay.cookie, Goal::AtLeast(0.95));
}

pub(crate) fn unix_two_cores() {
    let replay = replay();
    one_after_the_other(&replay.unix, &replay.cookie, Goal::AtLeast(1.5));
}

pub(crate) fn real_tor() {
    if let Some(tor) = RealTor::start() {
        one_after_the_other(&tor.unix, &tor.cookie, None);
    }
}

pub(crate) fn threads_unix() {
    let replay = replay();
    from_threads(&replay.unix, &replay.cookie);
}

pub(crate) fn threads_tcp() {
    let replay = replay();
    from_threads(&replay.tcp, &replay.cookie);
}

fn replay() -> Replay {
    Replay::start(&[Answer::new("GETINFO version", "250-version=0.4.9.11\r\n250 OK\r\n")])
}

fn connect(address: &Address) -> Controller {
    torcon::connect(address.to_string().as_str()).unwrap()
}

fn ask(controller: &Controller, times: usize) {
    (0..times).for_each(|_| drop(black_box(controller.get_info_one(KEY).unwrap())));
}

fn one_after_the_other(address: &Address, cookie: &Path, goal: impl Into<Option<Goal>>) {
    let controller = connect(address);
    let mut raw = Raw::log_in(address, cookie);
    let length = raw.ask(REQUEST).len();
    Race::against("raw: write, read", || {
        timed(COUNT, || {
            for _ in 0..COUNT {
                raw.write(REQUEST);
                raw.drain(length);
            }
        })
    })
    .enter("get_info_one", || timed(COUNT, || ask(&controller, COUNT)))
    .run(goal);
}

fn from_threads(address: &Address, cookie: &Path) {
    let controller = connect(address);
    let mut raw = Raw::log_in(address, cookie);
    let length = raw.ask(REQUEST).len() * THREADS;
    let requests = REQUEST.repeat(THREADS);
    let each = COUNT / 8;
    Race::against("raw: write 16, read 16", || {
        timed(COUNT * THREADS, || {
            for _ in 0..COUNT {
                raw.write(&requests);
                raw.drain(length);
            }
        })
    })
    .enter("get_info_one on 16 threads", || {
        timed(each * THREADS, || {
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    let ask = || ask(&controller, each);
                    thread::Builder::new().spawn_scoped(scope, ask).unwrap();
                }
            });
        })
    })
    .counted()
    .run(Goal::AtLeast(0.40));
}

pub(crate) fn queued() {
    const COUNT: usize = 20_000;
    let replay = replay();
    let controller = connect(&replay.unix);
    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let length = raw.ask(REQUEST).len();
    Race::against("raw: write each, read what has arrived", || {
        timed(COUNT, || {
            let mut read = 0;
            for request in 0..COUNT {
                raw.write(REQUEST);
                while request + 1 - read / length >= WINDOW {
                    read += raw.read();
                }
            }
            raw.drain(length * COUNT - read);
        })
    })
    .enter("queue_command, 64 at a time", || {
        timed(COUNT, || {
            let mut pending = VecDeque::with_capacity(WINDOW);
            for _ in 0..COUNT {
                pending.push_back(controller.queue_command("GETINFO version").unwrap());
                if pending.len() == WINDOW {
                    black_box(pending.pop_front().unwrap().wait().unwrap());
                }
            }
            pending.into_iter().for_each(|reply| drop(black_box(reply.wait().unwrap())));
        })
    })
    .counted()
    .run(Goal::AtLeast(0.80));
}
