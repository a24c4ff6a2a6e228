//! The parts of the state of tor that change without a separate event.

use std::sync::Arc;

use parking_lot::Mutex;
use torcon::info::EntryGuardStatus;
use torcon::state::{AddressChange, State};
use torcon::{Controller, Error};

use super::{LIMIT, greet, send_event};
use crate::scripted::{connected, next};
use crate::support::fake_tor::FakeTor;

const GUARD: &str = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r";

/// The answers of a fake tor, by key.
type Answers = Arc<Mutex<Vec<(&'static str, String)>>>;

fn followed() -> (FakeTor, Controller, State, Answers) {
    let answers = Answers::default();
    let given = Arc::clone(&answers);
    let (tor, controller) = connected(move |script| {
        greet(script, &[], &[]);
        script.serve(move |line, out| {
            let keys = line.strip_prefix("GETINFO ").unwrap_or_default();
            let given = given.lock();
            let find = |key: &str| given.iter().find(|(other, _)| *other == key);
            if !keys.is_empty() && keys.split(' ').all(|key| find(key).is_some()) {
                for key in keys.split(' ') {
                    let (_, value) = find(key).unwrap();
                    out.extend_from_slice(format!("250+{key}=\r\n{value}.\r\n").as_bytes());
                }
                return out.extend_from_slice(b"250 OK\r\n");
            }
            if let Some(text) = keys.strip_prefix("event/") {
                out.extend_from_slice(format!("650{}\r\n", text.replace('|', " ")).as_bytes());
            }
            super::answer(line, out);
        });
    });
    let state = State::new(&controller).unwrap();
    (tor, controller, state, answers)
}

/// The queries since the state was made.
fn queries(tor: &FakeTor) -> Vec<String> {
    let is_question =
        |line: &&String| line.starts_with("GETINFO ") && !line.starts_with("GETINFO event/");
    tor.lines().iter().filter(is_question).skip(1).cloned().collect()
}

#[test]
fn guards_are_refreshed_once_after_an_event_that_can_be_the_reason() {
    let (tor, controller, state, answers) = followed();
    answers.lock().push(("entry-guards", format!("{GUARD} down 2026-11-23 10:14:06\r\n")));
    assert!(state.guards().is_empty());
    assert!(queries(&tor).is_empty());
    send_event(&controller, &format!(" GUARD ENTRY {GUARD} DOWN"));
    let guards = state.guards();
    assert_eq!(guards[0].status, EntryGuardStatus::Down);
    assert!(guards[0].since.is_some(), "the event does not say since when, but the answer does");
    assert_eq!(state.guards(), guards);
    assert_eq!(queries(&tor), ["GETINFO entry-guards"]);
    // The guard leaves the sample without an event.
    answers.lock()[0].1 = String::new();
    send_event(&controller, " STATUS_CLIENT NOTICE CONSENSUS_ARRIVED");
    assert_eq!(state.snapshot().guards, []);
    assert_eq!(queries(&tor).len(), 2);
    drop((state, controller));
    tor.finish();
}

#[test]
fn mappings_are_refreshed_after_a_reload_and_listeners_get_the_changes() {
    let (tor, controller, state, answers) = followed();
    send_event(&controller, " ADDRMAP a.example b.example NEVER CACHED=\"YES\"");
    let (seen, updates) = crossbeam_channel::unbounded();
    state
        .on_address(move |update| {
            seen.send((update.mapping.address.clone(), update.change)).unwrap();
        })
        .unwrap();
    assert_eq!(next(&updates), ("a.example".to_owned(), AddressChange::Existing));
    // The event does not show that it is a wildcard.
    answers.lock().push(("address-mappings/all", "*.a.example *.b.example NEVER\r\n".to_owned()));
    assert_eq!(state.address_map()[0].address, "*.a.example");
    assert_eq!(next(&updates), ("*.a.example".to_owned(), AddressChange::Mapped));
    assert_eq!(next(&updates), ("a.example".to_owned(), AddressChange::Removed));
    answers.lock()[0].1 = String::new();
    assert_eq!(state.address_map().len(), 1, "nothing has happened");
    send_event(&controller, " SIGNAL RELOAD");
    assert!(state.address_map().is_empty());
    assert_eq!(next(&updates), ("*.a.example".to_owned(), AddressChange::Removed));
    assert_eq!(queries(&tor), ["GETINFO address-mappings/all"; 2]);
    drop((state, controller));
    tor.finish();
}

#[test]
fn the_end_of_an_old_connection_does_not_remove_the_current_one() {
    let (tor, controller, state, answers) = followed();
    answers.lock().push(("orconn-status", format!("{GUARD} CONNECTED\r\n")));
    send_event(&controller, &format!(" ORCONN {GUARD} CONNECTED ID=4"));
    send_event(&controller, &format!(" ORCONN {GUARD} LAUNCHED ID=9"));
    send_event(&controller, &format!(" ORCONN {GUARD} CLOSED REASON=DONE ID=4"));
    send_event(&controller, &format!(" ORCONN {GUARD} CLOSED REASON=DONE ID=3"));
    assert_eq!(state.connections()[0].id, "9".parse().ok());
    send_event(&controller, &format!(" ORCONN {GUARD} CONNECTED"));
    let connections = state.connections();
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].id, "9".parse().ok());
    drop((state, controller));
    tor.finish();
}

#[test]
fn the_last_answer_stays_if_tor_refuses_or_the_connection_ends() {
    let (tor, controller, state, _) = followed();
    send_event(&controller, &format!(" GUARD ENTRY {GUARD} DOWN"));
    // The answer cannot be parsed as a list of guards.
    assert_eq!(state.guards().len(), 1);
    send_event(&controller, " SIGNAL RELOAD");
    controller.close();
    assert_eq!(state.guards().len(), 1);
    assert_eq!(state.snapshot().guards.len(), 1);
    assert!(controller.wait_closed(LIMIT).is_ok());
    assert!(matches!(state.relays(), Err(Error::Closed(_))));
    drop((state, controller));
    tor.finish();
}
