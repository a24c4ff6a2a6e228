//! Long replies.

use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;

use torcon::Controller;

use crate::support::race::Race;
use crate::support::raw::Raw;
use crate::support::replay::{Answer, Replay};

const RELAYS: usize = 8_000;

/// Replies in one measurement.
const COUNT: usize = 30;

pub(crate) fn run() {
    let consensus = reply("GETINFO ns/all", "250+ns/all=\r\n", RELAYS);
    // The same relays repeatedly, about 50 MB.
    let long = reply("GETINFO desc/all", "250+desc/all=\r\n", 28 * RELAYS);
    let (length, long_length) = (consensus.len(), long.len());
    let replay = Replay::start(vec![consensus, long]);
    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let controller = torcon::connect(replay.unix.to_string().as_str()).unwrap();
    // Resets the peak, which only Linux can do.
    let counted = fs::write("/proc/self/clear_refs", "5");
    let before = peak();
    read_lines(&controller, "desc/all");
    if let (Ok(()), Some(before), Some(after)) = (counted, before, peak()) {
        let grown = after.saturating_sub(before);
        println!("\na reply of {long_length} bytes, line by line, takes {grown} kB at its peak");
    }
    let times = |work: &mut dyn FnMut()| {
        (0..COUNT).for_each(|_| work());
        COUNT
    };

    Race::against("raw: read", || {
        times(&mut || {
            raw.write(b"GETINFO ns/all\r\n");
            raw.drain(length);
        })
    })
    .enter_with_goal("get_info_raw", 0.45, || {
        times(&mut || drop(black_box(controller.get_info_raw(["ns/all"]).unwrap())))
    })
    .enter("get_info", || times(&mut || drop(black_box(controller.get_info(["ns/all"]).unwrap()))))
    .enter("get_info_one", || {
        times(&mut || drop(black_box(controller.get_info_one("ns/all").unwrap())))
    })
    .enter("get_info_incremental", || times(&mut || read_lines(&controller, "ns/all")))
    .run(&format!("replies of {length} bytes, unix socket, replay"));

    Race::against("raw: read", || {
        raw.write(b"GETINFO desc/all\r\n");
        raw.drain(long_length);
        1
    })
    .enter("get_info_incremental", || {
        read_lines(&controller, "desc/all");
        1
    })
    .run(&format!("replies of {long_length} bytes, unix socket, replay"));
}

fn read_lines(controller: &Controller, key: &str) {
    let outcome = controller.get_info_incremental(key, |line| {
        black_box(line);
        ControlFlow::Continue(())
    });
    outcome.unwrap();
}

/// Returns a reply with `relays` relays, in blocks of a hundred.
fn reply(command: &'static str, head: &str, relays: usize) -> Answer {
    let relay = |n: usize| {
        format!(
            "r relay{n:05} ArV8Zw7Ui8qd1Y7QZVmYQ0n{n:04} Zp2ABvHdF7vZKhoQnPz{n:06}AA \
             2026-11-23 09:27:58 198.51.{}.{} 9001 0\r\n\
             s Fast Guard HSDir Running Stable V2Dir Valid\r\n\
             w Bandwidth={}\r\n\
             p reject 1-65535 and some more of the ports that are refused by most relays\r\n",
            n % 256,
            n % 251,
            n * 97
        )
    };
    let body: String = (0..100).map(relay).collect();
    Answer {
        command,
        head: head.into(),
        body: body.into_bytes(),
        times: relays / 100,
        tail: b".\r\n250 OK\r\n".to_vec(),
    }
}

/// Returns the peak memory of this process in kB.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}
