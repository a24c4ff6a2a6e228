//! Attachers and streams with several states, an old guard, or an old tor.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use torcon::state::{Attach, State};

use super::attaching::{OPTION, about_streams, with_option};
use super::followed;
use crate::scripted::{LIMIT, answer, start};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;

#[test]
fn an_attacher_is_refused_on_a_connection_that_tor_has_ended_while_an_old_guard_lives() {
    let (tor, controller, state) = followed(&[], &[], |script| {
        script.answer(&format!("GETCONF {OPTION}"), &[&format!("250 {OPTION}=0")]);
        let changed = format!("650-CONF_CHANGED\r\n650-{OPTION}=1\r\n650 OK\r\n");
        script.expect(&format!("SETCONF {OPTION}=1")).send(format!("250 OK\r\n{changed}"));
        script.expect("GETINFO end").close();
    });
    let guard = state.set_attacher(|_, _| Attach::Tor).unwrap();
    assert!(guard.is_active());
    assert!(controller.get_info_one("end").unwrap_err().is_closed());
    let error = state.set_attacher(|_, _| Attach::Tor).unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    assert!(!guard.is_active());
    drop((guard, state, controller));
    tor.finish();
}

#[test]
fn an_attacher_needs_a_tor_that_reports_which_streams_wait() {
    for (version, is_refused) in [("0.4.4.9", true), ("0.4.5.1-alpha", false), ("dev", false)] {
        let tor = FakeTor::tcp(move |script| {
            script.answer(
                "PROTOCOLINFO 1",
                &[
                    "250-PROTOCOLINFO 1",
                    "250-AUTH METHODS=NULL",
                    &format!("250-VERSION Tor=\"{version}\""),
                    "250 OK",
                ],
            );
            script.answer("AUTHENTICATE", &["250 OK"]);
            super::greet(script, &["7 BUILT $E8F7~x,$E8F8~y PURPOSE=GENERAL"], &[]);
            with_option(script);
        });
        let controller = torcon::connect(tor.endpoint()).unwrap();
        let state = State::new(&controller).unwrap();
        let outcome = state.set_attacher(|_, _| Attach::Tor);
        assert_eq!(outcome.is_err(), is_refused, "{version}");
        if is_refused {
            let expected = "invalid argument \"controller\": attaching streams needs tor 0.4.5.1 \
                            or later, and this is tor 0.4.4.9";
            assert_eq!(outcome.as_ref().unwrap_err().to_string(), expected);
            assert!(about_streams(&tor).is_empty(), "nothing was switched");
        }
        drop((outcome, state, controller));
        tor.finish();
    }
}

/// Streams of a connection with many states: each waits only for events of its state.
#[test]
fn a_stream_through_a_circuit_waits_for_no_event_of_another_state() {
    const STATES: usize = 100;
    const ROUNDS: usize = 20;
    exclusive(|| {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = proxy.local_addr().unwrap();
        let (source_sender, streams) = bounded::<SocketAddr>(1);
        let (answered, may_answer) = bounded::<()>(1);
        let proxy = start(move || {
            for _ in 0..ROUNDS {
                let (mut socket, from) = proxy.accept().unwrap();
                let mut greeting = [0; 3];
                socket.read_exact(&mut greeting).unwrap();
                socket.write_all(&[5, 0]).unwrap();
                let mut request = [0; 16];
                socket.read_exact(&mut request).unwrap();
                source_sender.send(from).unwrap();
                may_answer.recv_timeout(LIMIT).unwrap();
                socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            }
        });
        let (tor, controller) = crate::scripted::connected(move |script| {
            script.expect(super::SETEVENTS).send("250 OK\r\n");
            let mut id = 0;
            let circuits = super::snapshot(&["7 BUILT $E8F7~x,$E8F8~y PURPOSE=GENERAL"], &[]);
            let mut on = '0';
            script.serve(move |line, out| {
                if line == super::GETINFO {
                    return out.extend_from_slice(&circuits);
                }
                if line == "GETINFO net/listeners/socks" {
                    out.extend_from_slice(
                        format!("250-net/listeners/socks=\"{address}\"\r\n250 OK\r\n").as_bytes(),
                    );
                    return;
                }
                if line == format!("GETCONF {OPTION}") {
                    return out.extend_from_slice(format!("250 {OPTION}={on}\r\n").as_bytes());
                }
                if let Some(new) = line.strip_prefix(&format!("SETCONF {OPTION}=")) {
                    on = new.chars().next().unwrap();
                    let changed = format!("650-CONF_CHANGED\r\n650-{OPTION}={on}\r\n650 OK\r\n");
                    return out.extend_from_slice(format!("250 OK\r\n{changed}").as_bytes());
                }
                if let Some(from) = line.strip_prefix("GETINFO stream/") {
                    id += 1;
                    let events = format!(
                        "650 STREAM {id} NEW 0 a.example:80 SOURCE_ADDR={from} PURPOSE=USER\r\n\
                         650 STREAM {id} CONTROLLER_WAIT 0 a.example:80\r\n"
                    );
                    out.extend_from_slice(events.as_bytes());
                }
                if line.starts_with("ATTACHSTREAM") {
                    // The application gets its reply first, and the last event follows late.
                    out.extend_from_slice(b"250 OK\r\n");
                    answered.send(()).unwrap();
                    // Makes the wait for the last event begin before it in most rounds.
                    thread::sleep(Duration::from_millis(20));
                    let events = format!(
                        "650 STREAM {id} SENTCONNECT 7 a.example:80\r\n\
                         650 STREAM {id} SUCCEEDED 7 a.example:80\r\n"
                    );
                    return out.extend_from_slice(events.as_bytes());
                }
                answer(line, out);
            });
        });
        let states: Vec<_> = (0..STATES).map(|_| State::new(&controller).unwrap()).collect();
        // The last one attaches, and the first one waits.
        let guard = states[STATES - 1].set_attacher(|_, _| Attach::Tor).unwrap();
        let circuit = states[0].circuits().remove(0);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            thread::scope(|scope| {
                let stream = scope.spawn(|| circuit.connect_stream("a.example:80"));
                let from = streams.recv_timeout(LIMIT).unwrap();
                controller.get_info_one(&format!("stream/{from}")).unwrap();
                drop(stream.join().unwrap().unwrap());
            });
        }
        // Each stream that misses its event takes 10 seconds.
        assert!(start.elapsed().as_secs() < 9, "{:?}", start.elapsed());
        proxy.join().unwrap();
        drop((circuit, guard, states, controller));
        tor.finish();
    });
}
