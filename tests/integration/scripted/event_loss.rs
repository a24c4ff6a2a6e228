//! Floods of events: a stuck consumer gets the number of its lost events, and the others lose none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, unbounded};
use torcon::event::{BwEvent, EventText};
use torcon::{ConnectOptions, Controller, Error, Event, EventKind};

use super::{LIMIT, answer, closed, connected, connected_with, join, next, start};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::leaks::{peak_growth, peak_memory};
use crate::support::script::Steps as _;
use crate::support::signal::{Trigger, signal};

/// Connects to a fake tor that sends `events` `BW` events when triggered, and then closes the connection
/// if `ends` is set.
fn flooded(limit: usize, events: u64, ends: bool) -> (FakeTor, Controller, Trigger) {
    let (begin, may_begin) = signal();
    let (tor, controller) =
        connected_with(&ConnectOptions::new().event_limit(limit), move |script| {
            script.expect("SETEVENTS BW").send("250 OK\r\n").wait_for(&may_begin);
            script.flood("650 BW 1 2\r\n", events);
            if ends {
                script.close();
            } else {
                script.serve(answer);
            }
        });
    (tor, controller, begin)
}

/// Adds a listener that passes `BW` events on and waits after the first one.
pub(super) fn add_stuck_listener(controller: &Controller) -> (Trigger, Receiver<Event>) {
    let (go_on, test_says) = signal();
    let (seen, events) = unbounded();
    let mut is_first = true;
    let stuck = move |event: &Event| {
        seen.send(event.clone()).unwrap();
        if std::mem::take(&mut is_first) {
            test_says.wait();
        }
    };
    controller.add_event_listener(EventKind::Bw, stuck).unwrap();
    (go_on, events)
}

/// Receives `count` events, lost ones included, and returns how many were lost.
#[track_caller]
pub(super) fn lost_of(count: u64, events: &Receiver<Event>) -> u64 {
    let (mut delivered, mut lost) = (0, 0);
    while delivered + lost < count {
        match next(events) {
            Event::Lagged { dropped, .. } => lost += dropped,
            _ => delivered += 1,
        }
    }
    assert_eq!(delivered + lost, count);
    lost
}

/// The numbers of received and of lost events.
#[derive(Default)]
struct Tally {
    delivered: AtomicU64,
    lost: AtomicU64,
}

impl Tally {
    fn count(&self, event: &Event) {
        match event {
            Event::Lagged { dropped, .. } => self.lost.fetch_add(*dropped, Ordering::SeqCst),
            _ => self.delivered.fetch_add(1, Ordering::SeqCst),
        };
    }

    fn read(&self) -> (u64, u64) {
        (self.delivered.load(Ordering::SeqCst), self.lost.load(Ordering::SeqCst))
    }
}

#[test]
fn a_loss_is_reported_without_another_event() {
    const EVENTS: u64 = 200_000;
    let (tor, controller, begin) = flooded(64 << 10, EVENTS, false);
    let (go_on, events) = add_stuck_listener(&controller);
    let (report, losses) = unbounded();
    controller.on_lagged(move |lost| report.send(lost).unwrap()).unwrap();
    begin.fire();
    next(&events);
    // The fake tor answers after it has sent all events.
    controller.get_info_one("a").unwrap();
    controller.get_info_one("b").unwrap();
    go_on.fire();
    let lost = lost_of(EVENTS - 1, &events);
    assert!(lost > EVENTS / 2, "only {lost} were lost");
    let mut reported = 0;
    while reported < lost {
        reported += next(&losses);
    }
    assert_eq!(reported, lost);
    drop(controller);
    tor.finish();
}

#[test]
fn a_loss_is_reported_before_the_end_of_the_connection() {
    // `on_lagged` reports it to typed and text listeners, at the position of `Event::Lagged`.
    const EVENTS: u64 = 100_000;
    let (tor, controller, begin) = flooded(32 << 10, EVENTS, true);
    let (go_on, test_says) = signal();
    let (report, order) = unbounded();
    let tally = Arc::new(Tally::default());
    let counting = Arc::clone(&tally);
    controller.add_event_listener(EventKind::Bw, move |event| counting.count(event)).unwrap();
    let typed = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&typed);
    let mut is_first = true;
    let stuck = move |_: &BwEvent| {
        counted.fetch_add(1, Ordering::SeqCst);
        if std::mem::take(&mut is_first) {
            test_says.wait();
        }
    };
    controller.on(stuck).unwrap();
    let counted = Arc::clone(&typed);
    let lagged = move |lost| {
        counted.fetch_add(lost, Ordering::SeqCst);
    };
    controller.on_lagged(lagged).unwrap();
    controller.on_disconnect(move |_| report.send(()).unwrap());
    begin.fire();
    controller.wait_closed(LIMIT).unwrap();
    go_on.fire();
    next(&order);
    let (delivered, lost) = tally.read();
    assert_eq!(delivered + lost, EVENTS);
    assert!(lost > 0);
    assert_eq!(typed.load(Ordering::SeqCst), EVENTS);
    drop(controller);
    tor.finish();
}

