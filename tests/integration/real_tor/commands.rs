//! Signals, features, ownership, commands as text, and the end of a connection.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use torcon::names::Signal;
use torcon::{ConnectOptions, Controller, Disconnect, Error, EventKind};

use super::{controller, reader, refusal};
use crate::support::real_tor::{RealTor, shared};
use crate::support::recording_proxy::RecordingProxy;

const LIMIT: Duration = Duration::from_secs(30);

#[track_caller]
fn assert_ended(controller: &Controller) -> Disconnect {
    controller.wait_closed(LIMIT).unwrap()
}

// Row `signal(name)`: known signals only; tor's answer.
#[test]
fn every_signal_that_does_not_end_tor_is_sent_and_reported() {
    let tor = RealTor::builder().line("SocksPort auto").start();
    let controller = controller(&tor);
    let events = controller.events([EventKind::Signal]).unwrap();
    let ends = |signal: &Signal| matches!(signal.canonical(), Signal::Halt | Signal::Shutdown);
    let mut sent = 0;
    for signal in controller.valid_signals().unwrap().iter().filter(|signal| !ends(signal)) {
        controller.signal(signal.clone()).unwrap();
        let event = events.recv_timeout(LIMIT).unwrap();
        assert_eq!(event.to_string(), format!("SIGNAL {}", signal.canonical()));
        sent += 1;
    }
    assert_eq!(sent, 11);
    assert!(tor.log_text().contains("Heartbeat: Tor's uptime is"));

    for name in ["newny", "NEWNYM ", "NEW", "RELOAD\nQUIT", "", "HUPX", "1"] {
        // txtorcon took any part of a valid name for valid.
        let expected = match Signal::from(name) {
            Signal::Unrecognized(_) => refusal(controller.signal(Signal::from(name))),
            known => panic!("{name:?} is {known:?}"),
        };
        assert_eq!(expected, "invalid argument \"signal\": is not a signal of tor", "{name:?}");
    }
    assert_eq!(events.try_recv(), None);
    // tor and torcon ignore the case.
    controller.signal(Signal::from("active")).unwrap();
    assert_eq!(events.recv_timeout(LIMIT).unwrap().to_string(), "SIGNAL ACTIVE");
    assert!(controller.is_alive());
}

#[test]
fn each_signal_that_ends_tor_ends_the_connection() {
    for signal in [Signal::Shutdown, Signal::Int, Signal::Halt, Signal::Term] {
        let tor = RealTor::start();
        let (first, second) = (controller(&tor), controller(&tor));
        first.signal(signal.clone()).unwrap();
        for controller in [first, second] {
            let reason = assert_ended(&controller);
            assert!(matches!(reason, Disconnect::EndOfStream), "{signal}: {reason:?}");
            assert!(!reason.is_clean());
        }
        tor.wait(LIMIT);
    }
}

// Row `queue_command(cmd, arg)`: many commands may be queued.
#[test]
fn three_hundred_replies_may_be_pending_while_events_arrive() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let events = controller.events([EventKind::ConfChanged, EventKind::Notice]).unwrap();
    let pending: Vec<_> = (0..300)
        .map(|number| {
            let command = match number % 3 {
                0 => format!("GETINFO torcon/{number}"),
                1 => format!("SETCONF Nickname=number{number}"),
                _ => "GETCONF Nickname".to_owned(),
            };
            controller.queue_command(&command).unwrap()
        })
        .collect();
    for (number, pending) in pending.into_iter().enumerate() {
        match (number % 3, pending.wait()) {
            (0, Err(error)) => assert_eq!(
                error.to_string(),
                format!("tor refused GETINFO: 552 \"Unrecognized key \\\"torcon/{number}\\\"\"")
            ),
            (1, Ok(reply)) => assert_eq!((reply.code(), &*reply.text()), (250, "OK")),
            (2, Ok(reply)) => assert_eq!(reply.text(), format!("Nickname=number{}", number - 1)),
            (_, outcome) => panic!("{number}: {outcome:?}"),
        }
    }
    let changes: Vec<_> = events
        .timeout_iter(LIMIT)
        .filter(|event| event.kind() == Some(EventKind::ConfChanged))
        .take(100)
        .map(|event| event.to_string())
        .collect();
    let expected: Vec<_> =
        (0..100).map(|n| format!("CONF_CHANGED\nNickname=number{}", 3 * n + 1)).collect();
    assert_eq!(changes, expected, "each event once, in order");
}

