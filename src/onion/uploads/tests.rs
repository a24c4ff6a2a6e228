use std::time::{Duration, Instant};

use super::{REMEMBERED, Uploads};
use crate::error::{HsDirUpload, UploadOutcome};
use crate::event::dialect::assert_dialect;
use crate::event::{Event, EventText};
use crate::names::HsDescReason;

const A: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
const B: &str = "$2752B817FDB074AB4FDB688E1DF45AE59E96A138~test001a";
const C: &str = "$E956231F61AF874E990D1DFEB6CCE7BB26019559~test003ba";
const ONE: &str = "a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";
const TWO: &str = "LFjky7ywjd1ZKZJLzHqu6SMGiWcm3YotLSETfmXkERI";
const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
const INDEX: &str = "3C0A5A659413B92BD4D4440A6F2626135176B98508E8A44EAFF873A6C7038978";
const LIMIT: Duration = Duration::from_secs(60);

/// Applies lines as tor sends them, with `ONE` and `TWO` for the ids and without what all lines
/// begin with. Returns the uploads that they change.
fn apply_at(uploads: &mut Uploads, lines: &[&str], now: Instant) -> Vec<HsDirUpload> {
    let mut changed = Vec::new();
    for line in lines {
        let line = line.replace("ONE", ONE).replace("TWO", TWO);
        let (action, rest) = line.split_once(' ').unwrap();
        let text = format!("HS_DESC {action} {SERVICE} {rest}");
        assert_dialect(&text);
        match Event::parse(EventText::new(text.as_bytes())) {
            Event::HsDesc(event) => changed.extend(uploads.apply(&event, now)),
            other => panic!("{other:?}"),
        }
    }
    changed
}

fn apply(uploads: &mut Uploads, lines: &[&str]) -> Vec<HsDirUpload> {
    apply_at(uploads, lines, Instant::now())
}

fn created(id: &str) -> String {
    format!("CREATED UNKNOWN UNKNOWN {id}")
}

fn upload(hsdir: &str, id: &str) -> String {
    format!("UPLOAD UNKNOWN {hsdir} {id} HSDIR_INDEX={INDEX}")
}

fn uploaded(hsdir: &str) -> String {
    format!("UPLOADED UNKNOWN {hsdir}")
}

fn failed(hsdir: &str, id: &str, reason: &str) -> String {
    format!("FAILED NO_AUTH {hsdir} {id} REASON={reason}")
}

fn applied(lines: &[String]) -> Uploads {
    let mut uploads = Uploads::default();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    apply(&mut uploads, &lines);
    uploads
}

fn outcomes(uploads: &Uploads) -> Vec<String> {
    let list = uploads.list();
    list.iter().map(|upload| upload.to_string().replace(A, "A").replace(B, "B")).collect()
}

#[test]
fn all_is_known_when_both_descriptors_were_sent_and_every_upload_has_an_outcome() {
    let mut lines = vec![created("ONE"), created("TWO"), upload(A, "ONE"), uploaded(A)];
    let uploads = applied(&lines);
    assert!(uploads.any_uploaded() && !uploads.all_answered(), "the second has not been sent");
    // The same directory for the other descriptor: one more answer is due.
    lines.extend([upload(A, "TWO"), upload(B, "TWO"), uploaded(A)]);
    assert!(!applied(&lines).all_answered());
    lines.push(failed(B, "TWO", "UPLOAD_REJECTED"));
    let uploads = applied(&lines);
    assert!(uploads.all_answered() && !uploads.all_failed());
    assert_eq!(outcomes(&uploads), ["A: uploaded", "A: uploaded", "B: failed, UPLOAD_REJECTED"]);
}

#[test]
fn a_failed_upload_is_that_of_its_directory_and_its_descriptor() {
    let uploads = applied(&[
        upload(A, "ONE"),
        upload(A, "TWO"),
        upload(B, "TWO"),
        failed(A, "TWO", "UPLOAD_REJECTED"),
        failed(B, "TWO", "UNEXPECTED"),
    ]);
    assert_eq!(
        outcomes(&uploads),
        ["A: pending", "A: failed, UPLOAD_REJECTED", "B: failed, UNEXPECTED"]
    );
    assert!(!uploads.all_failed());
}

