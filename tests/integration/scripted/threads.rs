//! Many threads on one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{bounded, unbounded};
use torcon::event::BwEvent;
use torcon::{Error, EventKind};

use super::{answer, chain, connected, join, next, served, start, value};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// The numbers of threads and of commands.
const THREADS: usize = 16;
const COMMANDS: usize = 500;

#[test]
fn sixteen_threads_get_their_own_replies_during_a_flood_of_events() {
    // Slots are in the order of the wire, and the reader waits for no listener.
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
    controller.on(move |bw: &BwEvent| seen.send(bw.bytes_read()).unwrap()).unwrap();
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
    // All events, in the order of the wire: the default limit suffices.
    for number in 0..(THREADS * COMMANDS) as u64 * EVENTS_PER_COMMAND {
        assert_eq!(next(&events), number);
    }
    drop(controller);
    tor.finish();
}

#[test]
fn sixteen_threads_that_pipeline_each_get_their_own_replies() {
    // One lock for the slot and the write.
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
fn every_waiting_caller_gets_the_same_reason_at_once_when_the_peer_closes() {
    // In zwuevi a waiting caller hung forever, since the struct itself had a sender of its channel.
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
    // The end of the stream is more precise than a broken pipe, and is the first reason.
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
    // Closing is idempotent, from any thread.
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
fn many_threads_add_and_remove_listeners_during_events_and_replies() {
    // No order of the locks can deadlock.
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
    // No listener is left. If the last drop could not send SETEVENTS, the next change does.
    let id = controller.add_event_listener(EventKind::Warn, |_| {}).unwrap();
    assert_eq!(controller.subscribed_events(), [EventKind::Warn]);
    controller.remove_event_listener(id).unwrap();
    assert_eq!(controller.subscribed_events(), []);
    drop(controller);
    tor.finish();
}
