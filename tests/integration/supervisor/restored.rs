//! The parts that are restored after a launched tor was killed, and the parts that are not.

use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{Signal as SystemSignal, kill};
use torcon::error::SupervisorProblem;
use torcon::event::SignalEvent;
use torcon::names::{ClientAuthKey, OnionKey};
use torcon::supervisor::{IfChanged, SupervisedPart, SupervisorStatus};
use torcon::{Error, Event, EventKind, Signal, Tor};

use super::{
    LIMIT, assert_stopped_is_reported, launcher, next_tor, options, pid, statuses, supervised,
    value,
};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;

/// Makes tor report a signal, and waits for the report.
#[track_caller]
fn dump(tor: &Tor, received: &Receiver<String>) -> String {
    tor.controller().signal(Signal::Dump).unwrap();
    received.recv_timeout(LIMIT).unwrap()
}

#[test]
fn options_keys_and_listeners_come_back_and_no_event_twice() {
    let supervisor = supervised();
    // Before there is a connection.
    supervisor.set_conf([("MaxCircuitDirtiness", "5 minutes")]).unwrap();
    let (typed, typed_received) = unbounded();
    supervisor.on(move |event: &SignalEvent| drop(typed.send(event.to_string()))).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    // On the connection.
    let ports = [("SocksPolicy", "accept 127.0.0.1"), ("SocksPolicy", "reject *")];
    supervisor.set_conf(ports).unwrap();
    let address = OnionKey::generate().unwrap().address();
    let key = ClientAuthKey::generate().unwrap();
    supervisor.add_onion_client_auth(address, &key).unwrap();
    let (events, all) = unbounded();
    let sender = events.clone();
    supervisor
        .add_event_listener(EventKind::Signal, move |event| drop(sender.send(event.to_string())))
        .unwrap();
    let (text, text_received) = unbounded();
    supervisor
        .add_text_listener(EventKind::Signal, move |event| drop(text.send(event.to_string())))
        .unwrap();
    let (gaps, gaps_received) = unbounded();
    supervisor.on_reconnected(move |gap| gaps.send(gap).unwrap_or_default()).unwrap();
    let queue = supervisor.events([EventKind::Signal]).unwrap();

    let directory = tor.process().unwrap().data_directory().to_owned();
    let mut tor = tor;
    for round in 0..3 {
        assert_eq!(value(&tor, "MaxCircuitDirtiness"), ["300"]);
        assert_eq!(value(&tor, "SocksPolicy"), ["accept 127.0.0.1", "reject *"]);
        let keys = tor.controller().onion_client_auths().unwrap();
        assert_eq!(keys.iter().map(|key| key.service).collect::<Vec<_>>(), [address]);
        assert_eq!(tor.process().unwrap().data_directory(), directory);
        let SupervisorStatus::Up { unrestored, .. } = supervisor.status() else { panic!() };
        assert!(unrestored.is_empty(), "{unrestored:?}");

        assert_eq!(dump(&tor, &typed_received), "SIGNAL DUMP");
        assert_eq!(text_received.recv_timeout(LIMIT).unwrap(), "SIGNAL DUMP");
        if round > 0 {
            let marker = all.recv_timeout(LIMIT).unwrap();
            assert!(marker.starts_with("(connected again after "), "{marker}");
            gaps_received.recv_timeout(LIMIT).unwrap();
            let marker = queue.recv_timeout(LIMIT).unwrap();
            assert!(matches!(marker, Event::Reconnected { .. }), "{marker}");
        }
        assert_eq!(all.recv_timeout(LIMIT).unwrap(), "SIGNAL DUMP");
        assert_eq!(queue.recv_timeout(LIMIT).unwrap().to_string(), "SIGNAL DUMP");
        tor = next_tor(&supervisor);
    }
    // Nothing was delivered twice, and the markers of the last connection are all that is left.
    let marker = all.recv_timeout(LIMIT).unwrap();
    assert!(marker.starts_with("(connected again"), "{marker}");
    assert!(matches!(queue.recv_timeout(LIMIT).unwrap(), Event::Reconnected { .. }));
    gaps_received.recv_timeout(LIMIT).unwrap();
    supervisor.stop();
    assert!(all.is_empty() && typed_received.is_empty() && text_received.is_empty());
    let ended = queue.recv().unwrap_err();
    let Error::Supervisor(error) = &ended else { panic!("{ended:?}") };
    assert!(matches!(error.problem(), SupervisorProblem::Stopped), "{ended:?}");
}

