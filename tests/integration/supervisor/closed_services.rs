//! Services that are closed while the supervisor connects again, and those that it cannot restore.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use torcon::error::OnionProblem;
use torcon::onion::{OnionListener, OnionProgress, Publication};
use torcon::{Error, Supervisor};

use super::{LIMIT, connected_to, cut, unrestored, wait_up};
use crate::support::exclusive::exclusive;
use crate::support::log_capture::{LogCapture, LogClosure};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::{eventually, within};

fn service(tor: &RealTor, supervisor: &Supervisor) -> OnionListener {
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    endpoint.hidden_service_dir(tor.directory().join("service")).listen().unwrap()
}

fn has_services(tor: &RealTor) -> bool {
    tor.raw().get_conf("HiddenServiceOptions").len() > 1
}

#[test]
fn a_service_that_is_closed_while_the_supervisor_connects_again_does_not_stay_in_tor() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);
    let listener = service(&tor, &supervisor);
    assert!(has_services(&tor));
    let open = cut(&tor, &supervisor);
    thread::scope(|scope| {
        let closing = scope.spawn(|| listener.close());
        // The call waits for a second for the end of tor.
        thread::sleep(Duration::from_millis(200));
        open();
        wait_up(&supervisor, 2);
        closing.join().unwrap().unwrap();
    });
    eventually(LIMIT, "tor no longer has it", || !has_services(&tor));
}

#[test]
fn a_service_that_is_dropped_while_the_supervisor_connects_again_does_not_stay_in_tor() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    let listener = endpoint.temporary_dir().listen().unwrap();
    let directory = listener.hidden_service_dir().unwrap().to_owned();
    let open = cut(&tor, &supervisor);
    thread::scope(|scope| {
        scope.spawn(move || drop(listener));
        thread::sleep(Duration::from_millis(200));
        open();
        wait_up(&supervisor, 2);
    });
    eventually(LIMIT, "nothing of it is left", || !has_services(&tor) && !directory.exists());
}

#[test]
fn a_service_whose_removal_gets_no_answer_is_removed_on_the_next_connection() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);
    let listener = service(&tor, &supervisor);
    tor.stop();
    thread::scope(|scope| {
        let closing = scope.spawn(|| listener.close());
        thread::sleep(Duration::from_millis(300));
        supervisor.tor().unwrap().controller().close();
        thread::sleep(Duration::from_millis(300));
        tor.cont();
        wait_up(&supervisor, 2);
        closing.join().unwrap().unwrap();
    });
    eventually(LIMIT, "tor no longer has it", || !has_services(&tor));
}

#[test]
fn a_service_whose_directory_was_away_has_the_controller_of_the_present_connection() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);
    let listener = service(&tor, &supervisor);
    let directory = tor.directory().join("service");
    let aside = directory.with_extension("aside");
    let open = cut(&tor, &supervisor);
    fs::rename(&directory, &aside).unwrap();
    open();
    assert_eq!(unrestored(&supervisor, 2), 1);
    assert!(listener.controller().is_alive());
    fs::rename(&aside, &directory).unwrap();
    // The change waits for the restoration, or is made after it.
    listener.authorize_client("alice").unwrap();
    eventually(LIMIT, "it is restored", || unrestored(&supervisor, 2) == 0);
    assert_eq!(listener.clients().len(), 1);
    listener.close().unwrap();
    assert!(!has_services(&tor));
}

#[test]
fn a_progress_closure_that_panics_after_a_restore_is_logged() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);
    let capture = LogCapture::start();
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    let endpoint = endpoint.ephemeral().on_progress(|progress| {
        assert!(!matches!(progress, OnionProgress::Restored(_)), "of this test's progress closure");
    });
    let _listener = endpoint.listen().unwrap();
    cut(&tor, &supervisor)();
    eventually(LIMIT, "it is logged", || {
        !capture.lines_with("of this test's progress closure").is_empty()
    });
}

#[test]
fn a_logger_that_changes_the_service_whose_command_it_logs_fails_at_once() {
    exclusive(|| {
        let tor = RealTor::start();
        let supervisor = connected_to(&tor);
        let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
        let listener = Arc::new(endpoint.ephemeral().listen().unwrap());
        let own = Arc::downgrade(&listener);
        let (sender, outcomes) = std::sync::mpsc::channel();
        let _logger = LogClosure::start(move |line| {
            if let (true, Some(listener)) = (line.text.starts_with("DEL_ONION"), own.upgrade()) {
                let _ = sender.send(listener.authorize_client("bob"));
            }
        });
        let asking = Arc::clone(&listener);
        within(Duration::from_secs(20), "the call", move || {
            asking.authorize_client("alice").unwrap();
        });
        let error = outcomes.recv_timeout(LIMIT).unwrap().unwrap_err();
        let is_busy = |error: &Error| matches!(error, Error::Onion(error) if matches!(error.problem(), OnionProblem::Busy));
        assert!(is_busy(&error), "{error}");
        assert_eq!(listener.clients().len(), 1);
    });
}
