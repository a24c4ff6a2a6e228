//! Commands for circuits and streams, without a network: tor's refusal of each.

use torcon::Error;
use torcon::command::{AttachStream, ExtendCircuit, RedirectStream};
use torcon::names::{CircuitId, CircuitPurpose, Fingerprint, RelaySpec, StreamId, StreamReason};

use super::{reader, refusal};

fn circuit() -> CircuitId {
    CircuitId::from(99)
}

fn stream() -> StreamId {
    StreamId::from(99)
}

fn nickname(name: &str) -> [RelaySpec; 1] {
    [name.parse().unwrap()]
}

#[test]
fn a_circuit_cannot_be_built_without_a_network_or_along_unknown_relays() {
    let controller = reader();
    let extend = |command: ExtendCircuit| refusal(controller.extend_circuit(&command));
    let start = "tor refused EXTENDCIRCUIT: 551 \"Couldn't start circuit\"";
    assert_eq!(extend(ExtendCircuit::new()), start);
    for purpose in [CircuitPurpose::General, CircuitPurpose::Controller] {
        assert_eq!(extend(ExtendCircuit::new().purpose(purpose)), start);
    }
    let fingerprint = Fingerprint::from([0xaa; 20]);
    for (command, message) in [
        (ExtendCircuit::along(nickname("moria1")), r#"552 "No such router \"moria1\"""#.to_owned()),
        (
            ExtendCircuit::along([fingerprint, fingerprint]).purpose(CircuitPurpose::Controller),
            format!(r#"552 "No such router \"${fingerprint}\"""#),
        ),
        (
            ExtendCircuit::of(circuit(), nickname("moria1")),
            r#"552 "Unknown circuit \"99\"""#.to_owned(),
        ),
        (
            ExtendCircuit::new().purpose(CircuitPurpose::HsVanguards),
            r#"552 "Unknown purpose \"hs_vanguards\"""#.to_owned(),
        ),
        (
            ExtendCircuit::new().purpose(CircuitPurpose::from("nope")),
            r#"552 "Unknown purpose \"nope\"""#.to_owned(),
        ),
    ] {
        assert_eq!(extend(command), format!("tor refused EXTENDCIRCUIT: {message}"));
    }
}

#[test]
fn circuits_and_streams_that_do_not_exist_are_named_in_the_refusal() {
    let controller = reader();
    let id = circuit();
    for (outcome, message) in [
        (
            controller.set_circuit_purpose(id, CircuitPurpose::General),
            r#"SETCIRCUITPURPOSE: 552 "Unknown circuit \"99\"""#,
        ),
        (controller.close_circuit(id), r#"CLOSECIRCUIT: 552 "Unknown circuit \"99\"""#),
        (controller.close_circuit_if_unused(id), r#"CLOSECIRCUIT: 552 "Unknown circuit \"99\"""#),
        (
            controller.attach_stream(AttachStream::new(stream(), id)),
            r#"ATTACHSTREAM: 552 "Unknown stream \"99\"""#,
        ),
        (
            controller.attach_stream(AttachStream::new(stream(), id).hop(2)),
            r#"ATTACHSTREAM: 552 "Unknown stream \"99\"""#,
        ),
        (
            controller.attach_stream(AttachStream::left_to_tor(stream())),
            r#"ATTACHSTREAM: 552 "Unknown stream \"99\"""#,
        ),
        (
            controller.redirect_stream(&RedirectStream::new(stream(), "a.example").port(80)),
            r#"REDIRECTSTREAM: 552 "Unknown stream \"99\"""#,
        ),
        (
            controller.close_stream(stream(), StreamReason::Misc),
            r#"CLOSESTREAM: 552 "Unknown stream \"99\"""#,
        ),
    ] {
        assert_eq!(refusal(outcome), format!("tor refused {message}"));
    }
}

#[test]
fn tor_refuses_commands_that_no_method_sends() {
    let controller = reader();
    for (command, message) in [
        ("EXTENDCIRCUIT", "512 \"Bad arguments to EXTENDCIRCUIT: Need at least 1 argument(s)\""),
        ("EXTENDCIRCUIT 0 ,", r#"552 "No such router \"\"""#),
        (
            "EXTENDCIRCUIT 0 \"\"",
            "512 \"Bad arguments to EXTENDCIRCUIT: Cannot parse keyword argument(s)\"",
        ),
        // Without a path, tor looks for the circuit first.
        ("EXTENDCIRCUIT 99", r#"552 "Unknown circuit \"99\"""#),
        ("SETCIRCUITPURPOSE 99", r#"552 "Unknown circuit \"99\"""#),
        ("CLOSECIRCUIT", "512 \"Bad arguments to CLOSECIRCUIT: Need at least 1 argument(s)\""),
        ("ATTACHSTREAM 1", "512 \"Bad arguments to ATTACHSTREAM: Need at least 2 argument(s)\""),
        (
            "ATTACHSTREAM 1 1 HOP",
            "512 \"Bad arguments to ATTACHSTREAM: Cannot parse keyword argument(s)\"",
        ),
        (
            "ATTACHSTREAM 1 1 FOO=1",
            "512 \"Bad arguments to ATTACHSTREAM: Unrecognized keyword argument \\\"FOO\\\"\"",
        ),
        (
            "REDIRECTSTREAM 1",
            "512 \"Bad arguments to REDIRECTSTREAM: Need at least 2 argument(s)\"",
        ),
        ("CLOSESTREAM 1", "512 \"Bad arguments to CLOSESTREAM: Need at least 2 argument(s)\""),
        ("CLOSESTREAM 99 1", r#"552 "Unknown stream \"99\"""#),
    ] {
        let keyword = command.split(' ').next().unwrap();
        let error = controller.command(command).unwrap_err();
        assert_eq!(error.to_string(), format!("tor refused {keyword}: {message}"));
    }
    // Commands that would make tor abort, or report a connected stream, are not sent.
    for command in ["SETCIRCUITPURPOSE", "CLOSESTREAM 99 0"] {
        let error = controller.command(command).unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    }
    assert!(controller.is_alive());
}
