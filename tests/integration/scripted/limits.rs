//! Limits for lines and replies, and the memory that hostile lengths need.

use std::ops::ControlFlow;

use torcon::error::ConnectProblem;
use torcon::{ConnectOptions, Error, EventKind};

use super::{LIMIT, chain, closed, connected_with};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::leaks::{peak_growth, peak_memory};
use crate::support::watchdog::within;

/// The memory that a test with hostile lengths may need.
const MEMORY: u64 = 16 << 20;

#[test]
fn a_line_over_the_limit_ends_the_connection() {
    // In torut and Stem 2-dev the limit ended the connection without a reason.
    for prefix in ["250-a=", "650 NOTICE ", "250+a=\r\n", "250+a=\r\n.\r\n650-NOTICE "] {
        let options = ConnectOptions::new().line_limit(5000);
        let (tor, controller) = connected_with(&options, move |script| {
            script.unchecked("lines of any length");
            script.expect("GETINFO a").send(prefix).flood_until_hang_up("x", 1 << 20);
        });
        assert_eq!(
            closed(controller.get_info_one("a")),
            "a line from tor exceeds the limit of 5000 bytes",
            "{prefix}"
        );
        tor.finish();
    }
}

#[test]
fn a_reply_or_an_event_over_the_limit_ends_the_connection() {
    for start in ["250+a=\r\n", "250-a=1\r\n250+b=\r\n", "650+NS\r\n", "250-a=1\r\n650+NS\r\n"] {
        let options = ConnectOptions::new().reply_limit(20_000);
        let (tor, controller) = connected_with(&options, move |script| {
            script.unchecked("messages of any length");
            script.expect("GETINFO a").send(start).flood_until_hang_up("0123456\r\n", 1 << 20);
        });
        assert_eq!(
            closed(controller.get_info_one("a")),
            "a reply from tor exceeds the limit of 20000 bytes",
            "{start}"
        );
        tor.finish();
    }
}

#[test]
fn a_line_and_a_reply_of_the_limit_pass() {
    let options = ConnectOptions::new().line_limit(1000).reply_limit(3000);
    let (tor, controller) = connected_with(&options, |script| {
        script.unchecked("messages of any length");
        script.expect("GETINFO a").send("250-a=").flood("x", 992).send("\r\n250 OK\r\n");
        script.expect("GETINFO b").send("250+b=\r\n").flood("1234567\r\n", 330);
        script.send(".\r\n250 OK\r\n").drain();
    });
    assert_eq!(controller.get_info_one("a").unwrap().len(), 992);
    assert_eq!(controller.get_info_one("b").unwrap().len(), 330 * 8 - 1);
    drop(controller);
    tor.finish();
}

#[test]
fn replies_line_by_line_may_exceed_the_reply_limit() {
    let options = ConnectOptions::new().reply_limit(70_000);
    let (tor, controller) = connected_with(&options, |script| {
        script.unchecked("messages of any length");
        script.expect("GETINFO a").send("250+a=\r\n").flood("0123456\r\n", 100_000);
        script.send(".\r\n250 OK\r\n").drain();
    });
    let mut lines = 0;
    let count = |_: torcon::Line<'_>| {
        lines += 1;
        ControlFlow::Continue(())
    };
    controller.get_info_incremental("a", count).unwrap();
    assert_eq!(lines, 100_000);
    drop(controller);
    tor.finish();
}

#[test]
fn two_gigabytes_without_a_line_end_are_refused_in_bounded_memory() {
    // The peer sends until the connection ends.
    exclusive(|| {
        for (start, flood, problem) in [
            ("250-", "x", "a line from tor exceeds the limit of 65536 bytes"),
            ("250+a=\r\n", "x", "a line from tor exceeds the limit of 65536 bytes"),
            (
                "250+a=\r\n",
                "012345678901234\r\n",
                "a reply from tor exceeds the limit of 65536 bytes",
            ),
            ("", "x", "not a control port: it answered \"xxxxxxxxxxxxxxxxxxxxxx"),
            ("", "2", "not a control port: it answered \"2222222222222222222222"),
            ("", "\0", "not a control port: it answered \"\\x00\\x00\\x00\\x00"),
        ] {
            let before = peak_memory();
            let tor = FakeTor::unix(move |script| {
                script.unchecked("a line without an end");
                script.expect("PROTOCOLINFO 1").send(start).flood_until_hang_up(flood, 2 << 30);
            });
            let endpoint = tor.endpoint();
            let options = ConnectOptions::new().reply_limit(32 << 20);
            let connect = move || options.connect(endpoint).unwrap_err();
            let error = within(LIMIT, "connecting", connect);
            assert!(chain(&error).contains(problem), "{}", chain(&error));
            let Error::Connect(error) = &error else { panic!("{error:?}") };
            let problem = error.attempts()[0].problem();
            assert!(matches!(
                problem,
                ConnectProblem::NotAControlPort { .. } | ConnectProblem::Closed(_)
            ));
            tor.finish();
            let used = peak_growth(before);
            assert!(used < MEMORY, "{used} bytes for {start:?} and {flood:?}");
        }
    });
}

#[test]
fn a_flood_of_events_for_a_listener_that_sleeps_takes_bounded_memory() {
    // The memory of nyx grew without bound (nyx#52).
    exclusive(|| {
        let options = ConnectOptions::new().event_limit(4 << 20);
        let (tor, controller) = connected_with(&options, |script| {
            script.unchecked("a flood");
            script.expect("SETEVENTS NOTICE").send("250 OK\r\n650 NOTICE first\r\n");
            script.flood(format!("650 NOTICE {}\r\n", "x".repeat(200)), 1_000_000);
            script.expect("GETINFO a").send("250-a=1\r\n250 OK\r\n").drain();
        });
        let (go_on, test_says) = crate::support::signal::signal();
        let sleeper = move |_: &torcon::Event| drop(test_says.wait_timeout(LIMIT));
        controller.add_event_listener(EventKind::Notice, sleeper).unwrap();
        let before = peak_memory();
        assert_eq!(controller.get_info_one("a").unwrap(), "1");
        let used = peak_growth(before);
        assert!(used < 24 << 20, "200 MB of events took {used} bytes");
        controller.with_timeout(std::time::Duration::from_millis(1)).close();
        drop(go_on);
        drop(controller);
        tor.finish();
    });
}
