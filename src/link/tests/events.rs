//! The events of one read: what queues share, and in which order closures and hooks get them.

use std::sync::Arc;
use std::time::Instant;

use super::{LIMIT, getinfo, link, next};
use crate::error::Disconnect;
use crate::event::{EventKind, EventText};
use crate::link::chunk::Chunk;
use crate::link::{
    Backlog, BacklogSender, EventBatch, EventCallback, EventHook, EventListener, Events, Item,
    Link, RawEvent, Received, SequencedEvent, backlog,
};
use crate::sync::Mutex;
use crate::sync::channel::{Sender, unbounded};

/// Events that a receiver takes together.
struct Together(Events);

impl Item for Together {
    type Part = Events;

    fn into_last(self) -> Events {
        self.0
    }
}

/// A hook that queues its events.
struct Collector(Mutex<BacklogSender<Together>>);

impl EventHook for Collector {
    fn event(&self, _: &RawEvent<'_>) {}

    fn feeds_other_threads(&self) -> bool {
        true
    }

    fn batch(&self, batch: &EventBatch<'_>) {
        batch.queue(&mut *self.0.lock(), Together, |lost, _, count| *lost += count);
    }

    fn ended(&self, _: &Disconnect) {}
}

fn collect(link: &Link, kinds: &[&str], limit: usize) -> Backlog<Together> {
    let (sender, queue) = backlog(limit);
    let kinds: Vec<_> = kinds.iter().map(|kind| EventKind::from(*kind)).collect();
    link.add_hook(&kinds, Arc::new(Collector(Mutex::new(sender))));
    queue
}

fn together(queue: &Backlog<Together>) -> Events {
    match queue.try_recv() {
        Ok(Received::Item(events)) => events,
        other => panic!("{other:?}"),
    }
}

/// Takes the events one by one, with their numbers.
fn texts(mut events: Events) -> Vec<String> {
    let mut parts = Vec::new();
    while let Some(event) = events.split() {
        parts.push(event);
    }
    parts.push(events.into_last());
    let text = |event: SequencedEvent| {
        let number = event.number;
        format!("{number}: {}", event.parse())
    };
    parts.into_iter().map(text).collect()
}

#[test]
fn queues_share_a_copy_unless_they_want_a_small_part_of_it() {
    // A queue kept a copy of each event. One that shared every copy would keep the events of other
    // kinds in memory too.
    let (link, peer, _directory) = link(
        1 << 20,
        &["650 BW 1 1\r\n650 CIRC 1 LAUNCHED PURPOSE=GENERAL TIME_CREATED=2026-11-23T09:27:52\r\n\
           650 NS\r\n650 CIRC 2 LAUNCHED PURPOSE=GENERAL TIME_CREATED=2026-11-23T09:27:52\r\n\
           650 BW 2 2\r\n250 OK\r\n"],
    );
    let both = collect(&link, &["BW", "CIRC"], 1 << 20);
    let circuits = collect(&link, &["CIRC"], 1 << 20);
    let bandwidth = collect(&link, &["BW"], 1 << 20);
    let nothing = collect(&link, &["STREAM"], 1 << 20);
    link.call(&getinfo(), LIMIT).unwrap();
    let [both, circuits, bandwidth] = [both, circuits, bandwidth].map(|queue| {
        let events = together(&queue);
        assert_eq!(queue.len(), 0);
        events
    });
    assert!(Arc::ptr_eq(both.bytes(), circuits.bytes()));
    assert_eq!(&**bandwidth.bytes(), b"650 BW 1 1\r\n650 BW 2 2\r\n");
    assert_eq!(texts(bandwidth), ["0: BW 1 1", "4: BW 2 2"]);
    assert_eq!(both.parts(), 4);
    let of_circuits = texts(circuits);
    assert_eq!(of_circuits.len(), 2);
    assert!(of_circuits[0].starts_with("1: CIRC 1 "), "{of_circuits:?}");
    assert!(of_circuits[1].starts_with("3: CIRC 2 "), "{of_circuits:?}");
    assert_eq!(texts(both).len(), 4);
    assert!(nothing.try_recv().is_err());
    drop(link);
    peer.join().unwrap();
}

#[test]
fn a_full_queue_keeps_the_events_that_fit_and_counts_the_others_exactly() {
    let (link, peer, _directory) =
        link(1 << 20, &["650 BW 1 1\r\n650 NS\r\n650 BW 2 2\r\n650 BW 3 3\r\n250 OK\r\n"]);
    // A single event fits into any empty queue.
    let small = collect(&link, &["BW"], 1);
    let large = collect(&link, &["BW"], 1 << 20);
    link.call(&getinfo(), LIMIT).unwrap();
    assert_eq!(small.len(), 2);
    assert_eq!(texts(together(&small)), ["0: BW 1 1"]);
    assert!(matches!(small.try_recv(), Ok(Received::Lost(2))));
    assert_eq!(texts(together(&large)), ["0: BW 1 1", "2: BW 2 2", "3: BW 3 3"]);
    drop(link);
    peer.join().unwrap();
}

#[test]
fn the_name_of_an_unknown_kind_counts_and_that_of_an_unwanted_one_is_not_kept() {
    // A peer could invent names that took 64 times the limit of the queue.
    let kind = "K".repeat(4000);
    let events = format!("650 {kind} 1\r\n650 BW 1 1\r\n650 {kind} 2\r\n250 OK\r\n");
    let answers = Box::leak(Box::new([&*Box::leak(events.into_boxed_str())]));
    let (link, peer, _directory) = link(1 << 20, answers);
    let bandwidth = collect(&link, &["BW"], 1 << 20);
    let unknown = collect(&link, &[&kind], 10_000);
    link.call(&getinfo(), LIMIT).unwrap();
    let events = together(&bandwidth);
    assert!(events.kinds().iter().all(EventKind::is_recognized));
    assert_eq!(texts(events), ["1: BW 1 1"]);
    assert_eq!(texts(together(&unknown)), [format!("0: {kind} 1")]);
    assert!(matches!(unknown.try_recv(), Ok(Received::Lost(1))));
    drop(link);
    peer.join().unwrap();
}

#[test]
fn any_number_of_kinds_in_one_read_keeps_order_and_numbers() {
    // The reader has room for 32 kinds, and a peer can invent more.
    let kinds: Vec<_> = (0..100).map(|n| format!("KIND{n}")).collect();
    let events: String = (0..300).map(|n| format!("650 KIND{} {n}\r\n", n % 100)).collect();
    let answers = Box::leak(Box::new([&*Box::leak((events + "250 OK\r\n").into_boxed_str())]));
    let (link, peer, _directory) = link(1 << 20, answers);
    let wanted: Vec<_> = kinds.iter().step_by(7).map(String::as_str).collect();
    let queue = collect(&link, &wanted, 1 << 20);
    link.call(&getinfo(), LIMIT).unwrap();
    let mut received = Vec::new();
    while let Ok(Received::Item(events)) = queue.try_recv() {
        received.extend(texts(events));
    }
    let expected = (0..300).filter(|n| n % 100 % 7 == 0);
    let expected: Vec<_> = expected.map(|n| format!("{n}: KIND{} {n}", n % 100)).collect();
    assert_eq!(received, expected);
    drop(link);
    peer.join().unwrap();
}

/// A hook that records the numbers of the events of each batch.
struct Batches(Sender<Vec<u64>>);

impl EventHook for Batches {
    fn event(&self, _: &RawEvent<'_>) {}

    fn feeds_other_threads(&self) -> bool {
        true
    }

    fn batch(&self, batch: &EventBatch<'_>) {
        self.0.send(batch.events().map(|event| event.number()).collect()).unwrap();
    }

    fn ended(&self, _: &Disconnect) {}
}

#[test]
fn a_hook_gets_the_events_of_its_kinds_with_their_numbers_and_is_not_called_for_none() {
    // A reply divides the events of a read.
    let (link, peer, _directory) = link(
        1 << 20,
        &[
            "650 BW 1 1\r\n650 CIRC 1\r\n650 BW 2 2\r\n250 OK\r\n650 CIRC 2\r\n650 CIRC 3\r\n",
            "250 OK\r\n",
        ],
    );
    let batches = |kind: EventKind| {
        let (sender, batches) = unbounded();
        link.add_hook(&[kind], Arc::new(Batches(sender)));
        batches
    };
    let (bandwidth, circuits) = (batches(EventKind::Bw), batches(EventKind::Circ));
    (0..2).for_each(|_| drop(link.call(&getinfo(), LIMIT).unwrap()));
    assert_eq!(bandwidth.try_iter().collect::<Vec<_>>(), [vec![0, 2]]);
    assert_eq!(circuits.try_iter().flatten().collect::<Vec<_>>(), [1, 3, 4]);
    drop(link);
    peer.join().unwrap();
}

#[test]
fn events_between_the_lines_of_a_reply_are_none_of_its_lines() {
    let (link, peer, _directory) = link(
        1 << 20,
        &["650 BW 1 1\r\n250-a=1\r\n650 BW 2 2\r\n250 OK\r\n", "650 BW 3 3\r\n250 OK\r\n"],
    );
    let queue = collect(&link, &["BW"], 1 << 20);
    (0..2).for_each(|_| drop(link.call(&getinfo(), LIMIT).unwrap()));
    let received = std::iter::from_fn(|| match queue.try_recv() {
        Ok(Received::Item(events)) => Some(texts(events)),
        _ => None,
    });
    let received: Vec<_> = received.flatten().collect();
    assert_eq!(received, ["0: BW 1 1", "1: BW 2 2", "2: BW 3 3"]);
    drop(link);
    peer.join().unwrap();
}

#[test]
fn as_many_events_as_fit_are_queued_and_their_bytes_count() {
    let event = |number| format!("650 BW {number} {}\r\n", "1".repeat(100));
    let events: String = (0..3).map(event).collect();
    let answers = Box::leak(Box::new([&*Box::leak((events + "250 OK\r\n").into_boxed_str())]));
    let (link, peer, _directory) = link(1 << 20, answers);
    let (kind, bytes) = (Chunk::kind_size(&EventKind::Bw), event(0).len());
    let exact = Chunk::size(2 * bytes, 2, kind);
    let queues = [exact, exact - 1].map(|limit| collect(&link, &["BW"], limit));
    link.call(&getinfo(), LIMIT).unwrap();
    for (queue, fitting) in queues.iter().zip([2, 1]) {
        assert_eq!(texts(together(queue)).len(), fitting);
        let lost = 3 - u64::try_from(fitting).unwrap();
        assert!(matches!(queue.try_recv(), Ok(Received::Lost(found)) if found == lost));
    }
    drop(link);
    peer.join().unwrap();
}

fn listen(
    link: &Link,
    kind: EventKind,
    listener: impl FnMut(&EventText) + Send + 'static,
) -> Arc<EventListener> {
    let listener = EventListener::new(EventCallback::Text(Box::new(listener)));
    link.add_listener(&[kind], Arc::clone(&listener)).unwrap();
    listener
}

#[test]
fn a_listener_that_is_removed_while_another_one_runs_is_dropped_at_once() {
    // The closure is taken for a group of events, and is not kept while other listeners run.
    let (link, peer, _directory) =
        link(1 << 20, &["650 BW 1\r\n650 BW 2\r\n650 CIRC 1\r\n650 BW 3\r\n250 OK\r\n"]);
    let (seen, events) = unbounded();
    let (go_on, may_go_on) = unbounded::<()>();
    let (sender, holding) = (seen.clone(), Arc::new(()));
    let is_held = Arc::downgrade(&holding);
    let removed = listen(&link, EventKind::Bw, move |text| {
        let _held = &holding;
        sender.send(text.to_string()).unwrap();
    });
    listen(&link, EventKind::Circ, move |text| {
        seen.send(text.to_string()).unwrap();
        let _ = may_go_on.recv_timeout(LIMIT);
    });
    link.call(&getinfo(), LIMIT).unwrap();
    assert_eq!([next(&events), next(&events), next(&events)], ["BW 1", "BW 2", "CIRC 1"]);
    drop(link.remove_listener(removed.id()));
    assert!(is_held.upgrade().is_none());
    go_on.send(()).unwrap();
    drop((go_on, link));
    assert!(events.recv_deadline(Instant::now() + LIMIT).is_err(), "BW 3 was delivered");
    peer.join().unwrap();
}

#[test]
fn a_listener_that_removes_itself_gets_no_other_event_of_the_same_read() {
    let (link, peer, _directory) =
        link(1 << 20, &["650 BW 1\r\n650 BW 2\r\n650 BW 3\r\n650 CIRC 1\r\n250 OK\r\n"]);
    let (seen, events) = unbounded();
    let own: Arc<Mutex<Option<Arc<EventListener>>>> = Arc::default();
    let (of_listener, sender) = (Arc::clone(&own), seen.clone());
    let listener = listen(&link, EventKind::Bw, move |text| {
        sender.send(text.to_string()).unwrap();
        if *text == "BW 2" {
            assert!(of_listener.lock().take().unwrap().remove().is_none(), "it is running");
        }
    });
    *own.lock() = Some(listener);
    listen(&link, EventKind::Circ, move |text| seen.send(text.to_string()).unwrap());
    link.call(&getinfo(), LIMIT).unwrap();
    assert_eq!([next(&events), next(&events), next(&events)], ["BW 1", "BW 2", "CIRC 1"]);
    drop(link);
    peer.join().unwrap();
}
