//! Documents of a private network of tor 0.4.9.11, and of a relay of 2005 (from the test data of Stem).

mod drafts;

use std::time::{Duration, SystemTime};

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::sample::{self, Index};

use super::RelayIdentity;
use crate::descriptor::item::Items;
use crate::descriptor::{
    Consensus, ConsensusSigners, ExtraInfo, KeyCertificate, OnionDescriptor, ServerDescriptor,
    Vote, public_authorities,
};
use crate::error::{VerifyError, VerifyProblem};
use crate::names::{CONTROLS, Fingerprint, OnionAddress, OnionKey, TimePeriod};
use crate::wire::timestamp::read_time;

const SERVER: &str = include_str!("../tests/server_family.txt");
const EXTRA_INFO: &str = include_str!("tests/extra_info.txt");
const OLD_SERVER: &str = include_str!("../tests/server_2005.txt");
const CERTIFICATES: &str = include_str!("tests/certificates.txt");
const CONSENSUS: &str = include_str!("tests/consensus.txt");
const MICRODESC_CONSENSUS: &str = include_str!("tests/microdesc_consensus.txt");
const VOTE: &str = include_str!("tests/vote.txt");
/// The descriptor of a service with the key of seed 69.
const ONION: &str = include_str!("../onion/tests/recorded.txt");

fn time(text: &str) -> SystemTime {
    read_time(text.as_bytes()).unwrap()
}

/// When the documents were made.
fn then() -> SystemTime {
    time("2026-11-26 14:20:30")
}

fn server(text: &[u8], at: SystemTime) -> Result<RelayIdentity, VerifyError> {
    ServerDescriptor::parse(text).unwrap().verify(at)
}

fn extra_info(text: &[u8], at: SystemTime) -> Result<(), VerifyError> {
    ExtraInfo::parse(text).unwrap().verify(&server(SERVER.as_bytes(), then()).unwrap(), at)
}

/// Returns the certificates, each as tor's file has it.
fn certificates(text: &str) -> Vec<&str> {
    // Their last line.
    const END: &str = "-----END SIGNATURE-----\n";
    text.split_inclusive(END).collect()
}

/// The identities of the authorities that have certificates.
fn authorities() -> Vec<Fingerprint> {
    let items = Items::new(CERTIFICATES.as_bytes());
    let lines = items.filter(|item| item.is(b"fingerprint"));
    lines.map(|line| line.arguments().parse().unwrap()).collect()
}

/// Verifies a consensus of the network.
fn consensus(
    text: &[u8],
    certificates: &[&str],
    authorities: &[Fingerprint],
    at: SystemTime,
) -> Result<ConsensusSigners, VerifyProblem> {
    let certificates: Vec<_> =
        certificates.iter().map(|text| KeyCertificate::parse(*text).unwrap()).collect();
    // A text with a wrong first line is an error of parsing.
    let item = "network-status-version";
    let consensus = Consensus::parse(text).map_err(|_| VerifyProblem::Malformed { item })?;
    let verified = consensus.verify(&certificates, authorities, at);
    verified.map_err(|error| error.problem().clone())
}

/// Returns a text with one byte changed for each line at `place` of it, and the line.
fn changed_lines(text: &str, place: fn(usize) -> usize) -> Vec<(Vec<u8>, &str)> {
    let mut start = 0;
    let mut changed = Vec::new();
    for line in text.lines() {
        let mut copy = text.as_bytes().to_vec();
        let byte = &mut copy[start + place(line.len())];
        // Another character of base64 and of hexadecimal digits.
        *byte = if *byte == b'B' { b'C' } else { b'B' };
        changed.push((copy, line));
        start += line.len() + 1;
    }
    changed
}

#[test]
fn the_documents_of_a_private_network_are_verified() {
    let relay = server(SERVER.as_bytes(), then()).unwrap();
    let descriptor = ServerDescriptor::parse(SERVER).unwrap();
    assert_eq!(Some(relay.fingerprint()), descriptor.fingerprint());
    assert_eq!(relay.ed25519_identity(), descriptor.ed25519_identity());
    assert_eq!(relay.family_keys().len(), 1);
    assert!(relay.expires().unwrap() > then());
    extra_info(EXTRA_INFO.as_bytes(), then()).unwrap();
    let annotated = format!("@downloaded-at 2026-11-26 14:20:30\n\n{SERVER}");
    server(annotated.as_bytes(), then()).unwrap();
    let shown = format!("{relay:?}");
    assert!(shown.starts_with("RelayIdentity { fingerprint: Fingerprint(2AAAE055B"), "{shown}");
}

