//! The status of a service as events report it, and the wait for its publication.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::uploads::Uploads;
use crate::controller::{Controller, HookGuard, Seen};
use crate::error::{
    Error, HsDirUpload, OnionError, OnionProblem, RemovedBy, Result, Timeout, Wait,
};
use crate::event::{ConfChangedEvent, Event, EventKind, HsDescEvent};
use crate::link::deadline_after;
use crate::names::{OnionAddress, Signal, starts_without_case};

/// The directories that must have the descriptor before a service counts as published.
///
/// tor uploads two descriptors, one for each of two time periods, each to up to eight directories.
/// A client fetches the descriptor of the period that follows from its clock and its consensus, and
/// tries up to six of these directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// None: the service is returned as soon as tor has added it.
    None,
    /// One directory, for one of the two descriptors. A client that needs the other descriptor, or
    /// tries directories that do not have it yet, fails.
    First,
    /// More than half of the directories of each descriptor, so that every client finds some that
    /// have it.
    #[default]
    Reachable,
    /// All: every upload was answered or timed out, and at least one succeeded.
    All,
}

/// How many events are kept while the address is not yet known.
const EARLY: usize = 1024;

/// How long uploads may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct UploadLimits {
    /// The time limit of one upload.
    pub(super) answer: Duration,
    /// The time limit for the start of another upload after every upload has failed.
    pub(super) grace: Duration,
}

/// Follows the descriptor uploads of one service, from before it is added until it is dropped.
pub(super) struct Publisher {
    status: Arc<ServiceStatus>,
    /// Removed when the service is closed or the publisher dropped.
    hooks: Mutex<Vec<HookGuard>>,
    /// Whether tor reports uploads.
    has_uploads: bool,
}

/// The events that a service needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventNeeds {
    /// `HS_DESC`: the caller asked to wait for publication, so a refusal is an error.
    pub(super) uploads: bool,
    /// `CONF_CHANGED` and `SIGNAL`: the service is in tor's configuration.
    pub(super) changes: bool,
    /// The service stays in tor when the control connection ends.
    pub(super) outlives_connection: bool,
}

/// The status of a service, for threads that wait for its publication or its clients.
pub(super) struct ServiceStatus {
    // A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
    outlives_connection: bool,
    /// Readable when the service has ended, for threads that poll a socket at the same time.
    ended: UnixStream,
    end: UnixStream,
}

#[derive(Default)]
struct State {
    address: Option<OnionAddress>,
    /// Events that arrived before the address was known.
    early: Vec<HsDescEvent>,
    uploads: Uploads,
    limits: Option<UploadLimits>,
    /// When the last upload started or ended.
    changed_at: Option<Instant>,
    /// Changed uploads that were not reported yet; filled only while a progress closure is waiting.
    unreported: Vec<HsDirUpload>,
    is_reporting: bool,
    /// Why the service has ended; the first reason is kept.
    ending: Option<Error>,
    /// Why no more events arrive, if the service outlives the connection.
    disconnected: Option<Error>,
    /// What may have removed the service from tor since the last query.
    suspected_removal: Option<RemovedBy>,
}

