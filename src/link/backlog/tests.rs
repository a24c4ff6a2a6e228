use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{
    BacklogSender, COUNT_SIZE, Item, KEPT_ENTRIES, MARKER_ROOM, NANOS_PER_BYTE, Received,
    STALL_LIMIT, backlog,
};
use crate::clock::{ManualClock, TICK, deadline_after};
use crate::sync::channel::{RecvTimeoutError, TryRecvError, bounded, never};

const LIMIT: Duration = Duration::from_secs(30);

/// Implements [`Item`] for values that are taken whole.
macro_rules! whole_items {
    ($($item:ty),*) => {$(
        impl Item for $item {
            type Part = Self;

            fn into_last(self) -> Self {
                self
            }
        }
    )*};
}

whole_items!(char, u64, ());

/// Sends an item if there is room, and counts it as lost otherwise. Returns whether there was room.
fn send<T: Item>(sender: &mut BacklogSender<T>, item: T, size: usize, loss: u64) -> bool {
    let fits = sender.fits(size);
    match fits {
        true => assert!(sender.send(item, size).is_ok()),
        false => sender.lose(|lost| *lost += loss),
    }
    fits
}

#[test]
fn a_loss_is_received_at_its_position_and_without_another_item() {
    let (mut sender, queue) = backlog::<_, u64>(1000);
    assert!(send(&mut sender, 'a', 600, 1));
    assert!(!send(&mut sender, 'b', 600, 3));
    assert!(!send(&mut sender, 'c', 500, 4));
    assert_eq!(queue.recv(), Ok(Received::Item('a')));
    assert!(send(&mut sender, 'd', 700, 1));
    sender.lose(|lost| *lost += 5);
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.recv(), Ok(Received::Lost(7)));
    assert_eq!(queue.recv(), Ok(Received::Item('d')));
    assert_eq!(queue.try_recv(), Ok(Received::Lost(5)));
    assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
    // A new count, since the first was received.
    sender.lose(|lost| *lost += 1);
    assert_eq!(queue.recv_deadline(deadline_after(LIMIT)), Ok(Received::Lost(1)));
    drop(queue);
    assert_eq!(sender.send('e', 1), Err('e'));
}

#[test]
fn a_marker_has_room_in_a_full_queue_and_none_in_that_of_other_markers() {
    let (mut sender, queue) = backlog::<char, u64>(1000);
    assert!(send(&mut sender, 'a', 1000, 1));
    assert!(sender.fits_marker(MARKER_ROOM) && !sender.fits_marker(MARKER_ROOM + 1));
    assert_eq!(sender.send('m', MARKER_ROOM), Ok(()));
    assert!(!sender.fits_marker(1) && !sender.fits(1));
    assert_eq!(queue.recv(), Ok(Received::Item('a')));
    // Markers that are queued count.
    assert!(!sender.fits(1) && sender.fits_marker(1000));
    assert_eq!(queue.recv(), Ok(Received::Item('m')));
    assert!(sender.fits(1));
    drop(queue);
    assert!(!sender.fits_marker(1));
}

#[test]
fn a_loss_is_received_before_the_end() {
    let (mut sender, queue) = backlog::<(), u64>(0);
    // A single item of any size fits.
    assert!(send(&mut sender, (), 1, 1));
    assert!(!send(&mut sender, (), 1, 2));
    drop(sender);
    assert_eq!(queue.recv(), Ok(Received::Item(())));
    assert_eq!(queue.recv(), Ok(Received::Lost(2)));
    assert_eq!(queue.recv(), Err(()));
    assert_eq!(queue.recv_deadline(Instant::now()), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_long_queue_is_received_in_order_and_its_memory_is_freed_when_it_is_empty() {
    let items = u64::try_from(3 * KEPT_ENTRIES).unwrap();
    let (mut sender, queue) = backlog::<u64, u64>(usize::MAX);
    for item in 0..items {
        assert_eq!(sender.send(item, 1), Ok(()));
    }
    for item in 0..items {
        assert_eq!(queue.try_recv(), Ok(Received::Item(item)));
    }
    assert!(queue.shared.queue.lock().entries.capacity() <= KEPT_ENTRIES);
}

#[test]
fn several_receivers_get_each_item_or_its_loss_once() {
    const ITEMS: u64 = 100_000;
    let (mut sender, queue) = backlog::<u64, u64>(20 * COUNT_SIZE);
    let (sum, received) = thread::scope(|scope| {
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut sum, mut received) = (0, 0);
                    while let Ok(entry) = queue.recv() {
                        sum += match entry {
                            Received::Item(_) => {
                                received += 1;
                                1
                            }
                            Received::Lost(lost) => lost,
                        };
                    }
                    (sum, received)
                })
            })
            .collect();
        for item in 0..ITEMS {
            send(&mut sender, item, COUNT_SIZE, 1);
        }
        drop(sender);
        let counts = receivers.into_iter().map(|receiver| receiver.join().unwrap());
        counts.fold((0, 0), |(sum, received), it| (sum + it.0, received + it.1))
    });
    assert_eq!(sum, ITEMS);
    assert!(received > 0);
}

