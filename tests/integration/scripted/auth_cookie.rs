//! The choice of the cookie: named by tor, named by the user, or none; and the method after a
//! refusal. A port that is not tor receives no content of a file.

use std::time::Duration;

use torcon::error::{AuthError, AuthProblem};
use torcon::names::AuthMethod;
use torcon::{ConnectOptions, Endpoint, Error, Password};

use super::chain;
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;
use crate::support::greeting::{Cookie, Proof};

const BOTH: &str = "COOKIE,SAFECOOKIE,HASHEDPASSWORD";

fn auth_error(error: Error) -> AuthError {
    match error {
        Error::Auth(error) => error,
        other => panic!("{other:?}"),
    }
}

// The cookie was sent to any port that offered COOKIE and named its path.
#[test]
fn a_rogue_port_that_offers_only_cookie_receives_no_cookie() {
    for methods in ["COOKIE", "NULL,COOKIE", "COOKIE,PALM", "HASHEDPASSWORD,COOKIE"] {
        let cookie = Cookie::new();
        let hex = cookie.hex();
        let rogue = FakeTor::tcp(move |script| {
            script.protocol_info(methods, Some(cookie.path()));
            if methods.contains("NULL") {
                script.answer("AUTHENTICATE", &["250 OK"]);
            }
            script.expect_end();
        });
        let outcome = torcon::connect(rogue.endpoint());
        match outcome {
            Ok(controller) => drop(controller),
            Err(error) => {
                let error = auth_error(error);
                assert!(matches!(error.problem(), AuthProblem::PlainCookieOnly), "{error:?}");
                assert_eq!(error.tried(), Some(&AuthMethod::Cookie));
            }
        }
        assert!(!rogue.lines().concat().to_uppercase().contains(&hex));
        rogue.finish();
    }
}

#[test]
fn a_cookie_is_read_from_the_path_of_the_user() {
    // As in a container: the path that tor names does not exist.
    let cookie = Cookie::new();
    let options = ConnectOptions::new().cookie_file(cookie.path());
    let tor = FakeTor::tcp(move |script| {
        script.greet_safecookie_naming(&cookie, "/var/lib/tor/control_auth_cookie").expect_end();
    });
    drop(options.connect(tor.endpoint()).unwrap());
    tor.finish();
}

#[test]
fn a_password_is_not_sent_to_a_peer_that_does_not_know_the_cookie() {
    let cookie = Cookie::new();
    let options = ConnectOptions::new().password("hunter2");
    let tor = FakeTor::unix(move |script| {
        script.protocol_info(BOTH, Some(cookie.path()));
        script.answer_challenge(&cookie, Proof::OfAnotherCookie).expect_end();
    });
    let error = auth_error(options.connect(tor.endpoint()).unwrap_err());
    tor.finish();
    assert!(matches!(error.problem(), AuthProblem::WrongServerProof { .. }), "{error:?}");
    assert!(error.advice().contains("ConnectOptions::without_cookie"), "{}", error.advice());

    // With the consent of the user.
    let cookie = Cookie::new();
    let tor = FakeTor::unix(move |script| {
        script.protocol_info(BOTH, Some(cookie.path()));
        script.answer("AUTHENTICATE 68756E74657232", &["250 OK"]).expect_end();
    });
    drop(options.without_cookie().connect(tor.endpoint()).unwrap());
    tor.finish();
}

// A refused cookie ended the attempt although a password was given.
#[test]
fn a_refused_cookie_is_followed_by_the_password_on_a_new_connection() {
    for is_asked in [false, true] {
        let cookie = Cookie::new();
        let options = match is_asked {
            false => ConnectOptions::new().password("p"),
            true => ConnectOptions::new().password_with(|| Some(Password::from("p"))),
        };
        let tor = FakeTor::unix(move |script| {
            script.protocol_info(BOTH, Some(cookie.path()));
            script.answer_challenge(&cookie, Proof::Right);
            script.expect_matching("a proof", |line| line.starts_with("AUTHENTICATE "));
            script
                .send_lines(&[
                    "515 Authentication failed: Safe cookie response did not match expected value.",
                ])
                .close();
            let mut second = script.accept();
            second.protocol_info(BOTH, Some(cookie.path()));
            second.answer("AUTHENTICATE 70", &["250 OK"]).expect_end();
        });
        drop(options.connect(tor.endpoint()).unwrap());
        tor.finish();
    }
}

