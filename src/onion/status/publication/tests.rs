//! The wait for the publication, without a tor.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::slice::from_ref;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::LAST_UPLOADS;
use crate::controller::HookEvent;
use crate::error::{Disconnect, Error, HsDirUpload, OnionProblem, Result};
use crate::event::dialect::assert_dialect;
use crate::event::{Event, EventText};
use crate::onion::publish::Publication::{self, All, First, None as Unpublished, Reachable};
use crate::onion::status::{AtDisconnection, ServiceStatus, UploadLimits};
use crate::sync::channel::unbounded;

const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
const ONE: &str = "a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";
const INDEX: &str = "3C0A5A659413B92BD4D4440A6F2626135176B98508E8A44EAFF873A6C7038978";
/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(60);

struct Service {
    status: Arc<ServiceStatus>,
    generation: u64,
}

impl Service {
    /// Returns a service on its first connection.
    fn new(at_disconnection: AtDisconnection, limits: UploadLimits) -> Self {
        let status = Arc::new(ServiceStatus::new(at_disconnection, None));
        let generation = status.begin_generation();
        status.set_address(SERVICE.parse().unwrap(), limits);
        Self { status, generation }
    }

    fn patient(at_disconnection: AtDisconnection) -> Self {
        Self::new(at_disconnection, UploadLimits { answer: LONG, grace: LONG })
    }

    fn event(&self, text: &str) {
        assert_dialect(text);
        let event = Event::parse(EventText::new(text.as_bytes()));
        self.status.apply(self.generation, HookEvent::Event(&event));
    }

    fn upload(&self, hsdir: usize) {
        let hsdir = name(hsdir);
        self.event(&format!("HS_DESC UPLOAD {SERVICE} UNKNOWN {hsdir} {ONE} HSDIR_INDEX={INDEX}"));
    }

    fn uploaded(&self, hsdir: usize) {
        self.event(&format!("HS_DESC UPLOADED {SERVICE} UNKNOWN {}", name(hsdir)));
    }

    fn rejected(&self, hsdir: usize) {
        let hsdir = name(hsdir);
        self.event(&format!(
            "HS_DESC FAILED {SERVICE} NO_AUTH {hsdir} {ONE} REASON=UPLOAD_REJECTED"
        ));
    }

    fn disconnect(&self) {
        self.status.apply(self.generation, HookEvent::Ended(&Disconnect::EndOfStream));
    }

    /// Returns the result of a wait that has no time.
    fn check(&self, wanted: Publication) -> Result<()> {
        self.status.wait(wanted, Duration::ZERO, None, None)
    }

    /// Returns the uploads that a wait without time reports.
    fn report(&self) -> Vec<String> {
        let mut reported = Vec::new();
        let mut report = |upload: HsDirUpload| reported.push(upload.to_string());
        let _ = self.status.wait(All, Duration::ZERO, None, Some(&mut report));
        reported
    }
}

fn name(hsdir: usize) -> String {
    format!("${hsdir:040X}~relay{hsdir}")
}

fn is_timeout(result: &Result<()>) -> bool {
    matches!(result, Err(Error::Timeout(_)))
}

fn is_not_published(result: &Result<()>) -> bool {
    matches!(result, Err(Error::Onion(error)) if matches!(error.problem(), OnionProblem::NotPublished { .. }))
}

/// Runs a call on a thread that has a name.
fn spawn<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().name("caller".to_owned()).spawn(call).unwrap()
}

#[test]
fn each_publication_is_reached_by_its_uploads() {
    let service = Service::patient(AtDisconnection::End);
    let published =
        || [Unpublished, First, Reachable, All].map(|wanted| service.check(wanted).is_ok());
    assert_eq!(published(), [true, false, false, false]);
    (0..3).for_each(|hsdir| service.upload(hsdir));
    assert_eq!(published(), [true, false, false, false]);
    service.uploaded(0);
    assert_eq!(published(), [true, true, false, false]);
    service.uploaded(1);
    assert_eq!(published(), [true, true, true, false]);
    assert!(is_timeout(&service.check(All)));
    service.uploaded(2);
    assert_eq!(published(), [true, true, true, true]);
}

#[test]
fn a_wait_ends_when_the_last_upload_succeeds() {
    let service = Service::patient(AtDisconnection::End);
    service.upload(0);
    let status = Arc::clone(&service.status);
    let waiter = spawn(move || status.wait(All, LONG, None, None));
    service.uploaded(0);
    waiter.join().unwrap().unwrap();
}

#[test]
fn publication_fails_when_every_upload_has_failed_and_the_grace_period_is_over() {
    for (grace, is_over) in [(Duration::ZERO, true), (LONG, false)] {
        let service = Service::new(AtDisconnection::End, UploadLimits { answer: LONG, grace });
        assert!(is_timeout(&service.check(First)), "no upload has started");
        service.upload(0);
        service.upload(1);
        service.rejected(0);
        assert!(is_timeout(&service.check(First)), "one upload is pending");
        service.rejected(1);
        let result = service.check(First);
        assert_eq!(is_not_published(&result), is_over, "{result:?}");
        assert_eq!(is_timeout(&result), !is_over, "{result:?}");
    }
}

#[test]
fn an_upload_without_an_answer_fails_at_its_limit() {
    let limits = UploadLimits { answer: Duration::from_millis(20), grace: Duration::ZERO };
    let service = Service::new(AtDisconnection::End, limits);
    service.upload(0);
    let begin = Instant::now();
    let result = service.status.wait(First, LONG, None, None);
    assert!(is_not_published(&result), "{result:?}");
    assert!(begin.elapsed() < LONG, "the limit of the upload ends the wait");
    assert!(service.status.uploads()[0].to_string().contains("no answer"));
}

