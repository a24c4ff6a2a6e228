//! The relays of a consensus.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use data_encoding::BASE64_NOPAD;
use torcon::descriptor::{Consensus, RouterStatus, RouterStatuses};

use crate::support::race::Race;
use crate::support::raw::Raw;
use crate::support::replay::{Answer, Replay};

/// About the size of the public network.
const RELAYS: usize = 8_000;

/// Replies in one measurement.
const COUNT: usize = 30;

/// The goal for reading every entry, on a machine on which Stem takes 147 ms.
const GOAL: Duration = Duration::from_millis(6);

pub(crate) fn run() {
    let text: String = (0..RELAYS).map(entry).collect();
    let consensus = Answer {
        command: "GETINFO ns/all",
        head: b"250+ns/all=\r\n".to_vec(),
        body: text.replace('\n', "\r\n").into_bytes(),
        times: 1,
        tail: b".\r\n250 OK\r\n".to_vec(),
    };
    let length = consensus.len();
    let replay = Replay::start(vec![consensus]);
    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let controller = torcon::connect(replay.unix.to_string().as_str()).unwrap();
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
    .enter("get_info_raw", || {
        times(&mut || drop(black_box(controller.get_info_raw(["ns/all"]).unwrap())))
    })
    .enter_with_goal("relay_statuses, the text", 0.4, || {
        times(&mut || {
            let relays = black_box(controller.relay_statuses().unwrap());
            assert_eq!(relays.as_bytes().len(), text.len() - 1);
        })
    })
    .enter("relay_statuses, every entry found", || {
        times(&mut || assert_eq!(black_box(controller.relay_statuses().unwrap()).len(), RELAYS))
    })
    .enter("relay_statuses, every entry read", || {
        times(&mut || read_all(&controller.relay_statuses().unwrap()))
    })
    .enter("for_each_relay_status", || {
        times(&mut || {
            let outcome = controller.for_each_relay_status(|relay| {
                read(&relay);
                ControlFlow::Continue(())
            });
            outcome.unwrap();
        })
    })
    .run(&format!("{RELAYS} relays in {length} bytes, unix socket, replay"));

    compare_consensus(&text);
    let found = measure(&text, |list| assert_eq!(list.len(), RELAYS));
    let read = measure(&text, read_all);
    let verdict = if read.0 <= GOAL { "reached" } else { "MISSED" };
    println!("\n{RELAYS} entries in {} bytes", text.len());
    println!("  found: {:.2?}, at best {:.2?}", found.0, found.1);
    println!("  found and read: {:.2?}, at best {:.2?}   goal {GOAL:?}: {verdict}", read.0, read.1);
}

/// Compares reading a whole consensus in memory with a search for its lines.
fn compare_consensus(entries: &str) {
    const GOAL: f64 = 2.0;
    // Lines of every entry of a consensus, which `GETINFO ns/all` leaves out.
    let more = "\nv Tor 0.4.9.11\npr Conflux=1 Cons=1-2 Desc=1-4 DirCache=2 FlowCtrl=1-2 HSDir=2 \
        HSIntro=4-5 HSRend=1-2 Link=1-5 LinkAuth=1,3 Microdesc=1-3 Padding=2 Relay=1-4\nw ";
    let entries = entries.replace("\nw ", more);
    let text =
        format!("network-status-version 3\nvote-status consensus\n{entries}directory-footer\n");
    let mut ratios: Vec<f64> = (0..COUNT)
        .map(|_| {
            let begin = Instant::now();
            let mut rest = black_box(text.as_bytes());
            while let Some(end) = memchr::memchr(b'\n', rest) {
                black_box(&rest[..end]);
                rest = &rest[end + 1..];
            }
            let lines = begin.elapsed();
            let copy = text.clone();
            let begin = Instant::now();
            let consensus = Consensus::parse(copy).unwrap();
            for relay in consensus.relays() {
                black_box(relay.unwrap());
            }
            begin.elapsed().as_secs_f64() / lines.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[COUNT / 2];
    let verdict = if ratio <= GOAL { "reached" } else { "MISSED" };
    println!("\na consensus of {RELAYS} relays in {} bytes, in memory", text.len());
    println!("  every entry read, by every line found: {ratio:.2}   goal {GOAL:.2}: {verdict}");
}

/// Returns the median and the best time of splitting the text and of `work`.
fn measure(text: &str, work: impl Fn(&RouterStatuses)) -> (Duration, Duration) {
    let mut took: Vec<Duration> = (0..COUNT)
        .map(|_| {
            let text = text.to_owned();
            let begin = Instant::now();
            let list = RouterStatuses::new(text);
            work(&list);
            begin.elapsed()
        })
        .collect();
    took.sort();
    (took[COUNT / 2], took[0])
}

fn read_all(list: &RouterStatuses) {
    assert_eq!(list.len(), RELAYS);
    for relay in list {
        read(&relay.unwrap());
    }
}

fn read(relay: &RouterStatus) {
    black_box((relay.nickname(), relay.identity(), relay.address()));
    for flag in relay.flags() {
        black_box(flag);
    }
}

/// An entry with the lines of a relay's own consensus, about 225 bytes.
fn entry(n: usize) -> String {
    let digest = |seed: usize| {
        let bytes: Vec<u8> = (0..20).map(|i| ((n * seed) >> (i % 4 * 4)) as u8 ^ i as u8).collect();
        BASE64_NOPAD.encode(&bytes)
    };
    format!(
        "r relay{n:05} {} {} 2026-11-23 09:27:58 198.51.{}.{} 9001 0\n\
         s Fast Guard HSDir Running Stable V2Dir Valid\n\
         w Bandwidth={}\n\
         p reject 25,119,135-139,445,563,1214,4661-4666,6346-6429,6699\n",
        digest(7919),
        digest(104_729),
        n % 256,
        n % 251,
        n * 97
    )
}
