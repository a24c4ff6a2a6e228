use std::fs;

use torcon::descriptor::{
    DescriptorIndex, DescriptorList, ExtraInfo, Microdescriptors, RouterStatuses, ServerDescriptor,
    ServerDescriptors,
};

use super::{join, shared_network};

/// Returns the documents that the authority has written: a file of the cache, and its journal.
fn cached(name: &str) -> Vec<u8> {
    let directory = shared_network().directory().join("auth0");
    let mut documents = fs::read(directory.join(name)).unwrap_or_default();
    documents.extend(fs::read(directory.join(format!("{name}.new"))).unwrap_or_default());
    documents
}

#[test]
fn every_relay_of_the_consensus_finds_its_documents_by_their_digests() {
    let controller = shared_network().controller("auth0").unwrap();
    let statuses = RouterStatuses::new(cached("cached-microdesc-consensus"));
    assert_eq!(statuses.len(), shared_network().relays().len());
    let files = Microdescriptors::new(cached("cached-microdescs"));
    for list in [files, controller.microdescriptors().unwrap()] {
        let microdescriptors = DescriptorIndex::new(&list);
        for relay in statuses.iter().map(Result::unwrap) {
            let descriptor = microdescriptors.of(&relay).unwrap();
            let named = controller.microdescriptor(relay.identity()).unwrap().unwrap();
            assert_eq!(descriptor.digest(), named.digest());
        }
    }
    // The flavor `ns`.
    let statuses = RouterStatuses::new(cached("cached-consensus"));
    assert_eq!(statuses.len(), shared_network().relays().len());
    let documents = DescriptorList::<ExtraInfo>::new(cached("cached-extrainfo"));
    let documents = DescriptorIndex::new(&documents);
    let files = ServerDescriptors::new(cached("cached-descriptors"));
    let in_files = DescriptorIndex::new(&files);
    let in_reply = DescriptorIndex::new(&controller.server_descriptors().unwrap());
    for relay in statuses.iter().map(Result::unwrap) {
        let descriptor = in_files.of(&relay).unwrap_or_else(|| panic!("{relay:?} {files:?}"));
        assert_eq!(descriptor.fingerprint(), Some(relay.identity()));
        // The line `extra-info-digest` has two digests.
        let document = documents.of(descriptor).unwrap();
        assert_eq!(document.fingerprint(), relay.identity());
        let sha256 = descriptor.extra_info_sha256();
        assert!(sha256.is_some());
        assert_eq!(document.digest_sha256(), sha256);
        let is_of_relay =
            |other: &&ServerDescriptor| other.fingerprint() == descriptor.fingerprint();
        let reported = in_reply.iter().find(is_of_relay).unwrap();
        if in_reply.of(&relay).is_none() {
            // The relay has published another one since the vote.
            assert!(reported.published() > descriptor.published(), "{descriptor} {reported}");
            continue;
        }
        let digest = descriptor.digest().unwrap();
        let named = controller.server_descriptor_by_digest(digest).unwrap().unwrap();
        assert_eq!((named.digest(), reported.digest()), (Some(digest), Some(digest)));
        let digest = document.digest().unwrap();
        let named = controller.extra_info(digest).unwrap().unwrap();
        assert_eq!((named.digest(), named.digest_sha256()), (Some(digest), sha256));
    }
}

#[test]
fn every_relay_that_a_client_reports_finds_its_microdescriptor() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let microdescriptors = DescriptorIndex::new(&controller.microdescriptors().unwrap());
    let statuses = controller.relay_statuses().unwrap();
    for relay in statuses.iter().map(Result::unwrap) {
        let descriptor = microdescriptors.of(&relay).unwrap();
        let named = controller.microdescriptor(relay.identity()).unwrap().unwrap();
        assert_eq!(descriptor.digest(), named.digest());
    }
    assert_eq!(statuses.len(), shared_network().relays().len());
    tor.quit().unwrap();
}
