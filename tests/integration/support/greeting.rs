//! The openings of a control connection, as a tor of each configuration plays them.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;

use super::script::Script;

const SERVER_KEY: &[u8] = b"Tor safe cookie authentication server-to-controller hash";
const CLIENT_KEY: &[u8] = b"Tor safe cookie authentication controller-to-server hash";
/// The version line of tor 0.4.9.11 in the reply to PROTOCOLINFO.
const VERSION: &str = "250-VERSION Tor=\"0.4.9.11\"";
/// tor uses a random nonce; the tests use a fixed one.
const SERVER_NONCE: [u8; 32] = [0x5a; 32];

/// A cookie file in a new directory.
#[derive(Debug)]
pub(crate) struct Cookie {
    path: PathBuf,
    bytes: Vec<u8>,
    _directory: TempDir,
}

impl Cookie {
    /// Writes a file of 32 bytes, as tor does.
    pub(crate) fn new() -> Self {
        Self::with_bytes((0..32).map(|n| 0xc0 ^ n).collect())
    }

    /// Writes a file of any size.
    pub(crate) fn with_bytes(bytes: Vec<u8>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("control_auth_cookie");
        fs::write(&path, &bytes).expect("a file can be written");
        Self { path, bytes, _directory: directory }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the cookie as it would stand on the wire and must not stand in a log.
    pub(crate) fn hex(&self) -> String {
        HEXUPPER.encode(&self.bytes)
    }
}

/// How the server proves in AUTHCHALLENGE that it knows the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Right,
    /// One bit is wrong.
    Wrong,
    /// The first 31 bytes of the right one.
    Short,
    /// Made with the key of the client's proof, which a careless client would also accept.
    WithClientKey,
    /// Made with another cookie.
    OfAnotherCookie,
}

/// Openings of the other authentication methods.
pub(crate) trait Greeting {
    /// Answers PROTOCOLINFO with the given METHODS and, maybe, a cookie path.
    fn protocol_info(&mut self, methods: &str, cookie_path: Option<&Path>) -> &mut Self;

    /// Offers only COOKIE and accepts a client that sends the cookie.
    fn greet_cookie(&mut self, cookie: &Cookie) -> &mut Self;

    /// Offers both cookie methods and accepts a client with a valid SAFECOOKIE proof.
    fn greet_safecookie(&mut self, cookie: &Cookie) -> &mut Self;

    /// The same with another path in the reply to PROTOCOLINFO, as in a container.
    fn greet_safecookie_naming(&mut self, cookie: &Cookie, path: impl AsRef<Path>) -> &mut Self;

    /// Offers both cookie methods and sends a proof that may be wrong; the test plays the rest,
    /// after a wrong proof `expect_end`.
    fn greet_safecookie_up_to_the_proof(&mut self, cookie: &Cookie, kind: Proof) -> &mut Self;

    /// Answers AUTHCHALLENGE.
    fn answer_challenge(&mut self, cookie: &Cookie, kind: Proof) -> &mut Self;

    /// Offers only HASHEDPASSWORD and accepts a client that sends the password, in hex or as a
    /// QuotedString.
    fn greet_password(&mut self, password: &[u8]) -> &mut Self;

    /// Offers only HASHEDPASSWORD, refuses every password in tor's words, and closes.
    fn greet_password_and_refuse(&mut self) -> &mut Self;
}

impl Greeting for Script {
    fn protocol_info(&mut self, methods: &str, cookie_path: Option<&Path>) -> &mut Self {
        self.expect_matching("PROTOCOLINFO", |line| {
            line == "PROTOCOLINFO"
                || line.strip_prefix("PROTOCOLINFO ").is_some_and(|version| version == "1")
        });
        let cookie_file = cookie_path.map_or_else(String::new, |path| {
            let path = path.to_str().expect("the tests use paths that need no quoting");
            assert!(!path.contains(['"', '\\']), "the tests use paths that need no quoting");
            format!(" COOKIEFILE=\"{path}\"")
        });
        self.send_lines(&[
            "250-PROTOCOLINFO 1",
            &format!("250-AUTH METHODS={methods}{cookie_file}"),
            VERSION,
            "250 OK",
        ])
    }

    fn greet_cookie(&mut self, cookie: &Cookie) -> &mut Self {
        self.protocol_info("COOKIE", Some(cookie.path()));
        let sent = hex_argument(self, "AUTHENTICATE ");
        if sent != cookie.bytes() {
            self.fail("the cookie is wrong");
        }
        self.send_lines(&["250 OK"])
    }

    fn greet_safecookie(&mut self, cookie: &Cookie) -> &mut Self {
        self.greet_safecookie_naming(cookie, cookie.path())
    }

