//! A launch behind a bridge: of the private network, through a proxy, and with a transport whose
//! program is missing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use torcon::Error;
use torcon::error::LaunchProblem;
use torcon::names::{BridgeLine, TransportPlugin, UpstreamProxy};
use torcon::process::{Launcher, Ready};

use super::fake_process::{FakeProcess, LONG, stalled};
use crate::error_text::{chain, check_text};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::real_tor::tor_binary;
use crate::support::watchdog::eventually;
use crate::testnet::shared_network;

/// A launcher behind a bridge that does not answer, with limits that only a failed test reaches.
fn behind(bridge: &str) -> Launcher {
    Launcher::new()
        .program(tor_binary())
        .option("SocksPort", "0")
        .bridge(&bridge.parse().unwrap())
        .timeout(LONG)
        .stall_timeout(LONG)
}

#[test]
fn a_launch_whose_transport_program_is_missing_fails_at_once_with_the_reason() {
    exclusive(|| {
        let before = Holdings::now();
        let begin = Instant::now();
        let plugin = TransportPlugin::exec(["obfs4"], "/nonexistent/obfs4proxy").unwrap();
        let launcher = behind("obfs4 127.0.0.1:1 cert=x").transport_plugin(&plugin);
        let error = launcher.launch().unwrap_err();
        check_text(&error);
        assert!(begin.elapsed() < LONG / 2, "{:?}", begin.elapsed());
        let text = chain(&error);
        let Error::Launch(error) = error else { panic!("{error:?}") };
        assert!(matches!(error.problem(), LaunchProblem::TransportProgram { .. }), "{error:?}");
        assert!(
            text.contains("tor says \"Managed proxy \\\"/nonexistent/obfs4proxy\\\""),
            "{text}"
        );
        let end = ": the transport program \"/nonexistent/obfs4proxy\" cannot be executed: No such \
                   file or directory (os error 2); hint: install the program of the transport, or \
                   correct its path in ClientTransportPlugin";
        assert!(text.ends_with(end), "{text}");
        before.assert_restored(LONG);
    });
}

#[test]
fn a_transport_program_that_does_not_answer_has_a_hint() {
    let silent = FakeProcess::new("exec sleep 1000");
    let plugin = TransportPlugin::exec(["obfs4"], silent.path()).unwrap();
    let hint = "; hint: the program that ClientTransportPlugin names has not answered: check that it is \
                that of a transport";
    let launcher = || behind("obfs4 127.0.0.1:1 cert=x").transport_plugin(&plugin);
    stalled(launcher, hint);
}

#[test]
fn a_transport_program_that_fails_is_to_be_checked() {
    let script = "echo VERSION-ERROR no-version\nexec sleep 1000";
    let failing = FakeProcess::new(script);
    let plugin = TransportPlugin::exec(["obfs4"], failing.path()).unwrap();
    let launcher = || behind("obfs4 127.0.0.1:1 cert=x").transport_plugin(&plugin);
    stalled(launcher, "; hint: check the program that ClientTransportPlugin names");
}

#[test]
fn a_missing_program_keeps_tor_from_every_other_bridge_too() {
    let network = shared_network();
    let relay = &network.relays()[1];
    let plain = BridgeLine::new(([127, 0, 0, 1], relay.or_port).into()).unwrap();
    let plugin = TransportPlugin::exec(["obfs4"], "/nonexistent/obfs4proxy").unwrap();
    let launcher = Launcher::new()
        .network(network)
        .bridge(&plain)
        .bridge(&"obfs4 127.0.0.1:1 cert=x".parse().unwrap())
        .transport_plugin(&plugin)
        .timeout(LONG);
    let Err(Error::Launch(error)) = launcher.launch() else { panic!("it cannot bootstrap") };
    assert!(matches!(error.problem(), LaunchProblem::TransportProgram { .. }), "{error:?}");
}

