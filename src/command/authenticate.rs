//! Authentication: `PROTOCOLINFO`, `AUTHCHALLENGE`, `AUTHENTICATE`.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use data_encoding::HEXUPPER_PERMISSIVE;
use zeroize::Zeroizing;

use super::{Command, acknowledged, out_of_step, reading};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{AuthMethod, TorVersion};
use crate::wire::fields::{Fields, Value};
use crate::wire::quoted::split_quoted;
use crate::wire::{COMMAND_LIMIT, Reply, Request};

/// Queries tor's version and its authentication methods.
///
/// `PROTOCOLINFO 1`. Before authentication tor answers it only once.
///
/// # Examples
///
/// ```
/// use torcon::Reply;
/// use torcon::command::{Command, GetProtocolInfo};
/// use torcon::names::AuthMethod;
///
/// let reply = "250-PROTOCOLINFO 1\r\n\
///              250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE=\"/run/tor/control.authcookie\"\r\n\
///              250-VERSION Tor=\"0.4.9.11\"\r\n\
///              250 OK\r\n";
/// let info = GetProtocolInfo::new().reply(Reply::parse(reply.into())?)?;
/// assert!(info.offers(&AuthMethod::SafeCookie));
/// assert_eq!(info.cookie_file.unwrap().to_str(), Some("/run/tor/control.authcookie"));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetProtocolInfo;

impl GetProtocolInfo {
    /// Returns the command.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// The reply to `PROTOCOLINFO`.
///
/// # Examples
///
/// ```no_run
/// use torcon::ConnectOptions;
/// use torcon::names::AuthMethod;
///
/// let controller = ConnectOptions::new().connect("127.0.0.1:9051")?;
/// let info = controller.protocol_info()?;
/// if info.offers(&AuthMethod::Null) {
///     eprintln!("every local program can control tor {}", info.tor_version);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtocolInfo {
    /// The version of tor.
    pub tor_version: TorVersion,
    /// The offered authentication methods, in tor's order, each once, unknown ones too; at most 64,
    /// since the peer is not yet authenticated.
    pub auth_methods: Vec<AuthMethod>,
    /// The path of the cookie file in tor's file system, if a cookie is offered.
    pub cookie_file: Option<PathBuf>,
}

impl ProtocolInfo {
    /// Returns whether tor offers the method.
    #[doc(alias = "HasAuthMethod")]
    #[must_use]
    pub fn offers(&self, method: &AuthMethod) -> bool {
        self.auth_methods.contains(method)
    }
}

impl Command for GetProtocolInfo {
    type Reply = ProtocolInfo;

    const KEYWORD: &'static str = "PROTOCOLINFO";

    fn request(&self) -> Result<Request, InvalidInput> {
        Request::new(Self::KEYWORD).token("version", "1")
    }

    fn reply(&self, reply: Reply) -> Result<ProtocolInfo> {
        let reply = reply.into_result(Self::KEYWORD)?;
        let mut lines = reply.lines();
        let first = lines.next().map_or(&b""[..], |line| line.bytes());
        if Fields::new(first).word() != Some(Self::KEYWORD.as_bytes()) {
            return Err(out_of_step(Self::KEYWORD, "PROTOCOLINFO", first));
        }
        let mut tor_version = None;
        let mut auth_methods = Vec::new();
        let mut cookie_file = None;
        // Other lines and fields are of later versions.
        for line in lines {
            let mut fields = Fields::new(line.bytes());
            match fields.word() {
                Some(b"AUTH") => {
                    for field in fields {
                        match field.key {
                            b"METHODS" => {
                                add_methods(&mut auth_methods, field.value);
                            }
                            b"COOKIEFILE" => {
                                cookie_file = Some(read_path(field.value, line.bytes())?);
                            }
                            _ => {}
                        }
                    }
                }
                Some(b"VERSION") => {
                    let version = fields.find(|field| field.key == b"Tor");
                    tor_version = version.map(|field| {
                        TorVersion::from_text(&String::from_utf8_lossy(&field.value.bytes()))
                    });
                }
                _ => {}
            }
        }
        let Some(tor_version) = tor_version else {
            let expected = "a line VERSION with the version of tor";
            return Err(ProtocolError::new(&reading(Self::KEYWORD), expected, first).into());
        };
        Ok(ProtocolInfo { tor_version, auth_methods, cookie_file })
    }
}

/// The maximum number of methods; tor has four.
const METHODS: usize = 64;

