//! A tor that dies, is stopped or is shut down while threads wait for it, and commands that are
//! refused before they are sent.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use torcon::names::Signal;
use torcon::{Controller, Disconnect, Error, EventKind};

use super::{controller, refusal};
use crate::support::real_tor::{RealTor, assert_exited};
use crate::support::recording_proxy::RecordingProxy;
use crate::support::signal::signal;
use crate::support::watchdog::within;

const LIMIT: Duration = Duration::from_secs(90);
/// The limit of an operation that does not block, where eight programs share two processors.
const SOON: Duration = Duration::from_secs(20);
const THREADS: usize = 16;

/// Sends a query whose reply names the caller.
fn ask_own(controller: &Controller, thread: usize, number: usize) -> Result<(), Error> {
    let key = format!("torcon-test/{thread}/{number}");
    let error = match number % 3 {
        0 => controller.get_info([&key]).map(|_| ()),
        1 => controller.command(&format!("GETINFO {key}")).map(|_| ()),
        _ => controller.get_info_incremental(&key, |_| std::ops::ControlFlow::Continue(())),
    };
    let error = error.expect_err("there is no such key");
    let Error::Rejected(rejection) = &error else { return Err(error) };
    // Anything else is the reply to another command.
    assert_eq!(rejection.text(), format!("Unrecognized key \"{key}\""));
    Ok(())
}

/// Sends queries on many threads until the connection ends; returns the error of each thread, and
/// its time.
fn ask_until_the_end(controller: &Controller, when_busy: impl FnOnce()) -> Vec<(Error, Instant)> {
    let answered = AtomicUsize::new(0);
    let (busy, is_busy) = signal();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (busy, answered) = (&busy, &answered);
                scope.spawn(move || {
                    for number in 0.. {
                        if let Err(error) = ask_own(controller, thread, number) {
                            return (error, Instant::now());
                        }
                        if answered.fetch_add(1, Ordering::Relaxed) == 200 {
                            busy.fire();
                        }
                    }
                    unreachable!("the connection ends first")
                })
            })
            .collect();
        is_busy.wait();
        when_busy();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A way to end a connection.
type End = fn(&RealTor, &Controller);

// Every caller returns with the same reason at the end of the connection, and waits for no limit.
#[test]
fn whatever_ends_tor_every_thread_gets_the_same_reason_at_once() {
    let ways: [(&str, End); 7] = [
        ("SIGKILL", |tor, _| tor.kill()),
        ("SIGTERM", |tor, _| tor.terminate()),
        ("SIGNAL SHUTDOWN", |tor, _| controller(tor).signal(Signal::Shutdown).unwrap()),
        ("SIGNAL HALT by the controller", |_, controller| controller.signal(Signal::Halt).unwrap()),
        // A second controller owns tor, and closes.
        ("TAKEOWNERSHIP", |tor, _| controller(tor).take_ownership().unwrap()),
        ("quit", |_, controller| controller.quit().unwrap()),
        ("close", |_, controller| controller.close()),
    ];
    for (way, end) in ways {
        let tor = RealTor::start();
        let (errors, ended) = within(LIMIT, way, move || {
            let controller = controller(&tor);
            let (send, receive) = unbounded();
            controller.on_disconnect(move |_| {
                send.send(Instant::now()).ok();
            });
            let errors = ask_until_the_end(&controller, || end(&tor, &controller));
            (errors, receive.recv_timeout(LIMIT).unwrap())
        });
        assert_eq!(errors.len(), THREADS);
        let first = super::chain(&errors[0].0);
        for (error, when) in errors {
            assert!(matches!(error, Error::Closed(_)), "{way}: {error:?}");
            assert_eq!(super::chain(&error), first, "{way}");
            let late = when.saturating_duration_since(ended).max(ended.duration_since(when));
            assert!(late < SOON, "{way}: {late:?}");
        }
    }
}

