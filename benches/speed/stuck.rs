//! A listener and a queue that take no events during a flood.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use torcon::event::Event;
use torcon::{Controller, EventKind};

use crate::events::CIRC;
use crate::support::memory;
use crate::support::replay::{Answer, Replay};
use crate::support::report::{self, Goal};

/// Events while nothing is taken.
const STUCK: u64 = 1_000_000;

/// Events after the listener or queue goes on.
const AFTER: u64 = 100_000;

const LIMIT: Duration = Duration::from_secs(30);

/// Memory that the process may take in all, in kB.
const MEMORY: Goal = Goal::AtMost(80e3);

/// Numbers of events.
#[derive(Clone, Copy, Default)]
struct Seen {
    taken: u64,
    /// Dropped, and reported.
    lost: u64,
}

pub(crate) fn listener() {
    let replay = replay();
    let controller = connect(&replay);
    let (go_on, stuck) = bounded::<()>(0);
    let (taken, lost) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (counted, missing) = (Arc::clone(&taken), Arc::clone(&lost));
    let mut stuck = Some(stuck);
    let listener = move |_: &_| {
        if let Some(stuck) = stuck.take() {
            // Fails when the other end is dropped.
            stuck.recv().unwrap_err();
        }
        counted.fetch_add(1, Ordering::SeqCst);
    };
    controller.add_text_listener(EventKind::Circ, listener).unwrap();
    let on_lagged = move |count| {
        missing.fetch_add(count, Ordering::SeqCst);
    };
    controller.on_lagged(on_lagged).unwrap();

    let take = |count| {
        let deadline = Instant::now() + LIMIT;
        loop {
            let [taken, lost] = [&taken, &lost].map(|it| it.load(Ordering::SeqCst));
            if taken + lost >= count || Instant::now() > deadline {
                return Seen { taken, lost };
            }
            thread::sleep(Duration::from_millis(1));
        }
    };
    measure(&controller, move || drop(go_on), take);
}

pub(crate) fn queue() {
    let replay = replay();
    let controller = connect(&replay);
    let queue = controller.events([EventKind::Circ]).unwrap();
    let mut seen = Seen::default();
    let take = |count| {
        while seen.taken + seen.lost < count {
            match queue.recv_timeout(LIMIT) {
                Ok(Event::Lagged { dropped, .. }) => seen.lost += dropped,
                Ok(_) => seen.taken += 1,
                Err(_) => break,
            }
        }
        seen
    };
    measure(&controller, || {}, take);
}

/// Sends a flood, calls `go_on`, and sends another flood. `take` waits until so many events in all
/// were taken or reported as lost.
fn measure(controller: &Controller, go_on: impl FnOnce(), mut take: impl FnMut(u64) -> Seen) {
    // The reply follows the events, so its caller waits while they are dropped.
    let peak = memory::peak_of(|| drop(controller.command("FLOOD").unwrap()));
    report::figure("kB at the peak", peak, MEMORY);
    go_on();
    let first = take(STUCK);
    println!("  stuck: {} events taken, {} lost", first.taken, first.lost);
    let unknown = STUCK.abs_diff(first.taken + first.lost);
    report::figure("events neither taken nor reported", unknown as f64, Goal::AtMost(0.0));
    controller.command("AGAIN").unwrap();
    let second = take(STUCK + AFTER);
    let lost = AFTER.abs_diff(second.taken - first.taken);
    report::figure("events lost after it goes on", lost as f64, Goal::AtMost(0.0));
}

fn connect(replay: &Replay) -> Controller {
    torcon::connect(replay.unix.to_string().as_str()).unwrap()
}

fn replay() -> Replay {
    const TOGETHER: usize = 10;
    let flood = |command: &str, count: u64| Answer {
        body: CIRC.repeat(TOGETHER),
        times: usize::try_from(count).unwrap() / TOGETHER,
        tail: "250 OK\r\n".into(),
        ..Answer::new(command, "")
    };
    Replay::start(&[flood("FLOOD", STUCK), flood("AGAIN", AFTER)])
}
