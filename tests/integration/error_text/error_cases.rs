//! Errors that come through the public interface, each in its usual way.

use std::error::Error as StdError;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use torcon::error::{
    AuthError, AuthProblem, ConnectAttempt, ConnectProblem, Disconnect, LaunchError, LaunchProblem,
};
use torcon::process::Launcher;
use torcon::{ConnectOptions, Controller, Error};

use super::{chain, check_text};
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::{Cookie, Proof};
use crate::support::real_tor::{shared, tor_binary};
use crate::support::script::Script;
use crate::support::signal::signal;
use crate::support::watchdog::within;

const LIMIT: Duration = Duration::from_secs(30);

/// Connects to what `play` pretends to be, and returns the error, whose texts are checked.
fn connect_error(
    options: ConnectOptions,
    play: impl FnOnce(&mut Script) + Send + 'static,
) -> (String, Error) {
    let tor = FakeTor::tcp(play);
    let endpoint = tor.endpoint();
    let error = within(LIMIT, "connect", move || options.connect(endpoint.as_str())).unwrap_err();
    check_text(&error);
    let endpoint = tor.endpoint();
    tor.finish();
    (endpoint, error)
}

fn connect_problem(error: &Error) -> &ConnectProblem {
    let Error::Connect(error) = error else { panic!("{error:?}") };
    let [attempt] = error.attempts() else { panic!("{error:?}") };
    attempt.problem()
}

fn auth_problem(error: &Error) -> (&AuthError, &AuthProblem) {
    let Error::Auth(error) = error else { panic!("{error:?}") };
    (error, error.problem())
}

/// Connects to a fake tor that lets everybody in and then plays `play`.
fn connected(play: impl FnOnce(&mut Script) + Send + 'static) -> (FakeTor, Controller) {
    let tor = FakeTor::tcp(|script| {
        script.greet_null_auth();
        play(script);
    });
    let controller = torcon::connect(tor.endpoint().as_str()).unwrap();
    (tor, controller)
}

#[test]
fn a_closed_port_is_named_with_the_reason_of_the_system() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = torcon::connect(address).unwrap_err();
    check_text(&error);
    assert!(matches!(connect_problem(&error), ConnectProblem::Io(_)), "{error:?}");
    // The text alone names the address and the reason; the chain adds nothing.
    let text = format!("cannot connect to {address}: Connection refused (os error 111)");
    assert_eq!((error.to_string(), chain(&error)), (text.clone(), text));
}

#[test]
fn a_missing_unix_socket_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let error = torcon::connect(path.clone()).unwrap_err();
    check_text(&error);
    let missing = "No such file or directory (os error 2)";
    assert_eq!(error.to_string(), format!("cannot connect to unix:{}: {missing}", path.display()));
}

#[test]
fn a_text_that_is_no_endpoint_is_refused_before_anything_is_opened() {
    for text in ["", "9051", "localhost", "localhost:x", "tcp:", "unix:", "127.0.0.1:99999"] {
        let error = torcon::connect(text).unwrap_err();
        check_text(&error);
        assert!(matches!(error, Error::InvalidInput(_)), "{text:?} gave {error:?}");
    }
}

#[test]
fn another_protocol_on_the_port_is_told_by_what_it_said() {
    let peers: [(&[u8], &str); 4] = [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "\\x15\\x03\\x01\\x00\\x02\\x02\\x16"),
        (b"\x05\xff", "\\x05\\xff"),
    ];
    for (said, excerpt) in peers {
        let (endpoint, error) = connect_error(ConnectOptions::new(), move |script| {
            script.send(said).close();
        });
        let ConnectProblem::NotAControlPort { excerpt: found } = connect_problem(&error) else {
            panic!("{error:?}")
        };
        assert!(found.starts_with(excerpt), "{found}");
        let start = format!("cannot connect to {endpoint}: not a control port: it answered \"");
        assert!(chain(&error).starts_with(&start), "{}", chain(&error));
    }
}

#[test]
fn a_port_that_closes_without_a_word_is_no_control_port() {
    // As tor's own SOCKS port does with PROTOCOLINFO: the most frequent mistake.
    let (_, error) = connect_error(ConnectOptions::new(), |script| {
        script.expect_line("a command");
        script.close();
    });
    let ConnectProblem::NotAControlPort { excerpt } = connect_problem(&error) else {
        panic!("{error:?}")
    };
    assert_eq!(&**excerpt, "");
}

#[test]
fn a_silent_port_ends_the_attempt_at_its_time() {
    let start = Instant::now();
    let options = ConnectOptions::new().timeout(Duration::from_millis(300));
    let (_, error) = connect_error(options, |script| {
        script.drain();
    });
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(error.is_timeout(), "{error:?}");
    assert!(matches!(connect_problem(&error), ConnectProblem::Silent(_)), "{error:?}");
}

