//! The monitor of a real tor in a pseudoterminal.

use nix::sys::signal::Signal;

use super::support::{RealTor, Session};

#[test]
fn keys_choose_the_page_and_the_level_of_the_log() {
    let tor = RealTor::start();
    let mut session = Session::start((80, 24), &[&tor.endpoint()]);
    let screen = session.wait_for("connection 1: up");
    assert!(screen.contains(&format!("pid {}", tor.pid())), "{screen}");
    assert!(screen.contains("[1 Overview]") && screen.contains("Download"), "{screen}");
    for (key, text) in [
        ("2", " no circuits"),
        ("3", " no connections"),
        ("\t", " no onion services"),
        ("5", "from NOTICE"),
        ("+", "from INFO"),
        ("-", "from NOTICE"),
        ("?", "chooses a page"),
    ] {
        session.press(key);
        session.wait_for(text);
    }
    session.press("\x1b");
    session.wait_until("no help", |screen| !screen.contains("chooses a page"));
    session.press("q");
    assert_eq!(session.wait_end().code(), Some(0));
    assert!(tor.is_alive());
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let tor = RealTor::start();
    let mut session = Session::start((80, 24), &[&tor.endpoint()]);
    session.wait_for("connection 1: up");
    session.resize((140, 50));
    let has_last_row = |screen: &str| screen.lines().count() == 50 && screen.contains("q quit");
    let screen = session.wait_until("50 rows", has_last_row);
    assert!(screen.lines().any(|line| line.chars().count() == 140), "{screen}");
    session.resize((60, 15));
    session.wait_until("15 rows", |screen| {
        screen.lines().count() == 15 && screen.lines().last().unwrap().contains("q quit")
    });
    session.press("\x03");
    assert_eq!(session.wait_end().code(), Some(0));
}

#[test]
fn a_tor_that_has_ended_is_reported_and_tried_again() {
    let tor = RealTor::start();
    let session = Session::start((80, 24), &[&tor.endpoint()]);
    session.wait_for("connection 1: up");
    tor.kill();
    let screen = session.wait_for("connecting, attempt");
    assert!(screen.contains("monitor the connection to tor has ended"), "{screen}");
    session.signal(Signal::SIGTERM);
    // No tor is reachable at the end.
    assert_eq!(session.wait_end().code(), Some(1));
}

#[test]
fn a_signal_ends_the_monitor_and_restores_the_terminal() {
    let tor = RealTor::start();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let session = Session::start((80, 24), &[&tor.endpoint()]);
        session.wait_for("connection 1: up");
        session.signal(signal);
        assert_eq!(session.wait_end().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_panic_restores_the_terminal() {
    let tor = RealTor::start();
    for thread in ["main", "feed"] {
        let variables = [("TORCON_MONITOR_PANIC", thread), ("RUST_BACKTRACE", "0")];
        let session = Session::start_with((80, 24), &[&tor.endpoint()], &variables);
        session.wait_for("a panic for the tests");
        assert_ne!(session.wait_end().code(), Some(0), "{thread}");
    }
}

#[test]
fn no_color_is_honored() {
    let tor = RealTor::start();
    let colors = |variables: &[(&str, &str)]| {
        let mut session = Session::start_with((80, 24), &[&tor.endpoint()], variables);
        session.wait_for("connection 1: up");
        session.press("q");
        let bytes = session.bytes();
        session.wait_end();
        bytes.windows(5).any(|sequence| sequence == b"\x1b[38;")
    };
    assert!(colors(&[]));
    assert!(!colors(&[("NO_COLOR", "1")]));
}

#[test]
fn the_monitor_ends_after_its_time() {
    let tor = RealTor::start();
    let session = Session::start((80, 24), &[&tor.endpoint(), "--for", "2"]);
    session.wait_for("[1 Overview]");
    // On a loaded machine tor may not be connected yet.
    assert!(session.wait_end().code().is_some());
    assert!(tor.is_alive());
}
