use std::fmt;
use std::sync::Arc;

use crate::names::printable;
use crate::names::secret::redact;

/// tor, or whatever answered in its place, sent something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    reading: Box<str>,
    expected: &'static str,
    excerpt: Box<str>,
    out_of_step: bool,
}

/// The longest excerpt of foreign text that an error quotes, in bytes before escaping.
const EXCERPT: usize = 80;

/// The longest word that an error quotes of somebody else's reply.
const LONGEST_KEY: usize = 60;

impl ProtocolError {
    /// `reading` completes "cannot read ..."; `found` is cut to an excerpt.
    /// Returns the error of a reader of `reading` that expected something else than `found`, of
    /// which the beginning is kept, escaped.
    #[must_use]
    pub fn new(reading: &str, expected: &'static str, found: &[u8]) -> Self {
        Self::with(reading, expected, found, false)
    }

    /// The same for a reply that cannot be the answer to what was asked: replies and commands
    /// are out of step, unless the other side is broken. It may be somebody else's reply, so only
    /// a keyword or a key at its beginning is shown.
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
        Self::with(reading, expected, shown, true)
    }

    fn with(reading: &str, expected: &'static str, found: &[u8], out_of_step: bool) -> Self {
        let excerpt = excerpt(found);
        let reading = printable(reading);
        Self { inner: Arc::new(Inner { reading: reading.into(), expected, excerpt, out_of_step }) }
    }

    /// Returns whether what was read answers another question than the one that was asked.
    pub(crate) fn is_out_of_step(&self) -> bool {
        self.inner.out_of_step
    }

    /// Returns what was being read, such as `the reply to GETINFO`.
    #[must_use]
    pub fn reading(&self) -> &str {
        &self.inner.reading
    }

    /// Returns what should have stood there.
    #[must_use]
    pub fn expected(&self) -> &str {
        self.inner.expected
    }

    /// Returns the beginning of what stood there instead: at most 80 bytes, escaped.
    #[must_use]
    pub fn excerpt(&self) -> &str {
        &self.inner.excerpt
    }
}

/// Returns the beginning of `bytes` without secrets, escaped so that it can be printed.
pub(crate) fn excerpt(bytes: &[u8]) -> Box<str> {
    // A secret may be cut in two by the end of the excerpt.
    let redacted = redact(bytes.get(..4 * EXCERPT).unwrap_or(bytes));
    let shown = redacted.get(..EXCERPT).unwrap_or(&redacted);
    let dots = if shown.len() < redacted.len() { ".." } else { "" };
    format!("{}{dots}", shown.escape_ascii()).into()
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { reading, expected, excerpt, .. } = &*self.inner;
        write!(f, "cannot read {reading}: expected {expected}, got \"{excerpt}\"")
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