#[test]
fn a_refused_challenge_is_followed_by_the_password() {
    let cookie = Cookie::new();
    let tor = FakeTor::unix(move |script| {
        script.protocol_info(BOTH, Some(cookie.path()));
        script.expect_matching("a challenge", |line| line.starts_with("AUTHCHALLENGE "));
        script.send_lines(&["515 Cookie authentication is disabled"]).close();
        let mut second = script.accept();
        second.protocol_info(BOTH, Some(cookie.path())).expect("AUTHENTICATE 70");
        second
            .send_lines(&[
                "515 Authentication failed: Password did not match HashedControlPassword *or* \
                             authentication cookie.",
            ])
            .close();
    });
    let error = ConnectOptions::new().password("p").connect(tor.endpoint()).unwrap_err();
    tor.finish();
    let text = chain(&error);
    let error = auth_error(error);
    assert_eq!(error.methods_tried(), [AuthMethod::SafeCookie, AuthMethod::HashedPassword]);
    assert!(
        text.starts_with(
            "cannot authenticate by SAFECOOKIE or HASHEDPASSWORD \
             (tor offers COOKIE, SAFECOOKIE, HASHEDPASSWORD): tor refused the authentication: "
        ),
        "{text}"
    );
}

#[test]
fn a_refused_cookie_without_another_way_is_tried_once() {
    // Neither a password without HASHEDPASSWORD, nor HASHEDPASSWORD without a password.
    for (methods, options) in [
        ("COOKIE,SAFECOOKIE,NULL", ConnectOptions::new().password("p")),
        (BOTH, ConnectOptions::new()),
    ] {
        let cookie = Cookie::new();
        let tor = FakeTor::unix(move |script| {
            script.protocol_info(methods, Some(cookie.path()));
            script.expect_matching("a challenge", |line| line.starts_with("AUTHCHALLENGE "));
            script.send_lines(&["515 Cookie authentication is disabled"]).close();
        });
        let error = auth_error(options.connect(tor.endpoint()).unwrap_err());
        tor.finish();
        assert_eq!(error.methods_tried(), [AuthMethod::SafeCookie]);
    }

    // The closure returns none: the refused cookie is reported.
    let cookie = Cookie::new();
    let tor = FakeTor::unix(move |script| {
        script.protocol_info(BOTH, Some(cookie.path()));
        script.expect_matching("a challenge", |line| line.starts_with("AUTHCHALLENGE "));
        script.send_lines(&["515 Cookie authentication is disabled"]).close();
        script.accept().protocol_info(BOTH, Some(cookie.path())).expect_end();
    });
    let options = ConnectOptions::new().password_with(|| None);
    let error = auth_error(options.connect(tor.endpoint()).unwrap_err());
    tor.finish();
    assert!(matches!(error.problem(), AuthProblem::Refused(_)), "{error:?}");
    assert_eq!(error.methods_tried(), [AuthMethod::SafeCookie]);
}

#[test]
fn both_connections_share_one_time_limit() {
    let cookie = Cookie::new();
    let tor = FakeTor::unix(move |script| {
        script.protocol_info(BOTH, Some(cookie.path()));
        script.expect_matching("a challenge", |line| line.starts_with("AUTHCHALLENGE "));
        script.pause(Duration::from_millis(500));
        script.send_lines(&["515 Cookie authentication is disabled"]).close();
        // No answer from here on.
        let mut second = script.accept();
        second.expect("PROTOCOLINFO 1").expect_end();
    });
    let options = ConnectOptions::new().password("p").timeout(Duration::from_secs(8));
    let began = std::time::Instant::now();
    let error = options.connect(tor.endpoint()).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    tor.finish();
}

#[test]
fn an_empty_list_of_endpoints_is_refused() {
    let error = ConnectOptions::new().connect_first(&[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid argument \"endpoints\": is an empty list: give at least one endpoint to connect to"
    );
}

// Only the last endpoint counted.
#[test]
fn a_list_of_endpoints_timed_out_only_if_every_one_did() {
    let silent = || {
        FakeTor::unix(|script| {
            script.expect("PROTOCOLINFO 1").expect_end();
        })
    };
    let endpoint = |tor: &FakeTor| tor.endpoint().parse::<Endpoint>().unwrap();
    let nowhere: Endpoint = "unix:/nonexistent/control".parse().unwrap();
    let options = ConnectOptions::new().timeout(Duration::from_secs(2));

    let tor = silent();
    let list = [nowhere.clone(), endpoint(&tor)];
    assert!(!options.connect_first(&list).unwrap_err().is_timeout());
    tor.finish();
    let (one, other) = (silent(), silent());
    let error = options.connect_first(&[endpoint(&one), endpoint(&other)]).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    one.finish();
    other.finish();
}