#[test]
fn a_sender_waits_for_a_quick_receiver_and_once_for_a_stuck_one() {
    let (mut sender, queue) = backlog::<u64, u64>(1000);
    let (go_on, may_go_on) = bounded::<()>(0);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut received = 0;
            while received < 5000 {
                assert_eq!(queue.recv(), Ok(Received::Item(received)));
                received += 1;
            }
            let _ = may_go_on.recv();
            queue
        });
        for item in 0..5000 {
            assert!(sender.wait_for_room(400, &never(), || true), "{item}");
            assert!(send(&mut sender, item, 400, 1));
        }
        while sender.room() < 1000 {
            thread::yield_now();
        }
        // The receiver is stuck now.
        let begun = Instant::now();
        for item in 0..10_000 {
            sender.wait_for_room(400, &never(), || true);
            send(&mut sender, item, 400, 1);
        }
        let waited = begun.elapsed();
        assert!(waited < 10 * STALL_LIMIT, "{waited:?}");
        drop(go_on);
        let queue = receiver.join().unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).collect();
        assert_eq!(rest, [Received::Item(0), Received::Item(1), Received::Lost(9998)]);
        // There is room again.
        assert!(sender.wait_for_room(400, &never(), || true));
        drop(queue);
        sender.stall_budget = LIMIT;
        send(&mut sender, 1, 900, 1);
        assert!(!sender.wait_for_room(900, &never(), || true), "the receiver was dropped");
    });
}

#[test]
fn a_wait_for_room_ends_when_it_is_not_allowed_any_more() {
    let (mut sender, _queue) = backlog::<(), u64>(10);
    sender.stall_budget = LIMIT;
    assert!(send(&mut sender, (), 10, 1));
    let (changed, changes) = bounded(1);
    let calls = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while calls.load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
            changed.send(()).unwrap();
        });
        // Both calls precede the wait.
        let may_wait = || calls.fetch_add(1, Ordering::SeqCst) < 2;
        assert!(!sender.wait_for_room(1, &changes, may_wait));
    });
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn time_can_be_added_to_the_deadline_of_any_limit() {
    for limit in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(u64::MAX / 4)] {
        let deadline = deadline_after(limit);
        assert!(deadline > Instant::now() + LIMIT);
        assert!(deadline.checked_add(Duration::from_secs(1 << 30)).is_some());
    }
}

/// An item that is received number by number.
struct Numbers(std::ops::Range<u64>);

impl Item for Numbers {
    type Part = u64;

    fn parts(&self) -> usize {
        self.0.clone().count()
    }

    fn split(&mut self) -> Option<u64> {
        (self.parts() > 1).then(|| self.0.next().unwrap())
    }

    fn into_last(self) -> u64 {
        self.0.start
    }
}

#[test]
fn an_item_takes_its_room_until_its_last_part_is_received() {
    let (mut sender, queue) = backlog::<_, u64>(1000);
    assert!(send(&mut sender, Numbers(0..3), 600, 3));
    assert!(!send(&mut sender, Numbers(3..5), 600, 2));
    assert_eq!(queue.len(), 4);
    for (number, left) in [(0, 3), (1, 2)] {
        assert_eq!(queue.try_recv(), Ok(Received::Item(number)));
        assert_eq!((queue.len(), sender.fits(600)), (left, false));
    }
    assert_eq!(queue.try_recv(), Ok(Received::Item(2)));
    assert_eq!((queue.len(), sender.room()), (1, 1000 - COUNT_SIZE));
    assert_eq!(queue.try_recv(), Ok(Received::Lost(2)));
    assert!(send(&mut sender, Numbers(5..6), 600, 1));
    assert_eq!(queue.try_recv(), Ok(Received::Item(5)));
    assert_eq!((queue.len(), sender.room()), (0, 1000));
}

