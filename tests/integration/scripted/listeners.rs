//! Listeners may send commands, wait, subscribe, unsubscribe, close and panic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::Mutex;
use torcon::{Controller, Event, EventKind, ListenerId};

use super::{LIMIT, SOON, answer, connected, next, served, value};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::log_capture::LogCapture;
use crate::support::signal::signal;
use crate::support::watchdog::within;

/// Serves a client; each `GETINFO event/..` brings a `BW` event before its reply.
fn with_events() -> (crate::support::fake_tor::FakeTor, Controller) {
    connected(|script| {
        let mut number = 0;
        script.serve(|line, out| {
            if line.starts_with("GETINFO event/") {
                number += 1;
                out.extend_from_slice(format!("650 BW {number} 0\r\n").as_bytes());
            }
            answer(line, out);
        });
    })
}

/// Makes the fake tor send an event.
#[track_caller]
fn event(controller: &Controller) {
    controller.get_info_one("event/bw").unwrap();
}

/// Ends a test: nothing of the connection may be left.
fn end(holdings: &Holdings, tor: crate::support::fake_tor::FakeTor) {
    tor.finish();
    holdings.assert_restored(LIMIT);
}

#[test]
fn a_panic_removes_only_the_listener_that_panicked() {
    exclusive(|| {
        let holdings = Holdings::now();
        let log = LogCapture::start();
        let (tor, controller) = with_events();
        let panics = |_: &Event| panic!("the marker 5f3a11");
        controller.add_event_listener(EventKind::Bw, panics).unwrap();
        let (seen, events) = unbounded();
        let calm = move |event: &Event| seen.send(event.to_string()).unwrap();
        controller.add_event_listener(EventKind::Bw, calm).unwrap();
        event(&controller);
        event(&controller);
        assert_eq!([next(&events), next(&events)], ["BW 1 0", "BW 2 0"]);
        let lines = log.lines_with("5f3a11");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].level, log::Level::Error);
        assert_eq!(lines[0].text, "a listener panicked and was removed: the marker 5f3a11");
        drop((controller, log));
        end(&holdings, tor);
    });
}

