//! A flood of events.

use std::hint::black_box;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use torcon::event::{BwEvent, CircEvent, Event, EventText, TypedEvent};
use torcon::{ConnectOptions, Controller, EventKind};

use crate::support::race::{Outcome, Race, timed};
use crate::support::raw::{Address, Raw};
use crate::support::replay::{Answer, Replay};
use crate::support::report::{self, Goal};

/// 325 bytes on the wire: three relays and six keywords.
pub(crate) const CIRC: &str = "650 CIRC 1234 BUILT \
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

pub(crate) fn circ_typed() {
    let flood = Flood::new(CIRC, 80_000);
    let mut raw = flood.raw();
    let text = EventText::new(CIRC.trim_end().as_bytes().strip_prefix(b"650 ").unwrap());
    let read = flood.listener(|controller, mut seen| {
        let listener = move |event: &CircEvent| {
            black_box((event.id(), event.status(), event.path(), event.purpose()));
            seen.another(event);
        };
        controller.on(listener).unwrap();
    });
    let typed = flood.listener(listen_typed::<CircEvent>);
    Race::against("raw: read", || timed(flood.count, || flood.drain(&mut raw)))
        .enter("Event::parse alone, one thread", || {
            timed(flood.count, || {
                (0..flood.count)
                    .for_each(|_| drop(black_box(Event::parse(black_box(&text).clone()))));
            })
        })
        .enter("typed listener that reads four fields", || timed(flood.count, || read.run()))
        .enter("typed listener", || timed(flood.count, || typed.run()))
        .counted()
        .run(Goal::AtLeast(0.30));
}

pub(crate) fn circ_text() {
    text(CIRC, 80_000, &EventKind::Circ, Goal::AtLeast(0.45));
}

pub(crate) fn circ_queue() {
    queue(CIRC, 80_000, EventKind::Circ, Goal::AtLeast(0.25));
}

pub(crate) fn bw_typed() {
    let flood = Flood::new(BW, 1_000_000);
    let mut raw = flood.raw();
    let typed = flood.listener(listen_typed::<BwEvent>);
    let outcome = Race::against("raw: read", || timed(flood.count, || flood.drain(&mut raw)))
        .enter("typed listener", || timed(flood.count, || typed.run()))
        .counted()
        .run(None);
    report_rate(outcome, Goal::AtLeast(12.0));
}

pub(crate) fn bw_text() {
    report_rate(text(BW, 1_000_000, &EventKind::Bw, None), None);
}

pub(crate) fn bw_queue() {
    report_rate(queue(BW, 500_000, EventKind::Bw, None), None);
}

fn report_rate(outcome: Outcome, goal: impl Into<Option<Goal>>) {
    report::figure("million per second", outcome.per_second / 1e6, goal);
}

fn listen_typed<E: TypedEvent>(controller: &Controller, mut seen: Seen) {
    controller.on(move |event: &E| seen.another(event)).unwrap();
}

fn text(event: &str, count: usize, kind: &EventKind, goal: impl Into<Option<Goal>>) -> Outcome {
    let flood = Flood::new(event, count);
    let mut raw = flood.raw();
    let text = flood.listener(|controller, mut seen| {
        controller.add_text_listener(kind.clone(), move |text| seen.another(text)).unwrap();
    });
    Race::against("raw: read", || timed(flood.count, || flood.drain(&mut raw)))
        .enter("text listener", || timed(flood.count, || text.run()))
        .counted()
        .run(goal)
}

fn queue(event: &str, count: usize, kind: EventKind, goal: impl Into<Option<Goal>>) -> Outcome {
    let flood = Flood::new(event, count);
    let mut raw = flood.raw();
    let controller = connect_unlimited(&flood.replay.unix);
    let queue = controller.events([kind]).unwrap();
    Race::against("raw: read", || timed(flood.count, || flood.drain(&mut raw)))
        .enter("EventQueue", || {
            timed(flood.count, || {
                controller.command("FLOOD").unwrap();
                for _ in 0..flood.count {
                    black_box(queue.recv().unwrap());
                }
            })
        })
        .counted()
        .run(goal)
}

/// Connects, so that no event is dropped, however late a thread is scheduled.
pub(crate) fn connect_unlimited(address: &Address) -> Controller {
    let options = ConnectOptions::new().event_limit(1 << 30);
    options.connect(address.to_string().as_str()).unwrap()
}

/// A server that sends `count` events after the reply to `FLOOD`.
pub(crate) struct Flood {
    pub(crate) replay: Replay,
    pub(crate) count: usize,
    /// Bytes of the reply and the events.
    length: usize,
}

impl Flood {
    pub(crate) fn new(event: &str, at_least: usize) -> Self {
        let per_block = BLOCK / event.len();
        let times = at_least.div_ceil(per_block);
        let body = event.repeat(per_block);
        let flood = Answer { body, times, ..Answer::new("FLOOD", "250 OK\r\n") };
        let (count, length) = (times * per_block, flood.len());
        Self { replay: Replay::start(&[flood]), count, length }
    }

    fn raw(&self) -> Raw {
        Raw::log_in(&self.replay.unix, &self.replay.cookie)
    }

    fn drain(&self, raw: &mut Raw) {
        raw.write(b"FLOOD\r\n");
        raw.drain(self.length);
    }

    /// Opens a connection; `listen` adds a listener that tells [`Seen`] each event.
    fn listener(&self, listen: impl FnOnce(&Controller, Seen)) -> Listener {
        let controller = connect_unlimited(&self.replay.unix);
        let (all, done) = bounded(1);
        listen(&controller, Seen { left: self.count, count: self.count, all });
        Listener { controller, done }
    }
}

struct Listener {
    controller: Controller,
    done: Receiver<()>,
}

impl Listener {
    fn run(&self) {
        self.controller.command("FLOOD").unwrap();
        self.done.recv_timeout(Duration::from_secs(60)).expect("every event arrives");
    }
}

/// Counts the events of one flood after the other.
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
