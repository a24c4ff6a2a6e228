//! A `SocksPort` on every address of its machine, of a tor whose control port is on one of them.

use std::io::{Read, Write};

use torcon::names::ListenerKind;
use torcon::{ConnectOptions, Tor};

use super::server::Server;
use super::{LIMIT, done, launcher};

#[test]
fn streams_go_to_the_address_of_the_control_port() {
    let launcher = launcher().option("SocksPort", "0.0.0.0:auto");
    let launched = Tor::launch(launcher.option("ControlPort", "127.0.0.2:auto")).unwrap();
    let control = launched.controller().listeners(&ListenerKind::Control).unwrap();
    let control = control.into_iter().find(|endpoint| endpoint.path().is_none()).unwrap();
    assert!(control.to_string().starts_with("127.0.0.2:"), "{control}");

    let tor = Tor::connect(control.clone()).unwrap();
    let placed = tor.socks_proxy().unwrap().endpoint().to_string();
    assert!(placed.starts_with("127.0.0.2:"), "{placed}");
    // The same port through the unix socket.
    let near = launched.socks_proxy().unwrap().endpoint().to_string();
    assert_eq!(near, placed.replace("127.0.0.2:", "127.0.0.1:"));

    let options = ConnectOptions::new().socks_port(&near);
    let named = Tor::from(options.connect(control).unwrap());
    assert_eq!(named.socks_proxy().unwrap().endpoint().to_string(), near);

    let server = Server::echo(2);
    for tor in [&tor, &named] {
        let mut stream = done(tor, || tor.connect_stream(server.address));
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }
    assert_eq!(server.finish(), [5, 5]);
}
