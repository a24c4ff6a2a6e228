//! Commands on their way to tor. [`Request`] is the only way to write to a connection.

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXUPPER;
use memchr::memchr_iter;
use zeroize::{Zeroize as _, Zeroizing};

use super::quoted::{cstring_limit, write_cstring};
use super::wiped::Wiped;
use crate::error::InvalidInput;

/// The longest command that tor takes, with its line ends and its data: one byte more and tor
/// answers `500 Line too long.` and closes the connection.
pub(crate) const COMMAND_LIMIT: usize = 1_048_575;

/// Keywords whose arguments hold no secret and may be shown in logs and by `Debug`.
///
/// An allow-list: what is not named here is hidden until someone has thought about it.
const SHOWN: [&str; 20] = [
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

/// One command, encoded for the wire.
///
/// What is in it cannot end the command early: every argument is checked for line breaks and NUL,
/// tokens also for blanks; quoted values are escaped and data is dot-stuffed. Its bytes are
/// overwritten when it is dropped. `Debug` shows arguments only of commands that carry no secret.
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
    /// The command line without its line end.
    line: Wiped,
    /// The data of a `+` command, dot-stuffed and with its closing line.
    data: Option<Vec<u8>>,
}

impl Request {
    /// Begins a command of the given keyword, such as `GETINFO`.
    pub(crate) fn new(keyword: &'static str) -> Self {
        Self { keyword: keyword.into(), line: keyword.into(), data: None }
    }

    /// Reads a whole command line as a user wrote it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the line is empty, begins with a blank or with `+` (which would make
    /// tor wait for data), or holds a line break or NUL.
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
        Ok(Self { keyword: keyword.to_ascii_uppercase().into(), line: line.into(), data: None })
    }

    /// Returns whether tor closes the connection after its answer.
    pub(crate) fn ends_connection(&self) -> bool {
        self.keyword == "QUIT"
    }

    /// Adds an argument that cannot be quoted.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`], which calls the value `argument`, if the value is empty or holds a blank,
    /// a line break, another control character or NUL.
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

    /// Adds `keyword=value`, neither of which can be quoted.
    ///
    /// # Errors
    ///
    /// Those of [`token`](Self::token), for both.
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

    /// Adds `name="value"`, with the value escaped as `SETCONF` reads it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`], which calls either `argument`, if the name cannot be a
    /// [`token`](Self::token), or the value holds a line break or NUL.
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
        self.line.extend_with(cstring_limit(value), |line| write_cstring(line, value));
        Ok(self)
    }

    /// Adds bytes in hexadecimal.
    #[must_use]
    pub fn hex(mut self, bytes: &[u8]) -> Self {
        self.line.push(b' ');
        let mut hex = HEXUPPER.encode(bytes);
        self.line.extend_from_slice(hex.as_bytes());
        hex.zeroize();
        self
    }

    /// Makes this a `+` command with the given data, which may have many lines. The lines are
    /// dot-stuffed.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`], which calls the data `argument`, if the data is empty or holds NUL, or if
    /// the command has data already.
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

    /// Returns what stands behind the keyword on the command line.
    pub(crate) fn arguments(&self) -> &[u8] {
        let start = self.line.iter().position(|byte| matches!(byte, b' ' | b'\t'));
        start.and_then(|start| self.line.get(start..)).unwrap_or_default()
    }

    /// Returns the data as tor reads it: without the closing line, and with the ends of lines and
    /// the stuffed dots undone.
    pub(crate) fn data_text(&self) -> Zeroizing<Vec<u8>> {
        let data = self.data.as_deref().unwrap_or_default();
        let lines = data.split(|byte| *byte == b'\n').take_while(|line| *line != b".\r");
        let mut text = Zeroizing::new(Vec::with_capacity(data.len()));
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            text.push(b'\n');
        }
        text
    }

    /// Returns the bytes for the wire. They may hold a secret; the caller overwrites them.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the command has more than 1,048,575 bytes, with which tor closes the
    /// connection, or if tor would abort, never answer or answer twice.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidInput> {
        self.preflight()?;
        let data = self.data.as_deref().unwrap_or_default();
        let length = self.line.len() + 2 + data.len();
        if length > COMMAND_LIMIT {
            return Err(InvalidInput::new(
                "command",
                format!("has {length} bytes, and tor takes at most {COMMAND_LIMIT}"),
            ));
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&self.line);
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(data);
        Ok(bytes)
    }

    /// Refuses what makes tor abort, answer nothing, answer twice or report what is not so, whoever
    /// wrote it.
    fn preflight(&self) -> Result<(), InvalidInput> {
        let mut words = self
            .line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty())
            .skip(1);
        let starts_with = |word: &[u8], prefix: &str| {
            word.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        let refuse = |problem: &'static str| {
            Err(InvalidInput::new(self.keyword.clone().into_owned(), problem))
        };
        match &*self.keyword {
            "SETCIRCUITPURPOSE" if words.next().is_none() => {
                refuse("has no argument, and tor would abort")
            }
            "CLOSESTREAM"
                if words.nth(1).is_some_and(|word| word.iter().all(|digit| *digit == b'0')) =>
            {
                refuse("has the reason 0, with which tor reports the stream as connected")
            }
            "ADD_ONION" if words.any(|word| starts_with(word, "ClientAuth=")) => {
                refuse("has ClientAuth=, which tor never answers: use ClientAuthV3=")
            }
            "HSPOST" if !words.any(|word| starts_with(word, "HSADDRESS=")) => {
                refuse("has no HSADDRESS=, without which tor never answers")
            }
            "ONION_CLIENT_AUTH_ADD"
                if words.any(|word| {
                    starts_with(word, "ClientName=") && word.len() > "ClientName=".len() + 16
                }) =>
            {
                refuse("has a ClientName of over 16 characters, which tor answers twice")
            }
            "GETINFO" if words.any(|word| word == b"downloads/desc/descs") => {
                refuse("asks for downloads/desc/descs, which makes some versions of tor abort")
            }
            _ => Ok(()),
        }
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
        if self.data.is_none() && SHOWN.contains(&&*self.keyword) {
            write!(f, "{}", self.line.escape_ascii())?;
        } else {
            write!(f, "{} [redacted]", self.keyword)?;
        }
        f.write_str(")")
    }
}

