//! What `HS_DESC` events tell of the descriptors of one service; pure.

use crate::error::{HsDirUpload, UploadOutcome};
use crate::event::HsDescEvent;
use crate::names::{HsDescAction, HsDescAuth, RelaySpec};

/// The most uploads that are remembered; a service has some sixteen at a time, and new ones every
/// hour or two.
const REMEMBERED: usize = 128;

/// The uploads of one service, oldest first.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    list: Vec<HsDirUpload>,
    /// Descriptors that tor has made and not yet begun to send.
    created: Vec<String>,
}

impl Uploads {
    /// Notes an event of the service; returns the upload that it changes.
    pub(super) fn note(&mut self, event: &HsDescEvent) -> Option<HsDirUpload> {
        let id = event.descriptor_id.as_ref().map(|id| id.to_str_lossy().into_owned());
        match (&event.action, &event.hsdir) {
            (HsDescAction::Created, _) => {
                self.created.extend(id);
                if self.created.len() > REMEMBERED {
                    self.created.remove(0);
                }
                None
            }
            (HsDescAction::Upload, Some(hsdir)) => {
                let id = id.unwrap_or_default();
                self.created.retain(|created| *created != id);
                Some(self.begin(hsdir, id))
            }
            (HsDescAction::Uploaded, Some(hsdir)) => {
                Some(self.finish(hsdir, UploadOutcome::Uploaded))
            }
            // A failed fetch looks nearly the same. tor says `NO_AUTH` for fetches only.
            (HsDescAction::Failed, Some(hsdir)) if event.auth != HsDescAuth::NoAuth => {
                let reason = event.reason.clone();
                Some(self.finish(hsdir, UploadOutcome::Failed { reason }))
            }
            _ => None,
        }
    }

    fn begin(&mut self, hsdir: &RelaySpec, descriptor_id: String) -> HsDirUpload {
        // The same descriptor again, newer: its older fate does not matter any more.
        self.list.retain(|old| !(is_same(&old.hsdir, hsdir) && old.descriptor_id == descriptor_id));
        if self.list.len() >= REMEMBERED {
            self.list.remove(0);
        }
        let outcome = UploadOutcome::Pending;
        let upload = HsDirUpload { hsdir: hsdir.clone(), descriptor_id, outcome };
        self.list.push(upload.clone());
        upload
    }

    /// tor does not say which of a service's two descriptors a directory has taken. Each is sent
    /// to a directory once, so the count is right whichever it is.
    fn finish(&mut self, hsdir: &RelaySpec, outcome: UploadOutcome) -> HsDirUpload {
        let is_pending = |upload: &&mut HsDirUpload| {
            is_same(&upload.hsdir, hsdir) && upload.outcome == UploadOutcome::Pending
        };
        if let Some(upload) = self.list.iter_mut().find(is_pending) {
            upload.outcome = outcome;
            return upload.clone();
        }
        // It began before we were told of events.
        self.begin(hsdir, String::new());
        match self.list.last_mut() {
            Some(upload) => {
                upload.outcome = outcome;
                upload.clone()
            }
            None => HsDirUpload { hsdir: hsdir.clone(), descriptor_id: String::new(), outcome },
        }
    }

    pub(super) fn list(&self) -> &[HsDirUpload] {
        &self.list
    }

    /// Whether at least one directory has a descriptor.
    pub(super) fn any_taken(&self) -> bool {
        self.list.iter().any(|upload| upload.outcome == UploadOutcome::Uploaded)
    }

    /// Whether every descriptor was sent and every upload has an outcome, some of them good.
    pub(super) fn all_known(&self) -> bool {
        self.created.is_empty() && !self.any_pending() && self.any_taken()
    }

    /// Whether every upload so far has failed. tor may still begin others.
    pub(super) fn all_failed(&self) -> bool {
        !self.list.is_empty() && !self.any_pending() && !self.any_taken()
    }

    fn any_pending(&self) -> bool {
        self.list.iter().any(|upload| upload.outcome == UploadOutcome::Pending)
    }
}

