use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use torcon::error::CircuitProblem;
use torcon::names::{CircuitId, CircuitPurpose, CircuitReason, Fingerprint, RelaySpec};
use torcon::state::{Attach, Path, State};
use torcon::{Controller, Error};

use super::{followed, send_event};
use crate::scripted::{LIMIT, answer};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::leaks::{Holdings, threads};
use crate::support::log_capture::LogCapture;
use crate::support::script::Script;
use crate::support::watchdog::eventually;

pub(super) const OPTION: &str = "__LeaveStreamsUnattached";

fn relay(byte: u8) -> Fingerprint {
    Fingerprint::from([byte; 20])
}

#[test]
fn a_circuit_that_failed_before_the_reply_was_read_is_reported_correctly() {
    let (first, second) = (relay(0xaa), relay(0xbb));
    let command = format!("EXTENDCIRCUIT 0 ${first},${second}");
    let (tor, controller, state) = followed(&[], &[], move |script| {
        // The first event reports the failure, and all events precede the reply.
        script.expect(&command).send_lines(&[
            "250 EXTENDED 7",
            "650 CIRC 7 FAILED PURPOSE=GENERAL REASON=CHANNEL_CLOSED",
        ]);
        script.expect(&command).send_lines(&[
            "650 CIRC 8 LAUNCHED PURPOSE=GENERAL",
            &format!("650 CIRC 8 EXTENDED ${first}~first PURPOSE=GENERAL"),
            &format!(
                "650 CIRC 8 FAILED ${first}~first PURPOSE=GENERAL REASON=DESTROYED \
                 REMOTE_REASON=CONNECTFAILED"
            ),
            "250 EXTENDED 8",
        ]);
        script.expect("SETEVENTS").expect_end();
    });
    for (id, reason, remote, hops) in [
        (7, CircuitReason::ChannelClosed, None, 0),
        (8, CircuitReason::Destroyed, Some(CircuitReason::ConnectFailed), 1),
    ] {
        let circuit = state.build_circuit([first, second]).unwrap();
        assert_eq!(circuit.id(), CircuitId::from(id));
        let Err(Error::Circuit(error)) = circuit.wait_built(LIMIT) else { panic!() };
        let CircuitProblem::Failed(end) = error.problem() else { panic!("{error:?}") };
        assert_eq!((end.reason.as_ref(), &end.remote_reason), (Some(&reason), &remote));
        assert_eq!(end.path.len(), hops);
        let next = [first, second][hops];
        assert_eq!(end.next.as_ref().and_then(RelaySpec::fingerprint), Some(next));
    }
    drop(state);
    drop(controller);
    tor.finish();
}

#[test]
fn a_controller_circuit_along_a_path_of_tor_s_choice_takes_two_commands() {
    let (tor, controller, state) = followed(&[], &[], |script| {
        script
            .answer("EXTENDCIRCUIT 0", &["250 EXTENDED 7", "650 CIRC 7 LAUNCHED PURPOSE=GENERAL"]);
        script.expect("SETCIRCUITPURPOSE 7 purpose=controller").send_lines(&[
            "250 OK",
            "650 CIRC_MINOR 7 PURPOSE_CHANGED PURPOSE=CONTROLLER OLD_PURPOSE=GENERAL",
        ]);
        // tor refuses the purpose: the circuit is abandoned.
        script
            .answer("EXTENDCIRCUIT 0", &["250 EXTENDED 8", "650 CIRC 8 LAUNCHED PURPOSE=GENERAL"]);
        script.answer("SETCIRCUITPURPOSE 8 purpose=testing", &["552 Unknown purpose \"testing\""]);
        script.answer("CLOSECIRCUIT 8", &["250 OK"]);
        script.expect("SETEVENTS").expect_end();
    });
    let circuit = state.build_circuit_for(Path::any(), CircuitPurpose::Controller).unwrap();
    assert_eq!(circuit.purpose(), Some(CircuitPurpose::Controller));
    let error = state.build_circuit_for(Path::any(), CircuitPurpose::Testing).unwrap_err();
    assert_eq!(error.status_code(), Some(552));
    let not_built = circuit.connect_stream("a.example:80").unwrap_err();
    assert_eq!(
        crate::error_text::chain(&not_built),
        "cannot connect to a.example:80 through circuit 7: it is not built, its status is LAUNCHED"
    );
    drop((state, circuit, controller));
    tor.finish();
}

