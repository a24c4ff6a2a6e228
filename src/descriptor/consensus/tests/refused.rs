//! Documents that tor refuses or that are rare.

use super::super::{Consensus, Vote};
use super::{MICRODESC, NS, VOTES};
use crate::descriptor::{KeyCertificates, RouterStatus, Votes};

/// Returns the number of the wrong line of a changed consensus.
fn wrong_line(text: &str, from: &str, to: &str) -> Option<usize> {
    assert!(text.contains(from), "{from}");
    let changed = text.replacen(from, to, 1);
    Consensus::parse(changed).unwrap().check().expect_err(to).line()
}

#[test]
fn a_line_that_only_begins_with_directory_ends_no_section() {
    for before in ["valid-after ", "dir-source ", "s "] {
        let text = NS.replacen(&format!("\n{before}"), &format!("\ndirectory-x y\n{before}"), 1);
        let consensus = Consensus::parse(text).unwrap();
        assert_eq!(consensus.relays().len(), 10, "{before}");
        assert!(consensus.valid_after().is_some());
        assert_eq!(consensus.unrecognized().count(), 1);
    }
}

#[test]
fn the_line_vote_status_can_have_more_arguments() {
    let text = NS.replacen("vote-status consensus", "vote-status consensus more", 1);
    Consensus::parse(text).unwrap().check().unwrap();
}

#[test]
fn the_check_refuses_what_tor_refuses() {
    assert!(wrong_line(NS, "known-flags Authority", "known-flags Zero Authority").is_some());
    assert!(wrong_line(NS, "known-flags Authority", "known-flags Authority Authority").is_some());
    for params in ["b=1 a=1", "a=1 a=2"] {
        let changed = format!("\nparams {params}\ndir-source ");
        assert!(wrong_line(NS, "\ndir-source ", &changed).is_some());
    }
    assert!(wrong_line(NS, "w Bandwidth=", "w Measured=x Bandwidth=").is_some());
    assert!(wrong_line(NS, "w Bandwidth=", "w Bandwidth=x Bandwidth=").is_some());
    let line = wrong_line(NS, "bandwidth-weights", "directory-signature").unwrap();
    assert!(NS.lines().nth(line - 1).unwrap().starts_with("bandwidth-weights"));
    let both = Consensus::parse(format!("{NS}\n{NS}")).unwrap();
    assert!(both.check().unwrap_err().line() > Some(NS.lines().count()));
    let (header, _) = NS.split_once("dir-source").unwrap();
    let (_, rest) = NS.split_once("\nr ").unwrap();
    let text = format!("{header}r {rest}");
    let error = Consensus::parse(text).unwrap().check().unwrap_err();
    assert_eq!(error.expected(), "at least one line dir-source");
    let first = NS.lines().find(|line| line.starts_with("vote-digest")).unwrap();
    let error = Consensus::parse(NS.replacen(&format!("{first}\n"), "", 1)).unwrap().check();
    assert_eq!(error.unwrap_err().expected(), "vote-digest and 40 hexadecimal digits");
}

#[test]
fn the_check_reads_every_word_of_an_r_line() {
    let entry = |words: &str| {
        let text = format!("r moria1 lpXfw1/+uGEym58asExGOXAgzjE {words} 128.31.0.39 9101 0\ns\n");
        RouterStatus::parse(text).unwrap().check().is_ok()
    };
    let digest = "yuv8ybG1CmGaoRvZdYbzWDmZyzo";
    assert!(entry("2038-01-01 00:00:00"));
    assert!(entry(&format!("{digest} 2038-01-01 00:00:00")));
    assert!(!entry("2038-13-01 00:00:00"));
    assert!(!entry("2038-01-01 0:0"));
    assert!(!entry(&format!("{digest} soon 00:00:00")));
    assert!(!entry("digest 2038-01-01 00:00:00"));
}

#[test]
fn an_entry_of_a_vote_has_a_digest() {
    let vote = Votes::new(VOTES).iter().next().unwrap().unwrap().to_string();
    let line = vote.lines().find(|line| line.starts_with("r ")).unwrap();
    let digest = line.split(' ').nth(3).unwrap();
    let vote = Vote::parse(vote.replacen(&format!(" {digest}"), "", 1)).unwrap();
    assert_eq!(vote.check().unwrap_err().expected(), "an r line with a digest");
}

#[test]
fn a_key_certificate_ends_with_its_certification() {
    let certificates = KeyCertificates::new(format!("{}extra\n", super::CERTIFICATES));
    let last = certificates.iter().last().unwrap().unwrap();
    assert_eq!(last.check().unwrap_err().expected(), "the end of the document");
}

#[test]
fn a_malformed_entry_hides_no_other() {
    for text in [NS, MICRODESC] {
        let whole = Consensus::parse(text).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("r ")).collect();
        for mask in 0_u32..1024 {
            let mut damaged = text.to_owned();
            for (position, line) in lines.iter().enumerate() {
                if mask & (1 << position) > 0 {
                    damaged = damaged.replacen(line, "r damaged", 1);
                }
            }
            let damaged = Consensus::parse(damaged).unwrap();
            for (position, relay) in whole.relays().iter().flatten().enumerate() {
                let found = damaged.relay(relay.identity());
                assert_eq!(found.is_none(), mask & (1 << position) > 0, "{mask}");
            }
        }
    }
}

#[test]
fn a_consensus_names_a_vote_by_its_digest() {
    let consensus = Consensus::parse(include_str!("../../verify/tests/consensus.txt")).unwrap();
    let vote = Vote::parse(include_str!("../../verify/tests/vote.txt")).unwrap();
    let identity = vote.authority().unwrap().identity();
    let named = consensus.authorities().find(|named| named.identity() == identity).unwrap();
    assert!(named.vote_digest().is_some() && named.vote_digest() == vote.digest());
    let unsigned = Vote::parse("network-status-version 3\nvote-status vote\n").unwrap();
    assert_eq!((unsigned.digest(), unsigned.digest_sha256()), (None, None));
    assert!(consensus.digest_sha256().is_some());
}