#[test]
fn every_waiting_receiver_is_woken_for_an_item_of_several_parts() {
    let begin = Instant::now();
    let (mut sender, queue) = backlog::<_, u64>(1000);
    let mut received = thread::scope(|scope| {
        let receivers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| queue.recv_deadline(begin + LIMIT))).collect();
        send(&mut sender, Numbers(0..4), 600, 4);
        let received = receivers.into_iter().map(|receiver| receiver.join().unwrap().unwrap());
        received.map(|received| format!("{received:?}")).collect::<Vec<_>>()
    });
    received.sort();
    assert_eq!(received, ["Item(0)", "Item(1)", "Item(2)", "Item(3)"]);
    // A receiver that was not woken finds its part at the deadline.
    assert!(begin.elapsed() < LIMIT);
}

#[test]
fn a_waiting_receiver_is_woken_for_a_loss() {
    // In most of these rounds the receiver waits before the loss is counted.
    const ROUNDS: usize = 1000;
    let begin = Instant::now();
    let (mut sender, queue) = backlog::<u64, u64>(1000);
    let (received, next) = bounded(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                assert_eq!(queue.recv_deadline(begin + LIMIT), Ok(Received::Lost(1)));
                received.send(()).unwrap();
            }
        });
        for _ in 0..ROUNDS {
            sender.lose(|lost| *lost += 1);
            next.recv().unwrap();
        }
    });
    assert!(begin.elapsed() < LIMIT);
}

#[test]
fn a_receiver_at_its_deadline_loses_no_item() {
    const ITEMS: u64 = 20_000;
    let (mut sender, queue) = backlog::<u64, u64>(usize::MAX);
    let mut received = thread::scope(|scope| {
        let receive = || {
            let mut received = Vec::new();
            loop {
                // About as long as the pause between two items, so that many arrive at a deadline.
                match queue.recv_deadline(Instant::now() + Duration::from_micros(5)) {
                    Ok(Received::Item(item)) => received.push(item),
                    Ok(Received::Lost(_)) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return received,
                }
            }
        };
        let receivers = [scope.spawn(receive), scope.spawn(receive)];
        for item in 0..ITEMS {
            send(&mut sender, item, 1, 1);
            thread::yield_now();
        }
        drop(sender);
        receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect::<Vec<_>>()
    });
    received.sort_unstable();
    assert_eq!(received, (0..ITEMS).collect::<Vec<_>>());
}

#[test]
fn a_sender_waits_for_room_until_the_last_tick_of_its_budget_which_received_bytes_refill() {
    const SIZE: usize = 1000;
    let clock = ManualClock::start();
    let (mut sender, queue) = backlog::<u64, u64>(SIZE);
    sender.send(1, SIZE).unwrap();
    // Each check of the condition is one turn of the wait: the first is before it.
    let turns = |sender: &mut BacklogSender<u64>, budget: Duration| {
        let turns = Cell::new(0);
        let has_room = sender.wait_for_room(1, &never(), || {
            turns.set(turns.get() + 1);
            match turns.get() {
                2 => clock.advance(budget - TICK),
                3 => clock.advance(TICK),
                _ => {}
            }
            true
        });
        assert!(!has_room);
        turns.get()
    };
    assert_eq!(turns(&mut sender, STALL_LIMIT), 3);
    assert_eq!(turns(&mut sender, STALL_LIMIT), 0, "a stuck receiver delays the sender once");
    assert_eq!(queue.recv(), Ok(Received::Item(1)));
    sender.send(2, SIZE).unwrap();
    let refilled = Duration::from_nanos(1000 * NANOS_PER_BYTE);
    assert_eq!(turns(&mut sender, refilled), 3);
    // Room at the last tick is in time.
    assert_eq!(queue.recv(), Ok(Received::Item(2)));
    sender.send(3, SIZE).unwrap();
    let is_begun = Cell::new(false);
    assert!(sender.wait_for_room(1, &never(), || {
        if is_begun.replace(true) {
            clock.advance(refilled - TICK);
            assert_eq!(queue.try_recv(), Ok(Received::Item(3)));
        }
        true
    }));
}