#[test]
fn a_removed_listener_a_forgotten_option_and_a_removed_key_do_not_come_back() {
    let supervisor = supervised();
    supervisor.wait_tor(LIMIT).unwrap();
    supervisor.set_conf([("MaxCircuitDirtiness", "300"), ("NewCircuitPeriod", "60")]).unwrap();
    let address = OnionKey::generate().unwrap().address();
    let key = ClientAuthKey::generate().unwrap();
    supervisor.add_onion_client_auth(address, &key).unwrap();
    let (sender, received) = unbounded();
    let removed = sender.clone();
    let id = supervisor
        .add_event_listener(EventKind::Signal, move |_| removed.send("removed").unwrap_or_default())
        .unwrap();
    let queue = supervisor.events([EventKind::Signal]).unwrap();
    let (stays, stays_received) = unbounded();
    supervisor
        .add_text_listener(EventKind::Signal, move |event| drop(stays.send(event.to_string())))
        .unwrap();

    supervisor.remove_event_listener(id).unwrap();
    assert!(supervisor.remove_event_listener(id).is_err());
    drop(queue);
    assert_eq!(supervisor.forget_conf(["maxcircuitdirtiness", "Nickname"]).unwrap(), 1);
    assert!(supervisor.remove_onion_client_auth(address).unwrap());
    assert!(!supervisor.remove_onion_client_auth(address).unwrap());

    let tor = next_tor(&supervisor);
    assert_eq!(value(&tor, "MaxCircuitDirtiness"), ["600"]);
    assert_eq!(value(&tor, "NewCircuitPeriod"), ["60"]);
    assert!(tor.controller().onion_client_auths().unwrap().is_empty());
    dump(&tor, &stays_received);
    assert_eq!(received.try_recv().ok(), None);
    drop(sender);
}

#[test]
fn a_part_that_tor_refuses_is_named_and_does_not_stop_the_others() {
    let supervisor =
        options().check_interval(Duration::from_millis(50)).launch(launcher()).unwrap();
    supervisor.set_conf([("NoSuchOption", "1")]).unwrap();
    supervisor.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
    let id = supervisor.add_event_listener(EventKind::from("NO_SUCH_EVENT"), |_| {}).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    assert_eq!(value(&tor, "MaxCircuitDirtiness"), ["300"]);
    let SupervisorStatus::Up { unrestored, .. } = supervisor.status() else { panic!() };
    let parts: Vec<_> = unrestored.iter().map(|part| part.part.clone()).collect();
    assert_eq!(
        parts,
        [
            SupervisedPart::Option("NoSuchOption".into()),
            SupervisedPart::Events([EventKind::from("NO_SUCH_EVENT")].into()),
        ]
    );
    for part in &*unrestored {
        assert_eq!(part.error.status_code(), Some(552), "{part}");
    }
    // They are gone from the status when the program takes them back.
    supervisor.forget_conf(["NoSuchOption"]).unwrap();
    supervisor.remove_event_listener(id).unwrap();
    let is_whole = |status: &SupervisorStatus| matches!(status, SupervisorStatus::Up { unrestored, .. } if unrestored.is_empty());
    supervisor.wait_status(LIMIT, is_whole).unwrap();
    // On a connection the refusal is an error, and nothing is kept.
    let error = supervisor.set_conf([("NoSuchOption", "1")]).unwrap_err();
    assert_eq!(error.status_code(), Some(552), "{error:?}");
    let error =
        supervisor.add_event_listener(EventKind::from("NO_SUCH_EVENT"), |_| {}).unwrap_err();
    assert_eq!(error.status_code(), Some(552), "{error:?}");
    let error = supervisor.set_conf([("HiddenServicePort", "80")]).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    next_tor(&supervisor);
    assert!(is_whole(&supervisor.status()));
}

#[test]
fn an_option_that_others_change_is_set_again() {
    let supervisor = supervised();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    supervisor.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
    let other = torcon::connect(tor.controller().endpoint().clone()).unwrap();
    let changes = other.events([EventKind::ConfChanged]).unwrap();
    let set_by_other = || other.set_conf([("MaxCircuitDirtiness", "400")]).unwrap();
    let reload = || kill(pid(&tor), SystemSignal::SIGHUP).unwrap();
    let actions: [(&dyn Fn(), &str); 2] = [(&set_by_other, "400"), (&reload, "600")];
    for (change, changed) in actions {
        change();
        for wanted in [changed, "300"] {
            loop {
                let Event::ConfChanged(event) = changes.recv_timeout(LIMIT).unwrap() else {
                    panic!()
                };
                let mut named =
                    event.changes().filter(|change| change.name == "MaxCircuitDirtiness");
                let Some(change) = named.next() else { continue };
                let value = change.value.map(|value| value.to_string());
                // tor reports a default without its value.
                assert!(value.as_deref().is_none_or(|value| value == wanted), "{event}");
                break;
            }
        }
    }
    let SupervisorStatus::Up { generation: 1, unrestored, .. } = supervisor.status() else {
        panic!("{:?}", supervisor.status())
    };
    assert!(unrestored.is_empty(), "{unrestored:?}");
}

