//! Events: order, shapes, loss and its report.

use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use torcon::event::{BwEvent, CircEvent, EventText};
use torcon::names::{CircuitPurpose, CircuitStatus, StreamStatus};
use torcon::{ConnectOptions, Event, EventKind};

use super::{answer, closed, connected, connected_with, next, value};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

#[test]
fn events_arrive_in_the_order_of_the_wire_in_every_shape() {
    // peers 12: buffered events were delivered newest first (`stem`).
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS BW CIRC CONF_CHANGED NEWCONSENSUS NOTICE");
        script.send("650 BW 1 2\r\n250 OK\r\n");
        script.send("650-CONF_CHANGED\r\n650-Nickname=a\r\n650-ContactInfo\r\n650 OK\r\n");
        script.send("650+NEWCONSENSUS\r\nr x y\r\n250 OK\r\n..dot\r\n\r\n650 BW 7 7\r\n.\r\n");
        script.send("650 OK\r\n650 NOTICE OK\r\n650 CIRC 1 LAUNCHED\r\n650-CONF_CHANGED\r\n");
        script.send("650 OK\r\n").drain();
    });
    let kinds = ["NEWCONSENSUS", "NOTICE", "BW", "CIRC", "CONF_CHANGED"].map(EventKind::from);
    let queue = controller.events(kinds).unwrap();
    let texts: Vec<_> = (0..6).map(|_| queue.recv().unwrap().to_string()).collect();
    assert_eq!(
        texts,
        [
            "BW 1 2",
            "CONF_CHANGED\nNickname=a\nContactInfo",
            "NEWCONSENSUS\nr x y\n250 OK\n.dot\n\n650 BW 7 7",
            // peers 25: the text of a log line lost a trailing O or K (Stem).
            "NOTICE OK",
            "CIRC 1 LAUNCHED",
            "CONF_CHANGED",
        ]
    );
    drop((queue, controller));
    tor.finish();
}

#[test]
fn typed_and_raw_listeners_of_one_kind_see_the_same_events() {
    let (listening, all_listen) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("SETEVENTS CIRC").send("250 OK\r\n");
        script.wait_for(&all_listen);
        script.send("650 CIRC 5 BUILT $A~a PURPOSE=NEW_PURPOSE X=1 SOCKS_USERNAME=\"a \\\"b\"\r\n");
        script.send("650 CIRC 6 NEW_STATE\r\n").drain();
    });
    let (typed, typed_events) = unbounded();
    let (all, all_events) = unbounded();
    let (raw, raw_events) = unbounded();
    controller.on(move |circ: &CircEvent| typed.send(circ.clone()).unwrap()).unwrap();
    let all = move |event: &Event| all.send(event.to_string()).unwrap();
    controller.add_event_listener(EventKind::Circ, all).unwrap();
    let raw = move |text: &EventText| raw.send(text.to_string()).unwrap();
    controller.add_text_listener(EventKind::Circ, raw).unwrap();
    listening.fire();
    // peers 26: unknown words lost the event or became nothing; peers 25: quoted names.
    let circ = next(&typed_events);
    assert_eq!(circ.status(), CircuitStatus::Built);
    assert_eq!(circ.purpose(), Some(CircuitPurpose::from("NEW_PURPOSE")));
    assert_eq!(circ.socks_username().as_ref().unwrap(), &"a \"b");
    assert_eq!(circ.extra().map(|field| field.key.to_owned()).collect::<Vec<_>>(), ["X"]);
    assert_eq!(next(&typed_events).status(), CircuitStatus::from("NEW_STATE"));
    for _ in 0..2 {
        assert_eq!(next(&all_events), next(&raw_events));
    }
    drop(controller);
    tor.finish();
}

