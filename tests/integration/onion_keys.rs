//! Keys and addresses of onion services that are made without tor, and what tor says to them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::BASE32_NOPAD;
use sha3::{Digest, Sha3_256};
use torcon::Error;
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

/// Addresses with a right checksum, whose keys are not in the group of the base point.
fn addresses_with_invalid_keys() -> [String; 4] {
    let point = CompressedEdwardsY(key(1).address().public_key()).decompress().unwrap();
    let mut off_the_curve = [0; 32];
    off_the_curve[0] = 2;
    let keys = [
        off_the_curve,
        EIGHT_TORSION[0].compress().to_bytes(),
        EIGHT_TORSION[1].compress().to_bytes(),
        (point + EIGHT_TORSION[4]).compress().to_bytes(),
    ];
    keys.map(|key| {
        let hash = Sha3_256::new().chain_update(b".onion checksum").chain_update(key);
        let checksum = hash.chain_update([3]).finalize();
        let bytes = [&key[..], &checksum[..2], &[3]].concat();
        BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
    })
}

#[test]
fn an_address_with_an_invalid_key_is_refused_by_tor_and_by_torcon() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    private_directory(&path);
    let client = ClientAuthKey::from_bytes([9; 32]).unwrap();
    let invalid = addresses_with_invalid_keys();
    for (number, address) in invalid.iter().enumerate() {
        let line = format!("{address}:descriptor:x25519:{}", client.reveal_base32());
        let file = path.join(format!("{number}.auth_private"));
        fs::write(&file, line).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }
    let tor = RealTor::builder().line(format!("ClientOnionAuthDir {}", path.display())).start();
    let mut raw = tor.raw();
    let controller = torcon::connect(tor.endpoint()).unwrap();
    // tor does not check the addresses in these files, so torcon must.
    assert_eq!(raw.ask("ONION_CLIENT_AUTH_VIEW").len(), invalid.len() + 2);
    assert!(
        controller.onion_client_auths().unwrap_err().to_string().contains("a client and its key")
    );
    for address in &invalid {
        for command in [
            format!("DEL_ONION {address}"),
            format!("HSFETCH {address}"),
            format!("ONION_CLIENT_AUTH_ADD {address} {}", client.reveal_blob()),
            format!("ONION_CLIENT_AUTH_REMOVE {address}"),
            format!("ONION_CLIENT_AUTH_VIEW {address}"),
        ] {
            let reply = raw.ask(&command);
            assert!(reply[0].starts_with("51"), "{command}: {reply:?}");
        }
        let expected = "contains no valid public key";
        let blob = client.reveal_blob();
        for refused in [
            address.parse::<OnionAddress>().map(drop).map_err(Error::from),
            controller.del_onion(address),
            controller.add_onion_client_auth(address, &blob).map(drop),
            controller.remove_onion_client_auth(address).map(drop),
            controller.onion_client_auth(address).map(drop),
            controller.hs_service_descriptor(address).map(drop),
            ClientAuthKey::from_auth_private(&format!(
                "{address}:descriptor:x25519:{}",
                client.reveal_base32()
            ))
            .map(drop)
            .map_err(Error::from),
        ] {
            assert!(refused.unwrap_err().to_string().contains(expected), "{address}");
        }
    }
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
