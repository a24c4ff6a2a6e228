//! The documents of a private network of tor 0.4.9.11, and two of the public network: a consensus of
//! 2018 without most of its entries, and a vote of 2012, as archived by CollecTor.

use std::time::{Duration, SystemTime};

use proptest::prelude::{any, proptest};
use proptest::sample;

use super::{Consensus, Vote};
use crate::descriptor::{KeyCertificate, KeyCertificates, RouterStatuses, Votes};
use crate::names::{BandwidthWeight, ConsensusFlavor, DigestAlgorithm, Fingerprint, RelayFlag};

mod refused;

const NS: &str = include_str!("tests/consensus.txt");
const MICRODESC: &str = include_str!("tests/consensus-microdesc.txt");
const PUBLIC: &str = include_str!("tests/public-consensus.txt");
const VOTES: &str = include_str!("tests/votes.txt");
const PUBLIC_VOTE: &str = include_str!("tests/public-vote.txt");
const CERTIFICATES: &str = include_str!("tests/cached-certs.txt");

fn since_1970(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn consensus(text: &str) -> Consensus {
    Consensus::parse(text).unwrap()
}

#[test]
fn every_line_of_real_documents_is_known_and_valid() {
    for text in [NS, MICRODESC, PUBLIC] {
        let consensus = consensus(text);
        consensus.check().unwrap();
        assert_eq!(consensus.unrecognized().collect::<Vec<_>>(), []);
        let items: Vec<_> = consensus.items().map(|item| item.to_string()).collect();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert!(items.join("\n") == lines.join("\n"), "every line is in an item");
        for relay in consensus.relays() {
            relay.unwrap().check().unwrap();
        }
    }
    let votes = Votes::new(VOTES);
    assert_eq!(votes.len(), 2);
    let public = Vote::parse(PUBLIC_VOTE);
    for vote in votes.iter().chain([public]) {
        let vote = vote.unwrap();
        vote.check().unwrap();
        assert_eq!(vote.unrecognized().collect::<Vec<_>>(), []);
    }
    let certificates = KeyCertificates::new(CERTIFICATES);
    assert_eq!(certificates.len(), 3);
    for certificate in &certificates {
        certificate.as_ref().unwrap().check().unwrap();
        assert_eq!(certificate.unwrap().unrecognized().count(), 0);
    }
}

#[test]
fn the_header_of_a_consensus_is_read() {
    let consensus = consensus(PUBLIC);
    assert_eq!((consensus.version(), consensus.flavor()), (3, &ConsensusFlavor::Ns));
    assert_eq!(consensus.consensus_method(), Some(28));
    assert_eq!(consensus.valid_after(), Some(since_1970(1_527_811_200)));
    assert_eq!(consensus.fresh_until(), Some(since_1970(1_527_814_800)));
    assert_eq!(consensus.valid_until(), Some(since_1970(1_527_822_000)));
    let [start, fresh, valid] =
        [consensus.valid_after(), consensus.fresh_until(), consensus.valid_until()]
            .map(Option::unwrap);
    let second = Duration::from_secs(1);
    assert!(!consensus.is_valid_at(start - second) && consensus.is_valid_at(start));
    assert!(consensus.is_fresh_at(fresh) && !consensus.is_fresh_at(fresh + second));
    assert!(consensus.is_valid_at(valid) && !consensus.is_valid_at(valid + second));
    let delay = Some(Duration::from_secs(300));
    assert_eq!((consensus.vote_delay(), consensus.distribution_delay()), (delay, delay));
    assert_eq!(consensus.client_versions().next().unwrap().to_string(), "0.2.9.14");
    assert_eq!(consensus.server_versions().last().unwrap().to_string(), "0.3.4.1-alpha");
    assert_eq!(consensus.known_flags().nth(1), Some(RelayFlag::BadExit));
    assert!(consensus.recommended_client_protocols().unwrap().supports("Link", 4));
    assert!(consensus.recommended_relay_protocols().unwrap().supports("HSIntro", 3));
    assert!(consensus.required_client_protocols().unwrap().supports("Desc", 2));
    assert!(!consensus.required_relay_protocols().unwrap().supports("Desc", 2));
    let current = consensus.shared_random_current().unwrap();
    assert_eq!((current.reveals, current.value[..2].to_vec()), (9, vec![0x94, 0x3c]));
    assert_eq!(consensus.shared_random_previous().unwrap().value[..2], [0x9a, 0x18]);
    assert_eq!(consensus.packages().count(), 0);
    let annotation = consensus.annotations().next().unwrap();
    assert_eq!(annotation.to_string(), "@type network-status-consensus-3 1.0");
    assert_eq!(format!("{consensus:?}"), "Consensus(ns, 8776 bytes)");
}

#[test]
fn parameters_have_defaults_and_limits() {
    let consensus = consensus(PUBLIC);
    assert_eq!(consensus.params().count(), 17);
    assert_eq!(consensus.params().next(), Some(("CircuitPriorityHalflifeMsec".into(), 30_000)));
    assert_eq!(consensus.param("NumNTorsPerTAP"), Some(100));
    assert_eq!(consensus.param("numntorspertap"), None);
    assert_eq!(consensus.param("circwindow"), None);
    assert_eq!(consensus.param_or_default("circwindow"), Some(1000));
    assert_eq!(consensus.param_or_default("pb_disablepct"), Some(0));
    assert_eq!(consensus.param_or_default("perconnbwrate"), None);
    assert_eq!(consensus.param_or_default("unknown"), None);
    let text = PUBLIC.replace("bwauthpid=1", "circwindow=5000 x=-3 y=+1 z=1.5 bad");
    let consensus = self::consensus(&text);
    assert_eq!(consensus.param("circwindow"), Some(5000));
    assert_eq!(consensus.param_or_default("circwindow"), Some(1000));
    assert_eq!((consensus.param("x"), consensus.param("y")), (Some(-3), None));
    let error = consensus.check().unwrap_err();
    assert_eq!((error.line(), error.expected()), (Some(16), "params [NAME=NUMBER ..], sorted"));
}

#[test]
fn packages_and_an_empty_version_line_are_read() {
    let package = "package tor 0.4.9 https://example.org/ sha256=abc sha512=def\n";
    let text = NS.replace("client-versions \n", &format!("client-versions\n{package}"));
    let consensus = consensus(&text);
    assert_eq!(consensus.client_versions().count(), 0);
    let packages: Vec<_> = consensus.packages().collect();
    assert_eq!((packages.len(), &*packages[0].name, &*packages[0].version), (1, "tor", "0.4.9"));
    assert_eq!(packages[0].url, "https://example.org/");
    assert_eq!(packages[0].digests[1], ("sha512".to_owned(), "def".to_owned()));
    consensus.check().unwrap();
}

#[test]
fn the_authorities_of_a_consensus_are_read() {
    let consensus = consensus(PUBLIC);
    let authorities: Vec<_> = consensus.authorities().collect();
    assert_eq!(authorities.len(), 9);
    let first = &authorities[0];
    assert_eq!((first.nickname().as_str(), first.is_legacy()), ("dannenberg", false));
    assert_eq!(first.identity().to_string(), "0232AF901C31A04EE9848595AF9BB7620D4C5B2E");
    assert_eq!(first.hostname().as_deref(), Some("dannenberg.torauth.de"));
    assert_eq!(first.address().to_string(), "193.23.244.244");
    assert_eq!((first.dir_port(), first.or_port()), (Some(80), 443));
    assert_eq!(first.contact().as_deref(), Some("Andreas Lehner"));
    assert!(first.vote_digest().is_some() && first.legacy_dir_key().is_none());
    assert!(first.key_certificate().is_none());
    assert_eq!(authorities[8].nickname().as_str(), "Faravahar");
    assert_eq!(authorities[8].items().count(), 3);
    let legacy =
        "dir-source moria1-legacy D586D18309DED4CD6D57C18FDB97EFA96D330566 x 1.2.3.4 0 1\n";
    let text = NS.replacen("dir-source auth1", &format!("{legacy}dir-source auth1"), 1);
    let consensus = self::consensus(&text);
    consensus.check().unwrap();
    let legacy = consensus.authorities().nth(1).unwrap();
    assert!(legacy.is_legacy() && legacy.contact().is_none() && legacy.dir_port().is_none());
    assert_eq!(
        format!("{legacy:?}"),
        "DirectoryAuthority(moria1-legacy D586D18309DED4CD6D57C18FDB97EFA96D330566)"
    );
}

#[test]
fn the_footer_of_a_consensus_is_no_part_of_an_entry() {
    for text in [NS, MICRODESC, PUBLIC] {
        let consensus = consensus(text);
        let last = consensus.relays().iter().last().unwrap().unwrap();
        assert!(!last.to_string().contains("directory-"), "{last}");
        let direct = RouterStatuses::new(text);
        assert_eq!(direct.len(), consensus.relays().len());
        for (one, other) in direct.iter().zip(consensus.relays()) {
            assert_eq!(one, other);
        }
    }
    let both = format!("{NS}\n{MICRODESC}");
    assert_eq!(RouterStatuses::new(both).iter().nth(9).unwrap().unwrap().items().count(), 6);
    let weights = NS.lines().find(|line| line.starts_with("bandwidth-weights")).unwrap();
    let old = NS.replace(&format!("directory-footer\n{weights}\n"), "");
    assert_eq!(consensus(&old).signatures().count(), 3);
    assert_eq!(consensus(&old).relays().iter().last().unwrap().unwrap().items().count(), 6);
}

#[test]
fn the_footer_of_a_consensus_is_read() {
    let consensus = consensus(MICRODESC);
    assert_eq!(consensus.bandwidth_weights().count(), 19);
    assert!(consensus.bandwidth_weights().all(|(weight, _)| weight.is_recognized()));
    assert_eq!(consensus.bandwidth_weight(&BandwidthWeight::Wbd), Some(3333));
    assert_eq!(consensus.bandwidth_weight(&"Wxx".into()), None);
    let signatures: Vec<_> = consensus.signatures().collect();
    assert_eq!(signatures.len(), 3);
    assert_eq!(signatures[0].algorithm, DigestAlgorithm::Sha256);
    assert_eq!(signatures[0].identity, consensus.authorities().next().unwrap().identity());
    assert_eq!(signatures[0].signing_key_digest[..2], [0xd9, 0xf4]);
    assert_eq!(signatures[0].signature.len(), 256);
    let sha1 = self::consensus(NS).signatures().next().unwrap();
    assert_eq!((sha1.algorithm, sha1.identity), (DigestAlgorithm::Sha1, signatures[0].identity));
}

#[test]
fn a_relay_is_found_by_its_fingerprint() {
    for text in [NS, MICRODESC, PUBLIC] {
        let consensus = consensus(text);
        for relay in consensus.relays().iter().flatten() {
            assert_eq!(consensus.relay(relay.identity()), Some(relay));
        }
        assert_eq!(consensus.relay(Fingerprint::from([0; 20])), None);
        assert_eq!(consensus.relay(Fingerprint::from([0xff; 20])), None);
    }
    let text = NS.replacen("\nr relay4 ", "\nr relay? ", 1);
    let damaged = consensus(&text);
    let relays: Vec<_> = damaged.relays().iter().flatten().collect();
    assert_eq!(relays.len(), 9);
    assert!(relays.iter().all(|relay| damaged.relay(relay.identity()).is_some()));
}

#[test]
fn the_digest_of_a_microdescriptor_is_read() {
    let relay = consensus(MICRODESC).relays().iter().next().unwrap().unwrap();
    assert_eq!(relay.microdescriptor_digest().unwrap()[..2], [0xfa, 0x40]);
    assert_eq!(relay.descriptor_digest(), None);
    let vote = Votes::new(VOTES).iter().next().unwrap().unwrap();
    let relay = vote.relays().iter().next().unwrap().unwrap();
    let digests: Vec<_> = relay.microdescriptor_digests().collect();
    assert_eq!((digests.len(), &*digests[0].methods), (1, &[32, 33, 34, 35][..]));
    assert_eq!(digests[0].sha256[..2], [0xfa, 0x40]);
    assert_eq!(relay.microdescriptor_digest(), None);
    assert_eq!(relay.ed25519_identity().unwrap()[..2], [0xd8, 0x4a]);
    assert!(!relay.has_no_ed25519_identity());
    let stats: Vec<_> = relay.stats().collect();
    assert_eq!(stats, [("wfu".into(), 0.0), ("tk".into(), 0.0), ("mtbf".into(), 0.0)]);
}

#[test]
fn a_vote_is_read() {
    let votes = Votes::new(VOTES);
    let vote = votes.iter().next().unwrap().unwrap();
    assert_eq!(vote.consensus_methods().collect::<Vec<_>>(), [32, 33, 34, 35]);
    assert_eq!(vote.published(), Some(since_1970(1_795_702_748)));
    assert_eq!(vote.vote_delay(), Some(Duration::from_secs(2)));
    let thresholds: Vec<_> = vote.flag_thresholds().collect();
    assert_eq!(thresholds.len(), 9);
    assert_eq!(thresholds[0], ("stable-uptime".into(), 3.0));
    let authority = vote.authority().unwrap();
    assert_eq!(authority.nickname().as_str(), "auth0");
    assert!(authority.vote_digest().is_none());
    let certificate = authority.key_certificate().unwrap();
    certificate.check().unwrap();
    assert_eq!(certificate.fingerprint(), Some(authority.identity()));
    assert!(vote.participates_in_shared_random());
    let commits: Vec<_> = vote.shared_random_commits().collect();
    assert_eq!((commits.len(), commits[0].version), (1, 1));
    assert_eq!(commits[0].algorithm, DigestAlgorithm::Sha3_256);
    assert_eq!((commits[0].identity, &commits[0].reveal), (authority.identity(), &None));
    assert_eq!(commits[0].commit.len(), 56);
    assert_eq!(vote.signatures().count(), 1);
    assert_eq!(format!("{vote:?}"), "Vote(auth0, 5517 bytes)");
    assert_eq!(vote.detached(), vote);
    let text = vote
        .to_string()
        .replace(
            "\nparams ",
            "\nbandwidth-file-headers timestamp=1 version=1.4.0\n\
             bandwidth-file-digest sha256=abc\nparams ",
        )
        .replace("guard-wfu=0.000%", "guard-wfu=98.000%")
        .replace(
            "\nshared-rand-participate",
            "\nlegacy-dir-key D586D18309DED4CD6D57C18FDB97EFA96D330566\nshared-rand-participate",
        );
    let vote = Vote::parse(text).unwrap();
    vote.check().unwrap();
    assert_eq!(vote.bandwidth_file_headers().nth(1), Some(("version".into(), "1.4.0".into())));
    assert_eq!(vote.bandwidth_file_digests().next(), Some(("sha256".into(), "abc".into())));
    assert_eq!(vote.flag_thresholds().nth(3), Some(("guard-wfu".into(), 0.98)));
    assert!(vote.authority().unwrap().legacy_dir_key().is_some());
    let old = Vote::parse(PUBLIC_VOTE).unwrap();
    let relay = old.relays().iter().next().unwrap().unwrap();
    assert_eq!(relay.version_text().as_deref(), Some("Tor 0.2.2.35"));
}

#[test]
fn a_key_certificate_is_read() {
    let certificates = KeyCertificates::new(CERTIFICATES);
    let certificate = certificates.iter().next().unwrap().unwrap();
    assert_eq!(certificate.version(), Some(3));
    assert_eq!(certificate.address(), "127.0.0.1:36867".parse().ok());
    let fingerprint = "9254EE57A57271927798FC0A15E3A5B4F8BFD825";
    assert_eq!(certificate.fingerprint().unwrap().to_string(), fingerprint);
    assert_eq!(certificate.published(), Some(since_1970(1_795_702_744)));
    assert_eq!(certificate.expires(), Some(since_1970(1_827_238_744)));
    let has = |text: Option<std::borrow::Cow<'_, str>>, label: &str| {
        text.unwrap().starts_with(&format!("-----BEGIN {label}-----"))
    };
    assert!(has(certificate.identity_key(), "RSA PUBLIC KEY"));
    assert!(has(certificate.signing_key(), "RSA PUBLIC KEY"));
    assert!(has(certificate.crosscert(), "ID SIGNATURE"));
    assert!(has(certificate.certification(), "SIGNATURE"));
    assert_eq!(format!("{certificate:?}"), format!("KeyCertificate({fingerprint})"));
    assert_eq!(
        KeyCertificate::parse("dir-key-certificate-version 4").unwrap_err().to_string(),
        "cannot read a key certificate: expected the line dir-key-certificate-version 3, got \
         \"dir-key-certificate-version 4\""
    );
}