#[test]
fn an_event_that_cannot_be_read_is_delivered_and_ends_nothing() {
    // peers 13: one surprise ended delivery for good, silently (Stem: ADDRMAP with a bad EXPIRES,
    // a bare GUARD, TB_EMPTY without READ).
    let kinds = ["ADDRMAP", "BW", "CIRC", "GUARD", "NEW_KIND", "STREAM", "TB_EMPTY"];
    let lines = [
        "BW",
        "BW x y",
        "BW 99999999999999999999999 1",
        "CIRC",
        "CIRC 1",
        "CIRC 1 BUILT ,,~,$",
        "STREAM 1",
        "GUARD",
        "TB_EMPTY",
        "ADDRMAP a b \"never\" EXPIRES=\"x",
        "NEW_KIND a b=c \"",
        "",
    ];
    let (tor, controller) = connected(move |script| {
        script.unchecked("events that cannot be read");
        script.expect(&format!("SETEVENTS {}", kinds.join(" "))).send("250 OK\r\n");
        for line in lines {
            script.send(format!("650 {line}\r\n"));
        }
        script.send("650 BW 1 2\r\n").drain();
    });
    let queue = controller.events(kinds.map(EventKind::from)).unwrap();
    // An event without a name has no subscribers, and all the others arrive.
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let event = queue.recv().unwrap();
        assert_eq!(event.to_string(), *line);
    }
    assert!(matches!(queue.recv().unwrap(), Event::Bw(bw) if bw.bytes_read() == 1));
    drop((queue, controller));
    tor.finish();
}

#[test]
fn streams_of_every_form_are_events() {
    // peers 27: sources such as unix:.. and (Tor_internal):0.
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS STREAM").send("250 OK\r\n");
        for source in ["unix:/x y", "(Tor_internal):0", "::1:80", "1.2.3.4:5"] {
            script.send(format!("650 STREAM 1 NEW 0 a:80 SOURCE_ADDR={source}\r\n"));
        }
        script.send("650 STREAM 1 SENTCONNECT 1 a:80\r\n650 STREAM 1 SENTCONNECT 1 a:80\r\n");
        script.drain();
    });
    let queue = controller.events([EventKind::Stream]).unwrap();
    for n in 0..6 {
        let event = queue.recv().unwrap();
        let Event::Stream(stream) = &event else { panic!("{event:?}") };
        let status = if n < 4 { StreamStatus::New } else { StreamStatus::SentConnect };
        assert_eq!(stream.status(), status);
    }
    drop((queue, controller));
    tor.finish();
}

#[test]
fn a_slow_listener_gets_the_number_of_lost_events_and_replies_go_on() {
    // Rule 4.
    const EVENTS: u64 = 20_000;
    let (tor, controller) =
        connected_with(&ConnectOptions::new().event_limit(64 << 10), |script| {
            script.expect("SETEVENTS BW").send("250 OK\r\n650 BW 0 0\r\n");
            let flood: String = (1..=EVENTS).map(|n| format!("650 BW {n} 0\r\n")).collect();
            script.expect("GETINFO a").send(flood).send("250-a=1\r\n250 OK\r\n");
            script.answer("GETINFO settle", &["250-settle=", "250 OK"]);
            script.expect("GETINFO b").send("650 BW 1000000 0\r\n250-b=2\r\n250 OK\r\n").drain();
        });
    let (go_on, test_says) = signal();
    let (begun, has_begun) = signal();
    let (seen, events) = unbounded();
    let slow = move |event: &Event| {
        seen.send(event.clone()).unwrap();
        if matches!(event, Event::Bw(bw) if bw.bytes_read() == 0) {
            begun.fire();
            test_says.wait();
        }
    };
    controller.add_event_listener(EventKind::Bw, slow).unwrap();
    has_begun.wait();
    // The listener is busy, and the reader brings a reply from behind the flood all the same.
    assert_eq!(controller.get_info_one("a").unwrap(), "1");
    // Events that were read together with a reply are delivered after it; now all of them are.
    controller.get_info_one("settle").unwrap();
    go_on.fire();
    // The events that fit arrive in order and without a gap, and the count behind them arrives
    // without another event.
    let mut expected = 0;
    let dropped = loop {
        match next(&events) {
            Event::Bw(bw) if bw.bytes_read() == expected => expected += 1,
            Event::Lagged { dropped, .. } => break dropped,
            other => panic!("{other}: {expected}"),
        }
    };
    assert!(expected > 500, "only {expected} were kept");
    assert_eq!(expected + dropped, EVENTS + 1);
    assert_eq!(controller.get_info_one("b").unwrap(), "2");
    assert!(matches!(next(&events), Event::Bw(bw) if bw.bytes_read() == 1_000_000));
    drop(controller);
    tor.finish();
}

