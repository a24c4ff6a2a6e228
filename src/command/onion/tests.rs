use std::path::Path;

use super::{
    AddOnion, DelOnion, OnionClientAuthAdd, OnionClientAuthAdded, OnionClientAuthRemove,
    OnionClientAuthRemoved, OnionClientAuthView,
};
use crate::command::dialogue::{answered, error, misrouted, refusal, sent};
use crate::names::{ClientAuthKey, ClientAuthPublicKey, OnionAddress, OnionKey, OnionPort};

const ID: &str = "jg6gama7cbz4asqrcb2ysxsb4wyje5reg7ow2btjiv6x63y7rmp426ad";
const BLOB: &str = "ED25519-V3:GBxEviRDvZQ+I3jc3mEkQL9HW1uiuQNXvJyPPSS5c2C0snOSYtMo06qE5Uo5GCBVsfHOKuPLDZUuEy7F/khttQ==";
const CLIENT: &str = "DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ";
const SERVICE: &str = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd";
const SECRET: &str = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn ports() -> [OnionPort; 1] {
    [OnionPort::new(80, 8080)]
}

fn key() -> OnionKey {
    OnionKey::from_blob(BLOB).unwrap()
}

fn client() -> ClientAuthPublicKey {
    CLIENT.parse().unwrap()
}

fn service() -> OnionAddress {
    SERVICE.parse().unwrap()
}

fn secret() -> ClientAuthKey {
    ClientAuthKey::from_blob(SECRET).unwrap()
}

#[test]
fn a_plain_service_asks_for_nothing_but_its_ports() {
    assert_eq!(sent(&AddOnion::new(ports())), "ADD_ONION NEW:ED25519-V3 Port=80,8080\r\n");
}

#[test]
fn everything_stands_in_one_order_whatever_the_order_of_the_calls() {
    let all = AddOnion::new([
        OnionPort::new(80, 8080),
        OnionPort::new(81, Path::new("/srv/x.sock")),
        "83,[::1]:99".parse().unwrap(),
    ])
    .client(client())
    .pow_queue_burst(20)
    .pow_queue_rate(10)
    .pow_defenses(true)
    .max_streams_close_circuit()
    .max_streams(65535)
    .non_anonymous()
    .detach()
    .discard_key();
    assert_eq!(
        sent(&all),
        format!(
            "ADD_ONION NEW:ED25519-V3 \
             Flags=DiscardPK,Detach,V3Auth,NonAnonymous,MaxStreamsCloseCircuit MaxStreams=65535 \
             PoWDefensesEnabled=1 PoWQueueRate=10 PoWQueueBurst=20 Port=80,8080 \
             Port=81,unix:/srv/x.sock Port=83,[::1]:99 ClientAuthV3={CLIENT}\r\n"
        )
    );
    // tor has nothing to discard where the key is given, but a filter may want to see the flag.
    let own = AddOnion::new(ports()).key(key()).discard_key();
    assert_eq!(sent(&own), format!("ADD_ONION {BLOB} Flags=DiscardPK Port=80,8080\r\n"));
}

#[test]
fn values_that_add_onion_does_not_support_are_refused() {
    // ADD_ONION has no quoting, so unix targets with blanks are refused (peers 33).
    let unix = |path: &str| AddOnion::new([OnionPort::new(80, Path::new(path))]);
    let blank = "invalid argument \"target\": has a blank or a quote in its path, which ADD_ONION \
                 does not support";
    assert_eq!(refusal(&unix("/srv/with blank")), blank);
    assert_eq!(refusal(&unix("/srv/\"quoted\"")), blank);
    assert_eq!(refusal(&unix("/srv/x\r\nSIGNAL HALT")), blank);
    assert_eq!(
        refusal(&unix("/srv/x\r\nQUIT")),
        "invalid argument \"Port\": contains a carriage return"
    );
    assert_eq!(refusal(&unix("relative")), "invalid argument \"target\": must be an absolute path");
    assert_eq!(
        refusal(&AddOnion::new([OnionPort::new(0, 80)])),
        "invalid argument \"port\": must not be 0"
    );
    assert_eq!(
        refusal(&AddOnion::new([OnionPort::new(80, 0)])),
        "invalid argument \"target\": must not have port 0"
    );
    assert_eq!(
        refusal(&AddOnion::new(Vec::<OnionPort>::new())),
        "invalid argument \"ports\": none is given"
    );
}

#[test]
fn a_new_key_is_returned_and_a_given_one_is_kept() {
    let reply = format!("250-ServiceID={ID}\r\n250-PrivateKey={BLOB}\r\n250 OK\r\n");
    let added = answered(&AddOnion::new(ports()), reply.as_bytes()).unwrap();
    assert_eq!(added.address.service_id(), ID);
    assert_eq!(added.key.unwrap().reveal_blob(), BLOB);
    assert!(added.clients.is_empty());

    // A key given to ADD_ONION is not echoed (peers 36).
    let reply = format!("250-ServiceID={ID}\r\n250 OK\r\n");
    let added = answered(&AddOnion::new(ports()).key(key()), reply.as_bytes()).unwrap();
    assert_eq!(added.key.unwrap().reveal_blob(), BLOB);

    let discarded = AddOnion::new(ports()).discard_key();
    assert!(answered(&discarded, reply.as_bytes()).unwrap().key.is_none());
}

