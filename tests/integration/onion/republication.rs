use std::time::Duration;

use torcon::onion::Publication;

use super::publication::{
    A, B, ONE, created, endpoint, fake_tor, id, send_events, upload, uploaded,
};
use super::{LONG, refusal};

#[test]
fn a_forced_upload_that_is_refused_leaves_the_publication_as_it_was() {
    let tor = fake_tor(|script| {
        send_events(
            script,
            &[created(1, ONE), upload(1, A, ONE), upload(1, B, ONE), uploaded(1, A)],
        );
        script.expect_matching("DEL_ONION", |line| line == format!("DEL_ONION {}", id(1)));
        // Events that arrive in the meantime count.
        send_events(script, &[uploaded(1, B)]);
        script.send_lines(&["510 Command filtered"]);
    });
    let listener = endpoint(&tor).listen().unwrap();
    assert_eq!(listener.uploads().len(), 2);
    let refused = refusal(listener.upload_again(Publication::First, LONG));
    assert!(refused.contains("Command filtered"), "{refused}");
    let uploads: Vec<_> = listener.uploads().iter().map(ToString::to_string).collect();
    assert_eq!(uploads, [format!("{A}: uploaded"), format!("{B}: uploaded")]);
    listener.wait_published(Publication::All, LONG).unwrap();
    drop(listener);
    tor.finish();
}

#[test]
fn an_answer_to_an_upload_of_before_does_not_publish_the_service_again() {
    let tor = fake_tor(|script| {
        let begin = [created(1, ONE), upload(1, A, ONE), upload(1, B, ONE), uploaded(1, A)];
        send_events(script, &begin);
        script.answer(&format!("DEL_ONION {}", id(1)), &["250 OK"]);
        script.expect_matching("ADD_ONION", |line| line.starts_with("ADD_ONION "));
        script.send_lines(&[&format!("250-ServiceID={}", id(1)), "250 OK"]);
        // The upload was under way.
        send_events(script, &[uploaded(1, B)]);
    });
    let listener = endpoint(&tor).listen().unwrap();
    let outcome = listener.upload_again(Publication::First, Duration::from_secs(2));
    assert!(outcome.is_err_and(|error| error.is_timeout()), "nothing was uploaded again");
    assert!(listener.uploads().is_empty());
    // The directory has accepted a descriptor nevertheless.
    assert_eq!(listener.service().last_uploads().len(), 2);
    drop(listener);
    tor.finish();
}