#[test]
fn a_descriptor_without_ed25519_lines_is_verified_by_its_rsa_key() {
    let relay = server(OLD_SERVER.as_bytes(), then()).unwrap();
    assert_eq!(relay.fingerprint().to_string(), "3E2F63E2356F52318B536A12B6445373808A5D6C");
    assert_eq!((relay.ed25519_identity(), relay.expires()), (None, None));
    assert!(relay.family_keys().is_empty());
    for (text, line) in changed_lines(OLD_SERVER, |length| length / 2) {
        // tor does not write annotations.
        if !line.starts_with('@') && !line.starts_with("router ") {
            server(&text, then()).unwrap_err();
        }
    }
}

#[test]
fn a_change_in_any_line_of_a_descriptor_is_refused() {
    for place in [|_| 0, |length| length / 2, |length| length - 1] {
        for (text, line) in changed_lines(SERVER, place) {
            if let Ok(descriptor) = ServerDescriptor::parse(text) {
                descriptor.verify(then()).expect_err(line);
            }
        }
        let relay = server(SERVER.as_bytes(), then()).unwrap();
        for (text, line) in changed_lines(EXTRA_INFO, place) {
            if let Ok(document) = ExtraInfo::parse(text) {
                document.verify(&relay, then()).expect_err(line);
            }
        }
    }
}

#[test]
fn a_line_that_is_not_signed_is_refused() {
    for added in ["contact me\n", "router-signature\n", "@annotated\nproto Link=5\n"] {
        let problem = match added {
            "router-signature\n" => VerifyProblem::Repeated { item: "router-signature" },
            line => VerifyProblem::NotCovered { line: line.lines().last().unwrap().into() },
        };
        let error = server(format!("{SERVER}{added}").as_bytes(), then()).unwrap_err();
        assert_eq!(*error.problem(), problem);
        let error = extra_info(format!("{EXTRA_INFO}{added}").as_bytes(), then()).unwrap_err();
        assert_eq!(*error.problem(), problem);
    }
}

#[test]
fn the_signatures_of_another_document_do_not_match() {
    let signature = |text: &'static str| {
        let start = text.find("\nrouter-signature").unwrap();
        text.split_at(start)
    };
    let ((server_text, of_server), (info_text, of_info)) =
        (signature(SERVER), signature(EXTRA_INFO));
    let problem = VerifyProblem::Signature { item: "router-signature" };
    let error = server(format!("{server_text}{of_info}").as_bytes(), then()).unwrap_err();
    assert_eq!(*error.problem(), problem);
    let error = extra_info(format!("{info_text}{of_server}").as_bytes(), then()).unwrap_err();
    assert_eq!(*error.problem(), problem);
    // A relay that is not the signer.
    let other = server(OLD_SERVER.as_bytes(), then()).unwrap();
    let error = ExtraInfo::parse(EXTRA_INFO).unwrap().verify(&other, then()).unwrap_err();
    assert!(error.to_string().starts_with(
        "cannot verify the extra-info document of relay1: the line extra-info names the \
         fingerprint 2AAAE055B40708494B6F10F1A10F6430BD4C4759, but the key has 3E2F63E2356F52318"
    ));
}

#[test]
fn an_expired_certificate_is_refused() {
    let relay = server(SERVER.as_bytes(), then()).unwrap();
    let expires = relay.expires().unwrap();
    server(SERVER.as_bytes(), expires).unwrap();
    let later = expires + Duration::from_secs(1);
    let problem = VerifyProblem::Expired { item: "ntor-onion-key-crosscert", at: expires };
    assert_eq!(*server(SERVER.as_bytes(), later).unwrap_err().problem(), problem);
    let months_later = later + Duration::from_secs(100 * 86_400);
    for problem in [
        server(SERVER.as_bytes(), months_later).unwrap_err().problem(),
        extra_info(EXTRA_INFO.as_bytes(), months_later).unwrap_err().problem(),
    ] {
        assert!(matches!(problem, VerifyProblem::Expired { item: "identity-ed25519", .. }));
    }
}

