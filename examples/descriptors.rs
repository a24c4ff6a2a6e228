//! Prints directory documents as JSON, one object a line.
//!
//! ```text
//! cargo run --features serde --example descriptors [-- --lenient] [--exit-to ADDRESS:PORT]... [FILE...]
//! ```
//!
//! It reads the files of tor's data directory, such as `cached-descriptors`, and those of CollecTor, and
//! recognizes the kinds of the documents; without a file it reads its standard input. The relays of a
//! consensus or vote are printed behind it, one a line. Broken documents are reported on
//! standard error, with their position. The program fails if no document could be read.
#![expect(clippy::print_stderr, reason = "example output")]

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use serde::Serialize;
use torcon::descriptor::{
    AnyDescriptor, Consensus, DescriptorEntry, DescriptorList, DescriptorReader, ExitPolicy,
    KeyCertificate, OnionDescriptor, Vote,
};
use torcon::error::ProtocolError;

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: descriptors [--lenient] [--exit-to ADDRESS:PORT]... [FILE...]

Prints the directory documents of files, or of the standard input, as JSON, one object a line.

  --exit-to ADDRESS:PORT  add to each relay whether its exit policy allows this, may be repeated
  --lenient               print documents with invalid lines too; `check` names the first of them";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode> {
    let arguments = arguments::read(USAGE, Arguments::read);
    let mut output = BufWriter::new(io::stdout().lock());
    match print_all(&arguments, &mut output) {
        // Without a document, the output is no answer.
        Ok(0) => Ok(ExitCode::FAILURE),
        Ok(_) => Ok(ExitCode::SUCCESS),
        // The program that reads the output, such as `head`, needs no more.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

/// Prints the documents of all files, and returns how many they were.
fn print_all(arguments: &Arguments, output: &mut dyn Write) -> io::Result<u64> {
    let mut count = 0;
    if arguments.files.is_empty() {
        let mut printer = Printer { file: "-", arguments, output, count: 0 };
        printer.print_file(io::stdin().lock())?;
        count += printer.count;
    }
    for path in &arguments.files {
        let file = &path.to_string_lossy();
        let mut printer = Printer { file, arguments, output, count: 0 };
        match File::open(path) {
            Ok(input) => printer.print_file(BufReader::new(input))?,
            Err(error) => printer.report(&error),
        }
        count += printer.count;
    }
    output.flush()?;
    Ok(count)
}

/// Prints the documents of a file.
struct Printer<'a> {
    file: &'a str,
    arguments: &'a Arguments,
    output: &'a mut dyn Write,
    /// How many documents were printed.
    count: u64,
}

/// Prints the documents of a text that have a type.
macro_rules! print_list {
    ($printer:ident, $type:ty, $name:literal, $text:expr) => {
        for document in &DescriptorList::<$type>::new($text) {
            match document {
                Ok(document) => $printer.print($name, None, document.check(), None, &document)?,
                Err(error) => $printer.report(&error),
            }
        }
    };
}

