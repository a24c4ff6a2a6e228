//! Sockets, with peers that accept, read or are silent.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{Backlog, getsockopt, listen, setsockopt, sockopt};

use super::{Attempt, CancelToken, Endpoint, Stream, WriteOutcome, resolve};
use crate::clock::{ManualClock, deadline_after, elapsed_since, now};
use crate::error::ConnectProblem;

// The first address of a name took the whole time limit.
#[test]
fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    let (silent, good) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    // Linux drops connections to a listener whose backlog is full.
    listen(&silent, Backlog::new(0).unwrap()).unwrap();
    let address = silent.local_addr().unwrap();
    let fill =
        |address: &SocketAddr| TcpStream::connect_timeout(address, Duration::from_millis(200));
    let _pending: Vec<_> = std::iter::from_fn(|| fill(&address).ok()).take(64).collect();
    let addresses = [address, good.local_addr().unwrap()];
    let attempt = Attempt { deadline: Instant::now() + Duration::from_secs(4), cancel: None };
    let stream = attempt.connect_tcp(&addresses).unwrap();
    let Stream::Tcp(socket) = stream else { panic!("not a TCP stream") };
    assert_eq!(socket.peer_addr().unwrap(), addresses[1]);
}

// Canceling did not end the opening of a socket.
#[test]
fn opening_a_socket_is_canceled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (tcp, unix) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(&path).unwrap());
    listen(&tcp, Backlog::new(0).unwrap()).unwrap();
    listen(&unix, Backlog::new(0).unwrap()).unwrap();
    for endpoint in [tcp.local_addr().unwrap().into(), Endpoint::unix(path)] {
        let open = |limit, cancel: Option<&CancelToken>| {
            Stream::connect(&endpoint, Instant::now() + limit, cancel)
        };
        let short = Duration::from_millis(200);
        let _pending: Vec<_> = std::iter::from_fn(|| open(short, None).ok()).take(64).collect();
        let token = CancelToken::new();
        let begin = Instant::now();
        thread::scope(|scope| {
            let opening = scope.spawn(|| open(Duration::from_secs(60), Some(&token)));
            assert!(!token.wait_timeout(short));
            token.cancel();
            assert!(opening.join().unwrap().is_err());
        });
        assert!(begin.elapsed() < Duration::from_secs(30), "{endpoint}: {:?}", begin.elapsed());
    }
}

// A resolver that does not answer kept its caller until the deadline.
#[test]
fn the_resolution_of_a_name_is_canceled() {
    let token = CancelToken::new();
    token.cancel();
    let deadline = Instant::now() + Duration::from_secs(60);
    let error = resolve("a.invalid", 1, deadline, Some(&token)).unwrap_err();
    assert_eq!(error.to_string(), "canceled");
}

// The loss of a remote machine was never noticed.
#[test]
fn keep_alive_ends_a_connection_within_two_minutes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let copy = socket.try_clone().unwrap();
    Stream::Tcp(socket).keep_alive();
    assert!(getsockopt(&copy, sockopt::KeepAlive).unwrap());
    assert_eq!(getsockopt(&copy, sockopt::TcpKeepIdle).unwrap(), 60);
    assert_eq!(getsockopt(&copy, sockopt::TcpKeepInterval).unwrap(), 10);
    assert_eq!(getsockopt(&copy, sockopt::TcpKeepCount).unwrap(), 6);
    assert_eq!(getsockopt(&copy, sockopt::TcpUserTimeout).unwrap(), 120_000);
}

const LIMIT: Duration = Duration::from_secs(30);

/// Returns both ends of a connection of either kind.
fn pairs() -> [(Stream, Stream); 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (unix, peer) = UnixStream::pair().unwrap();
    let accepted = Stream::Tcp(listener.accept().unwrap().0);
    [(Stream::Tcp(tcp), accepted), (Stream::Unix(unix), Stream::Unix(peer))]
}

/// Writes until the socket has no room.
fn fill(stream: &Stream) {
    while stream.write_available(&[0; 1 << 16]).1.is_ok() {}
}

