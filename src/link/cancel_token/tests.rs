use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{CancelFd, CancelToken};
use crate::link::readable_until;
use crate::sync::Mutex;
use crate::sync::channel::bounded;

fn counter(count: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static + use<> {
    let count = Arc::clone(count);
    move || {
        count.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn clones_share_one_state_and_only_the_first_call_cancels() {
    let token = CancelToken::new();
    let clone = token.clone();
    assert!(!clone.is_canceled() && !clone.wait_timeout(Duration::ZERO));
    assert!(token.cancel() && !clone.cancel());
    assert!(clone.is_canceled() && clone.wait_timeout(Duration::ZERO));
    clone.wait();
    assert_eq!(format!("{clone:?}"), "CancelToken { is_canceled: true, .. }");
}

#[test]
fn a_wait_without_a_limit_lasts_until_the_cancellation() {
    let token = CancelToken::new();
    let (begin, begun) = bounded(1);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            begin.send(()).unwrap();
            token.wait();
            token.is_canceled()
        });
        begun.recv().unwrap();
        for _ in 0..1000 {
            thread::yield_now();
            assert!(!waiter.is_finished());
        }
        token.cancel();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn closures_run_once_in_their_order_and_at_once_after_the_cancellation() {
    let token = CancelToken::default();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..3 {
        let order = Arc::clone(&order);
        token.on_cancel(move || order.lock().push(number)).keep();
    }
    token.cancel();
    token.cancel();
    let late = Arc::clone(&order);
    let _guard = token.on_cancel(move || late.lock().push(3));
    assert_eq!(*order.lock(), [0, 1, 2, 3]);
}

#[test]
fn dropping_the_guard_removes_the_closure_and_its_captures() {
    let token = CancelToken::new();
    let count = Arc::new(AtomicUsize::new(0));
    drop(token.on_cancel(counter(&count)));
    assert_eq!(Arc::strong_count(&count), 1);
    let guard = token.on_cancel(counter(&count));
    token.cancel();
    drop(guard);
    assert_eq!((count.load(Ordering::SeqCst), Arc::strong_count(&count)), (1, 1));
}

#[test]
fn a_closure_that_panics_does_not_prevent_the_others() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let token = CancelToken::new();
    let count = Arc::new(AtomicUsize::new(0));
    token.on_cancel(|| panic!("on purpose")).keep();
    token.on_cancel(|| std::panic::panic_any(Bomb)).keep();
    let bomb = Bomb;
    token.on_cancel(move || drop(bomb)).keep();
    token.on_cancel(counter(&count)).keep();
    let bomb = Bomb;
    drop(token.on_cancel(move || drop(bomb)));
    assert!(token.cancel());
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn closures_and_their_captures_may_call_the_token() {
    struct Uses(CancelToken);
    impl Drop for Uses {
        fn drop(&mut self) {
            self.0.on_cancel(|| {}).keep();
            let _ = self.0.is_canceled();
        }
    }
    let token = CancelToken::new();
    let uses = Uses(token.clone());
    token
        .on_cancel(move || {
            assert!(uses.0.is_canceled() && !uses.0.cancel());
            let _guard = uses.0.on_cancel(|| {});
        })
        .keep();
    let uses = Uses(token.clone());
    drop(token.on_cancel(move || drop(uses)));
    token.cancel();
}

#[test]
fn every_waiting_thread_is_woken() {
    let token = CancelToken::new();
    let fd = CancelFd::new(&token).unwrap();
    assert_eq!(readable_until([fd.as_fd()], Some(Instant::now())).unwrap(), [false]);
    thread::scope(|scope| {
        let waits = [
            scope.spawn(|| token.wait()),
            scope.spawn(|| assert!(token.wait_timeout(Duration::from_secs(60)))),
            scope.spawn(|| assert_eq!(readable_until([fd.as_fd()], None).unwrap(), [true])),
        ];
        assert!(token.cancel());
        for wait in waits {
            wait.join().unwrap();
        }
    });
}

#[test]
fn a_race_of_adding_and_canceling_calls_each_closure_once() {
    let threads = 4;
    for _ in 0..200 {
        let token = CancelToken::new();
        let count = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| token.on_cancel(counter(&count)).keep());
            }
            scope.spawn(|| token.cancel());
        });
        assert_eq!(count.load(Ordering::SeqCst), threads);
    }
}
