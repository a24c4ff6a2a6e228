use std::time::{Duration, Instant};

use torcon::error::SupervisorProblem;
use torcon::supervisor::{IfChanged, SupervisedPart, SupervisorStatus, UnrestoredPart};
use torcon::{ConnectOptions, Controller, Error, Event, EventKind, Tor};

use super::{LIMIT, connected_with, launcher, options, value};
use crate::support::fake_tor::FakeTor;
use crate::support::watchdog::eventually;

/// Returns another controller of the same tor.
fn another(tor: &Tor) -> Controller {
    torcon::connect(tor.controller().endpoint().clone()).unwrap()
}

#[test]
fn a_refused_or_renamed_option_does_not_keep_another_from_being_set_again() {
    // tor calls the second one ConnLimit.
    for beside in [("NoSuchOption", "1"), ("MaxConn", "1000")] {
        let options = options().check_interval(Duration::from_millis(200));
        let supervisor = options.launch(launcher()).unwrap();
        supervisor.set_conf([beside]).unwrap();
        supervisor.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
        let tor = supervisor.wait_tor(LIMIT).unwrap();
        assert_eq!(value(&tor, "MaxCircuitDirtiness"), ["300"]);
        let change = [("MaxCircuitDirtiness", "400")];
        another(&tor).set_conf(change).unwrap();
        eventually(LIMIT, "the option is set again", || {
            value(&tor, "MaxCircuitDirtiness") == ["300"]
        });
    }
}

#[test]
fn the_refusal_of_an_option_stays_in_the_status_when_changes_are_only_reported() {
    let options = options().if_option_changed(IfChanged::Report);
    let supervisor = options.launch(launcher()).unwrap();
    supervisor.set_conf([("NoSuchOption", "1")]).unwrap();
    supervisor.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    another(&tor).set_conf([("MaxCircuitDirtiness", "400")]).unwrap();
    let is_reported = |status: &SupervisorStatus| matches!(status, SupervisorStatus::Up { unrestored, .. } if unrestored.len() == 2);
    let status = supervisor.wait_status(LIMIT, is_reported).unwrap();
    let SupervisorStatus::Up { unrestored, .. } = &status else { panic!("{status}") };
    let reason = |name: &str| {
        let is_it = |part: &&UnrestoredPart| part.part == SupervisedPart::Option(name.into());
        &unrestored.iter().find(is_it).unwrap().error
    };
    assert_eq!(reason("NoSuchOption").status_code(), Some(552), "{status}");
    let Error::Supervisor(changed) = reason("MaxCircuitDirtiness") else { panic!("{status}") };
    assert!(matches!(changed.problem(), SupervisorProblem::Changed), "{status}");
}

#[test]
fn options_that_need_each_other_are_set_together_beside_a_refused_one() {
    let supervisor = options().launch(launcher()).unwrap();
    supervisor.set_conf([("NoSuchOption", "1")]).unwrap();
    let proxy = [
        ("Socks5Proxy", "127.0.0.1:1"),
        ("Socks5ProxyUsername", "user"),
        ("Socks5ProxyPassword", "password"),
    ];
    supervisor.set_conf(proxy).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    let SupervisorStatus::Up { unrestored, .. } = supervisor.status() else { panic!("it is up") };
    let parts: Vec<_> = unrestored.iter().map(|part| part.part.to_string()).collect();
    assert_eq!(parts, ["the option NoSuchOption"]);
    for (option, wanted) in proxy {
        assert_eq!(value(&tor, option), [wanted]);
    }
}

#[test]
fn a_later_call_replaces_an_option_that_was_set_by_a_former_name() {
    let options = options().check_interval(Duration::from_millis(100));
    let supervisor = options.launch(launcher()).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    for settings in
        [[("MaxConn", "1000"), ("ConnLimit", "1100")], [("ConnLimit", "1200"), ("MaxConn", "1300")]]
    {
        for setting in settings {
            supervisor.set_conf(setting).unwrap();
        }
        let changes = another(&tor).events([EventKind::ConfChanged]).unwrap();
        // The other value would be set again within a second.
        assert!(changes.recv_timeout(Duration::from_secs(3)).is_err());
        assert_eq!(value(&tor, "ConnLimit"), [settings[1].1]);
    }
    assert_eq!(supervisor.forget_conf("ConnLimit").unwrap(), 1);
}

#[test]
fn an_option_of_all_onion_services_is_no_option_of_one() {
    let supervisor = options().launch(launcher()).unwrap();
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    supervisor.set_conf(("HiddenServiceStatistics", "0")).unwrap();
    assert_eq!(value(&tor, "HiddenServiceStatistics"), ["0"]);
    for name in ["HiddenServiceDir", "hiddenservice", "HiddenServiceOptions", "HiddenServicePort"] {
        let refused = supervisor.set_conf((name, "1"));
        assert!(matches!(refused, Err(Error::InvalidInput(_))), "{name}: {refused:?}");
    }
}

#[test]
fn two_programs_that_set_an_option_to_different_values_pause_between_their_corrections() {
    let tor = Tor::launch(launcher()).unwrap();
    let events = tor.controller().events([EventKind::ConfChanged]).unwrap();
    let _supervisors = ["300", "400"].map(|value| {
        let endpoint = tor.controller().endpoint().clone();
        let supervisor = options().connect([endpoint], ConnectOptions::new()).unwrap();
        supervisor.wait_tor(LIMIT).unwrap();
        supervisor.set_conf([("MaxCircuitDirtiness", value)]).unwrap();
        supervisor
    });
    let change = || loop {
        let event = events.recv_timeout(LIMIT).unwrap();
        let Event::ConfChanged(event) = &event else { panic!("{event}") };
        if event.changes().any(|change| change.name == "MaxCircuitDirtiness") {
            break;
        }
    };
    // Both have set it once, and each has corrected it once.
    (0..4).for_each(|_| change());
    let begun = Instant::now();
    (0..3).for_each(|_| change());
    // A correction follows the one before it of the same program after a second.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(500), "three corrections in {took:?}");
}

#[test]
fn a_check_interval_of_zero_is_a_tenth_of_a_second() {
    let tor = FakeTor::serving(|_, _| None);
    let options = options().check_interval(Duration::ZERO);
    let supervisor = connected_with(&tor, options, ConnectOptions::new());
    supervisor.set_conf([("NumEntryGuards", "1")]).unwrap();
    let queries = || tor.lines_of(1).iter().filter(|line| line.starts_with("GETCONF")).count();
    let (begun, before) = (Instant::now(), queries());
    eventually(LIMIT, "five checks", || queries() >= before + 5);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(300), "five checks in {took:?}");
}

#[test]
fn an_empty_list_of_options_is_refused() {
    let tor = FakeTor::serving(|_, _| None);
    let supervisor = connected_with(&tor, options(), ConnectOptions::new());
    let none: [(&str, &str); 0] = [];
    let outcome = supervisor.set_conf(none);
    assert!(matches!(outcome, Err(Error::InvalidInput(_))), "{outcome:?}");
}
