//! A tor with a cookie and a password, and a cookie at another path or a wrong one.

use std::fs;

use torcon::error::AuthProblem;
use torcon::names::AuthMethod;
use torcon::{ConnectOptions, Error, Password};

use super::refusal;
use crate::support::greeting::Greeting as _;
use crate::support::real_tor::RealTor;
use crate::support::recording_proxy::RecordingProxy;

/// Connects through a recording proxy. Returns the keywords of the commands and the result.
fn connect(tor: &RealTor, options: &ConnectOptions) -> (Vec<String>, Result<(), Error>) {
    let tap = RecordingProxy::before(tor.address());
    let outcome = options.connect(tap.endpoint()).and_then(|controller| {
        assert_eq!(controller.get_info_one("process/pid")?, tor.pid().to_string());
        Ok(())
    });
    let keyword = |line: &String| line.split(' ').next().unwrap().to_owned();
    let sent = tap.sent();
    let handshake = sent.iter().take_while(|line| !line.starts_with("GETINFO"));
    (handshake.map(keyword).collect(), outcome)
}

fn with_password() -> RealTor {
    let hash = Password::from("swordfish").hashed().unwrap();
    RealTor::builder().line(format!("HashedControlPassword {hash}")).start()
}

// The path of the cookie could not be given.
#[test]
fn a_cookie_at_another_path_of_this_program_is_named() {
    let tor = RealTor::start();
    let volume = tempfile::tempdir().unwrap();
    let moved = volume.path().join("cookie");
    fs::rename(tor.cookie_path(), &moved).unwrap();
    assert!(torcon::connect(tor.endpoint()).is_err());
    let (sent, outcome) = connect(&tor, &ConnectOptions::new().cookie_file(&moved));
    outcome.unwrap();
    assert_eq!(sent, ["PROTOCOLINFO", "AUTHCHALLENGE", "AUTHENTICATE"]);

    // The file that tor names does not replace the one that the user names.
    fs::rename(&moved, tor.cookie_path()).unwrap();
    let text = refusal(ConnectOptions::new().cookie_file(&moved).connect(tor.endpoint()));
    assert!(text.contains(&format!("the cookie file {moved:?} cannot be read")), "{text}");
}

#[test]
fn a_wrong_cookie_prevents_the_password_unless_cookies_are_disabled() {
    let tor = with_password();
    let other = RealTor::start();
    let options = ConnectOptions::new().password("swordfish");
    let wrong = options.clone().cookie_file(other.cookie_path());
    let (sent, outcome) = connect(&tor, &wrong);
    assert_eq!(sent, ["PROTOCOLINFO", "AUTHCHALLENGE"]);
    let Err(Error::Auth(error)) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(error.problem(), AuthProblem::WrongServerProof { .. }), "{error:?}");
    assert_eq!(error.methods_tried(), [AuthMethod::SafeCookie]);

    let (sent, outcome) = connect(&tor, &wrong.without_cookie());
    outcome.unwrap();
    assert_eq!(sent, ["PROTOCOLINFO", "AUTHENTICATE"]);

    // A missing cookie says nothing about the peer.
    let missing = options.cookie_file(tor.directory().join("missing"));
    let (sent, outcome) = connect(&tor, &missing);
    outcome.unwrap();
    assert_eq!(sent, ["PROTOCOLINFO", "AUTHENTICATE"]);
}

#[test]
fn the_plain_cookie_is_not_sent_to_a_tor() {
    let tor = RealTor::start();
    let options = ConnectOptions::new().plain_cookie_file(tor.cookie_path());
    let (sent, outcome) = connect(&tor, &options);
    outcome.unwrap();
    assert_eq!(sent, ["PROTOCOLINFO", "AUTHCHALLENGE", "AUTHENTICATE"]);
}

// tor closes the connection after a refused challenge, so the password needs a new one.
#[test]
fn a_cookie_that_tor_refuses_is_followed_by_the_password() {
    let tor = with_password();
    let controller = torcon::connect(tor.endpoint()).unwrap();
    let offer = controller.protocol_info().unwrap();
    assert_eq!(offer.auth_methods.len(), 3);
    let relay = crate::support::fake_tor::FakeTor::unix({
        let (cookie, target) = (tor.cookie_path(), tor.address());
        move |script| {
            // The reply of a tor whose cookie was disabled after its offer.
            script.protocol_info("COOKIE,SAFECOOKIE,HASHEDPASSWORD", Some(&cookie));
            script.expect_matching("a challenge", |line| line.starts_with("AUTHCHALLENGE "));
            let mut raw = crate::support::raw_control::RawControl::connect(&target);
            raw.authenticate_by_cookie(&cookie);
            assert_eq!(raw.ask("SETCONF CookieAuthentication=0"), ["250 OK"]);
            let mut refused = crate::support::raw_control::RawControl::connect(&target);
            let words = refused.ask(&format!("AUTHCHALLENGE SAFECOOKIE {}", "00".repeat(32)));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            script.send_lines(&words).close();
            let mut second = script.accept();
            second.protocol_info("HASHEDPASSWORD", None);
            second.answer("AUTHENTICATE 73776F726466697368", &["250 OK"]).expect_end();
        }
    });
    drop(ConnectOptions::new().password("swordfish").connect(relay.endpoint()).unwrap());
    relay.finish();
}
