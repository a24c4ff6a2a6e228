use std::net::IpAddr;
use std::thread;

use torcon::command::{AddOnion, MapAddress};
use torcon::descriptor::OnionDescriptor;
use torcon::error::{HsDirFailure, OnionProblem, ResolveProblem};
use torcon::event::EventText;
use torcon::names::{Fingerprint, HsDescAction, HsDescReason, OnionAddress, OnionPort, RelaySpec};
use torcon::{Error, Event, EventKind};

use super::retry::retried;
use super::{LIMIT, join, shared_network};
use crate::support::capability::Capability;

/// Any service that does not exist here.
fn unknown_service() -> OnionAddress {
    "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd".parse().unwrap()
}

fn failures(outcome: Result<OnionDescriptor, Error>) -> Vec<(Fingerprint, HsDescReason)> {
    let error = match outcome.unwrap_err() {
        Error::Onion(error) => error,
        other => panic!("{other:?}"),
    };
    let OnionProblem::NotFetched { failures, .. } = error.problem() else { panic!("{error}") };
    let failure = |failure: &HsDirFailure| {
        let hsdir = failure.hsdir.as_ref().and_then(RelaySpec::fingerprint);
        (hsdir.unwrap(), failure.reason.clone().unwrap())
    };
    failures.iter().map(failure).collect()
}

#[test]
fn names_and_addresses_are_resolved_while_the_caller_waits() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let resolve = |name: &str| controller.resolve(name, LIMIT);
    let resolved =
        |name: &str| retried(controller, name, || resolve(name).map_err(|error| error.to_string()));
    assert_eq!(resolved("some.test").to_string(), "127.0.0.1");
    // The network ignores the case, and the answer is in lower case.
    assert_eq!(resolved("SoMe.TeSt").to_string(), "127.0.0.1");
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let name = retried(controller, "192.0.2.7 has a name", || {
        controller.resolve_reverse(address, LIMIT).map_err(|error| error.to_string())
    });
    assert_eq!(name, "loopback.test");
    // In the other direction, tor answers without the network.
    assert_eq!(resolve("192.0.2.7").unwrap(), address);

    let error = resolve("a.nx.test").unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve a.nx.test: tor answered error=yes");
    let Error::Resolve(error) = error else { panic!("{error:?}") };
    assert_eq!(error.problem(), &ResolveProblem::Failed { error: Some("yes".into()) });
    // tor fails for an IPv6 address.
    assert!(matches!(resolve("2001:db8::1"), Err(Error::Resolve(_))));
    assert!(controller.subscribed_events().is_empty());
    tor.quit().unwrap();
}

#[test]
fn mapped_names_are_resolved_to_their_targets() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let resolve = |name: &str| controller.resolve(name, LIMIT);
    let resolved =
        |name: &str| retried(controller, name, || resolve(name).map_err(|error| error.to_string()));
    let pairs = [
        ("mapped.test", "192.0.2.9"),
        ("alias.test", "other.test"),
        ("gone.test", "a.nx.test"),
        ("long.test", "mapped.test"),
        ("*.wild.test", "192.0.2.10"),
    ];
    controller.map_address(pairs).unwrap();
    assert_eq!(resolved("mapped.test").to_string(), "192.0.2.9");
    assert_eq!(resolved("long.test").to_string(), "192.0.2.9");
    assert_eq!(resolved("a.wild.test").to_string(), "192.0.2.10");
    // The answer names the other name, not this one.
    assert_eq!(resolved("alias.test").to_string(), "127.0.0.1");
    assert!(matches!(resolve("gone.test"), Err(Error::Resolve(_))));
    controller.execute(&MapAddress::new([("mapped.test", "mapped.test")])).unwrap();
    assert_eq!(resolved("mapped.test").to_string(), "127.0.0.1");
    tor.quit().unwrap();
}

#[test]
fn every_thread_gets_the_answer_to_its_own_request() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let streams = controller.events([EventKind::AddrMap]).unwrap();
    thread::scope(|scope| {
        for number in 0..8 {
            let controller = &controller;
            // tor's events do not distinguish a resolved name from a resolved address.
            scope.spawn(move || {
                for _ in 0..4 {
                    let same = controller.resolve("same.test", LIMIT).unwrap();
                    assert_eq!(same.to_string(), "127.0.0.1");
                    if number % 2 == 0 {
                        let name = controller.resolve_reverse(address, LIMIT).unwrap();
                        assert_eq!(name, "loopback.test");
                    } else {
                        let itself = controller.resolve("192.0.2.7", LIMIT).unwrap();
                        assert_eq!(itself, address);
                    }
                }
            });
        }
    });
    // One request and one answer for each.
    let answers: Vec<_> = streams.timeout_iter(LIMIT).take(64).collect();
    let mut ids: Vec<_> = answers
        .iter()
        .map(|event| match event {
            Event::AddrMap(answer) => answer.stream().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 64, "{answers:?}");
    tor.quit().unwrap();
}

