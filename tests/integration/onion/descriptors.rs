use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use torcon::command::AddOnion;
use torcon::descriptor::{LinkSpecifier, OnionDescriptor, OnionSecondLayer};
use torcon::error::{OnionDescriptorError, OnionDescriptorProblem};
use torcon::names::{
    CircuitPurpose, ClientAuthKey, Fingerprint, HsDescAction, OnionAddress, OnionPort, TimePeriod,
};
use torcon::onion::Publication;
use torcon::{Controller, Event, EventKind, Launcher, Tor, TorProcess};

use super::key;
use super::network::LIMIT;
use crate::error_text::{chain, check_text};
use crate::support::capability::Capability;
use crate::support::watchdog::eventually;
use crate::testnet::retry::retried;
use crate::testnet::{join, shared_network};

fn client(number: u8) -> ClientAuthKey {
    ClientAuthKey::from_bytes([number; 32]).unwrap()
}

fn service(number: u8) -> AddOnion {
    AddOnion::new([OnionPort::new(80, 8080)]).key(key(number))
}

/// Adds a service, waits until directories have it, and returns its descriptor, as another tor
/// downloads it.
#[track_caller]
fn publish(server: &Controller, asking: &Controller, service: &AddOnion) -> OnionDescriptor {
    let events = server.events([EventKind::HsDesc]).unwrap();
    let address = server.add_onion(service).unwrap().address;
    let is_uploaded = |event: &Event| match event {
        Event::HsDesc(event) => {
            event.action() == HsDescAction::Uploaded
                && event.address().is_some_and(|it| it == *address.service_id())
        }
        _ => false,
    };
    let uploads = events.timeout_iter(2 * LIMIT).filter(is_uploaded).take(6).count();
    assert_eq!(uploads, 6, "a directory has no descriptor");
    download(asking, address)
}

#[track_caller]
fn download(asking: &Controller, address: OnionAddress) -> OnionDescriptor {
    let relays = shared_network().relays();
    retried(asking, "the descriptor is fetched", || {
        let servers = relays.iter().map(|relay| relay.fingerprint);
        let fetched = asking.fetch_onion_descriptor_from(address, servers, LIMIT);
        fetched.map_err(|error| format!("{error:?}"))
    })
}

/// Returns the last relays of the introduction circuits of a service, as tor reports them.
fn introduction_circuits(server: &Controller, address: OnionAddress) -> BTreeSet<Fingerprint> {
    let is_meant = |purpose| purpose == Some(CircuitPurpose::HsServiceIntro);
    let circuits = server.circuit_status().unwrap().into_iter().filter(|circuit| {
        is_meant(circuit.purpose())
            && circuit.rend_query().is_some_and(|query| query == *address.service_id())
    });
    circuits.filter_map(|circuit| circuit.path().last()?.fingerprint()).collect()
}

/// Checks what every descriptor of today's tor has.
#[track_caller]
fn check(descriptor: &OnionDescriptor, layer: &OnionSecondLayer) {
    let first = layer.first_layer();
    assert_eq!((descriptor.check(), first.check(), layer.check()), (Ok(()), Ok(()), Ok(())));
    assert_eq!(descriptor.unrecognized().count(), 0);
    assert_eq!(first.unrecognized().count(), 0);
    assert_eq!(layer.unrecognized().collect::<Vec<_>>(), []);
    assert_eq!((descriptor.version(), descriptor.lifetime_minutes()), (3, Some(180)));
    assert_eq!(first.auth_type().unwrap(), "x25519");
    assert!(first.ephemeral_key().is_some());
    assert_eq!(layer.create2_formats().collect::<Vec<_>>(), [2]);
    let flow_control = layer.flow_control().expect("every tor of today has it");
    assert!(flow_control.versions.contains(&2) && flow_control.sendme_increment > 0);
    for point in layer.introduction_points() {
        assert_eq!(point.unrecognized().count(), 0);
        let kinds: Vec<_> = point.link_specifiers().collect();
        let is_known =
            |specifier: &LinkSpecifier| !matches!(specifier, LinkSpecifier::Unrecognized { .. });
        assert!(kinds.len() >= 3 && kinds.iter().all(is_known), "{kinds:?}");
        let relays = shared_network().relays();
        let relay = relays.iter().find(|relay| Some(relay.fingerprint) == point.fingerprint());
        let relay = relay.expect("the relay is one of the network");
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], relay.or_port));
        assert_eq!(point.or_addresses().next(), Some(address));
        let controller = shared_network().controller(relay.nickname.as_str()).unwrap();
        let own = controller.server_descriptor(relay.fingerprint).unwrap().unwrap();
        assert_eq!(point.onion_key(), own.ntor_onion_key());
        assert_eq!(point.ed25519_identity(), own.ed25519_identity());
        assert!(point.enc_key().is_some() && point.auth_key().is_some());
        let signing_key = descriptor.signing_key();
        for certificate in [point.auth_key_certificate(), point.enc_key_certificate()] {
            let certificate = certificate.unwrap();
            assert_eq!(certificate.signing_key(), signing_key);
            assert!(certificate.expires() > SystemTime::now());
        }
        assert_eq!((point.legacy_key(), point.legacy_key_certificate()), (None, None));
    }
}

