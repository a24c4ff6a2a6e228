//! Documents of files, one at a time.

mod any;
mod bridge_status;
mod format;
mod kind;
mod lines;
mod splitter;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, BufRead};
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::sync::Arc;

use memchr::{memchr, memchr_iter};

pub use self::any::AnyDescriptor;
pub use self::bridge_status::BridgeStatusHeader;
pub(super) use self::kind::Kind;
use self::lines::{Lines, Step};
use self::splitter::{Entry, Position};
pub(super) use self::splitter::{Part, RawLine, Splitter};
use super::list::sealed::Read;
use super::text::Text;
use super::{
    Consensus, ExtraInfo, KeyCertificate, Microdescriptor, OnionDescriptor, RouterStatus,
    ServerDescriptor, Vote,
};
use crate::error::{ProtocolError, ReadError, ReadProblem};

/// The limit of a document or entry, unless the program sets one. tor's directories accept at most
/// 50,000 bytes of a relay.
const LIMIT: usize = 1 << 20;

/// The limit of a whole consensus or vote, which have about 4 MB and 8 MB.
pub(super) const WHOLE_LIMIT: usize = 64 << 20;

/// The length at which no line is cut.
const WORD: usize = 100;

/// A type that a [`DescriptorReader`] reads. Sealed.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{DescriptorEntry, DescriptorReader, RouterStatus};
///
/// /// Counts the documents of a file that cannot be read.
/// fn broken<D: DescriptorEntry>(file: &[u8]) -> usize {
///     DescriptorReader::<D, _>::new(file).filter(Result::is_err).count()
/// }
///
/// assert_eq!(broken::<RouterStatus>(b"r moria1\n"), 1);
/// ```
pub trait DescriptorEntry: sealed::FromEntry {}

mod sealed {
    use super::{Kind, Text};
    use crate::error::ProtocolError;

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait FromEntry: Sized {
        /// The kind that is read; all if there is none.
        #[expect(private_interfaces, reason = "the trait is sealed")]
        const KIND: Option<Kind>;

        /// Parses a document, and checks its lines if `check` is set. Returns `None` if the type does
        /// not read the kind.
        #[expect(private_interfaces, reason = "the trait is sealed")]
        fn from_entry(kind: Kind, text: Text, check: bool) -> Option<Result<Self, ProtocolError>>;
    }
}

/// Lets a reader yield documents of one kind.
macro_rules! entries {
    ($($document:ident: $kind:ident,)*) => {
        $(
            impl DescriptorEntry for $document {}

            impl sealed::FromEntry for $document {
                #[expect(private_interfaces, reason = "the trait is sealed")]
                const KIND: Option<Kind> = Some(Kind::$kind);

                #[expect(private_interfaces, reason = "the trait is sealed")]
                fn from_entry(
                    kind: Kind,
                    text: Text,
                    check: bool,
                ) -> Option<Result<Self, ProtocolError>> {
                    (kind == Kind::$kind).then(|| {
                        let document = <Self as Read>::read(text)?;
                        if check {
                            document.check()?;
                        }
                        Ok(document)
                    })
                }
            }
        )*
    };
}

entries! {
    ServerDescriptor: ServerDescriptor,
    ExtraInfo: ExtraInfo,
    Microdescriptor: Microdescriptor,
    RouterStatus: RouterStatus,
    Consensus: NetworkStatus,
    Vote: NetworkStatus,
    KeyCertificate: KeyCertificate,
    OnionDescriptor: OnionDescriptor,
}

