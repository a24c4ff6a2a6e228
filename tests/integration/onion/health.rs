use std::net::TcpListener;
use std::time::Duration;

use torcon::names::ClientAuthKey;
use torcon::onion::{
    CheckObstacle, CheckStep, OnionCheck, OnionEndpoint, OnionListener, OnionService, Publication,
};
use torcon::process::Launcher;
use torcon::{Error, Tor};

use super::network::{LIMIT, say, served, tor};
use super::{endpoint, listen, refusal};
use crate::support::real_tor::RealTor;
use crate::testnet::retry::{forget_failures, retried};
use crate::testnet::shared_network;

fn published(endpoint: OnionEndpoint) -> OnionListener {
    endpoint.publication(Publication::All).timeout(LIMIT).listen().unwrap()
}

/// Checks a service until the steps have the expected outcome: tor chooses the circuits of a client
/// at random, and a busy relay refuses them.
#[track_caller]
fn check(service: &OnionService, is_right: impl Fn(&OnionCheck) -> bool) -> OnionCheck {
    retried(&service.controller(), "the check ends as it should", || {
        let check = service.check(LIMIT / 3).unwrap();
        if is_right(&check) {
            return Ok(check);
        }
        forget_failures(&service.controller());
        Err(format!("{check:?}"))
    })
}

#[track_caller]
fn passed(step: &CheckStep) -> Duration {
    match step {
        CheckStep::Passed(time) => *time,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_published_service_is_healthy_as_often_as_it_is_checked() {
    let service = tor();
    for endpoint in [service.onion_endpoint(80), service.onion_endpoint(80).ephemeral()] {
        let listener = published(endpoint);
        for _ in 0..3 {
            let check = check(listener.service(), OnionCheck::is_healthy);
            println!("{:?} and {:?}", check.descriptor, check.connection);
            assert!(passed(&check.descriptor) < LIMIT && passed(&check.connection) < LIMIT);
            // The network has fewer relays than a descriptor has directories.
            assert!(check.uploads.len() >= 4, "{:?}", check.uploads);
            assert!(check.uploads.windows(2).all(|pair| pair[0].at >= pair[1].at));
            drop(listener.accept_timeout(LIMIT).unwrap());
        }
        assert!(service.controller().onion_client_auths().unwrap().is_empty());
    }
}

#[test]
fn a_check_uses_the_key_of_a_client_and_removes_it_from_tor() {
    let service = tor();
    let listener = published(service.onion_endpoint(80).authorize_client("alice"));
    let healthy = check(listener.service(), OnionCheck::is_healthy);
    passed(&healthy.connection);
    assert!(service.controller().onion_client_auths().unwrap().is_empty());

    // A directory sends the descriptor to every client; only an authorized one can read it.
    let other = ClientAuthKey::generate().unwrap().public();
    let listener = published(service.onion_endpoint(80).authorize_client_key("bob", other));
    let check = check(listener.service(), OnionCheck::is_healthy);
    assert!(matches!(check.connection, CheckStep::Skipped(CheckObstacle::NoClientKey)));
}

#[test]
fn each_step_that_fails_is_named() {
    let service = tor();
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let endpoint = service.onion_endpoint(80).publication(Publication::All).timeout(LIMIT);
    let unreachable = endpoint.start(closed).unwrap();
    let is_refused = |check: &OnionCheck| {
        matches!(&check.descriptor, CheckStep::Passed(_))
            && matches!(&check.connection, CheckStep::Failed { error: Error::Socks(error), .. }
                if error.code().is_some())
    };
    assert!(!check(&unreachable, is_refused).is_healthy());

    let launcher =
        Launcher::new().network(shared_network()).option("SocksPort", "0").timeout(LIMIT);
    let without_port = Tor::launch(launcher).unwrap();
    let listener = published(without_port.onion_endpoint(80));
    let check = check(listener.service(), OnionCheck::is_healthy);
    assert!(matches!(check.connection, CheckStep::Skipped(CheckObstacle::NoSocksPort)));
}

#[test]
fn a_service_that_is_not_published_is_not_healthy() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor));
    let check = listener.check(Duration::from_secs(5)).unwrap();
    assert!(matches!(check.descriptor, CheckStep::Failed { .. }), "{check:?}");
    assert!(matches!(check.connection, CheckStep::Skipped(CheckObstacle::NoSocksPort)));
    assert!(check.uploads.is_empty() && !check.is_healthy());
    listener.close().unwrap();
    assert_eq!(refusal(listener.check(LIMIT)), "the listener is closed");
    let discarded = listen(endpoint(&tor).discard_key());
    let refused = refusal(discarded.upload_again(Publication::None, LIMIT));
    assert_eq!(refused, "the key of the onion service was discarded");
    assert!(discarded.try_accept().unwrap().is_none());
}

#[test]
fn upload_again_publishes_a_service_again() {
    let (service, client) = (tor(), tor());
    let listeners =
        [published(service.onion_endpoint(80)), published(service.onion_endpoint(80).ephemeral())];
    served(&listeners, || {
        for (number, listener) in (0_u8..).zip(&listeners) {
            let address = listener.onion_address();
            assert_eq!(say(&client, &address, "before"), number);
            let newest = |listener: &OnionListener| listener.service().last_uploads()[0].at;
            let before = newest(listener);
            let sent = std::time::Instant::now();
            listener.upload_again(Publication::All, LIMIT).unwrap();
            println!("published again after {:.1?}", sent.elapsed());
            assert!(newest(listener) > before);
            assert!(listener.uploads().len() >= 4);
            // The tor of the client has the former descriptor.
            assert_eq!(say(&client, &address, "after"), number);
        }
    });
}
