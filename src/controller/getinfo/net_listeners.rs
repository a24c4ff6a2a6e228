//! Where tor listens, and where this program reaches it.
//!
//! tor names its listeners as its own machine sees them. `0.0.0.0` stands for every address of
//! that machine, and `127.0.0.1` is that machine itself, whoever reads it. So both are judged by
//! where the control port lies.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::controller::Controller;
use crate::error::{ProtocolError, Result, SocksError, SocksProblem};
use crate::link::{Endpoint, Peer, canonical};
use crate::names::{ListenerKind, PortTarget};
use crate::wire::quoted::read_cstring;

impl Controller {
    /// Returns where tor listens for one kind of client, in tor's order. While its network is
    /// switched off, it listens for controllers only.
    ///
    /// A listener on every address of tor's machine, such as `0.0.0.0:9050`, is returned with the
    /// address at which the control port was reached, or with a loopback address if that is on
    /// this machine. Every other address is returned as tor names it: `127.0.0.1` and a unix
    /// socket are on tor's machine, which may be another.
    ///
    /// Sends `GETINFO net/listeners/kind`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor knows no such kind;
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those
    /// of [`get_info`](Self::get_info).
    #[doc(alias = "get_ports")]
    #[doc(alias = "get_listeners")]
    pub fn listeners(&self, kind: &ListenerKind) -> Result<Vec<Endpoint>> {
        let listeners = self.read_listeners(kind)?;
        Ok(listeners.into_iter().map(|listener| place(listener, &self.inner.peer).told()).collect())
    }

    /// Returns where this program reaches tor's `SocksPort`: the endpoint of the options, or every
    /// listener that is not on another machine's loopback. `wish` is for the error.
    pub(crate) fn socks_endpoints(&self, wish: &str) -> Result<Vec<Endpoint>> {
        if let Some(endpoint) = &self.inner.socks {
            return Ok(vec![endpoint.clone()]);
        }
        let (mut reached, mut elsewhere) = (Vec::new(), None);
        for listener in self.read_listeners(&ListenerKind::Socks)? {
            match place(listener, &self.inner.peer) {
                Placed::Here(endpoint) => reached.push(endpoint),
                Placed::Elsewhere(endpoint) => {
                    elsewhere.get_or_insert(endpoint);
                }
            }
        }
        match elsewhere {
            Some(listener) if reached.is_empty() => {
                let listener = listener.to_string().into();
                Err(self.no_socks(wish, SocksProblem::ListenerElsewhere { listener }))
            }
            _ => Ok(reached),
        }
    }

    /// Returns the first of [these](Self::socks_endpoints).
    pub(crate) fn socks_endpoint(&self, wish: &str) -> Result<Endpoint> {
        let first = self.socks_endpoints(wish)?.into_iter().next();
        first.ok_or_else(|| self.no_socks(wish, SocksProblem::NoListener))
    }

    /// Returns the target by which tor reaches a listener of this program, `None` if it cannot.
    pub(crate) fn target_of_listener(&self, listener: &PortTarget) -> Option<PortTarget> {
        target_of(listener, &self.inner.peer)
    }

    fn no_socks(&self, wish: &str, problem: SocksProblem) -> crate::error::Error {
        SocksError::new(&format!("of the tor at {}", self.endpoint()), wish, problem).into()
    }

    fn read_listeners(&self, kind: &ListenerKind) -> Result<Vec<Listener>> {
        let key = format!("net/listeners/{}", kind.as_str());
        self.read_info(&key, |answer| read_listeners(&key, answer))
    }
}

/// A listener as tor names it.
#[derive(Debug, PartialEq)]
enum Listener {
    Tcp(SocketAddr),
    Unix(Endpoint),
}

/// A listener as this program sees it.
#[derive(Debug, PartialEq)]
enum Placed {
    /// It may be reached at this endpoint.
    Here(Endpoint),
    /// It can be reached only from tor's machine, where it is at this endpoint.
    Elsewhere(Endpoint),
}

impl Placed {
    fn told(self) -> Endpoint {
        match self {
            Self::Here(endpoint) | Self::Elsewhere(endpoint) => endpoint,
        }
    }
}

fn place(listener: Listener, peer: &Peer) -> Placed {
    let mut address = match listener {
        Listener::Unix(endpoint) if peer.is_on_this_machine() => return Placed::Here(endpoint),
        Listener::Unix(endpoint) => return Placed::Elsewhere(endpoint),
        Listener::Tcp(address) => address,
    };
    let is_everywhere = address.ip().is_unspecified();
    if let Peer::Host { remote, .. } = peer {
        // A listener on `[::]` takes IPv6 alone: tor sets IPV6_V6ONLY.
        if is_everywhere && remote.is_ipv4() == address.is_ipv4() {
            let port = address.port();
            // All of it: a link-local address needs its scope.
            address = *remote;
            address.set_port(port);
            return Placed::Here(address.into());
        }
    }
    let is_here = peer.is_on_this_machine();
    if is_everywhere && is_here {
        address.set_ip(loopback(address.ip()));
    }
    match is_here || !(is_everywhere || address.ip().is_loopback()) {
        true => Placed::Here(address.into()),
        false => Placed::Elsewhere(address.into()),
    }
}

fn target_of(listener: &PortTarget, peer: &Peer) -> Option<PortTarget> {
    if peer.is_on_this_machine() {
        return Some(match listener {
            PortTarget::Tcp(address) => PortTarget::of_listener(*address),
            target => target.clone(),
        });
    }
    let PortTarget::Tcp(address) = listener else { return None };
    let address = canonical(*address);
    match peer {
        // This end of the control connection is an address of this machine that tor reaches.
        Peer::Host { local, .. }
            if address.ip().is_unspecified() && local.is_ipv4() == address.is_ipv4() =>
        {
            Some(SocketAddr::new(*local, address.port()).into())
        }
        _ if address.ip().is_unspecified() || address.ip().is_loopback() => None,
        _ => Some(listener.clone()),
    }
}

fn loopback(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Reads tor's list of listeners: quoted strings with blanks between them.
fn read_listeners(key: &str, list: &[u8]) -> Result<Vec<Listener>, ProtocolError> {
    let unreadable = |found| ProtocolError::new(key, "a list of quoted addresses", found);
    let mut listeners = Vec::new();
    let mut rest = list.trim_ascii_start();
    while !rest.is_empty() {
        let (listener, after) = read_cstring(rest).ok_or_else(|| unreadable(rest))?;
        listeners.push(read_listener(&listener).ok_or_else(|| unreadable(rest))?);
        rest = after.trim_ascii_start();
    }
    Ok(listeners)
}

fn read_listener(listener: &[u8]) -> Option<Listener> {
    if let Some(path) = listener.strip_prefix(b"unix:") {
        return Some(Listener::Unix(Path::new(OsStr::from_bytes(path)).into()));
    }
    // `::ffff:127.0.0.1` is the loopback too.
    Some(Listener::Tcp(canonical(std::str::from_utf8(listener).ok()?.parse().ok()?)))
}

#[cfg(test)]
mod tests;
