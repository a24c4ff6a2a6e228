use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use torcon::error::{OnionProblem, UploadOutcome, Wait};
use torcon::event::SignalEvent;
use torcon::onion::{OnionEndpoint, OnionListener, OnionProgress, Publication};
use torcon::{ConnectOptions, Error};

use super::{LONG, SOON, key, refusal};
use crate::support::fake_tor::FakeTor;
use crate::support::script::Script;
use crate::support::script::Steps as _;
use crate::support::signal::signal;
use crate::support::watchdog::within;

/// Directories of the network on which these lines were recorded.
pub(super) const A: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
pub(super) const B: &str = "$2752B817FDB074AB4FDB688E1DF45AE59E96A138~test001a";
/// The descriptors of two time periods.
pub(super) const ONE: &str = "a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";
pub(super) const TWO: &str = "LFjky7ywjd1ZKZJLzHqu6SMGiWcm3YotLSETfmXkERI";
const INDEX: &str = "HSDIR_INDEX=3C0A5A1B2C3D4E5F3C0A5A1B2C3D4E5F3C0A5A1B2C3D4E5F3C0A5A1B2C3D4E5F";

pub(super) fn id(number: u8) -> String {
    key(number).address().service_id().to_owned()
}

pub(super) fn created(number: u8, descriptor: &str) -> String {
    format!("650 HS_DESC CREATED {} UNKNOWN UNKNOWN {descriptor}", id(number))
}

pub(super) fn upload(number: u8, hsdir: &str, descriptor: &str) -> String {
    format!("650 HS_DESC UPLOAD {} UNKNOWN {hsdir} {descriptor} {INDEX}", id(number))
}

pub(super) fn uploaded(number: u8, hsdir: &str) -> String {
    format!("650 HS_DESC UPLOADED {} UNKNOWN {hsdir}", id(number))
}

pub(super) fn failed(number: u8, hsdir: &str, descriptor: &str) -> String {
    let service = id(number);
    format!("650 HS_DESC FAILED {service} NO_AUTH {hsdir} {descriptor} REASON=UPLOAD_REJECTED")
}

pub(super) fn send_events(script: &mut Script, lines: &[String]) {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    script.send_lines(&lines);
}

/// Accepts the service as tor does, and reports an enabled network.
fn add(script: &mut Script) {
    // First the events, then the service (peers 32).
    script.answer("SETEVENTS HS_DESC", &["250 OK"]);
    let command = format!("ADD_ONION {} Port=80,", key(1).reveal_blob());
    script.expect_matching("ADD_ONION with a key", |line| line.starts_with(&command));
    script.send_lines(&[&format!("250-ServiceID={}", id(1)), "250 OK"]);
}

fn answer_network(script: &mut Script) {
    script.answer("GETCONF DisableNetwork", &["250 DisableNetwork=0"]);
}

/// Answers the removal of the service.
fn remove(script: &mut Script) {
    script.answer("SETEVENTS", &["250 OK"]);
    script.answer(&format!("DEL_ONION {}", id(1)), &["250 OK"]);
    script.expect_end();
}

pub(super) fn fake_tor(play: impl FnOnce(&mut Script) + Send + 'static) -> FakeTor {
    FakeTor::unix(|script| {
        script.greet();
        add(script);
        answer_network(script);
        play(script);
        remove(script);
    })
}

pub(super) fn endpoint(tor: &FakeTor) -> OnionEndpoint {
    OnionEndpoint::system_tor(tor.endpoint(), 80)
        .ephemeral()
        .key(key(1))
        .publication(Publication::First)
        .timeout(LONG)
        .upload_grace(LONG)
}

/// Listens on a fake tor that sends these events, and drops the listener. Returns the uploads.
#[track_caller]
fn uploads_after(
    lines: Vec<String>,
    change: impl FnOnce(OnionEndpoint) -> OnionEndpoint,
) -> Result<Vec<String>, String> {
    let tor = fake_tor(move |script| send_events(script, &lines));
    let outcome = change(endpoint(&tor)).listen();
    let outcome = match outcome {
        Ok(listener) => Ok(listener.uploads().iter().map(ToString::to_string).collect()),
        Err(error) => Err(refusal::<OnionListener>(Err(error))),
    };
    tor.finish();
    outcome
}

/// A limit that ends, but not before tor got the service.
const SHORT: Duration = Duration::from_millis(1200);

