use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use torcon::event::BwEvent;
use torcon::{ConnectOptions, Event, EventKind, EventQueue};

use super::{LIMIT, SHORT, connected, connected_with, options, wait_up};
use crate::support::fake_tor::{FakeTor, usual_reply};
use crate::support::named_thread::named;
use crate::support::signal::signal;
use crate::support::watchdog::eventually;

/// A duration that only an operation that waits for tor reaches.
const SOON: Duration = Duration::from_secs(20);

/// Returns a tor that sends an event right behind the reply to each subscription to it.
fn talkative() -> FakeTor {
    FakeTor::serving(|_, line| {
        let kinds = line.strip_prefix("SETEVENTS ")?;
        let event = if kinds.contains("BW") { "650 BW 1 2\r\n" } else { "" };
        Some(format!("250 OK\r\n{event}"))
    })
}

/// Requires that the next event is the marker of a new connection.
#[track_caller]
fn assert_marker_is_next(queue: &EventQueue) {
    let event = queue.recv_timeout(LIMIT).unwrap();
    assert!(matches!(event, Event::Reconnected { .. }), "{event}");
}

#[test]
fn on_reconnected_is_called_before_the_events_of_the_new_connection() {
    let tor = FakeTor::serving(|_, line| match line {
        "SETEVENTS BW" => Some("250 OK\r\n650 BW 1 2\r\n".to_owned()),
        line if line.starts_with("SETEVENTS ") => {
            // The events of the first subscription arrive meanwhile.
            std::thread::sleep(SHORT);
            None
        }
        _ => None,
    });
    let supervisor = connected(&tor);
    let (sender, received) = unbounded();
    let (events, gaps) = (sender.clone(), sender);
    supervisor.on(move |_: &BwEvent| events.send("event").unwrap_or_default()).unwrap();
    supervisor.add_event_listener(EventKind::Circ, |_| {}).unwrap();
    supervisor.on_reconnected(move |_| gaps.send("gap").unwrap_or_default()).unwrap();
    assert_eq!(received.recv_timeout(LIMIT), Ok("event"));
    tor.cut();
    let order = [received.recv_timeout(LIMIT), received.recv_timeout(LIMIT)];
    assert_eq!(order, [Ok("gap"), Ok("event")]);
}

#[test]
fn a_listener_and_a_queue_that_are_removed_during_a_restore_are_not_subscribed_again() {
    let (go_on, test_says) = signal();
    let tor = FakeTor::serving(move |connection, line| {
        if connection == 2 && line == "SETEVENTS BW" {
            test_says.wait();
        }
        None
    });
    let supervisor = connected(&tor);
    let present = supervisor.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    let later = supervisor.add_event_listener(EventKind::Circ, |_| {}).unwrap();
    let queue = supervisor.events([EventKind::Stream]).unwrap();
    tor.cut();
    eventually(LIMIT, "tor restores", || tor.lines_of(2).iter().any(|line| line == "SETEVENTS BW"));
    supervisor.remove_event_listener(present).unwrap();
    supervisor.remove_event_listener(later).unwrap();
    drop(queue);
    go_on.fire();
    wait_up(&supervisor, 2);
    // A later command shows that no SETEVENTS follows.
    supervisor.tor().unwrap().controller().get_info_one("version").unwrap();
    let lines = tor.lines_of(2);
    let last = lines.iter().rfind(|line| line.starts_with("SETEVENTS"));
    assert_eq!(last.map(String::as_str), Some("SETEVENTS"), "{lines:?}");
}

#[test]
fn a_queue_is_dropped_without_waiting_for_tor() {
    let tor = FakeTor::serving(|connection, line| {
        (connection == 2 && line.starts_with("SETEVENTS")).then(String::new)
    });
    let supervisor = connected(&tor);
    let queue = supervisor.events([EventKind::Stream]).unwrap();
    tor.cut();
    eventually(LIMIT, "tor is asked", || {
        tor.lines_of(2).iter().any(|line| line.starts_with("SETEVENTS"))
    });
    let begun = Instant::now();
    drop(queue);
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
    // The restore does not wait longer.
    tor.cut();
}

#[test]
fn the_marker_is_delivered_although_the_end_of_the_former_connection_takes_long() {
    // The end of the state of the former connection is reported before that of the queue.
    let path = "$088A568DA6A493187FA94B71CB198E06F73D70F1~test000a";
    let circuit = |id| format!("{id} BUILT {path} PURPOSE=GENERAL\r\n");
    let circuits: String = (1..16_000).map(circuit).collect();
    let circuits = format!("250+circuit-status=\r\n{circuits}.\r\n");
    let tor = FakeTor::serving(move |_, line| {
        Some(usual_reply(line).replace("250-circuit-status=\r\n", &circuits))
    });
    let options = options().backoff(Duration::ZERO, Duration::ZERO);
    let supervisor = connected_with(&tor, options, ConnectOptions::new());
    let state = supervisor.state().unwrap();
    assert!(state.circuits().len() > 15_000, "{}", state.circuits().len());
    let queue = supervisor.events([EventKind::Bw]).unwrap();
    for connection in 2..5 {
        tor.cut();
        wait_up(&supervisor, connection);
        tor.send_event("BW 1 2");
        assert_marker_is_next(&queue);
        assert!(matches!(queue.recv_timeout(LIMIT).unwrap(), Event::Bw(_)));
    }
}

