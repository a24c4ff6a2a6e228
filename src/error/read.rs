use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::ProtocolError;

/// The error of a document that a [`DescriptorReader`](crate::descriptor::DescriptorReader) cannot
/// read.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{DescriptorReader, Microdescriptor};
///
/// let file = &b"onion-key\nntor-onion-key broken\nonion-key\nntor-onion-key \
///     3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ=\nid ed25519 \
///     xICe5KAWcZa9y3Y2pxF0d3KdIc6fhAYEyP7dIBdQ8xc\n"[..];
/// let read: Vec<_> = DescriptorReader::<Microdescriptor, _>::new(file).collect();
/// let error = read[0].as_ref().unwrap_err();
/// assert_eq!((error.offset(), error.line(), error.wrong_line()), (0, 1, 2));
/// assert!(read[1].is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct ReadError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    offset: u64,
    line: u64,
    wrong_line: u64,
    problem: ReadProblem,
}

/// Why a document cannot be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReadProblem {
    /// The input failed. The reader has ended.
    Io(Arc<io::Error>),
    /// The input is compressed, an archive, or has another encoding. The reader has ended.
    #[non_exhaustive]
    NotText {
        /// The format, such as `gzip`.
        format: &'static str,
    },
    /// A line is invalid, or one is missing. [`ProtocolError::line`] counts from the beginning of the
    /// input.
    Malformed(ProtocolError),
    /// A document has no end: it was cut, or another one begins within it.
    #[non_exhaustive]
    Truncated {
        /// The kind of the document, such as `a server descriptor`.
        kind: &'static str,
        /// The missing part.
        missing: &'static str,
    },
    /// A document or entry exceeds the limit.
    #[non_exhaustive]
    TooLong {
        /// The limit, in bytes; see
        /// [`with_limit`](crate::descriptor::DescriptorReader::with_limit).
        limit: usize,
    },
    /// Lines belong to no document. They are reported once, with the first of them.
    #[non_exhaustive]
    Unexpected {
        /// The beginning of the first line: at most 80 bytes, escaped.
        excerpt: Box<str>,
    },
    /// The documents have another kind than the reader. Adjacent ones are reported once.
    #[non_exhaustive]
    OtherKind {
        /// The kind of the documents, such as `a microdescriptor`.
        found: &'static str,
    },
    /// The documents have a type that this version of torcon cannot read. Adjacent ones are reported
    /// once.
    #[non_exhaustive]
    Unsupported {
        /// The type of the annotation `@type`, such as `torperf 1.1`.
        document_type: Box<str>,
    },
}

impl ReadError {
    pub(crate) fn new(offset: u64, line: u64, wrong_line: u64, problem: ReadProblem) -> Self {
        Self { inner: Arc::new(Inner { offset, line, wrong_line, problem }) }
    }

    /// Returns where the document or entry begins, with its annotations: the number of bytes of the
    /// input before it.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.inner.offset
    }

    /// Returns the number of the first line of the document or entry in the input, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.inner.line
    }

    /// Returns the number of the line in the input at which the problem was found, from 1. If a line is
    /// missing, it is the first one of the document.
    #[must_use]
    pub fn wrong_line(&self) -> u64 {
        self.inner.wrong_line
    }

    /// Returns why the document cannot be read.
    #[must_use]
    pub fn problem(&self) -> &ReadProblem {
        &self.inner.problem
    }

    pub(crate) fn io_error(&self) -> Option<&io::Error> {
        match &self.inner.problem {
            ReadProblem::Io(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the reader has ended, since the rest of the input cannot be read either.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.inner.problem, ReadProblem::Io(_) | ReadProblem::NotText { .. })
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { offset, line, .. } = &*self.inner;
        write!(f, "invalid document at line {line} (byte {offset})")
    }
}

impl StdError for ReadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.inner.problem {
            ReadProblem::Malformed(error) => Some(error),
            problem => Some(problem),
        }
    }
}

impl fmt::Display for ReadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("the input cannot be read"),
            Self::NotText { format } => {
                write!(f, "the input is not the text of documents, but {format}; unpack it first")
            }
            Self::Malformed(_) => f.write_str("a line is invalid or missing"),
            Self::Truncated { kind, missing } => write!(f, "{kind} ends without {missing}"),
            Self::TooLong { limit } => write!(
                f,
                "it exceeds the limit of {limit} bytes; raise DescriptorReader::with_limit if it is \
                 valid"
            ),
            Self::Unexpected { excerpt } => {
                write!(f, "expected the first line of a document, got \"{excerpt}\"")
            }
            Self::OtherKind { found } => {
                write!(f, "it is {found}, which this reader does not read")
            }
            Self::Unsupported { document_type } => {
                write!(f, "documents of the type {document_type} are not supported")
            }
        }
    }
}

impl StdError for ReadProblem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Malformed(error) => Some(error),
            _ => None,
        }
    }
}
