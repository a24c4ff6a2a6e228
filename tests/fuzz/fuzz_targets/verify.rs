//! Recorded documents with changes: what is verified is what was signed.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use torcon::descriptor::{
    Consensus, ExtraInfo, KeyCertificate, KeyCertificates, OnionDescriptor, RelayIdentity,
    ServerDescriptor, Vote,
};
use torcon::names::{Fingerprint, OnionKey, TimePeriod};

macro_rules! recorded {
    ($path:literal) => {
        include_str!(concat!("../../../src/descriptor/", $path))
    };
}

const SERVER: &str = recorded!("tests/server_family.txt");
const OLD_SERVER: &str = recorded!("tests/server_2005.txt");
const EXTRA_INFO: &str = recorded!("verify/tests/extra_info.txt");
const CERTIFICATES: &str = recorded!("verify/tests/certificates.txt");
const CONSENSUS: &str = recorded!("verify/tests/consensus.txt");
const MICRODESC_CONSENSUS: &str = recorded!("verify/tests/microdesc_consensus.txt");
const VOTE: &str = recorded!("verify/tests/vote.txt");
/// The descriptor of a service with the key of seed 69.
const ONION: &str = recorded!("onion/tests/recorded.txt");

/// A document, and a change of it. Places and line numbers count from the start again at the end.
#[derive(Debug, Arbitrary)]
struct Input {
    document: u8,
    changes: Vec<Change>,
}

#[derive(Debug, Arbitrary)]
enum Change {
    Replace {
        place: u16,
        byte: u8,
    },
    Insert {
        place: u16,
        text: Vec<u8>,
    },
    Remove {
        place: u16,
        length: u8,
    },
    Line {
        place: u16,
        line: Vec<u8>,
    },
    RemoveLine {
        place: u16,
    },
    /// Copies a line of a recorded document to another place.
    CopyLine {
        document: u8,
        from: u16,
        to: u16,
    },
}

struct Known {
    certificates: Vec<KeyCertificate>,
    authorities: Vec<Fingerprint>,
    relay: RelayIdentity,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let certificates: Vec<_> = KeyCertificates::new(CERTIFICATES).iter().flatten().collect();
    Known {
        authorities: certificates.iter().filter_map(KeyCertificate::fingerprint).collect(),
        certificates,
        relay: ServerDescriptor::parse(SERVER).unwrap().verify(then()).unwrap(),
    }
});

/// The text of a recorded document, and the part of it that is signed.
struct Recorded {
    text: Vec<u8>,
    signed: Vec<u8>,
}

/// The documents by their numbers. Each is valid.
static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    let read = |choice| {
        let (recorded, end) = document(choice);
        let mut text = recorded.as_bytes().to_vec();
        // The first of several certificates.
        if recorded == CERTIFICATES {
            text.truncate(KNOWN.certificates[0].as_bytes().len());
        }
        assert!(verify(choice, text.clone()));
        let signed = without_annotations(&text);
        let length = String::from_utf8_lossy(signed).find(end).unwrap() + end.len();
        Recorded { signed: signed[..length].to_vec(), text }
    };
    (0..8).map(read).collect()
});

/// When the documents were made: 2026-11-26 14:20:30.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_702_830)
}

/// Returns a recorded document, and the end of the part that is signed.
fn document(choice: u8) -> (&'static str, &'static str) {
    match choice % 8 {
        0 => (SERVER, "\nrouter-signature\n"),
        1 => (OLD_SERVER, "\nrouter-signature\n"),
        2 => (EXTRA_INFO, "\nrouter-signature\n"),
        3 => (CERTIFICATES, "\ndir-key-certification\n"),
        4 => (CONSENSUS, "\ndirectory-signature "),
        5 => (MICRODESC_CONSENSUS, "\ndirectory-signature "),
        6 => (VOTE, "\ndirectory-signature "),
        _ => (ONION, "\nsignature "),
    }
}

fn is_annotation(line: &&[u8]) -> bool {
    line.starts_with(b"@") || line.trim_ascii().is_empty()
}

/// Returns the text without the annotations in front of it.
fn without_annotations(text: &[u8]) -> &[u8] {
    let annotations = text.split_inclusive(|byte| *byte == b'\n').take_while(is_annotation);
    &text[annotations.map(<[u8]>::len).sum()..]
}

impl Change {
    fn apply(&self, text: &mut Vec<u8>) {
        let place = |place: u16| usize::from(place) % (text.len() + 1);
        // The start of the line at a place.
        let line = |at: u16| {
            let before = &text[..place(at)];
            before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
        };
        let end_of = |start: usize| {
            let rest = &text[start..];
            rest.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| start + end + 1)
        };
        let (range, new) = match self {
            Self::Replace { place: at, byte } => {
                let start = place(*at);
                (start..text.len().min(start + 1), vec![*byte])
            }
            Self::Insert { place: at, text } => (place(*at)..place(*at), text.clone()),
            Self::Remove { place: at, length } => {
                let start = place(*at);
                (start..text.len().min(start + usize::from(*length)), Vec::new())
            }
            Self::Line { place, line: new } => {
                (line(*place)..line(*place), [new, &b"\n"[..]].concat())
            }
            Self::RemoveLine { place } => (line(*place)..end_of(line(*place)), Vec::new()),
            Self::CopyLine { document: choice, from, to } => {
                let lines: Vec<_> = document(*choice).0.split_inclusive('\n').collect();
                let copied = lines[usize::from(*from) % lines.len()];
                (line(*to)..line(*to), copied.as_bytes().to_vec())
            }
        };
        text.splice(range, new);
    }
}

/// Verifies a text as this document. Returns whether it is valid.
fn verify(choice: u8, text: Vec<u8>) -> bool {
    let Known { certificates, authorities, relay } = &*KNOWN;
    let at = then();
    match choice % 8 {
        0 | 1 => ServerDescriptor::parse(text).is_ok_and(|it| it.verify(at).is_ok()),
        2 => ExtraInfo::parse(text).is_ok_and(|it| it.verify(relay, at).is_ok()),
        3 => KeyCertificate::parse(text).is_ok_and(|it| it.verify(at).is_ok()),
        4 | 5 => {
            let Ok(consensus) = Consensus::parse(text) else { return false };
            let Ok(signers) = consensus.verify(certificates, authorities, at) else { return false };
            let signed = signers.authorities();
            assert!(signed.len() >= signers.needed() && signers.needed() > authorities.len() / 2);
            assert!(signed.iter().all(|signer| authorities.contains(signer)));
            true
        }
        6 => Vote::parse(text).is_ok_and(|it| it.verify(authorities, at).is_ok()),
        _ => {
            let service = OnionKey::from_seed([69; 32]).address();
            let period = TimePeriod::new(41_566, 720);
            OnionDescriptor::parse(text).is_ok_and(|it| it.verify(&service, period, at).is_ok())
        }
    }
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let recorded = &RECORDED[usize::from(input.document % 8)];
    let mut text = recorded.text.clone();
    for change in &input.changes {
        change.apply(&mut text);
    }
    if verify(input.document, text.clone()) {
        assert!(without_annotations(&text).starts_with(&recorded.signed), "{text:?}");
    }
});
