//! Canceling the launch of a private network, and what waits on one.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use torcon::names::RelaySpec;
use torcon::onion::{OnionProgress, Publication};
use torcon::process::Ready;
use torcon::state::{Circuit, Path};
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, Error, Launcher, OnionEndpoint, State, Tor};

use super::{LONG, SOON, cancel_when};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::testnet::{join, shared_network};

#[test]
fn it_ends_at_several_moments_and_leaves_nothing() {
    exclusive(|| {
        let before = Holdings::now();
        for milliseconds in [0, 100, 500, 1500, 3000] {
            let pause = || thread::sleep(Duration::from_millis(milliseconds));
            cancel_when(pause, |token| {
                PrivateNetwork::builder().timeout(LONG).cancel_token(token).launch()
            });
            let now = Holdings::now();
            assert_eq!((&now.children, &now.files), (&before.children, &before.files));
            before.assert_restored(SOON);
        }
    });
}

#[test]
fn a_network_that_is_launched_stays() {
    exclusive(|| {
        let before = Holdings::now();
        let token = CancelToken::new();
        let network =
            PrivateNetwork::builder().timeout(LONG).cancel_token(&token).launch().unwrap();
        token.cancel();
        assert!(network.relays().iter().all(|relay| relay.pid.is_some()));
        network.restart("relay0").unwrap();
        assert!(network.controller("relay0").unwrap().get_info_one("version").is_ok());
        drop(network);
        before.assert_restored(SOON);
    });
}

#[test]
fn a_circuit_that_is_not_built_is_closed() {
    // Its only bridge does not exist, so a circuit is never built.
    let launcher = Launcher::new().option("UseBridges", "1").option("Bridge", "127.0.0.1:1");
    let stuck = Tor::launch(launcher.wait_for(Ready::Controller).timeout(LONG)).unwrap();
    let state = State::new(stuck.controller()).unwrap();
    let token = CancelToken::new();
    token.cancel();
    let error = state.build_circuit_cancelable(Path::any(), LONG, &token).unwrap_err();
    assert!(matches!(error, Error::Canceled(_)), "{error:?}");

    // On the network a circuit is built within a second, or canceled before that.
    let tor = join();
    // tor builds no circuits that may look like those below.
    tor.controller().unwrap().set_conf([("__DisablePredictedCircuits", "1")]).unwrap();
    let state = State::new(tor.controller().unwrap()).unwrap();
    let former: HashSet<_> = state.circuits().iter().map(Circuit::id).collect();
    let relays: Vec<_> = shared_network().relays().iter().map(|relay| relay.fingerprint).collect();
    let mut canceled = 0;
    for milliseconds in [0, 0, 1, 2, 5, 10, 20, 50] {
        let token = CancelToken::new();
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(milliseconds));
                token.cancel();
            });
            state.build_circuit_cancelable(&relays[1..4], LONG, &token)
        });
        match outcome {
            Ok(circuit) => circuit.close().unwrap(),
            Err(Error::Canceled(_)) => canceled += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(canceled > 0);
    let end = Instant::now() + SOON;
    let is_left = |circuit: &Circuit| {
        let path: Vec<_> = circuit.path().iter().filter_map(RelaySpec::fingerprint).collect();
        path.starts_with(&relays[1..4]) && !former.contains(&circuit.id())
    };
    while state.circuits().iter().any(is_left) {
        assert!(Instant::now() < end, "a circuit is left");
        thread::sleep(Duration::from_millis(10));
    }
}

type IsMoment = fn(&OnionProgress) -> bool;

#[test]
fn an_onion_service_is_removed_at_every_step_of_its_start() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let is_added = |progress: &OnionProgress| matches!(progress, OnionProgress::Added(_));
    let is_uploaded = |progress: &OnionProgress| matches!(progress, OnionProgress::Upload(_));
    let moments: [(IsMoment, Publication); 3] = [
        (is_added, Publication::None),
        (is_added, Publication::All),
        (is_uploaded, Publication::All),
    ];
    for (is_moment, publication) in moments {
        let token = CancelToken::new();
        let at_progress = token.clone();
        let begun = Instant::now();
        let outcome = controller
            .onion_endpoint(80)
            .ephemeral()
            .publication(publication)
            .cancel_token(&token)
            .on_progress(move |progress| {
                if is_moment(progress) {
                    at_progress.cancel();
                }
            })
            .listen();
        assert!(matches!(outcome, Err(Error::Canceled(_))), "{outcome:?}");
        assert!(begun.elapsed() < LONG);
        assert_eq!(controller.get_info_one("onions/current").unwrap(), "");
    }
    tor.quit().unwrap();
}

#[test]
fn the_tor_of_an_onion_service_ends_with_its_start() {
    exclusive(|| {
        let before = Holdings::now();
        for milliseconds in [0, 50, 300] {
            // It never bootstraps.
            let launcher =
                Launcher::new().option("UseBridges", "1").option("Bridge", "127.0.0.1:1");
            let pause = || thread::sleep(Duration::from_millis(milliseconds));
            cancel_when(pause, |token| {
                let endpoint = OnionEndpoint::private_tor(80).launcher(launcher.timeout(LONG));
                endpoint.cancel_token(token).listen()
            });
            let now = Holdings::now();
            assert_eq!((&now.children, &now.files), (&before.children, &before.files));
            before.assert_restored(SOON);
        }
    });
}

#[test]
fn the_token_ends_the_wait_for_clients() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let token = CancelToken::new();
    let listener = controller
        .onion_endpoint(80)
        .ephemeral()
        .publication(Publication::None)
        .cancel_token(&token)
        .listen()
        .unwrap();
    thread::scope(|scope| {
        let accepting = scope.spawn(|| listener.accept());
        let iterating = scope.spawn(|| listener.incoming().count());
        thread::sleep(Duration::from_millis(50));
        let at = Instant::now();
        token.cancel();
        assert!(matches!(accepting.join().unwrap(), Err(Error::Canceled(_))));
        assert_eq!(iterating.join().unwrap(), 0);
        assert!(at.elapsed() < SOON);
    });
    assert!(matches!(listener.wait_published(Publication::All, LONG), Err(Error::Canceled(_))));
    drop(listener);
    assert_eq!(controller.get_info_one("onions/current").unwrap(), "");
    tor.quit().unwrap();
}
