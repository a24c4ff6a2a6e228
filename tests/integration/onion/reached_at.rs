//! The target at which tor reaches the local listener of a service.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;

use torcon::names::PortTarget;
use torcon::onion::Publication;

use super::{endpoint, refusal, tcp_address};
use crate::support::real_tor::RealTor;

#[test]
fn tor_gets_the_address_of_reached_at() {
    let tor = RealTor::start();
    let named: SocketAddr = "192.0.2.7:8080".parse().unwrap();
    let listener = endpoint(&tor).ephemeral().reached_at(named).listen().unwrap();
    assert_eq!(listener.service().ports()[0].target(), Some(&PortTarget::Tcp(named)));
    assert_ne!(listener.local_addr(), &PortTarget::Tcp(named));
}

#[test]
fn a_listener_on_every_address_is_reached_by_a_loopback_address_of_this_machine() {
    let tor = RealTor::start();
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let listener = endpoint(&tor).ephemeral().local_addr(everywhere).listen().unwrap();
    // tor reads a port alone as one of 127.0.0.1.
    let expected = PortTarget::Port(tcp_address(&listener).port());
    assert_eq!(listener.service().ports()[0].target(), Some(&expected));
}

#[test]
fn an_address_alone_gets_the_port_of_the_listener_whichever_that_is() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    for (reached_at, start) in [("172.17.0.2", "172.17.0.2:"), ("fd00::7", "[fd00::7]:")] {
        let ephemeral = || endpoint(&tor).ephemeral().reached_at(reached_at);
        let kept = || endpoint(&tor).hidden_service_dir(&directory).reached_at(reached_at);
        for listener in [
            ephemeral().local_addr(everywhere).listen().unwrap(),
            ephemeral().bind_with(|| TcpListener::bind("0.0.0.0:0")).listen().unwrap(),
            kept().local_addr(everywhere).port(81, "192.0.2.8:8081").listen().unwrap(),
        ] {
            let port = tcp_address(&listener).port();
            assert_eq!(super::target(&listener), format!("{start}{port}"));
            assert_eq!(tcp_address(&listener).ip().to_string(), "0.0.0.0");
        }
    }
}

#[test]
fn the_listener_may_have_another_path_or_kind_for_tor_than_here() {
    let tor = RealTor::start();
    let path = tor.directory().join("web");
    let other = PortTarget::Unix("/run/shared/web".into());
    let listener = endpoint(&tor).ephemeral().local_unix(&path).reached_at(&other).listen();
    assert_eq!(listener.unwrap().service().ports()[0].target(), Some(&other));
    let listener = endpoint(&tor).ephemeral().reached_at("unix:/run/shared/web").listen();
    assert_eq!(listener.unwrap().service().ports()[0].target(), Some(&other));
    let address = "192.0.2.7".parse::<IpAddr>().unwrap();
    assert_eq!(
        refusal(endpoint(&tor).ephemeral().local_unix(&path).reached_at(address).listen()),
        "invalid argument \"reached_at\": must have a port: the local listener is a unix socket, without one"
    );
}

#[test]
fn a_target_that_tor_could_not_reach_is_refused() {
    let tor = RealTor::start();
    let name = "must be an address and not a host name, which tor would resolve once and outside \
                of the Tor network";
    for (target, problem) in
        [("web.lan:8080", name), ("web.lan", name), ("192.0.2.7:0", "must not have port 0")]
    {
        for endpoint in
            [endpoint(&tor).ephemeral(), endpoint(&tor).hidden_service_dir("/nowhere/service")]
        {
            assert_eq!(
                refusal(endpoint.reached_at(target).listen()),
                format!("invalid argument \"reached_at\": {problem}"),
                "{target}"
            );
        }
    }
    let relative = endpoint(&tor).reached_at(Path::new("run/web")).listen();
    assert_eq!(refusal(relative), "invalid argument \"reached_at\": must be an absolute path");
}

#[test]
fn a_service_without_a_listener_refuses_reached_at() {
    let tor = RealTor::start();
    let endpoint = endpoint(&tor).ephemeral().publication(Publication::None).reached_at(8081);
    assert_eq!(
        refusal(endpoint.start(8080)),
        "invalid argument \"reached_at\": needs a local listener, which start() does not open: use listen()"
    );
}
