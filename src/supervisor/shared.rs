//! The state that the threads of a supervisor share.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::notify::{Listener, Notifications, StatusListener};
use super::options::SupervisorOptions;
use super::parts::{Kept, ServiceEntry, SubscriptionEntry};
use super::settings::Settings;
use super::status::SupervisorStatus;
use crate::clock::{self, deadline_after};
use crate::controller::Controller;
use crate::error::{
    Canceled, Disconnect, Error, Result, SupervisorError, SupervisorProblem, Timeout, Wait,
};
use crate::link::{CancelToken, ListenerId, timeout};
use crate::state::State;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, ReentrantMutex, ReentrantMutexGuard};
use crate::tor::Tor;

/// The state that the threads of a supervisor share.
///
/// Lock order: the lock of `settings`, `state` (both held across commands), `present`, the queue of
/// `notifications`. The other locks are leaf locks. No closure of the program is called or dropped
/// under any of them, but loggers, which the commands call.
pub(super) struct Shared {
    pub(super) options: SupervisorOptions,
    /// The limit of each queue of events, in bytes.
    pub(super) event_limit: usize,
    pub(super) notifications: Arc<Notifications>,
    /// Cancels the attempts when the supervisor is stopped.
    pub(super) cancel: CancelToken,
    present: Mutex<Present>,
    changed: Condvar,
    pub(super) settings: Settings,
    pub(super) subscriptions: Mutex<Kept<SubscriptionEntry>>,
    pub(super) services: Mutex<Kept<ServiceEntry>>,
    /// `None` until it is first requested. Reentrant, since a logger that a command calls may request
    /// it.
    state: ReentrantMutex<RefCell<Option<State>>>,
}

struct Present {
    status: SupervisorStatus,
    /// The number of changes of the status.
    version: u64,
    /// The tor, from the moment when its connection is made.
    tor: Option<Arc<Tor>>,
    generation: u64,
    last_error: Option<Error>,
    stopping: bool,
    tasks: Tasks,
    listeners: Vec<Arc<StatusListener>>,
    /// Whether the supervisor's thread has done its work.
    done: bool,
}

/// The tasks of the supervisor's thread.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// The connection has ended.
    pub(super) ended: Option<Disconnect>,
    /// Options may have been changed by others.
    pub(super) conf_changed: bool,
    /// A service was added on a connection that has ended since, or was closed without one.
    pub(super) services: bool,
}

impl Tasks {
    fn any(&self) -> bool {
        self.ended.is_some() || self.conf_changed || self.services
    }
}

impl Shared {
    pub(super) fn new(options: SupervisorOptions, event_limit: usize) -> Self {
        let status =
            SupervisorStatus::Connecting { attempt: 1, next: clock::now(), last_error: None };
        let present = Present {
            status,
            version: 0,
            tor: None,
            generation: 0,
            last_error: None,
            stopping: false,
            tasks: Tasks::default(),
            listeners: Vec::new(),
            done: false,
        };
        Self {
            options,
            event_limit,
            notifications: Notifications::new(event_limit),
            cancel: CancelToken::new(),
            present: Mutex::new(present),
            changed: Condvar::new(),
            settings: Settings::default(),
            subscriptions: Mutex::default(),
            services: Mutex::default(),
            state: ReentrantMutex::default(),
        }
    }

