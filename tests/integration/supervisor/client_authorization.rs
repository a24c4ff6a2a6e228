use std::time::Duration;

use torcon::ConnectOptions;
use torcon::names::{ClientAuthKey, OnionKey};
use torcon::onion::Publication;
use torcon::supervisor::{SupervisorOptions, SupervisorStatus};

use super::{LIMIT, next_tor, supervised};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

#[test]
fn a_client_authorization_key_is_added_again_whenever_tor_forgets_it() {
    let tor = RealTor::start();
    let options = SupervisorOptions::new()
        .backoff(Duration::from_millis(10), Duration::from_millis(100))
        .check_interval(LIMIT);
    let supervisor = options.connect([tor.endpoint().as_str()], ConnectOptions::new()).unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    let service = OnionKey::from_seed([77; 32]).address();
    let key = |byte| ClientAuthKey::from_bytes([byte; 32]).unwrap();
    supervisor.add_onion_client_auth(service, key(5)).unwrap();
    let shown = || tor.raw().ask("ONION_CLIENT_AUTH_VIEW").concat();
    let added = shown();
    assert!(added.contains("x25519:"), "{added}");
    // tor forgets the key at each change of the configuration and at each reload, also at one that
    // changes nothing.
    for command in ["SETCONF ContactInfo=somebody", "SIGNAL RELOAD", "SIGNAL RELOAD"] {
        assert_eq!(tor.raw().ask(command), ["250 OK"], "{command}");
        eventually(LIMIT, "tor has the key again", || shown() == added);
    }
    supervisor.with_tor(LIMIT, |tor| tor.add_onion_client_auth(service, key(6))).unwrap();
    assert_ne!(shown(), added);
    // tor reports no change of the second.
    for _ in 0..2 {
        supervisor.set_conf([("ContactInfo", "nobody")]).unwrap();
        eventually(LIMIT / 2, "tor has the key again", || shown() == added);
    }
    tor.kill();
    tor.wait(LIMIT);
    tor.start_again();
    eventually(LIMIT, "tor has the key again", || shown() == added);
    assert!(supervisor.remove_onion_client_auth(service).unwrap());
    assert!(!shown().contains("x25519:"), "{}", shown());
}

#[test]
fn a_client_authorization_key_is_restored_beside_a_filesystem_service() {
    let supervisor = supervised();
    supervisor.wait_tor(LIMIT).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    let _listener = endpoint.hidden_service_dir(directory.path().join("service")).listen().unwrap();
    let service = OnionKey::generate().unwrap().address();
    let key = ClientAuthKey::generate().unwrap();
    supervisor.add_onion_client_auth(service, key).unwrap();
    // tor forgets the key again when the service is added.
    let tor = next_tor(&supervisor);
    let keys = tor.controller().onion_client_auths().unwrap();
    assert_eq!(keys.iter().map(|key| key.service).collect::<Vec<_>>(), [service]);
}

#[test]
fn a_key_that_is_removed_without_a_connection_is_removed_over_the_next_one() {
    let tor = RealTor::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let link = || std::os::unix::fs::symlink(tor.socket_path(), &path).unwrap();
    link();
    let options =
        SupervisorOptions::new().backoff(Duration::from_millis(10), Duration::from_millis(100));
    let supervisor = options.connect([path.to_str().unwrap()], ConnectOptions::new()).unwrap();
    let service = OnionKey::from_seed([77; 32]).address();
    let key = |byte| ClientAuthKey::from_bytes([byte; 32]).unwrap();
    let shown = || tor.raw().ask("ONION_CLIENT_AUTH_VIEW").concat();
    // The second time another program has set its own key meanwhile, which stays.
    for replaced in [false, true] {
        let present = supervisor.wait_tor(LIMIT).unwrap();
        supervisor.add_onion_client_auth(service, key(5)).unwrap();
        assert!(shown().contains("x25519:"));
        std::fs::remove_file(&path).unwrap();
        present.controller().close();
        supervisor.wait_status(LIMIT, |status| !status.is_up()).unwrap();
        assert!(supervisor.remove_onion_client_auth(service).unwrap());
        if replaced {
            let other = ConnectOptions::new().connect(tor.endpoint().as_str()).unwrap();
            other.add_onion_client_auth(service, key(6)).unwrap();
        }
        link();
        supervisor.wait_status(LIMIT, SupervisorStatus::is_up).unwrap();
        assert_eq!(shown().contains("x25519:"), replaced, "{}", shown());
        assert!(!supervisor.remove_onion_client_auth(service).unwrap());
    }
}