#[test]
fn a_missing_password_and_a_wrong_one_are_told_apart() {
    let (_, error) = connect_error(ConnectOptions::new(), |script| {
        script.protocol_info("HASHEDPASSWORD", None).expect_end();
    });
    assert!(matches!(auth_problem(&error).1, AuthProblem::PasswordMissing), "{error:?}");

    let options = ConnectOptions::new().password("a-wrong-password");
    let (_, error) = connect_error(options, |script| {
        script.greet_password_and_refuse();
    });
    assert!(matches!(auth_problem(&error).1, AuthProblem::Refused(_)), "{error:?}");
    assert_eq!(error.status_code(), Some(515));
    assert!(!format!("{error:?} {}", chain(&error)).contains("a-wrong-password"), "{error:?}");
}

#[test]
fn each_bad_cookie_file_has_its_own_explanation() {
    let offer = |cookie: &std::path::Path| {
        let cookie = cookie.to_owned();
        let (_, error) = connect_error(ConnectOptions::new(), move |script| {
            script.protocol_info("COOKIE,SAFECOOKIE", Some(&cookie)).expect_end();
        });
        let text = chain(&error);
        (error, text)
    };
    let directory = tempfile::tempdir().unwrap();

    let (error, text) = offer(&directory.path().join("none"));
    assert!(matches!(auth_problem(&error).1, AuthProblem::CookieUnreadable { .. }), "{text}");

    let short = Cookie::with_bytes(vec![7; 31]);
    let (error, text) = offer(short.path());
    assert!(matches!(auth_problem(&error).1, AuthProblem::CookieSize { size: 31, .. }), "{text}");

    let link = directory.path().join("link");
    let cookie = Cookie::new();
    symlink(cookie.path(), &link).unwrap();
    let (error, text) = offer(&link);
    assert!(matches!(auth_problem(&error).1, AuthProblem::CookieNotAFile { .. }), "{text}");

    let (error, text) = offer(directory.path());
    assert!(matches!(auth_problem(&error).1, AuthProblem::CookieNotAFile { .. }), "{text}");
}

#[test]
fn after_a_wrong_server_proof_nothing_more_is_sent() {
    for proof in [Proof::Wrong, Proof::Short, Proof::WithClientKey, Proof::OfAnotherCookie] {
        let cookie = Cookie::new();
        let hex = cookie.hex();
        let (_, error) = connect_error(ConnectOptions::new().password("secret"), move |script| {
            script.greet_safecookie_up_to_the_proof(&cookie, proof).expect_end();
        });
        let problem = auth_problem(&error).1;
        let is_told =
            matches!(problem, AuthProblem::WrongServerProof { .. } | AuthProblem::Challenge(_));
        assert!(is_told, "{proof:?} gave {error:?}");
        let shown = format!("{error:?} {}", chain(&error)).to_uppercase();
        assert!(!shown.contains(&hex), "the cookie is in the error");
    }
}

#[test]
fn a_tor_with_unknown_methods_only_is_explained() {
    let (_, error) = connect_error(ConnectOptions::new(), |script| {
        script.protocol_info("RETINASCAN,PALMPRINT", None).expect_end();
    });
    let (auth, problem) = auth_problem(&error);
    assert!(matches!(problem, AuthProblem::NoKnownMethod), "{error:?}");
    assert_eq!(auth.offered().len(), 2);
    assert!(error.to_string().contains("(tor offers RETINASCAN, PALMPRINT)"), "{error}");
}

#[test]
fn refusals_keep_the_words_of_tor() {
    let controller = torcon::connect(shared().endpoint().as_str()).unwrap();
    let error = controller.get_info_one("no/such/key").unwrap_err();
    check_text(&error);
    assert_eq!(error.status_code(), Some(552));
    assert_eq!(error.to_string(), r#"tor refused GETINFO: 552 "Unrecognized key \"no/such/key\"""#);
    let error = controller.set_conf([("NoSuchOption", "x")]).unwrap_err();
    check_text(&error);
    assert_eq!(
        error.to_string(),
        r#"tor refused SETCONF: 552 "Unrecognized option: Unknown option 'NoSuchOption'.  Failing.""#
    );
    let error = controller.command("NOSUCHCOMMAND").unwrap_err();
    check_text(&error);
    assert_eq!(
        error.to_string(),
        r#"tor refused NOSUCHCOMMAND: 510 "Unrecognized command \"NOSUCHCOMMAND\"""#
    );
}

#[test]
fn an_argument_that_would_be_a_second_command_is_refused_by_name() {
    let (tor, controller) = connected(|script| {
        // Nothing of what follows may reach the socket.
        script.expect_end();
    });
    let errors = [
        controller.get_info(["version\r\nSIGNAL HALT"]).unwrap_err(),
        controller.get_info_one("ver\0sion").unwrap_err(),
        controller.get_info_one("a b").unwrap_err(),
        controller.set_conf([("Contact\nInfo", "x")]).unwrap_err(),
        controller.command("GETINFO version\nSIGNAL HALT").unwrap_err(),
        controller.command("").unwrap_err(),
        controller.queue_command("A\rB").unwrap_err(),
    ];
    for error in errors {
        check_text(&error);
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    }
    drop(controller);
    tor.finish();
}

#[test]
fn an_answer_that_does_not_come_is_named() {
    let (go_on, test_is_done) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("GETINFO version").wait_for(&test_is_done);
    });
    let error =
        controller.with_timeout(Duration::from_millis(50)).get_info_one("version").unwrap_err();
    check_text(&error);
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.to_string(), "waited 50ms for the reply to GETINFO in vain");
    go_on.fire();
    drop(tor);
}

