//! `SETEVENTS`: keeps tor's set of events equal to that of the listeners and hooks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::command::{Command, SetEvents};
use crate::controller::Controller;
use crate::error::{Error, InvalidInput, Result, Timeout};
use crate::event::EventKind;
use crate::link::{EventCallback, EventHook, EventListener, ListenerId, timeout};
use crate::sync::{Mutex, ReentrantMutex, ReentrantMutexGuard};

/// How often one call sends `SETEVENTS`. The first is enough, unless a logger changes the listeners
/// of the connection each time that it logs the command.
const ATTEMPTS: usize = 3;

/// The events to which this connection is subscribed.
#[derive(Debug, Default)]
pub(in crate::controller) struct Subscription {
    /// Held during a `SETEVENTS`, since a refusal must restore the set before it. Reentrant: a
    /// logger that the command calls may add a listener.
    updating: ReentrantMutex<()>,
    /// A leaf lock.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The set that tor has accepted; `None` if the last `SETEVENTS` failed without an answer.
    active: Option<BTreeSet<EventKind>>,
    /// The number of `SETEVENTS` that were begun.
    updates: u64,
    /// Whether a hook was removed after [`Controller::send_outdated`] had last read the wanted set.
    is_outdated: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { active: Some(BTreeSet::new()), updates: 0, is_outdated: false }
    }
}

impl Subscription {
    pub(in crate::controller) fn kinds(&self) -> Vec<EventKind> {
        self.state.lock().active.iter().flatten().cloned().collect()
    }

    /// Begins a `SETEVENTS` and returns its number, unless this set is active.
    fn begin(&self, wanted: &BTreeSet<EventKind>) -> Option<u64> {
        let mut state = self.state.lock();
        if state.active.as_ref() == Some(wanted) {
            return None;
        }
        state.updates += 1;
        Some(state.updates)
    }

    /// Records the set that a `SETEVENTS` made active, and returns whether that is certain: if a
    /// logger has sent another one meanwhile, tor may have executed either of them last.
    fn finish(&self, update: u64, kinds: Option<BTreeSet<EventKind>>) -> bool {
        let mut state = self.state.lock();
        let is_certain = state.updates == update || state.active == kinds;
        state.active = kinds.filter(|_| is_certain);
        is_certain
    }
}

/// Keeps other threads from sending `SETEVENTS`.
struct Updating<'a> {
    controller: &'a Controller,
    lock: Option<ReentrantMutexGuard<'a, ()>>,
}

impl Drop for Updating<'_> {
    fn drop(&mut self) {
        self.lock = None;
        // A hook that was removed meanwhile found the lock held.
        self.controller.send_outdated();
    }
}

/// A hook and its subscription. Dropping it ends both, without waiting for tor.
pub(crate) struct HookGuard {
    controller: Controller,
    id: ListenerId,
}

impl HookGuard {
    pub(super) fn new(controller: &Controller, id: ListenerId) -> Self {
        Self { controller: controller.clone(), id }
    }
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        self.controller.inner.link.remove_hook(self.id);
        self.controller.unsubscribe();
    }
}

impl Controller {
    /// Adds a hook, which sees events of some kinds on the reader thread, and subscribes to them.
    pub(crate) fn hook(&self, kinds: &[EventKind], hook: Arc<dyn EventHook>) -> Result<HookGuard> {
        self.hook_before(kinds, hook, self.deadline())
    }

    /// Adds a hook within the deadline of a longer call.
    pub(crate) fn hook_before(
        &self,
        kinds: &[EventKind],
        hook: Arc<dyn EventHook>,
        deadline: Instant,
    ) -> Result<HookGuard> {
        let link = &self.inner.link;
        let add = || Ok(link.add_hook(kinds, hook));
        let id = self.subscribe(kinds, deadline, add, |id| link.remove_hook(id))?;
        Ok(HookGuard::new(self, id))
    }