#[test]
fn a_loss_is_reported_to_listeners_of_the_lost_kinds_only() {
    let (tor, controller) = connected_with(&ConnectOptions::new().event_limit(1), |script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n");
        script.expect("SETEVENTS BW CIRC").send("250 OK\r\n650 BW 1 0\r\n");
        script.expect("GETINFO a").flood("650 BW 1 2\r\n", 1000);
        script.send("250-a=1\r\n250 OK\r\n");
        script.expect("GETINFO settle").send("250-settle=\r\n250 OK\r\n").drain();
    });
    let (go_on, test_says) = signal();
    let (begun, has_begun) = signal();
    let (seen, events) = unbounded();
    let stuck = move |event: &Event| {
        begun.fire();
        seen.send(event.clone()).unwrap();
        if !matches!(event, Event::Lagged { .. }) {
            test_says.wait_timeout(LIMIT).ok();
        }
    };
    controller.add_event_listener(EventKind::Bw, stuck).unwrap();
    let other = |event: &Event| panic!("nothing of {event} is for this listener");
    let log = crate::support::log_capture::LogCapture::start();
    let id = controller.add_event_listener(EventKind::Circ, other).unwrap();
    has_begun.wait();
    controller.get_info_one("a").unwrap();
    controller.get_info_one("settle").unwrap();
    drop(go_on);
    let mut count = 0;
    while count < 1001 {
        count += match next(&events) {
            Event::Lagged { dropped, .. } => dropped,
            _ => 1,
        };
    }
    assert!(log.lines_with("nothing of").is_empty());
    // The listener has not panicked.
    let removed = start(move || {
        let removed = controller.with_timeout(Duration::from_millis(1)).remove_event_listener(id);
        controller.close();
        removed
    });
    assert!(join(removed).unwrap_err().is_timeout());
    tor.finish();
}

#[test]
fn a_queue_with_one_or_four_consumers_returns_or_counts_every_event() {
    const EVENTS: u64 = 200_000;
    for consumers in [1, 4] {
        let (tor, controller, begin) = flooded(16 << 10, EVENTS, true);
        let queue = Arc::new(controller.events([EventKind::Bw]).unwrap());
        let tally = Arc::new(Tally::default());
        let (go_on, may_go_on) = bounded::<()>(0);
        let threads: Vec<_> = (0..consumers)
            .map(|_| {
                let (queue, tally) = (Arc::clone(&queue), Arc::clone(&tally));
                let may_go_on = may_go_on.clone();
                start(move || {
                    // All consumers are stuck at the first events.
                    may_go_on.recv().ok();
                    for event in &*queue {
                        tally.count(&event);
                    }
                })
            })
            .collect();
        begin.fire();
        while queue.len() < 100 {
            std::thread::yield_now();
        }
        controller.wait_closed(LIMIT).unwrap();
        drop(go_on);
        threads.into_iter().for_each(join);
        let (delivered, lost) = tally.read();
        assert_eq!(delivered + lost, EVENTS, "{consumers} consumers");
        assert!(lost > 0 && delivered > 0);
        assert!(queue.is_empty());
        assert_eq!(closed(queue.recv()), "tor closed the connection");
        drop((queue, controller));
        tor.finish();
    }
}

#[test]
fn no_consumer_waits_for_a_queue_that_is_not_empty() {
    // A consumer that received a loss kept the event behind it.
    let (tor, controller, begin) = flooded(2 << 10, 1000, false);
    let queue = controller.events([EventKind::Bw]).unwrap();
    begin.fire();
    controller.get_info_one("a").unwrap();
    let mut count = 0;
    while count < 1000 {
        let before = queue.len();
        let event = if before > 0 { queue.try_recv() } else { queue.recv().ok() };
        count += match event.unwrap() {
            Event::Lagged { dropped, .. } => dropped,
            _ => 1,
        };
    }
    assert_eq!(count, 1000);
    drop((queue, controller));
    tor.finish();
}

