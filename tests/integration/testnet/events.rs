use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use tempfile::TempDir;
use torcon::event::StatusDetail;
use torcon::names::{ClientProtocol, Signal};
use torcon::process::Ready;
use torcon::{Controller, Event, EventKind, EventQueue, Launcher};

use super::joining::socks_port;
use super::{LIMIT, join, shared_network};

/// Waits for an event of each kind, and checks that every event has a type.
#[track_caller]
fn wait_for(events: &EventQueue, kinds: &str) {
    let deadline = Instant::now() + LIMIT;
    let mut missing: BTreeSet<_> = kinds.split(' ').map(EventKind::from).collect();
    while !missing.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left);
        let event = event.unwrap_or_else(|error| panic!("{missing:?} did not come: {error}"));
        let has_type =
            !matches!(event, Event::Other(_) | Event::Malformed { .. } | Event::Lagged { .. });
        assert!(has_type, "{event:?}");
        missing.remove(&event.kind().expect("an event of tor has a kind"));
    }
}

fn all_events(controller: &Controller) -> EventQueue {
    let names = controller.get_info_one("events/names").unwrap();
    let kinds = names.split(' ').map(EventKind::from);
    // tor's log is not used here.
    let is_log = |kind: &EventKind| matches!(kind, EventKind::Debug | EventKind::Info);
    controller.events(kinds.filter(|kind| !is_log(kind)).collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_tor_that_joins_makes_nearly_every_kind_of_event_and_all_have_types() {
    let launcher = Launcher::new().network(shared_network()).wait_for(Ready::Controller);
    let launcher = launcher
        .option("DisableNetwork", "1")
        .option("SocksPort", "127.0.0.1:auto")
        .option("UseMicrodescriptors", "0")
        .option("TestingEnableConnBwEvent", "1")
        .option("TestingEnableCellStatsEvent", "1");
    let tor = launcher.timeout(LIMIT).launch().expect("tor starts without the network");
    let controller = tor.controller().unwrap();
    let events = all_events(controller);
    controller.set_conf([("DisableNetwork", "0")]).unwrap();
    wait_for(
        &events,
        "CONF_CHANGED NOTICE NETWORK_LIVENESS ORCONN GUARD NEWDESC NEWCONSENSUS NS CIRC CIRC_MINOR \
         STREAM STREAM_BW BW CIRC_BW CONN_BW CELL_STATS STATUS_CLIENT",
    );
    controller.command("DROPTIMEOUTS").unwrap();
    controller.command("MAPADDRESS a.test=b.test").unwrap();
    wait_for(&events, "BUILDTIMEOUT_SET ADDRMAP");

    // A transport that reports that it is ready and does nothing.
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("transport");
    let lines = "echo VERSION 1\n\
                 echo CMETHOD stub socks5 127.0.0.1:1\n\
                 echo CMETHODS DONE\n\
                 cat > /dev/null\n";
    fs::write(&script, lines).unwrap();
    let plugin = format!("stub exec /bin/sh {}", script.display());
    controller
        .set_conf([
            ("UseBridges", "1"),
            ("Bridge", "stub 127.0.0.1:1"),
            ("ClientTransportPlugin", &plugin),
        ])
        .unwrap();
    wait_for(&events, "TRANSPORT_LAUNCHED");
}

/// Waits for a status event that satisfies the predicate.
#[track_caller]
fn wait_until(events: &EventQueue, what: &str, is_wanted: impl Fn(&StatusDetail) -> bool) {
    let mut told = Vec::new();
    let mut is_it = |event: Event| {
        told.push(event.to_string());
        matches!(event, Event::Status(status) if is_wanted(&status.detail()))
    };
    assert!(events.timeout_iter(LIMIT).any(&mut is_it), "{what} was not reported, but {told:?}");
}

#[test]
fn mistakes_of_applications_are_reported_with_their_arguments() {
    let tor = join();
    let controller = tor.controller().unwrap();
    controller.set_conf([("SafeSocks", "1")]).unwrap();
    let events = controller.events([EventKind::StatusClient, EventKind::Signal]).unwrap();
    let server = socks_port(&tor);

    let mut careless = TcpStream::connect(server).unwrap();
    careless.write_all(&[5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 7, 0, 80]).unwrap();
    wait_until(&events, "the address", |detail| {
        let StatusDetail::DangerousSocks { protocol, address, .. } = detail else { return false };
        assert_eq!(protocol, &Some(ClientProtocol::Socks5));
        assert_eq!(address.as_ref().unwrap().as_str(), "192.0.2.7:80");
        true
    });
    let mut browser = TcpStream::connect(server).unwrap();
    browser.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").unwrap();
    wait_until(&events, "the protocol", |detail| {
        let StatusDetail::SocksUnknownProtocol { data, .. } = detail else { return false };
        assert!(data.as_ref().unwrap().as_bytes().starts_with(b"GET /"), "{detail:?}");
        true
    });
    for signal in [Signal::Dormant, Signal::Active] {
        controller.signal(signal.clone()).unwrap();
        let is_it = |event| matches!(event, Event::Signal(event) if event.signal() == signal);
        assert!(events.timeout_iter(LIMIT).any(is_it), "{signal} was not told");
    }
}
