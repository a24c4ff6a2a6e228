//! The messages between the threads of a supervisor, without connections except one to a fake tor.
#![cfg(feature = "testkit")]

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Shared, stopped};
use crate::clock::deadline_after;
use crate::error::{Disconnect, Error, SupervisorError, SupervisorProblem};
use crate::supervisor::notify::{Callback, Listener};
use crate::supervisor::{SupervisorOptions, SupervisorStatus};
use crate::sync::atomic::AtomicBool;
use crate::sync::channel::{RecvTimeoutError, unbounded};
use crate::testkit::FakeTor;
use crate::tor::Tor;

/// A limit that is never reached in a successful run.
const LIMIT: Duration = Duration::from_secs(60);
const NONE: Duration = Duration::ZERO;

fn shared() -> Arc<Shared> {
    Arc::new(Shared::new(SupervisorOptions::new(), 1 << 20))
}

fn up(generation: u64) -> SupervisorStatus {
    SupervisorStatus::Up { since: Instant::now(), generation, unrestored: [].into() }
}

fn connecting(last_error: Option<Error>) -> SupervisorStatus {
    SupervisorStatus::Connecting { attempt: 2, next: Instant::now(), last_error }
}

/// Returns the problem, and the last error of a supervisor that is not connected.
fn problem<T>(result: Result<T, Error>) -> String {
    let Err(Error::Supervisor(error)) = result else { panic!("no error of the supervisor") };
    match error.problem() {
        SupervisorProblem::NotConnected { last_error: None } => "not connected".to_owned(),
        SupervisorProblem::NotConnected { last_error: Some(error) } => error.to_string(),
        SupervisorProblem::Timeout { limit, last_error } => {
            format!("{limit:?}, {}", last_error.is_some())
        }
        problem => problem.to_string(),
    }
}

/// Runs a test with a tor.
fn with_tor(test: impl FnOnce(&Arc<Tor>)) {
    let tor = FakeTor::script(|script| {
        script.greet().expect_end();
    });
    test(&Arc::new(Tor::from(tor.controller())));
    tor.finish();
}

/// Runs a call on a thread that has a name.
fn spawn<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().name("caller".to_owned()).spawn(call).unwrap()
}

#[test]
fn tasks_are_taken_once_and_the_end_of_the_connection_stays() {
    let shared = shared();
    let take = || {
        shared
            .wait_tasks(NONE)
            .map(|tasks| (tasks.ended.is_some(), tasks.conf_changed, tasks.services))
    };
    assert_eq!(take(), Some((false, false, false)));
    shared.add_task(|_, tasks| tasks.conf_changed = true);
    assert_eq!(take(), Some((false, true, false)));
    shared.add_task(|_, tasks| tasks.services = true);
    assert_eq!(take(), Some((false, false, true)));
    assert_eq!(take(), Some((false, false, false)));
    shared.set_ended(1, &Disconnect::EndOfStream);
    assert_eq!(take(), Some((false, false, false)), "no connection has this number");
    shared.set_ended(0, &Disconnect::EndOfStream);
    assert_eq!(take(), Some((true, false, false)));
    assert_eq!(take(), Some((true, false, false)));
    shared.stop();
    assert_eq!(take(), None);
}

#[test]
fn each_task_ends_the_wait_for_tasks() {
    let add: [fn(&Shared); 3] = [
        |shared| shared.add_task(|_, tasks| tasks.conf_changed = true),
        |shared| shared.add_task(|_, tasks| tasks.services = true),
        |shared| shared.set_ended(0, &Disconnect::EndOfStream),
    ];
    for add in add {
        let shared = shared();
        let waiting = Arc::clone(&shared);
        let waiter = spawn(move || {
            let begin = Instant::now();
            waiting.wait_tasks(LIMIT);
            begin.elapsed() < LIMIT
        });
        add(&shared);
        assert!(waiter.join().unwrap());
    }
}

#[test]
fn the_waits_of_the_thread_end_at_their_delay_at_the_end_of_the_connection_or_at_a_stop() {
    let shared = shared();
    assert!(shared.wait_ended(NONE) && shared.sleep(NONE) && !shared.is_stopping());
    shared.set_ended(0, &Disconnect::EndOfStream);
    assert!(!shared.wait_ended(LIMIT));
    assert!(shared.sleep(NONE), "a supervisor that connects again sleeps");
    shared.stop();
    assert!(!shared.wait_ended(LIMIT) && !shared.sleep(LIMIT) && shared.is_stopping());
    let other = self::shared();
    other.stop();
    assert!(!other.wait_ended(LIMIT) && !other.sleep(LIMIT));
    assert!(!other.wait_done(NONE));
    other.set_done();
    assert!(other.wait_done(LIMIT));
}