/// Returns the path of a cookie file. One whose closing quote is missing would be another path.
fn read_path(value: Value<'_>, line: &[u8]) -> Result<PathBuf, ProtocolError> {
    let raw = value.raw();
    if raw.starts_with(b"\"") && !matches!(split_quoted(raw), Some((_, []))) {
        let expected = "COOKIEFILE= and a path in quotes";
        return Err(ProtocolError::new(&reading(GetProtocolInfo::KEYWORD), expected, line));
    }
    Ok(PathBuf::from(OsString::from_vec(value.bytes().into_owned())))
}

fn add_methods(methods: &mut Vec<AuthMethod>, list: Value<'_>) {
    for word in list.list() {
        if methods.len() == METHODS {
            return;
        }
        let method = AuthMethod::from_bytes(word);
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
}

/// Starts SAFECOOKIE: requests the proof that tor knows the cookie.
///
/// `AUTHCHALLENGE SAFECOOKIE nonce`.
///
/// # Examples
///
/// ```
/// use torcon::command::{AuthChallenge, Command};
///
/// // A real nonce is random.
/// let line = AuthChallenge::new([0x2a; 32]).request()?.encode()?;
/// assert!(line.starts_with(b"AUTHCHALLENGE SAFECOOKIE 2A2A2A"));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthChallenge {
    client_nonce: [u8; 32],
}

/// The reply to `AUTHCHALLENGE`.
///
/// # Examples
///
/// ```
/// use torcon::Reply;
/// use torcon::command::{AuthChallenge, Command};
///
/// let (hash, nonce) = ("11".repeat(32), "22".repeat(32));
/// let line = format!("250 AUTHCHALLENGE SERVERHASH={hash} SERVERNONCE={nonce}\r\n");
/// let challenge = AuthChallenge::new([0x2a; 32]).reply(Reply::parse(line.into_bytes())?)?;
/// assert_eq!(challenge.server_hash, [0x11; 32]);
/// assert_eq!(challenge.server_nonce, [0x22; 32]);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerChallenge {
    /// The proof that the server knows the cookie, to be checked before anything else is sent.
    pub server_hash: [u8; 32],
    /// The nonce that the client's proof must cover.
    pub server_nonce: [u8; 32],
}

impl AuthChallenge {
    /// Returns the command with a nonce: random bytes, used once.
    #[must_use]
    pub fn new(client_nonce: [u8; 32]) -> Self {
        Self { client_nonce }
    }
}

impl Command for AuthChallenge {
    type Reply = ServerChallenge;

    const KEYWORD: &'static str = "AUTHCHALLENGE";

    fn request(&self) -> Result<Request, InvalidInput> {
        Ok(Request::new(Self::KEYWORD)
            .token("method", AuthMethod::SafeCookie.as_str())?
            .hex(&self.client_nonce))
    }

    fn reply(&self, reply: Reply) -> Result<ServerChallenge> {
        let reply = reply.into_result(Self::KEYWORD)?;
        let line = reply.lines().next().map_or(&b""[..], |line| line.bytes());
        let mut fields = Fields::new(line);
        if fields.word() != Some(Self::KEYWORD.as_bytes()) {
            return Err(out_of_step(Self::KEYWORD, "AUTHCHALLENGE", line));
        }
        let fields: Vec<_> = fields.collect();
        let decode = |key: &str| -> Option<[u8; 32]> {
            let field = fields.iter().find(|field| field.key == key.as_bytes())?;
            HEXUPPER_PERMISSIVE.decode(&field.value.bytes()).ok()?.try_into().ok()
        };
        let missing = |expected| ProtocolError::new(&reading(Self::KEYWORD), expected, line);
        Ok(ServerChallenge {
            server_hash: decode("SERVERHASH")
                .ok_or_else(|| missing("SERVERHASH= and 64 hexadecimal digits"))?,
            server_nonce: decode("SERVERNONCE")
                .ok_or_else(|| missing("SERVERNONCE= and 64 hexadecimal digits"))?,
        })
    }
}

/// Authenticates the connection.
///
/// `AUTHENTICATE [secret]`, with the secret in hexadecimal. tor closes the connection if it fails.
///
/// # Examples
///
/// ```
/// use torcon::command::{Authenticate, Command};
///
/// let command = Authenticate::new(b"secret");
/// assert_eq!(command.request()?.encode()?, b"AUTHENTICATE 736563726574\r\n");
/// assert!(!format!("{command:?}").contains("736563"));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct Authenticate {
    secret: Zeroizing<Vec<u8>>,
}