#[test]
fn a_document_of_another_kind_is_an_error() {
    let error = |text: &str| Consensus::parse(text).unwrap_err().to_string();
    let version = "cannot read a consensus: expected the line network-status-version 3, got ";
    assert_eq!(error(""), format!("{version}\"\""));
    assert_eq!(error("network-status-version 2"), format!("{version}\"network-status-version 2\""));
    assert!(error(VOTES).contains("expected the line vote-status consensus"));
    let error = Vote::parse(NS).unwrap_err();
    assert_eq!((error.reading(), error.expected()), ("a vote", "the line vote-status vote"));
}

#[test]
fn a_consensus_is_read_from_an_input() {
    assert_eq!(Consensus::from_reader(NS.as_bytes()).unwrap(), consensus(NS));
    let problem = |error: crate::error::ReadError| format!("{:?}", error.problem());
    assert!(problem(Consensus::from_reader(VOTES.as_bytes()).unwrap_err()).contains("Malformed"));
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let error = Consensus::from_reader(endless).unwrap_err();
    assert_eq!(problem(error), "TooLong { limit: 67108864 }");
    let directory = std::fs::File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
    let error = Consensus::from_reader(std::io::BufReader::new(directory)).unwrap_err();
    assert!(problem(error).contains("Io("));
}