#[test]
fn the_captures_of_a_listener_may_panic_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as the test wants");
        }
    }

    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let bomb = Bomb;
        let panics = move |_: &Event| {
            let _bomb = &bomb;
            panic!("the panic that removes it");
        };
        controller.add_event_listener(EventKind::Bw, panics).unwrap();
        let (seen, events) = unbounded();
        let calm = move |event: &Event| seen.send(event.to_string()).unwrap();
        controller.add_event_listener(EventKind::Bw, calm).unwrap();
        event(&controller);
        event(&controller);
        assert_eq!([next(&events), next(&events)], ["BW 1 0", "BW 2 0"]);
        let (told, reason) = bounded(1);
        controller.on_disconnect(move |reason| told.send(reason.to_string()).unwrap());
        controller.close();
        assert_eq!(next(&reason), "this program closed the connection");
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn a_listener_that_blocks_delays_no_command() {
    // peers 11: a slow handler blocked commands (zwuevi, bine).
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let (go_on, test_says) = signal();
        let (begun, has_begun) = signal();
        let (seen, events) = unbounded();
        let slow = move |event: &Event| {
            begun.fire();
            test_says.wait();
            seen.send(event.to_string()).unwrap();
        };
        controller.add_event_listener(EventKind::Bw, slow).unwrap();
        event(&controller);
        has_begun.wait();
        let start = Instant::now();
        for n in 0..200 {
            let key = format!("key/{n}");
            assert_eq!(controller.get_info_one(&key).unwrap(), value(&key));
        }
        event(&controller);
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        assert!(events.is_empty());
        go_on.fire();
        go_on.fire();
        assert_eq!([next(&events), next(&events)], ["BW 1 0", "BW 2 0"]);
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn a_listener_may_send_commands_and_subscribe() {
    // peers 11: a handler that sent a command deadlocked (jtorctl, bine).
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let weak = controller.downgrade();
        let (seen, answers) = unbounded();
        let listener = move |event: &Event| {
            let controller = weak.upgrade().unwrap();
            let answer = controller.get_info_one("inside").unwrap();
            let id = controller.add_event_listener(EventKind::Circ, |_| {}).unwrap();
            let subscribed = controller.subscribed_events();
            controller.remove_event_listener(id).unwrap();
            let queue = controller.events([EventKind::Stream]).unwrap();
            drop(queue);
            seen.send((event.to_string(), answer, subscribed)).unwrap();
        };
        controller.add_event_listener(EventKind::Bw, listener).unwrap();
        event(&controller);
        event(&controller);
        for text in ["BW 1 0", "BW 2 0"] {
            let (event, answer, subscribed) = next(&answers);
            assert_eq!((event.as_str(), answer), (text, value("inside")));
            assert_eq!(subscribed, [EventKind::Bw, EventKind::Circ]);
        }
        // The handle of the listener may be the last for a moment.
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn a_listener_may_wait_for_events_on_another_thread_and_times_out_on_its_own() {
    // A queue is filled by the thread that calls listeners, so a listener that waits for its own
    // queue waits for at most its limit, and then delivery continues.
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let queue = controller.events([EventKind::Bw]).unwrap();
        let (seen, outcomes) = bounded(1);
        let mut first = true;
        let listener = move |_: &Event| {
            if std::mem::take(&mut first) {
                while queue.try_recv().is_some() {}
                let outcome = queue.recv_timeout(Duration::from_millis(50));
                seen.send((outcome, queue.len())).unwrap();
            } else if let Some(event) = queue.try_recv() {
                seen.send((Ok(event), 0)).unwrap();
            }
        };
        controller.add_event_listener(EventKind::Bw, listener).unwrap();
        event(&controller);
        let (outcome, _) = next(&outcomes);
        assert_eq!(outcome.unwrap_err().to_string(), "timed out after 50ms waiting for an event");
        event(&controller);
        assert_eq!(next(&outcomes).0.unwrap().to_string(), "BW 2 0");
        // The queue within the listener keeps the connection open; closing lets go of both.
        controller.close();
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn a_listener_may_add_listeners_and_remove_them() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let weak = controller.downgrade();
        let (seen, events) = unbounded();
        let (done, is_done) = unbounded();
        let (mut calls, mut added) = (0, None);
        let listener = move |_: &Event| {
            let controller = weak.upgrade().unwrap();
            calls += 1;
            if calls == 1 {
                let seen = seen.clone();
                let inner = move |event: &Event| seen.send(event.to_string()).unwrap();
                added = Some(controller.add_event_listener(EventKind::Bw, inner).unwrap());
            } else if calls == 3 {
                controller.remove_event_listener(added.take().unwrap()).unwrap();
            }
            done.send(()).unwrap();
        };
        controller.add_event_listener(EventKind::Bw, listener).unwrap();
        for _ in 0..4 {
            event(&controller);
            next(&is_done);
        }
        // Added by the first event, and removed by the third before its call.
        controller.close();
        assert_eq!(events.try_iter().collect::<Vec<_>>(), ["BW 2 0"]);
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn a_listener_may_remove_itself() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let weak = controller.downgrade();
        let (tell, told) = bounded::<ListenerId>(1);
        let (seen, outcomes) = unbounded();
        let listener = move |event: &Event| {
            let id = next(&told);
            let outcome = weak.upgrade().unwrap().remove_event_listener(id);
            seen.send((event.to_string(), outcome)).unwrap();
        };
        let id = controller.add_event_listener(EventKind::Bw, listener).unwrap();
        tell.send(id).unwrap();
        event(&controller);
        let (text, outcome) = next(&outcomes);
        outcome.unwrap();
        assert_eq!(text, "BW 1 0");
        event(&controller);
        assert_eq!(controller.subscribed_events(), []);
        // The closure and its captures were dropped.
        assert!(outcomes.recv_timeout(LIMIT).is_err());
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn after_the_removal_has_returned_no_call_begins() {
    // Not even for an event that is being delivered, to another listener before this one.
    let (tor, controller) = with_events();
    let (go_on, test_says) = signal();
    let (begun, has_begun) = signal();
    let first = move |_: &Event| {
        begun.fire();
        test_says.wait();
    };
    controller.add_event_listener(EventKind::Bw, first).unwrap();
    let (seen, events) = unbounded();
    let second = move |event: &Event| seen.send(event.to_string()).unwrap();
    let second = controller.add_event_listener(EventKind::Bw, second).unwrap();
    event(&controller);
    has_begun.wait();
    controller.remove_event_listener(second).unwrap();
    go_on.fire();
    event(&controller);
    has_begun.wait();
    go_on.fire();
    assert_eq!(events.try_iter().count(), 0);
    controller.close();
    drop(controller);
    tor.finish();
}

#[test]
fn a_listener_may_close_the_connection() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let weak = controller.downgrade();
        let (seen, outcomes) = bounded(1);
        let listener = move |_: &Event| {
            let controller = weak.upgrade().unwrap();
            controller.close();
            controller.close();
            seen.send(controller.get_info_one("a")).unwrap();
        };
        controller.add_event_listener(EventKind::Bw, listener).unwrap();
        // The reply follows the event; the listener may be faster or slower than it.
        let _ = controller.queue_command("GETINFO event/bw").unwrap().wait();
        let outcome = next(&outcomes);
        assert_eq!(super::closed(outcome), "this program closed the connection");
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn a_listener_may_drop_the_last_handle() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let (hand_over, handed) = bounded::<Controller>(1);
        let (done, is_done) = bounded(1);
        let listener = move |_: &Event| {
            drop(next(&handed));
            done.send(()).unwrap();
        };
        controller.add_event_listener(EventKind::Bw, listener).unwrap();
        let pending = controller.queue_command("GETINFO event/bw").unwrap();
        hand_over.send(controller).unwrap();
        next(&is_done);
        drop(pending);
        end(&holdings, tor);
    });
}