// At any moment: also while long replies arrive, and while commands are queued.
#[test]
fn a_tor_that_is_killed_in_the_middle_of_replies_leaves_no_caller_waiting() {
    for round in 0..4 {
        let tor = RealTor::builder().without_cookie().start();
        within(LIMIT, "16 threads of a killed tor", move || {
            let controller = controller(&tor);
            let many = vec!["config/names"; 300];
            let (busy, is_busy) = signal();
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (busy, controller, many) = (&busy, &controller, &many);
                    scope.spawn(move || {
                        let error = loop {
                            let outcome = match thread % 4 {
                                0 => controller.get_info(many).map(|_| ()),
                                1 => controller.command_lines(
                                    &format!("GETINFO {}", many.join(" ")),
                                    |_| {
                                        busy.fire();
                                        std::ops::ControlFlow::Continue(())
                                    },
                                ),
                                2 => controller
                                    .queue_command("GETINFO config/names")
                                    .and_then(torcon::PendingReply::wait)
                                    .map(|_| ()),
                                _ => controller.set_conf([("Nickname", "a"), ("Nickname", "b")]),
                            };
                            if let Err(error) = outcome {
                                break error;
                            }
                        };
                        assert!(matches!(error, Error::Closed(_)), "{error:?}");
                    });
                }
                is_busy.wait();
                // A little later in each round.
                thread::sleep(Duration::from_millis(7 * round));
                tor.kill();
            });
        });
    }
}

// A stopped tor: every caller gets Timeout, and after SIGCONT no caller gets the reply to another
// command.
#[test]
fn after_a_tor_was_stopped_and_continued_every_reply_finds_its_owner() {
    let tor = RealTor::start();
    within(LIMIT, "16 threads of a stopped tor", move || {
        let whole = controller(&tor);
        let hasty = whole.with_timeout(Duration::from_millis(40));
        let timeouts = AtomicUsize::new(0);
        let answers = AtomicUsize::new(0);
        let stopping = AtomicBool::new(true);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (whole, hasty, stopping) = (&whole, &hasty, &stopping);
                let (timeouts, answers) = (&timeouts, &answers);
                scope.spawn(move || {
                    let (mut number, mut own_answers) = (0, 0);
                    while stopping.load(Ordering::Relaxed) || number < 50 || own_answers < 32 {
                        // Callers with long limits stand between callers with short limits.
                        let who = if thread % 4 == 0 { whole } else { hasty };
                        match ask_own(who, thread, number) {
                            Ok(()) => {
                                own_answers += 1;
                                answers.fetch_add(1, Ordering::Relaxed)
                            }
                            Err(error) if error.is_timeout() => {
                                timeouts.fetch_add(1, Ordering::Relaxed)
                            }
                            Err(error) => panic!("{error:?}"),
                        };
                        number += 1;
                    }
                });
            }
            for _ in 0..6 {
                tor.stop();
                thread::sleep(Duration::from_millis(120));
                tor.cont();
                thread::sleep(Duration::from_millis(60));
            }
            stopping.store(false, Ordering::Relaxed);
        });
        assert!(timeouts.load(Ordering::Relaxed) > 20, "{timeouts:?}");
        assert!(answers.load(Ordering::Relaxed) > 500, "{answers:?}");
        assert!(whole.is_alive());
        for number in 0..30 {
            ask_own(&whole, 99, number).unwrap();
        }
        assert_eq!(whole.get_info_one("process/pid").unwrap(), tor.pid().to_string());
    });
}

// Callers that wait for a stopped tor that is killed, and callers that write to a tor that does not
// read, get an error.
#[test]
fn callers_of_a_stopped_tor_that_reads_no_more_commands_return() {
    let tor = RealTor::start();
    within(LIMIT, "commands to a stopped tor", move || {
        let patient = controller(&tor);
        patient.get_info_one("version").unwrap();
        let controller = patient.with_timeout(Duration::from_millis(200));
        tor.stop();
        let comment = "x".repeat(200_000);
        let begun = Instant::now();
        // Its socket buffers some commands, and then no more.
        for _ in 0..8 {
            let error = controller.set_conf([("ContactInfo", &comment)]).unwrap_err();
            assert!(error.is_timeout() || error.is_closed(), "{error:?}");
        }
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        tor.kill();
        let reason = controller.wait_closed(LIMIT).unwrap();
        assert!(!reason.is_clean(), "{reason:?}");
        assert!(controller.get_info_one("version").unwrap_err().is_closed());
    });
}

