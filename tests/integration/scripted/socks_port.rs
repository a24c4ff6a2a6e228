//! The address of the `SocksPort`: that of the control port, or the configured one.

use std::net::TcpListener;

use torcon::{ConnectOptions, Error, Tor};

use super::{LIMIT, join, start};
use crate::support::fake_tor::FakeTor;
use crate::support::watchdog::within;

/// A tor on 127.0.0.2, which is also an address of this machine, with these listeners.
fn tor_at_two(listeners: &'static str, times: usize) -> FakeTor {
    FakeTor::tcp_at("127.0.0.2", move |script| {
        script.greet();
        let line = format!("250-net/listeners/socks={listeners}");
        for _ in 0..times {
            script.answer("GETINFO net/listeners/socks", &[line.as_str(), "250 OK"]);
        }
        script.expect_end();
    })
}

// The streams went to the loopback address, where another tor may listen.
#[test]
fn a_listener_on_every_address_is_reached_where_the_control_port_was() {
    let fake = tor_at_two("\"0.0.0.0:9150\" \"[::]:9151\" \"127.0.0.1:9152\"", 2);
    let tor = Tor::connect(fake.endpoint()).unwrap();
    let proxies = tor.socks_proxies().unwrap();
    let endpoints: Vec<_> = proxies.iter().map(|proxy| proxy.endpoint().to_string()).collect();
    assert_eq!(endpoints, ["127.0.0.2:9150", "[::1]:9151", "127.0.0.1:9152"]);
    assert_eq!(tor.socks_proxy().unwrap().endpoint().to_string(), "127.0.0.2:9150");
    drop(tor);
    fake.finish();
}

// The same by the name of a host, which is resolved by the system.
#[test]
fn the_address_that_was_reached_counts_and_not_the_name() {
    let fake = FakeTor::tcp(|script| {
        script.greet();
        let listeners = "250-net/listeners/socks=\"0.0.0.0:9150\"";
        script.answer("GETINFO net/listeners/socks", &[listeners, "250 OK"]).expect_end();
    });
    let port = fake.endpoint().rsplit_once(':').unwrap().1.to_owned();
    let tor = Tor::connect(format!("localhost:{port}")).unwrap();
    assert_eq!(tor.socks_proxy().unwrap().endpoint().to_string(), "127.0.0.1:9150");
    drop(tor);
    fake.finish();
}

#[test]
fn a_configured_socks_port_is_used_and_tor_is_not_queried() {
    let proxy = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let fake = FakeTor::unix(|script| {
        script.greet().expect_end();
    });
    let options = ConnectOptions::new().socks_port(address);
    let tor = Tor::from(options.connect(fake.endpoint()).unwrap());
    assert_eq!(tor.socks_proxies().unwrap().len(), 1);
    let client = start(move || tor.connect_stream("some.test:80").map(drop));
    within(LIMIT, "reaching the proxy", move || drop(proxy.accept().unwrap()));
    let error = join(client).unwrap_err();
    assert!(matches!(error, Error::Socks(_)), "{error:?}");
    fake.finish();
}

#[test]
fn an_invalid_endpoint_is_refused_before_anything_is_sent() {
    let options = ConnectOptions::new().socks_port("9050");
    let error = options.connect("unix:/nonexistent/control").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid argument \"endpoint\": is not host:port, tcp:host:port or unix:/path"
    );
}
