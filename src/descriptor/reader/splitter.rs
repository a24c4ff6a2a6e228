//! Splits lines into documents and entries.

use std::collections::VecDeque;
use std::sync::Arc;

use super::kind::{Kind, LastLine, first_word};
use crate::error::{ReadProblem, excerpt};

/// A place in a file: the offset in bytes, and the number of the line, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::descriptor) struct Position {
    pub(in crate::descriptor) offset: u64,
    pub(in crate::descriptor) line: u64,
}

impl Position {
    pub(super) const START: Self = Self { offset: 0, line: 1 };
}

/// One line of a file, without its line end.
#[derive(Clone, Copy, Debug)]
pub(in crate::descriptor) struct RawLine<'a> {
    /// The line, or its beginning if it exceeds the limit of the reader.
    pub(in crate::descriptor) bytes: &'a [u8],
    /// The length in the file, with the line end.
    pub(in crate::descriptor) length: u64,
    /// Whether the line has a line end. Only the last line of a file can be without.
    pub(in crate::descriptor) is_ended: bool,
}

/// A part of a file.
#[derive(Debug)]
pub(in crate::descriptor) enum Part {
    Entry(Entry),
    Broken {
        /// Where the document or entry begins.
        start: Position,
        /// The line at which the problem was found.
        line: u64,
        problem: ReadProblem,
    },
}

/// A document, an entry of a network status, or its header or footer, with the annotations before it.
#[derive(Debug)]
pub(in crate::descriptor) struct Entry {
    pub(in crate::descriptor) kind: Kind,
    pub(in crate::descriptor) text: Vec<u8>,
    pub(in crate::descriptor) start: Position,
    /// The type of its `@type` annotation, escaped.
    pub(super) document_type: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// After a complete document, or at the start.
    Between,
    /// After annotations.
    Annotations,
    Entry(Kind),
    /// In lines that belong to nothing. A problem was reported.
    Lost,
    /// In documents of a type that is not supported. A problem was reported.
    Unsupported,
}

/// The progress of the line that marks the end of a document.
#[derive(Clone, Copy, Debug)]
enum Last {
    Absent,
    /// The line was read, its object was not.
    BeforeObject(LastLine),
    InObject(LastLine),
    /// The preceding line completed the document.
    JustComplete,
    Complete,
}

/// Collects lines until an entry is complete. Holds one entry at a time.
///
/// A line that can occur only as a first line begins an entry wherever it is, so that damage ends at
/// the next document. `onion-key`, `r` and `published` occur within other documents too, and begin an
/// entry only where one can be.
#[derive(Debug)]
pub(in crate::descriptor) struct Splitter {
    limit: usize,
    /// Whether a consensus or vote is one entry.
    is_whole: bool,
    /// Whether a document without the line that marks its end is a problem.
    needs_end: bool,
    state: State,
    entry: Vec<u8>,
    /// Where the entry begins.
    start: Position,
    /// Where the next line begins.
    next: Position,
    last: Last,
    /// The kind of the entry before; the next one probably has the same.
    before: Option<Kind>,
    /// Where the network status begins whose signatures have not been read.
    unsigned: Option<Position>,
    /// The type of the last `@type` annotation, escaped.
    document_type: Option<Arc<str>>,
    /// Whether it is that of this document.
    has_type: bool,
    parts: VecDeque<Part>,
}

impl Splitter {
    /// Creates a splitter of documents that are probably of a kind.
    pub(in crate::descriptor) fn new(kind: Option<Kind>, limit: usize) -> Self {
        Self {
            limit,
            is_whole: kind == Some(Kind::NetworkStatus),
            needs_end: true,
            state: State::Between,
            entry: Vec::new(),
            start: Position::START,
            next: Position::START,
            last: Last::Absent,
            before: kind,
            unsigned: None,
            document_type: None,
            has_type: false,
            parts: VecDeque::new(),
        }
    }

    /// Lets documents without the line that marks their end pass.
    pub(in crate::descriptor) fn without_ends(mut self) -> Self {
        self.needs_end = false;
        self
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the place of the next line.
    pub(super) fn position(&self) -> Position {
        self.next
    }

    /// Passes over bytes that belong to no line.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.next.offset += bytes;
    }

    /// Removes the next part.
    pub(in crate::descriptor) fn take_part(&mut self) -> Option<Part> {
        self.parts.pop_front()
    }