impl Publisher {
    /// Subscribes to the events; called before the service is added, so that none is missed.
    ///
    /// A filter in front of the control port may refuse events. The service works without those that
    /// it does not need.
    pub(super) fn start(controller: &Controller, needs: EventNeeds) -> Result<Self> {
        let status = Arc::new(ServiceStatus::new(needs.outlives_connection)?);
        let watch = |kinds: &[EventKind]| {
            let status = Arc::clone(&status);
            controller.watch_events(kinds, move |seen: Seen<'_>| status.apply(seen))
        };
        let without = |error: &dyn std::fmt::Display| {
            log::info!("an onion service works without events that were refused: {error}");
            None
        };
        let uploads = match watch(&[EventKind::HsDesc]) {
            Err(Error::Rejected(error)) if !needs.uploads => without(&error),
            uploads => Some(uploads?),
        };
        let mut changes = Vec::new();
        let wanted: [&[EventKind]; 2] =
            [&[EventKind::ConfChanged, EventKind::Signal], &[EventKind::ConfChanged]];
        for kinds in wanted.into_iter().filter(|_| needs.changes) {
            if changes.is_empty() {
                changes.extend(match watch(kinds) {
                    Err(Error::Rejected(error)) => without(&error),
                    watch => Some(watch?),
                });
            }
        }
        let has_uploads = uploads.is_some();
        let hooks = Mutex::new(uploads.into_iter().chain(changes).collect());
        Ok(Self { status, hooks, has_uploads })
    }

    /// Whether publication can be waited for.
    pub(super) fn has_uploads(&self) -> bool {
        self.has_uploads
    }

    pub(super) fn status(&self) -> &Arc<ServiceStatus> {
        &self.status
    }

    /// Sets the service's address and the limits of its uploads. Events of other services are
    /// discarded.
    pub(super) fn set_address(&self, address: OnionAddress, limits: UploadLimits) {
        let mut state = self.status.state.lock();
        state.address = Some(address);
        state.limits = Some(limits);
        for event in std::mem::take(&mut state.early) {
            state.record(&event);
        }
        drop(state);
        self.status.changed.notify_all();
    }

    /// Ends every wait, present and future.
    pub(super) fn close(&self) {
        self.status.finish(OnionError::new(OnionProblem::Closed).into());
        let hooks = std::mem::take(&mut *self.hooks.lock());
        drop(hooks);
    }

    pub(super) fn uploads(&self) -> Vec<HsDirUpload> {
        let mut state = self.status.state.lock();
        state.expire();
        state.uploads.list()
    }
}

impl ServiceStatus {
    fn new(outlives_connection: bool) -> Result<Self> {
        let pair = UnixStream::pair();
        let (ended, end) =
            pair.map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))))?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        Ok(Self { state, changed, outlives_connection, ended, end })
    }

    /// Applies an event, on the reader thread.
    fn apply(&self, seen: Seen<'_>) {
        match seen {
            Seen::Event(event) => match event {
                Event::HsDesc(event) => self.state.lock().record(event),
                Event::Signal(event) if event.signal() == Signal::Reload => {
                    self.state.lock().suspected_removal = Some(RemovedBy::Reload);
                }
                Event::ConfChanged(event) if concerns_services(event) => {
                    self.state.lock().suspected_removal.get_or_insert(RemovedBy::Reconfiguration);
                }
                _ => return,
            },
            Seen::Ended(reason) => return self.disconnect(reason.clone().into()),
        }
        self.changed.notify_all();
    }

    /// Records the end of the control connection, which a detached service outlives.
    pub(super) fn disconnect(&self, reason: Error) {
        if !self.outlives_connection {
            return self.finish(reason);
        }
        self.state.lock().disconnected.get_or_insert(reason);
        self.changed.notify_all();
    }

    /// Waits until the service may have been removed from tor, for at most `limit`. Returns `false`
    /// if the service has ended.
    pub(super) fn wait_suspicion(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let is_calm = |state: &mut State| !state.is_over() && state.suspected_removal.is_none();
        self.changed.wait_while_until(&mut state, is_calm, deadline_after(limit));
        !state.is_over()
    }

    /// Returns what may have removed the service since this was last called.
    pub(super) fn take_suspected_removal(&self) -> Option<RemovedBy> {
        self.state.lock().suspected_removal.take()
    }

    pub(super) fn finish(&self, reason: Error) {
        let mut state = self.state.lock();
        state.ending.get_or_insert(reason);
        state.early.clear();
        drop(state);
        self.changed.notify_all();
        // This fails only if it was done before.
        let _ = self.end.shutdown(std::net::Shutdown::Both);
    }

    /// Returns why the service has ended, if it has.
    pub(super) fn ending(&self) -> Option<Error> {
        self.state.lock().ending.clone()
    }

    /// Returns a socket that becomes readable when the service ends, and stays readable.
    pub(super) fn ended(&self) -> &UnixStream {
        &self.ended
    }

    /// Waits for the publication on this thread, on which `tell` is called.
    pub(super) fn wait(
        &self,
        wanted: Publication,
        limit: Duration,
        mut tell: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        let deadline = deadline_after(limit);
        let mut state = self.state.lock();
        if tell.is_some() {
            state.is_reporting = true;
            state.unreported = state.uploads.list();
        }
        let outcome = loop {
            state.expire();
            if let Some(tell) = tell.as_mut().filter(|_| !state.unreported.is_empty()) {
                let unreported = std::mem::take(&mut state.unreported);
                // A user's closure never runs under a lock.
                drop(state);
                unreported.into_iter().for_each(&mut **tell);
                state = self.state.lock();
                continue;
            }
            if state.is_published(wanted) {
                break Ok(());
            }
            if let Some(ending) = state.ending.as_ref().or(state.disconnected.as_ref()) {
                break Err(ending.clone());
            }
            let (now, hopeless_at) = (Instant::now(), state.hopeless_at());
            if hopeless_at.is_some_and(|hopeless_at| hopeless_at <= now) {
                break Err(state.not_published());
            }
            if now >= deadline {
                break Err(Timeout::new(Wait::Publication, limit).into());
            }
            let until = [hopeless_at, state.next_expiry()].into_iter().flatten().min();
            let until = until.map_or(deadline, |until| until.min(deadline));
            self.changed.wait_until(&mut state, until);
        };
        if tell.is_some() {
            state.is_reporting = false;
            state.unreported.clear();
        }
        outcome
    }
}

