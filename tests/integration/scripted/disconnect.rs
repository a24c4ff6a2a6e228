//! The end of a connection, by either side.

use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use torcon::error::Disconnect;
use torcon::event::BwEvent;
use torcon::{Event, EventKind};

use super::{LIMIT, answer, chain, closed, connected, join, next, served, start};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::log_capture::{LogCapture, LogLine};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

#[test]
fn the_peer_may_close_at_any_moment_and_no_caller_waits_or_leaks() {
    // Waits of other libraries hung when tor died.
    exclusive(|| {
        let holdings = Holdings::now();
        let moments: [&[u8]; 6] = [
            b"",
            b"25",
            b"250-a=1\r\n",
            b"250+a=\r\nx\r\n",
            b"650-CONF_CHANGED\r\n",
            b"250-a=1\r\n650+NS\r\nr",
        ];
        for said in moments {
            let (tor, controller) = connected(move |script| {
                script.unchecked("messages that are cut");
                script.expect("GETINFO a").send(said).close();
            });
            assert_eq!(closed(controller.get_info_one("a")), "tor closed the connection");
            let reason = controller.closed_reason().unwrap();
            assert!(matches!(reason, Disconnect::EndOfStream) && !reason.is_clean());
            assert!(!controller.is_alive());
            assert_eq!(chain(&controller.wait_closed(LIMIT).unwrap()), "tor closed the connection");
            drop(controller);
            tor.finish();
            holdings.assert_restored(LIMIT);
        }
    });
}

#[test]
fn a_peer_that_switches_to_another_protocol_is_quoted() {
    let (tor, controller) = connected(|script| {
        script.unchecked("another protocol");
        script.expect("GETINFO a").send("250-a=1\r\nHTTP/1.1 400 Bad Request\r\n").drain();
    });
    assert_eq!(
        closed(controller.get_info_one("a")),
        "tor does not speak the control protocol: cannot read a line: expected a status code, \
         got \"HTTP/1.1 400 Bad Request\""
    );
    tor.finish();
}

#[test]
fn disconnect_callbacks_are_called_once_with_the_first_reason_after_every_event() {
    // The end is reported at once.
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n");
        script.send("650 BW 1 0\r\n650 BW 2 0\r\n").close();
    });
    let (seen, order) = unbounded();
    let told = seen.clone();
    controller.on_disconnect(move |reason| told.send(reason.to_string()).unwrap());
    controller.on_disconnect(|_| panic!("as the test wants"));
    let told = seen.clone();
    controller.on_disconnect(move |reason| told.send(format!("2: {reason}")).unwrap());
    let event = move |event: &Event| seen.send(event.to_string()).unwrap();
    controller.add_event_listener(EventKind::Bw, event).unwrap();
    let texts: Vec<_> = (0..4).map(|_| next(&order)).collect();
    assert_eq!(
        texts,
        ["BW 1 0", "BW 2 0", "tor closed the connection", "2: tor closed the connection"]
    );
    // The first reason counts.
    controller.close();
    assert_eq!(controller.closed_reason().unwrap().to_string(), "tor closed the connection");
    // After the end a callback is called at once, on this thread.
    let (told, reason) = bounded(1);
    let here = std::thread::current().id();
    controller.on_disconnect(move |reason| {
        assert_eq!(std::thread::current().id(), here);
        told.send(reason.to_string()).unwrap();
    });
    assert_eq!(reason.try_recv().unwrap(), "tor closed the connection");
    tor.finish();
}

#[test]
fn a_disconnect_callback_that_panics_is_logged_and_leaks_nothing() {
    exclusive(|| {
        let holdings = Holdings::now();
        let log = LogCapture::start();
        let (tor, controller) = served();
        controller.on_disconnect(|_| panic!("the marker 77aa01"));
        let (told, reason) = bounded(1);
        controller.on_disconnect(move |reason| told.send(reason.is_clean()).unwrap());
        drop(controller);
        assert!(next(&reason));
        let lines = log.lines_with("77aa01");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].text, "a disconnect callback panicked: the marker 77aa01");
        tor.finish();
        drop(log);
        holdings.assert_restored(LIMIT);
    });
}

