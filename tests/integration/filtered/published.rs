//! A service on a whole network, behind the profile of `OnionShare`, and a client that uses the tor
//! of a stream monitor.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use torcon::error::UploadOutcome;
use torcon::onion::OnionEndpoint;
use torcon::state::State;
use torcon::{Launcher, Tor};

use super::profiles::{MONITOR, ONIONSHARE};
use crate::support::filter::{Filter, Profile};
use crate::support::socket::Address;
use crate::support::watchdog::eventually;
use crate::testnet::shared_network;

/// The limit of every operation, where eight programs share two processors.
const LIMIT: Duration = Duration::from_secs(90);

/// A tor that has joined the network, and a filter in front of it.
fn joined(profile: &'static Profile) -> (Tor, Filter) {
    let launcher = Launcher::new()
        .network(shared_network())
        .option("SocksPort", "127.0.0.1:auto ExtendedErrors")
        .timeout(LIMIT);
    let tor = Tor::launch(launcher).expect("a tor can join the network");
    let endpoint = tor.controller().endpoint().to_string();
    let socket = endpoint.strip_prefix("unix:").expect("the default is a unix socket");
    let cookie = tor.controller().protocol_info().unwrap().cookie_file.expect("there is a cookie");
    let filter = Filter::before(Address::Unix(socket.into()), cookie, profile);
    (tor, filter)
}

/// Returns a listener on one of the ports that the profile of `OnionShare` allows.
fn onionshare_listener() -> TcpListener {
    let ports = 17600..17660;
    let mut listeners = ports.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    listeners.find_map(Result::ok).expect("one of sixty ports is free")
}

#[test]
fn a_service_behind_a_filter_is_published_and_visited_through_another() {
    let (_tor, filter) = joined(&ONIONSHARE);
    let local = onionshare_listener();
    let listener = OnionEndpoint::system_tor(filter.endpoint().as_str(), 80)
        .bind_with(move || Ok(local))
        .timeout(LIMIT)
        .listen()
        .expect("the filter allows all that is needed");
    // The directories are redacted, and the uploads are counted all the same.
    let uploads = listener.uploads();
    assert!(uploads.iter().any(|upload| upload.outcome == UploadOutcome::Uploaded), "{uploads:?}");
    let replaced = filter.replaced_events();
    assert!(replaced.iter().any(|event| event.ends_with(" redacted")), "{replaced:?}");

    let (_client, monitor) = joined(&MONITOR);
    let client = Tor::from(torcon::connect(monitor.endpoint().as_str()).unwrap());
    client.wait_ready(LIMIT).unwrap();
    let state = State::new(client.controller()).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut stream = listener.accept_timeout(2 * LIMIT).unwrap();
            stream.write_all(b"hello").unwrap();
            // Until the client has gone.
            let _ = stream.read(&mut [0]);
        });
        let end = Instant::now() + 2 * LIMIT;
        let address = (listener.onion_address(), 80);
        let mut stream = loop {
            match client.connect_stream(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < end, "not reached: {error:?}"),
            }
        };
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"hello");
        // The event of the new stream had lost its status code; the later ones, which may follow the
        // reply of the proxy, had not.
        eventually(LIMIT, "the stream is known", || state.streams().len() == 1);
        drop(stream);
        server.join().unwrap();
    });
    let lost = monitor.replaced_events();
    assert!(lost.iter().any(|event| event.starts_with("STREAM ")), "{lost:?}");
    assert!(client.controller().is_alive() && listener.service().controller().is_alive());
    listener.close().unwrap();
}
