//! A supervisor and a fake tor: settings that are restored on the next connection or refused.
#![cfg(feature = "testkit")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{IfChanged, REPLY_LIMIT, Supervisor, SupervisorOptions, SupervisorStatus};
use crate::clock::{ManualClock, elapsed_since, now};
use crate::controller::{ConnectOptions, Controller};
use crate::error::{Disconnect, Error, InvalidInput, Result, SupervisorProblem};
use crate::event::{BwEvent, Event, EventKind, EventText};
use crate::link::{Endpoint, EventHook, RawEvent};
use crate::names::{ClientAuthKey, OnionAddress, OnionKey};
use crate::onion::SupervisedService;
use crate::process::{ControlVia, Launcher};
use crate::sync::Mutex;
use crate::sync::channel::{Receiver, unbounded};
use crate::testkit::{Answer, FakeTor};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);
const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
const OPTION: (&str, &str) = ("NumEntryGuards", "1");

/// A call of a supervisor.
type Call = fn(&Supervisor) -> Result<()>;

/// The answers to commands with a word; without one a command is accepted.
type Answers = Arc<Mutex<BTreeMap<&'static str, Answer>>>;

/// Starts a tor that accepts what a supervisor sets, and has none of it.
fn tor() -> (FakeTor, Answers) {
    let tor = FakeTor::start();
    let answers = Answers::default();
    let given = Arc::clone(&answers);
    tor.answer_with(move |_, command| {
        let answers = given.lock();
        if let Some(answer) = command.split(' ').find_map(|word| answers.get(word)) {
            return Some(answer.clone());
        }
        match command.split(' ').next()? {
            "SETCONF" | "ONION_CLIENT_AUTH_ADD" | "ONION_CLIENT_AUTH_REMOVE" => Some(Answer::ok()),
            "ONION_CLIENT_AUTH_VIEW" => {
                Some(Answer::lines(["250-ONION_CLIENT_AUTH_VIEW", "250 OK"]))
            }
            _ => None,
        }
    });
    tor.set_conf(OPTION.0, &[OPTION.1]);
    (tor, answers)
}

fn refused() -> Answer {
    Answer::refused(513, "no")
}

fn options() -> SupervisorOptions {
    SupervisorOptions::new().backoff(Duration::ZERO, Duration::ZERO)
}

fn supervise(tor: &FakeTor, options: SupervisorOptions) -> Supervisor {
    let supervisor = options.connect([tor.endpoint()], ConnectOptions::new()).unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    supervisor
}

/// Returns a supervisor of a tor that no attempt reaches.
fn unconnected() -> Supervisor {
    let endpoint = Endpoint::unix("/nonexistent/control");
    SupervisorOptions::new().connect([endpoint], ConnectOptions::new()).unwrap()
}

/// Waits for the status `up` of a connection. Returns the texts of the parts that are not restored.
#[track_caller]
fn wait_up(
    supervisor: &Supervisor,
    number: u64,
    mut is_wanted: impl FnMut(usize) -> bool,
) -> Vec<String> {
    let is_up = |status: &SupervisorStatus| {
        let SupervisorStatus::Up { generation, unrestored, .. } = status else { return false };
        *generation == number && is_wanted(unrestored.len())
    };
    match supervisor.wait_status(LIMIT, is_up).unwrap() {
        SupervisorStatus::Up { unrestored, .. } => {
            unrestored.iter().map(ToString::to_string).collect()
        }
        other => panic!("{other}"),
    }
}

/// Ends the connection, and waits for the next one, with everything restored.
fn reconnect(tor: &FakeTor, supervisor: &Supervisor, number: u64) {
    tor.close_connections();
    wait_up(supervisor, number, |unrestored| unrestored == 0);
}

/// Returns what was set on a connection.
fn changes(tor: &FakeTor, connection: usize) -> Vec<String> {
    let is_change = |command: &String| {
        ["SETCONF", "SETEVENTS", "ONION_CLIENT_AUTH_ADD", "ONION_CLIENT_AUTH_REMOVE"]
            .iter()
            .any(|keyword| command.starts_with(keyword))
    };
    tor.commands_of(connection).into_iter().filter(is_change).collect()
}