#[test]
fn close_and_drop_send_nothing_and_leave_no_thread() {
    exclusive(|| {
        let holdings = Holdings::now();
        for by_drop in [true, false] {
            let (tor, controller) = connected(|script| {
                script.expect_end();
            });
            let other = controller.clone();
            drop(controller);
            assert!(other.is_alive(), "a clone keeps the connection open");
            if by_drop {
                drop(other);
            } else {
                other.close();
                assert_eq!(Holdings::now().threads, Vec::<String>::new());
                other.close();
                // The remaining handles keep the file descriptor.
                drop(other);
            }
            tor.finish();
            holdings.assert_restored(LIMIT);
        }
    });
}

#[test]
fn wait_closed_returns_at_the_end() {
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.wait_for(&test_says).close();
    });
    let error = controller.wait_closed(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 20ms waiting for the end of the connection");
    let waiting = controller.clone();
    let waiter = start(move || waiting.wait_closed(LIMIT).unwrap());
    go_on.fire();
    assert_eq!(join(waiter).to_string(), "tor closed the connection");
    tor.finish();
}

#[test]
fn quit_has_its_own_reason() {
    for slow_to_close in [false, true] {
        let (go_on, test_says) = signal();
        let (tor, controller) = connected(move |script| {
            script.expect("ECHO a").expect("QUIT");
            script.send("250 a\r\n250 closing connection\r\n");
            if slow_to_close {
                script.expect_end().wait_for(&test_says);
            }
            script.close();
        });
        let before = controller.queue_command("ECHO a").unwrap();
        controller.quit().unwrap();
        go_on.fire();
        assert_eq!(before.wait().unwrap().text(), "a");
        let reason = controller.closed_reason().unwrap();
        assert!(matches!(reason, Disconnect::Quit) && reason.is_clean(), "{reason:?}");
        assert_eq!(closed(controller.get_info_one("a")), "tor closed the connection after QUIT");
        tor.finish();
    }
}

#[test]
fn quit_without_a_reply_closes_too() {
    let (tor, controller) = connected(|script| {
        // A probe follows, as after every timeout.
        script.expect("QUIT").expect("GETINFO torcon/sync/3").expect_end();
    });
    let error = controller.with_timeout(Duration::from_millis(40)).quit().unwrap_err();
    assert_eq!(error.to_string(), "timed out after 40ms waiting for the reply to QUIT");
    assert!(!controller.is_alive());
    tor.finish();

    // tor can close before it answers.
    let (tor, controller) = connected(|script| {
        script.expect("QUIT").close();
    });
    assert_eq!(closed(controller.quit()), "tor closed the connection after QUIT");
    tor.finish();
}

#[test]
fn commands_after_the_end_fail_and_are_not_written() {
    let (tor, controller) = connected(|script| {
        script.expect_end();
    });
    controller.close();
    assert_eq!(closed(controller.get_info_one("a")), "this program closed the connection");
    assert!(closed(controller.queue_command("ECHO a")).contains("closed"));
    assert!(closed(controller.add_event_listener(EventKind::Bw, |_| {})).contains("closed"));
    assert!(closed(controller.events([EventKind::Bw])).contains("closed"));
    assert!(closed(controller.quit()).contains("closed"));
    tor.finish();
}

#[test]
fn a_listener_can_be_removed_after_the_end() {
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n").wait_for(&test_says).close();
    });
    let id = controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    go_on.fire();
    controller.wait_closed(LIMIT).unwrap();
    // A connection that has ended accepts no listener.
    controller.remove_event_listener(id).unwrap();
    tor.finish();
}

#[test]
fn a_program_can_connect_again_with_the_same_options() {
    // The program decides when to reconnect.
    let options = torcon::ConnectOptions::new().timeout(LIMIT);
    for _ in 0..3 {
        let (tor, controller) = super::connected_with(&options, |script| {
            script.serve(answer);
        });
        assert!(controller.is_alive());
        drop(controller);
        tor.finish();
    }
}

#[test]
fn a_close_in_time_logs_no_warning() {
    let log = LogCapture::start();
    let (tor, controller) = served();
    controller.on(|_: &BwEvent| {}).unwrap();
    controller.close();
    drop(controller);
    tor.finish();
    let own = std::thread::current().name().unwrap_or_default().to_owned();
    let is_warning = |line: &LogLine| line.thread == own && line.level <= log::Level::Warn;
    let warnings: Vec<_> = log.lines().into_iter().filter(is_warning).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}
