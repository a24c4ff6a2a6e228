//! A flood of events.

use std::hint::black_box;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use torcon::event::{BwEvent, CircEvent, Event, EventText, TypedEvent};
use torcon::{ConnectOptions, Controller};

use crate::support::race::Race;
use crate::support::raw::Raw;
use crate::support::replay::{Answer, Replay};

/// 325 bytes on the wire: three relays and six keywords.
const CIRC: &str = "650 CIRC 1234 BUILT \
    $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r,\
    $0A9C6C1C9B7E1B1F5C5D4A3E2F1B0C9D8E7F6A5B~relay,\
    $F00DCAFE00112233445566778899AABBCCDDEEFF~exit \
    BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY PURPOSE=HS_CLIENT_REND \
    HS_STATE=HSCR_JOINED REND_QUERY=ab \
    TIME_CREATED=2026-11-23T09:27:52.289782 SOCKS_USERNAME=\"name\"\r\n";

const BW: &str = "650 BW 15 20\r\n";

/// The approximate size of one write of the flood: tor queues its output in buffers of this size,
/// and writes them one by one.
const BLOCK: usize = 4 << 10;

pub(crate) fn run() {
    assert_eq!(CIRC.len(), 325);
    measure::<CircEvent>("CIRC events of 325 bytes, unix socket, replay", CIRC, 150_000, Some(0.3));
    measure::<BwEvent>("BW events of 14 bytes, unix socket, replay", BW, 1_000_000, None);
}

fn measure<E: TypedEvent>(title: &str, event: &str, at_least: usize, goal: Option<f64>) {
    let kind = E::KINDS[0].clone();
    let per_block = BLOCK / event.len();
    let times = at_least.div_ceil(per_block);
    let count = times * per_block;
    let body = event.repeat(per_block).into_bytes();
    let flood = Answer { command: "FLOOD", head: OK.into(), body, times, tail: Vec::new() };
    let length = flood.len();
    let replay = Replay::start(vec![flood]);
    let connect = || {
        // No event may be dropped, however late a thread is scheduled.
        let options = ConnectOptions::new().event_limit(1 << 30);
        options.connect(replay.unix.to_string().as_str()).unwrap()
    };

    let mut raw = Raw::log_in(&replay.unix, &replay.cookie);
    let of_texts = Flood::new(connect(), count, |controller, mut seen| {
        let listener = move |text: &_| seen.another(text);
        controller.add_text_listener(kind.clone(), listener).unwrap();
    });
    let of_types = Flood::new(connect(), count, |controller, mut seen| {
        controller.on(move |event: &E| seen.another(event)).unwrap();
    });
    let text = EventText::new(event.trim_end().as_bytes().strip_prefix(b"650 ").unwrap());
    let queued = connect();
    let queue = queued.events([kind.clone()]).unwrap();

    Race::against("raw: read", || {
        raw.write(b"FLOOD\r\n");
        raw.drain(length);
        count
    })
    .enter("text listener", || of_texts.run())
    .with("typed listener", goal, || of_types.run())
    .enter("EventQueue", || {
        queued.command("FLOOD").unwrap();
        for _ in 0..count {
            black_box(queue.recv().unwrap());
        }
        count
    })
    .enter("Event::parse alone, one thread", || {
        for _ in 0..count {
            black_box(Event::parse(black_box(&text).clone()));
        }
        count
    })
    .run(title);
}

const OK: &str = "250 OK\r\n";

/// A connection with a listener that counts.
struct Flood {
    controller: Controller,
    count: usize,
    done: Receiver<()>,
}

impl Flood {
    fn new(controller: Controller, count: usize, listen: impl Fn(&Controller, Seen)) -> Self {
        let (all, done) = bounded(1);
        listen(&controller, Seen { left: count, count, all });
        Self { controller, count, done }
    }

    fn run(&self) -> usize {
        self.controller.command("FLOOD").unwrap();
        self.done.recv_timeout(Duration::from_secs(60)).expect("every event arrives");
        self.count
    }
}

struct Seen {
    left: usize,
    count: usize,
    all: Sender<()>,
}

impl Seen {
    fn another<T: ?Sized>(&mut self, event: &T) {
        black_box(event);
        self.left -= 1;
        if self.left == 0 {
            self.left = self.count;
            self.all.send(()).unwrap();
        }
    }
}