#[test]
fn a_stream_has_the_timeouts_and_the_mode_of_its_socket() {
    for (stream, _peer) in pairs() {
        assert_eq!([stream.read_timeout(), stream.write_timeout()].map(Result::unwrap), [None; 2]);
        let [short, long] = [1, 2].map(Duration::from_secs).map(Some);
        stream.set_read_timeout(short).unwrap();
        stream.set_write_timeout(long).unwrap();
        let timeouts = [stream.read_timeout(), stream.write_timeout()].map(Result::unwrap);
        assert_eq!(timeouts, [short, long]);
        stream.set_read_timeout(None).unwrap();
        stream.set_nonblocking(true).unwrap();
        let error = (&stream).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn a_stream_reads_and_writes_like_its_socket() {
    for (stream, peer) in pairs() {
        let (mut writer, mut reader) = (&stream, &peer);
        assert_eq!(writer.write(b"ab").unwrap(), 2);
        let parts = [IoSlice::new(b"c"), IoSlice::new(b"de")];
        assert_eq!(writer.write_vectored(&parts).unwrap(), 3);
        writer.flush().unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
        let (mut first, mut second) = ([0], [0]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(reader.read_vectored(&mut buffers).unwrap(), 2);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!((first, second, rest.as_str()), (*b"a", *b"b", "cde"));
        assert_eq!(peer.read_before(&mut [0], deadline_after(LIMIT)).unwrap(), 0);
    }
}

#[test]
fn a_write_waits_for_room_and_says_whether_a_byte_was_written_before_its_deadline() {
    let step = LIMIT / 100;
    for (stream, peer) in pairs() {
        // More than the socket has room for.
        let bytes = vec![1; 8 << 20];
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut read = 0;
                while read < bytes.len() {
                    read += peer.read_before(&mut [0; 1 << 16], deadline_after(LIMIT)).unwrap();
                }
            });
            assert!(matches!(stream.write_all(&bytes, deadline_after(LIMIT)), WriteOutcome::All));
            reader.join().unwrap();
        });
        let clock = ManualClock::start();
        clock.tick_by(step);
        let start = now();
        let outcome = stream.write_all(&bytes, deadline_after(LIMIT));
        let WriteOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let outcome = loop {
            fill(&stream);
            match stream.write_all(b"a", deadline_after(LIMIT)) {
                // The operating system has moved bytes to the socket of the peer meanwhile.
                WriteOutcome::All => {}
                outcome => break outcome,
            }
        };
        assert!(matches!(outcome, WriteOutcome::Nothing), "{outcome:?}");
        let took = elapsed_since(start);
        assert!(took >= 2 * LIMIT && took < 3 * LIMIT, "{took:?}");
        drop(clock);
        // A failure that is not the deadline, before the first byte.
        drop(peer);
        let outcome = stream.write_all(&bytes, deadline_after(LIMIT));
        assert!(matches!(outcome, WriteOutcome::Failed(_)), "{outcome:?}");
    }
}

#[test]
fn the_number_of_written_bytes_is_exact() {
    for (stream, peer) in pairs() {
        let bytes = vec![7; 8 << 20];
        let (written, outcome) = stream.write_available(&bytes);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        stream.shut_down();
        let mut arrived = 0;
        while let Ok(read @ 1..) = peer.read_available(&mut [0; 1 << 16]) {
            arrived += read;
        }
        assert_eq!(written, arrived);
    }
}

#[test]
fn a_read_waits_for_bytes_and_ends_at_its_deadline() {
    for (stream, peer) in pairs() {
        let begin = Instant::now();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut buffer = [0; 8];
                let read = stream.read_before(&mut buffer, deadline_after(LIMIT)).unwrap();
                buffer[..read].to_vec()
            });
            peer.write_available(b"late").1.unwrap();
            assert_eq!(reader.join().unwrap(), b"late");
        });
        assert!(begin.elapsed() < LIMIT);
        let clock = ManualClock::start();
        clock.tick_by(LIMIT / 10);
        let start = now();
        let error = stream.read_before(&mut [0], deadline_after(LIMIT)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(elapsed_since(start) >= LIMIT);
        // Bytes that have arrived are read also at the deadline.
        peer.write_available(b"a").1.unwrap();
        assert_eq!(stream.read_before(&mut [0], now()).unwrap(), 1);
    }
}

#[test]
fn a_new_stream_blocks_sends_at_once_and_is_not_inherited() {
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let _unix = UnixListener::bind(&path).unwrap();
    for endpoint in [tcp.local_addr().unwrap().into(), Endpoint::unix(path)] {
        let stream = Stream::connect(&endpoint, deadline_after(LIMIT), None).unwrap();
        let flags = fcntl(&stream, FcntlArg::F_GETFD).unwrap();
        assert!(FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC));
        let status = fcntl(&stream, FcntlArg::F_GETFL).unwrap();
        assert!(!OFlag::from_bits_truncate(status).contains(OFlag::O_NONBLOCK));
        if let Stream::Tcp(socket) = &stream {
            assert!(socket.nodelay().unwrap());
        }
    }
}

#[test]
fn a_listener_with_a_full_backlog_is_asked_again_until_it_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let endpoint = Endpoint::unix(path);
    let open = |limit| Stream::connect(&endpoint, Instant::now() + limit, None);
    let short = Duration::from_millis(50);
    let mut pending = Vec::new();
    let problem = loop {
        match open(short) {
            Ok(stream) => pending.push(stream),
            Err(problem) => break problem,
        }
    };
    let ConnectProblem::Io(error) = problem else { panic!("{problem:?}") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(!pending.is_empty());
    thread::scope(|scope| {
        let opening = scope.spawn(|| open(LIMIT));
        let accepted: Vec<_> = pending.iter().map(|_| listener.accept().unwrap()).collect();
        assert!(opening.join().unwrap().is_ok());
        drop(accepted);
    });
}

#[test]
fn a_reset_by_the_peer_is_an_error_and_not_the_end_of_the_stream() {
    let [(stream, peer), _] = pairs();
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&peer, sockopt::Linger, &at_once).unwrap();
    drop(peer);
    let error = stream.read_before(&mut [0], deadline_after(LIMIT)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
