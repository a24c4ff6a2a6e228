//! The closures of a supervisor, without a connection.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{
    Callback, END_LIMIT, Listener, ListenerSink, Notifications, OVERHEAD, STATUSES, StatusListener,
};
use crate::clock::{ManualClock, elapsed_since, now};
use crate::link::RawEvent;
use crate::supervisor::SupervisorStatus;
use crate::supervisor::subscription::Sink;
use crate::sync::Mutex;
use crate::sync::channel::{Receiver, Sender, unbounded};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);
const GAP: Duration = Duration::from_secs(7);
const EVENT: &[u8] = b"650 BW 1 2\r\n";
/// The room that one such event takes.
const SIZE: usize = OVERHEAD + EVENT.len();

#[cfg(feature = "testkit")]
impl Notifications {
    /// Counts a lost event of a listener that was removed since.
    pub(in crate::supervisor) fn lose_one(&self) {
        self.lose(&Listener::new(Callback::Lost(Box::new(|_| {}))), 1);
    }
}

/// The texts that closures were called with.
struct Calls(Sender<String>, Receiver<String>);

impl Calls {
    fn new() -> Self {
        let (sender, calls) = unbounded();
        Self(sender, calls)
    }

    fn next(&self) -> String {
        self.1.recv_timeout(LIMIT).unwrap()
    }

    fn typed(&self) -> Arc<Listener> {
        let calls = self.0.clone();
        let call = move |event: &crate::event::Event| calls.send(event.to_string()).unwrap();
        Listener::new(Callback::Typed(Box::new(call)))
    }

    fn text(&self) -> Arc<Listener> {
        let calls = self.0.clone();
        let call =
            move |text: &crate::event::EventText| calls.send(format!("text {text}")).unwrap();
        Listener::new(Callback::Text(Box::new(call)))
    }

    fn lost(&self) -> Arc<Listener> {
        let calls = self.0.clone();
        let call = move |count| calls.send(format!("lost {count}")).unwrap();
        Listener::new(Callback::Lost(Box::new(call)))
    }

    fn reconnected(&self) -> Arc<Listener> {
        let calls = self.0.clone();
        let call = move |gap| calls.send(format!("gap {gap:?}")).unwrap();
        Listener::new(Callback::Reconnected(Box::new(call)))
    }

    fn status(&self) -> Arc<StatusListener> {
        let calls = self.0.clone();
        let call = move |status: &SupervisorStatus| calls.send(status.to_string()).unwrap();
        StatusListener::new(Listener::new(Callback::Status(Box::new(call))))
    }
}

/// Starts the thread, and blocks it in a closure until the sender is dropped.
fn blocked(notifications: &Notifications) -> Sender<()> {
    notifications.start(|_| {}).unwrap();
    let (begin, begun) = unbounded();
    let (resume, resumed) = unbounded::<()>();
    let block = move |_: &crate::event::EventText| {
        begin.send(()).unwrap();
        let _ = resumed.recv();
    };
    let listener = Listener::new(Callback::Text(Box::new(block)));
    notifications.event(&listener, &RawEvent::new(0, EVENT));
    begun.recv_timeout(LIMIT).unwrap();
    resume
}

fn event(number: usize) -> Vec<u8> {
    format!("650 BW {number} 2\r\n").into_bytes()
}

#[test]
fn a_slow_closure_loses_the_events_without_room_and_gets_their_number() {
    let notifications = Notifications::new(2 * SIZE);
    let resume = blocked(&notifications);
    let (calls, other, losses, unwanted) = (Calls::new(), Calls::new(), Calls::new(), Calls::new());
    let (listener, second) = (calls.typed(), other.typed());
    assert!(notifications.add_listener_of_losses(unwanted.lost()).is_ok());
    let removed = losses.lost();
    assert!(notifications.add_listener_of_losses(Arc::clone(&removed)).is_ok());
    assert!(notifications.add_listener_of_losses(losses.lost()).is_ok());
    assert!(notifications.remove_listener_of_losses(removed.id()));
    assert!(!notifications.remove_listener_of_losses(removed.id()));
    for number in 1..=4 {
        notifications.event(&listener, &RawEvent::new(0, &event(number)));
    }
    notifications.event(&second, &RawEvent::new(0, &event(5)));
    // Events leave room for markers.
    assert!(notifications.reconnected(&listener, GAP));
    drop(resume);
    assert_eq!([calls.next(), calls.next()], ["BW 1 2", "BW 2 2"]);
    assert_eq!(calls.next(), "(2 events were lost)");
    assert_eq!(calls.next(), "(connected again after 7s)");
    assert_eq!(other.next(), "(1 events were lost)");
    // Each listener of losses gets those of all.
    assert_eq!([losses.next(), unwanted.next()], ["lost 3", "lost 3"]);
    assert!(losses.1.try_recv().is_err(), "one was removed");
}

