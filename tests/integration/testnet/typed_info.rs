//! The typed answers of `GETINFO` from tors that have a network, compared with the raw ones.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use torcon::command::AddOnion;
use torcon::descriptor::ServerDescriptor;
use torcon::info::{EntryGuardStatus, MappingOrigin, VersionStanding};
use torcon::names::{
    CircuitStatus, ConsensusFlavor, Fingerprint, HsDescAction, ListenerKind, NetworkLiveness,
    OnionPort, OrConnStatus, RouterPurpose, Signal, StreamStatus,
};
use torcon::{Controller, Event, EventKind, Launcher, TorProcess};

use super::joining::socks_port;
use super::raw_socks::{Command, Echo, ask};
use super::retry::{find_in, retried};
use super::{LIMIT, join, shared_network};
use crate::support::watchdog::eventually;

/// Returns the lines of an answer, without any type.
fn lines(controller: &Controller, key: &str) -> Vec<String> {
    controller.get_info_one(key).unwrap().lines().map(str::to_owned).collect()
}

/// Compares typed values with the raw one until nothing changed between both queries.
#[track_caller]
fn assert_same(controller: &Controller, key: &str, typed: impl Fn() -> Vec<String>) {
    eventually(LIMIT, &format!("the typed answer of {key} is the raw one"), || {
        let before = lines(controller, key);
        let between = typed();
        before == between
    });
}

/// Resolves a name by an exit.
fn resolve(tor: &TorProcess, name: &str) {
    let answer = retried(tor.controller().unwrap(), "the name is resolved", || {
        let answer = ask(socks_port(tor), name, Command::Resolve).map(|(_, answer)| answer);
        answer.map_err(|code| format!("SOCKS says {code}"))
    });
    assert_eq!(answer, "127.0.0.1");
}

#[test]
fn circuits_streams_connections_and_guards_are_those_that_tor_lists() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let texts = |texts: Vec<String>, name: &str| -> Vec<String> {
        texts.iter().map(|text| text.strip_prefix(name).unwrap().to_owned()).collect()
    };
    assert_same(controller, "circuit-status", || {
        let circuits = controller.circuit_status().unwrap();
        texts(circuits.iter().map(ToString::to_string).collect(), "CIRC ")
    });
    assert_same(controller, "orconn-status", || {
        let connections = controller.orconn_status().unwrap();
        assert!(
            connections.iter().any(|connection| connection.status() == OrConnStatus::Connected)
        );
        texts(connections.iter().map(ToString::to_string).collect(), "ORCONN ")
    });
    let relays: BTreeSet<_> = shared_network().relays().iter().map(|r| r.fingerprint).collect();
    eventually(LIMIT, "the typed guards are the raw ones", || {
        let before = lines(controller, "entry-guards");
        let guards = controller.entry_guards().unwrap();
        assert!(guards.iter().any(|guard| guard.status == EntryGuardStatus::Up), "{guards:?}");
        assert!(guards.iter().all(|guard| relays.contains(&guard.relay.fingerprint().unwrap())));
        // A third word is the time at which the guard went down.
        let is_same = |(guard, line): (&torcon::info::EntryGuard, &String)| {
            let words: Vec<_> = line.splitn(3, ' ').collect();
            let same = [guard.relay.to_string(), guard.status.to_string()] == words[..2];
            same && guard.since.is_some() == (words.len() > 2)
        };
        before.len() == guards.len() && guards.iter().zip(&before).all(is_same)
    });

    let (echo, open) = retried(controller, "the server is reached", || {
        let echo = Echo::start();
        let command = Command::Connect(echo.address.port());
        match ask(socks_port(&tor), "127.0.0.1", command) {
            Ok((open, _)) => Ok((echo, open)),
            Err(code) => Err(format!("SOCKS says {code}")),
        }
    });
    assert_same(controller, "stream-status", || {
        let streams = controller.stream_status().unwrap();
        texts(streams.iter().map(ToString::to_string).collect(), "STREAM ")
    });
    let streams = controller.stream_status().unwrap();
    let target = format!("127.0.0.1:{}", echo.address.port());
    let stream = streams.iter().find(|stream| stream.target().to_string() == target);
    let stream = stream.unwrap_or_else(|| panic!("{target} is not in {streams:?}"));
    assert_eq!(stream.status(), StreamStatus::Succeeded);
    let circuits = controller.circuit_status().unwrap();
    let circuit = circuits.iter().find(|circuit| Some(circuit.id()) == stream.circuit());
    assert_eq!(circuit.expect("it is listed").status(), CircuitStatus::Built);
    drop(open);
    echo.finish();
    tor.quit().unwrap();
}

