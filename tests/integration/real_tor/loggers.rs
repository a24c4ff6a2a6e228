//! Loggers that call torcon while the thread that logs holds a lock across a command: a call that
//! needs the same lock fails at once, since a thread cannot wait for itself.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;
use parking_lot::Mutex;
use torcon::state::{Attach, AttacherGuard, Path, State};
use torcon::{Signal, Tor};

use crate::support::exclusive::exclusive;
use crate::support::log_capture::LogClosure;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::{eventually, within};

/// Less than the 60 seconds after which a thread gave up waiting for itself.
const LIMIT: Duration = Duration::from_secs(30);

/// A call, which may fail.
type Call = fn(&Tor);

fn state(tor: &Tor) -> State {
    // A logger gets an error while the state is made.
    match tor.state() {
        Ok(state) => state,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_logger_may_make_the_call_that_logs() {
    exclusive(|| {
        let own = RealTor::start();
        let calls: [(&str, Call); 7] = [
            ("the state", |tor| drop(tor.state())),
            ("relays", |tor| drop(state(tor).relays())),
            ("a country", |tor| drop(state(tor).country([192, 0, 2, 1]))),
            ("a path", |tor| drop(state(tor).choose_path(&Path::to("example.com:80")))),
            ("guards", |tor| drop(state(tor).guards())),
            ("an option", |tor| drop(tor.config().get("SocksPort"))),
            ("saving", |tor| {
                drop(tor.config().set("ContactInfo", "me@example.org"));
                drop(tor.config().save());
            }),
        ];
        for (name, call) in calls {
            let tor = Arc::new(Tor::connect(own.endpoint().as_str()).unwrap());
            if name != "the state" {
                // So that the guards must be read again.
                drop(state(&tor));
                tor.controller().signal(Signal::Reload).unwrap();
            }
            let (weak, (called, calls)) = (Arc::downgrade(&tor), unbounded());
            let log = LogClosure::start(move |line| {
                let tor = weak.upgrade().filter(|_| line.target.starts_with("torcon"));
                if let Some(tor) = tor {
                    call(&tor);
                    called.send(()).ok();
                }
            });
            within(LIMIT, name, move || call(&tor));
            assert!(!calls.is_empty(), "{name} logs nothing");
            drop(log);
        }
    });
}

#[test]
fn a_logger_may_drop_an_attacher_while_another_is_set() {
    exclusive(|| {
        const OPTION: &str = "__LeaveStreamsUnattached";
        let own = RealTor::start();
        let tor = Tor::connect(own.endpoint().as_str()).unwrap();
        let state = state(&tor);
        let set = |state: &State| state.set_attacher(|_, _| Attach::Tor).unwrap();
        let first: Mutex<Option<AttacherGuard>> = Mutex::new(Some(set(&state)));
        // Another controller switches the option off, so that the next attacher sets it.
        assert_eq!(own.raw().ask(&format!("SETCONF {OPTION}=0")), ["250 OK"]);
        tor.controller().get_info_one("version").unwrap();
        let (dropped, drops) = unbounded();
        let log = LogClosure::start(move |line| {
            if line.text.starts_with("SETCONF") {
                let taken = first.lock().take();
                if let Some(first) = taken {
                    drop(first);
                    dropped.send(()).ok();
                }
            }
        });
        let second = within(LIMIT, "the second attacher", move || set(&state));
        assert!(drops.try_recv().is_ok(), "SETCONF was not logged");
        drop(log);
        assert_eq!(own.raw().get_conf(OPTION), [format!("250 {OPTION}=1")]);
        drop(second);
        eventually(LIMIT, "tor attaches streams again", || {
            own.raw().get_conf(OPTION) == [format!("250 {OPTION}=0")]
        });
    });
}