// Row `queue_command`: the ways to get the reply.
#[test]
fn a_pending_reply_can_be_awaited_polled_dropped_and_late() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let pid = format!("process/pid={}", tor.pid());

    let pending = controller.queue_command("getinfo process/pid").unwrap();
    let reply = pending.wait_timeout(LIMIT).unwrap();
    let lines: Vec<_> = reply.lines().map(|line| line.text().into_owned()).collect();
    assert_eq!(lines, [pid.as_str(), "OK"]);

    let pending = controller.queue_command("GETINFO process/pid").unwrap();
    let end = Instant::now() + LIMIT;
    let reply = loop {
        if let Some(reply) = pending.try_wait() {
            break reply.unwrap();
        }
        assert!(Instant::now() < end);
        std::thread::yield_now();
    };
    assert_eq!(reply.lines().next().unwrap().text(), pid);

    drop(controller.queue_command("GETINFO config/names").unwrap());
    tor.stop();
    let late = controller.queue_command("GETINFO version").unwrap();
    let error = late.wait_timeout(Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 50ms waiting for the reply to GETINFO");
    let pending = controller.queue_command("GETINFO process/pid").unwrap();
    assert!(pending.try_wait().is_none());
    tor.cont();
    assert_eq!(pending.wait().unwrap().lines().next().unwrap().text(), pid);
    assert_eq!(controller.command("GETINFO process/pid").unwrap().lines().count(), 2);
}

// Row `queue_command`: optional per-line callback.
#[test]
fn a_reply_can_be_taken_line_by_line() {
    let controller = reader();
    let mut lines = Vec::new();
    controller
        .command_lines("GETINFO process/pid signal/names config/names", |line| {
            lines.push(line.text().into_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    let mut raw = shared().raw();
    let mut expected = vec![
        format!("process/pid={}", shared().pid()),
        format!("signal/names={}", raw.get_info("signal/names")),
        "config/names=".to_owned(),
    ];
    expected.extend(raw.get_info("config/names").lines().map(str::to_owned));
    assert_eq!(lines, expected);
    assert_eq!(
        refusal(controller.command_lines("GETINFO a b", |_| panic!("no line succeeds"))),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"a\\\"\" and 1 more"
    );
}

#[test]
fn text_that_is_not_one_command_is_not_sent() {
    let tap = RecordingProxy::before(shared().address());
    let controller = torcon::connect(tap.endpoint()).unwrap();
    let before = tap.sent().len();
    for (command, problem) in [
        ("GETINFO version\nSIGNAL HALT", "contains a line feed"),
        ("GETINFO version\r", "contains a carriage return"),
        ("GETINFO version\0", "contains NUL"),
        ("", "is empty"),
        (" GETINFO version", "begins with a blank"),
        ("+LOADCONF", "begins with \"+\": commands with data have methods"),
        ("!x", "does not begin with a keyword"),
    ] {
        let expected = format!("invalid argument \"command\": {problem}");
        assert_eq!(refusal(controller.command(command)), expected);
        assert_eq!(refusal(controller.queue_command(command)), expected);
        let lines = controller.command_lines(command, |_| ControlFlow::Continue(()));
        assert_eq!(refusal(lines), expected);
    }
    assert_eq!(tap.sent().len(), before);
    // Filters answer 510 too, with other words.
    let error = controller.command("FOO bar").unwrap_err();
    assert_eq!(error.to_string(), "tor refused FOO: 510 \"Unrecognized command \\\"FOO\\\"\"");
    assert_eq!((error.status_code(), error.is_filtered()), (Some(510), false));
    assert_eq!(tap.sent().last().unwrap(), "FOO bar");
    // Replies of other commands: several codes in one reply, and no `OK` (peers 6).
    let reply = controller.command("SETEVENTS").unwrap();
    assert_eq!((reply.code(), &*reply.text()), (250, "OK"));
}

#[test]
fn a_reply_of_mixed_codes_is_a_refusal_with_every_line() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let error = controller.command("MAPADDRESS a.example=b.example c.example=@@@").unwrap_err();
    let Error::Rejected(rejection) = &error else { panic!("{error:?}") };
    assert_eq!((rejection.code(), rejection.command()), (512, "MAPADDRESS"));
    let mut lines: Vec<_> =
        rejection.lines().iter().map(|line| (line.code(), line.text().into_owned())).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            (250, "a.example=b.example".to_owned()),
            (512, "syntax error: invalid address '@@@'".to_owned())
        ]
    );
    // tor has executed the valid part.
    let mapped = controller.get_info_one("address-mappings/control").unwrap();
    assert_eq!(mapped, "a.example b.example NEVER");
}