/// Returns the last command with this keyword on a connection.
fn last(tor: &FakeTor, connection: usize, keyword: &str) -> String {
    let mut commands = changes(tor, connection);
    commands.retain(|command| command.starts_with(keyword));
    commands.pop().unwrap_or_default()
}

fn key() -> ClientAuthKey {
    ClientAuthKey::from_bytes([8; 32]).unwrap()
}

fn next(calls: &Receiver<String>) -> String {
    calls.recv_timeout(LIMIT).unwrap()
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.status_code(), Some(513), "{error}");
}

#[test]
fn settings_and_subscriptions_last_over_connections_until_they_are_removed() {
    let (tor, _) = tor();
    let supervisor = supervise(&tor, options());
    let (sender, statuses) = unbounded();
    supervisor
        .on_status(move |status| {
            let text = status.to_string();
            sender.send(text.split(':').next().unwrap_or_default().to_owned()).unwrap();
        })
        .unwrap();
    assert_eq!(next(&statuses), "up, connection 1");
    supervisor.set_conf([OPTION]).unwrap();
    supervisor.add_onion_client_auth(SERVICE, key()).unwrap();
    let (sender, calls) = unbounded();
    let texts = sender.clone();
    let listener = supervisor.on(move |bw: &BwEvent| sender.send(bw.to_string()).unwrap()).unwrap();
    let text = move |text: &EventText| texts.send(format!("text {text}")).unwrap();
    let removed = supervisor.add_text_listener(EventKind::StreamBw, text).unwrap();
    let queue = supervisor.events([EventKind::Circ]).unwrap();
    let (sender, markers) = unbounded();
    supervisor.on_reconnected(move |_| sender.send("marker".to_owned()).unwrap()).unwrap();
    tor.send_event("BW 1 2");
    assert_eq!(next(&calls), "BW 1 2");
    assert!(markers.is_empty());
    // The next tor has nothing of it.
    tor.set_conf(OPTION.0, &[]);
    reconnect(&tor, &supervisor, 2);
    let again = changes(&tor, 2);
    for begin in ["SETCONF NumEntryGuards=1", &format!("ONION_CLIENT_AUTH_ADD {SERVICE} x25519:")] {
        assert!(again.iter().any(|command| command.starts_with(begin)), "{again:?}");
    }
    assert_eq!(next(&markers), "marker");
    assert!(matches!(queue.recv_timeout(LIMIT).unwrap(), Event::Reconnected { .. }));
    tor.send_event("BW 3 4").send_event("CIRC 1 LAUNCHED");
    assert_eq!(next(&calls), "BW 3 4");
    tor.send_event("STREAM_BW 5 6 7 2026-11-26T09:27:52");
    assert_eq!(next(&calls), "text STREAM_BW 5 6 7 2026-11-26T09:27:52");
    assert_eq!(queue.recv_timeout(LIMIT).unwrap().to_string(), "CIRC 1 LAUNCHED");
    let mut status = next(&statuses);
    assert_eq!(status, "connecting, attempt 1");
    while status.starts_with("connecting") {
        status = next(&statuses);
    }
    assert_eq!([status, next(&statuses)], ["restoring", "up, connection 2"]);

    supervisor.remove_event_listener(listener).unwrap();
    supervisor.remove_event_listener(removed).unwrap();
    assert!(matches!(supervisor.remove_event_listener(listener), Err(Error::InvalidInput(_))));
    drop(queue);
    // A queue is dropped without waiting for tor.
    let is_over = || last(&tor, 2, "SETEVENTS") == "SETEVENTS CONF_CHANGED SIGNAL";
    let begin = Instant::now();
    while !is_over() {
        assert!(begin.elapsed() < LIMIT, "{:?}", changes(&tor, 2));
        thread::yield_now();
    }
    assert_eq!(supervisor.forget_conf(["numentryguards", "NumCPUs"]).unwrap(), 1);
    assert_eq!(supervisor.forget_conf([OPTION.0]).unwrap(), 0);
    assert!(supervisor.remove_onion_client_auth(SERVICE).unwrap());
    let removal = last(&tor, 2, "ONION_CLIENT_AUTH_REMOVE");
    assert_eq!(removal, format!("ONION_CLIENT_AUTH_REMOVE {SERVICE}"));
    assert!(!supervisor.remove_onion_client_auth(SERVICE).unwrap());
    reconnect(&tor, &supervisor, 3);
    assert_eq!(changes(&tor, 3), [""; 0]);
}

