//! A state of 10,000 circuits and as many streams, kept up to date by a flood of their events.

use std::fmt::Write;
use std::fs;
use std::hint::black_box;

use torcon::names::CircuitId;
use torcon::state::State;
use torcon::{ConnectOptions, Controller};

use crate::support::race::Race;
use crate::support::raw::Raw;
use crate::support::replay::{Answer, Replay};

const CIRCUITS: usize = 10_000;
const STREAMS: usize = 10_000;

/// The number of changes of each circuit and stream in one round.
const TURNS: usize = 10;

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

pub(crate) fn run() {
    let per_round = TURNS * (CIRCUITS + STREAMS);
    let flood = Answer {
        command: "FLOOD",
        head: Vec::new(),
        body: events().into_bytes(),
        times: TURNS,
        // When this reply arrives, the state has applied every event.
        tail: b"250 OK\r\n".to_vec(),
    };
    let length = flood.len();
    let replay = Replay::start(vec![flood, Answer::new(GETINFO, &snapshot())]);
    let connect = || {
        // No event may be dropped, however late a thread is scheduled.
        let options = ConnectOptions::new().event_limit(1 << 30);
        options.connect(replay.unix.to_string().as_str()).unwrap()
    };
    let flooded = |controller: &Controller| {
        controller.command("FLOOD").unwrap();
        per_round
    };

    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let alone = connect();
    let before = resident();
    let state = State::new(&alone).unwrap();
    let made = resident();
    assert_eq!((state.circuits().len(), state.streams().len()), (CIRCUITS, STREAMS));
    flooded(&alone);
    println!(
        "\n{CIRCUITS} circuits and {STREAMS} streams: {} kB resident after the snapshot, {} kB after \
         {TURNS} events of each",
        made.saturating_sub(before),
        resident().saturating_sub(before),
    );

    let listened_to = connect();
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
    let plain = connect();

    Race::against("raw: read", || {
        raw.write(b"FLOOD\r\n");
        raw.drain(length);
        per_round
    })
    .enter("no state, no listeners", || flooded(&plain))
    .enter("state", || flooded(&alone))
    .enter("state with two listeners", || flooded(&listened_to))
    .run("CIRC and STREAM events in turn, unix socket, replay; goal 500,000 a second");

    Race::against("Snapshot of everything", || {
        black_box(state.snapshot());
        1
    })
    .enter("circuits()", || {
        black_box(state.circuits());
        1
    })
    .enter("a thousand circuit(id)", || {
        for id in 0..1000_u32 {
            black_box(state.circuit(&CircuitId::from(id)));
        }
        1
    })
    .run("reads of such a state");
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
    for id in 1..=CIRCUITS {
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

/// Returns the resident memory of this process in kB; 0 if the system does not report it.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.unwrap_or_default()
}
