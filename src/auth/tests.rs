use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXUPPER};

use super::cookie::Cookie;
use super::safe_cookie::Exchange;
use super::{CookieSource, Password, authenticate};
use crate::command::{Command, GetProtocolInfo, ProtocolInfo};
use crate::error::{AuthError, AuthProblem, Error};
use crate::wire::{Reply, Request};

const COOKIE: [u8; 32] = *b"the cookie has thirty-two bytes!";

/// Returns the offer of a tor, with a cookie path.
fn offer(methods: &str, cookie: &Path) -> ProtocolInfo {
    let reply = format!(
        "250-PROTOCOLINFO 1\r\n250-AUTH METHODS={methods} COOKIEFILE={cookie:?}\r\n\
         250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"
    );
    GetProtocolInfo.reply(Reply::parse(reply.into_bytes()).unwrap()).unwrap()
}

/// Returns the offer of a tor whose cookie does not exist.
fn offer_without_cookie(methods: &str) -> ProtocolInfo {
    offer(methods, Path::new("/nonexistent/cookie"))
}

/// An attempt against scripted replies.
struct Dialogue {
    sent: Vec<String>,
    calls: usize,
    result: Result<(), Error>,
}

fn dialogue(info: &ProtocolInfo, password: Option<&str>, answers: &[&str]) -> Dialogue {
    let mut answers: VecDeque<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    attempt(info, password, |_| answers.pop_front().expect("one command too many"))
}

fn attempt(
    info: &ProtocolInfo,
    password: Option<&str>,
    answer: impl FnMut(&str) -> String,
) -> Dialogue {
    attempt_with(info, &CookieSource::default(), true, password, answer)
}

fn attempt_with(
    info: &ProtocolInfo,
    cookie: &CookieSource,
    is_local: bool,
    password: Option<&str>,
    mut answer: impl FnMut(&str) -> String,
) -> Dialogue {
    let (mut sent, mut calls) = (Vec::new(), 0);
    let result = authenticate(
        &mut |request: Request| {
            let line = String::from_utf8(request.encode().unwrap()).unwrap();
            let line = line.trim_end().to_owned();
            let answer = answer(&line);
            sent.push(line);
            Ok(Reply::parse(answer.into_bytes()).unwrap())
        },
        info,
        cookie,
        is_local,
        &mut || {
            calls += 1;
            Ok(password.map(Password::from))
        },
    );
    Dialogue { sent, calls, result }
}

impl Dialogue {
    fn failure(&self) -> AuthError {
        match &self.result {
            Err(Error::Auth(error)) => error.clone(),
            other => panic!("not a failed authentication: {other:?}"),
        }
    }

    /// Returns the text of the error, with its sources and the hint.
    fn story(&self) -> String {
        Error::from(self.failure()).to_string()
    }
}

/// Answers the challenge in `line` like a tor with this cookie.
fn challenge_answer(line: &str, cookie: [u8; 32]) -> String {
    let nonce = line.strip_prefix("AUTHCHALLENGE SAFECOOKIE ").unwrap().to_lowercase();
    let client_nonce: [u8; 32] = HEXLOWER.decode(nonce.as_bytes()).unwrap().try_into().unwrap();
    let server_nonce = [7; 32];
    let proof = hmac_of_server(cookie, &client_nonce, &server_nonce);
    format!(
        "250 AUTHCHALLENGE SERVERHASH={} SERVERNONCE={}\r\n",
        HEXUPPER.encode(&proof),
        HEXUPPER.encode(&server_nonce)
    )
}

fn hmac_of_server(cookie: [u8; 32], client_nonce: &[u8; 32], server_nonce: &[u8; 32]) -> Vec<u8> {
    use hmac::{Hmac, KeyInit, Mac};
    let key = b"Tor safe cookie authentication server-to-controller hash";
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(&[cookie, *client_nonce, *server_nonce].concat());
    mac.finalize().into_bytes().to_vec()
}

fn cookie_file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control_auth_cookie");
    fs::write(&path, COOKIE).unwrap();
    (directory, path)
}