    /// Waits until no other thread makes or moves the state. An error reports `limit`.
    pub(super) fn lock_state(
        &self,
        deadline: Instant,
        limit: Duration,
    ) -> Result<ReentrantMutexGuard<'_, RefCell<Option<State>>>> {
        let guard = self.state.try_lock_until(deadline);
        guard.ok_or_else(|| timeout("GETINFO", limit).into())
    }

    pub(super) fn status(&self) -> SupervisorStatus {
        self.present.lock().status.clone()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.present.lock().stopping
    }

    /// Returns the tor if the status is [`Up`](SupervisorStatus::Up).
    pub(super) fn tor(&self) -> Result<Arc<Tor>> {
        let present = self.present.lock();
        if let Some(ending) = present.ending() {
            return Err(ending);
        }
        match (&present.status, &present.tor) {
            (SupervisorStatus::Up { .. }, Some(tor)) if present.tasks.ended.is_none() => {
                Ok(Arc::clone(tor))
            }
            _ => Err(present.error(None)),
        }
    }

    /// Waits for [`Up`](SupervisorStatus::Up). Returns the tor with its generation.
    pub(super) fn wait_tor(&self, deadline: Instant, limit: Duration) -> Result<(Arc<Tor>, u64)> {
        self.wait_tor_unless(&AtomicBool::new(false), deadline, limit)
    }

    /// Waits as [`wait_tor`](Self::wait_tor) does, until [`cancel_wait`](Self::cancel_wait) sets the
    /// flag.
    pub(super) fn wait_tor_unless(
        &self,
        is_canceled: &AtomicBool,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(Arc<Tor>, u64)> {
        let mut present = self.present.lock();
        loop {
            if is_canceled.load(Ordering::Relaxed) {
                return Err(Canceled::new(Wait::Publication).into());
            }
            if let Some(ending) = present.ending() {
                return Err(ending);
            }
            if let (true, Some(tor)) = (present.status.is_up(), &present.tor) {
                if present.tasks.ended.is_none() {
                    return Ok((Arc::clone(tor), present.generation));
                }
            }
            if clock::wait_until(&self.changed, &mut present, deadline) {
                return Err(present.error(Some(limit)));
            }
        }
    }

    /// Ends a wait for a tor.
    pub(super) fn cancel_wait(&self, is_canceled: &AtomicBool) {
        // Under the lock, so that a thread between its check and its wait is woken.
        let present = self.present.lock();
        is_canceled.store(true, Ordering::Relaxed);
        drop(present);
        self.changed.notify_all();
    }

    /// Waits for a status. An error reports `limit`.
    pub(super) fn wait_status(
        &self,
        deadline: Instant,
        limit: Duration,
        mut is_wanted: impl FnMut(&SupervisorStatus) -> bool,
    ) -> Result<SupervisorStatus> {
        let mut present = self.present.lock();
        loop {
            let (version, status) = (present.version, present.status.clone());
            // The closure of the program runs without the lock.
            if MutexGuard::unlocked(&mut present, || is_wanted(&status)) {
                return Ok(status);
            }
            while present.version == version {
                if status.is_final() {
                    return Err(present.error(None));
                }
                if clock::wait_until(&self.changed, &mut present, deadline) {
                    return Err(Timeout::new(Wait::Status, limit).into());
                }
            }
        }
    }

    /// Returns the tor of the present connection and its generation, also while it is restored.
    pub(super) fn connected(&self) -> Option<(Controller, u64)> {
        let present = self.present.lock();
        let tor = present.tor.as_ref().filter(|_| present.tasks.ended.is_none())?;
        Some((tor.controller().clone(), present.generation))
    }

    /// Records a new connection, and returns its generation.
    pub(super) fn set_connected(&self, tor: &Arc<Tor>) -> u64 {
        let mut present = self.present.lock();
        present.tor = Some(Arc::clone(tor));
        present.generation += 1;
        present.tasks = Tasks::default();
        present.generation
    }

    /// Records the end of the connection of a generation.
    pub(super) fn set_ended(&self, generation: u64, reason: &Disconnect) {
        self.add_task(|generation_now, tasks| {
            if generation_now == generation {
                tasks.ended.get_or_insert_with(|| reason.clone());
            }
        });
    }

    pub(super) fn add_task(&self, add: impl FnOnce(u64, &mut Tasks)) {
        let mut present = self.present.lock();
        let generation = present.generation;
        add(generation, &mut present.tasks);
        drop(present);
        self.changed.notify_all();
    }

    /// Takes the connection away.
    pub(super) fn take_tor(&self, last_error: Option<Error>) -> Option<Arc<Tor>> {
        let mut present = self.present.lock();
        present.last_error = last_error;
        present.tor.take()
    }

    /// Waits for tasks, for at most `limit`, and takes them. Returns `None` if the supervisor is
    /// stopping.
    pub(super) fn wait_tasks(&self, limit: Duration) -> Option<Tasks> {
        let deadline = deadline_after(limit);
        let mut present = self.present.lock();
        let is_idle = |present: &mut Present| !present.stopping && !present.tasks.any();
        clock::wait_while_until(&self.changed, &mut present, is_idle, deadline);
        if present.stopping {
            return None;
        }
        let ended = present.tasks.ended.clone();
        // The end stays visible for `connected`.
        Some(std::mem::replace(&mut present.tasks, Tasks { ended, ..Tasks::default() }))
    }

    /// Waits for a delay. Returns `false` if the connection has ended or the supervisor is stopping.
    pub(super) fn wait_ended(&self, delay: Duration) -> bool {
        let deadline = deadline_after(delay);
        let mut present = self.present.lock();
        let goes_on = |present: &mut Present| !present.stopping && present.tasks.ended.is_none();
        clock::wait_while_until(&self.changed, &mut present, goes_on, deadline);
        goes_on(&mut present)
    }

    /// Waits for a delay. Returns `false` if the supervisor is stopping.
    pub(super) fn sleep(&self, delay: Duration) -> bool {
        let deadline = deadline_after(delay);
        let mut present = self.present.lock();
        let is_running = |present: &mut Present| !present.stopping;
        clock::wait_while_until(&self.changed, &mut present, is_running, deadline);
        !present.stopping
    }

    /// Sets the status, unless the supervisor has ended, and notifies the listeners.
    pub(super) fn set_status(&self, status: SupervisorStatus) {
        let mut present = self.present.lock();
        if present.status.is_final() {
            return;
        }
        if let SupervisorStatus::Up { .. } = status {
            present.last_error = None;
        }
        present.version += 1;
        let kept = |listener: &&Arc<StatusListener>| listener.keep(status.clone());
        let listeners: Vec<_> = present.listeners.iter().filter(kept).cloned().collect();
        present.status = status;
        drop(present);
        self.changed.notify_all();
        for listener in listeners {
            self.notifications.status(listener);
        }
    }

    /// Adds a listener of the status, which gets the present one first. Returns it if the supervisor
    /// has ended, since nothing would remove it.
    pub(super) fn add_status_listener(
        &self,
        listener: Arc<Listener>,
    ) -> Result<(), (Arc<Listener>, Error)> {
        let mut present = self.present.lock();
        if present.status.is_final() {
            return Err((listener, present.error(None)));
        }
        let listener = StatusListener::new(listener);
        listener.keep(present.status.clone());
        present.listeners.push(Arc::clone(&listener));
        drop(present);
        self.notifications.status(listener);
        Ok(())
    }

    /// Takes a listener of the status.
    pub(super) fn take_status_listener(&self, id: ListenerId) -> Option<Arc<StatusListener>> {
        let mut present = self.present.lock();
        let listeners = &mut present.listeners;
        let index = listeners.iter().position(|listener| listener.listener.id() == id)?;
        Some(listeners.remove(index))
    }

    /// Takes every listener of the status.
    pub(super) fn take_status_listeners(&self) -> Vec<Arc<StatusListener>> {
        std::mem::take(&mut self.present.lock().listeners)
    }

    /// Returns why the last connection ended.
    pub(super) fn last_error(&self) -> Option<Error> {
        self.present.lock().last_error.clone()
    }

    /// Asks the supervisor's thread to end, and cancels its attempt.
    pub(super) fn stop(&self) {
        self.present.lock().stopping = true;
        self.changed.notify_all();
        self.cancel.cancel();
    }

    /// Records that the supervisor's thread has done its work.
    pub(super) fn set_done(&self) {
        self.present.lock().done = true;
        self.changed.notify_all();
    }

    /// Waits until the supervisor's thread has done its work, for at most `limit`.
    pub(super) fn wait_done(&self, limit: Duration) -> bool {
        let mut present = self.present.lock();
        let is_working = |present: &mut Present| !present.done;
        clock::wait_while_until(&self.changed, &mut present, is_working, deadline_after(limit));
        present.done
    }

    /// Returns the error of a supervisor that has ended or is stopping.
    pub(super) fn ending(&self) -> Option<Error> {
        self.present.lock().ending()
    }
}

