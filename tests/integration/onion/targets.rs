use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use torcon::onion::{OnionEndpoint, Publication};

use super::network::{LIMIT, reach, tor};
use super::{controller, endpoint, key, listen, refusal, services};
use crate::support::real_tor::RealTor;

/// Starts a server that sends its number to each client. It ends with the tests.
fn server(number: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(&[number]));
        }
    };
    thread::Builder::new().name("server".to_owned()).spawn(serve).unwrap();
    address
}

#[test]
fn clients_of_one_port_reach_each_of_its_targets() {
    let (service, client) = (tor(), tor());
    let servers: [SocketAddr; 3] = [server(1), server(2), server(3)];
    let start = |endpoint: OnionEndpoint| {
        let endpoint = endpoint.port(80, servers[1]).port(80, servers[2].to_string().as_str());
        let endpoint = endpoint.publication(Publication::All).timeout(LIMIT);
        endpoint.start(servers[0]).unwrap()
    };
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("service");
    for service in [
        start(service.onion_endpoint(80).ephemeral()),
        start(service.onion_endpoint(80).hidden_service_dir(&kept)),
    ] {
        assert_eq!(service.ports().len(), 3);
        let mut reached = BTreeSet::new();
        for _ in 0..200 {
            let mut stream = reach(&client, &service.onion_address(), 80);
            stream.set_read_timeout(Some(LIMIT / 3)).unwrap();
            let mut number = [0];
            if stream.read_exact(&mut number).is_ok() {
                reached.insert(number[0]);
            }
            if reached.len() == servers.len() {
                break;
            }
        }
        assert_eq!(reached, BTreeSet::from([1, 2, 3]));
    }
}

#[test]
fn tor_gets_every_target_of_a_port() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let service = endpoint(&tor)
        .hidden_service_dir(&directory)
        .port(80, "127.0.0.1:8081")
        .port(80, "unix:/run/web")
        .start(8080)
        .unwrap();
    assert_eq!(
        services(&tor)[1..],
        [
            "HiddenServicePort=80 8080",
            "HiddenServicePort=80 127.0.0.1:8081",
            "HiddenServicePort=80 unix:/run/web",
        ]
    );
    service.close().unwrap();
    // The local listener of the port and another server share it.
    let listener = listen(endpoint(&tor).ephemeral().port(80, 8081).key(key(4)));
    assert_eq!(listener.service().ports().len(), 2);
    assert_eq!(listener.controller().onions().unwrap(), [key(4).address()]);
}

#[test]
fn the_same_target_twice_is_refused_and_so_is_text_that_is_no_target() {
    let tor = RealTor::start();
    let twice = "invalid argument \"port\": is given twice with the same target";
    assert_eq!(refusal(endpoint(&tor).port(80, 8080).start(8080)), twice);
    assert_eq!(refusal(endpoint(&tor).port(81, 1).port(81, "1").listen()), twice);
    for refused in [
        refusal(endpoint(&tor).start("no target")),
        refusal(endpoint(&tor).port(81, "no target").start(8080)),
        refusal(endpoint(&tor).reached_at("no target").listen()),
    ] {
        assert_eq!(
            refused,
            "invalid argument \"target of an onion port\": must be a port, an address, name:port \
             or unix:/path"
        );
    }
    let refused = refusal(endpoint(&tor).start(0));
    assert_eq!(refused, "invalid argument \"target\": must not have port 0");
    assert!(controller(&tor).onions().unwrap().is_empty());
}

#[test]
fn a_service_is_put_in_front_of_a_listener_wherever_it_listens() {
    let tor = RealTor::start();
    for (bind, start) in [("127.0.0.1:0", ""), ("0.0.0.0:0", ""), ("[::]:0", "[::1]:")] {
        let listener = TcpListener::bind(bind).unwrap();
        let address = listener.local_addr().unwrap();
        let expected = format!("80,{start}{}", address.port());
        let service = endpoint(&tor).start(&listener).unwrap();
        assert_eq!(service.ports()[0].to_string(), expected);
    }
    // The address itself is sent as it was given: a filter may allow no other form.
    let service = endpoint(&tor).port(81, "0.0.0.0:8081").start("[::]:8080").unwrap();
    let ports = service.ports().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ports, ["80,[::]:8080", "81,0.0.0.0:8081"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let service = endpoint(&tor).start(&unix).unwrap();
    assert_eq!(service.ports()[0].to_string(), format!("80,unix:{}", path.display()));
}