// Issue: 16 threads with 500 commands each on one connection during an event flood.
#[test]
fn sixteen_threads_send_five_hundred_queries_each_in_a_flood_of_events() {
    let tor = RealTor::start();
    within(LIMIT, "16 threads in a flood", move || {
        let controller = controller(&tor);
        let (send, receive) = unbounded();
        // tor writes a line at this level for each command, or for some that arrive together.
        controller
            .add_text_listener(EventKind::Debug, move |text| {
                send.send(text.as_bytes().len()).ok();
            })
            .unwrap();
        let changes = controller.events([EventKind::ConfChanged]).unwrap();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let controller = &controller;
                scope.spawn(move || {
                    for number in 0..500 {
                        if number % 100 == 7 {
                            let name = format!("t{thread}n{number}");
                            controller.set_conf([("Nickname", name)]).unwrap();
                        } else {
                            ask_own(controller, thread, number).unwrap();
                        }
                    }
                });
            }
        });
        controller.signal(Signal::Heartbeat).unwrap();
        let told: Vec<_> =
            changes.timeout_iter(LIMIT).take(5 * THREADS).map(|event| event.to_string()).collect();
        // Every change of each thread was reported once, and in order.
        for thread in 0..THREADS {
            let prefix = format!("CONF_CHANGED\nNickname=t{thread}n");
            let own: Vec<_> = told.iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
            assert_eq!(own, ["7", "107", "207", "307", "407"]);
        }
        let flood = receive.try_iter().count();
        assert!(flood > 100 * THREADS, "only {flood} events");
    });
}

// Protocol facts 5.5: commands that tor never answers, answers twice or dies of.
#[test]
fn commands_that_tor_does_not_answer_once_or_dies_of_are_not_sent() {
    let tor = RealTor::start();
    let tap = RecordingProxy::before(tor.address());
    let controller = torcon::connect(tap.endpoint()).unwrap();
    let sent = tap.sent().len();
    let id = "a".repeat(56);
    for (command, keyword, problem) in [
        ("SETCIRCUITPURPOSE".to_owned(), "SETCIRCUITPURPOSE", "needs a circuit"),
        ("setcircuitpurpose  ".to_owned(), "SETCIRCUITPURPOSE", "needs a circuit"),
        (
            "ADD_ONION NEW:BEST Port=80 ClientAuth=bob".to_owned(),
            "ADD_ONION",
            "has ClientAuth=, which tor never answers: use ClientAuthV3=",
        ),
        (
            "add_onion NEW:BEST clientauth=bob Port=80".to_owned(),
            "ADD_ONION",
            "has ClientAuth=, which tor never answers: use ClientAuthV3=",
        ),
        (
            format!("ONION_CLIENT_AUTH_ADD {id} x25519:AAAA ClientName=seventeen-letters"),
            "ONION_CLIENT_AUTH_ADD",
            "has a ClientName of over 16 characters, which tor answers twice",
        ),
        (
            "GETINFO version downloads/desc/descs".to_owned(),
            "GETINFO",
            "queries downloads/desc/descs, which makes some versions of tor abort",
        ),
        ("+HSPOST".to_owned(), "command", "begins with \"+\": commands with data have methods"),
        (
            "+GETINFO version".to_owned(),
            "command",
            "begins with \"+\": commands with data have methods",
        ),
        ("GETCONF a\rb".to_owned(), "command", "contains a carriage return"),
    ] {
        let expected = format!("invalid argument \"{keyword}\": {problem}");
        assert_eq!(refusal(controller.command(&command)), expected, "{command}");
        assert_eq!(refusal(controller.queue_command(&command)), expected, "{command}");
        let lines = controller.command_lines(&command, |_| panic!("nothing is sent"));
        assert_eq!(refusal(lines), expected, "{command}");
    }
    assert_eq!(tap.sent().len(), sent);
    assert_eq!(
        refusal(controller.get_info(["downloads/desc/descs"])),
        "invalid argument \"key\": makes some versions of tor abort"
    );
    // Similar commands are sent, and tor survives them.
    for (command, code) in [
        ("SETCIRCUITPURPOSE 1".to_owned(), 552),
        ("ADD_ONION NEW:BEST ClientAuthV3=x Port=80".to_owned(), 512),
        (format!("ONION_CLIENT_AUTH_ADD {id} x25519:AAAA ClientName=sixteen-letters-"), 512),
        ("HSFETCH abc".to_owned(), 513),
    ] {
        let error = controller.command(&command).unwrap_err();
        assert_eq!(error.status_code(), Some(code), "{command}: {error}");
    }
    assert_eq!(controller.get_info_one("process/pid").unwrap(), tor.pid().to_string());
    assert_eq!(tor.try_wait(), None);
}

