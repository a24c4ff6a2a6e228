//! The descriptor uploads of one service, as `HS_DESC` events report them; pure.
//!
//! The events that tor sends for a v3 service (`hs_control.c`): `CREATED`, `UPLOAD` and `FAILED`
//! carry the id of the descriptor, `UPLOADED` carries the directory alone. A `FAILED` has the same
//! shape for an upload and for a fetch, and both say `NO_AUTH`. An upload whose circuit dies, or
//! whose directory connection is closed since a newer revision replaces it, has no further event.

use std::time::{Duration, Instant};

use crate::error::{HsDirUpload, UploadOutcome};
use crate::event::HsDescEvent;
use crate::names::{HsDescAction, HsDescReason, RelaySpec};

/// How many uploads are kept; a service has about sixteen at a time, and new ones every hour or two.
const REMEMBERED: usize = 128;
/// The length of a descriptor id of version 3: 32 bytes in base64 without padding.
const ID_LENGTH: usize = 43;

/// The uploads of one service, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Uploads {
    list: Vec<Entry>,
    /// Uploads from before the last change of the service, whose answers may still arrive.
    superseded: Vec<Entry>,
    /// Descriptors that tor has created and not started to upload.
    created: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    upload: HsDirUpload,
    began: Instant,
}

impl Entry {
    fn is_pending(&self) -> bool {
        self.upload.outcome == UploadOutcome::Pending
    }

    fn is_uploaded(&self) -> bool {
        self.upload.outcome == UploadOutcome::Uploaded
    }

    /// Returns whether an answer to this upload may still arrive.
    fn is_open(&self) -> bool {
        matches!(self.upload.outcome, UploadOutcome::Pending | UploadOutcome::Unanswered)
    }

    /// Returns whether a filter in front of the control port replaced the directory or the id, so
    /// that uploads can be counted but not distinguished.
    fn is_redacted(&self) -> bool {
        self.upload.hsdir.fingerprint().is_none() || self.upload.descriptor_id.len() != ID_LENGTH
    }

    fn goes_to(&self, hsdir: &RelaySpec) -> bool {
        self.upload.hsdir.is_same_relay(hsdir)
    }

    /// Returns whether an event of this directory, and of this descriptor if it names one, may
    /// concern the upload.
    fn is_concerned(&self, hsdir: &RelaySpec, id: Option<&str>) -> bool {
        self.goes_to(hsdir) && id.is_none_or(|id| self.upload.descriptor_id == id)
    }
}

impl Uploads {
    /// Applies an event of the service; returns the upload that it changes.
    pub(super) fn apply(&mut self, event: &HsDescEvent, now: Instant) -> Option<HsDirUpload> {
        let id = event.descriptor_id().map(|id| id.to_str_lossy().into_owned());
        match (event.action(), &event.hsdir()) {
            (HsDescAction::Created, _) => {
                self.created.extend(id);
                if self.created.len() > REMEMBERED {
                    self.created.remove(0);
                }
                None
            }
            (HsDescAction::Upload, Some(hsdir)) => {
                let (id, outcome) = (id.unwrap_or_default(), UploadOutcome::Pending);
                Some(self.begin(hsdir, id, outcome, now))
            }
            (HsDescAction::Uploaded, Some(hsdir)) => {
                // tor does not name the descriptor. Each is sent to a directory once, so the count
                // is right for any of them.
                let (answered, outcome) = (self.open(hsdir, None), UploadOutcome::Uploaded);
                if answered.is_none() {
                    if let Some(former) = self.end_superseded(hsdir, None, &outcome) {
                        return Some(former);
                    }
                }
                Some(self.finish(answered, hsdir, None, outcome, now))
            }
            (HsDescAction::Failed, Some(hsdir)) => {
                let reason = event.reason();
                if reason.as_ref().is_some_and(is_fetch_reason) {
                    return None;
                }
                let failed = self.open(hsdir, id.as_deref());
                let is_upload = reason == Some(HsDescReason::UploadRejected);
                let outcome = UploadOutcome::Failed { reason };
                if failed.is_none() {
                    if let Some(former) = self.end_superseded(hsdir, id.as_deref(), &outcome) {
                        return Some(former);
                    }
                }
                // Without an upload, the event reports a failed fetch of the same address.
                (failed.is_some() || is_upload)
                    .then(|| self.finish(failed, hsdir, id, outcome, now))
            }
            _ => None,
        }
    }