#[test]
fn dropping_the_last_handle_does_not_wait_for_a_listener() {
    // Rule 8: drop never waits for a user's closure.
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let (go_on, test_says) = signal();
        let (begun, has_begun) = signal();
        let busy = move |_: &Event| {
            begun.fire();
            test_says.wait();
        };
        controller.add_event_listener(EventKind::Bw, busy).unwrap();
        event(&controller);
        has_begun.wait();
        let took = within(LIMIT, "dropping", move || {
            let start = Instant::now();
            drop(controller);
            start.elapsed()
        });
        assert!(took < SOON, "dropping took {took:?}");
        go_on.fire();
        end(&holdings, tor);
    });
}

#[test]
fn closing_waits_for_a_listener_within_the_limit() {
    // Rules 8 and 10.
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller) = with_events();
        let (go_on, test_says) = signal();
        let (begun, has_begun) = signal();
        let finished = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&finished);
        let busy = move |_: &Event| {
            begun.fire();
            test_says.wait();
            *seen.lock() = true;
        };
        controller.add_event_listener(EventKind::Bw, busy).unwrap();
        event(&controller);
        has_begun.wait();
        let start = Instant::now();
        controller.with_timeout(Duration::from_millis(50)).close();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(50) && took < SOON, "closing took {took:?}");
        assert!(!*finished.lock());
        let other = controller.clone();
        let closing = super::start(move || {
            other.close();
            *finished.lock()
        });
        go_on.fire();
        assert!(super::join(closing), "closing returned before the listener");
        drop(controller);
        end(&holdings, tor);
    });
}

#[test]
fn closing_discards_undelivered_events() {
    let (tor, controller) = with_events();
    let (go_on, test_says) = signal();
    let (begun, has_begun) = signal();
    let (seen, events) = unbounded();
    let slow = move |event: &Event| {
        seen.send(event.to_string()).unwrap();
        begun.fire();
        test_says.wait();
    };
    controller.add_event_listener(EventKind::Bw, slow).unwrap();
    for _ in 0..10 {
        event(&controller);
    }
    has_begun.wait();
    controller.with_timeout(Duration::from_millis(1)).close();
    go_on.fire();
    controller.close();
    assert_eq!(events.try_iter().count(), 1);
    drop(controller);
    tor.finish();
}

#[test]
fn a_handle_in_a_listener_keeps_the_connection_until_it_is_closed() {
    // The documentation warns of this; a weak handle does not.
    exclusive(|| {
        let holdings = Holdings::now();
        for strong in [true, false] {
            let (tor, controller) = served();
            let weak = controller.downgrade();
            let kept = strong.then(|| controller.clone());
            let listener = move |_: &Event| {
                let _kept = &kept;
            };
            controller.add_event_listener(EventKind::Bw, listener).unwrap();
            drop(controller);
            match weak.upgrade() {
                Some(controller) if strong => controller.close(),
                Some(_) => panic!("a weak handle kept the connection open"),
                None => assert!(!strong),
            }
            assert!(strong || weak.upgrade().is_none());
            end(&holdings, tor);
        }
    });
}

/// Sends to a channel when it is dropped.
struct Tell(Sender<()>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

#[test]
fn the_end_drops_every_closure() {
    let (tor, controller) = served();
    let (dropped, drops) = unbounded();
    for _ in 0..3 {
        let tell = Tell(dropped.clone());
        let listener = move |_: &Event| {
            let _tell = &tell;
        };
        controller.add_event_listener(EventKind::Bw, listener).unwrap();
    }
    assert!(drops.is_empty());
    controller.close();
    assert_eq!(drops.try_iter().count(), 3);
    drop(controller);
    tor.finish();
}
