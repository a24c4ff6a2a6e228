//! Keys and addresses of onion services that are made without tor, and what tor says to them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use torcon::names::{ClientAuthKey, OnionAddress, OnionKey};

use crate::support::real_tor::RealTor;

/// Keys of the tests are public.
fn key(number: u8) -> OnionKey {
    OnionKey::from_seed([number; 32])
}

#[test]
fn tor_gives_our_keys_the_addresses_that_we_give_them() {
    let tor = RealTor::start();
    let mut control = tor.raw();
    for number in 0..20 {
        let key = key(number);
        let add = format!("ADD_ONION {} Port=80", key.reveal_blob());
        let address = key.address();
        let id = format!("250-ServiceID={}", address.service_id());
        assert_eq!(control.ask(&add), [id, "250 OK".to_owned()]);
    }
}

#[test]
fn keys_that_tor_makes_have_the_addresses_that_tor_gives_them() {
    let tor = RealTor::start();
    let mut control = tor.raw();
    for _ in 0..5 {
        let reply = control.ask("ADD_ONION NEW:ED25519-V3 Port=80");
        let address: OnionAddress =
            reply[0].strip_prefix("250-ServiceID=").unwrap().parse().unwrap();
        let key = OnionKey::from_blob(reply[1].strip_prefix("250-PrivateKey=").unwrap()).unwrap();
        assert_eq!(key.address(), address);
    }
}

fn private_directory(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_files_of_a_service_are_those_of_tor() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, its) = (directory.path().join("ours"), directory.path().join("its"));
    private_directory(&ours);
    private_directory(&its);
    // The key of one is ours, with its public half; that of the other is tor's.
    let key = key(1);
    fs::write(ours.join("hs_ed25519_secret_key"), key.reveal_file_bytes()).unwrap();
    fs::write(ours.join("hs_ed25519_public_key"), key.public_file_bytes()).unwrap();
    let _tor = RealTor::builder()
        .line(format!("HiddenServiceDir {}", ours.display()))
        .line("HiddenServicePort 80")
        .line(format!("HiddenServiceDir {}", its.display()))
        .line("HiddenServicePort 80")
        .start();
    let hostname = |path: &Path| fs::read_to_string(path.join("hostname")).unwrap();
    assert_eq!(hostname(&ours), format!("{}\n", key.address()));
    let file = fs::read(its.join("hs_ed25519_secret_key")).unwrap();
    let key = OnionKey::from_file_bytes(&file).unwrap();
    assert_eq!(hostname(&its), format!("{}\n", key.address()));
    let public = fs::read(its.join("hs_ed25519_public_key")).unwrap();
    assert_eq!(public, key.public_file_bytes());
    assert_eq!(file, key.reveal_file_bytes());
}

#[test]
fn tor_takes_our_keys_of_client_authorization_on_both_sides() {
    let tor = RealTor::start();
    let mut control = tor.raw();
    let client = ClientAuthKey::from_bytes([9; 32]).unwrap();
    let service = key(2);
    let id = service.address();
    let id = id.service_id();
    let added = format!(
        "ADD_ONION {} Flags=V3Auth ClientAuthV3={} Port=80",
        service.reveal_blob(),
        client.public()
    );
    assert_eq!(
        control.ask(&added),
        [
            format!("250-ServiceID={id}"),
            format!("250-ClientAuthV3={}", client.public()),
            "250 OK".to_owned(),
        ]
    );
    let blob = client.reveal_blob();
    assert_eq!(control.ask(&format!("ONION_CLIENT_AUTH_ADD {id} {blob}")), ["250 OK"]);
    let shown = control.ask(&format!("ONION_CLIENT_AUTH_VIEW {id}"));
    let shown = shown[1].strip_prefix(&format!("250-CLIENT {id} ")).unwrap();
    assert_eq!(ClientAuthKey::from_blob(shown).unwrap().reveal_blob(), blob);
}

#[test]
fn a_file_of_client_authorization_is_read_by_tor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    private_directory(&path);
    let client = ClientAuthKey::from_bytes([9; 32]).unwrap();
    let service = key(3).address();
    let file = path.join("service.auth_private");
    fs::write(&file, client.reveal_auth_private(service)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let tor = RealTor::builder().line(format!("ClientOnionAuthDir {}", path.display())).start();
    let shown = tor.raw().ask("ONION_CLIENT_AUTH_VIEW");
    let line =
        format!("250-CLIENT {} {} Flags=Permanent", service.service_id(), client.reveal_blob());
    assert_eq!(shown, ["250-ONION_CLIENT_AUTH_VIEW", &line, "250 OK"]);
}
