//! Secrets that must not be logged or shown, at any level.

use std::ops::ControlFlow;

use data_encoding::{HEXLOWER, HEXUPPER};
use torcon::{ConnectOptions, Controller, Password};

use super::{chain, connected};
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;
use crate::support::greeting::{Cookie, Proof};
use crate::support::log_capture::LogCapture;
use crate::support::script::Script;

const PASSWORD: &str = "pass-9f27c1-word";
const KEY: &str = "ED25519-V3:6e1f0ab2c3d4SECRETKEY";
const HASH: &str = "16:872860B76453A77D60CA2BB8C1A7042072093276A3D701AD684053EC4C";

/// Connects or fails, and returns all logs and texts.
fn attempt(options: &ConnectOptions, play: impl FnOnce(&mut Script) + Send + 'static) -> String {
    let tor = FakeTor::unix(play);
    let shown = match options.connect(tor.endpoint()) {
        Ok(controller) => format!("{controller:?} {options:?}"),
        Err(error) => format!("{error:?} {} {options:?}", chain(&error)),
    };
    tor.finish();
    shown
}

#[test]
fn no_handshake_of_any_method_logs_or_shows_a_secret() {
    // tor-client-lib logged commands and keys, and its Debug printed keys.
    let log = LogCapture::start();
    let mut cookies = Vec::new();
    let mut shown = Vec::new();
    let options = ConnectOptions::new();
    shown.push(attempt(&options, |script| {
        script.greet().expect_end();
    }));
    for proof in [None, Some(Proof::Wrong), Some(Proof::Short)] {
        let bytes: Vec<u8> = (0..32).map(|n| 0x9d ^ (n * 7) ^ cookies.len() as u8).collect();
        let cookie = Cookie::with_bytes(bytes.clone());
        cookies.push(bytes);
        shown.push(attempt(&options, move |script| {
            match proof {
                None => script.greet_safecookie(&cookie),
                Some(proof) => script.greet_safecookie_up_to_the_proof(&cookie, proof),
            };
            script.expect_end();
        }));
    }
    let plain: Vec<u8> = (0..32).map(|n| 0x4b ^ (n * 5)).collect();
    let cookie = Cookie::with_bytes(plain.clone());
    cookies.push(plain);
    let named = options.clone().plain_cookie_file(cookie.path());
    shown.push(attempt(&named, move |script| {
        script.greet_cookie(&cookie).expect_end();
    }));
    let known = options.clone().password(PASSWORD);
    let asked = options.clone().password_with(|| Some(Password::from(PASSWORD)));
    for options in [&known, &asked] {
        shown.push(attempt(options, |script| {
            script.greet_password(PASSWORD.as_bytes()).expect_end();
        }));
        shown.push(attempt(options, |script| {
            script.greet_password_and_refuse();
        }));
    }
    let mut secrets = vec![PASSWORD.to_owned(), HEXUPPER.encode(PASSWORD.as_bytes())];
    for cookie in &cookies {
        secrets.push(HEXUPPER.encode(cookie));
        secrets.push(cookie.escape_ascii().to_string());
        secrets.push(format!("{cookie:?}"));
        // A part of a secret must not show either.
        secrets.push(HEXLOWER.encode(&cookie[..8]));
    }
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    log.assert_holds_none_of(&secrets);
    for text in &shown {
        let text = text.to_lowercase();
        for secret in &secrets {
            assert!(!text.contains(&secret.to_lowercase()), "{secret:?} is shown in {text}");
        }
    }
    // The capture works: logs contain the keywords of commands.
    assert!(!log.lines_with("Request(AUTHENTICATE [redacted])").is_empty(), "{:?}", log.lines());
}

