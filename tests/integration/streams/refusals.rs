use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::socket::{Backlog, listen};
use torcon::error::{SocksCode, SocksProblem, Wait};
use torcon::event::Event;
use torcon::names::{ClientAuthKey, OnionKey, StreamReason, StreamStatus};
use torcon::onion::Publication;
use torcon::testnet::PrivateNetwork;
use torcon::{EventKind, Launcher, Tor};

use super::server::{Server, closed_port};
use super::{LIMIT, code, done, launcher, problem, reach, refused, shared_tor, unix_proxy};
use crate::error_text::{chain, check_text};
use crate::support::watchdog::eventually;
use crate::testnet::retry::{find_in, retried};

/// The code for a target that refuses the connection. Exits of tor 0.4.9 send the reason of some
/// earlier failure, mostly none, and tor tries three of them.
#[track_caller]
fn code_of_refusal<T: std::fmt::Debug>(outcome: torcon::Result<T>) -> SocksCode {
    let code = code(outcome);
    let expected = [SocksCode::GeneralFailure, SocksCode::ConnectionRefused];
    assert!(expected.contains(&code), "{code:?}");
    code
}

#[test]
fn a_target_that_refuses_and_a_name_without_an_address_have_the_codes_of_tor() {
    let tor = shared_tor();
    let port = closed_port();
    let error = tor.connect_stream(("127.0.0.1", port)).unwrap_err();
    check_text(&error);
    let proxy = tor.socks_proxy().unwrap();
    let start = format!(
        "cannot connect to 127.0.0.1:{port} through the SOCKS proxy {}: the proxy refused: ",
        proxy.endpoint()
    );
    let text = chain(&error);
    let code_then = code_of_refusal::<()>(Err(error));
    assert_eq!(text, format!("{start}{code_then} ({code_then:#X})"));
    code_of_refusal(unix_proxy().connect(("some.test", port)));

    // An address for documentation; the exits of the network cannot leave the machine, and say no
    // more of that where there is a route for others.
    let code = code(tor.connect_stream("192.0.2.1:80"));
    let expected = [SocksCode::GeneralFailure, SocksCode::HostUnreachable];
    assert!(expected.contains(&code), "{code:?}");
    refused(tor, SocksCode::GeneralFailure, || tor.connect_stream("bad!name.test:80"));
    refused(tor, SocksCode::HostUnreachable, || tor.connect_stream("a.nx.test:80"));
    refused(tor, SocksCode::HostUnreachable, || tor.resolve("a.nx.test"));
    let error = tor.resolve("a.nx.test").unwrap_err();
    check_text(&error);
    assert_eq!(
        chain(&error),
        format!(
            "cannot resolve a.nx.test through the SOCKS proxy {}: the proxy refused: the host is \
             unreachable (0x04)",
            proxy.endpoint()
        )
    );
}

#[test]
fn an_onion_service_that_does_not_exist_has_its_code_where_errors_are_extended() {
    let tor = shared_tor();
    let missing = OnionKey::generate().unwrap().address();
    let proxies = tor.socks_proxies().unwrap();
    refused(tor, SocksCode::OnionDescriptorNotFound, || proxies[0].connect((missing, 80)));
    for plain in &proxies[1..] {
        refused(tor, SocksCode::HostUnreachable, || plain.connect((missing, 80)));
    }
    let error = tor.connect_stream((missing, 80)).unwrap_err();
    check_text(&error);
    assert_eq!(
        chain(&error),
        format!(
            "cannot connect to {missing}:80 through the SOCKS proxy {}: the proxy refused: the \
             onion service's descriptor was not found (0xF0)",
            proxies[0].endpoint()
        )
    );
    // An impossible address is refused before it is sent.
    let mistyped = missing.to_string().replace(".onion", "x.onion");
    let error = tor.connect_stream((mistyped.as_str(), 80)).unwrap_err();
    assert_eq!(
        chain(&error),
        "invalid argument \"target\": the onion address must have 56 characters before .onion"
    );
}

#[test]
fn an_onion_service_that_wants_a_key_has_its_code_where_errors_are_extended() {
    let service = Tor::launch(launcher().option("SocksPort", "0")).unwrap();
    let key = ClientAuthKey::generate().unwrap();
    let listener = service
        .onion_endpoint(80)
        .ephemeral()
        .authorize_client_key("alice", key.public())
        .port(81, closed_port())
        .publication(Publication::All)
        .timeout(LIMIT)
        .listen()
        .unwrap();
    let address = listener.onion_address();
    let tor = Tor::launch(
        launcher().option("SocksPort", "auto ExtendedErrors").option("SocksPort", "auto"),
    )
    .unwrap();
    let proxies = tor.socks_proxies().unwrap();
    let [extended, plain] = &proxies[..] else { panic!("{proxies:?}") };

    refused(&tor, SocksCode::OnionMissingClientAuth, || extended.connect((address, 80)));
    refused(&tor, SocksCode::GeneralFailure, || plain.connect((address, 80)));
    tor.add_onion_client_auth(address, ClientAuthKey::generate().unwrap()).unwrap();
    refused(&tor, SocksCode::OnionWrongClientAuth, || extended.connect((address, 80)));
    refused(&tor, SocksCode::GeneralFailure, || plain.connect((address, 80)));

    tor.add_onion_client_auth(address, key).unwrap();
    drop(done(&tor, || extended.connect((address, 80))));
    // No server listens behind the first port, and the second is not a port of the service.
    refused(&tor, SocksCode::GeneralFailure, || extended.connect((address, 81)));
    refused(&tor, SocksCode::ConnectionRefused, || extended.connect((address, 82)));
}