#[test]
fn a_failed_fetch_of_the_same_address_is_no_failed_upload() {
    let uploads = applied(&[
        upload(A, "ONE"),
        format!("REQUESTED NO_AUTH {A} ONE HSDIR_INDEX={INDEX}"),
        failed(A, "ONE", "NOT_FOUND"),
        failed(B, "ONE", "UNEXPECTED"),
        "FAILED NO_AUTH UNKNOWN REASON=QUERY_NO_HSDIR".to_owned(),
        format!("RECEIVED NO_AUTH {A} ONE"),
    ]);
    assert_eq!(outcomes(&uploads), ["A: pending"]);
}

#[test]
fn an_upload_that_is_tried_again_is_pending_again() {
    let mut lines = vec![upload(A, "ONE"), failed(A, "ONE", "UNEXPECTED")];
    assert!(applied(&lines).all_failed());
    lines.push(upload(A, "ONE"));
    assert!(!applied(&lines).all_failed());
    lines.push(uploaded(A));
    assert!(applied(&lines).all_answered());
    assert_eq!(outcomes(&applied(&lines)), ["A: uploaded"]);
}

#[test]
fn reachable_needs_more_than_half_of_the_uploads_of_each_descriptor() {
    let mut lines = vec![created("ONE"), created("TWO")];
    lines.extend([A, B, C].map(|hsdir| upload(hsdir, "ONE")));
    lines.extend([uploaded(A), uploaded(B)]);
    assert!(!applied(&lines).is_reachable(), "the second has not been sent");
    lines.extend([A, B, C].map(|hsdir| upload(hsdir, "TWO")));
    assert!(!applied(&lines).is_reachable());
    lines.push(uploaded(A));
    assert!(!applied(&lines).is_reachable());
    lines.push(uploaded(B));
    assert!(applied(&lines).is_reachable());
}

#[test]
fn an_answer_that_may_be_that_of_either_descriptor_counts_for_none() {
    let mut lines = vec![upload(A, "ONE"), upload(A, "TWO"), uploaded(A)];
    assert!(!applied(&lines).is_reachable());
    lines.push(failed(A, "TWO", "UPLOAD_REJECTED"));
    assert!(!applied(&lines).is_reachable(), "one descriptor has no directory");
    lines.push(upload(B, "TWO"));
    lines.push(uploaded(B));
    lines.push(upload(C, "TWO"));
    lines.push(uploaded(C));
    assert!(applied(&lines).is_reachable());
}

#[test]
fn redacted_names_are_counted() {
    // As a filter in front of the control port replaces them.
    let upload = "UPLOAD UNKNOWN redacted redacted".to_owned();
    let uploaded = "UPLOADED UNKNOWN redacted".to_owned();
    let mut lines = vec![created("ONE")];
    lines.extend(std::iter::repeat_n(upload, 4));
    lines.push(uploaded.clone());
    let uploads = applied(&lines);
    assert_eq!(uploads.list().len(), 4);
    assert!(uploads.any_uploaded() && !uploads.all_answered() && !uploads.is_reachable());
    lines.extend([uploaded.clone(), uploaded.clone()]);
    assert!(applied(&lines).is_reachable() && !applied(&lines).all_answered());
    lines.push(uploaded);
    assert!(applied(&lines).all_answered());
}

#[test]
fn an_upload_without_an_answer_runs_out_and_a_late_answer_counts() {
    let (mut uploads, begin) = (Uploads::default(), Instant::now());
    apply_at(&mut uploads, &[&upload(A, "ONE")], begin);
    apply_at(&mut uploads, &[&upload(B, "ONE")], begin + LIMIT / 2);
    assert_eq!(uploads.next_expiry(LIMIT), Some(begin + LIMIT));
    assert!(uploads.expire(LIMIT, begin + LIMIT / 2).is_empty());
    assert_eq!(uploads.expire(LIMIT, begin + LIMIT).len(), 1);
    assert_eq!(outcomes(&uploads), ["A: no answer", "B: pending"]);
    apply_at(&mut uploads, &[&failed(B, "ONE", "UPLOAD_REJECTED")], begin + LIMIT);
    assert!(uploads.all_failed());
    apply_at(&mut uploads, &[&uploaded(A)], begin + 2 * LIMIT);
    assert_eq!(outcomes(&uploads), ["A: uploaded", "B: failed, UPLOAD_REJECTED"]);
    assert_eq!(uploads.list()[0].outcome, UploadOutcome::Uploaded);
}

