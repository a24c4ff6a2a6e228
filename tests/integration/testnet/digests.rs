use std::collections::HashMap;
use std::fs;

use torcon::descriptor::{
    DescriptorList, ExtraInfo, Microdescriptors, RouterStatuses, ServerDescriptors,
};

use super::shared_network;

/// Returns the documents that the authority has written: a file of the cache, and its journal.
fn cached(name: &str) -> Vec<u8> {
    let directory = shared_network().directory().join("auth0");
    let mut documents = fs::read(directory.join(name)).unwrap_or_default();
    documents.extend(fs::read(directory.join(format!("{name}.new"))).unwrap_or_default());
    documents
}

#[test]
fn the_digests_of_documents_are_those_by_which_tor_names_them() {
    let controller = shared_network().controller("auth0").unwrap();
    // The `m` lines of the consensus.
    let statuses = RouterStatuses::new(cached("cached-microdesc-consensus"));
    let named: Vec<_> = statuses
        .iter()
        .map(|relay| {
            let relay = relay.unwrap();
            relay.items().find(|item| item.keyword() == "m").unwrap().arguments().into_owned()
        })
        .collect();
    assert_eq!(named.len(), shared_network().relays().len());
    let files = Microdescriptors::new(cached("cached-microdescs"));
    for list in [files, controller.microdescriptors().unwrap()] {
        let digests: Vec<_> = list
            .iter()
            .map(|descriptor| data_encoding::BASE64_NOPAD.encode(&descriptor.unwrap().digest()))
            .collect();
        assert!(named.iter().all(|digest| digests.contains(digest)), "{named:?} {digests:?}");
    }
    // The `r` lines of the flavor `ns`.
    let statuses = RouterStatuses::new(cached("cached-consensus"));
    let documents: HashMap<_, _> = {
        let documents = DescriptorList::<ExtraInfo>::new(cached("cached-extrainfo"));
        let documents = documents.iter().map(Result::unwrap);
        documents.map(|document| (document.digest().unwrap(), document)).collect()
    };
    let files = ServerDescriptors::new(cached("cached-descriptors"));
    for list in [files, controller.server_descriptors().unwrap()] {
        let descriptors: HashMap<_, _> = list
            .iter()
            .map(Result::unwrap)
            .map(|descriptor| (descriptor.digest().unwrap(), descriptor))
            .collect();
        for relay in &statuses {
            let digest = relay.unwrap().descriptor_digest().unwrap();
            let descriptor = &descriptors[&digest];
            let by_digest = controller.server_descriptor_by_digest(digest).unwrap().unwrap();
            assert_eq!(by_digest.digest(), Some(digest));
            // The `extra-info-digest` lines.
            let digest = descriptor.extra_info_digest().unwrap();
            let sha256 = descriptor.extra_info_sha256();
            assert!(sha256.is_some());
            assert_eq!(documents[&digest].digest_sha256(), sha256);
            let by_digest = controller.extra_info(digest).unwrap().unwrap();
            assert_eq!((by_digest.digest(), by_digest.digest_sha256()), (Some(digest), sha256));
        }
    }
}
