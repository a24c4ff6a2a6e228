//! Replies line by line to closures that panic or close, and held replies that cannot be buffered.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::time::Duration;

use torcon::error::BufferProblem;
use torcon::{Error, Line};

use super::{LIMIT, answer, closed, connected, value};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::leaks::Holdings;
use crate::support::script::Script;
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// Answers `GETINFO key` with lines of one kilobyte that begin with the key.
fn kilobytes(script: &mut Script, key: &str, count: u64) {
    script.send(format!("250+{key}=\r\n"));
    script.flood(format!("{key}{}\r\n", "x".repeat(1022 - key.len())), count);
    script.send(".\r\n250 OK\r\n");
}

#[test]
fn a_closure_that_panics_discards_the_rest_and_the_connection_stays_open() {
    exclusive(|| {
        let (tor, controller) = connected(|script| {
            for _ in 0..3 {
                script.expect("GETINFO ns/all");
                kilobytes(script, "ns/all", 12 << 10);
            }
            script.serve(answer);
        });
        let before = Holdings::with_thread("torcon-reader");
        // At the first line, with the rest in memory, and with the rest in a file.
        for at in [1, 2_000, 6_000] {
            let mut lines = 0;
            let take = |_: Line<'_>| {
                lines += 1;
                if lines == at {
                    panic_any("on purpose");
                }
                ControlFlow::Continue(())
            };
            let outcome =
                catch_unwind(AssertUnwindSafe(|| controller.get_info_incremental("ns/all", take)));
            assert!(outcome.is_err());
        }
        assert_eq!(controller.get_info_one("a").unwrap(), value("a"));
        before.assert_restored(LIMIT);
        drop(controller);
        tor.finish();
    });
}

#[test]
fn a_closure_that_closes_the_connection_gets_the_received_lines_and_then_the_end() {
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO ns/all").send("250+ns/all=\r\na\r\nb\r\n").expect_end();
    });
    let mut lines = 0;
    let take = |_: Line<'_>| {
        lines += 1;
        controller.close();
        ControlFlow::Continue(())
    };
    let outcome = controller.get_info_incremental("ns/all", take);
    assert_eq!(closed(outcome), "this program closed the connection");
    assert!(lines <= 2, "{lines}");
    tor.finish();
}

#[test]
fn a_held_reply_whose_file_cannot_be_created_is_lost_alone() {
    // Every held reply behind it was lost too, even a 250 OK.
    exclusive(|| {
        std::fs::remove_dir_all(std::env::temp_dir()).unwrap();
        let (go_on, test_says) = signal();
        let tor = FakeTor::tcp(move |script| {
            script.greet();
            script.expect("GETINFO late").expect("GETINFO big").expect("ECHO small");
            script.wait_for(&test_says).send("250-late=1\r\n250 OK\r\n");
            kilobytes(script, "big", 6 << 10);
            script.send("250 small\r\n").serve(answer);
        });
        let controller = torcon::connect(tor.endpoint()).unwrap();
        let [late, big, small] = ["GETINFO late", "GETINFO big", "ECHO small"]
            .map(|command| controller.queue_command(command).unwrap());
        assert!(late.wait_timeout(Duration::ZERO).unwrap_err().is_timeout());
        go_on.fire();
        let error = big.wait().unwrap_err();
        let Error::Buffer(error) = &error else { panic!("{error:?}") };
        assert!(matches!(error.problem(), BufferProblem::File(_)), "{error:?}");
        assert_eq!(small.wait().unwrap().text(), "small");
        assert_eq!(controller.get_info_one("b").unwrap(), value("b"));
        drop(controller);
        tor.finish();
    });
}