#[test]
fn a_tor_with_a_network_reports_that_it_is_ready() {
    let tor = join();
    let controller = tor.controller().unwrap();
    assert!(controller.bootstrap_phase().unwrap().is_done());
    assert!(controller.is_circuit_established().unwrap());
    assert!(controller.has_enough_dir_info().unwrap());
    assert_eq!(controller.network_liveness().unwrap(), NetworkLiveness::Up);
    assert_eq!(controller.get_info_one("network-liveness").unwrap(), "up");
    assert_eq!(controller.full_version().unwrap(), *controller.version());
    // The authority of this network recommends nothing.
    let status = controller.version_status().unwrap();
    assert_eq!(status.current, VersionStanding::NoneRecommended);
    assert!(status.recommended.is_empty());
    let listeners = controller.listeners(&ListenerKind::Socks).unwrap();
    assert_eq!(listeners, [socks_port(&tor).into()]);
    assert_eq!(controller.process_info().unwrap().pid, tor.pid());

    let before = controller.traffic().unwrap();
    assert!(before.read > 0 && before.written > 0);
    let raw: u64 = controller.get_info_one("traffic/read").unwrap().parse().unwrap();
    assert!(before.read <= raw && raw <= controller.traffic().unwrap().read);

    // tor records only while a controller is subscribed.
    assert!(controller.bw_event_cache().unwrap().is_empty());
    let _queue = controller.events([EventKind::Bw]).unwrap();
    resolve(&tor, "some.test");
    let mut events = Vec::new();
    eventually(LIMIT, "tor has recorded traffic", || {
        events = controller.bw_event_cache().unwrap();
        events.iter().any(|event| event.bytes_read() > 0)
    });
    let told: Vec<_> = events
        .iter()
        .map(|event| format!("{},{}", event.bytes_read(), event.bytes_written()))
        .collect();
    // The value may have changed since.
    let raw = controller.get_info_one("bw-event-cache").unwrap();
    assert!(raw.starts_with(&told.join(" ")), "{told:?} and {raw}");
    tor.quit().unwrap();
}

#[test]
fn signal_dormant_does_not_change_the_dormant_status() {
    let tor = join();
    let controller = tor.controller().unwrap();
    controller.signal(Signal::Dormant).unwrap();
    // tor does not report this; its dormant status is something else.
    assert!(!controller.is_dormant().unwrap());
    assert_eq!(controller.get_info_one("dormant").unwrap(), "0");
    controller.signal(Signal::Active).unwrap();
    assert!(!controller.is_dormant().unwrap());
    tor.quit().unwrap();
}

#[test]
fn a_resolved_name_is_remembered_until_a_time() {
    // Without a flag a port for SOCKS does not remember names.
    let launcher = Launcher::new().network(shared_network()).timeout(LIMIT);
    let launcher = launcher.option("SocksPort", "127.0.0.1:auto CacheDNS UseDNSCache");
    let tor = launcher.launch().expect("a tor can join the network");
    let controller = tor.controller().unwrap();
    controller.map_address([("given.example", "127.0.0.1")]).unwrap();
    resolve(&tor, "some.test");
    let cached = controller.address_mappings_from(&MappingOrigin::Cache).unwrap();
    let raw = lines(controller, "address-mappings/cache");
    assert_eq!((cached.len(), raw.len()), (1, 1), "{raw:?}");
    assert!(raw[0].starts_with("some.test 127.0.0.1 \""), "{raw:?}");
    assert_eq!((&*cached[0].address, &*cached[0].new_address), ("some.test", "127.0.0.1"));
    let now = SystemTime::now();
    let expires = cached[0].expires.expect("the mapping expires");
    assert!(now < expires && expires < now + Duration::from_secs(24 * 3600), "{raw:?}");
    let control = controller.address_mappings_from(&MappingOrigin::Control).unwrap();
    assert_eq!((control.len(), control[0].expires), (1, None));
    assert_eq!(controller.address_mappings().unwrap().len(), 2);
    tor.quit().unwrap();
}