    /// Adds a line. Afterward, [`take_part`](Self::take_part) returns the parts that end before the
    /// line or with it.
    pub(in crate::descriptor) fn add(&mut self, line: RawLine<'_>) {
        let bytes = line.bytes.strip_suffix(b"\r").unwrap_or(line.bytes);
        if bytes.first() == Some(&b'@') {
            self.annotate(bytes, line);
        } else if let Some(kind) = self.kind_of_first_line(bytes) {
            self.begin(kind, bytes);
            self.push(line);
        } else {
            match self.state {
                State::Between if bytes.is_empty() => {}
                // Lines and offsets are counted within the text of the entry.
                State::Annotations if bytes.is_empty() => self.push(line),
                State::Between => {
                    self.start = self.next;
                    self.lose(bytes);
                }
                State::Annotations => self.lose(bytes),
                State::Entry(kind) => {
                    let is_end = self.note_last(kind, bytes);
                    self.push(line);
                    if is_end && matches!(self.state, State::Entry(_)) {
                        self.end(kind);
                    }
                }
                State::Lost | State::Unsupported => {}
            }
        }
        self.next.offset += line.length;
        self.next.line += 1;
    }

    /// Ends the last entry. `is_ended` says whether the last line had a line end; one without may
    /// have been cut.
    pub(in crate::descriptor) fn finish(&mut self, is_ended: bool) {
        match self.state {
            State::Entry(kind) if !is_ended && !matches!(self.last, Last::JustComplete) => {
                let missing = match self.last {
                    Last::Complete => Kind::RouterStatus.missing(),
                    _ => kind.missing(),
                };
                self.fail(ReadProblem::Truncated { kind: kind.name(), missing });
            }
            _ => self.end_before_another(),
        }
        self.end_network_status();
        self.state = State::Between;
    }

    /// Adds an annotation, which ends an entry.
    fn annotate(&mut self, bytes: &[u8], line: RawLine<'_>) {
        let document_type = bytes.strip_prefix(b"@type ");
        if self.state == State::Unsupported && document_type.is_none() {
            return;
        }
        if self.state != State::Annotations {
            self.end_before_another();
            self.end_network_status();
            self.start = self.next;
            self.has_type = false;
        }
        if let Some(document_type) = document_type {
            self.has_type = true;
            let shown = excerpt(document_type);
            let is_repeated = self.document_type.as_deref() == Some(&*shown);
            if !is_repeated {
                self.document_type = Some(Arc::from(&*shown));
            }
            if !Kind::is_supported(document_type) {
                if !(is_repeated && self.state == State::Unsupported) {
                    self.fail(ReadProblem::Unsupported { document_type: shown });
                }
                self.state = State::Unsupported;
                return;
            }
        }
        self.state = State::Annotations;
        self.push(line);
    }

    /// Returns the kind of the entry that begins with a line, if one does.
    fn kind_of_first_line(&self, line: &[u8]) -> Option<Kind> {
        let word = first_word(line);
        let kind = match Kind::of_first_word(word)? {
            Kind::Header if self.is_whole && word != b"published" => Kind::NetworkStatus,
            kind if self.is_whole && kind.is_network_status() => return None,
            kind => kind,
        };
        let current = match self.state {
            State::Entry(kind) => Some(kind),
            State::Lost => self.before,
            State::Between | State::Annotations => None,
            State::Unsupported => return None,
        };
        let is_within = |is: fn(Kind) -> bool| current.is_some_and(is);
        let is_free = matches!(self.state, State::Between | State::Annotations);
        let begins = match kind {
            Kind::ServerDescriptor | Kind::ExtraInfo | Kind::OnionDescriptor => true,
            // A vote contains the certificate of its authority.
            Kind::KeyCertificate => !matches!(current, Some(Kind::Header | Kind::NetworkStatus)),
            Kind::Microdescriptor => is_free || current == Some(Kind::Microdescriptor),
            Kind::RouterStatus => is_free || is_within(Kind::is_network_status),
            Kind::Footer => {
                current != Some(Kind::Footer) && (is_free || is_within(Kind::is_network_status))
            }
            Kind::Header if word == b"published" => {
                is_free || (current == Some(Kind::RouterStatus) && self.unsigned.is_none())
            }
            Kind::Header | Kind::NetworkStatus => true,
        };
        begins.then_some(kind)
    }

