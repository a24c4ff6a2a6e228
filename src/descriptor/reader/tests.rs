mod network_status;

use std::io::{self, BufReader, Read};

use proptest::prelude::{prop_assert_eq, proptest};

use super::{AnyDescriptor, DescriptorEntry, DescriptorReader};
use crate::descriptor::{
    ExtraInfo, KeyCertificate, Microdescriptor, RouterStatus, ServerDescriptor,
};
use crate::error::{Error, ReadError, ReadProblem};
use crate::names::CONTROLS;

const SERVER: &str = include_str!("../tests/server.txt");
const EXTRA: &str = include_str!("../tests/damage/extra-info.txt");
const MICRO: &str = include_str!("../tests/damage/microdescriptor.txt");
const CONSENSUS: &str = include_str!("../tests/damage/consensus.txt");
const CERTIFICATE: &str = include_str!("../tests/damage/key-certificate.txt");
const VOTE: &str = include_str!("../tests/damage/vote.txt");
const BRIDGE: &str = "router Unnamed 10.18.111.71 9001 0 0\n\
    platform Tor 0.4.8.12 on Linux\n\
    published 2026-11-23 19:05:47\n\
    fingerprint 00F1 CD29 AD30 8A59 A9AB 5A88 B49E CB46 E0F2 215F\n\
    bandwidth 1 2 3\n\
    router-digest 00F1CD29AD308A59A9AB5A88B49ECB46E0F2215F\n\
    reject *:*\n";
const BRIDGES: &str = "published 2026-11-23 19:05:47\n\
    flag-thresholds stable-uptime=3\n\
    r Unnamed ABSiBVJ42z6w5Z6nAXQUFq8YVVg FI74aFuNJZZQrgln0f+OaocMd0M 2026-05-31 15:57:00 \
    10.97.236.247 443 0\n\
    s Valid\n\
    r Second ABSiBVJ42z6w5Z6nAXQUFq8YVVg FI74aFuNJZZQrgln0f+OaocMd0M 2026-05-31 15:57:00 \
    10.97.236.247 443 0\n\
    s Fast Valid\n";

/// Returns the first two words of the first line that is no annotation.
fn name(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let first = text.lines().find(|line| !line.starts_with('@')).unwrap_or_default();
    first.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn length(text: &str) -> u64 {
    text.len().try_into().unwrap()
}

fn lines(text: &str) -> u64 {
    text.lines().count().try_into().unwrap()
}

trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($document:ident),*) => {
        $(impl Shown for $document {
            fn shown(&self) -> String {
                name(self.as_bytes())
            }
        })*
    };
}

shown!(ServerDescriptor, ExtraInfo, Microdescriptor, RouterStatus, KeyCertificate, AnyDescriptor);

fn show<D: Shown>(outcome: Result<D, ReadError>) -> String {
    match outcome {
        Ok(document) => document.shown(),
        Err(error) => format!("{:#}", Error::from(error)),
    }
}

/// Reads a file: the beginning of each document, or the text of its error.
fn read<D: DescriptorEntry + Shown>(file: impl AsRef<[u8]>) -> Vec<String> {
    let file = file.as_ref();
    let whole: Vec<String> = DescriptorReader::<D, _>::new(file).map(show).collect();
    for capacity in [1, 2, 7, 600] {
        let input = BufReader::with_capacity(capacity, file);
        let parts: Vec<String> = DescriptorReader::<D, _>::new(input).map(show).collect();
        assert_eq!(parts, whole, "a buffer of {capacity} bytes");
    }
    whole
}

fn any(file: impl AsRef<[u8]>) -> Vec<String> {
    read::<AnyDescriptor>(file)
}