    pub(super) fn listen(
        &self,
        kinds: &[EventKind],
        callback: EventCallback,
    ) -> Result<ListenerId> {
        let link = &self.inner.link;
        // Kept until the lock is released: a refused closure is dropped without it.
        let listener = EventListener::new(callback);
        let add = || {
            link.add_listener(kinds, Arc::clone(&listener))?;
            Ok(listener.id())
        };
        let deadline = self.deadline();
        self.subscribe(kinds, deadline, add, |id| link.remove_listener(id))
    }

    /// Adds a hook or listener, and removes it if tor refuses the subscription.
    fn subscribe<T>(
        &self,
        kinds: &[EventKind],
        deadline: Instant,
        add: impl FnOnce() -> Result<ListenerId>,
        remove: impl FnOnce(ListenerId) -> Option<T>,
    ) -> Result<ListenerId> {
        if kinds.is_empty() {
            return Err(InvalidInput::new("kinds", "none is given").into());
        }
        // Declared before the lock, so that a removed closure is dropped after its release.
        let _removed;
        let _updating = self.lock_subscription(deadline)?;
        if let Some(reason) = self.closed_reason() {
            return Err(reason.into());
        }
        // Added before the subscription, so that no event is missed.
        let id = add()?;
        if let Err(error) = self.update_subscription(deadline) {
            _removed = remove(id);
            return Err(error);
        }
        Ok(id)
    }

    /// Removes a listener, and returns whether it existed.
    pub(super) fn unlisten(&self, listener: ListenerId) -> Result<bool> {
        // Removed before any step that can fail, and dropped before any step that can wait.
        let existed = self.inner.link.remove_listener(listener).is_some();
        let deadline = self.deadline();
        let _updating = self.lock_subscription(deadline)?;
        self.update_subscription(deadline)?;
        Ok(existed)
    }

    /// Sends `SETEVENTS` if the wanted set is not active. The lock must be held.
    fn update_subscription(&self, deadline: Instant) -> Result<()> {
        let subscription = &self.inner.subscription;
        for _ in 0..ATTEMPTS {
            let wanted = self.inner.link.wanted_events();
            let Some(update) = subscription.begin(&wanted) else { return Ok(()) };
            let command = SetEvents::new(wanted.iter().map(EventKind::as_str));
            match self.execute_before(&command, deadline) {
                Ok(_) if subscription.finish(update, Some(wanted)) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    // A refused command changes nothing, and an invalid one is not sent.
                    let is_unchanged =
                        error.status_code().is_some() || matches!(error, Error::InvalidInput(_));
                    if !is_unchanged {
                        subscription.finish(update, None);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Waits until no other thread sends `SETEVENTS`.
    fn lock_subscription(&self, deadline: Instant) -> Result<Updating<'_>, Timeout> {
        match self.inner.subscription.updating.try_lock_until(deadline) {
            Some(lock) => Ok(Updating { controller: self, lock: Some(lock) }),
            None => Err(timeout(SetEvents::KEYWORD, self.timeout())),
        }
    }

    /// Sends `SETEVENTS` after the removal of a hook, if the wanted set is not active. Never blocks:
    /// if another thread holds the lock, that thread does this when it has released it.
    fn unsubscribe(&self) {
        self.inner.subscription.state.lock().is_outdated = true;
        self.send_outdated();
    }

    fn send_outdated(&self) {
        let subscription = &self.inner.subscription;
        while subscription.state.lock().is_outdated {
            let Some(updating) = subscription.updating.try_lock() else { return };
            subscription.state.lock().is_outdated = false;
            let wanted = self.inner.link.wanted_events();
            if let Some(update) = subscription.begin(&wanted) {
                let command = SetEvents::new(wanted.iter().map(EventKind::as_str));
                let sent = self.send_unawaited(&command);
                subscription.finish(update, sent.is_ok().then_some(wanted));
            }
            drop(updating);
        }
    }
}
