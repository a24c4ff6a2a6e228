use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use torcon::error::SocksProblem;
use torcon::socks::{Isolation, SocksProxy, TorStream};
use torcon::testnet::PrivateNetwork;
use torcon::{Launcher, Tor};

use super::server::{Server, closed_port};
use super::{LIMIT, code, done, launcher, private_tempdir, problem, shared_tor, unix_proxy};
use crate::error_text::{chain, check_text};
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::watchdog::eventually;

/// Reads until the stream ends without an error.
#[track_caller]
fn rest(mut stream: &TorStream) -> Vec<u8> {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}

/// Writes until writing fails, which happens some time after the other side has closed.
fn writes_fail(mut stream: impl Write) {
    eventually(LIMIT, "writing fails", || match stream.write(b"x") {
        Ok(_) => false,
        Err(error) => {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
            true
        }
    });
}

#[test]
fn the_end_of_writing_ends_the_whole_stream_after_what_was_written() {
    let server = Server::start(6, |mut stream: TcpStream| {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        // The answer is lost: tor has no half-closed streams.
        writes_fail(&stream);
        received.len()
    });
    let lengths = [0, 1000, 3_000_000];
    for proxy in [shared_tor().socks_proxy().unwrap(), unix_proxy()] {
        for length in lengths {
            let mut stream = done(shared_tor(), || proxy.connect(server.address));
            stream.write_all(&vec![7; length]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&stream), b"");
        }
    }
    assert_eq!(server.finish(), [lengths, lengths].concat());
}

#[test]
fn a_server_that_ends_its_side_ends_the_whole_stream_after_what_it_wrote() {
    let server = Server::start(2, |mut stream: TcpStream| {
        stream.write_all(&[8; 100_000]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Only one direction was shut down, but reading ends too.
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received.len()
    });
    for proxy in [shared_tor().socks_proxy().unwrap(), unix_proxy()] {
        let stream = done(shared_tor(), || proxy.connect(server.address));
        assert!(rest(&stream) == [8; 100_000]);
        writes_fail(&stream);
    }
    assert_eq!(server.finish(), [0, 0]);
}

#[test]
fn a_tor_that_dies_ends_its_streams_and_every_call_fails() {
    let directory = private_tempdir("torcon-test-");
    let socket = format!("unix:{}", directory.path().join("socks").display());
    let launcher = launcher().option("SocksPort", "auto").option("SocksPort", socket);
    let tor = Tor::launch(launcher).unwrap();
    let server = Server::echo(2);
    let proxies = tor.socks_proxies().unwrap();
    assert_eq!(proxies.len(), 2);
    let open = |proxy: &SocksProxy| {
        let mut stream = done(&tor, || proxy.connect(server.address));
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    };
    let streams: Vec<_> = proxies.iter().map(open).collect();
    let process = tor.process().unwrap();
    process.kill().unwrap();
    process.wait_timeout(LIMIT).unwrap();
    for stream in &streams {
        // It cannot be distinguished from an orderly end.
        assert_eq!(rest(stream), b"");
        writes_fail(stream);
    }
    assert_eq!(server.finish(), [1, 1]);
    eventually(LIMIT, "the controller knows", || !tor.controller().is_alive());
    for proxy in &proxies {
        match problem(proxy.connect("some.test:80")) {
            SocksProblem::Unreachable(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            }
            other => panic!("{other:?}"),
        }
    }
    for error in [
        tor.connect_stream("some.test:80").unwrap_err(),
        tor.resolve("some.test").unwrap_err(),
        tor.socks_proxy().unwrap_err(),
    ] {
        assert!(error.is_closed());
        check_text(&error);
        assert_eq!(chain(&error), "the control connection is closed: tor closed the connection");
    }
}

#[test]
fn nothing_is_left_of_streams_however_they_end() {
    exclusive(|| {
        let before = Holdings::now();
        let network = PrivateNetwork::builder().relays(2).timeout(LIMIT).launch().unwrap();
        let launcher = Launcher::new().network(&network).timeout(LIMIT);
        let tor = Tor::launch(launcher.option("SocksPort", "127.0.0.1:auto")).unwrap();
        let proxy = tor.socks_proxy().unwrap();
        let running = Holdings::now();
        let server = Server::echo(3);
        let mut stream = done(&tor, || tor.connect_stream(server.address));
        let fresh = proxy.clone().isolation(Isolation::fresh());
        let clone = done(&tor, || fresh.connect(server.address)).try_clone().unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        code(tor.connect_stream(("127.0.0.1", closed_port())));
        code(tor.resolve("a.nx.test"));
        done(&tor, || tor.resolve("some.test"));
        done(&tor, || tor.resolve_ptr("192.0.2.7".parse().unwrap()));
        assert!(tor.connect_stream("no target").is_err());
        let limit = Duration::from_millis(100);
        // No exit takes IPv6.
        problem(proxy.clone().timeout(limit).connect("[::1]:9"));
        drop(stream);
        clone.shutdown(Shutdown::Both).unwrap();
        drop(clone);
        drop(done(&tor, || tor.connect_stream(server.address)));
        assert_eq!(server.finish().iter().sum::<u64>(), 1);
        running.assert_restored(LIMIT);
        // tor has no connection for SOCKS left either.
        eventually(LIMIT, "tor has no stream", || {
            tor.controller().get_info_one("stream-status").unwrap().is_empty()
        });
        tor.close().unwrap();
        drop(tor);
        drop(network);
        before.assert_restored(LIMIT);
    });
}
