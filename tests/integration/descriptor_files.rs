//! Large files of descriptors, made while they are read.

use std::io::{self, BufReader, Read};
use std::time::Instant;

use torcon::descriptor::{
    AnyDescriptor, DescriptorEntry, DescriptorReader, Microdescriptor, RouterStatus,
    ServerDescriptor,
};
use torcon::error::{ReadError, ReadProblem};

use crate::support::exclusive::exclusive;
use crate::support::leaks::{peak_growth, peak_memory};

const SERVER: &str = include_str!("../../src/descriptor/tests/server.txt");
const MICRO: &str = include_str!("../../src/descriptor/tests/damage/microdescriptor.txt");
const CONSENSUS: &str = include_str!("../../src/descriptor/tests/damage/consensus.txt");

/// The memory that a reader may use: a few times its limit of 1 MiB, and the code for it.
const MEMORY: u64 = 16 << 20;

/// The length of the files in MiB, for the long form of the tests.
fn size() -> u64 {
    let size = std::env::var("TORCON_TEST_READ_MB").ok();
    size.map_or(24, |text| text.parse().expect("it is a number")) << 20
}

/// A file that repeats a text, between a beginning and an end.
struct Repeated<'a> {
    start: &'a [u8],
    text: &'a [u8],
    end: &'a [u8],
    /// How often the text is repeated.
    count: u64,
    at: usize,
}

impl<'a> Repeated<'a> {
    fn new(text: &'a str) -> Self {
        let count = size() / u64::try_from(text.len()).unwrap();
        Self { start: b"", text: text.as_bytes(), end: b"", count, at: 0 }
    }
}

impl Read for Repeated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.start.is_empty() {
            return self.start.read(buffer);
        }
        if self.count == 0 {
            return self.end.read(buffer);
        }
        let length = self.text[self.at..].as_ref().read(buffer)?;
        self.at += length;
        if self.at == self.text.len() {
            self.at = 0;
            self.count -= 1;
        }
        Ok(length)
    }
}

/// Reads a file and returns the number of documents and the errors, after checking the memory.
#[track_caller]
fn read<D: DescriptorEntry>(what: &str, file: Repeated<'_>) -> (u64, Vec<ReadError>) {
    let before = peak_memory();
    let start = Instant::now();
    let (mut documents, mut errors) = (0, Vec::new());
    for document in DescriptorReader::<D, _>::new(BufReader::new(file)) {
        match document {
            Ok(_) => documents += 1,
            Err(error) => errors.push(error),
        }
    }
    let (took, used) = (start.elapsed(), peak_growth(before));
    println!("{what}: {documents} documents, {} kB more, {took:?}", used >> 10);
    assert!(used < MEMORY, "{what}: {used} bytes");
    (documents, errors)
}

#[test]
fn a_file_of_any_length_takes_little_memory() {
    exclusive(|| {
        for (what, text) in [("server descriptors", SERVER), ("microdescriptors", MICRO)] {
            let file = Repeated::new(text);
            let count = file.count;
            let (documents, errors) = read::<AnyDescriptor>(what, file);
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(documents, count);
        }
    });
}

#[test]
fn a_consensus_of_any_length_takes_little_memory() {
    exclusive(|| {
        let entries = CONSENSUS.find("\nr ").unwrap() + 1;
        let footer = CONSENSUS.find("directory-footer").unwrap();
        let mut file = Repeated::new(&CONSENSUS[entries..footer]);
        file.start = &CONSENSUS.as_bytes()[..entries];
        file.end = &CONSENSUS.as_bytes()[footer..];
        let count = file.count;
        let (relays, errors) = read::<RouterStatus>("a consensus", file);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(relays, 3 * count);
    });
}

#[test]
fn a_document_or_line_of_any_length_takes_little_memory() {
    exclusive(|| {
        for (what, unit) in [
            ("a document of many lines", "contact somebody\n"),
            ("a document of one line", "xxxxxxxxxxxxxxxxx"),
            ("a document with empty lines", "\n\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"),
            ("an object without end", "-----BEGIN X-----\nAAAA\n"),
        ] {
            let unit = unit.repeat(1000);
            let mut file = Repeated::new(&unit);
            let start = format!("{SERVER}router a 192.0.2.1 1 0 0\n");
            let end = format!("\n{SERVER}");
            (file.start, file.end) = (start.as_bytes(), end.as_bytes());
            let (documents, errors) = read::<ServerDescriptor>(what, file);
            assert_eq!(documents, 2, "{what}: {errors:?}");
            let [error] = errors.as_slice() else { panic!("{what}: {errors:?}") };
            assert!(matches!(error.problem(), ReadProblem::TooLong { .. }), "{error:?}");
        }
        for (what, unit) in [
            ("lines of no document", "garbage\n"),
            ("one line of no document", "garbage"),
            ("zero bytes", "\0\0\0\0"),
        ] {
            let unit = unit.repeat(1000);
            let mut file = Repeated::new(&unit);
            let end = format!("\n@last-listed 2026-11-26 14:19:08\n{MICRO}");
            file.end = end.as_bytes();
            let (documents, errors) = read::<Microdescriptor>(what, file);
            assert_eq!((documents, errors.len()), (1, 1), "{what}: {errors:?}");
        }
        // Annotations without a document, which are cut into pieces of 1 MiB.
        let unit = "@source \"x\"\n".repeat(1000);
        let (documents, errors) = read::<Microdescriptor>("annotations", Repeated::new(&unit));
        assert_eq!(documents, 0);
        assert!(u64::try_from(errors.len()).unwrap() <= (size() >> 20) + 1, "{errors:?}");
    });
}