/// Answers with the value of the option, and changes it on command.
pub(super) fn with_option(script: &mut Script) {
    let value = Arc::new(Mutex::new('0'));
    script.serve(move |line, out| {
        if let Some(text) = line.strip_prefix("GETINFO event/") {
            out.extend_from_slice(format!("650 {}\r\n", text.replace('|', " ")).as_bytes());
        } else if line == format!("GETCONF {OPTION}") {
            out.extend_from_slice(format!("250 {OPTION}={}\r\n", value.lock()).as_bytes());
            return;
        } else if let Some(new) = line.strip_prefix(&format!("SETCONF {OPTION}=")) {
            *value.lock() = new.chars().next().unwrap();
            let changed =
                format!("650-CONF_CHANGED\r\n650-{OPTION}={}\r\n650 OK\r\n", value.lock());
            out.extend_from_slice(format!("250 OK\r\n{changed}").as_bytes());
            return;
        }
        answer(line, out);
    });
}

/// The commands about streams, since the state was made.
pub(super) fn about_streams(tor: &FakeTor) -> Vec<String> {
    let keywords = ["SETEVENTS", "GETCONF", "SETCONF", "ATTACHSTREAM", "CLOSESTREAM", "QUIT"];
    let is_about = |line: &&String| keywords.contains(&line.split(' ').next().unwrap_or_default());
    let lines = tor.lines();
    lines.iter().filter(is_about).skip(1).cloned().collect()
}

#[test]
fn an_attacher_sends_these_commands_and_these_at_each_way_to_end_it() {
    type End = fn(&Controller, torcon::state::AttacherGuard);
    let on = format!("SETCONF {OPTION}=1");
    let off = format!("SETCONF {OPTION}=0");
    let beginning = [&format!("GETCONF {OPTION}"), &on, "ATTACHSTREAM 5 7"];
    let left = "ATTACHSTREAM 6 0";
    let ends: [(End, &[&str]); 3] = [
        (|_, guard| drop(guard), &[&off]),
        (|controller, _| controller.close(), &[&off]),
        (|controller, _| controller.quit().unwrap(), &[&off, "QUIT"]),
    ];
    for (end, expected) in ends {
        let (tor, controller, state) =
            followed(&["7 BUILT $E8F7~x,$E8F8~y PURPOSE=GENERAL"], &[], with_option);
        let (called, calls) = bounded(2);
        let (wake, sleeping) = bounded::<()>(0);
        let guard = state.set_attacher(move |stream, circuits| {
            called.send(stream.id()).unwrap();
            if stream.target().host() == "slow.example" {
                sleeping.recv_timeout(LIMIT).ok();
            }
            Attach::To(circuits[0].clone())
        });
        let guard = guard.unwrap();
        for (id, host) in [(5, "quick.example"), (6, "slow.example")] {
            send_event(&controller, &format!("STREAM {id} NEW 0 {host}:80 PURPOSE=USER"));
            send_event(&controller, &format!("STREAM {id} CONTROLLER_WAIT 0 {host}:80"));
            calls.recv_timeout(LIMIT).unwrap();
        }
        eventually(LIMIT, "the first is attached", || about_streams(&tor).len() == 3);
        send_event(&controller, "STREAM 5 SENTCONNECT 7 quick.example:80");
        end(&controller, guard);
        let mut sent = Vec::new();
        // The last command has no waiting caller.
        eventually(LIMIT, "all commands are sent", || {
            sent = about_streams(&tor);
            let is_sent = |line| sent.iter().any(|other| other == line);
            is_sent(left) && expected.iter().copied().all(is_sent)
        });
        assert_eq!(sent[..3], beginning);
        // Only once: tor would detach the stream from its circuit. The command may precede or
        // follow the restoration of the option, since the attacher may end before its guard.
        let index = sent.iter().position(|line| line == left).expect("it is sent");
        assert!((3..=4).contains(&index), "{sent:?}");
        sent.remove(index);
        assert_eq!(sent[3..], *expected);
        drop((wake, state, controller));
        tor.finish();
    }
}

#[test]
fn an_attacher_that_tor_or_a_filter_refuses_leaves_nothing_behind() {
    exclusive(|| {
        let holdings = Holdings::now();
        let (tor, controller, state) = followed(&[], &[], |script| {
            script.answer(&format!("GETCONF {OPTION}"), &["510 Command filtered"]);
            script.answer(&format!("GETCONF {OPTION}"), &[&format!("250 {OPTION}=0")]);
            script.answer(&format!("SETCONF {OPTION}=1"), &["553 No"]);
            script.answer(&format!("GETCONF {OPTION}"), &[&format!("250 {OPTION}=2")]);
            script.expect("SETEVENTS").expect_end();
        });
        let attacher = |_: &torcon::state::StreamInfo, _: &[torcon::state::Circuit]| Attach::Tor;
        assert!(state.set_attacher(attacher).unwrap_err().is_filtered());
        assert_eq!(state.set_attacher(attacher).unwrap_err().status_code(), Some(553));
        assert_eq!(
            state.set_attacher(attacher).unwrap_err().to_string(),
            "cannot read the answer to GETCONF: expected 0 or 1, got \"2\""
        );
        drop((state, controller));
        tor.finish();
        holdings.assert_restored(LIMIT);
    });
}