#[test]
fn the_consensus_of_a_client_has_its_times_its_random_values_and_its_text() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let consensus = controller.consensus(&ConsensusFlavor::Microdesc).unwrap();
    let consensus = consensus.expect("it has one");
    assert_eq!(consensus.flavor(), &ConsensusFlavor::Microdesc);
    assert!(consensus.as_bytes().starts_with(b"network-status-version 3 microdesc\n"));
    assert_eq!(controller.consensus(&ConsensusFlavor::Ns).unwrap(), None);
    let lifetime = controller.consensus_lifetime().unwrap().expect("it has one");
    assert!(lifetime.valid_after < lifetime.fresh_until);
    assert!(lifetime.fresh_until < lifetime.valid_until);
    let random = controller.shared_random().unwrap();
    let raw = controller.get_info_one("sr/current").unwrap();
    assert_eq!(random.current.is_some(), !raw.is_empty(), "{raw}");

    assert!(controller.fetches_microdescriptors().unwrap());
    assert!(!controller.fetches_server_descriptors().unwrap());
    assert_eq!(controller.own_server_descriptor().unwrap(), None);
    let download = controller.consensus_download(&ConsensusFlavor::Microdesc).unwrap();
    assert_eq!(download.current.failures, download.running.failures);
    let authorities = controller.certificate_downloads().unwrap();
    assert_eq!(authorities.len(), 1, "there is one authority");
    assert!(controller.certificate_download(authorities[0]).unwrap().is_some());
    let keys = controller.certificate_signing_keys(authorities[0]).unwrap().unwrap();
    for key in &keys {
        let status = controller.certificate_download_for_key(authorities[0], *key).unwrap();
        assert!(status.is_some(), "{key}");
    }
    let unknown = controller.certificate_download_for_key(authorities[0], authorities[0]);
    assert_eq!(unknown.unwrap(), None);
    tor.quit().unwrap();
}

#[test]
fn the_times_of_the_consensus_are_those_of_its_text() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let keys = ["consensus/valid-after", "consensus/fresh-until", "consensus/valid-until"];
    // The only key of this kind without a method: no authority votes for packages.
    assert_eq!(controller.get_info_one("consensus/packages").unwrap(), "");
    eventually(LIMIT, "no new consensus arrives between two queries", || {
        let before = controller.get_info(keys).unwrap();
        let lifetime = controller.consensus_lifetime().unwrap().expect("it has one");
        let consensus = controller.consensus(&ConsensusFlavor::Microdesc).unwrap();
        let document = consensus.expect("it has one").to_string();
        let after = controller.get_info(keys).unwrap();
        for (key, value) in &before {
            let name = key.strip_prefix("consensus/").unwrap();
            if before == after {
                assert!(document.contains(&format!("\n{name} {value}\n")), "{key} {value}");
            }
        }
        let lasts = lifetime.valid_until.duration_since(lifetime.valid_after).unwrap();
        assert!(lasts > Duration::ZERO);
        before == after
    });
    tor.quit().unwrap();
}

