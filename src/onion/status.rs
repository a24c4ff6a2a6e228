//! The status of a service as events report it, and the wait for its publication.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::publish::Publication;
use super::service::LastUpload;
use super::uploads::Uploads;
use crate::controller::Seen;
use crate::error::{
    Error, HsDirUpload, OnionError, OnionProblem, RemovedBy, Result, Timeout, UploadOutcome, Wait,
};
use crate::event::{ConfChangedEvent, Event, HsDescEvent};
use crate::link::deadline_after;
use crate::names::{OnionAddress, Signal, starts_without_case};

/// How many directories are remembered that accepted a descriptor.
const LAST_UPLOADS: usize = 64;
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

/// What the end of the control connection means for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtDisconnection {
    /// The service ends, and every wait for it.
    End,
    /// The service stays in tor, but no more events of it arrive: waits for its publication end.
    Outlive,
    /// A supervisor moves the service to the tor of a new connection: all waits go on.
    AwaitSupervisor,
}

/// The status of a service, for threads that wait for its publication or its clients.
pub(super) struct ServiceStatus {
    // A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
    at_disconnection: AtDisconnection,
    /// Readable when the service has ended, for threads that poll a socket at the same time.
    ended: UnixStream,
    end: UnixStream,
}

#[derive(Default)]
struct State {
    /// Counts the connections of the service. Events of earlier ones are ignored.
    generation: u64,
    address: Option<OnionAddress>,
    /// Events that arrived before the address was known.
    early: Vec<HsDescEvent>,
    uploads: Uploads,
    limits: Option<UploadLimits>,
    /// The last successful upload to each directory; newest first. Other than `uploads` it is kept
    /// when the service moves to another tor.
    last_uploads: Vec<LastUpload>,
    /// When the last upload started or ended.
    changed_at: Option<Instant>,
    /// Changed uploads that were not reported yet; filled only while a progress closure is waiting.
    unreported: Vec<HsDirUpload>,
    /// How many threads call a progress closure.
    reporters: usize,
    /// Why the service has ended; the first reason is kept.
    ending: Option<Error>,
    /// Why no more events arrive, if the service outlives the connection.
    disconnected: Option<Error>,
    /// Whether the tor of this connection has got the service.
    is_restored: bool,
    /// The handle of the service was dropped.
    is_abandoned: bool,
    /// What may have removed the service from tor since the last query.
    suspected_removal: Option<RemovedBy>,
    /// Whether the monitor knows that directories rejected uploads.
    is_rejection_seen: bool,
}

