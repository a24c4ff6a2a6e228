use torcon::event::Event;
use torcon::names::{CircuitId, StreamStatus};
use torcon::socks::{Isolation, SocksProxy, TorStream};
use torcon::{EventKind, EventQueue, Tor};

use super::server::Server;
use super::{LIMIT, launcher};

/// Waits until tor says on which circuit it has opened a stream to this port, not yet told of.
fn circuit(events: &EventQueue, port: u16) -> CircuitId {
    let found = events.timeout_iter(LIMIT).find_map(|event| {
        let Event::Stream(event) = event else { return None };
        let ours = event.target.port() == Some(port) && event.status == StreamStatus::Succeeded;
        ours.then_some(event.circuit).flatten()
    });
    found.expect("tor opens the stream on a circuit")
}

#[test]
fn streams_share_circuits_with_those_of_the_same_token_only() {
    // With conflux tor may move on to a pair of circuits that is quicker, with the same token.
    let launcher = launcher().option("SocksPort", "auto").option("ConfluxEnabled", "0");
    let tor = Tor::launch(launcher).unwrap();
    let events = tor.controller().events([EventKind::Stream]).unwrap();
    let server = Server::echo(8);
    let proxy = tor.socks_proxy().unwrap();
    let token = |text: &str| proxy.clone().isolation(Isolation::token(text).unwrap());
    let pair = Isolation::credentials("torcon", "account 1").unwrap();
    let fresh = proxy.clone().isolation(Isolation::fresh());
    let open = |proxy: &SocksProxy| -> (TorStream, CircuitId) {
        let stream = proxy.connect(server.address).unwrap();
        let circuit = circuit(&events, server.port());
        (stream, circuit)
    };
    let one = open(&token("account 1"));
    let other = open(&token("account 2"));
    let one_again = open(&token("account 1"));
    let other_again = open(&token("account 2"));
    let one_as_pair = open(&proxy.clone().isolation(pair));
    let none = open(&proxy);
    let first_fresh = open(&fresh);
    let second_fresh = open(&fresh);

    assert_eq!(one.1, one_again.1);
    assert_eq!(one.1, one_as_pair.1);
    assert_eq!(other.1, other_again.1);
    let mut different = vec![one.1, other.1, none.1, first_fresh.1, second_fresh.1];
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 5, "{different:?}");

    // tor's own list of circuits says the same.
    let list = tor.controller().get_info_one("circuit-status").unwrap();
    let line = |circuit: CircuitId| {
        let begin = format!("{circuit} BUILT ");
        let line = list.lines().find(|line| line.starts_with(&begin));
        line.unwrap_or_else(|| panic!("{circuit} is not in {list}")).to_owned()
    };
    let password = "SOCKS_USERNAME=\"torcon\" SOCKS_PASSWORD=\"account 1\"";
    assert!(line(one.1).contains(password), "{list}");
    assert!(line(first_fresh.1).contains("SOCKS_USERNAME=\"torcon-stream\""), "{list}");
    assert!(!line(none.1).contains("SOCKS_USERNAME"), "{list}");

    drop((one, other, one_again, other_again, one_as_pair));
    drop((none, first_fresh, second_fresh));
    assert_eq!(server.finish(), [0; 8]);
}