#[test]
fn first_waits_for_one_directory() {
    let lines = vec![
        created(1, ONE),
        upload(1, A, ONE),
        upload(1, B, ONE),
        // A failure besides a success is ignored (protocol of HSDirs: some refuse).
        failed(1, B, ONE),
        uploaded(1, A),
    ];
    assert_eq!(
        uploads_after(lines, |endpoint| endpoint),
        Ok(vec![format!("{A}: uploaded"), format!("{B}: failed, UPLOAD_REJECTED")])
    );
}

#[test]
fn uploads_of_another_service_do_not_count() {
    // Matched by directory only, another service's upload satisfied the wait (peers 32).
    let lines = vec![
        upload(2, A, TWO),
        upload(1, A, ONE),
        uploaded(2, A),
        uploaded(2, B),
        failed(2, A, TWO),
    ];
    assert_eq!(
        uploads_after(lines, |endpoint| endpoint.timeout(SHORT)),
        Err(format!("timed out after {SHORT:?} waiting for the onion service to be published"))
    );
}

#[test]
fn all_failed_counts_only_after_a_while_without_another_upload() {
    // "All failed" fired when the failures equalled the uploads seen so far (peers 32).
    let lines = vec![
        upload(1, A, ONE),
        failed(1, A, ONE),
        upload(1, B, ONE),
        failed(1, B, ONE),
        upload(1, A, TWO),
        uploaded(1, A),
    ];
    assert!(uploads_after(lines, |endpoint| endpoint).is_ok());

    let lines = vec![created(1, ONE), upload(1, A, ONE), failed(1, A, ONE)];
    assert_eq!(
        uploads_after(lines, |endpoint| endpoint.upload_grace(SHORT)),
        Err(format!(
            "no directory accepted the descriptor of {}: 1 UPLOAD_REJECTED",
            key(1).address()
        ))
    );
}

#[test]
fn a_failed_publication_reports_each_directory() {
    let tor = fake_tor(|script| {
        send_events(
            script,
            &[upload(1, A, ONE), upload(1, B, ONE), failed(1, A, ONE), failed(1, B, ONE)],
        );
    });
    let error = endpoint(&tor).upload_grace(SHORT).listen().unwrap_err();
    let Error::Onion(error) = error else { panic!("{error:?}") };
    let OnionProblem::NotPublished { address, uploads } = error.problem() else {
        panic!("{error:?}");
    };
    assert_eq!(*address, key(1).address());
    let [first, second] = &uploads[..] else { panic!("{uploads:?}") };
    assert_eq!([first.hsdir.to_string(), second.hsdir.to_string()], [A, B]);
    assert_eq!(first.descriptor_id, ONE);
    assert!(matches!(first.outcome, UploadOutcome::Failed { .. }));
    tor.finish();
}

#[test]
fn a_failed_fetch_of_the_address_is_no_failed_upload() {
    let fetch = format!("650 HS_DESC FAILED {} NO_AUTH {A} {ONE} REASON=NOT_FOUND", id(1));
    let lines = vec![upload(1, A, ONE), fetch, uploaded(1, A)];
    assert_eq!(
        uploads_after(lines, |endpoint| endpoint.upload_grace(Duration::ZERO)),
        Ok(vec![format!("{A}: uploaded")])
    );
}

