//! The threads and descriptors of a connection, and when they begin and end.

use std::fs;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, TryRecvError, unbounded};
use torcon::event::BwEvent;
use torcon::{Error, EventKind};

use super::{LIMIT, answer, connected, join, next, served, start};
use crate::support::exclusive::{exclusive, exclusive_after, exclusive_beside};
use crate::support::fake_tor::FakeTor;
use crate::support::leaks::threads;
use crate::support::watchdog::eventually;

const READER: [&str; 1] = ["torcon-reader"];
const BOTH: [&str; 2] = ["torcon-events", "torcon-reader"];

/// Waits until the threads of torcon are these. A thread gets its name when it begins to run.
#[track_caller]
fn expect_threads(stage: &str, expected: &[&str]) {
    eventually(LIMIT, &format!("the threads {stage} are {expected:?}"), || {
        threads("torcon-") == expected
    });
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc is mounted").count()
}

/// Starts a fake tor that stays in the process of the test program.
fn serving() -> (FakeTor, String) {
    let tor = FakeTor::serving(|_, _| None);
    let endpoint = tor.endpoint();
    (tor, endpoint)
}

#[test]
fn a_connection_has_one_thread_until_the_first_listener_and_one_descriptor() {
    let tor = exclusive_beside(serving, |endpoint| {
        let before = descriptors();
        let controller = torcon::connect(endpoint).unwrap();
        assert_eq!(descriptors(), before + 1);
        expect_threads("after connecting", &READER);
        // Neither commands, nor queues, nor a wait, nor a closure for the end need another thread.
        controller.get_info_one("version").unwrap();
        let pending = controller.queue_command("GETINFO version").unwrap();
        pending.wait().unwrap();
        let queue = controller.events([EventKind::Bw]).unwrap();
        assert!(queue.try_recv().is_none());
        let (ended, end) = unbounded();
        controller.on_disconnect(move |_| {
            ended.send(std::thread::current().name().unwrap().to_owned()).unwrap();
        });
        expect_threads("before the first listener", &READER);
        drop(queue);

        let listener = controller.on(|_: &BwEvent| {}).unwrap();
        expect_threads("after the first listener", &BOTH);
        let other = controller.on_lagged(|_| {}).unwrap();
        expect_threads("after the second listener", &BOTH);
        for listener in [listener, other] {
            controller.remove_event_listener(listener).unwrap();
        }
        expect_threads("after their removal", &BOTH);
        controller.close();
        expect_threads("after the end", &[]);
        assert_eq!(next(&end), "torcon-events");
        drop(controller);
        assert_eq!(descriptors(), before);
    });
    drop(tor);
}

#[test]
fn many_threads_that_add_the_first_listener_at_once_start_one_event_thread() {
    exclusive(|| {
        let tor = FakeTor::serving(|_, _| None);
        for _ in 0..20 {
            let controller = torcon::connect(tor.endpoint()).unwrap();
            let barrier = Arc::new(Barrier::new(8));
            let adding = [(); 8].map(|()| {
                let (controller, barrier) = (controller.clone(), Arc::clone(&barrier));
                start(move || {
                    barrier.wait();
                    controller.on_lagged(|_| {}).unwrap()
                })
            });
            let listeners = adding.map(join);
            expect_threads("after eight listeners", &BOTH);
            for listener in listeners {
                controller.remove_event_listener(listener).unwrap();
            }
            drop(controller);
            expect_threads("after the end", &[]);
        }
    });
}

