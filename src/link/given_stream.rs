//! Sockets that the program has connected.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt,
};

use super::Endpoint;
use super::transport::Stream;

impl Stream {
    /// Takes a connected TCP or unix stream socket of the program, in the state in which
    /// [`Stream::connect`] returns one. Also returns the endpoint of its peer, with an empty path
    /// if the peer is a unix socket without one.
    pub(crate) fn from_connected(socket: OwnedFd) -> io::Result<(Self, Endpoint)> {
        if getsockopt(&socket, sockopt::SockType)? != SockType::Stream {
            return Err(Errno::ESOCKTNOSUPPORT.into());
        }
        // Inherited by a process that this program starts, the connection would outlive its end.
        fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let family = getsockname::<SockaddrStorage>(socket.as_raw_fd())?.family();
        let (stream, peer) = match family {
            Some(AddressFamily::Inet | AddressFamily::Inet6) => {
                let socket = TcpStream::from(socket);
                let peer = Endpoint::from(socket.peer_addr()?);
                socket.set_nodelay(true)?;
                (Self::Tcp(socket), peer)
            }
            Some(AddressFamily::Unix) => {
                let socket = UnixStream::from(socket);
                let address = socket.peer_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new(""));
                let peer = Endpoint::unix(path);
                (Self::Unix(socket), peer)
            }
            _ => return Err(Errno::EAFNOSUPPORT.into()),
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok((stream, peer))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::{Endpoint, Stream};

    #[test]
    fn a_tcp_socket_has_the_endpoint_of_its_peer_and_sends_at_once() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may be without IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let peer = listener.local_addr().unwrap();
            let socket = TcpStream::connect(peer).unwrap();
            socket.set_nonblocking(true).unwrap();
            let (stream, endpoint) = Stream::from_connected(socket.into()).unwrap();
            assert_eq!(endpoint, Endpoint::from(peer));
            let Stream::Tcp(socket) = stream else { panic!("it is a TCP socket") };
            assert!(socket.nodelay().unwrap());
        }
    }

    #[test]
    fn a_socket_that_another_process_passed_on_is_not_inherited() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        fcntl(&socket, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let (stream, _) = Stream::from_connected(socket.into()).unwrap();
        let Stream::Unix(socket) = stream else { panic!("it is a unix socket") };
        let flags = fcntl(&socket, FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
    }
}