/// Checks that an error of a command shows no secret.
#[track_caller]
fn check(error: &torcon::Error) {
    let shown = format!("{error:?} {}", chain(error));
    for secret in [PASSWORD, KEY, HASH] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Sends every command with a secret in the command or in the reply.
fn use_secrets(controller: &Controller) {
    let reply = controller.command(&format!("ADD_ONION {KEY} Port=80")).unwrap();
    assert!(!format!("{reply:?}").contains(KEY), "{reply:?}");
    let pending = controller.queue_command("ADD_ONION NEW:BEST Port=80").unwrap();
    assert!(!format!("{pending:?}").contains(KEY), "{pending:?}");
    let reply = pending.wait().unwrap();
    assert_eq!(reply.lines().nth(1).unwrap().text(), format!("PrivateKey={KEY}"));
    assert!(!format!("{reply:?}").contains(KEY), "{reply:?}");
    controller.set_conf([("HashedControlPassword", HASH)]).unwrap();
    controller.reset_conf([("HashedControlPassword", HASH)]).unwrap();
    controller.load_conf(format!("HashedControlPassword {HASH}\nControlPort 1\n")).unwrap();
    controller.authenticate(PASSWORD).unwrap();
    controller.command(&format!("ONION_CLIENT_AUTH_ADD id x25519:{KEY}")).unwrap();
    controller.command_lines(&format!("NEW_COMMAND {KEY}"), |_| ControlFlow::Continue(())).unwrap();
    // Typed commands with the replies of other commands.
    let error = controller.take_ownership().unwrap_err();
    check(&error);
}

#[test]
fn no_command_logs_or_shows_a_secret() {
    let log = LogCapture::start();
    let (tor, controller) = connected(|script| {
        script.serve(|line, out| {
            let key = format!("250-ServiceID=x\r\n250-PrivateKey={KEY}\r\n250 OK\r\n");
            let data = line.starts_with("Hashed") || line.starts_with("ControlPort");
            let reply = match line.split(' ').next().unwrap() {
                "ADD_ONION" | "TAKEOWNERSHIP" => key.as_str(),
                "+LOADCONF" => "",
                _ if data => "",
                _ => "250 OK\r\n",
            };
            out.extend_from_slice(reply.as_bytes());
        });
    });
    use_secrets(&controller);
    drop(controller);
    tor.finish();
    let hex = HEXUPPER.encode(PASSWORD.as_bytes());
    log.assert_holds_none_of(&[PASSWORD, &hex, KEY, HASH, "SECRETKEY", "872860B7"]);
    for command in ["ADD_ONION", "SETCONF", "LOADCONF", "AUTHENTICATE", "NEW_COMMAND"] {
        let line = format!("Request({command} [redacted])");
        assert!(!log.lines_with(&line).is_empty(), "{command} left no trace");
    }
}

#[test]
fn a_refused_argument_is_not_repeated() {
    let (tor, controller) = connected(|script| {
        script.expect_end();
    });
    for error in [
        controller.set_conf([("HashedControlPassword", format!("{HASH}\n"))]).unwrap_err(),
        controller.set_conf([(format!("{HASH} "), "x")]).unwrap_err(),
        controller.command(&format!("ADD_ONION {KEY}\r\n")).unwrap_err(),
        controller.command(&format!("{KEY} x")).unwrap_err(),
        controller.command(&format!("ADD_ONION {KEY} ClientAuth={PASSWORD}")).unwrap_err(),
        controller.get_info_one(&format!("{KEY} {PASSWORD}")).unwrap_err(),
        controller.load_conf(format!("HashedControlPassword {HASH}\0")).unwrap_err(),
    ] {
        assert!(matches!(error, torcon::Error::InvalidInput(_)), "{error:?}");
        check(&error);
    }
    drop(controller);
    tor.finish();
}

#[test]
fn values_with_secrets_hide_them_in_debug() {
    use torcon::command::{Authenticate, Command, ConfSetting, LoadConf, SetConf};

    let texts = [
        format!("{:?}", Password::from(PASSWORD)),
        format!("{:?}", ConnectOptions::new().password(PASSWORD)),
        format!("{:?}", ConfSetting::from(PASSWORD)),
        format!("{:?}", SetConf::new([("HashedControlPassword", PASSWORD)])),
        format!("{:?}", SetConf::new([("HashedControlPassword", PASSWORD)]).request().unwrap()),
        format!("{:?}", LoadConf::new(PASSWORD)),
        format!("{:?}", Authenticate::new(PASSWORD.as_bytes())),
        format!("{:?}", Authenticate::new(PASSWORD.as_bytes()).request().unwrap()),
        format!("{:?}", torcon::Request::from_line(&format!("ADD_ONION {PASSWORD}")).unwrap()),
    ];
    let hex = HEXUPPER.encode(PASSWORD.as_bytes());
    for text in texts {
        assert!(!text.contains(PASSWORD) && !text.to_uppercase().contains(&hex), "{text}");
    }
}
