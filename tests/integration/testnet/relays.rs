//! The relays of a network, as its tors report them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::SystemTime;

use torcon::descriptor::{RouterStatus, RouterStatuses, ServerDescriptor};
use torcon::event::{Event, EventText};
use torcon::names::{RelayFlag, RouterPurpose};

use super::{LIMIT, join, shared_network};
use crate::support::watchdog::eventually;

const NOWHERE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn the_consensus_of_a_client_names_every_relay_of_the_network() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let network = shared_network().relays();
    let list = controller.relay_statuses().unwrap();
    let statuses: Vec<RouterStatus> = list.iter().map(|status| status.unwrap()).collect();
    assert_eq!(statuses.len(), network.len());
    for relay in &network {
        let status = statuses.iter().find(|status| status.identity() == relay.fingerprint);
        let status = status.unwrap_or_else(|| panic!("{relay:?} is not in {list:?}"));
        assert_eq!((status.nickname(), status.or_port()), (relay.nickname, relay.or_port));
        assert_eq!(status.address().to_string(), "127.0.0.1");
        assert_eq!(status.has_flag(&RelayFlag::Authority), relay.is_authority);
        for flag in [RelayFlag::Running, RelayFlag::Valid, RelayFlag::Fast] {
            assert!(status.has_flag(&flag), "{flag} of {status}");
        }
        assert!(status.flags().all(|flag| flag.is_recognized()), "{status}");
        assert!(status.bandwidth().is_some() && status.published().is_some(), "{status}");
        assert_eq!(status.unrecognized().count(), 0, "{status}");
        let again = controller.relay_status(relay.fingerprint).unwrap().unwrap();
        assert_eq!(again.as_bytes().trim_ascii(), status.as_bytes().trim_ascii());
        let named = controller.relay_status_by_name(relay.nickname).unwrap().unwrap();
        assert_eq!(named.identity(), relay.fingerprint);
    }
    let mut one_by_one = BTreeSet::new();
    let take = |status: RouterStatus| {
        one_by_one.insert(status.identity());
        ControlFlow::Continue(())
    };
    controller.for_each_relay_status(take).unwrap();
    assert_eq!(one_by_one, network.iter().map(|relay| relay.fingerprint).collect());
    assert_eq!(controller.relay_status(NOWHERE.parse().unwrap()).unwrap(), None);
    assert_eq!(controller.relay_status_by_name("nobody".parse().unwrap()).unwrap(), None);
    assert!(controller.relay_statuses_of_purpose(&RouterPurpose::Bridge).unwrap().is_empty());
    tor.quit().unwrap();
}

#[test]
fn a_client_has_the_microdescriptor_of_every_relay_and_no_server_descriptor() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let network = shared_network().relays();
    // A tor is ready as soon as it has most of them.
    eventually(LIMIT, "every microdescriptor has arrived", || {
        controller.microdescriptors().unwrap().len() == network.len()
    });
    for relay in &network {
        let descriptor = controller.microdescriptor(relay.fingerprint).unwrap();
        let descriptor = descriptor.unwrap_or_else(|| panic!("{relay:?} has none"));
        assert!(descriptor.ntor_onion_key().is_some(), "{descriptor}");
        assert!(descriptor.ed25519_identity().is_some(), "{descriptor}");
        assert_eq!(descriptor.allows_exit_to([192, 0, 2, 1].into(), 80), relay.is_exit);
        assert!(!descriptor.allows_exit_to("2001:db8::1".parse().unwrap(), 80));
        assert_eq!(descriptor.unrecognized().count(), 0, "{descriptor}");
        let named = controller.microdescriptor_by_name(relay.nickname).unwrap();
        assert_eq!(named, Some(descriptor));
    }
    assert_eq!(controller.microdescriptors().unwrap().len(), network.len());
    let mut count = 0;
    let take = |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    controller.for_each_microdescriptor(take).unwrap();
    assert_eq!(count, network.len());
    assert_eq!(controller.microdescriptor(NOWHERE.parse().unwrap()).unwrap(), None);
    let error = controller.server_descriptor(network[0].fingerprint).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tor refused GETINFO: 552 \"We fetch microdescriptors, not router descriptors. You'll \
         need to use md/id/* instead of desc/id/*.\""
    );
    assert!(controller.server_descriptors().unwrap().is_empty());
    tor.quit().unwrap();
}

#[test]
fn an_authority_has_the_server_descriptor_of_every_relay() {
    let network = shared_network();
    let controller = network.controller("auth0").unwrap();
    let relays = network.relays();
    for relay in &relays {
        let descriptor = controller.server_descriptor(relay.fingerprint).unwrap();
        let descriptor = descriptor.unwrap_or_else(|| panic!("{relay:?} has none"));
        assert_eq!(descriptor.fingerprint(), Some(relay.fingerprint));
        assert_eq!((descriptor.nickname(), descriptor.or_port()), (relay.nickname, relay.or_port));
        assert_eq!(descriptor.dir_port().is_some(), relay.is_authority);
        assert_eq!(descriptor.version().as_ref(), Some(controller.version()));
        assert!(descriptor.published().is_some_and(|time| time <= SystemTime::now()));
        assert!(descriptor.bandwidth().is_some_and(|bandwidth| bandwidth.average > 0));
        assert!(descriptor.ntor_onion_key().is_some() && descriptor.signature().is_some());
        assert_eq!(descriptor.unrecognized().count(), 0, "{descriptor}");
        let policy = descriptor.exit_policy().unwrap();
        assert_eq!(policy.to_string(), if relay.is_exit { "accept *:*" } else { "reject *:*" });
        assert_eq!(policy.allows([192, 0, 2, 1].into(), 80), relay.is_exit);
        assert_eq!(descriptor.allows_exit_to([192, 0, 2, 1].into(), 80), relay.is_exit);
        let named = controller.server_descriptor_by_name(relay.nickname).unwrap();
        assert_eq!(named, Some(descriptor));
    }
    assert_eq!(controller.server_descriptor(NOWHERE.parse().unwrap()).unwrap(), None);
    assert_eq!(controller.server_descriptors().unwrap().len(), relays.len());
    let mut names = BTreeSet::new();
    let take = |descriptor: ServerDescriptor| {
        names.insert(descriptor.nickname());
        ControlFlow::Continue(())
    };
    controller.for_each_server_descriptor(take).unwrap();
    assert_eq!(names, relays.iter().map(|relay| relay.nickname).collect());
    // A list of the relays with server descriptors, with their digests.
    let general = controller.relay_statuses_of_purpose(&RouterPurpose::General).unwrap();
    assert_eq!(general.len(), relays.len());
    for status in &general {
        assert!(status.unwrap().descriptor_digest().is_some());
    }
}

#[test]
fn the_text_of_an_event_is_a_list_of_relays() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let text = controller.get_info_one("ns/all").unwrap();
    let event = EventText::new(format!("NEWCONSENSUS\n{text}").as_bytes());
    let Event::NewConsensus(event) = Event::parse(event) else { panic!("another event") };
    let list = RouterStatuses::new(event.body().as_bytes());
    // The event has a separate text for each entry.
    assert_eq!(list.len(), event.entries().count());
    let identity = |status: Result<RouterStatus, _>| status.unwrap().identity();
    let from_event: BTreeSet<_> = list.iter().map(identity).collect();
    assert_eq!(from_event, controller.relay_statuses().unwrap().iter().map(identity).collect());
    tor.quit().unwrap();
}