#[test]
fn no_thread_is_left_after_the_last_attacher() {
    exclusive(|| {
        let (tor, controller, state) = followed(&[], &[], with_option);
        // A thread gets its name when it begins to run.
        let there = |expected: &[&str]| {
            eventually(LIMIT, "the threads are these", || threads("torcon-") == expected);
        };
        let always = ["torcon-reader"];
        there(&always);
        let guards = [(); 3].map(|()| state.set_attacher(|_, _| Attach::Tor).unwrap());
        there(&[&["torcon-attach"; 3][..], &always, &["torcon-streams"]].concat());
        drop(guards);
        there(&always);
        drop((state, controller));
        tor.finish();
    });
}

#[test]
fn an_attacher_of_a_connection_that_has_ended_is_not_active_and_a_new_one_is_refused() {
    let (tor, controller, state) = followed(&[], &[], with_option);
    let guard = state.set_attacher(|_, _| Attach::Tor).unwrap();
    assert!(guard.is_active());
    controller.close();
    assert!(!guard.is_active());
    let error = state.set_attacher(|_, _| Attach::Tor).unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    drop(guard);
    drop((state, controller));
    tor.finish();
}

#[test]
fn an_attacher_may_close_the_connection() {
    let (tor, controller, state) = followed(&[], &[], with_option);
    let (done, closed) = bounded(1);
    let weak = controller.downgrade();
    let guard = state.set_attacher(move |_, _| {
        weak.upgrade().unwrap().close();
        done.send(()).unwrap();
        Attach::Tor
    });
    for status in ["NEW", "CONTROLLER_WAIT"] {
        // The connection may end before the second reply.
        let event = format!("event/STREAM|5|{status}|0|a.example:80");
        let _ = controller.get_info_one(&event);
    }
    closed.recv_timeout(LIMIT).expect("closing does not wait for the attacher that does it");
    let off = format!("SETCONF {OPTION}=0");
    let lines = tor.lines();
    assert_eq!(lines[lines.len() - 2..], [&*off, "ATTACHSTREAM 5 0"]);
    drop(guard);
    drop((state, controller));
    tor.finish();
}

#[test]
fn the_error_of_an_attacher_is_logged_escaped() {
    let log = LogCapture::start();
    let (tor, controller, state) = followed(&[], &[], with_option);
    let failed = || Err::<Attach, _>("no circuit to it\n[notice] forged\u{1b}[31m\u{202e}");
    let guard = state.set_attacher(move |_, _| failed()).unwrap();
    send_event(&controller, "STREAM 5 NEW 0 a.example:80 PURPOSE=USER");
    send_event(&controller, "STREAM 5 CONTROLLER_WAIT 0 a.example:80");
    let escaped = r"no circuit to it\n[notice] forged\u{1b}[31m\u{202e}";
    eventually(LIMIT, "it is logged", || !log.lines_with("no circuit to it").is_empty());
    let lines = log.lines_with("no circuit to it");
    assert!(lines.iter().all(|line| line.text.ends_with(escaped)), "{lines:?}");
    drop((guard, state, controller));
    tor.finish();
}

#[test]
fn a_tor_that_does_not_answer_delays_the_drop_of_a_guard_by_seconds_only() {
    let (tor, controller, state) = followed(&[], &[], |script| {
        script.answer(&format!("GETCONF {OPTION}"), &[&format!("250 {OPTION}")]);
        script.expect(&format!("SETCONF {OPTION}=1")).send_lines(&[
            "250 OK",
            "650-CONF_CHANGED",
            &format!("650-{OPTION}=1"),
            "650 OK",
        ]);
        script.drain();
    });
    let guard = state.set_attacher(|_, _| Attach::Tor).unwrap();
    let begin = std::time::Instant::now();
    drop(guard);
    assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
    drop((state, controller));
    tor.finish();
}

/// A tor whose proxy is `proxy`, with one circuit.
fn with_proxy(proxy: SocketAddr) -> (FakeTor, Controller, State) {
    followed(&["7 BUILT $E8F7~x,$E8F8~y PURPOSE=GENERAL"], &[], move |script| {
        let mut value = '0';
        script.serve(move |line, out| {
            let reply = if line == "GETINFO net/listeners/socks" {
                format!("250-net/listeners/socks=\"{proxy}\"\r\n250 OK\r\n")
            } else if line.starts_with("GETCONF ") {
                format!("250 {OPTION}={value}\r\n")
            } else if line.starts_with("SETCONF ") {
                value = if line.ends_with("=1") { '1' } else { '0' };
                format!("250 OK\r\n650-CONF_CHANGED\r\n650-{OPTION}={value}\r\n650 OK\r\n")
            } else {
                if let Some(text) = line.strip_prefix("GETINFO event/") {
                    out.extend_from_slice(format!("650 {}\r\n", text.replace('|', " ")).as_bytes());
                }
                return answer(line, out);
            };
            out.extend_from_slice(reply.as_bytes());
        });
    })
}

