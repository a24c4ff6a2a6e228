use std::time::{Duration, Instant};

use torcon::{ConnectOptions, Error};

use super::{LONG, SOON, endpoint, is_configured, key, listen, services};
use crate::support::fake_tor::FakeTor;
use crate::support::real_tor::RealTor;
use crate::support::recording_proxy::RecordingProxy;
use crate::support::watchdog::eventually;

const BRIEF: Duration = Duration::from_millis(300);

/// What the monitor sends, and how often.
#[test]
fn tor_is_asked_at_intervals_and_no_faster_than_the_shortest_one() {
    let tor = RealTor::start();
    for (kind, question) in [
        ("ephemeral", "GETINFO onions/current"),
        ("detached", "GETINFO onions/detached"),
        ("directory", "GETCONF HiddenServiceOptions"),
    ] {
        let tap = RecordingProxy::before(tor.address());
        let asked = || tap.sent().iter().filter(|line| *line == question).count();
        let endpoint = torcon::onion::OnionEndpoint::system_tor(tap.endpoint(), 80)
            .publication(torcon::onion::Publication::None)
            .check_interval(Duration::ZERO);
        let endpoint = match kind {
            "ephemeral" => endpoint.ephemeral(),
            "detached" => endpoint.ephemeral().detach(),
            _ => endpoint.hidden_service_dir(tor.directory().join("service")),
        };
        let listener = listen(endpoint);
        let (begin, before) = (Instant::now(), asked());
        eventually(LONG, "tor is asked", || asked() >= before + 20);
        assert!(begin.elapsed() >= Duration::from_millis(150), "{kind}: {:?}", begin.elapsed());
        listener.close().unwrap();
        let after = asked();
        std::thread::yield_now();
        assert_eq!(asked(), after, "{kind}: the monitor has ended");
    }
}

#[test]
fn the_shortest_and_the_longest_interval_are_taken() {
    let tor = RealTor::start();
    for interval in [Duration::ZERO, Duration::MAX] {
        let listener = listen(endpoint(&tor).check_interval(interval).temporary_dir());
        assert!(listener.accept_timeout(BRIEF).unwrap_err().is_timeout());
        assert_eq!(tor.raw().ask("RESETCONF HiddenServiceOptions"), ["250 OK"]);
        eventually(LONG, "the service is there again", || is_configured(&tor, &listener));
        let begin = Instant::now();
        listener.close().unwrap();
        assert!(begin.elapsed() < SOON);
    }
}

/// The monitor may add the service again after its owner is gone.
#[test]
fn a_service_that_is_dropped_while_its_monitor_waits_for_tor_is_removed_later() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).temporary_dir().check_interval(Duration::from_millis(10)));
    let directory = listener.hidden_service_dir().unwrap().to_owned();
    tor.stop();
    // Longer than the interval: the monitor waits for an answer, with the service in its hands.
    assert!(listener.accept_timeout(BRIEF).unwrap_err().is_timeout());
    let begin = Instant::now();
    drop(listener);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(directory.exists(), "tor may be using it");
    tor.cont();
    eventually(LONG, "the service is gone", || services(&tor) == ["HiddenServiceOptions"]);
    eventually(LONG, "its directory is gone", || !directory.exists());
    assert!(tor.try_wait().is_none());
}

#[test]
fn closing_can_be_tried_again_when_the_monitor_waited_for_tor() {
    let tor = RealTor::start();
    let options = ConnectOptions::new().command_timeout(BRIEF);
    let endpoint = endpoint(&tor).connect_options(options).temporary_dir();
    let listener = listen(endpoint.check_interval(Duration::from_millis(10)));
    let directory = listener.hidden_service_dir().unwrap().to_owned();
    tor.stop();
    assert!(listener.accept_timeout(BRIEF).unwrap_err().is_timeout());
    assert!(listener.close().unwrap_err().is_timeout());
    tor.cont();
    eventually(LONG, "closing succeeds", || listener.close().is_ok());
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
    assert!(!directory.exists());
}

/// The question of the monitor and the reader thread report the end of the connection in any order.
#[test]
fn a_detached_service_goes_on_when_the_connection_ends_while_tor_is_asked() {
    for _ in 0..10 {
        let tor = FakeTor::unix(|script| {
            script.greet_null_auth();
            script.answer("SETEVENTS HS_DESC", &["250 OK"]);
            script.expect_matching("ADD_ONION", |line| line.starts_with("ADD_ONION "));
            let id = key(1).address().service_id().to_owned();
            script.send_lines(&[&format!("250-ServiceID={id}"), "250 OK"]);
            script.expect("GETINFO onions/detached");
        });
        let listener = torcon::onion::OnionEndpoint::system_tor(tor.endpoint(), 80)
            .key(key(1))
            .detach()
            .publication(torcon::onion::Publication::None)
            .check_interval(Duration::from_millis(10))
            .listen()
            .unwrap();
        tor.finish();
        eventually(LONG, "the connection has ended", || !listener.controller().is_alive());
        match listener.accept_timeout(BRIEF) {
            Err(Error::Timeout(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