/// Whether two names are of one relay: the fingerprint counts, and the nickname may be missing.
fn is_same(one: &RelaySpec, other: &RelaySpec) -> bool {
    match (one.fingerprint(), other.fingerprint()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::Uploads;
    use crate::error::UploadOutcome;
    use crate::event::{Event, EventText};

    const A: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
    const B: &str = "$2752B817FDB074AB4FDB688E1DF45AE59E96A138~test001a";

    /// Notes lines as tor sends them, without the beginning that all have in common.
    fn note(uploads: &mut Uploads, lines: &[&str]) {
        for line in lines {
            let (action, rest) = line.split_once(' ').unwrap();
            let text = format!("HS_DESC {action} po2sa4cmis5 {rest}");
            match Event::parse(EventText::new(text.as_bytes())) {
                Event::HsDesc(event) => drop(uploads.note(&event)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn all_is_known_when_both_descriptors_were_sent_and_every_upload_has_an_outcome() {
        let mut uploads = Uploads::default();
        note(&mut uploads, &["CREATED UNKNOWN UNKNOWN one", "CREATED UNKNOWN UNKNOWN two"]);
        note(&mut uploads, &[&format!("UPLOAD UNKNOWN {A} one HSDIR_INDEX=3C")]);
        note(&mut uploads, &[&format!("UPLOADED UNKNOWN {A}")]);
        assert!(uploads.any_taken() && !uploads.all_known(), "the second has not been sent");
        // The same directory for the other descriptor: one more answer is due.
        note(&mut uploads, &[&format!("UPLOAD UNKNOWN {A} two HSDIR_INDEX=3C")]);
        note(&mut uploads, &[&format!("UPLOAD UNKNOWN {B} two HSDIR_INDEX=3C")]);
        note(&mut uploads, &[&format!("UPLOADED UNKNOWN {A}")]);
        assert!(!uploads.all_known());
        note(&mut uploads, &[&format!("FAILED UNKNOWN {B} REASON=UPLOAD_REJECTED")]);
        assert!(uploads.all_known() && !uploads.all_failed());
        let outcomes: Vec<_> = uploads.list().iter().map(ToString::to_string).collect();
        assert_eq!(
            outcomes,
            [
                format!("{A}: uploaded"),
                format!("{A}: uploaded"),
                format!("{B}: failed, UPLOAD_REJECTED"),
            ]
        );
    }

    #[test]
    fn a_failed_fetch_of_the_same_address_is_no_failed_upload() {
        let mut uploads = Uploads::default();
        note(&mut uploads, &[&format!("UPLOAD UNKNOWN {A} one HSDIR_INDEX=3C")]);
        note(
            &mut uploads,
            &[
                &format!("REQUESTED NO_AUTH {A} one HSDIR_INDEX=3C"),
                &format!("FAILED NO_AUTH {A} one REASON=NOT_FOUND"),
                &format!("RECEIVED NO_AUTH {A} one"),
            ],
        );
        assert!(!uploads.all_failed());
        assert_eq!(uploads.list().len(), 1);
        assert_eq!(uploads.list()[0].outcome, UploadOutcome::Pending);
    }

    #[test]
    fn an_upload_that_is_tried_again_is_pending_again() {
        let mut uploads = Uploads::default();
        note(&mut uploads, &[&format!("UPLOAD UNKNOWN {A} one HSDIR_INDEX=3C")]);
        note(&mut uploads, &[&format!("FAILED UNKNOWN {A} REASON=UNEXPECTED")]);
        assert!(uploads.all_failed());
        note(&mut uploads, &[&format!("UPLOAD UNKNOWN {A} one HSDIR_INDEX=3C")]);
        assert!(!uploads.all_failed());
        note(&mut uploads, &[&format!("UPLOADED UNKNOWN {A}")]);
        assert!(uploads.all_known());
        assert_eq!(uploads.list().len(), 1);
    }

    #[test]
    fn an_answer_to_what_began_before_counts_and_memory_is_bounded() {
        let mut uploads = Uploads::default();
        note(&mut uploads, &[&format!("UPLOADED UNKNOWN {A}")]);
        assert!(uploads.any_taken());
        for n in 0..1000 {
            note(&mut uploads, &[&format!("UPLOAD UNKNOWN {B} id{n} HSDIR_INDEX=3C")]);
        }
        assert_eq!(uploads.list().len(), super::REMEMBERED);
    }
}