#[test]
fn waits_for_targets_that_do_not_answer_have_limits() {
    let tor = shared_tor();
    // A target whose queue is full neither accepts nor refuses a connection.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let target = listener.local_addr().unwrap();
    let _the_only_one = TcpStream::connect(target).unwrap();
    for proxy in [tor.socks_proxy().unwrap(), unix_proxy()] {
        let limit = Duration::from_secs(4);
        let begin = Instant::now();
        let error = proxy.clone().timeout(limit).connect(target).unwrap_err();
        let took = begin.elapsed();
        assert!(limit <= took && took < Duration::from_secs(20), "{took:?}");
        assert!(error.is_timeout());
        check_text(&error);
        assert_eq!(
            chain(&error),
            format!(
                "cannot connect to {target} through the SOCKS proxy {}: timed out after 4s waiting for the SOCKS \
                 proxy to answer the request",
                proxy.endpoint()
            )
        );
    }
    // No exit takes IPv6 here, and tor waits until one does.
    let outcome = tor.socks_proxy().unwrap().timeout(Duration::from_secs(4)).connect("[::1]:9");
    match problem(outcome) {
        SocksProblem::Timeout(timeout) => assert_eq!(*timeout.wait(), Wait::SocksReply),
        other => panic!("{other:?}"),
    }

    // A target that accepts the connection and sends nothing.
    let server = Server::start(1, |mut stream| stream.read(&mut [0]).unwrap());
    let mut stream = done(tor, || tor.connect_stream(server.address));
    let limit = Duration::from_millis(200);
    stream.set_read_timeout(Some(limit)).unwrap();
    let begin = Instant::now();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(begin.elapsed() >= limit);
    drop(stream);
    assert_eq!(server.finish(), [0]);
}

#[test]
fn exits_reach_ipv6_if_they_may_and_refuse_what_they_may_not() {
    let network = PrivateNetwork::builder().relays(2).relay_option("IPv6Exit", "1");
    let network = network.timeout(LIMIT).launch().unwrap();
    let launcher = Launcher::new().network(&network).timeout(LIMIT);
    let tor = Tor::launch(launcher.option("SocksPort", "auto")).unwrap();
    reach::reaches_ipv6(&tor);

    let server = Server::echo(1);
    let port = server.port();
    for relay in ["relay0", "relay1"] {
        let controller = network.controller(relay).unwrap();
        let policy = format!("reject *:{port},accept *:*");
        controller.set_conf([("ExitPolicy", &*policy)]).unwrap();
        eventually(LIMIT, "the relay has its policy", || {
            let policy = controller.get_info_one("exit-policy/full").unwrap();
            policy.starts_with(&format!("reject *:{port}\n"))
        });
    }
    // Clients do not know it, so tor tries all exits until its limit.
    tor.controller().set_conf([("SocksTimeout", "3")]).unwrap();
    let events = tor.controller().events([EventKind::Stream]).unwrap();
    retried(tor.controller(), "an exit names its policy", || {
        // Depending on the progress of tor at the limit.
        let code = code(tor.connect_stream(("some.test", port)));
        let expected = [SocksCode::GeneralFailure, SocksCode::TtlExpired];
        assert!(expected.contains(&code), "{code:?}");
        let is_policy = |reason: Option<_>| reason == Some(StreamReason::ExitPolicy);
        let over = find_in(&events, LIMIT, |event| match event {
            Event::Stream(event) if is_policy(event.remote_reason()) => Some(true),
            Event::Stream(event) if event.status() == StreamStatus::Closed => Some(false),
            _ => None,
        });
        if over == Some(true) { Ok(()) } else { Err(format!("{code:?}, and no exit has said it")) }
    });
    // Only this test has connected to the server.
    drop(TcpStream::connect(server.address).unwrap());
    assert_eq!(server.finish(), [0]);
}

#[test]
fn a_tor_without_an_open_socks_port_is_detected_by_its_control_connection() {
    let tor = Tor::launch(launcher().option("SocksPort", "auto")).unwrap();
    let control = tor.controller().endpoint().to_string();
    let no_port = |wish: &str| {
        format!(
            "cannot {wish} through the SOCKS proxy of the tor at {control}: tor has no open \
             SocksPort; hint: set the option SocksPort of this tor, or its DisableNetwork to 0"
        )
    };
    assert_eq!(done(&tor, || tor.resolve("some.test")).to_string(), "127.0.0.1");
    for (option, off, on) in [("DisableNetwork", "1", "0"), ("SocksPort", "0", "auto")] {
        tor.controller().set_conf([(option, off)]).unwrap();
        assert_eq!(tor.socks_proxies().unwrap().len(), 0);
        let address = "192.0.2.7".parse().unwrap();
        for (error, wish) in [
            (tor.connect_stream("some.test:80").map(drop), "connect to some.test:80"),
            (tor.resolve("some.test").map(drop), "resolve a name"),
            (tor.resolve_ptr(address).map(drop), "find the name of an address"),
            (tor.socks_proxy().map(drop), "make a stream"),
        ] {
            let error = error.unwrap_err();
            check_text(&error);
            assert_eq!(chain(&error), no_port(wish));
        }
        tor.controller().set_conf([(option, on)]).unwrap();
        assert_eq!(done(&tor, || tor.resolve("some.test")).to_string(), "127.0.0.1");
    }
}
