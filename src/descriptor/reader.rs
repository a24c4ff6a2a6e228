//! Documents of files, one at a time.

mod any;
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
pub(super) use self::kind::Kind;
use self::lines::{Lines, Step};
use self::splitter::{Entry, Position};
pub(super) use self::splitter::{Part, RawLine, Splitter};
use super::extra_info::ExtraInfo;
use super::list::sealed::Read;
use super::microdescriptor::Microdescriptor;
use super::router_status::RouterStatus;
use super::server_descriptor::ServerDescriptor;
use super::text::Text;
use crate::error::{ProtocolError, ReadError, ReadProblem};

/// The limit of a document or entry, unless the program sets one. tor's directories accept at most
/// 50,000 bytes of a relay.
const LIMIT: usize = 1 << 20;

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
    ($($document:ident,)*) => {
        $(
            impl DescriptorEntry for $document {}

            impl sealed::FromEntry for $document {
                #[expect(private_interfaces, reason = "the trait is sealed")]
                const KIND: Option<Kind> = Some(Kind::$document);

                #[expect(private_interfaces, reason = "the trait is sealed")]
                fn from_entry(
                    kind: Kind,
                    text: Text,
                    check: bool,
                ) -> Option<Result<Self, ProtocolError>> {
                    (kind == Kind::$document).then(|| {
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
    ServerDescriptor,
    ExtraInfo,
    Microdescriptor,
    RouterStatus,
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
/// | [`AnyDescriptor`] | all of them | all of them |
///
/// `AnyDescriptor` recognizes documents by their first lines. Annotations (`@type`, `@source`,
/// `@downloaded-at`, `@last-listed`) belong to the document behind them. Line ends may be LF or CR LF,
/// and the last line needs none if it ends a document.
///
/// # Memory
///
/// The reader holds one document, or one entry of a consensus: no more than about twice the
/// [limit](Self::with_limit), which is 1 MiB unless it is changed, whatever the length of the file and
/// of its lines. A document that is longer is an error and is skipped.
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
        Self {
            lines: Lines::new(input),
            splitter: Splitter::new(D::KIND, LIMIT),
            checks: true,
            progress: Progress::Start,
            last: Position::START,
            document_type: None,
            other: None,
            kind: PhantomData,
        }
    }

    /// Sets the maximum length of a document or entry, in bytes. It is 1 MiB at first.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.splitter.set_limit(bytes);
        self
    }

    /// Lets documents pass whose lines are invalid or missing, if the first one is valid. Their methods
    /// read an invalid line as an absent one. This saves about half of the time.
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
        let Entry { kind, text, start, document_type } = entry;
        let text = Text::new(text);
        let outcome = D::from_entry(kind, text.clone(), self.checks);
        let Some(outcome) = outcome else {
            let is_part = D::KIND.is_none_or(Kind::is_network_status) && kind.is_network_status();
            let name = if kind.is_network_status() { Kind::Header.name() } else { kind.name() };
            if is_part || self.other.replace(name) == Some(name) {
                return None;
            }
            let problem = ReadProblem::OtherKind { found: name };
            return Some(Err(ReadError::new(start.offset, start.line, start.line, problem)));
        };
        self.other = None;
        self.last = start;
        self.document_type = document_type;
        let checked = outcome.and_then(|document| match self.checks {
            true => check_nul(kind, text.as_bytes()).map(|()| document),
            false => Ok(document),
        });
        Some(checked.map_err(|error| malformed(start, text.as_bytes(), &error)))
    }
}

/// Refuses text with NUL bytes, as tor does.
fn check_nul(kind: Kind, text: &[u8]) -> Result<(), ProtocolError> {
    let Some(at) = memchr(0, text) else {
        return Ok(());
    };
    let (before, found) = text.split_at_checked(at).unwrap_or_default();
    let line = memchr_iter(b'\n', before).count() + 1;
    let found = found.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Err(ProtocolError::in_line(kind.name(), line, "a line without NUL bytes", found))
}

/// Returns the number of the first line that is not an annotation, from 1.
fn first_line(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').take_while(|line| line.first() == Some(&b'@')).count() + 1
}

/// Returns the error of a document that begins at `start`.
fn malformed(start: Position, text: &[u8], error: &ProtocolError) -> ReadError {
    let line = error.line().unwrap_or_else(|| first_line(text));
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
