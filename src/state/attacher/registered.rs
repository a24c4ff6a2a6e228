//! The attachers of a state, which are set on one connection after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach_loop::{Attacher, AttacherId, Message};
use super::service::{AttachGuard, is_left_on};
use super::worker::ChoiceRequest;
use crate::clock::deadline_after;
use crate::error::Result;
use crate::names::StreamStatus;
use crate::state::State;
use crate::state::generation::Generation;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::channel::Sender;

/// An attacher: its closure, which runs on a separate thread, and the connection on which it is
/// set.
pub(super) struct RegisteredAttacher {
    pub(super) id: AttacherId,
    limit: Duration,
    /// Whether the closure may be called: the attacher was not removed, and has not panicked.
    pub(super) is_set: Arc<AtomicBool>,
    /// A leaf lock.
    setting: Mutex<Setting>,
}

struct Setting {
    /// The guard of the last connection on which the attacher was set.
    attaching: Option<AttachGuard>,
    /// The queue of the thread, which ends when all senders are dropped; `None` if the attacher
    /// cannot be set on another connection.
    requests: Option<Sender<ChoiceRequest>>,
}

impl RegisteredAttacher {
    pub(super) fn new(id: AttacherId, limit: Duration, requests: Sender<ChoiceRequest>) -> Self {
        let setting = Setting { attaching: None, requests: Some(requests) };
        let is_set = Arc::new(AtomicBool::new(true));
        Self { id, limit, is_set, setting: Mutex::new(setting) }
    }

    /// Ends the thread with the connection.
    pub(super) fn set_on_no_other(&self) {
        let requests = self.setting.lock().requests.take();
        drop(requests);
    }

    pub(super) fn is_set_on_any(&self) -> bool {
        self.setting.lock().attaching.is_some()
    }

    /// Sets the attacher on a connection and removes it from the former one. Does nothing if it is
    /// set there already.
    pub(super) fn set_on(
        &self,
        generation: &Arc<Generation>,
        deadline: Instant,
        limit: Duration,
    ) -> Result<()> {
        let is_for = |attaching: &AttachGuard| attaching.is_for(generation);
        if self.setting.lock().attaching.as_ref().is_some_and(is_for) {
            return Ok(());
        }
        let attaching = AttachGuard::new(generation, deadline, limit)?;
        let mut setting = self.setting.lock();
        // The next connection may have it already.
        let is_late = setting.attaching.is_some() && !generation.controller.is_alive();
        let requests = setting.requests.clone();
        let requests = requests.filter(|_| !is_late && self.is_set.load(Ordering::Acquire));
        let unused = match requests {
            Some(requests) => {
                let attacher = Attacher {
                    limit: self.limit,
                    requests,
                    answers: attaching.messages().clone(),
                    active: Arc::new(AtomicBool::new(true)),
                };
                attaching.send(Message::AddAttacher(self.id, attacher));
                setting.attaching.replace(attaching)
            }
            None => Some(attaching),
        };
        // Dropped without the lock, since it sends commands.
        drop(setting);
        drop(unused);
        Ok(())
    }

    /// Returns whether the attacher is asked about new streams.
    pub(super) fn is_active(&self) -> bool {
        let is_in_force =
            || self.setting.lock().attaching.as_ref().is_some_and(AttachGuard::is_in_force);
        self.is_set.load(Ordering::Acquire) && is_in_force()
    }

    /// Removes the attacher: no call to it begins after this, even while the attach loop waits for
    /// a reply.
    pub(super) fn remove(&self) {
        self.is_set.store(false, Ordering::Release);
        let attaching = {
            let mut setting = self.setting.lock();
            setting.requests = None;
            setting.attaching.take()
        };
        if let Some(attaching) = attaching {
            attaching.send(Message::RemoveAttacher(self.id));
        }
    }
}

/// The attachers of a state, in the order in which they were set.
#[derive(Default)]
pub(in crate::state) struct Attachers {
    /// A leaf lock.
    list: Mutex<Vec<Arc<RegisteredAttacher>>>,
}

impl Attachers {
    pub(super) fn add(&self, attacher: &Arc<RegisteredAttacher>) {
        self.list.lock().push(Arc::clone(attacher));
    }

    pub(super) fn remove(&self, attacher: &Arc<RegisteredAttacher>) {
        self.list.lock().retain(|other| !Arc::ptr_eq(other, attacher));
    }

    /// Ends the threads of all attachers with the connection.
    pub(in crate::state) fn end(&self) {
        let list = self.list.lock().clone();
        list.iter().for_each(|attacher| attacher.set_on_no_other());
    }
}

impl State {
    /// Sets the attachers on the connection to which the state was moved, and gives them the
    /// streams that tor left to the former connection. Tries all, and returns the first error.
    pub(in crate::state) fn set_attachers_again(&self) -> Result<()> {
        let generation = self.shared.present();
        let limit = generation.controller.timeout();
        let deadline = deadline_after(limit);
        let attachers = self.shared.attachers.list.lock().clone();
        let was_left_on = is_left_on(&generation.controller);
        if attachers.is_empty() && !was_left_on {
            return Ok(());
        }
        // Without an attacher, this restores the option when it is dropped.
        let attaching = AttachGuard::new(&generation, deadline, limit)?;
        let mut outcome = Ok(());
        for attacher in attachers {
            outcome = outcome.and(attacher.set_on(&generation, deadline, limit));
        }
        if was_left_on {
            // tor lists a stream that waits for a controller as a new one.
            let waits = |status| matches!(status, StreamStatus::New | StreamStatus::NewResolve);
            let streams = generation.store.read(|tracker| {
                let infos = tracker.streams().map(|cell| cell.info());
                infos.filter(|info| waits(info.status())).collect::<Vec<_>>()
            });
            streams.into_iter().for_each(|stream| attaching.send(Message::Waiting(stream)));
        }
        outcome
    }
}
