//! A model as a busy tor makes it, for the tests of the view, and tests of the connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use torcon::names::Severity;

use super::{
    Bootstrap, Circuit, Connection, DescriptorEvent, Entry, Live, Model, OrConnection, Process,
    Relay, Service, Stream, Update,
};

pub(crate) const ADDRESS: &str = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd";

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(43_387) - Duration::from_secs(60)
        + Duration::from_secs(seconds)
}

fn relay(name: &str, country: Option<&str>, flags: &str) -> Relay {
    let country = country.map(ToOwned::to_owned);
    Relay { name: name.to_owned(), country, flags: flags.to_owned() }
}

fn stream(id: &str, status: &str, target: &str) -> Stream {
    let (id, status, target) = (id.to_owned(), status.to_owned(), target.to_owned());
    Stream { id, status, target, purpose: None }
}

fn live() -> Live {
    let guard = relay("guardian", Some("de"), "GFSHV");
    let path = |names: &[&str]| {
        let others = names.iter().map(|name| relay(name, Some("nl"), "EFV"));
        std::iter::once(guard.clone()).chain(others).collect::<Vec<_>>()
    };
    let circuit = |id: &str, status: &str, purpose: &str, path| Circuit {
        id: id.to_owned(),
        status: status.to_owned(),
        purpose: purpose.to_owned(),
        created: Some(at(0)),
        path,
        ..Circuit::default()
    };
    let mut first = circuit("7", "BUILT", "GENERAL", path(&["middle1", "AnExitWithALongName"]));
    first.streams = vec![
        stream("21", "SUCCEEDED", "www.example.com:443"),
        stream("22", "SENTCONNECT", "mail.example.com:993"),
    ];
    let mut second = circuit("8", "BUILT", "HS_CLIENT_REND", path(&["middle2", "middle3"]));
    second.detail = Some("JOINED".to_owned());
    let third = circuit("12", "EXTENDED", "GENERAL", path(&[]));
    let connection = |id: &str, status: &str, peer, address: Option<&str>, is_guard| OrConnection {
        id: Some(id.to_owned()),
        status: status.to_owned(),
        peer,
        address: address.map(ToOwned::to_owned),
        is_guard,
    };
    let summary = "Done".to_owned();
    Live {
        circuits: vec![first, second, third],
        waiting: vec![stream("23", "NEW", "example.org:80")],
        connections: vec![
            connection("3", "CONNECTED", guard, Some("192.0.2.7:9001"), true),
            connection("5", "LAUNCHED", relay("198.51.100.3:443", None, ""), None, false),
        ],
        bootstrap: Some(Bootstrap { percent: 100, summary, warning: None }),
        is_reachable: Some(true),
    }
}

/// Returns the model of a busy tor.
pub(crate) fn sample() -> Model {
    let mut model = Model::new(at(0));
    model.apply(Update::Process(Process {
        version: "0.4.9.11".to_owned(),
        pid: Some(1234),
        started: Some(at(0) - Duration::from_secs(3600)),
        socks: vec!["127.0.0.1:9050".to_owned()],
        or: Vec::new(),
        control: vec!["unix:/run/tor/control".to_owned()],
    }));
    model.apply(Update::Totals(5_000_000, 700_000));
    model.apply(Update::Connection(Connection::Up { number: 1, unrestored: Vec::new() }));
    model.apply(Update::Live(live()));
    for second in 0..60 {
        model.now = at(second + 1);
        let wave = (second * 7 % 50) * 2000;
        model.apply(Update::Bandwidth(wave + (second % 3) * 1000, wave / 8));
    }
    model.apply(Update::Services(vec![
        Service {
            address: Some(ADDRESS.to_owned()),
            origin: "ephemeral, detached".to_owned(),
            ports: Vec::new(),
        },
        Service {
            address: None,
            origin: "configured, /var/lib/tor/web".to_owned(),
            ports: vec!["80".to_owned(), "443".to_owned()],
        },
    ]));
    for (second, action) in (10..).zip(["CREATED", "UPLOAD", "UPLOADED", "FAILED"]) {
        model.apply(Update::Descriptor(DescriptorEvent {
            time: at(second),
            action: action.to_owned(),
            address: Some(ADDRESS.to_owned()),
            directory: Some("middle2".to_owned()),
            reason: (action == "FAILED").then(|| "UPLOAD_REJECTED".to_owned()),
        }));
    }
    let messages = [
        (Severity::Notice, "Bootstrapped 100% (done): Done"),
        (Severity::Info, "circuit_build_times: nothing that a user wants to read"),
        (
            Severity::Warn,
            "Your Guard guardian is failing more circuits than usual. Most likely this means the \
             Tor network is overloaded. Success counts are 121/200.",
        ),
    ];
    for (second, (severity, message)) in (20..).zip(messages) {
        let (time, message) = (at(second), message.to_owned());
        model.apply(Update::Log(Entry { time, severity: Some(severity), message }));
    }
    model
}

#[test]
fn the_end_of_a_connection_clears_what_is_no_longer_true() {
    let mut model = sample();
    let next = at(70);
    let reason = Some("tor closed the connection".to_owned());
    model.apply(Update::Connection(Connection::Connecting { attempt: 1, next, reason }));
    assert!(model.live.circuits.is_empty() && model.services.is_empty());
    assert!(model.process.is_none() && !model.is_up());
    assert_eq!(model.bandwidth.read.last(), sample().bandwidth.read.last());
    let message = |model: &Model| model.log.shown().last().unwrap().message.clone();
    assert_eq!(message(&model), "the connection to tor has ended: tor closed the connection");
    model.apply(Update::Connection(Connection::Restoring));
    model.apply(Update::Connection(Connection::Up { number: 2, unrestored: Vec::new() }));
    assert_eq!(message(&model), "connected to tor again, connection 2");
}

#[test]
fn the_progress_of_a_launch_ends_with_the_connection() {
    let mut model = Model::new(at(0));
    let progress = Bootstrap { percent: 30, summary: "relays".to_owned(), warning: None };
    model.apply(Update::Progress(progress.clone()));
    assert_eq!(model.bootstrap(), Some(&progress));
    model.apply(Update::Live(live()));
    assert_eq!(model.bootstrap().unwrap().percent, 100);
    model.apply(Update::Connection(Connection::Up { number: 1, unrestored: Vec::new() }));
    model.apply(Update::Live(Live::default()));
    assert_eq!(model.bootstrap(), None);
}
