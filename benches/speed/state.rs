//! A state of 10,000 circuits and as many streams, kept current by a flood of their events.

use std::fmt::Write;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use torcon::Controller;
use torcon::names::CircuitId;
use torcon::state::State;

use crate::events::connect_unlimited;
use crate::support::memory;
use crate::support::race::{Race, timed};
use crate::support::raw::Raw;
use crate::support::replay::{Answer, Replay};
use crate::support::report::{self, Goal};

const CIRCUITS: usize = 10_000;
const STREAMS: usize = 10_000;

/// Circuits that do not change, each with a thread that waits for its end.
const WAITERS: usize = 1_000;

/// The number of changes of each circuit and stream in one round.
const TURNS: usize = 5;

/// Changes in one round.
const COUNT: usize = TURNS * (CIRCUITS + STREAMS);

const GETINFO: &str = "GETINFO circuit-status stream-status orconn-status entry-guards \
                       address-mappings/all status/bootstrap-phase network-liveness";

const PATH: &str = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r,\
                    $0A9C6C1C9B7E1B1F5C5D4A3E2F1B0C9D8E7F6A5B~relay,\
                    $F00DCAFE00112233445566778899AABBCCDDEEFF~exit";

const CIRC: &str = "BUILD_FLAGS=NEED_CAPACITY,NEED_UPTIME PURPOSE=CONFLUX_UNLINKED \
                    TIME_CREATED=2026-11-23T09:26:16.513718 \
                    CONFLUX_ID=498E0DCE2E604D8FA1BA6ACD644A43F0";

const STREAM: &str = "CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4 \
                      ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD,CLIENTADDR,SESSION_GROUP,NYM_EPOCH";

/// The limit of waits; the bench takes less.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn updates() {
    let (replay, length) = replay();
    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let alone = connect_unlimited(&replay.unix);
    let before = memory::resident();
    let state = State::new(&alone).unwrap();
    assert_eq!((state.circuits().len(), state.streams().len()), (CIRCUITS + WAITERS, STREAMS));
    flood(&alone);
    report::figure("kB resident", memory::resident() - before, None);

    let listened_to = connect_unlimited(&replay.unix);
    let other = State::new(&listened_to).unwrap();
    other
        .on_circuit(|update| {
            black_box(update.info.id());
        })
        .unwrap();
    other
        .on_stream(|update| {
            black_box(update.info.id());
        })
        .unwrap();
    let plain = connect_unlimited(&replay.unix);

    let outcome = Race::against("raw: read", || timed(COUNT, || drain(&mut raw, length)))
        .enter("no state, no listeners", || timed(COUNT, || flood(&plain)))
        .enter("state with two listeners", || timed(COUNT, || flood(&listened_to)))
        .enter("state", || timed(COUNT, || flood(&alone)))
        .counted()
        .run(None);
    report::figure("million updates per second", outcome.per_second / 1e6, Goal::AtLeast(1.0));

    Race::against("Snapshot of everything", || timed(1, || drop(black_box(state.snapshot()))))
        .enter("circuits()", || timed(1, || drop(black_box(state.circuits()))))
        .enter("circuit(id)", || {
            timed(1_000, || {
                for id in 0..1000_u32 {
                    black_box(state.circuit(&CircuitId::from(id)));
                }
            })
        })
        .print();
}

/// Compares a state without waits with one on which threads wait for circuits that do not change.
pub(crate) fn waiters() {
    let (replay, _) = replay();
    let (alone, waited_for) = (connect_unlimited(&replay.unix), connect_unlimited(&replay.unix));
    let (_state, state) = (State::new(&alone).unwrap(), State::new(&waited_for).unwrap());
    let unchanged: Vec<_> = state.circuits().into_iter().skip(CIRCUITS).collect();
    assert_eq!(unchanged.len(), WAITERS);
    thread::scope(|scope| {
        for circuit in &unchanged {
            let wait = || circuit.wait_closed(LIMIT).unwrap_err();
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, wait).unwrap();
        }
        Race::against("state without waits", || timed(COUNT, || flood(&alone)))
            .enter("state with 1,000 waits", || timed(COUNT, || flood(&waited_for)))
            .run(Goal::AtLeast(0.5));
        waited_for.close();
    });
}

/// Returns when the state has applied every event.
fn flood(controller: &Controller) {
    controller.command("FLOOD").unwrap();
}

fn drain(raw: &mut Raw, length: usize) {
    raw.write(b"FLOOD\r\n");
    raw.drain(length);
}

/// Starts a server, and returns the length of its reply to `FLOOD`.
fn replay() -> (Replay, usize) {
    let flood = Answer {
        command: "FLOOD".into(),
        body: events(),
        times: TURNS,
        tail: "250 OK\r\n".into(),
        ..Answer::default()
    };
    let length = flood.len();
    (Replay::start(&[flood, Answer::new(GETINFO, &snapshot())]), length)
}

/// One event of each circuit and stream.
fn events() -> String {
    let mut text = String::new();
    for id in 1..=CIRCUITS {
        write!(text, "650 CIRC {id} EXTENDED {PATH} {CIRC}\r\n").unwrap();
        let circuit = id % CIRCUITS + 1;
        let target = "93.184.216.34:443";
        write!(text, "650 STREAM {id} SENTCONNECT {circuit} {target} {STREAM}\r\n").unwrap();
    }
    text
}

fn snapshot() -> String {
    let mut text = "250+circuit-status=\r\n".to_owned();
    for id in 1..=CIRCUITS + WAITERS {
        write!(text, "{id} BUILT {PATH} {CIRC}\r\n").unwrap();
    }
    text += ".\r\n250+stream-status=\r\n";
    for id in 1..=STREAMS {
        write!(text, "{id} SUCCEEDED {} 93.184.216.34:443\r\n", id % CIRCUITS + 1).unwrap();
    }
    text += ".\r\n";
    for key in ["orconn-status=", "entry-guards=", "address-mappings/all="] {
        write!(text, "250-{key}\r\n").unwrap();
    }
    text +=
        "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n";
    text += "250-network-liveness=up\r\n250 OK\r\n";
    text
}
