use std::fs;

use nix::sys::signal::Signal::{SIGCONT, SIGINT, SIGSTOP, SIGTERM};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use torcon::{Password, Signal};

use crate::program::{endpoint, launch_tor, program};
use crate::pseudoterminal::Pseudoterminal;

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";

#[test]
fn commands_and_keys_are_completed() {
    let tor = launch_tor();
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("/help lists the commands");
    terminal.expect("tor> ");
    terminal.press("geti\t");
    terminal.expect("GETINFO ");
    terminal.press("traffic/w\t");
    terminal.expect("traffic/written ");
    terminal.press("\r");
    terminal.expect("traffic/written=");
    terminal.expect("tor> ");
    // Several candidates are listed.
    terminal.press("SIGNAL H\t");
    terminal.expect("HALT");
    terminal.expect("HEARTBEAT");
    terminal.press("EA\t\r");
    terminal.expect("OK");
    terminal.expect("tor> ");
    terminal.press("SETCONF maxcircuitd\t");
    terminal.expect("MaxCircuitDirtiness=");
    terminal.press("600\r");
    terminal.expect("OK");
    terminal.expect("tor> ");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn an_event_is_shown_above_the_line_that_is_typed() {
    let tor = launch_tor();
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("tor> ");
    terminal.press("SETEVENTS SIGNAL\r");
    terminal.expect("OK");
    terminal.expect("tor> ");
    terminal.type_slowly("GETINFO traffic/re");
    tor.controller().unwrap().signal(Signal::Heartbeat).unwrap();
    let before = terminal.expect(" SIGNAL HEARTBEAT");
    // The line is erased for the event, which has a time, and is shown again below it.
    assert!(
        before.contains('\x1b') && before.ends_with(|last: char| last.is_ascii_digit()),
        "{before:?}"
    );
    terminal.expect("tor> GETINFO traffic/re");
    terminal.type_slowly("ad");
    terminal.press("\r");
    terminal.expect("traffic/read=");
    terminal.expect("tor> ");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn completion_of_circuits_and_the_events_of_the_user_do_not_disturb_each_other() {
    let tor = launch_tor();
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("tor> ");
    // The first use subscribes to the events of a State.
    terminal.press(&format!("CLOSECIRCUIT \t{CTRL_C}"));
    terminal.expect("tor> ");
    terminal.press("/events SIGNAL\r");
    terminal.expect("OK");
    terminal.expect("tor> ");
    terminal.type_slowly("SIGNAL HEARTBEAT");
    terminal.press("\r");
    terminal.expect(" SIGNAL HEARTBEAT");
    terminal.expect("tor> ");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn ctrl_c_clears_the_line_and_discards_data() {
    let tor = launch_tor();
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("tor> ");
    terminal.press("SIGNAL HALT");
    terminal.expect("HALT");
    terminal.press(CTRL_C);
    terminal.expect("tor> ");
    terminal.press("+LOADCONF\r");
    terminal.expect("... ");
    terminal.press("Nonsense 1\r");
    terminal.expect("... ");
    terminal.press(CTRL_C);
    terminal.expect("tor> ");
    terminal.press("getinfo config-can-saveconf\r");
    terminal.expect("config-can-saveconf=");
    terminal.press("/quit\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn ctrl_c_ends_the_wait_for_a_reply() {
    let tor = launch_tor();
    let pid = Pid::from_raw(tor.pid().try_into().unwrap());
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("tor> ");
    kill(pid, SIGSTOP).unwrap();
    terminal.press("GETINFO version\r");
    // The terminal of a shell sends this signal at Ctrl-C. While a line is read, it does nothing.
    while !terminal.shows("the rest of the reply is discarded") {
        terminal.signal(SIGINT);
    }
    let shown = terminal.expect("tor> ");
    assert!(!shown.contains("version="), "{shown}");
    kill(pid, SIGCONT).unwrap();
    terminal.press("GETINFO process/pid\r");
    let shown = terminal.expect(&format!("process/pid={pid}"));
    assert!(!shown.contains("version="), "{shown}");
    terminal.expect("tor> ");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_signal_that_ends_the_program_restores_the_terminal() {
    let tor = launch_tor();
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("tor> ");
    terminal.press("GETINFO vers");
    terminal.expect("vers");
    terminal.signal(SIGTERM);
    assert_eq!(terminal.wait(), 128 + 15);
}

#[test]
fn a_lost_connection_is_reported_while_a_line_is_typed() {
    let tor = launch_tor();
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("tor> ");
    terminal.press("GETINFO vers");
    terminal.expect("GETINFO vers");
    tor.kill().unwrap();
    terminal.expect("the connection to tor is lost: tor closed the connection");
    assert_eq!(terminal.wait(), 1);
}

#[test]
fn the_history_is_kept_without_secrets() {
    let tor = launch_tor();
    let state = tempfile::tempdir().unwrap();
    let run = |keys: &[(&str, &str)]| {
        let mut program = program([endpoint(&tor)]);
        program.env("XDG_STATE_HOME", state.path());
        let mut terminal = Pseudoterminal::spawn(program);
        for (keys, shown) in keys {
            terminal.expect("tor> ");
            terminal.press(keys);
            terminal.expect(shown);
        }
        terminal.expect("tor> ");
        terminal.press(CTRL_D);
        assert_eq!(terminal.wait(), 0);
    };
    run(&[
        ("GETCONF DisableNetwork\r", "DisableNetwork=1"),
        ("ADD_ONION ED25519-V3:hunter2 Port=80\r", "\n51"),
        ("SETCONF HashedControlPassword=hunter2\r", "\n51"),
    ]);
    let kept = fs::read_to_string(state.path().join("torcon/prompt_history")).unwrap();
    assert_eq!(kept, "GETCONF DisableNetwork\n");
    run(&[(&format!("{UP}\r"), "DisableNetwork=1")]);
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let tor = launch_tor();
    let hash = Password::from("correct horse").hashed().unwrap();
    let settings = [("CookieAuthentication", "0"), ("HashedControlPassword", &hash)];
    tor.controller().unwrap().set_conf(settings).unwrap();
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("password of tor's control port: ");
    terminal.press("correct horse\r");
    let shown = terminal.expect("tor> ");
    assert!(!shown.contains("horse"), "{shown}");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait(), 0);

    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("password of tor's control port: ");
    terminal.press("wrong\r");
    terminal.expect("515");
    assert_eq!(terminal.wait(), 1);

    // The terminal shows again what is typed.
    let mut terminal = Pseudoterminal::spawn(program([endpoint(&tor)]));
    terminal.expect("password of tor's control port: ");
    terminal.signal(SIGTERM);
    assert_eq!(terminal.wait(), 128 + 15);
}
