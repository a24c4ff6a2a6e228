//! Requests: encoded commands. A connection writes nothing but a [`Request`] and probes.

mod preflight;

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXUPPER;
use memchr::memchr_iter;
use zeroize::{Zeroize as _, Zeroizing};

use super::quoted::{cstring_limit, needs_quotes, write_cstring};
use super::reply::unstuff;
use super::wiped::Wiped;
use crate::error::InvalidInput;

/// The maximum length of a command, with line ends and data. At a longer one tor answers
/// `500 Line too long.` and closes the connection.
pub(crate) const COMMAND_LIMIT: usize = 1_048_575;

/// The length for which a command line has room from the start. Few are longer.
const USUAL_LENGTH: usize = 64;

/// The keywords whose arguments contain no secret, so that `Debug` and logs may show them.
const WITHOUT_SECRETS: &[&str] = &[
    "ATTACHSTREAM",
    "CLOSECIRCUIT",
    "CLOSESTREAM",
    "DEL_ONION",
    "DROPGUARDS",
    "DROPOWNERSHIP",
    "DROPTIMEOUTS",
    "EXTENDCIRCUIT",
    "GETCONF",
    "GETINFO",
    "HSFETCH",
    "PROTOCOLINFO",
    "QUIT",
    "SAVECONF",
    "SETCIRCUITPURPOSE",
    "SETEVENTS",
    "SIGNAL",
    "TAKEOWNERSHIP",
    "USEFEATURE",
    "ONION_CLIENT_AUTH_REMOVE",
];

/// A command, encoded for the wire.
///
/// No argument can end the command or add another one: line breaks and NUL are refused, in tokens also
/// blanks; quoted values are escaped, and data is dot-stuffed. The bytes are zeroized when the request
/// is dropped. `Debug` shows arguments only of commands without secrets.
///
/// # Examples
///
/// ```
/// use torcon::Request;
///
/// let request = Request::from_line("SETCONF")?.cstring_pair("name", "Nickname", b"a b")?;
/// assert_eq!(request.encode()?, b"SETCONF Nickname=\"a b\"\r\n");
/// assert!(Request::from_line("GETINFO")?.token("key", "version\r\nQUIT").is_err());
/// # Ok::<(), torcon::error::InvalidInput>(())
/// ```
#[derive(Clone)]
pub struct Request {
    keyword: Cow<'static, str>,
    /// The command line, without line end.
    line: Wiped,
    /// The data of a `+` command, dot-stuffed and with its last line.
    data: Option<Vec<u8>>,
}

impl Request {
    /// Creates a request with a keyword, such as `GETINFO`.
    pub(crate) fn new(keyword: &'static str) -> Self {
        let mut line = Wiped::with_capacity(USUAL_LENGTH);
        line.extend_from_slice(keyword.as_bytes());
        Self { keyword: keyword.into(), line, data: None }
    }

