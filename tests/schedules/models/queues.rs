//! Models of a queue, of a notifier and of a token that cancels waits.

use std::sync::Arc;

use schedules::{chance, check, choose};

use super::LIMIT;
use crate::clock::deadline_after;
use crate::error::Disconnect;
use crate::link::{CancelToken, Item, Notifier, Received, WaitEnd, backlog};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::channel::bounded;
use crate::sync::{Mutex, thread};

/// An item of several parts.
#[derive(Debug)]
struct Several(Vec<usize>);

impl Item for Several {
    type Part = usize;

    fn parts(&self) -> usize {
        self.0.len()
    }

    fn split(&mut self) -> Option<usize> {
        if self.0.len() > 1 { Some(self.0.remove(0)) } else { None }
    }

    fn into_last(self) -> usize {
        self.0.into_iter().next().unwrap()
    }
}

/// Two threads take from one queue, as two consumers of an `EventQueue` do.
fn queue() {
    let (mut sender, queue) = backlog::<Several, u64>(choose(3) * 100 + 100);
    let queue = Arc::new(queue);
    let received = Arc::new(Mutex::new((Vec::new(), 0)));
    let receivers: Vec<_> = (0..2)
        .map(|_| {
            let (queue, received) = (Arc::clone(&queue), Arc::clone(&received));
            thread::spawn(move || {
                while let Ok(entry) = queue.recv() {
                    match entry {
                        Received::Item(part) => received.lock().0.push(part),
                        Received::Lost(count) => received.lock().1 += count,
                    }
                }
            })
        })
        .collect();
    let (_wake, changed) = bounded(1);
    let mut next = 0;
    let mut sent = 0;
    for _ in 0..3 {
        let parts = choose(3) + 1;
        let item = Several((next..next + parts).collect());
        next += parts;
        let has_room = match chance(2) {
            true => sender.wait_for_room(100, &changed, || true),
            false => sender.fits(100),
        };
        let parts = u64::try_from(parts).unwrap();
        match has_room {
            true => sender.send(item, 100).unwrap(),
            false => sender.lose(|lost| *lost += parts),
        }
        sent += parts;
    }
    drop(sender);
    for receiver in receivers {
        receiver.join().unwrap();
    }
    let (mut parts, lost) = std::mem::take(&mut *received.lock());
    assert_eq!(u64::try_from(parts.len()).unwrap() + lost, sent);
    parts.sort_unstable();
    parts.dedup();
    assert_eq!(u64::try_from(parts.len()).unwrap() + lost, sent, "a part was received twice");
}

#[test]
fn a_queue_with_two_receivers_loses_no_entry_and_no_wake_up() {
    check(queue);
}

/// A receiver that waits is woken by each entry, without the end of the queue.
fn queue_without_end() {
    let (mut sender, queue) = backlog::<Several, u64>(1 << 10);
    let queue = Arc::new(queue);
    let receivers: Vec<_> = (0..2)
        .map(|_| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || drop(queue.recv().unwrap()))
        })
        .collect();
    match choose(3) {
        0 => sender.send(Several(vec![1, 2]), 100).unwrap(),
        1 => {
            sender.send(Several(vec![1]), 100).unwrap();
            sender.send(Several(vec![2]), 100).unwrap();
        }
        _ => {
            sender.lose(|lost| *lost += 1);
            sender.send(Several(vec![1]), 100).unwrap();
        }
    }
    for receiver in receivers {
        receiver.join().unwrap();
    }
}

#[test]
fn a_receiver_does_not_wait_while_an_entry_is_in_the_queue() {
    check(queue_without_end);
}

fn waits() {
    let notifier = Arc::new(Notifier::<u32>::default());
    let token = CancelToken::new();
    let waiters: Vec<_> = (1..=2)
        .map(|wanted| {
            let (notifier, token) = (Arc::clone(&notifier), token.clone());
            thread::spawn(move || {
                let find = |value: &mut u32| (*value == wanted).then_some(());
                match notifier.wait(deadline_after(LIMIT), find) {
                    Ok(()) | Err(WaitEnd::Closed(_)) => token.wait(),
                    Err(WaitEnd::Timeout) => panic!("a wait without a limit timed out"),
                }
            })
        })
        .collect();
    let calls = Arc::new(AtomicUsize::new(0));
    let guards: Vec<_> = (0..2)
        .map(|_| {
            let (token, calls) = (token.clone(), Arc::clone(&calls));
            thread::spawn(move || {
                let call = move || {
                    calls.fetch_add(1, Ordering::SeqCst);
                };
                token.on_cancel(call).keep();
            })
        })
        .collect();
    notifier.update(|value| *value = 1);
    notifier.end(&Disconnect::Closed);
    token.cancel();
    waiters.into_iter().chain(guards).for_each(|thread| thread.join().unwrap());
    assert_eq!(calls.load(Ordering::SeqCst), 2, "each closure is called once");
}

#[test]
fn a_wait_ends_with_its_value_or_with_the_connection() {
    check(waits);
}
