use std::time::Duration;

use torcon::error::UploadOutcome;
use torcon::onion::{OnionProgress, Publication};

use super::publication::{
    A, B, ONE, TWO, created, endpoint, failed, fake_tor, send_events, upload, uploaded,
};
use super::{SOON, refusal};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// A limit that ends, but not before tor has reported the uploads.
const SHORT: Duration = Duration::from_millis(1200);

#[test]
fn a_directory_that_never_answers_does_not_end_a_published_service() {
    // tor sends no event for an upload whose circuit dies.
    let tor = fake_tor(|script| {
        send_events(
            script,
            &[created(1, ONE), upload(1, A, ONE), upload(1, B, ONE), uploaded(1, A)],
        );
    });
    let endpoint = endpoint(&tor).publication(Publication::All);
    let listener = endpoint.upload_timeout(SHORT).listen().unwrap();
    let outcomes: Vec<_> = listener.uploads().into_iter().map(|upload| upload.outcome).collect();
    assert_eq!(outcomes, [UploadOutcome::Uploaded, UploadOutcome::Unanswered]);
    drop(listener);
    tor.finish();
}

#[test]
fn a_publication_timeout_does_not_end_a_published_service() {
    let tor = fake_tor(|script| {
        send_events(script, &[created(1, ONE), created(1, TWO), upload(1, A, ONE), uploaded(1, A)]);
    });
    let endpoint = endpoint(&tor).publication(Publication::Reachable).timeout(SHORT);
    let listener = endpoint.listen().unwrap();
    // A later wait reports that the publication is incomplete.
    assert!(listener.wait_published(Publication::Reachable, SHORT).unwrap_err().is_timeout());
    drop(listener);
    tor.finish();
}

#[test]
fn no_answer_at_all_is_a_failed_publication() {
    let tor = fake_tor(|script| {
        send_events(script, &[upload(1, A, ONE), upload(1, B, ONE), failed(1, B, ONE)]);
    });
    let endpoint = endpoint(&tor).upload_timeout(SHORT).upload_grace(Duration::ZERO);
    let text = refusal(endpoint.listen());
    assert!(text.ends_with(": 1 without an answer, 1 UPLOAD_REJECTED"), "{text}");
    tor.finish();
}

#[test]
fn reachable_waits_for_both_descriptors() {
    let (go_on, wait) = signal();
    let tor = fake_tor(move |script| {
        let lines = [created(1, ONE), created(1, TWO), upload(1, A, ONE), upload(1, B, ONE)];
        send_events(script, &lines);
        send_events(script, &[uploaded(1, A), uploaded(1, B)]);
        script.wait_for(&wait);
        send_events(script, &[upload(1, A, TWO), uploaded(1, A)]);
    });
    let endpoint = endpoint(&tor).publication(Publication::default());
    let mut taken = 0;
    let listener = endpoint
        .on_progress(move |progress| {
            let OnionProgress::Upload(upload) = progress else { return };
            taken += usize::from(upload.outcome == UploadOutcome::Uploaded);
            if taken == 2 {
                go_on.fire();
            }
        })
        .listen()
        .unwrap();
    assert_eq!(listener.uploads().len(), 3);
    drop(listener);
    tor.finish();
}

#[test]
fn uploads_are_counted_where_a_filter_replaces_the_names() {
    let service = created(1, ONE);
    let service = service.split(' ').nth(3).unwrap().to_owned();
    let (go_on, wait) = signal();
    let tor = fake_tor(move |script| {
        let sent = format!("650 HS_DESC UPLOAD {service} UNKNOWN redacted redacted");
        let taken = format!("650 HS_DESC UPLOADED {service} UNKNOWN redacted");
        send_events(script, &[sent.clone(), sent.clone(), sent.clone(), sent, taken.clone()]);
        script.wait_for(&wait);
        send_events(script, &[taken.clone(), taken.clone(), taken]);
    });
    let listener = endpoint(&tor).listen().unwrap();
    assert!(listener.wait_published(Publication::All, SHORT).unwrap_err().is_timeout());
    go_on.fire();
    listener.wait_published(Publication::All, SOON).unwrap();
    assert_eq!(listener.uploads().len(), 4);
    drop(listener);
    tor.finish();
}