#[test]
fn safe_cookie_is_preferred_and_the_cookie_is_never_sent() {
    // torut prefers the plain cookie (peers 19).
    let (_directory, path) = cookie_file();
    let info = offer("NULL,COOKIE,HASHEDPASSWORD,SAFECOOKIE", &path);
    let dialogue = attempt(&info, Some("foo"), |line| {
        if line.starts_with("AUTHCHALLENGE") {
            return challenge_answer(line, COOKIE);
        }
        "250 OK\r\n".into()
    });
    dialogue.result.as_ref().unwrap();
    assert_eq!((dialogue.sent.len(), dialogue.calls), (2, 0));

    let nonce = dialogue.sent[0].strip_prefix("AUTHCHALLENGE SAFECOOKIE ").unwrap();
    let nonce: [u8; 32] = HEXUPPER.decode(nonce.as_bytes()).unwrap().try_into().unwrap();
    let (cookie, server_nonce) = (Cookie::from(COOKIE), [7; 32]);
    let proof = Exchange::new(&cookie, &nonce, &server_nonce).client_proof();
    assert_eq!(dialogue.sent[1], format!("AUTHENTICATE {}", HEXUPPER.encode(&proof)));
}

#[test]
fn every_attempt_has_a_new_nonce() {
    let (_directory, path) = cookie_file();
    let info = offer("SAFECOOKIE", &path);
    let nonces: Vec<_> = (0..2)
        .map(|_| dialogue(&info, None, &["513 Invalid base16 client nonce\r\n"]).sent)
        .collect();
    assert_eq!(nonces[0][0].len(), "AUTHCHALLENGE SAFECOOKIE ".len() + 64);
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn after_a_wrong_server_proof_no_command_is_sent() {
    // `stem` sent the raw cookie then, and torut never looked at the proof (peers 19).
    let (_directory, path) = cookie_file();
    let info = offer("COOKIE,SAFECOOKIE,HASHEDPASSWORD,NULL", &path);
    let dialogue = attempt(&info, Some("foo"), |line| challenge_answer(line, [0; 32]));
    assert_eq!((dialogue.sent.len(), dialogue.calls), (1, 0));
    assert_eq!(
        dialogue.story(),
        format!(
            "cannot authenticate by SAFECOOKIE \
             (tor offers COOKIE, SAFECOOKIE, HASHEDPASSWORD, NULL): \
             the peer does not know the cookie in {path:?}: \
             it is not the tor that wrote the file; hint: \
             make sure that the address is that of the tor you mean, and the file its cookie, \
             which it writes at each start; to send it a password all the same, use ConnectOptions::without_cookie"
        )
    );
}

#[test]
fn a_challenge_that_cannot_be_read_ends_the_attempt() {
    let (_directory, path) = cookie_file();
    let info = offer("COOKIE,SAFECOOKIE,HASHEDPASSWORD", &path);
    for answer in ["250 OK\r\n", "250 AUTHCHALLENGE SERVERHASH=00 SERVERNONCE=00\r\n"] {
        let dialogue = dialogue(&info, Some("foo"), &[answer]);
        assert_eq!((dialogue.sent.len(), dialogue.calls), (1, 0));
        assert!(matches!(dialogue.failure().problem(), AuthProblem::Challenge(_)));
    }
}

/// Returns every order of every set of methods.
fn every_offer() -> Vec<String> {
    let mut offers = vec![Vec::new()];
    let mut all = Vec::new();
    while let Some(offer) = offers.pop() {
        for method in ["NULL", "COOKIE", "SAFECOOKIE", "HASHEDPASSWORD"] {
            if !offer.contains(&method) {
                offers.push([offer.as_slice(), &[method]].concat());
            }
        }
        all.push(offer.join(","));
    }
    all
}

// A port that offered only COOKIE and named the cookie of the real tor received it.
#[test]
fn no_offer_makes_the_client_send_the_content_of_a_file() {
    let (_directory, path) = cookie_file();
    let hex = HEXUPPER.encode(&COOKIE);
    let offers = every_offer();
    assert_eq!(offers.len(), 65);
    for methods in &offers {
        for (source, is_local) in [
            (CookieSource::NamedByTor, true),
            (CookieSource::NamedByTor, false),
            (CookieSource::File(path.clone()), false),
            (CookieSource::Never, true),
        ] {
            // The reply is a challenge with a wrong proof.
            let dialogue = attempt_with(&offer(methods, &path), &source, is_local, None, |line| {
                match line.starts_with("AUTHCHALLENGE") {
                    true => challenge_answer(line, [0; 32]),
                    false => "250 OK\r\n".into(),
                }
            });
            let shape = |line: &String| line == "AUTHENTICATE" || line.len() == 24 + 1 + 64;
            assert!(dialogue.sent.iter().all(shape), "{methods}: {:?}", dialogue.sent);
            let sent = dialogue.sent.concat();
            assert!(!sent.contains(&hex), "{methods}: {sent}");
            if sent.contains("AUTHCHALLENGE") {
                assert_eq!(dialogue.sent.len(), 1, "{methods}: {sent}");
            }
        }
    }
}

#[test]
fn without_safe_cookie_the_other_methods_are_used() {
    let (_directory, path) = cookie_file();
    let info = offer("HASHEDPASSWORD,COOKIE,NULL", &path);
    let given = dialogue(&info, Some("foo"), &["250 OK\r\n"]);
    given.result.as_ref().unwrap();
    assert_eq!(given.sent, ["AUTHENTICATE 666F6F"]);
    let refused = dialogue(&offer("COOKIE", &path), Some("foo"), &[]);
    assert_eq!((refused.sent.len(), refused.calls), (0, 0));
    assert_eq!(
        refused.story(),
        "cannot authenticate by COOKIE (tor offers COOKIE): \
         SAFECOOKIE is not offered, and COOKIE would reveal the cookie; hint: make sure that the \
         address is that of the tor you mean: every tor that offers COOKIE offers SAFECOOKIE too"
    );
}

#[test]
fn the_plain_cookie_is_sent_if_the_user_allows_it_and_there_is_no_safe_cookie() {
    let (_directory, path) = cookie_file();
    let elsewhere = Path::new("/nonexistent/cookie");
    let source = CookieSource::PlainFile(path.clone());
    let info = offer("HASHEDPASSWORD,COOKIE,NULL", elsewhere);
    let plain = attempt_with(&info, &source, false, Some("foo"), |_| "250 OK\r\n".into());
    plain.result.as_ref().unwrap();
    assert_eq!(plain.sent, [format!("AUTHENTICATE {}", HEXUPPER.encode(&COOKIE))]);
    assert_eq!(plain.calls, 0, "the cookie is enough");

    let info = offer("COOKIE,SAFECOOKIE", elsewhere);
    let safe = attempt_with(&info, &source, false, None, |line| challenge_answer(line, [0; 32]));
    assert_eq!(safe.sent.len(), 1, "no way back from SAFECOOKIE to COOKIE: {:?}", safe.sent);
    assert_eq!(safe.failure().cookie_path(), Some(path.as_path()));
}

#[test]
fn a_cookie_of_another_machine_is_read_only_from_a_path_of_the_user() {
    let (_directory, path) = cookie_file();
    let info = offer("COOKIE,SAFECOOKIE,HASHEDPASSWORD", &path);
    let refused = attempt_with(&info, &CookieSource::NamedByTor, false, None, |line| {
        panic!("one command too many: {line}")
    });
    assert_eq!(
        refused.story(),
        format!(
            "cannot authenticate by SAFECOOKIE (tor offers COOKIE, SAFECOOKIE, HASHEDPASSWORD): \
             the control port is on another machine, so the cookie file {path:?} was not read; \
             hint: copy the cookie to this machine, again after each start of tor, and name it with \
             ConnectOptions::cookie_file, or use a password"
        )
    );
    let password =
        attempt_with(&info, &CookieSource::NamedByTor, false, Some("foo"), |_| "250 OK\r\n".into());
    assert_eq!(password.sent, ["AUTHENTICATE 666F6F"]);

    let info = offer("COOKIE,SAFECOOKIE", Path::new("/nonexistent/cookie"));
    let named = attempt_with(&info, &CookieSource::File(path), false, None, |line| {
        match line.starts_with("AUTHCHALLENGE") {
            true => challenge_answer(line, COOKIE),
            false => "250 OK\r\n".into(),
        }
    });
    named.result.as_ref().unwrap();
    assert_eq!(named.sent.len(), 2);
}

#[test]
fn a_disabled_cookie_is_not_read() {
    let (_directory, path) = cookie_file();
    let info = offer("COOKIE,SAFECOOKIE,HASHEDPASSWORD", &path);
    let given =
        attempt_with(&info, &CookieSource::Never, true, Some("foo"), |_| "250 OK\r\n".into());
    assert_eq!(given.sent, ["AUTHENTICATE 666F6F"]);
    let info = offer("COOKIE,SAFECOOKIE", &path);
    let refused = attempt_with(&info, &CookieSource::Never, true, Some("foo"), |_| String::new());
    assert_eq!(
        refused.story(),
        "cannot authenticate by SAFECOOKIE (tor offers COOKIE, SAFECOOKIE): the options exclude \
         the cookie; hint: give a password, or connect without ConnectOptions::without_cookie"
    );
}

#[test]
fn a_relative_cookie_path_of_the_peer_is_refused() {
    let refused = dialogue(&offer("SAFECOOKIE", Path::new("Cargo.toml")), None, &[]);
    assert!(refused.story().contains(r#"path "Cargo.toml" is relative, not a regular file; "#));
}

#[test]
fn a_password_is_sent_in_hexadecimal() {
    // Without quotes tor would read `cafe` as two bytes (peers 18).
    let info = offer_without_cookie("HASHEDPASSWORD,NULL");
    let dialogue = dialogue(&info, Some("caf\u{e9} \"\\%"), &["250 OK\r\n"]);
    dialogue.result.as_ref().unwrap();
    assert_eq!(dialogue.sent, ["AUTHENTICATE 636166C3A920225C25"]);
    assert_eq!(dialogue.calls, 1);
}

#[test]
fn the_null_method_sends_no_secret() {
    let dialogue = dialogue(&offer_without_cookie("NULL"), Some("foo"), &["250 OK\r\n"]);
    dialogue.result.as_ref().unwrap();
    assert_eq!(dialogue.sent, ["AUTHENTICATE"]);
    assert_eq!(dialogue.calls, 0);
}

#[test]
fn a_declined_password_is_missing() {
    let dialogue = dialogue(&offer_without_cookie("HASHEDPASSWORD"), None, &[]);
    assert_eq!((dialogue.sent.len(), dialogue.calls), (0, 1));
    assert_eq!(
        dialogue.story(),
        "cannot authenticate by HASHEDPASSWORD (tor offers HASHEDPASSWORD): \
         tor needs a password and none was given; hint: \
         give one with ConnectOptions::password, or set CookieAuthentication 1 in the torrc"
    );
    let anyone =
        self::dialogue(&offer_without_cookie("HASHEDPASSWORD,NULL"), None, &["250 OK\r\n"]);
    assert_eq!(anyone.sent, ["AUTHENTICATE"], "the next method of the order");
}

#[test]
fn an_unreadable_cookie_is_followed_by_a_password() {
    for methods in ["COOKIE,SAFECOOKIE,HASHEDPASSWORD", "SAFECOOKIE,HASHEDPASSWORD"] {
        let info = offer_without_cookie(methods);
        let given = dialogue(&info, Some("foo"), &["250 OK\r\n"]);
        given.result.as_ref().unwrap();
        assert_eq!((given.sent, given.calls), (vec!["AUTHENTICATE 666F6F".to_owned()], 1));

        let declined = dialogue(&info, None, &[]);
        assert_eq!((declined.sent.len(), declined.calls), (0, 1));
        assert!(
            matches!(declined.failure().problem(), AuthProblem::CookieUnreadable { .. }),
            "the cookie is the better hint"
        );
    }
}

#[test]
fn a_cookie_that_cannot_be_used_is_an_error() {
    let (directory, path) = cookie_file();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let short = directory.path().join("short");
    fs::write(&short, b"short").unwrap();
    let offers = "(tor offers COOKIE, SAFECOOKIE)";
    for (path, message) in [
        (
            Path::new("/nonexistent/cookie"),
            "the cookie file \"/nonexistent/cookie\" cannot be read: No such file or directory \
             (os error 2); hint: tor sees other files, or has just ended: name the path at which \
             this program sees the cookie with ConnectOptions::cookie_file, or use a password"
                .to_owned(),
        ),
        (
            &link,
            format!(
                "the cookie path {link:?} is a symbolic link, not a regular file; hint: make sure \
                 that the address is that of the tor you mean, and the path that of its cookie"
            ),
        ),
        (
            &short,
            format!(
                "the cookie file {short:?} has 5 bytes instead of 32; hint: make sure \
                 that the address is that of the tor you mean, and the path that of its cookie"
            ),
        ),
    ] {
        let dialogue = dialogue(&offer("COOKIE,SAFECOOKIE", path), Some("foo"), &[]);
        assert_eq!(dialogue.calls, 0, "tor takes no password");
        assert_eq!(
            dialogue.story(),
            format!("cannot authenticate by SAFECOOKIE {offers}: {message}")
        );
        assert_eq!(dialogue.failure().cookie_path(), Some(path));
    }

    let mut nowhere = offer_without_cookie("SAFECOOKIE");
    nowhere.cookie_file = None;
    assert_eq!(
        dialogue(&nowhere, None, &[]).story(),
        "cannot authenticate by SAFECOOKIE (tor offers SAFECOOKIE): \
         tor does not report the path of its cookie file; hint: set CookieAuthFile in the torrc"
    );
}

#[test]
fn unknown_methods_only_are_an_error() {
    for (methods, listed) in [("TELEPATHY,OATH", "TELEPATHY, OATH"), ("", "nothing")] {
        let dialogue = dialogue(&offer_without_cookie(methods), Some("foo"), &[]);
        assert_eq!((dialogue.sent.len(), dialogue.calls), (0, 0));
        assert_eq!(
            dialogue.story(),
            format!(
                "cannot authenticate (tor offers {listed}): \
                 tor offers no known method; hint: \
                 this tor may be newer than torcon, or may not be a tor"
            )
        );
    }
}

#[test]
fn a_refusal_has_its_code_and_not_the_secret() {
    let refused = "515 Authentication failed: Password did not match HashedControlPassword value \
                   from configuration\r\n";
    let dialogue = dialogue(&offer_without_cookie("HASHEDPASSWORD"), Some("hunter2"), &[refused]);
    assert_eq!(dialogue.result.as_ref().unwrap_err().status_code(), Some(515));
    assert_eq!(dialogue.sent, ["AUTHENTICATE 68756E74657232"], "one attempt, and no other method");
    assert_eq!(
        dialogue.story(),
        "cannot authenticate by HASHEDPASSWORD (tor offers HASHEDPASSWORD): \
         tor refused the authentication: tor refused AUTHENTICATE: 515 \"Authentication failed: \
         Password did not match HashedControlPassword value from configuration\"; hint: check the \
         password against tor's HashedControlPassword"
    );
    let shown = format!("{:?}", dialogue.failure());
    assert!(!shown.contains("hunter2") && !shown.contains("68756E"), "{shown}");
}

#[test]
fn a_closed_connection_is_not_a_failed_proof() {
    let error = authenticate(
        &mut |_| Err(crate::error::Disconnect::EndOfStream.into()),
        &offer_without_cookie("NULL"),
        &CookieSource::default(),
        true,
        &mut || Ok(None),
    )
    .unwrap_err();
    assert!(error.is_closed());
}