#[test]
fn the_check_names_the_wrong_line() {
    let of = |from: &str, to: &str| {
        let error = consensus(&MICRODESC.replacen(from, to, 1)).check().unwrap_err();
        (error.line(), error.expected().to_owned())
    };
    let wrong = |line, expected: &str| (Some(line), expected.to_owned());
    let valid_after = "valid-after DATE TIME";
    assert_eq!(of("valid-after 2026", "valid-after x026"), wrong(4, valid_after));
    assert_eq!(of("valid-after 2026-11-26 14:19:12\n", ""), (None, valid_after.to_owned()));
    let digest = "vote-digest and 40 hexadecimal digits";
    assert_eq!(of("vote-digest 0F", "vote-digest "), wrong(17, digest));
    assert_eq!(of("\nm +k", "\nx +k"), wrong(24, "an entry with a line m DIGEST"));
    assert_eq!(of("\nm +k", "\nm k"), wrong(25, "m [METHODS ..=]DIGEST"));
    assert_eq!(of("r auth0 J", "r auth0 z"), wrong(30, "relays sorted by identity, each once"));
    assert_eq!(of("w Bandwidth=0", "w Bandwidth=x"), wrong(29, "w Bandwidth=NUMBER .."));
    assert_eq!(of("Wbd=3333", "Wbd=33.3"), wrong(85, "bandwidth-weights [NAME=NUMBER ..]"));
    let signature = "directory-signature [ALGORITHM] IDENTITY DIGEST and a signature in PEM";
    assert_eq!(of("sha256 0D", "sha256 D"), wrong(86, signature));
    let unsigned = MICRODESC.split("directory-signature").next().unwrap();
    let error = consensus(unsigned).check().unwrap_err();
    assert_eq!((error.line(), error.expected()), (None, signature));
}

