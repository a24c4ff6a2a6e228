//! The relays of a consensus.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

use data_encoding::BASE64_NOPAD;
use torcon::Controller;
use torcon::descriptor::{Consensus, RouterStatus, RouterStatuses};

use crate::support::memory;
use crate::support::race::{Race, median, rounds, timed};
use crate::support::raw::Raw;
use crate::support::replay::{Answer, Replay};
use crate::support::report::{self, Goal};

/// About the size of the public network.
const RELAYS: usize = 8_000;

/// Replies in one measurement.
const COUNT: usize = 10;

/// `GETINFO ns/all` as text, besides the methods that return it in other forms.
pub(crate) fn text() {
    let server = Server::start();
    let controller = &server.controller;
    let mut raw = server.raw();
    let before = memory::resident();
    let peak = memory::peak_of(|| read_lines(controller, "desc/all"));
    report::figure("kB for 50 MB line by line", peak - before, None);
    Race::against("raw: read", || times(|| server.drain(&mut raw)))
        .enter("get_info_incremental", || times(|| read_lines(controller, "ns/all")))
        .enter("relay_statuses, as bytes", || {
            times(|| {
                black_box(controller.relay_statuses().unwrap().as_bytes());
            })
        })
        .enter("get_info_raw", || {
            times(|| drop(black_box(controller.get_info_raw(["ns/all"]).unwrap())))
        })
        .enter("get_info_one", || {
            times(|| drop(black_box(controller.get_info_one("ns/all").unwrap())))
        })
        .counted()
        .run(Goal::AtLeast(0.55));
}

/// Every entry of `GETINFO ns/all`, found and read.
pub(crate) fn entries() {
    let server = Server::start();
    let controller = &server.controller;
    let mut raw = server.raw();
    let outcome = Race::against("raw: read", || times(|| server.drain(&mut raw)))
        .enter("for_each_relay_status", || {
            times(|| {
                let take = |relay: RouterStatus| {
                    read(&relay);
                    ControlFlow::Continue(())
                };
                controller.for_each_relay_status(take).unwrap();
            })
        })
        .enter("relay_statuses, every entry found", || {
            times(|| assert_eq!(black_box(controller.relay_statuses().unwrap()).len(), RELAYS))
        })
        .enter("relay_statuses, every entry read", || {
            times(|| read_all(&controller.relay_statuses().unwrap()))
        })
        .run(None);
    report::figure("ms", 1e3 / outcome.per_second, Goal::AtMost(3.5));
    let text = &server.text;
    report::figure("ms without the transfer", milliseconds(text, read_all), None);
}

/// Reading a whole consensus in memory, against a search for its lines.
pub(crate) fn parse() {
    // Lines of every entry of a consensus, which `GETINFO ns/all` leaves out.
    let more = "\nv Tor 0.4.9.11\npr Conflux=1 Cons=1-2 Desc=1-4 DirCache=2 FlowCtrl=1-2 HSDir=2 \
        HSIntro=4-5 HSRend=1-2 Link=1-5 LinkAuth=1,3 Microdesc=1-3 Padding=2 Relay=1-4\nw ";
    let entries = relays(RELAYS).replace("\nw ", more);
    let text =
        format!("network-status-version 3\nvote-status consensus\n{entries}directory-footer\n");
    let ratios = (0..4 * rounds()).map(|_| {
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
    });
    report::figure("time by that of finding lines", median(ratios.collect()), Goal::AtMost(2.0));
}

/// A server with a consensus, and with one of about 50 MB as `desc/all`.
struct Server {
    replay: Replay,
    controller: Controller,
    text: String,
    /// Bytes of the reply.
    length: usize,
}

impl Server {
    fn start() -> Self {
        let text = relays(RELAYS);
        let reply = |key: &str, times: usize| Answer {
            command: format!("GETINFO {key}"),
            head: format!("250+{key}=\r\n"),
            body: text.replace('\n', "\r\n"),
            times,
            tail: ".\r\n250 OK\r\n".into(),
            pause: None,
        };
        let answers = [reply("ns/all", 1), reply("desc/all", 28)];
        let length = answers[0].len();
        let replay = Replay::start(&answers);
        let controller = torcon::connect(replay.unix.to_string().as_str()).unwrap();
        Self { replay, controller, text, length }
    }

    fn raw(&self) -> Raw {
        Raw::log_in(&self.replay.unix, &self.replay.cookie)
    }

    fn drain(&self, raw: &mut Raw) {
        raw.write(b"GETINFO ns/all\r\n");
        raw.drain(self.length);
    }
}

fn times(mut work: impl FnMut()) -> crate::support::race::Sample {
    timed(COUNT, || (0..COUNT).for_each(|_| work()))
}

/// Returns the median time of splitting the text and of `work`.
fn milliseconds(text: &str, work: impl Fn(&RouterStatuses)) -> f64 {
    let took = (0..4 * rounds()).map(|_| {
        let text = text.to_owned();
        let begin = Instant::now();
        work(&RouterStatuses::new(text));
        begin.elapsed().as_secs_f64() * 1e3
    });
    median(took.collect())
}

fn read_lines(controller: &Controller, key: &str) {
    let outcome = controller.get_info_incremental(key, |line| {
        black_box(line);
        ControlFlow::Continue(())
    });
    outcome.unwrap();
}

fn read_all(list: &RouterStatuses) {
    assert_eq!(list.len(), RELAYS);
    list.iter().for_each(|relay| read(&relay.unwrap()));
}

fn read(relay: &RouterStatus) {
    black_box((relay.nickname(), relay.identity(), relay.address()));
    relay.flags().for_each(|flag| drop(black_box(flag)));
}

/// Returns entries with the lines of a relay's own consensus, of about 225 bytes each.
fn relays(count: usize) -> String {
    let digest = |n: usize, seed: usize| {
        let bytes: Vec<u8> = (0..20).map(|i| ((n * seed) >> (i % 4 * 4)) as u8 ^ i as u8).collect();
        BASE64_NOPAD.encode(&bytes)
    };
    let entry = |n: usize| {
        format!(
            "r relay{n:05} {} {} 2026-11-23 09:27:58 198.51.{}.{} 9001 0\n\
             s Fast Guard HSDir Running Stable V2Dir Valid\n\
             w Bandwidth={}\n\
             p reject 25,119,135-139,445,563,1214,4661-4666,6346-6429,6699\n",
            digest(n, 7919),
            digest(n, 104_729),
            n % 256,
            n % 251,
            n * 97
        )
    };
    (0..count).map(entry).collect()
}
