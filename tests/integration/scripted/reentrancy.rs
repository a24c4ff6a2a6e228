//! A logger that calls back, and closures with captures whose drop calls back: no lock is held when
//! they are called, logged or dropped.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use torcon::{Event, EventKind, WeakController};

use super::{LIMIT, answer, connected, next, served};
use crate::support::exclusive::exclusive;
use crate::support::log_capture::LogClosure;
use crate::support::watchdog::within;

/// Uses the connection in every way, as a logger or a destructor might.
fn call_back(weak: &WeakController) {
    let Some(controller) = weak.upgrade() else { return };
    let controller = controller.with_timeout(LIMIT);
    let was_alive = controller.is_alive();
    assert!(controller.subscribed_events().len() < 10);
    controller.on_disconnect(|_| {});
    let id = controller.add_event_listener(EventKind::Warn, |_| {});
    let queue = controller.events([EventKind::Warn]);
    drop(queue);
    if let Ok(id) = id {
        controller.remove_event_listener(id).ok();
    }
    let answer = controller.get_info_one("back");
    assert!(answer.is_ok() || !controller.is_alive() || !was_alive, "{answer:?}");
}

/// A value whose drop calls back.
struct Held {
    weak: WeakController,
    dropped: Sender<&'static str>,
    name: &'static str,
}

impl Held {
    /// Makes a closure capture the whole value, and not just one field.
    fn is_held(&self) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        call_back(&self.weak);
        // A lock that this thread holds may be reentrant.
        let weak = self.weak.clone();
        let call = move || call_back(&weak);
        thread::Builder::new().name("caller".into()).spawn(call).unwrap().join().unwrap();
        self.dropped.send(self.name).ok();
    }
}

#[test]
fn captures_of_a_closure_may_call_torcon_when_they_are_dropped() {
    within(LIMIT, "a closure that calls back", || {
        let (tor, controller) = connected(|script| {
            script.serve(|line, out| match line {
                "SETEVENTS NOPE" | "SETEVENTS NOPE WARN" => {
                    out.extend_from_slice(b"552 Unrecognized event \"NOPE\"\r\n");
                }
                "GETINFO event" => out.extend_from_slice(b"650 BW 1 2\r\n250-event=\r\n250 OK\r\n"),
                line => answer(line, out),
            });
        });
        let (dropped, drops) = unbounded();
        let weak = controller.downgrade();
        let held = |name| Held { weak: weak.clone(), dropped: dropped.clone(), name };

        let it = held("refused");
        let kind = EventKind::from("NOPE");
        let outcome = controller.add_event_listener(kind, move |_| it.is_held());
        assert_eq!(outcome.unwrap_err().status_code(), Some(552));
        assert_eq!(next(&drops), "refused");

        let it = held("not sent");
        let kind = EventKind::from("A B");
        controller.add_event_listener(kind, move |_| it.is_held()).unwrap_err();
        assert_eq!(next(&drops), "not sent");

        let it = held("removed");
        let id = controller.add_event_listener(EventKind::Bw, move |_| it.is_held());
        controller.remove_event_listener(id.unwrap()).unwrap();
        assert_eq!(next(&drops), "removed");

        let it = held("removed while it runs");
        let (tell, id) = unbounded();
        let weak = controller.downgrade();
        let removes = move |_: &Event| {
            let id = id.recv_timeout(LIMIT).unwrap();
            weak.upgrade().unwrap().remove_event_listener(id).unwrap();
            it.is_held();
        };
        tell.send(controller.add_event_listener(EventKind::Bw, removes).unwrap()).unwrap();
        controller.get_info_one("event").unwrap();
        assert_eq!(next(&drops), "removed while it runs");

        let it = held("panicked");
        let panics = move |_: &Event| {
            it.is_held();
            panic!("as the test wants");
        };
        controller.add_event_listener(EventKind::Bw, panics).unwrap();
        controller.get_info_one("event").unwrap();
        assert_eq!(next(&drops), "panicked");

        let it = held("lagged");
        let id = controller.on_lagged(move |_| it.is_held()).unwrap();
        controller.remove_event_listener(id).unwrap();
        assert_eq!(next(&drops), "lagged");

        let it = held("ended");
        controller.add_event_listener(EventKind::Bw, move |_| it.is_held()).unwrap();
        let it = held("told the end");
        controller.on_disconnect(move |_| it.is_held());
        controller.close();
        let mut last = [next(&drops), next(&drops)];
        last.sort_unstable();
        assert_eq!(last, ["ended", "told the end"]);

        let it = held("too late");
        controller.add_event_listener(EventKind::Bw, move |_| it.is_held()).unwrap_err();
        assert_eq!(next(&drops), "too late");
        let it = held("told at once");
        controller.on_disconnect(move |_| it.is_held());
        assert_eq!(next(&drops), "told at once");
        drop(controller);
        tor.finish();
    });
}