impl Authenticate {
    /// Returns the command without a secret, for a tor that requires no authentication.
    #[doc(alias = "authenticate_none")]
    #[must_use]
    pub fn null() -> Self {
        Self::new(b"")
    }

    /// Returns the command with a password, a cookie, or a SAFECOOKIE proof.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self { secret: Zeroizing::new(secret.to_vec()) }
    }
}

impl Command for Authenticate {
    acknowledged!("AUTHENTICATE");

    fn request(&self) -> Result<Request, InvalidInput> {
        let (length, limit) = (self.secret.len(), (COMMAND_LIMIT - "AUTHENTICATE \r\n".len()) / 2);
        if length > limit {
            let problem = format!("has {length} bytes, and tor accepts at most {limit}");
            return Err(InvalidInput::new("password", problem));
        }
        let request = Request::new(Self::KEYWORD);
        Ok(if self.secret.is_empty() { request } else { request.hex(&self.secret) })
    }
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticate(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::{AuthChallenge, Authenticate, COMMAND_LIMIT, GetProtocolInfo, ProtocolInfo};
    use crate::command::Command;
    use crate::command::dialogue::{answered, error, misrouted, sent};
    use crate::names::AuthMethod;

    #[test]
    fn the_longest_password_makes_the_longest_command() {
        let sent = |length: usize| {
            let request = Authenticate::new(&vec![b'x'; length]).request();
            request.and_then(|request| request.encode()).map(|bytes| bytes.len())
        };
        let limit = (COMMAND_LIMIT - "AUTHENTICATE \r\n".len()) / 2;
        assert_eq!(sent(limit).unwrap(), 2 * limit + "AUTHENTICATE \r\n".len());
        let refused = sent(limit + 1).unwrap_err().to_string();
        assert!(refused.starts_with("invalid argument \"password\""), "{refused}");
    }

    fn protocol_info(lines: &[u8]) -> ProtocolInfo {
        let reply = [b"250-PROTOCOLINFO 1\r\n", lines, b"250 OK\r\n"].concat();
        answered(&GetProtocolInfo, &reply).unwrap()
    }

    #[test]
    fn the_version_and_the_methods_are_parsed() {
        assert_eq!(sent(&GetProtocolInfo), "PROTOCOLINFO 1\r\n");
        let info = protocol_info(
            b"250-AUTH METHODS=COOKIE,SAFECOOKIE,HASHEDPASSWORD \
              COOKIEFILE=\"/srv/tor/t/data/control_auth_cookie\"\r\n\
              250-VERSION Tor=\"0.4.9.11\"\r\n",
        );
        assert_eq!(info.tor_version.to_string(), "0.4.9.11");
        assert_eq!(
            info.auth_methods,
            [AuthMethod::Cookie, AuthMethod::SafeCookie, AuthMethod::HashedPassword]
        );
        assert_eq!(info.cookie_file.unwrap().to_str(), Some("/srv/tor/t/data/control_auth_cookie"));
    }

    #[test]
    fn the_cookie_path_may_contain_any_bytes() {
        let info = protocol_info(
            b"250-AUTH METHODS=COOKIE COOKIEFILE=\"/ck dir \\\"q\\\" \\\\x \\303\\251\\377/cookie\"\r\n\
              250-VERSION Tor=\"0.4.9.11\"\r\n",
        );
        let path = info.cookie_file.unwrap();
        assert_eq!(path.as_os_str().as_bytes(), b"/ck dir \"q\" \\x \xc3\xa9\xff/cookie");
    }

    #[test]
    fn a_cookie_file_without_its_closing_quote_is_refused() {
        for path in ["\"/a b", "\"", "\"/a b\\\""] {
            let line = format!("AUTH METHODS=COOKIE COOKIEFILE={path}");
            let reply = format!("250-PROTOCOLINFO 1\r\n250-{line}\r\n250 OK\r\n");
            assert_eq!(
                error(&GetProtocolInfo, reply.as_bytes()).to_string(),
                format!(
                    "cannot read the reply to PROTOCOLINFO: expected COOKIEFILE= and a path in \
                     quotes, got {line:?}"
                )
            );
        }
    }

    #[test]
    fn unknown_lines_and_fields_are_skipped() {
        let info = protocol_info(
            b"250-FUTURE x=1\r\n\
              250-VERSION Tor=\"0.5.1.1-alpha (git-0123)\" Build=x\r\n\
              250-AUTH METHODS=,TELEPATHY,NULL LEVEL=\"9 9\"\r\n",
        );
        assert_eq!(info.tor_version.as_str(), "0.5.1.1-alpha (git-0123)");
        assert_eq!(info.auth_methods, [AuthMethod::from("TELEPATHY"), AuthMethod::Null]);
        assert!(info.offers(&AuthMethod::Null));
        assert_eq!(info.cookie_file, None);
    }

    #[test]
    fn a_reply_without_version_or_of_another_command_is_refused() {
        let reply = b"250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n";
        assert_eq!(
            error(&GetProtocolInfo, reply).to_string(),
            "cannot read the reply to PROTOCOLINFO: \
             expected a line VERSION with the version of tor, got \"PROTOCOLINFO 1\""
        );
        assert_eq!(
            misrouted(&GetProtocolInfo, b"250-version=0.4.9.11\r\n250 OK\r\n"),
            "cannot read the reply to PROTOCOLINFO: expected PROTOCOLINFO, got \"version=\""
        );
        assert_eq!(
            error(&GetProtocolInfo, b"514 Authentication required.\r\n").to_string(),
            "tor refused PROTOCOLINFO: 514 \"Authentication required.\""
        );
    }

    const HASH: &str = "E8D74E7570454787844145A77C1EAB8D98B2D21C4F640F75DCD03AD81D4E545F";
    const NONCE: &str = "76F113409822561919AB49C1A211DA7427E001FD6C94AB061A9CBD9C391B83C0";

    #[test]
    fn a_challenge_is_answered_with_hash_and_nonce() {
        let command = AuthChallenge::new([0xAB; 32]);
        assert_eq!(sent(&command), format!("AUTHCHALLENGE SAFECOOKIE {}\r\n", "AB".repeat(32)));
        for (hash, nonce) in
            [(HASH.to_owned(), NONCE.to_owned()), (HASH.to_lowercase(), NONCE.to_lowercase())]
        {
            let reply = format!("250 AUTHCHALLENGE SERVERHASH={hash} SERVERNONCE={nonce}\r\n");
            let challenge = answered(&command, reply.as_bytes()).unwrap();
            assert_eq!(challenge.server_hash[..3], [0xE8, 0xD7, 0x4E]);
            assert_eq!(challenge.server_nonce[30..], [0x83, 0xC0]);
        }
    }

    #[test]
    fn a_truncated_or_missing_challenge_is_refused() {
        let command = AuthChallenge::new([0; 32]);
        let short = HASH.split_at(62).0;
        for (fields, expected) in [
            (format!("SERVERNONCE={NONCE}"), "SERVERHASH"),
            (format!("SERVERHASH={short} SERVERNONCE={NONCE}"), "SERVERHASH"),
            (format!("SERVERHASH={HASH}00 SERVERNONCE={NONCE}"), "SERVERHASH"),
            (format!("SERVERHASH={HASH}"), "SERVERNONCE"),
            (format!("SERVERHASH={HASH} SERVERNONCE="), "SERVERNONCE"),
            (format!("SERVERHASH={HASH} SERVERNONCE={}", "x".repeat(64)), "SERVERNONCE"),
        ] {
            let message = error(&command, format!("250 AUTHCHALLENGE {fields}\r\n").as_bytes());
            let beginning = format!(
                "cannot read the reply to AUTHCHALLENGE: \
                 expected {expected}= and 64 hexadecimal digits, got \"AUTHCHALLENGE SERVER"
            );
            assert!(message.to_string().starts_with(&beginning), "{message}");
        }
        assert_eq!(
            misrouted(&command, b"250 OK\r\n"),
            "cannot read the reply to AUTHCHALLENGE: expected AUTHCHALLENGE, got \"OK\""
        );
    }

    #[test]
    fn a_secret_is_sent_in_hexadecimal_and_never_shown() {
        // Stem refused a backslash, bine mangled `%` (peers 18).
        let command = Authenticate::new("s3cr\"et\\ %n \u{e9}".as_bytes());
        assert_eq!(sent(&command), "AUTHENTICATE 733363722265745C20256E20C3A9\r\n");
        assert_eq!(format!("{command:?}"), "Authenticate(..)");
        let request = format!("{:?}", command.request().unwrap());
        assert!(!request.contains("7333"), "the secret is shown: {request}");
        assert_eq!(sent(&Authenticate::null()), "AUTHENTICATE\r\n");
        assert!(answered(&command, b"250 OK\r\n").is_ok());
    }
}