// USEFEATURE.
#[test]
fn features_are_enabled_or_refused() {
    let controller = reader();
    controller.use_feature(["EXTENDED_EVENTS", "VERBOSE_NAMES"]).unwrap();
    assert_eq!(
        refusal(controller.use_feature(["VERBOSE_NAMES", "NOPE"])),
        "tor refused USEFEATURE: 552 \"Unrecognized feature \\\"NOPE\\\"\""
    );
    assert!(controller.is_alive());
}

/// A way to end a connection.
type End = fn(Controller);

// Row `is_owned`, TAKEOWNERSHIP: tor dies with the connection, however that ends.
#[test]
fn an_owned_tor_exits_with_its_connection() {
    let ways: [(&str, End); 3] = [
        ("drop", drop),
        ("close", |controller| controller.close()),
        ("quit", |controller| controller.quit().unwrap()),
    ];
    for (way, end) in ways {
        let tor = RealTor::start();
        let owner = controller(&tor);
        let other = controller(&tor);
        assert_eq!(owner.owned_pid(), None);
        owner.take_ownership().unwrap();
        assert_eq!(owner.owned_pid(), Some(tor.pid()), "{way}");
        assert_eq!(owner.clone().owned_pid(), Some(tor.pid()), "{way}");
        assert_eq!(other.owned_pid(), None, "{way}");
        end(owner);
        let reason = assert_ended(&other);
        assert!(matches!(reason, Disconnect::EndOfStream), "{way}: {reason:?}");
        tor.wait(LIMIT);
        let log = tor.log_text();
        assert!(log.contains("Owning controller connection has closed"), "{way}: {log}");
    }
}

// DROPOWNERSHIP: tor outlives the connection again.
#[test]
fn a_tor_whose_ownership_is_dropped_outlives_the_connection() {
    let tor = RealTor::start();
    let owner = controller(&tor);
    owner.take_ownership().unwrap();
    owner.drop_ownership().unwrap();
    assert_eq!(owner.owned_pid(), None);
    owner.quit().unwrap();
    // tor handles its connections in order: this one is opened and used after the other ended.
    assert_eq!(controller(&tor).get_info_one("process/pid").unwrap(), tor.pid().to_string());
    controller(&tor).close();
    assert_eq!(controller(&tor).get_info_one("process/pid").unwrap(), tor.pid().to_string());
    assert_eq!(tor.try_wait(), None);
    assert!(!tor.log_text().contains("Owning controller connection has closed"));
}

