//! The keys that a supervisor records, and the commands by which it restores them.

use super::{LIMIT, REFUSED, Script, Settings, UnrestoredPart, deadline_after, with_tor};
use crate::command::OnionClientAuthAdd;
use crate::controller::Controller;
use crate::names::{ClientAuthKey, OnionAddress};

const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";

/// Returns the command that adds a key for the service.
pub(super) fn client_auth(byte: u8) -> OnionClientAuthAdd {
    let key = ClientAuthKey::from_bytes([byte; 32]).unwrap();
    OnionClientAuthAdd::new(SERVICE.parse().unwrap(), key)
}

/// Answers the query of the keys with one key or none.
fn answer_view(tor: &mut Script, key: Option<&str>) {
    let client = key.map(|key| format!("250-CLIENT {SERVICE} {key}"));
    let lines = ["250-ONION_CLIENT_AUTH_VIEW"].into_iter().chain(client.as_deref());
    let lines: Vec<_> = lines.chain(["250 OK"]).collect();
    tor.answer("ONION_CLIENT_AUTH_VIEW", &lines);
}

fn expect_add(tor: &mut Script) -> String {
    let sent = format!("ONION_CLIENT_AUTH_ADD {SERVICE} x25519:");
    tor.expect_matching("the key", |line| line.starts_with(&sent))
}

fn restore(settings: &Settings, controller: &Controller) -> Vec<UnrestoredPart> {
    settings.restore_client_auths(controller, deadline_after(LIMIT)).unwrap()
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
    for (reply, added) in [("250 OK", true), (REFUSED, false)] {
        with_tor(
            move |tor| {
                answer_view(tor, None);
                expect_add(tor);
                tor.send(format!("{reply}\r\n"));
            },
            |controller| {
                let parts = restore(&settings, controller);
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
            answer_view(tor, None);
            let added = expect_add(tor);
            tor.send("250 OK\r\n");
            answer_view(tor, added.split(' ').nth(2));
        },
        |controller| {
            for _ in 0..2 {
                assert!(restore(&settings, controller).is_empty());
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
            answer_view(tor, Some("x448:AAAA"));
            expect_add(tor);
            tor.send("250 OK\r\n");
        },
        |controller| {
            let parts = restore(&settings, controller);
            assert!(parts.is_empty(), "{parts:?}");
        },
    );
}

#[test]
fn a_removed_key_is_removed_if_tor_has_it_or_that_cannot_be_read() {
    let key = ClientAuthKey::from_bytes([8; 32]).unwrap().reveal_blob();
    for shown in [Some(key), Some("x448:AAAA".to_owned()), None] {
        let settings = Settings::default();
        // A key that tor may add late, since it has not answered.
        settings.refuse_client_auth(&client_auth(8));
        with_tor(
            move |tor| {
                match shown {
                    Some(key) => answer_view(tor, Some(&key)),
                    None => drop(tor.answer("ONION_CLIENT_AUTH_VIEW", &[REFUSED])),
                }
                tor.answer(&format!("ONION_CLIENT_AUTH_REMOVE {SERVICE}"), &["250 OK"]);
            },
            |controller| {
                restore(&settings, controller);
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
