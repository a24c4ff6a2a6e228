use super::{CloseCircuit, ExtendCircuit, SetCircuitPurpose};
use crate::command::dialogue::{answered, error, misrouted, refusal, sent};
use crate::names::{CircuitId, CircuitPurpose, Fingerprint, RelaySpec};

const FIRST: &str = "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC";
const SECOND: &str = "A65F314C8459AE7EEA37A8BBDF50D7668516965D";

fn fingerprints() -> [Fingerprint; 2] {
    [FIRST.parse().unwrap(), SECOND.parse().unwrap()]
}

fn relays(texts: &[&str]) -> Vec<RelaySpec> {
    texts.iter().map(|text| RelaySpec::from_bytes(text.as_bytes())).collect()
}

fn id(number: u32) -> CircuitId {
    CircuitId::from(number)
}

#[test]
fn a_circuit_is_new_or_made_longer_along_relays_or_as_tor_likes() {
    assert_eq!(sent(&ExtendCircuit::new()), "EXTENDCIRCUIT 0\r\n");
    assert_eq!(
        sent(&ExtendCircuit::new().purpose(CircuitPurpose::General)),
        "EXTENDCIRCUIT 0 purpose=general\r\n"
    );
    assert_eq!(
        sent(&ExtendCircuit::along(fingerprints()).purpose(CircuitPurpose::Controller)),
        format!("EXTENDCIRCUIT 0 ${FIRST},${SECOND} purpose=controller\r\n")
    );
    assert_eq!(
        sent(&ExtendCircuit::of(id(37), fingerprints())),
        format!("EXTENDCIRCUIT 37 ${FIRST},${SECOND}\r\n")
    );
}

#[test]
fn relays_are_written_in_the_form_that_tor_accepts_everywhere() {
    // The relays of events can be sent back; tor does not accept `$FP=nick`.
    let equals = format!("${FIRST}=test004r");
    let tilde = format!("${FIRST}~test004r");
    let path = relays(&[&equals, &tilde, FIRST, "test005r"]);
    assert_eq!(
        sent(&ExtendCircuit::along(path)),
        format!("EXTENDCIRCUIT 0 ${FIRST},${FIRST},${FIRST},test005r\r\n")
    );
}

#[test]
fn an_invalid_path_or_circuit_is_refused() {
    for (command, message) in [
        (ExtendCircuit::along(relays(&[])), "\"path\": no relay is given"),
        (ExtendCircuit::of(id(1), relays(&[])), "\"path\": no relay is given"),
        (
            ExtendCircuit::along(relays(&["a", "b\r\nQUIT"])),
            "\"path\": names a relay by neither fingerprint nor nickname",
        ),
        (
            ExtendCircuit::along(relays(&[""])),
            "\"path\": names a relay by neither fingerprint nor nickname",
        ),
        (
            ExtendCircuit::of(id(0), fingerprints()),
            "\"circuit\": must not be 0, which is not a circuit",
        ),
        (
            ExtendCircuit::of(id(1), fingerprints()).purpose(CircuitPurpose::General),
            "\"purpose\": is accepted for a new circuit only",
        ),
        (ExtendCircuit::new().purpose(CircuitPurpose::from("")), "\"purpose\": is empty"),
        (
            ExtendCircuit::new().purpose(CircuitPurpose::from("a\nQUIT")),
            "\"purpose\": contains a line feed",
        ),
        (
            ExtendCircuit::new().purpose(CircuitPurpose::from("a b")),
            "\"purpose\": contains a blank",
        ),
    ] {
        assert_eq!(refusal(&command), format!("invalid argument {message}"));
    }
}

#[test]
fn the_answer_is_the_circuit() {
    let new = ExtendCircuit::new();
    assert_eq!(answered(&new, b"250 EXTENDED 35\r\n").unwrap(), id(35));
    let longer = ExtendCircuit::of(id(37), fingerprints());
    assert_eq!(answered(&longer, b"250 EXTENDED 37\r\n").unwrap(), id(37));
    for (reply, message) in [
        (&b"551 Couldn't start circuit\r\n"[..], r#"551 "Couldn't start circuit""#),
        (b"552 No such router \"moria1\"\r\n", r#"552 "No such router \"moria1\"""#),
        (b"552 Unknown circuit \"99\"\r\n", r#"552 "Unknown circuit \"99\"""#),
        (b"512 syntax error: path required.\r\n", r#"512 "syntax error: path required.""#),
    ] {
        let message = format!("tor refused EXTENDCIRCUIT: {message}");
        assert_eq!(error(&new, reply).to_string(), message);
    }
    assert_eq!(
        misrouted(&longer, b"250 EXTENDED 38\r\n"),
        "cannot read the reply to EXTENDCIRCUIT: expected the circuit of the request, got \
         \"EXTENDED\""
    );
    for reply in [&b"250 OK\r\n"[..], b"250-EXTENDED 1\r\n250 OK\r\n"] {
        assert!(misrouted(&new, reply).contains("expected EXTENDED and a circuit"));
    }
    assert_eq!(
        error(&new, b"250 EXTENDED \r\n").to_string(),
        "cannot read the reply to EXTENDCIRCUIT: expected the id of a circuit, got \"\""
    );
}

#[test]
fn purposes_are_set_and_circuits_closed() {
    let set = |purpose: &str| SetCircuitPurpose::new(id(36), CircuitPurpose::from(purpose));
    assert_eq!(sent(&set("CONTROLLER")), "SETCIRCUITPURPOSE 36 purpose=controller\r\n");
    assert_eq!(sent(&set("HS_VANGUARDS")), "SETCIRCUITPURPOSE 36 purpose=hs_vanguards\r\n");
    assert_eq!(
        error(&set("HS_VANGUARDS"), b"552 Unknown purpose \"hs_vanguards\"\r\n").to_string(),
        r#"tor refused SETCIRCUITPURPOSE: 552 "Unknown purpose \"hs_vanguards\"""#
    );
    assert!(answered(&set("GENERAL"), b"250 OK\r\n").is_ok());
    assert_eq!(refusal(&set("a\rb")), "invalid argument \"purpose\": contains a carriage return");
    let zero = "invalid argument \"circuit\": must not be 0, which is not a circuit";
    assert_eq!(refusal(&SetCircuitPurpose::new(id(0), CircuitPurpose::General)), zero);

    assert_eq!(sent(&CloseCircuit::new(id(36))), "CLOSECIRCUIT 36\r\n");
    assert_eq!(sent(&CloseCircuit::new(id(36)).if_unused()), "CLOSECIRCUIT 36 IfUnused\r\n");
    assert!(answered(&CloseCircuit::new(id(36)), b"250 OK\r\n").is_ok());
    assert_eq!(
        error(&CloseCircuit::new(id(1)), b"552 Unknown circuit \"1\"\r\n").to_string(),
        r#"tor refused CLOSECIRCUIT: 552 "Unknown circuit \"1\"""#
    );
    assert_eq!(refusal(&CloseCircuit::new(id(0))), zero);
}