#[test]
fn a_part_that_tor_refuses_is_named_and_tried_again_on_the_same_connection() {
    let (tor, answers) = tor();
    let supervisor = supervise(&tor, options().check_interval(Duration::ZERO));
    supervisor.set_conf([OPTION]).unwrap();
    supervisor.add_onion_client_auth(SERVICE, key()).unwrap();
    supervisor.on(|_: &BwEvent| {}).unwrap();
    let state = supervisor.state().unwrap();
    tor.set_conf(OPTION.0, &[]);
    for word in ["SETCONF", "BW", "ONION_CLIENT_AUTH_ADD"] {
        answers.lock().insert(word, refused());
    }
    tor.set_info("circuit-status", "7 BUILT PURPOSE=GENERAL TIME_CREATED=2026-11-26T09:27:52");
    tor.close_connections();
    let mut parts = wait_up(&supervisor, 2, |unrestored| unrestored == 3);
    parts.sort();
    // The other parts are restored.
    assert_eq!(state.circuits().len(), 1);
    let begins = [
        format!("the client authorization key for {SERVICE}.onion could not be restored: "),
        "the option NumEntryGuards could not be restored: ".to_owned(),
        "the subscription to BW could not be restored: ".to_owned(),
    ];
    for (part, begin) in parts.iter().zip(&begins) {
        assert!(part.starts_with(&**begin) && part.contains("513"), "{part}");
    }
    answers.lock().clear();
    tor.set_conf(OPTION.0, &[OPTION.1]);
    assert_eq!(wait_up(&supervisor, 2, |unrestored| unrestored == 0), [""; 0]);
    tor.send_event("BW 1 2");
}

#[test]
fn a_launcher_without_a_control_connection_is_refused_and_a_missing_program_ends_the_attempts() {
    let launcher = || Launcher::new().program("/nonexistent/tor");
    let supervisor = options().launch(launcher()).unwrap();
    let status = supervisor.wait_status(LIMIT, SupervisorStatus::is_final).unwrap();
    let SupervisorStatus::GivenUp(Error::Supervisor(error)) = &status else { panic!("{status}") };
    assert!(matches!(error.problem(), SupervisorProblem::Permanent(Error::Launch(_))), "{status}");
    let outcome = options().launch(launcher().control(ControlVia::None));
    assert!(matches!(outcome, Err(Error::InvalidInput(_))));
}

#[test]
fn a_tor_that_does_not_answer_a_restore_is_left_for_another_connection() {
    // The subscription of a listener, and the questions of a state.
    for word in ["BW", "circuit-status"] {
        let (tor, answers) = tor();
        let mut options = options();
        options.restore_limit = Duration::from_millis(300);
        let supervisor = supervise(&tor, options);
        supervisor.on(|_: &BwEvent| {}).unwrap();
        let _state = supervisor.state().unwrap();
        answers.lock().insert(word, Answer::none());
        tor.close_connections();
        let is_left = |status: &SupervisorStatus| {
            let SupervisorStatus::Connecting { last_error, .. } = status else { return false };
            matches!(last_error, Some(Error::Timeout(_)))
        };
        supervisor.wait_status(LIMIT, is_left).unwrap();
        answers.lock().clear();
        let is_restored = |status: &SupervisorStatus| {
            let SupervisorStatus::Up { unrestored, .. } = status else { return false };
            unrestored.is_empty()
        };
        supervisor.wait_status(LIMIT, is_restored).unwrap();
    }
}