#[test]
fn the_address_in_the_reply_is_compared_with_that_of_a_given_key() {
    let add = AddOnion::new(ports()).key(key());
    let reply = format!("250-ServiceID={SERVICE}\r\n250 OK\r\n");
    assert_eq!(
        error(&add, reply.as_bytes()).to_string(),
        "cannot read the reply to ADD_ONION: expected the address that belongs to the key, got \"\""
    );
    let damaged = ID.replace("jg", "jh");
    let reply = format!("250-ServiceID={damaged}\r\n250 OK\r\n");
    for add in [add, AddOnion::new(ports()).discard_key()] {
        assert_eq!(
            error(&add, reply.as_bytes()).to_string(),
            "cannot read the reply to ADD_ONION: expected the address of a service, got \"\""
        );
    }
}

#[test]
fn clients_and_words_of_a_later_tor_are_read() {
    let reply = format!(
        "250-ServiceID={ID}\r\n250-Novelty=1\r\n250-ClientAuthV3={}\r\n250 OK\r\n",
        CLIENT.to_ascii_lowercase()
    );
    let added = answered(&AddOnion::new(ports()).client(client()), reply.as_bytes()).unwrap();
    assert_eq!(added.clients, [client()]);
}

#[test]
fn a_reply_that_is_none_is_refused_without_showing_it() {
    let add = AddOnion::new(ports());
    for (reply, message) in [
        (
            "250-ServiceID=abc\r\n250 OK\r\n".to_owned(),
            "cannot read the reply to ADD_ONION: expected the address of a service, got \"\"",
        ),
        (
            format!("250-ServiceID={ID}\r\n250-PrivateKey=RSA1024:MIIC\r\n250 OK\r\n"),
            "cannot read the reply to ADD_ONION: expected the key of a service, got \"\"",
        ),
        // A key that belongs to another address is not the key of this service (peers 22).
        (
            format!("250-ServiceID={SERVICE}\r\n250-PrivateKey={BLOB}\r\n250 OK\r\n"),
            "cannot read the reply to ADD_ONION: expected the address that belongs to the key, \
             got \"\"",
        ),
    ] {
        assert_eq!(error(&add, reply.as_bytes()).to_string(), message);
    }
    assert!(misrouted(&add, b"250 OK\r\n").contains("expected the address of a service"));
    assert!(misrouted(&add, b"250-version=0.4.9.11\r\n250 OK\r\n").contains("ADD_ONION"));
    assert_eq!(
        error(&add, b"550 Onion address collision\r\n").to_string(),
        "tor refused ADD_ONION: 550 \"Onion address collision\""
    );
}

#[test]
fn a_service_is_deleted_by_its_id_in_lower_case_and_without_its_suffix() {
    // tor knows neither upper case nor the suffix here (peers 35).
    let address = format!("{}.onion", ID.to_ascii_uppercase()).parse().unwrap();
    assert_eq!(sent(&DelOnion::new(address)), format!("DEL_ONION {ID}\r\n"));
    let refused = error(&DelOnion::new(address), b"552 Unknown Onion Service id\r\n");
    assert_eq!(refused.status_code(), Some(552));
}

#[test]
fn the_three_good_outcomes_of_adding_a_client_key_are_values() {
    // 251 and 252 are no errors (peers 28).
    let add = OnionClientAuthAdd::new(service(), secret());
    assert_eq!(sent(&add), format!("ONION_CLIENT_AUTH_ADD {SERVICE} {SECRET}\r\n"));
    for (reply, outcome) in [
        (&b"250 OK\r\n"[..], OnionClientAuthAdded::Added),
        (b"251 Client for onion existed and replaced\r\n", OnionClientAuthAdded::Replaced),
        (b"252 Registered client and decrypted desc\r\n", OnionClientAuthAdded::Decrypted),
    ] {
        assert_eq!(answered(&add, reply).unwrap(), outcome);
    }
    let full = add.clone().permanent().name("exactly_16_chars".parse().unwrap());
    assert_eq!(
        sent(&full),
        format!(
            "ONION_CLIENT_AUTH_ADD {SERVICE} {SECRET} ClientName=exactly_16_chars \
             Flags=Permanent\r\n"
        )
    );
    let reply = format!("553 Unable to store creds for \"{SERVICE}\"\r\n");
    assert_eq!(error(&full, reply.as_bytes()).status_code(), Some(553));
    assert!(misrouted(&add, b"250-version=0.4.9.11\r\n250 OK\r\n").contains("a single line"));
    assert!(!format!("{full:?}").contains("AAEC"));
}

