//! Consensuses, votes and bridge statuses, in parts or whole.

use super::{BRIDGES, CONSENSUS, SERVER, VOTE};
use crate::descriptor::{AnyDescriptor, Consensus, DescriptorReader, Vote};
use crate::error::ReadProblem;

#[test]
fn a_network_status_is_read_in_parts_or_whole() {
    let file = format!(
        "@type network-status-consensus-3 1.0\n{CONSENSUS}{VOTE}@type bridge-network-status 1.2\n\
         {BRIDGES}"
    );
    let mut parts = Vec::new();
    for part in DescriptorReader::<AnyDescriptor, _>::new(file.as_bytes()) {
        parts.push(match part.unwrap() {
            AnyDescriptor::ConsensusHeader(header) => {
                assert!(header.valid_after().is_some() && header.relays().is_empty());
                assert_eq!((header.authorities().count(), header.signatures().count()), (3, 0));
                "header"
            }
            AnyDescriptor::ConsensusFooter(footer) => {
                assert!(footer.valid_after().is_some() && footer.relays().is_empty());
                assert_eq!(
                    (footer.signatures().count(), footer.bandwidth_weights().count()),
                    (3, 19)
                );
                "footer"
            }
            AnyDescriptor::VoteHeader(header) => {
                assert!(header.authority().unwrap().key_certificate().is_some());
                "header of a vote"
            }
            AnyDescriptor::VoteFooter(footer) => {
                assert_eq!(footer.signatures().count(), 1);
                "footer of a vote"
            }
            AnyDescriptor::BridgeStatusHeader(header) => {
                assert!(header.published().is_some() && header.fingerprint().is_none());
                "header of a bridge status"
            }
            AnyDescriptor::RouterStatus(_) => "relay",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        parts.join(", "),
        "header, relay, relay, relay, footer, header of a vote, relay, relay, footer of a vote, \
         header of a bridge status, relay, relay"
    );
    let file = format!("@type network-status-consensus-3 1.0\n{CONSENSUS}{CONSENSUS}");
    let read: Vec<Consensus> =
        DescriptorReader::new(file.as_bytes()).collect::<Result<_, _>>().unwrap();
    let lengths: Vec<usize> = read.iter().map(|consensus| consensus.relays().len()).collect();
    assert_eq!(lengths, [3, 3]);
    assert_eq!(read[1].as_bytes(), CONSENSUS.as_bytes());
    let read: Vec<Vote> = DescriptorReader::new(VOTE.as_bytes()).collect::<Result<_, _>>().unwrap();
    assert_eq!((read.len(), read[0].relays().len()), (1, 2));
    let cut = CONSENSUS.get(..CONSENSUS.len() - 10).unwrap();
    let mut reader = DescriptorReader::<Consensus, _>::new(cut.as_bytes());
    let error = reader.next().unwrap().unwrap_err();
    assert!(matches!(error.problem(), ReadProblem::Truncated { .. }) && reader.next().is_none());
}

#[test]
fn a_wrong_line_of_a_header_or_footer_is_named_by_its_number_in_the_file() {
    for keyword in ["valid-after", "vote-digest", "bandwidth-weights", "directory-signature"] {
        let line = CONSENSUS.lines().position(|line| line.starts_with(keyword)).unwrap();
        let mut lines: Vec<String> = CONSENSUS.lines().map(|line| format!("{line}\n")).collect();
        lines[line] = format!("{keyword} !\n");
        let file = format!("{SERVER}{}{SERVER}", lines.concat());
        let mut errors = Vec::new();
        let mut others = 0;
        for part in DescriptorReader::<AnyDescriptor, _>::new(file.as_bytes()) {
            match part {
                Ok(_) => others += 1,
                Err(error) => errors.push(error),
            }
        }
        let [error] = errors.as_slice() else { panic!("{keyword}: {errors:?}") };
        let expected = SERVER.lines().count() + line + 1;
        assert_eq!(error.wrong_line(), u64::try_from(expected).unwrap(), "{keyword}: {error:?}");
        // Two descriptors, three entries, and the header or the footer.
        assert_eq!(others, 6, "{keyword}");
    }
}