#[test]
fn all_waits_for_both_descriptors_and_every_directory() {
    let (go_on, wait) = signal();
    let tor = fake_tor(move |script| {
        send_events(script, &[created(1, ONE), created(1, TWO), upload(1, A, ONE), uploaded(1, A)]);
        script.wait_for(&wait);
        // One directory gets both descriptors; it answers each.
        send_events(
            script,
            &[upload(1, A, TWO), upload(1, B, TWO), uploaded(1, A), failed(1, B, TWO)],
        );
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let listener = endpoint(&tor)
        .publication(Publication::All)
        .on_progress(move |progress| {
            if matches!(progress, OnionProgress::Upload(upload)
                if upload.outcome == UploadOutcome::Uploaded && upload.descriptor_id == ONE)
            {
                go_on.fire();
            }
            sink.lock().push(progress.to_string());
        })
        .listen()
        .unwrap();
    assert_eq!(seen.lock()[0], format!("added {}", key(1).address()));
    let last = [format!("{B}: failed, UPLOAD_REJECTED"), format!("published {}", key(1).address())];
    assert!(seen.lock().ends_with(&last), "{:?}", seen.lock());
    assert_eq!(listener.uploads().len(), 3);
    drop(listener);
    tor.finish();
}

#[test]
fn events_before_the_address_is_known_count() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        script.answer("SETEVENTS HS_DESC", &["250 OK"]);
        // A filter that refuses keys of the program.
        script.expect_matching("a key", |line| line.starts_with("ADD_ONION ED25519-V3:"));
        script.send_lines(&["510 Command filtered"]);
        script.expect_matching("ADD_ONION", |line| line.starts_with("ADD_ONION NEW:ED25519-V3 "));
        // tor sends events between the replies to others, and may be faster than this program.
        send_events(script, &[upload(2, B, TWO), upload(1, A, ONE), uploaded(1, A)]);
        let blob = key(1).reveal_blob();
        script.send_lines(&[
            &format!("250-ServiceID={}", id(1)),
            &format!("250-PrivateKey={blob}"),
            "250 OK",
        ]);
        answer_network(script);
        remove(script);
    });
    let endpoint = OnionEndpoint::system_tor(tor.endpoint(), 80).ephemeral().timeout(SOON);
    let listener = endpoint.publication(Publication::First).listen().unwrap();
    assert_eq!(listener.uploads().len(), 1);
    assert_eq!(listener.private_key().unwrap().address(), key(1).address());
    drop(listener);
    tor.finish();
}

#[test]
fn without_a_wait_the_address_is_known_and_publication_can_be_awaited_later() {
    let (go_on, wait) = signal();
    let tor = FakeTor::unix(move |script| {
        script.greet();
        add(script);
        script.wait_for(&wait);
        send_events(script, &[upload(1, A, ONE), uploaded(1, A)]);
        remove(script);
    });
    let listener = endpoint(&tor).publication(Publication::None).listen().unwrap();
    assert_eq!(listener.onion_address(), key(1).address());
    // The service stays in tor if publication takes longer than the limit.
    let error = listener.wait_published(Publication::First, SHORT).unwrap_err();
    let Error::Timeout(timeout) = error else { panic!("{error:?}") };
    assert_eq!(*timeout.wait(), Wait::Publication);
    go_on.fire();
    listener.wait_published(Publication::First, LONG).unwrap();
    listener.wait_published(Publication::All, LONG).unwrap();
    drop(listener);
    tor.finish();
}

#[test]
fn a_wait_for_publication_ends_with_the_service() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        add(script);
        remove(script);
    });
    let listener = endpoint(&tor).publication(Publication::None).listen().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| listener.wait_published(Publication::First, LONG));
        let started = Instant::now();
        listener.close().unwrap();
        assert_eq!(refusal(waiting.join().unwrap()), "the listener is closed");
        assert!(started.elapsed() < SOON);
    });
    drop(listener);
    tor.finish();
}

#[test]
fn the_death_of_tor_during_publication_is_reported_at_once() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        add(script);
        answer_network(script);
        send_events(script, &[upload(1, A, ONE)]);
        script.close();
    });
    let endpoint = endpoint(&tor);
    let outcome = within(SOON, "listen", move || endpoint.listen());
    assert_eq!(refusal(outcome), "the control connection is closed: tor closed the connection");
    tor.finish();
}

#[test]
fn the_death_of_tor_before_add_onion_is_reported_at_once() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        script.answer("SETEVENTS HS_DESC", &["250 OK"]);
        script.expect_line("ADD_ONION");
        script.close();
    });
    let endpoint = endpoint(&tor);
    let outcome = within(SOON, "listen", move || endpoint.listen());
    assert!(outcome.unwrap_err().is_closed());
    tor.finish();
}

