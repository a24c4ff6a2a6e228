use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::error::TestnetProblem;
use crate::link::readable_until;

/// The longest message without extensions.
const LONGEST: usize = 512;
const HEADER: usize = 12;
/// The flags of a response: recursion desired and available. The lowest bits are the code.
const FLAGS: u16 = 0x8180;
const NO_SUCH_NAME: u16 = 3;
const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
/// The time to live of a record, in seconds.
const TIME_TO_LIVE: u32 = 60;
/// A pointer to the name of the question.
const QUESTION_NAME: u16 = 0xc000 | 12;
const LOOPBACK_NAME: &[u8] = b"\x08loopback\x04test\x00";

/// The name server of the exits, on UDP, in the thread `torcon-dns`.
#[derive(Debug)]
pub(super) struct NameServer {
    address: SocketAddr,
    /// Closed to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    pub(super) fn start() -> Result<Self, TestnetProblem> {
        let problem = |error| TestnetProblem::Resource {
            what: "a port for the name server",
            source: Arc::new(error),
        };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(problem)?;
        let address = socket.local_addr().map_err(problem)?;
        let (stop, stopped) = UnixStream::pair().map_err(problem)?;
        let thread = thread::Builder::new()
            .name("torcon-dns".to_owned())
            .spawn(move || {
                if let Err(error) = serve(&socket, &stopped) {
                    log::error!("the name server of a private network failed: {error}");
                }
            })
            .map_err(|error| TestnetProblem::Resource {
                what: "a thread",
                source: Arc::new(error),
            })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It waits only for the socket and for `stop`.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, stopped: &UnixStream) -> io::Result<()> {
    let mut buffer = [0; LONGEST];
    loop {
        let [is_readable, is_stopped] = readable_until([socket.as_fd(), stopped.as_fd()], None)?;
        if is_stopped {
            return Ok(());
        }
        if is_readable {
            // An error here concerns a client that is gone.
            let Ok((count, client)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(answer) = buffer.get(..count).and_then(answer) {
                let _ = socket.send_to(&answer, client);
            }
        }
    }
}

/// Returns the response to a query, or `None` if the query is malformed.
///
/// Every name is 127.0.0.1, every address is `loopback.test`, and a name with the label `nx` does
/// not exist. The response repeats the question byte for byte: tor compares its random case.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = query.split_at_checked(HEADER)?;
    let name_length = name_length(rest)?;
    let (name, fields) = rest.split_at_checked(name_length)?;
    let (fields, _extensions) = fields.split_at_checked(4)?;
    let kind = u16::from_be_bytes([*fields.first()?, *fields.get(1)?]);

    let data: &[u8] = match kind {
        TYPE_A => &[127, 0, 0, 1],
        TYPE_PTR => LOOPBACK_NAME,
        _ => &[],
    };
    let missing = labels(name).any(|label| label.eq_ignore_ascii_case(b"nx"));
    let data = if missing { &[] } else { data };
    let flags = if missing { FLAGS | NO_SUCH_NAME } else { FLAGS };

    let mut answer = header.get(..2)?.to_vec();
    for number in [flags, 1, u16::from(!data.is_empty()), 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(name);
    answer.extend(fields);
    if !data.is_empty() {
        answer.extend(QUESTION_NAME.to_be_bytes());
        answer.extend(fields);
        answer.extend(TIME_TO_LIVE.to_be_bytes());
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

/// Returns the length of the name at the start, with its final empty label.
fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 1;
    for label in labels(bytes) {
        length += 1 + label.len();
    }
    // A truncated label or a pointer ends the labels too.
    (bytes.get(length - 1) == Some(&0)).then_some(length)
}

/// Returns the labels of a name.
fn labels(mut name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = name.split_first()?;
        if length == 0 || length > 63 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        name = rest;
        Some(label)
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::{NameServer, answer};

    fn query(name: &str, kind: u8) -> Vec<u8> {
        let mut query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        query
    }

    #[test]
    fn a_name_resolves_to_the_loopback_address() {
        let expected = b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\
            \x01a\x04tEsT\x00\x00\x01\x00\x01\
            \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01";
        assert_eq!(answer(&query("a.tEsT", 1)).unwrap(), expected);
    }

    #[test]
    fn an_address_resolves_to_loopback_test() {
        let reply = answer(&query("7.2.0.192.in-addr.arpa", 12)).unwrap();
        assert!(reply.ends_with(b"\x00\x0f\x08loopback\x04test\x00"), "{reply:?}");
    }

    #[test]
    fn a_name_with_the_label_nx_does_not_exist_and_other_types_have_no_records() {
        let reply = answer(&query("some.Nx.test", 1)).unwrap();
        assert_eq!(reply[2..8], [0x81, 0x83, 0, 1, 0, 0]);
        assert_eq!(reply.len(), query("some.Nx.test", 1).len());
        let reply = answer(&query("nxt.test", 28)).unwrap();
        assert_eq!(reply[2..8], [0x81, 0x80, 0, 1, 0, 0]);
        assert!(answer(&query("", 1)).is_some());
    }

    #[test]
    fn extensions_are_ignored_and_a_malformed_query_has_no_response() {
        let mut extended = query("a.test", 1);
        extended.extend(b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00");
        assert_eq!(answer(&extended), answer(&query("a.test", 1)));
        let whole = query("a.test", 1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length]), None, "{length}");
        }
        let pointer = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
        assert_eq!(answer(pointer), None);
    }

    #[test]
    fn the_server_answers_and_its_thread_ends_with_it() {
        let server = NameServer::start().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket.send_to(b"no query", server.address()).unwrap();
        socket.send_to(&query("a.test", 1), server.address()).unwrap();
        let mut buffer = [0; 512];
        let (count, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(from, server.address());
        assert_eq!(Some(buffer[..count].to_vec()), answer(&query("a.test", 1)));
        // Returns only when the thread is gone.
        drop(server);
    }
}