#[test]
fn an_option_that_others_change_is_set_again_or_reported() {
    for reaction in [IfChanged::SetAgain, IfChanged::Report] {
        let (tor, _) = tor();
        let supervisor = supervise(&tor, options().if_option_changed(reaction));
        supervisor.set_conf([OPTION]).unwrap();
        tor.set_conf(OPTION.0, &["3"]);
        let before = changes(&tor, 1).len();
        if reaction == IfChanged::SetAgain {
            tor.expect("SETCONF NumEntryGuards=1", "250 OK");
        }
        tor.send_event("CONF_CHANGED\nNumEntryGuards=3");
        match reaction {
            IfChanged::SetAgain => drop(tor.wait_expected()),
            IfChanged::Report => {
                let parts = wait_up(&supervisor, 1, |unrestored| unrestored == 1);
                assert!(parts[0].starts_with("the option NumEntryGuards "), "{parts:?}");
                assert_eq!(changes(&tor, 1).len(), before);
                // Forgotten, it is not reported any more.
                supervisor.forget_conf([OPTION.0]).unwrap();
                wait_up(&supervisor, 1, |unrestored| unrestored == 0);
            }
        }
    }
}

#[test]
fn a_refusal_is_an_error_and_is_not_tried_on_the_next_connection() {
    let (tor, answers) = tor();
    let supervisor = supervise(&tor, options());
    for command in ["SETCONF", "ONION_CLIENT_AUTH_ADD"] {
        answers.lock().insert(command, refused());
    }
    assert_refused(supervisor.set_conf([OPTION]));
    assert_refused(supervisor.add_onion_client_auth(SERVICE, key()));
    answers.lock().insert("SETEVENTS", refused());
    assert_refused(supervisor.on(|_: &BwEvent| {}));
    assert_refused(supervisor.events([EventKind::Circ]));
    answers.lock().clear();
    reconnect(&tor, &supervisor, 2);
    assert_eq!(changes(&tor, 2), [""; 0]);
    // A refused removal.
    supervisor.add_onion_client_auth(SERVICE, key()).unwrap();
    answers.lock().insert("ONION_CLIENT_AUTH_REMOVE", refused());
    assert_refused(supervisor.remove_onion_client_auth(SERVICE));
    assert!(!supervisor.remove_onion_client_auth(SERVICE).unwrap());
}

#[test]
fn a_setting_during_the_end_of_a_connection_applies_to_the_next_one() {
    let calls: [(&str, Call, &str); 4] = [
        ("SETCONF", |supervisor| supervisor.set_conf([OPTION]), "SETCONF NumEntryGuards=1"),
        (
            "ONION_CLIENT_AUTH_ADD",
            |supervisor| supervisor.add_onion_client_auth(SERVICE, key()),
            "ONION_CLIENT_AUTH_ADD",
        ),
        ("BW", |supervisor| supervisor.on(|_: &BwEvent| {}).map(drop), "SETEVENTS BW"),
        (
            "ONION_CLIENT_AUTH_REMOVE",
            |supervisor| {
                supervisor.add_onion_client_auth(SERVICE, key())?;
                assert!(supervisor.remove_onion_client_auth(SERVICE)?);
                supervisor.set_conf([OPTION])
            },
            "SETCONF NumEntryGuards=1",
        ),
    ];
    for (command, call, again) in calls {
        let (tor, answers) = tor();
        let supervisor = supervise(&tor, options());
        tor.set_conf(OPTION.0, &[]);
        answers.lock().insert(command, Answer::close());
        // The supervisor stays without a connection until the answers are others.
        answers.lock().insert("SETCONF", Answer::close());
        call(&supervisor).unwrap();
        answers.lock().clear();
        wait_connection(&tor, &supervisor, again);
    }
}

