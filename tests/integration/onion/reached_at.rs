//! The target at which tor reaches the local listener of a service.

use std::net::SocketAddr;

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
fn a_service_without_a_listener_refuses_reached_at() {
    let tor = RealTor::start();
    let endpoint = endpoint(&tor).ephemeral().publication(Publication::None).reached_at(8081);
    assert_eq!(
        refusal(endpoint.start(8080)),
        "invalid argument \"reached_at\": needs a local listener, which start() does not open: use listen()"
    );
}