/// Reads documents from a file, one at a time.
///
/// It reads the files of tor's data directory and those of
/// [CollecTor](https://metrics.torproject.org/collector.html), unpacked:
///
/// | type | files of tor | types of CollecTor |
/// | --- | --- | --- |
/// | [`ServerDescriptor`] | `cached-descriptors`, `cached-descriptors.new` | `server-descriptor`, `bridge-server-descriptor` |
/// | [`ExtraInfo`] | `cached-extrainfo`, `cached-extrainfo.new` | `extra-info`, `bridge-extra-info` |
/// | [`Microdescriptor`] | `cached-microdescs`, `cached-microdescs.new` | `microdescriptor` |
/// | [`RouterStatus`] | `cached-consensus`, `cached-microdesc-consensus`, `v3-status-votes` | `network-status-consensus-3`, `network-status-microdesc-consensus-3`, `network-status-vote-3`, `bridge-network-status` |
/// | [`Consensus`] | `cached-consensus`, `cached-microdesc-consensus` | `network-status-consensus-3`, `network-status-microdesc-consensus-3` |
/// | [`Vote`] | `v3-status-votes` | `network-status-vote-3` |
/// | [`KeyCertificate`] | `cached-certs` | `dir-key-certificate-3` |
/// | [`OnionDescriptor`] | | `hidden-service-descriptor-3` |
/// | [`AnyDescriptor`] | all of them | all of them |
///
/// A `Consensus` or `Vote` is read whole; the other two types that read these files, `RouterStatus` and
/// `AnyDescriptor`, hold one entry. `AnyDescriptor` recognizes documents by their first lines. Annotations (`@type`, `@source`,
/// `@downloaded-at`, `@last-listed`) belong to the document behind them. Line ends may be LF or CR LF,
/// and the last line needs none if it ends a document.
///
/// # Memory
///
/// The reader holds one document, or one entry of a consensus, whatever the length of the file and of
/// its lines: no more than about twice the [limit](Self::with_limit), which is 1 MiB unless it is
/// changed, and 64 MiB for `Consensus` and `Vote`. A document that is longer is an error and is
/// skipped.
///
/// # Broken documents
///
/// A document is an error, without effect on the others, if its first line or one of those that
/// `check` checks is invalid, if it contains a NUL byte, or if it does not end: the signature of the
/// document is missing, or that of the consensus behind the last entry. The end of microdescriptors,
/// router statuses and bridge statuses is not marked, so a file that was cut between two of their lines
/// seems to be whole; the digests of microdescriptors can. Signatures are not verified.
///
/// Adjacent lines that belong to no document are one error. An error of the input, and an input that
/// is not text, such as a compressed file, end the reader.
///
/// # Examples
///
/// ```no_run
/// use std::fs::File;
/// use std::io::BufReader;
///
/// use torcon::descriptor::{DescriptorReader, ServerDescriptor};
///
/// let file = BufReader::new(File::open("/var/lib/tor/cached-descriptors")?);
/// for descriptor in DescriptorReader::<ServerDescriptor, _>::new(file) {
///     match descriptor {
///         Ok(descriptor) => println!("{} {:?}", descriptor.nickname(), descriptor.version()),
///         Err(error) => eprintln!("{:#}", torcon::Error::from(error)),
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
pub struct DescriptorReader<D, R> {
    lines: Lines<R>,
    splitter: Splitter,
    checks: bool,
    progress: Progress,
    /// The header of the network status whose entries are read as [`AnyDescriptor`].
    header: Vec<u8>,
    /// Where the last document begins.
    last: Position,
    document_type: Option<Arc<str>>,
    /// The kind of the documents that were passed over last.
    other: Option<&'static str>,
    kind: PhantomData<fn() -> D>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Start,
    Lines,
    End,
}

