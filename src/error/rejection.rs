use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::names::secret::redact;
use crate::names::{printable, quoted};

/// tor's refusal of a command, with status code and text.
///
/// # Examples
///
/// ```
/// use torcon::Reply;
///
/// let reply = b"552 Unrecognized option: Unknown option 'Bogus'.  Failing.\r\n".to_vec();
/// let rejection = Reply::parse(reply)?.into_result("SETCONF").unwrap_err();
/// assert_eq!((rejection.command(), rejection.code()), ("SETCONF", 552));
/// assert!(rejection.text().ends_with("Unknown option 'Bogus'.  Failing."));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Rejection {
    inner: Arc<Inner>,
}

#[derive(PartialEq, Eq)]
struct Inner {
    command: Box<str>,
    lines: Box<[RejectionLine]>,
    /// The first line that refuses.
    refusing: RejectionLine,
}

/// One line of a refusal.
///
/// # Examples
///
/// ```
/// use torcon::Reply;
///
/// let reply = b"552-Unrecognized key \"a\"\r\n552 Unrecognized key \"b\"\r\n".to_vec();
/// let rejection = Reply::parse(reply)?.into_result("GETINFO").unwrap_err();
/// let lines = rejection.lines();
/// assert_eq!((lines[1].code(), &*lines[1].text()), (552, "Unrecognized key \"b\""));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RejectionLine {
    code: u16,
    text: Box<[u8]>,
}

impl RejectionLine {
    pub(crate) fn new(code: u16, text: &[u8]) -> Self {
        Self { code, text: text.into() }
    }

    /// Returns the status code of this line.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Returns the text of this line; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }

    /// Returns the bytes of this line as tor sent them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    fn refuses(&self) -> bool {
        self.code >= 400
    }
}

impl Rejection {
    /// Creates a refusal from all lines of a reply.
    pub(crate) fn new(command: &str, lines: Vec<RejectionLine>) -> Self {
        let refusing = lines
            .iter()
            .find(|line| line.refuses())
            .or(lines.first())
            .cloned()
            .unwrap_or_else(|| RejectionLine::new(0, b""));
        Self { inner: Arc::new(Inner { command: command.into(), lines: lines.into(), refusing }) }
    }

    /// Returns the keyword of the command that was refused, such as `SETCONF`.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.inner.command
    }

    /// Returns the status code of the first line that refuses.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.inner.refusing.code
    }

    /// Returns the text of the first line that refuses; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        self.inner.refusing.text()
    }

    /// Returns every line of the reply, in order. Some can be successes: `MAPADDRESS` mixes codes.
    #[must_use]
    pub fn lines(&self) -> &[RejectionLine] {
        &self.inner.lines
    }

    pub(crate) fn is_filtered(&self) -> bool {
        self.code() == 510 && self.text().to_ascii_lowercase().contains("filter")
    }
}

/// The number of lines that `Debug` shows.
const SHOWN_LINES: usize = 20;

/// Returns the text in quotes, without secrets that tor may repeat.
fn shown(line: &RejectionLine) -> String {
    quoted(&redact(&line.text))
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refusals: Vec<_> = self.lines().iter().filter(|line| line.refuses()).collect();
        let text = shown(&self.inner.refusing);
        write!(f, "tor refused {}: {} {text}", printable(self.command()), self.code())?;
        match refusals.len() {
            0 | 1 => Ok(()),
            n => write!(f, " and {} more", n - 1),
        }
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("command", &self.inner.command)
            .field("lines", &self.inner.lines.get(..SHOWN_LINES).unwrap_or(&self.inner.lines))
            .finish()
    }
}

impl fmt::Debug for RejectionLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, shown(self))
    }
}

impl std::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::{Rejection, RejectionLine};

    #[test]
    fn the_first_line_that_refuses_is_the_code_of_the_rejection() {
        let rejection = Rejection::new(
            "MAPADDRESS",
            vec![
                RejectionLine::new(250, b"a=b"),
                RejectionLine::new(512, b"syntax error: invalid address '@'"),
                RejectionLine::new(451, b"resource exhausted"),
            ],
        );
        assert_eq!(rejection.code(), 512);
        assert_eq!(rejection.lines().len(), 3);
        assert_eq!(
            rejection.to_string(),
            r#"tor refused MAPADDRESS: 512 "syntax error: invalid address '@'" and 1 more"#
        );
    }

    #[test]
    fn a_filtered_command_is_distinguished_from_an_unknown_one() {
        let filtered = |text: &[u8]| {
            Rejection::new("GETINFO", vec![RejectionLine::new(510, text)]).is_filtered()
        };
        assert!(filtered(b"Command filtered"));
        assert!(filtered(b"Request filtered by proxy"));
        assert!(!filtered(b"Unrecognized command \"FOO\""));
    }
}
