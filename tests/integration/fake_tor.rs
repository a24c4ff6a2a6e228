//! Tests of the fake tor with a raw socket.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use data_encoding::{HEXLOWER, HEXUPPER};

use crate::support::failure::panic_of;
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;
use crate::support::greeting::{Cookie, Proof, client_proof};
use crate::support::raw_control::RawControl;
use crate::support::script::Steps as _;
use crate::support::signal::signal;
use crate::support::socket::{DEADLINE, Incoming, Lines, Socket};

fn connect(tor: &FakeTor) -> Socket {
    tor.address().connect(DEADLINE).unwrap()
}

fn send(socket: &mut Socket, bytes: &[u8]) {
    socket.write_all(bytes, Instant::now() + DEADLINE).unwrap();
}

/// Reads until the end of the stream, and returns the bytes.
fn read_to_end(socket: &mut Socket) -> Vec<u8> {
    let mut all = Vec::new();
    let mut lines = Lines::default();
    loop {
        match lines.next(socket, Instant::now() + DEADLINE).unwrap() {
            Incoming::Line(line) => all.extend(line),
            Incoming::End(rest) => {
                all.extend(rest);
                return all;
            }
        }
    }
}

#[test]
fn a_script_that_is_followed_passes_on_either_kind_of_socket() {
    for start in [FakeTor::tcp, FakeTor::unix] {
        let tor = start(|script: &mut crate::support::script::Script| {
            script.greet();
            script.answer("GETINFO version", &["250-version=0.4.9.11", "250 OK"]);
            script.expect("+LOADCONF").expect_data(&["..dot"]).send("250 OK\r\n");
            script.expect_end();
        });
        let mut raw = RawControl::connect(tor.address());
        assert_eq!(
            raw.ask("PROTOCOLINFO 1"),
            [
                "250-PROTOCOLINFO 1",
                "250-AUTH METHODS=NULL",
                "250-VERSION Tor=\"0.4.9.11\"",
                "250 OK"
            ]
        );
        assert_eq!(raw.authenticate().get_info("version"), "0.4.9.11");
        assert_eq!(raw.send("+LOADCONF").send("..dot").ask("."), ["250 OK"]);
        assert_eq!(
            tor.lines(),
            ["PROTOCOLINFO 1", "AUTHENTICATE", "GETINFO version", "+LOADCONF", "..dot", "."]
        );
        drop(raw);
        tor.finish();
    }
}

#[test]
fn the_socket_of_a_fake_tor_is_where_its_endpoint_says() {
    let tor = FakeTor::unix(|script| {
        script.expect_end();
    });
    assert_eq!(tor.endpoint(), format!("unix:{}", tor.socket_path().display()));
    drop(connect(&tor));
}

#[test]
fn a_wrong_line_fails_the_test_with_the_dialogue() {
    let tor = FakeTor::tcp(|script| {
        script.greet().expect("GETINFO version");
    });
    let mut socket = connect(&tor);
    send(&mut socket, b"PROTOCOLINFO 1\r\nAUTHENTICATE\r\nQUIT\x01\r\n");
    let message = panic_of(|| tor.finish());
    assert_eq!(
        message,
        "the script of the fake tor failed: fake tor, connection 1: \
         expected \"GETINFO version\", got \"QUIT\\x01\"\n\
         the dialogue so far (C: the client, S: the fake tor):\n  \
         C1: PROTOCOLINFO 1\\r\\n\n  \
         S1: 250-PROTOCOLINFO 1\\r\\n250-AUTH METHODS=NULL\\r\\n\
         250-VERSION Tor=\\\"0.4.9.11\\\"\\r\\n250 OK\\r\\n\n  \
         C1: AUTHENTICATE\\r\\n\n  \
         S1: 250 OK\\r\\n\n  \
         C1: QUIT\\x01\\r\\n\n"
    );
}

#[test]
fn a_failed_script_also_fails_a_test_that_never_calls_finish() {
    let tor = FakeTor::tcp(|script| {
        script.expect("A");
    });
    let mut socket = connect(&tor);
    send(&mut socket, b"B\r\n");
    let message = panic_of(|| drop(tor));
    assert!(message.contains("expected \"A\", got \"B\""), "{message}");
}