#[test]
fn certificates_of_authorities_are_verified_and_a_change_in_any_line_is_refused() {
    let texts = certificates(CERTIFICATES);
    assert_eq!(texts.len(), 3);
    for (text, authority) in texts.iter().zip(authorities()) {
        let certificate = KeyCertificate::parse(*text).unwrap();
        assert_eq!(certificate.fingerprint(), Some(authority));
        certificate.verify(then()).unwrap();
        for (text, line) in changed_lines(text, |length| length / 2) {
            if let Ok(certificate) = KeyCertificate::parse(text) {
                certificate.verify(then()).expect_err(line);
            }
        }
        let expires = certificate.expires().unwrap();
        certificate.verify(expires).unwrap();
        let error = certificate.verify(expires + Duration::from_secs(1)).unwrap_err();
        let problem = VerifyProblem::Expired { item: "dir-key-expires", at: expires };
        assert_eq!(*error.problem(), problem);
    }
}

#[test]
fn a_consensus_is_verified_by_a_majority_of_the_authorities() {
    let (texts, trusted) = (certificates(CERTIFICATES), authorities());
    for text in [CONSENSUS, MICRODESC_CONSENSUS] {
        let text = text.as_bytes();
        let signers = consensus(text, &texts, &trusted, then()).unwrap();
        let mut signed = signers.authorities().to_vec();
        signed.sort();
        let mut all = trusted.clone();
        all.sort();
        assert_eq!((signed, signers.needed(), signers.refused().len()), (all, 2, 0));

        // Two of three certificates are enough, one is not.
        let signers = consensus(text, &texts[1..], &trusted, then()).unwrap();
        assert_eq!(signers.authorities().len(), 2);
        assert_eq!(signers.refused()[0].authority, trusted[0]);
        assert!(matches!(signers.refused()[0].problem, VerifyProblem::NoCertificate { .. }));
        let problem = consensus(text, &texts[2..], &trusted, then()).unwrap_err();
        assert!(
            matches!(
                &problem,
                VerifyProblem::TooFewSignatures { signers, needed: 2, refused }
                    if signers[..] == trusted[2..] && refused.len() == 2
            ),
            "{problem:?}"
        );

        // The majority is that of the authorities that the caller trusts, each counted once.
        let twice = [trusted[0], trusted[0]];
        assert_eq!(consensus(text, &texts, &twice, then()).unwrap().needed(), 1);
        let others = (1..=4).map(|byte| Fingerprint::from([byte; 20]));
        let six: Vec<_> = trusted[..2].iter().copied().chain(others).collect();
        let problem = consensus(text, &texts, &six, then()).unwrap_err();
        let VerifyProblem::TooFewSignatures { signers, needed: 4, refused } = problem else {
            panic!("{problem:?}");
        };
        assert_eq!(signers.len(), 2);
        assert_eq!(
            (refused[0].authority, &refused[0].problem),
            (trusted[2], &VerifyProblem::Untrusted)
        );
        assert!(consensus(text, &texts, &[], then()).is_err());
    }
}

#[test]
fn a_repeated_signature_counts_once() {
    let (texts, trusted) = (certificates(CERTIFICATES), authorities());
    let start = CONSENSUS.find("directory-signature").unwrap();
    let (signed, signatures) = CONSENSUS.split_at(start);
    let one = signatures.split_inclusive("-----END SIGNATURE-----\n").next().unwrap();
    let text = format!("{signed}{one}{one}{one}");
    let problem = consensus(text.as_bytes(), &texts, &trusted, then()).unwrap_err();
    assert!(
        matches!(&problem, VerifyProblem::TooFewSignatures { signers, .. } if signers.len() == 1),
        "{problem:?}"
    );
}

