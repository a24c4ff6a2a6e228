use std::fs;
use std::time::Duration;

use torcon::error::SocksCode;
use torcon::names::{ClientAuthKey, OnionAddress};
use torcon::onion::{OnionEndpoint, OnionListener, Publication};
use torcon::socks::Isolation;
use torcon::{Error, Tor};

use super::network::{LIMIT, say, served, tor};
use super::{LONG, endpoint, entries, is_configured, key, listen, refusal, services};
use crate::support::real_tor::RealTor;
use crate::support::recording_proxy::RecordingProxy;
use crate::support::watchdog::eventually;
use crate::testnet::retry::retried;

fn names(listener: &OnionListener) -> Vec<String> {
    listener.clients().iter().map(|client| client.name.to_string()).collect()
}

#[test]
fn changed_clients_of_a_directory_are_files_that_tor_reads_again() {
    let tor = RealTor::start();
    let proxy = RecordingProxy::before(tor.address());
    let directory = tor.directory().join("service");
    let listener = OnionEndpoint::system_tor(proxy.endpoint(), 80)
        .hidden_service_dir(&directory)
        .publication(Publication::None)
        .listen()
        .unwrap();
    let files = || entries(&directory.join("authorized_clients"));
    let settings = || proxy.sent().iter().filter(|line| line.starts_with("SETCONF ")).count();
    assert_eq!((files().len(), settings()), (0, 1));

    let alice = listener.authorize_client("alice").unwrap();
    assert_eq!(alice.key.as_ref().unwrap().public(), alice.public_key);
    let made = fs::read_to_string(directory.join("authorized_clients/alice.auth")).unwrap();
    assert_eq!(made, format!("{}\n", alice.public_key.descriptor_line()));
    assert_eq!(settings(), 3, "the first client ends the former introduction points");
    let bob = ClientAuthKey::generate().unwrap();
    listener.authorize_client_key("bob", bob.public()).unwrap();
    assert_eq!(settings(), 4);
    // An unchanged client needs no command.
    listener.authorize_client_key("bob", bob.public()).unwrap();
    assert!(!listener.revoke_client("carol").unwrap());
    assert_eq!(settings(), 4);
    assert_eq!(
        (names(&listener), files()),
        (vec!["alice".into(), "bob".into()], vec!["alice.auth".to_owned(), "bob.auth".to_owned()])
    );

    for outcome in [
        listener.authorize_client("bob").map(drop),
        listener.authorize_client_key("alice", bob.public()),
    ] {
        let refused = refusal(outcome);
        assert!(refused.ends_with("already has another key"), "{refused}");
    }
    assert!(matches!(listener.authorize_client("no name"), Err(Error::InvalidInput(_))));
    assert!(matches!(listener.revoke_client("../x"), Err(Error::InvalidInput(_))));
    assert!(listener.revoke_client("bob").unwrap());
    assert_eq!(settings(), 6, "the lines are left out, and added again");
    assert!(is_configured(&tor, &listener));
    assert_eq!(files(), ["alice.auth"]);
    let refused = refusal(listener.revoke_client("alice"));
    assert!(refused.contains("alice is the only authorized client of"), "{refused}");
    assert_eq!((files(), names(&listener)), (vec!["alice.auth".to_owned()], vec!["alice".into()]));

    // The changed clients stay in force when tor loses the service.
    assert_eq!(tor.raw().ask("RESETCONF HiddenServiceOptions"), ["250 OK"]);
    eventually(LONG, "tor has the service again", || is_configured(&tor, &listener));
    assert!(listener.service().disable_client_auth().unwrap());
    assert!(!listener.service().disable_client_auth().unwrap());
    assert!(files().is_empty() && listener.clients().is_empty());
    listener.authorize_client("carol").unwrap();
    listener.close().unwrap();
    assert_eq!(files(), ["carol.auth"], "what was changed is not undone at the end");
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
    let closed = refusal(listener.authorize_client("dave"));
    assert_eq!(closed, "the listener is closed");
}