/// Waits until a connection that is up has got a command.
#[track_caller]
fn wait_connection(tor: &FakeTor, supervisor: &Supervisor, begin: &str) {
    let has_command = |status: &SupervisorStatus| {
        let SupervisorStatus::Up { generation, .. } = status else { return false };
        let connection = usize::try_from(*generation).unwrap();
        changes(tor, connection).iter().any(|command| command.starts_with(begin))
            && supervisor.tor().is_ok()
    };
    supervisor.wait_status(LIMIT, has_command).unwrap();
}

#[test]
fn settings_without_a_connection_are_kept_and_after_the_end_refused() {
    let supervisor = unconnected();
    let setups: [Call; 7] = [
        |supervisor| supervisor.set_conf([OPTION]),
        |supervisor| supervisor.add_onion_client_auth(SERVICE, key()),
        |supervisor| supervisor.on(|_: &BwEvent| {}).map(drop),
        |supervisor| supervisor.events([EventKind::Bw]).map(drop),
        |supervisor| supervisor.on_status(|_| {}).map(drop),
        |supervisor| supervisor.on_lagged(|_| {}).map(drop),
        |supervisor| supervisor.on_reconnected(|_| {}).map(drop),
    ];
    for setup in setups {
        setup(&supervisor).unwrap();
    }
    assert!(supervisor.remove_onion_client_auth(SERVICE).unwrap());
    assert_eq!(supervisor.forget_conf([OPTION.0]).unwrap(), 1);
    assert!(supervisor.tor().is_err() && supervisor.state().is_err());
    let none: [EventKind; 0] = [];
    assert!(matches!(supervisor.events(none), Err(Error::InvalidInput(_))));
    let service = supervisor.set_conf([("hiddenServiceDir", "/x")]);
    assert!(matches!(service, Err(Error::InvalidInput(_))));
    let held = Arc::new(());
    let is_held = Arc::downgrade(&held);
    supervisor.on_lagged(move |_| drop(Arc::clone(&held))).unwrap();
    let queue = supervisor.events([EventKind::Bw]).unwrap();
    supervisor.stop();
    let stopped = super::shared::stopped().to_string();
    assert!(matches!(supervisor.status(), SupervisorStatus::Stopped));
    assert!(is_held.upgrade().is_none());
    assert_eq!(queue.recv_timeout(LIMIT).unwrap_err().to_string(), stopped);
    for setup in setups {
        assert_eq!(setup(&supervisor).unwrap_err().to_string(), stopped);
    }
    let rest: [Call; 3] = [
        |supervisor| supervisor.remove_onion_client_auth(SERVICE).map(drop),
        |supervisor| supervisor.forget_conf([OPTION.0]).map(drop),
        |supervisor| supervisor.state().map(drop),
    ];
    for call in rest {
        assert_eq!(call(&supervisor).unwrap_err().to_string(), stopped);
    }
}

#[test]
fn a_call_is_repeated_after_the_end_of_its_connection_within_its_limit_and_not_otherwise() {
    let (tor, _) = tor();
    let supervisor = supervise(&tor, options());
    let ended = || Error::Closed(Disconnect::EndOfStream);
    let mut calls = 0;
    let outcome = supervisor.repeat_with_tor(LIMIT, |found| {
        calls += 1;
        if calls == 1 {
            tor.close_connections();
            found.controller().wait_closed(LIMIT)?;
            return Err(ended());
        }
        Ok(calls)
    });
    assert_eq!(outcome.unwrap(), 2);
    // The connection has not ended.
    calls = 0;
    let outcome: Result<()> = supervisor.repeat_with_tor(LIMIT, |_| {
        calls += 1;
        Err(ended())
    });
    assert!(outcome.unwrap_err().is_closed() && calls == 1);
    // The error is that of the call.
    let outcome: Result<()> = supervisor.repeat_with_tor(LIMIT, |found| {
        calls += 1;
        tor.close_connections();
        found.controller().wait_closed(LIMIT)?;
        Err(InvalidInput::new("name", "is unknown").into())
    });
    assert!(matches!(outcome, Err(Error::InvalidInput(_))) && calls == 2);
    wait_up(&supervisor, 3, |_| true);
    let outcome: Result<()> = supervisor.repeat_with_tor(Duration::ZERO, |found| {
        calls += 1;
        tor.close_connections();
        found.controller().wait_closed(LIMIT)?;
        Err(ended())
    });
    assert!(outcome.unwrap_err().is_closed() && calls == 3, "the limit has passed");
}

