//! Models of a supervisor: its statuses, its closures and its tasks.

mod restore;

use std::sync::{Arc, Weak};
use std::time::Duration;

use schedules::{Kept, Scheduler, chance, check, check_kept};

use super::notify::{Callback, Listener};
use super::options::SupervisorOptions;
use super::shared::Shared;
use super::status::SupervisorStatus;
use crate::clock::deadline_after;
use crate::error::Disconnect;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, thread};

const LIMIT: Duration = Duration::from_secs(3600);

fn shared() -> Arc<Shared> {
    Arc::new(Shared::new(SupervisorOptions::new(), 1 << 16))
}

/// Asks for the locks of the supervisor when it is dropped.
struct Capture(Weak<Shared>);

impl Drop for Capture {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.status();
            shared.remove_listener(Listener::new(Callback::Lost(Box::new(|_| {}))).id());
        }
    }
}

fn statuses() {
    let shared = shared();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let (seen, capture) = (Arc::clone(&seen), Capture(Arc::downgrade(&shared)));
        Listener::new(Callback::Status(Box::new(move |status| {
            let _ = &capture;
            seen.lock().push(status.to_string());
        })))
    };
    let id = listener.id();
    let is_removed = chance(2);
    shared.notifications.start(|_| {}).unwrap();
    let user = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let is_added = shared.add_status_listener(listener).is_ok();
            if is_removed {
                // The end removes it too.
                shared.remove_listener(id);
            }
            is_added
        })
    };
    let waiter = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let wanted = |status: &SupervisorStatus| matches!(status, SupervisorStatus::Stopped);
            shared.wait_status(deadline_after(LIMIT), LIMIT, wanted).unwrap();
        })
    };
    shared.set_status(SupervisorStatus::Restoring);
    shared.set_status(SupervisorStatus::Stopped);
    shared.remove_listeners();
    shared.notifications.wait_ended();
    waiter.join().unwrap();
    let is_added = user.join().unwrap();
    let seen = seen.lock();
    if !is_removed && is_added {
        assert_eq!(seen.last(), Some(&SupervisorStatus::Stopped.to_string()));
    }
}

#[test]
fn a_listener_gets_the_last_status_and_none_after_its_removal() {
    check(statuses);
}

#[test]
fn schedules_that_failed_pass() {
    check_kept(statuses, &[Kept(Scheduler::Pct, 1, 8)]);
}

/// The thread of the supervisor waits for tasks while others add them and stop it.
fn tasks() {
    let shared = shared();
    let worker = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let mut had_services = false;
            while let Some(tasks) = shared.wait_tasks(LIMIT) {
                had_services |= tasks.services;
                if tasks.ended.is_some() {
                    break;
                }
            }
            shared.set_done();
            had_services
        })
    };
    let is_canceled = Arc::new(AtomicBool::new(false));
    let waiter = {
        let (shared, is_canceled) = (Arc::clone(&shared), Arc::clone(&is_canceled));
        thread::spawn(move || {
            let waited = shared.wait_tor_unless(&is_canceled, deadline_after(LIMIT), LIMIT);
            assert!(waited.is_err());
        })
    };
    let is_stopped = chance(2);
    let adder = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.add_task(|_, tasks| tasks.services = true))
    };
    if is_stopped {
        shared.stop();
    } else {
        adder.join().unwrap();
        shared.set_ended(0, &Disconnect::EndOfStream);
        assert!(shared.wait_done(LIMIT));
        assert!(worker.join().unwrap(), "a task was lost");
        shared.cancel_wait(&is_canceled);
        return waiter.join().unwrap();
    }
    assert!(shared.wait_done(LIMIT));
    shared.cancel_wait(&is_canceled);
    worker.join().unwrap();
    waiter.join().unwrap();
    is_canceled.load(Ordering::SeqCst);
}

#[test]
fn no_task_is_lost_and_every_wait_ends() {
    check(tasks);
}