#[test]
fn an_option_that_others_change_is_only_reported_if_so_chosen() {
    let options = options().if_option_changed(IfChanged::Report);
    let supervisor = options.launch(launcher()).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    supervisor.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
    let other = torcon::connect(tor.controller().endpoint().clone()).unwrap();
    other.set_conf([("MaxCircuitDirtiness", "400")]).unwrap();
    let is_told = |status: &SupervisorStatus| matches!(status, SupervisorStatus::Up { unrestored, .. } if !unrestored.is_empty());
    let status = supervisor.wait_status(LIMIT, is_told).unwrap();
    let text = "up, connection 1; the option MaxCircuitDirtiness could not be restored: another \
                controller changed the option, or tor reloaded its configuration";
    assert_eq!(status.to_string(), text);
    assert_eq!(value(&tor, "MaxCircuitDirtiness"), ["400"]);
    other.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
    supervisor.wait_status(LIMIT, |status| !is_told(status)).unwrap();
    // The next tor gets it all the same.
    other.set_conf([("MaxCircuitDirtiness", "400")]).unwrap();
    supervisor.wait_status(LIMIT, is_told).unwrap();
    drop(other);
    assert_eq!(value(&next_tor(&supervisor), "MaxCircuitDirtiness"), ["300"]);
}

#[test]
fn a_call_is_repeated_only_if_the_caller_says_so() {
    let supervisor = supervised();
    let mut calls = 0;
    let outcome = supervisor.with_tor(LIMIT, |tor| {
        calls += 1;
        kill(pid(tor), SystemSignal::SIGKILL).unwrap();
        tor.controller().wait_closed(LIMIT).unwrap();
        tor.controller().get_info_one("version")
    });
    assert!(outcome.as_ref().is_err_and(Error::is_closed), "{outcome:?}");
    assert_eq!(calls, 1);
    let mut calls = 0;
    let outcome = supervisor.repeat_with_tor(LIMIT, |tor| {
        calls += 1;
        if calls < 3 {
            kill(pid(tor), SystemSignal::SIGKILL).unwrap();
            tor.controller().wait_closed(LIMIT).unwrap();
        }
        tor.controller().get_info_one("version")
    });
    outcome.unwrap();
    assert_eq!(calls, 3);
    // A refusal has nothing to do with the connection.
    let mut calls = 0;
    let outcome = supervisor.repeat_with_tor(LIMIT, |tor| {
        calls += 1;
        tor.controller().get_info_one("nonsense")
    });
    assert_eq!((outcome.unwrap_err().status_code(), calls), (Some(552), 1));
}

#[test]
fn nothing_is_left_of_a_supervisor_that_was_stopped_or_dropped_at_any_moment() {
    exclusive(|| {
        let before = Holdings::now();
        for moment in 0..8 {
            let supervisor = supervised();
            supervisor.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
            let received = statuses(&supervisor);
            let queue = supervisor.events([EventKind::Signal]).unwrap();
            match moment {
                0 => {}
                1 => drop(supervisor.wait_status(LIMIT, |status| {
                    matches!(status, SupervisorStatus::Restoring | SupervisorStatus::Up { .. })
                })),
                _ => {
                    let tor = supervisor.wait_tor(LIMIT).unwrap();
                    if moment % 3 == 0 {
                        kill(pid(&tor), SystemSignal::SIGKILL).unwrap();
                    } else if moment % 3 == 1 {
                        kill(pid(&tor), SystemSignal::SIGSTOP).unwrap();
                    }
                }
            }
            if moment % 2 == 0 {
                supervisor.stop();
                supervisor.stop();
                assert!(supervisor.tor().is_err() && supervisor.wait_tor(LIMIT).is_err());
                assert!(supervisor.set_conf([("MaxCircuitDirtiness", "300")]).is_err());
                assert!(supervisor.on_status(|_| {}).is_err());
            }
            drop(supervisor);
            assert_stopped_is_reported(&received);
            assert!(queue.recv().is_err());
            drop(queue);
        }
        before.assert_restored(LIMIT);
    });
}