    /// Creates a request from a whole command line.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the line is empty, begins with a blank or with `+` (for which tor waits for
    /// data), or contains a line break or NUL.
    pub fn from_line(line: &str) -> Result<Self, InvalidInput> {
        let invalid = |problem: &'static str| Err(InvalidInput::new("command", problem));
        check_line("command", line.as_bytes())?;
        match line.bytes().next() {
            None => return invalid("is empty"),
            Some(b' ' | b'\t') => return invalid("begins with a blank"),
            Some(b'+') => return invalid("begins with \"+\": commands with data have methods"),
            Some(_) => {}
        }
        let keyword = line.split([' ', '\t']).next().unwrap_or_default();
        if !keyword.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return invalid("does not begin with a keyword");
        }
        let known = WITHOUT_SECRETS.iter().find(|known| known.eq_ignore_ascii_case(keyword));
        let upper = || Cow::Owned(keyword.to_ascii_uppercase());
        let keyword = known.map_or_else(upper, |known| Cow::Borrowed(*known));
        Ok(Self { keyword, line: line.into(), data: None })
    }

    /// Returns whether tor closes the connection after its reply.
    pub(crate) fn ends_connection(&self) -> bool {
        self.keyword == "QUIT"
    }

    /// Appends an unquoted argument.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `argument` if the value is empty or contains a blank or a control character.
    pub fn token(
        mut self,
        argument: &'static str,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, InvalidInput> {
        let value = value.as_ref();
        check_token(argument, value)?;
        self.line.push(b' ');
        self.line.extend_from_slice(value);
        Ok(self)
    }

    /// Appends `keyword=value`, unquoted.
    ///
    /// # Errors
    ///
    /// Those of [`token`](Self::token).
    pub fn pair(
        mut self,
        keyword: &'static str,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, InvalidInput> {
        let value = value.as_ref();
        check_token("keyword", keyword.as_bytes())?;
        check_token(keyword, value)?;
        for part in [b" ", keyword.as_bytes(), b"=", value] {
            self.line.extend_from_slice(part);
        }
        Ok(self)
    }

    /// Appends `name=value`, or `name="value"` with the value as a CString where it needs quotes: if
    /// it is empty, begins with a quote, or has a blank or a byte that is not printable ASCII.
    /// Filters in front of tor match the short form.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `argument` if the name is not a [`token`](Self::token), or the value
    /// contains a line break or NUL.
    pub fn cstring_pair(
        mut self,
        argument: &'static str,
        name: &str,
        value: &[u8],
    ) -> Result<Self, InvalidInput> {
        check_token(argument, name.as_bytes())?;
        check_line(argument, value)?;
        self.line.push(b' ');
        self.line.extend_from_slice(name.as_bytes());
        self.line.push(b'=');
        if needs_quotes(value) {
            self.line.extend_with(cstring_limit(value), |line| write_cstring(line, value));
        } else {
            self.line.extend_from_slice(value);
        }
        Ok(self)
    }

    /// Appends bytes as hexadecimal digits.
    #[must_use]
    pub fn hex(mut self, bytes: &[u8]) -> Self {
        self.line.push(b' ');
        let mut hex = HEXUPPER.encode(bytes);
        self.line.extend_from_slice(hex.as_bytes());
        hex.zeroize();
        self
    }

    /// Makes this a `+` command with the given data, which may have several lines.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `argument` if the data is empty or contains NUL, or if the command has data
    /// already.
    pub fn data(mut self, argument: &'static str, data: &[u8]) -> Result<Self, InvalidInput> {
        if data.is_empty() {
            return Err(InvalidInput::new(argument, "is empty"));
        }
        if self.data.is_some() {
            return Err(InvalidInput::new(argument, "is given twice"));
        }
        if data.contains(&0) {
            return Err(InvalidInput::new(argument, "contains NUL"));
        }
        self.line.insert_first(b'+');
        self.data = Some(stuff(data));
        Ok(self)
    }

    /// Returns the keyword, in upper case.
    #[must_use]
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// Returns the keyword as a value, without a copy if it is a known one.
    pub(crate) fn keyword_cow(&self) -> Cow<'static, str> {
        self.keyword.clone()
    }

    /// Returns the command line behind the keyword.
    pub(crate) fn arguments(&self) -> &[u8] {
        let start = self.line.iter().position(|byte| matches!(byte, b' ' | b'\t'));
        start.and_then(|start| self.line.get(start..)).unwrap_or_default()
    }

    /// Returns the data as tor reads it: lines that end in line feeds, without dot-stuffing.
    pub(crate) fn data_text(&self) -> Zeroizing<Vec<u8>> {
        let data = self.data.as_deref().unwrap_or_default();
        let lines = data.split(|byte| *byte == b'\n').take_while(|line| *line != b".\r");
        let mut text = Zeroizing::new(Vec::with_capacity(data.len()));
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            text.extend_from_slice(unstuff(line).unwrap_or_default());
            text.push(b'\n');
        }
        text
    }

    /// Returns the bytes for the wire. They can contain a secret, so the caller zeroizes them.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the command has more than 1,048,575 bytes, at which tor closes the connection,
    /// or if tor would abort, never answer or answer twice.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidInput> {
        let length = self.checked_length()?;
        let mut bytes = Vec::with_capacity(length);
        self.parts().for_each(|part| bytes.extend_from_slice(part));
        Ok(bytes)
    }

    /// Returns the number of bytes for the wire.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode).
    pub(crate) fn checked_length(&self) -> Result<usize, InvalidInput> {
        self.preflight()?;
        let length = self.parts().map(<[u8]>::len).sum();
        if length > COMMAND_LIMIT {
            return Err(InvalidInput::new(
                "command",
                format!("has {length} bytes, and tor accepts at most {COMMAND_LIMIT}"),
            ));
        }
        Ok(length)
    }

    /// Returns the bytes for the wire, in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        [&self.line, &b"\r\n"[..], self.data.as_deref().unwrap_or_default()].into_iter()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.data.zeroize();
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(")?;
        if self.data.is_none() && WITHOUT_SECRETS.contains(&&*self.keyword) {
            write!(f, "{}", self.line.escape_ascii())?;
        } else {
            write!(f, "{} [redacted]", self.keyword)?;
        }
        f.write_str(")")
    }
}

/// Refuses line breaks and NUL.
pub(crate) fn check_line(argument: &'static str, value: &[u8]) -> Result<(), InvalidInput> {
    line_problem(value).map_or(Ok(()), |problem| Err(InvalidInput::new(argument, problem)))
}

/// Returns why a value cannot be part of a line.
pub(crate) fn line_problem(value: &[u8]) -> Option<&'static str> {
    value.iter().find_map(|byte| match byte {
        b'\n' => Some("contains a line feed"),
        b'\r' => Some("contains a carriage return"),
        0 => Some("contains NUL"),
        _ => None,
    })
}

/// Refuses a value that is not a single unquoted word.
pub(crate) fn check_token(argument: &'static str, value: &[u8]) -> Result<(), InvalidInput> {
    check_line(argument, value)?;
    if value.is_empty() {
        return Err(InvalidInput::new(argument, "is empty"));
    }
    if value.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(InvalidInput::new(argument, "contains a blank"));
    }
    if value.iter().any(u8::is_ascii_control) {
        return Err(InvalidInput::new(argument, "contains a control character"));
    }
    Ok(())
}

/// Encodes data as dot-stuffed lines that end in CRLF, with the last line `.`.
fn stuff(data: &[u8]) -> Vec<u8> {
    let lines = memchr_iter(b'\n', data).count() + 1;
    let mut stuffed = Vec::with_capacity(data.len() + 2 * lines + 3);
    let whole = data.strip_suffix(b"\n").unwrap_or(data);
    for line in whole.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

#[cfg(test)]
mod tests;
