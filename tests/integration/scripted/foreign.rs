//! Text of a peer is escaped before it reaches a terminal or a log: every text of the peer is a marker
//! with control characters, and every printed line is checked.

use std::fmt::Display;

use torcon::event::{Event, EventText};
use torcon::process::Progress;
use torcon::{ConnectOptions, Error};

use super::{LIMIT, chain, connected};
use crate::support::fake_tor::FakeTor;
use crate::support::log_capture::LogCapture;

/// A marker for a line of the protocol, which can contain everything except line feeds.
const RAW: &str =
    "\u{1b}[31m\rWARN forged\0\u{7}\u{85}\u{9b}2J\u{202e}\u{2066}\u{200f}\u{2028}MARK";
/// The escapes that a quoted string adds.
const ESCAPED: &str = r#"\n\r\t\033[31m\000\302\205\342\200\256\xe2\x80\xaeMARK"#;
/// Bytes that are not UTF-8.
const BYTES: &[u8] = b"\xff\xfe\x9b\x1b";

/// Checks that a text is one line of bounded length without control characters.
#[track_caller]
fn check(shown: &str) {
    let is_bidi = |letter: char| {
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            || ('\u{2066}'..='\u{2069}').contains(&letter)
    };
    let bad = shown.chars().find(|letter| letter.is_control() || is_bidi(*letter));
    assert_eq!(bad, None, "{}", shown.escape_debug());
    assert!(shown.len() < 20_000, "{} bytes", shown.len());
}

#[track_caller]
fn check_error(error: &Error) {
    check(&error.to_string());
    check(&chain(error));
    let shown = format!("{error:?}");
    assert!(!shown.chars().any(char::is_control), "{shown}");
}

#[track_caller]
fn check_word<T: Display>(word: &T) {
    check(&word.to_string());
    check(&format!("{word:>20}"));
}

/// Connects to a peer that answers `PROTOCOLINFO` with these lines, and returns the error.
fn refused(lines: &str) -> Error {
    let reply = format!("250-PROTOCOLINFO 1\r\n{lines}250 OK\r\n");
    let tor = FakeTor::unix(move |script| {
        script.unchecked("a peer that forges log lines");
        script.expect("PROTOCOLINFO 1").send(reply).drain();
    });
    let error = ConnectOptions::new().connect(tor.endpoint()).unwrap_err();
    tor.finish();
    error
}

#[test]
fn text_of_the_handshake_is_escaped() {
    let log = LogCapture::start();
    let version = "250-VERSION Tor=\"0.4.9.11\"\r\n";
    for word in [RAW.to_owned(), "M".repeat(30_000)] {
        check_error(&refused(&format!("250-AUTH METHODS={word},{word}X\r\n{version}")));
        check_error(&refused(&format!("{word}\r\n")));
    }
    let many: String = (0..3000).map(|n| format!("METHOD{n},")).collect();
    check_error(&refused(&format!("250-AUTH METHODS={many}\r\n{version}")));
    for path in [ESCAPED.to_owned(), "/x".repeat(20_000)] {
        let methods = format!("250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE=\"/{path}\"\r\n");
        check_error(&refused(&format!("{methods}{version}")));
    }
    for greeting in [RAW.as_bytes(), BYTES, b"HTTP/1.1 400\x1b[2J\r\n", b"514 \x1b[2J\r\n"] {
        let tor = FakeTor::unix(move |script| {
            script.unchecked("a peer that forges log lines");
            script.send([greeting, b"\r\n"].concat()).drain();
        });
        check_error(&ConnectOptions::new().connect(tor.endpoint()).unwrap_err());
        tor.finish();
    }
    log.lines().iter().for_each(|line| check(&line.text));
}

