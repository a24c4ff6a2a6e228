//! The peer of a control connection, as the operating system reports it.

use std::net::{IpAddr, SocketAddr};

use super::transport::Stream;

/// The peer of a connection. It can be a filtering proxy or a tunnel that forwards the connection to
/// a tor on another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A process on this machine with a unix socket, and its PID in the namespace of this program.
    /// `None` in another PID namespace, and on systems that do not report it.
    Process(Option<u32>),
    /// A TCP port, with the addresses of both ends of the connection.
    Host { local: IpAddr, remote: SocketAddr },
    /// The socket is disconnected.
    Unknown,
}

impl Peer {
    pub(super) fn of(stream: &Stream) -> Self {
        match stream {
            Stream::Unix(socket) => Self::Process(peer_pid(socket)),
            #[cfg(all(test, shuttle))]
            Stream::Model(_) => Self::Process(None),
            Stream::Tcp(socket) => match (socket.local_addr(), socket.peer_addr()) {
                // A dual-stack socket reports IPv4 addresses in IPv6 form.
                (Ok(local), Ok(remote)) => {
                    Self::Host { local: local.ip().to_canonical(), remote: canonical(remote) }
                }
                _ => Self::Unknown,
            },
        }
    }

    /// Returns whether the peer runs on this machine: a unix socket, a loopback address, or the same
    /// address at both ends.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        match self {
            Self::Process(_) => true,
            Self::Host { local, remote } => remote.ip().is_loopback() || *local == remote.ip(),
            Self::Unknown => false,
        }
    }
}

/// Converts an IPv4 address in IPv6 form to IPv4. Keeps any other address, with its scope.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn peer_pid(socket: &std::os::unix::net::UnixStream) -> Option<u32> {
    use nix::sys::socket::{getsockopt, sockopt};
    let credentials = getsockopt(socket, sockopt::PeerCredentials).ok()?;
    // Linux reports 0 for a process in another PID namespace.
    u32::try_from(credentials.pid()).ok().filter(|pid| *pid != 0)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn peer_pid(_socket: &std::os::unix::net::UnixStream) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::{Peer, Stream};

    #[test]
    fn the_peer_of_a_unix_socket_is_a_process() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let own = Some(std::process::id()).filter(|_| cfg!(target_os = "linux"));
        assert_eq!(Peer::of(&Stream::Unix(socket)), Peer::Process(own));
    }

    #[test]
    fn this_machine_is_recognized_by_the_addresses_of_the_socket() {
        for (local, remote, expected) in [
            ("127.0.0.1", "127.0.0.1:1", true),
            ("127.0.0.1", "127.0.0.2:1", true),
            ("::1", "[::1]:1", true),
            ("192.0.2.5", "192.0.2.5:1", true),
            ("192.0.2.5", "192.0.2.6:1", false),
            ("2001:db8::5", "[2001:db8::6]:1", false),
        ] {
            let peer =
                Peer::Host { local: local.parse().unwrap(), remote: remote.parse().unwrap() };
            assert_eq!(peer.is_on_this_machine(), expected, "{peer:?}");
        }
        assert!(Peer::Process(None).is_on_this_machine());
        assert!(!Peer::Unknown.is_on_this_machine());
    }
}