#[test]
fn each_closure_gets_what_it_is_for() {
    let notifications = Notifications::new(1 << 20);
    notifications.start(|_| {}).unwrap();
    let calls = Calls::new();
    for listener in [calls.typed(), calls.text(), calls.lost(), calls.reconnected()] {
        let sink = ListenerSink { listener, notifications: Arc::clone(&notifications) };
        notifications.event(&sink.listener, &RawEvent::new(0, EVENT));
        assert!(sink.reconnected(GAP));
    }
    let status = calls.status();
    assert!(status.keep(SupervisorStatus::Restoring));
    notifications.status(status);
    let expected = ["BW 1 2", "(connected again after 7s)", "text BW 1 2", "gap 7s", "restoring"];
    for text in expected {
        assert_eq!(calls.next(), text);
    }
}

#[test]
fn a_listener_of_the_status_that_is_slow_gets_the_newest_last() {
    let calls = Calls::new();
    let listener = calls.status();
    let connecting = |attempt| SupervisorStatus::Connecting {
        attempt,
        next: std::time::Instant::now(),
        last_error: None,
    };
    let statuses = u32::try_from(STATUSES).unwrap();
    for attempt in 1..=statuses {
        assert!(listener.keep(connecting(attempt)), "a call for each");
    }
    for attempt in statuses + 1..statuses + 3 {
        assert!(!listener.keep(connecting(attempt)), "it replaces the one before it");
    }
    let notifications = Notifications::new(1);
    notifications.start(|_| {}).unwrap();
    (0..STATUSES).for_each(|_| notifications.status(Arc::clone(&listener)));
    let last = format!("connecting, attempt {}", statuses + 2);
    let attempts = (1..statuses).map(|attempt| format!("connecting, attempt {attempt}"));
    for expected in attempts.chain([last]) {
        assert_eq!(calls.next(), expected);
    }
    drop(notifications);
}

#[test]
fn the_end_delivers_queued_statuses_but_no_events_and_drops_the_closures() {
    let notifications = Notifications::new(1 << 20);
    // Without a thread there is nothing to wait for.
    notifications.wait_ended();
    let resume = blocked(&notifications);
    let calls = Calls::new();
    let (status, losses, reconnected) = (calls.status(), calls.lost(), calls.reconnected());
    assert!(notifications.add_listener_of_losses(Arc::clone(&losses)).is_ok());
    notifications.event(&calls.typed(), &RawEvent::new(0, EVENT));
    assert!(notifications.reconnected(&reconnected, GAP));
    status.keep(SupervisorStatus::Stopped);
    notifications.status(Arc::clone(&status));
    notifications.end(vec![Arc::clone(&status)]);
    notifications.end(Vec::new());
    // The closure that is running delays the end of the supervisor, but not for long.
    let clock = ManualClock::start();
    clock.tick_by(END_LIMIT / 10);
    let start = now();
    notifications.wait_ended();
    assert!(elapsed_since(start) >= END_LIMIT);
    drop(clock);
    drop(resume);
    notifications.wait_ended();
    assert_eq!(calls.1.try_iter().collect::<Vec<_>>(), ["stopped"]);
    assert!(status.listener.remove().is_none() && losses.remove().is_none());
    // Nothing is queued for a thread that has ended.
    notifications.event(&calls.typed(), &RawEvent::new(0, EVENT));
    assert!(notifications.reconnected(&reconnected, GAP));
}

#[test]
fn a_listener_that_is_added_during_the_end_gets_each_status() {
    let notifications = Notifications::new(1 << 20);
    notifications.start(|_| {}).unwrap();
    let calls = Calls::new();
    let status = calls.status();
    // The thread that adds it keeps the present status. Before it queues the call, the supervisor
    // ends.
    assert!(status.keep(SupervisorStatus::Restoring));
    assert!(status.keep(SupervisorStatus::Stopped));
    notifications.status(Arc::clone(&status));
    notifications.end(vec![Arc::clone(&status)]);
    notifications.status(status);
    notifications.wait_ended();
    assert_eq!(calls.1.try_iter().collect::<Vec<_>>(), ["restoring", "stopped"]);
}

#[test]
fn a_closure_that_ends_its_supervisor_does_not_wait_for_itself() {
    let notifications = Notifications::new(1 << 20);
    notifications.start(|_| {}).unwrap();
    let own: Arc<Mutex<Weak<Notifications>>> = Arc::new(Mutex::new(Arc::downgrade(&notifications)));
    let (done, is_done) = unbounded();
    let call = move |_: &crate::event::EventText| {
        let clock = ManualClock::start();
        clock.tick_by(END_LIMIT);
        let start = now();
        let notifications = own.lock().upgrade().unwrap();
        notifications.end(Vec::new());
        notifications.wait_ended();
        done.send(elapsed_since(start) <= END_LIMIT).unwrap();
    };
    let listener = Listener::new(Callback::Text(Box::new(call)));
    notifications.event(&listener, &RawEvent::new(0, EVENT));
    assert!(is_done.recv_timeout(LIMIT).unwrap());
}

#[test]
fn a_closure_that_panics_is_removed() {
    let notifications = Notifications::new(1 << 20);
    let (removed, is_removed) = unbounded();
    notifications.start(move |id| removed.send(id).unwrap()).unwrap();
    let listener = Listener::new(Callback::Text(Box::new(|_| panic!("a closure panics"))));
    notifications.event(&listener, &RawEvent::new(0, EVENT));
    assert_eq!(is_removed.recv_timeout(LIMIT).unwrap(), listener.id());
}
