use torcon::Error;
use torcon::names::{CircuitId, StreamId};
use torcon::state::State;

use super::{GETINFO, SETEVENTS, followed, send_event, serve_events, snapshot};
use crate::scripted::{answer, connected};
use crate::support::script::Script;

const KEYS: [&str; 7] = [
    "circuit-status",
    "stream-status",
    "orconn-status",
    "entry-guards",
    "address-mappings/all",
    "status/bootstrap-phase",
    "network-liveness",
];

/// A filter that allows some events and some keys, one by one.
fn filtered(script: &mut Script, events: &'static [&'static str], keys: &'static [&'static str]) {
    script.serve(move |line, out| {
        let words: Vec<_> = line.split(' ').collect();
        let is_refused = match words[0] {
            "SETEVENTS" => words[1..].iter().any(|event| events.contains(event)),
            "GETINFO" => words[1..].iter().any(|key| keys.contains(key)),
            _ => false,
        };
        match words[..] {
            _ if is_refused => out.extend_from_slice(b"510 Command filtered\r\n"),
            ["GETINFO", "circuit-status"] => {
                out.extend_from_slice(b"250-circuit-status=7 BUILT $E8F7~x PURPOSE=GENERAL\r\n");
                out.extend_from_slice(b"250 OK\r\n");
            }
            ["GETINFO", "stream-status"] => {
                // The event arrives between two answers, which both must reflect it.
                out.extend_from_slice(b"650 CIRC 8 LAUNCHED PURPOSE=GENERAL\r\n");
                out.extend_from_slice(b"250-stream-status=5 NEW 0 a.example:80\r\n250 OK\r\n");
            }
            ["GETINFO", ref keys @ ..] if keys.iter().all(|key| KEYS.contains(key)) => {
                for key in keys {
                    let value = match *key {
                        "status/bootstrap-phase" => {
                            "NOTICE BOOTSTRAP PROGRESS=9 TAG=conn SUMMARY=\"x\""
                        }
                        "network-liveness" => "up",
                        _ => "",
                    };
                    out.extend_from_slice(format!("250-{key}={value}\r\n").as_bytes());
                }
                out.extend_from_slice(b"250 OK\r\n");
            }
            _ => {
                if let Some(text) = line.strip_prefix("GETINFO event/") {
                    out.extend_from_slice(format!("650 {}\r\n", text.replace('|', " ")).as_bytes());
                }
                answer(line, out);
            }
        }
    });
}

#[test]
fn a_key_that_a_filter_refuses_is_named_and_the_other_answers_are_used() {
    let refused = &["entry-guards", "orconn-status", "network-liveness"];
    let (tor, controller) = connected(|script| filtered(script, &[], refused));
    let state = State::new(&controller).unwrap();
    let missing: Vec<_> = state.missing().into_iter().map(|part| part.name.into_string()).collect();
    assert_eq!(missing, ["orconn-status", "entry-guards", "network-liveness"]);
    assert!(state.missing().iter().all(|part| part.error.is_filtered()));
    assert_eq!(state.circuits().len(), 2, "one of the answer, one of an event after it");
    assert_eq!(state.streams()[0].id(), StreamId::from(5));
    assert!(state.guards().is_empty() && !state.is_live());
    assert_eq!(state.bootstrap().unwrap().progress, 9);
    // Events are applied all the same, and refused keys are not queried again.
    send_event(&controller, "GUARD ENTRY $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~a DOWN");
    let before = tor.lines().len();
    assert_eq!(state.guards().len(), 1);
    assert_eq!(tor.lines().len(), before);
    drop((state, controller));
    tor.finish();
}

#[test]
fn an_event_that_a_filter_refuses_is_named_and_the_others_are_followed() {
    let (tor, controller) = connected(|script| filtered(script, &["GUARD", "SIGNAL"], &[]));
    let state = State::new(&controller).unwrap();
    let missing: Vec<_> = state.missing().into_iter().map(|part| part.name.into_string()).collect();
    assert_eq!(missing, ["GUARD", "SIGNAL"]);
    send_event(&controller, "CIRC 9 LAUNCHED PURPOSE=GENERAL");
    assert!(state.circuit(&CircuitId::from(9)).is_some());
    let subscribed: Vec<_> =
        controller.subscribed_events().iter().map(|kind| kind.as_str().to_owned()).collect();
    assert_eq!(subscribed.len(), 8, "{subscribed:?}");
    drop(state);
    controller.get_info_one("version").unwrap();
    assert!(controller.subscribed_events().is_empty());
    drop(controller);
    tor.finish();
}

#[test]
fn a_line_that_cannot_be_parsed_is_named_and_the_others_are_used() {
    let reply = String::from_utf8(snapshot(
        &["7", "8 BUILT $E8F7~x PURPOSE=GENERAL", "!"],
        &["5", "6 NEW 0 a.example:80"],
    ));
    let reply = reply.unwrap().replace("=up", "=UP").replace("PROGRESS=100", "PROGRESS=x");
    let (tor, controller) = connected(move |script| {
        script.unchecked("lines that cannot be read");
        script.expect(SETEVENTS).send("250 OK\r\n").expect(GETINFO).send(reply);
        serve_events(script);
    });
    let state = State::new(&controller).unwrap();
    let missing: Vec<_> =
        state.missing().iter().map(|part| format!("{}: {}", part.name, part.error)).collect();
    assert_eq!(
        missing,
        [
            "circuit-status: cannot read circuit-status: expected the status of the circuit, got \
             \"7\"",
            "stream-status: cannot read stream-status: expected the status of the stream, got \
             \"5\"",
            "status/bootstrap-phase: cannot read the bootstrap progress: expected PROGRESS \
             in percent, got \"NOTICE BOOTSTRAP PROGRESS=x TAG=done SUMMARY=\\\"Done\\\"\"",
            "network-liveness: cannot read network-liveness: expected up or down, got \"UP\"",
        ]
    );
    assert_eq!((state.circuits().len(), state.streams().len()), (1, 1));
    assert!(state.bootstrap().is_none());
    send_event(&controller, "NETWORK_LIVENESS UP");
    assert!(state.is_live());
    drop((state, controller));
    tor.finish();
}

#[test]
fn a_complete_state_has_no_missing_parts() {
    let (tor, controller, state) = followed(&[], &[], serve_events);
    assert!(state.missing().is_empty());
    drop((state, controller));
    tor.finish();
}

#[test]
fn a_state_without_any_event_is_refused() {
    let (tor, controller) = connected(|script| {
        script.serve(|line, out| match line.starts_with("SETEVENTS") {
            true => out.extend_from_slice(b"510 Command filtered\r\n"),
            false => answer(line, out),
        });
    });
    let error = State::new(&controller).unwrap_err();
    assert!(matches!(&error, Error::Rejected(_)) && error.is_filtered(), "{error}");
    assert!(controller.subscribed_events().is_empty());
    drop(controller);
    tor.finish();
}
