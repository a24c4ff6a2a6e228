//! Default answers, late and cut replies, events, several connections.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use torcon::event::BwEvent;
use torcon::names::{CircuitStatus, NetworkLiveness};
use torcon::supervisor::SupervisorOptions;
use torcon::testkit::{Answer, FakeTor};
use torcon::{ConnectOptions, Error, Event, EventKind, Signal, State};

use super::LIMIT;
use crate::support::watchdog::eventually;

#[test]
fn both_kinds_of_socket_answer_the_queries_of_an_idle_tor() {
    for tor in [FakeTor::start(), FakeTor::builder().tcp().version("0.4.8.14").start()] {
        let controller = tor.controller();
        let version = controller.get_info_one("version").unwrap();
        assert_eq!(version, controller.version().as_str());
        let state = State::new(&controller).unwrap();
        assert!(state.circuits().is_empty() && state.streams().is_empty() && state.is_live());
        assert_eq!(state.snapshot().liveness, Some(NetworkLiveness::Up));
        assert!(state.relays().unwrap().is_empty());
        assert!(controller.quit().is_ok());
        drop((state, controller));
        tor.finish();
    }
}

#[test]
fn a_late_reply_is_that_of_its_command() {
    let tor = FakeTor::start();
    tor.expect("SIGNAL NEWNYM", Answer::refused(551, "late").delay(Duration::from_millis(300)));
    let controller = tor.controller();
    let short = controller.with_timeout(Duration::from_millis(20));
    assert!(short.signal(Signal::Newnym).unwrap_err().is_timeout());
    assert_eq!(controller.get_info_one("version").unwrap(), "0.4.9.11");
    tor.finish();
}

#[test]
fn a_missing_reply_times_out_and_the_connection_goes_on() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", Answer::none());
    let controller = tor.controller();
    let short = controller.with_timeout(Duration::from_millis(20));
    assert!(short.save_conf().unwrap_err().is_timeout());
    // The probe of torcon finds out that a reply is missing.
    assert_eq!(controller.get_info_one("version").unwrap(), "0.4.9.11");
    tor.finish();
}

#[test]
fn a_connection_ends_instead_of_after_or_within_a_reply() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", Answer::close());
    assert!(tor.controller().save_conf().unwrap_err().is_closed());

    tor.expect("SAVECONF", Answer::ok().then_close());
    let controller = tor.controller();
    controller.save_conf().unwrap();
    eventually(LIMIT, "the connection has ended", || !controller.is_alive());

    for bytes in [0, 1, 5, 20] {
        tor.expect("GETINFO uptime", Answer::info("uptime", "12345").cut_after(bytes));
        assert!(tor.controller().get_info_one("uptime").unwrap_err().is_closed(), "{bytes}");
    }

    let controller = tor.controller();
    tor.close_connections();
    assert!(controller.save_conf().unwrap_err().is_closed());
    assert_eq!(tor.connections(), 7);
    tor.finish();
}

#[test]
fn events_arrive_on_each_connection_that_has_subscribed() {
    let tor = FakeTor::start();
    let (first, second, third) = (tor.controller(), tor.controller(), tor.controller());
    let queues = [&first, &second].map(|c| c.events([EventKind::Bw]).unwrap());
    let circuits = third.events([EventKind::Circ, EventKind::ConfChanged]).unwrap();
    tor.send_events(["BW 1 2", "BW 3 4"]);
    for queue in &queues {
        for text in ["BW 1 2", "BW 3 4"] {
            assert_eq!(queue.recv_timeout(LIMIT).unwrap().to_string(), text);
        }
    }
    tor.send_event("CONF_CHANGED\nNickname=a\nContactInfo");
    let event = circuits.recv_timeout(LIMIT).unwrap();
    assert!(matches!(event, Event::ConfChanged(_)), "{event}");
    tor.finish();
}

#[test]
fn events_before_and_after_a_reply_arrive_in_this_order() {
    let tor = FakeTor::start();
    let answer = Answer::ok().then_event("BW 3 4").event_before("BW 1 2");
    tor.expect("SAVECONF", answer);
    let controller = tor.controller();
    let (sender, received) = channel();
    controller.on(move |bw: &BwEvent| sender.send(bw.bytes_read()).unwrap()).unwrap();
    controller.save_conf().unwrap();
    assert_eq!(
        [1, 3],
        [received.recv_timeout(LIMIT).unwrap(), received.recv_timeout(LIMIT).unwrap()]
    );
    drop(controller);
    tor.finish();
}

