use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, TryRecvError, bounded, never};

use super::{COUNT_SIZE, Queued, Queuing, STALL_LIMIT, backlog, deadline_after};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_loss_stands_in_its_place_and_is_told_without_another_item() {
    let (mut sender, queue) = backlog::<_, u64>(1000);
    assert_eq!(sender.send('a', 600, 1), Queuing::Queued);
    assert_eq!(sender.send('b', 600, 3), Queuing::Dropped('b'));
    assert_eq!(sender.send('c', 500, 4), Queuing::Dropped('c'));
    assert_eq!(queue.recv(), Ok(Queued::Item('a')));
    assert_eq!(sender.send('d', 700, 1), Queuing::Queued);
    sender.lose(5);
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.recv(), Ok(Queued::Lost(7)));
    assert_eq!(queue.recv(), Ok(Queued::Item('d')));
    assert_eq!(queue.try_recv(), Ok(Queued::Lost(5)));
    assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
    // Another one, since the first was received.
    sender.lose(1);
    assert_eq!(queue.recv_deadline(deadline_after(LIMIT)), Ok(Queued::Lost(1)));
    drop(queue);
    assert_eq!(sender.send('e', 1, 1), Queuing::Closed('e'));
}

#[test]
fn a_loss_is_told_before_the_end() {
    let (mut sender, queue) = backlog::<(), u64>(0);
    // Whatever its size, one fits.
    assert_eq!(sender.send((), 1, 1), Queuing::Queued);
    assert_eq!(sender.send((), 1, 2), Queuing::Dropped(()));
    drop(sender);
    assert_eq!(queue.recv(), Ok(Queued::Item(())));
    assert_eq!(queue.recv(), Ok(Queued::Lost(2)));
    assert_eq!(queue.recv(), Err(()));
    assert_eq!(queue.recv_deadline(Instant::now()), Err(RecvTimeoutError::Disconnected));
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
                    while let Ok(queued) = queue.recv() {
                        sum += match queued {
                            Queued::Item(_) => {
                                received += 1;
                                1
                            }
                            Queued::Lost(lost) => lost,
                        };
                    }
                    (sum, received)
                })
            })
            .collect();
        for item in 0..ITEMS {
            sender.send(item, COUNT_SIZE, 1);
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
                assert_eq!(queue.recv(), Ok(Queued::Item(received)));
                received += 1;
            }
            let _ = may_go_on.recv();
            queue
        });
        for item in 0..5000 {
            assert!(sender.wait_for_room(400, &never(), || true), "{item}");
            assert_eq!(sender.send(item, 400, 1), Queuing::Queued);
        }
        while sender.room() < 1000 {
            thread::yield_now();
        }
        // It is stuck now.
        let begun = Instant::now();
        for item in 0..10_000 {
            sender.wait_for_room(400, &never(), || true);
            sender.send(item, 400, 1);
        }
        let waited = begun.elapsed();
        assert!(waited < 10 * STALL_LIMIT, "{waited:?}");
        drop(go_on);
        let queue = receiver.join().unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).collect();
        assert_eq!(rest, [Queued::Item(0), Queued::Item(1), Queued::Lost(9998)]);
        // There is room again.
        assert!(sender.wait_for_room(400, &never(), || true));
        drop(queue);
        sender.patience = LIMIT;
        sender.send(1, 900, 1);
        assert!(!sender.wait_for_room(900, &never(), || true), "nobody makes room any more");
    });
}

#[test]
fn a_wait_for_room_ends_when_it_must_not_be_any_more() {
    let (mut sender, _queue) = backlog::<(), u64>(10);
    sender.patience = LIMIT;
    assert_eq!(sender.send((), 10, 1), Queuing::Queued);
    let (changed, changes) = bounded(1);
    let looks = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while looks.load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
            changed.send(()).unwrap();
        });
        // Both before the wait.
        let may_wait = || looks.fetch_add(1, Ordering::SeqCst) < 2;
        assert!(!sender.wait_for_room(1, &changes, may_wait));
    });
    assert_eq!(looks.load(Ordering::SeqCst), 3);
}

#[test]
fn any_limit_makes_a_deadline_to_which_time_can_be_added() {
    for limit in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(u64::MAX / 4)] {
        let deadline = deadline_after(limit);
        assert!(deadline > Instant::now() + LIMIT);
        assert!(deadline.checked_add(Duration::from_secs(1 << 30)).is_some());
    }
}
