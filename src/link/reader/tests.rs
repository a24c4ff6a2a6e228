//! The reader on the thread of the test: failed reads, and the end of the stream.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;

use super::Reader;
use crate::error::Disconnect;
use crate::link::backlog::backlog;
use crate::link::{BufferLimits, Connection, LinkLimits, Stream};
use crate::wire::Limits;

/// Returns a reader and its peer.
fn reader() -> (Reader, UnixStream) {
    let (socket, peer) = UnixStream::pair().unwrap();
    let replies = BufferLimits { memory: 1 << 20, file: 1 << 20 };
    let limits = LinkLimits { wire: Limits::default(), events: 1 << 20, replies };
    let (sender, events) = backlog(limits.events);
    let connection = Connection::new(Stream::Unix(socket), replies, events);
    (Reader::new(connection.into(), sender, limits), peer)
}

/// Reads what the peer sent before it closed the connection.
fn end_after(sent: &str, is_authenticated: bool) -> Disconnect {
    let (mut reader, mut peer) = reader();
    if is_authenticated {
        reader.set_authenticated();
    }
    peer.write_all(sent.as_bytes()).unwrap();
    drop(peer);
    loop {
        if let Err(reason) = reader.read_before(crate::clock::now()) {
            return reason;
        }
    }
}

#[test]
fn a_read_that_was_interrupted_is_repeated_and_another_error_is_the_end() {
    let (mut reader, _peer) = reader();
    let mut receive = |kind: ErrorKind| reader.receive(Err(io::Error::from(kind)));
    assert!(receive(ErrorKind::Interrupted).is_ok() && receive(ErrorKind::WouldBlock).is_ok());
    assert!(matches!(receive(ErrorKind::ConnectionReset), Err(Disconnect::EndOfStream)));
    assert!(matches!(receive(ErrorKind::NotConnected), Err(Disconnect::Read(_))));
}

#[test]
fn a_peer_that_speaks_another_protocol_is_recognized_before_the_authentication() {
    for (sent, is_authenticated, is_other) in [
        ("SSH-2.0-OpenSSH", false, true),
        ("SSH-2.0-OpenSSH", true, false),
        // The end within the first line.
        ("SS", false, true),
        ("SS", true, false),
        ("25", false, false),
        ("650+NS\r\nr xx", false, false),
        ("", false, false),
    ] {
        let end = end_after(sent, is_authenticated);
        match is_other {
            true => assert!(matches!(end, Disconnect::Protocol(_)), "{sent}: {end}"),
            false => assert!(matches!(end, Disconnect::EndOfStream), "{sent}: {end}"),
        }
    }
}