/// A service that is restored as the test says.
struct Service {
    number: u8,
    outcomes: Mutex<Vec<Result<bool>>>,
    restored: Mutex<usize>,
}

impl SupervisedService for Service {
    fn address(&self) -> OnionAddress {
        OnionKey::from_seed([self.number; 32]).address()
    }

    fn restore(&self, _: &Controller) -> Result<bool> {
        *self.restored.lock() += 1;
        self.outcomes.lock().pop().unwrap_or(Ok(true))
    }

    fn end(&self, _: &Error) {}

    fn is_over(&self) -> bool {
        false
    }
}

#[test]
fn services_are_restored_once_on_a_connection_and_those_that_are_refused_again() {
    let (tor, _) = tor();
    let supervisor = supervise(&tor, options().check_interval(Duration::ZERO));
    let refusal = || InvalidInput::new("service", "is refused").into();
    let outcomes = [
        vec![Ok(true)],
        vec![Ok(false)],
        // The last one is the first outcome.
        vec![Ok(true), Err(refusal()), Err(refusal())],
    ];
    let services: Vec<_> = (1..)
        .zip(outcomes)
        .map(|(number, outcomes)| {
            Arc::new(Service { number, outcomes: Mutex::new(outcomes), restored: Mutex::default() })
        })
        .collect();
    for service in &services {
        supervisor.shared.add_service(service.clone(), 1);
    }
    tor.close_connections();
    let parts = wait_up(&supervisor, 2, |unrestored| unrestored == 1);
    let expected = format!("the onion service {} could not be restored: ", services[2].address());
    assert!(parts[0].starts_with(&expected), "{parts:?}");
    wait_up(&supervisor, 2, |unrestored| unrestored == 0);
    let restored = || services.iter().map(|service| *service.restored.lock()).collect::<Vec<_>>();
    assert_eq!(restored(), [1, 1, 3]);
    assert_eq!(Arc::strong_count(&services[1]), 1, "it was closed, and is forgotten");
    // The end of the connection during a restore ends that restore.
    *services[0].outcomes.lock() = vec![Ok(true), Err(Error::Closed(Disconnect::EndOfStream))];
    tor.close_connections();
    wait_up(&supervisor, 4, |unrestored| unrestored == 0);
    assert_eq!(restored(), [3, 1, 5]);
}

/// A hook that stops a clock at the end of the connection.
struct StopClock(Arc<ManualClock>);

impl EventHook for StopClock {
    fn event(&self, _: &RawEvent<'_>) {}

    fn ended(&self, _: &Disconnect) {
        self.0.tick_by(Duration::ZERO);
    }
}

#[test]
fn the_end_of_a_supervisor_whose_tor_does_not_answer_closes_the_connection_after_its_limit() {
    let (tor, _) = tor();
    let mut options = options();
    // Nothing else ends the check.
    options.restore_limit = 2 * LIMIT;
    let supervisor = supervise(&tor, options);
    supervisor.set_conf([OPTION]).unwrap();
    let controller = supervisor.tor().unwrap().controller().clone();
    tor.expect(&format!("GETCONF {}", OPTION.0), Answer::none());
    tor.send_event("CONF_CHANGED\nNumEntryGuards=3").wait_expected();
    let clock = Arc::new(ManualClock::start());
    clock.tick_by(Duration::from_secs(1));
    let _hook = controller.watch_end(Arc::new(StopClock(Arc::clone(&clock))));
    let (start, begin) = (now(), Instant::now());
    supervisor.stop();
    assert!(begin.elapsed() < LIMIT && elapsed_since(start) >= REPLY_LIMIT);
    assert!(matches!(supervisor.status(), SupervisorStatus::Stopped));
    assert!(supervisor.thread.lock().is_none());
}