#[test]
fn relays_report_their_status() {
    let network = shared_network();
    for relay in network.relays() {
        let controller = network.controller(relay.nickname.as_str()).unwrap();
        assert_eq!(controller.fingerprint().unwrap(), Some(relay.fingerprint));
        assert_eq!(controller.external_ipv4().unwrap(), Some([127, 0, 0, 1].into()));
        assert_eq!(controller.external_address().unwrap(), Some([127, 0, 0, 1].into()));
        eventually(LIMIT, "the authority has accepted it", || {
            controller.has_accepted_server_descriptor().unwrap()
                && controller.has_good_server_descriptor().unwrap()
        });
        let reachability = controller.reachability().unwrap();
        assert!(reachability.or && reachability.dir, "{reachability:?}");
        let policy = controller.exit_policy().unwrap().expect("it is a relay");
        assert_eq!(policy.allows([127, 0, 0, 1].into(), 80), relay.is_exit, "{policy}");
        let policy = controller.exit_policy_ipv4().unwrap().expect("it is a relay");
        assert_eq!(policy.allows([192, 0, 2, 1].into(), 80), relay.is_exit, "{policy}");
        let policy = controller.exit_policy_ipv6().unwrap().expect("it is a relay");
        assert!(!policy.allows("2001:db8::1".parse().unwrap(), 80), "{policy}");

        let own: ServerDescriptor = controller.own_server_descriptor().unwrap().unwrap();
        assert_eq!(own.fingerprint(), Some(relay.fingerprint));
        let statistics = controller.extra_info(own.extra_info_digest().unwrap()).unwrap();
        assert_eq!(statistics.expect("it has its own").fingerprint(), relay.fingerprint);
        let (fresh, extra) = controller.fresh_relay_descriptors().unwrap().unwrap();
        assert_eq!(fresh.fingerprint(), Some(relay.fingerprint));
        assert_eq!(extra.unwrap().nickname(), relay.nickname);
        let counts = controller.handshake_counts().unwrap();
        let raw: u64 = controller.get_info_one("stats/ntor/requested").unwrap().parse().unwrap();
        assert!(counts.ntor.requested <= raw, "{counts:?}");
        assert_eq!(controller.accounting().unwrap().interval, None);
    }
}

#[test]
fn an_authority_serves_the_descriptors_of_all_relays() {
    let network = shared_network();
    let controller = network.controller("auth0").unwrap();
    let relays = network.relays();
    assert_eq!(controller.served_descriptors().unwrap().len(), relays.len());
    let some: Vec<_> = relays[1..3].iter().map(|relay| relay.fingerprint).collect();
    let served = controller.served_descriptors_of(some.clone()).unwrap();
    let found: BTreeSet<_> =
        served.iter().map(|descriptor| descriptor.unwrap().fingerprint().unwrap()).collect();
    assert_eq!(found, some.into_iter().collect());
    eventually(LIMIT, "no new descriptor arrives between two queries", || {
        let statuses = controller.relay_statuses_of_purpose(&RouterPurpose::General).unwrap();
        statuses.iter().map(Result::unwrap).all(|status| {
            let digest = status.descriptor_digest().expect("an authority knows it");
            let descriptor = controller.server_descriptor_by_digest(digest).unwrap();
            descriptor.is_some_and(|found| found.fingerprint() == Some(status.identity()))
        })
    });
    let annotations = controller.descriptor_annotations(relays[1].fingerprint).unwrap();
    let annotations = annotations.expect("it has the descriptor");
    assert!(annotations.text().starts_with('@'), "{annotations:?}");
    assert!(annotations.source.is_some(), "{annotations:?}");
    let consensus = controller.consensus(&ConsensusFlavor::Ns).unwrap().expect("it has one");
    assert_eq!(consensus.flavor(), &ConsensusFlavor::Ns);
    let digests = consensus.relays().iter().flatten();
    assert!(digests.filter_map(|relay| relay.descriptor_digest()).count() > 0, "{consensus}");
}

