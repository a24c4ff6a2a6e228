use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;

use torcon::event::Event;
use torcon::names::CircuitStatus;
use torcon::{EventKind, TorProcess};

use super::raw_socks::{Command, Echo, ask};
use super::retry::{find_in, retried};
use super::{LIMIT, join, shared_network};

pub(super) fn socks_port(tor: &TorProcess) -> SocketAddr {
    let listeners = tor.controller().unwrap().get_info_one("net/listeners/socks").unwrap();
    listeners.trim_matches('"').parse().expect("tor listens for SOCKS on one port")
}

#[test]
fn a_tor_joins_builds_circuits_and_reaches_a_server_through_an_exit() {
    let tor = join();
    assert_eq!(tor.progress().percent, 100);
    let controller = tor.controller().unwrap();

    // A circuit along chosen relays.
    let relays = shared_network().relays();
    let path: Vec<_> = relays[1..4].iter().map(|relay| relay.fingerprint.to_string()).collect();
    let events = controller.events([EventKind::Circ]).unwrap();
    retried(controller, "the circuit is built", || {
        let reply = controller.command(&format!("EXTENDCIRCUIT 0 {}", path.join(","))).unwrap();
        let text = reply.text().into_owned();
        let id = text.strip_prefix("EXTENDED ").expect("tor names the circuit");
        let built = find_in(&events, LIMIT, |event| {
            let Event::Circ(circ) = event else { return None };
            let ours = circ.id().to_string() == id && circ.status() != CircuitStatus::Extended;
            let over = circ.status() != CircuitStatus::Launched;
            (ours && over).then_some(circ.status())
        });
        if built == Some(CircuitStatus::Built) { Ok(()) } else { Err(format!("{built:?}")) }
    });

    // A stream, a mebibyte each way.
    let echo = Echo::start();
    let command = Command::Connect(echo.address.port());
    let (stream, _) = retried(controller, "the server is reached", || {
        ask(socks_port(&tor), "127.0.0.1", command).map_err(|code| format!("refused by {code}"))
    });
    let sent: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_be_bytes).collect();
    let mut received = vec![0; sent.len()];
    thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&sent).unwrap());
        (&stream).read_exact(&mut received).unwrap();
    });
    assert!(received == sent, "the echo differs");
    // tor has no half-closed streams.
    drop(stream);
    assert_eq!(echo.finish(), 1 << 20);
    tor.quit().unwrap();
}

#[test]
fn names_are_resolved_by_the_network_s_own_server() {
    let tor = join();
    let server = socks_port(&tor);
    let controller = tor.controller().unwrap();
    for (host, command, expected) in [
        ("some.test", Command::Resolve, Ok("127.0.0.1")),
        ("192.0.2.7", Command::ResolvePtr, Ok("loopback.test")),
        // 4 is "host unreachable".
        ("a.nx.test", Command::Resolve, Err(4)),
    ] {
        retried(controller, &format!("{host} has its answer"), || {
            let answer = ask(server, host, command).map(|(_, answer)| answer);
            let is_right = answer.as_deref() == expected.as_ref().copied();
            assert!(is_right || answer.is_err(), "{answer:?}");
            if is_right { Ok(()) } else { Err(format!("{answer:?}")) }
        });
    }

    let echo = Echo::start();
    let command = Command::Connect(echo.address.port());
    let (mut stream, _) = retried(controller, "the name leads to the server", || {
        ask(server, "echo.test", command).map_err(|code| format!("refused by {code}"))
    });
    stream.write_all(b"by name").unwrap();
    let mut text = [0; 7];
    stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"by name");
    drop(stream);
    assert_eq!(echo.finish(), 7);
}

#[test]
fn an_exit_reaches_no_address_beyond_this_machine() {
    let tor = join();
    // An address for documentation, which no host has.
    let code = ask(socks_port(&tor), "192.0.2.1", Command::Connect(80)).map(drop);
    assert!(code.is_err(), "{code:?}");
}
