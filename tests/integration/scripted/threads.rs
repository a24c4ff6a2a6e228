//! Many threads on one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{bounded, unbounded};
use torcon::event::BwEvent;
use torcon::{Error, EventKind};

use super::{answer, chain, connected, join, next, served, start, value};
use crate::support::signal::signal;

/// Threads and commands of the tests with many of both.
const THREADS: usize = 16;
const COMMANDS: usize = 500;

#[test]
fn sixteen_threads_get_their_own_replies_during_a_flood_of_events() {
    // Rules 1 and 4: the order of the queue is that of the wire, and the reader waits for nobody.
    const EVENTS_PER_COMMAND: u64 = 5;
    let (tor, controller) = connected(|script| {
        let mut number = 0;
        script.serve(|line, out| {
            if line.starts_with("GETINFO ") {
                for _ in 0..EVENTS_PER_COMMAND {
                    out.extend_from_slice(format!("650 BW {number} 0\r\n").as_bytes());
                    number += 1;
                }
            }
            answer(line, out);
        });
    });
    let (seen, events) = unbounded();
    controller.on(move |bw: &BwEvent| seen.send(bw.read).unwrap()).unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let controller = controller.clone();
            start(move || {
                for n in 0..COMMANDS {
                    let key = format!("{thread}/{n}");
                    assert_eq!(controller.get_info_one(&key).unwrap(), value(&key));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    // All of them, in the order of the wire: the default limit suffices.
    for number in 0..(THREADS * COMMANDS) as u64 * EVENTS_PER_COMMAND {
        assert_eq!(next(&events), number);
    }
    drop(controller);
    tor.finish();
}

#[test]
fn sixteen_threads_that_pipeline_each_get_their_own_replies() {
    // Rule 1: one lock for the place in the queue and the write.
    let (tor, controller) = served();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let controller = controller.clone();
            start(move || {
                for batch in 0..10 {
                    let ask = |n| controller.queue_command(&format!("ECHO {thread}/{batch}/{n}"));
                    let pending: Vec<_> = (0..COMMANDS / 10).map(|n| ask(n).unwrap()).collect();
                    for (n, pending) in pending.into_iter().enumerate() {
                        let text = format!("{thread}/{batch}/{n}");
                        assert_eq!(pending.wait().unwrap().text(), text);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    drop(controller);
    tor.finish();
}

#[test]
fn every_caller_in_flight_gets_the_same_reason_at_once_when_the_peer_closes() {
    // Rule 3; peers 3: a caller in flight hung for ever, since the struct itself held a sender of
    // its channel (zwuevi).
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        for _ in 0..THREADS {
            script.expect_matching("a question", |line| line.starts_with("GETINFO "));
        }
        script.wait_for(&test_says).close();
    });
    let (returned, outcomes) = bounded(THREADS);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (controller, returned) = (controller.clone(), returned.clone());
            start(move || {
                let outcome = controller.get_info_one(&format!("key/{thread}"));
                returned.send((outcome, Instant::now())).unwrap();
            })
        })
        .collect();
    let waiting = controller.clone();
    let watcher = start(move || (waiting.wait_closed(super::LIMIT).unwrap(), Instant::now()));
    go_on.fire();
    let (reason, ended) = join(watcher);
    assert_eq!(reason.to_string(), "tor closed the connection");
    for _ in 0..THREADS {
        let (outcome, at) = next(&outcomes);
        let error = outcome.unwrap_err();
        assert_eq!(chain(&error), "the control connection is closed: tor closed the connection");
        let late = at.saturating_duration_since(ended);
        assert!(late < super::SOON, "a caller returned {late:?} after the end");
    }
    threads.into_iter().for_each(join);
    // Later calls fail with the same reason.
    let later = controller.set_conf([("Nickname", "x")]).unwrap_err();
    assert_eq!(chain(&later), "the control connection is closed: tor closed the connection");
    tor.finish();
}

#[test]
fn callers_that_are_writing_when_the_peer_closes_get_its_reason_too() {
    // Rule 3: a broken pipe says less than the end of the stream, which is the first reason.
    let (tor, controller) = connected(|script| {
        for _ in 0..200 {
            script.expect_line("a question");
            script.send("250 OK\r\n");
        }
        script.close();
    });
    let done = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (controller, done) = (controller.clone(), Arc::clone(&done));
            start(move || {
                loop {
                    match controller.command("ECHO x") {
                        Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                        Err(error) => return error,
                    };
                }
            })
        })
        .collect();
    for error in threads.into_iter().map(join) {
        assert!(matches!(error, Error::Closed(_)), "{error:?}");
        assert_eq!(chain(&error), "the control connection is closed: tor closed the connection");
    }
    assert_eq!(done.load(Ordering::Relaxed), 200);
    tor.finish();
}

#[test]
fn a_connection_can_be_closed_from_many_threads_at_once() {
    // Rule 8: closing is idempotent, from any thread.
    let (tor, controller) = connected(|script| {
        script.expect("ECHO x").expect_end();
    });
    let pending = controller.queue_command("ECHO x").unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let controller = controller.clone();
            start(move || {
                controller.close();
                assert!(!controller.is_alive());
                controller.close();
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    assert_eq!(super::closed(pending.wait()), "this program closed the connection");
    assert_eq!(
        controller.closed_reason().unwrap().to_string(),
        "this program closed the connection"
    );
    tor.finish();
}

#[test]
fn listeners_come_and_go_on_many_threads_while_events_and_replies_flow() {
    // Rules 6, 7 and 9: no order of the locks can block.
    let (tor, controller) = connected(|script| {
        script.serve(|line, out| {
            out.extend_from_slice(b"650 BW 1 2\r\n650 NOTICE x\r\n");
            answer(line, out);
        });
    });
    let kinds = [EventKind::Bw, EventKind::Notice, EventKind::Circ, EventKind::Stream];
    let threads: Vec<_> = (0..8)
        .map(|thread: usize| {
            let (controller, kind) = (controller.clone(), kinds[thread % kinds.len()].clone());
            start(move || {
                for n in 0..30 {
                    let id = controller.add_event_listener(kind.clone(), |_| {}).unwrap();
                    let queue = controller.events([kind.clone()]).unwrap();
                    let key = format!("{thread}/{n}");
                    assert_eq!(controller.get_info_one(&key).unwrap(), value(&key));
                    let _ = queue.try_recv();
                    controller.remove_event_listener(id).unwrap();
                    drop(queue);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    // Nobody listens any more, and the next change says so if the last drop could not.
    let id = controller.add_event_listener(EventKind::Warn, |_| {}).unwrap();
    assert_eq!(controller.subscribed_events(), [EventKind::Warn]);
    controller.remove_event_listener(id).unwrap();
    assert_eq!(controller.subscribed_events(), []);
    drop(controller);
    tor.finish();
}
