//! The methods of authentication, and their failures.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use torcon::error::{AuthError, AuthProblem};
use torcon::names::AuthMethod;
use torcon::{ConnectOptions, Error, Password};

use super::{LIMIT, chain};
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;
use crate::support::greeting::{Cookie, Proof};
use crate::support::script::Script;
use crate::support::watchdog::within;

const WRONG: &str = "515 Authentication failed: Password did not match HashedControlPassword value \
                     from configuration";

/// Connects to a fake tor that refuses authentication, and returns the error.
#[track_caller]
fn failure(
    options: ConnectOptions,
    play: impl FnOnce(&mut Script) + Send + 'static,
) -> (AuthError, String) {
    let tor = FakeTor::unix(play);
    let endpoint = tor.endpoint();
    let error = within(LIMIT, "connecting", move || options.connect(endpoint)).unwrap_err();
    tor.finish();
    let text = chain(&error);
    let Error::Auth(error) = error else { panic!("{error:?}") };
    (error, text)
}

/// Offers a cookie at `path`, and requires that the client sends nothing more.
#[track_caller]
fn bad_cookie(path: &Path) -> (AuthProblem, String) {
    let path = path.to_owned();
    let (error, text) = failure(ConnectOptions::new(), move |script| {
        script.protocol_info("COOKIE,SAFECOOKIE", Some(&path)).expect_end();
    });
    assert_eq!(error.offered(), [AuthMethod::Cookie, AuthMethod::SafeCookie]);
    assert_eq!(error.tried(), Some(&AuthMethod::SafeCookie));
    (error.problem().clone(), text)
}

#[test]
fn every_method_authenticates() {
    let tor = FakeTor::tcp(|script| {
        script.greet().expect_end();
    });
    drop(torcon::connect(tor.endpoint()).unwrap());
    tor.finish();
    for safe in [false, true] {
        let cookie = Cookie::new();
        let options = match safe {
            false => ConnectOptions::new().plain_cookie_file(cookie.path()),
            true => ConnectOptions::new(),
        };
        let tor = FakeTor::tcp(move |script| {
            if safe {
                script.greet_safecookie(&cookie)
            } else {
                script.greet_cookie(&cookie)
            };
            script.expect_end();
        });
        drop(options.connect(tor.endpoint()).unwrap());
        tor.finish();
    }
}

#[test]
fn a_password_can_be_any_bytes() {
    // peers 18: backslashes were refused, octal escapes and % mangled.
    for password in [&b"plain"[..], b"a \"b\\c\" %41 \xc3\xa9", b"\\", b"a\0b\r\nQUIT", b"\x011"] {
        let expected = password.to_vec();
        let tor = FakeTor::unix(move |script| {
            script.greet_password(&expected).expect_end();
        });
        drop(ConnectOptions::new().password(password).connect(tor.endpoint()).unwrap());
        tor.finish();
    }
}

#[test]
fn methods_are_tried_in_the_documented_order() {
    // peers 19: the plain cookie was preferred (torut).
    let cookie = Cookie::new();
    let tor = FakeTor::unix(move |script| {
        // The greeting offers both cookie methods; the given password must not be used.
        script.greet_safecookie(&cookie).expect_end();
    });
    drop(ConnectOptions::new().password("not this").connect(tor.endpoint()).unwrap());
    tor.finish();

    // The password, with an unreadable cookie.
    let tor = FakeTor::unix(|script| {
        script.protocol_info("NULL,HASHEDPASSWORD,COOKIE,SAFECOOKIE", Some("/none".as_ref()));
        script.answer("AUTHENTICATE 70", &["250 OK"]).expect_end();
    });
    drop(ConnectOptions::new().password("p").connect(tor.endpoint()).unwrap());
    tor.finish();

    // NULL, with an unreadable cookie and no password.
    let tor = FakeTor::unix(|script| {
        script.protocol_info("NULL,HASHEDPASSWORD,COOKIE", Some("/none".as_ref()));
        script.answer("AUTHENTICATE", &["250 OK"]).expect_end();
    });
    drop(torcon::connect(tor.endpoint()).unwrap());
    tor.finish();
}

