use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use torcon::onion::{OnionListener, Publication};

use super::{LONG, SOON, controller, endpoint, exhaust_descriptors, listen, tcp_address};
use crate::support::exclusive::exclusive;
use crate::support::leaks::{Holdings, threads};
use crate::support::log_capture::LogClosure;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::{eventually, within};

fn connect(listener: &OnionListener) -> TcpStream {
    TcpStream::connect(tcp_address(listener)).unwrap()
}

#[test]
fn fifty_services_leave_no_thread_no_descriptor_and_no_file() {
    exclusive(|| {
        let tor = RealTor::start();
        // Creates the threads and files that a process has once.
        listen(endpoint(&tor)).close().unwrap();
        let before = Holdings::now();
        for number in 0..50 {
            let endpoint = endpoint(&tor).check_interval(Duration::from_millis(10));
            let listener = match number % 3 {
                0 => listen(endpoint),
                1 => listen(endpoint.temporary_dir()),
                _ => listen(endpoint.temporary_dir().export_circuit_id()),
            };
            let client = connect(&listener);
            if number % 2 == 0 {
                listener.close().unwrap();
                assert_eq!(threads("torcon-onion"), Vec::<String>::new(), "{number}");
            }
            drop((listener, client));
        }
        before.assert_restored(LONG);
    });
}

#[test]
fn services_in_front_of_a_server_hold_one_thread_each_and_no_descriptor() {
    exclusive(|| {
        let tor = RealTor::start();
        let controller = controller(&tor);
        let start = || {
            let endpoint = controller.onion_endpoint(80).publication(Publication::None);
            endpoint.start("127.0.0.1:8080").unwrap()
        };
        // Starts what a connection starts with its first subscription.
        let first = start();
        let before = Holdings::now();
        let services: Vec<_> = (0..20).map(|_| start()).collect();
        let held = Holdings::now();
        assert_eq!(held.descriptors, before.descriptors);
        assert_eq!(held.threads.len(), before.threads.len() + services.len());
        drop(services);
        before.assert_restored(LONG);
        drop(first);
    });
}

/// The header is read without the bytes after it, and no silent client delays others.
#[test]
fn two_hundred_idle_clients_with_headers_are_all_accepted() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).temporary_dir().export_circuit_id());
    let silent: Vec<_> = (0..100).map(|_| connect(&listener)).collect();
    let local = listener.local_addr().to_string();
    let connect = |number: u32| {
        let mut client = TcpStream::connect(&local).unwrap();
        let header = format!("PROXY TCP6 fc00:dead:beef:4dad::0:{number:x} ::1 {number} 80\r\n");
        // In two parts, as from a full socket.
        let (start, end) = header.as_bytes().split_at(number as usize % header.len());
        client.write_all(start).unwrap();
        client.write_all(end).unwrap();
        client
    };
    let begin = Instant::now();
    let (clients, mut seen): (Vec<_>, Vec<u32>) = thread::scope(|scope| {
        // The backlog of a listener is shorter, so the clients connect while others are accepted.
        let clients = scope.spawn(|| (1..=200).map(connect).collect());
        let accepted = || listener.accept_timeout(LONG).unwrap().circuit_id().unwrap();
        let seen = (1..=200).map(|_| accepted().as_str().parse().unwrap()).collect();
        (clients.join().unwrap(), seen)
    });
    println!("two hundred accepted beside a hundred silent ones in {:?}", begin.elapsed());
    seen.sort_unstable();
    assert_eq!(seen, (1..=200).collect::<Vec<_>>());
    assert!(listener.try_accept().unwrap().is_none());
    drop((silent, clients));
    let begin = Instant::now();
    listener.close().unwrap();
    assert!(begin.elapsed() < SOON);
    assert!(listener.as_fd().try_clone_to_owned().is_ok());
}

#[test]
fn closing_twice_and_on_several_threads_ends_every_accept() {
    let tor = RealTor::start();
    let listener = Arc::new(listen(endpoint(&tor).temporary_dir()));
    let shared = Arc::clone(&listener);
    within(LONG, "everything has ended", move || {
        thread::scope(|scope| {
            let accepting = [(); 4].map(|()| scope.spawn(|| shared.incoming().count()));
            let closing = [(); 4].map(|()| scope.spawn(|| shared.close().and(shared.close())));
            assert_eq!(closing.map(|thread| thread.join().unwrap().is_ok()), [true; 4]);
            assert_eq!(accepting.map(|thread| thread.join().unwrap()), [0; 4]);
        });
    });
    assert!(TcpStream::connect(listener.local_addr().to_string()).is_err());
}

#[test]
fn a_lack_of_descriptors_delays_a_removed_service_and_does_not_end_it() {
    exclusive(|| {
        let tor = RealTor::start();
        let mut raw = tor.raw();
        let listener = listen(endpoint(&tor).temporary_dir());
        let held = exhaust_descriptors();
        assert_eq!(raw.ask("SIGNAL RELOAD"), ["250 OK"]);
        // Without a free descriptor accept() would fail at once.
        let ended = listener.wait_published(Publication::All, Duration::from_secs(2)).unwrap_err();
        assert!(ended.is_timeout(), "{ended:?}");
        drop(held);
        let directory = listener.hidden_service_dir().unwrap();
        let line = format!("250 HiddenServiceDir={}", directory.display());
        let has_service = || raw.ask("GETCONF HiddenServiceDir") == [line.as_str()];
        eventually(LONG, "tor has the service again", has_service);
        listener.close().unwrap();
    });
}

/// A logger runs on the thread that logs: here on that of the monitor.
#[test]
fn a_logger_may_close_the_service_on_the_thread_of_its_monitor() {
    exclusive(|| {
        let tor = RealTor::start();
        let listener = Arc::new(listen(endpoint(&tor).temporary_dir()));
        let closed = Arc::downgrade(&listener);
        let (done, is_done) = std::sync::mpsc::channel();
        let _logger = LogClosure::start(move |line| {
            if line.text.contains("was added to tor again") {
                let outcome = closed.upgrade().map(|listener| listener.close());
                done.send(outcome.is_some_and(|outcome| outcome.is_ok())).unwrap();
            }
        });
        assert_eq!(tor.raw().ask("SIGNAL RELOAD"), ["250 OK"]);
        assert_eq!(is_done.recv_timeout(LONG), Ok(true));
        let mut client = tor.raw();
        eventually(LONG, "the service is gone", || {
            client.ask("GETCONF HiddenServiceDir") == ["250 HiddenServiceDir"]
        });
        eventually(LONG, "its thread has ended", || threads("torcon-onion").is_empty());
        let mut rest = Vec::new();
        drop(listener.accept().map(|mut stream| stream.read_to_end(&mut rest)));
    });
}
