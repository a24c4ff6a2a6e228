use std::io::{Read, Write};
use std::thread::{self, JoinHandle};

use torcon::command::{AttachStream, CloseCircuit, ExtendCircuit, RedirectStream};
use torcon::event::StreamEvent;
use torcon::names::{
    CircuitId, CircuitPurpose, CircuitStatus, Fingerprint, StreamId, StreamReason, StreamStatus,
};
use torcon::{Controller, Event, EventKind, EventQueue};

use super::joining::socks_port;
use super::raw_socks::{Command, Echo, ask};
use super::retry::{find_in, retried};
use super::{LIMIT, join, shared_network};

/// Returns the fingerprints of the relays, without the authority.
fn relays() -> Vec<Fingerprint> {
    shared_network().relays()[1..].iter().map(|relay| relay.fingerprint).collect()
}

fn is_over(id: &CircuitId, event: &Event) -> bool {
    let over = [CircuitStatus::Built, CircuitStatus::Failed, CircuitStatus::Closed];
    matches!(event, Event::Circ(circ) if circ.id() == *id && over.contains(&circ.status()))
}

/// Sends a command for a circuit, and returns the circuit with its path when that is built.
#[track_caller]
fn built(
    controller: &Controller,
    command: &ExtendCircuit,
) -> Result<(CircuitId, Vec<Fingerprint>), String> {
    let outcome = controller.execute_and_wait(command, EventKind::Circ, is_over, LIMIT);
    let (id, event) = match outcome {
        Err(error) if error.is_timeout() => return Err(error.to_string()),
        outcome => outcome.expect("the circuit is begun"),
    };
    let Event::Circ(circ) = event else { panic!("{event}") };
    if circ.status() != CircuitStatus::Built {
        return Err(circ.to_string());
    }
    let path = circ.path().into_iter().map(|relay| relay.fingerprint().expect("tor names it so"));
    Ok((id, path.collect()))
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(outcome: torcon::Result<T>) -> String {
    let text = outcome.expect_err("this is refused").to_string();
    text.strip_prefix("tor refused ").expect("tor refused it").to_owned()
}

#[test]
fn a_circuit_is_built_along_chosen_relays_extended_repurposed_and_closed() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let relays = relays();
    let chosen = ExtendCircuit::along(relays[..3].to_vec()).purpose(CircuitPurpose::Controller);
    let id = retried(controller, "the circuit is built and made longer", || {
        let (id, path) = built(controller, &chosen)?;
        assert_eq!(path, relays[..3]);
        let (longer, path) = built(controller, &ExtendCircuit::of(id, [relays[3]]))?;
        assert_eq!((longer, path.as_slice()), (id, &relays[..4]));
        Ok(id)
    });
    let (other, path) = retried(controller, "a circuit of tor's choice is built", || {
        built(controller, &ExtendCircuit::new())
    });
    assert_ne!(other, id);
    assert_eq!(path.len(), 3);

    let minor = controller.events([EventKind::CircMinor]).unwrap();
    controller.set_circuit_purpose(id, CircuitPurpose::General).unwrap();
    let begin = format!("CIRC_MINOR {id} PURPOSE_CHANGED ");
    let changed = minor.timeout_iter(LIMIT).find(|event| event.to_string().starts_with(&begin));
    let changed = changed.expect("tor reports the change").to_string();
    assert!(changed.contains(" PURPOSE=GENERAL "), "{changed}");
    assert!(changed.contains(" OLD_PURPOSE=CONTROLLER"), "{changed}");

    // Refusals that need an existing circuit.
    assert_eq!(
        refusal(controller.set_circuit_purpose(id, CircuitPurpose::HsVanguards)),
        r#"SETCIRCUITPURPOSE: 552 "Unknown purpose \"hs_vanguards\"""#
    );
    for (command, message) in [
        (format!("SETCIRCUITPURPOSE {id}"), r#"SETCIRCUITPURPOSE: 552 "No purpose given""#),
        (
            format!("SETCIRCUITPURPOSE {id} general"),
            "SETCIRCUITPURPOSE: 512 \"Bad arguments to SETCIRCUITPURPOSE: Cannot parse keyword \
             argument(s)\"",
        ),
        (format!("EXTENDCIRCUIT {id}"), r#"EXTENDCIRCUIT: 512 "syntax error: path required.""#),
    ] {
        assert_eq!(refusal(controller.command(&command)), message);
    }

    controller.close_circuit_if_unused(other).unwrap();
    let close = CloseCircuit::new(id);
    let is_closed = |(): &(), event: &Event| is_over(&id, event);
    let outcome = controller.execute_and_wait(&close, EventKind::Circ, is_closed, LIMIT);
    let ((), event) = outcome.unwrap();
    assert!(
        matches!(&event, Event::Circ(circ) if circ.status() == CircuitStatus::Closed),
        "{event}"
    );
    let gone = format!("CLOSECIRCUIT: 552 \"Unknown circuit \\\"{id}\\\"\"");
    assert_eq!(refusal(controller.close_circuit(id)), gone);
    tor.quit().unwrap();
}

#[test]
fn a_path_that_cannot_work_is_accepted_and_fails() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let twice = ExtendCircuit::along([relays()[0], relays()[0]]);
    let outcome = controller.execute_and_wait(&twice, EventKind::Circ, is_over, LIMIT);
    let (_, event) = outcome.unwrap();
    let Event::Circ(circ) = event else { panic!("{event}") };
    assert_eq!(circ.status(), CircuitStatus::Failed, "{circ}");
    tor.quit().unwrap();
}

/// An application that requests a stream, and waits for it.
fn application(
    tor: &torcon::TorProcess,
    host: &str,
    port: u16,
) -> JoinHandle<Result<std::net::TcpStream, u8>> {
    let (server, host) = (socks_port(tor), host.to_owned());
    let wait = move || ask(server, &host, Command::Connect(port)).map(|(stream, _)| stream);
    thread::Builder::new().name("application".to_owned()).spawn(wait).unwrap()
}

/// Waits until the streams satisfy a condition.
#[track_caller]
fn find(events: &EventQueue, is_wanted: impl Fn(&StreamEvent) -> bool) -> StreamEvent {
    let found = find_in(events, LIMIT, |event| match event {
        Event::Stream(stream) if is_wanted(&stream) => Some(stream),
        _ => None,
    });
    found.expect("the stream has the status")
}

/// Waits until a stream to this host waits for its circuit.
#[track_caller]
fn waiting(events: &EventQueue, host: &str) -> StreamId {
    let is_ours = |stream: &StreamEvent| {
        stream.target().host() == host && stream.status() == StreamStatus::ControllerWait
    };
    find(events, is_ours).id()
}

/// Waits until a stream that was attached is open. One that is not is closed.
#[track_caller]
fn opened(
    controller: &Controller,
    events: &EventQueue,
    id: StreamId,
) -> Result<StreamEvent, String> {
    use StreamStatus::{Closed, Detached, Failed, Succeeded};
    let is_over = |stream: &StreamEvent| {
        stream.id() == id && [Succeeded, Detached, Failed, Closed].contains(&stream.status())
    };
    let stream = find(events, is_over);
    if stream.status() == Succeeded {
        return Ok(stream);
    }
    // The application of a detached stream would wait forever.
    controller.close_stream(id, StreamReason::Misc).ok();
    Err(stream.to_string())
}

#[test]
fn streams_are_attached_redirected_and_closed_by_the_controller() {
    let tor = join();
    let controller = tor.controller().unwrap();
    // tor would also attach a stream to a general circuit of one relay, which would refuse the
    // stream.
    let short = ExtendCircuit::along([relays()[0]]).purpose(CircuitPurpose::Controller);
    let (short, _) = retried(controller, "a short circuit is built", || built(controller, &short));
    let events = controller.events([EventKind::Stream]).unwrap();
    controller.set_conf([("__LeaveStreamsUnattached", "1")]).unwrap();

    let attach = |stream, circuit| AttachStream::new(stream, circuit);
    let mut number = 0;
    let (echo, circuit, stream, mut connection) =
        retried(controller, "a stream is attached", || {
            let way = ExtendCircuit::along(relays()[..3].to_vec());
            let (circuit, _) = built(controller, &way)?;
            let echo = Echo::start();
            number += 1;
            let host = format!("nowhere{number}.test");
            let connecting = application(&tor, &host, 81);
            let stream = waiting(&events, &host);
            for (outcome, message) in [
                (
                    controller.attach_stream(attach(stream, CircuitId::from(9999))),
                    r#"552 "Unknown circuit \"9999\"""#,
                ),
                (
                    controller.attach_stream(attach(stream, circuit).hop(9)),
                    "551 \"Circuit doesn't have 9 hops.\"",
                ),
                (
                    controller.attach_stream(attach(stream, circuit).hop(1)),
                    "551 \"Can't attach stream to this one-hop circuit.\"",
                ),
                (
                    controller.attach_stream(attach(stream, short)),
                    "551 \"Can't attach stream to this one-hop circuit.\"",
                ),
                (
                    controller.command(&format!("ATTACHSTREAM {stream} {circuit} HOP=x")).map(drop),
                    r#"552 "Bad value hop=x""#,
                ),
            ] {
                assert_eq!(refusal(outcome), format!("ATTACHSTREAM: {message}"));
            }
            let bad_port = format!("REDIRECTSTREAM {stream} 127.0.0.1 abc");
            assert_eq!(
                refusal(controller.command(&bad_port)),
                r#"REDIRECTSTREAM: 512 "Cannot parse port \"abc\"""#
            );
            let redirect = RedirectStream::new(stream, "127.0.0.1").port(echo.address.port());
            controller.redirect_stream(&redirect).unwrap();
            controller.attach_stream(attach(stream, circuit).hop(3)).unwrap();
            let connected = opened(controller, &events, stream)?;
            assert_eq!(connected.circuit(), Some(circuit));
            assert_eq!(connected.target(), echo.address.into());
            let connection = connecting.join().unwrap().expect("the server is reached");
            Ok((echo, circuit, stream, connection))
        });
    connection.write_all(b"attached").unwrap();
    let mut text = [0; 8];
    connection.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"attached");
    let managed = "ATTACHSTREAM: 555 \"Connection is not managed by controller.\"";
    assert_eq!(refusal(controller.attach_stream(attach(stream, circuit))), managed);
    assert_eq!(refusal(controller.attach_stream(AttachStream::left_to_tor(stream))), managed);
    // The circuit has a stream.
    controller.close_circuit_if_unused(circuit).unwrap();
    controller.close_stream(stream, StreamReason::Misc).unwrap();
    let closed =
        find(&events, |event| event.id() == stream && event.status() == StreamStatus::Closed);
    assert_eq!((closed.circuit(), closed.reason()), (Some(circuit), Some(StreamReason::Misc)));
    let gone = format!("CLOSESTREAM: 552 \"Unknown stream \\\"{stream}\\\"\"");
    assert_eq!(refusal(controller.close_stream(stream, StreamReason::Misc)), gone);
    drop(connection);
    // The exit does not learn of the end of the stream, only of that of the circuit.
    controller.close_circuit(circuit).unwrap();
    assert_eq!(echo.finish(), 8);

    // The application receives the reason: 4 is "host unreachable", 5 "connection refused".
    for (host, reason, code) in [
        ("one.test", StreamReason::ResolveFailed, 4),
        ("two.test", StreamReason::ConnectRefused, 5),
    ] {
        let connecting = application(&tor, host, 80);
        let stream = waiting(&events, host);
        controller.close_stream(stream, reason).unwrap();
        assert_eq!(connecting.join().unwrap().map(drop), Err(code), "{host}");
    }

    let echo = retried(controller, "tor finds a circuit", || {
        let echo = Echo::start();
        number += 1;
        let host = format!("echo{number}.test");
        let connecting = application(&tor, &host, echo.address.port());
        let stream = waiting(&events, &host);
        controller.attach_stream(AttachStream::left_to_tor(stream)).unwrap();
        opened(controller, &events, stream)?;
        drop(connecting.join().unwrap().expect("the server is reached"));
        Ok(echo)
    });
    assert_eq!(echo.finish(), 0);
    tor.quit().unwrap();
}