#[test]
fn many_signatures_and_certificates_of_one_key_take_linear_time() {
    let (texts, trusted) = (certificates(CERTIFICATES), authorities());
    let start = CONSENSUS.find("directory-signature").unwrap();
    let (signed, signatures) = CONSENSUS.split_at(start);
    // The time is the last thing that is verified of a certificate.
    let one = signatures.split_inclusive("-----END SIGNATURE-----\n").next().unwrap();
    let authority = one.split(' ').find_map(|word| word.parse::<Fingerprint>().ok()).unwrap();
    let certificate = texts[trusted.iter().position(|one| *one == authority).unwrap()];
    let expired = then() + Duration::from_secs(10 * 365 * 86_400);
    let text = format!("{signed}{}", one.repeat(1_000));
    let started = std::time::Instant::now();
    let many = vec![certificate; 50];
    let problem = consensus(text.as_bytes(), &many, &trusted, expired).unwrap_err();
    let VerifyProblem::TooFewSignatures { refused, .. } = problem else { panic!("{problem:?}") };
    assert_eq!(refused.len(), 1_000);
    assert!(refused.iter().all(|one| matches!(one.problem, VerifyProblem::Expired { .. })));
    // 50,000 verifications of a certificate take minutes.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn signatures_of_another_flavor_do_not_match() {
    let (texts, trusted) = (certificates(CERTIFICATES), authorities());
    let split = |text: &'static str| text.split_at(text.find("directory-signature").unwrap());
    let ((ns, of_ns), (microdesc, of_microdesc)) = (split(CONSENSUS), split(MICRODESC_CONSENSUS));
    for text in [format!("{ns}{of_microdesc}"), format!("{microdesc}{of_ns}")] {
        let problem = consensus(text.as_bytes(), &texts, &trusted, then()).unwrap_err();
        let VerifyProblem::TooFewSignatures { signers, refused, .. } = problem else {
            panic!("{problem:?}");
        };
        assert!(signers.is_empty());
        let wrong = VerifyProblem::Signature { item: "directory-signature" };
        assert!(refused.iter().all(|refused| refused.problem == wrong), "{refused:?}");
    }
}

#[test]
fn a_change_in_any_line_of_a_consensus_is_refused() {
    let (texts, trusted) = (certificates(CERTIFICATES), authorities());
    for text in [CONSENSUS, MICRODESC_CONSENSUS] {
        for place in [|_| 0, |length| length / 2, |length| length - 1] {
            let mut is_signed = true;
            for (changed, line) in changed_lines(text, place) {
                is_signed &= !line.starts_with("directory-signature");
                match consensus(&changed, &texts, &trusted, then()) {
                    // Behind the signed part, only one of the signatures is wrong.
                    Ok(signers) => {
                        assert!(!is_signed && signers.authorities().len() == 2, "{line}");
                        assert_eq!(signers.refused().len(), 1, "{line}");
                    }
                    Err(VerifyProblem::TooFewSignatures { signers, refused, .. }) => {
                        assert!(signers.is_empty() && refused.len() >= 2, "{line}");
                    }
                    Err(_) => {}
                }
            }
        }
        for added in ["contact me\n", "r relay\n", "@annotated\n"] {
            let problem = consensus(format!("{text}{added}").as_bytes(), &texts, &trusted, then())
                .unwrap_err();
            assert_eq!(problem, VerifyProblem::NotCovered { line: added.trim_end().into() });
        }
    }
}

#[test]
fn a_consensus_is_valid_for_a_time() {
    let (texts, trusted) = (certificates(CERTIFICATES), authorities());
    let parsed = Consensus::parse(CONSENSUS).unwrap();
    let (after, until) = (parsed.valid_after().unwrap(), parsed.valid_until().unwrap());
    let verify = |at| consensus(CONSENSUS.as_bytes(), &texts, &trusted, at);
    assert!(verify(after).is_ok() && verify(until).is_ok());
    let second = Duration::from_secs(1);
    let problem = VerifyProblem::NotYetValid { item: "valid-after", at: after };
    assert_eq!(verify(after - second).unwrap_err(), problem);
    let problem = VerifyProblem::Expired { item: "valid-until", at: until };
    assert_eq!(verify(until + second).unwrap_err(), problem);
}

#[test]
fn a_wrong_certificate_is_the_problem_of_its_signature_only() {
    let (mut texts, trusted) = (certificates(CERTIFICATES), authorities());
    // The certificate of the second authority, signed by the first.
    let second = texts[1];
    let (_, of_first) = texts[0].split_once("dir-key-certification").unwrap();
    let (keys, _) = second.split_once("dir-key-certification").unwrap();
    let wrong = format!("{keys}dir-key-certification{of_first}");
    texts[1] = &wrong;
    let signers = consensus(CONSENSUS.as_bytes(), &texts, &trusted, then()).unwrap();
    let refused = &signers.refused()[0];
    assert_eq!(refused.authority, trusted[1]);
    assert_eq!(refused.problem, VerifyProblem::Signature { item: "dir-key-certification" });
    // A valid one beside it is found.
    texts.push(second);
    let signers = consensus(CONSENSUS.as_bytes(), &texts, &trusted, then()).unwrap();
    assert!(signers.refused().is_empty());
}