#[test]
fn a_plain_panic_within_a_script_shows_the_dialogue_too() {
    let tor = FakeTor::tcp(|script| {
        script.expect("A");
        panic!("as planned");
    });
    let mut socket = connect(&tor);
    send(&mut socket, b"A\r\n");
    let message = panic_of(|| tor.finish());
    assert!(message.contains("as planned"), "{message}");
    assert!(message.contains("C1: A\\r\\n"), "{message}");
}

#[test]
fn a_client_that_says_nothing_fails_the_test_after_the_deadline() {
    let tor = FakeTor::tcp(|script| {
        script.timeout(Duration::from_millis(30)).expect("A");
    });
    let _socket = connect(&tor);
    let message = panic_of(|| tor.finish());
    assert!(message.contains("expected \"A\": the deadline has passed"), "{message}");
}

#[test]
fn a_client_that_says_too_much_or_leaves_too_early_fails_the_test() {
    let tor = FakeTor::tcp(|script| {
        script.expect_end();
    });
    send(&mut connect(&tor), b"GET");
    let message = panic_of(|| tor.finish());
    assert!(message.contains("expected the end of the connection, got \"GET\""), "{message}");

    let tor = FakeTor::tcp(|script| {
        script.expect("GETINFO version");
    });
    send(&mut connect(&tor), b"GET");
    let message = panic_of(|| tor.finish());
    assert!(message.contains("got the end of the connection (\"GET\")"), "{message}");
}

#[test]
fn a_line_without_its_carriage_return_fails_the_test() {
    let tor = FakeTor::tcp(|script| {
        script.expect("A");
    });
    let mut socket = connect(&tor);
    send(&mut socket, b"A\n");
    let message = panic_of(|| tor.finish());
    assert!(message.contains("a line that does not end in CRLF"), "{message}");
}

#[test]
fn a_script_waits_for_the_test_and_the_test_for_the_script() {
    let (go_on, test_says) = signal();
    let (reached, script_says) = signal();
    let tor = FakeTor::tcp(move |script| {
        script.expect("A");
        reached.fire();
        script.wait_for(&test_says).pause(Duration::from_millis(1)).send_lines(&["250 OK"]);
    });
    let mut socket = connect(&tor);
    assert!(!script_says.has_fired());
    send(&mut socket, b"A\r\n");
    script_says.wait();
    go_on.fire();
    assert_eq!(read_to_end(&mut socket), b"250 OK\r\n");
    assert!(tor.dialogue().contains("#1: the test said to go on"), "{}", tor.dialogue());
    tor.finish();
}

#[test]
fn a_signal_that_cannot_come_any_more_fails_at_once() {
    let (trigger, test_says) = signal();
    let tor = FakeTor::tcp(move |script| {
        script.wait_for(&test_says);
    });
    let _socket = connect(&tor);
    drop(trigger);
    let message = panic_of(|| tor.finish());
    assert!(message.contains("its trigger is gone"), "{message}");
}

#[test]
fn a_half_closed_connection_can_still_be_read() {
    let tor = FakeTor::tcp(|script| {
        script.half_close().expect("A").expect_end();
    });
    let mut socket = connect(&tor);
    assert_eq!(read_to_end(&mut socket), b"");
    send(&mut socket, b"A\r\n");
    socket.shutdown(Shutdown::Write).unwrap();
    tor.finish();
}

#[test]
fn a_closed_connection_ends_for_the_client_while_the_script_goes_on() {
    let (go_on, test_says) = signal();
    let tor = FakeTor::tcp(move |script| {
        script.send("250").close().wait_for(&test_says);
    });
    let mut socket = connect(&tor);
    assert_eq!(read_to_end(&mut socket), b"250");
    go_on.fire();
    tor.finish();
}

#[test]
fn a_flood_arrives_whole_and_takes_one_line_of_the_dialogue() {
    let tor = FakeTor::tcp(|script| {
        script.flood("650 BW 1 2\r\n", 100_000).send("250 OK\r\n");
    });
    let mut socket = connect(&tor);
    let bytes = read_to_end(&mut socket);
    assert_eq!(bytes.len(), 12 * 100_000 + 8);
    assert!(bytes.starts_with(b"650 BW 1 2\r\n650 BW 1 2\r\n"));
    assert!(bytes.ends_with(b"650 BW 1 2\r\n250 OK\r\n"));
    assert!(tor.dialogue().contains("S1: 650 BW 1 2\\r\\n (100000 times)\n"), "{}", tor.dialogue());
    tor.finish();
}