#[test]
fn the_documents_of_a_file_are_read_with_their_annotations() {
    let annotated = format!("@downloaded-at 2026-11-23 19:05:47\n@source \"x\"\n{SERVER}");
    let file = format!("{annotated}{SERVER}\n\n{annotated}");
    let mut reader = DescriptorReader::<ServerDescriptor, _>::new(file.as_bytes());
    let mut read = Vec::new();
    while let Some(descriptor) = reader.next() {
        read.push((descriptor.unwrap().to_string(), reader.offset(), reader.line()));
    }
    let (long, short) = (length(&annotated), length(SERVER));
    let lines = lines(SERVER);
    assert_eq!(
        read,
        [
            (annotated.clone(), 0, 1),
            (SERVER.to_owned(), long, lines + 3),
            (annotated, long + short + 2, 2 * lines + 5),
        ]
    );
    assert!(reader.next().is_none() && reader.document_type().is_none());
    assert!(reader.input().is_empty());
}

#[test]
fn the_entries_of_a_consensus_are_read_without_its_header_and_footer() {
    let relays = ["r auth0", "r auth2", "r relay4"];
    assert_eq!(read::<RouterStatus>(CONSENSUS), relays);
    let last = DescriptorReader::<RouterStatus, _>::new(CONSENSUS.as_bytes()).last();
    assert!(last.unwrap().unwrap().to_string().ends_with("\np reject 1-65535\n"));
    assert_eq!(read::<RouterStatus>(format!("{CONSENSUS}{CONSENSUS}")), [relays, relays].concat());
    assert_eq!(read::<RouterStatus>(format!("{BRIDGES}{BRIDGES}")).len(), 4);
    assert_eq!(read::<RouterStatus>(VOTE).len(), 2);
    let entries = CONSENSUS.split_once("\nr ").unwrap().1;
    let entries = format!("r {}\n", entries.split_once("\ndirectory-footer").unwrap().0);
    assert_eq!(read::<RouterStatus>(entries), relays);
}

#[test]
fn a_file_of_collector_names_the_types_of_its_documents() {
    let file = format!(
        "@type server-descriptor 1.0\n{SERVER}@type bridge-server-descriptor 1.2\n{BRIDGE}\
         @type extra-info 1.0\n{EXTRA}@type bridge-network-status 1.2\n{BRIDGES}"
    );
    let mut reader = DescriptorReader::<AnyDescriptor, _>::new(file.as_bytes());
    let mut types = Vec::new();
    while let Some(document) = reader.next() {
        document.unwrap();
        types.push(reader.document_type().unwrap().to_owned());
    }
    types.dedup();
    assert_eq!(
        types,
        [
            "server-descriptor 1.0",
            "bridge-server-descriptor 1.2",
            "extra-info 1.0",
            "bridge-network-status 1.2",
        ]
    );
}

#[test]
fn line_ends_and_a_byte_order_mark_make_no_difference() {
    let file = format!("{SERVER}{BRIDGE}{SERVER}");
    let names = ["router relay1", "router Unnamed", "router relay1"];
    assert_eq!(any(&file), names);
    assert_eq!(any(file.replace('\n', "\r\n")), names);
    assert_eq!(any(file.trim_end()), names);
    assert_eq!(any(format!("\u{feff}{file}")), names);
    assert_eq!(any(format!("\n\r\n{file}\n\n\r\n")), names);
    let mut reader = DescriptorReader::<AnyDescriptor, _>::new("\u{feff}x".as_bytes());
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!((error.offset(), error.line()), (3, 1));
    for nothing in ["", "\n", "\r\n\n", "\u{feff}"] {
        assert!(any(nothing).is_empty(), "{nothing:?}");
    }
}