#[test]
fn the_end_of_the_connection_has_the_same_reason_for_every_call() {
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO version").close();
    });
    let first = controller.get_info_one("version").unwrap_err();
    let second = controller.get_info_one("version").unwrap_err();
    for error in [&first, &second] {
        check_text(error);
        assert!(error.is_closed(), "{error:?}");
        assert_eq!(chain(error), "the control connection is closed: tor closed the connection");
    }
    assert!(matches!(controller.closed_reason(), Some(Disconnect::EndOfStream)));
    tor.finish();

    let controller = torcon::connect(shared().endpoint().as_str()).unwrap();
    controller.close();
    let error = controller.get_info_one("version").unwrap_err();
    check_text(&error);
    assert_eq!(
        chain(&error),
        "the control connection is closed: this program closed the connection"
    );
}

#[test]
fn a_reply_to_something_else_is_quoted() {
    let (tor, controller) = connected(|script| {
        script.answer("GETINFO version", &["250-traffic/read=1", "250 OK"]).drain();
    });
    let error = controller.get_info_one("version").unwrap_err();
    check_text(&error);
    drop(controller);
    tor.finish();
}

#[test]
fn several_addresses_are_all_told() {
    let directory = tempfile::tempdir().unwrap();
    let endpoints = ["a", "b"].map(|name| torcon::Endpoint::from(directory.path().join(name)));
    let error = ConnectOptions::new().connect_first(&endpoints).unwrap_err();
    check_text(&error);
    let Error::Connect(error) = &error else { panic!("{error:?}") };
    let told: Vec<&str> = error.attempts().iter().map(ConnectAttempt::address).collect();
    assert_eq!(told, endpoints.map(|endpoint| endpoint.to_string()));
    assert!(error.source().is_none(), "the text holds the problems of several addresses");
}

/// Launches what cannot come up, and returns the error, whose texts are checked.
fn launch_error(launcher: Launcher) -> LaunchError {
    let error = within(Duration::from_secs(90), "launch", || launcher.launch()).unwrap_err();
    check_text(&error);
    let Error::Launch(error) = error else { panic!("{error:?}") };
    error
}

#[test]
fn a_program_that_is_not_there_is_named() {
    for program in ["torcon-no-such-program", "/nonexistent/tor"] {
        let error = launch_error(Launcher::new().program(program));
        assert!(matches!(error.problem(), LaunchProblem::NotFound { .. }), "{error:?}");
        assert!(chain(&error).contains(program), "{}", chain(&error));
    }
    let directory = tempfile::tempdir().unwrap();
    let error = launch_error(Launcher::new().program(directory.path()));
    assert!(matches!(error.problem(), LaunchProblem::Spawn { .. }), "{error:?}");
}

#[test]
fn an_option_that_tor_refuses_is_told_in_its_own_words() {
    let launcher = Launcher::new().program(tor_binary()).option("NoSuchOption", "1");
    let error = launch_error(launcher);
    assert!(matches!(error.problem(), LaunchProblem::Exited), "{error:?}");
    assert_eq!(error.exit_status().and_then(|status| status.code()), Some(1));
    let reason = "Unknown option 'NoSuchOption'.  Failing.";
    assert!(error.last_lines().iter().any(|line| line.contains(reason)), "{error:?}");
    assert!(chain(&error).contains(reason), "{}", chain(&error));
}

#[test]
fn a_tor_that_does_not_get_anywhere_is_given_up_in_time() {
    let launcher = Launcher::new()
        .program(tor_binary())
        .option("SocksPort", "0")
        .option("DisableNetwork", "1")
        .timeout(Duration::from_millis(1500));
    let tor = launcher.spawn().unwrap();
    let error = tor.wait_bootstrapped(Duration::from_secs(90)).unwrap_err();
    check_text(&error);
    let Error::Launch(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.problem(), LaunchProblem::Timeout(_)), "{error:?}");
    assert!(Error::from(error).is_timeout());
}