#[test]
fn a_flood_without_end_ends_when_the_client_hangs_up() {
    let (report, reported) = crossbeam_channel::bounded(1);
    let tor = FakeTor::tcp(move |script| {
        report.send(script.flood_until_hang_up("x", u64::MAX)).unwrap();
    });
    let mut socket = connect(&tor);
    let mut buffer = [0; 1000];
    assert!(socket.read_some(&mut buffer, Instant::now() + DEADLINE).unwrap() > 0);
    drop(socket);
    assert!(reported.recv_timeout(DEADLINE).unwrap() >= 1000);
    tor.finish();
}

#[test]
fn single_bytes_arrive_in_order() {
    let tor = FakeTor::unix(|script| {
        script.send_in_bytes("250 OK\r\n");
    });
    assert_eq!(read_to_end(&mut connect(&tor)), b"250 OK\r\n");
    tor.finish();
}

#[test]
fn pipelined_lines_are_served_in_order() {
    let tor = FakeTor::tcp(|script| {
        script.serve(|line, out| {
            let key = line.strip_prefix("GETINFO ").unwrap();
            out.extend(format!("250-{key}=1\r\n250 OK\r\n").into_bytes());
        });
    });
    let mut raw = RawControl::connect(tor.address());
    raw.send_bytes("GETINFO a\r\nGETINFO b\r\nGETI");
    assert_eq!(raw.reply(), ["250-a=1", "250 OK"]);
    raw.send_bytes("NFO c\r\n");
    assert_eq!(raw.reply(), ["250-b=1", "250 OK"]);
    assert_eq!(raw.reply(), ["250-c=1", "250 OK"]);
    drop(raw);
    tor.finish();
}

#[test]
fn events_do_not_disturb_the_raw_witness() {
    let tor = FakeTor::tcp(|script| {
        script.expect("SETEVENTS BW");
        script.send_lines(&["650 BW 1 2", "250 OK", "650+NS", "r x", ".", "650 OK"]).drain();
    });
    let mut raw = RawControl::connect(tor.address());
    assert_eq!(raw.ask("SETEVENTS BW"), ["250 OK"]);
    assert_eq!(raw.next_event(), ["650 BW 1 2"]);
    assert_eq!(raw.next_event(), ["650+NS", "r x", "650 OK"]);
    drop(raw);
    tor.finish();
}

#[test]
fn one_fake_tor_can_play_several_connections() {
    let tor = FakeTor::tcp(|first| {
        first.expect("first");
        let mut second = first.accept();
        second.expect("second").expect_end();
        first.expect_end();
    });
    let mut first = connect(&tor);
    send(&mut first, b"first\r\n");
    send(&mut connect(&tor), b"second\r\n");
    drop(first);
    tor.finish();
}

#[test]
fn a_serving_tor_answers_each_connection_and_can_send_events_and_cut() {
    let tor = FakeTor::serving(|connection, line| {
        (connection == 2 && line == "SIGNAL DUMP").then(|| "552 no\r\n".to_owned())
    });
    for connection in 1..=2 {
        let mut raw = RawControl::connect(tor.address());
        raw.ask("PROTOCOLINFO 1");
        raw.authenticate();
        assert_eq!(raw.get_info("version"), "0.4.9.11");
        let options = raw.ask("GETCONF NumEntryGuards NewCircuitPeriod");
        assert_eq!(options, ["250-NumEntryGuards=1", "250 NewCircuitPeriod=1"]);
        let reply = if connection == 1 { "250 OK" } else { "552 no" };
        assert_eq!(raw.ask("SIGNAL DUMP"), [reply]);
        assert_eq!(raw.ask("SETEVENTS BW"), ["250 OK"]);
        tor.send_events("BW 1 2", 2);
        assert_eq!([raw.next_event(), raw.next_event()], [["650 BW 1 2"], ["650 BW 1 2"]]);
        tor.cut();
        raw.expect_end(DEADLINE);
        assert_eq!(tor.lines_of(connection).len(), 6);
    }
}

#[test]
fn the_plain_cookie_is_checked() {
    let cookie = Cookie::new();
    let hex = cookie.hex();
    let tor = FakeTor::tcp(move |script| {
        script.greet_cookie(&cookie).expect_end();
    });
    let mut raw = RawControl::connect(tor.address());
    let offer = &raw.ask("PROTOCOLINFO 1")[1];
    let path = offer.strip_prefix("250-AUTH METHODS=COOKIE COOKIEFILE=\"").unwrap();
    raw.authenticate_by_cookie(path.trim_end_matches('"').as_ref());
    assert_eq!(tor.lines()[1], format!("AUTHENTICATE {hex}"));
    drop(raw);
    tor.finish();
}

