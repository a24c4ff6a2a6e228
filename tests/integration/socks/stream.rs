//! `TorStream` as a socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write, copy};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use torcon::socks::TorStream;

use super::GRANTED;
use super::fake_proxy::{FakeProxy, KINDS, Kind, Peer};

fn open(kind: Kind, play: impl FnOnce(&mut Peer) + Send + 'static) -> (FakeProxy, TorStream) {
    let fake = FakeProxy::start(kind, |peer| {
        peer.greet();
        peer.expect_connect("a.example", 80);
        peer.send(GRANTED);
        play(peer);
    });
    let stream = fake.proxy().connect("a.example:80").unwrap();
    (fake, stream)
}

#[test]
fn a_stream_implements_read_and_write() {
    for kind in KINDS {
        let (fake, mut stream) = open(kind, Peer::echo);
        writeln!(stream, "owned").unwrap();
        writeln!(&stream, "shared").unwrap();
        stream.flush().unwrap();
        let mut lines = BufReader::new(&stream).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "owned");
        assert_eq!(lines.next().unwrap().unwrap(), "shared");
        let mut clone = stream.try_clone().unwrap();
        drop(stream);
        clone.write_all(b"clone").unwrap();
        clone.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        clone.read_to_string(&mut text).unwrap();
        assert_eq!(text, "clone");
        fake.finish();
    }
}

#[test]
fn megabytes_pass_in_both_directions_unchanged() {
    let sent: Vec<u8> =
        (0..3_000_000_u32).map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)]).collect();
    for kind in KINDS {
        let (fake, stream) = open(kind, Peer::echo);
        let mut received = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            copy(&mut &stream, &mut received).unwrap();
        });
        assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
        fake.finish();
    }
}

#[test]
fn a_stream_has_timeouts_and_nonblocking_mode() {
    for kind in KINDS {
        let (fake, mut stream) = open(kind, Peer::expect_end);
        let mut byte = [0];
        assert_eq!(stream.read_timeout().unwrap(), None);
        assert_eq!(stream.write_timeout().unwrap(), None);
        let limit = Some(Duration::from_millis(20));
        stream.set_read_timeout(limit).unwrap();
        stream.set_write_timeout(limit).unwrap();
        assert_eq!(
            (stream.read_timeout().unwrap(), stream.write_timeout().unwrap()),
            (limit, limit)
        );
        assert_eq!(stream.read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(None).unwrap();
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
        let zero = stream.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
        drop(stream);
        fake.finish();
    }
}

#[test]
fn a_stream_converts_into_its_socket() {
    for kind in KINDS {
        let (fake, stream) = open(kind, |peer| {
            peer.expect(b"x");
            peer.expect_end();
        });
        let number = stream.as_raw_fd();
        assert_eq!(stream.as_fd().as_raw_fd(), number);
        match kind {
            Kind::Tcp => {
                let stream = stream.into_unix().unwrap_err();
                let mut socket: TcpStream = stream.into_tcp().unwrap();
                assert!(socket.nodelay().unwrap());
                socket.write_all(b"x").unwrap();
            }
            Kind::Unix => {
                let stream = stream.into_tcp().unwrap_err();
                let mut socket: UnixStream = stream.into_unix().unwrap();
                socket.write_all(b"x").unwrap();
            }
        }
        fake.finish();
        let (fake, stream) = open(kind, Peer::expect_end);
        drop(OwnedFd::from(stream));
        fake.finish();
    }
}