impl<D: DescriptorEntry, R: BufRead> DescriptorReader<D, R> {
    /// Creates a reader. Reads nothing yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::{DescriptorReader, RouterStatus};
    ///
    /// let entry = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE 2038-01-01 00:00:00 128.31.0.39 9101 0\n\
    ///     s Fast Running Valid\n";
    /// let file = entry.repeat(2);
    /// for relay in DescriptorReader::<RouterStatus, _>::new(file.as_bytes()) {
    ///     assert_eq!(relay?.or_port(), 9101);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn new(input: R) -> Self {
        let limit = if D::KIND == Some(Kind::NetworkStatus) { WHOLE_LIMIT } else { LIMIT };
        Self {
            lines: Lines::new(input),
            splitter: Splitter::new(D::KIND, limit),
            header: Vec::new(),
            checks: true,
            progress: Progress::Start,
            last: Position::START,
            document_type: None,
            other: None,
            kind: PhantomData,
        }
    }

    /// Sets the maximum length of a document or entry, in bytes. It is 64 MiB for a whole [`Consensus`]
    /// or [`Vote`], and 1 MiB for all else, unless it is changed.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.splitter.set_limit(bytes);
        self
    }

    /// Lets documents pass whose lines are invalid or missing, if the first one is valid. Their methods
    /// read an invalid line as an absent one. This saves about two thirds of the time.
    #[must_use]
    pub fn without_checks(mut self) -> Self {
        self.checks = false;
        self
    }

    /// Returns where the last document or entry begins, with its annotations: the number of bytes of
    /// the input before it.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.last.offset
    }

    /// Returns the number of the first line of the last document or entry, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.last.line
    }

    /// Returns the type and version of the last document, such as `server-descriptor 1.0`, if it has
    /// the annotation `@type`, as in files of CollecTor.
    #[must_use]
    pub fn document_type(&self) -> Option<&str> {
        self.document_type.as_deref()
    }

    /// Returns the input.
    #[must_use]
    pub fn input(&self) -> &R {
        self.lines.input()
    }

    /// Reads one step. Returns an error that ends the reader.
    fn step(&mut self) -> Option<ReadProblem> {
        let outcome = match self.progress {
            Progress::Start => self.start(),
            Progress::Lines => self.add_line().map(|()| None),
            Progress::End => return None,
        };
        let problem = outcome.unwrap_or_else(|error| Some(ReadProblem::Io(Arc::new(error))))?;
        self.progress = Progress::End;
        Some(problem)
    }

    fn start(&mut self) -> io::Result<Option<ReadProblem>> {
        if let Some(format) = self.lines.format()? {
            return Ok(Some(ReadProblem::NotText { format }));
        }
        self.splitter.skip(self.lines.skip_mark());
        self.progress = Progress::Lines;
        Ok(None)
    }

    fn add_line(&mut self) -> io::Result<()> {
        let splitter = &mut self.splitter;
        // The first word of a longer line is needed too.
        let limit = splitter.limit().max(WORD);
        if let Step::End { is_ended } = self.lines.next(limit, |line| splitter.add(line))? {
            self.splitter.finish(is_ended);
            self.progress = Progress::End;
        }
        Ok(())
    }

    /// Returns the document of an entry, or `None` if it is not for this reader.
    fn read(&mut self, entry: Entry) -> Option<Result<D, ReadError>> {
        let Entry { kind, mut text, start, document_type } = entry;
        // A footer is read behind its header, so that it has all methods of the whole document.
        let mut header_length = 0;
        if D::KIND.is_none() && kind == Kind::Header {
            self.header.clone_from(&text);
        } else if D::KIND.is_none() && kind == Kind::Footer {
            header_length = self.header.len();
            let footer = std::mem::replace(&mut text, std::mem::take(&mut self.header));
            text.extend_from_slice(&footer);
        }
        let text = Text::new(text);
        let Some(outcome) = D::from_entry(kind, text.clone(), self.checks) else {
            return self.pass_over(kind, start).map(Err);
        };
        self.other = None;
        self.last = start;
        self.document_type = document_type;
        let (header, own) = text.as_bytes().split_at_checked(header_length).unwrap_or_default();
        let header_lines = memchr_iter(b'\n', header).count();
        let checked = outcome.and_then(|document| match self.checks {
            true => check_nul(kind, header_lines, own).map(|()| document),
            false => Ok(document),
        });
        Some(checked.map_err(|error| {
            // The lines of the text count from the header.
            let is_before = |line: &&[u8]| line.trim_ascii().is_empty() || is_annotation(line);
            let missing = || own.split(|byte| *byte == b'\n').take_while(is_before);
            let line = match error.line() {
                Some(line) => line.saturating_sub(header_lines).max(1),
                None => missing().count() + 1,
            };
            malformed(start, line, &error)
        }))
    }

    /// Returns an error for the first of adjacent documents that are not for this reader.
    fn pass_over(&mut self, kind: Kind, start: Position) -> Option<ReadError> {
        if D::KIND == Some(Kind::RouterStatus) && kind.is_network_status() {
            return None;
        }
        let found = if kind.is_network_status() { Kind::Header.name() } else { kind.name() };
        if self.other.replace(found) == Some(found) {
            return None;
        }
        let problem = ReadProblem::OtherKind { found };
        Some(ReadError::new(start.offset, start.line, start.line, problem))
    }
}

fn is_annotation(line: &[u8]) -> bool {
    line.first() == Some(&b'@')
}

/// Refuses text with NUL bytes, as tor does. `before` is the number of lines before the text.
fn check_nul(kind: Kind, before: usize, text: &[u8]) -> Result<(), ProtocolError> {
    let Some(at) = memchr(0, text) else {
        return Ok(());
    };
    let (lines, found) = text.split_at_checked(at).unwrap_or_default();
    let line = before + memchr_iter(b'\n', lines).count() + 1;
    let found = found.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Err(ProtocolError::in_line(kind.name(), line, "a line without NUL bytes", found))
}

/// Returns the error of a line of a document that begins at `start`.
fn malformed(start: Position, line: usize, error: &ProtocolError) -> ReadError {
    let number = start.line.saturating_add(u64::try_from(line).unwrap_or(u64::MAX)) - 1;
    let error = match error.line() {
        Some(_) => error.at_line(usize::try_from(number).unwrap_or(usize::MAX)),
        None => error.clone(),
    };
    ReadError::new(start.offset, start.line, number, ReadProblem::Malformed(error))
}

impl<D: DescriptorEntry, R: BufRead> Iterator for DescriptorReader<D, R> {
    type Item = Result<D, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(part) = self.splitter.take_part() {
                match part {
                    Part::Entry(entry) => {
                        let document = self.read(entry);
                        if document.is_some() {
                            return document;
                        }
                    }
                    Part::Broken { start, line, problem } => {
                        return Some(Err(ReadError::new(start.offset, start.line, line, problem)));
                    }
                }
            }
            if self.progress == Progress::End {
                return None;
            }
            if let Some(problem) = self.step() {
                let at = self.splitter.position();
                return Some(Err(ReadError::new(at.offset, at.line, at.line, problem)));
            }
        }
    }
}

impl<D: DescriptorEntry, R: BufRead> FusedIterator for DescriptorReader<D, R> {}

impl<D, R> fmt::Debug for DescriptorReader<D, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { offset, line } = self.splitter.position();
        write!(f, "DescriptorReader(line {line}, byte {offset})")
    }
}
