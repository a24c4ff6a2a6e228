use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Instant;

use torcon::Tor;
use torcon::socks::TorStream;

use super::server::Server;
use super::{LIMIT, done, launcher, private_tempdir, shared, shared_tor, unix_proxy};

/// Bytes that differ at every position.
fn content(seed: u32, length: usize) -> Vec<u8> {
    let numbers = (0..).map(|n: u32| (n ^ seed).wrapping_mul(0x9e37_79b9));
    numbers.flat_map(u32::to_be_bytes).take(length).collect()
}

/// Sends bytes to an echo server, and requires that they are returned.
#[track_caller]
fn exchange(stream: &TorStream, sent: &[u8]) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    let mut received = vec![0; sent.len()];
    thread::scope(|scope| {
        let mut writer = stream;
        scope.spawn(move || writer.write_all(sent).unwrap());
        let mut reader = stream;
        reader.read_exact(&mut received).unwrap();
    });
    assert!(received == sent, "the echo differs");
}

#[test]
fn ten_megabytes_go_each_way_through_an_exit_unchanged() {
    let server = Server::echo(1);
    let stream = done(shared_tor(), || shared_tor().connect_stream(server.address));
    let begin = Instant::now();
    exchange(&stream, &content(1, 10_000_000));
    println!("10 MB each way: {:.2?}", begin.elapsed());
    drop(stream);
    assert_eq!(server.finish(), [10_000_000]);
}

#[test]
fn ten_streams_at_once_are_not_confused() {
    const EACH: usize = 300_000;
    let tor = shared_tor();
    let server = Server::echo(10);
    let target = ("echo.test", server.port());
    thread::scope(|scope| {
        for number in 0..10 {
            scope.spawn(move || {
                let stream = done(tor, || tor.connect_stream(target));
                exchange(&stream, &content(number, EACH));
            });
        }
    });
    assert_eq!(server.finish(), [300_000; 10]);
}

#[test]
fn a_target_is_a_host_name_or_an_address_in_every_form() {
    let tor = shared_tor();
    let server = Server::echo(5);
    let port = server.port();
    let name = done(tor, || tor.connect_stream(format!("some.test:{port}").as_str()));
    let pair = done(tor, || tor.connect_stream(("SOME.test", port)));
    let address = done(tor, || tor.connect_stream(format!("127.0.0.1:{port}").as_str()));
    let socket = done(tor, || tor.connect_stream(server.address));
    let ip = done(tor, || tor.connect_stream((server.address.ip(), port)));
    for (number, stream) in (1..).zip([name, pair, address, socket, ip]) {
        exchange(&stream, &content(number, 1000));
    }
    assert_eq!(server.finish(), [1000; 5]);
}

#[test]
fn every_port_of_tor_is_found_and_leads_to_the_target() {
    let tor = shared_tor();
    let proxies = tor.socks_proxies().unwrap();
    let server = Server::echo(4);
    let mut kinds = Vec::new();
    for proxy in proxies.iter().chain([&tor.socks_proxy().unwrap()]) {
        let stream = done(tor, || proxy.connect(("echo.test", server.port())));
        exchange(&stream, &content(9, 5000));
        kinds.push(match stream.into_tcp() {
            Ok(socket) if socket.peer_addr().unwrap().is_ipv4() => "IPv4",
            Ok(_) => "IPv6",
            Err(_) => "unix",
        });
    }
    assert_eq!(server.finish(), [5000; 4]);
    // In the order of the configuration, and the last is the first again.
    assert_eq!(kinds, ["IPv4", "unix", "IPv6", "IPv4"]);
    let socket = format!("unix:{}", shared().socket.display());
    assert_eq!(proxies[1].endpoint().to_string(), socket);
    assert!(socket.contains("torcon \"test\" "), "{socket}");
}

#[test]
fn a_tor_with_a_unix_port_only_is_reached_there() {
    let directory = private_tempdir("a b");
    let socket = directory.path().join("socks");
    let value = format!("unix:\"{}\"", socket.display());
    let tor = Tor::launch(launcher().option("SocksPort", value)).unwrap();
    let server = Server::echo(1);
    let stream = done(&tor, || tor.connect_stream(server.address));
    exchange(&stream, &content(3, 100_000));
    stream.into_unix().unwrap();
    assert_eq!(server.finish(), [100_000]);
    assert_eq!(done(&tor, || tor.resolve("some.test")).to_string(), "127.0.0.1");
    tor.close().unwrap();
}

#[test]
fn the_greeting_of_a_server_arrives_at_once_and_whole() {
    // txtorcon holds back data that arrives with the reply (peers 46).
    let greeting = content(5, 200_000);
    let said = greeting.clone();
    let server = Server::start(12, move |mut stream| {
        stream.write_all(b"220 hello\r\n").unwrap();
        // More only when the client has received the first.
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&said).unwrap();
    });
    let tcp = shared_tor().socks_proxy().unwrap();
    for _ in 0..6 {
        for proxy in [&tcp, &unix_proxy()] {
            let mut stream = done(shared_tor(), || proxy.connect(server.address));
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut line = [0; 11];
            stream.read_exact(&mut line).unwrap();
            assert_eq!(&line, b"220 hello\r\n");
            stream.write_all(b"x").unwrap();
            // The server closes after its last byte, and nothing is lost.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            assert!(rest == greeting, "{} bytes arrived", rest.len());
        }
    }
    server.finish();
}

#[test]
fn names_and_addresses_are_resolved_by_the_exit() {
    let tor = shared_tor();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let somewhere: IpAddr = "192.0.2.7".parse().unwrap();
    let somewhere_else: IpAddr = "2001:db8::7".parse().unwrap();
    assert_eq!(done(tor, || tor.resolve("some.test")), loopback);
    assert_eq!(done(tor, || tor.resolve_ptr(somewhere)), "loopback.test");
    assert_eq!(done(tor, || tor.resolve_ptr(somewhere_else)), "loopback.test");
    // An address needs no exit.
    assert_eq!(tor.resolve("192.0.2.7").unwrap(), somewhere);
    assert_eq!(tor.resolve("2001:db8::7").unwrap(), somewhere_else);
    for proxy in tor.socks_proxies().unwrap() {
        assert_eq!(done(tor, || proxy.resolve("another.test")), loopback);
        assert_eq!(done(tor, || proxy.resolve_ptr(somewhere)), "loopback.test");
    }
}

/// For a stream to a server on IPv6, which needs an exit for IPv6.
pub(super) fn reaches_ipv6(tor: &Tor) {
    let server =
        Server::start_at("[::1]:0", 1, |stream| std::io::copy(&mut &stream, &mut &stream).unwrap());
    let address: SocketAddr = server.address;
    let stream = done(tor, || tor.connect_stream(address));
    exchange(&stream, &content(6, 50_000));
    drop(stream);
    assert_eq!(server.finish(), [50_000]);
}