    /// Begins an entry, which ends the one before.
    fn begin(&mut self, kind: Kind, line: &[u8]) {
        if self.state != State::Annotations {
            self.end_before_another();
            self.start = self.next;
            self.has_type &= matches!(kind, Kind::RouterStatus | Kind::Footer);
        }
        match kind {
            Kind::Header => {
                self.end_network_status();
                self.unsigned = line.starts_with(b"network").then_some(self.start);
            }
            Kind::Footer => self.unsigned = None,
            Kind::RouterStatus => {}
            _ => self.end_network_status(),
        }
        self.state = State::Entry(kind);
        self.last = Last::Absent;
        self.note_last(kind, line);
    }

    /// Follows the line that marks the end of a document. Returns whether this line is the end.
    fn note_last(&mut self, kind: Kind, line: &[u8]) -> bool {
        if matches!(self.last, Last::JustComplete) {
            self.last = Last::Complete;
        }
        let object = match self.last {
            Last::BeforeObject(last) if line.starts_with(b"-----BEGIN ") => Some(last),
            Last::InObject(last) => Some(last),
            _ => None,
        };
        if let Some(last) = object {
            let is_end = line.starts_with(b"-----END ") && line.ends_with(b"-----");
            self.last = if is_end { Last::JustComplete } else { Last::InObject(last) };
            return is_end && last.is_final;
        }
        if line.is_empty() {
            return false;
        }
        match kind.last_line(first_word(line)) {
            Some(last) if last.has_object => self.last = Last::BeforeObject(last),
            Some(last) => {
                self.last = Last::JustComplete;
                return last.is_final;
            }
            // The object is missing.
            None if matches!(self.last, Last::BeforeObject(_)) => self.last = Last::Absent,
            None => {}
        }
        false
    }

    /// Appends a line to the entry, unless it becomes too long.
    fn push(&mut self, line: RawLine<'_>) {
        let length = usize::try_from(line.length).unwrap_or(usize::MAX);
        if self.entry.len().saturating_add(length) > self.limit {
            self.fail(ReadProblem::TooLong { limit: self.limit });
            return;
        }
        self.entry.extend_from_slice(line.bytes);
        if line.is_ended {
            self.entry.push(b'\n');
        }
    }

    /// Reports a line that belongs to nothing.
    fn lose(&mut self, line: &[u8]) {
        self.fail(ReadProblem::Unexpected { excerpt: excerpt(line) });
    }

    /// Drops the entry, and reports why.
    fn fail(&mut self, problem: ReadProblem) {
        self.entry = Vec::new();
        if let State::Entry(kind) = self.state {
            self.before = Some(kind);
        }
        self.state = State::Lost;
        self.parts.push_back(Part::Broken { start: self.start, line: self.next.line, problem });
    }

    /// Ends what is in progress before the first line of something else, or the end of the file.
    fn end_before_another(&mut self) {
        match self.state {
            State::Entry(kind)
                if !self.needs_end
                    || kind.last_lines().is_empty()
                    || matches!(self.last, Last::JustComplete | Last::Complete) =>
            {
                self.end(kind);
            }
            State::Entry(kind) => {
                self.fail(ReadProblem::Truncated { kind: kind.name(), missing: kind.missing() });
            }
            State::Annotations => {
                let annotations = std::mem::take(&mut self.entry);
                self.lose(&annotations);
            }
            State::Between | State::Lost | State::Unsupported => {}
        }
    }

    /// Completes an entry.
    fn end(&mut self, kind: Kind) {
        // The next entry probably has about the same length.
        let next = Vec::with_capacity(self.entry.len());
        let text = std::mem::replace(&mut self.entry, next);
        self.parts.push_back(Part::Entry(Entry {
            kind,
            text,
            start: self.start,
            document_type: self.document_type.clone().filter(|_| self.has_type),
        }));
        self.before = Some(kind);
        self.state = State::Between;
    }

    /// Reports that a network status ended without signatures.
    fn end_network_status(&mut self) {
        if let Some(start) = self.unsigned.take() {
            let kind = Kind::Header;
            let problem = ReadProblem::Truncated { kind: kind.name(), missing: kind.missing() };
            self.parts.push_back(Part::Broken { start, line: self.next.line, problem });
        }
    }
}
