use std::path::Path;

use torcon::command::{
    AddOnion, OnionClientAuthAdd, OnionClientAuthAdded, OnionClientAuthRemoved, OnionClientAuthView,
};
use torcon::names::{ClientAuthKey, OnionAddress, OnionPort};

use super::{controller, key, refusal};
use crate::support::capability::Capability;
use crate::support::log_capture::LogCapture;
use crate::support::real_tor::RealTor;

fn client(number: u8) -> ClientAuthKey {
    ClientAuthKey::from_bytes([number; 32]).unwrap()
}

fn ports() -> [OnionPort; 1] {
    [OnionPort::new(80, 8080)]
}

#[test]
fn a_service_can_be_added_with_every_option_of_tor() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let mut everything = AddOnion::new([
        OnionPort::new(80, 8080),
        OnionPort::new(81, Path::new("/srv/x.sock")),
        "82,[::1]:99".parse().unwrap(),
    ])
    .discard_key()
    .detach()
    .client(client(1).public())
    .client(client(2).public())
    .max_streams(65535)
    .max_streams_close_circuit();
    if Capability::AddOnionPow.is_available() {
        let rate = everything.pow_defenses(true).pow_queue_rate(u32::MAX);
        everything = rate.pow_queue_burst(u32::MAX);
    }
    let added = controller.add_onion(&everything).unwrap();
    assert!(added.key.is_none());
    assert_eq!(added.clients, [client(1).public(), client(2).public()]);
    assert_eq!(controller.detached_onions().unwrap(), [added.address]);
    assert!(controller.onions().unwrap().is_empty());
}

#[test]
fn proof_of_work_is_refused_for_an_old_tor() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let service = || AddOnion::new(ports());
    for (argument, service) in [
        ("pow_defenses", service().pow_defenses(false).pow_queue_rate(1)),
        ("pow_queue_rate", service().pow_queue_rate(1).pow_queue_burst(1)),
        ("pow_queue_burst", service().pow_queue_burst(1)),
    ] {
        let outcome = controller.add_onion(&service);
        if Capability::AddOnionPow.is_available() {
            outcome.unwrap();
            continue;
        }
        let problem = "needs tor 0.4.9.2 or later, and this is tor";
        let expected =
            format!("invalid argument \"{argument}\": {problem} {}", controller.version());
        assert_eq!(refusal(outcome), expected);
        // The reply of tor does not name the version.
        let error = controller.execute(&service).unwrap_err();
        assert!(error.to_string().contains("Unrecognized keyword argument \\\"PoW"), "{error}");
    }
}

#[test]
fn a_key_is_kept_if_tor_or_the_program_generated_it() {
    // A key given to ADD_ONION is not echoed (peers 36).
    let tor = RealTor::start();
    let controller = controller(&tor);
    let made = controller.add_onion(&AddOnion::new(ports())).unwrap();
    let made_key = made.key.unwrap();
    assert_eq!(made_key.address(), made.address);
    controller.del_onion(made.address).unwrap();
    let given = controller.add_onion(&AddOnion::new(ports()).key(made_key)).unwrap();
    assert_eq!(given.address, made.address);
    assert_eq!(given.key.unwrap().address(), made.address);
}

#[test]
fn each_connection_lists_its_services_and_all_list_detached_ones() {
    // `onions/current` belongs to the connection, ids come without `.onion` (peers 35).
    let tor = RealTor::start();
    let [one, other] = [controller(&tor), controller(&tor)];
    let mine = one.add_onion(&AddOnion::new(ports()).key(key(1))).unwrap().address;
    let free = one.add_onion(&AddOnion::new(ports()).key(key(2)).detach()).unwrap().address;
    assert_eq!((one.onions().unwrap(), other.onions().unwrap()), (vec![mine], vec![]));
    assert_eq!(other.detached_onions().unwrap(), [free]);
    assert_eq!(
        refusal(other.del_onion(mine)),
        "tor refused DEL_ONION: 552 \"Unknown Onion Service id\""
    );
    assert_eq!(
        refusal(other.add_onion(&AddOnion::new(ports()).key(key(1)))),
        "tor refused ADD_ONION: 550 \"Onion address collision\""
    );
    one.close();
    assert_eq!(other.detached_onions().unwrap(), [free]);
    other.del_onion(free).unwrap();
    // The first service ended with its connection.
    other.add_onion(&AddOnion::new(ports()).key(key(1))).unwrap();
}

