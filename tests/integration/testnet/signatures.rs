use std::collections::HashMap;
use std::fs;
use std::time::{Duration, SystemTime};

use torcon::descriptor::{
    Consensus, DescriptorList, ExtraInfo, KeyCertificate, KeyCertificates, ServerDescriptors, Votes,
};
use torcon::error::VerifyProblem;
use torcon::names::{ConsensusFlavor, Fingerprint};

use super::shared_network;

/// Returns the documents that the authority has written: a file of the cache, and its journal.
fn cached(name: &str) -> Vec<u8> {
    let directory = shared_network().directory().join("auth0");
    let mut documents = fs::read(directory.join(name)).unwrap_or_default();
    documents.extend(fs::read(directory.join(format!("{name}.new"))).unwrap_or_default());
    documents
}

fn certificates() -> Vec<KeyCertificate> {
    let certificates = KeyCertificates::new(cached("cached-certs"));
    certificates.iter().map(Result::unwrap).collect()
}

#[test]
fn a_consensus_is_verified_by_the_authorities_of_its_network() {
    let (certificates, now) = (certificates(), SystemTime::now());
    let authorities: Vec<Fingerprint> =
        certificates.iter().map(|certificate| certificate.fingerprint().unwrap()).collect();
    certificates.iter().for_each(|certificate| certificate.verify(now).unwrap());
    let controller = shared_network().controller("auth0").unwrap();
    for (flavor, file) in [
        (ConsensusFlavor::Ns, "cached-consensus"),
        (ConsensusFlavor::Microdesc, "cached-microdesc-consensus"),
    ] {
        let of_tor = controller.consensus(&flavor).unwrap().unwrap();
        for consensus in [Consensus::parse(cached(file)).unwrap(), of_tor] {
            let signers = consensus.verify(&certificates, &authorities, now).unwrap();
            assert_eq!(signers.authorities().len(), authorities.len());
            assert!(signers.refused().is_empty());
            let week = Duration::from_secs(7 * 86_400);
            let error = consensus.verify(&certificates, &authorities, now + week).unwrap_err();
            assert!(matches!(error.problem(), VerifyProblem::Expired { item: "valid-until", .. }));
            let others = [Fingerprint::from([1; 20])];
            let error = consensus.verify(&certificates, &others, now).unwrap_err();
            let VerifyProblem::TooFewSignatures { signers, refused, .. } = error.problem() else {
                panic!("{error}");
            };
            assert!(signers.is_empty() && refused[0].problem == VerifyProblem::Untrusted);
        }
    }
    let votes = Votes::new(cached("v3-status-votes"));
    assert!(!votes.is_empty());
    for vote in &votes {
        let voter = vote.unwrap().verify(&authorities, now).unwrap();
        assert!(authorities.contains(&voter));
    }
}

#[test]
fn the_descriptors_of_all_relays_are_verified() {
    let now = SystemTime::now();
    let controller = shared_network().controller("auth0").unwrap();
    let files = ServerDescriptors::new(cached("cached-descriptors"));
    let mut relays = HashMap::new();
    for list in [files, controller.server_descriptors().unwrap()] {
        for descriptor in &list {
            let descriptor = descriptor.unwrap();
            let relay = descriptor.verify(now).unwrap();
            assert_eq!(Some(relay.fingerprint()), descriptor.fingerprint());
            assert_eq!(relay.ed25519_identity(), descriptor.ed25519_identity());
            relays.insert(relay.fingerprint(), relay);
        }
    }
    let network = shared_network().relays();
    assert!(network.iter().all(|relay| relays.contains_key(&relay.fingerprint)));
    let documents = DescriptorList::<ExtraInfo>::new(cached("cached-extrainfo"));
    assert!(documents.len() >= network.len());
    for document in &documents {
        let document = document.unwrap();
        for (fingerprint, relay) in &relays {
            let verified = document.verify(relay, now);
            assert_eq!(verified.is_ok(), *fingerprint == document.fingerprint(), "{verified:?}");
        }
    }
}