#[test]
fn a_vote_is_verified_by_the_certificate_within() {
    let trusted = authorities();
    let vote = |text: &[u8]| Vote::parse(text).unwrap().verify(&trusted, then());
    let voter = vote(VOTE.as_bytes()).unwrap();
    assert!(trusted.contains(&voter));
    let others: Vec<_> = trusted.iter().copied().filter(|authority| *authority != voter).collect();
    let error = Vote::parse(VOTE).unwrap().verify(&others, then()).unwrap_err();
    assert_eq!(error.to_string(), "cannot verify a vote: the authority is not trusted");
    for place in [|_| 0, |length| length / 2, |length| length - 1] {
        for (text, line) in changed_lines(VOTE, place) {
            if let Ok(vote) = Vote::parse(text) {
                vote.verify(&trusted, then()).expect_err(line);
            }
        }
    }
    let signature = VOTE.find("directory-signature").unwrap();
    let (_, signature) = VOTE.split_at(signature);
    let error = vote(format!("{VOTE}{signature}").as_bytes()).unwrap_err();
    assert_eq!(*error.problem(), VerifyProblem::Repeated { item: "directory-signature" });
    // The vote of another authority, by its name.
    let name = voter.to_string();
    let renamed = VOTE.replacen(&name, &others[0].to_string(), 1);
    let problem = VerifyProblem::OtherKey { item: "directory-signature", of: "dir-source" };
    assert_eq!(*vote(renamed.as_bytes()).unwrap_err().problem(), problem);
}

#[test]
fn the_public_network_has_nine_authorities() {
    let authorities: std::collections::BTreeSet<_> = public_authorities().collect();
    assert_eq!(authorities.len(), 9);
}

/// The service of [`ONION`], and the time period for which it was published.
fn onion_service() -> (OnionAddress, TimePeriod, SystemTime) {
    let service = OnionKey::from_seed([69; 32]).address();
    let descriptor = OnionDescriptor::parse(ONION).unwrap();
    let expires = descriptor.signing_key_certificate().unwrap().expires();
    (service, TimePeriod::new(41_566, 720), expires)
}

#[test]
fn the_descriptor_of_an_onion_service_is_verified_for_its_time_periods() {
    let (service, period, expires) = onion_service();
    let descriptor = OnionDescriptor::parse(ONION).unwrap();
    for period in [period.previous(), period, period.next()] {
        descriptor.verify(&service, period, expires).unwrap();
    }
    let verify = |service, period, at| descriptor.verify(service, period, at).unwrap_err();
    let item = "descriptor-signing-key-cert";
    let other = VerifyProblem::OtherKey { item, of: "the onion service" };
    for period in [period.previous().previous(), period.next().next(), TimePeriod::at(expires)] {
        assert_eq!(*verify(&service, period, expires).problem(), other);
    }
    let stranger = OnionKey::from_seed([70; 32]).address();
    assert_eq!(*verify(&stranger, period, expires).problem(), other);
    let later = expires + Duration::from_secs(1);
    let problem = VerifyProblem::Expired { item, at: expires };
    assert_eq!(*verify(&service, period, later).problem(), problem);
}

