use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use tempfile::TempDir;
use torcon::process::Ready;
use torcon::{Controller, Event, EventKind, EventQueue, Launcher};

use super::{LIMIT, shared_network};

/// Waits until each of the kinds has come, and checks that every event on the way has a type.
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
    // tor's log is of no use here.
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

    // A transport that says that it is ready and does nothing.
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