#[test]
fn a_non_anonymous_service_needs_a_non_anonymous_tor() {
    let tor = RealTor::start();
    let plain = AddOnion::new(ports());
    assert_eq!(
        refusal(controller(&tor).add_onion(&plain.clone().non_anonymous())),
        "tor refused ADD_ONION: 512 \"Tor is in anonymous hidden service mode\""
    );
    let open = RealTor::builder()
        .line("HiddenServiceNonAnonymousMode 1")
        .line("HiddenServiceSingleHopMode 1")
        .start();
    let controller = controller(&open);
    assert_eq!(
        refusal(controller.add_onion(&plain)),
        "tor refused ADD_ONION: 512 \"Tor is in non-anonymous hidden service mode\""
    );
    controller.add_onion(&plain.non_anonymous()).unwrap();
}

#[test]
fn client_keys_are_added_replaced_listed_and_removed() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let service = key(1).address();
    let add = |number| {
        let add = OnionClientAuthAdd::new(service, client(number)).name("bob".parse().unwrap());
        controller.execute(&add).unwrap()
    };
    assert_eq!(add(1), OnionClientAuthAdded::Added);
    assert_eq!(add(2), OnionClientAuthAdded::Replaced);
    let known = controller.onion_client_auths().unwrap();
    let [known] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!((known.service, known.permanent), (service, false));
    assert_eq!(known.name.map(|name| name.to_string()).as_deref(), Some("bob"));
    assert_eq!(known.key.public(), client(2).public());
    assert_eq!(controller.execute(&OnionClientAuthView::of(service)).unwrap().len(), 1);
    let other = key(2).address();
    assert!(controller.execute(&OnionClientAuthView::of(other)).unwrap().is_empty());
    let remove = |service: &OnionAddress| controller.remove_onion_client_auth(*service).unwrap();
    assert_eq!(remove(&service), OnionClientAuthRemoved::Removed);
    assert_eq!(remove(&service), OnionClientAuthRemoved::NotThere);
    let permanent = OnionClientAuthAdd::new(service, client(1)).permanent();
    assert_eq!(
        refusal(controller.execute(&permanent)),
        format!(
            "tor refused ONION_CLIENT_AUTH_ADD: 553 \"Unable to store creds for \\\"{}\\\"\"",
            service.service_id()
        )
    );
}

#[test]
fn a_permanent_client_key_is_in_a_file_of_tor() {
    let directory = tempfile::tempdir().unwrap();
    let tor = RealTor::builder()
        .line(format!("ClientOnionAuthDir {}", directory.path().display()))
        .start();
    let controller = controller(&tor);
    let service = key(1).address();
    let permanent = OnionClientAuthAdd::new(service, client(1)).permanent();
    controller.execute(&permanent).unwrap();
    let file = directory.path().join(format!("{}.auth_private", service.service_id()));
    let written = std::fs::read_to_string(&file).unwrap();
    let expected = client(1).reveal_auth_private(service);
    assert_eq!(written.to_lowercase(), expected.to_lowercase());
    let known = controller.onion_client_auths().unwrap();
    assert!(known[0].permanent);
    controller.remove_onion_client_auth(service).unwrap();
    assert!(!file.exists());
}

#[test]
fn neither_the_log_nor_debug_shows_keys() {
    let capture = LogCapture::start();
    let tor = RealTor::start();
    let controller = controller(&tor);
    let (secret, client) = (key(77), client(78));
    let service = secret.address();
    let add = AddOnion::new(ports()).key(secret.clone());
    let added = controller.add_onion(&add).unwrap();
    let auth = OnionClientAuthAdd::new(service, client.clone());
    controller.add_onion_client_auth(service, &client).unwrap();
    let known = controller.onion_client_auths().unwrap();
    let shown = format!("{add:?} {added:?} {auth:?} {known:?}");
    let error = refusal(controller.add_onion(&add));
    let blobs = [secret.reveal_blob(), client.reveal_blob(), client.reveal_base32()];
    let secrets: Vec<_> = blobs.iter().map(|b| b.rsplit(':').next().unwrap()).collect();
    capture.assert_holds_none_of(&secrets);
    assert!(!capture.lines_with("ADD_ONION").is_empty());
    for secret in secrets {
        assert!(!shown.contains(secret) && !error.contains(secret));
    }
}