#[test]
fn the_newest_answer_applies_and_an_expectation_goes_before_it() {
    let tor = FakeTor::start();
    tor.answer("GETINFO uptime", Answer::info("uptime", "1"));
    tor.answer_with(|_, command| {
        (command == "GETINFO uptime").then(|| Answer::info("uptime", "2"))
    });
    tor.answer_with(|_, _| None);
    tor.expect("GETINFO uptime", Answer::info("uptime", "3"));
    let controller = tor.controller();
    let uptimes = [(); 2].map(|()| controller.get_info_one("uptime").unwrap());
    assert_eq!(uptimes, ["3", "2"]);
    tor.finish();
}

#[test]
fn a_state_follows_the_circuits_of_a_fake_tor() {
    let tor = FakeTor::start();
    tor.set_info("circuit-status", "1 LAUNCHED PURPOSE=GENERAL\n2 BUILT PURPOSE=GENERAL");
    let controller = tor.controller();
    let state = State::new(&controller).unwrap();
    assert_eq!(state.circuits().len(), 2);
    tor.send_event("CIRC 1 BUILT PURPOSE=GENERAL");
    controller.get_info_one("version").unwrap();
    let statuses: Vec<_> = state.circuits().iter().map(|circuit| circuit.info().status()).collect();
    assert_eq!(statuses, [CircuitStatus::Built, CircuitStatus::Built]);
    tor.finish();
}

#[test]
fn a_supervisor_connects_again_after_a_lost_connection() {
    let tor = FakeTor::start();
    let options = SupervisorOptions::new().backoff(Duration::ZERO, Duration::ZERO);
    let endpoint = tor.endpoint().to_string();
    let supervisor = options.connect([endpoint.as_str()], ConnectOptions::new()).unwrap();
    let queue = supervisor.events([EventKind::Bw]).unwrap();
    let subscribes = |number| tor.commands_of(number).iter().any(|line| line == "SETEVENTS BW");
    eventually(LIMIT, "it subscribes", || subscribes(1));
    tor.send_event("BW 1 2");
    assert!(matches!(queue.recv_timeout(LIMIT).unwrap(), Event::Bw(_)));
    tor.close_connections();
    assert!(matches!(queue.recv_timeout(LIMIT).unwrap(), Event::Reconnected { .. }));
    eventually(LIMIT, "it subscribes again", || subscribes(2));
    supervisor.stop();
    drop((queue, supervisor));
    tor.finish();
}

#[test]
fn commands_of_many_threads_are_expected_in_any_order() {
    let tor = FakeTor::builder().in_any_order().start();
    for number in 0..64 {
        let key = format!("k/{number}");
        tor.expect(&format!("GETINFO {key}"), Answer::info(&key, &number.to_string()));
    }
    let shared = tor.controller();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let controller = if thread % 2 == 0 { shared.clone() } else { tor.controller() };
            scope.spawn(move || {
                for number in (0..64).filter(|number| number % 8 == thread) {
                    let value = controller.get_info_one(&format!("k/{number}")).unwrap();
                    assert_eq!(value, number.to_string());
                }
            });
        }
    });
    assert_eq!(tor.commands().len(), 64);
    tor.finish();
}

#[test]
fn commands_and_lines_are_recorded() {
    let tor = FakeTor::builder().password("swordfish").start();
    tor.expect("+LOADCONF\nNickname a\n.b", "250 OK");
    let controller = tor.controller();
    controller.load_conf("Nickname a\n.b").unwrap();
    assert_eq!(tor.commands(), ["+LOADCONF\nNickname a\n.b"]);
    let lines = tor.lines();
    assert_eq!(lines[0], "PROTOCOLINFO 1");
    assert!(lines[1].starts_with("AUTHENTICATE "), "{lines:?}");
    assert_eq!(lines[2..], ["+LOADCONF", "Nickname a", "..b", "."]);
    tor.finish();
}

#[test]
fn a_refused_command_has_the_words_of_the_answer() {
    let tor = FakeTor::start();
    tor.expect("SAVECONF", Answer::refused(551, "Unable to write configuration to disk."));
    let error = tor.controller().save_conf().unwrap_err();
    let Error::Rejected(rejection) = &error else { panic!("{error:?}") };
    assert_eq!(rejection.to_string(), error.to_string());
    assert!(error.to_string().contains("Unable to write configuration to disk."), "{error}");
    tor.finish();
}

#[test]
fn a_limit_of_a_test_is_reached_soon() {
    let tor = FakeTor::start();
    tor.answer("SAVECONF", Answer::ok().delay(LIMIT * 10));
    let controller = tor.controller().with_timeout(Duration::from_millis(20));
    assert!(controller.save_conf().unwrap_err().is_timeout());
    let begin = Instant::now();
    // The delay ends with the fake tor.
    tor.finish();
    assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
}
