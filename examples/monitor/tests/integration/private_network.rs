//! The monitor of a private network: all of it at once, since the network takes seconds to start.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::{Session, children, is_running};

#[test]
fn a_private_network_is_shown_and_a_killed_tor_is_replaced() {
    let mut session = Session::start((80, 24), &["--private-network"]);
    session.wait_for("private network:");
    let screen = session.wait_for("connection 1: up");
    let killed = pid_in(&screen);

    session.press("2");
    session.wait_until("circuits and streams", |screen| {
        screen.contains(" BUILT ") && screen.contains(".example.test:")
    });
    session.press("3");
    session.wait_for("guard");
    session.press("4");
    session.wait_until("an onion service", |screen| {
        screen.contains(".onion") && screen.contains("descriptor: ") && screen.contains("RECEIVED")
    });

    kill(Pid::from_raw(killed.try_into().unwrap()), Signal::SIGKILL).unwrap();
    let screen = session.wait_for("connection 2: up");
    assert_ne!(pid_in(&screen), killed);
    // The service is restored.
    session.wait_for(".onion");
    session.press("5");
    session.wait_for("connected to tor again, connection 2");

    session.resize((140, 50));
    session.wait_until("50 rows", |screen| screen.lines().count() == 50);
    let tors = children(session.pid());
    assert!(tors.len() >= 7, "{tors:?}");
    session.press("\x03");
    assert_eq!(session.wait_end().code(), Some(0));
    assert!(!tors.into_iter().any(is_running));
}

#[test]
fn a_private_network_ends_while_it_starts() {
    let session = Session::start((80, 24), &["--private-network"]);
    session.wait_for("private network: launching the relays");
    let tors = children(session.pid());
    session.signal(Signal::SIGTERM);
    session.wait_end();
    assert!(!tors.into_iter().any(is_running));
}

fn pid_in(screen: &str) -> u32 {
    let (_, rest) = screen.split_once("pid ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}
