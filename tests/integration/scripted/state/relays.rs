use torcon::state::State;

use super::{followed, serve_events};
use crate::support::fake_tor::FakeTor;
use crate::support::script::Script;

/// The events of a state that follows relays too.
pub(super) const SETEVENTS: &str = "SETEVENTS ADDRMAP CIRC CIRC_MINOR CONF_CHANGED GUARD NETWORK_LIVENESS NEWCONSENSUS NEWDESC NS \
     ORCONN SIGNAL STATUS_CLIENT STREAM";

/// An entry of the consensus; the letter determines the identity.
fn entry(letter: char, name: &str, flags: &str) -> String {
    let identity = letter.to_string().repeat(26) + "A";
    format!(
        "r {name} {identity} {identity} 2038-01-01 00:00:00 127.0.0.1 5000 0\r\n\
         s {flags}\r\nw Bandwidth=20\r\n"
    )
}

fn answer(entries: &[String]) -> String {
    format!("250+ns/all=\r\n{}.\r\n250 OK\r\n", entries.concat())
}

fn names(state: &State) -> Vec<String> {
    state.relays().unwrap().iter().map(|relay| relay.nickname().to_string()).collect()
}

/// A state on a tor that runs `play` after the state was made.
fn made(play: impl FnOnce(&mut Script) + Send + 'static) -> (FakeTor, State) {
    let (tor, _, state) = followed(&[], &[], play);
    (tor, state)
}

#[test]
fn relays_are_loaded_once_at_the_first_request() {
    let (tor, state) = made(|script| {
        script.expect(SETEVENTS).send("250 OK\r\n");
        let two = [entry('B', "alice", "Authority Running"), entry('C', "bob", "Running")];
        script
            .expect("GETINFO ns/all")
            .send(answer(&[&two[..], &[entry('D', "bob", "Fast")]].concat()));
        serve_events(script);
    });
    assert_eq!(tor.lines().len(), 4, "{:?}", tor.lines());
    assert_eq!(names(&state), ["alice", "bob", "bob"]);
    let bobs = state.relays_named("bob".parse().unwrap()).unwrap();
    assert_eq!(bobs.len(), 2);
    assert_ne!(bobs[0].identity(), bobs[1].identity());
    let found = state.relay(bobs[1].identity()).unwrap().unwrap();
    assert_eq!(found, bobs[1]);
    assert_eq!(state.relay([7; 20].into()).unwrap(), None);
    let authorities = state.authorities().unwrap();
    assert_eq!(authorities.len(), 1);
    assert_eq!(authorities[0].nickname().as_str(), "alice");
    assert_eq!(tor.lines().len(), 6, "{:?}", tor.lines());
    drop(state);
    tor.finish();
}

#[test]
fn events_update_the_relays_without_a_command() {
    let (tor, state) = made(|script| {
        script.expect(SETEVENTS).send_lines(&["250 OK", "650+NS"]);
        // The answer is newer than the event.
        script.send(entry('B', "old", "Fast")).send(".\r\n650 OK\r\n").expect("GETINFO ns/all");
        script.send(answer(&[entry('B', "alice", "Running"), entry('C', "bob", "Running")]));
        script.expect("GETINFO 1").send("650+NS\r\n");
        script.send(entry('C', "bob", "Fast")).send(entry('D', "carol", "Fast"));
        script.send(".\r\n650 OK\r\n250-1=\r\n250 OK\r\n");
        script.expect("GETINFO 2").send("650+NS\r\n").send(entry('E', "eve", "Fast"));
        script.send(".\r\n650 OK\r\n650+NEWCONSENSUS\r\n");
        script.send(entry('C', "bob", "Exit")).send(".\r\n650 OK\r\n250-2=\r\n250 OK\r\n");
        script.drain();
    });
    let before = state.relays().unwrap();
    assert_eq!(names(&state), ["alice", "bob"]);
    state.controller().get_info_one("1").unwrap();
    assert_eq!(names(&state), ["alice", "bob", "carol"]);
    let bob = &state.relays_named("bob".parse().unwrap()).unwrap()[0];
    assert_eq!(bob.flags().map(|flag| flag.to_string()).collect::<Vec<_>>(), ["Fast"]);
    state.controller().get_info_one("2").unwrap();
    assert_eq!(names(&state), ["bob"], "a consensus says everything");
    assert_eq!(before.len(), 2, "what is kept stays as it was");
    assert_eq!(format!("{before:?}"), "Relays(2)");
    drop(state);
    tor.finish();
}

#[test]
fn the_descriptor_of_an_unknown_relay_makes_the_next_call_load_again() {
    let (tor, state) = made(|script| {
        script.expect(SETEVENTS).send("250 OK\r\n").expect("GETINFO ns/all");
        script.send(answer(&[entry('B', "alice", "Running")]));
        // `B` is 1 in base64: 000001 repeated.
        let known = "$0410410410410410410410410410410410410410";
        script.expect("GETINFO 1");
        script.send(format!("650 NEWDESC {known}~alice\r\n250-1=\r\n250 OK\r\n"));
        let unknown = known.replace("0410", "0820");
        script.expect("GETINFO 2");
        script.send(format!("650 NEWDESC {known}~alice {unknown}~bob\r\n250-2=\r\n250 OK\r\n"));
        script.expect("GETINFO ns/all");
        script.send(answer(&[entry('B', "alice", "Running"), entry('C', "bob", "Running")]));
        script.drain();
    });
    assert_eq!(names(&state), ["alice"]);
    state.controller().get_info_one("1").unwrap();
    assert_eq!(names(&state), ["alice"]);
    state.controller().get_info_one("2").unwrap();
    assert_eq!(names(&state), ["alice", "bob"]);
    drop(state);
    tor.finish();
}

#[test]
fn a_line_in_place_of_an_event_makes_the_next_call_load_again() {
    let (tor, state) = made(|script| {
        script.unchecked("lines that a filter has replaced");
        script.expect(SETEVENTS).send("250 OK\r\n").expect("GETINFO ns/all");
        // The event precedes the answer, which reflects it.
        script.send("XXXredactedXXX\r\n").send(answer(&[entry('B', "alice", "Running")]));
        script.expect("GETINFO 1").send("XXXredactedXXX\r\n250-1=\r\n250 OK\r\n");
        script.answer("GETINFO traffic/read", &["250-traffic/read=1", "250 OK"]);
        script.expect("GETINFO ns/all");
        script.send(answer(&[entry('B', "alice", "Running"), entry('C', "bob", "Running")]));
        script.drain();
    });
    assert_eq!(names(&state), ["alice"]);
    assert_eq!(names(&state), ["alice"]);
    state.controller().get_info_one("1").unwrap();
    state.controller().get_info_one("traffic/read").unwrap();
    assert_eq!(names(&state), ["alice", "bob"]);
    assert_eq!(names(&state), ["alice", "bob"]);
    drop(state);
    tor.finish();
}

#[test]
fn relays_that_could_not_be_loaded_are_loaded_by_the_next_call() {
    let (tor, state) = made(|script| {
        script.expect(SETEVENTS).send("250 OK\r\n").expect("GETINFO ns/all");
        script.send("551 Not now\r\n").expect("GETINFO ns/all");
        script.send(answer(&[entry('B', "alice", "Running"), "r broken\r\n".to_owned()]));
        script.drain();
    });
    let error = state.relays().unwrap_err();
    assert_eq!(error.to_string(), "tor refused GETINFO: 551 \"Not now\"");
    assert_eq!(names(&state), ["alice"], "an entry that cannot be read is left out");
    drop(state);
    tor.finish();
}