#[test]
fn a_file_that_is_cut_is_an_error_behind_its_documents() {
    let cut = |text: &str, length| text.get(..text.len() - length).unwrap().to_owned();
    // Within the last line, and between two lines.
    for lost in [2, 20, 100] {
        assert_eq!(
            any(cut(SERVER, lost)),
            ["invalid document at line 1 (byte 0): a server descriptor ends without \
                 router-signature or router-digest"]
        );
    }
    let file = format!("{MICRO}{}", cut(MICRO, 1));
    assert_eq!(
        any(file),
        [
            "onion-key",
            "invalid document at line 13 (byte 576): a microdescriptor ends without the end of its \
             last line"
        ]
    );
    let entries = ["r auth0", "r auth2", "r relay4"].map(str::to_owned).to_vec();
    let footer = CONSENSUS.find("directory-footer").unwrap();
    let problem = "invalid document at line 1 (byte 0): a network status ends without \
                   directory-signature";
    assert_eq!(
        read::<RouterStatus>(CONSENSUS.get(..footer).unwrap()),
        [&entries[..], &[problem.to_owned()]].concat()
    );
    let signature = format!(
        "invalid document at line 42 (byte {footer}): a network status ends without \
         directory-signature"
    );
    for length in [footer + 20, CONSENSUS.len() - 30, CONSENSUS.len() - 2] {
        assert_eq!(
            read::<RouterStatus>(CONSENSUS.get(..length).unwrap()),
            [&entries[..], std::slice::from_ref(&signature)].concat(),
            "{length}"
        );
    }
    assert_eq!(read::<RouterStatus>(cut(CONSENSUS, 1)), entries);
    assert_eq!(
        read::<RouterStatus>(cut(BRIDGES, 1)),
        [
            "r Unnamed",
            "invalid document at line 5 (byte 176): a router status ends without the end of its \
             last line"
        ]
    );
}

#[test]
fn a_document_within_another_ends_it() {
    let half = SERVER.split_at(400).0;
    let error = "invalid document at line 1 (byte 0): a server descriptor ends without \
                 router-signature or router-digest";
    assert_eq!(any(format!("{half}\n{SERVER}")), [error, "router relay1"]);
    assert_eq!(any(format!("{half}\n@source \"x\"\n{SERVER}")), [error, "router relay1"]);
    assert_eq!(any(format!("{half}\n{EXTRA}")), [error, "extra-info relay4"]);
}

