//! The limits of a publication, with a clock that the test moves.

use std::time::Duration;

use super::{AtDisconnection, ServiceStatus, UploadLimits};
use crate::clock::{ManualClock, TICK, elapsed_since, now};
use crate::error::{Error, OnionProblem, UploadOutcome, Wait};
use crate::event::dialect::assert_dialect;
use crate::event::{Event, EventText};
use crate::onion::publish::Publication;

const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
const HSDIR: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
const ID: &str = "a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";
const ANSWER: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);
/// Longer than every other limit.
const LONG: Duration = Duration::from_secs(1_000);

fn status() -> ServiceStatus {
    let status = ServiceStatus::new(AtDisconnection::End, None);
    status.begin_generation();
    let address = format!("{SERVICE}.onion").parse().unwrap();
    status.set_address(address, UploadLimits { answer: ANSWER, grace: GRACE });
    status
}

fn record(status: &ServiceStatus, text: &str) {
    let text = format!("HS_DESC {text}");
    assert_dialect(&text);
    match Event::parse(EventText::new(text.as_bytes())) {
        Event::HsDesc(event) => status.state.lock().record(&event),
        other => panic!("{other:?}"),
    }
}

fn upload(status: &ServiceStatus) {
    let index = "3C0A5A659413B92BD4D4440A6F2626135176B98508E8A44EAFF873A6C7038978";
    record(status, &format!("UPLOAD {SERVICE} UNKNOWN {HSDIR} {ID} HSDIR_INDEX={index}"));
}

fn fail(status: &ServiceStatus) {
    let reason = "REASON=UPLOAD_REJECTED";
    record(status, &format!("FAILED {SERVICE} NO_AUTH {HSDIR} {ID} {reason}"));
}

fn is_not_published(error: &Error) -> bool {
    matches!(error, Error::Onion(error)
        if matches!(error.problem(), OnionProblem::NotPublished { .. }))
}

fn outcome(status: &ServiceStatus) -> UploadOutcome {
    status.uploads()[0].outcome.clone()
}

#[test]
fn a_wait_for_the_publication_ends_at_its_limit() {
    let clock = ManualClock::start();
    let (status, start) = (status(), now());
    upload(&status);
    clock.tick_by(Duration::from_millis(10));
    let limit = Duration::from_secs(20);
    let error = status.wait(Publication::Reachable, limit, None, None).unwrap_err();
    assert!(
        matches!(&error, Error::Timeout(timeout)
        if *timeout.wait() == Wait::Publication && timeout.limit() == limit),
        "{error:?}"
    );
    let took = elapsed_since(start);
    assert!(took >= limit && took < limit + Duration::from_secs(1), "{took:?}");
    assert_eq!(outcome(&status), UploadOutcome::Pending);
}

#[test]
fn failed_uploads_end_the_wait_when_tor_has_started_no_other_within_the_grace_period() {
    let clock = ManualClock::start();
    let status = status();
    upload(&status);
    fail(&status);
    let failed = now();
    // The clock does not move, so that a wait of no length shows the moment.
    let zero = |status: &ServiceStatus| {
        status.wait(Publication::Reachable, Duration::ZERO, None, None).unwrap_err()
    };
    clock.advance(GRACE - TICK);
    assert!(matches!(zero(&status), Error::Timeout(_)));
    clock.advance(TICK);
    assert!(is_not_published(&zero(&status)));
    // Another upload takes the failure back.
    upload(&status);
    assert!(matches!(zero(&status), Error::Timeout(_)));
    fail(&status);
    clock.tick_by(Duration::from_millis(10));
    let error = status.wait(Publication::Reachable, LONG, None, None).unwrap_err();
    assert!(is_not_published(&error), "{error:?}");
    let took = elapsed_since(failed);
    assert!(took >= 2 * GRACE && took < 2 * GRACE + Duration::from_secs(1), "{took:?}");
}

#[test]
fn an_upload_is_without_an_answer_from_its_limit_on_and_the_grace_period_begins_then() {
    let clock = ManualClock::start();
    let status = status();
    upload(&status);
    clock.advance(ANSWER - TICK);
    assert_eq!(outcome(&status), UploadOutcome::Pending);
    clock.advance(TICK);
    assert_eq!(outcome(&status), UploadOutcome::Unanswered);
    let expired = now();
    clock.tick_by(Duration::from_millis(10));
    let error = status.wait(Publication::Reachable, LONG, None, None).unwrap_err();
    assert!(is_not_published(&error), "{error:?}");
    let took = elapsed_since(expired);
    assert!(took >= GRACE && took < GRACE + Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_wait_for_a_suspicion_ends_at_its_limit() {
    let clock = ManualClock::start();
    let (status, start) = (status(), now());
    clock.tick_by(Duration::from_secs(1));
    assert!(status.wait_suspicion(status.generation(), LONG));
    let took = elapsed_since(start);
    assert!(took >= LONG && took < LONG + Duration::from_secs(10), "{took:?}");
}
