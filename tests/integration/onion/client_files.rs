use std::fs;
use std::path::Path;
use std::process::Command;

use torcon::names::{ClientAuthKey, ClientAuthPublicKey};
use torcon::onion::{OnionListener, Publication};
use torcon::socks::Isolation;

use super::network::{LIMIT, say, served, tor};
use super::{endpoint, entries, listen, refusal};
use crate::support::real_tor::RealTor;

/// Starts a service with the clients alice and bob.
fn service(tor: &RealTor, directory: &Path) -> OnionListener {
    let endpoint = endpoint(tor).hidden_service_dir(directory);
    listen(endpoint.authorize_client("alice").authorize_client("bob"))
}

fn names(listener: &OnionListener) -> Vec<String> {
    listener.clients().iter().map(|client| client.name.to_string()).collect()
}

/// Writes the file of a client, as another program does.
fn put_client(clients: &Path, name: &str) -> ClientAuthPublicKey {
    let key = ClientAuthKey::generate().unwrap().public();
    fs::write(clients.join(format!("{name}.auth")), format!("{}\n", key.descriptor_line()))
        .unwrap();
    key
}

#[test]
fn no_client_is_revoked_in_a_directory_that_tor_does_not_read() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = service(&tor, &directory);
    let moved = directory.with_extension("moved");
    fs::rename(&directory, &moved).unwrap();
    // As a backup is put back.
    let copied = Command::new("cp").arg("-a").args([&moved, &directory]).status();
    assert!(copied.unwrap().success());
    let refused = refusal(listener.revoke_client("bob"));
    assert!(refused.contains("has been replaced by another"), "{refused}");
    assert_eq!(entries(&moved.join("authorized_clients")), ["alice.auth", "bob.auth"]);
    assert_eq!(names(&listener), ["alice", "bob"]);
}

#[test]
fn disabling_client_authorization_leaves_no_client_that_tor_reads() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = service(&tor, &directory);
    let clients = directory.join("authorized_clients");
    put_client(&clients, "other");
    assert!(listener.service().disable_client_auth().unwrap());
    assert!(entries(&clients).is_empty() && listener.clients().is_empty());
    // tor has read it after a reload.
    put_client(&clients, "other");
    assert!(listener.service().disable_client_auth().unwrap());
    assert!(entries(&clients).is_empty());
    assert!(!listener.service().disable_client_auth().unwrap());
}

#[test]
fn revoking_a_client_never_opens_a_service() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = service(&tor, &directory);
    let clients = directory.join("authorized_clients");
    fs::remove_file(clients.join("alice.auth")).unwrap();
    let refused = refusal(listener.revoke_client("bob"));
    assert!(refused.contains("bob is the only authorized client of"), "{refused}");
    assert_eq!(entries(&clients), ["bob.auth"]);
    // tor may still have a client whose file is gone.
    assert!(listener.revoke_client("alice").unwrap());
    assert_eq!(names(&listener), ["bob"]);
}

#[test]
fn a_client_of_another_program_is_revoked_and_authorized_like_those_of_this_one() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = service(&tor, &directory);
    let clients = directory.join("authorized_clients");
    put_client(&clients, "other");
    assert!(listener.revoke_client("other").unwrap());
    assert!(!listener.revoke_client("other").unwrap());
    assert_eq!(entries(&clients), ["alice.auth", "bob.auth"]);
    let found = put_client(&clients, "other");
    let other = listener.authorize_client("other").unwrap();
    assert!(other.public_key == found && other.key.is_none());
    assert_eq!(names(&listener), ["alice", "bob", "other"]);
    // The clients that this program made keep their secret keys.
    assert_eq!(listener.clients().iter().filter(|client| client.key.is_some()).count(), 2);
    fs::remove_file(clients.join("bob.auth")).unwrap();
    assert!(listener.authorize_client("bob").unwrap().key.is_some());
    assert_eq!(entries(&clients), ["alice.auth", "bob.auth", "other.auth"]);
    assert_eq!(names(&listener), ["alice", "other", "bob"]);
}

#[test]
fn a_file_that_is_no_client_refuses_changes_and_is_named() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = service(&tor, &directory);
    let clients = directory.join("authorized_clients");
    fs::write(clients.join("other.auth"), "no key").unwrap();
    for refused in [
        refusal(listener.authorize_client("carol")),
        refusal(listener.revoke_client("bob")),
        refusal(listener.service().disable_client_auth()),
    ] {
        assert!(refused.contains("other.auth"), "{refused}");
    }
    assert_eq!(entries(&clients), ["alice.auth", "bob.auth", "other.auth"]);
}

#[test]
fn the_first_client_of_a_filesystem_service_shuts_out_who_has_its_descriptor() {
    let (service, stranger) = (tor(), tor());
    let endpoint = service.onion_endpoint(80).temporary_dir().publication(Publication::All);
    let listeners = [endpoint.timeout(LIMIT).listen().unwrap()];
    let address = listeners[0].onion_address();
    served(&listeners, || {
        assert_eq!(say(&stranger, &address, "a stranger"), 0);
        listeners[0].authorize_client("alice").unwrap();
        listeners[0].wait_published(Publication::All, LIMIT).unwrap();
        let proxy = stranger.socks_proxy().unwrap().isolation(Isolation::fresh());
        for _ in 0..3 {
            let outcome = proxy.clone().timeout(LIMIT / 3).connect((address, 80));
            assert!(outcome.is_err(), "a stranger connects");
        }
    });
}