#[test]
fn the_safe_cookie_is_checked_on_both_sides() {
    for knows_the_cookie in [true, false] {
        let cookie = Cookie::new();
        let bytes = cookie.bytes().to_vec();
        let tor = FakeTor::tcp(move |script| {
            script.greet_safecookie(&cookie);
        });
        let mut raw = RawControl::connect(tor.address());
        raw.ask("PROTOCOLINFO 1");
        let nonce = [7; 32];
        raw.ask(&format!("AUTHCHALLENGE SAFECOOKIE {}", HEXLOWER.encode(&nonce)));
        let known = if knows_the_cookie { bytes } else { vec![0; 32] };
        raw.send(&format!("AUTHENTICATE {}", client_proof(&known, &nonce)));
        if knows_the_cookie {
            assert_eq!(raw.reply(), ["250 OK"]);
            tor.finish();
        } else {
            let message = panic_of(|| tor.finish());
            assert!(message.contains("the client's proof is wrong"), "{message}");
        }
    }
}

#[test]
fn each_wrong_server_proof_differs_from_the_right_one() {
    // Computed once by hand from the specification's formula with Python's hmac module, with the
    // cookie, the nonces and the keys of this test.
    const RIGHT: &str = "079A06684D10DBD5961674181112AF750F39FDB2C40ADE6B7E113A49828FB660";
    let kinds =
        [Proof::Right, Proof::Wrong, Proof::Short, Proof::WithClientKey, Proof::OfAnotherCookie];
    let mut seen = Vec::new();
    for kind in kinds {
        let cookie = Cookie::new();
        let tor = FakeTor::tcp(move |script| {
            script.greet_safecookie_up_to_the_proof(&cookie, kind).expect_end();
        });
        let mut raw = RawControl::connect(tor.address());
        raw.ask("PROTOCOLINFO");
        let nonce = HEXUPPER.encode(&[7; 32]);
        let answer = raw.ask(&format!("AUTHCHALLENGE SAFECOOKIE {nonce}")).remove(0);
        let rest = answer.strip_prefix("250 AUTHCHALLENGE SERVERHASH=").unwrap();
        let (proof, server_nonce) = rest.split_once(" SERVERNONCE=").unwrap();
        assert_eq!(server_nonce, "5A".repeat(32));
        assert_eq!(proof == RIGHT, kind == Proof::Right, "{kind:?} gave {proof}");
        assert!(!seen.contains(&proof.to_owned()), "{kind:?}");
        seen.push(proof.to_owned());
        drop(raw);
        tor.finish();
    }
}

#[test]
fn a_password_is_understood_in_hex_and_in_quotes() {
    for sent in ["AUTHENTICATE 61205c22", r#"AUTHENTICATE "a \\\"""#] {
        let tor = FakeTor::tcp(|script| {
            script.greet_password(b"a \\\"").expect_end();
        });
        let mut raw = RawControl::connect(tor.address());
        raw.ask("PROTOCOLINFO 1");
        assert_eq!(raw.ask(sent), ["250 OK"]);
        drop(raw);
        tor.finish();
    }
    let tor = FakeTor::tcp(|script| {
        script.greet_password(b"right");
    });
    let mut raw = RawControl::connect(tor.address());
    raw.ask("PROTOCOLINFO 1");
    raw.send("AUTHENTICATE \"wrong\"");
    let message = panic_of(|| tor.finish());
    assert!(message.contains("the password is wrong: \"wrong\""), "{message}");
}

#[test]
fn a_refused_password_gets_the_words_of_tor_and_the_end() {
    let tor = FakeTor::tcp(|script| {
        script.greet_password_and_refuse();
    });
    let mut raw = RawControl::connect(tor.address());
    raw.ask("PROTOCOLINFO 1");
    let refusal = raw.ask("AUTHENTICATE \"x\"").remove(0);
    assert_eq!(
        refusal,
        "515 Authentication failed: Password did not match HashedControlPassword value from \
         configuration"
    );
    raw.expect_end(DEADLINE);
    tor.finish();
}

#[test]
fn a_cookie_file_may_have_any_size() {
    let cookie = Cookie::with_bytes(vec![1; 31]);
    assert_eq!(std::fs::read(cookie.path()).unwrap(), [1; 31]);
}