#[test]
fn a_first_listener_that_is_added_during_a_close_is_refused_or_dropped() {
    exclusive(|| {
        let tor = FakeTor::serving(|_, _| None);
        for _ in 0..100 {
            let controller = torcon::connect(tor.endpoint()).unwrap();
            let barrier = Arc::new(Barrier::new(2));
            let (captured, dropped) = unbounded::<()>();
            let adding = {
                let (controller, barrier) = (controller.clone(), Arc::clone(&barrier));
                start(move || {
                    barrier.wait();
                    controller.on_lagged(move |_| drop(captured.clone()))
                })
            };
            barrier.wait();
            controller.close();
            if let Err(error) = join(adding) {
                assert!(error.is_closed(), "{error:?}");
            }
            assert_eq!(dropped.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
            drop(controller);
        }
        expect_threads("after the end", &[]);
    });
}

#[test]
fn a_listener_can_be_added_by_the_first_listener() {
    let (tor, controller) = connected(|script| {
        script.serve(|line, out| {
            out.extend_from_slice(b"650 BW 1 2\r\n");
            answer(line, out);
        });
    });
    let (sender, events) = unbounded();
    let weak = controller.downgrade();
    let mut is_added = false;
    controller
        .on(move |_: &BwEvent| {
            if let (Some(controller), false) = (weak.upgrade(), is_added) {
                is_added = true;
                let sender = sender.clone();
                controller.on(move |bw: &BwEvent| sender.send(bw.bytes_read()).unwrap()).unwrap();
            }
        })
        .unwrap();
    controller.get_info_one("a").unwrap();
    controller.get_info_one("b").unwrap();
    assert_eq!(next(&events), 1);
    drop(controller);
    tor.finish();
}

#[test]
fn events_that_arrive_before_the_first_listener_are_not_delivered_to_it() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK"]);
        script.expect("GETINFO a").send("650 BW 1 1\r\n250-a=\r\n250 OK\r\n");
        script.expect("GETINFO b").send("650 BW 2 2\r\n250-b=\r\n250 OK\r\n");
        script.drain();
    });
    let queue = controller.events([EventKind::Bw]).unwrap();
    controller.get_info_one("a").unwrap();
    let (sender, events) = unbounded();
    controller.on(move |bw: &BwEvent| sender.send(bw.bytes_read()).unwrap()).unwrap();
    controller.get_info_one("b").unwrap();
    assert_eq!(next(&events), 2);
    assert_eq!(queue.len(), 2);
    drop(queue);
    drop(controller);
    tor.finish();
}

#[test]
fn a_closure_for_the_end_without_a_listener_delays_no_drop_and_no_caller() {
    exclusive(|| {
        for is_dropped in [true, false] {
            let (tor, controller) = served();
            let (begin, begun) = unbounded();
            let (resume, resumed) = unbounded::<()>();
            controller.on_disconnect(move |reason| {
                begin.send(reason.to_string()).unwrap();
                resumed.recv_timeout(LIMIT).unwrap();
            });
            expect_threads("before the end", &READER);
            let start = Instant::now();
            if is_dropped {
                drop(controller);
            } else {
                controller.with_timeout(Duration::from_millis(20)).close();
                assert!(controller.get_info_one("a").unwrap_err().is_closed());
            }
            assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
            assert_eq!(next(&begun), "this program closed the connection");
            expect_threads("while the closure runs", &["torcon-events"]);
            resume.send(()).unwrap();
            expect_threads("after the end", &[]);
            tor.finish();
        }
    });
}

/// The size of a stack for which there is no memory. It is that of the event thread, whose size is
/// the default, and not that of the reader thread.
const NO_STACK: &str = "RUST_MIN_STACK=70368744177664; export RUST_MIN_STACK";

#[test]
fn without_a_thread_for_it_a_first_listener_is_refused_and_the_connection_lives() {
    let tor = exclusive_after(NO_STACK, serving, |endpoint| {
        let controller = torcon::connect(endpoint).unwrap();
        for _ in 0..2 {
            let (captured, dropped) = unbounded::<()>();
            let error = controller.on(move |_: &BwEvent| drop(captured.clone())).unwrap_err();
            assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
            let text = error.to_string();
            let expected = "invalid argument \"listener\": cannot be called, since no thread can be \
                            started: ";
            assert!(text.starts_with(expected), "{text}");
            assert_eq!(dropped.try_recv(), Err(TryRecvError::Disconnected));
            assert_eq!(controller.subscribed_events(), []);
        }
        controller.on_lagged(|_| {}).unwrap_err();
        // Commands and queues need no other thread.
        controller.get_info_one("version").unwrap();
        drop(controller.events([EventKind::Bw]).unwrap());
        let (sender, end) = unbounded();
        let weak = controller.downgrade();
        controller.on_disconnect(move |reason| {
            // No caller waits for the reader thread now, so the closure may call the controller.
            let error = weak.upgrade().unwrap().get_info_one("version").unwrap_err();
            assert!(error.is_closed(), "{error:?}");
            let thread = std::thread::current().name().unwrap().to_owned();
            sender.send(format!("{reason} on {thread}")).unwrap();
        });
        expect_threads("before the end", &READER);
        controller.close();
        assert_eq!(next(&end), "this program closed the connection on torcon-reader");
        drop(controller);
        expect_threads("after the end", &[]);
    });
    drop(tor);
}