#[test]
fn an_answer_to_what_began_before_counts_and_memory_is_bounded() {
    let mut uploads = applied(&[uploaded(A)]);
    assert!(uploads.any_uploaded());
    for n in 0..1000 {
        apply(&mut uploads, &[&upload(B, &format!("{n:043}"))]);
    }
    assert_eq!(uploads.list().len(), REMEMBERED);
}

#[test]
fn a_descriptor_is_rejected_by_half_of_its_directories() {
    let begun = [created(ONE), created(TWO), upload(A, ONE), upload(B, ONE), upload(C, TWO)];
    let with = |more: &[String]| applied(&[&begun, more].concat());
    let rejected = |hsdir, id| failed(hsdir, id, "UPLOAD_REJECTED");
    assert!(!with(&[]).is_rejected());
    assert!(!with(&[uploaded(A), uploaded(B), uploaded(C)]).is_rejected());
    assert!(!with(&[failed(A, ONE, "UNEXPECTED"), failed(C, TWO, "UNEXPECTED")]).is_rejected());
    assert!(with(&[rejected(A, ONE)]).is_rejected());
    assert!(with(&[uploaded(A), uploaded(B), rejected(C, TWO)]).is_rejected());
    // A minority does not prevent that clients find the descriptor.
    assert!(!with(&[upload(C, ONE), rejected(C, ONE), uploaded(A), uploaded(B)]).is_rejected());
    // A newer revision.
    assert!(!with(&[rejected(C, TWO), upload(C, TWO)]).is_rejected());
}

#[test]
fn an_answer_to_an_upload_from_before_a_change_does_not_publish_the_changed_service() {
    let mut uploads = applied(&[created(TWO), upload(A, ONE), upload(B, ONE), upload(C, ONE)]);
    uploads.supersede();
    apply(&mut uploads, &[&uploaded(A), &failed(B, ONE, "UPLOAD_REJECTED")]);
    assert!(uploads.list().is_empty() && !uploads.any_uploaded() && !uploads.is_rejected());
    // tor has ended the former upload to the same directory.
    apply(&mut uploads, &[&upload(C, ONE), &uploaded(C)]);
    assert!(uploads.is_reachable() && uploads.all_answered());
}

#[test]
fn the_outcome_of_an_upload_from_before_a_change_is_reported() {
    let mut uploads = applied(&[upload(A, ONE), upload(B, ONE)]);
    uploads.supersede();
    let answers = [uploaded(A), failed(B, ONE, "UPLOAD_REJECTED")];
    let changed = apply(&mut uploads, &answers.each_ref().map(String::as_str));
    let outcomes: Vec<_> = changed.into_iter().map(|upload| upload.outcome).collect();
    let reason = Some(HsDescReason::UploadRejected);
    assert_eq!(outcomes, [UploadOutcome::Uploaded, UploadOutcome::Failed { reason }]);
}

#[test]
fn a_pending_upload_from_before_a_change_leaves_an_answer_of_its_directory_open() {
    let (mut uploads, begin) = (Uploads::default(), Instant::now());
    apply_at(&mut uploads, &[&upload(A, ONE)], begin);
    uploads.supersede();
    apply_at(&mut uploads, &[&upload(A, TWO), &uploaded(A)], begin);
    assert!(uploads.any_uploaded() && !uploads.is_reachable());
    assert_eq!(uploads.next_expiry(LIMIT), Some(begin + LIMIT));
    assert!(uploads.expire(LIMIT, begin + LIMIT).is_empty());
    assert!(uploads.is_reachable() && uploads.next_expiry(LIMIT).is_none());
}

/// Returns the directory with this number.
fn hsdir(n: usize) -> String {
    format!("${n:040X}~relay{n}")
}

