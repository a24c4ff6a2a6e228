use std::collections::BTreeSet;

use torcon::event::Event;
use torcon::names::{CircuitId, StreamStatus};
use torcon::socks::{Isolation, SocksProxy, TorStream};
use torcon::{EventKind, EventQueue, Tor};

use super::server::Server;
use super::{LIMIT, launcher};
use crate::error_text::chain;
use crate::testnet::retry::{find_in, retried};

/// Waits until tor reports the circuit of a new stream to this port.
fn circuit(events: &EventQueue, port: u16) -> CircuitId {
    let found = find_in(events, LIMIT, |event| {
        let Event::Stream(event) = event else { return None };
        let ours = event.target().port() == Some(port) && event.status() == StreamStatus::Succeeded;
        ours.then_some(event.circuit()).flatten()
    });
    found.expect("tor opens the stream on a circuit")
}

#[test]
fn streams_share_circuits_with_those_of_the_same_token_only() {
    // With conflux tor may move on to a pair of circuits that is quicker, with the same token.
    let launcher = launcher().option("SocksPort", "auto").option("ConfluxEnabled", "0");
    let tor = Tor::launch(launcher).unwrap();
    let events = tor.controller().events([EventKind::Stream]).unwrap();
    let proxy = tor.socks_proxy().unwrap();
    let token = |text: &str| proxy.clone().isolation(Isolation::token(text).unwrap());
    let pair = Isolation::credentials("torcon", "account 1").unwrap();
    let fresh = proxy.clone().isolation(Isolation::fresh());
    let (server, streams) = retried(tor.controller(), "streams of a token share a circuit", || {
        let server = Server::echo(8);
        let open = |proxy: &SocksProxy| -> Result<(TorStream, CircuitId), String> {
            let stream = proxy.connect(server.address).map_err(|error| chain(&error))?;
            Ok((stream, circuit(&events, server.port())))
        };
        let one = open(&token("account 1"))?;
        let other = open(&token("account 2"))?;
        let one_again = open(&token("account 1"))?;
        let other_again = open(&token("account 2"))?;
        let one_as_pair = open(&proxy.clone().isolation(pair.clone()))?;
        let none = open(&proxy)?;
        let first_fresh = open(&fresh)?;
        let second_fresh = open(&fresh)?;

        let mut different = vec![none.1, first_fresh.1, second_fresh.1];
        for (one, other) in [(&one, &other), (&one_again, &other_again), (&one_as_pair, &other)] {
            let circuits = [&[one.1, other.1], different.as_slice()].concat();
            assert_eq!(circuits.iter().collect::<BTreeSet<_>>().len(), 5, "{circuits:?}");
        }
        different.extend([one.1, other.1]);
        let shared = [one_again.1, other_again.1, one_as_pair.1] == [one.1, other.1, one.1];
        let streams = [one, other, none, first_fresh];
        let more = [one_again, other_again, one_as_pair, second_fresh];
        // A circuit may have failed in the meantime.
        if shared { Ok((server, (streams, more))) } else { Err(format!("{more:?}")) }
    });
    let (streams, more) = streams;
    let [one, _, none, first_fresh] = &streams;

    // tor's list of circuits agrees.
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

    drop((streams, more));
    assert_eq!(server.finish(), [0; 8]);
}