// Row `quit()`; row `on_disconnect`.
#[test]
fn quit_is_a_clean_end_for_every_caller() {
    let controller = reader();
    let waiting = controller.clone();
    let (send, receive) = crossbeam_channel::unbounded();
    controller.on_disconnect(move |reason| send.send(reason.clone()).unwrap());
    controller.quit().unwrap();
    for error in [
        waiting.get_info_one("version").unwrap_err(),
        waiting.signal(Signal::Active).unwrap_err(),
        waiting.queue_command("GETINFO version").unwrap_err(),
        waiting.on(|_: &torcon::event::BwEvent| {}).unwrap_err(),
    ] {
        assert_eq!(
            super::chain(&error),
            "the control connection is closed: tor closed the connection after QUIT"
        );
    }
    let reason = receive.recv_timeout(LIMIT).unwrap();
    assert!(matches!(reason, Disconnect::Quit) && reason.is_clean());
    assert_eq!(receive.recv_timeout(LIMIT).ok().map(|r| r.is_clean()), None, "called once");
    // A callback that is added later is called too.
    let (send, receive) = crossbeam_channel::unbounded();
    waiting.on_disconnect(move |reason| send.send(reason.is_clean()).unwrap());
    assert_eq!(receive.recv_timeout(LIMIT), Ok(true));
    assert!(!waiting.is_alive());
    // A second call returns an error.
    assert!(waiting.quit().unwrap_err().is_closed());
    waiting.close();

    // The same as text.
    let controller = reader();
    let reply = controller.command("QUIT").unwrap();
    assert_eq!((reply.code(), &*reply.text()), (250, "closing connection"));
    assert!(matches!(assert_ended(&controller), Disconnect::Quit));
}

// Row `on_disconnect`: called once, with the cause if the end was not clean.
#[test]
fn on_disconnect_is_called_once_with_the_reason() {
    let tor = RealTor::start();
    let ended = |end: &dyn Fn(&Controller)| {
        let controller = ConnectOptions::new().connect(tor.endpoint()).unwrap();
        let (send, receive) = crossbeam_channel::unbounded();
        for number in 0..3 {
            let send = send.clone();
            controller.on_disconnect(move |reason| {
                let thread = std::thread::current().name().unwrap().to_owned();
                send.send((number, reason.to_string(), thread)).unwrap();
            });
        }
        drop(send);
        assert!(controller.wait_closed(Duration::ZERO).unwrap_err().is_timeout());
        end(&controller);
        // Ends when every closure was called and dropped.
        let mut told: Vec<_> = receive.iter().collect();
        told.sort();
        let reason = assert_ended(&controller);
        let text = reason.to_string();
        let thread = "torcon-events".to_owned();
        let expected: Vec<_> =
            (0..3).map(|number| (number, text.clone(), thread.clone())).collect();
        assert_eq!(told, expected);
        assert_eq!(controller.closed_reason().unwrap().to_string(), text);
        reason
    };
    assert!(matches!(ended(&Controller::close), Disconnect::Closed));
    let reason = ended(&|_| tor.kill());
    assert!(!reason.is_clean());
    assert_eq!(reason.to_string(), "tor closed the connection");
}

// A handle in a closure must not keep the connection; and each clone has its own limit.
#[test]
fn clones_share_the_connection_and_the_last_one_closes_it() {
    let tor = RealTor::start();
    let first = controller(&tor);
    let second = first.with_timeout(Duration::from_secs(7));
    assert_eq!(first.timeout(), Duration::from_secs(60));
    assert_eq!(second.timeout(), Duration::from_secs(7));
    let weak = second.downgrade();
    drop(first);
    assert_eq!(second.get_info_one("process/pid").unwrap(), tor.pid().to_string());
    assert_eq!(weak.upgrade().unwrap().timeout(), Duration::from_secs(7));
    let (send, receive) = crossbeam_channel::unbounded();
    second.on_disconnect(move |reason| send.send(reason.to_string()).unwrap());
    drop(second);
    assert_eq!(receive.recv_timeout(LIMIT).unwrap(), "this program closed the connection");
    assert!(weak.upgrade().is_none());
    assert!(controller(&tor).is_alive());
}

#[test]
fn a_command_whose_lack_of_arguments_crashes_tor_is_not_sent() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let expected = "invalid argument \"SETCIRCUITPURPOSE\": needs a circuit";
    for command in ["SETCIRCUITPURPOSE", "setcircuitpurpose ", "SetCircuitPurpose  "] {
        assert_eq!(refusal(controller.command(command)), expected);
        assert_eq!(refusal(controller.queue_command(command).map(drop)), expected);
    }
    assert_eq!(
        refusal(controller.command("SETCIRCUITPURPOSE 1")),
        "tor refused SETCIRCUITPURPOSE: 552 \"Unknown circuit \\\"1\\\"\""
    );
    assert_eq!(controller.get_info_one("process/pid").unwrap(), tor.pid().to_string());
}
