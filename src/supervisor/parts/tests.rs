//! The parts that a supervisor keeps, without a connection.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Kept, PARALLEL, ServiceEntry, SubscriptionEntry, in_parallel};
use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::link::EventBatch;
use crate::names::{OnionAddress, OnionKey};
use crate::onion::SupervisedService;
use crate::supervisor::SupervisorOptions;
use crate::supervisor::notify::{Callback, Listener};
use crate::supervisor::shared::{Shared, stopped};
use crate::supervisor::subscription::{Sink, Subscription};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A service that records its end.
#[derive(Default)]
struct Service {
    number: u8,
    is_over: AtomicBool,
    ended: Mutex<Vec<String>>,
}

impl SupervisedService for Service {
    fn address(&self) -> OnionAddress {
        OnionKey::from_seed([self.number; 32]).address()
    }

    fn restore(&self, _: &Controller) -> Result<bool> {
        Ok(true)
    }

    fn end(&self, reason: &Error) {
        self.ended.lock().push(reason.to_string());
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

fn services(count: usize) -> (Vec<Arc<Service>>, Vec<Arc<dyn SupervisedService>>) {
    let service = |number| Arc::new(Service { number, ..Service::default() });
    let services: Vec<_> = (0..).map(service).take(count).collect();
    let shared = services.iter().cloned().map(|service| -> Arc<dyn SupervisedService> { service });
    let shared = shared.collect();
    (services, shared)
}

fn shared() -> Shared {
    Shared::new(SupervisorOptions::new(), 1 << 20)
}

fn generations(shared: &Shared) -> Vec<u64> {
    shared.services.lock().entries.iter().map(|entry| entry.generation).collect()
}

/// A receiver of events that records the end.
#[derive(Default)]
struct Ends(Mutex<Vec<String>>);

impl Sink for Ends {
    fn events(&self, _: &EventBatch<'_>) {}

    fn lose(&self, _: &EventBatch<'_>) {}

    fn reconnected(&self, _: Duration) -> bool {
        true
    }

    fn end(&self, reason: &Error) {
        self.0.lock().push(reason.to_string());
    }
}

fn subscription(sink: &Arc<Ends>, listener: Option<&Arc<Listener>>) -> SubscriptionEntry {
    let sink: Arc<dyn Sink> = sink.clone();
    let subscription = Subscription::new([].into(), sink);
    SubscriptionEntry { subscription, listener: listener.cloned() }
}

/// Returns a listener, and whether its closure still exists.
fn listener(callback: impl FnOnce(Arc<()>) -> Callback) -> (Arc<Listener>, Weak<()>) {
    let held = Arc::new(());
    let is_held = Arc::downgrade(&held);
    (Listener::new(callback(held)), is_held)
}

fn of_marker(held: Arc<()>) -> Callback {
    Callback::Reconnected(Box::new(move |_| drop(Arc::clone(&held))))
}

fn of_losses(held: Arc<()>) -> Callback {
    Callback::Lost(Box::new(move |_| drop(Arc::clone(&held))))
}

fn of_status(held: Arc<()>) -> Callback {
    Callback::Status(Box::new(move |_| drop(Arc::clone(&held))))
}

#[test]
fn the_results_of_parallel_calls_are_in_the_order_of_the_services() {
    for count in [0, 1, 2, PARALLEL, 2 * PARALLEL + 1] {
        let (_, services) = services(count);
        let addresses: Vec<_> = services.iter().map(|service| service.address()).collect();
        assert_eq!(in_parallel(&services, |service| service.address()), addresses);
    }
    // Without a result of its thread, this one makes the call.
    let (_, services) = services(2);
    let caller = std::thread::current().id();
    let call = |_: &Arc<dyn SupervisedService>| {
        assert_eq!(std::thread::current().id(), caller);
        1
    };
    assert_eq!(in_parallel(&services, call), [1, 1]);
}

#[test]
fn nothing_is_added_after_the_end_which_keeps_its_first_reason() {
    let mut kept = Kept::default();
    kept.add(1).unwrap();
    let reason = Error::Closed(crate::error::Disconnect::Quit);
    assert_eq!(*kept.end(&reason), [1]);
    assert_eq!(*kept.end(&stopped()), [1]);
    let (entry, found) = kept.add(2).unwrap_err();
    assert_eq!((entry, found.to_string()), (2, reason.to_string()));
    assert_eq!(kept.entries, [1]);
}

#[test]
fn a_service_is_kept_until_it_is_over_or_forgotten_and_ended_with_the_supervisor() {
    let shared = shared();
    let (own, services) = services(4);
    for (generation, service) in (1..).zip(&services[..3]) {
        shared.add_service(Arc::clone(service), generation);
    }
    // The thread looks whether its connection still exists.
    assert!(shared.wait_tasks(Duration::ZERO).unwrap().services);
    assert_eq!(generations(&shared), [1, 2, 3]);
    shared.set_restored(&services[1], 9);
    assert_eq!(generations(&shared), [1, 9, 3]);
    shared.forget_service(&services[0]);
    shared.forget_service(&services[0]);
    assert_eq!(generations(&shared), [9, 3]);
    own[1].is_over.store(true, Ordering::Relaxed);
    shared.add_service(Arc::clone(&services[0]), 10);
    assert_eq!(generations(&shared), [3, 10]);
    shared.end_services(&stopped());
    assert!(generations(&shared).is_empty());
    let ends = |service: &Arc<Service>| service.ended.lock().clone();
    let reason = stopped().to_string();
    assert_eq!([&own[0], &own[2]].map(ends), [[reason.as_str()], [reason.as_str()]]);
    assert!(ends(&own[1]).is_empty(), "it was over before");
    // One that is added too late is ended at once.
    shared.add_service(Arc::clone(&services[3]), 10);
    assert_eq!(ends(&own[3]), [reason]);
    assert!(generations(&shared).is_empty());
}

#[test]
fn only_services_that_are_over_are_taken() {
    let (own, services) = services(3);
    let mut kept = Kept::default();
    for service in services {
        assert!(kept.add(ServiceEntry { service, generation: 1 }).is_ok());
    }
    own[1].is_over.store(true, Ordering::Relaxed);
    let over = kept.take_over();
    assert_eq!(over.len(), 1);
    assert_eq!(over[0].service.address(), own[1].address());
    assert_eq!(kept.entries.len(), 2);
}

#[test]
fn a_listener_of_any_kind_is_removed_by_its_id_and_its_closure_dropped() {
    let shared = shared();
    let sink = Arc::new(Ends::default());
    let (first, of_first) = listener(of_marker);
    let (second, of_second) = listener(of_marker);
    let (losses, closure_of_losses) = listener(of_losses);
    let (status, closure_of_status) = listener(of_status);
    let entries = [None, Some(&first), Some(&second)].map(|of| subscription(&sink, of));
    for entry in entries {
        assert!(shared.subscriptions.lock().add(entry).is_ok());
    }
    assert!(shared.notifications.add_listener_of_losses(Arc::clone(&losses)).is_ok());
    assert!(shared.add_status_listener(Arc::clone(&status)).is_ok());
    let all = [&of_first, &of_second, &closure_of_losses, &closure_of_status];
    let held = || all.map(|closure| closure.upgrade().is_some());
    assert_eq!(held(), [true; 4]);
    for (listener, left) in [
        (&second, [true, false, true, true]),
        (&status, [true, false, true, false]),
        (&losses, [true, false, false, false]),
    ] {
        assert!(shared.remove_listener(listener.id()));
        assert_eq!(held(), left);
        assert!(!shared.remove_listener(listener.id()), "it was removed");
    }
    assert_eq!(shared.subscriptions.lock().entries.len(), 2);
    assert!(sink.0.lock().is_empty(), "the supervisor has not ended");
}

#[test]
fn subscriptions_and_listeners_end_with_the_supervisor() {
    let shared = shared();
    let sinks = [Arc::new(Ends::default()), Arc::new(Ends::default())];
    let (marker, of_marker) = listener(of_marker);
    for (sink, listener) in sinks.iter().zip([None, Some(&marker)]) {
        assert!(shared.subscriptions.lock().add(subscription(sink, listener)).is_ok());
    }
    shared.end_subscriptions(&stopped());
    for sink in &sinks {
        assert_eq!(*sink.0.lock(), [stopped().to_string()]);
    }
    assert!(shared.subscriptions.lock().add(subscription(&sinks[0], None)).is_err());
    assert!(of_marker.upgrade().is_some(), "queued events are still delivered");
    let (status, of_status) = listener(of_status);
    shared.notifications.start(|_| {}).unwrap();
    assert!(shared.add_status_listener(status).is_ok());
    shared.remove_listeners();
    assert!(shared.subscriptions.lock().entries.is_empty());
    assert!(of_marker.upgrade().is_none());
    shared.notifications.wait_ended();
    assert!(of_status.upgrade().is_none());
}