#[test]
fn changed_clients_of_an_ephemeral_service_are_in_a_new_add_onion() {
    let tor = RealTor::start();
    for detached in [false, true] {
        let proxy = RecordingProxy::before(tor.address());
        let endpoint = OnionEndpoint::system_tor(proxy.endpoint(), 80)
            .key(key(1))
            .publication(Publication::None)
            .check_interval(Duration::from_millis(50));
        let endpoint = if detached { endpoint.detach() } else { endpoint };
        let listener = listen(endpoint);
        let begin = proxy.sent().len();
        let sent = || {
            let lines = proxy.sent().split_off(begin);
            let is_meant = |line: &String| line.contains("_ONION ");
            lines.into_iter().filter(is_meant).collect::<Vec<_>>()
        };
        let mut all = Vec::new();
        for name in ["alice", "bob"] {
            let made = listener.authorize_client(name).unwrap();
            all.push(format!(" ClientAuthV3={}", made.public_key));
            let sent = sent();
            let [.., removal, addition] = &*sent else { panic!("{sent:?}") };
            assert_eq!(*removal, format!("DEL_ONION {}", key(1).address().service_id()));
            assert!(addition.contains("V3Auth"), "{addition}");
            assert!(all.iter().all(|client| addition.contains(client)), "{addition}");
        }
        assert!(listener.revoke_client("alice").unwrap());
        let last = sent().pop().unwrap();
        assert!(last.contains(&all[1]) && !last.contains(&all[0]), "{last}");
        assert!(refusal(listener.revoke_client("bob")).contains("the only authorized client"));
        // The monitor adds it with the present clients.
        let before = sent().len();
        listener.controller().del_onion(key(1).address()).unwrap();
        eventually(LONG, "it is added again", || sent().len() == before + 2);
        assert!(sent().pop().unwrap().contains(&all[1]));
        assert!(listener.service().disable_client_auth().unwrap());
        assert!(!sent().pop().unwrap().contains("V3Auth"));
        let controller = listener.controller();
        listener.close().unwrap();
        if detached {
            controller.del_onion(key(1).address()).unwrap();
        }
    }
    let discarded = listen(endpoint(&tor).discard_key());
    let refused = refusal(discarded.authorize_client("alice"));
    assert_eq!(refused, "the key of the onion service was discarded");
    assert!(discarded.clients().is_empty());
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_clients_as_they_were() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = listen(endpoint(&tor).hidden_service_dir(&directory).authorize_client("alice"));
    let (clients, aside) = (directory.join("authorized_clients"), directory.join("aside"));
    fs::rename(&clients, &aside).unwrap();
    fs::write(&clients, "").unwrap();
    for outcome in [
        listener.authorize_client("bob").map(drop),
        listener.service().disable_client_auth().map(drop),
    ] {
        let refused = refusal(outcome);
        assert!(refused.contains("authorized_clients\" cannot be used"), "{refused}");
    }
    assert_eq!(names(&listener), ["alice"]);
    fs::remove_file(&clients).unwrap();
    fs::rename(&aside, &clients).unwrap();
    listener.authorize_client("bob").unwrap();
    assert_eq!(names(&listener), ["alice", "bob"]);
}

/// A client of the service with its own tor, which has a key.
struct Holder {
    tor: Tor,
    address: OnionAddress,
    key: ClientAuthKey,
}

impl Holder {
    fn new(address: OnionAddress, key: ClientAuthKey) -> Self {
        let holder = Self { tor: tor(), address, key };
        holder.add_key();
        holder
    }

    fn add_key(&self) {
        self.tor.add_onion_client_auth(self.address, &self.key).unwrap();
    }

    /// Makes tor forget the descriptor and the circuits of the service.
    fn forget(&self) {
        // tor delays one that follows another within ten seconds. It forgets the key too.
        self.tor.controller().wait_new_identity(LIMIT).unwrap();
        self.add_key();
    }

    /// Requires that the client is refused, with the descriptor that its tor has and without.
    #[track_caller]
    fn is_refused(&self) {
        for forgets in [false, true] {
            if forgets {
                self.forget();
            }
            let proxy = self.tor.socks_proxy().unwrap().isolation(Isolation::fresh());
            let proxy = proxy.timeout(LIMIT / 3);
            // Any other failure is one of the circuits.
            retried(self.tor.controller(), "the key is refused", || {
                match proxy.connect((self.address, 80)) {
                    Ok(_) => panic!("{} accepts the client (forgets: {forgets})", self.address),
                    Err(Error::Socks(error))
                        if error.code() == Some(SocksCode::OnionWrongClientAuth) =>
                    {
                        Ok(())
                    }
                    Err(error) => Err(error.to_string()),
                }
            });
        }
    }
}

fn changes_take_effect_at_once(service: &Tor, endpoint: OnionEndpoint) {
    let endpoint = endpoint.authorize_client("alice").publication(Publication::All);
    let listener = endpoint.timeout(LIMIT).listen().unwrap();
    let address = listener.onion_address();
    let alice = Holder::new(address, listener.clients()[0].key.clone().unwrap());
    let key = ClientAuthKey::generate().unwrap();
    let carol = Holder::new(address, key.clone());
    let listeners = [listener];
    served(&listeners, || {
        let listener = &listeners[0];
        assert_eq!(say(&alice.tor, &address, "it is alice"), 0);
        carol.is_refused();
        listener.authorize_client_key("carol", key.public()).unwrap();
        listener.wait_published(Publication::All, LIMIT).unwrap();
        carol.forget();
        assert_eq!(say(&carol.tor, &address, "it is carol"), 0);
        assert_eq!(say(&alice.tor, &address, "alice still"), 0);
        assert!(listener.revoke_client("carol").unwrap());
        listener.wait_published(Publication::All, LIMIT).unwrap();
        carol.is_refused();
        assert_eq!(say(&alice.tor, &address, "alice again"), 0);
    });
    assert!(service.controller().is_alive());
}

#[test]
fn a_filesystem_service_accepts_a_new_client_and_refuses_a_revoked_one() {
    let service = tor();
    changes_take_effect_at_once(&service, service.onion_endpoint(80));
}

#[test]
fn an_ephemeral_service_accepts_a_new_client_and_refuses_a_revoked_one() {
    let service = tor();
    changes_take_effect_at_once(&service, service.onion_endpoint(80).ephemeral());
}
