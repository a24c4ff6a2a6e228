//! Errors of the public interface, caused in their usual way.

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
use crate::support::greeting::Greeting as _;
use crate::support::greeting::{Cookie, Proof};
use crate::support::real_tor::{shared, tor_binary};
use crate::support::script::Script;
use crate::support::script::Steps as _;
use crate::support::signal::signal;
use crate::support::watchdog::within;

const LIMIT: Duration = Duration::from_secs(30);

/// Connects to a peer that runs `play`. Checks the texts of the error, and returns it.
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

/// Connects to a fake tor without authentication that runs `play`.
fn connected(play: impl FnOnce(&mut Script) + Send + 'static) -> (FakeTor, Controller) {
    let tor = FakeTor::tcp(|script| {
        script.greet();
        play(script);
    });
    let controller = torcon::connect(tor.endpoint().as_str()).unwrap();
    (tor, controller)
}

#[test]
fn the_error_of_a_closed_port_has_address_and_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = torcon::connect(address).unwrap_err();
    check_text(&error);
    assert!(matches!(connect_problem(&error), ConnectProblem::Io(_)), "{error:?}");
    // The text contains address and reason; the chain adds nothing.
    let text = format!(
        "cannot connect to {address}: Connection refused (os error 111); hint: start tor, or open \
         its control port with two lines in its torrc: ControlPort 9051, and CookieAuthentication 1"
    );
    assert_eq!((error.to_string(), chain(&error)), (text.clone(), text));
}

#[test]
fn the_error_of_a_missing_unix_socket_has_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let error = torcon::connect(path.clone()).unwrap_err();
    check_text(&error);
    let missing = "No such file or directory (os error 2); hint: start tor, or let it open this socket \
                   with two lines in its torrc: ControlSocket and the path, and \
                   CookieAuthentication 1";
    assert_eq!(error.to_string(), format!("cannot connect to unix:{}: {missing}", path.display()));
}

#[test]
fn an_invalid_endpoint_is_refused_before_connecting() {
    for text in ["", "9051", "localhost", "localhost:x", "tcp:", "unix:", "127.0.0.1:99999"] {
        let error = torcon::connect(text).unwrap_err();
        check_text(&error);
        assert!(matches!(error, Error::InvalidInput(_)), "{text:?} gave {error:?}");
    }
}

#[test]
fn a_peer_with_another_protocol_is_quoted() {
    let peers: [(&[u8], &str); 4] = [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "\\x15\\x03\\x01\\x00\\x02\\x02\\x16"),
        (b"\x05\xff", "\\x05\\xff"),
    ];
    for (said, excerpt) in peers {
        let (endpoint, error) = connect_error(ConnectOptions::new(), move |script| {
            script.unchecked("another protocol");
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
fn a_port_that_closes_without_a_reply_is_not_a_control_port() {
    // A SocksPort of tor does so at PROTOCOLINFO: the most frequent mistake.
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
fn connecting_to_a_silent_port_times_out() {
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
fn a_missing_and_a_wrong_password_have_different_errors() {
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
fn each_invalid_cookie_file_has_its_own_error() {
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
fn nothing_is_sent_after_a_wrong_server_proof() {
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
fn a_tor_with_unknown_methods_only_has_an_error() {
    let (_, error) = connect_error(ConnectOptions::new(), |script| {
        script.protocol_info("RETINASCAN,PALMPRINT", None).expect_end();
    });
    let (auth, problem) = auth_problem(&error);
    assert!(matches!(problem, AuthProblem::NoKnownMethod), "{error:?}");
    assert_eq!(auth.offered().len(), 2);
    assert!(error.to_string().contains("(tor offers RETINASCAN, PALMPRINT)"), "{error}");
}

#[test]
fn refusals_contain_the_text_of_tor() {
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
fn an_argument_with_a_line_break_is_refused() {
    let (tor, controller) = connected(|script| {
        // No byte of the following calls may reach the socket.
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
fn the_error_of_a_missing_reply_has_the_command() {
    let (go_on, test_is_done) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("GETINFO version").wait_for(&test_is_done);
    });
    let error =
        controller.with_timeout(Duration::from_millis(50)).get_info_one("version").unwrap_err();
    check_text(&error);
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.to_string(), "timed out after 50ms waiting for the reply to GETINFO");
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
fn a_reply_to_another_command_is_quoted() {
    let (tor, controller) = connected(|script| {
        script.answer("GETINFO version", &["250-traffic/read=1", "250 OK"]).drain();
    });
    let error = controller.get_info_one("version").unwrap_err();
    check_text(&error);
    drop(controller);
    tor.finish();
}

#[test]
fn the_error_has_every_address() {
    let directory = tempfile::tempdir().unwrap();
    let endpoints = ["a", "b"].map(|name| torcon::Endpoint::from(directory.path().join(name)));
    let error = ConnectOptions::new().connect_first(&endpoints).unwrap_err();
    check_text(&error);
    let Error::Connect(error) = &error else { panic!("{error:?}") };
    let told: Vec<&str> = error.attempts().iter().map(ConnectAttempt::address).collect();
    assert_eq!(told, endpoints.map(|endpoint| endpoint.to_string()));
    assert!(error.source().is_none(), "the text holds the problems of several addresses");
}

/// Launches a tor that fails. Checks the texts of the error, and returns it.
fn launch_error(launcher: Launcher) -> LaunchError {
    let error = within(Duration::from_secs(90), "launch", || launcher.launch()).unwrap_err();
    check_text(&error);
    let Error::Launch(error) = error else { panic!("{error:?}") };
    error
}

#[test]
fn the_error_of_a_missing_program_has_its_name() {
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
fn the_error_of_a_refused_option_contains_the_text_of_tor() {
    let launcher = Launcher::new().program(tor_binary()).option("NoSuchOption", "1");
    let error = launch_error(launcher);
    assert!(matches!(error.problem(), LaunchProblem::Exited), "{error:?}");
    assert_eq!(error.exit_status().and_then(|status| status.code()), Some(1));
    let reason = "Unknown option 'NoSuchOption'.  Failing.";
    assert!(error.last_lines().iter().any(|line| line.contains(reason)), "{error:?}");
    assert!(chain(&error).contains(reason), "{}", chain(&error));
}

#[test]
fn a_launch_without_progress_times_out() {
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