    fn greet_safecookie_naming(&mut self, cookie: &Cookie, path: impl AsRef<Path>) -> &mut Self {
        self.protocol_info("COOKIE,SAFECOOKIE", Some(path.as_ref()));
        let client_nonce = challenge(self, cookie, Proof::Right);
        let found = hex_argument(self, "AUTHENTICATE ");
        if found != proof(CLIENT_KEY, cookie.bytes(), &client_nonce) {
            self.fail("the client's proof is wrong");
        }
        self.send_lines(&["250 OK"])
    }

    fn greet_safecookie_up_to_the_proof(&mut self, cookie: &Cookie, kind: Proof) -> &mut Self {
        self.protocol_info("COOKIE,SAFECOOKIE", Some(cookie.path()));
        challenge(self, cookie, kind);
        self
    }

    fn answer_challenge(&mut self, cookie: &Cookie, kind: Proof) -> &mut Self {
        challenge(self, cookie, kind);
        self
    }

    fn greet_password(&mut self, password: &[u8]) -> &mut Self {
        self.protocol_info("HASHEDPASSWORD", None);
        let sent = password_argument(self);
        if sent != password {
            self.fail(&format!("the password is wrong: \"{}\"", sent.escape_ascii()));
        }
        self.send_lines(&["250 OK"])
    }

    fn greet_password_and_refuse(&mut self) -> &mut Self {
        self.protocol_info("HASHEDPASSWORD", None);
        password_argument(self);
        self.send_lines(&[
            "515 Authentication failed: Password did not match HashedControlPassword value from \
             configuration",
        ]);
        self.close()
    }
}

/// Answers AUTHCHALLENGE; returns the client's nonce.
fn challenge(script: &mut Script, cookie: &Cookie, kind: Proof) -> Vec<u8> {
    let client_nonce = hex_argument(script, "AUTHCHALLENGE SAFECOOKIE ");
    if client_nonce.len() < 32 {
        script.fail(&format!("the client's nonce has only {} bytes", client_nonce.len()));
    }
    if kind == Proof::Short {
        script.unchecked("a proof that is too short");
    }
    let right = proof(SERVER_KEY, cookie.bytes(), &client_nonce);
    let shown = match kind {
        Proof::Right => right,
        Proof::Wrong => {
            let mut wrong = right;
            wrong[31] ^= 1;
            wrong
        }
        Proof::Short => right[..31].to_vec(),
        Proof::WithClientKey => proof(CLIENT_KEY, cookie.bytes(), &client_nonce),
        Proof::OfAnotherCookie => proof(SERVER_KEY, &[0; 32], &client_nonce),
    };
    script.send_lines(&[&format!(
        "250 AUTHCHALLENGE SERVERHASH={} SERVERNONCE={}",
        HEXUPPER.encode(&shown),
        HEXUPPER.encode(&SERVER_NONCE),
    )]);
    client_nonce
}

fn password_argument(script: &mut Script) -> Vec<u8> {
    let what = "AUTHENTICATE with a password";
    let line = script.expect_matching(what, |line| line.starts_with("AUTHENTICATE "));
    let argument = &line["AUTHENTICATE ".len()..];
    let quoted = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(quoted) => {
            let mut plain = Vec::new();
            let mut bytes = quoted.bytes();
            while let Some(byte) = bytes.next() {
                let is_escape = byte == b'\\';
                plain.push(if is_escape { bytes.next().unwrap_or(byte) } else { byte });
            }
            plain
        }
        None => decode(script, argument),
    }
}

fn hex_argument(script: &mut Script, prefix: &str) -> Vec<u8> {
    let what = format!("{prefix}and hex digits");
    let line = script.expect_matching(&what, |line| line.starts_with(prefix));
    decode(script, &line[prefix.len()..])
}

fn decode(script: &Script, hex: &str) -> Vec<u8> {
    match HEXLOWER_PERMISSIVE.decode(hex.as_bytes()) {
        Ok(bytes) => bytes,
        Err(error) => script.fail(&format!("{hex:?} is not hex: {error}")),
    }
}

fn proof(key: &[u8], cookie: &[u8], client_nonce: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any size");
    mac.update(cookie);
    mac.update(client_nonce);
    mac.update(&SERVER_NONCE);
    mac.finalize().into_bytes().to_vec()
}

/// Returns what a client that knows the cookie must send in AUTHENTICATE.
pub(crate) fn client_proof(cookie: &[u8], client_nonce: &[u8]) -> String {
    HEXUPPER.encode(&proof(CLIENT_KEY, cookie, client_nonce))
}
