//! tor's listeners, and the endpoints at which this program reaches them.
//!
//! tor reports addresses as seen from its machine: `0.0.0.0` means every address of that machine,
//! and `127.0.0.1` that machine. Both are translated by the address of the control port.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::controller::Controller;
use crate::error::{ProtocolError, Result, SocksError, SocksProblem};
use crate::link::{Endpoint, Peer, canonical};
use crate::names::{ListenerKind, PortTarget};
use crate::wire::quoted::read_cstring;

/// # Listeners
impl Controller {
    /// Returns tor's listeners of one kind, in tor's order. With `DisableNetwork`, tor has control
    /// listeners only.
    ///
    /// A listener on every address of tor's machine, such as `0.0.0.0:9050`, is returned with the
    /// address of the control port, or with a loopback address if tor is on this machine. Every
    /// other address is returned as tor reports it: `127.0.0.1` and unix sockets are on tor's
    /// machine, which may be another.
    #[doc = sends!("GETINFO net/listeners/kind")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::names::ListenerKind;
    ///
    /// for endpoint in controller.listeners(&ListenerKind::Socks)? {
    ///     println!("SOCKS at {endpoint}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_ports")]
    #[doc(alias = "get_listeners")]
    pub fn listeners(&self, kind: &ListenerKind) -> Result<Vec<Endpoint>> {
        let listeners = self.read_listeners(kind)?;
        Ok(listeners
            .into_iter()
            .map(|listener| locate(listener, &self.inner.peer).endpoint())
            .collect())
    }

    /// Returns the endpoints at which this program reaches tor's `SocksPort`, in tor's order; none
    /// if tor has no open `SocksPort`, as with `DisableNetwork`.
    ///
    /// If the connection was made with
    /// [`ConnectOptions::socks_port`](crate::ConnectOptions::socks_port), that is the only one.
    /// A listener on all addresses is reached at the address of the control port. Listeners on the
    /// loopback interface or on a unix socket of another machine are left out.
    /// [`Tor::socks_proxy`](crate::Tor::socks_proxy) makes a proxy of the first.
    ///
    /// Sends `GETINFO net/listeners/socks`, if need be. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Socks`](crate::Error::Socks) with [`SocksProblem::ListenerElsewhere`] if all of them
    /// are left out; otherwise those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for endpoint in controller.socks_endpoints()? {
    ///     println!("SocksPort {endpoint}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_socks_listeners")]
    pub fn socks_endpoints(&self) -> Result<Vec<Endpoint>> {
        self.socks_endpoints_for("find the SocksPort")
    }

    /// Returns [these endpoints](Self::socks_endpoints). An error reports `request`.
    pub(crate) fn socks_endpoints_for(&self, request: &str) -> Result<Vec<Endpoint>> {
        if let Some(endpoint) = &self.inner.socks {
            return Ok(vec![endpoint.clone()]);
        }
        let (mut reachable, mut elsewhere) = (Vec::new(), None);
        for listener in self.read_listeners(&ListenerKind::Socks)? {
            match locate(listener, &self.inner.peer) {
                Location::Reachable(endpoint) => reachable.push(endpoint),
                Location::Elsewhere(endpoint) => {
                    elsewhere.get_or_insert(endpoint);
                }
            }
        }
        match elsewhere {
            Some(listener) if reachable.is_empty() => {
                let listener = listener.to_string().into();
                Err(self.no_socks(request, SocksProblem::ListenerElsewhere { listener }))
            }
            _ => Ok(reachable),
        }
    }

    /// Returns the first of [these](Self::socks_endpoints), for a call whose error reports
    /// `request`.
    pub(crate) fn socks_endpoint(&self, request: &str) -> Result<Endpoint> {
        let first = self.socks_endpoints_for(request)?.into_iter().next();
        first.ok_or_else(|| self.no_socks(request, SocksProblem::NoListener))
    }

    /// Returns the target by which tor reaches a listener of this program; `None` if it cannot.
    pub(crate) fn target_of_listener(&self, listener: &PortTarget) -> Option<PortTarget> {
        target_of(listener, &self.inner.peer)
    }

    fn no_socks(&self, request: &str, problem: SocksProblem) -> crate::error::Error {
        SocksError::new(&format!("of the tor at {}", self.endpoint()), request, problem).into()
    }

    fn read_listeners(&self, kind: &ListenerKind) -> Result<Vec<Listener>> {
        let key = format!("net/listeners/{}", kind.as_str());
        self.read_info(&key, |list| read_listeners(&key, list))
    }
}

/// A listener as tor reports it.
#[derive(Debug, PartialEq)]
enum Listener {
    Tcp(SocketAddr),
    Unix(Endpoint),
}

/// A listener as this program sees it.
#[derive(Debug, PartialEq)]
enum Location {
    /// This program may reach it at this endpoint.
    Reachable(Endpoint),
    /// Only programs on tor's machine reach it, at this endpoint.
    Elsewhere(Endpoint),
}

impl Location {
    fn endpoint(self) -> Endpoint {
        match self {
            Self::Reachable(endpoint) | Self::Elsewhere(endpoint) => endpoint,
        }
    }
}

fn locate(listener: Listener, peer: &Peer) -> Location {
    let mut address = match listener {
        Listener::Unix(endpoint) if peer.is_on_this_machine() => {
            return Location::Reachable(endpoint);
        }
        Listener::Unix(endpoint) => return Location::Elsewhere(endpoint),
        Listener::Tcp(address) => address,
    };
    let is_unspecified = address.ip().is_unspecified();
    if let Peer::Host { remote, .. } = peer {
        // A listener on `[::]` accepts IPv6 only: tor sets IPV6_V6ONLY.
        if is_unspecified && remote.is_ipv4() == address.is_ipv4() {
            let port = address.port();
            // The whole address: a link-local one needs its scope.
            address = *remote;
            address.set_port(port);
            return Location::Reachable(address.into());
        }
    }
    let is_local = peer.is_on_this_machine();
    if is_unspecified && is_local {
        address.set_ip(loopback(address.ip()));
    }
    match is_local || !(is_unspecified || address.ip().is_loopback()) {
        true => Location::Reachable(address.into()),
        false => Location::Elsewhere(address.into()),
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
        // tor reaches the local address of the control connection.
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

/// Parses tor's list of listeners: quoted strings, separated by blanks.
fn read_listeners(key: &str, list: &[u8]) -> Result<Vec<Listener>, ProtocolError> {
    let malformed = |found| ProtocolError::new(key, "a list of quoted addresses", found);
    let mut listeners = Vec::new();
    let mut rest = list.trim_ascii_start();
    while !rest.is_empty() {
        let (listener, after) = read_cstring(rest).ok_or_else(|| malformed(rest))?;
        listeners.push(read_listener(&listener).ok_or_else(|| malformed(rest))?);
        rest = after.trim_ascii_start();
    }
    Ok(listeners)
}

fn read_listener(listener: &[u8]) -> Option<Listener> {
    if let Some(path) = listener.strip_prefix(b"unix:") {
        return Some(Listener::Unix(Path::new(OsStr::from_bytes(path)).into()));
    }
    // `::ffff:127.0.0.1` is a loopback address too.
    Some(Listener::Tcp(canonical(std::str::from_utf8(listener).ok()?.parse().ok()?)))
}

#[cfg(test)]
mod tests;