#[test]
fn the_half_of_the_uploads_is_the_limit_for_reachable_and_for_rejected() {
    let begun: Vec<_> = (0..8).map(|n| upload(&hsdir(n), "ONE")).collect();
    for (answered, is_reachable, is_rejected) in
        [(3, false, false), (4, false, true), (5, true, true)]
    {
        let uploaded = (0..answered).map(|n| uploaded(&hsdir(n)));
        let uploads = applied(&begun.iter().cloned().chain(uploaded).collect::<Vec<_>>());
        assert_eq!(uploads.is_reachable(), is_reachable, "{answered} of 8 uploaded");
        let failed = (0..answered).map(|n| failed(&hsdir(n), "ONE", "UPLOAD_REJECTED"));
        let uploads = applied(&begun.iter().cloned().chain(failed).collect::<Vec<_>>());
        assert_eq!(uploads.is_rejected(), is_rejected, "{answered} of 8 rejected");
        // Under a filter that redacts the names.
        let mut lines = vec!["UPLOAD UNKNOWN redacted redacted".to_owned(); 8];
        lines.resize(8 + answered, "UPLOADED UNKNOWN redacted".to_owned());
        assert_eq!(applied(&lines).is_reachable(), is_reachable, "{answered} of 8, redacted");
    }
}

#[test]
fn an_upload_is_redacted_if_either_name_is() {
    // No recorded filter redacts only one of the names; the rules of a filter may.
    for (directory, id) in [("redacted", ONE), (A, "redacted")] {
        let mut uploads = applied(&[created("ONE"), created("TWO")]);
        let rest = format!("UNKNOWN {directory}");
        for text in [format!("UPLOAD {SERVICE} {rest} {id}"), format!("UPLOADED {SERVICE} {rest}")]
        {
            let text = format!("HS_DESC {text}");
            let Event::HsDesc(event) = Event::parse(EventText::new(text.as_bytes())) else {
                panic!("{text} is malformed");
            };
            uploads.apply(&event, Instant::now());
        }
        // The upload may be that of either descriptor, so that none counts as not sent.
        assert!(uploads.is_reachable() && uploads.all_answered(), "{directory} {id}");
    }
    let uploads = applied(&[created("ONE"), created("TWO"), upload(A, "ONE"), uploaded(A)]);
    assert!(!uploads.is_reachable() && !uploads.all_answered());
}

#[test]
fn the_oldest_descriptors_that_tor_does_not_upload_are_forgotten() {
    let id = |n: usize| format!("{n:043}");
    let mut uploads = Uploads::default();
    for n in 0..=REMEMBERED {
        apply(&mut uploads, &[&created(&id(n))]);
    }
    for n in 2..=REMEMBERED {
        apply(&mut uploads, &[&upload(A, &id(n)), &uploaded(A)]);
    }
    assert!(!uploads.all_answered(), "descriptor 1 has not been sent");
    apply(&mut uploads, &[&upload(A, &id(1)), &uploaded(A)]);
    assert!(uploads.all_answered(), "descriptor 0 is forgotten");
}

#[test]
fn the_oldest_uploads_from_before_changes_are_forgotten() {
    let id = |n: usize| format!("{n:043}");
    let mut uploads = Uploads::default();
    apply(&mut uploads, &[&upload(A, ONE), &upload(B, TWO)]);
    uploads.supersede();
    for n in 1..REMEMBERED {
        apply(&mut uploads, &[&upload(C, &id(n))]);
    }
    uploads.supersede();
    apply(&mut uploads, &[&uploaded(B)]);
    assert!(uploads.list().is_empty(), "the answer to an upload from before the changes");
    apply(&mut uploads, &[&uploaded(A)]);
    assert_eq!(outcomes(&uploads), ["A: uploaded"], "that upload is forgotten");
}

#[test]
fn a_rejection_is_that_of_an_upload_also_if_the_upload_was_not_seen() {
    assert!(!Uploads::default().all_failed());
    let uploads = applied(&[failed(A, "ONE", "UPLOAD_REJECTED")]);
    assert_eq!(outcomes(&uploads), ["A: failed, UPLOAD_REJECTED"]);
    assert!(uploads.all_failed() && uploads.is_rejected());
}