#[test]
fn an_unknown_line_of_each_section_is_returned() {
    let text = NS
        .replacen("\nknown-flags", "\nxx 1\nknown-flags", 1)
        .replacen("\ncontact", "\nyy 2\ncontact", 1)
        .replacen("\nw ", "\nzz 3\nw ", 1)
        .replacen("\nbandwidth-weights", "\nww 4\nbandwidth-weights", 1);
    let consensus = consensus(&text);
    let unknown: Vec<_> = consensus.unrecognized().map(|item| item.to_string()).collect();
    assert_eq!(unknown, ["xx 1", "yy 2", "zz 3", "ww 4"]);
    consensus.check().unwrap();
}

#[test]
fn a_detached_copy_is_equal() {
    let consensus = consensus(NS);
    let copy = consensus.detached();
    assert_eq!(copy, consensus);
    assert_eq!(copy.relays().len(), 10);
    assert_eq!(copy.to_string(), NS);
}

/// Calls every method.
fn read_everything(text: &[u8]) {
    for consensus in
        Consensus::parse(text).iter().chain(&Consensus::parse([NS.as_bytes(), text].concat()))
    {
        let _ = (consensus.check(), consensus.relay(Fingerprint::from([7; 20])));
        let _ = (consensus.params().count(), consensus.param_or_default("circwindow"));
        let _ = (consensus.known_flags().count(), consensus.packages().count());
        let _ = (consensus.client_versions().count(), consensus.server_versions().count());
        let _ = (consensus.shared_random_current(), consensus.vote_delay());
        let _ = (consensus.bandwidth_weights().count(), consensus.signatures().count());
        let _ =
            (consensus.required_client_protocols(), consensus.is_valid_at(SystemTime::UNIX_EPOCH));
        for authority in consensus.authorities() {
            let _ = (authority.hostname(), authority.contact(), authority.vote_digest());
        }
        for relay in consensus.relays().iter().flatten() {
            let _ = (relay.check(), relay.stats().count(), relay.weights().count());
        }
        assert!(consensus.unrecognized().count() <= consensus.items().count());
    }
    for vote in Votes::new(text).iter().flatten() {
        let _ = (vote.check(), vote.flag_thresholds().count(), vote.consensus_methods().count());
        let _ = (vote.shared_random_commits().count(), vote.bandwidth_file_headers().count());
        let _ = vote.authority().and_then(|authority| authority.key_certificate()?.expires());
    }
    for certificate in KeyCertificates::new(text).iter().flatten() {
        let _ = (certificate.check(), certificate.fingerprint(), certificate.address());
    }
}

#[test]
fn a_cut_at_every_line_panics_nowhere() {
    for text in [NS, MICRODESC, PUBLIC, VOTES, CERTIFICATES] {
        for (end, _) in text.match_indices('\n') {
            read_everything(&text.as_bytes()[..end]);
            read_everything(&text.as_bytes()[end..]);
        }
    }
}

proptest! {
    #[test]
    fn no_change_to_a_real_document_panics(
        text in sample::select(&[NS, MICRODESC, PUBLIC, VOTES, PUBLIC_VOTE, CERTIFICATES][..]),
        changes in proptest::collection::vec((any::<sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut changed = text.as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(changed.len());
            changed[place] = byte;
        }
        read_everything(&changed);
    }
}