impl Present {
    /// Returns the error of a supervisor that has ended or is stopping.
    fn ending(&self) -> Option<Error> {
        match &self.status {
            SupervisorStatus::GivenUp(error) => Some(error.clone()),
            SupervisorStatus::Stopped => Some(stopped()),
            _ if self.stopping => Some(stopped()),
            _ => None,
        }
    }

    /// Returns the error of a call that needs a tor; `limit` is that of a wait that reached it.
    fn error(&self, limit: Option<Duration>) -> Error {
        match &self.status {
            SupervisorStatus::GivenUp(error) => return error.clone(),
            SupervisorStatus::Stopped => return stopped(),
            _ => {}
        }
        let of_status = match &self.status {
            SupervisorStatus::Connecting { last_error, .. } => last_error.clone(),
            _ => None,
        };
        let ended = self.tasks.ended.clone().map(Error::Closed);
        let last_error = ended.or(of_status).or_else(|| self.last_error.clone());
        let problem = match limit {
            Some(limit) => SupervisorProblem::Timeout { limit, last_error },
            None => SupervisorProblem::NotConnected { last_error },
        };
        SupervisorError::new(problem).into()
    }
}

pub(super) fn stopped() -> Error {
    SupervisorError::new(SupervisorProblem::Stopped).into()
}

#[cfg(test)]
mod tests;
