use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{ConnectionHook, Sink, Subscription};
use crate::clock::{ManualClock, deadline_after};
use crate::controller::Controller;
use crate::error::{Disconnect, Error};
use crate::event::EventKind;
use crate::link::{EventBatch, EventHook as _};
use crate::sync::Mutex;
use crate::sync::channel::{Receiver, Sender, unbounded};
#[cfg(feature = "testkit")]
use crate::testkit::{Answer, FakeTor};

const LIMIT: Duration = Duration::from_secs(30);

/// The events and the gaps that were queued.
#[derive(Default)]
struct Queued(Mutex<Vec<String>>, Mutex<Vec<Duration>>);

impl Sink for Queued {
    fn events(&self, batch: &EventBatch<'_>) {
        self.0.lock().extend(batch.events().map(|event| event.text().to_string()));
    }

    fn lose(&self, _batch: &EventBatch<'_>) {}

    fn reconnected(&self, gap: Duration) -> bool {
        self.1.lock().push(gap);
        true
    }

    fn end(&self, _reason: &Error) {}
}

/// A receiver that has room for events, and for markers only if it is not full.
struct Calls {
    is_full: AtomicBool,
    sender: Sender<String>,
}

impl Calls {
    fn new() -> (Arc<Self>, Receiver<String>) {
        let (sender, calls) = unbounded();
        (Arc::new(Self { is_full: AtomicBool::new(false), sender }), calls)
    }

    fn call(&self, name: &str, batch: &EventBatch<'_>) {
        self.sender.send(format!("{name} {}", batch.len())).unwrap();
    }
}

impl Sink for Calls {
    fn events(&self, batch: &EventBatch<'_>) {
        self.call("events", batch);
    }

    fn lose(&self, batch: &EventBatch<'_>) {
        self.call("lost", batch);
    }

    fn reconnected(&self, _gap: Duration) -> bool {
        let has_room = !self.is_full.load(Ordering::SeqCst);
        if has_room {
            self.sender.send("marker".to_owned()).unwrap();
        }
        has_room
    }

    fn end(&self, _reason: &Error) {}
}

/// Connects to a control port that sends two events behind each reply but the first two.
fn connection() -> Controller {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap();
    let tor = thread::Builder::new().name("fake-tor".to_owned()).spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let info = "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                    250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";
        for reply in [info, "250 OK\r\n"] {
            lines.next().unwrap().unwrap();
            stream.write_all(reply.as_bytes()).unwrap();
        }
        while let Some(Ok(_)) = lines.next() {
            // Fails at the end of the connection.
            let _ = stream.write_all(b"250 OK\r\n650 BW 1 2\r\n650 BW 3 4\r\n");
        }
    });
    let controller = crate::controller::connect(endpoint).unwrap();
    drop(tor);
    controller
}

#[test]
fn a_new_connection_has_its_marker_also_if_the_end_of_the_former_is_reported_later() {
    let queued = Arc::new(Queued::default());
    let subscription = Subscription::new([].into(), queued.clone());
    let markers = || queued.1.lock().len();
    let connections = [connection(), connection(), connection()];
    for (generation, controller) in (1..).zip(&connections) {
        subscription.connect(controller, generation, deadline_after(LIMIT)).unwrap();
        // The same connection again changes nothing.
        subscription.connect(controller, generation, deadline_after(LIMIT)).unwrap();
    }
    assert_eq!(markers(), 2);
    connections.iter().for_each(Controller::hang_up);
    assert_eq!(markers(), 2);
    subscription.end();
    subscription.connect(&connection(), 9, deadline_after(LIMIT)).unwrap();
    assert_eq!(markers(), 2, "the subscription has ended");
}

#[test]
fn the_gap_of_a_marker_begins_at_the_end_of_the_former_connection() {
    const GAP: Duration = Duration::from_secs(7);
    let queued = Arc::new(Queued::default());
    let subscription = Subscription::new([].into(), queued.clone());
    let [former, next] = [connection(), connection()];
    let clock = ManualClock::start();
    subscription.connect(&former, 1, deadline_after(LIMIT)).unwrap();
    clock.advance(GAP);
    former.hang_up();
    clock.advance(GAP);
    subscription.connect(&next, 2, deadline_after(LIMIT)).unwrap();
    assert_eq!(*queued.1.lock(), [GAP]);
}

#[cfg(feature = "testkit")]
#[test]
fn events_of_the_former_connection_are_not_queued_while_the_next_one_is_subscribed_to() {
    let (former, next) = (Arc::new(FakeTor::start()), FakeTor::start());
    let controllers = [former.controller(), next.controller()];
    let queued = Arc::new(Queued::default());
    let subscription = Subscription::new([EventKind::Bw].into(), queued.clone());
    let event_of = |tor: &FakeTor, controller: &Controller, event| {
        tor.send_event(event);
        // The reply is behind the event.
        controller.get_info_one("version").unwrap();
    };
    subscription.connect(&controllers[0], 1, deadline_after(LIMIT)).unwrap();
    event_of(&former, &controllers[0], "BW 1 1");
    let (of_answer, controller) = (Arc::clone(&former), controllers[0].clone());
    next.answer_with(move |_, command| {
        if command == "SETEVENTS BW" {
            event_of(&of_answer, &controller, "BW 2 2");
        }
        None
    });
    subscription.connect(&controllers[1], 2, deadline_after(LIMIT)).unwrap();
    event_of(&next, &controllers[1], "BW 3 3");
    assert_eq!(*queued.0.lock(), ["BW 1 1", "BW 3 3"]);
    assert_eq!(queued.1.lock().len(), 1);
}

