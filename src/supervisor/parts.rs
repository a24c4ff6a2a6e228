//! The subscriptions and the services of a supervisor.

use std::io;
use std::sync::Arc;

use super::notify::Listener;
use super::shared::Shared;
use super::subscription::Subscription;
use crate::error::Error;
use crate::link::{ListenerId, drop_quietly};
use crate::onion::SupervisedService;
use crate::sync::thread::{self, ScopedJoinHandle};

/// The members of a list, until the supervisor ends.
pub(super) struct Kept<T> {
    pub(super) entries: Vec<T>,
    /// Why the supervisor has ended. No member is added after that.
    ended: Option<Error>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), ended: None }
    }
}

impl<T> Kept<T> {
    /// Adds a member. Returns it if the supervisor has ended.
    pub(super) fn add(&mut self, entry: T) -> Result<(), (T, Error)> {
        match &self.ended {
            Some(reason) => Err((entry, reason.clone())),
            None => {
                self.entries.push(entry);
                Ok(())
            }
        }
    }

    /// Records that the supervisor has ended.
    fn end(&mut self, reason: &Error) -> &mut Vec<T> {
        self.ended.get_or_insert_with(|| reason.clone());
        &mut self.entries
    }
}

/// A subscription, and its listener if it has one.
pub(super) struct SubscriptionEntry {
    pub(super) subscription: Arc<Subscription>,
    pub(super) listener: Option<Arc<Listener>>,
}

impl SubscriptionEntry {
    pub(super) fn end(self) {
        self.subscription.end();
        if let Some(listener) = self.listener {
            drop_quietly(listener.remove());
        }
    }
}

/// A service, and the connection on which it was added last.
pub(super) struct ServiceEntry {
    pub(super) service: Arc<dyn SupervisedService>,
    pub(super) generation: u64,
}

impl Kept<ServiceEntry> {
    /// Removes the services that have ended.
    fn take_over(&mut self) -> Vec<ServiceEntry> {
        let entries = std::mem::take(&mut self.entries);
        let (over, left) = entries.into_iter().partition(|entry| entry.service.is_over());
        self.entries = left;
        over
    }
}

/// How many services are added or removed at once: each waits for tor's answers.
const PARALLEL: usize = 8;

/// Calls a function with each service, some at once, and returns the results in order.
pub(super) fn in_parallel<T: Send>(
    services: &[Arc<dyn SupervisedService>],
    call: impl Fn(&Arc<dyn SupervisedService>) -> T + Sync,
) -> Vec<T> {
    let call = &call;
    let chunk = |services: &[Arc<dyn SupervisedService>]| {
        thread::scope(|scope| {
            let threads: Vec<_> = services
                .iter()
                .map(|service| {
                    let thread = thread::Builder::new().name("torcon-restore".to_owned());
                    (service, thread.spawn_scoped(scope, move || call(service)))
                })
                .collect();
            let result = |(service, thread): (_, io::Result<ScopedJoinHandle<'_, T>>)| {
                // Without a thread, or after a panic of a logger on it, this one calls the function.
                thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| call(service))
            };
            threads.into_iter().map(result).collect::<Vec<_>>()
        })
    };
    match services {
        [only] => vec![call(only)],
        several => several.chunks(PARALLEL).flat_map(chunk).collect(),
    }
}

impl Shared {
    /// Removes a listener, of whatever kind. Returns whether it was registered.
    pub(super) fn remove_listener(&self, id: ListenerId) -> bool {
        let is_it = |listener: &Listener| listener.id() == id;
        if let Some(removed) = self.take_status_listener(id) {
            drop_quietly(removed.listener.remove());
            return true;
        }
        self.remove_subscription(|entry| entry.listener.as_deref().is_some_and(is_it))
            || self.notifications.remove_listener_of_losses(id)
    }

    /// Removes a subscription. Returns whether it was registered.
    pub(super) fn remove_subscription(&self, is_it: impl Fn(&SubscriptionEntry) -> bool) -> bool {
        let mut entries = self.subscriptions.lock();
        let index = entries.entries.iter().position(is_it);
        let removed = index.map(|index| entries.entries.remove(index));
        drop(entries);
        removed.is_some_and(|entry| {
            entry.end();
            true
        })
    }

    /// Ends every subscription, since the supervisor has ended. Queued events are still delivered.
    pub(super) fn end_subscriptions(&self, reason: &Error) {
        let subscriptions: Vec<_> = {
            let mut kept = self.subscriptions.lock();
            kept.end(reason).iter().map(|entry| Arc::clone(&entry.subscription)).collect()
        };
        for subscription in subscriptions {
            subscription.finish(reason);
        }
    }

    /// Removes every listener: those of events now, those of the status when they have got the last
    /// one. Does not wait.
    pub(super) fn remove_listeners(&self) {
        let entries = std::mem::take(&mut self.subscriptions.lock().entries);
        entries.into_iter().for_each(SubscriptionEntry::end);
        self.notifications.end(self.take_status_listeners());
    }

    /// Ends every service, since the supervisor has ended.
    pub(super) fn end_services(&self, reason: &Error) {
        let services = std::mem::take(self.services.lock().end(reason));
        let services: Vec<_> = services.into_iter().map(|entry| entry.service).collect();
        in_parallel(&services, |service| service.end(reason));
    }

    /// Records that a service was added on a connection.
    pub(super) fn add_service(&self, service: Arc<dyn SupervisedService>, generation: u64) {
        let (over, added) = {
            let mut services = self.services.lock();
            let over = services.take_over();
            (over, services.add(ServiceEntry { service, generation }))
        };
        drop(over);
        if let Err((entry, reason)) = added {
            return entry.service.end(&reason);
        }
        // If the connection has ended meanwhile, the thread adds the service on the next one.
        self.add_task(|_, tasks| tasks.services = true);
    }

    pub(super) fn set_restored(&self, service: &Arc<dyn SupervisedService>, generation: u64) {
        let mut services = self.services.lock();
        let is_it = |entry: &&mut ServiceEntry| Arc::ptr_eq(&entry.service, service);
        if let Some(entry) = services.entries.iter_mut().find(is_it) {
            entry.generation = generation;
        }
    }

    pub(super) fn forget_service(&self, service: &Arc<dyn SupervisedService>) {
        let mut services = self.services.lock();
        let is_it = |entry: &ServiceEntry| Arc::ptr_eq(&entry.service, service);
        let index = services.entries.iter().position(is_it);
        let forgotten = index.map(|index| services.entries.remove(index));
        drop(services);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests;