#[test]
fn text_about_tor_is_escaped() {
    let log = LogCapture::start();
    let tor = FakeTor::unix(|script| {
        script.unchecked("a peer that forges log lines");
        let lines = format!("250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"0.4{ESCAPED}\"\r\n");
        script.expect("PROTOCOLINFO 1").send(format!("250-PROTOCOLINFO 1\r\n{lines}250 OK\r\n"));
        script.expect("AUTHENTICATE").send("250 OK\r\n");
        script.serve(|line, out| {
            let reply = match line.split(' ').next().unwrap() {
                "SIGNAL" => format!("552-{RAW}\r\n552 {RAW}\r\n"),
                "SAVECONF" => format!("551 {}\r\n", "long ".repeat(50_000)),
                "GETCONF" => format!("250 {RAW}=1\r\n"),
                "DROPGUARDS" => format!("250 {RAW}\r\n"),
                _ => format!("250-{RAW}={RAW}\r\n250 OK\r\n"),
            };
            out.extend_from_slice(reply.as_bytes());
        });
    });
    let controller = ConnectOptions::new().connect(tor.endpoint()).unwrap();
    assert!(controller.version().as_str().contains('\n'), "the text itself is kept");
    check_word(controller.version());
    check(&format!("{controller:?}"));
    check_error(&controller.signal(torcon::Signal::Newnym).unwrap_err());
    check_error(&controller.save_conf().unwrap_err());
    check_error(&controller.get_conf(["Log"]).unwrap_err());
    check_error(&controller.drop_guards().unwrap_err());
    check_error(&controller.get_info_one("version").unwrap_err());
    check_error(&controller.bootstrap_phase().unwrap_err());
    check_error(&controller.circuit_status().unwrap_err());
    drop(controller);
    tor.finish();
    log.lines().iter().for_each(|line| check(&line.text));
    assert!(!log.lines_with("connected to tor").is_empty());
}

#[test]
fn words_of_an_event_are_escaped() {
    let word = RAW.replace(' ', "_");
    let circ =
        format!("CIRC 1 {word} {word},$AB REASON={word} REMOTE_REASON={word} PURPOSE={word}");
    let Event::Circ(event) = Event::parse(EventText::new(circ.as_bytes())) else { panic!() };
    assert_eq!(event.status().as_str(), word, "the text itself is kept");
    check_word(&event.status());
    event.path().iter().for_each(check_word);
    check_word(&event.reason().unwrap());
    check_word(&event.purpose().unwrap());
    let stream = format!("STREAM 1 {word} 0 {word}:80 REASON=\"{ESCAPED}\" SOURCE_ADDR={word}:1");
    let Event::Stream(event) = Event::parse(EventText::new(stream.as_bytes())) else { panic!() };
    check_word(&event.target());
    check_word(&event.source_addr().unwrap());
    check_word(&event.reason().unwrap());
    for text in [format!("CIRC {RAW}"), format!("BW {word}"), format!("CIRC 1\n{RAW}")] {
        match Event::parse(EventText::new(text.as_bytes())) {
            Event::Malformed { reason, .. } => check_word(&reason),
            event => check(&format!("{event:?}")),
        }
    }
}

#[test]
fn progress_of_a_bootstrap_is_escaped() {
    let mut progress = Progress::default();
    progress.tag = RAW.to_owned();
    progress.summary = format!("a\nb{RAW}");
    progress.warning = Some("x".repeat(100_000));
    check_word(&progress);
}

#[test]
fn the_excerpt_of_an_invalid_line_in_a_reply_is_escaped() {
    let log = LogCapture::start();
    for garbage in [RAW.as_bytes(), BYTES] {
        let (tor, controller) = connected(move |script| {
            script.unchecked("a peer that forges log lines");
            // In one write, since the client closes the connection when it reads the garbage.
            script.expect("GETINFO a").send([b"250-a=1\r\n", garbage, b"\r\n"].concat()).drain();
        });
        check_error(&controller.get_info_one("a").unwrap_err());
        let reason = controller.wait_closed(LIMIT).unwrap();
        check(&chain(&reason));
        tor.finish();
    }
    log.lines().iter().for_each(|line| check(&line.text));
}