#[test]
fn a_change_in_any_line_of_the_descriptor_of_an_onion_service_is_refused() {
    let (service, period, at) = onion_service();
    let mut problems = std::collections::BTreeSet::new();
    for (text, line) in changed_lines(ONION, |length| length / 2) {
        if let Ok(descriptor) = OnionDescriptor::parse(text) {
            let error = descriptor.verify(&service, period, at).expect_err(line);
            problems.insert(format!("{:?}", error.problem()));
        }
    }
    assert!(problems.contains("Signature { item: \"signature\" }"), "{problems:?}");
    let certificate = "Signature { item: \"descriptor-signing-key-cert\" }";
    assert!(problems.contains(certificate), "{problems:?}");
    // An object that belongs to the line of the signature.
    let object = "-----BEGIN X-----\nrevision-counter 7\n-----END X-----\n";
    let added = OnionDescriptor::parse(format!("{}\n{object}", ONION.trim_end())).unwrap();
    let problem = added.verify(&service, period, at).unwrap_err().problem().clone();
    assert!(matches!(problem, VerifyProblem::NotCovered { .. }), "{problem:?}");
    // tor skips blanks in front of a keyword, but they are part of the text.
    let indented = OnionDescriptor::parse(format!("\t{ONION}")).unwrap();
    let problem = indented.verify(&service, period, at).unwrap_err().problem().clone();
    assert_eq!(problem, VerifyProblem::Signature { item: "signature" });
    let added = OnionDescriptor::parse(format!("{}\nrevision-counter 7\n", ONION.trim_end()));
    let error = added.unwrap().verify(&service, period, at).unwrap_err();
    let problem = VerifyProblem::NotCovered { line: "revision-counter 7".into() };
    assert_eq!(*error.problem(), problem);
}

#[test]
fn a_line_that_is_not_signed_is_shown_without_its_control_characters() {
    let line = format!("zz {CONTROLS}\n");
    let (service, period, at) = onion_service();
    let after = |text: &str| format!("{}\n{line}", text.trim_end()).into_bytes();
    let certificate = KeyCertificate::parse(after(certificates(CERTIFICATES)[0])).unwrap();
    let onion = OnionDescriptor::parse(after(ONION)).unwrap();
    let problem = |error: VerifyError| error.problem().clone();
    let (texts, trusted) = (certificates(CERTIFICATES), authorities());
    let problems = [
        problem(server(&after(SERVER), then()).unwrap_err()),
        problem(extra_info(&after(EXTRA_INFO), then()).unwrap_err()),
        problem(certificate.verify(then()).unwrap_err()),
        problem(onion.verify(&service, period, at).unwrap_err()),
        consensus(&after(CONSENSUS), &texts, &trusted, then()).unwrap_err(),
    ];
    for problem in problems {
        let escaped = line.trim_end().as_bytes().escape_ascii();
        assert_eq!(problem.to_string(), format!("no signature covers the line \"{escaped}\""));
    }
}

/// Verifies a text as every document.
fn verify_everything(text: &[u8]) {
    let at = then();
    if let Ok(descriptor) = ServerDescriptor::parse(text) {
        let _ = descriptor.verify(at);
    }
    if let Ok(document) = ExtraInfo::parse(text) {
        let _ = document.verify(&server(OLD_SERVER.as_bytes(), at).unwrap(), at);
    }
    let certificate = KeyCertificate::parse(text);
    if let Ok(certificate) = &certificate {
        let _ = certificate.verify(at);
    }
    let trusted = authorities();
    if let Ok(consensus) = Consensus::parse(text) {
        let _ = consensus.verify(
            certificate.as_ref().map(std::slice::from_ref).unwrap_or_default(),
            &trusted,
            at,
        );
    }
    if let Ok(vote) = Vote::parse(text) {
        let _ = vote.verify(&trusted, at);
    }
    if let Ok(descriptor) = OnionDescriptor::parse(text) {
        let (service, period, at) = onion_service();
        let _ = descriptor.verify(&service, period, at);
    }
    let _ = super::rsa::RsaKey::from_der(text);
}

fn real_text() -> impl Strategy<Value = &'static str> {
    sample::select(&[SERVER, EXTRA_INFO, OLD_SERVER, CERTIFICATES, CONSENSUS, VOTE, ONION][..])
}

proptest! {
    #[test]
    fn no_bytes_panic(text: Vec<u8>) {
        verify_everything(&text);
    }

    #[test]
    fn no_change_to_a_real_document_panics(
        text in real_text(),
        changes in proptest::collection::vec((any::<Index>(), prop_oneof![
            any::<u8>(),
            sample::select(&b"\n\r @-:/,r="[..]),
        ]), 1..8),
        cut: Index,
    ) {
        let mut changed = text.as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(changed.len());
            changed[place] = byte;
        }
        changed.truncate(cut.index(changed.len()) + 1);
        verify_everything(&changed);
    }
}
