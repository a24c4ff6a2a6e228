use std::fmt;
use std::sync::Arc;

use crate::names::printable;
use crate::names::secret::redact;

/// The error of a message that is not valid in the control protocol or in SOCKS.
///
/// # Examples
///
/// ```
/// use torcon::error::ProtocolError;
///
/// let error = ProtocolError::new("uptime", "a number", b"soon");
/// assert_eq!((error.reading(), error.excerpt()), ("uptime", "soon"));
/// println!("{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    reading: Box<str>,
    expected: &'static str,
    excerpt: Box<str>,
    /// The number of the line in a document, from 1.
    line: Option<usize>,
    out_of_step: bool,
}

/// The maximum length of an excerpt, in bytes before escaping.
const EXCERPT: usize = 80;

/// The maximum length of the keyword or key that an error quotes of another caller's reply.
const LONGEST_KEY: usize = 60;

impl ProtocolError {
    /// Creates the error "cannot read `reading`: expected `expected`, got `found`". It keeps an escaped
    /// excerpt of `found`.
    #[must_use]
    pub fn new(reading: &str, expected: &'static str, found: &[u8]) -> Self {
        Self::with(reading, None, expected, found, false)
    }

    /// Creates the error of one line of a document; the first line is number 1.
    pub(crate) fn in_line(
        reading: &str,
        line: usize,
        expected: &'static str,
        found: &[u8],
    ) -> Self {
        Self::with(reading, Some(line), expected, found, false)
    }

    /// Creates the error of a reply that cannot belong to the command, so that replies are out of step
    /// with commands. The reply may be another caller's, so only its keyword or key is quoted.
    pub(crate) fn out_of_step(reading: &str, expected: &'static str, found: &[u8]) -> Self {
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-/.".contains(byte);
        let length = found.iter().take_while(|byte| is_key(byte)).count();
        let word = found.get(..length).unwrap_or_default();
        let is_keyword = word.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
        let shown = match found.get(length) {
            _ if length > LONGEST_KEY => b"..",
            Some(b'=') => found.get(..=length).unwrap_or_default(),
            Some(b' ') | None if is_keyword => word,
            _ => b"..",
        };
        Self::with(reading, None, expected, shown, true)
    }

    fn with(
        reading: &str,
        line: Option<usize>,
        expected: &'static str,
        found: &[u8],
        out_of_step: bool,
    ) -> Self {
        let excerpt = excerpt(found);
        let reading = printable(reading).into();
        Self { inner: Arc::new(Inner { reading, expected, excerpt, line, out_of_step }) }
    }

    /// Returns the same error of another line.
    pub(crate) fn at_line(&self, line: usize) -> Self {
        let Inner { reading, expected, excerpt, out_of_step, .. } = &*self.inner;
        let (reading, excerpt) = (reading.clone(), excerpt.clone());
        let (expected, out_of_step, line) = (*expected, *out_of_step, Some(line));
        Self { inner: Arc::new(Inner { reading, expected, excerpt, line, out_of_step }) }
    }

    /// Returns whether the reply cannot belong to the command.
    pub(crate) fn is_out_of_step(&self) -> bool {
        self.inner.out_of_step
    }

    /// Returns the name of the malformed message, such as `the reply to GETINFO`.
    #[must_use]
    pub fn reading(&self) -> &str {
        &self.inner.reading
    }

    /// Returns the expectation that failed.
    #[must_use]
    pub fn expected(&self) -> &str {
        self.inner.expected
    }

    /// Returns the number of the malformed line in a document, from 1; `None` if the error is not that
    /// of a line, or of the first one only.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.inner.line
    }

    /// Returns the beginning of the message or line: at most 80 bytes, escaped.
    #[must_use]
    pub fn excerpt(&self) -> &str {
        &self.inner.excerpt
    }
}

/// Returns the beginning of `bytes`, without secrets and escaped.
pub(crate) fn excerpt(bytes: &[u8]) -> Box<str> {
    // Redacted before it is cut, since a cut can split a secret.
    let redacted = redact(bytes.get(..4 * EXCERPT).unwrap_or(bytes));
    let shown = redacted.get(..EXCERPT).unwrap_or(&redacted);
    let dots = if shown.len() < redacted.len() { ".." } else { "" };
    format!("{}{dots}", shown.escape_ascii()).into()
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { reading, expected, excerpt, line, .. } = &*self.inner;
        write!(f, "cannot read {reading}: ")?;
        if let Some(line) = line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "expected {expected}, got \"{excerpt}\"")
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::ProtocolError;

    #[test]
    fn the_excerpt_is_short_and_printable() {
        let error = ProtocolError::new("a reply", "a status code", &[b'\xff'; 500]);
        assert_eq!(error.excerpt().len(), 80 * 4 + 2);
        let error = ProtocolError::new("a reply", "a status code", b"SSH-2.0\r\n");
        assert_eq!(
            error.to_string(),
            r#"cannot read a reply: expected a status code, got "SSH-2.0\r\n""#
        );
    }
}