impl ServiceStatus {
    pub(super) fn new(at_disconnection: AtDisconnection) -> Result<Self> {
        let pair = UnixStream::pair();
        let (ended, end) =
            pair.map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))))?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        Ok(Self { state, changed, at_disconnection, ended, end })
    }

    pub(super) fn set_address(&self, address: OnionAddress, limits: UploadLimits) {
        let mut state = self.state.lock();
        state.address = Some(address);
        state.limits = Some(limits);
        for event in std::mem::take(&mut state.early) {
            state.record(&event);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn last_uploads(&self) -> Vec<LastUpload> {
        self.state.lock().last_uploads.clone()
    }

    pub(super) fn uploads(&self) -> Vec<HsDirUpload> {
        let mut state = self.state.lock();
        state.expire();
        state.uploads.list()
    }

    /// Forgets the uploads: tor is about to make others.
    pub(super) fn forget_uploads(&self) {
        self.state.lock().forget_uploads();
    }

    /// Begins to follow the service on a new connection.
    pub(super) fn begin_generation(&self) -> u64 {
        let mut state = self.state.lock();
        state.generation += 1;
        state.forget_uploads();
        state.suspected_removal = None;
        state.disconnected = None;
        state.is_restored = false;
        let generation = state.generation;
        drop(state);
        self.changed.notify_all();
        generation
    }

    /// Returns the number of the present connection.
    pub(super) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Returns whether a supervisor moves the service to another tor when the connection ends.
    pub(super) fn is_supervised(&self) -> bool {
        self.at_disconnection == AtDisconnection::AwaitSupervisor
    }

    /// Applies an event, on the reader thread.
    pub(super) fn apply(&self, generation: u64, seen: Seen<'_>) {
        match seen {
            Seen::Event(event) => {
                let mut state = self.state.lock();
                if state.generation != generation {
                    return;
                }
                match event {
                    Event::HsDesc(event) => state.record(event),
                    Event::Signal(event) if event.signal() == Signal::Reload => {
                        state.suspected_removal = Some(RemovedBy::Reload);
                    }
                    Event::ConfChanged(event) if concerns_services(event) => {
                        state.suspected_removal.get_or_insert(RemovedBy::Reconfiguration);
                    }
                    _ => return,
                }
            }
            Seen::Ended(reason) => return self.disconnect(generation, reason.clone().into()),
        }
        self.changed.notify_all();
    }

    /// Records the end of a control connection.
    pub(super) fn disconnect(&self, generation: u64, reason: Error) {
        let mut state = self.state.lock();
        if state.generation != generation {
            return;
        }
        if self.at_disconnection == AtDisconnection::End {
            drop(state);
            return self.finish(reason);
        }
        state.disconnected.get_or_insert(reason);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until the service may have been removed from tor, for at most `limit`. Returns `false`
    /// if the service has ended, or its connection.
    pub(super) fn wait_suspicion(&self, generation: u64, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let is_calm = |state: &mut State| {
            let is_new = !state.is_rejection_seen && state.is_rejected();
            !state.is_over(generation) && state.suspected_removal.is_none() && !is_new
        };
        self.changed.wait_while_until(&mut state, is_calm, deadline_after(limit));
        state.is_rejection_seen = state.is_rejected();
        !state.is_over(generation)
    }

    /// Returns what may have removed the service since this was last called.
    pub(super) fn take_suspected_removal(&self, generation: u64) -> Option<RemovedBy> {
        let mut state = self.state.lock();
        if state.generation == generation { state.suspected_removal.take() } else { None }
    }

    /// Returns whether directories rejected the descriptors that tor of this connection uploaded, since
    /// they have those of the connection before.
    pub(super) fn is_rejected(&self, generation: u64) -> bool {
        let state = self.state.lock();
        !state.is_over(generation) && state.is_rejected()
    }

    /// Ends every wait, unless the service has moved to another connection.
    pub(super) fn lose(&self, generation: u64, reason: Error) {
        if self.generation() == generation {
            self.finish(reason);
        }
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

    /// Records that the tor of this connection has got the service.
    pub(super) fn set_restored(&self, generation: u64) {
        let mut state = self.state.lock();
        state.is_restored |= state.generation == generation;
    }

    /// Returns whether the tor of the present connection has got the service.
    pub(super) fn is_restored(&self) -> bool {
        let state = self.state.lock();
        state.is_restored && !state.is_over(state.generation)
    }

    /// Records that the handle of the service was dropped.
    pub(super) fn abandon(&self) {
        self.state.lock().is_abandoned = true;
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.state.lock().is_abandoned
    }

    /// Returns why the service has ended, if it has.
    pub(super) fn ending(&self) -> Option<Error> {
        self.state.lock().ending.clone()
    }

    /// Returns a socket that becomes readable when the service ends, and stays readable.
    pub(super) fn ended(&self) -> &UnixStream {
        &self.ended
    }

    /// Waits for the publication on this thread, on which `tell` is called. If a connection is
    /// given, its end ends the wait, also if a supervisor connects again.
    pub(super) fn wait(
        &self,
        wanted: Publication,
        limit: Duration,
        generation: Option<u64>,
        mut tell: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        let deadline = deadline_after(limit);
        let _reporting = tell.is_some().then(|| Reporting::begin(self));
        let mut state = self.state.lock();
        loop {
            state.expire();
            if let Some(tell) = tell.as_mut().filter(|_| !state.unreported.is_empty()) {
                let unreported = std::mem::take(&mut state.unreported);
                // A user's closure never runs under a lock.
                drop(state);
                unreported.into_iter().for_each(&mut **tell);
                state = self.state.lock();
                continue;
            }
            let awaits_supervisor = self.is_supervised() && state.disconnected.is_some();
            if wanted == Publication::None || !awaits_supervisor && state.is_published(wanted) {
                return Ok(());
            }
            if let Some(ending) = &state.ending {
                return Err(ending.clone());
            }
            if generation.is_some_and(|generation| generation != state.generation) {
                return Err(OnionError::new(OnionProblem::Closed).into());
            }
            if let Some(reason) = &state.disconnected {
                if !awaits_supervisor || generation.is_some() {
                    return Err(reason.clone());
                }
            }
            let now = Instant::now();
            let hopeless_at = state.hopeless_at().filter(|_| !awaits_supervisor);
            if hopeless_at.is_some_and(|hopeless_at| hopeless_at <= now) {
                return Err(state.not_published());
            }
            if now >= deadline {
                return Err(Timeout::new(Wait::Publication, limit).into());
            }
            let until = [hopeless_at, state.next_expiry()].into_iter().flatten().min();
            let until = until.map_or(deadline, |until| until.min(deadline));
            self.changed.wait_until(&mut state, until);
        }
    }

    /// Returns whether the service is still on this connection.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        !self.state.lock().is_over(generation)
    }
}

/// A thread that reports uploads to the progress closure of a service. Several threads may report
/// to it; each upload is reported once.
struct Reporting<'a>(&'a ServiceStatus);

impl<'a> Reporting<'a> {
    fn begin(status: &'a ServiceStatus) -> Self {
        let mut state = status.state.lock();
        if state.reporters == 0 {
            state.unreported = state.uploads.list();
        }
        state.reporters += 1;
        Self(status)
    }
}

impl Drop for Reporting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.reporters = state.reporters.saturating_sub(1);
        if state.reporters == 0 {
            state.unreported.clear();
        }
    }
}

/// Returns whether an option of onion services has changed.
fn concerns_services(event: &ConfChangedEvent) -> bool {
    event.changes().any(|change| starts_without_case(change.name.as_bytes(), "HiddenService"))
}

impl State {
    /// Returns whether no more events of this connection arrive.
    fn is_over(&self, generation: u64) -> bool {
        self.ending.is_some() || self.disconnected.is_some() || self.generation != generation
    }

    fn forget_uploads(&mut self) {
        self.uploads = Uploads::default();
        self.unreported.clear();
        self.changed_at = None;
        self.is_rejection_seen = false;
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
            if upload.outcome == UploadOutcome::Uploaded {
                self.last_uploads.retain(|last| !last.hsdir.is_same_relay(&upload.hsdir));
                self.last_uploads.insert(0, LastUpload { hsdir: upload.hsdir.clone(), at: now });
                self.last_uploads.truncate(LAST_UPLOADS);
            }
            if self.reporters > 0 {
                self.unreported.push(upload);
            }
        }
    }

    /// On the first connection a rejection has another reason, which is reported.
    fn is_rejected(&self) -> bool {
        self.generation > 1 && self.uploads.is_rejected()
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
