//! The end of a fake tor: its threads, and waits that it ends.

use std::thread;
use std::time::{Duration, Instant};

use torcon::EventKind;
use torcon::testkit::{Answer, FakeTor};

use super::LIMIT;
use crate::support::exclusive::exclusive;
use crate::support::failure::panic_of;
use crate::support::leaks::{self, Holdings};
use crate::support::watchdog::eventually;

/// Requires that no thread of a fake tor is left.
#[track_caller]
fn assert_no_thread() {
    // A thread that was joined may be listed for a moment.
    eventually(LIMIT, "the threads have ended", || leaks::threads("fake-tor").is_empty());
}

#[test]
fn nothing_is_left_of_a_fake_tor() {
    exclusive(|| {
        let before = Holdings::now();
        for is_finished in [true, false] {
            let tor = FakeTor::start();
            let connections = [tor.controller(), tor.controller()];
            assert_eq!(leaks::threads("fake-tor").len(), 3);
            if is_finished {
                tor.finish();
            } else {
                drop(tor);
            }
            // The drop has joined them.
            assert_no_thread();
            for controller in connections {
                assert!(controller.save_conf().unwrap_err().is_closed());
            }
            before.assert_restored(LIMIT);
        }
        let tor = FakeTor::builder().tcp().script(|script| {
            script.greet().serve_default();
        });
        let controller = tor.controller();
        assert!(controller.get_info_one("version").is_ok());
        drop(tor);
        assert_no_thread();
        drop(controller);
        before.assert_restored(LIMIT);
    });
}

#[test]
fn a_test_that_panics_ends_its_fake_tor_and_keeps_its_panic() {
    exclusive(|| {
        let message = panic_of(|| {
            let tor = FakeTor::start();
            tor.expect("SAVECONF", "250 OK");
            let _controller = tor.controller();
            tor.controller().drop_guards().unwrap_err();
            panic!("as planned");
        });
        assert_eq!(message, "as planned");
        assert_no_thread();
    });
}

#[test]
fn a_fake_tor_without_a_client_ends_at_once() {
    let begin = Instant::now();
    for _ in 0..20 {
        FakeTor::start().finish();
    }
    assert!(begin.elapsed() < LIMIT / 2, "{:?}", begin.elapsed());
}

#[test]
fn a_script_without_a_client_fails_after_its_limit() {
    let tor = FakeTor::builder().timeout(Duration::from_millis(50)).script(|script| {
        script.greet();
    });
    let message = panic_of(|| tor.finish());
    assert!(message.contains("no client connected to the fake tor: no connection"), "{message}");
}

#[test]
fn a_command_that_waits_is_ended_by_the_end_of_its_fake_tor() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", Answer::none());
    let controller = tor.controller();
    thread::scope(|scope| {
        let saving = scope.spawn(|| controller.save_conf());
        tor.wait_expected();
        tor.finish();
        assert!(saving.join().unwrap().unwrap_err().is_closed());
    });
}

#[test]
fn many_fake_tors_run_beside_each_other() {
    let tors: Vec<_> = (0..30).map(|_| FakeTor::start()).collect();
    thread::scope(|scope| {
        for (number, tor) in tors.iter().enumerate() {
            tor.set_info("uptime", &number.to_string());
            scope.spawn(move || {
                let uptime = tor.controller().get_info_one("uptime").unwrap();
                assert_eq!(uptime, number.to_string());
            });
        }
    });
    tors.into_iter().for_each(FakeTor::finish);
}

// Adding the limit to the time of the clock panicked.
#[test]
fn a_giant_time_limit_is_no_limit() {
    let tor = FakeTor::builder().timeout(Duration::MAX).start();
    tor.expect("SAVECONF", "250 OK");
    let controller = tor.controller();
    controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    tor.send_event("BW 1 2");
    controller.save_conf().unwrap();
    tor.wait_expected();
    tor.finish();
    let tor = FakeTor::builder().timeout(Duration::MAX).script(|script| {
        script.timeout(Duration::MAX).greet().expect("SAVECONF").send("250 OK\r\n").expect_end();
    });
    let controller = tor.controller();
    controller.save_conf().unwrap();
    drop(controller);
    tor.finish();
}
