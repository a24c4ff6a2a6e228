//! The ports of an onion service, and where what comes to them goes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::names::InvalidName;

/// Where tor takes what comes to a port of an onion service.
///
/// Made by `From` from a port of 127.0.0.1, from an address, and from the path of a unix socket.
///
/// # Examples
///
/// ```
/// use torcon::names::PortTarget;
///
/// assert_eq!(PortTarget::from(8080).to_string(), "127.0.0.1:8080");
/// assert_eq!("unix:/run/web".parse::<PortTarget>()?.to_string(), "unix:/run/web");
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PortTarget {
    /// An address of TCP.
    Tcp(SocketAddr),
    /// A unix socket, by its absolute path.
    Unix(PathBuf),
}

impl PortTarget {
    /// Returns what can be connected to where a server listens: for one that listens on every
    /// address of the machine (`0.0.0.0`), that of the machine itself (`127.0.0.1`).
    #[must_use]
    pub fn of_listener(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self::Tcp(SocketAddr::new(ip, address.port()))
    }

    /// Returns the path of a unix socket.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Tcp(_) => None,
        }
    }
}

impl From<u16> for PortTarget {
    fn from(port: u16) -> Self {
        Self::Tcp((Ipv4Addr::LOCALHOST, port).into())
    }
}

impl From<SocketAddr> for PortTarget {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for PortTarget {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl From<&Path> for PortTarget {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl FromStr for PortTarget {
    type Err = InvalidName;

    /// Reads `port`, `address`, `address:port` with an IPv6 address in brackets, or `unix:/path`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("target of an onion port", problem));
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix('"').and_then(|p| p.strip_suffix('"')).unwrap_or(path);
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => refuse("must have an absolute path after unix:"),
            };
        }
        if let Some(port) = read_port(text) {
            return Ok(Self::from(port));
        }
        match text.parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            Err(_) => refuse("must be a port, an IP address with a port, or unix:/path"),
        }
    }
}

impl fmt::Display for PortTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A port of an onion service and where what comes to it goes.
///
/// It is printed as `ADD_ONION` takes it, `80,127.0.0.1:8080`; the form of a torrc, with a blank
/// instead of the comma, is read too.
///
/// # Examples
///
/// ```
/// use torcon::names::OnionPort;
///
/// let port = OnionPort::new(80, 8080);
/// assert_eq!(port.to_string(), "80,127.0.0.1:8080");
/// assert_eq!("80 8080".parse(), Ok(port));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnionPort {
    virtual_port: u16,
    target: PortTarget,
}

impl OnionPort {
    /// Returns the port of the onion address that goes to the given target.
    #[must_use]
    pub fn new(virtual_port: u16, target: impl Into<PortTarget>) -> Self {
        Self { virtual_port, target: target.into() }
    }

    /// Returns the port of the onion address.
    #[must_use]
    pub fn virtual_port(&self) -> u16 {
        self.virtual_port
    }

    /// Returns where what comes to it goes.
    #[must_use]
    pub fn target(&self) -> &PortTarget {
        &self.target
    }
}

impl FromStr for OnionPort {
    type Err = InvalidName;

    /// Reads `port`, `port,target` or `port target`. Without a target, the same port of 127.0.0.1
    /// is meant.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        let (port, target) = text.split_at_checked(end).unwrap_or((text, ""));
        let virtual_port = read_port(port)
            .ok_or(InvalidName::new("onion port", "must begin with a number from 1 to 65535"))?;
        let target = target.trim_start_matches([',', ' ']);
        let target = match target {
            "" => PortTarget::from(virtual_port),
            target => target.parse()?,
        };
        Ok(Self { virtual_port, target })
    }
}

impl fmt::Display for OnionPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.virtual_port, self.target)
    }
}

/// Reads the number of a port; 0 is none, and `parse` would take a sign.
fn read_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::proptest;

    use super::{OnionPort, PortTarget};

    #[test]
    fn every_form_of_a_port_is_read() {
        for (text, printed) in [
            ("80", "80,127.0.0.1:80"),
            ("80,8080", "80,127.0.0.1:8080"),
            ("80 8080", "80,127.0.0.1:8080"),
            ("81,127.0.0.1:8181", "81,127.0.0.1:8181"),
            ("83,[::1]:99", "83,[::1]:99"),
            ("82,unix:/srv/x.sock", "82,unix:/srv/x.sock"),
            ("82 unix:\"/srv/a b.sock\"", "82,unix:/srv/a b.sock"),
        ] {
            assert_eq!(text.parse::<OnionPort>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for (text, problem) in [
            ("", "invalid onion port: must begin with a number from 1 to 65535"),
            ("0", "invalid onion port: must begin with a number from 1 to 65535"),
            ("+1", "invalid onion port: must begin with a number from 1 to 65535"),
            ("65536", "invalid onion port: must begin with a number from 1 to 65535"),
            (
                "80,example.com:80",
                "invalid target of an onion port: must be a port, an IP address with a port, or \
                 unix:/path",
            ),
            (
                "80,unix:x",
                "invalid target of an onion port: must have an absolute path after unix:",
            ),
        ] {
            assert_eq!(text.parse::<OnionPort>().unwrap_err().to_string(), problem, "{text}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_the_own_one() {
        for (listens, reached) in [
            ("0.0.0.0:5", "127.0.0.1:5"),
            ("[::]:5", "[::1]:5"),
            ("127.0.0.1:5", "127.0.0.1:5"),
            ("192.0.2.7:5", "192.0.2.7:5"),
        ] {
            let address: SocketAddr = listens.parse().unwrap();
            assert_eq!(PortTarget::of_listener(address).to_string(), reached);
        }
    }

    proptest! {
        #[test]
        fn ports_round_trip(virtual_port in 1_u16.., address: std::net::SocketAddrV4) {
            let port = OnionPort::new(virtual_port, SocketAddr::from(address));
            assert_eq!(port.to_string().parse(), Ok(port));
        }
    }
}
