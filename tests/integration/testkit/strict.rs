//! Failures that the test must see, in its own thread.

use torcon::testkit::{Answer, FakeTor};
use torcon::{ConnectOptions, Controller, Error, EventKind, Signal};

use super::LIMIT;
use crate::support::failure::panic_of;

/// Takes the value of a call that is to panic.
fn fails(_: &FakeTor) {}

/// Requires that the fake tor refused a command with these words.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Error>, words: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.status_code(), Some(510), "{error:?}");
    let text = format!("{error:?}");
    assert!(text.contains("the fake tor fails the test: ") && text.contains(words), "{text}");
}

#[test]
fn an_unexpected_command_is_refused_and_fails_the_test() {
    let tor = FakeTor::start();
    let controller = tor.controller();
    assert_refused(controller.save_conf(), "unexpected command 'SAVECONF'");
    // The connection goes on.
    assert_eq!(controller.get_info_one("version").unwrap(), "0.4.9.11");
    let message = panic_of(|| tor.finish());
    let expected = "the fake tor fails the test:\n  connection 1: unexpected command \"SAVECONF\"; \
                    no further command is expected\nthe dialogue so far";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("C1: SAVECONF\\r\\n"), "{message}");
}

#[test]
fn a_failure_is_reported_by_the_drop_too() {
    let tor = FakeTor::start();
    tor.controller().save_conf().unwrap_err();
    let message = panic_of(|| drop(tor));
    assert!(message.contains("unexpected command \"SAVECONF\""), "{message}");
}

#[test]
fn an_expected_command_that_does_not_arrive_fails_the_test() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", "250 OK").expect("SIGNAL NEWNYM", "250 OK");
    tor.controller().save_conf().unwrap();
    let message = panic_of(|| tor.finish());
    let expected = "the fake tor fails the test:\n  the expected command did not arrive: \
                    \"SIGNAL NEWNYM\"\n";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn an_expected_command_has_only_the_time_limit_to_arrive() {
    let tor = FakeTor::builder().timeout(std::time::Duration::from_millis(50)).start();
    let options = ConnectOptions::new();
    let controller = options.connect(tor.endpoint()).unwrap();
    tor.expect("SAVECONF", "250 OK");
    let message = panic_of(|| fails(tor.wait_expected()));
    assert!(message.contains("did not arrive within 50ms: \"SAVECONF\""), "{message}");
    let message = panic_of(|| tor.finish());
    assert!(message.contains("the expected command did not arrive: \"SAVECONF\""), "{message}");
    drop(controller);
}

#[test]
fn finish_waits_for_a_command_that_another_thread_sends() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", Answer::ok().delay(std::time::Duration::from_millis(20)));
    let controller = tor.controller();
    let thread = std::thread::scope(|scope| {
        let saving = scope.spawn(|| controller.save_conf());
        tor.wait_expected();
        saving.join().unwrap()
    });
    thread.unwrap();
    tor.finish();
}

#[test]
fn another_order_fails_unless_it_is_allowed() {
    let play = |tor: &FakeTor| -> [Result<(), Error>; 2] {
        tor.expect("SAVECONF", "250 OK").expect("SIGNAL NEWNYM", "250 OK");
        let controller = tor.controller();
        [controller.signal(Signal::Newnym), controller.save_conf()]
    };
    let tor = FakeTor::start();
    let [first, second] = play(&tor);
    assert_refused(first, "'SIGNAL NEWNYM' arrived before the expected 'SAVECONF'");
    second.unwrap();
    assert!(panic_of(|| tor.finish()).contains("arrived before the expected \"SAVECONF\""));

    let tor = FakeTor::builder().in_any_order().start();
    assert!(play(&tor).into_iter().all(|outcome| outcome.is_ok()));
    tor.finish();
}

#[test]
fn an_expected_command_is_expected_once() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", "250 OK");
    let controller = tor.controller();
    controller.save_conf().unwrap();
    assert_refused(controller.save_conf(), "no further command is expected");
    panic_of(|| tor.finish());
}