#[test]
fn a_missing_program_is_no_reason_to_fail_if_only_the_controller_is_waited_for() {
    let plugin = TransportPlugin::exec(["obfs4"], "/nonexistent/obfs4proxy").unwrap();
    // tor starts the program once the network is enabled; tor 0.4.8 ends at a missing one.
    let launcher = behind("obfs4 127.0.0.1:1 cert=x").transport_plugin(&plugin);
    let tor = launcher.option("DisableNetwork", "1").wait_for(Ready::Controller).launch().unwrap();
    tor.quit().unwrap();
}

#[test]
fn every_circuit_of_a_tor_behind_a_bridge_begins_at_the_bridge() {
    let network = shared_network();
    let relays = network.relays();
    let relay = relays.iter().find(|relay| !relay.is_authority).unwrap();
    let bridge = BridgeLine::new(([127, 0, 0, 1], relay.or_port).into()).unwrap();
    let bridge = bridge.with_fingerprint(relay.fingerprint);
    let launcher = Launcher::new().network(network).bridge(&bridge).timeout(LONG);
    launcher.verify().unwrap();
    let tor = launcher.launch().unwrap();
    let controller = tor.controller().unwrap();
    // 17 BUILT $0123...~name,$4567...~name BUILD_FLAGS=...
    let first_hops = || {
        let circuits = controller.get_info_one("circuit-status").unwrap();
        let paths = circuits.lines().filter_map(|line| line.split(' ').nth(2));
        let hops = paths.filter_map(|path| path.strip_prefix('$')?.get(..40));
        hops.map(str::to_owned).collect::<Vec<_>>()
    };
    eventually(LONG, "a circuit exists", || !first_hops().is_empty());
    for hop in first_hops() {
        assert_eq!(hop, relay.fingerprint.to_string());
    }
    tor.quit().unwrap();
}

/// Accepts one connection, answers its first bytes, and reads until `end` has arrived.
fn bytes_until(listener: &TcpListener, answer: &[u8], end: &[u8]) -> Vec<u8> {
    let (mut client, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    let mut bytes = Vec::new();
    while !bytes.windows(end.len()).any(|part| part == end) {
        let mut chunk = [0; 1024];
        let count = client.read(&mut chunk).unwrap();
        assert!(count > 0, "the connection ended after {:?}", String::from_utf8_lossy(&bytes));
        if bytes.is_empty() {
            client.write_all(answer).unwrap();
        }
        bytes.extend(&chunk[..count]);
    }
    bytes
}

#[test]
fn a_launched_tor_connects_through_its_upstream_proxy() {
    for (scheme, answer, expected) in [
        // SOCKS4: version, CONNECT, port 9, address.
        ("socks4://", &b""[..], &b"\x04\x01\x00\x09\xc0\x00\x02\x07"[..]),
        // SOCKS5: the methods, then user name and password.
        ("socks5://ann:p%20w@", b"\x05\x02", b"\x01\x03ann\x03p w"),
        // HTTP: the authenticator "ann:p w" in base64.
        ("http://ann:p%20w@", b"", b"Proxy-Authorization: Basic YW5uOnAgdw=="),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let proxy: UpstreamProxy = format!("{scheme}{address}").parse().unwrap();
        let read = move || bytes_until(&listener, answer, expected);
        let reader = thread::Builder::new().name("proxy".to_owned()).spawn(read).unwrap();
        // Nothing leaves the machine: tor connects to the proxy only.
        let tor = behind("192.0.2.7:9").upstream_proxy(&proxy).spawn().unwrap();
        let bytes = reader.join().unwrap();
        let is_http = bytes.starts_with(b"CONNECT 192.0.2.7:9 HTTP/1.");
        assert_eq!(is_http, scheme.starts_with("http"), "{bytes:?}");
        tor.kill().unwrap();
        tor.wait_timeout(LONG).unwrap();
    }
}

#[test]
fn a_bridge_that_refuses_connections_is_reported_at_the_limit() {
    // A port that was just free.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    stalled(|| behind(&address.to_string()), "% bootstrapped");
}