#[test]
fn the_password_closure_is_called_at_most_once_on_the_calling_thread() {
    let calls: Arc<AtomicU32> = Arc::default();
    let (counted, here) = (Arc::clone(&calls), std::thread::current().id());
    let options = ConnectOptions::new().password_with(move || {
        let there: ThreadId = std::thread::current().id();
        assert_eq!(there, here);
        counted.fetch_add(1, Ordering::Relaxed);
        Some(Password::from("asked"))
    });
    let cookie = Cookie::new();
    let tor = FakeTor::unix(move |script| {
        script.greet_safecookie(&cookie).expect_end();
    });
    drop(options.connect(tor.endpoint()).unwrap());
    tor.finish();
    assert_eq!(calls.load(Ordering::Relaxed), 0);

    let tor = FakeTor::unix(|script| {
        script.greet_password(b"asked").expect_end();
    });
    drop(options.connect(tor.endpoint()).unwrap());
    tor.finish();
    assert_eq!(calls.load(Ordering::Relaxed), 1);

    // The closure is not called again after a refusal.
    let tor = FakeTor::unix(|script| {
        script.greet_password_and_refuse();
    });
    assert_eq!(options.connect(tor.endpoint()).unwrap_err().status_code(), Some(515));
    tor.finish();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn the_time_of_the_password_closure_does_not_count() {
    let limit = Duration::from_secs(6);
    let options = ConnectOptions::new().timeout(limit).password_with(move || {
        std::thread::sleep(limit + Duration::from_millis(200));
        Some(Password::from("slow"))
    });
    let tor = FakeTor::unix(|script| {
        script.greet_password(b"slow").expect_end();
    });
    drop(options.connect(tor.endpoint()).unwrap());
    tor.finish();
}

// The time of the closure was added to a limit that was too large for a deadline.
#[test]
fn a_password_closure_is_called_with_the_longest_limit() {
    let options = ConnectOptions::new().timeout(Duration::MAX);
    let options = options.password_with(|| Some(Password::from("asked")));
    let tor = FakeTor::unix(|script| {
        script.greet_password(b"asked").expect_end();
    });
    drop(options.connect(tor.endpoint()).unwrap());
    tor.finish();
}

#[test]
fn a_declined_or_missing_password_is_an_error() {
    for options in [ConnectOptions::new(), ConnectOptions::new().password_with(|| None)] {
        let (error, text) = failure(options, |script| {
            script.protocol_info("HASHEDPASSWORD", None).expect_end();
        });
        assert!(matches!(error.problem(), AuthProblem::PasswordMissing), "{text}");
        assert_eq!(error.tried(), Some(&AuthMethod::HashedPassword));
        assert!(text.contains("tor needs a password and none was given"), "{text}");
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_reported_with_the_text_of_tor() {
    let (error, text) = failure(ConnectOptions::new().password("wrong-7c1"), |script| {
        script.protocol_info("HASHEDPASSWORD,NULL", None).expect("AUTHENTICATE 77726F6E672D376331");
        // Nothing else is tried, although NULL would have succeeded.
        script.send(format!("{WRONG}\r\n")).expect_end();
    });
    assert!(matches!(error.problem(), AuthProblem::Refused(_)), "{text}");
    let (code, words) = WRONG.split_once(' ').unwrap();
    assert!(text.contains(&format!("{code} {words:?}")), "{text}");
    assert!(!text.contains("wrong-7c1") && !text.contains("77726F6E672D376331"), "{text}");
}

#[test]
fn each_bad_cookie_file_has_its_own_error_and_is_not_sent() {
    // peers 20: any file that the peer named was read and sent (tari).
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);

    let (problem, text) = bad_cookie(&at("missing"));
    assert!(matches!(problem, AuthProblem::CookieUnreadable { .. }), "{text}");
    assert!(text.contains("missing") && text.contains("No such file"), "{text}");

    for size in [0, 31, 33, 100_000] {
        let cookie = Cookie::with_bytes(vec![0x61; size]);
        let (problem, text) = bad_cookie(cookie.path());
        let AuthProblem::CookieSize { size: found, .. } = problem else { panic!("{text}") };
        assert_eq!(found, size as u64);
        assert!(text.contains(&format!("has {size} bytes instead of 32")), "{text}");
    }

    let cookie = Cookie::new();
    symlink(cookie.path(), at("link")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (path, kind) in [
        (at("link"), "a symbolic link"),
        (at("pipe"), "a named pipe"),
        (at("socket"), "a socket"),
        (directory.path().to_owned(), "a directory"),
        ("/dev/zero".into(), "a device"),
        ("/dev/tty".into(), "a device"),
    ] {
        let (problem, text) = bad_cookie(&path);
        let AuthProblem::CookieNotAFile { found, .. } = problem else { panic!("{text}") };
        assert_eq!(found, kind);
        assert!(text.contains(&format!("is {kind}, not a regular file")), "{text}");
    }

    // Root can read every file.
    if !nix::unistd::geteuid().is_root() {
        let cookie = Cookie::new();
        std::fs::set_permissions(cookie.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
        let (problem, text) = bad_cookie(cookie.path());
        assert!(matches!(problem, AuthProblem::CookieUnreadable { .. }), "{text}");
        assert!(text.contains("Permission denied"), "{text}");
    }

    let (error, text) = failure(ConnectOptions::new(), |script| {
        script.protocol_info("SAFECOOKIE", None).expect_end();
    });
    assert!(matches!(error.problem(), AuthProblem::CookiePathMissing), "{text}");
}

#[test]
fn after_a_wrong_server_proof_nothing_more_is_sent() {
    // peers 19: the raw cookie was sent after a wrong proof (`stem`), or the proof was never
    // checked (torut). `expect_end` fails at any byte; a password and NULL are available too.
    for proof in [Proof::Wrong, Proof::Short, Proof::WithClientKey, Proof::OfAnotherCookie] {
        let cookie = Cookie::new();
        let hex = cookie.hex();
        let (error, text) = failure(ConnectOptions::new().password("secret"), move |script| {
            script.greet_safecookie_up_to_the_proof(&cookie, proof).expect_end();
        });
        match error.problem() {
            AuthProblem::WrongServerProof { .. } => {
                assert!(text.contains("the peer does not know the cookie"), "{text}");
            }
            AuthProblem::Challenge(_) => assert_eq!(proof, Proof::Short),
            other => panic!("{other:?}"),
        }
        assert!(!format!("{error:?}{text}").to_uppercase().contains(&hex), "{text}");
    }
}

#[test]
fn a_malformed_or_refused_challenge_ends_the_attempt() {
    for (answer, part) in [
        ("250 OK", "cannot be read"),
        ("250 AUTHCHALLENGE", "cannot be read"),
        ("250 AUTHCHALLENGE SERVERHASH=zz SERVERNONCE=00", "cannot be read"),
        ("513 AUTHCHALLENGE only supports SAFECOOKIE authentication", "513"),
        ("515 Cookie authentication is disabled", "515"),
    ] {
        let cookie = Cookie::new();
        // Without HASHEDPASSWORD, a refusal is final.
        let methods = match part {
            "cannot be read" => "SAFECOOKIE,HASHEDPASSWORD,NULL",
            _ => "SAFECOOKIE,NULL",
        };
        let (error, text) = failure(ConnectOptions::new().password("x"), move |script| {
            script.unchecked("a challenge that cannot be read");
            script.protocol_info(methods, Some(cookie.path()));
            script.expect_matching("a challenge", |line| line.starts_with("AUTHCHALLENGE "));
            script.send_lines(&[answer]).expect_end();
        });
        assert_eq!(error.tried(), Some(&AuthMethod::SafeCookie));
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn an_offer_of_unknown_methods_only_is_reported() {
    for methods in ["RETINA,PALM", ""] {
        let (error, text) = failure(ConnectOptions::new().password("x"), move |script| {
            script.protocol_info(methods, None).expect_end();
        });
        assert!(matches!(error.problem(), AuthProblem::NoKnownMethod), "{text}");
        assert_eq!(error.tried(), None);
        assert!(text.contains("no known method"), "{text}");
        assert!(methods.split(',').all(|method| text.contains(method)), "{text}");
    }
}

#[test]
fn every_failure_has_its_own_advice() {
    let directory = tempfile::tempdir().unwrap();
    let cookie = Cookie::new();
    let link = directory.path().join("link");
    symlink(cookie.path(), &link).unwrap();
    let wrong = Cookie::new();
    let short = Cookie::with_bytes(vec![1; 31]);
    let texts = [
        failure(ConnectOptions::new().password("x"), |script| {
            script.greet_password_and_refuse();
        }),
        failure(ConnectOptions::new(), |script| {
            script.protocol_info("HASHEDPASSWORD", None).expect_end();
        }),
        failure(ConnectOptions::new(), |script| {
            script.protocol_info("SAFECOOKIE", Some("/none".as_ref())).expect_end();
        }),
        failure(ConnectOptions::new(), move |script| {
            script.protocol_info("SAFECOOKIE", Some(short.path())).expect_end();
        }),
        failure(ConnectOptions::new(), move |script| {
            script.protocol_info("SAFECOOKIE", Some(&link)).expect_end();
        }),
        failure(ConnectOptions::new(), |script| {
            script.protocol_info("SAFECOOKIE", None).expect_end();
        }),
        failure(ConnectOptions::new(), move |script| {
            script.greet_safecookie_up_to_the_proof(&wrong, Proof::Wrong).expect_end();
        }),
        failure(ConnectOptions::new(), |script| {
            script.protocol_info("PALM", None).expect_end();
        }),
        failure(ConnectOptions::new(), |script| {
            script.protocol_info("COOKIE", Some("/none".as_ref())).expect_end();
        }),
        failure(ConnectOptions::new().without_cookie(), |script| {
            script.protocol_info("SAFECOOKIE", Some("/none".as_ref())).expect_end();
        }),
    ]
    .map(|(error, text)| {
        assert!(text.contains("(tor offers "), "{text}");
        drop(error);
        text
    });
    for (n, text) in texts.iter().enumerate() {
        assert!(!texts[..n].contains(text), "{text}");
    }
}
