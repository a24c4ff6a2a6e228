use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::bounded;
use torcon::{EventKind, Supervisor};

use super::connected;
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::log_capture::LogClosure;
use crate::support::watchdog::within;

/// Less than the time limits after which a supervisor gives up waiting for itself.
const LIMIT: Duration = Duration::from_secs(20);

/// Calls a closure with the supervisor on the thread that logs the command of a call.
fn log_during(
    command: &'static str,
    closure: impl Fn(&Supervisor) + Send + Sync + 'static,
    call: impl FnOnce(&Supervisor) + Send + 'static,
) {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = Arc::new(connected(&tor));
    let weak = Arc::downgrade(&supervisor);
    let (sender, called) = bounded(100);
    let log = LogClosure::start(move |line| {
        if line.text.starts_with(command) {
            weak.upgrade().iter().for_each(|supervisor| closure(supervisor));
            let _ = sender.try_send(());
        }
    });
    within(LIMIT, "the call", move || {
        call(&supervisor);
        let weak: Weak<Supervisor> = Arc::downgrade(&supervisor);
        drop(supervisor);
        assert!(weak.upgrade().is_none());
    });
    assert!(called.try_recv().is_ok(), "{command} was not logged");
    drop(log);
}

#[test]
fn a_logger_may_change_settings_during_set_conf() {
    exclusive(|| {
        log_during(
            "SETCONF",
            |supervisor| {
                supervisor.forget_conf(["MaxCircuitDirtiness"]).unwrap();
            },
            |supervisor| supervisor.set_conf([("NumEntryGuards", "1")]).unwrap(),
        );
    });
}

#[test]
fn a_logger_may_stop_the_supervisor_during_set_conf() {
    exclusive(|| {
        log_during("SETCONF", Supervisor::stop, |supervisor| {
            drop(supervisor.set_conf([("NumEntryGuards", "1")]));
        });
    });
}

#[test]
fn a_logger_may_stop_the_supervisor_while_a_listener_is_added() {
    exclusive(|| {
        log_during("SETEVENTS", Supervisor::stop, |supervisor| {
            drop(supervisor.add_event_listener(EventKind::Bw, |_| {}));
        });
    });
}
