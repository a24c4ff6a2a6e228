use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::LIMIT;

/// A request to a SOCKS server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Connect(u16),
    Resolve,
    ResolvePtr,
}

/// Sends a request to a `SocksPort` of tor; returns the stream and the answered name or address, or
/// the code of the refusal.
pub(super) fn ask(
    server: SocketAddr,
    host: &str,
    command: Command,
) -> Result<(TcpStream, String), u8> {
    let (command, port) = match command {
        Command::Connect(port) => (1, port),
        Command::Resolve => (0xf0, 0),
        Command::ResolvePtr => (0xf1, 0),
    };
    let mut stream = TcpStream::connect_timeout(&server, LIMIT).expect("tor listens");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut request = vec![5, 1, 0, 5, command, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(_)) => panic!("the tests ask for no such address"),
        Err(_) => {
            request.extend([3, u8::try_from(host.len()).unwrap()]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).unwrap();
    assert_eq!(take(&mut stream, 2), [5, 0]);
    let head = take(&mut stream, 4);
    assert_eq!(head[0], 5);
    if head[1] != 0 {
        return Err(head[1]);
    }
    let answer = match head[3] {
        1 => {
            let octets: [u8; 4] = take(&mut stream, 4).try_into().unwrap();
            Ipv4Addr::from(octets).to_string()
        }
        3 => {
            let length = take(&mut stream, 1)[0];
            String::from_utf8(take(&mut stream, length.into())).unwrap()
        }
        kind => panic!("an address of kind {kind}"),
    };
    take(&mut stream, 2);
    Ok((stream, answer))
}

fn take(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("tor answers");
    bytes
}

/// An echo server for one connection.
pub(super) struct Echo {
    pub(super) address: SocketAddr,
    thread: JoinHandle<u64>,
}

impl Echo {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let (stream, _) = listener.accept().unwrap();
            std::io::copy(&mut &stream, &mut &stream).unwrap_or_default()
        };
        let thread = thread::Builder::new().name("echo".to_owned()).spawn(serve).unwrap();
        Self { address, thread }
    }

    /// Returns the number of echoed bytes, once the client has ended.
    pub(super) fn finish(self) -> u64 {
        self.thread.join().unwrap()
    }
}