/// Refuses bytes that end a command or hide what follows.
pub(crate) fn check_line(argument: &'static str, value: &[u8]) -> Result<(), InvalidInput> {
    line_problem(value).map_or(Ok(()), |problem| Err(InvalidInput::new(argument, problem)))
}

/// Returns what is wrong with a value that has to stand in one line.
pub(crate) fn line_problem(value: &[u8]) -> Option<&'static str> {
    value.iter().find_map(|byte| match byte {
        b'\n' => Some("contains a line feed"),
        b'\r' => Some("contains a carriage return"),
        0 => Some("contains NUL"),
        _ => None,
    })
}

/// Refuses what cannot stand unquoted as one word.
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

/// Returns the data as lines that end in CRLF, with dots doubled and the closing line.
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
mod tests {
    use super::{COMMAND_LIMIT, Request};

    fn encoded(request: &Request) -> String {
        String::from_utf8(request.encode().unwrap()).unwrap()
    }

    fn refusal(line: &str) -> String {
        Request::from_line(line).and_then(|request| request.encode()).unwrap_err().to_string()
    }

    #[test]
    fn arguments_stand_in_the_order_given() {
        let request = Request::new("GETINFO")
            .token("key", "version")
            .and_then(|request| request.token("key", "ns/id/$AB"))
            .unwrap();
        assert_eq!(encoded(&request), "GETINFO version ns/id/$AB\r\n");
    }

    #[test]
    fn a_quoted_value_cannot_leave_its_quotes() {
        // Stem: set_conf("ContactInfo", "x\" Nickname=\"evil") set the nickname (peers 16).
        let request = Request::new("SETCONF")
            .cstring_pair("value", "ContactInfo", b"x\" Nickname=\"evil\\ \x01\x31")
            .unwrap();
        assert_eq!(
            encoded(&request),
            "SETCONF ContactInfo=\"x\\\" Nickname=\\\"evil\\\\ \\0011\"\r\n"
        );
    }

    #[test]
    fn line_breaks_and_nul_are_refused_in_every_kind_of_argument() {
        for (bad, problem) in
            [("a\nb", "a line feed"), ("a\rb", "a carriage return"), ("a\0b", "NUL")]
        {
            let message = format!("invalid argument \"key\": contains {problem}");
            let token = Request::new("GETINFO").token("key", bad);
            assert_eq!(token.unwrap_err().to_string(), message);
            let pair = Request::new("SETCONF").cstring_pair("key", "ContactInfo", bad.as_bytes());
            assert_eq!(pair.unwrap_err().to_string(), message);
            let pair = Request::new("HSFETCH").pair("key", bad);
            assert_eq!(pair.unwrap_err().to_string(), message);
            let message = format!("invalid argument \"command\": contains {problem}");
            assert_eq!(refusal(bad), message);
        }
        let data = Request::new("LOADCONF").data("text", b"a\0");
        assert_eq!(data.unwrap_err().to_string(), "invalid argument \"text\": contains NUL");
    }