    fn begin(
        &mut self,
        hsdir: &RelaySpec,
        descriptor_id: String,
        outcome: UploadOutcome,
        now: Instant,
    ) -> HsDirUpload {
        let upload = HsDirUpload { hsdir: hsdir.clone(), descriptor_id, outcome };
        let entry = Entry { upload: upload.clone(), began: now };
        if entry.is_redacted() {
            // The upload may be that of any created descriptor.
            self.created.clear();
        } else {
            let id = &upload.descriptor_id;
            self.created.retain(|created| created != id);
            // tor closes the connection with the older revision of the same descriptor.
            let is_other = |old: &Entry| !old.goes_to(hsdir) || old.upload.descriptor_id != *id;
            self.list.retain(is_other);
            self.superseded.retain(is_other);
        }
        if self.list.len() >= REMEMBERED {
            self.list.remove(0);
        }
        self.list.push(entry);
        upload
    }

    /// Discards the uploads before tor starts others for the changed service.
    pub(super) fn supersede(&mut self) {
        self.created.clear();
        self.superseded.extend(self.list.drain(..).filter(Entry::is_open));
        let excess = self.superseded.len().saturating_sub(REMEMBERED);
        self.superseded.drain(..excess);
    }

    /// Ends the upload from before the last change of the service that an answer belongs to, and
    /// returns it. It does not count for the publication of the changed service.
    fn end_superseded(
        &mut self,
        hsdir: &RelaySpec,
        id: Option<&str>,
        outcome: &UploadOutcome,
    ) -> Option<HsDirUpload> {
        let index = self.superseded.iter().position(|entry| entry.is_concerned(hsdir, id))?;
        let upload = self.superseded.remove(index).upload;
        Some(HsDirUpload { outcome: outcome.clone(), ..upload })
    }

    /// Returns the index of the upload that an answer belongs to: a pending one, or else one that
    /// timed out.
    fn open(&self, hsdir: &RelaySpec, id: Option<&str>) -> Option<usize> {
        let position = |wanted: fn(&Entry) -> bool| {
            self.list.iter().position(|entry| entry.is_concerned(hsdir, id) && wanted(entry))
        };
        position(Entry::is_pending).or_else(|| position(Entry::is_open))
    }

    fn finish(
        &mut self,
        index: Option<usize>,
        hsdir: &RelaySpec,
        id: Option<String>,
        outcome: UploadOutcome,
        now: Instant,
    ) -> HsDirUpload {
        match index.and_then(|index| self.list.get_mut(index)) {
            Some(entry) => {
                entry.upload.outcome = outcome;
                entry.upload.clone()
            }
            // The upload started before this program subscribed.
            None => self.begin(hsdir, id.unwrap_or_default(), outcome, now),
        }
    }

    /// Marks uploads that were not answered within `limit`, and returns them.
    pub(super) fn expire(&mut self, limit: Duration, now: Instant) -> Vec<HsDirUpload> {
        let is_over = |entry: &Entry| {
            entry.is_pending() && now.saturating_duration_since(entry.began) >= limit
        };
        for entry in self.superseded.iter_mut().filter(|entry| is_over(entry)) {
            entry.upload.outcome = UploadOutcome::Unanswered;
        }
        let over = self.list.iter_mut().filter(|entry| is_over(entry));
        over.map(|entry| {
            entry.upload.outcome = UploadOutcome::Unanswered;
            entry.upload.clone()
        })
        .collect()
    }