#[test]
fn a_service_and_its_client_have_its_descriptor() {
    let (server, client): (TorProcess, TorProcess) = (join(), join());
    let (serving, asking) = (server.controller().unwrap(), client.controller().unwrap());
    let uploads = serving.events([EventKind::HsDesc]).unwrap();
    let service = serving.add_onion(&AddOnion::new([OnionPort::new(80, 8080)])).unwrap();
    let address = service.address;
    // A service has a descriptor for each of two time periods. Which of them its tor shows, and which
    // one its client asks for, depends on the time of the day.
    let mut ids = BTreeSet::new();
    let mut both = |event| {
        let Event::HsDesc(event) = event else { return None };
        ids.extend(event.descriptor_id().map(|id| id.to_string()));
        (event.action() == HsDescAction::Uploaded && ids.len() == 2).then_some(())
    };
    find_in(&uploads, 2 * LIMIT, &mut both).expect("directories take both descriptors");
    let own = serving.hs_service_descriptor(address).unwrap().expect("it is published");
    assert_eq!(own.check(), Ok(()));
    assert!(ids.contains(&own.id().unwrap()), "{own:?} is none of {ids:?}");
    assert_eq!(serving.hs_client_descriptor(address).unwrap(), None);
    assert_eq!(serving.onions().unwrap(), [address]);

    assert_eq!(asking.hs_client_descriptor(address).unwrap(), None);
    let relays = shared_network().relays();
    retried(asking, "the descriptor is fetched", || {
        let servers = relays.iter().map(|relay| relay.fingerprint);
        let fetched = asking.fetch_onion_descriptor_from(address, servers, LIMIT);
        fetched.map_err(|error| format!("{error:?}"))
    });
    let fetched = asking.hs_client_descriptor(address).unwrap().expect("it was fetched");
    assert_eq!(fetched.check(), Ok(()));
    assert!(ids.contains(&fetched.id().unwrap()), "{fetched:?} is none of {ids:?}");
    assert_eq!(asking.hs_service_descriptor(address).unwrap(), None);
    let key = format!("hs/client/desc/id/{}", address.service_id());
    // Each directory was queried, and each has a different text.
    eventually(LIMIT, "no other arrives between two queries", || {
        let raw = asking.get_info_one(&key).unwrap();
        let fetched = asking.hs_client_descriptor(address).unwrap();
        fetched.is_some_and(|fetched| fetched.to_string() == raw)
    });
    server.quit().unwrap();
    client.quit().unwrap();
}

#[test]
fn a_tor_that_fetches_server_descriptors_reports_their_download_status() {
    let launcher = Launcher::new().network(shared_network()).timeout(LIMIT);
    let tor = launcher.option("UseMicrodescriptors", "0").option("SocksPort", "0").launch();
    let tor = tor.expect("a tor can join the network");
    let controller = tor.controller().unwrap();
    assert!(controller.fetches_server_descriptors().unwrap());
    let relay = &shared_network().relays()[1];
    let status = controller.relay_status(relay.fingerprint).unwrap().unwrap();
    let digest = status.descriptor_digest().expect("it is in this consensus");
    // A tor is ready as soon as it has most of them.
    let mut annotations = None;
    eventually(LIMIT, "its descriptor has arrived", || {
        annotations = controller.descriptor_annotations(relay.fingerprint).unwrap();
        annotations.is_some()
    });
    let download = controller.descriptor_download(digest).unwrap().expect("it is fetched");
    // Mostly none.
    let key = format!("downloads/desc/{}", Fingerprint::from(digest));
    let raw = controller.get_info_one(&key).unwrap();
    let failures = format!("n-download-failures {}", download.failures);
    assert!(raw.lines().any(|line| line == failures), "{download:?} and {raw}");
    assert_eq!(controller.descriptor_download([7; 20]).unwrap(), None);
    let annotations = annotations.expect("tor has the descriptor");
    assert!(annotations.downloaded_at.is_some_and(|time| time <= SystemTime::now()));
    assert!(annotations.source.is_some(), "{annotations:?}");
    let key = format!("desc-annotations/id/{}", relay.fingerprint);
    assert_eq!(annotations.text().trim_end(), controller.get_info_one(&key).unwrap());
    tor.quit().unwrap();
}