#[test]
fn a_full_event_queue_reports_the_number_of_lost_events() {
    // Rule 4 for queues: an `EventQueue` is bounded in the same way.
    const EVENTS: u64 = 5_000;
    let (tor, controller) =
        connected_with(&ConnectOptions::new().event_limit(32 << 10), |script| {
            script.expect("SETEVENTS BW").send("250 OK\r\n");
            for n in 0..EVENTS {
                // One by one, so that the queue in front does not fill.
                script.expect(&format!("GETINFO k/{n}"));
                script.send(format!("650 BW {n} 0\r\n250-k/{n}=1\r\n250 OK\r\n"));
            }
            script.drain();
        });
    let queue = controller.events([EventKind::Bw]).unwrap();
    let (seen, delivered) = bounded(EVENTS as usize);
    let counted = move |_: &EventText| seen.send(()).unwrap();
    controller.add_text_listener(EventKind::Bw, counted).unwrap();
    for n in 0..EVENTS - 1 {
        controller.get_info_one(&format!("k/{n}")).unwrap();
        next(&delivered);
    }
    // The last one reports that others were lost.
    let kept = queue.len() as u64 - 1;
    assert!((100..1000).contains(&kept), "{kept} events were kept");
    for n in 0..kept {
        let event = queue.try_recv().unwrap();
        assert!(matches!(&event, Event::Bw(bw) if bw.bytes_read() == n), "{event} instead of {n}");
    }
    let Some(Event::Lagged { dropped, .. }) = queue.try_recv() else { panic!("no count") };
    assert_eq!(dropped, EVENTS - 1 - kept);
    assert!(queue.try_recv().is_none());
    controller.get_info_one(&format!("k/{}", EVENTS - 1)).unwrap();
    next(&delivered);
    assert_eq!(queue.len(), 1);
    assert!(matches!(queue.recv().unwrap(), Event::Bw(bw) if bw.bytes_read() == EVENTS - 1));
    drop((queue, controller));
    tor.finish();
}

#[test]
fn events_lost_before_a_queue_are_reported_by_the_queue() {
    // Rule 4: the loss is reported by the queue that was full.
    let (tor, controller) = connected_with(&ConnectOptions::new().event_limit(4 << 10), |script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n650 BW 0 0\r\n");
        script.expect("GETINFO a").flood("650 BW 1 0\r\n", 1000).send("250-a=1\r\n250 OK\r\n");
        script.answer("GETINFO settle", &["250-settle=", "250 OK"]);
        script.expect("GETINFO b").send("650 BW 2 0\r\n250-b=2\r\n250 OK\r\n").drain();
    });
    let (go_on, test_says) = signal();
    let (begun, has_begun) = signal();
    let (delivered, deliveries) = unbounded();
    let mut first = true;
    let block = move |_: &EventText| {
        if std::mem::take(&mut first) {
            begun.fire();
            test_says.wait();
        }
        delivered.send(()).ok();
    };
    controller.add_text_listener(EventKind::Bw, block).unwrap();
    has_begun.wait();
    let queue = controller.events([EventKind::Bw]).unwrap();
    controller.get_info_one("a").unwrap();
    controller.get_info_one("settle").unwrap();
    go_on.fire();
    let (mut seen, mut lost) = (0, 0);
    while seen + lost < 1000 {
        match queue.recv().unwrap() {
            Event::Lagged { dropped, .. } => lost += dropped,
            _ => seen += 1,
        }
    }
    assert!(seen > 0 && lost > 0, "{seen} seen, {lost} lost");
    controller.get_info_one("b").unwrap();
    assert!(matches!(queue.recv().unwrap(), Event::Bw(bw) if bw.bytes_read() == 2));
    drop(deliveries);
    drop((queue, controller));
    tor.finish();
}

