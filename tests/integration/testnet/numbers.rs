use std::fs;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use torcon::Launcher;
use torcon::error::TestnetStep;
use torcon::testnet::PrivateNetwork;

use super::{LIMIT, UP, shared_network};
use crate::support::watchdog::eventually;

#[test]
fn two_authorities_agree_and_the_given_directory_stays() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("network");
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    let network = PrivateNetwork::builder()
        .authorities(2)
        .relays(2)
        .exits(1)
        .directory(&directory)
        .timeout(UP)
        .relay_option("ContactInfo", "somebody@example.invalid")
        .on_progress(move |progress| told.lock().push((progress.step, progress.percent)))
        .launch()
        .unwrap();

    use TestnetStep::{Descriptors, Keys, Launch, Prepare, Ready, Spread, Vote};
    let mut steps = steps.lock().clone();
    // If a port was taken meanwhile, a network begins again with its keys.
    while steps[1..].starts_with(&[Keys, Launch, Keys].map(|step| (step, step.percent()))) {
        steps.drain(1..3);
    }
    let all = [Prepare, Keys, Launch, Descriptors, Vote, Spread, Ready];
    assert_eq!(steps, all.map(|step| (step, step.percent())));
    let relays = network.relays();
    let kinds: Vec<_> = relays
        .iter()
        .map(|relay| (relay.nickname.as_str(), relay.is_authority, relay.is_exit))
        .collect();
    let expected = [
        ("auth0", true, false),
        ("auth1", true, false),
        ("relay0", false, true),
        ("relay1", false, false),
    ];
    assert_eq!(kinds, expected);
    for relay in &relays {
        assert!(directory.join(relay.nickname.as_str()).join("keys").is_dir());
    }
    // Networks that run at the same time share nothing.
    for other in shared_network().relays() {
        assert!(!relays.iter().any(|relay| relay.or_port == other.or_port));
        assert!(!relays.iter().any(|relay| relay.fingerprint == other.fingerprint));
    }
    let controller = network.controller("auth1").unwrap();
    let descriptor = controller.get_info_one("desc/name/relay1").unwrap();
    assert!(descriptor.contains("\ncontact somebody@example.invalid\n"), "{descriptor}");
    assert!(descriptor.contains("\nreject *:*\n"), "{descriptor}");

    drop(network);
    let mut left: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["auth0", "auth1", "empty-torrc", "relay0", "relay1", "resolv.conf"]);
}

#[test]
fn a_relay_that_was_killed_is_restarted_with_its_identity() {
    let network = PrivateNetwork::builder().relays(3).timeout(UP).launch().unwrap();
    let relay = |name: &str| {
        network.relays().into_iter().find(|relay| relay.nickname.as_str() == name).unwrap()
    };
    for name in ["relay1", "auth0"] {
        let before = relay(name);
        let controller = network.controller(name).unwrap();
        network.kill(name).unwrap();
        let pid = before.pid.expect("it ran");
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        eventually(LIMIT, "the connection has ended", || !controller.is_alive());
        assert_eq!(relay(name).pid, None);
        let expected = "invalid argument \"nickname\": this relay was killed and not restarted";
        assert_eq!(network.controller(name).unwrap_err().to_string(), expected);
        network.kill(name).unwrap();

        network.restart(name).unwrap();
        let after = relay(name);
        assert_ne!(after.pid, Some(pid));
        assert_eq!(
            (after.fingerprint, after.or_port, after.is_exit, after.is_authority),
            (before.fingerprint, before.or_port, before.is_exit, before.is_authority)
        );
    }
    // A running relay is ended first; the network needs it, since it has no others.
    let pid = relay("relay1").pid;
    network.restart("relay1").unwrap();
    assert_ne!(relay("relay1").pid, pid);
    for name in ["relay0", "relay2"] {
        network.kill(name).unwrap();
        network.restart(name).unwrap();
    }
    let launcher = Launcher::new().network(&network).option("SocksPort", "0");
    let tor = launcher.timeout(UP).launch().unwrap();
    assert_eq!(tor.progress().percent, 100);
}
