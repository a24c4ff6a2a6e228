//! Accepted connections whose PROXY header is incomplete (`HiddenServiceExportCircuitID`).
//!
//! tor sends the header as soon as it has connected, before the client's bytes. Other programs on
//! this machine can connect too and send nothing, so `accept` never waits for one connection alone.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

use super::stream::OnionStream;
use crate::clock::{self, deadline_after};
use crate::names::CircuitId;
use crate::sync::Mutex;

/// How long a connection may take to send its header.
const LIMIT: Duration = Duration::from_secs(5);
/// How many connections may lack their header; beyond that the oldest is dropped.
const MOST: usize = 128;
/// The longest header of the PROXY protocol of version 1, with its line end.
const LONGEST: usize = 107;

/// The connections of one listener that lack their header.
#[derive(Debug, Default)]
pub(super) struct HalfOpen(Mutex<VecDeque<Waiting>>);

#[derive(Debug)]
struct Waiting {
    stream: OnionStream,
    header: Vec<u8>,
    until: Instant,
}

impl HalfOpen {
    pub(super) fn push(&self, stream: OnionStream) {
        let until = deadline_after(LIMIT);
        let mut list = self.0.lock();
        let dropped = if list.len() >= MOST { list.pop_front() } else { None };
        list.push_back(Waiting { stream, header: Vec::with_capacity(LONGEST), until });
        drop(list);
        if dropped.is_some() {
            log::warn!(
                "an onion service dropped a connection without a PROXY header: there were too many"
            );
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Reads the headers that have arrived, and returns the first connection whose header is
    /// complete. Drops connections that sent something else or took too long.
    pub(super) fn ready(&self) -> Option<OnionStream> {
        let mut dropped = Vec::new();
        let mut list = self.0.lock();
        let mut ready = None;
        let now = clock::now();
        let mut index = 0;
        while let Some(waiting) = list.get_mut(index) {
            let outcome = match waiting.advance() {
                Ok(None) if now >= waiting.until => Err(io::ErrorKind::TimedOut.into()),
                outcome => outcome,
            };
            match outcome {
                Ok(None) => index += 1,
                Ok(Some(circuit)) => {
                    ready = list.remove(index).map(|waiting| waiting.stream.with_circuit(circuit));
                    break;
                }
                Err(error) => dropped.extend(list.remove(index).map(|waiting| (waiting, error))),
            }
        }
        drop(list);
        for (_, error) in dropped {
            log::warn!("an onion service dropped a connection without a PROXY header: {error}");
        }
        ready
    }
}

impl Waiting {
    /// Reads the header as far as it has arrived, and nothing beyond it.
    fn advance(&mut self) -> io::Result<Option<CircuitId>> {
        let mut byte = [0];
        while !self.header.ends_with(b"\n") {
            if self.header.len() >= LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match recv(self.stream.as_fd().as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.header.extend_from_slice(&byte),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Some(read_circuit(&self.header).ok_or(io::ErrorKind::InvalidData)?))
    }
}

/// Reads `PROXY TCP6 fc00:dead:beef:4dad::AABB:CCDD ::1 65535 42`: the last four bytes of the first
/// address are the number of the circuit.
fn read_circuit(header: &[u8]) -> Option<CircuitId> {
    let mut words = std::str::from_utf8(header).ok()?.split_ascii_whitespace();
    if (words.next(), words.next()) != (Some("PROXY"), Some("TCP6")) {
        return None;
    }
    let address: Ipv6Addr = words.next()?.parse().ok()?;
    let [0xfc00, 0xdead, 0xbeef, 0x4dad, ..] = address.segments() else { return None };
    let [.., a, b, c, d] = address.octets();
    Some(CircuitId::from(u32::from_be_bytes([a, b, c, d])))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::{HalfOpen, LIMIT, MOST, read_circuit};
    use crate::clock::{ManualClock, TICK};
    use crate::onion::OnionStream;

    const HEADER: &[u8] = b"PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 2 80\r\n";

    fn connect(half_open: &HalfOpen) -> UnixStream {
        let (tor, accepted) = UnixStream::pair().unwrap();
        half_open.push(OnionStream::from(accepted));
        tor
    }

    #[test]
    fn the_header_names_the_circuit_and_the_rest_stays_readable() {
        let half_open = HalfOpen::default();
        let mut tor = connect(&half_open);
        let (begin, end) = HEADER.split_at(20);
        tor.write_all(begin).unwrap();
        assert!(half_open.ready().is_none());
        tor.write_all(end).unwrap();
        tor.write_all(b"GET /").unwrap();
        drop(tor);
        let mut stream = half_open.ready().unwrap();
        assert_eq!(stream.circuit_id().unwrap().as_str(), "65538");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "GET /");
        assert!(half_open.is_empty());
    }

    #[test]
    fn a_silent_connection_does_not_delay_others() {
        let half_open = HalfOpen::default();
        let _idle = connect(&half_open);
        let mut tor = connect(&half_open);
        tor.write_all(HEADER).unwrap();
        assert!(half_open.ready().is_some());
        assert!(half_open.ready().is_none() && !half_open.is_empty());
    }

    #[test]
    fn a_connection_is_dropped_at_its_limit_and_its_header_counts_until_then() {
        let clock = ManualClock::start();
        let half_open = HalfOpen::default();
        let (_silent, mut slow) = (connect(&half_open), connect(&half_open));
        clock.advance(LIMIT - TICK);
        assert!(half_open.ready().is_none());
        assert_eq!(half_open.0.lock().len(), 2);
        slow.write_all(HEADER).unwrap();
        clock.advance(TICK);
        // The silent one, which is first, is dropped.
        assert!(half_open.ready().is_some());
        assert!(half_open.is_empty());
    }

    #[test]
    fn the_oldest_connection_is_dropped_for_another_one() {
        let half_open = HalfOpen::default();
        let strangers: Vec<_> = (0..2 * MOST).map(|_| connect(&half_open)).collect();
        assert_eq!(half_open.0.lock().len(), MOST);
        // A process that another test forks has the descriptors until it executes its program.
        strangers.iter().for_each(|stranger| stranger.shutdown(Shutdown::Both).unwrap());
        assert!(half_open.ready().is_none() && half_open.is_empty());
    }

    #[test]
    fn anything_but_a_header_is_dropped() {
        for header in [
            "PROXY TCP6 ::1 ::1 2 80\r\n",
            "PROXY TCP4 127.0.0.1 127.0.0.1 2 80\r\n",
            "GET / HTTP/1.0\r\n",
            "\n",
        ] {
            assert_eq!(read_circuit(header.as_bytes()), None, "{header:?}");
        }
        let half_open = HalfOpen::default();
        let mut tor = connect(&half_open);
        tor.write_all(&[b'x'; 200]).unwrap();
        assert!(half_open.ready().is_none() && half_open.is_empty());
    }
}
