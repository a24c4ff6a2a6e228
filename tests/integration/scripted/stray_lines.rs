//! Lines without a status code: a filter in front of tor has replaced an event.

use crossbeam_channel::unbounded;
use torcon::event::{BwEvent, EventText};
use torcon::{ConnectOptions, Event, EventKind, PendingReply};

use super::event_loss::{add_stuck_listener, lost_of};
use super::{LIMIT, answer, closed, connected, connected_with, next};
use crate::support::log_capture::LogCapture;
use crate::support::script::Steps as _;
use crate::support::signal::signal;

#[test]
fn a_replaced_event_line_is_dropped_and_reported_and_the_connection_stays_open() {
    // Whonix's profile for OnionShare ends with the replacement `XXXredactedXXX`; with it the
    // connection ended at the first HS_DESC event that no other pattern matched.
    let log = LogCapture::start();
    let (listening, all_listen) = signal();
    let (tor, controller) = connected(move |script| {
        script.unchecked("lines that a filter has replaced");
        script.expect("SETEVENTS BW").send("250 OK\r\n");
        script.wait_for(&all_listen);
        script.send("XXXredactedXXX one\r\n650 BW 1 2\r\nBW 3 4 two\r\nXXX three\r\n\r\n");
        script.serve(answer);
    });
    let queue = controller.events([EventKind::Bw]).unwrap();
    let (all, all_events) = unbounded();
    controller
        .add_event_listener(EventKind::Bw, move |event| all.send(event.clone()).unwrap())
        .unwrap();
    let (some, some_events) = unbounded();
    let typed = some.clone();
    controller.on(move |bw: &BwEvent| typed.send(bw.bytes_read().to_string()).unwrap()).unwrap();
    controller
        .add_text_listener(EventKind::Bw, move |text: &EventText| {
            some.send(text.to_string()).unwrap();
        })
        .unwrap();
    listening.fire();
    for expected in ["XXXredactedXXX one", "BW 1 2", "BW 3 4 two", "XXX three", ""] {
        for event in [queue.recv().unwrap(), next(&all_events)] {
            assert_eq!(event.to_string(), expected);
            let is_event = expected == "BW 1 2";
            assert_eq!(event.kind(), is_event.then_some(EventKind::Bw));
            match &event {
                Event::Bw(_) => assert!(is_event),
                Event::Malformed { reason, .. } => {
                    let reason = reason.to_string();
                    let start = "cannot read an event: expected a status code, got ";
                    assert_eq!(reason, format!("{start}\"{expected}\""));
                }
                other => panic!("{other:?}"),
            }
            // The rest of the line is not an event either.
            assert_eq!(event.detached(), event);
        }
    }
    // Typed and text listeners receive only the event.
    assert_eq!([next(&some_events), next(&some_events)], ["1", "BW 1 2"]);
    assert_eq!(controller.get_info_one("a").unwrap(), "value of a");
    assert!(some_events.is_empty());
    // A filter that replaces every event does not fill the log: a line is logged each time the
    // number has doubled.
    for (line, logged) in [
        ("1 so far: cannot read an event: expected a status code, got \"XXXredactedXXX one\"", 1),
        ("got \"BW 3 4 two\"", 1),
        ("got \"XXX three\"", 0),
    ] {
        let lines = log.lines_with(line);
        assert_eq!(lines.len(), logged, "{line}");
        assert!(lines.iter().all(|line| line.level == log::Level::Warn));
    }
    drop((queue, controller));
    tor.finish();
}

#[test]
fn replaced_lines_that_a_stuck_listener_misses_are_counted_as_lost() {
    const LINES: u64 = 20_000;
    let (listening, all_listen) = signal();
    let options = ConnectOptions::new().event_limit(16 << 10);
    let (tor, controller) = connected_with(&options, move |script| {
        script.unchecked("lines that a filter has replaced");
        script.expect("SETEVENTS BW").send("250 OK\r\n");
        script.wait_for(&all_listen);
        script.flood("XXXredactedXXX\r\n", LINES);
        script.serve(answer);
    });
    let (go_on, events) = add_stuck_listener(&controller);
    listening.fire();
    // The fake tor answers after it has sent all lines.
    controller.get_info_one("a").unwrap();
    go_on.fire();
    assert!(lost_of(LINES, &events) > 0);
    drop(controller);
    tor.finish();
}

#[test]
fn a_replaced_line_that_is_cut_off_is_the_end_of_the_stream() {
    let (tor, controller) = connected(|script| {
        script.unchecked("lines that a filter has replaced");
        script.expect("GETINFO a").send("250-a=1\r\n250 OK\r\nXXX\r\nXXXred").close();
    });
    assert_eq!(controller.get_info_one("a").unwrap(), "1");
    let reason = controller.wait_closed(LIMIT).unwrap();
    assert_eq!(reason.to_string(), "tor closed the connection");
    drop(controller);
    tor.finish();
}

#[test]
fn a_line_without_a_status_code_inside_a_reply_or_an_event_ends_the_connection() {
    for begun in ["250-a=1\r\n", "650-CONF_CHANGED\r\n", "250-a=1\r\n650-CONF_CHANGED\r\n"] {
        let (tor, controller) = connected(move |script| {
            script.unchecked("lines that a filter has replaced");
            script.expect("GETINFO a");
            script.send(format!("{begun}XXXredactedXXX\r\n250 OK\r\n")).drain();
        });
        let reason = closed(controller.get_info_one("a"));
        assert!(reason.ends_with("expected a status code, got \"XXXredactedXXX\""), "{reason}");
        drop(controller);
        tor.finish();
    }
}

#[test]
fn the_reply_in_a_replaced_line_is_not_delivered_to_another_caller() {
    // The line end was replaced too, and the reply behind it is part of the line. The next reply
    // would be delivered to the wrong caller.
    let (tor, controller) = connected(|script| {
        script.unchecked("lines that a filter has replaced");
        script.expect("ECHO one").send("XXXredactedXXX250 one\r\n");
        script.serve(answer);
    });
    let lost = controller.queue_command("ECHO one").unwrap();
    let next = controller.queue_command("ECHO two").and_then(PendingReply::wait);
    for reply in [lost.wait(), next] {
        let reason = closed(reply);
        assert!(reason.starts_with("replies are out of step with commands"), "{reason}");
    }
    drop(controller);
    tor.finish();
}

#[test]
fn lines_that_only_look_like_replies_cost_no_reply() {
    let (tor, controller) = connected(|script| {
        script.unchecked("lines that a filter has replaced");
        script.serve(|line, out| {
            out.extend_from_slice(b"STREAM 250 NEW 0 192.0.2.1:443 X=1\r\n");
            answer(line, out);
            out.extend_from_slice(b"CIRC 552 BUILT\r\n");
        });
    });
    for n in 0..50 {
        let both = [(); 2].map(|()| controller.queue_command(&format!("ECHO {n}")).unwrap());
        for pending in both {
            assert_eq!(pending.wait().unwrap().text(), n.to_string());
        }
    }
    drop(controller);
    tor.finish();
}