    #[test]
    fn a_token_is_one_word() {
        for (bad, problem) in [
            ("", "is empty"),
            ("a b", "contains a blank"),
            ("a\tb", "contains a blank"),
            ("a\x07", "contains a control character"),
        ] {
            let error = Request::new("GETINFO").token("key", bad).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid argument \"key\": {problem}"));
        }
    }

    #[test]
    fn data_is_dot_stuffed_and_closed() {
        // Stem: what followed a lone dot in LOADCONF ran as commands (peers 17).
        let request = Request::new("LOADCONF").data("text", b"a\n.\r\n..b\nSIGNAL HALT").unwrap();
        assert_eq!(encoded(&request), "+LOADCONF\r\na\r\n..\r\n...b\r\nSIGNAL HALT\r\n.\r\n");
        let ended = Request::new("LOADCONF").data("text", b"a\n").unwrap();
        assert_eq!(encoded(&ended), "+LOADCONF\r\na\r\n.\r\n");
    }

    #[test]
    fn a_raw_line_must_be_a_command() {
        assert_eq!(refusal(""), "invalid argument \"command\": is empty");
        assert_eq!(refusal(" GETINFO"), "invalid argument \"command\": begins with a blank");
        assert_eq!(
            refusal("+LOADCONF"),
            "invalid argument \"command\": begins with \"+\": commands with data have methods"
        );
        assert_eq!(
            refusal("\"GETINFO\""),
            "invalid argument \"command\": does not begin with a keyword"
        );
        let request = Request::from_line("getinfo version").unwrap();
        assert_eq!(request.keyword(), "GETINFO");
        assert_eq!(encoded(&request), "getinfo version\r\n");
    }

    #[test]
    fn what_tor_never_answers_or_answers_twice_is_refused() {
        assert_eq!(
            refusal("setcircuitpurpose  "),
            "invalid argument \"SETCIRCUITPURPOSE\": has no argument, and tor would abort"
        );
        assert_eq!(
            refusal("closestream 41 00 Flag"),
            "invalid argument \"CLOSESTREAM\": has the reason 0, with which tor reports the stream \
             as connected"
        );
        assert!(Request::from_line("CLOSESTREAM 0 1").unwrap().encode().is_ok());
        assert_eq!(
            refusal("ADD_ONION NEW:BEST clientauth=bob Port=80"),
            "invalid argument \"ADD_ONION\": has ClientAuth=, which tor never answers: \
             use ClientAuthV3="
        );
        assert_eq!(
            refusal("ONION_CLIENT_AUTH_ADD id x25519:AAAA ClientName=12345678901234567"),
            "invalid argument \"ONION_CLIENT_AUTH_ADD\": has a ClientName of over 16 characters, \
             which tor answers twice"
        );
        assert_eq!(
            refusal("GETINFO version downloads/desc/descs"),
            "invalid argument \"GETINFO\": asks for downloads/desc/descs, \
             which makes some versions of tor abort"
        );
        let post = Request::new("HSPOST").data("descriptor", b"x").unwrap();
        assert_eq!(
            post.encode().unwrap_err().to_string(),
            "invalid argument \"HSPOST\": has no HSADDRESS=, without which tor never answers"
        );
        assert!(Request::from_line("ADD_ONION NEW:BEST ClientAuthV3=A Port=80").is_ok());
    }

    #[test]
    fn the_longest_command_is_one_byte_shorter_than_a_mebibyte() {
        let line = |length: usize| format!("GETINFO {}", "a".repeat(length - 10));
        let longest = Request::from_line(&line(COMMAND_LIMIT)).unwrap();
        assert_eq!(longest.encode().unwrap().len(), COMMAND_LIMIT);
        assert_eq!(
            refusal(&line(COMMAND_LIMIT + 1)),
            "invalid argument \"command\": has 1048576 bytes, and tor takes at most 1048575"
        );
    }

    #[test]
    fn debug_shows_arguments_by_allow_list() {
        let shown = Request::new("GETINFO").token("key", "version").unwrap();
        assert_eq!(format!("{shown:?}"), "Request(GETINFO version)");
        let hidden = Request::new("AUTHENTICATE").hex(b"secret");
        assert_eq!(format!("{hidden:?}"), "Request(AUTHENTICATE [redacted])");
        let unknown = Request::from_line("NEWCOMMAND secret").unwrap();
        assert_eq!(format!("{unknown:?}"), "Request(NEWCOMMAND [redacted])");
    }
}