#[test]
fn a_thread_that_waits_for_the_end_of_the_work_is_woken() {
    let shared = shared();
    let waiting = Arc::clone(&shared);
    let waiter = spawn(move || {
        let begin = Instant::now();
        waiting.wait_done(LIMIT) && begin.elapsed() < LIMIT
    });
    shared.set_done();
    assert!(waiter.join().unwrap());
}

#[test]
fn a_final_status_stays() {
    let shared = shared();
    assert!(shared.ending().is_none());
    let error = Error::from(SupervisorError::new(SupervisorProblem::Changed));
    shared.set_status(SupervisorStatus::GivenUp(error.clone()));
    shared.set_status(connecting(None));
    assert_eq!(shared.status().to_string(), error.to_string());
    assert_eq!(shared.ending().unwrap().to_string(), error.to_string());
    assert_eq!(problem(shared.tor()), error.to_string());
    assert_eq!(problem(shared.wait_tor(deadline_after(LIMIT), LIMIT)), error.to_string());
    let wait = shared.wait_status(deadline_after(LIMIT), LIMIT, SupervisorStatus::is_up);
    assert_eq!(problem(wait), error.to_string());
    // The final status itself can be waited for.
    shared.wait_status(deadline_after(NONE), NONE, SupervisorStatus::is_final).unwrap();
}

#[test]
fn a_supervisor_that_is_stopping_has_ended_for_its_callers() {
    with_tor(|tor| {
        let shared = shared();
        shared.set_connected(tor);
        shared.set_status(up(1));
        shared.stop();
        assert_eq!(shared.ending().unwrap().to_string(), stopped().to_string());
        for status in [up(1), SupervisorStatus::Stopped] {
            shared.set_status(status);
            assert_eq!(problem(shared.tor()), stopped().to_string());
            assert_eq!(
                problem(shared.wait_tor(deadline_after(LIMIT), LIMIT)),
                stopped().to_string()
            );
        }
        drop(shared.take_tor(None));
    });
}

#[test]
fn listeners_of_the_status_and_of_losses_keep_their_order_when_one_is_removed() {
    let shared = shared();
    shared.notifications.start(drop).unwrap();
    let (called, calls) = unbounded();
    let add = |number: u64| {
        let [status, lost] = [called.clone(), called.clone()];
        let status: Box<dyn FnMut(&SupervisorStatus) + Send> =
            Box::new(move |_| status.send(("status", number)).unwrap());
        let lost: Box<dyn FnMut(u64) + Send> =
            Box::new(move |_| lost.send(("lost", number)).unwrap());
        let listeners = [Callback::Status(status), Callback::Lost(lost)].map(Listener::new);
        let [status, lost] = &listeners;
        assert!(shared.add_status_listener(Arc::clone(status)).is_ok());
        assert!(shared.notifications.add_listener_of_losses(Arc::clone(lost)).is_ok());
        listeners.map(|listener| listener.id())
    };
    let [first, ..] = [0, 1, 2].map(add);
    let next = || calls.recv_timeout(LIMIT).unwrap();
    assert_eq!([next(), next(), next()], [0, 1, 2].map(|number| ("status", number)));
    assert_eq!(first.map(|id| shared.remove_listener(id)), [true, true]);
    shared.set_status(up(1));
    assert_eq!([next(), next()], [1, 2].map(|number| ("status", number)));
    shared.notifications.lose_one();
    assert_eq!([next(), next()], [1, 2].map(|number| ("lost", number)));
}