#[test]
fn errors_show_the_text_of_a_document_without_its_control_characters() {
    let text = CONTROLS;
    let escaped = text.as_bytes().escape_ascii().to_string();
    let router = SERVER.lines().find(|line| line.starts_with("router ")).unwrap();
    for (file, problem) in [
        (format!("{text}\n"), "Unexpected"),
        (format!("@type {text} 1.0\n{SERVER}"), "Unsupported"),
        (SERVER.replace(router, &format!("router {text}")), "Malformed"),
    ] {
        let errors = DescriptorReader::<AnyDescriptor, _>::new(file.as_bytes());
        let error = errors.filter_map(Result::err).next().unwrap();
        assert!(format!("{:?}", error.problem()).starts_with(problem), "{error:?}");
        let shown = format!("{:#}", Error::from(error));
        assert!(shown.contains(&escaped) && shown.is_ascii(), "{shown:?}");
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
    let file = format!("@type server-descriptor {text}\n{SERVER}");
    let mut reader = DescriptorReader::<AnyDescriptor, _>::new(file.as_bytes());
    reader.next().unwrap().unwrap();
    assert_eq!(reader.document_type(), Some(&*format!("server-descriptor {escaped}")));
}

#[test]
fn lines_of_no_document_are_one_error() {
    let garbage = "HTTP/1.0 200 OK\r\nonion-key\npublished 2026-11-23 19:05:47\nr x\n\0\0\0\n";
    let error = |line, byte| {
        format!(
            "invalid document at line {line} (byte {byte}): expected the first line of a document, \
             got \"HTTP/1.0 200 OK\""
        )
    };
    assert_eq!(any(garbage), [error(1, 0)]);
    let file = format!("{garbage}{SERVER}{garbage}{SERVER}{garbage}");
    let lines = SERVER.lines().count();
    assert_eq!(
        any(&file),
        [
            error(1, 0),
            "router relay1".to_owned(),
            error(lines + 6, garbage.len() + SERVER.len()),
            "router relay1".to_owned(),
            error(2 * lines + 11, 2 * (garbage.len() + SERVER.len())),
        ]
    );
    let annotation = "@type server-descriptor 1.0\n";
    assert_eq!(
        any(format!("{annotation}{garbage}{annotation}{SERVER}{annotation}")),
        [
            "invalid document at line 1 (byte 0): expected the first line of a document, got \
             \"HTTP/1.0 200 OK\"",
            "router relay1",
            &format!(
                "invalid document at line {} (byte {}): expected the first line of a document, got \
                 \"@type server-descriptor 1.0\\n\"",
                lines + 8,
                2 * annotation.len() + garbage.len() + SERVER.len(),
            ),
        ]
    );
}

#[test]
fn microdescriptors_follow_lines_of_no_document() {
    assert_eq!(read::<Microdescriptor>(format!("x\nonion-key\n{MICRO}")).len(), 3);
    let file = format!("{MICRO}@source\nx\nonion-key\nid ed25519 x\n");
    assert_eq!(any(file).len(), 3);
}

#[test]
fn documents_of_another_kind_are_one_error() {
    let found = |kind: &str, line: usize, byte: usize| {
        format!(
            "invalid document at line {line} (byte {byte}): it is {kind}, which this reader does \
             not read"
        )
    };
    let file = MICRO.repeat(3);
    assert_eq!(read::<ServerDescriptor>(&file), [found("a microdescriptor", 1, 0)]);
    assert_eq!(read::<Microdescriptor>(SERVER), [found("a server descriptor", 1, 0)]);
    assert_eq!(read::<ExtraInfo>(CONSENSUS), [found("a network status", 1, 0)]);
    let file = format!("{SERVER}{EXTRA}{EXTRA}{SERVER}{EXTRA}");
    let lines = (SERVER.lines().count(), EXTRA.lines().count());
    assert_eq!(
        read::<ServerDescriptor>(file),
        [
            "router relay1".to_owned(),
            found("an extra-info document", lines.0 + 1, SERVER.len()),
            "router relay1".to_owned(),
            found(
                "an extra-info document",
                2 * (lines.0 + lines.1) + 1,
                2 * (SERVER.len() + EXTRA.len())
            ),
        ]
    );
}

#[test]
fn documents_of_an_unsupported_type_are_one_error() {
    let measured = "@type torperf 1.1\nSOURCE=x\nrouter x\n";
    let file = format!("{measured}{measured}@type server-descriptor 1.0\n{SERVER}{measured}");
    assert_eq!(
        any(file),
        [
            "invalid document at line 1 (byte 0): documents of the type torperf 1.1 are not \
             supported",
            "router relay1",
            "invalid document at line 59 (byte 2355): documents of the type torperf 1.1 are not \
             supported",
        ]
    );
}

#[test]
fn compressed_files_and_archives_are_one_error() {
    let tar = [&[b'a'; 257][..], b"ustar\0", &[0; 1000]].concat();
    let files: [(&[u8], &str); 8] = [
        (b"\x1f\x8b\x08\0\0\0\n\n", "compressed by gzip"),
        (b"\xfd7zXZ\0\0\x04", "compressed by xz"),
        (b"\x28\xb5\x2f\xfd\0\x58", "compressed by zstd"),
        (b"BZh91AY&SY", "compressed by bzip2"),
        (b"\x78\x9c\n\n", "compressed by zlib"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\xff\xfer\0o\0u\0t\0e\0r\0\n\0", "UTF-16"),
        (&tar, "a tar archive"),
    ];
    for (file, format) in files {
        let long = [file, &b"\n1\n2\n".repeat(500)].concat();
        assert_eq!(
            any(long),
            [format!(
                "invalid document at line 1 (byte 0): the input is not the text of documents, but \
                 {format}; unpack it first"
            )]
        );
    }
    let error = DescriptorReader::<AnyDescriptor, _>::new(&tar[..]).next().unwrap().unwrap_err();
    assert!(error.is_final());
}

#[test]
fn a_wrong_line_is_named_by_its_number_in_the_file() {
    let broken = SERVER.replace("router relay1 127.0.0.1", "router relay1 127.0.0");
    let lines = lines(SERVER);
    let file = format!("{SERVER}@source \"x\"\n{broken}{SERVER}");
    let mut reader = DescriptorReader::<ServerDescriptor, _>::new(file.as_bytes());
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.offset(), length(SERVER));
    assert_eq!((error.line(), error.wrong_line()), (lines + 1, lines + 2));
    assert!(matches!(error.problem(), ReadProblem::Malformed(_)) && !error.is_final());
    assert!(reader.next().unwrap().is_ok());
    let broken = MICRO.replace("ntor-onion-key ", "ntor-onion-key !");
    assert_eq!(
        any(format!("{MICRO}{broken}"))[1].split(": ").nth(2),
        Some("line 20"),
        "{:?}",
        any(format!("{MICRO}{broken}"))
    );
    let unchecked = DescriptorReader::<Microdescriptor, _>::new(broken.as_bytes()).without_checks();
    assert_eq!(
        unchecked.map(|outcome| outcome.unwrap().ntor_onion_key()).collect::<Vec<_>>(),
        [None]
    );
}

#[test]
fn a_nul_byte_is_a_wrong_line() {
    let file = SERVER.replace("contact none", "contact n\0ne");
    let error = any(&file).remove(0);
    let line = 1 + SERVER.lines().position(|line| line.starts_with("contact")).unwrap();
    assert_eq!(
        error,
        format!(
            "invalid document at line 1 (byte 0): cannot read a server descriptor: line {line}: \
             expected a line without NUL bytes, got \"\\x00ne@example.invalid\""
        )
    );
}

#[test]
fn a_document_beyond_the_limit_is_skipped() {
    let long = SERVER.replace("contact ", &format!("contact {}", "x".repeat(5000)));
    let file = format!("{SERVER}{long}{SERVER}");
    let limit = SERVER.len() + 100;
    let reader = DescriptorReader::<ServerDescriptor, _>::new(file.as_bytes()).with_limit(limit);
    let read: Vec<String> = reader.map(show).collect();
    let line = SERVER.lines().count() + 1;
    assert_eq!(
        read,
        [
            "router relay1".to_owned(),
            format!(
                "invalid document at line {line} (byte {}): it exceeds the limit of {limit} bytes; \
                 raise DescriptorReader::with_limit if it is valid",
                SERVER.len()
            ),
            "router relay1".to_owned(),
        ]
    );
    let exact = DescriptorReader::<ServerDescriptor, _>::new(SERVER.as_bytes());
    assert!(exact.with_limit(SERVER.len()).next().unwrap().is_ok());
    for limit in [0, 1, 10, SERVER.len() - 1] {
        let reader = DescriptorReader::<ServerDescriptor, _>::new(file.as_bytes());
        assert_eq!(reader.with_limit(limit).filter(Result::is_ok).count(), 0, "{limit}");
    }
}

/// Fails after the first part of an input, or interrupts each read.
struct Failing<'a> {
    rest: &'a [u8],
    kind: io::ErrorKind,
    interrupted: bool,
}

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match self.rest.read(buffer)? {
            0 => Err(self.kind.into()),
            length => Ok(length),
        }
    }
}

