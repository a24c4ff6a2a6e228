//! A call of several steps has one time limit for all of them.

use std::time::{Duration, Instant};

use torcon::command::ExtendCircuit;
use torcon::config::Config;
use torcon::{Controller, Error, EventKind};

use super::{LIMIT, connected, join, start};
use crate::support::signal::signal;

/// The time limit of the calls, and how long tor takes for their first step. On a busy machine each
/// ends more than a second later.
pub(super) const CALL: Duration = Duration::from_secs(6);
pub(super) const FIRST_STEP: Duration = Duration::from_secs(4);

/// Makes a call whose first step tor answers late, and whose second it does not answer.
fn call(first: &'static str, call: impl FnOnce(&Controller) -> Result<(), Error>) -> bool {
    let (tor, controller) = connected(move |script| {
        script.expect(first).pause(FIRST_STEP).send("250 OK\r\n").drain();
    });
    let outcome = ending_in_time(first, || call(&controller.with_timeout(CALL)));
    let timed_out = outcome.is_err_and(|error| {
        assert_names_limit(first, &error);
        true
    });
    drop(controller);
    tor.finish();
    timed_out
}

/// Makes a call that ends with its time limit, counted from its beginning, and returns its outcome.
#[track_caller]
fn ending_in_time(name: &str, call: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let begin = Instant::now();
    let outcome = call();
    let took = begin.elapsed();
    assert!(took >= CALL && took < CALL + FIRST_STEP * 2 / 3, "{name}: {took:?}");
    outcome
}

/// Checks that a call ends with its time limit, which its error names.
#[track_caller]
pub(super) fn assert_times_out(name: &str, call: impl FnOnce() -> Result<(), Error>) {
    assert_names_limit(name, &ending_in_time(name, call).unwrap_err());
}

/// Checks that an error is a timeout and names the limit of the call, not what was left of it.
#[track_caller]
fn assert_names_limit(name: &str, error: &Error) {
    let Error::Timeout(timeout) = error else { panic!("{name}: {error}") };
    assert_eq!(timeout.limit(), CALL, "{name}: {error}");
}

#[test]
fn a_call_of_several_commands_has_one_time_limit() {
    // Each command, and each wait for others that send the same, had its own limit.
    let wait = start(|| {
        call("SETEVENTS CIRC", |controller| {
            let is_any = |_: &_, _: &_| true;
            let command = ExtendCircuit::new();
            controller.execute_and_wait(&command, EventKind::Circ, is_any, LIMIT).map(drop)
        })
    });
    let resolve = start(|| {
        call("SETEVENTS ADDRMAP STREAM", |controller| {
            controller.resolve("a.example", LIMIT).map(drop)
        })
    });
    let config = start(|| {
        call("SETEVENTS CONF_CHANGED", |controller| {
            Config::new(controller).get("Nickname").map(drop)
        })
    });
    // Ownership is taken also if tor does not report its pid.
    let own = start(|| call("TAKEOWNERSHIP", Controller::take_ownership));
    assert!(join(wait) && join(resolve) && join(config) && !join(own));
}

#[test]
fn the_names_of_options_and_what_follows_have_one_time_limit() {
    type Call = fn(&Config) -> Result<(), Error>;
    let calls: [(&str, Call); 2] = [
        ("default_value", |config| config.default_value("Nickname").map(drop)),
        ("load_all", Config::load_all),
    ];
    for (name, call) in calls {
        let (tor, controller) = connected(|script| {
            script.answer("SETEVENTS CONF_CHANGED", &["250 OK"]);
            let names = "250+config/names=\r\nNickname String\r\n.\r\n250 OK\r\n";
            script.expect("GETINFO config/names").pause(FIRST_STEP).send(names).drain();
        });
        let config = Config::new(&controller.with_timeout(CALL));
        assert_times_out(name, || call(&config));
        drop((config, controller));
        tor.finish();
    }
}

#[test]
fn a_torrc_is_made_within_the_time_limit_of_the_call() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS CONF_CHANGED", &["250 OK"]);
        let names = ["250+config/names=", "Log LineList", ".", "250 OK"];
        script.answer("GETINFO config/names", &names);
        let text = "250-config-text=\r\n250 OK\r\n";
        script.expect("GETINFO config-text").pause(FIRST_STEP).send(text);
        script.expect("GETCONF Log").drain();
    });
    let config = Config::new(&controller.with_timeout(CALL));
    config.push("Log", "notice stdout").unwrap();
    assert_times_out("to_torrc", || config.to_torrc().map(drop));
    drop((config, controller));
    tor.finish();
}

#[test]
fn a_subscription_waits_for_another_and_for_its_own_with_one_time_limit() {
    let (seen, is_seen) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("SETEVENTS BW");
        seen.fire();
        script.pause(FIRST_STEP).send("250 OK\r\n").drain();
    });
    let patient = controller.clone();
    let other = start(move || patient.add_event_listener(EventKind::Bw, |_| {}).map(drop));
    is_seen.wait();
    let begin = Instant::now();
    let hurried = controller.with_timeout(CALL);
    let error = hurried.add_event_listener(EventKind::Circ, |_| {}).unwrap_err();
    let took = begin.elapsed();
    assert!(error.is_timeout() && took >= CALL, "{error:?} after {took:?}");
    assert!(took < CALL + FIRST_STEP * 2 / 3, "{took:?}");
    join(other).unwrap();
    drop((hurried, controller));
    tor.finish();
}

#[test]
fn a_command_waits_to_be_written_and_for_its_reply_with_one_time_limit() {
    // The socket has no room for the first command before the peer reads.
    let (tor, controller) = connected(|script| {
        script.pause(FIRST_STEP).drain();
    });
    let patient = controller.clone();
    let other = start(move || patient.command(&format!("GETINFO {}", "a".repeat(900_000))));
    let hurried = controller.with_timeout(CALL);
    // The other command is being written by then, so that this one waits for its turn; otherwise
    // only its reply is late.
    std::thread::sleep(FIRST_STEP / 5);
    let begin = Instant::now();
    let error = hurried.command("GETINFO version").unwrap_err();
    let took = begin.elapsed();
    assert!(error.is_timeout() && took >= CALL, "{error:?} after {took:?}");
    assert!(took < CALL + FIRST_STEP / 2, "{took:?}");
    controller.close();
    join(other).unwrap_err();
    tor.finish();
}

#[test]
fn the_queries_before_a_dangerous_command_share_its_time_limit() {
    let (tor, controller) = connected(|script| {
        script.expect("GETCONF Sandbox").pause(FIRST_STEP).send("250 Sandbox=1\r\n").drain();
    });
    assert_times_out("set_conf", || {
        controller.with_timeout(CALL).set_conf([("CookieAuthentication", "1")]).map(drop)
    });
    drop(controller);
    tor.finish();
}

#[test]
fn a_command_whose_check_is_not_answered_in_time_is_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let (tor, controller) = connected(|script| {
        // The permissions of a directory are those for the user of tor.
        script.expect("GETINFO process/uid");
        script.expect_matching("a probe", |line| line.starts_with("GETINFO torcon/sync/"));
        script.expect_end();
    });
    let path = directory.path().join("cookie").display().to_string();
    assert_times_out("set_conf", || {
        controller.with_timeout(CALL).set_conf([("CookieAuthFile", path)]).map(drop)
    });
    drop(controller);
    tor.finish();
}
