use std::time::{Duration, Instant};

use torcon::{ConnectOptions, Error};

use super::{LONG, SOON, endpoint, is_configured, key, listen, services};
use crate::support::fake_tor::FakeTor;
use crate::support::real_tor::RealTor;
use crate::support::recording_proxy::RecordingProxy;
use crate::support::watchdog::eventually;

const BRIEF: Duration = Duration::from_millis(300);

/// The commands of the monitor, and their interval.
#[test]
fn tor_is_queried_at_intervals_not_below_the_minimum() {
    let tor = RealTor::start();
    for (kind, query) in [
        ("ephemeral", "GETINFO onions/current"),
        ("detached", "GETINFO onions/detached"),
        ("directory", "GETCONF HiddenServiceOptions"),
    ] {
        let tap = RecordingProxy::before(tor.address());
        let query_count = || tap.sent().iter().filter(|line| *line == query).count();
        let endpoint = torcon::onion::OnionEndpoint::system_tor(tap.endpoint(), 80)
            .publication(torcon::onion::Publication::None)
            .check_interval(Duration::ZERO);
        let endpoint = match kind {
            "ephemeral" => endpoint.ephemeral(),
            "detached" => endpoint.ephemeral().detach(),
            _ => endpoint.hidden_service_dir(tor.directory().join("service")),
        };
        let listener = listen(endpoint);
        let (begin, before) = (Instant::now(), query_count());
        eventually(LONG, "tor is queried", || query_count() >= before + 20);
        assert!(begin.elapsed() >= Duration::from_millis(150), "{kind}: {:?}", begin.elapsed());
        listener.close().unwrap();
        let after = query_count();
        std::thread::yield_now();
        assert_eq!(query_count(), after, "{kind}: the monitor has ended");
    }
}

#[test]
fn the_shortest_and_the_longest_interval_are_accepted() {
    let tor = RealTor::start();
    for interval in [Duration::ZERO, Duration::MAX] {
        let listener = listen(endpoint(&tor).check_interval(interval).temporary_dir());
        assert!(listener.accept_timeout(BRIEF).unwrap_err().is_timeout());
        assert_eq!(tor.raw().ask("RESETCONF HiddenServiceOptions"), ["250 OK"]);
        eventually(LONG, "tor has the service again", || is_configured(&tor, &listener));
        let begin = Instant::now();
        listener.close().unwrap();
        assert!(begin.elapsed() < SOON);
    }
}

/// The monitor may add the service again after its handle was dropped.
#[test]
fn a_service_that_is_dropped_while_its_monitor_waits_for_tor_is_removed_later() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).temporary_dir().check_interval(Duration::from_millis(10)));
    let directory = listener.hidden_service_dir().unwrap().to_owned();
    tor.stop();
    // Longer than the interval: the monitor waits for a reply while it holds the lock of the
    // service.
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
fn close_can_be_repeated_after_the_monitor_waited_for_tor() {
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

/// The query of the monitor and the reader thread report the end of the connection in any order.
#[test]
fn a_detached_service_survives_the_end_of_the_connection_during_a_query() {
    for _ in 0..10 {
        let tor = FakeTor::unix(|script| {
            script.greet();
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
