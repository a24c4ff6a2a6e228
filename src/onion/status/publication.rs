//! The wait for the publication of a service, and the report of its uploads.

use std::time::{Duration, Instant};

use super::{ServiceStatus, State};
use crate::clock::{self, deadline_after};
use crate::error::{
    Error, HsDirUpload, OnionError, OnionProblem, Result, Timeout, UploadOutcome, Wait,
};
use crate::onion::publish::Publication;
use crate::onion::service::LastUpload;

/// How many entries [`State::last_uploads`] keeps.
const LAST_UPLOADS: usize = 64;

impl ServiceStatus {
    /// Waits for the publication, and calls `report` on this thread with each changed upload. If the
    /// number of a connection is given, its end ends the wait, even if a supervisor connects again.
    pub(in crate::onion) fn wait(
        &self,
        wanted: Publication,
        limit: Duration,
        generation: Option<u64>,
        mut report: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        let deadline = deadline_after(limit);
        let _reporting = report.is_some().then(|| Reporting::begin(self));
        let mut state = self.state.lock();
        loop {
            state.expire();
            if let Some(report) = report.as_mut().filter(|_| !state.unreported.is_empty()) {
                let unreported = std::mem::take(&mut state.unreported);
                // A user's closure never runs under a lock.
                drop(state);
                unreported.into_iter().for_each(&mut **report);
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
            let now = clock::now();
            let hopeless_at = state.hopeless_at().filter(|_| !awaits_supervisor);
            if hopeless_at.is_some_and(|hopeless_at| hopeless_at <= now) {
                return Err(state.not_published());
            }
            if now >= deadline {
                return Err(Timeout::new(Wait::Publication, limit).into());
            }
            let until = [hopeless_at, state.next_expiry()].into_iter().flatten().min();
            let until = until.map_or(deadline, |until| until.min(deadline));
            clock::wait_until(&self.changed, &mut state, until);
        }
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

impl State {
    /// Marks uploads that were not answered in time.
    pub(super) fn expire(&mut self) {
        let (Some(limits), now) = (self.limits, clock::now()) else { return };
        let changed = self.uploads.expire(limits.answer, now);
        self.record_changes(changed, now);
    }

    pub(super) fn record_changes(
        &mut self,
        changed: impl IntoIterator<Item = HsDirUpload>,
        now: Instant,
    ) {
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

    /// Returns whether directories rejected the descriptors. Always `false` on the first connection,
    /// where the rejection has another cause, which the wait for publication reports.
    pub(super) fn is_rejected(&self) -> bool {
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

#[cfg(test)]
mod tests;
