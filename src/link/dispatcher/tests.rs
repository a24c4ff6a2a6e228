//! The dispatcher on the thread of the test: which listener is called with what.

use std::sync::Arc;

use super::{Delivery, Dispatcher, EventCallback, EventListener, LostEvents};
use crate::error::Disconnect;
use crate::event::{Event, EventKind, EventText};
use crate::link::backlog::backlog;
use crate::link::logged_by;
use crate::sync::channel::{Receiver, Sender, unbounded};

struct World {
    dispatcher: Dispatcher,
    sender: Sender<String>,
    calls: Receiver<String>,
}

impl World {
    fn new() -> Self {
        let (sender, calls) = unbounded();
        Self { dispatcher: Dispatcher::default(), sender, calls }
    }

    fn add(&self, kinds: &[EventKind], callback: EventCallback) -> Arc<EventListener> {
        let listener = EventListener::new(callback);
        self.dispatcher.add(kinds, Arc::clone(&listener)).unwrap();
        listener
    }

    fn add_typed(&self, name: &'static str, kinds: &[EventKind]) -> Arc<EventListener> {
        let sender = self.sender.clone();
        let call = move |event: &Event| sender.send(format!("{name} {event}")).unwrap();
        self.add(kinds, EventCallback::Typed(Box::new(call)))
    }

    fn add_text(&self, kinds: &[EventKind]) {
        let sender = self.sender.clone();
        let call = move |text: &EventText| sender.send(format!("text {text}")).unwrap();
        self.add(kinds, EventCallback::Text(Box::new(call)));
    }

    fn add_lost(&self, name: &'static str, kinds: &[EventKind]) {
        let sender = self.sender.clone();
        let call = move |count| sender.send(format!("{name} {count}")).unwrap();
        self.add(kinds, EventCallback::Lost(Box::new(call)));
    }

    fn calls(&self) -> Vec<String> {
        self.calls.try_iter().collect()
    }
}

fn lost(counts: &[(&str, u64)]) -> LostEvents {
    let mut lost = LostEvents::default();
    for (kind, count) in counts {
        lost.add(&EventKind::from(*kind), *count);
    }
    lost
}

#[test]
fn each_listener_gets_the_number_of_lost_events_of_its_kinds() {
    let world = World::new();
    world.add_typed("bandwidth", &[EventKind::Bw]);
    world.add_typed("both", &[EventKind::Circ, EventKind::Bw]);
    world.add_typed("nothing", &[EventKind::Stream]);
    world.add_text(&[EventKind::Bw]);
    world.add_lost("all", &[]);
    world.dispatcher.report_loss(&lost(&[("BW", 1), ("CIRC", 5), ("BW", 2)]));
    let expected = ["bandwidth (3 events were lost)", "both (8 events were lost)", "all 8"];
    assert_eq!(world.calls(), expected);
    // A line without a status code may have been any event.
    world.dispatcher.report_loss(&lost(&[("", 1)]));
    let expected = [
        "bandwidth (1 events were lost)",
        "both (1 events were lost)",
        "nothing (1 events were lost)",
        "all 1",
    ];
    assert_eq!(world.calls(), expected);
}

#[test]
fn a_line_without_a_status_code_is_reported_to_every_listener_of_typed_events() {
    let world = World::new();
    world.add_typed("bandwidth", &[EventKind::Bw]);
    world.add_typed("circuits", &[EventKind::Circ]);
    world.add_typed("losses", &[]);
    world.add_text(&[EventKind::Bw]);
    let line = EventText::copied(b"a replaced line\r\n");
    for _ in 0..2 {
        world.dispatcher.report_stray_line(&line);
        let calls = world.calls();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!(calls[0].starts_with("bandwidth ") && calls[1].starts_with("circuits "));
        assert!(calls.iter().all(|call| call.ends_with("a replaced line")), "{calls:?}");
    }
    world.dispatcher.discard();
    world.dispatcher.report_stray_line(&line);
    assert_eq!(world.calls(), [""; 0], "the program is closing the connection");
}

#[test]
fn lines_without_a_status_code_are_logged_whenever_their_number_has_doubled() {
    let dispatcher = Dispatcher::default();
    let line = EventText::copied(b"a replaced line\r\n");
    let logged: Vec<_> = (1..=8)
        .flat_map(|_| logged_by(|| dispatcher.report_stray_line(&line)))
        .map(|text| text.split(':').next().unwrap().to_owned())
        .collect();
    let text = |count| format!("a line between two replies was dropped, {count} so far");
    assert_eq!(logged, [1, 2, 4, 8].map(text));
}

#[test]
fn a_listener_that_discards_events_is_the_last_that_is_called() {
    let world = Arc::new(World::new());
    let closing = Arc::downgrade(&world);
    let close = move |_| closing.upgrade().unwrap().dispatcher.discard();
    assert!(!world.dispatcher.is_discarding());
    world.add(&[], EventCallback::Lost(Box::new(close)));
    world.add_lost("later", &[]);
    world.dispatcher.report_loss(&lost(&[("BW", 1)]));
    assert!(world.dispatcher.is_discarding() && world.calls().is_empty());
    // Queued events and losses are not delivered any more.
    let (mut queue, received) = backlog::<Delivery, LostEvents>(1 << 20);
    queue.lose(|lost: &mut LostEvents| lost.add(&EventKind::Bw, 1));
    drop(queue);
    world.dispatcher.run(&received, || Disconnect::Closed);
    assert!(world.calls().is_empty());
}

#[test]
fn a_listener_that_panics_has_no_kinds_any_more() {
    let world = World::new();
    world.add(&[EventKind::Bw], EventCallback::Lost(Box::new(|_| panic!("a listener panics"))));
    world.add_lost("other", &[EventKind::Circ]);
    world.dispatcher.report_loss(&lost(&[("BW", 1), ("CIRC", 2)]));
    assert_eq!(world.calls(), ["other 2"]);
    assert!(!world.dispatcher.listeners.has_key(&EventKind::Bw));
    assert!(world.dispatcher.listeners.has_key(&EventKind::Circ));
}

#[test]
fn the_end_returns_the_closures_if_there_are_any() {
    assert!(World::new().dispatcher.end(&Disconnect::Quit).is_empty());
    let with_listener = World::new();
    with_listener.add_text(&[EventKind::Bw]);
    assert!(!with_listener.dispatcher.end(&Disconnect::Quit).is_empty());
    let world = World::new();
    let on_disconnect = || {
        let sender = world.sender.clone();
        Box::new(move |reason: &Disconnect| sender.send(reason.to_string()).unwrap())
    };
    world.dispatcher.on_disconnect(on_disconnect());
    let closures = world.dispatcher.end(&Disconnect::Quit);
    assert!(!closures.is_empty() && world.calls().is_empty());
    closures.call(&Disconnect::Quit);
    world.dispatcher.on_disconnect(on_disconnect());
    let reason = Disconnect::Quit.to_string();
    assert_eq!(world.calls(), [reason.clone(), reason]);
}