#[test]
fn an_error_of_the_input_ends_the_reader() {
    let file = format!("{SERVER}{SERVER}router");
    let input =
        Failing { rest: file.as_bytes(), kind: io::ErrorKind::TimedOut, interrupted: false };
    let mut reader = DescriptorReader::<ServerDescriptor, _>::new(BufReader::new(input));
    assert!(reader.next().unwrap().is_ok() && reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert!(error.is_final());
    assert_eq!(error.offset(), 2 * length(SERVER));
    let error = io::Error::from(Error::from(error));
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(reader.next().is_none());
    let input = Failing { rest: b"", kind: io::ErrorKind::IsADirectory, interrupted: false };
    let mut reader = DescriptorReader::<AnyDescriptor, _>::new(BufReader::new(input));
    assert!(reader.next().unwrap().unwrap_err().is_final() && reader.next().is_none());
}

#[test]
fn every_byte_of_whole_documents_is_in_one_of_them() {
    let file = format!(
        "@type extra-info 1.0\n{EXTRA}{SERVER}{MICRO}{CERTIFICATE}{CONSENSUS}{VOTE}{CERTIFICATE}"
    );
    let mut together = Vec::new();
    let mut header = 0;
    for document in DescriptorReader::<AnyDescriptor, _>::new(file.as_bytes()) {
        let document = document.unwrap();
        let bytes = document.as_bytes();
        let is_footer =
            matches!(document, AnyDescriptor::ConsensusFooter(_) | AnyDescriptor::VoteFooter(_));
        // A footer repeats its header.
        together.extend_from_slice(if is_footer { &bytes[header..] } else { bytes });
        if matches!(document, AnyDescriptor::ConsensusHeader(_) | AnyDescriptor::VoteHeader(_)) {
            header = bytes.len();
        }
    }
    assert_eq!(String::from_utf8(together).unwrap(), file);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_all_buffers_read_the_same(file: Vec<u8>) {
        any(file);
    }

    #[test]
    fn damage_in_one_document_affects_no_other(
        at in 0..SERVER.len(),
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        removed in 0..200_usize,
    ) {
        let mut damaged = SERVER.as_bytes().to_vec();
        let end = (at + removed).min(damaged.len() - 1);
        damaged.splice(at.min(end)..end, bytes);
        if damaged.last() != Some(&b'\n') {
            damaged.push(b'\n');
        }
        let file = [SERVER.as_bytes(), &damaged, SERVER.as_bytes()].concat();
        let read = read::<ServerDescriptor>(file);
        prop_assert_eq!(read.first().unwrap(), "router relay1");
        prop_assert_eq!(read.last().unwrap(), "router relay1");
    }
}

#[test]
fn lines_are_counted_across_empty_ones_between_annotations() {
    let server = SERVER.replacen("published ", "published x", 1);
    let published = lines(server.split_once("published ").unwrap().0) + 1;
    for (file, wrong) in [
        (format!("@type server-descriptor 1.0\n\n@source x\r\n\r\n{server}"), 4 + published),
        (
            format!("@type server-descriptor 1.0\n\n{}", SERVER.replacen("router ", "router -", 1)),
            3,
        ),
    ] {
        let error = DescriptorReader::<ServerDescriptor, _>::new(file.as_bytes()).next();
        let error = error.unwrap().unwrap_err();
        assert_eq!((error.offset(), error.line(), error.wrong_line()), (0, 1, wrong), "{file}");
    }
    let file = format!("@type server-descriptor 1.0\n\n{SERVER}");
    let whole = DescriptorReader::<ServerDescriptor, _>::new(file.as_bytes()).next();
    assert_eq!(whole.unwrap().unwrap().to_string(), file);
}

#[test]
fn a_document_without_an_annotation_has_no_type() {
    let file = format!("@type server-descriptor 1.0\n{SERVER}{SERVER}@source x\n{SERVER}");
    let mut reader = DescriptorReader::<ServerDescriptor, _>::new(file.as_bytes());
    for expected in [Some("server-descriptor 1.0"), None, None] {
        reader.next().unwrap().unwrap();
        assert_eq!(reader.document_type(), expected);
    }
    // The entries of a network status have its type.
    let file = format!("@type network-status-consensus-3 1.0\n{CONSENSUS}");
    let mut reader = DescriptorReader::<RouterStatus, _>::new(file.as_bytes());
    while let Some(entry) = reader.next() {
        entry.unwrap();
        assert_eq!(reader.document_type(), Some("network-status-consensus-3 1.0"));
    }
}