/// Returns a subscription with the calls of its receiver, and its second connection, for whose marker
/// there was no room.
fn connected_without_room() -> (Arc<Subscription>, Receiver<String>, Controller) {
    let (sink, calls) = Calls::new();
    let receiver: Arc<dyn Sink> = sink.clone();
    let subscription = Subscription::new([EventKind::Bw].into(), receiver);
    let next = || calls.recv_timeout(LIMIT).unwrap();
    let [first, second] = [connection(), connection()];
    subscription.connect(&first, 1, deadline_after(LIMIT)).unwrap();
    assert_eq!(next(), "events 2");
    first.hang_up();
    sink.is_full.store(true, Ordering::SeqCst);
    subscription.connect(&second, 2, deadline_after(LIMIT)).unwrap();
    assert_eq!(next(), "lost 2");
    sink.is_full.store(false, Ordering::SeqCst);
    (subscription, calls, second)
}

#[test]
fn events_are_lost_while_there_is_no_room_for_the_marker_before_them() {
    let (_subscription, calls, second) = connected_without_room();
    let next = || calls.recv_timeout(LIMIT).unwrap();
    second.drop_guards().unwrap();
    assert_eq!([next(), next()], ["marker", "events 2"]);
}

// They were queued behind the events of the connection before, as if none had been missed.
#[test]
fn events_behind_the_end_of_a_connection_without_marker_are_lost() {
    let (subscription, calls, second) = connected_without_room();
    let next = || calls.recv_timeout(LIMIT).unwrap();
    let third = connection();
    // A thread that closes the connection reports the end before the events of the last read.
    ConnectionHook { subscription: Arc::clone(&subscription), generation: 2 }
        .ended(&Disconnect::Closed);
    second.drop_guards().unwrap();
    assert_eq!(next(), "lost 2");
    subscription.connect(&third, 3, deadline_after(LIMIT)).unwrap();
    assert_eq!([next(), next()], ["marker", "events 2"]);
    ConnectionHook { subscription, generation: 3 }.ended(&Disconnect::Closed);
    third.drop_guards().unwrap();
    assert_eq!(next(), "events 2");
}

#[test]
fn a_thread_that_finds_the_subscription_made_ends_it_if_the_end_has_found_the_lock_held() {
    let (sink, calls) = Calls::new();
    let subscription = Subscription::new([EventKind::Bw].into(), sink);
    let controller = connection();
    let connect = || subscription.connect(&controller, 1, deadline_after(LIMIT)).unwrap();
    connect();
    assert_eq!(calls.recv_timeout(LIMIT).unwrap(), "events 2");
    // As that thread does before it returns.
    let held = subscription.hook.lock();
    subscription.end();
    drop(held);
    assert_eq!(controller.subscribed_events(), [EventKind::Bw]);
    connect();
    assert!(controller.subscribed_events().is_empty());
}

#[cfg(feature = "testkit")]
#[test]
fn the_gap_after_a_refused_subscription_begins_at_the_refusal() {
    const GAP: Duration = Duration::from_millis(300);
    let (former, next) = (FakeTor::start(), Arc::new(FakeTor::start()));
    let controllers = [former.controller(), next.controller()];
    let queued = Arc::new(Queued::default());
    let kinds = [EventKind::Bw, EventKind::from("PT_LOG")];
    let subscription = Subscription::new(kinds.into(), queued.clone());
    subscription.connect(&controllers[0], 1, deadline_after(LIMIT)).unwrap();
    controllers[0].hang_up();
    // Another receiver has events that this one would have too.
    controllers[1].add_event_listener(EventKind::Bw, |_| {}).unwrap();
    let (of_answer, is_refused) = (Arc::downgrade(&next), AtomicBool::new(false));
    next.answer_with(move |_, command| {
        let is_first = command == "SETEVENTS BW PT_LOG" && !is_refused.swap(true, Ordering::SeqCst);
        is_first.then(|| {
            of_answer.upgrade().unwrap().send_event("BW 1 1");
            Answer::refused(552, "Unrecognized event \"PT_LOG\"")
        })
    });
    subscription.connect(&controllers[1], 2, deadline_after(LIMIT)).unwrap_err();
    thread::sleep(GAP);
    subscription.connect(&controllers[1], 2, deadline_after(LIMIT)).unwrap();
    assert_eq!(*queued.0.lock(), ["BW 1 1"]);
    let gaps = queued.1.lock();
    assert!(gaps.len() == 2 && gaps[1] >= GAP, "{gaps:?}");
}