/// Connects through circuit 7 on another thread, up to the SOCKS request.
fn connecting(state: &State, listener: &TcpListener) -> (JoinHandle<Error>, TcpStream, SocketAddr) {
    let circuit = state.circuit(&CircuitId::from(7)).unwrap();
    let connect = move || circuit.connect_stream("a.example:80").unwrap_err();
    let thread = thread::Builder::new().name("connecting".to_owned()).spawn(connect).unwrap();
    let (mut stream, address) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.read_exact(&mut [0; 3]).unwrap();
    stream.write_all(&[5, 0]).unwrap();
    stream.read_exact(&mut [0; 4 + 1 + 9 + 2]).unwrap();
    (thread, stream, address)
}

const GRANTED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

#[test]
fn a_stream_on_another_circuit_or_one_that_tor_does_not_report_is_not_returned() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (tor, controller, state) = with_proxy(listener.local_addr().unwrap());
    let problem = |thread: JoinHandle<Error>| match thread.join().unwrap() {
        Error::Circuit(error) => error.problem().clone(),
        other => panic!("{other:?}"),
    };
    // Another controller has attached the stream.
    let (thread, mut stream, source) = connecting(&state, &listener);
    send_event(
        &controller,
        &format!("STREAM 5 NEW 0 a.example:80 SOURCE_ADDR={source} PURPOSE=USER"),
    );
    send_event(&controller, "STREAM 5 SENTCONNECT 9 a.example:80");
    send_event(&controller, "STREAM 5 SUCCEEDED 9 a.example:80");
    stream.write_all(&GRANTED).unwrap();
    let other = CircuitProblem::OtherCircuit { circuit: Some(9.into()) };
    assert_eq!(problem(thread), other);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is closed");
    // Another controller attached the stream before this program could.
    let (thread, mut stream, source) = connecting(&state, &listener);
    send_event(
        &controller,
        &format!("STREAM 6 NEW 0 a.example:80 SOURCE_ADDR={source} PURPOSE=USER"),
    );
    send_event(&controller, "STREAM 6 CONTROLLER_WAIT 0 a.example:80");
    send_event(&controller, "STREAM 6 SUCCEEDED 9 a.example:80");
    stream.write_all(&GRANTED).unwrap();
    assert_eq!(problem(thread), other);
    // The circuit ends before the stream is connected.
    let (thread, mut stream, source) = connecting(&state, &listener);
    send_event(
        &controller,
        &format!("STREAM 8 NEW 0 a.example:80 SOURCE_ADDR={source} PURPOSE=USER"),
    );
    send_event(&controller, "STREAM 8 CONTROLLER_WAIT 0 a.example:80");
    let attach = |id: u32| format!("ATTACHSTREAM {id} 7");
    eventually(LIMIT, "it is attached", || tor.lines().contains(&attach(8)));
    send_event(&controller, "STREAM 8 SENTCONNECT 7 a.example:80");
    send_event(&controller, "STREAM 8 FAILED 7 a.example:80 REASON=TIMEOUT");
    stream.write_all(&[5, 6, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let CircuitProblem::Stream { reason, remote_reason } = problem(thread) else { panic!() };
    assert_eq!((reason.unwrap().as_str(), remote_reason), ("TIMEOUT", None));
    // tor sends no event.
    let (thread, mut stream, _) = connecting(&state, &listener);
    stream.write_all(&GRANTED).unwrap();
    assert_eq!(problem(thread), CircuitProblem::NotSeen);
    drop((state, controller));
    tor.finish();
}

#[test]
fn without_a_socks_port_a_stream_fails_and_no_option_is_switched() {
    let (tor, controller, state) =
        followed(&["7 BUILT $E8F7~x,$E8F8~y PURPOSE=GENERAL"], &[], |script| {
            script.answer("GETINFO net/listeners/socks", &["250-net/listeners/socks=", "250 OK"]);
            script.expect("SETEVENTS").expect_end();
        });
    let circuit = state.circuit(&CircuitId::from(7)).unwrap();
    let error = circuit.connect_stream("a.example:80").unwrap_err();
    let Error::Socks(socks) = &error else { panic!("{error:?}") };
    assert!(matches!(socks.problem(), torcon::error::SocksProblem::NoListener));
    drop((state, circuit, controller));
    tor.finish();
}