#[test]
fn mistakes_of_a_test_fail_where_they_are_made() {
    let tor = FakeTor::start();
    let controller: Controller = tor.controller();
    for (message, expected) in [
        (panic_of(|| fails(tor.expect("A", "OK"))), "a line has no status code: [\"OK\"]"),
        (panic_of(|| fails(tor.answer("A", "250-OK"))), "the last line has no blank"),
        (panic_of(|| fails(tor.expect("A", ["250 a", "250 b"]))), "a line follows the last one"),
        (panic_of(|| Answer::refused(250, "x")), "the status code of a refusal is 400 to 599"),
        (panic_of(|| Answer::info("a b", "x")), "not a key of GETINFO: \"a b\""),
        (panic_of(|| fails(tor.set_conf("A", &["x\r\ny"]))), "a line has a line break"),
        (panic_of(|| fails(tor.send_event("BW x"))), "not an event of tor: \"BW x\""),
        (panic_of(|| fails(tor.send_event("650 BW 1 2"))), "has no status code"),
        (panic_of(|| fails(tor.send_event("BW 1 2"))), "no open connection has subscribed to BW"),
        (panic_of(|| fails(tor.send_events(["BW 1 2", "CIRC 1 BUILT"]))), "not BW and CIRC"),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    assert!(controller.is_alive());
    tor.finish();
}

#[test]
fn an_event_of_an_answer_must_be_subscribed() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", Answer::ok().then_event("BW 1 2"));
    tor.controller().save_conf().unwrap();
    let message = panic_of(|| tor.finish());
    assert!(message.contains("but BW is not subscribed"), "{message}");
}

#[test]
fn a_closure_that_panics_fails_the_test_and_ends_the_connection() {
    let tor = FakeTor::start();
    tor.answer_with(|_, command| {
        assert_ne!(command, "SAVECONF", "as planned");
        None
    });
    let controller = tor.controller();
    assert!(controller.save_conf().unwrap_err().is_closed());
    assert!(panic_of(|| tor.finish()).contains("as planned"));
}

#[test]
fn a_check_of_what_is_sent_fails_the_test() {
    let builder = FakeTor::builder().check_sent(|connection, bytes| {
        let is_known = !bytes.starts_with(b"250-uptime");
        if is_known { Ok(()) } else { Err(format!("connection {connection} says {bytes:?}")) }
    });
    let tor = builder.start();
    tor.set_info("uptime", "1");
    assert!(tor.controller().get_info_one("uptime").unwrap_err().is_closed());
    assert!(panic_of(|| tor.finish()).contains("connection 1 says [50, 53"));
}

#[test]
fn a_command_before_the_authentication_is_refused_as_tor_does() {
    use crate::support::fake_tor::FakeTor as SuiteFakeTor;
    use crate::support::raw_control::RawControl;

    // With the default answers, and the address as a raw client needs it.
    let tor = SuiteFakeTor::unix(|script| {
        script.serve_default();
    });
    let mut raw = RawControl::connect(tor.address());
    assert_eq!(raw.ask("PROTOCOLINFO 1").len(), 4);
    drop(raw);
    tor.finish();

    let tor = FakeTor::builder().password("right").start();
    let error = ConnectOptions::new().password("wrong").connect(tor.endpoint()).unwrap_err();
    assert_eq!(error.status_code(), Some(515), "{error:?}");
    assert!(ConnectOptions::new().connect(tor.endpoint()).is_err());
    assert!(tor.controller().is_alive());
    tor.finish();
}

#[test]
fn an_unexpected_line_of_a_script_is_refused() {
    let tor = FakeTor::script(|script| {
        script.greet().expect("SAVECONF");
    });
    let controller = tor.controller().with_timeout(LIMIT);
    assert_refused(controller.signal(Signal::Newnym), "expected 'SAVECONF', got 'SIGNAL NEWNYM'");
    assert!(panic_of(|| tor.finish()).contains("expected \"SAVECONF\", got \"SIGNAL NEWNYM\""));
}

#[test]
fn a_listener_that_is_removed_has_no_events() {
    let tor = FakeTor::start();
    let controller = tor.controller();
    let id = controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    tor.send_event("BW 1 2");
    controller.remove_event_listener(id).unwrap();
    assert!(panic_of(|| fails(tor.send_event("BW 1 2"))).contains("no open connection"));
    tor.finish();
}