#[test]
fn captures_of_a_closure_may_close_the_connection_when_they_are_dropped() {
    struct Closes(WeakController);

    impl Drop for Closes {
        fn drop(&mut self) {
            if let Some(controller) = self.0.upgrade() {
                controller.close();
            }
        }
    }

    within(LIMIT, "a closure that closes", || {
        for by_panic in [false, true] {
            let (tor, controller) = connected(move |script| {
                script.answer("SETEVENTS BW", &["250 OK"]);
                if by_panic {
                    script.answer("GETINFO a", &["650 BW 1 2", "250-a=1", "250 OK"]);
                }
                script.drain();
            });
            let closes = Closes(controller.downgrade());
            let listener = move |_: &Event| {
                let _held = &closes;
                assert!(!by_panic, "as the test wants");
            };
            let id = controller.add_event_listener(EventKind::Bw, listener).unwrap();
            if by_panic {
                controller.get_info_one("a").ok();
            } else {
                controller.remove_event_listener(id).ok();
            }
            controller.wait_closed(LIMIT).unwrap();
            drop(controller);
            tor.finish();
        }
    });
}

#[test]
fn a_logger_may_call_back() {
    exclusive(|| {
        let (tor, controller) = connected(|script| {
            script.serve(|line, out| match line {
                line if line.starts_with("SETEVENTS") && line.contains("NOPE") => {
                    out.extend_from_slice(b"552 Unrecognized event \"NOPE\"\r\n");
                }
                "GETINFO event" => out.extend_from_slice(b"650 BW 1 2\r\n250-event=\r\n250 OK\r\n"),
                // tor may never answer.
                "GETINFO late" => {}
                line => answer(line, out),
            });
        });
        let weak = controller.downgrade();
        let (logged, lines) = unbounded();
        let log = LogClosure::start(move |line| {
            if line.target.starts_with("torcon") {
                call_back(&weak);
                logged.send(line.text.clone()).ok();
            }
        });
        let lines = within(LIMIT, "a connection whose logger calls back", move || {
            controller.get_info_one("a").unwrap();
            let refused = controller.add_event_listener(EventKind::from("NOPE"), |_| {});
            assert_eq!(refused.unwrap_err().status_code(), Some(552));
            let id = controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
            controller.remove_event_listener(id).unwrap();
            let listener = |_: &Event| panic!("as the test wants");
            controller.add_event_listener(EventKind::Bw, listener).unwrap();
            let queue = controller.events([EventKind::Bw, EventKind::Circ]).unwrap();
            controller.get_info_one("event").unwrap();
            assert_eq!(queue.recv_timeout(LIMIT).unwrap().to_string(), "BW 1 2");
            drop(queue);
            // The event thread logs the panic and calls back. If that were while "late" is pending, the
            // reply to its command would count as the reply to "late".
            let is_panic = |line: String| line.contains("a listener panicked");
            while !is_panic(lines.recv_timeout(LIMIT).unwrap()) {}
            let short = controller.with_timeout(Duration::from_millis(1));
            assert!(short.get_info_one("late").unwrap_err().is_timeout());
            controller.get_info_one("b").unwrap();
            let is_it = |event: &Event| matches!(event, Event::Bw(_));
            let asking = controller.clone();
            controller
                .on_lagged(move |_| {
                    assert!(asking.timeout() > Duration::ZERO);
                })
                .unwrap();
            controller.wait_for(EventKind::Bw, is_it, Duration::from_millis(1)).unwrap_err();
            controller.close();
            lines
        });
        let lines: Vec<_> = lines.try_iter().collect();
        assert!(lines.iter().any(|line| line.contains("connection closed")), "{lines:?}");
        drop(log);
        tor.finish();
    });
}

#[test]
fn a_logger_may_call_back_when_events_are_lost() {
    exclusive(|| {
        let options = torcon::ConnectOptions::new().event_limit(1000);
        let (tor, controller) = super::connected_with(&options, |script| {
            script.serve(|line, out| {
                if line == "GETINFO flood" {
                    (0..1000).for_each(|_| out.extend_from_slice(b"650 BW 1 2\r\n"));
                }
                answer(line, out);
            });
        });
        let weak = controller.downgrade();
        let (logged, lines) = unbounded();
        let log = LogClosure::start(move |line| {
            if line.text.contains("events were lost") || line.text.contains("being dropped") {
                call_back(&weak);
                logged.send(line.text.clone()).ok();
            }
        });
        within(LIMIT, "a connection whose logger calls back", move || {
            let queue = controller.events([EventKind::Bw]).unwrap();
            controller.get_info_one("flood").unwrap();
            let mut count = 0;
            while count < 1000 {
                count += match queue.recv().unwrap() {
                    Event::Lagged { dropped, .. } => dropped,
                    _ => 1,
                };
            }
            assert!(!lines.is_empty());
            drop(queue);
            controller.close();
        });
        drop(log);
        tor.finish();
    });
}

#[test]
fn a_queue_that_is_dropped_while_its_events_arrive_does_no_harm() {
    let (tor, controller) = served();
    let (dropped, drops) = unbounded();
    let held = Held { weak: controller.downgrade(), dropped, name: "beside it" };
    let queue = controller.events([EventKind::Bw]).unwrap();
    let id = controller.add_event_listener(EventKind::Bw, move |_| held.is_held()).unwrap();
    drop(queue);
    controller.remove_event_listener(id).unwrap();
    assert_eq!(next(&drops), "beside it");
    drop(controller);
    tor.finish();
}