#[test]
fn each_change_of_an_upload_is_reported_once_and_only_to_a_wait_that_reports() {
    let service = Service::patient(AtDisconnection::End);
    service.upload(0);
    let state = || service.status.state.lock();
    assert!(state().unreported.is_empty(), "no wait reports");
    let [pending, uploaded] = ["pending", "uploaded"].map(|end| format!("{}: {end}", name(0)));
    assert_eq!(service.report(), from_ref(&pending), "the upload that began before the wait");
    assert_eq!(state().reporters, 0);
    service.uploaded(0);
    assert!(state().unreported.is_empty());
    assert_eq!(service.report(), from_ref(&uploaded));

    let (began, begins) = unbounded();
    let status = Arc::clone(&service.status);
    service.upload(0);
    let waiter = spawn(move || {
        let mut reported = Vec::new();
        let mut report = |upload: HsDirUpload| {
            reported.push(upload.to_string());
            began.send(()).unwrap();
        };
        status.wait(All, LONG, None, Some(&mut report)).unwrap();
        reported
    });
    begins.recv_timeout(LONG).unwrap();
    // A second wait that reports gets only what the first has not reported.
    assert!(service.report().is_empty());
    assert_eq!(state().reporters, 1);
    service.uploaded(0);
    assert_eq!(waiter.join().unwrap(), [pending, uploaded]);
    assert_eq!(state().reporters, 0);
}

#[test]
fn nothing_is_kept_for_a_report_that_has_ended_by_a_panic() {
    let service = Service::patient(AtDisconnection::End);
    service.upload(0);
    let mut report = |_| {
        service.uploaded(0);
        resume_unwind(Box::new(()));
    };
    let wait = || service.status.wait(All, LONG, None, Some(&mut report));
    assert!(catch_unwind(AssertUnwindSafe(wait)).is_err());
    let state = service.status.state.lock();
    assert_eq!((state.reporters, state.unreported.len()), (0, 0));
}

#[test]
fn the_last_upload_to_each_directory_is_kept_newest_first() {
    let service = Service::patient(AtDisconnection::End);
    let last = || -> Vec<String> {
        service.status.last_uploads().iter().map(|last| last.hsdir.to_string()).collect()
    };
    for hsdir in [0, 1, 0] {
        service.upload(hsdir);
        assert!(!last().contains(&name(2)));
        service.uploaded(hsdir);
    }
    service.upload(2);
    service.rejected(2);
    assert_eq!(last(), [name(0), name(1)]);
    (0..=LAST_UPLOADS).for_each(|hsdir| service.uploaded(hsdir));
    assert_eq!(last().len(), LAST_UPLOADS);
    assert_eq!(last()[0], name(LAST_UPLOADS));
}

#[test]
fn a_rejection_is_noticed_on_later_connections_only() {
    let mut service = Service::patient(AtDisconnection::AwaitSupervisor);
    for is_noticed in [false, true] {
        service.upload(0);
        assert!(!service.status.is_rejected(service.generation));
        service.rejected(0);
        assert_eq!(service.status.is_rejected(service.generation), is_noticed);
        service.generation = service.status.begin_generation();
    }
}

#[test]
fn the_end_of_the_connection_ends_the_wait() {
    for at_disconnection in [AtDisconnection::End, AtDisconnection::Outlive] {
        let service = Service::patient(at_disconnection);
        service.upload(0);
        service.disconnect();
        let result = service.status.wait(First, LONG, None, None);
        assert!(matches!(result, Err(Error::Closed(_))), "{result:?}");
    }
    // An uploaded descriptor is published, also if the connection has ended since.
    let service = Service::patient(AtDisconnection::Outlive);
    service.upload(0);
    service.uploaded(0);
    service.disconnect();
    service.check(All).unwrap();
}

#[test]
fn a_supervised_service_waits_for_the_next_connection() {
    let mut service = Service::new(
        AtDisconnection::AwaitSupervisor,
        UploadLimits { answer: LONG, grace: Duration::ZERO },
    );
    let first = service.generation;
    service.upload(0);
    service.uploaded(0);
    service.upload(1);
    service.rejected(1);
    service.check(First).unwrap();
    service.disconnect();
    assert!(is_timeout(&service.check(First)), "the tor that had the descriptor is gone");
    let result = service.status.wait(First, LONG, Some(first), None);
    assert!(matches!(result, Err(Error::Closed(_))), "{result:?}");
    service.generation = service.status.begin_generation();
    assert!(is_timeout(&service.check(First)), "the next tor has not uploaded it");
    let result = service.status.wait(First, LONG, Some(first), None);
    assert!(matches!(result, Err(Error::Onion(_))), "{result:?}");
    service.upload(0);
    service.uploaded(0);
    service.check(First).unwrap();
    service.status.wait(First, LONG, Some(service.generation), None).unwrap();
}

#[test]
fn failed_uploads_of_a_tor_that_is_gone_do_not_fail_the_publication() {
    let limits = UploadLimits { answer: LONG, grace: Duration::ZERO };
    let service = Service::new(AtDisconnection::AwaitSupervisor, limits);
    service.upload(0);
    service.rejected(0);
    assert!(is_not_published(&service.check(First)));
    service.disconnect();
    assert!(is_timeout(&service.check(First)));
}