#[test]
fn a_refused_service_leaves_no_subscription() {
    // A failed publication wait leaked its listener (peers 14).
    let tor = FakeTor::unix(|script| {
        script.greet();
        script.answer("SETEVENTS HS_DESC", &["250 OK"]);
        script.expect_line("ADD_ONION");
        script.send_lines(&["512 Invalid MaxStreams"]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer("GETINFO version", &["250-version=0.4.9.11", "250 OK"]);
    });
    let controller = torcon::connect(tor.endpoint()).unwrap();
    let refused = controller.onion_endpoint(80).ephemeral().listen();
    assert_eq!(refusal(refused), "tor refused ADD_ONION: 512 \"Invalid MaxStreams\"");
    assert!(controller.subscribed_events().is_empty());
    controller.get_info_one("version").unwrap();
    drop(controller);
    tor.finish();
}

#[test]
fn a_service_whose_address_a_filter_has_replaced_is_removed() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        script.answer("SETEVENTS HS_DESC", &["250 OK"]);
        script.unchecked("a filter that replaces addresses");
        script.expect_matching("a key", |line| line.starts_with("ADD_ONION ED25519-V3:"));
        script.send_lines(&["250-ServiceID=XXXredactedXXX", "250 OK"]);
        script.expect_matching("DEL_ONION", |line| line.starts_with("DEL_ONION "));
        script.send_lines(&["250 OK"]);
        script.answer("SETEVENTS", &["250 OK"]);
    });
    let controller = torcon::connect(tor.endpoint()).unwrap();
    let unreadable = controller.onion_endpoint(80).ephemeral().listen();
    let text = refusal(unreadable);
    assert!(text.starts_with("cannot read the reply to ADD_ONION"), "{text}");
    drop(controller);
    tor.finish();
}

#[test]
fn a_disabled_network_is_reported_at_once() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        add(script);
        script.answer("GETCONF DisableNetwork", &["250 DisableNetwork=1"]);
        remove(script);
    });
    assert_eq!(
        refusal(endpoint(&tor).listen()),
        "tor has DisableNetwork set and cannot publish the service"
    );
    tor.finish();
}

#[test]
fn a_filter_that_drops_the_query_does_not_stop_a_service() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        add(script);
        script.answer("GETCONF DisableNetwork", &["510 Command filtered"]);
        send_events(script, &[uploaded(1, A)]);
        remove(script);
    });
    drop(endpoint(&tor).listen().unwrap());
    tor.finish();
}

#[test]
fn a_detached_service_that_was_not_published_is_removed() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        script.answer("SETEVENTS HS_DESC", &["250 OK"]);
        script.expect_matching("ADD_ONION", |line| line.contains(" Flags=Detach "));
        script.send_lines(&[&format!("250-ServiceID={}", id(1)), "250 OK"]);
        answer_network(script);
        remove(script);
    });
    let error = endpoint(&tor).detach().timeout(SHORT).listen().unwrap_err();
    assert!(error.is_timeout());
    tor.finish();
}

#[test]
fn a_service_can_be_made_inside_a_listener_of_events() {
    // A wait inside a handler deadlocked (peers 11).
    let tor = FakeTor::unix(|script| {
        script.greet();
        script.answer("SETEVENTS SIGNAL", &["250 OK"]);
        script.send_lines(&["650 SIGNAL NEWNYM"]);
        script.answer("SETEVENTS HS_DESC SIGNAL", &["250 OK"]);
        script.expect_line("ADD_ONION");
        script.send_lines(&[&format!("250-ServiceID={}", id(1)), "250 OK"]);
        answer_network(script);
        send_events(script, &[upload(1, A, ONE), uploaded(1, A)]);
        script.answer("SETEVENTS SIGNAL", &["250 OK"]);
        script.answer(&format!("DEL_ONION {}", id(1)), &["250 OK"]);
        script.drain();
    });
    let controller = ConnectOptions::new().connect(tor.endpoint()).unwrap();
    let (done, made) = crossbeam_channel::bounded(1);
    let weak = controller.downgrade();
    controller
        .on(move |_: &SignalEvent| {
            let controller = weak.upgrade().unwrap();
            let endpoint = controller.onion_endpoint(80).ephemeral().key(key(1));
            let listener = endpoint.timeout(SOON).listen();
            done.send(listener.map(|listener| listener.onion_address())).unwrap();
        })
        .unwrap();
    let address = made.recv_timeout(LONG).unwrap();
    assert_eq!(address.unwrap(), key(1).address());
    drop(controller);
    tor.finish();
}

#[test]
fn late_events_and_events_of_unknown_shape_are_ignored() {
    let lines = vec![
        "650 HS_DESC".to_owned(),
        "650 HS_DESC NOVELTY x".to_owned(),
        format!("650 HS_DESC UPLOAD {} UNKNOWN", id(1)),
        format!("650 HS_DESC UPLOADED {} UNKNOWN UNKNOWN", id(1)),
        upload(1, A, ONE),
        uploaded(1, A),
    ];
    assert_eq!(uploads_after(lines, |endpoint| endpoint), Ok(vec![format!("{A}: uploaded")]));
}