#[test]
fn removing_a_missing_key_is_a_value() {
    let remove = OnionClientAuthRemove::new(service());
    assert_eq!(sent(&remove), format!("ONION_CLIENT_AUTH_REMOVE {SERVICE}\r\n"));
    assert_eq!(answered(&remove, b"250 OK\r\n").unwrap(), OnionClientAuthRemoved::Removed);
    let reply = format!("251 No credentials for \"{SERVICE}\"\r\n");
    assert_eq!(answered(&remove, reply.as_bytes()).unwrap(), OnionClientAuthRemoved::NotThere);
}

#[test]
fn the_keys_that_tor_has_are_listed() {
    let view = OnionClientAuthView::new();
    assert_eq!(sent(&view), "ONION_CLIENT_AUTH_VIEW\r\n");
    let one = OnionClientAuthView::of(service());
    assert_eq!(sent(&one), format!("ONION_CLIENT_AUTH_VIEW {SERVICE}\r\n"));
    let reply = format!(
        "250-ONION_CLIENT_AUTH_VIEW\r\n250-CLIENT {ID} {SECRET} Flags=Permanent \
         ClientName=bob\r\n250-CLIENT {SERVICE} {SECRET}\r\n250 OK\r\n"
    );
    let credentials = answered(&view, reply.as_bytes()).unwrap();
    let [first, second] = credentials.as_slice() else { panic!("{credentials:?}") };
    assert_eq!(first.service.service_id(), ID);
    assert_eq!(first.name.map(|name| name.to_string()).as_deref(), Some("bob"));
    assert!(first.permanent);
    assert_eq!(second.key.reveal_blob(), SECRET);
    assert!(second.name.is_none() && !second.permanent);
    assert!(answered(&one, b"250-ONION_CLIENT_AUTH_VIEW x\r\n250 OK\r\n").unwrap().is_empty());
    assert!(!format!("{credentials:?}").contains("AAEC"));
    assert_eq!(
        error(&view, b"250-ONION_CLIENT_AUTH_VIEW\r\n250-CLIENT abc x\r\n250 OK\r\n").to_string(),
        "cannot read the reply to ONION_CLIENT_AUTH_VIEW: expected a client and its key, got \"\""
    );
    assert!(misrouted(&view, b"250 OK\r\n").contains("its own keyword"));
}

#[test]
fn the_settings_of_a_caller_are_known() {
    let plain = || AddOnion::new(ports());
    assert!(!plain().has_key() && plain().key(key()).has_key());
    assert!(plain().own_address().is_none());
    assert_eq!(plain().key(key()).own_address(), Some(key().address()));
    assert!(!plain().discards_key() && plain().discard_key().discards_key());
    assert_eq!(plain().pow_argument(), None);
    assert_eq!(plain().pow_defenses(true).pow_argument(), Some("pow_defenses"));
    assert_eq!(plain().pow_queue_rate(1).pow_argument(), Some("pow_queue_rate"));
    assert_eq!(plain().pow_queue_burst(1).pow_argument(), Some("pow_queue_burst"));
    let mut service = plain().client(client()).client(client());
    service.set_clients([client()]);
    assert!(sent(&service).ends_with(&format!(" Port=80,8080 ClientAuthV3={CLIENT}\r\n")));
}

#[test]
fn a_reply_begins_with_the_address_and_has_no_data() {
    let add = AddOnion::new(ports());
    let data = format!("250+ServiceID={ID}\r\nx\r\n.\r\n250 OK\r\n");
    let message = "cannot read the reply to ADD_ONION: expected single lines, got \"\"";
    assert_eq!(error(&add, data.as_bytes()).to_string(), message);
    let later = format!("250-Novelty=1\r\n250-ServiceID={ID}\r\n250 OK\r\n");
    assert!(misrouted(&add, later.as_bytes()).contains("the address of a service"));
}

#[test]
fn a_key_is_that_of_its_service_and_its_secret() {
    let listed = |id: &str| {
        let reply = format!("250-ONION_CLIENT_AUTH_VIEW\r\n250-CLIENT {id} {SECRET}\r\n250 OK\r\n");
        answered(&OnionClientAuthView::new(), reply.as_bytes()).unwrap().remove(0)
    };
    let add = OnionClientAuthAdd::new(service(), secret());
    assert!(add.is(&listed(SERVICE)));
    assert!(!add.is(&listed(ID)), "of another service");
    let other = ClientAuthKey::from_bytes([9; 32]).unwrap();
    assert!(!OnionClientAuthAdd::new(service(), other).is(&listed(SERVICE)), "another key");
}

#[test]
fn the_reply_to_a_key_is_one_line_without_a_value() {
    let add = OnionClientAuthAdd::new(service(), secret());
    for reply in [&b"250-OK\r\n250 OK\r\n"[..], b"250 a=1\r\n", b"250+OK\r\nx\r\n.\r\n250 OK\r\n"] {
        assert!(misrouted(&add, reply).contains("a single line"));
    }
}