#[test]
fn a_listener_that_is_added_after_the_end_is_dropped() {
    let shared = shared();
    shared.notifications.start(drop).unwrap();
    let (captured, is_dropped) = unbounded::<()>();
    let (of_status, of_losses) = (captured.clone(), captured);
    let of_status = Callback::Status(Box::new(move |_| drop(of_status.clone())));
    let of_losses = Callback::Lost(Box::new(move |_| drop(of_losses.clone())));
    // As a thread that asked whether the supervisor is running just before it ended.
    shared.set_status(SupervisorStatus::Stopped);
    shared.remove_listeners();
    let (_, error) = shared.add_status_listener(Listener::new(of_status)).err().unwrap();
    assert_eq!(error.to_string(), stopped().to_string());
    assert!(shared.notifications.add_listener_of_losses(Listener::new(of_losses)).is_err());
    assert_eq!(is_dropped.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_wait_for_a_status_ends_when_it_is_set_and_at_its_limit() {
    let shared = shared();
    let wait = shared.wait_status(deadline_after(NONE), NONE, SupervisorStatus::is_up);
    assert!(matches!(wait, Err(Error::Timeout(_))), "{wait:?}");
    let waiting = Arc::clone(&shared);
    let (asked, is_asked) = unbounded();
    let waiter = spawn(move || {
        waiting.wait_status(deadline_after(LIMIT), LIMIT, |status| {
            asked.send(()).unwrap();
            status.is_up()
        })
    });
    is_asked.recv_timeout(LIMIT).unwrap();
    shared.set_status(SupervisorStatus::Restoring);
    is_asked.recv_timeout(LIMIT).unwrap();
    shared.set_status(up(1));
    assert!(waiter.join().unwrap().unwrap().is_up());
}

#[test]
fn the_error_without_a_connection_has_the_latest_reason() {
    let shared = shared();
    let [tried, lost] = [Disconnect::Closed, Disconnect::Quit].map(Error::Closed);
    assert_eq!(problem(shared.tor()), "not connected");
    assert_eq!(problem(shared.wait_tor(deadline_after(NONE), NONE)), "0ns, false");
    assert!(shared.take_tor(Some(lost.clone())).is_none());
    assert_eq!(problem(shared.tor()), lost.to_string());
    assert_eq!(shared.last_error().unwrap().to_string(), lost.to_string());
    shared.set_status(connecting(Some(tried.clone())));
    assert_eq!(problem(shared.tor()), tried.to_string());
    assert_eq!(problem(shared.wait_tor(deadline_after(NONE), NONE)), "0ns, true");
    shared.set_ended(0, &Disconnect::EndOfStream);
    assert_eq!(problem(shared.tor()), Error::Closed(Disconnect::EndOfStream).to_string());
    // A connection that is restored needs no reason.
    shared.set_status(SupervisorStatus::Restoring);
    assert!(shared.last_error().is_some());
    shared.set_status(up(1));
    assert!(shared.last_error().is_none());
}

#[test]
fn a_canceled_wait_for_a_tor_ends() {
    let shared = shared();
    let is_canceled = Arc::new(AtomicBool::new(false));
    let (waiting, flag) = (Arc::clone(&shared), Arc::clone(&is_canceled));
    let waiter =
        spawn(move || waiting.wait_tor_unless(&flag, deadline_after(LIMIT), LIMIT).is_ok());
    shared.cancel_wait(&is_canceled);
    assert!(!waiter.join().unwrap());
    let outcome = shared.wait_tor_unless(&is_canceled, deadline_after(LIMIT), LIMIT);
    assert!(matches!(outcome, Err(Error::Canceled(_))));
}

#[test]
fn a_tor_can_be_had_while_it_is_up_and_its_connection_also_before() {
    with_tor(|tor| {
        let shared = shared();
        assert!(shared.connected().is_none());
        assert_eq!(shared.set_connected(tor), 1);
        assert_eq!(shared.connected().unwrap().1, 1);
        shared.set_status(SupervisorStatus::Restoring);
        assert_eq!(problem(shared.tor()), "not connected");
        let waiting = Arc::clone(&shared);
        let waiter =
            spawn(move || waiting.wait_tor(deadline_after(LIMIT), LIMIT).map(|(_, number)| number));
        shared.set_status(up(1));
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
        assert!(Arc::ptr_eq(&shared.tor().unwrap(), tor));
        shared.set_ended(1, &Disconnect::EndOfStream);
        assert!(shared.connected().is_none() && shared.tor().is_err());
        assert!(shared.wait_tor(deadline_after(NONE), NONE).is_err());
        // The next connection.
        assert_eq!(shared.set_connected(tor), 2);
        assert_eq!(shared.connected().unwrap().1, 2);
        shared.set_ended(1, &Disconnect::EndOfStream);
        assert!(shared.tor().is_ok(), "the former connection has ended before");
        assert!(Arc::ptr_eq(&shared.take_tor(None).unwrap(), tor));
        assert!(shared.connected().is_none() && shared.tor().is_err());
    });
}

#[test]
fn a_listener_of_the_status_gets_the_present_one_and_is_taken_by_its_id() {
    let shared = shared();
    let listener = || Listener::new(Callback::Status(Box::new(|_| {})));
    let [first, second] = [listener(), listener()];
    for listener in [&first, &second] {
        assert!(shared.add_status_listener(Arc::clone(listener)).is_ok());
    }
    assert_eq!(shared.take_status_listener(second.id()).unwrap().listener.id(), second.id());
    assert!(shared.take_status_listener(second.id()).is_none());
    let left = shared.take_status_listeners();
    assert_eq!(left.iter().map(|left| left.listener.id()).collect::<Vec<_>>(), [first.id()]);
    assert!(shared.take_status_listeners().is_empty());
}