impl Printer<'_> {
    fn print_file(&mut self, mut input: impl BufRead) -> io::Result<()> {
        let head = input.fill_buf()?;
        let mut lines = head.split(|byte| *byte == b'\n').skip_while(|line| line.starts_with(b"@"));
        let first_line = lines.next().unwrap_or_default();
        let has_first_word = |word| first_line.starts_with(word);
        let is_vote = lines.take(8).any(|line| line == b"vote-status vote");
        if has_first_word(b"network-status-version 3") {
            let text = read_all(input)?;
            if is_vote {
                print_list!(self, Vote, "vote", text.clone());
            } else {
                print_list!(self, Consensus, "consensus", text.clone());
            }
            // The relays are read from the same text.
            self.print_read(DescriptorReader::new(text.as_slice()), AnyDescriptor::RouterStatus)
        } else if has_first_word(b"dir-key-certificate-version") {
            print_list!(self, KeyCertificate, "dir-key-certificate-3", read_all(input)?);
            Ok(())
        } else if has_first_word(b"hs-descriptor") {
            print_list!(self, OnionDescriptor, "hidden-service-descriptor-3", read_all(input)?);
            Ok(())
        } else {
            self.print_read(DescriptorReader::<AnyDescriptor, _>::new(input), |document| document)
        }
    }

    /// Prints the documents of a reader, one at a time.
    fn print_read<D: DescriptorEntry, R: BufRead>(
        &mut self,
        reader: DescriptorReader<D, R>,
        any: fn(D) -> AnyDescriptor,
    ) -> io::Result<()> {
        // The check of a document, which `print` reports, names its first invalid line.
        let mut reader = reader.without_checks();
        while let Some(document) = reader.next() {
            let line = Some(reader.line());
            match document.map(any) {
                Ok(AnyDescriptor::Server(relay)) => {
                    let exits = self.exits(&[relay.exit_policy(), relay.ipv6_exit_ports()]);
                    self.print("server-descriptor", line, relay.check(), exits, &relay)?;
                }
                Ok(AnyDescriptor::Microdescriptor(relay)) => {
                    let exits = self.exits(&[relay.exit_ports(), relay.ipv6_exit_ports()]);
                    self.print("microdescriptor", line, relay.check(), exits, &relay)?;
                }
                Ok(AnyDescriptor::ExtraInfo(document)) => {
                    self.print("extra-info", line, document.check(), None, &document)?;
                }
                Ok(AnyDescriptor::RouterStatus(relay)) => {
                    self.print("router-status", line, relay.check(), None, &relay)?;
                }
                Ok(_) => {}
                Err(error) => self.report(&torcon::Error::from(error)),
            }
        }
        Ok(())
    }

    /// Prints a document.
    fn print(
        &mut self,
        r#type: &str,
        line: Option<u64>,
        check: std::result::Result<(), ProtocolError>,
        exits: Option<Vec<SocketAddr>>,
        document: &impl Serialize,
    ) -> io::Result<()> {
        let check = match check {
            Err(error) if !self.arguments.is_lenient => {
                let line =
                    line.map(|line| format!("document at line {line}: ")).unwrap_or_default();
                self.report(&format!("{line}{error}"));
                return Ok(());
            }
            check => check.err().map(|error| error.to_string()),
        };
        self.count += 1;
        let printed = Printed { file: self.file, r#type, line, check, exits, document };
        serde_json::to_writer(&mut *self.output, &printed)?;
        writeln!(self.output)
    }

    /// Reports an error of the file.
    fn report(&self, error: &impl Display) {
        eprintln!("{}: {error:#}", self.file);
    }

    /// Returns the targets that the policies for IPv4 and IPv6 allow, or `None` if there are no targets.
    fn exits(&self, [ipv4, ipv6]: &[Option<ExitPolicy>; 2]) -> Option<Vec<SocketAddr>> {
        let allows = |target: &&SocketAddr| {
            let policy = if target.is_ipv4() { ipv4 } else { ipv6 };
            policy.as_ref().is_some_and(|policy| policy.allows(target.ip(), target.port()))
        };
        let targets = &self.arguments.targets;
        (!targets.is_empty()).then(|| targets.iter().filter(allows).copied().collect())
    }
}

/// The JSON object of a document.
#[derive(Serialize)]
struct Printed<'a, D> {
    file: &'a str,
    r#type: &'a str,
    /// The first line of the document in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// Which line is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    /// The targets that the exit policies allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    exits: Option<Vec<SocketAddr>>,
    #[serde(flatten)]
    document: &'a D,
}

fn read_all(mut input: impl BufRead) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    input.read_to_end(&mut text)?;
    Ok(text)
}

struct Arguments {
    files: Vec<PathBuf>,
    is_lenient: bool,
    targets: Vec<SocketAddr>,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> std::result::Result<Self, lexopt::Error> {
        let mut read = Self { files: Vec::new(), is_lenient: false, targets: Vec::new() };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("exit-to") => read.targets.push(parser.value()?.parse()?),
                Long("lenient") => read.is_lenient = true,
                Value(value) => read.files.push(value.into()),
                other => return Err(other.unexpected()),
            }
        }
        Ok(read)
    }
}
