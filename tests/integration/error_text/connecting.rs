//! The output of `fn main() -> torcon::Result<()>` when no control connection can be made.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use torcon::{ConnectOptions, Endpoint, Error};

use super::check_text;
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Cookie;
use crate::support::greeting::Greeting as _;
use crate::support::script::Script;
use crate::support::watchdog::within;

const OPEN_A_PORT: &str = "start tor, or open its control port with two lines in its torrc: \
                           ControlPort 9051, and CookieAuthentication 1";

/// Returns what is printed after `Error: `, with ADDRESS for the endpoint.
fn printed(options: ConnectOptions, play: impl FnOnce(&mut Script) + Send + 'static) -> String {
    let tor = FakeTor::tcp(play);
    let endpoint = tor.endpoint();
    let target = endpoint.clone();
    let error = within(Duration::from_secs(30), "connect", move || options.connect(target));
    tor.finish();
    text_of(&error.unwrap_err()).replace(&endpoint, "ADDRESS")
}

fn text_of(error: &Error) -> String {
    check_text(error);
    let text = format!("{error:?}");
    // `{}` has the hint too, so it has all of the reasons.
    if text.contains("; hint: ") {
        assert_eq!(error.to_string(), text);
    }
    text
}

fn closed_port() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().into()
}

#[test]
fn without_a_tor_there_is_one_hint_for_all_endpoints() {
    let closed = closed_port();
    let refused = "Connection refused (os error 111)";
    let error = torcon::connect(&closed).unwrap_err();
    let expected = format!("cannot connect to {closed}: {refused}; hint: {OPEN_A_PORT}");
    assert_eq!(text_of(&error), expected);

    let missing = Endpoint::unix(Path::new("/nonexistent/control"));
    let endpoints = [missing, closed.clone()];
    let error = ConnectOptions::new().connect_first(&endpoints).unwrap_err();
    assert_eq!(
        text_of(&error),
        format!(
            "cannot connect to any of the addresses: unix:/nonexistent/control (No such file or \
             directory (os error 2)); {closed} ({refused}); hint: {OPEN_A_PORT}"
        )
    );
}

#[test]
fn a_failed_authentication_has_its_reason_before_the_hint() {
    let wrong = printed(ConnectOptions::new().password("wrong one"), |script| {
        script.greet_password_and_refuse();
    });
    assert_eq!(
        wrong,
        "cannot authenticate by HASHEDPASSWORD (tor offers HASHEDPASSWORD): tor refused the \
         authentication: tor refused AUTHENTICATE: 515 \"Authentication failed: Password did not \
         match HashedControlPassword value from configuration\"; hint: check the password against \
         tor's HashedControlPassword"
    );
    let none = printed(ConnectOptions::new(), |script| {
        script.protocol_info("HASHEDPASSWORD", None).expect_end();
    });
    assert_eq!(
        none,
        "cannot authenticate by HASHEDPASSWORD (tor offers HASHEDPASSWORD): tor needs a password \
         and none was given; hint: give one with ConnectOptions::password, or set \
         CookieAuthentication 1 in the torrc"
    );
    let cookie = printed(ConnectOptions::new(), |script| {
        let path = Path::new("/nonexistent/control_auth_cookie");
        script.protocol_info("COOKIE,SAFECOOKIE", Some(path)).expect_end();
    });
    assert_eq!(
        cookie,
        "cannot authenticate by SAFECOOKIE (tor offers COOKIE, SAFECOOKIE): the cookie file \
         \"/nonexistent/control_auth_cookie\" cannot be read: No such file or directory (os error \
         2); hint: tor sees other files, or has just ended: name the path at which this program \
         sees the cookie with ConnectOptions::cookie_file, or use a password"
    );
}

#[test]
fn the_hint_of_a_tor_that_answers_takes_precedence() {
    let tor = FakeTor::tcp(|script| {
        script.protocol_info("HASHEDPASSWORD", None).expect_end();
    });
    let (closed, endpoint) = (closed_port(), tor.endpoint());
    let endpoints = [closed.clone(), endpoint.parse().unwrap()];
    let error = ConnectOptions::new().connect_first(&endpoints).unwrap_err();
    tor.finish();
    assert_eq!(
        text_of(&error),
        format!(
            "cannot connect to any of the addresses: {closed} (Connection refused (os error \
             111)); {endpoint} (cannot authenticate by HASHEDPASSWORD (tor offers \
             HASHEDPASSWORD): tor needs a password and none was given); hint: give one with \
             ConnectOptions::password, or set CookieAuthentication 1 in the torrc"
        )
    );
}

#[test]
fn another_port_is_distinguished() {
    let socks = printed(ConnectOptions::new(), |script| {
        script.expect_line("a command");
        script.unchecked("a SocksPort of tor");
        script.send(b"HTTP/1.0 501 Tor is not an HTTP Proxy\r\n\r\n").close();
    });
    assert_eq!(
        socks,
        "cannot connect to ADDRESS: not a control port: it answered \"HTTP/1.0 501 Tor is not an \
         HTTP Proxy\"; hint: this is tor's SocksPort; its control port is another one, usually \
         9051 (9151 in Tor Browser)"
    );
    let closing = printed(ConnectOptions::new(), |script| {
        script.expect_line("a command");
        script.close();
    });
    assert_eq!(
        closing,
        "cannot connect to ADDRESS: not a control port: it closed the connection without an answer"
    );
    let silent = ConnectOptions::new().timeout(Duration::from_millis(300));
    assert_eq!(
        printed(silent, |script| {
            script.drain();
        }),
        "cannot connect to ADDRESS: no answer to the first command: not a control port, or a tor \
         that is stopped: timed out after 300ms waiting for a control connection"
    );
}

#[test]
fn a_wrong_cookie_of_the_peer_is_no_riddle() {
    let cookie = Cookie::with_bytes(vec![7; 31]);
    let path = cookie.path().display().to_string();
    let text = printed(ConnectOptions::new(), move |script| {
        script.protocol_info("COOKIE,SAFECOOKIE", Some(cookie.path())).expect_end();
    });
    assert_eq!(
        text,
        format!(
            "cannot authenticate by SAFECOOKIE (tor offers COOKIE, SAFECOOKIE): the cookie file \
             \"{path}\" has 31 bytes instead of 32; hint: make sure that the address is that of \
             the tor you mean, and the path that of its cookie"
        )
    );
}
