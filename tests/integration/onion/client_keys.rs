use torcon::command::{OnionClientAuthAdded, OnionClientAuthRemoved};
use torcon::names::{ClientAuthKey, OnionAddress};
use torcon::onion::Publication;
use torcon::supervisor::SupervisorOptions;
use torcon::{ConnectOptions, Tor};

use super::{LONG, controller, endpoint, key, listen, refusal};
use crate::support::real_tor::RealTor;

fn client() -> ClientAuthKey {
    ClientAuthKey::from_bytes([9; 32]).unwrap()
}

/// Returns the address of a service and the key of a client in every form in use.
fn forms(service: OnionAddress) -> Vec<(String, String)> {
    let (with, without) = (service.to_string(), service.service_id().to_owned());
    let client = client();
    [
        (&with, client.reveal_blob()),
        (&without, client.reveal_auth_private(service)),
        (&with, format!("descriptor:x25519:{}", client.reveal_base32())),
        (&without, client.reveal_base32().to_lowercase()),
        (&with, client.reveal_base64()),
    ]
    .map(|(address, key)| (address.to_uppercase(), key))
    .to_vec()
}

#[test]
fn a_controller_adds_finds_and_removes_client_keys_in_every_form() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let service = key(1).address();
    for (address, text) in forms(service) {
        let added = controller.add_onion_client_auth(address.as_str(), text.as_str()).unwrap();
        assert_eq!(added, OnionClientAuthAdded::Added, "{text}");
        let shown = tor.raw().ask("ONION_CLIENT_AUTH_VIEW");
        let line = format!("250-CLIENT {} {}", service.service_id(), client().reveal_blob());
        assert_eq!(shown[1], line);
        let known = controller.onion_client_auth(&address).unwrap().unwrap();
        assert_eq!(known.key.reveal_bytes(), client().reveal_bytes());
        let removed = controller.remove_onion_client_auth(&address).unwrap();
        assert_eq!(removed, OnionClientAuthRemoved::Removed);
        assert!(controller.onion_client_auth(service).unwrap().is_none());
    }
    // Typed values, owned and borrowed.
    controller.add_onion_client_auth(service, client()).unwrap();
    let again = controller.add_onion_client_auth(&service, &client()).unwrap();
    assert_eq!(again, OnionClientAuthAdded::Replaced);
}

#[test]
fn a_tor_and_a_supervisor_take_the_same_arguments() {
    let tor = RealTor::start();
    let service = key(1).address();
    let (address, text) = forms(service).remove(0);
    let shown = || tor.raw().ask("ONION_CLIENT_AUTH_VIEW").concat();
    let one = Tor::connect(tor.endpoint()).unwrap();
    one.add_onion_client_auth(&address, &text).unwrap();
    assert!(shown().contains(&client().reveal_blob()));
    one.remove_onion_client_auth(&address).unwrap();
    assert!(!shown().contains("x25519"));
    let options = SupervisorOptions::new();
    let supervisor = options.connect([tor.endpoint().as_str()], ConnectOptions::new()).unwrap();
    supervisor.wait_tor(LONG).unwrap();
    supervisor.add_onion_client_auth(&address, &text).unwrap();
    assert!(shown().contains(&client().reveal_blob()));
    assert!(supervisor.remove_onion_client_auth(&address).unwrap());
    assert!(!shown().contains("x25519"));
}

#[test]
fn text_that_is_no_address_or_key_is_refused_before_anything_is_sent() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let service = key(1).address();
    let injected = format!("{}\r\nSIGNAL HALT", client().reveal_blob());
    for refused in [
        refusal(controller.add_onion_client_auth("www.example", client())),
        refusal(controller.remove_onion_client_auth("www.example\r\nSIGNAL HALT")),
        refusal(controller.onion_client_auth("")),
    ] {
        assert!(refused.starts_with("invalid argument \"onion address\": "), "{refused}");
    }
    for key in ["", "x25519:", "ed25519:AAAA", injected.as_str()] {
        let refused = refusal(controller.add_onion_client_auth(service, key));
        let start = "invalid argument \"client authorization key\": ";
        assert!(refused.starts_with(start), "{key:?}: {refused}");
        assert!(!refused.contains(&client().reveal_base64()), "{refused}");
    }
    assert!(controller.onion_client_auths().unwrap().is_empty());
}

#[test]
fn a_client_is_authorized_by_its_public_key_in_every_form() {
    let tor = RealTor::start();
    let public = client().public();
    for text in [
        public.to_string(),
        public.to_base64(),
        format!("x25519:{}", public.to_base64()),
        public.descriptor_line(),
    ] {
        let listener = listen(endpoint(&tor).authorize_client_key("alice", &text));
        assert_eq!(listener.clients()[0].public_key, public, "{text}");
        listener.authorize_client_key("alice", text.as_str()).unwrap();
        listener.close().unwrap();
    }
    let private = client().reveal_auth_private(key(1).address());
    let wrong = endpoint(&tor).authorize_client_key("alice", private.as_str()).listen();
    assert_eq!(
        refusal(wrong),
        "invalid argument \"public key of client authorization\": must be a public key: this is \
         the line of a file .auth_private, whose secret key stays with the client"
    );
    let listener = listen(endpoint(&tor).publication(Publication::None));
    assert!(refusal(listener.authorize_client_key("alice", "")).contains("must be 32 bytes in"));
    assert!(listener.clients().is_empty());
}
