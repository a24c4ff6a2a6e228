//! The keys that a supervisor records, and the commands by which it restores them.

use super::{LIMIT, REFUSED, Settings, deadline_after, with_tor};
use crate::command::OnionClientAuthAdd;
use crate::names::{ClientAuthKey, OnionAddress};

const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";

/// Returns the command that adds a key for the service.
pub(super) fn client_auth(byte: u8) -> OnionClientAuthAdd {
    let key = ClientAuthKey::from_bytes([byte; 32]).unwrap();
    OnionClientAuthAdd::new(SERVICE.parse().unwrap(), key)
}

#[test]
fn a_key_replaces_that_of_the_same_service() {
    let service: OnionAddress = SERVICE.parse().unwrap();
    let settings = Settings::default();
    settings.record_client_auth(&client_auth(8));
    settings.record_client_auth(&client_auth(9));
    assert_eq!(settings.kept.lock().client_auths.len(), 1);
    assert!(!settings.is_empty());
    assert!(settings.begin_client_auth_removal(service));
    // The removal is tried again until tor answers.
    assert!(settings.begin_client_auth_removal(service) && !settings.is_empty());
    settings.end_client_auth_removal(service);
    assert!(!settings.begin_client_auth_removal(service) && settings.is_empty());
}

#[test]
fn only_keys_that_tor_does_not_have_are_added() {
    let settings = Settings::default();
    settings.record_client_auth(&client_auth(8));
    let sent = "ONION_CLIENT_AUTH_ADD ".to_owned() + SERVICE + " x25519:";
    for (reply, added) in [("250 OK", true), (REFUSED, false)] {
        let sent = sent.clone();
        with_tor(
            move |tor| {
                tor.answer("ONION_CLIENT_AUTH_VIEW", &["250-ONION_CLIENT_AUTH_VIEW", "250 OK"]);
                tor.expect_matching("the key", |line| line.starts_with(&sent));
                tor.send(format!("{reply}\r\n"));
            },
            |controller| {
                let parts =
                    settings.restore_client_auths(controller, deadline_after(LIMIT)).unwrap();
                let parts: Vec<_> = parts.iter().map(|part| part.part.to_string()).collect();
                assert_eq!(parts.is_empty(), added, "{parts:?}");
            },
        );
    }
}

#[test]
fn a_key_that_tor_has_is_not_added_again() {
    let settings = Settings::default();
    settings.record_client_auth(&client_auth(8));
    with_tor(
        |tor| {
            tor.answer("ONION_CLIENT_AUTH_VIEW", &["250-ONION_CLIENT_AUTH_VIEW", "250 OK"]);
            let is_add = |line: &str| line.starts_with("ONION_CLIENT_AUTH_ADD ");
            let added = tor.expect_matching("the key", is_add);
            let key = added.split(' ').nth(2).unwrap();
            tor.send("250 OK\r\n");
            let client = format!("250-CLIENT {SERVICE} {key}");
            let view = ["250-ONION_CLIENT_AUTH_VIEW", &client, "250 OK"];
            tor.answer("ONION_CLIENT_AUTH_VIEW", &view);
        },
        |controller| {
            for _ in 0..2 {
                let restored = settings.restore_client_auths(controller, deadline_after(LIMIT));
                assert!(restored.unwrap().is_empty());
            }
        },
    );
}

#[test]
fn a_key_is_also_added_if_tor_has_one_that_cannot_be_read() {
    let settings = Settings::default();
    settings.record_client_auth(&client_auth(8));
    with_tor(
        |tor| {
            let other = format!("250-CLIENT {SERVICE} x448:AAAA");
            let view = ["250-ONION_CLIENT_AUTH_VIEW", &other, "250 OK"];
            tor.answer("ONION_CLIENT_AUTH_VIEW", &view);
            tor.expect_matching("the key", |line| line.starts_with("ONION_CLIENT_AUTH_ADD "));
            tor.send("250 OK\r\n");
        },
        |controller| {
            let parts = settings.restore_client_auths(controller, deadline_after(LIMIT)).unwrap();
            assert!(parts.is_empty(), "{parts:?}");
        },
    );
}

#[test]
fn a_removed_key_is_removed_if_tor_has_it_or_that_cannot_be_read() {
    let key = ClientAuthKey::from_bytes([8; 32]).unwrap().reveal_blob();
    let shown = [Some(format!("{SERVICE} {key}")), Some(format!("{SERVICE} x448:AAAA")), None];
    for shown in shown {
        let settings = Settings::default();
        // A key that tor may add late, since it has not answered.
        settings.refuse_client_auth(&client_auth(8));
        with_tor(
            move |tor| {
                match shown {
                    Some(shown) => {
                        let client = format!("250-CLIENT {shown}");
                        let view = ["250-ONION_CLIENT_AUTH_VIEW", &client, "250 OK"];
                        tor.answer("ONION_CLIENT_AUTH_VIEW", &view);
                    }
                    None => drop(tor.answer("ONION_CLIENT_AUTH_VIEW", &[REFUSED])),
                }
                tor.answer(&format!("ONION_CLIENT_AUTH_REMOVE {SERVICE}"), &["250 OK"]);
            },
            |controller| {
                settings.restore_client_auths(controller, deadline_after(LIMIT)).unwrap();
            },
        );
        assert!(settings.is_empty());
    }
    // The recorded key replaces one that tor may add late.
    let settings = Settings::default();
    settings.record_client_auth(&client_auth(8));
    settings.refuse_client_auth(&client_auth(9));
    assert!(settings.begin_client_auth_removal(SERVICE.parse().unwrap()));
    settings.end_client_auth_removal(SERVICE.parse().unwrap());
    assert!(settings.is_empty());
}