#[test]
fn the_descriptor_of_a_service_is_what_the_service_has() {
    let (service, client) = (join(), join());
    let server = service.controller().unwrap();
    let events = server.events([EventKind::HsDesc]).unwrap();
    let published = server.add_onion(&AddOnion::new([OnionPort::new(80, 8080)])).unwrap();
    let address = published.address;
    // Six relays, each with both descriptors of the service.
    let (mut sent, mut taken) = (Vec::new(), 0);
    for event in events.timeout_iter(LIMIT) {
        let Event::HsDesc(event) = event else { panic!("{event:?}") };
        match event.action() {
            HsDescAction::Upload => sent.push((event.hsdir(), event.descriptor_id())),
            HsDescAction::Uploaded => taken += 1,
            _ => {}
        }
        if taken == 12 {
            break;
        }
    }
    assert_eq!(taken, 12, "{sent:?}");

    let controller = client.controller().unwrap();
    let descriptor = retried(controller, "the descriptor is fetched", || {
        controller.fetch_onion_descriptor(address, LIMIT).map_err(|error| error.to_string())
    });
    assert_eq!(descriptor.check(), Ok(()));
    let is_it = |(hsdir, id): &(Option<RelaySpec>, Option<EventText>)| {
        hsdir.as_ref() == descriptor.hsdir()
            && id.as_ref().map(EventText::to_string) == descriptor.id()
    };
    assert!(sent.iter().any(is_it), "{descriptor:?} of {sent:?}");
    assert!(descriptor.to_string().starts_with("hs-descriptor 3\n"), "{descriptor}");
    assert_eq!(descriptor.lifetime_minutes(), Some(180));
    let known = controller.get_info_one(&format!("hs/client/desc/id/{}", address.service_id()));
    assert!(descriptor.to_string().trim_end() == known.unwrap().trim_end(), "tor has another one");

    // Each directory has the same descriptor, which the service has encrypted anew for each.
    for relay in shared_network().relays() {
        let fetched = retried(controller, "the descriptor is fetched from each", || {
            let fetched =
                controller.fetch_onion_descriptor_from(address, [relay.fingerprint], LIMIT);
            fetched.map_err(|error| error.to_string())
        });
        assert_eq!(fetched.hsdir().unwrap().fingerprint(), Some(relay.fingerprint));
        assert_eq!(fetched.id(), descriptor.id());
        assert_eq!(fetched.signing_key(), descriptor.signing_key());
    }
    assert!(controller.subscribed_events().is_empty());
    client.quit().unwrap();
    service.quit().unwrap();
}

#[test]
fn a_service_that_does_not_exist_is_not_found_by_any_directory() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let relays = shared_network().relays();
    let mut expected: Vec<_> = relays.iter().map(|relay| relay.fingerprint).collect();
    expected.sort();

    let some = [expected[1], expected[4]];
    retried(controller, "two directories have nothing", || {
        let outcome = controller.fetch_onion_descriptor_from(unknown_service(), some, LIMIT);
        let mut found: Vec<_> = failures(outcome);
        found.sort_by_key(|(hsdir, _)| *hsdir);
        // Otherwise one of them could not be reached.
        let is_it = found == some.map(|hsdir| (hsdir, HsDescReason::NotFound));
        if is_it { Ok(()) } else { Err(format!("{found:?}")) }
    });

    let other = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    let outcome = retried(controller, "every directory has nothing", || {
        let outcome = controller.fetch_onion_descriptor(other, LIMIT);
        let text = outcome.as_ref().unwrap_err().to_string();
        let expected = format!("no directory delivered the descriptor of {other}: 6 NOT_FOUND");
        if text == expected { Ok(outcome) } else { Err(text) }
    });
    let mut asked: Vec<_> = failures(outcome).into_iter().map(|(hsdir, _)| hsdir).collect();
    asked.sort();
    assert_eq!(asked, expected);

    let nobody = Fingerprint::from([0xaa; 20]);
    let outcome = controller.fetch_onion_descriptor_from(other, [nobody], LIMIT);
    let error = outcome.unwrap_err();
    let is_from_tor = Capability::HsFetchRefusesUnlisted.is_available();
    assert_eq!(matches!(error, Error::Rejected(_)), is_from_tor, "{error:?}");
    assert_eq!(matches!(error, Error::InvalidInput(_)), !is_from_tor, "{error:?}");
    tor.quit().unwrap();
}
