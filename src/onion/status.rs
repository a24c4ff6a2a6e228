//! The status of a service, as the events of its connections report it.

mod publication;

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::service::LastUpload;
use super::uploads::Uploads;
use crate::clock::{self, deadline_after};
use crate::controller::HookEvent;
use crate::error::{Error, HsDirUpload, RemovedBy};
use crate::event::{ConfChangedEvent, Event, EventText, HsDescEvent};
use crate::names::{OnionAddress, Signal, starts_without_case};
use crate::sync::{Condvar, Mutex};

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

/// The effect of the end of a control connection on a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtDisconnection {
    /// The service ends, and every wait for it.
    End,
    /// The service stays in tor, but its events no longer arrive: waits for its publication end.
    Outlive,
    /// A supervisor moves the service to the tor of a new connection: all waits go on.
    AwaitSupervisor,
}

/// The status of a service, shared by the threads that wait for its publication or its clients.
pub(super) struct ServiceStatus {
    // A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
    at_disconnection: AtDisconnection,
    /// Shut down when the service ends, so that its peer becomes readable: for threads that poll a
    /// local listener at the same time.
    end: Option<UnixStream>,
}

/// The uploads before a change of the service.
struct FormerUploads {
    uploads: Uploads,
    changed_at: Option<Instant>,
    is_rejection_seen: bool,
}

#[derive(Default)]
struct State {
    /// Counts the connections of the service. Events of earlier ones are ignored.
    generation: u64,
    address: Option<OnionAddress>,
    /// Events that arrived before the address was known.
    early: Vec<HsDescEvent>,
    uploads: Uploads,
    /// The uploads before the last change of the service, until the outcome of that is known.
    former_uploads: Option<FormerUploads>,
    limits: Option<UploadLimits>,
    /// The last successful upload to each directory; newest first. Unlike `uploads`, this is kept
    /// when the service moves to another tor.
    last_uploads: Vec<LastUpload>,
    /// When the last upload started or ended.
    changed_at: Option<Instant>,
    /// Changed uploads that were not reported yet; filled only while a thread calls a progress
    /// closure.
    unreported: Vec<HsDirUpload>,
    /// How many threads call progress closures.
    reporters: usize,
    /// Why the service has ended; the first reason is kept.
    ending: Option<Error>,
    /// Why no more events arrive, if the service outlives the connection.
    disconnected: Option<Error>,
    /// Whether the tor of the present connection has the service.
    is_restored: bool,
    /// The handle of the service was dropped.
    is_abandoned: bool,
    /// The possible cause of a removal since the last query.
    suspected_removal: Option<RemovedBy>,
    /// Whether the monitor knows that directories rejected uploads.
    is_rejection_seen: bool,
}

impl ServiceStatus {
    pub(super) fn new(at_disconnection: AtDisconnection, end: Option<UnixStream>) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { state, changed, at_disconnection, end }
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

    /// Discards the uploads before tor starts new ones, until
    /// [`settle_uploads`](Self::settle_uploads).
    pub(super) fn forget_uploads(&self) {
        let mut state = self.state.lock();
        let former = FormerUploads {
            uploads: state.uploads.clone(),
            changed_at: state.changed_at.take(),
            is_rejection_seen: std::mem::take(&mut state.is_rejection_seen),
        };
        state.former_uploads = Some(former);
        state.uploads.supersede();
    }

    /// Makes the discard of the uploads permanent, or restores them with the events since then if
    /// tor has refused to start others.
    pub(super) fn settle_uploads(&self, are_discarded: bool) {
        let mut state = self.state.lock();
        if let Some(former) = state.former_uploads.take().filter(|_| !are_discarded) {
            state.uploads = former.uploads;
            state.changed_at = state.changed_at.max(former.changed_at);
            state.is_rejection_seen = former.is_rejection_seen;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Records a new connection, and returns its number.
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

    pub(super) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Returns whether a supervisor moves the service to another tor when the connection ends.
    pub(super) fn is_supervised(&self) -> bool {
        self.at_disconnection == AtDisconnection::AwaitSupervisor
    }

    /// Applies an event, on the reader thread.
    pub(super) fn apply(&self, generation: u64, seen: HookEvent<'_>) {
        match seen {
            HookEvent::Event(event) => {
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
            HookEvent::Ended(reason) => return self.disconnect(generation, reason.clone().into()),
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

    /// Waits until the service may have been removed from tor or its descriptors were rejected, for
    /// at most `limit`. Returns `false` if the service or its connection has ended.
    pub(super) fn wait_suspicion(&self, generation: u64, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let is_calm = |state: &mut State| {
            let is_new = !state.is_rejection_seen && state.is_rejected();
            !state.is_over(generation) && state.suspected_removal.is_none() && !is_new
        };
        clock::wait_while_until(&self.changed, &mut state, is_calm, deadline_after(limit));
        state.is_rejection_seen = state.is_rejected();
        !state.is_over(generation)
    }

    /// Returns the possible cause of a removal since the last call.
    pub(super) fn take_suspected_removal(&self, generation: u64) -> Option<RemovedBy> {
        let mut state = self.state.lock();
        if state.generation == generation { state.suspected_removal.take() } else { None }
    }

    /// Returns whether directories rejected the descriptors that the tor of this connection
    /// uploaded, since they have those of the former tor.
    pub(super) fn is_rejected(&self, generation: u64) -> bool {
        let state = self.state.lock();
        !state.is_over(generation) && state.is_rejected()
    }

    /// Ends the service, unless it has moved to another connection.
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
        // Fails only if the service has ended before.
        let _ = self.end.as_ref().map(|end| end.shutdown(Shutdown::Both));
    }

    /// Records that the tor of this connection has the service.
    pub(super) fn set_restored(&self, generation: u64) {
        let mut state = self.state.lock();
        state.is_restored |= state.generation == generation;
    }

    /// Returns whether the tor of the present connection has the service.
    pub(super) fn is_restored(&self) -> bool {
        let state = self.state.lock();
        state.is_restored && !state.is_over(state.generation)
    }

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

    /// Returns whether the service is still on this connection.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        !self.state.lock().is_over(generation)
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
        self.former_uploads = None;
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
        let is_same = |text: &EventText| {
            text.as_bytes().eq_ignore_ascii_case(address.service_id().as_bytes())
        };
        if !event.address().as_ref().is_some_and(is_same) {
            return;
        }
        let now = clock::now();
        if let Some(former) = &mut self.former_uploads {
            former.uploads.apply(event, now);
        }
        let changed = self.uploads.apply(event, now);
        self.record_changes(changed, now);
    }
}

#[cfg(test)]
mod tests;
