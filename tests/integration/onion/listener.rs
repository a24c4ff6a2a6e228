use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use torcon::Error;
use torcon::error::Wait;
use torcon::names::PortTarget;
use torcon::onion::OnionStream;

use super::{LONG, SOON, endpoint, listen, refusal, tcp_address};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::{eventually, within};

fn read(stream: &mut OnionStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_chosen_local_port_is_listened_on() {
    let tor = RealTor::start();
    // A port that was just free.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = listen(endpoint(&tor).ephemeral().local_addr(free));
    assert_eq!(tcp_address(&listener), free);
    assert_eq!(
        refusal(endpoint(&tor).local_addr(free).listen()),
        format!("cannot listen on {free}: Address already in use (os error 98)")
    );
    drop(listener);
    assert!(TcpStream::connect(free).is_err());
}

#[test]
fn tor_reaches_a_listener_on_every_address_by_a_loopback_address() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral().local_addr((Ipv4Addr::UNSPECIFIED, 0)));
    let port = tcp_address(&listener).port();
    assert_eq!(listener.service().ports()[0].to_string(), format!("80,{port}"));
}

#[test]
fn a_unix_socket_is_removed_with_its_listener() {
    let tor = RealTor::start();
    let path = tor.directory().join("socket");
    let listener = listen(endpoint(&tor).ephemeral().local_unix(&path));
    assert_eq!(*listener.local_addr(), PortTarget::Unix(path.clone()));
    let mut dialling = UnixStream::connect(&path).unwrap();
    dialling.write_all(b"hello").unwrap();
    drop(dialling);
    let mut stream = listener.accept_timeout(LONG).unwrap();
    assert_eq!(read(&mut stream), "hello");
    assert!(stream.into_tcp().unwrap_err().into_unix().is_ok());
    assert_eq!(
        refusal(endpoint(&tor).ephemeral().local_unix(&path).listen()),
        format!("cannot listen on unix:{}: Address already in use (os error 98)", path.display())
    );
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_path_that_is_invalid_for_a_socket_or_a_command_is_refused() {
    let tor = RealTor::start();
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
    assert_eq!(
        refusal(endpoint(&tor).local_unix(&long).listen()),
        "invalid argument \"local_unix\": has a path of 125 bytes; a unix socket allows 107"
    );
    assert_eq!(
        refusal(endpoint(&tor).port(81, long.as_path()).listen()),
        "invalid argument \"target\": has a path of 125 bytes; a unix socket allows 107"
    );
    // ADD_ONION has no quoting (peers 33).
    let blank = tor.directory().join("a socket");
    assert_eq!(
        refusal(endpoint(&tor).ephemeral().local_unix(&blank).listen()),
        "invalid argument \"target\": has a blank or a quote in its path, which ADD_ONION does not \
         support"
    );
    assert!(!blank.exists());
    assert_eq!(
        refusal(endpoint(&tor).port(81, PathBuf::from("relative")).listen()),
        "invalid argument \"target\": must be an absolute path"
    );
}

#[test]
fn a_listener_can_be_made_by_a_closure() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral().bind_with(|| TcpListener::bind("[::1]:0")));
    assert!(tcp_address(&listener).is_ipv6());
    TcpStream::connect(tcp_address(&listener)).unwrap().write_all(b"x").unwrap();
    assert!(listener.accept_timeout(LONG).unwrap().into_tcp().is_ok());

    let path = tor.directory().join("their socket");
    let bound = path.clone();
    let unix = listen(endpoint(&tor).temporary_dir().bind_with(move || UnixListener::bind(bound)));
    drop(unix);
    assert!(path.exists(), "what was not made here is not removed here");
    assert_eq!(
        refusal(
            endpoint(&tor)
                .bind_with(|| Err::<TcpListener, _>(std::io::Error::other("no luck")))
                .listen()
        ),
        "cannot listen on With(..): no luck"
    );
}

#[test]
fn accept_waits_without_a_limit_with_one_or_not_at_all() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral());
    assert!(listener.try_accept().unwrap().is_none());
    let limit = Duration::from_millis(30);
    let started = Instant::now();
    let error = listener.accept_timeout(limit).unwrap_err();
    assert!(started.elapsed() >= limit);
    let Error::Timeout(timeout) = error else { panic!("{error:?}") };
    assert_eq!((timeout.wait(), timeout.limit()), (&Wait::Incoming, limit));
    listener.set_nonblocking(true);
    assert!(listener.accept().unwrap_err().is_timeout());
    listener.set_nonblocking(false);

    let address = tcp_address(&listener);
    let dialling: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    let streams: Vec<_> = listener.incoming().take(3).map(Result::unwrap).collect();
    assert_eq!(streams.len(), dialling.len());
}

#[test]
fn a_stream_is_used_like_one_of_the_standard_library() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral());
    let mut client = TcpStream::connect(tcp_address(&listener)).unwrap();
    let mut stream = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    assert!(stream.read(&mut [0]).is_err());
    stream.set_read_timeout(None).unwrap();
    let mut second = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || second.write_all(b"from us").unwrap());
        client.write_all(b"from them").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read(&mut stream), "from them");
    });
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from us");
}

#[test]
fn many_threads_can_accept_and_all_get_the_end() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral());
    let address = tcp_address(&listener);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| listener.incoming().map(Result::unwrap).count()))
            .collect();
        let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
        eventually(LONG, "every client was accepted", || listener.try_accept().unwrap().is_none());
        let started = Instant::now();
        listener.close().unwrap();
        let accepted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(accepted <= clients.len());
        assert!(started.elapsed() < SOON);
    });
}

#[test]
fn the_death_of_tor_ends_accept() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor));
    let (tor, error, items) = within(LONG, "accept", move || {
        thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept());
            let iterating = scope.spawn(|| listener.incoming().map(|item| item.is_ok()).collect());
            tor.kill();
            let items: Vec<bool> = iterating.join().unwrap();
            (tor, accepting.join().unwrap().unwrap_err(), items)
        })
    });
    assert!(error.is_closed());
    assert_eq!(items, [false], "the end is returned once");
    drop(tor);
}

#[test]
fn a_stopped_tor_delays_a_drop_only_a_few_seconds() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).ephemeral());
    tor.stop();
    let started = Instant::now();
    drop(listener);
    assert!(started.elapsed() < SOON);
    tor.cont();
}

#[test]
fn the_proxy_header_is_removed_from_the_stream() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).temporary_dir().export_circuit_id());
    // A program on this machine that is not tor.
    let mut other_program = TcpStream::connect(tcp_address(&listener)).unwrap();
    other_program.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut like_tor = TcpStream::connect(tcp_address(&listener)).unwrap();
    like_tor.write_all(b"PROXY TCP6 fc00:dead:beef:4dad::0:2a ::1 65535 80\r\nhello").unwrap();
    drop(like_tor);
    let mut stream = listener.accept_timeout(LONG).unwrap();
    assert_eq!(stream.circuit_id().unwrap().to_string(), "42");
    assert_eq!(read(&mut stream), "hello");
    let mut rest = Vec::new();
    // The connection of the other program is closed, or reset because of unread bytes.
    let _ = other_program.read_to_end(&mut rest);
    assert!(rest.is_empty());
}