// tor refuses every command that it does not know, and the next command gets its own reply.
#[test]
fn a_connection_is_in_step_after_every_command_that_tor_has() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let words = [
        "",
        "a",
        "1",
        "1 2",
        "0",
        "NEW:BEST Port=80",
        "a=b",
        "\"a b\"",
        "\"",
        "a=\"b",
        "version",
        "\u{e9}",
        "{}",
        "purpose=x",
        "a b c d e f g",
        "$0",
        "127.0.0.1=x.example",
        "\\",
        "=",
        "==",
    ];
    let keywords = [
        "ADD_ONION",
        "ATTACHSTREAM",
        "CLOSECIRCUIT",
        "CLOSESTREAM",
        "DEL_ONION",
        "DROPGUARDS",
        "DROPTIMEOUTS",
        "EXTENDCIRCUIT",
        "GETCONF",
        "GETINFO",
        "HSFETCH",
        "HSPOST",
        "LOADCONF",
        "MAPADDRESS",
        "ONION_CLIENT_AUTH_ADD",
        "ONION_CLIENT_AUTH_REMOVE",
        "ONION_CLIENT_AUTH_VIEW",
        "POSTDESCRIPTOR",
        "PROTOCOLINFO",
        "REDIRECTSTREAM",
        "RESETCONF",
        "RESOLVE",
        "SETCIRCUITPURPOSE",
        "SETCONF",
        "SETEVENTS",
        "SETROUTERPURPOSE",
        "USEFEATURE",
        "NOSUCH",
    ];
    let (mut taken, mut refused, mut kept_back) = (0, 0, 0);
    for keyword in keywords {
        for word in words {
            let command = format!("{keyword} {word}");
            match controller.command(command.trim_end()) {
                Ok(_) => taken += 1,
                Err(Error::Rejected(rejection)) => {
                    assert_eq!(rejection.command(), keyword);
                    refused += 1;
                }
                Err(Error::InvalidInput(_)) => kept_back += 1,
                Err(other) => panic!("{command:?}: {other:?}"),
            }
            ask_own(&controller, 0, taken + refused).unwrap();
        }
    }
    assert!(taken > 30 && refused > 300 && kept_back > 0, "{taken} {refused} {kept_back}");
    assert_eq!(tor.try_wait(), None);
}

// A tor that dies of a command ends the connection: this is not a refusal.
#[test]
fn a_tor_that_dies_of_a_command_is_distinguished_from_a_refusal() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    // No directory can be created there, which torcon cannot know before.
    let settings = [("HiddenServiceDir", "/proc/torcon-test"), ("HiddenServicePort", "80")];
    let error = controller.set_conf(settings).unwrap_err();
    assert_eq!(super::chain(&error), "the control connection is closed: tor closed the connection");
    assert!(matches!(controller.closed_reason(), Some(Disconnect::EndOfStream)));
    assert_exited(1, tor.wait(LIMIT));
}

/// Fills the socket of a stopped tor with small commands.
fn fill(controller: &Controller) {
    let hasty = controller.with_timeout(Duration::from_millis(20));
    while hasty.queue_command("GETINFO version").is_ok() {}
    assert!(controller.is_alive());
}

// A probe that did not fit into the full socket was sent only with the next command; without one, a
// waiting caller never received its reply.
#[test]
fn a_full_socket_does_not_keep_replies_from_waiting_callers() {
    let tor = RealTor::start();
    within(LIMIT, "a patient caller", move || {
        let controller = controller(&tor).with_timeout(SOON);
        tor.stop();
        let hasty = controller.queue_command("GETINFO uptime").unwrap();
        let patient = controller.queue_command("GETINFO process/pid").unwrap();
        fill(&controller);
        assert!(hasty.wait_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
        tor.cont();
        let reply = patient.wait().unwrap();
        assert_eq!(reply.lines().next().unwrap().text(), format!("process/pid={}", tor.pid()));
    });
}

// The same while another caller writes.
#[test]
fn a_writer_that_waits_for_room_does_not_keep_replies_from_waiting_callers() {
    let tor = RealTor::start();
    within(LIMIT, "a patient writer", move || {
        let controller = controller(&tor).with_timeout(SOON);
        tor.stop();
        let hasty = controller.queue_command("GETINFO uptime").unwrap();
        fill(&controller);
        thread::scope(|scope| {
            let writer = scope.spawn(|| controller.get_info_one("process/pid"));
            // The test cannot see whether it is writing already.
            thread::sleep(Duration::from_millis(50));
            assert!(hasty.wait_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
            tor.cont();
            assert_eq!(writer.join().unwrap().unwrap(), tor.pid().to_string());
        });
    });
}
