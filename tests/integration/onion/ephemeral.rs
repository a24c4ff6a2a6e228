use std::io::{Read, Write};
use std::net::TcpStream;

use torcon::names::ClientAuthKey;
use torcon::onion::Publication;

use super::{LONG, controller, endpoint, key, listen, refusal, services, target, tcp_address};
use crate::support::capability::Capability;
use crate::support::real_tor::RealTor;

#[test]
fn an_ephemeral_service_lives_as_long_as_its_listener() {
    let tor = RealTor::start();
    let witness = controller(&tor);
    let listener = listen(witness.onion_endpoint(80).ephemeral().publication(Publication::None));
    let address = listener.onion_address();
    assert_eq!(listener.public_port(), 80);
    assert_eq!(listener.private_key().unwrap().address(), address);
    assert_eq!(listener.hidden_service_dir(), None);
    assert!(listener.clients().is_empty());
    assert_eq!(witness.onions().unwrap(), [address]);
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
    assert_eq!(witness.subscribed_events(), [torcon::EventKind::HsDesc]);

    let mut dialling = TcpStream::connect(tcp_address(&listener)).unwrap();
    dialling.write_all(b"hello").unwrap();
    let mut stream = listener.accept_timeout(LONG).unwrap();
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!((&bytes, stream.circuit_id()), (b"hello", None));

    drop(listener);
    assert!(witness.onions().unwrap().is_empty());
    // The listener was the last subscriber.
    assert!(witness.subscribed_events().is_empty());
}

#[test]
fn close_ends_the_service_and_the_local_port_once() {
    let tor = RealTor::start();
    let witness = controller(&tor);
    let listener = listen(witness.onion_endpoint(80).ephemeral().publication(Publication::None));
    let local = tcp_address(&listener);
    listener.close().unwrap();
    assert!(witness.onions().unwrap().is_empty());
    assert!(TcpStream::connect(local).is_err());
    listener.close().unwrap();
    assert_eq!(refusal(listener.accept()), "the listener is closed");
    assert!(listener.incoming().next().is_none());
    assert_eq!(
        refusal(listener.wait_published(Publication::First, LONG)),
        "the listener is closed"
    );
}

#[test]
fn a_detached_service_stays_until_it_is_deleted() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral().detach().key(key(1)));
    let address = listener.onion_address();
    drop(listener);
    let witness = controller(&tor);
    assert_eq!(witness.detached_onions().unwrap(), [address]);
    witness.del_onion(address).unwrap();
}

#[test]
fn a_discarded_key_is_not_returned() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral().discard_key());
    assert!(listener.private_key().is_none());
}

#[test]
fn the_address_of_a_given_key_is_known_in_advance() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral().key(key(3)));
    assert_eq!(listener.onion_address(), key(3).address());
    assert_eq!(listener.private_key().unwrap().reveal_blob(), key(3).reveal_blob());
    assert_eq!(
        refusal(endpoint(&tor).ephemeral().key(key(3)).listen()),
        format!("{} is the address of another onion service of this tor", key(3).address())
    );
}

#[test]
fn every_option_reaches_tor_and_additional_ports_have_their_targets() {
    let tor = RealTor::start();
    let made = ClientAuthKey::generate().unwrap();
    let endpoint = || {
        let endpoint =
            endpoint(&tor).ephemeral().port(81, 8181).port(82, std::path::Path::new("/srv/x.sock"));
        let endpoint =
            endpoint.authorize_client("alice").authorize_client_key("bob", made.public());
        endpoint.max_streams(5).max_streams_close_circuit()
    };
    let with_pow = endpoint().pow_defenses(true).pow_queue_rate(10).pow_queue_burst(20);
    let listener = if Capability::AddOnionPow.is_available() {
        listen(with_pow)
    } else {
        let refused = refusal(with_pow.listen());
        let start =
            "invalid argument \"pow_defenses\": needs tor 0.4.9.2 or later, and this is tor ";
        assert!(refused.starts_with(start), "{refused}");
        listen(endpoint())
    };
    let ports: Vec<_> = listener.service().ports().iter().map(ToString::to_string).collect();
    let own = format!("80,{}", target(&listener));
    assert_eq!(ports, [own.as_str(), "81,8181", "82,unix:/srv/x.sock"]);
    let clients = listener.clients();
    let [alice, bob] = &*clients else { panic!("{clients:?}") };
    assert_eq!((alice.name.as_str(), bob.name.as_str()), ("alice", "bob"));
    assert_eq!(alice.key.as_ref().unwrap().public(), alice.public_key);
    assert!(bob.key.is_none() && bob.public_key == made.public());
}

#[test]
fn a_service_can_be_forwarded_to_another_server() {
    let tor = RealTor::start();
    let witness = controller(&tor);
    let service =
        witness.onion_endpoint(80).ephemeral().publication(Publication::None).start(8080).unwrap();
    assert_eq!(service.ports()[0].to_string(), "80,8080");
    assert_eq!(witness.onions().unwrap(), [service.onion_address()]);
    service.close().unwrap();
    assert!(witness.onions().unwrap().is_empty());
    assert_eq!(
        refusal(endpoint(&tor).local_addr(([127, 0, 0, 1], 0)).start(80)),
        "invalid argument \"local address\": conflicts with the target of start(): use listen()"
    );
}
