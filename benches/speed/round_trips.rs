//! Commands, one after the other and from many threads.

use std::hint::black_box;
use std::path::Path;
use std::thread;

use crate::support::race::Race;
use crate::support::raw::{Address, Raw};
use crate::support::real_tor::RealTor;
use crate::support::replay::{Answer, Replay};

const KEY: &str = "version";
const REQUEST: &[u8] = b"GETINFO version\r\n";

/// Round trips in one measurement.
const COUNT: usize = 4_000;

const THREADS: usize = 16;

pub(crate) fn run() {
    let answer = Answer::new("GETINFO version", "250-version=0.4.9.11\r\n250 OK\r\n");
    let replay = Replay::start(vec![answer]);
    measure("unix socket, replay", &replay.unix, &replay.cookie);
    measure("TCP, replay", &replay.tcp, &replay.cookie);
    if let Some(tor) = RealTor::start() {
        measure("unix socket, real tor", &tor.unix, &tor.cookie);
        measure("TCP, real tor", &tor.tcp, &tor.cookie);
    }
}

fn measure(where_to: &str, address: &Address, cookie: &Path) {
    let controller = torcon::connect(address.to_string().as_str()).unwrap();
    let ask = |times: usize| {
        for _ in 0..times {
            black_box(controller.get_info([KEY]).unwrap());
        }
        times
    };
    let mut raw = Raw::log_in(address, cookie);
    let reply_length = raw.ask(REQUEST).len();

    Race::against("raw: write, read", || {
        for _ in 0..COUNT {
            raw.write(REQUEST);
            raw.drain(reply_length);
        }
        COUNT
    })
    .enter_with_goal("get_info", 0.9, || ask(COUNT))
    .run(&format!("round trips, {where_to}"));

    let requests = REQUEST.repeat(THREADS);
    Race::against("raw: write 16, read 16", || {
        for _ in 0..COUNT {
            raw.write(&requests);
            raw.drain(reply_length * THREADS);
        }
        COUNT * THREADS
    })
    .enter_with_goal("get_info on 16 threads", 0.15, || {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let spawned = thread::Builder::new().spawn_scoped(scope, || ask(COUNT / 4));
                spawned.unwrap();
            }
        });
        COUNT / 4 * THREADS
    })
    .run(&format!("16 requests at a time, {where_to}"));
}
