use std::time::Duration;

use torcon::Error;
use torcon::error::{OnionProblem, RemovedBy};
use torcon::onion::{IfRemoved, OnionEndpoint};

use super::{LONG, controller, endpoint, is_configured, key, listen, refusal, services};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

fn removed_by(outcome: Result<torcon::onion::OnionStream, Error>) -> RemovedBy {
    let error = outcome.unwrap_err();
    let Error::Onion(error) = &error else { panic!("{error:?}") };
    let OnionProblem::Removed { by, .. } = error.problem() else { panic!("{error:?}") };
    *by
}

#[test]
fn a_service_is_added_again_after_each_reload() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let ephemeral = listen(endpoint(&tor));
    let filed = listen(endpoint(&tor).hidden_service_dir(&directory).authorize_client("alice"));
    let temporary = listen(endpoint(&tor).temporary_dir());
    for reload in 1..=20 {
        let reloads = || tor.log_text().matches("Received reload signal").count();
        tor.hang_up();
        eventually(LONG, "tor has reloaded", || reloads() >= reload);
        for listener in [&filed, &temporary] {
            eventually(LONG, "tor has the service again", || is_configured(&tor, listener));
        }
    }
    let current = ephemeral.controller().onions().unwrap();
    assert_eq!(current, [ephemeral.onion_address()]);
    for listener in [&ephemeral, &filed, &temporary] {
        assert!(listener.try_accept().unwrap().is_none(), "nothing has ended");
        listener.close().unwrap();
    }
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
}

#[test]
fn a_service_is_added_again_when_another_controller_removes_it() {
    let tor = RealTor::start();
    let first = listen(endpoint(&tor).temporary_dir());
    let second = listen(endpoint(&tor).temporary_dir());
    let other = tor.directory().join("other");
    for command in [
        "RESETCONF HiddenServiceOptions".to_owned(),
        format!("SETCONF HiddenServiceDir={} HiddenServicePort=81", other.display()),
        "SIGNAL RELOAD".to_owned(),
    ] {
        assert_eq!(tor.raw().ask(&command), ["250 OK"]);
        for listener in [&first, &second] {
            eventually(LONG, "tor has the service again", || is_configured(&tor, listener));
        }
    }
    drop((first, second));
    assert!(!services(&tor).iter().any(|line| line.starts_with("HiddenServicePort=80")));
}

#[test]
fn other_services_survive_when_a_service_is_added_again() {
    let tor = RealTor::start();
    let service = listen(endpoint(&tor).temporary_dir());
    let other = tor.directory().join("other");
    let command = format!("SETCONF HiddenServiceDir={} HiddenServicePort=81", other.display());
    assert_eq!(tor.raw().ask(&command), ["250 OK"]);
    eventually(LONG, "tor has the service again", || is_configured(&tor, &service));
    assert_eq!(
        services(&tor)[..2],
        [format!("HiddenServiceDir={}", other.display()), "HiddenServicePort=81".to_owned()]
    );
}

#[test]
fn accept_ends_with_the_reason_if_the_service_is_not_to_be_added_again() {
    let tor = RealTor::start();
    let end = |endpoint: OnionEndpoint| listen(endpoint.if_removed(IfRemoved::End));
    let reloaded = end(endpoint(&tor).temporary_dir());
    tor.hang_up();
    assert_eq!(removed_by(reloaded.accept_timeout(LONG)), RemovedBy::Reload);
    assert_eq!(
        refusal(reloaded.accept()),
        format!("tor no longer has {}: tor reloaded its configuration", reloaded.onion_address())
    );
    let last = reloaded.incoming().last().unwrap();
    assert_eq!(removed_by(last), RemovedBy::Reload);
    reloaded.close().unwrap();

    let reset = end(endpoint(&tor).temporary_dir());
    assert_eq!(tor.raw().ask("RESETCONF HiddenServiceOptions"), ["250 OK"]);
    assert_eq!(removed_by(reset.accept_timeout(LONG)), RemovedBy::Reconfiguration);
}

#[test]
fn a_deleted_ephemeral_service_is_noticed() {
    let tor = RealTor::start();
    let interval = Duration::from_millis(50);
    let detached = listen(endpoint(&tor).detach().key(key(3)).check_interval(interval));
    let delete = format!("DEL_ONION {}", key(3).address().service_id());
    for _ in 0..3 {
        assert_eq!(tor.raw().ask(&delete), ["250 OK"]);
        let has_service = || tor.raw().get_info("onions/detached") == key(3).address().service_id();
        eventually(LONG, "tor has the service again", has_service);
    }
    assert!(detached.try_accept().unwrap().is_none());
    let shared = controller(&tor);
    let ended = shared
        .onion_endpoint(80)
        .publication(torcon::onion::Publication::None)
        .check_interval(interval)
        .if_removed(IfRemoved::End);
    let ended = listen(ended);
    shared.del_onion(ended.onion_address()).unwrap();
    assert_eq!(removed_by(ended.accept_timeout(LONG)), RemovedBy::Deletion);

    // Without its key the service cannot be added again.
    let discarded = listen(endpoint(&tor).detach().discard_key().check_interval(interval));
    let delete = format!("DEL_ONION {}", discarded.onion_address().service_id());
    assert_eq!(tor.raw().ask(&delete), ["250 OK"]);
    assert_eq!(
        refusal(discarded.accept_timeout(LONG)),
        format!(
            "tor no longer has {}: a controller deleted it: the key of the onion \
             service was discarded",
            discarded.onion_address()
        )
    );
}

#[test]
fn accept_works_for_a_detached_service_after_the_end_of_the_control_connection() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).detach().key(key(4)));
    listener.controller().close();
    let target = listener.local_addr().to_string();
    let _client = std::net::TcpStream::connect(target).unwrap();
    drop(listener.accept_timeout(LONG).unwrap());
    assert_eq!(tor.raw().get_info("onions/detached"), key(4).address().service_id());
}