    /// Returns when the next pending upload times out.
    pub(super) fn next_expiry(&self, limit: Duration) -> Option<Instant> {
        let pending = self.list.iter().chain(&self.superseded).filter(|entry| entry.is_pending());
        pending.filter_map(|entry| entry.began.checked_add(limit)).min()
    }

    pub(super) fn list(&self) -> Vec<HsDirUpload> {
        self.list.iter().map(|entry| entry.upload.clone()).collect()
    }

    /// Returns whether at least one directory has a descriptor.
    pub(super) fn any_uploaded(&self) -> bool {
        self.list.iter().any(Entry::is_uploaded)
    }

    /// Returns whether the directories rejected at least half of the uploads of a descriptor.
    ///
    /// The revision of a descriptor is a number of seconds. Directories reject a descriptor that is
    /// not newer than the one they have: that of another tor, which uploaded it in the same second,
    /// or before the clock was set back. tor uploads the next one an hour or two later.
    pub(super) fn is_rejected(&self) -> bool {
        let is_rejected = |entry: &&Entry| {
            let reason = Some(HsDescReason::UploadRejected);
            entry.upload.outcome == UploadOutcome::Failed { reason }
        };
        self.list.iter().filter(is_rejected).any(|one| {
            let same = |entry: &&Entry| entry.upload.descriptor_id == one.upload.descriptor_id;
            let all = self.list.iter().filter(same).count();
            2 * self.list.iter().filter(same).filter(is_rejected).count() >= all
        })
    }

    /// Returns whether more than half of the uploads of every descriptor certainly succeeded.
    ///
    /// A service has a descriptor for each of two time periods; a client's clock decides which one
    /// it fetches. Each is uploaded to eight directories, of which clients try six, so after five
    /// uploads each client finds at least three.
    pub(super) fn is_reachable(&self) -> bool {
        if !self.created.is_empty() || self.list.is_empty() {
            return false;
        }
        if self.list.iter().any(Entry::is_redacted) {
            let taken = self.list.iter().filter(|entry| entry.is_uploaded()).count();
            return 2 * taken > self.list.len();
        }
        self.list.iter().all(|one| {
            let same = |entry: &&Entry| entry.upload.descriptor_id == one.upload.descriptor_id;
            let all = self.list.iter().filter(same).count();
            let taken = self.list.iter().filter(same).filter(|entry| self.is_certain(entry));
            2 * taken.count() > all
        })
    }

    /// Returns whether the directory has this descriptor; another pending upload to the same
    /// directory, before or after a change of the service, leaves that open, since `UPLOADED` does
    /// not name the descriptor.
    fn is_certain(&self, entry: &Entry) -> bool {
        let open = self.list.iter().filter(|other| other.is_open());
        let former = self.superseded.iter().filter(|other| other.is_pending());
        entry.is_uploaded() && !open.chain(former).any(|other| other.goes_to(&entry.upload.hsdir))
    }

    /// Returns whether every created descriptor was uploaded and every upload has an outcome, with at
    /// least one success.
    pub(super) fn all_answered(&self) -> bool {
        self.created.is_empty() && !self.any_pending() && self.any_uploaded()
    }

    /// Returns whether no upload succeeded and none is pending. tor may still start others.
    pub(super) fn all_failed(&self) -> bool {
        !self.list.is_empty() && !self.any_pending() && !self.any_uploaded()
    }

    fn any_pending(&self) -> bool {
        self.list.iter().any(Entry::is_pending)
    }
}

/// Returns whether tor gives this reason only for fetches.
fn is_fetch_reason(reason: &HsDescReason) -> bool {
    matches!(
        reason,
        HsDescReason::BadDesc
            | HsDescReason::NotFound
            | HsDescReason::QueryNoHsdir
            | HsDescReason::QueryRateLimited
            | HsDescReason::QueryRejected
    )
}

#[cfg(test)]
mod tests;
