use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use torcon::onion::{OnionEndpoint, Publication};

use super::publication::id;
use super::{LONG, SOON, endpoint, exhaust_descriptors, key, listen, refusal, tcp_address};
use crate::support::exclusive::exclusive;
use crate::support::fake_tor::FakeTor;
use crate::support::real_tor::RealTor;

#[test]
fn idle_connections_do_not_delay_accept() {
    // accept used to wait for the header of each connection, up to five seconds.
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).temporary_dir().export_circuit_id());
    let idle: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(tcp_address(&listener)).unwrap();
            stream.write_all(b"PROXY").unwrap();
            stream
        })
        .collect();
    let begin = Instant::now();
    assert!(listener.try_accept().unwrap().is_none());
    let mut like_tor = TcpStream::connect(tcp_address(&listener)).unwrap();
    let (begin_of_header, end) =
        (b"PROXY TCP6 fc00:dead:beef:", b"4dad::0:2a ::1 65535 80\r\nhello");
    like_tor.write_all(begin_of_header).unwrap();
    assert!(listener.try_accept().unwrap().is_none());
    like_tor.write_all(end).unwrap();
    drop(like_tor);
    let mut stream = listener.accept_timeout(LONG).unwrap();
    // An idle connection would have delayed it for longer.
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!((stream.circuit_id().unwrap().as_str(), text.as_str()), ("42", "hello"));
    drop(idle);
    assert!(listener.accept_timeout(Duration::from_millis(50)).unwrap_err().is_timeout());
}

#[test]
fn a_stream_has_tcp_nodelay() {
    // With Nagle's algorithm two small writes took 46 ms.
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor));
    let _client = TcpStream::connect(tcp_address(&listener)).unwrap();
    assert!(listener.accept_timeout(LONG).unwrap().into_tcp().unwrap().nodelay().unwrap());
}

#[test]
fn a_listener_can_be_polled_and_does_not_listen_after_it_is_closed() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor));
    let is_readable = |limit: u16| {
        let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::from(limit)).unwrap() == 1
    };
    assert!(!is_readable(0));
    let client = TcpStream::connect(tcp_address(&listener)).unwrap();
    assert!(is_readable(60_000));
    assert!(listener.try_accept().unwrap().is_some());
    drop(client);
    listener.close().unwrap();
    TcpStream::connect(tcp_address(&listener)).unwrap_err();
    let again = TcpListener::bind(tcp_address(&listener)).unwrap();
    drop(again);
    assert_eq!(refusal(listener.accept()), "the listener is closed");
}

#[test]
fn incoming_pauses_without_free_descriptors() {
    // With EMFILE, incoming() kept a processor busy.
    exclusive(|| {
        let tor = RealTor::start();
        let listener = listen(endpoint(&tor));
        let client = TcpStream::connect(tcp_address(&listener)).unwrap();
        let held = exhaust_descriptors();
        let begin = Instant::now();
        let errors = listener.incoming().take(6).filter(Result::is_err).count();
        assert_eq!(errors, 6);
        assert!(begin.elapsed() >= Duration::from_millis(500), "{:?}", begin.elapsed());
        drop(held);
        // The connection is still queued.
        drop(listener.accept_timeout(LONG).unwrap());
        drop(client);
    });
}

#[test]
fn a_socket_that_a_killed_program_left_is_replaced() {
    let tor = RealTor::start();
    let path = tor.directory().join("socket");
    // A listener of the standard library leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    let listener = listen(endpoint(&tor).local_unix(&path));
    let in_use = format!("cannot listen on unix:{}: Address already in use", path.display());
    let refused = refusal(endpoint(&tor).local_unix(&path).listen());
    assert!(refused.starts_with(&in_use), "{refused}");
    listener.close().unwrap();
    assert!(!path.exists());
    fs::write(&path, "precious").unwrap();
    let refused = refusal(endpoint(&tor).local_unix(&path).listen());
    assert!(refused.starts_with(&in_use), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

/// A tor behind a filter that refuses `HS_DESC` events.
fn filtered(adds: bool) -> FakeTor {
    FakeTor::unix(move |script| {
        script.greet();
        script.answer("SETEVENTS HS_DESC", &["510 Command filtered"]);
        if adds {
            script.expect_matching("ADD_ONION", |line| line.starts_with("ADD_ONION "));
            script.send_lines(&[&format!("250-ServiceID={}", id(1)), "250 OK"]);
            script.answer(&format!("DEL_ONION {}", id(1)), &["250 OK"]);
        }
        script.expect_end();
    })
}

#[test]
fn a_filter_that_refuses_the_events_does_not_stop_a_service() {
    for publication in [None, Some(Publication::None)] {
        let tor = filtered(true);
        let endpoint = OnionEndpoint::system_tor(tor.endpoint(), 80).key(key(1)).timeout(SOON);
        let endpoint = match publication {
            Some(publication) => endpoint.publication(publication),
            None => endpoint,
        };
        drop(endpoint.listen().unwrap());
        tor.finish();
    }
    // A wait for the publication fails with the rejection.
    let tor = filtered(false);
    let endpoint = OnionEndpoint::system_tor(tor.endpoint(), 80).publication(Publication::First);
    let refused = refusal(endpoint.listen());
    assert!(refused.contains("510"), "{refused}");
    tor.finish();
}