#[test]
fn a_wait_returns_a_loss_before_the_end() {
    let (begin, may_begin) = signal();
    let options = ConnectOptions::new().event_limit(2000);
    let (tor, controller) = connected_with(&options, move |script| {
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 0 0"]);
        script.wait_for(&may_begin).flood("650 BW 1 2\r\n", 1000).close();
    });
    let (mut delivered, mut lost) = (0, 0);
    let asking = controller.clone();
    let never = |event: &Event| {
        match event {
            Event::Bw(bw) if bw.bytes_read() == 0 => {
                begin.fire();
                asking.wait_closed(LIMIT).unwrap();
            }
            Event::Lagged { dropped, .. } => lost += dropped,
            _ => delivered += 1,
        }
        false
    };
    let outcome = controller.wait_for(EventKind::Bw, never, LIMIT);
    assert!(matches!(outcome, Err(Error::Closed(_))), "{outcome:?}");
    assert_eq!(delivered + lost, 1000);
    assert!(lost > 0 && delivered > 0);
    drop((asking, controller));
    tor.finish();
}

#[test]
fn a_consumer_that_is_not_stuck_loses_nothing_with_a_small_limit() {
    // Fourteen times as much as fits, and so little that also on a loaded machine the reader does not
    // wait for longer than the second that it gives slow consumers.
    const EVENTS: u64 = 75_000;
    let (tor, controller, begin) = flooded(64 << 10, EVENTS, true);
    let queue = controller.events([EventKind::Bw]).unwrap();
    let quick = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&quick);
    let listener = move |_: &EventText| {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    controller.add_text_listener(EventKind::Bw, listener).unwrap();
    let lost = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lost);
    let lagged = move |count| {
        counted.fetch_add(count, Ordering::SeqCst);
    };
    controller.on_lagged(lagged).unwrap();
    let (report, end) = unbounded();
    controller.on_disconnect(move |_| report.send(()).unwrap());
    begin.fire();
    let tally = Tally::default();
    queue.iter().for_each(|event| tally.count(&event));
    assert_eq!(tally.read(), (EVENTS, 0));
    // Another thread calls the listeners than fills the queues.
    next(&end);
    assert_eq!(quick.load(Ordering::SeqCst), EVENTS);
    assert_eq!(lost.load(Ordering::SeqCst), 0);
    drop((queue, controller));
    tor.finish();
}

#[test]
fn a_stuck_listener_delays_no_other() {
    // The reader waits for it once.
    let (go_on, test_says) = signal();
    let (tor, controller, begin) = flooded(64 << 10, 1_000_000, false);
    controller.on(move |_: &BwEvent| drop(test_says.wait_timeout(LIMIT))).unwrap();
    begin.fire();
    let start = Instant::now();
    for n in 0..100 {
        controller.get_info_one(&format!("key/{n}")).unwrap();
    }
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    controller.with_timeout(Duration::from_millis(1)).close();
    drop((go_on, controller));
    tor.finish();
}

#[test]
fn the_default_limit_bounds_the_memory_of_a_stuck_listener() {
    exclusive(|| {
        let (tor, controller, begin) = flooded(64 << 20, 8_000_000, true);
        let (go_on, test_says) = signal();
        controller.on(move |_: &BwEvent| drop(test_says.wait_timeout(LIMIT))).unwrap();
        assert_memory(&controller, &begin);
        drop(go_on);
        drop(controller);
        tor.finish();
    });
}

#[test]
fn the_default_limit_bounds_the_memory_of_a_stuck_queue() {
    exclusive(|| {
        // No other queue may fill while the reader waits for this one.
        let (tor, controller, begin) = flooded(64 << 20, 5_000_000, true);
        let queue = controller.events([EventKind::Bw]).unwrap();
        assert_memory(&controller, &begin);
        assert!(queue.len() > 100_000);
        drop((queue, controller));
        tor.finish();
    });
}

fn assert_memory(controller: &Controller, begin: &Trigger) {
    let before = peak_memory();
    begin.fire();
    controller.wait_closed(4 * LIMIT).unwrap();
    controller.with_timeout(Duration::from_millis(1)).close();
    let used = peak_growth(before);
    assert!(used < 80 << 20, "{used} bytes");
}

#[test]
fn iterating_over_a_queue_consumes_its_events() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 1 0", "650 BW 2 0"]).close();
    });
    let queue = controller.events([EventKind::Bw]).unwrap();
    let mut texts = Vec::new();
    for event in &queue {
        texts.push(event.to_string());
    }
    assert_eq!(texts, ["BW 1 0", "BW 2 0"]);
    drop((queue, controller));
    tor.finish();
}