/// Returns the problem of a decryption that fails.
#[track_caller]
fn problem(outcome: Result<OnionSecondLayer, OnionDescriptorError>) -> String {
    let error = outcome.expect_err("this cannot be decrypted");
    check_text(&error);
    let error = torcon::Error::from(error);
    check_text(&error);
    chain(&error)
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

#[test]
fn the_introduction_points_of_a_descriptor_are_those_of_the_services_circuits() {
    let (server, asking): (TorProcess, TorProcess) = (join(), join());
    let (server, asking) = (server.controller().unwrap(), asking.controller().unwrap());
    let address = key(60).address();
    let descriptor = publish(server, asking, &service(60));
    let layer = descriptor.decrypt(&address, None).unwrap();
    check(&descriptor, &layer);
    assert!(!layer.first_layer().needs_client_auth());
    assert_eq!(layer.first_layer().auth_clients().count(), 16, "all of them are random");
    assert_eq!((layer.pow_params().count(), layer.is_single_onion_service()), (0, false));
    assert_eq!(layer.intro_auth_required().count(), 0);
    assert_eq!(layer.introduction_points().count(), 3);

    // tor may replace an introduction point between the two queries.
    eventually(LIMIT, "both have the same introduction points", || {
        let own = server.hs_service_descriptor(address).unwrap().expect("it is published");
        let layer = own.decrypt(&address, None).unwrap();
        let points = set(layer.introduction_points().filter_map(|point| point.fingerprint()));
        points.len() == 3 && points.is_subset(&introduction_circuits(server, address))
    });

    // Every client may give a key; this service ignores it.
    let same = descriptor.decrypt(&address, Some(&client(1))).unwrap();
    assert_eq!(same, layer);
    let begin = format!("cannot decrypt the descriptor of {}: ", key(61).address());
    let other = problem(descriptor.decrypt(&key(61).address(), None));
    assert_eq!(other, format!("{begin}it is the descriptor of another service"));
    let mut damaged = descriptor.to_string().into_bytes();
    let at = damaged.windows(20).position(|part| part == b"-----BEGIN MESSAGE--").unwrap() + 50;
    damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
    let damaged = OnionDescriptor::parse(damaged).unwrap();
    let error = problem(damaged.decrypt(&address, None));
    assert!(error.ends_with(": the descriptor is damaged"), "{error}");
}

#[test]
fn a_descriptor_belongs_to_the_blinded_key_of_one_time_period() {
    let (server, asking): (TorProcess, TorProcess) = (join(), join());
    let (server, asking) = (server.controller().unwrap(), asking.controller().unwrap());
    let address = key(62).address();
    let descriptor = publish(server, asking, &service(62));
    // The time periods of a network of tests are runs of the shared random protocol: 24 rounds, here
    // of 30 minutes. They begin 12 rounds after midnight.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let number = (now.as_secs() / 60 - 360) / 720;
    let periods = (number - 1..=number + 1).map(|number| TimePeriod::new(number, 720));
    let found: Vec<_> = periods.filter(|it| descriptor.belongs_to(&address, *it)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    descriptor.verify(&address, found[0], SystemTime::now()).unwrap();
    assert!(!descriptor.belongs_to(&key(63).address(), found[0]));
    assert!(!descriptor.belongs_to(&address, TimePeriod::at(SystemTime::now())));
}

#[test]
fn a_descriptor_for_authorized_clients_is_decrypted_by_each_of_them_only() {
    let (server, asking): (TorProcess, TorProcess) = (join(), join());
    let (server, asking) = (server.controller().unwrap(), asking.controller().unwrap());
    for (number, clients) in [(64, 1), (65, 3), (66, 17)] {
        let address = key(number).address();
        let service = (1..=clients)
            .fold(service(number), |service, number| service.client(client(number).public()));
        let descriptor = publish(server, asking, &service);
        let first = descriptor.decrypt_first_layer(&address).unwrap();
        assert!(first.needs_client_auth());
        assert_eq!(first.auth_clients().count(), if clients > 16 { 32 } else { 16 });
        for number in 1..=clients {
            let layer = descriptor.decrypt(&address, Some(&client(number))).unwrap();
            check(&descriptor, &layer);
            assert_eq!(layer.introduction_points().count(), 3);
        }
        let begin = format!("cannot decrypt the descriptor of {address}: ");
        let none = problem(descriptor.decrypt(&address, None));
        assert_eq!(none, format!("{begin}it is for authorized clients only, and no key was given"));
        let wrong = problem(descriptor.decrypt(&address, Some(&client(99))));
        assert_eq!(wrong, format!("{begin}the given key is not that of an authorized client"));
        let error = descriptor.decrypt(&address, None).unwrap_err();
        assert!(matches!(error.problem(), OnionDescriptorProblem::ClientAuthNeeded));
        assert_eq!(error.address(), address);
    }
}

#[test]
fn the_parameters_of_the_proof_of_work_are_in_the_second_layer() {
    let (server, asking): (TorProcess, TorProcess) = (join(), join());
    let (server, asking) = (server.controller().unwrap(), asking.controller().unwrap());
    let address = key(67).address();
    let service = service(67).pow_defenses(true);
    let _listener;
    let descriptor = if Capability::AddOnionPow.is_available() {
        publish(server, asking, &service)
    } else {
        let refused = server.add_onion(&service).unwrap_err().to_string();
        assert!(refused.contains("needs tor 0.4.9.2 or later"), "{refused}");
        // Every tested version has the option of a service in a directory.
        let endpoint = server.onion_endpoint(80).temporary_dir().key(key(67)).pow_defenses(true);
        _listener = endpoint.publication(Publication::All).timeout(LIMIT).listen().unwrap();
        download(asking, address)
    };

    let layer = descriptor.decrypt(&address, None).unwrap();
    check(&descriptor, &layer);
    let params: Vec<_> = layer.pow_params().collect();
    assert_eq!(params.len(), 1, "{layer}");
    assert_eq!(&*params[0].scheme, "v1");
    assert_ne!(params[0].seed, [0; 32]);
    assert_eq!(params[0].suggested_effort, 0, "it is not under attack");
    // tor replaces the seed after 105 to 120 minutes.
    let left = params[0].expires.duration_since(SystemTime::now()).unwrap();
    assert!(left < Duration::from_secs(3 * 3600), "{left:?}");
}

#[test]
fn the_descriptor_of_a_single_onion_service_says_so() {
    let launcher = Launcher::new()
        .network(shared_network())
        .timeout(LIMIT)
        .option("SocksPort", "0")
        .option("HiddenServiceNonAnonymousMode", "1")
        .option("HiddenServiceSingleHopMode", "1");
    let single = Tor::launch(launcher).expect("a tor can join the network");
    // tor does not mark a service of ADD_ONION.
    let endpoint = single.onion_endpoint(80).publication(Publication::All).timeout(LIMIT);
    let listener = endpoint.listen().unwrap();
    let address = listener.onion_address();
    let (server, asking) = (single.controller(), join());
    let descriptor = download(asking.controller().unwrap(), address);
    let layer = descriptor.decrypt(&address, None).unwrap();
    check(&descriptor, &layer);
    assert!(layer.is_single_onion_service());
    eventually(LIMIT, "both have the same introduction points", || {
        let own = server.hs_service_descriptor(address).unwrap().expect("it is published");
        let layer = own.decrypt(&address, None).unwrap();
        let points = set(layer.introduction_points().filter_map(|point| point.fingerprint()));
        !points.is_empty() && points.is_subset(&introduction_circuits(server, address))
    });
}