#[test]
fn a_small_limit_keeps_the_events_of_one_read_that_fit() {
    // Rule 4: the limit counts events; that they arrived in one piece must not drop all of them.
    let (tor, controller) = connected_with(&ConnectOptions::new().event_limit(100), |script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n");
        let flood: String = (10..60).map(|n| format!("650 BW {n} 0\r\n")).collect();
        script.expect("GETINFO a").send(flood + "250-a=1\r\n250 OK\r\n");
        script.expect("GETINFO b").send("650 BW 99 0\r\n250-b=2\r\n250 OK\r\n").drain();
    });
    let (seen, events) = unbounded();
    let listener = move |event: &Event| seen.send(event.clone()).unwrap();
    controller.add_event_listener(EventKind::Bw, listener).unwrap();
    controller.get_info_one("a").unwrap();
    assert!(matches!(next(&events), Event::Bw(bw) if bw.bytes_read() == 10));
    controller.get_info_one("b").unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| Some(next(&events)))
        .take_while(|event| !matches!(event, Event::Bw(bw) if bw.bytes_read() == 99))
        .collect();
    let lost = rest.iter().map(|event| match event {
        Event::Lagged { dropped, .. } => *dropped,
        _ => 0,
    });
    let lost: u64 = lost.sum();
    let delivered = rest.iter().filter(|event| event.kind().is_some()).count() as u64 + 1;
    assert_eq!(delivered + lost, 50, "{rest:?}");
    drop(controller);
    tor.finish();
}

#[test]
fn a_queue_returns_every_event_before_its_end() {
    let (finish, test_is_ready) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n650 BW 1 0\r\n");
        script.wait_for(&test_is_ready).send("650 BW 2 0\r\n").close();
    });
    let (go_on, test_says) = signal();
    let (begun, has_begun) = signal();
    let slow = move |_: &BwEvent| {
        begun.fire();
        test_says.wait();
    };
    controller.on(slow).unwrap();
    has_begun.wait();
    let queue = controller.events([EventKind::Bw]).unwrap();
    finish.fire();
    controller.wait_closed(super::LIMIT).unwrap();
    // Also while a listener is stuck.
    assert_eq!(queue.recv().unwrap().to_string(), "BW 2 0");
    assert_eq!(closed(queue.recv()), "tor closed the connection");
    assert_eq!(queue.iter().count(), 0);
    assert_eq!(queue.timeout_iter(super::LIMIT).count(), 0);
    go_on.fire();
    go_on.fire();
    tor.finish();
}

#[test]
fn a_queue_waits_for_the_given_limit() {
    // Rule 10.
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n").drain();
    });
    let queue = controller.with_timeout(Duration::from_secs(3)).events([EventKind::Bw]).unwrap();
    assert!(queue.try_recv().is_none());
    assert_eq!(queue.try_iter().count(), 0);
    assert_eq!(queue.recv().unwrap_err().to_string(), "timed out after 3s waiting for an event");
    let error = queue.recv_timeout(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 20ms waiting for an event");
    assert!(queue.recv_deadline(std::time::Instant::now()).unwrap_err().is_timeout());
    assert_eq!(queue.timeout_iter(Duration::from_millis(10)).count(), 0);
    drop((queue, controller));
    tor.finish();
}

#[test]
fn events_without_a_listener_cost_nothing_and_do_no_harm() {
    let (tor, controller) = connected(|script| {
        script.unchecked("events without a reader");
        script.flood("650 BW 1 2\r\n650+NS\r\nx\r\n.\r\n650 OK\r\n", 50_000).serve(answer);
    });
    assert_eq!(controller.get_info_one("a").unwrap(), value("a"));
    assert_eq!(controller.subscribed_events(), []);
    drop(controller);
    tor.finish();
}