#[test]
fn each_connection_has_one_marker_on_a_busy_machine() {
    let tor = talkative();
    let supervisor = connected(&tor);
    let is_over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..8)
        .map(|_| {
            let is_over = Arc::clone(&is_over);
            named("busy", move || while !is_over.load(Ordering::Relaxed) {})
        })
        .collect();
    let queue = supervisor.events([EventKind::Bw]).unwrap();
    assert!(matches!(queue.recv_timeout(LIMIT).unwrap(), Event::Bw(_)));
    for connection in 2..15 {
        tor.cut();
        wait_up(&supervisor, connection);
        assert_marker_is_next(&queue);
        assert!(matches!(queue.recv_timeout(LIMIT).unwrap(), Event::Bw(_)));
    }
    is_over.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_listener_that_panics_is_unsubscribed() {
    let tor = talkative();
    let supervisor = connected(&tor);
    let id = supervisor.add_event_listener(EventKind::Bw, |_| panic!("as planned")).unwrap();
    eventually(LIMIT, "tor sends no more events", || {
        tor.lines_of(1).last().is_some_and(|line| line == "SETEVENTS")
    });
    assert!(supervisor.remove_event_listener(id).is_err());
    tor.cut();
    wait_up(&supervisor, 2);
    let lines = tor.lines_of(2);
    assert!(!lines.iter().any(|line| line.starts_with("SETEVENTS ")), "{lines:?}");
}

#[test]
fn commands_are_answered_while_one_of_3000_listeners_is_stuck() {
    let tor = FakeTor::serving(|_, _| None);
    let connect = ConnectOptions::new().event_limit(100_000);
    let supervisor = connected_with(&tor, options(), connect);
    let (go_on, test_says) = signal();
    supervisor
        .add_event_listener(EventKind::Bw, move |_| drop(test_says.wait_timeout(LIMIT)))
        .unwrap();
    for _ in 1..3000 {
        supervisor.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    }
    tor.send_events("BW 1 2", 100);
    let begun = Instant::now();
    supervisor.tor().unwrap().controller().get_info_one("version").unwrap();
    let took = begun.elapsed();
    drop(go_on);
    assert!(took < SOON, "{took:?}");
}

#[test]
fn the_status_does_not_block_while_a_listener_is_stuck() {
    let tor = FakeTor::serving(|_, _| None);
    let connect = ConnectOptions::new().event_limit(10_000);
    let supervisor = connected_with(&tor, options(), connect);
    let (go_on, test_says) = signal();
    let (stuck, listener_says) = signal();
    let listener = move |_: &Event| {
        stuck.fire();
        drop(test_says.wait_timeout(LIMIT));
    };
    supervisor.add_event_listener(EventKind::Bw, listener).unwrap();
    tor.send_events("BW 1 2", 200);
    listener_says.wait();
    std::thread::scope(|scope| {
        // It may wait for the reader thread, which waits for room.
        scope.spawn(|| supervisor.on_status(|_| {}).unwrap());
        let begun = Instant::now();
        while begun.elapsed() < 10 * SHORT {
            let asked = Instant::now();
            assert!(supervisor.status().is_up());
            let took = asked.elapsed();
            assert!(took < SOON, "{took:?}");
        }
        drop(go_on);
    });
}

#[test]
fn on_reconnected_is_called_although_the_queue_is_full() {
    let tor = FakeTor::serving(|_, _| None);
    let connect = ConnectOptions::new().event_limit(1000);
    let supervisor = connected_with(&tor, options(), connect);
    let (go_on, test_says) = signal();
    let (lost, losses) = unbounded();
    supervisor
        .add_event_listener(EventKind::Bw, move |event| {
            if let Event::Lagged { dropped, .. } = event {
                lost.send(*dropped).unwrap();
            }
            drop(test_says.wait_timeout(LIMIT));
        })
        .unwrap();
    let (gap, gaps) = unbounded();
    supervisor.on_reconnected(move |_| gap.send(()).unwrap()).unwrap();
    tor.send_events("BW 1 2", 100);
    // The reader thread waits a second for room before it counts the others as lost.
    supervisor.tor().unwrap().controller().get_info_one("version").unwrap();
    tor.cut();
    wait_up(&supervisor, 2);
    drop(go_on);
    assert_eq!(gaps.recv_timeout(LIMIT), Ok(()));
    assert!(losses.recv_timeout(LIMIT).unwrap() > 50);
}