/// Returns whether an option of onion services has changed.
fn concerns_services(event: &ConfChangedEvent) -> bool {
    event.changes().any(|change| starts_without_case(change.name.as_bytes(), "HiddenService"))
}

impl State {
    /// Returns whether no more events arrive.
    fn is_over(&self) -> bool {
        self.ending.is_some() || self.disconnected.is_some()
    }

    fn record(&mut self, event: &HsDescEvent) {
        let Some(address) = self.address else {
            if self.ending.is_none() && self.early.len() < EARLY {
                self.early.push(event.clone());
            }
            return;
        };
        let is_ours = |text: &crate::event::EventText| {
            text.as_bytes().eq_ignore_ascii_case(address.service_id().as_bytes())
        };
        if !event.address().as_ref().is_some_and(is_ours) {
            return;
        }
        let now = Instant::now();
        let changed = self.uploads.apply(event, now);
        self.record_changes(changed, now);
    }

    /// Marks uploads that were not answered in time.
    fn expire(&mut self) {
        let (Some(limits), now) = (self.limits, Instant::now()) else { return };
        let changed = self.uploads.expire(limits.answer, now);
        self.record_changes(changed, now);
    }

    fn record_changes(&mut self, changed: impl IntoIterator<Item = HsDirUpload>, now: Instant) {
        for upload in changed {
            self.changed_at = Some(now);
            if self.is_reporting {
                self.unreported.push(upload);
            }
        }
    }

    fn is_published(&self, wanted: Publication) -> bool {
        match wanted {
            Publication::None => true,
            Publication::First => self.uploads.any_uploaded(),
            Publication::Reachable => self.uploads.is_reachable(),
            Publication::All => self.uploads.all_answered(),
        }
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.uploads.next_expiry(self.limits?.answer)
    }

    /// Returns when publication fails, if every upload so far has failed and tor starts no other.
    fn hopeless_at(&self) -> Option<Instant> {
        let since = self.changed_at.filter(|_| self.uploads.all_failed())?;
        since.checked_add(self.limits?.grace)
    }

    fn not_published(&self) -> Error {
        let uploads = self.uploads.list().into();
        match self.address {
            Some(address) => {
                OnionError::new(OnionProblem::NotPublished { address, uploads }).into()
            }
            None => OnionError::new(OnionProblem::Closed).into(),
        }
    }
}
